//! Scenarios: what simulated devices do, in TOML.
//!
//! A scenario describes a world: `[defaults]` for every device, then
//! `[[device]]` rules in order, each for the devices whose id it matches; a
//! later rule wins. An unknown key is an error that names the known ones.
//!
//! ```
//! use otadeck::device::{DeviceDialect, Scenario};
//!
//! let scenario = Scenario::parse(r#"
//! description = "one good device, one that fails"
//! lesson = "A failure is shown with its reason."
//!
//! [defaults]
//! firmware = "1.4.2"
//! downloading = "2s"
//!
//! [[device]]
//! ids = ["sim-0010", "bad-*"]
//! fails = { phase = "downloading", reason = "403 Forbidden" }
//! "#).unwrap();
//! assert!(scenario.behaviour("sim-0001").fails.is_none());
//! assert!(scenario.behaviour("bad-7").fails.is_some());
//! assert_eq!(scenario.behaviour("bad-7").dialect, DeviceDialect::Tutorial2018);
//! ```

mod built_in;
mod rule;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use built_in::BUILT_IN;
use rule::Rule;
pub use rule::{Answer, Behaviour, DeviceDialect, Failure, FailurePhase, Sayings, Step, UriReport};

/// What a world of simulated devices does.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is, in one line.
    pub description: String,
    /// What an operator learns from it, in one line.
    #[serde(default)]
    pub lesson: String,
    #[serde(default)]
    defaults: Rule,
    #[serde(default, rename = "device")]
    devices: Vec<Rule>,
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

    /// What the device of that id does: the defaults, then each rule that
    /// matches, in order.
    #[must_use]
    pub fn behaviour(&self, device_id: &str) -> Behaviour {
        let rules = self.devices.iter().filter(|rule| rule.matches(device_id));
        let mut behaviour = Behaviour::default();
        for rule in std::iter::once(&self.defaults).chain(rules) {
            rule.apply(&mut behaviour);
        }
        behaviour
    }

    fn named(name: &str, text: &str) -> Result<Self, ScenarioError> {
        let invalid = |message: String| ScenarioError::Invalid {
            name: name.to_owned(),
            message,
        };
        let scenario: Self = toml::from_str(text).map_err(|e| invalid(e.to_string()))?;
        if scenario.defaults.ids.is_some() {
            return Err(invalid("[defaults] is for every device: no ids".to_owned()));
        }
        for (n, rule) in scenario.devices.iter().enumerate() {
            if rule.ids.as_ref().is_none_or(rule::Ids::is_empty) {
                let message = format!("[[device]] number {} has no ids", n + 1);
                return Err(invalid(message));
            }
        }
        Ok(scenario)
    }
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
