//! Tags on twins: taken before an order goes out, renewed while its update is
//! open, given back after the verdict. What a tag is, and why, is told in
//! [`tag`](crate::domain::tag).
//!
//! ```text
//!  invoke ─► Take ─ written ─► held ─► invoke                 verdict ─► GiveBack
//!             │ 412, or a try again      │ each 10 min                      │ 412
//!             └─► twin read again        └─► Renew ─ 412 ─► read again      └─► read again
//! ```
//!
//! There is one write or read under way for each update at most, and each has one
//! answer. What an answer means is decided by the update as it is then: a tag that
//! was taken for an update that has ended meanwhile is given back.

use std::time::Duration;

use crate::domain::backoff::Backoff;
use crate::domain::event::What;
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::problem::{Kind, Problem};
use crate::domain::tag::{Found, KEY, Lease, RENEWAL, Sighting};
use crate::domain::twin::Twin;
use crate::domain::uri;
use crate::hub::HubError;
use crate::hub::error::Delivery;

use super::baseline::BaselineRead;
use super::flights::Flight;
use super::{Core, Now, Output};

/// How long a renewal that failed waits before the next try.
const AGAIN: Duration = Duration::from_secs(60);

/// What a write or a read of a tag is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    /// To take the device before the order goes out.
    Take,
    /// To keep it.
    Renew,
    /// To let others have it.
    GiveBack,
}

/// Is the tag ours?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ours {
    /// It is not, or not yet.
    No,
    /// Nobody knows: a write whose end is not known, or an earlier process's.
    Perhaps,
    /// It stands on the twin.
    Yes,
}

/// An update's hold on its device.
#[derive(Debug)]
pub(super) struct Hold {
    /// The twin as it was last seen, and when, since the engine's start.
    seen: Option<(Sighting, Duration)>,
    /// Who held the device when somebody forced the start: no hindrance.
    past: Option<Sighting>,
    ours: Ours,
    /// The write or the read that is under way.
    under_way: Option<Aim>,
    /// When the last read for a write went out, since the engine's start.
    asked: Duration,
    /// Writes that failed, since the last that did not.
    failures: u32,
    /// Was it told since then that it cannot be renewed?
    told: bool,
    backoff: Backoff,
    /// When it is renewed, or given back once more.
    next: Option<Duration>,
}

impl Hold {
    fn new(seen: Option<(Sighting, Duration)>, ours: Ours) -> Self {
        Self {
            seen,
            past: None,
            ours,
            under_way: None,
            asked: Duration::ZERO,
            failures: 0,
            told: false,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(30)),
            next: None,
        }
    }

    /// Is the device being taken, so that the order waits?
    pub(super) fn is_taking(&self) -> bool {
        self.under_way == Some(Aim::Take)
    }

    /// Takes in the twin as it is now.
    fn saw(&mut self, seen: Sighting, update: &UpdateId, now: Now) {
        self.ours = match seen.is_of(update) {
            true => Ours::Yes,
            false => Ours::No,
        };
        self.seen = Some((seen, now.at));
    }

    /// Another's tag, as last seen; `ours` tells which updates are no hindrance.
    fn busy(&self, ours: impl FnOnce(&UpdateId) -> bool) -> Option<Problem> {
        let (seen, _) = self.seen.as_ref()?;
        let forced = self
            .past
            .as_ref()
            .is_some_and(|past| seen.same_holder(past));
        seen.busy(ours).filter(|_| !forced)
    }

    /// A write, or a read for a write, has failed. What stood before a renewal
    /// stands still, whatever became of that.
    fn failed(&mut self, aim: Aim, error: &HubError) {
        self.failures += 1;
        let stands = aim == Aim::Renew && self.ours == Ours::Yes;
        if error.delivery() == Delivery::Unknown && !stands {
            self.ours = Ours::Perhaps;
        }
    }

    /// When it is renewed, or given back once more; never while something is under
    /// way.
    pub(super) fn next(&self) -> Option<Duration> {
        self.next.filter(|_| self.under_way.is_none())
    }
}

impl Core {
    /// The hold that an update needs whose intent rests on `twin`; none where the
    /// journal alone keeps devices. When the start was forced, whoever holds the
    /// device on `twin` is no hindrance; whoever takes it after that is.
    pub(super) fn hold(&self, twin: &Twin, forced: bool, now: Now) -> Option<Hold> {
        let seen = Sighting::of(twin, now.wall);
        (self.settings.lease == Lease::Tags).then(|| Hold {
            past: forced.then(|| seen.clone()),
            ..Hold::new(Some((seen, now.at)), Ours::No)
        })
    }

    /// The hold of an update that an earlier process has begun: its tag may still
    /// stand.
    pub(super) fn hold_of_an_earlier_process(&self, flight: &Flight) -> Option<Hold> {
        let ordered = flight.update.intent.method.is_some();
        let tags = self.settings.lease == Lease::Tags && !self.settings.profile.read_only;
        (ordered && tags).then(|| Hold::new(None, Ours::Perhaps))
    }

    /// Does another's update hold the device of `twin`, for which an intent is to be
    /// made? Whoever forces the start goes past an update, not past what is no tag.
    pub(super) fn tagged(&self, twin: &Twin, forced: bool, now: Now) -> Option<Problem> {
        if self.settings.lease != Lease::Tags {
            return None;
        }
        let seen = Sighting::of(twin, now.wall);
        let goes_past = forced && matches!(seen.found(), Found::Tag(_));
        seen.busy(|id| self.has_ended(id)).filter(|_| !goes_past)
    }

    /// Does another's update hold the device of this one, as far as was seen last?
    pub(super) fn another_holds(&self, id: &UpdateId) -> Option<Problem> {
        let hold = self.flights.get(id)?.hold.as_ref()?;
        hold.busy(|holder| holder == id || self.has_ended(holder))
    }

    /// An update that has ended here is no hindrance, whatever became of its tag.
    fn has_ended(&self, id: &UpdateId) -> bool {
        self.flights.get(id).is_some_and(|f| !f.update.is_open())
    }

    /// May the order go out, as far as its tag is concerned? If not, it is being
    /// taken now.
    pub(super) fn holds(&mut self, id: &UpdateId, now: Now) -> bool {
        let hold = self.flights.get(id).and_then(|f| f.hold.as_ref());
        match hold {
            Some(hold) if hold.ours != Ours::Yes => {
                if hold.under_way.is_none() {
                    self.take(id, now);
                }
                false
            }
            _ => true,
        }
    }

    fn take(&mut self, id: &UpdateId, now: Now) {
        // What was read last may be newer than what was decided upon.
        if let Some(problem) = self.another_holds(id) {
            return self.undelivered(id, problem, now);
        }
        let Some(flight) = self.flights.get_mut(id) else {
            return;
        };
        let (Some(hold), Some(order)) = (&mut flight.hold, flight.order.as_ref()) else {
            return;
        };
        let Some((seen, at)) = &hold.seen else {
            return;
        };
        let intent = &flight.update.intent;
        let package = intent.uri.as_deref().map_or("", uri::last_part);
        let write = seen.take(&intent.by, id, package, now.at.saturating_sub(*at));
        match self.gate.take_tag(&order.intended, write, now.at) {
            Ok(permit) => {
                hold.under_way = Some(Aim::Take);
                let update = id.clone();
                self.out.push(Output::WriteTag { update, permit });
            }
            Err(problem) => self.undelivered(id, problem, now),
        }
    }

    /// A twin was read for its own sake: what it shows of the tag.
    pub(super) fn see_tag(&mut self, id: &UpdateId, twin: &Twin, now: Now) {
        let Some(flight) = self.flights.get_mut(id) else {
            return;
        };
        // A read that was made before a write is older than its answer.
        let Some(hold) = flight.hold.as_mut().filter(|h| h.under_way.is_none()) else {
            return;
        };
        let seen = Sighting::of(twin, now.wall);
        if hold
            .seen
            .as_ref()
            .is_some_and(|(last, _)| seen.is_older_than(last))
        {
            return;
        }
        let before = hold.ours;
        let due = seen.renewal_in(id);
        hold.saw(seen, id, now);
        match (before, hold.ours) {
            (Ours::Yes, Ours::No) => self.tag_is_gone(id, now),
            // That of an earlier process, or one whose write had no answer.
            (Ours::Perhaps, Ours::Yes) => hold.next = due.map(|due| now.at + due),
            _ => {}
        }
    }

    /// The tag that was ours is another's, or nobody's any more.
    fn tag_is_gone(&mut self, id: &UpdateId, now: Now) {
        let Some(flight) = self.flights.get_mut(id) else {
            return;
        };
        let device = flight.update.device.clone();
        let waits = flight.waits();
        let Some(hold) = &mut flight.hold else {
            return;
        };
        hold.next = None;
        if waits {
            // The order has not gone out: it takes the tag again, or is refused.
            return;
        }
        let title = format!("the tag of {device} is not ours any more");
        let cause = match hold.seen.as_ref().map(|(seen, _)| seen.found()) {
            Some(Found::Tag(tag)) => {
                format!("{} on {} has taken it: {}", tag.by, tag.host, tag.doing)
            }
            Some(Found::Unreadable) => format!("something else stands in tags.{KEY}"),
            Some(Found::Nothing) | None => "somebody took it away".to_owned(),
        };
        let problem = Problem::new(Kind::Busy, title, cause)
            .hint("The order is out and is watched on. Another may start its own beside it.");
        self.tell_of_tag(id, problem, now);
    }

    /// Says what is wrong with a tag; the update goes on.
    fn tell_of_tag(&mut self, id: &UpdateId, problem: Problem, now: Now) {
        self.say(id, vec![What::Tag { problem }], now);
    }

    /// An update has ended: its tag goes back.
    pub(super) fn let_go(&mut self, id: &UpdateId, now: Now) {
        let Some(hold) = self.flights.get_mut(id).and_then(|f| f.hold.as_mut()) else {
            return;
        };
        hold.next = None;
        hold.failures = 0;
        self.give_back(id, now);
    }

    fn give_back(&mut self, id: &UpdateId, now: Now) {
        let Some(flight) = self.flights.get_mut(id) else {
            return;
        };
        // What is under way goes on from its answer.
        let Some(hold) = flight.hold.as_mut().filter(|h| h.under_way.is_none()) else {
            return;
        };
        let seen = hold.seen.as_ref().map(|(seen, _)| seen);
        match (hold.ours, seen.and_then(|seen| seen.give_back(id))) {
            (Ours::No, _) => {}
            (Ours::Yes, Some(write)) => match self.gate.keep_tag(write) {
                Ok(permit) => {
                    hold.under_way = Some(Aim::GiveBack);
                    let update = id.clone();
                    self.out.push(Output::WriteTag { update, permit });
                }
                Err(problem) => self.tell_of_tag(id, problem, now),
            },
            (Ours::Yes | Ours::Perhaps, _) => self.look_at_tag(id, Aim::GiveBack, now),
        }
    }

    fn renew(&mut self, id: &UpdateId, now: Now) {
        let Some(hold) = self.flights.get_mut(id).and_then(|f| f.hold.as_mut()) else {
            return;
        };
        if hold.under_way.is_some() || hold.ours == Ours::No {
            return;
        }
        let seen = hold.seen.as_ref();
        let write = seen.and_then(|(seen, at)| seen.renew(id, now.at.saturating_sub(*at)));
        let Some(write) = write else {
            return self.look_at_tag(id, Aim::Renew, now);
        };
        match self.gate.keep_tag(write) {
            Ok(permit) => {
                hold.under_way = Some(Aim::Renew);
                let update = id.clone();
                self.out.push(Output::WriteTag { update, permit });
            }
            Err(problem) => self.tell_of_tag(id, problem, now),
        }
    }

    /// Reads the twin again, for a write.
    fn look_at_tag(&mut self, id: &UpdateId, aim: Aim, now: Now) {
        let Some(flight) = self.flights.get_mut(id) else {
            return;
        };
        if let Some(hold) = &mut flight.hold {
            hold.under_way = Some(aim);
            hold.asked = now.at;
            let (update, device) = (id.clone(), flight.update.device.clone());
            self.out.push(Output::LookAtTag { update, device });
        }
    }

    /// A tag was written, or was not.
    pub(super) fn tag_written(
        &mut self,
        id: &UpdateId,
        result: Result<Box<Twin>, HubError>,
        now: Now,
    ) {
        let by_the_hub = self.by_the_hub(now);
        self.ledger.spend_tag(&result, by_the_hub);
        let tries = self.settings.tries;
        let Some((aim, open, hold)) = self.aim_of(id) else {
            return;
        };
        match result {
            Ok(twin) => {
                hold.saw(Sighting::of(&twin, now.wall), id, now);
                hold.failures = 0;
                hold.told = false;
                hold.backoff.reset();
                hold.next = None;
                match aim {
                    Aim::GiveBack => {}
                    _ if !open => self.give_back(id, now),
                    Aim::Renew => self.renew_later(id, renewal(now), now),
                    Aim::Take => {
                        self.renew_later(id, renewal(now), now);
                        self.invoke(id, now);
                    }
                }
            }
            Err(error) if error.is_outrun() && hold.failures < tries => {
                hold.failures += 1;
                self.look_at_tag(id, if open { aim } else { Aim::GiveBack }, now);
            }
            Err(error) => self.tag_failed(id, aim, &error, now),
        }
    }

    /// The twin was read again for a write, or was not.
    pub(super) fn tag_seen(
        &mut self,
        id: &UpdateId,
        result: Result<Box<Twin>, HubError>,
        now: Now,
    ) {
        let by_the_hub = self.by_the_hub(now);
        self.ledger.spend_tag(&result, by_the_hub);
        let Some((aim, open, hold)) = self.aim_of(id) else {
            return;
        };
        let twin = match result {
            Ok(twin) => twin,
            Err(error) => return self.tag_failed(id, aim, &error, now),
        };
        let before = hold.ours;
        let read = BaselineRead::of(&twin, hold.asked, now);
        hold.saw(Sighting::of(&twin, now.wall), id, now);
        match (aim, hold.ours) {
            _ if !open => self.give_back(id, now),
            (Aim::Take, _) => self.rebase(id, &twin, read, now),
            (_, Ours::Yes) => self.renew(id, now),
            _ if before == Ours::Yes => self.tag_is_gone(id, now),
            // The tag of an earlier process is gone: nothing is taken anew.
            _ => {}
        }
    }

    /// What the answer that has come was for; whether the update is open still.
    fn aim_of(&mut self, id: &UpdateId) -> Option<(Aim, bool, &mut Hold)> {
        let flight = self.flights.get_mut(id)?;
        let open = flight.update.is_open();
        let hold = flight.hold.as_mut()?;
        let aim = hold.under_way.take()?;
        Some((aim, open, hold))
    }

    fn tag_failed(&mut self, id: &UpdateId, aim: Aim, error: &HubError, now: Now) {
        let tries = self.settings.tries;
        let Some(flight) = self.flights.get_mut(id) else {
            return;
        };
        let open = flight.update.is_open();
        let device = flight.update.device.clone();
        let Some(hold) = &mut flight.hold else {
            return;
        };
        hold.failed(aim, error);
        let again = error.is_passing() && hold.failures < tries;
        let problem = cannot_write(&device, aim, error);
        match aim {
            Aim::Take if open => {
                if !(again && self.put_off(id, &problem, error.wait(), now)) {
                    self.undelivered(id, problem, now);
                }
            }
            Aim::Renew if open => {
                let wait = AGAIN.max(error.wait().unwrap_or_default());
                let told = std::mem::replace(&mut hold.told, true);
                hold.next = Some(now.at + wait);
                if !told {
                    self.tell_of_tag(id, problem, now);
                }
            }
            _ if hold.ours == Ours::No => {}
            _ if again && !self.stopping => {
                let wait = error.wait().unwrap_or_default() + hold.backoff.next_wait(now.chance);
                hold.next = Some(now.at + wait);
            }
            _ => self.tell_of_tag(id, problem, now),
        }
    }

    fn renew_later(&mut self, id: &UpdateId, wait: Duration, now: Now) {
        if let Some(hold) = self.flights.get_mut(id).and_then(|f| f.hold.as_mut()) {
            hold.next = Some(now.at + wait);
        }
    }

    /// Renewals that are due, and tags that could not be given back.
    pub(super) fn tags_due(&mut self, now: Now) {
        if self.settings.lease != Lease::Tags || self.stopping {
            return;
        }
        let due = |f: &&Flight| f.tag_next().is_some_and(|at| at <= now.at);
        let due: Vec<(UpdateId, bool)> = self
            .flights
            .values()
            .filter(due)
            .map(|f| (f.update.id.clone(), f.update.is_open()))
            .collect();
        for (id, open) in due {
            if let Some(hold) = self.flights.get_mut(&id).and_then(|f| f.hold.as_mut()) {
                hold.next = None;
            }
            match open {
                true => self.renew(&id, now),
                false => self.give_back(&id, now),
            }
        }
    }

    /// The engine ends: what waits to be given back is given back now.
    pub(super) fn last_tags(&mut self, now: Now) {
        let waits = |f: &&Flight| !f.update.is_open() && f.tag_next().is_some();
        let waiting = self.flights.values().filter(waits);
        let waiting: Vec<UpdateId> = waiting.map(|f| f.update.id.clone()).collect();
        for id in waiting {
            self.give_back(&id, now);
        }
    }

    pub(super) fn tags_wake_at(&self) -> Option<Duration> {
        if self.settings.lease != Lease::Tags || self.stopping {
            return None;
        }
        self.flights.values().filter_map(Flight::tag_next).min()
    }
}

/// When the next renewal is: not at the same time for all that were taken at once.
fn renewal(now: Now) -> Duration {
    RENEWAL.mul_f64(0.5 + 0.5 * now.chance.clamp(0.0, 1.0))
}

/// What is said when a tag cannot be written.
fn cannot_write(device: &DeviceId, aim: Aim, error: &HubError) -> Problem {
    let title = match aim {
        Aim::Take => format!("{device} could not be taken by its tag"),
        Aim::Renew => format!("the tag of {device} could not be renewed"),
        Aim::GiveBack => format!("the tag of {device} could not be given back"),
    };
    let mut problem = error.problem(title);
    let rights = "Tags are written with the right ServiceConnect ('service' has it), or the \
                  role 'IoT Hub Twin Contributor'.";
    problem.hint = match (aim, problem.kind) {
        (Aim::Take, Kind::Unauthorized) => format!("No order was sent. {rights}"),
        (Aim::Take, _) => "No order was sent: without its tag, none goes out.".to_owned(),
        (Aim::Renew, _) => "It is tried again; the update is watched on.".to_owned(),
        (Aim::GiveBack, Kind::Unauthorized) => format!("It ends by itself. {rights}"),
        (Aim::GiveBack, _) => "It ends by itself within half an hour.".to_owned(),
    };
    problem
}
