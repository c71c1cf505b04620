//! Shared access signatures, verified.
//!
//! What is signed is the resource *as it stands* in the token (`sr`, percent
//! escapes and all), a line feed and the expiry, so nothing is re-encoded here:
//! `%2F` and `%2f` are both right and give different signatures. Source:
//! "Control access to IoT Hub with SAS" in `MicrosoftDocs/azure-docs`
//! (`articles/iot-hub/authenticate-authorize-sas.md`) and
//! `common/core/src/shared_access_signature.ts` of `Azure/azure-iot-sdk-node`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::Sha256;

/// What tokens encode: all but letters, digits and `- _ . ~`.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A token's parts; the fields may come in any order.
#[derive(Clone, PartialEq, Eq)]
pub struct Token<'a> {
    /// `sr` as it stands.
    resource: &'a str,
    /// `sig`, decoded to bytes.
    signature: Vec<u8>,
    /// `se`: seconds since 1970, as it stands and as a number.
    expiry: (&'a str, i64),
    /// `skn`: the policy; absent for a device's own key.
    policy: Option<String>,
}

impl std::fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("resource", &self.resource)
            .field("expiry", &self.expiry.1)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl<'a> Token<'a> {
    /// Reads `SharedAccessSignature sr=…&sig=…&se=…[&skn=…]`; `None` when it is
    /// no such thing.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let fields = text.trim().strip_prefix("SharedAccessSignature")?;
        let fields = fields.strip_prefix(' ')?.trim();
        let (mut resource, mut signature, mut expiry, mut policy) = (None, None, None, None);
        for field in fields.split('&') {
            let (name, value) = field.split_once('=')?;
            match name {
                "sr" => resource = Some(value),
                "sig" => signature = STANDARD.decode(decoded(value)?.as_bytes()).ok(),
                "se" => expiry = value.parse().ok().map(|seconds| (value, seconds)),
                "skn" => policy = Some(decoded(value)?).filter(|name| !name.is_empty()),
                _ => {}
            }
        }
        Some(Self {
            resource: resource.filter(|r| !r.is_empty())?,
            signature: signature?,
            expiry: expiry?,
            policy,
        })
    }

    /// The policy named by `skn`.
    #[must_use]
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// When it ends.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.expiry.1).ok()
    }

    /// Is it over at `now`? There is no grace: emulator and clients mostly
    /// share a clock, and a token's end should be seen when it comes.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> bool {
        self.expiry.1 <= now.as_second()
    }

    /// Was it signed with `key` (base64)?
    #[must_use]
    pub fn signed_with(&self, key: &str) -> bool {
        mac(key, self.resource, self.expiry.0)
            .is_some_and(|mac| mac.verify_slice(&self.signature).is_ok())
    }

    /// The resource decoded: host name (lower case, no port) and the steps of
    /// the path. Clients of 2016 encoded it twice
    /// (`…net%252fdevices%252fdev1`), which the hub took.
    #[must_use]
    pub fn scope(&self) -> Option<Scope> {
        let mut text = decoded(self.resource)?;
        if text.contains('%') && !text.contains('/') {
            text = decoded(&text)?;
        }
        let mut steps = text.split('/').filter(|step| !step.is_empty());
        let host = host_without_port(steps.next()?).to_ascii_lowercase();
        Some(Scope {
            host,
            path: steps.map(str::to_owned).collect(),
        })
    }
}

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The hub's host name.
    pub host: String,
    /// `devices`, then the id, or nothing for the whole hub.
    pub path: Vec<String>,
}

impl Scope {
    /// Does it cover `path`? A token's resource must be a prefix of what is
    /// accessed.
    #[must_use]
    pub fn covers(&self, path: &[&str]) -> bool {
        self.path.len() <= path.len()
            && self.path.iter().zip(path).enumerate().all(|(n, (a, b))| {
                // "devices" in any case, the id exactly.
                a == b || (n % 2 == 0 && a.eq_ignore_ascii_case(b))
            })
    }
}

/// A host name without `:port`, an IPv6 address without brackets.
#[must_use]
pub fn host_without_port(host: &str) -> &str {
    if let Some(address) = host.strip_prefix('[') {
        return address.split(']').next().unwrap_or(address);
    }
    match host.split_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        // More colons: an IPv6 address.
        _ => host,
    }
}

/// A token for `resource`, signed with `key` (base64), that ends at `expiry`
/// (seconds since 1970). `None` when the key is no base64.
#[must_use]
pub fn sign(resource: &str, key: &str, expiry: i64, policy: Option<&str>) -> Option<String> {
    let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    let resource = encode(resource);
    let signature = mac(key, &resource, &expiry.to_string())?.finalize();
    let signature = encode(&STANDARD.encode(signature.into_bytes()));
    let policy = policy.map_or(String::new(), |name| format!("&skn={}", encode(name)));
    Some(format!(
        "SharedAccessSignature sr={resource}&sig={signature}&se={expiry}{policy}"
    ))
}

fn mac(key: &str, resource: &str, expiry: &str) -> Option<Hmac<Sha256>> {
    let key = STANDARD.decode(key).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(resource.as_bytes());
    mac.update(b"\n");
    mac.update(expiry.as_bytes());
    Some(mac)
}

fn decoded(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    Some(text.into_owned())
}

#[cfg(test)]
mod tests;
