use jiff::tz::TimeZone;

use super::super::rules::{Answer, Case, Failure, Reboots};
use super::*;

const OURS: &str = "https://hub.test:8443/packages/fw-1.5.0.bin";
const THEIRS: &str = "https://other.test/fw-1.5.0.bin";

fn at(millis: u64) -> Moment {
    let utc = jiff::Timestamp::from_millisecond(i64::try_from(millis).unwrap()).unwrap();
    Moment {
        now: Duration::from_millis(millis),
        wall: WallTime::of(utc, &TimeZone::UTC),
        chance: 0.0,
    }
}

fn behaviour() -> Behaviour {
    Behaviour {
        firmware: Some("1.4.2".to_owned()),
        waiting: Duration::from_secs(2),
        downloading: Duration::from_secs(4),
        downloaded: Duration::from_secs(1),
        applying: Duration::from_secs(3),
        ..Behaviour::default()
    }
}

/// `answer 200`, `queued`, `say {…}`, `download 4s`, `reboot 5s`; times cut out.
fn shown(outputs: &[Output]) -> Vec<String> {
    let shown = outputs.iter().map(|output| match output {
        Output::Answer { status, payload } => format!("answer {status} {payload}"),
        Output::Phase(phase) => phase.to_string(),
        Output::Report { patch, passing } => {
            let mut patch = patch.clone();
            without_times(&mut patch);
            let verb = if *passing { "pass" } else { "say" };
            format!("{verb} {patch}")
        }
        Output::Download { least, .. } => format!("download {least:?}"),
        Output::Reboot(gone) => format!("reboot {gone:?}"),
        Output::Vanish => "vanish".to_owned(),
    });
    shown.collect()
}

fn without_times(patch: &mut Value) {
    let Value::Object(members) = patch else {
        return;
    };
    for (name, value) in members {
        let is_time = value.as_str().is_some_and(|text| text.starts_with("1970-"));
        if is_time || name == "fwPackageUri" {
            *value = json!("…");
        } else {
            without_times(value);
        }
    }
}

fn order(firmware: &mut Firmware, uri: &str, millis: u64) -> Vec<Output> {
    let payload = json!({ "fwPackageUri": uri }).to_string();
    let input = Input::Method {
        name: METHOD,
        payload: payload.as_bytes(),
    };
    firmware.step(input, at(millis))
}

/// Orders an update at 0 and ticks whenever the firmware asks to be woken;
/// gives a line for each output with its second.
fn whole_run(behaviour: Behaviour, uri: &str) -> Vec<String> {
    let mut firmware = Firmware::new(behaviour, "hub.test");
    let mut lines = shown(&order(&mut firmware, uri, 0));
    while let Some(wake) = firmware.wake_at() {
        let millis = u64::try_from(wake.as_millis()).unwrap();
        for line in shown(&firmware.step(Input::Tick, at(millis))) {
            lines.push(format!("{}s {line}", wake.as_secs_f64()));
        }
    }
    lines
}

#[test]
fn the_tutorials_run() {
    let mut firmware = Firmware::new(Behaviour::default(), "hub.test");
    let start = shown(&firmware.step(Input::Started, at(0)));
    assert_eq!(start, [r#"say {"firmwareStatus":"standBy","logTime":"…"}"#]);
    assert_eq!(
        whole_run(Behaviour::default(), "test.com"),
        [
            r#"answer 200 {"Response":"Firmware update started"}"#,
            "queued",
            "15s downloading",
            r#"15s say {"firmwareStatus":"downloading","downloadComplete":"…"}"#,
            "30s applying",
            r#"30s say {"firmwareStatus":"applying","startedApplyingImage":"…"}"#,
            "45s done",
            r#"45s say {"firmwareStatus":"completed","lastFirmwareUpdate":"…"}"#,
        ]
    );
}

#[test]
fn a_pretended_download_reports_its_percentage_when_told_to() {
    let behaviour = Behaviour {
        percent: true,
        downloading: Duration::from_secs(1),
        ..behaviour()
    };
    let lines = whole_run(behaviour, THEIRS);
    assert_eq!(
        &lines[2..],
        [
            "2s downloading",
            r#"2s say {"firmwareStatus":"downloading","downloadComplete":"…","downloadPercent":0,"firmwareError":null}"#,
            r#"2.25s pass {"downloadPercent":25}"#,
            r#"2.5s pass {"downloadPercent":50}"#,
            r#"2.75s pass {"downloadPercent":75}"#,
            "3s applying",
            r#"3s say {"firmwareStatus":"applying","startedApplyingImage":"…","downloadPercent":100}"#,
            "6s done",
            r#"6s say {"firmwareStatus":"completed","lastFirmwareUpdate":"…","firmwareVersion":"1.5.0"}"#,
        ]
    );
}

#[test]
fn the_2017_run_in_iothub_dm() {
    let behaviour = Behaviour {
        dialect: DeviceDialect::IothubDm,
        ..behaviour()
    };
    assert_eq!(
        &whole_run(behaviour, THEIRS)[1..],
        [
            "queued",
            r#"say {"iothubDM":{"firmwareUpdate":null}}"#,
            r#"say {"iothubDM":{"firmwareUpdate":{"status":"waiting","fwPackageUri":"…","error":null,"startedWaitingTime":"…"}}}"#,
            "2s downloading",
            r#"2s say {"iothubDM":{"firmwareUpdate":{"status":"downloading"}}}"#,
            "6s downloaded",
            r#"6s say {"iothubDM":{"firmwareUpdate":{"status":"downloadComplete","downloadCompleteTime":"…"}}}"#,
            "7s applying",
            r#"7s say {"iothubDM":{"firmwareUpdate":{"status":"applying","startedApplyingImage":"…"}}}"#,
            "10s done",
            r#"10s say {"iothubDM":{"firmwareUpdate":{"status":"applyComplete","lastFirmwareUpdate":"…"},"firmwareVersion":"1.5.0"}}"#,
        ]
    );
}

#[rstest::rstest]
#[case(FailurePhase::Downloading, "4s")]
#[case(FailurePhase::Applying, "7.5s")]
fn failures_come_half_way_through_their_phase(#[case] phase: FailurePhase, #[case] when: &str) {
    let behaviour = Behaviour {
        fails: Some(Failure {
            phase,
            reason: "403 Forbidden".to_owned(),
        }),
        ..behaviour()
    };
    // A download that shall fail is never a real one.
    let lines = match phase {
        FailurePhase::Downloading => whole_run(behaviour, OURS),
        FailurePhase::Applying => whole_run(behaviour, THEIRS),
    };
    let want =
        format!(r#"{when} say {{"firmwareStatus":"failed","firmwareError":"403 Forbidden"}}"#);
    assert_eq!(lines.last(), Some(&want));
}

#[test]
fn a_device_that_failed_takes_the_next_order_and_keeps_its_version() {
    let fails = Failure {
        phase: FailurePhase::Downloading,
        reason: "r".to_owned(),
    };
    let mut firmware = Firmware::new(
        Behaviour {
            fails: Some(fails),
            ..behaviour()
        },
        "h",
    );
    order(&mut firmware, THEIRS, 0);
    firmware.step(Input::Tick, at(2_000));
    firmware.step(Input::Tick, at(4_000));
    assert_eq!(firmware.wake_at(), None);
    assert_eq!(firmware.version(), Some("1.4.2"));
    let again = order(&mut firmware, THEIRS, 5_000);
    assert!(matches!(again[0], Output::Answer { status: 200, .. }));
}

#[test]
fn own_packages_are_really_downloaded() {
    let mut firmware = Firmware::new(behaviour(), "hub.test");
    order(&mut firmware, OURS, 0);
    let begin = firmware.step(Input::Tick, at(2_000));
    assert_eq!(
        shown(&begin),
        [
            "downloading",
            r#"say {"firmwareStatus":"downloading","downloadComplete":"…","downloadPercent":0,"firmwareError":null}"#,
            "download 4s",
        ]
    );
    assert_eq!(firmware.wake_at(), None);
    let on = firmware.step(Input::DownloadProgress(52.7), at(3_000));
    assert_eq!(shown(&on), [r#"pass {"downloadPercent":52}"#]);
    let mut broken = firmware.clone();
    let end = broken.step(Input::DownloadDone(Err("404 Not Found".into())), at(6_000));
    assert_eq!(
        shown(&end)[1],
        r#"say {"firmwareStatus":"failed","firmwareError":"404 Not Found"}"#
    );
    let end = firmware.step(Input::DownloadDone(Ok(())), at(6_000));
    assert_eq!(shown(&end)[0], "applying");
    let late = firmware.step(Input::DownloadDone(Ok(())), at(6_001));
    assert_eq!(late, [], "a late end of a download changes nothing");
    let late = firmware.step(Input::DownloadProgress(1.0), at(6_002));
    assert_eq!(late, []);
}

#[rstest::rstest]
#[case(
    "firmwareUpdate",
    r#"{"fwPackageUri":7}"#,
    400,
    "fwPackageUri is no string"
)]
#[case("firmwareUpdate", "", 400, "not nothing")]
#[case("reboot", "null", 501, "no method reboot")]
fn what_cannot_be_done_is_refused(
    #[case] name: &str,
    #[case] payload: &str,
    #[case] status: u16,
    #[case] why: &str,
) {
    let mut firmware = Firmware::new(behaviour(), "h");
    let payload = payload.as_bytes();
    let out = firmware.step(Input::Method { name, payload }, at(0));
    let [
        Output::Answer {
            status: got,
            payload,
        },
    ] = &out[..]
    else {
        panic!("{out:?}");
    };
    assert_eq!(*got, status);
    assert!(
        payload["message"].as_str().unwrap().contains(why),
        "{payload}"
    );
    assert_eq!(firmware.wake_at(), None, "nothing was started");
}

#[test]
fn a_second_order_finds_the_device_busy() {
    let mut firmware = Firmware::new(behaviour(), "h");
    order(&mut firmware, THEIRS, 0);
    firmware.step(Input::Tick, at(2_000));
    let wake = firmware.wake_at();
    assert_eq!(
        shown(&order(&mut firmware, THEIRS, 2_500)),
        [r#"answer 409 {"message":"an update is already running","phase":"downloading"}"#]
    );
    assert_eq!(firmware.wake_at(), wake);
}

#[test]
fn a_scenario_decides_the_answer() {
    let answering = |status, silent| {
        let behaviour = Behaviour {
            answer: Some(Answer {
                status,
                payload: json!("no"),
            }),
            silent,
            ..behaviour()
        };
        let mut firmware = Firmware::new(behaviour, "h");
        let out = shown(&order(&mut firmware, THEIRS, 0));
        (out, firmware.wake_at().is_some())
    };
    assert_eq!(
        answering(400, Silence::None),
        (vec![r#"answer 400 "no""#.into()], false)
    );
    let (accepted, runs) = answering(202, Silence::None);
    assert_eq!((accepted[0].as_str(), runs), (r#"answer 202 "no""#, true));
    assert_eq!(answering(200, Silence::Whole), (vec![], false));
}

#[test]
fn a_stalled_update_never_ends() {
    let behaviour = Behaviour {
        stalls: Some(Step::Applying),
        ..behaviour()
    };
    let lines = whole_run(behaviour, THEIRS);
    assert!(lines.last().unwrap().contains("applying"), "{lines:?}");
}

#[test]
fn a_reboot_cuts_the_link_when_applying_begins() {
    let behaviour = Behaviour {
        reboot: Some(Duration::from_secs(5)),
        ..behaviour()
    };
    let lines = whole_run(behaviour, THEIRS);
    let at = lines.iter().position(|line| line == "6s reboot 5s");
    assert!(
        at.is_some_and(|at| lines[at - 1].contains("applying")),
        "{lines:?}"
    );
}

#[test]
fn jitter_only_makes_a_step_longer() {
    let jittery = Behaviour {
        jitter: 0.5,
        ..behaviour()
    };
    for (chance, want) in [(0.0, 2_000), (0.5, 2_500), (1.0, 3_000), (7.0, 3_000)] {
        let got = length(&jittery, Step::Waiting, chance);
        assert_eq!(got.as_millis(), want);
    }
}

#[test]
fn time_that_stood_still_is_made_up_in_one_go() {
    let mut firmware = Firmware::new(behaviour(), "h");
    order(&mut firmware, THEIRS, 0);
    let mut phases = Vec::new();
    for _ in 0..3 {
        let out = firmware.step(Input::Tick, at(3_600_000));
        phases.extend(
            shown(&out)
                .into_iter()
                .filter(|line| !line.starts_with("say")),
        );
        if let Some(wake) = firmware.wake_at() {
            assert!(wake > Duration::from_secs(3_600));
        }
    }
    assert_eq!(phases, ["downloading"], "each step keeps its length");
}

#[test]
fn the_version_without_a_name_is_the_scenarios_or_stays() {
    let version = |next: Option<&str>, first: Option<&str>| {
        let behaviour = Behaviour {
            firmware: first.map(str::to_owned),
            next_firmware: next.map(str::to_owned),
            ..behaviour()
        };
        let mut firmware = Firmware::new(behaviour, "h");
        order(&mut firmware, "https://x.test/package", 0);
        while let Some(wake) = firmware.wake_at() {
            let millis = u64::try_from(wake.as_millis()).unwrap();
            firmware.step(Input::Tick, at(millis));
        }
        firmware.version().map(str::to_owned)
    };
    assert_eq!(version(Some("9"), Some("1")).as_deref(), Some("9"));
    assert_eq!(version(None, Some("1")).as_deref(), Some("1"));
    assert_eq!(version(Some("9"), None), None);
}

/// The lines of a run that are neither percentages nor answers.
fn story(behaviour: Behaviour) -> Vec<String> {
    let lines = whole_run(behaviour, THEIRS).into_iter();
    let phases = lines.filter(|line| !line.contains("say {") && !line.contains("pass {"));
    phases.skip(2).collect()
}

#[test]
fn a_stall_may_end_after_all() {
    let late = Behaviour {
        stalls: Some(Step::Applying),
        finishes_after: Some(Duration::from_secs(90)),
        ..behaviour()
    };
    let want = ["2s downloading", "6s applying", "96s done"];
    assert_eq!(story(late.clone()), want);
    let download = Behaviour {
        percent: true,
        stalls: Some(Step::Downloading),
        ..late
    };
    let want = ["2s downloading", "92s applying", "95s done"];
    assert_eq!(story(download.clone()), want);
    // It reaches its 99, and then says nothing any more.
    let lines = whole_run(download, THEIRS);
    let last = lines.iter().rfind(|line| line.contains("pass {"));
    assert_eq!(last.unwrap(), r#"6s pass {"downloadPercent":99}"#);
}

#[test]
fn a_reboot_loop_applies_again_and_again() {
    let reboots = |count| Reboots {
        count,
        away: Duration::from_secs(4),
    };
    let thrice = Behaviour {
        reboots: Some(reboots(Some(2))),
        ..behaviour()
    };
    let want = [
        "2s downloading",
        "6s applying",
        "6s reboot 4s",
        "13s applying",
        "13s reboot 4s",
        "20s applying",
        "23s done",
    ];
    assert_eq!(story(thrice.clone()), want);
    let mut forever = Firmware::new(
        Behaviour {
            reboots: Some(reboots(None)),
            ..thrice
        },
        "hub.test",
    );
    order(&mut forever, THEIRS, 0);
    for _ in 0..50 {
        let wake = forever.wake_at().unwrap();
        forever.step(Input::Tick, at(u64::try_from(wake.as_millis()).unwrap()));
    }
    assert!(forever.wake_at().unwrap() > Duration::from_secs(300));
}

#[rstest::rstest]
#[case(Vanishing::Downloading, &["2s downloading", "4s vanish"])]
#[case(Vanishing::Applying, &["2s downloading", "6s applying", "7.5s vanish"])]
fn a_device_that_vanishes_is_never_heard_of_again(
    #[case] vanishes: Vanishing,
    #[case] want: &[&str],
) {
    let behaviour = Behaviour {
        vanishes: Some(vanishes),
        ..behaviour()
    };
    assert_eq!(story(behaviour.clone()), want);
    let mut firmware = Firmware::new(behaviour, "hub.test");
    order(&mut firmware, THEIRS, 0);
    while let Some(wake) = firmware.wake_at() {
        firmware.step(Input::Tick, at(u64::try_from(wake.as_millis()).unwrap()));
    }
    assert_eq!(order(&mut firmware, THEIRS, 60_000), []);
    assert_eq!(firmware.step(Input::Reconnected, at(60_001)), []);
}

#[test]
fn a_device_may_say_nothing_and_begin_all_the_same() {
    let mut firmware = Firmware::new(
        Behaviour {
            silent: Silence::Starts,
            ..behaviour()
        },
        "hub.test",
    );
    assert_eq!(shown(&order(&mut firmware, THEIRS, 0)), ["queued"]);
    assert!(firmware.wake_at().is_some());
    assert_eq!(order(&mut firmware, THEIRS, 1), []);
}

#[rstest::rstest]
#[case(StartsAs::Completed, r#"say {"firmwareStatus":"completed","logTime":"…","firmwareVersion":"1.4.2","lastFirmwareUpdate":"…"}"#)]
#[case(StartsAs::Failed, r#"say {"firmwareStatus":"failed","logTime":"…","firmwareVersion":"1.4.2","firmwareError":"the run before this one failed"}"#)]
#[case(StartsAs::Downloading, r#"say {"firmwareStatus":"downloading","logTime":"…","firmwareVersion":"1.4.2","downloadComplete":"…"}"#)]
#[case(StartsAs::Applying, r#"say {"firmwareStatus":"applying","logTime":"…","firmwareVersion":"1.4.2","startedApplyingImage":"…"}"#)]
fn a_previous_run_stands_in_the_twin_at_start(#[case] left: StartsAs, #[case] want: &str) {
    let behaviour = Behaviour {
        starts_as: Some(left),
        ..behaviour()
    };
    let mut firmware = Firmware::new(behaviour, "hub.test");
    let outputs = firmware.step(Input::Started, at(86_400_000 + 1_000));
    let [Output::Report { patch, .. }] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!(shown(&outputs)[0].replace("1970-01-02 00:00:01", "…"), want);
    // The run was yesterday, the program starts today.
    let end = patch.get("lastFirmwareUpdate");
    assert!(end.is_none_or(|end| end == "1970-01-01 00:00:01"));
    assert_eq!(patch["logTime"], "1970-01-02 00:00:01");
}

#[test]
fn a_device_that_resends_says_all_it_ever_said() {
    let resending = Behaviour {
        resends: true,
        ..behaviour()
    };
    let mut firmware = Firmware::new(resending, "hub.test");
    assert_eq!(firmware.step(Input::Reconnected, at(0)), []);
    firmware.step(Input::Started, at(0));
    order(&mut firmware, THEIRS, 0);
    while let Some(wake) = firmware.wake_at() {
        firmware.step(Input::Tick, at(u64::try_from(wake.as_millis()).unwrap()));
    }
    let again = firmware.step(Input::Reconnected, at(90_000));
    assert_eq!(
        shown(&again),
        [concat!(
            r#"say {"firmwareStatus":"completed","logTime":"…","firmwareVersion":"1.5.0","#,
            r#""downloadComplete":"…","startedApplyingImage":"…","lastFirmwareUpdate":"…"}"#
        )]
    );
    let mut other = Firmware::new(behaviour(), "hub.test");
    other.step(Input::Started, at(0));
    assert_eq!(other.step(Input::Reconnected, at(1)), []);
}

#[rstest::rstest]
#[case(Case::Upper, "APPLYING")]
#[case(Case::Lower, "applying")]
#[case(Case::Title, "Applying")]
fn words_are_written_in_the_devices_case(#[case] case: Case, #[case] want: &str) {
    let behaviour = Behaviour {
        case: Some(case),
        says: crate::device::Sayings {
            done: Some("allDone".to_owned()),
            ..Default::default()
        },
        ..behaviour()
    };
    let lines = whole_run(behaviour, THEIRS).join("\n");
    assert!(
        lines.contains(&format!(r#""firmwareStatus":"{want}""#)),
        "{lines}"
    );
    assert!(
        lines.contains(&format!(r#""firmwareStatus":"{}""#, case.of("allDone"))),
        "{lines}"
    );
}

#[test]
fn a_percentage_may_fall_back() {
    let behaviour = Behaviour {
        percent: true,
        percent_jumps: true,
        downloading: Duration::from_secs(2),
        ..behaviour()
    };
    let lines = whole_run(behaviour, THEIRS);
    let percents: Vec<u64> = lines
        .iter()
        .filter_map(|line| line.split_once("pass {\"downloadPercent\":"))
        .map(|(_, rest)| rest.trim_end_matches('}').parse().unwrap())
        .collect();
    assert_eq!(percents, [12, 25, 37, 25, 62, 75, 87]);
}

#[test]
fn a_clock_that_is_off_is_off_in_what_is_written() {
    let behaviour = Behaviour {
        clock: SignedDuration::from_hours(-24 * 365),
        ..behaviour()
    };
    let mut firmware = Firmware::new(behaviour, "hub.test");
    let outputs = firmware.step(Input::Started, at(0));
    let [Output::Report { patch, .. }] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!(patch["logTime"], "1969-01-01 00:00:00");
}

#[rstest::rstest]
#[case(DeviceDialect::Tutorial2018, json!({"firmwareVersion": "9.9"}), Some("9.9"))]
#[case(DeviceDialect::IothubDm, json!({"iothubDM": {"firmwareVersion": "9.9"}}), Some("9.9"))]
#[case(DeviceDialect::Java2017, json!({"firmwareUpdate": {"firmwareVersion": "9.9"}}), Some("9.9"))]
#[case(DeviceDialect::Java2017, json!({"firmwareVersion": "9.9"}), Some("1.4.2"))]
#[case(DeviceDialect::Tutorial2018, json!({"firmwareVersion": 9}), Some("1.4.2"))]
#[case(DeviceDialect::Tutorial2018, Value::Null, Some("1.4.2"))]
fn a_device_remembers_what_its_twin_holds(
    #[case] dialect: DeviceDialect,
    #[case] reported: Value,
    #[case] want: Option<&str>,
) {
    let behaviour = Behaviour {
        dialect,
        ..behaviour()
    };
    let mut firmware = Firmware::new(behaviour, "hub.test");
    firmware.recall(&reported);
    assert_eq!(firmware.version(), want);
    let mut silent = Firmware::new(Behaviour::default(), "hub.test");
    silent.recall(&reported);
    assert_eq!(silent.version(), None);
}
