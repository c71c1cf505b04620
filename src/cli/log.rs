//! The log: a file in the state folder, never the screen; stderr of verbs that have
//! neither.
//!
//! It serves whoever looks for the cause of something, and must never be the cause
//! itself: when it cannot be opened or written that is said once, and all else
//! goes on.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use crate::journal::Place;

use super::{ending, out};

/// A log of more than this is begun anew; the old one is kept beside it.
const MAX_LOG: u64 = 4 << 20;
/// A write beyond the limit for files: a signal that would end the process.
const SIGXFSZ: i32 = 25;

/// Logs to stderr what `OTADECK_LOG` names, and nothing without it: for verbs
/// that have no state folder and no screen.
pub(super) fn to_stderr() {
    if let Ok(filter) = EnvFilter::try_from_env("OTADECK_LOG") {
        // Only a second log could fail, and there is none.
        let _ = tracing_subscriber::fmt()
            .with_writer(io::stderr)
            .with_env_filter(filter)
            .with_ansi(false)
            .try_init();
    }
}

/// The log at work; it is written to the end when this is dropped.
pub(super) struct Log(Option<WorkerGuard>);

/// Starts the log at `path`; trouble with it is a note on stderr.
pub(super) fn start(path: &Path) -> Log {
    let (log, mut trouble) = open(path);
    tokio::spawn(async move {
        if let Some(text) = trouble.recv().await {
            out::note(&text);
        }
    });
    log
}

/// Starts the log at `path`. What `OTADECK_LOG` names is written, `info`
/// without it. The first trouble with it comes through the channel.
pub(super) fn open(path: &Path) -> (Log, mpsc::Receiver<String>) {
    let (trouble, told) = mpsc::channel(1);
    ending::log_is(path);
    // Heard by nobody: it is enough that it does not end the process.
    let _ = signal(SignalKind::from_raw(SIGXFSZ));
    let file = match file(path) {
        Ok(file) => file,
        Err(error) => {
            tell(&trouble, path, &error);
            return (Log(None), told);
        }
    };
    let file = Careful {
        file,
        path: path.to_owned(),
        trouble: Some(trouble),
    };
    let (writer, guard) = tracing_appender::non_blocking(file);
    let filter = EnvFilter::try_from_env("OTADECK_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // Only a second log could fail, and there is none.
    let _ = tracing_subscriber::fmt()
        .with_writer(writer)
        .with_env_filter(filter)
        .with_ansi(false)
        .try_init();
    (Log(Some(guard)), told)
}

/// The file, with the rights of the journal beside it: whoever may read that may know
/// all that is logged, so operators who share a folder share its log.
fn file(path: &Path) -> io::Result<File> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let place = Place::of(folder).map_err(io::Error::other)?;
    if std::fs::metadata(path).is_ok_and(|m| m.len() > MAX_LOG) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    place.append(path)
}

fn tell(trouble: &mpsc::Sender<String>, path: &Path, error: &io::Error) {
    let path = path.display();
    // Nobody may be listening.
    let _ = trouble.try_send(format!(
        "The log {path} cannot be written: {error}. All else goes on without it."
    ));
}

/// A file whose first failure is told, and none later.
struct Careful {
    file: File,
    path: PathBuf,
    trouble: Option<mpsc::Sender<String>>,
}

impl Write for Careful {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes);
        if let Err(error) = &written
            && error.kind() != io::ErrorKind::Interrupted
            && let Some(trouble) = self.trouble.take()
        {
            tell(&trouble, &self.path, error);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Waits for its thread, a second at most.
        drop(self.0.take());
    }
}
