//! The table: moving, opening, listing again.

use super::super::action::Action;
use super::super::message::Effect;
use super::super::model::field::Field;
use super::super::model::{Bar, Focus, Model};
use super::super::view::layout::Areas;
use super::{copying, flights, history, narrow, panel};
use crate::domain::event::{Command, InventoryState};

/// An action while the keys go to the table.
pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let page = isize::try_from(Areas::of(model).table_rows().max(1)).unwrap_or(isize::MAX);
    match action {
        Action::Next => model.devices.step(1),
        Action::Previous => model.devices.step(-1),
        Action::PageDown => model.devices.step(page),
        Action::PageUp => model.devices.step(-page),
        Action::First => model.devices.step(isize::MIN),
        Action::Last => model.devices.step(isize::MAX),
        Action::Open => {
            if let Some(id) = model.devices.selected().cloned() {
                panel::open(model, id, Focus::Field);
            }
        }
        Action::Switch => {
            if let Some(id) = model.devices.selected().cloned() {
                panel::open(model, id, Focus::Details);
            }
        }
        Action::Filter => {
            let field = Field::holding(model.devices.filter().text());
            let before = model.devices.selected().cloned();
            model.bar = Some(Bar::Filter(field, before));
        }
        Action::Copy => return copying::most_useful(model),
        Action::Prompt => model.bar = Some(Bar::Prompt(Default::default())),
        Action::List => return list(model),
        Action::Log => super::log::open(model, ""),
        Action::History => history::open(model, ""),
        Action::Updates => flights::open(model),
        Action::NextUpdate => jump_to_update(model, true),
        Action::PreviousUpdate => jump_to_update(model, false),
        Action::Mark => model.devices.mark(),
        Action::MarkShown => model.devices.mark_shown(),
        Action::Sort => {
            let order = model.devices.order().next(model.columns.all());
            model.devices.set_order(order);
        }
        Action::Reverse => model.devices.set_order(model.devices.order().reversed()),
        Action::Back => back(model),
        _ => {}
    }
    Vec::new()
}

/// Takes back what was done last to the table: the filter, the marks, the message
/// above it.
fn back(model: &mut Model) {
    if !model.devices.filter().text().is_empty() {
        model.devices.set_filter("");
    } else if narrow::dismiss(model) {
        return;
    } else if model.notice.is_none() {
        model.devices.unmark();
    }
    model.notice = None;
}

/// Lists the hub's devices again, unless that is under way. While the hub is away
/// this tries it now.
pub(super) fn list(model: &mut Model) -> Vec<Effect> {
    if model.inventory.state == Some(InventoryState::Listing) && !model.is_aging() {
        return Vec::new();
    }
    model.inventory.again = true;
    vec![Effect::Send(Command::List)]
}

fn jump_to_update(model: &mut Model, forward: bool) {
    if let Some(id) = panel::neighbour_in_flight(model, forward) {
        model.devices.select(&id);
    }
}
