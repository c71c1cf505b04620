//! stdout and stderr, with errors handled: a closed pipe is an end, not a panic.

use std::io::{self, Write};

use jiff::Timestamp;

use crate::domain::event::{Event, What};
use crate::domain::id::DeviceId;
use crate::domain::problem::Problem;
use crate::domain::{clean, redact};

use super::exit::{Code, Failure};

/// Says something to whoever watches, on stderr. Lines are made harmless.
pub(super) fn complain(text: &str) {
    let mut stderr = io::stderr().lock();
    for (n, line) in text.lines().enumerate() {
        let name = if n == 0 { "otadeck: " } else { "" };
        // Nowhere is left to complain to.
        let _ = writeln!(stderr, "{name}{}", clean::line(line, 2_000));
    }
}

/// Says what is wrong with the command line, on stderr.
pub(super) fn usage(text: &str) {
    let mut stderr = io::stderr().lock();
    for line in redact::text(text).lines() {
        // Nowhere is left to complain to.
        let _ = writeln!(stderr, "{}", clean::line(line, 2_000));
    }
}

/// Says something in passing, on stderr.
pub(super) fn note(text: &str) {
    let mut stderr = io::stderr().lock();
    for line in text.lines() {
        // Nowhere is left to complain to.
        let _ = writeln!(stderr, "{}", clean::line(line, 2_000));
    }
}

/// Writes one line of data to stdout and flushes it.
///
/// # Errors
/// When nobody reads any more.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(|e| failed(&e))
}

/// Writes an event as one line of JSON in which nothing can harm a terminal.
///
/// # Errors
/// When nobody reads any more.
pub(super) fn json(event: &Event) -> Result<(), Failure> {
    let text = serde_json::to_string(event)
        .map_err(|e| Failure::internal("an event cannot be written", e))?;
    line(&clean::json(&text))
}

/// Writes a refusal as an event.
///
/// # Errors
/// When nobody reads any more.
pub(super) fn refused(device: Option<&DeviceId>, problem: &Problem) -> Result<(), Failure> {
    let what = What::Refused {
        problem: problem.clone(),
    };
    let mut event = Event::general(Timestamp::now(), what);
    event.device_id = device.cloned();
    json(&event)
}

/// Writes many lines of data at once.
///
/// # Errors
/// When nobody reads any more.
pub(super) fn lines(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|e| failed(&e))
}

fn failed(error: &io::Error) -> Failure {
    match error.kind() {
        // As a shell tells it of a program that SIGPIPE ended.
        io::ErrorKind::BrokenPipe => Failure::new(Code::Signal(13), "nobody reads the output"),
        _ => Failure::internal("cannot write to stdout", error),
    }
}
