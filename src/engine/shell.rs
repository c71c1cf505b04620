//! Does what the [core](super::core) decides: reads, calls and writes as tasks,
//! their answers back as inputs.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::clean;
use crate::domain::event::{Event, What};
use crate::domain::history::Ask;
use crate::domain::problem::{Kind, Problem};
use crate::domain::skew::Skew;
use crate::hub::Service;
use crate::journal::Journal;
use crate::package::Inspector;
use crate::rehearsal;

use super::core::{Core, Input, Now, Output, Settings};
use super::handle::{Backend, Engine, Past, Request, channel};
use super::scribe::{Done, Scribe};

/// Answers that wait for the core.
const INBOX: usize = 1_024;
/// How long the end waits for a method call that is under way.
const LAST_CALLS: Duration = Duration::from_millis(500);
/// How long it waits for these and for tags that are being given back.
const LAST_ANSWERS: Duration = Duration::from_millis(900);
/// How long the end waits for the journal.
const LAST_WORDS: Duration = Duration::from_millis(600);
/// How long it waits then for the journal's task, which only has to look at the
/// time.
const GRACE: Duration = Duration::from_millis(100);

/// An engine at work.
#[derive(Debug)]
pub struct Running {
    engine: Engine,
    stop: CancellationToken,
    task: JoinHandle<()>,
    scribe: JoinHandle<Done>,
    /// What the journal has not taken by then it does not get.
    too_late: CancellationToken,
}

/// Not all was written to the journal before the end.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the journal could not be written to the end")]
pub struct Unwritten {
    /// What may be missing, oldest first: what was cut off may have been written all
    /// the same. Nothing when the journal did not even answer.
    pub events: Vec<Event>,
}

impl Running {
    /// What front ends hold.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine.clone()
    }

    /// Ends the engine: reads are dropped, a method call under way gets half a
    /// second to be answered, a tag nearly one to be given back, the journal is written
    /// to the end if it lets itself be written in time. After a panic too: what was
    /// decided before it is written.
    ///
    /// # Errors
    /// [`Unwritten`] when it does not.
    pub async fn stop(self) -> Result<(), Unwritten> {
        self.stop.cancel();
        // A panic of the engine was reported by the panic hook.
        let _ = self.task.await;
        let mut scribe = self.scribe;
        let written = timeout(LAST_WORDS, &mut scribe).await;
        self.too_late.cancel();
        let left = match written {
            Ok(left) => Ok(left),
            Err(_) => timeout(GRACE, scribe).await,
        };
        let events = match left {
            Ok(Ok(done)) if done.left.is_empty() && !done.cut_off => return Ok(()),
            Ok(Ok(done)) => done.left,
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        tracing::error!("the journal did not finish in time");
        for event in &events {
            tracing::error!("not written to the journal: {}", text(event));
        }
        Err(Unwritten { events })
    }
}

/// Starts an engine on a hub and a journal.
#[must_use]
pub fn spawn<S: Service>(service: S, journal: Journal, settings: Settings) -> Running {
    let (engine, backend) = channel();
    let stop = CancellationToken::new();
    let (answers, inbox) = mpsc::channel(INBOX);
    let (scribe, work) = mpsc::unbounded_channel();
    let hub = settings.profile.host.clone();
    let too_late = CancellationToken::new();
    let ends = (stop.clone(), answers.clone(), scribe);
    let shell = Shell::new(service, journal.clone(), settings, ends);
    let scribe = Scribe::new(journal, hub, answers, too_late.clone());
    let scribe = tokio::spawn(scribe.run(work));
    let task = tokio::spawn(shell.run(backend, inbox));
    Running {
        engine,
        stop,
        task,
        scribe,
        too_late,
    }
}

struct Shell<S> {
    core: Core,
    /// Only asked of the past; what is to be written goes to the scribe.
    journal: Journal,
    hub: String,
    inspector: Arc<Inspector>,
    service: Arc<S>,
    /// The hub's clock, as the core was told last.
    skew: Option<Skew>,
    start: Instant,
    answers: mpsc::Sender<Input>,
    scribe: mpsc::UnboundedSender<Output>,
    calls: TaskTracker,
    tags: TaskTracker,
    stop: CancellationToken,
}

impl<S: Service> Shell<S> {
    /// With the end that it heeds, and where answers and the journal's work go.
    fn new(
        service: S,
        journal: Journal,
        settings: Settings,
        (stop, answers, scribe): (
            CancellationToken,
            mpsc::Sender<Input>,
            mpsc::UnboundedSender<Output>,
        ),
    ) -> Self {
        Self {
            inspector: Arc::new(Inspector::new(settings.packages.clone())),
            hub: settings.profile.host.clone(),
            core: Core::new(settings),
            journal,
            service: Arc::new(service),
            skew: None,
            start: Instant::now(),
            answers,
            scribe,
            calls: TaskTracker::new(),
            tags: TaskTracker::new(),
            stop,
        }
    }

    async fn run(mut self, mut backend: Backend, mut inbox: mpsc::Receiver<Input>) {
        self.perform(Output::PastUpdates, &mut backend);
        loop {
            let wake = self.core.wake_at().map(|at| self.start + at);
            tokio::select! {
                // The end first; then what has happened, before what is asked,
                // so that a front end never outruns the truth; then time.
                biased;
                () = self.stop.cancelled() => break,
                Some(input) = inbox.recv() => self.handle(input, &mut backend),
                request = backend.requests.recv() => match request {
                    Some(Request::Command(command)) => {
                        self.handle(Input::Command(command), &mut backend);
                    }
                    Some(Request::Snapshot(reply)) => {
                        backend.answer(reply, self.core.snapshot());
                    }
                    Some(Request::History(ask, reply)) => self.tell_history(ask, reply),
                    None => break,
                },
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    self.handle(Input::Tick, &mut backend);
                }
            }
        }
        self.stop.cancel();
        self.end(&mut backend, inbox).await;
    }

    /// Takes in the answers of calls that are under way. The journal's task ends
    /// when it has done what it was told up to then.
    async fn end(mut self, backend: &mut Backend, mut inbox: mpsc::Receiver<Input>) {
        self.handle(Input::Stop, backend);
        let (calls, tags) = (self.calls.clone(), self.tags.clone());
        let until = Instant::now() + LAST_ANSWERS;
        // What is being committed decides whether an order has gone out.
        let committing = Core::is_committing;
        self.last(&calls, LAST_CALLS, committing, &mut inbox, backend)
            .await;
        let left = until.saturating_duration_since(Instant::now());
        self.last(&tags, left, |_| false, &mut inbox, backend).await;
        while let Ok(input) = inbox.try_recv() {
            self.handle(input, backend);
        }
    }

    /// Waits until these tasks have ended, also those that their answers begin, and
    /// the core waits for nothing else.
    async fn last(
        &mut self,
        tasks: &TaskTracker,
        patience: Duration,
        waits: impl Fn(&Core) -> bool,
        inbox: &mut mpsc::Receiver<Input>,
        backend: &mut Backend,
    ) {
        tasks.close();
        let _ = timeout(patience, async {
            loop {
                tokio::select! {
                    biased;
                    Some(input) = inbox.recv() => self.handle(input, backend),
                    () = tasks.wait(), if !waits(&self.core) => match inbox.try_recv() {
                        // An answer that came in between may begin another task.
                        Ok(input) => self.handle(input, backend),
                        Err(_) => break,
                    },
                }
            }
        })
        .await;
    }

    fn handle(&mut self, input: Input, backend: &mut Backend) {
        if matches!(input, Input::Answered { .. }) {
            rehearsal::panic_at("engine");
        }
        // Whoever asks for something listens by now, and a hub that has answered
        // may have told the time.
        let tells = matches!(
            input,
            Input::Command(_) | Input::Twin { .. } | Input::Page { .. } | Input::Asked { .. }
        );
        let skew = self.service.skew().filter(|_| tells);
        if let Some(skew) = skew.filter(|_| skew != self.skew) {
            self.skew = Some(skew);
            self.feed(Input::Clock(skew), backend);
        }
        if matches!(input, Input::Tick) && self.service.is_signing_in() {
            self.feed(Input::SigningIn, backend);
        }
        self.feed(input, backend);
    }

    fn feed(&mut self, input: Input, backend: &mut Backend) {
        let now = Now {
            at: self.start.elapsed(),
            wall: Timestamp::now(),
            chance: rand::random(),
        };
        for output in self.core.handle(input, now) {
            self.perform(output, backend);
        }
    }

    fn perform(&self, output: Output, backend: &mut Backend) {
        let service = Arc::clone(&self.service);
        match output {
            Output::Publish(events) => {
                events.iter().for_each(log);
                backend.publish(events);
            }
            Output::Record(_)
            | Output::Commit { .. }
            | Output::Intend { .. }
            | Output::AskHolder(_)
            | Output::AskLater { .. }
            | Output::PastUpdates
            | Output::OpenUpdates
            | Output::Adopt(_) => {
                if self.scribe.send(output).is_err() {
                    tracing::error!("the journal's task has ended");
                }
            }
            // Also at the end: an update's last word may be what ends the program,
            // and a tag that stays keeps others off the device.
            Output::WriteTag { update, permit } => {
                let answers = self.answers.clone();
                self.tags.spawn(async move {
                    let result = service.write_tag(permit).await.map(Box::new);
                    // The engine has ended.
                    let _ = answers.send(Input::TagWritten { update, result }).await;
                });
            }
            Output::LookAtTag { update, device } => {
                let answers = self.answers.clone();
                self.tags.spawn(async move {
                    let result = service.twin(&device).await.map(Box::new);
                    // The engine has ended.
                    let _ = answers.send(Input::TagSeen { update, result }).await;
                });
            }
            // Also when the end has come while the core decided: the order is on the
            // disk, and must not be left without an answer. Told of the end, the core
            // lets none go out.
            Output::Invoke { update, permit } => {
                let answers = self.answers.clone();
                self.calls.spawn(async move {
                    let result = service.invoke(permit).await;
                    rehearsal::panic_at("call");
                    // The engine has ended.
                    let _ = answers.send(Input::Answered { update, result }).await;
                });
            }
            Output::Read { ticket, device } => self.task(async move {
                let result = service.twin(&device).await.map(Box::new);
                Input::Twin {
                    ticket,
                    device,
                    result,
                }
            }),
            Output::List {
                ticket,
                query,
                continuation,
            } => self.task(async move {
                let result = service.page(&query, continuation.as_deref()).await;
                Input::Page { ticket, result }
            }),
            Output::Identify { update, device } => self.task(async move {
                let result = service.identity(&device).await;
                Input::Identified { update, result }
            }),
            Output::Ask {
                ticket,
                query,
                continuation,
            } => self.task(async move {
                let result = service.page(&query, continuation.as_deref()).await;
                Input::Asked { ticket, result }
            }),
            Output::Inspect(uri) => {
                let inspector = Arc::clone(&self.inspector);
                self.task(async move {
                    let result = inspector.inspect(&uri).await;
                    Input::Inspected { uri, result }
                });
            }
        }
    }

    /// Asks the journal about the past. Nobody waits for it but who asked.
    fn tell_history(&self, ask: Ask, reply: oneshot::Sender<Past>) {
        let (journal, hub) = (self.journal.clone(), self.hub.clone());
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let told = stop.run_until_cancelled(journal.history(&hub, ask)).await;
            let Some(told) = told else { return };
            let past = told.map_err(|error| {
                Problem::new(Kind::Journal, "the past cannot be told", error.to_string())
            });
            // A front end that is gone needs no answer.
            let _ = reply.send(past);
        });
    }

    /// Runs a read whose answer nobody misses when the engine ends; then it is not
    /// even begun.
    fn task(&self, read: impl Future<Output = Input> + Send + 'static) {
        let (answers, stop) = (self.answers.clone(), self.stop.clone());
        tokio::spawn(async move {
            if let Some(input) = stop.run_until_cancelled(read).await {
                // The engine has ended.
                let _ = answers.send(input).await;
            }
        });
    }
}

/// Logs what happened to updates and to the link; rows and twins only when asked.
fn log(event: &Event) {
    match event.what {
        What::Device { .. } | What::Twin { .. } | What::Budget(_) => {
            tracing::trace!("{}", text(event));
        }
        _ => tracing::info!("{}", text(event)),
    }
}

fn text(event: &Event) -> String {
    let text = serde_json::to_string(event).unwrap_or_else(|e| e.to_string());
    clean::json(&text)
}

#[cfg(test)]
mod tests;
