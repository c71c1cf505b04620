//! The journal's thread: the only owner of the connection. Does one job after
//! another; what a device's lease allows is said by [`lease`], what was written
//! down is found by [`read`], what is old is removed by [`tidy`].

use std::any::Any;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params,
};
use tokio::sync::mpsc;

use crate::domain::event::{Event, What};
use crate::domain::holding::Claim;
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::uri::PackageUri;

use super::secrets::Secrets;
use super::{Holder, Job, JournalError, Receipt, history, lease, read, schema, tidy};

/// All that the thread owns.
pub(super) struct Store {
    pub(super) connection: Connection,
    pub(super) secrets: Secrets,
    /// How long ended updates are kept; for ever without it.
    pub(super) keep: Option<SignedDuration>,
    /// The file, while the journal is one.
    pub(super) file: Option<OpenFile>,
}

/// The file that was opened.
pub(super) struct OpenFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl OpenFile {
    pub(super) fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            identity: identity(path),
        }
    }

    /// SQLite would go on writing to a file that nobody finds any more.
    fn refuse_another(&self) -> Result<(), JournalError> {
        if identity(&self.path) == self.identity {
            return Ok(());
        }
        Err(JournalError::Failed(format!(
            "{} was moved, deleted or replaced while it was open; put it back, or start otadeck anew",
            self.path.display()
        )))
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Does jobs until all handles are gone.
pub(super) fn run(mut store: Store, holder: &Holder, mut jobs: mpsc::Receiver<Job>) {
    let mut pulse = lease::Pulse::new();
    while let Some(job) = pulse.job(&store.connection, holder, &mut jobs) {
        // A caller that is gone needs no answer.
        match job {
            Job::Intend {
                event,
                package,
                claim,
                reply,
            } => {
                let _ = reply.send(store.intend(holder, &event, package.as_ref(), &claim));
            }
            Job::Record(events, reply) => {
                let _ = reply.send(store.record(&events));
                crate::rehearsal::panic_at("journal");
            }
            Job::Dispatch(events, reply) => {
                let there = store.refuse_another_file();
                let receipt = there.and_then(|()| dispatch(&mut store.connection, holder, &events));
                let _ = reply.send(receipt);
            }
            Job::Refuse(hub, device, reply) => {
                let _ = reply.send(lease::refuse(&store.connection, &hub, &device));
            }
            Job::Later(hub, device, update, reply) => {
                let _ = reply.send(read::later(&store.connection, &hub, &device, &update));
            }
            Job::Leave(reply) => {
                let _ = reply.send(lease::leave(&store.connection, holder));
            }
            Job::Adopt(update, reply) => {
                let there = store.refuse_another_file();
                let adopted =
                    there.and_then(|()| lease::adopt(&mut store.connection, holder, &update));
                let _ = reply.send(adopted);
            }
            Job::Open(hub, reply) => {
                let _ = reply.send(read::open_updates(&store.connection, &hub));
            }
            Job::Past(hub, reply) => {
                let _ = reply.send(read::past_updates(&store.connection, &hub));
            }
            Job::Recent(hub, reply) => {
                let _ = reply.send(read::recent_uris(&store.connection, &store.secrets, &hub));
            }
            Job::Check(reply) => {
                let _ = reply.send(tidy::check(&store.connection));
            }
            Job::Tidy(reply) => {
                let _ = reply.send(tidy::tidy(&mut store, Timestamp::now()));
            }
            Job::History(hub, ask, reply) => {
                let _ = reply.send(history::answer(&store.connection, &hub, &ask));
            }
        }
    }
}

/// Something that SQLite or the reading of an event complains of.
pub(super) fn failed(error: impl std::fmt::Display + 'static) -> JournalError {
    let any: &dyn Any = &error;
    let code = any
        .downcast_ref::<rusqlite::Error>()
        .and_then(rusqlite::Error::sqlite_error_code);
    match code {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            JournalError::Damaged(error.to_string())
        }
        _ => JournalError::Failed(error.to_string()),
    }
}

/// An event that stands in the journal and cannot be read.
pub(super) fn unreadable(update: &str, error: &serde_json::Error) -> JournalError {
    JournalError::Damaged(format!(
        "an event of the update {update} is unreadable: {error}"
    ))
}

/// A transaction that will write. What a decision depends on is on the disk
/// when it commits; observations may be lost with the power, not with the
/// process. Without a write-ahead log a lost write could spoil the file, so
/// there each is waited for.
pub(super) fn begin(connection: &mut Connection, sync: bool) -> rusqlite::Result<Transaction<'_>> {
    level(connection, sync)?;
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Says how the next write is waited for, as [`begin`] has it.
pub(super) fn level(connection: &Connection, sync: bool) -> rusqlite::Result<()> {
    let lazy = !sync && schema::mode(connection)? == "wal";
    let level = if lazy { "NORMAL" } else { "FULL" };
    connection.pragma_update(None, "synchronous", level)
}

impl Store {
    fn refuse_another_file(&self) -> Result<(), JournalError> {
        self.file.as_ref().map_or(Ok(()), OpenFile::refuse_another)
    }

    /// Writes an intent down. What is secret of its package is in its file before
    /// that, and is not left there when it fails.
    fn intend(
        &mut self,
        holder: &Holder,
        event: &Event,
        uri: Option<&PackageUri>,
        claim: &Claim,
    ) -> Result<Receipt, JournalError> {
        self.refuse_another_file()?;
        let transaction = begin(&mut self.connection, true).map_err(failed)?;
        let kept = match uri {
            Some(uri) => self.secrets.keep(uri).map_err(|e| {
                failed(format!(
                    "the signature of the package cannot be kept beside it: {e}"
                ))
            })?,
            None => None,
        };
        let receipt = intend(transaction, holder, event, claim);
        if let (Err(_), Some(name)) = (&receipt, kept) {
            self.forget_unless_needed(&name);
        }
        // What was taken over has ended, and its secret with it.
        if *claim != Claim::Free
            && let Err(error) = tidy::sweep(self)
        {
            not_forgotten(&error);
        }
        receipt
    }

    fn record(&mut self, events: &[Event]) -> Result<(), JournalError> {
        self.refuse_another_file()?;
        record(&mut self.connection, events)?;
        for event in events {
            if let (What::Verdict { .. }, Some(update)) = (&event.what, &event.update_id)
                && let Ok(Some(name)) = read::uri_sha256(&self.connection, update)
                && self.secrets.holds(&name)
            {
                self.forget_unless_needed(&name);
            }
        }
        Ok(())
    }

    /// Removes a secret, unless an open update needs it. What cannot be removed
    /// now is swept up at the next start.
    fn forget_unless_needed(&mut self, name: &str) {
        let forgotten = begin(&mut self.connection, false).map_err(failed);
        let forgotten = forgotten.and_then(|transaction| {
            if !read::open_secrets(&transaction)?.contains(name) {
                self.secrets.forget(name).map_err(failed)?;
            }
            transaction.commit().map_err(failed)
        });
        if let Err(error) = forgotten {
            not_forgotten(&error);
        }
    }
}

fn not_forgotten(error: &JournalError) {
    tracing::warn!("a signature that is not needed any more is still there: {error}");
}

fn intend(
    transaction: Transaction<'_>,
    holder: &Holder,
    event: &Event,
    claim: &Claim,
) -> Result<Receipt, JournalError> {
    let (What::Intended(intent), Some(device), Some(update)) =
        (&event.what, &event.device_id, &event.update_id)
    else {
        return Err(failed("an intent without a device or an update"));
    };
    let took_over = match claim {
        Claim::Free => {
            lease::refuse(&transaction, &intent.hub, device)?;
            Vec::new()
        }
        Claim::Over(shown) => {
            lease::refuse_another(&transaction, &intent.hub, device, shown)?;
            lease::take_over(&transaction, &intent.hub, device, event)?
        }
        Claim::Whatever => lease::take_over(&transaction, &intent.hub, device, event)?,
    };
    lease::take(
        &transaction,
        holder,
        &intent.hub,
        device,
        update,
        event.time,
    )?;
    append(&transaction, &intent.hub, event)?;
    for holding in &took_over {
        let holding = Box::new(holding.clone());
        let what = What::TookOver { holding };
        let told = Event::update(event.time, device.clone(), update.clone(), what);
        append(&transaction, &intent.hub, &told)?;
    }
    transaction.commit().map_err(failed)?;
    Ok(Receipt {
        device: device.clone(),
        update: update.clone(),
        payload_sha256: intent.payload_sha256.clone().unwrap_or_default(),
        took_over,
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
                took_over: Vec::new(),
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
/// what contradicts it, and what is said of its tag, which goes back then.
fn follow(
    transaction: &Transaction<'_>,
    hub: &str,
    update: &UpdateId,
    event: &Event,
) -> Result<(), JournalError> {
    if !matches!(event.what, What::Contradicted { .. } | What::Tag { .. }) {
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
                // As many digits for each, so that texts sort as times do.
                format!("{:.3}", event.time),
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
