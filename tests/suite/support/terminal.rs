//! The real binary in a pseudo-terminal, its screen read by a terminal emulator.
//!
//! The terminal's own end is one descriptor with one owner, so that closing it
//! is a hang-up; and reading it can be left off, so that it stands still.

use std::fs::{File, OpenOptions};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use super::program::{Home, PATIENCE, binary, signal};
use super::slow::{self, Link};

/// How long a process that was told to end may take, on a machine that does
/// much else; the promise is two seconds.
pub const SOON: Duration = Duration::from_secs(5);

/// What every terminal answers: that all before the question was taken.
const QUESTION: &[u8] = b"\x1b[5n";
const ANSWER: &[u8] = b"\x1b[0n";

pub(super) struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
    /// When so much of it had come.
    times: Vec<(Instant, usize)>,
    pub(super) ended: bool,
    /// Is it not read at the moment?
    stuck: bool,
    /// It is to be closed.
    pub(super) closed: bool,
}

impl Seen {
    /// Shows what came, and answers what is asked in it.
    pub(super) fn take(&mut self, bytes: &[u8], answers_to: Option<&OwnedFd>) {
        let from = self.raw.len().saturating_sub(QUESTION.len() - 1);
        self.raw.extend_from_slice(bytes);
        self.times.push((Instant::now(), self.raw.len()));
        self.parser.process(bytes);
        let new = self.raw[from..].windows(QUESTION.len());
        for _ in new.filter(|bytes| *bytes == QUESTION) {
            if let Some(master) = answers_to {
                // The program may have gone.
                let _ = rustix::io::write(master, ANSWER);
            }
        }
    }
}

/// A terminal without a program.
pub struct Pty {
    master: Option<Arc<OwnedFd>>,
    path: PathBuf,
    link: Option<Link>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

impl Pty {
    pub fn open(rows: u16, cols: u16) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let number = |n| NonZeroU16::new(n).unwrap();
        let seen = Arc::new((
            Mutex::new(Seen {
                parser: vt100::Parser::new(number(rows), number(cols), 0),
                raw: Vec::new(),
                times: Vec::new(),
                ended: false,
                stuck: false,
                closed: false,
            }),
            Condvar::new(),
        ));
        let pty = Self {
            master: Some(Arc::new(master)),
            path: path.into(),
            link: None,
            seen,
            reader: None,
        };
        tcsetwinsize(pty.master(), winsize(rows, cols)).unwrap();
        pty
    }

    /// The same at the end of a slow link.
    pub fn behind(mut self, link: Link) -> Self {
        self.link = Some(link);
        self
    }

    fn master(&self) -> &Arc<OwnedFd> {
        self.master.as_ref().expect("the terminal is there")
    }

    /// The programs' end.
    pub fn slave(&self) -> File {
        let flags = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).custom_flags(flags);
        options.open(&self.path).unwrap()
    }

    /// Begins to read what programs write. Not before one has it open: until
    /// then reading ends at once.
    fn watch(&mut self) {
        let (master, seen) = (Arc::clone(self.master()), Arc::clone(&self.seen));
        let link = self.link;
        self.reader = Some(std::thread::spawn(move || match link {
            Some(link) => slow::read(&master, &seen, link),
            None => read(&master, &seen),
        }));
    }

    /// The modes, wholly, as `stty -a` would show them.
    pub fn modes(&self) -> String {
        format!("{:?}", tcgetattr(self.slave()).unwrap())
    }

    /// Closes it: a hang-up for whoever has it open.
    pub fn close(&mut self) {
        self.seen
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed = true;
        self.seen.1.notify_all();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.master = None;
    }
}

fn read(master: &OwnedFd, seen: &(Mutex<Seen>, Condvar)) {
    let mut buffer = [0; 1 << 16];
    loop {
        let mut guard = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        while guard.stuck && !guard.closed {
            guard = seen.1.wait(guard).unwrap();
        }
        if guard.closed {
            return;
        }
        drop(guard);
        let tick = Timespec::try_from(Duration::from_millis(20)).unwrap();
        let mut asked = [PollFd::new(master, PollFlags::IN)];
        if !matches!(poll(&mut asked, Some(&tick)), Ok(1..)) {
            continue;
        }
        let mut guard = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        if guard.stuck {
            continue;
        }
        let n = rustix::io::read(master, &mut buffer).unwrap_or(0);
        guard.take(&buffer[..n], Some(master));
        guard.ended = n == 0;
        seen.1.notify_all();
        if n == 0 {
            return;
        }
    }
}

/// A program in a terminal.
pub struct Terminal {
    pty: Pty,
    child: Child,
    /// The terminal's modes before the program started.
    pub before: String,
}

/// How a program is started in a terminal.
#[derive(Clone, Copy, PartialEq)]
pub enum Session {
    /// It leads the session of that terminal, as a login shell does.
    Leads,
    /// The same, with SIGHUP ignored.
    IgnoresHangUp,
    /// It has a session without a terminal; stdin and stdout are one.
    Detached,
}

impl Terminal {
    /// Starts otadeck with `args` in a terminal of that size.
    pub fn start(home: &Home, args: &[&str], rows: u16, cols: u16) -> Self {
        Self::start_program(binary(), home, args, rows, cols)
    }

    /// Starts any program so.
    pub fn start_program(program: &Path, home: &Home, args: &[&str], rows: u16, cols: u16) -> Self {
        let pty = Pty::open(rows, cols);
        Self::start_in(pty, Session::Leads, None, program, home, args)
    }

    /// Starts any program in that terminal; with another one as stdin, if given.
    pub fn start_in(
        mut pty: Pty,
        session: Session,
        stdin: Option<&Pty>,
        program: &Path,
        home: &Home,
        args: &[&str],
    ) -> Self {
        // Whoever asks for a session gets its process by `exec`.
        let mut command = Command::new("setsid");
        if session != Session::Detached {
            command.arg("--ctty");
        }
        if session == Session::IgnoresHangUp {
            command.args(["sh", "-c", "trap '' HUP; exec \"$0\" \"$@\""]);
        }
        command.arg(program).args(args).env_clear();
        for (name, value) in home.command(&[]).get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        let tty = pty.slave();
        let again = || Stdio::from(tty.try_clone().unwrap());
        command
            .env("TERM", "xterm-256color")
            .current_dir(home.folder.path())
            .stdin(stdin.map_or_else(again, |pty| Stdio::from(pty.slave())))
            .stdout(again())
            .stderr(again());
        let before = pty.modes();
        let child = command.spawn().unwrap();
        drop(command);
        drop(tty);
        pty.watch();
        Self { pty, child, before }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) -> &mut Self {
        let mut rest = keys.as_bytes();
        while !rest.is_empty() {
            let n = rustix::io::write(self.pty.master(), rest).unwrap();
            rest = &rest[n..];
        }
        self
    }

    /// Pastes, as a terminal with bracketed paste does.
    pub fn paste(&mut self, text: &str) -> &mut Self {
        self.press(&format!("\x1b[200~{text}\x1b[201~"))
    }

    /// Waits until the screen is as wanted; the screen.
    pub fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let (seen, changed) = &*self.pty.seen;
        let began = Instant::now();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let text = seen.parser.screen().contents();
            if wanted(&text) {
                return text;
            }
            let left = PATIENCE.saturating_sub(began.elapsed());
            assert!(
                !left.is_zero() && !seen.ended,
                "no {what} on the screen:\n{text}"
            );
            seen = changed.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Waits for a text; the screen.
    pub fn shows(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    pub fn screen(&self) -> String {
        self.pty
            .seen
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .parser
            .screen()
            .contents()
    }

    /// All that came so far, as it came.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(
            &self
                .pty
                .seen
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .raw,
        )
        .into_owned()
    }

    /// What came, in the pieces in which it came, each with how long after the first;
    /// no character is cut.
    pub fn pieces(&self) -> Vec<(Duration, String)> {
        let seen = self.pty.seen.0.lock();
        let seen = seen.unwrap_or_else(PoisonError::into_inner);
        let (mut from, mut pieces) = (0, Vec::new());
        for (at, upto) in &seen.times {
            let bytes = &seen.raw[from..*upto];
            let text = match std::str::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap(),
            };
            from += text.len();
            pieces.push((at.duration_since(seen.times[0].0), text.to_owned()));
        }
        pieces
    }

    /// How many bytes came so far.
    pub fn taken(&self) -> usize {
        let seen = &self.pty.seen.0;
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .raw
            .len()
    }

    /// After how many bytes the screen was first as wanted, of those that came from
    /// `from` on.
    pub fn taken_until(&self, from: usize, wanted: impl Fn(&str) -> bool) -> Option<usize> {
        let seen = self.pty.seen.0.lock();
        let seen = seen.unwrap_or_else(PoisonError::into_inner);
        let (rows, cols) = seen.parser.screen().size();
        let mut parser = vt100::Parser::new(rows, cols, 0);
        parser.process(&seen.raw[..from]);
        let wanted = |parser: &vt100::Parser| wanted(&parser.screen().contents());
        let mut rest = seen.raw[from..].iter();
        let mut count = 0;
        while !wanted(&parser) {
            parser.process(&[*rest.next()?]);
            count += 1;
        }
        Some(count)
    }

    /// What a terminal remembers after a program: alternate screen, bracketed
    /// paste, hidden cursor.
    pub fn traces(&self) -> (bool, bool, bool) {
        let seen = self
            .pty
            .seen
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let screen = seen.parser.screen();
        (
            screen.alternate_screen(),
            screen.bracketed_paste(),
            screen.hide_cursor(),
        )
    }

    pub fn resize(&mut self, rows: u16, cols: u16) {
        let number = |n| NonZeroU16::new(n).unwrap();
        self.pty
            .seen
            .0
            .lock()
            .unwrap()
            .parser
            .screen_mut()
            .set_size(number(rows), number(cols));
        tcsetwinsize(self.pty.master(), winsize(rows, cols)).unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, which: Signal) {
        signal(self.child.id(), which);
    }

    /// The terminal's modes, as `stty -a` would show them.
    pub fn modes(&self) -> String {
        self.pty.modes()
    }

    /// The programs' end of the terminal.
    pub fn slave(&self) -> File {
        self.pty.slave()
    }

    /// The terminal stands still: nothing that is written to it is read. Waits
    /// until nothing can be written.
    pub fn stand_still(&mut self, rows: u16, cols: u16) {
        self.pty
            .seen
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .stuck = true;
        let slave = self.slave();
        let began = Instant::now();
        // Each size is a whole frame.
        for n in 0.. {
            let mut asked = [PollFd::new(&slave, PollFlags::OUT)];
            let tick = Timespec::try_from(Duration::from_millis(50)).unwrap();
            if !matches!(poll(&mut asked, Some(&Timespec::default())), Ok(1..)) {
                // It stays so?
                let mut asked = [PollFd::new(&slave, PollFlags::OUT)];
                if !matches!(poll(&mut asked, Some(&tick)), Ok(1..)) {
                    break;
                }
            }
            assert!(began.elapsed() < PATIENCE, "it can still be written to");
            self.resize(rows, cols - n % 2);
            std::thread::sleep(Duration::from_millis(20));
        }
        self.resize(rows, cols);
    }

    /// It is read again.
    pub fn go_on(&mut self) {
        self.pty
            .seen
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .stuck = false;
        self.pty.seen.1.notify_all();
    }

    /// Hangs up.
    pub fn hang_up(&mut self) {
        self.pty.close();
    }

    /// Waits for the end; the exit code.
    pub fn ends(&mut self) -> u32 {
        self.ends_within(PATIENCE).0
    }

    /// Waits until all was read that the program wrote.
    pub fn read_to_the_end(&self) {
        let (seen, changed) = &*self.pty.seen;
        let began = Instant::now();
        let mut guard = seen.lock().unwrap_or_else(PoisonError::into_inner);
        while !guard.ended && !guard.stuck && !guard.closed && began.elapsed() < SOON {
            guard = changed.wait_timeout(guard, SOON).unwrap().0;
        }
    }

    /// Waits no longer than that for the end; the exit code, and the processor
    /// time that the process has used in all.
    pub fn ends_within(&mut self, limit: Duration) -> (u32, Duration) {
        let began = Instant::now();
        loop {
            let (state, used) = stat(self.child.id());
            if state == "Z" {
                let status = self.child.wait().unwrap();
                let code = status.code().or_else(|| Some(128 + status.signal()?));
                self.read_to_the_end();
                return (u32::try_from(code.unwrap()).unwrap(), used);
            }
            assert!(
                began.elapsed() < limit,
                "it does not end:\n{}",
                self.screen()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The processor time used so far.
    pub fn used(&self) -> Duration {
        stat(self.child.id()).1
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.pty.close();
    }
}

/// A process's state, and the processor time of all its threads.
pub fn stat(pid: u32) -> (String, Duration) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = text
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = [11, 12]
        .iter()
        .map(|n| fields[*n].parse::<u64>().unwrap())
        .sum();
    let tick =
        Duration::from_secs(1) / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap();
    (fields[0].to_owned(), tick * u32::try_from(ticks).unwrap())
}

fn winsize(rows: u16, cols: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: cols,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
