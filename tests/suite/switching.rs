//! From one hub to another, by keys, in one terminal.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use super::support::program::{Emulator, Home};
use super::support::terminal::Terminal;

const URI: &str = "https://example.test/fw-1.5.0.bin";
/// What takes the terminal; each session that took it anew would say it once more.
const TAKES: &str = "\u{1b}[?1049h";

/// `[hub.NAME]` of an emulator, whose secret is in a file.
fn hub(home: &Home, name: &str, emulator: &Emulator, more: &str) -> String {
    let secret = home.folder.path().join(format!("secret-of-{name}"));
    let mut file = File::create(&secret).unwrap();
    write!(file, "{}", emulator.service()).unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
        .unwrap();
    format!(
        "[hub.{name}]\nsecret_file = {:?}\nca_file = {:?}\n{more}\n",
        secret.display().to_string(),
        emulator.ca_file()
    )
}

/// The program may run what the configuration names: it is nobody else's to write.
fn only_mine(home: &Home) {
    let file = home.folder.path().join(".config/otadeck/config.toml");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// What was written down, by hub: device and kind of each event.
fn written(home: &Home) -> Vec<(String, String, String)> {
    let file = home.state().join("journal.db");
    let journal = rusqlite::Connection::open(file).unwrap();
    let mut rows = journal
        .prepare("SELECT hub, coalesce(device_id, ''), kind FROM event ORDER BY id")
        .unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

/// Asks for an update of the selected device of a production hub, up to the name.
fn ask(terminal: &mut Terminal) {
    terminal.press("\r").shows("ackage");
    terminal.press(URI).shows("fw-1.5.0.bin");
    terminal.press("\r").shows("enter to send");
}

#[test]
fn there_and_back_with_an_update_in_flight() {
    let plant = Emulator::start(&["--identities", "2"]);
    let device = plant.run_device(0, &["--scenario", "quick"]);
    let lab = Emulator::start(&["--identities", "3"]);
    let home = Home::new();
    let production = "environment = \"production\"";
    home.config(&format!(
        "default_hub = \"plant\"\n{}{}[hub.broken]\nsecret_env = \"OTADECK_TEST_NOT_SET\"\n",
        hub(&home, "plant", &plant, production),
        hub(&home, "lab", &lab, production),
    ));
    let mut terminal = Terminal::start(&home, &[], 24, 80);
    terminal.shows("idle-0002");
    terminal.press(":sort device down\r").shows("device▼");
    // The second is marked, the first gets an update.
    terminal.press(" ").shows("1 marked");
    ask(&mut terminal);
    terminal.press("plant\r").shows("▸ downloading");
    // It stands still until somebody has come back to see its end.
    device.signal(Signal::STOP);
    let screen = terminal.press("\u{1b}").shows("Devices 2");
    assert!(screen.contains("1 in flight"), "{screen}");

    // A hub that cannot be had leaves all as it was.
    terminal.press(":hub broken\r");
    let screen = terminal.shows("goes there");
    assert!(
        screen.contains("1 update is in flight on plant."),
        "{screen}"
    );
    terminal.press("y").shows("No way to broken");
    let screen = terminal.shows("OTADECK_TEST_NOT_SET is not set");
    assert!(
        screen.contains("1 marked") && screen.contains("1 in flight"),
        "{screen}"
    );
    assert!(screen.contains(" plant "), "{screen}");

    // No is no.
    terminal.press(":hub lab\r").shows("goes there");
    terminal
        .press("n")
        .until("table", |s| !s.contains("goes there"));

    // What was typed ahead of the other hub is forgotten.
    terminal.press("/idle\r").shows("2 shown");
    terminal.press(":hub lab\r").shows("goes there");
    terminal.press(&format!("yq\r{URI}\rplant\rlab\r"));
    let screen = terminal.until("the lab", |s| s.contains("idle-0003"));
    assert!(screen.contains("lab · S1?"), "{screen}");
    let screen = terminal.shows("online");
    for old in ["marked", "shown", "in flight", "ackage", "plant", "to send"] {
        assert!(!screen.contains(old), "{old}:\n{screen}");
    }
    assert!(
        screen.contains("device▼"),
        "the order is carried over:\n{screen}"
    );

    // What confirms production there confirms nothing here.
    ask(&mut terminal);
    terminal.press("plant\r").shows("that is not");
    terminal
        .press("\u{1b}")
        .until("field", |s| !s.contains("that is not"));
    terminal.press("\u{1b}").shows("Devices 3");
    terminal.press(":\u{1b}[A").shows(":hub lab");
    terminal
        .press("\u{1b}")
        .until("table", |s| !s.contains(":hub"));

    // Back again; the update is watched on to its end, and nothing was sent twice.
    terminal.press(":hub pl\t\r");
    terminal.until("the plant", |s| {
        s.contains("plant · S1?") && s.contains("online")
    });
    device.signal(Signal::CONT);
    terminal
        .press(":device idle-0001\r")
        .press("\t")
        .shows("completed: ");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(terminal.traces(), (false, false, false));
    assert_eq!(terminal.modes(), terminal.before);
    let raw = terminal.raw();
    assert_eq!(
        raw.matches(TAKES).count(),
        1,
        "it was never given back in between"
    );
    let written = written(&home);
    let sent: Vec<_> = written
        .iter()
        .filter(|(.., kind)| kind == "update.invoked")
        .collect();
    assert_eq!(sent.len(), 1, "{written:?}");
    let hubs: std::collections::BTreeSet<_> = written.iter().map(|(hub, ..)| hub).collect();
    assert_eq!(
        hubs.len(),
        1,
        "nothing happened on the other one: {written:?}"
    );
    assert!(written.iter().all(|(_, device, _)| device == "idle-0001"));
}

#[test]
fn the_demo_and_the_hub_of_the_environment_can_be_come_back_to() {
    let emulator = Emulator::start(&["--devices", "2"]);
    let home = Home::on(&emulator);
    let mut terminal = Terminal::start(&home, &["demo", "--devices", "3"], 24, 80);
    terminal.shows("sim-0003");
    terminal.press(":hub\r");
    let screen = terminal.until("hubs", |s| s.contains("Hubs") && s.contains("localhost"));
    assert!(screen.contains("● demo"), "{screen}");
    let port = emulator.service();
    let port = port.split([':', ';']).nth(1).unwrap().to_owned();
    terminal.press("j\r");
    terminal.until("the other hub", |s| {
        s.contains("localhost · S1?") && s.contains("sim-0002")
    });
    assert!(!terminal.screen().contains("sim-0003"));
    terminal.press(":hub\r");
    terminal.until("hubs", |s| s.contains("● localhost") && s.contains(&port));
    terminal.press("k\r");
    terminal.until("the demo", |s| {
        s.contains("demo · S1?") && s.contains("sim-0003")
    });
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(terminal.traces(), (false, false, false));
}

/// A secret that takes its time holds up neither the screen nor the operator.
#[test]
fn a_hub_that_is_waited_for_can_be_called_off() {
    let plant = Emulator::start(&["--devices", "1"]);
    let home = Home::new();
    let slow = "[hub.slow]\nsecret_command = [\"sleep\", \"600\"]\n";
    let plant = hub(&home, "plant", &plant, "");
    home.config(&format!("default_hub = \"plant\"\n{plant}{slow}"));
    only_mine(&home);
    let mut terminal = Terminal::start(&home, &[], 24, 80);
    terminal.shows("sim-0001");
    terminal.press(":hub slow\r").shows("connecting to slow…");
    // The screen is alive.
    terminal.resize(12, 40);
    terminal.until("small screen", |s| {
        s.contains("connecting to slow…") && s.lines().all(|line| line.chars().count() <= 40)
    });
    terminal.press("\u{1b}").shows("called off");
    terminal.shows("sim-0001");
    // Also while it is waited for, a signal ends the program.
    terminal.press(":hub slow\r").shows("connecting to slow…");
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends(), 143);
    assert_eq!(terminal.traces(), (false, false, false));
    assert_eq!(terminal.modes(), terminal.before);
}

/// The hub narrows the list; what it refuses changes nothing.
#[test]
fn a_query_narrows_the_list_on_the_hub() {
    let emulator = Emulator::start(&["--devices", "3"]);
    let home = Home::on(&emulator);
    let mut terminal = Terminal::start(&home, &[], 24, 80);
    terminal.shows("sim-0003");
    terminal.press(" ").shows("1 marked");
    terminal.press(":query deviceId = 'sim-0002'\r");
    let screen = terminal.shows("Devices 1  where deviceId = 'sim-0002'");
    assert!(!screen.contains("sim-0003"), "{screen}");
    terminal.shows("sim-0001 is not listed any more");
    terminal
        .press(":query deviceId ==\r")
        .shows("the hub refused the query");
    terminal.shows("Devices 1  where deviceId = 'sim-0002'");
    terminal.press(":query select * from devices\r");
    terminal.shows("Devices 3  select * from devices");
    terminal.press(":query\r").until("all", |s| {
        s.contains("Devices 3") && !s.contains("select") && !s.contains("asking")
    });
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
}
