//! Answers as bytes, with the headers of the recordings of
//! `Azure/azure-sdk-for-net`.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

pub(super) use crate::emulator::refusal::Envelope;

use crate::emulator::packages::Package;
use crate::emulator::query::{ItemType, Page};
use crate::emulator::refusal::{Code, Refusal};
use crate::emulator::world::IdentityAnswer;

/// A good answer.
pub(super) enum Reply {
    /// 200 with a body.
    Json(String),
    /// 200 with an identity and its etag.
    Identity(IdentityAnswer),
    /// 200 with rows.
    Page {
        /// What they are.
        item_type: ItemType,
        /// The token of the next page.
        continuation: Option<String>,
        /// The rows.
        body: String,
    },
    /// 204.
    Empty,
    /// A package's bytes.
    Package(&'static Package),
    /// 404 outside the hub's API: no such package.
    NotFound,
}

impl Reply {
    pub(super) fn json(body: Value) -> Self {
        Self::Json(body.to_string())
    }

    /// The bytes of a body that is billed by its size.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Json(body) | Self::Page { body, .. } => body.len(),
            _ => 0,
        }
    }

    /// A page of a query.
    pub(super) fn page(page: Page) -> Self {
        Self::Page {
            item_type: page.item_type,
            continuation: page.continuation,
            body: Value::Array(page.items).to_string(),
        }
    }

    pub(super) fn into_response(self, id: Uuid) -> Response {
        match self {
            Self::Json(body) => json(StatusCode::OK, body, id),
            Self::Identity(identity) => {
                let mut response = json(StatusCode::OK, identity.body.to_string(), id);
                put(
                    &mut response,
                    header::ETAG,
                    &format!("\"{}\"", identity.etag),
                );
                response
            }
            Self::Page {
                item_type,
                continuation,
                body,
            } => {
                let mut response = json(StatusCode::OK, body, id);
                put(&mut response, ITEM_TYPE, item_type.name());
                // None on the last page: the Node package goes on as long as
                // there is one.
                if let Some(token) = continuation {
                    put(&mut response, CONTINUATION, &token);
                }
                response
            }
            Self::Empty => response(StatusCode::NO_CONTENT, Body::empty(), id),
            Self::Package(package) => file(package, id),
            Self::NotFound => response(StatusCode::NOT_FOUND, Body::empty(), id),
        }
    }
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
const ERROR_CODE: HeaderName = HeaderName::from_static("iothub-errorcode");
const ITEM_TYPE: HeaderName = HeaderName::from_static("x-ms-item-type");
const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");
const SHA256: HeaderName = HeaderName::from_static("x-package-sha256");

/// A refusal in its envelope. A 401, 429 or spent day is the gateway's and comes
/// in the plain envelope on every route.
pub(super) fn refusal(refusal: &Refusal, envelope: Envelope, id: Uuid, now: Timestamp) -> Response {
    let status = StatusCode::from_u16(refusal.code.http());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let envelope = match refusal.code.http() {
        401 | 403 | 408 | 429 => Envelope::Named,
        _ => envelope,
    };
    let body = refusal.body(envelope, id, now).to_string();
    let mut response = json(status, body, id);
    put(&mut response, ERROR_CODE, refusal.code.name());
    if matches!(
        refusal.code,
        Code::ThrottlingException | Code::ThrottlingBacklogTimeout | Code::RequestTimeout
    ) {
        put(&mut response, header::CONNECTION, "close");
    }
    response
}

/// Sets `Date`, which the server would else take from this machine's clock.
pub(super) fn date(response: &mut Response, now: Timestamp) {
    let civil = jiff::tz::Offset::UTC.to_datetime(now);
    let text = civil.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    put(response, header::DATE, &text);
}

/// What something before the hub answers: none of the hub's headers.
pub(super) fn plain(status: u16, body: String) -> Response {
    let kind = match body.trim_start().starts_with('<') {
        true => "text/html",
        false => "text/plain; charset=utf-8",
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    put(&mut response, header::CONTENT_TYPE, kind);
    response
}

fn json(status: StatusCode, body: String, id: Uuid) -> Response {
    let mut response = response(status, Body::from(body), id);
    let kind = "application/json; charset=utf-8";
    put(&mut response, header::CONTENT_TYPE, kind);
    response
}

fn file(package: &'static Package, id: Uuid) -> Response {
    let mut response = response(StatusCode::OK, Body::from(package.bytes()), id);
    put(
        &mut response,
        header::CONTENT_TYPE,
        "application/octet-stream",
    );
    put(
        &mut response,
        header::ETAG,
        &format!("\"{}\"", package.sha256),
    );
    put(&mut response, SHA256, package.sha256);
    response
}

fn response(status: StatusCode, body: Body, id: Uuid) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    put(&mut response, header::SERVER, "Microsoft-HTTPAPI/2.0");
    put(&mut response, header::VARY, "Origin");
    put(&mut response, REQUEST_ID, &id.to_string());
    response
}

/// Sets a header; a value that none can have is left out.
fn put(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
