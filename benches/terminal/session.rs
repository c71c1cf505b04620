//! A program in a pseudo-terminal of 80 columns and 24 rows, its output counted, timed
//! and, behind a slow link, held back.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

const ROWS: u16 = 24;
const COLUMNS: u16 = 80;
/// How finely a slow link cuts time.
const TICK: Duration = Duration::from_millis(4);

type Keyboard = Arc<Mutex<Box<dyn Write + Send>>>;
type Bytes = mpsc::Receiver<(Instant, Vec<u8>)>;

pub struct Session {
    began: Instant,
    bytes: Bytes,
    keyboard: Keyboard,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    _master: Box<dyn portable_pty::MasterPty + Send>,
    screen: vt100::Parser,
}

impl Session {
    pub fn start(program: &str, args: &[&str], home: &Path, env: &[(&str, &str)]) -> Self {
        Self::behind(None, program, args, home, env)
    }

    /// The same behind a link of so many bytes a second, before which a connection
    /// takes all at once.
    pub fn behind(
        rate: Option<f64>,
        program: &str,
        args: &[&str],
        home: &Path,
        env: &[(&str, &str)],
    ) -> Self {
        let size = PtySize {
            rows: ROWS,
            cols: COLUMNS,
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
        let reader = pair.master.try_clone_reader().expect("a reader");
        let keyboard = pair.master.take_writer().expect("a writer");
        let keyboard: Keyboard = Arc::new(Mutex::new(keyboard));
        let mut bytes = reads(reader);
        if let Some(rate) = rate {
            bytes = slowly(bytes, rate);
        }
        let bytes = answers(bytes, Arc::clone(&keyboard));
        let began = Instant::now();
        let child = pair.slave.spawn_command(command);
        let number = |n| NonZeroU16::new(n).expect("a size");
        Self {
            began,
            bytes,
            keyboard,
            child: child.expect("the program starts"),
            _master: pair.master,
            screen: vt100::Parser::new(number(ROWS), number(COLUMNS), 0),
        }
    }

    /// The time from exec until the screen shows `text`.
    pub fn until(&mut self, text: &str) -> Duration {
        self.since(self.began, |screen| screen.contains(text))
    }

    /// The time from `since` until the screen is as wanted.
    pub fn since(&mut self, since: Instant, wanted: impl Fn(&str) -> bool) -> Duration {
        loop {
            let next = self.bytes.recv_timeout(Duration::from_secs(60));
            let (at, bytes) = next.unwrap_or_else(|_| {
                panic!("not on the screen:\n{}", self.screen.screen().contents())
            });
            self.screen.process(&bytes);
            if wanted(&self.screen.screen().contents()) {
                return at - since;
            }
        }
    }

    pub fn press(&mut self, keys: &str) -> Instant {
        let pressed = Instant::now();
        let mut keyboard = self.keyboard.lock().expect("nobody panics with it");
        keyboard.write_all(keys.as_bytes()).expect("keys are taken");
        keyboard.flush().expect("keys are taken");
        pressed
    }

    /// Bytes and writes that come within a time.
    pub fn count(&mut self, time: Duration) -> (usize, usize) {
        let end = Instant::now() + time;
        let (mut bytes, mut writes) = (0, 0);
        while let Ok((_, chunk)) = self
            .bytes
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            bytes += chunk.len();
            writes += 1;
            self.screen.process(&chunk);
        }
        (bytes, writes)
    }

    fn proc(&self, file: &str) -> String {
        let pid = self.child.process_id().unwrap_or_default();
        std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
    }

    /// Processor seconds that the program has used.
    pub fn cpu_time(&self) -> f64 {
        let stat = self.proc("stat");
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = [11, 12]
            .iter()
            .filter_map(|n| fields.get(*n)?.parse::<f64>().ok());
        let hertz = Command::new("getconf").arg("CLK_TCK").output().ok();
        let hertz = hertz.and_then(|o| String::from_utf8(o.stdout).ok()?.trim().parse().ok());
        ticks.sum::<f64>() / hertz.unwrap_or(100.0)
    }

    /// Megabytes of memory that it holds: all, and without what files stand behind.
    pub fn memory(&self) -> (f64, f64) {
        let status = self.proc("status");
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok());
            kilobytes.unwrap_or_default() / 1024.0
        };
        (of("VmRSS:"), of("RssAnon:"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn reads(mut reader: Box<dyn Read + Send>) -> Bytes {
    let (sender, bytes) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 1 << 16];
        while let Ok(n @ 1..) = reader.read(&mut buffer) {
            if sender.send((Instant::now(), buffer[..n].to_vec())).is_err() {
                return;
            }
        }
    });
    bytes
}

/// Passes on so many bytes a second.
fn slowly(from: Bytes, rate: f64) -> Bytes {
    let (sender, bytes) = mpsc::channel();
    std::thread::spawn(move || {
        let mut waiting: VecDeque<u8> = VecDeque::new();
        let (mut last, mut room) = (Instant::now(), 0.0);
        loop {
            std::thread::sleep(TICK);
            match from.try_recv() {
                Ok((_, bytes)) => waiting.extend(bytes),
                Err(mpsc::TryRecvError::Empty) => {}
                Err(mpsc::TryRecvError::Disconnected) if waiting.is_empty() => return,
                Err(mpsc::TryRecvError::Disconnected) => {}
            }
            room += last.elapsed().as_secs_f64() * rate;
            last = Instant::now();
            let taken: Vec<u8> = waiting
                .drain(..(room as usize).min(waiting.len()))
                .collect();
            room -= taken.len() as f64;
            // A link does not save up.
            room = if waiting.is_empty() {
                room.fract()
            } else {
                room
            };
            if !taken.is_empty() && sender.send((Instant::now(), taken)).is_err() {
                return;
            }
        }
    });
    bytes
}

/// Answers, as every terminal does, what asks for its state.
fn answers(from: Bytes, keyboard: Keyboard) -> Bytes {
    const QUESTION: &[u8] = b"\x1b[5n";
    let (sender, bytes) = mpsc::channel();
    std::thread::spawn(move || {
        let mut tail: Vec<u8> = Vec::new();
        for (at, bytes) in from {
            tail.extend(&bytes);
            let asked = tail.windows(QUESTION.len()).filter(|w| *w == QUESTION);
            let asked = asked.count();
            tail.drain(..tail.len().saturating_sub(QUESTION.len() - 1));
            for _ in 0..asked {
                if let Ok(mut keyboard) = keyboard.lock() {
                    let _ = keyboard.write_all(b"\x1b[0n");
                }
            }
            if sender.send((at, bytes)).is_err() {
                return;
            }
        }
    });
    bytes
}
