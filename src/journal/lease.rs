//! Who may work on a device: one process at a time, and nobody anew while an
//! earlier update of the device has no verdict.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::domain::event::{Event, What};
use crate::domain::id::{DeviceId, UpdateId};

use super::writer::{begin, failed};
use super::{Holder, JournalError};

/// Refuses when an earlier update of the device has no verdict: nobody knows
/// what became of it.
pub(super) fn refuse_open(
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
pub(super) fn take(
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

/// Takes over the lease of an open update whose process is gone.
pub(super) fn adopt(
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
        take(&transaction, holder, &intent.hub, device, &event, true)?;
    }
    transaction.commit().map_err(failed)
}

/// Gives the lease of an update back.
pub(super) fn give_back(
    transaction: &Transaction<'_>,
    update: &UpdateId,
) -> Result<(), JournalError> {
    transaction
        .execute("DELETE FROM lease WHERE update_id = ?1", [update.as_str()])
        .map_err(failed)?;
    Ok(())
}
