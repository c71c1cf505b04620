//! The share of a hub's rate that one program may use, learnt.
//!
//! A hub serves everybody from one rate, and does not tell how much of it is
//! left. So the share goes down by a factor when the hub shows that it has
//! enough, and up again by a constant amount a second when it does not: programs
//! that do so side by side settle at equal shares.
//!
//! The hub shows it twice. A request above the rate is first held back, for
//! seconds, and only then refused with 429. So answers that take much longer
//! than the quickest of the last minute are the first sign, and often the last.

use std::time::Duration;

/// A share after a refusal, of what was used before.
const REFUSED: f64 = 0.5;
/// A share after answers that were held back.
const HELD_BACK: f64 = 0.8;
/// Answers that only take long never push a share below this part of its
/// ceiling: the way to the hub may have become longer for good.
const SLOW_FLOOR: f64 = 0.25;
/// So many slow answers in a row are no accident.
const SLOW_RUN: u32 = 3;
/// An answer is slow when it takes this much longer than twice the quickest.
const SLOW: Duration = Duration::from_millis(200);
/// How long the quickest answer is remembered, at least; at most twice as long.
const MEMORY: Duration = Duration::from_secs(30);
/// How long a refusal that names no wait stops everything.
const UNNAMED: Duration = Duration::from_secs(5);

/// A rate between a floor and a ceiling. Times are since the engine's start.
#[derive(Clone, Debug)]
pub struct Share {
    ceiling: f64,
    floor: f64,
    /// Growth in a second, in operations a second.
    growth: f64,
    /// The share at `since`; it grows from there.
    rate: f64,
    since: Duration,
    /// When it was last taken back. What was sent before tells nothing new.
    cut: Option<Duration>,
    /// Nothing is sent before.
    held_until: Duration,
    slow: u32,
    quickest: Quickest,
}

/// The quickest answer of the last minute or so: of this half, and of the one
/// before.
#[derive(Clone, Debug, Default)]
struct Quickest {
    began: Duration,
    now: Option<Duration>,
    before: Option<Duration>,
}

impl Quickest {
    fn take(&mut self, took: Duration, now: Duration) -> Duration {
        if now >= self.began + MEMORY {
            self.before = self.now.take();
            self.began = now;
        }
        self.now = Some(self.now.map_or(took, |quickest| quickest.min(took)));
        let both = [self.now, self.before];
        both.into_iter().flatten().min().unwrap_or(took)
    }
}

impl Share {
    /// A share that begins at its ceiling of operations a second, and grows from
    /// nothing to it in `recovery`.
    #[must_use]
    pub fn new(ceiling: f64, floor: f64, recovery: Duration) -> Self {
        let ceiling = ceiling.max(floor);
        Self {
            ceiling,
            floor,
            growth: ceiling / recovery.as_secs_f64().max(1.0),
            rate: ceiling,
            since: Duration::ZERO,
            cut: None,
            held_until: Duration::ZERO,
            slow: 0,
            quickest: Quickest::default(),
        }
    }

    /// The most that it can be.
    #[must_use]
    pub fn ceiling(&self) -> f64 {
        self.ceiling
    }

    /// Operations a second that may be sent now.
    #[must_use]
    pub fn rate(&self, now: Duration) -> f64 {
        let grown = self.growth * now.saturating_sub(self.since).as_secs_f64();
        (self.rate + grown).min(self.ceiling)
    }

    /// Nothing is to be sent before.
    #[must_use]
    pub fn held_until(&self) -> Duration {
        self.held_until
    }

    /// An operation that was sent at `sent` was answered now.
    pub fn answered(&mut self, sent: Duration, now: Duration) {
        let took = now.saturating_sub(sent);
        let quickest = self.quickest.take(took, now);
        if took <= quickest * 2 + SLOW {
            self.slow = 0;
            return;
        }
        if self.cut.is_some_and(|cut| sent <= cut) {
            return;
        }
        self.slow += 1;
        if self.slow >= SLOW_RUN {
            let rate = self.rate(now);
            let floor = (self.ceiling * SLOW_FLOOR).min(rate);
            self.cut_to((rate * HELD_BACK).max(floor), now, now);
        }
    }

    /// An operation that was sent at `sent` was refused now, when `used` were
    /// sent a second. All stops for the time that the hub names, and for a part
    /// of it more that depends on `chance` in 0..1: several programs that were
    /// refused at once must not come back at once.
    pub fn refused(
        &mut self,
        sent: Duration,
        wait: Option<Duration>,
        used: f64,
        now: Duration,
        chance: f64,
    ) {
        let wait = wait.unwrap_or(UNNAMED);
        let again = now + wait + wait.mul_f64(chance.clamp(0.0, 1.0) / 2.0);
        if self.cut.is_some_and(|cut| sent <= cut) {
            // One crowd, one refusal; but the wait counts from the last.
            self.held_until = self.held_until.max(now + wait);
            self.since = self.since.max(self.held_until);
            return;
        }
        self.held_until = self.held_until.max(again);
        let rate = self.rate(now).min(used.max(self.floor)) * REFUSED;
        self.cut_to(rate, now, self.held_until);
    }

    fn cut_to(&mut self, rate: f64, now: Duration, grows_from: Duration) {
        self.rate = rate.max(self.floor);
        self.since = grows_from;
        self.cut = Some(now);
        self.slow = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn share() -> Share {
        Share::new(60.0, 1.0, 60 * SECOND)
    }

    #[test]
    fn a_refusal_halves_what_was_used_and_stops_all_for_the_named_wait_and_more() {
        let mut share = share();
        share.refused(SECOND, Some(10 * SECOND), 40.0, 2 * SECOND, 0.5);
        assert_eq!(share.held_until(), Duration::from_millis(14_500));
        assert_eq!(share.rate(share.held_until()), 20.0, "no growth meanwhile");
        assert_eq!(share.rate(share.held_until() + 10 * SECOND), 30.0);
        assert_eq!(share.rate(Duration::from_secs(1_000)), 60.0);
    }

    #[test]
    fn two_that_are_refused_together_come_back_apart() {
        let (mut one, mut other) = (share(), share());
        one.refused(SECOND, Some(10 * SECOND), 60.0, SECOND, 0.1);
        other.refused(SECOND, Some(10 * SECOND), 60.0, SECOND, 0.9);
        assert_eq!(other.held_until() - one.held_until(), 4 * SECOND);
    }

    #[test]
    fn refusals_of_one_crowd_count_once() {
        let mut share = share();
        for _ in 0..20 {
            share.refused(SECOND, Some(10 * SECOND), 60.0, 2 * SECOND, 0.0);
        }
        assert_eq!(share.rate(share.held_until()), 30.0);
        // One that was sent after that is news.
        share.refused(20 * SECOND, None, 60.0, 21 * SECOND, 0.0);
        assert!(share.rate(share.held_until()) < 21.0);
        assert_eq!(share.held_until(), 26 * SECOND);
    }

    #[test]
    fn it_stays_between_floor_and_ceiling() {
        let mut share = share();
        for n in 1..50 {
            share.refused(n * 100 * SECOND, None, 0.0, n * 100 * SECOND, 0.0);
            assert!(share.rate(share.held_until()) >= 1.0);
        }
        assert_eq!(share.rate(Duration::MAX / 2), 60.0);
    }

    #[test]
    fn answers_that_are_held_back_are_an_early_sign() {
        let mut share = share();
        for n in 1..=10 {
            share.answered(n * SECOND, n * SECOND + 50 * MS);
        }
        assert_eq!(share.rate(11 * SECOND), 60.0);
        for _ in 0..2 {
            share.answered(11 * SECOND, 12 * SECOND);
        }
        assert_eq!(share.rate(12 * SECOND), 60.0, "it may be an accident");
        for _ in 0..20 {
            share.answered(11 * SECOND, 12 * SECOND);
        }
        assert_eq!(share.rate(12 * SECOND), 48.0, "one crowd counts once");
        assert_eq!(share.held_until(), Duration::ZERO, "nothing stops");
    }

    #[test]
    fn a_way_that_has_become_longer_is_learnt_anew() {
        let mut share = share();
        share.answered(Duration::ZERO, 20 * MS);
        let mut lowest = f64::MAX;
        for n in 1..1_200 {
            let sent = n * 100 * MS;
            share.answered(sent, sent + 500 * MS);
            lowest = lowest.min(share.rate(sent));
        }
        assert!((14.0..=30.0).contains(&lowest), "{lowest}");
        assert_eq!(share.rate(121 * SECOND), 60.0);
    }
}
