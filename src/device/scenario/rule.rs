//! One rule of a scenario, and what rules add up to.

use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;

/// The words in which a device reports; see `domain::dialect` for the reader's
/// side and the sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum DeviceDialect {
    /// `firmwareStatus` at the top level.
    #[default]
    #[serde(rename = "tutorial-2018")]
    Tutorial2018,
    /// `iothubDM.firmwareUpdate.status`.
    #[serde(rename = "iothubDM")]
    IothubDm,
    /// `firmwareUpdate.status` at the top level.
    #[serde(rename = "java-2017")]
    Java2017,
}

/// A step of an update on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Between the method's answer and the download.
    Waiting,
    /// The package is on its way.
    Downloading,
    /// The package is there; only `iothubDM` and `java-2017` say so.
    Downloaded,
    /// The package is being installed.
    Applying,
}

/// Where an update may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailurePhase {
    /// While downloading.
    Downloading,
    /// While applying.
    Applying,
}

/// How an update fails: half way through the phase.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Where.
    pub phase: FailurePhase,
    /// Why, in the device's words.
    pub reason: String,
}

/// What the method answers instead of starting an update (status 400 or more),
/// or when starting one.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The device's status: 400 and above is a no.
    pub status: u16,
    /// What comes with it.
    #[serde(default)]
    pub payload: Value,
}

/// How a device reports the package's URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UriReport {
    /// Not at all, as the 2018 tutorial's.
    None,
    /// Without credentials and signatures.
    Redacted,
    /// As it came, signature included, as the 2017 tutorials' devices do.
    Full,
}

/// Words that a device says instead of its dialect's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sayings {
    /// At start; only `tutorial-2018` says anything then.
    pub idle: Option<String>,
    /// After the method.
    pub waiting: Option<String>,
    /// While downloading.
    pub downloading: Option<String>,
    /// With the package on the device.
    pub downloaded: Option<String>,
    /// While applying.
    pub applying: Option<String>,
    /// After a success.
    pub done: Option<String>,
    /// After a failure.
    pub failed: Option<String>,
}

/// What one device does, all rules applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// Does it ever connect?
    pub connects: bool,
    /// In which words it reports.
    pub dialect: DeviceDialect,
    /// The version that it reports at start; `None` reports none, ever.
    pub firmware: Option<String>,
    /// The version after an update whose package's name holds none; `None`
    /// leaves it as it was.
    pub next_firmware: Option<String>,
    /// Does it report a percentage of a pretended download? That of a real one
    /// it always does.
    pub percent: bool,
    /// How it reports the package's URI; `None` is the dialect's way.
    pub uri: Option<UriReport>,
    /// From the method's answer to the download.
    pub waiting: Duration,
    /// How long downloading takes, at least for a real download.
    pub downloading: Duration,
    /// How long the package lies there.
    pub downloaded: Duration,
    /// How long applying takes.
    pub applying: Duration,
    /// Each of the four takes longer by up to this fraction of itself.
    pub jitter: f64,
    /// Where and why updates fail.
    pub fails: Option<Failure>,
    /// The step that never ends.
    pub stalls: Option<Step>,
    /// The link is cut for so long when applying begins.
    pub reboot: Option<Duration>,
    /// What the method answers; `None` is 200 and the tutorial's words.
    pub answer: Option<Answer>,
    /// The method is never answered, though the update is not begun either.
    pub silent: bool,
    /// Words instead of the dialect's.
    pub says: Sayings,
    /// So many further properties of 4,096 characters are reported at start.
    /// A twin takes 32 KB: seven fit.
    pub padding: usize,
}

impl Default for Behaviour {
    /// The tutorial's device: 15 s a step, and nothing but its own words.
    fn default() -> Self {
        let step = Duration::from_secs(15);
        Self {
            connects: true,
            dialect: DeviceDialect::default(),
            firmware: None,
            next_firmware: None,
            percent: false,
            uri: None,
            waiting: step,
            downloading: step,
            downloaded: Duration::ZERO,
            applying: step,
            jitter: 0.0,
            fails: None,
            stalls: None,
            reboot: None,
            answer: None,
            silent: false,
            says: Sayings::default(),
            padding: 0,
        }
    }
}

/// A table of a scenario: what it does not say stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Rule {
    pub(super) ids: Option<Ids>,
    connects: Option<bool>,
    dialect: Option<DeviceDialect>,
    firmware: Option<String>,
    next_firmware: Option<String>,
    percent: Option<bool>,
    uri: Option<UriReport>,
    waiting: Option<Span>,
    downloading: Option<Span>,
    downloaded: Option<Span>,
    applying: Option<Span>,
    jitter: Option<Fraction>,
    fails: Option<Failure>,
    stalls: Option<Step>,
    reboot: Option<Span>,
    answer: Option<Answer>,
    silent: Option<bool>,
    says: Option<Sayings>,
    padding: Option<usize>,
}

impl Rule {
    pub(super) fn matches(&self, id: &str) -> bool {
        self.ids.as_ref().is_some_and(|ids| ids.match_id(id))
    }

    pub(super) fn apply(&self, to: &mut Behaviour) {
        fn set<T: Clone>(to: &mut T, from: Option<&T>) {
            if let Some(value) = from {
                *to = value.clone();
            }
        }
        fn some<T: Clone>(to: &mut Option<T>, from: Option<&T>) {
            if from.is_some() {
                *to = from.cloned();
            }
        }
        set(&mut to.connects, self.connects.as_ref());
        set(&mut to.dialect, self.dialect.as_ref());
        some(&mut to.firmware, self.firmware.as_ref());
        some(&mut to.next_firmware, self.next_firmware.as_ref());
        set(&mut to.percent, self.percent.as_ref());
        some(&mut to.uri, self.uri.as_ref());
        set(&mut to.waiting, self.waiting.map(|s| s.0).as_ref());
        set(&mut to.downloading, self.downloading.map(|s| s.0).as_ref());
        set(&mut to.downloaded, self.downloaded.map(|s| s.0).as_ref());
        set(&mut to.applying, self.applying.map(|s| s.0).as_ref());
        set(&mut to.jitter, self.jitter.map(|f| f.0).as_ref());
        some(&mut to.fails, self.fails.as_ref());
        some(&mut to.stalls, self.stalls.as_ref());
        some(&mut to.reboot, self.reboot.map(|s| s.0).as_ref());
        some(&mut to.answer, self.answer.as_ref());
        set(&mut to.silent, self.silent.as_ref());
        set(&mut to.says, self.says.as_ref());
        set(&mut to.padding, self.padding.as_ref());
    }
}

/// Ids or patterns in which `*` stands for any text: one, or a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "an id, a pattern like \"sim-*\", or a list of them"
)]
pub(super) enum Ids {
    One(String),
    Many(Vec<String>),
}

impl Ids {
    pub(super) fn is_empty(&self) -> bool {
        self.patterns().is_empty()
    }

    fn match_id(&self, id: &str) -> bool {
        self.patterns()
            .iter()
            .any(|p| glob(p.as_bytes(), id.as_bytes()))
    }

    fn patterns(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Does `text` match `pattern`, in which `*` stands for any text? In linear
/// space and without recursion: only the last `*` is ever gone back to.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// `"2s"`, `"500ms"`, `"1m 30s"`: at most a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Span(Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong =
            || format!("\"{text}\" is no duration of at most a day, such as \"2s\" or \"500ms\"");
        let span: SignedDuration = text.parse().map_err(|_| wrong())?;
        let span = Duration::try_from(span).map_err(|_| wrong())?;
        if span > Duration::from_secs(86_400) {
            return Err(wrong());
        }
        Ok(Self(span))
    }
}

/// 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
struct Fraction(f64);

impl TryFrom<f64> for Fraction {
    type Error = String;

    fn try_from(number: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&number) {
            return Ok(Self(number));
        }
        Err(format!("{number} is not between 0 and 1"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[rstest::rstest]
    #[case("sim-*", "sim-0001", true)]
    #[case("sim-*", "sim-", true)]
    #[case("sim-*", "sin-1", false)]
    #[case("*", "", true)]
    #[case("*-00*1", "sim-0011", true)]
    #[case("*-00*1", "sim-0012", false)]
    #[case("sim-0010", "sim-0010", true)]
    #[case("sim-0010", "sim-00100", false)]
    #[case("", "a", false)]
    fn globs(#[case] pattern: &str, #[case] text: &str, #[case] want: bool) {
        assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), want);
    }

    proptest! {
        #[test]
        fn what_a_star_replaces_is_matched(a in "[ab]{0,5}", b in "[ab]{0,5}", c in "[ab]{0,5}", x in "[ab]{0,5}", y in "[ab]{0,5}") {
            let text = format!("{a}{x}{b}{y}{c}");
            let pattern = format!("{a}*{b}*{c}");
            prop_assert!(glob(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
