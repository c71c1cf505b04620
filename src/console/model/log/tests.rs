use super::*;
use crate::domain::doctor::{Check, Verdict};
use crate::domain::event::{Intent, Link};
use crate::domain::evidence::{Evidence, Outcome};
use crate::domain::phase::Phase;
use crate::domain::problem::Kind;
use crate::domain::profile::Profile;
use crate::domain::quota::Budget;
use serde_json::{Value, json};

fn noon() -> Timestamp {
    "2026-11-23T12:04:00Z".parse().unwrap()
}

fn general(what: What) -> Event {
    Event::general(noon(), what)
}

fn of(update: &str, what: What) -> Event {
    let device = DeviceId::parse("press-7").unwrap();
    Event::update(noon(), device, UpdateId::from_text(update), what)
}

fn problem(cause: &str) -> Problem {
    Problem::new(Kind::Unreachable, "the hub is away", cause).hint("It is asked again.")
}

fn phase(value: &str, percent: f64) -> What {
    What::Phase {
        phase: Phase::Downloading,
        reported: Value::Null,
        percent: Some(percent),
        evidence: Evidence {
            property: "firmwareStatus".into(),
            value: value.into(),
            version: 3,
            hub_time: Some(noon()),
        },
    }
}

fn verdict(outcome: Outcome) -> What {
    What::Verdict {
        outcome,
        reason: "because".into(),
        evidence: None,
        reported: Value::Null,
        problem: None,
    }
}

fn told(events: &[Event]) -> Log {
    let mut log = Log::default();
    events.iter().for_each(|event| log.take(event));
    log
}

fn lines(log: &Log) -> Vec<String> {
    let line = |line: &Line| {
        let Said {
            weight, word, text, ..
        } = &line.said;
        format!("{} {word}: {text}", weight.sign())
    };
    log.lines.iter().map(line).collect()
}

fn away(cause: &str, attempt: u32) -> What {
    What::Link(Way {
        problem: Some(problem(cause)),
        attempt: Some(attempt),
        ..Way::new(Link::Retrying)
    })
}

#[test]
fn an_outage_is_told_once_and_its_end() {
    let online = || What::Link(Way::new(Link::Online));
    let log = told(&[
        general(online()),
        general(away("no name", 1)),
        general(away("no name", 2)),
        general(away("refused", 3)),
        general(online()),
        general(online()),
    ]);
    assert_eq!(
        lines(&log),
        [
            "✓ online: the hub answers",
            "! offline: the hub is away: no name. It is asked again.",
            "! offline: the hub is away: refused. It is asked again.",
            "✓ online: the hub answers",
        ]
    );
}

#[test]
fn an_update_is_told_by_its_steps_and_its_end_once() {
    let log = told(&[
        of(
            "u",
            What::Intended(Box::new(Intent {
                by: "ana".into(),
                ..Intent::default()
            })),
        ),
        of("u", phase("downloading", 10.0)),
        of("u", phase("downloading", 20.0)),
        of("v", phase("downloading", 30.0)),
        of("u", verdict(Outcome::Completed)),
        of("u", verdict(Outcome::Completed)),
        of("v", verdict(Outcome::Rejected)),
    ]);
    assert_eq!(
        lines(&log),
        [
            "▸ intended: watching only, by ana",
            "▸ downloading: 10 %",
            "▸ downloading: 30 %",
            "✓ completed: because",
            "✗ rejected: because",
        ]
    );
    assert_eq!(log.lines[1].said.hub_time, Some(noon()));
}

/// What only repeats is left out; what changes is told.
#[test]
fn other_things_are_told_when_they_change() {
    let clock = |problem| What::Clock {
        skew_seconds: 600,
        problem,
    };
    let list = |count| What::Inventory {
        state: InventoryState::Complete,
        count,
        skipped: 0,
        problem: None,
    };
    let profile = Profile {
        name: "plant".into(),
        host: "h".into(),
        environment: None,
        read_only: false,
        tier: None,
        units: 1,
    };
    let budget = |slowed| {
        What::Budget(Budget {
            slowed,
            limit: 12,
            ..Budget::at_rest(&profile)
        })
    };
    let unread = |cause: &str| {
        let problem = problem(cause);
        Event::device(
            noon(),
            DeviceId::parse("d").unwrap(),
            What::DeviceProblem { problem },
        )
    };
    let log = told(&[
        general(clock(None)),
        general(clock(Some(problem("ahead")))),
        general(clock(None)),
        general(list(2)),
        general(list(2)),
        general(list(1)),
        general(budget(None)),
        general(budget(Some(Slowed::Hub))),
        general(budget(Some(Slowed::Hub))),
        general(budget(None)),
        unread("408"),
        unread("408"),
        general(What::Resumed { count: 0 }),
        general(What::Durations { learnt: Vec::new() }),
        general(What::JournalProblem {
            problem: problem("full"),
        }),
        general(What::JournalProblem {
            problem: problem("full"),
        }),
        general(What::JournalRecovered {}),
    ]);
    let words: Vec<String> = lines(&log)
        .iter()
        .map(|line| line.split(": ").next().unwrap().to_owned())
        .collect();
    assert_eq!(
        words,
        [
            "! clock",
            "✓ clock",
            "· listed",
            "· listed",
            "! reads",
            "✓ reads",
            "! not read",
            "✗ journal",
            "✓ journal",
        ]
    );
}

#[test]
fn the_oldest_leave_and_are_counted() {
    let mut log = Log::default();
    for n in 0..KEPT + 3 {
        log.note(noon(), Weight::News, "n", &n.to_string());
    }
    assert_eq!((log.len(), log.gone()), (KEPT, 3));
    assert_eq!(log.lines[0].said.text, "3");
}

#[test]
fn what_a_device_says_is_harmless_and_bounded() {
    let accepted = What::Accepted {
        status: 200,
        payload: json!("\u{1b}[2J\u{202e}".to_owned() + &"x".repeat(10_000)),
    };
    let log = told(&[of("u", accepted)]);
    let text = &log.lines[0].said.text;
    assert!(
        !text.chars().any(crate::domain::clean::is_dangerous),
        "{text}"
    );
    assert!(text.chars().count() <= 1_000 && text.ends_with('…'));
}

#[rstest::rstest]
#[case("", 3)]
#[case("press-7", 2)]
#[case("PRESS because", 1)]
#[case("nothing", 0)]
fn words_filter(#[case] text: &str, #[case] found: usize) {
    let log = told(&[
        general(What::Link(Way::new(Link::Online))),
        of("u", phase("downloading", 10.0)),
        of("u", verdict(Outcome::Failed)),
    ]);
    assert_eq!(log.holding(text).len(), found);
}

/// Where its events were missed, an update is told as it stands, once.
#[test]
fn a_snapshot_tells_what_was_missed() {
    let intended = of("u", What::Intended(Box::default()));
    let mut update = Update::intended(&intended).unwrap();
    let mut log = Log::default();
    log.stands(&update);
    log.stands(&update);
    update.apply(&of("u", verdict(Outcome::Failed)));
    log.stands(&update);
    log.stands(&update);
    assert_eq!(
        lines(&log),
        [
            "▸ open: it is watching, since before this was seen",
            "✗ failed: because"
        ]
    );
}

#[test]
fn the_end_is_followed_until_it_is_left() {
    let mut log = Log::default();
    let add = |log: &mut Log, n: usize| {
        for _ in 0..n {
            log.note(noon(), Weight::News, "n", "");
        }
    };
    add(&mut log, 50);
    let mut screen = LogScreen::default();
    let seen = |log: &Log, screen: &mut LogScreen| {
        let lines = log.holding("");
        screen.settle(10);
        let window = screen.window(&lines, 10);
        let first = window.lines[0].number;
        (first, first + window.selected, window.below)
    };
    assert_eq!(seen(&log, &mut screen), (40, 49, 0));
    add(&mut log, 5);
    assert_eq!(seen(&log, &mut screen), (45, 54, 0));
    screen.step(&log.holding(""), -2);
    assert_eq!(seen(&log, &mut screen), (45, 52, 0));
    // What comes does not move what is read, nor does what leaves.
    add(&mut log, KEPT);
    assert_eq!(log.gone(), 55);
    assert_eq!(seen(&log, &mut screen), (55, 55, 1_990));
    screen.step(&log.holding(""), 20);
    assert_eq!(seen(&log, &mut screen).1, 75);
    screen.step(&log.holding(""), isize::MAX);
    assert_eq!(screen.at, None, "it follows again");
    screen.step(&log.holding(""), isize::MIN);
    assert_eq!(seen(&log, &mut screen), (55, 55, 1_990));
}

#[test]
fn the_doctors_words_are_told() {
    let check = Check {
        check: "tls".into(),
        result: Verdict::Failed,
        found: "not trusted".into(),
        hint: String::new(),
    };
    let log = told(&[general(What::Checked(check))]);
    assert_eq!(lines(&log), ["✗ doctor: tls: not trusted"]);
}
