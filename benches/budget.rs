//! The read budget: how soon a change is seen, how fresh a thousand updates are,
//! how two consoles share a hub, and what a day costs.
//!
//! `cargo bench --bench budget`, two and a half minutes. The first two run the real
//! engine over HTTPS against the real emulator, in one process; each figure
//! stands beside an ideal of the same run, because machines differ and are noisy.
//! The others are simulations on a clock of their own and do not vary.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its figures, and stops when it cannot have them"
)]

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/suite/support/paced.rs"]
mod paced;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use otadeck::domain::dialect::Dialects;
use otadeck::domain::event::{Command, What};
use otadeck::domain::id::{DeviceId, UpdateId};
use otadeck::domain::method::MethodAnswer;
use otadeck::domain::profile::Tier;
use otadeck::domain::twin::Twin;
use otadeck::emulator::{self, Emulator};
use otadeck::engine::{Batch, Running, Settings, Subscription, spawn};
use otadeck::hub::{
    self, Client, ConnectionString, HubError, Identity, Page, Permit, Query, Service, TagPermit,
};
use otadeck::journal::Journal;
use serde_json::json;

use paced::{Console, Engine, Hub, SECOND};

/// Changes of the update in focus.
const CHANGES: u32 = 60;
/// Updates in flight.
const FLIGHTS: usize = 1_000;
/// Reads a second that S1 leaves to one program.
const RATE: f64 = 60.0;
/// How long the thousand are watched, after each was read twice.
const WATCHED: Duration = Duration::from_secs(50);

/// A client that notes when it has read which twin.
struct Noted {
    client: Client,
    reads: Mutex<BTreeMap<DeviceId, Vec<Instant>>>,
    refused: AtomicUsize,
}

impl Service for Noted {
    async fn twin(&self, device: &DeviceId) -> Result<Twin, HubError> {
        let began = Instant::now();
        let twin = self.client.twin(device).await;
        match &twin {
            Ok(_) => {
                let mut reads = self.reads.lock().unwrap();
                reads.entry(device.clone()).or_default().push(began);
            }
            Err(_) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        twin
    }

    async fn page(&self, query: &Query, continuation: Option<&str>) -> Result<Page, HubError> {
        self.client.page(query, continuation).await
    }

    async fn identity(&self, device: &DeviceId) -> Result<Identity, HubError> {
        Service::identity(&self.client, device).await
    }

    async fn invoke(&self, permit: Permit) -> Result<MethodAnswer, HubError> {
        self.client.invoke(permit).await
    }

    async fn write_tag(&self, permit: TagPermit) -> Result<Twin, HubError> {
        self.client.write_tag(permit).await
    }
}

fn client(emulator: &Emulator) -> Client {
    let info = emulator.ready_info();
    let connection = ConnectionString::parse(&info.service_connection_string).unwrap();
    Client::new(hub::Settings::new(connection, Some(info.ca_file)))
}

fn start(emulator: &Emulator) -> (Arc<Noted>, Running) {
    let noted = Arc::new(Noted {
        client: client(emulator),
        reads: Mutex::default(),
        refused: AtomicUsize::new(0),
    });
    let mut profile = paced::profile();
    profile.tier = Some(Tier::S1);
    let settings = Settings::new(profile, Dialects::built_in());
    let journal = Journal::in_memory("bench").unwrap();
    let running = spawn(Arc::clone(&noted), journal, settings);
    (noted, running)
}

async fn hub_of(identities: usize) -> (Emulator, Vec<DeviceId>) {
    let settings = emulator::Settings {
        tier: Some((Tier::S1, 1)),
        ..emulator::Settings::default()
    };
    let emulator = Emulator::start(settings).await.unwrap();
    let made = emulator.create_identities("press", identities).unwrap();
    let ids: Vec<DeviceId> = made.into_iter().map(|(id, _)| id).collect();
    for id in &ids {
        report(&emulator, id, "downloading");
    }
    (emulator, ids)
}

fn report(emulator: &Emulator, device: &DeviceId, status: &str) {
    let patch = json!({ "firmwareStatus": status });
    let patch = patch.as_object().unwrap();
    emulator
        .with_world(|world, now| world.report(device, patch, now))
        .unwrap();
}

/// The next phase that the engine tells of.
async fn next_phase(events: &mut Subscription, value: &str) {
    loop {
        let Some(Batch::Events(batch)) = events.next().await else {
            panic!("the engine has ended, or the bench lags");
        };
        let seen =
            |what: &What| matches!(what, What::Phase { evidence, .. } if evidence.value == *value);
        if batch.iter().any(|event| seen(&event.what)) {
            return;
        }
    }
}

fn mean(times: &[Duration]) -> f64 {
    let sum: f64 = times.iter().map(Duration::as_secs_f64).sum();
    sum * 1_000.0 / times.len() as f64
}

/// A change of the update in focus until its event, beside a loop that reads the
/// same twin each 500 ms and does nothing else.
async fn delay() {
    let (emulator, ids) = hub_of(1).await;
    let (_, running) = start(&emulator);
    let device = &ids[0];
    let engine = running.engine();
    let mut events = engine.subscribe();
    engine.send(Command::Watch(device.clone())).await.unwrap();
    next_phase(&mut events, "downloading").await;

    let poll = client(&emulator);
    let polled: Arc<Mutex<(String, Instant)>> =
        Arc::new(Mutex::new((String::new(), Instant::now())));
    let (mirror, target) = (Arc::clone(&polled), device.clone());
    let trips = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&trips);
    let poller = tokio::spawn(async move {
        let mut beat = tokio::time::interval(Duration::from_millis(500));
        loop {
            beat.tick().await;
            let began = Instant::now();
            let twin = poll.twin(&target).await.unwrap();
            taken.lock().unwrap().push(began.elapsed());
            let value = twin.reported.values["firmwareStatus"].clone();
            let value = value.as_str().unwrap_or_default().to_owned();
            let mut seen = mirror.lock().unwrap();
            if seen.0 != value {
                *seen = (value, Instant::now());
            }
        }
    });

    let (mut ours, mut ideal) = (Vec::new(), Vec::new());
    // One and a half beats and a sixtieth: every part of the beat is met once.
    let step = Duration::from_micros(750_000 + 500_000 / u64::from(CHANGES));
    let mut changes = tokio::time::interval(step);
    for n in 0..CHANGES {
        changes.tick().await;
        let value = format!("step-{n}");
        let changed = Instant::now();
        report(&emulator, device, &value);
        next_phase(&mut events, &value).await;
        ours.push(changed.elapsed());
        loop {
            let seen = polled.lock().unwrap().clone();
            if seen.0 == value {
                ideal.push(seen.1 - changed);
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    poller.abort();
    let trip = mean(&trips.lock().unwrap());
    let (ours, ideal) = (mean(&ours), mean(&ideal));
    println!("change to event, one update in focus, {CHANGES} changes over HTTPS");
    println!("  a loop of 500 ms      {ideal:6.0} ms mean   round trip {trip:.1} ms");
    println!(
        "  otadeck               {ours:6.0} ms mean   {:.2} of it; goal 250 ms and a round trip",
        ours / ideal
    );
    running.stop().await.expect("the journal is written");
    emulator.shutdown().await;
}

/// The mean time since the last read, over all devices and all of the time from
/// `from` to `to`.
fn mean_age(reads: &[Vec<Instant>], from: Instant, to: Instant) -> f64 {
    let span = (to - from).as_secs_f64();
    let mut sum = 0.0;
    for reads in reads {
        let first = reads.iter().rposition(|at| *at <= from).unwrap();
        let ends = reads[first + 1..].iter().filter(|at| **at < to).copied();
        for (last, next) in reads[first..].iter().zip(ends.chain([to])) {
            let begin = from.saturating_duration_since(*last).as_secs_f64();
            let end = (next - *last).as_secs_f64();
            sum += (end * end - begin * begin) / 2.0 / span;
        }
    }
    sum / reads.len() as f64
}

/// A thousand updates in flight on an emulator that enforces S1.
async fn thousand() {
    let (emulator, ids) = hub_of(FLIGHTS).await;
    let (noted, running) = start(&emulator);
    let engine = running.engine();
    let mut events = engine.subscribe();
    for id in &ids {
        engine.send(Command::Watch(id.clone())).await.unwrap();
    }
    let mut focus: Option<UpdateId> = None;
    let mut watched = 0;
    while watched < FLIGHTS {
        let batch = match events.next().await {
            Some(Batch::Events(batch)) => batch,
            Some(Batch::Lagged) => continue,
            None => panic!("the engine has ended"),
        };
        for event in batch.iter() {
            if matches!(event.what, What::Watched(_)) {
                watched += 1;
                let first = event.device_id.as_ref() == Some(&ids[0]);
                if first {
                    focus.clone_from(&event.update_id);
                }
            }
        }
    }
    engine.send(Command::Focus(focus)).await.unwrap();
    // The first round was the orders' own.
    tokio::time::sleep(Duration::from_secs_f64(FLIGHTS as f64 / RATE + 1.0)).await;
    let from = Instant::now();
    tokio::time::sleep(WATCHED).await;
    let to = Instant::now();
    let reads = noted.reads.lock().unwrap().clone();
    let others: Vec<Vec<Instant>> = ids[1..].iter().map(|id| reads[id].clone()).collect();
    let age = mean_age(&others, from, to);
    let ideal = FLIGHTS as f64 / (2.0 * RATE);
    let within = |at: &&Instant| **at >= from && **at < to;
    let count: usize = reads
        .values()
        .map(|r| r.iter().filter(within).count())
        .sum();
    let rate = count as f64 / WATCHED.as_secs_f64();
    let mine = reads[&ids[0]].iter().filter(within).count();
    let beat = WATCHED.as_secs_f64() * 1_000.0 / mine as f64;
    let longest = others
        .iter()
        .flat_map(|r| r.windows(2).filter(|w| w[0] >= from).map(|w| w[1] - w[0]))
        .max()
        .unwrap_or_default();
    println!("{FLIGHTS} updates in flight, S1 enforced, over HTTPS");
    println!("  ideal age N/(2·{RATE:.0})   {ideal:6.2} s");
    println!(
        "  otadeck               {age:6.2} s      {:.2} of it; goal 1.2",
        age / ideal
    );
    println!(
        "  reads                 {rate:6.1} a second, longest wait of one {:.1} s",
        longest.as_secs_f64()
    );
    println!("  the one in focus      each {beat:.0} ms");
    println!(
        "  refused               {}",
        noted.refused.load(Ordering::Relaxed)
    );
    running.stop().await.expect("the journal is written");
    emulator.shutdown().await;
}

/// Two consoles with 60 of 100 reads a second each, in simulated time.
fn two_consoles() {
    let mut hub = Hub::new(vec![
        Console::new("a", FLIGHTS, Duration::ZERO, 0.2),
        Console::new("b", FLIGHTS, 20 * SECOND, 0.7),
    ]);
    hub.run(60 * SECOND);
    let before = hub.reads();
    hub.run(600 * SECOND);
    let rates: Vec<f64> = hub
        .reads()
        .iter()
        .zip(before)
        .map(|(after, before)| f64::from(after - before) / 600.0)
        .collect();
    let refused: usize = hub.consoles.iter().map(|c| c.refused.len()).sum();
    println!("two consoles on one S1 hub, ten simulated minutes");
    println!("  ideal                   50 + 50 reads a second");
    println!(
        "  otadeck               {:4.0} + {:.0} reads a second, {refused} refused",
        rates[0], rates[1]
    );
}

/// A simulated day of a console over 12,400 devices that nobody touches.
fn day() {
    let mut engine = Engine::new(12_400);
    engine.ask(Command::List);
    engine.ask(Command::Attend(true));
    engine.ask(Command::Look(Some(paced::id("press-00007"))));
    engine.pass(300 * SECOND);
    engine.ask(Command::Attend(false));
    engine.ask(Command::Look(None));
    let wakes = engine.pass(86_400 * SECOND - 301 * SECOND);
    let share = engine.spent as f64 / 4_000.0;
    println!("a console left open for a day over 12,400 devices, simulated");
    println!(
        "  {} pages, {} twin reads  {} messages, {share:.2} % of S1's day; goal 1 %",
        engine.pages, engine.reads, engine.spent
    );
    println!("  the engine woke up    {wakes} times after the first five minutes");
}

fn main() {
    // `cargo test --benches` asks only whether it runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    two_consoles();
    day();
    runtime.block_on(delay());
    runtime.block_on(thousand());
}
