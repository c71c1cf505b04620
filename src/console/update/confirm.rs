//! The questions before something is done to a device.

use super::super::action::Action;
use super::super::keymap::Place;
use super::super::message::Effect;
use super::super::model::{Asked, Dialog, Focus, Model, Order};
use super::{arming, copying};
use crate::domain::event::{Command, Start};

/// URIs of this session that are remembered.
const REMEMBERED: usize = 9;

/// An action while a confirmation is asked for.
pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match (model.dialog.take(), action) {
        (_, Action::Back) => Vec::new(),
        (dialog, Action::Confirm | Action::Submit) if !model.is_readable() => {
            model.brief = Some("Nothing was done: the screen is too small to ask.".to_owned());
            model.dialog = dialog;
            Vec::new()
        }
        (Some(Dialog::Switch(name)), Action::Confirm | Action::Submit) => {
            super::hub::connect(model, name)
        }
        (Some(Dialog::GiveUp(_, update)), Action::Confirm | Action::Submit) => {
            vec![Effect::Send(Command::GiveUp(update))]
        }
        // A key that is held down comes again and again; on production that is no yes.
        (Some(Dialog::Confirm(order)), Action::Submit)
            if order.name.is_none() && model.context.profile.is_production() =>
        {
            let yes = model.keymap.named(Place::Confirm, Action::Confirm, 1);
            model.brief = Some(format!("Production: {yes} sends it."));
            model.dialog = Some(Dialog::Confirm(order));
            Vec::new()
        }
        (Some(Dialog::Confirm(mut order)), Action::Confirm | Action::Submit) => {
            let wanted = model.wanted(&order);
            let typed = order.name.as_ref().map(|typed| words(typed.text()));
            let named = wanted == typed;
            if named && order.refusal().is_none() && model.may_ask(&order.device) {
                return start(model, *order);
            }
            order.wrong = !named;
            model.dialog = Some(Dialog::Confirm(order));
            Vec::new()
        }
        (Some(Dialog::Arm(naming)), action) => arming::question(model, naming, action),
        (Some(Dialog::Confirm(order)), Action::Copy) => {
            let effects = copying::of_order(model, &order);
            model.dialog = Some(Dialog::Confirm(order));
            effects
        }
        (Some(Dialog::Confirm(mut order)), action) => {
            match action {
                Action::Next => order.scroll += 1,
                Action::Previous => order.scroll = order.scroll.saturating_sub(1),
                _ => {}
            }
            model.dialog = Some(Dialog::Confirm(order));
            Vec::new()
        }
        (other, _) => {
            model.dialog = other;
            Vec::new()
        }
    }
}

/// What was typed, without the spaces around and between.
fn words(typed: &str) -> String {
    typed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Sends the order, arming the hub first where its name was typed. The typed text
/// stays in the field until the engine has taken the order, so that a refusal
/// does not cost it.
fn start(model: &mut Model, order: Order) -> Vec<Effect> {
    let mut effects = Vec::new();
    if model.context.profile.is_production() && !model.is_armed() {
        let hub = model.context.profile.name.clone();
        effects.push(Effect::Send(Command::Arm(hub)));
    }
    if !order.others.is_empty() {
        model.devices.unmark();
    }
    model.recent.retain(|known| *known != order.uri);
    model.recent.insert(0, order.uri.clone());
    model.recent.truncate(REMEMBERED);
    if let Some(panel) = &mut model.panel {
        panel.focus = Focus::Details;
        panel.scroll = 0;
    }
    let force = order.held.as_ref().map(|_| order.device.to_string());
    // What was shown may be long over, and the device another's: that one stays.
    let over = order.held.map(|held| held.update_id);
    for device in std::iter::once(order.device).chain(order.others) {
        let waiting = Asked::Waiting(order.uri.file_name().to_owned());
        model.asked.insert(device.clone(), waiting);
        effects.push(Effect::Send(Command::Start(Start {
            force: force.clone(),
            over: over.clone(),
            device,
            uri: order.uri.clone(),
            expect: None,
            reason: None,
            sha256: None,
        })));
    }
    effects
}
