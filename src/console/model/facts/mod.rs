//! What the twin of a device that somebody looked at has told.

pub(crate) mod tree;

use jiff::Timestamp;
use serde_json::{Map, Value};

use self::tree::{Leaf, tree};
use crate::console::text::safe;
use crate::domain::clean;
use crate::domain::dialect::Chosen;
use crate::domain::problem::Problem;
use crate::domain::twin::Twin;

/// Lines of JSON that are kept; more than anybody scrolls through.
const LINES: usize = 2_000;

/// What the twin of a device has told. The lines on screen are made once, when
/// something arrives, not at every frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// When that was read, or reported by an update; `None` when never.
    pub(crate) seen: Option<Timestamp>,
    /// The dialect that the device speaks, and how that is known.
    pub(crate) dialect: Option<Chosen>,
    /// Why the device could not be read last time.
    pub(crate) problem: Option<Problem>,
    /// Reported properties, desired ones beside them.
    pub(crate) tree: Vec<Leaf>,
    /// The whole twin as JSON, as far as it was read.
    pub(crate) json: Vec<String>,
    reported: Map<String, Value>,
    /// The reported properties before they were last seen to change.
    before: Option<Map<String, Value>>,
    desired: Map<String, Value>,
    tags: Map<String, Value>,
}

impl Facts {
    /// A twin was read.
    pub(crate) fn read(&mut self, twin: &Twin, dialect: Option<&Chosen>, time: Timestamp) {
        self.problem = None;
        self.dialect = dialect.cloned();
        self.desired = bounded(&twin.desired.values);
        self.tags = bounded(&twin.tags);
        self.now(bounded(&twin.reported.values), time);
    }

    /// An update told what its device reports, newer than the last read.
    pub(crate) fn reported(&mut self, reported: &Value, time: Timestamp) {
        let Value::Object(news) = clean::bounded(reported) else {
            return;
        };
        let mut values = self.reported.clone();
        values.extend(news);
        self.now(values, time);
    }

    fn now(&mut self, reported: Map<String, Value>, time: Timestamp) {
        if self.seen.replace(time).is_some() && reported != self.reported {
            self.before = Some(std::mem::take(&mut self.reported));
        }
        self.reported = reported;
        self.tree = tree(&self.reported, &self.desired, self.before.as_ref());
        let sections = [
            ("tags", &self.tags),
            ("desired", &self.desired),
            ("reported", &self.reported),
        ];
        let told = sections
            .into_iter()
            .filter(|(_, values)| !values.is_empty());
        let told = told.map(|(name, values)| (name.to_owned(), Value::Object(values.clone())));
        self.json = lines(&told.collect());
    }
}

fn bounded(values: &Map<String, Value>) -> Map<String, Value> {
    match clean::bounded(&Value::Object(values.clone())) {
        Value::Object(values) => values,
        _ => Map::new(),
    }
}

fn lines(values: &Map<String, Value>) -> Vec<String> {
    if values.is_empty() {
        return Vec::new();
    }
    let pretty = serde_json::to_string_pretty(values).unwrap_or_default();
    let mut lines: Vec<String> = pretty.lines().take(LINES).map(safe).collect();
    let left = pretty.lines().count().saturating_sub(LINES);
    if left > 0 {
        lines.push(format!("… ({left} more lines)"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reported_properties_merge_and_are_harmless() {
        let mut facts = Facts::default();
        facts.reported(&json!({"a": "\u{1b}[2J", "b": 1}), Timestamp::UNIX_EPOCH);
        facts.reported(&json!({"b": {"c": "\u{202e}x"}}), Timestamp::UNIX_EPOCH);
        let text = facts.json.join("\n");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
        assert!(text.contains("\"a\"") && text.contains("\"c\""), "{text}");
        let changed = facts.tree.iter().filter(|leaf| leaf.changed);
        assert_eq!(changed.map(|leaf| &*leaf.name).collect::<Vec<_>>(), ["c"]);
        // Read again with nothing new: what changed last stays marked.
        facts.reported(&json!({}), Timestamp::UNIX_EPOCH);
        assert!(facts.tree.iter().any(|leaf| leaf.changed));
    }
}
