//! What an emulator is started with, and why it may not start.

use std::fs::Permissions;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::faults::Conditions;
use super::store::{StoreError, private_folder};
use super::tagged::Tagged;
use super::tls::TlsError;
use crate::domain::id::InvalidDeviceId;
use crate::domain::profile::Tier;

/// What an emulator is started with. The default listens on free ports of
/// loopback and keeps nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where the service API listens; port 0 takes a free one.
    pub https: SocketAddr,
    /// Where devices connect; port 0 takes a free one.
    pub mqtt: SocketAddr,
    /// The name that clients and tokens use: a DNS name or an address.
    pub host_name: String,
    /// Keeps identities, keys, twins and the certificate in this folder.
    pub data: Option<PathBuf>,
    /// Where `ca.pem` goes; without it into `data`, else into a temporary
    /// folder that ends with the emulator.
    pub state: Option<PathBuf>,
    /// Enforces the rates, and the day's messages, of so many units of a tier.
    pub tier: Option<(Tier, u32)>,
    /// At least so many of the day's messages count as spent already.
    pub spent: u64,
    /// What is wrong with the hub, on purpose.
    pub conditions: Conditions,
    /// Tags that identities get when they are made here.
    pub tags: Vec<Tagged>,
    /// Lets in whoever sends a bearer token that this file holds, a line each. A
    /// stand-in for Entra ID: no role is looked at.
    pub bearers: Option<PathBuf>,
    /// Allows addresses that are not loopback.
    pub listen_anywhere: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            https: any_port,
            mqtt: any_port,
            host_name: "localhost".to_owned(),
            data: None,
            state: None,
            tier: None,
            spent: 0,
            conditions: Conditions::default(),
            tags: Vec::new(),
            bearers: None,
            listen_anywhere: false,
        }
    }
}

/// Why an emulator cannot start, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// An address that others can reach.
    #[error(
        "{flag} {address} is not a loopback address: everybody who reaches it could use the hub; \
         say --listen-anywhere if that is wanted"
    )]
    NotLoopback {
        /// The flag with the address.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// The port is taken, or not ours to take.
    #[error("{flag} {address} cannot be listened on: {}", explained(source))]
    Bind {
        /// The flag with the address.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A socket broke.
    #[error("a socket does not say its address: {0}")]
    Socket(io::Error),
    /// A name that no certificate or connection string can hold.
    #[error("{0:?} is no host name; use letters, digits, dots and hyphens, without a port")]
    HostName(String),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The kept state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The CA file.
    #[error("the CA file {0} cannot be written: {1}")]
    CaFile(PathBuf, io::Error),
    /// No temporary folder.
    #[error("no temporary folder can be made (TMPDIR says where): {0}")]
    Temporary(io::Error),
    /// The prefix of identities.
    #[error("the identities cannot be named so: {0}")]
    DeviceId(#[from] InvalidDeviceId),
    /// The hub refused its own wish.
    #[error("the identities cannot be made: {0}")]
    Refused(String),
    /// No random numbers.
    #[error("the system gives no random numbers: {0}")]
    Entropy(String),
}

fn explained(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use; end what uses it, or take port 0 for a free one".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a right of their own; take a higher one, or 0".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => source.to_string(),
    }
}

impl Settings {
    /// Refuses what should not be started.
    pub(super) fn check(&self) -> Result<(), EmulatorError> {
        for (flag, address) in [("--https", self.https), ("--mqtt", self.mqtt)] {
            if !self.listen_anywhere && !address.ip().is_loopback() {
                return Err(EmulatorError::NotLoopback { flag, address });
            }
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        let is_address = self.host_name.parse::<std::net::IpAddr>().is_ok();
        let is_name = !self.host_name.is_empty()
            && self.host_name.len() <= 253
            && self.host_name.chars().all(allowed);
        match is_address || is_name {
            true => Ok(()),
            false => Err(EmulatorError::HostName(self.host_name.clone())),
        }
    }

    /// The folder of the CA file, made private; a temporary one is given too.
    pub(super) fn folder(&self) -> Result<(PathBuf, Option<tempfile::TempDir>), EmulatorError> {
        if let Some(folder) = self.state.as_ref().or(self.data.as_ref()) {
            private_folder(folder)?;
            return Ok((folder.clone(), None));
        }
        let temporary = tempfile::Builder::new()
            .prefix("otadeck-emulator-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(EmulatorError::Temporary)?;
        Ok((temporary.path().to_owned(), Some(temporary)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("127.0.0.1:0", false, true)]
    #[case("[::1]:8443", false, true)]
    #[case("0.0.0.0:8443", false, false)]
    #[case("192.168.1.2:8443", false, false)]
    #[case("0.0.0.0:8443", true, true)]
    fn only_loopback_unless_told(
        #[case] address: &str,
        #[case] anywhere: bool,
        #[case] good: bool,
    ) {
        let settings = Settings {
            mqtt: address.parse().unwrap(),
            listen_anywhere: anywhere,
            ..Settings::default()
        };
        let checked = settings.check();
        assert_eq!(checked.is_ok(), good);
        if let Err(error) = checked {
            assert!(error.to_string().contains("--listen-anywhere"), "{error}");
        }
    }

    #[rstest::rstest]
    #[case("localhost", true)]
    #[case("contoso.azure-devices.net", true)]
    #[case("::1", true)]
    #[case("", false)]
    #[case("a;b", false)]
    #[case("localhost:8443", false)]
    fn host_names(#[case] name: &str, #[case] good: bool) {
        let settings = Settings {
            host_name: name.to_owned(),
            ..Settings::default()
        };
        assert_eq!(settings.check().is_ok(), good);
    }
}
