//! `otadeck update`: put a package on devices and watch until it is done.

use std::io::Read;

use crate::domain::clean;
use crate::domain::event::{Command, Start};
use crate::domain::id::DeviceId;
use crate::domain::twin::Twin;
use crate::domain::uri::PackageUri;

use super::args::{Global, Update};
use super::exit::{Code, Failure};
use super::follow::{Options, Whose, follow};
use super::session::Session;
use super::signals::Signals;
use super::{log, out};

const PACKAGE_URI: &str = "OTADECK_PACKAGE_URI";
/// The longest URI that is read from stdin, in bytes.
const MAX_STDIN: u64 = 64 << 10;

pub(super) async fn run(verb: Update, global: &Global) -> Result<Code, Failure> {
    let uri = package(verb.uri.as_deref())?;
    let devices = distinct(verb.devices);
    let session = Session::need(global).await?;
    let mut signals = Signals::take()?;
    let _log = log::start(&session.paths.log());
    refuse_unconfirmed(&session, verb.confirm.as_deref(), verb.dry_run)?;
    let twins = tokio::select! {
        biased;
        code = signals.next() => return Ok(code),
        twins = session.check(&devices) => twins?,
    };
    if verb.dry_run {
        return dry_run(&session, &twins, &uri);
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

fn distinct(devices: Vec<DeviceId>) -> Vec<DeviceId> {
    let mut seen = std::collections::HashSet::new();
    devices
        .into_iter()
        .filter(|d| seen.insert(d.clone()))
        .collect()
}

/// Says no before anything is read when the hub may not be written to.
fn refuse_unconfirmed(
    session: &Session,
    confirm: Option<&str>,
    dry_run: bool,
) -> Result<(), Failure> {
    let profile = &session.profile;
    if dry_run {
        return Ok(());
    }
    if profile.read_only {
        return Err(Failure::new(
            Code::Refused,
            format!("{} is read-only; nothing was sent", profile.name),
        ));
    }
    let name = profile.name.as_str();
    match confirm {
        Some(given) if given != name => Err(Failure::new(
            Code::Refused,
            format!("--confirm names {given:?}, and the hub is {name:?}; nothing was sent"),
        )),
        None if profile.is_production() => Err(Failure::new(
            Code::Refused,
            format!("{name} is a production hub; nothing was sent. Confirm with --confirm {name}"),
        )),
        _ => Ok(()),
    }
}

/// Says what would be done.
fn dry_run(session: &Session, twins: &[Twin], uri: &PackageUri) -> Result<Code, Failure> {
    for twin in twins {
        let dialect = session.dialects.recognise(twin);
        let status = dialect.read(&twin.reported).value;
        out::line(&format!(
            "{}  would be invoked: {} {}",
            twin.device_id,
            dialect.method,
            dialect.payload.build(uri.redacted())
        ))?;
        out::line(&format!(
            "  it reports {} = {}, as dialect {}",
            dialect.status,
            status.map_or("nothing".to_owned(), |s| clean::line(
                &format!("{s:?}"),
                100
            )),
            dialect.name
        ))?;
    }
    out::note("Nothing was sent to any device.");
    Ok(Code::Completed)
}
