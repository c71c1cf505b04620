//! Where a hub is: its host name, and a port for hubs of one's own.

use std::fmt;

/// The usual port, which is not shown.
const HTTPS: u16 = 443;

/// A host with its port. A real hub never needs a port, an emulator does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The host name, without a port, in lower case.
    pub host: String,
    /// The port, 443 when none was given.
    pub port: u16,
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// There is no name.
    #[error("it is empty; a hub's host reads NAME.azure-devices.net")]
    Empty,
    /// It holds what no host name holds.
    #[error("it holds {0:?}, which no host name holds; write NAME.azure-devices.net")]
    Char(char),
    /// The port is none.
    #[error("its port is no number between 1 and 65535")]
    Port,
}

impl Address {
    /// Reads `host` or `host:port`.
    ///
    /// # Errors
    /// [`InvalidAddress`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        use InvalidAddress as E;
        let (host, port) = match text.rsplit_once(':') {
            Some((host, _)) if host.contains(':') && !host.ends_with(']') => (text, None),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
        if host.is_empty() {
            return Err(E::Empty);
        }
        if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
            return Err(E::Char(bad));
        }
        let port = match port {
            None => HTTPS,
            Some(port) => {
                let port = port.parse::<u16>().ok();
                port.filter(|port| *port > 0).ok_or(E::Port)?
            }
        };
        // Names are the same in any case, and what is kept under one must be found.
        let host = host.to_ascii_lowercase();
        Ok(Self { host, port })
    }

    /// The first label of the host name: what people call the hub.
    #[must_use]
    pub fn short_name(&self) -> &str {
        self.host.split('.').next().unwrap_or(&self.host)
    }

    /// Does the host stand for this machine?
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_matches(['[', ']']);
        let address = bare.parse::<std::net::IpAddr>();
        bare.eq_ignore_ascii_case("localhost") || address.is_ok_and(|ip| ip.is_loopback())
    }
}

/// The host, with its port when that is not 443.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            HTTPS => f.write_str(&self.host),
            port => write!(f, "{}:{port}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::InvalidAddress as E;
    use super::*;

    #[rstest::rstest]
    #[case("Plant.azure-devices.net", "plant.azure-devices.net", "plant", false)]
    #[case("localhost:8443", "localhost:8443", "localhost", true)]
    #[case("127.0.0.1:443", "127.0.0.1", "127", true)]
    #[case("[::1]:8443", "[::1]:8443", "[::1]", true)]
    fn good_ones(#[case] text: &str, #[case] shown: &str, #[case] short: &str, #[case] own: bool) {
        let address = Address::parse(text).unwrap();
        assert_eq!(address.to_string(), shown);
        assert_eq!((address.short_name(), address.is_loopback()), (short, own));
    }

    #[rstest::rstest]
    #[case("", E::Empty)]
    #[case(":443", E::Empty)]
    #[case("https://plant.azure-devices.net", E::Char('/'))]
    #[case("plant.azure-devices.net/", E::Char('/'))]
    #[case("plant .net", E::Char(' '))]
    #[case("plant:0", E::Port)]
    #[case("plant:https", E::Port)]
    fn bad_ones_say_why(#[case] text: &str, #[case] why: E) {
        assert_eq!(Address::parse(text), Err(why));
    }
}
