//! Many devices in one process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::client::Device;
use super::dial::{self, Shared};
use super::observer::{Observer, Readiness};
use super::{DeviceError, Settings, tls};

/// How long `stop` waits for goodbyes.
const GOODBYE: Duration = Duration::from_secs(5);

/// Simulated devices, one task each, that share one TLS configuration, one
/// HTTP client and one gate of 64 handshakes. Dropping a fleet stops it
/// without waiting.
#[derive(Debug)]
pub struct Fleet {
    tasks: TaskTracker,
    cancel: CancellationToken,
    readiness: watch::Receiver<Readiness>,
    _stops_on_drop: DropGuard,
}

impl Fleet {
    /// Starts a device for each of `settings`, in a tokio runtime.
    ///
    /// # Errors
    /// [`DeviceError`] when a CA file cannot be used, or a key or a host name
    /// is none; then no device is started.
    pub fn start(settings: Vec<Settings>) -> Result<Self, DeviceError> {
        let gate = Shared::gate();
        let mut shared = HashMap::new();
        for settings in &settings {
            dial::check(&settings.connection_string)?;
            if !shared.contains_key(&settings.ca_file) {
                let tls = tls::config(settings.ca_file.as_deref())?;
                let common = Shared::new(tls, Arc::clone(&gate));
                shared.insert(settings.ca_file.clone(), common);
            }
        }
        let connects = |settings: &&Settings| {
            let id = &settings.connection_string.device_id;
            settings.rules.behaviour(id).connects
        };
        let (sender, readiness) = watch::channel(Readiness {
            expected: settings.iter().filter(connects).count(),
            ..Readiness::default()
        });
        let tasks = TaskTracker::new();
        let cancel = CancellationToken::new();
        for settings in &settings {
            let id = &settings.connection_string.device_id;
            let observer = Observer::new(id, None, Some(sender.clone()));
            let shared = Arc::clone(&shared[&settings.ca_file]);
            let device = Device::new(settings, shared, observer);
            tasks.spawn(device.live(cancel.clone()));
        }
        tasks.close();
        Ok(Self {
            tasks,
            readiness,
            _stops_on_drop: cancel.clone().drop_guard(),
            cancel,
        })
    }

    /// Waits until each device that should connect has connected and its first
    /// report was taken, or the hub has refused it. Says how many of each.
    pub async fn ready(&self) -> Readiness {
        let mut readiness = self.readiness.clone();
        // The senders live in the tasks: an error means that all have ended.
        let _ = readiness.wait_for(Readiness::is_settled).await;
        *readiness.borrow()
    }

    /// How far the devices are now.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        *self.readiness.borrow()
    }

    /// Lets every device say goodbye, for at most five seconds.
    pub async fn stop(self) {
        self.cancel.cancel();
        if timeout(GOODBYE, self.tasks.wait()).await.is_err() {
            tracing::warn!("{} devices did not stop in time", self.tasks.len());
        }
    }
}
