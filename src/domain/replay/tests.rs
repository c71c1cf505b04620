use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::event::What;
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::phase::Phase;
use crate::domain::update::{Evidence, OpenState, Outcome};

fn at(millis: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_millis(millis)
}

fn event(millis: i64, what: What) -> Event {
    let device = DeviceId::parse("press-7").unwrap();
    Event::update(at(millis), device, UpdateId::from_text("u"), what)
}

fn evidence(value: &str, millis: i64) -> Evidence {
    Evidence {
        property: "firmwareStatus".into(),
        value: value.into(),
        version: 7,
        hub_time: Some(at(millis)),
    }
}

/// An event of each kind that an update may be made of.
fn what(kind: u8, millis: i64) -> What {
    let phases = [Phase::Downloading, Phase::Applying, Phase::Idle];
    match kind {
        0 => What::Invoked {
            attempt: 1,
            latest: None,
        },
        1 => What::Accepted {
            status: 200,
            payload: json!({"r": 1}),
        },
        n @ 2..=4 => {
            let phase = phases[usize::from(n) - 2];
            What::Phase {
                phase,
                reported: json!({"firmwareStatus": phase.name()}),
                percent: (n == 2).then_some(50.0),
                evidence: evidence(phase.name(), millis),
            }
        }
        5 => What::State {
            state: OpenState::Stalled,
            reason: "so".into(),
            evidence: None,
        },
        6 => What::Contradicted {
            reason: "so".into(),
            evidence: evidence("failed", millis),
            reported: Value::Null,
        },
        7 => What::Replaced {
            generation_id: None,
            since: Some(at(millis)),
            version: 1,
        },
        _ => What::Verdict {
            outcome: Outcome::Completed,
            reason: "so".into(),
            evidence: Some(evidence("completed", millis)),
            reported: Value::Null,
            problem: None,
        },
    }
}

fn recorded(kinds: &[(u8, i64)]) -> Vec<Event> {
    let mut millis = 0;
    let mut events = vec![event(0, What::Intended(Box::default()))];
    for (kind, gap) in kinds {
        millis += gap;
        events.push(event(millis, what(*kind, millis)));
    }
    events
}

/// What somebody may do with a replay.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Wait(i64),
    Pause,
    Faster,
    Slower,
    Forward,
    Back,
    Again,
    Skip,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0i64..20_000).prop_map(Deed::Wait),
        1 => Just(Deed::Pause),
        1 => Just(Deed::Faster),
        1 => Just(Deed::Slower),
        2 => Just(Deed::Forward),
        2 => Just(Deed::Back),
        1 => Just(Deed::Again),
        1 => Just(Deed::Skip),
    ]
}

fn act(replay: &mut Replay, real: &mut i64, deed: Deed) {
    match deed {
        Deed::Wait(millis) => {
            *real += millis;
            replay.tick(at(*real));
        }
        Deed::Pause => replay.pause(),
        Deed::Faster => replay.faster(),
        Deed::Slower => replay.slower(),
        Deed::Forward => replay.forward(),
        Deed::Back => replay.back(),
        Deed::Again => replay.begin_again(),
        Deed::Skip => replay.skip_silences(),
    }
}

proptest! {
    /// At any speed, with any steps: what is shown is the fold of what was told,
    /// and at the end it is what the live fold gave. By waking when it says, it
    /// comes to its end.
    #[test]
    fn a_replay_ends_as_it_was_live(
        kinds in prop::collection::vec((0u8..9, -2_000i64..90_000), 0..12),
        speed in 0u32..150,
        deeds in prop::collection::vec(deed(), 0..30),
    ) {
        let events = recorded(&kinds);
        let live = history::fold(&events);
        let mut real = 1_000_000_000;
        let mut replay = Replay::new(&events, speed, at(real)).unwrap();
        for deed in deeds {
            act(&mut replay, &mut real, deed);
            prop_assert_eq!(replay.update(), history::fold(&events[..replay.told().len()]));
            prop_assert!((0.0..=1.0).contains(&replay.part()));
            prop_assert!((1..=FASTEST).contains(&replay.speed()));
            prop_assert!(replay.now() <= *replay.times.last().unwrap());
        }
        if replay.is_paused() {
            replay.pause();
        }
        for _ in 0..=2 * events.len() {
            let Some(wake) = replay.wakes() else { break };
            prop_assert!(wake >= replay.real);
            replay.tick(wake);
        }
        prop_assert!(replay.has_ended(), "{replay:?}");
        prop_assert_eq!(replay.update(), live);
    }
}

#[test]
fn it_runs_at_its_speed_and_tells_each_event_at_its_time() {
    let events = recorded(&[(0, 10_000), (2, 10_000)]);
    let mut replay = Replay::new(&events, 10, at(0)).unwrap();
    assert_eq!(replay.told().len(), 1);
    assert!(replay.tick(at(999)));
    assert_eq!((replay.told().len(), replay.now()), (1, at(9_990)));
    replay.tick(at(1_001));
    assert_eq!((replay.told().len(), replay.now()), (2, at(10_010)));
    replay.tick(at(5_000));
    assert!(replay.has_ended());
    assert_eq!(
        replay.now(),
        at(20_000),
        "it goes no further than its events"
    );
    assert!(!replay.tick(at(9_000)));
    assert_eq!(replay.wakes(), None);
}

#[test]
fn a_pause_holds_the_virtual_time_whatever_passes() {
    let events = recorded(&[(0, 10_000)]);
    let mut replay = Replay::new(&events, 1, at(0)).unwrap();
    replay.tick(at(1_000));
    replay.pause();
    assert!(!replay.tick(at(90_000)));
    assert_eq!((replay.now(), replay.wakes()), (at(1_000), None));
    replay.pause();
    replay.tick(at(91_000));
    assert_eq!(replay.now(), at(2_000));
}

#[test]
fn silences_are_skipped_when_that_is_wished() {
    let events = recorded(&[(0, 3_600_000)]);
    let mut replay = Replay::new(&events, 10, at(0)).unwrap();
    replay.tick(at(100));
    assert_eq!(replay.now(), at(1_000));
    replay.skip_silences();
    assert_eq!(replay.wakes(), Some(at(100)), "at once");
    replay.tick(at(100));
    assert_eq!(replay.now(), at(3_590_000), "a second before the event");
    replay.tick(at(1_101));
    assert!(replay.has_ended());
}

#[test]
fn steps_rest_and_the_end_begins_again() {
    let events = recorded(&[(0, 1_000), (1, 1_000)]);
    let mut replay = Replay::new(&events, 1, at(0)).unwrap();
    replay.forward();
    assert!(replay.is_paused());
    replay.forward();
    assert!(replay.has_ended());
    replay.back();
    assert_eq!((replay.told().len(), replay.now()), (2, at(1_000)));
    replay.back();
    replay.back();
    assert_eq!((replay.told().len(), replay.now()), (1, at(0)));
    replay.forward();
    replay.forward();
    replay.pause();
    assert_eq!((replay.told().len(), replay.is_paused()), (1, false));
}

/// A clock that was set, a time at the end of all times: nothing overflows.
#[test]
fn wild_times_break_nothing() {
    let mut events = recorded(&[(0, 1_000), (1, -5_000), (8, 0)]);
    events[1].time = Timestamp::MAX;
    events[2].time = Timestamp::MIN;
    let mut replay = Replay::new(&events, 100, at(0)).unwrap();
    assert!(replay.wakes().is_some());
    replay.tick(Timestamp::MAX);
    replay.skip_silences();
    replay.tick(Timestamp::MAX);
    replay.tick(Timestamp::MAX);
    for _ in 0..9 {
        replay.forward();
    }
    assert!(replay.has_ended());
    assert!(replay.update().is_some_and(|update| !update.is_open()));
}
