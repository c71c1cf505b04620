//! The windows over everything else: help, questions.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Widget};

use super::super::action::Action;
use super::super::keymap::{Binding, Place, shown};
use super::super::model::{Dialog, Model};
use super::super::text::{fit, plural, safe, width};
use super::super::theme::Role;
use super::super::update::commands;
use super::arming;
use super::doc::Doc;
use super::header;
use super::layout::Areas;

/// Below this size a window has no border and takes the whole screen.
const FRAMED: (u16, u16) = (60, 18);

/// Columns of the keys in the help.
const KEYS: usize = 20;

/// Where a window stands: a body that may scroll, and a foot that does not.
pub(super) struct Window {
    outer: Rect,
    inner: Rect,
    foot: u16,
    framed: bool,
}

impl Window {
    /// The columns that a window's text gets when it wants `wanted`.
    pub(super) fn inner_width(model: &Model, wanted: usize) -> usize {
        let margin = if framed(model) { 6 } else { 2 };
        usize::from(model.size.0).saturating_sub(margin).min(wanted)
    }

    /// A window for so many lines, in the middle of the screen.
    pub(super) fn of(model: &Model, columns: usize, body: usize, foot: usize) -> Self {
        let (wide, high) = model.size;
        let rows = |lines: usize| u16::try_from(lines).unwrap_or(u16::MAX);
        let foot = rows(foot);
        if !framed(model) {
            let outer = Rect::new(0, 0, wide, high);
            // The title's line.
            let inner = Rect {
                y: outer.y + 1.min(outer.height),
                height: outer.height.saturating_sub(1),
                ..outer
            };
            return Self {
                outer,
                inner,
                foot: foot.min(inner.height),
                framed: false,
            };
        }
        let gap = u16::from(foot > 0);
        let height = rows(body)
            .saturating_add(foot + gap + 4)
            .min(high.saturating_sub(4));
        let width = rows(columns + 4).min(wide);
        let outer = Rect::new((wide - width) / 2, (high - height) / 2, width, height);
        let inner = Rect {
            x: outer.x + 1,
            y: outer.y + 2,
            width: outer.width.saturating_sub(2),
            height: outer.height.saturating_sub(4),
        };
        Self {
            outer,
            inner,
            foot: foot.min(inner.height),
            framed: true,
        }
    }

    /// The columns of its text.
    pub(super) fn width(&self) -> usize {
        usize::from(self.inner.width.saturating_sub(2))
    }

    /// The lines of its body.
    pub(super) fn body_height(&self) -> usize {
        usize::from(self.body().height)
    }

    fn body(&self) -> Rect {
        let gap = u16::from(self.framed && self.foot > 0);
        let height = self.inner.height.saturating_sub(self.foot + gap);
        Rect {
            height,
            ..self.inner
        }
    }

    /// Draws what is around the text; gives the places of body and foot.
    pub(super) fn draw(&self, model: &Model, frame: &mut Frame, title: &str) -> (Rect, Rect) {
        let style = model
            .theme
            .style(Role::Title)
            .remove_modifier(Modifier::DIM);
        // What lies behind steps back.
        let behind = Areas::of(model);
        let screen = behind.table.union(behind.panel).intersection(frame.area());
        frame
            .buffer_mut()
            .set_style(screen, Style::new().add_modifier(Modifier::DIM));
        let outer = self.outer.intersection(frame.area());
        Clear.render(outer, frame.buffer_mut());
        if self.framed {
            Block::bordered()
                .border_type(BorderType::Rounded)
                .border_style(model.theme.style(Role::Rule))
                .title(Line::styled(format!(" {title} "), style))
                .render(outer, frame.buffer_mut());
        } else {
            let row = Rect {
                height: 1.min(outer.height),
                ..outer
            };
            Line::styled(format!(" {title}"), style).render(row, frame.buffer_mut());
            // It covers the first line, and with it which hub this is.
            let room = usize::from(row.width).saturating_sub(width(title) + 3);
            let hub = Line::from(header::hub(model, room)).right_aligned();
            hub.render(row, frame.buffer_mut());
        }
        let body = self.body();
        let foot = Rect {
            y: self.inner.bottom() - self.foot,
            height: self.foot,
            ..self.inner
        };
        (body, foot)
    }
}

/// Has a window a border, and something beside it?
pub(super) fn framed(model: &Model) -> bool {
    model.size.0 >= FRAMED.0 && model.size.1 >= FRAMED.1
}

pub(super) fn draw(model: &Model, dialog: &Dialog, frame: &mut Frame) {
    let (title, body, foot, scroll) = match dialog {
        Dialog::Help(scroll) => ("Keys", help(model), Doc::new(&model.theme, 8), *scroll),
        Dialog::Quit => ("Quit?", quit(model), yes_or_no(model, "quits", "stays"), 0),
        Dialog::Arm(naming) => {
            let (body, foot) = (arming::body(model), arming::foot(model, naming));
            ("Arm production?", body, foot, 0)
        }
        Dialog::GiveUp(device, _) => {
            let body = give_up(model, device.as_str());
            (
                "Give this update up?",
                body,
                yes_or_no(model, "gives it up", "goes back"),
                0,
            )
        }
        Dialog::Confirm(_) | Dialog::Hubs(_) | Dialog::Switch(_) | Dialog::Connecting(_) => return,
    };
    let window = Window::of(model, body.width, body.lines.len(), foot.lines.len());
    let (place, below) = window.draw(model, frame, title);
    body.draw(frame, place, scroll, &model.theme);
    foot.draw(frame, below, 0, &model.theme);
}

/// Lines of the help that do not fit.
pub(super) fn help_overflow(model: &Model) -> usize {
    let help = help(model);
    let window = Window::of(model, help.width, help.lines.len(), 0);
    help.lines.len().saturating_sub(window.body_height())
}

/// What the figures of the first line are.
const FIRST_LINE: &str = "reads 2/60 per s: twins read in the last seconds, of those that \
    the hub's tier leaves to one program. S1? is a tier that nobody has named. \
    day 0.4 %: what this console has spent since it was started, of the messages \
    that the hub takes in a day (UTC); others are not counted. \
    armed 5 min: production may be written to for so long, with a y alone.";

/// The keys that work now, then those of other places, then the commands.
fn help(model: &Model) -> Doc<'_> {
    let mut doc = Doc::new(&model.theme, Window::inner_width(model, 68));
    let here = model.place_below();
    let now = [here, Place::Anywhere];
    for place in now {
        keys(&mut doc, place.title(), model.keymap.at(place));
    }
    let typed = commands::ALL.iter().map(|command| {
        let gap = if command.argument.is_empty() { "" } else { " " };
        let name = format!(":{}{gap}{}", command.name, command.argument);
        (name, command.about)
    });
    listed(&mut doc, "Commands", typed);
    for (place, bindings) in model.keymap.places() {
        if !now.contains(&place) {
            keys(&mut doc, place.title(), bindings);
        }
    }
    doc.blank();
    doc.text(Role::Title, "The first line");
    doc.text(Role::Muted, FIRST_LINE);
    doc
}

fn keys(doc: &mut Doc<'_>, title: &str, bindings: &[Binding]) {
    let lines = bindings.iter().map(|binding| {
        let keys: Vec<&str> = binding.keys.iter().map(|k| shown(k)).collect();
        (keys.join("  "), binding.about.as_str())
    });
    listed(doc, title, lines);
}

/// A heading, and below it what is typed beside what that does.
fn listed<'a>(doc: &mut Doc<'_>, title: &str, lines: impl Iterator<Item = (String, &'a str)>) {
    if !doc.lines.is_empty() {
        doc.blank();
    }
    doc.text(Role::Title, title);
    for (typed, about) in lines {
        let about = super::super::text::wrap(about, doc.width.saturating_sub(KEYS));
        for (n, line) in about.into_iter().enumerate() {
            let typed = if n == 0 { typed.as_str() } else { "" };
            let typed = fit(typed, KEYS - 1) + " ";
            let spans = vec![doc.span(Role::Key, typed), Span::raw(line)];
            doc.line(spans);
        }
    }
}

fn quit(model: &Model) -> Doc<'_> {
    let mut doc = Doc::new(&model.theme, Window::inner_width(model, 60));
    let count = model.in_flight();
    let (are, they) = if count == 1 {
        ("is", "It goes")
    } else {
        ("are", "They go")
    };
    if count == 0 {
        doc.text(Role::Title, "No update is in flight any more.");
        return doc;
    }
    let text = format!("{} {are} in flight.", plural(count, "update"));
    doc.text(Role::Title, &text);
    let text = if model.context.demo {
        "The demo's hub and its devices end with it.".to_owned()
    } else {
        let s = if count == 1 { "" } else { "s" };
        let again = match model.context.keeps_journal {
            true => "`otadeck watch --resume` carries on with it.",
            false => "Nothing is kept of it: `otadeck watch DEVICE` looks at the device again.",
        };
        format!("{they} on on the device{s}; only the watching ends. {again}")
    };
    doc.text(Role::Muted, &text);
    doc
}

fn give_up<'a>(model: &'a Model, device: &str) -> Doc<'a> {
    let mut doc = Doc::new(&model.theme, Window::inner_width(model, 60));
    doc.labelled("device", 9, Some(Role::Title), device, true);
    let text = "The device is not stopped: what it has begun it may finish. \
                Only the watching ends, with the outcome givenUp, and the device \
                is free for another order.";
    doc.text(Role::Muted, text);
    let text = format!(
        "Without the console only another order does that: otadeck update --force {device}."
    );
    doc.text(Role::Hint, &safe(&text));
    doc
}

pub(super) fn yes_or_no<'a>(model: &'a Model, yes: &str, no: &str) -> Doc<'a> {
    let mut doc = Doc::new(&model.theme, 60);
    let named = |action| model.keymap.named(model.place(), action, 1);
    let line = vec![
        doc.span(Role::Key, named(Action::Confirm)),
        Span::raw(format!(" {yes}    ")),
        doc.span(Role::Key, named(Action::Back)),
        Span::raw(format!(" {no}")),
    ];
    doc.line(line);
    doc
}
