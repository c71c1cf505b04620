//! One device that is read: why, when next, and where it waits.

use std::time::Duration;

use super::{AFTER, Class, FLIGHT, LOOK, STALLED, STALLED_IN_FOCUS, WATCH};
use crate::domain::id::DeviceId;

/// How much the virtual time of a device of weight 1 moves on with a read.
const STRIDE: u64 = 1 << 16;

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) device: DeviceId,
    pub(super) class: Class,
    /// When a change is expected.
    pub(super) expect: Option<Duration>,
    /// The first read since it was asked for is still to come.
    pub(super) fresh: bool,
    /// Reads since it is in its class.
    pub(super) reads: u32,
    /// When the last one started.
    pub(super) started: Option<Duration>,
    /// When it may be read next.
    pub(super) at: Duration,
    /// Not before this, whatever class and focus say.
    pub(super) put_off: Duration,
    /// Its virtual time: whoever is furthest behind is next.
    pub(super) pass: u64,
    pub(super) place: Place,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Until then.
    Waiting(Duration),
    /// Ready: in focus, …
    Focus,
    /// … in the queue of those that are prompt, since then, …
    Prompt(Duration),
    /// … or in the fair one, at that virtual time.
    Fair(u64),
    /// Under way.
    Reading(u64),
    /// A read that was asked for before it was watched is under way: its answer
    /// is too old.
    Stale(u64),
}

impl Place {
    pub(super) fn is_under_way(self) -> bool {
        matches!(self, Self::Reading(_) | Self::Stale(_))
    }
}

/// Who got a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    Focus,
    Prompt,
    Fair,
}

impl Entry {
    pub(super) fn interval(&self, in_focus: bool) -> Duration {
        match self.class {
            Class::Start => WATCH,
            Class::Flight if in_focus => WATCH,
            Class::Flight => FLIGHT,
            Class::Stalled if in_focus => STALLED_IN_FOCUS,
            Class::Stalled => STALLED,
            Class::Look => LOOK,
            Class::After => AFTER * 2u32.saturating_pow(self.reads.min(16)),
        }
    }

    /// When it may be read after a read that starts now. In focus the beat is
    /// kept while the reads are only a little late, so that lateness does not add
    /// up; after a pause it begins anew.
    pub(super) fn next_at(&self, in_focus: bool, now: Duration) -> Duration {
        let interval = self.interval(in_focus);
        let on_time = now < self.at + interval / 4;
        if in_focus && on_time {
            self.at + interval
        } else {
            now + interval
        }
    }

    /// How much its virtual time moves on with a read that starts now.
    pub(super) fn stride(&self, fair_interval: Duration, now: Duration) -> u64 {
        match self.class {
            Class::Flight if self.is_due_soon(fair_interval, now) => STRIDE / 2,
            Class::Stalled | Class::After => STRIDE * 4,
            _ => STRIDE,
        }
    }

    /// Is a change expected before the next fair read but one? One that does not
    /// come is waited for a few more, then it is as any other.
    fn is_due_soon(&self, fair_interval: Duration, now: Duration) -> bool {
        self.expect.is_some_and(|at| {
            now + fair_interval >= at && now <= at.saturating_add(fair_interval * 4)
        })
    }
}
