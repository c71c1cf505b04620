//! The file, its keys and their defaults.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::domain::method::RESPONSE_TIMEOUT;
use crate::domain::profile::Tier;
use crate::domain::quota::DAY_SHARE;
use crate::domain::time;

use super::secret::SecretSource;

/// All that a configuration file may say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The hub to use when none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_hub: Option<String>,
    /// The folder of journal and log, instead of the user's state folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    /// How updates are started and watched.
    pub update: UpdateConfig,
    /// The hubs, by the operator's names for them.
    pub hub: BTreeMap<String, HubConfig>,
}

/// How updates are started and watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateConfig {
    /// An update in which nothing changes for so long is stalled.
    #[serde(with = "duration_text")]
    pub phase_deadline: SignedDuration,
    /// An update that is open for so long is given up.
    #[serde(with = "duration_text")]
    pub overall_deadline: SignedDuration,
    /// How long a device may take to answer the method: 5 s to 5 min.
    #[serde(with = "duration_text")]
    pub response_timeout: SignedDuration,
    /// How long the hub waits for a device to connect: up to `response_timeout`.
    #[serde(with = "duration_text")]
    pub connect_timeout: SignedDuration,
    /// How often an order that was surely not delivered is tried in all.
    pub tries: u32,
}

impl Default for UpdateConfig {
    fn default() -> Self {
        Self {
            phase_deadline: SignedDuration::from_mins(15),
            overall_deadline: SignedDuration::from_hours(24),
            response_timeout: SignedDuration::from_secs(30),
            connect_timeout: SignedDuration::ZERO,
            tries: 5,
        }
    }
}

/// One hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HubConfig {
    /// The environment variable that holds the connection string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// The file that holds it; refused when others can read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// The program that prints it, with its arguments; no shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_command: Option<Vec<String>>,
    /// A PEM file with certificates to trust beside the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// F1, S1, S2 or S3; sets how much may be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Units of the tier.
    pub units: u32,
    /// The part of the hub's messages of a day that otadeck may spend, in percent.
    pub day_share: f64,
    /// What the operator calls it; `production` guards writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Refuses every write.
    pub read_only: bool,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            secret_env: None,
            secret_file: None,
            secret_command: None,
            ca_file: None,
            tier: None,
            units: 1,
            day_share: 100.0 * DAY_SHARE,
            environment: None,
            read_only: false,
        }
    }
}

impl HubConfig {
    /// Where its connection string comes from.
    ///
    /// # Errors
    /// When none or more than one source is named.
    pub fn secret(&self, hub: &str) -> Result<SecretSource, ConfigError> {
        let sources = [
            self.secret_env.clone().map(SecretSource::Env),
            self.secret_file.clone().map(SecretSource::File),
            self.secret_command.clone().map(SecretSource::Command),
        ];
        let mut named = sources.into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(source), None) => Ok(source),
            (None, _) => Err(ConfigError::NoSecret(hub.to_owned())),
            (Some(_), Some(_)) => Err(ConfigError::TwoSecrets(hub.to_owned())),
        }
    }
}

/// What can be wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {cause}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// The file says something that means nothing.
    #[error("{path}: {cause}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// What and where, with the nearest known key.
        cause: String,
    },
    /// A hub without a secret's source.
    #[error("hub {0:?} names no secret_env, secret_file or secret_command")]
    NoSecret(String),
    /// A hub with more than one.
    #[error("hub {0:?} names more than one of secret_env, secret_file and secret_command")]
    TwoSecrets(String),
}

/// Reads the configuration at `path`; without a file there, the defaults when
/// nobody asked for that file.
///
/// # Errors
/// [`ConfigError`] with the line and, for an unknown key, the nearest known one.
pub fn load(path: &Path, asked_for: bool) -> Result<Config, ConfigError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound && !asked_for => return Ok(Config::default()),
        Err(e) => {
            return Err(ConfigError::Read {
                path: path.to_owned(),
                cause: e.to_string(),
            });
        }
    };
    parse(&text).map_err(|cause| ConfigError::Parse {
        path: path.to_owned(),
        cause,
    })
}

fn parse(text: &str) -> Result<Config, String> {
    let config: Config = toml::from_str(text).map_err(|e| explain(text, &e))?;
    check(&config)?;
    Ok(config)
}

fn check(config: &Config) -> Result<(), String> {
    let UpdateConfig {
        phase_deadline,
        overall_deadline,
        response_timeout,
        connect_timeout,
        tries,
    } = &config.update;
    let seconds = response_timeout.as_secs();
    if !u32::try_from(seconds).is_ok_and(|s| RESPONSE_TIMEOUT.contains(&s)) {
        return Err("update.response_timeout must be between 5s and 5m".to_owned());
    }
    if connect_timeout > response_timeout {
        return Err("update.connect_timeout must not be longer than response_timeout".to_owned());
    }
    if phase_deadline.is_zero() || overall_deadline.is_zero() {
        return Err("update.phase_deadline and overall_deadline must not be zero".to_owned());
    }
    if *tries == 0 {
        return Err("update.tries must be at least 1".to_owned());
    }
    for (name, hub) in &config.hub {
        if hub.units == 0 {
            return Err(format!("hub.{name}.units must be at least 1"));
        }
        if !(hub.day_share > 0.0 && hub.day_share <= 100.0) {
            return Err(format!(
                "hub.{name}.day_share is in percent: more than 0, at most 100"
            ));
        }
    }
    if let Some(name) = &config.default_hub
        && !config.hub.contains_key(name)
    {
        return Err(format!(
            "default_hub names {name:?}, and there is no [hub.{name}]"
        ));
    }
    Ok(())
}

/// The line and the complaint, without the line's text: a secret may have been
/// written where none belongs.
fn explain(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.as_bytes()[..at]
        .iter()
        .filter(|b| **b == b'\n')
        .count()
        + 1;
    with_nearest(&format!("line {line}: {}", error.message()))
}

/// Adds the nearest known key to the parser's complaint about an unknown one.
fn with_nearest(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let nearest = match quoted.split_first() {
        Some((unknown, known)) if message.contains("unknown field") => known
            .iter()
            .map(|key| (strsim::jaro_winkler(unknown, key), key))
            .filter(|(likeness, _)| *likeness > 0.75)
            .max_by(|a, b| a.0.total_cmp(&b.0)),
        _ => None,
    };
    match nearest {
        Some((_, key)) => format!("{}\ndid you mean `{key}`?", message.trim_end()),
        None => message.trim_end().to_owned(),
    }
}

mod duration_text {
    use super::{SignedDuration, time};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(d: &SignedDuration, s: S) -> Result<S::Ok, S::Error> {
        let seconds = d.as_secs();
        s.serialize_str(&match seconds {
            0 => "0s".to_owned(),
            n if n % 3_600 == 0 => format!("{}h", n / 3_600),
            n if n % 60 == 0 => format!("{}m", n / 60),
            n => format!("{n}s"),
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<SignedDuration, D::Error> {
        time::duration(&String::deserialize(d)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../config.example.toml");

    /// Every key of the code stands in the example, with its default.
    #[test]
    fn the_example_is_the_defaults() {
        let example = parse(EXAMPLE).unwrap();
        assert_eq!(example.update, UpdateConfig::default());
        let plant = &example.hub["plant"];
        let defaults = HubConfig::default();
        assert_eq!(plant.units, defaults.units);
        assert_eq!(plant.read_only, defaults.read_only);
        assert_eq!(plant.day_share, defaults.day_share);
        let full = Config {
            default_hub: Some("plant".into()),
            state_dir: Some("x".into()),
            update: UpdateConfig::default(),
            hub: BTreeMap::from([(
                "plant".to_owned(),
                HubConfig {
                    secret_env: Some("x".into()),
                    secret_file: Some("x".into()),
                    secret_command: Some(vec!["x".into()]),
                    ca_file: Some("x".into()),
                    tier: Some(Tier::S1),
                    environment: Some("x".into()),
                    ..HubConfig::default()
                },
            )]),
        };
        for line in toml::to_string(&full).unwrap().lines() {
            let key = line.split(" = ").next().unwrap();
            let stands = EXAMPLE
                .lines()
                .any(|l| l.trim_start_matches("# ").starts_with(key));
            assert!(stands, "{key} is not in config.example.toml");
        }
    }

    #[rstest::rstest]
    #[case("[update]\nphase_deadlin = \"1m\"", "did you mean `phase_deadline`?")]
    #[case("[hub.a]\nsecret_evn = \"A\"", "did you mean `secret_env`?")]
    #[case("[hub.a]\nreadonly = true", "did you mean `read_only`?")]
    #[case("[update]\nphase_deadline = \"soon\"", "write 8s, 15m or 2h")]
    #[case("[update]\nresponse_timeout = \"1s\"", "between 5s and 5m")]
    #[case("[update]\nresponse_timeout = \"6m\"", "between 5s and 5m")]
    #[case("[update]\nconnect_timeout = \"1m\"", "not be longer")]
    #[case("[hub.a]\ntier = \"B1\"", "unknown variant `B1`")]
    #[case("[hub.a]\nunits = 0", "at least 1")]
    #[case("[hub.a]\nday_share = 0.0", "more than 0")]
    #[case("[hub.a]\nday_share = 101.0", "at most 100")]
    #[case("[hub.a]\nday_share = nan", "in percent")]
    #[case("default_hub = \"b\"", "there is no [hub.b]")]
    #[case("= 1", "line 1")]
    fn mistakes_are_explained(#[case] text: &str, #[case] why: &str) {
        let error = parse(text).unwrap_err();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_repeated() {
        let error = parse("[hub.a]\nconnection_string = \"SharedAccessKey=abc\"").unwrap_err();
        assert!(error.starts_with("line 2: unknown field"), "{error}");
        assert!(!error.contains("abc"), "{error}");
    }

    #[test]
    fn a_hub_has_one_source_of_its_secret() {
        let mut hub = HubConfig::default();
        assert_eq!(hub.secret("a"), Err(ConfigError::NoSecret("a".into())));
        hub.secret_env = Some("A".into());
        assert_eq!(hub.secret("a"), Ok(SecretSource::Env("A".into())));
        hub.secret_file = Some("f".into());
        assert_eq!(hub.secret("a"), Err(ConfigError::TwoSecrets("a".into())));
    }

    #[test]
    fn a_file_that_nobody_asked_for_may_be_missing() {
        let path = Path::new("/nonexistent/otadeck.toml");
        assert_eq!(load(path, false), Ok(Config::default()));
        assert!(matches!(load(path, true), Err(ConfigError::Read { .. })));
    }
}
