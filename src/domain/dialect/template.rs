//! The payload of the method that starts an update: JSON with placeholders.
//!
//! `{uri}`, `{version}` and `{sha256}` are replaced inside strings only. The
//! template is JSON data, never text, so no value can break out of its string.
//! `{{` and `}}` stand for the braces themselves.

use serde_json::{Map, Value};

/// What a payload can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// The package's URI, with its secrets.
    Uri,
    /// The version that the device must report in the end.
    Version,
    /// SHA-256 of the package.
    Sha256,
}

impl Placeholder {
    /// All that there are.
    pub const ALL: [Self; 3] = [Self::Uri, Self::Version, Self::Sha256];

    /// The name between the braces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uri => "uri",
            Self::Version => "version",
            Self::Sha256 => "sha256",
        }
    }
}

/// What is put in for the placeholders of one start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values<'a> {
    /// The package's URI: whole for the device, redacted to be shown.
    pub uri: &'a str,
    /// The version that the device must report in the end, if one was given.
    pub version: Option<&'a str>,
    /// SHA-256 of the package in hex, if it was given.
    pub sha256: Option<&'a str>,
}

impl<'a> Values<'a> {
    /// A package of which only the URI is known.
    #[must_use]
    pub fn of_uri(uri: &'a str) -> Self {
        Self {
            uri,
            version: None,
            sha256: None,
        }
    }

    fn get(&self, placeholder: Placeholder) -> Option<&'a str> {
        match placeholder {
            Placeholder::Uri => Some(self.uri),
            Placeholder::Version => self.version,
            Placeholder::Sha256 => self.sha256,
        }
    }
}

/// Why a JSON value is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// A name between braces that means nothing.
    #[error("{{{0}}} is no placeholder; there are {{uri}}, {{version}} and {{sha256}}")]
    Unknown(String),
    /// A brace that nothing closes or opens.
    #[error("{0:?} holds a single brace; write {{{{ or }}}} for the brace itself")]
    Brace(String),
    /// The device would not be told which package.
    #[error("it holds no {{uri}}, so the device would not be told which package")]
    NoUri,
}

/// A checked template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    json: Value,
    /// Is the JSON sent as a string that holds JSON?
    as_string: bool,
}

impl Template {
    /// Checks the placeholders of `json`. With `as_string` the payload goes out
    /// as a string that holds that JSON, as the Node tutorial of 2017 sends it.
    ///
    /// # Errors
    /// [`InvalidTemplate`] says what is wrong and what there is.
    pub fn parse(json: Value, as_string: bool) -> Result<Self, InvalidTemplate> {
        let mut named = Vec::new();
        check(&json, &mut named)?;
        if !named.contains(&Placeholder::Uri) {
            return Err(InvalidTemplate::NoUri);
        }
        Ok(Self { json, as_string })
    }

    /// The payload with `values` put in.
    ///
    /// # Errors
    /// The placeholders that the template holds and for which there is no value.
    pub fn fill(&self, values: &Values<'_>) -> Result<Value, Vec<Placeholder>> {
        let mut missing = Vec::new();
        let filled = fill(&self.json, values, &mut missing);
        if !missing.is_empty() {
            let all = Placeholder::ALL.into_iter();
            return Err(all.filter(|p| missing.contains(p)).collect());
        }
        Ok(match self.as_string {
            true => Value::String(filled.to_string()),
            false => filled,
        })
    }

    /// The template of a built-in dialect.
    pub(super) fn built_in(json: Value) -> Self {
        Self {
            json,
            as_string: false,
        }
    }

    /// The same, sent as a string that holds JSON.
    pub(super) fn stringly(self) -> Self {
        Self {
            as_string: true,
            ..self
        }
    }
}

fn check(json: &Value, named: &mut Vec<Placeholder>) -> Result<(), InvalidTemplate> {
    match json {
        Value::String(text) => {
            for piece in pieces(text)? {
                if let Piece::Placeholder(placeholder) = piece {
                    named.push(placeholder);
                }
            }
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(|item| check(item, named)),
        Value::Object(members) => members.values().try_for_each(|item| check(item, named)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn fill(json: &Value, values: &Values<'_>, missing: &mut Vec<Placeholder>) -> Value {
    match json {
        Value::String(text) => Value::String(fill_text(text, values, missing)),
        Value::Array(items) => {
            let items = items.iter().map(|item| fill(item, values, missing));
            Value::Array(items.collect())
        }
        Value::Object(members) => {
            let mut filled = Map::new();
            for (key, item) in members {
                filled.insert(key.clone(), fill(item, values, missing));
            }
            Value::Object(filled)
        }
        other => other.clone(),
    }
}

fn fill_text(text: &str, values: &Values<'_>, missing: &mut Vec<Placeholder>) -> String {
    let mut filled = String::with_capacity(text.len());
    // Checked when the template was made.
    for piece in pieces(text).unwrap_or_default() {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Placeholder(placeholder) => match values.get(placeholder) {
                Some(value) => filled.push_str(value),
                None => missing.push(placeholder),
            },
        }
    }
    filled
}

enum Piece<'a> {
    Text(&'a str),
    Placeholder(Placeholder),
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, InvalidTemplate> {
    let brace = || InvalidTemplate::Brace(text.to_owned());
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        pieces.push(Piece::Text(&rest[..at]));
        let (sign, after) = rest[at..].split_at(1);
        if let Some(after) = after.strip_prefix(sign) {
            pieces.push(Piece::Text(sign));
            rest = after;
            continue;
        }
        if sign == "}" {
            return Err(brace());
        }
        let (name, after) = after.split_once('}').ok_or_else(brace)?;
        let placeholder = Placeholder::ALL.into_iter().find(|p| p.name() == name);
        let unknown = || InvalidTemplate::Unknown(name.to_owned());
        pieces.push(Piece::Placeholder(placeholder.ok_or_else(unknown)?));
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const ALL: Values<'_> = Values {
        uri: "https://x.test/a?b=\"c\\",
        version: Some("1.5.0"),
        sha256: Some("ab"),
    };

    #[rstest::rstest]
    #[case(json!("{uri}"), json!("https://x.test/a?b=\"c\\"))]
    #[case(json!({"a": ["{version}+{sha256}", 7, null, true], "{uri}": "{uri}"}),
        json!({"a": ["1.5.0+ab", 7, null, true], "{uri}": "https://x.test/a?b=\"c\\"}))]
    #[case(json!(["{{uri}} {uri} }}{{"]), json!(["{uri} https://x.test/a?b=\"c\\ }{"]))]
    fn placeholders_are_replaced_inside_strings_only(#[case] template: Value, #[case] want: Value) {
        let filled = Template::parse(template, false).unwrap().fill(&ALL);
        assert_eq!(filled, Ok(want));
    }

    #[test]
    fn a_payload_can_go_out_as_a_string_that_holds_json() {
        let template = Template::parse(json!({"u": "{uri}"}), true).unwrap();
        let payload = template.fill(&Values::of_uri("https://x.test/\"")).unwrap();
        assert_eq!(payload, json!("{\"u\":\"https://x.test/\\\"\"}"));
    }

    #[rstest::rstest]
    #[case(json!({"u": "{uri}", "v": "{versoin}"}), "{versoin} is no placeholder")]
    #[case(json!({"u": "{uri}", "v": "{ version }"}), "{ version } is no placeholder")]
    #[case(json!({"u": "{uri}", "v": "a{b"}), "single brace")]
    #[case(json!({"u": "{uri}", "v": "a}b"}), "single brace")]
    #[case(json!({"v": "{version} {{uri}}"}), "holds no {uri}")]
    #[case(json!(null), "holds no {uri}")]
    fn mistakes_are_named(#[case] template: Value, #[case] why: &str) {
        let error = Template::parse(template, false).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[rstest::rstest]
    #[case("{uri} {version}", &[Placeholder::Version])]
    #[case("{uri} {sha256}", &[Placeholder::Sha256])]
    #[case("{sha256} {uri} {version}", &[Placeholder::Version, Placeholder::Sha256])]
    fn all_missing_values_are_named(#[case] template: &str, #[case] missing: &[Placeholder]) {
        let template = Template::parse(json!({ "a": [template] }), false).unwrap();
        let values = Values::of_uri("https://x.test/a");
        assert_eq!(template.fill(&values), Err(missing.to_vec()));
    }

    proptest! {
        /// Whatever is put in stays inside its string: the shape is the template's.
        #[test]
        fn no_value_breaks_the_json(uri in any::<String>(), version in any::<String>()) {
            let template = json!({"a": "{uri}", "b": {"c": ["{version}", "x{uri}"]}});
            let values = Values { uri: &uri, version: Some(&version), sha256: None };
            let want = json!({"a": uri, "b": {"c": [version, format!("x{uri}")]}});
            let plain = Template::parse(template.clone(), false).unwrap();
            prop_assert_eq!(plain.fill(&values).unwrap(), want.clone());
            let stringly = Template::parse(template, true).unwrap().fill(&values).unwrap();
            let text = stringly.as_str().unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(text).unwrap(), want);
        }

        /// No text panics, and whatever is taken can be filled.
        #[test]
        fn any_text_is_a_template_or_a_mistake(text in "[{}a-z0-9]{0,24}") {
            if let Ok(template) = Template::parse(json!(["{uri}", text]), false) {
                prop_assert!(template.fill(&ALL).is_ok());
            }
        }
    }
}
