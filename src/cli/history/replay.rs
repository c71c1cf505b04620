//! `otadeck history UPDATE --replay`: a recorded update, played again on the real
//! screen. No hub is asked for anything.

use tokio::sync::mpsc;

use crate::cli::console::code as ended_with;
use crate::cli::ending;
use crate::cli::exit::{Code, Failure};
use crate::console::{self, Context};
use crate::domain::dialect::Dialects;
use crate::domain::id::UpdateId;
use crate::domain::profile::Profile;
use crate::domain::replay::Replay;

use super::Past;

pub(super) async fn run(
    past: &mut Past,
    id: &UpdateId,
    speed: u32,
    dialects: Dialects,
    trouble: mpsc::Receiver<String>,
) -> Result<Code, Failure> {
    let recorded = past.journal.recorded(id);
    let recorded = recorded.map_err(|e| super::failed(&e))?;
    past.damaged(&recorded.damaged);
    let (Some(update), Some(replay)) = (
        recorded.update(),
        Replay::new(&recorded.events, speed, jiff::Timestamp::now()),
    ) else {
        return Err(Failure::new(
            Code::Failure,
            format!("update {id} cannot be replayed: what was intended cannot be read"),
        ));
    };
    let hub = update.intent.hub;
    let name = hub.split(['.', ':']).next().unwrap_or_default().to_owned();
    let profile = Profile {
        name,
        host: hub,
        environment: None,
        read_only: true,
        tier: None,
        units: 1,
    };
    let mut context = Context::new(profile);
    context.dialects = dialects;
    let ended = console::replay(context, replay, trouble).await;
    let code = ended_with(&ended);
    ending::last_resort(code.as_ref().map_or(Code::Failure, |code| *code));
    match code? {
        Code::Completed => Ok(past.code()),
        code => Ok(code),
    }
}
