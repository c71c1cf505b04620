//! The error bodies that were observed, and how this hub comes to say them.

use super::*;

/// How this hub comes to say what was observed.
enum Cause {
    /// A call as the owner, and what of the inner body differs, and why.
    Call(
        &'static str,
        &'static str,
        Value,
        &'static [(&'static str, &'static str)],
    ),
    /// Not this hub's to say.
    Elsewhere(&'static str),
}

/// The causes of `observed-error-bodies.json`, by their ids.
fn causes() -> Vec<(&'static str, Cause)> {
    use Cause::{Call, Elsewhere};
    let method = |more: Value| {
        let mut call = json!({"methodName": "m"});
        call.as_object_mut().unwrap().extend(map(more));
        call
    };
    const TEXT: (&str, &str) = ("message", "the hub's text changed over the years");
    const INFO: (&str, &str) = ("info", "shown by some years only; here as in 2018 and 2019");
    let offline = "/twins/dev-0001/methods";
    vec![
        (
            "method-offline-old-timeout0",
            Call("POST", offline, method(json!({})), &[TEXT]),
        ),
        (
            "method-offline-old-timeout60",
            Elsewhere("as the one before, after a minute"),
        ),
        (
            "method-offline-2022-text",
            Call("POST", offline, method(json!({})), &[TEXT, INFO]),
        ),
        (
            "method-offline-2026-text",
            Elsewhere("another order of keys; the 2022 one is here"),
        ),
        (
            "method-response-timeout-info",
            Elsewhere("`a_silent_device_is_the_observed_504`"),
        ),
        (
            "method-response-timeout-old",
            Elsewhere("with an info that 2019 had no more"),
        ),
        (
            "method-timeout-out-of-range",
            Call(
                "POST",
                offline,
                method(json!({"responseTimeoutInSeconds": 1})),
                &[],
            ),
        ),
        (
            "device-not-found-envelope1",
            Call("GET", "/devices/sensor-thl-002", Value::Null, &[]),
        ),
        (
            "device-already-exists",
            Call("PUT", "/devices/tf-dev-01", json!({}), &[]),
        ),
        (
            "bare-envelope2-module-exists",
            Elsewhere("modules are not here"),
        ),
        (
            "precondition-missing-etag",
            Elsewhere("the text of a client's test; here \"Etag missing\""),
        ),
        (
            "throttled-429003",
            Elsewhere("`a_tier_refuses_in_the_hubs_words`"),
        ),
        (
            "throttled-active-jobs-429004",
            Elsewhere("jobs are not here"),
        ),
        ("job-quota-403", Elsewhere("jobs are not here")),
        (
            "unauthorized-401002",
            Elsewhere("`a_bad_signature_is_the_observed_401`"),
        ),
        (
            "bare-envelope2-device-offline",
            Elsewhere("an edge gateway's"),
        ),
    ]
}

fn map(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Compares an error body with an observed one: envelope, order of keys, and
/// every value that is no request's own.
fn compare_error(id: &str, ours: &Value, observed: &Value, differs: &[(&str, &str)]) {
    let inner = |body: &Value| {
        let text = body["Message"].as_str().unwrap();
        serde_json::from_str::<Value>(text).unwrap_or_else(|_| text.into())
    };
    let keys = |value: &Value| -> Vec<String> {
        let map = value.as_object();
        map.map(|map| map.keys().cloned().collect())
            .unwrap_or_default()
    };
    assert_eq!(keys(ours), keys(observed), "{id}");
    let (a, b) = (inner(ours), inner(observed));
    if !a.is_object() {
        assert_eq!(a, b, "{id}");
        assert!(tracking(ours["ExceptionMessage"].as_str().unwrap()).is_some());
        return;
    }
    assert_eq!(ours["ExceptionMessage"], "", "{id}");
    assert_eq!(keys(&a), keys(&b), "{id}");
    for key in keys(&a) {
        let same = match key.as_str() {
            "trackingId" => {
                tracking(&format!("Tracking ID:{}", a[&key].as_str().unwrap())).is_some()
            }
            "timestampUtc" => is_time(a[&key].as_str().unwrap()),
            _ => a[&key] == b[&key],
        };
        let told = differs.iter().any(|(name, _)| *name == key);
        assert_ne!(
            same, told,
            "{id}: {key} is {} here and was {}",
            a[&key], b[&key]
        );
    }
}

fn observed(folder: &Path) -> Vec<(String, Value, Value)> {
    let entries = read(&folder.join("observed-error-bodies.json"));
    let entry = |entry: &Value| {
        let id = entry["id"].as_str().unwrap().to_owned();
        (id, entry.clone(), unpacked(&entry["body"]))
    };
    entries.as_array().unwrap().iter().map(entry).collect()
}

#[tokio::test]
async fn errors_are_those_that_were_observed() {
    let Some(folder) = folder() else {
        return;
    };
    let bench = Bench::start().await;
    bench.device();
    bench
        .call("PUT", "/devices/tf-dev-01", Some(json!({})))
        .await;
    let causes: HashMap<_, _> = causes().into_iter().collect();
    let all = observed(&folder);
    assert_eq!(all.len(), causes.len());
    for (id, entry, observed) in all {
        let (method, path, body, differs) = match &causes[id.as_str()] {
            Cause::Call(method, path, body, differs) => (method, path, body, differs),
            Cause::Elsewhere(why) => {
                println!("{id}: {why}");
                continue;
            }
        };
        let body = Some(body.clone()).filter(|body| !body.is_null());
        let response = bench.send(method, path, &[], body).await;
        assert_eq!(
            Some(u64::from(response.status().as_u16())),
            entry["httpStatus"].as_u64()
        );
        if let Some(name) = entry["iothubErrorCodeHeader"].as_str() {
            assert_eq!(response.headers()["iothub-errorcode"], name, "{id}");
        }
        let (_, ours) = answer(response).await;
        compare_error(&id, &ours, &observed, differs);
    }
}

#[tokio::test]
async fn a_silent_device_is_the_observed_504() {
    let Some(folder) = folder() else {
        return;
    };
    let bench = Bench::start().await;
    let (id, text) = bench.device();
    let mut device = bench.connect(&text, &[METHODS]).await;
    let call = json!({"methodName": "m", "responseTimeoutInSeconds": 5});
    let path = format!("/twins/{id}/methods");
    let service = bench.send("POST", &path, &[], Some(call));
    let (response, _) = tokio::join!(service, message(&mut device));
    let (status, ours) = answer(response).await;
    assert_eq!(status, 504);
    let name = "method-response-timeout-info";
    let all = observed(&folder);
    let (_, _, body) = all.iter().find(|(id, ..)| id == name).unwrap();
    compare_error(name, &ours, body, &[]);
}

#[tokio::test]
async fn a_bad_signature_is_the_observed_401() {
    let Some(folder) = folder() else {
        return;
    };
    let bench = Bench::start().await;
    let token = sign("localhost", "AAAA", in_an_hour(), Some("service")).unwrap();
    let request = bench
        .client
        .get(bench.url("/twins/x"))
        .header("Authorization", token);
    let response = request.send().await.unwrap();
    assert_eq!(
        response.headers()["iothub-errorcode"],
        "IotHubUnauthorizedAccess"
    );
    let (status, ours) = answer(response).await;
    assert_eq!(status, 401);
    let name = "unauthorized-401002";
    let all = observed(&folder);
    let (_, _, body) = all.iter().find(|(id, ..)| id == name).unwrap();
    compare_error(name, &ours, body, &[]);
}
