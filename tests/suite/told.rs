//! What the terminal is told beside frames, by the real program: title and bell; and
//! how that is set.

use super::support::program::{Emulator, Home};
use super::support::terminal::Terminal;

const URI: &str = "https://example.test/fw-1.5.0.bin";

/// Updates the emulator's only device, quits, and gives back all that was written.
fn update_and_quit(home: &Home) -> String {
    let mut terminal = Terminal::start(home, &[], 24, 80);
    terminal.shows("sim-0001");
    terminal.press("\r").shows("ackage");
    terminal.press(URI).shows("fw-1.5.0.bin");
    terminal.press("\r").shows("firmwareUpdate");
    terminal.press("y").shows("completed: ");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(terminal.traces(), (false, false, false));
    terminal.raw()
}

/// The parts of what was written that are no frame, in their order, each with whether
/// it stands in the middle of a frame.
fn told(raw: &str) -> Vec<(String, bool)> {
    let (mut told, mut framed, mut rest) = (Vec::new(), false, raw);
    while let Some(at) = rest.find(['\x1b', '\x07']) {
        rest = &rest[at..];
        let mut length = 1;
        if rest.starts_with("\x1b[?2026") {
            framed = rest.starts_with("\x1b[?2026h");
        } else if rest.starts_with("\x1b]") {
            length = rest.find('\x07').unwrap() + 1;
            told.push((rest[..length].to_owned(), framed));
        } else if rest.starts_with('\x07') {
            told.push(("bell".to_owned(), framed));
        } else if rest.starts_with("\x1b[22;0t") || rest.starts_with("\x1b[23;0t") {
            told.push((rest[2..7].to_owned(), framed));
        }
        rest = &rest[length..];
    }
    told
}

#[test]
fn title_and_bell_go_out_between_frames_and_the_old_title_comes_back() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let told = told(&update_and_quit(&Home::on(&emulator)));
    let want = [
        "22;0t",
        "\x1b]2;otadeck · localhost\x07",
        "\x1b]2;otadeck · localhost · 1 update\x07",
        "\x1b]2;otadeck · localhost\x07",
        "bell",
        "23;0t",
    ];
    let want = want.map(|text| (text.to_owned(), false));
    assert_eq!(told, want);
}

#[test]
fn what_is_switched_off_is_not_sent() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = Home::on(&emulator);
    home.config("[console]\ntitle = false\nnotify = \"off\"\n");
    assert_eq!(told(&update_and_quit(&home)), []);
}

#[test]
fn a_notification_is_wrapped_for_tmux() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = Home::on(&emulator).env("TMUX", "/tmp/tmux-1/default,1,0");
    home.config("[console]\ntitle = false\nnotify = \"osc9\"\n");
    let raw = update_and_quit(&home);
    let notice = "\x1bPtmux;\x1b\x1b]9;otadeck: sim-0001 completed\x07\x1b\\";
    assert_eq!(raw.matches(notice).count(), 1, "{raw:?}");
}

/// A signal, too, gives the title back.
#[test]
fn however_it_ends_the_title_comes_back_once() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let mut terminal = Terminal::start(&Home::on(&emulator), &[], 24, 80);
    terminal.shows("sim-0001");
    terminal.signal(rustix::process::Signal::TERM);
    assert_eq!(terminal.ends(), 143);
    assert_eq!(terminal.raw().matches("\x1b[23;0t").count(), 1);
}

#[test]
fn what_cannot_be_set_is_told() {
    let home = Home::new();
    for (text, why) in [
        ("max_fps = 0", "console.max_fps must be between 1 and 60"),
        ("max_fps = 61", "console.max_fps must be between 1 and 60"),
        ("notify = \"beep\"", "expected one of `bell`, `osc9`, `off`"),
        ("tilte = true", "did you mean `title`?"),
    ] {
        home.config(&format!("[console]\n{text}\n"));
        let ended = home.run(&["config", "check"]);
        assert_eq!(ended.code, 2, "{text}: {ended:?}");
        assert!(ended.stderr.contains(why), "{text}: {}", ended.stderr);
    }
    home.config("");
    let ended = home.run(&["--max-fps", "0", "config", "show"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("1..=60"), "{}", ended.stderr);
    let ended = home.run(&["--max-fps", "10", "config", "show"]);
    assert!(ended.stdout.contains("console.max_fps"), "{}", ended.stdout);
    let flag = "--max-fps: at most 10 frames a second";
    assert!(ended.stdout.contains(flag), "{}", ended.stdout);
}
