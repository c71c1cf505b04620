//! A recorded update, played again.
//!
//! A replay is its events, how many of them have been told, and a time of its
//! own: the *virtual* time, which runs at 1 to 100 times the real one. What it
//! shows is the same fold as live, of the events told so far. Nothing here reads
//! a clock: real time comes in as a value.
//!
//! ```text
//!            space                        the last event
//!  paused ◄─────────► playing ───────────────────────────► ended
//!    ▲  left, right     │ ▲                                  │
//!    └──────────────────┘ └───────── begin again ────────────┘
//! ```

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::event::Event;
use super::history;
use super::update::Update;

/// The speeds that keys choose between.
pub const SPEEDS: [u32; 7] = [1, 2, 5, 10, 20, 50, 100];
/// The speed of a replay that nobody has chosen one for.
pub const USUAL: u32 = 10;
/// The highest speed.
pub const FASTEST: u32 = 100;
/// A wait for the next event that takes longer on the screen is a silence.
const SILENCE: SignedDuration = SignedDuration::from_secs(3);
/// So much of a silence is left where silences are skipped, on the screen.
const LEFT: SignedDuration = SignedDuration::from_secs(1);

/// A recorded update, played again.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    events: Arc<[Event]>,
    /// When each event is told: as it was recorded, but never back in time.
    times: Vec<Timestamp>,
    told: usize,
    /// The virtual time.
    now: Timestamp,
    /// The real time, as it was told last.
    real: Timestamp,
    speed: u32,
    paused: bool,
    skips: bool,
}

impl Replay {
    /// A replay of an update's events from its intent on, which plays from the
    /// real time `real` on; `None` when there is no intent among them.
    #[must_use]
    pub fn new(events: &[Event], speed: u32, real: Timestamp) -> Option<Self> {
        let first = events.iter().position(|e| Update::intended(e).is_some())?;
        let events: Arc<[Event]> = events[first..].into();
        let mut latest = events.first()?.time;
        let times = events.iter().map(|event| {
            latest = latest.max(event.time);
            latest
        });
        let times: Vec<Timestamp> = times.collect();
        Some(Self {
            told: 1,
            now: *times.first()?,
            events,
            times,
            real,
            speed: speed.clamp(1, FASTEST),
            paused: false,
            skips: false,
        })
    }

    /// It is that late now, really. True when that changed anything.
    pub fn tick(&mut self, real: Timestamp) -> bool {
        let passed = real.duration_since(self.real).max(SignedDuration::ZERO);
        self.real = self.real.max(real);
        let Some(next) = self.next().filter(|_| !self.paused) else {
            return false;
        };
        let before = (self.now, self.told);
        self.now = later(self.now, times(passed, self.speed));
        let silence = times(SILENCE, self.speed);
        if self.skips && self.now < next && next.duration_since(self.now) > silence {
            self.now = later(next, -times(LEFT, self.speed));
        }
        while self.next().is_some_and(|time| time <= self.now) {
            self.told += 1;
        }
        if let (true, Some(last)) = (self.has_ended(), self.times.last()) {
            self.now = *last;
        }
        before != (self.now, self.told)
    }

    /// When, really, something happens by itself: the next event, or the end of
    /// a silence that is skipped. `None` while it rests.
    #[must_use]
    pub fn wakes(&self) -> Option<Timestamp> {
        let next = self.next().filter(|_| !self.paused)?;
        let left = next.duration_since(self.now).max(SignedDuration::ZERO);
        if self.skips && left > times(SILENCE, self.speed) {
            return Some(self.real);
        }
        Some(later(self.real, self.really(left)))
    }

    /// When, really, the virtual time `time` comes, while it plays.
    #[must_use]
    pub fn real(&self, time: Timestamp) -> Option<Timestamp> {
        let plays = !self.paused && !self.has_ended();
        let left = time.duration_since(self.now).max(SignedDuration::ZERO);
        plays.then(|| later(self.real, self.really(left)))
    }

    /// How long a virtual duration takes, rounded up to a whole millisecond.
    fn really(&self, left: SignedDuration) -> SignedDuration {
        let by = i128::from(self.speed);
        let millis = (left.as_millis() + by) / by + 1;
        SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    fn next(&self) -> Option<Timestamp> {
        self.times.get(self.told).copied()
    }

    /// How long the next event is away in virtual time; `None` at the end.
    #[must_use]
    pub fn until_next(&self) -> Option<SignedDuration> {
        let left = self.next()?.duration_since(self.now);
        Some(left.max(SignedDuration::ZERO))
    }

    /// Stops, or goes on. At the end it begins again.
    pub fn pause(&mut self) {
        if self.has_ended() {
            return self.begin_again();
        }
        self.paused = !self.paused;
    }

    /// The next higher speed.
    pub fn faster(&mut self) {
        let next = SPEEDS.into_iter().find(|speed| *speed > self.speed);
        self.speed = next.unwrap_or(FASTEST);
    }

    /// The next lower speed.
    pub fn slower(&mut self) {
        let next = SPEEDS.into_iter().rev().find(|speed| *speed < self.speed);
        self.speed = next.unwrap_or(1);
    }

    /// Skips long silences from now on, or does not any more.
    pub fn skip_silences(&mut self) {
        self.skips = !self.skips;
    }

    /// To the next event; it rests there.
    pub fn forward(&mut self) {
        if let Some(next) = self.next() {
            self.told += 1;
            self.now = self.now.max(next);
        }
        self.paused = true;
    }

    /// To the event before; it rests there.
    pub fn back(&mut self) {
        if self.told > 1 {
            self.told -= 1;
        }
        self.now = self.times[self.told - 1];
        self.paused = true;
    }

    /// From the first event on, playing.
    pub fn begin_again(&mut self) {
        self.told = 1;
        self.now = self.times[0];
        self.paused = false;
    }

    /// The events told so far; the first one always.
    #[must_use]
    pub fn told(&self) -> &[Event] {
        &self.events[..self.told]
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Never: the first event is its intent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The update as it stood then: the fold of the events told so far.
    #[must_use]
    pub fn update(&self) -> Option<Update> {
        history::fold(self.told())
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How much of the time is behind: 0 to 1.
    #[must_use]
    pub fn part(&self) -> f64 {
        let from = self.times[0];
        let whole = self.times.last().map(|to| to.duration_since(from));
        let whole = whole.unwrap_or_default().as_secs_f64();
        if whole <= 0.0 {
            return if self.has_ended() { 1.0 } else { 0.0 };
        }
        (self.now.duration_since(from).as_secs_f64() / whole).clamp(0.0, 1.0)
    }

    /// How many times faster than it was.
    #[must_use]
    pub fn speed(&self) -> u32 {
        self.speed
    }

    /// Does it rest because somebody said so?
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused && !self.has_ended()
    }

    /// Are long silences skipped?
    #[must_use]
    pub fn skips(&self) -> bool {
        self.skips
    }

    /// Was the last event told?
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.told == self.events.len()
    }
}

fn times(duration: SignedDuration, speed: u32) -> SignedDuration {
    let by = i32::try_from(speed).unwrap_or(i32::MAX);
    duration.checked_mul(by).unwrap_or(SignedDuration::MAX)
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    let end = if by.is_negative() {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    time.checked_add(by).unwrap_or(end)
}

#[cfg(test)]
mod tests;
