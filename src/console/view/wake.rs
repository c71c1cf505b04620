//! When the screen changes by itself: the shortest time after which an age or
//! a count of seconds that is on it says something else. Nothing of that sort
//! on the screen: never.

use jiff::{SignedDuration, Timestamp};

use super::super::model::Model;
use super::super::model::devices::columns::Column;
use super::super::model::history::Played;
use super::super::text::{Grain, next_age, next_count, next_second};
use super::header;
use super::layout::Areas;
use super::state::State;

/// How often a replay is drawn for its ages alone.
const OFTEN: SignedDuration = SignedDuration::from_millis(100);

/// When to wake up and draw again, if nothing happens before.
pub(crate) fn next_wake(model: &Model) -> Option<Timestamp> {
    if let Some(played) = &model.replay {
        return replay(model, played);
    }
    let soonest = [
        model.attention_wakes(),
        table(model),
        panel(model),
        super::flights::wakes(model, &Areas::of(model)),
        outage(model),
        header::wakes(model),
        past(model),
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
    if !areas.shows_table || !model.columns.holds(&Column::Age) {
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

/// A replay tells its next event, or what it shows ages. Ages of its own time
/// may change a hundred times a second; ten are enough.
fn replay(model: &Model, played: &Played) -> Option<Timestamp> {
    let Played {
        replay, tracked, ..
    } = played;
    let event = replay.wakes()?;
    let (now, changed) = (replay.now(), tracked.update.changed);
    let mut ages = next_second(now, Timestamp::UNIX_EPOCH);
    if tracked.update.is_open() {
        ages = ages.min(next_age(now, changed, Grain::Fine));
        ages = ages.min(next_second(now, changed));
    }
    let soonest = model.now.checked_add(OFTEN).unwrap_or(Timestamp::MAX);
    let ages = replay.real(ages).map(|time| time.max(soonest));
    Some(ages.map_or(event, |ages| ages.min(event)))
}

/// The ages of past updates, in whole minutes.
fn past(model: &Model) -> Option<Timestamp> {
    let history = model.history.as_ref()?;
    if let Some(opened) = &history.opened {
        let update = &opened.tracked.update;
        return update
            .is_open()
            .then(|| next_second(model.now, update.changed));
    }
    let rows = history
        .window(Areas::of(model).past_rows())
        .map(|(row, _)| row);
    rows.map(|row| next_age(model.now, row.intended, Grain::Coarse))
        .min()
}
