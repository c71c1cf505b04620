//! The journal's file: its place, its rights, its tables.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::JournalError;

/// The schema that this program writes, in `user_version`.
const VERSION: u32 = 2;
/// How long another process's transaction is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause between tries where SQLite does not wait by itself.
const PAUSE: Duration = Duration::from_millis(5);

const TABLES: &str = "
CREATE TABLE event (
    id        INTEGER PRIMARY KEY,
    time      TEXT NOT NULL,
    hub       TEXT NOT NULL,
    device_id TEXT NOT NULL,
    update_id TEXT NOT NULL,
    kind      TEXT NOT NULL,
    body      TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_update ON event (update_id, kind);
CREATE INDEX event_by_device ON event (hub, device_id, kind);
CREATE TRIGGER event_is_not_changed BEFORE UPDATE ON event
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER event_is_not_deleted BEFORE DELETE ON event
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TABLE lease (
    hub       TEXT NOT NULL,
    device_id TEXT NOT NULL,
    update_id TEXT NOT NULL,
    by        TEXT NOT NULL,
    host      TEXT NOT NULL,
    pid       INTEGER NOT NULL,
    started   TEXT NOT NULL,
    since     TEXT NOT NULL,
    PRIMARY KEY (hub, device_id)
) STRICT;
PRAGMA user_version = 1;
";

pub(super) fn open(path: &Path) -> Result<Connection, JournalError> {
    let failed = |cause: &dyn std::fmt::Display| JournalError::Unusable {
        path: path.to_owned(),
        cause: cause.to_string(),
    };
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|e| failed(&e))?;
    }
    // SQLite gives its other files the rights of this one.
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| failed(&e))?;
    file.set_permissions(Permissions::from_mode(0o600))
        .map_err(|e| failed(&e))?;
    let mut connection = Connection::open(path).map_err(|e| failed(&e))?;
    let found = prepare(&mut connection).map_err(|e| failed(&e))?;
    if found > VERSION {
        return Err(JournalError::Newer {
            path: path.to_owned(),
            found,
            known: VERSION,
        });
    }
    Ok(connection)
}

pub(super) fn in_memory() -> Result<Connection, JournalError> {
    let failed = |e: rusqlite::Error| JournalError::Failed(e.to_string());
    let mut connection = Connection::open_in_memory().map_err(failed)?;
    prepare(&mut connection).map_err(failed)?;
    Ok(connection)
}

/// Switches to a write-ahead log. SQLite does not wait by itself when another
/// process is just switching the same new file.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())) {
            Err(error) if is_busy(&error) && Instant::now() < end => {
                std::thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseBusy | DatabaseLocked)
    )
}

/// Makes the tables in a new file; tells the schema that is there.
fn prepare(connection: &mut Connection) -> rusqlite::Result<u32> {
    connection.busy_timeout(PATIENCE)?;
    let version = |c: &Connection| c.query_row("PRAGMA user_version", [], |row| row.get(0));
    let found: u32 = version(connection)?;
    if found > VERSION {
        return Ok(found);
    }
    write_ahead(connection)?;
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    // Another process may have been first.
    if version(&transaction)? == 0 {
        transaction.execute_batch(TABLES)?;
    }
    if version(&transaction)? == 1 {
        transaction.execute_batch(super::lease::STEP)?;
        transaction.pragma_update(None, "user_version", 2)?;
    }
    transaction.commit()?;
    version(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs that start together find no journal, and each makes it.
    #[test]
    fn many_may_open_a_new_journal_at_once() {
        for _ in 0..100 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal.db");
            std::thread::scope(|scope| {
                let open = || open(&path).map(|_| ());
                let opened: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
                for opened in opened {
                    opened.join().unwrap().unwrap();
                }
            });
        }
    }
}
