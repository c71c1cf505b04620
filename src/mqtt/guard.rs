//! The guard: what the protocol crate lets through and a hub must not take.

use bytes::Bytes;
use mqtt_protocol_core::mqtt::connection::role::RoleType;
use mqtt_protocol_core::mqtt::packet::{Packet, Qos as CoreQos, SubEntry, v3_1_1};
use mqtt_protocol_core::mqtt::result_code::SubackReturnCode;
use tokio::io::{AsyncRead, AsyncWrite};

use super::link::{Link, LinkError, Stage};
use super::packet::{Connect, Incoming, PacketId, Publish, Qos, ReturnCode};

impl<R: RoleType, S: AsyncRead + AsyncWrite + Unpin> Link<R, S> {
    /// Looks at a packet before the next byte is read: what the crate lets
    /// through and a hub must not take ends the link.
    pub(super) fn guard(&mut self, packet: Packet) -> Result<(), String> {
        match (self.stage(), &packet) {
            (Stage::Opening, Packet::V3_1_1Connect(_) | Packet::V3_1_1Connack(_))
            | (Stage::Open, _) => {}
            (stage, packet) => return Err(format!("{:?} while {stage:?}", packet.packet_type())),
        }
        match packet {
            Packet::V3_1_1Connect(connect) => {
                self.set_stage(Stage::Answering);
                self.inbox = Some(Incoming::Connect(Connect::from_core(&connect)));
            }
            Packet::V3_1_1Connack(ack) => self.connack(&ack),
            Packet::V3_1_1Publish(publish) => self.publication(&publish)?,
            Packet::V3_1_1Puback(ack) => {
                let id = ack.packet_id();
                self.inbox = Some(Incoming::PublishAck { id });
            }
            Packet::V3_1_1Subscribe(subscribe) => {
                let id = nonzero(subscribe.packet_id())?;
                let filters = subscribe.entries().iter().map(filter).collect();
                self.inbox = Some(Incoming::Subscribe { id, filters });
            }
            Packet::V3_1_1Suback(ack) => {
                let granted = ack.return_codes().into_iter().map(granted).collect();
                let id = ack.packet_id();
                self.inbox = Some(Incoming::SubscribeAck { id, granted });
            }
            Packet::V3_1_1Unsubscribe(unsubscribe) => {
                let id = nonzero(unsubscribe.packet_id())?;
                let filters = unsubscribe.entries().iter();
                let filters = filters.map(|f| f.as_str().to_owned()).collect();
                self.inbox = Some(Incoming::Unsubscribe { id, filters });
            }
            Packet::V3_1_1Unsuback(ack) => {
                let id = ack.packet_id();
                self.inbox = Some(Incoming::UnsubscribeAck { id });
            }
            Packet::V3_1_1Pingreq(_) | Packet::V3_1_1Pingresp(_) => {}
            Packet::V3_1_1Disconnect(_) => self.finish(LinkError::Disconnected),
            other => return Err(format!("{:?} is not taken", other.packet_type())),
        }
        Ok(())
    }

    fn connack(&mut self, ack: &v3_1_1::Connack) {
        let code = ReturnCode::from_core(ack.return_code());
        self.inbox = Some(Incoming::ConnectAck {
            session_present: ack.session_present(),
            code,
        });
        if code == ReturnCode::Accepted {
            self.set_stage(Stage::Open);
        } else {
            self.finish(LinkError::Closed);
        }
    }

    fn publication(&mut self, publish: &v3_1_1::Publish) -> Result<(), String> {
        let qos = match publish.qos() {
            CoreQos::ExactlyOnce => return Err("QoS 2 is not taken".to_owned()),
            qos => Qos::capped(qos),
        };
        if publish.topic_name().contains(['+', '#']) {
            return Err("a topic with a wildcard".to_owned());
        }
        if let Some(id) = publish.packet_id() {
            let id = nonzero(id)?;
            let ack = v3_1_1::Puback::builder().packet_id(id).build();
            let ack = ack.map_err(|error| format!("{error:?}"))?;
            self.send(ack.into()).map_err(|error| error.to_string())?;
        }
        self.inbox = Some(Incoming::Publish(Publish {
            topic: publish.topic_name().to_owned(),
            payload: Bytes::copy_from_slice(publish.payload().as_slice()),
            qos,
            retain: publish.retain(),
        }));
        Ok(())
    }
}

fn nonzero(id: PacketId) -> Result<PacketId, String> {
    if id == 0 {
        return Err("packet id 0".to_owned());
    }
    Ok(id)
}

fn filter(entry: &SubEntry) -> (String, Qos) {
    (
        entry.topic_filter().to_owned(),
        Qos::capped(entry.sub_opts().qos()),
    )
}

fn granted(code: SubackReturnCode) -> Option<Qos> {
    match code {
        SubackReturnCode::SuccessMaximumQos0 => Some(Qos::AtMostOnce),
        SubackReturnCode::SuccessMaximumQos1 | SubackReturnCode::SuccessMaximumQos2 => {
            Some(Qos::AtLeastOnce)
        }
        SubackReturnCode::Failure => None,
    }
}
