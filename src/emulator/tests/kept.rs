//! When the store fails, and when the emulator ends without a word.

use super::devices::*;
use super::*;

fn kept(temp: &tempfile::TempDir) -> Settings {
    Settings {
        data: Some(temp.path().join("hub")),
        ..Settings::default()
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_and_undone() {
    let temp = tempfile::tempdir().unwrap();
    let bench = Bench::with(kept(&temp)).await;
    let (id, text) = bench.device();
    let (twin, identity) = (format!("/twins/{id}"), format!("/devices/{id}"));
    let mut device = bench.connect(&text, &[TWIN_ANSWERS, DESIRED]).await;
    let before = bench.call("GET", &twin, None).await.1;
    let listed = bench.call("GET", "/devices", None).await.1;
    bench.emulator.shell.fail_commits(true);

    let desired = json!({"properties": {"desired": {"a": 1}}});
    for (verb, path, body) in [
        ("PATCH", &twin, Some(desired.clone())),
        ("PUT", &twin, Some(desired.clone())),
        ("PUT", &identity, Some(json!({"status": "disabled"}))),
        ("PUT", &"/devices/new".to_owned(), Some(json!({}))),
        ("DELETE", &identity, None),
    ] {
        let if_match = match path.ends_with("new") {
            true => vec![],
            false => vec![("If-Match", "*")],
        };
        let refused = bench.send(verb, path, &if_match, body).await;
        assert_eq!(refused.status(), 500, "{verb} {path}");
        assert_eq!(refused.headers()["iothub-errorcode"], "ServerError");
    }
    let report = "$iothub/twin/PATCH/properties/reported/?$rid=";
    let (topic, body) = ask(&mut device, &format!("{report}1"), r#"{"b":2}"#).await;
    assert_eq!(topic, "$iothub/twin/res/500/?$rid=1");
    assert_eq!(body["errorCode"], 500_001);
    let refused = subscribe(&mut device, &[METHODS]).await;
    assert_eq!(refused, [None], "a subscription that is not kept is none");
    let (_, code, _) = bench.knock(&text, |_| {}).await;
    assert_eq!(code, ReturnCode::Unavailable);
    // Nothing of it is there, and the device is as connected as it was.
    assert_eq!(bench.call("GET", "/devices", None).await.1, listed);
    assert_eq!(bench.call("GET", &twin, None).await.1, before);

    bench.emulator.shell.fail_commits(false);
    let (topic, _) = ask(&mut device, &format!("{report}2"), r#"{"b":2}"#).await;
    assert_eq!(topic, "$iothub/twin/res/204/?$rid=2&$version=2");
    bench.call("PATCH", &twin, Some(desired)).await;
    let told = message(&mut device).await;
    assert_eq!(
        told.topic, "$iothub/twin/PATCH/properties/desired/?$version=2",
        "the first that was told"
    );
}

#[tokio::test]
async fn a_link_that_breaks_while_the_store_fails_is_broken_all_the_same() {
    let temp = tempfile::tempdir().unwrap();
    let bench = Bench::with(kept(&temp)).await;
    let (id, text) = bench.device();
    let device = bench.connect(&text, &[METHODS]).await;
    bench.emulator.shell.fail_commits(true);
    drop(device);
    while bench.emulator.connected_count() > 0 {
        tokio::task::yield_now().await;
    }
    bench.emulator.shell.fail_commits(false);
    // The next change keeps it too.
    let (_device, code, session_present) = bench.knock(&text, |_| {}).await;
    assert_eq!((code, session_present), (ReturnCode::Accepted, true));
    let (_, twin) = bench.call("GET", &format!("/twins/{id}"), None).await;
    assert_eq!(twin["connectionState"], "Connected");
}

#[tokio::test]
async fn the_days_messages_survive_a_restart() {
    let temp = tempfile::tempdir().unwrap();
    let settings = Settings {
        tier: Some((crate::domain::profile::Tier::F1, 1)),
        spent: 7_000,
        ..kept(&temp)
    };
    let bench = Bench::with(settings.clone()).await;
    let (id, _) = bench.device();
    bench.call("GET", &format!("/twins/{id}"), None).await;
    let spent = bench.emulator.usage();
    assert!(spent.messages > 7_000);
    bench.emulator.shutdown().await;
    let bench = Bench::with(Settings {
        spent: 0,
        ..settings
    })
    .await;
    let now = bench.emulator.usage();
    // Unless this ran over midnight.
    assert!(
        now.messages == spent.messages || now.date != spent.date,
        "{now:?}"
    );
}

/// A scenario's tags are there when a device is made, and are the operator's after.
#[tokio::test]
async fn tags_are_given_once() {
    let temp = tempfile::tempdir().unwrap();
    let tag: Tagged = toml::from_str("ids = \"dev-*\"\nsite = \"hall-1\"").unwrap();
    let settings = Settings {
        tags: vec![tag],
        ..kept(&temp)
    };
    let bench = Bench::with(settings.clone()).await;
    let (id, _) = bench.device();
    let twin = format!("/twins/{id}");
    let (_, made) = bench.call("GET", &twin, None).await;
    assert_eq!(made["tags"], json!({"site": "hall-1"}));
    let moved = json!({"tags": {"site": "hall-2"}});
    bench.call("PATCH", &twin, Some(moved.clone())).await;
    bench.emulator.shutdown().await;
    let bench = Bench::with(settings).await;
    bench.device();
    let (_, kept) = bench.call("GET", &twin, None).await;
    assert_eq!(kept["tags"], moved["tags"]);
}
