//! A TCP proxy before the hub's MQTT port, so that a connection can be cut
//! behind the backs of both ends.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A proxy; what passes through it ends with it.
pub struct Proxy {
    pub addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    away: Arc<AtomicBool>,
    /// Ends the connections of now, not those to come.
    scissors: Arc<Mutex<CancellationToken>>,
    end: CancellationToken,
}

impl Proxy {
    pub async fn before(hub: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let away = Arc::new(AtomicBool::new(false));
        let scissors = Arc::new(Mutex::new(CancellationToken::new()));
        let end = CancellationToken::new();
        let (count, current, until) = (accepted.clone(), scissors.clone(), end.clone());
        let nobody = away.clone();
        tokio::spawn(until.run_until_cancelled_owned(async move {
            let passing = TaskTracker::new();
            while let Ok((device, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                if nobody.load(Ordering::Relaxed) {
                    continue;
                }
                let cut = current.lock().unwrap().clone();
                passing.spawn(cut.run_until_cancelled_owned(pass(device, hub)));
            }
        }));
        Self {
            addr,
            accepted,
            away,
            scissors,
            end,
        }
    }

    /// How many connections there were so far, those that found nobody too.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// As if the hub were away: new connections end before a word is said.
    pub fn away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    /// Ends the connections of now without a word of MQTT or TLS.
    pub fn cut(&self) {
        let mut scissors = self.scissors.lock().unwrap();
        std::mem::replace(&mut *scissors, CancellationToken::new()).cancel();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.end.cancel();
    }
}

async fn pass(mut device: TcpStream, hub: SocketAddr) {
    if let Ok(mut hub) = TcpStream::connect(hub).await {
        // Either end may go away; the other then sees it.
        let _ = tokio::io::copy_bidirectional(&mut device, &mut hub).await;
    }
}
