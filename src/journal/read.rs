//! What was written down, found again.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::event::Event;
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::uri::PackageUri;

use super::JournalError;
use super::secrets::Secrets;
use super::writer::{failed, unreadable};

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

/// Was another update of the device begun after `update`?
pub(super) fn later(
    connection: &Connection,
    hub: &str,
    device: &DeviceId,
    update: &UpdateId,
) -> Result<bool, JournalError> {
    let query = "SELECT EXISTS (SELECT 1 FROM event
        WHERE hub = ?1 AND device_id = ?2 AND kind = 'update.intended' AND id >
          (SELECT max(id) FROM event WHERE update_id = ?3 AND kind = 'update.intended'))";
    let values = params![hub, device.as_str(), update.as_str()];
    let found = connection.query_row(query, values, |row| row.get(0));
    found.map_err(failed)
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

/// Intents that are looked through for packages, and packages that are wanted.
const RECENT_INTENTS: u32 = 100;
const RECENT: usize = 9;

/// The packages of the newest updates of `hub`, each once, newest first, as far
/// as they can be sent again: a signed one while an update that got it is open.
pub(super) fn recent_uris(
    connection: &Connection,
    secrets: &Secrets,
    hub: &str,
) -> Result<Vec<PackageUri>, JournalError> {
    let mut statement = connection
        .prepare(
            "SELECT body ->> '$.uri', body ->> '$.uriSha256' FROM event
             WHERE hub = ?1 AND kind = 'update.intended' AND body ->> '$.uri' IS NOT NULL
             ORDER BY id DESC LIMIT ?2",
        )
        .map_err(failed)?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let rows = statement.query_map(params![hub, RECENT_INTENTS], row);
    let mut found: Vec<PackageUri> = Vec::new();
    for row in rows.map_err(failed)? {
        let (redacted, sha256): (String, Option<String>) = row.map_err(failed)?;
        let whole = sha256.and_then(|name| secrets.find(&name));
        let plain = || PackageUri::parse(&redacted).ok();
        let uri = whole.or_else(|| plain().filter(|uri| !uri.holds_secrets()));
        if let Some(uri) = uri.filter(|uri| !found.contains(uri)) {
            found.push(uri);
        }
        if found.len() == RECENT {
            break;
        }
    }
    Ok(found)
}

/// The hash of an update's URI.
pub(super) fn uri_sha256(
    connection: &Connection,
    update: &UpdateId,
) -> Result<Option<String>, JournalError> {
    let name = connection.query_row(
        "SELECT body ->> '$.uriSha256' FROM event
         WHERE update_id = ?1 AND kind = 'update.intended'",
        [update.as_str()],
        |row| row.get(0),
    );
    Ok(name.optional().map_err(failed)?.flatten())
}

/// The hashes of the URIs of all open updates, of whatever hub.
pub(super) fn open_secrets(connection: &Connection) -> Result<BTreeSet<String>, JournalError> {
    let mut statement = connection
        .prepare(
            "SELECT i.body ->> '$.uriSha256' FROM event i
             WHERE i.kind = 'update.intended' AND i.body ->> '$.uriSha256' IS NOT NULL
               AND NOT EXISTS
               (SELECT 1 FROM event v WHERE v.update_id = i.update_id AND v.kind = 'update.verdict')",
        )
        .map_err(failed)?;
    let names = statement.query_map([], |row| row.get(0)).map_err(failed)?;
    names.collect::<Result<_, _>>().map_err(failed)
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
        let event = serde_json::from_str(&body).map_err(|e| unreadable(&id, &e))?;
        match updates.last_mut() {
            Some((last, events)) if *last == id => events.push(event),
            _ => updates.push((id, vec![event])),
        }
    }
    Ok(updates.into_iter().map(|(_, events)| events).collect())
}
