//! [`Service`] over real HTTPS.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use reqwest::{Method, Request, Response, Url};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::domain::clean;
use crate::domain::id::DeviceId;
use crate::domain::method::{MethodAnswer, MethodCall};
use crate::domain::problem::Kind;
use crate::domain::twin::Twin;

use super::connection::ConnectionString;
use super::error::{HubError, Refusal};
use super::query::{PAGE, Query};
use super::sas;
use super::service::{Grant, Page, Permit, Service, TagGrant, TagPermit};
use super::wire::{self, Identity};

/// The version of the service API that current official SDKs send.
const API_VERSION: &str = "2021-04-12";
/// How long one token is valid, and when it is replaced.
const TOKEN_LIFETIME: i64 = 3_600;
const TOKEN_RENEWAL: i64 = 600;
/// How long to wait beyond the timeouts that a method call names: the hub
/// answers 504 by itself before that. The C# SDK waits as long.
const METHOD_SLACK: Duration = Duration::from_secs(15);
/// The largest answer that is read, in bytes; a page of 1,000 whole twins is
/// smaller.
const MAX_ANSWER: usize = 64 << 20;

/// Where the hub is and how to reach it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Host, policy and key.
    pub connection: ConnectionString,
    /// A PEM file with certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a read may take as a whole.
    pub request_timeout: Duration,
}

impl Settings {
    /// The usual timeouts for that hub.
    #[must_use]
    pub fn new(connection: ConnectionString, ca_file: Option<PathBuf>) -> Self {
        Self {
            connection,
            ca_file,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(15),
        }
    }
}

/// A client of one hub. Making one touches neither network nor disk; the first
/// call does.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    http: OnceCell<reqwest::Client>,
    token: Mutex<Option<(i64, HeaderValue)>>,
}

/// A successful answer.
struct Answer {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// The hub's clock in its `Date`.
    fn clock(&self) -> Option<Timestamp> {
        let date = self.headers.get(DATE)?.to_str().ok()?;
        let zoned = jiff::fmt::rfc2822::parse(date).ok()?;
        Some(zoned.timestamp())
    }
}

impl Client {
    /// A client for the hub that `settings` name.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            http: OnceCell::new(),
            token: Mutex::new(None),
        }
    }

    async fn read(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, HubError> {
        let timeout = self.settings.request_timeout;
        self.call(method, path, body, headers, timeout).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, &str)],
        timeout: Duration,
    ) -> Result<Answer, HubError> {
        let request = self.request(method, path, body, headers, timeout)?;
        let http = self.http.get_or_try_init(|| self.build()).await?;
        let response = http.execute(request).await.map_err(|e| self.lost(e))?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = self.body(response).await?;
        if status.is_success() {
            return Ok(Answer { headers, body });
        }
        let name = headers
            .get("iothub-errorcode")
            .and_then(|v| v.to_str().ok());
        let refusal = Refusal::read(status.as_u16(), name, &body);
        if status.as_u16() == 401 {
            // A new token costs nothing, and the old one may be the reason.
            *lock(&self.token) = None;
        }
        Err(HubError::Answered(Box::new(refusal)))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, &str)],
        timeout: Duration,
    ) -> Result<Request, HubError> {
        let ConnectionString { host, port, .. } = &self.settings.connection;
        let url = format!("https://{host}:{port}/{path}?api-version={API_VERSION}");
        let url = Url::parse(&url).map_err(|e| HubError::Setup(format!("{host}: {e}")))?;
        let mut request = Request::new(method, url);
        *request.timeout_mut() = Some(timeout);
        let all = request.headers_mut();
        all.insert(AUTHORIZATION, self.token());
        for (name, value) in headers {
            let value = HeaderValue::from_str(value)
                .map_err(|_| HubError::Unreadable(format!("{name} cannot be sent back")))?;
            all.insert(*name, value);
        }
        if let Some(body) = body {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            all.insert(CONTENT_TYPE, json);
            *request.body_mut() = Some(body.to_string().into());
        }
        Ok(request)
    }

    /// The token in use, renewed before it expires.
    fn token(&self) -> HeaderValue {
        let now = Timestamp::now().as_second();
        let mut held = lock(&self.token);
        if let Some((expiry, token)) = &*held
            && expiry - now > TOKEN_RENEWAL
        {
            return token.clone();
        }
        let connection = &self.settings.connection;
        let expiry = now + TOKEN_LIFETIME;
        let policy = Some(connection.policy.as_str());
        let text = sas::token(&connection.host, connection.key(), expiry, policy);
        // A token is percent-encoded ASCII, the policy's name is checked.
        let mut token = HeaderValue::from_str(&text).expect("a SAS token is ASCII");
        token.set_sensitive(true);
        *held = Some((expiry, token.clone()));
        token
    }

    /// Makes the HTTP client: reads the CA file and the system's certificates.
    async fn build(&self) -> Result<reqwest::Client, HubError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("otadeck/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(self.settings.connect_timeout)
            .tcp_nodelay(true);
        if self.settings.connection.is_loopback() {
            builder = builder.no_proxy();
        }
        if let Some(path) = &self.settings.ca_file {
            let shown = path.display();
            let pem = tokio::fs::read(path)
                .await
                .map_err(|e| HubError::Setup(format!("cannot read the CA file {shown}: {e}")))?;
            let bundle = reqwest::Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|bundle| !bundle.is_empty())
                .ok_or_else(|| {
                    HubError::Setup(format!("the CA file {shown} holds no PEM certificate"))
                })?;
            builder = builder.tls_certs_merge(bundle);
        }
        builder.build().map_err(|e| {
            HubError::Setup(format!(
                "no HTTPS client: {}; does this system have any CA certificates?",
                chain(&e)
            ))
        })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, HubError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.lost(e))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                let cause = format!("the answer is larger than {MAX_ANSWER} bytes");
                return Err(HubError::Unreadable(cause));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// What a broken call means: only when no connection was made is it sure
    /// that nothing was sent.
    fn lost(&self, error: reqwest::Error) -> HubError {
        let host = self.settings.connection.address();
        let cause = chain(&error);
        if error.is_builder() {
            return HubError::Setup(cause);
        }
        if error.is_connect() {
            let kind = connect_kind(&error, &cause);
            return HubError::Connect { host, cause, kind };
        }
        let cause = if error.is_timeout() {
            "it took too long".to_owned()
        } else {
            cause
        };
        HubError::NoAnswer { host, cause }
    }
}

impl Service for Client {
    async fn twin(&self, device: &DeviceId) -> Result<Twin, HubError> {
        let path = format!("twins/{}", sas::encode(device.as_str()));
        let answer = self.read(Method::GET, &path, None, &[]).await?;
        twin_of(device, &answer)
    }

    async fn page(&self, query: &Query, continuation: Option<&str>) -> Result<Page, HubError> {
        let size = PAGE.to_string();
        let mut headers = vec![("x-ms-max-item-count", size.as_str())];
        if let Some(token) = continuation {
            headers.push(("x-ms-continuation", token));
        }
        let body = json!({ "query": query.text() });
        let answer = self
            .read(Method::POST, "devices/query", Some(&body), &headers)
            .await?;
        let bytes = answer.body.len();
        let Value::Array(items) = parse(&answer.body)? else {
            return Err(HubError::Unreadable("a page that is no array".to_owned()));
        };
        let seen = Timestamp::now();
        let all = items.len();
        let rows: Vec<_> = items
            .into_iter()
            .filter_map(|item| query.row(item, seen))
            .collect();
        Ok(Page {
            skipped: all - rows.len(),
            rows,
            bytes,
            continuation: answer
                .headers
                .get("x-ms-continuation")
                .and_then(|token| token.to_str().ok())
                .filter(|token| !token.is_empty())
                .map(str::to_owned),
        })
    }

    async fn identity(&self, device: &DeviceId) -> Result<Identity, HubError> {
        let path = format!("devices/{}", sas::encode(device.as_str()));
        let answer = self.read(Method::GET, &path, None, &[]).await?;
        let identity = wire::identity(parse(&answer.body)?).map_err(HubError::Unreadable)?;
        if identity.device_id != *device {
            let cause = format!(
                "asked for {device}'s identity, got {}'s",
                identity.device_id
            );
            return Err(HubError::Unreadable(cause));
        }
        Ok(identity)
    }

    async fn invoke(&self, permit: Permit) -> Result<MethodAnswer, HubError> {
        let call: MethodCall = permit.into_call();
        let path = format!("twins/{}/methods", sas::encode(call.device.as_str()));
        let body = json!({
            "methodName": call.method,
            "responseTimeoutInSeconds": call.response_timeout,
            "connectTimeoutInSeconds": call.connect_timeout,
            "payload": call.payload,
        });
        let named = u64::from(call.response_timeout) + u64::from(call.connect_timeout);
        let timeout = Duration::from_secs(named) + METHOD_SLACK;
        let answer = self
            .call(Method::POST, &path, Some(&body), &[], timeout)
            .await?;
        let answer = parse(&answer.body)?;
        let status = answer
            .get("status")
            .and_then(Value::as_i64)
            .ok_or_else(|| HubError::Unreadable("a method's answer without a status".into()))?;
        Ok(MethodAnswer {
            status,
            payload: answer.get("payload").cloned().unwrap_or_default(),
        })
    }

    async fn write_tag(&self, permit: TagPermit) -> Result<Twin, HubError> {
        let write = permit.into_write();
        let device = write.device();
        let path = format!("twins/{}", sas::encode(device.as_str()));
        let etag = wire::if_match(write.etag()).map_err(HubError::Unsendable)?;
        let headers = [("if-match", etag.as_str())];
        let body = wire::tag_patch(&write);
        let timeout = self.settings.request_timeout;
        let answer = self
            .call(Method::PATCH, &path, Some(&body), &headers, timeout)
            .await?;
        twin_of(device, &answer)
    }
}

/// A twin, which must be that device's, with the hub's time.
fn twin_of(device: &DeviceId, answer: &Answer) -> Result<Twin, HubError> {
    let mut twin = wire::twin(parse(&answer.body)?).map_err(HubError::Unreadable)?;
    if twin.device_id != *device {
        let cause = format!("asked for the twin of {device}, got {}'s", twin.device_id);
        return Err(HubError::Unreadable(cause));
    }
    twin.told_at = answer.clock();
    Ok(twin)
}

fn parse(body: &[u8]) -> Result<Value, HubError> {
    serde_json::from_slice(body).map_err(|e| {
        let begin = clean::line(&String::from_utf8_lossy(&body[..body.len().min(200)]), 60);
        HubError::Unreadable(format!("{e}; it begins {begin:?}"))
    })
}

/// An error and what caused it, in one harmless line without the URL.
fn chain(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        let text = clean::cause(error);
        if texts.last() != Some(&text) {
            texts.push(text);
        }
        next = error.source();
    }
    // The outer layers only say that something failed; the last two say what.
    let from = texts.len().saturating_sub(2);
    let said = texts[from..].join(": ");
    clean::line(if said.is_empty() { "it failed" } else { &said }, 300)
}

fn connect_kind(error: &reqwest::Error, cause: &str) -> Kind {
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        if error.downcast_ref::<rustls::Error>().is_some() {
            return Kind::Tls;
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
                .is_some()
        {
            return Kind::Tls;
        }
        next = error.source();
    }
    match cause {
        c if c.contains("certificate") => Kind::Tls,
        c if c.contains("tunnel") || c.contains("proxy") => Kind::Proxy,
        _ => Kind::Unreachable,
    }
}

/// The data behind the lock is whole whoever panicked while holding it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
