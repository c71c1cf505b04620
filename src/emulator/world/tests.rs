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

/// All of a device that others can see, and what the hub would do next.
fn seen(world: &World) -> (Vec<Value>, Value, usize, Option<Timestamp>, MethodCounts) {
    let dev = id("dev01");
    let twin = world.twin(&dev).unwrap_or(Value::Null);
    (
        world.list(None),
        twin,
        world.connected_count(),
        world.next_due(),
        world.method_counts(&dev),
    )
}

type Deed = fn(&mut World);

fn body(value: Value) -> Map<String, Value> {
    map(value)
}

#[rstest::rstest]
#[case::a_create(|w: &mut World| { create(w, "dev02"); })]
#[case::an_update(|w: &mut World| {
    w.put_identity(&id("dev01"), &IfMatch::Any, &Map::new(), at(9)).unwrap();
})]
#[case::a_disabling_that_ends_the_link(|w: &mut World| {
    let off = body(json!({"status": "disabled"}));
    w.put_identity(&id("dev01"), &IfMatch::Any, &off, at(9)).unwrap();
})]
#[case::a_deletion(|w: &mut World| w.delete_identity(&id("dev01"), &IfMatch::Any, at(9)).unwrap())]
#[case::a_deletion_and_another(|w: &mut World| {
    w.delete_identity(&id("dev01"), &IfMatch::Any, at(9)).unwrap();
    create(w, "dev01");
})]
#[case::a_patch(|w: &mut World| {
    let patch = body(json!({"tags": {"a": 1}, "properties": {"desired": {"b": 2}}}));
    w.patch_twin(&id("dev01"), &IfMatch::Any, &patch, at(9)).unwrap();
})]
#[case::a_replacement(|w: &mut World| {
    w.replace_twin(&id("dev01"), &IfMatch::Any, &Map::new(), at(9)).unwrap();
})]
#[case::a_report(|w: &mut World| { w.report(&id("dev01"), &body(json!({"c": 3})), at(9)).unwrap(); })]
#[case::a_takeover(|w: &mut World| {
    let hello = Hello { clean: true, token_ends: Some(at(90)), model_id: Some("m".into()) };
    w.connect(&id("dev01"), hello, at(9)).unwrap();
})]
#[case::a_connection_of_another(|w: &mut World| { create(w, "dev02"); listening(w, "dev02"); })]
#[case::an_answer_in_the_same_breath(|w: &mut World| {
    let call = w.begin_method(&id("dev01"), request(0), at(9)).unwrap();
    w.answer_method(&id("dev01"), call, answer(), at(9));
})]
fn what_is_not_kept_has_not_happened(#[case] deed: Deed) {
    let mut world = with_device();
    world.track_changes();
    let hello = Hello {
        token_ends: Some(at(60)),
        ..Hello::default()
    };
    let link = world.connect(&id("dev01"), hello, at(1)).unwrap().link;
    world.subscribe(link, Topic::Methods, at(1));
    world.subscribe(link, Topic::Desired, at(1));
    let call = world.begin_method(&id("dev01"), request(0), at(2)).unwrap();
    let _ = world.take_outputs();
    world.changes_are_kept();
    let before = seen(&world);

    deed(&mut world);
    assert_ne!(seen(&world), before, "the deed does something");
    world.take_back();
    assert_eq!(seen(&world), before);
    assert_eq!(world.take_outputs(), [], "and nobody hears of it");
    assert!(world.changes().is_empty());
    // Everything goes on as if nothing had been: link, call, subscription.
    assert!(world.listens(link, Topic::Methods) && world.listens(link, Topic::Desired));
    assert!(world.answer_method(&id("dev01"), call, answer(), at(3)));
    world.tick(at(60));
    let outputs = world.take_outputs();
    let why = Closing::TokenExpired;
    assert_eq!(outputs.last(), Some(&Output::Close { link, why }));
    assert_eq!(world.next_due(), None);
}

#[test]
fn a_call_goes_on_waiting_when_the_device_is_not_let_in() {
    let mut world = with_device();
    world.track_changes();
    let dev = id("dev01");
    let link = listening(&mut world, "dev01");
    world.disconnect(link, at(2));
    let call = world.begin_method(&dev, request(20), at(3)).unwrap();
    let _ = world.take_outputs();
    world.changes_are_kept();
    world.connect(&dev, Hello::default(), at(4)).unwrap();
    world.take_back();
    assert_eq!(world.take_outputs(), [], "no method left");
    assert_eq!(world.method_counts(&dev).delivered, 0);
    assert_eq!(
        world.next_due(),
        Some(at(23)),
        "and the wait is what it was"
    );
    world.connect(&dev, Hello::default(), at(5)).unwrap();
    let outputs = world.take_outputs();
    assert!(
        matches!(&outputs[..], [Output::Method { call: sent, .. }] if *sent == call),
        "{outputs:?}"
    );
}

#[test]
fn a_subscription_that_is_not_kept_is_none() {
    let mut world = with_device();
    world.track_changes();
    let link = listening(&mut world, "dev01");
    world.changes_are_kept();
    world.subscribe(link, Topic::Desired, at(2));
    world.unsubscribe(link, Topic::Methods);
    world.take_back();
    assert!(world.listens(link, Topic::Methods) && !world.listens(link, Topic::Desired));
}

#[test]
fn a_fact_that_was_not_kept_waits_for_the_next_change() {
    let mut world = with_device();
    create(&mut world, "dev02");
    world.track_changes();
    let link = listening(&mut world, "dev01");
    world.changes_are_kept();
    world.disconnect(link, at(3));
    world.changes_must_wait();
    assert!(!world.has_fresh_changes());
    let waiting = |world: &World| world.changes().len();
    assert_eq!(waiting(&world), 1);
    // A wish that fails meanwhile takes nothing of it back.
    world
        .report(&id("dev02"), &body(json!({"a": 1})), at(4))
        .unwrap();
    assert_eq!(waiting(&world), 2);
    world.take_back();
    assert_eq!(waiting(&world), 1);
    assert!(!world.is_connected(&id("dev01")));
    world
        .report(&id("dev02"), &body(json!({"a": 1})), at(5))
        .unwrap();
    world.changes_are_kept();
    assert_eq!(waiting(&world), 0);
}

#[test]
fn a_generation_is_never_given_again() {
    let mut world = with_device();
    let dev = id("dev01");
    let first = world.identity(&dev).unwrap().body["generationId"].clone();
    world.delete_identity(&dev, &IfMatch::Any, at(1)).unwrap();
    let ledger = world.ledger();
    // Restarted without any device, and with a clock that was set back.
    let mut again = World::restored(seeded_entropy(2), world.policies().to_vec(), []);
    again.continue_from(&ledger);
    let second = create(&mut again, "dev01")["generationId"].clone();
    let number = |text: &Value| text.as_str().unwrap().parse::<u64>().unwrap();
    assert!(number(&second) > number(&first), "{second} after {first}");
}

#[test]
fn calls_after_a_restart_have_numbers_of_their_own() {
    let mut world = with_device();
    listening(&mut world, "dev01");
    let early = world.begin_method(&id("dev01"), request(0), at(2)).unwrap();
    let devices = world.devices.clone();
    let mut again = World::restored(seeded_entropy(2), world.policies().to_vec(), devices);
    again
        .connect(&id("dev01"), Hello::default(), at(3))
        .unwrap();
    again
        .begin_method(&id("dev01"), request(30), at(3))
        .unwrap();
    assert!(!again.answer_method(&id("dev01"), early, answer(), at(4)));
}

#[test]
fn events_are_counted_and_too_large_ones_are_not() {
    let mut world = with_device();
    let dev = id("dev01");
    let event = |bytes, will| event::Event {
        properties: vec![("k".to_owned(), "v".to_owned())],
        bytes,
        will,
    };
    world.take_event(&dev, event(10, false), at(5)).unwrap();
    world
        .take_event(&dev, event(event::EVENT - 2, true), at(6))
        .unwrap();
    let large = world.take_event(&dev, event(event::EVENT - 1, false), at(7));
    assert_eq!(code(large), Code::MessageTooLarge);
    let counts = world.event_counts(&dev);
    assert_eq!(
        (counts.accepted, counts.wills, counts.bytes),
        (2, 1, 12 + 262_144)
    );
    assert_eq!(world.last_event(&dev), Some(&event(event::EVENT - 2, true)));
    let twin = world.twin(&dev).unwrap();
    assert_eq!(twin["lastActivityTime"], stamp(6));
    let gone = world.take_event(&id("gone"), event(1, false), at(8));
    assert_eq!(code(gone), Code::DeviceNotFound);
    // 1 message, and 64 of 4 KB.
    assert_eq!(world.usage(at(8)).messages, 65);
}

#[test]
fn a_spent_day_refuses_methods_and_events() {
    use crate::domain::profile::Tier;
    let mut world = with_device();
    let dev = id("dev01");
    world.limit_days(quota::Quota::new(Tier::F1, 1));
    let offline = world.begin_method(&dev, request(0), at(1));
    assert_eq!(code(offline), Code::DeviceNotOnline);
    assert_eq!(
        world.usage(at(1)).messages,
        1,
        "asked of nobody, and billed"
    );
    assert_eq!(
        code(world.begin_method(&id("gone"), request(0), at(1))),
        Code::DeviceNotFound
    );
    listening(&mut world, "dev01");
    let call = world.begin_method(&dev, request(0), at(1)).unwrap();
    let large = MethodAnswer {
        status: 200,
        payload: "x".repeat(1_000).into(),
    };
    assert!(world.answer_method(&dev, call, large, at(1)));
    assert_eq!(world.usage(at(1)).messages, 1 + 1 + 2);
    world.spend(7_996, at(1));
    let refused = world.begin_method(&dev, request(0), at(1));
    assert_eq!(code(refused), Code::IotHubQuotaExceeded);
    assert_eq!(world.method_counts(&dev).delivered, 1);
    let event = world.take_event(&dev, event::Event::default(), at(1));
    assert_eq!(code(event), Code::IotHubQuotaExceeded);
    let tomorrow = at(86_400);
    assert!(world.begin_method(&dev, request(0), tomorrow).is_ok());
}

#[rstest::rstest]
#[case(None, 1_000)]
#[case(Some(0), 1_000)]
#[case(Some(1), 1)]
#[case(Some(1_000), 1_000)]
#[case(Some(1_001), 1_000)]
fn a_list_has_a_thousand_rows_at_most(#[case] top: Option<usize>, #[case] rows: usize) {
    let mut world = world();
    for n in 0..1_001 {
        world.ensure_identity(&id(&format!("press-{n:04}")), at(0));
    }
    assert_eq!(world.list(top).len(), rows);
}

#[test]
fn an_update_replaces_all_and_forgets_what_is_left_out() {
    let mut world = with_device();
    let dev = id("dev01");
    let full = map(json!({"status": "disabled", "statusReason": "repair",
                          "capabilities": {"iotEdge": true}}));
    let put = |world: &mut World, body: &Map<String, Value>, second| {
        let put = world.put_identity(&dev, &IfMatch::Any, body, at(second));
        put.unwrap().body
    };
    let first = put(&mut world, &full, 5);
    assert_eq!(
        (&first["statusReason"], &first["capabilities"]["iotEdge"]),
        (&json!("repair"), &json!(true))
    );
    assert_eq!(first["statusUpdatedTime"], stamp(5));
    let second = put(&mut world, &Map::new(), 6);
    assert_eq!(
        (&second["status"], &second["statusReason"]),
        (&json!("enabled"), &Value::Null)
    );
    assert_eq!(second["capabilities"]["iotEdge"], false);
    assert_eq!(second["generationId"], first["generationId"]);
    // The time of the status is that of its last change, not of the last write.
    let third = put(&mut world, &Map::new(), 7);
    assert_eq!(third["statusUpdatedTime"], stamp(6));
    // A create is refused, even one that knows the etag.
    let echo = map(third);
    let again = world.put_identity(&dev, &IfMatch::Absent, &echo, at(8));
    assert_eq!(code(again), Code::DeviceAlreadyExists);
    let twin = world.twin(&dev).unwrap();
    assert_eq!(twin["statusUpdateTime"], stamp(6));
    assert_eq!(twin["deviceEtag"], world.identity(&dev).unwrap().etag);
}

#[test]
fn an_identitys_etag_is_only_its_own_writes() {
    let mut world = with_device();
    let dev = id("dev01");
    let etag = world.identity(&dev).unwrap().etag;
    let link = listening(&mut world, "dev01");
    world.report(&dev, &map(json!({"a": 1})), at(2)).unwrap();
    world
        .take_event(&dev, event::Event::default(), at(3))
        .unwrap();
    world.disconnect(link, at(4));
    let identity = world.identity(&dev).unwrap();
    assert_eq!(identity.etag, etag);
    assert_eq!(identity.body["lastActivityTime"], stamp(3));
    assert_eq!(identity.body["connectionStateUpdatedTime"], stamp(4));
}

#[test]
fn a_twin_shows_model_and_reason_where_recorded_ones_do() {
    let mut world = with_device();
    let dev = id("dev01");
    let hello = Hello {
        model_id: Some("dtmi:azure:PhoneAsIoTDevice:Application;2".to_owned()),
        ..Hello::default()
    };
    world.connect(&dev, hello, at(1)).unwrap();
    let tags = map(json!({"tags": {"site": "lab"}}));
    world.patch_twin(&dev, &IfMatch::Any, &tags, at(2)).unwrap();
    let off = map(json!({"status": "disabled", "statusReason": "repair"}));
    world
        .put_identity(&dev, &IfMatch::Any, &off, at(3))
        .unwrap();
    let twin = world.twin(&dev).unwrap();
    assert_eq!(
        keys(&twin).join(","),
        "deviceId,etag,deviceEtag,status,statusReason,statusUpdateTime,connectionState,\
         lastActivityTime,cloudToDeviceMessageCount,authenticationType,x509Thumbprint,modelId,\
         version,tags,properties,capabilities"
    );
    assert_eq!(twin["modelId"], "dtmi:azure:PhoneAsIoTDevice:Application;2");
}

#[test]
fn a_replacement_tells_the_device_the_whole_section() {
    let mut world = with_device();
    let dev = id("dev01");
    let link = world.connect(&dev, Hello::default(), at(0)).unwrap().link;
    world.subscribe(link, Topic::Desired, at(1));
    let old = map(json!({"properties": {"desired": {"a": 1, "b": {"c": 2}}}}));
    world.patch_twin(&dev, &IfMatch::Any, &old, at(1)).unwrap();
    let _ = world.take_outputs();
    let new = map(json!({"properties": {"desired": {"b": {"d": 3}, "gone": null}}}));
    let twin = world
        .replace_twin(&dev, &IfMatch::Any, &new, at(2))
        .unwrap();
    let told = Output::Desired {
        link,
        version: 3,
        body: json!({"b": {"d": 3}, "$version": 3}),
    };
    assert_eq!(world.take_outputs(), [told]);
    let meta = &twin["properties"]["desired"]["$metadata"];
    assert_eq!(keys(meta).join(","), "$lastUpdated,$lastUpdatedVersion,b");
    assert_eq!(meta["b"]["d"]["$lastUpdatedVersion"], 3);
    let stale = IfMatch::Etag("AAAAAAAAAAE=".into());
    assert_eq!(
        code(world.replace_twin(&dev, &stale, &new, at(3))),
        Code::PreconditionFailed
    );
}

/// The sizes that a section may have: "x" and its text count as characters.
#[rstest::rstest]
#[case("tags", 8 * 1024)]
#[case("desired", 32 * 1024)]
#[case("reported", 32 * 1024)]
fn sections_are_full_at_their_limit(#[case] what: &str, #[case] limit: usize) {
    let write = |rest: usize| {
        let mut world = with_device();
        let mut values = Map::new();
        let parts = limit / 4096;
        for n in 1..parts {
            // A key of one character and 4,095 of text.
            let key = char::from_digit(u32::try_from(n).unwrap(), 36).unwrap();
            values.insert(key.to_string(), "x".repeat(4_095).into());
        }
        values.insert("z".to_owned(), "x".repeat(rest).into());
        let dev = id("dev01");
        match what {
            "tags" => {
                let body = map(json!({"tags": values}));
                world
                    .patch_twin(&dev, &IfMatch::Any, &body, at(1))
                    .map(drop)
            }
            "desired" => {
                let body = map(json!({"properties": {"desired": values}}));
                world
                    .patch_twin(&dev, &IfMatch::Any, &body, at(1))
                    .map(drop)
            }
            _ => world.report(&dev, &values, at(1)).map(drop),
        }
    };
    assert_eq!(write(4_095), Ok(()));
    assert_eq!(code(write(4_096)), Code::ArgumentInvalid);
}
