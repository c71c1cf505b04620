//! What is wrong with the whole, right under the header, readable to its end.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::super::model::Model;
use super::super::text::{as_of, cut, safe, wrap};
use super::super::theme::Role;
use super::doc::Doc;
use super::layout::is_roomy;
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

fn document(model: &Model, width: u16) -> Doc<'_> {
    let mut doc = Doc::new(&model.theme, usize::from(width.saturating_sub(2)));
    if let Some(heard) = model.link.heard.filter(|_| model.is_aging()) {
        let text = format!("! {} · r tries", as_of(model.now, heard));
        doc.text(Role::Doubt, &text);
    }
    if let Some(problem) = &model.unwritten {
        doc.problem(Role::Bad, "✗", problem);
    }
    if let Some(problem) = &model.link.problem {
        match model.link.state {
            Link::Online => {}
            Link::Unauthorized => told(&mut doc, model, Role::Bad, "✗", problem),
            _ => told(&mut doc, model, Role::Doubt, "!", problem),
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

/// What is wrong with the way to the hub. Where there is little room its cause is cut,
/// so that what to do can be read to its end.
fn told(doc: &mut Doc<'_>, model: &Model, role: Role, sign: &str, problem: &Problem) {
    let begin = doc.lines.len();
    doc.problem(role, sign, problem);
    let hint = match problem.hint.is_empty() {
        true => 0,
        false => wrap(&safe(&problem.hint), doc.width.saturating_sub(2)).len(),
    };
    let said = doc.lines.len() - begin - hint;
    if is_roomy(model) || hint == 0 || said <= SAID {
        return;
    }
    let line = format!("{sign} {}", safe(&problem.line()));
    let kept = wrap(&line, doc.width).into_iter().take(SAID);
    let mut kept: Vec<String> = kept.collect();
    if let Some(last) = kept.last_mut() {
        *last = format!(
            "{}…",
            cut(last, doc.width.saturating_sub(1)).trim_end_matches('…')
        );
    }
    let kept = kept
        .into_iter()
        .map(|text| Line::from(doc.span(role, text)));
    let kept: Vec<Line<'static>> = kept.collect();
    doc.lines.splice(begin..begin + said, kept);
}
