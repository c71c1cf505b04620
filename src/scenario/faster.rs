//! The same world, faster: for tests and for those in a hurry.

use std::sync::Arc;

use super::Scenario;

impl Scenario {
    /// The same with every time divided by `times`: steps, faults, lags, lives
    /// of tokens (to one or two seconds, for they end at whole ones). How far a
    /// clock is off stays.
    #[must_use]
    pub fn faster(self, times: u32) -> Self {
        let rules = Arc::unwrap_or_clone(self.rules);
        Self {
            rules: Arc::new(rules.faster(times)),
            hub: self.hub.faster(times),
            ..self
        }
    }
}
