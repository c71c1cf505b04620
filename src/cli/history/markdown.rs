//! A note for the next shift: what is still open and what to do with it, what
//! failed and why, what was completed.
//!
//! Every foreign text stands in a code span, in which nothing is a link, HTML or
//! emphasis, and no pipe is ever written: one in a text is an entity between two
//! code spans, so that no reader of tables can take it for the end of a cell.

use std::fmt::Write as _;

use crate::cli::exit::Failure;
use crate::domain::clean;
use crate::domain::history::Entry;
use crate::domain::id::UpdateId;
use crate::domain::time::spoken;
use crate::domain::update::{Evidence, Outcome};

use super::{Past, Sheet};

/// Characters of a foreign text.
const TEXT: usize = 300;

pub(super) fn write(past: &mut Past, ids: &[UpdateId]) -> Result<(), Failure> {
    let mut entries = Vec::new();
    past.entries(ids, |entry| {
        entries.push(entry.clone());
        Ok(())
    })?;
    let mut sheet = Sheet::default();
    let path = past.journal.path().display().to_string();
    let now = past.now.strftime("%Y-%m-%d %H:%M UTC");
    sheet.line(&format!(
        "# Firmware updates: hand-over\n\nWritten {now} from {}. Times are UTC.",
        span(&path)
    ))?;
    let of = |wanted: fn(&Entry) -> bool| -> Vec<&Entry> {
        entries.iter().filter(|entry| wanted(entry)).collect()
    };
    // What is open is told oldest first, what has ended newest first.
    section(
        &mut sheet,
        "Still open",
        &OPEN,
        of(Entry::is_open),
        |entry| open(entry, past),
    )?;
    let newest = |wanted| of(wanted).into_iter().rev().collect::<Vec<_>>();
    let title = "Failed, rejected or not delivered";
    section(&mut sheet, title, &FAILED, newest(has_failed), failed)?;
    section(
        &mut sheet,
        "Given up",
        &FAILED,
        newest(was_given_up),
        failed,
    )?;
    let title = "Completed, and contradicted later";
    section(&mut sheet, title, &FAILED, newest(is_contradicted), failed)?;
    section(
        &mut sheet,
        "Completed",
        &COMPLETED,
        newest(is_completed),
        completed,
    )?;
    sheet.end()
}

fn has_failed(entry: &Entry) -> bool {
    use Outcome::{Failed, NotDelivered, Rejected};
    matches!(entry.outcome, Some(Failed | Rejected | NotDelivered))
}

fn was_given_up(entry: &Entry) -> bool {
    entry.outcome == Some(Outcome::GivenUp)
}

fn is_contradicted(entry: &Entry) -> bool {
    entry.outcome == Some(Outcome::Completed) && entry.contradicted
}

fn is_completed(entry: &Entry) -> bool {
    entry.outcome == Some(Outcome::Completed) && !entry.contradicted
}

const OPEN: [&str; 7] = [
    "device",
    "hub",
    "state",
    "since",
    "package",
    "by, reason",
    "what to do",
];
const FAILED: [&str; 7] = [
    "device",
    "hub",
    "when",
    "how",
    "why",
    "evidence",
    "by, reason",
];
const COMPLETED: [&str; 6] = ["device", "hub", "when", "took", "package", "by, reason"];

/// A heading with how many there are, and a table unless there are none.
fn section(
    sheet: &mut Sheet,
    title: &str,
    heads: &[&str],
    entries: Vec<&Entry>,
    cells: impl Fn(&Entry) -> Vec<String>,
) -> Result<(), Failure> {
    sheet.line(&format!("\n## {title}: {}", entries.len()))?;
    if entries.is_empty() {
        return Ok(());
    }
    sheet.line(&format!("\n| {} |", heads.join(" | ")))?;
    sheet.line(&format!("|{}", " --- |".repeat(heads.len())))?;
    for entry in entries {
        sheet.line(&format!("| {} |", cells(entry).join(" | ")))?;
    }
    Ok(())
}

fn open(entry: &Entry, past: &Past) -> Vec<String> {
    let since = past.now.duration_since(entry.intended);
    let why = match entry.why.as_str() {
        "" => entry.word.to_owned(),
        why => format!("{}: {}", entry.word, span(why)),
    };
    vec![
        span(entry.device.as_str()),
        span(&entry.hub),
        why,
        format!("{} ({} ago)", minute(entry.intended), spoken(since)),
        package(entry),
        by(entry),
        what_to_do(entry),
    ]
}

/// What the next shift does with an update that has no verdict.
fn what_to_do(entry: &Entry) -> String {
    let words = match entry.word {
        "stalled" => "Nothing changes any more: look at the device. It is watched on by",
        "unknown" => {
            "Nobody knows whether the device got the order, and it is not sent again. \
             A sign is looked for by"
        }
        "unconfirmed" => {
            "The device says that it has ended, with nothing that shows it to be this run: \
             check its version, then give the update up (x in the console). Watched on by"
        }
        _ if !entry.invoked => {
            "Written down, and perhaps never sent: it is not sent by itself. Settled from the \
             twin by"
        }
        _ => "Under way when it was seen last. Watched on by",
    };
    let id = clean::shell_word(&clean::line(entry.id.as_str(), 60));
    format!(
        "{words} {}; more: {}",
        span("otadeck watch --resume"),
        span(&format!("otadeck history -- {id}"))
    )
}

fn failed(entry: &Entry) -> Vec<String> {
    let how = match entry.contradicted {
        true => format!("{}, contradicted later", entry.word),
        false => entry.word.to_owned(),
    };
    vec![
        span(entry.device.as_str()),
        span(&entry.hub),
        minute(entry.ended.unwrap_or(entry.changed)),
        how,
        span(&entry.why),
        entry.evidence.as_ref().map_or("–".to_owned(), evidence),
        by(entry),
    ]
}

fn evidence(evidence: &Evidence) -> String {
    let value = clean::line(&evidence.value.to_string(), TEXT);
    let mut text = span(&format!("{} = {value}", evidence.property));
    let _ = write!(text, ", version {}", evidence.version);
    if let Some(time) = evidence.hub_time {
        let _ = write!(text, ", hub time {}", time.strftime("%Y-%m-%d %H:%M:%S"));
    }
    text
}

fn completed(entry: &Entry) -> Vec<String> {
    vec![
        span(entry.device.as_str()),
        span(&entry.hub),
        minute(entry.ended.unwrap_or(entry.changed)),
        entry.took().map(spoken).unwrap_or_default(),
        package(entry),
        by(entry),
    ]
}

fn package(entry: &Entry) -> String {
    entry
        .package()
        .map_or("–".to_owned(), |package| span(&package))
}

fn by(entry: &Entry) -> String {
    match entry.reason.as_deref().filter(|reason| !reason.is_empty()) {
        Some(reason) => format!("{}, {}", span(&entry.by), span(reason)),
        None => span(&entry.by),
    }
}

fn minute(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

/// A foreign text as code, pipes taken out of it.
fn span(text: &str) -> String {
    let text = clean::line(text.trim(), TEXT);
    if text.is_empty() {
        return "–".to_owned();
    }
    let parts: Vec<String> = text.split('|').map(code).collect();
    parts.join("&#124;")
}

/// A code span: its fence is longer than any run of backticks inside.
fn code(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let pad = if longest > 0 || text.starts_with(' ') || text.ends_with(' ') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[rstest::rstest]
    #[case("press-7", "`press-7`")]
    #[case("a|b", "`a`&#124;`b`")]
    #[case("|", "&#124;")]
    #[case("a\\|b", "`a\\`&#124;`b`")]
    #[case("`x`", "`` `x` ``")]
    #[case("a``b", "``` a``b ```")]
    #[case("[x](https://evil.test)", "`[x](https://evil.test)`")]
    #[case("<img src=x>", "`<img src=x>`")]
    #[case("a\n# b", "`a\\n# b`")]
    #[case("  ", "–")]
    fn spans(#[case] text: &str, #[case] want: &str) {
        assert_eq!(span(text), want);
    }

    /// What is outside code spans, as `CommonMark` reads them.
    fn outside(mut text: &str) -> String {
        let mut out = String::new();
        while let Some(at) = text.find('`') {
            out.push_str(&text[..at]);
            let fence = text[at..].chars().take_while(|c| *c == '`').count();
            let inside = &text[at + fence..];
            let mut rest = inside;
            let mut end = None;
            while let Some(next) = rest.find('`') {
                let run = rest[next..].chars().take_while(|c| *c == '`').count();
                let place = inside.len() - rest.len() + next;
                if run == fence {
                    end = Some(place + run);
                    break;
                }
                rest = &rest[next + run..];
            }
            // A fence without an end is no code.
            let Some(end) = end else {
                out.push_str(&text[at..]);
                return out;
            };
            text = &inside[end..];
        }
        out + text
    }

    proptest! {
        /// Whatever stands in a journal: it is one cell, and all of it is code.
        #[test]
        fn nothing_gets_out_of_its_span(text in "[a`|\\\\<>\\[\\]()!*_~@:/w. \n]{0,24}") {
            let spanned = span(&text);
            prop_assert!(!spanned.contains(['|', '\n']), "{:?}", spanned);
            let left = outside(&spanned).replace("&#124;", "").replace('–', "");
            prop_assert_eq!(left.as_str(), "", "{:?}", spanned);
        }
    }
}
