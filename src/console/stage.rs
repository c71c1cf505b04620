//! What outlives the session of one hub: the terminal while it is ours, what is
//! heard of the system, the keyboard.
//!
//! Between two sessions the terminal stays ours, with the last frame on it, so that
//! nobody sees the shell's screen in between. Signals are heard on meanwhile: one that
//! ends the process ends the next session at once.

use tokio::sync::mpsc;

use super::hubs::Grant;
use super::input::Keyboard;
use super::outside::{Doctor, Outside};
use super::run::{ConsoleError, terminal_error};
use super::signals::Signals;
use super::terminal::Screen;
use super::told::Wire;

/// Where one session after another is shown. The terminal is taken with the first
/// frame, and given back when a session ends for good, or when this is dropped.
#[derive(Default)]
pub struct Stage {
    pub(super) set: Option<Set>,
    /// What no event tells.
    pub(super) outside: Outside,
    /// `None` where there is one hub, or none at all.
    pub(super) grant: Option<Grant>,
}

impl Stage {
    /// A stage on which what comes through `notices` is shown.
    #[must_use]
    pub fn new(notices: mpsc::Receiver<String>) -> Self {
        Self {
            outside: notices.into(),
            ..Self::default()
        }
    }

    /// The same, from which `grant` leads to other hubs.
    #[must_use]
    pub fn leading(self, grant: Grant) -> Self {
        Self {
            grant: Some(grant),
            ..self
        }
    }

    /// From now on that doctor is asked, who knows the hub of the next session.
    pub fn attended_by(&mut self, doctor: Doctor) {
        self.outside.ask(doctor);
    }

    /// Gives the terminal back, if a session has left it taken.
    pub fn give_back(&mut self) {
        self.set = None;
    }
}

/// The terminal's three sides.
pub(super) struct Set {
    pub(super) signals: Signals,
    pub(super) input: Keyboard,
    pub(super) screen: Screen,
}

impl Set {
    pub(super) fn take(size: (u16, u16), wire: &Wire) -> Result<Self, ConsoleError> {
        Ok(Self {
            signals: Signals::new().map_err(ConsoleError::Signals)?,
            input: Keyboard::open().map_err(terminal_error("read"))?,
            screen: Screen::enter(size, wire).map_err(terminal_error("set up"))?,
        })
    }
}
