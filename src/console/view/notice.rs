//! What is wrong with the whole, right under the header, readable to its end.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::super::action::Action;
use super::super::keymap::Place;
use super::super::model::Model;
use super::super::text::{as_of, cut, safe, wrap};
use super::super::theme::Role;
use super::doc::Doc;
use super::layout::{is_roomy, room};
use crate::domain::event::Link;
use crate::domain::problem::Problem;

/// Lines of a cause, where there is little room.
const SAID: usize = 2;

/// Lines wanted at that width.
pub(super) fn height(model: &Model, width: u16) -> u16 {
    u16::try_from(document(model, width).lines.len()).unwrap_or(u16::MAX)
}

pub(super) fn draw(model: &Model, frame: &mut Frame, area: Rect) {
    document(model, area.width).draw(frame, area, 0, &model.theme);
}

/// All of it; where that is too much, the cause is cut, so that what to do can be read
/// to its end.
fn document(model: &Model, width: u16) -> Doc<'_> {
    let whole = written(model, width, false);
    let room = usize::from(room(model));
    match is_roomy(model) || whole.lines.len() <= room {
        true => whole,
        false => written(model, width, true),
    }
}

fn written(model: &Model, width: u16, short: bool) -> Doc<'_> {
    let mut doc = Doc::new(&model.theme, usize::from(width.saturating_sub(2)));
    if let Some(heard) = model.link.heard.filter(|_| model.is_aging()) {
        let key = model.keymap.named(Place::Table, Action::List, 1);
        let text = format!("! {} · {key} tries", as_of(model.now, heard));
        doc.text(Role::Doubt, &text);
    }
    if let Some(problem) = &model.unwritten {
        doc.problem(Role::Bad, "✗", problem);
    }
    if let Some(problem) = &model.link.problem {
        match model.link.state {
            Link::Online => {}
            Link::Unauthorized => told(&mut doc, (Role::Bad, "✗"), problem, short),
            _ => told(&mut doc, (Role::Doubt, "!"), problem, short),
        }
    }
    if let Some(notice) = &model.notice {
        doc.text(Role::Hint, &safe(notice));
    }
    if !doc.lines.is_empty() && is_roomy(model) {
        doc.blank();
    }
    doc
}

/// What is wrong with the way to the hub, with its cause cut if it is to be short.
fn told(doc: &mut Doc<'_>, (role, sign): (Role, &str), problem: &Problem, short: bool) {
    let line = format!("{sign} {}", safe(&problem.line()));
    let lines = wrap(&line, doc.width);
    if !short || problem.hint.is_empty() || lines.len() <= SAID {
        return doc.problem(role, sign, problem);
    }
    let room = doc.width.saturating_sub(1);
    for (n, text) in lines.into_iter().take(SAID).enumerate() {
        let text = match n + 1 {
            SAID => format!("{}…", cut(&text, room).trim_end_matches(['…', ' '])),
            _ => text,
        };
        doc.text(role, &text);
    }
    doc.indented(Role::Hint, 2, &safe(&problem.hint));
}
