//! Times and fractions as people write them in a scenario, with their bounds.

use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;

const DAY: i64 = 86_400;
/// The most that a clock may be off: ten years.
const OFF: i64 = 3_653 * DAY;

/// `"2s"`, `"500ms"`, `"1m 30s"`: at most a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong =
            || format!("\"{text}\" is no duration of at most a day, such as \"2s\" or \"500ms\"");
        let span: SignedDuration = text.parse().map_err(|_| wrong())?;
        let span = Duration::try_from(span).map_err(|_| wrong())?;
        if span > Duration::from_secs(86_400) {
            return Err(wrong());
        }
        Ok(Self(span))
    }
}

/// How far a clock is off: `"+10m"` is ahead, `"-1y"` behind. A year has 365
/// days here and a month 30.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Skew(pub SignedDuration);

impl TryFrom<String> for Skew {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong =
            || format!("\"{text}\" is no offset of at most ten years, such as \"+10m\" or \"-1y\"");
        let span: jiff::Span = text.trim().parse().map_err(|_| wrong())?;
        let days = i64::from(span.get_years()) * 365
            + i64::from(span.get_months()) * 30
            + i64::from(span.get_weeks()) * 7
            + i64::from(span.get_days());
        let rest = span.years(0).months(0).weeks(0).days(0);
        let rest = SignedDuration::try_from(rest).map_err(|_| wrong())?;
        let off = SignedDuration::from_secs(days * DAY).checked_add(rest);
        off.filter(|off| off.abs() <= SignedDuration::from_secs(OFF))
            .map(Self)
            .ok_or_else(wrong)
    }
}

/// 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Fraction(pub f64);

impl TryFrom<f64> for Fraction {
    type Error = String;

    fn try_from(number: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&number) {
            return Ok(Self(number));
        }
        Err(format!("{number} is not between 0 and 1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("+10m", Some(600))]
    #[case("10m", Some(600))]
    #[case("-1y", Some(-365 * DAY))]
    #[case("-1d 12h", Some(-DAY - 43_200))]
    #[case("1mo", Some(30 * DAY))]
    #[case("11y", None)]
    #[case("soon", None)]
    #[case("", None)]
    fn clocks_are_off_by(#[case] text: &str, #[case] seconds: Option<i64>) {
        let skew = Skew::try_from(text.to_owned()).ok();
        assert_eq!(skew.map(|skew| skew.0.as_secs()), seconds);
    }
}
