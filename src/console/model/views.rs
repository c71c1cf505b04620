//! Saved views of the table: a filter, columns and an order under a name. Some are
//! the operator's own, kept in a file; some stand in the configuration, and only
//! there can they be changed.

use std::collections::BTreeMap;

use super::Model;
use super::devices::columns::Columns;
use super::devices::filter::Filter;
use super::devices::sort::Order;
use crate::console::look::ViewText;

/// Characters of a view's name.
const LONGEST: usize = 40;
/// Bytes of a view's filter.
const FILTER: usize = 500;

/// How the table is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// As it is typed after `/`.
    pub(crate) filter: String,
    /// What is shown of each device.
    pub(crate) columns: Columns,
    /// In which order.
    pub(crate) order: Order,
}

impl View {
    /// The view that a file tells of; one that names no columns has the usual ones.
    ///
    /// # Errors
    /// Says which part of it means nothing.
    pub(crate) fn read(text: &ViewText, usual: &Columns) -> Result<Self, String> {
        if text.filter.len() > FILTER || text.filter.contains(char::is_control) {
            return Err(format!("its filter is no line of at most {FILTER} bytes"));
        }
        let filter = text.filter.trim().to_owned();
        if let Some(wrong) = Filter::read(&filter).wrong() {
            return Err(format!("its filter: {wrong}"));
        }
        let columns = match text.columns.is_empty() {
            true => usual.clone(),
            false => Columns::of(text.columns.iter().map(String::as_str))?,
        };
        let order = match text.sort.is_empty() {
            true => Order::default(),
            false => Order::read(&text.sort)?,
        };
        Ok(Self {
            filter,
            columns,
            order,
        })
    }

    /// The same as a file tells it.
    pub(crate) fn text(&self) -> ViewText {
        let names = self.columns.all().iter();
        ViewText {
            filter: self.filter.clone(),
            columns: names.map(|column| column.name().into_owned()).collect(),
            sort: self.order.text(),
        }
    }
}

/// Can a view be called so? Then the name needs no quotes to be typed.
///
/// # Errors
/// Says what it may be.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let fine = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    match !name.is_empty() && name.chars().count() <= LONGEST && name.chars().all(fine) {
        true => Ok(()),
        false => Err(format!(
            "a view's name has letters, digits, - _ and . alone, at most {LONGEST} of them"
        )),
    }
}

/// All saved views.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Views {
    /// Those of the configuration.
    pub(crate) fixed: BTreeMap<String, View>,
    /// Those of the operator's file; `None` while it was not read.
    pub(crate) own: Option<BTreeMap<String, View>>,
}

impl Views {
    /// The view of that name. The operator's own wins.
    pub(crate) fn get(&self, name: &str) -> Option<&View> {
        let own = self.own.as_ref().and_then(|own| own.get(name));
        own.or_else(|| self.fixed.get(name))
    }

    /// The names, each once, with whether the view is the operator's own.
    pub(crate) fn names(&self) -> BTreeMap<&str, bool> {
        let fixed = self.fixed.keys().map(|name| (name.as_str(), false));
        let own = self.own.iter().flat_map(BTreeMap::keys);
        fixed.chain(own.map(|name| (name.as_str(), true))).collect()
    }
}

impl Model {
    /// How the table is shown now.
    pub(crate) fn view_now(&self) -> View {
        View {
            filter: self.devices.filter().text().to_owned(),
            columns: self.columns.clone(),
            order: self.devices.order().clone(),
        }
    }

    /// The saved view that is shown now, if one is.
    pub(crate) fn view_in_use(&self) -> Option<&str> {
        let is_shown = |view: &View| {
            view.filter == self.devices.filter().text()
                && view.order == *self.devices.order()
                && view.columns == self.columns
        };
        let own = self.views.own.iter().flatten();
        let mut all = own.chain(&self.views.fixed);
        all.find(|(_, view)| is_shown(view))
            .map(|(name, _)| &**name)
    }

    /// Shows the table so.
    pub(crate) fn show_view(&mut self, view: View) {
        self.columns = view.columns;
        self.devices.set_filter(&view.filter);
        self.devices.set_order(view.order);
    }
}
