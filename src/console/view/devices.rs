//! The table of devices: only the rows in the window are built.

mod grid;

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use self::grid::Grid;
use super::super::model::devices::columns::Column;
use super::super::model::{Bar, Model};
use super::super::text::{count, cut, plural, safe, width};
use super::super::theme::Role;
use super::doc::Doc;
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
        return empty(model, area.width).draw(frame, rest, 0, &model.theme);
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
        nothing_passes(model, row, frame);
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

/// The filter lets nothing through; what might help.
fn nothing_passes(model: &Model, row: Rect, frame: &mut Frame) {
    let text = model.devices.filter().text();
    let mut told = format!(" nothing passes “{}”", cut(text, 30));
    let one = !text.contains(char::is_whitespace);
    if one && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        told.push_str(&format!("; ~{text} finds what is like it"));
    }
    let told = cut(&told, usize::from(row.width));
    Line::styled(told, model.theme.style(Role::Muted)).render(row, frame.buffer_mut());
}

/// `Devices 1,204` with the filter, how many it shows, and how far the list is.
fn heading(model: &Model, grid: &Grid, frame: &mut Frame, area: Rect) {
    let style = |role| model.theme.style(role);
    let mut spans = vec![Span::styled(" Devices ", style(Role::Title))];
    if model.devices.len() > 0 {
        spans.push(Span::raw(count(model.devices.len())));
    }
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
    if listing && model.devices.len() > 0 {
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
    if let (Some(InventoryState::Failed), Some(problem)) =
        (model.inventory.state, &model.inventory.problem)
    {
        doc.problem(Role::Bad, "✗", problem);
        doc.indented(Role::Hint, 2, "The list is not whole; r lists again.");
    }
    doc
}

/// What stands instead of rows, and what to do about it.
fn empty(model: &Model, columns: u16) -> Doc<'_> {
    let mut doc = Doc::new(&model.theme, usize::from(columns.saturating_sub(2)));
    super::panel::gap(&mut doc, model);
    match (model.inventory.state, &model.inventory.problem) {
        (None | Some(InventoryState::Listing), _) => {
            doc.text(Role::Busy, "Listing the hub's devices…");
        }
        (Some(InventoryState::Complete), _) => {
            doc.text(Role::Title, "This hub has no devices yet.");
            doc.text(
                Role::Muted,
                "Create one in the hub, then press r to list again.",
            );
        }
        (Some(InventoryState::Failed), problem) => {
            match problem {
                // It stands right above already.
                Some(problem) if model.link.problem.as_ref() == Some(problem) => {}
                Some(problem) => doc.problem(Role::Bad, "✗", problem),
                None => doc.text(Role::Bad, "✗ The devices could not be listed."),
            }
            if doc.lines.len() > 1 {
                doc.blank();
            }
            let text = "Press r to list again. A device whose id you know opens with :device ID.";
            doc.text(Role::Muted, text);
        }
    }
    doc
}
