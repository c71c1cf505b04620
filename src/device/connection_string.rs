//! A device's connection string, read by this room's own hand.

use std::fmt;

use secrecy::SecretString;

/// The port of MQTT over TLS.
const DEFAULT_PORT: u16 = 8883;

/// `HostName=…;DeviceId=…;SharedAccessKey=…`, as the portal and
/// `az iot hub device-identity connection-string show` give it.
///
/// Field names are read without regard to case and in any order; a trailing
/// `;` is fine. Beyond Microsoft's form the host name may carry a port, which
/// is the MQTT port (default 8883). `Debug` hides the key.
#[derive(Clone)]
pub struct ConnectionString {
    /// The hub's name, without a port.
    pub host: String,
    /// The MQTT port.
    pub port: u16,
    /// The device.
    pub device_id: String,
    /// The module of that device, if the string is a module's.
    pub module_id: Option<String>,
    /// The shared access policy whose key this is; absent for a device's own.
    pub policy: Option<String>,
    /// The key, in base64.
    pub key: SecretString,
}

/// Why a text is no device connection string. No message holds a value that
/// could be a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConnectionString {
    /// Nothing was given.
    #[error("the device connection string is empty")]
    Empty,
    /// A part without `=`.
    #[error("part {0} of the device connection string has no '='")]
    NoValue(usize),
    /// A field that is needed.
    #[error(
        "the device connection string has no {0}; it looks like HostName=…;DeviceId=…;SharedAccessKey=…"
    )]
    Missing(&'static str),
    /// A service's string where a device's is needed.
    #[error("this is a service connection string; a device needs its own, with DeviceId=…")]
    Service,
    /// Another way of proving who one is.
    #[error("{0} is not supported here; use a connection string with SharedAccessKey")]
    Unsupported(&'static str),
    /// A port that is none.
    #[error("the host name's port is no number between 1 and 65535")]
    Port,
}

impl ConnectionString {
    /// Reads a connection string.
    ///
    /// # Errors
    /// [`InvalidConnectionString`] names the field that is wrong or missing.
    pub fn parse(text: &str) -> Result<Self, InvalidConnectionString> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidConnectionString::Empty);
        }
        let mut fields = Fields::default();
        for (n, part) in text.split(';').enumerate() {
            if part.trim().is_empty() {
                continue;
            }
            let (name, value) = part
                .split_once('=')
                .ok_or(InvalidConnectionString::NoValue(n + 1))?;
            fields.take(name.trim(), value.trim())?;
        }
        fields.finish()
    }

    /// `{deviceId}` or `{deviceId}/{moduleId}`: the MQTT client id.
    #[must_use]
    pub fn client_id(&self) -> String {
        match &self.module_id {
            None => self.device_id.clone(),
            Some(module) => format!("{}/{module}", self.device_id),
        }
    }

    /// `{host}/devices/{id}[/modules/{id}]`: what a token is for.
    #[must_use]
    pub fn resource(&self) -> String {
        let device = format!("{}/devices/{}", self.host, self.device_id);
        match &self.module_id {
            None => device,
            Some(module) => format!("{device}/modules/{module}"),
        }
    }
}

#[derive(Default)]
struct Fields {
    host: Option<String>,
    device: Option<String>,
    module: Option<String>,
    policy: Option<String>,
    key: Option<SecretString>,
}

impl Fields {
    fn take(&mut self, name: &str, value: &str) -> Result<(), InvalidConnectionString> {
        let owned = Some(value.to_owned()).filter(|v| !v.is_empty());
        match name.to_ascii_lowercase().as_str() {
            "hostname" => self.host = owned,
            "deviceid" => self.device = owned,
            "moduleid" => self.module = owned,
            "sharedaccesskeyname" => self.policy = owned,
            "sharedaccesskey" => self.key = owned.map(SecretString::from),
            "sharedaccesssignature" => {
                return Err(InvalidConnectionString::Unsupported(
                    "SharedAccessSignature",
                ));
            }
            "x509" => return Err(InvalidConnectionString::Unsupported("x509")),
            "gatewayhostname" => {
                return Err(InvalidConnectionString::Unsupported("GatewayHostName"));
            }
            _ => {} // newer fields of Microsoft's are none of ours
        }
        Ok(())
    }

    fn finish(self) -> Result<ConnectionString, InvalidConnectionString> {
        let missing = InvalidConnectionString::Missing;
        let device_id = match (self.device, &self.policy) {
            (Some(device), _) => device,
            (None, Some(_)) => return Err(InvalidConnectionString::Service),
            (None, None) => return Err(missing("DeviceId")),
        };
        let (host, port) = split_port(&self.host.ok_or(missing("HostName"))?)?;
        Ok(ConnectionString {
            host,
            port,
            device_id,
            module_id: self.module,
            policy: self.policy,
            key: self.key.ok_or(missing("SharedAccessKey"))?,
        })
    }
}

/// `name`, `name:port`, `[::1]:port`; the brackets go.
fn split_port(host: &str) -> Result<(String, u16), InvalidConnectionString> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => return Err(InvalidConnectionString::Port),
            Ok(port) => port,
        },
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    if name.is_empty() {
        return Err(InvalidConnectionString::Missing("HostName"));
    }
    Ok((name.to_owned(), port))
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionString")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("device_id", &self.device_id)
            .field("module_id", &self.module_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::InvalidConnectionString as Bad;
    use super::*;

    #[rstest::rstest]
    #[case(
        "HostName=hub.test;DeviceId=d;SharedAccessKey=AA==",
        "hub.test",
        8883,
        "d",
        "AA=="
    )]
    #[case(
        "sharedaccesskey=a=b=;DEVICEID=d; HostName=h:8884 ;",
        "h",
        8884,
        "d",
        "a=b="
    )]
    #[case("HostName=[::1]:1;DeviceId=d;SharedAccessKey=k", "::1", 1, "d", "k")]
    fn strings_are_read(
        #[case] text: &str,
        #[case] host: &str,
        #[case] port: u16,
        #[case] device: &str,
        #[case] key: &str,
    ) {
        let read = ConnectionString::parse(text).unwrap();
        assert_eq!(
            (read.host.as_str(), read.port, read.device_id.as_str()),
            (host, port, device)
        );
        assert_eq!(read.key.expose_secret(), key);
        assert!(!format!("{read:?}").contains(key) || key == "k");
    }

    #[rstest::rstest]
    #[case("", Bad::Empty)]
    #[case("HostName", Bad::NoValue(1))]
    #[case("HostName=h;DeviceId=d", Bad::Missing("SharedAccessKey"))]
    #[case("DeviceId=d;SharedAccessKey=k", Bad::Missing("HostName"))]
    #[case("HostName=:1;DeviceId=d;SharedAccessKey=k", Bad::Missing("HostName"))]
    #[case("HostName=h;SharedAccessKey=k", Bad::Missing("DeviceId"))]
    #[case(
        "HostName=h;SharedAccessKeyName=service;SharedAccessKey=k",
        Bad::Service
    )]
    #[case("HostName=h;DeviceId=d;x509=true", Bad::Unsupported("x509"))]
    #[case("HostName=h:x;DeviceId=d;SharedAccessKey=k", Bad::Port)]
    #[case("HostName=h:0;DeviceId=d;SharedAccessKey=k", Bad::Port)]
    fn mistakes_are_named(#[case] text: &str, #[case] want: Bad) {
        assert_eq!(ConnectionString::parse(text).unwrap_err(), want);
    }

    #[test]
    fn a_module_has_its_own_client_id_and_resource() {
        let text = "HostName=h;DeviceId=gw1;ModuleId=telemetry;SharedAccessKey=k";
        let read = ConnectionString::parse(text).unwrap();
        assert_eq!(read.client_id(), "gw1/telemetry");
        assert_eq!(read.resource(), "h/devices/gw1/modules/telemetry");
    }
}
