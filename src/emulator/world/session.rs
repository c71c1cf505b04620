//! Which device is connected, and to what it listens.
//!
//! A session outlives its connection when the device asked for that (clean
//! session 0): the Python device SDK never subscribes again after a
//! reconnection and counts on it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::method::CallId;
use super::{Closing, Due, Output, World};
use crate::domain::id::DeviceId;
use crate::emulator::refusal::Refusal;

/// One connection of one device; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub(super) u64);

/// What a device can listen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Answers about its twin.
    TwinAnswers,
    /// Changes of its desired properties.
    Desired,
    /// Direct methods.
    Methods,
    /// Cloud-to-device messages, of which this hub has none.
    Messages,
}

impl Topic {
    fn bit(self) -> u8 {
        match self {
            Self::TwinAnswers => 1,
            Self::Desired => 2,
            Self::Methods => 4,
            Self::Messages => 8,
        }
    }
}

/// A device's session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Session {
    /// One bit for each [`Topic`].
    topics: u8,
    /// Does the session outlive the connection?
    kept: bool,
    #[serde(skip)]
    link: Option<LinkId>,
    #[serde(skip)]
    token_ends: Option<Timestamp>,
    /// Methods that wait for the device or for its answer.
    #[serde(skip)]
    pub(super) calls: Vec<CallId>,
}

impl Session {
    pub(crate) fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    /// Its link and the end of its token.
    pub(super) fn hold(&self) -> (Option<LinkId>, Option<Timestamp>) {
        (self.link, self.token_ends)
    }

    /// The link, if the device is connected and listens to `topic`.
    pub(crate) fn listener(&self, topic: Topic) -> Option<LinkId> {
        self.link.filter(|_| self.topics & topic.bit() != 0)
    }
}

/// How a device wants to connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// MQTT's clean session flag: forget what was kept, keep nothing.
    pub clean: bool,
    /// The model it announces (`model-id` in the user name).
    pub model_id: Option<String>,
    /// When its token ends.
    pub token_ends: Option<Timestamp>,
}

/// A device that is connected now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Its link.
    pub link: LinkId,
    /// Was a session kept?
    pub session_present: bool,
}

impl World {
    /// Connects a device that has proved itself. An older connection of the
    /// same device ends.
    ///
    /// # Errors
    /// 404 when there is no such device or it is disabled.
    pub fn connect(
        &mut self,
        id: &DeviceId,
        hello: Hello,
        now: Timestamp,
    ) -> Result<Welcome, Refusal> {
        if !self.is_enabled(id) {
            return Err(Refusal::no_device(id.as_str()));
        }
        self.close(id, Closing::TakenOver, now);
        let link = LinkId(self.number());
        let device = self.device_mut(id)?;
        let session = &mut device.session;
        let session_present = session.kept && !hello.clean;
        if !session_present {
            session.topics = 0;
        }
        session.kept = !hello.clean;
        session.link = Some(link);
        session.token_ends = hello.token_ends;
        device.identity.connection_updated = Some(now);
        device.identity.last_activity = Some(now);
        if hello.model_id.is_some() {
            device.twin.model_id = hello.model_id;
        }
        if let Some(ends) = hello.token_ends {
            self.due.insert((ends, Due::Token(link)));
        }
        self.links.insert(link, id.clone());
        self.changed(id);
        self.deliver_waiting(id, now);
        Ok(Welcome {
            link,
            session_present,
        })
    }

    /// The device behind a link ended it, or it broke. A link that is not the
    /// device's current one changes nothing.
    pub fn disconnect(&mut self, link: LinkId, now: Timestamp) {
        if let Some(id) = self.links.get(&link).cloned() {
            self.forget_link(&id, now);
        }
    }

    /// The device behind `link` listens to `topic` from now on.
    pub fn subscribe(&mut self, link: LinkId, topic: Topic, now: Timestamp) {
        self.set_topic(link, topic, true);
        if let Some(id) = self.links.get(&link).cloned() {
            self.deliver_waiting(&id, now);
        }
    }

    /// The device behind `link` listens to `topic` no more.
    pub fn unsubscribe(&mut self, link: LinkId, topic: Topic) {
        self.set_topic(link, topic, false);
    }

    /// Does the device behind `link` listen to `topic`?
    #[must_use]
    pub fn listens(&self, link: LinkId, topic: Topic) -> bool {
        let device = self.links.get(&link).and_then(|id| self.devices.get(id));
        device.is_some_and(|d| d.session.listener(topic) == Some(link))
    }

    /// Is the device connected?
    #[must_use]
    pub fn is_connected(&self, id: &DeviceId) -> bool {
        let device = self.devices.get(id);
        device.is_some_and(|device| device.session.is_connected())
    }

    fn set_topic(&mut self, link: LinkId, topic: Topic, on: bool) {
        let Some(id) = self.links.get(&link).cloned() else {
            return;
        };
        self.remember_device(&id);
        if let Some(device) = self.devices.get_mut(&id) {
            match on {
                true => device.session.topics |= topic.bit(),
                false => device.session.topics &= !topic.bit(),
            }
        }
        self.changed(&id);
    }

    /// The hub ends a device's connection, if it has one.
    pub(super) fn close(&mut self, id: &DeviceId, why: Closing, now: Timestamp) {
        let link = self.devices.get(id).and_then(|d| d.session.link);
        if let Some(link) = link {
            self.end_link(link, why, now);
        }
        if matches!(why, Closing::Disabled | Closing::Deleted) {
            self.fail_calls(id, Refusal::no_device(id.as_str()));
        }
    }

    pub(super) fn end_link(&mut self, link: LinkId, why: Closing, now: Timestamp) {
        if let Some(id) = self.links.get(&link).cloned() {
            self.forget_link(&id, now);
            self.outputs.push(Output::Close { link, why });
        }
    }

    fn forget_link(&mut self, id: &DeviceId, now: Timestamp) {
        self.remember_device(id);
        let Some(device) = self.devices.get_mut(id) else {
            return;
        };
        let session = &mut device.session;
        let Some(link) = session.link.take() else {
            return;
        };
        if let Some(ends) = session.token_ends.take() {
            self.due.remove(&(ends, Due::Token(link)));
        }
        if !session.kept {
            session.topics = 0;
        }
        device.identity.connection_updated = Some(now);
        self.links.remove(&link);
        self.lose_calls(id);
        self.changed(id);
    }
}
