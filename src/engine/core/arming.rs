//! Production, armed by its name and disarmed: a state that front ends are told.
//!
//! ```text
//!  disarmed ── Arm(its name) ──► armed ── time, Disarm, the end ──► disarmed
//!                                  └── Arm(its name): for as long again
//! ```
//!
//! The gate counts from the engine's start. That clock stands still while the
//! machine sleeps, so the wall clock ends it as well: whoever opens a laptop in the
//! evening did not type the name in the morning.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::event::{Event, What};
use crate::domain::problem::{Kind, Problem};

use super::{Core, Now};

impl Core {
    /// Arms the hub, when that is its name.
    pub(super) fn arm(&mut self, name: &str, now: Now) {
        if !self.gate.arm(name, now.at) {
            let right = &self.settings.profile.name;
            let title = "the hub's name was not confirmed";
            let problem = Problem::new(Kind::Unconfirmed, title, "another name was given")
                .hint(format!("Nothing was sent. The hub's name is {right}."));
            return self.publish(Event::general(now.wall, What::Refused { problem }));
        }
        // Other hubs need no arming: there is nothing to show.
        if self.settings.profile.is_production() {
            let time = SignedDuration::try_from(self.settings.arm_for).unwrap_or_default();
            self.armed_until = now.wall.checked_add(time).ok();
            self.tell_arming(now);
        }
    }

    /// Disarms it; nothing is said when it was not armed.
    pub(super) fn disarm(&mut self, now: Now) {
        self.gate.disarm();
        if self.armed_until.take().is_some() {
            self.tell_arming(now);
        }
    }

    /// Disarms it when its time has come, by either clock. Before anything else is
    /// done, so that nothing goes out on a name that was typed long ago.
    pub(super) fn disarm_when_due(&mut self, now: Now) {
        let by_the_wall = self.armed_until.is_some_and(|until| until <= now.wall);
        let by_the_engine = self.gate.armed_until().is_some_and(|until| until <= now.at);
        if by_the_wall || by_the_engine {
            self.disarm(now);
        }
    }

    /// When that is.
    pub(super) fn arming_wakes_at(&self) -> Option<Duration> {
        self.gate.armed_until()
    }

    /// Until when production is armed, by the wall clock.
    pub(super) fn armed_until(&self) -> Option<Timestamp> {
        self.armed_until
    }

    fn tell_arming(&mut self, now: Now) {
        let until = self.armed_until;
        self.publish(Event::general(now.wall, What::Arming { until }));
    }
}
