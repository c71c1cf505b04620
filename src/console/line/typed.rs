//! What a typed line means: the answer to the open question, else a command. The
//! commands are those of the screen's table; those that lines do in another way stand
//! here, with what only lines have.

use tui_input::InputRequest;

use super::super::action::Action;
use super::super::message::{Effect, Message};
use super::super::model::{Dialog, Model};
use super::super::update::{commands, lines, update};
use super::{Talk, Work, ask, say, tell};
use crate::domain::id::DeviceId;
use crate::domain::problem::Kind;
use crate::domain::uri::PackageUri;
use crate::domain::{clean, redact};

/// Characters of what was typed that are repeated in a complaint.
const REPEATED: usize = 60;

/// A command of line mode.
pub(super) struct Own {
    /// Its name; a begin of it that no other shares will do.
    pub(super) name: &'static str,
    /// What follows it, for the help.
    pub(super) argument: &'static str,
    /// What it does.
    pub(super) about: &'static str,
    run: fn(&mut Talk, &mut Model, &str) -> Vec<Effect>,
}

/// All of them, in the order of the help. One that is in the screen's table as well
/// takes its place.
pub(super) const OWN: &[Own] = &[
    Own {
        name: "devices",
        argument: "[FILTER]",
        about: "the devices; those that pass the filter, as after / on the screen",
        run: Talk::list_devices,
    },
    Own {
        name: "device",
        argument: "ID",
        about: "what is known of a device, read now",
        run: Talk::tell_device,
    },
    Own {
        name: "update",
        argument: "ID… URI",
        about: "put a package on devices; asks first",
        run: Talk::ask_update,
    },
    Own {
        name: "updates",
        argument: "",
        about: "the updates of this session",
        run: |talk, model, _| {
            talk.tell_all(tell::updates(model));
            Vec::new()
        },
    },
    Own {
        name: "history",
        argument: "[TEXT]",
        about: "past updates, also of earlier sessions; those that hold the text",
        run: |talk, model, text| {
            let mut effects = lines::past(model, text);
            effects.extend(talk.begin(model, Work::Past));
            effects
        },
    },
    Own {
        name: "give up",
        argument: "[ID]",
        about: "end the watching of an update that is open; asks first",
        run: Talk::ask_give_up,
    },
    Own {
        name: "list",
        argument: "",
        about: "list the hub's devices again",
        run: |talk, model, _| {
            let mut effects = lines::list(model);
            effects.extend(talk.begin(model, Work::List));
            effects
        },
    },
    Own {
        name: "help",
        argument: "",
        about: "what may be typed",
        run: |talk, _, _| {
            talk.tell_all(tell::help());
            Vec::new()
        },
    },
    Own {
        name: "quit",
        argument: "",
        about: "quit; asks only while an update is in flight",
        run: |talk, model, _| {
            let mut effects = lines::quit(model);
            effects.extend(talk.question(model));
            effects
        },
    },
];

/// What the screen's table has and lines have not, and why.
const ONLY_ON_SCREEN: &[(&str, &str)] = &[
    (
        "arm",
        "here an order asks for the hub's name itself, and that arms it",
    ),
    ("columns", "lines name what they tell"),
    ("copy", "lines can be copied as they stand"),
    ("doctor", "otadeck doctor looks at the same"),
    ("forget", "lines have no views"),
    ("hub", "start otadeck --hub NAME beside this one"),
    ("log", "lines tell everything when it happens"),
    ("mouse", "lines have no mouse"),
    ("save", "lines have no views"),
    ("theme", "lines have no colours"),
    (
        "unmark",
        "lines have no marks; name the devices: update ID… URI",
    ),
    ("view", "lines have no views; devices takes a filter"),
];

/// Is this command of the screen's table one that lines have too?
pub(super) fn is_shared(name: &str) -> bool {
    !OWN.iter().any(|own| own.name == name) && !ONLY_ON_SCREEN.iter().any(|(n, _)| *n == name)
}

impl Talk {
    /// A line was typed.
    pub(crate) fn typed(&mut self, model: &mut Model, line: &str) -> Vec<Effect> {
        let line = line.trim();
        if ask::prompt(model).is_some() {
            return self.answer(model, line);
        }
        let line = line.trim_start_matches(':').trim_start();
        if line.is_empty() {
            return Vec::new();
        }
        if matches!(line, "y" | "yes" | "n" | "no") {
            // Why the question did not come was told, and counts.
            self.complain("No question is open. Nothing was done.");
            return Vec::new();
        }
        match command(line) {
            Ok((Named::Own(own), rest)) if own.argument.is_empty() && !rest.is_empty() => {
                self.wrong(&format!("{} takes nothing after it", own.name));
                Vec::new()
            }
            Ok((Named::Own(own), rest)) => (own.run)(self, model, rest),
            Ok((Named::Shared(name), rest)) => self.shared(model, name, rest),
            Err(why) => {
                self.wrong(&why);
                Vec::new()
            }
        }
    }

    /// A line was longer than any that means something.
    pub(crate) fn too_long(&mut self, model: &mut Model) -> Vec<Effect> {
        self.wrong("that line is too long, and was not read");
        match ask::prompt(model) {
            Some(_) => self.no_answer(model, "That is no answer."),
            None => Vec::new(),
        }
    }

    /// Says what is wrong with a line. Nobody at a pipe can type it again, so there it
    /// counts for the end.
    fn wrong(&mut self, why: &str) {
        let why = clean::line(&redact::text(why), super::LONGEST);
        self.complain(&format!("{}. Nothing was done.", why.trim_end_matches('.')));
        if !self.attended {
            self.refuse(Kind::BadRequest, &why);
        }
    }

    /// Runs a command of the screen's table. What it would show on the screen is not
    /// shown.
    fn shared(&mut self, model: &mut Model, name: &str, rest: &str) -> Vec<Effect> {
        if let Some((_, why)) = ONLY_ON_SCREEN.iter().find(|(only, _)| *only == name) {
            self.wrong(&format!("{name} is for the screen: {why}"));
            return Vec::new();
        }
        let mut effects = match lines::command(model, &format!("{name} {rest}")) {
            Ok(effects) => effects,
            Err(why) => {
                self.wrong(&why);
                return Vec::new();
            }
        };
        let opened = model.dialog.is_some() || model.bar.is_some() || model.panel.is_some();
        let of_the_screen = effects.iter().any(|effect| !is_heeded(effect));
        if opened || of_the_screen || model.shows_past() {
            effects.retain(is_heeded);
            self.wrong(&format!("what {name} does is for the screen"));
            effects.extend(lines::close(model));
        } else {
            self.tell(&format!("{name}: done"));
        }
        effects
    }

    /// The line answers the open question: yes, no, or what must be typed to send.
    /// Whatever else somebody types leaves it open; in a pipe it is a no, because the
    /// yes that comes later may be meant for another question.
    fn answer(&mut self, model: &mut Model, line: &str) -> Vec<Effect> {
        let Some(question) = &model.dialog else {
            return Vec::new();
        };
        let named = matches!(question, Dialog::Confirm(order) if order.name.is_some());
        let mut effects = Vec::new();
        match line.to_ascii_lowercase().as_str() {
            "y" | "yes" if !named => effects.extend(update(model, Message::Act(Action::Confirm))),
            _ if named => {
                effects.extend(update(model, Message::Edit(InputRequest::DeleteLine)));
                effects.extend(update(model, Message::Paste(line.to_owned())));
                effects.extend(update(model, Message::Act(Action::Submit)));
            }
            _ => {}
        }
        let Some(question) = &model.dialog else {
            // The device was opened for the question.
            effects.extend(lines::close(model));
            return effects;
        };
        if effects.contains(&Effect::Quit) {
            return effects;
        }
        if matches!(line.to_ascii_lowercase().as_str(), "n" | "no") {
            let left = ask::left(question);
            self.tell(&format!("No: {left}"));
            effects.extend(lines::close(model));
            return effects;
        }
        let why = match question {
            Dialog::Confirm(order) if order.wrong => ask::wrong(model, order),
            Dialog::Confirm(order) if !model.may_ask(&order.device) => {
                format!("{} has an update by now.", order.device)
            }
            _ => "That is no answer.".to_owned(),
        };
        effects.extend(self.no_answer(model, &why));
        effects
    }

    /// The question was answered by something that is no answer.
    fn no_answer(&mut self, model: &mut Model, why: &str) -> Vec<Effect> {
        let Some(question) = &model.dialog else {
            return Vec::new();
        };
        if self.attended {
            let how = ask::again(model);
            self.complain(&format!("{why} {how}"));
            return Vec::new();
        }
        let left = ask::left(question);
        let order = matches!(question, Dialog::Confirm(_));
        self.complain(&format!("{why} The question is taken back: {left}"));
        if order {
            self.refuse(Kind::Unconfirmed, left);
        }
        lines::close(model)
    }

    fn list_devices(&mut self, model: &mut Model, text: &str) -> Vec<Effect> {
        let mut effects = lines::filter(model, text);
        if let Some(wrong) = model.devices.filter().wrong() {
            let wrong = format!("{wrong}; it is taken as it stands");
            self.complain(&wrong);
        }
        effects.extend(self.begin(model, Work::Devices));
        effects
    }

    fn tell_device(&mut self, model: &mut Model, text: &str) -> Vec<Effect> {
        let device = match id(text, "device sim-0001") {
            Ok(device) => device,
            Err(why) => {
                self.wrong(&why);
                return Vec::new();
            }
        };
        let mut effects = lines::open(model, device.clone());
        effects.extend(self.begin(model, Work::Device(device)));
        effects
    }

    fn ask_update(&mut self, model: &mut Model, text: &str) -> Vec<Effect> {
        let (devices, uri) = match order(text) {
            Ok(order) => order,
            Err(why) => {
                self.wrong(&why);
                let offers = tell::offers(model);
                self.complain_all(offers);
                return Vec::new();
            }
        };
        if let Some((kind, why)) = tell::no_orders(model) {
            self.complain(&format!("{why} Nothing was sent to any device."));
            self.refuse(kind, &why);
            return Vec::new();
        }
        let (may, not): (Vec<_>, Vec<_>) = devices.into_iter().partition(|id| model.may_ask(id));
        for device in &not {
            let open = model.updates.open_of(device).map(say::standing);
            let open = open.unwrap_or_else(|| format!("{device}: asked for just now"));
            self.complain(&format!(
                "Left out, because an update of it is open: {open}"
            ));
            self.refuse(Kind::Busy, device.as_str());
        }
        let Some(first) = may.first().cloned() else {
            return Vec::new();
        };
        let mut effects = lines::open(model, first);
        effects.extend(self.begin(model, Work::Order(may, uri)));
        effects
    }

    /// The first device was read: asks, if that can be asked.
    pub(super) fn order(
        &mut self,
        model: &mut Model,
        devices: Vec<DeviceId>,
        uri: &PackageUri,
    ) -> Vec<Effect> {
        let mut devices = devices.into_iter();
        let Some(first) = devices.next() else {
            return Vec::new();
        };
        let others: Vec<DeviceId> = devices.collect();
        let read = std::mem::take(&mut self.read);
        if let Some(problem) = self
            .unread
            .take()
            .or_else(|| tell::unread(model, &first, read))
        {
            self.problem(&problem);
            self.complain("Nothing was sent to any device.");
            self.refused.push(problem);
            return lines::close(model);
        }
        if let Some(unknown) = tell::unknown(model, &others) {
            self.complain(&format!("{unknown} Nothing was sent to any device."));
            self.refuse(Kind::NoSuchDevice, &unknown);
            return lines::close(model);
        }
        let several = !others.is_empty();
        let mut effects = match lines::order(model, &first, uri, others, 0) {
            Ok(effects) => effects,
            Err(problem) => {
                self.problem(&problem);
                self.refused.push(problem);
                return lines::close(model);
            }
        };
        let held = matches!(&model.dialog, Some(Dialog::Confirm(order)) if order.held.is_some());
        if held && several {
            let why = format!("{first} is held by another; take it over alone");
            self.complain(&format!(
                "{why}: update {first} URI. Nothing was sent to any device."
            ));
            self.refuse(Kind::Busy, &why);
            return lines::close(model);
        }
        effects.extend(self.begin(model, Work::Inspect));
        effects
    }

    fn ask_give_up(&mut self, model: &mut Model, text: &str) -> Vec<Effect> {
        let open: Vec<DeviceId> = model.updates.open().map(|u| u.device.clone()).collect();
        let device = match (text, open.as_slice()) {
            ("", []) => Err("no update is open".to_owned()),
            ("", [only]) => Ok(only.clone()),
            ("", several) => {
                let names: Vec<&str> = several.iter().map(DeviceId::as_str).collect();
                Err(format!("which one? open are {}", names.join(", ")))
            }
            (text, _) => id(text, "give up sim-0001"),
        };
        let given = device.and_then(|device| match lines::give_up(model, &device) {
            true => Ok(()),
            false => Err(format!("no update of {device} is open")),
        });
        match given {
            Ok(()) => self.question(model),
            Err(why) => {
                self.wrong(&why);
                Vec::new()
            }
        }
    }
}

/// Is it an effect that the loop of line mode knows?
fn is_heeded(effect: &Effect) -> bool {
    let asks = matches!(effect, Effect::Snapshot | Effect::Past(_));
    asks || matches!(effect, Effect::Send(_) | Effect::Quit)
}

fn id(text: &str, example: &str) -> Result<DeviceId, String> {
    if text.is_empty() {
        return Err(format!("which device? for example {example}"));
    }
    DeviceId::parse(text).map_err(|e| e.to_string())
}

/// The devices and the package of an order, each device once.
fn order(text: &str) -> Result<(Vec<DeviceId>, PackageUri), String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let Some((last, ids)) = words.split_last() else {
        return Err("which devices, and which package? update ID… URI".to_owned());
    };
    let uri = match PackageUri::parse(last) {
        Ok(uri) => uri,
        Err(_) if DeviceId::parse(last).is_ok() && !last.contains('.') => {
            return Err(format!("which package? update {text} URI"));
        }
        Err(why) => return Err(why.to_string()),
    };
    let mut devices = Vec::new();
    for text in ids {
        let device = DeviceId::parse(text).map_err(|e| e.to_string())?;
        if !devices.contains(&device) {
            devices.push(device);
        }
    }
    match devices.is_empty() {
        true => Err("which devices? update ID… URI".to_owned()),
        false => Ok((devices, uri)),
    }
}

/// A command that was named.
#[derive(Clone, Copy)]
pub(super) enum Named {
    /// One of line mode.
    Own(&'static Own),
    /// One of the screen's table alone.
    Shared(&'static str),
}

impl Named {
    fn name(self) -> &'static str {
        match self {
            Self::Own(own) => own.name,
            Self::Shared(name) => name,
        }
    }
}

fn all() -> impl Iterator<Item = Named> {
    let own = |name: &str| OWN.iter().any(|own| own.name == name);
    let shared = commands::ALL.iter().map(|command| command.name);
    let shared = shared.filter(move |name| !own(name)).map(Named::Shared);
    OWN.iter().map(Named::Own).chain(shared)
}

/// The command that a line names, and what follows it.
fn command(line: &str) -> Result<(Named, &str), String> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    // `give up` is two words, and the second may be missing.
    let give = "give up".starts_with(word) || word == "give-up";
    let rest = match rest.strip_prefix("up") {
        Some(more) if give && (more.is_empty() || more.starts_with(' ')) => more.trim(),
        _ => rest,
    };
    let word = if word == "give-up" { "give up" } else { word };
    if let Some(named) = all().find(|named| named.name() == word) {
        return Ok((named, rest));
    }
    let begins: Vec<Named> = all()
        .filter(|named| named.name().starts_with(word))
        .collect();
    match begins.as_slice() {
        [named] => Ok((*named, rest)),
        [] => {
            let word = clean::line(&redact::text(word), REPEATED);
            Err(format!("no command \"{word}\"; help tells which there are"))
        }
        // These have always meant a device, and quitting.
        [_, device, ..] if device.name() == "device" => Ok((*device, rest)),
        several if word == "q" => {
            let quit = several.iter().find(|named| named.name() == "quit");
            quit.map(|quit| (*quit, rest))
                .ok_or_else(|| "quit ends it".to_owned())
        }
        several => {
            let names: Vec<&str> = several.iter().map(|named| named.name()).collect();
            Err(format!("\"{word}\" may be {}", names.join(" or ")))
        }
    }
}
