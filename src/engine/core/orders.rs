//! Orders: from the leave to go out to the device's answer.
//!
//! ```text
//!  invoke ─► (tag) ─► Commit (invoked) ─► send ─► Invoke ─► answered
//!    ▲                                     │ stale            │ surely not delivered
//!    └── rebase ◄── the twin is read ◄─────┴── try_again ◄────┘ put off
//! ```

use std::time::Duration;

use crate::domain::backoff::Backoff;
use crate::domain::dialect::Dialect;
use crate::domain::event::{Event, What};
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::method::{MethodAnswer, MethodCall};
use crate::domain::problem::{Kind, Problem};
use crate::domain::twin::Twin;
use crate::domain::update::{Baseline, Delivery};
use crate::hub::{self, HubError};
use crate::journal::{JournalError, Receipt};

use super::baseline::BaselineRead;
use super::flights::{Flight, MAY_GO_ON, NOT_REACHED};
use super::starts::Starting;
use super::{Core, Now, Output};

#[derive(Debug)]
pub(super) struct Order {
    /// The proof of the intent; each order has one of its own when it goes out.
    pub(super) intended: Receipt,
    pub(super) call: MethodCall,
    /// When its baseline was read.
    pub(super) read: BaselineRead,
    pub(super) tries: u32,
    pub(super) backoff: Backoff,
    /// Is a call under way? Each has one answer.
    pub(super) calling: bool,
    /// When it is tried again.
    pub(super) again: Option<Duration>,
    /// Its time has come: it goes out when the twin has been read again.
    pub(super) rebase: bool,
    /// What the twin held when it was read again: told when the order goes out.
    pub(super) rebased: Option<Baseline>,
}

impl Order {
    /// Was it surely not delivered so far, and is it to be tried again?
    pub(super) fn waits(&self) -> bool {
        self.again.is_some() || self.rebase
    }
}

impl Core {
    /// The order may go out, when the device is taken: that is committed first, and
    /// sent when the journal has confirmed that the update is open and ours.
    pub(super) fn invoke(&mut self, id: &UpdateId, now: Now) {
        let Some(order) = self.flights.get_mut(id).and_then(|f| f.order.as_mut()) else {
            return;
        };
        order.again = None;
        order.rebase = false;
        if self.stopping {
            let problem = ended_before(&order.call.device);
            return self.undelivered(id, problem, now);
        }
        if let Err(problem) = self.gate.check(now.at) {
            return self.undelivered(id, problem, now);
        }
        if !self.holds(id, now) {
            return;
        }
        let Some(order) = self.flights.get_mut(id).and_then(|f| f.order.as_mut()) else {
            return;
        };
        // Committing the intent, or taking the tag, may have taken long.
        if order.read.is_stale(now) {
            return self.try_again(id);
        }
        let rebased = order
            .rebased
            .take()
            .map(|baseline| What::Rebased { baseline });
        let invoked = What::Invoked {
            attempt: order.tries + 1,
            latest: order.read.hub_time(now),
        };
        self.tell(id, rebased.into_iter().chain([invoked]).collect(), now);
    }

    /// That the order goes out now is on the disk: sends it, if nothing has come
    /// between and the gate gives leave.
    fn send(&mut self, id: &UpdateId, receipt: &Receipt, now: Now) {
        let Some(flight) = self.flights.get_mut(id) else {
            return;
        };
        let given_up = flight.given_up;
        let Some(order) = flight.order.as_mut() else {
            return;
        };
        if given_up {
            return self.give_up(id, "by the operator", NOT_REACHED, now);
        }
        if self.stopping {
            let problem = ended_before(&order.call.device);
            return self.undelivered(id, problem, now);
        }
        // The disk was slow, or the machine slept: the baseline is too old now.
        if order.read.is_stale(now) {
            return self.try_again(id);
        }
        match self.gate.permit(receipt, order.call.clone(), now.at) {
            Ok(permit) => {
                order.tries += 1;
                order.calling = true;
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

    /// A decision is on the disk, so it holds; or it is not, and why.
    pub(super) fn committed(
        &mut self,
        id: &UpdateId,
        result: Result<Option<Receipt>, JournalError>,
        now: Now,
    ) {
        let flight = self.flights.get_mut(id);
        let Some((events, flight)) = flight.and_then(|f| Some((f.pending.take()?, f))) else {
            return;
        };
        match result {
            Ok(Some(receipt)) => {
                self.fold(id, events, now);
                self.send(id, &receipt, now);
            }
            Ok(None) => {
                self.fold(id, events, now);
                self.give_up_at_last(id, now);
            }
            Err(JournalError::Over { verdict }) => self.overruled(*verdict, now),
            Err(error) if events.iter().any(is_invoked) => {
                let title = format!("{} was not invoked", flight.update.device);
                let because = error.problem();
                let problem = Problem {
                    title,
                    cause: because.line(),
                    ..because
                };
                self.undelivered(id, problem, now);
            }
            // It holds all the same; the next start finds it out again.
            Err(error) => {
                self.fold(id, events, now);
                self.recorded(Err(error), now);
                self.give_up_at_last(id, now);
            }
        }
    }

    /// Nothing is under way any more: what was to be given up then is.
    fn give_up_at_last(&mut self, id: &UpdateId, now: Now) {
        let asked = |f: &Flight| f.given_up && !f.is_calling();
        if self.flights.get(id).is_some_and(asked) {
            self.give_up(id, "by the operator", MAY_GO_ON, now);
        }
    }

    /// The engine ends: orders that wait go out no more, and that is told while
    /// it is known.
    pub(super) fn stop(&mut self, now: Now) {
        self.stopping = true;
        let waiting: Vec<UpdateId> = self
            .flights
            .values()
            .filter(|f| f.update.is_open() && f.waits() && !f.is_pending())
            .map(|f| f.update.id.clone())
            .collect();
        for id in waiting {
            if let Some(flight) = self.flights.get(&id) {
                let problem = ended_before(&flight.update.device);
                self.undelivered(&id, problem, now);
            }
        }
        self.last_tags(now);
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
        self.give_up_at_last(id, now);
    }

    /// Nothing was delivered: tries again later, if there are tries left.
    pub(super) fn put_off(
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

    /// The order is to go out again: what the device did meanwhile is not ours,
    /// so the twin as it is now is the baseline, unless somebody else's update is
    /// under way or holds the device.
    pub(super) fn rebase(&mut self, id: &UpdateId, twin: &Twin, read: BaselineRead, now: Now) {
        let Some(flight) = self.flights.get(id) else {
            return;
        };
        let ordered_in = flight.update.intent.dialect.clone();
        let dialect = self.dialect_of(&flight.update, twin).clone();
        let choice = self.choice(&twin.device_id, &twin.reported);
        let unclear = choice.unclear(&twin.device_id);
        let refused = self.another_holds(id).or(unclear);
        if let Some(problem) = refused.or_else(|| self.under_way(&dialect, twin, now)) {
            return self.undelivered(id, problem, now);
        }
        if dialect.name != ordered_in {
            return self.undelivered(id, other_dialect(&dialect, &ordered_in, twin), now);
        }
        let baseline = Baseline::of(twin, &dialect);
        if let Some(order) = self.flights.get_mut(id).and_then(|f| f.order.as_mut()) {
            order.read = read;
            order.rebased = Some(baseline);
        }
        self.invoke(id, now);
    }

    /// An order's time has come: it goes out when the twin has been read.
    pub(super) fn try_again(&mut self, id: &UpdateId) {
        if let Some(order) = self.flights.get_mut(id).and_then(|f| f.order.as_mut()) {
            order.again = None;
            order.rebase = true;
        }
    }

    /// Is something being written down on which it depends whether an order goes out?
    #[must_use]
    pub fn is_committing(&self) -> bool {
        let intends = |s: &Starting| matches!(s, Starting::Intent { .. });
        self.starting.values().any(intends) || self.flights.values().any(Flight::is_pending)
    }
}

fn ended_before(device: &DeviceId) -> Problem {
    let title = format!("{device} was not invoked");
    let cause = "otadeck was ended before the order went out";
    Problem::new(Kind::Internal, title, cause)
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

pub(super) fn is_invoked(event: &Event) -> bool {
    matches!(event.what, What::Invoked { .. })
}
