//! The inventory narrowed on the hub itself: `:query`.

use std::collections::BTreeSet;

use super::super::message::Effect;
use super::super::model::{Asking, Model};
use super::log;
use crate::domain::device::DeviceRow;
use crate::domain::event::{Command, InventoryState};
use crate::domain::id::DeviceId;

/// Devices that are named when their marks are gone.
const NAMED: usize = 3;

/// Asks the hub for the devices of a query; without one for all again.
pub(super) fn ask(model: &mut Model, text: &str) -> Result<Vec<Effect>, String> {
    let query = Some(text.to_owned()).filter(|text| !text.is_empty());
    let inventory = &mut model.inventory;
    if query.is_none() && inventory.query.is_none() && inventory.asking.is_none() {
        return Err("all devices are listed; for example :query tags.site = 'lab'".to_owned());
    }
    inventory.asking = Some(Asking(query.clone()));
    Ok(vec![Effect::Send(Command::Query(query))])
}

/// The list goes by another query from now on. What came before in the same batch,
/// `rows`, is of the former one.
pub(super) fn narrowed(model: &mut Model, query: Option<&str>, rows: &mut Vec<DeviceRow>) {
    model.inventory.query = query.map(str::to_owned);
    model.inventory.asking = None;
    if query.is_some() {
        let updates = &model.updates;
        rows.retain(|row| updates.open_of(&row.device_id).is_some());
        model.devices.keep_only(|id| updates.open_of(id).is_some());
    }
}

/// Takes the rows of a list that is whole, or goes on.
pub(super) fn take(model: &mut Model, rows: Vec<DeviceRow>) {
    match model.inventory.is_whole() {
        true => {
            let gone = model.devices.replace(rows);
            say_gone(model, &gone);
        }
        false => model.devices.refill(rows),
    }
}

/// If the list is whole by now: says which marks are gone with their devices.
pub(super) fn forget_marks(model: &mut Model) {
    if model.inventory.is_whole() {
        let gone = model.devices.forget_unlisted();
        say_gone(model, &gone);
    }
}

fn say_gone(model: &mut Model, gone: &BTreeSet<DeviceId>) {
    let names: Vec<&str> = gone.iter().take(NAMED).map(DeviceId::as_str).collect();
    let names = names.join(", ");
    let text = match gone.len() {
        0 => return,
        1 => format!("{names} is not listed any more; its mark is taken away."),
        n if n <= NAMED => {
            format!("{names} are not listed any more; their marks are taken away.")
        }
        n => format!(
            "{names} and {} more are not listed any more; their marks are taken away.",
            n - NAMED
        ),
    };
    log::show(model, text);
}

/// Puts a refused query's message away; `false` when there is none.
pub(super) fn dismiss(model: &mut Model) -> bool {
    let refused = model.inventory.state != Some(InventoryState::Failed);
    refused && model.inventory.problem.take().is_some()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::console::message::Message;
    use crate::console::model::Context;
    use crate::console::update::update;
    use crate::console::{press, view};
    use crate::domain::event::{Event, What};
    use crate::domain::fake;
    use crate::domain::problem::{Kind, Problem};

    fn device(id: &str) -> Event {
        let device_id = DeviceId::parse(id).unwrap();
        let device = Box::new(DeviceRow {
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
        });
        Event::device(Timestamp::UNIX_EPOCH, device_id, What::Device { device })
    }

    fn inventory(state: InventoryState, problem: Option<Problem>) -> Event {
        let what = What::Inventory {
            state,
            count: 0,
            skipped: 0,
            problem,
        };
        Event::general(Timestamp::UNIX_EPOCH, what)
    }

    fn now_by(query: Option<&str>) -> Event {
        let query = query.map(str::to_owned);
        Event::general(Timestamp::UNIX_EPOCH, What::Narrowed { query })
    }

    fn tell(model: &mut Model, events: Vec<Event>) -> Vec<Effect> {
        update(model, Message::Events(Arc::from(events)))
    }

    /// A console on a hub with four devices, `a`, `b` and `c` marked.
    fn console() -> Model {
        let profile = fake::profile();
        let size = (80, 24);
        let mut model = Model::new(Context::new(profile), size, Timestamp::UNIX_EPOCH);
        let mut events: Vec<Event> = ["a", "b", "c", "d"].map(device).into();
        events.push(inventory(InventoryState::Complete, None));
        tell(&mut model, events);
        press(&mut model, "<space><space><space>").unwrap();
        model
    }

    fn marks(model: &Model) -> Vec<&str> {
        let marks = model.devices.marks().iter();
        marks.map(DeviceId::as_str).collect()
    }

    fn screen(model: &Model) -> String {
        let backend = ratatui::backend::TestBackend::new(80, 24);
        let mut terminal = ratatui::Terminal::new(backend).unwrap();
        terminal.draw(|frame| view(model, frame)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn a_query_is_asked_and_then_its_devices_alone_are_shown() {
        let mut model = console();
        let asked = press(&mut model, ":query tags.site = 'lab'<enter>").unwrap();
        let query = Some("tags.site = 'lab'".to_owned());
        assert_eq!(asked, [Effect::Send(Command::Query(query))]);
        tell(&mut model, vec![inventory(InventoryState::Listing, None)]);
        assert!(screen(&model).contains("asking for tags.site = 'lab'…"));
        // The former list may still have a word, in the same batch.
        let query = now_by(Some("tags.site = 'lab'"));
        let page = inventory(InventoryState::Listing, None);
        tell(&mut model, vec![device("late"), query, device("a"), page]);
        assert_eq!((model.devices.len(), marks(&model)), (1, vec!["a"]));
        assert!(screen(&model).contains("Devices 1  where tags.site = 'lab'"));
        tell(&mut model, vec![device("c")]);
        assert_eq!(marks(&model), ["a", "c"], "it is listed again");
        let mut row = model.devices.clone();
        row.unmark();
        assert!(row.forget_unlisted().is_empty(), "unmarked is unmarked");
        assert_eq!(model.notice, None, "more may come");
        let effects = tell(&mut model, vec![inventory(InventoryState::Complete, None)]);
        assert_eq!(effects, [Effect::Snapshot]);
    }

    #[test]
    fn marks_of_devices_that_are_not_listed_are_taken_away_and_that_is_said() {
        let mut model = console();
        model.inventory.state = None;
        tell(&mut model, vec![now_by(Some("x")), device("b")]);
        tell(&mut model, vec![inventory(InventoryState::Complete, None)]);
        let told = "a, c are not listed any more; their marks are taken away.";
        assert_eq!(model.notice.as_deref(), Some(told));
        assert_eq!(marks(&model), ["b"]);
        tell(&mut model, vec![now_by(None), device("a"), device("c")]);
        assert_eq!(marks(&model), ["b"], "and do not come back");
        assert_eq!(
            (model.inventory.query.as_deref(), model.devices.len()),
            (None, 3)
        );
    }

    #[test]
    fn a_refusal_is_said_until_it_is_put_away() {
        let mut model = console();
        press(&mut model, ":query nonsense<enter>").unwrap();
        let cause = "400 ArgumentInvalid: \u{1b}[2J\u{202e}nonsense";
        let problem = Problem::new(Kind::BadRequest, "the hub refused the query", cause);
        let refused = inventory(InventoryState::Complete, Some(problem));
        tell(
            &mut model,
            vec![inventory(InventoryState::Listing, None), refused],
        );
        let shown = screen(&model);
        assert!(shown.contains("the hub refused the query"), "{shown}");
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
        assert!(
            !shown.contains("where") && !shown.contains("asking"),
            "{shown}"
        );
        assert_eq!(model.devices.len(), 4);
        press(&mut model, "<esc>").unwrap();
        assert!(!screen(&model).contains("refused"));
        assert_eq!(marks(&model).len(), 3, "the marks are next");
        let again = press(&mut model, ":<up><enter>").unwrap();
        let query = Some("nonsense".to_owned());
        assert_eq!(again, [Effect::Send(Command::Query(query))]);
    }

    #[test]
    fn what_fits_nothing_says_so() {
        let mut model = console();
        press(&mut model, "<esc>").unwrap();
        let narrowed = now_by(Some("tags.site = 'moon'"));
        tell(
            &mut model,
            vec![narrowed, inventory(InventoryState::Complete, None)],
        );
        let shown = screen(&model);
        assert!(
            shown.contains("No device of this hub fits the query."),
            "{shown}"
        );
        let all = press(&mut model, ":query<enter>").unwrap();
        assert_eq!(all, [Effect::Send(Command::Query(None))]);
        // A device outside of it can be opened by its id.
        press(&mut model, ":device d<enter>").unwrap();
        assert!(model.panel.is_some());
    }

    #[test]
    fn a_snapshot_tells_the_query_too() {
        let mut model = console();
        let snapshot = crate::engine::Snapshot {
            rows: vec![
                model
                    .devices
                    .get(&DeviceId::parse("b").unwrap())
                    .unwrap()
                    .clone(),
            ],
            inventory: Some((InventoryState::Complete, None)),
            armed_until: None,
            query: Some("tags.site = 'lab'".into()),
            link: model.link.clone(),
            updates: Vec::new(),
            starting: Vec::new(),
            refusals: Vec::new(),
            durations: Default::default(),
            budget: model.budget.clone(),
            journal: None,
            resuming: false,
            sequence: 0,
        };
        press(&mut model, ":query tags.site = 'lab'<enter>").unwrap();
        update(&mut model, Message::Snapshot(Box::new(snapshot)));
        assert!(model.inventory.asking.is_none());
        assert_eq!(model.inventory.query.as_deref(), Some("tags.site = 'lab'"));
        assert_eq!((model.devices.len(), marks(&model)), (1, vec!["b"]));
        assert!(model.notice.unwrap().starts_with("a, c are not listed"));
    }
}
