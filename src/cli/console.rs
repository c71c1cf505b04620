//! `otadeck`: the console on the configured hub.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use crate::config::{Config, Paths};
use crate::console::{self, Context, Ended, Exit, Look, LookSettings};
use crate::domain::event::Command;

use super::args::{Demo, Global};
use super::exit::{Code, Failure};
use super::session::Session;
use super::signals::Signals;
use super::{demo, ending, lines, log, out};

pub(super) async fn run(global: &Global) -> Result<Code, Failure> {
    let Some(session) = Session::find(global).await? else {
        return offer_demo(global).await;
    };
    let mut context = Context::new(session.profile.clone());
    context.dialects = session.dialects.clone();
    dress(&mut context, session.config(), &session.paths, global);
    show(&session, context, lines::wanted(global)).await
}

/// Gives the console the look that the operator has set. What is wrong with that is
/// said on the screen: it is no reason not to start.
pub(super) fn dress(context: &mut Context, config: &Config, paths: &Paths, global: &Global) {
    let (look, wrong) = Look::new(&look(config, paths, global.ascii));
    context.look = look;
    if !wrong.is_empty() {
        let text = wrong.join(". ");
        context.first_notice = Some(format!("{text}. otadeck config check says so too."));
    }
}

/// The settings of the console's look.
pub(super) fn look(config: &Config, paths: &Paths, ascii: bool) -> LookSettings {
    LookSettings {
        theme: Some(config.console.theme.clone()),
        themes: themes(&paths.themes()),
        keys: config.console.keys.clone(),
        ascii: ascii || config.console.ascii,
        no_colour: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
    }
}

/// The themes in a folder, by the names of their files. A folder that is not there
/// has none.
fn themes(folder: &Path) -> Vec<(String, String)> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let themes = files.filter_map(|file| {
        let path = file.path();
        let name = path.file_stem()?.to_str()?.to_owned();
        let is_theme = path.extension().is_some_and(|e| e == "toml");
        is_theme.then(|| Some((name, std::fs::read_to_string(&path).ok()?)))?
    });
    let mut themes: Vec<_> = themes.collect();
    themes.sort();
    themes
}

/// Runs the console on a session to its end; `in_lines` where it cannot draw.
pub(super) async fn show(
    session: &Session,
    mut context: Context,
    in_lines: bool,
) -> Result<Code, Failure> {
    // Ends in time even where the console itself cannot.
    Signals::insist()?;
    let (_log, trouble) = log::open(&session.paths.log());
    let opened = session.journal_or_watch()?;
    // Before the engine asks for more: the first frame waits for it.
    let recent = opened.journal.recent_uris(&session.profile.host).await;
    // The engine tells of a journal that cannot be read.
    context.recent_uris = recent.unwrap_or_default();
    if context.first_notice.is_none() {
        context.first_notice = opened.journal.remark().map(ToOwned::to_owned);
    }
    context.day_share = session.day_share;
    context.only_watches.clone_from(&opened.only_watches);
    let running = session.start_on(opened, None);
    let engine = running.engine();
    let demo = context.demo;
    if in_lines {
        let talking = lines::talk(engine, context, trouble);
        return ending::tend(running, talking).await;
    }
    let sender = engine.clone();
    // What an earlier process left open is watched on.
    tokio::spawn(async move { sender.send(Command::Resume).await });
    ending::tend(running, async move {
        let ended = Box::pin(console::run(engine, context, trouble)).await;
        let code = code(&ended);
        ending::last_resort(code.as_ref().map_or(Code::Failure, |code| *code));
        tell(&ended.open, demo);
        code
    })
    .await
}

/// The exit code of a console that has ended so.
pub(super) fn code(ended: &Ended) -> Result<Code, Failure> {
    match &ended.why {
        Ok(Exit::Quit) => Ok(Code::Completed),
        Ok(Exit::Signal(number)) => Ok(Code::Signal(u8::try_from(*number).unwrap_or_default())),
        // It was told when it happened.
        Err(_) if ending::is_defect() => Ok(Code::Failure),
        Err(error) => Err(Failure::new(Code::Failure, error)),
    }
}

/// Says on the restored terminal what is still open, and how to go on.
pub(super) fn tell(open: &[String], demo: bool) {
    if open.is_empty() {
        return;
    }
    let open = open.join(", ");
    if demo {
        return out::note(&format!("Still open, and ended with the demo: {open}."));
    }
    out::note(&format!(
        "Still open: {open}. Updates go on on the devices. \
         To carry on watching: otadeck watch --resume, or the console."
    ));
}

/// A replay draws on a terminal and reads keys from it.
pub(super) fn need_terminal() -> Result<(), Failure> {
    if is_on_terminal() {
        return Ok(());
    }
    Err(Failure::usage(
        "a replay needs a terminal on stdin and stdout;\n\
         without one otadeck history tells the past in lines",
    ))
}

/// Can keys be read from a terminal, and drawn on one?
pub(super) fn is_on_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Nothing names a hub: says what to do, and on a terminal offers the demo.
async fn offer_demo(global: &Global) -> Result<Code, Failure> {
    let none = || Session::nothing_configured();
    if !is_on_terminal() {
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
