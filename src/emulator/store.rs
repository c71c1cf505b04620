//! What survives a restart: identities, keys, policies, twins, kept sessions
//! and the certificate, in one SQLite file.
//!
//! A change is committed before its answer leaves. The folder is 0700, the file
//! 0600; a second process on the same folder is refused.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::world::Device;
use crate::domain::id::DeviceId;

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
    /// SQLite.
    #[error("the emulator's state cannot be kept: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row that is not ours.
    #[error("the emulator's state cannot be read: {0}")]
    Content(#[from] serde_json::Error),
    /// An id that is none.
    #[error("the emulator's state cannot be read: {0}")]
    Id(#[from] crate::domain::id::InvalidDeviceId),
}

/// The file, open.
pub(super) struct Store {
    connection: Connection,
}

impl Store {
    /// Opens the state kept in `folder`, or begins one.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        private_folder(folder)?;
        let file = folder.join("hub.db");
        private_file(&file).map_err(|source| StoreError::Folder(file.clone(), source))?;
        let connection = Connection::open(&file)?;
        connection.busy_timeout(Duration::from_millis(250))?;
        // Exclusive: a second emulator would have a second truth.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        let opened = connection
            .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
            .and_then(|()| connection.pragma_update(None, "synchronous", "NORMAL"))
            .and_then(|()| connection.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;")));
        match opened {
            Ok(()) => Ok(Self { connection }),
            Err(error) if is_busy(&error) => Err(StoreError::InUse(folder.to_owned())),
            Err(error) => Err(error.into()),
        }
    }

    /// All devices.
    pub(super) fn devices(&self) -> Result<Vec<(DeviceId, Device)>, StoreError> {
        let mut statement = self.connection.prepare("SELECT id, state FROM device")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (id, state): (String, String) = row?;
            Ok((DeviceId::parse(&id)?, serde_json::from_str(&state)?))
        })
        .collect()
    }

    /// Commits what changed; `None` is a device that was deleted.
    pub(super) fn commit(
        &mut self,
        changes: &[(DeviceId, Option<&Device>)],
    ) -> Result<(), StoreError> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        for (id, device) in changes {
            match device {
                Some(device) => {
                    let mut put = transaction
                        .prepare_cached("INSERT OR REPLACE INTO device VALUES (?1, ?2)")?;
                    put.execute((id.as_str(), serde_json::to_string(device)?))?;
                }
                None => {
                    let mut delete =
                        transaction.prepare_cached("DELETE FROM device WHERE id = ?1")?;
                    delete.execute((id.as_str(),))?;
                }
            }
        }
        Ok(transaction.commit()?)
    }

    /// A single fact, for example the policies.
    pub(super) fn fact<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT value FROM fact WHERE name = ?1")?;
        let text: Option<String> = statement.query_row((name,), |row| row.get(0)).optional()?;
        Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// Keeps a single fact.
    pub(super) fn keep_fact<T: Serialize>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), StoreError> {
        let text = serde_json::to_string(value)?;
        let put = "INSERT OR REPLACE INTO fact VALUES (?1, ?2)";
        self.connection.execute(put, (name, text))?;
        Ok(())
    }
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
