//! How links begin and end, and what devices send beside twins and methods.

use super::devices::*;
use super::*;
use crate::domain::profile::Tier;
use crate::emulator::world::event::EVENT;
use crate::emulator::world::throttle::Operation;
use crate::mqtt::Will;

const EVENTS: &str = "devices/dev-0001/messages/events/";

/// A tier whose day has so many messages left.
fn nearly_spent(left: u64) -> Settings {
    Settings {
        tier: Some((Tier::F1, 1)),
        spent: 8_000 - left,
        ..Settings::default()
    }
}

/// Waits until the hub has taken in so many events.
async fn events(bench: &Bench, id: &DeviceId, accepted: u64) {
    while bench.emulator.event_counts(id).accepted < accepted {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn events_are_acknowledged_counted_and_read() {
    let bench = Bench::start().await;
    let (id, text) = bench.device();
    let mut device = bench.connect(&text, &[]).await;
    let topic = format!("{EVENTS}alert=true&%24.ct=application%2Fjson");
    for _ in 0..3 {
        device.publish(&topic, b"{}", Qos::AtLeastOnce).unwrap();
        let acked = device.next().await.unwrap();
        assert!(matches!(acked, Incoming::PublishAck { .. }), "{acked:?}");
    }
    events(&bench, &id, 3).await;
    let last = bench
        .emulator
        .with_world(|world, _| Ok(world.last_event(&id).cloned()))
        .unwrap()
        .unwrap();
    let properties = [("alert", "true"), ("$.ct", "application/json")];
    let properties = properties.map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!((last.properties, last.bytes), (properties.to_vec(), 2));
    assert_eq!(bench.emulator.usage().messages, 3);
}

#[tokio::test]
async fn a_retained_event_is_passed_on_with_a_property() {
    let bench = Bench::start().await;
    let (id, text) = bench.device();
    let mut stream = bench.tls().await;
    // By hand: the link does not retain.
    let (mut device, _, _) = bench.knock(&text, |_| {}).await;
    device.disconnect().unwrap();
    device.close().await;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let connect = connect_packet(&text);
    stream.write_all(&connect).await.unwrap();
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).await.unwrap();
    assert_eq!(connack[3], 0);
    let topic = EVENTS.as_bytes();
    let mut publish = vec![0x31, u8::try_from(topic.len() + 3).unwrap(), 0];
    publish.push(u8::try_from(topic.len()).unwrap());
    publish.extend(topic);
    publish.push(b'!');
    stream.write_all(&publish).await.unwrap();
    events(&bench, &id, 1).await;
    let last = bench
        .emulator
        .with_world(|world, _| Ok(world.last_event(&id).cloned()));
    let last = last.unwrap().unwrap();
    let retained = ("mqtt-retain".to_owned(), "true".to_owned());
    assert_eq!((last.properties, last.bytes), (vec![retained], 1));
}

/// A CONNECT with a clean session and the device's own token, in bytes.
fn connect_packet(text: &str) -> Vec<u8> {
    let (host, id) = (field(text, "HostName"), field(text, "DeviceId"));
    let key = field(text, "SharedAccessKey");
    let token = sign(&format!("{host}/devices/{id}"), &key, in_an_hour(), None).unwrap();
    let user = format!("{host}/{id}/?api-version=2021-04-12");
    let mut rest = b"\x00\x04MQTT\x04\xc2\x00\x3c".to_vec();
    for field in [&id, &user, &token] {
        rest.extend(u16::try_from(field.len()).unwrap().to_be_bytes());
        rest.extend(field.as_bytes());
    }
    let (low, high) = (rest.len() % 128, rest.len() / 128);
    let length = [low + 128, high].map(|n| u8::try_from(n).unwrap());
    [&[0x10], &length[..], &rest].concat()
}

#[tokio::test]
async fn what_is_too_large_ends_the_link_unacknowledged() {
    let bench = Bench::start().await;
    let (id, text) = bench.device();
    let mut device = bench.connect(&text, &[]).await;
    let fits = vec![b'x'; EVENT];
    device.publish(EVENTS, &fits, Qos::AtLeastOnce).unwrap();
    assert!(matches!(
        device.next().await,
        Ok(Incoming::PublishAck { .. })
    ));
    let large = vec![b'x'; EVENT + 1];
    device.publish(EVENTS, &large, Qos::AtLeastOnce).unwrap();
    let end = device.next().await;
    assert!(end.is_err(), "no PUBACK: {end:?}");
    assert_eq!(bench.emulator.event_counts(&id).accepted, 1);
}

#[tokio::test]
async fn a_methods_answer_that_is_too_large_is_404104() {
    let bench = Bench::start().await;
    let (id, text) = bench.device();
    let mut device = bench.connect(&text, &[METHODS]).await;
    let path = format!("/twins/{id}/methods");
    let call = json!({"methodName": "dump"});
    let answer_with = async |device: &mut Device, bytes: usize| {
        let asked = message(device).await;
        assert_eq!(asked.payload, "null", "what an absent payload arrives as");
        let topic = asked.topic.replace("POST/dump", "res/200");
        let body = format!("\"{}\"", "x".repeat(bytes - 2));
        device
            .publish(&topic, body.as_bytes(), Qos::AtMostOnce)
            .unwrap();
        let _ = device.flush().await;
    };
    let most = 128 * 1024;
    let (answered, ()) = tokio::join!(
        bench.call("POST", &path, Some(call.clone())),
        answer_with(&mut device, most)
    );
    assert_eq!((answered.0, &answered.1["status"]), (200, &json!(200)));
    let (refused, ()) = tokio::join!(
        bench.send("POST", &path, &[], Some(call)),
        answer_with(&mut device, most + 1)
    );
    assert_eq!(refused.status(), 404);
    assert_eq!(
        refused.headers()["iothub-errorcode"],
        "DeviceConnectionClosedRemotely"
    );
    ended(&mut device).await;
    assert_eq!(bench.emulator.method_counts(&id).answered, 1);
}

#[tokio::test]
async fn many_calls_at_once_get_their_own_answers() {
    let bench = Bench::start().await;
    let (id, text) = bench.device();
    let mut device = bench.connect(&text, &[METHODS]).await;
    let path = format!("/twins/{id}/methods");
    let calls = (0..20).map(|n| {
        let call = json!({"methodName": "echo", "payload": n});
        let asked = bench.call("POST", &path, Some(call));
        async move { (n, asked.await) }
    });
    let calls = futures_util::future::join_all(calls);
    let device_side = async {
        let mut asked = Vec::new();
        while asked.len() < 20 {
            asked.push(message(&mut device).await);
        }
        // The last one first.
        for asked in asked.iter().rev() {
            let topic = asked.topic.replace("POST/echo", "res/200");
            device
                .publish(&topic, &asked.payload, Qos::AtMostOnce)
                .unwrap();
        }
        device.flush().await.unwrap();
    };
    let (answers, ()) = tokio::join!(calls, device_side);
    for (n, answer) in answers {
        assert_eq!(answer, (200, json!({"status": 200, "payload": n})));
    }
}

fn with_will(topic: &str) -> impl FnOnce(&mut Connect) {
    let will = Will {
        topic: topic.to_owned(),
        payload: "gone".into(),
        qos: Qos::AtLeastOnce,
        retain: false,
    };
    move |connect| connect.will = Some(will)
}

#[tokio::test]
async fn a_will_is_published_when_the_link_breaks_and_only_then() {
    let bench = Bench::start().await;
    let (id, text) = bench.device();
    let will = format!("{EVENTS}why=lost");
    // Said goodbye: no will.
    let (mut device, _, _) = bench.knock(&text, with_will(&will)).await;
    device.disconnect().unwrap();
    device.close().await;
    while bench.emulator.connected_count() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.emulator.event_counts(&id).accepted, 0);
    // Taken over: the old link's will, though the device is there.
    let (mut old, _, _) = bench.knock(&text, with_will(&will)).await;
    let (new, _, _) = bench.knock(&text, with_will(&will)).await;
    ended(&mut old).await;
    events(&bench, &id, 1).await;
    // Gone without a word.
    drop(new);
    events(&bench, &id, 2).await;
    let counts = bench.emulator.event_counts(&id);
    assert_eq!((counts.accepted, counts.wills), (2, 2));
    let last = bench
        .emulator
        .with_world(|world, _| Ok(world.last_event(&id).cloned()));
    let last = last.unwrap().unwrap();
    let properties = [("why", "lost"), ("iothub-MessageType", "Will")];
    let properties = properties.map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!((last.properties, last.bytes), (properties.to_vec(), 4));
    // A will for another topic lets nobody in.
    let foreign = with_will("devices/other/messages/events/");
    let (_, code, _) = bench.knock(&text, foreign).await;
    assert_eq!(code, ReturnCode::NotAuthorized);
}

#[tokio::test]
async fn a_disabled_or_deleted_device_is_cut_off() {
    let bench = Bench::start().await;
    let (id, text) = bench.device();
    let path = format!("/devices/{id}");
    let any = [("If-Match", "*")];
    let mut device = bench.connect(&text, &[METHODS]).await;
    let (_, mut identity) = bench.call("GET", &path, None).await;
    identity["status"] = "disabled".into();
    bench.send("PUT", &path, &any, Some(identity.clone())).await;
    ended(&mut device).await;
    let call = json!({"methodName": "ping", "connectTimeoutInSeconds": 20});
    let methods = format!("/twins/{id}/methods");
    let refused = bench.send("POST", &methods, &[], Some(call)).await;
    assert_eq!(refused.headers()["iothub-errorcode"], "DeviceNotFound");
    assert_eq!(refused.status(), 404);

    identity["status"] = "enabled".into();
    bench.send("PUT", &path, &any, Some(identity)).await;
    let mut device = bench.connect(&text, &[]).await;
    bench.send("DELETE", &path, &any, None).await;
    ended(&mut device).await;
    let (_, code, _) = bench.knock(&text, |_| {}).await;
    assert_eq!(code, ReturnCode::NotAuthorized);
}

#[tokio::test]
async fn a_spent_day_stops_service_and_devices() {
    let bench = Bench::with(nearly_spent(2)).await;
    let (id, text) = bench.device();
    let mut device = bench.connect(&text, &[TWIN_ANSWERS]).await;
    let twin = format!("/twins/{id}");
    // A fresh twin is more than 512 bytes: two messages, and the day is over.
    assert_eq!(bench.call("GET", &twin, None).await.0, 200);
    let query = json!({"query": "SELECT * FROM devices"});
    let method = json!({"methodName": "ping"});
    for (verb, path, body) in [
        ("GET", twin.clone(), None),
        ("PATCH", twin.clone(), Some(json!({"tags": {"a": 1}}))),
        ("PUT", twin.clone(), Some(json!({}))),
        ("POST", format!("{twin}/methods"), Some(method)),
        ("POST", "/devices/query".to_owned(), Some(query)),
    ] {
        let refused = bench.send(verb, &path, &[], body).await;
        assert_eq!(refused.status(), 403, "{verb} {path}");
        assert_eq!(refused.headers()["iothub-errorcode"], "IotHubQuotaExceeded");
        let (_, body) = answer(refused).await;
        let message = body["Message"].as_str().unwrap();
        assert!(
            message.starts_with("ErrorCode:IotHubQuotaExceeded;"),
            "{message}"
        );
        assert!(message.contains("8000 of 8000"), "{message}");
    }
    // The registry is free.
    assert_eq!(bench.call("GET", "/devices", None).await.0, 200);
    assert_eq!(
        bench.call("PUT", "/devices/new", Some(json!({}))).await.0,
        200
    );
    let (_, usage) = bench.call("GET", "/otadeck/usage", None).await;
    assert_eq!(
        (&usage["messages"], &usage["quota"]),
        (&json!(8000), &json!(8000))
    );
    assert_eq!(usage["meterBytes"], 512);

    let topic = "$iothub/twin/PATCH/properties/reported/?$rid=1";
    let (topic, body) = ask(&mut device, topic, r#"{"a":1}"#).await;
    assert_eq!(topic, "$iothub/twin/res/403/?$rid=1");
    assert_eq!(body["errorCode"], 403_002);
    let (topic, _) = ask(&mut device, "$iothub/twin/GET/?$rid=2", "").await;
    assert_eq!(topic, "$iothub/twin/res/403/?$rid=2");
    device.publish(EVENTS, b"{}", Qos::AtLeastOnce).unwrap();
    let end = device.next().await;
    assert!(end.is_err(), "no PUBACK: {end:?}");
    assert_eq!(bench.emulator.event_counts(&id).accepted, 0);
}

#[tokio::test]
async fn what_counts_as_how_many_messages() {
    let bench = Bench::with(nearly_spent(8_000)).await;
    let (id, text) = bench.device();
    let mut device = bench.connect(&text, &[TWIN_ANSWERS, METHODS]).await;
    let twin = format!("/twins/{id}");
    let mut before = 0;
    let mut spent = || {
        let now = bench.emulator.usage().messages;
        std::mem::replace(&mut before, now).abs_diff(now)
    };
    let tags = json!({"tags": {"a": "x".repeat(600)}});
    bench.call("PATCH", &twin, Some(tags)).await;
    assert_eq!(spent(), 2, "a twin's write by what was sent");
    bench.call("PATCH", &twin, Some(json!({"tags": []}))).await;
    assert_eq!(spent(), 0, "what is refused is free");
    let (_, whole) = bench.call("GET", &twin, None).await;
    let size = u64::try_from(whole.to_string().len()).unwrap();
    assert_eq!(spent(), size.div_ceil(512), "a read by what was answered");
    let query = json!({"query": "SELECT deviceId FROM devices"});
    bench.call("POST", "/devices/query", Some(query)).await;
    assert_eq!(spent(), 1);
    let report = "$iothub/twin/PATCH/properties/reported/?$rid=1";
    ask(
        &mut device,
        report,
        &json!({"a": "x".repeat(600)}).to_string(),
    )
    .await;
    assert_eq!(spent(), 2);
    ask(&mut device, "$iothub/twin/GET/?$rid=1", "").await;
    assert_eq!(spent(), 2);
    let path = format!("{twin}/methods");
    let call = json!({"methodName": "m", "payload": "x".repeat(600)});
    let device_side = async {
        let asked = message(&mut device).await;
        let topic = asked.topic.replace("POST/m", "res/200");
        device.publish(&topic, b"", Qos::AtMostOnce).unwrap();
        device.flush().await.unwrap();
    };
    let (_, ()) = tokio::join!(bench.call("POST", &path, Some(call)), device_side);
    assert_eq!(spent(), 3, "two for the request, one for the answer");
}

#[tokio::test]
async fn another_protocol_level_gets_code_one() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let bench = Bench::start().await;
    for level in [3, 5] {
        let mut stream = bench.tls().await;
        let mut connect = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x00\x00\x03dev".to_vec();
        connect[8] = level;
        stream.write_all(&connect).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"\x20\x02\x00\x01");
    }
}

#[tokio::test]
async fn qos_two_and_a_second_connect_end_the_link() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let bench = Bench::start().await;
    let (id, text) = bench.device();
    let qos_two = b"\x34\x05\x00\x01t\x00\x07".to_vec();
    for packet in [qos_two, connect_packet(&text)] {
        let mut stream = bench.tls().await;
        stream.write_all(&connect_packet(&text)).await.unwrap();
        stream.write_all(&packet).await.unwrap();
        let mut answer = Vec::new();
        // Closed in order or not: nothing but the CONNACK comes.
        let _ = stream.read_to_end(&mut answer).await;
        assert_eq!(answer, b"\x20\x02\x00\x00");
    }
    while bench.emulator.connected_count() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.emulator.event_counts(&id).accepted, 0);
}

#[tokio::test]
async fn the_request_id_comes_back_as_it_was() {
    let bench = Bench::start().await;
    let (_, text) = bench.device();
    let mut device = bench.connect(&text, &[TWIN_ANSWERS]).await;
    for rid in ["1", "6F3a-b.c_~", "a b", "%2F%24", "ä", ""] {
        let (topic, _) = ask(&mut device, &format!("$iothub/twin/GET/?$rid={rid}"), " ").await;
        assert_eq!(topic, format!("$iothub/twin/res/200/?$rid={rid}"));
        let report = format!("$iothub/twin/PATCH/properties/reported/?$rid={rid}&x=1");
        let (topic, _) = ask(&mut device, &report, "{}").await;
        let start = format!("$iothub/twin/res/204/?$rid={rid}&$version=");
        assert!(topic.starts_with(&start), "{topic}");
    }
}

/// Nothing of this rate is left for an hour.
fn use_up(bench: &Bench, operation: Operation) {
    let admit = |world: &mut World, now: Timestamp| {
        let later = now + jiff::SignedDuration::from_hours(1);
        while world.admit(operation, later).is_ok() {}
        Ok(())
    };
    bench.emulator.with_world(admit).unwrap();
}

#[tokio::test]
async fn too_much_of_a_device_is_answered_429_or_ends_its_link() {
    let bench = Bench::with(Settings {
        tier: Some((Tier::S1, 1)),
        ..Settings::default()
    })
    .await;
    let (id, text) = bench.device();
    let mut device = bench.connect(&text, &[TWIN_ANSWERS]).await;
    for operation in [Operation::TwinRead, Operation::TwinUpdate, Operation::Event] {
        use_up(&bench, operation);
    }
    let report = "$iothub/twin/PATCH/properties/reported/?$rid=1";
    for topic in [report, "$iothub/twin/GET/?$rid=1"] {
        let (topic, body) = ask(&mut device, topic, r#"{"a":1}"#).await;
        assert_eq!(topic, "$iothub/twin/res/429/?$rid=1");
        assert_eq!(body["errorCode"], 429_003);
    }
    device.publish(EVENTS, b"{}", Qos::AtLeastOnce).unwrap();
    let end = device.next().await;
    assert!(end.is_err(), "no PUBACK: {end:?}");
    assert_eq!(bench.emulator.event_counts(&id).accepted, 0);
}

#[tokio::test]
async fn too_many_connections_are_told_to_come_later() {
    let bench = Bench::with(Settings {
        tier: Some((Tier::S1, 1)),
        ..Settings::default()
    })
    .await;
    let (_, text) = bench.device();
    use_up(&bench, Operation::Connect);
    let (_, code, _) = bench.knock(&text, |_| {}).await;
    assert_eq!(code, ReturnCode::Unavailable);
}
