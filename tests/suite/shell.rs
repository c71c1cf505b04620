//! The engine at work without a socket: the emulator's world and a device's
//! firmware, both pure, behind `hub::Service`, on a paused clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use otadeck::device::{Firmware, Input, Moment, Output, WallTime};
use otadeck::domain::dialect::Dialects;
use otadeck::domain::event::{Command, Event, InventoryState, Start, What};
use otadeck::domain::id::DeviceId;
use otadeck::domain::method::MethodAnswer;
use otadeck::domain::twin::Twin;
use otadeck::domain::uri::PackageUri;
use otadeck::emulator::world::etag::IfMatch;
use otadeck::emulator::world::{World, seeded_entropy};
use otadeck::engine::{Batch, Settings, Subscription, Unwritten, spawn};
use otadeck::hub::{
    Grant, HubError, Identity, Page, Permit, Query, Service, TagGrant, TagPermit, wire,
};
use otadeck::journal::Journal;
use otadeck::scenario::Scenario;
use tokio::time::Instant;

use super::support::{id, profile};

/// A hub of devices that live when they are looked at: what they did since the
/// last look is done then, stamped with the time at which it happened.
struct Pure {
    state: Mutex<(World, BTreeMap<DeviceId, Firmware>)>,
    began: Instant,
    wall: Timestamp,
}

impl Pure {
    fn new(devices: usize, scenario: &str) -> Arc<Self> {
        Self::of(devices, &Scenario::load(scenario).unwrap())
    }

    fn of(devices: usize, scenario: &Scenario) -> Arc<Self> {
        let rules = scenario.rules();
        let (began, wall) = (Instant::now(), Timestamp::now());
        let mut world = World::new(seeded_entropy(7));
        let mut firmwares = BTreeMap::new();
        for n in 0..devices {
            let device = id(&format!("d{n:04}"));
            world.ensure_identity(&device, wall);
            let mut firmware = Firmware::new(rules.behaviour(device.as_str()), "hub.test");
            let outputs = firmware.step(Input::Started, moment(wall, Duration::ZERO));
            report(&mut world, &device, outputs, wall);
            firmwares.insert(device, firmware);
        }
        Arc::new(Self {
            state: Mutex::new((world, firmwares)),
            began,
            wall,
        })
    }

    /// The hub's clock.
    fn now(&self) -> Timestamp {
        self.wall + self.began.elapsed()
    }

    /// Lets the device live up to now, then does `then` with it.
    fn live<T>(
        &self,
        device: &DeviceId,
        then: impl FnOnce(&mut World, &mut Firmware, Moment) -> T,
    ) -> T {
        let elapsed = self.began.elapsed();
        let (world, firmwares) = &mut *self.state.lock().unwrap();
        let firmware = firmwares.get_mut(device).unwrap();
        while let Some(at) = firmware.wake_at().filter(|at| *at <= elapsed) {
            let outputs = firmware.step(Input::Tick, moment(self.wall, at));
            report(world, device, outputs, self.wall + at);
        }
        then(world, firmware, moment(self.wall, elapsed))
    }
}

fn moment(wall: Timestamp, now: Duration) -> Moment {
    Moment {
        now,
        wall: WallTime::of(wall + now, &TimeZone::UTC),
        chance: 0.5,
    }
}

fn report(world: &mut World, device: &DeviceId, outputs: Vec<Output>, at: Timestamp) {
    for output in outputs {
        if let Output::Report { patch, .. } = output {
            world
                .report(device, patch.as_object().unwrap(), at)
                .unwrap();
        }
    }
}

impl Service for Pure {
    async fn twin(&self, device: &DeviceId) -> Result<Twin, HubError> {
        let twin = self.live(device, |world, _, _| world.twin(device));
        wire::twin(twin.unwrap()).map_err(HubError::Unreadable)
    }

    async fn page(&self, query: &Query, continuation: Option<&str>) -> Result<Page, HubError> {
        let page = self
            .state
            .lock()
            .unwrap()
            .0
            .query(query.text(), Some(1_000), continuation);
        let page = page.map_err(|refusal| HubError::Unreadable(refusal.message))?;
        let rows = page
            .items
            .into_iter()
            .filter_map(|item| query.row(item, self.now()));
        Ok(Page {
            rows: rows.collect(),
            skipped: 0,
            bytes: 0,
            continuation: page.continuation,
        })
    }

    async fn identity(&self, device: &DeviceId) -> Result<Identity, HubError> {
        let answer = self.state.lock().unwrap().0.identity(device);
        let answer = answer.map_err(|refusal| HubError::Unreadable(refusal.message))?;
        wire::identity(answer.body).map_err(HubError::Unreadable)
    }

    async fn invoke(&self, permit: Permit) -> Result<MethodAnswer, HubError> {
        let call = permit.into_call();
        let payload = call.payload.to_string();
        let answer = self.live(&call.device, |world, firmware, moment| {
            let method = Input::Method {
                name: &call.method,
                payload: payload.as_bytes(),
            };
            let outputs = firmware.step(method, moment);
            let answer = outputs.iter().find_map(|output| match output {
                Output::Answer { status, payload } => Some(MethodAnswer {
                    status: i64::from(*status),
                    payload: payload.clone(),
                }),
                _ => None,
            });
            report(world, &call.device, outputs, moment.wall.utc);
            answer
        });
        answer.ok_or_else(|| HubError::NoAnswer {
            host: "pure".into(),
            cause: "the device is silent".into(),
        })
    }

    async fn write_tag(&self, permit: TagPermit) -> Result<Twin, HubError> {
        let write = permit.into_write();
        let patch = wire::tag_patch(&write);
        let if_match = IfMatch::Etag(write.etag().to_owned());
        let twin = self.live(write.device(), |world, _, moment| {
            let patch = patch.as_object().unwrap();
            world.patch_twin(write.device(), &if_match, patch, moment.wall.utc)
        });
        let twin = twin.map_err(|refusal| HubError::Unreadable(refusal.message))?;
        wire::twin(twin).map_err(HubError::Unreadable)
    }
}

/// The next events, with the time at which they came.
async fn next(events: &mut Subscription) -> (Instant, Arc<[Event]>) {
    match events.next().await {
        Some(Batch::Events(events)) => (Instant::now(), events),
        other => panic!("{other:?}"),
    }
}

fn start(device: &str) -> Command {
    Command::Start(Start {
        device: id(device),
        uri: PackageUri::parse("https://elsewhere.test/fw-1.5.0.bin").unwrap(),
        expect: None,
        reason: None,
        sha256: None,
        force: None,
        over: None,
    })
}

/// Each change on a device is told within 500 ms when its update is in focus, as
/// the only one is, and within a second beside others; on the average over changes
/// that come at any time in some half of that: what a perfect poll gives.
#[rstest::rstest]
#[case::in_focus(1, 500)]
#[case::beside_others(16, 1_000)]
#[tokio::test(start_paused = true)]
async fn a_change_is_told_within_one_interval(#[case] at_once: usize, #[case] interval: u64) {
    // Each device changes at another moment of a poll, wherever that begins.
    let mut text = "description = \"tutorial devices, each a little later\"\n".to_owned();
    for n in 0..16 {
        let step = |factor: usize| 15_000 + n * factor % 16 * 31;
        let [waiting, downloading, applying] = [7, 5, 3].map(step);
        text += &format!(
            "[[device]]\nids = [\"d{n:04}\"]\nwaiting = \"{waiting}ms\"\n\
             downloading = \"{downloading}ms\"\napplying = \"{applying}ms\"\n"
        );
    }
    let hub = Pure::of(16, &Scenario::parse(&text).unwrap());
    let journal = Journal::in_memory("ana").unwrap();
    let running = spawn(
        Arc::clone(&hub),
        journal,
        Settings::new(profile("pure"), Dialects::built_in()),
    );
    let engine = running.engine();
    let mut events = engine.subscribe();
    let mut waiting = (0..16).map(|n| start(&format!("d{n:04}")));
    for order in waiting.by_ref().take(at_once) {
        engine.send(order).await.unwrap();
    }
    let mut delays = Vec::new();
    let mut ended = 0;
    while ended < 16 {
        let (came, batch) = next(&mut events).await;
        for event in batch.iter() {
            match &event.what {
                What::Phase { evidence, .. } => {
                    let changed = evidence.hub_time.unwrap().duration_since(hub.wall);
                    let changed = hub.began + Duration::try_from(changed).unwrap();
                    delays.push(came.duration_since(changed));
                }
                What::Verdict { outcome, .. } => {
                    assert_eq!(outcome.name(), "completed");
                    ended += 1;
                    if let Some(order) = waiting.next() {
                        engine.send(order).await.unwrap();
                    }
                }
                What::Refused { problem } => panic!("{problem}"),
                _ => {}
            }
        }
    }
    running.stop().await.unwrap();
    assert_eq!(delays.len(), 16 * 3, "downloading, applying, done");
    let worst = delays.iter().max().unwrap();
    // A millisecond for the timer's grain, others for slots that are taken.
    let interval = Duration::from_millis(interval);
    assert!(*worst <= interval * 21 / 20, "{worst:?}");
    let mean = delays.iter().sum::<Duration>() / 48;
    assert!(mean <= interval * 64 / 100, "{mean:?}");
}

#[tokio::test(start_paused = true)]
async fn an_inventory_of_many_pages_and_a_snapshot_for_whoever_comes_late() {
    let hub = Pure::new(3_500, "quick");
    let journal = Journal::in_memory("ana").unwrap();
    let running = spawn(
        hub,
        journal,
        Settings::new(profile("pure"), Dialects::built_in()),
    );
    let engine = running.engine();
    let mut events = engine.subscribe();
    engine.send(Command::List).await.unwrap();
    let mut rows = 0;
    'listing: loop {
        for event in next(&mut events).await.1.iter() {
            match &event.what {
                What::Device { .. } => rows += 1,
                What::Inventory {
                    state: InventoryState::Complete,
                    count,
                    ..
                } => {
                    assert_eq!(*count, 3_500);
                    break 'listing;
                }
                _ => {}
            }
        }
    }
    assert_eq!(rows, 3_500);
    let snapshot = engine.snapshot().await.unwrap();
    assert_eq!(snapshot.rows.len(), 3_500);
    assert!(snapshot.rows.is_sorted_by(|a, b| a.device_id < b.device_id));
    running.stop().await.unwrap();
    assert!(engine.snapshot().await.is_err(), "the engine has ended");
}

/// A device is deleted and created again while it downloads; its firmware knows
/// nothing of that and goes on. The registry tells of the new generation, and
/// what the device reports in its new twin has to show a run by itself.
#[tokio::test(start_paused = true)]
async fn a_device_that_is_created_again_is_told_and_owes_a_sign() {
    let hub = Pure::new(1, "tutorial");
    let journal = Journal::in_memory("ana").unwrap();
    let running = spawn(
        Arc::clone(&hub),
        journal,
        Settings::new(profile("pure"), Dialects::built_in()),
    );
    let engine = running.engine();
    let mut events = engine.subscribe();
    engine.send(start("d0000")).await.unwrap();
    let mut words = Vec::new();
    let mut generation = None;
    'story: loop {
        for event in next(&mut events).await.1.iter() {
            match &event.what {
                What::Phase { phase, .. } => {
                    words.push(phase.name().to_owned());
                    if words.len() == 1 {
                        let device = id("d0000");
                        let (now, mut state) = (hub.now(), hub.state.lock().unwrap());
                        let world = &mut state.0;
                        world.delete_identity(&device, &IfMatch::Any, now).unwrap();
                        world.ensure_identity(&device, now);
                    }
                }
                What::State { state, .. } => words.push(state.name().to_owned()),
                What::Replaced { generation_id, .. } => {
                    words.push("replaced".to_owned());
                    generation.clone_from(generation_id);
                }
                What::Verdict { outcome, .. } => {
                    words.push(outcome.name().to_owned());
                    break 'story;
                }
                _ => {}
            }
        }
    }
    running.stop().await.unwrap();
    assert_eq!(
        words,
        [
            "downloading",
            "replaced",
            "unknown",
            "back",
            "applying",
            "done",
            "completed"
        ]
    );
    let identity = hub.identity(&id("d0000")).await.unwrap();
    assert_eq!(generation, Some(identity.generation_id));
}

/// The end has deadlines of its own, also where the disk hangs. The clock is
/// paused, so this is the sum of what the engine allows itself.
#[tokio::test(start_paused = true)]
async fn a_journal_that_hangs_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, "ana").unwrap();
    let hub = Pure::new(1, "quick");
    let settings = Settings::new(profile("hub.test"), Dialects::built_in());
    let running = spawn(hub, journal, settings);
    let engine = running.engine();
    // Whatever it waits for before, it is at rest then.
    engine.snapshot().await.unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.busy_timeout(Duration::from_secs(60)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let uri = PackageUri::parse("https://example.test/fw.bin").unwrap();
    let start = Start {
        device: id("d0000"),
        uri,
        expect: None,
        force: None,
        over: None,
        sha256: None,
        reason: None,
    };
    engine.send(Command::Start(start)).await.unwrap();
    // The intent waits for the disk; nothing is sent.
    while engine.snapshot().await.unwrap().starting.is_empty() {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    let ended = running.stop().await;
    let took = began.elapsed();
    let events = Vec::new();
    assert_eq!(ended, Err(Unwritten { events }));
    assert!(took <= Duration::from_millis(1_400), "{took:?}");
    other.execute_batch("ROLLBACK").unwrap();
}
