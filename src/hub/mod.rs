//! Speaks the Azure IoT Hub service API as a client: HTTPS, JSON, SAS tokens,
//! api-version 2021-04-12.
//!
//! | module | holds |
//! |---|---|
//! | [`connection`] | connection strings |
//! | [`sas`] | shared access signatures |
//! | [`service`] | the trait [`Service`], which is all that the engine knows of a hub |
//! | [`client`] | [`Client`], the trait over real HTTPS |
//! | `net` | the HTTP clients, the proxy between, what a broken call means |
//! | [`probe`], [`certificate`] | the way to a hub, looked at step by step |
//! | `tokens` | the tokens in use, signed by the hub's clock |
//! | [`query`] | the inventory's projected query and its rows |
//! | [`wire`] | the hub's JSON, made into typed twins and identities |
//! | [`error`] | what can go wrong, and whether anything was done then |
//!
//! The client follows no redirect and repeats no order: whether one may be sent
//! again is the engine's decision, by [`HubError::delivery`]. A read whose token is
//! refused is made once more with another one.

pub mod certificate;
pub mod client;
pub mod connection;
pub mod error;
mod net;
pub mod probe;
pub mod query;
pub mod sas;
pub mod service;
mod tokens;
pub mod wire;

pub use client::{Client, Settings};
pub use connection::{ConnectionString, InvalidConnectionString};
pub use error::{Delivery, HubError};
pub use query::{InvalidQuery, Query};
pub use service::{GateKeeper, Grant, House, Page, Permit, Service, TagGrant, TagPermit};
pub use wire::Identity;
