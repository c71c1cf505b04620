//! The terminal, taken and given back.
//!
//! ```text
//!  restored ── enter ──► taken ── restore (quit, error, drop, panic, signal) ──► restored
//!                          ▲                                                        │
//!                          └────────────── enter (continued after a stop) ──────────┘
//! ```
//!
//! Giving back is idempotent and writes to the terminal directly, so that every
//! way out may do it, and none must know whether another did. Frames go out in
//! one write each, between the marks of synchronized output.
//!
//! Nothing here waits for a terminal that stands still. Of a frame that does not
//! go out in one write the rest is kept, at most one; while it waits no other is
//! made. When there is room again the rest goes out, and then what has changed
//! up to then: the newest frame wins, and those between were never built. No
//! thread writes: the loop does, when the terminal has room, so that nothing
//! has two owners, and a write is never under way when the terminal is given back.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, TryLockError};
use std::time::{Duration, Instant};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::EnableBracketedPaste;
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use ratatui::crossterm::{cursor, queue};
use ratatui::layout::{Position, Rect};
use ratatui::{Terminal, TerminalOptions, Viewport};
use rustix::termios::{Action, QueueSelector, tcflow, tcflush};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use super::model::Model;
use super::tty::{self, Out};

/// A frame of a large terminal, drawn whole, fits into this.
const FRAME: usize = 64 * 1024;
/// How long a terminal that stands still is waited for when it is given back;
/// once before and once after what waits there is thrown away.
const ROOM: Duration = Duration::from_millis(80);
/// How long giving back the terminal may take.
pub const GIVEN_BACK: Duration = ROOM.saturating_mul(3);

/// What gives the terminal back: cancels a sequence that was cut, ends a frame,
/// then colours, the mouse, bracketed paste, the alternate screen, the hidden cursor.
const LEAVE: &[u8] = b"\x18\x1b[?2026l\x1b[0m\x1b[?1006l\x1b[?1000l\x1b[?2004l\x1b[?1049l\x1b[?25h";
/// What takes the mouse, and what leaves it to the terminal: presses and the wheel
/// alone, no moves, in numbers that any screen is small enough for.
const MOUSE: [&[u8]; 2] = [b"\x1b[?1006l\x1b[?1000l", b"\x1b[?1000h\x1b[?1006h"];

/// Is the terminal ours at the moment?
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Held by whoever writes to it.
static WRITES: Mutex<()> = Mutex::new(());
/// Somebody has panicked, and the terminal was given back.
static LOST: Notify = Notify::const_new();
static HOOK: Once = Once::new();

/// The terminal while it is ours. Dropping it gives it back.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Held>>,
    /// What is drawn, until the frame is whole.
    held: Held,
    out: AsyncFd<Out>,
    /// What there was no room for yet.
    waiting: Vec<u8>,
    size: (u16, u16),
    /// Is the mouse ours?
    mouse: bool,
}

impl Screen {
    /// Takes the terminal: raw mode, the alternate screen, bracketed paste.
    #[expect(
        deprecated,
        reason = "its successor is unsafe for the sake of types that lie about their \
                  descriptor; this one owns it"
    )]
    pub(super) fn enter(size: (u16, u16)) -> io::Result<Self> {
        hook_panics();
        let held = Held::default();
        let options = TerminalOptions {
            viewport: Viewport::Fixed(area(size)),
        };
        let terminal = Terminal::with_options(CrosstermBackend::new(held.clone()), options)?;
        let interest = Interest::WRITABLE | Interest::ERROR;
        let mut screen = Self {
            terminal,
            held,
            out: AsyncFd::with_interest(Out::open()?, interest)?,
            waiting: Vec::new(),
            size,
            mouse: false,
        };
        screen.take()?;
        Ok(screen)
    }

    /// Takes the terminal again after the process was stopped, whatever the
    /// shell has made of it meanwhile, and forgets what was on it.
    pub(super) fn enter_again(&mut self) -> io::Result<()> {
        self.leave();
        self.take()?;
        self.size = tty::size().unwrap_or(self.size);
        // Not `clear`: that asks the terminal where its cursor is, and waits.
        self.terminal.resize(area(self.size))
    }

    /// Gives the terminal back, with what was not written yet.
    pub(super) fn leave(&mut self) {
        self.waiting.clear();
        self.held.0.borrow_mut().clear();
        restore();
    }

    fn take(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::Release);
        self.mouse = false;
        queue!(
            self.held,
            EnterAlternateScreen,
            EnableBracketedPaste,
            cursor::Hide
        )
    }

    /// Is it still ours? A panic may have given it back.
    pub(super) fn is_taken() -> bool {
        TAKEN.load(Ordering::Acquire)
    }

    /// Does a frame still wait for room? Then no other may be drawn.
    pub(super) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Draws a frame, in one write if there is room for it.
    pub(super) fn draw(&mut self, model: &Model) -> io::Result<()> {
        if model.updates.open().any(|update| update.answer.is_some()) {
            crate::rehearsal::panic_at("view");
        }
        if model.mouse != self.mouse {
            self.mouse = model.mouse;
            self.held.write_all(MOUSE[usize::from(self.mouse)])?;
        }
        queue!(self.held, BeginSynchronizedUpdate)?;
        if model.size != self.size {
            self.size = model.size;
            self.terminal.resize(area(self.size))?;
        }
        self.terminal
            .draw(|frame| super::view::view(model, frame))?;
        queue!(self.held, EndSynchronizedUpdate)?;
        self.waiting = self.held.0.take();
        self.send()
    }

    /// Waits until what was left over has been written; when nothing was, until
    /// the terminal has gone. Cancelled, it has lost nothing.
    ///
    /// # Errors
    /// When the terminal has gone.
    pub(super) async fn catches_up(&mut self) -> io::Result<()> {
        if !self.is_behind() {
            let _ = self.out.ready(Interest::ERROR).await?;
            return Err(rustix::io::Errno::IO.into());
        }
        loop {
            self.out.writable().await?.clear_ready();
            self.send()?;
            if !self.is_behind() {
                return Ok(());
            }
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let _alone = alone();
        if !Self::is_taken() {
            // It was given back meanwhile, and is somebody else's.
            self.waiting.clear();
            return Ok(());
        }
        let sent = self.out.get_ref().write(&self.waiting)?;
        self.waiting.drain(..sent);
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn area((columns, rows): (u16, u16)) -> Rect {
    Rect::from((Position::ORIGIN, (columns, rows).into()))
}

/// Keeps a frame and what gives the terminal back from mixing: they may come from
/// two threads. Not for long: a thread that has panicked in here holds it for ever.
fn alone() -> Option<MutexGuard<'static, ()>> {
    let began = Instant::now();
    while began.elapsed() < ROOM {
        match WRITES.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
    None
}

/// Waits until a panic has given the terminal back.
pub(super) async fn lost() {
    LOST.notified().await;
}

/// Gives the terminal back as it was. Does nothing when that was done before,
/// and goes on when a part of it fails: the terminal may be gone.
///
/// The modes are set at once, whatever waits for output. The rest has to be
/// written: to a terminal that stands still it is, after what waits there was
/// thrown away. Where even that does not help (its buffer beyond our reach is
/// full), the alternate screen stays until somebody says `reset`.
///
/// A process in the background gives nothing back: the terminal is another's.
pub fn restore() {
    let _alone = alone();
    if !TAKEN.swap(false, Ordering::AcqRel) || !tty::is_ours() {
        return;
    }
    if let Ok(out) = Out::open()
        && !out.write_within(LEAVE, ROOM).is_empty()
    {
        let _ = tcflush(&out, QueueSelector::OFlush);
        let _ = tcflow(&out, Action::OOn);
        if !out.write_within(LEAVE, ROOM).is_empty() {
            tracing::warn!("the terminal takes nothing; it may need `reset`");
        }
    }
    let _ = disable_raw_mode();
}

/// From now on a panic, wherever it is, gives the terminal back before it says
/// what it has to say, and ends the console.
fn hook_panics() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
            LOST.notify_one();
        }));
    });
}

/// Holds what is drawn until the frame is whole: whoever draws flushes in the
/// middle too, and a part of a frame is worth neither a write nor a look.
#[derive(Clone, Default)]
struct Held(Rc<RefCell<Vec<u8>>>);

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut held = self.0.borrow_mut();
        if held.capacity() == 0 {
            held.reserve(FRAME);
        }
        held.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
