//! The identity registry: one identity at a time.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::etag::{self, IfMatch};
use super::identity::{Identity, Wish};
use super::session::Session;
use super::twins::TwinState;
use super::{Closing, Device, World, fresh_key};
use crate::domain::device::Enablement;
use crate::domain::id::DeviceId;
use crate::emulator::refusal::{Code, Refusal};
use crate::emulator::stamp;

/// The most rows that a list of identities has.
const LIST: usize = 1_000;

/// An identity as the registry answers with it.
#[derive(Clone, Debug, PartialEq)]
pub struct IdentityAnswer {
    /// The body.
    pub body: Value,
    /// The etag, without quotes; the header has them.
    pub etag: String,
}

impl World {
    /// One identity, keys included.
    ///
    /// # Errors
    /// 404 `DeviceNotFound`.
    pub fn identity(&self, id: &DeviceId) -> Result<IdentityAnswer, Refusal> {
        Ok(answer(id, self.device(id)?, false))
    }

    /// Creates an identity (no `If-Match`) or replaces one.
    ///
    /// # Errors
    /// 409 when a create finds it there, 404 when an update does not, 412 when
    /// the etag is another one, 400 when the body is wrong.
    pub fn put_identity(
        &mut self,
        id: &DeviceId,
        if_match: &IfMatch,
        body: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<IdentityAnswer, Refusal> {
        match (if_match, self.devices.get(id)) {
            (IfMatch::Absent, Some(_)) => Err(Refusal::new(
                Code::DeviceAlreadyExists,
                format!("A device with ID '{id}' is already registered."),
            )),
            (IfMatch::Absent, None) => {
                let wish = self.with_keys(Wish::read(id, body)?);
                Ok(self.create(id, wish, now))
            }
            (_, None) => Err(Refusal::no_device(id.as_str())),
            (_, Some(device)) => {
                same_etag(if_match, device)?;
                let wish = self.with_keys(Wish::read(id, body)?);
                self.update(id, wish, now)
            }
        }
    }

    /// Deletes an identity and its twin; a connected device is cut off.
    ///
    /// # Errors
    /// 404, or 412 when the etag is another one or none was given.
    pub fn delete_identity(
        &mut self,
        id: &DeviceId,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let device = self.device(id)?;
        if *if_match == IfMatch::Absent {
            return Err(Refusal::new(Code::PreconditionFailed, "Etag missing"));
        }
        same_etag(if_match, device)?;
        self.close(id, Closing::Deleted, now);
        self.remember_device(id);
        self.devices.remove(id);
        self.events.remove(id);
        self.changed(id);
        Ok(())
    }

    /// At most `top` identities; `top` outside 1 to 1,000 means 1,000.
    #[must_use]
    pub fn list(&self, top: Option<usize>) -> Vec<Value> {
        let top = top.filter(|n| (1..=LIST).contains(n)).unwrap_or(LIST);
        self.devices
            .iter()
            .take(top)
            .map(|(id, device)| answer(id, device, false).body)
            .collect()
    }

    /// Creates `id` with fresh keys unless it is there, and gives its first key.
    pub fn ensure_identity(&mut self, id: &DeviceId, now: Timestamp) -> Option<String> {
        if !self.devices.contains_key(id) {
            let wish = self.with_keys(Wish::default());
            self.create(id, wish, now);
        }
        let keys = self.devices.get(id)?.identity.wish.keys.as_ref();
        keys.map(|(primary, _)| primary.clone())
    }

    /// Both keys of an enabled device that proves itself by them.
    #[must_use]
    pub fn device_keys(&self, id: &DeviceId) -> Option<(&str, &str)> {
        let wish = &self.devices.get(id)?.identity.wish;
        let (primary, secondary) = wish.keys.as_ref()?;
        Some((primary, secondary))
    }

    /// Is there such a device, and may it connect?
    #[must_use]
    pub fn is_enabled(&self, id: &DeviceId) -> bool {
        let device = self.devices.get(id);
        device.is_some_and(|d| d.identity.wish.status == Enablement::Enabled)
    }

    /// `GET /statistics/devices`.
    #[must_use]
    pub fn statistics(&self) -> Value {
        let enabled = self
            .devices
            .values()
            .filter(|d| d.identity.wish.status == Enablement::Enabled)
            .count();
        serde_json::json!({
            "totalDeviceCount": self.devices.len(),
            "enabledDeviceCount": enabled,
            "disabledDeviceCount": self.devices.len() - enabled,
        })
    }

    /// Makes keys where a device that needs some has none.
    fn with_keys(&mut self, mut wish: Wish) -> Wish {
        if wish.keys.is_none() && wish.proof == super::identity::Proof::Sas {
            let first = fresh_key(&mut self.entropy);
            wish.keys = Some((first, fresh_key(&mut self.entropy)));
        }
        wish
    }

    fn create(&mut self, id: &DeviceId, wish: Wish, now: Timestamp) -> IdentityAnswer {
        let mut start = [0; 4];
        (self.entropy)(&mut start);
        self.last_generation = stamp::ticks(now).max(self.last_generation + 1);
        let identity = Identity {
            generation: self.last_generation,
            // Real counters start anywhere; nine digits as a rule.
            etag: u64::from(u32::from_le_bytes(start) >> 2),
            wish,
            status_updated: None,
            connection_updated: None,
            last_activity: None,
        };
        let device = Device {
            identity,
            twin: TwinState::fresh(now),
            session: Session::default(),
        };
        let created = answer(id, &device, true);
        self.remember_device(id);
        self.devices.insert(id.clone(), device);
        self.changed(id);
        created
    }

    fn update(
        &mut self,
        id: &DeviceId,
        wish: Wish,
        now: Timestamp,
    ) -> Result<IdentityAnswer, Refusal> {
        let identity = &mut self.device_mut(id)?.identity;
        identity.etag += 1;
        if identity.wish.status != wish.status {
            identity.status_updated = Some(now);
        }
        identity.wish = wish;
        if identity.wish.status == Enablement::Disabled {
            self.close(id, Closing::Disabled, now);
        }
        self.changed(id);
        self.identity(id)
    }
}

fn answer(id: &DeviceId, device: &Device, created: bool) -> IdentityAnswer {
    IdentityAnswer {
        body: device
            .identity
            .json(id, device.session.is_connected(), created),
        etag: device.identity.etag_text(),
    }
}

fn same_etag(if_match: &IfMatch, device: &Device) -> Result<(), Refusal> {
    match if_match {
        IfMatch::Etag(etag) if *etag != device.identity.etag_text() => Err(Refusal::new(
            Code::PreconditionFailed,
            format!(
                "Precondition failed: Device version did not match, existingVersion:{} newVersion:{}",
                device.identity.etag,
                etag::identity_counter(etag)
            ),
        )),
        _ => Ok(()),
    }
}
