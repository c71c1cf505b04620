//! What is learnt of past updates, and what follows from it.

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
    let longest = |d: &Deadlines, durations: &Durations| d.longest(Phase::Downloading, durations);
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
    let now = Timestamp::UNIX_EPOCH;
    assert_eq!(deadlines.fetched_by(now, &durations), now + SECOND);
    let phases = &mut deadlines.phases;
    phases.insert(Phase::Downloading, SignedDuration::MAX);
    assert_eq!(deadlines.fetched_by(now, &durations), Timestamp::MAX);
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
