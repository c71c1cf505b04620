//! The life of one simulated device: its firmware goes on whether it is
//! connected or not; what it has to report waits until the hub has taken it.
//!
//! ```text
//!            ┌──────────────── wait: back-off with jitter ◄─────────┐
//!            ▼                                                      │ refused, broken, silent
//!  start ─► dial ─► subscribe ─► get the twin ─► report, answer ────┤
//!            ▲                                                      │ token old: at once
//!            └──────────────────────────────────────────────────────┘ reboot: as the rules say
//! ```
//!
//! A device that vanishes leaves this circle for good.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::dial::{self, Opened, Pass, Shared, Trouble};
use super::download::{self, Progress};
use super::firmware::{Firmware, Input, Moment, Output};
use super::notice::Notice;
use super::observer::Observer;
use super::session::{End, Session};
use super::speech::WallTime;
use super::{ConnectionString, Settings};
use crate::domain::backoff::Backoff;

/// A connection that lasted so long was a good one: waits begin anew.
const GOOD: Duration = Duration::from_secs(30);

/// One device.
pub(super) struct Device {
    to: Arc<ConnectionString>,
    pass: Pass,
    renews: bool,
    shared: Arc<Shared>,
    firmware: Firmware,
    connects: bool,
    begin: Instant,
    download: Option<Download>,
    pub(super) started: bool,
    pub(super) reports: Reports,
    /// The rules want the link cut for so long.
    pub(super) reboot: Option<Duration>,
    /// The rules want the link cut for good.
    pub(super) vanished: bool,
    pub(super) observer: Observer,
}

/// Reports that the hub has not taken yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Reports {
    queue: VecDeque<(Value, bool)>,
    /// Is the oldest one on its way?
    pub(super) in_flight: bool,
}

impl Reports {
    /// A mere percentage gives way to what follows it, unless it is on its way.
    fn push(&mut self, patch: Value, passing: bool) {
        let waiting = self.queue.len() - usize::from(self.in_flight && !self.queue.is_empty());
        if waiting > 0 && self.queue.back().is_some_and(|(_, passing)| *passing) {
            self.queue.pop_back();
        }
        self.queue.push_back((patch, passing));
    }

    pub(super) fn oldest(&self) -> Option<&Value> {
        self.queue.front().map(|(patch, _)| patch)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn taken(&mut self) -> Option<Value> {
        self.in_flight = false;
        self.queue.pop_front().map(|(patch, _)| patch)
    }
}

/// A real download, given up when dropped.
struct Download {
    progress: mpsc::Receiver<Progress>,
    task: JoinHandle<()>,
}

impl Drop for Download {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Something from within the device.
#[derive(Debug)]
pub(super) enum Within {
    /// The firmware wanted to be woken.
    Tick,
    /// The download goes on.
    Download(Progress),
}

impl Device {
    pub(super) fn new(settings: &Settings, shared: Arc<Shared>, observer: Observer) -> Self {
        let to = settings.connection_string.clone();
        let behaviour = settings.rules.behaviour(&to.device_id);
        Self {
            pass: Pass::of(behaviour.token.unwrap_or(settings.token_lifetime)),
            renews: behaviour.renews,
            connects: behaviour.connects,
            firmware: Firmware::new(behaviour, &to.host),
            to: Arc::new(to),
            shared,
            begin: Instant::now(),
            download: None,
            started: false,
            reports: Reports::default(),
            reboot: None,
            vanished: false,
            observer,
        }
    }

    /// Lives until `shutdown`.
    pub(super) async fn live(mut self, shutdown: CancellationToken) {
        if !self.connects {
            self.observer.tell(Notice::StaysAway);
            return shutdown.cancelled().await;
        }
        let mut waits = Waits::new();
        loop {
            let wait = match self.connection(&shutdown, &mut waits).await {
                End::Shutdown => break,
                End::Vanished => return self.vanish(&shutdown).await,
                End::Renew => {
                    self.observer.tell(Notice::Renewing);
                    continue;
                }
                End::Reboot(gone) => {
                    self.told_gone("the device restarts".to_owned(), gone);
                    gone
                }
                End::Trouble(trouble) => {
                    let wait = waits.next(&trouble);
                    if trouble.is_refusal() {
                        self.observer.refused();
                    }
                    self.told_gone(trouble.to_string(), wait);
                    wait
                }
            };
            if !self.rest(wait, &shutdown).await {
                break;
            }
        }
        self.observer.tell(Notice::Stopped);
    }

    /// Silence until `shutdown`.
    async fn vanish(self, shutdown: &CancellationToken) {
        self.observer.tell(Notice::Vanished);
        shutdown.cancelled().await;
    }

    fn told_gone(&mut self, reason: String, retry_in: Duration) {
        self.observer
            .tell(Notice::Disconnected { reason, retry_in });
    }

    /// One connection, from the first packet to its end.
    async fn connection(&mut self, shutdown: &CancellationToken, waits: &mut Waits) -> End {
        if self.vanished {
            return End::Vanished;
        }
        if !self.renews {
            self.pass.keep();
        }
        let dialling = dial::dial(Arc::clone(&self.shared), Arc::clone(&self.to), self.pass);
        let mut dialling = Box::pin(dialling);
        let opened = loop {
            let within = tokio::select! {
                biased;
                () = shutdown.cancelled() => return End::Shutdown,
                opened = &mut dialling => break opened,
                within = self.within() => within,
            };
            self.happened(within).await;
            if self.vanished {
                return End::Vanished;
            }
        };
        drop(dialling);
        let opened = match opened {
            Ok(opened) => opened,
            Err(trouble) => return End::Trouble(trouble),
        };
        let since = Instant::now();
        let end = self.talk(opened, shutdown).await;
        if since.elapsed() >= GOOD {
            waits.reset();
        }
        end
    }

    async fn talk(&mut self, opened: Opened, shutdown: &CancellationToken) -> End {
        self.observer.tell(Notice::Connected {
            host: self.to.host.clone(),
            session_present: opened.session_present,
        });
        self.reports.in_flight = false;
        match Session::begin(opened) {
            Ok(session) => Box::pin(session.run(self, shutdown)).await,
            Err(trouble) => End::Trouble(trouble),
        }
    }

    /// Waits for `wait` while the firmware goes on. `false` on shutdown.
    async fn rest(&mut self, wait: Duration, shutdown: &CancellationToken) -> bool {
        let until = Instant::now() + wait;
        // The next connection finds out that the device has vanished.
        while !self.vanished {
            let within = tokio::select! {
                biased;
                () = shutdown.cancelled() => return false,
                within = self.within() => within,
                () = sleep_until(until) => return true,
            };
            self.happened(within).await;
        }
        true
    }

    /// The next thing from within. Cancel-safe; pending when nothing is due.
    pub(super) async fn within(&mut self) -> Within {
        let wake = self.firmware.wake_at().map(|at| self.begin + at);
        tokio::select! {
            progress = next_progress(self.download.as_mut()) => Within::Download(progress),
            () = wake_at(wake) => Within::Tick,
        }
    }

    /// Deals with something from within.
    pub(super) async fn happened(&mut self, within: Within) {
        let input = match within {
            Within::Tick => Input::Tick,
            Within::Download(Progress::Percent(percent)) => Input::DownloadProgress(percent),
            Within::Download(Progress::Done(result)) => {
                self.download = None;
                Input::DownloadDone(result)
            }
        };
        self.feed(input).await;
    }

    /// The connection stands, and the hub has kept `reported`: what the device
    /// has to say at start, or when it is back.
    pub(super) async fn start(&mut self, reported: &Value) {
        if std::mem::replace(&mut self.started, true) {
            self.feed(Input::Reconnected).await;
        } else {
            self.firmware.recall(reported);
            self.feed(Input::Started).await;
        }
    }

    /// A method call; gives the answer, if there is one.
    pub(super) async fn method(&mut self, name: &str, payload: &[u8]) -> Option<(u16, Value)> {
        let answer = self.feed(Input::Method { name, payload }).await;
        self.observer.tell(Notice::MethodReceived {
            name: name.to_owned(),
            status: answer.as_ref().map(|(status, _)| *status),
        });
        answer
    }

    async fn feed(&mut self, input: Input<'_>) -> Option<(u16, Value)> {
        let at = Moment {
            now: self.begin.elapsed(),
            wall: WallTime::now(),
            chance: rand::random(),
        };
        let mut answer = None;
        for output in self.firmware.step(input, at) {
            match output {
                Output::Report { patch, passing } => self.reports.push(patch, passing),
                Output::Answer { status, payload } => answer = Some((status, payload)),
                Output::Download { uri, least } => self.fetch(uri, least).await,
                Output::Reboot(gone) => self.reboot = Some(gone),
                Output::Vanish => self.vanished = true,
                Output::Phase(phase) => self.observer.tell(Notice::Phase(phase)),
            }
        }
        answer
    }

    async fn fetch(&mut self, uri: String, least: Duration) {
        let (tell, progress) = mpsc::channel(4);
        let shared = Arc::clone(&self.shared);
        let task = tokio::spawn(async move {
            match shared.http().await {
                Ok(client) => download::run(client, uri, least, tell).await,
                Err(error) => {
                    let reason = format!("no client for packages: {}", error.without_url());
                    // Nobody listens any more: the device is stopping.
                    let _ = tell.send(Progress::Done(Err(reason))).await;
                }
            }
        });
        self.download = Some(Download { progress, task });
    }
}

async fn next_progress(download: Option<&mut Download>) -> Progress {
    match download {
        None => std::future::pending().await,
        Some(download) => match download.progress.recv().await {
            Some(progress) => progress,
            None => Progress::Done(Err("the download was given up".to_owned())),
        },
    }
}

async fn wake_at(at: Option<Instant>) {
    match at {
        None => std::future::pending().await,
        Some(at) => sleep_until(at).await,
    }
}

/// Waits between connections: up to 1 s, 2 s, … a minute; up to 5 s, 10 s, …
/// five minutes when the hub does not want this device.
struct Waits {
    broken: Backoff,
    refused: Backoff,
}

impl Waits {
    fn new() -> Self {
        Self {
            broken: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            refused: Backoff::new(Duration::from_secs(5), Duration::from_secs(300)),
        }
    }

    fn next(&mut self, trouble: &Trouble) -> Duration {
        let backoff = match trouble.is_refusal() {
            true => &mut self.refused,
            false => &mut self.broken,
        };
        backoff.next_wait(rand::random())
    }

    fn reset(&mut self) {
        self.broken.reset();
        self.refused.reset();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_percentage_gives_way_to_what_follows_it() {
        let mut reports = Reports::default();
        reports.push(json!("start"), false);
        reports.push(json!(1), true);
        reports.push(json!(2), true);
        reports.push(json!("applying"), false);
        assert_eq!(reports.taken(), Some(json!("start")));
        assert_eq!(reports.taken(), Some(json!("applying")));
        assert!(reports.is_empty());
    }

    #[test]
    fn what_is_on_its_way_is_not_replaced() {
        let mut reports = Reports::default();
        reports.push(json!(1), true);
        reports.in_flight = true;
        reports.push(json!(2), true);
        reports.push(json!(3), true);
        assert_eq!(reports.taken(), Some(json!(1)));
        assert_eq!(reports.taken(), Some(json!(3)));
        assert!(reports.is_empty());
    }

    #[test]
    fn a_hub_that_refuses_is_asked_less_often() {
        let refused = Trouble::Refused(crate::mqtt::ReturnCode::NotAuthorized);
        let mut waits = Waits::new();
        let bounds = |backoff: &mut Backoff| -> Vec<u64> {
            (0..9).map(|_| backoff.next_bound().as_secs()).collect()
        };
        assert!(waits.next(&refused) <= Duration::from_secs(5));
        assert_eq!(bounds(&mut waits.refused).last(), Some(&300));
        assert_eq!(bounds(&mut waits.broken), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }
}
