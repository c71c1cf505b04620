//! Stories of what may befall an update: throttling, silence, a device that is
//! deleted, created again, or takes its word back.

use super::*;

/// .NET ticks of so many seconds after noon, when stories begin.
fn generation(seconds: i64) -> String {
    let noon: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    let ticks = (i128::from(noon.as_second()) + i128::from(seconds)) * 10_000_000;
    (ticks + 621_355_968_000_000_000).to_string()
}

/// A twin as the hub makes it for a new device, at the clock of the old one.
fn born_again(old: &FakeTwin) -> FakeTwin {
    FakeTwin::at(ID, old.now())
}

#[test]
fn the_wait_that_a_429_names_is_kept_and_jitter_comes_on_top() {
    let mut story = Story::new();
    story.start().twin();
    story.answer(Err(throttled()));
    let at = story.said.iter().find_map(|event| match event.what {
        What::Retrying { at, .. } => Some(at),
        _ => None,
    });
    // Half of the first second of back-off: the chance of these stories.
    assert_eq!(at, Some(story.now().wall + Duration::from_millis(10_500)));
    story.pass(Duration::from_millis(10_499)).twin();
    assert_eq!(story.invoked.len(), 1);
    story.pass(Duration::from_millis(1)).twin();
    story.pass(SECOND).twin();
    assert_eq!(story.invoked.len(), 2);
}

#[test]
fn no_try_is_put_off_beyond_the_overall_deadline() {
    let mut story = Story::with(|s| s.overall_deadline = jiff::SignedDuration::from_millis(400));
    story.start().twin().answer(Err(refused_connection()));
    assert_eq!(story.words(), ["intended", "invoked 1", "= notDelivered"]);
}

#[test]
fn an_order_that_waits_at_the_overall_deadline_is_told_not_to_have_arrived() {
    let mut story = Story::with(|s| s.overall_deadline = jiff::SignedDuration::from_secs(2));
    story.start().twin().answer(Err(refused_connection()));
    story.pass(3 * SECOND);
    assert_eq!(story.words()[2..], ["retrying", "= givenUp"]);
    let reason = story.verdict().1;
    assert!(
        reason.ends_with("the order did not reach the device"),
        "{reason}"
    );
}

#[test]
fn an_end_during_the_call_waits_for_the_answer() {
    let mut story = Story::new();
    story.start().twin().status("completed");
    assert_eq!(story.words()[2..], [""; 0]);
    story.answer(Ok(MethodAnswer {
        status: 409,
        payload: Value::Null,
    }));
    assert_eq!(story.words()[2..], ["= rejected"]);
}

#[test]
fn what_the_device_takes_back_is_told_and_changes_no_outcome() {
    let mut story = Story::new();
    story.start().twin().accepted();
    story.status("downloading").status("completed");
    let before = story.read;
    story.pass(60 * SECOND).status("failed");
    assert_eq!(story.words()[5..], ["= completed", "contradicted"]);
    story.pass(120 * SECOND).twin();
    assert_eq!(story.read - before, 2, "rarely, as long as it is heard");
    assert_eq!(story.words()[7..], [""; 0], "told once");
    let update = story.core.snapshot().updates[0].clone();
    assert_eq!(update.verdict.unwrap().outcome, Outcome::Completed);
    let contradiction = update.contradicted.expect("it is flagged");
    assert_eq!(
        contradiction.reason,
        "press-7 reports \"failed\" after that"
    );
    assert_eq!(contradiction.evidence.hub_time, Some(story.twin.now()));
}

/// Somebody who shares the journal has started the next update: what its device does
/// then is that one's.
#[test]
fn what_another_update_does_contradicts_nothing() {
    let mut story = Story::new();
    story.start().twin().accepted();
    story.status("downloading").status("completed");
    story.another_later = true;
    story.pass(60 * SECOND).status("applying");
    story.pass(120 * SECOND).status("failed");
    assert_eq!(story.words()[5..], ["= completed"]);
}

#[test]
fn a_new_update_ends_the_hearing_of_the_last_one() {
    let mut story = Story::new();
    story.start().twin().accepted();
    story.status("downloading").status("completed");
    story.start().pass(SECOND).twin().accepted();
    story.status("downloading");
    assert_eq!(
        story.words()[6..],
        ["intended", "invoked 1", "accepted 200", "downloading"]
    );
}

#[test]
fn a_silent_update_is_read_less_often_until_it_is_back() {
    let mut story = Story::new();
    story.start().twin().accepted().status("downloading");
    story.pass(15 * 60 * SECOND).twin();
    assert_eq!(story.words()[4..], ["stalled"]);
    let before = story.read;
    for _ in 0..120 {
        story.pass(SECOND).twin();
    }
    assert_eq!(story.read - before, 24, "each 5 s, as the only one");
    story.pass(30 * SECOND).status("applying");
    assert_eq!(story.words()[5..], ["back", "applying"]);
    let before = story.read;
    for _ in 0..10 {
        story.pass(SECOND).twin();
    }
    assert_eq!(story.read - before, 10, "one each tick again");
}

#[test]
fn a_device_that_was_created_again_owes_a_second_sign() {
    let mut story = Story::new();
    story.twin.report(json!({"firmwareStatus": "standBy"}));
    story.start().twin().accepted().status("downloading");
    story.twin = born_again(&story.twin);
    let born = generation(story.twin.now().as_second() - story.now().wall.as_second());
    story.status("completed").pass(SECOND).twin();
    assert_eq!(
        (story.identified, story.words().len()),
        (1, 4),
        "judged later"
    );
    story.identity(Ok(&born)).pass(SECOND).twin();
    assert_eq!(story.words()[4..], ["replaced", "unknown", "unconfirmed"]);
    assert_eq!(story.identified, 1, "the registry is asked once");
    story.status("downloading").status("completed");
    assert_eq!(
        story.words()[7..],
        ["back", "downloading", "done", "= completed"]
    );
}

#[rstest::rstest]
#[case(Err(refusal(401, "IotHubUnauthorizedAccess")), "RegistryRead")]
#[case(Err(refused_connection()), "connection refused")]
#[case(Ok("630000000000000000"), "though it is the same device")]
fn a_twin_that_went_back_is_not_believed_whoever_it_is(
    #[case] generation: Result<&str, HubError>,
    #[case] words: &str,
) {
    let mut story = Story::new();
    story.twin.report(json!({"firmwareStatus": "standBy"}));
    story.start().twin().accepted().status("downloading");
    story.twin = born_again(&story.twin);
    story.status("completed").identity(generation);
    story.pass(SECOND).twin();
    assert_eq!(story.words()[4..], ["replaced", "unknown"]);
    let reason = story.reason();
    assert!(reason.contains(words), "{reason}");
}

#[test]
fn a_changed_entry_of_the_same_device_is_nothing() {
    let mut story = Story::new();
    story.twin.twin.device_etag = Some("MQ==".into());
    story.start().twin().accepted().status("downloading");
    story.twin.twin.device_etag = Some("Mg==".into());
    story.status("applying");
    assert_eq!(story.identified, 1);
    story.identity(Ok(&generation(-3_600))).pass(SECOND).twin();
    assert_eq!(story.words()[3..], ["downloading", "applying"]);
}

#[test]
fn a_deleted_device_is_told_and_its_update_stays_open() {
    let mut story = Story::new();
    story.start().twin().accepted().status("downloading");
    for _ in 0..3 {
        story.pass(60 * SECOND);
        story.read_gives(Err(refusal(404, "DeviceNotFound")));
    }
    assert_eq!(story.words()[4..], ["unknown"], "once");
    assert!(story.reason().contains("404001"), "{}", story.reason());
    // It is the same device after all.
    story.pass(60 * SECOND).twin();
    story.identity(Ok(&generation(-3_600)));
    assert_eq!(story.words()[5..], ["back"]);
    story.pass(SECOND).status("completed");
    assert_eq!(story.words()[6..], ["done", "= completed"]);
}

#[test]
fn an_order_that_waits_for_a_deleted_device_is_not_delivered() {
    let mut story = Story::new();
    story.start().twin().answer(Err(refused_connection()));
    story
        .pass(SECOND)
        .read_gives(Err(refusal(404, "DeviceNotFound")));
    assert_eq!(story.words()[2..], ["retrying", "= notDelivered"]);
}

#[test]
fn a_lost_connection_is_told_where_it_is_no_part_of_an_update() {
    use crate::domain::device::Connection::{Connected, Disconnected};
    let mut story = Story::new();
    story.start().twin().accepted().status("downloading");
    story.twin.twin.connection = Disconnected;
    story.pass(SECOND).twin().pass(SECOND).twin();
    assert_eq!(story.words()[4..], ["Disconnected"], "once");
    story.twin.twin.connection = Connected;
    story.pass(SECOND).status("applying");
    story.twin.twin.connection = Disconnected;
    story.pass(SECOND).twin();
    assert_eq!(story.words()[5..], ["Connected", "applying"]);
    // And nothing is decided upon it: the update stalls in its time.
    story.pass(15 * 60 * SECOND);
    assert_eq!(story.words()[7..], ["stalled"]);
    let reason = story.reason();
    assert!(reason.contains("is not connected"), "{reason}");
}

fn connections(story: &Story) -> Vec<(bool, bool)> {
    use crate::domain::device::Connection::Connected;
    let told = story.said.iter().filter_map(|event| match event.what {
        What::Connection { state, expected } => Some((state == Connected, expected)),
        _ => None,
    });
    told.collect()
}

/// The read that tells that the device is away is the one that tells its phase:
/// the phase counts.
#[test]
fn a_device_that_goes_away_as_it_begins_to_apply_is_expected_to() {
    use crate::domain::device::Connection::{Connected, Disconnected};
    let mut story = Story::new();
    story.start().twin().accepted().status("downloading");
    story.twin.twin.connection = Disconnected;
    story.pass(SECOND).status("applying");
    assert_eq!(connections(&story), [(false, true)]);
    assert_eq!(story.core.snapshot().updates[0].missed(), None);
    // Long past what the phase allows it is missed, and that is said.
    story.pass(15 * 60 * SECOND);
    let update = story.core.snapshot().updates[0].clone();
    assert_eq!(update.missed(), update.away.map(|away| away.since));
    let reason = story.reason();
    assert!(reason.contains("is not connected, since "), "{reason}");
    story.twin.twin.connection = Connected;
    story.pass(60 * SECOND).twin();
    assert_eq!(connections(&story), [(false, true), (true, true)]);
    assert_eq!(story.core.snapshot().updates[0].away, None);
}

/// The other way round, a device that went away while it applied and says that it
/// downloads is missed.
#[test]
fn a_device_that_goes_away_as_it_begins_again_is_missed() {
    use crate::domain::device::Connection::Disconnected;
    let mut story = Story::new();
    story.start().twin().accepted().status("applying");
    story.twin.twin.connection = Disconnected;
    story.pass(SECOND).status("downloading");
    assert_eq!(connections(&story), [(false, false)]);
}

/// What we say because nothing happens is no change.
#[test]
fn a_stalled_update_tells_when_its_device_last_did_anything() {
    let mut story = Story::new();
    story.start().twin().accepted().status("downloading");
    let changed = story.core.snapshot().updates[0].changed;
    story.pass(15 * 60 * SECOND);
    let update = story.core.snapshot().updates[0].clone();
    assert_eq!(story.words().last().unwrap(), "stalled");
    assert_eq!(update.changed, changed);
    assert!(update.doubted > Some(changed));
    story.pass(60 * SECOND).status("applying");
    assert!(story.core.snapshot().updates[0].changed > changed);
}

#[test]
fn every_verdict_names_its_device() {
    let mut rejected = Story::new();
    let no = MethodAnswer {
        status: 500,
        payload: Value::Null,
    };
    rejected.start().twin().answer(Ok(no));
    let mut given_up = Story::new();
    given_up.start().twin().accepted();
    let update = given_up.core.snapshot().updates[0].id.clone();
    given_up.feed(Input::Command(Command::GiveUp(update)));
    let mut undelivered = Story::new();
    undelivered
        .start()
        .twin()
        .answer(Err(refusal(404, "DeviceNotOnline")));
    for story in [rejected, given_up, undelivered] {
        let update = story.core.snapshot().updates[0].clone();
        let line = update.verdict_line().unwrap();
        assert!(line.contains(&format!(": {ID} ")), "{line}");
    }
}

#[test]
fn a_connection_that_comes_and_goes_is_no_progress() {
    use crate::domain::device::Connection::{Connected, Disconnected};
    let mut story = Story::new();
    story.start().twin().accepted().status("downloading");
    for connection in [Disconnected, Connected, Disconnected] {
        story.twin.twin.connection = connection;
        story.pass(4 * 60 * SECOND).twin();
    }
    story.pass(3 * 60 * SECOND);
    assert_eq!(
        story.words()[4..],
        ["Disconnected", "Connected", "Disconnected", "stalled"]
    );
}

#[test]
fn past_updates_teach_when_a_phase_is_stalled() {
    let mut past = Vec::new();
    for _ in 0..5 {
        let mut story = Story::new();
        story.start().twin().accepted();
        story
            .status("downloading")
            .status("applying")
            .status("completed");
        let told = story.said.iter().filter(|e| e.update_id.is_some());
        past.push(told.cloned().collect());
    }
    let mut story = Story::new();
    story.feed(Input::Past(Ok(past)));
    story.start().twin().accepted().status("downloading");
    story.pass(59 * SECOND).twin();
    assert_eq!(story.words()[3..], ["downloading"]);
    // A second is learnt; the shortest deadline is a minute.
    story.pass(SECOND);
    assert_eq!(story.words()[4..], ["stalled"]);
    assert!(story.reason().starts_with("nothing changed for 1 min"));
}

#[test]
fn past_updates_teach_when_to_look_for_the_next_phase() {
    let mut story = Story::new();
    story.core.durations = Durations::from(vec![crate::domain::durations::Learnt {
        dialect: "tutorial-2018".into(),
        phase: crate::domain::phase::Phase::Downloading,
        samples: 9,
        usual: SignedDuration::from_secs(20),
        long: SignedDuration::from_secs(30),
    }]);
    let expected = |story: &Story| story.core.pace.expected(&id(ID));
    story.start().twin().accepted().pass(SECOND).twin();
    assert_eq!(expected(&story), None);
    story.pass(SECOND).status("downloading");
    let at = story.at + 20 * SECOND;
    assert_eq!(expected(&story), Some(at));
    story.pass(25 * SECOND).twin();
    assert_eq!(expected(&story), Some(at), "it stays, though it is over");
    story.status("applying");
    assert_eq!(expected(&story), None, "nothing is known of that phase");
}

#[test]
fn what_a_second_dialect_says_is_not_taken_for_the_first_ones() {
    let mut story = Story::new();
    let old = json!({"iothubDM": {"firmwareUpdate": {"status": "applyComplete"}}});
    story.twin.report(old.clone());
    story.twin.report(json!({"firmwareStatus": "standBy"}));
    story.start().twin().accepted();
    story.twin.report(json!({"firmwareStatus": null}));
    story.report(old);
    assert_eq!(story.words()[3..], [""; 0]);
}
