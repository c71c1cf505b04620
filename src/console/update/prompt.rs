//! Text typed in a line of its own: the filter and commands.

use super::super::action::Action;
use super::super::message::Effect;
use super::super::model::command_line::CommandLine;
use super::super::model::field::Field;
use super::super::model::{Bar, Model};
use super::commands;

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
    let Some(Bar::Prompt(mut line)) = model.bar.take() else {
        return Vec::new();
    };
    match action {
        Action::Back => return Vec::new(),
        Action::Submit => {
            let text = line.field.text().trim().to_owned();
            match commands::run(model, &text) {
                Ok(effects) => {
                    if !text.is_empty() {
                        model.typed.remember(&text);
                    }
                    return effects;
                }
                Err(why) => line.wrong = Some(why),
            }
        }
        Action::Complete => {
            if let Some(text) = commands::completed(model, line.field.text()) {
                line = CommandLine::holding(&text);
            }
        }
        Action::Previous => line.earlier(&model.typed),
        Action::Next => line.later(&model.typed),
        _ => {}
    }
    model.bar = Some(Bar::Prompt(line));
    Vec::new()
}
