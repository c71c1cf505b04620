//! A device's tags as the inventory holds them: flat, short, many times over.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::clean;

/// Tags of one device that are kept; IoT Hub takes 8 KB of them.
const MOST: usize = 64;
/// Characters of a path and of a value that are kept.
const LONGEST: usize = 120;

/// Tags, each as `path=value`, in the twin's order: `site=lab`, `place.line=3`.
/// One text for all of them, shared by whoever holds the row: a hub has a
/// hundred thousand. Harmless text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(Option<Arc<str>>);

impl Tags {
    /// The leaves of a twin's tags.
    #[must_use]
    pub fn of(tags: &Map<String, Value>) -> Self {
        let mut lines = Vec::new();
        for (key, value) in tags {
            flatten(key, value, &mut lines);
        }
        Self::from_lines(&lines)
    }

    fn from_lines(lines: &[String]) -> Self {
        Self((!lines.is_empty()).then(|| lines.join("\n").into()))
    }

    /// Each as path and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.0.as_deref().unwrap_or_default().lines();
        lines.map(|line| line.split_once('=').unwrap_or((line, "")))
    }

    /// All of them, each in a line as `path=value`; `None` when there are none.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The value at a path, without regard to case.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&str> {
        let mut all = self.iter();
        all.find_map(|(known, value)| known.eq_ignore_ascii_case(path).then_some(value))
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<String>) {
    if lines.len() >= MOST {
        return;
    }
    let text = match value {
        Value::Object(inner) => {
            for (key, value) in inner {
                flatten(&format!("{path}.{key}"), value, lines);
            }
            return;
        }
        Value::Null => return,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    // An equals sign in a key would be taken for the end of the path.
    let path = clean::line(path, LONGEST).replace('=', "_");
    lines.push(format!("{path}={}", clean::line(&text, LONGEST)));
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(&Map::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tags(value: &Value) -> Tags {
        Tags::of(value.as_object().unwrap())
    }

    #[test]
    fn the_leaves_are_found_by_path() {
        let tags = tags(&json!({"site": "lab", "place": {"line": 3, "ok": true, "gone": null}}));
        let all: Vec<_> = tags.iter().collect();
        assert_eq!(
            all,
            [("site", "lab"), ("place.line", "3"), ("place.ok", "true")]
        );
        assert_eq!(tags.get("Place.LINE"), Some("3"));
        assert_eq!(tags.get("place"), None);
        let text = serde_json::to_string(&tags).unwrap();
        assert_eq!(text, r#"{"site":"lab","place.line":"3","place.ok":"true"}"#);
        assert_eq!(serde_json::from_str::<Tags>(&text).unwrap(), tags);
        assert!(Tags::default().is_empty());
    }

    #[test]
    fn hostile_tags_are_harmless_and_bounded() {
        let tags = tags(&json!({"a\n=b": "x\u{1b}[2J\ny=z", "c": "w".repeat(9_000)}));
        let all: Vec<_> = tags.iter().collect();
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(!all[0].1.contains(['\n', '\u{1b}']), "{all:?}");
        assert!(all[0].1.ends_with("y=z"), "{all:?}");
        assert!(all[1].1.chars().count() <= LONGEST);
        let many = (0..9_000).map(|n| (format!("k{n}"), json!(n))).collect();
        assert_eq!(Tags::of(&many).iter().count(), MOST);
    }
}
