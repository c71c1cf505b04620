//! The question before a package goes onto a device: which device, which hub,
//! which package, and exactly what is sent. Wrapped, never cut; the answer's
//! line stays in sight.

use ratatui::Frame;
use ratatui::text::Span;

use super::super::action::Action;
use super::super::keymap::{Place, shown};
use super::super::model::{Model, Order};
use super::super::text::{count, cut, plural, safe, wrap};
use super::super::theme::Role;
use super::arming::{self, minutes};
use super::dialogs::{Window, framed};
use super::doc::Doc;
use crate::domain::clean;
use crate::domain::dialect::Values;
use crate::domain::id::DeviceId;
use crate::domain::preflight::Weight;

/// Columns of the names.
const LABEL: usize = 9;
/// Devices that are named when there are several.
const NAMED: usize = 8;
/// Lines of the command.
const COMMAND: usize = 3;
/// Devices of it that are put in words: more than those lines can hold.
const SEEN: usize = 200;

pub(super) fn draw(model: &Model, order: &Order, frame: &mut Frame) {
    let window = window(model, order);
    let (body, foot) = window.draw(model, frame, "Send this update?");
    text(model, order, window.width()).draw(frame, body, order.scroll, &model.theme);
    answer(model, order, window.width()).draw(frame, foot, 0, &model.theme);
}

/// Lines that do not fit.
pub(super) fn overflow(model: &Model, order: &Order) -> usize {
    let window = window(model, order);
    let lines = text(model, order, window.width()).lines.len();
    lines.saturating_sub(window.body_height())
}

fn window(model: &Model, order: &Order) -> Window {
    let width = Window::inner_width(model, 76);
    let body = text(model, order, width).lines.len();
    let foot = answer(model, order, width).lines.len();
    Window::of(model, width, body, foot)
}

/// What is going to happen.
fn text<'a>(model: &'a Model, order: &Order, width: usize) -> Doc<'a> {
    let mut doc = Doc::new(&model.theme, width);
    devices(&mut doc, order);
    arming::hub(&mut doc, model, LABEL);
    doc.labelled(
        "package",
        LABEL,
        Some(Role::Title),
        order.uri.redacted(),
        true,
    );
    findings(&mut doc, order, Weight::Warning, "");
    if let Some(held) = &order.held {
        let text = format!(
            "{}. It ends as given up; the device itself is not stopped",
            safe(&held.to_string())
        );
        doc.labelled("taken", LABEL, Some(Role::Doubt), &text, false);
    }
    let (dialect, known) = model.dialect(&order.device);
    match dialect.start(&Values::of_uri(order.uri.redacted())) {
        Ok((by, payload)) => {
            doc.labelled("method", LABEL, None, &safe(&by.method), true);
            let payload = clean::json(&payload.to_string());
            doc.labelled("payload", LABEL, None, &payload, true);
        }
        Err(cannot) => doc.labelled(
            "method",
            LABEL,
            Some(Role::Doubt),
            &cannot.to_string(),
            false,
        ),
    }
    if order.uri.holds_secrets() {
        let note = "*** hides the signature here; the device gets the URI whole";
        doc.labelled("", LABEL, Some(Role::Hint), note, false);
    }
    command(&mut doc, model, order);
    findings(&mut doc, order, Weight::Note, "checked");
    if order.waiting {
        let text = "asking the package's server …";
        doc.labelled("checked", LABEL, Some(Role::Muted), text, false);
    }
    dialects(&mut doc, model, order);
    if !known {
        let note = "its dialect is not known for sure yet; if it speaks another it gets that one's payload";
        doc.labelled("", LABEL, Some(Role::Doubt), note, false);
    }
    doc
}

/// What does the same without the console, as far as there is room; it is copied
/// whole.
fn command(doc: &mut Doc<'_>, model: &Model, order: &Order) {
    let line = model.command_of(order, SEEN);
    let room = doc.width.saturating_sub(LABEL);
    let mut lines = wrap(&safe(&line.to_string()), room);
    if lines.len() > COMMAND {
        lines.truncate(COMMAND);
        if let Some(last) = lines.last_mut() {
            *last = cut(&format!("{last} …"), room);
        }
    }
    for (n, line) in lines.iter().enumerate() {
        let label = if n == 0 { "command" } else { "" };
        doc.labelled(label, LABEL, Some(Role::Muted), line, true);
    }
    if line.asks_for_the_uri {
        let note = "it reads the URI, whole, on stdin";
        doc.labelled("", LABEL, Some(Role::Hint), note, false);
    }
    let place = model.keymap.at(model.place()).iter();
    let key = place
        .filter(|binding| binding.action == Action::Copy)
        .find_map(|binding| binding.keys.first());
    let which = match (model.context.demo, &model.context.reach.hub) {
        (true, _) => "; for a hub of yours, because the demo's is its own",
        (false, None) => "; OTADECK_CONNECTION_STRING says which hub",
        (false, Some(_)) => "",
    };
    if let Some(key) = key {
        let text = format!("{} copies it{which}", shown(key));
        doc.labelled("", LABEL, Some(Role::Hint), &text, false);
    }
}

/// The device, or how many there are and which.
fn devices(doc: &mut Doc<'_>, order: &Order) {
    let first = order.device.as_str();
    if order.others.is_empty() {
        doc.labelled("device", LABEL, Some(Role::Title), first, true);
    } else {
        let all = order.others.len() + 1;
        let told = format!("{} devices", count(all));
        doc.labelled("devices", LABEL, Some(Role::Title), &told, true);
        let others = order.others.iter().take(NAMED - 1).map(DeviceId::as_str);
        let mut names: Vec<&str> = std::iter::once(first).chain(others).collect();
        let more = format!("and {} more", count(all - names.len()));
        if all > names.len() {
            names.push(&more);
        }
        doc.labelled("", LABEL, None, &names.join(", "), false);
    }
    if order.left_out > 0 {
        let text = format!(
            "{} more marked: not sent to, because an update of theirs is open",
            order.left_out
        );
        doc.labelled("", LABEL, Some(Role::Doubt), &text, false);
    }
    if let Some(forecast) = &order.forecast {
        doc.labelled("takes", LABEL, Some(Role::Muted), forecast, false);
    }
}

/// Dialects of the others that differ from the one whose payload is shown.
fn dialects(doc: &mut Doc<'_>, model: &Model, order: &Order) {
    let (first, _) = model.dialect(&order.device);
    let others = order.others.iter().map(|id| model.dialect(id));
    let (mut another, mut unknown) = (0, 0);
    for (dialect, known) in others {
        unknown += usize::from(!known);
        another += usize::from(known && dialect.name != first.name);
    }
    if another > 0 {
        let text = format!("{another} of them speak another dialect and get that one's payload");
        doc.labelled("", LABEL, Some(Role::Doubt), &text, false);
    }
    if unknown > 0 {
        let text = format!(
            "of {unknown} more the dialect is read before the order; each gets its own payload"
        );
        doc.labelled("", LABEL, Some(Role::Hint), &text, false);
    }
}

/// What can be said of the package with some weight.
fn findings(doc: &mut Doc<'_>, order: &Order, weight: Weight, mut label: &str) {
    let (role, sign) = match weight {
        Weight::Refusal => (Role::Bad, "✗ "),
        Weight::Warning => (Role::Doubt, "! "),
        Weight::Note => (Role::Hint, ""),
    };
    for finding in order.findings.iter().filter(|f| f.weight == weight) {
        let text = format!("{sign}{}", safe(&finding.text));
        doc.labelled(label, LABEL, Some(role), &text, false);
        label = "";
    }
}

/// How to say yes, or that there is no yes.
fn answer<'a>(model: &'a Model, order: &Order, columns: usize) -> Doc<'a> {
    let mut doc = Doc::new(&model.theme, columns);
    // Elsewhere the last line of the screen says it.
    if let Some(said) = model.brief.as_ref().filter(|_| !framed(model)) {
        doc.text(Role::Hint, &safe(said));
    }
    if let Some(refusal) = order.refusal() {
        doc.text(Role::Bad, &format!("✗ not sent: {}", safe(&refusal.text)));
        let back = model.keymap.named(Place::Confirm, Action::Back, 2);
        let keys = vec![doc.span(Role::Key, back), Span::raw(" goes back")];
        doc.line(keys);
        return doc;
    }
    let wanted = model.wanted(order);
    let Some((field, wanted)) = order.name.as_ref().zip(wanted) else {
        let apart = if columns < 44 { "  " } else { "    " };
        let named = |action| model.keymap.named(Place::Confirm, action, 2);
        let yes = match model.context.profile.is_production() {
            true => named(Action::Confirm),
            false => format!("{}/{}", named(Action::Confirm), named(Action::Submit)),
        };
        let keys = vec![
            doc.span(Role::Key, yes),
            Span::raw(format!(" sends it{apart}")),
            doc.span(Role::Key, named(Action::Back)),
            Span::raw(" goes back"),
        ];
        doc.line(keys);
        return doc;
    };
    let name = safe(&wanted);
    let arms = model.context.profile.is_production() && !model.is_armed();
    let (why, what, prompt) = match (arms, &order.held) {
        (_, None) => ("Production", "the hub's name", "hub › "),
        (true, Some(_)) => (
            "Production, and taken over",
            "the hub's name and the device's id",
            "hub device › ",
        ),
        (false, Some(_)) => ("To take it over", "the device's id", "device › "),
    };
    let named = |action| model.keymap.named(Place::Arm, action, 1);
    let (enter, esc) = (named(Action::Submit), named(Action::Back));
    if order.wrong {
        let why = format!("✗ that is not {what}; type {name}, or {esc} to go back");
        doc.text(Role::Bad, &why);
    } else {
        let ask = format!("{why}: type {name} and {enter} to send; {esc} goes back");
        doc.text(Role::Doubt, &ask);
        if arms {
            let minutes = plural(minutes(model), "minute");
            doc.text(
                Role::Muted,
                &format!("The hub is armed then, for {minutes}."),
            );
        }
    }
    doc.typed(prompt, field);
    doc
}
