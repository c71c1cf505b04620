//! Columns, saved views, the screen of updates and the mouse, in a pseudo-terminal.

use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;

use super::support::program::{Emulator, Home};
use super::support::terminal::Terminal;

/// What takes the mouse, and what leaves it to the terminal.
const TAKEN: &str = "\u{1b}[?1000h\u{1b}[?1006h";
const LEFT: &str = "\u{1b}[?1006l\u{1b}[?1000l";

/// A console that shows the devices of an emulator.
fn console(home: &Home) -> Terminal {
    let terminal = Terminal::start(home, &[], 24, 80);
    terminal.shows("sim-0008");
    terminal
}

/// The line of the screen that holds a text.
fn line_with(screen: &str, text: &str) -> usize {
    let found = screen.lines().position(|line| line.contains(text));
    found.unwrap_or_else(|| panic!("no {text} on the screen:\n{screen}"))
}

/// The device whose line is marked as the selected one.
fn selected(screen: &str) -> Option<String> {
    let line = screen.lines().find(|line| line.starts_with('▌'))?;
    let device = line
        .split_whitespace()
        .find(|word| word.starts_with("sim-"));
    device.map(str::to_owned)
}

fn is_selected(device: &str) -> impl Fn(&str) -> bool + '_ {
    move |screen| selected(screen).as_deref() == Some(device)
}

fn mouse(terminal: &mut Terminal, button: u8, column: usize, line: usize) {
    // A button is pressed and let go; the wheel is only turned.
    let (x, y) = (column + 1, line + 1);
    terminal.press(&format!("\x1b[<{button};{x};{y}M"));
    if button == 0 {
        terminal.press(&format!("\x1b[<{button};{x};{y}m"));
    }
}

/// Types a command, and waits until it was run.
fn command(terminal: &mut Terminal, text: &str) {
    terminal.press(text).shows(text);
    terminal.press("\r");
    terminal.until("the prompt gone", |screen| !screen.contains(text));
}

/// Columns and a filter are kept under a name, and a console that is started later
/// takes them again.
#[test]
fn a_view_is_kept_and_taken_by_the_next_console() {
    let emulator = Emulator::start(&["--devices", "8"]);
    let home = Home::on(&emulator);
    let mut terminal = console(&home);
    terminal.press(":columns device,state,tag:site\r");
    let screen = terminal.shows("site");
    assert!(!screen.contains("firmware"), "{screen}");
    terminal.press("/sim-000[1-3]\r").shows("3 shown");
    terminal.press(":save near\r");
    terminal.shows("· near");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);

    let file = home.state().join("views.toml");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("[view.near]"), "{text}");

    // What is wrong in the file is said, and what is right is there all the same.
    std::fs::write(&file, format!("{text}\n[view.odd]\ncolour = 1\n")).unwrap();
    let mut terminal = console(&home);
    terminal.shows("view odd");
    terminal.press("\x1b");
    terminal.until("the message gone", |screen| !screen.contains("view odd"));
    terminal.press(":view ne\t\r");
    let screen = terminal.shows("3 shown");
    assert!(
        screen.contains("site") && !screen.contains("sim-0004"),
        "{screen}"
    );
    terminal.press(":forget near\r");
    terminal.until("the name gone", |screen| !screen.contains("· near"));
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("[view.odd]") && !text.contains("near"),
        "{text}"
    );
}

/// Quitting right after a view was kept loses nothing.
#[test]
fn a_view_that_is_kept_last_is_kept() {
    let emulator = Emulator::start(&["--devices", "8"]);
    let home = Home::on(&emulator);
    let mut terminal = console(&home);
    terminal.press(":sort age down\r:save last\rq");
    assert_eq!(terminal.ends(), 0);
    let text = std::fs::read_to_string(home.state().join("views.toml")).unwrap();
    assert!(text.contains("sort = \"age down\""), "{text}");
}

/// The mouse is left to the terminal until somebody says otherwise; then it selects,
/// scrolls, opens and sorts.
#[test]
fn the_mouse_selects_scrolls_opens_and_sorts() {
    let emulator = Emulator::start(&["--devices", "40"]);
    let home = Home::on(&emulator);
    let mut terminal = console(&home);
    assert!(!terminal.raw().contains(TAKEN), "it is off by default");
    mouse(&mut terminal, 0, 9, 8);
    terminal.press("j");
    terminal.until("the second device", is_selected("sim-0002"));
    command(&mut terminal, ":mouse on");
    assert!(terminal.raw().contains(TAKEN));

    let line = line_with(&terminal.screen(), "sim-0005");
    mouse(&mut terminal, 0, 9, line);
    terminal.until("a click selects", is_selected("sim-0005"));
    // The wheel moves the rows; the selection goes along when it would be left behind.
    for _ in 0..3 {
        mouse(&mut terminal, 65, 9, line);
    }
    terminal.until("the wheel scrolls", is_selected("sim-0010"));
    for _ in 0..9 {
        mouse(&mut terminal, 64, 9, line);
    }
    terminal.shows("sim-0001");
    let head = line_with(&terminal.screen(), "firmware");
    let column = terminal
        .screen()
        .lines()
        .nth(head)
        .unwrap()
        .find("firmware");
    mouse(&mut terminal, 0, column.unwrap(), head);
    terminal.shows("firmware▲");
    // A report that is cut, one that is not whole, and one of the old sort do nothing.
    terminal.press("\x1b[<0;9\x1b[<q;3M\x1b[M\r\r\r");
    let line = line_with(&terminal.screen(), "sim-0003");
    mouse(&mut terminal, 0, 9, line);
    terminal.until("selected", is_selected("sim-0003"));
    mouse(&mut terminal, 0, 9, line);
    terminal.shows("ackage");
    terminal.press("\x1b").shows("firmware▲");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
    given_back(&terminal);
}

/// Whatever ends the console, the mouse is the terminal's again.
#[test]
fn the_mouse_is_given_back_on_every_way_out() {
    let emulator = Emulator::start(&["--devices", "8"]);
    let home = Home::on(&emulator);
    home.config("[console]\nmouse = true\n");
    for (which, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut terminal = console(&home);
        assert!(terminal.raw().contains(TAKEN), "the configuration says so");
        terminal.signal(which);
        assert_eq!(terminal.ends(), code);
        given_back(&terminal);
    }
    let mut terminal = console(&home);
    command(&mut terminal, ":mouse off");
    assert!(terminal.raw().contains(LEFT), "and at run time");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
    given_back(&terminal);
}

fn given_back(terminal: &Terminal) {
    let raw = terminal.raw();
    assert!(
        raw.rfind(LEFT) > raw.rfind(TAKEN),
        "the mouse is the terminal's"
    );
    assert_eq!(terminal.traces(), (false, false, false));
    assert_eq!(terminal.modes(), terminal.before);
}

/// Three updates at once: the list shows each of them, and how many stand how.
#[test]
fn updates_are_followed_on_one_screen() {
    let home = Home::new();
    let mut terminal = Terminal::start(&home, &["demo"], 40, 120);
    terminal.shows("sim-0003");
    terminal.press("   kk\r").shows("ackage");
    terminal
        .press("https://example.test/fw-1.5.0.bin\r")
        .shows("firmwareUpdate");
    terminal.press("y").shows("esc devices");
    terminal.press("u");
    let screen = terminal.until("three in flight", |screen| {
        screen.contains("▸3 in flight") && screen.contains("downloading")
    });
    for device in ["sim-0001", "sim-0002", "sim-0003"] {
        assert!(screen.contains(device), "{screen}");
    }
    // Beside the list stands how the selected one goes.
    assert!(screen.contains("updating to fw-1.5.0.bin"), "{screen}");
    terminal.shows("✓3 completed");
    terminal.press("\r").shows("completed: ");
    terminal.press("\x1b").shows("✓3 completed");
    terminal.press("\x1b").shows("/ filter");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
}

/// Keys and columns that cannot be are said by `config check` and on the screen.
#[test]
fn what_is_wrong_with_keys_and_columns_is_said() {
    let emulator = Emulator::start(&["--devices", "8"]);
    let home = Home::on(&emulator);
    home.config(
        "[console]\ncolumns = [\"device\", \"frimware\"]\n[console.keys.help]\nback = []\n\
         [console.keys.table]\nopen = [\"j\"]\n[view.a]\nsort = \"nope\"\n",
    );
    let ended = home.run(&["config", "check"]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    for told in [
        "bound twice in Table",
        "no way out",
        "did you mean firmware?",
        "view a: no column",
    ] {
        assert!(ended.stdout.contains(told), "{told}: {}", ended.stdout);
    }
    let mut terminal = console(&home);
    let screen = terminal.shows("did you mean firmware?");
    assert!(screen.contains("bound twice"), "{screen}");
    terminal.press("\x1b");
    terminal.until("the message gone", |screen| !screen.contains("bound twice"));
    terminal.press("j");
    terminal.until("the built-in keys", is_selected("sim-0002"));
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
}
