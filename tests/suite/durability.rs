//! `kill -9` at any moment loses nothing that an emulator with `--data` has
//! acknowledged.
//!
//! ```text
//!  start ─► clients write, each remembers what was acknowledged ─► kill -9
//!    ▲                                                               │
//!    └── next round ◄── compare: acknowledged ≤ there ≤ asked ◄── restart
//! ```
//!
//! `OTADECK_DURABILITY_ROUNDS` makes more rounds than twenty;
//! `OTADECK_DURABILITY_SEED` repeats the moments of an earlier run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use otadeck::emulator::sas::sign;
use otadeck::mqtt::{ClientLink, Connect, Incoming, Limits, Publish, Qos, ReturnCode};
use rand::{Rng as _, SeedableRng as _};
use rustix::process::Signal;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::program::{Emulator, Home, PATIENCE};

type Link = ClientLink<TlsStream<TcpStream>>;

/// What a client knows of one device.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The number written last that was asked for, and that was acknowledged.
    asked: u64,
    acknowledged: u64,
    /// The counter that came with the acknowledged one.
    version: u64,
}

/// What the clients know of all.
#[derive(Debug, Default)]
struct Memory {
    /// Twins written by the service: tag and desired property.
    twins: BTreeMap<String, Known>,
    /// Twins written by their devices.
    reports: BTreeMap<String, Known>,
    /// Identities whose last acknowledged deed was a create, with generation
    /// and etag, or a deletion.
    registry: BTreeMap<String, Option<(String, String)>>,
    /// Asked for, and neither yes nor no.
    unknown: BTreeSet<String>,
    /// Every generation that was ever shown.
    generations: BTreeMap<String, String>,
}

/// One life of the emulator, as its clients see it.
#[derive(Clone)]
struct Life {
    ready: Arc<Value>,
    client: reqwest::Client,
    tls: TlsConnector,
    acknowledged: Arc<AtomicU64>,
}

fn field(text: &str, name: &str) -> String {
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(key, _)| *key == name);
    found.next().unwrap().1.to_owned()
}

fn token(resource: &str, key: &str, policy: Option<&str>) -> String {
    let end = Timestamp::now().as_second() + 3_600;
    sign(resource, key, end, policy).unwrap()
}

impl Life {
    fn of(emulator: &Emulator) -> Self {
        let ca = std::fs::read(emulator.ca_file()).unwrap();
        let certificates = reqwest::Certificate::from_pem_bundle(&ca).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only(certificates)
            .no_proxy()
            .build()
            .unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(&ca).unwrap())
            .unwrap();
        let tls = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            ready: Arc::new(emulator.ready.clone()),
            client,
            tls: TlsConnector::from(Arc::new(tls)),
            acknowledged: Arc::default(),
        }
    }

    /// Status and body; `None` when the emulator is gone.
    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Option<(u16, Value)> {
        let text = self.ready["serviceConnectionString"].as_str().unwrap();
        let host = field(text, "HostName");
        let key = field(text, "SharedAccessKey");
        let url = format!("https://{host}{path}?api-version=2021-04-12");
        let mut request = self.client.request(method.parse().unwrap(), url);
        request = request.header("Authorization", token(&host, &key, Some("iothubowner")));
        if method == "DELETE" {
            request = request.header("If-Match", "*");
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let text = response.text().await.ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or_default()))
    }

    fn device(&self, n: usize) -> (String, String) {
        let device = &self.ready["devices"][n];
        let text = |name: &str| device[name].as_str().unwrap().to_owned();
        (text("deviceId"), text("connectionString"))
    }

    /// Connects with a kept session; `None` when the emulator is gone.
    async fn connect(&self, text: &str) -> Option<(Link, bool)> {
        let (host, id) = (field(text, "HostName"), field(text, "DeviceId"));
        let address = host.replace("localhost", "127.0.0.1");
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let name = ServerName::try_from("localhost").unwrap();
        let stream = self.tls.connect(name, stream).await.ok()?;
        let resource = format!("{host}/devices/{id}");
        let mut connect = Connect::new(&id);
        connect.user_name = Some(format!("{host}/{id}/?api-version=2021-04-12"));
        connect.password =
            Some(token(&resource, &field(text, "SharedAccessKey"), None).into_bytes());
        connect.keep_alive = 60;
        let mut link = ClientLink::client(stream, Limits::default());
        link.connect(&connect).unwrap();
        match link.next().await.ok()? {
            Incoming::ConnectAck {
                session_present,
                code: ReturnCode::Accepted,
            } => Some((link, session_present)),
            other => panic!("no welcome: {other:?}"),
        }
    }

    fn count(&self) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

/// The next message; `None` when the emulator is gone.
async fn message(link: &mut Link) -> Option<Publish> {
    loop {
        if let Incoming::Publish(publish) = link.next().await.ok()? {
            return Some(publish);
        }
    }
}

async fn subscribe(link: &mut Link, filter: &str) -> Option<()> {
    link.subscribe(&[(filter, Qos::AtLeastOnce)]).ok()?;
    match link.next().await.ok()? {
        Incoming::SubscribeAck { granted, .. } => granted[0].map(drop),
        other => panic!("no SUBACK: {other:?}"),
    }
}

/// Writes one twin until the emulator is gone.
async fn write_twin(life: Life, id: String, mut known: Known) -> (String, Known) {
    loop {
        known.asked += 1;
        let n = known.asked;
        let patch = json!({"tags": {"n": n}, "properties": {"desired": {"n": n}}});
        let answer = life
            .call("PATCH", &format!("/twins/{id}"), Some(patch))
            .await;
        let Some((status, twin)) = answer else {
            return (id, known);
        };
        assert_eq!(status, 200, "{twin}");
        let version = twin["version"].as_u64().unwrap();
        assert!(
            version > known.version,
            "a version twice: {version} after {known:?}"
        );
        known = Known {
            asked: n,
            acknowledged: n,
            version,
        };
        life.count();
    }
}

/// Reports until the emulator is gone.
async fn report(life: Life, n: usize, mut known: Known) -> (String, Known) {
    let (id, text) = life.device(n);
    let Some((mut link, _)) = life.connect(&text).await else {
        return (id, known);
    };
    if subscribe(&mut link, "$iothub/twin/res/#").await.is_none() {
        return (id, known);
    }
    loop {
        known.asked += 1;
        let n = known.asked;
        let topic = format!("$iothub/twin/PATCH/properties/reported/?$rid={n}");
        let body = json!({"n": n}).to_string();
        let sent = link.publish(&topic, body.as_bytes(), Qos::AtLeastOnce);
        let answer = match sent {
            Ok(_) => message(&mut link).await,
            Err(_) => None,
        };
        let Some(answer) = answer else {
            return (id, known);
        };
        let start = format!("$iothub/twin/res/204/?$rid={n}&$version=");
        let version = answer.topic.strip_prefix(&start);
        let version = version.unwrap_or_else(|| panic!("{}", answer.topic));
        let version = version.parse().unwrap();
        assert!(
            version > known.version,
            "a version twice: {version} after {known:?}"
        );
        known = Known {
            asked: n,
            acknowledged: n,
            version,
        };
        life.count();
    }
}

/// What became of the registry in one life.
#[derive(Default)]
struct Deeds {
    registry: BTreeMap<String, Option<(String, String)>>,
    unknown: BTreeSet<String>,
}

/// Creates identities and deletes each third, until the emulator is gone.
async fn register(life: Life, round: u64) -> Deeds {
    let mut deeds = Deeds::default();
    for n in 0_u64.. {
        let id = format!("r-{round}-{n}");
        let path = format!("/devices/{id}");
        deeds.unknown.insert(id.clone());
        let Some((status, identity)) = life.call("PUT", &path, Some(json!({}))).await else {
            break;
        };
        assert_eq!(status, 200, "{identity}");
        let text = |name: &str| identity[name].as_str().unwrap().to_owned();
        let shown = (text("generationId"), text("etag"));
        deeds.registry.insert(id.clone(), Some(shown));
        life.count();
        if n % 3 == 0 {
            if life.call("DELETE", &path, None).await.is_none() {
                break;
            }
            deeds.registry.insert(id.clone(), None);
            life.count();
        }
        deeds.unknown.remove(&id);
    }
    deeds
}

/// A device that subscribed once, long ago: is it asked without having done so
/// again?
async fn is_still_asked(life: &Life, n: usize) {
    let (id, text) = life.device(n);
    let (mut link, session_present) = life.connect(&text).await.unwrap();
    assert!(session_present, "the session of {id} was kept");
    let path = format!("/twins/{id}/methods");
    let call = json!({"methodName": "ping", "payload": n});
    let device = async {
        let asked = message(&mut link).await.unwrap();
        let topic = asked.topic.replace("POST/ping", "res/200");
        link.publish(&topic, &asked.payload, Qos::AtMostOnce)
            .unwrap();
        link.flush().await.unwrap();
        link
    };
    let (answer, _link) = tokio::join!(life.call("POST", &path, Some(call)), device);
    assert_eq!(answer.unwrap(), (200, json!({"status": 200, "payload": n})));
}

impl Memory {
    /// Lets the clients work until so many writes are acknowledged and the
    /// emulator is killed.
    async fn live(&mut self, life: &Life, round: u64, until: u64, kill: impl FnOnce()) {
        let mut twins = tokio::task::JoinSet::new();
        for n in 0..3 {
            let (id, _) = life.device(n);
            let known = self.twins.get(&id).cloned().unwrap_or_default();
            twins.spawn(write_twin(life.clone(), id, known));
        }
        let mut reports = tokio::task::JoinSet::new();
        for n in 3..6 {
            let (id, _) = life.device(n);
            let known = self.reports.get(&id).cloned().unwrap_or_default();
            reports.spawn(report(life.clone(), n, known));
        }
        let registry = tokio::spawn(register(life.clone(), round));
        while life.acknowledged.load(Ordering::Relaxed) < until {
            tokio::task::yield_now().await;
        }
        kill();
        self.twins.extend(twins.join_all().await);
        self.reports.extend(reports.join_all().await);
        let deeds = registry.await.unwrap();
        self.registry.extend(deeds.registry);
        self.unknown.extend(deeds.unknown);
    }

    /// Compares with what is there now, and goes on from that.
    async fn compare(&mut self, life: &Life) {
        for (id, known) in &mut self.twins {
            let (status, twin) = life
                .call("GET", &format!("/twins/{id}"), None)
                .await
                .unwrap();
            assert_eq!(status, 200, "{id} is gone");
            let n = twin["tags"]["n"].as_u64().unwrap_or(0);
            assert_eq!(twin["properties"]["desired"]["n"].as_u64().unwrap_or(0), n);
            let version = twin["version"].as_u64().unwrap();
            go_on(id, known, n, version);
        }
        for (id, known) in &mut self.reports {
            let (_, twin) = life
                .call("GET", &format!("/twins/{id}"), None)
                .await
                .unwrap();
            let reported = &twin["properties"]["reported"];
            let n = reported["n"].as_u64().unwrap_or(0);
            go_on(id, known, n, reported["$version"].as_u64().unwrap());
        }
        let ids: BTreeSet<_> = self.registry.keys().chain(&self.unknown).cloned().collect();
        for id in ids {
            let (status, identity) = life
                .call("GET", &format!("/devices/{id}"), None)
                .await
                .unwrap();
            let text = |name: &str| identity[name].as_str().unwrap_or_default().to_owned();
            let there = (status == 200).then(|| (text("generationId"), text("etag")));
            if !self.unknown.contains(&id) {
                assert_eq!(Some(&there), self.registry.get(&id), "{id}");
            }
            if let Some((generation, _)) = &there {
                let other = self.generations.insert(generation.clone(), id.clone());
                assert!(other.is_none_or(|other| other == id), "{generation} twice");
            }
        }
        // Looked at once; the next round makes others.
        self.registry.clear();
        self.unknown.clear();
    }
}

/// What is there is acknowledged, or was asked for last.
fn go_on(id: &str, known: &mut Known, n: u64, version: u64) {
    let asked = known.acknowledged..=known.asked;
    assert!(asked.contains(&n), "{id}: {n} of {known:?}");
    match n == known.acknowledged {
        true if n > 0 => assert_eq!(version, known.version, "{id}: {known:?}"),
        _ => assert!(version > known.version, "{id}: {version} of {known:?}"),
    }
    *known = Known {
        asked: n,
        acknowledged: n,
        version,
    };
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    crate::support::tls();
    let rounds = number("OTADECK_DURABILITY_ROUNDS").unwrap_or(20);
    let seed = number("OTADECK_DURABILITY_SEED").unwrap_or_else(|| rand::rng().next_u64());
    eprintln!("OTADECK_DURABILITY_SEED={seed}");
    let mut moments = rand::rngs::StdRng::seed_from_u64(seed);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("hub");
    let args = ["--data", data.to_str().unwrap(), "--identities", "7"];
    let start = || Emulator::start(&args);

    let mut memory = Memory::default();
    let mut emulator = start();
    let life = Life::of(&emulator);
    runtime.block_on(async {
        let (mut link, _) = life.connect(&life.device(6).1).await.unwrap();
        let subscribed = subscribe(&mut link, "$iothub/methods/POST/#").await;
        assert!(subscribed.is_some());
    });
    let mut acknowledged = 0;
    for round in 0..rounds {
        let life = Life::of(&emulator);
        let until = moments.next_u64() % 120;
        let pause = Duration::from_micros(moments.next_u64() % 3_000);
        let kill = || {
            // Between two acknowledgements as well as at one.
            std::thread::sleep(pause);
            emulator.running.signal(Signal::KILL);
        };
        let living = memory.live(&life, round, until, kill);
        runtime
            .block_on(async { tokio::time::timeout(PATIENCE, living).await })
            .expect("the clients come to an end");
        assert_eq!(emulator.running.wait(), -9);
        acknowledged += life.acknowledged.load(Ordering::Relaxed);

        emulator = start();
        let life = Life::of(&emulator);
        runtime.block_on(async {
            memory.compare(&life).await;
            is_still_asked(&life, 6).await;
        });
    }
    eprintln!("{rounds} kills, {acknowledged} acknowledged writes, none lost");
    // The hub works, not only remembers.
    assert!(acknowledged >= rounds, "{acknowledged}");
}

#[test]
fn a_state_that_cannot_be_used_is_explained_and_left_alone() {
    let home = Home::new();
    let folder = home.folder.path().join("hub");
    let data = folder.to_str().unwrap();
    let args = [
        "emulator",
        "--https",
        "127.0.0.1:0",
        "--mqtt",
        "127.0.0.1:0",
        "--data",
        data,
    ];
    let file = folder.join("hub.db");
    {
        let mut running = home.spawn(&args);
        running.line();
        let second = home.run(&args);
        assert_eq!(second.code, 1);
        assert!(
            second.stderr.contains("another emulator uses"),
            "{}",
            second.stderr
        );
        running.signal(Signal::TERM);
        assert_eq!(running.wait(), 0);
    }
    let newer = rusqlite::Connection::open(&file).unwrap();
    newer.pragma_update(None, "user_version", 9).unwrap();
    drop(newer);
    let ended = home.run(&args);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("newer otadeck"), "{}", ended.stderr);

    let garbage = "this was a database once ".repeat(400);
    std::fs::write(&file, &garbage).unwrap();
    let ended = home.run(&args);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("is damaged"), "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), garbage);
    assert_eq!(ended.stdout, "");
}
