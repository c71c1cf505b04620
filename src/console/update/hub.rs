//! Going to another hub: `:hub`.
//!
//! ```text
//!  :hub ─► list ─┐ picked              in flight
//!  :hub NAME ────┴───────────► asks ◄──────────── ?
//!                               │ yes             │ nothing is
//!                               ▼                 ▼
//!                          connecting to NAME… ─── esc ──► as before
//!                               │ ready      │ refused
//!                               ▼            └──► as before, and it is said
//!                            switch
//! ```
//!
//! Until the other hub is ready this one is in use, and nothing has changed.

use super::super::action::Action;
use super::super::hubs::{Granted, HubEntry, Wish};
use super::super::message::Effect;
use super::super::model::{Dialog, Model};

/// Goes to the hub of that name; without one it lists them.
pub(super) fn command(model: &mut Model, name: &str) -> Result<Vec<Effect>, String> {
    let hubs = &model.context.hubs;
    if name.is_empty() {
        let used = hubs.iter().position(|hub| hub.name == model.context.hub);
        model.dialog = Some(Dialog::Hubs(used.unwrap_or_default()));
        return Ok(vec![Effect::Hubs(Wish::List)]);
    }
    if !hubs.iter().any(|hub| hub.name == name) {
        let names: Vec<&str> = hubs.iter().map(|hub| hub.name.as_str()).collect();
        return Err(format!("no hub {name:?}; there are {}", names.join(", ")));
    }
    if name == model.context.hub {
        return Err(format!("{name} is the hub in use"));
    }
    Ok(go(model, name.to_owned()))
}

/// An action in the list of hubs.
pub(super) fn list(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(Dialog::Hubs(at)) = model.dialog else {
        return Vec::new();
    };
    let last = model.context.hubs.len().saturating_sub(1);
    let at = match action {
        Action::Next => (at + 1).min(last),
        Action::Previous => at.saturating_sub(1),
        Action::First => 0,
        Action::Last => last,
        Action::Back => {
            model.dialog = None;
            return vec![Effect::CallOff];
        }
        Action::Open => return pick(model, at),
        _ => at,
    };
    model.dialog = Some(Dialog::Hubs(at));
    Vec::new()
}

fn pick(model: &mut Model, at: usize) -> Vec<Effect> {
    let Some(HubEntry { name, .. }) = model.context.hubs.get(at).cloned() else {
        return Vec::new();
    };
    model.dialog = None;
    if name == model.context.hub {
        return vec![Effect::CallOff];
    }
    go(model, name)
}

/// Asks first while something is in flight.
fn go(model: &mut Model, name: String) -> Vec<Effect> {
    if model.in_flight() == 0 {
        return connect(model, name);
    }
    model.dialog = Some(Dialog::Switch(name));
    Vec::new()
}

/// Has the other hub made ready.
pub(super) fn connect(model: &mut Model, name: String) -> Vec<Effect> {
    model.dialog = Some(Dialog::Connecting(name.clone()));
    model.notice = None;
    vec![Effect::Hubs(Wish::Connect(name))]
}

/// An action while it is made ready.
pub(super) fn connecting(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Back => {
            call_off(model);
            vec![Effect::CallOff]
        }
        _ => Vec::new(),
    }
}

/// What is made ready is not wanted any more.
pub(super) fn call_off(model: &mut Model) {
    if let Some(Dialog::Connecting(name)) = &model.dialog {
        let text = format!(
            "Going to {name} was called off; this is {}.",
            model.context.hub
        );
        model.notice = Some(text);
        model.dialog = None;
    }
}

/// The answer to a wish. One that came too late changes nothing.
pub(super) fn granted(model: &mut Model, wish: &Wish, granted: Granted) -> Vec<Effect> {
    match (wish, granted) {
        (Wish::List, Granted::Hubs(hubs)) => {
            model.context.hubs = hubs;
            let last = model.context.hubs.len().saturating_sub(1);
            if let Some(Dialog::Hubs(at)) = &mut model.dialog {
                *at = (*at).min(last);
            }
        }
        (Wish::Connect(name), granted) => {
            if model.dialog != Some(Dialog::Connecting(name.clone())) {
                return Vec::new();
            }
            if granted == Granted::Ready {
                return vec![Effect::Switch];
            }
            model.dialog = None;
            if let Granted::Refused(why) = granted {
                let here = &model.context.hub;
                let text = format!("No way to {name}: {why}. Nothing has changed; this is {here}.");
                model.notice = Some(text);
            }
        }
        (Wish::List, _) => {}
    }
    Vec::new()
}

/// Names of hubs that begin so, but not that of the one in use.
pub(super) fn complete(model: &Model, text: &str) -> Vec<String> {
    let others = model.context.hubs.iter().map(|hub| hub.name.as_str());
    let others = others.filter(|name| *name != model.context.hub && name.starts_with(text));
    others.map(str::to_owned).collect()
}
