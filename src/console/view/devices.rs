//! The table of devices: only the rows in the window are built.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::model::devices::sort::Column;
use super::super::model::{Asking, Bar, Model};
use super::super::text::{age, count, cut, fit, safe, width};
use super::super::theme::Role;
use super::doc::Doc;
use super::instead;
use super::state::{State, connection_sign, last_update};
use crate::domain::device::DeviceRow;
use crate::domain::event::InventoryState;

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
    heading(model, frame, row);
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
    let columns = Columns::of(model, usize::from(area.width));
    columns.heads(model).render(row, frame.buffer_mut());
    row.y += 1;
    let height = usize::from(area.bottom().saturating_sub(row.y));
    for (device, selected) in model.devices.window(height) {
        let line = columns.row(model, device, selected);
        if selected && model.panel.is_none() {
            frame
                .buffer_mut()
                .set_style(row, model.theme.style(Role::Selected));
        }
        line.render(row, frame.buffer_mut());
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

/// `Devices 1,204` with the filter, how many it shows, and how far the list is.
fn heading(model: &Model, frame: &mut Frame, area: Rect) {
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
    beyond(model, area, &mut spans);
    Line::from(spans).render(area, frame.buffer_mut());
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
            doc.indented(Role::Hint, 2, "The list is not whole; r lists again.");
        }
        (_, Some(problem)) => instead::of_query(&mut doc, problem),
        (_, None) => {}
    }
    doc
}

/// How wide each column is; 0 is not shown.
struct Columns {
    all: usize,
    id: usize,
    firmware: usize,
    phase: usize,
    last: usize,
    age: usize,
}

/// The bar, the mark, the sign, a blank.
const FRONT: usize = 4;
const GAP: usize = 2;
/// Widths of phase, firmware and last update, from generous to none.
const WIDTHS: [(usize, usize, usize); 8] = [
    (16, 10, 16),
    (16, 10, 10),
    (15, 8, 10),
    (15, 8, 0),
    (16, 0, 0),
    (14, 0, 0),
    (12, 0, 0),
    (0, 0, 0),
];

impl Columns {
    fn of(model: &Model, all: usize) -> Self {
        let age = 5;
        let longest = model.devices.longest_id().max(6);
        let id = longest.min(all * 2 / 5);
        // The connection's sign and the age are always there; the others as
        // many and as wide as fit.
        let rest = all.saturating_sub(FRONT + id + GAP + 1 + GAP + age + 1);
        let taken = |(phase, firmware, last): (usize, usize, usize)| {
            [phase, firmware, last]
                .into_iter()
                .filter(|columns| *columns > 0)
                .map(|columns| columns + GAP)
                .sum::<usize>()
        };
        let fits = WIDTHS.into_iter().find(|widths| taken(*widths) <= rest);
        let (phase, firmware, last) = fits.unwrap_or_default();
        // What is left goes to ids that were cut.
        let more = (rest - taken((phase, firmware, last))).min(longest - id);
        Self {
            all,
            id: id + more,
            firmware,
            phase,
            last,
            age,
        }
    }

    fn heads(&self, model: &Model) -> Line<'static> {
        let order = model.devices.order();
        let head = |column: Column, name: &str| match (column == order.by, order.down) {
            _ if order.is_natural() || column != order.by => name.to_owned(),
            (_, true) => format!("{name}▼"),
            (_, false) => format!("{name}▲"),
        };
        // The connection's sign has a column of its own, and no room for a name.
        let by_state = order.by == Column::State;
        let sign = if by_state {
            head(Column::State, "")
        } else {
            String::new()
        };
        let device = head(Column::Device, "device");
        let mut text = " ".repeat(FRONT);
        text.push_str(&fit(&device, self.id + GAP - usize::from(by_state)));
        text.push_str(&fit(&sign, 1 + GAP + usize::from(by_state)));
        for (head, columns) in [
            (head(Column::Firmware, "firmware"), self.firmware),
            (head(Column::Phase, "phase"), self.phase),
            (head(Column::Last, "last update"), self.last),
        ] {
            if columns > 0 {
                text.push_str(&fit(&head, columns + GAP));
            }
        }
        let age = head(Column::Age, "age");
        let fill = self.all.saturating_sub(width(&text) + width(&age) + 1);
        text.push_str(&" ".repeat(fill));
        text.push_str(&age);
        Line::styled(text, model.theme.style(Role::Head))
    }

    fn row(&self, model: &Model, row: &DeviceRow, selected: bool) -> Line<'static> {
        let style = |role| model.theme.style(role);
        // On the selected row the theme's own ground and ink stand, except
        // where a colour tells a state.
        let lit = selected && model.panel.is_none();
        let quiet = if lit {
            Style::new()
        } else {
            style(Role::Muted)
        };
        let strong = if selected {
            style(Role::Title)
        } else {
            Style::new()
        };
        let bar = if selected { "▌" } else { " " };
        let marked = model.devices.is_marked(&row.device_id);
        let mark = if marked { "◆" } else { " " };
        let state = State::of(model, row);
        let mut spans = vec![
            Span::styled(bar, style(Role::Cursor)),
            Span::styled(mark, style(Role::Key)),
            Span::styled(format!("{} ", state.sign), state.style(model, quiet)),
            Span::styled(fit(&safe(row.device_id.as_str()), self.id + GAP), strong),
        ];
        let (sign, role) = connection_sign(row);
        let live = !model.is_aging();
        let sign_style = role.filter(|_| live).map_or(quiet, style);
        spans.push(Span::styled(format!("{sign}  "), sign_style));
        if self.firmware > 0 {
            let text = row.firmware.as_deref().map_or("–".to_owned(), safe);
            let style = row.firmware.as_ref().map_or(quiet, |_| Style::new());
            let text = fit(&cut(&text, self.firmware), self.firmware + GAP);
            spans.push(Span::styled(text, style));
        }
        if self.phase > 0 {
            let text = fit(&state.text(self.phase), self.phase + GAP);
            spans.push(Span::styled(text, state.style(model, quiet)));
        }
        if self.last > 0 {
            let text = last_update(row, self.last);
            spans.push(Span::styled(
                fit(&cut(&text, self.last), self.last + GAP),
                quiet,
            ));
        }
        let age = age(model.now, state.seen, state.grain);
        let used: usize = spans.iter().map(|s| width(&s.content)).sum();
        let fill = self.all.saturating_sub(used + width(&age) + 1);
        debug_assert!(width(&age) <= self.age);
        spans.push(Span::raw(" ".repeat(fill)));
        let old = match live {
            true => quiet,
            false => style(Role::Doubt),
        };
        spans.push(Span::styled(age, old));
        Line::from(spans)
    }
}
