//! The devices' side: MQTT 3.1.1 over TLS.
//!
//! ```text
//!  TLS ─► CONNECT ─► token? ──no──► CONNACK 5, closed
//!            │          └─ too many, or not to be kept: CONNACK 3, closed
//!            │ yes: an older link of the device ends
//!            ▼
//!        CONNACK 0 ─► open: SUBSCRIBE, PUBLISH ◄─► methods, desired changes
//!            │
//!            └─► closed by: goodbye · silence · token's end · takeover ·
//!                disabled · deleted · a topic that is none of the hub's ·
//!                an event or answer that is too large · the day is spent
//! ```
//!
//! Every end but a goodbye publishes the will, if there is one, as an event.
//! A message that is refused by the end of its link gets no PUBACK.
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
use super::shell::{Denied, Shell};
use super::world::Output;
use super::world::event::Event;
use super::world::method;
use super::world::session::{LinkId, Topic};
use super::world::throttle::Operation;
use crate::domain::id::DeviceId;
use crate::domain::method::MethodAnswer;
use crate::mqtt::{
    Connect, Incoming, Limits, LinkError, Publish, Qos, ReturnCode, ServerLink, Will,
};
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
    let connect = match first {
        Ok(Ok(Incoming::Connect(connect))) => connect,
        // The link has answered another protocol level with CONNACK 1 by itself.
        Ok(Err(_)) => return goodbye(&mut link).await,
        _ => return,
    };
    if fault::has_connect(&shell, &connect, &mut link, &end).await {
        return;
    }
    let mut device = match Guest::admit(&shell, &connect).await {
        Ok(device) => device,
        Err(denied) => {
            tracing::debug!(client = ?connect.client_id, ?denied, "a device was refused");
            let code = match denied {
                Denied::NotAuthorized => ReturnCode::NotAuthorized,
                Denied::Unavailable => ReturnCode::Unavailable,
            };
            if link.refuse(code).is_ok() {
                goodbye(&mut link).await;
            }
            return;
        }
    };
    if link.accept(device.session_present).is_err() {
        return;
    }
    let over = device.attend(&mut link, &end).await;
    tracing::debug!(device = %device.id, reason = ?over, "a link is over");
    device.last_will(&over);
    // The world should know before the last bytes have left.
    drop(device);
    // What is refused is not acknowledged either.
    if !matches!(over, Over::Refused(_) | Over::ForeignTopic) {
        goodbye(&mut link).await;
    }
}

/// Lets the last bytes leave, within reason.
async fn goodbye<S: AsyncRead + AsyncWrite + Unpin>(link: &mut ServerLink<S>) {
    let _ = tokio::time::timeout(GOODBYE, link.close()).await;
}

/// A connected device; dropping it disconnects.
struct Guest<'a> {
    shell: &'a Shell,
    id: DeviceId,
    link: LinkId,
    session_present: bool,
    /// What is published when the link breaks.
    will: Option<Event>,
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
    /// A message that the hub does not take, and cannot answer otherwise.
    Refused(#[expect(dead_code, reason = "shown by Debug")] Code),
    /// A fault of the settings.
    Fault,
    /// The link itself.
    Link(LinkError),
}

impl From<LinkError> for Over {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl<'a> Guest<'a> {
    async fn admit(shell: &'a Shell, connect: &Connect) -> Result<Self, Denied> {
        let wait = shell.take(|world, now| world.admit(Operation::Connect, now));
        tokio::time::sleep(wait.map_err(|_| Denied::Unavailable)?).await;
        let user_name = connect.user_name.as_deref();
        let claim = user_name
            .and_then(|user_name| DeviceClaim::read(&shell.names, &connect.client_id, user_name))
            .ok_or(Denied::NotAuthorized)?;
        let id = claim.id.clone();
        let will = connect.will.as_ref().map(|will| will_of(will, &id));
        let will = will.transpose()?;
        let password = connect.password.as_deref().unwrap_or_default();
        let (welcome, outbox) = shell.connect(claim, password, connect.clean_session)?;
        Ok(Self {
            shell,
            id,
            link: welcome.link,
            session_present: welcome.session_present,
            will,
            outbox,
        })
    }

    /// Publishes the will, unless the device said goodbye or the hub shuts down.
    fn last_will(&mut self, over: &Over) {
        if matches!(over, Over::Shutdown | Over::Link(LinkError::Disconnected)) {
            return;
        }
        if let Some(will) = self.will.take() {
            let taken = self
                .shell
                .take(|world, now| world.take_event(&self.id, will, now));
            if let Err(refusal) = taken {
                tracing::debug!(device = %self.id, %refusal.message, "a will was not published");
            }
        }
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
                let topics: Vec<_> = filters
                    .iter()
                    .map(|(filter, _)| topic::filter(filter, &self.id))
                    .collect();
                let kept = !refused && self.listen(topics.iter().flatten().copied(), true);
                let granted = topics.iter().zip(&filters);
                let granted: Vec<_> = granted
                    .map(|(topic, (_, qos))| topic.filter(|_| kept).map(|_| *qos))
                    .collect();
                Ok(link.suback(id, &granted)?)
            }
            Incoming::Unsubscribe { id, filters } => {
                let topics = filters.iter().filter_map(|f| topic::filter(f, &self.id));
                self.listen(topics, false);
                Ok(link.unsuback(id)?)
            }
            Incoming::Publish(publish) => self.publication(link, &publish).await,
            // Nothing goes out at QoS 1, and the rest is a client's to get.
            _ => Ok(()),
        }
    }

    /// Changes what the device listens to; `false` when that is not kept.
    fn listen(&self, topics: impl Iterator<Item = Topic>, on: bool) -> bool {
        let changed = self.shell.write(|world, now| {
            for topic in topics {
                match on {
                    true => world.subscribe(self.link, topic, now),
                    false => world.unsubscribe(self.link, topic),
                }
            }
            Ok(())
        });
        changed.is_ok()
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
                    Ok(()) => self.twin(),
                    Err(refusal) => Err(refusal),
                };
                let twin = twin.map(|twin| (200, None, twin));
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
            Publication::Event(mut properties) => {
                if publish.retain {
                    properties.push(retained());
                }
                let event = Event {
                    properties,
                    bytes: publish.payload.len(),
                    will: false,
                };
                let taken = match self.admit_operation(Operation::Event).await {
                    Ok(()) => self
                        .shell
                        .take(|world, now| world.take_event(&self.id, event, now)),
                    Err(refusal) => Err(refusal),
                };
                taken.map_err(|refusal| Over::Refused(refusal.code))
            }
        }
    }

    fn twin(&self) -> Result<String, Refusal> {
        self.shell.write(|world, now| {
            world.day_allows(now)?;
            let twin = world.device_twin(&self.id)?.to_string();
            world.bill(twin.len(), now);
            Ok(twin)
        })
    }

    async fn admit_operation(&self, operation: Operation) -> Result<(), Refusal> {
        let wait = self.shell.take(|world, now| world.admit(operation, now))?;
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
        let version = self.shell.write(|world, now| {
            world.day_allows(now)?;
            world.report(&self.id, &patch, now)
        })?;
        self.shell.take(|world, now| world.bill(payload.len(), now));
        Ok(version)
    }

    fn method_answer(&self, status: i64, call: &str, payload: &[u8]) -> Result<(), Over> {
        if payload.len() > method::PAYLOAD {
            return Err(Over::Refused(Code::MessageTooLarge));
        }
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
            .take(|world, now| world.answer_method(&self.id, call, answer, now));
        if !known {
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

/// The property of a message that asked to be retained.
fn retained() -> (String, String) {
    ("mqtt-retain".to_owned(), "true".to_owned())
}

/// A will as the event that it becomes. One on a topic that is not the device's
/// own refuses the connection.
fn will_of(will: &Will, device: &DeviceId) -> Result<Event, Denied> {
    let Some(Publication::Event(mut properties)) = Publication::read(&will.topic, device) else {
        return Err(Denied::NotAuthorized);
    };
    if will.retain {
        properties.push(retained());
    }
    properties.push(("iothub-MessageType".to_owned(), "Will".to_owned()));
    Ok(Event {
        properties,
        bytes: will.payload.len(),
        will: true,
    })
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
