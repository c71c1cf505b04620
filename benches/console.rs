//! What the console costs at a hundred thousand devices: a frame, a key in the
//! filter, sorting, memory.
//!
//! `cargo bench --bench console`. Each figure stands beside the same at a hundred
//! devices, because machines differ and are noisy. The parts are pure, so no hub and
//! no terminal is needed; what the program as a whole costs is `--bench terminal`.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use otadeck::console::{Context, Message, Model, press, update, view};
use otadeck::domain::device::DeviceRow;
use otadeck::domain::event::{InventoryState, Link, Way};
use otadeck::domain::id::DeviceId;
use otadeck::domain::phase::Phase;
use otadeck::domain::profile::Profile;
use otadeck::domain::quota::Budget;
use otadeck::domain::tags::Tags;
use otadeck::engine::Snapshot;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

const SIZE: (u16, u16) = (120, 40);
const FEW: usize = 100;
const MANY: usize = 100_000;
/// How often each thing is done; the median counts.
const ROUNDS: usize = 41;

fn row(n: usize) -> Option<DeviceRow> {
    let tags = json!({"site": if n.is_multiple_of(3) { "lab" } else { "plant" }, "line": n % 17});
    Some(DeviceRow {
        device_id: DeviceId::parse(&format!("press-{n:06}")).ok()?,
        connection: Default::default(),
        status: Default::default(),
        last_activity: None,
        firmware: Some(format!("1.{}.{}", n % 7, n % 11)),
        reported_status: Some("standBy".into()),
        phase: Some(Phase::Idle),
        last_update: Some("2026-10-01T07:31:12Z".into()),
        tags: tags.as_object().map(Tags::of).unwrap_or_default(),
        seen: Timestamp::UNIX_EPOCH,
    })
}

fn console(devices: usize) -> Model {
    let profile = Profile {
        name: "plant".into(),
        host: "plant.azure-devices.net".into(),
        environment: None,
        read_only: false,
        tier: None,
        units: 1,
    };
    let budget = Budget::at_rest(&profile);
    let mut model = Model::new(Context::new(profile), SIZE, Timestamp::UNIX_EPOCH);
    let snapshot = Snapshot {
        rows: (0..devices).filter_map(row).collect(),
        inventory: Some((InventoryState::Complete, None)),
        query: None,
        link: Way::new(Link::Online),
        updates: Vec::new(),
        starting: Vec::new(),
        refusals: Vec::new(),
        durations: Default::default(),
        budget,
        journal: None,
        armed_until: None,
        resuming: false,
        sequence: 0,
    };
    update(&mut model, Message::Snapshot(Box::new(snapshot)));
    model
}

fn median(mut once: impl FnMut() -> Duration) -> Duration {
    let mut all: Vec<Duration> = (0..ROUNDS).map(|_| once()).collect();
    all.sort();
    all[ROUNDS / 2]
}

/// A whole frame, onto a screen in memory.
fn frame(model: &Model) -> Duration {
    median(|| {
        let backend = TestBackend::new(SIZE.0, SIZE.1);
        let Ok(mut terminal) = Terminal::new(backend);
        let began = Instant::now();
        let Ok(_) = terminal.draw(|frame| view(model, frame));
        began.elapsed()
    })
}

/// The last key of `keys`, after the others.
fn key(model: &Model, keys: &str, last: &str) -> Duration {
    let mut before = model.clone();
    let _ = press(&mut before, keys);
    median(|| {
        let mut model = before.clone();
        let began = Instant::now();
        let _ = black_box(press(&mut model, last));
        began.elapsed()
    })
}

/// Resident memory of this process, in MB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kb = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kb.unwrap_or_default() / 1_024.0
}

fn main() {
    let few = console(FEW);
    let before = resident();
    let many = console(MANY);
    let grown = resident() - before;
    println!("console, {FEW} and {MANY} devices, {}x{}", SIZE.0, SIZE.1);
    let line = |what: &str, of: &dyn Fn(&Model) -> Duration, goal: &str| {
        let (a, b) = (of(&few), of(&many));
        println!("  {what:<34} {a:>9.2?} {b:>9.2?}   {goal}");
    };
    line("a frame", &frame, "goal 2 ms");
    line("a row down", &|m| key(m, "", "j"), "");
    line(
        "a page down, sorted by firmware",
        &|m| key(m, "ss", "<pgdn>"),
        "",
    );
    line(
        "filter: a letter of the id",
        &|m| key(m, "/press-00", "4"),
        "goal 10 ms",
    );
    line("filter: likeness", &|m| key(m, "/~prs", "4"), "goal 10 ms");
    line(
        "filter: a regular expression",
        &|m| key(m, "/^press-.*4", "2"),
        "goal 10 ms",
    );
    line(
        "filter: a tag",
        &|m| key(m, "/tag:site=la", "b"),
        "goal 10 ms",
    );
    line("sorting by firmware", &|m| key(m, "s", "s"), "");
    println!("  {MANY} rows in the model: {grown:.0} MB");
}
