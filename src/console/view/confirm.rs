//! The question before a package goes onto a device: which device, which hub,
//! which package, and exactly what is sent. Wrapped, never cut; the answer's
//! line stays in sight.

use ratatui::Frame;
use ratatui::text::Span;

use super::super::model::{Model, Order};
use super::super::text::{safe, width as columns_of};
use super::super::theme::Role;
use super::dialogs::Window;
use super::doc::Doc;
use crate::domain::clean;
use crate::domain::dialect::Values;
use crate::domain::preflight::Weight;

/// Columns of the names.
const LABEL: usize = 9;

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
    let profile = &model.context.profile;
    doc.labelled(
        "device",
        LABEL,
        Some(Role::Title),
        order.device.as_str(),
        true,
    );
    let environment = match (profile.is_production(), &profile.environment) {
        (true, _) => doc.span(Role::Alarm, " PRODUCTION "),
        (false, Some(name)) => doc.span(Role::Muted, format!("· {}", safe(name))),
        (false, None) => Span::default(),
    };
    let name = safe(&profile.name);
    let room = width.saturating_sub(LABEL + columns_of(&environment.content) + 1);
    doc.labelled("hub", LABEL, Some(Role::Title), &name, true);
    match doc.lines.last_mut() {
        Some(line) if columns_of(&name) <= room => {
            line.spans.extend([Span::raw(" "), environment]);
        }
        _ => doc.line(vec![Span::raw(" ".repeat(LABEL)), environment]),
    }
    doc.labelled("", LABEL, Some(Role::Muted), &safe(&profile.host), true);
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
    findings(&mut doc, order, Weight::Note, "checked");
    if order.waiting {
        let text = "asking the package's server …";
        doc.labelled("checked", LABEL, Some(Role::Muted), text, false);
    }
    if !known {
        let note = "its dialect is not known for sure yet; if it speaks another it gets that one's payload";
        doc.labelled("", LABEL, Some(Role::Doubt), note, false);
    }
    doc
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
    if let Some(refusal) = order.refusal() {
        doc.text(Role::Bad, &format!("✗ not sent: {}", safe(&refusal.text)));
        let keys = vec![doc.span(Role::Key, "esc"), Span::raw(" goes back")];
        doc.line(keys);
        return doc;
    }
    let wanted = order.wanted(&model.context.profile);
    let Some((field, wanted)) = order.name.as_ref().zip(wanted) else {
        let apart = if columns < 44 { "  " } else { "    " };
        let keys = vec![
            doc.span(Role::Key, "y"),
            doc.span(Role::Muted, "/"),
            doc.span(Role::Key, "enter"),
            Span::raw(" sends it"),
            Span::raw(apart),
            doc.span(Role::Key, "n"),
            doc.span(Role::Muted, "/"),
            doc.span(Role::Key, "esc"),
            Span::raw(" goes back"),
        ];
        doc.line(keys);
        return doc;
    };
    let name = safe(&wanted);
    let production = model.context.profile.is_production();
    let (why, what, prompt) = match (production, &order.held) {
        (true, None) => ("Production", "the hub's name", "hub › "),
        (true, Some(_)) => (
            "Production, and taken over",
            "the hub's name and the device's id",
            "hub device › ",
        ),
        (false, _) => ("To take it over", "the device's id", "device › "),
    };
    if order.wrong {
        let why = format!("✗ that is not {what}; type {name}, or esc to go back");
        doc.text(Role::Bad, &why);
    } else {
        let ask = format!("{why}: type {name} and enter to send; esc goes back");
        doc.text(Role::Doubt, &ask);
    }
    let room = columns.saturating_sub(columns_of(prompt));
    let (typed, cursor) = field.window(field.text(), room);
    doc.cursor = Some((columns_of(prompt) + cursor, doc.lines.len()));
    let line = vec![doc.span(Role::Key, prompt), doc.span(Role::Input, typed)];
    doc.line(line);
    doc
}
