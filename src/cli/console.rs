//! `otadeck`: the console on the configured hub.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use crate::config::{Config, ConsoleConfig, NotifyConfig, Paths};
use crate::console::{Context, Ended, Exit, Look, LookSettings, Notify, ViewText, Wire};

use super::args::Global;
use super::exit::{Code, Failure};
use super::session::Session;
use super::switching::{self, Hubs};
use super::{ending, first, lines, out};

/// Open updates that are named at the end.
const LISTED: usize = 20;

pub(super) async fn run(global: &Global) -> Result<Code, Failure> {
    let Some(session) = Session::find(global).await? else {
        return first::offer(global).await;
    };
    open(session, global).await
}

/// Runs the console on a configured hub, in lines where it cannot draw.
pub(super) async fn open(session: Session, global: &Global) -> Result<Code, Failure> {
    let file = (session.config().clone(), session.paths.clone());
    let hubs = Hubs::new(global, Some(file), None);
    let mut context = hubs.context(&session);
    dress(&mut context, session.config(), &session.paths, global);
    match lines::wanted(global) {
        true => lines::show(&session, context).await,
        false => switching::show(hubs, session, context).await,
    }
}

/// Gives the console the look that the operator has set. What is wrong with that is
/// said on the screen: it is no reason not to start.
pub(super) fn dress(context: &mut Context, config: &Config, paths: &Paths, global: &Global) {
    let (look, wrong) = Look::new(&look(config, paths, global.ascii));
    context.look = look;
    context.wire = wire(&config.console, global);
    if !wrong.is_empty() {
        let text = wrong.join(". ");
        context.first_notice = Some(format!("{text}. otadeck config check says so too."));
    }
}

/// What the terminal is sent and told.
fn wire(config: &ConsoleConfig, global: &Global) -> Wire {
    let max_fps = u8::try_from(config.max_fps).ok();
    Wire {
        max_fps: global.max_fps.or(max_fps).unwrap_or(60),
        title: config.title,
        notify: match config.notify {
            NotifyConfig::Bell => Notify::Bell,
            NotifyConfig::Osc9 => Notify::Osc9,
            NotifyConfig::Off => Notify::Off,
        },
        tmux: std::env::var_os("TMUX").is_some_and(|value| !value.is_empty()),
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
pub(super) fn views_file(session: &Session, demo: bool) -> PathBuf {
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

/// The exit code of a console that has ended so.
pub(super) fn code(ended: &Ended) -> Result<Code, Failure> {
    match &ended.why {
        Ok(Exit::Quit | Exit::Switch) => Ok(Code::Completed),
        Ok(Exit::Signal(number)) => Ok(Code::Signal(u8::try_from(*number).unwrap_or_default())),
        // It was told when it happened.
        Err(_) if ending::is_defect() => Ok(Code::Failure),
        Err(error) => Err(Failure::new(Code::Failure, error)),
    }
}

/// Says on the restored terminal what is still open, and how to go on.
pub(super) fn tell(open: &[String], demo: bool, kept: bool) {
    if open.is_empty() {
        return;
    }
    let mut listed = open
        .iter()
        .take(LISTED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if open.len() > LISTED {
        listed.push_str(&format!(", and {} more", open.len() - LISTED));
    }
    if demo {
        return out::note(&format!("Still open, and ended with the demo: {listed}."));
    }
    let again = match kept {
        true => "otadeck watch --resume, or the console",
        false => "otadeck watch DEVICE; nothing was kept of them",
    };
    out::note(&format!(
        "Still open: {listed}.\nUpdates go on on the devices. To carry on watching: {again}."
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
