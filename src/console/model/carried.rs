//! What is carried from one hub to the next: how the console looks, what the terminal
//! is told, the mouse, the order and the columns of the table, and the commands that were
//! typed. Nothing that could be done to the new hub because it was meant for the old one:
//! no marks, no filter, no query, no package, no name that was typed to arm it.

use super::command_line::Typed;
use super::devices::columns::Columns;
use super::devices::sort::Order;
use super::{Context, Model};
use crate::console::look::Look;
use crate::console::told::Wire;

/// What the next session has of this one.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    look: Look,
    order: Order,
    columns: Columns,
    mouse: bool,
    wire: Wire,
    typed: Typed,
}

impl Model {
    /// What the session on another hub is to have of this one.
    pub(crate) fn carried(&self) -> Carried {
        Carried {
            look: self.context.look.clone(),
            order: self.devices.order().clone(),
            columns: self.columns.clone(),
            mouse: self.mouse,
            wire: self.context.wire.clone(),
            typed: self.typed.clone(),
        }
    }

    /// Has what was carried here.
    pub(super) fn with_carried(mut self, carried: Carried) -> Self {
        self.devices.set_order(carried.order);
        self.columns = carried.columns;
        self.mouse = carried.mouse;
        self.typed = carried.typed;
        self
    }
}

impl Carried {
    /// The console looks as it did.
    pub(super) fn dress(&self, context: &mut Context) {
        context.look = self.look.clone();
        context.wire = self.wire.clone();
    }
}
