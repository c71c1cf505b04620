//! Shared access policies and their rights.
//!
//! The five that every hub has, with two keys each. Rights: "Control access to
//! IoT Hub with SAS" in `MicrosoftDocs/azure-docs`; registry reads need
//! `RegistryRead`, registry writes `RegistryWrite`; twins, queries and methods
//! need `ServiceConnect`; acting for a device needs `DeviceConnect`.

use serde::{Deserialize, Serialize};

/// A right that a policy gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Read identities.
    RegistryRead,
    /// Write identities.
    RegistryWrite,
    /// Twins, queries, methods.
    ServiceConnect,
    /// Be a device.
    DeviceConnect,
}

/// One shared access policy.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name, the `skn` of tokens.
    pub name: String,
    /// Its first key, base64 of 32 bytes.
    pub primary: String,
    /// Its second key; both verify.
    pub secondary: String,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The names of the policies of every hub.
pub const NAMES: [&str; 5] = [
    "iothubowner",
    "service",
    "device",
    "registryRead",
    "registryReadWrite",
];

impl Policy {
    /// Does the policy give `right`?
    #[must_use]
    pub fn gives(&self, right: Right) -> bool {
        use Right::{DeviceConnect, RegistryRead, RegistryWrite, ServiceConnect};
        matches!(
            (self.name.as_str(), right),
            ("iothubowner", _)
                | ("service", ServiceConnect)
                | ("device", DeviceConnect)
                | ("registryRead", RegistryRead)
                | ("registryReadWrite", RegistryRead | RegistryWrite)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Right::{DeviceConnect, RegistryRead, RegistryWrite, ServiceConnect};

    #[rstest::rstest]
    #[case("iothubowner", &[RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect])]
    #[case("service", &[ServiceConnect])]
    #[case("device", &[DeviceConnect])]
    #[case("registryRead", &[RegistryRead])]
    #[case("registryReadWrite", &[RegistryRead, RegistryWrite])]
    #[case("other", &[])]
    fn rights(#[case] name: &str, #[case] given: &[Right]) {
        let policy = Policy {
            name: name.to_owned(),
            primary: String::new(),
            secondary: String::new(),
        };
        for right in [RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect] {
            assert_eq!(policy.gives(right), given.contains(&right), "{right:?}");
        }
    }
}
