//! The journal kept sound and small: damage is found, what is old goes, whole
//! updates at a time, and secrets that nobody needs.
//!
//! Done in the background after each start, in small portions, so that nobody
//! waits for it. A journal that was made with an earlier schema than 2 does not
//! give room back to the disk; it fills it again.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::writer::{Store, begin, failed};
use super::{JournalError, read};

/// Updates that are removed in one transaction.
const PORTION: u32 = 200;
/// Pages that are given back to the disk at once.
const PAGES: u32 = 2_000;
/// A journal of more bytes is not checked as a whole: it takes too long.
const CHECKED: i64 = 32 << 20;

/// Looks whether the file is sound.
pub(super) fn check(connection: &Connection) -> Result<(), JournalError> {
    let size: i64 = connection
        .query_row(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
            [],
            |row| row.get(0),
        )
        .map_err(failed)?;
    if size > CHECKED {
        return Ok(());
    }
    let told: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(failed)?;
    match told.as_str() {
        "ok" => Ok(()),
        damage => Err(JournalError::Damaged(damage.to_owned())),
    }
}

/// Removes a portion of what is old; tells whether there may be more.
pub(super) fn tidy(store: &mut Store, now: Timestamp) -> Result<bool, JournalError> {
    sweep(store)?;
    let old = store.keep.and_then(|keep| now.checked_sub(keep).ok());
    let Some(old) = old else {
        return Ok(false);
    };
    let transaction = begin(&mut store.connection, false).map_err(failed)?;
    let gone = transaction
        .execute(
            "INSERT INTO expired
             SELECT DISTINCT update_id FROM event
             WHERE kind = 'update.verdict' AND time < ?1 ORDER BY time LIMIT ?2",
            params![old.to_string(), PORTION],
        )
        .map_err(failed)?;
    if gone == 0 {
        return Ok(false);
    }
    transaction
        .execute_batch(
            "DELETE FROM event WHERE update_id IN (SELECT update_id FROM expired);
             DELETE FROM expired;",
        )
        .map_err(failed)?;
    transaction.commit().map_err(failed)?;
    tracing::info!("{gone} updates that ended before {old} were removed from the journal");
    shrink(&store.connection).map_err(failed)?;
    Ok(gone == PORTION as usize)
}

/// Gives free pages back to the disk. Each step of the statement frees one.
fn shrink(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut pages = statement.query([])?;
    while pages.next()?.is_some() {}
    Ok(())
}

/// Removes secrets whose process died before their intent was written down, or
/// before they were removed.
pub(super) fn sweep(store: &mut Store) -> Result<(), JournalError> {
    if store.secrets.is_empty() {
        return Ok(());
    }
    let transaction = begin(&mut store.connection, false).map_err(failed)?;
    let needed = read::open_secrets(&transaction)?;
    store.secrets.sweep(&needed).map_err(failed)?;
    transaction.commit().map_err(failed)
}
