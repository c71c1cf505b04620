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
use super::log;

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
        model.dialog = None;
        log::show(model, text);
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
                log::show(model, text);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::console::message::Message;
    use crate::console::model::{Asked, Context};
    use crate::console::press;
    use crate::console::update::update;
    use crate::domain::event::{Event, InventoryState, What};
    use crate::domain::id::DeviceId;
    use crate::domain::profile::Profile;

    fn profile(name: &str) -> Profile {
        Profile {
            name: name.into(),
            host: format!("{name}.azure-devices.net"),
            environment: None,
            read_only: false,
            tier: None,
            units: 1,
        }
    }

    fn hubs() -> Vec<HubEntry> {
        let hub = |name: &str| HubEntry {
            name: name.into(),
            ..HubEntry::default()
        };
        ["lab", "plant", "plant-2"].map(hub).into()
    }

    fn context(name: &str) -> Context {
        Context {
            hubs: hubs(),
            ..Context::new(profile(name))
        }
    }

    fn console() -> Model {
        Model::new(context("plant"), (80, 24), Timestamp::UNIX_EPOCH)
    }

    /// The same with an order on the way.
    fn busy() -> Model {
        let mut model = console();
        let device = DeviceId::parse("a-1").unwrap();
        model.asked.insert(device, Asked::Waiting("fw.bin".into()));
        model
    }

    fn granted(model: &mut Model, name: &str, granted: Granted) -> Vec<Effect> {
        update(model, Message::Granted(Wish::Connect(name.into()), granted))
    }

    fn wish(name: &str) -> Effect {
        Effect::Hubs(Wish::Connect(name.into()))
    }

    /// The terminal is told there what the operator has set, and not the defaults.
    #[test]
    fn what_the_operator_has_set_is_carried_along() {
        let mut context = context("plant");
        context.wire.title = false;
        let mut model = Model::new(context, (80, 24), Timestamp::UNIX_EPOCH);
        press(&mut model, ":mouse on<enter>:columns age<enter>").unwrap();
        let mut there = self::context("lab");
        there.carried = Some(model.carried());
        let there = Model::new(there, (80, 24), Timestamp::UNIX_EPOCH);
        assert!(!there.context.wire.title && there.mouse);
        assert_eq!(there.columns, model.columns);
    }

    /// A dismissed notice is still in the log.
    #[test]
    fn a_hub_that_cannot_be_had_is_in_the_log_too() {
        let mut model = console();
        press(&mut model, ":hub lab<enter>").unwrap();
        granted(&mut model, "lab", Granted::Refused("no secret".into()));
        press(&mut model, "<esc>").unwrap();
        assert_eq!(model.notice, None);
        assert_eq!(model.log.holding("no secret").len(), 1);
    }

    #[test]
    fn nothing_is_left_before_the_other_hub_is_ready() {
        let mut model = console();
        assert_eq!(press(&mut model, ":hub lab<enter>").unwrap(), [wish("lab")]);
        assert_eq!(model.dialog, Some(Dialog::Connecting("lab".into())));
        let switch = granted(&mut model, "lab", Granted::Ready);
        assert_eq!(switch, [Effect::Switch]);
    }

    #[test]
    fn a_hub_that_cannot_be_had_is_said_and_the_present_one_stays() {
        let mut model = console();
        press(&mut model, ":hub lab<enter>").unwrap();
        let why = Granted::Refused("the environment variable LAB is not set".into());
        assert_eq!(granted(&mut model, "lab", why), []);
        assert_eq!(model.dialog, None);
        let told = "No way to lab: the environment variable LAB is not set. \
                    Nothing has changed; this is plant.";
        assert_eq!(model.notice.as_deref(), Some(told));
    }

    #[rstest::rstest]
    #[case("<esc>")]
    #[case("q")]
    fn what_was_called_off_changes_nothing_when_it_comes(#[case] key: &str) {
        let mut model = console();
        press(&mut model, ":hub lab<enter>").unwrap();
        assert_eq!(press(&mut model, key).unwrap(), [Effect::CallOff]);
        assert_eq!(granted(&mut model, "lab", Granted::Ready), []);
        // Nor does one that is not the one that is waited for.
        press(&mut model, ":hub plant-2<enter>").unwrap();
        assert_eq!(granted(&mut model, "lab", Granted::Ready), []);
        assert_eq!(model.dialog, Some(Dialog::Connecting("plant-2".into())));
    }

    /// While it is waited for no other key means anything.
    #[test]
    fn no_key_reaches_what_lies_behind() {
        let mut model = console();
        press(&mut model, ":hub lab<enter>").unwrap();
        assert_eq!(press(&mut model, "jy<enter>?:/uHra<space>").unwrap(), []);
        assert_eq!(model.dialog, Some(Dialog::Connecting("lab".into())));
        assert_eq!((&model.bar, &model.panel), (&None, &None));
        // A stop calls it off: whoever goes on may be somebody else.
        update(&mut model, Message::Suspended);
        assert_eq!(granted(&mut model, "lab", Granted::Ready), []);
    }

    #[test]
    fn while_something_is_in_flight_it_asks() {
        let mut model = busy();
        assert_eq!(press(&mut model, ":hub lab<enter>").unwrap(), []);
        assert_eq!(model.dialog, Some(Dialog::Switch("lab".into())));
        assert_eq!(press(&mut model, "n").unwrap(), []);
        assert_eq!(model.dialog, None);
        press(&mut model, ":hub lab<enter>").unwrap();
        assert_eq!(press(&mut model, "y").unwrap(), [wish("lab")]);
    }

    #[test]
    fn the_list_picks_one() {
        let mut model = console();
        let asked = press(&mut model, ":hub<enter>").unwrap();
        assert_eq!(asked, [Effect::Hubs(Wish::List)]);
        assert_eq!(model.dialog, Some(Dialog::Hubs(1)), "the one in use");
        assert_eq!(press(&mut model, "<enter>").unwrap(), [Effect::CallOff]);
        assert_eq!(model.dialog, None);
        press(&mut model, ":hub<enter>jjj").unwrap();
        assert_eq!(model.dialog, Some(Dialog::Hubs(2)));
        let fewer = Granted::Hubs(hubs()[..1].into());
        update(&mut model, Message::Granted(Wish::List, fewer));
        assert_eq!(press(&mut model, "<enter>").unwrap(), [wish("lab")]);
        press(&mut model, "<esc>:hub<enter>").unwrap();
        assert_eq!(press(&mut model, "<esc>").unwrap(), [Effect::CallOff]);
    }

    #[rstest::rstest]
    #[case("moon", "no hub \"moon\"; there are lab, plant, plant-2")]
    #[case("plant", "plant is the hub in use")]
    fn mistakes_are_said(#[case] name: &str, #[case] told: &str) {
        assert_eq!(command(&mut console(), name), Err(told.to_owned()));
    }

    #[test]
    fn names_are_completed_but_not_that_of_the_hub_in_use() {
        let model = console();
        assert_eq!(complete(&model, ""), ["lab", "plant-2"]);
        assert_eq!(complete(&model, "pl"), ["plant-2"]);
    }

    #[test]
    fn the_look_and_the_order_are_carried_over_and_nothing_that_was_meant_for_a_device() {
        let mut model = console();
        let device_id = DeviceId::parse("a-1").unwrap();
        let row = crate::domain::device::DeviceRow {
            device_id: device_id.clone(),
            connection: Default::default(),
            status: Default::default(),
            last_activity: None,
            firmware: None,
            reported_status: None,
            phase: None,
            last_update: None,
            tags: Default::default(),
            seen: Timestamp::UNIX_EPOCH,
        };
        let device = Box::new(row);
        let what = What::Device { device };
        let row = Event::device(Timestamp::UNIX_EPOCH, device_id, what.clone());
        let listed = What::Inventory {
            state: InventoryState::Complete,
            count: 1,
            skipped: 0,
            problem: None,
        };
        let query = Some("tags.a = 1".to_owned());
        let general = |what| Event::general(Timestamp::UNIX_EPOCH, what);
        let events = [
            general(What::Narrowed { query }),
            row.clone(),
            general(listed),
        ];
        update(&mut model, Message::Events(Arc::from(events)));
        press(
            &mut model,
            ":theme mono<enter>:sort age down<enter><space>/a<enter>",
        )
        .unwrap();
        press(&mut model, "<enter>https://x.test/fw.bin").unwrap();
        assert_eq!(model.devices.marks().len(), 1);

        let next = Context {
            carried: Some(model.carried()),
            ..context("lab")
        };
        let mut next = Model::new(next, (80, 24), Timestamp::UNIX_EPOCH);
        update(&mut next, Message::Events(Arc::from([row])));
        assert_eq!(next.theme, model.theme);
        assert_ne!(next.theme, console().theme);
        assert_eq!(next.devices.order(), model.devices.order());
        assert_eq!(
            (&next.panel, &next.bar, &next.dialog),
            (&None, &None, &None)
        );
        assert_eq!(next.devices.filter().text(), "");
        assert!(next.devices.marks().is_empty() && next.inventory.query.is_none());
        assert_eq!(next.context.hub, "lab");
        press(&mut next, ":<up>").unwrap();
        let text = "sort age down";
        assert!(
            matches!(&next.bar, Some(crate::console::model::Bar::Prompt(line))
            if line.field.text() == text)
        );
    }
}
