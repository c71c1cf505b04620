//! The hub's state, pure: time comes in as a value, randomness as a function,
//! and what is to be done comes out as [`Output`]s. No socket, no clock, no
//! file; tests drive it as it is.
//!
//! ```text
//!  REST ──► identity, twin, query, begin_method ─┐             ┌─► Output::Answered ─► REST
//!                                                ├─► World ────┤
//!  MQTT ──► connect, subscribe, report, answer ──┘      ▲      └─► Output::{Method, Desired, Close} ─► MQTT
//!                                         tick(now) ────┘
//! ```
//!
//! A direct method's life:
//!
//! ```text
//!  begin ─► waiting ──(device connects and listens)──► sent ──► answered
//!              │ connect timeout                        │ response timeout: 504101
//!              └─► 404103                               └ connection ends: 404104
//! ```

pub mod etag;
pub mod event;
pub mod identity;
pub(super) mod limits;
pub mod method;
pub mod past;
pub mod quota;
mod registry;
mod row;
pub mod section;
pub mod session;
pub mod throttle;
mod twins;
mod undo;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::policy::{self, Policy};
use super::query::{self, Page};
use super::refusal::Refusal;
use crate::domain::id::DeviceId;
use crate::domain::method::MethodAnswer;
use event::Events;
use identity::Identity;
use method::{Call, CallId, MethodCounts};
use quota::Quota;
use session::{LinkId, Session};
use throttle::{Operation, Throttle};
use twins::TwinState;
use undo::Undo;

pub use registry::IdentityAnswer;
pub use undo::Ledger;

/// Where random bytes come from: fills the slice.
pub type Entropy = Box<dyn FnMut(&mut [u8]) + Send>;

/// Bytes that follow from `seed`: for tests that repeat, never for a hub that
/// others reach.
#[must_use]
pub fn seeded_entropy(seed: u64) -> Entropy {
    use rand::{Rng as _, SeedableRng as _};
    let mut generator = rand::rngs::StdRng::seed_from_u64(seed);
    Box::new(move |bytes| generator.fill_bytes(bytes))
}

/// One device: identity, twin and session. Serialised as it is by the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Device {
    pub(crate) identity: Identity,
    pub(crate) twin: TwinState,
    pub(crate) session: Session,
}

/// What the outside has to do after a call of the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send a direct method to a device.
    Method {
        /// Over which link.
        link: LinkId,
        /// Comes back with the answer.
        call: CallId,
        /// The method's name.
        name: String,
        /// Its payload.
        payload: Value,
    },
    /// Tell a device that its desired properties changed.
    Desired {
        /// Over which link.
        link: LinkId,
        /// The new `$version`.
        version: u64,
        /// The change, nulls included, with `$version`.
        body: Value,
    },
    /// End a link; the world has forgotten it already.
    Close {
        /// Which one.
        link: LinkId,
        /// Why.
        why: Closing,
    },
    /// A direct method is over.
    Answered {
        /// Which one.
        call: CallId,
        /// What the caller gets.
        result: Result<MethodAnswer, Refusal>,
    },
}

/// Why the hub ends a device's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// A newer connection of the same device.
    TakenOver,
    /// Its token ended.
    TokenExpired,
    /// Its identity was disabled.
    Disabled,
    /// Its identity is gone.
    Deleted,
}

/// Something that happens at a time of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Call(CallId),
    Token(LinkId),
}

/// Everything a hub knows.
pub struct World {
    devices: BTreeMap<DeviceId, Device>,
    policies: Vec<Policy>,
    /// Who is behind a link.
    links: HashMap<LinkId, DeviceId>,
    calls: HashMap<CallId, Call>,
    counts: HashMap<DeviceId, MethodCounts>,
    events: HashMap<DeviceId, Events>,
    due: BTreeSet<(Timestamp, Due)>,
    outputs: Vec<Output>,
    /// What is to be kept, and the way back should that fail; only when
    /// somebody keeps it.
    undo: Option<Undo>,
    throttle: Option<Throttle>,
    quota: Quota,
    entropy: Entropy,
    last_generation: u64,
    next_number: u64,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("devices", &self.devices.len())
            .field("links", &self.links.len())
            .field("calls", &self.calls.len())
            .finish_non_exhaustive()
    }
}

impl World {
    /// A hub without devices, its policies' keys made of `entropy`.
    #[must_use]
    pub fn new(mut entropy: Entropy) -> Self {
        let policies = policy::NAMES.map(|name| Policy {
            name: name.to_owned(),
            primary: fresh_key(&mut entropy),
            secondary: fresh_key(&mut entropy),
        });
        Self::restored(entropy, policies.to_vec(), [])
    }

    /// A hub as it was kept. Nobody is connected; kept sessions stay.
    #[must_use]
    pub fn restored(
        mut entropy: Entropy,
        policies: Vec<Policy>,
        devices: impl IntoIterator<Item = (DeviceId, Device)>,
    ) -> Self {
        let devices: BTreeMap<_, _> = devices.into_iter().collect();
        let generations = devices.values().map(|d| d.identity.generation);
        // A device may still answer a call of before a restart: numbers are not
        // given again.
        let mut start = [0; 4];
        entropy(&mut start);
        Self {
            last_generation: generations.max().unwrap_or(0),
            devices,
            policies,
            links: HashMap::new(),
            calls: HashMap::new(),
            counts: HashMap::new(),
            events: HashMap::new(),
            due: BTreeSet::new(),
            outputs: Vec::new(),
            undo: None,
            throttle: None,
            quota: Quota::default(),
            entropy,
            next_number: (u64::from(u32::from_le_bytes(start)) << 16) + 1,
        }
    }

    /// Enforces the rates of a tier from now on.
    pub fn enforce(&mut self, throttle: Throttle) {
        self.throttle = Some(throttle);
    }

    /// May `operation` run? The answer is how long to hold it back first,
    /// which is nothing unless a tier is enforced.
    ///
    /// # Errors
    /// 429 when it would have to wait for too long.
    pub fn admit(
        &mut self,
        operation: Operation,
        now: Timestamp,
    ) -> Result<std::time::Duration, Refusal> {
        match &mut self.throttle {
            Some(throttle) => throttle.admit(operation, now),
            None => Ok(std::time::Duration::ZERO),
        }
    }

    /// The policies, with their keys.
    #[must_use]
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// The policy called `name`.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.name == name)
    }

    /// How many identities there are.
    #[must_use]
    pub fn device_count(&self) -> usize {
        self.devices.len()
    }

    /// How many devices are connected.
    #[must_use]
    pub fn connected_count(&self) -> usize {
        self.links.len()
    }

    /// How many direct methods were asked of `id`, delivered to it, answered.
    #[must_use]
    pub fn method_counts(&self, id: &DeviceId) -> MethodCounts {
        self.counts.get(id).copied().unwrap_or_default()
    }

    /// One page of a query. `page_size` is held between 1 and 1,000;
    /// `continuation` is the token of the page before.
    ///
    /// # Errors
    /// 400 `ArgumentInvalid` when the query or the token cannot be read.
    pub fn query(
        &self,
        text: &str,
        page_size: Option<usize>,
        continuation: Option<&str>,
    ) -> Result<Page, Refusal> {
        let rows = |after: Option<&str>| -> Box<dyn Iterator<Item = row::Row<'_>> + '_> {
            use std::ops::Bound::{Excluded, Unbounded};
            let start = after.and_then(|id| DeviceId::parse(id).ok());
            let start = start.as_ref().map_or(Unbounded, Excluded);
            let range = self.devices.range::<DeviceId, _>((start, Unbounded));
            Box::new(range.map(|(id, device)| row::Row { id, device }))
        };
        query::run(text, page_size, continuation, rows)
    }

    /// What is to be done since the last look, in order.
    #[must_use]
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// When [`World::tick`] has something to do; `None` when nothing waits.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(time, _)| *time)
    }

    /// Lets time pass: timeouts of methods, ends of tokens.
    pub fn tick(&mut self, now: Timestamp) {
        while let Some((time, due)) = self.due.first().copied() {
            if time > now {
                break;
            }
            self.due.pop_first();
            match due {
                Due::Call(call) => self.call_is_due(call),
                Due::Token(link) => self.end_link(link, Closing::TokenExpired, now),
            }
        }
    }

    fn device(&self, id: &DeviceId) -> Result<&Device, Refusal> {
        self.devices
            .get(id)
            .ok_or_else(|| Refusal::no_device(id.as_str()))
    }

    fn device_mut(&mut self, id: &DeviceId) -> Result<&mut Device, Refusal> {
        self.remember_device(id);
        self.devices
            .get_mut(id)
            .ok_or_else(|| Refusal::no_device(id.as_str()))
    }

    fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }
}

/// A symmetric key: base64 of 32 random bytes.
fn fresh_key(entropy: &mut Entropy) -> String {
    let mut bytes = [0; 32];
    entropy(&mut bytes);
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests;
