//! Beside a real hub: the recordings of `Azure/azure-sdk-for-net`
//! (`sdk/iot/Azure.IoT.Hub.Service/tests/SessionRecords`, MIT), replayed.
//!
//! `OTADECK_RECORDINGS` names a folder that holds `azure-sdk-for-net`; without
//! it the test says so and does nothing.

use super::*;

#[tokio::test]
async fn answers_have_the_shape_of_a_real_hubs() {
    let Some(folder) = std::env::var_os("OTADECK_RECORDINGS") else {
        println!("skipped: OTADECK_RECORDINGS names no folder with azure-sdk-for-net");
        return;
    };
    let folder = PathBuf::from(folder).join("azure-sdk-for-net");
    for file in [
        "DevicesClientTests/DevicesClient_IdentityLifecycle.json",
        "DevicesClientTests/DevicesClient_UpdateDevice_EtagDoesNotMatch.json",
        "DevicesClientTests/DevicesClient_DeviceTwinLifecycle.json",
    ] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let recording: Value = serde_json::from_str(&text).unwrap();
        let bench = Bench::start().await;
        for entry in recording["Entries"].as_array().unwrap() {
            replay(&bench, file, entry).await;
        }
    }
}

async fn replay(bench: &Bench, file: &str, entry: &Value) {
    let uri: axum::http::Uri = entry["RequestUri"].as_str().unwrap().parse().unwrap();
    let method = entry["RequestMethod"].as_str().unwrap();
    let recorded_etag = entry["RequestHeaders"]["If-Match"].as_str();
    let if_match = match recorded_etag {
        Some(etag) if etag.len() > 3 => current_etag(bench, &uri, entry).await,
        other => other.map(str::to_owned),
    };
    let headers: Vec<(&str, &str)> = if_match.iter().map(|e| ("If-Match", e.as_str())).collect();
    let body = Some(&entry["RequestBody"])
        .filter(|body| body.is_object())
        .map(writable);
    let response = bench.send(method, uri.path(), &headers, body).await;

    let what = format!("{file}: {method} {}", uri.path());
    assert_eq!(
        u64::from(response.status().as_u16()),
        entry["StatusCode"].as_u64().unwrap(),
        "{what}"
    );
    for (name, value) in entry["ResponseHeaders"].as_object().unwrap() {
        let ours = response.headers().get(name);
        // A 204 needs none, and HTTP forbids it.
        if name == "Content-Length" && response.status() == StatusCode::NO_CONTENT {
            continue;
        }
        assert!(ours.is_some(), "{what}: no header {name}");
        if ["Content-Type", "Server", "Vary", "iothub-errorcode"].contains(&name.as_str()) {
            assert_eq!(
                ours.unwrap().to_str().unwrap(),
                value.as_str().unwrap(),
                "{what}"
            );
        }
    }
    let text = response.text().await.unwrap();
    let ours = serde_json::from_str(&text).unwrap_or(json!([]));
    assert_eq!(shape(&ours), shape(&entry["ResponseBody"]), "{what}");
}

/// The recorded etag is the real hub's; a stale one stays one here.
async fn current_etag(bench: &Bench, uri: &axum::http::Uri, entry: &Value) -> Option<String> {
    if entry["StatusCode"] == 412 {
        return Some("\"MA==\"".to_owned());
    }
    let (_, identity) = bench.call("GET", uri.path(), None).await;
    Some(format!("\"{}\"", identity["etag"].as_str().unwrap()))
}

/// The recorded body without what the publisher took out.
fn writable(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(authentication) = body.get_mut("authentication") {
        authentication["symmetricKey"] = json!({});
    }
    body
}

/// Keys in their order, with the kind of each value; times by their zone.
fn shape(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let pairs = object.iter().map(|(key, value)| match key.as_str() {
                "ExceptionMessage" | "Message" => format!("{key}:text"),
                // Plain values that are the same on every hub.
                "status" | "connectionState" | "version" | "$version" | "type" => {
                    format!("{key}:{value}")
                }
                _ => format!("{key}:{}", shape(value)),
            });
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(shape).collect::<Vec<_>>().join(",")
        ),
        Value::String(text) if text.starts_with("0001") => text.clone(),
        Value::String(text) => match text.ends_with('Z') {
            true => "time".to_owned(),
            false => "text".to_owned(),
        },
        Value::Number(_) => "number".to_owned(),
        other => other.to_string(),
    }
}
