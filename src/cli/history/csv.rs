//! The list of updates for spreadsheets: RFC 4180, and no cell that a program
//! would take for a formula.

use crate::cli::exit::Failure;
use crate::domain::clean;
use crate::domain::history::Entry;
use crate::domain::id::UpdateId;

use super::{Past, Sheet};

/// Characters of a cell at most.
const CELL: usize = 2_000;

const HEADINGS: [&str; 19] = [
    "update",
    "decided",
    "ended",
    "hub",
    "device",
    "state",
    "outcome",
    "seconds",
    "package",
    "expect",
    "dialect",
    "by",
    "reason",
    "why",
    "contradicted",
    "evidence_property",
    "evidence_value",
    "evidence_version",
    "evidence_hub_time",
];

pub(super) fn write(past: &mut Past, ids: &[UpdateId]) -> Result<(), Failure> {
    let mut sheet = Sheet::default();
    sheet.push(&row(HEADINGS.iter().map(|&heading| heading.to_owned())))?;
    past.entries(ids, |entry| sheet.push(&row(cells(entry))))?;
    sheet.end()
}

fn cells(entry: &Entry) -> impl Iterator<Item = String> {
    let evidence = entry.evidence.as_ref();
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        entry.id.to_string(),
        entry.intended.to_string(),
        entry.ended.map(|t| t.to_string()).unwrap_or_default(),
        entry.hub.clone(),
        entry.device.to_string(),
        entry.word.to_owned(),
        entry.outcome.map_or("open", |o| o.name()).to_owned(),
        entry
            .took()
            .map(|t| seconds(t.as_millis()))
            .unwrap_or_default(),
        optional(&entry.uri),
        optional(&entry.expect),
        entry.dialect.clone(),
        entry.by.clone(),
        optional(&entry.reason),
        entry.why.clone(),
        if entry.contradicted { "yes" } else { "" }.to_owned(),
        evidence.map(|e| e.property.clone()).unwrap_or_default(),
        evidence
            .map(|e| clean::value_line(&e.value, CELL))
            .unwrap_or_default(),
        evidence.map(|e| e.version.to_string()).unwrap_or_default(),
        evidence
            .and_then(|e| e.hub_time)
            .map(|t| t.to_string())
            .unwrap_or_default(),
    ]
    .into_iter()
}

fn seconds(millis: i128) -> String {
    format!("{}.{:03}", millis / 1_000, millis % 1_000)
}

/// One row, with the line end that the standard names.
fn row(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.map(|text| cell(&text)).collect();
    format!("{}\r\n", cells.join(","))
}

/// A cell: harmless text, quoted where it must be. One that a spreadsheet would
/// calculate, also behind blanks, gets an apostrophe in front, which makes it
/// text.
fn cell(text: &str) -> String {
    let mut text = clean::line(text, CELL);
    let first = text.trim_start().chars().next();
    if first.is_some_and(|c| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠')) {
        text.insert(0, '\'');
    }
    if text.contains(['"', ',', ';', '\'', ' ']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[rstest::rstest]
    #[case("press-7", "press-7")]
    #[case("=1+1", "\"'=1+1\"")]
    #[case("+49", "\"'+49\"")]
    #[case("-press", "\"'-press\"")]
    #[case("@SUM(A1)", "\"'@SUM(A1)\"")]
    #[case("  =1", "\"'  =1\"")]
    #[case("\t=1", "\\t=1")]
    #[case("\r=1", "\\r=1")]
    #[case("＝1", "\"'＝1\"")]
    #[case("a,b", "\"a,b\"")]
    #[case("say \"no\"", "\"say \"\"no\"\"\"")]
    #[case("a\nb", "a\\nb")]
    #[case("\u{1b}[2J", "\\u{1b}[2J")]
    #[case("", "")]
    fn cells(#[case] text: &str, #[case] want: &str) {
        assert_eq!(cell(text), want);
    }

    /// What a reader of RFC 4180 makes of one row.
    fn read(row: &str) -> Vec<String> {
        let row = row.strip_suffix("\r\n").unwrap();
        let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        let mut chars = row.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    cell.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(std::mem::take(&mut cell)),
                c => cell.push(c),
            }
        }
        assert!(!quoted);
        cells.push(cell);
        cells
    }

    proptest! {
        /// Whatever stands in a journal: as many cells as went in, on one line, and
        /// none of them begins a formula.
        #[test]
        fn no_cell_escapes_or_calculates(texts in prop::collection::vec("[ =+\\-@\t\r\n\"',;|a＝\\x00-\\x7f]{0,8}", 1..6)) {
            let row = row(texts.iter().cloned());
            let cells = read(&row);
            prop_assert_eq!(cells.len(), texts.len());
            for cell in cells {
                let first = cell.trim_start().chars().next().unwrap_or('x');
                prop_assert!(!"=+-@\t\r＝＋－＠".contains(first), "{:?}", cell);
                prop_assert!(!cell.contains(['\r', '\n', '\t']));
            }
        }
    }

    #[test]
    fn seconds_have_three_digits() {
        assert_eq!(seconds(46_007), "46.007");
    }
}
