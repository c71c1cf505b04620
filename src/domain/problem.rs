//! What went wrong, in words an operator can act on.
//!
//! Every room has typed errors of its own; what leaves a room for a screen, an
//! event or an exit code becomes a [`Problem`] in one place of that room.

use serde::{Deserialize, Serialize};

use super::holding::Holding;

/// What kind of problem it is; exit codes and link states follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// No connection: DNS, refused, timed out before anything was sent.
    Unreachable,
    /// The certificate is not trusted or TLS failed otherwise.
    Tls,
    /// A proxy refused.
    Proxy,
    /// 401 or 403: the hub does not let us.
    Unauthorized,
    /// No such device.
    NoSuchDevice,
    /// The device is not connected, or has no method callback.
    DeviceOffline,
    /// 429 or the day's messages are spent.
    Throttled,
    /// Any 5xx, or an answer that came too late.
    Server,
    /// An answer that is not IoT Hub's, or cut in the middle.
    Protocol,
    /// The request itself was wrong.
    BadRequest,
    /// The journal cannot be read or written.
    Journal,
    /// Another update holds the device.
    Busy,
    /// The hub's profile is read-only.
    ReadOnly,
    /// The hub is production and nobody confirmed its name.
    Unconfirmed,
    /// A matter of dialects: no update can be started in the device's, or which
    /// one it speaks cannot be told.
    Dialect,
    /// The hub's rules or the URI itself forbid this package.
    NotAllowed,
    /// A defect of otadeck.
    Internal,
}

/// A problem as shown: what failed, why, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// What kind of problem it is.
    pub kind: Kind,
    /// What did not work, with its object: `cannot read the twin of press-7`.
    pub title: String,
    /// Why, as far as known; harmless text.
    pub cause: String,
    /// What was not done, and what to do next; may be empty.
    pub hint: String,
    /// The hub's own number, 404103 for example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// Who holds the device, when that is what is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holding: Option<Box<Holding>>,
}

impl Problem {
    /// A problem of that kind.
    #[must_use]
    pub fn new(kind: Kind, title: impl Into<String>, cause: impl Into<String>) -> Self {
        Self {
            kind,
            title: title.into(),
            cause: cause.into(),
            hint: String::new(),
            code: None,
            holding: None,
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same with whoever holds the device.
    #[must_use]
    pub fn held(mut self, holding: Holding) -> Self {
        self.holding = Some(Box::new(holding));
        self
    }

    /// Title and cause in one line.
    #[must_use]
    pub fn line(&self) -> String {
        if self.cause.is_empty() {
            self.title.clone()
        } else {
            format!("{}: {}", self.title, self.cause)
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line())?;
        if self.hint.is_empty() {
            return Ok(());
        }
        write!(f, "\n  {}", self.hint)
    }
}

impl std::error::Error for Problem {}
