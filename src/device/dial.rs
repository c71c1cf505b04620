//! The way to the hub: TCP, TLS, CONNECT.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use secrecy::ExposeSecret as _;
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connection_string::ConnectionString;
use super::token::{self, BadKey, token};
use crate::mqtt::{ClientLink, Connect, Incoming, Limits, LinkError, ReturnCode};

/// The version of the protocol that the user name names; hubs take any.
const API_VERSION: &str = "2021-04-12";
/// Seconds; what the official Python SDK asks for.
const KEEP_ALIVE: u16 = 60;
/// The longest way from the first packet to CONNACK.
const PATIENCE: Duration = Duration::from_secs(30);
/// Handshakes at once, of all devices of a process: they cost CPU.
const HANDSHAKES: usize = 64;
/// A token is renewed when so much of its life has passed.
const RENEW_AT: f64 = 0.85;
/// But never sooner than this, however short that life is.
const RENEW_LEAST: Duration = Duration::from_secs(1);

/// The link of a device; boxed, for it is handed on several times and would
/// make each of those futures as large as itself.
pub(super) type Wire = Box<ClientLink<TlsStream<TcpStream>>>;

/// What the devices of one process share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) tls: Arc<ClientConfig>,
    http: OnceCell<reqwest::Client>,
    gate: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn new(tls: Arc<ClientConfig>, gate: Arc<Semaphore>) -> Arc<Self> {
        Arc::new(Self {
            tls,
            http: OnceCell::new(),
            gate,
        })
    }

    pub(super) fn gate() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(HANDSHAKES))
    }

    /// The client for packages, made when first needed.
    pub(super) async fn http(&self) -> Result<reqwest::Client, reqwest::Error> {
        let client = self
            .http
            .get_or_try_init(|| async { super::download::client(&self.tls) });
        client.await.cloned()
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{host}:{port} is not reached: {source}")]
    Tcp {
        host: String,
        port: u16,
        source: std::io::Error,
    },
    #[error("no TLS with {host}: {source}")]
    Tls {
        host: String,
        source: std::io::Error,
    },
    #[error("the hub does not answer within 30 s")]
    Slow,
    #[error("{}", refusal(*.0))]
    Refused(ReturnCode),
    #[error(transparent)]
    Key(#[from] BadKey),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the hub broke the protocol: {0}")]
    Odd(&'static str),
    #[error("the hub answered a twin request with {0}")]
    Twin(u16),
}

impl Trouble {
    /// Is it about who the device is? Then trying again soon is of no use.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused(
                ReturnCode::NotAuthorized | ReturnCode::BadCredentials | ReturnCode::BadClientId
            )
        )
    }
}

fn refusal(code: ReturnCode) -> &'static str {
    match code {
        ReturnCode::NotAuthorized | ReturnCode::BadCredentials => {
            "refused: wrong key, unknown or disabled device (or this machine's clock is wrong)"
        }
        ReturnCode::BadClientId => "refused: the hub does not take this device id",
        ReturnCode::Unavailable => "refused: the hub is overloaded or down",
        ReturnCode::BadProtocolLevel => "refused: the hub does not speak MQTT 3.1.1",
        ReturnCode::Accepted => "accepted",
    }
}

/// How long the tokens of a device live.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    life: Duration,
    /// The end (seconds since 1970) of the only token there will ever be.
    only: Option<i64>,
}

impl Pass {
    pub(super) fn of(life: Duration) -> Self {
        Self { life, only: None }
    }

    /// From now on every connection uses the same token.
    pub(super) fn keep(&mut self) {
        self.only = Some(self.expiry());
    }

    fn expiry(self) -> i64 {
        let life = i64::try_from(self.life.as_secs()).unwrap_or(i64::MAX);
        let fresh = || Timestamp::now().as_second().saturating_add(life.max(1));
        self.only.unwrap_or_else(fresh)
    }

    /// When a token signed now is old, unless there is but one.
    fn renew_after(self) -> Option<Duration> {
        let old = self.life.mul_f64(RENEW_AT).max(RENEW_LEAST);
        self.only.is_none().then_some(old)
    }
}

/// A connection that the hub has taken.
pub(super) struct Opened {
    pub(super) wire: Wire,
    pub(super) session_present: bool,
    /// When to come back with a fresh token; `None` is never.
    pub(super) renew_at: Option<Instant>,
}

/// Opens a connection, waiting for its turn among the handshakes first.
pub(super) async fn dial(
    shared: Arc<Shared>,
    to: Arc<ConnectionString>,
    pass: Pass,
) -> Result<Opened, Trouble> {
    let _turn = shared.gate.acquire().await.map_err(|_| Trouble::Slow)?;
    timeout(PATIENCE, open(&shared.tls, &to, pass))
        .await
        .map_err(|_| Trouble::Slow)?
}

async fn open(
    tls: &Arc<ClientConfig>,
    to: &ConnectionString,
    pass: Pass,
) -> Result<Opened, Trouble> {
    let stream = TcpStream::connect((to.host.as_str(), to.port)).await;
    let stream = stream.map_err(|source| Trouble::Tcp {
        host: to.host.clone(),
        port: to.port,
        source,
    })?;
    // Small packets, each waited for; without it they only come later.
    let _ = stream.set_nodelay(true);
    let name = ServerName::try_from(to.host.clone()).map_err(|_| Trouble::Odd("its host name"))?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream);
    let stream = stream.await.map_err(|source| Trouble::Tls {
        host: to.host.clone(),
        source,
    })?;
    let mut wire = Box::new(ClientLink::client(stream, Limits::default()));
    let signed = Instant::now();
    wire.connect(&hello(to, pass)?)?;
    match wire.next().await? {
        Incoming::ConnectAck {
            code: ReturnCode::Accepted,
            session_present,
        } => Ok(Opened {
            wire,
            session_present,
            renew_at: pass.renew_after().map(|after| signed + after),
        }),
        Incoming::ConnectAck { code, .. } => Err(Trouble::Refused(code)),
        _ => Err(Trouble::Odd("it began without CONNACK")),
    }
}

/// The CONNECT, as the official SDKs send it: kept session, no will.
fn hello(to: &ConnectionString, pass: Pass) -> Result<Connect, BadKey> {
    let client_id = to.client_id();
    let password = token(&to.resource(), &to.key, pass.expiry(), to.policy.as_deref())?;
    let agent = token::escape(concat!("otadeck/", env!("CARGO_PKG_VERSION")));
    Ok(Connect {
        user_name: Some(format!(
            "{}/{client_id}/?api-version={API_VERSION}&DeviceClientType={agent}",
            to.host
        )),
        password: Some(password.expose_secret().as_bytes().to_vec()),
        keep_alive: KEEP_ALIVE,
        ..Connect::new(&client_id)
    })
}

/// Checks what would fail at every try: the key and the host name.
pub(super) fn check(to: &ConnectionString) -> Result<(), super::DeviceError> {
    token("", &to.key, 0, None)?;
    match ServerName::try_from(to.host.as_str()) {
        Ok(_) => Ok(()),
        Err(_) => Err(super::DeviceError::HostName(to.host.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hello_is_that_of_an_sdk() {
        let to = "HostName=hub.test:8884;DeviceId=dev$1;SharedAccessKey=AAAA";
        let to = ConnectionString::parse(to).unwrap();
        let hello = hello(&to, Pass::of(Duration::from_secs(3600))).unwrap();
        assert_eq!(hello.client_id, "dev$1");
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            hello.user_name.unwrap(),
            format!("hub.test/dev$1/?api-version=2021-04-12&DeviceClientType=otadeck%2F{version}")
        );
        let password = String::from_utf8(hello.password.unwrap()).unwrap();
        let start = "SharedAccessSignature sr=hub.test%2Fdevices%2Fdev%241&sig=";
        assert!(password.starts_with(start), "{password}");
        assert!(!hello.clean_session);
        assert_eq!(hello.keep_alive, 60);
    }

    #[test]
    fn what_can_never_work_is_said_at_once() {
        let check = |text| check(&ConnectionString::parse(text).unwrap());
        assert!(check("HostName=h;DeviceId=d;SharedAccessKey=AAAA").is_ok());
        assert!(check("HostName=::1;DeviceId=d;SharedAccessKey=AAAA").is_ok());
        assert!(check("HostName=h;DeviceId=d;SharedAccessKey=***").is_err());
        assert!(check("HostName=h h;DeviceId=d;SharedAccessKey=AAAA").is_err());
    }
}
