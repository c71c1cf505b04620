//! A simulated device: the 2018 tutorial's device program, and what else a
//! its [`Rules`] make of it, on any hub, also the real one.
//!
//! | module | holds |
//! |---|---|
//! | `rules` | what devices do: the rules of a simulated world |
//! | `firmware` | the firmware, without I/O: inputs in, outputs out |
//! | `speech` | reported properties in each dialect's words |
//! | `order` | what a method's payload asks for |
//! | `client`, `session`, `dial` | the life of a device, one connection, the way to it |
//! | `topic` | IoT Hub's MQTT topics |
//! | `download` | the emulator's packages, really downloaded |
//! | `token`, `connection_string`, `tls` | who the device is and whom it trusts |
//! | `fleet` | many devices in one process |
//! | `notice`, `observer` | what is told, and to whom |
//!
//! ```text
//!  hub ──► session ──► firmware.step(input, moment) ──► outputs ──► reports ──► hub
//!             ▲              ▲  ticks, downloads                └─► notices
//! ```
//!
//! Nothing here is shared with the service client: the token, the connection
//! string and the topics are an own reading of the protocol.

mod client;
mod connection_string;
mod dial;
mod download;
mod firmware;
mod fleet;
mod notice;
mod observer;
mod order;
mod rules;
mod session;
mod speech;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod topic;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use connection_string::{ConnectionString, InvalidConnectionString};
pub use download::SHA256_HEADER;
pub use firmware::{Firmware, Input, Moment, Output};
pub use fleet::Fleet;
pub use notice::Notice;
pub use observer::Readiness;
pub use rules::{
    Answer, Behaviour, Case, DeviceDialect, Failure, FailurePhase, Reboots, Rule, Rules, Sayings,
    Silence, StartsAs, Step, UriReport, Vanishing,
};
pub use speech::WallTime;
pub use tls::TlsError;
pub use token::{BadKey, token};

/// How long a token lives, unless told otherwise: what the official device
/// SDKs take.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// What one simulated device needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which hub, which device, which key.
    pub connection_string: ConnectionString,
    /// Certificates (PEM) to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// What the devices of its world do, this one too.
    pub rules: Arc<Rules>,
    /// How long a token lives; the device comes back with a fresh one when
    /// 85 % of it have passed. The rules may say otherwise.
    pub token_lifetime: Duration,
}

impl Settings {
    /// Settings with the system's roots and tokens of an hour.
    #[must_use]
    pub fn new(connection_string: ConnectionString, rules: Arc<Rules>) -> Self {
        Self {
            connection_string,
            ca_file: None,
            rules,
            token_lifetime: TOKEN_LIFETIME,
        }
    }
}

/// Why a device cannot even be started. What happens later, refusals included,
/// is told by [`Notice`]s, and the device tries again.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The connection string's key.
    #[error(transparent)]
    Key(#[from] BadKey),
    /// The connection string's host.
    #[error("HostName {0:?} is no host name")]
    HostName(String),
}

/// Runs one device until `shutdown`, and tells what happens; a notice is lost
/// when `notices` is full.
///
/// # Errors
/// [`DeviceError`] for what would fail at every try. A hub that cannot be
/// reached or refuses the device is no error: see [`Notice::Disconnected`].
pub async fn run(
    settings: Settings,
    shutdown: CancellationToken,
    notices: mpsc::Sender<Notice>,
) -> Result<(), DeviceError> {
    dial::check(&settings.connection_string)?;
    let tls = tls::config(settings.ca_file.as_deref())?;
    let shared = dial::Shared::new(tls, dial::Shared::gate());
    let id = &settings.connection_string.device_id;
    let observer = observer::Observer::new(id, Some(notices), None);
    let device = client::Device::new(&settings, shared, observer);
    device.live(shutdown).await;
    Ok(())
}
