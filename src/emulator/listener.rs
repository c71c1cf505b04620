//! Sockets to TLS streams.
//!
//! Each handshake runs in a task of its own with a deadline, so that a client
//! that connects and says nothing holds nobody up. A [`Knife`] cuts a stream off
//! in the middle of an answer.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
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

/// Ends a stream after so many further bytes, from wherever it is held.
#[derive(Clone, Debug)]
pub(super) struct Knife(Arc<AtomicUsize>);

impl Knife {
    const AWAY: usize = usize::MAX;

    /// Lets so many bytes more leave; then the connection breaks.
    pub(super) fn cut_after(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Release);
    }

    fn left(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Acquire)).filter(|left| *left != Self::AWAY)
    }
}

/// A stream with a knife at hand. Cut off, it ends without a goodbye.
#[derive(Debug)]
pub(super) struct Cuttable<S> {
    stream: S,
    knife: Knife,
}

impl<S> Cuttable<S> {
    /// The stream, and the knife for it.
    pub(super) fn new(stream: S) -> (Self, Knife) {
        let knife = Knife(Arc::new(AtomicUsize::new(Knife::AWAY)));
        let cuttable = Self {
            stream,
            knife: knife.clone(),
        };
        (cuttable, knife)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Cuttable<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cuttable<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(left) = self.knife.left() else {
            return Pin::new(&mut self.stream).poll_write(cx, bytes);
        };
        if left == 0 {
            // What was let through shall arrive before the end does.
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let some = &bytes[..bytes.len().min(left)];
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, some))?;
        self.knife.cut_after(left - written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.knife.left().is_none() {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        }
        let first = bytes.iter().find(|part| !part.is_empty());
        self.poll_write(cx, first.map_or(&[], |part| part))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.knife.left() {
            Some(_) => Poll::Ready(Ok(())),
            None => Pin::new(&mut self.stream).poll_shutdown(cx),
        }
    }
}
