//! Events: what devices send, counted and not kept.
//!
//! Topic and property bag: "Communicate with an IoT hub using the MQTT protocol"
//! in `MicrosoftDocs/azure-docs` (`articles/iot/iot-mqtt-connect-to-iot-hub.md`):
//! a retained message gets the property `mqtt-retain`, a will the property
//! `iothub-MessageType` with the value `Will`.

use jiff::Timestamp;

use super::World;
use crate::domain::id::DeviceId;
use crate::emulator::refusal::{Code, Refusal};

/// The largest event with its properties, in bytes.
pub const EVENT: usize = 256 * 1024;

/// One event, without its payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The property bag, decoded: `$.ct` is the content type, and so on.
    pub properties: Vec<(String, String)>,
    /// The size of the payload.
    pub bytes: usize,
    /// Is it the will of a link that broke?
    pub will: bool,
}

impl Event {
    fn size(&self) -> usize {
        let properties = self.properties.iter().map(|(k, v)| k.len() + v.len());
        self.bytes + properties.sum::<usize>()
    }
}

/// How many events there were of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Accepted, wills included.
    pub accepted: u64,
    /// Wills.
    pub wills: u64,
    /// Bytes of all, with their properties.
    pub bytes: u64,
}

/// What is remembered of one device's events.
#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    counts: EventCounts,
    last: Option<Event>,
}

impl World {
    /// Takes an event in.
    ///
    /// # Errors
    /// 404 when the device is gone, 413 when it is too large, 403 when the day
    /// is spent.
    pub fn take_event(
        &mut self,
        from: &DeviceId,
        event: Event,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.device(from)?;
        let size = event.size();
        if size > EVENT {
            return Err(Refusal::new(
                Code::MessageTooLarge,
                format!("An event of {size} bytes exceeds the maximum of {EVENT}."),
            ));
        }
        self.day_allows(now)?;
        self.bill(size, now);
        if let Some(device) = self.devices.get_mut(from) {
            device.identity.last_activity = Some(now);
        }
        let events = self.events.entry(from.clone()).or_default();
        events.counts.accepted += 1;
        events.counts.wills += u64::from(event.will);
        events.counts.bytes += u64::try_from(size).unwrap_or(u64::MAX);
        events.last = Some(event);
        Ok(())
    }

    /// How many events `id` has sent since the emulator began.
    #[must_use]
    pub fn event_counts(&self, id: &DeviceId) -> EventCounts {
        self.events.get(id).map(|e| e.counts).unwrap_or_default()
    }

    /// The last event of `id`.
    #[must_use]
    pub fn last_event(&self, id: &DeviceId) -> Option<&Event> {
        self.events.get(id)?.last.as_ref()
    }
}
