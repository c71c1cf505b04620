use super::*;
use crate::domain::dialect::Dialects;
use crate::domain::event::Intent;
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::method::{MethodAnswer, MethodCall};
use crate::domain::profile::Profile;
use crate::domain::twin::Twin;
use crate::engine::gate::Gate;
use crate::hub::{HubError, Identity, Page, Permit, Query, TagPermit};
use crate::journal::Receipt;

/// A hub whose devices take every order, and that can do nothing else.
struct Obeys;

impl Service for Obeys {
    async fn twin(&self, _: &DeviceId) -> Result<Twin, HubError> {
        Err(HubError::Unreadable("asked".to_owned()))
    }
    async fn page(&self, _: &Query, _: Option<&str>) -> Result<Page, HubError> {
        Err(HubError::Unreadable("asked".to_owned()))
    }
    async fn identity(&self, _: &DeviceId) -> Result<Identity, HubError> {
        Err(HubError::Unreadable("asked".to_owned()))
    }
    async fn invoke(&self, _: Permit) -> Result<MethodAnswer, HubError> {
        Ok(MethodAnswer {
            status: 200,
            payload: serde_json::Value::Null,
        })
    }
    async fn write_tag(&self, _: TagPermit) -> Result<Twin, HubError> {
        Err(HubError::Unreadable("asked".to_owned()))
    }
}

/// The end may come from another thread, between the core's decision and the
/// deed: an order that is on the disk by then is answered, and a read is dropped.
#[tokio::test(start_paused = true)]
async fn an_order_that_the_end_meets_on_its_way_is_answered() {
    let profile = Profile {
        name: "plant".into(),
        host: "plant.test".into(),
        environment: None,
        read_only: false,
        tier: None,
        units: 1,
    };
    let gate = Gate::new(profile.clone());
    let (device, update) = (DeviceId::parse("press-7").unwrap(), UpdateId::fresh());
    let call = MethodCall {
        device: device.clone(),
        method: "firmwareUpdate".to_owned(),
        payload: serde_json::json!({}),
        response_timeout: 30,
        connect_timeout: 10,
    };
    let intent = Intent {
        payload_sha256: Some(call.payload_sha256()),
        ..Intent::default()
    };
    let what = What::Intended(Box::new(intent));
    let intended = Event::update(Timestamp::now(), device.clone(), update.clone(), what);
    let receipt = Receipt::for_test(&intended);
    let permit = gate.permit(&receipt, call, Duration::ZERO).unwrap();

    let (answers, mut inbox) = mpsc::channel(INBOX);
    let (scribe, _work) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let settings = Settings::new(profile, Dialects::built_in());
    let journal = Journal::in_memory("ana").unwrap();
    let shell = Shell::new(Obeys, journal, settings, (stop.clone(), answers, scribe));
    let (_engine, mut backend) = channel();
    stop.cancel();
    let ticket = 1;
    shell.perform(Output::Read { ticket, device }, &mut backend);
    shell.perform(Output::Invoke { update, permit }, &mut backend);
    match timeout(Duration::from_secs(60), inbox.recv()).await {
        Ok(Some(Input::Answered { result, .. })) => assert_eq!(result.unwrap().status, 200),
        other => panic!("{other:?}"),
    }
    assert!(inbox.try_recv().is_err(), "the read was begun");
}
