//! Sockets to TLS streams.
//!
//! Each handshake runs in a task of its own with a deadline, so that a client
//! that connects and says nothing holds nobody up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long TLS and whatever comes first may take.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(15);
/// The pause after an accept that failed, for example for want of descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// A stream that finished its handshake.
pub(super) type Stream = TlsStream<TcpStream>;

/// Accepts until `end`; `serve` gets each finished stream, inside the task that
/// made the handshake.
pub(super) async fn accept<F, Fut>(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    tasks: TaskTracker,
    end: CancellationToken,
    serve: F,
) where
    F: Fn(Stream, SocketAddr) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let acceptor = TlsAcceptor::from(config);
    loop {
        let accepted = tokio::select! {
            () = end.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let (acceptor, serve, end) = (acceptor.clone(), serve.clone(), end.clone());
        tasks.spawn(async move {
            // Small writes should leave at once; without it they only leave later.
            let _ = stream.set_nodelay(true);
            let shaken = tokio::select! {
                () = end.cancelled() => return,
                shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)) => shaken,
            };
            match shaken {
                Ok(Ok(stream)) => serve(stream, peer).await,
                Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
                Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
            }
        });
    }
}
