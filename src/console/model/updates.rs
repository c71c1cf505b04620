//! The updates of this session, folded from their events, each with its log.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;

use crate::console::text::safe;
use crate::domain::clean;
use crate::domain::event::{Event, What};
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::phase::Phase;
use crate::domain::update::{Evidence, Update};
use crate::domain::uri::last_part;

/// Lines of one update's log that are kept.
const LOG: usize = 200;
/// Characters of a foreign text in the log.
const WORDS: usize = 400;

/// One line of an update's log; harmless text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogLine {
    /// When, by our clock.
    pub(crate) time: Timestamp,
    /// What happened, in a word.
    pub(crate) word: String,
    /// More about it.
    pub(crate) text: String,
}

/// One update and what it went through.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tracked {
    /// The fold of its events.
    pub(crate) update: Update,
    /// Its events, told.
    pub(crate) log: VecDeque<LogLine>,
    /// How far a snapshot has told it already.
    told: Option<Timestamp>,
}

/// All updates of this session, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Updates {
    all: BTreeMap<UpdateId, Tracked>,
    latest: HashMap<DeviceId, UpdateId>,
}

impl Updates {
    /// Folds an event in; `true` when it began an update.
    pub(crate) fn apply(&mut self, event: &Event) -> bool {
        if let Some(update) = Update::intended(event) {
            if self.all.contains_key(&update.id) {
                return false;
            }
            let mut log = VecDeque::new();
            log.extend(told(event));
            self.insert(update, log, None);
            return true;
        }
        let known = event.update_id.as_ref().and_then(|id| self.all.get_mut(id));
        if let Some(tracked) = known {
            tracked.apply(event);
        }
        false
    }

    /// Takes an update over as a snapshot tells it.
    pub(crate) fn restore(&mut self, update: Update) {
        let log = match self.all.remove(&update.id) {
            Some(known) => known.log,
            None => retold(&update),
        };
        let told = Some(update.changed);
        self.insert(update, log, told);
    }

    fn insert(&mut self, update: Update, log: VecDeque<LogLine>, told: Option<Timestamp>) {
        let newest = self
            .latest
            .get(&update.device)
            .is_none_or(|known| *known <= update.id);
        if newest {
            self.latest.insert(update.device.clone(), update.id.clone());
        }
        let id = update.id.clone();
        self.all.insert(id, Tracked { update, log, told });
    }

    /// The newest update of a device.
    pub(crate) fn of(&self, device: &DeviceId) -> Option<&Tracked> {
        self.all.get(self.latest.get(device)?)
    }

    /// The update of a device that has not ended.
    pub(crate) fn open_of(&self, device: &DeviceId) -> Option<&Update> {
        self.of(device)
            .map(|tracked| &tracked.update)
            .filter(|update| update.is_open())
    }

    /// The updates in flight, oldest first.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Update> {
        self.all.values().map(|t| &t.update).filter(|u| u.is_open())
    }

    /// How they are listed: those in flight first, then those that ended,
    /// the newest of each on top.
    pub(crate) fn listed(&self) -> Vec<&Update> {
        let mut all: Vec<&Update> = self.all.values().rev().map(|t| &t.update).collect();
        all.sort_by_key(|update| !update.is_open());
        all
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

impl Tracked {
    fn apply(&mut self, event: &Event) {
        if self.was_told(event) {
            return;
        }
        let last = self.update.steps.last().map(step_key);
        self.update.apply(event);
        let Some(line) = told(event) else { return };
        let goes_on = matches!(event.what, What::Phase { .. })
            && last.is_some()
            && last == self.update.steps.last().map(step_key);
        match self.log.back_mut() {
            // The same phase with another percentage is the same line, moved on.
            Some(back) if goes_on && back.word == line.word => back.text = line.text,
            Some(back) if *back == line => {}
            _ => self.log.push_back(line),
        }
        if self.log.len() > LOG {
            self.log.pop_front();
        }
    }

    /// Is this event older than the snapshot that the update was taken from?
    /// Steps are the only thing that must not be told twice.
    fn was_told(&mut self, event: &Event) -> bool {
        let Some(told) = self.told else { return false };
        let is_step = matches!(event.what, What::Phase { .. });
        if event.time < told || (event.time == told && is_step) {
            return true;
        }
        if event.time > told {
            self.told = None;
        }
        false
    }
}

fn step_key(step: &crate::domain::update::Step) -> (Phase, String) {
    (step.phase, step.evidence.value.to_string())
}

/// An event as a line of the log; `None` for those that are not about one
/// update.
fn told(event: &Event) -> Option<LogLine> {
    let (word, text) = match &event.what {
        What::Intended(intent) => {
            let what = match &intent.uri {
                Some(uri) => format!("{}, by {}", last_part(uri), intent.by),
                None => format!("watching only, by {}", intent.by),
            };
            ("intended".to_owned(), what)
        }
        What::Invoked { attempt: 1, .. } => ("invoked".to_owned(), String::new()),
        What::Invoked { attempt, .. } => ("invoked".to_owned(), format!("try {attempt}")),
        What::Retrying { problem, .. } => ("retrying".to_owned(), problem.line()),
        What::Accepted { status, payload } => (
            "accepted".to_owned(),
            format!("{status} {}", clean::value_line(payload, WORDS)),
        ),
        What::Phase {
            phase,
            percent,
            evidence,
            ..
        } => (
            phase.name().to_owned(),
            phase_text(*phase, *percent, evidence),
        ),
        What::State { state, reason, .. } => (state.name().to_owned(), reason.clone()),
        What::Verdict {
            outcome, reason, ..
        } => (outcome.name().to_owned(), reason.clone()),
        What::Contradicted { reason, .. } => ("contradicted".to_owned(), reason.clone()),
        // A device that restarts goes away and comes back.
        What::Connection { expected: true, .. } => return None,
        What::Connection { state, .. } => (
            format!("{state:?}").to_lowercase(),
            "as far as the hub knows".to_owned(),
        ),
        What::Tag { problem } => (
            "tag".to_owned(),
            format!("{}. {}", problem.line(), problem.hint),
        ),
        What::Replaced { version, .. } => (
            "replaced".to_owned(),
            format!("another twin is there, reported version {version}"),
        ),
        _ => return None,
    };
    Some(LogLine {
        time: event.time,
        word: safe(&word),
        text: clean::line(&text, WORDS),
    })
}

fn phase_text(phase: Phase, percent: Option<f64>, evidence: &Evidence) -> String {
    let mut parts = Vec::new();
    if let Some(percent) = percent {
        parts.push(format!("{percent:.0} %"));
    }
    let value = clean::value_line(&evidence.value, WORDS);
    if !value.eq_ignore_ascii_case(phase.name()) {
        parts.push(format!("“{value}”"));
    }
    parts.join(" ")
}

/// The log of an update that came whole, as far as it can be told afterwards.
fn retold(update: &Update) -> VecDeque<LogLine> {
    let mut log = VecDeque::new();
    let mut push = |time, word: &str, text: String| {
        log.push_back(LogLine {
            time,
            word: word.to_owned(),
            text: clean::line(&text, WORDS),
        });
    };
    push(
        update.intended,
        "intended",
        format!(
            "{}, by {}",
            update
                .intent
                .uri
                .as_deref()
                .map_or("watching only", last_part),
            update.intent.by
        ),
    );
    if let Some((time, attempt)) = update.invoked {
        let text = (attempt > 1).then(|| format!("try {attempt}"));
        push(time, "invoked", text.unwrap_or_default());
    }
    if let Some((time, answer)) = &update.answer {
        let words = clean::value_line(&answer.payload, WORDS);
        push(*time, "accepted", format!("{} {words}", answer.status));
    }
    for step in &update.steps {
        let text = phase_text(step.phase, step.percent, &step.evidence);
        push(step.since, step.phase.name(), text);
    }
    if let Some((doubt, reason)) = &update.doubt {
        let time = update.doubted.unwrap_or(update.changed);
        push(time, doubt.name(), reason.clone());
    }
    if let Some(verdict) = &update.verdict {
        push(verdict.time, verdict.outcome.name(), verdict.reason.clone());
    }
    if let Some(contradiction) = &update.contradicted {
        let reason = contradiction.reason.clone();
        push(contradiction.time, "contradicted", reason);
    }
    log
}
