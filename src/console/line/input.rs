//! Lines as they are typed, or come through a pipe.
//!
//! stdin may be anything here: a terminal, a pipe, a file. A thread reads it, and only
//! when a line is asked for, so that what is typed ahead waits where it can be thrown
//! away. The terminal's own editing and echo stay.

use std::io::{self, BufRead, BufReader, Read};

use rustix::termios::{QueueSelector, tcflush};
use tokio::sync::mpsc;

/// Bytes of a line; a longer one is skipped.
const LONGEST: usize = 16 << 10;

/// A line, or why there is none.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// A line without its end.
    Typed(String),
    /// A line that was longer than any that means something.
    TooLong,
    /// Nothing will be typed any more.
    End,
    /// The terminal has gone.
    Gone,
}

/// Where lines come from.
#[derive(Debug)]
pub(super) struct Lines {
    ask: std::sync::mpsc::Sender<()>,
    lines: mpsc::Receiver<Line>,
    /// A line was asked for and has not come.
    asked: bool,
}

impl Lines {
    /// The lines of stdin.
    ///
    /// # Errors
    /// When stdin cannot be read, or no thread be started.
    pub(super) fn open() -> io::Result<Self> {
        let stdin = rustix::io::dup(rustix::stdio::stdin())?;
        Self::of(std::fs::File::from(stdin))
    }

    fn of(input: impl Read + Send + 'static) -> io::Result<Self> {
        let (ask, asked) = std::sync::mpsc::channel();
        let (sender, lines) = mpsc::channel(1);
        let mut input = BufReader::new(input);
        let work = move || {
            while asked.recv().is_ok() {
                let line = read(&mut input);
                let last = matches!(line, Line::End | Line::Gone);
                if sender.blocking_send(line).is_err() || last {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(work)?;
        Ok(Self {
            ask,
            lines,
            asked: false,
        })
    }

    /// Waits for the next line. Cancelled, it has lost nothing.
    pub(super) async fn next(&mut self) -> Line {
        if !self.asked {
            // The thread has ended: so have the lines.
            let _ = self.ask.send(());
            self.asked = true;
        }
        let line = self.lines.recv().await;
        self.asked = false;
        line.unwrap_or(Line::End)
    }

    /// Forgets what was typed ahead on a terminal: it was typed before what is asked
    /// now could be heard.
    pub(super) fn forget(&self) {
        // A stdin that has gone is noticed when it is read.
        let _ = tcflush(rustix::stdio::stdin(), QueueSelector::IFlush);
    }
}

/// Reads a line, and of one that is too long no more than that.
fn read(input: &mut impl BufRead) -> Line {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let (used, ends) = match input.fill_buf() {
            Ok([]) if line.is_empty() && !too_long => return Line::End,
            Ok([]) => (0, true),
            Ok(bytes) => {
                let end = bytes.iter().position(|byte| *byte == b'\n');
                let part = &bytes[..end.unwrap_or(bytes.len())];
                too_long |= line.len() + part.len() > LONGEST;
                if !too_long {
                    line.extend_from_slice(part);
                }
                (end.map_or(bytes.len(), |at| at + 1), end.is_some())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (0, false),
            Err(error) if super::super::tty::has_gone(&error) => return Line::Gone,
            Err(_) => return Line::End,
        };
        input.consume(used);
        if ends {
            return match too_long {
                true => Line::TooLong,
                false => Line::Typed(String::from_utf8_lossy(&line).into_owned()),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_one_by_one_and_long_ones_not_at_all() {
        let long = "x".repeat(LONGEST + 1);
        let just = "y".repeat(LONGEST);
        let text = format!("devices\n{long}\n\n{just}\nlast \u{1b}");
        let mut bytes = text.into_bytes();
        bytes.push(0xff);
        let mut lines = Lines::of(io::Cursor::new(bytes)).unwrap();
        assert_eq!(lines.next().await, Line::Typed("devices".into()));
        assert_eq!(lines.next().await, Line::TooLong);
        assert_eq!(lines.next().await, Line::Typed(String::new()));
        assert_eq!(lines.next().await, Line::Typed(just));
        assert_eq!(
            lines.next().await,
            Line::Typed("last \u{1b}\u{fffd}".into())
        );
        assert_eq!(lines.next().await, Line::End);
        assert_eq!(lines.next().await, Line::End);
    }

    /// One without an end is not read into memory.
    #[tokio::test]
    async fn a_line_without_an_end_is_skipped() {
        let endless = io::repeat(b'x').take(64 << 20);
        let mut lines = Lines::of(endless).unwrap();
        assert_eq!(lines.next().await, Line::TooLong);
        assert_eq!(lines.next().await, Line::End);
    }
}
