//! What a verdict rests on: the baseline before the order, evidence after it,
//! and the names of how updates stand and end.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::dialect::Dialect;
use super::twin::Twin;

/// What the twin held before the order went out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Baseline {
    /// `reported.$version`.
    pub version: u64,
    /// When the hub saw the reported properties written last: nothing stamped
    /// up to then is believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<Timestamp>,
    /// The status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// When the hub saw the status written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_updated: Option<Timestamp>,
    /// The end of the last update, in the device's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// The running firmware's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// The package URI that stood in the twin, redacted by a hash: it may be
    /// another's signed URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri_sha256: Option<String>,
    /// The etag of the device's entry in the registry, when the twin tells it:
    /// another one later may mean that the device was created again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_etag: Option<String>,
    /// The version that was on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// Was the device at work for somebody else, and taken over? Then its phases
    /// and its end may still be the other's.
    #[serde(default, skip_serializing_if = "is_false")]
    pub contested: bool,
    /// What named the run, in a dialect that names runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

impl Baseline {
    /// What `twin` holds, read in `dialect`.
    #[must_use]
    pub fn of(twin: &Twin, dialect: &Dialect) -> Self {
        let reading = dialect.read(&twin.reported);
        Self {
            version: twin.reported.version,
            last_updated: twin.reported.last_updated(),
            value: reading.value,
            value_updated: reading.stamp,
            end: reading.end.map(|s| s.text),
            firmware: reading.version.map(|s| s.text),
            uri_sha256: reading.uri.map(|s| sha256(&s.text)),
            device_etag: twin.device_etag.clone(),
            pending: reading.pending.map(|s| s.text),
            run: reading.run.map(|s| s.text),
            contested: false,
        }
    }

    /// Was this stamped after the baseline?
    pub(super) fn is_older_than(&self, stamp: Option<Timestamp>) -> bool {
        match (stamp, self.last_updated) {
            (Some(stamp), Some(floor)) => stamp > floor,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

/// SHA-256 in lower-case hex.
#[must_use]
pub fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where in the twin something stands, and when the hub saw it written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The property's path.
    pub property: String,
    /// Its value.
    pub value: Value,
    /// `reported.$version` when it was read.
    pub version: u64,
    /// The hub's stamp.
    pub hub_time: Option<Timestamp>,
}

/// How an update ended. Final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The device says done, and there is evidence.
    Completed,
    /// The device says failed, and there is evidence.
    Failed,
    /// The device answered the order with a status of 400 or more.
    Rejected,
    /// The order did not reach the device.
    NotDelivered,
    /// The operator or the overall deadline ended it.
    GivenUp,
}

impl Outcome {
    /// The name on screen and in events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::NotDelivered => "notDelivered",
            Self::GivenUp => "givenUp",
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A doubt about an open update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OpenState {
    /// Nothing changed within the phase's deadline.
    Stalled,
    /// Nobody knows whether the device got the order.
    Unknown,
    /// The device says that it has ended, with nothing that shows it to be
    /// this run.
    Unconfirmed,
    /// None of these any more.
    Back,
}

impl OpenState {
    /// The name on screen and in events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::Unknown => "unknown",
            Self::Unconfirmed => "unconfirmed",
            Self::Back => "back",
        }
    }
}
