//! What survives a restart: identities, keys, policies, twins, kept sessions
//! and the certificate, in one SQLite file.
//!
//! A change is committed before its answer leaves: it survives the end of the
//! process at any moment, `kill -9` included. (A power cut may take the last
//! moments: the file is not synchronised with the disk at each commit.) The
//! folder is 0700, the file 0600; a second process on the same folder is
//! refused.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::world::{Device, Ledger};
use crate::domain::id::DeviceId;

/// The version of the tables, in SQLite's `user_version`; 0 is a new file.
const VERSION: i32 = 1;
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS device (id TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
";

/// Why the state cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made or its mode not be set.
    #[error("the folder {0} cannot be used: {1}")]
    Folder(PathBuf, io::Error),
    /// Others may look into a folder that is not only ours.
    #[error(
        "the folder {0} holds other things and others may read it; choose an empty one or `chmod 700` it"
    )]
    Open(PathBuf),
    /// Another emulator has it.
    #[error("another emulator uses {0}; end it, or choose another folder")]
    InUse(PathBuf),
    /// Written by a later otadeck.
    #[error(
        "{0} was written by a newer otadeck (its schema is {1}, this one knows {VERSION}); \
         use that one, or choose another folder"
    )]
    Newer(PathBuf, i32),
    /// No SQLite file, or a broken one.
    #[error(
        "{0} is damaged, or not an emulator's state ({1}); nothing was changed: \
         put a copy in its place, or choose another folder"
    )]
    Damaged(PathBuf, String),
    /// The disk has no room.
    #[error("the disk is full: {0} cannot grow; make room and try again")]
    Full(PathBuf),
    /// The file or its folder may not be written.
    #[error("{0} cannot be written: it, or its folder, is read-only")]
    ReadOnly(PathBuf),
    /// Anything else that SQLite says.
    #[error("{0} cannot be used: {1}")]
    Sqlite(PathBuf, rusqlite::Error),
}

impl StoreError {
    /// What an error of SQLite means for `file`.
    fn of(file: &Path, error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Why;
        let file = file.to_owned();
        match error.sqlite_error_code() {
            Some(Why::DatabaseCorrupt | Why::NotADatabase) => {
                Self::Damaged(file, error.to_string())
            }
            Some(Why::DiskFull) => Self::Full(file),
            Some(Why::ReadOnly | Why::PermissionDenied) => Self::ReadOnly(file),
            _ => Self::Sqlite(file, error),
        }
    }
}

/// The file, open.
pub(super) struct Store {
    connection: Connection,
    file: PathBuf,
    /// The ledger as it stands in the file.
    ledger: Option<Ledger>,
}

impl Store {
    /// Opens the state kept in `folder`, or begins one.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        private_folder(folder)?;
        let file = folder.join("hub.db");
        private_file(&file).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                StoreError::ReadOnly(file.clone())
            }
            io::ErrorKind::StorageFull => StoreError::Full(file.clone()),
            _ => StoreError::Folder(file.clone(), source),
        })?;
        let opened = Connection::open(&file).and_then(|connection| {
            let version = prepare(&connection)?;
            Ok((connection, version))
        });
        match opened {
            Ok((connection, 0 | VERSION)) => {
                let mut store = Self {
                    connection,
                    file,
                    ledger: None,
                };
                store.begin()?;
                store.ledger = store.fact("ledger")?;
                Ok(store)
            }
            Ok((_, newer)) => Err(StoreError::Newer(file, newer)),
            Err(error) if is_busy(&error) => Err(StoreError::InUse(folder.to_owned())),
            Err(error) => Err(StoreError::of(&file, error)),
        }
    }

    /// Makes the tables that are not there.
    fn begin(&self) -> Result<(), StoreError> {
        let tables = format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;");
        let made = self
            .connection
            .pragma_update(None, "synchronous", "NORMAL")
            .and_then(|()| self.connection.execute_batch(&tables));
        made.map_err(|error| self.problem(error))
    }

    /// All devices.
    pub(super) fn devices(&self) -> Result<Vec<(DeviceId, Device)>, StoreError> {
        let read = || -> rusqlite::Result<Vec<(String, String)>> {
            let mut statement = self.connection.prepare("SELECT id, state FROM device")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        let rows = read().map_err(|error| self.problem(error))?;
        let parse = |(id, state): (String, String)| {
            let damaged = |what: String| StoreError::Damaged(self.file.clone(), what);
            let device = serde_json::from_str(&state)
                .map_err(|error| damaged(format!("the device {id:?}: {error}")))?;
            let id = DeviceId::parse(&id)
                .map_err(|error| damaged(format!("the device {id:?}: {error}")))?;
            Ok((id, device))
        };
        rows.into_iter().map(parse).collect()
    }

    /// Commits what changed, all or nothing; `None` is a device that was
    /// deleted.
    pub(super) fn commit(
        &mut self,
        changes: &[(&DeviceId, Option<&Device>)],
        ledger: Ledger,
    ) -> Result<(), StoreError> {
        let new = (self.ledger.as_ref() != Some(&ledger)).then_some(&ledger);
        let written = write(&mut self.connection, changes, new);
        written.map_err(|error| self.problem(error))?;
        self.ledger = Some(ledger);
        Ok(())
    }

    /// Does the file hold another ledger?
    pub(super) fn is_behind(&self, ledger: &Ledger) -> bool {
        self.ledger.as_ref() != Some(ledger)
    }

    /// A single fact, for example the policies.
    pub(super) fn fact<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let read = || -> rusqlite::Result<Option<String>> {
            let select = "SELECT value FROM fact WHERE name = ?1";
            let mut statement = self.connection.prepare(select)?;
            statement.query_row((name,), |row| row.get(0)).optional()
        };
        let text = read().map_err(|error| self.problem(error))?;
        let parsed = text.map(|text| serde_json::from_str(&text)).transpose();
        parsed.map_err(|error| StoreError::Damaged(self.file.clone(), format!("{name}: {error}")))
    }

    /// Keeps a single fact.
    pub(super) fn keep_fact<T: Serialize>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), StoreError> {
        let kept = put_fact(&self.connection, name, value);
        kept.map_err(|error| self.problem(error))
    }

    fn problem(&self, error: rusqlite::Error) -> StoreError {
        StoreError::of(&self.file, error)
    }

    /// Lets every commit fail from now on, or none.
    #[cfg(test)]
    pub(super) fn fail(&self, on: bool) {
        let set = self.connection.pragma_update(None, "query_only", on);
        set.expect("this pragma is always allowed");
    }
}

/// Takes the file for this process alone and gives the version of its tables.
fn prepare(connection: &Connection) -> rusqlite::Result<i32> {
    connection.busy_timeout(Duration::from_millis(250))?;
    // Exclusive: a second emulator would have a second truth.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    // Before anything is written: a newer file is left as it is.
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version <= VERSION {
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    }
    Ok(version)
}

fn write(
    connection: &mut Connection,
    changes: &[(&DeviceId, Option<&Device>)],
    ledger: Option<&Ledger>,
) -> rusqlite::Result<()> {
    let behavior = TransactionBehavior::Immediate;
    let transaction = connection.transaction_with_behavior(behavior)?;
    for (id, device) in changes {
        match device {
            Some(device) => {
                let mut put =
                    transaction.prepare_cached("INSERT OR REPLACE INTO device VALUES (?1, ?2)")?;
                put.execute((id.as_str(), json(device)?))?;
            }
            None => {
                let mut delete = transaction.prepare_cached("DELETE FROM device WHERE id = ?1")?;
                delete.execute((id.as_str(),))?;
            }
        }
    }
    if let Some(ledger) = ledger {
        put_fact(&transaction, "ledger", ledger)?;
    }
    transaction.commit()
}

fn put_fact(connection: &Connection, name: &str, value: &impl Serialize) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO fact VALUES (?1, ?2)")?;
    put.execute((name, json(value)?))?;
    Ok(())
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

/// Makes `folder` with mode 0700; an existing one is narrowed to it if it is
/// empty or holds a state already.
pub(super) fn private_folder(folder: &Path) -> Result<(), StoreError> {
    let problem = |source| StoreError::Folder(folder.to_owned(), source);
    let mut builder = DirBuilder::new();
    let builder = builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(problem)?;
    let mode = folder.metadata().map_err(problem)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let mut entries = folder.read_dir().map_err(problem)?;
    if entries.next().is_some() && !folder.join("hub.db").exists() {
        return Err(StoreError::Open(folder.to_owned()));
    }
    std::fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(problem)
}

/// Makes `file` with mode 0600 if it is not there.
fn private_file(file: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    let opened = options.open(file)?;
    opened.set_permissions(Permissions::from_mode(0o600))
}

/// Writes `text` to `file`, mode 0600, whole or not at all.
pub(super) fn write_private(file: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    let folder = file.parent().unwrap_or(Path::new("."));
    // Made with mode 0600 by `tempfile`.
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(text.as_bytes())?;
    draft.persist(file).map_err(|error| error.error)?;
    Ok(())
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseBusy | DatabaseLocked)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_folder_is_private_and_used_by_one() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("state");
        let mut store = Store::open(&folder).unwrap();
        store.keep_fact("answer", &42).unwrap();
        assert_eq!(mode(&folder), 0o700);
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        assert!(matches!(Store::open(&folder), Err(StoreError::InUse(_))));
        drop(store);
        let store = Store::open(&folder).unwrap();
        assert_eq!(store.fact::<i32>("answer").unwrap(), Some(42));
        assert_eq!(store.fact::<i32>("question").unwrap(), None);
    }

    /// Opens a state whose file `change` has been at.
    fn opened_after(change: impl FnOnce(&Path)) -> (tempfile::TempDir, Result<Store, StoreError>) {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("state");
        drop(Store::open(&folder).unwrap());
        change(&folder.join("hub.db"));
        let opened = Store::open(&folder);
        (temp, opened)
    }

    fn change(file: &Path, sql: &str) {
        Connection::open(file).unwrap().execute_batch(sql).unwrap();
    }

    #[test]
    fn a_newer_file_is_left_as_it_is() {
        let (temp, opened) = opened_after(|file| change(file, "PRAGMA user_version = 9"));
        let error = opened.err().unwrap();
        assert!(matches!(error, StoreError::Newer(_, 9)), "{error}");
        assert!(error.to_string().contains("newer otadeck"), "{error}");
        let file = temp.path().join("state/hub.db");
        let version = Connection::open(file).unwrap();
        let version = version.query_row("PRAGMA user_version", [], |row| row.get::<_, i32>(0));
        assert_eq!(version, Ok(9));
    }

    #[test]
    fn a_damaged_file_is_named() {
        let (_temp, opened) = opened_after(|file| {
            let garbage = "no database at all, however one looks at it; ".repeat(100);
            std::fs::write(file, garbage).unwrap();
        });
        assert!(matches!(opened, Err(StoreError::Damaged(..))));
        let (_temp, opened) = opened_after(|file| {
            change(
                file,
                "INSERT INTO device VALUES ('dev01', '{\"identity\":7}')",
            );
        });
        let error = opened.unwrap().devices().err().unwrap().to_string();
        assert!(
            error.contains("hub.db is damaged") && error.contains("dev01"),
            "{error}"
        );
        let (_temp, opened) = opened_after(|file| {
            change(file, "INSERT INTO fact VALUES ('ledger', '[]')");
        });
        assert!(matches!(opened, Err(StoreError::Damaged(..))));
    }

    #[test]
    fn a_full_disk_and_a_read_only_one_are_told_apart() {
        let temp = tempfile::tempdir().unwrap();
        let mut store = Store::open(&temp.path().join("state")).unwrap();
        store.fail(true);
        let kept = store.keep_fact("answer", &42);
        assert!(matches!(kept, Err(StoreError::ReadOnly(_))), "{kept:?}");
        store.fail(false);
        // What a disk without room does to SQLite.
        let pages = store.connection.pragma_update(None, "max_page_count", 1);
        pages.unwrap();
        let kept = store.keep_fact("answer", &"x".repeat(1_000_000));
        assert!(matches!(kept, Err(StoreError::Full(_))), "{kept:?}");
    }

    #[test]
    fn a_folder_of_others_is_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("shared");
        std::fs::create_dir(&folder).unwrap();
        let open = || std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        open();
        private_folder(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700, "an empty one is taken");
        open();
        std::fs::write(folder.join("theirs"), "").unwrap();
        assert!(matches!(private_folder(&folder), Err(StoreError::Open(_))));
        assert_eq!(mode(&folder), 0o755);
    }

    #[test]
    fn a_secret_is_written_whole_and_private() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("ca.pem");
        write_private(&file, "one").unwrap();
        write_private(&file, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(mode(&file), 0o600);
    }
}
