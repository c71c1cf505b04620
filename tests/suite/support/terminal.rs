//! The real binary in a pseudo-terminal, its screen read by a terminal emulator.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::Signal;

use super::program::{Home, PATIENCE, binary, signal};

struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
    ended: bool,
}

/// A program in a terminal.
pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    /// The terminal's modes before the program started.
    pub before: String,
}

impl Terminal {
    /// Starts otadeck with `args` in a terminal of that size.
    pub fn start(home: &Home, args: &[&str], rows: u16, cols: u16) -> Self {
        Self::start_program(binary(), home, args, rows, cols)
    }

    /// Starts any program so.
    pub fn start_program(program: &Path, home: &Home, args: &[&str], rows: u16, cols: u16) -> Self {
        let size = size(rows, cols);
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env_clear();
        let plain = home.command(&[]);
        for (name, value) in plain.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command.env("TERM", "xterm-256color");
        command.cwd(home.folder.path());
        let before = modes(&*pair.master);
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let number = |n| NonZeroU16::new(n).unwrap();
        let seen = Arc::new((
            Mutex::new(Seen {
                parser: vt100::Parser::new(number(rows), number(cols), 0),
                raw: Vec::new(),
                ended: false,
            }),
            Condvar::new(),
        ));
        watch(pair.master.try_clone_reader().unwrap(), Arc::clone(&seen));
        Self {
            keyboard: pair.master.take_writer().unwrap(),
            master: pair.master,
            child,
            seen,
            before,
        }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) -> &mut Self {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
        self
    }

    /// Pastes, as a terminal with bracketed paste does.
    pub fn paste(&mut self, text: &str) -> &mut Self {
        self.press(&format!("\x1b[200~{text}\x1b[201~"))
    }

    /// Waits until the screen is as wanted; the screen.
    pub fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let (seen, changed) = &*self.seen;
        let began = Instant::now();
        let mut seen = seen.lock().unwrap();
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
        self.seen.0.lock().unwrap().parser.screen().contents()
    }

    /// All that came so far, as it came.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.seen.0.lock().unwrap().raw).into_owned()
    }

    /// What a terminal remembers after a program: alternate screen, bracketed
    /// paste, hidden cursor.
    pub fn traces(&self) -> (bool, bool, bool) {
        let seen = self.seen.0.lock().unwrap();
        let screen = seen.parser.screen();
        (
            screen.alternate_screen(),
            screen.bracketed_paste(),
            screen.hide_cursor(),
        )
    }

    pub fn resize(&mut self, rows: u16, cols: u16) {
        let number = |n| NonZeroU16::new(n).unwrap();
        self.seen
            .0
            .lock()
            .unwrap()
            .parser
            .screen_mut()
            .set_size(number(rows), number(cols));
        self.master.resize(size(rows, cols)).unwrap();
    }

    pub fn signal(&self, which: Signal) {
        signal(self.child.process_id().unwrap(), which);
    }

    /// The terminal's modes, as `stty -a` would show them.
    pub fn modes(&self) -> String {
        modes(&*self.master)
    }

    /// Waits for the end; the exit code.
    pub fn ends(&mut self) -> u32 {
        let (seen, changed) = &*self.seen;
        let began = Instant::now();
        let mut guard = seen.lock().unwrap();
        while !guard.ended {
            let left = PATIENCE.saturating_sub(began.elapsed());
            assert!(
                !left.is_zero(),
                "it does not end:\n{}",
                guard.parser.screen().contents()
            );
            guard = changed.wait_timeout(guard, left).unwrap().0;
        }
        drop(guard);
        self.child.wait().unwrap().exit_code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize {
        rows,
        cols,
        pixel_width: 0,
        pixel_height: 0,
    }
}

fn watch(mut reader: Box<dyn Read + Send>, seen: Arc<(Mutex<Seen>, Condvar)>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 1 << 16];
        loop {
            let n = reader.read(&mut buffer).unwrap_or(0);
            let mut guard = seen.0.lock().unwrap();
            guard.raw.extend_from_slice(&buffer[..n]);
            guard.parser.process(&buffer[..n]);
            guard.ended = n == 0;
            seen.1.notify_all();
            if n == 0 {
                return;
            }
        }
    });
}

fn modes(master: &(dyn MasterPty + Send)) -> String {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    let path = master.tty_name().unwrap();
    let flags = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
    let mut options = std::fs::OpenOptions::new();
    let tty = options.read(true).custom_flags(flags).open(path).unwrap();
    format!("{:?}", rustix::termios::tcgetattr(tty).unwrap())
}
