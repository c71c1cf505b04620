//! Shared access signatures, service side.
//!
//! `SharedAccessSignature sr={R}&sig={S}&se={E}&skn={P}`, where R is the
//! percent-encoded resource, E the expiry in seconds since 1970, and S the
//! percent-encoded base64 of HMAC-SHA256 over `R\nE`. Source: Azure IoT Hub
//! documentation, "Control access to IoT Hub with shared access signatures"
//! (`articles/iot-hub/authenticate-authorize-sas.md`, 2025).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

/// Everything but letters, digits and `- _ . ~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Percent-encodes a text as SAS tokens and paths want it.
#[must_use]
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A token for `resource` that expires at `expiry` (seconds since 1970), signed
/// with a policy's key.
#[must_use]
pub fn token(resource: &str, key: &[u8], expiry: i64, policy: Option<&str>) -> String {
    token_for_encoded(&encode(resource), key, expiry, policy)
}

/// The same for a resource that is percent-encoded already: what is signed is
/// the spelling, so `%2F` and `%2f` give different and equally valid tokens.
#[must_use]
pub fn token_for_encoded(resource: &str, key: &[u8], expiry: i64, policy: Option<&str>) -> String {
    // An HMAC key may have any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(format!("{resource}\n{expiry}").as_bytes());
    let signature = encode(&STANDARD.encode(mac.finalize().into_bytes()));
    let policy = policy.map_or_else(String::new, |name| format!("&skn={name}"));
    format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}{policy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    // The keys are the bytes 00…1f and ff…e0. The tokens were computed with the
    // official Node and Python packages (azure-iot-common 1.13.3, azure-iot-hub
    // 2.7.0, azure-iot-device 2.14.0).
    fn k1() -> Vec<u8> {
        (0x00..=0x1f).collect()
    }
    fn k2() -> Vec<u8> {
        (0xe0..=0xff).rev().collect()
    }

    #[rstest::rstest]
    #[case(
        "contoso.azure-devices.net",
        k1(),
        1_767_225_600,
        Some("service"),
        "sr=contoso.azure-devices.net&sig=SSSoHvxGCt2uFBjrGc0xqVaANQffx5HoaBVRjl5Dkao%3D&se=1767225600&skn=service"
    )]
    #[case(
        "contoso.azure-devices.net",
        k1(),
        1_767_225_600,
        Some("iothubowner"),
        "sr=contoso.azure-devices.net&sig=SSSoHvxGCt2uFBjrGc0xqVaANQffx5HoaBVRjl5Dkao%3D&se=1767225600&skn=iothubowner"
    )]
    #[case(
        "contoso.azure-devices.net",
        k1(),
        1_767_225_601,
        Some("service"),
        "sr=contoso.azure-devices.net&sig=%2BZu0DBDG7I2Ym9MCkDsUG4xiK2Z57%2Bi0MF%2FGTfDNtEo%3D&se=1767225601&skn=service"
    )]
    #[case(
        "contoso.azure-devices.net/devices/MyDevice01",
        k2(),
        1_767_225_600,
        None,
        "sr=contoso.azure-devices.net%2Fdevices%2FMyDevice01&sig=Ms22F5FVrng2Fi1YXO%2FejHJWT2cbbCYwlXdYsTRn6hg%3D&se=1767225600"
    )]
    #[case(
        "contoso.azure-devices.net/devices/MyDevice01",
        k1(),
        1_767_225_600,
        Some("device"),
        "sr=contoso.azure-devices.net%2Fdevices%2FMyDevice01&sig=Rn1z3LTQKSd8ipKdETk%2BoxrgqnzgySMJaAkZZmk3LoQ%3D&se=1767225600&skn=device"
    )]
    #[case(
        "contoso.azure-devices.net/devices/MyDevice01",
        k2(),
        1_767_225_603,
        None,
        "sr=contoso.azure-devices.net%2Fdevices%2FMyDevice01&sig=%2BL4HxTPkoq%2FAUD2aBUSpUY%2FxPTU%2BrXC4wvIs2%2B0MynU%3D&se=1767225603"
    )]
    #[case(
        "contoso.azure-devices.net/devices/dev-1:a@b$c",
        k2(),
        1_893_456_000,
        None,
        "sr=contoso.azure-devices.net%2Fdevices%2Fdev-1%3Aa%40b%24c&sig=2J8SWbsUAI919Z9EdHrjWr21%2B5To5ua6p%2BUJ6kQ5rZ8%3D&se=1893456000"
    )]
    #[case(
        "contoso.azure-devices.net/devices/gw1/modules/telemetry",
        k2(),
        1_893_456_000,
        None,
        "sr=contoso.azure-devices.net%2Fdevices%2Fgw1%2Fmodules%2Ftelemetry&sig=RQJkik7yrxHeaOpuBDfFJN0rkhE2qTLStAM3vt0TWVY%3D&se=1893456000"
    )]
    fn vectors(
        #[case] resource: &str,
        #[case] key: Vec<u8>,
        #[case] expiry: i64,
        #[case] policy: Option<&str>,
        #[case] want: &str,
    ) {
        assert_eq!(
            token(resource, &key, expiry, policy),
            format!("SharedAccessSignature {want}")
        );
    }

    #[test]
    fn the_spelling_of_the_resource_is_what_is_signed() {
        let resource = "contoso.azure-devices.net%2fdevices%2fMyDevice01";
        assert_eq!(
            token_for_encoded(resource, &k2(), 1_767_225_600, None),
            format!(
                "SharedAccessSignature sr={resource}\
                 &sig=2h8pVBqwTpt3LF7VW048gLZEJaIY65QO7VtOcuQ0s9o%3D&se=1767225600"
            )
        );
    }
}
