//! Help, and the question before quitting.

use super::super::action::Action;
use super::super::message::Effect;
use super::super::model::{Dialog, Model};

/// Quits; asks first while something is in flight, unless it is asked already.
pub(super) fn quit(model: &mut Model) -> Vec<Effect> {
    let asked = model.dialog == Some(Dialog::Quit);
    if asked || model.in_flight() == 0 {
        return vec![Effect::Quit];
    }
    model.dialog = Some(Dialog::Quit);
    Vec::new()
}

/// The answer to that question.
pub(super) fn quit_question(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Confirm => return vec![Effect::Quit],
        Action::Back => model.dialog = None,
        _ => {}
    }
    Vec::new()
}

/// Scrolls or closes the help.
pub(super) fn help(model: &mut Model, action: Action) -> Vec<Effect> {
    let page = usize::from(model.size.1.saturating_sub(4).max(1));
    if let Some(Dialog::Help(scroll)) = &mut model.dialog {
        match action {
            Action::Next => *scroll += 1,
            Action::Previous => *scroll = scroll.saturating_sub(1),
            Action::PageDown => *scroll += page,
            Action::PageUp => *scroll = scroll.saturating_sub(page),
            Action::Back => model.dialog = None,
            _ => {}
        }
    }
    Vec::new()
}
