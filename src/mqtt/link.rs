//! The link: stream, timers and guard around the protocol.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::role::RoleType;
use mqtt_protocol_core::mqtt::connection::{Connection, ConnectionOptions, Event, TimerKind};
use mqtt_protocol_core::mqtt::packet::{Packet, Qos as CoreQos, v3_1_1};
use mqtt_protocol_core::mqtt::prelude::*;
use mqtt_protocol_core::mqtt::result_code::MqttError;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::packet::{Incoming, PacketId, Qos};

/// How much is read at once; on the stack, so that an idle link holds nothing.
const READ: usize = 4 * 1024;
/// A drained buffer larger than this is given back.
const KEEP: usize = 4 * 1024;
/// With more than this waiting to be written nothing more is read.
const PAUSE: usize = 64 * 1024;

/// How much a link bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest packet taken, in bytes; a larger one ends the link before
    /// its body is read. IoT Hub's largest message is 256 KB.
    pub max_packet: u32,
    /// The most that may wait to be written, in bytes; more ends the link.
    pub max_output: usize,
    /// How long a client waits for the answer to its ping.
    pub ping_answer: Duration,
    /// The longest that a server bears without a packet, whatever keep-alive
    /// the client asked for.
    pub max_silence: Duration,
}

impl Default for Limits {
    /// 300 KB a packet, 1 MB waiting, 20 s for a ping's answer, 29 min 27 s of
    /// silence (1.5 times the 1,177 s that IoT Hub lets a client ask for).
    fn default() -> Self {
        Self {
            max_packet: 300 * 1024,
            max_output: 1024 * 1024,
            ping_answer: Duration::from_secs(20),
            max_silence: Duration::from_secs(29 * 60 + 27),
        }
    }
}

/// Why a link ended, or why something cannot be sent on it.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// End of stream without a DISCONNECT.
    #[error("the other end closed the connection")]
    Closed,
    /// A client's DISCONNECT: on purpose, so no will is published.
    #[error("the other end said goodbye")]
    Disconnected,
    /// This end refused the CONNECT.
    #[error("the connection was refused")]
    Refused,
    /// Nothing came within 1.5 times the keep-alive (server), or no answer to
    /// a ping (client).
    #[error("nothing was heard from the other end within the keep-alive time")]
    KeepAlive,
    /// The other end broke the protocol, or used what a hub does not take.
    #[error("the other end broke the MQTT protocol: {0}")]
    Protocol(String),
    /// The other end does not read what is sent to it.
    #[error("the other end does not read: {0} bytes wait for it")]
    Overflow(usize),
    /// This end asked for something that cannot be sent; the link goes on.
    #[error("this cannot be sent: {0}")]
    Unsendable(String),
    /// The stream broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

/// An MQTT 3.1.1 connection over the stream `S`, of the role `R`; see
/// [`ServerLink`](super::ServerLink) and [`ClientLink`](super::ClientLink).
///
/// Memory of an idle link: under 2 KB beside the stream's own.
pub struct Link<R: RoleType, S> {
    core: Connection<R>,
    stream: S,
    limits: Limits,
    /// Bytes read but not yet given to `core`; empty while idle.
    input: Bytes,
    output: BytesMut,
    unflushed: bool,
    pub(super) inbox: Option<Incoming>,
    stage: Stage,
    end: Option<LinkError>,
    /// Those of the protocol, and the silence's.
    timers: [Option<Instant>; 4],
    alarm: Option<Pin<Box<Sleep>>>,
    /// How often the protocol was given bytes.
    #[cfg(test)]
    pub(super) turns: usize,
}

/// ```text
///  Opening ─► Answering (server only, between CONNECT and CONNACK) ─► Open ─► Over
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Opening,
    Answering,
    Open,
    Over,
}

impl<R: RoleType, S: AsyncRead + AsyncWrite + Unpin> Link<R, S> {
    pub(super) fn over(stream: S, limits: Limits) -> Self {
        let options = ConnectionOptions::new().maximum_packet_size_recv(limits.max_packet);
        let mut core = Connection::with_options(Version::V3_1_1, options);
        core.set_auto_pub_response(false);
        core.set_auto_ping_response(true);
        core.set_pingresp_recv_timeout(u64::try_from(limits.ping_answer.as_millis()).unwrap_or(0));
        Self {
            core,
            stream,
            limits,
            input: Bytes::new(),
            output: BytesMut::new(),
            unflushed: false,
            inbox: None,
            stage: Stage::Opening,
            end: None,
            timers: [None; 4],
            alarm: None,
            #[cfg(test)]
            turns: 0,
        }
    }

    /// Writes what is queued, answers pings, and waits for the next packet.
    ///
    /// Cancel-safe: nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// Any [`LinkError`] ends the link; later calls give [`LinkError::Closed`].
    pub async fn next(&mut self) -> Result<Incoming, LinkError> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Writes what is queued. Cancel-safe.
    ///
    /// # Errors
    /// [`LinkError::Io`] when the stream breaks.
    pub async fn flush(&mut self) -> Result<(), LinkError> {
        std::future::poll_fn(|cx| self.poll_output(cx)).await?;
        Ok(())
    }

    /// Writes what is queued and closes the stream in order. A peer that does
    /// not read holds this up: put a deadline around it.
    pub async fn close(&mut self) {
        if self.flush().await.is_ok() {
            // Whether the other end still wants to know is its own matter.
            let _ = self.stream.shutdown().await;
        }
        self.stage = Stage::Over;
    }

    /// The stream below, for example to ask for the peer's address.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Queues a message. QoS 1 gives the id that [`Incoming::PublishAck`] will
    /// name. A hub delivers best at QoS 0: a QoS 1 message costs the device a
    /// PUBACK before its answer.
    ///
    /// # Errors
    /// [`LinkError::Unsendable`] before CONNACK or when `topic` is no topic;
    /// [`LinkError::Overflow`] when the other end does not read.
    pub fn publish(
        &mut self,
        topic: &str,
        payload: &[u8],
        qos: Qos,
    ) -> Result<Option<PacketId>, LinkError> {
        self.must_be_open()?;
        let builder = v3_1_1::Publish::builder()
            .topic_name(topic)
            .map_err(unsendable)?
            .payload(payload);
        let id = match qos {
            Qos::AtMostOnce => None,
            Qos::AtLeastOnce => Some(self.core.acquire_packet_id().map_err(unsendable)?),
        };
        let builder = match id {
            None => builder.qos(CoreQos::AtMostOnce),
            Some(id) => builder.qos(CoreQos::AtLeastOnce).packet_id(id),
        };
        let packet = builder.build().map_err(unsendable)?;
        self.send(packet.into())?;
        Ok(id)
    }

    pub(super) fn must_be_open(&self) -> Result<(), LinkError> {
        match self.stage {
            Stage::Open => Ok(()),
            stage => Err(LinkError::Unsendable(format!("the link is {stage:?}"))),
        }
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    pub(super) fn set_stage(&mut self, stage: Stage) {
        self.stage = stage;
    }

    pub(super) fn core_mut(&mut self) -> &mut Connection<R> {
        &mut self.core
    }

    pub(super) fn send(&mut self, packet: Packet) -> Result<(), LinkError> {
        for event in self.core.send(packet) {
            if let Event::NotifyError(error) = event {
                return Err(unsendable(error));
            }
            self.apply(event);
        }
        if self.output.len() > self.limits.max_output {
            let waiting = self.output.len();
            self.finish(LinkError::Overflow(waiting));
            return Err(LinkError::Overflow(waiting));
        }
        Ok(())
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, LinkError>> {
        loop {
            if let Some(incoming) = self.inbox.take() {
                return Poll::Ready(Ok(incoming));
            }
            if let Poll::Ready(Err(error)) = self.poll_output(cx) {
                self.finish(LinkError::Io(error));
            }
            if let Some(end) = self.end.take() {
                return Poll::Ready(Err(end));
            }
            if self.stage == Stage::Over {
                return Poll::Ready(Err(LinkError::Closed));
            }
            if self.poll_alarm(cx).is_ready() {
                continue;
            }
            if self.stage == Stage::Answering || self.output.len() > PAUSE {
                return Poll::Pending;
            }
            if !self.input.is_empty() {
                self.take_one();
                continue;
            }
            match ready!(self.poll_input(cx)) {
                Ok(0) => self.finish(LinkError::Closed),
                Ok(_) => {}
                Err(error) => self.finish(LinkError::Io(error)),
            }
        }
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut buffer = [0; READ];
        let mut buffer = ReadBuf::new(&mut buffer);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        self.input = Bytes::copy_from_slice(buffer.filled());
        Poll::Ready(Ok(self.input.len()))
    }

    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(written);
            self.unflushed = true;
        }
        if self.output.capacity() > KEEP {
            self.output = BytesMut::new();
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when a timer fired and was dealt with. The alarm is moved only
    /// when it rings too early, not with each packet that moves a timer.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let next = self.timers.iter().enumerate();
            let next = next.filter_map(|(n, due)| due.map(|due| (due, n)));
            let Some((due, n)) = next.min() else {
                self.alarm = None;
                return Poll::Pending;
            };
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if alarm.deadline() > due {
                alarm.as_mut().reset(due);
            }
            ready!(alarm.as_mut().poll(cx));
            if alarm.deadline() < due {
                alarm.as_mut().reset(due);
                continue;
            }
            self.alarm = None;
            self.timers[n] = None;
            if n == SILENCE {
                self.finish(LinkError::KeepAlive);
                return Poll::Ready(());
            }
            for event in self.core.notify_timer_fired(KINDS[n]) {
                match event {
                    Event::RequestClose => self.finish(LinkError::KeepAlive),
                    event => self.apply(event),
                }
            }
            return Poll::Ready(());
        }
    }

    /// Gives the protocol one packet at most and looks at what comes of it.
    fn take_one(&mut self) {
        #[cfg(test)]
        {
            self.turns += 1;
        }
        let mut cursor = Cursor::new(&self.input[..]);
        let events = self.core.recv(&mut cursor);
        let taken = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
        if taken == 0 && events.is_empty() {
            let stuck = "the protocol takes no more bytes".to_owned();
            return self.finish(LinkError::Protocol(stuck));
        }
        self.input.advance(taken.min(self.input.len()));
        if self.input.is_empty() {
            self.input = Bytes::new(); // gives the memory back
        }
        for event in events {
            self.apply(event);
        }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::NotifyPacketReceived(packet) => {
                if self.timers[SILENCE].is_some() {
                    self.listen_on();
                }
                if let Err(broken) = self.guard(packet) {
                    self.finish(LinkError::Protocol(broken));
                }
            }
            Event::RequestSendPacket { packet, .. } => {
                self.output
                    .extend_from_slice(&packet.to_continuous_buffer());
            }
            Event::RequestTimerReset { kind, duration_ms } => self.set_timer(kind, duration_ms),
            Event::RequestTimerCancel(kind) => self.timers[slot(kind)] = None,
            Event::NotifyError(error) => {
                self.finish(LinkError::Protocol(format!("{error:?}")));
            }
            Event::RequestClose => self.finish(LinkError::Closed),
            Event::NotifyPacketIdReleased(_) => {}
        }
    }

    /// The wait for a ping's answer counts from the first ping that has none:
    /// the crate begins it anew with each, and so would never end it when the
    /// keep-alive is the shorter of the two.
    fn set_timer(&mut self, kind: TimerKind, millis: u64) {
        let timer = &mut self.timers[slot(kind)];
        if kind != TimerKind::PingrespRecv || timer.is_none() {
            *timer = Instant::now().checked_add(Duration::from_millis(millis));
        }
    }

    /// Bears the longest silence from now on.
    pub(super) fn listen_on(&mut self) {
        self.timers[SILENCE] = Instant::now().checked_add(self.limits.max_silence);
    }

    /// Ends the link. The first reason stands, but a plain end gives way to
    /// one that says more.
    pub(super) fn finish(&mut self, reason: LinkError) {
        if matches!(self.end, None | Some(LinkError::Closed)) {
            self.end = Some(reason);
        }
        self.stage = Stage::Over;
        self.input = Bytes::new();
        self.timers = [None; 4];
    }
}

impl<R: RoleType, S> std::fmt::Debug for Link<R, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("stage", &self.stage)
            .field("waiting", &self.output.len())
            .finish_non_exhaustive()
    }
}

const KINDS: [TimerKind; 3] = [
    TimerKind::PingreqSend,
    TimerKind::PingreqRecv,
    TimerKind::PingrespRecv,
];

/// The slot of the silence, after those of [`KINDS`].
const SILENCE: usize = KINDS.len();

fn slot(kind: TimerKind) -> usize {
    match kind {
        TimerKind::PingreqSend => 0,
        TimerKind::PingreqRecv => 1,
        TimerKind::PingrespRecv => 2,
    }
}

pub(super) fn unsendable(error: MqttError) -> LinkError {
    LinkError::Unsendable(format!("{error:?}"))
}
