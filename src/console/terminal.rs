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
//! one write each, between the marks of synchronized output unless they
//! are tiny, or the link so slow that the half of one is better than none.
//!
//! Nothing here waits for a terminal that stands still. Of a frame that does not
//! go out in one write the rest is kept, at most one; while it waits no other is
//! made. When there is room again the rest goes out, and then what has changed
//! up to then: the newest frame wins, and those between were never built. No
//! thread writes: the loop does, when the terminal has room, so that nothing
//! has two owners, and a write is never under way when the terminal is given back.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, TryLockError};
use std::time::{Duration, Instant};

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

use super::flow::{Flow, QUESTION, Why};
use super::model::Model;
use super::pen::Pen;
use super::told::{RESTORE_TITLE, SAVE_TITLE, Told, Wire};
use super::tty::{self, Out};

/// A frame of fewer bytes needs no marks: they would be most of it.
const MARKED: usize = 64;
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
/// Was its title put aside?
static TITLED: AtomicBool = AtomicBool::new(false);
/// Held by whoever writes to it.
static WRITES: Mutex<()> = Mutex::new(());
/// Somebody has panicked, and the terminal was given back.
static LOST: Notify = Notify::const_new();
static HOOK: Once = Once::new();

/// The terminal while it is ours. Dropping it gives it back.
pub(super) struct Screen {
    terminal: Terminal<Pen>,
    /// What goes before the next frame.
    first: Vec<u8>,
    out: AsyncFd<Out>,
    /// What there was no room for yet.
    waiting: Vec<u8>,
    /// What goes to the clipboard, between two frames.
    clip: Vec<u8>,
    size: (u16, u16),
    flow: Flow,
    told: Told,
    titled: bool,
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
    pub(super) fn enter(size: (u16, u16), wire: &Wire) -> io::Result<Self> {
        hook_panics();
        let options = TerminalOptions {
            viewport: Viewport::Fixed(area(size)),
        };
        let Ok(terminal) = Terminal::with_options(Pen::new(size), options);
        let interest = Interest::WRITABLE | Interest::ERROR;
        let mut screen = Self {
            terminal,
            first: Vec::new(),
            out: AsyncFd::with_interest(Out::open()?, interest)?,
            waiting: Vec::new(),
            clip: Vec::new(),
            size,
            flow: Flow::new(wire.max_fps, tty::answers_come_here(), Instant::now()),
            told: Told::default(),
            titled: wire.title,
            mouse: false,
        };
        screen.take()?;
        Ok(screen)
    }

    /// Takes the terminal again after the process was stopped, whatever the
    /// shell has made of it meanwhile, and forgets what was on it.
    pub(super) fn enter_again(&mut self) -> io::Result<()> {
        self.leave();
        // It may have been left in the background, where its modes are another's.
        disable_raw_mode()?;
        self.take()?;
        self.size = tty::size().unwrap_or(self.size);
        self.told.forget();
        self.flow.forget(Instant::now());
        self.terminal.backend_mut().forget();
        self.resize();
        Ok(())
    }

    /// The whole screen is drawn anew, in the size that it has.
    fn resize(&mut self) {
        self.terminal.backend_mut().resize(self.size);
        // Not `clear`: that asks the terminal where its cursor is, and waits.
        let Ok(()) = self.terminal.resize(area(self.size));
    }

    /// Gives the terminal back, with what was not written yet.
    pub(super) fn leave(&mut self) {
        self.waiting.clear();
        self.clip.clear();
        self.first.clear();
        self.terminal.backend_mut().take();
        restore();
    }

    fn take(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::Release);
        self.mouse = false;
        if self.titled {
            TITLED.store(true, Ordering::Release);
            self.first.extend_from_slice(SAVE_TITLE);
        }
        queue!(
            self.first,
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
        !self.waiting.is_empty() || !self.clip.is_empty()
    }

    /// Gives the clipboard a control sequence: after a frame that waits, never inside
    /// it. One that waits itself makes room for a newer one.
    ///
    /// # Errors
    /// When the terminal has gone.
    pub(super) fn copy(&mut self, sequence: Vec<u8>) -> io::Result<()> {
        self.flow.sent(sequence.len(), false, Instant::now());
        self.clip = sequence;
        self.send()
    }

    /// Draws a frame, in one write if there is room for it.
    pub(super) fn draw(&mut self, model: &Model) -> io::Result<()> {
        if model.updates.open().any(|update| update.answer.is_some()) {
            crate::rehearsal::panic_at("view");
        }
        if model.mouse != self.mouse {
            self.mouse = model.mouse;
            self.first.extend_from_slice(MOUSE[usize::from(self.mouse)]);
        }
        if model.size != self.size {
            self.size = model.size;
            self.resize();
        }
        let Ok(_) = self.terminal.draw(|frame| super::view::view(model, frame));
        let drawn = self.terminal.backend_mut().take();
        let mut frame = std::mem::take(&mut self.first);
        frame.extend_from_slice(self.told.news(model).as_bytes());
        if drawn.len() < MARKED || !self.flow.is_quick(drawn.len()) {
            frame.extend_from_slice(&drawn);
        } else {
            queue!(frame, BeginSynchronizedUpdate)?;
            frame.extend_from_slice(&drawn);
            queue!(frame, EndSynchronizedUpdate)?;
        }
        if frame.is_empty() {
            return Ok(());
        }
        let asks = self.flow.asks(frame.len());
        if asks {
            frame.extend_from_slice(QUESTION);
        }
        self.flow.sent(frame.len(), asks, Instant::now());
        self.waiting = frame;
        self.send()
    }

    /// When a frame that is due for that reason may be drawn.
    pub(super) fn next_frame(&self, why: Why) -> Instant {
        self.flow.next(why, Instant::now())
    }

    /// The terminal has answered what it was asked.
    pub(super) fn answered(&mut self) {
        self.flow.answered(Instant::now());
    }

    /// How long to wait for an answer before the terminal is given back.
    pub(super) fn owed(&self) -> Option<Duration> {
        self.flow.owed()
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
            self.clip.clear();
            return Ok(());
        }
        if self.waiting.is_empty() {
            self.waiting = std::mem::take(&mut self.clip);
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
    let mut leave = LEAVE.to_vec();
    if TITLED.swap(false, Ordering::AcqRel) {
        leave.extend_from_slice(RESTORE_TITLE);
    }
    if let Ok(out) = Out::open()
        && !out.write_within(&leave, ROOM).is_empty()
    {
        let _ = tcflush(&out, QueueSelector::OFlush);
        let _ = tcflow(&out, Action::OOn);
        if !out.write_within(&leave, ROOM).is_empty() {
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
