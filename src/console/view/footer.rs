//! The last line: what can be done now, or the command that is typed.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::action::Action;
use super::super::keymap::{Binding, Place, shown};
use super::super::model::field::Field;
use super::super::model::{Bar, Dialog, Model};
use super::super::text::{cut, safe, width, wrap};
use super::super::theme::Role;
use super::super::update::commands::{self, Command};

/// What a replay's line begins with.
const REPLAY: &str = " REPLAY ";
/// What stands between two hints.
const GAP: &str = " · ";
/// From this width on there is room for all general hints.
const ROOMY: usize = 60;

/// Lines wanted at that width: more than one only to say what is wrong with a
/// command.
pub(super) fn height(model: &Model, width: u16) -> u16 {
    let lines = match brief(model, width).len() {
        0 => wrong(model, width).len() + 1,
        lines => lines,
    };
    u16::try_from(lines).unwrap_or(1)
}

/// What came of a copy, in the place of the hints; not while something is typed there.
fn brief(model: &Model, width: u16) -> Vec<String> {
    match (&model.brief, &model.bar) {
        (Some(said), None) => wrap(&safe(said), usize::from(width.saturating_sub(2))),
        _ => Vec::new(),
    }
}

fn wrong(model: &Model, width: u16) -> Vec<String> {
    match &model.bar {
        Some(Bar::Prompt(line)) => match &line.wrong {
            Some(why) => wrap(why, usize::from(width.saturating_sub(2))),
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

pub(super) fn draw(model: &Model, frame: &mut Frame, area: Rect) {
    let mut row = Rect { height: 1, ..area };
    let line = match &model.bar {
        Some(Bar::Prompt(line)) => line,
        Some(Bar::Search(field)) => return search(model, field, frame, area),
        None if model.brief.is_some() => {
            for line in brief(model, area.width) {
                Line::raw(format!(" {line}")).render(row, frame.buffer_mut());
                row.y += 1;
            }
            return;
        }
        _ => return hints(model, frame, area),
    };
    let field = &line.field;
    for line in wrong(model, area.width) {
        let text = Line::styled(format!(" {line}"), model.theme.style(Role::Bad));
        text.render(row, frame.buffer_mut());
        row.y += 1;
    }
    let room = usize::from(area.width.saturating_sub(2));
    let (text, cursor) = field.window(field.text(), room);
    let key = model.theme.style(Role::Key);
    let mut spans = vec![Span::styled(" :", key), Span::raw(text)];
    let used: usize = spans.iter().map(|span| width(&span.content)).sum();
    let left = usize::from(row.width).saturating_sub(used + 4);
    if left > 8 {
        let offer = format!("   {}", cut(&offer(model, field.text()), left));
        spans.push(Span::styled(offer, model.theme.style(Role::Muted)));
    }
    Line::from(spans).render(row, frame.buffer_mut());
    let x = row.x + 2 + u16::try_from(cursor).unwrap_or(0);
    frame.set_cursor_position(Position::new(x, row.y));
}

/// The search that is typed, and what ends it.
fn search(model: &Model, field: &Field, frame: &mut Frame, area: Rect) {
    let hints = hint_line(model, usize::from(area.width / 3));
    let room = usize::from(area.width - area.width / 3).saturating_sub(4);
    let (text, cursor) = field.window(field.text(), room);
    let mut spans = vec![
        Span::styled(" /", model.theme.style(Role::Key)),
        Span::styled(format!("{text}   "), model.theme.style(Role::Input)),
    ];
    spans.extend(hints);
    Line::from(spans).render(area, frame.buffer_mut());
    let x = area.x + 2 + u16::try_from(cursor).unwrap_or(0);
    frame.set_cursor_position(Position::new(x, area.y));
}

/// What the typed command may become, or what it does when it is clear which it is.
fn offer(model: &Model, text: &str) -> String {
    let text = text.trim_start();
    let all = commands::completions(model, text);
    let typed = text.split(' ').next().unwrap_or_default();
    let is_one = |command: &&commands::Command| match all.as_slice() {
        [only] => only.split(' ').next() == Some(command.name),
        _ => command.name == typed,
    };
    match commands::ALL.iter().find(is_one) {
        Some(command) if !text.contains(' ') || all.is_empty() => {
            let gap = if command.argument.is_empty() { "" } else { " " };
            let Command {
                name,
                argument,
                about,
                ..
            } = command;
            format!("{name}{gap}{argument}: {about}")
        }
        _ => {
            let last = |line: &String| line.rsplit([' ', ',']).next().map(safe);
            let offered: Vec<String> = all.iter().filter_map(last).collect();
            offered.join(" · ")
        }
    }
}

/// The hints of this place, then the general ones, as many as fit.
fn hints(model: &Model, frame: &mut Frame, area: Rect) {
    let taken = model.replay.as_ref().map_or(1, |_| REPLAY.len() + 1);
    let line = hint_line(model, usize::from(area.width).saturating_sub(taken));
    let mut spans = vec![Span::raw(" ")];
    if model.replay.is_some() {
        spans = vec![Span::styled(REPLAY, model.theme.style(Role::Guard))];
        spans.push(Span::raw(" "));
    }
    spans.extend(line);
    Line::from(spans).render(area, frame.buffer_mut());
}

fn hint_line(model: &Model, room: usize) -> Vec<Span<'static>> {
    let place = model.place();
    let own = model.keymap.at(place).iter();
    let general = model.keymap.at(Place::Anywhere).iter();
    let everywhere = matches!(
        place,
        Place::Table
            | Place::Details
            | Place::Pick
            | Place::Updates
            | Place::History
            | Place::Record
            | Place::Log
            | Place::Doctor
    );
    let general = general.filter(|_| everywhere);
    // What may not be done is not offered.
    let in_view = model.in_view();
    let may_ask = in_view.is_none_or(|id| model.may_ask(id));
    // Giving up is for an update that is in doubt; it works without a hint too.
    let update = in_view.and_then(|id| model.updates.open_of(id));
    let doubtful = update.is_some_and(|update| update.doubt.is_some());
    let flight = model.flight().filter(|_| place == Place::Updates);
    let flight_in_doubt = flight.is_some_and(|t| t.update.is_open() && t.update.doubt.is_some());
    let offered = |binding: &&Binding| match binding.action {
        Action::Open if place == Place::Details => may_ask,
        Action::GiveUp => doubtful || flight_in_doubt,
        // Not every question has a command that does the same.
        Action::Copy => matches!(model.dialog, None | Some(Dialog::Confirm(_))),
        _ => true,
    };
    // Room is kept for where to read more, and on most terminals for how to leave.
    let kept = if room < ROOMY { 1 } else { usize::MAX };
    let kept = match said(model, general.clone().take(kept), room).1 {
        0 => 0,
        columns => columns + width(GAP),
    };
    let own = own.filter(offered);
    let (mut spans, used) = said(model, own, room.saturating_sub(kept));
    let gap = if used > 0 { GAP } else { "" };
    let left = room.saturating_sub(used + width(gap));
    let (general, also) = said(model, general, left);
    if also > 0 {
        spans.push(Span::styled(gap, model.theme.style(Role::Muted)));
        spans.extend(general);
    }
    spans
}

/// As many hints as fit, and their columns.
fn said<'a>(
    model: &Model,
    bindings: impl Iterator<Item = &'a Binding>,
    room: usize,
) -> (Vec<Span<'static>>, usize) {
    let (mut spans, mut used) = (Vec::new(), 0);
    for binding in bindings {
        let (Some(hint), Some(key)) = (&binding.hint, binding.keys.first()) else {
            continue;
        };
        let key = shown(key);
        let gap = if used > 0 { GAP } else { "" };
        let columns = width(gap) + width(key) + 1 + width(hint);
        if used + columns > room {
            continue;
        }
        used += columns;
        let muted = model.theme.style(Role::Muted);
        spans.push(Span::styled(gap, muted));
        spans.push(Span::styled(key.to_owned(), model.theme.style(Role::Key)));
        spans.push(Span::styled(format!(" {}", cut(hint, room)), muted));
    }
    (spans, used)
}
