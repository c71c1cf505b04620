//! What is wrong with the whole, right under the header, readable to its end.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::super::model::Model;
use super::super::text::safe;
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
    if model.ended {
        let text = "✗ otadeck's engine has ended: nothing new will come. Updates go on on the \
                    devices; quit, and `otadeck watch --resume` carries on watching.";
        doc.text(Role::Bad, text);
    }
    if let Some(problem) = &model.unwritten {
        doc.problem(Role::Bad, "✗", problem);
    }
    if let Some(problem) = &model.link.1 {
        match model.link.0 {
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
