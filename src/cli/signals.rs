//! SIGINT, SIGTERM and SIGHUP as a future.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::{Code, Failure};

/// How long the program may take to end by itself after a signal. Whoever waits
/// for a reader that reads no more, of a pipe for example, cannot.
const PATIENCE: Duration = Duration::from_secs(3);

/// The signals that end the program.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Takes the signals over from now on, for a verb that writes to stdout all
    /// the time: it ends even when nobody reads that any more.
    pub(super) fn insist() -> Result<Self, Failure> {
        let mut same = Self::take()?;
        tokio::spawn(async move {
            let code = same.next().await;
            tokio::time::sleep(PATIENCE).await;
            std::process::exit(i32::from(code.number()));
        });
        Self::take()
    }

    /// Takes the signals over from now on.
    pub(super) fn take() -> Result<Self, Failure> {
        let one = |kind| signal(kind).map_err(|e| Failure::internal("no signals", e));
        Ok(Self {
            interrupt: one(SignalKind::interrupt())?,
            terminate: one(SignalKind::terminate())?,
            hang_up: one(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them. Cancel-safe.
    pub(super) async fn next(&mut self) -> Code {
        tokio::select! {
            _ = self.interrupt.recv() => Code::Signal(2),
            _ = self.terminate.recv() => Code::Signal(15),
            _ = self.hang_up.recv() => Code::Signal(1),
        }
    }
}
