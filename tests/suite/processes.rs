//! Emulator, device and update as three processes that share nothing but the
//! network and the CA file; and each way in which it goes wrong.

use rustix::process::Signal;
use serde_json::Value;

use super::support::program::{Emulator, Ended, Home};

const URI: &str = "https://example.test/fw-1.5.0.bin";

fn update(home: &Home, args: &[&str]) -> Ended {
    let mut all = vec!["update", "--uri", URI];
    all.extend(args);
    home.run(&all)
}

/// A hub with one idle identity, and a device process on it.
struct Bench {
    emulator: Emulator,
    _device: super::support::program::Running,
}

impl Bench {
    fn with(scenario: &str) -> Self {
        let emulator = Emulator::start(&["--identities", "1"]);
        let device = emulator.run_device(0, &["--scenario", scenario]);
        Self {
            emulator,
            _device: device,
        }
    }

    fn home(&self) -> Home {
        Home::on(&self.emulator)
    }
}

#[test]
fn the_main_job_in_three_processes_and_once_more() {
    let bench = Bench::with("quick");
    let home = bench.home();
    let mut last_end = None;
    for run in 1..=2 {
        let ended = update(&home, &["idle-0001", "--json"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        let events = ended.events();
        let mut phases = Vec::new();
        let mut stamps = Vec::new();
        for event in &events {
            assert_eq!(event["schema"], 1);
            assert!(event["time"].as_str().is_some_and(|t| t.ends_with('Z')));
            if event["event"] != "link" {
                assert_eq!(event["deviceId"], "idle-0001");
            }
            if event["event"] == "update.phase" {
                phases.push(event["phase"].as_str().unwrap().to_owned());
                stamps.push(event["evidence"]["hubTime"].as_str().unwrap().to_owned());
            }
        }
        phases.dedup();
        assert_eq!(phases, ["downloading", "applying", "done"], "run {run}");
        assert!(stamps.is_sorted(), "{stamps:?}");
        // The second run rests on nothing that the first one left.
        let first = stamps.first().cloned();
        assert!(
            first > last_end,
            "run {run}: {first:?} is not after {last_end:?}"
        );
        last_end = stamps.last().cloned();
        let names = ended.names();
        let place = |name: &str| {
            names
                .iter()
                .position(|n| n == name)
                .unwrap_or_else(|| panic!("{name}"))
        };
        assert!(place("update.intended") < place("update.invoked"));
        assert!(place("update.invoked") < place("update.accepted"));
        // The hub's clock bounds when the order went out; what the device says
        // at its end is stamped later.
        let latest = events[place("update.invoked")]["latest"].as_str().unwrap();
        assert!(Some(latest) < last_end.as_deref(), "{latest}");
        assert_eq!(names.last().unwrap(), "update.verdict");
        let verdict = events.last().unwrap();
        assert_eq!(verdict["outcome"], "completed");
        assert_eq!(verdict["evidence"]["property"], "firmwareStatus");
        assert_eq!(verdict["evidence"]["value"], "completed");
        let baseline = &events[place("update.intended")]["baseline"]["value"];
        assert_eq!(baseline, if run == 1 { "standBy" } else { "completed" });
    }
}

#[test]
fn without_json_there_is_a_line_a_phase_and_the_verdict_with_its_evidence() {
    let bench = Bench::with("quick");
    let ended = update(&bench.home(), &["idle-0001"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let words: Vec<&str> = lines
        .iter()
        .filter_map(|l| l.strip_prefix("idle-0001  "))
        .collect();
    let words: Vec<&str> = words.iter().filter_map(|l| l.split(' ').next()).collect();
    assert_eq!(
        words,
        [
            "intended",
            "invoked",
            "accepted",
            "downloading",
            "applying",
            "done"
        ]
    );
    let verdict = lines
        .iter()
        .position(|l| l.starts_with("completed: "))
        .unwrap();
    assert!(
        lines[verdict + 1].starts_with("  phases: downloading "),
        "{lines:?}"
    );
    assert!(
        lines[verdict + 2].starts_with("  evidence: firmwareStatus = \"completed\""),
        "{lines:?}"
    );
    assert_eq!(lines[verdict + 3], "  reported:");
    assert!(ended.stdout.contains("\"firmwareStatus\": \"completed\""));
}

#[test]
fn a_wrong_ca() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let other = Emulator::start(&[]);
    let home = Home::on(&emulator).env("OTADECK_CA_FILE", &other.ca_file());
    let ended = update(&home, &["idle-0001"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.stderr.contains("certificate is not trusted"),
        "{}",
        ended.stderr
    );
    let ended = update(
        &home.env("OTADECK_CA_FILE", "/nonexistent/ca.pem"),
        &["idle-0001"],
    );
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.stderr.contains("cannot read the CA file"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_wrong_key() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let wrong = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let text = emulator.service();
    let (head, _) = text.split_once("SharedAccessKey=").unwrap();
    let home = Home::on(&emulator).env(
        "OTADECK_CONNECTION_STRING",
        &format!("{head}SharedAccessKey={wrong}"),
    );
    let ended = update(&home, &["idle-0001"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(
        ended.stderr.contains("401") && ended.stderr.contains("Check the key"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains(wrong) && !ended.stderr.contains("SharedAccessSignature"));
    assert_eq!(home.run(&["devices"]).code, 4);
}

#[test]
fn an_unknown_device_keeps_all_from_being_invoked() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = Home::on(&emulator);
    let ended = update(&home, &["sim-0001", "nobody"]);
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(
        ended.stderr.contains("nobody") && ended.stderr.contains("No device was invoked"),
        "{}",
        ended.stderr
    );
    let ended = home.run(&["devices", "--json"]);
    assert_eq!(ended.events()[0]["device"]["reportedStatus"], "standBy");
}

#[test]
fn an_offline_device() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let ended = update(&Home::on(&emulator), &["idle-0001"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    let verdict = ended
        .stdout
        .lines()
        .find(|l| l.starts_with("notDelivered: "))
        .unwrap();
    assert!(verdict.contains("404103"), "{verdict}");
    assert!(
        ended.stdout.contains("Nothing was delivered"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_device_that_answers_400() {
    let bench = Bench::with("rejects");
    let ended = update(&bench.home(), &["idle-0001"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    let verdict = ended
        .stdout
        .lines()
        .find(|l| l.starts_with("rejected: "))
        .unwrap();
    assert!(verdict.contains("status 400"), "{verdict}");
}

#[test]
fn a_device_that_fails() {
    let bench = Bench::with("fails");
    let ended = update(&bench.home(), &["idle-0001", "--json"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    let verdict = ended.events().pop().unwrap();
    assert_eq!(verdict["outcome"], "failed");
    assert!(
        verdict["reason"]
            .as_str()
            .unwrap()
            .contains("last seen applying"),
        "{verdict}"
    );
}

/// Named twice is watched once: the second is no other process's.
#[test]
fn a_device_that_is_named_twice_is_watched_once() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = Home::on(&emulator);
    let ended = home.run(&["watch", "sim-0001", "sim-0001", "--timeout", "2s"]);
    assert_eq!(ended.code, 6, "{ended:?}");
}

#[test]
fn a_hub_that_is_not_there() {
    let (port, _held) = super::support::nobody();
    let text = format!("HostName=localhost:{port};SharedAccessKeyName=s;SharedAccessKey=AAEC");
    let home = Home::new().env("OTADECK_CONNECTION_STRING", &text);
    for args in [
        &["update", "d", "--uri", URI][..],
        &["devices"],
        &["watch", "d"],
    ] {
        let ended = home.run(args);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(
            ended.stderr.contains("no connection to localhost"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn usage_is_checked_before_anything_is_sent() {
    let home = Home::new().env(
        "OTADECK_CONNECTION_STRING",
        "HostName=h;SharedAccessKeyName=s;SharedAccessKey=AAEC",
    );
    let cases: [(&[&str], &str); 8] = [
        (
            &["update", "d", "--uri", "test.com"],
            "did you mean https://test.com",
        ),
        (&["update", "d", "--uri", "ftp://x/y"], "not with ftp:"),
        (
            &[
                "update",
                "d",
                "--uri",
                r"https://fw.example.com\@evil.com/a",
            ],
            "write it as %5C",
        ),
        (
            &["update", "d", "--uri", "https://x.test/a/%2e%2e/b"],
            "write the path that is meant",
        ),
        (&["update", "d"], "give --uri"),
        (&["update", "a/b", "--uri", URI], "a device id holds '/'"),
        (
            &["update", "d", "--uri", URI, "--timeout", "soon"],
            "write 8s, 15m or 2h",
        ),
        (&["watch"], "required"),
    ];
    for (args, why) in cases {
        let ended = home.run(args);
        assert_eq!(ended.code, 2, "{args:?} {ended:?}");
        assert!(ended.stderr.contains(why), "{args:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    let ended = home.run_with_stdin(&["update", "d", "--uri", "-"], "nonsense\n");
    assert_eq!(ended.code, 2, "{ended:?}");
    let ended = Home::new().run(&["devices"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("otadeck demo"), "{}", ended.stderr);
}

#[test]
fn read_only_and_production_are_refused() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = Home::on(&emulator).env("PLANT", &emulator.service());
    let ended = update(&home, &["sim-0001", "--read-only"]);
    assert_eq!(ended.code, 8, "{ended:?}");
    home.config("[hub.plant]\nsecret_env = \"PLANT\"\nenvironment = \"production\"\n");
    for args in [
        &["sim-0001", "--hub", "plant"][..],
        &["sim-0001", "--hub", "plant", "--confirm", "plnt"],
    ] {
        let ended = update(&home, args);
        assert_eq!(ended.code, 8, "{ended:?}");
        assert!(
            ended.stderr.contains("nothing was sent"),
            "{}",
            ended.stderr
        );
    }
    let sure = [
        "sim-0001",
        "--hub",
        "plant",
        "--confirm",
        "plant",
        "--dry-run",
    ];
    let ended = update(&home, &sure);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended
            .stdout
            .contains("would be invoked: firmwareUpdate {\"fwPackageUri\""),
        "{}",
        ended.stdout
    );
    let ended = update(
        &home,
        &[
            "sim-0001",
            "--hub",
            "plant",
            "--confirm",
            "plant",
            "--no-wait",
        ],
    );
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[test]
fn a_busy_device_is_refused_and_the_watching_carries_on() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = Home::on(&emulator);
    let first = home.spawn(&["update", "sim-0001", "--uri", URI]);
    first.line_with("downloading");
    let second = update(&home, &["sim-0001"]);
    assert_eq!(second.code, 8, "{second:?}");
    assert!(
        second.stderr.contains("sim-0001 is busy"),
        "{}",
        second.stderr
    );
    // Another operator, with a journal of his own: the device itself says it.
    let third = update(&Home::on(&emulator), &["sim-0001"]);
    assert_eq!(third.code, 8, "{third:?}");
    let mut first = first;
    first.signal(Signal::TERM);
    assert_eq!(first.wait(), 143);
    let resumed = home.run(&["watch", "--resume"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert!(resumed.stdout.contains("completed: "), "{}", resumed.stdout);
    let nothing = home.run(&["watch", "--resume", "--json"]);
    assert_eq!(nothing.code, 0);
    assert_eq!(nothing.events()[0]["count"], 0);
}

#[test]
fn an_open_update_keeps_its_device_whoever_has_gone() {
    let bench = Bench::with("tutorial");
    let home = bench.home();
    // The tutorial's device says nothing for 15 s after it has taken the order.
    let first = update(&home, &["idle-0001", "--no-wait"]);
    assert_eq!(first.code, 0, "{first:?}");
    let second = update(&home, &["idle-0001", "--no-wait", "--json"]);
    assert_eq!(second.code, 8, "{second:?}");
    assert_eq!(second.names().last().unwrap(), "update.refused");
    assert!(
        second.stderr.contains("watch --resume"),
        "{}",
        second.stderr
    );
    // The same hub by another spelling of its name.
    let loud = bench.emulator.service().replace("localhost", "LOCALHOST");
    let third = update(
        &home.env("OTADECK_CONNECTION_STRING", &loud),
        &["idle-0001", "--no-wait"],
    );
    assert_eq!(third.code, 8, "{third:?}");
}

#[test]
fn two_at_once_are_one() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = Home::on(&emulator);
    let order = ["update", "sim-0001", "--uri", URI, "--no-wait"];
    let (mut one, mut other) = (home.spawn(&order), home.spawn(&order));
    let mut codes = [one.wait(), other.wait()];
    codes.sort_unstable();
    assert_eq!(codes, [0, 8]);
}

#[test]
fn a_second_resume_leaves_the_update_to_whoever_has_it() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = Home::on(&emulator);
    let mut first = home.spawn(&["update", "sim-0001", "--uri", URI]);
    first.line_with("downloading");
    let second = home.run(&["watch", "--resume", "--json"]);
    assert_eq!(second.code, 8, "{second:?}");
    assert!(
        second
            .names()
            .ends_with(&["update.elsewhere".to_owned(), "resumed".to_owned()])
    );
    assert_eq!(first.wait(), 0);
}

#[test]
fn a_plan_is_an_event_and_sends_nothing() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = Home::on(&emulator);
    let ended = update(&home, &["sim-0001", "--dry-run", "--json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.names(), ["update.planned"]);
    assert_eq!(ended.events()[0]["method"], "firmwareUpdate");
    let sent = "Nothing was sent to any device";
    assert!(ended.stderr.contains(sent), "{}", ended.stderr);
    let ended = update(&home, &["sim-0001", "--dry-run", "--json", "--read-only"]);
    assert_eq!(ended.code, 8, "{ended:?}");
    assert_eq!(ended.names(), ["update.refused"]);
    let unknown = update(&home, &["nobody", "--json"]);
    assert_eq!(
        (unknown.code, unknown.names()),
        (5, vec!["update.refused".to_owned()])
    );
}

#[test]
fn many_updates_are_forecast_before_they_start() {
    let emulator = Emulator::start(&["--identities", "3"]);
    let home = Home::on(&emulator);
    let three = ["idle-0001", "idle-0002", "idle-0003", "--dry-run"];
    let ended = update(&home, &three);
    assert_eq!(ended.code, 0, "{ended:?}");
    let forecast = "forecast for S1?: 3 updates, watched for 10 min: up to 4 reads/s, about \
                    2,412 messages, 0.6 % of a day of the hub (400,000)\n";
    assert!(ended.stderr.contains(forecast), "{}", ended.stderr);
    let timed = update(&home, &[&three[..], &["--timeout", "1m"]].concat());
    assert!(timed.stderr.contains("for 1 min"), "{}", timed.stderr);
    let one = update(&home, &["idle-0001", "--dry-run"]);
    assert!(!one.stderr.contains("forecast"), "{}", one.stderr);

    let home = Home::on(&emulator).env("FREE", &emulator.service());
    home.config("[hub.free]\nsecret_env = \"FREE\"\ntier = \"F1\"\nday_share = 5\n");
    let free = update(&home, &["idle-0001", "--hub", "free", "--dry-run"]);
    assert_eq!(free.code, 0, "{free:?}");
    let much = "our share is 400 a day (day_share), so reads slow down and a change is seen up to";
    assert!(free.stderr.contains(much), "{}", free.stderr);
    assert!(free.stderr.contains("1 update, "), "{}", free.stderr);
}

#[test]
fn secrets_typed_in_the_wrong_place_are_not_repeated() {
    let home = Home::new().env(
        "OTADECK_CONNECTION_STRING",
        "HostName=h;SharedAccessKeyName=s;SharedAccessKey=AAEC",
    );
    let cases: [&[&str]; 3] = [
        &["update", "https://x.test/fw?sig=SECRET"],
        &["update", "d", "--uri", "x.test/fw?sig=SECRET"],
        &["watch", "a\u{1b}[31mred?sig=SECRET"],
    ];
    for args in cases {
        let ended = home.run(args);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(!ended.stderr.contains('\u{1b}'), "{:?}", ended.stderr);
        let repeats = ended.stderr.contains("SECRET");
        assert!(!repeats || args[0] == "watch", "{}", ended.stderr);
    }
}

#[test]
fn a_timeout_ends_the_watching_and_not_the_update() {
    let bench = Bench::with("quick");
    let home = bench.home();
    let ended = update(&home, &["idle-0001", "--timeout", "1s"]);
    assert_eq!(ended.code, 6, "{ended:?}");
    assert!(
        ended.stderr.contains("still open: idle-0001"),
        "{}",
        ended.stderr
    );
    let watched = home.run(&["watch", "--resume", "--json"]);
    assert_eq!(watched.code, 0, "{watched:?}");
    assert_eq!(watched.events().last().unwrap()["outcome"], "completed");
}

#[test]
fn watching_sees_what_somebody_else_started() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let (one, other) = (Home::on(&emulator), Home::on(&emulator));
    let mut first = one.spawn(&["update", "sim-0001", "--uri", URI]);
    first.line_with("downloading");
    let watched = other.run(&["watch", "sim-0001", "--json"]);
    assert_eq!(watched.code, 0, "{watched:?}");
    let events = watched.events();
    assert_eq!(events.last().unwrap()["outcome"], "completed");
    assert!(!watched.names().contains(&"update.invoked".to_owned()));
    assert_eq!(first.wait(), 0);
}

#[test]
fn several_devices_at_once() {
    let emulator = Emulator::start(&["--devices", "3"]);
    let ended = update(
        &Home::on(&emulator),
        &["sim-0001", "sim-0002", "sim-0003", "sim-0001", "--json"],
    );
    assert_eq!(ended.code, 0, "{ended:?}");
    let verdicts: Vec<Value> = ended
        .events()
        .into_iter()
        .filter(|e| e["event"] == "update.verdict")
        .collect();
    assert_eq!(verdicts.len(), 3, "one an update, the same device once");
}

#[test]
fn the_inventory() {
    let emulator = Emulator::start(&["--devices", "2", "--identities", "1"]);
    let home = Home::on(&emulator);
    let ended = home.run(&["devices"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines[0].starts_with("device "), "{lines:?}");
    assert!(
        lines[1].starts_with("idle-0001") && lines[1].contains("disconnected"),
        "{lines:?}"
    );
    assert!(
        lines[2].starts_with("sim-0001") && lines[2].contains("connected"),
        "{lines:?}"
    );
    assert!(lines[2].contains("standBy"), "{lines:?}");
    let ended = home.run(&[
        "devices",
        "--query",
        "connectionState = 'Connected'",
        "--json",
    ]);
    let ids: Vec<Value> = ended
        .events()
        .iter()
        .map(|e| e["deviceId"].clone())
        .collect();
    assert_eq!(ids, ["sim-0001", "sim-0002"]);
    let ended = home.run(&["devices", "--query", "nonsense ="]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("ArgumentInvalid"), "{}", ended.stderr);
}

#[test]
fn the_scenarios_are_listed_with_what_they_teach() {
    let ended = Home::new().run(&["emulator", "--scenarios"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    for (name, text) in otadeck::scenario::BUILT_IN {
        let story = otadeck::scenario::Scenario::parse(text).unwrap();
        let row = format!(
            "{name:<14} {}\n{:<14} {}\n",
            story.description, "", story.lesson
        );
        assert!(ended.stdout.contains(&row), "{row}");
    }
    let ended = Home::new().run(&["emulator", "--scenario", "throtled"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.stderr.contains("did you mean \"throttled\"?"),
        "{ended:?}"
    );
    let ended = Home::new().run(&["emulator", "--index-lag", "1h"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("ten minutes at most"), "{ended:?}");
}

/// A file's faults reach the wire, and its devices: the first order is answered
/// 503 though the device began, and its twin tells.
#[test]
fn a_scenario_of_ones_own_has_the_hub_fail() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let text = r#"
        description = "an order's answer is lost"
        [hub]
        clock = "+10m"
        [[fault]]
        route = "method"
        answer = "ServiceUnavailable"
        runs = true
        [defaults]
        firmware = "1.4.2"
        waiting = "500ms"
        downloading = "500ms"
        applying = "500ms"
    "#;
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let emulator = Emulator::start(&["--devices", "1", "--scenario", file]);
    let ended = update(&Home::on(&emulator), &["sim-0001", "--json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let events = ended.events();
    let state = |state: &str| {
        let mut all = events.iter();
        all.any(|e| e["event"] == "update.state" && e["state"] == state)
    };
    assert!(state("unknown") && state("back"), "{ended:?}");
}

#[test]
fn a_signal_ends_it_though_nobody_reads_its_output() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = Home::on(&emulator);
    // A pipe that is full and never read: the program waits for it for ever.
    let (reader, writer) = std::io::pipe().unwrap();
    let fill = rustix::pipe::fcntl_getpipe_size(&writer).unwrap();
    std::io::Write::write_all(&mut &writer, &vec![b'x'; fill]).unwrap();
    let mut command = home.command(&["update", "sim-0001", "--uri", URI]);
    let child = command.stdout(writer).spawn().unwrap();
    // The order is written down before the first line is printed.
    let journal = home.state().join("journal.db");
    let intended = || {
        let count = "SELECT COUNT(*) FROM event WHERE kind = 'update.invoked'";
        let open = rusqlite::Connection::open(&journal).ok()?;
        open.query_row(count, [], |row| row.get::<_, i64>(0))
            .ok()
            .filter(|n| *n > 0)
    };
    let began = std::time::Instant::now();
    while intended().is_none() {
        assert!(began.elapsed() < super::support::program::PATIENCE);
        std::thread::yield_now();
    }
    super::support::program::signal(child.id(), Signal::TERM);
    let ended = super::support::program::wait(child, &["update"]);
    assert_eq!(ended.code, 143, "{ended:?}");
    drop(reader);
}

#[test]
fn the_emulator_tells_when_it_is_ready_and_ends_cleanly() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ready.json");
    let mut emulator = Emulator::start(&["--devices", "2", "--ready-file", file.to_str().unwrap()]);
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(written, emulator.ready);
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    for key in [
        "hostName",
        "httpsPort",
        "mqttPort",
        "caFile",
        "serviceConnectionString",
        "devices",
    ] {
        assert!(!written[key].is_null(), "{key}");
    }
    assert_eq!(written["devices"][1]["deviceId"], "sim-0002");
    emulator.running.signal(Signal::TERM);
    assert_eq!(emulator.running.wait(), 0);
}

/// A home that asks the servers of packages.
fn asking(emulator: &Emulator, config: &str) -> Home {
    let home = Home::on(emulator);
    home.config(&format!("[update]\nask_package_server = true\n{config}"));
    home
}

fn package(emulator: &Emulator, name: &str) -> String {
    let port = &emulator.ready["httpsPort"];
    format!("https://localhost:{port}/packages/{name}")
}

#[test]
fn a_package_is_looked_at_before_it_is_sent() {
    let bench = Bench::with("quick");
    let home = asking(&bench.emulator, "");
    let uri = package(&bench.emulator, "fw-1.5.0.bin");
    let order = ["update", "idle-0001", "--dry-run", "--json", "--uri"];
    let ended = home.run(&[&order[..], &[&uri]].concat());
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("package: "), "{ended:?}");
    assert!(ended.stderr.contains("seen from here"), "{ended:?}");
    let event = &ended.events()[0];
    assert_eq!(event["event"], "package.inspected");
    assert_eq!(event["server"]["status"], 200);
    assert!(event["server"]["size"].as_u64() > Some(1_000), "{event}");

    // What is not there is told, and decides nothing.
    let uri = package(&bench.emulator, "nothing.bin");
    let ended = home.run(&["update", "idle-0001", "--uri", &uri, "--no-wait"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("warning: the server has no such package")
    );
}

#[test]
fn a_forbidden_package_is_sent_to_nobody() {
    let bench = Bench::with("quick");
    let hub = "[hub.plant]\nsecret_env = \"PLANT\"\npackage_hosts = [\"fw.test\"]\n";
    let home = asking(&bench.emulator, hub).env("PLANT", &bench.emulator.service());
    for (uri, why) in [
        (
            "https://localhost:1/a?sig=SECRET",
            "may not come from localhost",
        ),
        (
            "https://fw.test/a?se=2020-01-01&sig=SECRET",
            "signature ended",
        ),
    ] {
        for json in [false, true] {
            let mut args = vec!["--hub", "plant", "update", "idle-0001", "--uri", uri];
            args.extend(json.then_some("--json"));
            let ended = home.run(&args);
            assert_eq!(ended.code, 8, "{ended:?}");
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(said.contains(why), "{ended:?}");
            assert!(ended.stderr.contains("Nothing was sent"), "{ended:?}");
            assert!(!said.contains("SECRET"), "{ended:?}");
        }
    }
}

/// Who holds a device is told in words and as an event; only its id, given once
/// more, takes it over, and the one that had it sends and says nothing more.
#[test]
fn a_second_start_is_told_who_and_a_forced_one_takes_over() {
    let emulator = Emulator::start(&["--devices", "2", "--scenario", "tutorial"]);
    let home = Home::on(&emulator);
    let mut first = home.spawn(&["update", "sim-0001", "--uri", URI, "--json"]);
    first.line_with("\"downloading\"");
    let second = update(&home, &["sim-0001", "--json"]);
    assert_eq!(second.code, 8, "{second:?}");
    let events = second.events();
    let refused = events.last().unwrap();
    assert_eq!(refused["event"], "update.refused");
    let holding = &refused["problem"]["holding"];
    assert_eq!(holding["uri"], URI, "{refused}");
    assert_eq!(holding["doing"], "downloading");
    let by = holding["by"].as_str().unwrap();
    assert!(by.contains("sudo by ana"), "{by}");
    let pid = holding["process"]["pid"].as_u64().unwrap();
    for part in [
        &format!("fw-1.5.0.bin by {by} since 2"),
        ": downloading (written down at 2",
        &format!("; process {pid} on "),
        "--force",
    ] {
        assert!(second.stderr.contains(part), "{part}: {}", second.stderr);
    }
    // Another device's id is no confirmation.
    let other = update(&home, &["sim-0001", "--force", "sim-0002"]);
    assert_eq!(other.code, 2, "{other:?}");
    let forced = update(&home, &["sim-0001", "--force", "sim-0001", "--json"]);
    // The order went out; this device takes none while it is at work.
    let names = forced.names();
    let place = |name: &str| names.iter().position(|n| n == name).expect(name);
    assert!(place("update.intended") < place("update.tookOver"));
    assert!(place("update.tookOver") < place("update.invoked"));
    assert_eq!(forced.code, 3, "{forced:?}");
    // Whom it displaced is told as the refusal told it.
    let events = forced.events();
    let took_over = &events[place("update.tookOver")];
    assert_eq!(took_over["holding"]["updateId"], holding["updateId"]);
    assert_eq!(took_over["holding"]["by"], by);
    assert_eq!(took_over["holding"]["process"]["pid"], pid);
    let new = &events[place("update.intended")]["updateId"];
    assert_eq!(&took_over["updateId"], new);
    let past = home.run(&["history", new.as_str().unwrap()]);
    assert!(past.stdout.contains("took over"), "{past:?}");
    // The first one learns it with the next thing that it would write.
    let verdict = first.line_with("update.verdict");
    let verdict: Value = serde_json::from_str(&verdict).unwrap();
    assert_eq!(verdict["outcome"], "givenUp");
    let reason = verdict["reason"].as_str().unwrap();
    assert!(
        reason.contains(&format!("{by} took sim-0001 over at 2")),
        "{reason}"
    );
    assert_eq!(first.wait(), 6);
    // And in words.
    let first = home.spawn(&["update", "sim-0002", "--uri", URI, "--json"]);
    first.line_with("\"downloading\"");
    let forced = update(&home, &["sim-0002", "--force", "sim-0002"]);
    let told = format!("sim-0002  took over    from fw-1.5.0.bin by {by} since 2");
    assert!(forced.stdout.contains(&told), "{forced:?}");
}
