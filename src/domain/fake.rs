//! For tests: twins of a device that reports to a hub that stamps, and a hub's profile.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::id::DeviceId;
use super::profile::Profile;
use super::twin::{Connection, Enablement, Section, Twin};

/// A hub of no special kind.
pub(crate) fn profile() -> Profile {
    Profile {
        name: "plant".into(),
        host: "plant.azure-devices.net".into(),
        environment: None,
        read_only: false,
        tier: None,
        units: 1,
    }
}

/// A twin that stamps each report one second after the one before.
#[derive(Clone, Debug)]
pub(crate) struct FakeTwin {
    pub(crate) twin: Twin,
    clock: Timestamp,
}

impl FakeTwin {
    pub(crate) fn new(device: &str) -> Self {
        Self::at(device, "2026-01-01T12:00:00Z".parse().unwrap())
    }

    /// The same, made at that time.
    pub(crate) fn at(device: &str, clock: Timestamp) -> Self {
        let section = || Section {
            metadata: stamp(clock),
            version: 1,
            ..Section::default()
        };
        let twin = Twin {
            device_id: DeviceId::parse(device).unwrap(),
            etag: "AAAAAAAAAAE=".to_owned(),
            device_etag: None,
            version: 2,
            status: Enablement::Enabled,
            status_reason: None,
            connection: Connection::Connected,
            last_activity: None,
            told_at: None,
            tags: Map::new(),
            desired: section(),
            reported: section(),
        };
        Self { twin, clock }
    }

    /// The hub's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock
    }

    /// The hub's clock goes on, to that time at least.
    pub(crate) fn until(&mut self, time: Timestamp) {
        self.clock = self.clock.max(time);
    }

    /// The device reports top-level or nested properties.
    pub(crate) fn report(&mut self, patch: Value) -> Twin {
        self.clock += SignedDuration::from_secs(1);
        let reported = &mut self.twin.reported;
        reported.version += 1;
        self.twin.version += 1;
        let patch = patch.as_object().unwrap();
        merge(
            &mut reported.values,
            &mut reported.metadata,
            patch,
            self.clock,
        );
        self.twin.clone()
    }
}

fn stamp(time: Timestamp) -> Map<String, Value> {
    json!({"$lastUpdated": time.to_string()})
        .as_object()
        .unwrap()
        .clone()
}

fn merge(
    values: &mut Map<String, Value>,
    metadata: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    time: Timestamp,
) {
    metadata.insert("$lastUpdated".into(), time.to_string().into());
    for (key, value) in patch {
        match value {
            Value::Null => {
                values.shift_remove(key);
                metadata.shift_remove(key);
            }
            Value::Object(inner) => {
                let empty = || Value::Object(Map::new());
                let value = values.entry(key).or_insert_with(empty);
                if !value.is_object() {
                    *value = empty();
                }
                let below = metadata.entry(key).or_insert_with(empty);
                if let (Value::Object(value), Value::Object(below)) = (value, below) {
                    merge(value, below, inner, time);
                }
            }
            value => {
                values.insert(key.clone(), value.clone());
                metadata.insert(key.clone(), Value::Object(stamp(time)));
            }
        }
    }
}
