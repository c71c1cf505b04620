//! `otadeck doctor`, and `:doctor` in the console: is all well that an update needs?
//! One check after another, each with a limit of time, what was found and what to do.
//!
//! Nothing is written to the hub, and nothing anywhere else. What depends on
//! something that failed is skipped, and that is said.
//!
//! | module | looks at |
//! |---|---|
//! | `patient` | what is to be looked at: flags, environment, file, or a console's own |
//! | `round` | what a check says, its limit, the order of all |
//! | `settings` | the configuration, secrets' files, which hub |
//! | `network` | proxy, name, TCP, TLS |
//! | `service` | the hub's answer, rights, the clock |
//! | `keeping` | the state folder, the journal, space, the log |
//! | `here` | the program and its terminal |

mod here;
mod keeping;
mod network;
mod patient;
mod round;
mod service;
mod settings;

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::console;
use crate::domain::clean;
use crate::domain::doctor::{Check, Verdict};
use crate::domain::event::{Event, What};

use super::args::{Doctor, Global};
use super::exit::{Code, Failure};
use super::out;
use super::session::Session;
use super::signals::Signals;
use patient::Patient;
use round::{Found, examine};

/// Checks that wait to be told.
const WAITING: usize = 8;
/// Columns of a check's name.
const NAME: usize = 14;

pub(super) async fn run(verb: Doctor, global: &Global) -> Result<Code, Failure> {
    let mut signals = Signals::insist()?;
    let (say, mut found) = mpsc::channel(WAITING);
    let mut first = None;
    let mut counts = (0, 0);
    let work = async {
        let patient = Patient::find(global).await;
        examine(&patient, &say).await;
        drop(say);
        Ok::<(), Failure>(())
    };
    let tell = async {
        while let Some(Found { check, code }) = found.recv().await {
            match check.result {
                Verdict::Ok => {}
                Verdict::Warning => counts.0 += 1,
                Verdict::Failed => {
                    counts.1 += 1;
                    first.get_or_insert(code);
                }
            }
            tell(check, verb.json)?;
        }
        Ok(())
    };
    tokio::select! {
        biased;
        code = signals.next() => return Ok(code),
        told = async { tokio::try_join!(tell, work) } => told.map(drop)?,
    }
    out::note(&summary(counts));
    Ok(first.unwrap_or(Code::Completed))
}

fn tell(check: Check, json: bool) -> Result<(), Failure> {
    if json {
        return out::json(&Event::general(Timestamp::now(), What::Checked(check)));
    }
    let line = format!(
        "{} {:NAME$} {}",
        check.result.sign(),
        check.check,
        check.found
    );
    out::line(&clean::line(&line, 1_000))?;
    match check.hint.is_empty() {
        true => Ok(()),
        false => out::line(&clean::line(
            &format!("  {:NAME$} {}", "", check.hint),
            1_000,
        )),
    }
}

fn summary((warnings, failed): (usize, usize)) -> String {
    let several = |n: usize, thing: &str| match n {
        1 => format!("1 {thing}"),
        n => format!("{n} {thing}s"),
    };
    match (warnings, failed) {
        (0, 0) => "All is well.".to_owned(),
        (_, 0) => format!("Nothing failed; {}.", several(warnings, "warning")),
        _ => format!(
            "{} failed; {}.",
            several(failed, "check"),
            several(warnings, "warning")
        ),
    }
}

/// A doctor for the console that runs on this session, at work as long as somebody
/// may ask for it.
pub(super) fn of_console(session: &Session) -> console::Doctor {
    let (doctor, mut asked) = mpsc::channel::<mpsc::Sender<Check>>(1);
    let patient = Patient::of_session(session);
    tokio::spawn(async move {
        while let Some(wanted) = asked.recv().await {
            let (say, found) = mpsc::channel(WAITING);
            tokio::select! {
                biased;
                // Nobody wants to know any more.
                () = wanted.closed() => {}
                _ = async { tokio::join!(examine_and_end(&patient, say), pass(found, &wanted)) } => {}
            }
        }
    });
    doctor
}

async fn examine_and_end(patient: &Patient, say: mpsc::Sender<Found>) {
    examine(patient, &say).await;
}

async fn pass(mut found: mpsc::Receiver<Found>, wanted: &mpsc::Sender<Check>) {
    while let Some(found) = found.recv().await {
        // That nobody listens is noticed elsewhere.
        let _ = wanted.send(found.check).await;
    }
}
