//! One device: who it is, what can be put on it, how its update goes, what it
//! reports. One text from top to bottom in the order of importance, so that a
//! small terminal shows what matters and scrolls to the rest.

use ratatui::text::Span;

use super::super::model::{Asked, Focus, Model};
use super::super::text::{Grain, age, as_of, cut, safe, width};
use super::super::theme::Role;
use super::doc::Doc;
use super::layout::is_roomy;
use super::{package, running, state, twin};
use crate::domain::device::{Connection, DeviceRow, Enablement};
use crate::domain::id::DeviceId;

/// The text of the device in view.
pub(super) fn document(model: &Model, width: u16) -> Doc<'_> {
    let mut doc = Doc::new(&model.theme, usize::from(width.saturating_sub(3)));
    let Some(device) = model.in_view() else {
        return doc;
    };
    headline(&mut doc, model, device);
    troubles(&mut doc, model, device);
    let focus = model.panel.as_ref().map(|p| p.focus);
    if matches!(focus, Some(Focus::Field | Focus::Pick(_))) {
        gap(&mut doc, model);
        package::field(&mut doc, model);
    } else if model.context.profile.read_only {
        gap(&mut doc, model);
        let text = "read-only: no update can be started on this hub from here (read_only in its \
                    configuration, or --read-only)";
        doc.text(Role::Doubt, text);
    } else if model.unwritten.is_some() {
        gap(&mut doc, model);
        let text = "watching only: nothing is started while it cannot be written down";
        doc.text(Role::Doubt, text);
    }
    running::update(&mut doc, model, device);
    reported(&mut doc, model, device);
    doc
}

/// A blank line, where there is room for that.
pub(super) fn gap(doc: &mut Doc, model: &Model) {
    if is_roomy(model) {
        doc.blank();
    }
}

/// The id, whole, and what the inventory says of the device.
fn headline(doc: &mut Doc, model: &Model, device: &DeviceId) {
    let Some(row) = model.row(device) else {
        doc.text(Role::Title, device.as_str());
        doc.text(Role::Muted, "not in the list of devices");
        return;
    };
    let (sign, role) = state::connection_sign(row);
    // What was so may not be so any more.
    let role = role.filter(|_| !model.is_aging()).unwrap_or(Role::Muted);
    let words = format!("{sign} {}", connection_word(row));
    let id = device.as_str();
    if width(id) + 2 + width(&words) <= doc.width {
        let spans = vec![
            doc.span(Role::Title, id),
            Span::raw("  "),
            doc.span(role, words),
        ];
        doc.line(spans);
    } else {
        doc.text(Role::Title, id);
        doc.text(role, &words);
    }
    facts(doc, model, row);
}

/// Firmware, last update and age: as many as fit into one line. The age stands
/// in the table too, and is left out first.
fn facts(doc: &mut Doc, model: &Model, row: &DeviceRow) {
    let firmware = row.firmware.as_deref().map_or("unknown".to_owned(), safe);
    let last = state::last_update(row, 16);
    let seen = age(model.now, row.seen, Grain::Coarse);
    let mut text = format!("firmware {firmware}");
    for part in [format!("last update {last}"), format!("read {seen} ago")] {
        let longer = format!("{text} · {part}");
        if width(&longer) <= doc.width {
            text = longer;
        }
    }
    let line = vec![doc.span(Role::Muted, cut(&text, doc.width))];
    doc.line(line);
}

fn connection_word(row: &DeviceRow) -> &'static str {
    match (row.status, row.connection) {
        (Enablement::Disabled, _) => "disabled in the hub",
        (_, Connection::Connected) => "connected",
        (_, Connection::Disconnected) => "not connected",
    }
}

/// What went wrong with this device: reading it, or the last order for it.
fn troubles(doc: &mut Doc, model: &Model, device: &DeviceId) {
    if let Some(problem) = model.facts.get(device).and_then(|f| f.problem.as_ref()) {
        gap(doc, model);
        doc.problem(Role::Doubt, "!", problem);
    }
    match model.asked.get(device) {
        Some(Asked::Refused(problem)) => {
            gap(doc, model);
            doc.problem(Role::Bad, "✗ refused:", problem);
        }
        Some(Asked::Elsewhere(problem)) => {
            gap(doc, model);
            let text = format!("an update is watched elsewhere: {}", safe(&problem.cause));
            doc.text(Role::Muted, &text);
        }
        Some(Asked::Waiting(package)) => {
            gap(doc, model);
            let text = format!("▸ asking for {package}: reading the device first");
            doc.text(Role::Busy, &text);
        }
        None => {}
    }
}

/// The dialect that the device speaks, and how that is known.
fn dialect(doc: &mut Doc, model: &Model, device: &DeviceId) {
    let Some(chosen) = model.facts.get(device).and_then(|f| f.dialect.as_ref()) else {
        return;
    };
    let watched = match model.context.dialects.find(&chosen.name) {
        Some(dialect) if dialect.method().is_none() => " · watched only",
        _ => "",
    };
    let text = format!(
        "dialect {}{watched} · {}",
        safe(&chosen.name),
        safe(&chosen.how)
    );
    doc.text(Role::Muted, &text);
    if !chosen.settled {
        doc.text(Role::Doubt, "the rules for dialects are not evaluated yet");
    }
}

/// The reported properties, as the twin holds them.
fn reported(doc: &mut Doc, model: &Model, device: &DeviceId) {
    let known = model.facts.get(device);
    gap(doc, model);
    let raw = model.panel.as_ref().is_some_and(|panel| panel.raw);
    let heading = match known.and_then(|facts| facts.seen) {
        Some(_) if raw => "twin as JSON",
        Some(_) if known.is_some_and(|facts| facts.tree.is_empty()) => "reports nothing yet",
        Some(_) => "reported properties",
        None if known.is_some() => return,
        None if model.looks_at(device) => "reading the device…",
        None => return,
    };
    match known.and_then(|facts| facts.seen) {
        Some(seen) if model.is_aging() => {
            let text = format!("{heading}, {}", as_of(model.now, seen));
            doc.text(Role::Doubt, &text);
        }
        _ => doc.text(Role::Label, heading),
    }
    dialect(doc, model, device);
    if let Some(facts) = known {
        twin::properties(doc, model, device, facts);
    }
}
