//! What a dialect makes of the reported properties.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::domain::clean;
use crate::domain::phase::Phase;
use crate::domain::twin::{Path, Section};

use super::Dialect;

/// A property's text with the hub's stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// The value as text.
    pub text: String,
    /// When the hub saw it written.
    pub stamp: Option<Timestamp>,
}

/// What a dialect reads out of the reported properties.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Where the status stands that tells the phase.
    pub property: Path,
    /// The status as reported; absent when the device reports none, or a blank.
    pub value: Option<String>,
    /// What the dialect makes of it; [`Phase::Idle`] when there is none.
    pub phase: Phase,
    /// When the hub saw the status written.
    pub stamp: Option<Timestamp>,
    /// Does a device at rest report just this, before an update and after it
    /// alike? Then an end needs a second sign whatever was reported before, and
    /// idle is an end once the version has changed.
    pub at_rest: bool,
    /// 0 to 100, while the device downloads and reports a percentage.
    pub percent: Option<f64>,
    /// When the hub saw that written.
    pub percent_stamp: Option<Timestamp>,
    /// The running firmware's version.
    pub version: Option<Stamped>,
    /// The version that is on its way.
    pub pending: Option<Stamped>,
    /// The package URI that the device works on.
    pub uri: Option<Stamped>,
    /// Why it failed, in the device's words.
    pub error: Option<Stamped>,
    /// Words beside the status.
    pub substatus: Option<Stamped>,
    /// When the last update ended, in the device's words.
    pub end: Option<Stamped>,
    /// What names the run, where a dialect has such a name.
    pub run: Option<Stamped>,
    /// The dialect's own properties, bounded.
    pub object: Value,
}

/// How the status is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Its words tell the phase, but while a version is pending nothing is done.
    Plain,
    /// The Device Update agent: a number, and success is in the result beside it.
    Agent,
    /// A status of the whole, and one of each stage below it, in order.
    Stages(Vec<Stage>),
}

/// One stage of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    /// Where its status stands.
    pub(super) status: Path,
    /// The phase while it runs.
    pub(super) running: Phase,
    /// The phase when it is complete and the next has not begun.
    pub(super) complete: Phase,
}

/// Paths beside the state of the Device Update agent.
const AGENT: &str = "deviceUpdate.agent";
const ACTION: &str = "workflow.action";
const RESULT: &str = "lastInstallResult.resultCode";
/// The action of an agent's workflow that calls a deployment off.
const CANCEL: i64 = 255;

impl Reader {
    /// The properties besides the status that the phase depends on.
    pub(super) fn paths(&self) -> Vec<Path> {
        match self {
            Self::Plain => Vec::new(),
            Self::Agent => [ACTION, RESULT].map(agent_path).to_vec(),
            Self::Stages(stages) => stages.iter().map(|stage| stage.status.clone()).collect(),
        }
    }
}

/// The status that tells the phase.
pub(super) struct Said {
    property: Path,
    value: Option<String>,
    phase: Phase,
    pub(super) stamp: Option<Timestamp>,
}

impl Dialect {
    /// Reads the reported properties in this dialect's words.
    #[must_use]
    pub fn read(&self, reported: &Section) -> Reading {
        let said = self.said(reported);
        let places = &self.places;
        let text = |path: &Option<Path>| path.as_ref().and_then(|p| stamped(reported, p));
        let percent_at = places.percent.as_ref();
        let percent = percent_at
            .and_then(|p| reported.get(p))
            .and_then(percent_of);
        let substatus = text(&places.substatus);
        let agent = self.reader == Reader::Agent;
        let error = if agent {
            agent_error(reported)
        } else {
            text(&places.error)
        };
        let failed = said.phase == Phase::Failed;
        let version = text(&places.version);
        let rests = |value: &String| match said.phase {
            Phase::Done => self.words.is_rest(value),
            // An agent at rest without a result has done nothing.
            Phase::Idle => self.words.is_rest(value) && !agent,
            _ => false,
        };
        Reading {
            percent: percent.filter(|_| said.phase == Phase::Downloading),
            percent_stamp: percent_at.and_then(|p| reported.stamp(p)),
            version: if agent {
                version.and_then(agent_version)
            } else {
                version
            },
            pending: text(&places.pending),
            uri: text(&places.uri),
            error: error.or_else(|| substatus.clone().filter(|_| failed)),
            substatus,
            end: text(&places.end),
            run: if agent {
                agent_run(reported)
            } else {
                text(&places.run)
            },
            object: self.object(reported),
            at_rest: said.value.as_ref().is_some_and(rests),
            property: said.property,
            value: said.value,
            phase: said.phase,
            stamp: said.stamp,
        }
    }

    /// The status and what it means.
    pub(super) fn said(&self, reported: &Section) -> Said {
        let whole = self.status_at(&self.status, reported);
        match &self.reader {
            Reader::Plain => self.plain(whole, reported),
            Reader::Agent => agent(whole, reported),
            Reader::Stages(stages) => self.stages(whole, stages, reported),
        }
    }

    fn status_at(&self, path: &Path, reported: &Section) -> Said {
        let value = reported.get(path).map(text_of);
        let value = value.filter(|v| !v.trim().is_empty());
        Said {
            property: path.clone(),
            phase: value.as_deref().map_or(Phase::Idle, |v| self.phase_of(v)),
            value,
            stamp: reported.stamp(path),
        }
    }

    /// A pending version is not done; a device at rest that has once ended an
    /// update is.
    fn plain(&self, mut said: Said, reported: &Section) -> Said {
        let holds = |path: &Option<Path>| {
            let path = path.as_ref();
            path.is_some_and(|path| stamped(reported, path).is_some())
        };
        let quiet = matches!(said.phase, Phase::Idle | Phase::Done) && said.value.is_some();
        if quiet && holds(&self.places.pending) {
            said.phase = Phase::Queued;
        } else if quiet && holds(&self.places.end) {
            let rest = said.value.as_deref().is_some_and(|v| self.words.is_rest(v));
            said.phase = if rest { Phase::Done } else { said.phase };
        }
        said
    }

    /// While the whole runs, or when a stage has failed, the last stage that is
    /// reported tells the phase.
    fn stages(&self, whole: Said, stages: &[Stage], reported: &Section) -> Said {
        let last = stages.iter().rev().find_map(|stage| {
            let mut said = self.status_at(&stage.status, reported);
            let phase = self.phase_of(said.value.as_deref()?);
            said.phase = match phase {
                Phase::Queued => stage.running,
                Phase::Done => stage.complete,
                other => other,
            };
            Some(said)
        });
        match last {
            Some(stage) if whole.phase == Phase::Queued => stage,
            _ => whole,
        }
    }

    fn object(&self, reported: &Section) -> Value {
        let mut object = Map::new();
        for path in &self.object {
            if let Some(value) = reported.get(path) {
                object.insert(path.to_string(), value.clone());
            }
        }
        clean::bounded(&Value::Object(object))
    }
}

fn agent_path(below: &str) -> Path {
    format!("{AGENT}.{below}").into()
}

/// Idle with a positive result is done, unless the deployment was called off.
fn agent(mut said: Said, reported: &Section) -> Said {
    let number = |below: &str| reported.get(&agent_path(below)).and_then(Value::as_i64);
    let cancelled = number(ACTION) == Some(CANCEL);
    let succeeded = number(RESULT).is_some_and(|code| code > 0);
    if said.phase == Phase::Idle && said.value.is_some() && succeeded && !cancelled {
        said.phase = Phase::Done;
    }
    said
}

/// The version inside the JSON that `installedUpdateId` holds as a string.
fn agent_version(installed: Stamped) -> Option<Stamped> {
    let id: Value = serde_json::from_str(&installed.text).ok()?;
    let text = text_of(id.get("version")?);
    (!text.trim().is_empty()).then_some(Stamped { text, ..installed })
}

/// The workflow's id; a retry keeps it and adds a timestamp.
fn agent_run(reported: &Section) -> Option<Stamped> {
    let id = stamped(reported, &agent_path("workflow.id"))?;
    Some(
        match stamped(reported, &agent_path("workflow.retryTimestamp")) {
            Some(retry) => Stamped {
                text: format!("{} {}", id.text, retry.text),
                stamp: id.stamp.max(retry.stamp),
            },
            None => id,
        },
    )
}

/// The codes and the details of a result that is no success.
fn agent_error(reported: &Section) -> Option<Stamped> {
    let at = |name: &str| agent_path(&format!("lastInstallResult.{name}"));
    let code = reported.get(&at("resultCode"))?;
    if code.as_i64().is_some_and(|code| code > 0) {
        return None;
    }
    let mut parts = vec![format!("resultCode {}", text_of(code))];
    let mut stamp = reported.stamp(&at("resultCode"));
    for name in ["extendedResultCode", "extendedResultCodes", "resultDetails"] {
        let Some(part) = stamped(reported, &at(name)) else {
            continue;
        };
        stamp = stamp.max(part.stamp);
        let number = reported.get(&at(name)).and_then(Value::as_i64);
        parts.push(match (name, number) {
            ("resultDetails", _) => part.text,
            (_, Some(0)) => continue,
            // The agent's own documents write these codes in hexadecimal.
            (_, Some(number)) => format!("{name} {number} ({number:#010x})"),
            (_, None) => format!("{name} {}", part.text),
        });
    }
    let text = clean::bounded_text(&parts.join(", "));
    Some(Stamped { text, stamp })
}

/// The text at `path`; a blank one counts as absent.
fn stamped(reported: &Section, path: &Path) -> Option<Stamped> {
    let text = text_of(reported.get(path)?);
    (!text.trim().is_empty()).then(|| Stamped {
        text,
        stamp: reported.stamp(path),
    })
}

/// A property as text: a string as it is, anything else as JSON; cut to what
/// a journal can bear.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => clean::bounded_text(text),
        other => clean::bounded_text(&clean::bounded(other).to_string()),
    }
}

fn percent_of(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => text.trim().trim_end_matches('%').trim().parse().ok(),
        _ => None,
    }?;
    number.is_finite().then(|| number.clamp(0.0, 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[rstest::rstest]
    #[case(json!(52), Some(52.0))]
    #[case(json!("52 %"), Some(52.0))]
    #[case(json!(-3), Some(0.0))]
    #[case(json!(1e300), Some(100.0))]
    #[case(json!("NaN"), None)]
    #[case(json!([1]), None)]
    fn percentages_are_numbers_between_0_and_100(#[case] value: Value, #[case] want: Option<f64>) {
        assert_eq!(percent_of(&value), want);
    }
}
