//! Looks at a journal without changing it: is it sound, can it be written, what is
//! open in it, and who holds what.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::history::{History, connect};
use super::holder::Holder;
use super::schema::{VERSION, mode};
use super::{JournalError, lease};

/// How long another process's write is waited for.
const BUSY: Duration = Duration::from_millis(500);

/// A journal as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exam {
    /// How it recovers from a crash: `wal`, `truncate`.
    pub mode: String,
    /// The schema that it has, and the one that this program writes.
    pub schema: (u32, u32),
    /// What SQLite says of its soundness; `None` when that took too long.
    pub faults: Option<Vec<String>>,
    /// Why it cannot be written, if it cannot.
    pub unwritable: Option<String>,
    /// Updates without a verdict, of all hubs.
    pub open: u32,
    /// Devices that are held, by living processes and by such as have ended.
    pub held: (usize, usize),
}

impl Exam {
    /// Looks at the journal at `path` and at its soundness for so long; `None` when
    /// there is none yet.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(path: &Path, limit: Duration) -> Result<Option<Self>, JournalError> {
        if History::open(path)?.is_none() {
            return Ok(None);
        }
        let failed = |e: rusqlite::Error| JournalError::Failed(e.to_string());
        let (connection, schema) = connect(path).map_err(failed)?;
        let held = match schema {
            // The older one does not say where a holder's process is.
            VERSION => lives(&lease::all(&connection)?),
            _ => (0, 0),
        };
        Ok(Some(Self {
            mode: mode(&connection).map_err(failed)?,
            schema: (schema, VERSION),
            faults: faults(&connection, limit).map_err(failed)?,
            unwritable: unwritable(path).err().map(|e| e.to_string()),
            open: open(&connection).map_err(failed)?,
            held,
        }))
    }
}

fn lives(holders: &[Holder]) -> (usize, usize) {
    let now = Timestamp::now();
    let living = holders.iter().filter(|holder| holder.lives(now)).count();
    (living, holders.len() - living)
}

fn open(connection: &Connection) -> rusqlite::Result<u32> {
    let query = "SELECT count(*) FROM event e WHERE e.kind = 'update.intended' AND NOT EXISTS
        (SELECT 1 FROM event v WHERE v.update_id = e.update_id AND v.kind = 'update.verdict')";
    connection.query_row(query, [], |row| row.get(0))
}

/// A quick look at all pages, broken off when it takes longer than `limit`.
fn faults(connection: &Connection, limit: Duration) -> rusqlite::Result<Option<Vec<String>>> {
    let interrupt = connection.get_interrupt_handle();
    let (done, wait) = mpsc::channel::<()>();
    let looked = std::thread::scope(|scope| {
        scope.spawn(move || {
            if wait.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                interrupt.interrupt();
            }
        });
        let mut statement = connection.prepare("PRAGMA quick_check(3)")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        let rows: rusqlite::Result<Vec<String>> = rows.collect();
        drop(done);
        rows
    });
    match looked {
        Ok(rows) => Ok(Some(rows.into_iter().filter(|row| row != "ok").collect())),
        Err(error)
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Takes the lock of a writer and gives it back: nothing is written.
fn unwritable(path: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    match connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK;") {
        // Somebody else is just writing, so it can be written.
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
            Ok(())
        }
        other => other,
    }
}
