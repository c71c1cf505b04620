//! A hub and devices that say the worst they can: nothing of it reaches screen,
//! log or NDJSON as it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use otadeck::domain::clean::is_dangerous;
use serde_json::{Value, json};

use super::support::program::Home;
use super::support::server::{Reaction, Request, Server};
use super::support::terminal::Terminal;

/// What a device may put into a text to take over a terminal.
const EVIL: &str = "\u{1b}]0;pwned\u{7}\u{1b}[2J\u{9b}31m\u{202e}drowssap\u{7f}\r\nname: x";

fn stamp(second: u8) -> Value {
    json!({ "$lastUpdated": format!("2026-01-01T12:00:{second:02}.1234567Z") })
}

/// The twin of a device whose status is `status`, stamped at `second`.
fn twin(status: &str, second: u8) -> Value {
    let mut metadata = stamp(second);
    for key in ["firmwareStatus", "firmwareVersion", EVIL] {
        metadata[key] = stamp(second);
    }
    json!({"deviceId": "evil", "etag": "AAAAAAAAAAE=", "version": 3, "status": "enabled",
        "statusReason": EVIL, "connectionState": EVIL, "lastActivityTime": EVIL,
        "tags": {"site": EVIL},
        "properties": {
            "desired": {"$metadata": stamp(0), "$version": 1},
            "reported": {"firmwareStatus": status, "firmwareVersion": EVIL,
                EVIL: EVIL, "lastFirmwareUpdate": EVIL, "firmwareError": EVIL,
                "$metadata": metadata, "$version": second}}})
}

/// A hub whose one device reports a megabyte, then an escape sequence, then that
/// it failed.
async fn hub() -> Server {
    let invoked = Arc::new(AtomicBool::new(false));
    let reads = Arc::new(std::sync::atomic::AtomicU8::new(0));
    Server::start(move |request: Request| {
        std::future::ready(if request.is_method_call() {
            invoked.store(true, Ordering::SeqCst);
            Reaction::json(200, json!({"status": 200, "payload": {"Response": EVIL}}))
        } else if request.path.contains("/devices/query") {
            let row = json!([{"deviceId": "evil", "connectionState": EVIL, "status0": EVIL,
                "version0": "y".repeat(1 << 20), "ended0": EVIL}, {"deviceId": EVIL}]);
            Reaction::json(200, row)
        } else if !invoked.load(Ordering::SeqCst) {
            Reaction::json(200, twin("standBy", 1))
        } else {
            match reads.fetch_add(1, Ordering::SeqCst) {
                0 => Reaction::json(200, twin(&"x".repeat(1 << 20), 2)),
                1 => Reaction::json(200, twin(EVIL, 3)),
                2 => Reaction::json(200, twin("downloading", 4)),
                _ => Reaction::json(200, twin("failed", 5)),
            }
        })
    })
    .await
}

fn home(hub: &Server) -> Home {
    Home::new()
        .env("OTADECK_CONNECTION_STRING", &hub.connection_string())
        .env("OTADECK_CA_FILE", hub.ca.path().to_str().unwrap())
        .env("OTADECK_LOG", "debug")
}

/// Nothing but plain text and line breaks.
fn assert_harmless(what: &str, text: &str) {
    let bad = text.chars().find(|c| is_dangerous(*c) && *c != '\n');
    assert_eq!(bad, None, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ndjson_lines_and_log_stay_harmless() {
    for json in [true, false] {
        let hub = hub().await;
        let home = home(&hub);
        let mut args = vec![
            "update",
            "evil",
            "--uri",
            "https://x.test/fw?sig=secretsecret",
        ];
        args.extend(json.then_some("--json"));
        let ended = home.run(&args);
        assert_eq!(ended.code, 3, "{}", ended.stderr);
        assert_harmless("stdout", &ended.stdout);
        assert_harmless("stderr", &ended.stderr);
        assert!(
            ended.stdout.len() < 64 << 10,
            "{} bytes",
            ended.stdout.len()
        );
        let log = std::fs::read_to_string(home.state().join("otadeck.log")).unwrap();
        assert_harmless("log", &log);
        let journal = std::fs::read(home.state().join("journal.db")).unwrap();
        for (what, bytes) in [
            ("stdout", ended.stdout.as_bytes()),
            ("log", log.as_bytes()),
            ("journal", &journal),
        ] {
            let found = bytes.windows(12).any(|w| w == b"secretsecret");
            assert!(!found, "the signature is in the {what}");
        }
        if json {
            let events = ended.events();
            let phases = events.iter().filter(|e| e["event"] == "update.phase");
            let values: Vec<String> = phases.map(|e| e["evidence"]["value"].to_string()).collect();
            assert!(
                values[0].contains("(1048576 characters)"),
                "{}",
                values[0].len()
            );
            let evil = values
                .iter()
                .any(|v| serde_json::from_str::<String>(v).unwrap() == EVIL);
            assert!(evil, "the data itself is kept: {values:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_stays_harmless() {
    let hub = hub().await;
    for args in [&["devices"][..], &["devices", "--json"]] {
        let ended = home(&hub).run(args);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_harmless("stdout", &ended.stdout);
        assert!(ended.stdout.len() < 8 << 10, "{} bytes", ended.stdout.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_in_lines_stays_harmless() {
    let hub = hub().await;
    let home = home(&hub);
    let order = "update evil https://x.test/fw?sig=secretsecret";
    let lines = format!("devices\ndevice evil\n{order}\nyes\n");
    let ended = home.run_with_stdin(&[], &lines);
    assert_eq!(ended.code, 3, "{ended:?}");
    let again = home.run_with_stdin(&[], "device evil\nupdates\nhistory\n\u{1b}[2Jx\u{202e}\n");
    for (what, text) in [
        ("stdout", &ended.stdout),
        ("stderr", &ended.stderr),
        ("stdout", &again.stdout),
        ("stderr", &again.stderr),
    ] {
        assert_harmless(what, text);
        assert!(!text.contains("secretsecret"), "{text}");
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest.unwrap_or_default() <= 1_001, "{longest:?}");
        // Its words cannot begin a line of their own.
        assert!(
            !text.lines().any(|line| line.starts_with("name: x")),
            "{text}"
        );
    }
    assert!(ended.stdout.contains("\nfailed: evil reports"), "{ended:?}");
    assert!(
        again.stderr.contains("no command \"\\u{1b}[2Jx\\u{202e}\""),
        "{again:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screen_stays_harmless() {
    let hub = hub().await;
    let home = home(&hub);
    let mut terminal = Terminal::start(&home, &[], 40, 120);
    terminal.shows("evil");
    terminal.press("\r");
    terminal.shows("ackage");
    terminal
        .press("https://x.test/fw?sig=secretsecret")
        .press("\r");
    terminal.shows("firmwareUpdate");
    terminal.press("y");
    let screen = terminal.shows("failed: ");
    assert!(
        screen.contains("u{1b}"),
        "what was cleaned stays visible:\n{screen}"
    );
    let raw = terminal.raw();
    for bad in [
        "\u{1b}]0;pwned",
        "\u{202e}",
        "\u{9b}",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ] {
        assert!(!raw.contains(bad), "{bad:?} reached the terminal");
    }
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
}
