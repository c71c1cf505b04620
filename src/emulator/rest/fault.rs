//! Faults as HTTP: other answers, slow ones, broken ones, none.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use futures_util::stream;
use uuid::Uuid;

use super::route::{Call, Target};
use super::{BODY, authorise, reply, respond};
use crate::emulator::faults::{self, Effect, Place, Strike};
use crate::emulator::listener::Knife;
use crate::emulator::shell::Shell;

/// In how many pieces a slow body comes.
const PIECES: usize = 20;
/// So much of the head leaves before it is cut: its first line and a little.
const HEAD: usize = 24;

/// The fault that strikes this call. Who is not let in meets none.
pub(super) fn of(shell: &Shell, call: &Call, headers: &HeaderMap) -> Option<Strike> {
    let open = matches!(call.target, Target::Package(_) | Target::PackageIndex);
    let strike = |_| shell.faults.strike(call.route(), call.device());
    match open {
        true => strike(()),
        false => authorise(shell, call, headers).ok().and_then(strike),
    }
}

/// One struck call.
pub(super) struct Fault {
    pub(super) strike: Strike,
    /// Cuts the connection that it came over.
    pub(super) knife: Knife,
    pub(super) id: Uuid,
}

impl Fault {
    /// Does the call, or does not, and answers as the fault says. The request
    /// is read to its end in any case: what fails is the answer.
    pub(super) async fn play(
        self,
        shell: &Shell,
        call: &Call,
        headers: &HeaderMap,
        body: Body,
    ) -> Response {
        let body = to_bytes(body, BODY).await.unwrap_or_default();
        let done = match self.strike.runs {
            true => Some(Box::pin(respond(shell, call, headers, body.into(), self.id)).await),
            false => None,
        };
        shell.faults.pause(self.strike.delay).await;
        let truth = || done.unwrap_or_else(|| reply::plain(200, INVENTED.to_owned()));
        match &self.strike.effect {
            None => match self.strike.trickle {
                None => truth(),
                Some(time) => trickled(truth(), time).await,
            },
            Some(Effect::Answer { code, message }) => {
                let refusal = faults::refusal(*code, message.as_deref());
                reply::refusal(&refusal, call.envelope(), self.id, shell.now())
            }
            Some(Effect::Plain { status, body }) => reply::plain(*status, body.clone()),
            Some(Effect::Cut(Place::Body)) => torn(truth()).await.unwrap_or_else(|whole| {
                self.knife.cut_after(HEAD);
                whole
            }),
            Some(Effect::Cut(place)) => {
                self.knife.cut_after(match place {
                    Place::Before => 0,
                    _ => HEAD,
                });
                reply::plain(200, String::new())
            }
            // The last two are none of HTTP's: the tables do not let them here.
            Some(Effect::Hang | Effect::Refuse(_) | Effect::Drop) => {
                shell.faults.hang().await;
                self.knife.cut_after(0);
                reply::plain(503, String::new())
            }
        }
    }
}

/// What a body is made of that is torn though the call was not done.
const INVENTED: &str = "{\"status\":200,\"payload\":null}";

/// The same answer, its body in pieces over `time`.
async fn trickled(answer: Response, time: Duration) -> Response {
    let (mut answer, bytes) = whole(answer).await;
    let size = bytes.len().div_ceil(PIECES).max(1);
    let pause = time / u32::try_from(bytes.len().div_ceil(size).max(1)).unwrap_or(u32::MAX);
    let pieces = stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = rest.split_to(size.min(rest.len()));
        Some((Ok::<_, Infallible>(piece), rest))
    });
    *answer.body_mut() = Body::from_stream(pieces);
    answer
}

/// The same answer, its connection broken half way through the body; a body
/// too short for that comes back whole.
async fn torn(answer: Response) -> Result<Response, Response> {
    let (mut answer, mut bytes) = whole(answer).await;
    if bytes.len() < 2 {
        return Err(answer);
    }
    bytes.truncate(bytes.len() / 2);
    let pieces = stream::unfold(Some(bytes), |half| async move {
        match half {
            Some(half) => Some((Ok(half), None)),
            None => {
                // Pending once, so that the first half is on its way.
                tokio::task::yield_now().await;
                Some((Err(std::io::Error::other("cut off on purpose")), None))
            }
        }
    });
    *answer.body_mut() = Body::from_stream(pieces);
    Ok(answer)
}

/// An answer with its length in the head, and its body.
async fn whole(answer: Response) -> (Response, Bytes) {
    let (parts, body) = answer.into_parts();
    // Bodies of this hub are in memory already.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut answer = Response::from_parts(parts, Body::from(bytes.clone()));
    let length = HeaderValue::from(bytes.len());
    if !bytes.is_empty() {
        answer.headers_mut().insert(header::CONTENT_LENGTH, length);
    }
    (answer, bytes)
}
