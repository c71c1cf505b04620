//! What is a sign of a run, and what only looks like one.

use serde_json::{Value, json};

use super::tests::Life;
use super::*;

fn replaced(life: &mut Life) {
    life.say(vec![What::Replaced {
        generation_id: Some("1".into()),
        since: Some(life.twin.now()),
        version: 1,
    }]);
}

/// A device at rest says the same all the time, and some tell their version only
/// when they start.
#[test]
fn a_version_told_for_the_first_time_is_no_success() {
    let idle = json!({"FirmwareUpdateStatus": "IDLE"});
    let mut life = Life::speaking("remote-monitoring-2", idle, None);
    life.report(json!({"FirmwareUpdateStatus": "IDLE", "Firmware": "1.4.2"}));
    assert_eq!(life.words, [""; 0]);
    life.report(json!({"FirmwareUpdateStatus": "IDLE", "Firmware": "1.5.0"}));
    assert_eq!(life.words, [""; 0], "nobody knows what was there before");
}

#[test]
fn nor_is_it_a_second_sign_unless_it_is_the_expected_one() {
    let done = json!({"firmwareStatus": "completed"});
    let told = json!({"firmwareStatus": "completed", "firmwareVersion": "1.5.0"});
    let mut life = Life::after(done.clone());
    life.report(told.clone());
    assert_eq!(life.words, ["unconfirmed"]);
    let mut life = Life::expecting(done, Some("1.5.0"));
    life.report(told);
    assert_eq!(life.words, ["done", "= completed"]);
}

/// The new device never got the order; it came with a version and an end of its
/// own.
#[rstest::rstest]
#[case::a_version(json!({"firmwareStatus": "completed", "firmwareVersion": "2.0.0"}), "unconfirmed")]
#[case::an_end(json!({"firmwareStatus": "completed", "lastFirmwareUpdate": "at the factory"}), "unconfirmed")]
#[case::our_uri(json!({"firmwareStatus": "completed", "fwPackageUri": "https://x.test/fw"}), "= completed")]
fn a_device_in_anothers_place_changes_nothing(#[case] said: Value, #[case] word: &str) {
    let mut life = Life::after(json!({"firmwareStatus": "standBy", "firmwareVersion": "1.4.2"}));
    replaced(&mut life);
    life.report(said);
    assert_eq!(life.words.last().unwrap(), word);
}

#[test]
fn what_a_device_that_was_replaced_expects_is_a_sign() {
    let mut life = Life::expecting(json!({"firmwareStatus": "standBy"}), Some("1.5.0"));
    replaced(&mut life);
    life.report(json!({"firmwareStatus": "completed", "firmwareVersion": "1.5.0"}));
    assert_eq!(life.words.last().unwrap(), "= completed");
}

#[rstest::rstest]
#[case::blanks("1.5.0", json!("1.5.0\n"), "= completed")]
#[case::asked_with_blanks(" 1.5.0 ", json!("1.5.0"), "= completed")]
#[case::a_number("2", json!(2), "= completed")]
#[case::another("1.5.0", json!("1.5.0-rc1"), "unconfirmed")]
#[case::a_letter_more("1.5.0", json!("v1.5.0"), "unconfirmed")]
#[case::another_case("1.5.0-RC1", json!("1.5.0-rc1"), "unconfirmed")]
#[case::blank("1.5.0", json!(" "), "unconfirmed")]
#[case::none("1.5.0", Value::Null, "unconfirmed")]
#[case::an_object("{}", json!({}), "= completed")]
fn the_expected_version_is_compared_as_it_is(
    #[case] expect: &str,
    #[case] version: Value,
    #[case] word: &str,
) {
    let mut life = Life::expecting(json!({"firmwareVersion": "1.4.2"}), Some(expect));
    life.report(json!({"firmwareStatus": "applying"}));
    life.report(json!({"firmwareStatus": "completed", "firmwareVersion": version}));
    assert_eq!(life.words.last().unwrap(), word, "{:?}", life.update.doubt);
}

/// Many devices report their version only when it is another.
#[test]
fn a_version_that_was_there_before_need_not_be_told_again() {
    let held = json!({"firmwareStatus": "completed", "firmwareVersion": "1.5.0"});
    let mut life = Life::expecting(held.clone(), Some("1.5.0"));
    life.report(held);
    assert_eq!(life.words, ["unconfirmed"], "and proves nothing");
    life.status("downloading").status("completed");
    assert_eq!(life.words.last().unwrap(), "= completed");
    // One that turns into another is not it.
    let mut life = Life::expecting(json!({"firmwareVersion": "1.5.0"}), Some("1.5.0"));
    life.report(json!({"firmwareStatus": "completed", "firmwareVersion": "1.4.2"}));
    assert_eq!(life.words, ["unconfirmed"]);
}

/// The order did not arrive, and the twin was read again before the next try:
/// what was seen meanwhile was somebody else's run.
#[test]
fn what_was_seen_before_the_baseline_that_counts_is_forgotten() {
    let mut life = Life::story(&["downloading"]);
    let twin = life.twin.report(json!({"firmwareStatus": "completed"}));
    let dialects = crate::domain::dialect::Dialects::built_in();
    let baseline = Baseline::of(&twin, dialects.named("tutorial-2018"));
    life.say(vec![What::Rebased { baseline }]);
    assert_eq!((life.update.runs(), life.update.phase()), (0, None));
    life.words.clear();
    life.status("downloading").status("completed");
    assert_eq!(life.words, ["downloading", "done", "= completed"]);
    assert_eq!(life.update.runs(), 1);
}

/// The registry is closed to many policies. A twin that still holds what was
/// written before the order was not made after it.
#[rstest::rstest]
#[case::the_entry(Suspicion::EntryChanged, 0)]
#[case::an_absence(Suspicion::CameBack, 1)]
fn an_old_stamp_shows_that_a_twin_is_the_same(#[case] suspicion: Suspicion, #[case] told: usize) {
    let mut life = Life::after(json!({"site": {"line": 4}, "firmwareStatus": "standBy"}));
    life.status("applying");
    let news = |life: &Life| {
        let twin = life.twin.twin.clone();
        life.update.followed_up(&suspicion, &twin, Err("no right"))
    };
    assert_eq!(news(&life).len(), told);
    let back = |what: &What| {
        matches!(
            what,
            What::State {
                state: OpenState::Back,
                ..
            }
        )
    };
    assert!(news(&life).iter().all(back));
    // Once all is written anew, nobody can tell.
    life.report(json!({"site": {"line": 5}}));
    assert!(matches!(news(&life)[0], What::Replaced { .. }));
    // Nor by a twin that holds nothing, or that went back.
    let empty = crate::domain::fake::FakeTwin::new("press-7").twin;
    let news = life.update.followed_up(&suspicion, &empty, Err("no right"));
    assert!(matches!(news[0], What::Replaced { .. }));
}

#[test]
fn a_stamp_at_the_end_of_time_stops_nothing() {
    let mut life = Life::story(&[]);
    life.update.intent.baseline.version = 1;
    life.update.intent.baseline.last_updated = Some(Timestamp::MAX);
    let twin = life.twin.twin.clone();
    let ticks = "637612875240648717";
    let suspicion = Suspicion::EntryChanged;
    assert_eq!(life.update.followed_up(&suspicion, &twin, Ok(ticks)), []);
}

/// A device that re-sends an older end has ended nothing.
#[rstest::rstest]
#[case(json!("2026-01-02"), json!("2025-01-01"), "unconfirmed")]
#[case(json!("2026-01-02T03:04:05Z"), json!("2026-01-02T04:04:05+02:00"), "unconfirmed")]
#[case(json!("2026-01-02T03:04:05.123456"), json!("2026-01-02T03:04:05.123455"), "unconfirmed")]
#[case(json!(1_767_225_600), json!(1_767_225_599), "unconfirmed")]
#[case(json!("2025-01-01"), json!("2026-01-02"), "= completed")]
#[case(json!("2026-01-02T03:04:05Z"), json!("2026-01-02T03:04:06Z"), "= completed")]
#[case(json!(9), json!(10), "= completed")]
#[case(json!("run 9"), json!("run 10"), "= completed")]
fn an_end_that_went_back_is_no_sign(#[case] before: Value, #[case] now: Value, #[case] word: &str) {
    let said = |end| json!({"firmwareStatus": "completed", "lastFirmwareUpdate": end});
    let mut life = Life::after(said(before));
    life.report(said(now));
    assert_eq!(life.words.last().unwrap(), word);
}
