//! What a reader of twins remembers between two reads, and what makes it
//! suspicious.

use crate::domain::dialect::Dialect;
use crate::domain::twin::{Connection, Twin};

use super::Update;

/// What was last seen of a device's twin and left no event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// The highest `reported.$version`.
    version: u64,
    /// The etag of the device's entry in the registry.
    device_etag: Option<String>,
    /// Was it connected?
    pub(super) connection: Option<Connection>,
    /// The version of its firmware.
    pub(super) firmware: Option<String>,
    /// Did the hub know no such device?
    gone: bool,
}

/// Why a twin may not be the one that the order went to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// `reported.$version` counts every write and never goes back.
    WentBack {
        /// What was seen before.
        from: u64,
        /// What it is now.
        to: u64,
    },
    /// The device's entry in the registry was written.
    EntryChanged,
    /// The hub knew no such device, and knows it again.
    CameBack,
}

impl Sight {
    /// What the events of an update tell of its device's twin.
    #[must_use]
    pub fn of(update: &Update) -> Self {
        let base = &update.intent.baseline;
        let step = update.steps.last().map_or(0, |step| step.evidence.version);
        let version = match &update.replaced {
            Some(replaced) => replaced.version,
            None => base.version.max(step),
        };
        Self {
            version,
            device_etag: base
                .device_etag
                .clone()
                .filter(|_| update.replaced.is_none()),
            ..Self::default()
        }
    }

    /// The highest `reported.$version` that was seen.
    #[cfg(test)]
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Takes a twin in; tells what is suspicious about it, once.
    pub fn take(&mut self, dialect: &Dialect, twin: &Twin) -> Option<Suspicion> {
        let (from, to) = (self.version, twin.reported.version);
        let other = matches!(
            (&self.device_etag, &twin.device_etag),
            (Some(before), Some(now)) if before != now
        );
        let suspicion = if to < from {
            Some(Suspicion::WentBack { from, to })
        } else if self.gone {
            Some(Suspicion::CameBack)
        } else {
            other.then_some(Suspicion::EntryChanged)
        };
        *self = Self {
            version: to,
            device_etag: twin.device_etag.clone().or(self.device_etag.take()),
            connection: Some(twin.connection),
            firmware: dialect.read(&twin.reported).version.map(|v| v.text),
            gone: false,
        };
        suspicion
    }

    /// The hub knows no such device. True when that is new.
    pub fn lost(&mut self) -> bool {
        !std::mem::replace(&mut self.gone, true)
    }
}
