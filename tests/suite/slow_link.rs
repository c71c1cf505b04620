//! The console over a slow link: keys are answered, and there is no backlog of old
//! frames.
//!
//! Judged by bytes: whatever comes before the answer to a key is what the link has to
//! take before it. A machine that is busy makes all of it later, and none of it more.

use std::time::Duration;

use rstest::rstest;

use super::support::program::{Emulator, Home, binary};
use super::support::slow::Link;
use super::support::terminal::{Pty, Session, Terminal};

const URI: &str = "https://example.test/fw-1.5.0.bin";
/// In what time a key is answered.
const ANSWERED: Duration = Duration::from_millis(300);

/// What lies between the program and the terminal.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Between {
    /// A connection that takes all at once and sends it as it can.
    Connection,
    /// Nothing, and the terminal answers nothing.
    Nothing,
}

struct Slow {
    terminal: Terminal,
    link: Link,
    _home: Home,
    _emulator: Emulator,
}

impl Slow {
    /// A console behind such a link, in which the update of a device is watched.
    fn watching(rate: usize, between: Between) -> Self {
        let emulator = Emulator::start(&["--devices", "60", "--scenario", "tutorial"]);
        let home = Home::on(&emulator);
        let link = Link {
            rate,
            buffers: between == Between::Connection,
            answers: between == Between::Connection,
        };
        let pty = Pty::open(24, 80).behind(link);
        let (leads, program) = (Session::Leads, binary());
        let mut terminal = Terminal::start_in(pty, leads, None, program, &home, &[]);
        terminal.shows("sim-0015");
        terminal.press("\r").shows("ackage");
        terminal.press(URI).shows("fw-1.5.0.bin");
        terminal.press("\r").shows("firmwareUpdate");
        terminal.press("y").shows("✓ accepted");
        Self {
            terminal,
            link,
            _home: home,
            _emulator: emulator,
        }
    }

    /// Presses keys, and sees that the link has to take no more before the answer to
    /// them than it takes in time.
    fn answers(&mut self, keys: &str, what: &str, wanted: impl Fn(&str) -> bool) {
        let before = self.terminal.taken();
        self.terminal.press(keys).until(what, &wanted);
        let taken = self.terminal.taken_until(before, &wanted).unwrap();
        let most = self.link.takes(ANSWERED);
        assert!(
            taken <= most,
            "{taken} B until {what}; the link takes {most} B in {ANSWERED:?}"
        );
    }

    /// Waits until nothing of what was pressed is on its way.
    fn rests(&self) {
        let mut taken = self.terminal.taken();
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let now = self.terminal.taken();
            if now - taken < 100 {
                return;
            }
            taken = now;
        }
    }
}

#[rstest]
fn keys_are_answered_and_there_is_no_backlog_of_old_frames(
    #[values(25 << 10, 5 << 10)] rate: usize,
    #[values(Between::Connection, Between::Nothing)] between: Between,
) {
    let mut slow = Slow::watching(rate, between);
    slow.rests();
    slow.answers("q", "the question", |s| s.contains("Quit?"));
    slow.rests();
    slow.answers("\x1b", "the update", |s| !s.contains("Quit?"));
    slow.rests();
    slow.answers("\x1b", "the table", |s| s.contains("sim-0005"));
    slow.rests();
    for n in 2..5 {
        let row = format!("▌   sim-{n:04}");
        slow.answers("j", &row, |s| s.contains(&row));
    }
    // A key that is held gives more frames than the link takes: most are never drawn.
    for _ in 0..30 {
        for key in ["\x1b[6~", "\x1b[5~"] {
            slow.terminal.press(key);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    slow.answers("/0042", "what is left", |s| {
        s.contains("sim-0042") && !s.contains("sim-0002")
    });
}
