//! Does what the [core](super::core) decides: reads, calls and writes as tasks,
//! their answers back as inputs.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::clean;
use crate::domain::event::{Event, What};
use crate::hub::{Query, Service};
use crate::journal::Journal;
use crate::package::Inspector;

use super::core::{Core, Input, Now, Output, Settings};
use super::handle::{Backend, Engine, Request, channel};

/// Answers that wait for the core.
const INBOX: usize = 1_024;
/// How long the end waits for a method call that is under way.
const LAST_CALLS: Duration = Duration::from_millis(500);
/// How long the end waits for tags that are being given back.
const LAST_TAGS: Duration = Duration::from_secs(2);
/// How long the end waits for the journal.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// An engine at work.
#[derive(Debug)]
pub struct Running {
    engine: Engine,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// What front ends hold.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine.clone()
    }

    /// Ends the engine: reads are dropped, a method call under way gets half a
    /// second to be answered, a tag two to be given back, the journal is written to
    /// the end.
    pub async fn stop(self) {
        self.stop.cancel();
        // A panic of the engine was reported by the panic hook.
        let _ = self.task.await;
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
    let shell = Shell {
        inspector: Arc::new(Inspector::new(settings.packages.clone())),
        query: Arc::new(settings.query.clone()),
        core: Core::new(settings),
        service: Arc::new(service),
        start: Instant::now(),
        answers: answers.clone(),
        scribe,
        calls: TaskTracker::new(),
        tags: TaskTracker::new(),
        stop: stop.clone(),
    };
    let scribe = tokio::spawn(scribe_task(journal, hub, work, answers));
    let task = tokio::spawn(shell.run(backend, inbox, scribe));
    Running { engine, stop, task }
}

struct Shell<S> {
    core: Core,
    inspector: Arc<Inspector>,
    query: Arc<Query>,
    service: Arc<S>,
    start: Instant,
    answers: mpsc::Sender<Input>,
    scribe: mpsc::UnboundedSender<Output>,
    calls: TaskTracker,
    tags: TaskTracker,
    stop: CancellationToken,
}

impl<S: Service> Shell<S> {
    async fn run(
        mut self,
        mut backend: Backend,
        mut inbox: mpsc::Receiver<Input>,
        scribe: JoinHandle<()>,
    ) {
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
                    None => break,
                },
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    self.handle(Input::Tick, &mut backend);
                }
            }
        }
        self.stop.cancel();
        self.end(&mut backend, inbox, scribe).await;
    }

    /// Takes in the answers of calls that are under way, then lets the journal
    /// finish.
    async fn end(
        mut self,
        backend: &mut Backend,
        mut inbox: mpsc::Receiver<Input>,
        scribe: JoinHandle<()>,
    ) {
        self.handle(Input::Stop, backend);
        let (calls, tags) = (self.calls.clone(), self.tags.clone());
        self.last(&calls, LAST_CALLS, &mut inbox, backend).await;
        self.last(&tags, LAST_TAGS, &mut inbox, backend).await;
        while let Ok(input) = inbox.try_recv() {
            self.handle(input, backend);
        }
        drop(self);
        drop(inbox);
        if timeout(LAST_WORDS, scribe).await.is_err() {
            tracing::error!("the journal did not finish in time");
        }
    }

    /// Waits until these tasks have ended, also those that their answers begin.
    async fn last(
        &mut self,
        tasks: &TaskTracker,
        patience: Duration,
        inbox: &mut mpsc::Receiver<Input>,
        backend: &mut Backend,
    ) {
        tasks.close();
        let _ = timeout(patience, async {
            loop {
                tokio::select! {
                    biased;
                    Some(input) = inbox.recv() => self.handle(input, backend),
                    () = tasks.wait() => match inbox.try_recv() {
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
            | Output::Intend(_)
            | Output::TakeOver(_)
            | Output::AskHolder(_)
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
            // What is not yet begun at the end is not begun.
            _ if self.stop.is_cancelled() => {}
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
                continuation,
            } => {
                let query = Arc::clone(&self.query);
                self.task(async move {
                    let result = service.page(&query, continuation.as_deref()).await;
                    Input::Page { ticket, result }
                });
            }
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
            Output::Invoke { update, permit } => {
                let answers = self.answers.clone();
                self.calls.spawn(async move {
                    let result = service.invoke(permit).await;
                    // The engine has ended.
                    let _ = answers.send(Input::Answered { update, result }).await;
                });
            }
        }
    }

    /// Runs a read whose answer nobody misses when the engine ends.
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
    let text = || {
        let text = serde_json::to_string(event).unwrap_or_else(|e| e.to_string());
        clean::json(&text)
    };
    match event.what {
        What::Device { .. } | What::Twin { .. } | What::Budget(_) => tracing::trace!("{}", text()),
        _ => tracing::info!("{}", text()),
    }
}

/// Writes to the journal in the order in which it was decided. Unbounded: the
/// core must not wait for a disk, and an event is small and rare.
async fn scribe_task(
    journal: Journal,
    hub: String,
    mut work: mpsc::UnboundedReceiver<Output>,
    answers: mpsc::Sender<Input>,
) {
    while let Some(output) = work.recv().await {
        let answer = match output {
            Output::Intend(event) => {
                let Some(update) = event.update_id.clone() else {
                    continue;
                };
                let result = journal.intend(*event).await;
                Input::Intended { update, result }
            }
            Output::TakeOver(event) => {
                let Some(update) = event.update_id.clone() else {
                    continue;
                };
                let result = journal.take_over(*event).await;
                Input::Intended { update, result }
            }
            Output::AskHolder(device) => {
                let result = journal.refuse(&hub, device.clone()).await;
                Input::Held { device, result }
            }
            Output::Commit { update, events } => {
                let invokes = |event: &Event| matches!(event.what, What::Invoked { .. });
                let result = match events.iter().any(invokes) {
                    true => journal.dispatch(events).await.map(Some),
                    false => journal.record(events).await.map(|()| None),
                };
                Input::Committed { update, result }
            }
            Output::Record(events) => match journal.record(events).await {
                Ok(()) => continue,
                failed => Input::Recorded(failed),
            },
            Output::PastUpdates => Input::Past(journal.past_updates(&hub).await),
            Output::OpenUpdates => Input::Opened(journal.open_updates(&hub).await),
            Output::Adopt(update) => {
                let result = journal.adopt(update.clone()).await;
                Input::Adopted { update, result }
            }
            _ => continue,
        };
        // At the end nobody listens any more, and the rest is still written.
        let _ = answers.send(answer).await;
    }
    // Open updates stay so; whoever takes them up need not wait for us.
    if let Err(error) = journal.leave().await {
        tracing::warn!("the leases could not be given back: {error}");
    }
}
