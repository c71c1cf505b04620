//! The devices' side: MQTT 3.1.1 over TLS.
//!
//! ```text
//!  TLS ─► CONNECT ─► token? ──no──► CONNACK 5, closed
//!            │ yes: an older link of the device ends
//!            ▼
//!        CONNACK 0 ─► open: SUBSCRIBE, PUBLISH ◄─► methods, desired changes
//!            │
//!            └─► closed by: goodbye · silence · token's end · takeover ·
//!                disabled · a topic that is none of the hub's
//! ```
//!
//! Source: "Communicate with an IoT hub using the MQTT protocol" in
//! `MicrosoftDocs/azure-docs` (`articles/iot/iot-mqtt-connect-to-iot-hub.md`).

mod fault;
mod topic;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::auth::DeviceClaim;
use super::faults::Route;
use super::listener::HANDSHAKE;
use super::refusal::{Code, Envelope, Refusal};
use super::shell::Shell;
use super::world::Output;
use super::world::session::{LinkId, Topic};
use super::world::throttle::Operation;
use crate::domain::id::DeviceId;
use crate::domain::method::MethodAnswer;
use crate::mqtt::{Connect, Incoming, Limits, LinkError, Publish, Qos, ReturnCode, ServerLink};
use topic::{Publication, Rid};

/// How long a last word may take to leave.
const GOODBYE: Duration = Duration::from_secs(2);

/// Serves one device on a finished TLS stream, until either side ends it.
pub(super) async fn serve<S>(stream: S, shell: Arc<Shell>, end: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut link = ServerLink::server(stream, Limits::default());
    let first = tokio::select! {
        () = end.cancelled() => return,
        first = tokio::time::timeout(HANDSHAKE, link.next()) => first,
    };
    let Ok(Ok(Incoming::Connect(connect))) = first else {
        return;
    };
    if fault::has_connect(&shell, &connect, &mut link, &end).await {
        return;
    }
    let Some(mut device) = Guest::admit(&shell, &connect).await else {
        tracing::debug!(client = ?connect.client_id, "a device was refused");
        if link.refuse(ReturnCode::NotAuthorized).is_ok() {
            let _ = tokio::time::timeout(GOODBYE, link.close()).await;
        }
        return;
    };
    if link.accept(device.session_present).is_err() {
        return;
    }
    let over = device.attend(&mut link, &end).await;
    tracing::debug!(device = %device.id, reason = ?over, "a link is over");
    // The world should know before the last bytes have left.
    drop(device);
    let _ = tokio::time::timeout(GOODBYE, link.close()).await;
}

/// A connected device; dropping it disconnects.
struct Guest<'a> {
    shell: &'a Shell,
    id: DeviceId,
    link: LinkId,
    session_present: bool,
    /// What the hub has for it; ends when the hub ends the link.
    outbox: mpsc::Receiver<Box<Output>>,
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.shell.disconnect(self.link);
    }
}

/// Why a link ends.
#[derive(Debug)]
enum Over {
    /// The hub ended it: takeover, token, disabled.
    ByHub,
    /// The emulator shuts down.
    Shutdown,
    /// A topic that is none of the hub's.
    ForeignTopic,
    /// A fault of the settings.
    Fault,
    /// The link itself.
    #[expect(dead_code, reason = "shown by Debug")]
    Link(LinkError),
}

impl From<LinkError> for Over {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl<'a> Guest<'a> {
    async fn admit(shell: &'a Shell, connect: &Connect) -> Option<Self> {
        let wait = shell.write(|world, now| world.admit(Operation::Connect, now));
        tokio::time::sleep(wait.ok()?).await;
        let user_name = connect.user_name.as_deref()?;
        let claim = DeviceClaim::read(&shell.names, &connect.client_id, user_name)?;
        let id = claim.id.clone();
        let password = connect.password.as_deref()?;
        let (welcome, outbox) = shell.connect(claim, password, connect.clean_session)?;
        Some(Self {
            shell,
            id,
            link: welcome.link,
            session_present: welcome.session_present,
            outbox,
        })
    }

    async fn attend<S>(&mut self, link: &mut ServerLink<S>, end: &CancellationToken) -> Over
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            // What the hub has goes first: a change should not wait behind a
            // device that talks without pause.
            let done = tokio::select! {
                biased;
                () = end.cancelled() => return Over::Shutdown,
                output = self.outbox.recv() => match output {
                    Some(output) => deliver(link, *output).map_err(Over::from),
                    None => return Over::ByHub,
                },
                incoming = link.next() => match incoming {
                    Ok(incoming) => self.take(link, incoming).await,
                    Err(error) => return error.into(),
                },
            };
            if let Err(over) = done {
                return over;
            }
        }
    }

    async fn take<S>(&self, link: &mut ServerLink<S>, incoming: Incoming) -> Result<(), Over>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match incoming {
            Incoming::Subscribe { id, filters } => {
                let refused = match self.strike(Route::Subscribe) {
                    None => Some(false),
                    Some(strike) => self.struck_subscribe(strike).await?,
                };
                let Some(refused) = refused else {
                    return Ok(());
                };
                let granted: Vec<_> = filters
                    .iter()
                    .map(|(filter, qos)| {
                        if refused {
                            return None;
                        }
                        let topic = topic::filter(filter, &self.id)?;
                        self.listen(topic, true);
                        Some(*qos)
                    })
                    .collect();
                Ok(link.suback(id, &granted)?)
            }
            Incoming::Unsubscribe { id, filters } => {
                let topics = filters.iter().filter_map(|f| topic::filter(f, &self.id));
                for topic in topics {
                    self.listen(topic, false);
                }
                Ok(link.unsuback(id)?)
            }
            Incoming::Publish(publish) => self.publication(link, &publish).await,
            // Nothing goes out at QoS 1, and the rest is a client's to get.
            _ => Ok(()),
        }
    }

    fn listen(&self, topic: Topic, on: bool) {
        let changed = self.shell.write(|world, now| {
            match on {
                true => world.subscribe(self.link, topic, now),
                false => world.unsubscribe(self.link, topic),
            }
            Ok(())
        });
        if let Err(refusal) = changed {
            tracing::warn!(device = %self.id, %refusal.message, "a subscription was not kept");
        }
    }

    async fn publication<S>(&self, link: &mut ServerLink<S>, publish: &Publish) -> Result<(), Over>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let what = Publication::read(&publish.topic, &self.id).ok_or(Over::ForeignTopic)?;
        match what.route().and_then(|route| self.strike(route)) {
            None => self.published(link, what, publish).await,
            Some(strike) => self.struck(strike, link, what, publish).await,
        }
    }

    async fn published<S>(
        &self,
        link: &mut ServerLink<S>,
        what: Publication<'_>,
        publish: &Publish,
    ) -> Result<(), Over>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match what {
            Publication::TwinGet(rid) => {
                let twin = match self.admit_operation(Operation::TwinRead).await {
                    Ok(()) => self.shell.read(|world, _| world.device_twin(&self.id)),
                    Err(refusal) => Err(refusal),
                };
                let twin = twin.map(|twin| (200, None, twin.to_string()));
                self.answer(link, rid, twin)
            }
            Publication::Report(rid) => {
                let version = match self.admit_operation(Operation::TwinUpdate).await {
                    Ok(()) => self.report(&publish.payload),
                    Err(refusal) => Err(refusal),
                };
                let version = version.map(|version| (204, Some(version), String::new()));
                self.answer(link, rid, version)
            }
            Publication::MethodAnswer { status, call } => {
                self.method_answer(status, call, &publish.payload)
            }
            Publication::Event => {
                self.shell
                    .write(|world, now| {
                        world.heard(self.link, now);
                        Ok(())
                    })
                    .ok();
                Ok(())
            }
        }
    }

    async fn admit_operation(&self, operation: Operation) -> Result<(), Refusal> {
        let wait = self.shell.write(|world, now| world.admit(operation, now))?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    fn report(&self, payload: &[u8]) -> Result<u64, Refusal> {
        let patch = match serde_json::from_slice(payload) {
            Ok(Value::Object(patch)) => patch,
            _ => {
                return Err(Refusal::new(
                    Code::GenericBadRequest,
                    "Reported properties are not a JSON object.",
                ));
            }
        };
        self.shell
            .write(|world, now| world.report(&self.id, &patch, now))
    }

    fn method_answer(&self, status: i64, call: &str, payload: &[u8]) -> Result<(), Over> {
        let payload = match payload {
            [] => Value::Null,
            // What is no JSON is passed on as text rather than lost.
            bytes => serde_json::from_slice(bytes)
                .unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned().into()),
        };
        let Ok(call) = call.parse() else {
            return Ok(());
        };
        let answer = MethodAnswer { status, payload };
        let known = self
            .shell
            .write(|world, _| Ok(world.answer_method(&self.id, call, answer)));
        if matches!(known, Ok(false)) {
            tracing::debug!(device = %self.id, %call, "an answer that nobody waits for");
        }
        Ok(())
    }

    /// Answers a twin request, if the device listens to answers.
    fn answer<S>(
        &self,
        link: &mut ServerLink<S>,
        rid: Rid<'_>,
        result: Result<(u16, Option<u64>, String), Refusal>,
    ) -> Result<(), Over>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let topic = Topic::TwinAnswers;
        if !self.shell.read(|world, _| world.listens(self.link, topic)) {
            return Ok(());
        }
        let (status, version, body) = result.unwrap_or_else(|refusal| {
            let body = refusal.body(Envelope::Bare, uuid::Uuid::new_v4(), self.shell.now());
            (refusal.code.http(), None, body.to_string())
        });
        let topic = topic::twin_answer(status, rid, version);
        link.publish(&topic, body.as_bytes(), Qos::AtMostOnce)?;
        Ok(())
    }
}

/// Sends what the hub has for the device, at QoS 0: a device would otherwise
/// have to acknowledge before it answers.
fn deliver<S>(link: &mut ServerLink<S>, output: Output) -> Result<(), LinkError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (topic, body) = match output {
        Output::Method {
            call,
            name,
            payload,
            ..
        } => (topic::method(&name, call), payload),
        Output::Desired { version, body, .. } => (topic::desired(version), body),
        Output::Close { .. } | Output::Answered { .. } => return Ok(()),
    };
    link.publish(&topic, body.to_string().as_bytes(), Qos::AtMostOnce)?;
    Ok(())
}
