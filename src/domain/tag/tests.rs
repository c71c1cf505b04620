use super::*;
use crate::domain::fake::FakeTwin;
use serde_json::json;

const NOON: &str = "2026-01-01T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn update(text: &str) -> UpdateId {
    UpdateId::from_text(text)
}

/// A twin with that tag, as the hub gave it at that time by its clock.
fn twin(tag: Value, answered: Option<&str>) -> Twin {
    let mut twin = FakeTwin::new("press-7").twin;
    twin.tags.insert("site".into(), "lab".into());
    if !tag.is_null() {
        twin.tags.insert(KEY.into(), tag);
    }
    twin.told_at = answered.map(at);
    twin
}

fn bobs() -> Value {
    let tag = Tag::new(
        "bob@jump2 (ssh from 10.0.0.7)",
        update("u-bob"),
        "fw-1.5.0.bin",
        at(NOON),
    );
    tag.value()
}

fn nobody(_: &UpdateId) -> bool {
    false
}

#[test]
fn a_tag_says_who_since_when_and_what_and_nothing_more() {
    let want = json!({
        "by": "bob", "host": "jump2", "update": "u-bob",
        "since": "2026-01-01T12:00:00Z", "until": "2026-01-01T12:30:00Z",
        "doing": "update to fw-1.5.0.bin",
    });
    assert_eq!(bobs(), want);
    let seen = Sighting::of(&twin(bobs(), Some(NOON)), at(NOON));
    let problem = seen.busy(nobody).unwrap();
    assert_eq!(problem.kind, Kind::Busy);
    assert_eq!(
        problem.line(),
        "press-7 is busy: bob on jump2 since 2026-01-01T12:00:00Z: update to fw-1.5.0.bin"
    );
    assert!(problem.hint.contains("2026-01-01T12:30:00Z"), "{problem}");
}

/// By the hub's clock to the second, whatever ours says; without the hub's, with a
/// margin for two clocks that differ.
#[rstest::rstest]
#[case(Some("2026-01-01T12:29:59Z"), "2030-01-01T00:00:00Z", true)]
#[case(Some("2026-01-01T12:30:00Z"), "2020-01-01T00:00:00Z", false)]
#[case(None, "2026-01-01T12:34:59Z", true)]
#[case(None, "2026-01-01T12:35:00Z", false)]
fn it_ends_by_itself(#[case] hub: Option<&str>, #[case] ours: &str, #[case] busy: bool) {
    let seen = Sighting::of(&twin(bobs(), hub), at(ours));
    assert_eq!(seen.busy(nobody).is_some(), busy);
}

#[test]
fn ones_own_is_no_hindrance() {
    let seen = Sighting::of(&twin(bobs(), Some(NOON)), at(NOON));
    assert_eq!(seen.busy(|id| *id == update("u-bob")), None);
    assert!(seen.busy(|id| *id == update("u-ana")).is_some());
    let none = Sighting::of(&twin(Value::Null, Some(NOON)), at(NOON));
    assert_eq!(none.busy(nobody), None);
}

#[rstest::rstest]
#[case(json!("bob"))]
#[case(json!({"by": "bob"}))]
#[case(json!({"by": "b", "host": "h", "update": "u", "since": "soon", "until": "late", "doing": ""}))]
#[case(json!(["bob"]))]
fn what_cannot_be_read_is_nobodys_to_take(#[case] tag: Value) {
    let seen = Sighting::of(&twin(tag, Some(NOON)), at(NOON));
    assert_eq!(*seen.found(), Found::Unreadable);
    let problem = seen.busy(|_| true).unwrap();
    assert!(problem.cause.contains("tags.otadeck"), "{problem}");
    assert_eq!(seen.give_back(&update("u")), None);
}

/// Words of a stranger: no escape sequence, no length without bounds.
#[test]
fn a_hostile_tag_is_harmless() {
    let mut tag = bobs();
    tag["by"] = "\u{1b}[2J\u{202e}evil".into();
    tag["doing"] = "x".repeat(100_000).into();
    let seen = Sighting::of(&twin(tag, Some(NOON)), at(NOON));
    let text = seen.busy(nobody).unwrap().to_string();
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    assert!(text.chars().count() < 600, "{text:?}");
}

#[test]
fn every_write_rests_on_what_was_seen() {
    let seen = Sighting::of(&twin(bobs(), Some(NOON)), at(NOON));
    let minute = Duration::from_secs(60);
    let take = seen.take("ana@jump1", &update("u-ana"), "fw", 40 * minute);
    assert_eq!(take.etag(), "AAAAAAAAAAE=");
    assert_eq!(take.device().as_str(), "press-7");
    assert_eq!(take.over(), Some(&update("u-bob")));
    let tag = take.tag().unwrap();
    assert_eq!(tag.since, at("2026-01-01T12:40:00Z"));
    assert_eq!(tag.until, at("2026-01-01T13:10:00Z"));
    let renewed = seen.renew(&update("u-bob"), 10 * minute).unwrap();
    let tag = renewed.tag().unwrap();
    assert_eq!(tag.since, at(NOON), "since it was taken");
    assert_eq!(tag.until, at("2026-01-01T12:40:00Z"));
    assert_eq!(seen.give_back(&update("u-bob")).unwrap().tag(), None);
    assert_eq!(seen.renew(&update("u-ana"), minute), None);
    assert_eq!(seen.give_back(&update("u-ana")), None);
}

#[test]
fn a_name_without_a_host_is_a_name() {
    let tag = Tag::new("somebody", update("u"), "fw", at(NOON));
    assert_eq!((tag.by.as_str(), tag.host.as_str()), ("somebody", ""));
}

#[rstest::rstest]
#[case("ana@jump1", "ana", "jump1")]
#[case("ana@jump1 (ssh from 10.0.0.7)", "ana", "jump1")]
#[case(
    "root@jump1 (sudo by ana, ssh from 10.0.0.7)",
    "root (sudo by ana)",
    "jump1"
)]
#[case(
    "ana (uid 70001)@jump1 (ssh from 10.0.0.7)",
    "ana (uid 70001)",
    "jump1"
)]
#[case("", "", "")]
fn a_tag_says_who_but_not_from_where(#[case] by: &str, #[case] who: &str, #[case] host: &str) {
    let tag = Tag::new(by, update("u"), "fw", Timestamp::UNIX_EPOCH);
    assert_eq!((tag.by.as_str(), tag.host.as_str()), (who, host));
}
