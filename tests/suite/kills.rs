//! `kill -9` at any moment of updates: no device is invoked twice, no verdict is
//! lost, and the journal is sound.
//!
//! ```text
//!  update 50 devices ─► kill -9 ─► watch --resume ─► kill -9 ─► … ─► watch --resume
//!    ▲                                                                    │ settled
//!    └─── next round, --force where one is unknown ◄── compare ◄──────────┘
//! ```
//!
//! The emulator and its devices live on. Between them and otadeck stands a proxy
//! of the test's own, which counts the method calls that the hub took, device by
//! device: what otadeck itself writes is not asked. It also turns some calls away
//! with a 429, and cuts the answers of some.
//!
//! `OTADECK_KILLS` makes more kills than a hundred; `OTADECK_KILLS_SEED` repeats
//! the moments of an earlier run, as far as a machine repeats anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::support::program::{Emulator, Home, PATIENCE, Running};
use super::support::server::{Reaction, Request, Server, Upstream};

const DEVICES: usize = 50;
const URI: &str = "https://x.test/fw-1.5.0.bin";
/// Processes of one round that are killed: one that starts, others that resume.
const KILLS_A_ROUND: u64 = 6;
/// Devices that are quick, so that every phase is met by some kill.
const WORLD: &str = r#"
description = "quick devices"
[defaults]
waiting = "20ms"
downloading = "200ms"
downloaded = "20ms"
applying = "200ms"
jitter = 1.0
"#;

/// Method calls that the hub took, by device.
type Taken = Arc<Mutex<BTreeMap<String, u32>>>;

/// Between otadeck and the emulator: passes everything on, and counts.
async fn proxy(emulator: &Emulator, seed: u64, taken: Taken) -> Server {
    let hub = Upstream::of(emulator);
    let dice = Arc::new(Mutex::new(StdRng::seed_from_u64(seed)));
    Server::start(move |request: Request| {
        let (hub, taken) = (hub.clone(), Arc::clone(&taken));
        let fate = match request.is_method_call() {
            true => dice.lock().unwrap().next_u64() % 20,
            false => 20,
        };
        async move {
            if fate < 2 {
                return throttled();
            }
            let Reaction::Answer(status, _, body) = hub.pass(&request).await else {
                unreachable!("it answers");
            };
            if request.is_method_call() && status == 200 {
                let device = request.path.split('/').nth(2).unwrap().to_owned();
                *taken.lock().unwrap().entry(device).or_default() += 1;
            }
            match fate {
                2 => Reaction::Cut,
                // Without the hub's `Date`, whose seconds are longer than these
                // updates.
                _ => Reaction::Answer(status, vec![], body),
            }
        }
    })
    .await
}

fn throttled() -> Reaction {
    let message = "ErrorCode:ThrottlingException;The request has been throttled.";
    Reaction::json(429, json!({"Message": message, "ExceptionMessage": ""}))
}

/// What the journal holds of one update.
#[derive(Debug)]
struct Written {
    device: String,
    outcome: Option<String>,
    verdicts: u32,
    unknown: bool,
}

struct Bench {
    home: Home,
    taken: Taken,
    dice: StdRng,
    kills: u64,
}

impl Bench {
    fn journal(&self) -> Connection {
        let path = self.home.state().join("journal.db");
        let journal = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        journal.busy_timeout(PATIENCE).unwrap();
        journal
    }

    /// Every update, and in the end the newest of each device.
    fn written(&self) -> BTreeMap<String, Written> {
        let journal = self.journal();
        let mut rows = journal
            .prepare("SELECT update_id, device_id, kind, body FROM event ORDER BY id")
            .unwrap();
        let rows = rows.query_map([], |row| {
            let texts: [String; 4] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
            Ok(texts)
        });
        let mut updates: BTreeMap<String, Written> = BTreeMap::new();
        for row in rows.unwrap() {
            let [update, device, kind, body] = row.unwrap();
            let body: Value = serde_json::from_str(&body).unwrap();
            let known = updates.entry(update).or_insert(Written {
                device,
                outcome: None,
                verdicts: 0,
                unknown: false,
            });
            match kind.as_str() {
                "update.state" => known.unknown = body["state"] == "unknown",
                "update.verdict" => {
                    known.verdicts += 1;
                    known.outcome = body["outcome"].as_str().map(str::to_owned);
                }
                _ => {}
            }
        }
        updates
    }

    /// The updates that have no verdict, and may have one still: their devices
    /// took the order.
    fn unsettled(&self) -> usize {
        let taken = self.taken.lock().unwrap().clone();
        let open = |update: &&Written| update.outcome.is_none();
        let may_end = |update: &&Written| !update.unknown || taken.contains_key(&update.device);
        let written = self.written();
        written.values().filter(open).filter(may_end).count()
    }

    /// Kills a process at a moment of its own: after so many lines, or after so
    /// long, and a little later. True when it was still there.
    fn kill(&mut self, mut running: Running, within: u64) -> bool {
        let mut below = |most: u64| self.dice.next_u64() % most;
        let (lines, pause) = (below(300), Duration::from_micros(below(3_000)));
        let long = Duration::from_millis(below(within));
        if below(2) == 0 {
            running.lines_within(usize::try_from(lines).unwrap(), 2 * long);
        } else {
            std::thread::sleep(long);
        }
        std::thread::sleep(pause);
        running.signal(Signal::KILL);
        let killed = running.wait() == -9;
        self.kills += u64::from(killed);
        killed
    }

    /// Starts 50 updates, is killed again and again, and comes to its end.
    fn round(&mut self) {
        self.taken.lock().unwrap().clear();
        let open: Vec<String> = self
            .written()
            .into_values()
            .filter(|update| update.outcome.is_none())
            .map(|update| update.device)
            .collect();
        let devices: Vec<String> = (1..=DEVICES).map(|n| format!("sim-{n:04}")).collect();
        let mut args = vec!["update", "--uri", URI, "--json"];
        args.extend(devices.iter().map(String::as_str));
        args.extend(open.iter().flat_map(|device| ["--force", device]));
        let before = self.written().len();
        let first = self.home.spawn(&args);
        // It has more to do before anything happens.
        self.kill(first, 1_500);
        for _ in 1..KILLS_A_ROUND {
            let next = self.home.spawn(&["watch", "--resume", "--json"]);
            if !self.kill(next, 500) {
                break;
            }
        }
        let mut last = self.home.spawn(&["watch", "--resume", "--json"]);
        last.line_with("\"resumed\"");
        let began = Instant::now();
        while self.unsettled() > 0 {
            assert!(began.elapsed() < PATIENCE, "{:#?}", self.written());
            std::thread::sleep(Duration::from_millis(20));
        }
        let pid = last.id();
        last.signal(Signal::TERM);
        last.wait();
        self.compare(before, pid);
    }

    /// What the journal says of this round's updates against what the hub took. The
    /// process that came last may have ended without giving its own leases back; they
    /// end with it.
    fn compare(&self, before: usize, last: u32) {
        let taken = self.taken.lock().unwrap().clone();
        let written = self.written();
        for (id, update) in &written {
            assert!(update.verdicts <= 1, "{id}: {update:?}");
        }
        // Ids sort by the time of their making.
        let round: Vec<&Written> = written.values().skip(before).collect();
        for (device, calls) in &taken {
            assert_eq!(*calls, 1, "{device} was invoked {calls} times");
            let ours = round.iter().filter(|update| update.device == *device);
            assert_eq!(ours.count(), 1, "{device} was invoked without an intent");
        }
        for update in &round {
            let calls = taken.get(&update.device).copied().unwrap_or(0);
            match update.outcome.as_deref() {
                Some("completed") => assert_eq!(calls, 1, "{update:?}"),
                Some("notDelivered") => assert_eq!(calls, 0, "{update:?}"),
                Some(_) => panic!("{update:?}"),
                None => assert!(update.unknown, "{update:?}"),
            }
        }
        let journal = self.journal();
        let one = |sql: &str| -> String { journal.query_row(sql, [], |row| row.get(0)).unwrap() };
        assert_eq!(one("PRAGMA integrity_check"), "ok");
        assert_eq!(
            one(&format!(
                "SELECT CAST(count(*) AS TEXT) FROM lease WHERE pid <> {last}"
            )),
            "0"
        );
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn a_kill_at_any_moment_invokes_no_device_twice_and_loses_no_verdict() {
    let wanted = number("OTADECK_KILLS").unwrap_or(100);
    let seed = number("OTADECK_KILLS_SEED").unwrap_or_else(|| rand::rng().next_u64());
    eprintln!("OTADECK_KILLS_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let world = folder.path().join("quick.toml");
    std::fs::write(&world, WORLD).unwrap();
    let count = DEVICES.to_string();
    let args = ["--devices", &count, "--scenario", world.to_str().unwrap()];
    let emulator = Emulator::start(&args);
    let taken = Taken::default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let proxy = runtime.block_on(proxy(&emulator, seed, Arc::clone(&taken)));
    let text = super::support::with_port(&emulator.service(), proxy.addr.port());
    let home = Home::new()
        .env("KILLS", &text)
        .env("OTADECK_CA_FILE", proxy.ca.path().to_str().unwrap());
    // A large hub, so that it is the kills that take the time.
    home.config("[hub.kills]\nsecret_env = \"KILLS\"\ntier = \"S3\"\nunits = 1\n");
    let none = home.run(&["watch", "--resume"]);
    assert_eq!(none.code, 0, "{none:?}");
    let mut bench = Bench {
        home,
        taken,
        dice: StdRng::seed_from_u64(seed),
        kills: 0,
    };
    let (began, mut rounds) = (Instant::now(), 0);
    while bench.kills < wanted {
        bench.round();
        rounds += 1;
    }
    let written = bench.written();
    let with = |outcome: Option<&str>| {
        let same = |update: &&Written| update.outcome.as_deref() == outcome;
        written.values().filter(same).count()
    };
    eprintln!(
        "{} kills in {rounds} rounds, {:.0} s: {} updates, {} completed, {} not delivered, \
         {} unknown and given up, {} unknown; none invoked twice",
        bench.kills,
        began.elapsed().as_secs_f32(),
        written.len(),
        with(Some("completed")),
        with(Some("notDelivered")),
        with(Some("givenUp")),
        with(None),
    );
    assert!(with(Some("completed")) > 0);
}
