//! An HTTPS server that answers as a test says, or does not answer at all.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use otadeck::hub::{Client, ConnectionString, Settings};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::program::Emulator;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Name in lower case, value.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn is_method_call(&self) -> bool {
        self.method == "POST" && self.path.contains("/methods")
    }
}

/// What is done about a request.
#[derive(Clone, Debug)]
pub enum Reaction {
    /// Status, headers, body.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// The connection is closed without a word.
    Cut,
    /// An answer that breaks off after its first bytes.
    Torn,
}

impl Reaction {
    pub fn json(status: u16, body: impl ToString) -> Self {
        let json = (
            "content-type".to_owned(),
            "application/json; charset=utf-8".to_owned(),
        );
        Self::Answer(status, vec![json], body.to_string().into_bytes())
    }
}

/// A server of the test's own, with a CA of its own.
pub struct Server {
    pub addr: SocketAddr,
    pub ca: NamedTempFile,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts a server that reacts as `react` says.
    pub async fn start<F, R>(react: F) -> Self
    where
        F: Fn(Request) -> R + Send + Sync + 'static,
        R: Future<Output = Reaction> + Send,
    {
        super::tls();
        let (acceptor, ca) = certificates();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, react) = (Arc::clone(&requests), Arc::new(react));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen, react) =
                    (acceptor.clone(), Arc::clone(&seen), Arc::clone(&react));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    while let Some(request) = read(&mut stream).await {
                        seen.lock().unwrap().push(request.clone());
                        let answer = react(request).await;
                        if !write(&mut stream, answer).await {
                            return;
                        }
                    }
                });
            }
        });
        Self { addr, ca, requests }
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// A service connection string for this server.
    pub fn connection_string(&self) -> String {
        let key = base64::engine::general_purpose::STANDARD.encode([7; 32]);
        format!(
            "HostName=localhost:{};SharedAccessKeyName=service;SharedAccessKey={key}",
            self.addr.port()
        )
    }

    /// A client of this server.
    pub fn client(&self) -> Client {
        let connection = ConnectionString::parse(&self.connection_string()).unwrap();
        Client::new(Settings::new(connection, Some(self.ca.path().to_owned())))
    }
}

/// The emulator behind a server of the test's own.
#[derive(Clone)]
pub struct Upstream {
    hub: reqwest::Client,
    base: String,
}

impl Upstream {
    pub fn of(emulator: &Emulator) -> Self {
        super::tls();
        let ca = std::fs::read(emulator.ca_file()).unwrap();
        let hub = reqwest::Client::builder()
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(&ca).unwrap())
            .no_proxy()
            .build();
        Self {
            hub: hub.unwrap(),
            base: format!("https://localhost:{}", emulator.ready["httpsPort"]),
        }
    }

    /// Passes a request on; what the emulator answers.
    pub async fn pass(&self, request: &Request) -> Reaction {
        let method = reqwest::Method::from_bytes(request.method.as_bytes()).unwrap();
        let mut passed = self
            .hub
            .request(method, format!("{}{}", self.base, request.path));
        for (name, value) in &request.headers {
            if !matches!(name.as_str(), "host" | "content-length") {
                passed = passed.header(name, value);
            }
        }
        let answer = passed.body(request.body.clone()).send().await.unwrap();
        let status = answer.status().as_u16();
        let keep = |name: &str| matches!(name, "date" | "iothub-errorcode");
        let headers = answer
            .headers()
            .iter()
            .filter(|(name, _)| keep(name.as_str()));
        let headers = headers.map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned()));
        let headers = headers.collect();
        let body = answer.bytes().await.unwrap().to_vec();
        Reaction::Answer(status, headers, body)
    }
}

fn certificates() -> (TlsAcceptor, NamedTempFile) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::from_params(&ca, &ca_key);
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
    leaf.use_authority_key_identifier_extension = true;
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    (TlsAcceptor::from(Arc::new(config)), file)
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, n)| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request {
        method,
        path,
        headers,
        body,
    })
}

/// True when the connection is kept.
async fn write(stream: &mut (impl AsyncWrite + Unpin), reaction: Reaction) -> bool {
    let (status, headers, body) = match reaction {
        Reaction::Cut => return false,
        Reaction::Torn => {
            let torn = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"status\":";
            let _ = stream.write_all(torn).await;
            let _ = stream.flush().await;
            return false;
        }
        Reaction::Answer(status, headers, body) => (status, headers, body),
    };
    let mut head = format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend(body);
    stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok()
}
