//! Starts that are refused before anything is sent.

use super::*;

#[test]
fn an_active_phase_younger_than_its_deadline_is_busy() {
    let mut story = Story::new();
    story.twin.report(json!({"firmwareStatus": "applying"}));
    story.start().twin();
    assert_eq!(story.words(), ["refused Busy"]);
    story.pass(16 * 60 * SECOND).start().twin();
    assert_eq!(story.words()[1..], ["intended", "invoked 1"]);
    story.start();
    assert_eq!(
        story.words().last().unwrap(),
        "refused Busy",
        "one at a time"
    );
}

#[test]
fn a_read_only_hub_gets_nothing() {
    let mut story = Story::with(|s| s.profile.read_only = true);
    story.start();
    assert_eq!(story.words(), ["refused ReadOnly"]);
    assert_eq!(story.read, 0);
}

#[test]
fn a_production_hub_is_armed_by_its_name_and_for_a_while() {
    let mut story = Story::with(|s| s.profile.environment = Some("production".into()));
    story.start();
    story
        .feed(Input::Command(Command::Arm("plnt".into())))
        .start();
    assert_eq!(story.words(), ["refused Unconfirmed"; 3]);
    story
        .feed(Input::Command(Command::Arm("plant".into())))
        .start()
        .twin();
    assert_eq!(story.words()[3..], ["intended", "invoked 1"]);
    // A retry after the arming has run out is not sent.
    story.at += 299 * SECOND;
    story
        .answer(Err(refusal(429, "ThrottlingException")))
        .pass(2 * SECOND)
        .twin();
    assert_eq!(story.words()[5..], ["retrying", "= notDelivered"]);
    assert_eq!(story.invoked.len(), 1);
}

#[rstest::rstest]
#[case(refusal(404, "DeviceNotFound"), "refused NoSuchDevice", 1)]
#[case(refusal(401, "IotHubUnauthorizedAccess"), "refused Unauthorized", 1)]
#[case(refused_connection(), "refused Unreachable", 4)]
fn without_a_baseline_nothing_is_sent(
    #[case] error: HubError,
    #[case] want: &str,
    #[case] reads: usize,
) {
    let mut story = Story::new();
    story.start();
    for _ in 0..reads {
        assert!(story.words().is_empty());
        story.read_gives(Err(error.clone())).pass(60 * SECOND);
    }
    assert_eq!(story.words(), [want]);
    assert!(story.invoked.is_empty());
}
