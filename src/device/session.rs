//! One connection's conversation with the hub.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::client::{Device, Within};
use super::dial::{Opened, Trouble, Wire};
use super::notice::{Notice, describe};
use super::topic::{self, Topic};
use crate::mqtt::{Incoming, LinkError, Publish, Qos};

/// How long the hub may take to answer a twin request.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a report waits that the hub was too busy for.
const BUSY: Duration = Duration::from_secs(2);
/// How long what must still be said may hold up a restart.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The device was told to stop.
    Shutdown,
    /// The token runs out soon.
    Renew,
    /// The rules restart the device.
    Reboot(Duration),
    /// The rules let the device vanish.
    Vanished,
    /// It was not made, or broke.
    Trouble(Trouble),
}

/// ```text
///  subscribed, twin asked for ─► open: one report on its way at a time
/// ```
pub(super) struct Session {
    wire: Wire,
    renew_at: Option<Instant>,
    rid: u32,
    waits_for: Option<Waiting>,
    /// No report before: the hub was too busy.
    quiet_until: Option<Instant>,
    reboot_by: Option<Instant>,
}

/// A twin request on its way.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    rid: u32,
    what: Request,
    until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Twin,
    Report,
}

enum Happening {
    Shutdown,
    Incoming(Result<Incoming, LinkError>),
    Within(Within),
    Due,
}

async fn reached(due: Option<Instant>) {
    match due {
        None => std::future::pending().await,
        Some(due) => sleep_until(due).await,
    }
}

impl Session {
    /// Subscribes and asks for the twin.
    pub(super) fn begin(opened: Opened) -> Result<Self, Trouble> {
        let mut wire = opened.wire;
        wire.subscribe(&topic::FILTERS.map(|filter| (filter, Qos::AtMostOnce)))?;
        let mut session = Self {
            wire,
            renew_at: opened.renew_at,
            rid: 0,
            waits_for: None,
            quiet_until: None,
            reboot_by: None,
        };
        session.request(Request::Twin, topic::get_twin, b"")?;
        Ok(session)
    }

    /// Talks until the connection ends, and closes it as its end asks.
    pub(super) async fn run(mut self, device: &mut Device, shutdown: &CancellationToken) -> End {
        let end = match self.talk(device, shutdown).await {
            Ok(end) => end,
            Err(trouble) => End::Trouble(trouble),
        };
        if matches!(end, End::Shutdown | End::Renew) && self.wire.disconnect().is_ok() {
            // A hub that does not read does not hold up the end.
            let _ = timeout(GOODBYE, self.wire.close()).await;
        }
        end
    }

    async fn talk(
        &mut self,
        device: &mut Device,
        shutdown: &CancellationToken,
    ) -> Result<End, Trouble> {
        loop {
            if device.vanished {
                return Ok(End::Vanished);
            }
            self.report(device)?;
            if let Some(gone) = self.restarts(device) {
                return Ok(End::Reboot(gone));
            }
            let due = self.due();
            // Shutdown first; then the hub, whose calls must not wait for us.
            let happening = tokio::select! {
                biased;
                () = shutdown.cancelled() => Happening::Shutdown,
                incoming = self.wire.next() => Happening::Incoming(incoming),
                within = device.within() => Happening::Within(within),
                () = reached(due) => Happening::Due,
            };
            match happening {
                Happening::Shutdown => return Ok(End::Shutdown),
                Happening::Incoming(incoming) => self.heard(incoming?, device).await?,
                Happening::Within(within) => device.happened(within).await,
                Happening::Due => {
                    if let Some(end) = self.is_due()? {
                        return Ok(end);
                    }
                }
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let all = [
            self.renew_at,
            self.waits_for.map(|waiting| waiting.until),
            self.quiet_until,
            self.reboot_by,
        ];
        all.into_iter().flatten().min()
    }

    fn is_due(&mut self) -> Result<Option<End>, Trouble> {
        let now = Instant::now();
        if self.waits_for.is_some_and(|waiting| waiting.until <= now) {
            return Err(Trouble::Slow);
        }
        if self.quiet_until.is_some_and(|until| until <= now) {
            self.quiet_until = None;
        }
        let old = self.renew_at.is_some_and(|at| at <= now);
        Ok(old.then_some(End::Renew))
    }

    /// A restart waits until the hub has taken what was said before it.
    fn restarts(&mut self, device: &mut Device) -> Option<Duration> {
        let gone = device.reboot?;
        let by = *self
            .reboot_by
            .get_or_insert_with(|| Instant::now() + LAST_WORDS);
        if device.reports.is_empty() || by <= Instant::now() {
            device.reboot = None;
            return Some(gone);
        }
        None
    }

    /// Sends the oldest report if nothing else is on its way.
    fn report(&mut self, device: &mut Device) -> Result<(), Trouble> {
        if self.waits_for.is_some() || self.quiet_until.is_some() {
            return Ok(());
        }
        if let Some(patch) = device.reports.oldest() {
            let patch = patch.to_string();
            device.reports.in_flight = true;
            self.request(Request::Report, topic::report, patch.as_bytes())?;
        }
        Ok(())
    }

    fn request(
        &mut self,
        what: Request,
        topic: fn(u32) -> String,
        payload: &[u8],
    ) -> Result<(), Trouble> {
        self.rid = self.rid.wrapping_add(1);
        self.waits_for = Some(Waiting {
            rid: self.rid,
            what,
            until: Instant::now() + PATIENCE,
        });
        self.wire
            .publish(&topic(self.rid), payload, Qos::AtMostOnce)?;
        Ok(())
    }

    async fn heard(&mut self, incoming: Incoming, device: &mut Device) -> Result<(), Trouble> {
        match incoming {
            Incoming::Publish(publish) => self.message(&publish, device).await,
            Incoming::SubscribeAck { granted, .. } if granted.iter().any(Option::is_none) => {
                Err(Trouble::Odd("it refuses a subscription"))
            }
            _ => Ok(()),
        }
    }

    async fn message(&mut self, publish: &Publish, device: &mut Device) -> Result<(), Trouble> {
        match Topic::parse(&publish.topic) {
            Some(Topic::TwinAnswer { status, rid }) => {
                let waiting = self.waits_for.filter(|w| rid == w.rid.to_string());
                match waiting.map(|waiting| waiting.what) {
                    None => Ok(()), // the answer to a request of an earlier connection
                    Some(Request::Twin) => self.twin(status, &publish.payload, device).await,
                    Some(Request::Report) => {
                        self.reported(status, device);
                        Ok(())
                    }
                }
            }
            Some(Topic::Method { name, rid }) => {
                if let Some((status, payload)) = device.method(name, &publish.payload).await {
                    let topic = topic::method_answer(status, rid);
                    let payload = payload.to_string();
                    self.wire
                        .publish(&topic, payload.as_bytes(), Qos::AtMostOnce)?;
                }
                Ok(())
            }
            Some(Topic::Desired) => {
                device.observer.tell(Notice::DesiredChanged);
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn twin(&mut self, status: u16, twin: &[u8], device: &mut Device) -> Result<(), Trouble> {
        if status >= 300 {
            return Err(Trouble::Twin(status));
        }
        self.waits_for = None;
        // A twin that cannot be read has kept nothing.
        let twin: Value = serde_json::from_slice(twin).unwrap_or_default();
        device.start(&twin["reported"]).await;
        if device.reports.is_empty() {
            device.observer.ready();
        }
        Ok(())
    }

    /// The hub's word on a report: taken, too busy, or never.
    fn reported(&mut self, status: u16, device: &mut Device) {
        self.waits_for = None;
        if status == 429 || status >= 500 {
            device.reports.in_flight = false;
            self.quiet_until = Some(Instant::now() + BUSY);
            return;
        }
        let report = device.reports.taken();
        let report = report.as_ref().map(describe).unwrap_or_default();
        device.observer.tell(match status {
            ..300 => Notice::Reported(report),
            _ => Notice::ReportDropped { report, status },
        });
        device.observer.ready();
    }
}
