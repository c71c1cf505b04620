//! Speaks the Azure IoT Hub service API as a client: HTTPS, JSON, SAS tokens or
//! those of Entra ID, api-version 2021-04-12.
//!
//! | module | holds |
//! |---|---|
//! | [`address`] | where a hub is |
//! | [`sign_in`] | by what it lets us in: a policy's key, or Entra ID |
//! | [`connection`] | connection strings |
//! | [`sas`] | shared access signatures |
//! | [`service`] | the trait [`Service`], which is all that the engine knows of a hub |
//! | [`client`] | [`Client`], the trait over real HTTPS |
//! | `net` | the HTTP clients, the proxy between, what a broken call means |
//! | [`probe`], [`certificate`] | the way to a hub, looked at step by step |
//! | `tokens` | the tokens in use, signed by the hub's clock |
//! | `entra` | a token of Entra ID, asked for once for all who need it |
//! | [`az`] | the Azure command line, which gives it |
//! | [`query`] | the inventory's projected query and its rows |
//! | [`wire`] | the hub's JSON, made into typed twins and identities |
//! | [`error`] | what can go wrong, and whether anything was done then |
//!
//! The client follows no redirect and repeats no order: whether one may be sent
//! again is the engine's decision, by [`HubError::delivery`]. A read whose token is
//! refused is made once more with another one.

pub mod address;
pub mod az;
pub mod certificate;
pub mod client;
pub mod connection;
mod entra;
pub mod error;
mod net;
pub mod probe;
pub mod query;
pub mod sas;
pub mod service;
pub mod sign_in;
mod tokens;
pub mod wire;

pub use address::{Address, InvalidAddress};
pub use client::{Client, Settings};
pub use connection::{ConnectionString, InvalidConnectionString};
pub use error::{Delivery, HubError};
pub use query::{InvalidQuery, Query};
pub use service::{GateKeeper, Grant, House, Page, Permit, Service, TagGrant, TagPermit};
pub use sign_in::SignIn;
pub use wire::Identity;
