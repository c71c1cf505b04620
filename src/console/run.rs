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
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::clipboard::{Clip, Way};
use super::flow::Why;
use super::hubs::{Grant, Granted, Granting, Wish};
use super::input::{Input, Keyboard};
use super::keys::Typed;
use super::message::{Effect, Keep, Kept, Message};
use super::model::{Carried, Context, Model};
use super::outfile;
use super::outside::{Came, Outside};
use super::shelf::Shelf;
use super::signals::{self, Heard, SIGHUP, Signals};
use super::stage::{Set, Stage};
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
/// How long an answer of the terminal is waited for at the end, at most.
const OWED: Duration = Duration::from_millis(500);
/// The same when a signal ends the process.
const OWED_SOON: Duration = Duration::from_millis(80);

/// Why the console has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The operator quit.
    Quit,
    /// The operator goes to the hub that was made ready last. The terminal stays
    /// taken, for the session there.
    Switch,
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
    /// What the session on another hub is to have of this one.
    pub carried: Carried,
    /// Messages of the hub's day that were spent, as was told last.
    pub spent: u64,
}

pub(super) fn terminal_error(what: &'static str) -> impl Fn(io::Error) -> ConsoleError {
    move |source| ConsoleError::Terminal { what, source }
}

/// Runs the console on this process's terminal until the operator quits or goes to
/// another hub, or a signal comes; by then the terminal has been given back, unless
/// another session is to follow. The first frame is drawn before the engine has
/// answered anything. To be driven by `block_on`: a stop takes effect on the first
/// thread.
pub async fn run(stage: &mut Stage, engine: Engine, context: Context) -> Ended {
    let model = Box::new(Model::new(context, size(), Timestamp::now()));
    let first = [Command::List, Command::Attend(true)];
    drive(stage, engine, model, first.into()).await
}

/// Plays a recorded update again on this process's terminal until the operator
/// ends it or a signal comes, as [`run`] does. There is no engine behind it and no
/// hub.
pub async fn replay(context: Context, replay: Replay) -> Ended {
    let model = Box::new(Model::replaying(context, replay, size(), Timestamp::now()));
    // Held to the end: an engine that nobody serves and that has not ended.
    let (engine, _backend) = engine::channel();
    drive(&mut Stage::default(), engine, model, VecDeque::new()).await
}

fn size() -> (u16, u16) {
    tty::size().unwrap_or((80, 24))
}

async fn drive(
    stage: &mut Stage,
    engine: Engine,
    mut model: Box<Model>,
    outbox: VecDeque<Command>,
) -> Ended {
    let shown = show(stage, engine, &mut model, outbox);
    // The hook has said what there is to say of a panic.
    let why = AssertUnwindSafe(shown).catch_unwind().await;
    Ended {
        why: why.unwrap_or(Err(ConsoleError::Broken)),
        open: model.left_open(),
        carried: model.carried(),
        spent: model.budget.spent,
    }
}

async fn show(
    stage: &mut Stage,
    engine: Engine,
    model: &mut Model,
    outbox: VecDeque<Command>,
) -> Result<Exit, ConsoleError> {
    let follows = stage.set.is_some();
    let taken = stage.set.take();
    let set = taken.map_or_else(|| Set::take(model.size, &model.context.wire), Ok)?;
    let Set {
        mut signals,
        mut input,
        mut screen,
    } = set;
    // What is left of the session before goes out first.
    let behind = screen.is_behind();
    if !behind {
        screen.draw(model).map_err(terminal_error("write to"))?;
    }
    if follows {
        // It was typed for another hub.
        for _ in 0..input.forget() {
            screen.answered();
        }
    }
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
        outside: std::mem::take(&mut stage.outside),
        grant: stage.grant.take(),
        granting: None,
        clip: None,
        files: JoinSet::new(),
        dirty: behind.then_some(Why::Key),
        stopped: None,
        aside: false,
        asked: false,
    };
    let exit = console.turn(model, &mut screen, &mut signals).await;
    if let Ok(exit) = &exit {
        console.settle(&mut screen, *exit).await;
    }
    console.shelf.finish().await;
    stage.outside = std::mem::take(&mut console.outside);
    stage.grant = console.grant.take();
    match exit {
        Ok(Exit::Switch) => {
            let input = console.input;
            stage.set = Some(Set {
                signals,
                input,
                screen,
            });
            Ok(Exit::Switch)
        }
        // The terminal has gone, whatever SIGHUP says.
        Err(ConsoleError::Terminal { source, .. }) if tty::has_gone(&source) => {
            Ok(Exit::Signal(SIGHUP))
        }
        other => other,
    }
}

pub(super) type PastAnswer = Pin<Box<dyn Future<Output = (Ask, Result<Past, Stopped>)> + Send>>;

pub(super) fn ask_past(engine: &Engine, ask: Ask) -> PastAnswer {
    let engine = engine.clone();
    Box::pin(async move {
        let past = engine.history(ask.clone()).await;
        (ask, past)
    })
}

pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Box<Snapshot>, Stopped>> + Send>>;

pub(super) fn ask(engine: &Engine) -> Answer {
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
    outside: Outside,
    /// What leads to other hubs.
    grant: Option<Grant>,
    /// What was wished of it, the last.
    granting: Option<(Wish, Granting)>,
    /// What is to go to the clipboard, as the terminal takes it; the last one.
    clip: Option<Vec<u8>>,
    /// Files that are being written; each says what came of it.
    files: JoinSet<String>,
    /// Why a frame is due; `None` when nothing has changed.
    dirty: Option<Why>,
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
    Granted(Wish, Granted),
    Sent(Result<(), Stopped>),
    Told(Option<Batch>),
    Outside(Came),
    Copied(String),
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
                Some(Next::End(exit)) => {
                    if exit == Exit::Switch && !screen.is_behind() {
                        // This is seen until the next session has its first frame.
                        self.draw(model, screen)?;
                    }
                    return Ok(exit);
                }
                Some(Next::Stop(job)) => self.sleep(model, screen, signals, job).await,
                _ => {}
            }
            if let Some(clip) = self.clip.take() {
                screen.copy(clip).map_err(terminal_error("write to"))?;
            }
            if std::mem::take(&mut self.asked) {
                // Keys that came before the question could be seen, typed ahead or
                // the rest of a text that was pasted as keys, answer nothing.
                self.forget(screen);
            }
        }
    }

    fn next(
        &mut self,
        woken: Woken,
        model: &mut Model,
        screen: &mut Screen,
    ) -> Result<Next, ConsoleError> {
        let why = match woken {
            Woken::Input(_) | Woken::Past(..) | Woken::Heard(_) => Why::Key,
            Woken::Aged => Why::Aged,
            _ => Why::News,
        };
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
            Woken::Frame => match tty::size().filter(|size| *size != model.size) {
                Some((columns, rows)) => Some(Message::Resize(columns, rows)),
                None => {
                    self.draw(model, screen)?;
                    return Ok(Next::Nothing);
                }
            },
            Woken::Input(Input::Typed(Typed::Key(key))) => model.keymap.message(model.place(), key),
            Woken::Input(Input::Typed(Typed::Paste(text))) => Some(Message::Paste(text)),
            Woken::Input(Input::Typed(Typed::Taken)) => {
                screen.answered();
                return Ok(Next::Nothing);
            }
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
                Some(Message::Lagged)
            }
            Woken::Past(ask, Ok(past)) => Some(Message::Past(ask, Box::new(past))),
            Woken::Granted(wish, granted) => Some(Message::Granted(wish, granted)),
            Woken::Sent(Ok(())) => return Ok(Next::Nothing),
            Woken::Outside(Came::Notice(Some(text))) => Some(Message::Notice(text)),
            Woken::Outside(Came::Notice(None)) => return Ok(Next::Nothing),
            Woken::Outside(Came::Check(check)) => Some(Message::Checked(check)),
            Woken::Copied(text) => Some(Message::Copied(text)),
            // It ends only when it is told to, or by a defect. A screen on which
            // nothing will move again helps nobody, and this process would keep
            // the devices' leases: nobody else could carry on.
            Woken::Answered(Err(Stopped))
            | Woken::Past(_, Err(Stopped))
            | Woken::Sent(Err(Stopped))
            | Woken::Told(None) => return Err(ConsoleError::Broken),
            Woken::Heard(Heard::Resized) | Woken::Aged => {
                self.dirty = self.dirty.max(Some(why));
                None
            }
        };
        if message.is_some() {
            self.dirty = self.dirty.max(Some(why));
        }
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
            granting,
            outside,
            files,
            dirty,
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
        let due = dirty.filter(|_| !screen.is_behind());
        let due = due.map(|why| Instant::from_std(screen.next_frame(why)));
        tokio::select! {
            biased;
            heard = signals.next() => Woken::Heard(heard),
            () = terminal::lost() => Woken::Broken,
            written = screen.catches_up() => Woken::Written(written),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Woken::Frame,
            typed = input.next() => Woken::Input(typed),
            result = poll_some(answer.as_mut()) => {
                *answer = None;
                Woken::Answered(result)
            }
            (ask, result) = poll_past(past.as_mut()) => {
                *past = None;
                Woken::Past(ask, result)
            }
            (wish, granted) = poll_granting(granting.as_mut()) => {
                *granting = None;
                Woken::Granted(wish, granted)
            }
            sent = send_first(engine, outbox.front().cloned()) => {
                outbox.pop_front();
                Woken::Sent(sent)
            }
            batch = next_batch(events.as_mut()) => Woken::Told(batch),
            came = outside.next() => Woken::Outside(came),
            text = next_file(files) => Woken::Copied(text),
            kept = shelf.next() => Woken::Kept(kept),
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => Woken::Aged,
        }
    }

    /// Folds a message in, at the time that it is, and does what follows.
    fn fold(&mut self, model: &mut Model, message: Option<Message>) -> Option<Next> {
        let mut effects = update(model, Message::Tick(Timestamp::now()));
        if let Some(message) = message {
            let place = model.place();
            effects.extend(update(model, message));
            self.asked = model.place() != place && model.place().asks();
        }
        self.run(model, effects)
    }

    /// Does what is to be done outside.
    fn run(&mut self, model: &mut Model, effects: Vec<Effect>) -> Option<Next> {
        let mut next = None;
        for effect in effects {
            match effect {
                Effect::Quit => return Some(Next::End(Exit::Quit)),
                Effect::Snapshot => self.answer = Some(ask(&self.engine)),
                Effect::Past(asked) => self.past = Some(ask_past(&self.engine, asked)),
                Effect::Hubs(wish) => {
                    let grant = self.grant.as_ref();
                    self.granting = grant.map(|grant| (wish.clone(), grant(wish)));
                }
                Effect::CallOff => self.granting = None,
                Effect::Switch => return Some(Next::End(Exit::Switch)),
                Effect::Examine => self.outside.examine(),
                Effect::Send(command) => self.outbox.push_back(command),
                Effect::Copy(clip) => self.copy(model, clip),
                Effect::Views(keep) => self.shelf.ask(keep),
                Effect::Suspend => next = Some(Next::Stop(Job::Whole)),
            }
        }
        next
    }

    /// Copies: to the clipboard with the next write, to a file beside the loop.
    fn copy(&mut self, model: &mut Model, clip: Clip) {
        if let Some(path) = clip.file.clone() {
            self.files
                .spawn_blocking(move || outfile::write(&clip, &path));
            return;
        }
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let (bytes, said) = clip.for_terminal(Way::of(set("TMUX"), set("STY")));
        self.clip = bytes;
        update(model, Message::Copied(said));
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
        // It asks neither to quit nor to stop once more.
        let effects = update(model, Message::Suspended);
        let _ = self.run(model, effects);
        self.forget_arming();
        disarm(&self.engine).await;
        self.settle(screen, Exit::Quit).await;
        screen.leave();
        if matches!(job, Job::Whole) {
            signals.stop_the_others().await;
        }
        signals::stop();
        self.stopped = Some(Instant::now());
    }

    /// A name that was given and not told to the engine yet is not told any more.
    fn forget_arming(&mut self) {
        self.outbox
            .retain(|command| !matches!(command, Command::Arm(_)));
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
            self.forget_arming();
            self.outbox.push_back(Command::Disarm);
        }
        screen.enter_again().map_err(terminal_error("set up"))?;
        self.forget(screen);
        self.dirty = Some(Why::Key);
        Ok(Next::Fold(Some(Message::Suspended)))
    }

    fn draw(&mut self, model: &Model, screen: &mut Screen) -> Result<(), ConsoleError> {
        self.dirty = None;
        // Whoever has panicked gave it back, and ends the loop when that was told.
        if !Screen::is_taken() {
            return Ok(());
        }
        screen.draw(model).map_err(terminal_error("write to"))
    }

    /// Forgets what was typed up to now, but not what the terminal has answered.
    fn forget(&mut self, screen: &mut Screen) {
        for _ in 0..self.input.forget() {
            screen.answered();
        }
    }

    /// Waits for what the terminal has still to answer: after us the shell would
    /// take it for keys.
    async fn settle(&mut self, screen: &mut Screen, exit: Exit) {
        let most = match exit {
            Exit::Quit => OWED,
            Exit::Signal(SIGHUP) | Exit::Switch => return,
            Exit::Signal(_) => OWED_SOON,
        };
        let owed = screen.owed().unwrap_or_default().min(most);
        let answers = timeout(owed, async {
            while screen.owed().is_some() {
                match self.input.next().await {
                    Input::Typed(Typed::Taken) => screen.answered(),
                    Input::Typed(_) => {}
                    Input::Gone => return,
                }
            }
        });
        // Then it comes too late.
        let _ = answers.await;
    }
}

/// Disarms a production hub, and sees that it was done, unless the engine is
/// too busy to say so; then it is the first thing that it does afterwards.
pub(super) async fn disarm(engine: &Engine) {
    let told = timeout(DISARM, async {
        engine.send(Command::Disarm).await?;
        engine.snapshot().await.map(drop)
    });
    // The engine's end is noticed by the loop.
    let _ = told.await;
}

pub(super) fn instant(time: Timestamp) -> Instant {
    let wait = time.duration_since(Timestamp::now());
    Instant::now() + Duration::try_from(wait).unwrap_or_default()
}

pub(super) async fn poll_some(answer: Option<&mut Answer>) -> Result<Box<Snapshot>, Stopped> {
    match answer {
        Some(answer) => answer.await,
        None => pending().await,
    }
}

pub(super) async fn poll_past(past: Option<&mut PastAnswer>) -> (Ask, Result<Past, Stopped>) {
    match past {
        Some(past) => past.await,
        None => pending().await,
    }
}

async fn poll_granting(granting: Option<&mut (Wish, Granting)>) -> (Wish, Granted) {
    match granting {
        Some((wish, granting)) => (wish.clone(), granting.await),
        None => pending().await,
    }
}

/// Sends the command that waits longest. Cancelled, it has sent nothing.
pub(super) async fn send_first(engine: &Engine, command: Option<Command>) -> Result<(), Stopped> {
    match command {
        Some(command) => engine.send(command).await,
        None => pending().await,
    }
}

pub(super) async fn next_batch(events: Option<&mut Subscription>) -> Option<Batch> {
    match events {
        Some(events) => events.next().await,
        None => pending().await,
    }
}

/// What came of a file. A defect in there has been told by the panic hook.
async fn next_file(files: &mut JoinSet<String>) -> String {
    loop {
        match files.join_next().await {
            Some(Ok(said)) => return said,
            Some(Err(_)) => {}
            None => pending().await,
        }
    }
}
