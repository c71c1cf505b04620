//! stdout and stderr, with errors handled: a closed pipe is an end, not a panic;
//! and neither is waited for by what must go on. A terminal may stand still, and
//! a pipe may be full.
//!
//! Each has a thread of its own once it is used for long. [`print()`] waits for
//! room without holding up anything else; notes and complaints never wait: those
//! for which there is no room are counted, and missed in so many words.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::domain::event::{Event, What};
use crate::domain::id::DeviceId;
use crate::domain::problem::Problem;
use crate::domain::{clean, redact};
use crate::rehearsal;

use super::exit::{Code, Failure};

/// Texts that wait for a stream.
const WAITING: usize = 64;
/// How long the end waits for what was said on stderr.
const LAST_WORDS: Duration = Duration::from_millis(300);

static OUT: LazyLock<Stream> = LazyLock::new(|| Stream::new("stdout", io::stdout));
static ERR: LazyLock<Stream> = LazyLock::new(|| Stream::new("stderr", io::stderr));

/// A stream and its thread.
struct Stream {
    texts: mpsc::Sender<Job>,
    /// Texts for which there was no room.
    missed: Arc<AtomicUsize>,
    /// Why nothing can be written any more.
    failed: Arc<OnceLock<io::Error>>,
}

enum Job {
    Write(String),
    /// Tell when all before this was written.
    Tell(oneshot::Sender<()>),
}

impl Stream {
    fn new<W: Write>(name: &'static str, stream: impl Fn() -> W + Send + 'static) -> Self {
        let (texts, mut jobs) = mpsc::channel(WAITING);
        let (missed, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(OnceLock::new()));
        let same = Self {
            texts,
            missed: Arc::clone(&missed),
            failed: Arc::clone(&failed),
        };
        let thread = std::thread::Builder::new().name(name.to_owned());
        let write = move |text: &str| {
            let mut stream = stream();
            stream.write_all(text.as_bytes())?;
            stream.flush()
        };
        let work = move || {
            while let Some(job) = jobs.blocking_recv() {
                if name == "stdout" {
                    rehearsal::panic_at("stdout");
                }
                let written = match job {
                    Job::Write(text) => match missed.swap(0, Ordering::Relaxed) {
                        0 => write(&text),
                        n => write(&format!("{text}({n} remarks had no room here)\n")),
                    },
                    Job::Tell(reply) => {
                        // Whoever asked may have gone.
                        let _ = reply.send(());
                        Ok(())
                    }
                };
                if let Err(error) = written {
                    let _ = failed.set(error);
                    return;
                }
            }
        };
        // Without a thread nothing is said.
        let _ = thread.spawn(work);
        same
    }

    /// Says it if there is room.
    fn say(&self, text: String) {
        if self.texts.try_send(Job::Write(text)).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says it when there is room. Cancelled, it has said nothing.
    async fn print(&self, text: String) -> Result<(), Failure> {
        let sent = self.texts.send(Job::Write(text)).await;
        sent.map_err(|_| self.failure())
    }

    /// Waits until all is written that was said before.
    async fn written(&self) -> Result<(), Failure> {
        let (reply, told) = oneshot::channel();
        let asked = self.texts.send(Job::Tell(reply)).await;
        asked.map_err(|_| self.failure())?;
        told.await.map_err(|_| self.failure())
    }

    fn failure(&self) -> Failure {
        match self.failed.get() {
            Some(error) => failed(error),
            None => Failure::internal("cannot write to stdout", "its thread has ended"),
        }
    }
}

/// Says something to whoever watches, on stderr. Lines are made harmless.
pub(super) fn complain(text: &str) {
    let mut said = String::new();
    for (n, line) in text.lines().enumerate() {
        let name = if n == 0 { "otadeck: " } else { "" };
        let line = clean::line(&redact::text(line), 2_000);
        said.push_str(&format!("{name}{line}\n"));
    }
    ERR.say(said);
}

/// Says what is wrong with the command line, on stderr.
pub(super) fn usage(text: &str) {
    let mut stderr = io::stderr().lock();
    for line in redact::text(text).lines() {
        // Nowhere is left to complain to.
        let _ = writeln!(stderr, "{}", clean::line(line, 2_000));
    }
}

/// Says something in passing, on stderr.
pub(super) fn note(text: &str) {
    let lines = text.lines();
    let lines = lines.map(|line| clean::line(&redact::text(line), 2_000));
    ERR.say(lines.map(|line| line + "\n").collect::<String>());
}

/// Says a word on stderr before somebody types, with no line's end.
pub(super) fn prompt(text: &str) {
    ERR.say(text.to_owned());
}

/// Waits until stderr has what was said, but not for long: it may stand still.
pub(super) async fn last_words() {
    let _ = timeout(LAST_WORDS, ERR.written()).await;
}

/// Writes lines of data to stdout when there is room for them. Cancelled, it has
/// written nothing.
///
/// # Errors
/// When nobody reads any more.
pub(super) async fn print(text: String) -> Result<(), Failure> {
    OUT.print(text).await
}

/// Waits until all that was [printed](print()) has been written.
///
/// # Errors
/// When nobody reads any more.
pub(super) async fn printed() -> Result<(), Failure> {
    OUT.written().await
}

/// Writes one line of data to stdout and flushes it, however long that takes.
///
/// # Errors
/// When nobody reads any more.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    lines(&format!("{text}\n"))
}

/// An event as one line of JSON in which nothing can harm a terminal.
///
/// # Errors
/// A defect: an event that is no JSON.
pub(super) fn event(event: &Event) -> Result<String, Failure> {
    let text = serde_json::to_string(event)
        .map_err(|e| Failure::internal("an event cannot be written", e))?;
    Ok(format!("{}\n", clean::json(&text)))
}

/// Writes an event as one line of JSON.
///
/// # Errors
/// When nobody reads any more.
pub(super) fn json(told: &Event) -> Result<(), Failure> {
    lines(&event(told)?)
}

/// Writes a refusal as an event.
///
/// # Errors
/// When nobody reads any more.
pub(super) fn refused(device: Option<&DeviceId>, problem: &Problem) -> Result<(), Failure> {
    let what = What::Refused {
        problem: problem.clone(),
    };
    let mut event = Event::general(Timestamp::now(), what);
    event.device_id = device.cloned();
    json(&event)
}

/// Writes many lines of data at once, however long that takes.
///
/// # Errors
/// When nobody reads any more.
pub(super) fn lines(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|e| failed(&e))
}

fn failed(error: &io::Error) -> Failure {
    match error.kind() {
        // As a shell tells it of a program that SIGPIPE ended.
        io::ErrorKind::BrokenPipe => Failure::new(Code::Signal(13), "nobody reads the output"),
        _ => Failure::internal("cannot write to stdout", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    /// A stream that takes a text only when the test lets it.
    #[derive(Clone)]
    struct Stuck {
        begun: SyncSender<()>,
        go: Arc<std::sync::Mutex<Receiver<()>>>,
        written: SyncSender<String>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.begun.send(()).unwrap();
            let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
            self.go.lock().unwrap().recv().map_err(gone)?;
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.written.send(text).unwrap();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The stream; what lets it take a text; its texts begun, and those taken.
    fn stuck() -> (Stream, SyncSender<()>, Receiver<()>, Receiver<String>) {
        let (go, wait) = sync_channel(1_000);
        let (begun, starts) = sync_channel(1_000);
        let (written, seen) = sync_channel(1_000);
        let go_on = Arc::new(std::sync::Mutex::new(wait));
        let stuck = Stuck {
            begun,
            go: go_on,
            written,
        };
        (Stream::new("test", move || stuck.clone()), go, starts, seen)
    }

    #[tokio::test]
    async fn remarks_do_not_wait_and_those_that_are_missing_are_counted() {
        let (stream, go, begun, seen) = stuck();
        stream.say("0\n".into());
        begun.recv().unwrap();
        for n in 1..200 {
            stream.say(format!("{n}\n"));
        }
        for _ in 0..200 {
            go.send(()).unwrap();
        }
        stream.written().await.unwrap();
        stream.say("later\n".into());
        stream.written().await.unwrap();
        let said: String = seen.try_iter().collect();
        let rest: String = (2..=WAITING).map(|n| format!("{n}\n")).collect();
        let missing = 199 - WAITING;
        let expected = format!("0\n1\n({missing} remarks had no room here)\n{rest}later\n");
        assert_eq!(said, expected);
    }

    #[tokio::test]
    async fn a_print_waits_for_room_and_learns_that_nobody_reads() {
        let (stream, go, _begun, _seen) = stuck();
        let print = async {
            for n in 0..200 {
                stream.print(format!("{n}\n")).await?;
            }
            Ok::<_, Failure>(())
        };
        let waits = timeout(Duration::from_millis(100), print).await;
        assert!(waits.is_err(), "it waits for room");
        drop(go);
        let error = stream.written().await.unwrap_err();
        assert_eq!(error.code, Code::Signal(13));
    }
}
