//! Service connection strings.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretSlice};

use super::address::{Address, InvalidAddress};

/// `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`, checked. The host may
/// carry a port (`localhost:8443`), which a real hub never needs.
#[derive(Clone)]
pub struct ConnectionString {
    /// Where the hub is.
    pub at: Address,
    /// The policy's name, `service` for example.
    pub policy: String,
    key: SecretSlice<u8>,
}

/// Why a text is no service connection string. None of these texts holds any
/// part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConnectionString {
    /// Nothing was given.
    #[error("the connection string is empty")]
    Empty,
    /// A part without `=`.
    #[error("part {0} of the connection string has no '='; parts are separated by ';'")]
    NotAPair(usize),
    /// A field that must be there is not.
    #[error(
        "the connection string has no {0}; a service connection string reads \
         HostName=…;SharedAccessKeyName=…;SharedAccessKey=…"
    )]
    Missing(&'static str),
    /// It is a device's.
    #[error(
        "this is a device's connection string; the console needs one of the hub's shared \
         access policies, 'service' for example"
    )]
    OfADevice,
    /// The host holds what no host name holds, a wrong separator for example.
    #[error("HostName holds {0:?}, which no host name holds; fields are separated by ';'")]
    Host(char),
    /// The port is no port.
    #[error("HostName has a port that is no number between 1 and 65535")]
    Port,
    /// The policy's name holds a character that no policy may hold.
    #[error("SharedAccessKeyName holds {0:?}; allowed are letters, digits and _ - @ .")]
    Policy(char),
    /// The key is not base64.
    #[error("SharedAccessKey is not base64; was it copied whole?")]
    Key,
}

impl ConnectionString {
    /// Reads a connection string. Fields come in any order, their names in any
    /// case; a trailing `;` and white space around it do no harm.
    ///
    /// # Errors
    /// [`InvalidConnectionString`] says which field is wrong, never its secret.
    pub fn parse(text: &str) -> Result<Self, InvalidConnectionString> {
        use InvalidConnectionString as E;
        let text = text.trim().trim_matches('"');
        if text.is_empty() {
            return Err(E::Empty);
        }
        let (mut host, mut policy, mut key) = (None, None, None);
        for (n, part) in text.split(';').enumerate() {
            if part.trim().is_empty() {
                continue;
            }
            let (name, value) = part.split_once('=').ok_or(E::NotAPair(n + 1))?;
            match name.trim().to_ascii_lowercase().as_str() {
                "hostname" => host = Some(value.trim()),
                "sharedaccesskeyname" => policy = Some(value.trim()),
                "sharedaccesskey" => key = Some(value.trim()),
                "deviceid" | "moduleid" => return Err(E::OfADevice),
                _ => {}
            }
        }
        let at = Address::parse(host.ok_or(E::Missing("HostName"))?)?;
        let policy = policy.ok_or(E::Missing("SharedAccessKeyName"))?;
        if policy.is_empty() {
            return Err(E::Missing("SharedAccessKeyName"));
        }
        if let Some(bad) = policy
            .chars()
            .find(|c| !(c.is_ascii_alphanumeric() || "_-@.".contains(*c)))
        {
            return Err(E::Policy(bad));
        }
        let key = key.ok_or(E::Missing("SharedAccessKey"))?;
        let key = STANDARD.decode(key).map_err(|_| E::Key)?;
        if key.is_empty() {
            return Err(E::Key);
        }
        Ok(Self {
            at,
            policy: policy.to_owned(),
            key: key.into(),
        })
    }

    /// The key's bytes, for signing.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.expose_secret()
    }

    /// The host, with its port when that is not 443.
    #[must_use]
    pub fn address(&self) -> String {
        self.at.to_string()
    }
}

impl From<InvalidAddress> for InvalidConnectionString {
    fn from(error: InvalidAddress) -> Self {
        match error {
            InvalidAddress::Empty => Self::Missing("HostName"),
            InvalidAddress::Char(bad) => Self::Host(bad),
            InvalidAddress::Port => Self::Port,
        }
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionString")
            .field("at", &self.at)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::InvalidConnectionString as E;
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[rstest::rstest]
    #[case(
        "HostName=A.azure-devices.net;SharedAccessKeyName=service;SharedAccessKey={K}",
        "a.azure-devices.net",
        443
    )]
    #[case("sharedaccesskey={K};HOSTNAME=a.b;SharedAccessKeyName=s;", "a.b", 443)]
    #[case(
        "  HostName=localhost:8443;SharedAccessKeyName=s;SharedAccessKey={K}\n",
        "localhost",
        8443
    )]
    #[case(
        "HostName=[::1]:8443;SharedAccessKeyName=s;SharedAccessKey={K}",
        "[::1]",
        8443
    )]
    fn good_ones(#[case] text: &str, #[case] host: &str, #[case] port: u16) {
        let parsed = ConnectionString::parse(&text.replace("{K}", KEY)).unwrap();
        assert_eq!((parsed.at.host.as_str(), parsed.at.port), (host, port));
        assert_eq!(parsed.key(), (0..32).collect::<Vec<u8>>());
        assert!(!format!("{parsed:?}").contains("AAEC"));
    }

    #[rstest::rstest]
    #[case("", E::Empty)]
    #[case("nonsense", E::NotAPair(1))]
    #[case("HostName=a;SharedAccessKeyName=s", E::Missing("SharedAccessKey"))]
    #[case("HostName=a;SharedAccessKey={K}", E::Missing("SharedAccessKeyName"))]
    #[case("SharedAccessKeyName=s;SharedAccessKey={K}", E::Missing("HostName"))]
    #[case("HostName=a;DeviceId=d;SharedAccessKey={K}", E::OfADevice)]
    #[case("HostName=a b;SharedAccessKeyName=s;SharedAccessKey={K}", E::Host(' '))]
    #[case("HostName=a:99999;SharedAccessKeyName=s;SharedAccessKey={K}", E::Port)]
    #[case(
        "HostName=a;SharedAccessKeyName=s/t;SharedAccessKey={K}",
        E::Policy('/')
    )]
    #[case("HostName=a;SharedAccessKeyName=s;SharedAccessKey=%%", E::Key)]
    #[case("HostName=a,SharedAccessKeyName=s,SharedAccessKey={K}", E::Host(','))]
    #[case("HostName=a:1,SharedAccessKey={K};SharedAccessKeyName=s", E::Host(','))]
    fn bad_ones_say_why(#[case] text: &str, #[case] why: E) {
        let error = ConnectionString::parse(&text.replace("{K}", KEY)).unwrap_err();
        assert_eq!(error, why);
        assert!(!error.to_string().contains("AAEC"));
    }
}
