//! Devices over MQTT and TLS 1.2, beside a service program over HTTPS.

use super::*;

pub(super) type Device = ClientLink<TlsStream<TcpStream>>;

pub(super) const METHODS: &str = "$iothub/methods/POST/#";
pub(super) const TWIN_ANSWERS: &str = "$iothub/twin/res/#";
pub(super) const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";

impl Bench {
    /// Says CONNECT with the key of a connection string.
    pub(super) async fn knock(
        &self,
        text: &str,
        change: impl FnOnce(&mut Connect),
    ) -> (Device, ReturnCode, bool) {
        let mut link = self.knocks(text, change).await;
        match link.next().await.unwrap() {
            Incoming::ConnectAck {
                code,
                session_present,
            } => (link, code, session_present),
            other => panic!("a CONNACK was expected: {other:?}"),
        }
    }

    /// The same, before the hub has answered.
    pub(super) async fn knocks(&self, text: &str, change: impl FnOnce(&mut Connect)) -> Device {
        let (host, id) = (field(text, "HostName"), field(text, "DeviceId"));
        let key = field(text, "SharedAccessKey");
        let token = sign(&format!("{host}/devices/{id}"), &key, in_an_hour(), None).unwrap();
        let mut connect = Connect::new(&id);
        connect.user_name = Some(format!(
            "{host}/{id}/?api-version=2021-04-12&DeviceClientType=t"
        ));
        connect.password = Some(token.into_bytes());
        connect.keep_alive = 60;
        change(&mut connect);
        let mut link = ClientLink::client(self.tls().await, Limits::default());
        link.connect(&connect).unwrap();
        link
    }

    pub(super) async fn connect(&self, text: &str, filters: &[&str]) -> Device {
        let (mut link, code, _) = self.knock(text, |_| {}).await;
        assert_eq!(code, ReturnCode::Accepted);
        if !filters.is_empty() {
            assert!(
                subscribe(&mut link, filters)
                    .await
                    .iter()
                    .all(Option::is_some)
            );
        }
        link
    }
}

pub(super) async fn subscribe(link: &mut Device, filters: &[&str]) -> Vec<Option<Qos>> {
    let wanted: Vec<(&str, Qos)> = filters.iter().map(|f| (*f, Qos::AtLeastOnce)).collect();
    link.subscribe(&wanted).unwrap();
    match link.next().await.unwrap() {
        Incoming::SubscribeAck { granted, .. } => granted,
        other => panic!("a SUBACK was expected: {other:?}"),
    }
}

pub(super) async fn message(link: &mut Device) -> Publish {
    loop {
        match link.next().await.unwrap() {
            Incoming::Publish(publish) => return publish,
            Incoming::PublishAck { .. } => {}
            other => panic!("a message was expected: {other:?}"),
        }
    }
}

pub(super) async fn ask(link: &mut Device, topic: &str, body: &str) -> (String, Value) {
    link.publish(topic, body.as_bytes(), Qos::AtLeastOnce)
        .unwrap();
    let answer = message(link).await;
    let body = serde_json::from_slice(&answer.payload).unwrap_or(Value::Null);
    (answer.topic, body)
}

pub(super) async fn ended(link: &mut Device) -> LinkError {
    loop {
        if let Err(error) = link.next().await {
            return error;
        }
    }
}

#[tokio::test]
async fn the_tutorial_from_end_to_end() {
    let bench = Bench::start().await;
    let (id, text) = bench.device();
    let mut device = bench
        .connect(&text, &[METHODS, TWIN_ANSWERS, DESIRED])
        .await;
    let reported = r#"{"firmwareStatus":"standBy"}"#;
    let report = "$iothub/twin/PATCH/properties/reported/?$rid=";
    let (topic, body) = ask(&mut device, &format!("{report}a-1"), reported).await;
    assert_eq!(
        (topic.as_str(), body),
        ("$iothub/twin/res/204/?$rid=a-1&$version=2", Value::Null)
    );

    let payload = json!({"fwPackageUri": bench.emulator.package_url("fw-1.5.0.bin")});
    let call =
        json!({"methodName": "firmwareUpdate", "responseTimeoutInSeconds": 60, "payload": payload});
    let path = format!("/twins/{id}/methods");
    let service = bench.call("POST", &path, Some(call));
    let device_side = async {
        let asked = message(&mut device).await;
        let rid = asked
            .topic
            .strip_prefix("$iothub/methods/POST/firmwareUpdate/?$rid=")
            .unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&asked.payload).unwrap(),
            payload
        );
        let body = br#"{"Response":"Firmware update started"}"#;
        let topic = format!("$iothub/methods/res/200/?$rid={rid}");
        device.publish(&topic, body, Qos::AtLeastOnce).unwrap();
        for status in ["downloading", "applying", "completed"] {
            let reported = json!({"firmwareStatus": status}).to_string();
            ask(&mut device, &format!("{report}{status}"), &reported).await;
        }
        device
    };
    let (answered, mut device) = tokio::join!(service, device_side);
    let started = json!({"status": 200, "payload": {"Response": "Firmware update started"}});
    assert_eq!(answered, (200, started));

    let (_, twin) = bench.call("GET", &format!("/twins/{id}"), None).await;
    assert_eq!(twin["connectionState"], "Connected");
    let reported = &twin["properties"]["reported"];
    assert_eq!(
        (&reported["firmwareStatus"], &reported["$version"]),
        (&json!("completed"), &json!(5))
    );
    let counts = bench.emulator.method_counts(&id);
    assert_eq!((counts.asked, counts.delivered, counts.answered), (1, 1, 1));

    let (topic, body) = ask(&mut device, "$iothub/twin/GET/?$rid=7", " ").await;
    assert_eq!(topic, "$iothub/twin/res/200/?$rid=7");
    assert_eq!(body["desired"], json!({"$version": 1}));
    let desired = json!({"properties": {"desired": {"fw": "2", "old": null}}});
    bench
        .call("PATCH", &format!("/twins/{id}"), Some(desired))
        .await;
    let told = message(&mut device).await;
    assert_eq!(
        told.topic,
        "$iothub/twin/PATCH/properties/desired/?$version=2"
    );
    assert_eq!(told.payload, r#"{"fw":"2","old":null,"$version":2}"#);
    bench.emulator.shutdown().await;
    assert!(matches!(
        ended(&mut device).await,
        LinkError::Closed | LinkError::Io(_)
    ));
}

#[tokio::test]
async fn who_may_not_connect_gets_code_five() {
    let bench = Bench::start().await;
    let (id, text) = bench.device();
    let refused = async |text: &str, change: &dyn Fn(&mut Connect)| {
        let (mut link, code, _) = bench.knock(text, change).await;
        assert_eq!(code, ReturnCode::NotAuthorized);
        ended(&mut link).await;
    };
    let other_key = text.replace(&field(&text, "SharedAccessKey"), "AAAAAAAAAAAAAAAAAAAAAA==");
    refused(&other_key, &|_| {}).await;
    refused(&text.replace("dev-0001", "dev-0002"), &|_| {}).await;
    refused(&text, &|connect| {
        connect.user_name = Some("localhost/other/?api-version=1".to_owned());
    })
    .await;
    refused(&text, &|connect| connect.password = None).await;
    let host = field(&text, "HostName");
    let late = sign(
        &format!("{host}/devices/{id}"),
        &field(&text, "SharedAccessKey"),
        1_700_000_000,
        None,
    );
    refused(&text, &|connect| {
        connect.password = late.clone().map(String::into_bytes);
    })
    .await;
    let disable = json!({"status": "disabled"});
    let path = format!("/devices/{id}");
    bench
        .send("PUT", &path, &[("If-Match", "*")], Some(disable))
        .await;
    refused(&text, &|_| {}).await;
}

#[tokio::test]
async fn a_session_is_kept_and_a_newer_link_takes_over() {
    let bench = Bench::start().await;
    let (id, text) = bench.device();
    let mut old = bench.connect(&text, &[METHODS, TWIN_ANSWERS]).await;
    let (mut new, _, session_present) = bench.knock(&text, |_| {}).await;
    assert!(session_present);
    ended(&mut old).await;
    // Not subscribed again, and yet it is asked.
    let call = json!({"methodName": "ping", "payload": 7});
    let path = format!("/twins/{id}/methods");
    let device = async {
        let asked = message(&mut new).await;
        assert_eq!(asked.payload, "7");
        let topic = asked.topic.replace("POST/ping", "res/222");
        new.publish(&topic, b"", Qos::AtMostOnce).unwrap();
        new.flush().await.unwrap();
    };
    let (answered, ()) = tokio::join!(bench.call("POST", &path, Some(call)), device);
    assert_eq!(answered, (200, json!({"status": 222, "payload": null})));
    let (_, _, session_present) = bench
        .knock(&text, |connect| connect.clean_session = true)
        .await;
    assert!(!session_present);
}

#[tokio::test]
async fn a_call_survives_neither_the_link_nor_a_foreign_topic() {
    let bench = Bench::start().await;
    let (id, text) = bench.device();
    let path = format!("/twins/{id}/methods");
    let call = json!({"methodName": "ping"});
    let mut device = bench.connect(&text, &[METHODS]).await;
    let device_side = async {
        message(&mut device).await;
        device
            .publish("not/a/hubs/topic", b"", Qos::AtMostOnce)
            .unwrap();
        ended(&mut device).await
    };
    let (response, _) = tokio::join!(
        bench.send("POST", &path, &[], Some(call.clone())),
        device_side
    );
    assert_eq!(
        response.headers()["iothub-errorcode"],
        "DeviceConnectionClosedRemotely"
    );
    assert_eq!(response.status(), StatusCode::NOT_FOUND);

    // It waits for a device that comes within the connect timeout.
    let waiting = json!({"methodName": "ping", "connectTimeoutInSeconds": 30});
    let device_side = async {
        let mut device = bench.connect(&text, &[]).await;
        let asked = message(&mut device).await;
        let topic = asked.topic.replace("POST/ping", "res/200");
        device.publish(&topic, b"[1]", Qos::AtMostOnce).unwrap();
        device.flush().await.unwrap();
        device
    };
    let (answered, _device) = tokio::join!(bench.call("POST", &path, Some(waiting)), device_side);
    assert_eq!(answered, (200, json!({"status": 200, "payload": [1]})));
}

/// PUBACK means taken.
#[rstest::rstest]
#[case("not/a/hubs/topic")]
#[case("devices/other/messages/events/")]
#[case("$iothub/twin/GET/")]
#[tokio::test]
async fn what_is_refused_is_not_acknowledged(#[case] topic: &str) {
    let bench = Bench::start().await;
    let (_, text) = bench.device();
    let mut device = bench.connect(&text, &[]).await;
    device.publish(topic, b"", Qos::AtLeastOnce).unwrap();
    let end = device.next().await;
    assert!(end.is_err(), "{end:?}");
}

#[tokio::test]
async fn nobody_answers_in_time() {
    let bench = Bench::start().await;
    let (id, text) = bench.device();
    let mut device = bench.connect(&text, &[METHODS]).await;
    let call = json!({"methodName": "ping", "responseTimeoutInSeconds": 5});
    let path = format!("/twins/{id}/methods");
    let service = bench.send("POST", &path, &[], Some(call));
    let (response, _) = tokio::join!(service, message(&mut device));
    assert_eq!(response.headers()["iothub-errorcode"], "GatewayTimeout");
    let (status, body) = answer(response).await;
    let inner: Value = serde_json::from_str(body["Message"].as_str().unwrap()).unwrap();
    assert_eq!((status, &inner["errorCode"]), (504, &json!(504_101)));
}

#[tokio::test]
async fn foreign_filters_are_refused_and_bad_reports_are_explained() {
    let bench = Bench::start().await;
    let (_, text) = bench.device();
    let mut device = bench.connect(&text, &[TWIN_ANSWERS]).await;
    let granted = subscribe(
        &mut device,
        &["#", METHODS, "devices/other/messages/devicebound/#"],
    )
    .await;
    assert_eq!(granted, [None, Some(Qos::AtLeastOnce), None]);
    let topic = "$iothub/twin/PATCH/properties/reported/?$rid=9";
    for bad in ["nonsense", "[]", r#"{"a.b":1}"#] {
        let (topic, body) = ask(&mut device, topic, bad).await;
        assert_eq!(topic, "$iothub/twin/res/400/?$rid=9");
        assert!(
            body["errorCode"].is_number() && body["message"].is_string(),
            "{body}"
        );
    }
    let event = "devices/dev-0001/messages/events/%24.ct=application%2Fjson";
    device.publish(event, b"{}", Qos::AtLeastOnce).unwrap();
    assert!(matches!(
        device.next().await,
        Ok(Incoming::PublishAck { .. })
    ));
}

#[tokio::test]
async fn a_token_that_ends_ends_the_link() {
    let bench = Bench::start().await;
    let (id, text) = bench.device();
    let resource = format!("{}/devices/{id}", field(&text, "HostName"));
    let soon = Timestamp::now().as_second() + 2;
    let token = sign(&resource, &field(&text, "SharedAccessKey"), soon, None).unwrap();
    let change = |connect: &mut Connect| connect.password = Some(token.into_bytes());
    let (mut device, code, _) = bench.knock(&text, change).await;
    assert_eq!(code, ReturnCode::Accepted);
    ended(&mut device).await;
    assert!(Timestamp::now().as_second() >= soon);
}
