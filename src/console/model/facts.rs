//! What the twin of a device that somebody looked at has told.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::console::text::safe;
use crate::domain::clean;
use crate::domain::dialect::Chosen;
use crate::domain::problem::Problem;
use crate::domain::twin::Twin;

/// Lines of reported properties that are kept; more than anybody scrolls
/// through.
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
    /// The reported properties as lines of harmless text.
    pub(crate) lines: Vec<String>,
    values: Map<String, Value>,
}

impl Facts {
    /// A twin was read.
    pub(crate) fn read(&mut self, twin: &Twin, dialect: Option<&Chosen>, time: Timestamp) {
        self.seen = Some(time);
        self.problem = None;
        self.dialect = dialect.cloned();
        self.values = match clean::bounded(&Value::Object(twin.reported.values.clone())) {
            Value::Object(values) => values,
            _ => Map::new(),
        };
        self.lines = lines(&self.values);
    }

    /// An update told what its device reports, newer than the last read.
    pub(crate) fn reported(&mut self, reported: &Value, time: Timestamp) {
        let Value::Object(news) = clean::bounded(reported) else {
            return;
        };
        self.seen = Some(time);
        self.values.extend(news);
        self.lines = lines(&self.values);
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
        let text = facts.lines.join("\n");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
        assert!(text.contains("\"a\"") && text.contains("\"c\""), "{text}");
    }
}
