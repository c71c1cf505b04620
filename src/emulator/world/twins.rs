//! Twins: reading, merging, replacing, reporting.
//!
//! Shape, key order and counters: recordings `DevicesClient_DeviceTwinLifecycle`
//! of `Azure/azure-sdk-for-net` and `device_twin_with_reported_properties.json`
//! of `Azure/azure-iot-cli-extension`:
//!
//! | | fresh | tags | desired | reported |
//! |---|---|---|---|---|
//! | `etag` | 1 | +1 | +1 | – |
//! | `version` | 2 | +1 | +1 | +1 |
//! | `desired.$version` | 1 | – | +1 | – |
//! | `reported.$version` | 1 | – | – | +1 |

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::etag::{self, IfMatch};
use super::identity::connection_state;
use super::section::{Half, Section, merge_tags};
use super::session::Topic;
use super::{Device, Output, World, limits};
use crate::domain::id::DeviceId;
use crate::emulator::refusal::{Code, Refusal};
use crate::emulator::stamp;

/// A twin as the hub keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TwinState {
    pub(crate) etag: u64,
    pub(crate) version: u64,
    pub(crate) tags: Map<String, Value>,
    pub(crate) desired: Section,
    pub(crate) reported: Section,
    /// The model that the device announced when it connected.
    pub(crate) model_id: Option<String>,
}

impl TwinState {
    pub(crate) fn fresh(now: Timestamp) -> Self {
        Self {
            etag: 1,
            version: 2,
            tags: Map::new(),
            desired: Section::fresh(now),
            reported: Section::fresh(now),
            model_id: None,
        }
    }
}

/// What a PATCH or PUT of a twin writes; the rest of the body (clients echo
/// the whole twin) is ignored, as the hub does.
#[derive(Debug, Default)]
struct Change {
    tags: Option<Map<String, Value>>,
    desired: Option<Map<String, Value>>,
}

impl Change {
    fn read(body: &Map<String, Value>) -> Result<Self, Refusal> {
        let properties = object(body, "properties")?;
        let desired = match properties {
            Some(properties) => object(properties, "desired")?.map(without_stamps),
            None => None,
        };
        let tags = object(body, "tags")?.cloned();
        for (what, patch) in [("tags", &tags), ("properties.desired", &desired)] {
            if let Some(patch) = patch {
                limits::check_patch(what, patch)?;
            }
        }
        Ok(Self { tags, desired })
    }
}

fn object<'a>(
    map: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, Refusal> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(Refusal::argument(format!("{name} is not an object."))),
    }
}

fn without_stamps(section: &Map<String, Value>) -> Map<String, Value> {
    let mut bare = section.clone();
    bare.shift_remove("$metadata");
    bare.shift_remove("$version");
    bare
}

impl World {
    /// A twin as the service API shows it.
    ///
    /// # Errors
    /// 404 `DeviceNotFound`.
    pub fn twin(&self, id: &DeviceId) -> Result<Value, Refusal> {
        Ok(self.device(id)?.twin_json(id))
    }

    /// Merges `tags` and `properties.desired` of `body` into the twin and gives
    /// the whole new one. A connected device that listens is told.
    ///
    /// # Errors
    /// 404; 412 when the etag is another one; 400 when a rule is broken.
    pub fn patch_twin(
        &mut self,
        id: &DeviceId,
        if_match: &IfMatch,
        body: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        let mut twin = self.twin_for_write(id, if_match)?;
        let change = Change::read(body)?;
        let desired = change.desired.filter(|desired| !desired.is_empty());
        let tags = change.tags.filter(|tags| !tags.is_empty());
        if desired.is_none() && tags.is_none() {
            return self.twin(id);
        }
        if let Some(patch) = &tags {
            merge_tags(&mut twin.tags, patch);
        }
        if let Some(patch) = &desired {
            twin.desired.merge(Half::Desired, patch, now);
        }
        self.commit_twin(id, twin, desired)
    }

    /// Replaces `tags` and `properties.desired`; what is absent becomes empty.
    ///
    /// # Errors
    /// As [`World::patch_twin`].
    pub fn replace_twin(
        &mut self,
        id: &DeviceId,
        if_match: &IfMatch,
        body: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        let mut twin = self.twin_for_write(id, if_match)?;
        let change = Change::read(body)?;
        twin.tags = Map::new();
        merge_tags(&mut twin.tags, &change.tags.unwrap_or_default());
        let desired = change.desired.unwrap_or_default();
        twin.desired.replace(Half::Desired, &desired, now);
        let whole = twin.desired.values.clone();
        self.commit_twin(id, twin, Some(whole))
    }

    /// What a device gets when it asks for its twin: no tags, no metadata.
    ///
    /// # Errors
    /// 404 `DeviceNotFound`.
    pub fn device_twin(&self, id: &DeviceId) -> Result<Value, Refusal> {
        let twin = &self.device(id)?.twin;
        Ok(json!({"desired": twin.desired.plain(), "reported": twin.reported.plain()}))
    }

    /// Merges what a device reports and gives the new `reported.$version`.
    ///
    /// # Errors
    /// 404; 400 when a rule is broken.
    pub fn report(
        &mut self,
        id: &DeviceId,
        patch: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<u64, Refusal> {
        let device = self.device_mut(id)?;
        let patch = without_stamps(patch);
        limits::check_patch("properties.reported", &patch)?;
        let mut reported = device.twin.reported.clone();
        reported.merge(Half::Reported, &patch, now);
        limits::check_size("properties.reported", &reported.values, limits::PROPERTIES)?;
        device.twin.reported = reported;
        device.twin.version += 1;
        device.identity.last_activity = Some(now);
        let version = device.twin.reported.version;
        self.changed(id);
        Ok(version)
    }

    fn twin_for_write(&self, id: &DeviceId, if_match: &IfMatch) -> Result<TwinState, Refusal> {
        let twin = &self.device(id)?.twin;
        match if_match {
            IfMatch::Etag(etag) if *etag != etag::of_twin(twin.etag) => Err(Refusal::new(
                Code::PreconditionFailed,
                format!("ETag mismatch for device ID '{id}'"),
            )),
            _ => Ok(twin.clone()),
        }
    }

    /// Takes a written twin in, and tells the device what changed.
    fn commit_twin(
        &mut self,
        id: &DeviceId,
        mut twin: TwinState,
        desired: Option<Map<String, Value>>,
    ) -> Result<Value, Refusal> {
        limits::check_size("tags", &twin.tags, limits::TAGS)?;
        limits::check_size(
            "properties.desired",
            &twin.desired.values,
            limits::PROPERTIES,
        )?;
        twin.etag += 1;
        twin.version += 1;
        let version = twin.desired.version;
        let device = self.device_mut(id)?;
        device.twin = twin;
        let listener = device.session.listener(Topic::Desired);
        if let (Some(link), Some(mut body)) = (listener, desired) {
            body.insert("$version".to_owned(), version.into());
            self.outputs.push(Output::Desired {
                link,
                version,
                body: body.into(),
            });
        }
        self.changed(id);
        self.twin(id)
    }
}

impl Device {
    /// The whole twin in the hub's key order.
    pub(crate) fn twin_json(&self, id: &DeviceId) -> Value {
        let (identity, twin) = (&self.identity, &self.twin);
        let mut out = Map::new();
        let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
        put("deviceId", id.as_str().into());
        put("etag", etag::of_twin(twin.etag).into());
        put("deviceEtag", identity.etag_text().into());
        put("status", json!(identity.wish.status));
        if let Some(reason) = &identity.wish.reason {
            put("statusReason", reason.as_str().into());
        }
        let status_updated = stamp::text_or_never(identity.status_updated);
        put("statusUpdateTime", status_updated.into());
        let connected = self.session.is_connected();
        put("connectionState", connection_state(connected).into());
        let activity = stamp::text_or_never(identity.last_activity);
        put("lastActivityTime", activity.into());
        put("cloudToDeviceMessageCount", 0.into());
        put("authenticationType", identity.wish.proof.name().into());
        put("x509Thumbprint", identity.thumbprints());
        if let Some(model) = &twin.model_id {
            put("modelId", model.as_str().into());
        }
        put("version", twin.version.into());
        if !twin.tags.is_empty() {
            put("tags", twin.tags.clone().into());
        }
        let (desired, reported) = (twin.desired.full(), twin.reported.full());
        put(
            "properties",
            json!({"desired": desired, "reported": reported}),
        );
        put("capabilities", json!({"iotEdge": identity.wish.edge}));
        out.into()
    }
}
