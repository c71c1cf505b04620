//! What is said of packages before they are sent.

use super::*;

fn uri(text: &str) -> PackageUri {
    PackageUri::parse(text).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[rstest::rstest]
#[case::azure(
    "https://a.blob.core.windows.net/fw/a.bin?sv=2024-11-04&st=2026-01-01T00%3A00%3A00Z&se=2026-01-02T03%3A04%3A05Z&sr=b&sp=r&sig=x",
    Some("2026-01-01T00:00:00Z"),
    Some("2026-01-02T03:04:05Z"),
    false
)]
#[case::azure_minutes(
    "https://a.test/a?se=2026-01-02T03:04Z&sig=x",
    None,
    Some("2026-01-02T03:04:00Z"),
    false
)]
#[case::azure_date(
    "https://a.test/a?se=2026-01-02&sig=x",
    None,
    Some("2026-01-02T00:00:00Z"),
    false
)]
#[case::azure_offset(
    "https://a.test/a?se=2026-01-02T03:04:05%2B01:00&sig=x",
    None,
    Some("2026-01-02T02:04:05Z"),
    false
)]
#[case::azure_seconds(
    "https://a.test/a?se=1767225600&sig=x",
    None,
    Some("2026-01-01T00:00:00Z"),
    false
)]
#[case::aws_4(
    "https://b.s3.amazonaws.com/a?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260101T000000Z&X-Amz-Expires=3600&X-Amz-Signature=x",
    Some("2026-01-01T00:00:00Z"),
    Some("2026-01-01T01:00:00Z"),
    true
)]
#[case::google_4(
    "https://storage.googleapis.com/b/a?X-Goog-Date=20260101T000000Z&X-Goog-Expires=60&X-Goog-Signature=x",
    Some("2026-01-01T00:00:00Z"),
    Some("2026-01-01T00:01:00Z"),
    true
)]
#[case::aws_2(
    "https://b.s3.amazonaws.com/a?AWSAccessKeyId=k&Expires=1767225600&Signature=x",
    None,
    Some("2026-01-01T00:00:00Z"),
    true
)]
#[case::cloudfront(
    "https://d.cloudfront.net/a?Expires=1767225600&Signature=x&Key-Pair-Id=k",
    None,
    Some("2026-01-01T00:00:00Z"),
    false
)]
fn signatures_tell_their_times(
    #[case] text: &str,
    #[case] from: Option<&str>,
    #[case] until: Option<&str>,
    #[case] binds_method: bool,
) {
    let want = Validity {
        from: from.map(at),
        until: until.map(at),
        binds_method,
    };
    assert_eq!(Validity::of(&uri(text)), Some(want));
}

#[rstest::rstest]
#[case("https://a.test/a")]
#[case("https://a.test/a?se=2026-01-01")]
#[case("https://a.test/a?se=soon&sig=x")]
#[case("https://a.test/a?Expires=1767225600")]
#[case("https://a.test/a?X-Amz-Date=yesterday&X-Amz-Expires=1")]
#[case("https://a.test/a?X-Amz-Date=20260101T000000Z&X-Amz-Expires=x")]
fn other_uris_tell_none(#[case] text: &str) {
    assert_eq!(Validity::of(&uri(text)), None);
}

#[rstest::rstest]
#[case::azure("https://a.test/a?se=garbage&sig=x", "its se;")]
#[case::azure_range("https://a.test/a?se=2026-13-01&sig=x", "its se;")]
#[case::aws_4(
    "https://a.test/a?X-Amz-Date=20260101T000000Z&X-Amz-Expires=x&X-Amz-Signature=y",
    "its x-amz-expires;"
)]
#[case::aws_2("https://a.test/a?Expires=soon&Signature=x", "its expires;")]
#[case::cloudfront(
    "https://d.cloudfront.net/a?Policy=SECRET&Signature=x&Key-Pair-Id=k",
    "its policy;"
)]
#[case::no_right("https://a.test/a?sp=w&se=2027-01-01&sig=x", "the right to read")]
fn a_doubtful_signature_is_told(#[case] text: &str, #[case] words: &str) {
    let found = said(&Rules::default(), text);
    let doubt = found.iter().find(|(_, text)| text.contains(words));
    assert_eq!(doubt.unwrap().0, Weight::Warning, "{found:?}");
    assert!(found.iter().all(|(_, text)| !text.contains("SECRET")));
}

#[rstest::rstest]
#[case("https://a.test/a?sp=rl&se=2027-01-01&sig=x")]
#[case("https://a.test/a?si=policy&sig=x")]
#[case("https://a.test/a?sp=w")]
#[case("https://a.test/a?se=garbage")]
fn what_is_no_signature_or_a_good_one_is_not_doubted(#[case] text: &str) {
    let found = said(&Rules::default(), text);
    assert!(
        found.iter().all(|(weight, _)| *weight == Weight::Note),
        "{found:?}"
    );
}

#[test]
fn a_policy_of_cloudfronts_tells_its_end() {
    use base64::Engine as _;
    let policy = r#"{"Statement":[{"Resource":"https://d.cloudfront.net/a?b~~~","Condition":
        {"DateLessThan":{"AWS:EpochTime":1767268800},"DateGreaterThan":{"AWS:EpochTime":1767225600}}}]}"#;
    let policy = base64::engine::general_purpose::STANDARD.encode(policy);
    let policy = policy.replace('+', "-").replace('=', "_").replace('/', "~");
    let text = format!("https://d.cloudfront.net/a?Policy={policy}&Signature=x&Key-Pair-Id=k");
    let want = Validity {
        from: Some(at("2026-01-01T00:00:00Z")),
        until: Some(at("2026-01-01T12:00:00Z")),
        binds_method: false,
    };
    assert_eq!(Validity::of(&uri(&text)), Some(want));
    assert_eq!(said(&Rules::default(), &text)[0].0, Weight::Refusal);
}

fn said(rules: &Rules, text: &str) -> Vec<(Weight, String)> {
    let (now, fetched) = (at("2026-01-01T12:00:00Z"), at("2026-01-01T12:30:00Z"));
    let findings = rules.judge(&uri(text), now, fetched);
    findings.into_iter().map(|f| (f.weight, f.text)).collect()
}

#[rstest::rstest]
#[case(
    "2026-01-01T11:59:00Z",
    Weight::Refusal,
    "ended 1 min ago, at 2026-01-01 11:59:00 UTC"
)]
#[case("2026-01-01T12:00:00Z", Weight::Refusal, "ended")]
#[case("2026-01-01T12:10:00Z", Weight::Warning, "ends in 10 min")]
#[case("2026-01-01T12:30:00Z", Weight::Note, "ends in 30 min")]
fn an_end_is_held_against_the_expected_one(
    #[case] ends: &str,
    #[case] weight: Weight,
    #[case] words: &str,
) {
    let found = said(
        &Rules::default(),
        &format!("https://a.test/a?se={ends}&sig=SECRET"),
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, weight);
    assert!(found[0].1.contains(words), "{found:?}");
    assert!(!found[0].1.contains("SECRET"));
}

#[test]
fn a_signature_of_the_future_is_told() {
    let text = "https://a.test/a?st=2026-01-01T13:00:00Z&se=2026-01-02&sig=x";
    let found = said(&Rules::default(), text);
    assert_eq!(found[0].0, Weight::Warning);
    assert!(found[0].1.contains("begins only in 1 h"), "{found:?}");
    let skewed = "https://a.test/a?st=2026-01-01T12:04:00Z&se=2026-01-02&sig=x";
    assert_eq!(said(&Rules::default(), skewed)[0].0, Weight::Note);
}

#[rstest::rstest]
#[case("https://fw.contoso.com/a", true)]
#[case("https://FW.contoso.com/a", true)]
#[case("https://x.blob.core.windows.net/a", true)]
#[case("https://x.y.blob.core.windows.net/a", true)]
#[case("https://blob.core.windows.net/a", false)]
#[case("https://evilblob.core.windows.net/a", false)]
#[case("https://fw.contoso.com.evil.test/a", false)]
#[case("https://fw.contoso.com@evil.test/a", false)]
#[case("https://evil.test/fw.contoso.com", false)]
fn only_the_hubs_hosts(#[case] text: &str, #[case] allowed: bool) {
    let rules = Rules {
        hosts: vec!["fw.contoso.com".into(), "*.blob.core.windows.net".into()],
        ..Rules::default()
    };
    let refused = said(&rules, text)
        .iter()
        .any(|(w, _)| *w == Weight::Refusal);
    assert_eq!(refused, !allowed);
}

#[rstest::rstest]
#[case("https://localhost:8443/a")]
#[case("https://127.0.0.1/a")]
#[case("https://[::1]/a")]
#[case("https://0.0.0.0/a")]
#[case("https://me.localhost/a")]
fn loopback_is_the_device_itself(#[case] text: &str) {
    assert!(
        said(&Rules::default(), text)[0]
            .1
            .contains("the device itself")
    );
    let local = Rules {
        local: true,
        ..Rules::default()
    };
    assert_eq!(said(&local, text), []);
}

#[test]
fn plain_http_is_told() {
    assert_eq!(
        said(&Rules::default(), "http://a.test/a")[0].0,
        Weight::Warning
    );
}

#[rstest::rstest]
#[case("press-7", "https://fw.test/press/a.bin?sig=x", false)]
#[case("press-7", "https://fw.test/pump/a.bin", true)]
#[case("press-7", "https://fw.test/spare/a.bin", false)]
#[case("pump-1", "https://fw.test/press/a.bin", false)]
#[case("press-7", "https://evil.test/?https://fw.test/press/a.bin", true)]
#[case("press-7", "HTTPS://u:p@FW.test:443/press/a.bin", false)]
#[case("press-7", "https://eu.cdn.test/press/a.bin", false)]
#[case("press-7", "https://evil.test/.cdn.test/press/a.bin", true)]
#[case("press-7", "https://fw.all.test/any/a.bin", false)]
#[case("press-7", "https://evil.test/x.all.test", true)]
fn a_model_gets_only_its_packages(#[case] model: &str, #[case] text: &str, #[case] refused: bool) {
    let rule = |uri: &str| ModelRule {
        path: "tags.model".into(),
        model: "press-*".into(),
        uri: uri.into(),
    };
    let rules = Rules {
        models: vec![
            rule("https://fw.test/press/*"),
            rule("https://fw.test/spare/*.bin"),
            rule("https://*.cdn.test/press/*"),
            rule("https://*.all.test"),
        ],
        ..Rules::default()
    };
    let mut twin = crate::domain::fake::FakeTwin::new("press").twin;
    twin.tags.insert("model".into(), model.into());
    assert_eq!(rules.refuses(&uri(text), &twin).is_some(), refused);
    twin.tags.clear();
    assert_eq!(rules.refuses(&uri(text), &twin), None);
}

#[rstest::rstest]
#[case(999, "999 B")]
#[case(4_194_304, "4.2 MB")]
#[case(52_428_800, "52 MB")]
#[case(999_999, "1.0 MB")]
#[case(1_000, "1.0 KB")]
fn sizes_are_for_people(#[case] size: u64, #[case] want: &str) {
    assert_eq!(Bytes(size).to_string(), want);
}

#[rstest::rstest]
#[case(200, Weight::Note, "4.2 MB, entity tag \"7\" (seen from here")]
#[case(302, Weight::Warning, "redirects (302) to cdn.test")]
#[case(403, Weight::Warning, "does not let us")]
#[case(404, Weight::Warning, "no such package")]
#[case(500, Weight::Warning, "HTTP 500")]
fn what_a_server_tells_proves_nothing_for_the_device(
    #[case] status: u16,
    #[case] weight: Weight,
    #[case] words: &str,
) {
    let info = PackageInfo {
        status,
        size: Some(4_194_304),
        etag: Some("\"7\"".into()),
        redirect: Some("cdn.test".into()),
        ..PackageInfo::default()
    };
    let found = info.finding();
    assert_eq!(found.weight, weight);
    assert!(found.text.contains(words), "{found:?}");
    assert!(found.text.contains("seen from here"), "{found:?}");
}

#[test]
fn a_sign_in_page_is_no_package() {
    let info = PackageInfo {
        status: 200,
        is_page: true,
        ..PackageInfo::default()
    };
    assert!(info.finding().text.contains("a web page"));
}
