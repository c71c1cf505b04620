//! Updates in flight: the order, its answer, what the device reports, the end.

use std::time::Duration;

use crate::domain::backoff::Backoff;
use crate::domain::event::{Event, What};
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::method::{MethodAnswer, MethodCall};
use crate::domain::problem::Problem;
use crate::domain::twin::Twin;
use crate::domain::update::{Delivery, OpenState, Outcome, Update};
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
    began: Duration,
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
}

impl Flight {
    pub(super) fn watched(update: Update, at: Duration) -> Self {
        Self {
            update,
            order: None,
            changed: at,
            began: at,
            journaled: false,
        }
    }

    pub(super) fn ordered(
        update: Update,
        receipt: Receipt,
        call: MethodCall,
        at: Duration,
    ) -> Self {
        let order = Order {
            receipt,
            call,
            tries: 0,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(30)),
            calling: false,
            again: None,
        };
        Self {
            order: Some(order),
            journaled: true,
            ..Self::watched(update, at)
        }
    }

    fn resumed(update: Update, at: Duration) -> Self {
        Self {
            journaled: true,
            ..Self::watched(update, at)
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
        if order.tries >= tries {
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

    pub(super) fn observe(&mut self, id: &UpdateId, twin: &Twin, now: Now) {
        if let Some(flight) = self.flights.get(id) {
            let dialects = &self.settings.dialects;
            let dialect = dialects.reading(&flight.update.intent.dialect, twin);
            let news = flight.update.observe(dialect, twin);
            self.tell(id, news, now);
        }
    }

    pub(super) fn give_up(&mut self, id: &UpdateId, why: &str, now: Now) {
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
                self.invoke(&id, now);
                continue;
            }
            if now.at >= flight.began + unsigned(self.settings.overall_deadline) {
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

    pub(super) fn flights_wake_at(&self) -> Option<Duration> {
        let deadline = unsigned(self.settings.phase_deadline);
        let overall = unsigned(self.settings.overall_deadline);
        self.flights
            .values()
            .filter(|f| f.update.is_open())
            .map(|f| {
                let stalls = (f.update.doubt.is_none() && f.update.retry.is_none())
                    .then_some(f.changed + deadline);
                let again = f.order.as_ref().and_then(|order| order.again);
                let ends = f.began + overall;
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
        let mut count = 0;
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
            count += 1;
            for event in events {
                self.publish(event);
            }
            let id = update.id.clone();
            self.fly(Flight::resumed(update, now.at));
            self.out.push(Output::Adopt(id));
        }
        self.publish(Event::general(now.wall, What::Resumed { count }));
    }

    /// An open update is ours now, or another process works on it.
    pub(super) fn adopted(&mut self, id: &UpdateId, result: Result<(), JournalError>, now: Now) {
        let Some(flight) = self.flights.get(id) else {
            return;
        };
        let device = flight.update.device.clone();
        if let Err(error) = result {
            self.flights.remove(id);
            self.open.remove(&device);
            return self.refuse(&device, error.problem(), now);
        }
        if flight.update.answer.is_none() && flight.update.phase().is_none() {
            let what = What::State {
                state: OpenState::Unknown,
                reason: "the process that started this update ended before it knew the answer. \
                         The order is not sent again; watching for a sign that the device started"
                    .to_owned(),
                evidence: None,
            };
            self.tell(id, vec![what], now);
        }
        self.reread(&device, now);
    }
}

fn unsigned(duration: jiff::SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or(Duration::ZERO)
}
