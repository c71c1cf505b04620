//! The loop: one owner of all state, which waits for what happens, folds it in
//! and draws.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use ratatui::crossterm::event::{Event as Input, EventStream, KeyEventKind};
use tokio::time::{Instant, sleep_until};

use super::message::{Effect, Message};
use super::model::{Context, Model};
use super::signals::{HangUp, Heard, SIGHUP, Signals};
use super::terminal::{self, Screen};
use super::update::update;
use super::view::next_wake;
use crate::domain::event::Command;
use crate::domain::history::Ask;
use crate::domain::replay::Replay;
use crate::engine::{self, Batch, Engine, Past, Snapshot, Stopped, Subscription};

/// After this long a stop that was asked for has come and gone, or will not
/// come.
const STOP: Duration = Duration::from_millis(200);
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
    let size = Screen::size().unwrap_or((80, 24));
    let model = Model::new(context, size, Timestamp::now());
    let first = [Command::List, Command::Attend(true)];
    drive(engine, model, first.into()).await
}

/// Plays a recorded update again on this process's terminal until the operator
/// ends it or a signal comes. There is no engine behind it and no hub.
///
/// # Errors
/// [`ConsoleError`] when the terminal fails; it has been given back by then.
pub async fn replay(context: Context, replay: Replay) -> Result<Exit, ConsoleError> {
    let size = Screen::size().unwrap_or((80, 24));
    let model = Model::replaying(context, replay, size, Timestamp::now());
    // Held to the end: an engine that nobody serves and that has not ended.
    let (engine, _backend) = engine::channel();
    drive(engine, model, VecDeque::new()).await
}

async fn drive(
    engine: Engine,
    mut model: Model,
    outbox: VecDeque<Command>,
) -> Result<Exit, ConsoleError> {
    let mut signals = Signals::new().map_err(ConsoleError::Signals)?;
    let mut screen = Screen::enter().map_err(terminal_error("set up"))?;
    screen.draw(&model).map_err(terminal_error("write to"))?;
    let events = engine.subscribe();
    let mut console = Console {
        answer: Some(ask(&engine)),
        past: None,
        outbox,
        engine,
        events: Some(events),
        input: EventStream::new(),
        hang_up: HangUp::new(),
        dirty: false,
        drawn: Instant::now(),
        stopped: None,
        asked: false,
    };
    let exit = console.turn(&mut model, &mut screen, &mut signals).await;
    drop(screen);
    exit
}

type PastAnswer = Pin<Box<dyn Future<Output = (Ask, Result<Past, Stopped>)> + Send>>;

fn ask_past(engine: &Engine, ask: Ask) -> PastAnswer {
    let engine = engine.clone();
    Box::pin(async move {
        let past = engine.history(ask.clone()).await;
        (ask, past)
    })
}

type Answer = Pin<Box<dyn Future<Output = Result<Box<Snapshot>, Stopped>> + Send>>;

fn ask(engine: &Engine) -> Answer {
    let engine = engine.clone();
    Box::pin(async move { engine.snapshot().await.map(Box::new) })
}

/// What the loop holds besides model and screen.
struct Console {
    engine: Engine,
    /// `None` when the engine has ended.
    events: Option<Subscription>,
    /// A snapshot that was asked for.
    answer: Option<Answer>,
    /// The past that was asked for, the last question.
    past: Option<PastAnswer>,
    /// Commands that wait for the engine, in their order.
    outbox: VecDeque<Command>,
    input: EventStream,
    hang_up: HangUp,
    dirty: bool,
    drawn: Instant,
    /// When a stop was asked for; the terminal is not ours until it is over.
    stopped: Option<Instant>,
    /// Has a question just come up?
    asked: bool,
}

/// What the loop was woken by.
enum Woken {
    Heard(Heard),
    Frame,
    Input(Option<io::Result<Input>>),
    Answered(Result<Box<Snapshot>, Stopped>),
    Past(Ask, Result<Past, Stopped>),
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
                Woken::Heard(Heard::End(number)) => return Ok(Exit::Signal(number)),
                Woken::Heard(Heard::Continued) => {
                    self.stopped = None;
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
                Woken::Input(Some(input)) => {
                    let input = input.map_err(terminal_error("read"))?;
                    message(model, input)
                }
                Woken::Answered(Ok(snapshot)) => {
                    if let Some(events) = &mut self.events {
                        events.after(&snapshot);
                    }
                    Some(Message::Snapshot(snapshot))
                }
                Woken::Told(Some(Batch::Events(events))) => Some(Message::Events(events)),
                Woken::Told(Some(Batch::Lagged)) => {
                    self.answer = Some(ask(&self.engine));
                    None
                }
                Woken::Past(ask, Ok(past)) => Some(Message::Past(ask, Box::new(past))),
                Woken::Sent(Ok(())) => continue,
                Woken::Answered(Err(Stopped))
                | Woken::Past(_, Err(Stopped))
                | Woken::Sent(Err(Stopped))
                | Woken::Told(None) => {
                    self.events = None;
                    self.answer = None;
                    self.past = None;
                    self.outbox.clear();
                    (!model.ended).then_some(Message::EngineEnded)
                }
                Woken::Aged => {
                    self.dirty = true;
                    None
                }
            };
            if let Some(exit) = self.fold(model, message)? {
                return Ok(exit);
            }
            if std::mem::take(&mut self.asked) {
                self.forget_typed_ahead().await;
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
            past,
            outbox,
            input,
            hang_up,
            dirty,
            drawn,
            stopped,
            ..
        } = self;
        if let Some(since) = *stopped {
            return tokio::select! {
                heard = signals.next() => Woken::Heard(heard),
                () = sleep_until(since + STOP) => Woken::Heard(Heard::Continued),
            };
        }
        let wake = next_wake(model).map(instant);
        tokio::select! {
            biased;
            heard = signals.next() => Woken::Heard(heard),
            () = hang_up.happens() => Woken::Heard(Heard::End(SIGHUP)),
            () = sleep_until(*drawn + FRAME), if *dirty => Woken::Frame,
            event = input.next() => Woken::Input(event),
            result = poll_some(answer.as_mut()) => {
                *answer = None;
                Woken::Answered(result)
            }
            (ask, result) = poll_past(past.as_mut()) => {
                *past = None;
                Woken::Past(ask, result)
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
        message: Option<Message>,
    ) -> Result<Option<Exit>, ConsoleError> {
        let mut effects = update(model, Message::Tick(Timestamp::now()));
        if let Some(message) = message {
            self.dirty = true;
            let asked = model.place().asks();
            effects.extend(update(model, message));
            self.asked = !asked && model.place().asks();
        }
        for effect in effects {
            match effect {
                Effect::Quit => return Ok(Some(Exit::Quit)),
                Effect::Snapshot => self.answer = Some(ask(&self.engine)),
                Effect::Past(asked) => self.past = Some(ask_past(&self.engine, asked)),
                Effect::Send(command) if !model.ended => self.outbox.push_back(command),
                Effect::Send(_) => {}
                Effect::Suspend => {
                    suspend();
                    self.stopped = Some(Instant::now());
                }
            }
        }
        Ok(None)
    }

    /// Drops the keys that came before the question could be seen: typed ahead,
    /// or the rest of a text that was pasted as keys. They answer nothing.
    async fn forget_typed_ahead(&mut self) {
        loop {
            tokio::select! {
                biased;
                Some(Ok(_)) = self.input.next() => {}
                () = std::future::ready(()) => return,
            }
        }
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

async fn poll_some(answer: Option<&mut Answer>) -> Result<Box<Snapshot>, Stopped> {
    match answer {
        Some(answer) => answer.await,
        None => pending().await,
    }
}

async fn poll_past(past: Option<&mut PastAnswer>) -> (Ask, Result<Past, Stopped>) {
    match past {
        Some(past) => past.await,
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

/// Gives the terminal back and asks for the process to be stopped. That takes
/// effect a little later, and not at all where no shell could continue it.
fn suspend() {
    terminal::restore();
    let own = rustix::process::getpid();
    let _ = rustix::process::kill_process(own, rustix::process::Signal::TSTP);
}
