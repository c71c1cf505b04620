//! The table of devices: only the rows in the window are built.

mod grid;

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use self::grid::Grid;
use super::super::action::Action;
use super::super::keymap::Place;
use super::super::model::devices::columns::Column;
use super::super::model::{Asking, Bar, Model};
use super::super::text::{count, cut, plural, safe, width};
use super::super::theme::Role;
use super::doc::Doc;
use super::instead;
use super::put::put;
use crate::domain::event::InventoryState;

/// Columns at the right end of the heading, for how many rows are out of sight.
const BEYOND: usize = 10;

/// Lines above the rows: the heading, what is wrong with the list, the heads.
pub(super) fn heading_height(model: &Model, area: Rect) -> usize {
    if model.devices.len() == 0 {
        return 1;
    }
    2 + trouble(model, area.width)
        .lines
        .len()
        .min(usize::from(area.height / 3))
}

pub(super) fn draw(model: &Model, frame: &mut Frame, area: Rect) {
    let mut row = Rect { height: 1, ..area };
    let grid = grid(model, area);
    heading(model, &grid, frame, row);
    row.y += 1;
    if model.devices.len() == 0 {
        let rest = Rect {
            y: row.y,
            height: area.height.saturating_sub(1),
            ..area
        };
        return instead::of_rows(model, area.width).draw(frame, rest, 0, &model.theme);
    }
    let between = u16::try_from(heading_height(model, area) - 2).unwrap_or(0);
    let part = Rect {
        height: between,
        ..row
    };
    trouble(model, area.width).draw(frame, part, 0, &model.theme);
    row.y += between;
    put(&grid.heads(), row, frame.buffer_mut());
    row.y += 1;
    for (line, selected) in grid.lines() {
        if selected && model.panel.is_none() {
            frame
                .buffer_mut()
                .set_style(row, model.theme.style(Role::Selected));
        }
        put(&line, row, frame.buffer_mut());
        row.y += 1;
    }
    if model.devices.shown() == 0 {
        let rest = Rect {
            height: area.bottom().saturating_sub(row.y),
            ..row
        };
        instead::of_hidden(model, area.width).draw(frame, rest, 0, &model.theme);
    }
}

fn grid(model: &Model, area: Rect) -> Grid<'_> {
    let rows = usize::from(area.height).saturating_sub(heading_height(model, area));
    Grid::of(model, usize::from(area.width), rows)
}

/// The column whose head stands there, for whoever points at it.
pub(super) fn head_at(model: &Model, area: Rect, x: u16, y: u16) -> Option<Column> {
    let line = usize::from(y.checked_sub(area.y)?);
    if model.devices.len() == 0 || line + 1 != heading_height(model, area) {
        return None;
    }
    let x = usize::from(x.checked_sub(area.x).filter(|x| *x < area.width)?);
    grid(model, area).column_at(x).cloned()
}

/// `Devices 1,204` with the filter, how many it shows, and how far the list is.
fn heading(model: &Model, grid: &Grid, frame: &mut Frame, area: Rect) {
    let style = |role| model.theme.style(role);
    let mut spans = vec![Span::styled(" Devices ", style(Role::Title))];
    if model.devices.len() > 0 || model.inventory.query.is_some() {
        spans.push(Span::raw(count(model.devices.len())));
    }
    query(model, area, &mut spans);
    let mut cursor = None;
    let typed = match &model.bar {
        Some(Bar::Filter(field, _)) => Some(field),
        _ => None,
    };
    if typed.is_some() || !model.devices.filter().text().is_empty() {
        spans.push(Span::styled("  /", style(Role::Key)));
        let before: usize = spans.iter().map(|s| width(&s.content)).sum();
        let text = match typed {
            Some(field) => {
                let room = usize::from(area.width).saturating_sub(before + 14);
                let (text, at) = field.window(field.text(), room.min(40));
                cursor = Some(before + at);
                text
            }
            None => cut(model.devices.filter().text(), 24),
        };
        spans.push(Span::styled(format!("{text} "), style(Role::Input)));
        let shown = format!("  {} shown", count(model.devices.shown()));
        spans.push(Span::styled(shown, style(Role::Muted)));
    }
    let marks = model.devices.marks().len();
    if marks > 0 {
        let text = format!("  {} marked", count(marks));
        spans.push(Span::styled(text, style(Role::Key)));
    }
    if let Some(wrong) = model.devices.filter().wrong() {
        let used: usize = spans.iter().map(|s| width(&s.content)).sum();
        let room = usize::from(area.width).saturating_sub(used + 3);
        if room > 12 {
            let text = format!("  {}", cut(&safe(wrong), room));
            spans.push(Span::styled(text, style(Role::Doubt)));
        }
    }
    let listing = matches!(model.inventory.state, None | Some(InventoryState::Listing));
    if listing && model.devices.len() > 0 && model.inventory.asking.is_none() {
        spans.push(Span::styled("  listing…", style(Role::Busy)));
    }
    view_name(model, area, &mut spans);
    more_columns(model, grid, area, &mut spans);
    beyond(model, area, &mut spans);
    put(&Line::from(spans), area, frame.buffer_mut());
    if let Some(at) = cursor.filter(|_| model.dialog.is_none()) {
        let x = area.x + u16::try_from(at).unwrap_or(0);
        frame.set_cursor_position(Position::new(x, area.y));
    }
}

/// Which devices of the hub these are, when they are not all, or what the hub is
/// asked for instead.
fn query(model: &Model, area: Rect, spans: &mut Vec<Span<'static>>) {
    let style = |role| model.theme.style(role);
    let filtered = matches!(model.bar, Some(Bar::Filter(..)));
    let filtered = filtered || !model.devices.filter().text().is_empty();
    // What the filter and the marks say has its room beside it.
    let part = if filtered { 4 } else { 2 };
    let room = usize::from(area.width) / part;
    let inventory = &model.inventory;
    if let Some(Asking(query)) = &inventory.asking {
        let what = query.as_deref().map_or("all devices", condition);
        let text = format!("  asking for {}…", cut(&safe(what), room));
        return spans.push(Span::styled(text, style(Role::Busy)));
    }
    let Some(query) = inventory.query.as_deref() else {
        return;
    };
    let shown = condition(query);
    let whole = shown
        .get(..6)
        .is_some_and(|head| head.eq_ignore_ascii_case("select"));
    let word = if whole { "  " } else { "  where " };
    spans.push(Span::styled(word, style(Role::Key)));
    let text = cut(&safe(shown), room.saturating_sub(width(word)));
    spans.push(Span::styled(text, style(Role::Input)));
}

/// A query without the word that says so.
fn condition(query: &str) -> &str {
    match query.get(..6) {
        Some(head) if head.eq_ignore_ascii_case("where ") => query[6..].trim_start(),
        _ => query,
    }
}

/// The saved view that is shown, at the right of what else there is to say.
fn view_name(model: &Model, area: Rect, spans: &mut Vec<Span<'static>>) {
    let Some(name) = model.view_in_use() else {
        return;
    };
    let text = format!("  · {}", cut(name, 20));
    let used: usize = spans.iter().map(|s| width(&s.content)).sum();
    if used + width(&text) + BEYOND <= usize::from(area.width) {
        spans.push(Span::styled(text, model.theme.style(Role::Key)));
    }
}

/// How many columns have no room, where it can be said without taking the place of
/// what stands at the right end.
fn more_columns(model: &Model, grid: &Grid, area: Rect, spans: &mut Vec<Span<'static>>) {
    if grid.hidden() == 0 || model.devices.len() == 0 {
        return;
    }
    let used: usize = spans.iter().map(|s| width(&s.content)).sum();
    let long = format!("  +{}", plural(grid.hidden(), "column"));
    let room = usize::from(area.width).saturating_sub(used + BEYOND);
    if width(&long) <= room {
        spans.push(Span::styled(long, model.theme.style(Role::Muted)));
    }
}

/// At the right end: how many rows are above and below the window.
fn beyond(model: &Model, area: Rect, spans: &mut Vec<Span<'static>>) {
    let height = super::layout::Areas::of(model).table_rows();
    let text = match model.devices.beyond(height) {
        (0, 0) => return,
        (0, below) => format!("↓ {}", count(below)),
        (above, 0) => format!("↑ {}", count(above)),
        (above, below) => format!("↑ {}  ↓ {}", count(above), count(below)),
    };
    let used: usize = spans.iter().map(|s| width(&s.content)).sum();
    let room = usize::from(area.width).saturating_sub(used + 1);
    if width(&text) < room {
        spans.push(Span::raw(" ".repeat(room - width(&text))));
        spans.push(Span::styled(text, model.theme.style(Role::Muted)));
    }
}

/// Why the list is not whole, while there are rows to show all the same.
fn trouble(model: &Model, columns: u16) -> Doc<'_> {
    let mut doc = Doc::new(&model.theme, usize::from(columns.saturating_sub(2)));
    match (model.inventory.state, &model.inventory.problem) {
        (Some(InventoryState::Failed), Some(problem)) => {
            if !instead::is_said(model, problem) {
                doc.problem(Role::Bad, "✗", problem);
            }
            let key = model.keymap.named(Place::Table, Action::List, 1);
            let text = format!("The list is not whole; {key} lists again.");
            doc.indented(Role::Hint, 2, &text);
        }
        (_, Some(problem)) => instead::of_query(&mut doc, problem),
        (_, None) => {}
    }
    doc
}
