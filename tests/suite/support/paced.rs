//! A hub's rates and a day of a console, on clocks of their own: the pure
//! scheduler against the emulator's throttle, and the pure engine. For the tests
//! of the read budget and for its bench.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use otadeck::domain::device::{Connection, DeviceRow, Enablement};
use otadeck::domain::dialect::Dialects;
use otadeck::domain::event::{Command, Event, What};
use otadeck::domain::id::DeviceId;
use otadeck::domain::pace::{Class, Ended, Pace, Read};
use otadeck::domain::profile::{Profile, Tier};
use otadeck::emulator::world::throttle::{Operation, Throttle};
use otadeck::emulator::world::{World, seeded_entropy};
use otadeck::engine::Settings;
use otadeck::engine::core::{Core, Input, Now, Output};
use otadeck::hub::{Page, wire};

pub fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

pub fn profile() -> Profile {
    Profile {
        name: "plant".into(),
        host: "plant.test".into(),
        environment: None,
        read_only: false,
        tier: None,
        units: 1,
    }
}

const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);
/// From here to the hub and back.
pub const WAY: Duration = Duration::from_millis(30);

pub fn midnight() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// A console that watches many updates, reduced to its scheduler.
pub struct Console {
    pub pace: Pace,
    pub chance: f64,
    pub reads: u32,
    /// How long the hub has held its reads back, in all.
    pub held_back: Duration,
    /// When it was refused.
    pub refused: Vec<Duration>,
}

impl Console {
    pub fn new(name: &str, flights: usize, from: Duration, chance: f64) -> Self {
        let mut pace = Pace::new(60);
        for n in 0..flights {
            pace.watch(&id(&format!("{name}-{n}")), Class::Flight, from);
        }
        pace.focus(Some(id(&format!("{name}-0"))), from);
        Self {
            pace,
            chance,
            reads: 0,
            held_back: Duration::ZERO,
            refused: Vec::new(),
        }
    }
}

/// Consoles on one S1 hub, from zero to `end`.
pub struct Hub {
    pub throttle: Throttle,
    pub consoles: Vec<Console>,
    /// What is on its way back: when, whose, which, and what is said.
    answers: BTreeMap<(Duration, usize, u64), Ended>,
    pub now: Duration,
}

impl Hub {
    pub fn new(consoles: Vec<Console>) -> Self {
        Self {
            throttle: Throttle::new(Tier::S1, 1),
            consoles,
            answers: BTreeMap::new(),
            now: Duration::ZERO,
        }
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            while let Some((&(at, whose, ticket), &ended)) = self.answers.first_key_value() {
                if at > self.now {
                    break;
                }
                self.answers.pop_first();
                let console = &mut self.consoles[whose];
                if matches!(ended, Ended::Throttled(_)) {
                    console.refused.push(self.now);
                }
                console.pace.done(ticket, ended, self.now, console.chance);
            }
            for whose in 0..self.consoles.len() {
                for read in self.consoles[whose].pace.due(self.now) {
                    self.ask(whose, &read);
                }
            }
            self.now += MS;
        }
    }

    fn ask(&mut self, whose: usize, read: &Read) {
        self.consoles[whose].reads += 1;
        let wall = midnight() + self.now;
        let (wait, ended) = match self.throttle.admit(Operation::TwinRead, wall) {
            Ok(wait) => (wait, Ended::Answered),
            Err(_) => (Duration::ZERO, Ended::Throttled(Some(10 * SECOND))),
        };
        self.consoles[whose].held_back += wait;
        let key = (self.now + WAY + wait, whose, read.ticket);
        self.answers.insert(key, ended);
    }

    /// How long the hub holds a read back on the average.
    pub fn mean_wait(&self) -> Duration {
        let waits: Duration = self.consoles.iter().map(|c| c.held_back).sum();
        waits / self.reads().iter().sum::<u32>().max(1)
    }

    pub fn reads(&self) -> Vec<u32> {
        self.consoles.iter().map(|c| c.reads).collect()
    }
}

/// A whole engine without a socket, on a clock of its own.
pub struct Engine {
    core: Core,
    pub now: Duration,
    rows: Vec<DeviceRow>,
    page_bytes: usize,
    world: World,
    pub reads: u32,
    pub pages: u32,
    pub told: usize,
    pub spent: u64,
}

impl Engine {
    pub fn new(devices: usize) -> Self {
        let settings = Settings::new(profile(), Dialects::built_in());
        let mut world = World::new(seeded_entropy(7));
        let rows: Vec<DeviceRow> = (0..devices).map(row).collect();
        let text = settings.query.text().to_owned();
        // What a page of the real query weighs, as the emulator answers it.
        for row in rows.iter().take(1_000) {
            world.ensure_identity(&row.device_id, midnight());
            let patch = serde_json::json!({
                "firmwareStatus": "completed", "firmwareVersion": "1.5.0",
                "lastFirmwareUpdate": "2026-10-13T07:31:12Z",
            });
            let patch = patch.as_object().unwrap();
            world.report(&row.device_id, patch, midnight()).unwrap();
        }
        let page = world.query(&text, Some(1_000), None).unwrap();
        let page_bytes = serde_json::to_vec(&page.items).unwrap().len();
        Self {
            core: Core::new(settings),
            now: Duration::ZERO,
            rows,
            page_bytes,
            world,
            reads: 0,
            pages: 0,
            told: 0,
            spent: 0,
        }
    }

    pub fn ask(&mut self, command: Command) {
        self.feed(Input::Command(command));
    }

    /// Time passes: the engine is woken when it wants to be.
    pub fn pass(&mut self, time: Duration) -> u32 {
        let end = self.now + time;
        let mut wakes = 0;
        while let Some(at) = self.core.wake_at().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.feed(Input::Tick);
            wakes += 1;
        }
        self.now = end;
        wakes
    }

    fn feed(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let now = Now {
                at: self.now,
                wall: midnight() + self.now,
                chance: 0.5,
            };
            for output in self.core.handle(input, now) {
                self.perform(output, &mut inputs);
            }
            self.now += MS;
        }
    }

    fn perform(&mut self, output: Output, inputs: &mut Vec<Input>) {
        match output {
            Output::Read { ticket, device } => {
                self.reads += 1;
                let twin = wire::twin(self.world.twin(&device).unwrap()).unwrap();
                inputs.push(Input::Twin {
                    ticket,
                    device,
                    result: Ok(Box::new(twin)),
                });
            }
            Output::List {
                ticket,
                continuation,
                ..
            } => {
                self.pages += 1;
                let from: usize = continuation.map_or(0, |token| token.parse().unwrap());
                let to = (from + 1_000).min(self.rows.len());
                let page = Page {
                    rows: self.rows[from..to].to_vec(),
                    skipped: 0,
                    bytes: self.page_bytes * (to - from) / 1_000,
                    continuation: (to < self.rows.len()).then(|| to.to_string()),
                };
                let result = Ok(page);
                inputs.push(Input::Page { ticket, result });
            }
            Output::Publish(events) => events.iter().for_each(|event| self.hear(event)),
            _ => {}
        }
    }

    fn hear(&mut self, event: &Event) {
        if let What::Budget(budget) = &event.what {
            self.told += 1;
            self.spent = self.spent.max(budget.spent);
        }
    }
}

pub fn row(n: usize) -> DeviceRow {
    DeviceRow {
        device_id: DeviceId::parse(&format!("press-{n:05}")).unwrap(),
        connection: Connection::Connected,
        status: Enablement::Enabled,
        last_activity: None,
        firmware: None,
        reported_status: None,
        phase: None,
        last_update: None,
        tags: Default::default(),
        seen: midnight(),
    }
}
