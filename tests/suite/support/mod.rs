//! What the tests share.

pub mod faulty;
pub mod paced;
pub mod program;
pub mod server;
pub mod slow;
pub mod terminal;

use std::sync::Once;
use std::time::Duration;

use jiff::Timestamp;
use otadeck::domain::event::{Event, Intent, What};
use otadeck::domain::id::{DeviceId, UpdateId};
use otadeck::domain::method::MethodCall;
use otadeck::domain::profile::Profile;
use otadeck::domain::tag::Write;
use otadeck::domain::update::Baseline;
use otadeck::engine::gate::Gate;
use otadeck::hub::{Permit, TagPermit};
use otadeck::journal::{Journal, Receipt};

/// Every test that speaks TLS says this first.
pub fn tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

pub fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

pub fn profile(host: &str) -> Profile {
    Profile {
        name: "test".into(),
        host: host.into(),
        environment: None,
        read_only: false,
        tier: None,
        units: 1,
    }
}

/// A permit by the only way there is: an intent committed to a journal, and the
/// gate.
pub async fn permit(call: MethodCall) -> Permit {
    let intent = Intent {
        hub: "test".into(),
        uri: None,
        payload_sha256: Some(call.payload_sha256()),
        method: Some(call.method.clone()),
        expect: None,
        dialect: "tutorial-2018".into(),
        baseline: Baseline::default(),
        by: "test".into(),
        ..Intent::default()
    };
    let receipt = receipt(intent, &call.device, UpdateId::fresh()).await;
    let gate = Gate::new(profile("test"));
    gate.permit(&receipt, call, Duration::ZERO).unwrap()
}

async fn receipt(intent: Intent, device: &DeviceId, update: UpdateId) -> Receipt {
    let what = What::Intended(Box::new(intent));
    let event = Event::update(Timestamp::now(), device.clone(), update, what);
    let journal = Journal::in_memory("test").unwrap();
    journal.intend(event).await.unwrap()
}

/// A permit for the write of a tag by the only ways there are: to take a device for
/// an intent that was committed, or to keep or give back what stands there.
pub async fn tag_permit(write: Write) -> TagPermit {
    let gate = Gate::new(profile("test"));
    if write.over() == Some(write.update()) {
        return gate.keep_tag(write).unwrap();
    }
    let intent = Intent {
        hub: "test".into(),
        payload_sha256: Some(String::new()),
        ..Intent::default()
    };
    let receipt = receipt(intent, write.device(), write.update().clone()).await;
    gate.take_tag(&receipt, write, Duration::ZERO).unwrap()
}

/// The same connection string with another port.
pub fn with_port(text: &str, port: u16) -> String {
    let parts = text
        .split(';')
        .map(|part| match part.strip_prefix("HostName=") {
            Some(host) => format!("HostName={}:{port}", host.split(':').next().unwrap()),
            None => part.to_owned(),
        });
    parts.collect::<Vec<_>>().join(";")
}

/// A port at which nobody listens, for as long as the value is held.
pub fn nobody() -> (u16, tokio::net::TcpSocket) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    (socket.local_addr().unwrap().port(), socket)
}
