//! The world as it was some seconds ago, for reads that lag.
//!
//! A version of a device is kept as long as a lagging read can still see it.
//! Versions closer than a sixty-fourth of the lag are not told apart, so a
//! device has some seventy at most, however fast it reports; what such a read
//! sees is then older than the lag by that much, never younger.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::row::Row;
use super::{Device, World};
use crate::domain::id::DeviceId;
use crate::emulator::query::{self, Page};
use crate::emulator::refusal::Refusal;

/// How finely a lag is told apart.
const GRAINS: i32 = 64;

/// The devices as they were, back to the longest lag.
#[derive(Debug)]
pub struct Past {
    /// The longest time that is looked back.
    reach: SignedDuration,
    devices: BTreeMap<DeviceId, VecDeque<Version>>,
    /// When which device got a version, to let the old ones go.
    noted: VecDeque<(Timestamp, DeviceId)>,
}

/// What a device was from some time on; `None` is: not there.
#[derive(Debug)]
struct Version {
    since: Timestamp,
    device: Option<Device>,
}

impl Past {
    /// Begins with `world` as if it had always been so.
    #[must_use]
    pub fn of(world: &World, reach: Duration) -> Self {
        let version = |device: &Device| Version {
            since: Timestamp::MIN,
            device: Some(device.clone()),
        };
        let devices = world.devices.iter();
        Self {
            reach: SignedDuration::try_from(reach).unwrap_or(SignedDuration::MAX),
            devices: devices
                .map(|(id, device)| (id.clone(), VecDeque::from([version(device)])))
                .collect(),
            noted: VecDeque::new(),
        }
    }

    /// Takes in that a device is now so; `None` is: deleted.
    pub fn note(&mut self, id: &DeviceId, device: Option<&Device>, now: Timestamp) {
        self.forget(now);
        let versions = self.devices.entry(id.clone()).or_default();
        let close =
            |a: &Version, b: &Version| b.since.duration_since(a.since) < self.reach / GRAINS;
        if let [.., before, last] = versions.make_contiguous()
            && close(before, last)
        {
            versions.pop_back();
        }
        versions.push_back(Version {
            since: now,
            device: device.cloned(),
        });
        self.noted.push_back((now, id.clone()));
    }

    /// A twin as the service API would have shown it `lag` ago.
    ///
    /// # Errors
    /// 404 when it was not there.
    pub fn twin(&self, id: &DeviceId, lag: Duration, now: Timestamp) -> Result<Value, Refusal> {
        let versions = self.devices.get(id);
        versions
            .and_then(|versions| at(versions, then(now, lag)))
            .map(|device| device.twin_json(id))
            .ok_or_else(|| Refusal::no_device(id.as_str()))
    }

    /// One page of a query over the world as it was `lag` ago; see
    /// [`World::query`].
    ///
    /// # Errors
    /// As there.
    pub fn query(
        &self,
        asked: (&str, Option<usize>, Option<&str>),
        lag: Duration,
        now: Timestamp,
    ) -> Result<Page, Refusal> {
        let (text, page_size, continuation) = asked;
        let time = then(now, lag);
        let rows = |after: Option<&str>| -> Box<dyn Iterator<Item = Row<'_>> + '_> {
            use std::ops::Bound::{Excluded, Unbounded};
            let start = after.and_then(|id| DeviceId::parse(id).ok());
            let start = start.as_ref().map_or(Unbounded, Excluded);
            let range = self.devices.range::<DeviceId, _>((start, Unbounded));
            Box::new(range.filter_map(move |(id, versions)| {
                at(versions, time).map(|device| Row { id, device })
            }))
        };
        query::run(text, page_size, continuation, rows)
    }

    /// Lets go what no read can see any more.
    fn forget(&mut self, now: Timestamp) {
        let horizon = now.saturating_sub(self.reach).unwrap_or(Timestamp::MIN);
        while self.noted.front().is_some_and(|(time, _)| *time <= horizon) {
            let Some((_, id)) = self.noted.pop_front() else {
                return;
            };
            let Some(versions) = self.devices.get_mut(&id) else {
                continue;
            };
            while versions.get(1).is_some_and(|next| next.since <= horizon) {
                versions.pop_front();
            }
            if versions.len() == 1 && versions[0].device.is_none() {
                self.devices.remove(&id);
            }
        }
    }
}

fn then(now: Timestamp, lag: Duration) -> Timestamp {
    now.saturating_sub(lag).unwrap_or(Timestamp::MIN)
}

fn at(versions: &VecDeque<Version>, time: Timestamp) -> Option<&Device> {
    let seen = versions.iter().rev().find(|version| version.since <= time);
    seen?.device.as_ref()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::emulator::world::seeded_entropy;

    const LAG: Duration = Duration::from_secs(5);

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap() + Duration::from_secs_f64(seconds)
    }

    fn id(text: &str) -> DeviceId {
        DeviceId::parse(text).unwrap()
    }

    struct Both {
        world: World,
        past: Past,
    }

    impl Both {
        fn new() -> Self {
            let mut world = World::new(seeded_entropy(1));
            world.ensure_identity(&id("old"), at(0.0));
            let past = Past::of(&world, LAG);
            world.track_changes();
            Self { world, past }
        }

        fn change(&mut self, now: f64, change: impl FnOnce(&mut World, Timestamp)) {
            change(&mut self.world, at(now));
            for (id, device) in self.world.changes() {
                self.past.note(id, device, at(now));
            }
            self.world.changes_are_kept();
        }

        fn report(&mut self, now: f64, value: u32) {
            let patch = json!({ "n": value });
            self.change(now, |world, now| {
                world
                    .report(&id("old"), patch.as_object().unwrap(), now)
                    .unwrap();
            });
        }

        fn listed(&self, now: f64) -> Vec<Value> {
            let text = "SELECT deviceId, properties.reported.n AS n FROM devices";
            let page = self.past.query((text, None, None), LAG, at(now));
            page.unwrap().items
        }
    }

    #[test]
    fn queries_see_what_was() {
        let mut both = Both::new();
        both.report(0.0, 1);
        both.change(1.0, |world, now| {
            world.ensure_identity(&id("new"), now);
        });
        both.report(2.0, 2);
        both.change(3.0, |world, now| {
            let any = super::super::etag::IfMatch::read(Some("*"));
            world.delete_identity(&id("old"), &any, now).unwrap();
        });
        assert_eq!(both.listed(4.9), [json!({"deviceId": "old"})]);
        assert_eq!(both.listed(5.5), [json!({"deviceId": "old", "n": 1})]);
        let new = json!({"deviceId": "new"});
        let with = |n: u32| json!({"deviceId": "old", "n": n});
        assert_eq!(both.listed(6.0), [new.clone(), with(1)]);
        assert_eq!(both.listed(7.0), [new.clone(), with(2)]);
        assert_eq!(both.listed(8.0), [new]);
    }

    #[test]
    fn twins_are_those_of_that_time() {
        let mut both = Both::new();
        both.report(0.0, 1);
        both.report(3.0, 2);
        let n = |now| {
            both.past.twin(&id("old"), LAG, at(now)).unwrap()["properties"]["reported"]["n"].clone()
        };
        assert_eq!((n(4.0), n(5.0), n(8.0)), (Value::Null, json!(1), json!(2)));
        assert!(both.past.twin(&id("none"), LAG, at(8.0)).is_err());
    }

    #[test]
    fn a_busy_device_is_remembered_in_bounds_and_never_as_younger_than_it_was() {
        let mut both = Both::new();
        for n in 0..20_000_u32 {
            both.report(f64::from(n) / 1_000.0, n);
        }
        assert!(both.past.devices[&id("old")].len() < 80);
        assert!(both.past.noted.len() < 20_000);
        let twin = both.past.twin(&id("old"), LAG, at(19.999)).unwrap();
        let seen = twin["properties"]["reported"]["n"].as_u64().unwrap();
        assert!((14_800..=14_999).contains(&seen), "{seen}");
    }

    #[test]
    fn the_deleted_are_forgotten() {
        let mut both = Both::new();
        both.change(0.0, |world, now| {
            let any = super::super::etag::IfMatch::read(Some("*"));
            world.delete_identity(&id("old"), &any, now).unwrap();
            world.ensure_identity(&id("b"), now);
        });
        assert_eq!(both.past.devices.len(), 2);
        both.change(6.0, |world, now| {
            world.ensure_identity(&id("c"), now);
        });
        assert_eq!(
            both.past
                .devices
                .keys()
                .map(DeviceId::as_str)
                .collect::<Vec<_>>(),
            ["b", "c"]
        );
    }
}
