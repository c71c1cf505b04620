//! When to read which twin: the one owner of all reads that come again.
//!
//! A pure scheduler: it is asked what is due now and when to ask again. Each
//! device is read for a reason ([`Class`]), one read at a time, and all reads
//! together stay below a rate that is learnt ([`Share`]) and that the day's
//! messages may bound further ([`Pace::cap`]).
//!
//! ```text
//!            watch                    its time has come            a slot is free
//!  (new) ─────────────► waiting ───────────────────────► ready ─────────────────► being read
//!                          ▲                        focus · prompt · fair             │
//!                          └──────────────────────── done ───────────────────────────┘
//! ```
//!
//! - *focus*: the one update that somebody looks at, each 500 ms. It goes first,
//!   but takes at most every second slot while others are ready.
//! - *prompt*: orders that wait for their twin, and devices just opened, first
//!   come, first served; at most every second slot that is left.
//! - *fair*: all others share what is left by weight. Each has a virtual time
//!   that moves on by 1/weight with each read, and the one that is furthest
//!   behind is next (stride scheduling: C. A. Waldspurger, W. E. Weihl, "Stride
//!   Scheduling", MIT/LCS/TM-528, 1995). An update that is about to change weighs
//!   2, all others in flight 1. So nobody in flight waits longer than twice the
//!   fair interval, N devices divided by the rate, and the mean age of what is
//!   known is at most 9/8 of N/(2·rate), whichever of them are expected to change
//!   (Kantorovich's inequality for weights between 1 and 2).
//!
//! Nothing is saved up: after a pause, of the process or of the machine, reads
//! go on at the rate, not faster. Each decision takes O(log n).

mod bucket;
mod entry;
mod meter;
mod outage;
mod share;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::id::DeviceId;
use entry::{Entry, Place, Queue};
use meter::Meter;

pub use bucket::Bucket;
pub use share::Share;

/// How often the update in focus is read: the tutorial's "every 500 ms".
pub const WATCH: Duration = Duration::from_millis(500);
/// How often another update in flight is read at most.
pub const FLIGHT: Duration = Duration::from_secs(1);
/// How often a device that is only looked at is read.
pub const LOOK: Duration = Duration::from_secs(30);
/// How often an update is read in which nothing has changed for too long.
pub const STALLED: Duration = Duration::from_secs(30);
/// The same while it is in focus.
pub const STALLED_IN_FOCUS: Duration = Duration::from_secs(5);
/// How long after its verdict a device is read again; the wait doubles then.
pub const AFTER: Duration = Duration::from_secs(60);
/// How often it is read then in all: after 1, 3, 7, 15 and 31 minutes.
pub const AFTER_READS: u32 = 5;

/// A read that is late by so much may be followed by the next one at once.
const LATE: Duration = Duration::from_millis(20);
/// Reads under way are as many as start in this time: a hub that answers later
/// gets less.
const UNDER_WAY: Duration = Duration::from_millis(500);
/// Reads under way that are allowed at any rate.
const FEWEST_UNDER_WAY: usize = 8;
/// Reads under way that are never exceeded.
const MOST_UNDER_WAY: usize = 256;
/// From nothing to the ceiling in this time.
const RECOVERY: Duration = Duration::from_secs(60);

/// Why a device is read, which says how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// An order waits for its twin: at once, then each 500 ms.
    Start,
    /// An update in flight: each 500 ms in focus, else by everybody's share.
    Flight,
    /// An update in flight in which nothing changes: each 30 s, in focus each 5 s.
    Stalled,
    /// Somebody looks at the device: at once, then each 30 s.
    Look,
    /// Its update has ended: a few times, ever more rarely, then no more.
    After,
}

/// How a read has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was answered, with a twin or with a refusal of this device alone.
    Answered,
    /// The hub refused because there were too many; it may have named a wait.
    Throttled(Option<Duration>),
    /// There was no answer, which says nothing about the hub's rate.
    Lost,
}

/// A read that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Which read it is; [`Pace::done`] wants it back.
    pub ticket: u64,
    /// The device to read.
    pub device: DeviceId,
}

/// When to read which twin. Times are since the engine's start.
#[derive(Clone, Debug)]
pub struct Pace {
    share: Share,
    /// The most reads a second that the day's messages allow.
    cap: Option<f64>,
    keys: HashMap<DeviceId, u64>,
    entries: HashMap<u64, Entry>,
    next_key: u64,
    /// Those that wait for their time.
    waiting: BTreeSet<(Duration, u64)>,
    /// Those whose time has come, by the time that they are ready since.
    prompt: BTreeSet<(Duration, u64)>,
    /// Those whose time has come, by their virtual time.
    fair: BTreeSet<(u64, u64)>,
    /// Updates in flight.
    flights: BTreeSet<u64>,
    /// Reads under way, also of devices that are forgotten meanwhile.
    under_way: HashMap<u64, (DeviceId, Duration)>,
    /// The read under way of each device that has one.
    reading: HashMap<DeviceId, u64>,
    /// Reads that are not waited for any more, though they may still end.
    abandoned: HashSet<u64>,
    /// The hub is away: nothing is read but by [`Pace::probe`].
    paused: bool,
    tickets: u64,
    /// The virtual time: that of whoever was read last.
    virtual_now: u64,
    /// When the next read of any device may start.
    free_at: Duration,
    /// What the front end has in focus.
    focus: Option<DeviceId>,
    /// What is read as being in focus: that, or the only update in flight.
    focused: Option<u64>,
    /// Who got the last slot, and the last slot that the focus left.
    last: Queue,
    last_other: Queue,
    meter: Meter,
}

impl Pace {
    /// A scheduler that starts at most `per_second` reads a second.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self {
            share: Share::new(f64::from(per_second.max(1)), 1.0, RECOVERY),
            cap: None,
            keys: HashMap::new(),
            entries: HashMap::new(),
            next_key: 0,
            waiting: BTreeSet::new(),
            prompt: BTreeSet::new(),
            fair: BTreeSet::new(),
            flights: BTreeSet::new(),
            under_way: HashMap::new(),
            reading: HashMap::new(),
            abandoned: HashSet::new(),
            paused: false,
            tickets: 0,
            virtual_now: 0,
            free_at: Duration::ZERO,
            focus: None,
            focused: None,
            last: Queue::Fair,
            last_other: Queue::Fair,
            meter: Meter::default(),
        }
    }

    /// Bounds the rate further, or no more; the hub's share stays as it is.
    pub fn cap(&mut self, per_second: Option<f64>) {
        self.cap = per_second.map(|rate| rate.max(0.01));
    }

    /// Reads a second that may be started now.
    #[must_use]
    pub fn rate(&self, now: Duration) -> f64 {
        let share = self.share.rate(now);
        self.cap.map_or(share, |cap| cap.min(share))
    }

    /// What the hub lets us have, before the day's messages are asked.
    #[must_use]
    pub fn share(&self) -> &Share {
        &self.share
    }

    /// Reads a second that were started in the last few seconds.
    #[must_use]
    pub fn used(&self, now: Duration) -> f64 {
        self.meter.per_second(now)
    }

    /// Will [`Pace::used`] change by time alone, as it is shown?
    #[must_use]
    pub fn used_will_change(&self, shown: u32, now: Duration) -> bool {
        self.meter.will_change(shown, now)
    }

    /// Updates in flight, stalled ones too.
    #[must_use]
    pub fn flights(&self) -> usize {
        self.flights.len()
    }

    /// The update in focus is read each 500 ms, and first when several are due.
    /// Without one it is the only update in flight.
    pub fn focus(&mut self, device: Option<DeviceId>, now: Duration) {
        self.focus = device;
        self.refocus(now);
    }

    /// Reads `device` as `class` says from now on. One that is new is read at
    /// once; one that is read already keeps its turn when that is sooner.
    pub fn watch(&mut self, device: &DeviceId, class: Class, now: Duration) {
        let known = self.keys.get(device).copied();
        let key = known.unwrap_or_else(|| self.insert(device, class, now));
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        if known.is_some() && entry.class == class {
            return;
        }
        if entry.class != class {
            entry.class = class;
            entry.reads = 0;
            entry.expect = None;
        }
        if matches!(class, Class::Flight | Class::Stalled) {
            self.flights.insert(key);
        } else {
            self.flights.remove(&key);
        }
        self.plan(key, now);
        self.refocus(now);
    }

    /// Why `device` is read, if it is.
    #[must_use]
    pub fn class(&self, device: &DeviceId) -> Option<Class> {
        let entry = self.entries.get(self.keys.get(device)?)?;
        Some(entry.class)
    }

    /// Reads `device` no more. A read under way goes on, and its answer is not
    /// wanted.
    pub fn forget(&mut self, device: &DeviceId, now: Duration) {
        let Some(key) = self.keys.remove(device) else {
            return;
        };
        self.take_out(key);
        self.entries.remove(&key);
        self.flights.remove(&key);
        self.refocus(now);
    }

    /// A change of `device` is expected at `at`: until some time after that it is
    /// read twice as often as the others in flight. `None` when nobody knows.
    pub fn expect(&mut self, device: &DeviceId, at: Option<Duration>) {
        if let Some(entry) = self.keys.get(device).and_then(|k| self.entries.get_mut(k)) {
            entry.expect = at;
        }
    }

    /// When a change of `device` is expected.
    #[cfg(test)]
    pub(crate) fn expected(&self, device: &DeviceId) -> Option<Duration> {
        self.entries.get(self.keys.get(device)?)?.expect
    }

    /// Puts the next read of `device` off until `at`.
    pub fn put_off(&mut self, device: &DeviceId, at: Duration) {
        let Some(key) = self.keys.get(device).copied() else {
            return;
        };
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.put_off = entry.put_off.max(at);
            if !entry.place.is_under_way() {
                self.take_out(key);
                self.wait(key);
            }
        }
    }

    /// The reads to start now. Each is under way until [`Pace::done`].
    pub fn due(&mut self, now: Duration) -> Vec<Read> {
        let mut out = Vec::new();
        if self.paused || now < self.share.held_until() {
            return out;
        }
        self.promote(now);
        while self.free_at <= now {
            let Some((queue, key)) = self.pick() else {
                break;
            };
            let gap = Duration::from_secs_f64(1.0 / self.rate(now));
            self.free_at = self.free_at.max(now.saturating_sub(LATE)) + gap;
            self.last = queue;
            if queue != Queue::Focus {
                self.last_other = queue;
            }
            out.extend(self.begin(key, now));
        }
        out
    }

    /// A read has ended. True when its answer is still wanted: the device was
    /// not forgotten or asked for anew since it started. `chance` in 0..1 sets
    /// programs apart that were refused together.
    pub fn done(&mut self, ticket: u64, ended: Ended, now: Duration, chance: f64) -> bool {
        let Some((device, started)) = self.under_way.remove(&ticket) else {
            return false;
        };
        if self.abandoned.remove(&ticket) {
            return false;
        }
        self.reading.remove(&device);
        match ended {
            Ended::Answered => self.share.answered(started, now),
            Ended::Throttled(wait) => {
                let used = self.meter.per_second(now);
                self.share.refused(started, wait, used, now, chance);
            }
            Ended::Lost => {}
        }
        let Some(key) = self.keys.get(&device).copied() else {
            return false;
        };
        let Some(entry) = self.entries.get_mut(&key) else {
            return false;
        };
        let wanted = entry.place == Place::Reading(ticket);
        if !wanted {
            entry.fresh = true;
            entry.at = now;
        }
        if ended == Ended::Lost {
            // It told nothing, so it is not one of those few.
            entry.reads = entry.reads.saturating_sub(1);
        }
        if wanted && entry.class == Class::After && entry.reads >= AFTER_READS {
            self.keys.remove(&device);
            self.entries.remove(&key);
            return true;
        }
        self.wait(key);
        wanted
    }

    /// When that read was given out, while it is under way.
    #[must_use]
    pub fn asked(&self, ticket: u64) -> Option<Duration> {
        self.under_way.get(&ticket).map(|(_, started)| *started)
    }

    /// Is that read under way? It is until its end was told.
    #[must_use]
    pub fn is_under_way(&self, ticket: u64) -> bool {
        self.under_way.contains_key(&ticket)
    }

    /// When [`Pace::due`] will have something; `None` when nothing waits for
    /// time alone.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        if self.paused {
            return None;
        }
        let at = if self.is_full() {
            // Only the focus may go beyond.
            let entry = self.focused.and_then(|key| self.entries.get(&key))?;
            match entry.place {
                Place::Waiting(at) => Some(at),
                Place::Focus | Place::Prompt(_) | Place::Fair(_) => Some(Duration::ZERO),
                Place::Reading(_) | Place::Stale(_) => None,
            }
        } else if self.prompt.is_empty() && self.fair.is_empty() && !self.focus_is_ready() {
            self.waiting.first().map(|(at, _)| *at)
        } else {
            Some(Duration::ZERO)
        };
        at.map(|at| at.max(self.free_at).max(self.share.held_until()))
    }

    fn insert(&mut self, device: &DeviceId, class: Class, now: Duration) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        let place = match self.reading.get(device) {
            Some(ticket) => Place::Stale(*ticket),
            None => Place::Waiting(now),
        };
        let entry = Entry {
            device: device.clone(),
            class,
            expect: None,
            fresh: class != Class::After,
            reads: 0,
            started: None,
            at: now,
            put_off: Duration::ZERO,
            pass: self.virtual_now,
            place,
        };
        if let Place::Waiting(at) = place {
            self.waiting.insert((at, key));
        }
        self.entries.insert(key, entry);
        self.keys.insert(device.clone(), key);
        key
    }

    /// Sets when an entry may be read next, by class and focus.
    fn plan(&mut self, key: u64, now: Duration) {
        let in_focus = self.focused == Some(key);
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        entry.at = match entry.started {
            // A first read that was waited for is not put off by its interval.
            _ if entry.fresh => entry.at.min(now),
            Some(started) => started + entry.interval(in_focus),
            None => now + entry.interval(in_focus),
        };
        if !entry.place.is_under_way() {
            self.take_out(key);
            self.wait(key);
        }
    }

    /// Puts an entry among those that wait.
    fn wait(&mut self, key: u64) {
        if let Some(entry) = self.entries.get_mut(&key) {
            let at = entry.at.max(entry.put_off);
            entry.place = Place::Waiting(at);
            self.waiting.insert((at, key));
        }
    }

    /// Takes an entry out of its queue.
    fn take_out(&mut self, key: u64) {
        let Some(entry) = self.entries.get(&key) else {
            return;
        };
        match entry.place {
            Place::Waiting(at) => {
                self.waiting.remove(&(at, key));
            }
            Place::Prompt(since) => {
                self.prompt.remove(&(since, key));
            }
            Place::Fair(pass) => {
                self.fair.remove(&(pass, key));
            }
            Place::Focus | Place::Reading(_) | Place::Stale(_) => {}
        }
    }

    /// Finds who is in focus now, and lets whoever comes into it wait no longer
    /// than that allows.
    fn refocus(&mut self, now: Duration) {
        let named = self.focus.as_ref().and_then(|device| self.keys.get(device));
        let named = named.filter(|key| self.flights.contains(key));
        let only = match self.flights.len() {
            1 => self.flights.first(),
            _ => None,
        };
        let next = named.or(only).copied();
        let before = std::mem::replace(&mut self.focused, next);
        if before != next {
            before.into_iter().for_each(|key| self.plan(key, now));
            next.into_iter().for_each(|key| self.plan(key, now));
        }
    }

    /// Those whose time has come are ready.
    fn promote(&mut self, now: Duration) {
        while let Some((at, key)) = self.waiting.first().copied() {
            if at > now {
                break;
            }
            self.waiting.pop_first();
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            entry.place = match entry.class {
                _ if self.focused == Some(key) => Place::Focus,
                Class::Start => Place::Prompt(at),
                Class::Look if entry.fresh => Place::Prompt(at),
                _ => Place::Fair(entry.pass.max(self.virtual_now)),
            };
            match entry.place {
                Place::Prompt(since) => {
                    self.prompt.insert((since, key));
                }
                Place::Fair(pass) => {
                    self.fair.insert((pass, key));
                }
                _ => {}
            }
        }
    }

    /// Who gets the slot that is free now.
    fn pick(&self) -> Option<(Queue, u64)> {
        let focus = self.focused.filter(|_| self.focus_is_ready());
        let waited_for = !self.prompt.is_empty() || !self.fair.is_empty();
        let others = waited_for && !self.is_full();
        if let Some(key) = focus
            && !(others && self.last == Queue::Focus)
        {
            return Some((Queue::Focus, key));
        }
        if !others {
            return None;
        }
        let prompt = self.prompt.first().map(|(_, key)| (Queue::Prompt, *key));
        let fair = self.fair.first().map(|(_, key)| (Queue::Fair, *key));
        match self.last_other {
            Queue::Prompt => fair.or(prompt),
            _ => prompt.or(fair),
        }
    }

    fn focus_is_ready(&self) -> bool {
        self.focused
            .and_then(|key| self.entries.get(&key))
            .is_some_and(|entry| entry.place == Place::Focus)
    }

    /// Are as many reads under way as may be?
    fn is_full(&self) -> bool {
        let waited_for = self.under_way.len() - self.abandoned.len();
        waited_for >= most_under_way(self.share.ceiling())
    }

    fn begin(&mut self, key: u64, now: Duration) -> Option<Read> {
        let in_focus = self.focused == Some(key);
        let fair_interval = self.fair_interval(now);
        self.take_out(key);
        let entry = self.entries.get_mut(&key)?;
        self.tickets += 1;
        let ticket = self.tickets;
        if let Place::Fair(pass) = entry.place {
            self.virtual_now = self.virtual_now.max(pass);
        }
        // Reads in focus are nobody else's loss, so they are not counted up.
        entry.pass = self.virtual_now + entry.stride(fair_interval, now);
        entry.reads += 1;
        entry.fresh = false;
        entry.started = Some(now);
        entry.at = entry.next_at(in_focus, now);
        entry.place = Place::Reading(ticket);
        let device = entry.device.clone();
        self.under_way.insert(ticket, (device.clone(), now));
        self.reading.insert(device.clone(), ticket);
        self.meter.count(now);
        Some(Read { ticket, device })
    }

    /// How often each update in flight is read when all are alike.
    fn fair_interval(&self, now: Duration) -> Duration {
        let flights = u32::try_from(self.flights.len()).unwrap_or(u32::MAX);
        let interval = f64::from(flights) / self.rate(now);
        Duration::from_secs_f64(interval).max(FLIGHT)
    }
}

fn most_under_way(rate: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded on both sides right after"
    )]
    let most = (rate * UNDER_WAY.as_secs_f64()).ceil() as usize;
    most.clamp(FEWEST_UNDER_WAY, MOST_UNDER_WAY)
}
