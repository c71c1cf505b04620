//! `otadeck`: the console on the configured hub.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::config::{Config, Paths};
use crate::console::{self, Context, Ended, Exit, Look, LookSettings, ViewText};
use crate::domain::event::Command;

use super::args::{Demo, Global};
use super::exit::{Code, Failure};
use super::session::Session;
use super::signals::Signals;
use super::{demo, ending, log, out};

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
    dress(&mut context, session.config(), &session.paths, global);
    show(&session, context).await
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
        columns: config.console.columns.clone(),
        views: views(config),
        mouse: config.console.mouse,
        no_colour: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
    }
}

/// The views of the configuration.
fn views(config: &Config) -> BTreeMap<String, ViewText> {
    let views = config.view.iter().map(|(name, view)| {
        let text = ViewText {
            filter: view.filter.clone(),
            columns: view.columns.clone(),
            sort: view.sort.clone(),
        };
        (name.clone(), text)
    });
    views.collect()
}

/// The file of the operator's own views. A folder of state may be shared; this is kept
/// in the user's own, and a demo's ends with it.
fn views_file(session: &Session, demo: bool) -> PathBuf {
    let own = Paths::of_user().ok().filter(|_| !demo);
    own.map_or_else(|| session.paths.views(), |paths| paths.views())
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

/// Runs the console on a session to its end.
pub(super) async fn show(session: &Session, mut context: Context) -> Result<Code, Failure> {
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
    context.views_file = Some(views_file(session, context.demo));
    context.only_watches.clone_from(&opened.only_watches);
    let running = session.start_on(opened, None);
    let engine = running.engine();
    let sender = engine.clone();
    // What an earlier process left open is watched on.
    tokio::spawn(async move { sender.send(Command::Resume).await });
    let demo = context.demo;
    ending::tend(running, async move {
        let ended = Box::pin(console::run(engine, context, trouble)).await;
        let code = code(&ended);
        ending::last_resort(code.as_ref().map_or(Code::Failure, |code| *code));
        tell(&ended, demo);
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
fn tell(ended: &Ended, demo: bool) {
    if ended.open.is_empty() {
        return;
    }
    let open = ended.open.join(", ");
    if demo {
        return out::note(&format!("Still open, and ended with the demo: {open}."));
    }
    out::note(&format!(
        "Still open: {open}. Updates go on on the devices. \
         To carry on watching: otadeck watch --resume, or the console."
    ));
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
