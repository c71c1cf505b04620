//! What line mode does to the model: each in one step, where the screen takes several
//! keys. The questions and the orders are those of the screen.

use super::super::message::Effect;
use super::super::model::{Asked, Dialog, Focus, Model};
use super::{commands, dialogs, history, package, panel, settle, table};
use crate::domain::id::DeviceId;
use crate::domain::problem::Problem;
use crate::domain::uri::PackageUri;

/// Changes the model as a key does: somebody is there, and what follows from the
/// change follows.
fn pressed(model: &mut Model, change: impl FnOnce(&mut Model) -> Vec<Effect>) -> Vec<Effect> {
    model.last_key = model.now;
    let mut effects = change(model);
    settle(model);
    effects.extend(history::settle(model));
    effects.extend(model.attend());
    effects
}

/// Runs what may be typed after `:`.
pub(crate) fn command(model: &mut Model, text: &str) -> Result<Vec<Effect>, String> {
    let mut ran = Ok(());
    let effects = pressed(model, |model| {
        commands::run(model, text).unwrap_or_else(|why| {
            ran = Err(why);
            Vec::new()
        })
    });
    ran.map(|()| effects)
}

/// Opens a device, so that its twin is read.
pub(crate) fn open(model: &mut Model, device: DeviceId) -> Vec<Effect> {
    pressed(model, |model| {
        panel::open(model, device, Focus::Details);
        Vec::new()
    })
}

/// Closes whatever was opened to be told.
pub(crate) fn close(model: &mut Model) -> Vec<Effect> {
    pressed(model, |model| {
        model.panel = None;
        model.history = None;
        model.cover = None;
        model.replay = None;
        model.bar = None;
        model.dialog = None;
        Vec::new()
    })
}

/// Shows only the devices that pass a filter.
pub(crate) fn filter(model: &mut Model, text: &str) -> Vec<Effect> {
    pressed(model, |model| {
        model.devices.set_filter(text.trim());
        Vec::new()
    })
}

/// Lists the hub's devices again.
pub(crate) fn list(model: &mut Model) -> Vec<Effect> {
    pressed(model, table::list)
}

/// Asks the journal for past updates that hold a text.
pub(crate) fn past(model: &mut Model, text: &str) -> Vec<Effect> {
    pressed(model, |model| {
        history::open(model, text);
        Vec::new()
    })
}

/// Asks whether a package shall go onto a device, and onto others with it.
///
/// # Errors
/// Why that cannot be asked.
pub(crate) fn order(
    model: &mut Model,
    device: &DeviceId,
    uri: &PackageUri,
    others: Vec<DeviceId>,
    left_out: usize,
) -> Result<Vec<Effect>, Problem> {
    let effects = pressed(model, |model| {
        package::ask(model, device.clone(), uri, (others, left_out))
    });
    match (&model.dialog, model.asked.get(device)) {
        (None, Some(Asked::Refused(problem))) => Err(problem.clone()),
        _ => Ok(effects),
    }
}

/// Asks whether the watching of a device's update shall end; `false` when none is
/// open.
pub(crate) fn give_up(model: &mut Model, device: &DeviceId) -> bool {
    let open = model.updates.open_of(device);
    let open = open.map(|update| Dialog::GiveUp(device.clone(), update.id.clone()));
    let is_open = open.is_some();
    pressed(model, |model| {
        model.dialog = open;
        Vec::new()
    });
    is_open
}

/// Quits, or asks first.
pub(crate) fn quit(model: &mut Model) -> Vec<Effect> {
    pressed(model, dialogs::quit)
}
