//! The hub's time formats, written.
//!
//! Fractions have up to seven digits with trailing zeros cut, as in the
//! recordings of `Azure/azure-sdk-for-net` (`2021-07-07T20:45:24.131397Z`).

use jiff::{Timestamp, Unit};

/// "Never" as twins and reads of an identity write it.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// .NET ticks (100 ns) from the year 1 to 1970.
const UNIX_EPOCH_TICKS: i128 = 621_355_968_000_000_000;

/// A time in UTC with at most seven digits of a second.
#[must_use]
pub fn text(time: Timestamp) -> String {
    whole_ticks(time).to_string()
}

/// The same, or [`NEVER`].
#[must_use]
pub fn text_or_never(time: Option<Timestamp>) -> String {
    time.map_or_else(|| NEVER.to_owned(), text)
}

/// A time in .NET ticks, which `generationId` is made of.
#[must_use]
pub fn ticks(time: Timestamp) -> u64 {
    let ticks = time.as_nanosecond() / 100 + UNIX_EPOCH_TICKS;
    u64::try_from(ticks).unwrap_or(0)
}

fn whole_ticks(time: Timestamp) -> Timestamp {
    let rounding = jiff::TimestampRound::new()
        .smallest(Unit::Nanosecond)
        .increment(100)
        .mode(jiff::RoundMode::Floor);
    time.round(rounding).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("2021-07-07T20:45:24.131397Z", "2021-07-07T20:45:24.131397Z")]
    #[case("2021-07-07T20:45:24.123456789Z", "2021-07-07T20:45:24.1234567Z")]
    #[case("2021-07-07T20:45:24.5Z", "2021-07-07T20:45:24.5Z")]
    #[case("2021-07-07T20:45:24Z", "2021-07-07T20:45:24Z")]
    fn seven_digits_and_no_trailing_zero(#[case] time: &str, #[case] want: &str) {
        assert_eq!(text(time.parse().unwrap()), want);
    }

    #[test]
    fn ticks_are_those_of_the_recorded_generation_id() {
        let time: Timestamp = "2021-07-07T20:45:24.0648717Z".parse().unwrap();
        assert_eq!(ticks(time), 637_612_875_240_648_717);
        assert_eq!(text_or_never(None), NEVER);
    }
}
