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
        let profile = &self.context.profile;
        // What was asked for stays so, though the hub was armed meanwhile.
        let asked = order.name.as_ref();
        let asked = asked.and_then(|_| order.wanted(profile, false));
        order.wanted(profile, self.is_armed()).or(asked)
    }
}
