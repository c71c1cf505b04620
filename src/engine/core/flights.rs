//! Updates in flight: the order, its answer, what the device reports, the end.

use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::backoff::Backoff;
use crate::domain::dialect::Dialect;
use crate::domain::event::{Event, What};
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::method::{MethodAnswer, MethodCall};
use crate::domain::problem::{Kind, Problem};
use crate::domain::twin::Twin;
use crate::domain::update::{Baseline, Delivery, Outcome, Sight, Update};
use crate::hub::{self, HubError};
use crate::journal::Receipt;

use super::baseline::BaselineRead;
use super::life::{Suspect, is_quiet};
use super::{Core, Now, Output};

/// Ended updates that are kept for front ends that come late.
const KEPT: usize = 1_000;

/// An update, and what the engine has to do for it.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) update: Update,
    /// Absent when the device is only watched, or when the order went out in
    /// another process.
    order: Option<Order>,
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
    /// The operator has given it up while its call is under way.
    given_up: bool,
    /// Is it in the journal?
    journaled: bool,
}

#[derive(Debug)]
struct Order {
    receipt: Receipt,
    call: MethodCall,
    /// When its baseline was read.
    read: BaselineRead,
    tries: u32,
    backoff: Backoff,
    /// Is a call under way? Each has one answer.
    calling: bool,
    /// When it is tried again.
    again: Option<Duration>,
    /// Its time has come: it goes out when the twin has been read again.
    rebase: bool,
}

impl Order {
    /// Was it surely not delivered so far, and is it to be tried again?
    fn waits(&self) -> bool {
        self.again.is_some() || self.rebase
    }
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
            changed: now.at,
            ends: now.at + unsigned(left),
            given_up: false,
            journaled: false,
        }
    }

    pub(super) fn ordered(
        update: Update,
        receipt: Receipt,
        call: MethodCall,
        read: BaselineRead,
        now: Now,
        overall: SignedDuration,
    ) -> Self {
        let order = Order {
            receipt,
            call,
            read,
            tries: 0,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(30)),
            calling: false,
            again: None,
            rebase: false,
        };
        Self {
            order: Some(order),
            journaled: true,
            ..Self::watched(update, now, overall)
        }
    }

    pub(super) fn resumed(update: Update, now: Now, overall: SignedDuration) -> Self {
        Self {
            journaled: true,
            ..Self::watched(update, now, overall)
        }
    }

    /// Was its order surely not delivered so far, and is it to be tried again?
    pub(super) fn waits(&self) -> bool {
        self.order.as_ref().is_some_and(Order::waits)
    }

    fn is_calling(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.calling)
    }
}

impl Core {
    /// The open update of a device, if there is one.
    pub(super) fn open_flight_of(&self, device: &DeviceId) -> Option<UpdateId> {
        self.open.get(device).cloned()
    }

    /// Takes an open flight in.
    pub(super) fn fly(&mut self, flight: Flight) {
        let id = flight.update.id.clone();
        self.aftermath.remove(&flight.update.device);
        self.open.insert(flight.update.device.clone(), id.clone());
        self.flights.insert(id, flight);
    }

    /// Sends the order out, if the gate gives leave.
    pub(super) fn invoke(&mut self, id: &UpdateId, now: Now) {
        let Some(order) = self.flights.get_mut(id).and_then(|f| f.order.as_mut()) else {
            return;
        };
        order.again = None;
        order.rebase = false;
        if self.stopping {
            let title = format!("{} was not invoked", order.call.device);
            let cause = "otadeck was ended before the order went out";
            return self.undelivered(id, Problem::new(Kind::Internal, title, cause), now);
        }
        match self.gate.permit(&order.receipt, order.call.clone(), now.at) {
            Ok(permit) => {
                order.tries += 1;
                order.calling = true;
                let attempt = order.tries;
                let latest = order.read.hub_time(now);
                self.tell(id, vec![What::Invoked { attempt, latest }], now);
                let update = id.clone();
                self.out.push(Output::Invoke { update, permit });
            }
            Err(mut problem) => {
                let device = &order.call.device;
                problem.title = format!("{device} was not invoked: {}", problem.title);
                self.undelivered(id, problem, now);
            }
        }
    }

    pub(super) fn answered(
        &mut self,
        id: &UpdateId,
        result: Result<MethodAnswer, HubError>,
        now: Now,
    ) {
        let Some(flight) = self.flights.get_mut(id).filter(|f| f.update.is_open()) else {
            return;
        };
        match &mut flight.order {
            Some(order) if order.calling => order.calling = false,
            _ => return,
        }
        let title = format!("{} could not be invoked", flight.update.device);
        let delivery = match result {
            Ok(answer) => Delivery::Answered(answer),
            Err(error) if error.delivery() == hub::error::Delivery::Unknown => {
                Delivery::Unknown(error.problem("the order's answer is not known"))
            }
            Err(error) => {
                let problem = error.problem(title);
                if error.is_passing() && self.put_off(id, &problem, error.wait(), now) {
                    return;
                }
                Delivery::NotDelivered(problem)
            }
        };
        let Some(flight) = self.flights.get(id) else {
            return;
        };
        let what = flight.update.answered(&delivery);
        // Whoever has seen the device at work knows that the order arrived.
        let known = matches!(what, What::State { .. }) && flight.update.has_begun();
        if !known {
            self.tell(id, vec![what], now);
        }
        if self.flights.get(id).is_some_and(|f| f.given_up) {
            self.give_up(id, "by the operator", now);
        }
    }

    /// Nothing was delivered: tries again later, if there are tries left.
    fn put_off(
        &mut self,
        id: &UpdateId,
        problem: &Problem,
        wait: Option<Duration>,
        now: Now,
    ) -> bool {
        let tries = self.settings.tries;
        let Some(flight) = self.flights.get_mut(id) else {
            return false;
        };
        let ends = flight.ends;
        let Some(order) = &mut flight.order else {
            return false;
        };
        if order.tries >= tries || self.stopping {
            return false;
        }
        // The wait that the hub names is the same for all whom it turns away:
        // the jitter comes on top, lest they all come back at once.
        let wait = wait.unwrap_or_default() + order.backoff.next_wait(now.chance);
        if now.at + wait >= ends {
            return false;
        }
        order.again = Some(now.at + wait);
        let at = now.wall + wait;
        let problem = problem.clone();
        self.tell(id, vec![What::Retrying { problem, at }], now);
        true
    }

    pub(super) fn undelivered(&mut self, id: &UpdateId, problem: Problem, now: Now) {
        if let Some(flight) = self.flights.get(id) {
            let what = flight.update.answered(&Delivery::NotDelivered(problem));
            self.tell(id, vec![what], now);
        }
    }

    /// A twin was read: what it says, or, while an order that did not arrive
    /// waits, whether that may go out again.
    pub(super) fn observe(&mut self, id: &UpdateId, twin: &Twin, read: BaselineRead, now: Now) {
        let Some(flight) = self.flights.get(id) else {
            return;
        };
        if let Some(order) = flight.order.as_ref().filter(|order| order.waits()) {
            if order.rebase {
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
        let news = flight.update.observe(dialect, twin);
        let ends = |what: &What| matches!(what, What::Verdict { .. });
        if flight.is_calling() && news.iter().any(ends) {
            // The answer may say otherwise; the next read judges with it.
            return;
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

    /// The order is to go out again: what the device did meanwhile is not ours,
    /// so the twin as it is now is the baseline, unless somebody else's update is
    /// under way.
    fn rebase(&mut self, id: &UpdateId, twin: &Twin, read: BaselineRead, now: Now) {
        let Some(flight) = self.flights.get(id) else {
            return;
        };
        let ordered_in = flight.update.intent.dialect.clone();
        let dialect = self.dialect_of(&flight.update, twin).clone();
        let choice = self.choice(&twin.device_id, &twin.reported);
        let unclear = choice.unclear(&twin.device_id);
        if let Some(problem) = unclear.or_else(|| self.under_way(&dialect, twin, now)) {
            return self.undelivered(id, problem, now);
        }
        if dialect.name != ordered_in {
            return self.undelivered(id, other_dialect(&dialect, &ordered_in, twin), now);
        }
        let baseline = Baseline::of(twin, &dialect);
        self.tell(id, vec![What::Rebased { baseline }], now);
        if let Some(flight) = self.flights.get_mut(id) {
            flight.sight = Sight::of(&flight.update);
            if let Some(order) = &mut flight.order {
                order.read = read;
            }
        }
        self.invoke(id, now);
    }

    /// The operator gives an update up. One whose call is under way keeps its
    /// device until the answer is known.
    pub(super) fn give_up_asked(&mut self, id: &UpdateId, now: Now) {
        let Some(flight) = self.flights.get_mut(id).filter(|f| f.update.is_open()) else {
            return;
        };
        if flight.order.as_ref().is_some_and(|order| order.calling) {
            flight.given_up = true;
            let device = flight.update.device.clone();
            let title = format!("the order to {device} is on its way");
            let problem = Problem::new(Kind::Busy, title, "its answer is not known yet")
                .hint("It is given up as soon as the answer is known.");
            return self.refuse(&device, problem, now);
        }
        self.give_up(id, "by the operator", now);
    }

    fn give_up(&mut self, id: &UpdateId, why: &str, now: Now) {
        let Some(flight) = self.flights.get(id) else {
            return;
        };
        let (waits, device) = (flight.waits(), &flight.update.device);
        let fate = match waits {
            true => "the order did not reach it",
            false => "it may go on by itself",
        };
        let what = What::Verdict {
            outcome: Outcome::GivenUp,
            reason: format!("{device} was given up {why}; {fate}"),
            evidence: None,
            reported: serde_json::Value::Null,
            problem: None,
        };
        self.tell(id, vec![what], now);
    }

    /// Folds news into an update, writes them down and publishes them.
    pub(super) fn tell(&mut self, id: &UpdateId, news: Vec<What>, now: Now) {
        let Some(flight) = self.flights.get_mut(id).filter(|f| f.update.is_open()) else {
            return;
        };
        if news.is_empty() {
            return;
        }
        let is_progress = |what: &What| !matches!(what, What::Connection { .. });
        let device = flight.update.device.clone();
        let mut awake = false;
        if news.iter().any(is_progress) {
            flight.changed = now.at;
            awake = std::mem::take(&mut flight.quiet);
        }
        self.say(id, news, now);
        if self.flights.get(id).is_some_and(|f| f.update.is_open()) {
            if awake {
                self.reread(&device, now);
            }
            return;
        }
        if let Some(flight) = self.flights.get_mut(id) {
            flight.order = None;
            flight.suspect = None;
        }
        self.open.remove(&device);
        self.ended(id, now);
        self.reread(&device, now);
        self.forget_old_flights();
    }

    /// Folds what happened into an update, open or ended, writes it down and
    /// publishes it.
    pub(super) fn say(&mut self, id: &UpdateId, news: Vec<What>, now: Now) {
        let Some(flight) = self.flights.get_mut(id) else {
            return;
        };
        let device = flight.update.device.clone();
        let mut events = Vec::with_capacity(news.len());
        for what in news {
            let event = Event::update(now.wall, device.clone(), id.clone(), what);
            flight.update.apply(&event);
            events.push(event);
        }
        if flight.journaled {
            self.out.push(Output::Record(events.clone()));
        }
        for event in events {
            self.publish(event);
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
            // A call under way is waited for: it ends by itself.
            if now.at >= flight.ends && !flight.is_calling() {
                self.give_up(&id, "at the overall deadline", now);
            } else if again.is_some_and(|at| at <= now.at) {
                self.try_again(&id);
            } else if self.overdue_at(flight).is_some_and(|at| at <= now.at) {
                self.overdue(&id, now);
            }
        }
    }

    /// An order's time has come: it goes out when the twin has been read.
    pub(super) fn try_again(&mut self, id: &UpdateId) {
        if let Some(order) = self.flights.get_mut(id).and_then(|f| f.order.as_mut()) {
            order.again = None;
            order.rebase = true;
        }
    }

    pub(super) fn flights_wake_at(&self) -> Option<Duration> {
        let open = self.flights.values().filter(|f| f.update.is_open());
        let times = open.flat_map(|f| {
            let again = f.order.as_ref().and_then(|order| order.again);
            let ends = (!f.is_calling()).then_some(f.ends);
            [self.overdue_at(f), again, ends]
        });
        times.flatten().min()
    }
}

/// A device that had said nothing, so that the order was made in the dialect
/// that is assumed, has spoken before the order reached it.
fn other_dialect(speaks: &Dialect, ordered_in: &str, twin: &Twin) -> Problem {
    let (device, speaks) = (&twin.device_id, &speaks.name);
    let cause = format!("it speaks {speaks}, as it shows now; the order was made in {ordered_in}");
    Problem::new(Kind::Dialect, format!("{device} was not invoked"), cause).hint(format!(
        "Start the update again: it will be ordered in {speaks}."
    ))
}

pub(super) fn unsigned(duration: jiff::SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or(Duration::ZERO)
}
