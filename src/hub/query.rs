//! The inventory's projected query and its rows.
//!
//! The registry's list call stops at 1,000 devices, so the inventory is a query
//! in pages. Only what the table shows is projected, always with an alias: the
//! column name of an unaliased deep path is not documented.

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::clean;
use crate::domain::device::DeviceRow;
use crate::domain::dialect::Dialects;
use crate::domain::id::DeviceId;
use crate::domain::time::hub_time;

use super::wire::{connection, enablement, twin};

/// Devices in one page, the most that IoT Hub gives.
pub const PAGE: u32 = 1_000;
/// The longest query text that IoT Hub takes, in characters.
const MAX_TEXT: usize = 8_192;

/// Which devices to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    text: String,
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
        Self {
            text: format!("SELECT {} FROM devices", columns(dialects)),
            dialects: dialects.clone(),
        }
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
        let text = if query.is_empty() {
            return Ok(Self::all(dialects));
        } else if begins("SELECT") {
            query.to_owned()
        } else {
            let condition = if begins("WHERE") { &query[5..] } else { query };
            let columns = columns(dialects);
            format!("SELECT {columns} FROM devices WHERE {}", condition.trim())
        };
        match text.chars().count() {
            n if n > MAX_TEXT => Err(InvalidQuery::TooLong(n)),
            _ => Ok(Self {
                text,
                dialects: dialects.clone(),
            }),
        }
    }

    /// The query's text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// One row of an answer read at `seen`: a projected one, or a whole twin.
    /// `None` when it names no device.
    #[must_use]
    pub fn row(&self, row: Value, seen: Timestamp) -> Option<DeviceRow> {
        if row.get("properties").is_some() {
            let twin = twin(row).ok()?;
            return Some(DeviceRow::from_twin(&twin, &self.dialects, seen));
        }
        let text = |key: &str| row.get(key).and_then(Value::as_str);
        let mut device = DeviceRow {
            device_id: DeviceId::parse(text("deviceId")?).ok()?,
            connection: connection(text("connectionState")),
            status: enablement(text("status")),
            last_activity: text("lastActivityTime").and_then(hub_time),
            firmware: None,
            reported_status: None,
            phase: None,
            last_update: None,
            seen,
        };
        for (n, dialect) in self.dialects.iter().enumerate() {
            let [status, version, end] = ALIASES.map(|alias| column(&row, alias, n));
            if let Some(status) = &status
                && device.reported_status.is_none()
            {
                device.phase = Some(dialect.phase_of(status));
                device.reported_status = Some(status.clone());
                device.last_update = end;
            }
            device.firmware = device.firmware.or(version);
        }
        Some(device)
    }
}

/// Aliases of [`Dialect::inventory_paths`](crate::domain::dialect::Dialect::inventory_paths),
/// in that order, each followed by the dialect's number.
const ALIASES: [&str; 3] = ["status", "version", "ended"];

fn columns(dialects: &Dialects) -> String {
    let mut columns = "deviceId, status, connectionState, lastActivityTime".to_owned();
    for (n, dialect) in dialects.iter().enumerate() {
        for (path, alias) in dialect.inventory_paths().into_iter().zip(ALIASES) {
            columns.push_str(&format!(", properties.reported.{path} AS {alias}{n}"));
        }
    }
    columns
}

fn column(row: &Value, alias: &str, n: usize) -> Option<String> {
    match row.get(format!("{alias}{n}"))? {
        Value::Null => None,
        Value::String(text) => Some(clean::bounded_text(text)),
        other => Some(clean::bounded_text(&clean::bounded(other).to_string())),
    }
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
            "SELECT deviceId, status, connectionState, lastActivityTime, \
             properties.reported.firmwareStatus AS status0, "
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

    #[test]
    fn a_row_is_read_in_the_dialect_whose_status_it_has() {
        let query = Query::all(&Dialects::built_in());
        let row = json!({"deviceId": "d", "connectionState": "Connected", "status": "enabled",
            "lastActivityTime": "0001-01-01T00:00:00Z", "status1": "applyComplete",
            "version1": "2.0", "ended1": "2017-01-01T00:00:00.000Z"});
        let row = query.row(row, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(row.phase, Some(Phase::Done));
        assert_eq!(row.reported_status.as_deref(), Some("applyComplete"));
        assert_eq!(row.firmware.as_deref(), Some("2.0"));
        assert_eq!(row.last_update.as_deref(), Some("2017-01-01T00:00:00.000Z"));
        assert_eq!(row.last_activity, None);
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
