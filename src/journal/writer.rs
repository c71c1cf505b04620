//! The journal's thread: the only owner of the connection. Does one job after
//! another; what a device's lease allows is said by [`lease`], what was written
//! down is found by [`read`].

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::mpsc;

use crate::domain::event::{Event, What};
use crate::domain::id::{DeviceId, UpdateId};

use super::{Holder, Job, JournalError, Receipt, history, lease, read};

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
                crate::rehearsal::panic_at("journal");
            }
            Job::Adopt(update, reply) => {
                let _ = reply.send(lease::adopt(&mut connection, holder, &update));
            }
            Job::Open(hub, reply) => {
                let _ = reply.send(read::open_updates(&connection, &hub));
            }
            Job::Past(hub, reply) => {
                let _ = reply.send(read::past_updates(&connection, &hub));
            }
            Job::History(hub, ask, reply) => {
                let _ = reply.send(history::answer(&connection, &hub, &ask));
            }
        }
    }
}

pub(super) fn failed(error: impl std::fmt::Display) -> JournalError {
    JournalError::Failed(error.to_string())
}

/// A transaction that will write. What a decision depends on is on the disk
/// when it commits; observations may be lost with the power, not with the
/// process.
pub(super) fn begin(connection: &mut Connection, sync: bool) -> rusqlite::Result<Transaction<'_>> {
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
    lease::take(&transaction, holder, &intent.hub, device, event, false)?;
    lease::refuse_open(&transaction, &intent.hub, device)?;
    append(&transaction, &intent.hub, event)?;
    transaction.commit().map_err(failed)?;
    Ok(Receipt {
        device: device.clone(),
        update: update.clone(),
        payload_sha256: intent.payload_sha256.clone().unwrap_or_default(),
    })
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
            lease::give_back(&transaction, update)?;
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
