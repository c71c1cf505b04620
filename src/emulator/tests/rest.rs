//! The service API over TLS.

use super::*;

#[tokio::test]
async fn an_identity_lives_and_dies() {
    let bench = Bench::start().await;
    let created = bench
        .send(
            "PUT",
            "/devices/dev01",
            &[("If-Match", "\"\"")],
            Some(json!({"deviceId": "dev01"})),
        )
        .await;
    assert_eq!(created.status(), StatusCode::OK);
    let etag = created.headers()["etag"].to_str().unwrap().to_owned();
    let body: Value = created.json().await.unwrap();
    assert_eq!(etag, format!("\"{}\"", body["etag"].as_str().unwrap()));

    let (status, again) = bench.call("PUT", "/devices/dev01", Some(json!({}))).await;
    assert_eq!(status, 409);
    let message = again["Message"].as_str().unwrap();
    assert!(
        message.starts_with("ErrorCode:DeviceAlreadyExists;"),
        "{message}"
    );

    let (status, read) = bench.call("GET", "/devices/dev01/", None).await;
    assert_eq!((status, &read["etag"]), (200, &body["etag"]));
    let (_, list) = bench.call("GET", "/devices/?top=10", None).await;
    assert_eq!(list, json!([read]));

    let changed = bench
        .send("PUT", "/devices/dev01", &[("If-Match", &etag)], Some(read))
        .await;
    assert_eq!(changed.status(), StatusCode::OK);
    let stale = bench
        .send("DELETE", "/devices/dev01", &[("If-Match", &etag)], None)
        .await;
    assert_eq!(stale.headers()["iothub-errorcode"], "PreconditionFailed");
    assert_eq!(stale.status(), StatusCode::PRECONDITION_FAILED);
    let deleted = bench
        .send("DELETE", "/devices/dev01", &[("If-Match", "\"*\"")], None)
        .await;
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert_eq!(deleted.text().await.unwrap(), "");
    let (status, gone) = bench.call("GET", "/devices/dev01", None).await;
    assert_eq!(
        (status, &gone["Message"]),
        (404, &json!("ErrorCode:DeviceNotFound;dev01"))
    );
    bench.emulator.shutdown().await;
}

#[tokio::test]
async fn answers_have_the_headers_of_the_recordings() {
    let bench = Bench::start().await;
    let (id, _) = bench.device();
    let response = bench.send("GET", &format!("/twins/{id}"), &[], None).await;
    let headers = response.headers();
    assert_eq!(headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(headers["server"], "Microsoft-HTTPAPI/2.0");
    assert_eq!(headers["vary"], "Origin");
    assert!(headers.contains_key("date") && headers.contains_key("content-length"));
    assert!(
        !headers.contains_key("etag"),
        "twins have their etag in the body only"
    );
    let request = headers["x-ms-request-id"].to_str().unwrap();
    assert!(uuid::Uuid::parse_str(request).is_ok());

    let missing = bench.send("GET", "/twins/nobody", &[], None).await;
    assert_eq!(missing.headers()["iothub-errorcode"], "DeviceNotFound");
    let request = missing.headers()["x-ms-request-id"]
        .to_str()
        .unwrap()
        .replace('-', "");
    let body: Value = missing.json().await.unwrap();
    let exception = body["ExceptionMessage"].as_str().unwrap();
    assert!(exception.starts_with(&format!("Tracking ID:{request}-G:0-TimeStamp:")));
}

#[tokio::test]
async fn a_twin_is_read_and_patched() {
    let bench = Bench::start().await;
    let (id, _) = bench.device();
    let path = format!("/twins/{id}");
    let patch = json!({"tags": {"site": "lab"}, "properties": {"desired": {"fw": "2"}}});
    let (status, twin) = bench.call("PATCH", &path, Some(patch)).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&twin["etag"], &twin["version"]),
        (&json!("AAAAAAAAAAI="), &json!(3))
    );
    assert_eq!(bench.call("GET", &path, None).await.1, twin);
    let stale = [("If-Match", "\"AAAAAAAAAAE=\"")];
    let response = bench
        .send("PATCH", &path, &stale, Some(json!({"tags": {"a": 1}})))
        .await;
    let (status, body) = answer(response).await;
    assert_eq!(status, 412);
    assert_eq!(
        body["Message"],
        "ErrorCode:PreconditionFailed;ETag mismatch for device ID 'dev-0001'"
    );
    let (status, body) = bench
        .call("PATCH", &path, Some(json!({"tags": {"a.b": 1}})))
        .await;
    assert_eq!(status, 400);
    assert!(
        body["Message"]
            .as_str()
            .unwrap()
            .starts_with("ErrorCode:ArgumentInvalid;")
    );
    let (_, twin) = bench
        .call("PUT", &path, Some(json!({"tags": {"b": 2}})))
        .await;
    assert_eq!(twin["tags"], json!({"b": 2}));
    assert_eq!(twin["properties"]["desired"]["fw"], Value::Null);
}

#[tokio::test]
async fn queries_come_in_pages() {
    let bench = Bench::start().await;
    bench.emulator.create_identities("press", 5).unwrap();
    let query = json!({"query": "SELECT deviceId FROM devices WHERE deviceId != 'press-0003'"});
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let headers = [
            ("x-ms-max-item-count", "3"),
            ("x-ms-continuation", token.as_str()),
        ];
        let page = bench
            .send("POST", "/devices/query", &headers, Some(query.clone()))
            .await;
        assert_eq!(page.headers()["x-ms-item-type"], "Raw");
        let next = page.headers().get("x-ms-continuation");
        let next = next.map(|token| token.to_str().unwrap().to_owned());
        let rows: Vec<Value> = page.json().await.unwrap();
        seen.extend(
            rows.iter()
                .map(|row| row["deviceId"].as_str().unwrap().to_owned()),
        );
        match next {
            Some(next) => token = next,
            None => break,
        }
    }
    assert_eq!(
        seen,
        ["press-0001", "press-0002", "press-0004", "press-0005"]
    );
    let all = json!({"query": "SELECT * FROM devices"});
    let page = bench.send("POST", "/devices/query", &[], Some(all)).await;
    assert_eq!(page.headers()["x-ms-item-type"], "Twin");
    let (status, _) = bench
        .call("POST", "/devices/query", Some(json!({"query": "nonsense"})))
        .await;
    assert_eq!(status, 400);
}

#[rstest::rstest]
#[case(None, Some(100))]
#[case(Some(""), Some(100))]
#[case(Some("1"), Some(1))]
#[case(Some(" 7 "), Some(7))]
#[case(Some("1000"), Some(1_000))]
#[case(Some("5000"), Some(1_000))]
#[case(Some("0"), Some(1))]
#[case(Some("-1"), None)]
#[case(Some("many"), None)]
#[tokio::test]
async fn pages_are_as_large_as_asked_within_bounds(
    #[case] asked: Option<&str>,
    #[case] rows: Option<usize>,
) {
    let bench = Bench::start().await;
    bench.emulator.create_identities("press", 1_001).unwrap();
    let query = json!({"query": "SELECT deviceId FROM devices"});
    let headers: Vec<_> = asked.iter().map(|n| ("x-ms-max-item-count", *n)).collect();
    let response = bench
        .send("POST", "/devices/query", &headers, Some(query))
        .await;
    assert_eq!(
        response.headers().contains_key("x-ms-continuation"),
        rows.is_some()
    );
    let (status, body) = answer(response).await;
    assert_eq!(body.as_array().map(Vec::len), rows);
    assert_eq!(status, if rows.is_some() { 200 } else { 400 });
}

#[tokio::test]
async fn a_query_that_cannot_be_read_is_refused_as_the_hub_does() {
    let bench = Bench::start().await;
    let (first, second) = (
        json!({"query": "SELECT * FROM devices"}),
        json!({"query": 1}),
    );
    let bad_token = [("x-ms-continuation", "AAAA")];
    for (headers, body, start) in [
        (
            &bad_token[..],
            first,
            "ErrorCode:ArgumentInvalid;BadRequest",
        ),
        (&[], second, "ErrorCode:ArgumentNull;"),
        (
            &[],
            json!({"query": "SELECT"}),
            "ErrorCode:ArgumentInvalid;BadRequest",
        ),
        (
            &[],
            json!({"query": "SELECT COUNT() AS n FROM devices"}),
            "ErrorCode:ArgumentInvalid;BadRequest: the function COUNT, which this hub does not do",
        ),
        (
            &[],
            json!({"query": "SELECT * FROM devices.jobs"}),
            "ErrorCode:ArgumentInvalid;BadRequest: a collection other than devices, which this",
        ),
    ] {
        let response = bench
            .send("POST", "/devices/query", headers, Some(body))
            .await;
        let (status, body) = answer(response).await;
        let message = body["Message"].as_str().unwrap();
        assert!(status == 400 && message.starts_with(start), "{message}");
    }
}

#[tokio::test]
async fn policies_have_their_rights_and_nothing_else_gets_in() {
    let bench = Bench::start().await;
    let (id, _) = bench.device();
    let try_with = async |token: Option<String>, method: &str, path: String| {
        let mut request = bench
            .client
            .request(method.parse().unwrap(), bench.url(&path));
        if let Some(token) = token {
            request = request.header("Authorization", token);
        }
        let response = request.send().await.unwrap();
        let name = response.headers().get("iothub-errorcode").cloned();
        let name = name.map(|name| name.to_str().unwrap().to_owned());
        (response.status().as_u16(), name.unwrap_or_default())
    };
    let twin = || format!("/twins/{id}");
    let identity = || format!("/devices/{id}");
    let denied = (401, "IotHubUnauthorizedAccess".to_owned());
    for (policy, path, want) in [
        ("service", twin(), (200, String::new())),
        ("service", identity(), denied.clone()),
        ("registryRead", identity(), (200, String::new())),
        ("registryRead", twin(), denied.clone()),
        ("device", twin(), denied.clone()),
        ("iothubowner", identity(), (200, String::new())),
    ] {
        let token = Some(bench.token(policy));
        assert_eq!(try_with(token, "GET", path).await, want, "{policy}");
    }
    let unauthorized = (401, "IotHubUnauthorized".to_owned());
    assert_eq!(try_with(None, "GET", twin()).await, unauthorized);
    let text = bench.emulator.connection_string("service").unwrap();
    let key = field(&text, "SharedAccessKey");
    let expired = sign("localhost", &key, 1_700_000_000, Some("service"));
    assert_eq!(try_with(expired, "GET", twin()).await, unauthorized);
    let without_port = sign("localhost", &key, in_an_hour(), Some("service"));
    assert_eq!(try_with(without_port, "GET", twin()).await.0, 200);
    let other_hub = sign("other.test", &key, in_an_hour(), Some("service"));
    assert_eq!(try_with(other_hub, "GET", twin()).await, denied);
}

#[tokio::test]
async fn methods_of_devices_that_are_not_there() {
    let bench = Bench::start().await;
    let (id, _) = bench.device();
    let path = format!("/twins/{id}/methods");
    let call = json!({"methodName": "firmwareUpdate", "responseTimeoutInSeconds": "30"});
    let response = bench.send("POST", &path, &[], Some(call.clone())).await;
    assert_eq!(response.headers()["iothub-errorcode"], "DeviceNotOnline");
    let (status, body) = answer(response).await;
    let inner: Value = serde_json::from_str(body["Message"].as_str().unwrap()).unwrap();
    assert_eq!((status, &inner["errorCode"]), (404, &json!(404_103)));
    assert_eq!(inner["info"], json!({"timeout": "00:00:00"}));
    assert_eq!(bench.emulator.method_counts(&id).asked, 1);

    let response = bench
        .send("POST", "/twins/nobody/methods", &[], Some(call))
        .await;
    assert_eq!(response.headers()["iothub-errorcode"], "DeviceNotFound");
    let bad = json!({"methodName": "m", "responseTimeoutInSeconds": 1});
    let (status, body) = bench.call("POST", &path, Some(bad)).await;
    let inner: Value = serde_json::from_str(body["Message"].as_str().unwrap()).unwrap();
    assert_eq!((status, &inner["errorCode"]), (400, &json!(400_004)));
    assert_eq!(
        inner["message"],
        "responseTimeoutInSeconds must be within [5; 300]."
    );
}

#[tokio::test]
async fn packages_are_open_to_all() {
    let bench = Bench::start().await;
    let index: Value = bench
        .client
        .get(bench.url("/packages/"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let package = &index[0];
    let url = bench
        .emulator
        .package_url(package["name"].as_str().unwrap());
    let head = bench.client.head(&url).send().await.unwrap();
    let get = bench.client.get(&url).send().await.unwrap();
    for response in [&head, &get] {
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers();
        assert_eq!(
            headers["content-length"],
            package["size"].to_string().as_str()
        );
        assert_eq!(
            headers["x-package-sha256"],
            package["sha256"].as_str().unwrap()
        );
        assert!(headers.contains_key("etag"));
    }
    assert_eq!(head.bytes().await.unwrap().len(), 0);
    assert_eq!(get.bytes().await.unwrap(), packages::PACKAGES[0].bytes());
    let none = bench
        .client
        .get(bench.url("/packages/none"))
        .send()
        .await
        .unwrap();
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn bodies_that_are_no_json_and_paths_that_lead_nowhere() {
    let bench = Bench::start().await;
    let (id, _) = bench.device();
    for (method, path, code) in [
        ("PATCH", format!("/twins/{id}"), "GenericBadRequest"),
        ("GET", "/devices/a%20b".to_owned(), "IotHubFormatError"),
        ("GET", "/jobs/v2/x".to_owned(), "InvalidOperation"),
    ] {
        let response = bench.send(method, &path, &[], None).await;
        assert_eq!(response.headers()["iothub-errorcode"], code);
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }
    let large = json!({"tags": {"a": "x".repeat(2 * 1024 * 1024)}});
    let (status, _) = bench
        .call("PATCH", &format!("/twins/{id}"), Some(large))
        .await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn a_tier_refuses_in_the_hubs_words() {
    let bench = Bench::with(Settings {
        tier: Some((crate::domain::profile::Tier::S1, 1)),
        ..Settings::default()
    })
    .await;
    let query = json!({"query": "SELECT deviceId FROM devices"});
    for _ in 0..20 {
        assert_eq!(
            bench
                .call("POST", "/devices/query", Some(query.clone()))
                .await
                .0,
            200
        );
    }
    // The next would wait 3 s; behind it there is no room. Ask for both at once.
    let (first, second) = tokio::join!(
        bench.send("POST", "/devices/query", &[], Some(query.clone())),
        bench.send("POST", "/devices/query", &[], Some(query.clone())),
    );
    let refused = if first.status() == 429 { first } else { second };
    assert_eq!(
        refused.headers()["iothub-errorcode"],
        "ThrottlingBacklogTimeout"
    );
    assert_eq!(refused.headers()["connection"], "close");
    assert!(!refused.headers().contains_key("retry-after"));
    let body: Value = refused.json().await.unwrap();
    assert!(
        body["Message"]
            .as_str()
            .unwrap()
            .contains("Operation type: Query")
    );
}

#[tokio::test]
async fn what_is_kept_survives_a_restart() {
    let temp = tempfile::tempdir().unwrap();
    let settings = Settings {
        data: Some(temp.path().join("hub")),
        ..Settings::default()
    };
    let bench = Bench::with(settings.clone()).await;
    let (id, before) = bench.device();
    let patch = json!({"tags": {"site": "lab"}});
    let (_, twin) = bench
        .call("PATCH", &format!("/twins/{id}"), Some(patch))
        .await;
    let (ca, owner) = (
        bench.emulator.ca_pem().to_owned(),
        bench.emulator.connection_string("service"),
    );
    let taken = Emulator::start(settings.clone()).await;
    assert!(matches!(
        taken,
        Err(EmulatorError::Store(StoreError::InUse(_)))
    ));
    bench.emulator.shutdown().await;

    let bench = Bench::with(settings).await;
    let key = |text: &str| field(text, "SharedAccessKey");
    assert_eq!(key(&bench.device().1), key(&before));
    let now = bench.emulator.connection_string("service");
    assert_eq!(key(&now.unwrap()), key(&owner.unwrap()));
    assert_eq!(bench.emulator.ca_pem(), ca);
    assert_eq!(
        bench.call("GET", &format!("/twins/{id}"), None).await.1,
        twin
    );
}

#[tokio::test]
async fn what_others_need_is_said_as_json() {
    let bench = Bench::start().await;
    bench.emulator.create_identities("sim", 2).unwrap();
    let mode = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        path.metadata().unwrap().permissions().mode() & 0o777
    };
    let ca_file = bench.emulator.ca_file();
    assert_eq!(
        (mode(ca_file), mode(ca_file.parent().unwrap())),
        (0o600, 0o700)
    );
    let ready = serde_json::to_value(bench.emulator.ready_info()).unwrap();
    let keys: Vec<&String> = ready.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "hostName",
            "httpsPort",
            "mqttPort",
            "caFile",
            "serviceConnectionString",
            "devices"
        ]
    );
    let (https, mqtt) = (bench.emulator.https().port(), bench.emulator.mqtt().port());
    let text = ready["serviceConnectionString"].as_str().unwrap();
    assert!(text.starts_with(&format!(
        "HostName=localhost:{https};SharedAccessKeyName=iothubowner;"
    )));
    assert_eq!(ready["devices"][1]["deviceId"], "sim-0002");
    let text = ready["devices"][1]["connectionString"].as_str().unwrap();
    assert!(text.starts_with(&format!(
        "HostName=localhost:{mqtt};DeviceId=sim-0002;SharedAccessKey="
    )));
    let taken = Settings {
        https: bench.emulator.https(),
        ..Settings::default()
    };
    let error = Emulator::start(taken).await.unwrap_err().to_string();
    assert!(
        error.contains("--https") && error.contains("in use"),
        "{error}"
    );
}
