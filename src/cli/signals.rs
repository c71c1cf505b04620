//! SIGINT, SIGTERM and SIGHUP as a future.

use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::console::is_ignored;

use super::ending;
use super::exit::{Code, Failure};

/// Those that end the program.
const ENDING: [u8; 3] = [15, 2, 1];

/// The signals that end the program, and defects.
pub(super) struct Signals(Vec<(u8, Signal)>);

impl Signals {
    /// Takes the signals over from now on, for a verb that must end in time even
    /// when it waits for somebody: for a reader that reads no more, for example.
    pub(super) fn insist() -> Result<Self, Failure> {
        let mut same = Self::take()?;
        tokio::spawn(async move { ending::last_resort(same.next().await) });
        Self::take()
    }

    /// Takes the signals over from now on; not those that the process was
    /// started to ignore.
    pub(super) fn take() -> Result<Self, Failure> {
        let heeded = ENDING.into_iter().filter(|n| !is_ignored(i32::from(*n)));
        let taken = heeded.map(|number| {
            let taken = signal(SignalKind::from_raw(i32::from(number)));
            let taken = taken.map_err(|e| Failure::internal("no signals", e))?;
            Ok((number, taken))
        });
        Ok(Self(taken.collect::<Result<_, Failure>>()?))
    }

    /// Waits for one of them, or for a defect. Cancel-safe.
    pub(super) async fn next(&mut self) -> Code {
        let heard = std::future::poll_fn(|context| {
            for (number, signal) in &mut self.0 {
                if let Poll::Ready(Some(())) = signal.poll_recv(context) {
                    return Poll::Ready(Code::Signal(*number));
                }
            }
            Poll::Pending
        });
        tokio::select! {
            code = heard => code,
            () = ending::defect() => Code::Failure,
        }
    }
}
