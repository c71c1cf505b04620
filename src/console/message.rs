//! What happened, and what is to be done: plain data on both sides of
//! [`update`](super::update()).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use ratatui::layout::Rect;
use tui_input::InputRequest;

use super::action::Action;
use super::clipboard::Clip;
use super::hubs::{Granted, Wish};
use super::model::views::View;
use crate::domain::doctor::Check;
use crate::domain::event::{Command, Event};
use crate::domain::history::Ask;
use crate::engine::{Past, Snapshot};

/// Something that happened. Time comes in as a value, so the same messages
/// give the same model, always.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// It is that late now.
    Tick(Timestamp),
    /// The terminal has so many columns and rows.
    Resize(u16, u16),
    /// A key that means something here.
    Act(Action),
    /// A key that edits the text under the cursor.
    Edit(InputRequest),
    /// Text came in one piece from the clipboard.
    Paste(String),
    /// The engine tells what happened.
    Events(Arc<[Event]>),
    /// The engine tells how all stands: at the start, and after a lag.
    Snapshot(Box<Snapshot>),
    /// The engine tells of the past: what was asked, and the answer.
    Past(Ask, Box<Past>),
    /// What was wished of the other hubs, and what comes of it.
    Granted(Wish, Granted),
    /// Something was done with the mouse.
    Mouse(Mouse),
    /// The operator's own views were read or changed.
    Views(Kept),
    /// Something is to be known that no event tells, about the log for example.
    Notice(String),
    /// Events were missed, because there were too many at once; a snapshot follows.
    Lagged,
    /// The doctor tells of one check; `None`: of no more.
    Checked(Option<Check>),
    /// What came of a copy, in words.
    Copied(String),
    /// The process was stopped, or is about to be: whoever goes on may be
    /// somebody else.
    Suspended,
}

/// Something that is to be done outside the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask the engine; what comes of it arrives as [`Message::Events`].
    Send(Command),
    /// Ask the engine how all stands; answered by [`Message::Snapshot`].
    Snapshot,
    /// Ask the engine about the past; answered by [`Message::Past`]. A newer
    /// question takes the place of one that waits.
    Past(Ask),
    /// Ask for what leads to another hub; answered by [`Message::Granted`]. A newer
    /// wish takes the place of one that waits.
    Hubs(Wish),
    /// Whatever was wished is not wanted any more; nothing answers.
    CallOff,
    /// Leave the loop for the hub that is ready; nothing answers.
    Switch,
    /// Ask the doctor to look at everything; answered by [`Message::Checked`], one
    /// after another. A newer request takes the place of one at work.
    Examine,
    /// Give a text to the clipboard or to a file; answered by [`Message::Copied`].
    Copy(Clip),
    /// Read or change the operator's own views; answered by [`Message::Views`].
    Views(Keep),
    /// Stop the process until the shell continues it; nothing answers.
    Suspend,
    /// Leave the loop and restore the terminal; nothing answers.
    Quit,
}

/// What is to be done to the operator's own views.
#[derive(Clone, Debug, PartialEq)]
pub enum Keep {
    /// Tell which there are.
    Read,
    /// Keep this one under that name.
    Save(String, View),
    /// Forget the one of that name.
    Forget(String),
}

/// How the operator's own views are now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// Them by name; `None` when they could not be read.
    pub views: Option<BTreeMap<String, View>>,
    /// What is wrong with them, or was not done; empty when all is well.
    pub wrong: Vec<String>,
}

/// Something that was done with the mouse, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mouse {
    /// What.
    pub kind: MouseKind,
    /// The column, from 0.
    pub column: u16,
    /// The row, from 0.
    pub row: u16,
}

/// What can be done with the mouse here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MouseKind {
    /// The first button was pressed.
    Click,
    /// The wheel was turned, up.
    WheelUp,
    /// Down.
    WheelDown,
}

impl Mouse {
    /// Was it there?
    pub(crate) fn is_in(self, area: Rect) -> bool {
        area.contains((self.column, self.row).into())
    }

    /// The line below so many lines of heading, if it was there.
    pub(crate) fn line_in(self, area: Rect, heading: usize) -> Option<usize> {
        let line = usize::from(self.row.checked_sub(area.y)?);
        self.is_in(area)
            .then(|| line.checked_sub(heading))
            .flatten()
    }
}
