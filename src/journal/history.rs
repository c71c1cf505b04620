//! The past, read: lists of updates, and all that was written down of one.
//!
//! Whoever only reads opens the file with [`History`], which changes nothing,
//! makes nothing, and goes on while others write. The journal's own thread
//! answers [`Ask`]s a page at a time, so that what is written waits little.
//!
//! Ids of updates sort by the time of their making, and the index over them says
//! what kind each event is. So a list walks that index from its end and reads no
//! more of the table than what it shows. A row that cannot be read is told and
//! left out; the others are shown.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params, params_from_iter};

use crate::domain::event::Event;
use crate::domain::evidence::Outcome;
use crate::domain::history::{
    self, Answer, Ask, Damaged, End, Entry, Filter, PAGE, Page, Recorded,
};
use crate::domain::id::UpdateId;
use crate::domain::update::Update;

use super::JournalError;
use super::schema::{PATIENCE, VERSION, is_busy};
use super::writer::failed;

/// Updates that are looked at for one page.
const LOOKED_AT: usize = 500;
/// Events of one update that are given as a whole: the first half of them, and
/// the last.
const EVENTS: usize = 10_000;
/// Events of an open update that are looked at for its line in a list.
const LAST: usize = 1_000;

/// What each update began with, newest first: the index alone, no row.
const NEWEST: &str = "SELECT update_id FROM event
    WHERE kind = 'update.intended' AND update_id < ?1 ORDER BY update_id DESC";
/// Events of one kind of one update.
const OF_KIND: &str = "SELECT id, update_id, device_id, kind, body, time, hub FROM event
    WHERE update_id = ?1 AND kind = ?2 ORDER BY id";
/// The verdict of one update.
const VERDICT: &str = "SELECT body FROM event
    WHERE update_id = ?1 AND kind = 'update.verdict' ORDER BY id LIMIT 1";
/// The last events of one update.
const LAST_OF: &str = "SELECT * FROM (SELECT id, update_id, device_id, kind, body FROM event
    WHERE update_id = ?1 ORDER BY id DESC LIMIT ?2) ORDER BY id";
/// The first events of one update.
const FIRST_OF: &str = "SELECT id, update_id, device_id, kind, body FROM event
    WHERE update_id = ?1 ORDER BY id LIMIT ?2";
/// Updates whose ids begin so.
const BEGINNING: &str = "SELECT DISTINCT update_id FROM event
    WHERE update_id >= ?1 AND update_id < ?2 ORDER BY update_id LIMIT ?3";
/// The hub that comes next in the index over hubs and devices.
const NEXT_HUB: &str = "SELECT hub FROM event WHERE hub > ?1 ORDER BY hub LIMIT 1";

const READ_ONLY: OpenFlags =
    OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// After every id that there may be.
const LATEST: &str = "\u{10ffff}";

/// A journal that is only read.
#[derive(Debug)]
pub struct History {
    connection: Connection,
    path: PathBuf,
}

impl History {
    /// Opens the journal at `path` for reading; `None` when there is none yet.
    ///
    /// # Errors
    /// [`JournalError::Unusable`] when it cannot be read or is no journal,
    /// [`JournalError::Newer`].
    pub fn open(path: &Path) -> Result<Option<Self>, JournalError> {
        let unusable = |cause: String| JournalError::Unusable {
            path: path.to_owned(),
            cause,
        };
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(unusable(error.to_string())),
        }
        let (connection, found) = connect(path).map_err(|e| unusable(cannot_open(path, &e)))?;
        if found > VERSION {
            return Err(JournalError::Newer {
                path: path.to_owned(),
                found,
                known: VERSION,
            });
        }
        let tables = "SELECT count(*), count(*) FILTER (WHERE name = 'event')
                      FROM sqlite_schema WHERE type = 'table'";
        let (tables, ours): (u32, u32) = connection
            .query_row(tables, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(|e| unusable(e.to_string()))?;
        match (tables, ours) {
            // Another process is just making it.
            (0, _) => Ok(None),
            (_, 0) => Err(unusable("it is no journal of otadeck".to_owned())),
            _ => Ok(Some(Self {
                connection,
                path: path.to_owned(),
            })),
        }
    }

    /// Which file it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The hubs whose updates it holds, by host name.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub fn hubs(&self) -> Result<Vec<String>, JournalError> {
        hubs(&self.connection)
    }

    /// The updates that `filter` lets through, oldest first.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub fn updates(&self, filter: &Filter) -> Result<Vec<UpdateId>, JournalError> {
        let mut found = Vec::new();
        each_candidate(&self.connection, filter, |id| {
            if filter.limit.is_some_and(|limit| found.len() >= limit) {
                return Ok(ControlFlow::Break(()));
            }
            if lets_through(&self.connection, filter, id)? {
                found.push(UpdateId::from_text(id));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        found.reverse();
        Ok(found)
    }

    /// Up to `most` updates whose ids begin with `prefix`.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub fn beginning(&self, prefix: &str, most: usize) -> Result<Vec<UpdateId>, JournalError> {
        let mut statement = self.connection.prepare_cached(BEGINNING).map_err(failed)?;
        let end = format!("{prefix}{LATEST}");
        let rows = statement
            .query_map(params![prefix, end, count(most)], |row| {
                Ok(UpdateId::from_text(&text(row, 0)?))
            })
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// The line about an update; `None` when its intent or its verdict cannot be
    /// read.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub fn entry(&self, id: &UpdateId) -> Result<(Option<Entry>, Vec<Damaged>), JournalError> {
        let mut damaged = Vec::new();
        let update = in_short(&self.connection, id.as_str(), &mut damaged)?;
        Ok((update.as_ref().map(Entry::of), damaged))
    }

    /// All events of an update, oldest first, one after another.
    ///
    /// # Errors
    /// [`JournalError::Failed`]; what `each` gives ends the reading.
    pub fn each_event<E>(
        &self,
        id: &UpdateId,
        mut each: impl FnMut(Result<Event, Damaged>) -> Result<(), E>,
    ) -> Result<Result<(), E>, JournalError> {
        let mut statement = self.connection.prepare_cached(FIRST_OF).map_err(failed)?;
        let mut rows = statement.query(params![id.as_str(), -1]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if let Err(end) = each(event(row).map_err(failed)?) {
                return Ok(Err(end));
            }
        }
        Ok(Ok(()))
    }

    /// An update as it was written down, a bounded number of its events.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub fn recorded(&self, id: &UpdateId) -> Result<Recorded, JournalError> {
        recorded(&self.connection, id.as_str(), EVENTS)
    }
}

/// Answers what a front end asks about the past of `hub`.
pub(super) fn answer(
    connection: &Connection,
    hub: &str,
    ask: &Ask,
) -> Result<Answer, JournalError> {
    match ask {
        Ask::Page { text, before } => {
            page(connection, hub, text, before.as_ref()).map(Answer::Page)
        }
        Ask::Update(id) => recorded(connection, id.as_str(), EVENTS).map(Answer::Update),
    }
}

/// A connection that can only read, and the schema that it found.
pub(super) fn connect(path: &Path) -> rusqlite::Result<(Connection, u32)> {
    let opened = Connection::open_with_flags(path, READ_ONLY).and_then(with_version);
    let Err(error) = opened else { return opened };
    match tells_everything(path, &error) {
        true => alone(path).unwrap_or(Err(error)),
        false => Err(error),
    }
}

/// Does the file alone tell everything, though it could not be opened with all that
/// belongs to it? In a folder that we may not write to, SQLite cannot share memory
/// with writers; where there are none, that is no loss.
fn tells_everything(path: &Path, error: &rusqlite::Error) -> bool {
    !is_busy(error) && !is_half_written(path) && !beside(path, "-wal").exists()
}

/// Was somebody killed while they wrote? What they had done so far is in the file,
/// and what it was before in the other.
fn is_half_written(path: &Path) -> bool {
    std::fs::metadata(beside(path, "-journal")).is_ok_and(|journal| journal.len() > 0)
}

fn cannot_open(path: &Path, error: &rusqlite::Error) -> String {
    match is_half_written(path) && !is_busy(error) {
        true => format!(
            "{error}: a process was killed while it wrote, and what it had begun must be rolled \
             back. Start otadeck's console once, as somebody who may write to the file"
        ),
        false => error.to_string(),
    }
}

/// A file of SQLite's that belongs to the one at `path`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The file alone, taken for one that nobody changes; `None` when its path makes no
/// URI.
fn alone(path: &Path) -> Option<rusqlite::Result<(Connection, u32)>> {
    let flags = READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let opened = Connection::open_with_flags(immutable(path)?, flags);
    Some(opened.and_then(with_version))
}

fn with_version(connection: Connection) -> rusqlite::Result<(Connection, u32)> {
    connection.busy_timeout(PATIENCE)?;
    let found = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok((connection, found))
}

/// The file as a URI that says that nobody changes it.
fn immutable(path: &Path) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    let mut uri = url::Url::from_file_path(path).ok()?;
    uri.set_query(Some("immutable=1"));
    Some(uri.into())
}

fn hubs(connection: &Connection) -> Result<Vec<String>, JournalError> {
    let mut statement = connection.prepare_cached(NEXT_HUB).map_err(failed)?;
    let mut hubs = Vec::new();
    let mut last = String::new();
    loop {
        let next = statement
            .query_row([&last], |row| text(row, 0))
            .optional()
            .map_err(failed)?;
        match next {
            Some(hub) if hub > last => {
                hubs.push(hub.clone());
                last = hub;
            }
            // A name that is no text compares as nothing does.
            _ => return Ok(hubs),
        }
    }
}

/// The updates that may be wanted, newest first and ids alone, until `each` says
/// that it is enough.
fn each_candidate(
    connection: &Connection,
    filter: &Filter,
    mut each: impl FnMut(&str) -> Result<ControlFlow<()>, JournalError>,
) -> Result<(), JournalError> {
    let (sql, values) = if filter.devices.is_empty() {
        (NEWEST.to_owned(), vec![LATEST.to_owned()])
    } else {
        let mut values = match filter.hubs.is_empty() {
            true => hubs(connection)?,
            false => filter.hubs.clone(),
        };
        let sql = of_devices(values.len(), filter.devices.len());
        values.extend(filter.devices.iter().map(ToString::to_string));
        (sql, values)
    };
    let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
    let mut rows = statement.query(params_from_iter(values)).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        if each(&text(row, 0).map_err(failed)?)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// The updates of devices, newest first.
fn of_devices(hubs: usize, devices: usize) -> String {
    let marks = |n| vec!["?"; n].join(", ");
    format!(
        "SELECT update_id FROM event
         WHERE hub IN ({}) AND device_id IN ({}) AND kind = 'update.intended'
         ORDER BY update_id DESC",
        marks(hubs),
        marks(devices)
    )
}

fn lets_through(connection: &Connection, filter: &Filter, id: &str) -> Result<bool, JournalError> {
    if !filter.hubs.is_empty() || filter.since.is_some() || filter.until.is_some() {
        let mut statement = connection.prepare_cached(OF_KIND).map_err(failed)?;
        let head = statement
            .query_row(params![id, "update.intended"], |row| {
                Ok((text(row, 5)?, text(row, 6)?))
            })
            .optional()
            .map_err(failed)?;
        let Some(head) = head else {
            return Ok(false);
        };
        // A time that cannot be read is in no span of time.
        let time = head.0.parse::<Timestamp>().ok();
        let hub = filter.hubs.is_empty() || filter.hubs.contains(&head.1);
        let since = filter.since.is_none_or(|since| time >= Some(since));
        let until = filter
            .until
            .is_none_or(|until| time.is_some_and(|t| t < until));
        if !(hub && since && until) {
            return Ok(false);
        }
    }
    if filter.ends.is_empty() {
        return Ok(true);
    }
    let end = end_of(connection, id)?;
    Ok(end.is_some_and(|end| filter.ends.contains(&end)))
}

/// How an update ended, read no further than that; `None` when its verdict cannot
/// be read: that is not no verdict.
fn end_of(connection: &Connection, id: &str) -> Result<Option<End>, JournalError> {
    #[derive(serde::Deserialize)]
    struct Ending {
        outcome: Outcome,
    }
    let mut statement = connection.prepare_cached(VERDICT).map_err(failed)?;
    let body = statement
        .query_row([id], |row| text(row, 0))
        .optional()
        .map_err(failed)?;
    let read = |body: String| serde_json::from_str::<Ending>(&body).ok();
    Ok(match body {
        None => Some(End::Open),
        Some(body) => read(body).map(|ending| End::With(ending.outcome)),
    })
}

fn page(
    connection: &Connection,
    hub: &str,
    text_in: &str,
    before: Option<&UpdateId>,
) -> Result<Page, JournalError> {
    let sql = format!("{NEWEST} LIMIT {}", LOOKED_AT + 1);
    let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
    let before = before.map_or(LATEST, UpdateId::as_str);
    let rows = statement
        .query_map([before], |row| text(row, 0))
        .map_err(failed)?;
    let ids: Vec<String> = rows.collect::<Result<_, _>>().map_err(failed)?;
    let mut page = Page::default();
    for (n, id) in ids.iter().enumerate() {
        if page.entries.len() == PAGE || n == LOOKED_AT {
            // From the one before on, which was looked at.
            page.next = ids.get(n - 1).map(|id| UpdateId::from_text(id));
            break;
        }
        if !is_of(connection, id, hub)? {
            continue;
        }
        if let Some(update) = in_short(connection, id, &mut page.damaged)? {
            let entry = Entry::of(&update);
            if entry.holds(text_in) {
                page.entries.push(entry);
            }
        }
    }
    Ok(page)
}

/// Is it an update of that hub? One that another process has just removed is none.
fn is_of(connection: &Connection, id: &str, hub: &str) -> Result<bool, JournalError> {
    let mut statement = connection.prepare_cached(OF_KIND).map_err(failed)?;
    let of = statement
        .query_row(params![id, "update.intended"], |row| text(row, 6))
        .optional()
        .map_err(failed)?;
    Ok(of.is_some_and(|of| of == hub))
}

/// An update as far as its line in a list needs it; `None` when its intent or its
/// verdict cannot be read.
fn in_short(
    connection: &Connection,
    id: &str,
    damaged: &mut Vec<Damaged>,
) -> Result<Option<Update>, JournalError> {
    let mut events = of_kind(connection, id, "update.intended", damaged)?;
    events.truncate(1);
    let before = damaged.len();
    let verdicts = of_kind(connection, id, "update.verdict", damaged)?;
    // It has ended, and nobody can read how: it is not shown as open.
    let unread = verdicts.is_empty() && damaged.len() > before;
    if unread {
        return Ok(None);
    }
    if verdicts.is_empty() {
        let last = some(connection, LAST_OF, id, LAST, damaged)?;
        events.extend(last);
    } else {
        events.extend(verdicts);
        events.extend(of_kind(connection, id, "update.contradicted", damaged)?);
    }
    damaged.dedup();
    Ok(history::fold(&events))
}

/// All events of an update if they are no more than `most`, else the first ones
/// and the last ones.
fn recorded(connection: &Connection, id: &str, most: usize) -> Result<Recorded, JournalError> {
    let mut damaged = Vec::new();
    let sql = "SELECT count(*) FROM event WHERE update_id = ?1";
    let all: i64 = connection
        .query_row(sql, [id], |row| row.get(0))
        .map_err(failed)?;
    let all = usize::try_from(all).unwrap_or_default();
    let first = if all <= most { all } else { most / 2 };
    let mut events = some(connection, FIRST_OF, id, first, &mut damaged)?;
    if first < all {
        events.extend(some(connection, LAST_OF, id, most - first, &mut damaged)?);
    }
    Ok(Recorded {
        events,
        damaged,
        left_out: all.saturating_sub(most),
    })
}

fn of_kind(
    connection: &Connection,
    id: &str,
    kind: &str,
    damaged: &mut Vec<Damaged>,
) -> Result<Vec<Event>, JournalError> {
    let mut statement = connection.prepare_cached(OF_KIND).map_err(failed)?;
    sorted(statement.query(params![id, kind]).map_err(failed)?, damaged)
}

fn some(
    connection: &Connection,
    sql: &str,
    id: &str,
    most: usize,
    damaged: &mut Vec<Damaged>,
) -> Result<Vec<Event>, JournalError> {
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let rows = statement.query(params![id, count(most)]);
    sorted(rows.map_err(failed)?, damaged)
}

/// What can be read, and what cannot.
fn sorted(
    mut rows: rusqlite::Rows<'_>,
    damaged: &mut Vec<Damaged>,
) -> Result<Vec<Event>, JournalError> {
    let mut events = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        match event(row).map_err(failed)? {
            Ok(event) => events.push(event),
            Err(one) => damaged.push(one),
        }
    }
    Ok(events)
}

/// A row of id, update, device, kind and body.
fn event(row: &Row<'_>) -> rusqlite::Result<Result<Event, Damaged>> {
    let read = match row.get_ref(4)? {
        ValueRef::Text(body) => serde_json::from_slice(body).map_err(|e| e.to_string()),
        other => Err(format!("its body is {:?}", other.data_type())),
    };
    let update = text(row, 1)?;
    let read = read.and_then(|event: Event| {
        let own = event.update_id.as_ref().map(UpdateId::as_str);
        let fits = own == Some(&update) && event.device_id.is_some();
        fits.then_some(event)
            .ok_or_else(|| "it is about another update, or about no device".to_owned())
    });
    let damaged = |why| {
        Ok::<_, rusqlite::Error>(Damaged {
            row: row.get(0)?,
            update: UpdateId::from_text(&update),
            device: text(row, 2)?,
            kind: text(row, 3)?,
            why,
        })
    };
    match read {
        Ok(event) => Ok(Ok(event)),
        Err(why) => damaged(why).map(Err),
    }
}

/// A column as text, whatever a damaged file holds there.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
    })
}

fn count(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
