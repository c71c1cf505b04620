//! The hub's query language over devices: text in, one page of rows out.
//!
//! ```text
//! SELECT [TOP n] { * | path [AS alias] {, path [AS alias]} }
//! FROM devices
//! [WHERE condition]
//! ```
//!
//! Language: "IoT Hub query language for device and module twins, jobs, and
//! message routing" in `MicrosoftDocs/azure-docs`
//! (`articles/iot-hub/iot-hub-devguide-query-language.md`). Aggregates,
//! `GROUP BY`, modules and jobs are refused in so many words.
//!
//! Reading and running take time linear in the text and in the rows; nesting is
//! bounded, so no text can overflow the stack.

mod eval;
mod lexer;
mod parser;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::refusal::Refusal;
use parser::{Query, Select};

/// The longest text, in characters.
const TEXT: usize = 8_192;
/// The page size when none is asked for.
const PAGE: usize = 100;
/// The largest page.
const MAX_PAGE: usize = 1_000;

/// What a query runs over.
pub trait Row {
    /// Orders the rows; pages go on after it.
    fn key(&self) -> &str;
    /// The whole row, for `SELECT *`.
    fn whole(&self) -> Value;
    /// The value at `path`, whose first steps are in their canonical spelling.
    fn field(&self, path: &[String]) -> Option<Cow<'_, Value>>;
}

/// What the rows of a page are; spelt in the header `x-ms-item-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemType {
    /// Whole twins.
    Twin,
    /// Projected columns.
    Raw,
}

impl ItemType {
    /// The exact spelling, which the C# SDK matches case-sensitively.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Twin => "Twin",
            Self::Raw => "Raw",
        }
    }
}

/// One page of answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The rows.
    pub items: Vec<Value>,
    /// What they are.
    pub item_type: ItemType,
    /// The token of the next page; `None` on the last.
    pub continuation: Option<String>,
}

/// Where a query goes on.
#[derive(Serialize, Deserialize)]
struct Bookmark {
    /// The last row's key.
    after: String,
    /// What is left of `TOP`.
    left: Option<usize>,
    /// Of the query's text: a token belongs to its query.
    query: u64,
}

/// Runs one page. `rows` gives the rows in the order of their keys, those after
/// a key when one is named.
///
/// # Errors
/// 400 `ArgumentInvalid` when text or token cannot be read. The hub says
/// `BadRequest` and no more; here follows what is wrong, and where.
pub fn run<'a, R: Row + 'a>(
    text: &str,
    page_size: Option<usize>,
    continuation: Option<&str>,
    rows: impl FnOnce(Option<&str>) -> Box<dyn Iterator<Item = R> + 'a>,
) -> Result<Page, Refusal> {
    let query = read(text)?;
    let print = fingerprint(text);
    let bookmark = continuation.map(|token| open(token, print)).transpose()?;
    let left = bookmark.as_ref().map_or(query.top, |b| b.left);
    let size = page_size.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let take = left.map_or(size, |left| left.min(size));

    let mut matching = rows(bookmark.as_ref().map(|b| b.after.as_str())).filter(|row| {
        let condition = query.condition.as_ref();
        condition.is_none_or(|condition| eval::holds(condition, row))
    });
    let mut items = Vec::new();
    let mut last = None;
    for row in matching.by_ref().take(take) {
        items.push(project(&query.select, &row));
        last = Some(row.key().to_owned());
    }
    let left = left.map(|left| left - items.len());
    let more = left != Some(0) && matching.next().is_some();
    let continuation = last.filter(|_| more).map(|after| {
        seal(&Bookmark {
            after,
            left,
            query: print,
        })
    });
    let item_type = match query.select {
        Select::Whole => ItemType::Twin,
        Select::Columns(_) => ItemType::Raw,
    };
    Ok(Page {
        items,
        item_type,
        continuation,
    })
}

/// The value at `path` below `value`.
#[must_use]
pub fn walk<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| value.get(step))
}

fn read(text: &str) -> Result<Query, Refusal> {
    if text.chars().count() > TEXT {
        return Err(Refusal::argument(format!(
            "BadRequest: the query exceeds the maximum of {TEXT} characters."
        )));
    }
    parser::parse(text).map_err(|problem| {
        Refusal::argument(format!(
            "BadRequest: {} at position {}.",
            problem.what, problem.at
        ))
    })
}

fn project(select: &Select, row: &impl Row) -> Value {
    match select {
        Select::Whole => row.whole(),
        Select::Columns(columns) => {
            let mut out = Map::new();
            for column in columns {
                if let Some(value) = row.field(&column.path) {
                    out.insert(column.name.clone(), value.into_owned());
                }
            }
            out.into()
        }
    }
}

fn seal(bookmark: &Bookmark) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(bookmark).unwrap_or_default())
}

fn open(token: &str, query: u64) -> Result<Bookmark, Refusal> {
    URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Bookmark>(&bytes).ok())
        .filter(|bookmark| bookmark.query == query)
        .ok_or_else(|| Refusal::argument("BadRequest: the continuation token is not this query's."))
}

/// FNV-1a: tells queries apart, protects nothing.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
