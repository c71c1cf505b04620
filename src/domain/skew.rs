//! How far our clock is from the hub's, measured from the `Date` of its answers.
//!
//! A `Date` is cut to whole seconds and was written some time between the request
//! and the answer, so one answer tells a range only. Ranges of several answers are
//! cut with each other; when they do not meet, a clock was set meanwhile, and the
//! newest counts.

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};

use super::time::spoken;

/// A difference beyond this is told, and no token is signed by it: a hub's clock
/// is right, and one that is a day off is not a hub's.
pub const BELIEVED: SignedDuration = SignedDuration::from_hours(24);
/// A difference up to this is nobody's concern.
pub const NOTED: SignedDuration = SignedDuration::from_secs(30);
/// A difference beyond this is named when the hub refuses a token.
pub const BLAMED: SignedDuration = SignedDuration::from_secs(60);

const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// The hub's clock less ours, as far as it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    least: SignedDuration,
    most: SignedDuration,
}

impl Skew {
    /// What the `Date` of an answer tells that was asked for at `sent` and came at
    /// `got`, both by our clock. `None` when it is no date, or when our clock was
    /// set back meanwhile.
    #[must_use]
    pub fn measured(date: &str, sent: Timestamp, got: Timestamp) -> Option<Self> {
        let date = read(date)?;
        (sent <= got).then(|| Self {
            least: date.duration_since(got),
            most: date.duration_since(sent).saturating_add(SECOND),
        })
    }

    /// The same after another answer.
    #[must_use]
    pub fn refined(self, newer: Self) -> Self {
        let cut = Self {
            least: self.least.max(newer.least),
            most: self.most.min(newer.most),
        };
        match cut.least <= cut.most {
            true => cut,
            false => newer,
        }
    }

    /// The hub's clock less ours: positive when ours is behind.
    #[must_use]
    pub fn offset(self) -> SignedDuration {
        // The middle, to the second. What may be nothing is nothing.
        if self.least <= SignedDuration::ZERO && self.most >= SignedDuration::ZERO {
            return SignedDuration::ZERO;
        }
        let middle = self.least.as_millis().midpoint(self.most.as_millis());
        let middle = i64::try_from(middle).unwrap_or(i64::MAX);
        SignedDuration::from_secs(middle.div_euclid(1_000))
    }

    /// The offset where it may be relied on, else none.
    #[must_use]
    pub fn believed(self) -> SignedDuration {
        let offset = self.offset();
        match offset.abs() <= BELIEVED {
            true => offset,
            false => SignedDuration::ZERO,
        }
    }
}

/// The time that a `Date` tells; `None` when it is no date.
#[must_use]
pub fn read(date: &str) -> Option<Timestamp> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    PARSER.parse_timestamp(date).ok()
}

/// `this machine's clock is 12 min behind the hub's`.
#[must_use]
pub fn words(offset: SignedDuration) -> String {
    let side = match offset.is_negative() {
        true => "ahead of",
        false => "behind",
    };
    let size = spoken(offset.abs());
    format!("this machine's clock is {size} {side} the hub's")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_767_225_600_000 + millis).unwrap()
    }

    /// The header of an answer that is written at that time.
    fn date(time: Timestamp) -> String {
        time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    #[rstest::rstest]
    #[case("Thu, 01 Jan 2026 00:12:00 GMT", 720, "12 min behind")]
    #[case("Wed, 31 Dec 2025 23:59:00 GMT", -60, "1 min ahead of")]
    #[case("Thu, 01 Jan 2026 00:00:00 GMT", 0, "0 s behind")]
    fn a_date_tells_the_skew(#[case] date: &str, #[case] seconds: i64, #[case] said: &str) {
        let skew = Skew::measured(date, at(0), at(40)).unwrap();
        assert_eq!(skew.offset().as_secs(), seconds);
        assert!(words(skew.offset()).contains(said));
    }

    #[test]
    fn what_is_no_date_and_a_clock_that_was_set_back_tell_nothing() {
        assert_eq!(Skew::measured("yesterday", at(0), at(40)), None);
        let date = date(at(0));
        assert_eq!(Skew::measured(&date, at(40), at(0)), None);
    }

    #[test]
    fn a_day_is_believed_and_more_is_only_told() {
        let skew = |ms| Skew::measured(&date(at(ms)), at(0), at(10)).unwrap();
        let day = 86_400_000;
        assert_eq!(skew(day - 5_000).believed().as_secs(), 86_395);
        assert_eq!(skew(2 * day).believed(), SignedDuration::ZERO);
        assert!(skew(2 * day).offset() > BELIEVED);
    }

    #[test]
    fn a_clock_that_is_set_is_measured_anew() {
        let before = Skew::measured(&date(at(600_000)), at(0), at(10)).unwrap();
        let after = Skew::measured(&date(at(601_000)), at(601_000), at(601_010)).unwrap();
        assert_eq!(before.refined(after), after);
    }

    proptest! {
        /// However slow the answers are: the truth is never outside, and the
        /// offset is at most as far off as the slowest answer takes, and a second:
        /// what may be nothing counts as nothing.
        #[test]
        fn the_true_skew_is_inside(skew in -90_000_000i64..90_000_000, answers in prop::collection::vec((0i64..5_000, 0i64..5_000), 1..8)) {
            let mut known: Option<Skew> = None;
            let mut clock = 0;
            for (there, back) in answers {
                let sent = at(clock);
                let written = date(at(clock + there + skew));
                clock += there + back;
                let one = Skew::measured(&written, sent, at(clock)).unwrap();
                let now = known.map_or(one, |known| known.refined(one));
                prop_assert!(now.least.as_millis() <= i128::from(skew));
                prop_assert!(now.most.as_millis() >= i128::from(skew));
                let off = (now.offset().as_millis() - i128::from(skew)).abs();
                prop_assert!(off <= 11_000, "{off}");
                known = Some(now);
            }
        }
    }
}
