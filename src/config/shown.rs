//! Every setting with its value and where that comes from, for `config show`.

use std::path::Path;

use toml::Value;

use super::Config;
use super::file::line_of;

/// One setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its key, as the file spells it: `hub.plant.tier`.
    pub key: String,
    /// Its value in TOML.
    pub value: Value,
    /// The line of the file that says so; without one it is the default.
    pub line: Option<usize>,
}

/// The settings of `config` in the file's order of tables. `text` is the file that
/// it was read from; empty when there is none. Settings that have no value and no
/// default are left out.
#[must_use]
pub fn settings(config: &Config, text: &str) -> Vec<Setting> {
    let mut all = Vec::new();
    // A configuration that was read can be written.
    if let Ok(value) = Value::try_from(config) {
        walk(&value, &mut Vec::new(), text, &mut all);
    }
    all
}

fn walk(value: &Value, key: &mut Vec<String>, text: &str, all: &mut Vec<Setting>) {
    match value {
        Value::Table(table) => {
            for (name, below) in table {
                key.push(name.clone());
                walk(below, key, text, all);
                key.pop();
            }
        }
        // Rules and other tables in a row.
        Value::Array(items) if items.iter().any(Value::is_table) => {
            for (n, item) in items.iter().enumerate() {
                key.push(n.to_string());
                walk(item, key, text, all);
                key.pop();
            }
        }
        _ => all.push(Setting {
            key: spelt(key),
            value: value.clone(),
            line: line_of_whole(text, key),
        }),
    }
}

/// The line of exactly this key: that of a table around it says nothing.
fn line_of_whole(text: &str, key: &[String]) -> Option<usize> {
    let document: Value = toml::from_str(text).ok()?;
    let mut here = &document;
    for step in key {
        here = match here {
            Value::Table(table) => table.get(step)?,
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    line_of(text, key)
}

fn spelt(key: &[String]) -> String {
    let bare = |step: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        !step.is_empty() && step.chars().all(plain)
    };
    let steps = key.iter().map(|step| match bare(step) {
        true => step.clone(),
        false => format!("{step:?}"),
    });
    steps.collect::<Vec<_>>().join(".")
}

/// The text of the configuration file at `path`; empty when there is none.
#[must_use]
pub fn text_at(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_says_where_it_comes_from() {
        let text = "[update]\ntries = 3\n\n[hub.\"a b\"]\nsecret_env = \"A\"\n\
                    [[hub.\"a b\".dialects]]\nquery = \"tags.a = 1\"\ndialect = \"iothubDM\"\n";
        let config = super::super::file::parse(text).unwrap();
        let all = settings(&config, text);
        let find = |key: &str| {
            let found = all.iter().find(|s| s.key == key);
            found.map(|s| (s.value.to_string(), s.line))
        };
        assert_eq!(find("update.tries"), Some(("3".into(), Some(2))));
        assert_eq!(
            find("update.phase_deadline"),
            Some(("\"15m\"".into(), None))
        );
        let of_hub = find("hub.\"a b\".secret_env");
        assert_eq!(of_hub, Some(("\"A\"".into(), Some(5))));
        assert_eq!(find("hub.\"a b\".units"), Some(("1".into(), None)));
        assert_eq!(find("hub.\"a b\".tier"), None);
        let rule = find("hub.\"a b\".dialects.0.dialect");
        assert_eq!(rule, Some(("\"iothubDM\"".into(), Some(8))));
    }
}
