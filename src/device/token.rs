//! The token with which a device proves who it is: this room's own reading of
//! the rule, so that the hub's and the service client's can be wrong without it.
//!
//! Source: `MicrosoftDocs/azure-docs`
//! `articles/iot-hub/authenticate-authorize-sas.md`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// Everything but `A–Z a–z 0–9 - _ . ~` is escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Percent-encodes `text` as tokens and the MQTT user name want it.
pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// The key is not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SharedAccessKey is not base64")]
pub struct BadKey;

/// `SharedAccessSignature sr=…&sig=…&se=…[&skn=…]` for `resource`
/// (`{host}/devices/{id}`, not yet encoded), valid until `expiry` (seconds
/// since 1970, UTC). `policy` names the shared access policy whose key it is;
/// a device's own key needs none.
///
/// # Errors
/// [`BadKey`] when the key is not base64.
pub fn token(
    resource: &str,
    key: &SecretString,
    expiry: i64,
    policy: Option<&str>,
) -> Result<SecretString, BadKey> {
    let resource = escape(resource);
    let key = BASE64.decode(key.expose_secret()).map_err(|_| BadKey)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| BadKey)?;
    mac.update(format!("{resource}\n{expiry}").as_bytes());
    let signature = escape(&BASE64.encode(mac.finalize().into_bytes()));
    let policy = policy.map_or_else(String::new, |policy| format!("&skn={policy}"));
    Ok(SecretString::from(format!(
        "SharedAccessSignature sr={resource}&sig={signature}&se={expiry}{policy}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const K1: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const K2: &str = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=";

    // Compared with azure-iot-common 1.13.3 (Node), azure-iot-hub 2.7.0 and
    // azure-iot-device 2.14.0 (Python).
    #[rstest::rstest]
    #[case::device(
        "contoso.azure-devices.net/devices/MyDevice01",
        K2,
        1_767_225_600,
        None,
        "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2FMyDevice01&sig=Ms22F5FVrng2Fi1YXO%2FejHJWT2cbbCYwlXdYsTRn6hg%3D&se=1767225600"
    )]
    #[case::slash_and_plus_in_the_signature(
        "contoso.azure-devices.net/devices/MyDevice01",
        K2,
        1_767_225_603,
        None,
        "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2FMyDevice01&sig=%2BL4HxTPkoq%2FAUD2aBUSpUY%2FxPTU%2BrXC4wvIs2%2B0MynU%3D&se=1767225603"
    )]
    #[case::reserved_characters_in_the_id(
        "contoso.azure-devices.net/devices/dev-1:a@b$c",
        K2,
        1_893_456_000,
        None,
        "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2Fdev-1%3Aa%40b%24c&sig=2J8SWbsUAI919Z9EdHrjWr21%2B5To5ua6p%2BUJ6kQ5rZ8%3D&se=1893456000"
    )]
    #[case::module(
        "contoso.azure-devices.net/devices/gw1/modules/telemetry",
        K2,
        1_893_456_000,
        None,
        "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2Fgw1%2Fmodules%2Ftelemetry&sig=RQJkik7yrxHeaOpuBDfFJN0rkhE2qTLStAM3vt0TWVY%3D&se=1893456000"
    )]
    #[case::policy_for_a_device(
        "contoso.azure-devices.net/devices/MyDevice01",
        K1,
        1_767_225_600,
        Some("device"),
        "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2FMyDevice01&sig=Rn1z3LTQKSd8ipKdETk%2BoxrgqnzgySMJaAkZZmk3LoQ%3D&se=1767225600&skn=device"
    )]
    fn tokens_are_those_of_the_official_sdks(
        #[case] resource: &str,
        #[case] key: &str,
        #[case] expiry: i64,
        #[case] policy: Option<&str>,
        #[case] want: &str,
    ) {
        let got = token(resource, &SecretString::from(key), expiry, policy).unwrap();
        assert_eq!(got.expose_secret(), want);
    }

    #[test]
    fn a_key_that_is_no_base64_is_said_to_be_none() {
        let got = token("h/devices/d", &SecretString::from("not base64!"), 1, None);
        assert_eq!(got.unwrap_err(), BadKey);
    }
}
