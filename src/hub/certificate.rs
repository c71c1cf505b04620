//! What a certificate says of itself, for whoever has to find out who answers in a
//! hub's place. Nothing is trusted by it: whether it holds is rustls's to say.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::domain::clean;

/// Characters of a name.
const NAME: usize = 80;
/// The object identifiers of a common name and of an organisation.
const COMMON: &[u8] = &[0x55, 0x04, 0x03];
const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0a];

/// A certificate's own words; harmless text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Good from then on.
    pub from: Timestamp,
    /// Good until then.
    pub until: Timestamp,
}

impl Certificate {
    /// Reads one in DER; `None` when it is none.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, whole, _) = take(der)?;
        let (_, mut fields, _) = take(whole)?;
        // The version is left out by the oldest.
        if fields.first() == Some(&0xa0) {
            fields = take(fields)?.2;
        }
        // The serial number and the algorithm.
        let (_, _, fields) = take(fields)?;
        let (_, _, fields) = take(fields)?;
        let (_, issuer, fields) = take(fields)?;
        let (_, dates, fields) = take(fields)?;
        let (_, subject, _) = take(fields)?;
        let (kind, from, dates) = take(dates)?;
        let from = time(kind, from)?;
        let (kind, until, _) = take(dates)?;
        Some(Self {
            subject: name(subject),
            issuer: name(issuer),
            from,
            until: time(kind, until)?,
        })
    }
}

/// The first element: its tag, its content, and what follows it.
fn take(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits.iter().fold(0, |n, d| n << 8 | usize::from(*d));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// A time of two digits of a year, or of four.
fn time(tag: u8, content: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(content).ok()?;
    let text = match tag {
        0x17 => {
            let century = if *text.as_bytes().first()? < b'5' {
                20
            } else {
                19
            };
            format!("{century}{text}")
        }
        _ => text.to_owned(),
    };
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    Offset::UTC.to_timestamp(time).ok()
}

/// The common name, else the organisation.
fn name(mut parts: &[u8]) -> String {
    let mut organisation = None;
    while let Some((_, part, rest)) = take(parts) {
        parts = rest;
        let Some((id, text)) = attribute(part) else {
            continue;
        };
        let text = clean::line(&String::from_utf8_lossy(text), NAME);
        match id {
            COMMON => return text,
            ORGANISATION => organisation = Some(text),
            _ => {}
        }
    }
    organisation.unwrap_or_else(|| "nobody named".to_owned())
}

fn attribute(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, pair, _) = take(part)?;
    let (_, id, rest) = take(pair)?;
    let (_, text, _) = take(rest)?;
    Some((id, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made() -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["plant.test".into()]).unwrap();
        let name = &mut params.distinguished_name;
        *name = rcgen::DistinguishedName::new();
        name.push(rcgen::DnType::OrganizationName, "Contoso");
        name.push(rcgen::DnType::CommonName, "plant\u{1b}[2J");
        params.not_before = rcgen::date_time_ymd(2024, 2, 29);
        params.not_after = rcgen::date_time_ymd(2071, 1, 2);
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn it_says_whose_it_is_and_until_when() {
        let certificate = Certificate::read(&made()).unwrap();
        assert_eq!(certificate.subject, "plant\\u{1b}[2J");
        assert_eq!(certificate.issuer, certificate.subject);
        assert_eq!(certificate.from.to_string(), "2024-02-29T00:00:00Z");
        assert_eq!(certificate.until.to_string(), "2071-01-02T00:00:00Z");
    }

    #[rstest::rstest]
    #[case(0x17, "491231235959Z", "2049-12-31T23:59:59Z")]
    #[case(0x17, "500101000000Z", "1950-01-01T00:00:00Z")]
    #[case(0x18, "20500101000000Z", "2050-01-01T00:00:00Z")]
    fn times(#[case] tag: u8, #[case] text: &str, #[case] want: &str) {
        let time = time(tag, text.as_bytes()).unwrap();
        assert_eq!(time.to_string(), want);
    }

    proptest! {
        #[test]
        fn whatever_comes_breaks_nothing(at in 0usize..300, with: u8, cut in 0usize..400) {
            let mut der = made();
            let n = der.len();
            der[at % n] = with;
            der.truncate(cut);
            let _ = Certificate::read(&der);
        }
    }
}
