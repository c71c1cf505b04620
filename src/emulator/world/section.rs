//! One half of a twin's properties: values, `$metadata` and `$version`.
//!
//! Rules: "Understand and use device twins in IoT Hub" in
//! `MicrosoftDocs/azure-docs` (`articles/iot-hub/iot-hub-devguide-device-twins.md`);
//! shapes: recording `DevicesClient_DeviceTwinLifecycle` of
//! `Azure/azure-sdk-for-net`. Objects merge, `null` deletes, the rest replaces;
//! deleting the last child leaves `{}`; arrays have metadata only as a whole.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::emulator::stamp;

/// Desired or reported properties.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// The properties themselves.
    pub values: Map<String, Value>,
    /// The tree of `$lastUpdated` (and `$lastUpdatedVersion`, under desired).
    pub metadata: Map<String, Value>,
    /// Counts the writes; a fresh section has 1.
    pub version: u64,
}

/// What a write leaves on each node it touches.
#[derive(Clone, Copy, Debug)]
struct Mark<'a> {
    time: &'a str,
    /// `$lastUpdatedVersion`, under desired only.
    version: Option<u64>,
}

impl Mark<'_> {
    fn put(self, node: &mut Map<String, Value>) {
        node.insert("$lastUpdated".to_owned(), self.time.into());
        if let Some(version) = self.version {
            node.insert("$lastUpdatedVersion".to_owned(), version.into());
        }
    }
}

/// Which of the two halves; only desired nodes carry `$lastUpdatedVersion`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Written by the service side.
    Desired,
    /// Written by the device.
    Reported,
}

impl Section {
    /// The section of a twin made at `now`.
    #[must_use]
    pub fn fresh(now: Timestamp) -> Self {
        let mut metadata = Map::new();
        metadata.insert("$lastUpdated".to_owned(), stamp::text(now).into());
        Self {
            values: Map::new(),
            metadata,
            version: 1,
        }
    }

    /// Merges `patch` into the section and counts the write.
    pub fn merge(&mut self, half: Half, patch: &Map<String, Value>, now: Timestamp) {
        self.version += 1;
        let time = stamp::text(now);
        let mark = Mark {
            time: &time,
            version: (half == Half::Desired).then_some(self.version),
        };
        merge(&mut self.values, &mut self.metadata, patch, mark);
    }

    /// Replaces all values by `new` and counts the write.
    pub fn replace(&mut self, half: Half, new: &Map<String, Value>, now: Timestamp) {
        self.values.clear();
        self.metadata.clear();
        self.merge(half, new, now);
    }

    /// As the service API shows it: properties, then `$metadata`, `$version`.
    #[must_use]
    pub fn full(&self) -> Value {
        let mut all = self.values.clone();
        all.insert("$metadata".to_owned(), self.metadata.clone().into());
        all.insert("$version".to_owned(), self.version.into());
        all.into()
    }

    /// As the device gets it: properties and `$version`.
    #[must_use]
    pub fn plain(&self) -> Value {
        let mut all = self.values.clone();
        all.insert("$version".to_owned(), self.version.into());
        all.into()
    }
}

/// Merges tags, which have no metadata.
pub fn merge_tags(tags: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                tags.shift_remove(key);
            }
            Value::Object(child) => merge_tags(object_at(tags, key), child),
            other => {
                tags.insert(key.clone(), other.clone());
            }
        }
    }
}

// Bounded by the depth that `limits` lets through.
fn merge(
    values: &mut Map<String, Value>,
    metadata: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    mark: Mark<'_>,
) {
    mark.put(metadata);
    for (key, value) in patch {
        match value {
            Value::Null => {
                values.shift_remove(key);
                metadata.shift_remove(key);
            }
            Value::Object(child) => {
                if !matches!(values.get(key), Some(Value::Object(_))) {
                    metadata.shift_remove(key);
                }
                merge(
                    object_at(values, key),
                    object_at(metadata, key),
                    child,
                    mark,
                );
            }
            other => {
                values.insert(key.clone(), other.clone());
                let mut node = Map::new();
                mark.put(&mut node);
                metadata.insert(key.clone(), node.into());
            }
        }
    }
}

/// The object at `key`, made (or put in the place of something else) if needed.
fn object_at<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let slot = map.entry(key).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(object) => object,
        _ => unreachable!("made an object just above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_600_000_000 + second).unwrap()
    }

    fn after(half: Half, patches: &[Value]) -> Section {
        let mut section = Section::fresh(at(0));
        for (n, patch) in (1..).zip(patches) {
            section.merge(half, patch.as_object().unwrap(), at(n));
        }
        section
    }

    #[rstest::rstest]
    #[case(&[json!({"a": 1, "b": 2}), json!({"a": null})], json!({"b": 2}))]
    #[case(&[json!({"a": {"b": 1, "c": 2}}), json!({"a": {"b": 3}})], json!({"a": {"b": 3, "c": 2}}))]
    #[case(&[json!({"a": {"b": 1}}), json!({"a": {"b": null}})], json!({"a": {}}))]
    #[case(&[json!({"a": [1, 2]}), json!({"a": [3]})], json!({"a": [3]}))]
    #[case(&[json!({"a": 1}), json!({"a": {"b": 1, "gone": null}})], json!({"a": {"b": 1}}))]
    #[case(&[json!({"a": {"b": 1}}), json!({"a": 7})], json!({"a": 7}))]
    #[case(&[json!({"a": 1}), json!({"never": null})], json!({"a": 1}))]
    fn merging(#[case] patches: &[Value], #[case] want: Value) {
        let section = after(Half::Reported, patches);
        assert_eq!(Value::from(section.values.clone()), want);
        assert_eq!(section.version, 1 + patches.len() as u64);
        // The metadata tree has exactly the nodes of the values.
        assert_mirrors(&section.metadata, &section.values);

        let mut tags = Map::new();
        for patch in patches {
            merge_tags(&mut tags, patch.as_object().unwrap());
        }
        assert_eq!(Value::from(tags), want);
    }

    fn assert_mirrors(metadata: &Map<String, Value>, values: &Map<String, Value>) {
        assert!(metadata.contains_key("$lastUpdated"));
        let nodes: Vec<_> = metadata.keys().filter(|k| !k.starts_with('$')).collect();
        assert_eq!(nodes.len(), values.len(), "{metadata:?}");
        for (key, value) in values {
            let node = metadata[key].as_object().unwrap();
            assert_mirrors(node, value.as_object().unwrap_or(&Map::new()));
        }
    }

    #[test]
    fn only_the_touched_nodes_and_their_parents_are_stamped() {
        let section = after(
            Half::Reported,
            &[
                json!({"a": {"b": 1, "c": 1}, "d": 1}),
                json!({"a": {"b": 2}}),
            ],
        );
        assert_eq!(
            Value::from(section.metadata),
            json!({
                "$lastUpdated": stamp::text(at(2)),
                "a": {
                    "$lastUpdated": stamp::text(at(2)),
                    "b": {"$lastUpdated": stamp::text(at(2))},
                    "c": {"$lastUpdated": stamp::text(at(1))},
                },
                "d": {"$lastUpdated": stamp::text(at(1))},
            })
        );
    }

    #[test]
    fn desired_nodes_say_the_version_too_and_values_come_first() {
        let section = after(Half::Desired, &[json!({"username": "userA"})]);
        let time = stamp::text(at(1));
        assert_eq!(
            section.full().to_string(),
            format!(
                r#"{{"username":"userA","$metadata":{{"$lastUpdated":"{time}","$lastUpdatedVersion":2,"username":{{"$lastUpdated":"{time}","$lastUpdatedVersion":2}}}},"$version":2}}"#
            )
        );
        assert_eq!(section.plain(), json!({"username": "userA", "$version": 2}));
        let fresh = Section::fresh(at(0)).full().to_string();
        assert_eq!(
            fresh,
            format!(
                r#"{{"$metadata":{{"$lastUpdated":"{}"}},"$version":1}}"#,
                stamp::text(at(0))
            )
        );
    }

    #[test]
    fn a_replacement_forgets_what_was() {
        let mut section = after(Half::Desired, &[json!({"a": 1, "b": 2})]);
        section.replace(Half::Desired, json!({"b": 3}).as_object().unwrap(), at(9));
        assert_eq!(section.plain(), json!({"b": 3, "$version": 3}));
        assert_mirrors(&section.metadata, &section.values);
    }
}
