//! The hub's JSON, made into typed twins and identities.
//!
//! Lenient where hubs differ (two spellings of thumbprints, keys in any order,
//! fields that newer hubs add), strict where a mistake would mislead: a twin
//! without a device id is no twin.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::device::{Connection, Enablement};
use crate::domain::id::DeviceId;
use crate::domain::tag::{self, Tag};
use crate::domain::time::hub_time;
use crate::domain::twin::{Section, Twin};

/// A device's entry in the identity registry, without its keys, which the
/// console has no use for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The device.
    pub device_id: DeviceId,
    /// New for every re-creation of a device of the same id.
    pub generation_id: String,
    /// The registry's etag.
    pub etag: String,
    /// May it connect?
    pub status: Enablement,
    /// Why it may not.
    pub status_reason: Option<String>,
    /// As the hub last saw it.
    pub connection: Connection,
    /// When it last did anything; `None` is never.
    pub last_activity: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTwin {
    device_id: String,
    #[serde(default)]
    etag: Option<String>,
    #[serde(default)]
    device_etag: Option<String>,
    #[serde(default)]
    version: Option<u64>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    status_reason: Option<String>,
    #[serde(default)]
    connection_state: Option<String>,
    #[serde(default)]
    last_activity_time: Option<String>,
    #[serde(default)]
    tags: Option<Map<String, Value>>,
    #[serde(default)]
    properties: RawProperties,
}

#[derive(Deserialize, Default)]
struct RawProperties {
    #[serde(default)]
    desired: Map<String, Value>,
    #[serde(default)]
    reported: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawIdentity {
    device_id: String,
    generation_id: String,
    etag: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    status_reason: Option<String>,
    #[serde(default)]
    connection_state: Option<String>,
    #[serde(default)]
    last_activity_time: Option<String>,
}

/// Reads a twin as `GET /twins/{id}` and twin queries give it.
///
/// # Errors
/// A sentence that says what is missing or wrong.
pub fn twin(value: Value) -> Result<Twin, String> {
    let raw: RawTwin = serde_json::from_value(value).map_err(|e| e.to_string())?;
    Ok(Twin {
        device_id: DeviceId::parse(&raw.device_id).map_err(|e| e.to_string())?,
        etag: raw.etag.unwrap_or_default(),
        device_etag: raw.device_etag,
        version: raw.version.unwrap_or_default(),
        status: enablement(raw.status.as_deref()),
        status_reason: raw.status_reason,
        connection: connection(raw.connection_state.as_deref()),
        last_activity: raw.last_activity_time.as_deref().and_then(hub_time),
        told_at: None,
        tags: raw.tags.unwrap_or_default(),
        desired: section(raw.properties.desired),
        reported: section(raw.properties.reported),
    })
}

/// The body of `PATCH /twins/{id}` that writes a tag and nothing else.
#[must_use]
pub fn tag_patch(write: &tag::Write) -> Value {
    // JSON's null takes a tag away.
    let tag = write.tag().map_or(Value::Null, Tag::value);
    serde_json::json!({"tags": {tag::KEY: tag}})
}

/// An etag as `If-Match` wants it, in quotes. A wildcard is none: it would write
/// over whatever is there.
///
/// # Errors
/// A sentence that says why it cannot be sent back.
pub fn if_match(etag: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    match etag {
        "" => Err("the twin has no etag, so nothing can be written to it safely".to_owned()),
        "*" => Err("the twin's etag is a wildcard".to_owned()),
        etag if etag.chars().all(plain) => Ok(format!("\"{etag}\"")),
        _ => Err("the twin's etag cannot be sent back".to_owned()),
    }
}

/// Reads an identity as `GET /devices/{id}` gives it.
///
/// # Errors
/// A sentence that says what is missing or wrong.
pub fn identity(value: Value) -> Result<Identity, String> {
    let raw: RawIdentity = serde_json::from_value(value).map_err(|e| e.to_string())?;
    Ok(Identity {
        device_id: DeviceId::parse(&raw.device_id).map_err(|e| e.to_string())?,
        generation_id: raw.generation_id,
        etag: raw.etag,
        status: enablement(raw.status.as_deref()),
        status_reason: raw.status_reason,
        connection: connection(raw.connection_state.as_deref()),
        last_activity: raw.last_activity_time.as_deref().and_then(hub_time),
    })
}

/// Splits a section into the properties, their stamps and the version.
fn section(mut values: Map<String, Value>) -> Section {
    let metadata = match values.shift_remove("$metadata") {
        Some(Value::Object(metadata)) => metadata,
        _ => Map::new(),
    };
    let version = values.shift_remove("$version");
    Section {
        values,
        metadata,
        version: version.and_then(|v| v.as_u64()).unwrap_or_default(),
    }
}

/// `Connected`, in any case, is connected; all else is not.
#[must_use]
pub fn connection(text: Option<&str>) -> Connection {
    match text {
        Some(t) if t.eq_ignore_ascii_case("connected") => Connection::Connected,
        _ => Connection::Disconnected,
    }
}

/// `disabled`, in any case, is disabled; all else is not.
#[must_use]
pub fn enablement(text: Option<&str>) -> Enablement {
    match text {
        Some(t) if t.eq_ignore_ascii_case("disabled") => Enablement::Disabled,
        _ => Enablement::Enabled,
    }
}
