//! The twin of a device: as a tree, or as JSON; all of it, or what is searched for.

use ratatui::text::Span;

use super::super::model::facts::Facts;
use super::super::model::facts::tree::{Leaf, found};
use super::super::model::{Bar, Model};
use super::super::text::{fold, width};
use super::super::theme::Role;
use super::doc::Doc;
use crate::domain::id::DeviceId;

/// The properties below a heading of their own.
pub(super) fn properties(doc: &mut Doc, model: &Model, device: &DeviceId, facts: &Facts) {
    let panel = model.panel.as_ref().filter(|panel| panel.device == *device);
    let text = searched(model).or(panel.map(|panel| panel.search.as_str()));
    let text = text.unwrap_or_default();
    if panel.is_some_and(|panel| panel.raw) {
        return json(doc, facts, text);
    }
    let lines = found(&facts.tree, text);
    if lines.is_empty() && !text.is_empty() {
        doc.text(Role::Muted, "nothing here holds that");
    }
    for line in lines {
        leaf(doc, line);
    }
}

/// What is being typed as a search.
fn searched(model: &Model) -> Option<&str> {
    match &model.bar {
        Some(Bar::Search(field)) => Some(field.text()),
        _ => None,
    }
}

/// `name: value`, a sign in front when it changed, what is asked for behind it. A
/// long value goes on in the column in which it began.
fn leaf(doc: &mut Doc, leaf: &Leaf) {
    let sign = if leaf.changed { "▸ " } else { "  " };
    let indent = "  ".repeat(leaf.depth.min(6));
    let name = format!("{}: ", leaf.name);
    let front = 2 + width(&indent) + width(&name);
    let mut text = match (&leaf.value, &leaf.desired) {
        (None, None) => String::new(),
        (None, Some(_)) => "–".to_owned(),
        (Some(value), _) => value.clone(),
    };
    if let Some(desired) = &leaf.desired {
        text.push_str(&format!("  ← asked: {desired}"));
    }
    let role = match (leaf.changed, &leaf.desired) {
        (_, Some(_)) => Some(Role::Doubt),
        (true, None) => Some(Role::Busy),
        (false, None) => None,
    };
    let style = role.map(|role| doc.theme.style(role)).unwrap_or_default();
    let room = doc.width.saturating_sub(front).max(8);
    for (n, part) in fold(&text, room).into_iter().enumerate() {
        let head = match n {
            0 => vec![
                doc.span(Role::Busy, sign),
                Span::raw(indent.clone()),
                doc.span(Role::Label, name.clone()),
            ],
            _ => vec![Span::raw(" ".repeat(front))],
        };
        doc.line(
            head.into_iter()
                .chain([Span::styled(part, style)])
                .collect(),
        );
    }
}

fn json(doc: &mut Doc, facts: &Facts, text: &str) {
    let text = text.to_lowercase();
    let holds = |line: &&String| line.to_lowercase().contains(&text);
    for line in facts.json.iter().filter(holds) {
        // A long value goes on in the column in which it began.
        let indent = line.len() - line.trim_start().len();
        let room = doc.width.saturating_sub(indent).max(8);
        for part in fold(line.trim_start(), room) {
            let spans = vec![Span::raw(" ".repeat(indent)), Span::raw(part)];
            doc.line(spans);
        }
    }
}
