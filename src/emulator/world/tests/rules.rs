//! The registry's, the twins' and the day's rules, one by one.

use super::*;

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
