//! The terminal UI.
//!
//! ```text
//!  terminal ─► run ─► keymap ─► Message ─► update(&mut Model) ─► Effect ─► run ─► engine
//!                                 ▲              │
//!  engine ─► run ─────────────────┘              ▼
//!  terminal ◄─ run ◄──────────────────── view(&Model)
//! ```
//!
//! [`update()`] and [`view()`] are pure; time comes in as a value. Only [`run()`]
//! and what it uses directly (`terminal`, `tty`, `input`, `outfile`, `shelf`, `signals`)
//! touch the world. A frame is drawn when something has changed, at most one each 16 ms
//! and no faster than the terminal takes them; the process wakes by itself only when something on
//! the screen ages visibly.
//!
//! | module | what it is |
//! |---|---|
//! | `action` | what a key can mean |
//! | `keymap` | from keys to actions, out of `assets/keymap.toml` |
//! | `clipboard` | what is copied, and as which bytes |
//! | `outfile` | what is copied to a file |
//! | `message` | what happened, and what is to be done |
//! | `model` | what the console knows |
//! | `update` | what a message does to that |
//! | `view` | how it looks |
//! | `theme` | styles by role, out of `assets/themes` |
//! | `look` | theme, keys and signs as the operator has set them |
//! | `text` | cleaned, measured, cut, wrapped |
//! | `run`, `stage` | the loop, and what outlives it |
//! | `line` | the same without a screen, in lines |
//! | `hubs` | the other hubs that can be gone to |
//! | `outside` | what comes in beside the engine: remarks, a doctor |
//! | `shelf` | the operator's own views, in a file |
//! | `signals` | what the system tells: signals |
//! | `terminal` | the terminal, taken and given back |
//! | `pen` | frames in few bytes |
//! | `flow` | when the next one may go out |
//! | `told` | the terminal's title, the bell |
//! | `tty` | its descriptors, used so that nothing waits for it |
//! | `input`, `keys` | what is typed: as it comes, and what the bytes mean |

mod action;
mod clipboard;
mod flow;
mod hubs;
mod input;
mod keymap;
mod keys;
pub mod line;
mod look;
mod message;
mod model;
mod outfile;
mod outside;
mod pen;
mod run;
mod shelf;
mod signals;
mod stage;
mod terminal;
mod text;
mod theme;
mod told;
mod tty;
mod update;
mod view;

pub use action::Action;
pub use clipboard::Clip;
pub use hubs::{Grant, Granted, Granting, HubEntry, Wish};
pub use look::{Keys, Look, LookSettings, ViewText};
pub use message::{Effect, Keep, Kept, Message, Mouse, MouseKind};
pub use model::views::View;
pub use model::{Carried, Context, Model};
pub use outside::{Doctor, Outside};
pub use run::{ConsoleError, Ended, Exit, replay, run};
pub use signals::is_ignored;
pub use stage::Stage;
pub use terminal::{GIVEN_BACK, restore as give_back};
pub use told::{Notify, Wire};
pub use update::update;
pub use view::view;

/// Presses keys as the keymap spells them (`"jj<enter>"`) and gives what is to
/// be done: how tests and demonstrations drive the console without a terminal.
///
/// # Errors
/// Says which name between `<` and `>` is no key.
pub fn press(model: &mut Model, keys: &str) -> Result<Vec<Effect>, String> {
    let mut effects = Vec::new();
    for key in keymap::keys(keys)? {
        if let Some(message) = model.keymap.message(model.place(), key) {
            effects.extend(update(model, message));
        }
    }
    Ok(effects)
}
