//! The doctor's screen: what was found so far, and whether more comes.

use crate::domain::doctor::{Check, Verdict};

/// One look at everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Examination {
    /// What was found, in its order.
    pub(crate) checks: Vec<Check>,
    /// Does more come?
    pub(crate) running: bool,
    /// Lines scrolled away.
    pub(crate) scroll: usize,
}

impl Examination {
    /// One that has just been asked for.
    pub(crate) fn begun() -> Self {
        Self {
            running: true,
            ..Self::default()
        }
    }

    /// How many checks came out so.
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        let same = |check: &&Check| check.result == verdict;
        self.checks.iter().filter(same).count()
    }
}
