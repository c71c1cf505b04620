//! The first minutes: started with nothing configured, in a pseudo-terminal.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::support::program::{Emulator, Home};
use super::support::terminal::Terminal;

/// A home with nothing configured but the emulator's CA, without a configuration file.
fn bare_home(emulator: Option<&Emulator>) -> Home {
    let home = Home::new();
    std::fs::remove_file(folder(&home).join("config.toml")).unwrap();
    match emulator {
        Some(emulator) => home.env("OTADECK_CA_FILE", &emulator.ca_file()),
        None => home,
    }
}

fn folder(home: &Home) -> PathBuf {
    home.folder.path().join(".config/otadeck")
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The part of a connection string that nobody may see.
fn key(string: &str) -> &str {
    let (_, key) = string.split_once("SharedAccessKey=").unwrap();
    key.split(';').next().unwrap()
}

/// Started, and asked for a connection string.
fn asked(home: &Home, rows: u16, cols: u16) -> Terminal {
    let mut terminal = Terminal::start(home, &[], rows, cols);
    terminal.shows("Which? [1/2/3/q]");
    terminal.press("2\n");
    terminal.shows("Connection string:");
    terminal
}

/// Pasted and found good.
fn checked(home: &Home, emulator: &Emulator) -> Terminal {
    let mut terminal = asked(home, 30, 200);
    assert_ne!(terminal.modes(), terminal.before, "echo is off");
    terminal.press(&format!("{}\n", emulator.service()));
    terminal.shows("lets the policy 'iothubowner' in");
    terminal.shows("Which? [1/2/3]");
    assert_eq!(terminal.modes(), terminal.before, "echo is on again");
    assert!(!terminal.raw().contains(key(&emulator.service())));
    terminal
}

fn quits(terminal: &mut Terminal) {
    terminal.press("q");
    assert_eq!(terminal.ends(), 0, "{}", terminal.screen());
    assert_eq!(terminal.modes(), terminal.before);
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let home = bare_home(None);
    let ended = home.run(&[]);
    assert_eq!(ended.code, 2, "{ended:?}");
    for word in [
        "no hub is configured",
        "OTADECK_CONNECTION_STRING",
        "otadeck demo",
    ] {
        assert!(ended.stderr.contains(word), "no {word} in {}", ended.stderr);
    }
}

#[test]
fn the_demo_is_offered() {
    let mut terminal = Terminal::start(&bare_home(None), &[], 24, 80);
    terminal.shows("Which? [1/2/3/q]");
    terminal.press("7\n");
    terminal.shows("Type 1, 2, 3 or q");
    terminal.press("1\n");
    terminal.shows("sim-0012");
    quits(&mut terminal);
}

#[rstest::rstest]
#[case("q\n")]
#[case("\x04")]
fn whoever_wants_nothing_leaves(#[case] keys: &str) {
    let home = bare_home(None);
    let mut terminal = Terminal::start(&home, &[], 24, 80);
    terminal.shows("Which? [1/2/3/q]");
    terminal.press(keys);
    assert_eq!(terminal.ends(), 2);
    assert_eq!(std::fs::read_dir(folder(&home)).unwrap().count(), 0);
}

#[test]
fn a_string_that_was_pasted_is_kept_for_its_owner_and_used_from_then_on() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = bare_home(Some(&emulator));
    let mut terminal = checked(&home, &emulator);
    terminal.press("1\n");
    terminal.shows("sim-0001");
    quits(&mut terminal);
    assert!(!terminal.raw().contains(key(&emulator.service())));
    let (secret, config) = (
        folder(&home).join("localhost.secret"),
        folder(&home).join("config.toml"),
    );
    assert_eq!((mode(&secret), mode(&config)), (0o600, 0o600));
    let kept = std::fs::read_to_string(&secret).unwrap();
    assert_eq!(kept.trim(), emulator.service());
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains("[hub.localhost]"), "{text}");
    assert!(!text.contains(key(&emulator.service())), "{text}");
    let ended = home.run(&["devices"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("sim-0001"), "{ended:?}");
}

#[test]
fn files_that_are_there_are_left_as_they_are() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = bare_home(Some(&emulator));
    let config = folder(&home).join("config.toml");
    std::fs::write(&config, "journal_keep = \"30d\" # mine\n").unwrap();
    let mut terminal = checked(&home, &emulator);
    terminal.press("1\n");
    let screen = terminal.shows("Press enter to go on");
    for word in ["left as it is", "[hub.localhost]", "secret_file = "] {
        assert!(screen.contains(word), "no {word} in\n{screen}");
    }
    terminal.press("\n");
    terminal.shows("sim-0001");
    quits(&mut terminal);
    let text = std::fs::read_to_string(&config).unwrap();
    assert_eq!(text, "journal_keep = \"30d\" # mine\n");
    // The next one may not write over what was kept.
    let secret = folder(&home).join("localhost.secret");
    std::fs::write(&secret, "mine").unwrap();
    let mut terminal = checked(&home, &emulator);
    terminal.press("1\n");
    terminal.shows("is not overwritten");
    terminal.shows("Which? [1/2/3]");
    terminal.press("3\n");
    terminal.shows("sim-0001");
    quits(&mut terminal);
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "mine");
}

#[test]
fn the_environment_line_is_shown_to_whoever_chose_it() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = bare_home(Some(&emulator));
    let mut terminal = checked(&home, &emulator);
    terminal.press("2\n");
    terminal.shows("Press enter to go on");
    let line = format!("export OTADECK_CONNECTION_STRING='{}'", emulator.service());
    assert!(terminal.raw().contains(&line), "{}", terminal.screen());
    terminal.press("\n");
    terminal.shows("sim-0001");
    quits(&mut terminal);
    assert_eq!(std::fs::read_dir(folder(&home)).unwrap().count(), 0);
}

#[test]
fn what_is_wrong_with_a_string_is_said_and_it_is_asked_for_again() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = bare_home(Some(&emulator));
    let mut terminal = asked(&home, 40, 160);
    terminal.press("hello\n");
    terminal.shows("has no '='");
    terminal.press(&format!("{}\n", emulator.device(0)));
    terminal.shows("a device's connection string");
    // Right in shape, and nobody's.
    let wrong = emulator
        .service()
        .replace(key(&emulator.service()), "c2VjcmV0LXRoYXQtaXMtd3Jvbmc=");
    terminal.press(&format!("{wrong}\n"));
    let screen = terminal.shows("It was not kept.");
    for word in ["401", "Check the key", "'iothubowner'"] {
        assert!(screen.contains(word), "no {word} in\n{screen}");
    }
    // No such hub.
    let nowhere = "HostName=nowhere.invalid;SharedAccessKeyName=service;SharedAccessKey=a2V5";
    terminal.press(&format!("{nowhere}\n"));
    terminal.shows("there may be no such hub");
    assert!(!terminal.raw().contains("c2VjcmV0"), "{}", terminal.raw());
    // Marked as a paste, and in quotes.
    terminal.paste(&format!("\"{}\"", emulator.service()));
    terminal.press("\n");
    terminal.shows("Keep it?");
    terminal.press("3\n");
    terminal.shows("sim-0001");
    quits(&mut terminal);
    assert_eq!(std::fs::read_dir(folder(&home)).unwrap().count(), 0);
}

#[test]
fn enter_alone_goes_back() {
    let mut terminal = asked(&bare_home(None), 40, 100);
    terminal.press("\n");
    terminal.until("the question again", |screen| {
        screen.matches("Which? [1/2/3/q]").count() == 2
    });
    assert_eq!(terminal.modes(), terminal.before);
    terminal.press("q\n");
    assert_eq!(terminal.ends(), 2);
}

/// Whatever ends it, the terminal shows what is typed again.
#[rstest::rstest]
#[case("\x03", None, 130)]
#[case("\x1c", None, 131)]
// The first one ends a line that is begun, the second one all.
#[case("\x04\x04", None, 2)]
#[case("", Some(Signal::TERM), 143)]
#[case("", Some(Signal::HUP), 129)]
#[case("", Some(Signal::QUIT), 131)]
fn the_terminal_is_as_before_on_every_way_out(
    #[case] keys: &str,
    #[case] signal: Option<Signal>,
    #[case] code: u32,
) {
    let mut terminal = asked(&bare_home(None), 24, 80);
    assert_ne!(terminal.modes(), terminal.before);
    match signal {
        // What is typed may come to the terminal after a signal that is sent.
        Some(signal) => terminal.signal(signal),
        None => {
            terminal.press(&format!("HostName=half-typed-secret{keys}"));
        }
    }
    assert_eq!(terminal.ends(), code);
    assert_eq!(terminal.modes(), terminal.before);
    assert!(!terminal.raw().contains("half-typed"), "{}", terminal.raw());
}

/// While it is stopped the terminal is the shell's, as it was; then it asks again.
#[test]
fn a_stop_gives_the_terminal_back_until_it_goes_on() {
    let mut terminal = asked(&bare_home(None), 24, 80);
    let hidden = terminal.modes();
    terminal.signal(Signal::TSTP);
    let stopped = || super::support::terminal::stat(terminal.pid()).0 == "T";
    while !stopped() {
        std::thread::yield_now();
    }
    assert_eq!(terminal.modes(), terminal.before);
    terminal.signal(Signal::CONT);
    terminal.until("the question again", |screen| {
        screen.matches("Connection string:").count() == 2
    });
    assert_eq!(terminal.modes(), hidden);
    terminal.press("\x03");
    assert_eq!(terminal.ends(), 130);
    assert_eq!(terminal.modes(), terminal.before);
}

#[test]
fn a_configuration_file_is_written_once() {
    let home = bare_home(None);
    let mut terminal = Terminal::start(&home, &[], 30, 160);
    terminal.shows("Which? [1/2/3/q]");
    terminal.press("3\n");
    assert_eq!(terminal.ends(), 0);
    let config = folder(&home).join("config.toml");
    let screen = terminal.screen();
    assert!(screen.contains(config.to_str().unwrap()), "{screen}");
    assert!(screen.contains("otadeck config check"), "{screen}");
    assert_eq!(mode(&config), 0o600);
    let example = include_str!("../../config.example.toml");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), example);
    // One without a hub is left as it is.
    std::fs::write(&config, "# mine\n").unwrap();
    let mut terminal = Terminal::start(&home, &[], 30, 160);
    terminal.shows("Which? [1/2/3/q]");
    terminal.press("3\n");
    terminal.shows("left as it is");
    terminal.press("q\n");
    assert_eq!(terminal.ends(), 2);
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "# mine\n");
}
