//! The working core between front ends and hub.
//!
//! Front ends hold an [`Engine`]: they send [`Command`](crate::domain::event::Command)s
//! and subscribe to [`Event`](crate::domain::event::Event)s. The engine never waits
//! for a front end: one that lags gets a single [`Batch::Lagged`] and asks for a
//! [`Snapshot`].

mod handle;

pub use handle::{Backend, Batch, Engine, Request, Snapshot, Stopped, Subscription, channel};
