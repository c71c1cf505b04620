//! A direct method call and its answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::DeviceId;

/// The shortest and the longest response timeout that IoT Hub takes, in seconds.
pub const RESPONSE_TIMEOUT: std::ops::RangeInclusive<u32> = 5..=300;

/// One call of a direct method. The payload may hold a signed URI, so neither
/// `Debug` nor the journal shows it; they show its hash.
#[derive(Clone, PartialEq)]
pub struct MethodCall {
    /// Whom to call.
    pub device: DeviceId,
    /// Which method.
    pub method: String,
    /// What it gets.
    pub payload: Value,
    /// How long the device may take to answer: 5 to 300 s.
    pub response_timeout: u32,
    /// How long the hub may wait for the device to connect: 0 to 300 s, at
    /// most the response timeout.
    pub connect_timeout: u32,
}

impl MethodCall {
    /// SHA-256 of the payload's JSON, in lower-case hex.
    #[must_use]
    pub fn payload_sha256(&self) -> String {
        super::evidence::sha256(&self.payload.to_string())
    }
}

impl std::fmt::Debug for MethodCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MethodCall")
            .field("device", &self.device)
            .field("method", &self.method)
            .field("payload_sha256", &self.payload_sha256())
            .field("response_timeout", &self.response_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .finish()
    }
}

/// What the device answered: its own verdict, not the hub's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodAnswer {
    /// The device's status: below 400 is a yes by convention.
    pub status: i64,
    /// Whatever it sent along.
    pub payload: Value,
}

impl MethodAnswer {
    /// Did the device take the order?
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.status < 400
    }
}
