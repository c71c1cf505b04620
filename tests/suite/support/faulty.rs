//! A TCP proxy that does what a bad network does: it passes, refuses, swallows,
//! cuts, delays, resets, and answers as an HTTP proxy that lets nobody through.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What is done to connections, those that are open and those that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// Nobody listens; what is open is reset.
    Refuse,
    /// All is taken and nothing is passed on, on open connections too: the peer
    /// has vanished without a word.
    Swallow,
    /// New connections are reset at once, and so are the open ones.
    Reset,
    /// What comes from the hub is passed on up to so many bytes of each
    /// connection; then it is cut.
    CutAfter(u64),
    /// Each piece is passed on so much later.
    Delay(Duration),
    /// The CONNECT of a client is answered with this status.
    Status(u16),
    /// The CONNECT of a client is answered by closing.
    Close,
}

struct Inner {
    hub: SocketAddr,
    fault: watch::Sender<Fault>,
    connections: AtomicUsize,
    /// Is it an HTTP proxy that wants CONNECT?
    tunnels: bool,
}

/// The proxy; it ends with the value.
pub struct Faulty {
    pub address: SocketAddr,
    inner: Arc<Inner>,
    runtime: Option<Runtime>,
    listening: std::sync::Mutex<Listening>,
}

/// What is behind the port.
enum Listening {
    /// Somebody.
    Yes(JoinHandle<()>),
    /// Nobody: the port is held, so that no other program gets it.
    No(TcpSocket),
}

impl Faulty {
    /// Between a client and the HTTPS port of an emulator.
    pub fn before(port: u16) -> Self {
        Self::start(port, false)
    }

    /// As an HTTP proxy: whatever a client wants to CONNECT to, it gets the
    /// emulator.
    pub fn as_http_proxy(port: u16) -> Self {
        Self::start(port, true)
    }

    fn start(port: u16, tunnels: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let inner = Arc::new(Inner {
            hub: SocketAddr::from(([127, 0, 0, 1], port)),
            fault: watch::Sender::new(Fault::Pass),
            connections: AtomicUsize::new(0),
            tunnels,
        });
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let socket = held(any);
        Self {
            address: socket.local_addr().unwrap(),
            listening: std::sync::Mutex::new(accept(&runtime, socket, &inner)),
            inner,
            runtime: Some(runtime),
        }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on, for open connections too.
    pub fn is(&self, fault: Fault) {
        let runtime = self.runtime.as_ref().unwrap();
        let mut listening = self.listening.lock().unwrap();
        if let (Listening::Yes(task), Fault::Refuse) = (&mut *listening, fault) {
            task.abort();
            // It is over when the listener is closed.
            let _ = runtime.block_on(task);
            *listening = Listening::No(held(self.address));
        }
        self.inner.fault.send_replace(fault);
        if let (Listening::No(_), true) = (&*listening, fault != Fault::Refuse) {
            let none = Listening::No(TcpSocket::new_v4().unwrap());
            if let Listening::No(socket) = std::mem::replace(&mut *listening, none) {
                *listening = accept(runtime, socket, &self.inner);
            }
        }
    }

    /// Connections that were accepted so far.
    pub fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Takes the port, and listens to nobody.
fn held(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

fn accept(runtime: &Runtime, socket: TcpSocket, inner: &Arc<Inner>) -> Listening {
    let listener = runtime.block_on(async { socket.listen(128) }).unwrap();
    let inner = Arc::clone(inner);
    Listening::Yes(runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            inner.connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream, Arc::clone(&inner)));
        }
    }))
}

async fn serve(mut client: TcpStream, inner: Arc<Inner>) {
    let mut fault = inner.fault.subscribe();
    let now = *fault.borrow_and_update();
    if now == Fault::Reset {
        return reset(client);
    }
    if now == Fault::Swallow {
        // It stays so for this one, whatever comes: the peer is not there.
        return std::future::pending().await;
    }
    if inner.tunnels && !tunnel(&mut client, now).await {
        return;
    }
    let Ok(hub) = TcpStream::connect(inner.hub).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_hub, mut to_hub) = hub.into_split();
    let there = pass(&mut from_client, &mut to_hub, &inner, true);
    let back = pass(&mut from_hub, &mut to_client, &inner, false);
    let breaks = async {
        loop {
            if matches!(*fault.borrow_and_update(), Fault::Refuse | Fault::Reset) {
                return;
            }
            if fault.changed().await.is_err() {
                return;
            }
        }
    };
    let broken = tokio::select! {
        () = there => false,
        () = back => false,
        () = breaks => true,
    };
    if broken {
        reset(from_client.reunite(to_client).unwrap());
    }
}

/// Closes with RST.
fn reset(client: TcpStream) {
    // It may be closed already.
    let _ = client.set_zero_linger();
}

async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    inner: &Inner,
    there: bool,
) {
    let mut buffer = vec![0; 16 << 10];
    let mut passed = 0;
    loop {
        let n = from.read(&mut buffer).await.unwrap_or(0);
        let fault = *inner.fault.borrow();
        let mut rest = &buffer[..n];
        match fault {
            // A peer that has vanished closes nothing either.
            Fault::Swallow if n == 0 => std::future::pending().await,
            Fault::Swallow => continue,
            Fault::Delay(time) => tokio::time::sleep(time).await,
            Fault::CutAfter(most) if !there => {
                let left = usize::try_from(most.saturating_sub(passed)).unwrap();
                rest = &rest[..left.min(rest.len())];
            }
            _ => {}
        }
        passed += rest.len() as u64;
        let whole = to.write_all(rest).await.is_ok() && to.flush().await.is_ok();
        if !whole || n == 0 || rest.len() < n {
            return;
        }
    }
}

/// Answers a CONNECT; true when the tunnel stands.
async fn tunnel(client: &mut TcpStream, fault: Fault) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    let status = match fault {
        Fault::Close => return false,
        Fault::Status(status) => status,
        _ => 200,
    };
    let text = match status {
        200 => "HTTP/1.1 200 Connection established\r\n\r\n".to_owned(),
        _ => format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n"),
    };
    client.write_all(text.as_bytes()).await.is_ok() && status == 200
}
