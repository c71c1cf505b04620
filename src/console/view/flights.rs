//! The updates of this session: a list with a gauge for each, and beside it, where
//! there is room, how the selected one went. Only the rows in the window are built.

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::model::Model;
use super::super::model::flights::{Flights, Only};
use super::super::model::updates::Tracked;
use super::super::text::{Grain, age, count, cut, fit, next_age, next_second, plural, safe, width};
use super::super::theme::Role;
use super::doc::Doc;
use super::gauge;
use super::layout::Areas;
use super::panel::gap;
use super::put::put;
use super::running::{self, Seen};
use crate::domain::gauge::Gauge;
use crate::domain::id::UpdateId;
use crate::domain::time::on_a_clock;
use crate::domain::update::Update;

/// Lines above the rows: the heading, and the heads of the columns.
pub(super) const HEADING: usize = 2;
/// The bar, the sign, a blank.
const FRONT: usize = 3;
/// Blanks between two columns.
const GAP: usize = 2;
/// Columns of the state, with a percentage.
const STATE: usize = 15;
/// Columns of the time that is left.
const LEFT: usize = 6;
/// Columns of an age.
const AGE: usize = 5;
/// A gauge of fewer columns tells nothing, and of more no more.
const BAR: (usize, usize) = (10, 30);
/// Columns at the right end of the heading, for how many rows are out of sight.
const BEYOND: usize = 8;

pub(super) fn draw(model: &Model, flights: &Flights, frame: &mut Frame, areas: &Areas) {
    let area = areas.table;
    let listed = model.flights_listed();
    let mut row = Rect { height: 1, ..area }.intersection(area);
    let rows = areas.flight_rows();
    heading(model, flights, &listed, areas).render_in(row, frame);
    row.y += 1;
    let rest = Rect {
        y: row.y,
        height: area.height.saturating_sub(1),
        ..area
    };
    if listed.is_empty() {
        instead(model, flights, area.width).draw(frame, rest, 0, &model.theme);
    } else if rest.height > 0 {
        let columns = Columns::of(model, usize::from(area.width));
        put(&columns.heads(model), row, frame.buffer_mut());
        row.y += 1;
        let at = flights.line(&listed);
        for (n, tracked) in window(model, flights, &listed, rows) {
            if n == at {
                let style = model.theme.style(Role::Selected);
                frame.buffer_mut().set_style(row, style);
            }
            let line = columns.row(model, &tracked.update, n == at);
            put(&line, row, frame.buffer_mut());
            row.y += 1;
        }
    }
    if model.is_wide() {
        super::divider(model, frame, areas.divider);
        document(model, areas.panel.width).draw(frame, areas.panel, flights.scroll, &model.theme);
    }
}

/// The updates in the window, each with its line.
fn window<'a>(
    model: &'a Model,
    flights: &Flights,
    listed: &'a [UpdateId],
    height: usize,
) -> impl Iterator<Item = (usize, &'a Tracked)> {
    let lines = listed.iter().enumerate();
    let lines = lines.skip(flights.top()).take(height);
    lines.filter_map(|(n, id)| Some((n, model.updates.get(id)?)))
}

/// The selected update: how far it is, its timeline, what that rests on.
pub(super) fn document(model: &Model, width: u16) -> Doc<'_> {
    let mut doc = Doc::new(&model.theme, usize::from(width.saturating_sub(3)));
    if let Some(tracked) = model.flight() {
        let id = tracked.update.device.as_str();
        doc.labelled("", 0, Some(Role::Title), id, true);
        gap(&mut doc, model);
        running::tell(&mut doc, &Seen::live(model, &tracked.update), tracked);
    }
    doc
}

/// When an age or a time on this screen says something else.
pub(super) fn wakes(model: &Model, areas: &Areas) -> Option<Timestamp> {
    let flights = model.flights.as_ref().filter(|_| model.shows_flights())?;
    let listed = model.flights_listed();
    let rows = window(model, flights, &listed, areas.flight_rows());
    let wakes = rows.map(|(_, tracked)| {
        let update = &tracked.update;
        let next = next_age(model.now, update.changed, grain(update));
        match left(model, update) {
            Some(_) => next.min(next_second(model.now, Timestamp::UNIX_EPOCH)),
            None => next,
        }
    });
    wakes.min()
}

fn grain(update: &Update) -> Grain {
    match update.is_open() {
        true => Grain::Fine,
        false => Grain::Coarse,
    }
}

/// The heading: what stands at its left, and what at its right end.
struct Heading {
    spans: Vec<Span<'static>>,
    end: Span<'static>,
}

impl Heading {
    fn render_in(mut self, area: Rect, frame: &mut Frame) {
        let used: usize = self.spans.iter().map(|s| width(&s.content)).sum();
        let room = usize::from(area.width).saturating_sub(used + 1);
        let end = width(&self.end.content);
        if end > 0 && end < room {
            self.spans.push(Span::raw(" ".repeat(room - end)));
            self.spans.push(self.end);
        }
        put(&Line::from(self.spans), area, frame.buffer_mut());
    }
}

/// `Updates 12  ▸ 3 in flight  ? 1 stalled  ✗ 1 failed  ✓ 7 completed`, as much of it
/// as there is room for, and how many rows are out of sight.
fn heading(model: &Model, flights: &Flights, listed: &[UpdateId], areas: &Areas) -> Heading {
    let style = |role| model.theme.style(role);
    let mut spans = vec![Span::styled(" Updates ", style(Role::Title))];
    if flights.only != Only::All {
        let text = format!(" only {} ", flights.only.words());
        spans.push(Span::styled(text, style(Role::Key)));
    }
    // All of them with their words, or fewer and shorter.
    let columns = |spans: &[Span]| spans.iter().map(|s| width(&s.content)).sum::<usize>();
    let room = usize::from(areas.table.width).saturating_sub(columns(&spans));
    let told = [(true, true), (false, true), (false, false)].map(|(all, words)| {
        let told = counts(model, all).into_iter();
        let told = told.map(|(sign, role, number, word)| {
            let word = if words {
                format!(" {word}")
            } else {
                String::new()
            };
            Span::styled(format!(" {sign}{}{word} ", count(number)), style(role))
        });
        told.collect::<Vec<Span>>()
    });
    let fits = |told: &Vec<Span>| columns(told) + BEYOND <= room;
    spans.extend(told.into_iter().find(fits).unwrap_or_default());
    let above = flights.top();
    let below = listed.len().saturating_sub(above + areas.flight_rows());
    let text = match (above, below) {
        (0, 0) => String::new(),
        (0, below) => format!("↓ {}", count(below)),
        (above, 0) => format!("↑ {}", count(above)),
        (above, below) => format!("↑ {}  ↓ {}", count(above), count(below)),
    };
    let end = Span::styled(text, style(Role::Muted));
    Heading { spans, end }
}

/// How many stand how: sign, colour, number and word. Not `all` is without those that
/// were given up, and all that are in doubt are one number.
fn counts(model: &Model, all: bool) -> Vec<(&'static str, Role, usize, &'static str)> {
    let counts = model.flight_counts();
    let (stalled, doubtful) = match all || counts.doubtful == 0 {
        true => (counts.stalled, counts.doubtful),
        false => (0, counts.stalled + counts.doubtful),
    };
    let given_up = if all { counts.given_up } else { 0 };
    let told = [
        ("?", Role::Doubt, stalled, "stalled"),
        ("?", Role::Doubt, doubtful, "in doubt"),
        ("✗", Role::Bad, counts.failed, "failed"),
        ("▸", Role::Busy, counts.in_flight, "in flight"),
        ("?", Role::Muted, given_up, "given up"),
        ("✓", Role::Good, counts.completed, "completed"),
    ];
    told.into_iter()
        .filter(|(_, _, number, _)| *number > 0)
        .collect()
}

/// What stands instead of rows, and what to do about it.
fn instead<'a>(model: &'a Model, flights: &Flights, columns: u16) -> Doc<'a> {
    let mut doc = Doc::new(&model.theme, usize::from(columns.saturating_sub(2)));
    gap(&mut doc, model);
    if flights.only == Only::All {
        doc.text(Role::Title, "No update in this session yet.");
        let text = "Open a device and give it a package. Updates of earlier sessions are in \
                    the history.";
        doc.text(Role::Muted, text);
    } else {
        let text = format!(
            "No update here: {} listed otherwise. f shows others.",
            plural(model.updates.len(), "update")
        );
        doc.text(Role::Muted, &text);
    }
    doc
}

/// How much time is left if it goes as it went before.
fn left(model: &Model, update: &Update) -> Option<String> {
    let sure = update.is_open() && update.doubt.is_none() && !model.is_aging();
    let estimate = model.durations.left(update, model.now).filter(|_| sure)?;
    Some(match estimate.left {
        _ if estimate.late => "late".to_owned(),
        left => format!("~{}", on_a_clock(left)),
    })
}

/// How wide each column is; 0 is not shown.
struct Columns {
    all: usize,
    device: usize,
    bar: usize,
    left: usize,
}

impl Columns {
    fn of(model: &Model, all: usize) -> Self {
        let ids = model.updates.all().map(|t| t.update.device.as_str().len());
        let longest = ids.max().unwrap_or(0).max(6);
        let rest = all.saturating_sub(FRONT + GAP + STATE + GAP + AGE + 1);
        // The name of the device first, but it leaves a gauge its least.
        let device = longest.min(rest).min((rest / 2).max(14));
        let mut over = rest.saturating_sub(device);
        let left = match over >= BAR.0 + GAP + LEFT + GAP {
            true => LEFT,
            false => 0,
        };
        over = over.saturating_sub(if left > 0 { left + GAP } else { 0 });
        let bar = match over.saturating_sub(GAP) {
            bar if bar >= BAR.0 => bar.min(BAR.1),
            _ => 0,
        };
        over = over.saturating_sub(if bar > 0 { bar + GAP } else { 0 });
        Self {
            all,
            device: device + over.min(longest - device.min(longest)),
            bar,
            left,
        }
    }

    fn heads(&self, model: &Model) -> Line<'static> {
        let mut text = " ".repeat(FRONT) + &fit("device", self.device + GAP);
        if self.bar > 0 {
            text.push_str(&fit("progress", self.bar + GAP));
        }
        text.push_str(&fit("state", STATE + GAP));
        if self.left > 0 {
            text.push_str(&fit("left", self.left + GAP));
        }
        let fill = self.all.saturating_sub(width(&text) + width("age") + 1);
        text.push_str(&(" ".repeat(fill) + "age"));
        Line::styled(cut(&text, self.all), model.theme.style(Role::Head))
    }

    fn row(&self, model: &Model, update: &Update, here: bool) -> Line<'static> {
        let style = |role| model.theme.style(role);
        let role = match model.is_aging() && update.is_open() {
            true => Role::Doubt,
            false => gauge::role(update),
        };
        // On the selected row the theme's own ground and ink stand, except where a
        // colour tells a state.
        let quiet = if here {
            Style::new()
        } else {
            style(Role::Muted)
        };
        let strong = if here {
            style(Role::Title)
        } else {
            Style::new()
        };
        let device = cut(&safe(update.device.as_str()), self.device);
        let mut spans = vec![
            Span::styled(if here { "▌" } else { " " }, style(Role::Cursor)),
            Span::styled(format!("{} ", gauge::sign(update)), style(role)),
            Span::styled(fit(&device, self.device + GAP), strong),
        ];
        if self.bar > 0 {
            let dialect = model.context.dialects.named(&update.intent.dialect);
            let known = model.known_until(update);
            let gauge = Gauge::at(update, &dialect.phases(), &model.durations, known);
            spans.extend(gauge::bar(&gauge, role, self.bar, &model.theme));
            spans.push(Span::raw(" ".repeat(GAP)));
        }
        let state = fit(&cut(&state(update), STATE), STATE + GAP);
        spans.push(Span::styled(state, style(role)));
        if self.left > 0 {
            let text = left(model, update).unwrap_or_default();
            let text = cut(&text, self.left);
            spans.push(Span::styled(fit(&text, self.left + GAP), quiet));
        }
        let age = age(model.now, update.changed, grain(update));
        let used: usize = spans.iter().map(|s| width(&s.content)).sum();
        let fill = self.all.saturating_sub(used + width(&age) + 1);
        spans.push(Span::raw(" ".repeat(fill)));
        spans.push(Span::styled(age, quiet));
        Line::from(spans)
    }
}

/// How it stands in a word, with the percentage that the device reports.
fn state(update: &Update) -> String {
    let sure = update.is_open() && update.doubt.is_none();
    let last = update.steps.last().filter(|_| sure);
    let whole = last
        .and_then(|step| step.percent)
        .map(|percent| format!("{} {percent:.0}%", update.word()));
    whole
        .filter(|text| width(text) <= STATE)
        .unwrap_or_else(|| update.word().to_owned())
}

#[cfg(test)]
mod tests;
