//! Each story of `assets/scenarios` that has something go wrong, played faster
//! on an emulator with its devices, and seen on the wire.

use std::time::Duration;

use jiff::Timestamp;
use otadeck::device::{self, Fleet};
use otadeck::domain::id::DeviceId;
use otadeck::emulator::{self, Emulator, sas};
use otadeck::scenario::Scenario;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::time::{interval, timeout};

use super::support;

/// How long anything may take before the test says that it hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often something is looked for that is to come.
const LOOK: Duration = Duration::from_millis(15);
/// A package of nobody: the download is pretended.
const PACKAGE: &str = "https://packages.test/fw-1.5.0.bin";

/// An answer, if there was a whole one.
struct Got {
    status: u16,
    headers: HeaderMap,
    body: Option<String>,
}

impl Got {
    /// Status, the header's code, and the number in the body, with which it
    /// has to agree.
    fn refusal(&self) -> (u16, &str) {
        let name = self.headers["iothub-errorcode"].to_str().unwrap();
        let body: Value = serde_json::from_str(self.body.as_ref().unwrap()).unwrap();
        let message = body["Message"].as_str().unwrap();
        match serde_json::from_str::<Value>(message) {
            Ok(inner) => {
                let number = inner["errorCode"].as_u64().unwrap();
                assert_eq!(number / 1_000, u64::from(self.status), "{message}");
            }
            Err(_) => assert!(
                message.starts_with(&format!("ErrorCode:{name};")),
                "{message}"
            ),
        }
        (self.status, name)
    }

    fn json(&self) -> Value {
        serde_json::from_str(self.body.as_ref().unwrap()).unwrap()
    }
}

/// A story being played.
struct Play {
    hub: Emulator,
    fleet: Fleet,
    client: Client,
    devices: Vec<DeviceId>,
}

impl Play {
    /// Twelve devices, ready, and the story begins.
    async fn of(name: &str, faster: u32) -> Self {
        let story = Scenario::load(name).unwrap().faster(faster);
        Self::with(&story, emulator::Settings::default()).await
    }

    async fn with(story: &Scenario, settings: emulator::Settings) -> Self {
        support::tls();
        let settings = emulator::Settings {
            conditions: story.hub().clone(),
            ..settings
        };
        let hub = Emulator::start(settings).await.unwrap();
        let made = hub.create_identities("sim", 12).unwrap();
        let settings = made.iter().map(|(_, text)| device::Settings {
            ca_file: Some(hub.ca_file().to_owned()),
            ..device::Settings::new(
                device::ConnectionString::parse(text).unwrap(),
                story.rules(),
            )
        });
        let fleet = Fleet::start(settings.collect()).unwrap();
        assert_eq!(timeout(PATIENCE, fleet.ready()).await.unwrap().ready, 12);
        let ca = reqwest::Certificate::from_pem_bundle(hub.ca_pem().as_bytes()).unwrap();
        let client = Client::builder()
            .tls_certs_only(ca)
            .no_proxy()
            .build()
            .unwrap();
        hub.begin_faults();
        Self {
            devices: made.into_iter().map(|(id, _)| id).collect(),
            hub,
            fleet,
            client,
        }
    }

    async fn end(self) {
        self.fleet.stop().await;
        self.hub.shutdown().await;
    }

    /// `sim-{n}`.
    fn id(&self, n: usize) -> &DeviceId {
        &self.devices[n - 1]
    }

    fn token(&self, life: i64) -> String {
        let text = self.hub.connection_string("iothubowner").unwrap();
        let (_, key) = text.split_once("SharedAccessKey=").unwrap();
        let ends = Timestamp::now().as_second() + life;
        sas::sign("localhost", key, ends, Some("iothubowner")).unwrap()
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Option<Got> {
        self.send_with(&self.token(3_600), method, path, body).await
    }

    /// `None` when not even a head came.
    async fn send_with(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Option<Got> {
        let port = self.hub.https().port();
        let url = format!("https://localhost:{port}{path}?api-version=2021-04-12");
        let request = self.client.request(method, url).timeout(PATIENCE);
        let request = request
            .header("Authorization", token)
            .header("If-Match", "*");
        let request = match body {
            Some(body) => request.body(body.to_string()),
            None => request,
        };
        let response = request.send().await.ok()?;
        Some(Got {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.ok(),
        })
    }

    async fn order(&self, n: usize) -> Option<Got> {
        self.order_of(n, PACKAGE).await
    }

    async fn order_of(&self, n: usize, uri: &str) -> Option<Got> {
        let body = json!({
            "methodName": "firmwareUpdate",
            "responseTimeoutInSeconds": 5,
            "payload": {"fwPackageUri": uri},
        });
        let path = format!("/twins/{}/methods", self.id(n));
        self.send(Method::POST, &path, Some(body)).await
    }

    async fn twin(&self, n: usize) -> Option<Got> {
        self.send(Method::GET, &format!("/twins/{}", self.id(n)), None)
            .await
    }

    async fn query(&self, text: &str) -> Option<Got> {
        let body = Some(json!({ "query": text }));
        self.send(Method::POST, "/devices/query", body).await
    }

    /// What really is reported, whatever the hub says of it.
    fn truth(&self, n: usize) -> Value {
        let twin = self.hub.with_world(|world, _| world.twin(self.id(n)));
        twin.unwrap()["properties"]["reported"].clone()
    }

    fn status(&self, n: usize) -> String {
        let status = &self.truth(n)["firmwareStatus"];
        status.as_str().unwrap_or_default().to_owned()
    }

    /// When the hub stamped `property`.
    fn stamp(&self, n: usize, property: &str) -> Option<Timestamp> {
        let stamp = &self.truth(n)["$metadata"][property]["$lastUpdated"];
        stamp.as_str()?.parse().ok()
    }

    fn connected(&self, n: usize) -> bool {
        let connected = self
            .hub
            .with_world(|world, _| Ok(world.is_connected(self.id(n))));
        connected.unwrap()
    }

    /// When it last came or went.
    fn came(&self, n: usize) -> String {
        let identity = self.hub.with_world(|world, _| world.identity(self.id(n)));
        identity.unwrap().body["connectionStateUpdatedTime"].to_string()
    }

    /// Orders delivered to the device, and answered by it.
    fn counts(&self, n: usize) -> (u64, u64) {
        let counts = self.hub.method_counts(self.id(n));
        (counts.delivered, counts.answered)
    }

    /// Looks until it is so.
    async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let look = async {
            let mut looks = interval(LOOK);
            while !so(self) {
                looks.tick().await;
            }
        };
        assert!(
            timeout(PATIENCE, look).await.is_ok(),
            "it never came: {what}"
        );
    }

    /// Orders until the hub lets one through; gives the refusals before.
    async fn order_until_taken(&self, n: usize) -> Vec<u16> {
        let mut refused = Vec::new();
        let mut tries = interval(LOOK * 3);
        loop {
            tries.tick().await;
            let got = self.order(n).await.unwrap();
            if got.status == 200 {
                return refused;
            }
            refused.push(got.status);
        }
    }
}

#[tokio::test]
async fn throttled() {
    let play = Play::of("throttled", 10).await;
    let throttled = (429, "ThrottlingException");
    // First, for it is throttled only later.
    let query = play.query("SELECT * FROM devices");
    assert_eq!(query.await.unwrap().status, 200);
    let order = play.order(1).await.unwrap();
    assert_eq!(order.refusal(), throttled);
    assert_eq!(order.headers["connection"], "close");
    assert!(!order.headers.contains_key("retry-after"));
    assert_eq!(play.twin(1).await.unwrap().refusal(), throttled);
    assert_eq!(play.counts(1), (0, 0));
    // Then it is over, and the same order is taken, once.
    let refused = play.order_until_taken(1).await;
    assert!(refused.iter().all(|status| *status == 429));
    assert_eq!(play.counts(1), (1, 1));
    play.end().await;
}

#[tokio::test]
async fn outage() {
    let play = Play::of("outage", 10).await;
    assert_eq!(play.order(1).await.unwrap().refusal(), (500, "ServerError"));
    assert_eq!(
        play.order(2).await.unwrap().refusal(),
        (503, "ServiceUnavailable")
    );
    // One of the two devices is at work, and the answers do not tell.
    assert_eq!((play.counts(1), play.counts(2)), ((1, 1), (0, 0)));
    let mut seen = std::collections::BTreeSet::new();
    let all = [500, 502, 503];
    let look = async {
        while !all.iter().all(|status| seen.contains(status)) {
            let got = play.twin(3).await.unwrap();
            if got.status == 502 {
                assert!(got.body.unwrap().starts_with("<html>"));
                assert!(!got.headers.contains_key("iothub-errorcode"));
            } else if got.status != 200 {
                got.refusal();
            }
            seen.insert(got.status);
        }
    };
    assert!(timeout(PATIENCE, look).await.is_ok(), "not all were seen");
    play.until("the device that ran", |play| play.status(1) == "completed")
        .await;
    assert_eq!(play.status(2), "standBy");
    assert!(play.order_until_taken(2).await.iter().all(|s| *s == 503));
    play.end().await;
}

#[tokio::test]
async fn slow() {
    let play = Play::of("slow", 10).await;
    let mut broken = 0;
    for n in 1..=11 {
        let before = tokio::time::Instant::now();
        match play.twin(1).await {
            Some(Got { body: Some(_), .. }) => {
                assert!(before.elapsed() >= Duration::from_millis(150), "{n}");
            }
            // The seventh breaks off in its body, the eleventh that is left to
            // the next fault in its head.
            Some(Got {
                body: None, status, ..
            }) => {
                assert_eq!((n, status), (7, 200));
                broken += 1;
            }
            None => panic!("the {n}. was cut too early"),
        }
    }
    assert_eq!(broken, 1);
    assert!(play.twin(1).await.is_none());
    let mut none = 0;
    for _ in 0..6 {
        let got = play.query("SELECT deviceId FROM devices").await;
        none += usize::from(got.is_none());
    }
    assert_eq!(none, 1);
    let uri = play.hub.package_url("fw-1.5.0.bin");
    assert_eq!(play.order_of(1, &uri).await.unwrap().status, 200);
    play.until("a broken download", |play| play.status(1) == "failed")
        .await;
    assert!(
        play.truth(1)["firmwareError"]
            .as_str()
            .unwrap()
            .contains("download broke")
    );
    assert_eq!(play.order_of(1, &uri).await.unwrap().status, 200);
    play.until("the second try", |play| play.status(1) == "completed")
        .await;
    play.end().await;
}

#[tokio::test]
async fn offline_flaps() {
    let play = Play::of("offline-flaps", 10).await;
    let order = play.order(1).await.unwrap();
    assert_eq!(order.refusal(), (404, "DeviceNotOnline"));
    assert!(play.connected(1));
    assert_eq!(play.counts(1), (0, 0));
    let before: Vec<_> = (1..=4).map(|n| play.came(n)).collect();
    for n in 1..=4 {
        assert!(play.order_until_taken(n).await.iter().all(|s| *s == 404));
        assert_eq!(play.counts(n), (1, 1));
    }
    // Reports that end the link are said again when the device is back.
    for n in 1..=4 {
        play.until("the end", |play| play.status(n) == "completed")
            .await;
    }
    let after: Vec<_> = (1..=4).map(|n| play.came(n)).collect();
    assert_ne!(before, after);
    play.end().await;
}

#[tokio::test]
async fn lost_answer() {
    let play = Play::of("lost-answer", 10).await;
    let timeout = Some((504, "GatewayTimeout"));
    let closed = Some((404, "DeviceConnectionClosedRemotely"));
    let plays = [
        (1, timeout, true),
        (2, timeout, false),
        (3, closed, true),
        (4, None, true),
        (5, timeout, true),
        (6, timeout, false),
        (7, closed, false),
        (8, None, false),
    ];
    for (n, want, ran) in plays {
        let got = play.order(n).await;
        assert_eq!(got.as_ref().map(Got::refusal), want, "{n}");
        assert_eq!(play.counts(n), if ran { (1, 1) } else { (0, 0) }, "{n}");
    }
    for (n, _, ran) in plays {
        if ran {
            play.until("its end", |play| play.status(n) == "completed")
                .await;
        }
    }
    for (n, _, ran) in plays {
        assert_eq!(play.status(n) == "completed", ran, "{n}");
    }
    play.end().await;
}

#[tokio::test]
async fn stale() {
    let play = Play::of("stale", 4).await;
    assert_eq!(
        (play.status(1), play.status(4)),
        ("completed".into(), "downloading".into())
    );
    let first = play.stamp(1, "firmwareStatus").unwrap();
    let later = |play: &Play| play.stamp(1, "firmwareStatus").unwrap() > first;
    play.until("it says so again", later).await;
    // Nothing was ordered, and yet the completed is a new one.
    assert_eq!(
        (play.status(1).as_str(), play.counts(1)),
        ("completed", (0, 0))
    );
    // One that takes the order and does nothing still reports its old end. It
    // may just be changing its token.
    let refused = play.order_until_taken(3).await;
    assert!(refused.iter().all(|status| *status == 404));
    let ordered = Timestamp::now();
    let stamped = |play: &Play| play.stamp(3, "lastFirmwareUpdate").unwrap() > ordered;
    play.until("an old end, stamped after the order", stamped)
        .await;
    assert_eq!(play.truth(3)["firmwareVersion"], "1.4.2");
    play.end().await;
}

#[tokio::test]
async fn twin_lag() {
    let play = Play::of("twin-lag", 2).await;
    assert_eq!(play.order(1).await.unwrap().status, 200);
    play.until("it begins", |play| play.status(1) == "downloading")
        .await;
    let seen = |got: Got| got.json()["properties"]["reported"].clone();
    // The device is at work, the reader sees the run before.
    assert_eq!(
        seen(play.twin(1).await.unwrap())["firmwareStatus"],
        "completed"
    );
    let done = |play: &Play| play.truth(1)["firmwareVersion"] == "1.5.0";
    play.until("its end", done).await;
    let old = seen(play.twin(1).await.unwrap());
    assert_eq!(old["firmwareVersion"], "1.4.2");
    let caught_up = async {
        let mut looks = interval(LOOK);
        while seen(play.twin(1).await.unwrap()) != play.truth(1) {
            looks.tick().await;
        }
    };
    assert!(timeout(PATIENCE, caught_up).await.is_ok());
    play.end().await;
}

#[tokio::test]
async fn index_lag() {
    let play = Play::of("index-lag", 5).await;
    let listed = async |id: &str| {
        let got = play.query("SELECT deviceId FROM devices").await.unwrap();
        let rows = got.json();
        let mut rows = rows.as_array().unwrap().iter();
        rows.any(|row| row["deviceId"] == id)
    };
    let late = async |id: &str, want: bool| {
        let look = async {
            let mut looks = interval(LOOK);
            while listed(id).await != want {
                looks.tick().await;
            }
        };
        assert!(timeout(PATIENCE, look).await.is_ok(), "{id} {want}");
    };
    assert!(listed("sim-0001").await);
    let deleted = play.send(Method::DELETE, "/devices/sim-0012", None).await;
    assert_eq!(deleted.unwrap().status, 204);
    play.hub.create_identities("new", 1).unwrap();
    // The ghost is listed, the new one is not; single reads know better.
    assert!(listed("sim-0012").await && !listed("new-0001").await);
    let single = async |id: &str| {
        let path = format!("/twins/{id}");
        play.send(Method::GET, &path, None).await.unwrap().status
    };
    assert_eq!(
        (single("sim-0012").await, single("new-0001").await),
        (404, 200)
    );
    late("new-0001", true).await;
    late("sim-0012", false).await;
    // Values are old as well.
    assert_eq!(play.order(1).await.unwrap().status, 200);
    play.until("it begins", |play| play.status(1) == "downloading")
        .await;
    let text =
        "SELECT properties.reported.firmwareStatus AS s FROM devices WHERE deviceId = 'sim-0001'";
    assert_eq!(play.query(text).await.unwrap().json()[0]["s"], "standBy");
    play.end().await;
}

#[tokio::test]
async fn shouting() {
    let play = Play::of("shouting", 20).await;
    for n in 1..=3 {
        assert_eq!(play.order(n).await.unwrap().status, 200);
    }
    play.until("capitals", |play| play.status(1) == "COMPLETED")
        .await;
    play.until("title case", |play| play.status(2) == "Completed")
        .await;
    play.until("small letters", |play| {
        play.truth(3)["iothubDM"]["firmwareUpdate"]["status"] == "applycomplete"
    })
    .await;
    play.end().await;
}

#[tokio::test]
async fn reboot_loop() {
    let play = Play::of("reboot-loop", 10).await;
    for n in [1, 5] {
        assert_eq!(play.order(n).await.unwrap().status, 200);
    }
    let mut last = None;
    for round in 1..=4 {
        let again = |play: &Play| {
            let stamp = play.stamp(5, "startedApplyingImage");
            stamp > last && play.status(5) == "applying"
        };
        play.until(&format!("applying, {round}"), again).await;
        last = play.stamp(5, "startedApplyingImage");
        play.until("the link goes", |play| !play.connected(5)).await;
    }
    play.until("the other's end", |play| play.status(1) == "completed")
        .await;
    let first = play.stamp(1, "downloadComplete").unwrap();
    let away = play
        .stamp(1, "lastFirmwareUpdate")
        .unwrap()
        .duration_since(first);
    // Three times away for 0.4 s at least.
    assert!(away.as_millis() > 1_200, "{away:?}");
    assert_eq!(play.status(5), "applying");
    play.end().await;
}

#[tokio::test]
async fn vanishes() {
    let play = Play::of("vanishes", 10).await;
    for n in [1, 2] {
        assert_eq!(play.order(n).await.unwrap().status, 200);
    }
    for (n, phase) in [(1, "applying"), (2, "downloading")] {
        play.until("it goes", |play| !play.connected(n)).await;
        assert_eq!(play.status(n), phase);
    }
    // Nobody is there any more, and nothing more is delivered.
    for n in [1, 2] {
        assert_eq!(
            play.order(n).await.unwrap().refusal(),
            (404, "DeviceNotOnline")
        );
        assert_eq!(play.counts(n), (1, 1));
    }
    play.end().await;
}

#[tokio::test]
async fn expired_tokens() {
    let play = Play::of("expired-tokens", 10).await;
    let token = play.token(3_600);
    let read = async || {
        let got = play
            .send_with(&token, Method::GET, "/twins/sim-0001", None)
            .await;
        got.unwrap()
    };
    assert_eq!(read().await.status, 200);
    let came = play.came(1);
    // It never renews: at its token's end the hub closes the link for good.
    play.until("the link ends", |play| !play.connected(3)).await;
    let renewed = |play: &Play| play.came(1) != came && play.connected(1);
    play.until("the others come back with fresh ones", renewed)
        .await;
    let look = async {
        let mut looks = interval(LOOK);
        while read().await.status == 200 {
            looks.tick().await;
        }
    };
    assert!(timeout(PATIENCE, look).await.is_ok());
    assert_eq!(read().await.refusal(), (401, "IotHubUnauthorized"));
    let fresh = play.token(7_200);
    let got = play
        .send_with(&fresh, Method::GET, "/twins/sim-0003", None)
        .await;
    assert_eq!(got.unwrap().json()["connectionState"], "Disconnected");
    play.end().await;
}

#[tokio::test]
async fn clock_skew() {
    let play = Play::of("clock-skew", 10).await;
    let got = play.twin(2).await.unwrap();
    let date = got.headers["date"].to_str().unwrap().to_owned();
    let date = jiff::fmt::rfc2822::parse(&date).unwrap().timestamp();
    let stamp = play.stamp(2, "firmwareStatus").unwrap();
    for time in [date, stamp] {
        let ahead = time.duration_since(Timestamp::now()).as_secs();
        assert!((500..=600).contains(&ahead), "{ahead}");
    }
    let written = |n| play.truth(n)["logTime"].as_str().unwrap()[..4].to_owned();
    let year = |ago: i64| {
        let then = Timestamp::now() - jiff::SignedDuration::from_hours(24 * ago);
        jiff::tz::TimeZone::system()
            .to_datetime(then)
            .year()
            .to_string()
    };
    assert_eq!((written(1), written(2)), (year(0), year(365)));
    play.end().await;
}

#[tokio::test]
async fn late() {
    let play = Play::of("late", 40).await;
    assert_eq!(play.order(1).await.unwrap().status, 200);
    play.until("it applies", |play| play.status(1) == "applying")
        .await;
    play.until("it ends after all", |play| play.status(1) == "completed")
        .await;
    let began = play.stamp(1, "startedApplyingImage").unwrap();
    let silent = play
        .stamp(1, "lastFirmwareUpdate")
        .unwrap()
        .duration_since(began);
    // Applying takes a quarter of a second by plan, and 3 s here.
    assert!(silent.as_millis() > 2_500, "{silent:?}");
    play.end().await;
}

#[tokio::test]
async fn a_kept_device_goes_on_with_the_version_that_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let text = "description = \"all connect\"\n[defaults]\nfirmware = \"1.4.2\"\n\
                waiting = \"1s\"\ndownloading = \"1s\"\napplying = \"1s\"";
    let story = Scenario::parse(text).unwrap().faster(50);
    let settings = emulator::Settings {
        data: Some(folder.path().to_owned()),
        ..emulator::Settings::default()
    };
    let play = Play::with(&story, settings.clone()).await;
    assert_eq!(play.truth(1)["firmwareVersion"], "1.4.2");
    assert_eq!(play.order(1).await.unwrap().status, 200);
    play.until("its end", |play| play.status(1) == "completed")
        .await;
    play.end().await;
    let play = Play::with(&story, settings).await;
    assert_eq!(play.status(1), "standBy");
    let version = |n| play.truth(n)["firmwareVersion"].clone();
    assert_eq!((version(1), version(2)), (json!("1.5.0"), json!("1.4.2")));
    play.end().await;
}
