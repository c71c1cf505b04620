use std::time::Duration;

use super::*;
use crate::device::{Behaviour, DeviceDialect, FailurePhase};

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
#[case::ids_in_defaults("[defaults]\nids = \"a\"", &["no ids"])]
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
