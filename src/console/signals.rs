//! What the system tells: signals, and that the terminal has gone.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal that was heard.
pub(super) enum Heard {
    /// The process is to end; its number.
    End(i32),
    /// The process was stopped and goes on.
    Continued,
}

pub(super) const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
const SIGCONT: i32 = 18;

/// The signals that mean something to the console.
pub(super) struct Signals {
    term: Signal,
    hup: Signal,
    int: Signal,
    cont: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            hup: signal(SignalKind::hangup())?,
            int: signal(SignalKind::interrupt())?,
            cont: signal(SignalKind::from_raw(SIGCONT))?,
        })
    }

    /// Waits for one that ends the process, or for the process to go on after
    /// it was stopped.
    pub(super) async fn next(&mut self) -> Heard {
        tokio::select! {
            Some(()) = self.term.recv() => Heard::End(SIGTERM),
            Some(()) = self.hup.recv() => Heard::End(SIGHUP),
            Some(()) = self.int.recv() => Heard::End(SIGINT),
            Some(()) = self.cont.recv() => Heard::Continued,
            else => pending().await,
        }
    }
}

/// Notices that the terminal has gone. The event source does not: it reads
/// nothing for ever and burns a core.
pub(super) struct HangUp(Option<AsyncFd<OwnedFd>>);

impl HangUp {
    /// Watches standard input; in vain when that is no terminal.
    #[expect(
        deprecated,
        reason = "its successor is unsafe for the sake of types that lie about their \
                  descriptor; an owned descriptor does not"
    )]
    pub(super) fn new() -> Self {
        let watched = rustix::io::dup(rustix::stdio::stdin())
            .ok()
            .and_then(|stdin| AsyncFd::with_interest(stdin, Interest::ERROR).ok());
        Self(watched)
    }

    pub(super) async fn happens(&mut self) {
        match &self.0 {
            Some(stdin) => {
                let _ = stdin.ready(Interest::ERROR).await;
            }
            None => pending().await,
        }
    }
}
