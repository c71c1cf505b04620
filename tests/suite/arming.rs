//! Production in the real binary: armed by its name, for a while, in sight; and what
//! is copied goes through the terminal, byte for byte.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use super::support::program::{Emulator, Home, PATIENCE, binary};
use super::support::terminal::Terminal;

const URI: &str = "https://example.test/fw-1.5.0.bin";

/// A home in which `plant` is a production hub.
fn production(emulator: &Emulator, more: &str) -> Home {
    let home = Home::on(emulator);
    let secret = home.folder.path().join("secret");
    std::fs::write(&secret, emulator.service()).unwrap();
    let owners = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&secret, owners).unwrap();
    home.config(&format!(
        "[hub.plant]\nsecret_file = {:?}\nca_file = {:?}\nenvironment = \"production\"\n{more}",
        secret.display().to_string(),
        emulator.ca_file()
    ));
    home.env("OTADECK_CONNECTION_STRING", "")
}

fn console(home: &Home) -> Terminal {
    let terminal = Terminal::start(home, &[], 24, 80);
    let screen = terminal.shows("sim-0001");
    assert!(screen.contains("PRODUCTION"), "{screen}");
    assert!(!screen.contains("armed"), "{screen}");
    terminal
}

fn arm(terminal: &mut Terminal) {
    terminal.press(":arm\r").shows("Arm production?");
    terminal.press("plant\r").shows("armed 5 min");
}

/// The question before an update of the first device.
fn ask(terminal: &mut Terminal) {
    terminal.press("\r").shows("ackage");
    terminal.press(URI).shows("fw-1.5.0.bin");
    terminal.press("\r").shows("Send this update?");
}

/// Waits for bytes that the terminal gets.
fn sends(terminal: &Terminal, bytes: &str) {
    let began = Instant::now();
    while !terminal.raw().contains(bytes) {
        assert!(began.elapsed() < PATIENCE, "{bytes:?} was not sent");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn armed_by_its_name_an_update_needs_a_y_alone() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = production(&emulator, "");
    let mut terminal = console(&home);
    // Another name arms nothing.
    terminal.press(":arm\r").shows("Arm production?");
    terminal.press("plnt\r").shows("that is not the hub's name");
    terminal.press("\x15plant\r").shows("armed 5 min");
    ask(&mut terminal);
    let screen = terminal.shows("sends it");
    assert!(!screen.contains("hub ›"), "{screen}");
    terminal.press("y").shows("completed: ");
    // Nor does an earlier line.
    terminal.press(":disarm\r");
    terminal.until("it disarmed", |screen| !screen.contains("armed 5 min"));
    terminal.press(":\x1b[A\x1b[A").shows(":arm");
    terminal.press("\r").shows("Arm production?");
    terminal.press("\r").shows("that is not the hub's name");
    terminal.press("\x1b");
    terminal.until("no question", |screen| !screen.contains("Arm production?"));
    assert!(
        !terminal.screen().contains("armed 5"),
        "{}",
        terminal.screen()
    );
}

/// The name that an order asks for arms as well, for the next one.
#[test]
fn not_armed_an_order_asks_for_the_name_and_that_arms() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = production(&emulator, "arm_for = \"30m\"\n");
    let mut terminal = console(&home);
    ask(&mut terminal);
    terminal.shows("type plant and enter to send");
    terminal.press("y\r").shows("that is not the hub's name");
    terminal.press("\x15plant\r").shows("armed 30 min");
    terminal.shows("completed: ");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
    let told = home.run(&["history", "--json"]);
    assert_eq!(
        told.names()
            .iter()
            .filter(|n| *n == "update.invoked")
            .count(),
        1
    );
    // Leaving has disarmed it.
    let mut again = console(&home);
    ask(&mut again);
    again.shows("type plant and enter to send");
}

#[test]
fn a_stop_disarms() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = production(&emulator, "");
    let home = home.env("PS1", "shell> ");
    let args = ["--norc", "--noprofile", "--noediting", "-i"];
    let mut shell = Terminal::start_program("/bin/bash".as_ref(), &home, &args, 24, 80);
    shell.shows("shell>");
    shell.press(&format!("{}\r", binary().display()));
    shell.shows("sim-0001");
    arm(&mut shell);
    ask(&mut shell);
    shell.shows("sends it");
    shell.press("\x1a").shows("Stopped");
    shell.press("fg\r").shows("type plant and enter to send");
    assert!(
        !shell.screen().contains("armed 5 min"),
        "{}",
        shell.screen()
    );
    // A y is a letter of a name now.
    shell.press("y\r").shows("that is not the hub's name");
}

/// What `printf sim-0001 | base64` says, and the question's command.
#[rstest::rstest]
#[case("", "", "\x1b]52;c;c2ltLTAwMDE=\x07")]
#[case(
    "/tmp/tmux-0/default,1,0",
    "",
    "\x1bPtmux;\x1b\x1b]52;c;c2ltLTAwMDE=\x07\x1b\\"
)]
#[case("", "4711.pts-0.host", "\x1bP\x1b]52;c;c2ltLTAwMDE=\x07\x1b\\")]
fn an_id_is_copied_through_the_terminal(
    #[case] tmux: &str,
    #[case] sty: &str,
    #[case] bytes: &str,
) {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = production(&emulator, "").env("TMUX", tmux).env("STY", sty);
    let mut terminal = console(&home);
    terminal.press("c").shows("Copied the id of sim-0001");
    sends(&terminal, bytes);
    assert_eq!(terminal.raw().matches("]52;").count(), 1);
    // The bytes stand between two frames, never inside one.
    let raw = terminal.raw();
    let before = &raw[..raw.find(bytes).unwrap()];
    assert_eq!(
        before.matches("\x1b[?2026h").count(),
        before.matches("\x1b[?2026l").count()
    );
    terminal.press("j");
    terminal.until("the keys again", |screen| !screen.contains("Copied"));
}

/// What a question shows and copies does the same without the console.
#[test]
fn the_command_that_is_copied_does_the_same() {
    use base64::Engine as _;
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = production(&emulator, "");
    let mut terminal = console(&home);
    arm(&mut terminal);
    ask(&mut terminal);
    terminal.shows("c copies it");
    terminal.press("c").shows("Copied the command for sim-0001");
    let command = format!("otadeck update sim-0001 --hub plant --uri {URI} --confirm plant");
    let base64 = base64::engine::general_purpose::STANDARD.encode(&command);
    sends(&terminal, &format!("\x1b]52;c;{base64}\x07"));
    // The question is open still, and n goes back.
    terminal.press("n");
    terminal.until("no question", |screen| {
        !screen.contains("Send this update?")
    });
    terminal.press("\x03");
    assert_eq!(terminal.ends(), 0);
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let ended = home.run(&words);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("completed: sim-0001"), "{ended:?}");
}

#[test]
fn what_is_copied_to_a_file_is_new_and_its_owners() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = production(&emulator, "");
    let mut terminal = console(&home);
    terminal.press("\t").shows("reported properties");
    terminal
        .press(":copy twin twin.json\r")
        .shows("Copied the twin of sim-0001");
    let path = home.folder.path().join("twin.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let twin: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(twin["reported"].is_object(), "{text}");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    terminal
        .press(":copy id twin.json\r")
        .shows("is there already");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    assert!(
        !terminal.raw().contains("]52;"),
        "nothing for the clipboard"
    );
}
