//! A text of styled lines that fit a width: what panels and dialogs are made of.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::model::field::Field;
use super::super::text::{cut, fold, safe, width, wrap};
use super::super::theme::{Role, Theme};
use super::put::put;
use crate::domain::problem::Problem;

/// Lines under construction.
pub(super) struct Doc<'a> {
    pub(super) theme: &'a Theme,
    /// Columns of a line.
    pub(super) width: usize,
    pub(super) lines: Vec<Line<'static>>,
    /// Where the cursor stands: column and line.
    pub(super) cursor: Option<(usize, usize)>,
}

impl<'a> Doc<'a> {
    pub(super) fn new(theme: &'a Theme, width: usize) -> Self {
        Self {
            theme,
            width: width.max(8),
            lines: Vec::new(),
            cursor: None,
        }
    }

    /// A span in the style of its role.
    pub(super) fn span(&self, role: Role, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.theme.style(role))
    }

    pub(super) fn blank(&mut self) {
        self.lines.push(Line::default());
    }

    /// One line as it is; whoever builds it sees to its width.
    pub(super) fn line(&mut self, spans: Vec<Span<'static>>) {
        self.lines.push(Line::from(spans));
    }

    /// A text over as many lines as it needs.
    pub(super) fn text(&mut self, role: Role, text: &str) {
        self.indented(role, 0, text);
    }

    /// The same, so many columns further right.
    pub(super) fn indented(&mut self, role: Role, by: usize, text: &str) {
        for line in wrap(text, self.width.saturating_sub(by)) {
            let span = self.span(role, line);
            self.line(vec![Span::raw(" ".repeat(by)), span]);
        }
    }

    /// A name, then a text in a column of its own, wrapped between words or,
    /// where every space counts, at any column.
    pub(super) fn labelled(
        &mut self,
        label: &str,
        column: usize,
        role: Option<Role>,
        text: &str,
        exact: bool,
    ) {
        let room = self.width.saturating_sub(column);
        let lines = if exact {
            fold(text, room)
        } else {
            wrap(text, room)
        };
        let style = role.map(|role| self.theme.style(role)).unwrap_or_default();
        for (n, line) in lines.into_iter().enumerate() {
            let label = if n == 0 { label } else { "" };
            let label = self.span(Role::Label, format!("{label:column$}"));
            self.line(vec![label, Span::styled(line, style)]);
        }
    }

    /// A text that is being typed, with the cursor in it.
    pub(super) fn typed(&mut self, prompt: &str, field: &Field) {
        let room = self.width.saturating_sub(width(prompt));
        let (typed, cursor) = field.window(field.text(), room);
        self.cursor = Some((width(prompt) + cursor, self.lines.len()));
        let line = vec![self.span(Role::Key, prompt), self.span(Role::Input, typed)];
        self.line(line);
    }

    /// What went wrong, why, and what to do, each readable to its end.
    pub(super) fn problem(&mut self, role: Role, sign: &str, problem: &Problem) {
        self.text(role, &format!("{sign} {}", safe(&problem.line())));
        if !problem.hint.is_empty() {
            self.indented(Role::Hint, 2, &safe(&problem.hint));
        }
    }

    /// Draws the lines from `scroll` on, and says at the lower right how many
    /// are left.
    pub(super) fn draw(&self, frame: &mut Frame, area: Rect, scroll: usize, theme: &Theme) {
        let height = usize::from(area.height);
        let mut row = Rect { height: 1, ..area };
        row.x += 1;
        row.width = row.width.saturating_sub(1);
        let left = self.lines.len().saturating_sub(scroll + height);
        let mark = overflow(scroll, left);
        let room = usize::from(row.width).saturating_sub(width(&mark) + 1);
        for (n, line) in self.lines.iter().skip(scroll).take(height).enumerate() {
            if n + 1 == height && !mark.is_empty() {
                put(&shortened(line, room), row, frame.buffer_mut());
            } else {
                put(line, row, frame.buffer_mut());
            }
            row.y += 1;
        }
        if area.height > 0 && !mark.is_empty() {
            let columns = u16::try_from(width(&mark)).unwrap_or(0).min(area.width);
            let place = Rect::new(area.right() - columns, area.bottom() - 1, columns, 1);
            Line::styled(mark, theme.style(Role::Key)).render(place, frame.buffer_mut());
        }
        if let Some((x, y)) = self
            .cursor
            .filter(|(_, y)| (scroll..scroll + height).contains(y))
        {
            let at = |base: u16, by: usize| base.saturating_add(u16::try_from(by).unwrap_or(0));
            frame.set_cursor_position(Position::new(at(area.x + 1, x), at(area.y, y - scroll)));
        }
    }
}

/// `↑ 3 ↓ 12`: lines that are out of sight.
fn overflow(above: usize, below: usize) -> String {
    match (above, below) {
        (0, 0) => String::new(),
        (0, below) => format!("↓ {below} "),
        (above, 0) => format!("↑ {above} "),
        (above, below) => format!("↑ {above} ↓ {below} "),
    }
}

/// A line cut to `room` columns, with an ellipsis where something is lost.
fn shortened(line: &Line<'static>, room: usize) -> Line<'static> {
    let mut spans = Vec::new();
    let mut used = 0;
    for span in &line.spans {
        let text = cut(span.content.trim_end(), room - used);
        if used + width(&span.content) > room {
            spans.push(Span::styled(text, span.style));
            break;
        }
        used += width(&span.content);
        spans.push(span.clone());
    }
    Line::from(spans)
}
