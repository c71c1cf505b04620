//! The words in which devices report progress, and how they are started.
//!
//! A dialect is data: where the status stands and what its values mean, where
//! percentage, version, error and the rest stand; and the direct method that
//! starts an update, or that none does. Values match trimmed and without regard
//! to case. An unknown value is kept as it is, as phase `unknown`, and is never
//! taken for success.
//!
//! | module | holds |
//! |---|---|
//! | `built_in` | the families of Microsoft's samples, with their sources |
//! | `read` | what a dialect makes of reported properties |
//! | `start` | how an update is started |
//! | `template` | the payload, with placeholders |
//! | `choice` | which dialect a device speaks, and how that is known |

mod built_in;
mod choice;
mod read;
mod start;
mod template;

#[cfg(test)]
mod tests;

pub use choice::{Choice, Chosen, How, Rule};
pub use read::{Reading, Stamped};
pub use start::{ByMethod, CannotStart, Starts};
pub use template::{InvalidTemplate, Placeholder, Template, Values};

use super::phase::Phase;
use super::twin::{Path, Twin};

/// One way of reporting progress, and of being started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The name in events, in the configuration and on screen.
    pub name: String,
    /// Where the status stands; its presence is how the dialect is recognised.
    pub status: Path,
    /// How an update is started.
    pub starts: Starts,
    words: Words,
    reader: read::Reader,
    places: Places,
    /// The properties that belong to an update, for `reported` in events.
    object: Vec<Path>,
    recognised: Recognised,
}

/// Status words and the phases that they stand for, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::domain) struct Words {
    /// Whole values.
    exact: Vec<(String, Phase)>,
    /// Beginnings of values; never of an end.
    begin: Vec<(String, Phase)>,
    /// Values of a device at rest, before an update and after it alike.
    rest: Vec<String>,
}

/// Where everything but the status may stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The percentage of the download; it says nothing about any other phase.
    pub percent: Option<Path>,
    /// The running firmware's version.
    pub version: Option<Path>,
    /// The version that is on its way; while there is one, nothing is done.
    pub pending: Option<Path>,
    /// The package URI that the device works on.
    pub uri: Option<Path>,
    /// The reason of a failure.
    pub error: Option<Path>,
    /// Words beside the status; the reason of a failure when there is no other.
    pub substatus: Option<Path>,
    /// The end of the last update.
    pub end: Option<Path>,
    /// What names the run.
    pub run: Option<Path>,
}

/// By what a device is taken to speak a dialect that nobody has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recognised {
    /// By nothing: it must be set.
    Never,
    /// By its status.
    ByStatus,
    /// By its status, or by its version when there is no status at all.
    ByStatusOrVersion,
}

/// A dialect as a configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Where the status stands.
    pub status: Path,
    /// Status value → phase.
    pub values: Vec<(String, Phase)>,
    /// Values of a device at rest, before an update and after it alike.
    pub rest: Vec<String>,
    /// Where everything else stands.
    pub places: Places,
    /// How an update is started.
    pub starts: Starts,
}

impl From<Description> for Dialect {
    fn from(description: Description) -> Self {
        let Description {
            name,
            status,
            values,
            rest,
            places,
            starts,
        } = description;
        let lower = |text: String| text.trim().to_lowercase();
        let rest: Vec<String> = rest.into_iter().map(lower).collect();
        let values = values.into_iter().map(|(word, phase)| (lower(word), phase));
        let idle = rest.iter().map(|word| (word.clone(), Phase::Idle));
        let object = std::iter::once(&status).chain(places.all()).cloned();
        Self {
            object: object.collect(),
            words: Words {
                exact: values.chain(idle).collect(),
                begin: Vec::new(),
                rest,
            },
            reader: read::Reader::Plain,
            recognised: Recognised::ByStatus,
            name,
            status,
            places,
            starts,
        }
    }
}

impl Places {
    fn all(&self) -> impl Iterator<Item = &Path> {
        [
            &self.version,
            &self.pending,
            &self.uri,
            &self.percent,
            &self.error,
            &self.substatus,
            &self.end,
            &self.run,
        ]
        .into_iter()
        .flatten()
    }
}

impl Words {
    fn phase_of(&self, value: &str) -> Phase {
        let lower = value.trim().to_lowercase();
        let exact = self.exact.iter().find(|(word, _)| *word == lower);
        let begin = || self.begin.iter().find(|(word, _)| lower.starts_with(word));
        exact
            .or_else(begin)
            .map_or(Phase::Unknown, |(_, phase)| *phase)
    }

    fn is_rest(&self, value: &str) -> bool {
        let lower = value.trim().to_lowercase();
        self.rest.contains(&lower)
    }
}

impl Dialect {
    /// The phase that a status value stands for by itself.
    #[must_use]
    pub fn phase_of(&self, value: &str) -> Phase {
        self.words.phase_of(value)
    }

    /// The active phases that this dialect knows, in order: the steps of a
    /// gauge and of a timeline.
    #[must_use]
    pub fn phases(&self) -> Vec<Phase> {
        let words = self.words.exact.iter().chain(&self.words.begin);
        let mut phases: Vec<Phase> = words.map(|(_, phase)| *phase).collect();
        match &self.reader {
            read::Reader::Plain if self.places.pending.is_some() => phases.push(Phase::Queued),
            read::Reader::Plain => {}
            // Only "in progress" comes to the cloud.
            read::Reader::Agent => phases = vec![Phase::Applying],
            read::Reader::Stages(stages) => {
                phases.extend(stages.iter().flat_map(|s| [s.running, s.complete]));
            }
        }
        phases.retain(|phase| phase.is_active());
        phases.sort_unstable();
        phases.dedup();
        phases
    }

    /// Where the running firmware's version stands.
    #[must_use]
    pub fn version_path(&self) -> Option<&Path> {
        self.places.version.as_ref()
    }

    /// All status words, for tests over any history.
    #[cfg(test)]
    pub(in crate::domain) fn words(&self) -> impl Iterator<Item = &str> {
        let words = self.words.exact.iter().chain(&self.words.begin);
        words.map(|(word, _)| word.as_str())
    }

    /// All that is read besides the status, for the same tests.
    #[cfg(test)]
    pub(in crate::domain) fn paths_beside(&self) -> Vec<Path> {
        let mut paths: Vec<Path> = self.places.all().cloned().collect();
        paths.extend(self.reader.paths());
        if self.reader == read::Reader::Agent {
            paths.push("deviceUpdate.agent.workflow.id".into());
        }
        paths
    }

    /// The properties that a row of the inventory is read from.
    #[must_use]
    pub fn inventory_paths(&self) -> Vec<Path> {
        let places = &self.places;
        let beside = [&places.version, &places.end, &places.pending];
        let mut paths = vec![self.status.clone()];
        paths.extend(beside.into_iter().flatten().cloned());
        paths.extend(self.reader.paths());
        paths
    }
}

/// The dialects in use, and what is set about who speaks which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialects {
    list: Vec<Dialect>,
    /// The dialect of all devices of the hub that no rule names.
    hub: Option<String>,
    rules: Vec<Rule>,
}

impl Default for Dialects {
    fn default() -> Self {
        Self::built_in()
    }
}

impl Dialects {
    /// The families of Microsoft's samples; sources stand in the module `built_in`.
    #[must_use]
    pub fn built_in() -> Self {
        Self {
            list: built_in::all(),
            hub: None,
            rules: Vec::new(),
        }
    }

    /// The built-in ones and those of a configuration.
    #[must_use]
    pub fn with(configured: impl IntoIterator<Item = Dialect>) -> Self {
        let mut dialects = Self::built_in();
        dialects.list.extend(configured);
        dialects
    }

    /// The status paths that several dialects claim where nothing is set: which of
    /// them a device speaks that reports there cannot be told.
    #[must_use]
    pub fn rivals(&self) -> Vec<(&Path, Vec<&str>)> {
        if self.hub.is_some() {
            return Vec::new();
        }
        let mut rivals: Vec<(&Path, Vec<&str>)> = Vec::new();
        for dialect in self.in_question() {
            let known = rivals.iter_mut().find(|(path, _)| **path == dialect.status);
            match known {
                Some((_, names)) => names.push(&dialect.name),
                None => rivals.push((&dialect.status, vec![&dialect.name])),
            }
        }
        rivals.retain(|(_, names)| names.len() > 1);
        rivals
    }

    /// The same with what is set for a hub: the dialect of its devices, and
    /// before that rules for some of them. Names that there are not set nothing.
    #[must_use]
    pub fn set(mut self, hub: Option<String>, rules: Vec<Rule>) -> Self {
        self.hub = hub.filter(|name| self.find(name).is_some());
        self.rules = rules;
        self.rules
            .retain(|rule| self.list.iter().any(|d| d.name == rule.dialect));
        self
    }

    /// Only this one, set: for reading what a rule has found.
    #[must_use]
    pub fn only(dialect: &Dialect) -> Self {
        Self {
            list: vec![dialect.clone()],
            hub: Some(dialect.name.clone()),
            rules: Vec::new(),
        }
    }

    /// The dialect of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Dialect> {
        self.list.iter().find(|dialect| dialect.name == name)
    }

    /// The dialect of that name; the first when there is none such.
    #[must_use]
    pub fn named(&self, name: &str) -> &Dialect {
        self.find(name).unwrap_or(&self.list[0])
    }

    /// The dialect to read an update's twin in: the one that it was begun in;
    /// what the device turns out to speak when it had said nothing before, or
    /// when there is no such dialect any more.
    #[must_use]
    pub fn reading(&self, name: &str, twin: &Twin) -> &Dialect {
        let Some(named) = self.find(name) else {
            return self.recognise(twin);
        };
        // The first is also taken for want of a sign.
        let set = |name: &str| self.rules.iter().any(|rule| rule.dialect == name);
        let assumed = named.name == self.list[0].name && self.hub.is_none() && !set(&named.name);
        match twin.reported.get(&named.status) {
            None if assumed => self.recognise(twin),
            _ => named,
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Dialect> {
        self.list.iter()
    }

    /// Those in which a device may be read that no rule names.
    pub fn in_question(&self) -> impl Iterator<Item = &Dialect> {
        self.list.iter().filter(|dialect| match &self.hub {
            Some(name) => dialect.name == *name,
            None => dialect.recognised != Recognised::Never,
        })
    }

    /// What is set for some of the hub's devices; the first that holds wins.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}
