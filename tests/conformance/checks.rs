//! What each scenario must see, with each SDK.
//!
//! The table is one for all generations; where they differ it is because the SDK
//! names an error in its own way or has no such call, never because the hub
//! answers differently.

use serde_json::{Value, json};

use super::bench::SIGNS;
use super::sdk::Sdk;

/// Checks by name, each with what must be seen.
pub type Expected = Vec<(&'static str, Value)>;

/// A refusal over HTTP: its status, the hub's code, and the class that Node's
/// service SDK makes of it. Python has one class for all.
fn refused(sdk: Sdk, status: u16, code: impl Into<Value>, node: &str) -> Value {
    let class = match sdk {
        Sdk::Python => "HttpOperationError",
        Sdk::Node | Sdk::Node2018 => node,
    };
    json!({"error": class, "status": status, "code": code.into()})
}

fn no_device(sdk: Sdk) -> Value {
    refused(sdk, 404, "DeviceNotFound", "DeviceNotFoundError")
}

fn stale(sdk: Sdk) -> Value {
    refused(sdk, 412, "PreconditionFailed", "InvalidEtagError")
}

fn no_right(sdk: Sdk) -> Value {
    refused(sdk, 401, "IotHubUnauthorizedAccess", "UnauthorizedError")
}

/// A method that the hub itself refuses. Node knows the codes of method errors
/// no better than as an `Error`.
fn no_method(sdk: Sdk, code: u32) -> Value {
    refused(sdk, 404, code, "Error")
}

/// CONNACK 5.
fn connack_5(sdk: Sdk) -> Value {
    match sdk {
        Sdk::Python => json!({"error": "CredentialError", "cause": "UnauthorizedError"}),
        Sdk::Node => json!({
            "error": "UnauthorizedError",
            "cause": "Failure on first connection (Not authorized): \
                      Connection refused: Not authorized",
        }),
        // It takes the code for a socket's; it is the CONNACK's.
        Sdk::Node2018 => json!({"error": "NotConnectedError", "cause": 5}),
    }
}

/// Registry and queries.
pub fn registry(sdk: Sdk) -> Expected {
    let mut all = vec![
        ("versions", sdk.pins()),
        (
            "create",
            json!({
                "id": "made", "status": "enabled", "reason": "new", "keys": true,
                "state": "Disconnected", "etag": true,
            }),
        ),
        ("create without keys", json!([true, true])),
        (
            "create again",
            refused(sdk, 409, "DeviceAlreadyExists", "DeviceAlreadyExistsError"),
        ),
        ("get", json!({"id": "made", "reason": "new", "keys": true})),
        ("get nobody", no_device(sdk)),
        (
            "update whatever it is",
            json!({"status": "disabled", "reason": "third", "etag changed": true}),
        ),
        ("update nobody", no_device(sdk)),
        ("list", json!({"all": 27, "distinct": 27, "made": true})),
        ("statistics", json!([27, 26, 1])),
        (
            "delete whatever it is",
            json!([no_device(sdk), no_device(sdk)]),
        ),
        ("delete nobody", no_device(sdk)),
        (
            "query in pages",
            json!({"pages": [10, 10, 5], "each once": true, "tags": true}),
        ),
        (
            "query in full pages",
            json!({"rows": 20, "at most two with rows": true}),
        ),
        (
            "query with a projection",
            json!({"rows": 5, "fields": ["deviceId", "n"], "n": [0, 5, 10, 15, 20]}),
        ),
        (
            "query that is none",
            refused(sdk, 400, "ArgumentInvalid", "ArgumentError"),
        ),
        ("query without rows", json!([])),
        ("a wrong key", json!([no_right(sdk), no_right(sdk)])),
        (
            "a policy that may only read",
            json!(["cell-0001", no_right(sdk), no_right(sdk)]),
        ),
    ];
    if sdk == Sdk::Python {
        // Node's SDKs write identities whatever their etag.
        all.extend([
            (
                "update with the etag",
                json!({"status": "disabled", "reason": "first", "etag changed": true}),
            ),
            ("update with a stale etag", json!([stale(sdk), "first"])),
            ("delete with a stale etag", json!([stale(sdk), "made"])),
            ("list of two", json!(2)),
            ("query types", json!(["Twin", "Raw"])),
        ]);
    }
    all
}

/// Twins, methods, telemetry; who may connect.
pub fn device(sdk: Sdk) -> Expected {
    let told = |status: u16| json!({"status": status, "payload": {"told": true}});
    let mut all = vec![
        ("versions", sdk.pins()),
        ("offline: a method", no_method(sdk, 404_103)),
        (
            "offline: a method that waits for nobody",
            no_method(sdk, 404_103),
        ),
        ("connect", json!({"service": "Connected"})),
        (
            "twin: the device reads",
            json!({"desired": {}, "versions": [1, 1]}),
        ),
        (
            "desired: a patch with the etag",
            json!({
                "patch": {"interval": 5, "mode": {"night": true}}, "version": 1,
                "tags": {"site": "lab"}, "etag changed": true,
            }),
        ),
        (
            "desired: a patch with a stale etag",
            json!({
                "refused": stale(sdk), "the next patch": {"mode": null},
                "desired": {"interval": 6}, "device": {"interval": 6},
            }),
        ),
        (
            "reported",
            json!({
                "reported": {"firmwareStatus": "standBy", "nested": {"a": [1, "ä"]}},
                "version": 2, "stamped": true,
            }),
        ),
        (
            "method",
            json!([
                "firmwareUpdate",
                {
                    "status": 200,
                    "payload": {"got": {"fwPackageUri": "https://example.test/fw", "n": [1, null]}},
                },
            ]),
        ),
        (
            "method: the device's own status",
            json!([told(202), told(400), told(404), told(500)]),
        ),
        ("method: payloads", json!(["", 0, false, "text", [], {}])),
        (
            "method: nothing said",
            // Python's service SDK leaves a payload of None out, and its device
            // SDK gives a missing one as an empty text.
            json!({
                "asked": if sdk == Sdk::Python { json!("") } else { Value::Null },
                "answered": {"status": 200, "payload": null},
            }),
        ),
        ("method: unknown device", no_method(sdk, 404_001)),
        (
            "method: no answer",
            json!({
                "refused": refused(sdk, 504, 504_101, "GatewayTimeoutError"),
                "delivered, not answered": 1,
            }),
        ),
        ("telemetry", json!(true)),
        (
            "method: waits for the device",
            json!({"status": 200, "payload": {"got": 1}}),
        ),
        (
            "disabled",
            json!({
                "lost": true, "method": no_method(sdk, 404_001), "connect": connack_5(sdk),
                "enabled again": "Connected",
            }),
        ),
        ("the second key", json!("Connected")),
        (
            "an id with signs",
            json!({
                "made": SIGNS, "patch": {"mark": 1},
                "method": {"status": 200, "payload": {"got": 1}},
                "reported": {"mark": 2}, "deleted": no_device(sdk),
            }),
        ),
        ("a wrong device key", connack_5(sdk)),
        ("an unknown device", connack_5(sdk)),
    ];
    if sdk == Sdk::Python {
        // Node's service SDKs have no call that replaces a twin.
        all.extend([
            (
                "desired: replaced with the etag",
                json!({
                    "patch": {"channel": "beta"}, "desired": {"channel": "beta"},
                    "tags": {"floor": 2}, "device": {"channel": "beta"},
                }),
            ),
            (
                "desired: replaced with a stale etag",
                json!({"refused": stale(sdk), "desired": {"channel": "stable"}}),
            ),
        ]);
    }
    all
}

/// Links that end, and what works before and after.
pub fn links(sdk: Sdk) -> Expected {
    let works =
        |mark: &str| json!({"desired": mark, "method": mark, "reported": mark, "read": mark});
    let ended = match sdk {
        Sdk::Python => connack_5(sdk),
        // Not its first connection, so both take the CONNACK's code for a
        // socket's.
        Sdk::Node | Sdk::Node2018 => json!({"error": "NotConnectedError", "cause": 5}),
    };
    let mut all = vec![
        ("versions", sdk.pins()),
        (
            "a hub that is away",
            json!([works("before"), {"lost": true}, works("after")]),
        ),
        (
            "a cut connection",
            json!([
                works("before"),
                {"lost": true}, works("after 1"),
                {"lost": true}, works("after 2"),
            ]),
        ),
        (
            "taken over",
            json!({
                "first lost": true, "second": works("mine"), "second lost": false,
                "first heard": 0,
            }),
        ),
        (
            "a token that ends",
            json!({
                "before": works("before"), "lost": true, "ended": ended,
                "fresh": works("after"),
            }),
        ),
        (
            "a token that is renewed",
            json!([works("before"), works("after")]),
        ),
    ];
    if sdk == Sdk::Python {
        // Node's SDKs ping each three minutes and cannot be told otherwise.
        let quiet = json!({"lost": false, "connected": "Connected"});
        all.push(("a quiet device", quiet));
    }
    all
}

/// How an SDK says that it does not trust a certificate: service, then device.
fn distrust(sdk: Sdk, why: Distrust) -> (Value, Value) {
    let (verify, code, text) = match why {
        Distrust::Name => (
            62,
            "ERR_TLS_CERT_ALTNAME_INVALID",
            "Hostname/IP does not match certificate's altnames",
        ),
        Distrust::Issuer => (
            20,
            "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
            "unable to verify the first certificate",
        ),
    };
    let python =
        |error| json!({"error": error, "cause": "SSLCertVerificationError", "verify": verify});
    let node = |error| json!({"error": error, "cause": code});
    match sdk {
        Sdk::Python => (python("ClientRequestError"), python("ClientError")),
        // It has one class for all that fails a first connection.
        Sdk::Node => {
            let cause = format!("Failure on first connection (Not authorized): {text}");
            let device = json!({"error": "UnauthorizedError", "cause": cause});
            (node("Error"), device)
        }
        Sdk::Node2018 => (node("Error"), node("NotConnectedError")),
    }
}

/// What is wrong with a certificate.
#[derive(Clone, Copy)]
enum Distrust {
    /// It is for another name.
    Name,
    /// It is by nobody known.
    Issuer,
}

/// The hub's certificate with its authority given: only its own name passes.
pub fn trust_given(sdk: Sdk) -> Expected {
    let (service, device) = distrust(sdk, Distrust::Name);
    vec![
        ("versions", sdk.pins()),
        ("service", json!({"done": "cell-0001"})),
        ("device", json!({"done": "true"})),
        ("service, another name", service),
        ("device, another name", device),
    ]
}

/// Without its authority nothing passes.
pub fn trust_missing(sdk: Sdk) -> Expected {
    let (service, device) = distrust(sdk, Distrust::Issuer);
    vec![
        ("versions", sdk.pins()),
        ("service", service.clone()),
        ("device", device.clone()),
        ("service, another name", service),
        ("device, another name", device),
    ]
}
