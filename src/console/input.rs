//! Keys as they are typed.
//!
//! The terminal library's own reader is not used: after a hang-up it reads
//! nothing for ever and burns a core, and on the half of a sequence it waits for
//! the other half, and with it the whole console. This one asks before it reads,
//! and an end is an end.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::PollFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, timeout_at};

use super::keys::{Keys, Typed};
use super::tty;

/// How long the rest of a sequence may take that has begun with an escape. One
/// that is alone is shown so late.
const REST: Duration = Duration::from_millis(25);
/// Bytes of one read.
const READ: usize = 4_096;

/// The keyboard.
#[derive(Debug)]
pub(super) struct Keyboard {
    tty: AsyncFd<OwnedFd>,
    keys: Keys,
    /// Until when the rest of a sequence is waited for: whoever waits here is called
    /// off and comes again, many times while updates run.
    until: Option<Instant>,
}

/// What comes from the keyboard.
#[derive(Debug)]
pub(super) enum Input {
    /// A key or a text.
    Typed(Typed),
    /// The terminal has gone.
    Gone,
}

impl Keyboard {
    /// The keyboard of stdin's terminal.
    #[expect(
        deprecated,
        reason = "its successor is unsafe for the sake of types that lie about their \
                  descriptor; an owned descriptor does not"
    )]
    pub(super) fn open() -> io::Result<Self> {
        let stdin = rustix::io::dup(rustix::stdio::stdin())?;
        let interest = Interest::READABLE | Interest::ERROR;
        Ok(Self {
            tty: AsyncFd::with_interest(stdin, interest)?,
            keys: Keys::default(),
            until: None,
        })
    }

    /// Waits for the next key. Cancelled, it has lost nothing.
    pub(super) async fn next(&mut self) -> Input {
        loop {
            if let Some(typed) = self.keys.next() {
                self.until = None;
                return Input::Typed(typed);
            }
            let more = match self.keys.waits() {
                true => {
                    let until = *self.until.get_or_insert_with(|| Instant::now() + REST);
                    timeout_at(until, self.tty.readable()).await
                }
                false => Ok(self.tty.readable().await),
            };
            let mut ready = match more {
                Ok(Ok(ready)) => ready,
                // Only the end of the runtime.
                Ok(Err(_)) => return Input::Gone,
                Err(_) => {
                    self.until = None;
                    match self.keys.give_up() {
                        Some(typed) => return Input::Typed(typed),
                        None => continue,
                    }
                }
            };
            match read(self.tty.get_ref(), &mut self.keys) {
                // What comes now has its own time.
                Read::Some => self.until = None,
                Read::Nothing => ready.clear_ready(),
                Read::End => return Input::Gone,
            }
        }
    }

    /// Forgets all that was typed up to now. What the terminal has answered was not
    /// typed: how often it has.
    pub(super) fn forget(&mut self) -> usize {
        while matches!(read(self.tty.get_ref(), &mut self.keys), Read::Some) {}
        let typed = std::iter::from_fn(|| self.keys.next());
        let answers = typed.filter(|typed| *typed == Typed::Taken).count();
        self.keys.forget();
        self.until = None;
        answers
    }
}

enum Read {
    Some,
    Nothing,
    End,
}

/// Reads what is there, without waiting: the descriptor is shared with the shell
/// and blocks, so it is asked first.
fn read(stdin: &OwnedFd, keys: &mut Keys) -> Read {
    if !tty::is_ready(stdin.as_fd(), PollFlags::IN, Duration::ZERO) {
        return Read::Nothing;
    }
    let mut buffer = [0; READ];
    match rustix::io::read(stdin, &mut buffer) {
        Ok(0) => Read::End,
        Ok(n) => {
            keys.take(&buffer[..n]);
            Read::Some
        }
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Read::Nothing,
        Err(_) => Read::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::crossterm::event::KeyCode;
    use tokio::time::timeout;

    /// While updates run the loop is woken by something else many times a second.
    #[tokio::test]
    #[expect(deprecated, reason = "as where it is opened")]
    async fn a_lone_escape_is_seen_though_the_waiting_is_called_off_again_and_again() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let interest = Interest::READABLE | Interest::ERROR;
        let mut keyboard = Keyboard {
            tty: AsyncFd::with_interest(reader, interest).unwrap(),
            keys: Keys::default(),
            until: None,
        };
        rustix::io::write(&writer, b"\x1b").unwrap();
        for _ in 0..200 {
            let more = timeout(Duration::from_millis(10), keyboard.next());
            match more.await {
                Ok(Input::Typed(Typed::Key(key))) => {
                    assert_eq!(key.code, KeyCode::Esc);
                    return;
                }
                Ok(other) => panic!("{other:?}"),
                Err(_) => {}
            }
        }
        panic!("it is waited for for ever");
    }
}
