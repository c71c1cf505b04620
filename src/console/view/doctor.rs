//! What the doctor finds, as it comes.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::model::Model;
use super::super::model::doctor::Examination;
use super::super::text::{fit, safe, wrap};
use super::super::theme::Role;
use super::doc::Doc;
use super::layout::is_roomy;
use crate::domain::doctor::{Check, Verdict};

/// Columns of a check's name where there is room for columns.
const NAME: usize = 15;
/// From this width on there is.
const COLUMNS: u16 = 60;

pub(super) fn draw(model: &Model, examination: &Examination, frame: &mut Frame, area: Rect) {
    let row = Rect { height: 1, ..area }.intersection(area);
    heading(model, examination).render(row, frame.buffer_mut());
    let text = document(model, examination, area.width);
    text.draw(frame, below(area), examination.scroll, &model.theme);
}

/// How many lines do not fit: how far it scrolls.
pub(crate) fn overflow(model: &Model, examination: &Examination, area: Rect) -> usize {
    let lines = document(model, examination, area.width).lines.len();
    lines.saturating_sub(usize::from(below(area).height))
}

fn below(area: Rect) -> Rect {
    Rect {
        y: area.y + area.height.min(1),
        height: area.height.saturating_sub(1),
        ..area
    }
}

/// `Doctor 12 ✓ · 2 ! · 1 ✗ · looking…`
fn heading(model: &Model, examination: &Examination) -> Line<'static> {
    let style = |role| model.theme.style(role);
    let mut spans = vec![Span::styled(" Doctor ", style(Role::Title))];
    for verdict in [Verdict::Ok, Verdict::Warning, Verdict::Failed] {
        let count = examination.count(verdict);
        if count > 0 {
            let text = format!(" {} {count} ", verdict.sign());
            spans.push(Span::styled(text, style(role(verdict))));
        }
    }
    if examination.running {
        spans.push(Span::styled(" looking…", style(Role::Busy)));
    } else if examination.checks.is_empty() {
        spans.push(Span::styled(" there is no doctor here", style(Role::Muted)));
    }
    Line::from(spans)
}

fn role(verdict: Verdict) -> Role {
    match verdict {
        Verdict::Ok => Role::Good,
        Verdict::Warning => Role::Doubt,
        Verdict::Failed => Role::Bad,
    }
}

fn document<'a>(model: &'a Model, examination: &Examination, columns: u16) -> Doc<'a> {
    let mut doc = Doc::new(&model.theme, usize::from(columns.saturating_sub(2)));
    if is_roomy(model) {
        doc.blank();
    }
    for check in &examination.checks {
        tell(&mut doc, check, columns >= COLUMNS);
    }
    doc
}

/// The sign, the name, what was found, and what to do under it.
fn tell(doc: &mut Doc, check: &Check, columns: bool) {
    let (found, role) = (safe(&check.found), role(check.result));
    let sign = doc.span(role, format!("{} ", check.result.sign()));
    let by = if columns { 2 + NAME } else { 2 };
    let lines = wrap(&found, doc.width.saturating_sub(by));
    let name = safe(&check.check);
    if columns {
        let name = doc.span(Role::Label, fit(&name, NAME));
        let mut lines = lines.into_iter();
        let first = lines.next().unwrap_or_default();
        doc.line(vec![sign, name, Span::raw(first)]);
        lines.for_each(|line| doc.line(vec![Span::raw(" ".repeat(by)), Span::raw(line)]));
    } else {
        let name = doc.span(Role::Label, name);
        doc.line(vec![sign, name]);
        for line in lines {
            doc.line(vec![Span::raw(" ".repeat(by)), Span::raw(line)]);
        }
    }
    if !check.hint.is_empty() {
        doc.indented(Role::Hint, by, &safe(&check.hint));
    }
}
