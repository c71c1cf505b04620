//! Faults on the wire.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::emulator::faults::{Fault, HubTable};

/// How long a test waits for what should come at once.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(serde::Deserialize)]
struct World {
    #[serde(default)]
    hub: HubTable,
    #[serde(default)]
    fault: Vec<Fault>,
}

async fn hub(text: &str) -> Bench {
    let world: World = toml::from_str(text).unwrap();
    let settings = Settings {
        conditions: world.hub.with(world.fault),
        ..Settings::default()
    };
    let bench = Bench::with(settings).await;
    bench.emulator.begin_faults();
    bench
}

async fn faulty(fault: &str) -> Bench {
    hub(&format!("[[fault]]\n{fault}")).await
}

fn order() -> Option<Value> {
    Some(json!({"methodName": "m", "responseTimeoutInSeconds": 5}))
}

impl Bench {
    /// Everything that the hub says to a request on a connection of its own,
    /// until it ends it.
    async fn raw(&self, method: &str, path: &str, body: &str) -> String {
        let port = self.emulator.https().port();
        let mut tls = self.tls_to(self.emulator.https()).await;
        let request = format!(
            "{method} {path}?api-version=2021-04-12 HTTP/1.1\r\nhost: localhost:{port}\r\n\
             authorization: {}\r\ncontent-length: {}\r\n\r\n{body}",
            self.token("iothubowner"),
            body.len()
        );
        tls.write_all(request.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        // A cut connection ends without TLS's goodbye, which is an error here.
        let ended = tokio::time::timeout(PATIENCE, tls.read_to_end(&mut got)).await;
        let ended = ended.expect("the connection is cut");
        assert!(ended.is_err(), "the hub said goodbye");
        String::from_utf8(got).unwrap()
    }

    /// A device that answers every method with 200 from now on.
    async fn answering(&self, text: &str) -> tokio::task::JoinHandle<()> {
        let mut link = self.connect(text, &["$iothub/methods/POST/#"]).await;
        tokio::spawn(async move {
            while let Ok(incoming) = link.next().await {
                let Incoming::Publish(publish) = incoming else {
                    continue;
                };
                let (_, rid) = publish.topic.split_once("?$rid=").unwrap();
                let topic = format!("$iothub/methods/res/200/?$rid={rid}");
                link.publish(&topic, b"{}", Qos::AtMostOnce).unwrap();
            }
        })
    }

    fn counts(&self, id: &DeviceId) -> (u64, u64) {
        let counts = self.emulator.method_counts(id);
        (counts.delivered, counts.answered)
    }
}

#[rstest::rstest]
#[case("ThrottlingException", 429, 429_001, false)]
#[case("ThrottlingBacklogTimeout", 429, 429_003, false)]
#[case("IotHubUnauthorized", 401, 401_003, false)]
#[case("ServerError", 500, 500_001, true)]
#[case("GenericBadGateway", 502, 502_000, true)]
#[case("ServiceUnavailable", 503, 503_001, true)]
#[case("DeviceNotOnline", 404, 404_103, true)]
#[case("DeviceConnectionClosedRemotely", 404, 404_104, true)]
#[case("GatewayTimeout", 504, 504_101, true)]
#[tokio::test]
async fn an_answer_is_the_hubs_in_status_number_header_and_envelope(
    #[case] name: &str,
    #[case] status: u16,
    #[case] number: u32,
    #[case] nested: bool,
    #[values(true, false)] runs: bool,
) {
    let bench = faulty(&format!(
        "route = \"method\"\nanswer = \"{name}\"\nruns = {runs}"
    ))
    .await;
    let (id, text) = bench.device();
    let device = bench.answering(&text).await;
    let path = format!("/twins/{id}/methods");
    let response = bench.send("POST", &path, &[], order()).await;
    assert_eq!(response.headers()["iothub-errorcode"], name);
    let kind = "application/json; charset=utf-8";
    assert_eq!(response.headers()["content-type"], kind);
    assert!(!response.headers().contains_key("retry-after"));
    let (got, body) = answer(response).await;
    assert_eq!(got, status);
    let message = body["Message"].as_str().unwrap();
    if nested {
        let inner: Value = serde_json::from_str(message).unwrap();
        assert_eq!(inner["errorCode"], number);
    } else {
        assert!(
            message.starts_with(&format!("ErrorCode:{name};")),
            "{message}"
        );
    }
    // Whether the device was asked is not to be seen from the answer.
    assert_eq!(bench.counts(&id), if runs { (1, 1) } else { (0, 0) });
    device.abort();
}

#[rstest::rstest]
#[case("before", false, "")]
#[case("head", false, "HTTP/1.1 200 OK\r\n")]
#[case("before", true, "")]
#[case("body", false, "{\"status\":200")]
#[case("body", true, "{\"status\":200")]
#[tokio::test]
async fn a_cut_answer_ends_where_it_should_and_the_method_ran_or_did_not(
    #[case] place: &str,
    #[case] runs: bool,
    #[case] part: &str,
) {
    let bench = faulty(&format!(
        "route = \"method\"\ncut = \"{place}\"\nruns = {runs}"
    ))
    .await;
    let (id, text) = bench.device();
    let device = bench.answering(&text).await;
    let body = order().unwrap().to_string();
    let got = bench
        .raw("POST", &format!("/twins/{id}/methods"), &body)
        .await;
    match place {
        "before" => assert_eq!(got, ""),
        "head" => assert!(got.starts_with(part) && !got.contains("\r\n\r\n"), "{got}"),
        _ => {
            let (head, body) = got.split_once("\r\n\r\n").unwrap();
            let promised = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let promised: usize = promised.unwrap().parse().unwrap();
            assert!(body.starts_with(part), "{got}");
            assert_eq!(body.len(), promised / 2);
        }
    }
    assert_eq!(bench.counts(&id), if runs { (1, 1) } else { (0, 0) });
    // The reader of a whole client sees an error, not a short answer.
    let path = bench.url(&format!("/twins/{id}/methods"));
    let request = bench
        .client
        .post(path)
        .header("Authorization", bench.token("service"));
    let sent = request.body(body).send().await;
    let read = match sent {
        Ok(response) => response.text().await.map(|_| ()),
        Err(error) => Err(error),
    };
    assert!(read.is_err());
    device.abort();
}

#[tokio::test]
async fn a_gateways_page_is_not_the_hubs() {
    let bench =
        faulty("route = \"query\"\nstatus = 502\nbody = \"<html>Bad Gateway</html>\"").await;
    let query = Some(json!({"query": "SELECT * FROM devices"}));
    let response = bench.send("POST", "/devices/query", &[], query).await;
    assert_eq!(response.status(), 502);
    assert_eq!(response.headers()["content-type"], "text/html");
    assert!(!response.headers().contains_key("iothub-errorcode"));
    assert_eq!(response.text().await.unwrap(), "<html>Bad Gateway</html>");
}

#[tokio::test]
async fn who_is_not_let_in_meets_no_fault() {
    let bench = faulty("route = \"*\"\nanswer = \"ServerError\"\ntimes = 1").await;
    let response = bench
        .client
        .get(bench.url("/twins/a"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(bench.call("GET", "/twins/a", None).await.0, 500);
    assert_eq!(bench.call("GET", "/twins/a", None).await.0, 404);
}

#[tokio::test]
async fn a_write_that_is_answered_otherwise_was_made_or_was_not() {
    let fault = |runs| {
        format!(
            "[[fault]]\nroute = \"twin-write\"\ntimes = 1\nanswer = \"ServerBusy\"\nruns = {runs}\n"
        )
    };
    let bench = hub(&format!("{}{}", fault(false), fault(true))).await;
    let (id, _) = bench.device();
    let path = format!("/twins/{id}");
    let tag = |n: u32| Some(json!({"tags": {"n": n}}));
    for (n, want) in [(1, Value::Null), (2, json!(2))] {
        assert_eq!(bench.call("PATCH", &path, tag(n)).await.0, 503);
        assert_eq!(bench.call("GET", &path, None).await.1["tags"]["n"], want);
    }
}

#[tokio::test]
async fn a_hanging_call_ends_with_the_client_and_with_the_hub() {
    let bench = faulty("route = \"twin-read\"\nhang = true").await;
    let (id, _) = bench.device();
    let request = bench.client.get(bench.url(&format!("/twins/{id}")));
    let request = request.header("Authorization", bench.token("service"));
    let patience = Duration::from_millis(200);
    let left = request.try_clone().unwrap().timeout(patience).send().await;
    assert!(left.unwrap_err().is_timeout());
    let waiting = tokio::spawn(request.send());
    // Another call shows that the hub is not held up by it.
    assert_eq!(bench.call("GET", "/devices", None).await.0, 200);
    bench.emulator.shutdown().await;
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn a_late_and_a_slow_answer_are_the_true_ones() {
    let bench = hub("[[fault]]\nroute = \"twin-read\"\ndelay = \"300ms\"\n\
         [[fault]]\nroute = \"package\"\ntrickle = \"300ms\"")
    .await;
    let (id, _) = bench.device();
    let before = tokio::time::Instant::now();
    let (status, twin) = bench.call("GET", &format!("/twins/{id}"), None).await;
    assert!(before.elapsed() >= Duration::from_millis(300));
    assert_eq!((status, &twin["deviceId"]), (200, &json!(id)));
    let before = tokio::time::Instant::now();
    let response = bench.send("GET", "/packages/fw-1.4.2.bin", &[], None).await;
    let promised = response.content_length().unwrap();
    let body = response.bytes().await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(300));
    assert_eq!((body.len(), promised), (2 * 1024 * 1024, 2 * 1024 * 1024));
}

#[tokio::test]
async fn a_package_breaks_off_once() {
    let bench = faulty("route = \"package\"\ntimes = 1\ncut = \"body\"").await;
    let response = bench.send("GET", "/packages/fw-1.4.2.bin", &[], None).await;
    assert_eq!(response.content_length(), Some(2 * 1024 * 1024));
    assert!(response.bytes().await.is_err());
    let response = bench.send("GET", "/packages/fw-1.4.2.bin", &[], None).await;
    assert_eq!(response.bytes().await.unwrap().len(), 2 * 1024 * 1024);
}

#[rstest::rstest]
#[case("refuse = 3", Some(ReturnCode::Unavailable))]
#[case("refuse = 5", Some(ReturnCode::NotAuthorized))]
#[case("drop = true", None)]
#[tokio::test]
async fn a_device_is_sent_away_and_may_come_later(
    #[case] effect: &str,
    #[case] want: Option<ReturnCode>,
) {
    let bench = faulty(&format!("route = \"connect\"\ntimes = 1\n{effect}")).await;
    let (_, text) = bench.device();
    match want {
        Some(want) => assert_eq!(bench.knock(&text, |_| {}).await.1, want),
        None => assert!(bench.knocks(&text, |_| {}).await.next().await.is_err()),
    }
    assert_eq!(bench.knock(&text, |_| {}).await.1, ReturnCode::Accepted);
}

const TWIN_ANSWERS: &str = "$iothub/twin/res/#";
const REPORT: &str = "$iothub/twin/PATCH/properties/reported/?$rid=1";

#[rstest::rstest]
#[case("ThrottlingException", "429", true)]
#[case("ServerError", "500", false)]
#[tokio::test]
async fn a_report_is_answered_otherwise_and_kept_or_not(
    #[case] name: &str,
    #[case] status: &str,
    #[case] runs: bool,
) {
    let fault = format!("route = \"report\"\ntimes = 1\nanswer = \"{name}\"\nruns = {runs}");
    let bench = faulty(&fault).await;
    let (id, text) = bench.device();
    let mut link = bench.connect(&text, &[TWIN_ANSWERS]).await;
    let (topic, body) = devices::ask(&mut link, REPORT, "{\"n\":1}").await;
    assert_eq!(topic, format!("$iothub/twin/res/{status}/?$rid=1"));
    assert_eq!(body["errorCode"].to_string()[..3], *status);
    let twin = bench.call("GET", &format!("/twins/{id}"), None).await.1;
    let kept = twin["properties"]["reported"]["n"] == 1;
    assert_eq!(kept, runs);
    let (topic, _) = devices::ask(&mut link, REPORT, "{\"n\":2}").await;
    assert!(topic.starts_with("$iothub/twin/res/204/"), "{topic}");
}

#[tokio::test]
async fn an_answer_is_withheld_a_link_dropped_a_subscription_refused() {
    let bench = hub(
        "[[fault]]\nroute = \"device-twin\"\ntimes = 1\nhang = true\n\
         [[fault]]\nroute = \"event\"\ndrop = true\n\
         [[fault]]\nroute = \"subscribe\"\nafter = 1\nrefuse = 128",
    )
    .await;
    let (id, text) = bench.device();
    let mut link = bench.connect(&text, &[TWIN_ANSWERS]).await;
    let refused = devices::subscribe(&mut link, &["$iothub/methods/POST/#"]).await;
    assert_eq!(refused, [None]);
    // The first request has no answer, the second has its own.
    link.publish("$iothub/twin/GET/?$rid=1", b"", Qos::AtMostOnce)
        .unwrap();
    let (topic, _) = devices::ask(&mut link, "$iothub/twin/GET/?$rid=2", "").await;
    assert_eq!(topic, "$iothub/twin/res/200/?$rid=2");
    let event = format!("devices/{id}/messages/events/");
    link.publish(&event, b"{}", Qos::AtMostOnce).unwrap();
    assert!(link.next().await.is_err());
}

#[tokio::test]
async fn a_clock_that_is_off_shows_in_every_stamp() {
    let bench = hub("[hub]\nclock = \"+10m\"").await;
    let (id, text) = bench.device();
    let mut link = bench.connect(&text, &[TWIN_ANSWERS]).await;
    devices::ask(&mut link, REPORT, "{\"n\":1}").await;
    let response = bench.send("GET", &format!("/twins/{id}"), &[], None).await;
    let date = response.headers()["date"].to_str().unwrap().to_owned();
    let date = jiff::fmt::rfc2822::parse(&date).unwrap().timestamp();
    let twin = answer(response).await.1;
    let stamp = &twin["properties"]["reported"]["$metadata"]["n"]["$lastUpdated"];
    let stamp: Timestamp = stamp.as_str().unwrap().parse().unwrap();
    for time in [date, stamp] {
        let ahead = time.duration_since(Timestamp::now()).as_secs();
        assert!((540..=600).contains(&ahead), "{ahead}");
    }
    // Tokens are judged by it: five minutes of life are not enough here.
    let service = bench.emulator.connection_string("service").unwrap();
    let key = field(&service, "SharedAccessKey");
    let ends = Timestamp::now().as_second() + 300;
    let short = sign("localhost", &key, ends, Some("service")).unwrap();
    let request = bench.client.get(bench.url(&format!("/twins/{id}")));
    let response = request.header("Authorization", short).send().await.unwrap();
    assert_eq!(response.headers()["iothub-errorcode"], "IotHubUnauthorized");
}

#[tokio::test]
async fn tokens_end_before_their_time() {
    let bench = hub("[hub]\ntoken_life = \"1s\"").await;
    let (id, text) = bench.device();
    let path = format!("/twins/{id}");
    let token = bench.token("service");
    let get = async || {
        let request = bench
            .client
            .get(bench.url(&path))
            .header("Authorization", &token);
        request.send().await.unwrap()
    };
    assert_eq!(get().await.status(), 200);
    let mut link = bench.connect(&text, &[]).await;
    // The hub ends the link when the token's time is over.
    let end = tokio::time::timeout(PATIENCE, link.next()).await;
    assert!(end.unwrap().is_err());
    let late = get().await;
    assert_eq!(late.headers()["iothub-errorcode"], "IotHubUnauthorized");
    assert_eq!(late.status(), 401);
}

#[tokio::test]
async fn reads_lag_each_by_its_own() {
    let bench = hub("[hub]\nindex_lag = \"1s\"\ntwin_lag = \"10m\"").await;
    let (id, _) = bench.device();
    let listed = async || {
        let query = Some(json!({"query": "SELECT deviceId FROM devices"}));
        bench.call("POST", "/devices/query", query).await.1
    };
    assert_eq!(listed().await, json!([]));
    // The registry itself is consistent, a lagging twin is not there yet.
    assert_eq!(
        bench.call("GET", &format!("/devices/{id}"), None).await.0,
        200
    );
    assert_eq!(
        bench.call("GET", &format!("/twins/{id}"), None).await.0,
        404
    );
    let lists = async |want: Value| {
        let look = async {
            while listed().await != want {
                tokio::task::yield_now().await;
            }
        };
        let came = tokio::time::timeout(PATIENCE, look).await;
        assert!(came.is_ok(), "never {want}");
    };
    lists(json!([{"deviceId": id}])).await;
    let any = [("If-Match", "*")];
    let deleted = bench
        .send("DELETE", &format!("/devices/{id}"), &any, None)
        .await;
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert_eq!(listed().await, json!([{"deviceId": id}]));
    lists(json!([])).await;
}
