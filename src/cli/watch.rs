//! `otadeck watch`: what devices report, without starting anything.

use crate::domain::event::Command;

use super::args::{Global, Watch};
use super::exit::{Code, Failure};
use super::follow::{Options, Whose, follow};
use super::session::Session;
use super::signals::Signals;
use super::{check, ending, log, out};

pub(super) async fn run(verb: Watch, global: &Global) -> Result<Code, Failure> {
    if verb.resume && global.no_journal {
        return Err(Failure::usage(
            "--resume carries on with the updates of the journal, and --no-journal keeps none",
        ));
    }
    let session = Session::need(global).await?;
    let mut signals = Signals::insist()?;
    let _log = log::start(&session.paths.log());
    let until = check::until(verb.timeout);
    let (whose, commands) = if verb.resume {
        (Whose::Journal, vec![Command::Resume])
    } else {
        let devices = check::distinct(&verb.devices);
        tokio::select! {
            biased;
            code = signals.next() => return Ok(code),
            checked = check::in_time(until, session.check(&devices, verb.json)) => drop(checked??),
        }
        let commands = devices.iter().cloned().map(Command::Watch).collect();
        (Whose::Devices(devices), commands)
    };
    let opened = session.journal_or_watch()?;
    match &opened.only_watches {
        // There is nothing to carry on with.
        Some(problem) if verb.resume => return Err(problem.clone().into()),
        Some(problem) => out::complain(&problem.to_string()),
        None => opened.journal.remark().into_iter().for_each(out::note),
    }
    let running = session.start_on(opened, None);
    let engine = running.engine();
    let events = engine.subscribe();
    let sender = engine.clone();
    tokio::spawn(async move {
        for command in commands {
            if sender.send(command).await.is_err() {
                return;
            }
        }
    });
    let options = Options {
        json: verb.json,
        no_wait: false,
        kept: !global.no_journal,
        until,
    };
    let following = follow(engine, events, whose, options, &mut signals);
    ending::tend(running, following).await
}
