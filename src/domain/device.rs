//! One row of the inventory.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::dialect::{Dialect, Dialects};
use super::id::DeviceId;
use super::phase::Phase;
use super::tags::Tags;
use super::twin::Twin;
pub use super::twin::{Connection, Enablement};

/// What the inventory shows of a device: one row of a projected query, or what
/// a later read of its twin made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceRow {
    /// The device.
    pub device_id: DeviceId,
    /// As the hub last saw it.
    #[serde(rename = "connectionState")]
    pub connection: Connection,
    /// May it connect?
    pub status: Enablement,
    /// When it last did anything; absent is never.
    #[serde(
        default,
        rename = "lastActivityTime",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_activity: Option<Timestamp>,
    /// The firmware version it reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// The status it reports, as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_status: Option<String>,
    /// What its dialect makes of that status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// When its last update ended, as the device says, in the device's format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_update: Option<String>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// When we read this.
    pub seen: Timestamp,
}

impl DeviceRow {
    /// The row that a twin read at `seen` gives.
    #[must_use]
    pub fn from_twin(twin: &Twin, dialects: &Dialects, seen: Timestamp) -> Self {
        Self::read(twin, dialects.recognise(twin), seen)
    }

    /// The same, read in that dialect.
    #[must_use]
    pub fn read(twin: &Twin, dialect: &Dialect, seen: Timestamp) -> Self {
        let reading = dialect.read(&twin.reported);
        Self {
            device_id: twin.device_id.clone(),
            connection: twin.connection,
            status: twin.status,
            last_activity: twin.last_activity,
            firmware: reading.version.map(|v| v.text),
            phase: reading.value.is_some().then_some(reading.phase),
            reported_status: reading.value,
            last_update: reading.end.map(|e| e.text),
            tags: Tags::of(&twin.tags),
            seen,
        }
    }
}
