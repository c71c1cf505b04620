//! The day's messages: what the tier sells, what is spent.
//!
//! Twin reads and writes, direct methods (request and answer, the request to a
//! device that is away too), query results and events count, in meters of 4 KB
//! (F1: 0.5 KB), each at least one; the registry, statistics and what the hub
//! refuses do not. The day is one of UTC. Sources: "Azure IoT Hub pricing" and
//! "Reference - IoT Hub quotas and throttling" in `MicrosoftDocs/azure-docs`
//! (`articles/iot-hub/iot-hub-devguide-quotas-throttling.md`).
//!
//! Unconfirmed, and chosen here: a message that is begun below the limit passes
//! whole; a spent hub lets devices connect and listen, answers their twin
//! requests with 403, and ends the link of one that sends an event (MQTT 3.1.1
//! has no other way to refuse it); an empty answer to a method counts as one.

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

use super::World;
use crate::domain::profile::Tier;
use crate::emulator::refusal::{Code, Refusal};

/// A day and what was spent in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// `2026-01-31`, in UTC.
    pub date: String,
    /// Messages in the tier's meter.
    pub messages: u64,
}

/// What is spent of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// The day in UTC, which ends at its midnight.
    pub date: String,
    /// Messages so far.
    pub messages: u64,
    /// How many the day has; `None` is without end.
    pub quota: Option<u64>,
    /// The bytes of one message.
    pub meter_bytes: u64,
}

/// How much a day has, and where it stands.
#[derive(Clone, Debug)]
pub struct Quota {
    limit: Option<u64>,
    meter: u64,
    day: Option<Day>,
}

impl Default for Quota {
    /// Counts in meters of 4 KB and never ends.
    fn default() -> Self {
        Self {
            limit: None,
            meter: 4 * 1024,
            day: None,
        }
    }
}

impl Quota {
    /// The day of `units` units of `tier`; F1 has one unit, always.
    #[must_use]
    pub fn new(tier: Tier, units: u32) -> Self {
        let units = u64::from(units.max(1));
        let (limit, meter) = match tier {
            Tier::F1 => (8_000, 512),
            Tier::S1 => (400_000 * units, 4 * 1024),
            Tier::S2 => (6_000_000 * units, 4 * 1024),
            Tier::S3 => (300_000_000 * units, 4 * 1024),
        };
        Self {
            limit: Some(limit),
            meter,
            day: None,
        }
    }

    /// The day as it stands; `None` before the first message.
    #[must_use]
    pub fn day(&self) -> Option<Day> {
        self.day.clone()
    }

    /// Goes on with a day that was kept.
    pub fn continue_from(&mut self, day: Day) {
        self.day = Some(day);
    }

    fn today(&mut self, now: Timestamp) -> &mut Day {
        let date = date(now);
        let fresh = || Day {
            date: date.clone(),
            messages: 0,
        };
        let day = self.day.get_or_insert_with(fresh);
        if day.date != date {
            *day = fresh();
        }
        day
    }

    fn spent(&self, now: Timestamp) -> u64 {
        let today = self.day.as_ref().filter(|day| day.date == date(now));
        today.map_or(0, |day| day.messages)
    }
}

fn date(now: Timestamp) -> String {
    Offset::UTC.to_datetime(now).date().to_string()
}

impl World {
    /// Counts and limits the days' messages as `quota` says from now on.
    pub fn limit_days(&mut self, quota: Quota) {
        let day = self.quota.day.take();
        self.quota = Quota { day, ..quota };
    }

    /// Is there anything left of the day?
    ///
    /// # Errors
    /// 403 `IotHubQuotaExceeded`.
    pub fn day_allows(&self, now: Timestamp) -> Result<(), Refusal> {
        let spent = self.quota.spent(now);
        match self.quota.limit {
            Some(limit) if spent >= limit => Err(Refusal::new(
                Code::IotHubQuotaExceeded,
                format!(
                    "The messages of the day are spent: {spent} of {limit}. \
                     The next day begins at midnight UTC."
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Counts something of so many bytes.
    pub fn bill(&mut self, bytes: usize, now: Timestamp) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let messages = bytes.div_ceil(self.quota.meter).max(1);
        self.spend(messages, now);
    }

    /// Counts so many messages at once: how a test, or a drill, begins with a
    /// day that is nearly over.
    pub fn spend(&mut self, messages: u64, now: Timestamp) {
        let limit = self.quota.limit;
        let day = self.quota.today(now);
        let before = day.messages;
        day.messages = before.saturating_add(messages);
        if let Some(limit) = limit
            && before < limit
            && day.messages >= limit
        {
            tracing::warn!(limit, date = day.date, "the day's messages are spent");
        }
    }

    /// What is spent of the day.
    #[must_use]
    pub fn usage(&self, now: Timestamp) -> Usage {
        Usage {
            date: date(now),
            messages: self.quota.spent(now),
            quota: self.quota.limit,
            meter_bytes: self.quota.meter,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::world::seeded_entropy;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[rstest::rstest]
    #[case(Tier::F1, 1, 8_000, 512)]
    #[case(Tier::F1, 9, 8_000, 512)]
    #[case(Tier::S1, 1, 400_000, 4_096)]
    #[case(Tier::S1, 3, 1_200_000, 4_096)]
    #[case(Tier::S2, 2, 12_000_000, 4_096)]
    #[case(Tier::S3, 1, 300_000_000, 4_096)]
    fn a_day_of_each_tier(
        #[case] tier: Tier,
        #[case] units: u32,
        #[case] quota: u64,
        #[case] meter_bytes: u64,
    ) {
        let mut world = World::new(seeded_entropy(1));
        world.limit_days(Quota::new(tier, units));
        let now = at("2026-01-31T12:00:00Z");
        let usage = Usage {
            date: "2026-01-31".to_owned(),
            messages: 0,
            quota: Some(quota),
            meter_bytes,
        };
        assert_eq!(world.usage(now), usage);
        world.spend(quota - 1, now);
        assert_eq!(world.day_allows(now), Ok(()));
        world.spend(1, now);
        let refusal = world.day_allows(now).unwrap_err();
        assert_eq!(refusal.code, Code::IotHubQuotaExceeded);
    }

    #[rstest::rstest]
    #[case(0, 1)]
    #[case(512, 1)]
    #[case(513, 2)]
    #[case(4_096, 8)]
    fn what_is_billed_in_half_kilobytes(#[case] bytes: usize, #[case] messages: u64) {
        let mut world = World::new(seeded_entropy(1));
        world.limit_days(Quota::new(Tier::F1, 1));
        let now = at("2026-01-31T12:00:00Z");
        world.bill(bytes, now);
        assert_eq!(world.usage(now).messages, messages);
    }

    #[test]
    fn the_day_ends_at_midnight_utc() {
        let mut world = World::new(seeded_entropy(1));
        world.limit_days(Quota::new(Tier::F1, 1));
        let late = at("2026-01-31T23:59:59.9Z");
        world.spend(8_000, late);
        assert!(world.day_allows(late).is_err());
        let midnight = at("2026-02-01T00:00:00Z");
        assert_eq!(world.day_allows(midnight), Ok(()));
        assert_eq!(world.usage(midnight).messages, 0);
        world.bill(1, midnight);
        assert_eq!(world.usage(midnight).messages, 1);
        // Kept and gone on with, by whoever comes next.
        let ledger = world.ledger();
        let mut next = World::new(seeded_entropy(2));
        next.continue_from(&ledger);
        assert_eq!(next.usage(midnight).messages, 1);
    }

    #[test]
    fn without_a_tier_it_is_counted_and_never_ends() {
        let mut world = World::new(seeded_entropy(1));
        let now = at("2026-01-31T12:00:00Z");
        world.spend(u64::MAX, now);
        world.bill(1, now);
        assert_eq!(world.day_allows(now), Ok(()));
        assert_eq!(world.usage(now).quota, None);
    }
}
