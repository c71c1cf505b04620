//! The journal's thread: the only owner of the connection. Does one job after
//! another; what a device's lease allows is said by [`lease`], what was written
//! down is found by [`read`].

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::mpsc;

use crate::domain::event::{Event, What};
use crate::domain::id::{DeviceId, UpdateId};

use super::{Holder, Job, JournalError, Receipt, lease, read};

/// Does jobs until all handles are gone.
pub(super) fn run(mut connection: Connection, holder: &Holder, mut jobs: mpsc::Receiver<Job>) {
    let mut pulse = lease::Pulse::new();
    while let Some(job) = pulse.job(&connection, holder, &mut jobs) {
        // A caller that is gone needs no answer.
        match job {
            Job::Intend(event, reply) => {
                let _ = reply.send(intend(&mut connection, holder, &event, false));
            }
            Job::TakeOver(event, reply) => {
                let _ = reply.send(intend(&mut connection, holder, &event, true));
            }
            Job::Dispatch(events, reply) => {
                let _ = reply.send(dispatch(&mut connection, holder, &events));
            }
            Job::Refuse(hub, device, reply) => {
                let _ = reply.send(lease::refuse(&connection, &hub, &device));
            }
            Job::Leave(reply) => {
                let _ = reply.send(lease::leave(&connection, holder));
            }
            Job::Record(events, reply) => {
                let _ = reply.send(record(&mut connection, &events));
            }
            Job::Adopt(update, reply) => {
                let adopted = lease::adopt(&mut connection, holder, &update);
                let _ = reply.send(adopted);
            }
            Job::Open(hub, reply) => {
                let _ = reply.send(read::open_updates(&connection, &hub));
            }
            Job::Past(hub, reply) => {
                let _ = reply.send(read::past_updates(&connection, &hub));
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
    forced: bool,
) -> Result<Receipt, JournalError> {
    let (What::Intended(intent), Some(device), Some(update)) =
        (&event.what, &event.device_id, &event.update_id)
    else {
        return Err(failed("an intent without a device or an update"));
    };
    let transaction = begin(connection, true).map_err(failed)?;
    if forced {
        lease::take_over(&transaction, &intent.hub, device, event)?;
    } else {
        lease::refuse(&transaction, &intent.hub, device)?;
    }
    lease::take(
        &transaction,
        holder,
        &intent.hub,
        device,
        update,
        event.time,
    )?;
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
        let (hub, _) = intent_of(&transaction, update)?;
        follow(&transaction, &hub, update, event)?;
    }
    transaction.commit().map_err(failed)
}

/// Commits that an order goes out now, if its update is still open and this
/// process's; only then there is a receipt.
fn dispatch(
    connection: &mut Connection,
    holder: &Holder,
    events: &[Event],
) -> Result<Receipt, JournalError> {
    let transaction = begin(connection, true).map_err(failed)?;
    let mut receipt = Err(failed("nothing was to be invoked"));
    for event in events {
        let (Some(update), Some(device)) = (&event.update_id, &event.device_id) else {
            continue;
        };
        let (hub, payload) = intent_of(&transaction, update)?;
        follow(&transaction, &hub, update, event)?;
        if matches!(event.what, What::Invoked { .. }) {
            lease::may_dispatch(&transaction, holder, &hub, event)?;
            receipt = Ok(Receipt {
                device: device.clone(),
                update: update.clone(),
                payload_sha256: payload.unwrap_or_default(),
            });
        }
    }
    let receipt = receipt?;
    transaction.commit().map_err(failed)?;
    Ok(receipt)
}

/// The hub of an update, and the hash of the payload that was intended.
fn intent_of(
    transaction: &Transaction<'_>,
    update: &UpdateId,
) -> Result<(String, Option<String>), JournalError> {
    transaction
        .query_row(
            "SELECT hub, body ->> '$.payloadSha256' FROM event
             WHERE update_id = ?1 AND kind = 'update.intended'",
            [update.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
        .map_err(failed)?
        .ok_or_else(|| failed(format!("no intent of the update {update}")))
}

/// Appends what followed the intent of an update. After a verdict that is only
/// what contradicts it.
fn follow(
    transaction: &Transaction<'_>,
    hub: &str,
    update: &UpdateId,
    event: &Event,
) -> Result<(), JournalError> {
    if !matches!(event.what, What::Contradicted { .. }) {
        lease::refuse_over(transaction, update)?;
    }
    append(transaction, hub, event)?;
    if matches!(event.what, What::Verdict { .. }) {
        lease::give_back(transaction, update)?;
    }
    Ok(())
}

pub(super) fn append(
    transaction: &Transaction<'_>,
    hub: &str,
    event: &Event,
) -> Result<(), JournalError> {
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
