//! Which dialect a device speaks, and how that is known.
//!
//! What is set goes first: the first rule that holds for the device, then the
//! hub's own setting. Otherwise the device is recognised by where its status
//! stands. A device may hold the properties of several families, left over from
//! earlier firmware: the one whose status the hub saw written last counts, and of
//! equal ones the one with the more specific path. Where several dialects have
//! their status in one place nothing can be told: such a device is neither started
//! nor watched until its dialect is set.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::id::DeviceId;
use crate::domain::problem::{Kind, Problem};
use crate::domain::twin::{Path, Section, Twin};

use super::{Dialect, Dialects, Recognised};

/// A condition on devices, and what those speak that it holds for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// A condition of IoT Hub's query language: `tags.model = 'press'`.
    pub condition: String,
    /// The dialect's name.
    pub dialect: String,
}

/// A dialect and why it is the one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<'a> {
    /// The dialect.
    pub dialect: &'a Dialect,
    /// How that is known.
    pub how: How,
}

/// How a device's dialect is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// A rule of the configuration holds for the device.
    Rule(String),
    /// The configuration says so of all the hub's devices.
    Hub,
    /// The status stands where this dialect has it.
    Status {
        /// Where that is.
        path: Path,
        /// Other dialects that the device holds a status of.
        others: Vec<String>,
        /// Did the hub see this one written later than all others? Else its
        /// path is the more specific.
        later: bool,
    },
    /// The status stands where several dialects have it; the first of them is
    /// taken to show the device, and for nothing else.
    Unclear {
        /// Where that is.
        path: Path,
        /// All that have it there.
        names: Vec<String>,
    },
    /// There is no status, but a version where this dialect has it.
    Version(Path),
    /// The device reports nothing that any dialect knows.
    Nothing,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(condition) => write!(f, "set for devices with {condition}"),
            Self::Hub => f.write_str("set for this hub"),
            Self::Status {
                path,
                others,
                later,
            } => {
                write!(f, "recognised by {path}")?;
                let than = match later {
                    _ if others.is_empty() => return Ok(()),
                    true => "written later",
                    false => "more specific",
                };
                write!(f, ", {than} than that of {}", others.join(", "))
            }
            Self::Unclear { path, names } => {
                write!(
                    f,
                    "not known: {path} is the status of {}",
                    names.join(" and of ")
                )
            }
            Self::Version(path) => write!(f, "recognised by {path}"),
            Self::Nothing => f.write_str("assumed: the device reports no status yet"),
        }
    }
}

/// A choice as events carry it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chosen {
    /// The dialect's name.
    pub name: String,
    /// How that is known, in words.
    pub how: String,
    /// Were all rules that could say otherwise asked?
    pub settled: bool,
}

impl Choice<'_> {
    /// Why nothing can be started or judged on `device`: which dialect it speaks
    /// cannot be told, though it reports something.
    #[must_use]
    pub fn unclear(&self, device: &DeviceId) -> Option<Problem> {
        let How::Unclear { path, names } = &self.how else {
            return None;
        };
        let title = format!("the dialect of {device} is not clear");
        let cause = format!(
            "it reports {path}, which is the status of {}",
            names.join(" and of ")
        );
        Some(Problem::new(Kind::Dialect, title, cause).hint(
            "Nothing was sent. Set `dialect` of the hub in the configuration, or name the \
             devices that speak each in a rule under `dialects`.",
        ))
    }

    /// The choice as events carry it.
    #[must_use]
    pub fn told(&self, settled: bool) -> Chosen {
        Chosen {
            name: self.dialect.name.clone(),
            how: self.how.to_string(),
            settled,
        }
    }
}

impl Dialects {
    /// The dialect of a device that no rule names.
    #[must_use]
    pub fn recognise(&self, twin: &Twin) -> &Dialect {
        self.choose(&twin.reported, None).dialect
    }

    /// The dialect of a device that reports this, and for which the rule of that
    /// number holds, if one does.
    #[must_use]
    pub fn choose(&self, reported: &Section, rule: Option<usize>) -> Choice<'_> {
        let rule = rule.and_then(|n| self.rules.get(n));
        if let Some(rule) = rule {
            let how = How::Rule(rule.condition.clone());
            let dialect = self.named(&rule.dialect);
            return Choice { dialect, how };
        }
        if let Some(name) = &self.hub {
            let dialect = self.named(name);
            return Choice {
                dialect,
                how: How::Hub,
            };
        }
        self.by_status(reported)
            .or_else(|| self.by_version(reported))
            .unwrap_or(Choice {
                dialect: &self.list[0],
                how: How::Nothing,
            })
    }

    fn by_status(&self, reported: &Section) -> Option<Choice<'_>> {
        let mut held: Vec<(Option<Timestamp>, &Dialect)> = self
            .list
            .iter()
            .filter(|dialect| dialect.recognised != Recognised::Never)
            .filter(|dialect| reported.get(&dialect.status).is_some())
            .map(|dialect| (dialect.said(reported).stamp, dialect))
            .collect();
        // Stable: of equal ones the first in the list.
        held.sort_by_key(|(stamp, dialect)| std::cmp::Reverse((*stamp, depth(&dialect.status))));
        let (stamp, dialect) = *held.first()?;
        let same = held.iter().filter(|(_, d)| d.status == dialect.status);
        let names: Vec<String> = same.map(|(_, d)| d.name.clone()).collect();
        if names.len() > 1 {
            let path = dialect.status.clone();
            let how = How::Unclear { path, names };
            return Some(Choice { dialect, how });
        }
        let others = held[1..].iter().map(|(_, other)| other.name.clone());
        let how = How::Status {
            path: dialect.status.clone(),
            others: others.collect(),
            later: held[1..].iter().all(|(other, _)| stamp > *other),
        };
        Some(Choice { dialect, how })
    }

    fn by_version(&self, reported: &Section) -> Option<Choice<'_>> {
        let held = self.list.iter().filter_map(|dialect| {
            let path = dialect.places.version.as_ref()?;
            let known = dialect.recognised == Recognised::ByStatusOrVersion;
            (known && reported.get(path).is_some()).then_some((dialect, path))
        });
        let (dialect, path) = held.min_by_key(|(_, path)| std::cmp::Reverse(depth(path)))?;
        let how = How::Version(path.clone());
        Some(Choice { dialect, how })
    }
}

fn depth(path: &Path) -> usize {
    path.steps().count()
}
