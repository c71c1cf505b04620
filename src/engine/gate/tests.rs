use jiff::Timestamp;

use super::*;
use crate::domain::event::{Event, Intent, What};
use crate::domain::fake::FakeTwin;
use crate::domain::id::UpdateId;
use crate::domain::tag::{Sighting, Tag, Write};

fn profile(change: impl FnOnce(&mut Profile)) -> Profile {
    let mut profile = Profile {
        name: "plant".into(),
        host: "plant.test".into(),
        environment: None,
        read_only: false,
        tier: None,
        units: 1,
    };
    change(&mut profile);
    profile
}

fn receipt(device: &str, update: &str) -> Receipt {
    let intent = Intent {
        payload_sha256: Some("x".into()),
        ..Intent::default()
    };
    let device = FakeTwin::new(device).twin.device_id;
    let what = What::Intended(Box::new(intent));
    let update = UpdateId::from_text(update);
    Receipt::for_test(&Event::update(Timestamp::UNIX_EPOCH, device, update, what))
}

/// `press-7`, with a tag of that update or with none.
fn seen(holder: Option<&str>) -> Sighting {
    let mut twin = FakeTwin::new("press-7").twin;
    if let Some(holder) = holder {
        let holder = UpdateId::from_text(holder);
        let tag = Tag::new("ana@jump1", holder, "fw", Timestamp::UNIX_EPOCH);
        twin.tags.insert("otadeck".into(), tag.value());
    }
    Sighting::of(&twin, Timestamp::UNIX_EPOCH)
}

fn take(update: &str) -> Write {
    let update = UpdateId::from_text(update);
    seen(None).take("ana@jump1", &update, "fw", Duration::ZERO)
}

const NOW: Duration = Duration::from_secs(1);

#[test]
fn a_tag_is_taken_for_the_intent_that_was_written_down_and_for_no_other() {
    let gate = Gate::new(profile(|_| {}));
    let right = receipt("press-7", "u-1");
    let permit = gate.take_tag(&right, take("u-1"), NOW).unwrap();
    assert_eq!(permit.into_write(), take("u-1"));
    for wrong in [receipt("press-8", "u-1"), receipt("press-7", "u-2")] {
        let problem = gate.take_tag(&wrong, take("u-1"), NOW).unwrap_err();
        assert_eq!(problem.kind, Kind::Internal, "{problem}");
    }
    let update = UpdateId::from_text("u-1");
    let gives_back = seen(Some("u-1")).give_back(&update).unwrap();
    let problem = gate.take_tag(&right, gives_back, NOW).unwrap_err();
    assert_eq!(problem.kind, Kind::Internal, "{problem}");
}

#[test]
fn a_tag_is_renewed_and_given_back_only_where_it_stands() {
    let gate = Gate::new(profile(|_| {}));
    let update = UpdateId::from_text("u-1");
    let seen = seen(Some("u-1"));
    let renewed = seen.renew(&update, Duration::ZERO).unwrap();
    assert!(gate.keep_tag(renewed).is_ok());
    assert!(gate.keep_tag(seen.give_back(&update).unwrap()).is_ok());
    // Nothing stands there: that would be taking it, without a receipt.
    let problem = gate.keep_tag(take("u-1")).unwrap_err();
    assert_eq!(problem.kind, Kind::Internal, "{problem}");
    // Another's stands there.
    let over = seen.take("ana@jump1", &UpdateId::from_text("u-2"), "fw", NOW);
    let problem = gate.keep_tag(over).unwrap_err();
    assert_eq!(problem.kind, Kind::Internal, "{problem}");
}

#[test]
fn read_only_writes_no_tag_at_all() {
    let gate = Gate::new(profile(|p| p.read_only = true));
    let right = receipt("press-7", "u-1");
    let problem = gate.take_tag(&right, take("u-1"), NOW).unwrap_err();
    assert_eq!(problem.kind, Kind::ReadOnly);
    let update = UpdateId::from_text("u-1");
    let back = seen(Some("u-1")).give_back(&update).unwrap();
    assert_eq!(gate.keep_tag(back).unwrap_err().kind, Kind::ReadOnly);
}

/// Arming lasts some minutes, an update may last hours: its tag is kept.
#[test]
fn production_is_armed_for_taking_and_not_for_keeping() {
    let mut gate = Gate::new(profile(|p| p.environment = Some("production".into())));
    let right = receipt("press-7", "u-1");
    let problem = gate.take_tag(&right, take("u-1"), NOW).unwrap_err();
    assert_eq!(problem.kind, Kind::Unconfirmed);
    assert!(gate.arm("plant", NOW));
    assert!(gate.take_tag(&right, take("u-1"), NOW).is_ok());
    let later = NOW + ARMED;
    assert!(gate.take_tag(&right, take("u-1"), later).is_err());
    let update = UpdateId::from_text("u-1");
    let back = seen(Some("u-1")).give_back(&update).unwrap();
    assert!(gate.keep_tag(back).is_ok());
}

#[test]
fn a_production_hub_is_armed_by_its_name_and_for_a_while() {
    let mut gate = Gate::new(Profile {
        name: "plant".into(),
        host: "plant.test".into(),
        environment: Some("production".into()),
        read_only: false,
        tier: None,
        units: 1,
    });
    let now = Duration::from_secs(7);
    assert!(gate.check(now).is_err());
    assert!(!gate.arm("plan", now) && gate.check(now).is_err());
    assert!(gate.arm("plant", now) && gate.check(now).is_ok());
    assert!(gate.check(now + ARMED).is_err(), "it ends by itself");
    let mut shorter = gate.clone().arming_for(Duration::from_secs(60));
    assert!(shorter.arm("plant", now));
    assert_eq!(shorter.armed_until(), Some(now + Duration::from_secs(60)));
    assert!(shorter.check(now + Duration::from_secs(59)).is_ok());
    assert!(shorter.check(now + Duration::from_secs(60)).is_err());
    gate.disarm();
    assert_eq!(gate.armed_until(), None);
    let refused = gate.check(now).unwrap_err();
    assert_eq!(refused.kind, Kind::Unconfirmed);
}
