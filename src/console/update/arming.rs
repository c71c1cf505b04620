//! Production, armed and disarmed by commands. Arming is a question of its own, in
//! which the name is typed: no command does it, so none can be called back to do it.

use super::super::action::Action;
use super::super::message::Effect;
use super::super::model::arming::Naming;
use super::super::model::field::Field;
use super::super::model::{Dialog, Model};
use crate::domain::event::Command;

/// `:arm`: asks for the name; what keeps it from being armed is said.
pub(super) fn arm(model: &mut Model, _: &str) -> Result<Vec<Effect>, String> {
    let profile = &model.context.profile;
    if profile.read_only {
        return Err(format!("{} is read-only: nothing arms it", profile.name));
    }
    if !profile.is_production() {
        let name = &profile.name;
        return Err(format!("{name} is no production hub: y confirms, always"));
    }
    model.dialog = Some(Dialog::Arm(Naming::default()));
    Ok(Vec::new())
}

/// `:disarm`.
pub(super) fn disarm(model: &mut Model, _: &str) -> Result<Vec<Effect>, String> {
    if !model.is_armed() {
        return Err("nothing is armed".to_owned());
    }
    Ok(vec![Effect::Send(Command::Disarm)])
}

/// An action while the name is typed.
pub(super) fn question(model: &mut Model, mut naming: Naming, action: Action) -> Vec<Effect> {
    if action == Action::Submit {
        let name = &model.context.profile.name;
        if naming.field.text().trim() == name {
            return vec![Effect::Send(Command::Arm(name.clone()))];
        }
        naming.wrong = true;
    }
    model.dialog = Some(Dialog::Arm(naming));
    Vec::new()
}

/// Whoever goes on may be somebody else: what was typed to confirm is forgotten, and
/// production is not armed, whatever the engine has told up to now.
pub(super) fn forget(model: &mut Model) {
    model.armed_until = None;
    match &mut model.dialog {
        Some(Dialog::Arm(naming)) => *naming = Naming::default(),
        Some(Dialog::Confirm(order)) => {
            order.name = order.name.take().map(|_| Field::default());
            order.wrong = false;
        }
        _ => {}
    }
}

/// An open question asks for the name when production is not armed any more. Never
/// the other way round: what is typed of a name must not become an answer.
pub(super) fn settle(model: &mut Model) {
    let Some(Dialog::Confirm(order)) = &model.dialog else {
        return;
    };
    if order.name.is_none() && model.wanted(order).is_some() {
        let Some(Dialog::Confirm(order)) = &mut model.dialog else {
            return;
        };
        order.name = Some(Field::default());
    }
}
