//! The configuration, the files that hold secrets, and which hub.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::config::{Config, SecretSource};
use crate::console::Look;
use crate::hub::SignIn;

use super::super::console;
use super::super::exit::Code;
use super::super::session::{CONNECTION_STRING, Session};
use super::patient::{Hub, Known, Patient};
use super::round::Diagnosis;

/// Can it be read, and does all in it mean something?
pub(super) fn configuration(patient: &Patient) -> Diagnosis {
    let config = match &patient.config {
        Ok(config) => config,
        Err(why) => {
            return Diagnosis::failed(
                Code::Usage,
                why,
                "Mend the line that is named; config.example.toml shows every key.",
            );
        }
    };
    let Some(paths) = &patient.paths else {
        return Diagnosis::ok("none; the defaults hold");
    };
    let file = paths.config.display();
    let (_, wrong) = Look::new(&console::look(config, paths, false));
    if !wrong.is_empty() {
        return Diagnosis::warning(
            format!("{file}: {}", wrong.join(". ")),
            "The console starts without that. otadeck config check looks at more.",
        );
    }
    match paths.config.exists() {
        true => Diagnosis::ok(format!(
            "{file}: it can be read; hubs: {}",
            config.hub.len()
        )),
        false => Diagnosis::ok(format!("{file}: not there; the defaults hold")),
    }
}

/// May others read what holds secrets, or write what names a command?
pub(super) fn secrets(patient: &Patient) -> Diagnosis {
    let (Ok(config), Some(paths)) = (&patient.config, &patient.paths) else {
        return Diagnosis::skipped("the configuration cannot be read");
    };
    let mut wrong = open_files(config);
    let runs = config.hub.values().any(|hub| hub.secret_command.is_some());
    if let Some(mode) = mode(&paths.config).filter(|mode| runs && mode & 0o022 != 0) {
        let file = paths.config.display();
        wrong.push(format!("others can write {file} (mode {mode:o})"));
    }
    match wrong.is_empty() {
        true => Diagnosis::ok("no file that holds or names one is open to others"),
        false => Diagnosis::warning(
            wrong.join("; "),
            "Nobody but you should read or write them: chmod 600. Until then they are not used.",
        ),
    }
}

fn open_files(config: &Config) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, hub) in &config.hub {
        let Ok(SecretSource::File(path)) = hub.secret(name) else {
            continue;
        };
        let shown = path.display();
        match mode(&path) {
            None => wrong.push(format!("hub {name}: {shown} cannot be looked at")),
            Some(mode) if mode & 0o077 != 0 => {
                wrong.push(format!(
                    "hub {name}: others can read {shown} (mode {mode:o})"
                ));
            }
            Some(_) => {}
        }
    }
    wrong
}

fn mode(path: &Path) -> Option<u32> {
    Some(std::fs::metadata(path).ok()?.mode() & 0o777)
}

/// Which hub, and where its secret comes from.
pub(super) fn hub(patient: &Patient) -> Diagnosis {
    match &patient.hub {
        Hub::Nothing => {
            let failure = Session::nothing_configured().to_string();
            let (found, hint) = failure.split_once(". ").unwrap_or((&failure, ""));
            Diagnosis::failed(Code::Usage, found, hint.replace('\n', " "))
        }
        Hub::Wrong(why) => Diagnosis::failed(
            Code::Usage,
            why.replace('\n', " "),
            format!(
                "No hub was asked. otadeck config check looks at each; {CONNECTION_STRING} names one without a file."
            ),
        ),
        Hub::Known(known) => Diagnosis::ok(found(known)),
    }
}

fn found(known: &Known) -> String {
    let sign_in = &known.settings().sign_in;
    let who = match sign_in {
        SignIn::Key(connection) => format!("policy {}", connection.policy),
        SignIn::AzureCli(_) => "Entra ID".to_owned(),
    };
    let profile = &known.profile;
    let tier = match profile.tier {
        Some(tier) => format!("{tier:?}, units: {}", profile.units),
        None => "tier not said, so one unit of S1 is assumed".to_owned(),
    };
    let guard = match (profile.read_only, &profile.environment) {
        (true, _) => "; read-only: nothing is started".to_owned(),
        (false, Some(environment)) => format!("; {environment}"),
        (false, None) => String::new(),
    };
    format!(
        "{} at {}, {who}; its secret: {}; {tier}{guard}",
        profile.name,
        sign_in.at(),
        known.source
    )
}
