//! The history screen: past updates of this hub as the engine tells them, page by
//! page; one of them opened; one of them played again.

use std::sync::Arc;

use jiff::Timestamp;

use super::field::Field;
use super::updates::Tracked;
use crate::domain::event::Event;
use crate::domain::history::{Answer, Ask, Entry, Page, Recorded};
use crate::domain::id::UpdateId;
use crate::domain::problem::Problem;
use crate::domain::replay::Replay;

/// Rows that are asked for before they are scrolled to.
const AHEAD: usize = 10;

/// The history screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct History {
    /// The updates told so far, the newest first.
    pub(crate) rows: Vec<Entry>,
    /// The selected row.
    pub(crate) selected: usize,
    /// The first row in the window.
    pub(crate) top: usize,
    /// Only updates that hold this text.
    pub(crate) filter: Field,
    /// Do keys go into the filter?
    pub(crate) typing: bool,
    /// Why the past cannot be told.
    pub(crate) problem: Option<Problem>,
    /// Damaged events that were left out.
    pub(crate) damaged: usize,
    /// The opened update.
    pub(crate) opened: Option<Opened>,
    /// The filter that the rows were told for; `None` when none were.
    told_for: Option<String>,
    /// Where the next page begins.
    next: Option<UpdateId>,
    /// What the engine was asked and has not answered.
    asked: Option<Ask>,
}

/// A past update, opened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Opened {
    /// Its events.
    pub(crate) recorded: Arc<Recorded>,
    /// Their fold, with its log.
    pub(crate) tracked: Tracked,
    /// Lines scrolled away.
    pub(crate) scroll: usize,
}

impl History {
    /// The screen with that filter.
    pub(crate) fn holding(filter: &str) -> Self {
        Self {
            filter: Field::holding(filter),
            ..Self::default()
        }
    }

    /// Is an answer awaited?
    pub(crate) fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Is the answer about one update awaited?
    pub(crate) fn is_opening(&self) -> bool {
        matches!(self.asked, Some(Ask::Update(_)))
    }

    /// Are there more updates than those told so far?
    pub(crate) fn has_more(&self) -> bool {
        self.next.is_some()
    }

    /// Was nothing told yet of the filter at hand?
    pub(crate) fn is_new(&self) -> bool {
        self.told_for.is_none()
    }

    /// The filter without blanks around it.
    pub(crate) fn text(&self) -> &str {
        self.filter.text().trim()
    }

    /// What is to be asked now, with so many rows in the window: the first page
    /// of another filter, or the next page when its begin comes into sight. Noted
    /// as asked.
    pub(crate) fn due(&mut self, height: usize) -> Option<Ask> {
        if self.is_opening() || self.problem.is_some() {
            return None;
        }
        let text = self.text().to_owned();
        let ask = if self.told_for.as_ref() == Some(&text) {
            // The filter went back to what is told: another's answer is not wanted.
            if matches!(&self.asked, Some(Ask::Page { text: other, .. }) if *other != text) {
                self.asked = None;
            }
            let near = self.top + height + AHEAD >= self.rows.len();
            let before = self.next.clone().filter(|_| near)?;
            Ask::Page {
                text,
                before: Some(before),
            }
        } else {
            Ask::Page { text, before: None }
        };
        if self.asked.as_ref() == Some(&ask) {
            return None;
        }
        self.asked = Some(ask.clone());
        Some(ask)
    }

    /// Asks for the selected update as a whole.
    pub(crate) fn open(&mut self) -> Option<Ask> {
        let id = self.rows.get(self.selected)?.id.clone();
        let ask = Ask::Update(id);
        self.problem = None;
        self.asked = Some(ask.clone());
        Some(ask)
    }

    /// Tells all again, from the newest on.
    pub(crate) fn again(&mut self) {
        self.told_for = None;
        self.problem = None;
        self.asked = None;
    }

    /// Takes an answer in, if it is the one that is awaited.
    pub(crate) fn take(&mut self, ask: &Ask, answer: Result<Answer, Problem>) {
        if self.asked.as_ref() != Some(ask) {
            return;
        }
        self.asked = None;
        match (ask, answer) {
            (_, Err(problem)) => self.problem = Some(problem),
            (Ask::Page { text, before }, Ok(Answer::Page(page))) => {
                self.page(text, before.is_none(), page);
            }
            (Ask::Update(id), Ok(Answer::Update(recorded))) => self.opened(id, recorded),
            // The engine answers what it was asked.
            (_, Ok(_)) => {}
        }
    }

    fn page(&mut self, text: &str, first: bool, page: Page) {
        self.next = page.next;
        self.told_for = Some(text.to_owned());
        if !first {
            self.rows.extend(page.entries);
            self.damaged += page.damaged.len();
            return;
        }
        let selected = self.rows.get(self.selected).map(|row| row.id.clone());
        self.rows = page.entries;
        self.damaged = page.damaged.len();
        let again = self
            .rows
            .iter()
            .position(|row| Some(&row.id) == selected.as_ref());
        self.selected = again.unwrap_or_default();
        self.top = 0;
    }

    fn opened(&mut self, id: &UpdateId, recorded: Recorded) {
        match Tracked::of(&recorded.events) {
            Some(tracked) => {
                self.opened = Some(Opened {
                    recorded: Arc::new(recorded),
                    tracked,
                    scroll: 0,
                });
            }
            None => {
                use crate::domain::problem::Kind;
                let title = format!("update {id} cannot be shown");
                let cause = "what was intended cannot be read in the journal";
                self.problem = Some(Problem::new(Kind::Journal, title, cause));
            }
        }
    }

    /// The rows in a window of so many, and which of them is selected.
    pub(crate) fn window(&self, height: usize) -> impl Iterator<Item = (&Entry, bool)> {
        let rows = self.rows.iter().enumerate().skip(self.top).take(height);
        rows.map(|(n, row)| (row, n == self.selected))
    }

    /// Moves the selection.
    pub(crate) fn step(&mut self, by: isize) {
        let last = self.rows.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(by).min(last);
    }

    /// Keeps the selected row in a window of so many rows.
    pub(crate) fn follow(&mut self, height: usize) {
        let height = height.max(1);
        self.step(0);
        self.top = self.top.min(self.selected);
        self.top = self.top.max((self.selected + 1).saturating_sub(height));
    }
}

/// An update that is played again, and its fold as far as it was told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Played {
    /// The replay.
    pub(crate) replay: Replay,
    /// What it shows.
    pub(crate) tracked: Tracked,
    /// Lines scrolled away.
    pub(crate) scroll: usize,
}

impl Played {
    /// A replay at its begin.
    pub(crate) fn new(replay: Replay) -> Option<Self> {
        let tracked = Tracked::of(replay.told())?;
        Some(Self {
            replay,
            tracked,
            scroll: 0,
        })
    }

    /// It is that late now, really.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.change(|replay| {
            replay.tick(now);
        });
    }

    /// Changes the replay, and what it shows with it.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Replay)) {
        let before = self.replay.told().len();
        change(&mut self.replay);
        let told: &[Event] = self.replay.told();
        match told.get(before..) {
            Some(news) => news.iter().for_each(|event| self.tracked.apply(event)),
            None => {
                if let Some(tracked) = Tracked::of(told) {
                    self.tracked = tracked;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::What;
    use crate::domain::id::DeviceId;
    use crate::domain::update::Update;

    fn entry(n: usize) -> Entry {
        let event = Event::update(
            Timestamp::UNIX_EPOCH,
            DeviceId::parse("d").unwrap(),
            UpdateId::from_text(&format!("u{n:03}")),
            What::Intended(Box::default()),
        );
        Entry::of(&Update::intended(&event).unwrap())
    }

    fn page(numbers: std::ops::Range<usize>, next: bool) -> Result<Answer, Problem> {
        let entries: Vec<Entry> = numbers.rev().map(entry).collect();
        let next = entries.last().map(|e| e.id.clone()).filter(|_| next);
        Ok(Answer::Page(Page {
            entries,
            next,
            damaged: Vec::new(),
        }))
    }

    #[test]
    fn pages_are_asked_for_as_they_come_into_sight_and_once() {
        let mut history = History::default();
        let first = history.due(5).unwrap();
        assert_eq!(history.due(5), None, "once");
        history.take(&first, page(50..100, true));
        assert_eq!(history.due(5), None, "not in sight");
        history.step(40);
        history.follow(5);
        let next = history.due(5).unwrap();
        assert!(matches!(&next, Ask::Page { before: Some(id), .. } if id.as_str() == "u050"));
        history.take(&next, page(0..50, false));
        assert_eq!((history.rows.len(), history.has_more()), (100, false));
        history.step(isize::MAX);
        history.follow(5);
        assert_eq!(history.due(5), None, "the end");
        assert_eq!((history.selected, history.top), (99, 95));
    }

    /// A short page that is not the last: the next is asked for at once.
    #[test]
    fn a_rare_text_is_searched_to_the_end() {
        let mut history = History::holding("rare");
        let first = history.due(5).unwrap();
        let next = Some(UpdateId::from_text("u500"));
        history.take(
            &first,
            Ok(Answer::Page(Page {
                next,
                ..Page::default()
            })),
        );
        assert!(history.due(5).is_some());
    }

    #[test]
    fn a_late_answer_for_another_filter_is_dropped() {
        let mut history = History::default();
        let first = history.due(5).unwrap();
        history.filter = Field::holding("press");
        let second = history.due(5).unwrap();
        history.take(&first, page(0..3, false));
        assert!(history.rows.is_empty());
        history.take(&second, page(0..2, false));
        assert_eq!(history.rows.len(), 2);
        // An update is asked for meanwhile: the list is told again afterwards.
        history.filter = Field::holding("pre");
        let third = history.due(5).unwrap();
        let open = history.open().unwrap();
        history.take(&third, page(0..3, false));
        assert_eq!(history.rows.len(), 2);
        history.take(
            &open,
            Err(Problem::new(
                crate::domain::problem::Kind::Journal,
                "t",
                "c",
            )),
        );
        assert_eq!(history.due(5), None, "a failure waits for a key");
        history.again();
        assert_eq!(history.due(5), Some(third));
    }
}
