//! The screen of updates: moving in it, opening a device, choosing which are listed.

use super::super::action::Action;
use super::super::message::Effect;
use super::super::model::{Bar, Dialog, Focus, Model};
use super::super::view::layout::Areas;
use super::{history, panel};

/// Shows the screen.
pub(super) fn open(model: &mut Model) {
    model.flights.get_or_insert_default().left = false;
}

/// An action while the keys go to the list.
pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let page = isize::try_from(Areas::of(model).flight_rows().max(1)).unwrap_or(isize::MAX);
    match action {
        Action::Next => step(model, 1),
        Action::Previous => step(model, -1),
        Action::PageDown => step(model, page),
        Action::PageUp => step(model, -page),
        Action::First => step(model, isize::MIN),
        Action::Last => step(model, isize::MAX),
        Action::Only => {
            if let Some(flights) = &mut model.flights {
                flights.only = flights.only.next();
                flights.scroll = 0;
            }
        }
        Action::Open => enter(model),
        Action::Prompt => model.bar = Some(Bar::Prompt(Default::default())),
        Action::History => {
            let device = model.flight().map(|t| t.update.device.as_str().to_owned());
            history::open(model, device.as_deref().unwrap_or_default());
        }
        Action::GiveUp => {
            let open = model.flight().map(|t| &t.update).filter(|u| u.is_open());
            if let Some(update) = open {
                model.dialog = Some(Dialog::GiveUp(update.device.clone(), update.id.clone()));
            }
        }
        Action::Back => model.flights = None,
        _ => {}
    }
    Vec::new()
}

/// Opens the device of the selected update. When that is closed, the list is back.
pub(super) fn enter(model: &mut Model) {
    let device = model.flight().map(|t| t.update.device.clone());
    if let (Some(device), Some(flights)) = (device, &mut model.flights) {
        flights.left = true;
        panel::open(model, device, Focus::Details);
    }
}

fn step(model: &mut Model, by: isize) {
    let listed = model.flights_listed();
    if let Some(flights) = &mut model.flights {
        flights.step(&listed, by);
    }
}

/// Shows the list again when the device that was opened from it is closed; keeps
/// window and text within their bounds.
pub(super) fn settle(model: &mut Model) {
    let closed = model.panel.is_none();
    let Some(flights) = &mut model.flights else {
        return;
    };
    flights.left &= !closed;
    if !model.shows_flights() {
        return;
    }
    let areas = Areas::of(model);
    let listed = model.flights_listed();
    let lines = super::super::view::flight_length(model, areas.panel.width);
    if let Some(flights) = &mut model.flights {
        flights.follow(&listed, areas.flight_rows());
        let most = lines.saturating_sub(usize::from(areas.panel.height));
        flights.scroll = flights.scroll.min(most);
    }
}
