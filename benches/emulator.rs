//! The emulator under load: devices, reads and methods over real TLS.
//!
//! `cargo bench --bench emulator`. Devices, callers and hub share one process
//! and its cores, so a figure says what all ends together cost. Beside each
//! stands the same traffic against a server that does nothing but TLS and a
//! constant answer, measured in the same run.

#![expect(
    clippy::print_stdout,
    reason = "a bench prints its figures, and stops when it cannot have them"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use otadeck::device::{self, Fleet};
use otadeck::emulator::{Emulator, Settings};
use otadeck::scenario::Scenario;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The goal's number of devices.
const DEVICES: usize = 5_000;
/// How long reads and methods are counted.
const TIME: Duration = Duration::from_secs(5);
/// Callers that work at once, each on a connection of its own.
const CALLERS: usize = 32;
/// Devices that connect at once: as many as a fleet's.
const HANDSHAKES: usize = 64;

#[tokio::main]
async fn main() {
    // `cargo test --benches` asks only whether it runs.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nobody installed one before");

    let emulator = Emulator::start(Settings::default())
        .await
        .expect("the emulator starts");
    let made = emulator
        .create_identities("sim", DEVICES)
        .expect("the identities are made");
    let before = resident();
    let began = Instant::now();
    let fleet = fleet(&emulator, made.iter().map(|(_, text)| text.as_str()));
    let ready = fleet.ready().await;
    let took = began.elapsed();
    assert_eq!(ready.ready, DEVICES, "all devices are there");
    let each = resident().saturating_sub(before) as f64 / DEVICES as f64;
    // After the memory was looked at: what it gives back stays with the process.
    let ideal = Ideal::start().await;
    let bare = ideal.handshakes(DEVICES).await;
    println!(
        "connected: {DEVICES} devices in {:.2} s, {:.0}/s, each with its twin read and its first \
         report taken (goal: 5 s); bare TLS handshakes {:.0}/s; ratio {:.2}",
        took.as_secs_f64(),
        rate(DEVICES, took),
        rate(DEVICES, bare),
        rate(DEVICES, took) / rate(DEVICES, bare),
    );
    println!("memory: {each:.1} KB a device, both ends (goal: 50 KB)");

    let hub = Hub::of(&emulator);
    let reads = |n: usize| {
        let id = format!("sim-{:04}", n % DEVICES + 1);
        hub.request("GET", &format!("/twins/{id}"), "")
    };
    let ours = load(&hub.way, CALLERS, reads).await;
    let constant = load(&ideal.way, CALLERS, |_| Ideal::request()).await;
    println!(
        "twin reads: {:.0}/s by {CALLERS} callers (goal: 5,000/s); a constant answer {:.0}/s; \
         ratio {:.2}",
        ours.per_second(),
        constant.per_second(),
        ours.per_second() / constant.per_second(),
    );

    let methods = |n: usize| {
        // Another device each time: one device is one queue.
        let id = format!("sim-{:04}", n * 7 % DEVICES + 1);
        let body = r#"{"methodName":"ping","payload":null,"responseTimeoutInSeconds":30}"#;
        hub.request("POST", &format!("/twins/{id}/methods"), body)
    };
    for callers in [1, CALLERS] {
        let mut ours = load(&hub.way, callers, methods).await;
        let mut constant = load(&ideal.way, callers, |_| Ideal::request()).await;
        println!(
            "methods: {:.0}/s by {callers} callers, p50 {:.2} ms, p99 {:.2} ms; a constant answer \
             p50 {:.2} ms, p99 {:.2} ms; ratio of the p50 {:.1}",
            ours.per_second(),
            ours.millis(0.5),
            ours.millis(0.99),
            constant.millis(0.5),
            constant.millis(0.99),
            ours.millis(0.5) / constant.millis(0.5),
        );
    }
    fleet.stop().await;
    emulator.shutdown().await;
}

fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn fleet<'a>(emulator: &Emulator, connection_strings: impl Iterator<Item = &'a str>) -> Fleet {
    let scenario = Scenario::parse("description = \"devices that all connect\"");
    let rules = scenario.expect("a scenario").rules();
    let settings = connection_strings.map(|text| device::Settings {
        ca_file: Some(emulator.ca_file().to_owned()),
        ..device::Settings::new(
            device::ConnectionString::parse(text).expect("the emulator's own"),
            Arc::clone(&rules),
        )
    });
    Fleet::start(settings.collect()).expect("the fleet starts")
}

/// Resident memory of this process, in KB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

/// Where requests go, and whom to trust.
#[derive(Clone)]
struct Way {
    port: u16,
    tls: Arc<rustls::ClientConfig>,
}

impl Way {
    fn to(port: u16, authority: CertificateDer<'static>) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority).expect("a certificate");
        let tls = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            port,
            tls: Arc::new(tls),
        }
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))
            .await
            .expect("loopback");
        stream.set_nodelay(true).expect("a socket");
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, stream)
            .await
            .expect("TLS")
    }
}

/// The hub's service side.
struct Hub {
    way: Way,
    token: String,
}

impl Hub {
    fn of(emulator: &Emulator) -> Self {
        let pem = emulator.ca_pem().as_bytes();
        let authority = CertificateDer::from_pem_slice(pem).expect("the emulator's CA");
        let text = emulator
            .connection_string("service")
            .expect("a policy of every hub");
        let key = text.split("SharedAccessKey=").nth(1).expect("a key");
        let key = STANDARD.decode(key).expect("base64");
        let expiry = jiff::Timestamp::now().as_second() + 3_600;
        Self {
            way: Way::to(emulator.https().port(), authority),
            token: otadeck::hub::sas::token("localhost", &key, expiry, Some("service")),
        }
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let token = &self.token;
        let length = body.len();
        format!(
            "{method} {path}?api-version=2021-04-12 HTTP/1.1\r\nHost: localhost\r\n\
             Authorization: {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

/// What came of a load: the time that each call took.
struct Load {
    took: Vec<Duration>,
    time: Duration,
}

impl Load {
    fn per_second(&self) -> f64 {
        rate(self.took.len(), self.time)
    }

    fn millis(&mut self, quantile: f64) -> f64 {
        self.took.sort_unstable();
        let at = ((self.took.len() - 1) as f64 * quantile) as usize;
        self.took[at].as_secs_f64() * 1e3
    }
}

/// `callers` ask one thing after the other for [`TIME`]; `request` makes the
/// n-th request.
async fn load(way: &Way, callers: usize, request: impl Fn(usize) -> Vec<u8>) -> Load {
    // Made before the clock runs, and enough of them for variety.
    let requests: Arc<Vec<Vec<u8>>> = Arc::new((0..DEVICES).map(request).collect());
    let mut streams = Vec::new();
    for _ in 0..callers {
        streams.push(BufReader::new(way.connect().await));
    }
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for (caller, mut stream) in streams.into_iter().enumerate() {
        let requests = Arc::clone(&requests);
        tasks.spawn(async move {
            let mut took = Vec::new();
            let mut next = caller;
            while began.elapsed() < TIME {
                let start = Instant::now();
                let request = &requests[next % requests.len()];
                ask(&mut stream, request).await;
                took.push(start.elapsed());
                next += callers;
            }
            took
        });
    }
    let took = tasks.join_all().await.concat();
    Load {
        took,
        time: began.elapsed(),
    }
}

/// One request and its answer, which must be a 200.
async fn ask(stream: &mut BufReader<TlsStream<TcpStream>>, request: &[u8]) {
    use tokio::io::AsyncBufReadExt as _;
    stream.write_all(request).await.expect("the hub reads");
    stream.flush().await.expect("the hub reads");
    let (mut line, mut length) = (String::new(), 0);
    stream.read_line(&mut line).await.expect("the hub answers");
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    loop {
        line.clear();
        stream.read_line(&mut line).await.expect("a header");
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.expect("a body");
}

/// A server that does nothing but TLS and a constant answer.
struct Ideal {
    way: Way,
}

impl Ideal {
    async fn start() -> Self {
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("a server");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let port = listener.local_addr().expect("a socket").port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("a socket");
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        answer_all(stream).await;
                    }
                });
            }
        });
        Self {
            way: Way::to(port, certificate),
        }
    }

    fn request() -> Vec<u8> {
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()
    }

    /// How long so many connections take, as many at once as a fleet's.
    async fn handshakes(&self, count: usize) -> Duration {
        let gate = Arc::new(tokio::sync::Semaphore::new(HANDSHAKES));
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let permit = Arc::clone(&gate).acquire_owned().await;
            let way = self.way.clone();
            tasks.spawn(async move {
                // Not kept: both ends of the devices need the open files.
                drop(way.connect().await);
                drop(permit);
            });
        }
        tasks.join_all().await;
        began.elapsed()
    }
}

/// Answers whatever ends a head with the same bytes, about those of a twin.
async fn answer_all(mut stream: tokio_rustls::server::TlsStream<TcpStream>) {
    let body = "x".repeat(1_000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{body}");
    let mut buffer = [0; 4096];
    // A request fits into one record, and so comes in one piece.
    while let Ok(1..) = stream.read(&mut buffer).await {
        if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}
