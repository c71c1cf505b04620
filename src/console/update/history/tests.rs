//! What the console does with the past: asked page by page, opened, played again.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::console::keymap::Place;
use crate::console::message::Message;
use crate::console::model::Context;
use crate::console::view::next_wake;
use crate::console::{press, update};
use crate::domain::event::{Command, Event, Intent, What};
use crate::domain::history::{Entry, Page, Recorded, fold};
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::problem::Kind;
use crate::domain::profile::Profile;
use crate::domain::update::Outcome;

fn at(millis: i64) -> Timestamp {
    let noon: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    noon + SignedDuration::from_millis(millis)
}

fn console() -> Model {
    let profile = Profile {
        name: "plant".into(),
        host: "plant.test".into(),
        environment: None,
        read_only: false,
        tier: None,
        units: 1,
    };
    Model::new(Context::new(profile), (80, 24), at(0))
}

/// An update of yesterday that took 46 s.
fn events(device: &str) -> Vec<Event> {
    let event = |seconds: i64, what| {
        let device = DeviceId::parse(device).unwrap();
        let id = UpdateId::from_text(&format!("u-{device}"));
        Event::update(at(seconds * 1_000 - 86_400_000), device, id, what)
    };
    let intent = Intent {
        hub: "plant.test".into(),
        method: Some("firmwareUpdate".into()),
        ..Intent::default()
    };
    vec![
        event(0, What::Intended(Box::new(intent))),
        event(
            1,
            What::Invoked {
                attempt: 1,
                latest: None,
            },
        ),
        event(
            46,
            What::Verdict {
                outcome: Outcome::Completed,
                reason: "done".into(),
                evidence: None,
                reported: Value::Null,
                problem: None,
            },
        ),
    ]
}

fn asked(effects: &[Effect]) -> Vec<Ask> {
    let asks = effects.iter().filter_map(|effect| match effect {
        Effect::Past(ask) => Some(ask.clone()),
        _ => None,
    });
    asks.collect()
}

fn answer(model: &mut Model, ask: &Ask, answer: Result<Answer, Problem>) -> Vec<Effect> {
    update(model, Message::Past(ask.clone(), Box::new(answer)))
}

fn page(devices: &[&str]) -> Answer {
    let entries = devices
        .iter()
        .map(|d| Entry::of(&fold(&events(d)).unwrap()));
    Answer::Page(Page {
        entries: entries.collect(),
        ..Page::default()
    })
}

/// The console with the update of `a` opened.
fn opened() -> Model {
    let mut model = console();
    let asks = asked(&press(&mut model, "H").unwrap());
    answer(&mut model, &asks[0], Ok(page(&["b", "a"])));
    let asks = asked(&press(&mut model, "j<enter>").unwrap());
    let recorded = Recorded {
        events: events("a"),
        ..Recorded::default()
    };
    answer(&mut model, &asks[0], Ok(Answer::Update(recorded)));
    model
}

#[test]
fn the_past_is_asked_for_when_it_is_opened_and_as_the_filter_is_typed() {
    let mut model = console();
    let asks = asked(&press(&mut model, "H").unwrap());
    let first = Ask::Page {
        text: String::new(),
        before: None,
    };
    assert_eq!(asks, [first]);
    answer(&mut model, &asks[0], Ok(page(&["b", "a"])));
    let asks = asked(&press(&mut model, "/a x").unwrap());
    let texts: Vec<&str> = asks
        .iter()
        .map(|ask| match ask {
            Ask::Page { text, .. } => text.as_str(),
            Ask::Update(_) => "?",
        })
        .collect();
    assert_eq!(texts, ["a", "a x"]);
    assert_eq!(model.place(), Place::Find);
    press(&mut model, "<enter>").unwrap();
    assert_eq!(model.place(), Place::History);
    let late = Ask::Page {
        text: "a x".into(),
        before: None,
    };
    // Without the filter all is told already, and a late answer changes nothing.
    assert!(asked(&press(&mut model, "<esc>").unwrap()).is_empty());
    assert!(asked(&answer(&mut model, &late, Ok(page(&[])))).is_empty());
    assert_eq!(model.history.as_ref().unwrap().rows.len(), 2);
    press(&mut model, "<esc>").unwrap();
    assert_eq!(model.place(), Place::Table);
}

#[rstest::rstest]
#[case(":history<enter>", "")]
#[case(":history press 7<enter>", "press 7")]
#[case(":device c-9<enter>H", "c-9")]
fn ways_into_the_past(#[case] keys: &str, #[case] filter: &str) {
    let mut model = console();
    press(&mut model, keys).unwrap();
    assert_eq!(model.place(), Place::History);
    assert_eq!(model.history.unwrap().text(), filter);
}

#[test]
fn a_past_update_is_opened_played_and_left() {
    let mut model = opened();
    assert_eq!(model.place(), Place::Record);
    press(&mut model, "p").unwrap();
    assert_eq!(model.place(), Place::Replay);
    update(&mut model, Message::Tick(at(4_599)));
    let played = |model: &Model| model.replay.clone().unwrap();
    assert!(played(&model).tracked.update.is_open());
    let wake = next_wake(&model).unwrap();
    assert!(wake <= at(4_602), "{wake}");
    update(&mut model, Message::Tick(at(4_602)));
    assert!(!played(&model).tracked.update.is_open());
    assert_eq!(next_wake(&model), None, "at the end nothing changes");
    press(&mut model, "<left>").unwrap();
    assert!(played(&model).tracked.update.is_open());
    for place in [Place::Record, Place::History, Place::Table] {
        press(&mut model, "<esc>").unwrap();
        assert_eq!(model.place(), place);
    }
}

#[test]
fn a_paused_replay_asks_for_no_frame() {
    let mut model = opened();
    press(&mut model, "p<space>").unwrap();
    assert_eq!(next_wake(&model), None);
    press(&mut model, "<space>").unwrap();
    assert!(next_wake(&model).is_some_and(|time| time >= model.now));
}

#[test]
fn a_failure_is_shown_and_asked_again_only_by_a_key() {
    let mut model = console();
    let asks = asked(&press(&mut model, "H").unwrap());
    let problem = Problem::new(Kind::Journal, "t", "c");
    assert!(asked(&answer(&mut model, &asks[0], Err(problem))).is_empty());
    assert!(asked(&press(&mut model, "jk").unwrap()).is_empty());
    assert_eq!(asked(&press(&mut model, "r").unwrap()), asks);
}

/// While the past is shown, no device is looked at; the engine hears once that
/// nobody is there while something is played, and nothing else.
#[test]
fn nothing_is_looked_at_behind_the_past() {
    let mut model = opened();
    assert_eq!(model.in_view(), None);
    let effects = press(&mut model, "p").unwrap();
    assert_eq!(effects, [Effect::Send(Command::Attend(false))]);
    let effects = press(&mut model, "<esc>").unwrap();
    assert_eq!(effects, [Effect::Send(Command::Attend(true))]);
}

#[test]
fn a_replay_alone_ends_with_its_replay() {
    let replay = Replay::new(&events("a"), 1, at(0)).unwrap();
    let context = console().context;
    let mut model = Model::replaying(context, replay, (80, 24), at(0));
    assert_eq!(model.place(), Place::Replay);
    assert!(update(&mut model, Message::Tick(at(900_000))).is_empty());
    assert_eq!(press(&mut model, "<esc>").unwrap(), [Effect::Quit]);
}

proptest! {
    /// Whatever keys are pressed in a replay: it is one until esc, nothing reaches
    /// the engine, and what is shown is the fold of what was told.
    #[test]
    fn no_key_of_a_replay_reaches_the_engine(
        keys in prop::collection::vec("[a-pr-zA-Z0-9+=:/ \\-]|<left>|<right>|<space>|<enter>|<up>|<down>|<tab>", 0..40),
        waits in prop::collection::vec(0i64..3_000, 40),
    ) {
        let mut model = opened();
        press(&mut model, "p").unwrap();
        let mut millis = 0;
        for (key, wait) in keys.iter().zip(waits) {
            millis += wait;
            let mut effects = update(&mut model, Message::Tick(at(millis)));
            effects.extend(press(&mut model, key).unwrap());
            prop_assert_eq!(effects, []);
            prop_assert_eq!(model.place(), Place::Replay);
            let played = model.replay.as_ref().unwrap();
            let want = fold(played.replay.told());
            prop_assert_eq!(Some(&played.tracked.update), want.as_ref());
        }
    }
}
