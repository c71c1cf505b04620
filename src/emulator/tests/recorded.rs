//! Beside a real hub: what is published of its traffic, replayed.
//!
//! * `azure-sdk-for-net`: `sdk/iot/Azure.IoT.Hub.Service/tests/SessionRecords`
//!   of `Azure/azure-sdk-for-net` (MIT), 2020 and 2021;
//! * `azure-cli`: the calls to a hub in `test_iot_hub.yaml` of `Azure/azure-cli`
//!   (MIT), 2016, as JSON;
//! * `observed-error-bodies.json`: bodies quoted in public issues.
//!
//! Each answer is compared field for field, in the order of its keys, and header
//! for header. What differs with good reason stands in [`DIFFERENCES`]; any other
//! difference fails, and so does a line of the table that nothing needs.
//!
//! `OTADECK_RECORDINGS` names the folder; without it the tests say so and do
//! nothing.

mod errors;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::devices::*;
use super::*;

/// A part of an answer that differs, in which files, and why. `*` stands for
/// every file.
struct Difference {
    file: &'static str,
    /// A path in the body, or `header name`.
    at: &'static str,
    why: &'static str,
}

const fn differs(file: &'static str, at: &'static str, why: &'static str) -> Difference {
    Difference { file, at, why }
}

const NO_CONFIGURATIONS: &str = "automatic configurations are not here";
const OF_2016: &str = "api-version of 2016; this hub answers as 2021-04-12 does";
const CREATED_ONLY: &str = "of 2016: no zone in any answer, today in that of a create only";

const DIFFERENCES: &[Difference] = &[
    differs("*", "header content-length", "RFC 9110 forbids it in a 204"),
    differs("Query", "(rows)", "queries here see a new device at once"),
    differs(
        "Query",
        "[0].properties.desired.$metadata.deviceContent_key.$lastUpdatedBy",
        NO_CONFIGURATIONS,
    ),
    differs(
        "Query",
        "[0].properties.desired.$metadata.deviceContent_key.$lastUpdatedByDigest",
        NO_CONFIGURATIONS,
    ),
    differs("Query", "[0].configurations", NO_CONFIGURATIONS),
    differs(
        "Statistics",
        "enabledDeviceCount",
        "the recorded counters lag: 6 of 5",
    ),
    differs("azure-cli", "header x-ms-request-id", OF_2016),
    differs("azure-cli", "header vary", OF_2016),
    differs("azure-cli", "authentication.type", OF_2016),
    differs("azure-cli", "capabilities", OF_2016),
    differs(
        "azure-cli",
        "authentication.x509Thumbprint",
        "null in 2016-02-03, which knew no thumbprints",
    ),
    differs("azure-cli", "connectionStateUpdatedTime", CREATED_ONLY),
    differs("azure-cli", "statusUpdatedTime", CREATED_ONLY),
    differs("azure-cli", "lastActivityTime", CREATED_ONLY),
];

/// Routes of the recordings that this hub does not have.
const ABSENT: &[&str] = &["/jobs/", "/messages/"];

/// The folder of the recordings.
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("OTADECK_RECORDINGS");
    if folder.is_none() {
        println!("skipped: OTADECK_RECORDINGS names no folder with recordings");
    }
    folder.map(PathBuf::from)
}

fn read(file: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// One recorded exchange, whatever its file's format.
struct Exchange {
    method: String,
    uri: Uri,
    if_match: Option<String>,
    body: Option<Value>,
    status: u64,
    headers: BTreeMap<String, String>,
    answer: Value,
}

/// Text that holds JSON, JSON itself, or nothing.
fn unpacked(value: &Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        Value::Array(items) if items.is_empty() => Value::Null,
        other => other.clone(),
    }
}

fn of_sdk(entry: &Value) -> Exchange {
    let headers = entry["ResponseHeaders"].as_object().unwrap();
    let lower = |(name, value): (&String, &Value)| {
        (
            name.to_ascii_lowercase(),
            value.as_str().unwrap().to_owned(),
        )
    };
    Exchange {
        method: entry["RequestMethod"].as_str().unwrap().to_owned(),
        uri: entry["RequestUri"].as_str().unwrap().parse().unwrap(),
        if_match: entry["RequestHeaders"]["If-Match"]
            .as_str()
            .map(str::to_owned),
        body: Some(unpacked(&entry["RequestBody"])).filter(|body| !body.is_null()),
        status: entry["StatusCode"].as_u64().unwrap(),
        headers: headers.iter().map(lower).collect(),
        answer: unpacked(&entry["ResponseBody"]),
    }
}

fn of_cli(entry: &Value) -> Exchange {
    let (request, response) = (&entry["request"], &entry["response"]);
    let first = |value: &Value| value[0].as_str().unwrap().to_owned();
    let headers = response["headers"].as_object().unwrap().iter();
    let if_match = &request["headers"]["If-Match"];
    Exchange {
        method: request["method"].as_str().unwrap().to_owned(),
        uri: request["uri"].as_str().unwrap().parse().unwrap(),
        if_match: if_match[0].as_str().map(str::to_owned),
        body: Some(unpacked(&request["body"])).filter(|body| !body.is_null()),
        status: response["status"]["code"].as_u64().unwrap(),
        headers: headers
            .map(|(k, v)| (k.to_ascii_lowercase(), first(v)))
            .collect(),
        answer: unpacked(&response["body"]["string"]),
    }
}

/// A replay: what of this hub's stands for what of the recorded one's.
struct Replay<'a> {
    bench: &'a Bench,
    file: &'a str,
    /// What is compared now, for the message of a failure.
    what: String,
    /// What the first identity's etag here is above the recorded one.
    above: HashMap<String, i128>,
    generations: HashMap<String, String>,
    used: &'a mut BTreeSet<usize>,
}

impl Replay<'_> {
    /// May `at` differ? Remembers that the line was needed.
    fn may_differ(&mut self, at: &str) -> bool {
        let row = at
            .strip_prefix("[0].")
            .or(at.strip_prefix("[1]."))
            .unwrap_or(at);
        let fits = |d: &Difference| {
            (d.file == "*" || self.file.contains(d.file)) && (d.at == at || d.at == row)
        };
        let found = DIFFERENCES.iter().position(fits);
        self.used.extend(found);
        found.is_some()
    }

    fn differs(&mut self, at: &str, ours: &str, theirs: &str) {
        let what = self.what.clone();
        assert!(
            self.may_differ(at),
            "{what}: {at} is {ours} here and {theirs} in the recording"
        );
    }

    async fn exchange(&mut self, recorded: &Exchange) {
        let path = recorded.uri.path();
        let query = recorded.uri.query().unwrap_or_default();
        let top = query.split('&').find(|pair| pair.starts_with("top="));
        let target = top.map_or(path.to_owned(), |top| format!("{path}?{top}"));
        self.what = format!("{}: {} {path}", self.file, recorded.method);
        let id = path.split('/').nth(2).unwrap_or_default().to_owned();
        let if_match = recorded
            .if_match
            .as_ref()
            .map(|etag| self.etag_here(&id, etag));
        let headers: Vec<_> = if_match.iter().map(|e| ("If-Match", e.as_str())).collect();
        let body = recorded.body.as_ref().map(writable);
        let response = self
            .bench
            .send(&recorded.method, &target, &headers, body)
            .await;
        if ABSENT.iter().any(|absent| path.contains(absent)) {
            assert_eq!(response.status(), 400, "{}", self.what);
            assert_eq!(response.headers()["iothub-errorcode"], "InvalidOperation");
            return;
        }
        assert_eq!(
            u64::from(response.status().as_u16()),
            recorded.status,
            "{}",
            self.what
        );
        let ours = response.headers().clone();
        let text = response.text().await.unwrap();
        let mut body: Value = serde_json::from_str(&text).unwrap_or_default();
        let mut theirs = recorded.answer.clone();
        // A list has no order.
        for list in [&mut body, &mut theirs] {
            if let Value::Array(rows) = list {
                rows.sort_by_key(|row| row["deviceId"].to_string());
            }
        }
        if body.as_array().map(Vec::len) != theirs.as_array().map(Vec::len) {
            self.differs("(rows)", &body.to_string(), &theirs.to_string());
        } else {
            self.compare("", &id, &body, &theirs);
        }
        self.compare_headers(&id, &ours, &recorded.headers, text.len());
    }

    fn compare_headers(
        &mut self,
        id: &str,
        ours: &axum::http::HeaderMap,
        theirs: &BTreeMap<String, String>,
        length: usize,
    ) {
        let ours: BTreeMap<_, _> = ours
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap()))
            .collect();
        let names: BTreeSet<_> = ours.keys().chain(theirs.keys()).cloned().collect();
        for name in names {
            let at = format!("header {name}");
            match (name.as_str(), ours.get(&name), theirs.get(&name)) {
                // Each request's own.
                ("date", Some(_), Some(_)) => {}
                ("x-ms-request-id", Some(ours), Some(theirs)) => {
                    for id in [ours, theirs.as_str()] {
                        assert!(uuid::Uuid::parse_str(id).is_ok(), "{id}");
                    }
                }
                ("content-length", Some(ours), Some(_)) => {
                    assert_eq!(*ours, length.to_string());
                }
                ("etag", Some(ours), Some(theirs)) => {
                    assert_eq!(*ours, self.etag_here(id, theirs), "{}", self.what);
                }
                (_, Some(ours), Some(theirs)) if ours == theirs => {}
                (_, ours, theirs) => {
                    self.differs(&at, &format!("{ours:?}"), &format!("{theirs:?}"));
                }
            }
        }
    }

    fn compare(&mut self, at: &str, id: &str, ours: &Value, theirs: &Value) {
        match (ours, theirs) {
            (Value::Object(a), Value::Object(b)) => {
                let id = a.get("deviceId").and_then(Value::as_str).unwrap_or(id);
                let mut common = [Vec::new(), Vec::new()];
                for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                    let inner = [at, key].join(if at.is_empty() { "" } else { "." });
                    match (a.get(key), b.get(key)) {
                        (Some(a), Some(b)) => self.compare(&inner, id, a, b),
                        (a, b) => self.differs(&inner, &format!("{a:?}"), &format!("{b:?}")),
                    }
                }
                for (side, map, other) in [(0, a, b), (1, b, a)] {
                    common[side].extend(map.keys().filter(|key| other.contains_key(*key)));
                }
                assert_eq!(
                    common[0], common[1],
                    "{}: the order of keys at {at:?}",
                    self.what
                );
            }
            (Value::Array(a), Value::Array(b)) => {
                for (n, (a, b)) in a.iter().zip(b).enumerate() {
                    self.compare(&format!("{at}[{n}]"), id, a, b);
                }
            }
            (ours, theirs) if ours == theirs => {}
            (Value::String(a), Value::String(b)) => self.compare_text(at, id, a, b),
            _ => self.differs(at, &ours.to_string(), &theirs.to_string()),
        }
    }

    /// Texts that are another hub's, another time's, another request's.
    fn compare_text(&mut self, at: &str, id: &str, ours: &str, theirs: &str) {
        let leaf = at.rsplit('.').next().unwrap_or(at);
        let same = match leaf {
            "etag" | "deviceEtag" => ours == self.etag_here(id, theirs),
            "generationId" => {
                let known = self.generations.entry(theirs.to_owned());
                ours.parse::<u64>().is_ok() && known.or_insert_with(|| ours.to_owned()) == ours
            }
            "primaryKey" | "secondaryKey" => STANDARD.decode(ours).is_ok_and(|key| key.len() == 32),
            "Message" => ours == self.message_here(id, theirs),
            "ExceptionMessage" => tracking(ours).is_some() && tracking(theirs).is_some(),
            _ => is_time(ours) && is_time(theirs),
        };
        if !same {
            self.differs(at, ours, theirs);
        }
    }

    /// A recorded identity's etag, in quotes or bare, as it is here.
    fn etag_here(&mut self, id: &str, theirs: &str) -> String {
        let bare = theirs.trim_matches('"');
        let Some(number) = counter(bare) else {
            return theirs.to_owned();
        };
        let here = self.bench.emulator.shell.read(|world, _| {
            let id = DeviceId::parse(id).ok()?;
            counter(&world.identity(&id).ok()?.etag)
        });
        let first = here.unwrap_or(number) - number;
        let above = *self.above.entry(id.to_owned()).or_insert(first);
        let etag = STANDARD.encode((number + above).to_string());
        theirs.replace(bare, &etag)
    }

    /// A recorded message with this hub's counters.
    fn message_here(&mut self, id: &str, theirs: &str) -> String {
        let above = self.above.get(id).copied().unwrap_or_default();
        let words = theirs.split(' ').map(|word| match word.split_once(':') {
            Some((name, number)) if name.ends_with("Version") => {
                let number: i128 = number.parse().unwrap();
                format!("{name}:{}", number + above)
            }
            _ => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

/// The number in an identity's etag.
fn counter(etag: &str) -> Option<i128> {
    String::from_utf8(STANDARD.decode(etag).ok()?)
        .ok()?
        .parse()
        .ok()
}

/// A time in UTC with at most seven digits of a second, the last none 0.
fn is_time(text: &str) -> bool {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    let digits = fraction.trim_end_matches('Z');
    !text.starts_with("0001")
        && text.ends_with('Z')
        && text.parse::<Timestamp>().is_ok()
        && digits.len() <= 7
        && !digits.ends_with('0')
}

/// `Tracking ID:<32 hex>[-G:n]-TimeStamp:MM/dd/yyyy HH:mm:ss`.
fn tracking(text: &str) -> Option<()> {
    let (id, time) = text
        .strip_prefix("Tracking ID:")?
        .split_once("-TimeStamp:")?;
    let hex = id.split('-').next()?;
    let is_hex = hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let time = jiff::civil::DateTime::strptime("%m/%d/%Y %H:%M:%S", time);
    (is_hex && time.is_ok()).then_some(())
}

/// The recorded body without what the publisher took out.
fn writable(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(authentication) = body.get_mut("authentication")
        && authentication["symmetricKey"]["primaryKey"] == "Sanitized"
    {
        authentication["symmetricKey"] = json!({});
    }
    body
}

/// What the recordings do not show: the device's side, and what a configuration
/// had written.
async fn meanwhile(bench: &Bench, file: &str, recorded: &Exchange, n: usize) -> Option<Device> {
    let id = recorded.uri.path().split('/').nth(2).unwrap_or_default();
    match (file.split('/').next().unwrap_or_default(), n) {
        ("QueryTests", 2) => {
            let key = "deviceContent_value-testconfigurations31074810987";
            let desired = json!({"properties": {"desired": {"deviceContent_key": key}}});
            bench
                .call("PATCH", "/twins/QueryDevice1136733538", Some(desired))
                .await;
            None
        }
        ("StatisticsClientTests", 0) => {
            bench.emulator.create_identities("dev", 5).unwrap();
            None
        }
        _ if recorded.uri.path().ends_with("/methods") => {
            let (_, identity) = bench.call("GET", &format!("/devices/{id}"), None).await;
            let key = &identity["authentication"]["symmetricKey"]["primaryKey"];
            let port = bench.emulator.mqtt().port();
            let text = format!(
                "HostName=localhost:{port};DeviceId={id};SharedAccessKey={}",
                key.as_str().unwrap()
            );
            Some(bench.connect(&text, &[METHODS]).await)
        }
        _ => None,
    }
}

/// Answers the recorded method as the recorded device did.
async fn answering(device: Option<Device>) {
    if let Some(mut device) = device {
        let asked = message(&mut device).await;
        let topic = asked.topic.replace("POST/someMethodToInvoke", "res/222");
        device.publish(&topic, b"", Qos::AtMostOnce).unwrap();
        device.flush().await.unwrap();
    }
}

#[tokio::test]
async fn answers_are_those_of_a_real_hub() {
    let Some(folder) = folder() else {
        return;
    };
    let mut used = BTreeSet::new();
    let sdk = [
        "DevicesClientTests/DevicesClient_IdentityLifecycle.json",
        "DevicesClientTests/DevicesClient_UpdateDevice_EtagDoesNotMatch.json",
        "DevicesClientTests/DevicesClient_DeviceTwinLifecycle.json",
        "DevicesClientTests/DevicesClient_InvokeMethodOnDeviceAsync.json",
        "QueryTests/QueryClient_GetAllDevicesTwinsWithTag.json",
        "StatisticsClientTests/StatisticsClient_Device_SuccessfulResponse.json",
    ];
    let cli = [
        "azure-cli/iot_hub_2016-11-10_api-2016-02-03.json",
        "azure-cli/iot_hub_2016-12-14_api-2016-11-14.json",
    ];
    let sdk = sdk.map(|file| {
        let recording = read(&folder.join("azure-sdk-for-net").join(file));
        let entries = recording["Entries"].as_array().unwrap().iter();
        (file, entries.map(of_sdk).collect::<Vec<_>>())
    });
    let cli = cli.map(|file| {
        let recording = read(&folder.join(file));
        let entries = recording["interactions"].as_array().unwrap().iter();
        (file, entries.map(of_cli).collect::<Vec<_>>())
    });
    for (file, exchanges) in sdk.iter().chain(&cli) {
        let bench = Bench::start().await;
        let mut replay = Replay {
            bench: &bench,
            file,
            what: String::new(),
            above: HashMap::new(),
            generations: HashMap::new(),
            used: &mut used,
        };
        for (n, recorded) in exchanges.iter().enumerate() {
            let device = meanwhile(&bench, file, recorded, n).await;
            tokio::join!(replay.exchange(recorded), answering(device));
        }
    }
    let idle = (0..DIFFERENCES.len()).filter(|n| !used.contains(n));
    let idle: Vec<_> = idle
        .map(|n| (DIFFERENCES[n].at, DIFFERENCES[n].why))
        .collect();
    assert!(idle.is_empty(), "nothing needs these lines: {idle:?}");
}
