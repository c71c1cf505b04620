//! First frame, bytes, memory and answers to keys, of the real program in a real
//! pseudo-terminal.
//!
//! `cargo bench --bench terminal`. Each figure stands beside an ideal or a peer
//! measured in the same run, because machines differ and are noisy. The peer is htop,
//! where it is installed, in the same pseudo-terminal.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a bench prints its figures, and stops when it cannot have them"
)]

#[path = "terminal/session.rs"]
mod session;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use session::Session;
use tempfile::TempDir;

const OTADECK: &str = env!("CARGO_BIN_EXE_otadeck");
/// How long bytes are counted at rest: long enough for ages in whole minutes to
/// change once.
const REST: Duration = Duration::from_secs(65);
/// How long they are counted while an update is watched.
const WORK: Duration = Duration::from_secs(10);
/// Keys whose answer is waited for, on each link.
const KEYS: usize = 20;
/// Bytes of a screen that is drawn whole.
const SCREEN: f64 = 24.0 * 80.0;

fn main() {
    // `cargo test --benches` asks only whether it runs.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let htop = Command::new("htop").arg("--version").output().is_ok();
    if !htop {
        println!("htop is not installed; its figures are left out (apt-get install htop)");
    }
    first_frame(htop);
    demo();
    let hub = Hub::start();
    at_rest_and_at_work(&hub);
    if htop {
        htop_at_rest();
    }
    for rate in [25.0, 5.0] {
        keys(&hub, rate);
        if htop {
            htop_keys(rate);
        }
    }
}

/// An emulator with devices, in a process of its own.
struct Hub {
    child: Child,
    folder: TempDir,
    connection: String,
    ca_file: String,
}

impl Hub {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ready = folder.path().join("ready.json");
        let mut command = Command::new(OTADECK);
        command.args([
            "emulator",
            "--https",
            "127.0.0.1:0",
            "--mqtt",
            "127.0.0.1:0",
        ]);
        command.args(["--devices", "60", "--scenario", "tutorial", "--ready-file"]);
        command.arg(&ready).stdout(Stdio::null());
        let child = command.spawn().expect("the emulator starts");
        let said = loop {
            let text = std::fs::read(&ready).unwrap_or_default();
            if let Ok(said) = serde_json::from_slice::<Value>(&text) {
                break said;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        Self {
            connection: text("serviceConnectionString"),
            ca_file: text("caFile"),
            child,
            folder,
        }
    }

    /// A console on it, with its devices listed.
    fn console(&self, rate: Option<f64>) -> Session {
        let env = [
            ("OTADECK_CONNECTION_STRING", self.connection.as_str()),
            ("OTADECK_CA_FILE", self.ca_file.as_str()),
        ];
        let mut session = Session::behind(rate, OTADECK, &[], self.folder.path(), &env);
        session.until("sim-0012");
        session
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts an update of the `n`th device from the table, and waits until it is watched.
fn begin_update(session: &mut Session, n: usize) {
    for _ in 1..n {
        session.press("j");
    }
    session.count(Duration::from_millis(500));
    let at = session.press("\r");
    session.since(at, |s| s.contains("ackage"));
    let at = session.press("https://example.test/fw-1.5.0.bin\r");
    session.since(at, |s| s.contains("firmwareUpdate"));
    let at = session.press("y");
    session.since(at, |s| s.contains("▸ downloading"));
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// From exec to the first frame, with a hub that is not there, beside a shell
/// that prints one word: what a terminal and a process cost anyway.
fn first_frame(htop: bool) {
    let home = tempfile::tempdir().expect("a folder");
    let hub = [(
        "OTADECK_CONNECTION_STRING",
        "HostName=localhost:1;SharedAccessKeyName=s;SharedAccessKey=AAEC",
    )];
    let start = |program: &str, args: &[&str], text: &str| {
        Session::start(program, args, home.path(), &hub).until(text)
    };
    let ours = || start(OTADECK, &[], "localhost");
    ours();
    let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..21 {
        a.push(ours());
        b.push(start("/bin/sh", &["-c", "printf ready"], "ready"));
        if htop {
            c.push(start("htop", &[], "PID"));
        }
    }
    println!(
        "first frame: {:.1} ms (goal: 30 ms); a shell that prints a word {:.1} ms",
        millis(median(&mut a)),
        millis(median(&mut b))
    );
    if htop {
        println!("  htop: {:.1} ms", millis(median(&mut c)));
    }
}

fn demo() {
    let home = tempfile::tempdir().expect("a folder");
    let mut session = Session::start(OTADECK, &["demo"], home.path(), &[]);
    let listed = session.until("sim-0012").as_secs_f64();
    println!("demo: devices listed after {listed:.2} s (goal: 2 s)");
}

/// Bytes to the terminal with nothing going on, and while an update is watched,
/// beside a program that would redraw the whole screen twice a second.
fn at_rest_and_at_work(hub: &Hub) {
    let mut session = hub.console(None);
    session.count(Duration::from_secs(3));
    let rest = measured(&mut session, REST);
    println!("at rest: {rest} (goal: 10 B/s)");
    begin_update(&mut session, 1);
    let work = measured(&mut session, WORK);
    println!(
        "watching one update: {work} (goal: 1024 B/s); a redraw each 500 ms {:.0} B/s",
        SCREEN * 2.0
    );
}

fn htop_at_rest() {
    let home = tempfile::tempdir().expect("a folder");
    let mut session = Session::start("htop", &[], home.path(), &[]);
    session.until("PID");
    session.count(Duration::from_secs(3));
    println!("  htop: {}", measured(&mut session, REST));
}

/// What a session writes, computes and holds in a time.
fn measured(session: &mut Session, time: Duration) -> String {
    let before = session.cpu_time();
    let (bytes, writes) = session.count(time);
    let seconds = time.as_secs_f64();
    let used = 100.0 * (session.cpu_time() - before) / seconds;
    let (all, own) = session.memory();
    format!(
        "{:.1} B/s in {writes} reads, {used:.2} % of a core, {all:.1} MB resident, {own:.1} of \
         them its own",
        bytes as f64 / seconds
    )
}

/// From a key to its answer on the screen, on a link of so many KiB a second behind a
/// connection that takes everything, while an update is watched: alone, and after a key
/// that was held.
fn keys(hub: &Hub, rate: f64) {
    let mut session = hub.console(Some(rate * 1024.0));
    // Each link has a device of its own: the last one's is still at work.
    let n = if rate > 10.0 { 2 } else { 3 };
    begin_update(&mut session, n);
    let at = session.press("\x1b");
    session.since(at, |s| s.contains("sim-0012"));
    session.count(Duration::from_secs(1));
    let mut alone = Vec::new();
    for step in 0..KEYS {
        let n = if step % 2 == 0 { n + 1 } else { n };
        let at = session.press(if step % 2 == 0 { "j" } else { "k" });
        alone.push(session.since(at, |s| {
            let row = s
                .lines()
                .find(|line| line.starts_with('▌'))
                .unwrap_or_default();
            row.contains(&format!("sim-{n:04}"))
        }));
        session.count(Duration::from_millis(150));
    }
    for _ in 0..30 {
        session.press("\x1b[6~");
        std::thread::sleep(Duration::from_millis(15));
        session.press("\x1b[5~");
        std::thread::sleep(Duration::from_millis(15));
    }
    let at = session.press("/0042");
    let held = session.since(at, |s| s.contains("sim-0042") && !s.contains("sim-0002"));
    println!(
        "a key at {rate} KiB/s: median {:.0} ms, worst of {KEYS} {:.0} ms; after one that was \
         held {:.0} ms (goal: 300 ms)",
        millis(median(&mut alone)),
        millis(alone[alone.len() - 1]),
        millis(held)
    );
}

/// The same of htop, with its search.
fn htop_keys(rate: f64) {
    let home = tempfile::tempdir().expect("a folder");
    let mut session = Session::behind(Some(rate * 1024.0), "htop", &[], home.path(), &[]);
    session.until("PID");
    session.count(Duration::from_secs(3));
    let mut alone = Vec::new();
    for _ in 0..KEYS {
        let at = session.press("/");
        alone.push(session.since(at, |s| s.contains("Search:")));
        let at: Instant = session.press("\x1b");
        session.since(at, |s| !s.contains("Search:"));
    }
    for _ in 0..30 {
        session.press("\x1b[6~");
        std::thread::sleep(Duration::from_millis(15));
        session.press("\x1b[5~");
        std::thread::sleep(Duration::from_millis(15));
    }
    let at = session.press("/");
    let held = session.since(at, |s| s.contains("Search:"));
    println!(
        "  htop: median {:.0} ms, worst {:.0} ms; after one that was held {:.0} ms",
        millis(median(&mut alone)),
        millis(alone[alone.len() - 1]),
        millis(held)
    );
}
