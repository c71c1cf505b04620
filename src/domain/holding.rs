//! Who keeps a device from being updated: who, since when, doing what.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::UpdateId;
use super::update::Update;
use super::uri;

/// A claim on a device, as far as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    /// Whose it is: `ana@jump1`.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// The process that works on it; absent when that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The update.
    pub update_id: UpdateId,
    /// The redacted URI of its package, if that could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Where it stands, as last written down: `downloading`.
    pub doing: String,
    /// The percentage that was written with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// When that was written.
    pub written: Timestamp,
}

/// The process that holds a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Its number on its machine.
    pub pid: u32,
    /// The machine.
    pub host: String,
    /// Its last sign of life, when it cannot be looked up from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beat: Option<Timestamp>,
}

/// What a new update may end to have its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: the device must be free.
    Free,
    /// That update alone: it is the one that somebody was shown before the device's
    /// id was typed. Another one that has the device meanwhile keeps it.
    Over(UpdateId),
    /// Whatever is open of the device.
    Whatever,
}

impl Holding {
    /// The claim of an update as its events tell it, held by nobody.
    #[must_use]
    pub fn of(update: &Update) -> Self {
        let percent = update.steps.last().and_then(|step| step.percent);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it lies between 0 and 100"
        )]
        let percent = percent.map(|percent| percent.clamp(0.0, 100.0) as u8);
        Self {
            by: update.intent.by.clone(),
            since: update.intended,
            process: None,
            update_id: update.id.clone(),
            uri: update.intent.uri.clone(),
            doing: update.word().to_owned(),
            percent,
            written: update.changed,
        }
    }
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let package = self.uri.as_deref().map_or("its package", uri::last_part);
        write!(f, "{package} by {} since {:.0}", self.by, self.since)?;
        write!(f, ": {}", self.doing)?;
        if let Some(percent) = self.percent {
            write!(f, ", {percent} %")?;
        }
        write!(f, " (written down at {:.0})", self.written)?;
        let Some(Process { pid, host, beat }) = &self.process else {
            return f.write_str("; its process has ended");
        };
        write!(f, "; process {pid} on {host}")?;
        match beat {
            Some(beat) => write!(f, ", last sign of life at {beat:.0}"),
            None => Ok(()),
        }
    }
}
