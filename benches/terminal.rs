//! First frame and bytes, of the real program in a real pseudo-terminal.
//!
//! `cargo bench --bench terminal`. Each figure stands beside an ideal or a peer
//! measured in the same run, because machines differ and are noisy.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints its figures, and stops when it cannot have them"
)]

use std::io::{Read, Write};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

const OTADECK: &str = env!("CARGO_BIN_EXE_otadeck");
/// How long bytes are counted at rest: long enough for ages in whole minutes to
/// change once.
const REST: Duration = Duration::from_secs(65);
/// How long they are counted while an update is watched.
const WORK: Duration = Duration::from_secs(10);

struct Session {
    began: Instant,
    bytes: mpsc::Receiver<(Instant, Vec<u8>)>,
    keyboard: Box<dyn Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    _master: Box<dyn portable_pty::MasterPty + Send>,
    seen: Vec<u8>,
}

impl Session {
    fn start(program: &str, args: &[&str], home: &std::path::Path, env: &[(&str, &str)]) -> Self {
        let size = PtySize {
            rows: 24,
            cols: 80,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system()
            .openpty(size)
            .expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env_clear();
        command.env("HOME", home);
        command.env("PATH", std::env::var("PATH").unwrap_or_default());
        command.env("TERM", "xterm-256color");
        for (name, value) in env {
            command.env(name, value);
        }
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let keyboard = pair.master.take_writer().expect("a writer");
        let (sender, bytes) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if sender.send((Instant::now(), buffer[..n].to_vec())).is_err() {
                    return;
                }
            }
        });
        let began = Instant::now();
        let child = pair
            .slave
            .spawn_command(command)
            .expect("the program starts");
        Self {
            began,
            bytes,
            keyboard,
            child,
            _master: pair.master,
            seen: Vec::new(),
        }
    }

    /// The time from exec until `text` has come.
    fn until(&mut self, text: &str) -> Duration {
        loop {
            let (at, bytes) = self
                .bytes
                .recv_timeout(Duration::from_secs(60))
                .unwrap_or_else(|_| {
                    panic!("no {text:?} in {:?}", String::from_utf8_lossy(&self.seen))
                });
            self.seen.extend(bytes);
            if String::from_utf8_lossy(&self.seen).contains(text) {
                return at - self.began;
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard
            .write_all(keys.as_bytes())
            .expect("keys are taken");
        self.keyboard.flush().expect("keys are taken");
        self.seen.clear();
    }

    /// Bytes and writes that come within a time.
    fn count(&mut self, time: Duration) -> (usize, usize) {
        let end = Instant::now() + time;
        let (mut bytes, mut writes) = (0, 0);
        while let Ok((_, chunk)) = self
            .bytes
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            bytes += chunk.len();
            writes += 1;
            self.seen.extend(chunk);
        }
        (bytes, writes)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn main() {
    // `cargo test --benches` asks only whether it runs.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    first_frame();
    at_rest_and_at_work();
}

/// From exec to the first frame, with a hub that is not there, beside a shell
/// that prints one word: what a terminal and a process cost anyway.
fn first_frame() {
    let home = tempfile::tempdir().expect("a folder");
    let hub = [(
        "OTADECK_CONNECTION_STRING",
        "HostName=localhost:1;SharedAccessKeyName=s;SharedAccessKey=AAEC",
    )];
    let ours = || Session::start(OTADECK, &[], home.path(), &hub).until("localhost");
    let shell =
        || Session::start("/bin/sh", &["-c", "printf ready"], home.path(), &[]).until("ready");
    let (mut a, mut b) = (Vec::new(), Vec::new());
    ours();
    for _ in 0..21 {
        a.push(ours());
        b.push(shell());
    }
    let (ours, shell) = (median(a), median(b));
    println!(
        "first frame: {:.1} ms; a shell that prints a word {:.1} ms; ratio {:.1} (goal: 30 ms)",
        ours.as_secs_f64() * 1e3,
        shell.as_secs_f64() * 1e3,
        ours.as_secs_f64() / shell.as_secs_f64()
    );
}

/// Bytes to the terminal with nothing going on, and while an update is watched,
/// beside a program that would redraw the whole screen twice a second.
fn at_rest_and_at_work() {
    let home = tempfile::tempdir().expect("a folder");
    let mut session = Session::start(
        OTADECK,
        &["demo", "--scenario", "tutorial"],
        home.path(),
        &[],
    );
    let listed = session.until("sim-0012");
    session.count(Duration::from_secs(3));
    let cpu = cpu_time(&session);
    let (bytes, writes) = session.count(REST);
    let spent = cpu_time(&session) - cpu;
    let frame = 24.0 * 80.0;
    let seconds = REST.as_secs_f64();
    println!(
        "demo: devices listed after {:.2} s (goal: 2 s)",
        listed.as_secs_f64()
    );
    println!(
        "at rest: {:.1} B/s in {writes} writes (goal: 10 B/s); a redraw each 500 ms {:.0} B/s; \
         the whole demo, hub and 12 devices included, uses {:.2} % of a core",
        bytes as f64 / seconds,
        frame * 2.0,
        100.0 * spent / seconds
    );
    session.press("\r");
    session.until("ackage");
    session.press("https://example.test/fw-1.5.0.bin\r");
    session.until("firmwareUpdate");
    session.press("y");
    session.until("downloading");
    let (bytes, writes) = session.count(WORK);
    let seconds = WORK.as_secs_f64();
    println!(
        "watching one update: {:.0} B/s in {writes} writes (goal: 1024 B/s); a redraw each 500 ms {:.0} B/s; ratio {:.2}",
        bytes as f64 / seconds,
        frame * 2.0,
        bytes as f64 / seconds / (frame * 2.0)
    );
}

/// Processor seconds that the program has used.
fn cpu_time(session: &Session) -> f64 {
    let Some(pid) = session.child.process_id() else {
        return 0.0;
    };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks: f64 = [11, 12]
        .iter()
        .filter_map(|n| fields.get(*n)?.parse::<f64>().ok())
        .sum();
    let hertz = Command::new("getconf").arg("CLK_TCK").output().ok();
    let hertz = hertz.and_then(|o| String::from_utf8(o.stdout).ok()?.trim().parse::<f64>().ok());
    ticks / hertz.unwrap_or(100.0)
}
