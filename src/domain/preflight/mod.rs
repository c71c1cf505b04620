//! What can be said of a package URI before anything is sent: when its
//! signature ends, whether this hub may use it, and what its server told.
//!
//! A console can look at a package only from where it stands. What it finds
//! wrong may be wrong for the device as well; what it finds right proves nothing
//! for the device, whose network, clock and trusted certificates are others.

#[cfg(test)]
mod tests;

mod signature;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::clean;
use super::pattern;
use super::time::spoken;
use super::twin::{Path, Twin};
use super::uri::PackageUri;
pub use signature::Validity;

/// How far clocks may be apart before a signature that has not begun yet is
/// worth a word. Storage services allow about as much.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Weight {
    /// Worth knowing.
    Note,
    /// Likely to go wrong.
    Warning,
    /// Nothing is sent.
    Refusal,
}

/// One thing that is to be said about a package URI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// What it is, in a sentence without a full stop.
    pub text: String,
}

impl Finding {
    fn new(weight: Weight, text: impl Into<String>) -> Self {
        Self {
            weight,
            text: text.into(),
        }
    }
}

/// Which packages a hub's devices may be given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The hosts that packages may come from; empty: any. `*.` in front stands
    /// for one or more labels.
    pub hosts: Vec<String>,
    /// Which URIs a model may be given. A model that none names may be given
    /// any; one that several name, what any of them allows.
    pub models: Vec<ModelRule>,
    /// Is the hub on this machine? Then loopback is where its devices are too.
    pub local: bool,
}

/// Which URIs a device model may be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRule {
    /// Where the model stands: a path below `tags`, `desired` or `reported`.
    pub path: Path,
    /// The model, in which `*` stands for any text.
    pub model: String,
    /// The whole URI without its query, in which `*` stands for any text.
    pub uri: String,
}

impl Rules {
    /// What is to be said of `uri` at `now`, when a device is expected to have
    /// fetched the package by `fetched`. The most important first.
    #[must_use]
    pub fn judge(&self, uri: &PackageUri, now: Timestamp, fetched: Timestamp) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Ok(url) = Url::parse(uri.expose()) {
            self.host(&url, &mut findings);
            if url.scheme() == "http" && !self.local {
                let text = "http: whoever is between the device and the server can change \
                            the package on its way";
                findings.push(Finding::new(Weight::Warning, text));
            }
        }
        if let Some(validity) = Validity::of(uri) {
            findings.extend(times(validity, now, fetched));
        }
        findings.extend(signature::doubts(uri));
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
        findings
    }

    fn host(&self, url: &Url, findings: &mut Vec<Finding>) {
        let host = url.host_str().unwrap_or_default();
        if !self.hosts.is_empty() && !self.hosts.iter().any(|allowed| is_host(allowed, host)) {
            let allowed = self.hosts.join(", ");
            let text = format!(
                "packages for this hub may not come from {}, only from {}",
                clean::line(host, 80),
                clean::line(&allowed, 200)
            );
            findings.push(Finding::new(Weight::Refusal, text));
        }
        if is_loopback(url) && !self.local {
            let text = format!("{host} is the device itself when the device asks for it");
            findings.push(Finding::new(Weight::Warning, text));
        }
    }

    /// May the device of `twin` be given `uri`? The refusal says why not.
    #[must_use]
    pub fn refuses(&self, uri: &PackageUri, twin: &Twin) -> Option<Finding> {
        let place = uri.place();
        let mut forbidden = None;
        for rule in &self.models {
            let Some(model) = twin.text_at(&rule.path) else {
                continue;
            };
            if !pattern::matches(&rule.model, model) {
                continue;
            }
            if is_place(&rule.uri, &place) {
                return None;
            }
            forbidden.get_or_insert((model, &rule.uri));
        }
        let (model, allowed) = forbidden?;
        let text = format!(
            "devices of the model {} may be given {} only",
            clean::line(model, 60),
            clean::line(allowed, 120)
        );
        Some(Finding::new(Weight::Refusal, text))
    }
}

fn times(validity: Validity, now: Timestamp, fetched: Timestamp) -> Option<Finding> {
    let at = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    if let Some(until) = validity.until {
        if until <= now {
            let ago = spoken(now.duration_since(until));
            let text = format!("the URI's signature ended {ago} ago, at {}", at(until));
            return Some(Finding::new(Weight::Refusal, text));
        }
        let left = spoken(until.duration_since(now));
        if until < fetched {
            let needed = spoken(fetched.duration_since(now));
            let text = format!(
                "the URI's signature ends in {left}, at {}; an update may take {needed} to fetch it",
                at(until)
            );
            return Some(Finding::new(Weight::Warning, text));
        }
    }
    match validity.from {
        Some(from) if from > now + SKEW => {
            let wait = spoken(from.duration_since(now));
            let text = format!("the URI's signature begins only in {wait}, at {}", at(from));
            Some(Finding::new(Weight::Warning, text))
        }
        _ => {
            let until = validity.until?;
            let left = spoken(until.duration_since(now));
            let text = format!("the URI's signature ends in {left}, at {}", at(until));
            Some(Finding::new(Weight::Note, text))
        }
    }
}

/// Is `place` what `allowed` means? A star in its host stands for no slash, and
/// without a path all of the host is meant.
fn is_place(allowed: &str, place: &str) -> bool {
    let split = |text: &str| {
        let host = text.find("://").map_or(0, |at| at + 3);
        text[host..].find('/').map(|at| host + at)
    };
    match (split(allowed), split(place)) {
        (Some(a), Some(p)) => {
            pattern::matches(&allowed[..a], &place[..p])
                && pattern::matches(&allowed[a..], &place[p..])
        }
        (None, Some(p)) => pattern::matches(allowed, &place[..p]),
        (_, None) => pattern::matches(allowed, place),
    }
}

/// Is `host` what `allowed` means? Without regard to case.
fn is_host(allowed: &str, host: &str) -> bool {
    let (allowed, host) = (allowed.to_ascii_lowercase(), host.to_ascii_lowercase());
    match allowed.strip_prefix("*.") {
        None => allowed == host,
        Some(suffix) => host
            .strip_suffix(suffix)
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|label| !label.is_empty()),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name.eq_ignore_ascii_case("localhost")
                || name.to_ascii_lowercase().ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => false,
    }
}

/// All that is to be said of `uri`: what it says by itself, and what its server
/// told, or why that told nothing. The most important first.
#[must_use]
pub fn findings(
    rules: &Rules,
    uri: &PackageUri,
    server: Option<&Result<PackageInfo, String>>,
    now: Timestamp,
    fetched: Timestamp,
) -> Vec<Finding> {
    let mut findings = rules.judge(uri, now, fetched);
    match server {
        None => {}
        Some(Ok(info)) => findings.push(info.finding()),
        Some(Err(why)) => {
            let text = format!("{why} ({SEEN})");
            findings.push(Finding::new(Weight::Warning, text));
        }
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    findings
}

/// Is the package forbidden?
#[must_use]
pub fn refusal(findings: &[Finding]) -> Option<&Finding> {
    findings.iter().find(|f| f.weight == Weight::Refusal)
}

/// What a server's answer is worth.
const SEEN: &str = "seen from here; the device's network may be another";

/// What a package's server told about it, asked from here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageInfo {
    /// The HTTP status.
    pub status: u16,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The entity tag: changes with the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When the server says that it was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
    /// The host that it redirects to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// The content is a web page: a sign-in page, for example.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_page: bool,
}

impl PackageInfo {
    /// What is to be said of it.
    fn finding(&self) -> Finding {
        let (weight, text) = match self.status {
            200..=299 if self.is_page => (
                Weight::Warning,
                "the server sends a web page, not a package".to_owned(),
            ),
            200..=299 if self.size == Some(0) => {
                (Weight::Warning, "the server's package is empty".to_owned())
            }
            200..=299 => (Weight::Note, self.to_string()),
            status @ 300..=399 => {
                let to = self.redirect.as_deref().unwrap_or("another place");
                let to = clean::line(to, 80);
                let text =
                    format!("the server redirects ({status}) to {to}; not every device follows");
                (Weight::Warning, text)
            }
            status => {
                let why = match status {
                    401 | 403 => "the server does not let us have it",
                    404 | 410 => "the server has no such package",
                    _ => "the server does not give it",
                };
                (Weight::Warning, format!("{why}: HTTP {status}"))
            }
        };
        Finding::new(weight, format!("{text} ({SEEN})"))
    }
}

impl std::fmt::Display for PackageInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.size {
            Some(size) => write!(f, "{}", Bytes(size))?,
            None => write!(f, "size not told")?,
        }
        if let Some(etag) = &self.etag {
            write!(f, ", entity tag {}", clean::line(etag, 40))?;
        }
        if let Some(modified) = &self.modified {
            write!(f, ", changed {}", clean::line(modified, 40))?;
        }
        Ok(())
    }
}

/// A number of bytes, for people.
struct Bytes(u64);

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
        if self.0 < 1_000 {
            return write!(f, "{} B", self.0);
        }
        #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
        let mut size = self.0 as f64 / 1_000.0;
        let mut unit = 0;
        // What would round to 1000 of a unit is one of the next.
        while size >= 999.5 && unit + 1 < UNITS.len() {
            size /= 1_000.0;
            unit += 1;
        }
        match size < 9.95 {
            true => write!(f, "{size:.1} {}", UNITS[unit]),
            false => write!(f, "{size:.0} {}", UNITS[unit]),
        }
    }
}
