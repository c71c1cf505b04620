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
    let one = quota.forecast(1, ten, 60.0, noon());
    assert_eq!((one.reads_per_second, one.messages), (2.0, 4 + 1_200));
    assert!(!one.is_much());
    assert_eq!(
        one.to_string(),
        "1 update, watched for 10 min: up to 2 reads/s, about 1,204 messages, \
         0.3 % of a day of the hub (400,000)"
    );
    assert_eq!(quota.forecast(0, ten, 60.0, noon()).messages, 0);
}

/// What is said to be spent is what will be: no more than our share and a little.
#[rstest::rstest]
#[case::many(Tier::S1, 0.1, 1_000, 600)]
#[case::one_on_a_free_hub(Tier::F1, 0.1, 1, 600)]
#[case::a_day(Tier::S1, 0.1, 300, 86_400)]
#[case::a_small_share(Tier::S1, 0.0001, 2, 600)]
fn a_forecast_stays_near_our_share(
    #[case] tier: Tier,
    #[case] share: f64,
    #[case] updates: usize,
    #[case] seconds: u64,
) {
    let quota = Quota::new(tier, 1, share);
    let forecast = quota.forecast(updates, Duration::from_secs(seconds), 60.0, noon());
    let days = 2.0;
    let trickle = TRICKLE * quota.per_read * seconds as f64;
    let most = days * 1.3 * quota.ours() + forecast.starting as f64 + trickle;
    assert!((forecast.messages as f64) <= most, "{forecast}");
    assert!(forecast.is_much(), "{forecast}");
    assert!(
        forecast.late.is_some_and(|late| late.as_secs() > 1),
        "{forecast}"
    );
    let text = forecast.to_string();
    assert!(text.contains("a change is seen up to"), "{text}");
}

#[test]
fn starts_that_no_day_has_room_for_are_told() {
    let quota = Quota::new(Tier::F1, 1, 0.1);
    let text = quota
        .forecast(5_000, Duration::from_secs(600), 60.0, noon())
        .to_string();
    assert!(text.contains("before all are started"), "{text}");
}

/// A forecast is what really happens when as much is read as is allowed.
#[test]
fn a_forecast_comes_true() {
    let mut quota = Quota::new(Tier::S1, 1, 0.1);
    let forecast = quota.forecast(1_000, Duration::from_secs(3_600), 60.0, noon());
    quota.add(forecast.starting, noon());
    let mut owed = 0.0;
    for second in 0..3_600 {
        let now = noon() + jiff::SignedDuration::from_secs(second);
        owed += quota.cap(60.0, now).unwrap_or(60.0);
        while owed >= 1.0 {
            owed -= 1.0;
            quota.spend_read(1_500, now);
        }
    }
    let spent = quota.spent(noon() + jiff::SignedDuration::from_secs(3_600));
    let off = spent.abs_diff(forecast.messages) as f64 / spent as f64;
    assert!(off < 0.02, "{spent}, and {} forecast", forecast.messages);
}

#[test]
fn what_was_spent_before_counts() {
    let mut quota = Quota::new(Tier::S1, 1, 0.1);
    quota.spent_before(24, noon());
    quota.spend(1, noon());
    assert_eq!(quota.spent(noon()), 25);
    assert_eq!(quota.spent(at("2026-01-02T00:00:00Z")), 0);
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
