//! One table of rules: what it does not say stays as it was.

use serde::Deserialize;

use super::behaviour::{
    Answer, Behaviour, Case, DeviceDialect, Failure, Reboots, Sayings, Silence, StartsAs, Step,
    UriReport, Vanishing,
};
use crate::domain::pattern::Ids;
use crate::domain::span::{Fraction, Skew, Span};

/// A table of a scenario: what it does not say stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// For which devices; `None` is for all.
    pub ids: Option<Ids>,
    connects: Option<bool>,
    dialect: Option<DeviceDialect>,
    firmware: Option<String>,
    next_firmware: Option<String>,
    percent: Option<bool>,
    uri: Option<UriReport>,
    waiting: Option<Span>,
    downloading: Option<Span>,
    downloaded: Option<Span>,
    applying: Option<Span>,
    jitter: Option<Fraction>,
    fails: Option<Failure>,
    stalls: Option<Step>,
    finishes_after: Option<Span>,
    reboot: Option<Span>,
    reboots: Option<Reboots>,
    vanishes: Option<Vanishing>,
    answer: Option<Answer>,
    silent: Option<Silence>,
    says: Option<Sayings>,
    case: Option<Case>,
    starts_as: Option<StartsAs>,
    resends: Option<bool>,
    percent_jumps: Option<bool>,
    clock: Option<Skew>,
    token: Option<Span>,
    renews: Option<bool>,
    padding: Option<usize>,
}

impl Rule {
    /// Is it for the device of that id?
    #[must_use]
    pub fn matches(&self, id: &str) -> bool {
        self.ids.as_ref().is_some_and(|ids| ids.matches(id))
    }

    /// Can what it says, on top of `defaults`, be together?
    ///
    /// # Errors
    /// A sentence that says what cannot.
    pub fn check(&self, defaults: &Self) -> Result<(), String> {
        let mut behaviour = Behaviour::default();
        defaults.apply(&mut behaviour);
        self.apply(&mut behaviour);
        behaviour.check()
    }

    pub(super) fn apply(&self, to: &mut Behaviour) {
        fn set<T: Clone>(to: &mut T, from: Option<&T>) {
            if let Some(value) = from {
                *to = value.clone();
            }
        }
        fn some<T: Clone>(to: &mut Option<T>, from: Option<&T>) {
            if from.is_some() {
                *to = from.cloned();
            }
        }
        set(&mut to.connects, self.connects.as_ref());
        set(&mut to.dialect, self.dialect.as_ref());
        some(&mut to.firmware, self.firmware.as_ref());
        some(&mut to.next_firmware, self.next_firmware.as_ref());
        set(&mut to.percent, self.percent.as_ref());
        some(&mut to.uri, self.uri.as_ref());
        set(&mut to.waiting, self.waiting.map(|s| s.0).as_ref());
        set(&mut to.downloading, self.downloading.map(|s| s.0).as_ref());
        set(&mut to.downloaded, self.downloaded.map(|s| s.0).as_ref());
        set(&mut to.applying, self.applying.map(|s| s.0).as_ref());
        set(&mut to.jitter, self.jitter.map(|f| f.0).as_ref());
        some(&mut to.fails, self.fails.as_ref());
        some(&mut to.stalls, self.stalls.as_ref());
        let finishes_after = self.finishes_after.map(|s| s.0);
        some(&mut to.finishes_after, finishes_after.as_ref());
        some(&mut to.reboot, self.reboot.map(|s| s.0).as_ref());
        some(&mut to.reboots, self.reboots.as_ref());
        some(&mut to.vanishes, self.vanishes.as_ref());
        some(&mut to.answer, self.answer.as_ref());
        set(&mut to.silent, self.silent.as_ref());
        set(&mut to.says, self.says.as_ref());
        some(&mut to.case, self.case.as_ref());
        some(&mut to.starts_as, self.starts_as.as_ref());
        set(&mut to.resends, self.resends.as_ref());
        set(&mut to.percent_jumps, self.percent_jumps.as_ref());
        set(&mut to.clock, self.clock.map(|s| s.0).as_ref());
        some(&mut to.token, self.token.map(|s| s.0).as_ref());
        set(&mut to.renews, self.renews.as_ref());
        set(&mut to.padding, self.padding.as_ref());
    }
}
