//! `otadeck update`: put a package on devices and watch until it is done.

use std::collections::HashMap;
use std::io::Read;

use jiff::{SignedDuration, Timestamp};

use crate::domain::clean;
use crate::domain::dialect::{Choice, Dialect, Values};
use crate::domain::event::{Command, Event, Intent, Start, What};
use crate::domain::evidence::{self, Baseline};
use crate::domain::id::DeviceId;
use crate::domain::preflight::{self, Weight};
use crate::domain::problem::{Kind, Problem};
use crate::domain::twin::Twin;
use crate::domain::update::under_way;
use crate::domain::uri::PackageUri;

use super::args::{Global, Update};
use super::exit::{Code, Failure};
use super::follow::{Options, Whose, follow};
use super::session::{Inspection, Session};
use super::signals::Signals;
use super::who::who;
use super::{check, ending, log, out};

const PACKAGE_URI: &str = "OTADECK_PACKAGE_URI";
/// The longest URI that is read from stdin, in bytes.
const MAX_STDIN: u64 = 64 << 10;

pub(super) async fn run(verb: Update, global: &Global) -> Result<Code, Failure> {
    let uri = package(verb.uri.as_deref())?;
    let devices = check::distinct(&verb.devices);
    if let Some(other) = verb.force.iter().find(|forced| !devices.contains(forced)) {
        return Err(Failure::usage(format!(
            "--force names {other}, which is not to be updated\nNothing was sent to any device."
        )));
    }
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
    let until = check::until(verb.timeout);
    forecast(&session, devices.len(), verb.timeout);
    // Both only look; neither should wait for the other.
    let look = async { tokio::join!(session.check(&devices, verb.json), session.inspect(&uri)) };
    let (twins, inspection) = tokio::select! {
        biased;
        code = signals.next() => return Ok(code),
        seen = check::in_time(until, look) => seen?,
    };
    let twins = twins?;
    let forbidden = tell(&session, &uri, &twins, inspection, verb.json)?;
    let refusal = refusal.or(forbidden);
    if verb.dry_run {
        let rules = check::in_time(until, session.rules(&devices)).await??;
        return dry_run(&session, &twins, &rules, &uri, &verb, refusal.as_ref());
    }
    if let Some(problem) = refusal {
        if verb.json {
            out::refused(None, &problem)?;
        }
        return Err(problem.into());
    }
    let running = session.start(None)?;
    let engine = running.engine();
    let events = engine.subscribe();
    let options = Options {
        json: verb.json,
        no_wait: verb.no_wait,

        kept: !global.no_journal,
        until,
    };
    let orders = devices.iter().map(|device| {
        Command::Start(Start {
            device: device.clone(),
            uri: uri.clone(),
            expect: verb.expect.clone(),
            sha256: verb.sha256.clone(),
            reason: verb.reason.clone(),
            force: verb.force.contains(device).then(|| device.to_string()),
            over: None,
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
    let whose = Whose::Devices(devices);
    let following = follow(engine, events, whose, options, &mut signals);
    ending::tend(running, following).await
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

/// Says what can be said of the package; gives the reason if it is forbidden.
fn tell(
    session: &Session,
    uri: &PackageUri,
    twins: &[Twin],
    inspection: Inspection,
    json: bool,
) -> Result<Option<Problem>, Failure> {
    let of = |twin| Some(session.forbids(uri, twin)?.text).map(|why| (why, twin));
    let models = twins.iter().find_map(of);
    let models = models.map(|(why, twin)| format!("{}: {why}", twin.device_id));
    let Inspection { findings, server } = inspection;
    let why = preflight::refusal(&findings).map(|finding| finding.text.clone());
    for finding in findings.iter().filter(|f| f.weight < Weight::Refusal) {
        let mark = match finding.weight {
            Weight::Note => "",
            Weight::Warning | Weight::Refusal => "warning: ",
        };
        out::note(&format!("package: {mark}{}", finding.text));
    }
    if json && !findings.is_empty() {
        let what = What::Inspected {
            uri: uri.redacted().to_owned(),
            uri_sha256: evidence::sha256(uri.expose()),
            findings,
            server,
            waiting: false,
        };
        out::json(&Event::general(Timestamp::now(), what))?;
    }
    let title = || format!("{} is not sent", uri.file_name());
    Ok(why.or(models).map(|why| {
        Problem::new(Kind::NotAllowed, title(), why)
            .hint("Nothing was sent to any device. Use another URI, or a fresh signature.")
    }))
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
    if updates > 1 || forecast.is_much() {
        let tier = session.profile.tier_label();
        out::note(&format!("forecast for {tier}: {forecast}"));
    }
}

/// Says what would be done, or why it would be refused: that is how it ends then.
fn dry_run(
    session: &Session,
    twins: &[Twin],
    rules: &HashMap<DeviceId, usize>,
    uri: &PackageUri,
    verb: &Update,
    refusal: Option<&Problem>,
) -> Result<Code, Failure> {
    let mut code = Code::Completed;
    for twin in twins {
        let rule = rules.get(&twin.device_id).copied();
        let choice = session.dialects.choose(&twin.reported, rule);
        let refusal = refusal.cloned();
        let refusal = refusal.or_else(|| obstacle(session, twin, &choice, uri, verb));
        if let Some(problem) = &refusal {
            code = Code::worst([code, Code::of_problem(problem)]);
        }
        match (&refusal, verb.json) {
            (Some(problem), true) => out::refused(Some(&twin.device_id), problem)?,
            (None, true) => planned(session, twin, choice.dialect, uri, verb)?,
            (refusal, false) => say(twin, &choice, uri, verb, refusal.as_ref())?,
        }
    }
    out::note("Nothing was sent to any device.");
    Ok(code)
}

/// Why no update would be started on this device, as far as its twin tells.
fn obstacle(
    session: &Session,
    twin: &Twin,
    choice: &Choice,
    uri: &PackageUri,
    verb: &Update,
) -> Option<Problem> {
    let device = &twin.device_id;
    let deadline = session.config.update.phase_deadline;
    let start = choice.dialect.start(&values(uri.expose(), verb));
    choice
        .unclear(device)
        .or_else(|| start.err().map(|cannot| cannot.problem(device)))
        .or_else(|| {
            let busy = under_way(choice.dialect, twin, deadline, Timestamp::now());
            busy.filter(|_| !verb.force.contains(device))
        })
}

/// What a dialect's payload holds of this order, with that spelling of the URI.
fn values<'a>(uri: &'a str, verb: &'a Update) -> Values<'a> {
    Values {
        uri,
        version: verb.expect.as_deref(),
        sha256: verb.sha256.as_deref(),
    }
}

fn say(
    twin: &Twin,
    choice: &Choice,
    uri: &PackageUri,
    verb: &Update,
    refusal: Option<&Problem>,
) -> Result<(), Failure> {
    let Choice { dialect, how } = choice;
    let device = &twin.device_id;
    let would = match (refusal, dialect.start(&values(uri.redacted(), verb))) {
        (None, Ok((by, payload))) => {
            let method = clean::line(&by.method, 100);
            let payload = clean::json(&payload.to_string());
            format!("{device}  would be invoked: {method} {payload}")
        }
        (Some(problem), _) => {
            let why = format!("{}. {}", problem.line().trim_end_matches('.'), problem.hint);
            format!("{device}  would be refused: {}", clean::line(&why, 600))
        }
        (None, Err(cannot)) => format!("{device}  would be refused: {cannot}"),
    };
    out::line(&would)?;
    let reading = dialect.read(&twin.reported);
    let status = reading.value.map_or("nothing".to_owned(), |s| {
        clean::line(&format!("{s:?}"), 100)
    });
    let property = reading.property;
    out::line(&format!(
        "  it reports {property} = {status}, as dialect {}, {how}",
        dialect.name
    ))
}

fn planned(
    session: &Session,
    twin: &Twin,
    dialect: &Dialect,
    uri: &PackageUri,
    verb: &Update,
) -> Result<(), Failure> {
    let device = twin.device_id.clone();
    let (by, payload) = match dialect.start(&values(uri.expose(), verb)) {
        Ok(start) => start,
        Err(cannot) => return out::refused(Some(&device), &cannot.problem(&device)),
    };
    let intent = Intent {
        hub: session.profile.host.clone(),
        uri: Some(uri.redacted().to_owned()),
        uri_sha256: Some(evidence::sha256(uri.expose())),
        payload_sha256: Some(evidence::sha256(&payload.to_string())),
        method: Some(by.method.clone()),
        expect: verb.expect.clone(),
        dialect: dialect.name.clone(),
        baseline: Baseline::of(twin, dialect),
        by: who(),
        reason: verb.reason.clone(),
    };
    let what = What::Planned(Box::new(intent));
    out::json(&Event::device(Timestamp::now(), device, what))
}
