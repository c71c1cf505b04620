//! Text that fits: cleaned first, measured in columns, cut with an ellipsis
//! and never silently.

use jiff::{SignedDuration, Timestamp};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::domain::clean;
use crate::domain::time::spoken;

/// The longest foreign text that is looked at for one line of the screen.
const LONGEST: usize = 4_096;

/// A foreign text made harmless.
pub(crate) fn safe(text: &str) -> String {
    clean::line(text, LONGEST)
}

/// How many columns a harmless text takes on the screen, where each grapheme is
/// drawn by itself. Measured as a whole, some would be narrower: two Arabic letters
/// that are joined in writing still get a cell each.
pub(crate) fn width(text: &str) -> usize {
    match text.is_ascii() {
        true => text.len(),
        false => text.graphemes(true).map(UnicodeWidthStr::width).sum(),
    }
}

/// The text, cut to `max` columns; what is cut is marked with `…`.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        used += width(grapheme);
        if used + 1 > max {
            break;
        }
        out.push_str(grapheme);
    }
    if max > 0 {
        out.push('…');
    }
    out
}

/// The text cut or filled up to exactly `columns`.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    let mut out = cut(text, columns);
    out.push_str(&" ".repeat(columns.saturating_sub(width(&out))));
    out
}

/// The text in lines of at most `max` columns, broken between words; a word
/// that is longer than a line is broken where it must be.
pub(crate) fn wrap(text: &str, max: usize) -> Vec<String> {
    let max = max.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let gap = usize::from(!line.is_empty());
        if width(&line) + gap + width(word) <= max {
            line.push_str(&" ".repeat(gap));
            line.push_str(word);
            continue;
        }
        // A long word begins on the line at hand if a good part of it fits.
        let rest = max.saturating_sub(width(&line) + gap);
        if width(word) > max && rest * 3 >= max {
            line.push_str(&" ".repeat(gap));
        } else if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        break_word(word, max, &mut line, &mut lines);
    }
    lines.push(line);
    lines
}

/// The text in lines of at most `max` columns, broken at any column: for JSON,
/// in which every space counts.
pub(crate) fn fold(text: &str, max: usize) -> Vec<String> {
    let (mut line, mut lines) = (String::new(), Vec::new());
    break_word(text, max.max(1), &mut line, &mut lines);
    lines.push(line);
    lines
}

fn break_word(word: &str, max: usize, line: &mut String, lines: &mut Vec<String>) {
    for grapheme in word.graphemes(true) {
        if width(line) + width(grapheme) > max && !line.is_empty() {
            lines.push(std::mem::take(line));
        }
        line.push_str(grapheme);
    }
}

/// A number with its thousands apart: `12,400`.
pub(crate) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 device`, `2 devices`.
pub(crate) fn plural(number: usize, one: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {one}{s}", count(number))
}

/// A time of the day in UTC, to the second.
pub(crate) fn clock(time: Timestamp) -> String {
    time.strftime("%H:%M:%S").to_string()
}

/// Day and time in UTC, to the second.
pub(crate) fn day_and_clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `as of 12:04:01, 40 s ago`: how old something is that looks like news.
pub(crate) fn as_of(now: Timestamp, then: Timestamp) -> String {
    let passed = now.duration_since(then).max(SignedDuration::ZERO);
    format!("as of {}, {} ago", clock(then), spoken(passed))
}

/// How long ago something was, and how fine that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grain {
    /// Tenths of a second up to ten, then seconds up to a minute.
    Fine,
    /// Whole minutes, hours, days.
    Coarse,
}

/// The steps in which a fine age moves while it shows tenths: often enough to
/// look alive, seldom enough to be cheap over a slow line.
const TENTHS: i128 = 200;
/// Coarse ages are looked at no more often than this, so that a screen full
/// of different ones does not wake the process at every second.
const COARSE: i128 = 20_000;

/// How long ago `then` was: `0.4s`, `12s`, `3m`, `2h`, `5d`.
pub(crate) fn age(now: Timestamp, then: Timestamp, grain: Grain) -> String {
    let passed = now.duration_since(then).max(SignedDuration::ZERO);
    let (millis, seconds) = (passed.as_millis(), passed.as_secs());
    match (grain, seconds) {
        (Grain::Fine, 0..10) => {
            let shown = millis - millis % TENTHS;
            format!("{}.{}s", shown / 1_000, shown % 1_000 / 100)
        }
        (Grain::Fine, 10..60) => format!("{seconds}s"),
        (Grain::Coarse, 0..60) => "<1m".to_owned(),
        (_, 60..3_600) => format!("{}m", seconds / 60),
        (_, 3_600..172_800) => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// When the age shown at `now` is another one.
pub(crate) fn next_age(now: Timestamp, then: Timestamp, grain: Grain) -> Timestamp {
    let passed = now.duration_since(then).max(SignedDuration::ZERO);
    let (millis, seconds) = (passed.as_millis(), passed.as_secs());
    let step = match (grain, seconds) {
        (Grain::Fine, 0..10) => TENTHS,
        (Grain::Fine, 10..60) => 1_000,
        (_, 0..3_600) => 60_000,
        (_, 3_600..172_800) => 3_600_000,
        _ => 86_400_000,
    };
    let mut wait = step - millis % step;
    if step >= 60_000 {
        wait = wait.max(COARSE);
    }
    after(now, wait)
}

/// When a count of whole seconds since `then` moves on.
pub(crate) fn next_second(now: Timestamp, then: Timestamp) -> Timestamp {
    let millis = now.duration_since(then).as_millis();
    after(now, 1_000 - millis.rem_euclid(1_000))
}

/// Whole seconds until `then`, rounded up: a countdown ends at 1.
pub(crate) fn seconds_until(now: Timestamp, then: Timestamp) -> i64 {
    let millis = then.duration_since(now).as_millis().max(0);
    i64::try_from((millis + 999) / 1_000).unwrap_or(i64::MAX)
}

/// When a countdown to `then` moves on; `None` when it is over.
pub(crate) fn next_count(now: Timestamp, then: Timestamp) -> Option<Timestamp> {
    let left = then.duration_since(now).as_millis();
    (left > 0).then(|| after(now, (left - 1) % 1_000 + 1))
}

fn after(now: Timestamp, millis: i128) -> Timestamp {
    let wait = i64::try_from(millis).unwrap_or(i64::MAX);
    now.checked_add(SignedDuration::from_millis(wait))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[rstest::rstest]
    #[case("press-0042", 10, "press-0042")]
    #[case("press-0042", 9, "press-00…")]
    #[case("プレス機", 5, "プレ…")]
    #[case("abc", 0, "")]
    fn cutting(#[case] text: &str, #[case] max: usize, #[case] want: &str) {
        assert_eq!(cut(text, max), want);
        assert_eq!(width(&fit(text, max)), max);
    }

    #[test]
    fn wrapping_breaks_between_words_and_long_words_anywhere() {
        assert_eq!(wrap("the hub says no", 8), ["the hub", "says no"]);
        assert_eq!(
            wrap("at https://x.test/abc", 9),
            ["at https:", "//x.test/", "abc"]
        );
        assert_eq!(wrap("", 9), [""]);
    }

    #[rstest::rstest]
    #[case(0, "0.0s", "<1m")]
    #[case(399, "0.2s", "<1m")]
    #[case(9_999, "9.8s", "<1m")]
    #[case(10_000, "10s", "<1m")]
    #[case(60_000, "1m", "1m")]
    #[case(3_599_000, "59m", "59m")]
    #[case(90_000_000, "25h", "25h")]
    #[case(172_800_000, "2d", "2d")]
    #[case(-5_000, "0.0s", "<1m")]
    fn ages(#[case] millis: i64, #[case] fine: &str, #[case] coarse: &str) {
        let then = Timestamp::UNIX_EPOCH;
        let now = then + SignedDuration::from_millis(millis);
        assert_eq!(age(now, then, Grain::Fine), fine);
        assert_eq!(age(now, then, Grain::Coarse), coarse);
    }

    #[rstest::rstest]
    #[case(0, "0")]
    #[case(999, "999")]
    #[case(1_204, "1,204")]
    #[case(1_000_000, "1,000,000")]
    fn counts(#[case] number: usize, #[case] want: &str) {
        assert_eq!(count(number), want);
    }

    proptest! {
        #[test]
        fn wrapped_lines_fit_and_lose_nothing(text in "[a-zé プ]{0,80}", max in 2usize..30) {
            let lines = wrap(&text, max);
            prop_assert!(lines.iter().all(|l| width(l) <= max), "{:?}", lines);
            let squeezed = |s: &str| s.replace(' ', "");
            prop_assert_eq!(squeezed(&lines.concat()), squeezed(&text));
        }

        #[test]
        fn an_age_stays_until_its_next_change(millis in 0i64..90_000_000, fine: bool) {
            let grain = if fine { Grain::Fine } else { Grain::Coarse };
            let then = Timestamp::UNIX_EPOCH;
            let now = then + SignedDuration::from_millis(millis);
            let next = next_age(now, then, grain);
            prop_assert!(next > now);
            if fine && millis < 59_000 {
                let before = next - SignedDuration::from_millis(1);
                prop_assert_eq!(age(before, then, grain), age(now, then, grain));
            }
        }
    }
}
