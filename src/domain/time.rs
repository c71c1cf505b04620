//! Times: the hub's formats, and how people write and read them.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// Reads a time as IoT Hub writes it: RFC 3339 with up to seven digits of a
/// second, in UTC; the answer to a create leaves the zone out. The hub's word
/// for "never", the year 1, is `None`, and so is a text that is no time.
#[must_use]
pub fn hub_time(text: &str) -> Option<Timestamp> {
    let time = text.parse::<Timestamp>().ok().or_else(|| {
        let civil = text.parse::<DateTime>().ok()?;
        Offset::UTC.to_timestamp(civil).ok()
    })?;
    let year = Offset::UTC.to_datetime(time).year();
    (year > 1).then_some(time)
}

/// Reads a `generationId`, which is the time at which an identity was made: a
/// decimal number of .NET ticks, 100 ns each since the year 1 (recorded in
/// `Azure/azure-sdk-for-net`, `DevicesClient_IdentityLifecycle`).
#[must_use]
pub fn ticks(text: &str) -> Option<Timestamp> {
    const UNIX_EPOCH: i128 = 621_355_968_000_000_000;
    let ticks: i128 = text.parse().ok()?;
    Timestamp::from_nanosecond(ticks.checked_sub(UNIX_EPOCH)?.checked_mul(100)?).ok()
}

/// A duration as a clock shows it: `0:27`, `12:05`, `1:02:00`.
#[must_use]
pub fn on_a_clock(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Cuts a time to whole milliseconds, which is all that our own clock is worth.
#[must_use]
pub fn to_millis(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// A duration in the largest unit that fits, as people say it: `8 s`, `15 min`,
/// `2 h`, `3 days`.
#[must_use]
pub fn spoken(duration: SignedDuration) -> String {
    match duration.as_secs().max(0) {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3_600 if s % 60 == 0 || s >= 600 => format!("{} min", s / 60),
        s @ 60..3_600 => format!("{} min {} s", s / 60, s % 60),
        s @ 172_800.. => format!("{} days", s / 86_400),
        s if s % 3_600 < 60 => format!("{} h", s / 3_600),
        s => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
    }
}

/// Reads a duration as people write it on a command line: `8s`, `15m`, `2h`,
/// `1d`, `500ms`, or several of these: `1h30m`.
///
/// # Errors
/// A sentence that says what was wrong and what would be right.
pub fn duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("{text:?} is no duration; write 8s, 15m or 2h");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = SignedDuration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let number: i64 = number.parse().map_err(|_| wrong())?;
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let part = number.checked_mul(millis).ok_or_else(wrong)?;
        total = total
            .checked_add(SignedDuration::from_millis(part))
            .ok_or_else(wrong)?;
        rest = next;
    }
    Ok(total)
}

/// A time as people write it on a command line: one in RFC 3339, a day, or how
/// long ago it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// `2026-11-23T12:04:00Z`.
    At(Timestamp),
    /// `2026-11-23`, in UTC.
    Day(Date),
    /// `2h`: so long ago.
    Ago(SignedDuration),
}

impl Moment {
    /// Reads it.
    ///
    /// # Errors
    /// A sentence that says what was wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let day = text.len() == "2026-11-23".len();
        if let (true, Ok(day)) = (day, text.parse::<Date>()) {
            return Ok(Self::Day(day));
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self::At(time));
        }
        duration(text).map(Self::Ago).map_err(|_| {
            format!(
                "{text:?} is no time; write 2026-11-23T12:04:00Z, 2026-11-23, or how long ago: \
                 2h, 3d"
            )
        })
    }

    /// The first moment that it means: of a day, its begin.
    #[must_use]
    pub fn begin(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Day(day) => midnight(day),
            Self::Ago(passed) => now.checked_sub(passed).unwrap_or(Timestamp::MIN),
        }
    }

    /// What comes right after it: of a day, the begin of the next.
    #[must_use]
    pub fn end(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Day(day) => day.tomorrow().map_or(Timestamp::MAX, midnight),
            _ => self.begin(now),
        }
    }
}

fn midnight(day: Date) -> Timestamp {
    let civil = day.to_datetime(jiff::civil::Time::midnight());
    Offset::UTC.to_timestamp(civil).unwrap_or(Timestamp::MIN)
}

/// A time in RFC 3339, in UTC and to the second: for tables of people and of
/// programs.
#[must_use]
pub fn to_the_second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("2021-07-07T20:45:24.0029022Z", Some("2021-07-07T20:45:24.0029022Z"))]
    #[case("2021-07-07T20:45:24", Some("2021-07-07T20:45:24Z"))]
    #[case("0001-01-01T00:00:00Z", None)]
    #[case("0001-01-01T00:00:00", None)]
    #[case("current_time", None)]
    #[case("", None)]
    fn hub_times(#[case] text: &str, #[case] want: Option<&str>) {
        assert_eq!(hub_time(text).map(|t| t.to_string()).as_deref(), want);
    }

    #[rstest::rstest]
    #[case("637612875240648717", Some("2021-07-07T20:45:24.0648717Z"))]
    #[case("0", Some("0001-01-01T00:00:00Z"))]
    #[case("", None)]
    #[case("2021-07-07", None)]
    #[case("99999999999999999999999999999999999999", None)]
    #[case("-170141183460469231731687303715884105728", None)]
    fn generations_are_times(#[case] text: &str, #[case] want: Option<&str>) {
        assert_eq!(ticks(text).map(|t| t.to_string()).as_deref(), want);
    }

    #[rstest::rstest]
    #[case(-3, "0:00")]
    #[case(27, "0:27")]
    #[case(725, "12:05")]
    #[case(3_720, "1:02:00")]
    fn clocks(#[case] seconds: i64, #[case] want: &str) {
        assert_eq!(on_a_clock(SignedDuration::from_secs(seconds)), want);
    }

    #[rstest::rstest]
    #[case("8s", Some(8_000))]
    #[case("15m", Some(900_000))]
    #[case("2h", Some(7_200_000))]
    #[case("1h30m", Some(5_400_000))]
    #[case("500ms", Some(500))]
    #[case("0s", Some(0))]
    #[case("", None)]
    #[case("8", None)]
    #[case("-8s", None)]
    #[case("s", None)]
    #[case("8 s", None)]
    #[case("99999999999999999999s", None)]
    #[case("9223372036854775807h", None)]
    fn durations(#[case] text: &str, #[case] millis: Option<i128>) {
        assert_eq!(duration(text).ok().map(|d| d.as_millis()), millis);
    }

    #[rstest::rstest]
    #[case("2026-11-23T12:04:00Z", "2026-11-23T12:04:00Z", "2026-11-23T12:04:00Z")]
    #[case(
        "2026-11-23T12:04:00+02:00",
        "2026-11-23T10:04:00Z",
        "2026-11-23T10:04:00Z"
    )]
    #[case("2026-11-23", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z")]
    #[case(" 2h", "2026-11-25T10:00:00Z", "2026-11-25T10:00:00Z")]
    #[case("3d", "2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z")]
    #[case("106751991167d", "-009999-01-02T01:59:59Z", "-009999-01-02T01:59:59Z")]
    fn moments(#[case] text: &str, #[case] begin: &str, #[case] end: &str) {
        let now = "2026-11-25T12:00:00Z".parse().unwrap();
        let moment = Moment::parse(text).unwrap();
        assert_eq!(moment.begin(now).to_string(), begin);
        assert_eq!(moment.end(now).to_string(), end);
    }

    #[rstest::rstest]
    #[case("")]
    #[case("yesterday")]
    #[case("2026-13-01")]
    #[case("2026-11-23T12:04:00")]
    #[case("-2h")]
    fn what_is_no_moment_is_said(#[case] text: &str) {
        let error = Moment::parse(text).unwrap_err();
        assert!(error.contains("2026-11-23"), "{error}");
    }
}
