//! State, keys, state: what the console does with what is pressed and told, in
//! the keymap's own spelling.

mod arming;
mod copying;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::super::keymap::Place;
use super::super::message::{Effect, Message};
use super::super::model::{Asked, Context, Dialog, Focus, Model};
use super::super::view::next_wake;
use super::super::{press, update};
use crate::domain::device::DeviceRow;
use crate::domain::dialect::Chosen;
use crate::domain::event::{Command, Event, Intent, InventoryState, Link, Way, What};
use crate::domain::fake;
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::phase::Phase;
use crate::domain::problem::{Kind, Problem};
use crate::domain::profile::Profile;
use crate::domain::update::{Baseline, Evidence, Outcome, Update};
use crate::domain::uri::PackageUri;
use crate::engine::Snapshot;

const URI: &str = "https://x.test/fw.bin";

fn start() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn at(millis: i64) -> Timestamp {
    start() + SignedDuration::from_millis(millis)
}

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn row(text: &str) -> DeviceRow {
    DeviceRow {
        device_id: id(text),
        connection: Default::default(),
        status: Default::default(),
        last_activity: None,
        firmware: None,
        reported_status: None,
        phase: None,
        last_update: None,
        tags: Default::default(),
        seen: start(),
    }
}

fn profile() -> Profile {
    fake::profile()
}

/// A console on a hub with `a-1`, `a-2`, `b-1`.
fn console_on(profile: Profile, columns: u16) -> Model {
    let mut model = Model::new(Context::new(profile), (columns, 24), start());
    let rows = ["a-2", "b-1", "a-1"].map(|text| {
        let device = Box::new(row(text));
        Event::device(start(), id(text), What::Device { device })
    });
    tell(&mut model, rows.to_vec());
    let listed = What::Inventory {
        state: InventoryState::Complete,
        count: 3,
        skipped: 0,
        problem: None,
    };
    tell(&mut model, vec![Event::general(start(), listed)]);
    model
}

fn console() -> Model {
    console_on(profile(), 80)
}

fn tell(model: &mut Model, events: Vec<Event>) -> Vec<Effect> {
    update(model, Message::Events(Arc::from(events)))
}

fn of(device: &str, millis: i64, what: What) -> Event {
    Event::update(at(millis), id(device), UpdateId::from_text(device), what)
}

fn intended(device: &str) -> Event {
    let intent = Intent {
        hub: "plant.azure-devices.net".into(),
        uri: Some(URI.into()),
        payload_sha256: None,
        method: Some("firmwareUpdate".into()),
        expect: None,
        dialect: "tutorial-2018".into(),
        baseline: Baseline::default(),
        by: "me@here".into(),
        ..Intent::default()
    };
    of(device, 0, What::Intended(Box::new(intent)))
}

fn phase(device: &str, millis: i64, value: &str, phase: Phase) -> Event {
    let evidence = Evidence {
        property: "firmwareStatus".into(),
        value: json!(value),
        version: 1,
        hub_time: Some(at(millis)),
    };
    let what = What::Phase {
        phase,
        reported: json!({"firmwareStatus": value}),
        percent: None,
        evidence,
    };
    of(device, millis, what)
}

fn completed(device: &str, millis: i64) -> Event {
    let what = What::Verdict {
        outcome: Outcome::Completed,
        reason: "done".into(),
        evidence: None,
        reported: serde_json::Value::Null,
        problem: None,
    };
    of(device, millis, what)
}

/// Where the console is, in a line: place, selected device, filter, opened
/// device and what its field holds.
fn state(model: &Model) -> String {
    let selected = model.devices.selected().map_or("-", DeviceId::as_str);
    let mut text = format!("{:?} {selected}", model.place());
    if !model.devices.filter().text().is_empty() {
        text.push_str(&format!(" /{}", model.devices.filter().text()));
    }
    if let Some(panel) = &model.panel {
        text.push_str(&format!(" in {} “{}”", panel.device, panel.field.text()));
    }
    text
}

#[rstest::rstest]
#[case("", "Table a-1")]
#[case("j", "Table a-2")]
#[case("<down>jjjj", "Table b-1")]
#[case("Gk", "Table a-2")]
#[case("<pgdn>g", "Table a-1")]
#[case("/A<enter>", "Table a-1 /A")]
#[case("/b", "Filter b-1 /b")]
#[case("j/b<esc>", "Table a-2")]
#[case("/b<enter><esc>", "Table b-1")]
#[case("/q?:", "Filter - /q?:")]
#[case(":device b-1<enter>", "Table b-1")]
#[case("/a<enter>:device b-1<enter>", "Table b-1")]
#[case(":device c-9<enter>", "Prompt a-1")]
#[case(":nonsense<enter><esc>", "Table a-1")]
#[case("j<enter>", "Field a-2 in a-2 “”")]
#[case("<enter>qj?", "Field a-1 in a-1 “qj?”")]
#[case("<enter>abc<left><backspace>", "Field a-1 in a-1 “ac”")]
#[case("<enter>abc<esc><enter>", "Field a-1 in a-1 “”")]
#[case("<enter><tab>", "Details a-1 in a-1 “”")]
#[case("<enter><tab><tab>", "Field a-1 in a-1 “”")]
#[case("<tab>", "Details a-1 in a-1 “”")]
#[case("<tab><esc>", "Table a-1")]
#[case("<enter>test.com<enter>", "Field a-1 in a-1 “test.com”")]
#[case(
    "<enter>https://x.test/a<enter>",
    "Confirm a-1 in a-1 “https://x.test/a”"
)]
#[case(
    "<enter>https://x.test/a<enter>n",
    "Field a-1 in a-1 “https://x.test/a”"
)]
#[case(
    "<enter>https://x.test/a<enter>y",
    "Details a-1 in a-1 “https://x.test/a”"
)]
#[case("?", "Help a-1")]
#[case("?jjk<esc>", "Table a-1")]
#[case("u", "Updates a-1")]
#[case("u<esc>", "Table a-1")]
#[case("j:sort device down<enter>k", "Table b-1")]
#[case(":sort colour<enter>", "Prompt a-1")]
#[case(":theme light<enter>", "Table a-1")]
#[case(":theme<enter>", "Prompt a-1")]
#[case("/!a status:disc<enter>", "Table b-1 /!a status:disc")]
fn keys_move_the_console(#[case] keys: &str, #[case] want: &str) {
    let mut model = console();
    press(&mut model, keys).unwrap();
    assert_eq!(state(&model), want);
}

fn started(effects: &[Effect]) -> Vec<String> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send(Command::Start(start)) => {
                Some(format!("{} {}", start.device, start.uri.expose()))
            }
            Effect::Send(Command::Arm(name)) => Some(format!("arm {name}")),
            _ => None,
        })
        .collect()
}

#[rstest::rstest]
#[case("<enter>https://x.test/fw.bin<enter>y", &["a-1 https://x.test/fw.bin"])]
#[case("j<enter>https://x.test/fw.bin<enter><enter>", &["a-2 https://x.test/fw.bin"])]
#[case("<space><space><enter>https://x.test/fw.bin<enter>y", &["b-1 https://x.test/fw.bin"])]
#[case("<space><space>k<enter>https://x.test/fw.bin<enter>y", &["a-2 https://x.test/fw.bin", "a-1 https://x.test/fw.bin"])]
#[case("/tag:none<enter>a<esc>a<enter>https://x.test/fw.bin<enter>y", &["a-1 https://x.test/fw.bin", "a-2 https://x.test/fw.bin", "b-1 https://x.test/fw.bin"])]
#[case("a<enter>https://x.test/fw.bin<enter>n", &[])]
#[case("<enter>https://x.test/fw.bin<enter>n", &[])]
#[case("<enter>https://x.test/fw.bin<enter>q", &[])]
#[case("<enter>test.com<enter>y<enter>", &[])]
#[case("<enter><enter>y<enter>", &[])]
#[case("<enter>https://x.test/fw.bin<enter>y<enter>y", &["a-1 https://x.test/fw.bin"])]
fn only_a_confirmed_uri_is_sent_and_only_once(#[case] keys: &str, #[case] want: &[&str]) {
    let effects = press(&mut console(), keys).unwrap();
    assert_eq!(started(&effects), want);
}

#[rstest::rstest]
#[case("y", &[])]
#[case("<enter>", &[])]
#[case("plan<enter>", &[])]
#[case("PLANT<enter>", &[])]
#[case("plant<enter>", &["arm plant", "a-1 https://x.test/fw.bin"])]
#[case("plan<enter>t<enter>", &["arm plant", "a-1 https://x.test/fw.bin"])]
fn production_is_armed_by_the_name_of_the_hub(#[case] keys: &str, #[case] want: &[&str]) {
    let environment = Some("Production".to_owned());
    let mut model = console_on(
        Profile {
            environment,
            ..profile()
        },
        80,
    );
    press(&mut model, "<enter>https://x.test/fw.bin<enter>").unwrap();
    assert_eq!(model.place(), Place::Arm);
    assert_eq!(started(&press(&mut model, keys).unwrap()), want);
}

#[test]
fn a_read_only_hub_has_no_field() {
    let read_only = true;
    let mut model = console_on(
        Profile {
            read_only,
            ..profile()
        },
        80,
    );
    let effects = press(&mut model, "<enter>https://x.test/fw.bin<enter>y<enter>").unwrap();
    assert_eq!(started(&effects), Vec::<String>::new());
    // The colon began a command.
    press(&mut model, "<esc>").unwrap();
    assert_eq!(state(&model), "Details a-1 in a-1 “”");
}

#[test]
fn q_asks_only_while_an_update_is_in_flight() {
    let mut model = console();
    assert_eq!(press(&mut model, "q").unwrap(), [Effect::Quit]);
    tell(&mut model, vec![intended("a-1")]);
    assert_eq!(press(&mut model, "q").unwrap(), []);
    assert_eq!(model.place(), Place::Quit);
    assert_eq!(press(&mut model, "n").unwrap(), []);
    assert_eq!(press(&mut model, "q<ctrl-c>").unwrap(), [Effect::Quit]);
    press(&mut model, "n").unwrap();
    assert_eq!(press(&mut model, "qy").unwrap(), [Effect::Quit]);
    press(&mut model, "n").unwrap();
    tell(&mut model, vec![completed("a-1", 9)]);
    assert_eq!(press(&mut model, "q").unwrap(), [Effect::Quit]);
}

#[test]
fn ctrl_c_quits_where_text_is_typed() {
    for keys in ["<enter>abc<ctrl-c>", "/abc<ctrl-c>", ":abc<ctrl-c>"] {
        let effects = press(&mut console(), keys).unwrap();
        assert!(effects.contains(&Effect::Quit), "{keys}");
    }
}

#[test]
fn a_refusal_stands_at_its_device_and_costs_no_typing() {
    let mut model = console();
    press(&mut model, &format!("<enter>{URI}<enter>y")).unwrap();
    let problem = Problem::new(Kind::Busy, "a-1 is busy", "another update");
    let refused = What::Refused {
        problem: problem.clone(),
    };
    tell(&mut model, vec![Event::device(at(5), id("a-1"), refused)]);
    assert_eq!(model.asked.get(&id("a-1")), Some(&Asked::Refused(problem)));
    press(&mut model, "<enter>").unwrap();
    assert_eq!(state(&model), format!("Field a-1 in a-1 “{URI}”"));
}

/// Who has the device is told; only its id, typed, takes it over.
#[rstest::rstest]
#[case("Test", "a-1")]
#[case("Production", "plant  a-1")]
fn a_device_that_somebody_has_is_taken_over_by_its_id(
    #[case] environment: &str,
    #[case] typed: &str,
) {
    use crate::domain::holding::Holding;
    let environment = Some(environment.to_owned());
    let mut model = console_on(
        Profile {
            environment,
            ..profile()
        },
        80,
    );
    press(&mut model, &format!("<enter>{URI}<enter>")).unwrap();
    let sent = match model.place() {
        Place::Arm => press(&mut model, "plant<enter>").unwrap(),
        _ => press(&mut model, "y").unwrap(),
    };
    assert!(matches!(
        sent.last(),
        Some(Effect::Send(Command::Start(start))) if start.force.is_none()
    ));
    let update = Update::intended(&intended("a-1")).unwrap();
    let problem = Problem::new(Kind::Busy, "a-1 is busy", "another").held(Holding::of(&update));
    let refused = What::Refused { problem };
    tell(&mut model, vec![Event::device(at(5), id("a-1"), refused)]);
    press(&mut model, "<enter><enter>").unwrap();
    assert_eq!(model.place(), Place::Arm);
    for wrong in ["", "plant", "y", "a-2"] {
        let keys = format!("<ctrl-u>{wrong}<enter>");
        assert_eq!(press(&mut model, &keys).unwrap(), [], "{wrong}");
    }
    let effects = press(&mut model, &format!("<ctrl-u>{typed}<enter>")).unwrap();
    let Some(Effect::Send(Command::Start(start))) = effects.last() else {
        panic!("{effects:?}");
    };
    assert!(start.takes_over());
    // It names the update that was shown: another one keeps the device.
    assert_eq!(start.over.as_ref(), Some(&update.id));
    let refused = |update: &Update| What::Refused {
        problem: Problem::new(Kind::Busy, "a-1 is busy", "another").held(Holding::of(update)),
    };
    let another = Update {
        id: UpdateId::from_text("another"),
        ..update
    };
    let event = Event::device(at(9), id("a-1"), refused(&another));
    tell(&mut model, vec![event]);
    press(&mut model, "<enter><enter>").unwrap();
    assert_eq!(model.place(), Place::Arm, "it is asked again");
    let Some(Dialog::Confirm(order)) = &model.dialog else {
        panic!("{:?}", model.dialog);
    };
    let shown = order.held.as_ref().map(|held| &held.update_id);
    assert_eq!(shown, Some(&another.id));
    let effects = press(&mut model, &format!("<ctrl-u>{typed}<enter>")).unwrap();
    let Some(Effect::Send(Command::Start(start))) = effects.last() else {
        panic!("{effects:?}");
    };
    assert_eq!(start.over.as_ref(), Some(&another.id));
}

#[test]
fn a_taken_order_empties_the_field_and_an_ended_update_frees_it() {
    let mut model = console();
    press(&mut model, &format!("<enter>{URI}<enter>y")).unwrap();
    tell(&mut model, vec![intended("a-1")]);
    press(&mut model, "<enter><tab>").unwrap();
    assert_eq!(model.panel, None, "no field while it is in flight");
    tell(&mut model, vec![completed("a-1", 9)]);
    press(&mut model, "<enter>").unwrap();
    assert_eq!(state(&model), "Field a-1 in a-1 “”");
    let offers: Vec<&str> = model.offers().iter().map(|(_, uri)| uri.expose()).collect();
    assert_eq!(offers, [URI]);
    press(&mut model, "<down><enter>").unwrap();
    assert_eq!(state(&model), format!("Field a-1 in a-1 “{URI}”"));
}

#[test]
fn redacted_uris_of_earlier_sessions_are_not_offered() {
    let mut context = Context::new(profile());
    let redacted = PackageUri::parse("https://x.test/a?sig=***").unwrap();
    context.recent_uris = vec![redacted, PackageUri::parse(URI).unwrap()];
    context.sample_uris = vec!["no uri".into(), URI.into(), "https://x.test/b".into()];
    let model = Model::new(context, (80, 24), start());
    let offers: Vec<_> = model
        .offers()
        .iter()
        .map(|(k, u)| (*k, u.expose()))
        .collect();
    assert_eq!(offers, [("recent", URI), ("sample", "https://x.test/b")]);
}

#[test]
fn n_and_p_go_round_the_updates_in_flight() {
    let mut model = console();
    tell(&mut model, vec![intended("a-1"), intended("b-1")]);
    press(&mut model, "n").unwrap();
    assert_eq!(state(&model), "Table b-1");
    press(&mut model, "n<enter>").unwrap();
    assert_eq!(state(&model), "Details a-1 in a-1 “”");
    press(&mut model, "p").unwrap();
    assert_eq!(state(&model), "Details b-1 in b-1 “”");
}

/// A twin was read, and its dialect is known.
fn twin(device: &str, dialect: &str, settled: bool) -> Event {
    let mut fake = crate::domain::fake::FakeTwin::new(device);
    let chosen = Chosen {
        name: dialect.into(),
        how: "set for this hub".into(),
        settled,
    };
    let what = What::Twin {
        twin: Box::new(fake.report(json!({"a": 1}))),
        dialect: Some(chosen),
    };
    Event::device(start(), id(device), what)
}

#[rstest::rstest]
#[case("tutorial-2018", true, None)]
#[case("device-update", true, Some("watched only"))]
#[case("remote-monitoring-2", true, Some("{version}"))]
// The rules may say otherwise yet; then the engine refuses.
#[case("device-update", false, None)]
fn what_cannot_be_started_is_not_asked_for(
    #[case] dialect: &str,
    #[case] settled: bool,
    #[case] why: Option<&str>,
) {
    let mut model = console();
    press(&mut model, "<enter>").unwrap();
    tell(&mut model, vec![twin("a-1", dialect, settled)]);
    press(&mut model, URI).unwrap();
    press(&mut model, "<enter>").unwrap();
    match (why, model.asked.get(&id("a-1"))) {
        (None, None) => assert!(model.dialog.is_some()),
        (Some(why), Some(Asked::Refused(problem))) => {
            assert!(model.dialog.is_none());
            assert!(problem.cause.contains(why), "{problem}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn giving_up_is_asked_for() {
    let mut model = console();
    tell(&mut model, vec![intended("a-1")]);
    let effects = press(&mut model, "<enter>xnxy").unwrap();
    let given_up = Effect::Send(Command::GiveUp(UpdateId::from_text("a-1")));
    assert_eq!(effects.iter().filter(|e| **e == given_up).count(), 1);
}

#[test]
fn what_is_opened_is_looked_at_and_its_update_is_in_focus() {
    let mut model = console();
    tell(&mut model, vec![intended("a-2")]);
    let look = |id: Option<DeviceId>| Effect::Send(Command::Look(id));
    let focus = |id: Option<UpdateId>| Effect::Send(Command::Focus(id));
    assert_eq!(
        press(&mut model, "<enter>").unwrap(),
        [look(Some(id("a-1")))]
    );
    assert_eq!(press(&mut model, "<esc>").unwrap(), [look(None)]);
    let opened = [
        look(Some(id("a-2"))),
        focus(Some(UpdateId::from_text("a-2"))),
    ];
    assert_eq!(press(&mut model, "j<enter>").unwrap(), opened);
    let done = tell(&mut model, vec![completed("a-2", 9)]);
    assert_eq!(done, [focus(None)]);
}

#[test]
fn beside_the_table_a_selection_is_looked_at_when_it_rests() {
    let mut model = console_on(profile(), 120);
    let look = |id: Option<DeviceId>| Effect::Send(Command::Look(id));
    assert_eq!(press(&mut model, "jj").unwrap(), []);
    assert_eq!(next_wake(&model), Some(at(250)));
    assert_eq!(update(&mut model, Message::Tick(at(249))), []);
    let rested = update(&mut model, Message::Tick(at(250)));
    assert_eq!(rested, [look(Some(id("b-1")))]);
    let away = update(&mut model, Message::Tick(at(300_000)));
    let attend = |somebody| Effect::Send(Command::Attend(somebody));
    assert_eq!(
        away,
        [attend(false), look(None)],
        "nobody has touched a key for five minutes"
    );
    let back = [attend(true), look(Some(id("b-1")))];
    assert_eq!(press(&mut model, "?").unwrap(), back);
}

#[test]
fn a_console_on_which_nothing_ages_sleeps() {
    let mut empty = Model::new(Context::new(profile()), (80, 24), start());
    let away = at(300_000);
    assert_eq!(
        next_wake(&empty),
        Some(away),
        "to tell that nobody is there"
    );
    update(&mut empty, Message::Tick(away));
    assert_eq!(next_wake(&empty), None);
    let mut model = console();
    assert_eq!(
        next_wake(&model),
        Some(at(60_000)),
        "minutes age by the minute"
    );
    tell(&mut model, vec![intended("a-1")]);
    assert_eq!(
        next_wake(&model),
        Some(at(200)),
        "updates in flight by tenths"
    );
    tell(&mut model, vec![completed("a-1", 0)]);
    assert_eq!(next_wake(&model), Some(at(60_000)));
}

#[test]
fn a_snapshot_takes_over_and_older_events_are_not_told_twice() {
    let mut model = console();
    let mut known = Update::intended(&intended("a-1")).unwrap();
    let first = phase("a-1", 10, "downloading", Phase::Downloading);
    let second = phase("a-1", 20, "applying", Phase::Applying);
    known.apply(&first);
    known.apply(&second);
    let snapshot = Snapshot {
        rows: vec![row("a-1"), row("c-1")],
        inventory: Some((InventoryState::Complete, None)),
        query: None,
        link: Way::new(Link::Online),
        starting: Vec::new(),
        refusals: Vec::new(),
        journal: None,
        armed_until: None,
        resuming: false,
        durations: Default::default(),
        budget: crate::domain::quota::Budget::at_rest(&profile()),
        sequence: 0,
        updates: vec![known],
    };
    update(&mut model, Message::Snapshot(Box::new(snapshot)));
    tell(
        &mut model,
        vec![intended("a-1"), first, second, completed("a-1", 30)],
    );
    let tracked = model.updates.of(&id("a-1")).unwrap();
    let steps: Vec<Phase> = tracked.update.steps.iter().map(|s| s.phase).collect();
    assert_eq!(steps, [Phase::Downloading, Phase::Applying]);
    let log: Vec<&str> = tracked.log.iter().map(|line| line.word.as_str()).collect();
    assert_eq!(log, ["intended", "downloading", "applying", "completed"]);
    assert_eq!((model.devices.len(), model.link.state), (2, Link::Online));
}

#[test]
fn listing_again_takes_a_snapshot_so_that_what_is_gone_goes() {
    let mut model = console();
    let listed = |state| {
        let what = What::Inventory {
            state,
            count: 2,
            skipped: 0,
            problem: None,
        };
        vec![Event::general(start(), what)]
    };
    assert_eq!(
        press(&mut model, "r").unwrap(),
        [Effect::Send(Command::List)]
    );
    assert_eq!(tell(&mut model, listed(InventoryState::Listing)), []);
    assert_eq!(press(&mut model, "r").unwrap(), [], "it is under way");
    assert_eq!(
        tell(&mut model, listed(InventoryState::Complete)),
        [Effect::Snapshot]
    );
    assert_eq!(tell(&mut model, listed(InventoryState::Complete)), []);
}

#[test]
fn a_paste_goes_where_text_is_typed_and_says_what_it_left_out() {
    let mut model = console();
    press(&mut model, "<enter>").unwrap();
    update(
        &mut model,
        Message::Paste(" https://x.test/\u{1b}fw\n".into()),
    );
    let panel = model.panel.as_ref().unwrap();
    assert_eq!(panel.field.text(), "https://x.test/fw");
    assert_eq!((panel.dropped.dangerous, panel.focus), (1, Focus::Field));
    press(&mut model, "<esc>").unwrap();
    update(&mut model, Message::Paste("q".into()));
    assert_eq!(state(&model), "Table a-1", "a paste is no key");
}

#[test]
fn a_hundred_thousand_devices_build_only_the_rows_on_screen() {
    let mut model = Model::new(Context::new(profile()), (80, 24), start());
    let rows = (0..100_000)
        .map(|n| row(&format!("press-{n:06}")))
        .collect();
    model.devices.replace(rows);
    press(&mut model, "/99<enter>G").unwrap();
    assert_eq!(model.devices.window(18).count(), 18);
    assert_eq!(model.devices.selected().unwrap().as_str(), "press-099999");
    let holds = |n: &i32| format!("{n:06}").contains("99");
    assert_eq!(model.devices.shown(), (0..100_000).filter(holds).count());
}

#[test]
fn a_list_that_is_made_again_by_itself_drops_what_is_gone() {
    let mut model = console();
    let inventory = |state| {
        let what = What::Inventory {
            state,
            count: 3,
            skipped: 0,
            problem: None,
        };
        vec![Event::general(start(), what)]
    };
    tell(&mut model, inventory(InventoryState::Listing));
    tell(&mut model, inventory(InventoryState::Complete));
    tell(&mut model, inventory(InventoryState::Listing));
    let over = tell(&mut model, inventory(InventoryState::Complete));
    assert_eq!(over, [Effect::Snapshot]);
}

#[test]
fn a_warning_about_the_hubs_day_is_shown() {
    let mut model = console();
    let problem = Problem::new(Kind::Throttled, "reads slow down", "half is spent");
    let what = What::BudgetWarning { problem };
    tell(&mut model, vec![Event::general(start(), what)]);
    assert!(model.notice.as_ref().unwrap().contains("reads slow down"));
}
