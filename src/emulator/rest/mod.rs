//! The service API: HTTP in, the world asked, HTTP out.
//!
//! One handler takes every request apart by itself, because the hub's ways are
//! not a router's: trailing slashes, any content type, errors in envelopes that
//! depend on the route. Any `api-version` will do, and none.
//!
//! HTTP/1.1 only, one request at a time on each connection. Nobody holds one for
//! nothing: the first request has to come soon, its body within a time, and a
//! connection without a request ends after a while. At a shutdown what runs may
//! come to its end; what does not is cut off.

mod absent;
mod fault;
mod reply;
mod route;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, header};
use axum::response::Response;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::listener::{Cuttable, Knife};
use super::packages;
use super::refusal::{Code, Refusal};
use super::shell::Shell;
use super::world::World;
use super::world::etag::IfMatch;
use super::world::method::MethodRequest;
use super::world::throttle::Operation;
use reply::Reply;
use route::{Call, Target};

/// The largest body taken, in bytes. The hub's largest is a method's payload of
/// 128 KB, or a twin with its metadata.
const BODY: usize = 1024 * 1024;

/// How long the first request's head may take.
const FIRST: Duration = Duration::from_secs(15);
/// How long a connection may rest between requests, or take over the head of a
/// later one. Longer than clients keep unused connections (90 s as a rule), so
/// that they are the ones to close.
const REST: Duration = Duration::from_secs(120);
/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(30);
/// How long a request may go on when the emulator shuts down.
const LEAVE: Duration = Duration::from_secs(2);
/// The most headers that are read.
const HEADERS: usize = 100;
/// The longest head, in bytes: a query's continuation and a token fit.
const HEAD: usize = 64 * 1024;

/// Serves one client on a finished TLS stream, until either side ends it.
pub(super) async fn serve<S>(stream: S, shell: Arc<Shell>, end: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let begun = Arc::new(Notify::new());
    let first = begun.clone();
    let (stream, knife) = Cuttable::new(stream);
    let service = service_fn(move |request: Request<Incoming>| {
        first.notify_one();
        let (shell, knife) = (shell.clone(), knife.clone());
        async move {
            let response = handle(&shell, knife, request.map(Body::new)).await;
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REST)
        .max_headers(HEADERS)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let over = tokio::select! {
        over = connection.as_mut() => over,
        // The request that has begun ends with the connection.
        () = silence(&begun) => {
            tracing::debug!("a client said nothing for too long");
            return;
        }
        () = end.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(LEAVE, connection).await {
                Ok(over) => over,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = over {
        tracing::debug!(%error, "a client's connection broke");
    }
}

/// Ends when the first request does not come in time.
async fn silence(begun: &Notify) {
    if tokio::time::timeout(FIRST, begun.notified()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

async fn handle(shell: &Shell, knife: Knife, request: Request<Body>) -> Response {
    let id = Uuid::new_v4();
    let (parts, body) = request.into_parts();
    let mut response = match Call::read(&parts.method, &parts.uri) {
        Err(refusal) => reply::refusal(&refusal, reply::Envelope::Named, id, shell.now()),
        Ok(call) => match fault::of(shell, &call, &parts.headers) {
            None => respond(shell, &call, &parts.headers, body, id).await,
            Some(strike) => {
                let fault = fault::Fault { strike, knife, id };
                fault.play(shell, &call, &parts.headers, body).await
            }
        },
    };
    if shell.is_off() {
        reply::date(&mut response, shell.now());
    }
    response
}

async fn respond(
    shell: &Shell,
    call: &Call,
    headers: &HeaderMap,
    body: Body,
    id: Uuid,
) -> Response {
    let answer = match &call.target {
        Target::PackageIndex => Ok(Reply::json(packages::index())),
        Target::Package(name) => Ok(package(name)),
        _ => answer(shell, call, headers, body).await,
    };
    match answer {
        Ok(reply) => reply.into_response(id),
        Err(refusal) => reply::refusal(&refusal, call.envelope(), id, shell.now()),
    }
}

fn package(name: &str) -> Reply {
    match packages::find(name) {
        Some(package) => Reply::Package(package),
        None => Reply::NotFound,
    }
}

async fn answer(
    shell: &Shell,
    call: &Call,
    headers: &HeaderMap,
    body: Body,
) -> Result<Reply, Refusal> {
    authorise(shell, call, headers)?;
    let body = whole(body).await?;
    if call.is_billed() {
        shell.read(World::day_allows)?;
    }
    admit(shell, call.operation(body.len())).await?;
    let reply = run_call(shell, call, headers, &body).await?;
    if let Some(bytes) = call.billed(body.len(), reply.bytes()) {
        shell.take(|world, now| world.bill(bytes, now));
    }
    Ok(reply)
}

/// The whole body, within its size and time.
async fn whole(body: Body) -> Result<Bytes, Refusal> {
    let body = tokio::time::timeout(BODY_TIME, Limited::new(body, BODY).collect()).await;
    let body = body.map_err(|_| {
        Refusal::new(
            Code::RequestTimeout,
            format!("The body did not come within {} s.", BODY_TIME.as_secs()),
        )
    })?;
    match body {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::new(
            Code::MessageTooLarge,
            format!("The body exceeds the maximum of {BODY} bytes."),
        )),
        Err(_) => Err(Refusal::new(
            Code::GenericBadRequest,
            "The body is broken off.",
        )),
    }
}

fn authorise(shell: &Shell, call: &Call, headers: &HeaderMap) -> Result<(), Refusal> {
    let path = call.path();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let token = text(headers, header::AUTHORIZATION.as_str());
    shell.authorise(token, call.right(), &path)
}

/// Holds the call back as the tier's rates demand.
async fn admit(shell: &Shell, operation: Operation) -> Result<(), Refusal> {
    let wait = shell.take(|world, now| world.admit(operation, now))?;
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    Ok(())
}

async fn run_call(
    shell: &Shell,
    call: &Call,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Reply, Refusal> {
    let if_match = || IfMatch::read(text(headers, header::IF_MATCH.as_str()));
    match &call.target {
        Target::List(top) => Ok(Reply::json(shell.read(|world, _| world.list(*top)).into())),
        Target::Statistics => Ok(Reply::json(shell.read(|world, _| world.statistics()))),
        Target::ServiceStatistics => {
            let connected = shell.read(|world, _| world.connected_count());
            Ok(Reply::json(
                serde_json::json!({"connectedDeviceCount": connected}),
            ))
        }
        Target::GetIdentity(id) => {
            let found = shell.read(|world, _| world.identity(id))?;
            Ok(Reply::Identity(found))
        }
        Target::PutIdentity(id) => {
            let body = object(body)?;
            let put = |world: &mut World, now| world.put_identity(id, &if_match(), &body, now);
            Ok(Reply::Identity(shell.write(put)?))
        }
        Target::DeleteIdentity(id) => {
            shell.write(|world, now| world.delete_identity(id, &if_match(), now))?;
            Ok(Reply::Empty)
        }
        Target::GetTwin(id) => Ok(Reply::json(shell.twin(id)?)),
        Target::PatchTwin(id) => {
            let body = object(body)?;
            let twin = shell.write(|world, now| world.patch_twin(id, &if_match(), &body, now))?;
            Ok(Reply::json(twin))
        }
        Target::PutTwin(id) => {
            let body = object(body)?;
            let twin = shell.write(|world, now| world.replace_twin(id, &if_match(), &body, now))?;
            Ok(Reply::json(twin))
        }
        Target::Method(id) => {
            let request = MethodRequest::read(&object(body)?)?;
            let answer = shell.call(id, request).await?;
            Ok(Reply::json(serde_json::json!({
                "status": answer.status,
                "payload": answer.payload,
            })))
        }
        Target::Query => query(shell, headers, body),
        Target::Usage => {
            let usage = shell.read(World::usage);
            Ok(Reply::json(serde_json::json!(usage)))
        }
        Target::Package(_) | Target::PackageIndex => Ok(Reply::NotFound),
    }
}

fn query(shell: &Shell, headers: &HeaderMap, body: &Bytes) -> Result<Reply, Refusal> {
    let body = object(body)?;
    let asked = body.get("query").and_then(Value::as_str);
    let asked = asked.ok_or_else(|| Refusal::new(Code::ArgumentNull, "query is missing."))?;
    let size = match text(headers, "x-ms-max-item-count").map(str::trim) {
        None | Some("") => None,
        Some(text) => Some(
            text.parse::<usize>()
                .map_err(|_| Refusal::argument("x-ms-max-item-count is no whole number."))?,
        ),
    };
    let token = text(headers, "x-ms-continuation").filter(|token| !token.is_empty());
    Ok(Reply::page(shell.query((asked, size, token))?))
}

/// The body as a JSON object, whatever its content type says.
fn object(body: &Bytes) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Refusal::new(
            Code::GenericBadRequest,
            "The body is not a JSON object.",
        )),
        Err(error) => Err(Refusal::new(
            Code::GenericBadRequest,
            format!(
                "The body is not JSON: line {}, column {}.",
                error.line(),
                error.column()
            ),
        )),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
