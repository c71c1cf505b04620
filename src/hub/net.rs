//! The HTTP clients, the proxy between, and what a broken call means.

use std::error::Error as StdError;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use rustls::CertificateError;

use crate::domain::clean;

use super::client::Settings;
use super::error::{HubError, Obstacle};

/// A peer that is gone without a word is found out by the system after about
/// three times this, also while a method call waits for its answer.
const KEEPALIVE: Duration = Duration::from_secs(8);
const PROBES: u32 = 3;
/// What was sent and is not confirmed for so long is lost.
const UNCONFIRMED: Duration = Duration::from_secs(20);
/// Connections at rest are closed before the hub's side forgets them.
const AT_REST: Duration = Duration::from_secs(60);

/// What goes over the wire.
#[derive(Debug)]
pub(super) struct Net {
    /// For reads: connections are kept, and silence has a limit.
    pub(super) reads: reqwest::Client,
    /// For orders, each on a connection of its own: one that has died at rest
    /// would leave nobody knowing whether the order arrived.
    pub(super) orders: reqwest::Client,
    /// The proxy's host and port, if there is one between.
    proxy: Option<String>,
}

impl Net {
    /// Reads the CA file and the system's certificates.
    pub(super) async fn build(settings: &Settings) -> Result<Self, HubError> {
        let trusted = trusted(settings).await?;
        let made = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|e| {
                HubError::Setup(format!(
                    "no HTTPS client: {}; does this system have any CA certificates?",
                    chain(&e)
                ))
            })
        };
        let plain = || plain(settings, trusted.clone());
        Ok(Self {
            reads: made(
                plain()
                    .read_timeout(settings.silence)
                    .pool_idle_timeout(AT_REST),
            )?,
            orders: made(plain().pool_max_idle_per_host(0))?,
            proxy: proxy(settings),
        })
    }

    /// What a broken call means: only when no connection was made is it sure
    /// that nothing was sent.
    pub(super) fn lost(&self, host: String, error: &reqwest::Error) -> HubError {
        let cause = chain(error);
        if error.is_builder() {
            return HubError::Setup(cause);
        }
        if error.is_connect() {
            return self.unconnected(host, error, cause);
        }
        let cause = match error.is_timeout() {
            true => "it took too long".to_owned(),
            false => cause,
        };
        HubError::NoAnswer { host, cause }
    }

    fn unconnected(&self, host: String, error: &reqwest::Error, cause: String) -> HubError {
        let (obstacle, cause) = match (obstacle(error), &self.proxy) {
            (Obstacle::ProxySignIn, proxy) => {
                let proxy = proxy.as_deref().unwrap_or("on the way");
                let cause = format!("the proxy {proxy} wants a sign-in (407)");
                (Obstacle::ProxySignIn, cause)
            }
            (Obstacle::Proxy, proxy) => {
                let proxy = proxy.as_deref().unwrap_or("on the way");
                let cause = through(proxy, &cause);
                (Obstacle::Proxy, cause)
            }
            // It is the proxy's name, or its port, that leads nowhere.
            (Obstacle::Name | Obstacle::Network, Some(proxy)) => {
                let cause = format!("the proxy {proxy} is not reached: {cause}");
                (Obstacle::Proxy, cause)
            }
            (Obstacle::Handshake, Some(proxy)) => {
                let cause = format!("behind the proxy {proxy}: {cause}");
                (Obstacle::Handshake, cause)
            }
            (obstacle, _) => (obstacle, cause),
        };
        HubError::Connect {
            host,
            cause,
            obstacle,
        }
    }
}

/// What a proxy did instead of letting us through.
fn through(proxy: &str, cause: &str) -> String {
    if cause.contains("unexpected end of file") {
        return format!("the proxy {proxy} closed the connection without an answer");
    }
    if cause.contains("unsuccessful") {
        return format!("the proxy {proxy} does not let us through to the hub");
    }
    format!("the proxy {proxy}: {cause}")
}

async fn trusted(settings: &Settings) -> Result<Vec<reqwest::Certificate>, HubError> {
    let Some(path) = &settings.ca_file else {
        return Ok(Vec::new());
    };
    let shown = path.display();
    let pem = tokio::fs::read(path)
        .await
        .map_err(|e| HubError::Setup(format!("cannot read the CA file {shown}: {e}")))?;
    reqwest::Certificate::from_pem_bundle(&pem)
        .ok()
        .filter(|bundle| !bundle.is_empty())
        .ok_or_else(|| HubError::Setup(format!("the CA file {shown} holds no PEM certificate")))
}

fn plain(settings: &Settings, trusted: Vec<reqwest::Certificate>) -> reqwest::ClientBuilder {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("otadeck/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(settings.connect_timeout)
        .tcp_keepalive(KEEPALIVE)
        .tcp_keepalive_interval(KEEPALIVE)
        .tcp_keepalive_retries(PROBES)
        .tcp_nodelay(true);
    #[cfg(target_os = "linux")]
    {
        builder = builder.tcp_user_timeout(UNCONFIRMED);
    }
    if settings.sign_in.at().is_loopback() {
        builder = builder.no_proxy();
    }
    if !trusted.is_empty() {
        builder = builder.tls_certs_merge(trusted);
    }
    builder
}

/// The proxy that the environment names for this hub, as the HTTP client reads
/// it; never with its password.
pub(super) fn proxy(settings: &Settings) -> Option<String> {
    if settings.sign_in.at().is_loopback() {
        return None;
    }
    let url = format!("https://{}/", settings.sign_in.at());
    let proxy = Matcher::from_system().intercept(&url.parse().ok()?)?;
    let host = proxy.uri().host()?;
    let port = proxy.uri().port_u16();
    Some(match port {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// An error and what caused it, in one harmless line without the URL.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    for error in causes(error) {
        let text = clean::cause(error);
        if texts.last() != Some(&text) {
            texts.push(text);
        }
    }
    // The outer layers only say that something failed; the last two say what.
    let from = texts.len().saturating_sub(2);
    let said = texts[from..].join(": ");
    clean::line(if said.is_empty() { "it failed" } else { &said }, 300)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let mut next = StdError::source(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// What keeps a connection from being made.
fn obstacle(error: &reqwest::Error) -> Obstacle {
    if let Some(tls) = causes(error).find_map(tls_error) {
        return obstacle_of_tls(tls);
    }
    if error.is_dns() {
        return Obstacle::Name;
    }
    // The tunnel's errors are of a type that is not public.
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    let said = |words: &str| texts.iter().any(|text| text.contains(words));
    if said("proxy authorization required") {
        Obstacle::ProxySignIn
    } else if said("tunnel") && !said("underlying connection") {
        Obstacle::Proxy
    } else if said("dns error") || said("lookup address") {
        Obstacle::Name
    } else if said("certificate") {
        Obstacle::Issuer
    } else if said("tls handshake eof") {
        Obstacle::Handshake
    } else {
        Obstacle::Network
    }
}

/// What keeps a handshake from being made.
pub(super) fn obstacle_of_tls(error: &rustls::Error) -> Obstacle {
    match error {
        rustls::Error::InvalidCertificate(certificate) => bad(certificate),
        _ => Obstacle::Tls,
    }
}

fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls);
    }
    let io = error.downcast_ref::<std::io::Error>()?;
    io.get_ref()?.downcast_ref::<rustls::Error>()
}

fn bad(certificate: &CertificateError) -> Obstacle {
    match certificate {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Obstacle::OtherHost
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Obstacle::Dates,
        _ => Obstacle::Issuer,
    }
}
