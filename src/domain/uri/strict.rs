//! What a package URI must not hold, so that all its readers take it alike.
//!
//! The device reads the URI by a parser of its own, and so does each server behind
//! it. Where parsers differ, a rule that was kept here is broken there: one takes
//! for a host what another takes for a user's name, and one cleans a path that
//! another sends on as it stands. So what can be taken in two ways is refused, with
//! the way to write what was meant.

use percent_encoding::percent_decode;
use url::Url;

use super::InvalidUri;

/// How often a path may be escaped over again.
const MAX_LAYERS: usize = 4;

/// The characters that RFC 3986 knows besides letters and digits.
const KNOWN: &str = "-._~:/?#[]@!$&'()*+,;=%";

/// Checks the part behind the scheme for what is no character of a URI, before
/// anybody parses it. The host is looked at later: its letters may be foreign.
///
/// # Errors
/// The first character that must be written otherwise.
pub(super) fn characters(rest: &str) -> Result<(), InvalidUri> {
    let host_ends = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    for (at, c) in rest.char_indices() {
        let foreign_host = at < host_ends && !c.is_ascii();
        if !(c.is_ascii_alphanumeric() || KNOWN.contains(c) || foreign_host) {
            return Err(InvalidUri::Escape(c));
        }
    }
    let hex = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_hexdigit());
    let mut escapes = rest.split('%').skip(1).map(str::as_bytes);
    match escapes.all(|e| hex(e.first().copied()) && hex(e.get(1).copied())) {
        true => Ok(()),
        false => Err(InvalidUri::Escape('%')),
    }
}

/// Checks host and path, `url` being what our parser makes of them.
///
/// # Errors
/// What another parser may take for something else.
pub(super) fn parts(rest: &str, url: &Url) -> Result<(), InvalidUri> {
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let bare = path.split(['?', '#']).next().unwrap_or_default();
    let lower = bare.to_ascii_lowercase();
    if ["http://", "https://"]
        .iter()
        .any(|scheme| lower.contains(scheme))
    {
        return Err(InvalidUri::Twice);
    }
    let place = match authority.rsplit_once('@') {
        Some((user, _)) if user.is_empty() || user.starts_with(':') || user.contains('@') => {
            return Err(InvalidUri::User);
        }
        Some((_, place)) => place,
        None => authority,
    };
    let port_at = match place.rfind(']') {
        Some(bracket) => place[bracket..].find(':').map(|at| bracket + at),
        None => place.find(':'),
    };
    let (host, port) = port_at.map_or((place, None), |at| (&place[..at], Some(&place[at + 1..])));
    if port == Some("") {
        return Err(InvalidUri::Port);
    }
    let read = url.host_str().unwrap_or_default();
    if !host.eq_ignore_ascii_case(read) {
        return Err(InvalidUri::Host(read.to_owned()));
    }
    climbs(path.split(['?', '#']).next().unwrap_or_default())
}

/// Refuses a path that climbs, to whomever it does: also behind escapes, behind a
/// backslash, and with parameters behind the dots, which some servers cut off.
fn climbs(path: &str) -> Result<(), InvalidUri> {
    let mut path = path.as_bytes().to_vec();
    for _ in 0..=MAX_LAYERS {
        if path.iter().any(u8::is_ascii_control) {
            return Err(InvalidUri::Control);
        }
        let mut steps = path.split(|c| matches!(c, b'/' | b'\\'));
        let name = |step: &[u8]| step.split(|c| *c == b';').next().map(<[u8]>::to_vec);
        if steps.any(|step| matches!(name(step).as_deref(), Some(b"." | b".."))) {
            return Err(InvalidUri::Dots);
        }
        let plain: Vec<u8> = percent_decode(&path).collect();
        if plain == path {
            return Ok(());
        }
        path = plain;
    }
    Err(InvalidUri::Layers)
}

#[cfg(test)]
mod tests {
    use super::super::PackageUri;

    fn refused(text: &str) -> String {
        PackageUri::parse(text).expect_err(text).to_string()
    }

    /// curl, urlsplit and browsers do not agree on these.
    #[rstest::rstest]
    #[case::backslash(r"https://fw.example.com\@evil.com/a.bin", "%5C")]
    #[case::backslash_in_the_path(r"https://fw.example.com/a\b.bin", "%5C")]
    #[case::two_users("https://a@fw.example.com@evil.com/a", "user")]
    #[case::nobody("https://@evil.com/a", "user")]
    #[case::nobody_with_a_password("https://:p@evil.com/a", "user")]
    #[case::escaped_host("https://%66w.example.com/a", "write it fw.example.com")]
    #[case::foreign_host("https://fw。example.com/a", "write it fw.example.com")]
    #[case::wide_host("https://ｆw.example.com/a", "write it fw.example.com")]
    #[case::cyrillic_host("https://fw.exаmple.com/a", "write it fw.xn--exmple-4nf.com")]
    #[case::short_address("https://127.1/a", "write it 127.0.0.1")]
    #[case::hex_address("https://0x7f000001/a", "write it 127.0.0.1")]
    #[case::octal_address("https://0177.0.0.1/a", "write it 127.0.0.1")]
    #[case::long_address("https://[0:0::1]/a", "write it [::1]")]
    #[case::no_port("https://fw.example.com:/a", "port")]
    #[case::bare_percent("https://fw.example.com/100%/a", "%25")]
    #[case::half_escape("https://fw.example.com/a?b=%f", "%25")]
    #[case::quote("https://fw.example.com/\"a", "%22")]
    #[case::angle("https://fw.example.com/<a>", "%3C")]
    #[case::brace("https://fw.example.com/{a}", "%7B")]
    #[case::umlaut("https://fw.example.com/ü.bin", "%C3%BC")]
    fn what_readers_take_in_two_ways_is_refused(#[case] text: &str, #[case] why: &str) {
        assert!(refused(text).contains(why), "{}", refused(text));
    }

    #[rstest::rstest]
    #[case("https://x.test/press/../lathe/a.bin")]
    #[case("https://x.test/press/./a.bin")]
    #[case("https://x.test/press/..")]
    #[case("https://x.test/press/%2e%2e/lathe/a.bin")]
    #[case("https://x.test/press/.%2E/lathe/a.bin")]
    #[case("https://x.test/press/%252e%252e/lathe/a.bin")]
    #[case("https://x.test/press/%25252e./lathe/a.bin")]
    #[case("https://x.test/press/..;/lathe/a.bin")]
    #[case("https://x.test/press/..;a=b/lathe/a.bin")]
    #[case("https://x.test/press/..%3b/lathe/a.bin")]
    #[case("https://x.test/press/..%2flathe/a.bin")]
    #[case("https://x.test/press/..%5clathe/a.bin")]
    #[case("https://x.test/press%2f..%2flathe/a.bin")]
    #[case("https://x.test/press/..?a")]
    fn a_path_that_climbs_is_refused(#[case] text: &str) {
        assert!(refused(text).contains("\"..\""), "{}", refused(text));
    }

    #[rstest::rstest]
    #[case("https://x.test/press/a%00.bin", "control")]
    #[case("https://x.test/press/a%250d%250aHost:b", "control")]
    #[case("https://x.test/%25252525252565", "over again")]
    fn what_escapes_hide_is_refused(#[case] text: &str, #[case] why: &str) {
        assert!(refused(text).contains(why), "{}", refused(text));
    }

    /// What stores and their signatures write is taken as it is.
    #[rstest::rstest]
    #[case("https://a.blob.core.windows.net/fw/dir%2Fa%20b.bin?sp=r&sig=a%2Fb%3D")]
    #[case("https://x.test/v1..2/.hidden/a..b/...;v=1")]
    #[case("https://u:p%40q@x.test:8443/a?b[]=../c#../d")]
    #[case("https://[::1]:8443/a")]
    #[case("https://[2001:db8::1]/a")]
    #[case("HTTPS://X.Test/a")]
    #[case("https://xn--exmple-4nf.com/a")]
    #[case("https://x.test/100%25/$&'()*+,;=~!")]
    #[case("https://x.test")]
    fn what_all_take_alike_is_sent_as_it_is(#[case] text: &str) {
        assert_eq!(PackageUri::parse(text).unwrap().expose(), text);
    }
}
