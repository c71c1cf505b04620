//! The console in lines, for screen readers, plain terminals and pipes: the same
//! events as sentences, the same prompts as questions.
//!
//! ```text
//!  stdin ─► input ─► Talk::typed ──► update::lines, commands ─► Effect ─► run ─► engine
//!                        │                   │
//!  engine ─► run ─► Talk::hear ────► update(&mut Model)
//!                        │
//!  stdout, stderr ◄─ run ◄─ Said
//! ```
//!
//! It stands on the screen's own model, its updates and its table of commands, so
//! that it cannot say something else than the screen. `Talk` is pure: a model and
//! what happens give sentences and effects. One line is worked on at a time, and the
//! next is read when that one is answered: in a pipe all commands are there at once.
//!
//! What is asked for and what happens goes to stdout, questions and complaints to
//! stderr. Nothing moves a cursor, nothing is drawn again, and no sentence is longer
//! than `LONGEST`.
//!
//! | module | what it is |
//! |---|---|
//! | `typed` | what a typed line means: a command, or the answer to a question |
//! | `ask` | the questions |
//! | `say` | events as sentences |
//! | `tell` | devices, updates and the past as lines |
//! | `input` | lines, as they come |
//! | `run` | the loop |

mod ask;
mod input;
mod run;
mod say;
mod tell;
#[cfg(test)]
mod tests;
mod typed;

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::message::{Effect, Message};
use super::model::{Asked, Dialog, Model};
use super::update::{lines, update};
use crate::domain::clean;
use crate::domain::event::{Event, InventoryState, Way, What};
use crate::domain::id::DeviceId;
use crate::domain::problem::{Kind, Problem};
use crate::domain::uri::PackageUri;
use crate::engine::Snapshot;

pub use run::{Manner, Silent, TalkError, Talked, Voice, run};

/// Characters of one line that is said.
const LONGEST: usize = 1_000;
/// How long a twin, or what a package's server says, is waited for.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);
/// How long somebody at a terminal waits for a list that is not whole yet.
const GLANCE: SignedDuration = SignedDuration::from_secs(5);

/// Lines that are to be said, and where.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// What was asked for, and what happens: stdout.
    Told(String),
    /// Questions and complaints: stderr.
    Asked(String),
    /// A word that waits for somebody to type, with no line's end: stderr.
    Prompt(String),
}

/// A line that is being worked on, because it needs an answer of the engine.
#[derive(Clone, Debug, PartialEq)]
enum Work {
    /// The devices, when they are listed.
    Devices,
    /// They are listed again.
    List,
    /// A device, when it was read.
    Device(DeviceId),
    /// An order for these devices: the first one's twin is read before.
    Order(Vec<DeviceId>, PackageUri),
    /// The question is up, and the package's server is asked.
    Inspect,
    /// Past updates.
    Past,
}

/// What line mode knows beside the model. It changes the model only by what the
/// screen changes it by.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    /// Is somebody there who can be asked again? A pipe is nobody.
    attended: bool,
    /// What is to be said, oldest first.
    said: VecDeque<Said>,
    /// What was told of updates.
    heard: say::Heard,
    work: Option<Work>,
    /// When the work at hand is answered with what is known by then.
    until: Option<Timestamp>,
    /// The twin that the work waits for was read.
    read: bool,
    /// Why it could not be read.
    unread: Option<Problem>,
    /// How all stands is asked for: what the list does not hold is gone then.
    settling: bool,
    /// Is it worth a sentence when the devices are listed?
    tells_list: bool,
    /// Has a question just come up?
    asks: bool,
    /// The open updates of the journal are being taken up.
    resuming: bool,
    /// Nothing will be typed any more.
    over: bool,
    /// Why orders were not sent, or what was wrong with a line.
    refused: Vec<Problem>,
}

impl Talk {
    pub(crate) fn new(model: &Model, attended: bool) -> Self {
        let mut talk = Self {
            attended,
            tells_list: attended,
            resuming: true,
            ..Self::default()
        };
        talk.notices(model, None, false);
        talk
    }

    /// Takes what is to be said next.
    pub(crate) fn next(&mut self) -> Option<Said> {
        self.said.pop_front()
    }

    /// Has a question come up since this was asked last?
    pub(crate) fn has_asked(&mut self) -> bool {
        std::mem::take(&mut self.asks)
    }

    /// Folds a message in, says what it tells, and goes on with the work at hand.
    pub(crate) fn hear(&mut self, model: &mut Model, message: Message) -> Vec<Effect> {
        let before = Before::of(model);
        let batch = match &message {
            Message::Events(batch) => Some(Arc::clone(batch)),
            Message::Snapshot(snapshot) => {
                self.snapshot(model, snapshot);
                None
            }
            _ => None,
        };
        self.settling &= !matches!(message, Message::Snapshot(_));
        let mut effects = update(model, message);
        for event in batch.iter().flat_map(|batch| batch.iter()) {
            self.event(model, event);
        }
        self.way(model, &before);
        self.query(model, &before);
        self.notices(model, before.notice.as_deref(), before.unwritten);
        self.settling |= effects.contains(&Effect::Snapshot);
        effects.extend(self.go_on(model));
        effects
    }

    /// Is a line being worked on? Then no other is read.
    pub(crate) fn is_busy(&self) -> bool {
        self.work.is_some()
    }

    /// Is nothing typed any more, and nothing left to wait for?
    pub(crate) fn is_over(&self, model: &Model) -> bool {
        self.over && !self.is_busy() && !self.resuming && model.in_flight() == 0
    }

    /// When something is due by itself.
    pub(crate) fn wakes(&self, model: &Model) -> Option<Timestamp> {
        [self.until, model.attention_wakes()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The word before the cursor: what may be typed now.
    pub(crate) fn prompt(model: &Model) -> &'static str {
        ask::prompt(model).unwrap_or("otadeck")
    }

    /// Nothing will be typed any more. A question that is open then is refused;
    /// updates in flight are watched on.
    pub(crate) fn end(&mut self, model: &mut Model) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(asked) = &model.dialog {
            let order = matches!(asked, Dialog::Confirm(_));
            let what = ask::left(asked);
            self.complain(&format!("The question was not answered: {what}"));
            if order {
                self.refuse(Kind::Unconfirmed, what);
            }
            effects = lines::close(model);
        }
        self.over = true;
        let count = model.in_flight();
        if count > 0 {
            let them = super::text::plural(count, "update");
            self.complain(&format!(
                "End of input: {them} in flight, watched on to the end. Ctrl-C ends the watching."
            ));
        }
        effects
    }

    /// Says one line on stdout.
    fn tell(&mut self, line: &str) {
        self.tell_all([line]);
    }

    fn tell_all<L: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = L>) {
        self.said.push_back(Said::Told(bounded(lines)));
    }

    /// Says one line on stderr.
    fn complain(&mut self, line: &str) {
        self.complain_all([line]);
    }

    fn complain_all<L: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = L>) {
        self.said.push_back(Said::Asked(bounded(lines)));
    }

    fn problem(&mut self, problem: &Problem) {
        let text = format!("{}. {}", problem.line().trim_end_matches('.'), problem.hint);
        self.complain(text.trim_end());
    }

    /// Notes why something was not done: the program's end tells it too.
    fn refuse(&mut self, kind: Kind, why: &str) {
        self.refused.push(Problem::new(kind, why, ""));
    }

    /// Works on a line until it is answered.
    fn begin(&mut self, model: &mut Model, work: Work) -> Vec<Effect> {
        let list = matches!(work, Work::Devices | Work::List);
        let patience = match (list, self.attended) {
            (true, true) => Some(GLANCE),
            (true, false) => None,
            (false, _) => Some(PATIENCE),
        };
        self.until = patience.and_then(|patience| model.now.checked_add(patience).ok());
        (self.read, self.unread) = (false, None);
        self.work = Some(work);
        self.go_on(model)
    }

    /// Answers the line at hand, if that can be done now.
    fn go_on(&mut self, model: &mut Model) -> Vec<Effect> {
        let late = self.until.is_some_and(|until| model.now >= until);
        let listed = is_listed(model) && !self.settling;
        let ready = match &self.work {
            None => false,
            Some(Work::Devices | Work::List) => listed,
            Some(Work::Device(_)) => self.read || self.unread.is_some(),
            Some(Work::Order(devices, _)) => {
                self.unread.is_some() || (self.read && (devices.len() == 1 || listed))
            }
            Some(Work::Inspect) => !ask::waits(model),
            Some(Work::Past) => tell::is_told(model),
        };
        if !ready && !late {
            return Vec::new();
        }
        self.until = None;
        match self.work.take() {
            Some(Work::Devices) => self.devices(model),
            Some(Work::List) => self.listed(model),
            Some(Work::Device(device)) => return self.device(model, &device),
            Some(Work::Order(devices, uri)) => return self.order(model, devices, &uri),
            Some(Work::Inspect) => return self.question(model),
            Some(Work::Past) => return self.past(model),
            None => {}
        }
        Vec::new()
    }

    fn event(&mut self, model: &Model, event: &Event) {
        self.waited_for(event);
        match &event.what {
            What::Resumed { .. } | What::JournalProblem { .. } => self.resuming = false,
            What::Inventory { state, problem, .. } => {
                self.inventory(model, *state, problem.as_ref());
            }
            What::Refused { problem } => {
                self.refused.push(problem.clone());
                // A refusal of the hub as a whole is a notice of the model.
                if let Some(device) = &event.device_id {
                    self.complain(&say::refused(device, problem));
                }
            }
            What::DeviceProblem { problem } if self.unread.is_none() => self.problem(problem),
            What::Elsewhere { problem } => self.problem(problem),
            _ => {}
        }
        if let Some(sentence) = self.heard.sentence(model, event) {
            self.tell(&sentence);
        }
    }

    /// Is it the answer that the work at hand waits for?
    fn waited_for(&mut self, event: &Event) {
        let device = match &self.work {
            Some(Work::Device(device)) => Some(device),
            Some(Work::Order(devices, _)) => devices.first(),
            _ => None,
        };
        if device.is_none() || device != event.device_id.as_ref() {
            return;
        }
        match &event.what {
            What::Twin { .. } => self.read = true,
            What::DeviceProblem { problem } => self.unread = Some(problem.clone()),
            _ => {}
        }
    }

    fn inventory(&mut self, model: &Model, state: InventoryState, problem: Option<&Problem>) {
        match (state, problem) {
            (InventoryState::Failed, Some(problem)) => self.problem(problem),
            (InventoryState::Complete, _)
                if std::mem::take(&mut self.tells_list) && self.work.is_none() =>
            {
                self.listed(model);
            }
            _ => {}
        }
    }

    /// How all stands, after events were missed.
    fn snapshot(&mut self, model: &Model, snapshot: &Snapshot) {
        for (device, problem) in &snapshot.refusals {
            let asked = matches!(model.asked.get(device), Some(Asked::Waiting(_)));
            if asked && !snapshot.starting.contains(device) {
                self.refused.push(problem.clone());
                self.complain(&say::refused(device, problem));
            }
        }
        self.resuming &= snapshot.resuming;
        for sentence in self.heard.standing(&snapshot.updates) {
            self.tell(&sentence);
        }
    }

    /// What is wrong with the whole, when that is new.
    fn notices(&mut self, model: &Model, notice: Option<&str>, unwritten: bool) {
        if let (Some(problem), false) = (&model.unwritten, unwritten) {
            self.problem(problem);
        }
        if let Some(text) = model.notice.as_deref().filter(|text| notice != Some(text)) {
            self.complain(text);
        }
    }

    /// The hub's refusal of a query: the list is what it was.
    fn query(&mut self, model: &Model, before: &Before) {
        let inventory = &model.inventory;
        let refused = inventory.problem.as_ref();
        let refused = refused.filter(|_| inventory.state == Some(InventoryState::Complete));
        if let Some(problem) = refused.filter(|problem| before.refused.as_ref() != Some(problem)) {
            self.problem(problem);
            self.refused.push(problem.clone());
        }
    }

    fn way(&mut self, model: &Model, before: &Before) {
        if let Some(text) = say::way(&before.link, &model.link) {
            self.complain(&text);
        }
    }
}

/// What a message may change that is worth a sentence and has no event of an update.
struct Before {
    link: Way,
    refused: Option<Problem>,
    notice: Option<String>,
    unwritten: bool,
}

impl Before {
    fn of(model: &Model) -> Self {
        Self {
            link: model.link.clone(),
            refused: model.inventory.problem.clone(),
            notice: model.notice.clone(),
            unwritten: model.unwritten.is_some(),
        }
    }
}

/// Are the devices listed, or can they not be?
fn is_listed(model: &Model) -> bool {
    match model.inventory.state {
        Some(InventoryState::Complete) => {
            !model.inventory.again && model.inventory.asking.is_none()
        }
        Some(InventoryState::Failed) => true,
        _ => false,
    }
}

/// Lines made harmless, none longer than [`LONGEST`], each with its end. What somebody
/// else has said cannot begin a line of its own.
fn bounded<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> String {
    let lines = lines.into_iter();
    lines
        .map(|line| clean::line(line.as_ref(), LONGEST) + "\n")
        .collect()
}
