//! [`Service`] over real HTTPS.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use reqwest::{Method, Request, Response, Url};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::domain::clean;
use crate::domain::id::DeviceId;
use crate::domain::method::{MethodAnswer, MethodCall};
use crate::domain::skew::{self, Skew};
use crate::domain::twin::Twin;

use super::address::Address;
use super::az::AzError;
use super::entra::Entra;
use super::error::{HubError, Refusal};
use super::net::Net;
use super::query::{PAGE, Query};
use super::sas;
use super::service::{Grant, Page, Permit, Service, TagGrant, TagPermit};
use super::sign_in::SignIn;
use super::tokens::{Token, Tokens};
use super::wire::{self, Identity};

/// The version of the service API that current official SDKs send.
const API_VERSION: &str = "2021-04-12";
/// How long to wait beyond the timeouts that a method call names: the hub
/// answers 504 by itself before that. The C# SDK waits as long.
const METHOD_SLACK: Duration = Duration::from_secs(15);
/// How long an order waits for a token. It was decided on by what was read just
/// before, so it does not go out long after that.
const ORDER_WAITS: Duration = Duration::from_secs(2);
/// The largest answer that is read, in bytes; a page of 1,000 whole twins is
/// smaller.
const MAX_ANSWER: usize = 64 << 20;

/// Where the hub is and how to reach it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the hub is, and by what it lets us in.
    pub sign_in: SignIn,
    /// A PEM file with certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a read may take as a whole.
    pub request_timeout: Duration,
    /// How long a read may bring nothing at all. Orders may take as long as they
    /// say.
    pub silence: Duration,
    /// How long one token is good for; it is replaced before that.
    pub token_life: Duration,
}

impl Settings {
    /// The usual timeouts for that hub.
    #[must_use]
    pub fn new(sign_in: impl Into<SignIn>, ca_file: Option<PathBuf>) -> Self {
        Self {
            sign_in: sign_in.into(),
            ca_file,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            silence: Duration::from_secs(10),
            token_life: Duration::from_secs(3_600),
        }
    }
}

/// A client of one hub. Making one touches neither network nor disk; the first
/// call does.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    net: OnceCell<Net>,
    tokens: Tokens,
    entra: Entra,
}

/// What is asked, without its token.
struct Call<'a> {
    method: Method,
    path: &'a str,
    body: Option<&'a Value>,
    headers: &'a [(&'static str, &'a str)],
    timeout: Duration,
    /// Does it change anything? Then it goes out once.
    is_order: bool,
}

/// A successful answer.
struct Answer {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// The hub's clock in its `Date`.
    fn clock(&self) -> Option<Timestamp> {
        skew::read(self.headers.get(DATE)?.to_str().ok()?)
    }
}

impl Client {
    /// A client for the hub that `settings` name.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            tokens: Tokens::new(settings.token_life),
            entra: Entra::default(),
            settings,
            net: OnceCell::new(),
        }
    }

    /// Where the hub is and how it is reached.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The first device that `query` finds: the least that a hub can be asked.
    ///
    /// # Errors
    /// As [`Service::page`].
    pub async fn first(&self, query: &Query) -> Result<Page, HubError> {
        self.page_of(query, None, 1).await
    }

    /// The time by the hub's clock, as far as that was measured.
    #[must_use]
    pub fn hub_now(&self) -> Timestamp {
        let now = Timestamp::now();
        let offset = self.tokens.skew().map(Skew::believed).unwrap_or_default();
        now.checked_add(offset).unwrap_or(now)
    }

    /// A token to send. With a key it is signed at once; one of Entra ID may have to
    /// be waited for.
    async fn token(&self) -> Result<Token, HubError> {
        match &self.settings.sign_in {
            SignIn::Key(connection) => Ok(self.tokens.token(connection)),
            SignIn::AzureCli(_) => self.entra.token().await.map_err(HubError::SignIn),
        }
    }

    /// The hub has refused a token. True when another one may do better.
    fn refused(&self, token: &Token) -> bool {
        match &self.settings.sign_in {
            SignIn::Key(_) => self.tokens.refused(token),
            SignIn::AzureCli(_) => self.entra.refused(token),
        }
    }

    /// Reads, and once more when the hub refuses a token that another one may do
    /// better than: it had ended, the key was changed and changed back, or it was
    /// signed by a wrong clock. A read changes nothing; an order never comes here.
    async fn read(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, HubError> {
        let call = Call {
            method,
            path,
            body,
            headers,
            timeout: self.settings.request_timeout,
            is_order: false,
        };
        let token = self.token().await?;
        match self.call(&call, &token).await {
            Err(HubError::Answered(refusal)) if refusal.status == 401 && self.refused(&token) => {
                let token = self.token().await?;
                let again = self.call(&call, &token).await;
                if matches!(&again, Err(HubError::Answered(r)) if r.status == 401) {
                    self.refused(&token);
                }
                again
            }
            answer => answer,
        }
    }

    /// A page of at most so many devices.
    async fn page_of(
        &self,
        query: &Query,
        continuation: Option<&str>,
        size: u32,
    ) -> Result<Page, HubError> {
        let size = size.to_string();
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

    /// Sends what changes something, once. When its token is refused, the next call
    /// gets another one.
    async fn order(&self, call: &Call<'_>) -> Result<Answer, HubError> {
        let token = tokio::time::timeout(ORDER_WAITS, self.token()).await;
        let token = token.map_err(|_| HubError::SignIn(AzError::Renewing))??;
        let answer = self.call(call, &token).await;
        if matches!(&answer, Err(HubError::Answered(r)) if r.status == 401) {
            self.refused(&token);
        }
        answer
    }

    async fn call(&self, call: &Call<'_>, token: &Token) -> Result<Answer, HubError> {
        let request = self.request(call, token)?;
        let net = self.net.get_or_try_init(|| Net::build(&self.settings));
        let net = net.await?;
        let http = match call.is_order {
            true => &net.orders,
            false => &net.reads,
        };
        let host = || self.settings.sign_in.at().to_string();
        let lost = |error: reqwest::Error| net.lost(host(), &error);
        let sent = Timestamp::now();
        let response = http.execute(request).await.map_err(lost)?;
        let status = response.status();
        let headers = response.headers().clone();
        self.tokens.measure(&headers, sent);
        let body = body(response, lost).await?;
        if status.is_success() {
            return Ok(Answer { headers, body });
        }
        let name = headers
            .get("iothub-errorcode")
            .and_then(|v| v.to_str().ok());
        let mut refusal = Refusal::read(status.as_u16(), name, &body);
        refusal.who = Some(self.settings.sign_in.who());
        if status.as_u16() == 401 {
            refusal.skew = self.tokens.skew().map(Skew::offset);
        }
        Err(HubError::Answered(Box::new(refusal)))
    }

    fn request(&self, call: &Call<'_>, token: &Token) -> Result<Request, HubError> {
        let Address { host, port } = self.settings.sign_in.at();
        let path = call.path;
        let url = format!("https://{host}:{port}/{path}?api-version={API_VERSION}");
        let url = Url::parse(&url).map_err(|e| HubError::Setup(format!("{host}: {e}")))?;
        let mut request = Request::new(call.method.clone(), url);
        *request.timeout_mut() = Some(call.timeout);
        let all = request.headers_mut();
        all.insert(AUTHORIZATION, token.header.clone());
        for (name, value) in call.headers {
            let value = HeaderValue::from_str(value)
                .map_err(|_| HubError::Unreadable(format!("{name} cannot be sent back")))?;
            all.insert(*name, value);
        }
        if let Some(body) = call.body {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            all.insert(CONTENT_TYPE, json);
            *request.body_mut() = Some(body.to_string().into());
        }
        Ok(request)
    }
}

async fn body(
    mut response: Response,
    lost: impl Fn(reqwest::Error) -> HubError,
) -> Result<Vec<u8>, HubError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(&lost)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            let cause = format!("the answer is larger than {MAX_ANSWER} bytes");
            return Err(HubError::Unreadable(cause));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl Service for Client {
    async fn twin(&self, device: &DeviceId) -> Result<Twin, HubError> {
        let path = format!("twins/{}", sas::encode(device.as_str()));
        let answer = self.read(Method::GET, &path, None, &[]).await?;
        twin_of(device, &answer)
    }

    async fn page(&self, query: &Query, continuation: Option<&str>) -> Result<Page, HubError> {
        self.page_of(query, continuation, PAGE).await
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
        let order: MethodCall = permit.into_call();
        let path = format!("twins/{}/methods", sas::encode(order.device.as_str()));
        let body = json!({
            "methodName": order.method,
            "responseTimeoutInSeconds": order.response_timeout,
            "connectTimeoutInSeconds": order.connect_timeout,
            "payload": order.payload,
        });
        let named = u64::from(order.response_timeout) + u64::from(order.connect_timeout);
        let timeout = Duration::from_secs(named) + METHOD_SLACK;
        let call = Call {
            method: Method::POST,
            path: &path,
            body: Some(&body),
            headers: &[],
            timeout,
            is_order: true,
        };
        let answer = self.order(&call).await?;
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
        let call = Call {
            method: Method::PATCH,
            path: &path,
            body: Some(&body),
            headers: &headers,
            timeout: self.settings.request_timeout,
            is_order: true,
        };
        let answer = self.order(&call).await?;
        twin_of(device, &answer)
    }

    fn skew(&self) -> Option<Skew> {
        self.tokens.skew()
    }

    fn is_signing_in(&self) -> bool {
        self.entra.is_waited_for()
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
