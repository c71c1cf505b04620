//! A hub as small as it gets: TLS, one link at a time, answers on demand.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::PrivateKeyDer;
use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::{ConnectionString, Rules, Settings};
use crate::mqtt::{Connect, Incoming, Limits, LinkError, Publish, Qos, ReturnCode, ServerLink};

pub(super) struct Hub {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    ca_file: NamedTempFile,
}

impl Hub {
    pub(super) async fn new() -> Self {
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let ca_file = NamedTempFile::new().unwrap();
        let pem = ca.self_signed(&ca_key).unwrap().pem();
        std::fs::write(ca_file.path(), pem).unwrap();
        let issuer = rcgen::Issuer::from_params(&ca, &ca_key);
        let leaf_key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        Self {
            listener: TcpListener::bind("localhost:0").await.unwrap(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
            ca_file,
        }
    }

    pub(super) fn settings(&self, device_id: &str, rules: Arc<Rules>) -> Settings {
        let port = self.listener.local_addr().unwrap().port();
        let text = format!("HostName=localhost:{port};DeviceId={device_id};SharedAccessKey=AAAA");
        Settings {
            ca_file: Some(self.ca_file.path().to_owned()),
            ..Settings::new(ConnectionString::parse(&text).unwrap(), rules)
        }
    }

    pub(super) async fn handshake(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let (stream, _) = self.listener.accept().await?;
        self.acceptor.accept(stream).await
    }

    /// The next device, with its CONNECT.
    pub(super) async fn accept(&self) -> (Peer, Connect) {
        let stream = self.handshake().await.unwrap();
        let mut link = ServerLink::server(stream, Limits::default());
        let Incoming::Connect(connect) = link.next().await.unwrap() else {
            panic!("no CONNECT");
        };
        let peer = Peer {
            link,
            calls: 0,
            reports: Vec::new(),
        };
        (peer, connect)
    }
}

/// A connected device, seen from the hub.
pub(super) struct Peer {
    link: ServerLink<TlsStream<TcpStream>>,
    calls: u32,
    /// Reports that came while something else was waited for, not yet answered.
    reports: Vec<(String, Value)>,
}

impl Peer {
    /// CONNACK, SUBACK, and the answer to the request for the twin.
    pub(super) async fn welcome(&mut self) {
        self.welcome_with(r#"{"$version":1}"#).await;
    }

    /// The same with these reported properties in the twin.
    pub(super) async fn welcome_with(&mut self, reported: &str) {
        self.link.accept(false).unwrap();
        let Incoming::Subscribe { id, filters } = self.link.next().await.unwrap() else {
            panic!("no SUBSCRIBE");
        };
        assert_eq!(filters.len(), 3);
        let granted = vec![Some(Qos::AtMostOnce); filters.len()];
        self.link.suback(id, &granted).unwrap();
        let get = self.publication().await;
        let rid = get.topic.strip_prefix("$iothub/twin/GET/?$rid=").unwrap();
        self.send(
            &format!("$iothub/twin/res/200/?$rid={rid}"),
            &format!(r#"{{"desired":{{"$version":1}},"reported":{reported}}}"#),
        );
    }

    pub(super) async fn refuse(&mut self, code: ReturnCode) {
        self.link.refuse(code).unwrap();
        self.link.close().await;
    }

    /// The next report, answered with 204.
    pub(super) async fn report(&mut self) -> Value {
        self.report_answered(204).await
    }

    pub(super) async fn report_answered(&mut self, status: u16) -> Value {
        let (rid, patch) = self.next_report().await;
        let topic = format!("$iothub/twin/res/{status}/?$rid={rid}&$version=8");
        self.send(&topic, "");
        self.link.flush().await.unwrap();
        patch
    }

    pub(super) async fn unanswered_report(&mut self) -> Value {
        self.next_report().await.1
    }

    /// Reports that nobody has asked for yet.
    pub(super) fn reports_so_far(&self) -> &[(String, Value)] {
        &self.reports
    }

    pub(super) fn send_call(&mut self, name: &str, rid: &str, payload: &Value) {
        let topic = format!("$iothub/methods/POST/{name}/?$rid={rid}");
        self.send(&topic, &payload.to_string());
    }

    /// Calls a method and waits for its answer.
    pub(super) async fn call(&mut self, name: &str, payload: &Value) -> (u16, Value) {
        self.calls += 1;
        let rid = format!("6f{}", self.calls);
        self.send_call(name, &rid, payload);
        loop {
            let publish = self.publication().await;
            if let Some(report) = as_report(&publish) {
                self.reports.push(report);
                continue;
            }
            let rest = publish.topic.strip_prefix("$iothub/methods/res/").unwrap();
            let (status, got) = rest.split_once("/?$rid=").unwrap();
            assert_eq!(got, rid);
            let payload = serde_json::from_slice(&publish.payload).unwrap();
            return (status.parse().unwrap(), payload);
        }
    }

    /// Waits for the end of the link.
    pub(super) async fn end(&mut self) -> LinkError {
        loop {
            if let Err(end) = self.link.next().await {
                return end;
            }
        }
    }

    async fn next_report(&mut self) -> (String, Value) {
        if !self.reports.is_empty() {
            return self.reports.remove(0);
        }
        as_report(&self.publication().await).expect("a report")
    }

    async fn publication(&mut self) -> Publish {
        match self.link.next().await.unwrap() {
            Incoming::Publish(publish) => publish,
            other => panic!("{other:?}"),
        }
    }

    fn send(&mut self, topic: &str, payload: &str) {
        self.link
            .publish(topic, payload.as_bytes(), Qos::AtMostOnce)
            .unwrap();
    }
}

fn as_report(publish: &Publish) -> Option<(String, Value)> {
    let rid = publish
        .topic
        .strip_prefix("$iothub/twin/PATCH/properties/reported/?$rid=")?;
    let patch = serde_json::from_slice(&publish.payload).unwrap();
    Some((rid.to_owned(), patch))
}

/// Serves one package to one request and gives its URI.
pub(super) async fn serve_package(path: &str, status: &str, body: &[u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}{path}", listener.local_addr().unwrap());
    let mut answer = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 2048];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
        let _ = stream.read(&mut request).await;
    });
    uri
}
