//! `otadeck history UPDATE --replay`: a recorded update, played again on the real
//! screen. No hub is asked for anything.

use crate::cli::exit::{Code, Failure};
use crate::console::{self, Context, Exit};
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
    match console::replay(context, replay).await {
        Ok(Exit::Quit) => Ok(past.code()),
        Ok(Exit::Signal(number)) => Ok(Code::Signal(u8::try_from(number).unwrap_or_default())),
        Err(error) => Err(Failure::new(Code::Failure, error)),
    }
}
