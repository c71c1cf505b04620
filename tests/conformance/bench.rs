//! A hub in this process, a proxy before it, and a script of an SDK that says
//! what it sees.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use otadeck::domain::id::DeviceId;
use otadeck::emulator::{Emulator, Settings};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::checks::Expected;
use super::proxy::Proxy;
use super::sdk::{Installed, OTHER_NAME, Redirect};

/// How long a whole scenario may take; the waits inside are shorter.
const SCENARIO: Duration = Duration::from_secs(120);
/// The hub's name: looks like none of loopback, so that the redirection is
/// what leads to it.
const HOST: &str = "conformance-hub.test";

/// An id with the signs that an id may hold; without `;`, which no connection
/// string can, and `+` and `#`, which no topic to publish to can.
pub const SIGNS: &str = "press-1:a.b_c@(d)!,*$'=e%20f?g";

/// Does the script get the hub's certificate authority?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    Given,
    Missing,
}

/// A hub and its proxy.
pub struct Bench {
    emulator: Emulator,
    proxy: Proxy,
    devices: Vec<(DeviceId, String)>,
}

impl Bench {
    /// A hub with the identities `cell-0001` to `cell-{identities}`.
    pub async fn start(identities: usize) -> Self {
        // Another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = Settings {
            host_name: HOST.to_owned(),
            ..Settings::default()
        };
        let emulator = Emulator::start(settings).await.unwrap();
        let devices = emulator.create_identities("cell", identities).unwrap();
        let proxy = Proxy::before(emulator.mqtt()).await;
        Self {
            emulator,
            proxy,
            devices,
        }
    }

    /// Runs a script to its end, answering what it asks for.
    pub async fn run(&self, sdk: &Installed, script: &str, trust: Trust) -> Seen {
        let redirect = Redirect {
            host: HOST.to_owned(),
            https: self.emulator.https().port(),
            mqtt: self.proxy.addr.port(),
        };
        let ca = (trust == Trust::Given).then(|| self.emulator.ca_file());
        let mut command = sdk.command(script, &redirect, ca);
        command.env("CONFORMANCE_BENCH", self.settings().to_string());
        let mut child = tokio::process::Command::from(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stderr = child.stderr.take().unwrap();
        let words = tokio::spawn(async move {
            let mut words = Vec::new();
            // What came until it broke is still worth showing.
            let _ = stderr.read_to_end(&mut words).await;
            String::from_utf8_lossy(&words).into_owned()
        });
        let mut seen = Seen {
            what: format!("{:?} {script}", sdk.sdk),
            ..Seen::default()
        };
        let whole = tokio::time::timeout(SCENARIO, async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(question) = seen.take(&line) {
                    let answer = format!("{}\n", self.answer(&question));
                    input.write_all(answer.as_bytes()).await.unwrap();
                }
            }
            child.wait().await.unwrap()
        });
        seen.ended = match whole.await {
            Ok(status) => status.to_string(),
            Err(_) => format!("killed after {SCENARIO:?}"),
        };
        child.kill().await.ok();
        seen.words = words.await.unwrap();
        seen
    }

    /// What a script has to know: names as if this were a hub of the cloud.
    fn settings(&self) -> Value {
        let plain = |text: &str| {
            let (host, rest) = text.split_once(';').unwrap();
            let host = host.split(':').next().unwrap();
            format!("{host};{rest}")
        };
        let policy = |name| plain(&self.emulator.connection_string(name).unwrap());
        let devices = self.devices.iter();
        let devices = devices.map(|(id, text)| (id.to_string(), Value::from(plain(text))));
        json!({
            "host": HOST,
            "otherName": OTHER_NAME,
            "signs": SIGNS,
            "owner": policy("iothubowner"),
            "registryRead": policy("registryRead"),
            "devices": Value::Object(devices.collect()),
        })
    }

    fn answer(&self, question: &Value) -> Value {
        match question["ask"].as_str().unwrap() {
            "cut" => {
                self.proxy.cut();
                json!(true)
            }
            "away" => {
                self.proxy.away(question["is"].as_bool().unwrap());
                json!(true)
            }
            "connections" => json!(self.proxy.accepted()),
            "methods" => {
                let id = DeviceId::parse(question["device"].as_str().unwrap()).unwrap();
                let counts = self.emulator.method_counts(&id);
                json!({"delivered": counts.delivered, "answered": counts.answered})
            }
            other => panic!("no such question: {other}"),
        }
    }
}

/// What a script saw, check by check.
#[derive(Default)]
pub struct Seen {
    what: String,
    checks: BTreeMap<String, Vec<Value>>,
    /// Lines that are none of ours: the SDK's own.
    noise: Vec<String>,
    ended: String,
    words: String,
}

impl Seen {
    /// Takes a line of stdout; gives it back if it is a question.
    fn take(&mut self, line: &str) -> Option<Value> {
        let value: Value = serde_json::from_str(line).unwrap_or_default();
        if let Some(name) = value["check"].as_str() {
            let saw = self.checks.entry(name.to_owned()).or_default();
            saw.push(value["saw"].clone());
            return None;
        }
        if value["ask"].is_string() {
            return Some(value);
        }
        self.noise.push(line.to_owned());
        None
    }

    /// Every expected check once and as expected, none besides, a clean end.
    pub fn judge(mut self, expected: &Expected) {
        let mut wrong = Vec::new();
        for (name, value) in expected {
            match self.checks.remove(*name).as_deref() {
                Some([saw]) if saw == value => {}
                Some(saw) => {
                    let saw: Vec<String> = saw.iter().map(readable).collect();
                    let saw = saw.join("\n    and ");
                    wrong.push(format!("{name}\n    expected {value}\n    saw {saw}"));
                }
                None => wrong.push(format!("{name}\n    was not reported")),
            }
        }
        for (name, saw) in &self.checks {
            let saw = saw
                .iter()
                .map(readable)
                .collect::<Vec<_>>()
                .join("\n    and ");
            wrong.push(format!(
                "{name}\n    is no check of this scenario; saw {saw}"
            ));
        }
        if self.ended != "exit status: 0" {
            wrong.push(format!("the script ended with {}", self.ended));
        }
        assert!(
            wrong.is_empty(),
            "{}:\n\n{}\n\nstdout besides the checks:\n{}\n\nstderr:\n{}",
            self.what,
            wrong.join("\n\n"),
            self.noise.join("\n"),
            self.words
        );
    }
}

/// An error's own lines as lines.
fn readable(saw: &Value) -> String {
    match saw["unexpected"].as_str() {
        Some(text) => format!("an error:\n{text}"),
        None => saw.to_string(),
    }
}
