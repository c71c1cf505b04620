//! Hostile text made harmless.
//!
//! Whatever a device or a hub says may hold escape sequences, bidi overrides,
//! piles of combining marks or a megabyte of anything. Nothing foreign reaches
//! a screen, a line of text or a log but through [`line()`]; JSON goes out through
//! [`json`], which keeps every character but escapes the dangerous ones; a
//! reported object that is kept or sent on goes through [`bounded`].

use std::fmt::Write as _;

use serde_json::{Map, Value};
use unicode_segmentation::UnicodeSegmentation;

use super::redact;

/// Characters of one grapheme that are let through: a letter with a few marks,
/// or an emoji sequence.
const MAX_PER_GRAPHEME: usize = 8;
/// Characters of one string in a kept object.
const MAX_STRING: usize = 1_024;
/// Members of one object or array in a kept object.
const MAX_MEMBERS: usize = 256;
/// Levels of a kept object; IoT Hub allows ten.
const MAX_DEPTH: usize = 12;
/// Characters of a kept object in all; IoT Hub allows 32 KB.
const MAX_OBJECT: usize = 64 << 10;

/// One line of at most `max` characters in which nothing is left that moves a
/// cursor, hides or reorders text. What is dangerous stays visible as an
/// escape (`\u{1b}`, `\n`); what is cut is marked with `…`.
#[must_use]
pub fn line(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max * 4));
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let shown = visible(grapheme);
        let width = shown.chars().count();
        if used + width > max {
            while used >= max {
                out.pop();
                used -= 1;
            }
            out.push('…');
            return out;
        }
        out.push_str(&shown);
        used += width;
    }
    out
}

/// What one error of a library says, for an operator: without the address of the
/// library's documentation, which is for its programmers.
#[must_use]
pub fn cause(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let words = text.split(": https://docs.rs/").next();
    words.unwrap_or_default().to_owned()
}

/// A JSON value as one harmless line; a string stands without its quotes.
#[must_use]
pub fn value_line(value: &Value, max: usize) -> String {
    match bounded(value) {
        Value::String(text) => line(&text, max),
        other => line(&other.to_string(), max),
    }
}

fn visible(grapheme: &str) -> String {
    let mut out = String::with_capacity(grapheme.len());
    for (n, c) in grapheme.chars().enumerate() {
        if n == MAX_PER_GRAPHEME {
            out.push('…');
            break;
        }
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_dangerous(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Can this character move the cursor, hide itself, or reorder what stands
/// beside it?
#[must_use]
pub fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // soft hyphen, Arabic letter mark, Hangul fillers, Mongolian separators
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{3164}' | '\u{ffa0}'
            // zero width, marks of direction, line and paragraph separators,
            // embeddings, overrides, isolates, invisible operators
            | '\u{200b}'..='\u{200c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            // byte order mark, interlinear annotation, tags, private use, non-characters
            | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}'
            | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}

/// Serialised JSON in which every dangerous character is escaped as `\uXXXX`.
/// The data stays what it was: such characters occur only inside strings, and
/// line breaks not at all.
#[must_use]
pub fn json(serialised: &str) -> String {
    let mut out = String::with_capacity(serialised.len());
    let mut units = [0; 2];
    for c in serialised.chars() {
        if is_dangerous(c) {
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// The same value with long strings, wide objects and deep nesting cut, each
/// cut marked, so that one device cannot fill a journal or a screen; and with
/// the secrets of URLs hidden.
#[must_use]
pub fn bounded(value: &Value) -> Value {
    let mut left = MAX_OBJECT;
    bounded_at(value, 0, &mut left)
}

fn bounded_at(value: &Value, depth: usize, left: &mut usize) -> Value {
    let cut = |why: &str| Value::String(format!("… ({why})"));
    *left = left.saturating_sub(8);
    if *left == 0 {
        return cut("too large");
    }
    match value {
        Value::String(text) => {
            let text = bounded_text(text);
            *left = left.saturating_sub(text.len());
            Value::String(text)
        }
        Value::Object(_) | Value::Array(_) if depth >= MAX_DEPTH => cut("nested too deep"),
        Value::Array(items) => {
            let kept = items.iter().take(MAX_MEMBERS);
            let mut kept: Vec<Value> = kept.map(|i| bounded_at(i, depth + 1, left)).collect();
            if items.len() > MAX_MEMBERS {
                kept.push(cut(&format!("{} more", items.len() - MAX_MEMBERS)));
            }
            Value::Array(kept)
        }
        Value::Object(members) => {
            let mut kept = Map::new();
            for (n, (key, item)) in members.iter().enumerate() {
                if n == MAX_MEMBERS || *left == 0 {
                    let more = format!("{} more", members.len() - n);
                    kept.insert("…".to_owned(), Value::String(more));
                    break;
                }
                let key = bounded_text(key);
                *left = left.saturating_sub(key.len());
                kept.insert(key, bounded_at(item, depth + 1, left));
            }
            Value::Object(kept)
        }
        other => other.clone(),
    }
}

/// A text of at most 1,024 characters; a longer one is cut and says how long
/// it was. The secrets of URLs in it are hidden.
#[must_use]
pub fn bounded_text(text: &str) -> String {
    match text.char_indices().nth(MAX_STRING) {
        None => redact::text(text),
        Some((at, _)) => {
            let begin = redact::text(&text[..at]);
            format!("{begin}… ({} characters)", text.chars().count())
        }
    }
}

/// A word as a shell takes it literally: quoted when it must be.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[rstest::rstest]
    #[case(
        "peer closed connection without sending TLS close_notify: https://docs.rs/rustls/x#y",
        "peer closed connection without sending TLS close_notify"
    )]
    #[case("connection refused", "connection refused")]
    fn manuals_are_left_out(#[case] said: &str, #[case] want: &str) {
        assert_eq!(cause(&std::io::Error::other(said)), want);
    }

    #[rstest::rstest]
    #[case("standBy", "standBy")]
    #[case("\u{1b}[2Jboo", "\\u{1b}[2Jboo")]
    #[case("a\nb\tc\r", "a\\nb\\tc\\r")]
    #[case("\u{202e}evil", "\\u{202e}evil")]
    #[case("\u{9b}31m", "\\u{9b}31m")]
    #[case("größe 👩‍🔧 שלום", "größe 👩‍🔧 שלום")]
    fn lines(#[case] text: &str, #[case] want: &str) {
        assert_eq!(line(text, 80), want);
    }

    #[test]
    fn long_text_is_cut_and_marked() {
        assert_eq!(line("abcdef", 6), "abcdef");
        assert_eq!(line("abcdefg", 6), "abcde…");
        assert_eq!(line("abcde\u{1b}", 6), "abcde…");
        assert_eq!(line(&"x".repeat(1 << 20), 10), "xxxxxxxxx…");
    }

    #[test]
    fn piles_of_marks_are_cut() {
        let pile = format!("z{}", "\u{300}".repeat(500));
        assert!(line(&pile, 80).chars().count() <= MAX_PER_GRAPHEME + 1);
    }

    #[test]
    fn json_keeps_the_data_and_escapes_the_danger() {
        let value = serde_json::json!({"s": "\u{1b}[2J\u{9b}\u{202e}\u{e0041}\u{7f}ü"});
        let safe = json(&value.to_string());
        assert!(!safe.chars().any(is_dangerous), "{safe}");
        assert_eq!(serde_json::from_str::<Value>(&safe).unwrap(), value);
    }

    #[rstest::rstest]
    #[case("press-7", "press-7")]
    #[case("$(id);'", r"'$(id);'\'''")]
    #[case("x;reboot", "'x;reboot'")]
    #[case("", "''")]
    fn shell_words(#[case] word: &str, #[case] want: &str) {
        assert_eq!(shell_word(word), want);
    }

    #[test]
    fn a_wide_and_deep_object_is_bounded_as_a_whole() {
        let row: Vec<String> = (0..200).map(|_| "x".repeat(1_000)).collect();
        let rows: Vec<Vec<String>> = (0..200).map(|_| row.clone()).collect();
        let kept = bounded(&serde_json::json!({ "rows": rows })).to_string();
        assert!(kept.len() < 3 * MAX_OBJECT, "{} bytes", kept.len());
        assert!(kept.contains("too large"));
    }

    #[test]
    fn megabytes_and_deep_nests_are_bounded() {
        let mut deep = Value::Null;
        for _ in 0..100 {
            deep = serde_json::json!({ "d": deep });
        }
        let wide: Vec<u32> = (0..100_000).collect();
        let value = serde_json::json!({"big": "x".repeat(1 << 20), "deep": deep, "wide": wide});
        let text = bounded(&value).to_string();
        assert!(text.len() < 8_000, "{} bytes", text.len());
        assert!(text.contains("(1048576 characters)"));
        assert!(text.contains("nested too deep"));
    }

    proptest! {
        #[test]
        fn no_line_holds_danger_or_is_too_long(text in "\\PC*|[\\x00-\\u{10ffff}]*", max in 1usize..60) {
            let shown = line(&text, max);
            prop_assert!(!shown.chars().any(is_dangerous));
            prop_assert!(shown.chars().count() <= max, "{:?}", shown);
        }
    }
}
