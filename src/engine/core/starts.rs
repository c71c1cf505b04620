//! From the order to the invocation: baseline, intent, permit.

use jiff::SignedDuration;

use crate::domain::clean;
use crate::domain::dialect::{CannotStart, Dialect};
use crate::domain::event::{Event, Intent, Start, What};
use crate::domain::evidence::sha256;
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::method::MethodCall;
use crate::domain::problem::{Kind, Problem};
use crate::domain::twin::Twin;
use crate::domain::update::{self, Baseline, Update};
use crate::hub::HubError;
use crate::journal::{JournalError, Receipt};

use super::baseline::BaselineRead;
use super::flights::Flight;
use super::tags::Hold;
use super::{Core, Now, Output};

/// How often the baseline is tried to be read in all.
pub(super) const TRIES: u32 = 4;

/// An order that waits for its baseline or for its intent to be committed.
#[derive(Debug)]
pub(super) enum Starting {
    /// Which rules hold for the device is being asked; then the twin is read.
    Rules(Box<Starting>),
    /// Put a package on the device: the twin is being read.
    Baseline(Start),
    /// Watch the device: the twin is being read.
    Watch,
    /// The device itself is at work: whether the journal knows for whom is being
    /// asked, to refuse with that.
    Held(Problem),
    /// The intent is being committed.
    Intent {
        update: Box<Update>,
        call: MethodCall,
        read: BaselineRead,
        /// Its tag, which is taken next; absent where the journal alone keeps
        /// devices.
        hold: Option<Box<Hold>>,
    },
}

impl Core {
    pub(super) fn start(&mut self, start: Start, now: Now) {
        let device = start.device.clone();
        if let Err(problem) = self.gate.check(now.at) {
            return self.refuse(&device, problem, now);
        }
        if let Some(problem) = self.forbidden(&start.uri, now) {
            return self.refuse(&device, problem, now);
        }
        if let (Some(typed), false) = (&start.force, start.takes_over()) {
            let title = format!("{device} is not taken over");
            let cause = format!("{:?} was typed", clean::line(typed, 100));
            let problem = Problem::new(Kind::Unconfirmed, title, cause)
                .hint("Nothing was sent. The device's own id must be typed.");
            return self.refuse(&device, problem, now);
        }
        if self.is_busy(&device, now) {
            return;
        }
        self.begin_at_once(&device, Starting::Baseline(start), now);
    }

    pub(super) fn watch(&mut self, device: DeviceId, now: Now) {
        if self.is_busy(&device, now) {
            return;
        }
        self.begin_at_once(&device, Starting::Watch, now);
    }

    /// Reads the twin, but asks first which rules hold for the device: in the
    /// wrong dialect nothing is started, and nothing judged. While the hub is away
    /// it is tried at once, because somebody waits.
    fn begin_at_once(&mut self, device: &DeviceId, starting: Starting, now: Now) {
        if self.rules_are_fresh(device, now) {
            self.starting.insert(device.clone(), starting);
            self.read_at_once(device, now);
        } else {
            let starting = Starting::Rules(Box::new(starting));
            self.starting.insert(device.clone(), starting);
            self.ask_rules(device);
        }
        self.try_now(now);
    }

    /// Which rules hold for a device that is being started is known.
    pub(super) fn ruled(&mut self, device: &DeviceId, now: Now) {
        match self.starting.remove(device) {
            Some(Starting::Rules(next)) => {
                self.starting.insert(device.clone(), *next);
                self.read_at_once(device, now);
            }
            Some(other) => {
                self.starting.insert(device.clone(), other);
            }
            None => {}
        }
    }

    /// Nobody can tell which rules hold for a device that is being started.
    pub(super) fn not_ruled(&mut self, device: &DeviceId, problem: Problem, now: Now) {
        if matches!(self.starting.get(device), Some(Starting::Rules(_))) {
            self.starting.remove(device);
            self.refuse(device, problem, now);
            self.reread(device, now);
        }
    }

    fn read_at_once(&mut self, device: &DeviceId, now: Now) {
        self.failures.remove(device);
        self.forget_read(device, now);
        self.reread(device, now);
    }

    /// Refuses when this process works on the device already.
    fn is_busy(&mut self, device: &DeviceId, now: Now) -> bool {
        if self.open_flight_of(device).is_none() && !self.starting.contains_key(device) {
            return false;
        }
        let title = format!("{device} is busy");
        let problem = Problem::new(Kind::Busy, title, "its update is under way here")
            .hint("Nothing was sent. Watch that update, or give it up first.");
        self.refuse(device, problem, now);
        true
    }

    /// A read before the start has failed. True when the start has failed with
    /// it, false when it is tried again.
    pub(super) fn start_failed(
        &mut self,
        device: &DeviceId,
        error: &HubError,
        failures: u32,
        now: Now,
    ) -> bool {
        let waits_for_the_twin = matches!(
            self.starting.get(device),
            Some(Starting::Baseline(_) | Starting::Watch)
        );
        if !waits_for_the_twin || (error.is_passing() && failures < TRIES) {
            return false;
        }
        self.starting.remove(device);
        self.refuse(device, unread(device, error), now);
        self.reread(device, now);
        true
    }

    /// The hub cannot be reached: no order that waits for its twin will get it.
    pub(super) fn starts_failed(&mut self, error: &HubError, now: Now) {
        let waits = |s: &Starting| !matches!(s, Starting::Intent { .. });
        let waiting: Vec<DeviceId> = self
            .starting
            .iter()
            .filter(|(_, starting)| waits(starting))
            .map(|(device, _)| device.clone())
            .collect();
        self.rules.forget_the_starts();
        for device in waiting {
            self.starting.remove(&device);
            self.refuse(&device, unread(&device, error), now);
            self.reread(&device, now);
        }
    }

    /// The twin before the order: judge it and go on.
    pub(super) fn baseline(
        &mut self,
        device: &DeviceId,
        twin: &Twin,
        read: BaselineRead,
        now: Now,
    ) {
        match self.starting.remove(device) {
            Some(Starting::Baseline(start)) => self.intend(start, twin, read, now),
            Some(Starting::Watch) => self.watch_from(device, twin, read, now),
            Some(waiting @ (Starting::Intent { .. } | Starting::Rules(_) | Starting::Held(_))) => {
                self.starting.insert(device.clone(), waiting);
            }
            None => {}
        }
    }

    fn intend(&mut self, start: Start, twin: &Twin, read: BaselineRead, now: Now) {
        let choice = self.choice(&start.device, &twin.reported);
        if let Some(problem) = choice.unclear(&start.device) {
            self.refuse(&start.device, problem, now);
            return self.reread(&start.device, now);
        }
        let dialect = choice.dialect.clone();
        let call = match self.call(&dialect, &start) {
            Ok(call) => call,
            Err(cannot) => {
                let problem = cannot.problem(&start.device);
                self.refuse(&start.device, problem, now);
                return self.reread(&start.device, now);
            }
        };
        let (forced, claim) = (start.takes_over(), start.claim());
        let tagged = || self.tagged(twin, forced, now);
        let forbidden = self.forbidden_for(&start.uri, twin);
        if let Some(problem) = forbidden.or_else(tagged) {
            self.refuse(&start.device, problem, now);
            return self.reread(&start.device, now);
        }
        let at_work = self.under_way(&dialect, twin, now);
        if let (Some(problem), false) = (&at_work, forced) {
            self.out.push(Output::AskHolder(start.device.clone()));
            let held = Starting::Held(problem.clone());
            self.starting.insert(start.device, held);
            return;
        }
        let intent = Intent {
            uri: Some(start.uri.redacted().to_owned()),
            uri_sha256: Some(sha256(start.uri.expose())),
            payload_sha256: Some(call.payload_sha256()),
            method: Some(call.method.clone()),
            expect: start.expect,
            reason: start.reason,
            baseline: Baseline {
                contested: at_work.is_some(),
                ..Baseline::of(twin, &dialect)
            },
            ..self.intent_of(&dialect)
        };
        let what = What::Intended(Box::new(intent));
        let Some((event, update)) = begin(start.device, what, now) else {
            return;
        };
        let waiting = Starting::Intent {
            update: Box::new(update),
            call,
            read,
            hold: self.hold(twin, forced, now).map(Box::new),
        };
        if let Some(device) = event.device_id.clone() {
            self.starting.insert(device, waiting);
        }
        self.out.push(Output::Intend {
            event: Box::new(event),
            uri: start.uri,
            claim,
        });
    }

    /// The journal says who works on a device that is at work, or knows nobody:
    /// then the device alone says why it is refused.
    pub(super) fn held(&mut self, device: &DeviceId, result: Result<(), JournalError>, now: Now) {
        if !matches!(self.starting.get(device), Some(Starting::Held(_))) {
            return;
        }
        let Some(Starting::Held(at_work)) = self.starting.remove(device) else {
            return;
        };
        let problem = match result {
            Err(error @ (JournalError::Busy { .. } | JournalError::Open { .. })) => error.problem(),
            Ok(()) | Err(_) => at_work,
        };
        self.refuse(device, problem, now);
        self.reread(device, now);
    }

    /// The call that starts the update, as the dialect has it.
    fn call(&self, dialect: &Dialect, start: &Start) -> Result<MethodCall, CannotStart> {
        let (by, payload) = dialect.start(&start.values())?;
        let response_timeout = by
            .response_timeout
            .unwrap_or(self.settings.response_timeout);
        let connect_timeout = by.connect_timeout.unwrap_or(self.settings.connect_timeout);
        Ok(MethodCall {
            device: start.device.clone(),
            method: by.method.clone(),
            payload,
            response_timeout,
            // The hub takes no connect timeout longer than the response timeout.
            connect_timeout: connect_timeout.min(response_timeout),
        })
    }

    fn intent_of(&self, dialect: &Dialect) -> Intent {
        Intent {
            hub: self.settings.profile.host.clone(),
            dialect: dialect.name.to_owned(),
            by: self.settings.by.clone(),
            ..Intent::default()
        }
    }

    /// Is somebody else's update under way on the device? An active phase
    /// younger than its deadline says so.
    pub(super) fn under_way(&self, dialect: &Dialect, twin: &Twin, now: Now) -> Option<Problem> {
        // The stamp is the hub's, so the age is by the hub's clock.
        let now = self.by_the_hub(now).wall;
        update::under_way(dialect, twin, self.settings.phase_deadline, now)
    }

    /// Watches without an order: whatever the device does from now on counts,
    /// and what it is doing now.
    fn watch_from(&mut self, device: &DeviceId, twin: &Twin, read: BaselineRead, now: Now) {
        let choice = self.choice(device, &twin.reported);
        if let Some(problem) = choice.unclear(device) {
            self.refuse(device, problem, now);
            return self.reread(device, now);
        }
        let dialect = choice.dialect.clone();
        let mut baseline = Baseline::of(twin, &dialect);
        let reading = dialect.read(&twin.reported);
        if reading.phase.is_active()
            && let Some(stamp) = reading.stamp
        {
            // The run under way is the one to watch: it is news.
            baseline.last_updated = stamp.checked_sub(SignedDuration::from_nanos(1)).ok();
            baseline.value = None;
        }
        let intent = Intent {
            baseline,
            ..self.intent_of(&dialect)
        };
        let what = What::Watched(Box::new(intent));
        let Some((event, update)) = begin(device.clone(), what, now) else {
            return;
        };
        let id = update.id.clone();
        self.fly(Flight::watched(update, now, self.settings.overall_deadline));
        self.publish(event);
        self.reread(device, now);
        self.observe(&id, twin, read, now);
    }

    /// The intent is on the disk, so the order may go out.
    pub(super) fn intended(
        &mut self,
        id: &UpdateId,
        result: Result<Receipt, JournalError>,
        now: Now,
    ) {
        let waiting =
            |s: &Starting| matches!(s, Starting::Intent { update, .. } if update.id == *id);
        let Some(device) = self
            .starting
            .iter()
            .find(|(_, s)| waiting(s))
            .map(|(device, _)| device.clone())
        else {
            return;
        };
        let Some(Starting::Intent {
            update,
            call,
            read,
            hold,
        }) = self.starting.remove(&device)
        else {
            return;
        };
        let overall = self.settings.overall_deadline;
        match result {
            // This receipt proves the intent; the order asks for one of its own.
            Ok(receipt) => {
                let intent = What::Intended(Box::new(update.intent.clone()));
                let event = Event::update(update.intended, device.clone(), id.clone(), intent);
                let ended = ended(&receipt, &event);
                let proof = (receipt, hold.map(|hold| *hold));
                self.fly(Flight::ordered(*update, proof, call, read, now, overall));
                self.publish(event);
                ended.into_iter().for_each(|event| self.publish(event));
                self.reread(&device, now);
                self.invoke(id, now);
            }
            Err(error) => {
                self.refuse(&device, error.problem(), now);
                self.reread(&device, now);
            }
        }
    }
}

/// Why a device is not started whose twin could not be read.
fn unread(device: &DeviceId, error: &HubError) -> Problem {
    let problem = error.problem(format!("{device} cannot be read"));
    match problem.hint.is_empty() {
        true => problem.hint("Nothing was sent to the device."),
        false => problem,
    }
}

/// What the journal has ended with an intent, and written down after it.
fn ended(receipt: &Receipt, intended: &Event) -> Vec<Event> {
    let told = receipt.took_over().iter().map(|holding| {
        let holding = Box::new(holding.clone());
        let what = What::TookOver { holding };
        Event {
            what,
            ..intended.clone()
        }
    });
    told.collect()
}

fn begin(device: DeviceId, what: What, now: Now) -> Option<(Event, Update)> {
    let event = Event::update(now.wall, device, UpdateId::fresh(), what);
    let update = Update::intended(&event)?;
    Some((event, update))
}
