//! Past updates for the scenes: what a journal would hold of them.

use jiff::SignedDuration;
use otadeck::domain::dialect::Dialects;
use otadeck::domain::event::{Event, Intent, What};
use otadeck::domain::history::{Answer, Damaged, Entry, Page, Recorded, fold};
use otadeck::domain::id::{DeviceId, UpdateId};
use otadeck::domain::problem::Problem;
use otadeck::domain::update::{Baseline, Evidence, OpenState, Outcome};
use serde_json::{Value, json};

use super::scenes::noon;

/// Device, minutes before noon, who, why, package, and how it ended.
type Kept = (
    &'static str,
    i64,
    &'static str,
    Option<&'static str>,
    &'static str,
    Option<Outcome>,
);

/// Newest first.
const KEPT: [Kept; 9] = [
    (
        "press-0048",
        3,
        "ana@jump-1",
        Some("OPS-4711"),
        "fw-1.5.0.bin",
        None,
    ),
    (
        "press-0041",
        64,
        "ana@jump-1",
        Some("OPS-4711"),
        "fw-1.5.0.bin",
        Some(Outcome::Completed),
    ),
    (
        "press-0043",
        71,
        "ana@jump-1 (ssh from 10.0.0.7)",
        Some("OPS-4711"),
        "fw-1.5.0.bin",
        Some(Outcome::Failed),
    ),
    (
        "press-0040",
        1_510,
        "bo@jump-2",
        None,
        "fw-1.4.2.bin",
        Some(Outcome::Completed),
    ),
    (
        "press-0044",
        1_540,
        "bo@jump-2",
        None,
        "fw-1.4.2.bin",
        Some(Outcome::GivenUp),
    ),
    (
        "press-0042",
        4_330,
        "bo@jump-2",
        Some("the \u{202e}field\u{1b}[31m trial"),
        "fw-1.4.2-rc.1+exp.sha.5114f85.bin",
        Some(Outcome::Completed),
    ),
    (
        "=cmd'!A1;$(id)",
        5_900,
        "bo@jump-2",
        None,
        "fw-1.4.2.bin",
        Some(Outcome::Rejected),
    ),
    (
        "press-0043",
        20_200,
        "ana@jump-1",
        None,
        "fw-1.4.1.bin",
        Some(Outcome::NotDelivered),
    ),
    (
        "press-0039",
        90_800,
        "ana@jump-1",
        None,
        "fw-1.4.0.bin",
        Some(Outcome::Completed),
    ),
];

/// A page of those that hold a text, perhaps not the last one.
pub fn page(text: &str, more: bool) -> Result<Answer, Problem> {
    let all = (0..KEPT.len()).filter_map(|n| fold(&events(n)));
    let entries: Vec<Entry> = all
        .map(|update| Entry::of(&update))
        .filter(|entry| entry.holds(text))
        .collect();
    let damaged = Damaged {
        row: 17,
        update: UpdateId::from_text("0199-7"),
        device: "press-0050".into(),
        kind: "update.intended".into(),
        why: "EOF while parsing".into(),
    };
    Ok(Answer::Page(Page {
        next: more.then(|| UpdateId::from_text("0100")),
        damaged: if more { vec![damaged] } else { Vec::new() },
        entries,
    }))
}

/// The n-th of them as a whole.
pub fn update(n: usize) -> Result<Answer, Problem> {
    Ok(Answer::Update(Recorded {
        events: events(n),
        ..Recorded::default()
    }))
}

fn events(n: usize) -> Vec<Event> {
    let (device, minutes, by, reason, package, outcome) = KEPT[n];
    let begin = noon() - SignedDuration::from_mins(minutes);
    let at = |seconds| begin + SignedDuration::from_secs(seconds);
    let evidence = |value: &str, seconds: i64| Evidence {
        property: "firmwareStatus".into(),
        value: value.into(),
        version: 40 + seconds.unsigned_abs(),
        hub_time: Some(at(seconds)),
    };
    let phase = |value: &str, seconds, percent| What::Phase {
        phase: Dialects::built_in().named("tutorial-2018").phase_of(value),
        reported: json!({"firmwareStatus": value}),
        percent,
        evidence: evidence(value, seconds),
    };
    let intent = Intent {
        hub: "contoso-plant.azure-devices.net".into(),
        uri: Some(format!("https://fw.example.com/press/{package}?sig=***")),
        payload_sha256: Some(
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
        ),
        method: Some("firmwareUpdate".into()),
        dialect: "tutorial-2018".into(),
        baseline: Baseline {
            version: 12,
            value: Some("standBy".into()),
            value_updated: Some(at(-86_400)),
            firmware: Some("1.4.2".into()),
            ..Baseline::default()
        },
        by: by.into(),
        reason: reason.map(str::to_owned),
        ..Intent::default()
    };
    let payload = json!({"Response": "Firmware update started"});
    let mut told = vec![
        (0, What::Intended(Box::new(intent))),
        (
            0,
            What::Invoked {
                attempt: 1,
                latest: None,
            },
        ),
        (
            1,
            What::Accepted {
                status: 200,
                payload,
            },
        ),
        (16, phase("downloading", 16, Some(64.0))),
    ];
    let why = match outcome {
        Some(Outcome::Completed) => {
            told.push((31, phase("applying", 31, None)));
            told.push((46, phase("completed", 46, None)));
            "reports \"completed\", version 1.5.0"
        }
        Some(Outcome::Failed) => {
            told.push((44, phase("downloadFailed", 44, None)));
            "reports \"downloadFailed\" while downloading: connection reset by fw.example.com"
        }
        None => {
            let reason = "nothing changed for 2 min since \"downloading\"".to_owned();
            let state = OpenState::Stalled;
            told.push((
                136,
                What::State {
                    state,
                    reason,
                    evidence: None,
                },
            ));
            ""
        }
        _ => "did not take it",
    };
    if let Some(outcome) = outcome {
        told.push((
            46,
            What::Verdict {
                outcome,
                reason: format!("{device} {why}"),
                evidence: Some(evidence(
                    if outcome == Outcome::Completed {
                        "completed"
                    } else {
                        "downloadFailed"
                    },
                    44,
                )),
                reported: Value::Null,
                problem: None,
            },
        ));
    }
    let id = UpdateId::from_text(&format!("0199aa0{}-7c1e-7b11-8f00-00000000000{n}", 9 - n));
    let device = DeviceId::parse(device).unwrap();
    let events = told
        .into_iter()
        .map(|(seconds, what)| Event::update(at(seconds), device.clone(), id.clone(), what));
    events.collect()
}
