//! Text typed in a line of its own: the filter and commands.

use super::super::action::Action;
use super::super::message::Effect;
use super::super::model::devices::sort::{Column, Order};
use super::super::model::field::Field;
use super::super::model::{Bar, Dialog, Focus, Model};
use super::{dialogs, panel, table};
use crate::domain::event::InventoryState;
use crate::domain::id::DeviceId;

/// An action while the filter is typed.
pub(super) fn filter(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Submit => {
            // Whoever keeps a filter has chosen what it found.
            model.devices.step(0);
            model.bar = None;
        }
        Action::Next => model.devices.step(1),
        Action::Previous => model.devices.step(-1),
        Action::Back => {
            model.devices.set_filter("");
            if let Some(Bar::Filter(_, Some(before))) = model.bar.take() {
                model.devices.select(&before);
            }
        }
        _ => {}
    }
    Vec::new()
}

/// The filter follows every key.
pub(super) fn edit_filter(model: &mut Model, change: impl FnOnce(&mut Field)) {
    if let Some(Bar::Filter(field, _)) = &mut model.bar {
        change(field);
        model.devices.set_filter(field.text().trim());
    }
}

/// An action while a command is typed.
pub(super) fn prompt(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Back => model.bar = None,
        Action::Submit => {
            let text = match &model.bar {
                Some(Bar::Prompt(field, _)) => field.text().trim().to_owned(),
                _ => String::new(),
            };
            match run(model, &text) {
                Ok(effects) => {
                    model.bar = None;
                    return effects;
                }
                Err(why) => {
                    if let Some(Bar::Prompt(_, wrong)) = &mut model.bar {
                        *wrong = Some(why);
                    }
                }
            }
        }
        _ => {}
    }
    Vec::new()
}

/// Runs a command; what is wrong with it is said in words.
fn run(model: &mut Model, text: &str) -> Result<Vec<Effect>, String> {
    let text = text.trim_start_matches(':');
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    match (verb, rest.trim()) {
        ("", "") => {}
        ("device" | "d", "") => return Err("which device? for example :device sim-0001".to_owned()),
        ("device" | "d", id) => jump(model, id)?,
        ("updates", "") => model.dialog = Some(Dialog::Updates(0)),
        ("sort", column) => sort(model, column)?,
        ("theme", name) => theme(model, name)?,
        ("unmark", "") => model.devices.unmark(),
        ("list", "") => return Ok(table::list(model)),
        ("help", "") => model.dialog = Some(Dialog::Help(0)),
        ("quit" | "q", "") => return Ok(dialogs::quit(model)),
        _ => {
            return Err(
                "no such command; there are device ID, updates, sort COLUMN, unmark, theme NAME, list, help, quit".to_owned(),
            );
        }
    }
    Ok(Vec::new())
}

/// Sorts by a column, downwards if that is said too.
fn sort(model: &mut Model, text: &str) -> Result<(), String> {
    let (name, way) = text.split_once(' ').unwrap_or((text, ""));
    let down = match way.trim() {
        "" | "up" => false,
        "down" => true,
        _ => return Err("a column is sorted up or down: :sort age down".to_owned()),
    };
    let Some(by) = Column::named(name) else {
        let names = Column::ALL.map(Column::name).join(", ");
        return Err(format!("by which column? there are {names}"));
    };
    model.devices.set_order(Order { by, down });
    Ok(())
}

/// Takes another theme; without a name it says which there are.
fn theme(model: &mut Model, name: &str) -> Result<(), String> {
    if name.is_empty() {
        let themes = model.context.look.themes().map(|(name, used)| match used {
            true => format!("{name} (in use)"),
            false => name.to_owned(),
        });
        let names: Vec<String> = themes.collect();
        return Err(format!("which theme? there are {}", names.join(", ")));
    }
    model.context.look.choose(name)?;
    model.theme = model.context.look.theme().clone();
    Ok(())
}

/// Selects a device. One that is not listed is opened all the same while the
/// list may be incomplete: its twin can be read without the list.
fn jump(model: &mut Model, text: &str) -> Result<(), String> {
    let id = DeviceId::parse(text).map_err(|e| e.to_string())?;
    if model.devices.select(&id) {
        return Ok(());
    }
    if model.inventory.state == Some(InventoryState::Complete) {
        return Err(format!("no device {id} on this hub; r lists again"));
    }
    panel::open(model, id, Focus::Details);
    Ok(())
}
