//! What a device says: reported-property patches in its dialect's words.
//!
//! | dialect | times | cleared before a run |
//! |---|---|---|
//! | `tutorial-2018` | `2018-02-22 14:03:07.123456`, local, no zone (Python's `str(datetime.now())`) | nothing, as long as nothing of otadeck's own was said |
//! | `iothubDM` | `2017-01-01T00:00:00.000Z` (JavaScript's `toISOString()`) | the whole object, with null (C# tutorial) |
//! | `java-2017` | `2017-01-01T00:00:00.000`, local, no zone (Java's `LocalDateTime`) | nothing |
//!
//! Sources: `MicrosoftDocs/azure-docs`
//! `articles/iot-hub/iot-hub-python-python-firmware-update.md` @ 0d08eff7,
//! `articles/iot-hub/iot-hub-node-node-firmware-update.md` and
//! `includes/iot-hub-device-firmware-update.md` @ 13d147bf,
//! `articles/iot-hub/iot-hub-csharp-csharp-firmware-update.md` @ 007b3afb,
//! `articles/iot-hub/iot-hub-java-java-firmware-update.md` @ 08582b62.
//! Percentage, version, and the tutorial's error and URI are otadeck's own, at
//! the paths where `domain::dialect` looks for them.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::rules::{Behaviour, DeviceDialect, FailurePhase, UriReport};
use crate::domain::uri::redacted_text;

/// Characters of one padding property: the longest string that a twin takes.
const PADDING: usize = 4_096;

/// The time of the wall, as a device knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallTime {
    /// In UTC.
    pub utc: Timestamp,
    /// Where the device stands.
    pub local: DateTime,
}

impl WallTime {
    /// Now, in this machine's time zone.
    #[must_use]
    pub fn now() -> Self {
        Self::of(Timestamp::now(), &jiff::tz::TimeZone::system())
    }

    /// `utc` in the time zone `zone`.
    #[must_use]
    pub fn of(utc: Timestamp, zone: &jiff::tz::TimeZone) -> Self {
        Self {
            utc,
            local: zone.to_datetime(utc),
        }
    }

    /// The same on a clock that is off by so much.
    #[must_use]
    pub fn shifted(self, by: SignedDuration) -> Self {
        Self {
            utc: self.utc.saturating_add(by).unwrap_or(self.utc),
            local: self.local.saturating_add(by),
        }
    }

    /// `str(datetime.now())` of Python: microseconds, left out when 0.
    fn python(self) -> String {
        let micros = self.local.subsec_nanosecond() / 1_000;
        let seconds = self.local.strftime("%Y-%m-%d %H:%M:%S");
        match micros {
            0 => seconds.to_string(),
            micros => format!("{seconds}.{micros:06}"),
        }
    }

    fn javascript(self) -> String {
        let civil = jiff::tz::Offset::UTC.to_datetime(self.utc);
        civil.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }

    fn java(self) -> String {
        self.local.strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string()
    }
}

/// What is worth reporting.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum News<'a> {
    /// The program starts.
    Start { version: Option<&'a str> },
    /// The order is there.
    Waiting { uri: &'a str },
    /// The download begins; `percent` when one is reported.
    Downloading { uri: &'a str, percent: bool },
    /// The download goes on.
    Percent(u8),
    /// The package is there.
    Downloaded { percent: bool },
    /// The image is being applied.
    Applying { percent: bool },
    /// Done.
    Done { version: Option<&'a str> },
    /// Failed.
    Failed {
        phase: FailurePhase,
        reason: &'a str,
    },
}

/// The patches that say `news`, in order; none when the dialect has no word
/// for it.
pub(super) fn patches(behaviour: &Behaviour, news: &News<'_>, time: WallTime) -> Vec<Value> {
    match behaviour.dialect {
        DeviceDialect::Tutorial2018 => tutorial(behaviour, news, time),
        DeviceDialect::IothubDm => iothub_dm(behaviour, news, time),
        DeviceDialect::Java2017 => java(behaviour, news, time),
    }
}

/// The word for a status: the scenario's, else the dialect's, in the case that
/// the device writes.
fn word(behaviour: &Behaviour, own: Option<&String>, usual: &str) -> Value {
    let word = own.map_or(usual, String::as_str);
    Value::String(
        behaviour
            .case
            .map_or_else(|| word.to_owned(), |case| case.of(word)),
    )
}

fn shown(behaviour: &Behaviour, usual: UriReport, uri: &str) -> Option<Value> {
    match behaviour.uri.unwrap_or(usual) {
        UriReport::None => None,
        UriReport::Redacted => Some(Value::String(redacted_text(uri))),
        UriReport::Full => Some(Value::String(uri.to_owned())),
    }
}

/// A patch being put together; what is `None` is left out.
#[derive(Default)]
struct Patch(Map<String, Value>);

impl Patch {
    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    fn maybe(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            None => self,
            Some(value) => self.with(name, value),
        }
    }

    fn padded(mut self, padding: usize) -> Self {
        for n in 0..padding {
            self = self.with(&format!("padding{n}"), "x".repeat(PADDING));
        }
        self
    }

    fn object(self) -> Value {
        Value::Object(self.0)
    }
}

/// Does this device ever say more than the tutorial's? Then what it said is
/// taken back at the beginning of the next run.
fn says_more(behaviour: &Behaviour) -> bool {
    behaviour.firmware.is_some() || behaviour.percent || behaviour.fails.is_some()
}

fn tutorial(behaviour: &Behaviour, news: &News<'_>, time: WallTime) -> Vec<Value> {
    let says = &behaviour.says;
    let now = time.python();
    let status = |own: Option<&String>, usual| {
        Patch::default().with("firmwareStatus", word(behaviour, own, usual))
    };
    let full = |percent: bool| percent.then_some(100);
    let patch = match news {
        News::Start { version } => status(says.idle.as_ref(), "standBy")
            .with("logTime", now)
            .maybe("firmwareVersion", *version)
            .padded(behaviour.padding),
        News::Waiting { .. } | News::Downloaded { .. } => return Vec::new(),
        News::Downloading { uri, percent } => status(says.downloading.as_ref(), "downloading")
            .with("downloadComplete", now)
            .maybe("fwPackageUri", shown(behaviour, UriReport::None, uri))
            .maybe("downloadPercent", percent.then_some(0))
            .maybe("firmwareError", says_more(behaviour).then_some(Value::Null)),
        News::Percent(percent) => Patch::default().with("downloadPercent", *percent),
        News::Applying { percent } => status(says.applying.as_ref(), "applying")
            .with("startedApplyingImage", now)
            .maybe("downloadPercent", full(*percent)),
        News::Done { version } => status(says.done.as_ref(), "completed")
            .with("lastFirmwareUpdate", now)
            .maybe("firmwareVersion", *version),
        News::Failed { reason, .. } => {
            status(says.failed.as_ref(), "failed").with("firmwareError", *reason)
        }
    };
    vec![patch.object()]
}

fn iothub_dm(behaviour: &Behaviour, news: &News<'_>, time: WallTime) -> Vec<Value> {
    let says = &behaviour.says;
    let now = time.javascript();
    let status =
        |own: Option<&String>, usual| Patch::default().with("status", word(behaviour, own, usual));
    let whole = |update: Patch, version: Option<&str>| {
        let update = Patch::default().with("firmwareUpdate", update.object());
        json!({ "iothubDM": update.maybe("firmwareVersion", version).object() })
    };
    let update = match news {
        News::Start { version } => {
            let version = version.map(|v| json!({ "firmwareVersion": v }));
            let patch = Patch::default().maybe("iothubDM", version);
            return not_empty(patch.padded(behaviour.padding));
        }
        News::Waiting { uri } => {
            let update = status(says.waiting.as_ref(), "waiting")
                .maybe("fwPackageUri", shown(behaviour, UriReport::Redacted, uri))
                .with("error", Value::Null)
                .with("startedWaitingTime", now);
            let clear = json!({ "iothubDM": { "firmwareUpdate": null } });
            return vec![clear, whole(update, None)];
        }
        News::Downloading { percent, .. } => status(says.downloading.as_ref(), "downloading")
            .maybe("downloadPercent", percent.then_some(0)),
        News::Percent(percent) => Patch::default().with("downloadPercent", *percent),
        News::Downloaded { percent } => status(says.downloaded.as_ref(), "downloadComplete")
            .with("downloadCompleteTime", now)
            .maybe("downloadPercent", percent.then_some(100)),
        News::Applying { .. } => {
            status(says.applying.as_ref(), "applying").with("startedApplyingImage", now)
        }
        News::Done { version } => {
            let update =
                status(says.done.as_ref(), "applyComplete").with("lastFirmwareUpdate", now);
            return vec![whole(update, *version)];
        }
        News::Failed { phase, reason } => {
            let (usual, code) = match phase {
                FailurePhase::Downloading => ("downloadfailed", "DownloadError"),
                FailurePhase::Applying => ("applyFailed", "ApplyError"),
            };
            status(says.failed.as_ref(), usual)
                .with("error", json!({ "code": code, "message": reason }))
        }
    };
    vec![whole(update, None)]
}

fn java(behaviour: &Behaviour, news: &News<'_>, time: WallTime) -> Vec<Value> {
    let says = &behaviour.says;
    let now = time.java();
    let status =
        |own: Option<&String>, usual| Patch::default().with("status", word(behaviour, own, usual));
    let update = match news {
        News::Start { version } => {
            let version = version.map(|v| json!({ "firmwareVersion": v }));
            let patch = Patch::default().maybe("firmwareUpdate", version);
            return not_empty(patch.padded(behaviour.padding));
        }
        News::Waiting { uri } => status(says.waiting.as_ref(), "waiting")
            .maybe("fwPackageUri", shown(behaviour, UriReport::Redacted, uri))
            .with("startedWaitingTime", now)
            .maybe("error", says_more(behaviour).then_some(Value::Null)),
        News::Downloading { .. } | News::Percent(_) | News::Applying { .. } => return Vec::new(),
        News::Downloaded { .. } => status(says.downloaded.as_ref(), "downloadComplete")
            .with("downloadCompleteTime", now.clone())
            .with("startedApplyingImage", now),
        News::Done { version } => status(says.done.as_ref(), "applyComplete")
            .with("lastFirmwareUpdate", now)
            .maybe("firmwareVersion", *version),
        News::Failed { phase, reason } => {
            let usual = match phase {
                FailurePhase::Downloading => "downloadFailed",
                FailurePhase::Applying => "applyFailed",
            };
            status(says.failed.as_ref(), usual).with("error", json!({ "message": reason }))
        }
    };
    vec![json!({ "firmwareUpdate": update.object() })]
}

fn not_empty(patch: Patch) -> Vec<Value> {
    if patch.0.is_empty() {
        return Vec::new();
    }
    vec![patch.object()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time() -> WallTime {
        WallTime::of(
            "2018-02-22T13:03:07.123456Z".parse().unwrap(),
            &jiff::tz::TimeZone::fixed(jiff::tz::offset(1)),
        )
    }

    fn said(dialect: DeviceDialect, news: &News<'_>) -> Value {
        let behaviour = Behaviour {
            dialect,
            ..Behaviour::default()
        };
        Value::Array(patches(&behaviour, news, time()))
    }

    const URI: &str = "https://x.test/fw.bin?sig=s";

    #[rstest::rstest]
    #[case(News::Start { version: None }, json!([{"firmwareStatus": "standBy", "logTime": "2018-02-22 14:03:07.123456"}]))]
    #[case(News::Waiting { uri: URI }, json!([]))]
    #[case(News::Downloading { uri: URI, percent: false }, json!([{"firmwareStatus": "downloading", "downloadComplete": "2018-02-22 14:03:07.123456"}]))]
    #[case(News::Downloaded { percent: false }, json!([]))]
    #[case(News::Applying { percent: false }, json!([{"firmwareStatus": "applying", "startedApplyingImage": "2018-02-22 14:03:07.123456"}]))]
    #[case(News::Done { version: None }, json!([{"firmwareStatus": "completed", "lastFirmwareUpdate": "2018-02-22 14:03:07.123456"}]))]
    #[case(News::Percent(52), json!([{"downloadPercent": 52}]))]
    #[case(News::Failed { phase: FailurePhase::Applying, reason: "why" }, json!([{"firmwareStatus": "failed", "firmwareError": "why"}]))]
    fn the_tutorial_of_2018(#[case] news: News<'_>, #[case] want: Value) {
        assert_eq!(said(DeviceDialect::Tutorial2018, &news), want);
    }

    #[rstest::rstest]
    #[case(News::Start { version: None }, json!([]))]
    #[case(News::Start { version: Some("1") }, json!([{"iothubDM": {"firmwareVersion": "1"}}]))]
    #[case(News::Waiting { uri: URI }, json!([
        {"iothubDM": {"firmwareUpdate": null}},
        {"iothubDM": {"firmwareUpdate": {"status": "waiting", "fwPackageUri": "https://x.test/fw.bin?sig=***", "error": null, "startedWaitingTime": "2018-02-22T13:03:07.123Z"}}}
    ]))]
    #[case(News::Downloading { uri: URI, percent: false }, json!([{"iothubDM": {"firmwareUpdate": {"status": "downloading"}}}]))]
    #[case(News::Downloaded { percent: true }, json!([{"iothubDM": {"firmwareUpdate": {"status": "downloadComplete", "downloadCompleteTime": "2018-02-22T13:03:07.123Z", "downloadPercent": 100}}}]))]
    #[case(News::Applying { percent: true }, json!([{"iothubDM": {"firmwareUpdate": {"status": "applying", "startedApplyingImage": "2018-02-22T13:03:07.123Z"}}}]))]
    #[case(News::Done { version: Some("2") }, json!([{"iothubDM": {"firmwareUpdate": {"status": "applyComplete", "lastFirmwareUpdate": "2018-02-22T13:03:07.123Z"}, "firmwareVersion": "2"}}]))]
    #[case(News::Failed { phase: FailurePhase::Downloading, reason: "why" }, json!([{"iothubDM": {"firmwareUpdate": {"status": "downloadfailed", "error": {"code": "DownloadError", "message": "why"}}}}]))]
    #[case(News::Failed { phase: FailurePhase::Applying, reason: "why" }, json!([{"iothubDM": {"firmwareUpdate": {"status": "applyFailed", "error": {"code": "ApplyError", "message": "why"}}}}]))]
    fn the_tutorials_of_2017(#[case] news: News<'_>, #[case] want: Value) {
        assert_eq!(said(DeviceDialect::IothubDm, &news), want);
    }

    #[rstest::rstest]
    #[case(News::Waiting { uri: "https://x.test/a" }, json!([{"firmwareUpdate": {"status": "waiting", "fwPackageUri": "https://x.test/a", "startedWaitingTime": "2018-02-22T14:03:07.123"}}]))]
    #[case(News::Downloading { uri: URI, percent: true }, json!([]))]
    #[case(News::Downloaded { percent: true }, json!([{"firmwareUpdate": {"status": "downloadComplete", "downloadCompleteTime": "2018-02-22T14:03:07.123", "startedApplyingImage": "2018-02-22T14:03:07.123"}}]))]
    #[case(News::Applying { percent: true }, json!([]))]
    #[case(News::Done { version: None }, json!([{"firmwareUpdate": {"status": "applyComplete", "lastFirmwareUpdate": "2018-02-22T14:03:07.123"}}]))]
    fn the_java_tutorial(#[case] news: News<'_>, #[case] want: Value) {
        assert_eq!(said(DeviceDialect::Java2017, &news), want);
    }

    #[test]
    fn python_leaves_whole_seconds_without_a_fraction() {
        let utc = "2018-02-22T13:03:07Z".parse().unwrap();
        let time = WallTime::of(utc, &jiff::tz::TimeZone::UTC);
        assert_eq!(time.python(), "2018-02-22 13:03:07");
        assert_eq!(time.java(), "2018-02-22T13:03:07.000");
    }

    #[test]
    fn the_words_and_the_padding_of_a_scenario_replace_the_usual_ones() {
        let mut behaviour = Behaviour::default();
        behaviour.says.idle = Some("\u{1b}[2J".to_owned());
        behaviour.padding = 2;
        let patches = patches(&behaviour, &News::Start { version: None }, time());
        assert_eq!(patches[0]["firmwareStatus"], "\u{1b}[2J");
        assert_eq!(patches[0]["padding1"].as_str().unwrap().len(), 4_096);
        assert!(patches[0].to_string().len() < 32 * 1024);
    }

    #[test]
    fn a_device_that_says_more_takes_an_old_error_back() {
        let behaviour = Behaviour {
            percent: true,
            ..Behaviour::default()
        };
        let news = News::Downloading {
            uri: URI,
            percent: true,
        };
        let patch = &patches(&behaviour, &news, time())[0];
        assert_eq!(patch["downloadPercent"], 0);
        assert!(patch.get("firmwareError").unwrap().is_null());
    }
}
