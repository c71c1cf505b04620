//! The package URI: checked before it is sent, redacted wherever it is shown.
//!
//! What is sent is what was given, to the letter. So that it is also what was
//! shown and what the hub's rules were held against, nothing is taken that has to
//! be changed to be read: see `strict`.

mod strict;

use std::fmt;

use url::Url;

use super::{clean, redact};

/// The longest URI that is taken, in characters.
const MAX_URI: usize = 4_096;

/// An `http` or `https` URI with a host. `Debug` and `Display` are redacted;
/// only [`PackageUri::expose`] gives the whole.
#[derive(Clone, PartialEq, Eq)]
pub struct PackageUri {
    text: String,
    redacted: String,
    file_name: String,
}

/// Why a text is no package URI. The text of each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUri {
    /// Nothing was given.
    #[error("enter the URI of a package, for example https://example.com/fw-1.5.0.bin")]
    Empty,
    /// A control character, an invisible or a reordering one.
    #[error("the URI holds {0:?}, which no URI may hold")]
    Character(char),
    /// White space.
    #[error("the URI holds a space; write it as %20")]
    Space,
    /// No `http:` or `https:` in front.
    #[error("the URI has no scheme; did you mean {suggestion} ?")]
    NoScheme {
        /// The same with `https://` in front.
        suggestion: String,
    },
    /// Another scheme.
    #[error("a package URI begins with https:// or http://, not with {0}:")]
    Scheme(String),
    /// Nothing after the slashes.
    #[error("the URI names no host")]
    NoHost,
    /// Longer than 4,096 characters.
    #[error("the URI has {0} characters; at most 4096 are sent")]
    TooLong(usize),
    /// A character that is none of a URI's, or a percent sign that begins no escape.
    #[error("the URI holds {0:?}, which not all take alike; write it as {escaped}", escaped = escaped(*.0))]
    Escape(char),
    /// A host that has to be changed to be read.
    #[error("the URI's host is written so that not all take it alike; write it {0}")]
    Host(String),
    /// An empty user's name, or a second `@`.
    #[error(
        "the URI has an '@' before its host without a user's name, or a second one; write %40 for one that is part of a name"
    )]
    User,
    /// A colon after the host, and no port.
    #[error("the URI has a ':' after its host and no port")]
    Port,
    /// A part of the path is `.` or `..`, plain or behind escapes.
    #[error(
        "the URI's path holds \".\" or \"..\", which not all take alike; write the path that is meant"
    )]
    Dots,
    /// An escape that stands for a control character.
    #[error("the URI's path holds an escaped control character, which no package needs")]
    Control,
    /// Escapes of escapes of escapes.
    #[error("the URI's path is escaped over and over again; write it with one layer of escapes")]
    Layers,
    /// Another one within its path.
    #[error("the URI's path holds another URI; was it pasted twice?")]
    Twice,
    /// Anything else.
    #[error("not a URI: {0}")]
    Malformed(String),
}

impl PackageUri {
    /// Checks `text`, ignoring white space around it.
    ///
    /// # Errors
    /// [`InvalidUri`] says what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, InvalidUri> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidUri::Empty);
        }
        if let Some(bad) = text.chars().find(|c| clean::is_dangerous(*c)) {
            return Err(InvalidUri::Character(bad));
        }
        if text.chars().any(char::is_whitespace) {
            return Err(InvalidUri::Space);
        }
        match text.chars().count() {
            n if n > MAX_URI => return Err(InvalidUri::TooLong(n)),
            _ => {}
        }
        let slashes = text.split_once("://");
        // What stands before some later one may be a user's name and password.
        let Some((scheme, rest)) = slashes.filter(|(scheme, _)| may_be_scheme(scheme)) else {
            return Err(without_slashes(text));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => {}
            other => return Err(InvalidUri::Scheme(clean::line(other, 20))),
        }
        if rest.is_empty() || rest.starts_with(['/', '?', '#']) {
            return Err(InvalidUri::NoHost);
        }
        strict::characters(rest)?;
        let url = Url::parse(text).map_err(|e| match e {
            url::ParseError::EmptyHost => InvalidUri::NoHost,
            e => InvalidUri::Malformed(e.to_string()),
        })?;
        strict::parts(rest, &url)?;
        Ok(Self {
            redacted: redact::url(text),
            file_name: file_name(&url),
            text: text.to_owned(),
        })
    }

    /// The whole URI, secrets included: for the device only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The URI without credentials and signatures.
    #[must_use]
    pub fn redacted(&self) -> &str {
        &self.redacted
    }

    /// Scheme, host, port where it is not the scheme's own, and path: what rules on
    /// packages are held against. Scheme and host are in lower case.
    #[must_use]
    pub fn place(&self) -> String {
        let url = Url::parse(&self.text).ok();
        let place = |url: Url| format!("{}{}", url.origin().ascii_serialization(), url.path());
        url.map(place).unwrap_or_default()
    }

    /// The last part of the path, or the host: a short name for the package.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// Does the URI hold anything that is not shown?
    #[must_use]
    pub fn holds_secrets(&self) -> bool {
        self.redacted.contains(redact::HIDDEN)
    }
}

/// A URI that somebody else wrote, a device for example, as it may be shown.
#[must_use]
pub fn redacted_text(text: &str) -> String {
    PackageUri::parse(text).map_or_else(
        |_| clean::line(&redact::text(text), 200),
        |uri| uri.redacted,
    )
}

/// The last part of a redacted URI's path: enough to know a package by.
#[must_use]
pub fn last_part(uri: &str) -> &str {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/')
        .find(|part| !part.is_empty())
        .unwrap_or(uri)
}

fn may_be_scheme(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    text.chars().all(fits)
}

/// A text without `://` after a scheme: a host name, a local path, or another scheme?
fn without_slashes(text: &str) -> InvalidUri {
    let lower = text.to_ascii_lowercase();
    for scheme in ["https:", "http:"] {
        if lower.starts_with(scheme) {
            return missing_scheme(&text[scheme.len()..]);
        }
    }
    match text.split_once(':') {
        Some((scheme, rest))
            if !scheme.contains('.')
                && !rest.contains('@')
                && scheme.chars().all(|c| c.is_ascii_alphanumeric())
                && !rest.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            InvalidUri::Scheme(clean::line(scheme, 20))
        }
        _ => missing_scheme(text),
    }
}

fn escaped(c: char) -> String {
    let mut bytes = [0; 4];
    let bytes = c.encode_utf8(&mut bytes).bytes();
    bytes.map(|byte| format!("%{byte:02X}")).collect()
}

/// The likely URI, without its secrets.
fn missing_scheme(rest: &str) -> InvalidUri {
    let whole = format!("https://{}", rest.trim_start_matches('/'));
    InvalidUri::NoScheme {
        suggestion: clean::line(&redact::url(&whole), 80),
    }
}

fn file_name(url: &Url) -> String {
    url.path_segments()
        .and_then(|mut segments| segments.rfind(|s| !s.is_empty()))
        .or(url.host_str())
        .map_or_else(String::new, |name| clean::line(name, 60))
}

impl fmt::Display for PackageUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted)
    }
}

impl fmt::Debug for PackageUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackageUri({:?})", self.redacted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        PackageUri::parse(text).unwrap_err().to_string()
    }

    #[rstest::rstest]
    #[case("test.com", "https://test.com")]
    #[case("test.com/fw.bin", "https://test.com/fw.bin")]
    #[case("test.com:8080/fw.bin", "https://test.com:8080/fw.bin")]
    #[case("localhost:8443/fw.bin", "https://localhost:8443/fw.bin")]
    #[case("https:test.com", "https://test.com")]
    #[case("//test.com/a", "https://test.com/a")]
    #[case("x.test/fw?sig=SECRET", "https://x.test/fw?sig=***")]
    #[case("me:SECRET@x.test/fw", "https://***@x.test/fw")]
    #[case("me:SECRET@x.test/fw?next=https://y", "https://***@x.test/fw?next=***")]
    #[case(
        "x.test/fw?to=https://y&sig=SECRET",
        "https://x.test/fw?to=***&sig=***"
    )]
    fn a_missing_scheme_is_answered_with_the_likely_one(#[case] text: &str, #[case] want: &str) {
        assert_eq!(
            PackageUri::parse(text),
            Err(InvalidUri::NoScheme {
                suggestion: want.to_owned()
            })
        );
    }

    #[rstest::rstest]
    #[case("", "enter the URI")]
    #[case("https://x.test/fw.binhttps://x.test/fw.bin", "pasted twice")]
    #[case("https://x.test/a/HTTP://y.test/b", "pasted twice")]
    #[case("   ", "enter the URI")]
    #[case("ftp://x.test/a", "not with ftp:")]
    #[case("file:///etc/passwd", "not with file:")]
    #[case("urn:me", "not with urn:")]
    #[case("coap+tcp://x.test/a", "not with coap+tcp:")]
    #[case("https://", "no host")]
    #[case("https:///a", "no host")]
    #[case("https://x.test/a b", "%20")]
    #[case("https://x.test/\u{1b}[2J", "no URI may hold")]
    #[case("https://x.test/\u{202e}", "no URI may hold")]
    #[case("https://[::1/a", "not a URI")]
    fn bad_uris_say_why(#[case] text: &str, #[case] why: &str) {
        assert!(refused(text).contains(why), "{}", refused(text));
    }

    #[rstest::rstest]
    #[case("https://x.test/fw.bin", "https://x.test/fw.bin", "fw.bin")]
    #[case(
        "https://u:p@x.test/a?sig=abc&se=2026",
        "https://***@x.test/a?sig=***&se=2026",
        "a"
    )]
    #[case("https://x.test/?token", "https://x.test/?***", "x.test")]
    #[case(
        "https://x.test/a?X-Amz-Signature=1#frag",
        "https://x.test/a?X-Amz-Signature=***#***",
        "a"
    )]
    fn secrets_are_not_shown(#[case] text: &str, #[case] shown: &str, #[case] name: &str) {
        let uri = PackageUri::parse(&format!(" {text} ")).unwrap();
        assert_eq!(uri.expose(), text);
        assert_eq!(uri.redacted(), shown);
        assert_eq!(uri.file_name(), name);
        assert_eq!(format!("{uri:?}"), format!("PackageUri({shown:?})"));
    }
}
