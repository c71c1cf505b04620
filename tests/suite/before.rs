//! What is said before anything is sent: in processes of their own, on a hub that
//! does not let us.

use std::time::Duration;

use super::support::program::{Emulator, Ended, Home};

const URI: &str = "https://example.test/fw-1.5.0.bin";

/// A hub with idle identities that answers like that.
fn hub(identities: u32, faults: &str) -> (Emulator, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hub.toml");
    let scenario = format!("description = \"a hub\"\nlesson = \"-\"\n{faults}");
    std::fs::write(&file, scenario).unwrap();
    let number = identities.to_string();
    let args = [
        "--identities",
        &number,
        "--scenario",
        file.to_str().unwrap(),
    ];
    (Emulator::start(&args), folder)
}

fn always(route: &str, answer: &str) -> String {
    format!("[[fault]]\nroute = \"{route}\"\nanswer = \"{answer}\"\n")
}

fn update(home: &Home, args: &[&str]) -> Ended {
    let mut all = vec!["update", "--uri", URI];
    all.extend(args);
    home.run(&all)
}

#[test]
fn a_hub_that_asks_to_wait_is_told_and_the_time_is_kept() {
    let (emulator, _folder) = hub(1, &always("twin-read", "ThrottlingBacklogTimeout"));
    let home = Home::on(&emulator);
    for verb in [
        &["update", "idle-0001", "--uri", URI, "--timeout", "2s"][..],
        &["watch", "idle-0001", "--timeout", "2s"],
    ] {
        let began = std::time::Instant::now();
        let ended = home.run(verb);
        // The hub names ten seconds, four times over.
        assert!(began.elapsed() < Duration::from_secs(25), "{ended:?}");
        assert_eq!(ended.code, 6, "{ended:?}");
        assert!(
            ended.stderr.contains("429 ThrottlingBacklogTimeout"),
            "{ended:?}"
        );
        assert!(ended.stderr.contains("trying again in "), "{ended:?}");
        assert!(ended.stderr.contains("Nothing was sent"), "{ended:?}");
        let waits = ended.stderr.matches("trying again").count();
        assert_eq!(waits, 1, "once: {ended:?}");
    }
}

#[test]
fn a_listing_that_waits_says_so() {
    let (emulator, _folder) = hub(1, &always("query", "ThrottlingException"));
    let devices = Home::on(&emulator).spawn(&["devices"]);
    devices.complaint_with("trying again");
}

/// Three hundred complaints about one hub help nobody, and each costs a request.
#[test]
fn what_is_wrong_with_the_hub_is_said_once() {
    let (emulator, _folder) = hub(40, &always("twin-read", "IotHubQuotaExceeded"));
    let devices: Vec<String> = (1..=40).map(|n| format!("idle-{n:04}")).collect();
    let mut args: Vec<&str> = devices.iter().map(String::as_str).collect();
    let ended = update(&Home::on(&emulator), &args);
    assert_eq!(ended.code, 4, "{ended:?}");
    let said = ended.stderr.matches("403002").count();
    assert_eq!(said, 1, "{ended:?}");
    assert!(ended.stderr.contains("No device was invoked"), "{ended:?}");
    assert!(!ended.stderr.contains("idle-"), "{ended:?}");
    // The forecast was said before anything was spent.
    let first = ended.stderr.lines().next().unwrap();
    assert!(
        first.starts_with("forecast for S1?: 40 updates"),
        "{ended:?}"
    );
    args.push("--json");
    let ended = update(&Home::on(&emulator), &args);
    assert_eq!(ended.names(), ["update.refused"]);
    assert!(ended.events()[0].get("deviceId").is_none(), "{ended:?}");
}

#[test]
fn what_is_wrong_with_a_device_is_said_of_each() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let ended = update(&Home::on(&emulator), &["nobody", "idle-0001", "no-one"]);
    assert_eq!(ended.code, 5, "{ended:?}");
    for device in ["nobody", "no-one"] {
        assert!(ended.stderr.contains(device), "{ended:?}");
    }
}

/// What the check has read counts, and a warning stands on lines of its own.
#[test]
fn a_small_share_is_warned_of_in_messages() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let home = Home::on(&emulator).env("PLANT", &emulator.service());
    home.config("[hub.plant]\nsecret_env = \"PLANT\"\nday_share = 0.01\n");
    let args = ["--hub", "plant", "watch", "idle-0001", "--timeout", "4s"];
    let ended = home.run(&args);
    assert_eq!(ended.code, 6, "{ended:?}");
    assert!(ended.stderr.contains("at this pace"), "{ended:?}");
    assert!(ended.stderr.contains(" of our 40 messages"), "{ended:?}");
    assert!(
        ended.stderr.contains("\n  Reads will slow down"),
        "{ended:?}"
    );
    assert!(!ended.stderr.contains("\\n"), "{ended:?}");
}

/// A trial that would be refused is refused, with the reason and the code.
#[test]
fn a_dry_run_tells_what_would_be_refused() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let home = Home::on(&emulator).env("PLANT", &emulator.service());
    let hub = "[hub.plant]\nsecret_env = \"PLANT\"\n";
    let watched = format!("{hub}dialect = \"device-update\"\n");
    let hosts = format!("{hub}package_hosts = [\"fw.test\"]\n");
    let production = format!("{hub}environment = \"production\"\n");
    let read_only = format!("{hub}read_only = true\n");
    let expired = "https://fw.test/a?se=2020-01-01&sig=SECRET";
    for (config, uri, why) in [
        (hub, expired, "signature ended"),
        (&hosts, URI, "may not come from example.test"),
        (&production, URI, "--confirm plant"),
        (&read_only, URI, "read-only"),
        (&watched, URI, "watched only"),
    ] {
        home.config(config);
        let args = [
            "--hub",
            "plant",
            "update",
            "idle-0001",
            "--dry-run",
            "--uri",
            uri,
        ];
        let ended = home.run(&args);
        assert_eq!(ended.code, 8, "{why}: {ended:?}");
        assert!(ended.stdout.contains("would be refused: "), "{ended:?}");
        assert!(ended.stdout.contains(why), "{why}: {ended:?}");
        assert!(!ended.stdout.contains("would be invoked"), "{ended:?}");
        let ended = home.run(&[&args[..], &["--json"]].concat());
        assert_eq!(ended.code, 8, "{ended:?}");
        assert_eq!(ended.names().last().unwrap(), "update.refused", "{ended:?}");
        assert!(!ended.names().contains(&"update.planned".to_owned()));
        assert!(!ended.stdout.contains("SECRET"), "{ended:?}");
    }
}

/// As the real start, a trial sees that the device is busy.
#[test]
fn a_dry_run_sees_a_busy_device() {
    let emulator = Emulator::start(&["--devices", "1", "--scenario", "tutorial"]);
    let home = Home::on(&emulator);
    let first = home.spawn(&["update", "sim-0001", "--uri", URI]);
    first.line_with("downloading");
    let ended = update(&home, &["sim-0001", "--dry-run"]);
    assert_eq!(ended.code, 8, "{ended:?}");
    assert!(ended.stdout.contains("sim-0001 is busy"), "{ended:?}");
    let ended = update(&home, &["sim-0001", "--dry-run", "--force", "sim-0001"]);
    assert_eq!(ended.code, 0, "{ended:?}");
}

/// A device of a process of its own, on the hub's first identity.
fn device(
    emulator: &Emulator,
    rules: &str,
) -> (super::support::program::Running, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("device.toml");
    let head = "description = \"a device\"\nlesson = \"-\"\n";
    std::fs::write(&file, format!("{head}{rules}")).unwrap();
    let device = emulator.run_device(0, &["--scenario", file.to_str().unwrap()]);
    (device, folder)
}

#[test]
fn an_update_that_is_left_with_a_device_away_says_so() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let rules = "[defaults]\nwaiting = \"0s\"\ndownloading = \"0s\"\napplying = \"10m\"\n";
    let (device, _folder) = device(&emulator, rules);
    let args = ["update", "idle-0001", "--uri", URI, "--timeout", "12s"];
    let home = Home::on(&emulator);
    let mut update = home.spawn(&args);
    update.line_with("applying");
    device.signal(rustix::process::Signal::KILL);
    let open = update.complaint_with("still open: idle-0001");
    assert!(open.contains("not connected since"), "{open}");
    assert_eq!(update.wait(), 6);
}

#[test]
fn a_word_that_the_dialect_does_not_know_is_told_apart() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let rules = "[defaults]\nwaiting = \"0s\"\ndownloading = \"10m\"\n\
        [defaults.says]\ndownloading = \"marinating\"\n";
    let (_device, _folder) = device(&emulator, rules);
    let ended = update(&Home::on(&emulator), &["idle-0001", "--timeout", "4s"]);
    assert_eq!(ended.code, 6, "{ended:?}");
    let told = "still open: idle-0001 (it reports marinating, which dialect tutorial-2018";
    assert!(ended.stderr.contains(told), "{ended:?}");
    assert!(ended.stderr.contains("[dialect.NAME]"), "{ended:?}");
}
