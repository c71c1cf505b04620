//! Waits between tries: exponential, with full jitter.

use std::time::Duration;

/// An endless iterator of waits: the n-th is uniformly distributed between 0
/// and `min(cap, first · 2ⁿ)` ("full jitter"), so that many who failed at once
/// do not come back at once.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    first: Duration,
    cap: Duration,
}

impl Backoff {
    /// Waits that begin at up to `first` and never pass `cap`.
    #[must_use]
    pub fn new(first: Duration, cap: Duration) -> Self {
        let first = first.min(cap);
        Self {
            next: first,
            first,
            cap,
        }
    }

    /// The same after so many failures in a row: the wait after the first of them is
    /// up to `first`.
    #[must_use]
    pub fn after(failures: u32, first: Duration, cap: Duration) -> Self {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
        let new = Self::new(first, cap);
        Self {
            next: new.first.saturating_mul(doubled).min(cap),
            ..new
        }
    }

    /// The upper bound of the next wait; doubles it for the one after.
    pub fn next_bound(&mut self) -> Duration {
        let bound = self.next;
        self.next = bound.saturating_mul(2).min(self.cap);
        bound
    }

    /// The next wait, `chance` being uniformly distributed in 0..1.
    pub fn next_wait(&mut self, chance: f64) -> Duration {
        self.next_bound().mul_f64(chance.clamp(0.0, 1.0))
    }

    /// Begins anew, after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_double_up_to_the_cap_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let bounds: Vec<u64> = (0..5).map(|_| backoff.next_bound().as_secs()).collect();
        assert_eq!(bounds, [1, 2, 4, 5, 5]);
        backoff.reset();
        assert_eq!(backoff.next_bound().as_secs(), 1);
    }

    #[test]
    fn after_so_many_failures_it_is_where_they_have_brought_it() {
        let (first, cap) = (Duration::from_millis(500), Duration::from_secs(30));
        let mut walked = Backoff::new(first, cap);
        for failures in 1..80 {
            let bound = Backoff::after(failures, first, cap).next_bound();
            assert_eq!(bound, walked.next_bound(), "after {failures}");
        }
        assert_eq!(Backoff::after(0, first, cap).next_bound(), first);
        assert_eq!(Backoff::after(u32::MAX, first, cap).next_bound(), cap);
    }

    proptest! {
        #[test]
        fn no_wait_passes_the_cap(first in 0u64..10_000, cap in 0u64..10_000, chances in prop::collection::vec(0.0f64..1.0, 1..100)) {
            let cap = Duration::from_millis(cap);
            let mut backoff = Backoff::new(Duration::from_millis(first), cap);
            for chance in chances {
                prop_assert!(backoff.next_wait(chance) <= cap);
            }
        }
    }
}
