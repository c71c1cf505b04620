//! Signature vectors: computed independently and equal to what
//! `azure-iot-common` 1.13.3 (Node), `azure-iot-hub` 2.7.0 and
//! `azure-iot-device` 2.14.0 (Python) make.

use super::*;

const K1: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const K2: &str = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=";

#[rstest::rstest]
#[case(
    K1,
    "contoso.azure-devices.net",
    Some("service"),
    "SharedAccessSignature sr=contoso.azure-devices.net&sig=SSSoHvxGCt2uFBjrGc0xqVaANQffx5HoaBVRjl5Dkao%3D&se=1767225600&skn=service"
)]
#[case(
    K1,
    "contoso.azure-devices.net",
    Some("iothubowner"),
    "SharedAccessSignature sr=contoso.azure-devices.net&sig=SSSoHvxGCt2uFBjrGc0xqVaANQffx5HoaBVRjl5Dkao%3D&se=1767225600&skn=iothubowner"
)]
#[case(
    K1,
    "contoso.azure-devices.net",
    Some("service"),
    "SharedAccessSignature sr=contoso.azure-devices.net&sig=%2BZu0DBDG7I2Ym9MCkDsUG4xiK2Z57%2Bi0MF%2FGTfDNtEo%3D&se=1767225601&skn=service"
)]
#[case(
    K2,
    "contoso.azure-devices.net/devices/MyDevice01",
    None,
    "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2FMyDevice01&sig=Ms22F5FVrng2Fi1YXO%2FejHJWT2cbbCYwlXdYsTRn6hg%3D&se=1767225600"
)]
#[case(
    K2,
    "contoso.azure-devices.net/devices/MyDevice01",
    None,
    "SharedAccessSignature sr=contoso.azure-devices.net%2fdevices%2fMyDevice01&sig=2h8pVBqwTpt3LF7VW048gLZEJaIY65QO7VtOcuQ0s9o%3D&se=1767225600"
)]
#[case(
    K2,
    "contoso.azure-devices.net/devices/MyDevice01",
    None,
    "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2FMyDevice01&sig=%2BL4HxTPkoq%2FAUD2aBUSpUY%2FxPTU%2BrXC4wvIs2%2B0MynU%3D&se=1767225603"
)]
#[case(
    K2,
    "contoso.azure-devices.net/devices/dev-1:a@b$c",
    None,
    "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2Fdev-1%3Aa%40b%24c&sig=2J8SWbsUAI919Z9EdHrjWr21%2B5To5ua6p%2BUJ6kQ5rZ8%3D&se=1893456000"
)]
#[case(
    K2,
    "contoso.azure-devices.net/devices/gw1/modules/telemetry",
    None,
    "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2Fgw1%2Fmodules%2Ftelemetry&sig=RQJkik7yrxHeaOpuBDfFJN0rkhE2qTLStAM3vt0TWVY%3D&se=1893456000"
)]
#[case(
    K1,
    "contoso.azure-devices.net/devices/MyDevice01",
    Some("device"),
    "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2FMyDevice01&sig=Rn1z3LTQKSd8ipKdETk%2BoxrgqnzgySMJaAkZZmk3LoQ%3D&se=1767225600&skn=device"
)]
fn tokens_of_the_official_clients_verify(
    #[case] key: &str,
    #[case] resource: &str,
    #[case] policy: Option<&str>,
    #[case] text: &str,
) {
    let token = Token::parse(text).unwrap();
    assert!(token.signed_with(key));
    assert!(!token.signed_with(if key == K1 { K2 } else { K1 }));
    assert_eq!(token.policy(), policy);
    let scope = token.scope().unwrap();
    let whole = [vec![scope.host.clone()], scope.path.clone()].concat();
    assert_eq!(whole.join("/"), resource);
    // Written again it is the same token, but for the spelling of the escapes.
    if !text.contains("%2f") {
        let again = sign(resource, key, token.expiry.1, policy).unwrap();
        assert_eq!(again, text);
    }
}

#[test]
fn fields_come_in_any_order_and_a_slash_may_stand_in_the_signature() {
    let text = "SharedAccessSignature sig=%2BL4HxTPkoq/AUD2aBUSpUY/xPTU%2BrXC4wvIs2%2B0MynU=\
                &se=1767225603&sr=contoso.azure-devices.net%2Fdevices%2FMyDevice01";
    assert!(Token::parse(text).unwrap().signed_with(K2));
}

#[test]
fn the_signature_covers_resource_and_expiry() {
    let text = sign("hub.test", K1, 1_767_225_600, None).unwrap();
    for (from, to) in [("hub.test", "hub.tesu"), ("1767225600", "1767225601")] {
        let forged = text.replace(from, to);
        assert!(!Token::parse(&forged).unwrap().signed_with(K1));
    }
}

#[rstest::rstest]
#[case("")]
#[case("Bearer abc")]
#[case("SharedAccessSignature")]
#[case("SharedAccessSignature sr=a&sig=%zz&se=1")]
#[case("SharedAccessSignature sr=a&sig=AAAA&se=soon")]
#[case("SharedAccessSignature sr=&sig=AAAA&se=1")]
#[case("SharedAccessSignature sig=AAAA&se=1")]
fn what_is_no_token(#[case] text: &str) {
    assert_eq!(Token::parse(text), None);
}

#[rstest::rstest]
#[case("hub.test", "hub.test", &[])]
#[case("HUB.test%3A8443", "hub.test", &[])]
#[case("localhost:8443", "localhost", &[])]
#[case("hub.test%252fdevices%252fdev1", "hub.test", &["devices", "dev1"])]
#[case("hub.test%252fdevices%252f", "hub.test", &["devices"])]
#[case("hub.test%2Fdevices%2Fa%3Ab%40c%24d", "hub.test", &["devices", "a:b@c$d"])]
fn scopes(#[case] resource: &str, #[case] host: &str, #[case] path: &[&str]) {
    let text = format!("SharedAccessSignature sr={resource}&sig=AAAA&se=1");
    let scope = Token::parse(&text).unwrap().scope().unwrap();
    assert_eq!((scope.host.as_str(), scope.path.len()), (host, path.len()));
    assert!(scope.covers(path));
}

#[test]
fn a_scope_is_a_prefix() {
    let scope = |path: &[&str]| Scope {
        host: String::new(),
        path: path.iter().map(ToString::to_string).collect(),
    };
    assert!(scope(&[]).covers(&["devices", "a"]));
    assert!(scope(&["Devices"]).covers(&["devices", "a"]));
    assert!(scope(&["devices", "a"]).covers(&["devices", "a"]));
    assert!(!scope(&["devices", "a"]).covers(&["devices", "ab"]));
    assert!(!scope(&["devices", "a"]).covers(&["devices", "A"]));
    assert!(!scope(&["devices", "a"]).covers(&["devices"]));
}

#[test]
fn a_token_ends_when_it_says() {
    let text = sign("hub.test", K1, 1_767_225_600, None).unwrap();
    let token = Token::parse(&text).unwrap();
    let at = |second| Timestamp::from_second(second).unwrap();
    assert!(!token.expired(at(1_767_225_599)));
    assert!(token.expired(at(1_767_225_600)));
    assert!(!format!("{token:?}").contains("sig"));
}

#[rstest::rstest]
#[case("hub.test", "hub.test")]
#[case("hub.test:8443", "hub.test")]
#[case("hub.test:", "hub.test")]
#[case("hub.test:x", "hub.test:x")]
#[case("::1", "::1")]
#[case("[::1]", "::1")]
#[case("[fe80::1]:8443", "fe80::1")]
fn hosts(#[case] text: &str, #[case] host: &str) {
    assert_eq!(host_without_port(text), host);
}
