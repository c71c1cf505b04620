//! Where files are kept, by the system's customs.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

/// The folders of configuration and state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The configuration file.
    pub config: PathBuf,
    /// The folder of journal and log.
    pub state: PathBuf,
}

/// There is no home folder to keep anything in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no home folder: set HOME, or state_dir in a file named by --config")]
pub struct PathsError;

impl Paths {
    /// The user's folders: `~/.config/otadeck/config.toml` and
    /// `~/.local/state/otadeck` on Linux, `XDG_CONFIG_HOME` and `XDG_STATE_HOME`
    /// honoured.
    ///
    /// # Errors
    /// [`PathsError`] when the user has no home.
    pub fn of_user() -> Result<Self, PathsError> {
        let dirs = ProjectDirs::from("", "", "otadeck").ok_or(PathsError)?;
        let state = dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir());
        Ok(Self {
            config: dirs.config_dir().join("config.toml"),
            state: state.to_owned(),
        })
    }

    /// All state in one folder, for a demo.
    #[must_use]
    pub fn within(folder: &Path) -> Self {
        Self {
            config: folder.join("config.toml"),
            state: folder.join("state"),
        }
    }

    /// The folder of themes of the operator's own.
    #[must_use]
    pub fn themes(&self) -> PathBuf {
        self.config.with_file_name("themes")
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.state.join("journal.db")
    }

    /// The operator's own views of the table.
    #[must_use]
    pub fn views(&self) -> PathBuf {
        self.state.join("views.toml")
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.state.join("otadeck.log")
    }
}
