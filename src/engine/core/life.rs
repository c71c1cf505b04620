//! The life of updates around their order: suspicions, contradictions after the
//! verdict, deadlines, what past updates teach.

use std::time::Duration;

use crate::domain::durations::Durations;
use crate::domain::event::{Event, What};
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::pace::Class;
use crate::domain::problem::Kind;
use crate::domain::twin::Twin;
use crate::domain::update::{OpenState, Outcome, Suspicion, Update};
use crate::hub::{HubError, Identity};
use crate::journal::JournalError;

use super::flights::{Flight, unsigned};
use super::{Core, Now, Output};

/// How long a device is heard on after the verdict, so that its last read, half
/// an hour later, is among it. A device that rolls back does so when it restarts
/// or when its watchdog runs out; five reads are little beside the hundreds of an
/// update.
const AFTERMATH: Duration = Duration::from_secs(35 * 60);

/// A suspicion that the registry was asked about.
#[derive(Debug)]
pub(super) struct Suspect {
    suspicion: Suspicion,
    /// The twin that aroused it.
    twin: Box<Twin>,
}

impl Core {
    /// How the device of an open update is read; `None` when it has none.
    pub(super) fn flight_class(&self, device: &DeviceId) -> Option<Class> {
        let flight = self.open.get(device).and_then(|id| self.flights.get(id))?;
        Some(match flight.quiet {
            true => Class::Stalled,
            false => Class::Flight,
        })
    }

    /// Has the device's update ended not long ago, so that it is read a few times
    /// more?
    pub(super) fn is_heard_on(&self, device: &DeviceId, now: Now) -> bool {
        let flight = self
            .aftermath
            .get(device)
            .and_then(|id| self.flights.get(id));
        flight.is_some_and(|flight| now.at < flight.ends)
    }

    /// Tells the pace when the next phase is due, if past updates tell.
    pub(super) fn expect_change(&mut self, id: &UpdateId, now: Now) {
        let Some(flight) = self.flights.get(id).filter(|f| f.update.is_open()) else {
            return;
        };
        let left = self.durations.change_in(&flight.update, now.wall);
        let at = left.map(|left| match left.is_negative() {
            true => now.at.saturating_sub(left.unsigned_abs()),
            false => now.at + left.unsigned_abs(),
        });
        self.pace.expect(&flight.update.device, at);
    }

    /// Asks the registry about a twin that may not be the one that was ordered.
    pub(super) fn suspect(&mut self, id: &UpdateId, suspicion: Suspicion, twin: &Twin) {
        let Some(flight) = self.flights.get_mut(id) else {
            return;
        };
        flight.suspect = Some(Suspect {
            suspicion,
            twin: Box::new(twin.clone()),
        });
        let (update, device) = (id.clone(), flight.update.device.clone());
        self.out.push(Output::Identify { update, device });
    }

    /// The registry has answered, or has not: what the suspicion comes to.
    pub(super) fn identified(
        &mut self,
        id: &UpdateId,
        result: Result<Identity, HubError>,
        now: Now,
    ) {
        let Some(flight) = self.flights.get_mut(id) else {
            return;
        };
        let Some(suspect) = flight.suspect.take() else {
            return;
        };
        let result = match result {
            Ok(identity) => Ok(identity.generation_id),
            Err(error) if error.kind() == Kind::Unauthorized => {
                Err("the right RegistryRead is missing".to_owned())
            }
            Err(error) => Err(error.to_string()),
        };
        let generation = result.as_deref().map_err(String::as_str);
        let news = flight
            .update
            .followed_up(&suspect.suspicion, &suspect.twin, generation);
        self.tell(id, news, now);
    }

    /// The hub knows no such device any more. The update stays open: the device
    /// may be created again.
    pub(super) fn lost(&mut self, device: &DeviceId, error: &HubError, now: Now) {
        let Some(id) = self.open_flight_of(device) else {
            return;
        };
        let Some(flight) = self.flights.get_mut(&id) else {
            return;
        };
        flight.reconciled = true;
        if flight.is_pending() {
            return;
        }
        let problem = error.problem(format!("{device} cannot be read"));
        if flight.waits() {
            return self.undelivered(&id, problem, now);
        }
        if flight.sight.lost() {
            let news = flight.update.lost(&problem);
            self.tell(&id, news.into(), now);
        }
    }

    /// An update has ended: what is learnt from it, and whether its device is
    /// heard on.
    pub(super) fn ended(&mut self, id: &UpdateId, now: Now) {
        let Some(flight) = self.flights.get_mut(id) else {
            return;
        };
        let verdict = flight.update.verdict.as_ref();
        let heard = verdict.is_some_and(|v| {
            matches!(v.outcome, Outcome::Completed | Outcome::Failed) && v.evidence.is_some()
        });
        if heard && !self.stopping {
            flight.ends = now.at + AFTERMATH;
            let device = flight.update.device.clone();
            self.aftermath.insert(device, id.clone());
        }
        if self.samples.learn(&flight.update) {
            self.learnt(now);
        }
    }

    /// A twin was read after the verdict: does it agree with that?
    pub(super) fn look_back(&mut self, id: &UpdateId, twin: &Twin, now: Now) {
        let Some(flight) = self.flights.get(id).filter(|f| now.at < f.ends) else {
            return;
        };
        let dialect = self.dialect_of(&flight.update, twin);
        let Some(what) = flight.update.contradiction(&flight.sight, dialect, twin) else {
            return;
        };
        if !flight.is_journaled() {
            return self.say(id, vec![what], now);
        }
        // Whoever shares the journal may have started another update meanwhile.
        let device = flight.update.device.clone();
        if let Some(flight) = self.flights.get_mut(id)
            && flight.doubt.replace(what).is_none()
        {
            let update = id.clone();
            self.out.push(Output::AskLater { update, device });
        }
    }

    /// The journal knows whether another update of the device was started after the
    /// one that its device contradicts: then that is no contradiction, and what the
    /// device does is the other's.
    pub(super) fn later(&mut self, id: &UpdateId, result: Result<bool, JournalError>, now: Now) {
        let Some(flight) = self.flights.get_mut(id) else {
            return;
        };
        let Some(what) = flight.doubt.take() else {
            return;
        };
        let device = flight.update.device.clone();
        match result {
            Ok(true) => {
                self.aftermath.remove(&device);
                self.reread(&device, now);
            }
            // What cannot be asked is said: the device did say otherwise.
            Ok(false) | Err(_) => self.say(id, vec![what], now),
        }
    }

    /// When it is to be said that nothing changes any more; `None` when it was
    /// said, or when something else has to happen first.
    pub(super) fn overdue_at(&self, flight: &Flight) -> Option<Duration> {
        let update = &flight.update;
        let asked = flight.suspect.is_some() || flight.is_pending();
        let waits = flight.quiet || asked || update.retry.is_some();
        let deadline = self.settings.deadlines.of(update, &self.durations);
        (!waits).then(|| flight.changed + unsigned(deadline))
    }

    /// Nothing has changed for too long: says so, and reads less often.
    pub(super) fn overdue(&mut self, id: &UpdateId, now: Now) {
        let Some(flight) = self.flights.get(id) else {
            return;
        };
        let deadline = self.settings.deadlines.of(&flight.update, &self.durations);
        let what = flight.update.overdue(deadline, &flight.sight);
        self.tell(id, what.into_iter().collect(), now);
        if let Some(flight) = self.flights.get_mut(id) {
            flight.quiet = true;
            let device = flight.update.device.clone();
            self.reread(&device, now);
        }
    }

    /// The journal's completed updates: to learn from. Without them the
    /// configured deadlines stand.
    pub(super) fn past(&mut self, result: Result<Vec<Vec<Event>>, JournalError>, now: Now) {
        match result {
            Ok(updates) => {
                if self.samples.learn_all(&updates) {
                    self.learnt(now);
                }
            }
            Err(error) => {
                let problem = error.problem();
                self.publish(Event::general(now.wall, What::JournalProblem { problem }));
            }
        }
    }

    fn learnt(&mut self, now: Now) {
        let learnt = self.samples.learnt();
        if self.durations.as_slice() != learnt {
            self.durations = Durations::from(learnt.clone());
            self.publish(Event::general(now.wall, What::Durations { learnt }));
        }
    }
}

/// Was it said that nothing changes any more?
pub(super) fn is_quiet(update: &Update) -> bool {
    matches!(update.doubt, Some((OpenState::Stalled, _)))
}
