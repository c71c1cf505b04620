//! What happens and what is typed, and what is said of it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::console::model::Context;
use crate::domain::device::DeviceRow;
use crate::domain::dialect::Chosen;
use crate::domain::event::{Command, Intent, Link};
use crate::domain::fake;
use crate::domain::fake::FakeTwin;
use crate::domain::history::{Answer, Entry, Page};
use crate::domain::holding::Holding;
use crate::domain::id::UpdateId;
use crate::domain::phase::Phase;
use crate::domain::preflight::{Finding, Weight};
use crate::domain::profile::Profile;
use crate::domain::update::{Evidence, OpenState, Outcome, Update};

const URI: &str = "https://x.test/fw.bin";

fn at(millis: i64) -> Timestamp {
    let start: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    start + SignedDuration::from_millis(millis)
}

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

/// A conversation about a hub, and what was sent to the engine.
struct Story {
    model: Model,
    talk: Talk,
    sent: Vec<Command>,
    quit: bool,
}

impl Story {
    fn on(profile: Profile, attended: bool) -> Self {
        let model = Model::new(Context::new(profile), (80, 24), at(0));
        let talk = Talk::new(&model, attended);
        Self {
            model,
            talk,
            sent: Vec::new(),
            quit: false,
        }
    }

    /// A pipe on a hub with `a-1` and `b-1`, listed.
    fn new() -> Self {
        Self::with(profile(), false)
    }

    fn with(profile: Profile, attended: bool) -> Self {
        let mut story = Self::on(profile, attended);
        story.list(&["b-1", "a-1"]);
        story.said();
        story
    }

    fn list(&mut self, ids: &[&str]) {
        let rows = ids.iter().map(|text| {
            let device = Box::new(row(text));
            Event::device(at(0), id(text), What::Device { device })
        });
        let mut events: Vec<Event> = rows.collect();
        events.push(Event::general(at(0), What::Resumed { count: 0 }));
        events.push(Event::general(at(0), listed(ids.len())));
        self.hear(events);
    }

    fn hear(&mut self, events: Vec<Event>) {
        let message = Message::Events(Arc::from(events));
        self.message(message);
    }

    fn message(&mut self, message: Message) {
        let effects = self.talk.hear(&mut self.model, message);
        self.take(effects);
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(command) => self.sent.push(command),
                Effect::Quit => self.quit = true,
                _ => {}
            }
        }
    }

    fn typed(&mut self, line: &str) {
        let effects = self.talk.typed(&mut self.model, line);
        self.take(effects);
    }

    /// The twin of a device is read.
    fn read(&mut self, device: &str) {
        let mut twin = FakeTwin::new(device).twin;
        let reported = json!({"firmwareStatus": "standBy", "fw": {"slot": "a\u{1b}[2J"}});
        twin.reported.values = reported.as_object().unwrap().clone();
        twin.desired.values = json!({"fw": {"slot": "b"}}).as_object().unwrap().clone();
        let dialect = Some(Chosen {
            name: "tutorial-2018".into(),
            how: "recognised by firmwareStatus".into(),
            settled: true,
        });
        let what = What::Twin {
            twin: Box::new(twin),
            dialect,
        };
        self.hear(vec![Event::device(at(1), id(device), what)]);
    }

    /// The package's server has answered.
    fn inspected(&mut self, findings: Vec<Finding>) {
        let what = What::Inspected {
            uri: URI.into(),
            uri_sha256: crate::domain::evidence::sha256(URI),
            findings,
            server: None,
            waiting: false,
        };
        self.hear(vec![Event::general(at(2), what)]);
    }

    /// As far as the question about an update of `a-1`.
    fn asked(profile: Profile, attended: bool) -> Self {
        let mut story = Self::with(profile, attended);
        story.typed(&format!("update a-1 {URI}"));
        story.read("a-1");
        story.inspected(Vec::new());
        story
    }

    /// What was said since: stdout, and stderr.
    fn said(&mut self) -> (String, String) {
        let (mut told, mut asked) = (String::new(), String::new());
        while let Some(said) = self.talk.next() {
            match said {
                Said::Told(text) => told.push_str(&text),
                Said::Asked(text) | Said::Prompt(text) => asked.push_str(&text),
            }
        }
        (told, asked)
    }

    fn starts(&self) -> Vec<&str> {
        let starts = self.sent.iter().filter_map(|command| match command {
            Command::Start(start) => Some(start.device.as_str()),
            _ => None,
        });
        starts.collect()
    }

    fn refusals(&self) -> Vec<Kind> {
        self.talk
            .refused
            .iter()
            .map(|problem| problem.kind)
            .collect()
    }
}

fn profile() -> Profile {
    fake::profile()
}

fn production() -> Profile {
    Profile {
        environment: Some("production".into()),
        ..profile()
    }
}

fn row(text: &str) -> DeviceRow {
    DeviceRow {
        device_id: id(text),
        connection: Default::default(),
        status: Default::default(),
        last_activity: None,
        firmware: Some("1.4.2\u{202e}".into()),
        reported_status: None,
        phase: None,
        last_update: None,
        tags: Default::default(),
        seen: at(0),
    }
}

fn listed(count: usize) -> What {
    What::Inventory {
        state: InventoryState::Complete,
        count,
        skipped: 0,
        problem: None,
    }
}

fn of(device: &str, what: What) -> Event {
    Event::update(at(0), id(device), UpdateId::from_text(device), what)
}

fn intended(device: &str) -> Event {
    let intent = Intent {
        uri: Some(URI.into()),
        method: Some("firmwareUpdate".into()),
        dialect: "tutorial-2018".into(),
        by: "me@here".into(),
        ..Intent::default()
    };
    of(device, What::Intended(Box::new(intent)))
}

fn evidence(value: &str) -> Evidence {
    Evidence {
        property: "firmwareStatus".into(),
        value: json!(value),
        version: 7,
        hub_time: Some(at(5)),
    }
}

fn phase(device: &str, phase: Phase, percent: Option<f64>) -> Event {
    let what = What::Phase {
        phase,
        reported: Value::Null,
        percent,
        evidence: evidence(phase.name()),
    };
    of(device, what)
}

fn verdict(device: &str, outcome: Outcome, reason: &str) -> Event {
    let what = What::Verdict {
        outcome,
        reason: reason.into(),
        evidence: None,
        reported: Value::Null,
        problem: None,
    };
    of(device, what)
}

fn problem(kind: Kind) -> Problem {
    Problem::new(kind, "a-1 cannot be read", "no such device").hint("Look at its id.")
}

/// Each event is a line or nothing; percentages are told in steps of ten.
#[test]
fn events_are_sentences() {
    use Phase::{Applying, Downloading};
    let stalled = What::State {
        state: OpenState::Stalled,
        reason: "nothing has changed for 5 min".into(),
        evidence: None,
    };
    let invoked = What::Invoked {
        attempt: 2,
        latest: None,
    };
    let accepted = What::Accepted {
        status: 200,
        payload: json!({"Response": "ok\r\ncompleted: b-1"}),
    };
    let contradicted = What::Contradicted {
        reason: "it fell back".into(),
        evidence: evidence("failed"),
        reported: Value::Null,
    };
    let table = [
        (intended("a-1"), "a-1: intended, fw.bin, by me@here"),
        (of("a-1", invoked), "a-1: invoked, try 2"),
        (
            of("a-1", accepted),
            r#"a-1: accepted, 200 {"Response":"ok\r\ncompleted: b-1"}"#,
        ),
        (
            phase("a-1", Downloading, Some(0.0)),
            "a-1: downloading, 0 %",
        ),
        (phase("a-1", Downloading, Some(9.9)), ""),
        (
            phase("a-1", Downloading, Some(10.0)),
            "a-1: downloading, 10 %",
        ),
        (phase("a-1", Downloading, Some(12.0)), ""),
        (
            phase("a-1", Downloading, Some(55.0)),
            "a-1: downloading, 55 %",
        ),
        (phase("a-1", Downloading, Some(60.0)), ""),
        (
            phase("a-1", Downloading, Some(3.0)),
            "a-1: downloading, 3 %",
        ),
        (
            phase("a-1", Downloading, Some(99.0)),
            "a-1: downloading, 99 %",
        ),
        (
            phase("a-1", Downloading, Some(100.0)),
            "a-1: downloading, 100 %",
        ),
        (phase("a-1", Applying, None), "a-1: applying"),
        (phase("a-1", Applying, None), ""),
        (phase("b-1", Applying, None), "b-1: applying"),
        (
            of("a-1", stalled),
            "a-1: stalled, nothing has changed for 5 min",
        ),
        (
            verdict("a-1", Outcome::Completed, "a-1 reports \"completed\""),
            "completed: a-1 reports \"completed\"",
        ),
        (verdict("a-1", Outcome::Completed, "a-1 says so"), ""),
        (of("a-1", contradicted), "a-1: contradicted, it fell back"),
        (
            verdict("b-1", Outcome::Failed, "it broke\ncompleted: b-1"),
            r"failed: b-1: it broke\ncompleted: b-1",
        ),
        (of("a-1", What::Lost {}), ""),
    ];
    let mut story = Story::new();
    for (event, want) in table {
        story.hear(vec![event]);
        let (told, asked) = story.said();
        assert_eq!(told.trim_end_matches('\n'), want);
        assert_eq!(told.lines().count(), usize::from(!want.is_empty()));
        assert_eq!(asked, "");
    }
}

#[test]
fn a_verdict_tells_what_it_rests_on_and_what_to_do() {
    let mut story = Story::new();
    let mut event = verdict("a-1", Outcome::NotDelivered, "a-1 is away");
    if let What::Verdict {
        evidence: e,
        problem: p,
        ..
    } = &mut event.what
    {
        *e = Some(evidence("standBy"));
        *p = Some(problem(Kind::DeviceOffline));
    }
    story.hear(vec![intended("a-1"), event]);
    let (told, _) = story.said();
    let line = told.lines().last().unwrap();
    assert_eq!(
        line,
        "notDelivered: a-1 is away. Look at its id. Evidence: firmwareStatus = \"standBy\", \
         reported version 7, hub time 2026-11-23T12:00:00.005Z"
    );
}

#[test]
fn complaints_go_to_stderr() {
    let mut story = Story::new();
    let away = crate::domain::event::Way {
        problem: Some(Problem::new(Kind::Unreachable, "no connection", "refused")),
        ..crate::domain::event::Way::new(Link::Retrying)
    };
    let refused = What::Refused {
        problem: problem(Kind::Busy),
    };
    story.hear(vec![
        Event::general(at(1), What::Link(away.clone())),
        Event::general(at(1), What::Link(away)),
        Event::device(at(1), id("a-1"), refused),
    ]);
    let online = crate::domain::event::Way::new(Link::Online);
    story.hear(vec![Event::general(at(1), What::Link(online))]);
    let (told, asked) = story.said();
    assert_eq!(told, "");
    let lines: Vec<&str> = asked.lines().collect();
    assert_eq!(
        lines,
        [
            "a-1: refused, a-1 cannot be read: no such device. Look at its id.",
            "no connection: refused; trying again.",
            "The hub answers again.",
        ]
    );
    assert_eq!(story.refusals(), [Kind::Busy]);
}

/// After a lag: what is new of each update, once.
#[test]
fn a_snapshot_tells_how_updates_stand() {
    let mut story = Story::new();
    story.hear(vec![
        intended("a-1"),
        phase("a-1", Phase::Downloading, Some(20.0)),
    ]);
    story.said();
    let mut updates: Vec<Update> = ["a-1", "b-1"]
        .map(|d| Update::intended(&intended(d)).unwrap())
        .into();
    updates[0].apply(&verdict("a-1", Outcome::Failed, "a-1 broke"));
    updates[1].apply(&phase("b-1", Phase::Applying, None));
    for want in ["failed: a-1 broke\nb-1: fw.bin, applying\n", ""] {
        let snapshot = Snapshot {
            rows: vec![row("a-1")],
            inventory: Some((InventoryState::Complete, None)),
            query: None,
            armed_until: None,
            link: Way::new(Link::Online),
            updates: updates.clone(),
            starting: Vec::new(),
            refusals: Vec::new(),
            durations: Default::default(),
            budget: story.model.budget.clone(),
            journal: None,
            resuming: false,
            sequence: 1,
        };
        story.message(Message::Snapshot(Box::new(snapshot)));
        assert_eq!(story.said().0, want);
    }
}

/// The hub's refusal of a query is said, once, and counts; the list is what it was.
#[test]
fn a_query_that_the_hub_refuses_is_told() {
    let mut story = Story::with(profile(), false);
    story.typed("query tags.site =");
    story.said();
    let problem = Problem::new(Kind::BadRequest, "the query was refused", "no value");
    let inventory = What::Inventory {
        state: InventoryState::Complete,
        count: 3,
        skipped: 0,
        problem: Some(problem),
    };
    let event = Event::general(story.model.now, inventory);
    for want in [true, false] {
        story.message(Message::Events(vec![event.clone()].into()));
        let said = story.said().1;
        assert_eq!(said.contains("the query was refused"), want, "{said}");
    }
    assert_eq!(story.talk.refused.len(), 1);
}

/// A line that is wrong says what is wrong, sends nothing, and counts in a pipe.
#[rstest::rstest]
#[case("nonsense", "no command \"nonsense\"; help tells")]
#[case(
    "https://x.test/fw?sig=secret",
    "no command \"https://x.test/fw?sig=***\""
)]
#[case("u a-1 https://x.test/fw", "\"u\" may be update or updates")]
#[case("updates now", "updates takes nothing after it")]
#[case("update", "which devices, and which package?")]
#[case("update a-1", "which package? update a-1 URI")]
#[case("update https://x.test/fw", "which devices?")]
#[case("update a/1 https://x.test/fw", "a device id holds '/'")]
#[case("update a-1 ftp://x.test/fw", "ftp")]
#[case("device", "which device? for example device sim-0001")]
#[case("device a/1", "a device id holds '/'")]
#[case("give up", "no update is open")]
#[case("give up a-1", "no update of a-1 is open")]
#[case("giveup a-1", "no command")]
#[case("theme dark", "theme is for the screen: lines have no colours")]
#[case("unmark", "unmark is for the screen")]
#[case("sort nonsense", "no column \"nonsense\"")]
#[case("view lab", "view is for the screen: lines have no views")]
#[case("arm", "arm is for the screen: here an order asks")]
fn mistakes_are_said_and_nothing_is_done(#[case] line: &str, #[case] why: &str) {
    for attended in [false, true] {
        let mut story = Story::with(profile(), attended);
        story.sent.clear();
        story.typed(line);
        let (told, asked) = story.said();
        assert_eq!(told, "");
        assert!(asked.contains(why), "{asked}");
        assert!(asked.contains("Nothing was done."), "{asked}");
        assert!(!asked.contains("secret"), "{asked}");
        assert_eq!(story.starts(), [""; 0]);
        assert!(!story.talk.is_busy());
        let counted = if attended {
            &[][..]
        } else {
            &[Kind::BadRequest]
        };
        assert_eq!(story.refusals(), counted);
    }
}

#[rstest::rstest]
#[case(
    "devices",
    "a-1: not connected, firmware 1.4.2\\u{202e}, read <1m ago\nb-1: not connected, firmware 1.4.2\\u{202e}, read <1m ago\n2 devices\n"
)]
#[case(
    ":devices b",
    "b-1: not connected, firmware 1.4.2\\u{202e}, read <1m ago\n1 of 2 devices\n"
)]
#[case(
    "devices !id:a fw:1.4",
    "b-1: not connected, firmware 1.4.2\\u{202e}, read <1m ago\n1 of 2 devices\n"
)]
#[case("devices zzz", "0 of 2 devices\n")]
#[case("updates", "0 updates of this session, 0 in flight\n")]
#[case("sort device down", "sort: done\n")]
#[case("", "")]
fn what_is_asked_for_is_told(#[case] line: &str, #[case] want: &str) {
    let mut story = Story::new();
    story.typed(line);
    assert_eq!(story.said(), (want.to_owned(), String::new()));
}

#[test]
fn the_order_of_the_list_is_the_one_that_was_chosen() {
    let mut story = Story::new();
    story.typed("sort device down");
    story.typed("devices");
    let (told, _) = story.said();
    let ids: Vec<&str> = told.lines().filter_map(|l| l.split(": ").next()).collect();
    assert_eq!(ids, ["sort", "b-1", "a-1", "2 devices"]);
}

/// In a pipe commands come before the hub has answered anything.
#[test]
fn devices_wait_for_the_list() {
    let mut story = Story::on(profile(), false);
    story.typed("devices");
    assert!(story.talk.is_busy());
    story.list(&["a-1"]);
    assert!(!story.talk.is_busy());
    assert!(story.said().0.ends_with("\n1 device\n"));
    // Somebody at a terminal is told what is there.
    let mut story = Story::on(profile(), true);
    story.typed("devices");
    story.message(Message::Tick(at(4_999)));
    assert!(story.talk.is_busy());
    story.message(Message::Tick(at(5_000)));
    let (told, asked) = story.said();
    assert_eq!(told, "0 devices\n");
    assert!(asked.contains("still being listed"), "{asked}");
}

#[test]
fn a_device_is_read_and_told() {
    let mut story = Story::new();
    story.typed("device a-1");
    assert!(story.talk.is_busy());
    assert!(story.sent.contains(&Command::Look(Some(id("a-1")))));
    story.read("b-1");
    assert!(story.talk.is_busy(), "that was another");
    story.read("a-1");
    let (told, asked) = story.said();
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        [
            r"a-1: not connected, firmware 1.4.2\u{202e}, read <1m ago",
            "dialect: tutorial-2018, recognised by firmwareStatus",
            "reported firmwareStatus: standBy",
            r"reported fw.slot: a\u{1b}[2J, desired b",
        ]
    );
    assert_eq!(asked, "");
    assert_eq!(
        story.sent.last(),
        Some(&Command::Look(None)),
        "it is read no more"
    );
}

#[test]
fn a_device_that_cannot_be_read_is_explained() {
    let mut story = Story::new();
    story.typed("device a-9");
    let what = What::DeviceProblem {
        problem: problem(Kind::NoSuchDevice),
    };
    story.hear(vec![Event::device(at(1), id("a-9"), what)]);
    let (told, asked) = story.said();
    assert_eq!(told, "");
    assert_eq!(
        asked,
        "a-1 cannot be read: no such device. Look at its id.\n"
    );
    assert_eq!(story.refusals(), [Kind::NoSuchDevice]);
    // Nor does it wait for ever.
    story.typed("device a-1");
    story.message(Message::Tick(at(30_001)));
    let (told, asked) = story.said();
    assert!(told.starts_with("a-1: not connected"), "{told}");
    assert!(asked.contains("was not read in time"), "{asked}");
}

#[test]
fn the_question_has_the_facts_and_yes_sends() {
    let mut story = Story::asked(profile(), false);
    let (told, asked) = story.said();
    assert_eq!(told, "");
    assert_eq!(
        asked.lines().collect::<Vec<_>>(),
        [
            "Send this update?",
            "device: a-1",
            "hub: plant, plant.azure-devices.net",
            "package: https://x.test/fw.bin",
            "method: firmwareUpdate",
            r#"payload: {"fwPackageUri":"https://x.test/fw.bin"}"#,
            "command: otadeck update a-1 --uri https://x.test/fw.bin",
            "Type yes to send it, no to go back.",
        ]
    );
    assert!(story.talk.has_asked());
    assert_eq!(story.starts(), [""; 0]);
    story.typed("YES");
    assert_eq!(story.starts(), ["a-1"]);
    assert_eq!(story.said(), Default::default());
}

/// The question says what the screen's question says.
#[test]
fn the_facts_are_those_of_the_screen() {
    let mut story = Story::with(production(), true);
    story.typed("update a-1 b-1 https://x.test/fw.bin?sig=secret");
    story.read("a-1");
    let finding = |weight, text: &str| Finding {
        weight,
        text: text.into(),
    };
    let uri = crate::domain::evidence::sha256("https://x.test/fw.bin?sig=secret");
    let what = What::Inspected {
        uri: String::new(),
        uri_sha256: uri,
        findings: vec![
            finding(Weight::Warning, "its signature ends soon"),
            finding(Weight::Note, "4 MB, as the server tells"),
        ],
        server: None,
        waiting: false,
    };
    story.hear(vec![Event::general(at(2), what)]);
    let (_, asked) = story.said();
    story.model.size = (120, 60);
    let backend = ratatui::backend::TestBackend::new(120, 60);
    let mut terminal = ratatui::Terminal::new(backend).unwrap();
    terminal
        .draw(|frame| crate::console::view(&story.model, frame))
        .unwrap();
    let cells = terminal.backend().buffer().content().iter();
    let screen: String = cells.map(ratatui::buffer::Cell::symbol).collect();
    let squeezed = |text: &str| text.replace([' ', '│'], "");
    let facts: Vec<(&str, &str)> = asked.lines().filter_map(|l| l.split_once(": ")).collect();
    let names: Vec<&str> = facts.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "devices",
            "takes",
            "hub",
            "package",
            "warning",
            "method",
            "payload",
            "signature",
            "command",
            "command",
            "checked",
            "dialect",
            "Production"
        ]
    );
    for (name, fact) in facts {
        let parts: Vec<&str> = match name {
            "devices" => fact.split(": ").skip(1).collect(),
            "hub" => fact.split(", ").collect(),
            "signature" => vec!["the device gets the URI whole"],
            "dialect" => vec!["each gets its own payload"],
            "Production" => vec!["type plant"],
            _ => vec![fact],
        };
        for part in parts {
            assert!(
                squeezed(&screen).contains(&squeezed(part)),
                "{name}: {part}\n{screen}"
            );
        }
    }
    assert!(!asked.contains("secret"), "{asked}");
}

/// Only yes is yes. A pipe's question is taken back by anything else; somebody at a
/// terminal is asked again.
#[rstest::rstest]
#[case("no", false, true)]
#[case("n", true, true)]
#[case("", false, false)]
#[case("", true, false)]
#[case("yes please", false, false)]
#[case("update b-1 https://x.test/fw.bin", false, false)]
#[case("what", true, false)]
fn anything_else_sends_nothing(#[case] line: &str, #[case] attended: bool, #[case] no: bool) {
    let mut story = Story::asked(profile(), attended);
    story.said();
    story.typed(line);
    let (told, asked) = story.said();
    assert_eq!(story.starts(), [""; 0]);
    assert_eq!(
        told.starts_with("No: nothing was sent"),
        no,
        "{told}{asked}"
    );
    let open = attended && !no;
    assert_eq!(story.model.dialog.is_some(), open);
    assert_eq!(asked.contains("Type yes"), open, "{asked}");
    let refused: &[Kind] = if no || attended {
        &[]
    } else {
        &[Kind::Unconfirmed]
    };
    assert_eq!(story.refusals(), refused);
    // The question is over: a yes that comes late is no command, and no yes.
    if !open {
        story.typed("y");
        assert_eq!(story.starts(), [""; 0]);
    }
}

#[test]
fn an_unanswered_question_is_a_refusal() {
    let mut story = Story::asked(profile(), false);
    story.said();
    let effects = story.talk.end(&mut story.model);
    story.take(effects);
    assert_eq!(story.starts(), [""; 0]);
    assert!(story.said().1.contains("not answered: nothing was sent"));
    assert_eq!(story.refusals(), [Kind::Unconfirmed]);
    assert!(story.talk.is_over(&story.model));
}

#[rstest::rstest]
#[case("y", false)]
#[case("plan", false)]
#[case("a-1", false)]
#[case("  plant ", true)]
fn production_wants_the_hubs_name(#[case] line: &str, #[case] sent: bool) {
    let mut story = Story::asked(production(), true);
    let (_, asked) = story.said();
    assert!(
        asked.contains("hub: plant, PRODUCTION, plant.azure"),
        "{asked}"
    );
    assert!(
        asked.contains("Production: type plant to send it"),
        "{asked}"
    );
    assert_eq!(Talk::prompt(&story.model), "hub");
    story.typed(line);
    let armed = story.sent.contains(&Command::Arm("plant".into()));
    assert_eq!((armed, story.starts().len() == 1), (sent, sent));
    if !sent {
        assert!(story.said().1.contains("That is not the hub's name."));
        story.typed("plant");
        assert_eq!(story.starts(), ["a-1"], "it is asked again");
    }
}

#[test]
fn taking_over_wants_the_devices_id_and_says_from_whom() {
    let mut story = Story::with(profile(), true);
    let held = Holding::of(&Update::intended(&intended("a-1")).unwrap());
    let refused = What::Refused {
        problem: problem(Kind::Busy).held(held),
    };
    story.hear(vec![Event::device(at(1), id("a-1"), refused)]);
    story.typed(&format!("update a-1 {URI}"));
    story.read("a-1");
    story.inspected(Vec::new());
    let (_, asked) = story.said();
    assert!(
        asked.contains("taken over: fw.bin by me@here since"),
        "{asked}"
    );
    assert!(
        asked.contains("To take it over: type a-1 to send it"),
        "{asked}"
    );
    story.typed("yes");
    assert_eq!(story.starts(), [""; 0]);
    story.typed("a-1");
    let forced = |c: &&Command| matches!(c, Command::Start(s) if s.takes_over());
    assert_eq!(story.sent.iter().filter(forced).count(), 1);
}

#[test]
fn several_devices_are_one_question_with_its_forecast() {
    let mut story = Story::new();
    story.typed(&format!("update a-1 b-1 a-1 {URI}"));
    story.read("a-1");
    story.inspected(Vec::new());
    let (_, asked) = story.said();
    assert!(asked.contains("devices: 2: a-1, b-1"), "{asked}");
    assert!(asked.contains("\ntakes: "), "{asked}");
    assert!(
        asked.contains("of 1 more it is read before the order"),
        "{asked}"
    );
    story.typed("y");
    assert_eq!(story.starts(), ["a-1", "b-1"]);
    // They are busy now.
    story.typed(&format!("update a-1 {URI}"));
    let (_, asked) = story.said();
    assert!(
        asked.contains("Left out, because an update of it is open"),
        "{asked}"
    );
    assert_eq!(story.refusals(), [Kind::Busy]);
    assert_eq!(story.model.dialog, None);
}

#[test]
fn orders_that_cannot_be_given_are_not_asked_for() {
    let read_only = Profile {
        read_only: true,
        ..profile()
    };
    let mut story = Story::with(read_only, false);
    story.typed(&format!("update a-1 {URI}"));
    assert!(
        story
            .said()
            .1
            .contains("plant is read-only. Nothing was sent")
    );
    let mut unknown = Story::new();
    unknown.typed(&format!("update a-1 c-1 {URI}"));
    unknown.read("a-1");
    assert!(
        unknown
            .said()
            .1
            .contains("Not on this hub: c-1. Nothing was sent")
    );
    let mut forbidden = Story::with(profile(), false);
    forbidden.typed(&format!("update a-1 {URI}"));
    forbidden.read("a-1");
    forbidden.inspected(vec![Finding {
        weight: Weight::Refusal,
        text: "its signature has ended".into(),
    }]);
    let (_, asked) = forbidden.said();
    assert!(
        asked.contains("fw.bin is not sent: its signature has ended. Nothing"),
        "{asked}"
    );
    assert!(!asked.contains("Type yes"), "{asked}");
    for (story, kind) in [
        (&story, Kind::ReadOnly),
        (&unknown, Kind::NoSuchDevice),
        (&forbidden, Kind::NotAllowed),
    ] {
        assert_eq!(story.refusals(), [kind]);
        assert!(!story.talk.is_busy() && story.model.dialog.is_none());
        assert_eq!(story.starts(), [""; 0]);
    }
}

#[test]
fn giving_up_and_quitting_ask_first() {
    let mut story = Story::new();
    story.hear(vec![intended("a-1")]);
    story.said();
    for line in ["give up a-1", "give a-1", "g", "give-up", ":give up"] {
        story.typed(line);
        assert!(
            story.said().1.contains("Give the update of a-1 up?"),
            "{line}"
        );
        story.typed("no");
        assert!(story.said().0.contains("nothing was given up"));
    }
    story.typed("quit");
    assert!(story.said().1.contains("Quit? 1 update in flight."));
    story.typed("n");
    assert!(!story.quit);
    story.typed("give up");
    story.typed("y");
    assert_eq!(
        story.sent.last(),
        Some(&Command::GiveUp(UpdateId::from_text("a-1")))
    );
    story.typed("q");
    story.typed("y");
    assert!(story.quit);
}

/// At the end of input what is in flight is watched on.
#[test]
fn the_end_of_input_waits_for_updates() {
    let mut story = Story::on(profile(), false);
    let effects = story.talk.end(&mut story.model);
    story.take(effects);
    assert!(
        !story.talk.is_over(&story.model),
        "the journal has not answered"
    );
    story.hear(vec![
        intended("a-1"),
        Event::general(at(0), What::Resumed { count: 1 }),
    ]);
    assert!(!story.talk.is_over(&story.model));
    story.hear(vec![verdict("a-1", Outcome::Completed, "a-1 is done")]);
    assert!(story.talk.is_over(&story.model));
}

#[test]
fn the_past_is_told_with_the_newest_last() {
    let mut story = Story::new();
    story.typed("history a");
    assert!(story.talk.is_busy());
    let entry = |device: &str| {
        let mut update = Update::intended(&intended(device)).unwrap();
        update.apply(&verdict(device, Outcome::Failed, "broke"));
        Entry::of(&update)
    };
    let page = Page {
        entries: vec![entry("b-1"), entry("a-1")],
        ..Page::default()
    };
    let ask = crate::domain::history::Ask::Page {
        text: "a".into(),
        before: None,
    };
    story.message(Message::Past(ask, Box::new(Ok(Answer::Page(page)))));
    let (told, _) = story.said();
    let begins: Vec<&str> = told.lines().map(|l| l.split(',').next().unwrap()).collect();
    assert_eq!(begins, ["failed: a-1", "failed: b-1", "2 past updates"]);
    assert!(!story.talk.is_busy() && story.model.history.is_none());
}

/// Every command of the screen's table is told, or told why it is not.
#[test]
fn the_help_has_every_command() {
    let mut story = Story::new();
    story.typed("help");
    let (help, _) = story.said();
    for command in crate::console::update::commands::ALL {
        let helped = help.lines().any(|line| line.starts_with(command.name));
        story.typed(command.name);
        let (_, asked) = story.said();
        assert!(
            helped || asked.contains("is for the screen"),
            "{}",
            command.name
        );
        story = Story::new();
    }
}
