//! The loop: one owner of all state, which waits for what happens, folds it in
//! and draws.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::input::{Input, Keyboard};
use super::keys::Typed;
use super::message::{Effect, Keep, Kept, Message};
use super::model::{Context, Model};
use super::shelf::Shelf;
use super::signals::{self, Heard, SIGHUP, Signals};
use super::terminal::{self, Screen};
use super::tty;
use super::update::update;
use super::view::next_wake;
use crate::domain::event::Command;
use crate::domain::history::Ask;
use crate::domain::replay::Replay;
use crate::engine::{self, Batch, Engine, Past, Snapshot, Stopped, Subscription};

/// After this long a stop that was asked for has come and gone, or will not
/// come.
const STOP: Duration = Duration::from_millis(200);
/// How long the engine may take to disarm the hub before the process stops.
const DISARM: Duration = Duration::from_millis(200);
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
    /// A panic has given the terminal back, or the engine has ended by itself.
    #[error("a defect has ended the console; the log says more")]
    Broken,
}

/// How the console has ended.
#[derive(Debug)]
pub struct Ended {
    /// Why.
    pub why: Result<Exit, ConsoleError>,
    /// The updates that have no verdict yet, a line each: device and state.
    pub open: Vec<String>,
}

fn terminal_error(what: &'static str) -> impl Fn(io::Error) -> ConsoleError {
    move |source| ConsoleError::Terminal { what, source }
}

/// Runs the console on this process's terminal until the operator quits or a
/// signal comes; by then the terminal has been given back. The first frame is
/// drawn before the engine has answered anything. What comes through `notices`
/// is shown. To be driven by `block_on`: a stop takes effect on the first thread.
pub async fn run(engine: Engine, context: Context, notices: mpsc::Receiver<String>) -> Ended {
    let model = Box::new(Model::new(context, size(), Timestamp::now()));
    let first = [Command::List, Command::Attend(true)];
    drive(engine, model, first.into(), Some(notices)).await
}

/// Plays a recorded update again on this process's terminal until the operator
/// ends it or a signal comes, as [`run`] does. There is no engine behind it and no
/// hub.
pub async fn replay(context: Context, replay: Replay) -> Ended {
    let model = Box::new(Model::replaying(context, replay, size(), Timestamp::now()));
    // Held to the end: an engine that nobody serves and that has not ended.
    let (engine, _backend) = engine::channel();
    drive(engine, model, VecDeque::new(), None).await
}

fn size() -> (u16, u16) {
    tty::size().unwrap_or((80, 24))
}

async fn drive(
    engine: Engine,
    mut model: Box<Model>,
    outbox: VecDeque<Command>,
    notices: Option<mpsc::Receiver<String>>,
) -> Ended {
    let shown = show(engine, &mut model, outbox, notices);
    // The hook has said what there is to say of a panic.
    let why = AssertUnwindSafe(shown).catch_unwind().await;
    Ended {
        why: why.unwrap_or(Err(ConsoleError::Broken)),
        open: model.left_open(),
    }
}

async fn show(
    engine: Engine,
    model: &mut Model,
    outbox: VecDeque<Command>,
    notices: Option<mpsc::Receiver<String>>,
) -> Result<Exit, ConsoleError> {
    let mut signals = Signals::new().map_err(ConsoleError::Signals)?;
    let input = Keyboard::open().map_err(terminal_error("read"))?;
    let mut screen = Screen::enter(model.size).map_err(terminal_error("set up"))?;
    screen.draw(model).map_err(terminal_error("write to"))?;
    let events = engine.subscribe();
    let mut shelf = Shelf::on(model.context.views_file.clone());
    shelf.ask(Keep::Read);
    let mut console = Console {
        shelf,
        answer: Some(ask(&engine)),
        past: None,
        outbox,
        engine,
        events: Some(events),
        input,
        notices,
        dirty: false,
        drawn: Instant::now(),
        stopped: None,
        aside: false,
        asked: false,
    };
    let ended = console.turn(model, &mut screen, &mut signals).await;
    console.shelf.finish().await;
    match ended {
        // The terminal has gone, whatever SIGHUP says.
        Err(ConsoleError::Terminal { source, .. }) if tty::has_gone(&source) => {
            Ok(Exit::Signal(SIGHUP))
        }
        other => other,
    }
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
    /// The operator's own views.
    shelf: Shelf,
    input: Keyboard,
    /// `None` when nothing will come any more.
    notices: Option<mpsc::Receiver<String>>,
    dirty: bool,
    drawn: Instant,
    /// When a stop was asked for; the terminal is not ours until it is over.
    stopped: Option<Instant>,
    /// Is the process about to stop again, because it goes on in the background?
    aside: bool,
    /// Has a question just come up?
    asked: bool,
}

/// What the loop was woken by.
enum Woken {
    Heard(Heard),
    Broken,
    Written(io::Result<()>),
    Frame,
    Input(Input),
    Answered(Result<Box<Snapshot>, Stopped>),
    Past(Ask, Result<Past, Stopped>),
    Sent(Result<(), Stopped>),
    Told(Option<Batch>),
    Noticed(Option<String>),
    Kept(Kept),
    Aged,
}

/// What follows from a wake-up.
enum Next {
    Fold(Option<Message>),
    Stop(Job),
    End(Exit),
    Nothing,
}

/// Who is to be stopped.
enum Job {
    /// All processes of the job: the key was pressed.
    Whole,
    /// This process: the signal was for it.
    Own,
}

impl Console {
    async fn turn(
        &mut self,
        model: &mut Model,
        screen: &mut Screen,
        signals: &mut Signals,
    ) -> Result<Exit, ConsoleError> {
        loop {
            let woken = self.wait(model, screen, signals).await;
            let message = match self.next(woken, model, screen)? {
                Next::Fold(message) => message,
                Next::Stop(job) => {
                    self.sleep(model, screen, signals, job).await;
                    continue;
                }
                Next::End(exit) => return Ok(exit),
                Next::Nothing => continue,
            };
            match self.fold(model, message) {
                Some(Next::End(exit)) => return Ok(exit),
                Some(Next::Stop(job)) => self.sleep(model, screen, signals, job).await,
                _ => {}
            }
            if std::mem::take(&mut self.asked) {
                // Keys that came before the question could be seen, typed ahead or
                // the rest of a text that was pasted as keys, answer nothing.
                self.input.forget();
            }
        }
    }

    fn next(
        &mut self,
        woken: Woken,
        model: &mut Model,
        screen: &mut Screen,
    ) -> Result<Next, ConsoleError> {
        let message = match woken {
            Woken::Heard(Heard::End(number)) => return Ok(Next::End(Exit::Signal(number))),
            Woken::Heard(Heard::Stop) => return Ok(Next::Stop(Job::Own)),
            Woken::Heard(Heard::Continued) => return self.continued(screen),
            Woken::Input(Input::Gone) => return Ok(Next::End(Exit::Signal(SIGHUP))),
            Woken::Broken => return Err(ConsoleError::Broken),
            Woken::Written(written) => {
                written.map_err(terminal_error("write to"))?;
                return Ok(Next::Nothing);
            }
            Woken::Frame => {
                self.draw(model, screen)?;
                return Ok(Next::Nothing);
            }
            Woken::Input(Input::Typed(Typed::Key(key))) => model.keymap.message(model.place(), key),
            Woken::Input(Input::Typed(Typed::Paste(text))) => Some(Message::Paste(text)),
            Woken::Input(Input::Typed(Typed::Mouse(done))) => Some(Message::Mouse(done)),
            Woken::Kept(kept) => Some(Message::Views(kept)),
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
            Woken::Sent(Ok(())) => return Ok(Next::Nothing),
            Woken::Noticed(Some(text)) => Some(Message::Notice(text)),
            Woken::Noticed(None) => {
                self.notices = None;
                return Ok(Next::Nothing);
            }
            // It ends only when it is told to, or by a defect. A screen on which
            // nothing will move again helps nobody, and this process would keep
            // the devices' leases: nobody else could carry on.
            Woken::Answered(Err(Stopped))
            | Woken::Past(_, Err(Stopped))
            | Woken::Sent(Err(Stopped))
            | Woken::Told(None) => return Err(ConsoleError::Broken),
            Woken::Heard(Heard::Resized) | Woken::Aged => {
                self.dirty = true;
                None
            }
        };
        Ok(Next::Fold(message))
    }

    /// Waits for the next thing. In this order: what ends the process; room for
    /// what waits to be written; a frame that is due, so that no flood keeps the
    /// screen from moving; keys; the engine's answers before its events, which
    /// are newer; time.
    async fn wait(&mut self, model: &Model, screen: &mut Screen, signals: &mut Signals) -> Woken {
        let Self {
            engine,
            events,
            answer,
            past,
            outbox,
            shelf,
            input,
            notices,
            dirty,
            drawn,
            stopped,
            ..
        } = self;
        if let Some(since) = *stopped {
            return tokio::select! {
                biased;
                heard = signals.next() => Woken::Heard(heard),
                () = terminal::lost() => Woken::Broken,
                () = sleep_until(since + STOP) => Woken::Heard(Heard::Continued),
            };
        }
        let wake = next_wake(model).map(instant);
        let due = *dirty && !screen.is_behind();
        tokio::select! {
            biased;
            heard = signals.next() => Woken::Heard(heard),
            () = terminal::lost() => Woken::Broken,
            written = screen.catches_up() => Woken::Written(written),
            () = sleep_until(*drawn + FRAME), if due => Woken::Frame,
            typed = input.next() => Woken::Input(typed),
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
            text = next_notice(notices.as_mut()) => Woken::Noticed(text),
            kept = shelf.next() => Woken::Kept(kept),
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => Woken::Aged,
        }
    }

    /// Folds a message in, at the time that it is, and does what follows.
    fn fold(&mut self, model: &mut Model, message: Option<Message>) -> Option<Next> {
        let mut effects = update(model, Message::Tick(Timestamp::now()));
        if let Some(message) = message {
            self.dirty = true;
            let asked = model.place().asks();
            effects.extend(update(model, message));
            self.asked = !asked && model.place().asks();
        }
        let mut next = None;
        for effect in effects {
            match effect {
                Effect::Quit => return Some(Next::End(Exit::Quit)),
                Effect::Snapshot => self.answer = Some(ask(&self.engine)),
                Effect::Past(asked) => self.past = Some(ask_past(&self.engine, asked)),
                Effect::Send(command) => self.outbox.push_back(command),
                Effect::Views(keep) => self.shelf.ask(keep),
                Effect::Suspend => next = Some(Next::Stop(Job::Whole)),
            }
        }
        next
    }

    /// Gives the terminal back and stops the process. That takes effect at once,
    /// or not at all where no shell could continue it. Whoever continues it may
    /// be somebody else: a production hub is disarmed, and what was typed to
    /// confirm is forgotten.
    async fn sleep(
        &mut self,
        model: &mut Model,
        screen: &mut Screen,
        signals: &mut Signals,
        job: Job,
    ) {
        update(model, Message::Suspended);
        disarm(&self.engine).await;
        screen.leave();
        if matches!(job, Job::Whole) {
            signals.stop_the_others().await;
        }
        signals::stop();
        self.stopped = Some(Instant::now());
    }

    /// The process goes on. In the background the terminal is not ours, and
    /// nobody could see or say anything: it stops again, until it is brought to
    /// the foreground. Not at once: who is ended while he is stopped is told both
    /// to end and to go on, and may hear that first.
    fn continued(&mut self, screen: &mut Screen) -> Result<Next, ConsoleError> {
        if !tty::is_ours() {
            screen.leave();
            if std::mem::replace(&mut self.aside, true) {
                signals::stop();
                self.aside = false;
            }
            self.stopped = Some(Instant::now());
            return Ok(Next::Nothing);
        }
        self.aside = false;
        // It may have been stopped by a signal that cannot be heard.
        if self.stopped.take().is_none() {
            self.outbox.push_back(Command::Disarm);
        }
        screen.enter_again().map_err(terminal_error("set up"))?;
        self.input.forget();
        self.dirty = true;
        Ok(Next::Fold(Some(Message::Suspended)))
    }

    fn draw(&mut self, model: &mut Model, screen: &mut Screen) -> Result<(), ConsoleError> {
        if !Screen::is_taken() {
            return Err(ConsoleError::Broken);
        }
        if let Some((columns, rows)) = tty::size().filter(|size| *size != model.size) {
            update(model, Message::Resize(columns, rows));
        }
        screen.draw(model).map_err(terminal_error("write to"))?;
        self.dirty = false;
        self.drawn = Instant::now();
        Ok(())
    }
}

/// Disarms a production hub, and sees that it was done, unless the engine is
/// too busy to say so; then it is the first thing that it does afterwards.
async fn disarm(engine: &Engine) {
    let told = timeout(DISARM, async {
        engine.send(Command::Disarm).await?;
        engine.snapshot().await.map(drop)
    });
    // The engine's end is noticed by the loop.
    let _ = told.await;
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

async fn next_notice(notices: Option<&mut mpsc::Receiver<String>>) -> Option<String> {
    match notices {
        Some(notices) => notices.recv().await,
        None => pending().await,
    }
}
