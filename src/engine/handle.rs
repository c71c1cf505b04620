//! What front ends hold of the engine, and what the engine holds of them.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::domain::device::DeviceRow;
use crate::domain::durations::Durations;
use crate::domain::event::{Command, Event, InventoryState, Way};
use crate::domain::history;
use crate::domain::id::DeviceId;
use crate::domain::problem::Problem;
use crate::domain::quota::Budget;
use crate::domain::update::Update;

/// Commands that wait for the engine; front ends wait when there are more.
const COMMANDS: usize = 64;
/// Batches of events that a front end may lag behind before it is told so.
const BATCHES: usize = 1_024;

/// A front end's end: send commands, subscribe to events.
#[derive(Clone, Debug)]
pub struct Engine {
    requests: mpsc::Sender<Request>,
    /// Weak, so that listeners learn of the engine's end while they hold this.
    events: broadcast::WeakSender<Numbered>,
}

/// The engine's own end of an [`Engine`].
#[derive(Debug)]
pub struct Backend {
    /// What front ends ask.
    pub requests: mpsc::Receiver<Request>,
    events: broadcast::Sender<Numbered>,
    sequence: u64,
}

/// Events with the number of their batch.
type Numbered = (u64, Arc<[Event]>);

impl Backend {
    /// Tells all listeners.
    pub fn publish(&mut self, events: Vec<Event>) {
        self.sequence += 1;
        // Nobody may be listening.
        let _ = self.events.send((self.sequence, events.into()));
    }

    /// Answers with how all stands after what was published so far.
    pub fn answer(&self, reply: oneshot::Sender<Snapshot>, snapshot: Snapshot) {
        // A front end that is gone needs no snapshot.
        let _ = reply.send(Snapshot {
            sequence: self.sequence,
            ..snapshot
        });
    }
}

/// What a front end asks.
#[derive(Debug)]
pub enum Request {
    /// Do something.
    Command(Command),
    /// Tell how all stands.
    Snapshot(oneshot::Sender<Snapshot>),
    /// Tell of the past.
    History(history::Ask, oneshot::Sender<Past>),
}

/// What is known of the past, or why it cannot be told.
pub type Past = Result<history::Answer, Problem>;

/// How all stands: what a front end needs that comes late or has lagged.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The devices listed or read so far, in the order of their ids.
    pub rows: Vec<DeviceRow>,
    /// How far the listing is, and why it broke off.
    pub inventory: Option<(InventoryState, Option<Problem>)>,
    /// The query whose devices these are, as it was asked for; `None` is all.
    pub query: Option<String>,
    /// The way to the hub.
    pub link: Way,
    /// Every update of this process, open or ended, oldest first.
    pub updates: Vec<Update>,
    /// Devices whose order is not written down yet.
    pub starting: Vec<DeviceId>,
    /// Orders that were refused, the last ones, oldest first.
    pub refusals: Vec<(DeviceId, Problem)>,
    /// How long phases took in past updates.
    pub durations: Durations,
    /// How the read budget stands, as it was told last.
    pub budget: Budget,
    /// Why the journal cannot be written, so that nothing is started.
    pub journal: Option<Problem>,
    /// Until when production is armed, if it is.
    pub armed_until: Option<Timestamp>,
    /// Are the journal's open updates still being taken up?
    pub resuming: bool,
    /// The number of the last batch of events that is in here.
    pub sequence: u64,
}

/// The engine has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has ended")]
pub struct Stopped;

/// A pair of connected ends.
#[must_use]
pub fn channel() -> (Engine, Backend) {
    let (requests, inbox) = mpsc::channel(COMMANDS);
    let (events, _) = broadcast::channel(BATCHES);
    let engine = Engine {
        requests,
        events: events.downgrade(),
    };
    let backend = Backend {
        requests: inbox,
        events,
        sequence: 0,
    };
    (engine, backend)
}

impl Engine {
    /// Sends a command, waiting while the engine has many.
    ///
    /// # Errors
    /// [`Stopped`] when the engine has ended.
    pub async fn send(&self, command: Command) -> Result<(), Stopped> {
        let request = Request::Command(command);
        self.requests.send(request).await.map_err(|_| Stopped)
    }

    /// How all stands now.
    ///
    /// # Errors
    /// [`Stopped`] when the engine has ended.
    pub async fn snapshot(&self) -> Result<Snapshot, Stopped> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Snapshot(reply);
        self.requests.send(request).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// What was written down of the hub's past updates. Bounded: a page, or one
    /// update.
    ///
    /// # Errors
    /// [`Stopped`] when the engine has ended.
    pub async fn history(&self, ask: history::Ask) -> Result<Past, Stopped> {
        let (reply, answer) = oneshot::channel();
        let request = Request::History(ask, reply);
        self.requests.send(request).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// All events from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        match self.events.upgrade() {
            Some(events) => Subscription(events.subscribe(), 0),
            None => Subscription(broadcast::channel(1).1, 0),
        }
    }
}

/// A front end's place among the listeners.
#[derive(Debug)]
pub struct Subscription(broadcast::Receiver<Numbered>, u64);

/// What a listener gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Batch {
    /// Events in the order in which they happened.
    Events(Arc<[Event]>),
    /// Some were missed: take a [`Snapshot`].
    Lagged,
}

impl Subscription {
    /// The next batch; `None` when the engine has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Batch> {
        loop {
            match self.0.recv().await {
                Ok((number, _)) if number <= self.1 => {}
                Ok((_, events)) => return Some(Batch::Events(events)),
                Err(broadcast::error::RecvError::Lagged(_)) => return Some(Batch::Lagged),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// Leaves out what a snapshot holds already.
    pub fn after(&mut self, snapshot: &Snapshot) {
        self.1 = self.1.max(snapshot.sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_the_engine_is_heard_by_whoever_holds_it() {
        let (engine, backend) = channel();
        let mut early = engine.subscribe();
        drop(backend);
        assert_eq!(early.next().await, None);
        assert_eq!(engine.subscribe().next().await, None);
        assert_eq!(engine.snapshot().await, Err(Stopped));
        assert_eq!(engine.send(Command::List).await, Err(Stopped));
    }
}
