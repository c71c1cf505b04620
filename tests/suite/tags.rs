//! Tags on twins: what the client writes and what its errors mean; hosts that share
//! nothing but the hub, on one device.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use otadeck::domain::id::UpdateId;
use otadeck::domain::problem::Kind;
use otadeck::domain::tag::{self, Found, Sighting};
use otadeck::domain::twin::Twin;
use otadeck::hub::error::Delivery;
use otadeck::hub::{Client, ConnectionString, HubError, Service, Settings};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use super::support::program::{Emulator, Ended, Home};
use super::support::server::{Reaction, Request, Server, Upstream};
use super::support::{id, tag_permit, with_port};

const DEVICE: &str = "idle-0001";
const URI: &str = "https://example.test/fw-1.5.0.bin?sig=SECRET";

/// A twin as a hub gives it.
fn twin_json(etag: &str, tags: &Value) -> Value {
    json!({"deviceId": DEVICE, "etag": etag, "version": 3, "tags": tags,
           "properties": {"desired": {"$version": 1}, "reported": {"$version": 1}}})
}

async fn twin_of(server: &Server) -> Twin {
    server.client().twin(&id(DEVICE)).await.unwrap()
}

/// The write that takes the device for a new update of `by`.
fn take(twin: &Twin, by: &str) -> tag::Write {
    let seen = Sighting::of(twin, Timestamp::now());
    seen.take(by, &UpdateId::fresh(), "fw-1.5.0.bin", Default::default())
}

/// A hub that shows one twin and reacts to the write of a tag so.
async fn hub(etag: &'static str, reaction: Reaction) -> Server {
    Server::start(move |request: Request| {
        let reaction = match request.method.as_str() {
            "PATCH" => reaction.clone(),
            _ => Reaction::json(200, twin_json(etag, &json!({"site": "lab"}))),
        };
        std::future::ready(reaction)
    })
    .await
}

fn patches(server: &Server) -> Vec<Request> {
    let requests = server.requests().into_iter();
    requests.filter(|r| r.method == "PATCH").collect()
}

#[tokio::test]
async fn a_tag_is_one_request_that_touches_nothing_else() {
    let body = twin_json("AAAAAAAAAAM=", &json!({"site": "lab"})).to_string();
    let date = (
        "date".to_owned(),
        "Thu, 01 Jan 2026 12:00:00 GMT".to_owned(),
    );
    let server = hub(
        "AAAAAAAAAAI=",
        Reaction::Answer(200, vec![date], body.into_bytes()),
    )
    .await;
    let write = take(&twin_of(&server).await, "ana@jump1");
    let permit = tag_permit(write.clone()).await;
    let twin = server.client().write_tag(permit).await.unwrap();
    assert_eq!(twin.etag, "AAAAAAAAAAM=");
    assert_eq!(twin.told_at, Some("2026-01-01T12:00:00Z".parse().unwrap()));
    let sent = patches(&server);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].path.starts_with("/twins/idle-0001?api-version="));
    let if_match = sent[0].headers.iter().find(|(name, _)| name == "if-match");
    assert_eq!(if_match.unwrap().1, "\"AAAAAAAAAAI=\"");
    let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
    assert_eq!(
        body,
        json!({"tags": {"otadeck": write.tag().unwrap().value()}})
    );
}

/// Nothing is repeated, and it is known whether it may have been written.
#[tokio::test]
async fn the_client_writes_once_and_knows_what_an_error_means() {
    let code = |status: u16, name: &str| {
        let body = json!({"Message": format!("ErrorCode:{name};no"), "ExceptionMessage": ""});
        Reaction::json(status, body)
    };
    let cases = [
        (
            code(412, "PreconditionFailed"),
            Delivery::No,
            Kind::BadRequest,
        ),
        (
            code(404, "DeviceNotFound"),
            Delivery::No,
            Kind::NoSuchDevice,
        ),
        (
            code(401, "IotHubUnauthorizedAccess"),
            Delivery::No,
            Kind::Unauthorized,
        ),
        (Reaction::json(403, "{}"), Delivery::No, Kind::Unauthorized),
        (
            code(429, "ThrottlingException"),
            Delivery::No,
            Kind::Throttled,
        ),
        (
            code(503, "ServiceUnavailable"),
            Delivery::Unknown,
            Kind::Server,
        ),
        (
            Reaction::json(200, "<html>"),
            Delivery::Unknown,
            Kind::Protocol,
        ),
        (Reaction::Cut, Delivery::Unknown, Kind::Server),
        (Reaction::Torn, Delivery::Unknown, Kind::Server),
    ];
    for (reaction, delivery, kind) in cases {
        let server = hub("AAAAAAAAAAI=", reaction.clone()).await;
        let permit = tag_permit(take(&twin_of(&server).await, "ana@jump1")).await;
        let error = server.client().write_tag(permit).await.unwrap_err();
        assert_eq!(error.delivery(), delivery, "{reaction:?}: {error}");
        assert_eq!(error.kind(), kind, "{reaction:?}: {error}");
        let status = matches!(&reaction, Reaction::Answer(412, ..));
        assert_eq!(error.is_outrun(), status, "{reaction:?}");
        assert_eq!(patches(&server).len(), 1, "{reaction:?}");
    }
}

/// A wildcard would write over whatever is there.
#[tokio::test]
async fn an_etag_that_is_none_is_not_sent_back() {
    for etag in ["", "*", "a\"b", "a b", "ä"] {
        let server = hub(etag, Reaction::json(200, "{}")).await;
        let permit = tag_permit(take(&twin_of(&server).await, "ana@jump1")).await;
        let error = server.client().write_tag(permit).await.unwrap_err();
        assert!(
            matches!(error, HubError::Unsendable(_)),
            "{etag:?}: {error}"
        );
        assert_eq!(error.delivery(), Delivery::No);
        assert_eq!(patches(&server).len(), 0, "{etag:?}");
    }
}

fn client(emulator: &Emulator) -> Client {
    super::support::tls();
    let connection = ConnectionString::parse(&emulator.service()).unwrap();
    Client::new(Settings::new(connection, Some(emulator.ca_file().into())))
}

#[tokio::test]
async fn against_a_hub_the_first_wins_and_nothing_else_changes() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let client = client(&emulator);
    let before = client.twin(&id(DEVICE)).await.unwrap();
    let told = before.told_at.expect("a hub tells its time");
    assert!(Timestamp::now().duration_since(told).abs() < SignedDuration::from_mins(5));
    let (first, second) = (take(&before, "ana@jump1"), take(&before, "bob@jump2"));
    let after = client.write_tag(tag_permit(first.clone()).await).await;
    let after = after.unwrap();
    assert_ne!(after.etag, before.etag);
    let seen = Sighting::of(&after, Timestamp::now());
    assert!(seen.is_of(first.update()));
    let error = client
        .write_tag(tag_permit(second).await)
        .await
        .unwrap_err();
    assert!(error.is_outrun(), "{error}");
    assert!(error.to_string().contains("ETag mismatch"), "{error}");
    assert_eq!(
        (&after.desired, &after.reported),
        (&before.desired, &before.reported)
    );
    let back = seen.give_back(first.update()).unwrap();
    let gone = client.write_tag(tag_permit(back).await).await.unwrap();
    assert_eq!(gone.tags, before.tags);
    assert_eq!(
        *Sighting::of(&gone, Timestamp::now()).found(),
        Found::Nothing
    );
    let mut missing = gone;
    missing.device_id = id("nobody");
    let permit = tag_permit(take(&missing, "ana@jump1")).await;
    let error = client.write_tag(permit).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NoSuchDevice, "{error}");
}

/// The hub as one host's configuration has it, in a home with a journal of its own.
fn host(user: &str, connection: &str, ca: &str) -> Home {
    let home = Home::new()
        .env("PLANT", connection)
        .env("OTADECK_CA_FILE", ca)
        .env("SUDO_USER", user);
    home.config("[hub.plant]\nsecret_env = \"PLANT\"\nlease = \"tags\"\n");
    home
}

fn host_on(user: &str, emulator: &Emulator) -> Home {
    host(user, &emulator.service(), &emulator.ca_file())
}

const UPDATE: [&str; 5] = ["update", DEVICE, "--uri", URI, "--json"];

/// The tags of the device as the hub has them.
async fn tags(emulator: &Emulator) -> Value {
    let twin = client(emulator).twin(&id(DEVICE)).await.unwrap();
    twin.tags.into()
}

/// Passes everything on to the emulator, but what `instead` answers itself.
async fn proxy<F, R>(emulator: &Emulator, instead: F) -> Server
where
    F: Fn(Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Option<Reaction>> + Send,
{
    let hub = Upstream::of(emulator);
    Server::start(move |request: Request| {
        let (hub, instead) = (hub.clone(), instead.clone());
        async move {
            match instead(request.clone()).await {
                Some(reaction) => reaction,
                None => hub.pass(&request).await,
            }
        }
    })
    .await
}

fn calls(proxy: &Server) -> usize {
    let requests = proxy.requests();
    requests.iter().filter(|r| r.is_method_call()).count()
}

/// Both have seen a device that nobody holds, and both write: the hub lets one
/// through. The journals are not the same, so they cannot help.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_hosts_at_once_one_starts_and_the_other_is_told_who() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let _device = emulator.run_device(0, &["--scenario", "quick"]);
    let before = client(&emulator).twin(&id(DEVICE)).await.unwrap();
    let (barrier, writes) = (Arc::new(Barrier::new(2)), Arc::new(AtomicUsize::new(0)));
    let proxy = proxy(&emulator, move |request| {
        let (barrier, writes) = (Arc::clone(&barrier), Arc::clone(&writes));
        async move {
            if request.method == "PATCH" && writes.fetch_add(1, Ordering::SeqCst) < 2 {
                barrier.wait().await;
            }
            None
        }
    })
    .await;
    let (connection, ca) = (
        with_port(&emulator.service(), proxy.addr.port()),
        proxy.ca.path().to_owned(),
    );
    let runs = ["ana", "bob"].map(|user| {
        let home = host(user, &connection, ca.to_str().unwrap());
        tokio::task::spawn_blocking(move || (user, home.run(&UPDATE)))
    });
    let mut ended: Vec<(&str, Ended)> = Vec::new();
    for run in runs {
        ended.push(run.await.unwrap());
    }
    ended.sort_by_key(|(_, ended)| ended.code);
    let [(winner, won), (_, lost)] = &ended[..] else {
        panic!("{ended:?}");
    };
    assert_eq!((won.code, lost.code), (0, 8), "{ended:?}");
    assert_eq!(calls(&proxy), 1, "{ended:?}");
    let verdict = lost.events().pop().unwrap();
    assert_eq!(verdict["event"], "update.verdict", "{verdict}");
    assert_eq!(verdict["outcome"], "notDelivered", "{verdict}");
    assert_eq!(verdict["problem"]["kind"], "busy", "{verdict}");
    let reason = verdict["reason"].as_str().unwrap();
    assert!(
        reason.contains(&format!("(sudo by {winner}) on ")),
        "{reason}"
    );
    assert!(reason.contains("since 20"), "{reason}");
    assert!(reason.contains("update to fw-1.5.0.bin"), "{reason}");
    let names = lost.names();
    assert!(!names.contains(&"update.invoked".to_owned()), "{names:?}");
    // Given back; and the twin is as it was, but for what the device reported.
    let after = client(&emulator).twin(&id(DEVICE)).await.unwrap();
    assert_eq!(after.tags, before.tags);
    assert_eq!(after.desired, before.desired);
    let sent = proxy.requests().into_iter().filter(|r| r.method == "PATCH");
    for patch in sent {
        let body = String::from_utf8(patch.body).unwrap();
        assert!(
            !body.contains("SECRET") && !body.contains("properties"),
            "{body}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_another_host_holds_is_refused_until_that_ends() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let _device = emulator.run_device(0, &["--scenario", "quick"]);
    let client = client(&emulator);
    let mut twin = client.twin(&id(DEVICE)).await.unwrap();
    let bobs = take(&twin, "bob@jump2");
    let twin_with_it = client.write_tag(tag_permit(bobs.clone()).await).await;
    let ana = host_on("ana", &emulator);
    let refused = ana.run(&UPDATE);
    assert_eq!(refused.code, 8, "{refused:?}");
    assert_eq!(refused.names(), ["link", "update.refused"], "{refused:?}");
    let busy = "idle-0001 is busy: bob on jump2 since 20";
    assert!(refused.stderr.contains(busy), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("Nothing was sent"),
        "{}",
        refused.stderr
    );
    // The same as it will be in an hour.
    let seen = Sighting::of(&twin_with_it.unwrap(), Timestamp::now());
    let back = seen.give_back(bobs.update()).unwrap();
    twin = client.write_tag(tag_permit(back).await).await.unwrap();
    twin.told_at = Some(Timestamp::now() - SignedDuration::from_hours(1));
    let old = client.write_tag(tag_permit(take(&twin, "bob@jump2")).await);
    assert!(old.await.unwrap().tags.contains_key("otadeck"));
    let ended = ana.run(&UPDATE);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(tags(&emulator).await, json!({}));
}

/// A host without the setting does not look: it is said so, and so it is.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_no_tag_is_looked_at_nor_written() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let _device = emulator.run_device(0, &["--scenario", "quick"]);
    let client = client(&emulator);
    let twin = client.twin(&id(DEVICE)).await.unwrap();
    let bobs = tag_permit(take(&twin, "bob@jump2")).await;
    let etag = client.write_tag(bobs).await.unwrap().etag;
    let ended = Home::on(&emulator).run(&UPDATE);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(client.twin(&id(DEVICE)).await.unwrap().etag, etag);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_may_not_write_tags_sends_no_order() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let proxy = proxy(&emulator, |request| async move {
        (request.method == "PATCH").then(|| Reaction::json(403, "{}"))
    })
    .await;
    let home = host(
        "ana",
        &with_port(&emulator.service(), proxy.addr.port()),
        proxy.ca.path().to_str().unwrap(),
    );
    let ended = home.run(&UPDATE);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert_eq!(calls(&proxy), 0);
    let verdict = ended.events().pop().unwrap();
    assert_eq!(verdict["outcome"], "notDelivered", "{verdict}");
    let hint = verdict["problem"]["hint"].as_str().unwrap();
    assert!(hint.starts_with("No order was sent."), "{hint}");
    assert!(hint.contains("ServiceConnect"), "{hint}");
}

/// Killed in the middle: the tag stays, others are refused, and whoever takes the
/// update up gives it back in the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_updates_tag_is_given_back_by_whoever_carries_on() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let _device = emulator.run_device(0, &["--scenario", "quick"]);
    let ana = host_on("ana", &emulator);
    let mut first = ana.spawn(&UPDATE);
    first.line_with("update.accepted");
    first.signal(Signal::KILL);
    assert_eq!(first.wait(), -9);
    let by = tags(&emulator).await["otadeck"]["by"].to_string();
    assert!(by.contains("(sudo by ana)"), "{by}");
    let bob = host_on("bob", &emulator).run(&UPDATE);
    assert_eq!(bob.code, 8, "{bob:?}");
    assert!(bob.stderr.contains("(sudo by ana) on "), "{}", bob.stderr);
    let ended = ana.run(&["watch", "--resume", "--json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(tags(&emulator).await, json!({}));
}

/// Somebody else writes to the twin just when the tag is given back: the program waits
/// until it has read again and written again, though its update has ended.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_does_not_end_before_its_tag_is_given_back() {
    let emulator = Emulator::start(&["--identities", "1"]);
    let _device = emulator.run_device(0, &["--scenario", "quick"]);
    let outruns = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&outruns);
    let proxy = proxy(&emulator, move |request| {
        let outruns = Arc::clone(&outruns);
        async move {
            let body = String::from_utf8(request.body).unwrap();
            let back = request.method == "PATCH" && body.contains("\"otadeck\":null");
            if !back || outruns.fetch_add(1, Ordering::SeqCst) > 0 {
                return None;
            }
            // A hub takes its time: a program that does not wait is gone by then.
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            Some(Reaction::json(
                412,
                json!({"Message": "ErrorCode:PreconditionFailed;no"}),
            ))
        }
    })
    .await;
    let connection = with_port(&emulator.service(), proxy.addr.port());
    let home = host("ana", &connection, proxy.ca.path().to_str().unwrap());
    let ended = home.run(&UPDATE);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(seen.load(Ordering::SeqCst), 2, "refused once, then done");
    assert_eq!(tags(&emulator).await, json!({}));
}
