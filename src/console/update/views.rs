//! Commands for columns, saved views and the mouse.

use super::super::message::{Effect, Keep, Kept};
use super::super::model::Model;
use super::super::model::devices::columns::{Column, Columns};
use super::super::model::views::{self, View};
use super::super::text::safe;
use super::commands::Ran;

/// Rows whose tags are offered to complete a name.
const LOOKED_AT: usize = 200;

/// Shows these columns; without any, those of the configuration.
pub(super) fn columns(model: &mut Model, text: &str) -> Ran {
    model.columns = match text.is_empty() {
        true => model.context.look.columns.clone(),
        false => Columns::read(text)?,
    };
    Ok(Vec::new())
}

/// Completes the last name of several, with those that are not there yet.
pub(super) fn more_columns(model: &Model, text: &str) -> Vec<String> {
    let (before, last) = match text.rfind([',', ' ']) {
        Some(at) => text.split_at(at + 1),
        None => ("", text),
    };
    let named: Vec<&str> = before.split([',', ' ']).collect();
    let names = column_names(model, last);
    let new = names.into_iter().filter(|name| !named.contains(&&**name));
    new.map(|name| format!("{before}{name}")).collect()
}

/// The columns whose names begin so: those with a fixed name, and one for each tag
/// that the devices at hand have.
pub(super) fn column_names(model: &Model, text: &str) -> Vec<String> {
    let fixed = Column::NAMED
        .iter()
        .map(|column| column.name().into_owned());
    let rows = model.devices.window(LOOKED_AT);
    let mut tags: Vec<String> = rows
        .flat_map(|(row, _)| row.tags.iter())
        .filter_map(|(path, _)| Column::named(&format!("tag:{path}")))
        .map(|column| column.name().into_owned())
        .collect();
    tags.sort();
    tags.dedup();
    let all = fixed.chain(tags);
    all.filter(|name| name.starts_with(text)).collect()
}

/// Takes a saved view; without a name it says which there are.
pub(super) fn view(model: &mut Model, name: &str) -> Ran {
    let Some(view) = model.views.get(name).cloned() else {
        return Err(which(model, name));
    };
    model.show_view(view);
    model.flights = None;
    Ok(Vec::new())
}

/// Keeps what is on the screen under a name.
pub(super) fn save(model: &mut Model, name: &str) -> Ran {
    if name.is_empty() {
        return Err("under which name? for example :save lab".to_owned());
    }
    changeable(model, name)?;
    let view = model.view_now();
    // What could not be read again is not kept.
    View::read(&view.text(), &model.columns)?;
    Ok(vec![Effect::Views(Keep::Save(name.to_owned(), view))])
}

/// Forgets a view.
pub(super) fn forget(model: &mut Model, name: &str) -> Ran {
    changeable(model, name).map_err(|why| match name.is_empty() {
        true => which(model, name),
        false => why,
    })?;
    Ok(vec![Effect::Views(Keep::Forget(name.to_owned()))])
}

fn changeable(model: &Model, name: &str) -> Result<(), String> {
    views::check_name(name)?;
    match model.views.fixed.contains_key(name) {
        true => Err(format!(
            "the view {name} stands in the configuration and is changed there; \
             another name keeps yours"
        )),
        false => Ok(()),
    }
}

/// Which views there are, for whoever named one that is none.
fn which(model: &Model, name: &str) -> String {
    let wrong = match name.is_empty() {
        true => "which view?".to_owned(),
        false => format!("no view {name:?};"),
    };
    let names = model.views.names();
    let told = names.iter().map(|(name, own)| {
        let view = model.views.get(name).cloned().unwrap_or_default();
        let filter = match view.filter.is_empty() {
            true => String::new(),
            false => format!("/{} ", safe(&view.filter)),
        };
        let fixed = if *own { "" } else { ", of the configuration" };
        let (columns, order) = (view.columns.text(), view.order.text());
        format!("{name} ({filter}{columns} by {order}{fixed})")
    });
    let told: Vec<String> = told.collect();
    match told.is_empty() {
        true => format!("{wrong} there is none yet, :save NAME keeps what is shown"),
        false => format!("{wrong} there are {}", told.join(" · ")),
    }
}

/// The names of views that begin so.
pub(super) fn names(model: &Model, text: &str) -> Vec<String> {
    let names = model.views.names().into_keys();
    let names = names.filter(|name| name.starts_with(text));
    names.map(str::to_owned).collect()
}

/// The names of the operator's own views that begin so.
pub(super) fn own_names(model: &Model, text: &str) -> Vec<String> {
    let names = model.views.names().into_iter().filter(|(_, own)| *own);
    let names = names
        .map(|(name, _)| name)
        .filter(|name| name.starts_with(text));
    names.map(str::to_owned).collect()
}

/// Takes the mouse, or leaves it to the terminal.
pub(super) fn mouse(model: &mut Model, text: &str) -> Ran {
    model.mouse = match text {
        "on" => true,
        "off" => false,
        _ => {
            let now = if model.mouse { "on" } else { "off" };
            return Err(format!("on or off? The mouse is {now}"));
        }
    };
    Ok(Vec::new())
}

/// The views were read or changed.
pub(super) fn kept(model: &mut Model, kept: Kept) {
    if let Some(views) = kept.views {
        model.views.own = Some(views);
    }
    if !kept.wrong.is_empty() {
        super::log::show(model, kept.wrong.join(". "));
    }
}

#[cfg(test)]
mod tests;
