//! The list of updates: its order, its columns, only the rows in the window.

use jiff::SignedDuration;
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};

use super::super::super::message::Message;
use super::super::super::model::Context;
use super::super::super::{press, update as fold};
use super::*;
use crate::domain::event::{Event, Intent, What};
use crate::domain::fake;
use crate::domain::id::DeviceId;
use crate::domain::phase::Phase;
use crate::domain::update::{Evidence, OpenState, Outcome};

fn noon() -> Timestamp {
    "2026-11-23T12:04:00Z".parse().unwrap()
}

fn console(size: (u16, u16)) -> Model {
    let profile = fake::profile();
    Model::new(Context::new(profile), size, noon())
}

fn tell(model: &mut Model, n: usize, device: &str, what: What) {
    let id = UpdateId::from_text(&format!("{n:05}"));
    let time = noon() - SignedDuration::from_secs(9);
    let event = Event::update(time, DeviceId::parse(device).unwrap(), id, what);
    fold(model, Message::Events(vec![event].into()));
}

/// An update that stands so: `flies`, a percentage, a doubt or an outcome.
fn stands(model: &mut Model, n: usize, device: &str, how: &str) {
    let intent = Intent {
        uri: Some("https://x.test/fw.bin".into()),
        dialect: "tutorial-2018".into(),
        ..Intent::default()
    };
    tell(model, n, device, What::Intended(Box::new(intent)));
    let percent = how.parse().ok();
    let phase = What::Phase {
        phase: Phase::Downloading,
        reported: json!({}),
        percent,
        evidence: Evidence {
            property: "firmwareStatus".into(),
            value: json!("downloading"),
            version: 2,
            hub_time: Some(noon()),
        },
    };
    tell(model, n, device, phase);
    let doubt = |state| What::State {
        state,
        reason: "so".into(),
        evidence: None,
    };
    let verdict = |outcome| What::Verdict {
        outcome,
        reason: "so".into(),
        evidence: None,
        reported: Value::Null,
        problem: None,
    };
    let what = match how {
        "stalled" => doubt(OpenState::Stalled),
        "unknown" => doubt(OpenState::Unknown),
        "completed" => verdict(Outcome::Completed),
        "failed" => verdict(Outcome::Failed),
        "rejected" => verdict(Outcome::Rejected),
        "givenUp" => verdict(Outcome::GivenUp),
        _ => return,
    };
    tell(model, n, device, what);
}

const HOW: [&str; 8] = [
    "completed",
    "flies",
    "failed",
    "52",
    "stalled",
    "givenUp",
    "rejected",
    "unknown",
];

fn lines(model: &Model) -> Vec<String> {
    let (columns, rows) = model.size;
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal
        .draw(|frame| super::super::view(model, frame))
        .unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| (0..columns).map(|x| buffer[(x, y)].symbol()).collect();
    (0..rows).map(line).collect()
}

#[test]
fn what_needs_somebody_comes_first_and_then_the_newest() {
    let mut model = console((80, 24));
    for (n, how) in HOW.iter().enumerate() {
        stands(&mut model, n, &format!("d-{n}-{how}"), how);
    }
    press(&mut model, "u").unwrap();
    let order: Vec<String> = model
        .flights_listed()
        .iter()
        .map(|id| model.updates.get(id).unwrap().update.device.to_string())
        .collect();
    assert_eq!(
        order,
        [
            "d-7-unknown",
            "d-4-stalled",
            "d-6-rejected",
            "d-2-failed",
            "d-3-52",
            "d-1-flies",
            "d-5-givenUp",
            "d-0-completed"
        ]
    );
    let narrow = lines(&model).join("\n");
    assert!(
        narrow.contains("?2 in doubt  ✗2 failed  ▸2 in flight  ✓1 completed"),
        "{narrow}"
    );
    fold(&mut model, Message::Resize(99, 24));
    let text = lines(&model).join("\n");
    for word in [
        "?1 stalled",
        "?1 in doubt",
        "✗2 failed",
        "▸2 in flight",
        "✓1 completed",
    ] {
        assert!(text.contains(word), "{word}\n{text}");
    }
    press(&mut model, "f").unwrap();
    assert_eq!(model.flights_listed().len(), 4);
    press(&mut model, "f").unwrap();
    assert_eq!(
        model.flights_listed().len(),
        4,
        "those in doubt are in flight"
    );
    press(&mut model, "f").unwrap();
    assert_eq!(model.flights_listed().len(), 1);
    press(&mut model, "f").unwrap();
    assert_eq!(model.flights_listed().len(), 8);
}

#[test]
fn keys_move_in_it_open_a_device_and_come_back() {
    let mut model = console((80, 24));
    for n in 0..60 {
        stands(&mut model, n, &format!("d-{n:02}"), "flies");
    }
    let at = |model: &Model| model.flight().map(|t| t.update.device.to_string());
    press(&mut model, "ujj").unwrap();
    assert_eq!(at(&model).as_deref(), Some("d-57"));
    press(&mut model, "G").unwrap();
    assert_eq!(at(&model).as_deref(), Some("d-00"));
    let text = lines(&model).join("\n");
    assert!(text.contains("d-00") && text.contains("↑ "), "{text}");
    press(&mut model, "<enter>").unwrap();
    assert_eq!(at(&model), None);
    assert_eq!(model.panel.as_ref().unwrap().device.as_str(), "d-00");
    press(&mut model, "<esc>").unwrap();
    assert_eq!(at(&model).as_deref(), Some("d-00"), "the list is back");
    press(&mut model, "<esc>").unwrap();
    assert!(model.flights.is_none() && model.panel.is_none());
    // From a device the way back leads to it.
    press(&mut model, ":device d-05<enter><tab>u<esc>").unwrap();
    assert!(model.flights.is_none());
}

/// An update that comes or changes does not move the selection to another.
#[test]
fn the_selection_stays_with_its_update() {
    let mut model = console((80, 24));
    stands(&mut model, 1, "d-1", "flies");
    stands(&mut model, 2, "d-2", "flies");
    press(&mut model, "uj").unwrap();
    stands(&mut model, 3, "d-3", "flies");
    stands(&mut model, 4, "d-4", "stalled");
    let selected = model.flight().unwrap();
    assert_eq!(selected.update.device.as_str(), "d-1");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Every row's columns begin at the same cell, at every width.
    #[test]
    fn columns_stay_where_they_belong(
        names in prop::collection::vec("[a-zA-Z0-9.:=$%*-]{1,60}", 1..12),
        columns in 30_u16..140,
    ) {
        let mut model = console((columns, 24));
        for (n, name) in names.iter().enumerate() {
            if name != "." && name != ".." {
                stands(&mut model, n, name, HOW[n % HOW.len()]);
            }
        }
        press(&mut model, "u").unwrap();
        let areas = Areas::of(&model);
        let widths = Columns::of(&model, usize::from(areas.table.width));
        let state = FRONT + widths.device + GAP + if widths.bar > 0 { widths.bar + GAP } else { 0 };
        let all = lines(&model);
        for (n, id) in model.flights_listed().iter().enumerate() {
            let update = &model.updates.get(id).unwrap().update;
            let y = usize::from(areas.table.y) + HEADING + n;
            let line: Vec<char> = all[y].chars().take(usize::from(areas.table.width)).collect();
            let word: String = line[state..].iter().take(STATE).collect();
            prop_assert_eq!(word.trim(), super::state(update), "{}", all[y]);
            prop_assert_eq!(line[state - 1], ' ');
            let end: String = line[line.len() - 4..].iter().collect();
            prop_assert!(end.ends_with("s ") || end.ends_with("m "), "{}", all[y]);
        }
    }
}

/// However many updates there are, a frame builds the rows of the window alone.
#[test]
fn only_rows_in_the_window_are_built() {
    let mut model = console((80, 24));
    for n in 0..500 {
        stands(&mut model, n, &format!("d-{n:03}"), "flies");
    }
    for (keys, first) in [("u", 0), ("G", 500 - 18), ("g", 0)] {
        press(&mut model, keys).unwrap();
        let flights = model.flights.as_ref().unwrap();
        let listed = model.flights_listed();
        let rows = Areas::of(&model).flight_rows();
        assert_eq!((rows, flights.top()), (18, first));
        assert_eq!(window(&model, flights, &listed, rows).count(), rows);
    }
}

/// What is copied is of the update that is selected there, whatever is hidden below.
#[test]
fn what_is_copied_here_is_of_the_selected_update() {
    let mut model = console((80, 24));
    stands(&mut model, 1, "press-1", "20");
    stands(&mut model, 2, "press-2", "failed");
    press(&mut model, ":device press-1<enter>").unwrap();
    press(&mut model, "<esc>u").unwrap();
    let device = model.flight().unwrap().update.device.clone();
    assert_eq!(device.as_str(), "press-2");
    let effects = press(&mut model, ":copy command<enter>").unwrap();
    let copied = effects.iter().find_map(|effect| match effect {
        super::super::super::Effect::Copy(clip) => Some(clip.text.clone()),
        _ => None,
    });
    let copied = copied.unwrap();
    assert!(
        copied.contains("press-2") && !copied.contains("press-1"),
        "{copied}"
    );
}
