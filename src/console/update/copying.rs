//! What may be copied: with a key what is most useful, with `:copy` anything.

use std::path::PathBuf;

use serde_json::json;

use super::super::clipboard::Clip;
use super::super::message::Effect;
use super::super::model::{Model, Order};
use super::super::text::plural;
use super::package;
use crate::domain::clean;
use crate::domain::headless::Line;
use crate::domain::id::DeviceId;
use crate::domain::redact;
use crate::domain::update::Update;
use crate::domain::uri::PackageUri;

/// What can be asked for.
const ALL: [&str; 5] = ["id", "uri", "command", "evidence", "twin"];

/// `:copy WHAT [FILE]`.
pub(super) fn copy(model: &mut Model, text: &str) -> Result<Vec<Effect>, String> {
    let (what, file) = text.split_once(' ').unwrap_or((text, ""));
    let file = Some(file.trim()).filter(|file| !file.is_empty());
    let clip = clip(model, what)?;
    let file = file.map(PathBuf::from);
    Ok(vec![Effect::Copy(Clip { file, ..clip })])
}

/// What may follow `:copy`.
pub(super) fn complete(_: &Model, text: &str) -> Vec<String> {
    let names = ALL.into_iter().filter(|name| name.starts_with(text));
    names.map(str::to_owned).collect()
}

/// What a key copies: in the details what the update rests on, else the id.
pub(super) fn most_useful(model: &mut Model) -> Vec<Effect> {
    let evidence = model.panel.is_some();
    let found = match evidence.then(|| clip(model, "evidence")) {
        Some(Ok(clip)) => Ok(clip),
        _ => clip(model, "id"),
    };
    match found {
        Ok(clip) => vec![Effect::Copy(clip)],
        Err(why) => {
            model.brief = Some(why);
            Vec::new()
        }
    }
}

/// The command of an order that waits for its confirmation.
pub(super) fn of_order(model: &Model, order: &Order) -> Vec<Effect> {
    let line = model.command_of(order, usize::MAX);
    let whom = match order.others.len() {
        0 => order.device.to_string(),
        others => plural(others + 1, "device"),
    };
    vec![Effect::Copy(command(&line, &whom))]
}

fn clip(model: &Model, what: &str) -> Result<Clip, String> {
    // On the screen of updates what is selected there is meant, not what it covers.
    let flight = model.flight().map(|tracked| &tracked.update.device);
    let panel = model.panel.as_ref().map(|panel| &panel.device);
    let device = flight
        .or(panel)
        .or_else(|| model.devices.selected())
        .ok_or("there is no device to copy from")?;
    match what {
        "id" => Ok(Clip::new(format!("the id of {device}"), device.as_str())),
        "uri" => uri(model, device),
        "command" => Ok(command(&line(model, device), device.as_str())),
        "evidence" => evidence(model, device),
        "twin" => twin(model, device),
        _ => Err(format!("copy what? there are {}", ALL.join(", "))),
    }
}

fn command(line: &Line, whom: &str) -> Clip {
    let what = match line.asks_for_the_uri {
        true => format!("the command for {whom}, which reads the URI on stdin"),
        false => format!("the command for {whom}"),
    };
    Clip {
        whole: true,
        ..Clip::new(what, &line.to_string())
    }
}

/// What the field holds, as it would be asked for; else the device's last update;
/// else how to watch it.
fn line(model: &Model, device: &DeviceId) -> Line {
    if let Some(order) = drafted(model) {
        return model.command_of(&order, usize::MAX);
    }
    let uri = update(model, device).and_then(|update| update.intent.uri.as_deref());
    let reach = &model.context.reach;
    match uri.and_then(|uri| PackageUri::parse(uri).ok()) {
        Some(uri) => reach.update(&model.context.profile, &[device], &uri, None),
        None => reach.watch(device),
    }
}

/// The order that the field asks for, where it is in sight.
fn drafted(model: &Model) -> Option<Order> {
    match model.flight() {
        Some(_) => None,
        None => package::drafted(model),
    }
}

fn update<'a>(model: &'a Model, device: &DeviceId) -> Option<&'a Update> {
    model.updates.of(device).map(|tracked| &tracked.update)
}

/// The package's URI, without what signs it.
fn uri(model: &Model, device: &DeviceId) -> Result<Clip, String> {
    let drafted = drafted(model).map(|order| order.uri.redacted().to_owned());
    let updated = || update(model, device).and_then(|update| update.intent.uri.clone());
    let text = drafted
        .or_else(updated)
        .ok_or_else(|| format!("no package was asked for on {device}"))?;
    let signed = PackageUri::parse(&text).is_ok_and(|uri| uri.holds_secrets());
    let without = if signed { ", without its secret" } else { "" };
    let what = format!("the package's URI{without}");
    Ok(Clip::new(what, &redact::text(&text)))
}

/// What the update of a device rests on, as the engine tells it.
fn evidence(model: &Model, device: &DeviceId) -> Result<Clip, String> {
    let update =
        update(model, device).ok_or_else(|| format!("no update of {device} was seen here"))?;
    let verdict = update.verdict.as_ref();
    let of_verdict = verdict.map(|verdict| verdict.evidence.as_ref());
    let last = || update.steps.last().map(|step| &step.evidence);
    let told = json!({
        "deviceId": device,
        "updateId": update.id,
        "state": update.word(),
        "reason": verdict.map(|verdict| &verdict.reason),
        "evidence": of_verdict.unwrap_or_else(last),
    });
    let pretty = serde_json::to_string_pretty(&clean::bounded(&told)).unwrap_or_default();
    let lines = pretty.lines().map(clean::json).collect::<Vec<_>>();
    let what = format!("what the update of {device} rests on");
    Ok(Clip::new(what, &lines.join("\n")))
}

/// The twin as it is shown as JSON.
fn twin(model: &Model, device: &DeviceId) -> Result<Clip, String> {
    let lines = model.facts.get(device).map(|facts| facts.json.join("\n"));
    let text = lines.filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| format!("the twin of {device} was not read yet; open it"))?;
    Ok(Clip::new(format!("the twin of {device}"), &text))
}

impl Model {
    /// What does the same as this order, without the console; with so many of its
    /// devices, where nobody could see more.
    pub(crate) fn command_of(&self, order: &Order, most: usize) -> Line {
        let devices = std::iter::once(&order.device).chain(&order.others);
        let devices: Vec<&DeviceId> = devices.take(most).collect();
        let force = order.held.as_ref().map(|_| &order.device);
        let Self { context, .. } = self;
        context
            .reach
            .update(&context.profile, &devices, &order.uri, force)
    }
}
