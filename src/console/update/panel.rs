//! The opened device: its details, and the way between updates in flight.

use super::super::action::Action;
use super::super::message::Effect;
use super::super::model::field::Field;
use super::super::model::{Bar, Dialog, Focus, Model, Panel};
use super::super::view::layout::Areas;
use crate::domain::id::DeviceId;

/// Opens a device, with the cursor in an empty package field if `focus` asks
/// for that and an update may be asked for.
pub(super) fn open(model: &mut Model, device: DeviceId, focus: Focus) {
    let focus = if model.may_ask(&device) {
        focus
    } else {
        Focus::Details
    };
    model.devices.select(&device);
    model.panel = Some(Panel {
        device,
        focus,
        field: Field::default(),
        submitted: false,
        dropped: Default::default(),
        scroll: 0,
        raw: false,
        search: String::new(),
    });
}

/// An action while the keys go to the details.
pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let page = usize::from(Areas::of(model).panel.height.max(2)) - 1;
    let Some(device) = model.panel.as_ref().map(|p| p.device.clone()) else {
        return Vec::new();
    };
    let may_ask = model.may_ask(&device);
    match action {
        Action::Next => scroll(model, |at| at + 1),
        Action::Previous => scroll(model, |at| at.saturating_sub(1)),
        Action::PageDown => scroll(model, |at| at + page),
        Action::PageUp => scroll(model, |at| at.saturating_sub(page)),
        Action::First => scroll(model, |_| 0),
        Action::Last => scroll(model, |_| usize::MAX),
        Action::Open | Action::Switch if may_ask => {
            if let Some(panel) = &mut model.panel {
                panel.focus = Focus::Field;
                panel.scroll = 0;
            }
        }
        Action::Back if model.panel.as_ref().is_some_and(|p| !p.search.is_empty()) => {
            search(model, String::new());
        }
        Action::Back | Action::Switch => model.panel = None,
        Action::List => return super::table::list(model),
        Action::History => super::history::open(model, device.as_str()),
        Action::Filter => {
            let text = model.panel.as_ref().map_or("", |panel| &panel.search);
            model.bar = Some(Bar::Search(Field::holding(text)));
        }
        Action::Prompt => model.bar = Some(Bar::Prompt(Default::default())),
        Action::Copy => return super::copying::most_useful(model),
        Action::Raw => {
            if let Some(panel) = &mut model.panel {
                panel.raw = !panel.raw;
            }
        }
        Action::Updates => super::flights::open(model),
        Action::Log => super::log::open(model, ""),
        Action::NextUpdate | Action::PreviousUpdate => {
            let forward = action == Action::NextUpdate;
            if let Some(id) = neighbour_in_flight(model, forward) {
                open(model, id, Focus::Details);
            }
        }
        Action::GiveUp => {
            if let Some(update) = model.updates.open_of(&device) {
                model.dialog = Some(Dialog::GiveUp(device, update.id.clone()));
            }
        }
        _ => {}
    }
    Vec::new()
}

/// An action while a search is typed.
pub(super) fn searching(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(Bar::Search(field)) = model.bar.take() else {
        return Vec::new();
    };
    match action {
        Action::Submit => search(model, field.text().trim().to_owned()),
        Action::Back => search(model, String::new()),
        _ => model.bar = Some(Bar::Search(field)),
    }
    Vec::new()
}

fn search(model: &mut Model, text: String) {
    if let Some(panel) = &mut model.panel {
        panel.search = text;
    }
}

fn scroll(model: &mut Model, to: impl FnOnce(usize) -> usize) {
    if let Some(panel) = &mut model.panel {
        panel.scroll = to(panel.scroll);
    }
}

/// The next device, in the order of ids and round the end, that has an update
/// in flight.
pub(super) fn neighbour_in_flight(model: &Model, forward: bool) -> Option<DeviceId> {
    let mut ids: Vec<&DeviceId> = model.updates.open().map(|update| &update.device).collect();
    ids.sort();
    let here = match &model.panel {
        Some(panel) => Some(&panel.device),
        None => model.devices.selected(),
    };
    let found = if forward {
        ids.iter().find(|id| Some(**id) > here).or(ids.first())
    } else {
        let before = ids.iter().rev().find(|id| Some(**id) < here);
        before.or(ids.last())
    };
    found.map(|id| (*id).clone())
}
