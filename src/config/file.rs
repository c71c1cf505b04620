//! The file, its keys and their defaults.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::domain::durations::Deadlines;
use crate::domain::method::RESPONSE_TIMEOUT;
use crate::domain::phase::Phase;
use crate::domain::profile::Tier;
use crate::domain::quota::DAY_SHARE;
use crate::domain::redact;
use crate::domain::tag::Lease;
use crate::domain::time;
use crate::domain::twin::Path;

use super::console::{ConsoleConfig, ViewConfig};
use super::dialect::{DialectConfig, RuleConfig};
use super::secret::SecretSource;

/// How long production may stay armed, in seconds: long enough to confirm what was
/// looked at, and short enough that whoever typed the name is still there.
const ARM_FOR: RangeInclusive<i64> = 60..=3_600;

/// All that a configuration file may say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The hub to use when none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_hub: Option<String>,
    /// The folder of journal and log, instead of the user's state folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    /// How long updates stay in the journal after they have ended.
    #[serde(with = "duration_text")]
    pub journal_keep: SignedDuration,
    /// How the console looks.
    pub console: ConsoleConfig,
    /// Views of the table, by their names.
    pub view: BTreeMap<String, ViewConfig>,
    /// How updates are started and watched.
    pub update: UpdateConfig,
    /// When an update in which nothing changes is stalled.
    pub deadlines: DeadlinesConfig,
    /// Words in which devices report, beside those that are built in.
    pub dialect: BTreeMap<String, DialectConfig>,
    /// The hubs, by the operator's names for them.
    pub hub: BTreeMap<String, HubConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            default_hub: None,
            state_dir: None,
            journal_keep: SignedDuration::from_hours(400 * 24),
            console: ConsoleConfig::default(),
            view: BTreeMap::new(),
            update: UpdateConfig::default(),
            deadlines: DeadlinesConfig::default(),
            dialect: BTreeMap::new(),
            hub: BTreeMap::new(),
        }
    }
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
    /// Asks a package's server for size and entity tag before an update.
    pub ask_package_server: bool,
}

impl Default for UpdateConfig {
    fn default() -> Self {
        Self {
            phase_deadline: SignedDuration::from_mins(15),
            overall_deadline: SignedDuration::from_hours(24),
            response_timeout: SignedDuration::from_secs(30),
            connect_timeout: SignedDuration::ZERO,
            tries: 5,
            ask_package_server: true,
        }
    }
}

/// When an update in which nothing changes is stalled: per phase, as the
/// operator says, else as past updates tell, else `update.phase_deadline`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeadlinesConfig {
    /// How many times what 95 of 100 past updates did not pass.
    pub factor: f64,
    /// The deadline of that phase, whatever past updates tell.
    #[serde(with = "duration_text::maybe", skip_serializing_if = "Option::is_none")]
    pub queued: Option<SignedDuration>,
    /// As above.
    #[serde(with = "duration_text::maybe", skip_serializing_if = "Option::is_none")]
    pub downloading: Option<SignedDuration>,
    /// As above.
    #[serde(with = "duration_text::maybe", skip_serializing_if = "Option::is_none")]
    pub downloaded: Option<SignedDuration>,
    /// As above.
    #[serde(with = "duration_text::maybe", skip_serializing_if = "Option::is_none")]
    pub applying: Option<SignedDuration>,
    /// As above.
    #[serde(with = "duration_text::maybe", skip_serializing_if = "Option::is_none")]
    pub rebooting: Option<SignedDuration>,
}

impl Default for DeadlinesConfig {
    fn default() -> Self {
        Self {
            factor: Deadlines::default().factor,
            queued: None,
            downloading: None,
            downloaded: None,
            applying: None,
            rebooting: None,
        }
    }
}

impl DeadlinesConfig {
    /// What the operator says of each phase.
    fn phases(&self) -> [(Phase, Option<SignedDuration>); 5] {
        [
            (Phase::Queued, self.queued),
            (Phase::Downloading, self.downloading),
            (Phase::Downloaded, self.downloaded),
            (Phase::Applying, self.applying),
            (Phase::Rebooting, self.rebooting),
        ]
    }

    /// The deadlines, with `default` where neither the operator nor past
    /// updates say anything.
    #[must_use]
    pub fn with(&self, default: SignedDuration) -> Deadlines {
        let said = self.phases().into_iter();
        Deadlines {
            default,
            factor: self.factor,
            phases: said.filter_map(|(p, d)| Some((p, d?))).collect(),
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
    /// Instead of these three: who gives tokens of Entra ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignInBy>,
    /// The hub's host name, which no connection string tells then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
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
    /// How long production stays armed after its name was typed: 1 min to 1 h.
    #[serde(with = "duration_text")]
    pub arm_for: SignedDuration,
    /// How its devices are kept for one update at a time: `journal` or `tags`.
    pub lease: Lease,
    /// The dialect of its devices, where no rule says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
    /// Dialects of some of its devices; the first rule that holds wins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dialects: Vec<RuleConfig>,
    /// The hosts that packages may come from; empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub package_hosts: Vec<String>,
    /// Which packages a device model may be given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<PackageConfig>,
}

/// Who gives tokens of Entra ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignInBy {
    /// The Azure command line, in which somebody has signed in.
    AzureCli,
}

/// By what a hub lets us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayIn {
    /// A connection string, from there.
    Secret(SecretSource),
    /// The Azure command line's sign-in, on the hub of that host.
    AzureCli(String),
}

/// Which packages a device model may be given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageConfig {
    /// The model, in which `*` stands for any text.
    pub model: String,
    /// Where in the twin the model stands.
    #[serde(default = "model_path")]
    pub model_at: String,
    /// The package's URI without its query, in which `*` stands for any text.
    pub uri: String,
}

fn model_path() -> String {
    "tags.model".to_owned()
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            secret_env: None,
            secret_file: None,
            secret_command: None,
            sign_in: None,
            host: None,
            ca_file: None,
            tier: None,
            units: 1,
            day_share: 100.0 * DAY_SHARE,
            environment: None,
            read_only: false,
            arm_for: SignedDuration::from_mins(5),
            lease: Lease::Journal,
            dialect: None,
            dialects: Vec::new(),
            package_hosts: Vec::new(),
            packages: Vec::new(),
        }
    }
}

impl HubConfig {
    /// By what it lets us in: exactly one of the four ways.
    ///
    /// # Errors
    /// When none or more than one is named, or the host stands where it does not
    /// belong.
    pub fn way_in(&self, hub: &str) -> Result<WayIn, ConfigError> {
        let name = || hub.to_owned();
        let secret = self.secret(hub);
        let has_secret = !matches!(secret, Err(ConfigError::NoSecret(_)));
        match (self.sign_in, &self.host) {
            (None, None) => secret.map(WayIn::Secret),
            (None, Some(_)) if has_secret => Err(ConfigError::HostTwice(name())),
            (None, Some(_)) => Err(ConfigError::HostAlone(name())),
            (Some(_), _) if has_secret => Err(ConfigError::TwoSecrets(name())),
            (Some(SignInBy::AzureCli), Some(host)) => Ok(WayIn::AzureCli(host.clone())),
            (Some(_), None) => Err(ConfigError::NoHost(name())),
        }
    }

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
    #[error(
        "hub {0:?} does not say how to sign in: name one of secret_env, secret_file, \
         secret_command, or sign_in = \"azure-cli\" with the hub's host"
    )]
    NoSecret(String),
    /// A hub with more than one.
    #[error(
        "hub {0:?} names more than one of secret_env, secret_file, secret_command and sign_in; \
         leave one"
    )]
    TwoSecrets(String),
    /// A sign-in to nobody knows where.
    #[error("hub {0:?} has sign_in, and no host; add host = \"NAME.azure-devices.net\"")]
    NoHost(String),
    /// A host beside a connection string.
    #[error(
        "hub {0:?} has a host beside its connection string, which names the host; leave it out"
    )]
    HostTwice(String),
    /// A host and nothing to sign in with.
    #[error("hub {0:?} has a host and does not say how to sign in; add sign_in = \"azure-cli\"")]
    HostAlone(String),
}

/// Reads the configuration at `path`; without a file there, the defaults when
/// nobody asked for that file.
///
/// # Errors
/// [`ConfigError`] with the line and, for an unknown key, the nearest known one.
pub fn load(path: &std::path::Path, asked_for: bool) -> Result<Config, ConfigError> {
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

pub(super) fn parse(text: &str) -> Result<Config, String> {
    let config: Config = toml::from_str(text).map_err(|e| explain(text, &e))?;
    check(&config)?;
    config
        .check_dialects()
        .map_err(|e| match line_of(text, &e.key) {
            Some(line) => format!("line {line}: {e}"),
            None => e.to_string(),
        })?;
    Ok(config)
}

/// The line of a key, or of the innermost table around it that is there.
pub(super) fn line_of(text: &str, key: &[String]) -> Option<usize> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut steps = key.iter();
    let mut at = None;
    while let Some(step) = steps.next() {
        let Some((name, value)) = table.get_key_value(step.as_str()) else {
            break;
        };
        at = Some(name.span().start);
        let mut value = value.get_ref();
        if let (toml::de::DeValue::Array(items), Some(n)) = (value, steps.as_slice().first()) {
            let Some(item) = n.parse().ok().and_then(|n: usize| items.get(n)) else {
                break;
            };
            steps.next();
            at = Some(item.span().start);
            value = item.get_ref();
        }
        match value {
            toml::de::DeValue::Table(below) => table = below,
            _ => break,
        }
    }
    at.map(|at| line_at(text, at))
}

fn line_at(text: &str, at: usize) -> usize {
    let before = &text.as_bytes()[..at.min(text.len())];
    before.iter().filter(|b| **b == b'\n').count() + 1
}

fn check(config: &Config) -> Result<(), String> {
    let UpdateConfig {
        phase_deadline,
        overall_deadline,
        response_timeout,
        connect_timeout,
        tries,
        ask_package_server: _,
    } = &config.update;
    if config.journal_keep < SignedDuration::from_hours(24) {
        return Err("journal_keep must be at least 1d".to_owned());
    }
    if !(1..=60).contains(&config.console.max_fps) {
        return Err("console.max_fps must be between 1 and 60".to_owned());
    }
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
    if let Some(folder) = config.state_dir.as_ref().filter(|f| !f.is_absolute()) {
        return Err(format!(
            "state_dir = {folder:?} must begin with /: it would be another folder wherever \
             otadeck is started, and operators would not see each other's updates"
        ));
    }
    let DeadlinesConfig { factor, .. } = config.deadlines;
    if !(1.0..=100.0).contains(&factor) {
        return Err("deadlines.factor must be between 1 and 100".to_owned());
    }
    for (phase, said) in config.deadlines.phases() {
        if said.is_some_and(|d| d.is_zero()) {
            return Err(format!("deadlines.{phase} must not be zero"));
        }
    }
    for (name, hub) in &config.hub {
        if hub.units == 0 {
            return Err(format!("hub.{name}.units must be at least 1"));
        }
        if hub
            .secret_env
            .as_deref()
            .is_some_and(|v| v.contains(['=', ';']))
        {
            return Err(format!(
                "hub.{name}.secret_env names an environment variable; what stands there is none \
                 and is not repeated, because it may be the secret itself"
            ));
        }
        packages(name, hub)?;
        if !ARM_FOR.contains(&hub.arm_for.as_secs()) {
            return Err(format!("hub.{name}.arm_for must be between 1m and 60m"));
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

/// Rules that could never hold, or hold for nothing, are mistakes.
fn packages(name: &str, hub: &HubConfig) -> Result<(), String> {
    for host in &hub.package_hosts {
        let bare = host.strip_prefix("*.").unwrap_or(host);
        if bare.is_empty() || bare.contains(['*', '/', ':', '@', ' ']) {
            return Err(format!(
                "hub.{name}.package_hosts: {host:?} is no host; write fw.example.com or *.example.com"
            ));
        }
    }
    for rule in &hub.packages {
        let path = Path::from(rule.model_at.as_str());
        let root = path.root();
        if !["tags", "desired", "reported", "properties"].contains(&root) {
            return Err(format!(
                "hub.{name}.packages: model_at = {:?} must begin with tags, desired or reported",
                rule.model_at
            ));
        }
        if !rule.uri.starts_with("https://") && !rule.uri.starts_with("http://") {
            return Err(format!(
                "hub.{name}.packages: uri = {:?} must begin with https:// or http://",
                rule.uri
            ));
        }
    }
    Ok(())
}

/// The line and the complaint, without the line's text: a secret may have been
/// written where none belongs.
fn explain(text: &str, error: &toml::de::Error) -> String {
    let line = line_at(text, error.span().map_or(0, |span| span.start));
    let message = redact::text(error.message());
    with_nearest(&format!("line {line}: {message}"))
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

pub(super) mod duration_text {
    use super::{SignedDuration, time};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(d: &SignedDuration, s: S) -> Result<S::Ok, S::Error> {
        let seconds = d.as_secs();
        s.serialize_str(&match seconds {
            0 => "0s".to_owned(),
            n if n % 86_400 == 0 && n > 86_400 => format!("{}d", n / 86_400),
            n if n % 3_600 == 0 => format!("{}h", n / 3_600),
            n if n % 60 == 0 => format!("{}m", n / 60),
            n => format!("{n}s"),
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<SignedDuration, D::Error> {
        time::duration(&String::deserialize(d)?).map_err(D::Error::custom)
    }

    /// The same for a duration that may be absent.
    pub(in crate::config) mod maybe {
        use super::{Deserializer, Serializer, SignedDuration};

        pub(in crate::config) fn serialize<S: Serializer>(
            d: &Option<SignedDuration>,
            s: S,
        ) -> Result<S::Ok, S::Error> {
            match d {
                Some(d) => super::serialize(d, s),
                None => s.serialize_none(),
            }
        }

        pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
            d: D,
        ) -> Result<Option<SignedDuration>, D::Error> {
            super::deserialize(d).map(Some)
        }
    }
}

#[cfg(test)]
mod tests;
