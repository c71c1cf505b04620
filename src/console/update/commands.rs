//! What can be typed after `:`. One table: what runs them, completes them and lists
//! them in the help is the same.

use super::super::action::Action;
use super::super::keymap::Place;
use super::super::message::Effect;
use super::super::model::devices::sort::Order;
use super::super::model::{Dialog, Focus, Model};
use super::{
    arming, copying, dialogs, doctor, flights, history, hub, log, narrow, panel, table, views,
};
use crate::domain::id::DeviceId;

/// What comes of a command, or what is wrong with it.
pub(super) type Ran = Result<Vec<Effect>, String>;

/// Devices that are offered to complete an id.
const OFFERED: usize = 8;

/// One command.
pub(crate) struct Command {
    /// Its name; a begin of it that no other shares will do.
    pub(crate) name: &'static str,
    /// What follows it, for the help: `ID`.
    pub(crate) argument: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
    run: fn(&mut Model, &str) -> Ran,
    /// What may follow, beginning as it was typed.
    complete: fn(&Model, &str) -> Vec<String>,
}

/// All of them, in the order of the help.
pub(crate) const ALL: &[Command] = &[
    Command {
        name: "device",
        argument: "ID",
        about: "go to a device, also to one that is not listed yet",
        run: device,
        complete: ids,
    },
    Command {
        name: "devices",
        argument: "",
        about: "back to the devices",
        run: |model, _| {
            model.panel = None;
            model.flights = None;
            Ok(Vec::new())
        },
        complete: nothing,
    },
    Command {
        name: "updates",
        argument: "",
        about: "the updates of this session",
        run: |model, _| {
            flights::open(model);
            Ok(Vec::new())
        },
        complete: nothing,
    },
    Command {
        name: "history",
        argument: "[TEXT]",
        about: "past updates, also of earlier sessions; those that hold the text",
        run: |model, text| {
            history::open(model, text);
            Ok(Vec::new())
        },
        complete: nothing,
    },
    Command {
        name: "hub",
        argument: "[NAME]",
        about: "go to another hub; alone: list them",
        run: hub::command,
        complete: hub::complete,
    },
    Command {
        name: "log",
        argument: "[TEXT]",
        about: "what happened in this session; the lines that hold the text",
        run: |model, text| {
            log::open(model, text);
            Ok(Vec::new())
        },
        complete: nothing,
    },
    Command {
        name: "doctor",
        argument: "",
        about: "look at all that an update needs: configuration, network, hub, journal",
        run: |model, _| Ok(doctor::open(model)),
        complete: nothing,
    },
    Command {
        name: "list",
        argument: "",
        about: "list the hub's devices again",
        run: |model, _| Ok(table::list(model)),
        complete: nothing,
    },
    Command {
        name: "query",
        argument: "[CONDITION]",
        about: "list only devices that the hub finds: tags.site = 'lab'; alone: all",
        run: narrow::ask,
        complete: nothing,
    },
    Command {
        name: "sort",
        argument: "COLUMN [down]",
        about: "sort the devices by a column",
        run: sort,
        complete: views::column_names,
    },
    Command {
        name: "columns",
        argument: "[NAME,…]",
        about: "show these columns, in this order, also tag:NAME; alone: the usual ones",
        run: views::columns,
        complete: views::more_columns,
    },
    Command {
        name: "view",
        argument: "NAME",
        about: "take a saved view: filter, columns and order",
        run: views::view,
        complete: views::names,
    },
    Command {
        name: "save",
        argument: "NAME",
        about: "keep filter, columns and order under a name",
        run: views::save,
        complete: views::own_names,
    },
    Command {
        name: "forget",
        argument: "NAME",
        about: "forget a saved view",
        run: views::forget,
        complete: views::own_names,
    },
    Command {
        name: "mouse",
        argument: "on|off",
        about: "wheel and clicks come here, or stay with the terminal",
        run: views::mouse,
        complete: |_, text| begins(["on", "off"].into_iter(), text),
    },
    Command {
        name: "unmark",
        argument: "",
        about: "take all marks away",
        run: |model, _| {
            model.devices.unmark();
            Ok(Vec::new())
        },
        complete: nothing,
    },
    Command {
        name: "theme",
        argument: "NAME",
        about: "take another theme",
        run: theme,
        complete: |model, text| begins(model.context.look.themes().map(|(name, _)| name), text),
    },
    Command {
        name: "copy",
        argument: "WHAT [FILE]",
        about: "copy id, uri, command, evidence or twin: through the terminal, or to a new file",
        run: copying::copy,
        complete: copying::complete,
    },
    Command {
        name: "arm",
        argument: "",
        about: "arm production for some minutes: asks for the hub's name",
        run: arming::arm,
        complete: nothing,
    },
    Command {
        name: "disarm",
        argument: "",
        about: "close production again before its time is over",
        run: arming::disarm,
        complete: nothing,
    },
    Command {
        name: "help",
        argument: "",
        about: "what the keys do",
        run: |model, _| {
            model.dialog = Some(Dialog::Help(0));
            Ok(Vec::new())
        },
        complete: nothing,
    },
    Command {
        name: "quit",
        argument: "",
        about: "quit; asks only while an update is in flight",
        run: |model, _| Ok(dialogs::quit(model)),
        complete: nothing,
    },
];

/// Runs what was typed; what is wrong with it is said in words.
pub(super) fn run(model: &mut Model, text: &str) -> Ran {
    let (name, rest) = split(text);
    if name.is_empty() {
        return Ok(Vec::new());
    }
    let command = named(name)?;
    if command.argument.is_empty() && !rest.is_empty() {
        return Err(format!(":{} takes nothing after it", command.name));
    }
    (command.run)(model, rest)
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim().trim_start_matches(':');
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    (name, rest.trim())
}

/// The command of that name, or the only one that begins so.
fn named(name: &str) -> Result<&'static Command, String> {
    if let Some(command) = ALL.iter().find(|command| command.name == name) {
        return Ok(command);
    }
    let begins: Vec<_> = ALL.iter().filter(|c| c.name.starts_with(name)).collect();
    match begins.as_slice() {
        [command] => Ok(command),
        [] => {
            let names: Vec<&str> = ALL.iter().map(|command| command.name).collect();
            let names = names.join(", ");
            Err(format!("no command {name:?}; there are {names}"))
        }
        // These have always meant a device, and quitting.
        [command, ..] if command.name == "device" => Ok(command),
        several if name == "q" && several.iter().any(|c| c.name == "quit") => named("quit"),
        several => {
            let names: Vec<&str> = several.iter().map(|command| command.name).collect();
            Err(format!("{name:?} may be {}", names.join(" or ")))
        }
    }
}

/// What the line may become, whole: names of commands, or what may follow one.
pub(crate) fn completions(model: &Model, text: &str) -> Vec<String> {
    let text = text.trim_start().trim_start_matches(':');
    let Some((name, rest)) = text.split_once(' ') else {
        let names = ALL.iter().filter(|c| c.name.starts_with(text));
        return names.map(|command| command.name.to_owned()).collect();
    };
    let Ok(command) = named(name) else {
        return Vec::new();
    };
    let rest = (command.complete)(model, rest.trim_start()).into_iter();
    rest.map(|rest| format!("{} {rest}", command.name))
        .collect()
}

/// What the line becomes with tab: as much as all completions have in common.
pub(super) fn completed(model: &Model, text: &str) -> Option<String> {
    let all = completions(model, text);
    let (first, others) = all.split_first()?;
    if others.is_empty() {
        let takes = !first.contains(' ') && named(first).is_ok_and(|c| !c.argument.is_empty());
        return Some(if takes {
            format!("{first} ")
        } else {
            first.clone()
        });
    }
    let common = others.iter().fold(first.as_str(), |common, other| {
        let same = common.char_indices().zip(other.chars());
        let end = same.take_while(|((_, a), b)| a == b).last();
        end.map_or("", |((at, c), _)| &common[..at + c.len_utf8()])
    });
    (common.len() > text.trim_start().len()).then(|| common.to_owned())
}

fn nothing(_: &Model, _: &str) -> Vec<String> {
    Vec::new()
}

fn begins<'a>(names: impl Iterator<Item = &'a str>, text: &str) -> Vec<String> {
    let names = names.filter(|name| name.starts_with(text));
    names.map(str::to_owned).collect()
}

fn ids(model: &Model, text: &str) -> Vec<String> {
    let ids = model.devices.beginning(text).take(OFFERED);
    ids.map(|id| id.as_str().to_owned()).collect()
}

/// Selects a device. One that is not listed is opened all the same while the
/// list may be incomplete: its twin can be read without the list.
fn device(model: &mut Model, text: &str) -> Ran {
    if text.is_empty() {
        return Err("which device? for example :device sim-0001".to_owned());
    }
    let id = DeviceId::parse(text).map_err(|e| e.to_string())?;
    if model.devices.select(&id) {
        model.flights = None;
        return Ok(Vec::new());
    }
    if model.inventory.is_whole() && model.inventory.query.is_none() {
        let key = model.keymap.named(Place::Table, Action::List, 1);
        return Err(format!("no device {id} on this hub; {key} lists again"));
    }
    model.flights = None;
    panel::open(model, id, Focus::Details);
    Ok(Vec::new())
}

/// Sorts by a column, downwards if that is said too.
fn sort(model: &mut Model, text: &str) -> Ran {
    model.devices.set_order(Order::read(text)?);
    Ok(Vec::new())
}

/// Takes another theme; without a name it says which there are.
fn theme(model: &mut Model, name: &str) -> Ran {
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
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::model::Context;
    use crate::domain::fake;
    use jiff::Timestamp;

    fn model() -> Model {
        let profile = fake::profile();
        Model::new(Context::new(profile), (80, 24), Timestamp::UNIX_EPOCH)
    }

    #[rstest::rstest]
    #[case("", None)]
    #[case("t", Some("theme "))]
    #[case("dev", Some("device"))]
    #[case("theme l", Some("theme light"))]
    #[case("th m", Some("theme mono"))]
    #[case("sort p", Some("sort phase"))]
    #[case("sort ", None)]
    #[case("que", Some("query "))]
    #[case("li", Some("list"))]
    #[case("l", None)]
    #[case("xyz", None)]
    #[case("theme é", None)]
    fn tab_completes(#[case] typed: &str, #[case] becomes: Option<&str>) {
        assert_eq!(completed(&model(), typed).as_deref(), becomes);
    }

    #[rstest::rstest]
    #[case("de", "which device?")]
    #[case("x", "no command \"x\"; there are device,")]
    #[case("query", "all devices are listed; for example :query")]
    #[case("qu", "\"qu\" may be query or quit")]
    #[case("list now", ":list takes nothing after it")]
    #[case("theme dusk", "dark, light, mono")]
    fn mistakes_are_said_in_words(#[case] typed: &str, #[case] told: &str) {
        let error = run(&mut model(), typed).unwrap_err();
        assert!(error.contains(told), "{error}");
    }

    #[rstest::rstest]
    #[case("history", "")]
    #[case(":hi press-0040 failed", "press-0040 failed")]
    fn the_past_is_shown_and_filtered(#[case] typed: &str, #[case] filter: &str) {
        let mut model = model();
        run(&mut model, typed).unwrap();
        let history = model.history.as_ref().unwrap();
        assert_eq!(history.text(), filter);
        // The help begins with its keys.
        assert_eq!(model.place_below(), Place::History);
    }

    #[test]
    fn q_quits() {
        assert_eq!(run(&mut model(), "q"), Ok(vec![Effect::Quit]));
    }

    #[test]
    fn every_command_describes_itself() {
        for command in ALL {
            assert!(!command.about.is_empty(), "{}", command.name);
            assert!(named(command.name).is_ok(), "{}", command.name);
        }
    }
}
