//! What the system tells: signals.

use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

/// A signal that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The process is to end; its number.
    End(i32),
    /// The process is to stop until it is continued.
    Stop,
    /// The process was stopped and goes on.
    Continued,
    /// The terminal has another size.
    Resized,
}

/// The number of the signal that tells of a hang-up.
pub(super) const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
const SIGCONT: i32 = 18;
const SIGTSTP: i32 = 20;

/// How long a signal to ourselves may take.
const OWN: Duration = Duration::from_millis(100);

/// The signals that mean something to the console.
pub(super) struct Signals {
    /// Those that end it, as far as they are not ignored.
    end: Vec<(i32, Signal)>,
    stop: Signal,
    cont: Signal,
    size: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        let heeded = [SIGTERM, SIGHUP, SIGINT].into_iter();
        let end = heeded.filter(|number| !is_ignored(*number));
        let end = end.map(|number| Ok((number, signal(SignalKind::from_raw(number))?)));
        Ok(Self {
            end: end.collect::<io::Result<_>>()?,
            stop: signal(SignalKind::from_raw(SIGTSTP))?,
            cont: signal(SignalKind::from_raw(SIGCONT))?,
            size: signal(SignalKind::window_change())?,
        })
    }

    /// Waits for the next one. What ends the process comes first: a process that
    /// is ended while it is stopped is continued for that.
    pub(super) async fn next(&mut self) -> Heard {
        let end = std::future::poll_fn(|context| {
            for (number, signal) in &mut self.end {
                if let std::task::Poll::Ready(Some(())) = signal.poll_recv(context) {
                    return std::task::Poll::Ready(*number);
                }
            }
            std::task::Poll::Pending
        });
        tokio::select! {
            biased;
            number = end => Heard::End(number),
            Some(()) = self.cont.recv() => Heard::Continued,
            Some(()) = self.stop.recv() => Heard::Stop,
            Some(()) = self.size.recv() => Heard::Resized,
            else => pending().await,
        }
    }

    /// Stops all processes of the terminal's job but this one: whoever started
    /// it, a script for example, is to be stopped with it, or the shell would
    /// wait for that one for ever.
    pub(super) async fn stop_the_others(&mut self) {
        let stop = rustix::process::Signal::TSTP;
        if rustix::process::kill_current_process_group(stop).is_ok() {
            // It comes to us as well, and would be taken for another one.
            let _ = timeout(OWN, self.stop.recv()).await;
        }
    }
}

/// Stops this process until it is continued. Returns then; or at once where no
/// shell could continue it, because the system knows that and does not stop it.
///
/// Not by SIGTSTP, which we handle, and not by SIGSTOP, which stops also where
/// nobody continues: by the signal for whoever changes a terminal from the
/// background, which nobody handles here.
pub(super) fn stop() {
    let own = rustix::process::getpid();
    let _ = rustix::process::kill_process(own, rustix::process::Signal::TTOU);
}

/// Was the process started with this signal ignored, by `nohup` for example?
/// Then whoever did that wants it to stay so. Where the system does not tell, it
/// is not ignored.
#[must_use]
pub fn is_ignored(number: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (number - 1) & 1 == 1)
}
