//! The loop of line mode: one owner of all state, which waits for what happens, folds
//! it in and says what there is to say.

use std::collections::VecDeque;
use std::io;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::super::message::{Effect, Message};
use super::super::model::{Context, Model};
use super::super::run::{
    Answer, Exit, PastAnswer, ask, ask_past, disarm, instant, next_batch, poll_past, poll_some,
    send_first,
};
use super::super::signals::{self, Heard, SIGHUP, Signals};
use super::input::{Line, Lines};
use super::{Said, Talk};
use crate::domain::event::Command;
use crate::domain::history::Ask;
use crate::domain::problem::Problem;
use crate::domain::update::Update;
use crate::engine::{Batch, Engine, Past, Snapshot, Stopped, Subscription};

/// The size of the screen that is not there: so narrow that nothing is looked at but
/// what was opened.
const SIZE: (u16, u16) = (80, 24);
/// How long the end waits for a reader that reads slowly.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Says something; done when it is written, so that one thing follows the other.
pub type Voice = Box<dyn Fn(Said) -> BoxFuture<'static, Result<(), Silent>> + Send + Sync>;

/// Nobody reads any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody reads the output")]
pub struct Silent;

/// With whom it speaks.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Is somebody there who can be asked again? A pipe is nobody.
    pub attended: bool,
    /// Is a word shown when something may be typed?
    pub prompts: bool,
}

/// Why the conversation could not go on.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    /// stdin cannot be read.
    #[error("cannot read stdin: {0}")]
    Input(io::Error),
    /// Signals cannot be listened to.
    #[error("cannot listen to signals: {0}")]
    Signals(io::Error),
    /// Nobody reads what is said.
    #[error(transparent)]
    Silent(#[from] Silent),
    /// The engine has ended by itself, or a panic has ended the loop.
    #[error("a defect has ended the console; the log says more")]
    Broken,
}

/// How the conversation has ended.
#[derive(Debug)]
pub struct Talked {
    /// Why.
    pub why: Result<Exit, TalkError>,
    /// The updates that have no verdict yet, a line each: device and state.
    pub open: Vec<String>,
    /// All updates of this session.
    pub updates: Vec<Update>,
    /// Why orders were refused, and what was wrong with lines.
    pub refused: Vec<Problem>,
    /// Did it end because nothing was typed any more?
    pub heard_out: bool,
}

/// Runs the console in lines until the operator quits, a signal comes, or nothing is
/// typed any more and no update is in flight. The journal's open updates are taken up.
/// What comes through `notices` is said. To be driven by `block_on`: a stop takes
/// effect on the first thread.
pub async fn run(
    engine: Engine,
    context: Context,
    notices: mpsc::Receiver<String>,
    manner: Manner,
    voice: Voice,
) -> Talked {
    let mut model = Box::new(Model::new(context, SIZE, Timestamp::now()));
    let mut talk = Talk::new(&model, manner.attended);
    let talking = converse(engine, &mut model, &mut talk, notices, (manner, voice));
    // The hook has said what there is to say of a panic.
    let why = AssertUnwindSafe(talking).catch_unwind().await;
    let updates = model.updates.listed().into_iter().cloned();
    Talked {
        why: why.unwrap_or(Err(TalkError::Broken)),
        open: model.left_open(),
        updates: updates.collect(),
        heard_out: talk.over,
        refused: talk.refused,
    }
}

async fn converse(
    engine: Engine,
    model: &mut Model,
    talk: &mut Talk,
    notices: mpsc::Receiver<String>,
    (manner, voice): (Manner, Voice),
) -> Result<Exit, TalkError> {
    let mut signals = Signals::new().map_err(TalkError::Signals)?;
    let lines = Lines::open().map_err(TalkError::Input)?;
    let first = [Command::Resume, Command::List, Command::Attend(true)];
    let mut turn = Turn {
        // From before anything was asked: nothing is missed, and a snapshot would
        // only take the place of what is told.
        events: Some(engine.subscribe()),
        answer: None,
        past: None,
        outbox: first.into(),
        engine,
        lines,
        notices: Some(notices),
        manner,
        voice,
        saying: None,
        prompted: false,
        due: true,
    };
    let ended = turn.take(model, talk, &mut signals).await;
    if !matches!(ended, Err(TalkError::Silent(_))) {
        // A reader that still reads gets what was said up to now.
        let _ = timeout(LAST_WORDS, turn.say_all(talk)).await;
    }
    ended
}

/// What the loop holds besides model and talk.
struct Turn {
    engine: Engine,
    /// `None` when the engine has ended.
    events: Option<Subscription>,
    /// A snapshot that was asked for, after events were missed.
    answer: Option<Answer>,
    /// The past that was asked for, the last question.
    past: Option<PastAnswer>,
    /// Commands that wait for the engine, in their order.
    outbox: VecDeque<Command>,
    lines: Lines,
    /// `None` when nothing will come any more.
    notices: Option<mpsc::Receiver<String>>,
    manner: Manner,
    voice: Voice,
    /// What is being said.
    saying: Option<BoxFuture<'static, Result<(), Silent>>>,
    /// Does the line at hand hold a prompt, and nothing else yet?
    prompted: bool,
    /// Was something typed that has no prompt after it yet?
    due: bool,
}

/// What the loop was woken by.
enum Woken {
    Heard(Heard),
    Said(Result<(), Silent>),
    Sent(Result<(), Stopped>),
    Answered(Result<Box<Snapshot>, Stopped>),
    Past(Ask, Result<Past, Stopped>),
    Told(Option<Batch>),
    Noticed(Option<String>),
    Line(Line),
    Due,
}

impl Turn {
    async fn take(
        &mut self,
        model: &mut Model,
        talk: &mut Talk,
        signals: &mut Signals,
    ) -> Result<Exit, TalkError> {
        loop {
            self.say_next(model, talk);
            if self.saying.is_none() && self.outbox.is_empty() && talk.is_over(model) {
                return Ok(Exit::Quit);
            }
            let woken = self.wait(model, talk, signals).await;
            let mut effects = talk.hear(model, Message::Tick(Timestamp::now()));
            match woken {
                Woken::Heard(Heard::End(number)) => return Ok(Exit::Signal(number)),
                Woken::Heard(Heard::Stop) => {
                    talk.hear(model, Message::Suspended);
                    disarm(&self.engine).await;
                    signals::stop();
                }
                Woken::Line(Line::Gone) => return Ok(Exit::Signal(SIGHUP)),
                Woken::Line(line) => effects.extend(self.line(model, talk, &line)),
                other => {
                    if let Some(message) = self.message(other)? {
                        effects.extend(talk.hear(model, message));
                    }
                }
            }
            for effect in effects {
                match effect {
                    Effect::Quit => return Ok(Exit::Quit),
                    Effect::Snapshot => self.answer = Some(ask(&self.engine)),
                    Effect::Past(asked) => self.past = Some(ask_past(&self.engine, asked)),
                    Effect::Send(command) => self.outbox.push_back(command),
                    // Only the screen asks for what else there is.
                    _ => {}
                }
            }
            if talk.has_asked() && self.manner.attended {
                // What was typed before the question could be heard answers nothing.
                self.lines.forget();
            }
        }
    }

    /// What was heard, as a message.
    fn message(&mut self, woken: Woken) -> Result<Option<Message>, TalkError> {
        Ok(match woken {
            Woken::Heard(Heard::Continued) => {
                // Whoever goes on may be somebody else.
                self.outbox.push_back(Command::Disarm);
                (self.prompted, self.due) = (false, true);
                Some(Message::Suspended)
            }
            Woken::Said(said) => {
                self.saying = None;
                said?;
                None
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
            Woken::Noticed(Some(text)) => Some(Message::Notice(text)),
            Woken::Noticed(None) => {
                self.notices = None;
                None
            }
            Woken::Sent(Ok(())) | Woken::Due | Woken::Heard(_) | Woken::Line(_) => None,
            // It ends only when it is told to, or by a defect.
            Woken::Answered(Err(Stopped))
            | Woken::Past(_, Err(Stopped))
            | Woken::Sent(Err(Stopped))
            | Woken::Told(None) => return Err(TalkError::Broken),
        })
    }

    fn line(&mut self, model: &mut Model, talk: &mut Talk, line: &Line) -> Vec<Effect> {
        (self.prompted, self.due) = (false, true);
        match line {
            Line::Typed(text) => talk.typed(model, text),
            Line::TooLong => talk.too_long(model),
            Line::End | Line::Gone => talk.end(model),
        }
    }

    /// Begins to say what is next; when all is said, that something may be typed. While
    /// updates tell one sentence after the other, no prompt stands between them.
    fn say_next(&mut self, model: &Model, talk: &mut Talk) {
        if self.saying.is_some() {
            return;
        }
        let reads = !talk.is_busy() && !talk.over;
        let calm = self.due || model.dialog.is_some() || model.in_flight() == 0;
        let waits = reads && calm && !self.prompted;
        let said = match talk.next() {
            Some(said) if self.prompted => {
                // What is said begins on a line of its own.
                talk.said.push_front(said);
                self.prompted = false;
                Said::Prompt("\n".to_owned())
            }
            Some(said) => said,
            None if self.manner.prompts && waits => {
                (self.prompted, self.due) = (true, false);
                Said::Prompt(format!("{}> ", Talk::prompt(model)))
            }
            None => return,
        };
        self.saying = Some((self.voice)(said));
    }

    /// Says what waits, to the end.
    async fn say_all(&mut self, talk: &mut Talk) -> Result<(), Silent> {
        if let Some(saying) = self.saying.take() {
            saying.await?;
        }
        if self.prompted {
            (self.voice)(Said::Prompt("\n".to_owned())).await?;
        }
        while let Some(said) = talk.next() {
            (self.voice)(said).await?;
        }
        Ok(())
    }

    /// Waits for the next thing. In this order: what ends the process; what is being
    /// said, before anything more is heard, so that nothing piles up for a reader that
    /// does not read; orders; the engine's answers before its events, which are newer;
    /// lines; time.
    async fn wait(&mut self, model: &Model, talk: &Talk, signals: &mut Signals) -> Woken {
        let Self {
            engine,
            events,
            answer,
            past,
            outbox,
            lines,
            notices,
            saying,
            ..
        } = self;
        let idle = saying.is_none();
        let reads = idle && !talk.is_busy() && !talk.over;
        let wake = talk.wakes(model).map(instant);
        tokio::select! {
            biased;
            heard = signals.next() => Woken::Heard(heard),
            said = said(saying.as_mut()), if !idle => Woken::Said(said),
            sent = send_first(engine, outbox.front().cloned()) => {
                outbox.pop_front();
                Woken::Sent(sent)
            }
            result = poll_some(answer.as_mut()), if idle => {
                *answer = None;
                Woken::Answered(result)
            }
            (ask, result) = poll_past(past.as_mut()), if idle => {
                *past = None;
                Woken::Past(ask, result)
            }
            batch = next_batch(events.as_mut()), if idle => Woken::Told(batch),
            text = next_notice(notices.as_mut()), if idle => Woken::Noticed(text),
            line = lines.next(), if reads => Woken::Line(line),
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if idle && wake.is_some() => {
                Woken::Due
            }
        }
    }
}

async fn next_notice(notices: Option<&mut mpsc::Receiver<String>>) -> Option<String> {
    match notices {
        Some(notices) => notices.recv().await,
        None => std::future::pending().await,
    }
}

async fn said(saying: Option<&mut BoxFuture<'static, Result<(), Silent>>>) -> Result<(), Silent> {
    match saying {
        Some(saying) => saying.await,
        None => std::future::pending().await,
    }
}
