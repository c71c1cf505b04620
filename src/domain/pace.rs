//! When to read which twin.
//!
//! A pure scheduler: it is asked what is due now and when to ask again. Each
//! watched device is read at its own interval, measured from the start of one
//! read to the start of the next, never two at a time; after a pause there is
//! one read, not a burst. All together stay below a rate.

use std::collections::HashMap;
use std::time::Duration;

use super::id::DeviceId;

/// How often an update in flight is read: the tutorial's "every 500 ms".
pub const WATCH: Duration = Duration::from_millis(500);
/// How often a device that is only looked at is read.
pub const LOOK: Duration = Duration::from_secs(30);

/// When to read which twin. Times are since the engine's start.
#[derive(Clone, Debug)]
pub struct Pace {
    entries: HashMap<DeviceId, Entry>,
    /// The shortest time between two reads of any devices.
    gap: Duration,
    /// When the next read of any device may start.
    free_at: Duration,
    /// The device in focus, which goes first when several are due.
    focus: Option<DeviceId>,
}

#[derive(Clone, Debug)]
struct Entry {
    interval: Duration,
    due: Duration,
    reading: bool,
}

impl Pace {
    /// A scheduler that starts at most `per_second` reads a second.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self {
            entries: HashMap::new(),
            gap: Duration::from_secs(1) / per_second.max(1),
            free_at: Duration::ZERO,
            focus: None,
        }
    }

    /// The device in focus goes first when several are due.
    pub fn focus(&mut self, device: Option<DeviceId>) {
        self.focus = device;
    }

    /// Reads `device` at once and then at `interval`. A device that is read
    /// already keeps its turn when that is sooner.
    pub fn watch(&mut self, device: &DeviceId, interval: Duration, now: Duration) {
        let entry = self.entries.entry(device.clone()).or_insert(Entry {
            interval,
            due: now,
            reading: false,
        });
        if interval != entry.interval {
            entry.interval = interval;
            entry.due = entry.due.min(now + interval);
        }
    }

    /// Reads `device` no more.
    pub fn forget(&mut self, device: &DeviceId) {
        self.entries.remove(device);
    }

    /// The devices to read now, longest overdue first. They count as being
    /// read until [`Pace::done`].
    pub fn due(&mut self, now: Duration) -> Vec<DeviceId> {
        let mut due: Vec<(Duration, DeviceId)> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.reading && entry.due <= now)
            .map(|(id, entry)| (entry.due, id.clone()))
            .collect();
        due.sort_by_key(|(at, id)| (self.focus.as_ref() != Some(id), *at, id.clone()));
        let mut out = Vec::new();
        for (_, id) in due {
            if self.free_at > now {
                break;
            }
            self.free_at = self.free_at.max(now.saturating_sub(self.gap)) + self.gap;
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.reading = true;
                entry.due = now + entry.interval;
            }
            out.push(id);
        }
        out
    }

    /// A read of `device` has ended, well or not.
    pub fn done(&mut self, device: &DeviceId) {
        if let Some(entry) = self.entries.get_mut(device) {
            entry.reading = false;
        }
    }

    /// Puts the next read of `device` off until `at`.
    pub fn put_off(&mut self, device: &DeviceId, at: Duration) {
        if let Some(entry) = self.entries.get_mut(device) {
            entry.due = entry.due.max(at);
        }
    }

    /// When [`Pace::due`] will have something; `None` when nothing waits.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        let due = self.entries.values().filter(|e| !e.reading).map(|e| e.due);
        due.min().map(|due| due.max(self.free_at))
    }
}

/// A bucket of tokens that fills at a steady rate: what may be done now, and
/// when next.
#[derive(Clone, Debug)]
pub struct Bucket {
    capacity: f64,
    per_second: f64,
    level: f64,
    filled_at: Duration,
}

impl Bucket {
    /// A full bucket of `per_minute` tokens that fills in a minute.
    #[must_use]
    pub fn per_minute(per_minute: u32) -> Self {
        let capacity = f64::from(per_minute.max(1));
        Self {
            capacity,
            per_second: capacity / 60.0,
            level: capacity,
            filled_at: Duration::ZERO,
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// When there will be one again.
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let gained = now.saturating_sub(self.filled_at).as_secs_f64() * self.per_second;
        self.level = (self.level + gained).min(self.capacity);
        self.filled_at = self.filled_at.max(now);
        if self.level >= 1.0 {
            self.level -= 1.0;
            return Ok(());
        }
        // A millisecond more than needed, so that rounding never makes it early.
        let missing = (1.0 - self.level) / self.per_second + 0.001;
        Err(now + Duration::from_secs_f64(missing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> DeviceId {
        DeviceId::parse(text).unwrap()
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_watched_device_is_read_at_once_and_then_each_half_second() {
        let mut pace = Pace::new(60);
        pace.watch(&id("a"), WATCH, MS);
        assert_eq!(pace.due(MS), [id("a")]);
        assert_eq!(pace.due(600 * MS), [], "one read at a time");
        pace.done(&id("a"));
        assert_eq!(pace.next(), Some(501 * MS));
        assert_eq!(pace.due(500 * MS), []);
        assert_eq!(pace.due(501 * MS), [id("a")]);
    }

    #[test]
    fn no_burst_follows_a_pause() {
        let mut pace = Pace::new(60);
        pace.watch(&id("a"), WATCH, MS);
        pace.due(MS);
        pace.done(&id("a"));
        assert_eq!(pace.due(60_000 * MS), [id("a")]);
        pace.done(&id("a"));
        assert_eq!(pace.due(60_001 * MS), []);
        assert_eq!(pace.next(), Some(60_500 * MS));
    }

    #[test]
    fn all_together_stay_below_the_rate_and_nobody_starves() {
        let mut pace = Pace::new(10);
        let ids: Vec<DeviceId> = (0..20).map(|n| id(&format!("d{n}"))).collect();
        for device in &ids {
            pace.watch(device, WATCH, Duration::ZERO);
        }
        let mut reads = HashMap::new();
        for t in 0..10_000 {
            for device in pace.due(t * MS) {
                pace.done(&device);
                *reads.entry(device).or_insert(0) += 1;
            }
        }
        let total: i32 = reads.values().sum();
        assert!((95..=101).contains(&total), "{total} reads in 10 s");
        assert!(ids.iter().all(|d| (4..=6).contains(&reads[d])), "{reads:?}");
    }

    #[test]
    fn a_read_can_be_put_off_and_forgotten() {
        let mut pace = Pace::new(60);
        pace.watch(&id("a"), WATCH, Duration::ZERO);
        pace.put_off(&id("a"), 5_000 * MS);
        assert_eq!(pace.next(), Some(5_000 * MS));
        pace.forget(&id("a"));
        assert_eq!(pace.next(), None);
    }

    #[test]
    fn the_device_in_focus_goes_first() {
        let mut pace = Pace::new(10);
        for name in ["a", "b", "c"] {
            pace.watch(&id(name), WATCH, Duration::ZERO);
        }
        pace.focus(Some(id("c")));
        assert_eq!(pace.due(Duration::ZERO), [id("c")]);
    }

    #[test]
    fn a_bucket_gives_its_capacity_at_once_and_then_its_rate() {
        let mut bucket = Bucket::per_minute(10);
        let mut now = Duration::ZERO;
        let mut taken = 0;
        while now < Duration::from_secs(120) {
            match bucket.take(now) {
                Ok(()) => taken += 1,
                Err(at) => now = at,
            }
        }
        assert_eq!(taken, 10 + 19);
    }
}
