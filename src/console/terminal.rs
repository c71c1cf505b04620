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

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once};
use std::thread::ThreadId;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode, size,
};
use ratatui::crossterm::{cursor, execute, queue};
use ratatui::layout::{Position, Rect};

use super::model::Model;

/// A frame of a large terminal, drawn whole, fits into this.
const FRAME: usize = 64 * 1024;

/// Is the terminal ours at the moment?
static TAKEN: AtomicBool = AtomicBool::new(false);
/// The thread that draws: a panic there ends the console, one elsewhere does
/// not and must not disturb the screen.
static DRAWS: Mutex<Option<ThreadId>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// The terminal while it is ours. Dropping it gives it back.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Frames>>,
}

impl Screen {
    /// Takes the terminal: raw mode, the alternate screen, bracketed paste.
    pub(super) fn enter() -> io::Result<Self> {
        hook_panics();
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let frames = Frames {
            out,
            held: Vec::with_capacity(FRAME),
        };
        let terminal = Terminal::new(CrosstermBackend::new(frames))?;
        take()?;
        Ok(Self { terminal })
    }

    /// Takes the terminal again after the process was stopped, whatever the
    /// shell has made of it meanwhile, and forgets what was on it.
    pub(super) fn enter_again(&mut self) -> io::Result<()> {
        restore();
        take()?;
        let size = self.terminal.size()?;
        // Not `clear`: that asks the terminal where its cursor is, and waits.
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))
    }

    /// How many columns and rows it has.
    pub(super) fn size() -> Option<(u16, u16)> {
        size().ok()
    }

    /// Is it still ours? A panic may have given it back.
    pub(super) fn is_taken() -> bool {
        TAKEN.load(Ordering::Acquire)
    }

    /// Draws a frame in one write.
    pub(super) fn draw(&mut self, model: &Model) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal
            .draw(|frame| super::view::view(model, frame))?;
        queue!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
        io::Write::flush(self.terminal.backend_mut())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::Release);
    if let Ok(mut draws) = DRAWS.lock() {
        *draws = Some(std::thread::current().id());
    }
    execute!(
        io::stdout(),
        EnterAlternateScreen,
        EnableBracketedPaste,
        cursor::Hide
    )
}

/// Gives the terminal back as it was. Does nothing when that was done before,
/// and goes on when a part of it fails: the terminal may be gone.
pub(super) fn restore() {
    if !TAKEN.swap(false, Ordering::AcqRel) {
        return;
    }
    let mut out = io::stdout();
    let _ = execute!(
        out,
        EndSynchronizedUpdate,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    );
    let _ = disable_raw_mode();
}

/// From now on a panic of the drawing thread gives the terminal back before it
/// says what it has to say. One of another thread goes to the log only, while
/// the screen is ours.
fn hook_panics() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if TAKEN.load(Ordering::Acquire) && !draws_here() {
                tracing::error!("{panic}");
                return;
            }
            restore();
            before(panic);
        }));
    });
}

/// Is this the thread that draws? When that cannot be told it counts as such:
/// a terminal given back too early is better than one never given back.
fn draws_here() -> bool {
    match DRAWS.try_lock() {
        Ok(draws) => draws.is_none_or(|id| id == std::thread::current().id()),
        Err(_) => true,
    }
}

/// Holds what is written until the frame is whole. The one place through which
/// frames leave.
struct Frames {
    out: File,
    held: Vec<u8>,
}

/// What ends a frame.
const END: &[u8] = b"\x1b[?2026l";

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Sends the frame if it is whole: whoever draws flushes in the middle too,
    /// and a part of a frame is worth neither a write nor a look.
    fn flush(&mut self) -> io::Result<()> {
        if !self.held.ends_with(END) {
            return Ok(());
        }
        let sent = self.out.write_all(&self.held);
        self.held.clear();
        sent
    }
}
