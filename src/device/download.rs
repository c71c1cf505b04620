//! Downloads: of the emulator's own packages really, size and hash checked.

use std::fmt::Write as _;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::time::Instant;
use url::{Host, Url};

/// The header in which the emulator tells a package's SHA-256, in hex.
pub const SHA256_HEADER: &str = "x-package-sha256";
/// Where the emulator keeps packages.
const FOLDER: &str = "/packages/";
/// Progress is told at most so often.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// The throttle waits at least so long, so that it does not wake for nothing.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);

/// How a download goes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Progress {
    /// 0 to 100.
    Percent(f64),
    /// The end.
    Done(Result<(), String>),
}

/// Is this a package of the emulator's: a path `/packages/…` on the hub's host
/// (of any port) or on this machine? Only such ones are really downloaded:
/// a simulated device fetches nothing from strangers.
pub(super) fn is_own_package(uri: &str, hub: &str) -> bool {
    let Ok(url) = Url::parse(uri) else {
        return false;
    };
    matches!(url.scheme(), "http" | "https")
        && url.path().starts_with(FOLDER)
        && (is_loopback(&url) || url.host_str().is_some_and(|host| is_same(host, hub)))
}

fn is_same(host: &str, hub: &str) -> bool {
    host.trim_matches(['[', ']']).eq_ignore_ascii_case(hub)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A client for packages that trusts what `tls` trusts: no proxy (the packages
/// are the hub's own), no redirects, no total limit of time.
pub(super) fn client(tls: &rustls::ClientConfig) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(30))
        .user_agent(concat!("otadeck-device/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Downloads `uri`, spread over `least` at least, and tells how it goes; the
/// last word is [`Progress::Done`]. Ends early when nobody listens.
pub(super) async fn run(
    client: reqwest::Client,
    uri: String,
    least: Duration,
    tell: mpsc::Sender<Progress>,
) {
    let result = fetch(&client, &uri, least, &tell).await;
    // Nobody listens any more: the device is stopping.
    let _ = tell.send(Progress::Done(result)).await;
}

async fn fetch(
    client: &reqwest::Client,
    uri: &str,
    least: Duration,
    tell: &mpsc::Sender<Progress>,
) -> Result<(), String> {
    let begin = Instant::now();
    let mut response = client.get(uri).send().await.map_err(|e| broken(&e))?;
    let status = response.status();
    if !status.is_success() {
        return Err(status.to_string());
    }
    let size = header(&response, "content-length").and_then(|text| text.parse::<u64>().ok());
    let hash = header(&response, SHA256_HEADER).map(|text| text.trim().to_ascii_lowercase());
    let mut throttle = Throttle::new(begin, least, size);
    let mut sha256 = Sha256::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| broken(&e))? {
        sha256.update(&chunk);
        throttle.pace(chunk.len() as u64, tell).await;
    }
    throttle.finish().await;
    checked(
        size,
        throttle.received,
        hash.as_deref(),
        &hex(&sha256.finalize()),
    )
}

fn checked(size: Option<u64>, got: u64, hash: Option<&str>, is: &str) -> Result<(), String> {
    if let Some(size) = size.filter(|size| *size != got) {
        return Err(format!(
            "the package has {got} bytes, {size} were announced"
        ));
    }
    match hash {
        Some(hash) if hash != is => Err(format!(
            "the package's SHA-256 is {is}, {} was announced",
            crate::domain::clean::line(hash, 64)
        )),
        _ => Ok(()),
    }
}

/// Spreads the bytes over the time.
struct Throttle {
    begin: Instant,
    least: Duration,
    size: Option<u64>,
    received: u64,
    told: Instant,
}

impl Throttle {
    fn new(begin: Instant, least: Duration, size: Option<u64>) -> Self {
        Self {
            begin,
            least,
            size: size.filter(|size| *size > 0),
            received: 0,
            told: begin,
        }
    }

    async fn pace(&mut self, bytes: u64, tell: &mpsc::Sender<Progress>) {
        self.received += bytes;
        let Some(part) = self.part() else { return };
        let due = self.begin + self.least.mul_f64(part);
        loop {
            if self.told.elapsed() >= TELL_EVERY {
                self.told = Instant::now();
                // A full channel only means that a newer number follows.
                let _ = tell.try_send(Progress::Percent(self.percent(part)));
            }
            let left = due.saturating_duration_since(Instant::now());
            if left < SHORTEST_WAIT {
                return;
            }
            tokio::time::sleep(left.min(TELL_EVERY)).await;
        }
    }

    async fn finish(&self) {
        tokio::time::sleep_until(self.begin + self.least).await;
    }

    fn part(&self) -> Option<f64> {
        let (received, size) = (self.received.min(1 << 52), self.size?.min(1 << 52));
        #[expect(clippy::cast_precision_loss, reason = "both are at most 2^52")]
        let part = received as f64 / size as f64;
        Some(part.min(1.0))
    }

    /// What has come in and been let through: with a small package in one
    /// chunk, time decides.
    fn percent(&self, part: f64) -> f64 {
        let least = self.least.as_secs_f64();
        if least == 0.0 {
            return part * 100.0;
        }
        part.min(self.begin.elapsed().as_secs_f64() / least) * 100.0
    }
}

fn header(response: &reqwest::Response, name: &str) -> Option<String> {
    let value = response.headers().get(name)?;
    value.to_str().ok().map(str::to_owned)
}

/// The innermost reason, without the URI, which may hold a signature.
fn broken(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    let kind = match () {
        () if error.is_timeout() => "the package server does not answer",
        () if error.is_connect() => "no connection to the package server",
        () => "the download broke",
    };
    if std::ptr::addr_eq(reason, error) {
        return kind.to_owned();
    }
    format!(
        "{kind}: {}",
        crate::domain::clean::line(&reason.to_string(), 200)
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut hex, b| {
        let _ = write!(hex, "{b:02x}");
        hex
    })
}

#[cfg(test)]
#[path = "download_tests.rs"]
mod tests;
