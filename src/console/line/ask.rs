//! The questions, with the facts of the screen's own, and what answers them.

use super::super::model::{Dialog, Model, Order};
use super::super::text::{count, plural, safe};
use super::super::update::lines;
use super::Talk;
use crate::console::message::Effect;
use crate::domain::clean;
use crate::domain::dialect::Values;
use crate::domain::id::DeviceId;
use crate::domain::preflight::Weight;
use crate::domain::problem::Kind;

/// Devices of an order that are named.
const NAMED: usize = 20;

/// What may be typed while a question is open, in a word.
pub(super) fn prompt(model: &Model) -> Option<&'static str> {
    match model.dialog.as_ref()? {
        Dialog::Confirm(order) => match (&order.held, is_guarded(model)) {
            (None, false) => Some("yes or no"),
            (None, true) => Some("hub"),
            (Some(_), false) => Some("device"),
            (Some(_), true) => Some("hub device"),
        },
        Dialog::GiveUp(..) | Dialog::Quit => Some("yes or no"),
        // The commands that would open these are for the screen.
        _ => None,
    }
}

/// Is the hub's name asked for before anything is sent to it?
fn is_guarded(model: &Model) -> bool {
    model.context.profile.is_production() && !model.is_armed()
}

/// Does the open question wait for what the package's server says?
pub(super) fn waits(model: &Model) -> bool {
    matches!(&model.dialog, Some(Dialog::Confirm(order)) if order.waiting)
}

/// What follows when a question is not answered, or with no.
pub(super) fn left(question: &Dialog) -> &'static str {
    match question {
        Dialog::Confirm(_) => "nothing was sent to any device.",
        Dialog::GiveUp(..) => "nothing was given up.",
        _ => "nothing was done.",
    }
}

impl Talk {
    /// Asks the question that has come up.
    pub(super) fn question(&mut self, model: &mut Model) -> Vec<Effect> {
        let lines = match &model.dialog {
            Some(Dialog::Confirm(order)) => {
                let mut lines = facts(model, order);
                if let Some(refusal) = order.refusal() {
                    let why = format!("{} is not sent: {}", order.uri.file_name(), refusal.text);
                    lines.push(format!("{why}. Nothing was sent to any device."));
                    self.complain_all(lines);
                    self.refuse(Kind::NotAllowed, &why);
                    return lines::close(model);
                }
                lines.insert(0, "Send this update?".to_owned());
                lines.push(how(model, order));
                lines
            }
            Some(Dialog::GiveUp(device, _)) => give_up(device),
            Some(Dialog::Quit) => quit(model),
            _ => return Vec::new(),
        };
        self.complain_all(lines);
        self.asks = true;
        Vec::new()
    }
}

fn give_up(device: &DeviceId) -> Vec<String> {
    let what = "The device is not stopped: what it has begun it may finish. Only the watching \
                ends, with the outcome givenUp, and the device is free for another order.";
    vec![
        format!("Give the update of {device} up? {what}"),
        "Type yes to give it up, no to go back.".to_owned(),
    ]
}

fn quit(model: &Model) -> Vec<String> {
    let them = plural(model.in_flight(), "update");
    let what = match model.context.demo {
        true => "The demo's hub and its devices end with it.",
        false => {
            "What was begun goes on on the devices; only the watching ends. \
             otadeck watch --resume carries on with it."
        }
    };
    vec![
        format!("Quit? {them} in flight. {what}"),
        "Type yes to quit, no to stay.".to_owned(),
    ]
}

/// How to say yes.
fn how(model: &Model, order: &Order) -> String {
    let Some(wanted) = model.wanted(order) else {
        return "Type yes to send it, no to go back.".to_owned();
    };
    let why = match (is_guarded(model), &order.held) {
        (_, None) => "Production",
        (true, Some(_)) => "Production, and taken over",
        (false, Some(_)) => "To take it over",
    };
    format!("{why}: type {} to send it, no to go back.", safe(&wanted))
}

/// What was typed instead of that.
pub(super) fn wrong(model: &Model, order: &Order) -> String {
    let what = match (is_guarded(model), &order.held) {
        (_, None) => "the hub's name",
        (true, Some(_)) => "the hub's name and the device's id",
        (false, Some(_)) => "the device's id",
    };
    format!("That is not {what}.")
}

/// How an open question is answered, for whoever has answered otherwise.
pub(super) fn again(model: &Model) -> String {
    match &model.dialog {
        Some(Dialog::Confirm(order)) => how(model, order),
        _ => "Type yes or no.".to_owned(),
    }
}

/// What is going to happen, a fact a line.
fn facts(model: &Model, order: &Order) -> Vec<String> {
    let profile = &model.context.profile;
    let mut facts = Facts::default();
    devices(&mut facts, order);
    let environment = match (profile.is_production(), &profile.environment) {
        (true, _) => ", PRODUCTION".to_owned(),
        (false, Some(name)) => format!(", {}", safe(name)),
        (false, None) => String::new(),
    };
    let hub = format!(
        "{}{environment}, {}",
        safe(&profile.name),
        safe(&profile.host)
    );
    facts.add("hub", &hub);
    facts.add("package", order.uri.redacted());
    findings(&mut facts, order, Weight::Warning, "warning");
    if let Some(held) = &order.held {
        let text = "It ends as given up; the device itself is not stopped";
        facts.add(
            "taken over",
            &format!("{}. {text}", safe(&held.to_string())),
        );
    }
    let (dialect, known) = model.dialect(&order.device);
    match dialect.start(&Values::of_uri(order.uri.redacted())) {
        Ok((by, payload)) => {
            facts.add("method", &safe(&by.method));
            facts.add("payload", &clean::json(&payload.to_string()));
        }
        Err(cannot) => facts.add("method", &cannot.to_string()),
    }
    if order.uri.holds_secrets() {
        facts.add(
            "signature",
            "*** hides it here; the device gets the URI whole",
        );
    }
    let line = model.command_of(order, usize::MAX);
    facts.add("command", &line.to_string());
    if line.asks_for_the_uri {
        facts.add("command", "it reads the URI, whole, on stdin");
    }
    findings(&mut facts, order, Weight::Note, "checked");
    if order.waiting {
        facts.add("checked", "the package's server has not answered yet");
    }
    dialects(&mut facts, model, order);
    if !known {
        let text = "not known for sure yet; if it speaks another it gets that one's payload";
        facts.add("dialect", text);
    }
    facts.0
}

#[derive(Default)]
struct Facts(Vec<String>);

impl Facts {
    fn add(&mut self, name: &str, text: &str) {
        self.0.push(format!("{name}: {text}"));
    }
}

/// The device, or how many there are, which, and what that takes of the hub's day.
fn devices(facts: &mut Facts, order: &Order) {
    if order.others.is_empty() {
        facts.add("device", order.device.as_str());
    } else {
        let all = order.others.len() + 1;
        let others = order.others.iter().take(NAMED - 1).map(DeviceId::as_str);
        let mut names: Vec<&str> = std::iter::once(order.device.as_str())
            .chain(others)
            .collect();
        let more = format!("and {} more", count(all - names.len()));
        if all > names.len() {
            names.push(&more);
        }
        facts.add("devices", &format!("{}: {}", count(all), names.join(", ")));
    }
    if let Some(forecast) = &order.forecast {
        facts.add("takes", forecast);
    }
}

/// Dialects of the others that differ from the one whose payload is told.
fn dialects(facts: &mut Facts, model: &Model, order: &Order) {
    let (first, _) = model.dialect(&order.device);
    let others = order.others.iter().map(|id| model.dialect(id));
    let (mut another, mut unknown) = (0, 0);
    for (dialect, known) in others {
        unknown += usize::from(!known);
        another += usize::from(known && dialect.name != first.name);
    }
    if another > 0 {
        let text = format!("{another} of them speak another and get that one's payload");
        facts.add("dialect", &text);
    }
    if unknown > 0 {
        let text =
            format!("of {unknown} more it is read before the order; each gets its own payload");
        facts.add("dialect", &text);
    }
}

fn findings(facts: &mut Facts, order: &Order, weight: Weight, name: &str) {
    for finding in order.findings.iter().filter(|f| f.weight == weight) {
        facts.add(name, &safe(&finding.text));
    }
}
