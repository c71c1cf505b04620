//! Whoever loses the terminal loses nothing else: signals, stops, hang-ups,
//! terminals and pipes that stand still, full disks, defects. Each time the
//! terminal is as before, the process is gone in time and has burnt nothing, and
//! the updates that went on on the devices are found by the next start.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rstest::rstest;
use rusqlite::Connection;
use rustix::process::Signal;
use rustix::termios::{Action, tcflow};

use super::support::program::{Emulator, Ended, Home, PATIENCE, binary, wait};
use super::support::terminal::{Pty, SOON, Session, Terminal, stat};

const URI: &str = "https://example.test/fw-1.5.0.bin";
/// The processor time that an end may take: that of a debug build, which reads
/// its own symbols for nothing here.
const LITTLE: Duration = Duration::from_millis(100);
const AS_BEFORE: (bool, bool, bool) = (false, false, false);

/// A screen that the console can show when it is told to end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    Table,
    Field,
    Paste,
    Question,
    Update,
}

impl Shown {
    /// Brings the console there.
    fn on(self, terminal: &mut Terminal) {
        terminal.shows("sim-0001");
        if self == Self::Table {
            return;
        }
        terminal.press("\r");
        terminal.shows("ackage");
        match self {
            Self::Table => {}
            Self::Field => drop(terminal.press("https://exam").shows("https://exam")),
            // A connection that breaks off in the middle of a paste.
            Self::Paste => drop(terminal.press("\x1b[200~https://exam")),
            Self::Question => drop(terminal.press(URI).press("\r").shows("firmwareUpdate")),
            Self::Update => {
                terminal.press(URI).press("\r").shows("firmwareUpdate");
                terminal.press("y");
                logs(terminal, "downloading");
            }
        }
    }
}

/// Waits until the update's log has that word.
fn logs(terminal: &Terminal, word: &str) {
    terminal.until(word, |screen| {
        let mut lines = screen.lines();
        lines.any(|line| line.contains(word) && line.matches(':').count() > 1)
    });
}

fn hub(devices: u32) -> (Emulator, Home) {
    let emulator = Emulator::start(&["--devices", &devices.to_string()]);
    let home = Home::on(&emulator);
    (emulator, home)
}

/// The events of the journal: device and kind.
fn journal(home: &Home) -> Vec<(String, String)> {
    let Ok(file) = Connection::open(home.state().join("journal.db")) else {
        return Vec::new();
    };
    let query = file.prepare("SELECT device_id, kind FROM event ORDER BY id");
    let Ok(mut query) = query else {
        return Vec::new();
    };
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

fn kinds(home: &Home) -> Vec<String> {
    journal(home).into_iter().map(|(_, kind)| kind).collect()
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < PATIENCE, "no {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The next start finds what was left open, and sees it through.
fn carries_on(home: &Home) -> Ended {
    let resumed = home.run(&["watch", "--resume"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    let kinds = kinds(home);
    let count = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!(
        count("update.invoked"),
        count("update.verdict"),
        "{kinds:?}"
    );
    resumed
}

#[rstest]
#[case(Signal::TERM, 143)]
#[case(Signal::HUP, 129)]
#[case(Signal::INT, 130)]
fn a_signal_ends_the_console_on_every_screen(#[case] signal: Signal, #[case] code: u32) {
    let (_emulator, home) = hub(1);
    for shown in [
        Shown::Table,
        Shown::Field,
        Shown::Paste,
        Shown::Question,
        Shown::Update,
    ] {
        let mut terminal = Terminal::start(&home, &[], 24, 80);
        shown.on(&mut terminal);
        assert_ne!(terminal.modes(), terminal.before, "the terminal is raw");
        let used = terminal.used();
        terminal.signal(signal);
        let (ended, all) = terminal.ends_within(SOON);
        assert_eq!(ended, code, "{shown:?}");
        assert!(all - used <= LITTLE, "{shown:?}: {:?}", all - used);
        let open = shown == Shown::Update;
        if open {
            let screen = terminal.shows("otadeck watch --resume");
            assert!(screen.contains("Still open: sim-0001"), "{screen}");
        }
        assert_eq!(terminal.traces(), AS_BEFORE, "{shown:?}");
        assert_eq!(terminal.modes(), terminal.before, "{shown:?}");
        assert_eq!(terminal.raw().contains("Still open"), open, "{shown:?}");
    }
    let resumed = carries_on(&home);
    assert!(resumed.stdout.contains("completed: "), "{resumed:?}");
}

#[rstest]
#[case(Signal::TERM, 143)]
#[case(Signal::HUP, 129)]
#[case(Signal::INT, 130)]
fn a_signal_ends_update_and_watch(#[case] signal: Signal, #[case] code: u32) {
    let (_emulator, home) = hub(1);
    for args in [
        &["update", "sim-0001", "--uri", URI][..],
        &["watch", "--resume"],
    ] {
        let mut terminal = Terminal::start(&home, args, 24, 80);
        terminal.shows("downloading");
        terminal.signal(signal);
        assert_eq!(terminal.ends_within(SOON).0, code, "{args:?}");
        terminal.shows("Updates go on on the devices");
        assert_eq!(terminal.traces(), AS_BEFORE);
        assert_eq!(terminal.modes(), terminal.before);
    }
    carries_on(&home);
}

/// The demo has a hub and devices to end besides, and its folder to remove.
#[test]
fn a_signal_ends_the_demo_with_all_that_is_its_own() {
    let home = Home::new();
    let folder = home.folder.path().join("tmp");
    std::fs::create_dir(&folder).unwrap();
    let home = home.env("TMPDIR", folder.to_str().unwrap());
    let mut terminal = Terminal::start(&home, &["demo"], 24, 80);
    Shown::Update.on(&mut terminal);
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends_within(SOON).0, 143);
    terminal.shows("ended with the demo");
    assert_eq!(terminal.traces(), AS_BEFORE);
    assert_eq!(terminal.modes(), terminal.before);
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
}

/// A shell with job control in a terminal, and its child.
struct Shell {
    terminal: Terminal,
    home: Home,
}

impl Shell {
    fn start(home: Home) -> Self {
        let home = home.env("PS1", "shell> ");
        let args = ["--norc", "--noprofile", "--noediting", "-i"];
        let terminal = Terminal::start_program(&"/bin/bash".into_path(), &home, &args, 24, 80);
        terminal.shows("shell>");
        Self { terminal, home }
    }

    fn say(&mut self, text: &str) {
        self.terminal.press(&format!("{text}\r"));
    }

    fn child(&self) -> u32 {
        let pid = self.terminal.pid();
        let path = format!("/proc/{pid}/task/{pid}/children");
        let mut found = None;
        wait_for("child", || {
            let text = std::fs::read_to_string(&path).unwrap();
            found = text.split_whitespace().next().and_then(|n| n.parse().ok());
            found.is_some()
        });
        found.unwrap()
    }

    /// The console is stopped, and the shell has a sane terminal.
    fn is_stopped(&mut self, child: u32, nth: usize) {
        wait_for("stop", || stat(child).0 == "T");
        self.terminal.shows("Stopped");
        let (alternate, _, hidden) = self.terminal.traces();
        assert!(!alternate && !hidden, "the picture is the shell's");
        let file = self.home.folder.path().join(format!("stty-{nth}"));
        self.say(&format!(
            "stty -a > {0}.new; mv {0}.new {0}",
            file.display()
        ));
        wait_for("stty", || file.exists());
        let before = std::fs::read_to_string(self.home.folder.path().join("stty-0"));
        let (before, now) = (before.unwrap(), std::fs::read_to_string(&file).unwrap());
        let modes = |text: &str| text[text.find("intr").unwrap()..].to_owned();
        assert_eq!(modes(&before), modes(&now));
    }
}

trait IntoPath {
    fn into_path(self) -> PathBuf;
}

impl IntoPath for &str {
    fn into_path(self) -> PathBuf {
        PathBuf::from(self)
    }
}

/// By the key and by a signal from outside; twice; the terminal gets another
/// size meanwhile.
#[test]
fn a_stopped_console_leaves_a_sane_terminal_and_comes_back() {
    let (_emulator, home) = hub(1);
    let mut shell = Shell::start(home);
    let file = shell.home.folder.path().join("stty-0");
    shell.say(&format!(
        "stty -a > {0}.new; mv {0}.new {0}",
        file.display()
    ));
    wait_for("stty", || file.exists());
    shell.say(&format!("{}", binary().display()));
    shell.terminal.shows("sim-0001");
    let child = shell.child();
    for (nth, size) in [(1, (30, 100)), (2, (12, 40)), (3, (24, 80))] {
        match nth {
            3 => super::support::program::signal(child, Signal::TSTP),
            _ => drop(shell.terminal.press("\x1a")),
        }
        shell.is_stopped(child, nth);
        shell.terminal.resize(size.0, size.1);
        let used = stat(child).1;
        shell.say("fg");
        let height = usize::from(size.0);
        // The footer stands in the last row of the size that it has now.
        shell.terminal.until("console in the new size", |screen| {
            let last = screen.lines().nth(height - 1).unwrap_or_default();
            screen.contains("sim-0001") && last.contains("keys")
        });
        assert!(shell.terminal.traces().0, "its own screen again");
        assert!(stat(child).1 - used <= LITTLE);
    }
    // One that cannot be heard: the shell sets the modes, the console comes back.
    super::support::program::signal(child, Signal::STOP);
    wait_for("stop", || stat(child).0 == "T");
    // The shell says so when it has set the modes.
    shell.terminal.shows("Stopped");
    shell.say("fg");
    wait_for("going on", || stat(child).0 != "T");
    shell.terminal.resize(20, 70);
    shell.terminal.until("console in the new size", |screen| {
        let last = screen.lines().nth(19).unwrap_or_default();
        screen.contains("sim-0001") && last.contains("keys")
    });
    shell.terminal.press("q");
    shell.terminal.shows("shell>");
    assert!(!shell.terminal.traces().0, "the picture is the shell's");
}

/// In the background it stops again, and a signal ends it there.
#[test]
fn a_console_in_the_background_waits_and_can_be_ended() {
    let (_emulator, home) = hub(1);
    let mut shell = Shell::start(home);
    shell.say(&format!("{}", binary().display()));
    shell.terminal.shows("sim-0001");
    let child = shell.child();
    shell.terminal.press("\x1a");
    wait_for("stop", || stat(child).0 == "T");
    shell.terminal.shows("Stopped");
    shell.say("bg");
    // When the shell asks for more, it was told to go on. It sees where it is, and
    // stops.
    shell.terminal.until("the next prompt", |screen| {
        let (_, after) = screen.rsplit_once("bg").unwrap_or_default();
        after.contains("shell>")
    });
    wait_for("stop", || stat(child).0 == "T");
    assert!(!shell.terminal.traces().0, "the picture is the shell's");
    let began = Instant::now();
    shell.say("kill %1");
    let process = PathBuf::from(format!("/proc/{child}"));
    wait_for("end", || !process.exists());
    assert!(began.elapsed() < SOON);
    shell.say("jobs");
    shell.terminal.shows("Exit 143");
    assert!(!shell.terminal.traces().0, "the picture is the shell's");
}

/// Nobody could continue it: it goes on by itself.
#[rstest]
#[case(false)]
#[case(true)]
fn a_stop_without_job_control_hangs_nobody(#[case] by_a_script: bool) {
    let (_emulator, home) = hub(1);
    let otadeck = binary().display().to_string();
    let script = format!("{otadeck}; exit $?");
    let mut terminal = match by_a_script {
        true => Terminal::start_program(&"/bin/sh".into_path(), &home, &["-c", &script], 24, 80),
        false => Terminal::start(&home, &[], 24, 80),
    };
    terminal.shows("sim-0001");
    for n in 1..=2 {
        terminal.press("\x1a");
        // It was given back, and taken again.
        wait_for("going on", || {
            let raw = terminal.raw();
            let count = |what: &str| raw.matches(what).count();
            count("\x1b[?1049l") == n && count("\x1b[?1049h") == n + 1
        });
        terminal.press("?").shows("Keys");
        terminal.press("\x1b");
        terminal.until("the table", |s| {
            !s.contains("Everywhere") && s.contains("sim-0001")
        });
    }
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(terminal.traces(), AS_BEFORE);
    assert_eq!(terminal.modes(), terminal.before);
}

/// With the signal, without it, and where there is none.
#[rstest]
#[case(Session::Leads)]
#[case(Session::IgnoresHangUp)]
#[case(Session::Detached)]
fn a_hang_up_ends_the_console_and_burns_nothing(#[case] session: Session) {
    let (_emulator, home) = hub(1);
    for shown in [Shown::Table, Shown::Field, Shown::Question, Shown::Update] {
        let pty = Pty::open(24, 80);
        let mut terminal = Terminal::start_in(pty, session, None, binary(), &home, &[]);
        shown.on(&mut terminal);
        let used = terminal.used();
        terminal.hang_up();
        let (code, all) = terminal.ends_within(SOON);
        assert_eq!(code, 129, "{shown:?}");
        assert!(all - used <= LITTLE, "{shown:?}: {:?}", all - used);
    }
    carries_on(&home);
}

/// While a call is under way the end takes a while, and burns nothing either.
#[test]
fn a_hang_up_during_a_call_burns_nothing() {
    // The order's answer takes three seconds there.
    let emulator = Emulator::start(&["--devices", "1", "--scenario", "lost-answer"]);
    let home = Home::on(&emulator);
    let pty = Pty::open(24, 80);
    let session = Session::IgnoresHangUp;
    let mut terminal = Terminal::start_in(pty, session, None, binary(), &home, &[]);
    Shown::Question.on(&mut terminal);
    terminal.press("y");
    wait_for("call", || kinds(&home).contains(&"update.invoked".into()));
    let used = terminal.used();
    terminal.hang_up();
    let (code, all) = terminal.ends_within(SOON);
    assert_eq!(code, 129);
    assert!(all - used <= LITTLE * 2, "{:?}", all - used);
}

/// Keys and screen may be two terminals: whichever goes, the other is as before.
#[rstest]
#[case(true)]
#[case(false)]
fn one_of_two_terminals_may_go(#[case] keys: bool) {
    let (_emulator, home) = hub(1);
    let mut keyboard = Pty::open(24, 80);
    let before = keyboard.modes();
    let session = Session::Detached;
    let pty = Pty::open(24, 80);
    let mut terminal = Terminal::start_in(pty, session, Some(&keyboard), binary(), &home, &[]);
    terminal.shows("sim-0001");
    assert_ne!(keyboard.modes(), before, "the keys come raw");
    let used = terminal.used();
    match keys {
        true => keyboard.close(),
        false => terminal.hang_up(),
    }
    let (code, all) = terminal.ends_within(SOON);
    assert_eq!(code, 129);
    assert!(all - used <= LITTLE, "{:?}", all - used);
    match keys {
        true => {
            terminal.read_to_the_end();
            assert_eq!(terminal.traces(), AS_BEFORE);
        }
        false => assert_eq!(keyboard.modes(), before),
    }
}

/// `nohup` means it: an update is watched on without the terminal.
#[test]
fn a_verb_that_was_told_to_ignore_a_hang_up_does() {
    let (_emulator, home) = hub(1);
    let out = home.folder.path().join("out");
    let script = format!(
        "exec {} update sim-0001 --uri {URI} > {} 2>&1 < /dev/null",
        binary().display(),
        out.display()
    );
    let pty = Pty::open(24, 80);
    let session = Session::IgnoresHangUp;
    let args = ["-c", script.as_str()];
    let mut terminal = Terminal::start_in(pty, session, None, &"/bin/sh".into_path(), &home, &args);
    let said = || std::fs::read_to_string(&out).unwrap_or_default();
    wait_for("downloading", || said().contains("downloading"));
    terminal.hang_up();
    assert_eq!(terminal.ends_within(PATIENCE).0, 0);
    assert!(said().contains("completed: "), "{}", said());
}

/// What the terminal does not take is not waited for.
#[test]
fn a_terminal_that_stands_still_does_not_stop_the_watching() {
    let (_emulator, home) = hub(1);
    let mut terminal = Terminal::start(&home, &[], 24, 80);
    Shown::Update.on(&mut terminal);
    terminal.stand_still(24, 80);
    wait_for("verdict", || {
        kinds(&home).contains(&"update.verdict".into())
    });
    let used = terminal.used();
    std::thread::sleep(Duration::from_secs(1));
    assert!(
        terminal.used() - used <= LITTLE,
        "it waits and burns nothing"
    );
    terminal.go_on();
    terminal.shows("completed: ");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(terminal.traces(), AS_BEFORE);
    assert_eq!(terminal.modes(), terminal.before);
}

/// Stopped by flow control, as Ctrl-S does it on a terminal that heeds it.
#[test]
fn stopped_output_shows_the_newest_frame_when_it_goes_on() {
    let (_emulator, home) = hub(1);
    let mut terminal = Terminal::start(&home, &[], 24, 80);
    Shown::Update.on(&mut terminal);
    let tty = terminal.slave();
    tcflow(&tty, Action::OOff).unwrap();
    wait_for("verdict", || {
        kinds(&home).contains(&"update.verdict".into())
    });
    let before = terminal.raw().len();
    assert!(!terminal.raw().contains("completed: "));
    tcflow(&tty, Action::OOn).unwrap();
    terminal.shows("completed: ");
    // The rest of one frame, and the newest: no history of frames.
    let came = terminal.raw().len() - before;
    assert!(came < 8_000, "{came} bytes");
    drop(tty);
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
}

#[derive(Clone, Copy, Debug)]
enum Told {
    Quit,
    Term,
    HangUp,
}

#[rstest]
#[case(Told::Quit, false)]
#[case(Told::Term, false)]
#[case(Told::HangUp, false)]
#[case(Told::Quit, true)]
#[case(Told::Term, true)]
fn a_terminal_that_stands_still_holds_up_no_end(#[case] told: Told, #[case] flow: bool) {
    let (_emulator, home) = hub(1);
    let mut terminal = Terminal::start(&home, &[], 24, 80);
    terminal.shows("sim-0001");
    match flow {
        true => tcflow(terminal.slave(), Action::OOff).unwrap(),
        false => terminal.stand_still(24, 80),
    }
    match told {
        Told::Quit => drop(terminal.press("q")),
        Told::Term => terminal.signal(Signal::TERM),
        Told::HangUp => terminal.signal(Signal::HUP),
    }
    let (code, _) = terminal.ends_within(SOON);
    let want = match told {
        Told::Quit => 0,
        Told::Term => 143,
        Told::HangUp => 129,
    };
    assert_eq!(code, want);
    assert_eq!(terminal.modes(), terminal.before);
    // Whoever reads it later finds a sane terminal.
    terminal.go_on();
    terminal.read_to_the_end();
    assert_eq!(terminal.traces(), AS_BEFORE);
}

/// A pipe of a page that nobody reads, and its reading end.
fn narrow_pipe() -> (File, File) {
    let (read, write) = rustix::pipe::pipe().unwrap();
    rustix::pipe::fcntl_setpipe_size(&write, 4_096).unwrap();
    (File::from(read), File::from(write))
}

#[test]
fn a_full_pipe_stops_neither_the_watching_nor_the_end() {
    const DEVICES: usize = 40;
    let (_emulator, home) = hub(u32::try_from(DEVICES).unwrap());
    let (mut read, write) = narrow_pipe();
    let mut args = vec![
        "update".to_owned(),
        "--json".into(),
        "--uri".into(),
        URI.into(),
    ];
    args.extend((1..=DEVICES).map(|n| format!("sim-{n:04}")));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = home.command(&args);
    command.stdout(Stdio::from(write));
    let child = command.spawn().unwrap();
    drop(command);
    let pid = child.id();
    wait_for("all verdicts", || {
        let verdicts = kinds(&home);
        verdicts.iter().filter(|k| *k == "update.verdict").count() == DEVICES
    });
    assert_ne!(stat(pid).0, "Z", "it has more to say than was read");
    super::support::program::signal(pid, Signal::TERM);
    let began = Instant::now();
    let ended = wait(child, &args);
    assert_eq!(ended.code, 143);
    assert!(began.elapsed() < SOON);
    let mut said = String::new();
    read.read_to_string(&mut said).unwrap();
    assert!(said.contains("update.intended"));
}

#[test]
fn a_terminal_that_stands_still_holds_up_no_verb() {
    let (_emulator, home) = hub(1);
    let args = ["update", "sim-0001", "--uri", URI];
    let mut terminal = Terminal::start(&home, &args, 24, 80);
    terminal.shows("downloading");
    // Ctrl-S: this terminal is not raw, so it is heeded.
    terminal.press("\x13");
    wait_for("verdict", || {
        kinds(&home).contains(&"update.verdict".into())
    });
    std::thread::sleep(Duration::from_millis(200));
    assert!(
        !terminal.screen().contains("completed: "),
        "it stands still"
    );
    assert_ne!(stat(terminal.pid()).0, "Z", "it has more to say");
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends_within(SOON).0, 143);
    // And with Ctrl-Q all comes.
    let mut terminal = Terminal::start(&home, &args, 24, 80);
    terminal.shows("downloading");
    terminal.press("\x13");
    wait_for("verdict", || {
        let kinds = kinds(&home);
        kinds.iter().filter(|k| *k == "update.verdict").count() == 2
    });
    terminal.press("\x11");
    terminal.shows("completed: ");
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn a_reader_that_leaves_ends_the_watching_and_not_the_update() {
    let (_emulator, home) = hub(1);
    let mut command = home.command(&["update", "sim-0001", "--uri", URI]);
    let mut child = command.spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut some = [0; 16];
    stdout.read_exact(&mut some).unwrap();
    drop(stdout);
    let ended = wait(child, &["update"]);
    assert_eq!(ended.code, 141, "{ended:?}");
    carries_on(&home);
    // Nobody who reads complaints is no reason to end.
    let mut command = home.command(&["update", "sim-0001", "--uri", URI]);
    let mut child = command.spawn().unwrap();
    drop(child.stderr.take());
    let ended = wait(child, &["update"]);
    assert_eq!(ended.code, 0, "{ended:?}");
}

/// What is wrong with the log's file.
fn spoil(home: &Home, how: &str) {
    let log = home.state().join("otadeck.log");
    std::fs::create_dir_all(home.state()).unwrap();
    match how {
        "full" => std::os::unix::fs::symlink("/dev/full", log).unwrap(),
        _ => std::fs::create_dir(log).unwrap(),
    }
}

#[rstest]
#[case("full")]
#[case("not a file")]
fn a_log_that_cannot_be_written_is_told_once_and_ends_nothing(#[case] how: &str) {
    let (_emulator, home) = hub(1);
    spoil(&home, how);
    let ended = home.run(&["update", "sim-0001", "--uri", URI]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(
        ended.stderr.matches("cannot be written").count(),
        1,
        "{ended:?}"
    );
    let mut terminal = Terminal::start(&home, &[], 24, 80);
    Shown::Update.on(&mut terminal);
    terminal.shows("cannot be written");
    terminal.shows("completed: ");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(terminal.modes(), terminal.before);
}

/// A limit for files is told by a signal that would end the process.
#[test]
fn a_limit_for_files_ends_nothing() {
    let (_emulator, home) = hub(1);
    let script = format!("ulimit -f 0; exec {} devices", binary().display());
    let mut command = home.command(&[]);
    let plain: Vec<_> = command
        .get_envs()
        .map(|(n, v)| (n.to_owned(), v.unwrap().to_owned()))
        .collect();
    command = std::process::Command::new("/bin/sh");
    command.args(["-c", &script]).env_clear().envs(plain);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let ended = wait(command.spawn().unwrap(), &["devices"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("sim-0001"));
    assert_eq!(
        ended.stderr.matches("cannot be written").count(),
        1,
        "{ended:?}"
    );
}

/// What the journal must have after a defect in the middle of an update.
fn decided(home: &Home) {
    let kinds = kinds(home);
    assert_eq!(
        kinds[..2],
        ["update.intended", "update.invoked"],
        "{kinds:?}"
    );
    let resumed = carries_on(home);
    assert!(resumed.stdout.contains("completed: "), "{resumed:?}");
}

#[cfg(debug_assertions)]
#[rstest]
#[case("engine")]
#[case("call")]
#[case("scribe")]
#[case("journal")]
#[case("view")]
fn a_defect_anywhere_ends_the_console_and_is_told(#[case] place: &str) {
    let (_emulator, home) = hub(1);
    let home = home.env("OTADECK_REHEARSE", place);
    let mut terminal = Terminal::start(&home, &[], 24, 80);
    terminal.shows("sim-0001");
    terminal.press("\r").shows("ackage");
    terminal.press(URI).press("\r").shows("firmwareUpdate");
    terminal.press("y");
    let (code, _) = terminal.ends_within(PATIENCE);
    assert_eq!(code, 1);
    terminal.read_to_the_end();
    let screen = terminal.screen();
    assert!(screen.contains("this is a defect"), "{screen}");
    assert!(screen.contains("otadeck.log"), "{screen}");
    assert_eq!(screen.matches("defect").count(), 1, "{screen}");
    assert_eq!(terminal.traces(), AS_BEFORE);
    assert_eq!(terminal.modes(), terminal.before);
    let log = std::fs::read_to_string(home.state().join("otadeck.log")).unwrap();
    assert!(log.contains(&format!("the {place} breaks")), "{log}");
    decided(&home.env("OTADECK_REHEARSE", ""));
}

#[cfg(debug_assertions)]
#[rstest]
#[case("engine")]
#[case("call")]
#[case("scribe")]
#[case("journal")]
fn a_defect_anywhere_ends_a_verb_and_is_told(#[case] place: &str) {
    let (_emulator, home) = hub(1);
    let home = home.env("OTADECK_REHEARSE", place);
    let ended = home.run(&["update", "sim-0001", "--uri", URI]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("this is a defect"), "{ended:?}");
    assert!(ended.stderr.contains("otadeck watch --resume"), "{ended:?}");
    decided(&home.env("OTADECK_REHEARSE", ""));
}

#[cfg(debug_assertions)]
#[test]
fn a_defect_of_the_output_ends_a_verb() {
    let (_emulator, home) = hub(1);
    let home = home.env("OTADECK_REHEARSE", "stdout");
    let ended = home.run(&["update", "sim-0001", "--uri", URI]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("this is a defect"), "{ended:?}");
    let home = home.env("OTADECK_REHEARSE", "");
    if !journal(&home).is_empty() {
        carries_on(&home);
    }
}

/// A disk that hangs looks as another process that holds the journal for ever.
#[rstest]
#[case(true)]
#[case(false)]
fn a_journal_that_hangs_holds_up_no_end(#[case] console: bool) {
    let (_emulator, home) = hub(1);
    let args: &[&str] = match console {
        true => &[],
        false => &["update", "sim-0001", "--uri", URI],
    };
    let mut terminal = Terminal::start(&home, args, 24, 80);
    match console {
        true => Shown::Update.on(&mut terminal),
        false => drop(terminal.shows("downloading")),
    }
    let file = Connection::open(home.state().join("journal.db")).unwrap();
    file.busy_timeout(PATIENCE).unwrap();
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    match console {
        true => logs(&terminal, "applying"),
        false => drop(terminal.shows("applying")),
    }
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends_within(SOON).0, 143);
    let screen = terminal.shows("the journal could not be written to the end");
    assert!(screen.contains("Nothing is sent twice"), "{screen}");
    assert_eq!(terminal.modes(), terminal.before);
    file.execute_batch("ROLLBACK").unwrap();
    carries_on(&home);
}

/// A production hub is confirmed for some minutes; not beyond a stop.
#[test]
fn what_was_typed_to_confirm_is_forgotten_by_a_stop() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = Home::on(&emulator);
    let secret = home.folder.path().join("secret");
    let mut file = File::create(&secret).unwrap();
    write!(file, "{}", emulator.service()).unwrap();
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
        .unwrap();
    home.config(&format!(
        "[hub.plant]\nsecret_file = {:?}\nca_file = {:?}\nenvironment = \"production\"\n",
        secret.display().to_string(),
        emulator.ca_file()
    ));
    let home = home.env("OTADECK_CONNECTION_STRING", "");
    let mut shell = Shell::start(home);
    shell.say(&format!("{}", binary().display()));
    shell.terminal.shows("sim-0001");
    let child = shell.child();
    shell.terminal.press("\r").shows("ackage");
    shell
        .terminal
        .press(URI)
        .press("\r")
        .shows("firmwareUpdate");
    shell.terminal.press("plant");
    shell.terminal.press("\x1a");
    wait_for("stop", || stat(child).0 == "T");
    shell.say("fg");
    shell.terminal.shows("firmwareUpdate");
    shell.terminal.press("\r");
    // The name has to be typed again.
    shell
        .terminal
        .press("plant")
        .press("\r")
        .shows("downloading");
    // The phases to come are on the screen before the order is out.
    let count = |kind: &str| kinds(&shell.home).iter().filter(|k| *k == kind).count();
    wait_for("order", || count("update.invoked") == 1);
    assert_eq!(count("update.intended"), 1);
}
