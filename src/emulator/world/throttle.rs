//! The rates of a tier: first a queue, then 429.
//!
//! Rates: "Reference - IoT Hub quotas and throttling" in `MicrosoftDocs/azure-docs`
//! (`articles/iot-hub/iot-hub-devguide-quotas-throttling.md`). Requests above
//! the rate are held back for some seconds before they are refused, as notes on
//! a live hub say (`mwalser/terraform-provider-iothub`, `CONCEPT.md`).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::profile::Tier;
use crate::emulator::refusal::{Code, Refusal};

/// The longest that a request is held back.
const PATIENCE: SignedDuration = SignedDuration::from_millis(3_200);

/// What is metered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// An identity read or written.
    Registry,
    /// A twin read.
    TwinRead,
    /// A twin written, by either side.
    TwinUpdate,
    /// A direct method; the number is its payload in meters of 4 KB.
    Method(u32),
    /// A page of a query.
    Query,
    /// A device that connects.
    Connect,
    /// An event of a device.
    Event,
}

impl Operation {
    /// A direct method with a payload of `bytes`.
    #[must_use]
    pub fn method(bytes: usize) -> Self {
        let meters = bytes.div_ceil(4 * 1024).max(1);
        Self::Method(u32::try_from(meters).unwrap_or(u32::MAX))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Registry => "DeviceRegistry",
            Self::TwinRead => "DeviceTwinRead",
            Self::TwinUpdate => "DeviceTwinUpdate",
            Self::Method(_) => "DirectMethod",
            Self::Query => "Query",
            Self::Connect => "DeviceConnect",
            Self::Event => "DeviceToCloudSend",
        }
    }
}

/// A rate with the burst it forgives.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// The time that one operation costs.
    cost: SignedDuration,
    /// The most that may be saved up.
    burst: SignedDuration,
    /// When all that was admitted is paid for.
    paid: Option<Timestamp>,
}

impl Bucket {
    /// So many operations each `seconds`, all of which may come at once.
    fn new(operations: f64, seconds: f64) -> Self {
        Self {
            cost: SignedDuration::try_from_secs_f64(seconds / operations.max(1e-6))
                .unwrap_or(SignedDuration::ZERO),
            burst: SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::ZERO),
            paid: None,
        }
    }

    /// How long to wait; `None` is too long.
    fn admit(&mut self, count: u32, now: Timestamp) -> Option<SignedDuration> {
        let saved = now - self.burst;
        let paid = self.paid.map_or(saved, |paid| paid.max(saved));
        let after = paid + self.cost * i32::try_from(count).unwrap_or(i32::MAX);
        let wait = (after - now).max(SignedDuration::ZERO);
        (wait <= PATIENCE).then(|| {
            self.paid = Some(after);
            wait
        })
    }
}

/// The rates of one hub.
#[derive(Clone, Debug)]
pub struct Throttle {
    registry: Bucket,
    twin_read: Bucket,
    twin_update: Bucket,
    method: Bucket,
    query: Bucket,
    connect: Bucket,
    event: Bucket,
}

impl Throttle {
    /// The rates of `units` units of `tier`.
    #[must_use]
    pub fn new(tier: Tier, units: u32) -> Self {
        // F1 has one unit, always.
        let units = match tier {
            Tier::F1 => 1.0,
            _ => f64::from(units.max(1)),
        };
        let per_second = |rate: f64| Bucket::new(rate, 1.0);
        let per_minute = |rate: f64| Bucket::new(rate, 60.0);
        match tier {
            Tier::F1 | Tier::S1 => Self {
                registry: per_minute(100.0 * units),
                twin_read: per_second(100.0),
                twin_update: per_second(50.0),
                method: per_second(40.0 * units),
                query: per_minute(20.0 * units),
                connect: per_second(f64::max(100.0, 12.0 * units)),
                event: per_second(f64::max(100.0, 12.0 * units)),
            },
            Tier::S2 => Self {
                registry: per_minute(100.0 * units),
                twin_read: per_second(f64::max(100.0, 10.0 * units)),
                twin_update: per_second(f64::max(50.0, 5.0 * units)),
                method: per_second(120.0 * units),
                query: per_minute(20.0 * units),
                connect: per_second(120.0 * units),
                event: per_second(120.0 * units),
            },
            Tier::S3 => Self {
                registry: per_minute(5_000.0 * units),
                twin_read: per_second(500.0 * units),
                twin_update: per_second(250.0 * units),
                method: per_second(6_144.0 * units),
                query: per_minute(1_000.0 * units),
                connect: per_second(6_000.0 * units),
                event: per_second(6_000.0 * units),
            },
        }
    }

    /// How long `operation` is held back.
    ///
    /// # Errors
    /// 429 in the hub's words when that would be too long.
    pub fn admit(&mut self, operation: Operation, now: Timestamp) -> Result<Duration, Refusal> {
        let (bucket, count) = match operation {
            Operation::Registry => (&mut self.registry, 1),
            Operation::TwinRead => (&mut self.twin_read, 1),
            Operation::TwinUpdate => (&mut self.twin_update, 1),
            Operation::Method(meters) => (&mut self.method, meters),
            Operation::Query => (&mut self.query, 1),
            Operation::Connect => (&mut self.connect, 1),
            Operation::Event => (&mut self.event, 1),
        };
        let wait = bucket.admit(count, now).ok_or_else(|| {
            Refusal::new(
                Code::ThrottlingBacklogTimeout,
                format!(
                    "The request has been throttled. Wait 10 seconds and try again. \
                     Operation type: {}",
                    operation.name()
                ),
            )
        })?;
        Ok(wait.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + millis).unwrap()
    }

    #[test]
    fn a_burst_passes_the_next_wait_and_then_come_refusals() {
        let mut throttle = Throttle::new(Tier::S1, 1);
        let waits: Vec<_> = (0..600)
            .map(|_| throttle.admit(Operation::TwinRead, at(0)))
            .collect();
        assert!(waits[..100].iter().all(|w| *w == Ok(Duration::ZERO)));
        assert_eq!(waits[100], Ok(Duration::from_millis(10)));
        assert_eq!(waits[419], Ok(Duration::from_millis(3_200)));
        let refusal = waits[420].clone().unwrap_err();
        assert_eq!(refusal.code, Code::ThrottlingBacklogTimeout);
        assert!(refusal.message.ends_with("Operation type: DeviceTwinRead"));
    }

    #[test]
    fn the_rate_is_held_and_pauses_are_not_saved_for_ever() {
        let mut throttle = Throttle::new(Tier::S1, 1);
        let mut admitted = 0;
        for millis in 0..10_000 {
            admitted += u32::from(throttle.admit(Operation::TwinRead, at(millis)).is_ok());
        }
        // Ten seconds at 100/s, the first second's burst, and the backlog.
        assert!((1_000..=1_430).contains(&admitted), "{admitted}");
        let burst = (0..1_000)
            .filter(|_| throttle.admit(Operation::TwinRead, at(3_600_000)) == Ok(Duration::ZERO))
            .count();
        assert_eq!(burst, 100);
    }

    /// How many of each pass at once, and in how many milliseconds the next one
    /// would: the rates of the published table.
    #[rstest::rstest]
    #[case(Tier::F1, 7, Operation::Registry, 100, 600.0)]
    #[case(Tier::S1, 2, Operation::Registry, 200, 300.0)]
    #[case(Tier::S2, 1, Operation::Registry, 100, 600.0)]
    #[case(Tier::S3, 1, Operation::Registry, 5_000, 12.0)]
    #[case(Tier::F1, 1, Operation::TwinRead, 100, 10.0)]
    #[case(Tier::S1, 200, Operation::TwinRead, 100, 10.0)]
    #[case(Tier::S2, 3, Operation::TwinRead, 100, 10.0)]
    #[case(Tier::S2, 20, Operation::TwinRead, 200, 5.0)]
    #[case(Tier::S3, 2, Operation::TwinRead, 1_000, 1.0)]
    #[case(Tier::S1, 9, Operation::TwinUpdate, 50, 20.0)]
    #[case(Tier::S2, 20, Operation::TwinUpdate, 100, 10.0)]
    #[case(Tier::S3, 2, Operation::TwinUpdate, 500, 2.0)]
    #[case(Tier::S1, 1, Operation::Method(1), 40, 25.0)]
    #[case(Tier::S1, 2, Operation::Method(2), 40, 25.0)]
    #[case(Tier::S2, 1, Operation::Method(1), 120, 1000.0 / 120.0)]
    #[case(Tier::S3, 1, Operation::Method(1), 6_144, 1000.0 / 6_144.0)]
    #[case(Tier::F1, 1, Operation::Query, 20, 3_000.0)]
    #[case(Tier::S1, 3, Operation::Query, 60, 1_000.0)]
    #[case(Tier::S3, 1, Operation::Query, 1_000, 60.0)]
    #[case(Tier::S1, 1, Operation::Connect, 100, 10.0)]
    #[case(Tier::S1, 10, Operation::Event, 120, 1000.0 / 120.0)]
    #[case(Tier::S2, 2, Operation::Event, 240, 1000.0 / 240.0)]
    #[case(Tier::S3, 1, Operation::Connect, 6_000, 1000.0 / 6_000.0)]
    fn the_rates_of_each_tier(
        #[case] tier: Tier,
        #[case] units: u32,
        #[case] operation: Operation,
        #[case] at_once: usize,
        #[case] millis: f64,
    ) {
        let mut throttle = Throttle::new(tier, units);
        let mut admit = || throttle.admit(operation, at(0)).unwrap();
        // A rate that is no whole number of nanoseconds leaves some over.
        assert!((0..at_once).all(|_| admit() < Duration::from_micros(10)));
        let wait = admit().as_secs_f64() * 1e3;
        assert!((wait - millis).abs() < 0.01, "{wait} ms");
    }

    #[test]
    fn a_large_method_costs_more() {
        assert_eq!(Operation::method(0), Operation::Method(1));
        assert_eq!(Operation::method(4_096), Operation::Method(1));
        assert_eq!(Operation::method(4_097), Operation::Method(2));
    }
}
