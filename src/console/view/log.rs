//! What happened in this session: a line each, and the selected one to its end.
//! Only the rows in the window are built.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::model::Model;
use super::super::model::log::{self, LogScreen, Weight};
use super::super::text::{clock, count, cut, day_and_clock, fit, safe, width, wrap};
use super::super::theme::Role;

/// Columns of the bar, the sign and the blank after it; of a time; of a word.
const FRONT: usize = 3;
const TIME: usize = 8;
const WORD: usize = 12;
/// Columns of a device at least, and at most.
const DEVICE: [usize; 2] = [6, 24];

/// Rows for lines: all but the heading and what the selected line says in full.
pub(crate) fn rows(area: Rect) -> usize {
    let height = usize::from(area.height);
    height.saturating_sub(1 + whole(area))
}

/// Rows in which the selected line is told in full.
fn whole(area: Rect) -> usize {
    match area.height {
        0..5 => 0,
        5..14 => 3,
        14..24 => 4,
        _ => 6,
    }
}

pub(super) fn draw(model: &Model, screen: &LogScreen, frame: &mut Frame, area: Rect) {
    let lines = model.log.holding(screen.text());
    let mut row = Rect { height: 1, ..area }.intersection(area);
    let window = screen.window(&lines, rows(area));
    heading(model, screen, (lines.len(), window.below), frame, row);
    row.y += 1;
    if lines.is_empty() {
        return nothing(model, screen, frame, row.intersection(area));
    }
    let columns = Columns::of(&window, usize::from(area.width));
    for (n, line) in window.lines.iter().enumerate() {
        let selected = n == window.selected;
        if selected {
            let style = model.theme.style(Role::Selected);
            frame.buffer_mut().set_style(row, style);
        }
        let line = columns.row(model, line, selected);
        line.render(row, frame.buffer_mut());
        row.y += 1;
    }
    if let Some(line) = window.lines.get(window.selected) {
        let height = u16::try_from(whole(area)).unwrap_or(0);
        let y = area.bottom().saturating_sub(height);
        in_full(model, line, frame, Rect { y, height, ..area });
    }
}

/// `Log 412`, the filter, lines out of sight, and whether older ones have left.
fn heading(
    model: &Model,
    screen: &LogScreen,
    (shown, below): (usize, usize),
    frame: &mut Frame,
    area: Rect,
) {
    let style = |role| model.theme.style(role);
    let mut spans = vec![Span::styled(" Log ", style(Role::Title))];
    let all = model.log.len();
    spans.push(Span::raw(match shown == all {
        true => count(all),
        false => format!("{} of {}", count(shown), count(all)),
    }));
    let mut cursor = None;
    if screen.typing || !screen.text().is_empty() {
        spans.push(Span::styled("  /", style(Role::Key)));
        let before: usize = spans.iter().map(|s| width(&s.content)).sum();
        let room = usize::from(area.width).saturating_sub(before + 2).min(40);
        let (text, at) = screen.filter.window(screen.filter.text(), room);
        cursor = screen.typing.then_some(before + at);
        spans.push(Span::styled(format!("{text} "), style(Role::Input)));
    }
    if below > 0 {
        let text = format!("  ↓ {}", count(below));
        spans.push(Span::styled(text, style(Role::Key)));
    }
    if model.log.gone() > 0 {
        let text = format!("  ! the oldest {} have left", count(model.log.gone()));
        spans.push(Span::styled(text, style(Role::Doubt)));
    }
    spans.push(Span::styled("  our clock, UTC", style(Role::Muted)));
    Line::from(spans).render(area, frame.buffer_mut());
    if let Some(at) = cursor.filter(|_| model.dialog.is_none()) {
        let x = area.x + u16::try_from(at).unwrap_or(0);
        frame.set_cursor_position(Position::new(x, area.y));
    }
}

fn nothing(model: &Model, screen: &LogScreen, frame: &mut Frame, area: Rect) {
    let text = match screen.text() {
        "" => " Nothing has happened in this session yet.".to_owned(),
        text => format!(" no line holds “{}”", cut(&safe(text), 40)),
    };
    let text = cut(&text, usize::from(area.width));
    Line::styled(text, model.theme.style(Role::Muted)).render(area, frame.buffer_mut());
}

fn role(weight: Weight) -> Role {
    match weight {
        Weight::Quiet => Role::Muted,
        Weight::News => Role::Busy,
        Weight::Good => Role::Good,
        Weight::Doubt => Role::Doubt,
        Weight::Bad => Role::Bad,
    }
}

/// How wide each column is; a time, a device and a word are always there.
struct Columns {
    all: usize,
    device: usize,
    word: usize,
}

impl Columns {
    fn of(window: &log::Window, all: usize) -> Self {
        let ids = window.lines.iter().filter_map(|line| line.device.as_ref());
        let longest = ids.map(|id| width(&safe(id.as_str()))).max();
        let [least, most] = DEVICE;
        let device = longest.unwrap_or(least).clamp(least, most).min(all / 4);
        Self {
            all,
            device,
            word: WORD.min(all / 4),
        }
    }

    fn row(&self, model: &Model, line: &log::Line, selected: bool) -> Line<'static> {
        let style = |role| model.theme.style(role);
        // On the selected row the theme's own ground and ink stand.
        let quiet = if selected {
            Style::new()
        } else {
            style(Role::Muted)
        };
        let said = &line.said;
        let (sign, colour) = (said.weight.sign(), style(role(said.weight)));
        let bar = if selected { "▌" } else { " " };
        let device = line
            .device
            .as_ref()
            .map_or("–".to_owned(), |id| safe(id.as_str()));
        let before = FRONT + TIME + 1 + self.device + 1 + self.word + 1;
        let room = self.all.saturating_sub(before);
        Line::from(vec![
            Span::styled(bar, style(Role::Cursor)),
            Span::styled(format!("{sign} "), colour),
            Span::styled(format!("{} ", clock(line.time)), quiet),
            Span::raw(fit(&device, self.device) + " "),
            Span::styled(fit(&safe(&said.word), self.word) + " ", colour),
            Span::raw(cut(&safe(&said.text), room)),
        ])
    }
}

/// The selected line to its end: both clocks, the device, the sentence. Where there
/// are few rows they are the sentence's.
fn in_full(model: &Model, line: &log::Line, frame: &mut Frame, area: Rect) {
    let hub = line.said.hub_time;
    let hub = hub.map_or(String::new(), |hub| format!(" · hub {}", clock(hub)));
    let mut text = format!("{} {}", safe(&line.said.word), safe(&line.said.text));
    let room = usize::from(area.width.saturating_sub(2));
    let mut told = Vec::new();
    if area.height >= 4 {
        let device = line.device.as_ref().map(|id| safe(id.as_str()));
        let device = device.map_or(String::new(), |id| format!(" · {id}"));
        let head = format!("{}{hub}{device}", day_and_clock(line.time));
        told.push((cut(&head, room), Role::Label));
    } else {
        text.push_str(&hub);
    }
    let fits = usize::from(area.height).saturating_sub(told.len());
    let mut lines = wrap(&text, room);
    if let Some(rest) = lines.get(fits).cloned() {
        lines.truncate(fits);
        if let Some(last) = lines.last_mut() {
            *last = cut(&format!("{last} {rest}"), room);
        }
    }
    told.extend(lines.into_iter().map(|line| (line, Role::Input)));
    let mut row = Rect { height: 1, ..area };
    for (line, role) in told {
        let line = Line::styled(format!(" {line}"), model.theme.style(role));
        line.render(row.intersection(area), frame.buffer_mut());
        row.y += 1;
    }
}
