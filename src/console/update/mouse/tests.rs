//! The mouse points and scrolls, and sends nothing.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::console::message::Message;
use crate::console::model::Context;
use crate::console::{press, update};
use crate::domain::device::DeviceRow;
use crate::domain::event::{Command, Event, Intent, InventoryState, What};
use crate::domain::fake;
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::tags::Tags;

fn console(size: (u16, u16)) -> Model {
    let profile = fake::profile();
    let mut model = Model::new(Context::new(profile), size, Timestamp::UNIX_EPOCH);
    let rows = (0..40).map(|n| DeviceRow {
        device_id: DeviceId::parse(&format!("d-{n:02}")).unwrap(),
        connection: Default::default(),
        status: Default::default(),
        last_activity: None,
        firmware: Some(format!("1.{}", n % 3)),
        reported_status: None,
        phase: None,
        last_update: None,
        tags: Tags::of(json!({"site": n % 2}).as_object().unwrap()),
        seen: Timestamp::UNIX_EPOCH,
    });
    let rows = rows.map(|row| {
        let id = row.device_id.clone();
        let device = Box::new(row);
        Event::device(Timestamp::UNIX_EPOCH, id, What::Device { device })
    });
    let mut events: Vec<Event> = rows.collect();
    let listed = What::Inventory {
        state: InventoryState::Complete,
        count: 40,
        skipped: 0,
        problem: None,
    };
    events.push(Event::general(Timestamp::UNIX_EPOCH, listed));
    update(&mut model, Message::Events(events.into()));
    model.mouse = true;
    model
}

fn flies(model: &mut Model, device: &str) {
    let intent = What::Intended(Box::<Intent>::default());
    let id = UpdateId::from_text(device);
    let device = DeviceId::parse(device).unwrap();
    let event = Event::update(Timestamp::UNIX_EPOCH, device, id, intent);
    update(model, Message::Events(vec![event].into()));
}

fn done(model: &mut Model, kind: MouseKind, column: u16, row: u16) -> Vec<Effect> {
    update(model, Message::Mouse(Mouse { kind, column, row }))
}

/// The first row of the table at 80×24: header, rule, heading, heads.
const FIRST: u16 = 4;

fn state(model: &Model) -> String {
    let selected = model.devices.selected().map_or("-", DeviceId::as_str);
    let top = model.devices.beyond(1).0;
    let opened = model.panel.as_ref().map_or("-", |p| p.device.as_str());
    format!(
        "{selected} top {top} in {opened} by {}",
        model.devices.order().text()
    )
}

#[rstest::rstest]
#[case(&[(MouseKind::Click, 9, FIRST + 3)], "d-03 top 0 in - by device")]
#[case(&[(MouseKind::Click, 9, FIRST + 3), (MouseKind::Click, 60, FIRST + 3)], "d-03 top 0 in d-03 by device")]
#[case(&[(MouseKind::Click, 9, FIRST + 3), (MouseKind::Click, 9, FIRST + 4)], "d-04 top 0 in - by device")]
#[case(&[(MouseKind::WheelDown, 9, FIRST)], "d-03 top 3 in - by device")]
#[case(&[(MouseKind::Click, 9, FIRST + 8), (MouseKind::WheelDown, 9, 9), (MouseKind::WheelDown, 9, 9)], "d-08 top 6 in - by device")]
#[case(&[(MouseKind::WheelDown, 9, 9), (MouseKind::Click, 9, FIRST)], "d-03 top 3 in d-03 by device")]
#[case(&[(MouseKind::WheelUp, 9, 9)], "d-00 top 0 in - by device")]
#[case(&[(MouseKind::Click, 4, FIRST - 1)], "d-00 top 0 in - by device down")]
#[case(&[(MouseKind::Click, 16, FIRST - 1)], "d-00 top 0 in - by firmware")]
#[case(&[(MouseKind::Click, 16, FIRST - 1), (MouseKind::Click, 16, FIRST - 1)], "d-00 top 0 in - by firmware down")]
#[case(&[(MouseKind::Click, 78, FIRST - 1)], "d-00 top 0 in - by age")]
#[case(&[(MouseKind::Click, 0, 0), (MouseKind::Click, 9, 2), (MouseKind::Click, 9, 23), (MouseKind::Click, 200, 200)], "d-00 top 0 in - by device")]
fn pointing(#[case] all: &[(MouseKind, u16, u16)], #[case] want: &str) {
    let mut model = console((80, 24));
    for (kind, column, row) in all {
        done(&mut model, *kind, *column, *row);
    }
    let selected = state(&model);
    // Sorting moves lines, and the selection stays with its device.
    let want = want.replace(
        "d-00 top 0 in - by device down",
        "d-39 top 0 in - by device down",
    );
    let free = want.contains(" by firmware") || want.contains(" down") || want.contains(" age");
    match free {
        true => assert!(
            selected.ends_with(want.split(" by ").last().unwrap()),
            "{selected}"
        ),
        false => assert_eq!(selected, want),
    }
}

#[test]
fn while_it_is_off_nothing_is_done() {
    let mut model = console((80, 24));
    press(&mut model, ":mouse off<enter>").unwrap();
    let before = state(&model);
    done(&mut model, MouseKind::WheelDown, 9, 9);
    done(&mut model, MouseKind::Click, 9, 9);
    assert_eq!(state(&model), before);
    press(&mut model, ":mouse on<enter>").unwrap();
    done(&mut model, MouseKind::Click, 9, 9);
    assert_ne!(state(&model), before);
    assert_eq!(press(&mut model, ":mouse<enter>").unwrap(), []);
    assert!(model.bar.is_some(), "it says on or off");
}

#[test]
fn a_list_of_updates_is_pointed_at_too() {
    let mut model = console((120, 40));
    for n in 0..60 {
        flies(&mut model, &format!("d-{n:02}"));
    }
    press(&mut model, "u").unwrap();
    let at = |model: &Model| model.flight().map(|t| t.update.device.to_string());
    done(&mut model, MouseKind::Click, 9, FIRST + 2);
    assert_eq!(at(&model).as_deref(), Some("d-57"));
    done(&mut model, MouseKind::WheelDown, 9, 9);
    assert_eq!(at(&model).as_deref(), Some("d-56"), "it is taken along");
    done(&mut model, MouseKind::Click, 9, FIRST);
    assert_eq!(model.panel.as_ref().unwrap().device.as_str(), "d-56");
    done(&mut model, MouseKind::WheelDown, 100, 9);
    assert!(model.panel.is_some());
}

#[test]
fn a_click_types_nothing_and_ends_no_typing() {
    let mut model = console((80, 24));
    press(&mut model, "/d-1").unwrap();
    done(&mut model, MouseKind::Click, 9, FIRST + 2);
    done(&mut model, MouseKind::Click, 9, FIRST + 2);
    assert!(model.bar.is_some() && model.panel.is_none());
    assert_eq!(model.devices.selected().unwrap().as_str(), "d-12");
    press(&mut model, "2<enter>").unwrap();
    assert_eq!(model.devices.filter().text(), "d-12");
}

/// What reaches a hub or changes an update.
fn writes(effect: &Effect) -> bool {
    match effect {
        Effect::Send(command) => !matches!(
            command,
            Command::Look(_) | Command::Focus(_) | Command::Attend(_)
        ),
        Effect::Quit | Effect::Suspend | Effect::Views(_) => true,
        Effect::Hubs(_) | Effect::CallOff | Effect::Switch => true,
        Effect::Copy(_) | Effect::Examine => true,
        Effect::Snapshot | Effect::Past(_) => false,
    }
}

proptest! {
    /// Wherever one is, whatever is done with the mouse: nothing is sent, nothing is
    /// answered, nothing breaks.
    #[test]
    fn the_mouse_never_writes(
        keys in prop::sample::select(vec![
            "", "u", "?", "q", "H", "<tab>", "<enter>", "<enter>https://x.test/fw.bin<enter>",
            "G<tab>x", "/d-1", ":forget lab", ":quit", "ux",
            "L", ":arm<enter>", ":doctor<enter>", ":hub<enter>", "a<enter>https://x.test/fw.bin<enter>",
        ]),
        all in prop::collection::vec((0..3_u8, 0..130_u16, 0..45_u16), 1..40),
        size in prop::sample::select(vec![(40, 12), (80, 24), (120, 40), (8, 3)]),
    ) {
        let mut model = console(size);
        flies(&mut model, "d-39");
        press(&mut model, keys).unwrap();
        let question = model.place().asks();
        prop_assert_eq!(question, keys.ends_with("bin<enter>") || keys.ends_with('x'), "{}", keys);
        for (kind, column, row) in all {
            let kind = [MouseKind::Click, MouseKind::WheelUp, MouseKind::WheelDown][usize::from(kind)];
            let effects = done(&mut model, kind, column, row);
            prop_assert!(!effects.iter().any(writes), "{:?}", effects);
            prop_assert_eq!(model.place().asks(), question, "a question is not opened or answered");
        }
    }
}
