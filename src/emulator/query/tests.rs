use super::*;
use crate::emulator::refusal::Code;
use proptest::prelude::*;
use serde_json::json;

struct Sample(Value);

impl Row for Sample {
    fn key(&self) -> &str {
        self.0["deviceId"].as_str().unwrap()
    }
    fn whole(&self) -> Value {
        self.0.clone()
    }
    fn field(&self, path: &[String]) -> Option<Cow<'_, Value>> {
        walk(&self.0, path).map(Cow::Borrowed)
    }
}

fn samples() -> Vec<Value> {
    vec![
        json!({"deviceId": "a", "connectionState": "Connected", "version": 2,
               "tags": {"site": "lab", "n": 1, "ok": true, "it's": 1},
               "properties": {"reported": {"fw": "1.4.2", "Fw": "x", "load": 0.5, "o": {}}}}),
        json!({"deviceId": "b", "connectionState": "Disconnected", "version": 3,
               "tags": {"site": "plant", "n": 2, "ok": false},
               "properties": {"reported": {"fw": "1.5.0", "from": 1}}}),
        json!({"deviceId": "c", "connectionState": "Disconnected", "version": 4, "tags": {"n": null},
               "properties": {"reported": {}}}),
    ]
}

fn page(text: &str, size: Option<usize>, token: Option<&str>) -> Result<Page, Refusal> {
    run(text, size, token, |after| {
        let after = after.unwrap_or("").to_owned();
        let rows = samples().into_iter().map(Sample);
        Box::new(rows.filter(move |row| row.key() > after.as_str()))
    })
}

fn ids(condition: &str) -> String {
    let text = format!("SELECT deviceId FROM devices WHERE {condition}");
    let page = page(&text, None, None).unwrap_or_else(|r| panic!("{condition}: {r:?}"));
    let id = |row: &Value| row["deviceId"].as_str().unwrap().to_owned();
    page.items.iter().map(id).collect()
}

#[rstest::rstest]
#[case("tags.site = 'lab'", "a")]
#[case("tags.site = \"lab\"", "a")]
#[case("tags.site != 'lab'", "b")]
#[case("tags.site <> 'lab'", "b")]
#[case("tags.site > 'lab'", "b")]
#[case("NOT tags.site = 'lab'", "b")]
#[case("not not tags.site = 'lab'", "a")]
#[case("tags.n < 2", "a")]
#[case("tags.n <= 2 and tags.n >= 1.0", "ab")]
#[case("tags.n = null", "c")]
#[case("tags.n != null", "ab")]
#[case("tags.missing = null", "")]
#[case("tags.missing != 'x'", "")]
#[case("not tags.missing = 'x'", "")]
#[case("tags.site = 1", "")]
#[case("tags.site != 1", "")]
#[case("tags.ok", "a")]
#[case("tags.ok = false", "b")]
#[case("NOT tags.ok", "b")]
#[case("IS_DEFINED(tags.site)", "ab")]
#[case("is_defined(properties.reported.o)", "a")]
#[case("NOT IS_DEFINED(tags.site)", "c")]
#[case("properties.reported.o = properties.reported.o", "")]
#[case("deviceId IN ['a', 'c', 'z']", "ac")]
#[case("deviceId NIN ['a']", "bc")]
#[case("tags.site NIN ['lab']", "b")]
#[case("tags.n IN [-1, 2]", "b")]
#[case("tags.n + 1 = 2", "a")]
#[case("tags.n * 2 - 1 = 3", "b")]
#[case("-tags.n = -2", "b")]
#[case("7 % 4 = tags.n + 1 + 1", "a")]
#[case("tags.n / 0 = 1", "")]
#[case("(tags.n = 1 OR tags.n = 2) AND deviceId = 'b'", "b")]
#[case("tags.n = 1 OR tags.n = 2 AND deviceId = 'b'", "ab")]
#[case("tags.missing = 1 OR deviceId = 'c'", "c")]
#[case("NOT (tags.missing = 1 AND deviceId = 'c')", "ab")]
#[case("DEVICEID = 'a' and CONNECTIONSTATE = 'Connected'", "a")]
#[case("connectionstate = 'connected'", "")]
#[case("devices.tags.site = 'lab'", "a")]
#[case("tags.Site = 'lab'", "")]
#[case("Properties.Reported.fw = '1.4.2'", "a")]
#[case("properties.reported.from = 1", "b")]
#[case("tags.[[it's]] = 1", "a")]
#[case("properties.reported.fw = '1.\\u0034.2'", "a")]
#[case("'it''s' = 'it\\'s'", "abc")]
#[case("true", "abc")]
#[case("configurations.[[fw-1]].status = 'Applied'", "")]
fn conditions(#[case] condition: &str, #[case] want: &str) {
    assert_eq!(ids(condition), want);
}

#[rstest::rstest]
#[case("", "SELECT was expected at position 1")]
#[case("SELECT", "a name was expected at position 7")]
#[case("SELECT * FROM", "DEVICES was expected")]
#[case("SELECT * FROM devices WHERE", "a name was expected at position 28")]
#[case(
    "SELECT * FROM devices WHERE tags.site = 'lab",
    "without its end at position 41"
)]
#[case(
    "SELECT * FROM devices WHERE a = 'x' b",
    "after the end of the query at position 37"
)]
#[case("SELECT * FROM devices ORDER BY a", "after the end")]
#[case("SELECT * FROM devices WHERE a == 1", "a name was expected")]
#[case("SELECT * FROM devices WHERE a = 1;", "unexpected ';' at position 34")]
#[case(
    "SELECT * FROM devices WHERE a IN ['a', b]",
    "something else than constants"
)]
#[case("SELECT * FROM devices WHERE a IN ('a')", "[ was expected")]
#[case("SELECT * FROM devices WHERE a = 'x\\q'", "escape")]
#[case("SELECT * FROM devices WHERE a = 1x", "a number that cannot be read")]
#[case("SELECT * FROM devices WHERE [[a = 1", "[[ without ]]")]
#[case("SELECT TOP 0 * FROM devices", "TOP without")]
#[case("SELECT * FROM devices.jobs", "a collection other than devices")]
#[case("SELECT * FROM devices.modules", "a collection other than devices")]
#[case("SELECT COUNT() AS n FROM devices", "the function COUNT")]
#[case(
    "SELECT deviceId FROM devices WHERE startswith(deviceId, 'a')",
    "the function startswith"
)]
#[case("SELECT status FROM devices GROUP BY status", "GROUP BY")]
fn refusals(#[case] text: &str, #[case] problem: &str) {
    let refusal = page(text, None, None).unwrap_err();
    assert_eq!(refusal.code, Code::ArgumentInvalid);
    assert!(refusal.message.contains(problem), "{}", refusal.message);
}

#[test]
fn a_projection_keeps_names_in_their_canonical_spelling() {
    let text = "select DeviceId, TAGS.site as s, properties.reported.fw, tags.gone as g \
                from devices where deviceid = 'a'";
    let page = page(text, None, None).unwrap();
    assert_eq!(page.item_type, ItemType::Raw);
    assert_eq!(
        page.items,
        [json!({"deviceId": "a", "s": "lab", "fw": "1.4.2"})]
    );
}

#[test]
fn star_gives_twins() {
    let page = page("SELECT * FROM devices", None, None).unwrap();
    assert_eq!((page.item_type.name(), page.items), ("Twin", samples()));
}

#[test]
fn pages_follow_each_other_and_the_last_has_no_token() {
    let text = "SELECT * FROM devices WHERE tags.site = 'lab' OR version = 4";
    let first = page(text, Some(1), None).unwrap();
    assert_eq!(first.items.len(), 1);
    let token = first.continuation.unwrap();
    let second = page(text, Some(1), Some(&token)).unwrap();
    assert_eq!(second.items[0]["deviceId"], "c");
    assert_eq!(second.continuation, None);

    let other = page("SELECT * FROM devices", Some(1), Some(&token));
    assert!(other.unwrap_err().message.contains("continuation"));
    assert!(page(text, None, Some("nonsense")).is_err());
}

#[test]
fn top_counts_over_pages() {
    let text = "SELECT TOP 2 deviceId FROM devices";
    let first = page(text, Some(1), None).unwrap();
    let second = page(text, Some(1), first.continuation.as_deref()).unwrap();
    assert_eq!(second.items, [json!({"deviceId": "b"})]);
    assert_eq!(second.continuation, None);
    assert_eq!(page(text, Some(9), None).unwrap().continuation, None);
}

#[test]
fn long_chains_and_deep_nests_end_well() {
    let select = |condition: String| format!("SELECT * FROM devices WHERE {condition}");
    let sum = select(format!("1{} = 1000", "+1".repeat(999)));
    assert_eq!(page(&sum, None, None).unwrap().items.len(), 3);
    let deep = |n| select(format!("{}true{}", "(".repeat(n), ")".repeat(n)));
    assert!(page(&deep(60), None, None).is_ok());
    let refused = page(&deep(4_000), None, None).unwrap_err();
    assert!(refused.message.contains("nested too deeply"));
    let not = select(format!("{}true", "NOT ".repeat(2_000)));
    assert!(page(&not, None, None).is_err());
    let minus = select(format!("{}1 = 1", "-".repeat(8_000)));
    assert!(page(&minus, None, None).is_err());
    let long = select(format!("true{}", " ".repeat(8_192)));
    assert!(
        page(&long, None, None)
            .unwrap_err()
            .message
            .contains("8192")
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        let _ = page(&text, None, None);
        let _ = page(&format!("SELECT * FROM devices WHERE {text}"), Some(0), Some(&text));
    }

    #[test]
    fn no_heap_of_words_panics(words in prop::collection::vec(prop::sample::select(vec![
        "select", "from", "devices", "where", "and", "or", "not", "in", "nin", "is_defined",
        "tags.n", "deviceId", "properties.reported.fw", "'a'", "1", "2.5", "null", "true", "*",
        "=", "!=", "<", "+", "-", "/", "%", "(", ")", "[", "]", ",", ".", "[[x]]", "top", "as",
    ]), 0..24)) {
        let text = words.join(" ");
        let _ = page(&text, None, None);
        let _ = page(&format!("SELECT * FROM devices WHERE {text}"), None, None);
    }
}
