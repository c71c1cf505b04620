//! The journal's file: its journal mode, its tables, the steps from one schema to
//! the next.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use super::JournalError;
use super::place::{Place, whose};

/// How long another process's transaction is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The pause between tries where SQLite does not wait by itself.
const PAUSE: Duration = Duration::from_millis(5);
/// The write-ahead log is cut back to this after it was written into the file.
const LOG_LIMIT: i64 = 4 << 20;

/// Step n makes schema n + 1 (in `user_version`) out of schema n, in one
/// transaction. What is here has been written to disks: it never changes, and
/// what is new is a step of its own.
const STEPS: [&[&str]; 2] = [
    &[EVENTS, LEASES],
    &[FOR_READERS, BY_KIND, EXPIRY, super::lease::STEP],
];

/// The schema that this program writes.
#[expect(clippy::cast_possible_truncation, reason = "there are few steps")]
pub(super) const VERSION: u32 = STEPS.len() as u32;

const EVENTS: &str = "
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
";

const LEASES: &str = "
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
";

/// For people with any SQLite tool.
const FOR_READERS: &str = "
CREATE VIEW updates AS
    SELECT i.update_id,
           i.hub,
           i.device_id                         AS device,
           i.time                              AS began,
           json_extract(i.body, '$.by')        AS by,
           json_extract(i.body, '$.reason')    AS reason,
           json_extract(i.body, '$.uri')       AS uri,
           json_extract(i.body, '$.expect')    AS expect,
           coalesce(json_extract(v.body, '$.outcome'), 'open') AS outcome,
           json_extract(v.body, '$.reason')    AS because,
           v.time                              AS ended
    FROM event i
    LEFT JOIN event v ON v.update_id = i.update_id AND v.kind = 'update.verdict'
    WHERE i.kind = 'update.intended'
    ORDER BY i.id;
CREATE VIEW timeline AS
    SELECT update_id, time, hub, device_id AS device, kind,
           coalesce(json_extract(body, '$.phase'), json_extract(body, '$.state'),
                    json_extract(body, '$.outcome'), json_extract(body, '$.status'),
                    json_extract(body, '$.attempt'))    AS value,
           json_extract(body, '$.reason')               AS reason,
           json_extract(body, '$.evidence.property')    AS property,
           json_extract(body, '$.evidence.value')       AS reported,
           json_extract(body, '$.evidence.hubTime')     AS hub_time
    FROM event
    ORDER BY id;
";

/// Intents and verdicts are few among the events, and each question begins with
/// them.
const BY_KIND: &str = "
CREATE INDEX intent_by_hub ON event (hub) WHERE kind = 'update.intended';
CREATE INDEX verdict_by_hub ON event (hub) WHERE kind = 'update.verdict';
CREATE INDEX verdict_by_time ON event (time) WHERE kind = 'update.verdict';
";

/// The only way for events to go: their update has ended, and is named here first.
const EXPIRY: &str = "
CREATE TABLE expired (update_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TRIGGER open_updates_do_not_expire BEFORE INSERT ON expired
    WHEN NOT EXISTS (SELECT 1 FROM event
                     WHERE update_id = NEW.update_id AND kind = 'update.verdict')
    BEGIN SELECT RAISE(ABORT, 'the update is open'); END;
DROP TRIGGER event_is_not_deleted;
CREATE TRIGGER event_is_not_deleted BEFORE DELETE ON event
    WHEN NOT EXISTS (SELECT 1 FROM expired WHERE update_id = OLD.update_id)
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
";

/// Opens the journal in its folder, making what is not there.
pub(super) fn open(path: &Path, place: &Place) -> Result<Connection, JournalError> {
    let failed = |cause: String| JournalError::Unusable {
        path: path.to_owned(),
        cause,
    };
    // SQLite gives its other files the rights of this one.
    let file = place.append(path);
    let file = file.map_err(|e| failed(format!("{e}{}", whose(path))))?;
    drop(file);
    if let Some(network) = place.network().filter(|_| has_a_write_ahead_log(path)) {
        leave_write_ahead(path).map_err(|e| {
            failed(format!(
                "it is on {network}, where a write-ahead log does not work, and it has one \
                 that cannot be folded in ({e}). End the other otadeck that has it open, on \
                 whichever machine"
            ))
        })?;
    }
    let opened = Connection::open(path).and_then(|mut connection| {
        let found = prepare(&mut connection, place.network().is_some())?;
        Ok((connection, found))
    });
    let (connection, found) = opened.map_err(|e| {
        let why = if is_busy(&e) {
            ": another process has it locked".to_owned()
        } else {
            whose(path)
        };
        failed(format!("{e}{why}"))
    })?;
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
    prepare(&mut connection, false).map_err(failed)?;
    Ok(connection)
}

/// Does the database keep a write-ahead log? Its header says so.
fn has_a_write_ahead_log(path: &Path) -> bool {
    let mut header = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header[18..] == [2, 2]
}

/// Folds a write-ahead log in where its shared memory must not be used. A
/// connection that locks everybody out from the start needs none.
fn leave_write_ahead(path: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
    truncate(&connection)
}

/// How the database recovers from a crash.
pub(super) fn mode(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))
}

/// A rollback journal, which needs nothing of a file system but locks.
fn truncate(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA journal_mode = TRUNCATE", [], |_| Ok(()))
}

/// Switches to a write-ahead log; tells whether SQLite did. It does not wait by
/// itself when another process is just switching the same new file.
fn write_ahead(connection: &Connection) -> rusqlite::Result<bool> {
    let end = Instant::now() + PATIENCE;
    let switch = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], switch) {
            Ok(mode) => return Ok(mode == "wal"),
            Err(error) if is_busy(&error) && Instant::now() < end => {
                std::thread::sleep(PAUSE);
            }
            Err(error) if is_busy(&error) => return Err(error),
            // No shared memory here, for example. If more is wrong than that,
            // the next write says so.
            Err(_) => return Ok(false),
        }
    }
}

pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseBusy | DatabaseLocked)
    )
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Makes the tables in a new file, brings an older one up; tells the schema that
/// is there. A file keeps the mode that it was made with: one that was made over
/// a network may be used over it at any time.
fn prepare(connection: &mut Connection, network: bool) -> rusqlite::Result<u32> {
    connection.busy_timeout(PATIENCE)?;
    let found = version(connection)?;
    if found > VERSION {
        return Ok(found);
    }
    if found == 0 {
        // Before anything is in the file: later it takes a copy of the whole.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        if network || !write_ahead(connection)? {
            truncate(connection)?;
        }
    } else if mode(connection)? != "wal" {
        truncate(connection)?;
    }
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_LIMIT, |_| Ok(()))?;
    step_up(connection)
}

/// Goes the steps that are missing. Several processes may begin at once: each
/// looks again when it has the lock.
fn step_up(connection: &mut Connection) -> rusqlite::Result<u32> {
    loop {
        let found = version(connection)?;
        if found >= VERSION {
            return Ok(found);
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = version(&transaction)?;
        if let Some(step) = STEPS.get(found as usize) {
            for part in *step {
                transaction.execute_batch(part)?;
            }
            transaction.pragma_update(None, "user_version", found + 1)?;
        }
        transaction.commit()?;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What the first otadeck wrote.
    pub(in crate::journal) fn make_schema_1(path: &Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        let mode = "PRAGMA journal_mode = WAL";
        connection.query_row(mode, [], |_| Ok(())).unwrap();
        for part in STEPS[0] {
            connection.execute_batch(part).unwrap();
        }
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection
    }

    fn at(path: &Path, network: Option<&'static str>) -> Result<Connection, JournalError> {
        let place = Place::of(path.parent().unwrap()).unwrap().on(network);
        open(path, &place)
    }

    /// Programs that start together find no journal, and each makes it; or an
    /// old one, and each would bring it up.
    #[rstest::rstest]
    fn many_may_open_a_journal_at_once(
        #[values(None, Some("NFS"))] network: Option<&'static str>,
        #[values(false, true)] old: bool,
    ) {
        for _ in 0..40 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal.db");
            if old && network.is_none() {
                drop(make_schema_1(&path));
            }
            std::thread::scope(|scope| {
                let open = || at(&path, network).map(|c| version(&c).unwrap());
                let opened: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
                for opened in opened {
                    assert_eq!(opened.join().unwrap().unwrap(), VERSION);
                }
            });
        }
    }

    #[test]
    fn a_new_journal_gets_the_mode_of_its_file_system_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("a.db"), folder.path().join("b.db"));
        assert_eq!(mode(&at(&here, None).unwrap()).unwrap(), "wal");
        assert_eq!(mode(&at(&there, Some("NFS")).unwrap()).unwrap(), "truncate");
        // On the server itself the same file is on a local file system.
        assert_eq!(mode(&at(&there, None).unwrap()).unwrap(), "truncate");
    }

    #[test]
    fn a_write_ahead_log_is_folded_in_when_the_journal_is_on_a_network() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let local = at(&path, None).unwrap();
        local
            .execute(
                "INSERT INTO event VALUES (1, 't', 'h', 'd', 'u', 'k', '{}')",
                [],
            )
            .unwrap();
        // As a crash leaves it: the event is in the log alone.
        let path = folder.path().join("crashed.db");
        for end in ["", "-wal"] {
            let from = folder.path().join(format!("journal.db{end}"));
            std::fs::copy(from, folder.path().join(format!("crashed.db{end}"))).unwrap();
        }
        assert!(has_a_write_ahead_log(&path));
        let remote = at(&path, Some("NFS")).unwrap();
        assert_eq!(mode(&remote).unwrap(), "truncate");
        let count = "SELECT count(*) FROM event";
        let found: u32 = remote.query_row(count, [], |row| row.get(0)).unwrap();
        assert_eq!(found, 1);
        assert!(!has_a_write_ahead_log(&path));
    }

    #[test]
    fn a_write_ahead_log_that_is_in_use_is_no_journal_for_a_network() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let local = at(&path, None).unwrap();
        local.execute_batch("BEGIN IMMEDIATE").unwrap();
        let error = at(&path, Some("NFS")).unwrap_err().to_string();
        assert!(error.contains("End the other otadeck"), "{error}");
    }

    /// A file system without shared memory, as SQLite's own stand-in for one has
    /// it.
    #[test]
    fn where_sqlite_refuses_the_write_ahead_log_it_is_done_without() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let flags = rusqlite::OpenFlags::default();
        let mut connection =
            Connection::open_with_flags_and_vfs(&path, flags, "unix-dotfile").unwrap();
        assert_eq!(prepare(&mut connection, false).unwrap(), VERSION);
        assert_eq!(mode(&connection).unwrap(), "truncate");
    }
}
