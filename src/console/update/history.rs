//! The history screen, an update opened in it, and a replay.

use super::super::action::Action;
use super::super::message::Effect;
use super::super::model::Model;
use super::super::model::history::{History, Played};
use super::super::view::layout::Areas;
use crate::domain::history::{Answer, Ask};
use crate::domain::problem::Problem;
use crate::domain::replay::{Replay, USUAL};

/// Opens the screen, with a filter.
pub(super) fn open(model: &mut Model, filter: &str) {
    model.history = Some(History::holding(filter));
}

/// An action while the keys go to the list.
pub(super) fn list(model: &mut Model, action: Action) -> Vec<Effect> {
    let page = isize::try_from(Areas::of(model).past_rows().max(1)).unwrap_or(isize::MAX);
    let Some(history) = &mut model.history else {
        return Vec::new();
    };
    match action {
        Action::Next => history.step(1),
        Action::Previous => history.step(-1),
        Action::PageDown => history.step(page),
        Action::PageUp => history.step(-page),
        Action::First => history.step(isize::MIN),
        Action::Last => history.step(isize::MAX),
        Action::Filter => history.typing = true,
        Action::List => history.again(),
        Action::Open => return history.open().map(Effect::Past).into_iter().collect(),
        Action::Back if !history.text().is_empty() => history.filter = Default::default(),
        Action::Back | Action::History => model.history = None,
        _ => {}
    }
    Vec::new()
}

/// An action while the filter is typed.
pub(super) fn find(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(history) = &mut model.history else {
        return Vec::new();
    };
    match action {
        Action::Submit => history.typing = false,
        Action::Next => history.step(1),
        Action::Previous => history.step(-1),
        Action::Back => {
            history.filter = Default::default();
            history.typing = false;
        }
        _ => {}
    }
    Vec::new()
}

/// An action while a past update is open.
pub(super) fn record(model: &mut Model, action: Action) -> Vec<Effect> {
    let page = usize::from(Areas::of(model).page.height.max(2)) - 1;
    let now = model.now;
    let Some(history) = &mut model.history else {
        return Vec::new();
    };
    let Some(opened) = &mut history.opened else {
        return Vec::new();
    };
    match action {
        Action::Replay => {
            let replay = Replay::new(&opened.recorded.events, USUAL, now);
            model.replay = replay.and_then(Played::new);
        }
        Action::Back => history.opened = None,
        action => opened.scroll = scrolled(opened.scroll, action, page),
    }
    Vec::new()
}

/// An action while an update is played again. Nothing of it reaches the engine.
pub(super) fn replay(model: &mut Model, action: Action) -> Vec<Effect> {
    let page = usize::from(Areas::of(model).page.height.max(2)) - 1;
    let alone = model.context.replay_only;
    let Some(played) = &mut model.replay else {
        return Vec::new();
    };
    match action {
        Action::Pause => played.change(Replay::pause),
        Action::Faster => played.change(Replay::faster),
        Action::Slower => played.change(Replay::slower),
        Action::Forward => played.change(Replay::forward),
        Action::Backward => played.change(Replay::back),
        Action::BeginAgain => played.change(Replay::begin_again),
        Action::SkipSilences => played.change(Replay::skip_silences),
        Action::Back if alone => return vec![Effect::Quit],
        Action::Back => model.replay = None,
        action => played.scroll = scrolled(played.scroll, action, page),
    }
    Vec::new()
}

fn scrolled(at: usize, action: Action, page: usize) -> usize {
    match action {
        Action::Next => at + 1,
        Action::Previous => at.saturating_sub(1),
        Action::PageDown => at + page,
        Action::PageUp => at.saturating_sub(page),
        Action::First => 0,
        Action::Last => usize::MAX,
        _ => at,
    }
}

/// The engine has answered.
pub(super) fn told(model: &mut Model, ask: &Ask, answer: Result<Answer, Problem>) {
    if let Some(history) = &mut model.history {
        history.take(ask, answer);
    }
}

/// What the list needs to be asked, and its window and scrolled texts within
/// their bounds.
pub(super) fn settle(model: &mut Model) -> Option<Effect> {
    let areas = Areas::of(model);
    let most = super::super::view::past_length(model, areas.page.width)
        .saturating_sub(usize::from(areas.page.height));
    if let Some(played) = &mut model.replay {
        played.scroll = played.scroll.min(most);
        return None;
    }
    let history = model.history.as_mut()?;
    if let Some(opened) = &mut history.opened {
        opened.scroll = opened.scroll.min(most);
        return None;
    }
    let rows = areas.past_rows();
    history.follow(rows);
    history.due(rows).map(Effect::Past)
}

#[cfg(test)]
mod tests;
