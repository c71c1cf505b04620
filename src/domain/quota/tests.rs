//! A day's messages, spent and forecast.

use super::*;
use crate::domain::fake::FakeTwin;
use serde_json::json;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn noon() -> Timestamp {
    at("2026-01-01T12:00:00Z")
}

#[rstest::rstest]
#[case(Tier::S1, 0, 1)]
#[case(Tier::S1, 4_096, 1)]
#[case(Tier::S1, 4_097, 2)]
#[case(Tier::F1, 512, 1)]
#[case(Tier::F1, 1_500, 3)]
fn messages_are_counted_in_the_tiers_meter(
    #[case] tier: Tier,
    #[case] bytes: usize,
    #[case] messages: u64,
) {
    assert_eq!(Quota::new(tier, 1, 0.1).spend(bytes, noon()), messages);
}

#[test]
fn a_day_ends_at_midnight_utc() {
    let mut quota = Quota::new(Tier::S1, 1, 0.1);
    for _ in 0..30_000 {
        quota.spend(1, at("2026-01-01T23:59:59Z"));
    }
    assert_eq!(quota.spent(at("2026-01-01T23:59:59Z")), 30_000);
    assert_eq!(quota.warning(0.0, noon()), Some(Warning::Slowing));
    assert!(quota.cap(60.0, noon()).is_some());
    let next = at("2026-01-02T00:00:00Z");
    assert_eq!(quota.spent(next), 0);
    assert_eq!(quota.cap(60.0, next), None);
    quota.spend(1, next);
    assert_eq!(quota.spent(next), 1);
    assert_eq!(quota.warning(0.0, next), None);
    assert_eq!(quota.spent(noon()), 0, "and is gone");
}

/// As many reads as are allowed, from midnight to midnight: what is spent
/// stays near our share, and something is always read.
#[rstest::rstest]
#[case(Tier::S1, 60.0, 1_500, 1.3)]
#[case(Tier::S1, 2.0, 1_500, 1.3)]
#[case(Tier::S2, 60.0, 1_500, 1.3)]
// On F1 even the trickle is more than the day: 0.1 reads/s of 3 messages.
#[case(Tier::F1, 60.0, 1_500, 40.0)]
fn our_share_is_not_passed_by_much(
    #[case] tier: Tier,
    #[case] wanted: f64,
    #[case] bytes: usize,
    #[case] most: f64,
) {
    let mut quota = Quota::new(tier, 1, 0.1);
    let midnight = at("2026-01-01T00:00:00Z");
    let mut owed = 0.0;
    for second in 0..DAY {
        let now = midnight + jiff::SignedDuration::from_secs(second);
        let rate = quota.cap(60.0, now).map_or(wanted, |cap| cap.min(wanted));
        assert!(rate >= TRICKLE);
        owed += rate;
        while owed >= 1.0 {
            owed -= 1.0;
            quota.spend_read(bytes, now);
        }
    }
    let spent = quota.spent(at("2026-01-01T23:59:59Z")) as f64;
    assert!(spent <= most * quota.ours(), "{spent} of {}", quota.ours());
}

#[test]
fn the_rate_sinks_steadily_and_ends_in_a_trickle() {
    let mut quota = Quota::new(Tier::S1, 1, 0.1);
    let mut before = 60.0;
    let mut steps = 0;
    for _ in 0..50_000 {
        quota.spend(1, noon());
        let cap = quota.cap(60.0, noon()).unwrap_or(60.0);
        assert!(cap <= before && before - cap < 1.0, "{before} to {cap}");
        steps += u32::from(cap < before);
        before = cap;
    }
    assert!(steps > 1_000);
    assert!((0.10..0.13).contains(&before), "{before}");
}

#[test]
fn a_warning_is_given_once_and_in_time() {
    let mut quota = Quota::new(Tier::S1, 1, 0.1);
    assert_eq!(quota.warning(2.0, noon()), None, "one update in focus");
    for _ in 0..4_001 {
        quota.spend(1, noon());
    }
    assert_eq!(quota.warning(60.0, noon()), Some(Warning::Ahead));
    assert_eq!(quota.warning(60.0, noon()), None);
    for _ in 0..16_000 {
        quota.spend(1, noon());
    }
    assert_eq!(quota.warning(60.0, noon()), Some(Warning::Slowing));
    assert_eq!(quota.warning(60.0, noon()), None);
    // Three minutes before midnight nothing can be spent any more.
    let mut late = Quota::new(Tier::S1, 1, 0.1);
    assert_eq!(late.warning(200.0, at("2026-01-01T23:57:00Z")), None);
}

#[test]
fn a_forecast_counts_starts_and_reads() {
    let quota = Quota::new(Tier::S1, 1, 0.1);
    let ten = Duration::from_secs(600);
    let one = quota.forecast(1, ten, 60.0);
    assert_eq!((one.reads_per_second, one.messages), (2.0, 3 + 1_200));
    assert!(!one.slows);
    let many = quota.forecast(1_000, ten, 60.0);
    assert_eq!((many.reads_per_second, many.messages), (60.0, 39_000));
    assert_eq!(
        many.to_string(),
        "1000 updates, watched for 10 min: 60 reads/s, about 39,000 messages, \
         9.8 % of the hub's day (400,000); reads will slow down, see day_share"
    );
    assert_eq!(quota.forecast(0, ten, 60.0).messages, 0);
    let free = Quota::new(Tier::F1, 1, 0.1).forecast(1, ten, 60.0);
    assert_eq!(free.messages, 5 + 3_600, "a twin is three messages there");
}

#[test]
fn a_twins_size_is_near_its_json() {
    let mut fake = FakeTwin::new("press-7");
    fake.report(json!({"firmwareStatus": "downloading", "a": {"b": [1, 2, 3], "c": null}}));
    let twin = &fake.twin;
    let sections = [&twin.desired, &twin.reported];
    let json: usize = sections
        .iter()
        .map(|s| json!(s.values).to_string().len() + json!(s.metadata).to_string().len())
        .sum();
    let counted = twin_bytes(twin) - 450;
    assert!(counted.abs_diff(json) * 5 <= json, "{counted} of {json}");
}

#[test]
fn the_day_is_shown_in_tenths_of_a_percent() {
    let budget = |spent| Budget {
        spent,
        day: 400_000,
        ..Budget::default()
    };
    assert_eq!(budget(1_600).day_text(), "0.4 %");
    assert_eq!(budget(199).day_text(), "0.0 %");
    assert_eq!(budget(48_000).day_text(), "12.0 %");
    assert!(budget(1_600).looks_as(&budget(1_601)));
    assert!(!budget(1_600).looks_as(&budget(2_000)));
}
