//! Etags and `If-Match`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What a write demands of the state before it.
///
/// The official packages send the wildcard with quotes (`"*"`), other clients
/// bare; the C# preview package sends `""` on creation (recordings of
/// `Azure/azure-sdk-for-net`). All spellings are one here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// No header, or `""`.
    Absent,
    /// `*` or `"*"`: whatever is there.
    Any,
    /// Exactly this etag, without quotes.
    Etag(String),
}

impl IfMatch {
    /// Reads the header's value.
    #[must_use]
    pub fn read(header: Option<&str>) -> Self {
        let text = header.unwrap_or_default().trim();
        let text = text.strip_prefix("W/").unwrap_or(text);
        let bare = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(text);
        match bare {
            "" => Self::Absent,
            "*" => Self::Any,
            etag => Self::Etag(etag.to_owned()),
        }
    }
}

/// A twin's etag: base64 of an 8-byte big-endian counter.
#[must_use]
pub fn of_twin(counter: u64) -> String {
    STANDARD.encode(counter.to_be_bytes())
}

/// The decimal counter in an identity's etag, for the text of a refusal.
#[must_use]
pub fn identity_counter(etag: &str) -> String {
    STANDARD
        .decode(etag)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
        .unwrap_or_else(|| "0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(None, IfMatch::Absent)]
    #[case(Some(""), IfMatch::Absent)]
    #[case(Some("\"\""), IfMatch::Absent)]
    #[case(Some("*"), IfMatch::Any)]
    #[case(Some("\"*\""), IfMatch::Any)]
    #[case(Some("MA=="), IfMatch::Etag("MA==".into()))]
    #[case(Some("\"MA==\""), IfMatch::Etag("MA==".into()))]
    fn spellings(#[case] header: Option<&str>, #[case] want: IfMatch) {
        assert_eq!(IfMatch::read(header), want);
    }

    #[test]
    fn etags_are_the_recorded_ones() {
        assert_eq!(of_twin(1), "AAAAAAAAAAE=");
        assert_eq!(identity_counter("MzQzMDYwMzU2"), "343060356");
        assert_eq!(identity_counter("%"), "0");
    }
}
