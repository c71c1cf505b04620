//! `assets/demo.cast`: a recording of a real run of the demo, as asciinema plays it.
//!
//! `OTADECK_UPDATE_SCREENS=1 cargo test --test suite -- cast` records it anew: the real
//! program in a pseudo-terminal, keys at a pace that can be followed.

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::support::program::Home;
use super::support::terminal::Terminal;

const ROWS: u16 = 28;
const COLUMNS: u16 = 100;
/// No recording is larger.
const LARGEST: usize = 200_000;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/demo.cast")
}

/// Time for the one who looks on.
fn look() {
    std::thread::sleep(Duration::from_millis(900));
}

/// Types as somebody does.
fn type_slowly(terminal: &mut Terminal, keys: &str) {
    for key in keys.chars() {
        terminal.press(&key.to_string());
        std::thread::sleep(Duration::from_millis(150));
    }
}

fn play(terminal: &mut Terminal) {
    terminal.shows("sim-0012");
    look();
    terminal.press("j").press("j");
    look();
    type_slowly(terminal, "/07");
    terminal.shows("1 shown");
    look();
    terminal.press("\r");
    look();
    terminal.press("\r").shows("package ›");
    look();
    terminal.press("\x1b[B");
    look();
    terminal.press("\r").shows("fw-1.5.0.bin from");
    look();
    terminal.press("\r").shows("entity tag");
    look();
    look();
    terminal.press("y").shows("▸ downloading");
    terminal.shows("completed: ");
    look();
}

/// The recording, a line of JSON an event.
fn recorded() -> String {
    let home = Home::new();
    home.config("[console]\ntitle = false\nnotify = \"off\"\n");
    let mut terminal = Terminal::start(&home, &["demo"], ROWS, COLUMNS);
    play(&mut terminal);
    let mut lines = vec![json!({
        "version": 2, "width": COLUMNS, "height": ROWS, "title": "otadeck demo",
        "env": {"TERM": "xterm-256color"},
    })];
    for (at, text) in terminal.pieces() {
        // A player's terminal would answer it, into the player's shell.
        let text = text.replace("\x1b[5n", "");
        if !text.is_empty() {
            let seconds = (at.as_secs_f64() * 1e3).round() / 1e3;
            lines.push(json!([seconds, "o", text]));
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_recording_shows_an_update_to_its_end() {
    if std::env::var_os("OTADECK_UPDATE_SCREENS").is_some() {
        std::fs::write(path(), recorded()).unwrap();
    }
    let text = std::fs::read_to_string(path()).unwrap();
    assert!(text.len() < LARGEST, "{} B", text.len());
    let mut lines = text
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap());
    let head = lines.next().unwrap();
    assert_eq!(head["version"], 2);
    let size = |name: &str| NonZeroU16::new(head[name].as_u64().unwrap().try_into().unwrap());
    let (rows, columns) = (size("height").unwrap(), size("width").unwrap());
    let mut parser = vt100::Parser::new(rows, columns, 0);
    let mut before = 0.0;
    let mut shown = [
        "sim-0012",
        "1 shown",
        "package ›",
        "Send this update?",
        "▸ downloading",
    ]
    .into_iter()
    .peekable();
    for line in lines {
        let at = line[0].as_f64().unwrap();
        assert!(at >= before, "{at} after {before}");
        before = at;
        assert_eq!(line[1], "o");
        let output = line[2].as_str().unwrap();
        assert!(
            !output.contains("\x1b[5n"),
            "a question to the player's terminal"
        );
        parser.process(output.as_bytes());
        shown.next_if(|text| parser.screen().contents().contains(text));
    }
    assert_eq!(shown.next(), None, "not on its way");
    let screen = parser.screen().contents();
    assert!(screen.contains("completed: "), "{screen}");
}
