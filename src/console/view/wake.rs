//! When the screen changes by itself: the shortest time after which an age or
//! a count of seconds that is on it says something else. Nothing of that sort
//! on the screen: never.

use jiff::Timestamp;

use super::super::model::{Dialog, Model};
use super::super::text::{Grain, next_age, next_count, next_second};
use super::layout::Areas;
use super::state::State;

/// When to wake up and draw again, if nothing happens before.
pub(crate) fn next_wake(model: &Model) -> Option<Timestamp> {
    let soonest = [
        model.attention_wakes(),
        table(model),
        panel(model),
        listed(model),
        outage(model),
    ];
    soonest.into_iter().flatten().min()
}

/// While the hub is away: the seconds until the next try, and since it was heard.
fn outage(model: &Model) -> Option<Timestamp> {
    if !model.is_aging() {
        return None;
    }
    let count = model.link.at.and_then(|at| next_count(model.now, at));
    let heard = model.link.heard.map(|heard| next_second(model.now, heard));
    count.into_iter().chain(heard).min()
}

fn table(model: &Model) -> Option<Timestamp> {
    let areas = Areas::of(model);
    if !areas.shows_table {
        return None;
    }
    let rows = model.devices.window(areas.table_rows());
    rows.map(|(row, _)| State::of(model, row))
        .map(|state| next_age(model.now, state.seen, state.grain))
        .min()
}

fn panel(model: &Model) -> Option<Timestamp> {
    let device = model.in_view()?;
    let row = model.row(device);
    let read = row.map(|row| next_age(model.now, row.seen, Grain::Coarse));
    let running = model.updates.open_of(device).map(|update| {
        let changed = next_age(model.now, update.changed, Grain::Fine);
        changed.min(next_second(model.now, update.changed))
    });
    read.into_iter().chain(running).min()
}

fn listed(model: &Model) -> Option<Timestamp> {
    if !matches!(model.dialog, Some(Dialog::Updates(_))) {
        return None;
    }
    let updates = model.updates.open();
    updates
        .map(|update| next_age(model.now, update.changed, Grain::Fine))
        .min()
}
