//! The package field, what is to be said about what it holds, and the URIs
//! offered below it.

use ratatui::text::Span;

use super::super::model::field::{Dropped, masked};
use super::super::model::{Focus, Model, Panel};
use super::super::text::{count, cut, fit, plural, width};
use super::super::theme::Role;
use super::doc::Doc;
use super::layout::is_roomy;
use super::panel::gap;
use crate::domain::uri::{InvalidUri, PackageUri};

/// Columns before what is typed.
const LABEL: usize = 10;
/// URIs offered at a time in a small terminal.
const FEW: usize = 4;

/// The field with its hint and its offers.
pub(super) fn field(doc: &mut Doc, model: &Model) {
    let Some(panel) = &model.panel else {
        return;
    };
    let room = doc.width.saturating_sub(LABEL);
    let (text, cursor) = panel.field.window(&masked(panel.field.text()), room);
    if panel.focus == Focus::Field && model.dialog.is_none() {
        doc.cursor = Some((LABEL + cursor, doc.lines.len()));
    }
    let line = vec![
        doc.span(Role::Key, format!("{:LABEL$}", "package ›")),
        doc.span(Role::Input, text),
    ];
    doc.line(line);
    marked(doc, model, panel);
    hint(doc, panel);
    offers(doc, model, panel);
}

/// Whom the package goes to, while devices are marked.
fn marked(doc: &mut Doc, model: &Model, panel: &Panel) {
    let marks = model.devices.marks().len();
    let text = match model.devices.is_marked(&panel.device) {
        true if marks > 1 => format!("it goes onto all {} marked devices", count(marks)),
        false if marks > 0 => format!(
            "{} marked; this device is not among them and is updated alone",
            plural(marks, "device")
        ),
        _ => return,
    };
    doc.text(Role::Doubt, &text);
}

/// Under the field: what is missing, or what enter will do.
fn hint(doc: &mut Doc, panel: &Panel) {
    let by = if doc.width > 60 { LABEL } else { 0 };
    if let Some(text) = left_out(panel.dropped) {
        doc.indented(Role::Doubt, by, &text);
    }
    match PackageUri::parse(panel.field.text()) {
        Ok(uri) => {
            let host = uri.redacted().split("://").nth(1).unwrap_or_default();
            let host = host.split(['/', '?']).next().unwrap_or_default();
            let host = host.rsplit('@').next().unwrap_or_default();
            let text = format!("✓ {} from {host}; enter asks first", uri.file_name());
            doc.indented(Role::Good, by, &text);
        }
        Err(problem) if panel.submitted => doc.indented(Role::Bad, by, &format!("✗ {problem}")),
        Err(InvalidUri::Empty) => {
            doc.indented(Role::Hint, by, "type or paste the URI of a package");
        }
        Err(_) if is_begin(panel.field.text()) => {
            doc.indented(Role::Hint, by, "https://host/path of the package");
        }
        Err(problem) => doc.indented(Role::Doubt, by, &problem.to_string()),
    }
}

/// Is this what a URI looks like while its first letters are typed?
fn is_begin(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["https://", "http://"].iter().any(|b| b.starts_with(&text))
}

fn left_out(dropped: Dropped) -> Option<String> {
    let mut parts = Vec::new();
    if dropped.dangerous > 0 {
        parts.push(plural(dropped.dangerous, "invisible or control character"));
    }
    if dropped.beyond > 0 {
        parts.push(format!(
            "{} beyond the limit",
            plural(dropped.beyond, "character")
        ));
    }
    (!parts.is_empty()).then(|| format!("left out of the paste: {}", parts.join(", ")))
}

/// A URI that is too long keeps its file name, which tells it from others.
fn cut_uri(uri: &PackageUri, columns: usize) -> String {
    let (text, name) = (uri.redacted(), uri.file_name());
    let head = columns.saturating_sub(width(name));
    if width(text) <= columns || head < 8 || !text.ends_with(name) {
        return cut(text, columns);
    }
    format!("{}{name}", cut(text, head))
}

/// The URIs below the field; the selected one in sight.
fn offers(doc: &mut Doc, model: &Model, panel: &Panel) {
    let offers = model.offers();
    if offers.is_empty() {
        return;
    }
    gap(doc, model);
    let picked = match panel.focus {
        Focus::Pick(at) => Some(at),
        _ => None,
    };
    let height = if is_roomy(model) { offers.len() } else { FEW };
    let top = (picked.unwrap_or(0) + 1).saturating_sub(height);
    let mut before = "";
    for (n, (kind, uri)) in offers.iter().enumerate().skip(top).take(height) {
        let label = if *kind == before { "" } else { *kind };
        before = kind;
        let here = picked == Some(n);
        let bar = if here { "▌" } else { " " };
        let text = cut_uri(uri, doc.width.saturating_sub(LABEL));
        let (name, role) = if here {
            (doc.theme.style(Role::Label), doc.theme.style(Role::Title))
        } else {
            (doc.theme.style(Role::Label), doc.theme.style(Role::Muted))
        };
        debug_assert!(width(label) < LABEL);
        let spans = vec![
            Span::styled(fit(label, LABEL - 1), name),
            doc.span(Role::Cursor, bar),
            Span::styled(text, role),
        ];
        doc.line(spans);
    }
}
