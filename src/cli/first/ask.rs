//! Questions on the terminal, one line each. What is secret is not shown while it is
//! typed, and the terminal shows what is typed again on every way out: an answer, a
//! signal, a stop, the end of the program.

use std::future::Future;
use std::io::Write;

use rustix::io::Errno;
use rustix::process::{Signal as Number, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, Termios};
use rustix::termios::{tcflush, tcgetattr, tcgetwinsize, tcsetattr};
use secrecy::{ExposeSecret, SecretString};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use unicode_width::UnicodeWidthStr as _;

use crate::cli::ending;
use crate::cli::exit::{Code, Failure};
use crate::cli::signals::Signals;
use crate::console::is_ignored;
use crate::domain::clean;

const SIGQUIT: i32 = 3;
const SIGTSTP: i32 = 20;
/// The longest line that is taken, in bytes; a terminal takes no more.
const LONGEST: usize = 4_096;

/// Whoever asks.
pub(super) struct Ask {
    signals: Signals,
    quit: Option<Signal>,
    stop: Option<Signal>,
    /// Nothing that is typed is shown, also between questions that hide their answers:
    /// somebody may be faster than they are asked.
    hidden: Option<Hidden>,
}

impl Ask {
    /// Heeds signals from now on: none may end the program while the terminal does not
    /// show what is typed.
    pub(super) fn open() -> Result<Self, Failure> {
        let heeded = |number: i32| {
            let heard = (!is_ignored(number)).then(|| signal(SignalKind::from_raw(number)));
            heard
                .transpose()
                .map_err(|e| Failure::internal("no signals", e))
        };
        Ok(Self {
            signals: Signals::take()?,
            quit: heeded(SIGQUIT)?,
            stop: heeded(SIGTSTP)?,
            hidden: None,
        })
    }

    /// Says something, harmless, on stderr, broken between words.
    pub(super) fn say(&self, text: &str) {
        let columns = tcgetwinsize(rustix::stdio::stderr()).map_or(0, |size| size.ws_col);
        let columns = if columns == 0 { 80 } else { columns };
        let lines = text.split('\n').map(|line| clean::line(line, 2_000));
        for line in lines.flat_map(|line| wrapped(&line, usize::from(columns))) {
            self.show(&line);
        }
    }

    /// Says a line as it is, to be copied.
    pub(super) fn show(&self, line: &str) {
        // Nowhere is left to say it.
        let _ = writeln!(std::io::stderr().lock(), "{}", clean::line(line, 2_000));
    }

    /// Shows a secret, because that was chosen.
    pub(super) fn say_secret(&self, secret: &SecretString, line: impl Fn(&str) -> String) {
        let shown = line(secret.expose_secret());
        // Nowhere is left to show it.
        let _ = writeln!(std::io::stderr().lock(), "\n  {shown}\n");
    }

    /// Asks, and gives the line that was typed.
    ///
    /// # Errors
    /// The code with which the program is to end: a signal, or nobody is there.
    pub(super) async fn line(&mut self, question: &str) -> Result<String, Code> {
        if let Some(mut hidden) = self.hidden.take() {
            hidden.goes_on = true;
        }
        prompt(question);
        let line = self.heard(question).await?;
        Ok(line.expose_secret().to_owned())
    }

    /// The same, and what is typed is not shown, until [`Ask::line`] asks.
    ///
    /// # Errors
    /// As [`Ask::line`]; also when the terminal cannot be kept from showing it.
    pub(super) async fn hidden(&mut self, question: &str) -> Result<SecretString, Code> {
        if self.hidden.is_none() {
            self.hidden = Hidden::begin().ok();
        }
        if self.hidden.is_none() {
            self.say("This terminal cannot hide what is typed, so nothing secret is asked for.");
            return Err(Code::Failure);
        }
        prompt(question);
        let line = self.heard(question).await;
        // What was typed has no end of line on the screen.
        self.say("");
        line
    }

    /// Waits for something that is no answer.
    ///
    /// # Errors
    /// As [`Ask::line`].
    pub(super) async fn unless_ended<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<T, Code> {
        tokio::select! {
            biased;
            code = self.signals.next() => Err(code),
            () = heard(&mut self.quit) => Err(Code::Signal(3)),
            done = work => Ok(done),
        }
    }

    async fn heard(&mut self, question: &str) -> Result<SecretString, Code> {
        // Whatever ends this, the thread that reads is not waited for.
        let mut reading: JoinHandle<_> = tokio::task::spawn_blocking(read);
        loop {
            tokio::select! {
                biased;
                code = self.signals.next() => return Err(code),
                () = heard(&mut self.quit) => return Err(Code::Signal(3)),
                () = heard(&mut self.stop) => {
                    let was_hidden = self.hidden.take().is_some();
                    // It goes on here when it is continued.
                    let _ = kill_process(getpid(), Number::STOP);
                    if was_hidden {
                        self.hidden = Some(Hidden::begin().map_err(|_| Code::Failure)?);
                    }
                    prompt(question);
                }
                line = &mut reading => {
                    return line.ok().flatten().ok_or(Code::Usage);
                }
            }
        }
    }
}

impl Drop for Ask {
    /// Once heeded, a signal is heeded to the end.
    fn drop(&mut self) {
        if let Some(mut quit) = self.quit.take() {
            tokio::spawn(async move {
                quit.recv().await;
                ending::last_resort(Code::Signal(3));
            });
        }
    }
}

/// A line in lines that fit, all as far in as the first one's text, behind the key of an
/// answer. A word that does not fit stays whole: it may be a path, to be copied.
fn wrapped(line: &str, columns: usize) -> Vec<String> {
    let text = line.trim_start();
    let begin = line.len() - text.len();
    let key = if text.get(1..3) == Some("  ") { 3 } else { 0 };
    let (indent, mut lines) = (" ".repeat(begin + key), Vec::new());
    let (head, rest) = line.split_at(begin + key);
    let mut words = rest.split(' ');
    let mut last = format!("{head}{}", words.next().unwrap_or_default());
    for word in words {
        if last.width() + 1 + word.width() > columns {
            lines.push(std::mem::replace(&mut last, format!("{indent}{word}")));
        } else {
            last.push(' ');
            last.push_str(word);
        }
    }
    lines.push(last);
    lines
}

/// Waits for that signal, if it is heeded.
async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

fn prompt(question: &str) {
    let mut stderr = std::io::stderr().lock();
    // Nowhere is left to ask.
    let _ = write!(stderr, "{question}");
    let _ = stderr.flush();
}

/// One line of the terminal and not a byte more: what comes after it is somebody
/// else's. `None` when nobody is there any more.
fn read() -> Option<SecretString> {
    let mut line = Vec::new();
    loop {
        let mut bytes = [0; LONGEST];
        match rustix::io::read(rustix::stdio::stdin(), &mut bytes) {
            Ok(0) => return None,
            Ok(n) => line.extend_from_slice(&bytes[..n]),
            Err(Errno::INTR) => continue,
            Err(_) => return None,
        }
        if line.ends_with(b"\n") || line.ends_with(b"\r") || line.len() > 4 * LONGEST {
            break;
        }
    }
    Some(String::from_utf8_lossy(&line).trim_end().into())
}

/// The terminal does not show what is typed as long as this lives.
struct Hidden {
    before: Termios,
    /// Other questions follow. Else what was typed so far is thrown away: whoever reads
    /// the terminal next would show it.
    goes_on: bool,
}

impl Hidden {
    fn begin() -> rustix::io::Result<Self> {
        let before = tcgetattr(rustix::stdio::stdin())?;
        let mut modes = before.clone();
        modes
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ECHONL);
        // A line at a time, and keys that send signals: also where somebody left it
        // otherwise.
        modes
            .local_modes
            .insert(LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &modes)?;
        Ok(Self {
            before,
            goes_on: false,
        })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let tty = rustix::stdio::stdin();
        // A terminal that has gone needs nothing.
        if !self.goes_on {
            let _ = tcflush(tty, QueueSelector::IFlush);
        }
        let _ = tcsetattr(tty, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("a bc def", 20, &["a bc def"])]
    #[case("a bc def", 5, &["a bc", "def"])]
    #[case("  1  in /a/long/path here", 10, &["  1  in", "     /a/long/path", "     here"])]
    #[case("  as far in", 8, &["  as far", "  in"])]
    #[case("", 10, &[""])]
    #[case("プレス プレス", 8, &["プレス", "プレス"])]
    fn lines_are_broken_between_words(
        #[case] line: &str,
        #[case] columns: usize,
        #[case] want: &[&str],
    ) {
        assert_eq!(wrapped(line, columns), want);
    }
}
