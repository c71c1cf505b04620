//! Writes to the journal in the order in which it was decided, and keeps what
//! cannot be written until it can.
//!
//! ```text
//!  writing ─ a write fails ─► behind ─ all is written ─► writing
//!     ▲                         │ tries again: 0.5 s, 1 s, … 30 s
//!     └─────────────────────────┘ refuses intents meanwhile
//! ```
//!
//! The core is told once of each change. What is left at the end is given back, to
//! be said: nothing is dropped silently.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::domain::backoff::Backoff;
use crate::domain::event::{Event, What};
use crate::domain::holding::Claim;
use crate::domain::uri::PackageUri;
use crate::journal::{Journal, JournalError, Receipt};
use crate::rehearsal;

use super::core::{Input, Output};

/// The first and the longest pause between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// The pause between two tries at the end.
const LAST_PAUSE: Duration = Duration::from_millis(50);
/// Events that are written in one transaction when much has gathered.
const AT_ONCE: usize = 500;

/// The journal's task.
pub(super) struct Scribe {
    journal: Journal,
    hub: String,
    answers: mpsc::Sender<Input>,
    /// What waits to be written, oldest first.
    backlog: VecDeque<Event>,
    /// Why it waits, while that is so.
    behind: Option<JournalError>,
    backoff: Backoff,
    again: Instant,
    tidied: bool,
    /// When this is over, whatever is left stays unwritten.
    too_late: CancellationToken,
    /// Was something cut off by that, so that nobody knows what became of it?
    cut_off: AtomicBool,
}

/// What became of the work.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// What could not be written, oldest first.
    pub(super) left: Vec<Event>,
    /// Did the journal not answer in time?
    pub(super) cut_off: bool,
}

impl Scribe {
    pub(super) fn new(
        journal: Journal,
        hub: String,
        answers: mpsc::Sender<Input>,
        too_late: CancellationToken,
    ) -> Self {
        Self {
            journal,
            hub,
            answers,
            backlog: VecDeque::new(),
            behind: None,
            backoff: Backoff::new(PAUSES.0, PAUSES.1),
            again: Instant::now(),
            tidied: false,
            too_late,
            cut_off: AtomicBool::new(false),
        }
    }

    /// Works until the core has ended; what could not be written then. The work
    /// is unbounded: the core must not wait for a disk, and an event is small and
    /// rare.
    pub(super) async fn run(mut self, mut work: mpsc::UnboundedReceiver<Output>) -> Done {
        loop {
            tokio::select! {
                // What waits longer comes first.
                biased;
                () = sleep_until(self.again), if self.behind.is_some() => self.write().await,
                output = work.recv() => match output {
                    Some(output) => self.work(output).await,
                    None => break,
                },
            }
        }
        while self.behind.is_some() && !self.too_late.is_cancelled() {
            self.write().await;
            if self.behind.is_some() {
                let too_late = self.too_late.clone();
                too_late.run_until_cancelled(sleep(LAST_PAUSE)).await;
            }
        }
        // Open updates stay so; whoever takes them up need not wait for us.
        let left = self
            .too_late
            .run_until_cancelled(self.journal.leave())
            .await;
        if !matches!(left, Some(Ok(()))) {
            tracing::warn!("the leases could not be given back; they end with the process");
        }
        Done {
            left: self.backlog.into(),
            cut_off: self.cut_off.into_inner(),
        }
    }

    async fn work(&mut self, output: Output) {
        let answer = match output {
            Output::Intend { event, uri, claim } => {
                let Some(update) = event.update_id.clone() else {
                    return;
                };
                let result = match &self.behind {
                    Some(error) => Err(error.clone()),
                    None => self.in_time(self.intend(*event, uri, claim)).await,
                };
                Input::Intended { update, result }
            }
            Output::AskHolder(device) => {
                let result = self
                    .in_time(self.journal.refuse(&self.hub, device.clone()))
                    .await;
                Input::Held { device, result }
            }
            Output::AskLater { update, device } => {
                let asked = self.journal.later(&self.hub, device, update.clone());
                let result = self.in_time(asked).await;
                Input::Later { update, result }
            }
            Output::Commit { update, events } => {
                let result = self.commit(events).await;
                Input::Committed { update, result }
            }
            Output::Record(events) => {
                self.backlog.extend(events);
                if self.behind.is_none() {
                    self.write().await;
                }
                return;
            }
            Output::PastUpdates => {
                let past = self.in_time(self.journal.past_updates(&self.hub)).await;
                self.tidy();
                Input::Past(past)
            }
            Output::OpenUpdates => {
                Input::Opened(self.in_time(self.journal.open_updates(&self.hub)).await)
            }
            Output::Adopt(update) => {
                let result = self.in_time(self.journal.adopt(update.clone())).await;
                Input::Adopted { update, result }
            }
            _ => return,
        };
        self.tell(answer).await;
    }

    async fn intend(
        &self,
        event: Event,
        uri: PackageUri,
        claim: Claim,
    ) -> Result<Receipt, JournalError> {
        match claim {
            Claim::Free => self.journal.intend_package(event, uri).await,
            Claim::Over(shown) => self.journal.take_over(event, uri, Some(shown)).await,
            Claim::Whatever => self.journal.take_over(event, uri, None).await,
        }
    }

    /// Commits a decision. An order goes out only when that is on the disk; a verdict
    /// holds all the same, and is written when it can be.
    async fn commit(&mut self, events: Vec<Event>) -> Result<Option<Receipt>, JournalError> {
        let invokes = |event: &Event| matches!(event.what, What::Invoked { .. });
        if events.iter().any(invokes) {
            return match &self.behind {
                Some(error) => Err(error.clone()),
                None => self.in_time(self.journal.dispatch(events)).await.map(Some),
            };
        }
        if self.behind.is_some() {
            self.backlog.extend(events);
            return Ok(None);
        }
        match self.in_time(self.journal.record(events.clone())).await {
            Ok(()) => Ok(None),
            Err(error @ JournalError::Over { .. }) => Err(error),
            Err(error) => {
                self.backlog.extend(events);
                self.fall_behind(error).await;
                Ok(None)
            }
        }
    }

    /// At the end nobody listens any more, and the rest is still written.
    async fn tell(&self, answer: Input) {
        let _ = self.answers.send(answer).await;
    }

    /// Writes what waits, until that fails.
    async fn write(&mut self) {
        while !self.backlog.is_empty() {
            let some: Vec<Event> = self.backlog.iter().take(AT_ONCE).cloned().collect();
            let count = some.len();
            match self.in_time(self.journal.record(some)).await {
                Ok(()) => {
                    self.backlog.drain(..count);
                    rehearsal::panic_at("scribe");
                }
                // Another process has ended that update: what came of it here is
                // not written, and the others are.
                Err(JournalError::Over { verdict }) => {
                    let over = verdict.update_id.clone();
                    self.backlog.retain(|event| event.update_id != over);
                    self.tell(Input::Recorded(Err(JournalError::Over { verdict })))
                        .await;
                }
                Err(error) => return self.fall_behind(error).await,
            }
        }
        if self.behind.take().is_some() {
            self.backoff.reset();
            tracing::info!("the journal is written again, with all that was kept");
            self.tell(Input::Recorded(Ok(()))).await;
        }
    }

    async fn fall_behind(&mut self, error: JournalError) {
        self.again = Instant::now() + self.backoff.next_wait(rand::random());
        if self.behind.is_none() {
            tracing::error!("{error}; what is seen is kept and tried again");
            self.behind = Some(error.clone());
            self.tell(Input::Recorded(Err(error))).await;
        }
    }

    /// What the journal says, unless it takes too long at the end: a disk that
    /// hangs must not keep the process.
    async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, JournalError>>,
    ) -> Result<T, JournalError> {
        let answer = self.too_late.run_until_cancelled(asked).await;
        answer.unwrap_or_else(|| {
            self.cut_off.store(true, Ordering::Relaxed);
            Err(JournalError::Failed("it does not answer".to_owned()))
        })
    }

    /// Checks and tidies the journal in the background, once.
    fn tidy(&mut self) {
        if std::mem::replace(&mut self.tidied, true) {
            return;
        }
        let (journal, answers) = (self.journal.clone(), self.answers.clone());
        let too_late = self.too_late.clone();
        tokio::spawn(async move {
            match too_late.run_until_cancelled(journal.tidy()).await {
                Some(Err(error)) if error.is_damage() => {
                    // The engine has ended.
                    let _ = answers.send(Input::Recorded(Err(error))).await;
                }
                Some(Err(error)) => tracing::warn!("what is old was not removed: {error}"),
                Some(Ok(())) | None => {}
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Intent;
    use crate::domain::evidence::Outcome;
    use crate::domain::id::{DeviceId, UpdateId};
    use crate::domain::problem::{Kind, Problem};
    use jiff::Timestamp;

    /// A scribe on a real file, and a way to make that refuse.
    struct Desk {
        work: mpsc::UnboundedSender<Output>,
        answers: mpsc::Receiver<Input>,
        too_late: CancellationToken,
        task: tokio::task::JoinHandle<Done>,
        tool: rusqlite::Connection,
        _folder: tempfile::TempDir,
    }

    impl Desk {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal.db");
            let journal = Journal::open(&path, "ana").unwrap();
            let (answers, inbox) = mpsc::channel(100);
            let (work, todo) = mpsc::unbounded_channel();
            let too_late = CancellationToken::new();
            let scribe = Scribe::new(journal, "h".into(), answers, too_late.clone());
            Self {
                work,
                answers: inbox,
                too_late,
                task: tokio::spawn(scribe.run(todo)),
                tool: rusqlite::Connection::open(path).unwrap(),
                _folder: folder,
            }
        }

        /// As a disk that is full for all but intents.
        fn full(&self) {
            let trigger = "CREATE TRIGGER full BEFORE INSERT ON event
                           WHEN NEW.kind <> 'update.intended'
                           BEGIN SELECT RAISE(ABORT, 'no room'); END";
            self.tool.execute_batch(trigger).unwrap();
        }

        fn room(&self) {
            self.tool.execute_batch("DROP TRIGGER full").unwrap();
        }

        fn work(&self, output: Output) {
            self.work.send(output).unwrap();
        }

        async fn intend(&mut self, device: &str) -> (Event, Result<(), JournalError>) {
            let intent = Intent {
                hub: "h".into(),
                ..Intent::default()
            };
            let event = Event::update(
                Timestamp::now(),
                DeviceId::parse(device).unwrap(),
                UpdateId::fresh(),
                What::Intended(Box::new(intent)),
            );
            let uri = PackageUri::parse("https://x.test/fw").unwrap();
            self.work(Output::Intend {
                event: Box::new(event.clone()),
                uri,
                claim: Claim::Free,
            });
            match self.answers.recv().await {
                Some(Input::Intended { result, .. }) => (event, result.map(drop)),
                other => panic!("{other:?}"),
            }
        }

        /// Is it written again, or not any more?
        async fn recorded(&mut self) -> Result<(), JournalError> {
            match self.answers.recv().await {
                Some(Input::Recorded(result)) => result,
                other => panic!("{other:?}"),
            }
        }

        fn kinds(&self) -> Vec<String> {
            let all = "SELECT kind FROM event ORDER BY id";
            let mut statement = self.tool.prepare(all).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        }

        fn attempts(&self) -> Vec<u32> {
            let all = "SELECT value FROM timeline WHERE kind = 'update.invoked'";
            let mut statement = self.tool.prepare(all).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        }
    }

    fn invoked(intended: &Event, attempt: u32) -> Event {
        Event {
            what: What::Invoked {
                attempt,
                latest: None,
            },
            ..intended.clone()
        }
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_kept_in_order_and_told_once() {
        let mut desk = Desk::new();
        let (event, intended) = desk.intend("a").await;
        intended.unwrap();
        desk.full();
        for attempt in 1..=3 {
            desk.work(Output::Record(vec![invoked(&event, attempt)]));
        }
        let error = desk.recorded().await.unwrap_err();
        assert!(error.to_string().contains("no room"), "{error}");
        // An intent could be written; what was seen before comes first.
        let (_, refused) = desk.intend("b").await;
        assert_eq!(refused, Err(error));
        assert_eq!(desk.attempts(), [0; 0]);
        desk.work(Output::Record(vec![invoked(&event, 4)]));
        desk.room();
        desk.recorded().await.unwrap();
        assert_eq!(desk.attempts(), [1, 2, 3, 4]);
        desk.intend("b").await.1.unwrap();
        drop(desk.work);
        assert_eq!(desk.task.await.unwrap().left, []);
        assert!(
            desk.answers.recv().await.is_none(),
            "nothing was told twice"
        );
    }

    /// The device has ended well, and its tag could not be given back: both are
    /// said, whenever the disk has room.
    #[tokio::test]
    async fn a_verdict_and_what_is_said_of_its_tag_are_written_together() {
        let mut desk = Desk::new();
        let (event, intended) = desk.intend("a").await;
        intended.unwrap();
        desk.full();
        let verdict = What::Verdict {
            outcome: Outcome::Completed,
            reason: "so".into(),
            evidence: None,
            reported: serde_json::Value::Null,
            problem: None,
        };
        let problem = Problem::new(Kind::Unauthorized, "its tag stays", "401");
        for what in [verdict, What::Tag { problem }] {
            desk.work(Output::Record(vec![Event {
                what,
                ..event.clone()
            }]));
        }
        desk.recorded().await.unwrap_err();
        desk.room();
        assert_eq!(desk.recorded().await, Ok(()));
        assert_eq!(
            desk.kinds(),
            ["update.intended", "update.verdict", "update.tag"]
        );
    }

    #[tokio::test]
    async fn at_the_end_it_is_tried_until_it_is_too_late() {
        let mut desk = Desk::new();
        let (event, intended) = desk.intend("a").await;
        intended.unwrap();
        desk.full();
        let events: Vec<Event> = (1..=3).map(|n| invoked(&event, n)).collect();
        desk.work(Output::Record(events.clone()));
        desk.recorded().await.unwrap_err();
        drop(desk.work);
        desk.too_late.cancel();
        assert_eq!(desk.task.await.unwrap().left, events);
    }

    #[tokio::test]
    async fn at_the_end_it_is_still_written_when_there_is_room() {
        let mut desk = Desk::new();
        let (event, intended) = desk.intend("a").await;
        intended.unwrap();
        desk.full();
        desk.work(Output::Record(vec![invoked(&event, 1)]));
        desk.recorded().await.unwrap_err();
        desk.room();
        let Desk { work, task, .. } = desk;
        drop(work);
        assert_eq!(task.await.unwrap().left, []);
    }
}
