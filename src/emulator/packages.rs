//! Sample packages to put on devices: `/packages/{name}`, without auth.
//!
//! Their bytes follow from their names, so their hashes are known before they
//! are made; they are made when first asked for and kept.

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Value, json};

/// A sample package.
#[derive(Debug)]
pub struct Package {
    /// Its file name.
    pub name: &'static str,
    /// The version it would bring.
    pub version: &'static str,
    /// In bytes.
    pub size: usize,
    /// SHA-256 in lower-case hex.
    pub sha256: &'static str,
    bytes: OnceLock<Bytes>,
}

/// All sample packages, smallest first.
pub static PACKAGES: [Package; 3] = [
    Package::new(
        "fw-1.4.2.bin",
        "1.4.2",
        2,
        "280f21a4c520d8d24ca16ec3cdb8300c144fa6786702266835a0bc426c3b6563",
    ),
    Package::new(
        "fw-1.5.0.bin",
        "1.5.0",
        3,
        "70e499cabf95fae67012555fa19d0dfd73316d2a373b4a672c05d4f5de637f47",
    ),
    Package::new(
        "fw-2.0.0.bin",
        "2.0.0",
        4,
        "44c1a08eaf3a1ed125883375a2d9cab0f60870089b984befa4b5a416dba7bd29",
    ),
];

/// The package called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Package> {
    PACKAGES.iter().find(|package| package.name == name)
}

/// What `/packages/` says: name, version, size, hash and path of each.
#[must_use]
pub fn index() -> Value {
    PACKAGES
        .iter()
        .map(|package| {
            json!({
                "name": package.name,
                "version": package.version,
                "size": package.size,
                "sha256": package.sha256,
                "path": format!("/packages/{}", package.name),
            })
        })
        .collect()
}

impl Package {
    const fn new(
        name: &'static str,
        version: &'static str,
        megabytes: usize,
        sha256: &'static str,
    ) -> Self {
        Self {
            name,
            version,
            size: megabytes * 1024 * 1024,
            sha256,
            bytes: OnceLock::new(),
        }
    }

    /// The package itself: a line that names it, then noise.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        let make = || {
            let mut bytes = Vec::with_capacity(self.size + 8);
            bytes.extend_from_slice(
                format!("otadeck sample firmware {}\n", self.version).as_bytes(),
            );
            let seed = self
                .name
                .bytes()
                .fold(0x9e37_79b9_7f4a_7c15_u64, |seed, byte| {
                    (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                });
            let mut state = seed | 1;
            while bytes.len() < self.size {
                // xorshift64: noise that no compressor shrinks.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                bytes.extend_from_slice(&state.to_le_bytes());
            }
            bytes.truncate(self.size);
            Bytes::from(bytes)
        };
        self.bytes.get_or_init(make).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn the_hashes_are_those_of_the_bytes() {
        for package in &PACKAGES {
            let bytes = package.bytes();
            let digest = Sha256::digest(&bytes);
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!((bytes.len(), hex.as_str()), (package.size, package.sha256));
        }
        assert_eq!(index()[1]["path"], "/packages/fw-1.5.0.bin");
        assert!(find("fw-9.bin").is_none());
    }
}
