//! Dialects of the configuration, from the file to the device and back: three
//! processes, rules asked of the hub, and every refusal before anything is sent.

use super::support::program::{Emulator, Ended, Home};

/// A device that says `fetching`, `writing` and `all fine` where the tutorial's
/// device says its words.
const DEVICE: &str = "description = \"a press\"\nlesson = \"-\"\n[defaults]\nfirmware = \"1.0.0\"\nwaiting = \"0s\"\ndownloading = \"1s\"\n\
    applying = \"1s\"\n\
    [defaults.says]\nidle = \"ready\"\ndownloading = \"fetching\"\napplying = \"writing\"\n\
    done = \"all fine\"\n";

const PRESS: &str = "[dialect.press]\nstatus = \"firmwareStatus\"\nversion = \"firmwareVersion\"\n\
    rest = [\"ready\"]\nmethod = \"firmwareUpdate\"\n\
    payload = { fwPackageUri = \"{uri}\", for = \"{version}\" }\n\
    [dialect.press.values]\nfetching = \"downloading\"\nWriting = \"applying\"\n\
    \"all fine\" = \"done\"\n";

/// Of this hub, with more keys.
fn home(emulator: &Emulator, config: &str, hub: &str) -> Home {
    let home = Home::new()
        .env("PLANT", &emulator.service())
        .env("OTADECK_CA_FILE", &emulator.ca_file());
    home.config(&format!(
        "{config}[hub.plant]\nsecret_env = \"PLANT\"\n{hub}"
    ));
    home
}

fn update(home: &Home, args: &[&str]) -> Ended {
    let uri = "https://example.test/fw-1.5.0.bin";
    let mut all = vec!["update", "idle-0001", "--uri", uri];
    all.extend(args);
    home.run(&all)
}

/// Nothing was written down as intended, and nothing was sent.
fn assert_nothing_sent(ended: &Ended) {
    assert_eq!(ended.code, 8, "{ended:?}");
    assert!(ended.stderr.contains("Nothing was sent"), "{ended:?}");
    assert!(!ended.stdout.contains("intended"), "{ended:?}");
}

#[test]
fn a_dialect_set_by_a_rule_starts_the_device_and_reads_its_words() {
    let emulator = Emulator::start(&["--identities", "2"]);
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("press.toml");
    std::fs::write(&scenario, DEVICE).unwrap();
    let _device = emulator.run_device(0, &["--scenario", scenario.to_str().unwrap()]);
    let rules = "[[hub.plant.dialects]]\nquery = \"deviceId = 'idle-0002' OR deviceId = 'none'\"\n\
        dialect = \"java-2017\"\n\
        [[hub.plant.dialects]]\nquery = \"deviceId = 'idle-0001' OR deviceId = 'idle-0002'\"\n\
        dialect = \"press\"\n";
    let home = home(&emulator, PRESS, rules);

    let ended = update(&home, &[]);
    assert_nothing_sent(&ended);
    assert!(ended.stderr.contains("{version}"), "{ended:?}");
    assert!(ended.stderr.contains("--expect"), "{ended:?}");

    let ended = update(&home, &["--expect", "1.5.0", "--dry-run"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    for words in [
        "firmwareUpdate {\"for\":\"1.5.0\",\"fwPackageUri\":\"https://example.test/fw-1.5.0.bin\"}",
        "as dialect press, set for devices with deviceId = 'idle-0001'",
    ] {
        assert!(ended.stdout.contains(words), "{words}: {ended:?}");
    }

    let ended = home.run(&["devices", "--json"]);
    let rows = ended.events();
    assert_eq!(rows[0]["device"]["phase"], "idle", "{ended:?}");
    assert_eq!(rows[0]["device"]["reportedStatus"], "ready");

    let ended = update(&home, &["--expect", "1.5.0", "--json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let events = ended.events();
    let intended = events.iter().find(|e| e["event"] == "update.intended");
    assert_eq!(intended.unwrap()["dialect"], "press");
    let phases = events.iter().filter(|e| e["event"] == "update.phase");
    let phases: Vec<(&str, &str)> = phases
        .map(|e| {
            (
                e["phase"].as_str().unwrap(),
                e["evidence"]["value"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        phases,
        [
            ("downloading", "fetching"),
            ("applying", "writing"),
            ("done", "all fine")
        ]
    );
}

#[test]
fn without_its_dialect_nothing_is_sent_to_a_device() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let watched = home(&emulator, "", "dialect = \"device-update\"\n");
    let ended = update(&watched, &[]);
    assert_nothing_sent(&ended);
    assert!(ended.stderr.contains("otadeck watch"), "{ended:?}");
    let ended = update(&watched, &["--json"]);
    assert_eq!(
        (ended.code, ended.names()[1..].join(" ")),
        (8, "update.refused".into())
    );
    assert_eq!(ended.events()[1]["problem"]["kind"], "dialect");
    let ended = update(&watched, &["--dry-run"]);
    assert_eq!(ended.code, 8, "{ended:?}");
    assert!(ended.stdout.contains("would be refused"), "{ended:?}");
    let ended = watched.run(&["watch", "idle-0001", "--timeout", "1s"]);
    assert_eq!(ended.code, 6, "it is watched: {ended:?}");

    let rule =
        "[[hub.plant.dialects]]\nquery = \"tags.model IS 'press'\"\ndialect = \"iothubDM\"\n";
    let ended = update(&home(&emulator, "", rule), &[]);
    assert_nothing_sent(&ended);
    assert!(
        ended.stderr.contains("rule 1 (dialect iothubDM)"),
        "{ended:?}"
    );
}

/// A dialect of one's own where the tutorial's devices have their status.
#[test]
fn a_device_that_two_dialects_claim_gets_nothing() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let _device = emulator.run_device(0, &["--scenario", "quick"]);
    let unset = home(&emulator, PRESS, "");
    let ended = update(&unset, &["--expect", "1.5.0"]);
    assert_nothing_sent(&ended);
    for words in ["tutorial-2018 and of press", "Set `dialect`"] {
        assert!(ended.stderr.contains(words), "{words}: {ended:?}");
    }
    let ended = update(&unset, &["--expect", "1.5.0", "--dry-run"]);
    assert_eq!(ended.code, 8, "{ended:?}");
    assert!(ended.stdout.contains("would be refused"), "{ended:?}");
    let listed = unset.run(&["devices"]);
    let warning = "warning: firmwareStatus is the status of the dialects tutorial-2018 and press";
    assert!(listed.stderr.contains(warning), "{listed:?}");
    let checked = unset.run(&["config", "check"]);
    assert!(checked.stderr.contains(warning), "{checked:?}");
    let set = home(&emulator, PRESS, "dialect = \"press\"\n");
    let ended = update(&set, &["--expect", "1.5.0", "--dry-run"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!ended.stderr.contains("warning"), "{ended:?}");
}

#[test]
fn a_mistake_in_a_dialect_is_told_with_file_and_line() {
    let home = Home::new();
    let config = PRESS.replace("fetching = \"downloading\"", "fetching = \"donwloading\"");
    home.config(&format!("{config}[hub.plant]\nsecret_env = \"PLANT\"\n"));
    let ended = home.run(&["devices"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    for words in [
        "config.toml: line 8: dialect.press.values.fetching: \"donwloading\" is no phase",
        "did you mean `downloading`?",
    ] {
        assert!(ended.stderr.contains(words), "{ended:?}");
    }
}
