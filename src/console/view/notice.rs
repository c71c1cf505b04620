//! What is wrong with the whole, right under the header, readable to its end.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::super::model::Model;
use super::super::text::{as_of, safe};
use super::super::theme::Role;
use super::doc::Doc;
use super::layout::is_roomy;
use crate::domain::event::Link;

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
            Link::Unauthorized => doc.problem(Role::Bad, "✗", problem),
            _ => doc.problem(Role::Doubt, "!", problem),
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
