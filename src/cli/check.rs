//! The look at each device before anything is started or watched.
//!
//! Nothing is begun when one of the devices does not exist, and nothing when the
//! time is up before all are known. What goes wrong with the hub as a whole is told
//! once, and ends the check: the next device would only ask for the same again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, MissedTickBehavior, sleep, timeout_at};

use crate::domain::backoff::Backoff;
use crate::domain::id::DeviceId;
use crate::domain::problem::Problem;
use crate::domain::quota::twin_bytes;
use crate::domain::time::spoken;
use crate::domain::twin::Twin;
use crate::hub::{HubError, Service};

use super::exit::{Code, Failure};
use super::out;
use super::session::Session;

/// Twins that are read at the same time.
const AT_ONCE: usize = 4;
/// How often a twin is tried to be read in all.
const TRIES: u32 = 4;
/// How long nothing may come before that is said.
const SILENCE: Duration = Duration::from_secs(5);

/// When the watching ends, `timeout` after now. One that is longer than a clock can
/// tell never ends.
pub(super) fn until(timeout: Option<SignedDuration>) -> Option<Instant> {
    Instant::now().checked_add(timeout?.unsigned_abs())
}

/// Runs `work`, which sends nothing to any device, until the time is up.
///
/// # Errors
/// When it was not done by then.
pub(super) async fn in_time<T>(
    until: Option<Instant>,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    let Some(until) = until else {
        return Ok(work.await);
    };
    timeout_at(until, work).await.map_err(|_| {
        let text = "the time is up before all devices could be read\n  \
                    Nothing was sent to any device. Give --timeout more time, or try again later.";
        Failure::new(Code::Open, text)
    })
}

impl Session {
    /// Reads the twin of each device, in their order. Stays within the rate that a
    /// program may take of the hub. With `json`, each refusal is an event too.
    pub(super) async fn check(
        &self,
        devices: &[DeviceId],
        json: bool,
    ) -> Result<Vec<Twin>, Failure> {
        let told = AtomicBool::new(false);
        let reads = self.read_all(devices, &told);
        tokio::pin!(reads);
        let read = tokio::select! {
            read = &mut reads => read,
            () = sleep(SILENCE) => {
                if !told.swap(true, Ordering::Relaxed) {
                    out::note("waiting for the hub; nothing was sent to any device yet");
                }
                reads.await
            }
        };
        read.or_else(|problems| Err(refused(devices, &problems, json)?))
    }

    /// The twins; or what kept them from being read, with the device if it is not a
    /// matter of the whole hub.
    async fn read_all(
        &self,
        devices: &[DeviceId],
        told: &AtomicBool,
    ) -> Result<Vec<Twin>, Vec<(Option<DeviceId>, Problem)>> {
        let gap = Duration::from_secs(1) / self.profile.reads_per_second().max(1);
        let mut turns = tokio::time::interval(gap);
        // Turns that were missed while the hub was slow are not made up for.
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let turns = tokio::sync::Mutex::new(turns);
        let reads = devices.iter().enumerate().map(|(n, device)| {
            let turns = &turns;
            async move {
                turns.lock().await.tick().await;
                (n, device, self.read(device, told).await)
            }
        });
        let mut results = stream::iter(reads).buffer_unordered(AT_ONCE);
        let (mut twins, mut problems) = (Vec::new(), Vec::new());
        while let Some((n, device, read)) = results.next().await {
            match read {
                Ok(twin) => twins.push((n, twin)),
                Err(error) if error.is_of_the_hub() && devices.len() > 1 => {
                    problems.push((None, error.problem("the devices cannot be read")));
                    break;
                }
                Err(error) => {
                    let problem = error.problem(format!("{device} cannot be read"));
                    problems.push((Some(device.clone()), problem));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        twins.sort_by_key(|(n, _)| *n);
        Ok(twins.into_iter().map(|(_, twin)| twin).collect())
    }

    /// Reads a twin, again a few times when the hub is only away for a moment; says
    /// what is waited for, once.
    async fn read(&self, device: &DeviceId, told: &AtomicBool) -> Result<Twin, HubError> {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(8));
        let mut tries = 1;
        loop {
            let read = self.client.twin(device).await;
            self.count(read.as_ref());
            match read {
                Err(error) if error.is_passing() && tries < TRIES => {
                    let wait = backoff.next_wait(rand::random());
                    let wait = wait.max(error.wait().unwrap_or_default());
                    if !told.swap(true, Ordering::Relaxed) {
                        say_wait(&error, wait);
                    }
                    sleep(wait).await;
                    tries += 1;
                }
                read => return read,
            }
        }
    }

    /// What a read has cost of the hub's day.
    fn count(&self, read: Result<&Twin, &HubError>) {
        let bytes = match read {
            Ok(twin) => twin_bytes(twin),
            Err(error) if error.is_billed() => 1,
            Err(_) => return,
        };
        let messages = self.quota().spend(bytes, Timestamp::now());
        self.spent.fetch_add(messages, Ordering::Relaxed);
    }
}

fn say_wait(error: &HubError, wait: Duration) {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::ZERO);
    let wait = match wait.as_secs() {
        0 => "a moment".to_owned(),
        _ => spoken(wait),
    };
    out::note(&format!(
        "{error}; trying again in {wait}, nothing was sent to any device yet"
    ));
}

/// Nothing is begun: why, for each device or for all.
fn refused(
    devices: &[DeviceId],
    problems: &[(Option<DeviceId>, Problem)],
    json: bool,
) -> Result<Failure, Failure> {
    if json {
        for (device, problem) in problems {
            out::refused(device.as_ref(), problem)?;
        }
    }
    let code = Code::worst(problems.iter().map(|(_, p)| Code::of_problem(p)));
    let mut texts: Vec<String> = problems.iter().map(|(_, p)| p.to_string()).collect();
    texts.sort();
    texts.dedup();
    if devices.len() > 1 {
        texts.push("No device was invoked.".to_owned());
    }
    Ok(Failure::new(code, texts.join("\n")))
}

/// Each of them once, in their order.
pub(super) fn distinct(devices: &[DeviceId]) -> Vec<DeviceId> {
    let mut seen = std::collections::HashSet::new();
    devices
        .iter()
        .filter(|d| seen.insert(*d))
        .cloned()
        .collect()
}
