use std::time::Duration;

use super::*;
use crate::device::{Behaviour, Case, DeviceDialect, FailurePhase, StartsAs};
use crate::emulator::faults::{Effect, Route};

#[test]
fn every_built_in_scenario_is_valid_and_says_what_it_teaches() {
    for (name, _) in BUILT_IN {
        let scenario = Scenario::load(name).unwrap();
        assert!(!scenario.description.is_empty(), "{name}");
        assert!(!scenario.lesson.is_empty(), "{name}");
    }
}

#[test]
fn every_scenario_file_is_built_in() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/scenarios");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut known: Vec<String> = BUILT_IN
        .iter()
        .map(|(name, _)| format!("{name}.toml"))
        .collect();
    known.sort();
    assert_eq!(files, known);
}

#[test]
fn quick_is_what_the_demo_promises() {
    let quick = Scenario::load("quick").unwrap();
    for n in 1..=9 {
        let device = quick.rules.behaviour(&format!("sim-{n:04}"));
        assert!(device.connects && device.fails.is_none() && device.answer.is_none());
        assert_eq!(device.dialect, DeviceDialect::Tutorial2018);
    }
    for n in 1..=12 {
        let device = quick.rules.behaviour(&format!("sim-{n:04}"));
        let least = Duration::from_secs(2);
        assert!(device.waiting >= least && device.downloading >= least);
        assert!(device.applying >= least && device.firmware.is_some());
    }
    let tenth = quick.rules.behaviour("sim-0010").fails.unwrap();
    assert_eq!(tenth.phase, FailurePhase::Downloading);
    assert!(tenth.reason.contains("403"));
    assert_eq!(
        quick.rules.behaviour("sim-0011").dialect,
        DeviceDialect::IothubDm
    );
    assert!(!quick.rules.behaviour("sim-0012").connects);
    assert!(quick.rules.behaviour("sim-0013").connects);
}

#[test]
fn tutorial_is_the_plain_tutorial_device() {
    let tutorial = Scenario::load("tutorial").unwrap();
    assert_eq!(tutorial.rules.behaviour("anything"), Behaviour::default());
}

#[test]
fn later_rules_win_and_say_only_what_they_change() {
    let scenario = Scenario::parse(
        r#"
        description = "d"
        [defaults]
        firmware = "1"
        applying = "3s"
        [[device]]
        ids = "a-*"
        firmware = "2"
        jitter = 0.5
        [[device]]
        ids = ["x", "a-1"]
        firmware = "3"
        "#,
    )
    .unwrap();
    let firmware = |id| scenario.rules.behaviour(id).firmware.unwrap();
    assert_eq!(
        (
            firmware("b"),
            firmware("a-2"),
            firmware("a-1"),
            firmware("x")
        ),
        ("1".into(), "2".into(), "3".into(), "3".into())
    );
    let first = scenario.rules.behaviour("a-1");
    assert!((first.jitter - 0.5).abs() < f64::EPSILON);
    assert_eq!(first.applying, Duration::from_secs(3));
}

#[rstest::rstest]
#[case::unknown_key("[defaults]\ncolour = 1", &["line 3", "colour", "firmware"])]
#[case::unknown_top("colour = 1", &["line 2", "colour", "lesson"])]
#[case::bad_span("[defaults]\napplying = \"soon\"", &["line 3", "applying", "\"soon\" is no duration"])]
#[case::negative("[defaults]\napplying = \"-1s\"", &["is no duration"])]
#[case::too_long("[defaults]\napplying = \"25h\"", &["at most a day"])]
#[case::bad_jitter("[defaults]\njitter = 2.0", &["line 3", "jitter", "not between 0 and 1"])]
#[case::bad_dialect("[defaults]\ndialect = \"german\"", &["line 3", "german", "tutorial-2018"])]
#[case::bad_phase("[[device]]\nids = \"a\"\nfails = { phase = \"x\", reason = \"r\" }", &["line 4", "downloading"])]
#[case::bad_ids("[[device]]\nids = 7", &["line 3", "a list of them"])]
#[case::no_ids("[[device]]\nfirmware = \"1\"", &["[[device]] number 1 has no ids"])]
#[case::ids_in_defaults("[defaults]\nids = \"a\"", &["line 2", "no ids"])]
#[case::unknown_route("[[fault]]\nroute = \"methods\"\nhang = true", &["line 2", "did you mean \"method\"", "twin-read"])]
#[case::bad_silence("[defaults]\nsilent = \"yes\"", &["line 3", "true, false or"])]
#[case::bad_case("[defaults]\ncase = \"camel\"", &["line 3", "upper"])]
#[case::bad_clock("[defaults]\nclock = \"late\"", &["line 3", "no offset"])]
#[case::no_stall("[defaults]\nfinishes_after = \"2m\"", &["line 2", "say with stalls"])]
#[case::two_reboots("[defaults]\nreboot = \"1s\"\nreboots = { count = 1, away = \"1s\" }", &["line 2", "one of them"])]
#[case::no_count("[defaults]\nreboots = { away = \"1s\" }", &["line 3", "count = 3 or forever"])]
#[case::zero("[defaults]\nreboots = { count = 0, away = \"1s\" }", &["line 3", "count 0"])]
#[case::stalled_failure("[defaults]\nstalls = \"applying\"\n[[device]]\nids = \"a\"\nfails = { phase = \"applying\", reason = \"r\" }", &["line 4", "[[device]] number 1", "never fails"])]
#[case::never_gets_there("[defaults]\nstalls = \"downloading\"\nvanishes = \"applying\"", &["line 2", "never gets to where it vanishes"])]
#[case::fails_first("[defaults]\nvanishes = \"applying\"\nfails = { phase = \"downloading\", reason = \"r\" }", &["fails never gets"])]
#[case::loops("[defaults]\nstalls = \"applying\"\nreboots = { forever = true, away = \"1s\" }", &["reboots never get"])]
#[case::silent_answer("[defaults]\nsilent = true\nanswer = { status = 400 }", &["silent or answer"])]
#[case::tags_of_nobody("[[tag]]\nids = []\nsite = \"a\"", &["line 2", "has no ids"])]
#[case::no_tag("[[tag]]\nids = \"a\"", &["line 2", "names no tag"])]
#[case::no_such_tag("[[tag]]\nids = \"a\"\n\"si.te\" = \"a\"", &["line 2", "si.te"])]
#[case::no_life("[defaults]\ntoken = \"100ms\"", &["whole seconds"])]
fn mistakes_are_shown_where_they_are(#[case] text: &str, #[case] parts: &[&str]) {
    let text = format!("description = \"d\"\n{text}\n");
    let message = Scenario::parse(&text).unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    let message = Scenario::load("quikc").unwrap_err().to_string();
    assert!(message.contains("did you mean \"quick\"?"), "{message}");
    assert!(message.contains("tutorial"), "{message}");
    let message = Scenario::load("xyzzyxyzzy").unwrap_err().to_string();
    assert!(!message.contains("did you mean"), "{message}");
    let message = Scenario::load("./nowhere.toml").unwrap_err().to_string();
    assert!(message.contains("nowhere.toml cannot be read"), "{message}");
}

#[test]
fn a_file_is_read_from_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, "description = \"mine\"").unwrap();
    let scenario = Scenario::load(path.to_str().unwrap()).unwrap();
    assert_eq!(scenario.description, "mine");
}

#[test]
fn a_world_may_be_faster() {
    let text = r#"
        description = "d"
        [hub]
        twin_lag = "10s"
        [[fault]]
        route = "method"
        delay = "5s"
        [defaults]
        applying = "30s"
        reboots = { count = 1, away = "20s" }
        stalls = "waiting"
        finishes_after = "60s"
        token = "40s"
        clock = "-1y"
    "#;
    let slow = Scenario::parse(text).unwrap();
    let fast = slow.clone().faster(10);
    let device = fast.rules().behaviour("a");
    let seconds = Duration::from_secs;
    assert_eq!(device.applying, seconds(3));
    assert_eq!(device.reboots.unwrap().away, seconds(2));
    assert_eq!(device.finishes_after, Some(seconds(6)));
    assert_eq!(device.token, Some(seconds(4)));
    assert_eq!(device.clock, slow.rules().behaviour("a").clock);
    assert_eq!(fast.hub().twin_lag, seconds(1));
    let delay = fast.hub().faults[0].strike().delay;
    assert_eq!(delay, Duration::from_millis(500));
    assert_eq!(slow.clone().faster(1), slow);
}

/// Does such a world use what the story's name says?
fn uses(name: &str, hub: &Conditions, devices: &[Behaviour]) -> bool {
    let answer = |effect: &Option<Effect>| match effect {
        Some(Effect::Answer { code, .. }) => code.name(),
        _ => "",
    };
    let says = |route, name, runs: &[bool]| {
        runs.iter().all(|runs| {
            hub.faults.iter().any(|fault| {
                let strike = fault.strike();
                fault.routes().contains(&route)
                    && answer(&strike.effect) == name
                    && strike.runs == *runs
            })
        })
    };
    let all = |does: fn(&Behaviour) -> bool| devices.iter().all(does);
    let any = |does: fn(&Behaviour) -> bool| devices.iter().any(does);
    let fault = |does: fn(&Fault) -> bool| hub.faults.iter().any(does);
    let method = Route::Method;
    match name {
        "throttled" => says(method, "ThrottlingException", &[false]),
        "outage" => {
            says(method, "ServerError", &[true]) && says(method, "ServiceUnavailable", &[false])
        }
        "slow" => {
            fault(|fault| !fault.strike().delay.is_zero())
                && fault(|fault| matches!(fault.strike().effect, Some(Effect::Cut(_))))
        }
        "offline-flaps" => says(method, "DeviceNotOnline", &[false]),
        "lost-answer" => ["GatewayTimeout", "DeviceConnectionClosedRemotely"]
            .into_iter()
            .all(|name| says(method, name, &[true, false])),
        "stale" => all(|d| d.resends) && any(|d| d.starts_as == Some(StartsAs::Completed)),
        "twin-lag" => !hub.twin_lag.is_zero(),
        "index-lag" => !hub.index_lag.is_zero(),
        "shouting" => [Case::Upper, Case::Lower, Case::Title]
            .into_iter()
            .all(|case| devices.iter().any(|d| d.case == Some(case))),
        "reboot-loop" => {
            any(|d| d.reboots.is_some_and(|r| r.count.is_none()))
                && any(|d| d.reboots.is_some_and(|r| r.count.is_some()))
        }
        "vanishes" => all(|d| d.vanishes.is_some()),
        "expired-tokens" => {
            hub.service_token_life.is_some() && all(|d| d.token.is_some()) && any(|d| !d.renews)
        }
        "clock-skew" => !hub.clock.is_zero() && any(|d| d.clock.is_negative()),
        "late" => all(|d| d.finishes_after.is_some()),
        other => panic!("{other} is no story"),
    }
}

#[rstest::rstest]
fn a_story_uses_what_its_name_says(
    #[values(
        "throttled",
        "outage",
        "slow",
        "offline-flaps",
        "lost-answer",
        "stale",
        "twin-lag",
        "index-lag",
        "shouting",
        "reboot-loop",
        "vanishes",
        "expired-tokens",
        "clock-skew",
        "late"
    )]
    name: &str,
) {
    let story = Scenario::load(name).unwrap();
    assert!(story.lesson.len() > 20 && story.description.len() > 20);
    let devices: Vec<_> = (1..=12)
        .map(|n| story.rules().behaviour(&format!("sim-{n:04}")))
        .collect();
    assert!(uses(name, story.hub(), &devices));
    // It is played with updates that can be begun.
    let begun = |device: &Behaviour| device.connects && device.firmware.is_some();
    assert!(devices.iter().all(begun));
    assert!(!uses(name, &Conditions::default(), &[Behaviour::default()]));
}
