//! How long phases took in past updates, and what follows from that: when an
//! update is stalled, how much time it has left, how far a gauge may move.
//!
//! Learnt are only updates that completed in one run, each phase from its first
//! report to the next one's. Where both ends have a stamp of the hub, that clock
//! counts, so a late read spoils nothing. With fewer than [`ENOUGH`] samples
//! nothing is said, and the configured deadline stands.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::event::Event;
use super::phase::Phase;
use super::update::{Outcome, Step, Update};

/// Samples below which nothing is concluded.
pub const ENOUGH: usize = 5;
/// Samples of one phase that are kept, the newest.
const KEPT: usize = 100;
/// The shortest deadline that is learnt: a read, a retry and a slow hub take
/// as long.
const SHORTEST: SignedDuration = SignedDuration::from_mins(1);
/// With few samples one of them is what 95 of 100 do not pass. So many times the
/// median is the most that it counts for: the device may have been switched off.
const OUTLIER: i32 = 10;
/// The longest.
const LONGEST: SignedDuration = SignedDuration::from_hours(12);

/// How long one phase takes in one dialect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Learnt {
    /// The dialect's name.
    pub dialect: String,
    /// The phase.
    pub phase: Phase,
    /// From how many updates.
    pub samples: usize,
    /// The median.
    pub usual: SignedDuration,
    /// What 95 of 100 do not pass.
    pub long: SignedDuration,
}

/// Samples of how long phases took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples(BTreeMap<(String, Phase), VecDeque<SignedDuration>>);

impl Samples {
    /// Takes an update in; `false` when there is nothing to learn from it.
    pub fn learn(&mut self, update: &Update) -> bool {
        let completed = update
            .verdict
            .as_ref()
            .is_some_and(|v| v.outcome == Outcome::Completed);
        let plain = update.runs() == 1 && update.replaced.is_none();
        if !completed || !plain || update.contradicted.is_some() {
            return false;
        }
        let lasted = lasted(&update.steps);
        for (phase, time) in &lasted {
            let key = (update.intent.dialect.clone(), *phase);
            let samples = self.0.entry(key).or_default();
            samples.push_back(*time);
            if samples.len() > KEPT {
                samples.pop_front();
            }
        }
        !lasted.is_empty()
    }

    /// Takes updates in as the journal tells them, each its events.
    pub fn learn_all(&mut self, updates: &[Vec<Event>]) -> bool {
        let mut learnt = false;
        for events in updates {
            let Some(mut update) = events.first().and_then(Update::intended) else {
                continue;
            };
            for event in &events[1..] {
                update.apply(event);
            }
            learnt |= self.learn(&update);
        }
        learnt
    }

    /// What there is enough of.
    #[must_use]
    pub fn learnt(&self) -> Vec<Learnt> {
        let enough = self.0.iter().filter(|(_, samples)| samples.len() >= ENOUGH);
        enough
            .map(|((dialect, phase), samples)| {
                let mut sorted: Vec<SignedDuration> = samples.iter().copied().collect();
                sorted.sort_unstable();
                let usual = rank(&sorted, 50);
                Learnt {
                    dialect: dialect.clone(),
                    phase: *phase,
                    samples: sorted.len(),
                    usual,
                    long: rank(&sorted, 95).min(usual.saturating_mul(OUTLIER)),
                }
            })
            .collect()
    }
}

/// The smallest sample that so many percent do not pass.
fn rank(sorted: &[SignedDuration], percent: usize) -> SignedDuration {
    let at = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(at).copied().unwrap_or_default()
}

/// How long each active phase lasted that something came after.
#[must_use]
pub fn lasted(steps: &[Step]) -> Vec<(Phase, SignedDuration)> {
    let mut out = Vec::new();
    let mut rest = steps;
    while let Some(first) = rest.first() {
        // A phase that a device tells in several words is one phase.
        let same = rest.iter().take_while(|s| s.phase == first.phase).count();
        let (_, after) = rest.split_at(same);
        if let (true, Some(next)) = (first.phase.is_active(), after.first()) {
            let time = match (first.began, next.began) {
                (Some(from), Some(to)) => to.duration_since(from),
                _ => next.since.duration_since(first.since),
            };
            out.push((first.phase, time.max(SignedDuration::ZERO)));
        }
        rest = after;
    }
    out
}

/// What was learnt, ready to be asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations(Vec<Learnt>);

/// How much time an update may have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// So much, if it goes as usual.
    pub left: SignedDuration,
    /// From how many updates.
    pub samples: usize,
    /// Does the phase at hand take longer than usual?
    pub late: bool,
}

impl From<Vec<Learnt>> for Durations {
    fn from(learnt: Vec<Learnt>) -> Self {
        Self(learnt)
    }
}

impl Durations {
    /// All of it, as an event tells it.
    #[must_use]
    pub fn as_slice(&self) -> &[Learnt] {
        &self.0
    }

    /// How long a phase takes in a dialect, if that was learnt.
    #[must_use]
    pub fn of(&self, dialect: &str, phase: Phase) -> Option<&Learnt> {
        self.0
            .iter()
            .find(|learnt| learnt.dialect == dialect && learnt.phase == phase)
    }

    /// How much of the phase at hand is behind, as past updates went: 0 to 1,
    /// and 1 only when it should have ended. `None` when nobody knows, or when
    /// the update is in doubt.
    #[must_use]
    pub fn part(&self, update: &Update, now: Timestamp) -> Option<f64> {
        let (learnt, passed) = self.at_hand(update, now)?;
        let usual = learnt.usual.as_secs_f64();
        (usual > 0.0).then(|| (passed.as_secs_f64() / usual).clamp(0.0, 1.0))
    }

    /// How much time an update has left, if past updates tell.
    #[must_use]
    pub fn left(&self, update: &Update, now: Timestamp) -> Option<Estimate> {
        let (here, passed) = self.at_hand(update, now)?;
        let percent = update.steps.last().and_then(|step| step.percent);
        let rest = match percent.filter(|p| (5.0..=100.0).contains(p)) {
            // What the device reports tells more than what others needed.
            Some(percent) => times(passed, (100.0 - percent) / percent),
            None => here.usual.saturating_sub(passed),
        };
        let dialect = &update.intent.dialect;
        let later = |l: &&Learnt| l.dialect == *dialect && l.phase > here.phase;
        let (mut left, mut samples) = (rest.max(SignedDuration::ZERO), here.samples);
        for learnt in self.0.iter().filter(later) {
            left = left.saturating_add(learnt.usual);
            samples = samples.min(learnt.samples);
        }
        Some(Estimate {
            left,
            samples,
            late: percent.is_none() && passed > here.usual,
        })
    }

    /// In how long the next phase begins, as past updates went: less than
    /// nothing when it should have begun, `None` when nobody knows.
    #[must_use]
    pub fn change_in(&self, update: &Update, now: Timestamp) -> Option<SignedDuration> {
        let (learnt, passed) = self.at_hand(update, now)?;
        Some(learnt.usual.saturating_sub(passed))
    }

    /// The phase that a device is in, and for how long we have seen it so.
    fn at_hand(&self, update: &Update, now: Timestamp) -> Option<(&Learnt, SignedDuration)> {
        if !update.is_open() || update.doubt.is_some() {
            return None;
        }
        let phase = update.phase()?;
        let learnt = self.of(&update.intent.dialect, phase)?;
        let same = update.steps.iter().rev().take_while(|s| s.phase == phase);
        let since = same.last()?.since;
        let passed = now.duration_since(since).max(SignedDuration::ZERO);
        Some((learnt, passed))
    }
}

fn times(duration: SignedDuration, factor: f64) -> SignedDuration {
    let seconds = duration.as_secs_f64() * factor;
    SignedDuration::try_from_secs_f64(seconds).unwrap_or(LONGEST)
}

/// When an update in which nothing changes is stalled.
#[derive(Clone, Debug, PartialEq)]
pub struct Deadlines {
    /// Where nothing else is known.
    pub default: SignedDuration,
    /// How many times what 95 of 100 past updates did not pass.
    pub factor: f64,
    /// What the operator says of a phase; this wins.
    pub phases: BTreeMap<Phase, SignedDuration>,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            default: SignedDuration::from_mins(15),
            factor: 3.0,
            phases: BTreeMap::new(),
        }
    }
}

impl Deadlines {
    /// The deadline of the phase that an update is in.
    #[must_use]
    pub fn of(&self, update: &Update, durations: &Durations) -> SignedDuration {
        let Some(phase) = update.phase().filter(|phase| phase.is_active()) else {
            return self.default;
        };
        if let Some(said) = self.phases.get(&phase) {
            return *said;
        }
        match durations.of(&update.intent.dialect, phase) {
            Some(learnt) => self.learnt(learnt),
            None => self.default,
        }
    }

    /// The deadline of a phase in whatever dialect: the longest.
    #[must_use]
    pub fn longest(&self, phase: Phase, durations: &Durations) -> SignedDuration {
        if let Some(said) = self.phases.get(&phase) {
            return *said;
        }
        let learnt = durations.0.iter().filter(|learnt| learnt.phase == phase);
        let deadlines = learnt.map(|learnt| self.learnt(learnt));
        deadlines.max().unwrap_or(self.default)
    }

    /// When a package is fetched at the latest that is ordered at `now`; the last
    /// moment there is, where the operator sets no nearer one.
    #[must_use]
    pub fn fetched_by(&self, now: Timestamp, durations: &Durations) -> Timestamp {
        let longest = self.longest(Phase::Downloading, durations);
        now.checked_add(longest).unwrap_or(Timestamp::MAX)
    }

    fn learnt(&self, learnt: &Learnt) -> SignedDuration {
        times(learnt.long, self.factor).clamp(SHORTEST, LONGEST)
    }
}
