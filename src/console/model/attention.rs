//! What the operator looks at, so that the engine reads that, and only that,
//! often.
//!
//! Reads of a hub are a budget. So the device beside the table is asked for
//! only when the selection has come to rest, and nothing is looked at any more
//! when nobody has touched a key for five minutes; the engine learns of that as
//! well, because it keeps the list fresh only for somebody. An update in flight stays in
//! focus all the same: somebody waits for it.

use jiff::{SignedDuration, Timestamp};

use super::Model;
use crate::console::message::Effect;
use crate::domain::event::Command;
use crate::domain::id::{DeviceId, UpdateId};

/// A selection that stays this long is looked at.
const REST: SignedDuration = SignedDuration::from_millis(250);
/// Without a key for this long nobody is looking.
const AWAY: SignedDuration = SignedDuration::from_mins(5);

/// What the engine was told last, and where the selection is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Attention {
    look: Option<DeviceId>,
    focus: Option<UpdateId>,
    selection: Option<(DeviceId, Timestamp)>,
    /// The engine was told that nobody is there.
    away: bool,
}

impl Model {
    /// Notes where the selection is and tells the engine what has changed.
    pub(crate) fn attend(&mut self) -> Vec<Effect> {
        if self.context.replay_only {
            return Vec::new();
        }
        let in_view = self.in_view().cloned();
        let known = self.attention.selection.as_ref().map(|(id, _)| id);
        if known != in_view.as_ref() {
            self.attention.selection = in_view.clone().map(|id| (id, self.now));
        }
        let mut effects = Vec::new();
        if self.attention.away != self.is_away() {
            self.attention.away = self.is_away();
            let there = !self.attention.away;
            effects.push(Effect::Send(Command::Attend(there)));
        }
        let look = if self.is_away() {
            None
        } else if self.rests() {
            in_view.clone()
        } else {
            self.attention.look.clone()
        };
        if look != self.attention.look {
            effects.push(Effect::Send(Command::Look(look.clone())));
            self.attention.look = look;
        }
        let open = in_view.and_then(|id| self.updates.open_of(&id));
        let focus = open.map(|update| update.id.clone());
        if focus != self.attention.focus {
            effects.push(Effect::Send(Command::Focus(focus.clone())));
            self.attention.focus = focus;
        }
        effects
    }

    /// Was the engine told that this device is looked at?
    pub(crate) fn looks_at(&self, device: &DeviceId) -> bool {
        self.attention.look.as_ref() == Some(device)
    }

    /// Is the selection where it was a moment ago? An opened device and an
    /// empty screen need no rest.
    fn rests(&self) -> bool {
        let since = self.attention.selection.as_ref().map(|(_, since)| *since);
        self.panel.is_some() || since.is_none_or(|since| self.now.duration_since(since) >= REST)
    }

    /// Whoever looks at a replay does not look at the hub, and nothing about one
    /// reaches the engine.
    fn is_away(&self) -> bool {
        self.replay.is_some() || self.now.duration_since(self.last_key) >= AWAY
    }

    /// When attention changes by itself.
    pub(crate) fn attention_wakes(&self) -> Option<Timestamp> {
        let since = self.attention.selection.as_ref().map(|(_, since)| *since);
        if let (false, Some(since)) = (self.rests(), since) {
            return since.checked_add(REST).ok();
        }
        let there = !self.attention.away && self.replay.is_none();
        there
            .then(|| self.last_key.checked_add(AWAY).ok())
            .flatten()
    }
}
