//! `otadeck history UPDATE --replay`: a recorded update, played again on the real
//! screen. No hub is asked for anything.

use crate::cli::args::Global;
use crate::cli::console::{code as ended_with, dress, need_terminal};
use crate::cli::exit::{Code, Failure};
use crate::cli::signals::Signals;
use crate::cli::{ending, log, out};
use crate::config::{Config, Paths};
use crate::console::{self, Context};
use crate::domain::id::UpdateId;
use crate::domain::profile::Profile;
use crate::domain::replay::Replay;

use super::Past;

/// Plays the update that many times as fast as it went.
pub(super) async fn run(
    past: &mut Past,
    (id, speed): (&UpdateId, u32),
    global: &Global,
    config: &Config,
    paths: &Paths,
) -> Result<Code, Failure> {
    need_terminal()?;
    let dialects = config.dialects(global.hub.as_deref());
    let dialects = dialects.map_err(Failure::usage)?;
    // Ends in time even where the console itself cannot.
    Signals::insist()?;
    let (_log, mut trouble) = log::open(&paths.log());
    let (hub, replay) = recorded(past, id, speed)?;
    let mut context = Context::new(profile(hub));
    context.dialects = dialects;
    dress(&mut context, config, paths, global);
    let wrong = context.first_notice.take();
    let ended = console::replay(context, replay).await;
    let code = ended_with(&ended);
    ending::last_resort(code.as_ref().map_or(Code::Failure, |code| *code));
    // A replay's screen shows what was then, and nothing of now.
    for text in wrong.into_iter().chain(trouble.try_recv()) {
        out::note(&text);
    }
    match code? {
        Code::Completed => Ok(past.code()),
        code => Ok(code),
    }
}

/// The hub of the update, and the update as it is played.
fn recorded(past: &mut Past, id: &UpdateId, speed: u32) -> Result<(String, Replay), Failure> {
    let recorded = past.journal.recorded(id);
    let recorded = recorded.map_err(|e| super::failed(&e))?;
    past.damaged(&recorded.damaged);
    let replay = Replay::new(&recorded.events, speed, jiff::Timestamp::now());
    match (recorded.update(), replay) {
        (Some(update), Some(replay)) => Ok((update.intent.hub, replay)),
        _ => Err(Failure::new(
            Code::Failure,
            format!("update {id} cannot be replayed: what was intended cannot be read"),
        )),
    }
}

/// A hub that is not asked for anything.
fn profile(host: String) -> Profile {
    let name = host.split(['.', ':']).next().unwrap_or_default().to_owned();
    Profile {
        name,
        host,
        environment: None,
        read_only: true,
        tier: None,
        units: 1,
    }
}
