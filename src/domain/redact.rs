//! Credentials and signatures of URLs, taken out of whatever holds them.
//!
//! Works on any text, so that a URL inside a device's own words is redacted
//! too. Errs on the side of hiding: of a query only what is known to be harmless
//! stays.

/// What stands in the place of a secret.
pub const HIDDEN: &str = "***";

/// Query parameters of signed URLs that tell nothing secret: times, versions,
/// permissions. The values of all others are hidden.
const HARMLESS: [&str; 16] = [
    "se",
    "st",
    "sp",
    "sv",
    "sr",
    "spr",
    "version",
    "v",
    "api-version",
    "x-amz-expires",
    "x-amz-date",
    "x-amz-algorithm",
    "x-amz-signedheaders",
    "expires",
    "versionid",
    "id",
];

/// The same text with every URL in it redacted.
#[must_use]
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = next_url(rest) {
        let (before, url) = rest.split_at(at);
        out.push_str(before);
        let end = url.find(ends_a_url).unwrap_or(url.len());
        out.push_str(&self::url(&url[..end]));
        rest = &url[end..];
    }
    out.push_str(rest);
    credentials(&out)
}

/// Keys and signatures of connection strings and tokens, hidden wherever they stand:
/// a text may have been put where it does not belong.
fn credentials(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(end) = next_credential(rest) {
        let (before, value) = rest.split_at(end);
        out.push_str(before);
        let ends = value.find(|c| matches!(c, ';' | '&') || ends_a_url(c));
        let ends = ends.unwrap_or(value.len());
        if ends > 0 {
            out.push_str(HIDDEN);
        }
        rest = &value[ends..];
    }
    out.push_str(rest);
    out
}

/// Where the value of the next of them begins.
fn next_credential(text: &str) -> Option<usize> {
    const NAMES: [&str; 3] = ["sharedaccesskey=", "sharedaccesssignature=", "&sig="];
    // Bytes stay where they are.
    let lower = text.to_ascii_lowercase();
    let found = NAMES
        .iter()
        .filter_map(|name| Some(lower.find(name)? + name.len()));
    found.min()
}

/// One URL, redacted: user and password, the values of its query's parameters
/// unless known to be harmless, and what its fragment holds.
#[must_use]
pub fn url(url: &str) -> String {
    let (url, fragment) = match url.split_once('#') {
        Some((url, fragment)) => (url, Some(fragment)),
        None => (url, None),
    };
    let (place, query) = match url.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (url, None),
    };
    let mut out = without_user(place);
    if let Some(query) = query {
        let parts: Vec<String> = query.split('&').map(parameter).collect();
        out.push('?');
        out.push_str(&parts.join("&"));
    }
    match fragment {
        None => {}
        Some("") => out.push('#'),
        Some(_) => out.extend(["#", HIDDEN]),
    }
    out
}

fn without_user(place: &str) -> String {
    let Some((scheme, rest)) = place.split_once("://") else {
        return place.to_owned();
    };
    let host_ends = rest.find(['/', '\\']).unwrap_or(rest.len());
    match rest[..host_ends].rfind('@') {
        Some(at) => format!("{scheme}://{HIDDEN}{}", &rest[at..]),
        None => place.to_owned(),
    }
}

fn parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((key, value))
            if value.is_empty() || HARMLESS.contains(&key.to_ascii_lowercase().as_str()) =>
        {
            parameter.to_owned()
        }
        Some((key, _)) => format!("{key}={HIDDEN}"),
        None if parameter.is_empty() => String::new(),
        None => HIDDEN.to_owned(),
    }
}

/// Where the next `http://` or `https://` begins, in any case.
fn next_url(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = text[from..].find("://") {
        let at = from + found;
        for scheme in ["https", "http"] {
            let begins = at.checked_sub(scheme.len());
            if let Some(begins) = begins
                && text
                    .get(begins..at)
                    .is_some_and(|s| s.eq_ignore_ascii_case(scheme))
            {
                return Some(begins);
            }
        }
        from = at + 3;
    }
    None
}

fn ends_a_url(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '|')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[rstest::rstest]
    #[case("no key", "no key")]
    #[case(
        "SharedAccessKeyName=x;SharedAccessKey=aGk=;é",
        "SharedAccessKeyName=x;SharedAccessKey=***;é"
    )]
    #[case(
        "\"sharedaccesskey=aGk=\", SHAREDACCESSKEY=b",
        "\"sharedaccesskey=***\", SHAREDACCESSKEY=***"
    )]
    fn keys_of_connection_strings_are_hidden(#[case] text: &str, #[case] want: &str) {
        assert_eq!(super::text(text), want);
    }

    #[rstest::rstest]
    #[case("https://x.test/a?sig=abc&se=2026", "https://x.test/a?sig=***&se=2026")]
    #[case("HTTPS://u:p@x.test/a#tok", "HTTPS://***@x.test/a#***")]
    #[case("https://x.test/a# and more", "https://x.test/a# and more")]
    #[case(
        "cannot fetch \"https://x.test/a?sig=abc\": 403",
        "cannot fetch \"https://x.test/a?sig=***\": 403"
    )]
    #[case(
        "two http://a.b?c=d http://e.f?g",
        "two http://a.b?c=*** http://e.f?***"
    )]
    #[case("no url: ://? at all", "no url: ://? at all")]
    #[case(
        "variable HostName=h;SharedAccessKey=a+b/c=;x=1 is not set",
        "variable HostName=h;SharedAccessKey=***;x=1 is not set"
    )]
    #[case(
        "SharedAccessSignature sr=h&sig=a%3D&se=1",
        "SharedAccessSignature sr=h&sig=***&se=1"
    )]
    #[case(
        "HostName=h;SharedAccessSignature=x y",
        "HostName=h;SharedAccessSignature=*** y"
    )]
    #[case("ünd https://ü.test/?k=ü ü", "ünd https://ü.test/?k=*** ü")]
    fn texts(#[case] given: &str, #[case] want: &str) {
        assert_eq!(text(given), want);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_and_redacting_twice_changes_nothing(given in "(https?://)?\\PC*(https://[a-z@:/?=&#]*)?") {
            let once = text(&given);
            prop_assert_eq!(text(&once), once);
        }
    }
}
