//! What the tests share.

pub mod faulty;
pub mod paced;
pub mod program;
pub mod server;
pub mod terminal;

use std::sync::Once;
use std::time::Duration;

use jiff::Timestamp;
use otadeck::domain::event::{Event, Intent, What};
use otadeck::domain::id::{DeviceId, UpdateId};
use otadeck::domain::method::MethodCall;
use otadeck::domain::profile::Profile;
use otadeck::domain::update::Baseline;
use otadeck::engine::gate::Gate;
use otadeck::hub::Permit;
use otadeck::journal::Journal;

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
    let what = What::Intended(Box::new(intent));
    let event = Event::update(
        Timestamp::now(),
        call.device.clone(),
        UpdateId::fresh(),
        what,
    );
    let journal = Journal::in_memory("test").unwrap();
    let receipt = journal.intend(event).await.unwrap();
    let gate = Gate::new(profile("test"));
    gate.permit(&receipt, call, Duration::ZERO).unwrap()
}
