//! A simulated device.

mod connection_string;
mod scenario;
mod token;

pub use connection_string::{ConnectionString, InvalidConnectionString};
pub use scenario::{
    Answer, BUILT_IN, Behaviour, DeviceDialect, Failure, FailurePhase, Sayings, Scenario,
    ScenarioError, Step, UriReport,
};
pub use token::{BadKey, token};
