//! The device's end of a link.

use mqtt_protocol_core::mqtt::connection::role;
use mqtt_protocol_core::mqtt::packet::{SubEntry, SubOpts, v3_1_1};
use tokio::io::{AsyncRead, AsyncWrite};

use super::link::{Limits, Link, LinkError, Stage, unsendable};
use super::packet::{Connect, PacketId, Qos};

/// The end that connects: a device.
pub type ClientLink<S> = Link<role::Client, S>;

impl<S: AsyncRead + AsyncWrite + Unpin> ClientLink<S> {
    /// A link on a stream that was just opened. There is no timer before
    /// CONNACK: put a deadline around the wait for it.
    pub fn client(stream: S, limits: Limits) -> Self {
        Self::over(stream, limits)
    }

    /// Queues a CONNECT. The link pings by itself as `keep_alive` asks.
    ///
    /// # Errors
    /// [`LinkError::Unsendable`] when a field is too long for MQTT, or on a
    /// second call.
    pub fn connect(&mut self, connect: &Connect) -> Result<(), LinkError> {
        if self.stage() != Stage::Opening {
            return Err(LinkError::Unsendable("already connected".to_owned()));
        }
        let packet = connect.core().map_err(unsendable)?;
        self.send(packet.into())
    }

    /// Queues a SUBSCRIBE for `filters`, at least one.
    ///
    /// # Errors
    /// [`LinkError::Unsendable`] when `filters` is empty, one is no filter, or
    /// the link is not open.
    pub fn subscribe(&mut self, filters: &[(&str, Qos)]) -> Result<PacketId, LinkError> {
        self.must_be_open()?;
        let mut entries = Vec::with_capacity(filters.len());
        for (filter, qos) in filters {
            let options = SubOpts::new().set_qos(qos.core());
            entries.push(SubEntry::new(*filter, options).map_err(unsendable)?);
        }
        let id = self.core_mut().acquire_packet_id().map_err(unsendable)?;
        let packet = v3_1_1::Subscribe::builder()
            .packet_id(id)
            .entries(entries)
            .build();
        self.send(packet.map_err(unsendable)?.into())?;
        Ok(id)
    }

    /// Queues an UNSUBSCRIBE for `filters`, at least one.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub fn unsubscribe(&mut self, filters: &[&str]) -> Result<PacketId, LinkError> {
        self.must_be_open()?;
        let id = self.core_mut().acquire_packet_id().map_err(unsendable)?;
        let packet = v3_1_1::Unsubscribe::builder()
            .packet_id(id)
            .entries(filters.iter().copied())
            .map_err(unsendable)?
            .build();
        self.send(packet.map_err(unsendable)?.into())?;
        Ok(id)
    }

    /// Queues a DISCONNECT: no will is published. Then call `close()`.
    ///
    /// # Errors
    /// [`LinkError::Unsendable`] when the link is not open.
    pub fn disconnect(&mut self) -> Result<(), LinkError> {
        self.must_be_open()?;
        let packet = v3_1_1::Disconnect::builder().build().map_err(unsendable)?;
        self.send(packet.into())
    }
}
