//! The screen of updates: all of this session, those that need somebody first. One
//! of them selected, a window onto them.

use super::Model;
use super::updates::Tracked;
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::update::{OpenState, Outcome, Update};

/// Which updates are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Only {
    /// All of them.
    #[default]
    All,
    /// Those that need somebody: in doubt, failed, contradicted.
    Attention,
    /// Those in flight.
    InFlight,
    /// Those that ended well.
    Completed,
}

impl Only {
    /// The next choice.
    pub(crate) fn next(self) -> Self {
        match self {
            Self::All => Self::Attention,
            Self::Attention => Self::InFlight,
            Self::InFlight => Self::Completed,
            Self::Completed => Self::All,
        }
    }

    /// What is listed, in words; nothing is left out of all.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Attention => "need attention",
            Self::InFlight => "in flight",
            Self::Completed => "completed",
        }
    }

    fn holds(self, update: &Update) -> bool {
        match self {
            Self::All => true,
            Self::Attention => urgency(update) <= Urgency::Failed,
            Self::InFlight => update.is_open(),
            Self::Completed => urgency(update) == Urgency::Completed,
        }
    }
}

/// How much an update needs somebody; the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Stalled, unknown or unconfirmed.
    Doubt,
    /// It did not end well, or what it ended with was contradicted.
    Failed,
    /// On its way.
    InFlight,
    /// Somebody has given it up.
    GivenUp,
    /// All is well.
    Completed,
}

/// How much that update needs somebody.
pub(crate) fn urgency(update: &Update) -> Urgency {
    match (&update.verdict, &update.doubt) {
        _ if update.contradicted.is_some() => Urgency::Failed,
        (None, Some(_)) => Urgency::Doubt,
        (None, None) => Urgency::InFlight,
        (Some(verdict), _) => match verdict.outcome {
            Outcome::Completed => Urgency::Completed,
            Outcome::GivenUp => Urgency::GivenUp,
            _ => Urgency::Failed,
        },
    }
}

/// How many updates of the session stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// On their way, and well.
    pub(crate) in_flight: usize,
    /// Nothing has changed for too long.
    pub(crate) stalled: usize,
    /// Open in another doubt.
    pub(crate) doubtful: usize,
    /// Ended, and not well.
    pub(crate) failed: usize,
    /// Given up.
    pub(crate) given_up: usize,
    /// Ended well.
    pub(crate) completed: usize,
}

/// The screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Flights {
    /// Which are listed.
    pub(crate) only: Only,
    /// The selected update; the first line until somebody moves.
    selected: Option<UpdateId>,
    /// The first line of the window.
    top: usize,
    /// Lines scrolled away of what is told of the selected update.
    pub(crate) scroll: usize,
    /// Is one of its devices opened over it? When that is closed, this shows again.
    pub(crate) left: bool,
}

impl Flights {
    /// Moves the selection by so many of those lines.
    pub(crate) fn step(&mut self, listed: &[UpdateId], by: isize) {
        let at = self.line(listed).saturating_add_signed(by);
        self.select(listed, at);
    }

    /// Selects a line, or the last; `true` when it was selected before.
    pub(crate) fn select(&mut self, listed: &[UpdateId], line: usize) -> bool {
        let was = self.line(listed);
        let line = line.min(listed.len().saturating_sub(1));
        if was != line {
            self.scroll = 0;
        }
        self.selected = listed.get(line).cloned();
        was == line
    }

    /// The line of the selected update.
    pub(crate) fn line(&self, listed: &[UpdateId]) -> usize {
        let selected = self.selected.as_ref();
        let at = selected.and_then(|id| listed.iter().position(|other| other == id));
        at.unwrap_or(0)
    }

    /// Moves the window so that the selected line is in it.
    pub(crate) fn follow(&mut self, listed: &[UpdateId], height: usize) {
        let (height, at) = (height.max(1), self.line(listed));
        let last_top = listed.len().saturating_sub(height);
        let least = (at + 1).saturating_sub(height);
        self.top = self.top.clamp(least, at).min(last_top);
    }

    /// Moves the window by so many lines, and the selection only when it would be
    /// left behind.
    pub(crate) fn shift(&mut self, listed: &[UpdateId], by: isize, height: usize) {
        let height = height.max(1);
        let last_top = listed.len().saturating_sub(height);
        self.top = self.top.saturating_add_signed(by).min(last_top);
        let at = self.line(listed);
        let within = at.clamp(self.top, self.top + height - 1);
        if within != at {
            self.select(listed, within);
        }
    }

    /// The first line of the window.
    pub(crate) fn top(&self) -> usize {
        self.top
    }
}

impl Model {
    /// The updates that the screen lists, in its order: the most urgent first, of
    /// those the newest.
    pub(crate) fn flights_listed(&self) -> Vec<UpdateId> {
        let only = self.flights.as_ref().map_or(Only::All, |f| f.only);
        let all = self.updates.all().filter(|t| only.holds(&t.update));
        let mut ids: Vec<(Urgency, &UpdateId)> = all
            .map(|tracked| (urgency(&tracked.update), &tracked.update.id))
            .collect();
        // What is read from the map comes the newest first, and a sort keeps that.
        ids.sort_by_key(|(urgency, _)| *urgency);
        ids.into_iter().map(|(_, id)| id.clone()).collect()
    }

    /// How they stand, all of the session.
    pub(crate) fn flight_counts(&self) -> Counts {
        let mut counts = Counts::default();
        for tracked in self.updates.all() {
            let update = &tracked.update;
            let count = match urgency(update) {
                Urgency::Doubt => match update.doubt {
                    Some((OpenState::Stalled, _)) => &mut counts.stalled,
                    _ => &mut counts.doubtful,
                },
                Urgency::Failed => &mut counts.failed,
                Urgency::InFlight => &mut counts.in_flight,
                Urgency::GivenUp => &mut counts.given_up,
                Urgency::Completed => &mut counts.completed,
            };
            *count += 1;
        }
        counts
    }

    /// Does the screen of updates cover devices and details?
    pub(crate) fn shows_flights(&self) -> bool {
        !self.shows_past() && self.flights.as_ref().is_some_and(|flights| !flights.left)
    }

    /// The device whose update is told of beside the list.
    pub(crate) fn flight_in_view(&self) -> Option<&DeviceId> {
        let beside = self.flight().filter(|_| self.is_wide());
        beside.map(|tracked| &tracked.update.device)
    }

    /// The update that is selected there.
    pub(crate) fn flight(&self) -> Option<&Tracked> {
        let flights = self.flights.as_ref().filter(|_| self.shows_flights())?;
        let listed = self.flights_listed();
        self.updates.get(listed.get(flights.line(&listed))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &str) -> Vec<UpdateId> {
        names
            .chars()
            .map(|c| UpdateId::from_text(&c.to_string()))
            .collect()
    }

    #[test]
    fn the_selection_is_an_update_and_stays_with_it() {
        let mut flights = Flights::default();
        flights.step(&ids("abc"), 1);
        assert_eq!(flights.line(&ids("abc")), 1);
        assert_eq!(
            flights.line(&ids("xyabc")),
            3,
            "it moved, and is selected still"
        );
        assert_eq!(flights.line(&ids("xy")), 0, "it is gone");
        flights.step(&ids("abc"), isize::MAX);
        assert_eq!(flights.line(&ids("abc")), 2);
        flights.step(&[], 1);
        flights.follow(&[], 0);
        assert_eq!((flights.line(&[]), flights.top()), (0, 0));
    }

    #[test]
    fn the_window_follows_and_scrolls() {
        let all = ids("abcdefghij");
        let mut flights = Flights::default();
        flights.step(&all, 5);
        flights.follow(&all, 4);
        assert_eq!(flights.top(), 2);
        flights.shift(&all, 3, 4);
        flights.follow(&all, 4);
        assert_eq!((flights.top(), flights.line(&all)), (5, 5));
        flights.shift(&all, 1, 4);
        assert_eq!((flights.top(), flights.line(&all)), (6, 6));
        flights.shift(&all, -99, 4);
        assert_eq!((flights.top(), flights.line(&all)), (0, 3));
        assert!(flights.select(&all, 3));
        assert!(!flights.select(&all, 4));
    }
}
