//! A simulated world in TOML: what its devices do, and what is wrong with its
//! hub.
//!
//! A file composes what two rooms own: the devices' rules
//! ([`device::Rule`](crate::device::Rule)) and the hub's conditions
//! ([`emulator::faults`](crate::emulator::faults)). An unknown key, route or
//! name is an error that shows its line and names the known ones; so are things
//! that cannot be together. On a hub that is not otadeck's own (`otadeck device`)
//! only the devices' part counts.
//!
//! ```
//! use std::time::Duration;
//!
//! use otadeck::scenario::Scenario;
//!
//! let scenario = Scenario::parse(r#"
//! description = "a busy hub, one good device, one that fails"
//! lesson = "Throttled is not failed: wait and try again."
//!
//! [hub]
//! index_lag = "5s"                    # queries see what was 5 s ago
//!
//! [[fault]]                           # 10 s of every minute
//! route = ["twin-read", "method"]
//! for = "10s"
//! repeat = "1m"
//! answer = "ThrottlingException"
//!
//! [[tag]]                             # on the twins of these
//! ids = "sim-*"
//! site = "hall-1"
//!
//! [defaults]                          # every device
//! firmware = "1.4.2"
//! downloading = "2s"
//!
//! [[device]]                          # these only
//! ids = ["sim-0010", "bad-*"]
//! fails = { phase = "downloading", reason = "403 Forbidden" }
//! "#).unwrap();
//! assert!(scenario.rules().behaviour("sim-0001").fails.is_none());
//! assert!(scenario.rules().behaviour("bad-7").fails.is_some());
//! assert_eq!(scenario.hub().index_lag, Duration::from_secs(5));
//! assert_eq!(scenario.hub().faults.len(), 1);
//! ```
//!
//! # The top of the file
//!
//! | key | what |
//! |---|---|
//! | `description` | what it is, in one line; needed |
//! | `lesson` | what an operator learns from it, in one line |
//!
//! Durations are texts such as `"500ms"`, `"2s"`, `"1m 30s"`, a day at most.
//! `ids` are device ids, one or a list; `*` in them stands for any text.
//!
//! # `[hub]`
//!
//! | key | what |
//! |---|---|
//! | `index_lag = "5s"` | queries see identities and twins as they were so long ago: a new device is missing, a deleted one still there. Real indexes lag by some seconds, ghosts by minutes |
//! | `twin_lag = "3s"` | twin reads of the service see what was so long ago. Single reads of a real hub are consistent: this is a drill for proxies and replicas |
//! | `clock = "+10m"` | the hub's clock is ahead, or behind (`"-1y"`): `Date`, `$lastUpdated`, and its judgement of tokens |
//! | `token_life = "20s"` | a token is over so long after it was first used: 401003, links closed; also `{ device = "20s", service = "1m" }` |
//! | `seed = 7` | what the dice of `chance` are made of |
//!
//! # `[[fault]]`
//!
//! The first that fits a call strikes it. Times count from the moment at which
//! the emulator said that it was ready; before, nothing strikes.
//!
//! | key | what |
//! |---|---|
//! | `route` | one or a list of `twin-read`, `twin-write`, `method`, `query`, `registry`, `package` (HTTPS), `connect`, `subscribe`, `device-twin`, `report`, `event` (MQTT); `*` is every one on which the effect is possible |
//! | `ids` | only calls about these devices |
//! | `after = 3` | lets so many calls through first |
//! | `every = 5` | each fifth |
//! | `chance = 0.2` | by dice; the same seed and calls fall alike |
//! | `times = 2` | at most so often |
//! | `from`, `until` | in this time |
//! | `for`, `repeat` | so long, so long after each other (`"30s"` of every `"2m"`) |
//!
//! One effect each, with `delay` if wanted:
//!
//! | key | what | where |
//! |---|---|---|
//! | `answer = "ThrottlingException"` | one of the hub's codes by name, with its number, status, header and envelope; `message` replaces the text | all but `package`, `connect`, `subscribe`, `event` |
//! | `status = 502`, `body = "<html>…"` | what a gateway before the hub says | HTTPS |
//! | `cut = "before"`, `"head"`, `"body"` | the connection breaks before the answer, in its first lines, in the middle of its body | HTTPS |
//! | `hang = true` | no answer, until the client leaves; over MQTT the answer is withheld | all but `event` |
//! | `refuse = 3`, `5` | CONNACK: unavailable, not authorised | `connect` |
//! | `refuse = 128` | SUBACK: failure | `subscribe` |
//! | `drop = true` | the device's link is closed | MQTT |
//! | `delay = "3s"` | the answer comes so much later; the call itself is done at once | all |
//! | `trickle = "10s"` | the body takes so long | HTTPS |
//! | `runs = true`, `false` | was the call done that is answered otherwise? By itself it was when the answer is cut in `head` or `body`, and was not else | `method`, `twin-write`, `registry`, `report` |
//!
//! # `[[tag]]`
//!
//! `ids`, and any other keys: the tags that these devices have on their twins when
//! the hub makes them. A device that a kept hub knows already keeps what it has.
//!
//! # `[defaults]` and `[[device]]`
//!
//! `[defaults]` is for every device, `[[device]]` for those whose id its `ids`
//! match; a later one wins. What is not said is as the 2018 tutorial's device
//! does it.
//!
//! | key | what |
//! |---|---|
//! | `connects = false` | never comes |
//! | `dialect` | `"tutorial-2018"`, `"iothubDM"`, `"java-2017"` |
//! | `firmware`, `next_firmware` | the version at start, and after an update whose package's name holds none. A device whose twin the hub has kept goes on with the version that stands there |
//! | `percent = true`, `percent_jumps = true` | reports a percentage; it falls back now and then |
//! | `uri` | `"none"`, `"redacted"`, `"full"`: how it reports the package's URI |
//! | `waiting`, `downloading`, `downloaded`, `applying` | how long each step takes; `jitter = 0.25` adds up to a quarter |
//! | `fails = { phase, reason }` | fails half way through `"downloading"` or `"applying"` |
//! | `stalls = "applying"` | this step never ends; with `finishes_after = "90s"` it does |
//! | `reboot = "5s"` | the link is gone so long when applying begins |
//! | `reboots = { count = 3, away = "2s" }` | applying restarts the device so often, `forever = true` without end |
//! | `vanishes = "applying"` | the link is gone for good half way through `"downloading"` or `"applying"` |
//! | `answer = { status = 400, payload }` | what the method answers; 400 and more is a no |
//! | `silent = true`, `"starts"` | the method is not answered: not begun, or begun all the same |
//! | `says = { idle, waiting, downloading, downloaded, applying, done, failed }` | words instead of the dialect's |
//! | `case` | `"upper"`, `"lower"`, `"title"`: how the words are written |
//! | `starts_as` | `"completed"`, `"failed"`, `"downloading"`, `"applying"`: what a previous run left in the twin |
//! | `resends = true` | on each further connection it reports its whole state again |
//! | `clock = "-1y"` | its clock is off: the times that it writes |
//! | `token = "20s"`, `renews = false` | how long its tokens live; it never signs another |
//! | `padding = 7` | so many properties of 4,096 characters |

mod built_in;
mod faster;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use crate::device::{Rule, Rules};
use crate::emulator::faults::{Fault, HubTable};
use crate::emulator::{Conditions, Tagged};

pub use built_in::BUILT_IN;

/// A simulated world.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What it is, in one line.
    pub description: String,
    /// What an operator learns from it, in one line.
    pub lesson: String,
    rules: Arc<Rules>,
    hub: Conditions,
    tags: Vec<Tagged>,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    description: String,
    #[serde(default)]
    lesson: String,
    #[serde(default)]
    hub: HubTable,
    #[serde(default, rename = "fault")]
    faults: Vec<Fault>,
    defaults: Option<Spanned<Rule>>,
    #[serde(default, rename = "tag")]
    tags: Vec<Tagged>,
    #[serde(default, rename = "device")]
    devices: Vec<Spanned<Rule>>,
}

/// Why there is no scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Neither a built-in name nor a file.
    #[error("no scenario \"{name}\"{}; built in are {known}; anything else is a file's path", hint(.nearest.as_deref()))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The built-in name that looks most like it.
        nearest: Option<String>,
        /// All built-in names.
        known: String,
    },
    /// The file cannot be read.
    #[error("the scenario {} cannot be read", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is no scenario; the message shows line, column and key.
    #[error("the scenario {name} is not valid:\n{message}")]
    Invalid {
        /// The file, or the built-in name.
        name: String,
        /// What is wrong and where.
        message: String,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean \"{name}\"?"))
}

impl Scenario {
    /// A built-in scenario by its name, else the file at that path.
    ///
    /// # Errors
    /// [`ScenarioError`] names the built-in ones, or the place in the file.
    pub fn load(name_or_path: &str) -> Result<Self, ScenarioError> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == name_or_path) {
            return Self::named(name, text);
        }
        let path = Path::new(name_or_path);
        let looks_like_a_path =
            path.components().count() > 1 || path.extension().is_some() || path.exists();
        if !looks_like_a_path {
            return Err(unknown(name_or_path));
        }
        let text = std::fs::read_to_string(path).map_err(|source| ScenarioError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::named(name_or_path, &text)
    }

    /// Reads a scenario from its text.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`] shows line, column and key.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        Self::named("text", text)
    }

    /// What the devices do.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules)
    }

    /// What is wrong with the hub.
    #[must_use]
    pub fn hub(&self) -> &Conditions {
        &self.hub
    }

    /// The tags that devices have on their twins when the hub makes them.
    #[must_use]
    pub fn tags(&self) -> &[Tagged] {
        &self.tags
    }

    fn named(name: &str, text: &str) -> Result<Self, ScenarioError> {
        let invalid = |message: String| ScenarioError::Invalid {
            name: name.to_owned(),
            message,
        };
        let file: File = toml::from_str(text).map_err(|e| invalid(e.to_string()))?;
        check(&file).map_err(|(place, message)| {
            let line = 1 + text[..place.start.min(text.len())].matches('\n').count();
            invalid(format!("line {line}: {message}"))
        })?;
        let defaults = file.defaults.map(Spanned::into_inner).unwrap_or_default();
        let devices = file.devices.into_iter().map(Spanned::into_inner);
        Ok(Self {
            description: file.description,
            lesson: file.lesson,
            rules: Arc::new(Rules::new(defaults, devices.collect())),
            hub: file.hub.with(file.faults),
            tags: file.tags,
        })
    }
}

/// What no single table shows: rules on top of the defaults.
fn check(file: &File) -> Result<(), (Range<usize>, String)> {
    let none = Rule::default();
    if let Some(defaults) = &file.defaults {
        let wrong = |message| (defaults.span(), message);
        if defaults.get_ref().ids.is_some() {
            let message = "[defaults] is for every device: no ids".to_owned();
            return Err(wrong(message));
        }
        let checked = defaults.get_ref().check(&none);
        checked.map_err(|problem| wrong(format!("[defaults]: {problem}")))?;
    }
    let defaults = file.defaults.as_ref().map_or(&none, Spanned::get_ref);
    for (n, rule) in file.devices.iter().enumerate() {
        let wrong = |message: String| {
            let message = format!("[[device]] number {} {message}", n + 1);
            (rule.span(), message)
        };
        if rule
            .get_ref()
            .ids
            .as_ref()
            .is_none_or(crate::domain::pattern::Ids::is_empty)
        {
            return Err(wrong("has no ids".to_owned()));
        }
        let checked = rule.get_ref().check(defaults);
        checked.map_err(|problem| wrong(format!("(with [defaults]): {problem}")))?;
    }
    Ok(())
}

fn unknown(name: &str) -> ScenarioError {
    let names = || BUILT_IN.iter().map(|(name, _)| *name);
    let nearest = names()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, known)| known.to_owned());
    ScenarioError::Unknown {
        name: name.to_owned(),
        nearest,
        known: names().collect::<Vec<_>>().join(", "),
    }
}
