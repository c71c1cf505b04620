//! The updates of this session, folded from their events, each with its log.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;

use super::super::told::Ended;
use crate::domain::clean;
use crate::domain::event::{Event, What};
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::phase::Phase;
use crate::domain::told::{self, WORDS, phase_text};
use crate::domain::update::Update;
pub(crate) use crate::domain::uri::last_part as short;

/// Lines of one update's log that are kept.
const LOG: usize = 200;

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
    /// Those that ended meanwhile, for the bell.
    pub(crate) ended: Ended,
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
            let was_open = tracked.update.is_open();
            tracked.apply(event);
            if was_open && !tracked.update.is_open() {
                self.ended.note(&tracked.update);
            }
        }
        false
    }

    /// Takes an update over as a snapshot tells it.
    pub(crate) fn restore(&mut self, update: Update) {
        let log = match self.all.remove(&update.id) {
            Some(known) => {
                if known.update.is_open() && !update.is_open() {
                    self.ended.note(&update);
                }
                known.log
            }
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

    /// All of them, the newest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Tracked> {
        self.all.values().rev()
    }

    /// Those in flight first, then those that ended, the newest of each first.
    pub(crate) fn listed(&self) -> Vec<&Update> {
        let mut all: Vec<&Update> = self.all().map(|tracked| &tracked.update).collect();
        all.sort_by_key(|update| !update.is_open());
        all
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// That one.
    pub(crate) fn get(&self, id: &UpdateId) -> Option<&Tracked> {
        self.all.get(id)
    }
}

impl Tracked {
    /// An update and its log from its events; `None` when its intent is not among
    /// them.
    pub(crate) fn of(events: &[Event]) -> Option<Self> {
        let first = events.iter().position(|e| Update::intended(e).is_some())?;
        let mut tracked = Self {
            update: Update::intended(&events[first])?,
            log: told(&events[first]).into_iter().collect(),
            told: None,
        };
        for event in &events[first + 1..] {
            tracked.apply(event);
        }
        Some(tracked)
    }

    /// Folds one more event in.
    pub(crate) fn apply(&mut self, event: &Event) {
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
    let (word, text) = told::told(event)?;
    Some(LogLine {
        time: event.time,
        word,
        text,
    })
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
            update.intent.uri.as_deref().map_or("watching only", short),
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
