//! A device twin as the hub tells it, with its stamps.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::DeviceId;
use super::time::hub_time;

/// Was the device connected when the hub last looked? The hub is late with
/// this; it never decides anything, a method call does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connection {
    /// An MQTT or AMQP session is open.
    Connected,
    /// None is.
    #[default]
    Disconnected,
}

/// May the device connect at all?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Enablement {
    /// It may.
    #[default]
    Enabled,
    /// An operator or a program has shut it out.
    Disabled,
}

/// A path to a property, `iothubDM.firmwareUpdate.status`. A twin's keys hold
/// no dots (IoT Hub forbids them), so a dotted path is unambiguous.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Path(Vec<String>);

impl Path {
    /// The path's steps, outermost first.
    pub fn steps(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The outermost key.
    #[must_use]
    pub fn root(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }
}

impl From<&str> for Path {
    fn from(dotted: &str) -> Self {
        Self(dotted.split('.').map(str::to_owned).collect())
    }
}

impl From<String> for Path {
    fn from(dotted: String) -> Self {
        Self::from(dotted.as_str())
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.to_string()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// One half of a twin's properties: the values, when each was written, and how
/// often the whole was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// The properties, without `$metadata` and `$version`.
    pub values: Map<String, Value>,
    /// The tree of `$lastUpdated`, stamped by the hub's clock.
    pub metadata: Map<String, Value>,
    /// `$version`: one more with each write of this section.
    pub version: u64,
}

impl Section {
    /// The value at `path`; JSON `null` counts as absent.
    #[must_use]
    pub fn get(&self, path: &Path) -> Option<&Value> {
        let mut steps = path.steps();
        let first = self.values.get(steps.next()?)?;
        steps
            .try_fold(first, |value, step| value.get(step))
            .filter(|value| !value.is_null())
    }

    /// Puts a value at `path`; what stands in its way is replaced. It gets no
    /// stamp.
    pub fn put(&mut self, path: &Path, value: Value) {
        let mut here = &mut self.values;
        let Some((last, above)) = path.0.split_last() else {
            return;
        };
        for step in above {
            let below = here.entry(step.clone()).or_insert(Value::Null);
            if !below.is_object() {
                *below = Value::Object(Map::new());
            }
            match below {
                Value::Object(below) => here = below,
                _ => return,
            }
        }
        here.insert(last.clone(), value);
    }

    /// When the hub last saw the property at `path` written.
    #[must_use]
    pub fn stamp(&self, path: &Path) -> Option<Timestamp> {
        let mut steps = path.steps();
        let first = self.metadata.get(steps.next()?)?;
        let node = steps.try_fold(first, |value, step| value.get(step))?;
        hub_time(node.get("$lastUpdated")?.as_str()?)
    }

    /// When the hub saw the oldest value that still stands in this section
    /// written; `None` when there is no value.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        fn oldest(node: &Value) -> Option<Timestamp> {
            let node = node.as_object()?;
            let stamp = |(key, value): (&String, &Value)| match key.as_str() {
                "$lastUpdated" => hub_time(value.as_str()?),
                _ => oldest(value),
            };
            node.iter().filter_map(stamp).min()
        }
        let values = self
            .metadata
            .iter()
            .filter(|(key, _)| !key.starts_with('$'));
        values.filter_map(|(_, node)| oldest(node)).min()
    }

    /// When the hub last saw anything in this section written.
    #[must_use]
    pub fn last_updated(&self) -> Option<Timestamp> {
        hub_time(self.metadata.get("$lastUpdated")?.as_str()?)
    }
}

/// A device's twin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Twin {
    /// Whose twin this is.
    pub device_id: DeviceId,
    /// The twin's etag, as in the body.
    pub etag: String,
    /// The identity's etag, when the hub says it.
    pub device_etag: Option<String>,
    /// Counts every write of the twin.
    pub version: u64,
    /// May the device connect?
    pub status: Enablement,
    /// Why it may not, in the words of whoever disabled it.
    pub status_reason: Option<String>,
    /// Was the device connected when the hub last looked? Late by design.
    pub connection: Connection,
    /// When the device last did anything; `None` is never.
    pub last_activity: Option<Timestamp>,
    /// The hub's clock when it told this, in whole seconds; absent when it did
    /// not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<Timestamp>,
    /// What the service side wrote for itself.
    pub tags: Map<String, Value>,
    /// What the service side asks of the device.
    pub desired: Section,
    /// What the device says of itself.
    pub reported: Section,
}

impl Twin {
    /// The text at a path that begins with `tags`, `desired` or `reported`, the
    /// latter two with or without `properties.` in front, as in a query.
    #[must_use]
    pub fn text_at(&self, path: &Path) -> Option<&str> {
        let steps: Vec<&str> = path.steps().collect();
        let steps = steps.strip_prefix(&["properties"]).unwrap_or(&steps);
        let (section, steps) = steps.split_first()?;
        let values = match *section {
            "tags" => &self.tags,
            "desired" => &self.desired.values,
            "reported" => &self.reported.values,
            _ => return None,
        };
        let (first, rest) = steps.split_first()?;
        let first = values.get(*first)?;
        rest.iter()
            .try_fold(first, |value, step| value.get(*step))?
            .as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_stamps_are_found_by_path() {
        let section = Section {
            values: serde_json::json!({"a": {"b": 7, "gone": null}})
                .as_object()
                .unwrap()
                .clone(),
            metadata: serde_json::json!({
                "$lastUpdated": "2021-07-07T20:45:25Z",
                "a": {"$lastUpdated": "2021-07-07T20:45:24Z",
                      "b": {"$lastUpdated": "2021-07-07T20:45:23.5Z"}}
            })
            .as_object()
            .unwrap()
            .clone(),
            version: 3,
        };
        assert_eq!(section.get(&"a.b".into()), Some(&Value::from(7)));
        assert_eq!(section.get(&"a.gone".into()), None);
        assert_eq!(section.get(&"a.b.c".into()), None);
        let stamp = |path: &str| section.stamp(&path.into()).map(|t| t.to_string());
        assert_eq!(stamp("a.b").as_deref(), Some("2021-07-07T20:45:23.5Z"));
        assert_eq!(stamp("a").as_deref(), Some("2021-07-07T20:45:24Z"));
        assert_eq!(stamp("c"), None);
        assert_eq!(
            section.last_updated().unwrap().to_string(),
            "2021-07-07T20:45:25Z"
        );
    }
}
