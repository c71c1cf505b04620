//! While the hub is away: nothing is read but one probe at a time, and then all
//! go on at the rate, as after any other pause.

use std::time::Duration;

use super::entry::{Entry, Place};
use super::{Pace, Read};

impl Pace {
    /// Is nothing read at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Does somebody wait: is an update in focus, or does an order wait for its
    /// twin?
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        let start = |entry: &Entry| entry.class == super::Class::Start;
        self.focused.is_some() || self.entries.values().any(start)
    }

    /// When the oldest read was started that is still waited for.
    #[must_use]
    pub fn waits_since(&self) -> Option<Duration> {
        let open = self.under_way.iter();
        open.filter(|(ticket, _)| !self.abandoned.contains(ticket))
            .map(|(_, (_, started))| *started)
            .min()
    }

    /// The hub is away: nothing is due until [`Pace::resume`].
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// The hub is back: all go on at the rate.
    pub fn resume(&mut self, now: Duration) {
        self.paused = false;
        self.free_at = self.free_at.max(now);
    }

    /// Nobody is put off any more: what failed, failed because the hub was away.
    pub fn forgive(&mut self) {
        let keys: Vec<u64> = self.entries.keys().copied().collect();
        for key in keys {
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            entry.put_off = Duration::ZERO;
            if matches!(entry.place, Place::Waiting(_)) {
                self.take_out(key);
                self.wait(key);
            }
        }
    }

    /// Reads under way are not waited for any more: their devices may be read
    /// again. A late answer is still worth something to whoever gets it.
    pub fn abandon(&mut self) {
        self.abandoned.extend(self.under_way.keys());
        self.reading.clear();
        let entries = self.entries.iter();
        let stuck = entries.filter(|(_, entry)| entry.place.is_under_way());
        let keys: Vec<u64> = stuck.map(|(key, _)| *key).collect();
        for key in keys {
            self.wait(key);
        }
    }

    /// One read to see whether the hub is back: of the update in focus, or of
    /// whoever would be read next. One whose read has just failed comes after all
    /// others, so that a single device cannot keep the rest from being read.
    pub fn probe(&mut self, now: Duration) -> Option<Read> {
        let free = self.entries.iter();
        let free = free.filter(|(_, entry)| !entry.place.is_under_way());
        let order = |(key, entry): &(&u64, &Entry)| {
            let put_off = entry.put_off.max(now);
            let elsewhere = self.focused != Some(**key);
            (put_off, elsewhere, entry.at, **key)
        };
        let key = *free.min_by_key(order)?.0;
        self.free_at = self.free_at.max(now);
        self.begin(key, now)
    }
}
