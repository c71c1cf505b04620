//! What goes over a link, as plain values.

use std::fmt;

use bytes::Bytes;
use mqtt_protocol_core::mqtt;
use mqtt_protocol_core::mqtt::packet::Qos as CoreQos;
use mqtt_protocol_core::mqtt::packet::v3_1_1::Connect as CoreConnect;
use mqtt_protocol_core::mqtt::result_code::ConnectReturnCode;

/// Names a SUBSCRIBE, UNSUBSCRIBE or QoS 1 PUBLISH until it is acknowledged.
/// Never 0.
pub type PacketId = u16;

/// How surely a message is delivered. IoT Hub knows no QoS 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qos {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce,
}

impl Qos {
    /// The crate's QoS; a request for 2 counts as one for 1, which is the most
    /// that IoT Hub grants.
    pub(super) fn capped(core: CoreQos) -> Self {
        match core {
            CoreQos::AtMostOnce => Self::AtMostOnce,
            CoreQos::AtLeastOnce | CoreQos::ExactlyOnce => Self::AtLeastOnce,
        }
    }

    pub(super) fn core(self) -> CoreQos {
        match self {
            Self::AtMostOnce => CoreQos::AtMostOnce,
            Self::AtLeastOnce => CoreQos::AtLeastOnce,
        }
    }
}

/// The answer to a CONNECT (MQTT 3.1.1, table 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReturnCode {
    /// 0: welcome.
    Accepted,
    /// 1: another protocol level than 4.
    BadProtocolLevel,
    /// 2: the client id is not allowed.
    BadClientId,
    /// 3: the hub is overloaded or down.
    Unavailable,
    /// 4: user name or password are malformed.
    BadCredentials,
    /// 5: wrong key, expired token, unknown or disabled device.
    NotAuthorized,
}

impl ReturnCode {
    pub(super) fn core(self) -> ConnectReturnCode {
        match self {
            Self::Accepted => ConnectReturnCode::Accepted,
            Self::BadProtocolLevel => ConnectReturnCode::UnacceptableProtocolVersion,
            Self::BadClientId => ConnectReturnCode::IdentifierRejected,
            Self::Unavailable => ConnectReturnCode::ServerUnavailable,
            Self::BadCredentials => ConnectReturnCode::BadUserNameOrPassword,
            Self::NotAuthorized => ConnectReturnCode::NotAuthorized,
        }
    }

    pub(super) fn from_core(core: ConnectReturnCode) -> Self {
        match core {
            ConnectReturnCode::Accepted => Self::Accepted,
            ConnectReturnCode::UnacceptableProtocolVersion => Self::BadProtocolLevel,
            ConnectReturnCode::IdentifierRejected => Self::BadClientId,
            ConnectReturnCode::ServerUnavailable => Self::Unavailable,
            ConnectReturnCode::BadUserNameOrPassword => Self::BadCredentials,
            ConnectReturnCode::NotAuthorized => Self::NotAuthorized,
        }
    }
}

/// A CONNECT. `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Connect {
    /// `{deviceId}` or `{deviceId}/{moduleId}`.
    pub client_id: String,
    /// `{host}/{clientId}/?api-version=…`.
    pub user_name: Option<String>,
    /// A SAS token, as bytes.
    pub password: Option<Vec<u8>>,
    /// Shall the server forget the session that it kept for this client id?
    pub clean_session: bool,
    /// Seconds; 0 is none. The server ends the link after 1.5 times as long
    /// without a packet.
    pub keep_alive: u16,
    /// What the server publishes when the link breaks.
    pub will: Option<Will>,
}

impl Connect {
    /// A CONNECT without credentials, with a kept session and no keep-alive.
    #[must_use]
    pub fn new(client_id: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            user_name: None,
            password: None,
            clean_session: false,
            keep_alive: 0,
            will: None,
        }
    }

    pub(super) fn from_core(core: &CoreConnect) -> Self {
        let will = core.will_topic().map(|topic| Will {
            topic: topic.to_owned(),
            payload: Bytes::copy_from_slice(core.will_payload().unwrap_or_default()),
            qos: Qos::capped(core.will_qos()),
            retain: core.will_retain(),
        });
        Self {
            client_id: core.client_id().to_owned(),
            user_name: core.user_name().map(str::to_owned),
            password: core.password().map(<[u8]>::to_vec),
            clean_session: core.clean_session(),
            keep_alive: core.keep_alive(),
            will,
        }
    }

    pub(super) fn core(&self) -> Result<CoreConnect, mqtt::result_code::MqttError> {
        let mut builder = CoreConnect::builder()
            .client_id(self.client_id.as_str())?
            .clean_session(self.clean_session)
            .keep_alive(self.keep_alive);
        if let Some(will) = &self.will {
            let payload = will.payload.to_vec();
            builder =
                builder.will_message(will.topic.as_str(), payload, will.qos.core(), will.retain)?;
        }
        if let Some(user_name) = &self.user_name {
            builder = builder.user_name(user_name.as_str())?;
        }
        if let Some(password) = &self.password {
            builder = builder.password(password.clone())?;
        }
        builder.build()
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("client_id", &self.client_id)
            .field("user_name", &self.user_name)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("clean_session", &self.clean_session)
            .field("keep_alive", &self.keep_alive)
            .field("will", &self.will)
            .finish()
    }
}

/// What the server publishes for a client whose link breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// Where to; IoT Hub takes `devices/{id}/messages/events/…`.
    pub topic: String,
    /// What.
    pub payload: Bytes,
    /// How surely.
    pub qos: Qos,
    /// The retain flag; IoT Hub keeps nothing.
    pub retain: bool,
}

/// A PUBLISH, already acknowledged if it was QoS 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The topic, as it came.
    pub topic: String,
    /// The payload.
    pub payload: Bytes,
    /// How it came.
    pub qos: Qos,
    /// The retain flag.
    pub retain: bool,
}

/// What [`Link::next`](super::Link::next) hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Server: the first packet. Answer with `accept` or `refuse`; nothing
    /// more is read before.
    Connect(Connect),
    /// Client: the server's answer to `connect`.
    ConnectAck {
        /// Did the server keep a session for this client id?
        session_present: bool,
        /// Welcome, or why not. After a refusal the link ends.
        code: ReturnCode,
    },
    /// A message. QoS 1 is acknowledged by the link itself.
    Publish(Publish),
    /// The other end has the QoS 1 message that `publish` gave this id.
    PublishAck {
        /// The id of `publish`.
        id: PacketId,
    },
    /// Server: answer with `suback`.
    Subscribe {
        /// For `suback`.
        id: PacketId,
        /// Filters with the QoS asked for (2 is given as 1), never empty.
        filters: Vec<(String, Qos)>,
    },
    /// Client: the answer to `subscribe`.
    SubscribeAck {
        /// The id of `subscribe`.
        id: PacketId,
        /// One for each filter: the QoS granted, `None` for a refusal.
        granted: Vec<Option<Qos>>,
    },
    /// Server: answer with `unsuback`.
    Unsubscribe {
        /// For `unsuback`.
        id: PacketId,
        /// Filters, never empty.
        filters: Vec<String>,
    },
    /// Client: the answer to `unsubscribe`.
    UnsubscribeAck {
        /// The id of `unsubscribe`.
        id: PacketId,
    },
}
