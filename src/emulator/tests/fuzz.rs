//! The whole hub among programs that say anything at all: every refusal is an
//! envelope whose number, name and header agree, or a closed connection, and
//! afterwards the hub serves as before.

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// The hub's threads. A panic there ends a task and nothing else, so that no
/// check would notice it.
const HUB: &str = "stormed-hub";
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn notice_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() == Some(HUB) {
                PANICS.fetch_add(1, Ordering::Relaxed);
            }
            usual(info);
        }));
    });
}

/// Runs `check` over `cases` values, all against one emulator.
fn storm<S: Strategy>(
    cases: u32,
    strategy: &S,
    check: impl AsyncFn(&Bench, S::Value) -> Result<(), TestCaseError>,
) {
    notice_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name(HUB)
        .enable_all()
        .build()
        .unwrap();
    let bench = runtime.block_on(Bench::start());
    let (_, device) = bench.device();
    let mut runner = TestRunner::new(Config::with_cases(cases));
    let stormed = runner.run(strategy, |value| runtime.block_on(check(&bench, value)));
    stormed.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "the hub panicked");
    runtime.block_on(async {
        let (status, twin) = bench.call("GET", "/twins/dev-0001", None).await;
        assert_eq!((status, &twin["deviceId"]), (200, &json!("dev-0001")));
        let (_, code, _) = bench.knock(&device, |_| {}).await;
        assert_eq!(code, ReturnCode::Accepted);
    });
}

/// A refusal as the reference clients read it.
fn is_envelope(status: u16, header: Option<&str>, body: &Value) -> Result<(), TestCaseError> {
    let name = header.unwrap_or_default();
    let message = body["Message"].as_str().unwrap_or_default();
    prop_assert!(body["ExceptionMessage"].is_string(), "{status}: {body}");
    if let Ok(nested) = serde_json::from_str::<Value>(message) {
        let number = nested["errorCode"].as_u64().unwrap_or(0);
        prop_assert_eq!(number / 1_000, u64::from(status), "{}", body);
    } else {
        let begin = format!("ErrorCode:{name};");
        prop_assert!(message.starts_with(&begin), "{status} {name}: {body}");
    }
    prop_assert!(!name.is_empty(), "{status}: no iothub-errorcode");
    Ok(())
}

/// A piece of a path: what the hub knows, and what it does not.
fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(vec![
            "devices", "twins", "dev-0001", "nobody", "methods", "query", "statistics", "service",
            "modules", "jobs", "v2", "configurations", "messages", "events", "",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,12}".prop_map(|text| percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string()),
        1 => select(vec!["%", "%zz", "%00", "%2F", "..", ".", "a%20b"]).prop_map(str::to_owned),
    ]
}

/// JSON that looks like what the hub takes, or like nothing.
fn json_body() -> impl Strategy<Value = Value> {
    let key = select(vec![
        "deviceId",
        "tags",
        "properties",
        "desired",
        "reported",
        "$version",
        "$metadata",
        "etag",
        "status",
        "authentication",
        "symmetricKey",
        "primaryKey",
        "query",
        "methodName",
        "payload",
        "responseTimeoutInSeconds",
        "connectTimeoutInSeconds",
        "a.b",
        "$x",
        "é",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(vec![
            "dev-0001",
            "enabled",
            "disabled",
            "*",
            "SELECT * FROM devices",
            "5",
            "firmwareUpdate"
        ])
        .prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|pairs| pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

#[test]
fn any_request_gets_an_answer_or_an_envelope() {
    let body = prop_oneof![
        3 => json_body().prop_map(|body| body.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..64),
    ];
    let header = (
        select(vec![
            "If-Match",
            "x-ms-max-item-count",
            "x-ms-continuation",
            "Content-Type",
        ]),
        select(vec![
            "*",
            "\"*\"",
            "\"\"",
            "\"MQ==\"",
            "0",
            "-1",
            "99999999999999999999",
            "é",
            "",
        ]),
    );
    let request = (
        select(vec![
            "GET", "PUT", "PATCH", "POST", "DELETE", "HEAD", "OPTIONS",
        ]),
        prop::collection::vec(segment(), 1..5),
        prop::collection::vec(header, 0..3),
        body,
    );
    storm(
        600,
        &request,
        async |bench, (method, path, headers, body)| {
            let path = format!("/{}", path.join("/"));
            // The device that must be there afterwards stays enabled.
            prop_assume!(!(matches!(method, "DELETE" | "PUT") && path.contains("dev-0001")));
            // A method would wait for a device that is not there.
            prop_assume!(!path.contains("methods"));
            let url = bench.url(&path);
            let mut request = bench
                .client
                .request(method.parse().unwrap(), url)
                .header("Authorization", bench.token("iothubowner"))
                .body(body);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let Ok(response) = request.send().await else {
                return Err(TestCaseError::fail("no answer"));
            };
            let status = response.status().as_u16();
            let header = response.headers().get("iothub-errorcode");
            let header = header.map(|name| name.to_str().unwrap().to_owned());
            let text = response.text().await.unwrap();
            if status >= 300 && method != "HEAD" {
                let body = serde_json::from_str(&text)
                    .map_err(|_| TestCaseError::fail(format!("{status}: {text}")))?;
                is_envelope(status, header.as_deref(), &body)?;
                prop_assert!((400..500).contains(&status), "{status}: {text}");
            }
            Ok(())
        },
    );
}

#[test]
fn any_query_gets_rows_or_a_400() {
    let words = prop::collection::vec(
        select(vec![
            "SELECT",
            "*",
            "FROM",
            "devices",
            "WHERE",
            "deviceId",
            "=",
            "'dev-0001'",
            "AND",
            "(",
            ")",
            "tags.a",
            "IN",
            "[",
            "]",
            "1",
            ",",
            "NOT",
            "TOP",
            "2",
            "AS",
            "x",
            "-",
            "GROUP BY",
            "COUNT()",
            "devices.jobs",
            "\u{0}",
            "é",
            "'",
        ]),
        0..16,
    );
    let text = prop_oneof![
        words.prop_map(|words| words.join(" ")),
        any::<String>(),
        any::<String>().prop_map(|text| format!("SELECT * FROM devices WHERE {text}")),
    ];
    storm(600, &text, async |bench, text| {
        let body = Some(json!({"query": text}));
        let response = bench.send("POST", "/devices/query", &[], body).await;
        let status = response.status().as_u16();
        let header = response.headers().get("iothub-errorcode");
        let header = header.map(|name| name.to_str().unwrap().to_owned());
        let body = response.json().await.unwrap();
        if status == 200 {
            prop_assert!(Value::is_array(&body));
            return Ok(());
        }
        prop_assert_eq!((status, header.as_deref()), (400, Some("ArgumentInvalid")));
        is_envelope(status, header.as_deref(), &body)
    });
}

/// What a device may say once it is let in.
#[derive(Clone, Debug)]
enum Saying {
    Publish(String, Vec<u8>, bool),
    Subscribe(String),
    Unsubscribe(String),
}

fn topic() -> impl Strategy<Value = String> {
    let part = select(vec![
        "$iothub",
        "twin",
        "GET",
        "PATCH",
        "properties",
        "reported",
        "desired",
        "methods",
        "POST",
        "res",
        "200",
        "-1",
        "99999999999999999999",
        "?$rid=1",
        "?$rid=",
        "?$version=1&$rid=é",
        "#",
        "+",
        "devices",
        "dev-0001",
        "messages",
        "events",
        "devicebound",
        "a=b&%24.ct=x",
        "%zz",
        "",
    ]);
    let piece = select(vec![
        "200",
        "-1",
        "x",
        "",
        "99999999999999999999",
        "1",
        "é",
        "a&b=c",
        "$rid=2",
        "#",
        "%zz",
    ]);
    let known = select(vec![
        "$iothub/twin/GET/?$rid={}",
        "$iothub/twin/GET/?{}",
        "$iothub/twin/PATCH/properties/reported/?$rid={}",
        "$iothub/methods/res/{}/?$rid=1",
        "$iothub/methods/res/200/?$rid={}",
        "devices/dev-0001/messages/events/{}",
        "devices/{}/messages/events/",
        "$iothub/twin/res/{}",
        "$iothub/methods/POST/{}",
    ]);
    prop_oneof![
        3 => (known, piece).prop_map(|(topic, piece)| topic.replace("{}", piece)),
        1 => prop::collection::vec(part, 1..7).prop_map(|parts| parts.join("/")),
    ]
}

#[test]
fn a_device_that_says_anything_is_answered_or_left() {
    let body = prop_oneof![
        3 => json_body().prop_map(|body| body.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..64),
    ];
    let saying = prop_oneof![
        4 => (topic(), body, any::<bool>()).prop_map(|(t, b, q)| Saying::Publish(t, b, q)),
        1 => topic().prop_map(Saying::Subscribe),
        1 => topic().prop_map(Saying::Unsubscribe),
    ];
    let sayings = prop::collection::vec(saying, 1..12);
    storm(150, &sayings, async |bench, sayings| {
        let (_, device) = bench.device();
        let (mut link, code, _) = bench.knock(&device, |_| {}).await;
        prop_assert_eq!(code, ReturnCode::Accepted);
        for saying in sayings {
            // What no client can even send is not said.
            let _ = match &saying {
                Saying::Publish(topic, body, false) => {
                    link.publish(topic, body, Qos::AtMostOnce).map(drop)
                }
                Saying::Publish(topic, body, true) => {
                    link.publish(topic, body, Qos::AtLeastOnce).map(drop)
                }
                Saying::Subscribe(filter) => {
                    link.subscribe(&[(filter, Qos::AtLeastOnce)]).map(drop)
                }
                Saying::Unsubscribe(filter) => link.unsubscribe(&[filter]).map(drop),
            };
        }
        // Whatever it was: the hub answers the next question, or has closed.
        let asked = link.subscribe(&[("$iothub/twin/res/#", Qos::AtMostOnce)]);
        let Ok(id) = asked else { return Ok(()) };
        let limit = std::time::Duration::from_secs(20);
        let over = tokio::time::timeout(limit, async {
            loop {
                match link.next().await {
                    Ok(Incoming::SubscribeAck { id: of, .. }) if of == id => return,
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        });
        prop_assert!(over.await.is_ok(), "neither an answer nor an end");
        Ok(())
    });
}
