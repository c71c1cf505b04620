//! The world among tasks: one lock, the clock, and the way of its outputs.
//!
//! Every call locks the world for some microseconds, lets it change, commits
//! what changed if a store is kept, and sends its outputs on their way before
//! the lock is given back, so that they leave in order. Nothing waits while it
//! holds the lock but for that commit.
//!
//! What cannot be committed has not happened: the world goes back to what it
//! was, no output leaves, and whoever asked is refused. Only facts that nobody
//! can refuse, such as a link that broke, stay, and are committed with the next
//! change.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::auth::{self, DeviceClaim, Names};
use super::bearer::Bearers;
use super::faults::{Conditions, Faults, Tokens};
use super::policy::Right;
use super::query::Page;
use super::refusal::{Code, Refusal};
use super::store::Store;
use super::world::method::{CallId, MethodRequest};
use super::world::past::Past;
use super::world::session::{Hello, LinkId, Welcome};
use super::world::{Output, World};
use crate::domain::id::DeviceId;
use crate::domain::method::MethodAnswer;

/// How many messages may wait for a device before its link is cut.
const QUEUE: usize = 64;
/// The clock looks at the time again after this long at the latest, should the
/// system's clock be set.
const LOOK: Duration = Duration::from_secs(60);

/// The end of a direct method, on its way to the caller.
type Ending = Result<MethodAnswer, Refusal>;

/// Shared by all tasks of one emulator.
pub(super) struct Shell {
    state: Mutex<State>,
    sooner: Notify,
    pub(super) names: Names,
    /// Who is let in beside the policies.
    pub(super) bearers: Option<Bearers>,
    /// What goes wrong on purpose.
    pub(super) faults: Faults,
    /// How far this hub's clock is off.
    skew: SignedDuration,
    index_lag: Duration,
    twin_lag: Duration,
}

struct State {
    world: World,
    /// The world as it was, when reads lag.
    past: Option<Past>,
    device_tokens: Tokens,
    service_tokens: Tokens,
    store: Option<Store>,
    callers: HashMap<CallId, oneshot::Sender<Ending>>,
    /// Boxed: a channel sets aside room for dozens of messages at once.
    links: HashMap<LinkId, mpsc::Sender<Box<Output>>>,
    /// When the clock will look next.
    armed: Option<Timestamp>,
}

impl Shell {
    pub(super) fn new(
        mut world: World,
        store: Option<Store>,
        names: Names,
        conditions: &Conditions,
    ) -> Self {
        let lag = conditions.index_lag.max(conditions.twin_lag);
        let past = (!lag.is_zero()).then(|| Past::of(&world, lag));
        if store.is_some() || past.is_some() {
            world.track_changes();
        }
        Self {
            state: Mutex::new(State {
                world,
                past,
                device_tokens: Tokens::new(conditions.device_token_life),
                service_tokens: Tokens::new(conditions.service_token_life),
                store,
                callers: HashMap::new(),
                links: HashMap::new(),
                armed: None,
            }),
            sooner: Notify::new(),
            names,
            bearers: None,
            faults: Faults::new(conditions),
            skew: conditions.clock,
            index_lag: conditions.index_lag,
            twin_lag: conditions.twin_lag,
        }
    }

    /// What this hub's clock says.
    pub(super) fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(self.skew).unwrap_or(now)
    }

    /// From now on things go wrong.
    pub(super) fn begin_faults(&self) {
        let state = &mut *self.lock();
        if state.past.is_some() {
            state.past = Some(Past::of(&state.world, self.index_lag.max(self.twin_lag)));
        }
        self.faults.begin();
    }

    /// Is the hub's clock another than this machine's?
    pub(super) fn is_off(&self) -> bool {
        !self.skew.is_zero()
    }

    /// May the caller with this `Authorization` header use `right` on `path`?
    pub(super) fn authorise(
        &self,
        header: Option<&str>,
        right: Right,
        path: &[&str],
    ) -> Result<(), Refusal> {
        let now = self.now();
        let bearers = self.bearers.as_ref();
        let known = bearers.and_then(|bearers| bearers.knows(header?));
        let state = &mut *self.lock();
        match known {
            Some(true) => {}
            Some(false) => {
                return Err(Refusal::new(Code::IotHubUnauthorizedAccess, "Unauthorized"));
            }
            None => auth::service(&state.world, &self.names, header, right, path, now)?,
        }
        let token = header.unwrap_or_default().as_bytes();
        match state.service_tokens.end(token, Timestamp::MAX, now) <= now {
            true => Err(super::faults::refusal(Code::IotHubUnauthorized, None)),
            false => Ok(()),
        }
    }

    /// A twin as the service sees it.
    pub(super) fn twin(&self, id: &DeviceId) -> Result<Value, Refusal> {
        let state = self.lock();
        match state.past.as_ref().filter(|_| !self.twin_lag.is_zero()) {
            Some(past) => past.twin(id, self.twin_lag, self.now()),
            None => state.world.twin(id),
        }
    }

    /// A page of a query: text, page size, continuation.
    pub(super) fn query(
        &self,
        asked: (&str, Option<usize>, Option<&str>),
    ) -> Result<Page, Refusal> {
        let state = self.lock();
        match state.past.as_ref().filter(|_| !self.index_lag.is_zero()) {
            Some(past) => past.query(asked, self.index_lag, self.now()),
            None => state.world.query(asked.0, asked.1, asked.2),
        }
    }

    /// Looks at the world.
    pub(super) fn read<T>(&self, look: impl FnOnce(&World, Timestamp) -> T) -> T {
        look(&self.lock().world, self.now())
    }

    /// Changes the world; what changed is kept before this returns.
    pub(super) fn write<T>(
        &self,
        change: impl FnOnce(&mut World, Timestamp) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut state = self.lock();
        let result = change(&mut state.world, self.now());
        state.settle(&self.sooner, self.now(), Nature::Wish)?;
        result
    }

    /// Takes in what has happened, whoever likes it or not.
    pub(super) fn take<T>(&self, fact: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        let mut state = self.lock();
        let result = fact(&mut state.world, self.now());
        state.settle_fact(&self.sooner, self.now());
        result
    }

    /// Asks a device something and waits for the end, at most the two timeouts.
    pub(super) async fn call(&self, id: &DeviceId, request: MethodRequest) -> Ending {
        let ending = {
            let mut state = self.lock();
            let call = state.world.begin_method(id, request, self.now())?;
            let (caller, ending) = oneshot::channel();
            state.callers.insert(call, caller);
            if let Err(refusal) = state.settle(&self.sooner, self.now(), Nature::Wish) {
                state.callers.remove(&call);
                return Err(refusal);
            }
            ending
        };
        let gone = |_| Refusal::new(Code::ServerError, "The hub is shutting down.");
        ending.await.map_err(gone)?
    }

    /// Lets a device in; what the hub has for it comes out of the channel, whose
    /// end means that the hub ends the link.
    pub(super) fn connect(
        &self,
        claim: DeviceClaim,
        password: &[u8],
        clean: bool,
    ) -> Result<(Welcome, mpsc::Receiver<Box<Output>>), Denied> {
        let mut state = self.lock();
        let now = self.now();
        let ends = auth::device(&state.world, &self.names, &claim, password, now)
            .ok_or(Denied::NotAuthorized)?;
        let ends = state.device_tokens.end(password, ends, now);
        if ends <= now {
            return Err(Denied::NotAuthorized);
        }
        let hello = Hello {
            clean,
            model_id: claim.model_id,
            token_ends: Some(ends),
        };
        let connected = state.world.connect(&claim.id, hello, now);
        let welcome = connected.map_err(|_| Denied::NotAuthorized)?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        state.links.insert(welcome.link, sender);
        // Not kept is not connected: the device may try again.
        if state.settle(&self.sooner, now, Nature::Wish).is_err() {
            state.links.remove(&welcome.link);
            return Err(Denied::Unavailable);
        }
        Ok((welcome, receiver))
    }

    /// A device's link is over, from whichever end.
    pub(super) fn disconnect(&self, link: LinkId) {
        let mut state = self.lock();
        state.links.remove(&link);
        state.world.disconnect(link, self.now());
        state.settle_fact(&self.sooner, self.now());
    }

    /// Wakes whatever is due, until `end`.
    pub(super) async fn clock(&self, end: CancellationToken) {
        loop {
            let wait = {
                let mut state = self.lock();
                let now = self.now();
                state.world.tick(now);
                state.settle_fact(&self.sooner, now);
                state.keep_ledger();
                state.armed = state.world.next_due();
                state
                    .armed
                    .map(|due| (due - now).try_into().unwrap_or_default())
            };
            let wait = wait.map_or(LOOK, |wait: Duration| wait.min(LOOK));
            tokio::select! {
                () = end.cancelled() => return,
                () = self.sooner.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Lets every waiting caller and link go.
    pub(super) fn shut(&self) {
        self.faults.end();
        let mut state = self.lock();
        state.callers.clear();
        state.links.clear();
        state.keep_ledger();
    }

    /// Lets every commit fail from now on, or none.
    #[cfg(test)]
    pub(super) fn fail_commits(&self, on: bool) {
        self.lock().store.as_ref().expect("a kept hub").fail(on);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a device is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// It has not proved to be a device that may.
    NotAuthorized,
    /// The hub cannot take it now.
    Unavailable,
}

/// Can a change be taken back?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    /// Somebody wants it, and can be refused.
    Wish,
    /// It has happened.
    Fact,
}

impl State {
    /// Keeps what changed, sends the outputs, and wakes the clock if something
    /// is due sooner than it knows. What cannot be kept is taken back, unless
    /// it is a fact.
    fn settle(&mut self, sooner: &Notify, now: Timestamp, nature: Nature) -> Result<(), Refusal> {
        let kept = self.keep(now);
        match (&kept, nature) {
            // Facts of earlier may go on waiting.
            (None, _) => self.world.changes_must_wait(),
            (Some(Ok(())), _) => self.world.changes_are_kept(),
            (Some(Err(_)), Nature::Wish) => self.world.take_back(),
            (Some(Err(_)), Nature::Fact) => self.world.changes_must_wait(),
        }
        for output in self.world.take_outputs() {
            self.send(output);
        }
        let due = self.world.next_due();
        if due.is_some_and(|due| self.armed.is_none_or(|armed| due < armed)) {
            self.armed = due;
            sooner.notify_one();
        }
        kept.unwrap_or(Ok(()))
    }

    fn settle_fact(&mut self, sooner: &Notify, now: Timestamp) {
        if let Err(refusal) = self.settle(sooner, now, Nature::Fact) {
            tracing::warn!(%refusal.message, "a fact waits to be kept");
        }
    }

    /// Commits what changed, and notes it for reads that lag; `None` when nothing
    /// changed.
    fn keep(&mut self, now: Timestamp) -> Option<Result<(), Refusal>> {
        if !self.world.has_fresh_changes() {
            return None;
        }
        let changes = self.world.changes();
        if let Some(store) = &mut self.store
            && let Err(error) = store.commit(&changes, self.world.ledger())
        {
            tracing::error!(%error, "a change was not kept");
            let text = "The hub could not keep the change, so nothing was changed.";
            return Some(Err(Refusal::new(Code::ServerError, text)));
        }
        if let Some(past) = &mut self.past {
            for (id, device) in changes {
                past.note(id, device, now);
            }
        }
        Some(Ok(()))
    }

    /// Keeps the hub's own numbers, when they are others than the kept ones. Reads
    /// are billed but change nothing: a kill may forget those of the last minute.
    fn keep_ledger(&mut self) {
        let ledger = self.world.ledger();
        if let Some(store) = self.store.as_mut().filter(|store| store.is_behind(&ledger))
            && let Err(error) = store.commit(&[], ledger)
        {
            tracing::warn!(%error, "the day's messages are not kept");
        }
    }

    fn send(&mut self, output: Output) {
        match output {
            Output::Answered { call, result } => {
                if let Some(caller) = self.callers.remove(&call) {
                    // A caller that left does not want the answer.
                    let _ = caller.send(result);
                }
            }
            Output::Close { link, why } => {
                tracing::debug!(?link, ?why, "the hub ends a link");
                self.links.remove(&link);
            }
            Output::Method { link, .. } | Output::Desired { link, .. } => {
                let Some(to) = self.links.get(&link) else {
                    return;
                };
                if matches!(
                    to.try_send(Box::new(output)),
                    Err(mpsc::error::TrySendError::Full(_))
                ) {
                    tracing::warn!(?link, "a device does not read; its link is cut");
                    self.links.remove(&link);
                }
            }
        }
    }
}
