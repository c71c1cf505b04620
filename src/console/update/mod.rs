//! What a message does to the model, and what is to be done outside. Pure:
//! the same messages give the same model and the same effects.

mod arming;
pub(crate) mod commands;
mod confirm;
mod copying;
mod dialogs;
mod doctor;
mod engine;
mod flights;
mod history;
mod hub;
pub(crate) mod lines;
mod log;
mod mouse;
mod narrow;
mod package;
mod panel;
mod prompt;
mod table;
#[cfg(test)]
mod tests;
mod views;

use super::action::Action;
use super::keymap::Place;
use super::message::{Effect, Message};
use super::model::{Bar, Dialog, Model};
use super::view::layout::Areas;

/// Folds one message into the model.
pub fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    if matches!(
        message,
        Message::Act(_) | Message::Edit(_) | Message::Paste(_) | Message::Mouse(_)
    ) {
        model.last_key = model.now;
        model.brief = None;
    }
    let mut effects = match message {
        Message::Tick(now) => {
            model.now = model.now.max(now);
            if let Some(played) = &mut model.replay {
                played.tick(model.now);
            }
            Vec::new()
        }
        Message::Resize(columns, rows) => {
            model.size = (columns, rows);
            Vec::new()
        }
        Message::Act(action) => act(model, action),
        Message::Edit(request) => {
            edit(model, |field| field.edit(request));
            Vec::new()
        }
        Message::Paste(text) => {
            package::paste(model, &text);
            Vec::new()
        }
        Message::Mouse(done) => mouse::mouse(model, done),
        Message::Views(kept) => {
            views::kept(model, kept);
            Vec::new()
        }
        Message::Events(batch) => engine::events(model, &batch),
        Message::Snapshot(snapshot) => {
            engine::snapshot(model, *snapshot);
            Vec::new()
        }
        Message::Past(ask, past) => {
            history::told(model, &ask, *past);
            Vec::new()
        }
        Message::Granted(wish, granted) => hub::granted(model, &wish, granted),
        Message::Lagged => {
            log::lagged(model);
            Vec::new()
        }
        Message::Checked(check) => {
            doctor::told(model, check);
            Vec::new()
        }
        Message::Notice(text) => {
            log::show(model, text);
            Vec::new()
        }
        Message::Copied(text) => {
            model.brief = Some(text);
            Vec::new()
        }
        Message::Suspended => {
            arming::forget(model);
            hub::call_off(model);
            Vec::new()
        }
    };
    arming::settle(model);
    settle(model);
    effects.extend(history::settle(model));
    log::settle(model);
    doctor::settle(model);
    effects.extend(model.attend());
    effects
}

/// An action at the place where the keys go now.
fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Quit => return dialogs::quit(model),
        Action::Suspend => return vec![Effect::Suspend],
        Action::Help if model.place() != Place::Connecting => {
            model.dialog = Some(Dialog::Help(0));
            return Vec::new();
        }
        _ => {}
    }
    match model.place() {
        Place::Table => table::act(model, action),
        Place::Filter => prompt::filter(model, action),
        Place::Prompt => prompt::prompt(model, action),
        Place::Search => panel::searching(model, action),
        Place::Field => package::field(model, action),
        Place::Pick => package::pick(model, action),
        Place::Details => panel::act(model, action),
        Place::Confirm | Place::Arm => confirm::act(model, action),
        Place::Quit => dialogs::quit_question(model, action),
        Place::Help => dialogs::help(model, action),
        Place::Updates => flights::act(model, action),
        Place::Hubs => hub::list(model, action),
        Place::Connecting => hub::connecting(model, action),
        Place::History => history::list(model, action),
        Place::Find if model.cover.is_some() => log::find(model, action),
        Place::Find => history::find(model, action),
        Place::Record => history::record(model, action),
        Place::Replay => history::replay(model, action),
        Place::Log => log::list(model, action),
        Place::Doctor => doctor::act(model, action),
        Place::Anywhere => Vec::new(),
    }
}

/// Changes the text under the cursor, wherever that is.
fn edit(model: &mut Model, change: impl FnOnce(&mut super::model::field::Field)) {
    match model.place() {
        Place::Filter => prompt::edit_filter(model, change),
        Place::Prompt => {
            if let Some(Bar::Prompt(line)) = &mut model.bar {
                line.edit(change);
            }
        }
        Place::Find if model.cover.is_some() => log::edit(model, change),
        Place::Find => {
            if let Some(history) = &mut model.history {
                change(&mut history.filter);
                // Another text is another question.
                history.problem = None;
            }
        }
        Place::Arm => match &mut model.dialog {
            Some(Dialog::Confirm(order)) => {
                order.name.as_mut().map(change);
                order.wrong = false;
            }
            Some(Dialog::Arm(naming)) => {
                change(&mut naming.field);
                naming.wrong = false;
            }
            _ => {}
        },
        Place::Search => {
            if let Some(Bar::Search(field)) = &mut model.bar {
                change(field);
            }
        }
        Place::Field => {
            if let Some(panel) = &mut model.panel {
                change(&mut panel.field);
                panel.submitted = false;
                panel.dropped = Default::default();
            }
        }
        _ => {}
    }
}

/// Keeps the selected row in its window and every scrolled text within its
/// length, whatever has just changed.
fn settle(model: &mut Model) {
    flights::settle(model);
    let areas = Areas::of(model);
    model.devices.follow(areas.table_rows());
    let most = |lines: usize, height: u16| lines.saturating_sub(usize::from(height));
    if let Some(scroll) = model.panel.as_ref().map(|p| p.scroll).filter(|s| *s > 0) {
        let lines = super::view::panel_length(model, areas.panel.width);
        let scroll = scroll.min(most(lines, areas.panel.height));
        if let Some(panel) = &mut model.panel {
            panel.scroll = scroll;
        }
    }
    let limit = super::view::dialog_overflow(model);
    match &mut model.dialog {
        Some(Dialog::Help(scroll)) => *scroll = (*scroll).min(limit),
        Some(Dialog::Confirm(order)) => order.scroll = order.scroll.min(limit),
        _ => {}
    }
}
