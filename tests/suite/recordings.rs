//! Real hubs' answers, replayed against the client.
//!
//! The recordings are other people's data (Microsoft's published test recordings
//! and bodies quoted in public issues), so the project does not hold them:
//! `OTADECK_RECORDINGS` names their folder. Without it these tests say so and
//! check nothing.

use std::path::PathBuf;

use otadeck::domain::device::Connection;
use otadeck::domain::dialect::Dialects;
use otadeck::domain::method::MethodCall;
use otadeck::domain::time::hub_time;
use otadeck::hub::error::Refusal;
use otadeck::hub::{HubError, Query, Service};
use serde_json::Value;

use super::support::server::{Reaction, Server};
use super::support::{id, permit};

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("OTADECK_RECORDINGS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: OTADECK_RECORDINGS names no folder of recordings");
    }
    folder
}

fn json(path: PathBuf) -> Value {
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// The recorded exchanges of one test of the .NET SDK.
fn entries(name: &str) -> Option<Vec<Value>> {
    let path = folder()?.join("azure-sdk-for-net").join(name);
    Some(json(path)["Entries"].as_array().unwrap().clone())
}

/// A recorded answer: its status, its headers, its body.
fn reaction(entry: &Value) -> Reaction {
    let headers = entry["ResponseHeaders"].as_object().unwrap().iter();
    let headers = headers
        .filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"))
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    let body = match &entry["ResponseBody"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let status = u16::try_from(entry["StatusCode"].as_u64().unwrap()).unwrap();
    Reaction::Answer(status, headers, body.into_bytes())
}

async fn server(entry: &Value) -> Server {
    let reaction = reaction(entry);
    Server::start(move |_| std::future::ready(reaction.clone())).await
}

fn id_of(entry: &Value) -> String {
    let uri = entry["RequestUri"].as_str().unwrap();
    let path = uri.split('?').next().unwrap().split('/').skip(4);
    path.collect::<Vec<_>>()[0].to_owned()
}

fn is(entry: &Value, method: &str, path: &str) -> bool {
    let uri = entry["RequestUri"].as_str().unwrap_or_default();
    entry["RequestMethod"] == method && uri.contains(path) && !uri.contains("/modules/")
}

#[tokio::test]
async fn identities() {
    let mut read = 0;
    for file in [
        "DevicesClientTests/DevicesClient_IdentityLifecycle.json",
        "DevicesClientTests/DevicesClient_UpdateDevice_EtagDoesNotMatch.json",
    ] {
        let Some(entries) = entries(file) else { return };
        for entry in entries
            .iter()
            .filter(|e| e["StatusCode"] == 200 && e["ResponseBody"].is_object())
        {
            let server = server(entry).await;
            let name = id_of(entry);
            let identity = server.client().identity(&id(&name)).await.unwrap();
            let body = &entry["ResponseBody"];
            assert_eq!(identity.device_id.as_str(), body["deviceId"]);
            assert_eq!(
                identity.generation_id,
                body["generationId"].as_str().unwrap()
            );
            assert_eq!(identity.etag, body["etag"].as_str().unwrap());
            assert_eq!(identity.connection, Connection::Disconnected);
            assert_eq!(identity.last_activity, None, "the year 1 is never");
            read += 1;
        }
    }
    assert!(read >= 3, "{read} identities");
}

#[tokio::test]
async fn twins() {
    let Some(entries) = entries("DevicesClientTests/DevicesClient_DeviceTwinLifecycle.json") else {
        return;
    };
    let mut read = 0;
    for entry in entries
        .iter()
        .filter(|e| is(e, "GET", "/twins/") || is(e, "PATCH", "/twins/"))
    {
        let server = server(entry).await;
        let twin = server.client().twin(&id(&id_of(entry))).await.unwrap();
        let body = &entry["ResponseBody"];
        assert_eq!(twin.etag, body["etag"].as_str().unwrap());
        assert_eq!(twin.version, body["version"].as_u64().unwrap());
        for (section, name) in [(&twin.desired, "desired"), (&twin.reported, "reported")] {
            let raw = &body["properties"][name];
            assert_eq!(section.version, raw["$version"].as_u64().unwrap());
            let stamp = raw["$metadata"]["$lastUpdated"].as_str().unwrap();
            assert_eq!(section.last_updated(), hub_time(stamp));
            assert!(section.last_updated().is_some());
            assert!(section.values.keys().all(|key| !key.starts_with('$')));
        }
        let sent = server.requests();
        assert!(
            sent[0].path.contains("?api-version=2021-04-12"),
            "{:?}",
            sent[0].path
        );
        read += 1;
    }
    assert!(read >= 2, "{read} twins");
}

#[tokio::test]
async fn a_twin_with_reported_properties() {
    let Some(folder) = folder() else { return };
    let path = "azure-iot-cli-extension/device_twin_with_reported_properties.json";
    let body = json(folder.join(path));
    let server = Server::start(move |_| std::future::ready(Reaction::json(200, &body))).await;
    let twin = server.client().twin(&id("ciikv8orhq")).await.unwrap();
    assert_eq!(
        (twin.version, twin.reported.version, twin.etag.as_str()),
        (3, 2, "AAAAAAAAAAE=")
    );
    let model = twin.reported.get(&"device_info.model".into());
    assert_eq!(model, Some(&Value::from("Redmi Note 5")));
    // Its publisher replaced the stamps by a word, which is no time.
    assert_eq!(twin.reported.stamp(&"device_info.model".into()), None);
}

#[tokio::test]
async fn queries() {
    let Some(entries) = entries("QueryTests/QueryClient_GetAllDevicesTwinsWithTag.json") else {
        return;
    };
    let query = Query::parse("SELECT * FROM devices", &Dialects::built_in()).unwrap();
    let mut counts = Vec::new();
    for entry in entries.iter().filter(|e| is(e, "POST", "/devices/query")) {
        let server = server(entry).await;
        let page = server.client().page(&query, None).await.unwrap();
        assert_eq!((page.skipped, page.continuation), (0, None));
        counts.push(page.rows.len());
        if let Some(row) = page.rows.first() {
            assert_eq!(row.device_id.as_str(), "QueryDevice1136733538");
        }
    }
    assert_eq!(counts, [0, 1], "an index that lags: empty, then one row");
}

#[tokio::test]
async fn methods() {
    let Some(entries) = entries("DevicesClientTests/DevicesClient_InvokeMethodOnDeviceAsync.json")
    else {
        return;
    };
    let entry = entries.iter().find(|e| is(e, "POST", "/methods")).unwrap();
    let server = server(entry).await;
    let call = MethodCall {
        device: id(&id_of(entry)),
        method: "someMethodToInvoke".into(),
        payload: Value::Null,
        response_timeout: 5,
        connect_timeout: 5,
    };
    let answer = server.client().invoke(permit(call).await).await.unwrap();
    assert_eq!((answer.status, answer.payload), (222, Value::Null));
    let body: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    for (key, value) in entry["RequestBody"].as_object().unwrap() {
        assert_eq!(&body[key], value, "as the SDK sent it: {key}");
    }
}

#[tokio::test]
async fn errors() {
    let Some(folder) = folder() else { return };
    let observed = json(folder.join("observed-error-bodies.json"));
    let mut read = 0;
    for body in observed.as_array().unwrap() {
        let status = u16::try_from(body["httpStatus"].as_u64().unwrap()).unwrap();
        let header = body["iothubErrorCodeHeader"].as_str();
        let text = body["body"].as_str().unwrap().to_owned();
        let refusal = Refusal::read(status, header, text.as_bytes());
        assert!(refusal.code.is_some(), "{}: {refusal:?}", body["id"]);
        assert_eq!(
            refusal.code.unwrap() / 1_000,
            u32::from(status),
            "{}: {refusal:?}",
            body["id"]
        );
        if let Some(name) = header {
            assert_eq!(refusal.name.as_deref(), Some(name));
        }
        // And the same over the wire.
        let reaction = Reaction::json(status, &text);
        let server = Server::start(move |_| std::future::ready(reaction.clone())).await;
        let error = server.client().twin(&id("d")).await.unwrap_err();
        let HubError::Answered(over_the_wire) = error else {
            panic!("{error:?}");
        };
        assert_eq!(over_the_wire.code, refusal.code);
        read += 1;
    }
    assert!(read >= 16, "{read} bodies");
}

#[tokio::test]
async fn stale_etags() {
    for file in [
        "DevicesClientTests/DevicesClient_UpdateDevice_EtagDoesNotMatch.json",
        "ModulesClientTests/ModulesClient_UpdateModuleTwin_EtagDoesNotMatch.json",
    ] {
        let Some(entries) = entries(file) else { return };
        let entry = entries.iter().find(|e| e["StatusCode"] == 412).unwrap();
        let server = server(entry).await;
        let error = server.client().twin(&id("d")).await.unwrap_err();
        let HubError::Answered(refusal) = &error else {
            panic!("{error:?}");
        };
        assert_eq!(refusal.name.as_deref(), Some("PreconditionFailed"));
        assert_eq!(refusal.code, Some(412_001));
        assert!(refusal.tracking_id.is_some());
        assert!(!error.is_passing());
    }
}
