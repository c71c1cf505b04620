//! What was intended, done and seen, in SQLite, so that it survives anything.
//!
//! One append-only table of [`Event`]s, written by a
//! thread of its own, and a table of leases: who works on which device. An intent
//! is committed to the disk before anything is sent; only that commit makes a
//! [`Receipt`], and only with a receipt does the engine's gate give leave to
//! write to a hub.
//!
//! ```sql
//! event(id, time, hub, device_id, update_id, kind, body)    -- body: the event as JSON
//! lease(hub, device_id, update_id, holder…, since, beat)    -- one a device
//! updates, timeline                                         -- views for people
//! ```
//!
//! The file is readable with any SQLite tool, and only by its owner or, in a folder
//! that several operators share, by its group: see [`Place`]. The whole URI of a
//! signed package is not in it, but in a file of its own while its update is open.

mod exam;
mod history;
mod holder;
mod lease;
mod place;
mod read;
mod schema;
mod secrets;
mod tidy;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::SignedDuration;
use tokio::sync::{mpsc, oneshot};

use crate::domain::clean;
use crate::domain::event::{Event, What};
use crate::domain::history::{Answer, Ask};
use crate::domain::holding::{Claim, Holding};
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::problem::{Kind, Problem};
use crate::domain::uri::PackageUri;

use holder::Holder;
use secrets::Secrets;
use writer::{OpenFile, Store};

pub use exam::Exam;
pub use history::History;
pub use place::Place;

/// How to take a device over from whoever has it.
const FORCE: &str = "--force with its id, or type that in the console, and what is there ends \
    as given up.";

/// Jobs that wait for the writer; more make their senders wait.
const JOBS: usize = 1_024;
/// Portions of old updates that are removed after one start.
const PORTIONS: usize = 50;

/// What can go wrong with the journal.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum JournalError {
    /// The file or its folder cannot be made or read.
    #[error("cannot open the journal {path}: {cause}")]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// A newer otadeck wrote it.
    #[error(
        "the journal {path} was written by a newer otadeck (schema {found}, this one knows {known})"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// A write or a read failed: a full or broken disk.
    #[error("the journal failed: {0}")]
    Failed(String),
    /// What is in the file cannot be right.
    #[error("the journal is damaged: {0}")]
    Damaged(String),
    /// A living process holds the device.
    #[error("{device} is being updated: {holding}")]
    Busy {
        /// Which device.
        device: DeviceId,
        /// Who, since when, doing what.
        holding: Box<Holding>,
    },
    /// An earlier update of the device has no verdict, and its process is gone.
    #[error("{device} has an open update: {holding}")]
    Open {
        /// Which device.
        device: DeviceId,
        /// Who began it, when, and how far it came.
        holding: Box<Holding>,
    },
    /// The update has ended already: an outcome is final.
    #[error("the update has ended already")]
    Over {
        /// How, as it is written down.
        verdict: Box<Event>,
    },
    /// What was written down of an update cannot be read.
    #[error("what the journal holds of the open update {update} of {device} cannot be read")]
    Unreadable {
        /// Which update.
        update: UpdateId,
        /// Its device, as it is written down.
        device: String,
    },
}

impl JournalError {
    /// Can the journal not be believed any more?
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_))
    }

    /// The same in words an operator can act on.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Busy { device, holding } => {
                let title = format!("{device} is busy");
                let word = clean::shell_word(device.as_str());
                Problem::new(Kind::Busy, title, holding.to_string())
                    .hint(format!(
                        "Nothing was sent. Wait until that update has ended; to see how it goes: \
                         otadeck watch -- {word}. To take the device over all the same: {FORCE}"
                    ))
                    .held((**holding).clone())
            }
            Self::Open { device, holding } => {
                let title = format!("{device} is busy");
                let cause = format!("an earlier update of it has no verdict yet: {holding}");
                Problem::new(Kind::Busy, title, cause)
                    .hint(format!(
                        "Nothing was sent. Carry on with that one: otadeck watch --resume, or in \
                         the console, where x gives it up. To take the device over: {FORCE}"
                    ))
                    .held((**holding).clone())
            }
            Self::Over { verdict } => {
                let cause = match &verdict.what {
                    What::Verdict { reason, .. } => reason.as_str(),
                    _ => "",
                };
                Problem::new(Kind::Busy, self.to_string(), cause).hint("Nothing was sent.")
            }
            Self::Unreadable { .. } => Problem::new(Kind::Journal, self.to_string(), "").hint(
                "Nothing was sent, and it is not watched. Its device stays busy until it is taken \
                 over with --force.",
            ),
            Self::Newer { .. } => Problem::new(Kind::Journal, self.to_string(), "")
                .hint("Nothing was done. Use that otadeck, or another state_dir."),
            Self::Damaged(_) => Problem::new(Kind::Journal, self.to_string(), "").hint(
                "Nothing is sent, because nobody can tell what is under way. Move the file away \
                 and keep it (sqlite3's .recover may save it); another is made at the next start. \
                 Then look at each device before you start anything.",
            ),
            Self::Unusable { .. } | Self::Failed(_) => {
                Problem::new(Kind::Journal, self.to_string(), "").hint(
                    "What is not written down is not done: nothing was sent. \
                     Mend that, name another state_dir, or say --no-journal to go without.",
                )
            }
        }
    }
}

/// The proof that an intent, or that its order goes out, is on the disk. Made by
/// [`Journal::intend`], [`Journal::intend_package`], [`Journal::take_over`] and
/// [`Journal::dispatch`] alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Receipt {
    device: DeviceId,
    update: UpdateId,
    payload_sha256: String,
    took_over: Vec<Holding>,
}

impl Receipt {
    /// The device that the intent is about.
    #[must_use]
    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// The update that the intent begins.
    #[must_use]
    pub fn update(&self) -> &UpdateId {
        &self.update
    }

    /// The hash of the payload that was intended.
    #[must_use]
    pub fn payload_sha256(&self) -> &str {
        &self.payload_sha256
    }

    /// What was ended with the intent, as it stood before that.
    #[must_use]
    pub fn took_over(&self) -> &[Holding] {
        &self.took_over
    }
}

#[cfg(test)]
impl Receipt {
    /// The receipt that the journal would give for that intent.
    pub(crate) fn for_test(intended: &Event) -> Self {
        let crate::domain::event::What::Intended(intent) = &intended.what else {
            panic!("not an intent");
        };
        Self {
            device: intended.device_id.clone().unwrap(),
            update: intended.update_id.clone().unwrap(),
            payload_sha256: intent.payload_sha256.clone().unwrap(),
            took_over: Vec::new(),
        }
    }

    /// The same when that was ended with the intent.
    pub(crate) fn for_test_over(self, took_over: Vec<Holding>) -> Self {
        Self { took_over, ..self }
    }
}

/// How the journal is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its file.
    pub path: PathBuf,
    /// Who writes.
    pub by: String,
    /// How long updates are kept after they have ended; for ever without it.
    pub keep: Option<SignedDuration>,
}

/// A handle on the journal. Clones share it.
#[derive(Clone, Debug)]
pub struct Journal {
    jobs: mpsc::Sender<Job>,
    remark: Option<Arc<str>>,
}

/// An open update that was taken up.
#[derive(Clone, Debug, PartialEq)]
pub struct Adopted {
    /// Its events, oldest first.
    pub events: Vec<Event>,
    /// How many more there are that cannot be read.
    pub unreadable: usize,
}

enum Job {
    Intend {
        event: Box<Event>,
        package: Option<PackageUri>,
        claim: Claim,
        reply: oneshot::Sender<Result<Receipt, JournalError>>,
    },
    Record(Vec<Event>, oneshot::Sender<Result<(), JournalError>>),
    Dispatch(Vec<Event>, oneshot::Sender<Result<Receipt, JournalError>>),
    Refuse(String, DeviceId, oneshot::Sender<Result<(), JournalError>>),
    Later(
        String,
        DeviceId,
        UpdateId,
        oneshot::Sender<Result<bool, JournalError>>,
    ),
    Leave(oneshot::Sender<Result<(), JournalError>>),
    Adopt(UpdateId, oneshot::Sender<Result<Adopted, JournalError>>),
    Open(String, oneshot::Sender<Result<Vec<UpdateId>, JournalError>>),
    Past(
        String,
        oneshot::Sender<Result<Vec<Vec<Event>>, JournalError>>,
    ),
    Recent(
        String,
        oneshot::Sender<Result<Vec<PackageUri>, JournalError>>,
    ),
    Check(oneshot::Sender<Result<(), JournalError>>),
    Tidy(oneshot::Sender<Result<bool, JournalError>>),
    History(String, Ask, oneshot::Sender<Result<Answer, JournalError>>),
}

impl Journal {
    /// Opens the journal, making it and its folder when they are not there yet.
    ///
    /// # Errors
    /// [`JournalError::Unusable`] or [`JournalError::Newer`].
    pub fn open_with(settings: &Settings) -> Result<Self, JournalError> {
        let path = settings.path.clone();
        let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
        match Place::of(folder.unwrap_or(Path::new("."))) {
            Ok(place) => Self::open_in(place, settings),
            Err(cause) => Err(JournalError::Unusable { path, cause }),
        }
    }

    fn open_in(place: Place, settings: &Settings) -> Result<Self, JournalError> {
        let path = &settings.path;
        let connection = schema::open(path, &place)?;
        let remark = place.remark().map(Into::into);
        let store = Store {
            connection,
            secrets: Secrets::Files(place),
            keep: settings.keep,
            file: Some(OpenFile::of(path)),
        };
        Ok(Self::start(store, &settings.by, remark))
    }

    /// Opens the journal at `path` and keeps all that is in it. `by` says who
    /// writes.
    ///
    /// # Errors
    /// As [`Journal::open_with`].
    pub fn open(path: &Path, by: &str) -> Result<Self, JournalError> {
        Self::open_with(&Settings {
            path: path.to_owned(),
            by: by.to_owned(),
            keep: None,
        })
    }

    /// A journal that ends with the process, for `--no-journal` and tests.
    ///
    /// # Errors
    /// [`JournalError::Failed`] when there is no memory for it.
    pub fn in_memory(by: &str) -> Result<Self, JournalError> {
        let store = Store {
            connection: schema::in_memory()?,
            secrets: Secrets::Memory(Default::default()),
            keep: None,
            file: None,
        };
        Ok(Self::start(store, by, None))
    }

    fn start(store: Store, by: &str, remark: Option<Arc<str>>) -> Self {
        let (jobs, inbox) = mpsc::channel(JOBS);
        let holder = Holder::this_process(by);
        std::thread::spawn(move || writer::run(store, &holder, inbox));
        Self { jobs, remark }
    }

    /// What is odd about the place where it lies, and what to do about it.
    #[must_use]
    pub fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    /// Commits an `update.intended` event to the disk and takes the device's
    /// lease, both or neither.
    ///
    /// # Errors
    /// [`JournalError::Busy`] when a living process holds the device,
    /// [`JournalError::Open`] when an earlier update of it has no verdict.
    pub async fn intend(&self, intended: Event) -> Result<Receipt, JournalError> {
        self.begin(intended, None, Claim::Free).await
    }

    /// The same for an update that puts `package` on the device. What is secret
    /// of its URI is kept beside the journal, for its owner alone, from before
    /// the intent is committed until the last open update that got it has ended.
    ///
    /// # Errors
    /// As [`Journal::intend`]; and [`JournalError::Failed`] when the secret cannot
    /// be kept.
    pub async fn intend_package(
        &self,
        intended: Event,
        package: PackageUri,
    ) -> Result<Receipt, JournalError> {
        self.begin(intended, Some(package), Claim::Free).await
    }

    /// As [`Journal::intend_package`], by whoever has typed that the device is taken
    /// over: what is open of it ends as given up, in the same transaction. That is
    /// whatever is there, or only the update `over` that was shown to them.
    ///
    /// # Errors
    /// [`JournalError::Failed`]. With `over`, [`JournalError::Busy`] or
    /// [`JournalError::Open`] when another update than that one has the device.
    pub async fn take_over(
        &self,
        intended: Event,
        package: PackageUri,
        over: Option<UpdateId>,
    ) -> Result<Receipt, JournalError> {
        let claim = over.map_or(Claim::Whatever, Claim::Over);
        self.begin(intended, Some(package), claim).await
    }

    async fn begin(
        &self,
        intended: Event,
        package: Option<PackageUri>,
        claim: Claim,
    ) -> Result<Receipt, JournalError> {
        let event = Box::new(intended);
        self.ask(|reply| Job::Intend {
            event,
            package,
            claim,
            reply,
        })
        .await
    }

    /// Appends events. A verdict is on the disk when this returns, and its
    /// device's lease is given back.
    ///
    /// # Errors
    /// [`JournalError::Over`] when an update has ended already: an outcome is final,
    /// and then none of the events is written. [`JournalError::Failed`].
    pub async fn record(&self, events: Vec<Event>) -> Result<(), JournalError> {
        self.ask(|reply| Job::Record(events, reply)).await
    }

    /// Commits that an order goes out now: an `update.invoked`, and what it rests
    /// on. Asked before each order, so that none goes out for an update that has
    /// ended or is another process's.
    ///
    /// # Errors
    /// [`JournalError::Over`] when the update has ended, [`JournalError::Busy`] or
    /// [`JournalError::Open`] when its lease is not this process's any more.
    pub async fn dispatch(&self, events: Vec<Event>) -> Result<Receipt, JournalError> {
        self.ask(|reply| Job::Dispatch(events, reply)).await
    }

    /// Would an intent for the device be refused, and by whom?
    ///
    /// # Errors
    /// As [`Journal::intend`].
    pub async fn refuse(&self, hub: &str, device: DeviceId) -> Result<(), JournalError> {
        self.ask(|reply| Job::Refuse(hub.to_owned(), device, reply))
            .await
    }

    /// Was another update of the device begun after this one, by whoever shares the
    /// journal?
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub async fn later(
        &self,
        hub: &str,
        device: DeviceId,
        update: UpdateId,
    ) -> Result<bool, JournalError> {
        self.ask(|reply| Job::Later(hub.to_owned(), device, update, reply))
            .await
    }

    /// Gives all leases of this process back at its end. Its open updates stay
    /// open, for whoever takes them up.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub async fn leave(&self) -> Result<(), JournalError> {
        self.ask(Job::Leave).await
    }

    /// Takes over the watching of an open update whose process is gone.
    ///
    /// # Errors
    /// [`JournalError::Busy`] when another process that lives holds it,
    /// [`JournalError::Over`] when it has ended meanwhile,
    /// [`JournalError::Unreadable`] when its intent cannot be read.
    pub async fn adopt(&self, update: UpdateId) -> Result<Adopted, JournalError> {
        self.ask(|reply| Job::Adopt(update, reply)).await
    }

    /// Every update of `hub` that has no verdict, oldest first.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub async fn open_updates(&self, hub: &str) -> Result<Vec<UpdateId>, JournalError> {
        self.ask(|reply| Job::Open(hub.to_owned(), reply)).await
    }

    /// What the newest completed updates of `hub` reported, oldest first, each
    /// from its intent on: to learn from. A bounded number of them.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub async fn past_updates(&self, hub: &str) -> Result<Vec<Vec<Event>>, JournalError> {
        self.ask(|reply| Job::Past(hub.to_owned(), reply)).await
    }

    /// The packages of the newest updates of `hub`, newest first, each once, as
    /// far as they can be sent again: signed ones while an update that got them is
    /// open. A handful.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub async fn recent_uris(&self, hub: &str) -> Result<Vec<PackageUri>, JournalError> {
        self.ask(|reply| Job::Recent(hub.to_owned(), reply)).await
    }

    /// Looks whether the file is sound, then removes what is old, and secrets
    /// that nobody needs. In portions, between which others come to their turn.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] before anything else is done; [`JournalError::Failed`].
    pub async fn tidy(&self) -> Result<(), JournalError> {
        self.ask(Job::Check).await?;
        for _ in 0..PORTIONS {
            if !self.ask(Job::Tidy).await? {
                break;
            }
        }
        Ok(())
    }

    /// What was written down of the past of `hub`: a page of updates, or one of
    /// them as a whole.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub async fn history(&self, hub: &str, ask: Ask) -> Result<Answer, JournalError> {
        self.ask(|reply| Job::History(hub.to_owned(), ask, reply))
            .await
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, JournalError>>) -> Job,
    ) -> Result<T, JournalError> {
        let gone = || JournalError::Failed("its thread has ended".to_owned());
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

#[cfg(test)]
mod tests;
