//! A local IoT Hub.

pub mod policy;
pub mod query;
pub mod refusal;
pub mod sas;
mod stamp;
pub mod world;
