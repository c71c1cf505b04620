//! What becomes of changes that are kept, and of those that are not.

use super::*;

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
