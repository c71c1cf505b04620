//! The working core between front ends and hub.
//!
//! Front ends hold an [`Engine`]: they send [`Command`](crate::domain::event::Command)s
//! and subscribe to [`Event`](crate::domain::event::Event)s. The engine never waits
//! for a front end: one that lags gets a single [`Batch::Lagged`] and asks for a
//! [`Snapshot`].
//!
//! | module | holds |
//! |---|---|
//! | [`core`] | decides: (state, input, now) → outputs, pure |
//! | [`shell`] | does what the core decides, as tasks |
//! | `scribe` | writes to the journal in order, and again when that fails |
//! | [`gate`] | gives leave to write to a hub, to nobody else |

pub mod core;
pub mod gate;
mod handle;
mod scribe;
pub mod shell;

pub use core::Settings;
pub use handle::{Backend, Batch, Engine, Past, Request, Snapshot, Stopped, Subscription, channel};
pub use shell::{Running, Unwritten, spawn};
