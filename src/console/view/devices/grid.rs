//! Where each column of the table stands, how wide it is, and what a row says in it.
//!
//! Widths come from what is on the screen and from the room that there is. A column
//! that has no room leaves, from the right; of the default columns those leave first
//! that say the least. What does not fit its column is cut with an ellipsis.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::super::model::Model;
use super::super::super::model::devices::columns::{Column, Columns};
use super::super::super::text::{age, cut, fit, safe, width};
use super::super::super::theme::Role;
use super::super::state::{State, connection_sign, last_update};
use crate::domain::device::DeviceRow;

/// The bar, the mark, the sign, a blank.
const FRONT: usize = 4;
/// Blanks between two columns.
const GAP: usize = 2;
/// Columns of an age.
const AGE: usize = 5;
/// No tag and no version is given more than this.
const WIDEST: usize = 40;

/// The columns that have room, each with its place, and the rows in the window.
pub(super) struct Grid<'a> {
    model: &'a Model,
    all: usize,
    places: Vec<Place<'a>>,
    rows: Vec<Row<'a>>,
    hidden: usize,
}

/// One column: where it begins, and its width.
struct Place<'a> {
    column: &'a Column,
    at: usize,
    width: usize,
}

/// One row: the front, and a cell for each place.
struct Row<'a> {
    row: &'a DeviceRow,
    state: State,
    selected: bool,
    cells: Vec<Cell>,
}

/// What a row says in a column, long and short.
struct Cell {
    text: String,
    short: Option<String>,
    style: Style,
}

impl<'a> Grid<'a> {
    /// The table in so many columns and lines.
    pub(super) fn of(model: &'a Model, all: usize, height: usize) -> Self {
        let chosen = chosen(model, all);
        let hidden = model.columns.all().len() - chosen.len();
        let window = model.devices.window(height);
        let rows: Vec<Row<'a>> = window
            .map(|(row, selected)| Row::of(model, row, selected, &chosen))
            .collect();
        let mut grid = Self {
            model,
            all,
            places: chosen,
            rows,
            hidden,
        };
        grid.grow();
        grid.place();
        grid
    }

    /// Columns that have no room.
    pub(super) fn hidden(&self) -> usize {
        self.hidden
    }

    /// The column whose head or cells are there.
    pub(super) fn column_at(&self, x: usize) -> Option<&'a Column> {
        let places = self.places.iter().rev();
        let found = places.map(|p| (p.column, p.at)).find(|(_, at)| *at <= x);
        found.map(|(column, _)| column)
    }

    /// Gives the room that is left to those who have more to say.
    fn grow(&mut self) {
        let used: usize = self.places.iter().map(|p| p.width + GAP).sum();
        let mut left = (self.all + GAP).saturating_sub(FRONT + used + 1);
        let longest = self.model.devices.longest_id();
        let wanted = |grid: &Self, n: usize| {
            let widths = grid.rows.iter().map(|row| width(&row.cells[n].text));
            widths.max().unwrap_or_default()
        };
        let first = |c: &Column| !matches!(c, Column::Device | Column::Tags);
        let turns: [&dyn Fn(&Column) -> bool; 3] =
            [&first, &|column| *column == Column::Device, &|column| {
                *column == Column::Tags
            }];
        for turn in turns {
            let wanted: Vec<usize> = (0..self.places.len())
                .map(|n| match self.places[n].column {
                    column if !turn(column) => 0,
                    Column::Device => longest,
                    Column::State | Column::Age => 0,
                    // As long as these can be: they change, and nothing is to jump.
                    Column::Phase | Column::Last => 16,
                    Column::Firmware => wanted(self, n).clamp(10, WIDEST),
                    column => wanted(self, n).min(WIDEST).max(usual(column, 0)),
                })
                .collect();
            // A cell at a time, so that nobody takes all.
            let mut grows = true;
            while grows && left > 0 {
                grows = false;
                for (place, wanted) in self.places.iter_mut().zip(&wanted) {
                    if place.width < *wanted && left > 0 {
                        place.width += 1;
                        left -= 1;
                        grows = true;
                    }
                }
            }
        }
    }

    /// Puts them beside each other; an age at the end stands at the right edge.
    fn place(&mut self) {
        let mut at = FRONT;
        for place in &mut self.places {
            place.at = at;
            at += place.width + GAP;
        }
        if let Some(last) = self.places.last_mut().filter(|p| *p.column == Column::Age) {
            last.at = last.at.max(self.all.saturating_sub(AGE + 1));
        }
    }

    /// The heads; the column by which the rows stand says so.
    pub(super) fn heads(&self) -> Line<'static> {
        let order = self.model.devices.order();
        let mut text = String::new();
        for (n, place) in self.places.iter().enumerate() {
            let arrow = match *place.column == order.by && !order.is_natural() {
                false => "",
                true if order.down => "▼",
                true => "▲",
            };
            // A blank stays before the next head.
            let room = (place.width + 1).saturating_sub(width(arrow));
            let names = head(place.column);
            let long = names.iter().find(|name| width(name) <= room);
            let name = long
                .or(names.last())
                .map_or(String::new(), |n| cut(n, room));
            let head = format!("{name}{arrow}");
            let right = *place.column == Column::Age && n + 1 == self.places.len();
            let at = match right {
                true => (place.at + place.width).saturating_sub(width(&head)),
                false => place.at,
            };
            text.push_str(&" ".repeat(at.saturating_sub(width(&text))));
            text.push_str(&head);
        }
        Line::styled(cut(&text, self.all), self.model.theme.style(Role::Head))
    }

    /// The rows in the window, each with whether it is the selected one.
    pub(super) fn lines(&self) -> impl Iterator<Item = (Line<'static>, bool)> {
        self.rows.iter().map(|row| (self.line(row), row.selected))
    }

    fn line(&self, row: &Row) -> Line<'static> {
        let style = |role| self.model.theme.style(role);
        let bar = if row.selected { "▌" } else { " " };
        let marked = self.model.devices.is_marked(&row.row.device_id);
        let mark = if marked { "◆" } else { " " };
        let quiet = quiet(self.model, row.selected);
        let mut spans = vec![
            Span::styled(bar, style(Role::Cursor)),
            Span::styled(mark, style(Role::Key)),
            Span::styled(
                format!("{} ", row.state.sign),
                row.state.style(self.model, quiet),
            ),
        ];
        let mut used = FRONT;
        for (n, (place, cell)) in self.places.iter().zip(&row.cells).enumerate() {
            spans.push(Span::raw(" ".repeat(place.at.saturating_sub(used))));
            used = used.max(place.at);
            let mut text = cell.within(place.width);
            if *place.column == Column::Age {
                let fill = place.width.saturating_sub(width(&text));
                spans.push(Span::raw(" ".repeat(fill)));
                used += fill;
            }
            if n + 1 < self.places.len() {
                text = fit(&text, (place.at + place.width + GAP).saturating_sub(used));
            }
            used += width(&text);
            spans.push(Span::styled(text, cell.style));
        }
        Line::from(spans)
    }
}

impl<'a> Row<'a> {
    fn of(model: &Model, row: &'a DeviceRow, selected: bool, places: &[Place]) -> Self {
        let state = State::of(model, row);
        let cells = places
            .iter()
            .map(|place| cell(model, row, selected, &state, place.column))
            .collect();
        Self {
            row,
            state,
            selected,
            cells,
        }
    }
}

impl Cell {
    fn new(text: impl Into<String>, style: Style) -> Self {
        let (text, short) = (text.into(), None);
        Self { text, short, style }
    }

    /// As much of it as fits.
    fn within(&self, columns: usize) -> String {
        match &self.short {
            Some(short) if width(&self.text) > columns => cut(short, columns),
            _ => cut(&self.text, columns),
        }
    }
}

/// On the selected row the theme's own ground and ink stand, except where a colour
/// tells a state.
fn quiet(model: &Model, selected: bool) -> Style {
    match selected && model.panel.is_none() {
        true => Style::new(),
        false => model.theme.style(Role::Muted),
    }
}

fn cell(model: &Model, row: &DeviceRow, selected: bool, state: &State, column: &Column) -> Cell {
    let style = |role| model.theme.style(role);
    let quiet = quiet(model, selected);
    let live = !model.is_aging();
    // What is not there is said quietly.
    let known = |text: Option<String>| match text {
        Some(text) => Cell::new(text, Style::new()),
        None => Cell::new("–", quiet),
    };
    match column {
        Column::Device => {
            let strong = if selected {
                style(Role::Title)
            } else {
                Style::new()
            };
            Cell::new(safe(row.device_id.as_str()), strong)
        }
        Column::State => {
            let (sign, role) = connection_sign(row);
            Cell::new(sign, role.filter(|_| live).map_or(quiet, style))
        }
        Column::Firmware => known(row.firmware.as_deref().map(safe)),
        Column::Phase => Cell {
            short: Some(state.word().to_owned()),
            ..Cell::new(state.text(usize::MAX), state.style(model, quiet))
        },
        Column::Last => Cell {
            short: Some(last_update(row, 0)),
            ..Cell::new(last_update(row, usize::MAX), quiet)
        },
        Column::Tags => known((!row.tags.is_empty()).then(|| {
            let tags = row
                .tags
                .iter()
                .map(|(path, value)| format!("{path}={value}"));
            safe(&tags.collect::<Vec<_>>().join(" "))
        })),
        Column::Tag(path) => known(row.tags.get(path).map(safe)),
        Column::Age => {
            let old = if live { quiet } else { style(Role::Doubt) };
            Cell::new(age(model.now, state.seen, state.grain), old)
        }
    }
}

/// A column's head, long and short. The connection's sign has no room for one.
fn head(column: &Column) -> Vec<String> {
    match column {
        Column::State => vec![String::new()],
        Column::Last => vec!["last update".to_owned(), "last".to_owned()],
        Column::Tag(path) => vec![safe(path)],
        other => vec![other.name().into_owned()],
    }
}

/// The width with which a column says what it has to say, usually.
fn usual(column: &Column, id: usize) -> usize {
    match column {
        Column::Device => id,
        Column::State => 1,
        Column::Firmware => 8,
        Column::Phase => 15,
        Column::Last => 10,
        Column::Tags => 12,
        Column::Tag(path) => width(&safe(path)).clamp(4, 12),
        Column::Age => AGE,
    }
}

/// The width below which it is not worth its place.
fn least(column: &Column, id: usize) -> usize {
    match column {
        Column::Phase => 12,
        Column::Tags => 8,
        Column::Tag(_) => 4,
        other => usual(other, id),
    }
}

/// The columns that have room. The last of those that may still leave is squeezed
/// before it does.
fn chosen(model: &Model, all: usize) -> Vec<Place<'_>> {
    let columns = model.columns.all();
    let longest = model.devices.longest_id().max(6);
    let id = longest.min(all * 2 / 5);
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    let mut leaving = leaving(&model.columns).into_iter().peekable();
    loop {
        let next = leaving.peek().copied();
        let width = |n: usize| match next == Some(n) {
            true => least(&columns[n], id),
            false => usual(&columns[n], id),
        };
        let wanted: usize = kept.iter().map(|n| width(*n) + GAP).sum();
        if FRONT + wanted < all + GAP || next.is_none() {
            let place = |n: &usize| Place {
                column: &columns[*n],
                at: 0,
                width: width(*n),
            };
            return kept.iter().map(place).collect();
        }
        leaving.next();
        kept.retain(|n| Some(*n) != next);
    }
}

/// Who leaves first where there is no room for all, by their places.
fn leaving(columns: &Columns) -> Vec<usize> {
    let all = columns.all();
    let place = |column: &Column| all.iter().position(|other| other == column);
    if *columns == Columns::default() {
        let least_first = [
            Column::Last,
            Column::Firmware,
            Column::Phase,
            Column::Age,
            Column::State,
        ];
        return least_first.iter().filter_map(place).collect();
    }
    let others = (0..all.len()).rev().filter(|n| all[*n] != Column::Device);
    others.collect()
}

#[cfg(test)]
mod tests;
