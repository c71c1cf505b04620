//! What happens between the read of the baseline and the order.

use super::*;
use crate::domain::update::OpenState;

/// A story on a hub that tells its clock, and a device that holds that.
fn on_the_clock(held: Value) -> Story {
    let mut story = Story::new();
    story.twin.report(held);
    story.twin.twin.told_at = Some(story.twin.now());
    story
}

/// The last order's latest time by the hub's clock.
fn latest(story: &Story) -> Option<Timestamp> {
    story.said.iter().rev().find_map(|event| match event.what {
        What::Invoked { latest, .. } => latest,
        _ => None,
    })
}

#[test]
fn the_order_went_out_a_second_after_the_hubs_clock_at_the_latest() {
    let mut story = on_the_clock(json!({"firmwareStatus": "standBy"}));
    story.disk = 2 * SECOND;
    let read = story.twin.now();
    story.start();
    // The answer was on its way for half a second.
    story.at += SECOND / 2;
    story.twin();
    assert_eq!(latest(&story), Some(read + Duration::from_millis(3_500)));
    let mut story = Story::new();
    story.start().twin();
    assert_eq!(story.invoked.len(), 1);
    assert_eq!(latest(&story), None, "a hub that tells no time");
}

/// Somebody else's run, too old to be in the way, ends while we order.
#[test]
fn an_end_that_may_be_older_than_the_order_is_no_verdict() {
    let held = json!({"firmwareStatus": "applying", "firmwareVersion": "1.0"});
    let mut story = on_the_clock(held);
    story.at = 16 * 60 * SECOND;
    story.start().twin().accepted();
    let ended = json!({"firmwareStatus": "completed", "firmwareVersion": "1.1",
        "lastFirmwareUpdate": "now"});
    story.report(ended.clone());
    assert_eq!(story.words()[3..], ["unconfirmed"]);
    assert!(
        story.reason().contains("before the order"),
        "{}",
        story.reason()
    );
    // Nor when it comes again.
    story.report(ended);
    assert_eq!(story.words()[4..], ["unconfirmed"]);
    assert!(
        story.reason().contains("nothing shows"),
        "{}",
        story.reason()
    );
    story.status("downloading").status("completed");
    assert_eq!(
        story.words()[5..],
        ["back", "downloading", "done", "= completed"]
    );
}

#[test]
fn signs_that_may_be_older_than_the_order_are_none() {
    let mut story = on_the_clock(json!({"firmwareStatus": "failed", "firmwareVersion": "1.0"}));
    story.start().twin().accepted();
    story.report(json!({"firmwareVersion": "1.1", "lastFirmwareUpdate": "now"}));
    story.report(json!({"firmwareStatus": "failed", "firmwareVersion": "1.1",
        "lastFirmwareUpdate": "now"}));
    assert_eq!(story.words()[3..], ["unconfirmed"]);
}

#[test]
fn a_device_that_took_the_order_may_begin_at_once() {
    let mut story = on_the_clock(json!({"firmwareStatus": "completed"}));
    story.start().twin().accepted();
    story.status("downloading").status("completed");
    assert_eq!(story.words()[3..], ["downloading", "done", "= completed"]);
}

#[test]
fn a_phase_that_may_be_older_than_the_order_does_not_show_that_it_arrived() {
    let mut story = on_the_clock(json!({"firmwareStatus": "completed"}));
    story.start().twin().status("downloading");
    story.answer(Err(refusal(504, "GatewayTimeout")));
    assert_eq!(story.words()[2..], ["downloading", "unknown"]);
    story.status("completed");
    assert_eq!(story.words()[4..], ["unconfirmed"], "nor that it was ours");
    story.status("applying").status("completed");
    assert_eq!(
        story.words()[5..],
        ["back", "applying", "done", "= completed"]
    );
}

/// A version from before the order is a new baseline, which the journal takes its
/// time over. The answer comes meanwhile, once, and is told.
#[test]
fn an_answer_that_comes_while_a_new_baseline_is_committed_is_told() {
    let mut story = on_the_clock(json!({"firmwareStatus": "standBy", "firmwareVersion": "1.0"}));
    story.start().twin();
    story.holds = true;
    story.report(json!({"firmwareVersion": "1.1"})).accepted();
    assert_eq!(story.words(), ["intended", "invoked 1", "accepted 200"]);
    // The next read tells the baseline again.
    story.twin();
    assert_eq!(rebased(&story), 0);
    story.let_commit();
    assert_eq!(rebased(&story), 1);
    story.status("downloading").status("completed");
    story.let_commit();
    assert_eq!(story.verdict().0, Outcome::Completed);
}

/// How often a new baseline was told.
fn rebased(story: &Story) -> usize {
    let rebased = |event: &&Event| matches!(event.what, What::Rebased { .. });
    story.said.iter().filter(rebased).count()
}

#[rstest::rstest]
#[case::on_the_disk(Ok(None))]
#[case::not_on_the_disk(Err(JournalError::Failed("no room".into())))]
fn an_update_that_is_given_up_while_a_new_baseline_is_committed_ends(
    #[case] committed: Result<Option<Receipt>, JournalError>,
) {
    let mut story = on_the_clock(json!({"firmwareStatus": "standBy", "firmwareVersion": "1.0"}));
    story.start().twin().accepted();
    story.holds = true;
    story.report(json!({"firmwareVersion": "1.1"}));
    let (update, _) = story.committing.pop().expect("the new baseline");
    story.feed(Input::Command(Command::GiveUp(update.clone())));
    assert_eq!(story.words()[3..], ["refused Busy"]);
    story.holds = false;
    let result = committed;
    story.feed(Input::Committed { update, result });
    assert_eq!(story.words()[4..], ["= givenUp"]);
}

#[test]
fn an_order_on_an_old_baseline_waits_for_another_read() {
    let mut story = on_the_clock(json!({"firmwareStatus": "standBy"}));
    story.disk = 6 * SECOND;
    story.start().twin();
    assert!(story.invoked.is_empty());
    assert_eq!(story.reads.len(), 2, "it is being read again");
    let twin = story.twin.report(json!({"firmwareStatus": "completed"}));
    story.read_gives(Ok(twin));
    assert_eq!(story.words(), ["intended", "invoked 1"]);
    story.accepted().status("completed");
    assert_eq!(story.words()[3..], ["unconfirmed"]);
}

#[test]
fn an_order_that_was_late_does_not_go_out_into_anothers_run() {
    let mut story = on_the_clock(json!({"firmwareStatus": "standBy"}));
    story.disk = 6 * SECOND;
    story.start().twin().pass(SECOND);
    story.status("downloading");
    assert!(story.invoked.is_empty());
    assert_eq!(story.words(), ["intended", "= notDelivered"]);
}

#[test]
fn a_machine_that_slept_has_an_old_baseline_by_either_clock() {
    use super::super::baseline::BaselineRead;
    let story = on_the_clock(json!({}));
    let (twin, now) = (story.twin.twin.clone(), story.now());
    let read = BaselineRead::of(&twin, now.at, now);
    let later = |at: u32, wall: u32| Now {
        at: now.at + at * SECOND,
        wall: now.wall + wall * SECOND,
        chance: 0.0,
    };
    assert!(!read.is_stale(later(4, 4)));
    assert!(read.is_stale(later(6, 0)));
    assert!(read.is_stale(later(0, 6)));
    // A clock that was set back makes nothing younger.
    let back = Now {
        wall: now.wall - 60 * SECOND,
        ..later(6, 0)
    };
    assert!(read.is_stale(back));
}

#[test]
fn a_later_process_knows_when_the_order_went_out() {
    let mut story = on_the_clock(json!({"firmwareStatus": "standBy"}));
    story.start().twin().accepted().status("completed");
    let events: Vec<Event> = story
        .said
        .iter()
        .filter(|e| e.update_id.is_some())
        .cloned()
        .collect();
    let text = serde_json::to_string(&events).unwrap();
    let events: Vec<Event> = serde_json::from_str(&text).unwrap();
    let mut update = crate::domain::update::Update::intended(&events[0]).unwrap();
    events[1..].iter().for_each(|event| update.apply(event));
    assert_eq!(update.ordered, latest(&story));
    assert_eq!(update.early_end.as_deref(), Some("completed"));
    assert!(matches!(update.doubt, Some((OpenState::Unconfirmed, _))));
}
