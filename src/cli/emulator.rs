//! `otadeck emulator`: a local IoT Hub, with simulated devices if wanted.

use std::io::Write;
use std::path::Path;

use crate::device::{self, Fleet};
use crate::domain::id::DeviceId;
use crate::emulator::{self, Emulator as Hub, EmulatorError, ReadyInfo};
use crate::scenario::{BUILT_IN, Scenario};

use super::args::Emulator;
use super::exit::{Code, Failure};
use super::signals::Signals;
use super::{log, out};

pub(super) async fn run(verb: Emulator) -> Result<Code, Failure> {
    if verb.scenarios {
        return list();
    }
    log::to_stderr();
    let scenario = scenario(&verb.scenario)?;
    let mut conditions = scenario.hub().clone();
    conditions.index_lag = verb.index_lag.unwrap_or(conditions.index_lag);
    let mut signals = Signals::take()?;
    // One of an earlier run would be taken for this one's.
    forget(verb.ready_file.as_deref());
    let hub = Hub::start(emulator::Settings {
        https: verb.https,
        mqtt: verb.mqtt,
        host_name: verb.host_name,
        data: verb.data,
        state: None,
        tier: verb.tier.map(|tier| (tier, verb.units)),
        spent: verb.spent,
        conditions,
        tags: scenario.tags().to_vec(),
        bearers: verb.bearer_file,
        listen_anywhere: verb.listen_anywhere,
    });
    let hub = hub.await.map_err(|e| match e {
        EmulatorError::NotLoopback { .. } | EmulatorError::HostName(_) => Failure::usage(e),
        e => Failure::new(Code::Failure, e),
    })?;
    let made = |prefix, n: u32| {
        let devices = hub.create_identities(prefix, n as usize);
        devices.map_err(|e| Failure::new(Code::Failure, e))
    };
    let simulated = made("sim", verb.devices)?;
    made("idle", verb.identities)?;
    let fleet = fleet(&hub, &simulated, &scenario)?;
    let ready = tokio::select! {
        biased;
        code = signals.next() => Some(code),
        _ = fleet.ready() => None,
    };
    let code = match ready {
        Some(code) => Ok(code),
        None => {
            hub.begin_faults();
            match tell(&hub.ready_info(), verb.ready_file.as_deref()) {
                Ok(()) => Ok(signals.next().await),
                Err(failure) => Err(failure),
            }
        }
    };
    forget(verb.ready_file.as_deref());
    fleet.stop().await;
    hub.shutdown().await;
    match code {
        // Being told to end is how an emulator ends well.
        Ok(Code::Signal(_)) => Ok(Code::Completed),
        other => other,
    }
}

/// The built-in scenarios: name, what it is, what it teaches.
fn list() -> Result<Code, Failure> {
    for (name, text) in BUILT_IN {
        let scenario = Scenario::parse(text)
            .map_err(|e| Failure::internal("a built-in scenario cannot be read", e))?;
        out::line(&format!("{name:<14} {}", scenario.description))?;
        out::line(&format!("{:<14} {}", "", scenario.lesson))?;
    }
    Ok(Code::Completed)
}

/// Removes the file that says that all is ready, if there is one.
fn forget(file: Option<&Path>) {
    if let Some(file) = file {
        // There may be none.
        let _ = std::fs::remove_file(file);
    }
}

/// The scenario of that name or file.
pub(super) fn scenario(name: &str) -> Result<Scenario, Failure> {
    Scenario::load(name).map_err(Failure::usage)
}

/// Starts a simulated device for each identity.
pub(super) fn fleet(
    hub: &Hub,
    devices: &[(DeviceId, String)],
    scenario: &Scenario,
) -> Result<Fleet, Failure> {
    let settings = devices.iter().map(|(_, text)| {
        Ok(device::Settings {
            connection_string: device::ConnectionString::parse(text).map_err(Failure::usage)?,
            ca_file: Some(hub.ca_file().to_owned()),
            rules: scenario.rules(),
            token_lifetime: device::TOKEN_LIFETIME,
        })
    });
    let settings: Vec<_> = settings.collect::<Result<_, Failure>>()?;
    Fleet::start(settings).map_err(|e| Failure::new(Code::Failure, e))
}

/// Tells on stdout and in the file that all is ready.
fn tell(info: &ReadyInfo, file: Option<&Path>) -> Result<(), Failure> {
    let text = serde_json::to_string(info)
        .map_err(|e| Failure::internal("the emulator cannot be described", e))?;
    if let Some(file) = file {
        write_atomically(file, &text)
            .map_err(|e| Failure::internal(&format!("cannot write {}", file.display()), e))?;
    }
    out::line(&text)
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_atomically(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Temporary files are made with the rights 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{text}")?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}
