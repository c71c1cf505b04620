//! How an update is started on devices of a dialect.

use serde_json::Value;

use crate::domain::id::DeviceId;
use crate::domain::problem::{Kind, Problem};

use super::Dialect;
use super::template::{Placeholder, Template, Values};

/// How an update is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Starts {
    /// By a direct method.
    ByMethod(ByMethod),
    /// By something else than otadeck: it only watches.
    WatchedOnly,
}

/// The direct method that starts an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByMethod {
    /// Its name.
    pub method: String,
    /// What it gets.
    pub payload: Template,
    /// How long the device may take to answer, in seconds; absent: as for all.
    pub response_timeout: Option<u32>,
    /// How long the hub waits for the device to connect, in seconds; absent: as
    /// for all.
    pub connect_timeout: Option<u32>,
}

/// Why no update can be started on a device of a dialect. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotStart {
    /// Something else starts its updates.
    #[error("devices that speak {dialect} are watched only: no direct method starts their updates")]
    WatchedOnly {
        /// The dialect's name.
        dialect: String,
    },
    /// The payload needs what was not given.
    #[error(
        "dialect {dialect} sends {} to the device, which was not given",
        names(missing)
    )]
    Missing {
        /// The dialect's name.
        dialect: String,
        /// What is missing.
        missing: Vec<Placeholder>,
    },
}

impl CannotStart {
    /// The refusal of a start, with what to do instead.
    #[must_use]
    pub fn problem(&self, device: &DeviceId) -> Problem {
        let title = format!("no update was started on {device}");
        let advice = format!("Nothing was sent. {}", self.advice());
        Problem::new(Kind::Dialect, title, self.to_string()).hint(advice)
    }

    fn advice(&self) -> String {
        match self {
            Self::WatchedOnly { .. } => {
                "Start it where such updates are started (a configuration or a deployment of \
                 the hub) and watch it with otadeck watch."
                    .to_owned()
            }
            Self::Missing { missing, .. } => {
                let flags = missing.iter().map(|missing| match missing {
                    Placeholder::Version => "--expect VERSION",
                    Placeholder::Sha256 => "--sha256 HEX",
                    Placeholder::Uri => "--uri URI",
                });
                let flags: Vec<&str> = flags.collect();
                format!("Start it with otadeck update {}.", flags.join(" "))
            }
        }
    }
}

fn names(missing: &[Placeholder]) -> String {
    let names: Vec<String> = missing
        .iter()
        .map(|p| format!("{{{}}}", p.name()))
        .collect();
    names.join(" and ")
}

impl Dialect {
    /// The method that starts an update, unless the dialect is watched only.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        match &self.starts {
            Starts::ByMethod(by) => Some(&by.method),
            Starts::WatchedOnly => None,
        }
    }

    /// The method and its payload with `values` put in.
    ///
    /// # Errors
    /// [`CannotStart`] when the dialect is watched only, or a value is missing.
    pub fn start(&self, values: &Values<'_>) -> Result<(&ByMethod, Value), CannotStart> {
        let Starts::ByMethod(by) = &self.starts else {
            let dialect = self.name.clone();
            return Err(CannotStart::WatchedOnly { dialect });
        };
        let payload = by.payload.fill(values).map_err(|missing| {
            let dialect = self.name.clone();
            CannotStart::Missing { dialect, missing }
        })?;
        Ok((by, payload))
    }
}
