//! Pages of a listing: a bucket of tokens.

use std::time::Duration;

use super::share::Share;

/// A bucket of tokens that fills at a rate: what may be done now, and when next.
/// The rate is a learnt [`Share`].
#[derive(Clone, Debug)]
pub struct Bucket {
    capacity: f64,
    share: Share,
    level: f64,
    filled_at: Duration,
}

impl Bucket {
    /// A full bucket of `per_minute` tokens that fills in a minute.
    #[must_use]
    pub fn per_minute(per_minute: u32) -> Self {
        let capacity = f64::from(per_minute.max(1));
        let rate = capacity / 60.0;
        Self {
            capacity,
            share: Share::new(rate, rate / 16.0, Duration::from_secs(10 * 60)),
            level: capacity,
            filled_at: Duration::ZERO,
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// When there will be one again.
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let rate = self.share.rate(now);
        let gained = now.saturating_sub(self.filled_at).as_secs_f64() * rate;
        self.level = (self.level + gained).min(self.capacity);
        self.filled_at = self.filled_at.max(now);
        if self.share.held_until() > now {
            return Err(self.share.held_until());
        }
        if self.level >= 1.0 {
            self.level -= 1.0;
            return Ok(());
        }
        // A millisecond more than needed, so that rounding never makes it early.
        let missing = (1.0 - self.level) / rate + 0.001;
        Err(now + Duration::from_secs_f64(missing))
    }

    /// The hub has refused: what was saved up is gone, the rate is halved, and
    /// nothing is taken for the time that the hub names.
    pub fn refused(&mut self, wait: Option<Duration>, now: Duration, chance: f64) {
        let rate = self.share.rate(now);
        self.share.refused(now, wait, rate, now, chance);
        self.level = 0.0;
        self.filled_at = self.share.held_until();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &mut Bucket, from: Duration, to: Duration) -> u32 {
        let mut now = from;
        let mut taken = 0;
        while now < to {
            match bucket.take(now) {
                Ok(()) => taken += 1,
                Err(at) => now = at,
            }
        }
        taken
    }

    #[test]
    fn a_bucket_gives_its_capacity_at_once_and_then_its_rate() {
        let mut bucket = Bucket::per_minute(10);
        let two_minutes = Duration::from_secs(120);
        assert_eq!(taken(&mut bucket, Duration::ZERO, two_minutes), 10 + 19);
    }

    #[test]
    fn a_refusal_empties_it_and_halves_its_rate_for_some_minutes() {
        let mut bucket = Bucket::per_minute(10);
        let second = Duration::from_secs(1);
        bucket.refused(Some(10 * second), Duration::ZERO, 0.0);
        assert_eq!(bucket.take(5 * second), Err(10 * second));
        let first = taken(&mut bucket, 10 * second, 70 * second);
        assert!((4..=5).contains(&first), "{first}");
        taken(&mut bucket, 70 * second, 1_000 * second);
        let later = taken(&mut bucket, 1_000 * second, 1_060 * second);
        assert_eq!(later, 10);
    }
}
