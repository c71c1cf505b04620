//! The journal's thread: the only owner of the connection.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::mpsc;

use crate::domain::event::{Event, What};
use crate::domain::id::{DeviceId, UpdateId};

use super::{Holder, Job, JournalError, Receipt};

/// Does jobs until all handles are gone.
pub(super) fn run(mut connection: Connection, holder: &Holder, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.blocking_recv() {
        // A caller that is gone needs no answer.
        match job {
            Job::Intend(event, reply) => {
                let _ = reply.send(intend(&mut connection, holder, &event));
            }
            Job::Record(events, reply) => {
                let _ = reply.send(record(&mut connection, &events));
            }
            Job::Adopt(update, reply) => {
                let _ = reply.send(adopt(&mut connection, holder, &update));
            }
            Job::Open(hub, reply) => {
                let _ = reply.send(open_updates(&connection, &hub));
            }
            Job::Past(hub, reply) => {
                let _ = reply.send(past_updates(&connection, &hub));
            }
        }
    }
}

fn failed(error: impl std::fmt::Display) -> JournalError {
    JournalError::Failed(error.to_string())
}

/// A transaction that will write. What a decision depends on is on the disk
/// when it commits; observations may be lost with the power, not with the
/// process.
fn begin(connection: &mut Connection, sync: bool) -> rusqlite::Result<Transaction<'_>> {
    let level = if sync { "FULL" } else { "NORMAL" };
    connection.pragma_update(None, "synchronous", level)?;
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

fn intend(
    connection: &mut Connection,
    holder: &Holder,
    event: &Event,
) -> Result<Receipt, JournalError> {
    let (What::Intended(intent), Some(device), Some(update)) =
        (&event.what, &event.device_id, &event.update_id)
    else {
        return Err(failed("an intent without a device or an update"));
    };
    let transaction = begin(connection, true).map_err(failed)?;
    lease(&transaction, holder, &intent.hub, device, event, false)?;
    refuse_open(&transaction, &intent.hub, device)?;
    append(&transaction, &intent.hub, event)?;
    transaction.commit().map_err(failed)?;
    Ok(Receipt {
        device: device.clone(),
        update: update.clone(),
        payload_sha256: intent.payload_sha256.clone().unwrap_or_default(),
    })
}

/// Refuses when an earlier update of the device has no verdict: nobody knows
/// what became of it.
fn refuse_open(
    transaction: &Transaction<'_>,
    hub: &str,
    device: &DeviceId,
) -> Result<(), JournalError> {
    let open: Option<String> = transaction
        .query_row(
            "SELECT e.body FROM event e
             WHERE e.hub = ?1 AND e.device_id = ?2 AND e.kind = 'update.intended' AND NOT EXISTS
               (SELECT 1 FROM event v WHERE v.update_id = e.update_id AND v.kind = 'update.verdict')
             ORDER BY e.id DESC LIMIT 1",
            params![hub, device.as_str()],
            |row| row.get(0),
        )
        .optional()
        .map_err(failed)?;
    let Some(body) = open else {
        return Ok(());
    };
    let event: Event = serde_json::from_str(&body).map_err(failed)?;
    let by = match event.what {
        What::Intended(intent) => intent.by,
        _ => String::new(),
    };
    Err(JournalError::Open {
        device: device.clone(),
        by,
        since: event.time.to_string(),
    })
}

/// Takes the device's lease, unless a living process holds it. One that takes an
/// open update over may do so from itself.
fn lease(
    transaction: &Transaction<'_>,
    holder: &Holder,
    hub: &str,
    device: &DeviceId,
    event: &Event,
    adopts: bool,
) -> Result<(), JournalError> {
    let held = transaction
        .query_row(
            "SELECT by, host, pid, started, since FROM lease WHERE hub = ?1 AND device_id = ?2",
            params![hub, device.as_str()],
            |row| {
                Ok(Holder {
                    by: row.get(0)?,
                    host: row.get(1)?,
                    pid: row.get(2)?,
                    started: row.get(3)?,
                    since: row.get(4)?,
                })
            },
        )
        .optional()
        .map_err(failed)?;
    if let Some(held) = held
        && held.lives()
        && !(adopts && held.is(holder))
    {
        return Err(JournalError::Busy {
            device: device.clone(),
            holder: Box::new(held),
        });
    }
    transaction
        .execute(
            "INSERT OR REPLACE INTO lease VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                hub,
                device.as_str(),
                event.update_id.as_ref().map(UpdateId::as_str),
                holder.by,
                holder.host,
                holder.pid,
                holder.started,
                event.time.to_string(),
            ],
        )
        .map_err(failed)?;
    Ok(())
}

/// May it be lost with the power? The twin tells it again.
fn is_an_observation(what: &What) -> bool {
    matches!(
        what,
        What::Phase { .. } | What::State { .. } | What::Connection { .. }
    )
}

fn record(connection: &mut Connection, events: &[Event]) -> Result<(), JournalError> {
    let sync = events.iter().any(|event| !is_an_observation(&event.what));
    let transaction = begin(connection, sync).map_err(failed)?;
    for event in events {
        let Some(update) = &event.update_id else {
            continue;
        };
        let hub: Option<String> = transaction
            .query_row(
                "SELECT hub FROM event WHERE update_id = ?1 AND kind = 'update.intended'",
                [update.as_str()],
                |row| row.get(0),
            )
            .optional()
            .map_err(failed)?;
        let hub = hub.ok_or_else(|| failed(format!("no intent of the update {update}")))?;
        append(&transaction, &hub, event)?;
        if matches!(event.what, What::Verdict { .. }) {
            transaction
                .execute("DELETE FROM lease WHERE update_id = ?1", [update.as_str()])
                .map_err(failed)?;
        }
    }
    transaction.commit().map_err(failed)
}

fn append(transaction: &Transaction<'_>, hub: &str, event: &Event) -> Result<(), JournalError> {
    let body = serde_json::to_value(event).map_err(failed)?;
    transaction
        .execute(
            "INSERT INTO event (time, hub, device_id, update_id, kind, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                event.time.to_string(),
                hub,
                event.device_id.as_ref().map(DeviceId::as_str),
                event.update_id.as_ref().map(UpdateId::as_str),
                body["event"].as_str(),
                body.to_string(),
            ],
        )
        .map_err(failed)?;
    Ok(())
}

fn adopt(
    connection: &mut Connection,
    holder: &Holder,
    update: &UpdateId,
) -> Result<(), JournalError> {
    let transaction = begin(connection, true).map_err(failed)?;
    let body: String = transaction
        .query_row(
            "SELECT body FROM event WHERE update_id = ?1 AND kind = 'update.intended'",
            [update.as_str()],
            |row| row.get(0),
        )
        .map_err(failed)?;
    let event: Event = serde_json::from_str(&body).map_err(failed)?;
    if let (What::Intended(intent), Some(device)) = (&event.what, &event.device_id) {
        lease(&transaction, holder, &intent.hub, device, &event, true)?;
    }
    transaction.commit().map_err(failed)
}

fn open_updates(connection: &Connection, hub: &str) -> Result<Vec<Vec<Event>>, JournalError> {
    let mut statement = connection
        .prepare(
            "SELECT e.update_id, e.body FROM event e
             WHERE e.hub = ?1 AND NOT EXISTS
               (SELECT 1 FROM event v WHERE v.update_id = e.update_id AND v.kind = 'update.verdict')
             ORDER BY e.update_id, e.id",
        )
        .map_err(failed)?;
    by_update(&mut statement, params![hub])
}

/// Updates that are learnt from, and events of one of them.
const PAST: u32 = 100;
const PAST_EVENTS: u32 = 400;

fn past_updates(connection: &Connection, hub: &str) -> Result<Vec<Vec<Event>>, JournalError> {
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
