//! What operators do on a shift, told by keys alone: the real program in a
//! pseudo-terminal, on the demo or on an emulator with its devices.

use super::support::program::{Emulator, Home};
use super::support::terminal::Terminal;

const URI: &str = "https://example.test/fw-1.5.0.bin";
const ENTER: &str = "\r";
const ESC: &str = "\x1b";
/// Clears a field up to its cursor.
const CLEAR: &str = "\x15";

/// The demo, with all its devices listed.
fn demo(home: &Home, rows: u16, cols: u16) -> Terminal {
    let terminal = Terminal::start(home, &["demo"], rows, cols);
    terminal.until("all devices", |s| {
        s.contains("Devices 12") && s.contains("sim-0008")
    });
    terminal
}

/// An emulator with that many devices of the demo's world.
fn plant(devices: &str) -> Emulator {
    Emulator::start(&["--devices", devices, "--scenario", "quick"])
}

/// The last line says what was typed, and what it may be.
fn last_line(screen: &str) -> &str {
    screen.trim_end().lines().last().unwrap_or_default()
}

/// One device in another hall still runs old firmware: find it by its tag, update it.
#[test]
fn a_device_is_found_by_its_tag_and_updated() {
    let home = Home::new();
    let mut console = demo(&home, 24, 80);
    console.press("/tag:site=hall-2 fw:1.3");
    let screen = console.shows("1 shown");
    assert!(screen.contains("sim-0008"), "{screen}");
    assert!(!screen.contains("sim-0005"), "{screen}");
    console.press(ENTER).press(ENTER).shows("package ›");
    console.press(URI).press(ENTER).shows("Send this update?");
    console.press("y");
    let screen = console.shows("completed: ");
    assert!(screen.contains("sim-0008"), "{screen}");
    // Back in the table the filter still holds, and the firmware is another.
    console.press(ESC);
    console.until("what runs now", |s| {
        s.contains("0 of 12") || s.contains("0 shown")
    });
    console.press(ESC);
    console.until("all devices", |s| {
        s.contains("sim-0001") && s.contains("1.5.0")
    });
}

/// Something that is no URI is refused where it is typed, and nothing is lost of it;
/// at the question one may still go back.
#[test]
fn a_wrong_uri_costs_nothing() {
    let home = Home::new();
    let mut console = demo(&home, 24, 80);
    console.press(ENTER).shows("package ›");
    console.press("example.test/fw-1.5.0.bin").press(ENTER);
    let screen = console.shows("has no scheme");
    assert!(!screen.contains("Send this update?"), "{screen}");
    assert!(
        screen.contains("package › example.test/fw-1.5.0.bin"),
        "{screen}"
    );
    console
        .press("\x1b[Hhttps://")
        .press(ENTER)
        .shows("Send this update?");
    console.press("n");
    let back = console.until("the field", |s| !s.contains("Send this update?"));
    assert!(back.contains(&format!("package › {URI}")), "{back}");
    console
        .press(CLEAR)
        .press(URI)
        .press(ENTER)
        .shows("Send this update?");
    console.press("y").shows("completed: ");
}

/// Three at once: marked, sent, followed in the list of updates.
#[test]
fn three_updates_are_followed_at_once() {
    let home = Home::new();
    let mut console = demo(&home, 24, 80);
    console.press("   ");
    console.shows("3 marked");
    // A mark steps on by itself; the device that is opened is one of them.
    console.press("g").press(ENTER).shows("all 3 marked");
    console.press(URI).press(ENTER).shows("3 devices");
    console.press("y").shows("3 in flight");
    console.press("u");
    console.until("all three", |s| {
        s.contains("Updates") && (1..=3).all(|n| s.contains(&format!(" sim-000{n}  ▕")))
    });
    console.shows("✓3 completed");
    console.press(ESC);
    console.until("the list gone", |s| s.contains("esc devices"));
    console.press("q");
    assert_eq!(console.ends(), 0);
}

/// A device failed: why stands first, then on what evidence.
#[test]
fn a_failure_says_why_and_how_it_is_known() {
    let home = Home::new();
    let mut console = demo(&home, 40, 120);
    console.press(":device sim-0010").press(ENTER).press(ENTER);
    console.shows("package ›");
    console.press(URI).press(ENTER).shows("Send this update?");
    console.press("y");
    let screen = console.shows("failed: ");
    assert!(screen.contains("sim-0010"), "{screen}");
    let screen = console.shows("hub time");
    assert!(screen.contains("403 Forbidden"), "{screen}");
    assert!(screen.contains("evidence"), "{screen}");
    assert!(screen.contains("downloading"), "{screen}");
}

/// Do these bytes hold a colour? Each sequence `ESC [ … m` sets some things by number.
fn coloured(raw: &str) -> bool {
    let sequences = raw.split("\x1b[").skip(1);
    let set = sequences.filter_map(|rest| rest.split_once('m').map(|(numbers, _)| numbers));
    let numbers = set.flat_map(|numbers| numbers.split(';'));
    numbers
        .filter_map(|number| number.parse::<u16>().ok())
        .any(|n| matches!(n, 30..=38 | 40..=48 | 90..=97 | 100..=107))
}

/// Another look, from now on and without colours.
#[test]
fn the_theme_is_changed_while_it_runs() {
    let home = Home::new();
    let mut console = demo(&home, 24, 80);
    assert!(coloured(&console.raw()), "it is in colour");
    console.press(":th mo\t");
    console.until("it completed", |s| last_line(s).contains(":theme mono"));
    console.press(ENTER);
    console.until("the command gone", |s| !last_line(s).contains(":theme"));
    let before = console.raw().len();
    console.press("jjj?").shows("esc close");
    let since = console.raw()[before..].to_owned();
    assert!(!coloured(&since), "{since:?}");
    console
        .press("q")
        .until("the help gone", |s| !s.contains("esc close"));
    console.press(":theme dusk").press(ENTER);
    console.shows("dark, light, mono");
}

/// The smallest screen is enough for the whole of the job.
#[test]
fn forty_columns_are_enough() {
    let home = Home::new();
    let mut console = demo(&home, 12, 40);
    console.press("/0007").shows("1 shown");
    console.press(ENTER).press(ENTER).shows("package");
    console.press(URI).press(ENTER);
    let screen = console.shows("sends it");
    assert!(screen.contains("sim-0007"), "{screen}");
    console.press("y").shows("▸ downloading");
    console.shows("completed: ");
    console.press("G");
    console.until("the end of the log", |s| s.contains("done"));
    console.press("?").shows("Details of a device");
    console
        .press("q")
        .until("the help gone", |s| !s.contains("Details of a device"));
    console.press(ESC).shows("1 shown");
    console.press("q");
    assert_eq!(console.ends(), 0);
}

/// The shift before left something behind: it is in the history, and plays again.
#[test]
fn last_nights_failure_is_looked_up_and_played_again() {
    let hub = plant("10");
    let home = Home::on(&hub);
    let ended = home.run(&["update", "sim-0010", "--uri", URI]);
    assert_eq!(ended.code, 3, "{ended:?}");
    let mut console = Terminal::start(&home, &[], 24, 80);
    console.shows("sim-0010");
    console.press("H").shows("History 1");
    console.press("/0010").press(ENTER);
    console.until("it alone", |s| {
        s.contains("sim-0010") && s.contains("failed")
    });
    console.press(ENTER).shows("recorded, not live");
    console.shows("403 Forbidden");
    console.press("p").shows("REPLAY");
    console.press("+++").shows("playing");
    console.shows("failed: ");
    // Back out by one key, step by step.
    console.press(ESC).shows("recorded, not live");
    console.press(ESC).shows("History 1");
}

/// The connection to the jump host is cut in the middle: the next console carries on.
#[test]
fn a_lost_connection_is_carried_on() {
    let hub = plant("1");
    let home = Home::on(&hub);
    let mut console = Terminal::start(&home, &[], 24, 80);
    console.shows("sim-0001");
    console.press(ENTER).shows("package ›");
    console.press(URI).press(ENTER).shows("Send this update?");
    console.press("y").shows("▸ downloading");
    console.hang_up();
    assert_eq!(console.ends(), 129);
    let mut console = Terminal::start(&home, &[], 24, 80);
    console.until("it, selected", |s| {
        s.contains("1 in flight") && s.contains("▌ ▸ sim-0001")
    });
    console.press(ENTER);
    console.shows("completed: ");
    console.press("q");
    assert_eq!(console.ends(), 0);
}

/// It hangs, and somebody decides to stop waiting: that is asked, written down and
/// told, and the device may be tried again.
#[test]
fn an_update_that_hangs_is_given_up() {
    let hub = Emulator::start(&["--devices", "1", "--scenario", "stalls"]);
    let home = Home::on(&hub);
    let mut console = Terminal::start(&home, &[], 24, 80);
    console.shows("sim-0001");
    console.press(ENTER).shows("package ›");
    console.press(URI).press(ENTER).shows("Send this update?");
    console.press("y").shows("▸ downloading");
    console.press("x").shows("Give this update up?");
    console.press(ESC);
    console.until("it goes on", |s| s.contains("▸ downloading"));
    console.press("x").shows("Give this update up?");
    console.press("y").shows("givenUp: ");
    console.press(ESC).shows("Devices 1");
    console.press("H").shows("History 1");
    console.shows("givenUp");
}
