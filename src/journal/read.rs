//! What was written down, found again.

use rusqlite::{Connection, params};

use crate::domain::event::Event;
use crate::domain::id::UpdateId;

use super::JournalError;
use super::writer::failed;

/// Every update of `hub` without a verdict, oldest first.
pub(super) fn open_updates(
    connection: &Connection,
    hub: &str,
) -> Result<Vec<UpdateId>, JournalError> {
    let mut statement = connection
        .prepare(
            "SELECT e.update_id FROM event e
             WHERE e.hub = ?1 AND e.kind = 'update.intended' AND NOT EXISTS
               (SELECT 1 FROM event v WHERE v.update_id = e.update_id AND v.kind = 'update.verdict')
             ORDER BY e.id",
        )
        .map_err(failed)?;
    let ids = statement.query_map(params![hub], |row| row.get::<_, String>(0));
    let ids = ids.map_err(failed)?;
    ids.map(|id| Ok(UpdateId::from_text(&id.map_err(failed)?)))
        .collect()
}

/// Updates that are learnt from, and events of one of them.
const PAST: u32 = 100;
const PAST_EVENTS: u32 = 400;

/// What the newest completed updates of `hub` reported, from their intents on.
pub(super) fn past_updates(
    connection: &Connection,
    hub: &str,
) -> Result<Vec<Vec<Event>>, JournalError> {
    let mut statement = connection
        .prepare(
            "WITH past AS (
               SELECT update_id FROM event
               WHERE hub = ?1 AND kind = 'update.verdict' AND body ->> '$.outcome' = 'completed'
               ORDER BY id DESC LIMIT ?2),
             told AS (
               SELECT e.id, e.update_id, e.body,
                      count(*) OVER (PARTITION BY e.update_id) AS places
               FROM event e JOIN past ON past.update_id = e.update_id)
             SELECT update_id, body FROM told WHERE places <= ?3 ORDER BY update_id, id",
        )
        .map_err(failed)?;
    by_update(&mut statement, params![hub, PAST, PAST_EVENTS])
}

/// Rows of update and event, the updates' events together.
fn by_update(
    statement: &mut rusqlite::Statement<'_>,
    params: &[&dyn rusqlite::ToSql],
) -> Result<Vec<Vec<Event>>, JournalError> {
    let rows = statement
        .query_map(params, |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })
        .map_err(failed)?;
    let mut updates: Vec<(String, Vec<Event>)> = Vec::new();
    for row in rows {
        let (id, body) = row.map_err(failed)?;
        let event = serde_json::from_str(&body)
            .map_err(|e| failed(format!("an event of {id} is unreadable: {e}")))?;
        match updates.last_mut() {
            Some((last, events)) if *last == id => events.push(event),
            _ => updates.push((id, vec![event])),
        }
    }
    Ok(updates.into_iter().map(|(_, events)| events).collect())
}
