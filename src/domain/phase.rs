//! The common phases of an update, whatever words a device uses for them.

use serde::{Deserialize, Serialize};

/// Where a device stands in an update.
///
/// ```text
///  idle ─► queued ─► downloading ─► downloaded ─► applying ─► rebooting ─► done
///             └───────────┴──────────────┴────────────┴───────────┴─────► failed
/// ```
///
/// Devices skip phases freely: the 2018 tutorial's device knows only
/// downloading, applying and done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Nothing is going on.
    Idle,
    /// The device has the order and has not begun.
    Queued,
    /// The package is on its way to the device.
    Downloading,
    /// The package is on the device; it may be verified now.
    Downloaded,
    /// The package is being installed.
    Applying,
    /// The device restarts.
    Rebooting,
    /// The device says that the update is done.
    Done,
    /// The device says that the update failed.
    Failed,
    /// The device reports a value that its dialect does not know; it is shown
    /// as it is and never taken for success.
    Unknown,
}

impl Phase {
    /// Is an update under way in this phase?
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(
            self,
            Self::Queued | Self::Downloading | Self::Downloaded | Self::Applying | Self::Rebooting
        )
    }

    /// Does the device say that an update has ended?
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }

    /// The name on screen and in events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Queued => "queued",
            Self::Downloading => "downloading",
            Self::Downloaded => "downloaded",
            Self::Applying => "applying",
            Self::Rebooting => "rebooting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
