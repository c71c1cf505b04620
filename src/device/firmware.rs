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
//! What is said at each step, and in which words, is in `speech`.

use std::time::Duration;

use serde_json::{Value, json};

use super::download;
use super::order;
use super::scenario::{Behaviour, DeviceDialect, FailurePhase, Step};
use super::speech::{self, News, WallTime};
use crate::domain::phase::Phase;

/// The method that starts an update.
const METHOD: &str = "firmwareUpdate";
/// A percentage is reported at most so often.
const PERCENT_EVERY: Duration = Duration::from_millis(250);

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
}

/// An update under way.
#[derive(Clone, Debug)]
struct Run {
    uri: String,
    step: Step,
    since: Duration,
    /// When the step ends; `None` while a real download runs, or for ever.
    until: Option<Duration>,
    /// Does it end in failure?
    fails: bool,
    /// Is the package really downloaded?
    real: bool,
    next_percent: Option<Duration>,
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
            Input::Started => {
                let version = self.version.clone();
                let version = version.as_deref();
                self.say(&News::Start { version }, at, &mut out);
            }
            Input::Method { name, payload } => self.method(name, payload, at, &mut out),
            Input::Tick => self.tick(at, &mut out),
            Input::DownloadProgress(percent) => {
                if self.downloads_really() {
                    self.say(&News::Percent(whole(percent)), at, &mut out);
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
        if self.behaviour.silent {
            return;
        }
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
            fails: false,
            next_percent: None,
        });
        self.enter(Step::Waiting, at, out);
    }

    /// Several steps may be over at once: a device's clock may have stood
    /// still, or steps may take no time.
    fn tick(&mut self, at: Moment, out: &mut Vec<Output>) {
        while let Some(run) = &mut self.run {
            if run.until.is_some_and(|until| until <= at.now) {
                if run.fails {
                    let fails = self.behaviour.fails.clone();
                    if let Some(failure) = fails {
                        self.fail(failure.phase, &failure.reason, at, out);
                    }
                } else {
                    self.advance(at, out);
                }
                continue;
            }
            let Some(next) = run.next_percent.filter(|next| *next <= at.now) else {
                return;
            };
            let (percent, every) = pretended(run, &self.behaviour, at.now);
            run.next_percent = Some(next.max(at.now) + every);
            self.say(&News::Percent(percent), at, out);
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
        let length = length(&self.behaviour, step, at.chance);
        let fails = self.behaviour.fails.as_ref().map(|failure| failure.phase);
        let stalls = self.behaviour.stalls == Some(step);
        run.step = step;
        run.since = at.now;
        run.fails = matches!(
            (fails, step),
            (Some(FailurePhase::Downloading), Step::Downloading)
                | (Some(FailurePhase::Applying), Step::Applying)
        );
        run.real &= fails != Some(FailurePhase::Downloading)
            && self.behaviour.stalls != Some(Step::Downloading);
        let half = if run.fails { length / 2 } else { length };
        let really = step == Step::Downloading && run.real;
        run.until = (!stalls && !really).then(|| at.now + half);
        run.next_percent = None;
        let percent = run.real || self.behaviour.percent;
        if step == Step::Downloading && percent && !run.real {
            run.next_percent = Some(at.now + pretended(run, &self.behaviour, at.now).1);
        }
        let uri = run.uri.clone();
        out.push(Output::Phase(phase(step)));
        let news = match step {
            Step::Waiting => News::Waiting { uri: &uri },
            Step::Downloading => News::Downloading { uri: &uri, percent },
            Step::Downloaded => News::Downloaded { percent },
            Step::Applying => News::Applying { percent },
        };
        self.say(&news, at, out);
        if really {
            out.push(Output::Download { uri, least: length });
        }
        if let (Step::Applying, Some(gone)) = (step, self.behaviour.reboot) {
            out.push(Output::Reboot(gone));
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

    fn say(&self, news: &News<'_>, at: Moment, out: &mut Vec<Output>) {
        let passing = matches!(news, News::Percent(_));
        let patches = speech::patches(&self.behaviour, news, at.wall);
        out.extend(
            patches
                .into_iter()
                .map(|patch| Output::Report { patch, passing }),
        );
    }
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

/// How far a pretended download is, and when to say so again. A failing one
/// gets no further than half; none says 100 before its end.
fn pretended(run: &Run, behaviour: &Behaviour, now: Duration) -> (u8, Duration) {
    let length = run
        .until
        .map_or(behaviour.downloading, |until| until - run.since);
    let whole_length = if run.fails { length * 2 } else { length };
    let every = PERCENT_EVERY.max(whole_length / 20);
    let passed = now.saturating_sub(run.since).as_secs_f64();
    let part = passed / whole_length.as_secs_f64().max(f64::MIN_POSITIVE);
    (whole(part * 100.0).min(99), every)
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
