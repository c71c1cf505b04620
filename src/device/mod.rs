//! A simulated device.

mod connection_string;
mod download;
mod firmware;
mod order;
mod scenario;
mod speech;
mod tls;
mod token;

pub use connection_string::{ConnectionString, InvalidConnectionString};
pub use download::SHA256_HEADER;
pub use firmware::{Firmware, Input, Moment, Output};
pub use scenario::{
    Answer, BUILT_IN, Behaviour, DeviceDialect, Failure, FailurePhase, Sayings, Scenario,
    ScenarioError, Step, UriReport,
};
pub use speech::WallTime;
pub use tls::TlsError;
pub use token::{BadKey, token};
