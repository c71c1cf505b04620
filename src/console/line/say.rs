//! Events as sentences: one event one line, the device first, the words those of the
//! screen's log. The line about an ended update begins with its outcome.

use std::collections::HashMap;

use super::super::model::Model;
use crate::domain::clean;
use crate::domain::event::{Event, Link, Way, What};
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::phase::Phase;
use crate::domain::problem::Problem;
use crate::domain::time::on_a_clock;
use crate::domain::told::told;
use crate::domain::update::{Evidence, Outcome, Update};

/// A percentage that has moved so far is worth another sentence.
const MOVED: f64 = 10.0;
/// Characters of a value.
const VALUE: usize = 200;

/// What was told of each update, so that nothing is told twice.
#[derive(Debug, Default)]
pub(super) struct Heard(HashMap<UpdateId, Last>);

/// What was told last of an update.
#[derive(Debug, Default)]
struct Last {
    /// In a word, how it stands.
    word: String,
    /// The phase, in the device's own words.
    phase: Option<(Phase, String)>,
    percent: Option<f64>,
}

impl Heard {
    /// An event of an update in a sentence; `None` where there is nothing to say, or
    /// nothing that is worth a line.
    pub(super) fn sentence(&mut self, model: &Model, event: &Event) -> Option<String> {
        let (id, device) = event.update_id.as_ref().zip(event.device_id.as_ref())?;
        let last = self.0.entry(id.clone()).or_default();
        if let What::Phase {
            phase,
            percent,
            evidence,
            ..
        } = &event.what
            && !last.moved(*phase, *percent, evidence)
        {
            return None;
        }
        let ended = last.word == ENDED;
        if let What::Verdict { .. } = &event.what {
            ENDED.clone_into(&mut last.word);
            return verdict(device, event).filter(|_| !ended);
        }
        let (word, text) = told(event)?;
        if !ended {
            last.word.clone_from(&word);
        }
        let rest = match &event.what {
            What::Phase { .. } => left(model, id, event),
            _ => None,
        };
        let parts = [Some(word), Some(text).filter(|text| !text.is_empty()), rest];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        Some(format!("{device}: {}", parts.join(", ")))
    }

    /// How updates stand that came whole: those of which nothing was told, or
    /// something else.
    pub(super) fn standing(&mut self, updates: &[Update]) -> Vec<String> {
        let mut said = Vec::new();
        for update in updates {
            let last = self.0.entry(update.id.clone()).or_default();
            let word = match update.is_open() {
                true => update.word(),
                false => ENDED,
            };
            if last.word == word {
                continue;
            }
            word.clone_into(&mut last.word);
            if let Some(step) = update.steps.last() {
                last.moved(step.phase, step.percent, &step.evidence);
            }
            said.extend(match update.verdict_event() {
                Some(event) => verdict(&update.device, &event),
                None => Some(standing(update)),
            });
        }
        said
    }
}

/// What stands for an update whose verdict was told.
const ENDED: &str = "ended";

impl Last {
    /// Is this phase, or this percentage in it, worth a sentence? Then it is noted.
    fn moved(&mut self, phase: Phase, percent: Option<f64>, evidence: &Evidence) -> bool {
        let here = Some((phase, clean::value_line(&evidence.value, VALUE)));
        let same = self.phase == here;
        let far = match (self.percent, percent) {
            (Some(told), Some(now)) => {
                now - told >= MOVED || now < told || (now >= 100.0 && told < now)
            }
            (told, now) => told.is_none() && now.is_some(),
        };
        if same && !far {
            return false;
        }
        (self.phase, self.percent) = (here, percent);
        true
    }
}

/// An update that is open: its package, and where it stands.
pub(super) fn standing(update: &Update) -> String {
    let package = update
        .intent
        .uri
        .as_deref()
        .map(crate::domain::uri::last_part);
    let percent = update.steps.last().and_then(|step| step.percent);
    let percent = percent.filter(|_| update.doubt.is_none());
    let parts = [
        package.map(str::to_owned),
        Some(update.word().to_owned()),
        percent.map(|percent| format!("{percent:.0} %")),
        update.doubt.as_ref().map(|(_, why)| why.clone()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{}: {}", update.device, parts.join(", "))
}

/// `completed: press-7 reports …`: the outcome first, as everywhere, then the device,
/// with which most reasons begin.
pub(super) fn ended(outcome: Outcome, device: &DeviceId, reason: &str) -> String {
    let names = reason.split(' ').next() == Some(device.as_str());
    match (names, reason) {
        (true, _) => format!("{outcome}: {reason}"),
        (false, "") => format!("{outcome}: {device}"),
        (false, _) => format!("{outcome}: {device}: {reason}"),
    }
}

/// The line about an ended update, with what it rests on.
fn verdict(device: &DeviceId, event: &Event) -> Option<String> {
    let What::Verdict {
        outcome,
        reason,
        evidence,
        problem,
        ..
    } = &event.what
    else {
        return None;
    };
    let mut text = ended(*outcome, device, reason);
    if let Some(problem) = problem.as_ref().filter(|problem| !problem.hint.is_empty()) {
        text.push_str(&format!(". {}", problem.hint.trim_end_matches('.')));
    }
    if let Some(evidence) = evidence {
        text.push_str(&format!(". Evidence: {}", rests_on(evidence)));
    }
    Some(text)
}

/// What something rests on: `firmwareStatus = "completed", version 17, hub time …`.
pub(super) fn rests_on(evidence: &Evidence) -> String {
    let value = clean::line(&evidence.value.to_string(), VALUE);
    let time = evidence.hub_time.map(|time| format!(", hub time {time}"));
    format!(
        "{} = {value}, reported version {}{}",
        clean::line(&evidence.property, VALUE),
        evidence.version,
        time.unwrap_or_default()
    )
}

/// How much is left if it goes as it went before.
fn left(model: &Model, id: &UpdateId, event: &Event) -> Option<String> {
    let update = &model.updates.get(id).filter(|t| t.update.is_open())?.update;
    let estimate = model.durations.left(update, event.time)?;
    let samples = estimate.samples;
    Some(format!(
        "~{} left by {samples} past updates",
        on_a_clock(estimate.left)
    ))
}

/// An order that was refused.
pub(super) fn refused(device: &DeviceId, problem: &Problem) -> String {
    let line = problem.line();
    let text = format!(
        "{device}: refused, {}. {}",
        line.trim_end_matches('.'),
        problem.hint
    );
    text.trim_end().to_owned()
}

/// The way to the hub, when there is something new to say of it; the single tries of
/// an outage are not.
pub(super) fn way(before: &Way, now: &Way) -> Option<String> {
    if before.says_as(now) {
        return None;
    }
    match (now.state, &now.problem, before.state) {
        (Link::Online, _, Link::Retrying | Link::Unauthorized) => {
            Some("The hub answers again.".to_owned())
        }
        (Link::Online, ..) | (_, None, _) => None,
        (_, Some(problem), _) => {
            let text = format!("{}; trying again. {}", problem.line(), problem.hint);
            Some(text.trim_end().to_owned())
        }
    }
}
