//! The device against a hub made of its own link's other end, over TLS on
//! loopback.

mod hub;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::mqtt::{LinkError, ReturnCode};
use hub::Hub;

/// What takes no time in these tests takes so long.
const SHORT: &str = "20ms";

fn scenario(more: &str) -> Arc<Rules> {
    #[derive(serde::Deserialize)]
    struct World {
        defaults: Rule,
        #[serde(default)]
        device: Vec<Rule>,
    }
    let text = format!(
        "[defaults]\nwaiting = \"{SHORT}\"\ndownloading = \"{SHORT}\"\n\
         downloaded = \"{SHORT}\"\napplying = \"{SHORT}\"\n{more}"
    );
    let world: World = toml::from_str(&text).unwrap();
    Arc::new(Rules::new(world.defaults, world.device))
}

struct Running {
    notices: mpsc::Receiver<Notice>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), DeviceError>>,
}

impl Running {
    fn start(settings: Settings) -> Self {
        let (sender, notices) = mpsc::channel(256);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(run(settings, shutdown.clone(), sender));
        Self {
            notices,
            shutdown,
            task,
        }
    }

    async fn told(&mut self, what: impl Fn(&Notice) -> bool) -> Notice {
        loop {
            let notice = self.notices.recv().await.expect("the device still runs");
            if what(&notice) {
                return notice;
            }
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn order(uri: &str) -> Value {
    json!({ "fwPackageUri": uri })
}

#[tokio::test]
async fn a_device_connects_reports_and_does_the_tutorials_update() {
    let hub = Hub::new().await;
    let mut device = Running::start(hub.settings("dev01", scenario("")));
    let (mut peer, connect) = hub.accept().await;
    assert_eq!(connect.client_id, "dev01");
    let user_name = connect.user_name.unwrap();
    assert!(
        user_name
            .starts_with("localhost/dev01/?api-version=2021-04-12&DeviceClientType=otadeck%2F")
    );
    let password = String::from_utf8(connect.password.unwrap()).unwrap();
    assert!(password.starts_with("SharedAccessSignature sr=localhost%2Fdevices%2Fdev01&sig="));
    assert_eq!((connect.keep_alive, connect.clean_session), (60, false));

    peer.welcome().await;
    let start = peer.report().await;
    assert_eq!(start["firmwareStatus"], "standBy");
    assert!(start["logTime"].is_string());

    let answer = peer.call("firmwareUpdate", &order("test.com")).await;
    assert_eq!(
        answer,
        (200, json!({ "Response": "Firmware update started" }))
    );
    for (status, time) in [
        ("downloading", "downloadComplete"),
        ("applying", "startedApplyingImage"),
        ("completed", "lastFirmwareUpdate"),
    ] {
        let report = peer.report().await;
        assert_eq!(report["firmwareStatus"], status);
        assert!(report[time].is_string());
        assert_eq!(report.as_object().unwrap().len(), 2);
    }
    assert_eq!(peer.call("reboot", &Value::Null).await.0, 501);
    device
        .told(|n| n.to_string() == "method firmwareUpdate: answered 200")
        .await;
    device
        .told(|n| {
            n.to_string()
                .starts_with("reported firmwareStatus = completed")
        })
        .await;
    device.stop().await;
    assert!(matches!(peer.end().await, LinkError::Disconnected));
}

#[tokio::test]
async fn only_what_the_hub_has_not_taken_is_said_again_after_a_cut() {
    let hub = Hub::new().await;
    let mut device = Running::start(hub.settings("dev01", scenario("firmware = \"1.0.0\"")));
    let (mut first, _) = hub.accept().await;
    first.welcome().await;
    let unheard = first.unanswered_report().await;
    drop(first);
    let gone = device
        .told(|n| matches!(n, Notice::Disconnected { .. }))
        .await;
    let Notice::Disconnected { retry_in, .. } = gone else {
        unreachable!()
    };
    assert!(retry_in <= Duration::from_secs(1));

    let (mut second, _) = hub.accept().await;
    second.welcome().await;
    assert_eq!(second.report().await, unheard);
    device.told(|n| matches!(n, Notice::Reported(_))).await;
    drop(second);

    let (mut third, _) = hub.accept().await;
    third.welcome().await;
    // Had it anything to say it would say so before it answers.
    assert_eq!(third.call("reboot", &Value::Null).await.0, 501);
    assert!(third.reports_so_far().is_empty());
    device.stop().await;
}

#[tokio::test]
async fn an_update_goes_on_while_the_hub_is_away() {
    let hub = Hub::new().await;
    let mut device = Running::start(hub.settings("dev01", scenario("percent = true")));
    let (mut peer, _) = hub.accept().await;
    peer.welcome().await;
    peer.report().await;
    peer.call("firmwareUpdate", &order("https://x.test/fw.bin"))
        .await;
    drop(peer);
    device
        .told(|n| matches!(n, Notice::Phase(phase) if phase.name() == "done"))
        .await;
    let (mut peer, _) = hub.accept().await;
    peer.welcome().await;
    let mut statuses = Vec::new();
    while statuses.last() != Some(&json!("completed")) {
        statuses.push(peer.report().await["firmwareStatus"].clone());
    }
    assert_eq!(statuses, ["downloading", "applying", "completed"]);
    device.stop().await;
}

#[tokio::test]
async fn a_refusal_is_told_in_words_and_tried_again_slowly() {
    let hub = Hub::new().await;
    let mut device = Running::start(hub.settings("dev01", scenario("")));
    let (mut peer, _) = hub.accept().await;
    peer.refuse(ReturnCode::NotAuthorized).await;
    let notice = device
        .told(|n| matches!(n, Notice::Disconnected { .. }))
        .await;
    let line = notice.to_string();
    assert!(
        line.contains("refused: wrong key, unknown or disabled device"),
        "{line}"
    );
    device.stop().await;
}

#[tokio::test]
async fn the_token_is_renewed_before_it_runs_out() {
    let hub = Hub::new().await;
    let mut settings = hub.settings("dev01", scenario(""));
    settings.token_lifetime = Duration::from_secs(2);
    let device = Running::start(settings);
    let (mut first, connect) = hub.accept().await;
    let password = connect.password.unwrap();
    first.welcome().await;
    first.report().await;
    assert!(matches!(first.end().await, LinkError::Disconnected));
    let (mut second, connect) = hub.accept().await;
    assert_ne!(connect.password.unwrap(), password);
    second.welcome().await;
    assert_eq!(second.call("reboot", &Value::Null).await.0, 501);
    device.stop().await;
}

#[tokio::test]
async fn a_hub_that_is_too_busy_for_a_report_gets_it_again() {
    let hub = Hub::new().await;
    let device = Running::start(hub.settings("dev01", scenario("")));
    let (mut peer, _) = hub.accept().await;
    peer.welcome().await;
    let first = peer.report_answered(429).await;
    assert_eq!(peer.report().await, first);
    device.stop().await;
}

#[tokio::test]
async fn a_report_that_the_hub_will_never_take_is_dropped() {
    let hub = Hub::new().await;
    let mut device = Running::start(hub.settings("dev01", scenario("")));
    let (mut peer, _) = hub.accept().await;
    peer.welcome().await;
    peer.report_answered(400).await;
    device
        .told(|n| matches!(n, Notice::ReportDropped { status: 400, .. }))
        .await;
    assert_eq!(peer.call("reboot", &Value::Null).await.0, 501);
    assert!(peer.reports_so_far().is_empty());
    device.stop().await;
}

#[tokio::test]
async fn a_hub_of_another_ca_is_not_trusted() {
    let (hub, stranger) = (Hub::new().await, Hub::new().await);
    let mut settings = hub.settings("dev01", scenario(""));
    settings.ca_file = stranger.settings("dev01", scenario("")).ca_file;
    let mut device = Running::start(settings);
    let handshake = tokio::spawn(async move { hub.handshake().await.is_ok() });
    let notice = device
        .told(|n| matches!(n, Notice::Disconnected { .. }))
        .await;
    assert!(
        notice.to_string().contains("no TLS with localhost"),
        "{notice}"
    );
    assert!(!handshake.await.unwrap());
    device.stop().await;
}

#[tokio::test]
async fn an_own_package_is_downloaded_and_its_version_reported() {
    let hub = Hub::new().await;
    let body = vec![42; 100_000];
    let uri = hub::serve_package("/packages/fw-2.0.0.bin", "200 OK", &body).await;
    let world = scenario("firmware = \"1.0.0\"\ndialect = \"iothubDM\"");
    let device = Running::start(hub.settings("dev01", world));
    let (mut peer, _) = hub.accept().await;
    peer.welcome().await;
    assert_eq!(
        peer.report().await,
        json!({"iothubDM": {"firmwareVersion": "1.0.0"}})
    );
    // As JSON in a string, which is how the Node tutorial sends it.
    let payload = Value::String(order(&uri).to_string());
    assert_eq!(peer.call("firmwareUpdate", &payload).await.0, 200);
    assert_eq!(
        peer.report().await,
        json!({"iothubDM": {"firmwareUpdate": null}})
    );
    let mut last = Value::Null;
    while last["iothubDM"]["firmwareVersion"].is_null() {
        last = peer.report().await;
    }
    assert_eq!(last["iothubDM"]["firmwareVersion"], "2.0.0");
    assert_eq!(
        last["iothubDM"]["firmwareUpdate"]["status"],
        "applyComplete"
    );
    device.stop().await;
}

#[tokio::test]
async fn a_package_that_is_not_there_fails_the_update_with_the_status() {
    let hub = Hub::new().await;
    let uri = hub::serve_package("/packages/fw.bin", "404 Not Found", b"").await;
    let device = Running::start(hub.settings("dev01", scenario("")));
    let (mut peer, _) = hub.accept().await;
    peer.welcome().await;
    peer.report().await;
    peer.call("firmwareUpdate", &json!(uri)).await;
    assert_eq!(peer.report().await["firmwareStatus"], "downloading");
    let failed = peer.report().await;
    assert_eq!(
        failed,
        json!({"firmwareStatus": "failed", "firmwareError": "404 Not Found"})
    );
    device.stop().await;
}

#[tokio::test]
async fn a_restart_cuts_the_link_and_the_rest_is_told_afterwards() {
    let hub = Hub::new().await;
    let device = Running::start(hub.settings("dev01", scenario("reboot = \"50ms\"")));
    let (mut peer, _) = hub.accept().await;
    peer.welcome().await;
    peer.report().await;
    peer.call("firmwareUpdate", &order("test.com")).await;
    peer.report().await;
    assert_eq!(peer.report().await["firmwareStatus"], "applying");
    assert!(
        !matches!(peer.end().await, LinkError::Disconnected),
        "a restart says no goodbye"
    );
    let (mut peer, _) = hub.accept().await;
    peer.welcome().await;
    assert_eq!(peer.report().await["firmwareStatus"], "completed");
    device.stop().await;
}

#[tokio::test]
async fn a_silent_device_does_not_answer_and_one_that_stays_away_does_not_come() {
    let hub = Hub::new().await;
    let mut device = Running::start(hub.settings("dev01", scenario("silent = true")));
    let (mut peer, _) = hub.accept().await;
    peer.welcome().await;
    peer.report().await;
    peer.send_call("firmwareUpdate", "1", &order("test.com"));
    assert_eq!(peer.call("reboot", &Value::Null).await.0, 501);
    let notice = device
        .told(|n| matches!(n, Notice::MethodReceived { .. }))
        .await;
    assert_eq!(notice.to_string(), "method firmwareUpdate: not answered");
    device.stop().await;

    let mut device = Running::start(hub.settings("dev02", scenario("connects = false")));
    assert_eq!(device.told(|_| true).await, Notice::StaysAway);
    device.stop().await;
}

#[tokio::test]
async fn a_device_vanishes_without_a_goodbye_and_stays_away() {
    let hub = Hub::new().await;
    let mut device = Running::start(hub.settings("dev01", scenario("vanishes = \"applying\"")));
    let (mut peer, _) = hub.accept().await;
    peer.welcome().await;
    peer.report().await;
    peer.call("firmwareUpdate", &order("test.com")).await;
    assert!(
        !matches!(peer.end().await, LinkError::Disconnected),
        "it said goodbye"
    );
    assert_eq!(
        device.told(|n| matches!(n, Notice::Vanished)).await,
        Notice::Vanished
    );
    device.stop().await;
}

#[tokio::test]
async fn a_device_that_resends_says_everything_again_on_each_connection() {
    let hub = Hub::new().await;
    let rules = scenario("resends = true\nstarts_as = \"completed\"\nfirmware = \"1.0.0\"");
    let device = Running::start(hub.settings("dev01", rules));
    let (mut peer, _) = hub.accept().await;
    peer.welcome().await;
    let start = peer.report().await;
    assert_eq!(start["firmwareStatus"], "completed");
    drop(peer);
    for _ in 0..2 {
        let (mut peer, _) = hub.accept().await;
        peer.welcome().await;
        assert_eq!(peer.report().await, start);
    }
    device.stop().await;
}

#[tokio::test]
async fn a_device_that_never_renews_comes_back_with_the_same_token() {
    let hub = Hub::new().await;
    let device = Running::start(hub.settings("dev01", scenario("token = \"2s\"\nrenews = false")));
    let mut passwords = Vec::new();
    for _ in 0..2 {
        let (mut peer, connect) = hub.accept().await;
        passwords.push(connect.password.unwrap());
        peer.welcome().await;
    }
    assert_eq!(passwords[0], passwords[1]);
    device.stop().await;
}

#[tokio::test]
async fn the_rules_of_a_device_set_the_life_of_its_tokens() {
    let hub = Hub::new().await;
    let device = Running::start(hub.settings("dev01", scenario("token = \"2s\"")));
    let (mut first, _) = hub.accept().await;
    first.welcome().await;
    // It leaves by itself, to come back with a fresh one.
    assert!(matches!(first.end().await, LinkError::Disconnected));
    device.stop().await;
}

#[tokio::test]
async fn a_device_goes_on_with_the_version_that_its_twin_holds() {
    let hub = Hub::new().await;
    let device = Running::start(hub.settings("dev01", scenario("firmware = \"1.0.0\"")));
    let (mut peer, _) = hub.accept().await;
    peer.welcome_with(r#"{"firmwareVersion":"7.0.0","$version":9}"#)
        .await;
    assert_eq!(peer.report().await["firmwareVersion"], "7.0.0");
    device.stop().await;
}

#[tokio::test]
async fn a_fleet_is_ready_when_all_that_should_have_reported() {
    let hub = Hub::new().await;
    let world = scenario("[[device]]\nids = \"away-*\"\nconnects = false");
    let ids = (0..20)
        .map(|n| format!("dev-{n}"))
        .chain(["wrong-key".to_owned(), "away-1".to_owned()]);
    let settings = ids
        .map(|id| hub.settings(&id, Arc::clone(&world)))
        .collect();
    let fleet = Fleet::start(settings).unwrap();
    let mut peers: Vec<JoinHandle<LinkError>> = Vec::new();
    for _ in 0..21 {
        let (mut peer, connect) = hub.accept().await;
        peers.push(tokio::spawn(async move {
            if connect.client_id == "wrong-key" {
                peer.refuse(ReturnCode::NotAuthorized).await;
                return LinkError::Refused;
            }
            peer.welcome().await;
            peer.report().await;
            peer.end().await
        }));
    }
    let want = Readiness {
        expected: 21,
        ready: 20,
        refused: 1,
    };
    assert_eq!(fleet.ready().await, want);
    assert_eq!(fleet.readiness(), want);
    fleet.stop().await;
    let mut goodbyes = 0;
    for peer in peers {
        goodbyes += usize::from(matches!(peer.await.unwrap(), LinkError::Disconnected));
    }
    assert_eq!(goodbyes, 20);
}

#[tokio::test]
async fn what_can_never_work_is_an_error_at_once() {
    let hub = Hub::new().await;
    let mut settings = hub.settings("dev01", scenario(""));
    settings.ca_file = Some("/nowhere/ca.pem".into());
    let (notices, _) = mpsc::channel(1);
    let error = run(settings.clone(), CancellationToken::new(), notices).await;
    assert!(matches!(error, Err(DeviceError::Tls(_))));
    assert!(matches!(
        Fleet::start(vec![settings]),
        Err(DeviceError::Tls(_))
    ));
    let mut settings = hub.settings("dev01", scenario(""));
    settings.connection_string.key = "no base64!".to_owned().into();
    assert!(matches!(
        Fleet::start(vec![settings]),
        Err(DeviceError::Key(_))
    ));
}
