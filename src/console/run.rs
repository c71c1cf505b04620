//! The loop: one owner of all state, which waits for what happens, folds it in
//! and draws.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use ratatui::crossterm::event::{Event as Input, EventStream, KeyEventKind};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::message::{Effect, Message};
use super::model::{Context, Model};
use super::terminal::{self, Screen};
use super::update::update;
use super::view::next_wake;
use crate::domain::event::Command;
use crate::engine::{Batch, Engine, Snapshot, Stopped, Subscription};

/// The shortest time between two frames.
const FRAME: Duration = Duration::from_millis(16);

/// Why the console has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The operator quit.
    Quit,
    /// A signal, or the terminal's hang-up as SIGHUP: the process is to end
    /// with 128 and this number.
    Signal(i32),
}

/// Why the console could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The terminal cannot be set up or read, or nothing can be written to it.
    #[error("cannot {what} the terminal: {source}")]
    Terminal {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Signals cannot be listened to.
    #[error("cannot listen to signals: {0}")]
    Signals(io::Error),
    /// A panic has given the terminal back.
    #[error("a defect has ended the console; the log says more")]
    Broken,
}

fn terminal_error(what: &'static str) -> impl Fn(io::Error) -> ConsoleError {
    move |source| ConsoleError::Terminal { what, source }
}

/// Runs the console on this process's terminal until the operator quits or a
/// signal comes. The first frame is drawn before the engine has answered
/// anything. To be driven by `block_on`, or by a task that stays on its thread:
/// the panic hook knows the drawing thread.
///
/// # Errors
/// [`ConsoleError`] when the terminal fails; it has been given back by then.
pub async fn run(engine: Engine, context: Context) -> Result<Exit, ConsoleError> {
    let mut signals = Signals::new().map_err(ConsoleError::Signals)?;
    let size = Screen::size().unwrap_or((80, 24));
    let mut model = Model::new(context, size, Timestamp::now());
    let mut screen = Screen::enter().map_err(terminal_error("set up"))?;
    screen.draw(&model).map_err(terminal_error("write to"))?;
    let events = engine.subscribe();
    let mut console = Console {
        answer: Some(ask(&engine)),
        outbox: VecDeque::from([Command::List]),
        engine,
        events: Some(events),
        input: EventStream::new(),
        hang_up: HangUp::new(),
        dirty: false,
        drawn: Instant::now(),
    };
    let exit = console.turn(&mut model, &mut screen, &mut signals).await;
    drop(screen);
    exit
}

type Answer = Pin<Box<dyn Future<Output = Result<Snapshot, Stopped>> + Send>>;

fn ask(engine: &Engine) -> Answer {
    let engine = engine.clone();
    Box::pin(async move { engine.snapshot().await })
}

/// What the loop holds besides model and screen.
struct Console {
    engine: Engine,
    /// `None` when the engine has ended.
    events: Option<Subscription>,
    /// A snapshot that was asked for.
    answer: Option<Answer>,
    /// Commands that wait for the engine, in their order.
    outbox: VecDeque<Command>,
    input: EventStream,
    hang_up: HangUp,
    dirty: bool,
    drawn: Instant,
}

/// What the loop was woken by.
enum Woken {
    Signalled(i32),
    Continued,
    Frame,
    Input(Option<io::Result<Input>>),
    Answered(Result<Snapshot, Stopped>),
    Sent(Result<(), Stopped>),
    Told(Option<Batch>),
    Aged,
}

impl Console {
    async fn turn(
        &mut self,
        model: &mut Model,
        screen: &mut Screen,
        signals: &mut Signals,
    ) -> Result<Exit, ConsoleError> {
        loop {
            let woken = self.wait(model, signals).await;
            let message = match woken {
                Woken::Signalled(number) => return Ok(Exit::Signal(number)),
                Woken::Continued => {
                    screen.enter_again().map_err(terminal_error("set up"))?;
                    self.dirty = true;
                    None
                }
                Woken::Frame => {
                    self.draw(model, screen)?;
                    continue;
                }
                // The terminal has gone, whatever SIGHUP says.
                Woken::Input(None) => return Ok(Exit::Signal(SIGHUP)),
                Woken::Input(Some(input)) => message(model, input.map_err(terminal_error("read"))?),
                Woken::Answered(Ok(snapshot)) => Some(Message::Snapshot(Box::new(snapshot))),
                Woken::Told(Some(Batch::Events(events))) => Some(Message::Events(events)),
                Woken::Told(Some(Batch::Lagged)) => {
                    self.answer = Some(ask(&self.engine));
                    None
                }
                Woken::Sent(Ok(())) => continue,
                Woken::Answered(Err(Stopped)) | Woken::Sent(Err(Stopped)) | Woken::Told(None) => {
                    self.events = None;
                    self.answer = None;
                    self.outbox.clear();
                    (!model.ended).then_some(Message::EngineEnded)
                }
                Woken::Aged => {
                    self.dirty = true;
                    None
                }
            };
            if let Some(exit) = self.fold(model, screen, message)? {
                return Ok(exit);
            }
        }
    }

    /// Waits for the next thing. In this order: what ends the process; a frame
    /// that is due, so that no flood keeps the screen from moving; keys; the
    /// engine's answers before its events, which are newer; time.
    async fn wait(&mut self, model: &Model, signals: &mut Signals) -> Woken {
        let Self {
            engine,
            events,
            answer,
            outbox,
            input,
            hang_up,
            dirty,
            drawn,
        } = self;
        let wake = next_wake(model).map(instant);
        tokio::select! {
            biased;
            woken = signals.next() => woken,
            () = hang_up.happens() => Woken::Signalled(SIGHUP),
            () = sleep_until(*drawn + FRAME), if *dirty => Woken::Frame,
            event = input.next() => Woken::Input(event),
            result = poll_some(answer.as_mut()) => {
                *answer = None;
                Woken::Answered(result)
            }
            sent = send_first(engine, outbox.front().cloned()) => {
                outbox.pop_front();
                Woken::Sent(sent)
            }
            batch = next_batch(events.as_mut()) => Woken::Told(batch),
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => Woken::Aged,
        }
    }

    /// Folds a message in, at the time that it is, and does what follows.
    fn fold(
        &mut self,
        model: &mut Model,
        screen: &mut Screen,
        message: Option<Message>,
    ) -> Result<Option<Exit>, ConsoleError> {
        let mut effects = update(model, Message::Tick(Timestamp::now()));
        if let Some(message) = message {
            self.dirty = true;
            effects.extend(update(model, message));
        }
        for effect in effects {
            match effect {
                Effect::Quit => return Ok(Some(Exit::Quit)),
                Effect::Snapshot => self.answer = Some(ask(&self.engine)),
                Effect::Send(command) if !model.ended => self.outbox.push_back(command),
                Effect::Send(_) => {}
                Effect::Suspend => {
                    suspend(screen).map_err(terminal_error("set up"))?;
                    self.dirty = true;
                }
            }
        }
        Ok(None)
    }

    fn draw(&mut self, model: &mut Model, screen: &mut Screen) -> Result<(), ConsoleError> {
        if !Screen::is_taken() {
            return Err(ConsoleError::Broken);
        }
        if let Some((columns, rows)) = Screen::size().filter(|size| *size != model.size) {
            update(model, Message::Resize(columns, rows));
        }
        screen.draw(model).map_err(terminal_error("write to"))?;
        self.dirty = false;
        self.drawn = Instant::now();
        Ok(())
    }
}

/// What an input event means; `None` for what means nothing here.
fn message(model: &Model, input: Input) -> Option<Message> {
    match input {
        Input::Key(key) if key.kind != KeyEventKind::Release => {
            model.keymap.message(model.place(), key)
        }
        Input::Paste(text) => Some(Message::Paste(text)),
        Input::Resize(columns, rows) => Some(Message::Resize(columns, rows)),
        _ => None,
    }
}

fn instant(time: Timestamp) -> Instant {
    let wait = time.duration_since(Timestamp::now());
    Instant::now() + Duration::try_from(wait).unwrap_or_default()
}

async fn poll_some(answer: Option<&mut Answer>) -> Result<Snapshot, Stopped> {
    match answer {
        Some(answer) => answer.await,
        None => pending().await,
    }
}

/// Sends the command that waits longest. Cancelled, it has sent nothing.
async fn send_first(engine: &Engine, command: Option<Command>) -> Result<(), Stopped> {
    match command {
        Some(command) => engine.send(command).await,
        None => pending().await,
    }
}

async fn next_batch(events: Option<&mut Subscription>) -> Option<Batch> {
    match events {
        Some(events) => events.next().await,
        None => pending().await,
    }
}

/// Gives the terminal back and stops the process; continued, takes it again.
fn suspend(screen: &mut Screen) -> io::Result<()> {
    terminal::restore();
    let own = rustix::process::getpid();
    let stopped = rustix::process::kill_process(own, rustix::process::Signal::TSTP);
    screen.enter_again()?;
    stopped.map_err(io::Error::from)
}

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
const SIGCONT: i32 = 18;

/// The signals that mean something to the console.
struct Signals {
    term: Signal,
    hup: Signal,
    int: Signal,
    cont: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            hup: signal(SignalKind::hangup())?,
            int: signal(SignalKind::interrupt())?,
            cont: signal(SignalKind::from_raw(SIGCONT))?,
        })
    }

    /// Waits for one that ends the process, or for the process to go on after
    /// it was stopped.
    async fn next(&mut self) -> Woken {
        tokio::select! {
            Some(()) = self.term.recv() => Woken::Signalled(SIGTERM),
            Some(()) = self.hup.recv() => Woken::Signalled(SIGHUP),
            Some(()) = self.int.recv() => Woken::Signalled(SIGINT),
            Some(()) = self.cont.recv() => Woken::Continued,
            else => pending().await,
        }
    }
}

/// Notices that the terminal has gone. The event source does not: it reads
/// nothing for ever and burns a core.
struct HangUp(Option<AsyncFd<OwnedFd>>);

impl HangUp {
    /// Watches standard input; in vain when that is no terminal.
    #[expect(
        deprecated,
        reason = "its successor is unsafe for the sake of types that lie about their \
                  descriptor; an owned descriptor does not"
    )]
    fn new() -> Self {
        let watched = rustix::io::dup(rustix::stdio::stdin())
            .ok()
            .and_then(|stdin| AsyncFd::with_interest(stdin, Interest::ERROR).ok());
        Self(watched)
    }

    async fn happens(&mut self) {
        match &self.0 {
            Some(stdin) => {
                let _ = stdin.ready(Interest::ERROR).await;
            }
            None => pending().await,
        }
    }
}
