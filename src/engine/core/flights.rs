//! Updates in flight: what is known of them, what the device reports, the end. How
//! their orders go out is told in [`orders`](super::orders).

use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::backoff::Backoff;
use crate::domain::dialect::Dialect;
use crate::domain::event::{Event, What};
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::method::MethodCall;
use crate::domain::problem::{Kind, Problem};
use crate::domain::twin::Twin;
use crate::domain::update::{Outcome, Sight, Update};
use crate::journal::Receipt;

use super::baseline::BaselineRead;
use super::life::{Suspect, is_quiet};
use super::orders::{Order, is_invoked};
use super::tags::Hold;
use super::{Core, Now, Output};

/// What a device does whose update is given up.
pub(super) const MAY_GO_ON: &str = "the device may go on by itself";
pub(super) const NOT_REACHED: &str = "the order did not reach the device";

/// Ended updates that are kept for front ends that come late.
const KEPT: usize = 1_000;

/// An update, and what the engine has to do for it.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) update: Update,
    /// Absent when the device is only watched, or when the order went out in
    /// another process.
    pub(super) order: Option<Order>,
    /// Its tag on the twin; absent where the journal alone keeps devices.
    pub(super) hold: Option<Hold>,
    /// What was last seen of the twin.
    pub(super) sight: Sight,
    /// A suspicion that the registry was asked about; nothing is judged until
    /// it has answered.
    pub(super) suspect: Option<Suspect>,
    /// Was it said that nothing changes any more? Then it is read less often.
    pub(super) quiet: bool,
    /// When something last changed, since the engine's start.
    pub(super) changed: Duration,
    /// When the overall deadline is reached; after the verdict, when the device
    /// is heard no more.
    pub(super) ends: Duration,
    /// The operator has given it up while its call is under way, or about to be.
    pub(super) given_up: bool,
    /// A decision that is being committed: nothing else is decided meanwhile,
    /// and nothing of it was done or told yet.
    pub(super) pending: Option<Vec<Event>>,
    /// Was the twin read by this process? An update that was taken up is not
    /// given up at its deadline before.
    pub(super) reconciled: bool,
    /// Is it in the journal?
    journaled: bool,
    /// What contradicts its verdict, while the journal is asked whether that is
    /// another update's doing.
    pub(super) doubt: Option<What>,
}

impl Flight {
    /// A flight that only watches. The deadline counts from the intent, also
    /// when that is from an earlier process.
    pub(super) fn watched(update: Update, now: Now, overall: SignedDuration) -> Self {
        let age = now.wall.duration_since(update.intended);
        let left = overall.saturating_sub(age.max(SignedDuration::ZERO));
        Self {
            sight: Sight::of(&update),
            suspect: None,
            quiet: is_quiet(&update),
            update,
            order: None,
            hold: None,
            changed: now.at,
            ends: now.at + unsigned(left),
            given_up: false,
            pending: None,
            reconciled: true,
            journaled: false,
            doubt: None,
        }
    }

    pub(super) fn ordered(
        update: Update,
        (intended, hold): (Receipt, Option<Hold>),
        call: MethodCall,
        read: BaselineRead,
        now: Now,
        overall: SignedDuration,
    ) -> Self {
        let order = Order {
            intended,
            call,
            read,
            tries: 0,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(30)),
            calling: false,
            again: None,
            rebase: false,
            rebased: None,
        };
        Self {
            order: Some(order),
            hold,
            journaled: true,
            ..Self::watched(update, now, overall)
        }
    }

    pub(super) fn resumed(update: Update, now: Now, overall: SignedDuration) -> Self {
        Self {
            reconciled: false,
            journaled: true,
            ..Self::watched(update, now, overall)
        }
    }

    /// Was its order surely not delivered so far, and is it to be sent, perhaps
    /// when the tag is ours?
    pub(super) fn waits(&self) -> bool {
        let asks = self.pending.iter().flatten().any(is_invoked);
        asks || self.order.as_ref().is_some_and(Order::waits)
            || self.hold.as_ref().is_some_and(Hold::is_taking)
    }

    /// When its tag is renewed, or given back once more.
    pub(super) fn tag_next(&self) -> Option<Duration> {
        self.hold.as_ref().and_then(Hold::next)
    }

    /// Is it in the journal?
    pub(super) fn is_journaled(&self) -> bool {
        self.journaled
    }

    /// Does it wait for the journal?
    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// May it be given up at the deadline? What is under way is waited for: it
    /// ends by itself. And what was taken up is looked at first.
    fn may_end(&self) -> bool {
        self.reconciled && !self.is_calling() && !self.is_pending() && self.suspect.is_none()
    }

    pub(super) fn is_calling(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.calling)
    }
}

impl Core {
    /// The open update of a device, if there is one.
    pub(super) fn open_flight_of(&self, device: &DeviceId) -> Option<UpdateId> {
        self.open.get(device).cloned()
    }

    /// Takes an open flight in.
    pub(super) fn fly(&mut self, mut flight: Flight) {
        let id = flight.update.id.clone();
        if flight.order.is_none() {
            flight.hold = self.hold_of_an_earlier_process(&flight);
        }
        self.aftermath.remove(&flight.update.device);
        self.open.insert(flight.update.device.clone(), id.clone());
        self.flights.insert(id, flight);
    }

    /// The update has ended already, by another process's word: that stands, and
    /// nothing is sent any more.
    pub(super) fn overruled(&mut self, verdict: Event, now: Now) {
        let Some(id) = verdict.update_id.clone() else {
            return;
        };
        if let Some(flight) = self.flights.get_mut(&id).filter(|f| f.update.is_open()) {
            flight.pending = None;
            self.fold(&id, vec![verdict], now);
        }
    }

    /// A twin was read: what it says, or, while an order that did not arrive
    /// waits, whether that may go out again.
    pub(super) fn observe(&mut self, id: &UpdateId, twin: &Twin, read: BaselineRead, now: Now) {
        self.see_tag(id, twin, now);
        let Some(flight) = self.flights.get(id) else {
            return;
        };
        if flight.is_pending() {
            return;
        }
        if flight.waits() {
            if flight.order.as_ref().is_some_and(|order| order.rebase) {
                self.rebase(id, twin, read, now);
            }
            return;
        }
        let dialect = self.dialect_of(&flight.update, twin).clone();
        let again = flight.update.reconnected(twin);
        self.tell(id, again.into_iter().collect(), now);
        let Some(flight) = self.flights.get_mut(id) else {
            return;
        };
        flight.reconciled = true;
        let before = flight.sight.clone();
        match flight.sight.take(&dialect, twin) {
            _ if flight.suspect.is_some() => {}
            Some(suspicion) => self.suspect(id, suspicion, twin),
            None => self.judge(id, &dialect, twin, now),
        }
        if let Some(flight) = self.flights.get(id) {
            let lost = flight.update.disconnected(&before, twin);
            self.tell(id, lost.into_iter().collect(), now);
        }
    }

    /// What a twin that nothing is suspicious about says.
    fn judge(&mut self, id: &UpdateId, dialect: &Dialect, twin: &Twin, now: Now) {
        let Some(flight) = self.flights.get(id) else {
            return;
        };
        let mut news = flight.update.observe(dialect, twin);
        let ends = |what: &What| matches!(what, What::Verdict { .. });
        if flight.is_calling() {
            if news.iter().any(ends) {
                // The answer may say otherwise; the next read judges with it.
                return;
            }
            // The answer must find nothing being committed; the next read tells it.
            news.retain(|what| !is_decision(what));
        }
        self.tell(id, news, now);
        self.expect_change(id, now);
    }

    /// The dialect to read an update's twin in. Where the baseline held a status
    /// it is that one's, if it is still configured: what another dialect says may
    /// be of any age.
    pub(super) fn dialect_of(&self, update: &Update, twin: &Twin) -> &Dialect {
        let dialects = &self.settings.dialects;
        let name = &update.intent.dialect;
        match (dialects.find(name), &update.intent.baseline.value) {
            (Some(dialect), Some(_)) if update.replaced.is_none() => dialect,
            _ => dialects.reading(name, twin),
        }
    }

    /// The operator gives an update up. One whose call is under way keeps its
    /// device until the answer is known.
    pub(super) fn give_up_asked(&mut self, id: &UpdateId, now: Now) {
        let Some(flight) = self.flights.get_mut(id).filter(|f| f.update.is_open()) else {
            return;
        };
        if flight.is_calling() || flight.is_pending() {
            flight.given_up = true;
            let device = flight.update.device.clone();
            let title = format!("the order to {device} is on its way");
            let problem = Problem::new(Kind::Busy, title, "its answer is not known yet")
                .hint("It is given up as soon as the answer is known.");
            return self.refuse(&device, problem, now);
        }
        let device = match flight.waits() {
            true => NOT_REACHED,
            false => MAY_GO_ON,
        };
        self.give_up(id, "by the operator", device, now);
    }

    pub(super) fn give_up(&mut self, id: &UpdateId, why: &str, fate: &str, now: Now) {
        let Some(flight) = self.flights.get(id) else {
            return;
        };
        let device = &flight.update.device;
        let what = What::Verdict {
            outcome: Outcome::GivenUp,
            reason: format!("{device} was given up {why}; {fate}"),
            evidence: None,
            reported: serde_json::Value::Null,
            problem: None,
        };
        self.tell(id, vec![what], now);
    }

    /// Tells what happened to an open update: observations at once, decisions
    /// when they are on the disk. While one is being committed nothing else is
    /// decided: the next read tells it again.
    pub(super) fn tell(&mut self, id: &UpdateId, news: Vec<What>, now: Now) {
        let Some(flight) = self.flights.get_mut(id).filter(|f| f.update.is_open()) else {
            return;
        };
        if news.is_empty() || flight.is_pending() {
            return;
        }
        let journaled = flight.journaled;
        let (decided, seen): (Vec<_>, Vec<_>) = news.into_iter().partition(is_decision);
        if !seen.is_empty() {
            self.say(id, seen, now);
        }
        match self.flights.get_mut(id) {
            _ if decided.is_empty() => {}
            Some(flight) if journaled => {
                let events = events(&flight.update, decided, now);
                flight.pending = Some(events.clone());
                let update = id.clone();
                self.out.push(Output::Commit { update, events });
            }
            _ => self.say(id, decided, now),
        }
    }

    /// Writes down what happened to an update, open or ended, and folds it in.
    pub(super) fn say(&mut self, id: &UpdateId, news: Vec<What>, now: Now) {
        let Some(flight) = self.flights.get(id) else {
            return;
        };
        let events = events(&flight.update, news, now);
        if flight.journaled {
            self.out.push(Output::Record(events.clone()));
        }
        self.fold(id, events, now);
    }

    /// Folds events into their update and publishes them; what follows from
    /// that.
    pub(super) fn fold(&mut self, id: &UpdateId, events: Vec<Event>, now: Now) {
        let Some(flight) = self.flights.get_mut(id) else {
            return;
        };
        let was_open = flight.update.is_open();
        let device = flight.update.device.clone();
        for event in &events {
            flight.update.apply(event);
            if matches!(event.what, What::Rebased { .. }) {
                flight.sight = Sight::of(&flight.update);
            }
        }
        let progress = |event: &Event| !matches!(event.what, What::Connection { .. });
        let mut awake = false;
        if was_open && events.iter().any(progress) {
            flight.changed = now.at;
            awake = std::mem::take(&mut flight.quiet);
        }
        let ended = was_open && !flight.update.is_open();
        if ended {
            flight.order = None;
            flight.suspect = None;
        }
        events.into_iter().for_each(|event| self.publish(event));
        if ended {
            self.open.remove(&device);
            self.ended(id, now);
            self.let_go(id, now);
            self.reread(&device, now);
            self.forget_old_flights();
        } else if awake {
            self.reread(&device, now);
        }
    }

    fn forget_old_flights(&mut self) {
        while self.flights.len() > KEPT {
            let oldest = self
                .flights
                .iter()
                .find(|(_, f)| !f.update.is_open())
                .map(|(id, _)| id.clone());
            let Some(flight) = oldest.and_then(|id| self.flights.remove(&id)) else {
                return;
            };
            let device = &flight.update.device;
            if self.aftermath.get(device) == Some(&flight.update.id) {
                self.aftermath.remove(device);
            }
        }
    }

    /// Retries and deadlines that are due.
    pub(super) fn flights_due(&mut self, now: Now) {
        let open: Vec<UpdateId> = self
            .flights
            .values()
            .filter(|f| f.update.is_open())
            .map(|f| f.update.id.clone())
            .collect();
        for id in open {
            let Some(flight) = self.flights.get(&id) else {
                continue;
            };
            let again = flight.order.as_ref().and_then(|order| order.again);
            if now.at >= flight.ends && flight.may_end() {
                let device = match flight.waits() {
                    true => NOT_REACHED,
                    false => MAY_GO_ON,
                };
                self.give_up(&id, "at the overall deadline", device, now);
            } else if again.is_some_and(|at| at <= now.at) {
                self.try_again(&id);
            } else if self.overdue_at(flight).is_some_and(|at| at <= now.at) {
                self.overdue(&id, now);
            }
        }
    }

    pub(super) fn flights_wake_at(&self) -> Option<Duration> {
        let open = self.flights.values().filter(|f| f.update.is_open());
        let times = open.flat_map(|f| {
            let again = f.order.as_ref().and_then(|order| order.again);
            [self.overdue_at(f), again, f.may_end().then_some(f.ends)]
        });
        times.flatten().min()
    }
}

/// Is nothing done or said of it before it is on the disk?
fn is_decision(what: &What) -> bool {
    matches!(
        what,
        What::Rebased { .. } | What::Invoked { .. } | What::Verdict { .. }
    )
}

fn events(update: &Update, news: Vec<What>, now: Now) -> Vec<Event> {
    let event = |what| Event::update(now.wall, update.device.clone(), update.id.clone(), what);
    news.into_iter().map(event).collect()
}

pub(super) fn unsigned(duration: jiff::SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or(Duration::ZERO)
}
