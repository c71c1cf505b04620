//! What one device does, all rules applied.

use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;

use crate::domain::span::Span;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
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

/// What a previous run left in the twin when the device starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartsAs {
    /// It came to its end.
    Completed,
    /// It failed.
    Failed,
    /// It was cut off in the download.
    Downloading,
    /// It was cut off while applying.
    Applying,
}

/// How the words of a status are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// `COMPLETED`
    Upper,
    /// `completed`
    Lower,
    /// `Completed`
    Title,
}

impl Case {
    /// `text` written so.
    #[must_use]
    pub fn of(self, text: &str) -> String {
        match self {
            Self::Upper => text.to_uppercase(),
            Self::Lower => text.to_lowercase(),
            Self::Title => {
                let mut letters = text.chars();
                let first = letters.next().into_iter().flat_map(char::to_uppercase);
                first.chain(letters.flat_map(char::to_lowercase)).collect()
            }
        }
    }
}

/// Is the method answered, and the update begun?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Silence {
    /// It is answered.
    #[default]
    None,
    /// Neither.
    Whole,
    /// It is not answered, and yet the update begins.
    Starts,
}

impl<'de> Deserialize<'de> for Silence {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "true, false or \"starts\"")]
        enum Said {
            Bool(bool),
            Word(Word),
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Word {
            Starts,
        }
        Ok(match Said::deserialize(from)? {
            Said::Bool(false) => Self::None,
            Said::Bool(true) => Self::Whole,
            Said::Word(Word::Starts) => Self::Starts,
        })
    }
}

/// Applying restarts the device again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RebootsTable")]
pub struct Reboots {
    /// So often; `None` is for ever.
    pub count: Option<u32>,
    /// How long the link is gone each time.
    pub away: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RebootsTable {
    count: Option<u32>,
    #[serde(default)]
    forever: bool,
    away: Span,
}

impl TryFrom<RebootsTable> for Reboots {
    type Error = String;

    fn try_from(table: RebootsTable) -> Result<Self, String> {
        let count = match (table.count, table.forever) {
            (Some(0), _) => return Err("reboots of count 0 are none: leave them out".to_owned()),
            (Some(count), false) => Some(count),
            (None, true) => None,
            _ => return Err("reboots take either count = 3 or forever = true".to_owned()),
        };
        Ok(Self {
            count,
            away: table.away.0,
        })
    }
}

/// Where a device's link goes for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vanishing {
    /// Half way through the download.
    Downloading,
    /// Half way through applying.
    Applying,
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
    /// The stalled step ends after so long, and the update goes on.
    pub finishes_after: Option<Duration>,
    /// The link is cut for so long when applying begins.
    pub reboot: Option<Duration>,
    /// The device restarts each time it applies, several times.
    pub reboots: Option<Reboots>,
    /// Where the link is gone for good, in the middle of an update.
    pub vanishes: Option<Vanishing>,
    /// What the method answers; `None` is 200 and the tutorial's words.
    pub answer: Option<Answer>,
    /// Is the method answered at all?
    pub silent: Silence,
    /// Words instead of the dialect's.
    pub says: Sayings,
    /// How the words of a status are written; `None` leaves them.
    pub case: Option<Case>,
    /// What a previous run left in the twin.
    pub starts_as: Option<StartsAs>,
    /// On each further connection everything said so far is reported again.
    pub resends: bool,
    /// The percentage goes back now and then.
    pub percent_jumps: bool,
    /// How far the clock is off by which the device writes times. Tokens are
    /// not signed by it.
    pub clock: SignedDuration,
    /// How long its tokens live; `None` leaves that to the settings.
    pub token: Option<Duration>,
    /// Does it come back with a fresh token before the old one ends? One that
    /// does not goes on with its first token for ever.
    pub renews: bool,
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
            finishes_after: None,
            reboot: None,
            reboots: None,
            vanishes: None,
            answer: None,
            silent: Silence::None,
            says: Sayings::default(),
            case: None,
            starts_as: None,
            resends: false,
            percent_jumps: false,
            clock: SignedDuration::ZERO,
            token: None,
            renews: true,
            padding: 0,
        }
    }
}

/// Tokens end at whole seconds, so none lives shorter than this.
const SHORTEST_TOKEN: Duration = Duration::from_secs(2);

impl Behaviour {
    /// The same with every time divided by `times`.
    #[must_use]
    pub fn faster(mut self, times: u32) -> Self {
        for time in [
            &mut self.waiting,
            &mut self.downloading,
            &mut self.downloaded,
            &mut self.applying,
        ] {
            *time /= times;
        }
        self.finishes_after = self.finishes_after.map(|time| time / times);
        self.reboot = self.reboot.map(|time| time / times);
        self.reboots = self.reboots.map(|reboots| Reboots {
            away: reboots.away / times,
            ..reboots
        });
        let token = |time: Duration| (time / times).max(SHORTEST_TOKEN.min(time));
        self.token = self.token.map(token);
        self
    }

    /// What of it cannot be together.
    ///
    /// # Errors
    /// A sentence that names both.
    pub fn check(&self) -> Result<(), String> {
        let fails = self.fails.as_ref().map(|failure| match failure.phase {
            FailurePhase::Downloading => Step::Downloading,
            FailurePhase::Applying => Step::Applying,
        });
        let vanishes = self.vanishes.map(|place| match place {
            Vanishing::Downloading => Step::Downloading,
            Vanishing::Applying => Step::Applying,
        });
        let for_good = self.stalls.filter(|_| self.finishes_after.is_none());
        let problems = [
            (
                self.padding > 7,
                "padding is 7 at most: a twin takes 32 KB, and would refuse every report",
            ),
            (
                self.finishes_after.is_some() && self.stalls.is_none(),
                "finishes_after ends a stall: say with stalls which step stalls",
            ),
            (
                self.reboot.is_some() && self.reboots.is_some(),
                "reboot is one restart and reboots are several: say one of them",
            ),
            (
                self.stalls.is_some() && fails == self.stalls,
                "a step that stalls never fails: let fails or stalls name another",
            ),
            (
                for_good.is_some_and(|stalls| vanishes.is_some_and(|v| v >= stalls)),
                "a device that stalls for ever never gets to where it vanishes",
            ),
            (
                fails.is_some_and(|fails| vanishes.is_some_and(|v| v >= fails)),
                "an update that fails never gets to where the device vanishes",
            ),
            (
                self.reboots.is_some() && fails == Some(Step::Applying),
                "reboots never get to where applying fails",
            ),
            (
                self.reboots.is_some() && self.stalls == Some(Step::Applying),
                "reboots never get to where applying stalls",
            ),
            (
                self.silent != Silence::None && self.answer.is_some(),
                "a silent device gives no answer: say silent or answer",
            ),
            (
                self.token.is_some_and(|life| life.as_secs() == 0),
                "a token lives whole seconds: token takes 1s at least",
            ),
        ];
        match problems.iter().find(|(wrong, _)| *wrong) {
            Some((_, problem)) => Err((*problem).to_owned()),
            None => Ok(()),
        }
    }
}
