//! What the signature of a signed URI tells: its times, and what makes it doubtful.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use url::Url;

use super::{Finding, Weight};
use crate::domain::uri::PackageUri;

/// The query's parameters, names in lower case.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn of(uri: &PackageUri) -> Option<Self> {
        let url = Url::parse(uri.expose()).ok()?;
        let pairs = url.query_pairs();
        Some(Self(
            pairs
                .map(|(name, value)| (name.to_ascii_lowercase(), value.into_owned()))
                .collect(),
        ))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let pair = self.0.iter().find(|(found, _)| found == name);
        pair.map(|(_, value)| value.as_str())
    }
}

/// From when and until when the server honours a signed URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not from then on.
    pub until: Option<Timestamp>,
    /// Does the signature cover the HTTP method? Then a HEAD is refused where a
    /// GET would not be.
    pub binds_method: bool,
}

impl Validity {
    /// Of a signed URI; `None` of any other, and of one whose times cannot be
    /// read.
    ///
    /// | parameters | whose |
    /// |---|---|
    /// | `sig`, `se`, `st` | Azure Storage and other Azure shared access signatures (`MicrosoftDocs/azure-docs`, "Create a service SAS") |
    /// | `X-Amz-Date`, `X-Amz-Expires` | AWS Signature Version 4 query strings; likewise `X-Goog-…` (Google Cloud Storage V4) and `X-Oss-…` (Alibaba Cloud OSS V4) |
    /// | `Policy` with `Signature` | Amazon CloudFront with a policy of one's own: JSON in its own base64 |
    /// | `Expires` with `Signature` | AWS Signature Version 2, Amazon CloudFront, Google Cloud Storage V2 |
    #[must_use]
    pub fn of(uri: &PackageUri) -> Option<Self> {
        let parameters = Parameters::of(uri)?;
        let get = |name: &str| parameters.get(name);
        for cloud in ["x-amz", "x-goog", "x-oss"] {
            let date = get(&format!("{cloud}-date")).and_then(compact);
            let lives = get(&format!("{cloud}-expires")).and_then(|s| s.parse().ok());
            if let (Some(from), Some(seconds)) = (date, lives) {
                let until = from.checked_add(SignedDuration::from_secs(seconds)).ok();
                return Some(Self {
                    from: Some(from),
                    until,
                    binds_method: true,
                });
            }
        }
        if get("sig").is_some() && get("se").is_some() {
            return Some(Self {
                from: get("st").and_then(moment),
                until: Some(get("se").and_then(moment)?),
                binds_method: false,
            });
        }
        get("signature")?;
        if let Some(policy) = get("policy") {
            return cloudfront(policy);
        }
        Some(Self {
            from: None,
            until: Some(get("expires").and_then(epoch)?),
            binds_method: get("key-pair-id").is_none(),
        })
    }
}

/// The times in a policy of CloudFront's ("Create a signed URL using a custom policy"),
/// whose base64 has other signs for `+`, `=` and `/`.
fn cloudfront(policy: &str) -> Option<Validity> {
    let policy = policy.replace('-', "+").replace('_', "=").replace('~', "/");
    let policy: Value = serde_json::from_slice(&STANDARD.decode(policy).ok()?).ok()?;
    let condition = policy.pointer("/Statement/0/Condition")?;
    let time = |name: &str| {
        let seconds = condition.get(name)?.get("AWS:EpochTime")?.as_i64()?;
        Timestamp::from_second(seconds).ok()
    };
    Some(Validity {
        from: time("DateGreaterThan"),
        until: Some(time("DateLessThan")?),
        binds_method: false,
    })
}

/// What makes a signature doubtful: an end that should be there and cannot be read, or
/// a right that is not given. The values are not repeated: they may be anything.
pub(super) fn doubts(uri: &PackageUri) -> Vec<Finding> {
    let Some(parameters) = Parameters::of(uri) else {
        return Vec::new();
    };
    let has = |name: &str| parameters.get(name).is_some();
    let mut doubts = Vec::new();
    let ends = [
        ("sig", "se"),
        ("x-amz-signature", "x-amz-expires"),
        ("x-goog-signature", "x-goog-expires"),
        ("x-oss-signature", "x-oss-expires"),
        ("signature", "policy"),
        ("signature", "expires"),
    ];
    let end = ends.iter().find(|(by, end)| has(by) && has(end));
    if let (Some((_, end)), None) = (end, Validity::of(uri)) {
        let text = format!(
            "the URI is signed, and when that ends cannot be read from its {end}; it may have ended"
        );
        doubts.push(Finding::new(Weight::Warning, text));
    }
    let rights = parameters.get("sp").filter(|_| has("sig"));
    if rights.is_some_and(|rights| !rights.contains('r')) {
        let text = "the URI's signature does not give the right to read (no r in its sp), so \
                    the device will not get the package";
        doubts.push(Finding::new(Weight::Warning, text));
    }
    doubts
}

/// `20260131T102030Z`
fn compact(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    utc(time)
}

/// `2026-01-31T10:20:30Z`, the same without seconds, a date, or seconds since
/// 1970: all that Azure's signatures use.
fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let minutes = DateTime::strptime("%Y-%m-%dT%H:%MZ", text).ok();
    let date = || {
        let date = Date::strptime("%Y-%m-%d", text).ok()?;
        Some(date.to_datetime(jiff::civil::Time::midnight()))
    };
    match minutes.or_else(date) {
        Some(time) => utc(time),
        None => epoch(text),
    }
}

fn epoch(text: &str) -> Option<Timestamp> {
    Timestamp::from_second(text.parse().ok()?).ok()
}

fn utc(time: DateTime) -> Option<Timestamp> {
    Offset::UTC.to_timestamp(time).ok()
}
