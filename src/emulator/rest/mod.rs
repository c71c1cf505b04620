//! The service API: HTTP in, the world asked, HTTP out.
//!
//! One handler takes every request apart by itself, because the hub's ways are
//! not a router's: trailing slashes, any content type, errors in envelopes that
//! depend on the route. Any `api-version` will do, and none.

mod fault;
mod reply;
mod route;

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Request, header};
use axum::response::Response;
use axum::{Router, serve};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::listener::{Knife, Streams};
use super::packages;
use super::refusal::{Code, Refusal};
use super::shell::Shell;
use super::world::etag::IfMatch;
use super::world::method::MethodRequest;
use super::world::throttle::Operation;
use reply::Reply;
use route::{Call, Target};

/// The largest body taken, in bytes. The hub's largest is a method's payload of
/// 128 KB, or a twin with its metadata.
const BODY: usize = 1024 * 1024;

/// Serves until `end`, then lets what runs come to its end.
pub(super) async fn run(streams: Streams, shell: Arc<Shell>, end: CancellationToken) {
    let app = Router::new().fallback(handle).with_state(shell);
    let app = app.into_make_service_with_connect_info::<Knife>();
    let served = serve(streams, app)
        .with_graceful_shutdown(end.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the REST server ended");
    }
}

async fn handle(
    State(shell): State<Arc<Shell>>,
    ConnectInfo(knife): ConnectInfo<Knife>,
    request: Request<Body>,
) -> Response {
    let id = Uuid::new_v4();
    let (parts, body) = request.into_parts();
    let mut response = match Call::read(&parts.method, &parts.uri) {
        Err(refusal) => reply::refusal(&refusal, reply::Envelope::Named, id, shell.now()),
        Ok(call) => match fault::of(&shell, &call, &parts.headers) {
            None => respond(&shell, &call, &parts.headers, body, id).await,
            Some(strike) => {
                let fault = fault::Fault { strike, knife, id };
                fault.play(&shell, &call, &parts.headers, body).await
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
    let body = to_bytes(body, BODY).await.map_err(|_| {
        Refusal::new(
            Code::MessageTooLarge,
            format!("The body is broken off or exceeds the maximum of {BODY} bytes."),
        )
    })?;
    admit(shell, call.operation(body.len())).await?;
    run_call(shell, call, headers, &body).await
}

fn authorise(shell: &Shell, call: &Call, headers: &HeaderMap) -> Result<(), Refusal> {
    let path = call.path();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let token = text(headers, header::AUTHORIZATION.as_str());
    shell.authorise(token, call.right(), &path)
}

/// Holds the call back as the tier's rates demand.
async fn admit(shell: &Shell, operation: Operation) -> Result<(), Refusal> {
    let wait = shell.write(|world, now| world.admit(operation, now))?;
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
            let put = |world: &mut super::world::World, now| {
                world.put_identity(id, &if_match(), &body, now)
            };
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
    Ok(Reply::Page(shell.query((asked, size, token))?))
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
