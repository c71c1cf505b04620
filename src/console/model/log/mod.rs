//! What happened in this session, told line by line, the newest last. It is made of
//! the very events that everything else is folded from.
//!
//! What only repeats is left out: the single tries of an outage, the percentages
//! of a phase, a list that is as long as before.

pub(crate) mod said;

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;

pub(crate) use self::said::Weight;
use self::said::{Said, said};
use super::field::Field;
use crate::domain::event::{Event, InventoryState, Way, What};
use crate::domain::evidence::sha256;
use crate::domain::history;
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::problem::Problem;
use crate::domain::quota::Slowed;
use crate::domain::update::Update;

/// Lines that are kept; then the oldest leave.
pub(crate) const KEPT: usize = 2_000;

/// One line; harmless text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// Its number in the session, from 0.
    pub(crate) number: usize,
    /// When, by our clock.
    pub(crate) time: Timestamp,
    /// Which device it is about.
    pub(crate) device: Option<DeviceId>,
    /// What it says.
    pub(crate) said: Said,
    /// All of its words in small letters, to be searched.
    small: String,
}

/// The lines, and what is needed to leave out what only repeats.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Log {
    lines: VecDeque<Line>,
    /// Lines that were told in all.
    told: usize,
    way: Option<Way>,
    clock: Option<Problem>,
    journal: Option<Problem>,
    slowed: Option<Slowed>,
    listed: Option<(usize, Option<Problem>)>,
    unread: HashMap<DeviceId, Problem>,
    updates: HashMap<UpdateId, Known>,
}

/// How far an update was told.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    /// The hash of the last phase and value.
    step: Option<String>,
    ended: bool,
}

impl Log {
    /// Takes an event in, if it is news.
    pub(crate) fn take(&mut self, event: &Event) {
        if !self.is_news(event) {
            return;
        }
        if let Some(said) = said(event) {
            self.push(event.time, event.device_id.clone(), said);
        }
    }

    /// Takes in something that no event tells.
    pub(crate) fn note(&mut self, time: Timestamp, weight: Weight, word: &str, text: &str) {
        self.push(time, None, Said::new(weight, word, text));
    }

    /// Takes in how an update stands, where its events were not told one by one.
    pub(crate) fn stands(&mut self, update: &Update) {
        let known = self.updates.get(&update.id);
        let (is_new, ended) = (known.is_none(), known.is_some_and(|known| known.ended));
        if let (Some(event), false) = (update.verdict_event(), ended) {
            return self.take(&event);
        }
        self.updates.entry(update.id.clone()).or_default();
        if is_new && update.is_open() {
            let text = format!("it is {}, since before this was seen", update.word());
            let device = Some(update.device.clone());
            self.push(
                update.changed,
                device,
                Said::new(Weight::News, "open", &text),
            );
        }
    }

    /// The lines that hold every word of `text`, oldest first.
    pub(crate) fn holding(&self, text: &str) -> Vec<&Line> {
        let lines = self.lines.iter();
        let small = text.to_lowercase();
        lines
            .filter(|line| history::holds(&line.small, &small))
            .collect()
    }

    /// Lines that are kept.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Lines that have left.
    pub(crate) fn gone(&self) -> usize {
        self.told - self.lines.len()
    }

    fn push(&mut self, time: Timestamp, device: Option<DeviceId>, said: Said) {
        let small = format!(
            "{}\n{}\n{}",
            device.as_ref().map_or("", |id| id.as_str()),
            said.word,
            said.text
        );
        self.lines.push_back(Line {
            number: self.told,
            time,
            device,
            said,
            small: small.to_lowercase(),
        });
        self.told += 1;
        if self.lines.len() > KEPT {
            self.lines.pop_front();
        }
    }

    /// Is it more than what the log said last of the same thing?
    fn is_news(&mut self, event: &Event) -> bool {
        match &event.what {
            What::Link(way) => {
                let before = self.way.replace(way.clone());
                before.is_none_or(|before| !before.says_as(way))
            }
            What::Clock { problem, .. } => changed(&mut self.clock, problem.as_ref()),
            What::JournalProblem { problem } => changed(&mut self.journal, Some(problem)),
            What::JournalRecovered {} => {
                self.journal = None;
                true
            }
            What::Budget(budget) => changed(&mut self.slowed, budget.slowed.as_ref()),
            What::Inventory {
                state,
                count,
                problem,
                ..
            } => {
                let told = (*count, problem.clone());
                *state != InventoryState::Listing && changed(&mut self.listed, Some(&told))
            }
            What::Twin { twin, .. } => {
                self.unread.remove(&twin.device_id);
                false
            }
            What::DeviceProblem { problem } => match &event.device_id {
                Some(id) => {
                    self.unread.insert(id.clone(), problem.clone()).as_ref() != Some(problem)
                }
                None => true,
            },
            _ => self.is_news_of_its_update(event),
        }
    }

    fn is_news_of_its_update(&mut self, event: &Event) -> bool {
        let Some(id) = &event.update_id else {
            return true;
        };
        let known = self.updates.entry(id.clone()).or_default();
        match &event.what {
            What::Phase {
                phase, evidence, ..
            } => {
                // A value may be long, and there may be many updates.
                let step = sha256(&format!("{phase:?} {}", evidence.value));
                known.step.replace(step.clone()) != Some(step)
            }
            What::Verdict { .. } => !std::mem::replace(&mut known.ended, true),
            _ => true,
        }
    }
}

/// Puts the new value in; was it another?
fn changed<T: Clone + PartialEq>(known: &mut Option<T>, now: Option<&T>) -> bool {
    let other = known.as_ref() != now;
    if other {
        *known = now.cloned();
    }
    other
}

/// The log screen: which lines, and where in them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LogScreen {
    /// Only lines that hold these words.
    pub(crate) filter: Field,
    /// Do keys go into the filter?
    pub(crate) typing: bool,
    /// The number of the selected line; `None` follows the end.
    at: Option<usize>,
    /// Rows above the selected one in the window.
    above: usize,
}

/// What is seen of the lines.
pub(crate) struct Window<'a> {
    /// The lines in sight.
    pub(crate) lines: &'a [&'a Line],
    /// Which of them is selected.
    pub(crate) selected: usize,
    /// Lines below.
    pub(crate) below: usize,
}

impl LogScreen {
    /// The screen with that filter.
    pub(crate) fn holding(filter: &str) -> Self {
        Self {
            filter: Field::holding(filter),
            ..Self::default()
        }
    }

    /// The filter without blanks around it.
    pub(crate) fn text(&self) -> &str {
        self.filter.text().trim()
    }

    /// Where the selection is in `lines`. A line that has left, or that the filter
    /// hides, gives its place to the next one.
    pub(crate) fn selected(&self, lines: &[&Line]) -> usize {
        let last = lines.len().saturating_sub(1);
        let at = |number| lines.partition_point(|line| line.number < number);
        self.at.map_or(last, |number| at(number).min(last))
    }

    /// Moves the selection; at the end it follows.
    pub(crate) fn step(&mut self, lines: &[&Line], by: isize) {
        let last = lines.len().saturating_sub(1);
        let from = self.selected(lines);
        let to = from.saturating_add_signed(by).min(last);
        self.above = if to < from {
            self.above.saturating_sub(from - to)
        } else {
            self.above + (to - from)
        };
        self.at = lines.get(to).map(|line| line.number).filter(|_| to < last);
    }

    /// Keeps the selection in a window of so many rows.
    pub(crate) fn settle(&mut self, height: usize) {
        let last = height.saturating_sub(1);
        self.above = match self.at {
            None => last,
            Some(_) => self.above.min(last),
        };
    }

    /// What a window of so many rows shows.
    pub(crate) fn window<'a>(&self, lines: &'a [&'a Line], height: usize) -> Window<'a> {
        let selected = self.selected(lines);
        let top = selected.saturating_sub(self.above.min(height.saturating_sub(1)));
        let top = top.min(lines.len().saturating_sub(height));
        let end = (top + height).min(lines.len());
        Window {
            lines: &lines[top..end],
            selected: selected - top,
            below: lines.len() - end,
        }
    }
}

#[cfg(test)]
mod tests;
