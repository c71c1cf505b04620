//! What is to be kept, and the way back when that fails.
//!
//! ```text
//!  a change ─► first touch of a device, call, count: what it was is remembered
//!      │
//!      ├─ kept ──────► remembered things are forgotten, outputs leave
//!      └─ not kept ──► all is as it was, outputs are dropped
//! ```
//!
//! What simply happened (a link broke, a time came) cannot be taken back: it
//! stays changed and is kept with the next change that can be. Nothing is
//! remembered in a world that nobody keeps.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::method::{Call, CallId, MethodCounts};
use super::quota::Day;
use super::{Device, Due, World};
use crate::domain::id::DeviceId;

/// What a change touched, as it was before; and what waits to be kept.
#[derive(Debug, Default)]
pub(super) struct Undo {
    devices: BTreeMap<DeviceId, Option<Device>>,
    calls: BTreeMap<CallId, Option<Call>>,
    counts: HashMap<DeviceId, Option<MethodCounts>>,
    /// Changed by this change.
    fresh: BTreeSet<DeviceId>,
    /// Changed earlier, and not kept then.
    waiting: BTreeSet<DeviceId>,
}

/// The hub's own numbers, kept beside the devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The last `generationId` given: never given again, whatever the clock
    /// says and whoever was deleted.
    pub generation: u64,
    /// The day's messages.
    pub day: Option<Day>,
}

impl World {
    /// Remembers from now on what changes, for somebody who keeps it.
    pub fn track_changes(&mut self) {
        self.undo = Some(Undo::default());
    }

    /// Did the last change touch anything that is to be kept?
    #[must_use]
    pub fn has_fresh_changes(&self) -> bool {
        self.undo
            .as_ref()
            .is_some_and(|undo| !undo.fresh.is_empty())
    }

    /// The devices to be kept, and what they are now; `None` is a deleted one.
    /// Empty unless changes are tracked.
    #[must_use]
    pub fn changes(&self) -> Vec<(&DeviceId, Option<&Device>)> {
        let undo = self.undo.iter();
        undo.flat_map(|undo| undo.fresh.union(&undo.waiting))
            .map(|id| (id, self.devices.get(id)))
            .collect()
    }

    /// The changes are kept: there is no way back any more.
    pub fn changes_are_kept(&mut self) {
        if let Some(undo) = &mut self.undo {
            *undo = Undo::default();
        }
    }

    /// The changes were not kept, but cannot be taken back: they wait.
    pub fn changes_must_wait(&mut self) {
        if let Some(undo) = &mut self.undo {
            let mut waiting = std::mem::take(&mut undo.waiting);
            waiting.append(&mut undo.fresh);
            *undo = Undo {
                waiting,
                ..Undo::default()
            };
        }
    }

    /// Makes everything what it was before the last change, outputs included.
    pub fn take_back(&mut self) {
        let Some(slot) = &mut self.undo else {
            return;
        };
        let undo = std::mem::take(slot);
        slot.waiting = undo.waiting;
        self.outputs.clear();
        for (id, before) in undo.devices {
            self.put_device_back(id, before);
        }
        for (call, before) in undo.calls {
            self.put_call_back(call, before);
        }
        for (id, before) in undo.counts {
            match before {
                Some(counts) => self.counts.insert(id, counts),
                None => self.counts.remove(&id),
            };
        }
    }

    /// The hub's own numbers.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger {
            generation: self.last_generation,
            day: self.quota.day(),
        }
    }

    /// Goes on from numbers that were kept.
    pub fn continue_from(&mut self, ledger: &Ledger) {
        self.last_generation = self.last_generation.max(ledger.generation);
        if let Some(day) = &ledger.day {
            self.quota.continue_from(day.clone());
        }
    }

    pub(super) fn changed(&mut self, id: &DeviceId) {
        if let Some(undo) = &mut self.undo {
            undo.fresh.insert(id.clone());
        }
    }

    pub(super) fn remember_device(&mut self, id: &DeviceId) {
        if let Some(undo) = &mut self.undo
            && !undo.devices.contains_key(id)
        {
            undo.devices
                .insert(id.clone(), self.devices.get(id).cloned());
        }
    }

    pub(super) fn remember_call(&mut self, call: CallId) {
        if let Some(undo) = &mut self.undo {
            let calls = &self.calls;
            let now = || calls.get(&call).cloned();
            undo.calls.entry(call).or_insert_with(now);
        }
    }

    pub(super) fn remember_counts(&mut self, id: &DeviceId) {
        if let Some(undo) = &mut self.undo
            && !undo.counts.contains_key(id)
        {
            undo.counts.insert(id.clone(), self.counts.get(id).copied());
        }
    }

    fn put_device_back(&mut self, id: DeviceId, before: Option<Device>) {
        if let Some(device) = self.devices.remove(&id)
            && let (Some(link), ends) = device.session.hold()
        {
            self.links.remove(&link);
            ends.map(|ends| self.due.remove(&(ends, Due::Token(link))));
        }
        let Some(device) = before else {
            return;
        };
        if let (Some(link), ends) = device.session.hold() {
            self.links.insert(link, id.clone());
            ends.map(|ends| self.due.insert((ends, Due::Token(link))));
        }
        self.devices.insert(id, device);
    }

    fn put_call_back(&mut self, number: CallId, before: Option<Call>) {
        if let Some(call) = self.calls.remove(&number) {
            self.due.remove(&(call.due, Due::Call(number)));
        }
        if let Some(call) = before {
            self.due.insert((call.due, Due::Call(number)));
            self.calls.insert(number, call);
        }
    }
}
