//! Whether production may be written to: as the engine tells, and for how long.

use jiff::SignedDuration;

use super::field::Field;
use super::{Model, Order};

/// The hub's name, being typed to arm it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Naming {
    pub(crate) field: Field,
    /// Was something else typed?
    pub(crate) wrong: bool,
}

impl Model {
    /// How long production is armed still; nothing when it is not.
    pub(crate) fn armed_left(&self) -> Option<SignedDuration> {
        let left = self.armed_until?.duration_since(self.now);
        left.is_positive().then_some(left)
    }

    /// Does an order on production need no name now? The engine has the last word.
    pub(crate) fn is_armed(&self) -> bool {
        self.armed_left().is_some()
    }

    /// What must be typed before this order is sent, if anything.
    pub(crate) fn wanted(&self, order: &Order) -> Option<String> {
        order.wanted(&self.context.profile, self.is_armed())
    }
}
