//! Every value, every sample twin and every start of the families built in.
//! Sources stand in [`built_in`](super::built_in).

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::fake::FakeTwin;
use crate::domain::phase::Phase::*;
use crate::domain::twin::{Section, Twin};

fn section(reported: Value) -> Section {
    Section {
        values: reported.as_object().unwrap().clone(),
        ..Section::default()
    }
}

fn read(dialect: &str, reported: Value) -> Reading {
    let dialects = Dialects::built_in();
    dialects.find(dialect).unwrap().read(&section(reported))
}

/// A report that holds `value` at the dialect's status, and nothing else.
fn status(dialect: &str, value: &Value) -> Value {
    let mut section = Section::default();
    let path = Dialects::built_in().find(dialect).unwrap().status.clone();
    section.put(&path, value.clone());
    Value::Object(section.values)
}

#[rstest::rstest]
// Python tutorial, 2018.
#[case("tutorial-2018", "standBy", Idle)]
#[case("tutorial-2018", "downloading", Downloading)]
#[case("tutorial-2018", "applying", Applying)]
#[case("tutorial-2018", "completed", Done)]
// Node and C# tutorials of 2017, C SDK sample.
#[case("iothubDM", "waiting", Queued)]
#[case("iothubDM", "downloading", Downloading)]
#[case("iothubDM", "downloadComplete", Downloaded)]
#[case("iothubDM", "applying", Applying)]
#[case("iothubDM", "applyComplete", Done)]
#[case("iothubDM", "downloadfailed", Failed)]
#[case("iothubDM", "downloadFailed", Failed)]
#[case("iothubDM", "applyFailed", Failed)]
// Node SDK sample: words with spaces, and their later spelling.
#[case("iothubDM", "download complete", Downloaded)]
#[case("iothubDM", "apply firmware image complete", Done)]
#[case("iothubDM", "Apply firmware image complete", Done)]
#[case("iothubDM", "Download image failed", Failed)]
#[case("iothubDM", "Apply image failed", Failed)]
#[case("iothubDM-string", "downloadComplete", Downloaded)]
#[case("iothubDM-string", "applyComplete", Done)]
// Java tutorial, 2017.
#[case("java-2017", "waiting", Queued)]
#[case("java-2017", "downloadComplete", Downloaded)]
#[case("java-2017", "applyComplete", Done)]
// Automatic device management tutorial, 2018; capitalised on a board.
#[case("device-management", "current", Idle)]
#[case("device-management", "downloading", Downloading)]
#[case("device-management", "verifying", Downloaded)]
#[case("device-management", "applying", Applying)]
#[case("device-management", "rebooting", Rebooting)]
#[case("device-management", "error", Failed)]
#[case("device-management", "rolledback", Failed)]
#[case("device-management", "Current", Idle)]
#[case("device-management", "Downloading", Downloading)]
#[case("device-management", "Verifying", Downloaded)]
#[case("device-management", "Applying", Applying)]
#[case("device-management", "Error", Failed)]
// Device Update agent: 0, 6 and 255 come to the cloud.
#[case("device-update", "0", Idle)]
#[case("device-update", "1", Downloading)]
#[case("device-update", "2", Downloaded)]
#[case("device-update", "3", Applying)]
#[case("device-update", "4", Applying)]
#[case("device-update", "5", Applying)]
#[case("device-update", "6", Applying)]
#[case("device-update", "7", Applying)]
#[case("device-update", "8", Applying)]
#[case("device-update", "9", Applying)]
#[case("device-update", "255", Failed)]
// Remote Monitoring 1, without a stage.
#[case("remote-monitoring-1", "Running", Queued)]
#[case("remote-monitoring-1", "Complete", Done)]
#[case("remote-monitoring-1", "Failed", Failed)]
// Remote Monitoring 2, C client.
#[case("remote-monitoring-2", "DOWNLOADING", Downloading)]
#[case("remote-monitoring-2", "APPLYING", Applying)]
#[case("remote-monitoring-2", "REBOOTING", Rebooting)]
#[case("remote-monitoring-2", "IDLE", Idle)]
// Its simulated devices.
#[case(
    "remote-monitoring-2",
    "Command received, updating firmware version to 2.0",
    Queued
)]
#[case("remote-monitoring-2", "Image Downloading...", Downloading)]
#[case("remote-monitoring-2", "Downloaded, applying firmware...", Applying)]
#[case("remote-monitoring-2", "Rebooting...", Rebooting)]
#[case("remote-monitoring-2", "Firmware Updated.", Done)]
#[case("remote-monitoring-2", "", Idle)]
fn every_value_has_its_phase(#[case] dialect: &str, #[case] value: &str, #[case] phase: Phase) {
    let reading = read(dialect, status(dialect, &json!(value)));
    assert_eq!(reading.phase, phase);
    // Trimmed, and without regard to case.
    for spelt in [value.to_uppercase(), format!("  {} ", value.to_lowercase())] {
        let reading = read(dialect, status(dialect, &json!(spelt)));
        assert_eq!(reading.phase, phase, "{spelt:?}");
    }
    let shown = (!value.is_empty()).then_some(value);
    assert_eq!(reading.value.as_deref(), shown);
    assert_eq!(reading.property.to_string(), property_of(dialect));
}

fn property_of(dialect: &str) -> String {
    Dialects::built_in()
        .find(dialect)
        .unwrap()
        .status
        .to_string()
}

#[rstest::rstest]
#[case("completed!")]
#[case("not completed")]
#[case("complete d")]
#[case("Firmware Updated. Not!")]
#[case("Firmware Updated")]
#[case("rebooting failed")]
#[case("applyCompleted")]
#[case("700")]
#[case("-1")]
fn what_no_dialect_knows_is_shown_as_it_is_and_is_no_success(#[case] value: &str) {
    for dialect in Dialects::built_in().iter() {
        let reading = read(&dialect.name, status(&dialect.name, &json!(value)));
        assert_eq!(reading.phase, Unknown, "{}", dialect.name);
        assert_eq!(reading.value.as_deref(), Some(value));
    }
}

fn firmware(status: &str, pending: &str, end: &str) -> Value {
    json!({"firmware": {"currentFwVersion": "1.0.0", "pendingFwVersion": pending,
        "fwUpdateStatus": status, "fwUpdateSubstatus": "why",
        "lastFwUpdateStartTime": "", "lastFwUpdateEndTime": end}})
}

/// `current` says that nothing is being done, not that nothing is to be done.
#[rstest::rstest]
#[case("current", "", "", Idle)]
#[case("current", "", "2018-07-01T00:00:00.000Z", Done)]
#[case("current", "1.1.0", "", Queued)]
#[case("current", "1.1.0", "2018-07-01T00:00:00.000Z", Queued)]
#[case("Current", "1.1.0", "", Queued)]
#[case("downloading", "1.1.0", "", Downloading)]
#[case("rolledback", "1.1.0", "2018-07-01T00:00:00.000Z", Failed)]
#[case("odd", "", "2018-07-01T00:00:00.000Z", Unknown)]
fn current_with_a_pending_version_is_not_done(
    #[case] status: &str,
    #[case] pending: &str,
    #[case] end: &str,
    #[case] phase: Phase,
) {
    let reading = read("device-management", firmware(status, pending, end));
    assert_eq!(reading.phase, phase);
    assert_eq!(reading.pending.map(|p| p.text), some(pending));
    assert_eq!(reading.end.map(|p| p.text), some(end));
    assert_eq!(reading.at_rest, matches!(phase, Idle | Done));
    assert_eq!(reading.version.unwrap().text, "1.0.0");
    assert_eq!(reading.substatus.unwrap().text, "why");
    let error = reading.error.map(|e| e.text);
    assert_eq!(error.as_deref(), (phase == Failed).then_some("why"));
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn agent(state: u32, action: u32, result: Value) -> Value {
    json!({"deviceUpdate": {"__t": "c", "agent": {
        "lastInstallResult": result, "state": state,
        "workflow": {"action": action, "id": "e99c69ca"},
        "installedUpdateId":
            "{\"provider\":\"Contoso\",\"name\":\"Virtual-Vacuum\",\"version\":\"20.0\"}"}}})
}

#[rstest::rstest]
#[case(0, 3, json!({"resultCode": 700, "extendedResultCode": 0, "resultDetails": ""}), Done, None)]
#[case(6, 3, json!({"resultCode": 700, "extendedResultCode": 0, "resultDetails": ""}), Applying, None)]
#[case(0, 3, json!({"resultCode": 0, "extendedResultCode": 0}), Idle, Some("resultCode 0"))]
#[case(0, 255, json!({"resultCode": 700}), Idle, None)]
#[case(0, 3, json!({}), Idle, None)]
#[case(255, 3, json!({"resultCode": 0, "extendedResultCode": 805_306_369, "resultDetails": "no space"}),
    Failed, Some("resultCode 0, extendedResultCode 805306369 (0x30000001), no space"))]
#[case(255, 3, json!({"resultCode": -1, "extendedResultCodes": "30000001,00000002"}),
    Failed, Some("resultCode -1, extendedResultCodes 30000001,00000002"))]
fn an_agent_is_done_only_with_a_positive_result(
    #[case] state: u32,
    #[case] action: u32,
    #[case] result: Value,
    #[case] phase: Phase,
    #[case] error: Option<&str>,
) {
    let reading = read("device-update", agent(state, action, result));
    assert_eq!(reading.phase, phase);
    assert_eq!(reading.error.map(|e| e.text).as_deref(), error);
    assert_eq!(reading.version.unwrap().text, "20.0");
    assert_eq!(reading.run.unwrap().text, "e99c69ca");
    assert_eq!(reading.at_rest, phase == Done);
}

#[test]
fn a_retried_deployment_is_another_run_and_a_strange_update_id_is_no_version() {
    let mut reported = agent(6, 3, json!({}));
    let agent = &mut reported["deviceUpdate"]["agent"];
    agent["workflow"]["retryTimestamp"] = json!("2026-01-01T00:00:00Z");
    agent["installedUpdateId"] = json!("{\"version\"");
    let reading = read("device-update", reported);
    assert_eq!(reading.run.unwrap().text, "e99c69ca 2026-01-01T00:00:00Z");
    assert_eq!(reading.version, None);
}

#[rstest::rstest]
#[case(json!({"Status": "Running"}), Queued, "")]
#[case(json!({"Status": "Running", "Download": {"Status": "Running"}}), Downloading, "Download.")]
#[case(json!({"Status": "Running", "Download": {"Status": "Complete"}}), Downloaded, "Download.")]
#[case(json!({"Status": "Running", "Download": {"Status": "Complete"}, "Applied": {"Status": "Running"}}),
    Applying, "Applied.")]
#[case(json!({"Status": "Running", "Applied": {"Status": "Complete"}}), Applying, "Applied.")]
#[case(json!({"Status": "Running", "Applied": {"Status": "Failed"}}), Failed, "Applied.")]
#[case(json!({"Status": "Running", "Reboot": {"Status": "Running"}}), Rebooting, "Reboot.")]
#[case(json!({"Status": "Running", "Reboot": {"Status": "Complete"}}), Rebooting, "Reboot.")]
#[case(json!({"Status": "Running", "Reboot": {"Status": "Failed"}}), Failed, "Reboot.")]
#[case(json!({"Status": "Running", "Reboot": {"Status": "odd"}}), Unknown, "Reboot.")]
#[case(json!({"Status": "Failed", "Reboot": {"Status": "Complete"}}), Failed, "")]
#[case(json!({"Status": "Complete", "Reboot": {"Status": "Complete"}}), Done, "")]
#[case(json!({"Status": "odd", "Reboot": {"Status": "Complete"}}), Unknown, "")]
#[case(json!({"Reboot": {"Status": "Complete"}}), Idle, "")]
fn the_stage_under_way_tells_the_phase_and_is_its_evidence(
    #[case] update: Value,
    #[case] phase: Phase,
    #[case] stage: &str,
) {
    let reported =
        json!({"Method": {"UpdateFirmware": update}, "System": {"FirmwareVersion": "2"}});
    let reading = read("remote-monitoring-1", reported);
    assert_eq!(reading.phase, phase);
    let property = format!("Method.UpdateFirmware.{stage}Status");
    assert_eq!(reading.property.to_string(), property);
    assert_eq!(reading.version.unwrap().text, "2");
}

const URI: &str = "https://x.test/fw.bin?sig=1";

#[rstest::rstest]
#[case("tutorial-2018", "firmwareUpdate", json!({"fwPackageUri": URI}))]
#[case("iothubDM", "firmwareUpdate", json!({"fwPackageUri": URI}))]
#[case("iothubDM-string", "firmwareUpdate",
    json!("{\"fwPackageUri\":\"https://x.test/fw.bin?sig=1\"}"))]
#[case("java-2017", "firmwareUpdate", json!(URI))]
#[case("remote-monitoring-1", "InitiateFirmwareUpdate", json!({"FwPackageUri": URI}))]
#[case("remote-monitoring-2", "FirmwareUpdate", json!({"Firmware": "2.0", "FirmwareUri": URI}))]
fn each_family_is_started_as_its_sample_is(
    #[case] dialect: &str,
    #[case] method: &str,
    #[case] payload: Value,
) {
    let dialects = Dialects::built_in();
    let values = Values {
        version: Some("2.0"),
        ..Values::of_uri(URI)
    };
    let (by, sent) = dialects.find(dialect).unwrap().start(&values).unwrap();
    assert_eq!(by.method, method);
    assert_eq!(sent, payload);
}

#[rstest::rstest]
#[case("device-management", "watched only")]
#[case("device-update", "watched only")]
#[case("remote-monitoring-2", "{version}")]
fn what_cannot_be_started_says_so_and_what_to_do(#[case] dialect: &str, #[case] why: &str) {
    let dialects = Dialects::built_in();
    let dialect = dialects.find(dialect).unwrap();
    let cannot = dialect.start(&Values::of_uri(URI)).unwrap_err();
    assert!(cannot.to_string().contains(why), "{cannot}");
    let problem = cannot.problem(&crate::domain::id::DeviceId::parse("d").unwrap());
    assert!(problem.hint.contains("Nothing was sent"), "{problem}");
    assert!(problem.hint.contains("otadeck "), "{problem}");
}

#[rstest::rstest]
#[case(json!({"firmwareStatus": "standBy", "logTime": "2018-02-22 14:03:07.123456"}), "tutorial-2018")]
#[case(json!({"iothubDM": {"firmwareUpdate": {"fwPackageUri": "https://x", "status": "waiting",
    "startedWaitingTime": "2017-01-01T00:00:00.000Z"}}}), "iothubDM")]
#[case(json!({"iothubDM": {"firmwareUpdate": {"status": "download complete"}}}), "iothubDM")]
#[case(json!({"iothubDM": {"firmwareVersion": "1.0"}}), "iothubDM")]
#[case(json!({"firmwareUpdate": {"status": "downloadComplete", "downloadCompleteTime": "t",
    "startedApplyingImage": "t"}}), "java-2017")]
#[case(firmware("current", "", ""), "device-management")]
#[case(agent(0, 3, json!({"resultCode": 700})), "device-update")]
#[case(json!({"Method": {"UpdateFirmware": {"Status": "Running", "LastUpdate": "t", "Duration-s": 3}}}),
    "remote-monitoring-1")]
#[case(json!({"Method": {"UpdateFirmware": null}, "System": {"FirmwareVersion": "2"}}), "remote-monitoring-1")]
#[case(json!({"Firmware": "1.0", "FirmwareUpdateStatus": "IDLE"}), "remote-monitoring-2")]
#[case(json!({"FirmwareUpdateStatus": "Image Downloading..."}), "remote-monitoring-2")]
#[case(json!({"Firmware": "1.0"}), "tutorial-2018")]
#[case(json!({}), "tutorial-2018")]
fn each_family_is_recognised_by_a_sample_twin(#[case] reported: Value, #[case] name: &str) {
    let mut fake = FakeTwin::new("d");
    let twin = fake.report(reported);
    assert_eq!(Dialects::built_in().recognise(&twin).name, name);
}

#[test]
fn of_several_families_the_one_written_last_counts() {
    let dialects = Dialects::built_in();
    let mut fake = FakeTwin::new("d");
    // All at once: the more specific path.
    let twin = fake.report(json!({"firmwareStatus": "completed",
        "firmwareUpdate": {"status": "applyComplete"},
        "iothubDM": {"firmwareUpdate": {"status": "applyComplete"}}}));
    let choice = dialects.choose(&twin.reported, None);
    assert_eq!(choice.dialect.name, "iothubDM");
    assert_eq!(
        choice.how.to_string(),
        "recognised by iothubDM.firmwareUpdate.status, \
         more specific than that of java-2017, tutorial-2018"
    );
    let twin = fake.report(json!({"firmwareStatus": "downloading"}));
    let choice = dialects.choose(&twin.reported, None);
    assert_eq!(choice.dialect.name, "tutorial-2018");
    assert_eq!(
        choice.how.to_string(),
        "recognised by firmwareStatus, written later than that of iothubDM, java-2017"
    );
    let twin = fake.report(json!({"firmwareUpdate": {"status": "waiting"}}));
    assert_eq!(dialects.recognise(&twin).name, "java-2017");
    // What is not the status does not count.
    let twin = fake.report(json!({"iothubDM": {"firmwareVersion": "3"}}));
    assert_eq!(dialects.recognise(&twin).name, "java-2017");
}

fn press(name: &str, status: &str) -> Dialect {
    Dialect::from(Description {
        name: name.into(),
        status: status.into(),
        values: vec![("Fetching".into(), Downloading), ("Fine".into(), Done)],
        rest: vec!["Ready".into()],
        places: Places {
            pending: Some("press.next".into()),
            ..Places::default()
        },
        starts: Starts::WatchedOnly,
    })
}

#[test]
fn what_is_set_goes_before_what_is_recognised() {
    let rule = |condition: &str, dialect: &str| Rule {
        condition: condition.into(),
        dialect: dialect.into(),
    };
    let rules = vec![
        rule("tags.a = 1", "java-2017"),
        rule("tags.b = 1", "nowhere"),
    ];
    let dialects = Dialects::with([press("press", "press.state")]).set(Some("press".into()), rules);
    let reported = section(json!({"firmwareStatus": "completed"}));
    let choice = dialects.choose(&reported, Some(0));
    assert_eq!(choice.dialect.name, "java-2017");
    assert_eq!(choice.how.to_string(), "set for devices with tags.a = 1");
    let choice = dialects.choose(&reported, None);
    assert_eq!(
        (choice.dialect.name.as_str(), choice.how),
        ("press", How::Hub)
    );
    assert_eq!(
        dialects.rules().len(),
        1,
        "a rule for no dialect sets nothing"
    );
}

#[test]
fn a_configured_dialect_is_recognised_where_no_other_has_its_status() {
    let mut fake = FakeTwin::new("d");
    let twin = fake.report(json!({"press": {"state": "FETCHING", "next": "2"}}));
    let dialects = Dialects::with([press("press", "press.state")]);
    assert_eq!(dialects.recognise(&twin).name, "press");
    let twins = Dialects::with([press("a", "press.state"), press("b", "press.state")]);
    let unclear = |dialects: &Dialects, twin: &Twin| {
        let problem = dialects
            .choose(&twin.reported, None)
            .unclear(&twin.device_id);
        problem.map(|problem| problem.cause)
    };
    assert_eq!(unclear(&dialects, &twin), None);
    let said = unclear(&twins, &twin).unwrap();
    assert_eq!(
        said,
        "it reports press.state, which is the status of a and of b"
    );
    // One that was reported later counts, and is clear; then the built-in's rival.
    let twin = fake.report(json!({"firmwareStatus": "Fine"}));
    assert_eq!(unclear(&twins, &twin), None);
    let like = Dialects::with([press("like", "firmwareStatus")]);
    let said = unclear(&like, &twin).unwrap();
    assert!(said.ends_with("of tutorial-2018 and of like"), "{said}");
    // Not where it is set, nor where nothing is reported.
    let set = like.clone().set(Some("like".into()), Vec::new());
    assert_eq!(unclear(&set, &twin), None);
    assert_eq!(set.recognise(&twin).name, "like");
    assert_eq!(unclear(&like, &FakeTwin::new("d").twin), None);
}

#[test]
fn dialects_that_claim_one_path_are_named() {
    let names = |dialects: &Dialects| -> Vec<String> {
        let told = |(path, names): (&Path, Vec<&str>)| format!("{path}: {}", names.join(" "));
        dialects.rivals().into_iter().map(told).collect()
    };
    assert_eq!(names(&Dialects::built_in()), [""; 0]);
    let three = [
        press("a", "press.state"),
        press("b", "press.state"),
        press("c", "firmwareStatus"),
    ];
    let dialects = Dialects::with(three);
    let told = ["firmwareStatus: tutorial-2018 c", "press.state: a b"];
    assert_eq!(names(&dialects), told);
    assert_eq!(names(&dialects.set(Some("a".into()), Vec::new())), [""; 0]);
}

#[rstest::rstest]
#[case(json!({"state": "fetching "}), Downloading)]
#[case(json!({"state": "fine"}), Done)]
#[case(json!({"state": "READY"}), Idle)]
#[case(json!({"state": "fine", "next": "2"}), Queued)]
#[case(json!({"state": "ready", "next": "2"}), Queued)]
#[case(json!({"state": "ready", "next": " "}), Idle)]
#[case(json!({"state": "completed"}), Unknown)]
fn a_configured_dialect_reads_its_own_words(#[case] reported: Value, #[case] phase: Phase) {
    let reading = press("press", "press.state").read(&section(json!({ "press": reported })));
    assert_eq!(reading.phase, phase);
}

/// An update begun in a dialect that is there no more is read in the one that
/// the device is recognised by; one whose dialect is there, in that.
#[test]
fn an_update_is_read_in_the_dialect_that_it_began_in() {
    let mut fake = FakeTwin::new("d");
    let twin = fake.report(json!({"iothubDM": {"firmwareUpdate": {"status": "applying"}}}));
    let dialects = Dialects::built_in();
    assert_eq!(dialects.reading("gone", &twin).name, "iothubDM");
    assert_eq!(dialects.reading("java-2017", &twin).name, "java-2017");
    // Assumed for want of a sign, which is there now.
    assert_eq!(dialects.reading("tutorial-2018", &twin).name, "iothubDM");
    let set = dialects.set(Some("tutorial-2018".into()), Vec::new());
    assert_eq!(set.reading("tutorial-2018", &twin).name, "tutorial-2018");
}

#[rstest::rstest]
#[case("tutorial-2018", vec![Downloading, Applying])]
#[case("iothubDM", vec![Queued, Downloading, Downloaded, Applying])]
#[case("device-management", vec![Queued, Downloading, Downloaded, Applying, Rebooting])]
#[case("device-update", vec![Applying])]
#[case("remote-monitoring-1", vec![Queued, Downloading, Downloaded, Applying, Rebooting])]
#[case("remote-monitoring-2", vec![Queued, Downloading, Applying, Rebooting])]
fn each_dialect_gives_the_steps_of_its_gauge(#[case] dialect: &str, #[case] steps: Vec<Phase>) {
    assert_eq!(Dialects::built_in().find(dialect).unwrap().phases(), steps);
}

/// Words of all families, and others; numbers, holes and nests.
fn anything() -> impl Strategy<Value = Value> {
    let words = prop_oneof![
        Just("completed".to_owned()),
        Just("current".to_owned()),
        Just("IDLE".to_owned()),
        Just("Complete".to_owned()),
        Just("Running".to_owned()),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        words.prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    let keys = prop_oneof![
        Just("status"),
        Just("Status"),
        Just("state"),
        Just("workflow"),
        Just("id"),
        Just("lastInstallResult"),
        Just("resultCode"),
        Just("extendedResultCode"),
        Just("installedUpdateId"),
        Just("Download"),
        Just("fwUpdateStatus"),
        Just("pendingFwVersion"),
        Just("lastFwUpdateEndTime"),
        Just("firmwareUpdate"),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..6).prop_map(|members| {
                let members = members.into_iter().map(|(k, v)| (k.to_owned(), v));
                Value::Object(members.collect())
            }),
        ]
    })
}

const ROOTS: [&str; 9] = [
    "firmwareStatus",
    "firmwareVersion",
    "iothubDM",
    "firmwareUpdate",
    "firmware",
    "deviceUpdate",
    "Method",
    "System",
    "FirmwareUpdateStatus",
];

proptest! {
    /// Nothing that a device reports panics a reader, and what no table holds
    /// is never an end.
    #[test]
    fn any_report_can_be_read(values in prop::collection::vec(anything(), ROOTS.len())) {
        let roots = ROOTS.iter().map(|root| (*root).to_owned());
        let mut reported: serde_json::Map<String, Value> = roots.zip(values).collect();
        if let Some(inner) = reported.get("deviceUpdate").cloned() {
            reported.insert("deviceUpdate".into(), json!({ "agent": inner }));
        }
        if let Some(inner) = reported.get("Method").cloned() {
            reported.insert("Method".into(), json!({ "UpdateFirmware": inner }));
        }
        let section = section(Value::Object(reported));
        let dialects = Dialects::built_in();
        let _ = dialects.choose(&section, None).how.to_string();
        for dialect in dialects.iter() {
            let reading = dialect.read(&section);
            let value = reading.value.as_deref().unwrap_or_default();
            let word = dialect.phase_of(value);
            if reading.phase == Done {
                let rest = word == Idle && reading.at_rest;
                prop_assert!(word == Done || rest, "{} {value:?}", dialect.name);
            }
            prop_assert!(reading.value.is_some() || reading.phase == Idle);
        }
    }

    /// A word that stands in no table is unknown, in every dialect.
    #[test]
    fn unknown_words_are_never_done(value in "\\PC{1,40}") {
        for dialect in Dialects::built_in().iter() {
            let known = dialect.words.exact.iter().any(|(w, _)| *w == value.trim().to_lowercase());
            if !known {
                prop_assert_ne!(dialect.phase_of(&value), Done);
            }
        }
    }
}
