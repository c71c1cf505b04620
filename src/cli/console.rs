//! `otadeck`: the console on the configured hub.

use std::io::{BufRead, IsTerminal, Write};

use crate::console::{self, Context, Exit};
use crate::domain::event::Command;

use super::args::{Demo, Global};
use super::exit::{Code, Failure};
use super::session::{Session, end};
use super::{demo, log, out};

pub(super) async fn run(global: &Global) -> Result<Code, Failure> {
    if global.plain {
        return Err(Failure::usage(
            "the console needs a terminal it can draw on, so it has no plain form;\n\
             otadeck devices, update and watch print plain lines",
        ));
    }
    let Some(session) = Session::find(global).await? else {
        return offer_demo(global).await;
    };
    need_terminal()?;
    let mut context = Context::new(session.profile.clone());
    context.dialects = session.dialects.clone();
    show(&session, context).await
}

/// Runs the console on a session to its end.
pub(super) async fn show(session: &Session, mut context: Context) -> Result<Code, Failure> {
    let _log = log::start(&session.paths.log());
    let opened = session.journal_or_watch()?;
    // Before the engine asks for more: the first frame waits for it.
    let recent = opened.journal.recent_uris(&session.profile.host).await;
    // The engine tells of a journal that cannot be read.
    context.recent_uris = recent.unwrap_or_default();
    context.first_notice = opened.journal.remark().map(ToOwned::to_owned);
    context.only_watches.clone_from(&opened.only_watches);
    let running = session.start_on(opened, None);
    let engine = running.engine();
    let sender = engine.clone();
    // What an earlier process left open is watched on.
    tokio::spawn(async move { sender.send(Command::Resume).await });
    let ended = console::run(engine, context).await;
    let written = end(running).await;
    match ended {
        Ok(Exit::Quit) if !written => Ok(Code::Failure),
        Ok(Exit::Quit) => Ok(Code::Completed),
        Ok(Exit::Signal(number)) => Ok(Code::Signal(u8::try_from(number).unwrap_or_default())),
        Err(error) => Err(Failure::new(Code::Failure, error)),
    }
}

/// The console draws on a terminal and reads keys from it.
pub(super) fn need_terminal() -> Result<(), Failure> {
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Failure::usage(
        "the console needs a terminal on stdin and stdout;\n\
         without one use otadeck devices, update and watch",
    ))
}

/// Nothing names a hub: says what to do, and on a terminal offers the demo.
async fn offer_demo(global: &Global) -> Result<Code, Failure> {
    let none = || Session::nothing_configured();
    if need_terminal().is_err() {
        return Err(none());
    }
    out::note(&none().to_string().replace('\n', " "));
    let answer = tokio::task::spawn_blocking(|| {
        let mut stderr = std::io::stderr().lock();
        // Nowhere is left to ask.
        let _ = write!(stderr, "Start the demo now? [y/N] ");
        let _ = stderr.flush();
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        read.map(|_| line).unwrap_or_default()
    });
    let answer = answer.await.unwrap_or_default();
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        let defaults = Demo {
            devices: 12,
            scenario: "quick".to_owned(),
        };
        return demo::run(defaults, global).await;
    }
    Ok(Code::Usage)
}
