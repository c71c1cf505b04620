//! Stories of devices that speak other dialects: started by them, watched only,
//! set by rules.

use super::*;
use crate::domain::device::{Connection, DeviceRow, Enablement};
use crate::domain::dialect::{
    ByMethod, Description, Dialect, Placeholder, Places, Rule, Starts, Template,
};
use crate::domain::phase::Phase;

fn press(starts: Starts) -> Dialect {
    Dialect::from(Description {
        name: "press".into(),
        status: "press.state".into(),
        values: vec![
            ("fetching".into(), Phase::Downloading),
            ("fine".into(), Phase::Done),
        ],
        rest: Vec::new(),
        places: Places::default(),
        starts,
    })
}

fn order(expect: Option<&str>, sha256: Option<&str>) -> Input {
    Input::Command(Command::Start(Start {
        device: id(ID),
        uri: PackageUri::parse("https://x.test/fw").unwrap(),
        expect: expect.map(str::to_owned),
        reason: None,
        sha256: sha256.map(str::to_owned),
        force: None,
        over: None,
    }))
}

fn refusal_of(story: &Story) -> &Problem {
    let refused = |event: &'_ Event| matches!(event.what, What::Refused { .. });
    match &story.said.iter().rfind(|e| refused(e)).unwrap().what {
        What::Refused { problem } => problem,
        _ => unreachable!(),
    }
}

#[test]
fn a_start_is_what_the_dialect_says() {
    let template = json!({"to": "{version}", "from": ["{uri}"], "hash": "{sha256}"});
    let starts = Starts::ByMethod(ByMethod {
        method: "load".into(),
        payload: Template::parse(template, false).unwrap(),
        response_timeout: Some(10),
        connect_timeout: Some(60),
    });
    let mut story = Story::with(|s| s.dialects = Dialects::with([press(starts)]));
    story.twin.report(json!({"press": {"state": "fine"}}));
    story.feed(order(Some("2.0"), Some("abc"))).twin();
    let call = &story.calls[0];
    assert_eq!(call.method, "load");
    let payload = json!({"to": "2.0", "from": ["https://x.test/fw"], "hash": "abc"});
    assert_eq!(call.payload, payload);
    assert_eq!((call.response_timeout, call.connect_timeout), (10, 10));
    let intent = story.core.snapshot().updates[0].intent.clone();
    assert_eq!(intent.dialect, "press");
    assert_eq!(intent.method.as_deref(), Some("load"));
    assert_eq!(intent.payload_sha256, Some(call.payload_sha256()));
}

#[rstest::rstest]
#[case(None, Some("abc"), Placeholder::Version)]
#[case(Some("2.0"), None, Placeholder::Sha256)]
#[case(None, None, Placeholder::Version)]
#[case(None, None, Placeholder::Sha256)]
fn a_value_that_was_not_given_refuses_the_start(
    #[case] expect: Option<&str>,
    #[case] sha256: Option<&str>,
    #[case] missing: Placeholder,
) {
    let template = json!(["{uri}", "{version}", "{sha256}"]);
    let starts = Starts::ByMethod(ByMethod {
        method: "load".into(),
        payload: Template::parse(template, false).unwrap(),
        response_timeout: None,
        connect_timeout: None,
    });
    let mut story = Story::with(|s| s.dialects = Dialects::with([press(starts)]));
    story.twin.report(json!({"press": {"state": "fine"}}));
    story.feed(order(expect, sha256)).twin();
    assert_eq!(story.words(), ["refused Dialect"]);
    assert!(story.calls.is_empty());
    let problem = refusal_of(&story).to_string();
    assert!(problem.contains(missing.name()), "{problem}");
}

fn firmware(status: &str, version: &str, pending: &str, end: &str) -> Value {
    json!({"firmware": {"currentFwVersion": version, "pendingFwVersion": pending,
        "fwUpdateStatus": status, "fwUpdateSubstatus": "", "lastFwUpdateEndTime": end}})
}

#[test]
fn a_device_of_configurations_is_refused_to_start_and_watched_to_its_end() {
    let mut story = Story::new();
    story.twin.report(firmware("current", "1.0", "", "then"));
    story.start().twin();
    assert_eq!(story.words(), ["refused Dialect"]);
    assert!(story.calls.is_empty());
    assert!(refusal_of(&story).hint.contains("otadeck watch"));
    story.feed(Input::Command(Command::Watch(id(ID))));
    story.pass(SECOND).twin();
    // It connects again and re-sends what it had.
    story.report(firmware("current", "1.0", "", "then"));
    assert_eq!(story.words()[1..], ["watched", "unconfirmed"]);
    story.report(firmware("current", "1.0", "1.1", ""));
    for status in ["downloading", "verifying", "applying", "rebooting"] {
        story.report(firmware(status, "1.0", "1.1", ""));
    }
    story.report(firmware("current", "1.1", "", "now"));
    assert_eq!(
        story.words()[3..],
        [
            "queued",
            "back",
            "downloading",
            "downloaded",
            "applying",
            "rebooting",
            "done",
            "= completed"
        ]
    );
}

#[test]
fn a_configuration_that_fails_tells_the_substatus() {
    let mut story = Story::new();
    story.twin.report(firmware("current", "1.0", "", ""));
    story.feed(Input::Command(Command::Watch(id(ID)))).twin();
    story.report(firmware("downloading", "1.0", "1.1", ""));
    story.report(json!({"firmware": {"fwUpdateStatus": "error",
        "fwUpdateSubstatus": "Insecure package URI"}}));
    let (outcome, reason, _) = story.verdict();
    assert_eq!(outcome, Outcome::Failed);
    assert!(
        reason.ends_with("last seen downloading: Insecure package URI"),
        "{reason}"
    );
}

/// What the baseline held was another word; yet a device at rest says so anyway.
#[rstest::rstest]
#[case(
    firmware("rolledback", "1.0", "1.1", "then"),
    firmware("current", "1.0", "", "then")
)]
#[case(agent(255, "a", 0), agent(0, "a", 700))]
fn what_a_device_says_at_rest_is_no_end_by_itself(#[case] before: Value, #[case] after: Value) {
    let mut story = Story::new();
    story.twin.report(before);
    story.feed(Input::Command(Command::Watch(id(ID)))).twin();
    story.report(after);
    assert_eq!(story.words(), ["watched", "unconfirmed"]);
}

/// A device that starts again in the middle says what it says at rest.
#[rstest::rstest]
#[case(firmware("current", "1.0", "", ""))]
#[case(firmware("current", "1.0", "1.1", ""))]
fn current_without_an_end_is_no_end(#[case] restarted: Value) {
    let mut story = Story::new();
    story.twin.report(firmware("current", "1.0", "", "then"));
    story.feed(Input::Command(Command::Watch(id(ID)))).twin();
    story.report(firmware("downloading", "1.0", "1.1", ""));
    story.report(restarted);
    assert!(story.core.snapshot().updates[0].is_open());
}

fn agent(state: u32, run: &str, result: i64) -> Value {
    json!({"deviceUpdate": {"agent": {"state": state, "workflow": {"action": 3, "id": run},
        "lastInstallResult": {"resultCode": result, "extendedResultCode": 0}}}})
}

#[test]
fn a_deployment_is_watched_by_its_state_and_result() {
    let mut story = Story::new();
    story.twin.report(agent(0, "a", 700));
    story.feed(Input::Command(Command::Watch(id(ID)))).twin();
    story.report(agent(0, "a", 700));
    assert_eq!(story.words(), ["watched", "unconfirmed"]);
    story.report(agent(6, "b", 0)).report(agent(0, "b", 700));
    assert_eq!(
        story.words()[2..],
        ["back", "applying", "done", "= completed"]
    );
    assert_eq!(
        story.verdict().2.unwrap().property,
        "deviceUpdate.agent.state"
    );
}

#[test]
fn a_deployment_that_nobody_saw_at_work_is_known_by_its_run() {
    let mut story = Story::new();
    story.twin.report(agent(0, "a", 700));
    story.feed(Input::Command(Command::Watch(id(ID)))).twin();
    story.report(agent(0, "b", 700));
    assert_eq!(story.words(), ["watched", "done", "= completed"]);
}

#[test]
fn a_deployment_without_a_result_is_never_done() {
    let mut story = Story::new();
    story.twin.report(agent(0, "a", 700));
    story.feed(Input::Command(Command::Watch(id(ID)))).twin();
    story.report(agent(6, "b", 0)).report(agent(0, "b", 0));
    assert_eq!(story.words(), ["watched", "applying", "idle"]);
    story.report(agent(255, "b", 0));
    assert_eq!(story.verdict().0, Outcome::Failed);
}

fn chiller(status: &str, version: &str) -> Value {
    json!({"FirmwareUpdateStatus": status, "Firmware": version})
}

#[test]
fn idle_is_an_end_only_with_the_expected_version_after_a_run() {
    let mut story = Story::new();
    story.twin.report(chiller("IDLE", "1.0"));
    story.feed(order(None, None)).twin();
    assert_eq!(
        story.words(),
        ["refused Dialect"],
        "its payload holds the version"
    );
    story.feed(order(Some("2.0"), None));
    story.pass(SECOND).twin().accepted();
    let want = json!({"Firmware": "2.0", "FirmwareUri": "https://x.test/fw"});
    assert_eq!(story.calls[0].payload, want);
    // It starts again and says what it always says.
    story.report(chiller("IDLE", "1.0"));
    story.report(chiller("DOWNLOADING", "1.0"));
    story.report(chiller("IDLE", "1.0"));
    assert_eq!(
        story.words()[1..],
        [
            "intended",
            "invoked 1",
            "accepted 200",
            "downloading",
            "idle"
        ]
    );
    story.report(chiller("REBOOTING", "1.0"));
    story.report(chiller("IDLE", "2.0"));
    assert_eq!(story.words()[6..], ["rebooting", "done", "= completed"]);
}

#[test]
fn idle_that_was_not_there_before_is_no_end_of_a_watch() {
    let mut story = Story::new();
    story.twin.report(chiller("odd", "1.0"));
    story.feed(Input::Command(Command::Watch(id(ID)))).twin();
    story.report(json!({"FirmwareUpdateStatus": "IDLE"}));
    assert_eq!(story.words(), ["watched"]);
    story.report(chiller("IDLE", "2.0"));
    assert_eq!(story.words(), ["watched", "done", "= completed"]);
}

#[test]
fn the_stages_of_remote_monitoring_are_the_phases() {
    let mut story = Story::new();
    let update = |update: Value| json!({"Method": {"UpdateFirmware": update}});
    story.twin.report(update(json!({"Status": "Complete"})));
    story.start().twin().accepted();
    assert_eq!(story.calls[0].method, "InitiateFirmwareUpdate");
    story.report(update(Value::Null));
    story.report(update(json!({"Status": "Running"})));
    for stage in ["Download", "Applied", "Reboot"] {
        story.report(update(json!({stage: {"Status": "Running"}})));
        story.report(update(json!({stage: {"Status": "Complete"}})));
    }
    story.report(update(json!({"Status": "Complete"})));
    let words = story.words();
    let mut words: Vec<&str> = words[3..].iter().map(String::as_str).collect();
    words.dedup();
    assert_eq!(
        words,
        [
            "queued",
            "downloading",
            "downloaded",
            "applying",
            "rebooting",
            "done",
            "= completed"
        ]
    );
}

/// The order was made in the dialect that is assumed of a silent device.
#[test]
fn an_order_that_waits_is_not_sent_in_another_dialect_than_the_device_turns_out_to_speak() {
    let mut story = Story::new();
    story.start().twin();
    story.answer(Err(refusal(429, "ThrottlingException")));
    story.report(chiller("IDLE", "1.0")).pass(SECOND).twin();
    assert_eq!(story.words()[2..], ["retrying", "= notDelivered"]);
    let reason = story.verdict().1;
    assert!(reason.contains("speaks remote-monitoring-2"), "{reason}");
    assert_eq!(story.calls.len(), 1);
}

/// In a dialect in which the baseline was not read nothing shows what was there
/// before; an end that is only re-sent is not believed.
#[test]
fn a_resumed_update_whose_dialect_is_gone_says_so_and_needs_a_sign() {
    let mut first = Story::with(|s| s.dialects = by_hand());
    first
        .twin
        .report(json!({"press": {"state": "fine"}, "firmwareStatus": "completed"}));
    first.start().twin();
    let written: Vec<Event> = first
        .said
        .iter()
        .filter(|event| event.update_id.is_some())
        .cloned()
        .collect();
    let mut story = Story::new();
    story.twin = first.twin.clone();
    story.resume(written);
    let told = |event: &Event| match &event.what {
        What::DeviceProblem { problem } => problem.title.contains("\"press\""),
        _ => false,
    };
    assert!(story.said.iter().any(told));
    story.status("completed");
    assert!(story.core.snapshot().updates[0].is_open());
    story.status("downloading").status("completed");
    assert_eq!(story.verdict().0, Outcome::Completed);
}

fn by_hand() -> Dialects {
    let starts = Starts::ByMethod(ByMethod {
        method: "load".into(),
        payload: Template::parse(json!("{uri}"), false).unwrap(),
        response_timeout: None,
        connect_timeout: None,
    });
    Dialects::with([press(starts)]).set(Some("press".into()), Vec::new())
}

fn with_rules() -> Story {
    let rule = |condition: &str, dialect: &str| Rule {
        condition: condition.to_owned(),
        dialect: dialect.to_owned(),
    };
    let rules = vec![
        rule("tags.a = 1", "java-2017"),
        rule("tags.b = 1", "iothubDM-string"),
    ];
    Story::with(|s| s.dialects = Dialects::built_in().set(None, rules))
}

fn row(device: &str, status: &str) -> DeviceRow {
    DeviceRow {
        device_id: id(device),
        connection: Connection::Connected,
        status: Enablement::Enabled,
        last_activity: None,
        firmware: None,
        reported_status: Some(status.to_owned()),
        phase: None,
        last_update: None,
        tags: Default::default(),
        seen: "2026-01-01T12:00:00Z".parse().unwrap(),
    }
}

impl Story {
    /// The last question is answered with these rows.
    fn rows(&mut self, rows: &[&str], continuation: Option<&str>) -> &mut Self {
        let page = Page {
            rows: rows.iter().map(|device| row(device, "ruled")).collect(),
            skipped: 0,
            bytes: 0,
            continuation: continuation.map(str::to_owned),
        };
        self.answer_rules(Ok(page))
    }

    fn answer_rules(&mut self, result: Result<Page, HubError>) -> &mut Self {
        let ticket = self.asked.last().expect("something was asked").0;
        self.feed(Input::Asked { ticket, result })
    }
}

#[test]
fn a_start_waits_for_the_rules_and_the_first_that_holds_wins() {
    let mut story = with_rules();
    story.twin.report(json!({"firmwareStatus": "standBy"}));
    story.start();
    assert_eq!(
        (story.read, story.asked.len()),
        (0, 1),
        "nothing is read before"
    );
    let text = story.asked[0].1.clone();
    assert!(
        text.ends_with("WHERE (tags.a = 1) AND deviceId IN [\"press-7\"]"),
        "{text}"
    );
    story.rows(&[ID], None);
    assert_eq!(story.asked.len(), 1, "the second rule is not asked");
    story.twin();
    assert_eq!(
        story.calls[0].payload,
        "https://x.test/fw-1.5.0.bin?sig=secret"
    );
    assert_eq!(story.core.snapshot().updates[0].intent.dialect, "java-2017");
}

#[test]
fn what_no_rule_holds_for_is_recognised_and_other_devices_rows_say_nothing() {
    let mut story = with_rules();
    story.twin.report(json!({"firmwareStatus": "standBy"}));
    story
        .start()
        .rows(&["other"], Some("more"))
        .rows(&["other"], None);
    let second = &story.asked.last().unwrap().1;
    assert!(
        second.contains("(tags.b = 1) AND deviceId IN [\"press-7\"]"),
        "{second}"
    );
    story.rows(&[], None).twin();
    assert_eq!(
        story.core.snapshot().updates[0].intent.dialect,
        "tutorial-2018"
    );
}

#[test]
fn without_the_rules_nothing_is_sent() {
    let mut story = with_rules();
    story
        .start()
        .answer_rules(Err(refusal(400, "ArgumentInvalid")));
    assert_eq!(story.words(), ["refused Dialect"]);
    let problem = refusal_of(&story).to_string();
    assert!(problem.contains("rule 1 (dialect java-2017)"), "{problem}");
    assert!(problem.contains("Nothing was sent"), "{problem}");
    story.start();
    for _ in 0..4 {
        story.answer_rules(Err(refused_connection()));
        story.pass(Duration::from_secs(60));
    }
    assert_eq!(story.words(), ["refused Dialect", "refused Unreachable"]);
    assert_eq!((story.read, story.calls.len()), (0, 0));
    // A watch would judge in the wrong dialect.
    story.feed(Input::Command(Command::Watch(id(ID))));
    story.answer_rules(Err(refusal(401, "IotHubUnauthorizedAccess")));
    assert_eq!(story.words()[2..], ["refused Unauthorized"]);
}

#[test]
fn an_answer_about_rules_counts_for_five_minutes() {
    let mut story = with_rules();
    story.start().rows(&[ID], None).twin();
    story.answer(Err(refusal(401, "IotHubUnauthorizedAccess")));
    story.start();
    assert_eq!(story.asked.len(), 1);
    story
        .pass(SECOND)
        .twin()
        .answer(Err(refusal(401, "IotHubUnauthorizedAccess")));
    story.pass(Duration::from_secs(301)).start();
    assert_eq!(story.asked.len(), 2);
}

#[test]
fn devices_that_start_together_are_asked_for_together() {
    let mut story = with_rules();
    for n in 0..45 {
        let start = Start {
            device: id(&format!("d{n:02}")),
            uri: PackageUri::parse("https://x.test/fw").unwrap(),
            expect: None,
            reason: None,
            sha256: None,
            force: None,
            over: None,
        };
        story.feed(Input::Command(Command::Start(start)));
    }
    // The first goes at once, the others while it is under way.
    let mut asked = 0;
    while asked < story.asked.len() {
        asked = story.asked.len();
        story.rows(&[], None).pass(Duration::from_secs(60));
    }
    assert_eq!(asked, 2 * 4, "two rules for 1, 20, 20 and 4 devices");
    let longest = story.asked.iter().map(|(_, text)| text.len()).max();
    assert!(longest < Some(2_000), "{longest:?}");
    let mut read = std::collections::BTreeSet::new();
    for _ in 0..45 {
        story.pass(SECOND);
        for (ticket, device) in std::mem::take(&mut story.reads) {
            read.insert(device.clone());
            let result = Err(refusal(404, "DeviceNotFound"));
            story.feed(Input::Twin {
                ticket,
                device,
                result,
            });
        }
    }
    assert_eq!(read.len(), 45);
}

#[test]
fn questions_about_rules_are_pages_of_the_same_budget() {
    let mut story = with_rules();
    list(&mut story, 1, &["a"], 0);
    let spent = |story: &Story| story.core.ledger.quota().spent(story.now().wall);
    let before = spent(&story);
    story.rows(&["a"], None);
    assert_eq!(spent(&story), before + 1);
    story.start();
    story.answer_rules(Err(throttled()));
    story.feed(Input::Command(Command::List));
    story.pass(9 * SECOND);
    assert_eq!(
        (story.asked.len(), story.listed.len()),
        (2, 1),
        "all pages wait"
    );
    let mut answered = 2;
    for _ in 0..60 {
        story.pass(SECOND);
        if story.asked.len() > answered {
            answered = story.asked.len();
            story.rows(&[], None);
        }
    }
    assert!(story.asked.len() > 2, "one asks on");
    assert_eq!(story.listed.len(), 2, "and so does the other");
}

/// The listing is answered with these devices and this number of others.
fn list(story: &mut Story, ticket: u64, rows: &[&str], others: usize) {
    story.feed(Input::Command(Command::List));
    let others = (0..others).map(|n| format!("other-{n}"));
    let all = rows.iter().map(|device| (*device).to_owned()).chain(others);
    let page = Page {
        rows: all.map(|device| row(&device, "listed")).collect(),
        skipped: 0,
        bytes: 0,
        continuation: None,
    };
    story.feed(Input::Page {
        ticket,
        result: Ok(page),
    });
}

fn is_listed(story: &Story) -> bool {
    let complete = |e: &Event| match &e.what {
        What::Inventory { state, .. } => *state == InventoryState::Complete,
        _ => false,
    };
    story.said.iter().any(complete)
}

fn status_of(story: &Story, device: &str) -> String {
    let rows = story.core.snapshot().rows;
    let row = rows.into_iter().find(|r| r.device_id.as_str() == device);
    row.and_then(|r| r.reported_status).unwrap()
}

#[test]
fn after_a_listing_the_rules_go_over_all_devices() {
    let mut story = with_rules();
    list(&mut story, 1, &["a", "b", "c"], 20);
    assert!(
        !is_listed(&story),
        "rows are still to be read in other dialects"
    );
    let text = &story.asked[0].1;
    assert!(text.ends_with("WHERE tags.a = 1"), "{text}");
    story
        .rows(&["a", "nobody"], Some("more"))
        .rows(&["b"], None)
        .rows(&["b"], None);
    assert!(is_listed(&story));
    assert_eq!(status_of(&story, "a"), "ruled");
    assert_eq!(status_of(&story, "c"), "listed");
    assert_eq!(story.core.snapshot().rows.len(), 23);
    // The next listing does not take that back.
    list(&mut story, 2, &["a", "b", "c"], 20);
    assert_eq!(status_of(&story, "a"), "ruled");
    story.answer_rules(Err(refusal(400, "ArgumentInvalid")));
    let failed = story.core.snapshot().inventory.unwrap();
    assert_eq!(failed.0, InventoryState::Failed);
    assert!(failed.1.unwrap().title.contains("rule 1"));
}

#[test]
fn after_a_short_listing_only_its_devices_are_asked_for() {
    let mut story = with_rules();
    list(&mut story, 1, &["a", "b"], 0);
    let text = &story.asked[0].1;
    assert!(
        text.ends_with("(tags.a = 1) AND deviceId IN [\"a\", \"b\"]"),
        "{text}"
    );
    story.rows(&["b"], None);
    let text = &story.asked[1].1;
    assert!(
        text.ends_with("(tags.b = 1) AND deviceId IN [\"a\"]"),
        "{text}"
    );
    story.rows(&["a"], None);
    assert!(is_listed(&story));
    assert_eq!(status_of(&story, "a"), "ruled");
    let mut story = with_rules();
    list(&mut story, 1, &[], 0);
    assert!(story.asked.is_empty() && is_listed(&story));
}

/// Which words a device means cannot be told: nothing is sent, nothing judged.
#[test]
fn where_two_dialects_claim_what_a_device_reports_nothing_is_started() {
    let starts = || Starts::ByMethod(by_method());
    let mut other = press(starts());
    other.name = "lathe".into();
    let both = Dialects::with([press(starts()), other]);
    let mut story = Story::with(|s| s.dialects = both.clone());
    story.twin.report(json!({"press": {"state": "fine"}}));
    story.start().twin();
    assert_eq!(story.words(), ["refused Dialect"]);
    assert!(story.calls.is_empty());
    let problem = refusal_of(&story).to_string();
    assert!(problem.contains("press and of lathe"), "{problem}");
    assert!(problem.contains("Set `dialect`"), "{problem}");
    story.feed(Input::Command(Command::Watch(id(ID))));
    story.pass(SECOND).twin();
    assert_eq!(story.words()[1..], ["refused Dialect"]);
    // What is set is clear.
    let set = both.set(Some("lathe".into()), Vec::new());
    let mut story = Story::with(|s| s.dialects = set);
    story.twin.report(json!({"press": {"state": "fine"}}));
    story.start().twin();
    assert_eq!(story.words(), ["intended", "invoked 1"]);
}

/// It had said nothing when the order was made, and spoke before that reached it.
#[test]
fn a_device_that_becomes_unclear_gets_no_second_try() {
    let rival = Dialect::from(Description {
        name: "rival".into(),
        status: "firmwareStatus".into(),
        values: vec![("fine".into(), Phase::Done)],
        rest: Vec::new(),
        places: Places::default(),
        starts: Starts::WatchedOnly,
    });
    let mut story = Story::with(|s| s.dialects = Dialects::with([rival]));
    story.twin = crate::domain::fake::FakeTwin::new(ID);
    story.start().twin().answer(Err(refused_connection()));
    story.twin.report(json!({"firmwareStatus": "fine"}));
    story.pass(2 * SECOND).twin();
    assert_eq!(story.words()[2..], ["retrying", "= notDelivered"]);
    assert_eq!(story.calls.len(), 1);
}

fn by_method() -> ByMethod {
    ByMethod {
        method: "load".into(),
        payload: Template::parse(json!(["{uri}"]), false).unwrap(),
        response_timeout: None,
        connect_timeout: None,
    }
}
