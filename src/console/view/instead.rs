//! What stands where devices are not: what is so, what was not done, and what to do.

use super::super::action::Action;
use super::super::keymap::Place;
use super::super::model::Model;
use super::super::text::{count, cut, safe};
use super::super::theme::Role;
use super::doc::Doc;
use super::panel::gap;
use crate::domain::event::InventoryState;
use crate::domain::problem::Problem;

/// What stands instead of rows.
pub(super) fn of_rows(model: &Model, columns: u16) -> Doc<'_> {
    let mut doc = Doc::new(&model.theme, usize::from(columns.saturating_sub(2)));
    gap(&mut doc, model);
    match (model.inventory.state, &model.inventory.problem) {
        (None | Some(InventoryState::Listing), _) => {
            doc.text(Role::Busy, "Listing the hub's devices…");
        }
        (Some(InventoryState::Complete), problem) => {
            if let Some(problem) = problem {
                of_query(&mut doc, problem);
                doc.blank();
            }
            match model.inventory.query {
                Some(_) => nothing_fits(&mut doc),
                None => no_devices(&mut doc, model),
            }
        }
        (Some(InventoryState::Failed), problem) => {
            match problem {
                Some(problem) if is_said(model, problem) => {
                    doc.text(Role::Bad, "The devices are not listed.");
                }
                Some(problem) => {
                    doc.problem(Role::Bad, "✗", problem);
                    gap(&mut doc, model);
                }
                None => doc.text(Role::Bad, "✗ The devices could not be listed."),
            }
            let key = model.keymap.named(Place::Table, Action::List, 1);
            let text = format!(
                "Press {key} to list again. A device whose id you know opens with :device ID."
            );
            doc.text(Role::Muted, &text);
        }
    }
    doc
}

/// Does it stand right above already, as what is wrong with the way to the hub?
pub(super) fn is_said(model: &Model, problem: &Problem) -> bool {
    let above = model.link.problem.as_ref().filter(|_| model.is_aging());
    above.is_some_and(|above| above.cause == problem.cause)
}

/// A query that was refused: the list is what it was.
pub(super) fn of_query(doc: &mut Doc<'_>, problem: &Problem) {
    doc.problem(Role::Bad, "✗", problem);
    let hint = "Mend it: : and then ↑. esc puts this away.";
    doc.indented(Role::Hint, 2, hint);
}

/// The query gives no device.
fn nothing_fits(doc: &mut Doc<'_>) {
    doc.text(Role::Title, "No device of this hub fits the query.");
    let hint = "`:query` alone lists all devices again. A whole query must give each \
                row a deviceId. A tag that was set just now may take a moment.";
    doc.text(Role::Muted, hint);
}

/// The list is whole, and empty.
fn no_devices(doc: &mut Doc<'_>, model: &Model) {
    let host = &model.context.profile.host;
    doc.text(Role::Title, "This hub has no devices yet.");
    let (label, domain) = host.split_once('.').unwrap_or((host, ""));
    let key = model.keymap.named(Place::Table, Action::List, 1);
    let how = match domain.starts_with("azure-devices.") {
        true => format!(
            "Create one, as whoever manages the hub may (az iot hub device-identity create -n {} \
             -d ID), then press {key}; a new one is listed after a minute.",
            safe(label)
        ),
        false => format!("Create one, then press {key}."),
    };
    doc.text(Role::Muted, &how);
    if model.context.profile.name != *host {
        doc.text(
            Role::Muted,
            &format!("Another hub was meant? This is {}.", safe(host)),
        );
    }
}

/// The filter lets nothing through: how much it hides, and what might help.
pub(super) fn of_hidden(model: &Model, columns: u16) -> Doc<'_> {
    let mut doc = Doc::new(&model.theme, usize::from(columns.saturating_sub(2)));
    let text = model.devices.filter().text();
    doc.text(
        Role::Muted,
        &format!("nothing passes “{}”", cut(&safe(text), 30)),
    );
    let hidden = match model.devices.len() {
        1 => "1 device is hidden".to_owned(),
        n => format!("{} devices are hidden", count(n)),
    };
    let one = !text.contains(char::is_whitespace);
    let plain = one && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let like = match plain {
        true => format!("; ~{} finds what is like it", cut(text, 30)),
        false => String::new(),
    };
    doc.text(Role::Muted, &format!("{hidden}; esc shows all{like}"));
    doc
}
