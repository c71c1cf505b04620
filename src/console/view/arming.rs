//! The question in which production is armed: which hub, for how long, and its name.

use ratatui::text::Span;

use super::super::action::Action;
use super::super::keymap::Place;
use super::super::model::Model;
use super::super::model::arming::Naming;
use super::super::text::{plural, safe, width};
use super::super::theme::Role;
use super::dialogs::Window;
use super::doc::Doc;
use super::header;

/// Columns of the names.
const LABEL: usize = 9;

/// What it means.
pub(super) fn body(model: &Model) -> Doc<'_> {
    let mut doc = Doc::new(&model.theme, Window::inner_width(model, 64));
    hub(&mut doc, model, LABEL);
    doc.text(Role::Muted, &meaning(model));
    doc
}

/// Which hub: its name, its environment, its host; names in a column of so many.
pub(super) fn hub(doc: &mut Doc<'_>, model: &Model, label: usize) {
    let profile = &model.context.profile;
    let name = safe(&profile.name);
    doc.labelled("hub", label, Some(Role::Title), &name, true);
    if let Some(environment) = header::environment(model) {
        let used = label + width(&name) + 1 + width(&environment.content);
        match doc.lines.last_mut().filter(|_| used <= doc.width) {
            Some(line) => line.spans.extend([Span::raw(" "), environment]),
            None => doc.line(vec![Span::raw(" ".repeat(label)), environment]),
        }
    }
    doc.labelled("", label, Some(Role::Muted), &safe(&profile.host), true);
}

/// How long the hub is armed after its name was typed.
pub(super) fn minutes(model: &Model) -> usize {
    let minutes = model.context.arm_for.as_secs().div_ceil(60);
    usize::try_from(minutes).unwrap_or(usize::MAX)
}

fn meaning(model: &Model) -> String {
    let minutes = plural(minutes(model), "minute");
    let again = match model.is_armed() {
        true => "It is armed already, and would be anew. ",
        false => "",
    };
    format!(
        "{again}For {minutes} an update needs a {yes} alone. :disarm, {stop} and leaving end it \
         before that. Without the console each order is confirmed by itself: --confirm {name}.",
        yes = model.keymap.named(Place::Confirm, Action::Confirm, 1),
        stop = model.keymap.named(Place::Anywhere, Action::Suspend, 1),
        name = safe(&model.context.profile.name)
    )
}

/// Where the name is typed.
pub(super) fn foot<'a>(model: &'a Model, naming: &Naming) -> Doc<'a> {
    let mut doc = Doc::new(&model.theme, Window::inner_width(model, 64));
    let name = safe(&model.context.profile.name);
    let named = |action| model.keymap.named(Place::Arm, action, 1);
    let (enter, esc) = (named(Action::Submit), named(Action::Back));
    let (role, ask) = match naming.wrong {
        true => (
            Role::Bad,
            format!("✗ that is not the hub's name; type {name}, or {esc} to go back"),
        ),
        false => (
            Role::Doubt,
            format!("Production: type {name} and {enter} to arm it; {esc} goes back"),
        ),
    };
    doc.text(role, &ask);
    doc.typed("hub › ", &naming.field);
    doc
}
