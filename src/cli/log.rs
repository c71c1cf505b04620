//! The log: a file in the state folder, never the screen; stderr of verbs that have
//! neither.

use std::io;
use std::path::Path;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use crate::journal::Place;

/// A log of more than this is begun anew; the old one is kept beside it.
const MAX_LOG: u64 = 4 << 20;

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

/// Starts the log at `path`, with the rights of the journal beside it: whoever may
/// read that may know all that is logged, so operators who share a folder share its
/// log. What `OTADECK_LOG` names is written, `info`
/// without it. The log is written to the end when the guard is dropped.
///
/// # Errors
/// When the file cannot be made.
pub(super) fn start(path: &Path) -> io::Result<WorkerGuard> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let place = Place::of(folder).map_err(io::Error::other)?;
    if std::fs::metadata(path).is_ok_and(|m| m.len() > MAX_LOG) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    let file = place.append(path)?;
    let (writer, guard) = tracing_appender::non_blocking(file);
    let filter = EnvFilter::try_from_env("OTADECK_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // Only a second log could fail, and there is none.
    let _ = tracing_subscriber::fmt()
        .with_writer(writer)
        .with_env_filter(filter)
        .with_ansi(false)
        .try_init();
    Ok(guard)
}
