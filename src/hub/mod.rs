//! Speaks the Azure IoT Hub service API as a client: HTTPS, JSON, SAS tokens,
//! api-version 2021-04-12.
//!
//! | module | holds |
//! |---|---|
//! | [`connection`] | connection strings |
//! | [`sas`] | shared access signatures |
//! | [`service`] | the trait [`Service`], which is all that the engine knows of a hub |
//! | [`client`] | [`Client`], the trait over real HTTPS |
//! | [`query`] | the inventory's projected query and its rows |
//! | [`wire`] | the hub's JSON, made into typed twins and identities |
//! | [`error`] | what can go wrong, and whether anything was done then |
//!
//! The client follows no redirect and repeats nothing by itself: whether a call
//! may be made again is the engine's decision, by [`HubError::delivery`].

pub mod client;
pub mod connection;
pub mod error;
pub mod query;
pub mod sas;
pub mod service;
pub mod wire;

pub use client::{Client, Settings};
pub use connection::{ConnectionString, InvalidConnectionString};
pub use error::{Delivery, HubError};
pub use query::{InvalidQuery, Query};
pub use service::{GateKeeper, Grant, House, Page, Permit, Service, TagGrant, TagPermit};
pub use wire::Identity;
