//! Reads a second, as they are shown.

use std::time::Duration;

/// Whole seconds that are averaged.
const SECONDS: usize = 4;

/// Counts by whole seconds; the second under way is not averaged, so a figure
/// never starts too low.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    /// The last second with a count, and those before it, newest first.
    second: u64,
    counts: [u32; SECONDS + 1],
}

impl Meter {
    pub(super) fn count(&mut self, now: Duration) {
        let second = now.as_secs();
        self.counts = self.at(second);
        self.second = self.second.max(second);
        self.counts[0] += 1;
    }

    pub(super) fn per_second(&self, now: Duration) -> f64 {
        let counts = self.at(now.as_secs());
        let sum: u32 = counts[1..].iter().sum();
        f64::from(sum) / SECONDS as f64
    }

    /// Will the rounded figure differ from `shown` soon, though nothing happens?
    pub(super) fn will_change(&self, shown: u32, now: Duration) -> bool {
        let counts = self.at(now.as_secs());
        let most: u32 = counts.iter().sum();
        shown != 0 || f64::from(most) / SECONDS as f64 >= 0.5
    }

    /// The counts as they are in `second`.
    fn at(&self, second: u64) -> [u32; SECONDS + 1] {
        let passed = usize::try_from(second.saturating_sub(self.second)).unwrap_or(usize::MAX);
        let mut counts = [0; SECONDS + 1];
        for (n, count) in self.counts.iter().enumerate() {
            if let Some(slot) = n.checked_add(passed).and_then(|n| counts.get_mut(n)) {
                *slot = *count;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_are_averaged_and_forgotten() {
        let mut meter = Meter::default();
        let ms = Duration::from_millis;
        for n in 0..20 {
            meter.count(ms(n * 500));
        }
        assert_eq!(meter.per_second(ms(9_900)), 2.0);
        assert_eq!(meter.per_second(ms(12_900)), 1.0);
        assert!(meter.will_change(1, ms(12_900)));
        assert_eq!(meter.per_second(ms(60_000)), 0.0);
        assert!(!meter.will_change(0, ms(60_000)));
    }

    #[test]
    fn a_single_read_shows_nothing_and_wakes_nobody() {
        let mut meter = Meter::default();
        meter.count(Duration::from_secs(30));
        assert!(!meter.will_change(0, Duration::from_secs(30)));
    }
}
