//! Every screen, at three sizes, in colour and without: as text and runs of
//! style in `tests/snapshots`, as pictures in `assets/screens`.
//!
//! `INSTA_UPDATE=always OTADECK_UPDATE_SCREENS=1 cargo test --test screens`
//! writes both anew; look at them before they are committed.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

#[path = "screens/arming.rs"]
mod arming;
#[path = "screens/hubs.rs"]
mod hubs;
#[path = "screens/log.rs"]
mod log;
#[path = "screens/past.rs"]
mod past;
#[path = "screens/scenes.rs"]
mod scenes;
#[path = "screens/svg.rs"]
mod svg;
#[path = "screens/table.rs"]
mod table;
#[path = "screens/trouble.rs"]
mod trouble;

use std::fmt::Write as _;
use std::path::PathBuf;

use otadeck::console::view;
use ratatui::Terminal;
use ratatui::backend::{Backend as _, TestBackend};
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use scenes::{SCENES as FIRST, Scene, Stage};
use unicode_width::UnicodeWidthStr as _;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 12)];

/// Every scene.
fn scenes() -> impl Iterator<Item = &'static Scene> {
    FIRST
        .iter()
        .chain(&log::SCENES)
        .chain(&arming::SCENES)
        .chain(&trouble::SCENES)
        .chain(&table::SCENES)
}

/// A frame: the buffer, and where the cursor is if it is shown.
fn drawn(stage: &Stage, size: (u16, u16)) -> (Buffer, Option<(u16, u16)>) {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    let draw = terminal.draw(|frame| view(&stage.model, frame));
    draw.unwrap();
    let position = terminal.backend_mut().get_cursor_position().unwrap();
    let buffer = terminal.backend().buffer().clone();
    let typed = terminal.backend().cursor_visible();
    (buffer, typed.then_some((position.x, position.y)))
}

/// The text, then each row's runs of style.
fn printed(buffer: &Buffer, cursor: Option<(u16, u16)>, with_text: bool) -> String {
    let mut out = String::new();
    if with_text {
        for y in 0..buffer.area.height {
            let row: String = (0..buffer.area.width)
                .map(|x| buffer[(x, y)].symbol())
                .collect();
            let _ = writeln!(out, "│{row}│");
        }
        let _ = writeln!(out, "cursor {cursor:?}");
    }
    for y in 0..buffer.area.height {
        let mut runs: Vec<(u16, u16, String)> = Vec::new();
        for x in 0..buffer.area.width {
            let style = named(&buffer[(x, y)]);
            match runs.last_mut() {
                Some((_, end, last)) if *last == style => *end = x,
                _ => runs.push((x, x, style)),
            }
        }
        let runs: Vec<String> = runs
            .into_iter()
            .filter(|(.., style)| !style.is_empty())
            .map(|(from, to, style)| format!("{from}-{to} {style}"))
            .collect();
        if !runs.is_empty() {
            let _ = writeln!(out, "{y:2}: {}", runs.join(", "));
        }
    }
    out
}

fn named(cell: &Cell) -> String {
    let mut words = Vec::new();
    if cell.fg != Color::Reset {
        words.push(cell.fg.to_string().to_lowercase());
    }
    if cell.bg != Color::Reset {
        words.push(format!("on-{}", cell.bg.to_string().to_lowercase()));
    }
    for (modifier, word) in [
        (Modifier::BOLD, "bold"),
        (Modifier::DIM, "dim"),
        (Modifier::UNDERLINED, "underlined"),
        (Modifier::REVERSED, "reversed"),
    ] {
        if cell.modifier.contains(modifier) {
            words.push(word.to_owned());
        }
    }
    words.join(" ")
}

fn shown((name, scene): &Scene, size: (u16, u16)) {
    let (colour, cursor) = drawn(&scene(size, true), size);
    let (mono, _) = drawn(&scene(size, false), size);
    let text = format!(
        "{}mono\n{}",
        printed(&colour, cursor, true),
        printed(&mono, None, false)
    );
    let (columns, rows) = size;
    insta::assert_snapshot!(format!("{name}-{columns}x{rows}"), text);
    pictured(
        &format!("{name}-{columns}x{rows}"),
        &svg::picture(&colour, cursor),
    );
    if *name == "devices" && columns == 80 {
        pictured("devices-80x24-mono", &svg::picture(&mono, cursor));
    }
}

fn pictured(name: &str, picture: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("assets/screens")
        .join(format!("{name}.svg"));
    if std::env::var_os("OTADECK_UPDATE_SCREENS").is_some() {
        std::fs::write(&path, picture).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == picture,
        "{} is not what the console draws; run with OTADECK_UPDATE_SCREENS=1 and look at it",
        path.display()
    );
}

#[test]
fn every_screen_looks_as_it_was_last_looked_at() {
    for scene in scenes() {
        for size in SIZES {
            shown(scene, size);
        }
    }
}

/// The words that a scene must show at every size, whatever else is cut.
#[rstest::rstest]
#[case("field-empty", &["package ›"])]
#[case("field-hint", &["https://test.com"])]
#[case("confirm", &["press-0040", "contoso-plant", "staging", "firmwareUpdate", "fwPackageUri", "sends it", "goes back"])]
#[case("confirm-forbidden", &["press-0040", "ended", "not sent", "goes back"])]
#[case("confirm-production", &["press-0040", "PRODUCTION", "hub › cont"])]
#[case("armed", &["contoso-plant", "PRODUCTION", "armed 5"])]
#[case("armed-last-minute", &["contoso-plant", "PRODUCTION", "armed <1"])]
#[case("arm", &["contoso-plant", "PRODUCTION", "5 minutes", "hub › conto"])]
#[case("arm-again", &["armed already", "not the hub's name"])]
#[case("confirm-armed", &["press-0040", "PRODUCTION", "sends it"])]
#[case("confirm-unarmed", &["press-0040", "PRODUCTION", "type contoso-plant", "hub ›"])]
#[case("confirm-copied", &["Copied the command for 10"])]
#[case("copied", &["Copied the id of press-0040", "OSC 52"])]
#[case("give-up", &["press-0039", "gives it up"])]
#[case("running", &["52 %", "▕", "downloading"])]
#[case("completed", &["completed: press-0040", "▕"])]
#[case("failed", &["failed: press-0043"])]
#[case("refused", &["refused"])]
#[case("watched-only", &["refused", "device-management", "watched only"])]
#[case("read-only", &["read-only"])]
#[case("watching-only", &["watching only", "the journal failed"])]
#[case("unauthorized", &["401", "unauthorized"])]
#[case("not-signed-in", &["az login"])]
#[case("no-az", &["secret_env,", "secret_command."])]
#[case("no-role", &["Contributor'", "az account show"])]
#[case("no-right", &["ServiceConnect", "'registryRead'", "'service'"])]
#[case("no-such-hub", &["there", "such hub"])]
#[case("day-spent", &["midnight", "units"])]
#[case("retrying", &["in 4 s (3)", "as of 12:03:20, 40 s ago"])]
#[case("retrying-update", &["in 4 s (12)", "as of 12:04:34, 40 s ago"])]
#[case("clock-skew", &["12 min behind"])]
#[case("quit", &["in flight"])]
#[case("history", &["History", "press-0043", "failed", "completed"])]
#[case("history-filter", &["/004 fail", "failed"])]
#[case("history-loading", &["Reading"])]
#[case("history-empty", &["No update"])]
#[case("history-failed", &["malformed"])]
#[case("log", &["Log", "notice", "refused", "UTC"])]
#[case("log-filter", &["/0043 fail", "failed", "12:03:5"])]
#[case("log-empty", &["no line holds"])]
#[case("doctor-running", &["Doctor", "looking", "configuration"])]
#[case("doctor-failed", &["✗ 1", "! 2", "✓ 5"])]
#[case("past-update", &["failed: press-0043", "not live", "▕"])]
#[case("columns", &["device", "phase", "press-"])]
#[case("view", &["site=lab", "press-"])]
#[case("odd-rows", &["press-71", "プ", "listing"])]
#[case("flights", &["Updates", "press-0039", "stalled", "✗1"])]
#[case("flights-attention", &["only need attention", "press-0047", "unknown"])]
#[case("flights-empty", &["No update in this session yet"])]
#[case("replay", &["REPLAY", "not live", "playing 5×", "press-0043", "event 4 of 6", "downloading"])]
fn what_matters_is_visible_at_every_size(#[case] name: &str, #[case] words: &[&str]) {
    let (_, scene) = scenes().find(|(n, _)| *n == name).unwrap();
    for size in SIZES {
        let (buffer, _) = drawn(&scene(size, true), size);
        let rows: Vec<String> = (0..size.1)
            .map(|y| (0..size.0).map(|x| buffer[(x, y)].symbol()).collect())
            .collect();
        for word in words {
            assert!(
                rows.iter().any(|row| row.contains(word)),
                "{word:?} at {size:?}:\n{}",
                rows.join("\n")
            );
        }
    }
}

/// Where devices, details or the past are shown, the last line says how to leave and
/// where to read more, unless it is narrow.
#[rstest::rstest]
#[case("devices")]
#[case("retrying")]
#[case("stalled")]
#[case("flights")]
#[case("history")]
#[case("log")]
#[case("doctor-failed")]
#[case("past-update")]
fn the_last_line_says_how_to_leave(#[case] name: &str) {
    let (_, scene) = scenes().find(|(n, _)| *n == name).unwrap();
    for size in SIZES {
        let (buffer, _) = drawn(&scene(size, true), size);
        let last = (0..size.0).map(|x| buffer[(x, size.1 - 1)].symbol());
        let last: String = last.collect();
        assert!(last.contains("? keys"), "{last}");
        assert!(size.0 < 80 || last.contains("q quit"), "{last}");
    }
}

/// Nothing that a device says reaches a cell as it is, and no cell is wider
/// than its place.
#[test]
fn nothing_hostile_reaches_a_cell() {
    for (name, scene) in scenes() {
        for size in SIZES {
            let (buffer, _) = drawn(&scene(size, true), size);
            for cell in buffer.content() {
                let symbol = cell.symbol();
                let bad = symbol.chars().any(otadeck::domain::clean::is_dangerous);
                assert!(!bad && symbol.width() <= 2, "{name}: {symbol:?}");
            }
        }
    }
}

/// The console survives every size, however small.
#[test]
fn no_size_breaks_a_screen() {
    for (_, scene) in scenes() {
        for size in [
            (1, 1),
            (2, 3),
            (8, 2),
            (15, 6),
            (25, 5),
            (60, 18),
            (99, 17),
            (100, 4),
            (300, 90),
        ] {
            drawn(&scene(size, true), size);
        }
    }
}
