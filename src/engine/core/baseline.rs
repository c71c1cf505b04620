//! When a baseline was read, and how late an order on it can have gone out.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::twin::Twin;

use super::Now;
use super::flights::unsigned;

/// An order goes out on no baseline that is older: committing takes milliseconds,
/// so either the disk was busy or the machine slept.
const STALE: Duration = Duration::from_secs(5);

/// When a twin was read that an order rests on, by our clocks and by the hub's.
#[derive(Clone, Copy, Debug)]
pub(super) struct BaselineRead {
    /// When the read went out, since the engine's start.
    asked: Duration,
    /// When its answer came.
    answered: Now,
    /// The hub's clock then, in whole seconds.
    told: Option<Timestamp>,
}

impl BaselineRead {
    pub(super) fn of(twin: &Twin, asked: Duration, answered: Now) -> Self {
        Self {
            asked,
            answered,
            told: twin.told_at,
        }
    }

    /// How old it is. A machine that slept may have stopped the one clock, and
    /// somebody may have set the other: the older counts.
    fn age(&self, now: Now) -> Duration {
        let took = self.answered.at.saturating_sub(self.asked);
        let slept = unsigned(now.wall.duration_since(self.answered.wall));
        now.at.saturating_sub(self.asked).max(took + slept)
    }

    /// Has so much time passed that the device may have done anything?
    pub(super) fn is_stale(&self, now: Now) -> bool {
        self.age(now) > STALE
    }

    /// What the hub's clock shows now at most.
    pub(super) fn hub_time(&self, now: Now) -> Option<Timestamp> {
        let age = SignedDuration::try_from(self.age(now)).ok()?;
        let told = self.told?.checked_add(SignedDuration::from_secs(1)).ok()?;
        told.checked_add(age).ok()
    }
}
