//! The list of updates for people: one line an update, the newest last.

use jiff::Timestamp;
use unicode_width::UnicodeWidthStr;

use crate::domain::clean;
use crate::domain::history::Entry;
use crate::domain::time::{spoken, to_the_second};

/// Characters of a cell at most; the reason stands last and may be longer.
const CELL: usize = 40;
const REASON: usize = 100;
/// The shortest part of an id that is shown: it tells the millisecond.
const ID: usize = 13;

const HEADINGS: [&str; 9] = [
    "when", "update", "hub", "device", "state", "took", "package", "by", "reason",
];

/// The table.
pub(super) fn text(entries: &[Entry], now: Timestamp) -> String {
    let id = id_length(entries);
    let rows: Vec<[String; 9]> = entries.iter().map(|e| cells(e, id, now)).collect();
    let mut widths = HEADINGS.map(UnicodeWidthStr::width);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let mut text = line(&HEADINGS.map(str::to_owned), widths);
    for row in &rows {
        text.push_str(&line(row, widths));
    }
    text
}

fn line(cells: &[String; 9], widths: [usize; 9]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', width - cell.width() + 2));
    }
    format!("{}\n", line.trim_end())
}

/// How much of their ids tells these updates apart.
fn id_length(entries: &[Entry]) -> usize {
    let mut ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    ids.sort_unstable();
    let shared = ids.windows(2).map(|pair| {
        let (a, b) = (pair[0].chars(), pair[1].chars());
        a.zip(b).take_while(|(a, b)| a == b).count() + 1
    });
    shared.max().unwrap_or_default().max(ID)
}

fn cells(entry: &Entry, id: usize, now: Timestamp) -> [String; 9] {
    let id: String = entry.id.as_str().chars().take(id).collect();
    [
        to_the_second(entry.intended),
        clean::line(&id, CELL),
        clean::line(&entry.hub, CELL),
        entry.device.to_string(),
        state(entry),
        took(entry, now),
        entry
            .package()
            .map_or("–".to_owned(), |p| clean::line(&p, CELL)),
        clean::line(&entry.by, CELL),
        reason(entry),
    ]
}

fn state(entry: &Entry) -> String {
    match entry.contradicted {
        true => format!("{}, contradicted", entry.word),
        false => entry.word.to_owned(),
    }
}

fn took(entry: &Entry, now: Timestamp) -> String {
    match entry.took() {
        Some(took) => spoken(took),
        None => format!("{} so far", spoken(now.duration_since(entry.intended))),
    }
}

fn reason(entry: &Entry) -> String {
    let reason = entry.reason.as_deref().filter(|r| !r.is_empty());
    reason.map_or("–".to_owned(), |reason| clean::line(reason, REASON))
}
