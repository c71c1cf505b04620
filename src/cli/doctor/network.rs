//! The way to the hub, step by step: proxy, name, TCP, TLS.

use std::net::SocketAddr;

use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::domain::time::spoken;
use crate::hub::certificate::Certificate;
use crate::hub::{HubError, Settings, probe};

use super::super::exit::Code;
use super::patient::Known;
use super::round::{Diagnosis, LIMIT, Round};

/// A certificate that ends sooner than that is worth a word.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Whether the hub may be asked, or why not.
pub(super) type Reached = Result<(), String>;

/// All steps; those after one that failed are skipped.
pub(super) async fn look(round: &Round<'_>, known: &Known) -> Reached {
    let settings = known.settings();
    if let Some(proxy) = probe::proxy(settings) {
        let found = format!("{proxy} stands between, as HTTPS_PROXY says");
        round.tell("proxy", Diagnosis::ok(found)).await;
        for name in ["name", "tcp", "tls"] {
            let found = "the proxy sees to that; whether it does, the query tells";
            round.tell(name, Diagnosis::ok(found)).await;
        }
        return Ok(());
    }
    let none = match settings.sign_in.at().is_loopback() {
        true => "none: the hub is on this machine",
        false => "none",
    };
    round.tell("proxy", Diagnosis::ok(none)).await;
    let skip = async |names: &[&str], failed: &str| {
        let why = format!("{failed} failed");
        for name in names {
            round.tell(name, Diagnosis::skipped(&why)).await;
        }
        Err(why)
    };
    let addresses = match limited(settings, probe::addresses(settings)).await {
        Ok(addresses) => addresses,
        Err(error) => {
            round
                .tell("name", failed(&error, "the hub's name leads nowhere"))
                .await;
            return skip(&["tcp", "tls"], "name").await;
        }
    };
    round
        .tell("name", Diagnosis::ok(names(settings, &addresses)))
        .await;
    let stream = match limited(settings, probe::connect(settings, &addresses)).await {
        Ok(stream) => stream,
        Err(error) => {
            round
                .tell("tcp", failed(&error, "the hub is not reached"))
                .await;
            return skip(&["tls"], "tcp").await;
        }
    };
    round.tell("tcp", Diagnosis::ok(peer(&stream))).await;
    match round.tell("tls", tls(settings, stream).await).await {
        true => Ok(()),
        false => Err("tls failed".to_owned()),
    }
}

async fn limited<T>(
    settings: &Settings,
    step: impl Future<Output = Result<T, HubError>>,
) -> Result<T, HubError> {
    timeout(LIMIT, step).await.unwrap_or_else(|_| {
        Err(HubError::Connect {
            host: settings.sign_in.at().to_string(),
            cause: format!("nothing within {} s", LIMIT.as_secs()),
            obstacle: crate::hub::error::Obstacle::Network,
        })
    })
}

fn failed(error: &HubError, title: &str) -> Diagnosis {
    Diagnosis::of_problem(&error.problem(title))
}

fn names(settings: &Settings, addresses: &[SocketAddr]) -> String {
    let mut shown: Vec<String> = addresses.iter().map(|a| a.ip().to_string()).collect();
    shown.dedup();
    let more = shown.len().saturating_sub(4);
    shown.truncate(4);
    let more = match more {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!(
        "{} is {}{more}",
        settings.sign_in.at().host,
        shown.join(", ")
    )
}

fn peer(stream: &TcpStream) -> String {
    match stream.peer_addr() {
        Ok(address) => format!("{address} answers"),
        Err(_) => "it answers".to_owned(),
    }
}

async fn tls(settings: &Settings, stream: TcpStream) -> Diagnosis {
    let Ok(shaken) = timeout(LIMIT, probe::handshake(settings, stream)).await else {
        let found = format!("no handshake within {} s", LIMIT.as_secs());
        return Diagnosis::failed(Code::Failure, found, "Is this the hub's address and port?");
    };
    let shown = shaken.certificate.as_ref().map(said);
    let now = Timestamp::now();
    let trusted = match &settings.ca_file {
        Some(file) => format!("trusted: the system's authorities, and {}", file.display()),
        None => "trusted: the system's authorities".to_owned(),
    };
    match (shaken.outcome, shown) {
        (Err(error), shown) => {
            let mut diagnosis = failed(&error, "no connection that can be trusted");
            if let Some(shown) = shown {
                diagnosis = diagnosis.and(&format!("It shows a certificate {shown}; {trusted}."));
            }
            diagnosis
        }
        (Ok(version), None) => Diagnosis::ok(format!("{version}; {trusted}")),
        (Ok(version), Some(shown)) => {
            let until = shaken.certificate.map(|c| c.until.duration_since(now));
            let found = format!("{version}; a certificate {shown}; {trusted}");
            match until {
                Some(left) if left < SOON => Diagnosis::warning(
                    found,
                    format!("It ends in {}: have it renewed.", spoken(left)),
                ),
                _ => Diagnosis::ok(found),
            }
        }
    }
}

fn said(certificate: &Certificate) -> String {
    let Certificate {
        subject,
        issuer,
        until,
        ..
    } = certificate;
    let until = until.strftime("%Y-%m-%d");
    format!("of “{subject}” by “{issuer}”, good until {until}")
}
