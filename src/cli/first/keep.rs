//! What the first minutes write: files that only their owner can read. None that is
//! there is ever changed.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::config::Paths;

/// Every key with its default.
const EXAMPLE: &str = include_str!("../../../config.example.toml");

/// What became of a connection string.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// All is written.
    Whole(String),
    /// The string is; the configuration was there already, or cannot be written.
    Half {
        /// What was done, and what was not.
        told: String,
        /// The lines to add to the configuration.
        add: String,
    },
}

/// The name of a hub in the configuration, after the first label of its host.
pub(super) fn name(label: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-' || *c == '_';
    match label.chars().filter(plain).collect::<String>() {
        name if name.is_empty() => "hub".to_owned(),
        name => name,
    }
}

/// Where the connection string of that hub is kept.
pub(super) fn secret_file(paths: &Paths, name: &str) -> PathBuf {
    paths.config.with_file_name(format!("{name}.secret"))
}

/// Keeps a connection string in a file of its own, and names the file in a new
/// configuration. What was done is told.
///
/// # Errors
/// What was wrong; then nothing was kept.
pub(super) fn store(paths: &Paths, name: &str, secret: &SecretString) -> Result<Kept, String> {
    let file = secret_file(paths, name);
    let shown = file.display();
    let Some(spelt) = file.to_str() else {
        return Err(format!(
            "{shown} is no UTF-8, so no configuration can name it."
        ));
    };
    let text = format!("{}\n", secret.expose_secret());
    private(&file, &text).map_err(|e| not_written(&file, &e))?;
    let spelt = toml::Value::from(spelt);
    let table = format!("[hub.{name}]\nsecret_file = {spelt}\n");
    let config = paths.config.display();
    let head = "# Every key with its default: config.example.toml, in otadeck's sources.\n";
    let why = match private(&paths.config, &format!("{head}{table}")) {
        Ok(()) => {
            return Ok(Kept::Whole(format!(
                "Written: {shown} (mode 600), and [hub.{name}] in {config}."
            )));
        }
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            format!("{config} is there already and was left as it is.")
        }
        Err(e) => not_written(&paths.config, &e),
    };
    Ok(Kept::Half {
        told: format!("Written: {shown} (mode 600).\n{why} Add to it:"),
        add: table,
    })
}

/// Writes the example as the configuration; what was done is told.
///
/// # Errors
/// What was wrong; then nothing was written.
pub(super) fn example(paths: &Paths) -> Result<String, String> {
    let config = paths.config.display();
    match private(&paths.config, EXAMPLE) {
        Ok(()) => Ok(format!(
            "Written: {config} (mode 600). Say in [hub.plant] which hub is yours and how to sign \
             in; otadeck config check looks for mistakes, otadeck starts on it."
        )),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(format!(
            "{config} is there already and was left as it is. It names no hub yet: add a table \
             [hub.NAME] with secret_env, secret_file or secret_command, or with \
             sign_in = \"azure-cli\" and host."
        )),
        Err(e) => Err(not_written(&paths.config, &e)),
    }
}

fn not_written(file: &Path, error: &io::Error) -> String {
    let shown = file.display();
    match error.kind() {
        ErrorKind::AlreadyExists => format!(
            "{shown} is there already and is not overwritten. Move it away, or keep it elsewhere."
        ),
        _ => format!("{shown} cannot be written: {error}."),
    }
}

/// Writes a new file that only its owner can read, in a folder that is made if it is
/// not there. What cannot be written whole does not stay.
fn private(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let mut options = OpenOptions::new();
    let mut made = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    let written = made
        .write_all(text.as_bytes())
        .and_then(|()| made.sync_all());
    if written.is_err() {
        // It is of no use.
        let _ = std::fs::remove_file(file);
    }
    written
}
