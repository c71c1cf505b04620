mod kept;
mod rules;

use super::etag::IfMatch;
use super::method::MethodRequest;
use super::session::{Hello, Topic};
use super::*;
use crate::emulator::refusal::Code;
use jiff::SignedDuration;
use serde_json::{Map, json};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn world() -> World {
    World::new(seeded_entropy(1))
}

fn with_device() -> World {
    let mut world = world();
    create(&mut world, "dev01");
    world
}

fn create(world: &mut World, name: &str) -> Value {
    let body = json!({"deviceId": name});
    let body = body.as_object().unwrap();
    world
        .put_identity(&id(name), &IfMatch::Absent, body, at(0))
        .unwrap()
        .body
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Code {
    result.unwrap_err().code
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn a_created_identity_looks_as_recorded() {
    let mut world = world();
    let created = create(&mut world, "dev01");
    assert_eq!(
        keys(&created).join(","),
        "deviceId,generationId,etag,connectionState,status,statusReason,\
         connectionStateUpdatedTime,statusUpdatedTime,lastActivityTime,\
         cloudToDeviceMessageCount,authentication,capabilities"
    );
    assert_eq!(created["statusUpdatedTime"], "0001-01-01T00:00:00");
    let read = world.identity(&id("dev01")).unwrap();
    assert_eq!(read.body["statusUpdatedTime"], "0001-01-01T00:00:00Z");
    assert_eq!(read.body["etag"], read.etag.as_str());
    let keys = &read.body["authentication"]["symmetricKey"];
    assert_eq!(keys["primaryKey"].as_str().unwrap().len(), 44);
    assert_ne!(keys["primaryKey"], keys["secondaryKey"]);
}

#[test]
fn puts_create_or_update_and_the_counter_ticks() {
    let mut world = with_device();
    let dev = id("dev01");
    let first = world.identity(&dev).unwrap();
    let mut put = |name: &str, if_match: IfMatch, body: Value| {
        world.put_identity(&id(name), &if_match, &map(body), at(5))
    };
    let exists = put("dev01", IfMatch::Absent, json!({}));
    assert_eq!(code(exists), Code::DeviceAlreadyExists);
    assert_eq!(
        code(put("gone", IfMatch::Any, json!({}))),
        Code::DeviceNotFound
    );

    let mut body = first.body.clone();
    body["status"] = "disabled".into();
    let right = IfMatch::Etag(first.etag.clone());
    let second = put("dev01", right.clone(), body.clone()).unwrap();
    assert_eq!(second.body["statusUpdatedTime"], stamp(5));
    assert_eq!(second.body["authentication"], first.body["authentication"]);

    let stale = put("dev01", right, body).unwrap_err();
    assert_eq!(stale.code, Code::PreconditionFailed);
    let number = |etag: &str| etag::identity_counter(etag).parse::<u64>().unwrap();
    assert_eq!(number(&second.etag), number(&first.etag) + 1);
    assert_eq!(
        stale.message,
        format!(
            "Precondition failed: Device version did not match, existingVersion:{} newVersion:{}",
            number(&second.etag),
            number(&first.etag)
        )
    );
    // Left out, the keys are made anew.
    let third = put("dev01", IfMatch::Any, json!({})).unwrap();
    assert_ne!(third.body["authentication"], first.body["authentication"]);
}

fn stamp(second: i64) -> String {
    crate::emulator::stamp::text(at(second))
}

#[test]
fn deleting_needs_an_etag_and_a_new_one_has_a_new_generation() {
    let mut world = with_device();
    let dev = id("dev01");
    let first = world.identity(&dev).unwrap();
    let none = world.delete_identity(&dev, &IfMatch::Absent, at(1));
    let none = none.unwrap_err();
    assert_eq!(
        (none.code, none.message.as_str()),
        (Code::PreconditionFailed, "Etag missing")
    );
    let stale = world.delete_identity(&dev, &IfMatch::Etag("MA==".into()), at(1));
    assert_eq!(code(stale), Code::PreconditionFailed);
    world
        .delete_identity(&dev, &IfMatch::Etag(first.etag), at(1))
        .unwrap();
    assert_eq!(code(world.twin(&dev)), Code::DeviceNotFound);
    let again = create(&mut world, "dev01");
    assert_ne!(again["generationId"], first.body["generationId"]);
}

#[test]
fn a_fresh_twin_looks_as_recorded() {
    let twin = with_device().twin(&id("dev01")).unwrap();
    assert_eq!(
        keys(&twin).join(","),
        "deviceId,etag,deviceEtag,status,statusUpdateTime,connectionState,lastActivityTime,\
         cloudToDeviceMessageCount,authenticationType,x509Thumbprint,version,properties,\
         capabilities"
    );
    assert_eq!(twin["etag"], "AAAAAAAAAAE=");
    assert_eq!(twin["version"], 2);
    assert_eq!(
        twin["properties"]["desired"].to_string(),
        format!(
            r#"{{"$metadata":{{"$lastUpdated":"{}"}},"$version":1}}"#,
            stamp(0)
        )
    );
}

/// (etag, version, desired, reported)
fn counters(world: &World) -> (String, u64, u64, u64) {
    let twin = world.twin(&id("dev01")).unwrap();
    let version = |half: &str| twin["properties"][half]["$version"].as_u64().unwrap();
    (
        twin["etag"].as_str().unwrap().to_owned(),
        twin["version"].as_u64().unwrap(),
        version("desired"),
        version("reported"),
    )
}

#[test]
fn the_counters_tick_as_recorded() {
    let mut world = with_device();
    let dev = id("dev01");
    let patch = |world: &mut World, body| {
        world
            .patch_twin(&dev, &IfMatch::Any, &map(body), at(9))
            .unwrap();
    };
    let etag = |n| etag::of_twin(n);
    assert_eq!(counters(&world), (etag(1), 2, 1, 1));
    patch(&mut world, json!({"tags": {"site": "lab"}}));
    assert_eq!(counters(&world), (etag(2), 3, 1, 1));
    patch(&mut world, json!({"properties": {"desired": {"a": 1}}}));
    assert_eq!(counters(&world), (etag(3), 4, 2, 1));
    patch(&mut world, json!({"properties": {"desired": {"a": 1}}}));
    assert_eq!(
        counters(&world),
        (etag(4), 5, 3, 1),
        "an unchanged value counts"
    );
    world
        .report(&id("dev01"), &map(json!({"b": 1})), at(9))
        .unwrap();
    assert_eq!(
        counters(&world),
        (etag(4), 6, 3, 2),
        "a report leaves the etag"
    );
    patch(&mut world, json!({}));
    assert_eq!(counters(&world), (etag(4), 6, 3, 2));
    patch(
        &mut world,
        json!({"properties": {"desired": {"$metadata": {}, "$version": 9}, "reported": {"b": 2}}}),
    );
    assert_eq!(
        counters(&world),
        (etag(4), 6, 3, 2),
        "an echo writes nothing"
    );
}

#[test]
fn writes_of_a_twin_check_the_etag_and_the_rules() {
    let mut world = with_device();
    let dev = id("dev01");
    let body = map(json!({"tags": {"site": "lab"}}));
    let first = IfMatch::Etag("AAAAAAAAAAE=".into());
    let twin = world.patch_twin(&dev, &first, &body, at(1)).unwrap();
    assert_eq!(twin["tags"], json!({"site": "lab"}));
    let stale = world.patch_twin(&dev, &first, &body, at(1)).unwrap_err();
    assert_eq!(stale.code, Code::PreconditionFailed);
    assert_eq!(stale.message, "ETag mismatch for device ID 'dev01'");
    for bad in [
        json!({"tags": {"a.b": 1}}),
        json!({"tags": []}),
        json!({"properties": {"desired": {"a": [null]}}}),
        json!({"tags": {"a": "x".repeat(4096), "b": "x".repeat(4096)}}),
    ] {
        let refused = world.patch_twin(&dev, &IfMatch::Absent, &map(bad), at(1));
        assert_eq!(code(refused), Code::ArgumentInvalid);
    }
    let bad = world.report(&dev, &map(json!({"a b": 1})), at(1));
    assert_eq!(code(bad), Code::ArgumentInvalid);
    assert_eq!(counters(&world).1, 3, "refused writes count nothing");

    let replacing = map(json!({"properties": {"desired": {"a": 1}}}));
    let twin = world
        .replace_twin(&dev, &IfMatch::Any, &replacing, at(2))
        .unwrap();
    assert_eq!(twin.get("tags"), None);
    assert_eq!(twin["properties"]["desired"]["a"], 1);
}

#[test]
fn reports_are_stamped_by_the_hubs_clock() {
    let mut world = with_device();
    let dev = id("dev01");
    assert_eq!(
        world.report(&dev, &map(json!({"fw": {"status": "x"}})), at(3)),
        Ok(2)
    );
    assert_eq!(world.report(&dev, &map(json!({"other": 1})), at(4)), Ok(3));
    let twin = world.twin(&dev).unwrap();
    let meta = &twin["properties"]["reported"]["$metadata"];
    assert_eq!(meta["$lastUpdated"], stamp(4));
    assert_eq!(meta["fw"]["status"]["$lastUpdated"], stamp(3));
    assert_eq!(
        world.device_twin(&dev).unwrap(),
        json!({"desired": {"$version": 1},
               "reported": {"fw": {"status": "x"}, "other": 1, "$version": 3}})
    );
}

fn listening(world: &mut World, name: &str) -> LinkId {
    let welcome = world.connect(&id(name), Hello::default(), at(1)).unwrap();
    world.subscribe(welcome.link, Topic::Methods, at(1));
    welcome.link
}

fn request(connect: i64) -> MethodRequest {
    MethodRequest {
        name: "firmwareUpdate".to_owned(),
        payload: json!({"fwPackageUri": "https://example.test/fw.bin"}),
        response_timeout: SignedDuration::from_secs(30),
        connect_timeout: SignedDuration::from_secs(connect),
    }
}

fn answer() -> MethodAnswer {
    MethodAnswer {
        status: 200,
        payload: json!({"Response": "Firmware update started"}),
    }
}

#[test]
fn a_method_goes_out_and_its_answer_comes_back() {
    let mut world = with_device();
    let dev = id("dev01");
    let link = listening(&mut world, "dev01");
    let call = world.begin_method(&dev, request(0), at(2)).unwrap();
    let outputs = world.take_outputs();
    assert!(
        matches!(&outputs[..], [Output::Method { link: over, call: which, name, .. }]
            if *over == link && *which == call && name == "firmwareUpdate"),
        "{outputs:?}"
    );
    assert_eq!(call.to_string().parse(), Ok(call));
    assert!(!world.answer_method(&id("other"), call, answer(), at(2)));
    assert!(world.answer_method(&dev, call, answer(), at(2)));
    assert!(!world.answer_method(&dev, call, answer(), at(2)), "once");
    let done = Output::Answered {
        call,
        result: Ok(answer()),
    };
    assert_eq!(world.take_outputs(), [done]);
    assert_eq!(world.next_due(), None);
    let counts = world.method_counts(&dev);
    assert_eq!((counts.asked, counts.delivered, counts.answered), (1, 1, 1));
}

#[test]
fn nobody_there_is_said_at_once_or_after_the_connect_timeout() {
    let mut world = with_device();
    let dev = id("dev01");
    let unknown = world.begin_method(&id("gone"), request(0), at(0));
    assert_eq!(code(unknown), Code::DeviceNotFound);
    let offline = world.begin_method(&dev, request(0), at(0)).unwrap_err();
    assert_eq!(offline.code, Code::DeviceNotOnline);
    assert_eq!(offline.info, Some(json!({"timeout": "00:00:00"})));
    // Connected is not enough: it has to listen.
    let link = world.connect(&dev, Hello::default(), at(0)).unwrap().link;
    assert_eq!(
        code(world.begin_method(&dev, request(0), at(0))),
        Code::DeviceNotOnline
    );

    let call = world.begin_method(&dev, request(10), at(0)).unwrap();
    assert_eq!(world.next_due(), Some(at(10)));
    world.tick(at(9));
    assert_eq!(world.take_outputs(), []);
    world.tick(at(10));
    let [
        Output::Answered {
            call: which,
            result: Err(refusal),
        },
    ] = &world.take_outputs()[..]
    else {
        panic!("one refusal was expected");
    };
    assert_eq!((*which, refusal.code), (call, Code::DeviceNotOnline));
    assert_eq!(refusal.info, Some(json!({"timeout": "00:00:10"})));

    // In time, the wait is over and the response timeout begins.
    let call = world.begin_method(&dev, request(10), at(20)).unwrap();
    world.subscribe(link, Topic::Methods, at(25));
    assert!(matches!(world.take_outputs()[..], [Output::Method { .. }]));
    assert_eq!(world.next_due(), Some(at(55)));
    world.tick(at(55));
    let outputs = world.take_outputs();
    assert!(
        matches!(&outputs[..], [Output::Answered { call: which, result: Err(refusal) }]
            if *which == call && refusal.code == Code::GatewayTimeout),
        "{outputs:?}"
    );
    let counts = world.method_counts(&dev);
    assert_eq!((counts.asked, counts.delivered, counts.answered), (4, 1, 0));
}

#[test]
fn a_connection_that_ends_during_a_call_is_404104() {
    let mut world = with_device();
    let dev = id("dev01");
    let link = listening(&mut world, "dev01");
    let call = world.begin_method(&dev, request(0), at(2)).unwrap();
    let _ = world.take_outputs();
    world.disconnect(link, at(3));
    let outputs = world.take_outputs();
    assert!(
        matches!(&outputs[..], [Output::Answered { call: which, result: Err(refusal) }]
            if *which == call && refusal.code == Code::DeviceConnectionClosedRemotely),
        "{outputs:?}"
    );
    assert_eq!(world.next_due(), None);
}

#[test]
fn a_newer_connection_takes_over_and_keeps_the_session() {
    let mut world = with_device();
    let dev = id("dev01");
    let old = listening(&mut world, "dev01");
    let new = world.connect(&dev, Hello::default(), at(2)).unwrap();
    assert!(new.session_present);
    let closed = Output::Close {
        link: old,
        why: Closing::TakenOver,
    };
    assert_eq!(world.take_outputs(), [closed]);
    assert!(
        world.listens(new.link, Topic::Methods),
        "the subscription stays"
    );
    world.disconnect(old, at(3));
    assert!(
        world.is_connected(&dev),
        "the old link's end changes nothing"
    );
    world.begin_method(&dev, request(0), at(4)).unwrap();
    assert!(matches!(world.take_outputs()[..], [Output::Method { link, .. }] if link == new.link));
}

#[test]
fn a_clean_session_keeps_nothing() {
    let mut world = with_device();
    let dev = id("dev01");
    let clean = Hello {
        clean: true,
        ..Hello::default()
    };
    let link = listening(&mut world, "dev01");
    world.disconnect(link, at(2));
    let welcome = world.connect(&dev, clean, at(3)).unwrap();
    assert!(!welcome.session_present && !world.listens(welcome.link, Topic::Methods));
    world.subscribe(welcome.link, Topic::Methods, at(3));
    world.disconnect(welcome.link, at(4));
    let later = world.connect(&dev, Hello::default(), at(5)).unwrap();
    assert!(!later.session_present && !world.listens(later.link, Topic::Methods));
}

#[test]
fn a_token_that_ends_and_a_disabled_device_close_the_link() {
    let mut world = with_device();
    let dev = id("dev01");
    let hello = Hello {
        token_ends: Some(at(60)),
        ..Hello::default()
    };
    let link = world.connect(&dev, hello.clone(), at(0)).unwrap().link;
    world.tick(at(59));
    assert!(world.is_connected(&dev));
    world.tick(at(60));
    let why = Closing::TokenExpired;
    assert_eq!(world.take_outputs(), [Output::Close { link, why }]);
    assert!(!world.is_connected(&dev));

    let link = world.connect(&dev, hello, at(0)).unwrap().link;
    let body = map(json!({"status": "disabled"}));
    world
        .put_identity(&dev, &IfMatch::Any, &body, at(1))
        .unwrap();
    let why = Closing::Disabled;
    assert_eq!(world.take_outputs(), [Output::Close { link, why }]);
    assert_eq!(world.next_due(), None);
    assert_eq!(
        code(world.connect(&dev, Hello::default(), at(2))),
        Code::DeviceNotFound
    );
}

#[test]
fn desired_changes_reach_those_who_listen() {
    let mut world = with_device();
    let dev = id("dev01");
    let link = world.connect(&dev, Hello::default(), at(0)).unwrap().link;
    let body = map(json!({"tags": {"a": 1}, "properties": {"desired": {"fw": "2", "gone": null}}}));
    world
        .patch_twin(&dev, &IfMatch::Absent, &body, at(1))
        .unwrap();
    assert_eq!(world.take_outputs(), [], "nobody listens yet");
    world.subscribe(link, Topic::Desired, at(1));
    world
        .patch_twin(&dev, &IfMatch::Absent, &body, at(2))
        .unwrap();
    let told = Output::Desired {
        link,
        version: 3,
        body: json!({"fw": "2", "gone": null, "$version": 3}),
    };
    assert_eq!(world.take_outputs(), [told]);
}

#[test]
fn queries_run_over_devices_in_pages() {
    let mut world = world();
    for n in 0..25 {
        create(&mut world, &format!("press-{n:04}"));
    }
    let dev = id("press-0007");
    listening(&mut world, "press-0007");
    world
        .report(&dev, &map(json!({"fw": "1.4.2"})), at(1))
        .unwrap();
    let text = "SELECT deviceId, properties.reported.fw AS fw, properties.reported.$version AS v, \
                lastActivityTime FROM devices WHERE connectionState = 'Connected'";
    let page = world.query(text, Some(10), None).unwrap();
    let row =
        json!({"deviceId": "press-0007", "fw": "1.4.2", "v": 2, "lastActivityTime": stamp(1)});
    assert_eq!(page.items, [row]);

    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let page = world
            .query("SELECT * FROM devices", Some(10), token.as_deref())
            .unwrap();
        seen.extend(page.items);
        token = page.continuation;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 25);
    assert_eq!(seen[7], world.twin(&dev).unwrap());
}

#[rstest::rstest]
#[case(json!({"methodName": "m"}), Ok((30, 0)))]
#[case(json!({"methodName": "m", "responseTimeoutInSeconds": "60", "connectTimeoutInSeconds": 5}), Ok((60, 5)))]
#[case(json!({}), Err(Code::ArgumentNull))]
#[case(json!({"methodName": ""}), Err(Code::ArgumentNull))]
#[case(json!({"methodName": 7}), Err(Code::ArgumentNull))]
#[case(json!({"methodName": "a/b"}), Err(Code::ArgumentInvalid))]
#[case(json!({"methodName": "a b"}), Err(Code::ArgumentInvalid))]
#[case(json!({"methodName": "ä"}), Err(Code::ArgumentInvalid))]
#[case(json!({"methodName": "a#"}), Err(Code::ArgumentInvalid))]
#[case(json!({"methodName": "firmware-update_1.0!*'~%&|^`"}), Ok((30, 0)))]
#[case(json!({"methodName": "m", "payload": null}), Ok((30, 0)))]
#[case(json!({"methodName": "m", "responseTimeoutInSeconds": 5}), Ok((5, 0)))]
#[case(json!({"methodName": "m", "responseTimeoutInSeconds": 300, "connectTimeoutInSeconds": "300"}), Ok((300, 300)))]
#[case(json!({"methodName": "m", "responseTimeoutInSeconds": 5.5}), Err(Code::ArgumentInvalid))]
#[case(json!({"methodName": "m", "responseTimeoutInSeconds": true}), Err(Code::ArgumentInvalid))]
#[case(json!({"methodName": "m", "connectTimeoutInSeconds": -1}), Err(Code::ArgumentInvalid))]
#[case(json!({"methodName": "m", "responseTimeoutInSeconds": 300, "connectTimeoutInSeconds": 301}), Err(Code::ArgumentInvalid))]
#[case(json!({"methodName": "m", "payload": "x".repeat(131_070)}), Ok((30, 0)))]
#[case(json!({"methodName": "m", "responseTimeoutInSeconds": 4}), Err(Code::ArgumentInvalid))]
#[case(json!({"methodName": "m", "responseTimeoutInSeconds": 301}), Err(Code::ArgumentInvalid))]
#[case(json!({"methodName": "m", "responseTimeoutInSeconds": "soon"}), Err(Code::ArgumentInvalid))]
#[case(json!({"methodName": "m", "connectTimeoutInSeconds": 31}), Err(Code::ArgumentInvalid))]
#[case(json!({"methodName": "m", "payload": "x".repeat(131_072)}), Err(Code::MessageTooLarge))]
fn method_requests(#[case] body: Value, #[case] want: Result<(i64, i64), Code>) {
    let read = MethodRequest::read(&map(body));
    let seconds = read.map(|r| (r.response_timeout.as_secs(), r.connect_timeout.as_secs()));
    assert_eq!(seconds.map_err(|refusal| refusal.code), want);
}

#[test]
fn what_is_kept_comes_back_without_connections() {
    let mut world = with_device();
    let dev = id("dev01");
    world.track_changes();
    listening(&mut world, "dev01");
    world
        .report(&dev, &map(json!({"fw": "1.4.2"})), at(3))
        .unwrap();
    let (identity, twin) = (world.identity(&dev).unwrap(), world.twin(&dev).unwrap());
    let kept: Vec<(DeviceId, String)> = world
        .changes()
        .into_iter()
        .map(|(id, device)| (id.clone(), serde_json::to_string(&device.unwrap()).unwrap()))
        .collect();
    world.changes_are_kept();
    assert_eq!(world.changes().len(), 0);

    let devices = kept
        .into_iter()
        .map(|(id, text)| (id, serde_json::from_str(&text).unwrap()));
    let policies = world.policies().to_vec();
    let mut again = World::restored(Box::new(|_| {}), policies, devices);
    assert!(!again.is_connected(&dev));
    let mut expected = twin;
    expected["connectionState"] = "Disconnected".into();
    assert_eq!(again.twin(&dev).unwrap(), expected);
    assert_eq!(again.identity(&dev).unwrap().etag, identity.etag);
    let welcome = again.connect(&dev, Hello::default(), at(9)).unwrap();
    assert!(welcome.session_present && again.listens(welcome.link, Topic::Methods));
}
