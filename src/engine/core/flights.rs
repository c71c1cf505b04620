//! Updates in flight: the order, its answer, what the device reports, the end.

use std::collections::HashMap;
use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::backoff::Backoff;
use crate::domain::event::{Event, What};
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::method::{MethodAnswer, MethodCall};
use crate::domain::problem::{Kind, Problem};
use crate::domain::twin::Twin;
use crate::domain::update::{Baseline, Delivery, OpenState, Outcome, Update};
use crate::hub::{self, HubError};
use crate::journal::{JournalError, Receipt};

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
    /// When something last changed, since the engine's start.
    changed: Duration,
    /// When the overall deadline is reached.
    ends: Duration,
    /// The operator has given it up while its call is under way.
    given_up: bool,
    /// Is it in the journal?
    journaled: bool,
}

#[derive(Debug)]
struct Order {
    receipt: Receipt,
    call: MethodCall,
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
        now: Now,
        overall: SignedDuration,
    ) -> Self {
        let order = Order {
            receipt,
            call,
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

    fn resumed(update: Update, now: Now, overall: SignedDuration) -> Self {
        Self {
            journaled: true,
            ..Self::watched(update, now, overall)
        }
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
                self.tell(id, vec![What::Invoked { attempt }], now);
                let update = id.clone();
                self.out.push(Output::Invoke { update, permit });
            }
            Err(problem) => self.undelivered(id, problem, now),
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
        let known = matches!(what, What::State { .. }) && flight.update.phase().is_some();
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
        let Some(order) = self.flights.get_mut(id).and_then(|f| f.order.as_mut()) else {
            return false;
        };
        if order.tries >= tries || self.stopping {
            return false;
        }
        let wait = order
            .backoff
            .next_wait(now.chance)
            .max(wait.unwrap_or_default());
        order.again = Some(now.at + wait);
        let at = now.wall + wait;
        let problem = problem.clone();
        self.tell(id, vec![What::Retrying { problem, at }], now);
        true
    }

    fn undelivered(&mut self, id: &UpdateId, problem: Problem, now: Now) {
        if let Some(flight) = self.flights.get(id) {
            let what = flight.update.answered(&Delivery::NotDelivered(problem));
            self.tell(id, vec![what], now);
        }
    }

    /// A twin was read: what it says, or, while an order that did not arrive
    /// waits, whether that may go out again.
    pub(super) fn observe(&mut self, id: &UpdateId, twin: &Twin, now: Now) {
        if let Some(flight) = self.flights.get(id) {
            if let Some(order) = flight.order.as_ref().filter(|order| order.waits()) {
                if order.rebase {
                    self.rebase(id, twin, now);
                }
                return;
            }
            let dialects = &self.settings.dialects;
            let dialect = dialects.reading(&flight.update.intent.dialect, twin);
            let news = flight.update.observe(dialect, twin);
            self.tell(id, news, now);
        }
    }

    /// The order is to go out again: what the device did meanwhile is not ours,
    /// so the twin as it is now is the baseline, unless somebody else's update is
    /// under way.
    fn rebase(&mut self, id: &UpdateId, twin: &Twin, now: Now) {
        let Some(name) = self.flights.get(id).map(|f| &f.update.intent.dialect) else {
            return;
        };
        let dialect = self.settings.dialects.reading(name, twin).clone();
        if let Some(problem) = self.under_way(&dialect, twin, now) {
            return self.undelivered(id, problem, now);
        }
        let baseline = Baseline::of(twin, &dialect);
        self.tell(id, vec![What::Rebased { baseline }], now);
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
        let what = What::Verdict {
            outcome: Outcome::GivenUp,
            reason: format!("given up {why}; the device may go on by itself"),
            evidence: None,
            reported: serde_json::Value::Null,
            problem: None,
        };
        self.tell(id, vec![what], now);
    }

    /// Folds news into an update, writes them down and publishes them.
    fn tell(&mut self, id: &UpdateId, news: Vec<What>, now: Now) {
        let Some(flight) = self.flights.get_mut(id).filter(|f| f.update.is_open()) else {
            return;
        };
        if news.is_empty() {
            return;
        }
        flight.changed = now.at;
        let device = flight.update.device.clone();
        let mut events = Vec::with_capacity(news.len());
        for what in news {
            let event = Event::update(now.wall, device.clone(), id.clone(), what);
            flight.update.apply(&event);
            events.push(event);
        }
        let ended = !flight.update.is_open();
        if ended {
            flight.order = None;
        }
        if flight.journaled {
            self.out.push(Output::Record(events.clone()));
        }
        for event in events {
            self.publish(event);
        }
        if ended {
            self.open.remove(&device);
            self.reread(&device, now);
            self.forget_old_flights();
        }
    }

    fn forget_old_flights(&mut self) {
        while self.flights.len() > KEPT {
            let oldest = self
                .flights
                .iter()
                .find(|(_, f)| !f.update.is_open())
                .map(|(id, _)| id.clone());
            match oldest {
                Some(id) => self.flights.remove(&id),
                None => return,
            };
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
            if again.is_some_and(|at| at <= now.at) {
                self.try_again(&id);
                continue;
            }
            if now.at >= flight.ends {
                self.give_up(&id, "at the overall deadline", now);
                continue;
            }
            let deadline = self.settings.phase_deadline;
            let due = now.at >= flight.changed + unsigned(deadline);
            if due && let Some(what) = flight.update.overdue(deadline) {
                self.tell(&id, vec![what], now);
            }
        }
    }

    /// An order's time has come: it goes out when the twin has been read.
    fn try_again(&mut self, id: &UpdateId) {
        if let Some(order) = self.flights.get_mut(id).and_then(|f| f.order.as_mut()) {
            order.again = None;
            order.rebase = true;
        }
    }

    pub(super) fn flights_wake_at(&self) -> Option<Duration> {
        let deadline = unsigned(self.settings.phase_deadline);
        self.flights
            .values()
            .filter(|f| f.update.is_open())
            .map(|f| {
                let stalls = (f.update.doubt.is_none() && f.update.retry.is_none())
                    .then_some(f.changed + deadline);
                let again = f.order.as_ref().and_then(|order| order.again);
                let ends = f.ends;
                [stalls, again]
                    .into_iter()
                    .flatten()
                    .fold(ends, Duration::min)
            })
            .min()
    }

    /// The journal's open updates: take each over.
    pub(super) fn opened(&mut self, result: Result<Vec<Vec<Event>>, JournalError>, now: Now) {
        let updates = match result {
            Ok(updates) => updates,
            Err(error) => {
                let problem = error.problem();
                return self.publish(Event::general(now.wall, What::JournalProblem { problem }));
            }
        };
        self.resume = Resume::default();
        for events in updates {
            let Some(mut update) = events.first().and_then(Update::intended) else {
                continue;
            };
            if self.flights.contains_key(&update.id) {
                continue;
            }
            for event in &events[1..] {
                update.apply(event);
            }
            let id = update.id.clone();
            self.resume.waiting.insert(id.clone(), (update, events));
            self.out.push(Output::Adopt(id));
        }
        self.resumed(now);
    }

    /// Tells that all open updates of the journal are taken up, when they are.
    fn resumed(&mut self, now: Now) {
        if self.resume.waiting.is_empty() {
            let count = self.resume.count;
            self.publish(Event::general(now.wall, What::Resumed { count }));
        }
    }

    /// An open update is ours now, or another process works on it.
    pub(super) fn adopted(&mut self, id: &UpdateId, result: Result<(), JournalError>, now: Now) {
        let Some((update, events)) = self.resume.waiting.remove(id) else {
            return;
        };
        match result {
            Ok(()) => {
                self.resume.count += 1;
                events.into_iter().for_each(|event| self.publish(event));
                self.carry_on(update, now);
            }
            Err(error) => self.refuse(&update.device, error.problem(), now),
        }
        self.resumed(now);
    }

    /// The dialect of a resumed update is not configured any more.
    fn tell_of_a_lost_dialect(&mut self, update: &Update, now: Now) {
        let name = &update.intent.dialect;
        if self.settings.dialects.find(name).is_some() {
            return;
        }
        let title = format!("dialect {name:?} is not configured any more");
        let cause = format!(
            "the update of {} began in it and is read in the dialect that the device is \
             recognised by",
            update.device
        );
        let problem = Problem::new(Kind::Dialect, title, cause)
            .hint("An end is believed only when something shows that it is this update's.");
        let what = What::DeviceProblem { problem };
        self.publish(Event::device(now.wall, update.device.clone(), what));
    }

    fn carry_on(&mut self, update: Update, now: Now) {
        let (id, device) = (update.id.clone(), update.device.clone());
        let told = matches!(update.doubt, Some((OpenState::Unknown, _)));
        self.tell_of_a_lost_dialect(&update, now);
        let silent = update.answer.is_none() && update.phase().is_none() && !told;
        self.fly(Flight::resumed(update, now, self.settings.overall_deadline));
        if silent {
            let what = What::State {
                state: OpenState::Unknown,
                reason: "the process that started this update ended before it knew the answer. \
                         The order is not sent again; watching for a sign that the device started"
                    .to_owned(),
                evidence: None,
            };
            self.tell(&id, vec![what], now);
        }
        self.reread(&device, now);
    }
}

/// The taking up of the journal's open updates.
#[derive(Debug, Default)]
pub(super) struct Resume {
    /// Whose lease is asked for.
    waiting: HashMap<UpdateId, (Update, Vec<Event>)>,
    /// Those that were taken up.
    count: usize,
}

impl Resume {
    pub(super) fn is_under_way(&self) -> bool {
        !self.waiting.is_empty()
    }
}

fn unsigned(duration: jiff::SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or(Duration::ZERO)
}
