//! `otadeck device`: one simulated device on any hub.

use std::path::PathBuf;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::device::{self, ConnectionString};

use super::args::Device;
use super::exit::{Code, Failure};
use super::signals::Signals;
use super::{log, out};

const CONNECTION_STRING: &str = "OTADECK_DEVICE_CONNECTION_STRING";

pub(super) async fn run(verb: Device) -> Result<Code, Failure> {
    log::to_stderr();
    let scenario = super::emulator::scenario(&verb.scenario)?;
    let text = std::env::var(CONNECTION_STRING).map_err(|_| {
        Failure::usage(format!(
            "set {CONNECTION_STRING} to the device's connection string:\n\
             HostName=…;DeviceId=…;SharedAccessKey=…"
        ))
    })?;
    let connection_string = ConnectionString::parse(&text)
        .map_err(|e| Failure::usage(format!("{CONNECTION_STRING}: {e}")))?;
    let ca_file = std::env::var_os("OTADECK_CA_FILE").filter(|f| !f.is_empty());
    let settings = device::Settings {
        connection_string,
        ca_file: ca_file.map(PathBuf::from),
        rules: scenario.rules(),
        token_lifetime: device::TOKEN_LIFETIME,
    };
    let mut signals = Signals::take()?;
    let shutdown = CancellationToken::new();
    let (notices, mut inbox) = mpsc::channel(64);
    let device = tokio::spawn(device::run(settings, shutdown.clone(), notices));
    let code = loop {
        tokio::select! {
            biased;
            code = signals.next() => break Some(code),
            notice = inbox.recv() => match notice {
                Some(notice) => out::note(&notice.to_string()),
                None => break None,
            },
        }
    };
    shutdown.cancel();
    let ended = device
        .await
        .map_err(|e| Failure::internal("the device has ended", e))?;
    ended.map_err(|e| Failure::new(Code::Failure, e))?;
    Ok(code.unwrap_or(Code::Completed))
}
