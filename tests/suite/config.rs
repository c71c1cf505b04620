//! `otadeck config`: what is set, where that comes from, what is wrong.

use crate::support::program::Home;

const SECRET: &str =
    "HostName=plant.azure-devices.net;SharedAccessKeyName=service;SharedAccessKey=a2V5";

#[test]
fn every_setting_says_where_it_comes_from() {
    let home = Home::new();
    home.config("[update]\ntries = 3\n\n[hub.plant]\nsecret_env = \"PLANT\"\n");
    let ended = home.run(&["config", "show"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let line = |key: &str| {
        let line = ended.stdout.lines().find(|line| line.starts_with(key));
        line.unwrap_or_else(|| panic!("no {key} in {}", ended.stdout))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert!(line("update.tries").ends_with("3 # line 2"));
    assert!(line("update.phase_deadline").ends_with("\"15m\" # default"));
    assert!(line("hub.plant.secret_env").ends_with("\"PLANT\" # line 5"));
    let home = home.env("OTADECK_CONNECTION_STRING", SECRET);
    let ended = home.run(&["config", "show"]);
    let told = "the hub in use (plant.azure-devices.net)";
    assert!(ended.stdout.contains(told), "{}", ended.stdout);
    assert!(!ended.stdout.contains("a2V5"), "{}", ended.stdout);
    let ended = home.run(&["config", "show", "--json"]);
    let lines = ended.stdout.lines();
    let all: Vec<serde_json::Value> = lines.map(|l| serde_json::from_str(l).unwrap()).collect();
    let tries = all.iter().find(|s| s["key"] == "update.tries").unwrap();
    assert_eq!((&tries["value"], &tries["line"]), (&3.into(), &2.into()));
}

#[test]
fn mistakes_are_found_without_asking_a_hub() {
    let home = Home::new().env("PLANT", SECRET);
    let ended = home.run(&["config", "check"]);
    assert_eq!(ended.code, 0, "no file is no mistake: {ended:?}");
    home.config(
        "[hub.plant]\nsecret_env = \"PLANT\"\ntier = \"S2\"\n[hub.lab]\nsecret_env = \"LAB\"\n",
    );
    let ended = home.run(&["config", "check"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    let plant = "ok  hub plant: plant.azure-devices.net; S2";
    assert!(ended.stdout.contains(plant), "{}", ended.stdout);
    let lab = "✗   hub lab: the environment variable LAB is not set";
    assert!(ended.stdout.contains(lab), "{}", ended.stdout);
    assert!(!ended.stdout.contains("a2V5"), "{}", ended.stdout);
    let ended = home.run(&["config", "check", "--hub", "plant"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    home.config("[hub.plant]\nsecret_evn = \"PLANT\"\n");
    let ended = home.run(&["config", "check"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    let why = "did you mean `secret_env`?";
    assert!(ended.stderr.contains(why), "{}", ended.stderr);
}

/// A secret where its place should be named is not repeated by anything.
#[test]
fn a_secret_in_the_wrong_key_is_not_told() {
    let secret = "HostName=h.test;SharedAccessKeyName=s;SharedAccessKey=AAECAwQF";
    for (key, value) in [
        ("secret_env", format!("{secret:?}")),
        ("secret_file", format!("{secret:?}")),
        ("secret_command", format!("{secret:?}")),
        ("secret_command", format!("[{secret:?}]")),
        ("environment", format!("{secret:?}")),
    ] {
        let home = Home::new();
        home.config(&format!("[hub.plant]\n{key} = {value}\n"));
        for args in [
            &["config", "show"][..],
            &["config", "show", "--json"],
            &["config", "check"],
            &["devices"],
        ] {
            let ended = home.run(args);
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(!said.contains("AAECAwQF"), "{key} {args:?}: {said}");
            assert!(!said.is_empty());
        }
    }
}
