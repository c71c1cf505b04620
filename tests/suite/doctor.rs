//! `otadeck doctor`, and `:doctor` and `:log` in the console: what is wrong is found
//! and named, by the exit code too, and nothing is left behind.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::Value;

use super::journal::{Bench, URI};
use super::support::program::{Emulator, Ended, Home};
use super::support::server::{Reaction, Request, Server};
use super::support::terminal::Terminal;
use super::support::with_port;

/// All checks, in their order.
const CHECKS: [&str; 16] = [
    "version",
    "terminal",
    "configuration",
    "secrets",
    "hub",
    "proxy",
    "name",
    "tcp",
    "tls",
    "query",
    "rights",
    "clock",
    "state",
    "journal",
    "space",
    "log",
];

/// A line of stdout for each check.
struct Told(Vec<Value>);

impl Told {
    /// Runs the doctor in both forms, which must agree, and give no secret away.
    fn by(home: &Home, code: i32) -> Self {
        let plain = home.run(&["doctor"]);
        let ended = home.run(&["doctor", "--json"]);
        for ended in [&plain, &ended] {
            assert_eq!(ended.code, code, "{ended:?}");
            holds_no_secret(home, ended);
        }
        let events = ended.events();
        for event in &events {
            let keys: Vec<&str> = event
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            let wanted = [
                "schema", "time", "event", "check", "result", "found", "hint",
            ];
            assert_eq!(keys, wanted, "{event}");
            assert_eq!(
                (&event["schema"], &event["event"]),
                (&1.into(), &"doctor.check".into())
            );
            let sign = match event["result"].as_str().unwrap() {
                "ok" => "✓",
                "warning" => "!",
                "failed" => "✗",
                other => panic!("{other}"),
            };
            let begin = format!("{sign} {:14} ", event["check"].as_str().unwrap());
            let told = plain.stdout.lines().any(|line| line.starts_with(&begin));
            assert!(told, "no {begin:?} in {}", plain.stdout);
        }
        let told = Self(events);
        assert_eq!(told.names(|_| true), CHECKS);
        told
    }

    fn names(&self, wanted: impl Fn(&Value) -> bool) -> Vec<&str> {
        let wanted = self.0.iter().filter(|event| wanted(event));
        wanted
            .map(|event| event["check"].as_str().unwrap())
            .collect()
    }

    fn failed(&self) -> Vec<&str> {
        self.names(|event| event["result"] == "failed")
    }

    fn skipped(&self) -> Vec<&str> {
        self.names(|event| event["found"].as_str().unwrap().starts_with("skipped: "))
    }

    /// Result, and what is said.
    fn of(&self, check: &str) -> (&str, String) {
        let event = self.0.iter().find(|event| event["check"] == check).unwrap();
        let text = |key: &str| event[key].as_str().unwrap();
        (
            text("result"),
            format!("{} {}", text("found"), text("hint")),
        )
    }

    fn says(&self, check: &str, result: &str, words: &str) {
        let (found, said) = self.of(check);
        assert!(
            found == result && said.contains(words),
            "{check}: {found} {said}"
        );
    }
}

/// No key of the environment's connection string is anywhere.
fn holds_no_secret(home: &Home, ended: &Ended) {
    let command = home.command(&[]);
    let secrets = command.get_envs().filter_map(|(_, value)| value?.to_str());
    let keys = secrets.filter_map(|value| Some(value.split_once("SharedAccessKey=")?.1));
    for key in keys {
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!key.is_empty() && !said.contains(key), "{said}");
    }
}

#[test]
fn all_is_well_and_nothing_is_made() {
    let emulator = Emulator::start(&["--identities", "2"]);
    let home = Home::on(&emulator);
    let told = Told::by(&home, 0);
    assert_eq!((told.failed(), told.skipped()), (vec![], vec![]));
    told.says("hub", "ok", "OTADECK_CONNECTION_STRING");
    told.says("name", "ok", "localhost is ");
    told.says("tls", "ok", "TLS 1.3; a certificate of");
    told.says("query", "ok", "idle-0001");
    told.says("query", "ok", "two messages");
    told.says("rights", "ok", "ServiceConnect");
    told.says("clock", "ok", "agrees");
    told.says("journal", "ok", "none yet");
    assert!(!home.state().exists(), "looking makes nothing");
    assert!(home.run(&["doctor"]).stderr.contains("All is well."));
}

#[test]
fn a_certificate_that_is_not_trusted_is_shown_and_nothing_is_asked() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let home = Home::new().env("OTADECK_CONNECTION_STRING", &emulator.service());
    let told = Told::by(&home, 1);
    assert_eq!(told.failed(), ["tls"]);
    assert_eq!(told.skipped(), ["query", "rights", "clock"]);
    told.says("tls", "failed", "OTADECK_CA_FILE");
    told.says("tls", "failed", "It shows a certificate of");
    told.says("query", "warning", "tls failed");
}

#[test]
fn where_nobody_listens_the_rest_is_skipped() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let home = Home::on(&emulator).env(
        "OTADECK_CONNECTION_STRING",
        &with_port(&emulator.service(), port),
    );
    let told = Told::by(&home, 1);
    assert_eq!(told.failed(), ["tcp"]);
    assert_eq!(told.skipped(), ["tls", "query", "rights", "clock"]);
    told.says("tcp", "failed", "refused");
}

#[test]
fn a_wrong_key_is_the_hubs_word() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let service = emulator.service();
    let (rest, _) = service.split_once("SharedAccessKey=").unwrap();
    let wrong = format!("{rest}SharedAccessKey=d3Jvbmcgd3Jvbmcgd3Jvbmc=");
    let home = Home::on(&emulator).env("OTADECK_CONNECTION_STRING", &wrong);
    let told = Told::by(&home, 4);
    assert_eq!(told.failed(), ["query"]);
    assert_eq!(told.skipped(), ["rights"]);
    told.says("query", "failed", "401");
    // It said what time it is all the same.
    told.says("clock", "ok", "agrees");
}

#[test]
fn a_clock_that_is_off_is_a_warning() {
    let emulator = Emulator::start(&["--devices", "1", "--scenario", "clock-skew"]);
    let told = Told::by(&Home::on(&emulator), 0);
    assert_eq!(told.failed(), Vec::<&str>::new());
    told.says("clock", "warning", "behind the hub's");
    told.says("clock", "warning", "timedatectl");
}

#[test]
fn with_nothing_configured_it_says_so() {
    let told = Told::by(&Home::new(), 2);
    assert_eq!(told.failed(), ["hub"]);
    told.says("hub", "failed", "no hub is configured");
    told.says("hub", "failed", "otadeck demo");
    assert_eq!(told.skipped().len(), 7);
}

/// A hub whose day is spent says so to everything; and of all that was sent nothing
/// could change anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_spent_day_is_named_and_nothing_is_written() {
    let spent = async |_| Reaction::json(403, r#"{"errorCode":403002,"message":"spent"}"#);
    let server = Server::start(spent).await;
    let home = Home::new()
        .env("OTADECK_CONNECTION_STRING", &server.connection_string())
        .env("OTADECK_CA_FILE", server.ca.path().to_str().unwrap());
    let told = Told::by(&home, 4);
    assert_eq!(told.failed(), ["query"]);
    told.says("query", "failed", "Until midnight UTC");
    let answer = async |request: Request| match request.path.split('?').next().unwrap() {
        "/devices/query" => Reaction::json(200, r#"[{"deviceId":"press-1"}]"#),
        "/twins/press-1" => Reaction::json(200, r#"{"deviceId":"press-1","properties":{}}"#),
        _ => Reaction::json(401, r#"{"errorCode":401002,"message":"no"}"#),
    };
    let server = Server::start(answer).await;
    let home = Home::new()
        .env("OTADECK_CONNECTION_STRING", &server.connection_string())
        .env("OTADECK_CA_FILE", server.ca.path().to_str().unwrap());
    Told::by(&home, 0).says("rights", "ok", "RegistryRead is not there");
    let asked = server.requests();
    let asked: Vec<String> = asked
        .iter()
        .map(|request| {
            format!(
                "{} {}",
                request.method,
                request.path.split('?').next().unwrap()
            )
        })
        .collect();
    let reads = [
        "POST /devices/query",
        "GET /twins/press-1",
        "GET /devices/press-1",
    ];
    assert!(
        asked.iter().all(|asked| reads.contains(&asked.as_str())),
        "{asked:?}"
    );
    assert!(asked.len() >= 6, "{asked:?}");
}

/// What the environment names is asked all the same.
#[test]
fn a_broken_configuration_is_named_and_the_rest_is_looked_at() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let home = Home::on(&emulator);
    home.config("[hub.plant]\nsecret_evn = \"PLANT\"\n");
    let told = Told::by(&home, 2);
    assert_eq!(told.failed(), ["configuration"]);
    told.says("configuration", "failed", "did you mean `secret_env`?");
    told.says("query", "ok", "idle-0001");
    // What should not stand there is not repeated.
    let home = Home::new().env("NOT_READ", "SharedAccessKey=c2VjcmV0IHNlY3JldA==");
    home.config("[hub.plant]\nsecret_env = [\"SharedAccessKey=c2VjcmV0IHNlY3JldA==\"]\n");
    assert_eq!(Told::by(&home, 2).failed(), ["configuration", "hub"]);
    home.config("no toml");
    let told = Told::by(&home, 2);
    assert_eq!(told.failed(), ["configuration", "hub"]);
    told.says("state", "ok", "not there yet");
}

#[test]
fn a_secret_that_others_can_read_is_not_used() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let home = Home::on(&emulator);
    let file = home.folder.path().join("plant.secret");
    fs::write(&file, emulator.service()).unwrap();
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    home.config(&format!("[hub.plant]\nsecret_file = {file:?}\n"));
    mode(0o644);
    let home = home.env("OTADECK_CONNECTION_STRING", "");
    let told = Told::by(&home, 2);
    assert_eq!(told.failed(), ["hub"]);
    told.says("secrets", "warning", "mode 644");
    mode(0o600);
    let told = Told::by(&home, 0);
    told.says("hub", "ok", "the file ");
}

#[test]
fn a_journal_that_cannot_be_written_is_found_and_what_is_left_in_one() {
    let bench = Bench::new();
    let home = Home::on(&bench.emulator);
    let order = ["update", "idle-0001", "--uri", URI, "--json"];
    let running = home.spawn(&order);
    running.line_with("update.invoked");
    Told::by(&home, 0).says("journal", "ok", "living processes: 1");
    running.signal(Signal::KILL);
    // Its end is waited for: a process that is ending lives.
    drop(running);
    let told = Told::by(&home, 0);
    told.says("state", "ok", "mode 700");
    told.says("journal", "warning", "open updates: 1;");
    told.says("journal", "warning", "such as have ended: 1");
    told.says("journal", "warning", "otadeck watch --resume");
    // A later version of the file's format, which this SQLite may only read: rights
    // alone keep nobody out who is root.
    let path = home.state().join("journal.db");
    // All of it goes into the one file before.
    let fold = "PRAGMA wal_checkpoint(TRUNCATE)";
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.query_row(fold, [], |_| Ok(())).unwrap();
    drop(connection);
    let mut bytes = fs::read(&path).unwrap();
    bytes[18] = 3;
    fs::write(&path, &bytes).unwrap();
    let told = Told::by(&home, 1);
    assert_eq!(told.failed(), ["journal"]);
    told.says("journal", "failed", "cannot be written");
    fs::write(
        &path,
        "this is no database, and it is long enough to be looked at",
    )
    .unwrap();
    let told = Told::by(&home, 1);
    assert_eq!(told.failed(), ["journal"]);
}

fn in_the_console(rows: u16, columns: u16) {
    let home = Home::new();
    let mut terminal = Terminal::start(&home, &["demo"], rows, columns);
    terminal.shows("sim-0003");
    terminal.press(":doctor\r");
    terminal.until("doctor that has looked", |screen| {
        screen.contains("Doctor") && screen.contains("✓ 1") && !screen.contains("looking")
    });
    terminal.press("G");
    terminal.shows("✓ log");
    // Again, from the top.
    terminal.press("r");
    terminal.shows("✓ version");
    terminal.press("\x1b");
    terminal.shows("sim-0003");
    terminal.press("L");
    let screen = terminal.shows("12 devices");
    assert!(screen.contains("Log "), "{screen}");
    terminal.press("/nowhere\r");
    terminal.shows("no line holds");
    terminal.press("\x1b\x1b");
    terminal.shows("sim-0003");
    terminal.press(":log listed\r");
    terminal.shows("/listed");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn the_console_shows_both() {
    in_the_console(24, 80);
}

#[test]
fn the_console_shows_both_at_40x12() {
    in_the_console(12, 40);
}
