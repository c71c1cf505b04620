//! The order: what a `firmwareUpdate` payload asks for.

use serde_json::Value;

use crate::domain::clean;

/// The longest URI taken, in characters.
const MAX_URI: usize = 4_096;

/// The package's URI in a method's payload: an object
/// `{"fwPackageUri": "…"}`, that object as JSON in a string (Node tutorial of
/// 2017), or the bare URI as a string (Java tutorial of 2017). As the 2018
/// tutorial's device, which is given `test.com`, it asks for no scheme.
///
/// # Errors
/// One line that says what is wrong.
pub(super) fn package_uri(payload: &[u8]) -> Result<String, String> {
    if payload.trim_ascii().is_empty() {
        return Err(expected("nothing"));
    }
    let value: Value = serde_json::from_slice(payload)
        .map_err(|error| format!("the payload is no JSON: {error}"))?;
    let uri = match value {
        Value::Object(object) => in_object(&object)?,
        Value::String(text) if text.trim_start().starts_with('{') => {
            let object = serde_json::from_str(&text)
                .map_err(|error| format!("the JSON in the payload's string is broken: {error}"))?;
            in_object(&object)?
        }
        Value::String(text) => text,
        Value::Null => return Err(expected("null")),
        Value::Bool(_) => return Err(expected("a boolean")),
        Value::Number(_) => return Err(expected("a number")),
        Value::Array(_) => return Err(expected("an array")),
    };
    checked(uri.trim())
}

fn in_object(object: &serde_json::Map<String, Value>) -> Result<String, String> {
    match object.get("fwPackageUri") {
        Some(Value::String(uri)) => Ok(uri.clone()),
        Some(_) => Err("fwPackageUri is no string".to_owned()),
        None => Err(expected("an object without it")),
    }
}

fn expected(got: &str) -> String {
    format!("the payload must be {{\"fwPackageUri\": \"https://…\"}}, not {got}")
}

fn checked(uri: &str) -> Result<String, String> {
    if uri.is_empty() {
        return Err("the package URI is empty".to_owned());
    }
    if uri.chars().count() > MAX_URI {
        return Err(format!(
            "the package URI is longer than {MAX_URI} characters"
        ));
    }
    if uri
        .chars()
        .any(|c| c.is_whitespace() || clean::is_dangerous(c))
    {
        return Err("the package URI holds a character that no URI may hold".to_owned());
    }
    Ok(uri.to_owned())
}

/// The version in a package's name: the first run of numbers joined by dots,
/// `1.5.0` in `https://x.test/fw-1.5.0.bin?sig=…`.
pub(super) fn version_in(uri: &str) -> Option<String> {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let (_host, path) = rest.split(['?', '#']).next()?.split_once('/')?;
    let name = path.trim_end_matches('/').rsplit('/').next()?;
    name.split(|c: char| !c.is_ascii_digit() && c != '.')
        .map(|run| run.trim_matches('.'))
        .find(|run| run.contains('.') && !run.contains(".."))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(r#"{"fwPackageUri":"https://x.test/a"}"#, "https://x.test/a")]
    #[case(r#"{"fwPackageUri":"test.com","more":1}"#, "test.com")]
    #[case(r#""{\"fwPackageUri\":\"https://x.test/a\"}""#, "https://x.test/a")]
    #[case(r#"" https://x.test/a ""#, "https://x.test/a")]
    fn the_three_shapes_of_an_order(#[case] payload: &str, #[case] want: &str) {
        assert_eq!(package_uri(payload.as_bytes()).unwrap(), want);
    }

    #[rstest::rstest]
    #[case("", "not nothing")]
    #[case(" ", "not nothing")]
    #[case("null", "not null")]
    #[case("[]", "not an array")]
    #[case("7", "not a number")]
    #[case("true", "not a boolean")]
    #[case("{", "no JSON")]
    #[case("{}", "an object without it")]
    #[case(r#"{"fwPackageUri":7}"#, "no string")]
    #[case(r#"{"fwPackageUri":""}"#, "is empty")]
    #[case(r#""{broken""#, "broken")]
    #[case(r#""two words""#, "no URI may hold")]
    #[case(r#""a\u001b[2J""#, "no URI may hold")]
    fn bad_orders_say_what_is_wrong(#[case] payload: &str, #[case] why: &str) {
        let problem = package_uri(payload.as_bytes()).unwrap_err();
        assert!(problem.contains(why), "{problem}");
    }

    #[test]
    fn a_very_long_uri_is_refused() {
        let payload = format!("\"https://x.test/{}\"", "a".repeat(5_000));
        assert!(
            package_uri(payload.as_bytes())
                .unwrap_err()
                .contains("4096")
        );
    }

    #[rstest::rstest]
    #[case("https://x.test/fw-1.5.0.bin?sig=9.9", Some("1.5.0"))]
    #[case("https://x.test/1.0/fw-2.bin", None)]
    #[case("https://x.test/fw_v10.2-rc1.tar.gz", Some("10.2"))]
    #[case("https://x.test/a..b1..2", None)]
    #[case("https://1.2.3.4/", None)]
    #[case("test.com", None)]
    fn versions_are_read_from_the_file_name(#[case] uri: &str, #[case] want: Option<&str>) {
        assert_eq!(version_in(uri).as_deref(), want);
    }
}
