//! A local IoT Hub: the service API over HTTPS, devices over MQTT, and nothing
//! of the cloud.
//!
//! ```text
//!   service SDK, otadeck        device SDK, simulated device
//!          │ HTTPS                       │ MQTT
//!        rest ──── auth ──── sas ────── mqtt
//!          │                             │
//!          └────────► shell ◄────────────┘     one lock, the clock, the store
//!                       │
//!                     world ──── query         pure: time in, outputs out
//! ```
//!
//! It speaks for itself: no wire code is shared with otadeck's own service
//! client or simulated device, so that two readings of the protocol keep each
//! other honest. Only the MQTT link ([`mqtt`](crate::mqtt)), which knows
//! nothing of IoT Hub, serves both ends.
//!
//! # Use
//!
//! ```no_run
//! use otadeck::emulator::{Emulator, Settings};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let emulator = Emulator::start(Settings::default()).await?;
//! let devices = emulator.create_identities("sim", 2)?;
//! let ready = serde_json::to_string(&emulator.ready_info())?;
//! emulator.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! Tests that need no socket drive [`world::World`] as it is.

mod auth;
mod bearer;
pub mod faults;
mod listener;
mod mqtt;
pub mod packages;
pub mod policy;
pub mod query;
pub mod refusal;
mod rest;
pub mod sas;
mod settings;
mod shell;
mod stamp;
mod store;
mod tagged;
mod tls;
pub mod world;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::id::DeviceId;
use auth::Names;
use bearer::Bearers;
use shell::Shell;
use store::Store;
use tls::Certificates;
use world::etag::IfMatch;
use world::event::EventCounts;
use world::method::MethodCounts;
use world::quota::{Quota, Usage};
use world::throttle::Throttle;
use world::{Entropy, World};

pub use faults::Conditions;
pub use settings::{EmulatorError, Settings};
pub use store::StoreError;
pub use tagged::Tagged;
pub use tls::TlsError;

/// How long a shutdown waits for requests and links to end.
const SHUTDOWN: Duration = Duration::from_secs(3);
/// The policy whose connection string is handed out. The owner: programs that
/// create devices need the registry as well as twins and methods.
const POLICY: &str = "iothubowner";

/// A running emulator. Dropping it ends it without waiting;
/// [`Emulator::shutdown`] waits.
pub struct Emulator {
    shell: Arc<Shell>,
    host_name: String,
    https: SocketAddr,
    mqtt: SocketAddr,
    ca_file: PathBuf,
    ca_pem: String,
    created: Mutex<Vec<ReadyDevice>>,
    tags: Vec<Tagged>,
    tasks: TaskTracker,
    end: CancellationToken,
    /// Holds `ca_file` when no folder was given; deleted at the end.
    _temporary: Option<tempfile::TempDir>,
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator")
            .field("https", &self.https)
            .field("mqtt", &self.mqtt)
            .finish_non_exhaustive()
    }
}

/// What others need to reach the emulator: the JSON of `--ready-file`. It holds
/// keys, so there is no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadyInfo {
    /// The hub's name, without a port.
    pub host_name: String,
    /// Where the service API listens.
    pub https_port: u16,
    /// Where devices connect.
    pub mqtt_port: u16,
    /// The PEM file of the authority to trust.
    pub ca_file: PathBuf,
    /// Of the policy `iothubowner`, with the port unless it is 443.
    pub service_connection_string: String,
    /// The identities made by [`Emulator::create_identities`].
    pub devices: Vec<ReadyDevice>,
}

/// One identity of [`ReadyInfo`].
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadyDevice {
    /// Its id.
    pub device_id: DeviceId,
    /// With the MQTT port unless it is 8883.
    pub connection_string: String,
}

impl Emulator {
    /// Starts listening and gives the emulator back as soon as it does. Needs a
    /// tokio runtime.
    ///
    /// # Errors
    /// [`EmulatorError`] says what is in the way and what to do.
    pub async fn start(settings: Settings) -> Result<Self, EmulatorError> {
        settings.check()?;
        let https = bind("--https", settings.https).await?;
        let mqtt = bind("--mqtt", settings.mqtt).await?;
        let now = Timestamp::now();
        let (folder, temporary) = settings.folder()?;
        let mut store = settings.data.as_deref().map(Store::open).transpose()?;
        let (mut world, certificates) = restore(store.as_mut(), &settings, now)?;
        if let Some((tier, units)) = settings.tier {
            world.enforce(Throttle::new(tier, units));
            world.limit_days(Quota::new(tier, units));
        }
        let spent = world.usage(now).messages;
        if settings.spent > spent {
            world.spend(settings.spent - spent, now);
        }
        let ca_file = folder.join("ca.pem");
        // Whoever reads of it may stand in another folder.
        let ca_file = std::path::absolute(&ca_file).unwrap_or(ca_file);
        store::write_private(&ca_file, &certificates.ca_pem)
            .map_err(|source| EmulatorError::CaFile(ca_file.clone(), source))?;
        let local = |listener: &TcpListener| listener.local_addr().map_err(EmulatorError::Socket);
        let names = Names::new(&settings.host_name);
        let mut shell = Shell::new(world, store, names, &settings.conditions);
        shell.bearers = settings.bearers.map(Bearers::new);
        let emulator = Self {
            shell: Arc::new(shell),
            host_name: settings.host_name,
            https: local(&https)?,
            mqtt: local(&mqtt)?,
            ca_file,
            ca_pem: certificates.ca_pem.clone(),
            created: Mutex::default(),
            tags: settings.tags,
            tasks: TaskTracker::new(),
            end: CancellationToken::new(),
            _temporary: temporary,
        };
        emulator.run(https, mqtt, &certificates)?;
        Ok(emulator)
    }

    /// Starts the tasks.
    fn run(
        &self,
        https: TcpListener,
        mqtt: TcpListener,
        certificates: &Certificates,
    ) -> Result<(), EmulatorError> {
        let config = certificates.server_config()?;
        let (tasks, end, shell) = (&self.tasks, &self.end, &self.shell);

        let (services, until) = (shell.clone(), end.clone());
        let serve = move |stream, _| rest::serve(stream, services.clone(), until.clone());
        tasks.spawn(listener::accept(
            https,
            config.clone(),
            tasks.clone(),
            end.clone(),
            serve,
        ));

        let (devices, until) = (shell.clone(), end.clone());
        let serve = move |stream, _| mqtt::serve(stream, devices.clone(), until.clone());
        tasks.spawn(listener::accept(
            mqtt,
            config,
            tasks.clone(),
            end.clone(),
            serve,
        ));

        let (clock, until) = (shell.clone(), end.clone());
        tasks.spawn(async move { clock.clock(until).await });
        Ok(())
    }

    /// Makes the identities `prefix-0001` to `prefix-{n}`; those that are there
    /// already are used as they are. Gives each with its connection string, and
    /// lists them in [`Emulator::ready_info`].
    ///
    /// # Errors
    /// When the prefix makes no device id, or the store cannot keep them.
    pub fn create_identities(
        &self,
        prefix: &str,
        n: usize,
    ) -> Result<Vec<(DeviceId, String)>, EmulatorError> {
        let ids = (1..=n).map(|number| DeviceId::parse(&format!("{prefix}-{number:04}")));
        let ids = ids.collect::<Result<Vec<_>, _>>()?;
        let keys = self.shell.write(|world, now| {
            Ok(ids
                .iter()
                .map(|id| self.identity(world, id, now))
                .collect::<Vec<_>>())
        });
        let keys = keys.map_err(|refusal| EmulatorError::Refused(refusal.message))?;
        let host = host_with_port(&self.host_name, self.mqtt.port(), 8883);
        let made: Vec<(DeviceId, String)> = ids
            .into_iter()
            .zip(keys)
            .map(|(id, key)| {
                let text = format!("HostName={host};DeviceId={id};SharedAccessKey={key}");
                (id, text)
            })
            .collect();
        let mut created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        created.extend(
            made.iter()
                .cloned()
                .map(|(device_id, connection_string)| ReadyDevice {
                    device_id,
                    connection_string,
                }),
        );
        Ok(made)
    }

    /// The key of that device, which gets its tags if it is made for that. Those of
    /// one that was kept are whoever's who wrote them.
    fn identity(&self, world: &mut World, id: &DeviceId, now: Timestamp) -> String {
        let is_new = world.identity(id).is_err();
        let key = world.ensure_identity(id, now).unwrap_or_default();
        if let Some(body) = tagged::patch(&self.tags, id).filter(|_| is_new) {
            // What it may be refused for was looked at when it was read.
            let _ = world.patch_twin(id, &IfMatch::Any, &body, now);
        }
        key
    }

    /// What others need to reach the emulator.
    #[must_use]
    pub fn ready_info(&self) -> ReadyInfo {
        let created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        ReadyInfo {
            host_name: self.host_name.clone(),
            https_port: self.https.port(),
            mqtt_port: self.mqtt.port(),
            ca_file: self.ca_file.clone(),
            service_connection_string: self.connection_string(POLICY).unwrap_or_default(),
            devices: created.clone(),
        }
    }

    /// The service connection string of one of the five policies
    /// ([`policy::NAMES`]), with the port unless it is 443.
    #[must_use]
    pub fn connection_string(&self, policy: &str) -> Option<String> {
        let host = host_with_port(&self.host_name, self.https.port(), 443);
        let key = self
            .shell
            .read(|world, _| world.policy(policy).map(|p| p.primary.clone()))?;
        Some(format!(
            "HostName={host};SharedAccessKeyName={policy};SharedAccessKey={key}"
        ))
    }

    /// The authority to trust, as PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The file that holds [`Emulator::ca_pem`].
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// Where the service API listens.
    #[must_use]
    pub fn https(&self) -> SocketAddr {
        self.https
    }

    /// Where devices connect.
    #[must_use]
    pub fn mqtt(&self) -> SocketAddr {
        self.mqtt
    }

    /// The URL of a sample package, for example `fw-1.5.0.bin`.
    #[must_use]
    pub fn package_url(&self, name: &str) -> String {
        let host = host_with_port(&self.host_name, self.https.port(), 443);
        format!("https://{host}/packages/{name}")
    }

    /// How many direct methods were asked of a device, delivered, answered.
    #[must_use]
    pub fn method_counts(&self, id: &DeviceId) -> MethodCounts {
        self.shell.read(|world, _| world.method_counts(id))
    }

    /// How many events a device has sent.
    #[must_use]
    pub fn event_counts(&self, id: &DeviceId) -> EventCounts {
        self.shell.read(|world, _| world.event_counts(id))
    }

    /// What is spent of the day's messages.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.shell.read(World::usage)
    }

    /// How many devices are connected.
    #[must_use]
    pub fn connected_count(&self) -> usize {
        self.shell.read(|world, _| world.connected_count())
    }

    /// From now on calls go wrong as the settings' faults say, and their times
    /// are counted; before, devices arrive undisturbed. What is there now has
    /// always been there for reads that lag.
    pub fn begin_faults(&self) {
        self.shell.begin_faults();
    }

    /// Lets a test or a drill look at, or change, the world directly.
    ///
    /// # Errors
    /// What `change` gives, or that the store could not keep it.
    pub fn with_world<T>(
        &self,
        change: impl FnOnce(&mut World, Timestamp) -> Result<T, refusal::Refusal>,
    ) -> Result<T, refusal::Refusal> {
        self.shell.write(change)
    }

    /// Ends the emulator: no new connections, waiting callers are let go, links
    /// closed; returns after some seconds at the latest.
    pub async fn shutdown(self) {
        self.end.cancel();
        self.shell.shut();
        self.tasks.close();
        if tokio::time::timeout(SHUTDOWN, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("some connections did not end in time");
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.end.cancel();
        self.shell.shut();
    }
}

/// The world as it was kept, or a new one; the certificate likewise.
fn restore(
    store: Option<&mut Store>,
    settings: &Settings,
    now: Timestamp,
) -> Result<(World, Certificates), EmulatorError> {
    let make = || Certificates::make(&settings.host_name, now);
    let Some(store) = store else {
        return Ok((World::new(system_entropy()?), make()?));
    };
    let world = match store.fact("policies")? {
        Some(policies) => {
            let mut world = World::restored(system_entropy()?, policies, store.devices()?);
            if let Some(ledger) = store.fact("ledger")? {
                world.continue_from(&ledger);
            }
            world
        }
        None => {
            let world = World::new(system_entropy()?);
            store.keep_fact("policies", &world.policies())?;
            world
        }
    };
    let kept: Option<Certificates> = store.fact("certificates")?;
    let certificates = match kept.filter(|kept| kept.fit(&settings.host_name, now)) {
        Some(kept) => kept,
        None => {
            let made = make()?;
            store.keep_fact("certificates", &made)?;
            made
        }
    };
    Ok((world, certificates))
}

/// Randomness of the operating system, by way of a generator that it seeds.
fn system_entropy() -> Result<Entropy, EmulatorError> {
    use rand::{Rng as _, SeedableRng as _, TryRng as _};
    let mut seed = [0; 32];
    rand::rngs::SysRng
        .try_fill_bytes(&mut seed)
        .map_err(|error| EmulatorError::Entropy(error.to_string()))?;
    let mut generator = rand::rngs::StdRng::from_seed(seed);
    Ok(Box::new(move |bytes| generator.fill_bytes(bytes)))
}

async fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, EmulatorError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| EmulatorError::Bind {
            flag,
            address,
            source,
        })
}

/// SDKs know only their own port, so it is left out where it is that one.
fn host_with_port(host: &str, port: u16, usual: u16) -> String {
    match (port == usual, host.contains(':')) {
        (true, _) => host.to_owned(),
        (false, true) => format!("[{host}]:{port}"),
        (false, false) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests;
