//! The words in which devices report progress, and how they are started.
//!
//! Built in are the families of Microsoft's firmware-update tutorials of 2017
//! and 2018 (sources at [`Dialects::built_in`]). A dialect is data: paths and
//! value → phase for reading; method and payload for starting. Values match
//! without regard to case. An unknown value is kept as it is.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::clean;
use super::phase::Phase;
use super::twin::{Path, Section, Twin};
use super::uri::PackageUri;

/// How an update is started on a device of this dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A JSON object `{"fwPackageUri": "…"}`.
    Object,
    /// The bare URI as a string (the Java tutorial of 2017).
    BareUri,
}

impl Payload {
    /// The payload that asks for the package at `uri`.
    #[must_use]
    pub fn build(self, uri: &str) -> Value {
        match self {
            Self::Object => json!({ "fwPackageUri": uri }),
            Self::BareUri => Value::String(uri.to_owned()),
        }
    }
}

/// One way of reporting progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The name in events and on screen.
    pub name: &'static str,
    /// Where the status stands; its presence is how the dialect is recognised.
    pub status: Path,
    /// Status value, in lower case, → phase.
    values: Vec<(&'static str, Phase)>,
    /// Where the percentage of the download may stand; it says nothing about
    /// any other phase.
    percent: Path,
    /// Where the running firmware's version may stand.
    version: Path,
    /// Where the package URI that the device works on may stand.
    uri: Path,
    /// Where the reason of a failure may stand.
    error: Path,
    /// Where the end of the last update may stand.
    pub end: Path,
    /// The properties that belong to an update, for `reported` in events.
    object: Vec<Path>,
    /// The direct method that starts an update.
    pub method: &'static str,
    /// The payload that it takes.
    pub payload: Payload,
}

/// A property's text with the hub's stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// The value as text.
    pub text: String,
    /// When the hub saw it written.
    pub stamp: Option<Timestamp>,
}

/// What a dialect reads out of the reported properties.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The status as reported; absent when the device reports none.
    pub value: Option<String>,
    /// What the dialect makes of it; [`Phase::Idle`] when there is none.
    pub phase: Phase,
    /// When the hub saw the status written.
    pub stamp: Option<Timestamp>,
    /// 0 to 100, while the device downloads and reports a percentage.
    pub percent: Option<f64>,
    /// When the hub saw that written.
    pub percent_stamp: Option<Timestamp>,
    /// The running firmware's version.
    pub version: Option<Stamped>,
    /// The package URI that the device works on.
    pub uri: Option<Stamped>,
    /// Why it failed, in the device's words.
    pub error: Option<Stamped>,
    /// When the last update ended, in the device's words.
    pub end: Option<Stamped>,
    /// The dialect's own properties, bounded.
    pub object: Value,
}

impl Dialect {
    /// Reads the reported properties in this dialect's words.
    #[must_use]
    pub fn read(&self, reported: &Section) -> Reading {
        let value = reported.get(&self.status).map(text_of);
        let phase = value.as_deref().map_or(Phase::Idle, |v| self.phase_of(v));
        let percent = reported.get(&self.percent).and_then(percent_of);
        Reading {
            phase,
            value,
            stamp: reported.stamp(&self.status),
            percent: percent.filter(|_| phase == Phase::Downloading),
            percent_stamp: reported.stamp(&self.percent),
            version: stamped(reported, &self.version),
            uri: stamped(reported, &self.uri),
            error: stamped(reported, &self.error),
            end: stamped(reported, &self.end),
            object: self.object(reported),
        }
    }

    /// The phase that a status value stands for.
    #[must_use]
    pub fn phase_of(&self, value: &str) -> Phase {
        let lower = value.trim().to_lowercase();
        self.values
            .iter()
            .find(|(word, _)| *word == lower)
            .map_or(Phase::Unknown, |(_, phase)| *phase)
    }

    /// The active phases that this dialect knows, in order: the steps of a
    /// gauge and of a timeline.
    #[must_use]
    pub fn phases(&self) -> Vec<Phase> {
        let mut phases: Vec<Phase> = self
            .values
            .iter()
            .map(|(_, phase)| *phase)
            .filter(|phase| phase.is_active())
            .collect();
        phases.sort_unstable();
        phases.dedup();
        phases
    }

    /// The properties that an inventory query asks for: status, version, end.
    #[must_use]
    pub fn inventory_paths(&self) -> [&Path; 3] {
        [&self.status, &self.version, &self.end]
    }

    /// The method's payload for the package at `uri`, with its secrets.
    #[must_use]
    pub fn payload_for(&self, uri: &PackageUri) -> Value {
        self.payload.build(uri.expose())
    }

    fn object(&self, reported: &Section) -> Value {
        let mut object = Map::new();
        for path in &self.object {
            if let Some(value) = reported.get(path) {
                object.insert(path.to_string(), value.clone());
            }
        }
        clean::bounded(&Value::Object(object))
    }
}

fn stamped(reported: &Section, path: &Path) -> Option<Stamped> {
    Some(Stamped {
        text: text_of(reported.get(path)?),
        stamp: reported.stamp(path),
    })
}

/// A property as text: a string as it is, anything else as JSON; cut to what
/// a journal can bear.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => clean::bounded_text(text),
        other => clean::bounded_text(&clean::bounded(other).to_string()),
    }
}

fn percent_of(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => text.trim().trim_end_matches('%').trim().parse().ok(),
        _ => None,
    }?;
    number.is_finite().then(|| number.clamp(0.0, 100.0))
}

/// The dialects in use, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialects(Vec<Dialect>);

impl Default for Dialects {
    fn default() -> Self {
        Self::built_in()
    }
}

impl Dialects {
    /// The tutorial families:
    ///
    /// * `tutorial-2018`: `firmwareStatus` at the top level (Python tutorial,
    ///   `MicrosoftDocs/azure-docs`
    ///   `articles/iot-hub/iot-hub-python-python-firmware-update.md` @ 0d08eff7).
    /// * `iothubDM`: `iothubDM.firmwareUpdate.status` (Node and C# tutorials of
    ///   2017, the Node SDK's and the C SDK's samples;
    ///   `includes/iot-hub-device-firmware-update.md` @ 13d147bf,
    ///   `iothub_client_sample_mqtt_dm` @ 96c69099).
    /// * `java-2017`: `firmwareUpdate.status` at the top level
    ///   (`articles/iot-hub/iot-hub-java-java-firmware-update.md` @ 08582b62).
    ///
    /// The percentage's and the version's paths are otadeck's own, except
    /// `iothubDM.firmwareVersion`, which is the C sample's.
    #[must_use]
    pub fn built_in() -> Self {
        Self(vec![tutorial_2018(), iothub_dm(), java_2017()])
    }

    /// The dialect that a device speaks, by what its twin holds: a status, else
    /// a version; the 2018 tutorial's when it holds neither.
    #[must_use]
    pub fn recognise(&self, twin: &Twin) -> &Dialect {
        let holds = |path: &Path| twin.reported.get(path).is_some();
        let by_status = self.0.iter().find(|dialect| holds(&dialect.status));
        by_status
            .or_else(|| self.0.iter().find(|dialect| holds(&dialect.version)))
            .unwrap_or(&self.0[0])
    }

    /// The dialect to read an update's twin in: the one of that name, or the
    /// one that the device turns out to speak when it had said nothing before.
    #[must_use]
    pub fn reading(&self, name: &str, twin: &Twin) -> &Dialect {
        let named = self.named(name);
        match twin.reported.get(&named.status) {
            Some(_) => named,
            None => self.recognise(twin),
        }
    }

    /// The dialect of that name; the first when there is none such.
    #[must_use]
    pub fn named(&self, name: &str) -> &Dialect {
        self.0
            .iter()
            .find(|dialect| dialect.name == name)
            .unwrap_or(&self.0[0])
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Dialect> {
        self.0.iter()
    }
}

const FAILURES: [(&str, Phase); 7] = [
    ("failed", Phase::Failed),
    ("error", Phase::Failed),
    ("downloadfailed", Phase::Failed),
    ("applyfailed", Phase::Failed),
    ("download image failed", Phase::Failed),
    ("apply image failed", Phase::Failed),
    ("rolledback", Phase::Failed),
];

fn tutorial_2018() -> Dialect {
    let mut values = vec![
        ("standby", Phase::Idle),
        ("downloading", Phase::Downloading),
        ("applying", Phase::Applying),
        ("completed", Phase::Done),
    ];
    values.extend(FAILURES);
    Dialect {
        name: "tutorial-2018",
        status: "firmwareStatus".into(),
        values,
        percent: "downloadPercent".into(),
        version: "firmwareVersion".into(),
        uri: "fwPackageUri".into(),
        error: "firmwareError".into(),
        end: "lastFirmwareUpdate".into(),
        object: [
            "firmwareStatus",
            "firmwareVersion",
            "fwPackageUri",
            "downloadPercent",
            "downloadComplete",
            "startedApplyingImage",
            "lastFirmwareUpdate",
            "firmwareError",
            "logTime",
        ]
        .map(Path::from)
        .to_vec(),
        method: "firmwareUpdate",
        payload: Payload::Object,
    }
}

fn iothub_dm() -> Dialect {
    let mut values = vec![
        ("waiting", Phase::Queued),
        ("downloading", Phase::Downloading),
        ("downloadcomplete", Phase::Downloaded),
        ("download complete", Phase::Downloaded),
        ("applying", Phase::Applying),
        ("applycomplete", Phase::Done),
        ("apply firmware image complete", Phase::Done),
    ];
    values.extend(FAILURES);
    Dialect {
        name: "iothubDM",
        status: "iothubDM.firmwareUpdate.status".into(),
        values,
        percent: "iothubDM.firmwareUpdate.downloadPercent".into(),
        version: "iothubDM.firmwareVersion".into(),
        uri: "iothubDM.firmwareUpdate.fwPackageUri".into(),
        error: "iothubDM.firmwareUpdate.error".into(),
        end: "iothubDM.firmwareUpdate.lastFirmwareUpdate".into(),
        object: vec!["iothubDM".into()],
        method: "firmwareUpdate",
        payload: Payload::Object,
    }
}

fn java_2017() -> Dialect {
    let mut values = vec![
        ("waiting", Phase::Queued),
        ("downloading", Phase::Downloading),
        ("downloadcomplete", Phase::Downloaded),
        ("applying", Phase::Applying),
        ("applycomplete", Phase::Done),
    ];
    values.extend(FAILURES);
    Dialect {
        name: "java-2017",
        status: "firmwareUpdate.status".into(),
        values,
        percent: "firmwareUpdate.downloadPercent".into(),
        version: "firmwareUpdate.firmwareVersion".into(),
        uri: "firmwareUpdate.fwPackageUri".into(),
        error: "firmwareUpdate.error".into(),
        end: "firmwareUpdate.lastFirmwareUpdate".into(),
        object: vec!["firmwareUpdate".into()],
        method: "firmwareUpdate",
        payload: Payload::BareUri,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("tutorial-2018", "standBy", Phase::Idle)]
    #[case("tutorial-2018", "COMPLETED", Phase::Done)]
    #[case("tutorial-2018", " downloading ", Phase::Downloading)]
    #[case("tutorial-2018", "completed!", Phase::Unknown)]
    #[case("iothubDM", "waiting", Phase::Queued)]
    #[case("iothubDM", "downloadfailed", Phase::Failed)]
    #[case("iothubDM", "downloadFailed", Phase::Failed)]
    #[case("iothubDM", "Apply firmware image complete", Phase::Done)]
    #[case("iothubDM", "download complete", Phase::Downloaded)]
    #[case("java-2017", "applyComplete", Phase::Done)]
    fn values_map_without_regard_to_case(
        #[case] dialect: &str,
        #[case] value: &str,
        #[case] phase: Phase,
    ) {
        assert_eq!(Dialects::built_in().named(dialect).phase_of(value), phase);
    }

    #[rstest::rstest]
    #[case(json!(52), Some(52.0))]
    #[case(json!("52 %"), Some(52.0))]
    #[case(json!(-3), Some(0.0))]
    #[case(json!(1e300), Some(100.0))]
    #[case(json!("NaN"), None)]
    #[case(json!([1]), None)]
    fn percentages_are_numbers_between_0_and_100(#[case] value: Value, #[case] want: Option<f64>) {
        assert_eq!(percent_of(&value), want);
    }

    #[test]
    fn payloads_have_the_shape_that_each_tutorial_takes() {
        let uri = "https://x.test/a";
        assert_eq!(Payload::Object.build(uri), json!({"fwPackageUri": uri}));
        assert_eq!(Payload::BareUri.build(uri), json!(uri));
    }

    #[test]
    fn each_dialect_gives_the_steps_of_its_gauge() {
        let dialects = Dialects::built_in();
        assert_eq!(
            dialects.named("tutorial-2018").phases(),
            [Phase::Downloading, Phase::Applying]
        );
        assert_eq!(
            dialects.named("iothubDM").phases(),
            [
                Phase::Queued,
                Phase::Downloading,
                Phase::Downloaded,
                Phase::Applying
            ]
        );
    }
}
