//! Dialects of the configuration, and who speaks which.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::domain::dialect::{
    ByMethod, Description, Dialect, Dialects, InvalidTemplate, Placeholder, Places, Rule, Starts,
    Template,
};
use crate::domain::method::RESPONSE_TIMEOUT;
use crate::domain::phase::Phase;
use crate::domain::time::spoken;
use crate::domain::twin::Path;

use super::file::{Config, HubConfig, duration_text};

/// The longest condition of a rule, in characters: it is sent together with the
/// columns and with the ids of the devices in question.
const MAX_CONDITION: usize = 1_000;
/// What no method's name may hold, by Microsoft's documentation on direct methods.
const NOT_IN_A_METHOD: &str = "$()<>@,;:\\\"/[]?={} \t";

/// One dialect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DialectConfig {
    /// Where the status stands in the reported properties.
    pub status: String,
    /// Where the percentage of the download stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<String>,
    /// Where the running firmware's version stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where the version stands that is on its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// Where the package URI stands that the device works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Where the reason of a failure stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Where words beside the status stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substatus: Option<String>,
    /// Where the end of the last update stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Where the name of the run stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Values of a device at rest, before an update and after it alike.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rest: Vec<String>,
    /// No method starts an update; it is only watched.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub watched_only: bool,
    /// The direct method that starts an update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What it gets, with placeholders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<toml::Value>,
    /// As JSON, or as a string that holds JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_as: Option<PayloadAs>,
    /// How long a device may take to answer, instead of `update.response_timeout`.
    #[serde(with = "duration_text::maybe", skip_serializing_if = "Option::is_none")]
    pub response_timeout: Option<SignedDuration>,
    /// How long the hub waits for a device to connect, instead of
    /// `update.connect_timeout`.
    #[serde(with = "duration_text::maybe", skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<SignedDuration>,
    /// Status value → phase.
    pub values: BTreeMap<String, String>,
}

/// How a payload goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadAs {
    /// As the JSON that it is.
    Json,
    /// As a string that holds that JSON.
    String,
}

/// A rule: devices for which `query` holds speak `dialect`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleConfig {
    /// A condition of IoT Hub's query language.
    pub query: String,
    /// The dialect's name.
    pub dialect: String,
}

/// A mistake and the key at which it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", key.join("."))]
pub struct Misplaced {
    /// The key, outermost first; a number in a list.
    pub key: Vec<String>,
    /// The mistake.
    pub what: DialectError,
}

/// What can be wrong with a dialect, or with who speaks it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialectError {
    /// A name that cannot be shown.
    #[error("a dialect's name holds letters, digits, '-', '_' and '.' only")]
    Name,
    /// The name of a built-in one.
    #[error("this dialect is built in; give yours another name")]
    BuiltIn,
    /// No status path.
    #[error("it names no status: where in the reported properties does it stand?")]
    NoStatus,
    /// A text that is no path.
    #[error("{0:?} is no path of a reported property; write it as press.update.state")]
    Path(String),
    /// No value ends an update.
    #[error("no value means done, so no update would ever be completed")]
    NoEnd,
    /// A word that is no phase.
    #[error(
        "{given:?} is no phase; there are idle, queued, downloading, downloaded, applying, \
         rebooting, done and failed{nearest}"
    )]
    Phase {
        /// The word.
        given: String,
        /// The nearest phase, as a question.
        nearest: String,
    },
    /// A value that has two meanings; case does not count.
    #[error("{0:?} has two meanings; values match without regard to case")]
    TwoMeanings(String),
    /// Neither a method nor watched only.
    #[error("say how an update is started, with method and payload, or watched_only = true")]
    NoStart,
    /// Watched only, and yet it has this.
    #[error("the dialect is watched_only, so {0} means nothing")]
    WatchedOnly(&'static str),
    /// A method without a payload, or the other way round.
    #[error("method and payload go together, and there is no {0}")]
    Half(&'static str),
    /// A name that no method may have.
    #[error("{0:?} is no name of a direct method: printable ASCII without {NOT_IN_A_METHOD:?}")]
    Method(String),
    /// The payload is no JSON.
    #[error("the payload holds a date or a number that JSON does not know")]
    NotJson,
    /// The payload is no template.
    #[error("{error}{nearest}")]
    Payload {
        /// Why.
        error: InvalidTemplate,
        /// The nearest placeholder, as a question.
        nearest: String,
    },
    /// A timeout that IoT Hub does not take.
    #[error("must be between {0} and 5m")]
    Timeout(&'static str),
    /// IoT Hub takes no connect timeout that is longer than the response timeout.
    #[error("must not be longer than response_timeout, which is {0} here")]
    ConnectTimeout(String),
    /// A dialect that there is not.
    #[error("there is no dialect {given:?}; there are {known}{nearest}")]
    NoSuchDialect {
        /// The name.
        given: String,
        /// What there is.
        known: String,
        /// The nearest name, as a question.
        nearest: String,
    },
    /// A rule without a condition.
    #[error("it has no query; write a condition such as tags.model = 'press'")]
    NoCondition,
    /// A rule with a whole query.
    #[error("write the condition alone, without SELECT and WHERE: tags.model = 'press'")]
    WholeQuery,
    /// A rule's condition is too long.
    #[error("the condition has {0} characters; at most {MAX_CONDITION} can be sent")]
    TooLong(usize),
    /// A rule's condition would not stay one when others are put beside it.
    #[error("a parenthesis or a string in the condition has no end")]
    Unclosed,
}

impl Config {
    /// The dialects in use, and who speaks which on that hub. Without a hub, or on
    /// one that the configuration does not describe, nothing is set.
    ///
    /// # Errors
    /// The first mistake and the key at which it stands.
    pub fn dialects(&self, hub: Option<&str>) -> Result<Dialects, Misplaced> {
        let mut configured = Vec::new();
        for (name, dialect) in &self.dialect {
            configured.push(dialect.build(name)?);
            dialect.timeouts(name, self.update.response_timeout)?;
        }
        let dialects = Dialects::with(configured);
        match hub.and_then(|name| Some((name, self.hub.get(name)?))) {
            Some((name, hub)) => hub.set(name, dialects),
            None => Ok(dialects),
        }
    }

    /// Checks the dialects and who speaks which on every hub.
    pub(super) fn check_dialects(&self) -> Result<(), Misplaced> {
        self.dialects(None)?;
        let mut hubs = self.hub.keys();
        hubs.try_for_each(|hub| self.dialects(Some(hub)).map(drop))
    }
}

impl HubConfig {
    fn set(&self, hub: &str, dialects: Dialects) -> Result<Dialects, Misplaced> {
        if let Some(name) = &self.dialect {
            known(&dialects, name).map_err(|e| misplaced(&["hub", hub, "dialect"], e))?;
        }
        let mut rules = Vec::new();
        for (n, rule) in self.dialects.iter().enumerate() {
            let n = n.to_string();
            let at = |key, e| misplaced(&["hub", hub, "dialects", &n, key], e);
            known(&dialects, &rule.dialect).map_err(|e| at("dialect", e))?;
            let condition = condition(&rule.query).map_err(|e| at("query", e))?;
            rules.push(Rule {
                condition,
                dialect: rule.dialect.clone(),
            });
        }
        Ok(dialects.set(self.dialect.clone(), rules))
    }
}

impl DialectConfig {
    /// Holds the connect timeout against the response timeout that counts here.
    fn timeouts(&self, name: &str, of_all: SignedDuration) -> Result<(), Misplaced> {
        let response = self.response_timeout.unwrap_or(of_all);
        match self.connect_timeout {
            Some(connect) if connect > response => Err(misplaced(
                &["dialect", name, "connect_timeout"],
                DialectError::ConnectTimeout(spoken(response)),
            )),
            _ => Ok(()),
        }
    }

    fn build(&self, name: &str) -> Result<Dialect, Misplaced> {
        let at = |key: &str, e| misplaced(&["dialect", name, key], e);
        let whole = |e| misplaced(&["dialect", name], e);
        let word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || !name.chars().all(word) {
            return Err(whole(DialectError::Name));
        }
        if Dialects::built_in().find(name).is_some() {
            return Err(whole(DialectError::BuiltIn));
        }
        if self.status.is_empty() {
            return Err(whole(DialectError::NoStatus));
        }
        let place = |key, text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| path(text).map_err(|e| at(key, e)))
                .transpose()
        };
        Ok(Dialect::from(Description {
            name: name.to_owned(),
            status: path(&self.status).map_err(|e| at("status", e))?,
            values: self.values(name)?,
            rest: self.rest.clone(),
            places: Places {
                percent: place("percent", &self.percent)?,
                version: place("version", &self.version)?,
                pending: place("pending", &self.pending)?,
                uri: place("uri", &self.uri)?,
                error: place("error", &self.error)?,
                substatus: place("substatus", &self.substatus)?,
                end: place("end", &self.end)?,
                run: place("run", &self.run)?,
            },
            starts: self.starts(name)?,
        }))
    }

    fn values(&self, name: &str) -> Result<Vec<(String, Phase)>, Misplaced> {
        let mut values = Vec::new();
        for (value, word) in &self.values {
            let at = |e| misplaced(&["dialect", name, "values", value], e);
            values.push((value.clone(), phase(word).map_err(at)?));
        }
        let words = values.iter().map(|(value, _)| value).chain(&self.rest);
        let mut seen = std::collections::BTreeSet::new();
        for word in words {
            if !seen.insert(word.trim().to_lowercase()) {
                let twice = DialectError::TwoMeanings(word.clone());
                return Err(misplaced(&["dialect", name, "values"], twice));
            }
        }
        let ends = values.iter().any(|(_, phase)| *phase == Phase::Done);
        if !ends && self.rest.is_empty() {
            return Err(misplaced(&["dialect", name, "values"], DialectError::NoEnd));
        }
        Ok(values)
    }

    fn starts(&self, name: &str) -> Result<Starts, Misplaced> {
        let at = |key: &str, e| misplaced(&["dialect", name, key], e);
        let given = [
            ("method", self.method.is_some()),
            ("payload", self.payload.is_some()),
            ("payload_as", self.payload_as.is_some()),
            ("response_timeout", self.response_timeout.is_some()),
            ("connect_timeout", self.connect_timeout.is_some()),
        ];
        if self.watched_only {
            let extra = given.into_iter().find(|(_, given)| *given);
            return match extra {
                Some((key, _)) => Err(at(key, DialectError::WatchedOnly(key))),
                None => Ok(Starts::WatchedOnly),
            };
        }
        let (method, payload) = match (&self.method, &self.payload) {
            (Some(method), Some(payload)) => (method, payload),
            (Some(_), None) => return Err(at("method", DialectError::Half("payload"))),
            (None, Some(_)) => return Err(at("payload", DialectError::Half("method"))),
            (None, None) => return Err(misplaced(&["dialect", name], DialectError::NoStart)),
        };
        let fine = |c: char| c.is_ascii_graphic() && !NOT_IN_A_METHOD.contains(c);
        if method.is_empty() || !method.chars().all(fine) {
            return Err(at("method", DialectError::Method(method.clone())));
        }
        let as_string = self.payload_as == Some(PayloadAs::String);
        Ok(Starts::ByMethod(ByMethod {
            method: method.clone(),
            payload: template(payload, as_string).map_err(|e| at("payload", e))?,
            response_timeout: seconds(self.response_timeout, *RESPONSE_TIMEOUT.start())
                .map_err(|()| at("response_timeout", DialectError::Timeout("5s")))?,
            connect_timeout: seconds(self.connect_timeout, 0)
                .map_err(|()| at("connect_timeout", DialectError::Timeout("0s")))?,
        }))
    }
}

fn misplaced(key: &[&str], what: DialectError) -> Misplaced {
    Misplaced {
        key: key.iter().map(|step| (*step).to_owned()).collect(),
        what,
    }
}

/// IoT Hub's keys hold no control characters, no dot, no dollar, no space.
fn path(text: &str) -> Result<Path, DialectError> {
    let fine = |c: char| !(c.is_control() || c.is_whitespace() || c == '$');
    let step = |step: &str| !step.is_empty() && step.chars().all(fine);
    match text.split('.').all(step) {
        true => Ok(text.into()),
        false => Err(DialectError::Path(text.to_owned())),
    }
}

const PHASES: [Phase; 8] = [
    Phase::Idle,
    Phase::Queued,
    Phase::Downloading,
    Phase::Downloaded,
    Phase::Applying,
    Phase::Rebooting,
    Phase::Done,
    Phase::Failed,
];

fn phase(word: &str) -> Result<Phase, DialectError> {
    let found = PHASES.into_iter().find(|phase| phase.name() == word);
    found.ok_or_else(|| DialectError::Phase {
        given: word.to_owned(),
        nearest: nearest(word, PHASES.map(Phase::name)),
    })
}

fn template(payload: &toml::Value, as_string: bool) -> Result<Template, DialectError> {
    let json = json(payload).ok_or(DialectError::NotJson)?;
    Template::parse(json, as_string).map_err(|error| DialectError::Payload {
        nearest: match &error {
            InvalidTemplate::Unknown(name) => {
                nearest(name, Placeholder::ALL.map(Placeholder::name))
            }
            _ => String::new(),
        },
        error,
    })
}

fn json(value: &toml::Value) -> Option<serde_json::Value> {
    Some(match value {
        toml::Value::String(text) => text.clone().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(*number)?.into(),
        toml::Value::Boolean(yes) => (*yes).into(),
        toml::Value::Datetime(_) => return None,
        toml::Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(json).collect();
            items?.into()
        }
        toml::Value::Table(members) => {
            let member = |(key, value): (&String, _)| Some((key.clone(), json(value)?));
            let members: Option<serde_json::Map<_, _>> = members.iter().map(member).collect();
            members?.into()
        }
    })
}

fn seconds(duration: Option<SignedDuration>, least: u32) -> Result<Option<u32>, ()> {
    let Some(duration) = duration else {
        return Ok(None);
    };
    let seconds = u32::try_from(duration.as_secs()).map_err(|_| ())?;
    let fits = (least..=*RESPONSE_TIMEOUT.end()).contains(&seconds);
    fits.then_some(Some(seconds)).ok_or(())
}

fn known(dialects: &Dialects, name: &str) -> Result<(), DialectError> {
    if dialects.find(name).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = dialects.iter().map(|d| d.name.as_str()).collect();
    Err(DialectError::NoSuchDialect {
        given: name.to_owned(),
        known: names.join(", "),
        nearest: nearest(name, names),
    })
}

/// A condition that stays one when it is put into parentheses. What it means is
/// left to the hub.
fn condition(query: &str) -> Result<String, DialectError> {
    let query = query.trim();
    let first = query.split_whitespace().next().unwrap_or_default();
    if query.is_empty() {
        return Err(DialectError::NoCondition);
    }
    if ["select", "where"].contains(&first.to_ascii_lowercase().as_str()) {
        return Err(DialectError::WholeQuery);
    }
    match query.chars().count() {
        n if n > MAX_CONDITION => Err(DialectError::TooLong(n)),
        _ if is_closed(query) => Ok(query.to_owned()),
        _ => Err(DialectError::Unclosed),
    }
}

fn is_closed(condition: &str) -> bool {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut chars = condition.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(chars.next()),
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') if depth == 0 => return false,
            (None, ')') => depth -= 1,
            (None, _) => {}
        }
    }
    depth == 0 && quote.is_none()
}

/// `did you mean …?` on a line of its own, when something is near enough.
fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let lower = given.to_lowercase();
    let near = |name: &'a str| (strsim::jaro_winkler(&lower, &name.to_lowercase()), name);
    let best = known
        .into_iter()
        .map(near)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((likeness, name)) if likeness > 0.75 => format!("\ndid you mean `{name}`?"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
