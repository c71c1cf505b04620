//! The hub's end of a link.

use mqtt_protocol_core::mqtt::connection::role;
use mqtt_protocol_core::mqtt::packet::v3_1_1;
use mqtt_protocol_core::mqtt::result_code::SubackReturnCode;
use tokio::io::{AsyncRead, AsyncWrite};

use super::link::{Limits, Link, LinkError, Stage, unsendable};
use super::packet::{PacketId, Qos, ReturnCode};

/// The end that accepts: an IoT hub.
pub type ServerLink<S> = Link<role::Server, S>;

impl<S: AsyncRead + AsyncWrite + Unpin> ServerLink<S> {
    /// A link on a stream that was just accepted. There is no timer before
    /// CONNECT: put a deadline around the first `next()`.
    pub fn server(stream: S, limits: Limits) -> Self {
        Self::over(stream, limits)
    }

    /// Queues a CONNACK with code 0; the link is open.
    ///
    /// # Errors
    /// [`LinkError::Unsendable`] when no CONNECT waits for an answer.
    pub fn accept(&mut self, session_present: bool) -> Result<(), LinkError> {
        self.answer(session_present, ReturnCode::Accepted)?;
        self.set_stage(Stage::Open);
        self.listen_on();
        Ok(())
    }

    /// Queues a CONNACK that refuses; the next `next()` sends it and gives
    /// [`LinkError::Refused`]. `close()` then makes sure that it arrives.
    ///
    /// # Errors
    /// [`LinkError::Unsendable`] when no CONNECT waits for an answer.
    pub fn refuse(&mut self, code: ReturnCode) -> Result<(), LinkError> {
        self.answer(false, code)?;
        self.finish(LinkError::Refused);
        Ok(())
    }

    /// Queues a SUBACK: for each filter the QoS granted, `None` for a refusal
    /// (return code 0x80).
    ///
    /// # Errors
    /// [`LinkError::Unsendable`] when `granted` is empty or the link not open.
    pub fn suback(&mut self, id: PacketId, granted: &[Option<Qos>]) -> Result<(), LinkError> {
        self.must_be_open()?;
        let codes = granted.iter().map(|granted| match granted {
            Some(Qos::AtMostOnce) => SubackReturnCode::SuccessMaximumQos0,
            Some(Qos::AtLeastOnce) => SubackReturnCode::SuccessMaximumQos1,
            None => SubackReturnCode::Failure,
        });
        let packet = v3_1_1::Suback::builder()
            .packet_id(id)
            .return_codes(codes.collect())
            .build();
        self.send(packet.map_err(unsendable)?.into())
    }

    /// Queues an UNSUBACK.
    ///
    /// # Errors
    /// [`LinkError::Unsendable`] when the link is not open.
    pub fn unsuback(&mut self, id: PacketId) -> Result<(), LinkError> {
        self.must_be_open()?;
        let packet = v3_1_1::Unsuback::builder().packet_id(id).build();
        self.send(packet.map_err(unsendable)?.into())
    }

    fn answer(&mut self, session_present: bool, code: ReturnCode) -> Result<(), LinkError> {
        if self.stage() != Stage::Answering {
            return Err(LinkError::Unsendable("no CONNECT waits".to_owned()));
        }
        let packet = v3_1_1::Connack::builder()
            .session_present(session_present)
            .return_code(code.core())
            .build();
        self.send(packet.map_err(unsendable)?.into())
    }
}
