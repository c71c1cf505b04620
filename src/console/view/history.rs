//! Past updates: the list, and one of them opened. Only the rows in the window
//! are built.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::action::Action;
use super::super::keymap::Place;
use super::super::model::Model;
use super::super::model::history::{History, Opened};
use super::super::text::{Grain, age, count, cut, day_and_clock, fit, plural, safe, width};
use super::super::theme::Role;
use super::doc::Doc;
use super::panel::gap;
use super::running::{self, Seen};
use crate::domain::event::{Intent, What};
use crate::domain::history::Entry;
use crate::domain::time::spoken;
use crate::domain::update::{Baseline, Outcome};

/// Lines above the rows: the heading, and the heads of the columns.
pub(super) const HEADING: usize = 2;
/// Columns of the names of values.
const LABEL: usize = 10;

pub(super) fn draw(model: &Model, history: &History, frame: &mut Frame, area: Rect) {
    if let Some(opened) = &history.opened {
        let document = document(model, opened, area.width);
        return document.draw(frame, area, opened.scroll, &model.theme);
    }
    let mut row = Rect { height: 1, ..area }.intersection(area);
    heading(model, history, frame, row);
    row.y += 1;
    let rest = Rect {
        y: row.y,
        height: area.height.saturating_sub(1),
        ..area
    };
    let said = instead(model, history, area.width);
    if !said.lines.is_empty() {
        return said.draw(frame, rest, 0, &model.theme);
    }
    if rest.height == 0 {
        return;
    }
    let columns = Columns::of(history, usize::from(area.width));
    columns.heads(model).render(row, frame.buffer_mut());
    row.y += 1;
    let height = usize::from(area.bottom().saturating_sub(row.y));
    for (entry, selected) in history.window(height) {
        if selected {
            let style = model.theme.style(Role::Selected);
            frame.buffer_mut().set_style(row, style);
        }
        columns
            .row(model, entry, selected)
            .render(row, frame.buffer_mut());
        row.y += 1;
    }
}

/// `History 40 or more`, the filter, and what else there is to say of the list.
fn heading(model: &Model, history: &History, frame: &mut Frame, area: Rect) {
    let style = |role| model.theme.style(role);
    let mut spans = vec![Span::styled(" History ", style(Role::Title))];
    if !history.rows.is_empty() {
        let more = if history.has_more() { " or more" } else { "" };
        spans.push(Span::raw(format!("{}{more}", count(history.rows.len()))));
    }
    let mut cursor = None;
    if history.typing || !history.text().is_empty() {
        spans.push(Span::styled("  /", style(Role::Key)));
        let before: usize = spans.iter().map(|s| width(&s.content)).sum();
        let room = usize::from(area.width).saturating_sub(before + 2).min(40);
        let (text, at) = history.filter.window(history.filter.text(), room);
        cursor = history.typing.then_some(before + at);
        spans.push(Span::styled(format!("{text} "), style(Role::Input)));
    }
    if history.damaged > 0 {
        let text = format!("  ! {} damaged", count(history.damaged));
        spans.push(Span::styled(text, style(Role::Doubt)));
    }
    if history.is_asking() {
        let words = if history.is_opening() {
            "  opening…"
        } else {
            "  reading…"
        };
        spans.push(Span::styled(words, style(Role::Busy)));
    }
    Line::from(spans).render(area, frame.buffer_mut());
    if let Some(at) = cursor.filter(|_| model.dialog.is_none()) {
        let x = area.x + u16::try_from(at).unwrap_or(0);
        frame.set_cursor_position(Position::new(x, area.y));
    }
}

/// What stands instead of rows, and what to do about it.
fn instead<'a>(model: &'a Model, history: &History, columns: u16) -> Doc<'a> {
    let mut doc = Doc::new(&model.theme, usize::from(columns.saturating_sub(2)));
    if let Some(problem) = &history.problem {
        gap(&mut doc, model);
        doc.problem(Role::Bad, "✗", problem);
        let named = |action| model.keymap.named(Place::History, action, 1);
        let (again, back) = (named(Action::List), named(Action::Back));
        let text = format!("{again} reads the journal again; {back} goes back.");
        doc.text(Role::Muted, &text);
        return doc;
    }
    if !history.rows.is_empty() {
        return doc;
    }
    gap(&mut doc, model);
    if history.is_new() || history.has_more() {
        doc.text(Role::Busy, "Reading the journal…");
    } else if let Some(problem) = &model.context.only_watches {
        doc.problem(Role::Bad, "✗ the past cannot be read:", problem);
        doc.text(
            Role::Muted,
            "otadeck history reads the file itself, if it can be read.",
        );
    } else if history.text().is_empty() {
        doc.text(Role::Title, "No update of this hub was written down yet.");
        let text = "Each update that is started from here, or by whoever shares the journal, \
                    will stand here with its timeline and its evidence. To start one: esc, \
                    then enter on a device.";
        doc.text(Role::Muted, text);
    } else {
        let text = format!(
            "no update holds “{}”; esc shows all",
            cut(&safe(history.text()), 40)
        );
        doc.text(Role::Muted, &text);
    }
    doc
}

/// How wide each column is; 0 is not shown.
struct Columns {
    all: usize,
    device: usize,
    state: usize,
    took: usize,
    package: usize,
    by: usize,
    reason: usize,
}

/// The bar, the sign, a blank.
const FRONT: usize = 3;
const GAP: usize = 2;
const AGE: usize = 5;
/// Widths of state, duration, package, who and why, from generous to few.
const WIDTHS: [[usize; 5]; 6] = [
    [13, 12, 20, 20, 16],
    [13, 12, 18, 16, 0],
    [13, 12, 16, 0, 0],
    [13, 12, 0, 0, 0],
    [13, 0, 0, 0, 0],
    [9, 0, 0, 0, 0],
];

impl Columns {
    fn of(history: &History, all: usize) -> Self {
        let rows = history.rows.iter().map(|row| row.device.as_str().len());
        let longest = rows.max().unwrap_or_default().max(6);
        let device = longest.min(all * 2 / 5);
        let rest = all.saturating_sub(FRONT + device + GAP + AGE + 1);
        let taken = |widths: &[usize; 5]| {
            let shown = widths.iter().filter(|columns| **columns > 0);
            shown.map(|columns| columns + GAP).sum::<usize>()
        };
        let fits = WIDTHS.into_iter().find(|widths| taken(widths) <= rest);
        let widths = fits.unwrap_or_default();
        let [state, took, package, by, reason] = widths;
        let left = rest - taken(&widths);
        // What is left goes to ids that were cut, then to the last column.
        let more = left.min(longest - device);
        let reason = if reason > 0 { reason + left - more } else { 0 };
        Self {
            all,
            device: device + more,
            state,
            took,
            package,
            by,
            reason,
        }
    }

    fn heads(&self, model: &Model) -> Line<'static> {
        let mut text = " ".repeat(FRONT);
        for (head, columns) in [
            ("device", self.device),
            ("outcome", self.state),
            ("took", self.took),
            ("package", self.package),
            ("by", self.by),
            ("reason", self.reason),
        ] {
            if columns > 0 {
                text.push_str(&fit(head, columns + GAP));
            }
        }
        let fill = self.all.saturating_sub(width(&text) + "age".len() + 1);
        text.push_str(&" ".repeat(fill));
        text.push_str("age");
        Line::styled(text, model.theme.style(Role::Head))
    }

    fn row(&self, model: &Model, entry: &Entry, selected: bool) -> Line<'static> {
        let style = |role| model.theme.style(role);
        // On the selected row the theme's own ground and ink stand.
        let quiet = if selected {
            Style::new()
        } else {
            style(Role::Muted)
        };
        let strong = if selected {
            style(Role::Title)
        } else {
            Style::new()
        };
        let (sign, role) = mark(entry);
        let bar = if selected { "▌" } else { " " };
        let mut spans = vec![
            Span::styled(bar, style(Role::Cursor)),
            Span::styled(format!("{sign} "), style(role)),
        ];
        let cell = |text: &str, columns: usize| fit(&cut(text, columns), columns + GAP);
        let took = entry.took().map_or("–".to_owned(), spoken);
        let package = entry.package().map_or("–".to_owned(), |p| safe(&p));
        let reason = entry.reason.as_deref().map_or("–".to_owned(), safe);
        for (text, columns, style) in [
            (safe(entry.device.as_str()), self.device, strong),
            (entry.word.to_owned(), self.state, style(role)),
            (took, self.took, quiet),
            (package, self.package, Style::new()),
            (safe(&entry.by), self.by, quiet),
            (reason, self.reason, quiet),
        ] {
            if columns > 0 {
                spans.push(Span::styled(cell(&text, columns), style));
            }
        }
        let age = age(model.now, entry.intended, Grain::Coarse);
        let used: usize = spans.iter().map(|s| width(&s.content)).sum();
        let fill = self.all.saturating_sub(used + width(&age) + 1);
        spans.push(Span::raw(" ".repeat(fill)));
        spans.push(Span::styled(age, quiet));
        Line::from(spans)
    }
}

/// The sign and the colour of a past update.
fn mark(entry: &Entry) -> (&'static str, Role) {
    match entry.outcome {
        _ if entry.contradicted => ("!", Role::Doubt),
        Some(Outcome::Completed) => ("✓", Role::Good),
        Some(Outcome::GivenUp) => ("?", Role::Doubt),
        Some(_) => ("✗", Role::Bad),
        None if entry.doubtful => ("?", Role::Doubt),
        None => ("▸", Role::Busy),
    }
}

/// One past update: that it is one, how it went, what was decided.
pub(super) fn document<'a>(model: &'a Model, opened: &Opened, width: u16) -> Doc<'a> {
    let mut doc = Doc::new(&model.theme, usize::from(width.saturating_sub(3)));
    let update = &opened.tracked.update;
    headline(&mut doc, update.device.as_str(), "recorded, not live");
    gap(&mut doc, model);
    running::tell(&mut doc, &Seen::then(model, model.now), &opened.tracked);
    gap(&mut doc, model);
    doc.text(Role::Label, "what was decided");
    decided(&mut doc, opened);
    left_out(&mut doc, opened);
    doc
}

/// The device, and whether this is now.
pub(super) fn headline(doc: &mut Doc, device: &str, words: &str) {
    let device = safe(device);
    if width(&device) + 2 + width(words) <= doc.width {
        let spans = vec![
            doc.span(Role::Title, device),
            Span::raw("  "),
            doc.span(Role::Hint, words),
        ];
        return doc.line(spans);
    }
    doc.text(Role::Title, &device);
    doc.text(Role::Hint, words);
}

fn decided(doc: &mut Doc, opened: &Opened) {
    let update = &opened.tracked.update;
    let Intent {
        uri,
        method,
        expect,
        dialect,
        by,
        reason,
        ..
    } = &update.intent;
    let mut fact = |name: &str, text: &str, exact: bool| {
        doc.labelled(name, LABEL, None, &safe(text), exact);
    };
    fact(
        "package",
        uri.as_deref().unwrap_or("none: only watched"),
        true,
    );
    let method = method.as_deref().unwrap_or("no method");
    fact("order", &format!("{method}, dialect {dialect}"), false);
    if let Some(version) = expect {
        fact("expected", &format!("version {version}"), false);
    }
    fact("by", by, false);
    fact("reason", reason.as_deref().unwrap_or("–"), false);
    fact("decided", &day_and_clock(update.intended), false);
    if let Some(verdict) = &update.verdict {
        fact("ended", &day_and_clock(verdict.time), false);
    }
    // The baseline before the first try: later ones are events.
    let first = opened.recorded.events.iter().find_map(|e| match &e.what {
        What::Intended(intent) => Some(&intent.baseline),
        _ => None,
    });
    if let Some(first) = first {
        fact("baseline", &baseline(first), false);
    }
    fact("update", update.id.as_str(), true);
}

fn baseline(baseline: &Baseline) -> String {
    let value = baseline.value.as_deref().unwrap_or("no status");
    let mut text = format!("{value} · $version {}", baseline.version);
    if let Some(firmware) = &baseline.firmware {
        text.push_str(&format!(" · firmware {firmware}"));
    }
    if let Some(time) = baseline.value_updated {
        text.push_str(&format!(" · written {}", day_and_clock(time)));
    }
    text
}

/// What is missing here.
fn left_out(doc: &mut Doc, opened: &Opened) {
    for damaged in &opened.recorded.damaged {
        doc.text(Role::Doubt, &format!("! {}", safe(&damaged.to_string())));
    }
    if opened.recorded.left_out > 0 {
        let text = format!(
            "! {} in the middle are left out; otadeck history --json has them all",
            plural(opened.recorded.left_out, "event")
        );
        doc.text(Role::Doubt, &text);
    }
}
