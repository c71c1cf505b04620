//! `otadeck history` and the history of the console, on a journal that real runs
//! have made.

use serde_json::Value;

use super::support::program::{Emulator, Ended, Home, wait};
use super::support::terminal::Terminal;

const URI: &str = "https://example.test/fw-1.5.0.bin?sig=c2VjcmV0";

/// A home whose journal holds one update that completed, and what it printed;
/// and, if wished, one that is open.
fn past(emulator: &Emulator, open: bool) -> (Home, Ended) {
    let home = Home::on(emulator);
    let args = [
        "update", "sim-0001", "--uri", URI, "--reason", "OPS-4711", "--json",
    ];
    let done = home.run(&args);
    assert_eq!(done.code, 0, "{done:?}");
    if open {
        let args = ["update", "sim-0002", "--uri", URI, "--timeout", "1s"];
        let ended = home.run(&args);
        assert_eq!(ended.code, 6, "{ended:?}");
    }
    (home, done)
}

/// Without a hub and without a connection string.
fn history(home: &Home, args: &[&str]) -> Ended {
    let mut all = vec!["history"];
    all.extend(args);
    let mut command = home.command(&all);
    command.env_remove("OTADECK_CONNECTION_STRING");
    wait(command.spawn().unwrap(), &all)
}

fn id_of(ended: &Ended) -> String {
    let events = ended.events();
    let id = events.iter().find_map(|event| event["updateId"].as_str());
    id.unwrap().to_owned()
}

#[test]
fn a_journal_is_told_in_every_form_when_the_hub_is_gone() {
    let emulator = Emulator::start(&["--devices", "2"]);
    let (home, done) = past(&emulator, true);
    drop(emulator);
    let id = id_of(&done);

    let list = history(&home, &[]);
    assert_eq!((list.code, list.stderr.as_str()), (0, ""), "{list:?}");
    let lines: Vec<&str> = list.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{list:?}");
    for word in [
        "sim-0001",
        "completed",
        "fw-1.5.0.bin",
        "OPS-4711",
        "sudo by ana",
        &id[..13],
    ] {
        assert!(lines[1].contains(word), "{word}: {}", lines[1]);
    }
    assert!(
        lines[2].contains("sim-0002") && lines[2].contains("so far"),
        "the newest last"
    );

    let one = history(&home, &[&id]);
    assert_eq!(one.code, 0, "{one:?}");
    assert!(one.stdout.starts_with("completed: "), "{}", one.stdout);
    for word in [
        "OPS-4711",
        "baseline  standBy",
        "phases    downloading ",
        "evidence  firmwareStatus = \"completed\"",
        "hub time 20",
        "intended ",
        "accepted ",
    ] {
        assert!(one.stdout.contains(word), "{word}: {}", one.stdout);
    }

    let csv = history(&home, &["--csv"]);
    assert_eq!(csv.stdout.matches("\r\n").count(), 3, "{csv:?}");
    assert!(
        csv.stdout
            .starts_with("update,decided,ended,hub,device,state,outcome,")
    );
    assert!(csv.stdout.contains(&format!("{id},20")));

    let note = history(&home, &["--markdown"]);
    let order = [
        "## Still open: 1",
        "`sim-0002`",
        "watch --resume",
        "## Failed, rejected or not delivered: 0",
        "## Completed: 1",
        "`sim-0001`",
    ];
    let places: Vec<_> = order.iter().map(|word| note.stdout.find(word)).collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{places:?} {}",
        note.stdout
    );

    for ended in [&list, &one, &csv, &note] {
        assert!(
            !ended.stdout.contains("c2VjcmV0"),
            "a signature: {}",
            ended.stdout
        );
    }
}

/// The contract: the same lines as were printed then, to the last character.
#[test]
fn json_is_what_was_printed_then() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let (home, done) = past(&emulator, false);
    let of_the_update = |line: &&str| line.contains("\"updateId\"");
    let printed: Vec<&str> = done.stdout.lines().filter(of_the_update).collect();
    assert!(printed.len() > 5);
    for args in [
        &["--json", "--device", "sim-0001"][..],
        &[&id_of(&done)[..20], "--json"],
    ] {
        let told = history(&home, args);
        let told: Vec<&str> = told.stdout.lines().collect();
        assert_eq!(told, printed);
    }
}

#[test]
fn filters_and_mistakes() {
    let emulator = Emulator::start(&["--devices", "2"]);
    let (home, _) = past(&emulator, true);
    let devices = |args: &[&str]| -> Vec<String> {
        let ended = history(&home, &[args, &["--json"]].concat());
        assert_eq!(ended.code, 0, "{args:?} {ended:?}");
        let first = |e: &Value| e["event"] == "update.intended";
        let events = ended.events();
        let events = events.iter().filter(|e| first(e));
        events
            .map(|e| e["deviceId"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(devices(&["--outcome", "completed,failed"]), ["sim-0001"]);
    assert_eq!(devices(&["--outcome", "OPEN"]), ["sim-0002"]);
    assert_eq!(devices(&["--limit", "1"]), ["sim-0002"]);
    assert_eq!(
        devices(&["--since", "1h", "--device", "sim-0001", "sim-0002"]).len(),
        2
    );
    assert_eq!(devices(&["--hub", "localhost"]).len(), 2);
    assert!(devices(&["--until", "2020-01-01"]).is_empty());
    // A hub of the configuration, by what its connection string says.
    std::fs::write(home.state().join("key"), emulator.service()).unwrap();
    let key = home.state().join("key");
    let rights = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, rights).unwrap();
    home.config(&format!("[hub.bench]\nsecret_file = {key:?}"));
    assert_eq!(devices(&["--hub", "bench"]).len(), 2);

    let nothing = history(&home, &["--device", "nobody"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, ""));
    assert!(nothing.stderr.contains("no such update"), "{nothing:?}");
    for (args, words) in [
        (&["--hub", "elsewhere"][..], "it has: localhost"),
        (&["ffff"], "no update of the journal"),
        (&["0"], "several updates"),
        (&["--since", "soon"], "no time"),
        (&["--outcome", "odd"], "notDelivered"),
        (&["--no-journal"], "--no-journal keeps none"),
        (&["--json", "--csv"], "cannot be used with"),
        (&["--replay"], "UPDATE"),
        (&["0", "--limit", "1"], "cannot be used with"),
    ] {
        let ended = history(&home, args);
        assert_eq!(ended.code, 2, "{args:?} {ended:?}");
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn without_a_journal_there_is_nothing_to_tell() {
    let home = Home::new();
    for args in [&[][..], &["--json"], &["--csv"], &["--markdown"]] {
        let ended = history(&home, args);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (0, ""),
            "{args:?} {ended:?}"
        );
        assert!(ended.stderr.contains("no journal yet"), "{}", ended.stderr);
    }
    assert!(!home.state().exists(), "reading makes nothing");
    assert_eq!(history(&home, &["0199"]).code, 2);
}

#[test]
fn a_damaged_event_is_told_and_the_rest_is_shown() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let (home, done) = past(&emulator, false);
    let raw = rusqlite::Connection::open(home.state().join("journal.db")).unwrap();
    raw.execute_batch(
        "DROP TRIGGER event_is_not_changed;
         UPDATE event SET body = '{\"schema\":1' WHERE kind = 'update.accepted'",
    )
    .unwrap();
    let told = history(&home, &["--json"]);
    assert_eq!(told.code, 1, "what is missing is an exit code: {told:?}");
    assert!(
        told.stderr.contains("update.accepted of sim-0001"),
        "{}",
        told.stderr
    );
    let names = told.names();
    assert!(names.contains(&"update.verdict".to_owned()), "{names:?}");
    assert!(!names.contains(&"update.accepted".to_owned()));
    let one = history(&home, &[&id_of(&done)]);
    assert!(one.stdout.starts_with("completed: "), "{one:?}");
}

/// By keys alone: the history, an update of it, its replay, back and out.
#[test]
fn the_console_shows_the_past_and_plays_it_again() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let (home, done) = past(&emulator, false);
    let mut terminal = Terminal::start(&home, &[], 24, 80);
    terminal.shows("sim-0001");
    terminal.press(":history\r");
    terminal.shows("fw-1.5.0.bin");
    terminal.press("\r");
    let screen = terminal.shows("recorded, not live");
    assert!(screen.contains("completed: "), "{screen}");
    terminal.press("p");
    terminal.shows("REPLAY");
    let screen = terminal.until("the end", |s| {
        s.contains("completed: ") && s.contains("ended")
    });
    assert!(screen.contains("not live"), "{screen}");
    // Back by one event, and it is open again.
    terminal.press("\x1b[D");
    terminal.until("the event before", |s| {
        s.contains("paused") && !s.contains("completed: ")
    });
    terminal.press("\x1b");
    terminal.shows("recorded, not live");
    terminal.press("\x1b");
    terminal.shows("outcome");
    terminal.press("\x1b");
    terminal.shows("firmware");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(terminal.traces(), (false, false, false));
    drop(emulator);

    let args = ["history", &id_of(&done), "--replay", "--speed", "100"];
    let mut terminal = Terminal::start(&home, &args, 12, 40);
    let screen = terminal.until("the end", |s| {
        s.contains("completed: ") && s.contains("ended")
    });
    assert!(
        screen.contains("REPLAY") && screen.contains("not live"),
        "{screen}"
    );
    terminal.press("\x1b");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(terminal.traces(), (false, false, false));
    assert_eq!(terminal.modes(), terminal.before);
    let ended = history(&home, &args[1..]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("terminal"), "{}", ended.stderr);
}
