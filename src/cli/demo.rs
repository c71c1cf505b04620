//! `otadeck demo`: the console on a hub and devices of its own, in one process.

use std::time::Duration;

use crate::emulator::{self, Emulator};
use crate::hub::ConnectionString;

use super::args::{Demo, Global};
use super::exit::{Code, Failure};
use super::session::configuration;
use super::switching::{self, Hubs, Own};
use super::{console, emulator as verb, lines};

/// How long the console waits for the devices before it shows what is there.
const ARRIVAL: Duration = Duration::from_millis(1_500);
/// The sample packages, offered below the package field.
const PACKAGES: [&str; 3] = ["fw-1.5.0.bin", "fw-2.0.0.bin", "fw-1.4.2.bin"];

pub(super) async fn run(demo: Demo, global: &Global) -> Result<Code, Failure> {
    let scenario = verb::scenario(&demo.scenario)?;
    let failed = |e: &dyn std::fmt::Display| Failure::new(Code::Failure, e);
    let folder = tempfile::Builder::new().prefix("otadeck-demo-").tempdir();
    let folder = folder.map_err(|e| Failure::internal("no temporary folder", e))?;
    let settings = emulator::Settings {
        state: Some(folder.path().to_owned()),
        conditions: scenario.hub().clone(),
        tags: scenario.tags().to_vec(),
        ..emulator::Settings::default()
    };
    let hub = Emulator::start(settings).await.map_err(|e| failed(&e))?;
    let devices = hub.create_identities("sim", demo.devices as usize);
    let fleet = verb::fleet(&hub, &devices.map_err(|e| failed(&e))?, &scenario)?;
    // Those that come later are seen when they are read or listed again.
    let _ = tokio::time::timeout(ARRIVAL, fleet.ready()).await;
    hub.begin_faults();
    let connection = ConnectionString::parse(&hub.ready_info().service_connection_string);
    let own = Own {
        connection: connection.map_err(|e| failed(&e))?,
        ca_file: hub.ca_file().to_owned(),
        folder: folder.path().to_owned(),
        samples: PACKAGES.map(|name| hub.package_url(name)).to_vec(),
    };
    let session = own.session(global);
    // A configuration that is broken or not there is no reason to have no demo.
    let file = configuration(global).ok();
    let hubs = Hubs::new(global, file.clone(), Some(own));
    let mut context = hubs.context(&session);
    if let Some((config, paths)) = &file {
        console::dress(&mut context, config, paths, global);
    }
    let code = match lines::wanted(global) {
        true => lines::show(&session, context).await,
        false => switching::show(hubs, session, context).await,
    };
    fleet.stop().await;
    hub.shutdown().await;
    code
}
