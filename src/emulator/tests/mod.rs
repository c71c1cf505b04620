//! The whole emulator over real sockets: `rest` as a service program sees it,
//! `server` as one that misbehaves does, `devices` and `links` as a device does,
//! `kept` across failures of its store, `recorded` beside a real hub's
//! recordings.

mod devices;
mod faults;
mod fuzz;
mod kept;
mod links;
mod recorded;
mod rest;
mod server;

use std::sync::Arc;

use reqwest::{Client, Method, Response, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::sas::sign;
use super::*;
use crate::mqtt::{ClientLink, Connect, Incoming, Limits, LinkError, Publish, Qos, ReturnCode};

/// A running emulator and a program that knows its strings.
struct Bench {
    emulator: Emulator,
    client: Client,
}

impl Bench {
    async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        // The first test of the process installs it; the others find it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let emulator = Emulator::start(settings).await.unwrap();
        let ca = std::fs::read(emulator.ca_file()).unwrap();
        let client = Client::builder()
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(&ca).unwrap())
            .no_proxy()
            .build()
            .unwrap();
        Self { emulator, client }
    }

    /// A token of a policy, good for an hour.
    fn token(&self, policy: &str) -> String {
        let text = self.emulator.connection_string(policy).unwrap();
        let host = field(&text, "HostName");
        sign(
            &host,
            &field(&text, "SharedAccessKey"),
            in_an_hour(),
            Some(policy),
        )
        .unwrap()
    }

    fn url(&self, path: &str) -> String {
        let query = if path.contains('?') { "&" } else { "?" };
        let port = self.emulator.https().port();
        format!("https://localhost:{port}{path}{query}api-version=2021-04-12")
    }

    /// A call as the owner.
    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Response {
        let method: Method = method.parse().unwrap();
        let mut request = self.client.request(method, self.url(path));
        request = request.header("Authorization", self.token("iothubowner"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        request.send().await.unwrap()
    }

    /// Status and JSON of a call without further headers.
    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        answer(self.send(method, path, &[], body).await).await
    }

    /// One identity, `dev-0001`, with its connection string.
    fn device(&self) -> (DeviceId, String) {
        self.emulator.create_identities("dev", 1).unwrap().remove(0)
    }

    /// A stream to the devices' side.
    async fn tls(&self) -> TlsStream<TcpStream> {
        self.tls_to(self.emulator.mqtt()).await
    }

    async fn tls_to(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.emulator.ca_pem().as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let config = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS12])
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap()
    }
}

async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// A field of a connection string.
fn field(text: &str, name: &str) -> String {
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value.to_owned())
        .next()
        .unwrap()
}

fn in_an_hour() -> i64 {
    Timestamp::now().as_second() + 3_600
}
