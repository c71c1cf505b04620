//! Dialects as they are written, and every mistake with its place.

use super::*;
use crate::domain::dialect::{How, Values};
use crate::domain::twin::Section;
use serde_json::json;

const PRESS: &str = r#"
    [dialect.press]
    status = "press.update.state"
    percent = "press.update.percent"
    version = "press.firmware"
    rest = ["ready"]
    method = "load"
    payload = { from = "{uri}", to = ["{version}", 7, true, 1.5] }
    payload_as = "string"
    response_timeout = "45s"
    connect_timeout = "10s"
    [dialect.press.values]
    Fetching = "downloading"
    "all fine" = "done"
    [hub.plant]
    secret_env = "X"
    dialect = "press"
    [[hub.plant.dialects]]
    query = "tags.model = 'old (1)'"
    dialect = "java-2017"
"#;

fn parse(text: &str) -> Result<Config, String> {
    crate::config::file::parse(text)
}

#[test]
fn a_dialect_is_read_as_it_is_written() {
    let dialects = parse(PRESS).unwrap().dialects(Some("plant")).unwrap();
    let press = dialects.find("press").unwrap();
    let section = Section {
        values: json!({"press": {"firmware": "1", "update":
            {"state": " FETCHING", "percent": 40}}})
        .as_object()
        .unwrap()
        .clone(),
        ..Section::default()
    };
    let reading = press.read(&section);
    assert_eq!(reading.phase, Phase::Downloading);
    assert_eq!(reading.percent, Some(40.0));
    assert_eq!(reading.version.unwrap().text, "1");
    assert_eq!(press.phase_of("All Fine"), Phase::Done);
    let values = Values {
        version: Some("2"),
        ..Values::of_uri("u")
    };
    let (by, payload) = press.start(&values).unwrap();
    assert_eq!(payload, json!("{\"from\":\"u\",\"to\":[\"2\",7,true,1.5]}"));
    assert_eq!(
        (by.response_timeout, by.connect_timeout),
        (Some(45), Some(10))
    );
    assert_eq!(dialects.choose(&section, None).how, How::Hub);
    let ruled = dialects.choose(&section, Some(0));
    assert_eq!(ruled.dialect.name, "java-2017");
    assert_eq!(dialects.rules()[0].condition, "tags.model = 'old (1)'");
}

#[test]
fn what_is_set_for_one_hub_is_not_set_for_another() {
    let config = parse(PRESS).unwrap();
    for hub in [None, Some("nowhere")] {
        let dialects = config.dialects(hub).unwrap();
        assert!(dialects.find("press").is_some());
        assert!(dialects.rules().is_empty());
        let choice = dialects.choose(&Section::default(), None);
        assert_eq!(choice.how, How::Nothing);
    }
}

/// One line of a dialect that is right, instead of another.
#[rstest::rstest]
#[case(
    "status = \"press.update.state\"",
    "",
    "line 2: dialect.press: it names no status"
)]
#[case(
    "press.update.state",
    "press..state",
    "line 3: dialect.press.status: \"press..state\" is no path"
)]
#[case("press.firmware", "a $b", "dialect.press.version: \"a $b\" is no path")]
#[case(
    "= \"downloading\"",
    "= \"downloadin\"",
    "line 13: dialect.press.values.Fetching: \"downloadin\" is no phase"
)]
#[case("= \"downloading\"", "= \"downloadin\"", "did you mean `downloading`?")]
#[case("= \"downloading\"", "= \"unknown\"", "\"unknown\" is no phase")]
#[case("\"all fine\"", "FETCHING", "has two meanings")]
#[case("[\"ready\"]", "[\" fetching\"]", "has two meanings")]
#[case(
    "{uri}",
    "{url}",
    "line 8: dialect.press.payload: {url} is no placeholder"
)]
#[case("{uri}", "{url}", "did you mean `uri`?")]
#[case("{uri}", "u", "holds no {uri}")]
#[case("{version}", "{version", "single brace")]
#[case("7", "1979-05-27", "that JSON does not know")]
#[case("1.5", "nan", "that JSON does not know")]
#[case("\"load\"", "\"lo ad\"", "no name of a direct method")]
#[case("method = \"load\"", "", "there is no method")]
#[case("method = \"load\"", "watched_only = true", "so payload means nothing")]
#[case("\"45s\"", "\"4s\"", "must be between 5s and 5m")]
#[case("\"10s\"", "\"6m\"", "must be between 0s and 5m")]
#[case(
    "\"10s\"",
    "\"46s\"",
    "not be longer than response_timeout, which is 45 s"
)]
#[case(
    "response_timeout = \"45s\"\n    connect_timeout = \"10s\"",
    "connect_timeout = \"31s\"",
    "which is 30 s here"
)]
#[case("\"10s\"", "\"soon\"", "write 8s, 15m or 2h")]
#[case(
    "payload_as = \"string\"",
    "payload_as = \"xml\"",
    "unknown variant `xml`"
)]
#[case("percent =", "precent =", "did you mean `percent`?")]
#[case(
    "dialect = \"press\"",
    "dialect = \"pres\"",
    "hub.plant.dialect: there is no dialect \"pres\"; there are tutorial-2018,"
)]
#[case("dialect = \"press\"", "dialect = \"pres\"", "did you mean `press`?")]
#[case(
    "java-2017",
    "jawa-2017",
    "line 20: hub.plant.dialects.0.dialect: there is no dialect"
)]
#[case(
    "tags.model = 'old (1)'",
    "",
    "hub.plant.dialects.0.query: it has no query"
)]
#[case("tags.model =", "WHERE tags.model =", "the condition alone")]
#[case("tags.model = 'old (1)'", "a = 1) OR (b = 2", "has no end")]
#[case("'old (1)'", "'old", "has no end")]
#[case("[dialect.press]", "[dialect.iothubDM]", "built in")]
#[case("[dialect.press]", "[dialect.\"a b\"]", "letters, digits")]
fn mistakes_are_told_with_their_place(#[case] right: &str, #[case] wrong: &str, #[case] why: &str) {
    assert!(PRESS.contains(right), "{right}");
    let mut text = PRESS.replacen(right, wrong, 1);
    if let Some(name) = wrong
        .strip_prefix("[dialect.")
        .and_then(|n| n.strip_suffix(']'))
    {
        let name = format!("[dialect.{name}.values]");
        text = text.replace("[dialect.press.values]", &name);
    }
    let error = parse(&text).unwrap_err();
    assert!(error.contains(why), "{error}");
}

#[rstest::rstest]
#[case(
    "[dialect.a]\nstatus = \"s\"\nvalues = {x = \"done\"}",
    "say how an update is started"
)]
#[case(
    "[dialect.a]\nstatus = \"s\"\nwatched_only = true\nvalues = {x = \"idle\"}",
    "no value means done"
)]
#[case(
    "[dialect.a]\nstatus = \"s\"\nmethod = \"m\"\nvalues = {x = \"done\"}",
    "there is no payload"
)]
fn a_dialect_must_say_enough(#[case] text: &str, #[case] why: &str) {
    let error = parse(text).unwrap_err();
    assert!(error.contains(why), "{error}");
}

#[test]
fn a_payload_may_be_a_bare_string_and_a_dialect_watched_only() {
    let config = parse(
        "[dialect.a]\nstatus = \"s\"\nmethod = \"m\"\npayload = \"{uri}\"\nvalues = {x = \"done\"}\n\
         [dialect.b]\nstatus = \"t\"\nwatched_only = true\nrest = [\"ok\"]",
    );
    let dialects = config.unwrap().dialects(None).unwrap();
    let a = dialects.find("a").unwrap();
    assert_eq!(a.start(&Values::of_uri("u")).unwrap().1, json!("u"));
    assert_eq!(dialects.find("b").unwrap().starts, Starts::WatchedOnly);
}

#[test]
fn strings_in_conditions_may_hold_anything() {
    for fine in ["a = ')'", "a = \"(\" OR (b = 'it\\'s (')", "a='x''(y'"] {
        assert_eq!(condition(fine), Ok(fine.to_owned()));
    }
    let long = format!("a = '{}'", "x".repeat(1_000));
    assert!(matches!(condition(&long), Err(DialectError::TooLong(_))));
}
