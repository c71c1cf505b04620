//! The inventory's projected query and its rows.
//!
//! The registry's list call stops at 1,000 devices, so the inventory is a query
//! in pages. Only what the table shows is projected, always with an alias: the
//! column name of an unaliased deep path is not documented.

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::device::DeviceRow;
use crate::domain::dialect::{Dialect, Dialects, Rule};
use crate::domain::id::DeviceId;
use crate::domain::tags::Tags;
use crate::domain::time::hub_time;
use crate::domain::twin::{Path, Section};

use super::wire::{connection, enablement, twin};

/// Devices in one page, the most that IoT Hub gives.
pub const PAGE: u32 = 1_000;
/// The longest query text that IoT Hub takes, in characters.
const MAX_TEXT: usize = 8_192;

/// Columns at most, in characters: the rest is for the condition.
const MAX_COLUMNS: usize = 4_096;

/// Which devices to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    text: String,
    /// The reported properties that are projected, in the order of their aliases.
    columns: Vec<Path>,
    dialects: Dialects,
}

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuery {
    /// Longer than 8,192 characters with the projection.
    #[error("the query has {0} characters with its columns; IoT Hub takes 8192")]
    TooLong(usize),
}

impl Query {
    /// All devices of the hub.
    #[must_use]
    pub fn all(dialects: &Dialects) -> Self {
        Self::projected(dialects, None)
    }

    /// The devices that `query` selects: a condition (`tags.site = 'lab'`), or a
    /// whole query (`SELECT * FROM devices WHERE …`), which is sent as it is
    /// and must give each row a `deviceId`.
    ///
    /// # Errors
    /// [`InvalidQuery`] when IoT Hub would refuse it for its length. What the
    /// query means is left to the hub.
    pub fn parse(query: &str, dialects: &Dialects) -> Result<Self, InvalidQuery> {
        let query = query.trim();
        let begins = |word: &str| {
            query
                .get(..word.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(word))
                && query[word.len()..].starts_with(char::is_whitespace)
        };
        if query.is_empty() {
            return Ok(Self::all(dialects));
        }
        if begins("SELECT") {
            let whole = Self {
                text: query.to_owned(),
                columns: Vec::new(),
                dialects: dialects.clone(),
            };
            return whole.checked();
        }
        let condition = if begins("WHERE") { &query[5..] } else { query };
        Self::projected(dialects, Some(condition.trim())).checked()
    }

    /// The devices for which a rule's condition holds, of all or of `devices`,
    /// read in the rule's dialect.
    ///
    /// # Errors
    /// [`InvalidQuery`] when IoT Hub would refuse it for its length.
    pub fn rule(
        rule: &Rule,
        dialects: &Dialects,
        devices: Option<&[DeviceId]>,
    ) -> Result<Self, InvalidQuery> {
        let dialects = Dialects::only(dialects.named(&rule.dialect));
        let condition = match devices {
            None => rule.condition.clone(),
            Some(devices) => {
                let ids: Vec<String> = devices.iter().map(quoted).collect();
                format!("({}) AND deviceId IN [{}]", rule.condition, ids.join(", "))
            }
        };
        Self::projected(&dialects, Some(&condition)).checked()
    }

    fn projected(dialects: &Dialects, condition: Option<&str>) -> Self {
        let (list, columns) = projection(dialects);
        let mut text = format!("SELECT {list} FROM devices");
        if let Some(condition) = condition {
            text.push_str(" WHERE ");
            text.push_str(condition);
        }
        Self {
            text,
            columns,
            dialects: dialects.clone(),
        }
    }

    fn checked(self) -> Result<Self, InvalidQuery> {
        match self.text.chars().count() {
            n if n > MAX_TEXT => Err(InvalidQuery::TooLong(n)),
            _ => Ok(self),
        }
    }

    /// The query's text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// One row of an answer read at `seen`: a projected one, or a whole twin.
    /// `None` when it names no device. A projected row holds no stamps, so of a
    /// device with the properties of several dialects the most specific counts;
    /// a read of its twin corrects that.
    #[must_use]
    pub fn row(&self, row: Value, seen: Timestamp) -> Option<DeviceRow> {
        if row.get("properties").is_some() {
            let twin = twin(row).ok()?;
            return Some(DeviceRow::from_twin(&twin, &self.dialects, seen));
        }
        let mut reported = Section::default();
        for (n, path) in self.columns.iter().enumerate() {
            if let Some(value) = row.get(alias(n)).filter(|value| !value.is_null()) {
                reported.put(path, value.clone());
            }
        }
        let text = |key: &str| row.get(key).and_then(Value::as_str);
        let dialect = self.dialects.choose(&reported, None).dialect;
        let reading = dialect.read(&reported);
        Some(DeviceRow {
            device_id: DeviceId::parse(text("deviceId")?).ok()?,
            connection: connection(text("connectionState")),
            status: enablement(text("status")),
            last_activity: text("lastActivityTime").and_then(hub_time),
            firmware: reading.version.map(|v| v.text),
            phase: reading.value.is_some().then_some(reading.phase),
            reported_status: reading.value,
            last_update: reading.end.map(|e| e.text),
            tags: row
                .get("tags")
                .and_then(Value::as_object)
                .map(Tags::of)
                .unwrap_or_default(),
            seen,
        })
    }
}

/// The name of a column, always given: that of an unaliased deep path is not
/// documented.
fn alias(n: usize) -> String {
    format!("p{n}")
}

/// The columns as text, and the reported properties among them: each once,
/// though several dialects may have it.
fn projection(dialects: &Dialects) -> (String, Vec<Path>) {
    let mut text = "deviceId, status, connectionState, lastActivityTime, tags AS tags".to_owned();
    let mut columns: Vec<Path> = Vec::new();
    for path in dialects.in_question().flat_map(Dialect::inventory_paths) {
        let column = format!(", properties.reported.{path} AS {}", alias(columns.len()));
        let fits = text.len() + column.len() <= MAX_COLUMNS;
        if fits && path.steps().all(is_name) && !columns.contains(&path) {
            text.push_str(&column);
            columns.push(path);
        }
    }
    (text, columns)
}

/// Can this stand in a path of a query as it is? What cannot is left to the
/// reading of the twin.
fn is_name(step: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    step.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && step.chars().all(word)
}

/// An id as a string of the query language. Ids hold no double quote and no
/// backslash; should one ever do, it is escaped.
fn quoted(id: &DeviceId) -> String {
    let escaped = id.as_str().replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::phase::Phase;
    use serde_json::json;

    #[test]
    fn conditions_are_projected_and_whole_queries_are_left_alone() {
        let dialects = Dialects::built_in();
        let all = Query::all(&dialects);
        assert!(all.text().starts_with(
            "SELECT deviceId, status, connectionState, lastActivityTime, tags AS tags, \
             properties.reported.firmwareStatus AS p0, "
        ));
        assert!(all.text().ends_with(" FROM devices"));
        for text in ["tags.a = 'b'", " where tags.a = 'b' "] {
            let query = Query::parse(text, &dialects).unwrap();
            assert_eq!(query.text(), format!("{} WHERE tags.a = 'b'", all.text()));
        }
        let whole = "select * from devices";
        assert_eq!(Query::parse(whole, &dialects).unwrap().text(), whole);
        assert_eq!(Query::parse(" ", &dialects).unwrap(), all);
        assert!(Query::parse(&"x".repeat(8_192), &dialects).is_err());
    }

    /// The row of a device that reports this, as the hub projects it.
    fn row_of(query: &Query, reported: Value) -> DeviceRow {
        let mut row = json!({"deviceId": "d", "connectionState": "Connected",
            "status": "enabled", "lastActivityTime": "0001-01-01T00:00:00Z"});
        let section = Section {
            values: reported.as_object().unwrap().clone(),
            ..Section::default()
        };
        for (n, path) in query.columns.iter().enumerate() {
            if let Some(value) = section.get(path) {
                row[alias(n)] = value.clone();
            }
        }
        query.row(row, Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn a_row_is_read_in_the_dialect_whose_status_it_has() {
        let query = Query::all(&Dialects::built_in());
        let row = row_of(
            &query,
            json!({"iothubDM": {"firmwareVersion": "2.0", "firmwareUpdate":
                {"status": "applyComplete", "lastFirmwareUpdate": "2017-01-01T00:00:00.000Z"}}}),
        );
        assert_eq!(row.phase, Some(Phase::Done));
        assert_eq!(row.reported_status.as_deref(), Some("applyComplete"));
        assert_eq!(row.firmware.as_deref(), Some("2.0"));
        assert_eq!(row.last_update.as_deref(), Some("2017-01-01T00:00:00.000Z"));
        assert_eq!(row.last_activity, None);
    }

    /// What else tells the phase is projected too.
    #[rstest::rstest]
    #[case(json!({"firmware": {"fwUpdateStatus": "current", "pendingFwVersion": "2"}}), Phase::Queued)]
    #[case(json!({"deviceUpdate": {"agent": {"state": 0, "lastInstallResult": {"resultCode": 700},
        "workflow": {"action": 3}}}}), Phase::Done)]
    #[case(json!({"deviceUpdate": {"agent": {"state": 0, "lastInstallResult": {"resultCode": 700},
        "workflow": {"action": 255}}}}), Phase::Idle)]
    #[case(json!({"Method": {"UpdateFirmware": {"Status": "Running",
        "Applied": {"Status": "Running"}}}}), Phase::Applying)]
    fn rows_have_the_phases_of_twins(#[case] reported: Value, #[case] phase: Phase) {
        let query = Query::all(&Dialects::built_in());
        assert_eq!(row_of(&query, reported).phase, Some(phase));
    }

    #[test]
    fn a_rule_asks_for_its_devices_in_its_dialect() {
        let dialects = Dialects::built_in();
        let rule = Rule {
            condition: "tags.a = 1 OR tags.b = 2".into(),
            dialect: "java-2017".into(),
        };
        let ids = ["a'b", "c"].map(|id| DeviceId::parse(id).unwrap());
        let query = Query::rule(&rule, &dialects, Some(&ids)).unwrap();
        assert!(
            query.text().ends_with(
                " FROM devices WHERE (tags.a = 1 OR tags.b = 2) AND deviceId IN [\"a'b\", \"c\"]"
            ),
            "{}",
            query.text()
        );
        assert!(!query.text().contains("iothubDM"), "{}", query.text());
        let all = Query::rule(&rule, &dialects, None).unwrap();
        assert!(all.text().ends_with(" WHERE tags.a = 1 OR tags.b = 2"));
    }

    #[test]
    fn a_row_without_a_device_is_none() {
        let query = Query::all(&Dialects::built_in());
        for row in [
            json!({}),
            json!({"deviceId": 7}),
            json!({"deviceId": "a/b"}),
            json!(1),
        ] {
            assert_eq!(query.row(row, Timestamp::UNIX_EPOCH), None);
        }
    }
}
