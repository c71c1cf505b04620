//! Rules: what the devices of a simulated world do.
//!
//! `defaults` for every device, then rules in order, each for the devices whose
//! id it matches; a later rule wins. The room `scenario` reads them from a file
//! and explains the vocabulary.

mod behaviour;
mod rule;

pub use behaviour::{
    Answer, Behaviour, Case, DeviceDialect, Failure, FailurePhase, Reboots, Sayings, Silence,
    StartsAs, Step, UriReport, Vanishing,
};
pub use rule::Rule;

/// What every device of a simulated world does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    defaults: Rule,
    devices: Vec<Rule>,
    /// Times are divided by it; 0 and 1 leave them.
    faster: u32,
}

impl Rules {
    /// The defaults, then the rules in order.
    #[must_use]
    pub fn new(defaults: Rule, devices: Vec<Rule>) -> Self {
        Self {
            defaults,
            devices,
            faster: 1,
        }
    }

    /// The same with every time divided by `times`.
    #[must_use]
    pub fn faster(mut self, times: u32) -> Self {
        self.faster = self.faster.max(1).saturating_mul(times.max(1));
        self
    }

    /// What the device of that id does: the defaults, then each rule that
    /// matches, in order.
    #[must_use]
    pub fn behaviour(&self, device_id: &str) -> Behaviour {
        let rules = self.devices.iter().filter(|rule| rule.matches(device_id));
        let mut behaviour = Behaviour::default();
        for rule in std::iter::once(&self.defaults).chain(rules) {
            rule.apply(&mut behaviour);
        }
        behaviour.faster(self.faster.max(1))
    }
}
