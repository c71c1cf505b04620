//! How long phases took in past updates, and what follows from that: when an
//! update is stalled, how much time it has left, how far a gauge may move.
//!
//! Learnt are only updates that completed in one run, each phase from its first
//! report to the next one's. Where both ends have a stamp of the hub, that clock
//! counts, so a late read spoils nothing. With fewer than [`ENOUGH`] samples
//! nothing is said, and the configured deadline stands.

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

    fn learnt(&self, learnt: &Learnt) -> SignedDuration {
        times(learnt.long, self.factor).clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{Intent, What};
    use crate::domain::evidence::{Baseline, Evidence, OpenState};
    use crate::domain::id::{DeviceId, UpdateId};
    use proptest::prelude::*;
    use serde_json::Value;

    const SECOND: SignedDuration = SignedDuration::from_secs(1);

    fn start() -> Timestamp {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    /// The events of an update whose device reported each phase at that second
    /// by the hub's clock, which is three seconds behind ours.
    fn told(phases: &[(i32, Phase)], outcome: Option<Outcome>) -> Vec<Event> {
        let event = |at: i32, what| {
            let device = DeviceId::parse("d").unwrap();
            Event::update(
                start() + at * SECOND,
                device,
                UpdateId::from_text("u"),
                what,
            )
        };
        let intent = Intent {
            hub: "h".into(),
            uri: None,
            payload_sha256: None,
            method: None,
            expect: None,
            dialect: "x".into(),
            baseline: Baseline::default(),
            by: "ana".into(),
            ..Intent::default()
        };
        let mut events = vec![event(0, What::Intended(Box::new(intent)))];
        for (at, phase) in phases {
            let what = What::Phase {
                phase: *phase,
                reported: Value::Null,
                percent: None,
                evidence: Evidence {
                    property: "p".into(),
                    value: phase.name().into(),
                    version: 2,
                    hub_time: Some(start() + (*at - 3) * SECOND),
                },
            };
            events.push(event(*at, what));
        }
        if let Some(outcome) = outcome {
            let what = What::Verdict {
                outcome,
                reason: String::new(),
                evidence: None,
                reported: Value::Null,
                problem: None,
            };
            events.push(event(1_000, what));
        }
        events
    }

    fn update(events: &[Event]) -> Update {
        let mut update = Update::intended(&events[0]).unwrap();
        events[1..].iter().for_each(|event| update.apply(event));
        update
    }

    use Phase::{Applying, Done, Downloading, Queued};

    fn completed(download: i32, apply: i32) -> Vec<Event> {
        let all = [
            (10, Downloading),
            (10 + download, Applying),
            (10 + download + apply, Done),
        ];
        told(&all, Some(Outcome::Completed))
    }

    fn learnt(updates: &[Vec<Event>]) -> Durations {
        let mut samples = Samples::default();
        samples.learn_all(updates);
        Durations::from(samples.learnt())
    }

    #[test]
    fn the_median_and_what_most_do_not_pass_are_learnt() {
        let past: Vec<_> = (1..=20).map(|n| completed(n, 2 * n)).collect();
        let durations = learnt(&past);
        let download = durations.of("x", Downloading).unwrap();
        assert_eq!(download.samples, 20);
        assert_eq!(download.usual, 10 * SECOND);
        assert_eq!(download.long, 19 * SECOND);
        assert_eq!(durations.of("x", Applying).unwrap().usual, 20 * SECOND);
        assert_eq!(durations.of("y", Applying), None);
        assert_eq!(durations.of("x", Queued), None);
    }

    #[test]
    fn one_device_that_was_switched_off_does_not_make_all_wait() {
        let mut past: Vec<_> = (0..5).map(|_| completed(20, 20)).collect();
        past.push(completed(36_000, 20));
        let durations = learnt(&past);
        let download = durations.of("x", Downloading).unwrap();
        assert_eq!((download.usual, download.long), (20 * SECOND, 200 * SECOND));
        let waits = Deadlines::default().of(&update(&told(&[(1, Downloading)], None)), &durations);
        assert_eq!(waits, 600 * SECOND);
    }

    #[test]
    fn too_few_samples_teach_nothing() {
        let past: Vec<_> = (1..ENOUGH).map(|_| completed(10, 10)).collect();
        assert_eq!(learnt(&past), Durations::default());
    }

    #[rstest::rstest]
    #[case::failed(told(&[(1, Downloading), (9, Done)], Some(Outcome::Failed)))]
    #[case::open(told(&[(1, Downloading), (9, Applying)], None))]
    #[case::restarted(told(&[(1, Applying), (5, Downloading), (9, Done)], Some(Outcome::Completed)))]
    #[case::no_phase_seen(told(&[(9, Done)], Some(Outcome::Completed)))]
    fn what_did_not_go_straight_teaches_nothing(#[case] events: Vec<Event>) {
        let mut samples = Samples::default();
        assert!(!samples.learn(&update(&events)));
        assert_eq!(samples, Samples::default());
    }

    #[test]
    fn the_newest_samples_are_kept() {
        let mut past: Vec<_> = (0..200).map(|_| completed(10, 10)).collect();
        past.extend((0..KEPT).map(|_| completed(40, 10)));
        let download = learnt(&past).of("x", Downloading).cloned().unwrap();
        assert_eq!((download.samples, download.usual), (KEPT, 40 * SECOND));
    }

    #[test]
    fn the_hubs_clock_counts_where_both_ends_have_it() {
        // We saw the download late, and the hub stamped it in time.
        let mut events = completed(10, 10);
        events[1].time += 8 * SECOND;
        let past: Vec<_> = (0..5).map(|_| events.clone()).collect();
        assert_eq!(
            learnt(&past).of("x", Downloading).unwrap().usual,
            10 * SECOND
        );
    }

    fn usual() -> Durations {
        let past: Vec<_> = (0..7).map(|_| completed(20, 30)).collect();
        learnt(&past)
    }

    #[rstest::rstest]
    // In the download since second 10.
    #[case(&[(10, Downloading)], 15, Some((45, false)), Some(0.25))]
    #[case(&[(10, Downloading)], 60, Some((30, true)), Some(1.0))]
    #[case(&[(10, Downloading), (30, Applying)], 40, Some((20, false)), Some(1.0 / 3.0))]
    #[case(&[(10, Queued)], 40, None, None)]
    #[case(&[], 40, None, None)]
    fn estimates(
        #[case] phases: &[(i32, Phase)],
        #[case] now: i32,
        #[case] left: Option<(i32, bool)>,
        #[case] part: Option<f64>,
    ) {
        let update = update(&told(phases, None));
        let now = start() + now * SECOND;
        let estimate = usual().left(&update, now);
        assert_eq!(
            estimate,
            left.map(|(left, late)| Estimate {
                left: left * SECOND,
                samples: 7,
                late
            })
        );
        assert_eq!(usual().part(&update, now), part);
    }

    #[test]
    fn a_reported_percentage_says_more_than_the_past() {
        let mut events = told(&[(10, Downloading)], None);
        if let What::Phase { percent, .. } = &mut events[1].what {
            *percent = Some(50.0);
        }
        let update = update(&events);
        // Half is there after 40 s, so 40 s more, and 30 s to apply it.
        let left = usual().left(&update, start() + 50 * SECOND).unwrap();
        assert_eq!((left.left, left.late), (70 * SECOND, false));
    }

    #[test]
    fn nothing_is_estimated_of_an_update_in_doubt() {
        let mut events = told(&[(10, Downloading)], None);
        let what = What::State {
            state: OpenState::Stalled,
            reason: String::new(),
            evidence: None,
        };
        events.push(Event {
            what,
            ..events[1].clone()
        });
        let update = update(&events);
        assert_eq!(usual().left(&update, start() + 20 * SECOND), None);
    }

    #[test]
    fn the_operator_wins_over_the_past_and_that_over_the_default() {
        let minutes = SignedDuration::from_mins;
        let past: Vec<_> = (0..5).map(|_| completed(100, 2)).collect();
        let durations = learnt(&past);
        let mut deadlines = Deadlines::default();
        let at = |phases: &[(i32, Phase)]| update(&told(phases, None));
        let downloading = at(&[(1, Downloading)]);
        assert_eq!(
            deadlines.of(&downloading, &Durations::default()),
            minutes(15)
        );
        assert_eq!(deadlines.of(&downloading, &durations), minutes(5));
        assert_eq!(deadlines.of(&at(&[(1, Applying)]), &durations), SHORTEST);
        assert_eq!(deadlines.of(&at(&[]), &durations), minutes(15));
        deadlines.phases.insert(Downloading, minutes(2));
        assert_eq!(deadlines.of(&downloading, &durations), minutes(2));
        deadlines.factor = 1e300;
        let applying = at(&[(1, Downloading), (2, Applying)]);
        assert_eq!(deadlines.of(&applying, &durations), LONGEST);
    }

    /// Of a package it is not known yet in which dialect its devices will tell
    /// of it.
    #[test]
    fn the_longest_deadline_of_a_phase_is_that_of_any_dialect() {
        let learnt = |dialect: &str, minutes| Learnt {
            dialect: dialect.into(),
            phase: Phase::Downloading,
            samples: 9,
            usual: SECOND,
            long: SignedDuration::from_mins(minutes),
        };
        let mut deadlines = Deadlines::default();
        let longest =
            |d: &Deadlines, durations: &Durations| d.longest(Phase::Downloading, durations);
        let durations = Durations::from(vec![learnt("a", 2), learnt("b", 7), learnt("c", 1)]);
        assert_eq!(
            longest(&deadlines, &Durations::default()),
            deadlines.default
        );
        assert_eq!(
            longest(&deadlines, &durations),
            SignedDuration::from_mins(21)
        );
        assert_eq!(
            deadlines.longest(Phase::Applying, &durations),
            deadlines.default
        );
        deadlines.phases.insert(Phase::Downloading, SECOND);
        assert_eq!(longest(&deadlines, &durations), SECOND);
    }

    proptest! {
        /// A phase's part is between nothing and all of it, and time left is
        /// never less than none.
        #[test]
        fn estimates_stay_in_bounds(download in 0i32..10_000, apply in 0i32..10_000, now in -100i32..100_000) {
            let past: Vec<_> = (0..5).map(|_| completed(download, apply)).collect();
            let durations = learnt(&past);
            let update = update(&told(&[(10, Downloading)], None));
            let now = start() + now * SECOND;
            if let Some(part) = durations.part(&update, now) {
                prop_assert!((0.0..=1.0).contains(&part));
            }
            let left = durations.left(&update, now).unwrap().left;
            prop_assert!(left >= SignedDuration::ZERO);
        }
    }
}
