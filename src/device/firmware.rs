//! The firmware of a simulated device, without I/O: inputs in, outputs out,
//! time and chance as values.
//!
//! ```text
//!           method            waiting over         over / downloaded
//!  idle ───────────► waiting ─────────────► downloading ─────► downloaded ─┐
//!   ▲  200             │                        │ half way,      (2017      │
//!   │                  │ stalls: for ever       │ HTTP status,    only)     ▼
//!   │                  ▼                        │ hash        half way   applying
//!   └── done ◄─────────────────────────────── failed ◄─────────────────────┤
//!   ▲                                                                       │ over
//!   └───────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! `reboots` let applying begin anew, several times or for ever; `vanishes` ends
//! the device half way through a step: it is never heard of again.
//!
//! What is said at each step, and in which words, is in `speech`.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::download;
use super::order;
use super::rules::{Behaviour, DeviceDialect, FailurePhase, Silence, StartsAs, Step, Vanishing};
use super::speech::{self, News, WallTime};
use crate::domain::phase::Phase;

/// The method that starts an update.
const METHOD: &str = "firmwareUpdate";
/// A percentage is reported at most so often.
const PERCENT_EVERY: Duration = Duration::from_millis(250);
/// With `percent_jumps`, each so many-th percentage is half of what is true.
const JUMP_EACH: u32 = 4;
/// How long ago the run was that `starts_as` tells of.
const YESTERDAY: SignedDuration = SignedDuration::from_hours(24);

/// When something happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// A clock that never goes back, from any beginning.
    pub now: Duration,
    /// What the clock on the wall says.
    pub wall: WallTime,
    /// Uniformly distributed in 0..1, for the jitter of a step.
    pub chance: f64,
}

/// What happens to the firmware.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<'a> {
    /// The program has started and is connected for the first time.
    Started,
    /// It is connected again, however long it was gone.
    Reconnected,
    /// A direct method was called.
    Method {
        /// Which.
        name: &'a str,
        /// Its payload as it came: JSON or nothing.
        payload: &'a [u8],
    },
    /// [`Firmware::wake_at`] has come.
    Tick,
    /// A real download goes on: 0 to 100.
    DownloadProgress(f64),
    /// A real download has ended: with a package whose size and hash are
    /// right, or with the reason why not.
    DownloadDone(Result<(), String>),
}

/// What the firmware wants done, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Report this patch; a `passing` one may be dropped when a newer follows.
    Report {
        /// The reported properties to merge.
        patch: Value,
        /// Is it a mere percentage?
        passing: bool,
    },
    /// Answer the method. Without this output the method is not answered.
    Answer {
        /// The device's status.
        status: u16,
        /// The payload.
        payload: Value,
    },
    /// Download the package and tell with `DownloadProgress` and
    /// `DownloadDone`.
    Download {
        /// Where from.
        uri: String,
        /// How long it shall take at least.
        least: Duration,
    },
    /// Cut the connection for so long.
    Reboot(Duration),
    /// End the connection and never make another.
    Vanish,
    /// The update has entered this phase; for whoever looks on.
    Phase(Phase),
}

/// The state of one device's firmware.
#[derive(Clone, Debug)]
pub struct Firmware {
    behaviour: Behaviour,
    hub: String,
    version: Option<String>,
    run: Option<Run>,
    /// All that was ever reported, when it may have to be said again.
    said: Map<String, Value>,
    /// The device has vanished.
    gone: bool,
}

/// An update under way.
#[derive(Clone, Debug)]
struct Run {
    uri: String,
    step: Step,
    since: Duration,
    /// When the step ends; `None` while a real download runs, or for ever.
    until: Option<Duration>,
    /// How long the step is by plan, whatever cuts it short.
    length: Duration,
    /// How it ends.
    end: End,
    /// How often it has restarted.
    restarts: u32,
    /// How many percentages were told.
    told: u32,
    /// Is the package really downloaded?
    real: bool,
    next_percent: Option<Duration>,
}

/// How a step ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The next one begins.
    Well,
    /// In failure.
    Failure,
    /// The same begins once more.
    Again,
    /// The device is gone.
    Gone,
}

impl Firmware {
    /// A device that does what `behaviour` says; packages of the host `hub`
    /// are really downloaded.
    #[must_use]
    pub fn new(behaviour: Behaviour, hub: &str) -> Self {
        Self {
            version: behaviour.firmware.clone(),
            behaviour,
            hub: hub.to_owned(),
            run: None,
            said: Map::new(),
            gone: false,
        }
    }

    /// Goes on with the version that `reported`, which the hub has kept, tells
    /// of: what the flash would hold after earlier runs. A device that reports
    /// no version has none to remember.
    pub fn recall(&mut self, reported: &Value) {
        let kept = reported.pointer(match self.behaviour.dialect {
            DeviceDialect::Tutorial2018 => "/firmwareVersion",
            DeviceDialect::IothubDm => "/iothubDM/firmwareVersion",
            DeviceDialect::Java2017 => "/firmwareUpdate/firmwareVersion",
        });
        if let (Some(version), Some(kept)) = (&mut self.version, kept.and_then(Value::as_str)) {
            kept.clone_into(version);
        }
    }

    /// The version that runs now, if the device reports one at all.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// When the next [`Input::Tick`] is due.
    #[must_use]
    pub fn wake_at(&self) -> Option<Duration> {
        let run = self.run.as_ref()?;
        [run.until, run.next_percent].into_iter().flatten().min()
    }

    /// Takes one input and says what is to be done.
    pub fn step(&mut self, input: Input<'_>, at: Moment) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            _ if self.gone => {}
            Input::Started => self.start(at, &mut out),
            Input::Reconnected => {
                if self.behaviour.resends && !self.said.is_empty() {
                    let patch = Value::Object(self.said.clone());
                    let passing = false;
                    out.push(Output::Report { patch, passing });
                }
            }
            Input::Method { name, payload } => self.method(name, payload, at, &mut out),
            Input::Tick => self.tick(at, &mut out),
            Input::DownloadProgress(percent) => {
                if self.downloads_really() {
                    let percent = self.told(whole(percent));
                    self.say(&News::Percent(percent), at, &mut out);
                }
            }
            Input::DownloadDone(result) => {
                if self.downloads_really() {
                    match result {
                        Ok(()) => self.advance(at, &mut out),
                        Err(reason) => {
                            self.fail(FailurePhase::Downloading, &reason, at, &mut out);
                        }
                    }
                }
            }
        }
        out
    }

    /// What stands in the twin after the start, in one report: the start's own
    /// words, and over them those of a run before.
    fn start(&mut self, at: Moment, out: &mut Vec<Output>) {
        let version = self.version.clone();
        let version = version.as_deref();
        let old = self.behaviour.starts_as.map(|left| match left {
            StartsAs::Completed => News::Done { version },
            StartsAs::Failed => News::Failed {
                phase: FailurePhase::Applying,
                reason: "the run before this one failed",
            },
            StartsAs::Downloading => News::Downloading {
                uri: "",
                percent: self.behaviour.percent,
            },
            StartsAs::Applying => News::Applying {
                percent: self.behaviour.percent,
            },
        });
        let mut all = Map::new();
        for patch in self.words(&News::Start { version }, at.wall) {
            merge(&mut all, patch);
        }
        let then = at.wall.shifted(-YESTERDAY);
        for patch in old.iter().flat_map(|news| self.words(news, then)) {
            merge(&mut all, patch);
        }
        if !all.is_empty() {
            self.report(all.into(), false, out);
        }
    }

    fn downloads_really(&self) -> bool {
        self.run
            .as_ref()
            .is_some_and(|run| run.step == Step::Downloading && run.real)
    }

    fn method(&mut self, name: &str, payload: &[u8], at: Moment, out: &mut Vec<Output>) {
        if name != METHOD {
            let message = format!("this device has no method {name}, only {METHOD}");
            return answer(501, json!({ "message": message }), out);
        }
        if self.behaviour.silent == Silence::Whole {
            return;
        }
        let said = out.len();
        self.begin(payload, at, out);
        if self.behaviour.silent == Silence::Starts {
            let mut n = 0;
            out.retain(|output| {
                n += 1;
                n <= said || !matches!(output, Output::Answer { .. })
            });
        }
    }

    fn begin(&mut self, payload: &[u8], at: Moment, out: &mut Vec<Output>) {
        let (status, reply) = match &self.behaviour.answer {
            None => (200, json!({ "Response": "Firmware update started" })),
            Some(given) => (given.status, given.payload.clone()),
        };
        if status >= 400 {
            return answer(status, reply, out);
        }
        let uri = match order::package_uri(payload) {
            Ok(uri) => uri,
            Err(message) => return answer(400, json!({ "message": message }), out),
        };
        if let Some(run) = &self.run {
            let phase = phase(run.step).name();
            let message = "an update is already running";
            return answer(409, json!({ "message": message, "phase": phase }), out);
        }
        answer(status, reply, out);
        self.run = Some(Run {
            real: download::is_own_package(&uri, &self.hub),
            uri,
            step: Step::Waiting,
            since: at.now,
            until: None,
            length: Duration::ZERO,
            end: End::Well,
            restarts: 0,
            told: 0,
            next_percent: None,
        });
        self.enter(Step::Waiting, at, out);
    }

    /// Several steps may be over at once: a device's clock may have stood
    /// still, or steps may take no time.
    fn tick(&mut self, at: Moment, out: &mut Vec<Output>) {
        while let Some(run) = &mut self.run {
            if run.until.is_some_and(|until| until <= at.now) {
                self.over(at, out);
                continue;
            }
            let Some(next) = run.next_percent.filter(|next| *next <= at.now) else {
                return;
            };
            let (percent, every) = pretended(run, at.now);
            // A stalled download does not go on saying how far it is.
            let more = percent < LAST || self.behaviour.stalls != Some(Step::Downloading);
            run.next_percent = more.then(|| next.max(at.now) + every);
            let percent = self.told(percent);
            self.say(&News::Percent(percent), at, out);
        }
    }

    /// The step's time is over.
    fn over(&mut self, at: Moment, out: &mut Vec<Output>) {
        let Some(run) = &self.run else { return };
        match run.end {
            End::Well => self.advance(at, out),
            End::Again => self.enter(Step::Applying, at, out),
            End::Failure => {
                if let Some(failure) = self.behaviour.fails.clone() {
                    self.fail(failure.phase, &failure.reason, at, out);
                }
            }
            End::Gone => {
                self.run = None;
                self.gone = true;
                out.push(Output::Vanish);
            }
        }
    }

    /// To the step after this one, or to the end.
    fn advance(&mut self, at: Moment, out: &mut Vec<Output>) {
        let Some(run) = &self.run else { return };
        let says_downloaded = self.behaviour.dialect != DeviceDialect::Tutorial2018;
        match run.step {
            Step::Waiting => self.enter(Step::Downloading, at, out),
            Step::Downloading if says_downloaded => self.enter(Step::Downloaded, at, out),
            Step::Downloading | Step::Downloaded => self.enter(Step::Applying, at, out),
            Step::Applying => self.done(at, out),
        }
    }

    fn enter(&mut self, step: Step, at: Moment, out: &mut Vec<Output>) {
        let Some(run) = &mut self.run else { return };
        let behaviour = &self.behaviour;
        run.step = step;
        run.since = at.now;
        run.length = length(behaviour, step, at.chance);
        run.end = end(behaviour, step, run.restarts);
        run.restarts += u32::from(run.end == End::Again);
        run.real &= !pretends(behaviour);
        let really = step == Step::Downloading && run.real;
        let after = match (behaviour.stalls == Some(step), run.end) {
            (true, _) => behaviour.finishes_after,
            (false, _) if really => None,
            (false, End::Failure | End::Gone) => Some(run.length / 2),
            (false, End::Again) => {
                let away = behaviour.reboots.map_or(Duration::ZERO, |r| r.away);
                Some(away + run.length)
            }
            (false, End::Well) => Some(run.length),
        };
        run.until = after.map(|after| at.now + after);
        run.next_percent = None;
        let percent = run.real || behaviour.percent;
        if step == Step::Downloading && percent && !run.real {
            run.next_percent = Some(at.now + pretended(run, at.now).1);
        }
        let (uri, least, again) = (run.uri.clone(), run.length, run.end == End::Again);
        out.push(Output::Phase(phase(step)));
        let news = match step {
            Step::Waiting => News::Waiting { uri: &uri },
            Step::Downloading => News::Downloading { uri: &uri, percent },
            Step::Downloaded => News::Downloaded { percent },
            Step::Applying => News::Applying { percent },
        };
        self.say(&news, at, out);
        if really {
            out.push(Output::Download { uri, least });
        }
        if step == Step::Applying {
            let reboots = self.behaviour.reboots.filter(|_| again).map(|r| r.away);
            out.extend(self.behaviour.reboot.or(reboots).map(Output::Reboot));
        }
    }

    fn done(&mut self, at: Moment, out: &mut Vec<Output>) {
        let Some(run) = self.run.take() else { return };
        if self.version.is_some() {
            let next = order::version_in(&run.uri).or_else(|| self.behaviour.next_firmware.clone());
            self.version = next.or_else(|| self.version.take());
        }
        out.push(Output::Phase(Phase::Done));
        let version = self.version.clone();
        let version = version.as_deref();
        self.say(&News::Done { version }, at, out);
    }

    fn fail(&mut self, phase: FailurePhase, reason: &str, at: Moment, out: &mut Vec<Output>) {
        self.run = None;
        out.push(Output::Phase(Phase::Failed));
        self.say(&News::Failed { phase, reason }, at, out);
    }

    fn say(&mut self, news: &News<'_>, at: Moment, out: &mut Vec<Output>) {
        let passing = matches!(news, News::Percent(_));
        for patch in self.words(news, at.wall) {
            self.report(patch, passing, out);
        }
    }

    /// By the device's own clock.
    fn words(&self, news: &News<'_>, wall: WallTime) -> Vec<Value> {
        let wall = wall.shifted(self.behaviour.clock);
        speech::patches(&self.behaviour, news, wall)
    }

    fn report(&mut self, patch: Value, passing: bool, out: &mut Vec<Output>) {
        if self.behaviour.resends {
            merge(&mut self.said, patch.clone());
        }
        out.push(Output::Report { patch, passing });
    }

    /// The percentage as it is told, which may be less than is true.
    fn told(&mut self, percent: u8) -> u8 {
        let Some(run) = self.run.as_mut().filter(|_| self.behaviour.percent_jumps) else {
            return percent;
        };
        run.told += 1;
        match run.told % JUMP_EACH {
            0 => percent / 2,
            _ => percent,
        }
    }
}

/// Lays `patch` over `values` as the hub does; what is null goes.
fn merge(values: &mut Map<String, Value>, patch: Value) {
    let Value::Object(patch) = patch else { return };
    for (name, value) in patch {
        match value {
            Value::Null => {
                values.shift_remove(&name);
            }
            Value::Object(_) => {
                let slot = values.entry(name).or_insert(Value::Null);
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                if let Value::Object(inner) = slot {
                    merge(inner, value);
                }
            }
            value => {
                values.insert(name, value);
            }
        }
    }
}

/// How a step ends, after so many restarts.
fn end(behaviour: &Behaviour, step: Step, restarts: u32) -> End {
    let fails = behaviour.fails.as_ref().map(|failure| failure.phase);
    let again = |count: Option<u32>| count.is_none_or(|count| restarts < count);
    let reboots = behaviour.reboots.is_some_and(|r| again(r.count));
    match (step, behaviour.vanishes, fails) {
        (Step::Applying, ..) if reboots => End::Again,
        (Step::Downloading, Some(Vanishing::Downloading), _)
        | (Step::Applying, Some(Vanishing::Applying), _) => End::Gone,
        (Step::Downloading, _, Some(FailurePhase::Downloading))
        | (Step::Applying, _, Some(FailurePhase::Applying)) => End::Failure,
        _ => End::Well,
    }
}

/// Is the download only pretended, because it is not to reach its end by
/// itself?
fn pretends(behaviour: &Behaviour) -> bool {
    let fails = behaviour.fails.as_ref().map(|failure| failure.phase);
    fails == Some(FailurePhase::Downloading)
        || behaviour.stalls == Some(Step::Downloading)
        || behaviour.vanishes == Some(Vanishing::Downloading)
}

fn answer(status: u16, payload: Value, out: &mut Vec<Output>) {
    out.push(Output::Answer { status, payload });
}

fn phase(step: Step) -> Phase {
    match step {
        Step::Waiting => Phase::Queued,
        Step::Downloading => Phase::Downloading,
        Step::Downloaded => Phase::Downloaded,
        Step::Applying => Phase::Applying,
    }
}

fn length(behaviour: &Behaviour, step: Step, chance: f64) -> Duration {
    let least = match step {
        Step::Waiting => behaviour.waiting,
        Step::Downloading => behaviour.downloading,
        Step::Downloaded => behaviour.downloaded,
        Step::Applying => behaviour.applying,
    };
    least.mul_f64(1.0 + behaviour.jitter * chance.clamp(0.0, 1.0))
}

/// The most that a pretended download says before its end.
const LAST: u8 = 99;

/// How far a pretended download is, and when to say so again. A failing one
/// gets no further than half; none says 100 before its end.
fn pretended(run: &Run, now: Duration) -> (u8, Duration) {
    let every = PERCENT_EVERY.max(run.length / 20);
    let passed = now.saturating_sub(run.since).as_secs_f64();
    let part = passed / run.length.as_secs_f64().max(f64::MIN_POSITIVE);
    (whole(part * 100.0).min(LAST), every)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=100 just before; NaN becomes 0"
)]
fn whole(percent: f64) -> u8 {
    percent.clamp(0.0, 100.0) as u8
}

#[cfg(test)]
#[path = "firmware_tests.rs"]
mod tests;
