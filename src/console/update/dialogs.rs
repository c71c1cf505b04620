//! Help, the list of updates, and the question before quitting.

use super::super::action::Action;
use super::super::message::Effect;
use super::super::model::{Dialog, Focus, Model};
use super::panel;

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

/// Moves in the list of updates, or opens one's device.
pub(super) fn updates(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(Dialog::Updates(at)) = model.dialog else {
        return Vec::new();
    };
    let last = model.updates.len().saturating_sub(1);
    match action {
        Action::Next => model.dialog = Some(Dialog::Updates((at + 1).min(last))),
        Action::Previous => model.dialog = Some(Dialog::Updates(at.saturating_sub(1))),
        Action::Back => model.dialog = None,
        Action::Open => {
            let device = model.updates.listed().get(at).map(|u| u.device.clone());
            model.dialog = None;
            if let Some(device) = device {
                panel::open(model, device, Focus::Details);
            }
        }
        _ => {}
    }
    Vec::new()
}
