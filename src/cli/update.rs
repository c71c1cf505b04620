//! `otadeck update`: put a package on devices and watch until it is done.

use std::io::Read;

use jiff::{SignedDuration, Timestamp};

use crate::domain::clean;
use crate::domain::dialect::Dialect;
use crate::domain::event::{Command, Event, Intent, Start, What};
use crate::domain::evidence::{self, Baseline};
use crate::domain::id::DeviceId;
use crate::domain::problem::{Kind, Problem};
use crate::domain::twin::Twin;
use crate::domain::uri::PackageUri;

use super::args::{Global, Update};
use super::exit::{Code, Failure};
use super::follow::{Options, Whose, follow};
use super::session::{Session, who};
use super::signals::Signals;
use super::{log, out};

const PACKAGE_URI: &str = "OTADECK_PACKAGE_URI";
/// The longest URI that is read from stdin, in bytes.
const MAX_STDIN: u64 = 64 << 10;

pub(super) async fn run(verb: Update, global: &Global) -> Result<Code, Failure> {
    let uri = package(verb.uri.as_deref())?;
    let devices = distinct(&verb.devices);
    let session = Session::need(global).await?;
    let mut signals = Signals::insist()?;
    let _log = log::start(&session.paths.log());
    let refusal = refusal(&session, verb.confirm.as_deref());
    if let (Some(problem), false) = (&refusal, verb.dry_run) {
        if verb.json {
            out::refused(None, problem)?;
        }
        return Err(problem.clone().into());
    }
    let twins = tokio::select! {
        biased;
        code = signals.next() => return Ok(code),
        twins = session.check(&devices, verb.json) => twins?,
    };
    forecast(&session, devices.len(), verb.timeout);
    if verb.dry_run {
        return dry_run(&session, &twins, &uri, &verb, refusal.as_ref());
    }
    let running = session.start(None)?;
    let engine = running.engine();
    let events = engine.subscribe();
    let options = Options {
        json: verb.json,
        no_wait: verb.no_wait,
        timeout: verb.timeout,
    };
    let orders = devices.iter().map(|device| {
        Command::Start(Start {
            device: device.clone(),
            uri: uri.clone(),
            expect: verb.expect.clone(),
        })
    });
    let commands: Vec<Command> = verb
        .confirm
        .map(Command::Arm)
        .into_iter()
        .chain(orders)
        .collect();
    let sender = engine.clone();
    tokio::spawn(async move {
        for command in commands {
            if sender.send(command).await.is_err() {
                return;
            }
        }
    });
    let code = follow(
        engine,
        events,
        Whose::Devices(devices),
        options,
        &mut signals,
    )
    .await;
    running.stop().await;
    code
}

/// The URI from the flag, stdin or the environment.
fn package(flag: Option<&str>) -> Result<PackageUri, Failure> {
    let text = match flag {
        Some("-") => {
            let mut text = String::new();
            let read = std::io::stdin().take(MAX_STDIN).read_to_string(&mut text);
            read.map_err(|e| Failure::usage(format!("cannot read the URI from stdin: {e}")))?;
            text
        }
        Some(text) => text.to_owned(),
        None => std::env::var(PACKAGE_URI)
            .map_err(|_| Failure::usage(format!("no package: give --uri, or set {PACKAGE_URI}")))?,
    };
    PackageUri::parse(&text)
        .map_err(|e| Failure::usage(format!("{e}\nNothing was sent to any device.")))
}

fn distinct(devices: &[DeviceId]) -> Vec<DeviceId> {
    let mut seen = std::collections::HashSet::new();
    devices
        .iter()
        .filter(|d| seen.insert(*d))
        .cloned()
        .collect()
}

/// Why the hub may not be written to, known before anything is read.
fn refusal(session: &Session, confirm: Option<&str>) -> Option<Problem> {
    let profile = &session.profile;
    let name = profile.name.as_str();
    if profile.read_only {
        let title = format!("{name} is read-only");
        return Some(Problem::new(Kind::ReadOnly, title, "nothing was sent"));
    }
    match confirm {
        Some(given) if given != name => {
            let title = format!("--confirm names {given:?}, and the hub is {name:?}");
            Some(Problem::new(Kind::Unconfirmed, title, "nothing was sent"))
        }
        None if profile.is_production() => {
            let title = format!("{name} is a production hub");
            let problem = Problem::new(Kind::Unconfirmed, title, "nothing was sent");
            let name = clean::shell_word(name);
            Some(problem.hint(format!("Confirm with --confirm {name}.")))
        }
        _ => None,
    }
}

/// Says what many updates will take of the hub's day, before they start; and a
/// single one where that is much.
fn forecast(session: &Session, updates: usize, timeout: Option<SignedDuration>) {
    let forecast = session.forecast(updates, timeout.map(SignedDuration::unsigned_abs));
    if updates > 1 || forecast.slows {
        let tier = session.profile.tier_label();
        out::note(&format!("forecast for {tier}: {forecast}"));
    }
}

/// Says what would be done.
fn dry_run(
    session: &Session,
    twins: &[Twin],
    uri: &PackageUri,
    verb: &Update,
    refusal: Option<&Problem>,
) -> Result<Code, Failure> {
    for twin in twins {
        let dialect = session.dialects.recognise(twin);
        let payload = dialect.payload.build(uri.redacted());
        if verb.json {
            out::json(&planned(session, twin, dialect, uri, verb))?;
            continue;
        }
        let device = &twin.device_id;
        out::line(&format!(
            "{device}  would be invoked: {} {payload}",
            dialect.method
        ))?;
        let status = dialect.read(&twin.reported).value;
        let status = status.map_or("nothing".to_owned(), |s| {
            clean::line(&format!("{s:?}"), 100)
        });
        out::line(&format!(
            "  it reports {} = {status}, as dialect {}",
            dialect.status, dialect.name
        ))?;
    }
    if let Some(problem) = refusal {
        out::note(&format!("It would be refused: {}", problem.title));
    }
    out::note("Nothing was sent to any device.");
    Ok(Code::Completed)
}

fn planned(
    session: &Session,
    twin: &Twin,
    dialect: &Dialect,
    uri: &PackageUri,
    verb: &Update,
) -> Event {
    let payload = dialect.payload_for(uri).to_string();
    let intent = Intent {
        hub: session.profile.host.clone(),
        uri: Some(uri.redacted().to_owned()),
        payload_sha256: Some(evidence::sha256(&payload)),
        method: Some(dialect.method.to_owned()),
        expect: verb.expect.clone(),
        dialect: dialect.name.to_owned(),
        baseline: Baseline::of(twin, dialect),
        by: who(),
    };
    let what = What::Planned(Box::new(intent));
    Event::device(Timestamp::now(), twin.device_id.clone(), what)
}
