//! Who may work on a device: one process at a time, and nobody anew while an
//! earlier update of the device has no verdict.
//!
//! ```text
//!            intend                 verdict
//!  free ──────────────► held ─────────────────────────────► free
//!                        │ ▲
//!      its process ended │ │ adopt (watches on, sends nothing)
//!                        ▼ │
//!                       open ─── take over, typed by somebody ──► held by the new update
//! ```
//!
//! A lease says who watches an update and may send its order. What keeps a device
//! from being started twice is the open update itself: only a verdict frees it,
//! and an outcome is final. Taking over writes that verdict, `givenUp`, in the
//! transaction of the new intent, so there is no moment with two or with none.
//! Whoever typed it in the console was shown an update, and takes over from no
//! other ([`refuse_another`]).
//! The process that was taken over from learns it with the next thing that it
//! writes, a remark about a tag apart, and must write before each order that it
//! sends ([`may_dispatch`]).
//!
//! While any lease is held the journal's thread gives a sign of life ([`Pulse`]),
//! for processes that cannot look this one up. The rest of the time it sleeps.

use std::time::Instant;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio::sync::mpsc;

use crate::domain::clean;
use crate::domain::event::{Event, What};
use crate::domain::holding::Holding;
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::update::{Outcome, Update};
use crate::domain::uri;

use super::holder::BEAT;
use super::writer::{append, begin, failed, level};
use super::{Adopted, Holder, Job, JournalError};

/// What the second schema adds: where a holder's process number counts, its
/// heartbeat, and that an outcome is final whoever writes.
pub(super) const STEP: &str = "
ALTER TABLE lease ADD COLUMN place TEXT NOT NULL DEFAULT '';
ALTER TABLE lease ADD COLUMN beat TEXT NOT NULL DEFAULT '';
CREATE INDEX lease_by_update ON lease (update_id);
CREATE TRIGGER an_outcome_is_final BEFORE INSERT ON event
    WHEN NEW.kind = 'update.verdict' AND EXISTS
        (SELECT 1 FROM event WHERE update_id = NEW.update_id AND kind = 'update.verdict')
    BEGIN SELECT RAISE(ABORT, 'an outcome is final'); END;
";

/// Updates of a device without a verdict, newest first.
const OPEN: &str = "SELECT e.update_id FROM event e
     WHERE e.hub = ?1 AND e.device_id = ?2 AND e.kind = 'update.intended' AND NOT EXISTS
       (SELECT 1 FROM event v WHERE v.update_id = e.update_id AND v.kind = 'update.verdict')
     ORDER BY e.id DESC";

/// Refuses when a living process holds the device, or when an earlier update of
/// it has no verdict: nobody knows what became of it.
pub(super) fn refuse(
    connection: &Connection,
    hub: &str,
    device: &DeviceId,
) -> Result<(), JournalError> {
    refuse_unless(connection, hub, device, |_| false)
}

/// The same, but the update `shown` may have the device: it is to be taken over.
pub(super) fn refuse_another(
    connection: &Connection,
    hub: &str,
    device: &DeviceId,
    shown: &UpdateId,
) -> Result<(), JournalError> {
    refuse_unless(connection, hub, device, |update| update == shown)
}

fn refuse_unless(
    connection: &Connection,
    hub: &str,
    device: &DeviceId,
    may: impl Fn(&UpdateId) -> bool,
) -> Result<(), JournalError> {
    if let Some((update, held)) = held(connection, hub, device)?
        && held.lives(Timestamp::now())
        && !may(&update)
    {
        return Err(busy(connection, device, &update, &held));
    }
    let open = open(connection, hub, device)?;
    let Some(update) = open.iter().find(|update| !may(update)) else {
        return Ok(());
    };
    Err(JournalError::Open {
        device: device.clone(),
        holding: Box::new(holding(connection, update)),
    })
}

/// Updates of a device without a verdict, newest first.
fn open(
    connection: &Connection,
    hub: &str,
    device: &DeviceId,
) -> Result<Vec<UpdateId>, JournalError> {
    let mut statement = connection.prepare(OPEN).map_err(failed)?;
    let ids = statement.query_map(params![hub, device.as_str()], |row| {
        Ok(UpdateId::from_text(&row.get::<_, String>(0)?))
    });
    ids.and_then(Iterator::collect).map_err(failed)
}

fn busy(
    connection: &Connection,
    device: &DeviceId,
    update: &UpdateId,
    held: &Holder,
) -> JournalError {
    JournalError::Busy {
        device: device.clone(),
        holding: Box::new(held_by(holding(connection, update), held)),
    }
}

/// An update that a living process holds.
fn held_by(open: Holding, held: &Holder) -> Holding {
    Holding {
        by: held.by.clone(),
        since: held.since.parse().unwrap_or(open.since),
        process: Some(held.process()),
        ..open
    }
}

/// What is written down of an update, as far as it can be read.
fn holding(connection: &Connection, update: &UpdateId) -> Holding {
    let events = events(connection, update).unwrap_or_default();
    let (intent, rest) = match events.split_first() {
        Some((Ok(intent), rest)) => (Update::intended(intent), rest),
        _ => (None, &[][..]),
    };
    match intent {
        Some(mut known) => {
            rest.iter().flatten().for_each(|event| known.apply(event));
            Holding::of(&known)
        }
        None => Holding {
            by: "somebody (what was written down of it is unreadable)".to_owned(),
            since: Timestamp::UNIX_EPOCH,
            process: None,
            update_id: update.clone(),
            uri: None,
            doing: "unknown".to_owned(),
            percent: None,
            written: Timestamp::UNIX_EPOCH,
        },
    }
}

/// The events of an update in their order, each read or not.
pub(super) fn events(
    connection: &Connection,
    update: &UpdateId,
) -> rusqlite::Result<Vec<Result<Event, serde_json::Error>>> {
    let mut statement =
        connection.prepare_cached("SELECT body FROM event WHERE update_id = ?1 ORDER BY id")?;
    let rows = statement.query_map([update.as_str()], |row| row.get::<_, String>(0))?;
    rows.map(|body| body.map(|body| serde_json::from_str(&body)))
        .collect()
}

/// All that is held, of all hubs.
pub(super) fn all(connection: &Connection) -> Result<Vec<Holder>, JournalError> {
    let query = "SELECT update_id, by, host, pid, started, since, place, beat FROM lease";
    let mut statement = connection.prepare(query).map_err(failed)?;
    let rows = statement.query_map([], |row| Ok(read(row)?.1));
    rows.and_then(Iterator::collect).map_err(failed)
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<(UpdateId, Holder)> {
    let holder = Holder {
        by: row.get(1)?,
        host: row.get(2)?,
        pid: row.get(3)?,
        started: row.get(4)?,
        since: row.get(5)?,
        place: row.get(6)?,
        beat: row.get(7)?,
    };
    Ok((UpdateId::from_text(&row.get::<_, String>(0)?), holder))
}

fn held(
    connection: &Connection,
    hub: &str,
    device: &DeviceId,
) -> Result<Option<(UpdateId, Holder)>, JournalError> {
    let query = "SELECT update_id, by, host, pid, started, since, place, beat FROM lease
        WHERE hub = ?1 AND device_id = ?2";
    connection
        .query_row(query, params![hub, device.as_str()], read)
        .optional()
        .map_err(failed)
}

/// Writes the device's lease; whoever had it has it no more.
pub(super) fn take(
    transaction: &Transaction<'_>,
    holder: &Holder,
    hub: &str,
    device: &DeviceId,
    update: &UpdateId,
    since: Timestamp,
) -> Result<(), JournalError> {
    transaction
        .execute(
            "INSERT OR REPLACE INTO lease
             (hub, device_id, update_id, by, host, pid, started, since, place, beat)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                hub,
                device.as_str(),
                update.as_str(),
                holder.by,
                holder.host,
                holder.pid,
                holder.started,
                since.to_string(),
                holder.place,
                Timestamp::now().to_string(),
            ],
        )
        .map_err(failed)?;
    Ok(())
}

/// Ends what is open of a device, because somebody has typed that the new update
/// `by` them takes it over; gives what that was, as it stood.
pub(super) fn take_over(
    transaction: &Transaction<'_>,
    hub: &str,
    device: &DeviceId,
    intended: &Event,
) -> Result<Vec<Holding>, JournalError> {
    let What::Intended(intent) = &intended.what else {
        return Ok(Vec::new());
    };
    let package = intent
        .uri
        .as_deref()
        .map_or("another order", uri::last_part);
    let reason = format!(
        "given up: {} took {device} over at {:.0} with {package}; the device may go on by itself",
        intent.by, intended.time
    );
    let held = held(transaction, hub, device)?;
    let held = held.filter(|(_, held)| held.lives(Timestamp::now()));
    let mut ended = Vec::new();
    for update in open(transaction, hub, device)? {
        let stood = holding(transaction, &update);
        ended.push(match &held {
            Some((of, held)) if *of == update => held_by(stood, held),
            _ => stood,
        });
        let what = What::Verdict {
            outcome: Outcome::GivenUp,
            reason: reason.clone(),
            evidence: None,
            reported: serde_json::Value::Null,
            problem: None,
        };
        let verdict = Event::update(intended.time, device.clone(), update, what);
        append(transaction, hub, &verdict)?;
    }
    Ok(ended)
}

/// Takes over the watching of an open update whose process is gone; gives its
/// events, as far as they can be read.
pub(super) fn adopt(
    connection: &mut Connection,
    holder: &Holder,
    update: &UpdateId,
) -> Result<Adopted, JournalError> {
    let transaction = begin(connection, true).map_err(failed)?;
    refuse_over(&transaction, update)?;
    let all = events(&transaction, update).map_err(failed)?;
    let count = all.len();
    let events: Vec<Event> = all.into_iter().flatten().collect();
    let intent = events.first().and_then(Update::intended);
    let Some(Update { device, intent, .. }) = intent else {
        return Err(unreadable(&transaction, update));
    };
    let held = held(&transaction, &intent.hub, &device)?;
    if let Some((of, held)) = held
        && held.lives(Timestamp::now())
        && !held.is(holder)
    {
        return Err(busy(&transaction, &device, &of, &held));
    }
    let now = Timestamp::now();
    take(&transaction, holder, &intent.hub, &device, update, now)?;
    transaction.commit().map_err(failed)?;
    Ok(Adopted {
        unreadable: count - events.len(),
        events,
    })
}

fn unreadable(connection: &Connection, update: &UpdateId) -> JournalError {
    let device = connection.query_row(
        "SELECT device_id FROM event WHERE update_id = ?1 AND kind = 'update.intended'",
        [update.as_str()],
        |row| row.get::<_, String>(0),
    );
    JournalError::Unreadable {
        update: update.clone(),
        device: clean::line(&device.unwrap_or_default(), 128),
    }
}

/// Refuses when the update has a verdict: an outcome is final.
pub(super) fn refuse_over(connection: &Connection, update: &UpdateId) -> Result<(), JournalError> {
    let verdict: Option<String> = connection
        .query_row(
            "SELECT body FROM event WHERE update_id = ?1 AND kind = 'update.verdict'",
            [update.as_str()],
            |row| row.get(0),
        )
        .optional()
        .map_err(failed)?;
    let Some(body) = verdict else { return Ok(()) };
    let verdict = serde_json::from_str(&body)
        .map_err(|e| failed(format!("the verdict of {update} is unreadable: {e}")))?;
    Err(JournalError::Over {
        verdict: Box::new(verdict),
    })
}

/// Refuses when the update is not this process's any more: its order may only be
/// sent by whoever holds the lease.
pub(super) fn may_dispatch(
    connection: &Connection,
    holder: &Holder,
    hub: &str,
    event: &Event,
) -> Result<(), JournalError> {
    let (Some(device), Some(update)) = (&event.device_id, &event.update_id) else {
        return Err(failed("an order without a device or an update"));
    };
    match held(connection, hub, device)? {
        Some((of, held)) if of == *update && held.is(holder) => Ok(()),
        Some((of, held)) => Err(busy(connection, device, &of, &held)),
        None => Err(JournalError::Open {
            device: device.clone(),
            holding: Box::new(holding(connection, update)),
        }),
    }
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

/// The leases of one process, in a statement's words; [`mine`] has the values.
const MINE: &str = "host = ?1 AND place = ?2 AND pid = ?3 AND started = ?4";

fn mine(holder: &Holder) -> [&dyn rusqlite::ToSql; 4] {
    [&holder.host, &holder.place, &holder.pid, &holder.started]
}

/// Gives all leases of this process back: it ends, its updates stay open.
pub(super) fn leave(connection: &Connection, holder: &Holder) -> Result<(), JournalError> {
    let sql = format!("DELETE FROM lease WHERE {MINE}");
    let left = connection.execute(&sql, &mine(holder)[..]);
    left.map(|_| ()).map_err(failed)
}

/// The heartbeat of this process's leases, given while it waits for jobs.
pub(super) struct Pulse {
    /// For its timer alone.
    runtime: Option<tokio::runtime::Runtime>,
    /// When the next sign is due; `None` while nothing is held.
    pub(super) next: Option<Instant>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Self {
            // Without a timer a sign is given with each job.
            runtime: runtime.enable_time().build().ok(),
            next: None,
        }
    }

    /// The next job. Meanwhile, and before it, signs of life that are due.
    pub(super) fn job(
        &mut self,
        connection: &Connection,
        holder: &Holder,
        jobs: &mut mpsc::Receiver<Job>,
    ) -> Option<Job> {
        self.look(connection, holder);
        loop {
            let job = match (&self.runtime, self.next) {
                (Some(runtime), Some(next)) => runtime.block_on(async {
                    let wait = next.saturating_duration_since(Instant::now());
                    tokio::time::timeout(wait, jobs.recv()).await.ok()
                }),
                _ => Some(jobs.blocking_recv()),
            };
            if self.next.is_some_and(|next| next <= Instant::now()) {
                beat(connection, holder);
                self.next = None;
                self.look(connection, holder);
            }
            if let Some(job) = job {
                return job;
            }
        }
    }

    /// Is anything held? Only then is a sign due.
    pub(super) fn look(&mut self, connection: &Connection, holder: &Holder) {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM lease WHERE {MINE})");
        let held = connection.query_row(&sql, &mine(holder)[..], |row| row.get(0));
        self.next = match held {
            Ok(false) => None,
            // What cannot be read may be held.
            Ok(true) | Err(_) => self.next.or_else(|| Some(Instant::now() + BEAT)),
        };
    }
}

/// Gives a sign of life. One that fails is made up for by the next.
fn beat(connection: &Connection, holder: &Holder) {
    let now = Timestamp::now().to_string();
    let sql = format!("UPDATE lease SET beat = ?5 WHERE {MINE}");
    let [host, place, pid, started] = mine(holder);
    let done = level(connection, false)
        .and_then(|()| connection.execute(&sql, &[host, place, pid, started, &now][..]));
    if let Err(error) = done {
        tracing::warn!("no sign of life could be written: {error}");
    }
}
