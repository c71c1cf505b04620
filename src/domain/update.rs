//! The life of one update: evidence in, events out.
//!
//! ```text
//!               Recorded          Invoked             200, status < 400
//!  intended ───────────► invoked ─────────┬──────────────────────────► watched
//!     │                     │             │ 404104, 408, 5xx, cut            │
//!     │                     │             └──► watched, unknown ─────────────┤
//!     │                     │ nothing delivered, tries spent                 │ evidence
//!     │                     └──► notDelivered     status ≥ 400: rejected     ▼
//!     └──── givenUp (at any time)                            completed │ failed
//!
//!  while open: stalled, unknown, unconfirmed ◄──► back
//! ```
//!
//! An [`Update`] is the fold of its events ([`Update::intended`],
//! [`Update::apply`]), so the same value comes from the journal, from NDJSON and
//! from the engine. What to say next is decided by pure functions of it and of
//! what was just seen ([`Update::observe`], [`Update::answered`],
//! [`Update::overdue`]); they change nothing.
//!
//! # What a verdict rests on
//!
//! Reported properties merge, so an old `completed` stands in the twin until the
//! device overwrites it; and devices re-send old state when they reconnect,
//! which stamps it anew. Hence:
//!
//! * Only what the hub stamped after the last write that the baseline knew is
//!   believed. Only the hub's clock counts, never the device's nor ours.
//! * An end (done or failed) whose status the baseline already held needs a
//!   second sign stamped after the baseline that the baseline did not hold: an
//!   active phase, another end time, another version, another run, our URI.
//!   Without one the update is *unconfirmed*. The same holds for an end in words
//!   that a device at rest uses too, and for one in another dialect than the
//!   baseline was read in.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::dialect::{Dialect, Reading, Stamped};
use super::event::{Event, Intent, What};
use super::evidence::sha256;
pub use super::evidence::{Baseline, Evidence, OpenState, Outcome};
use super::id::{DeviceId, UpdateId};
use super::method::MethodAnswer;
use super::phase::Phase;
use super::problem::Problem;
use super::twin::Twin;

/// Steps of a timeline that are kept, of a device that reports something new
/// each time.
const MAX_STEPS: usize = 256;

/// What the device was seen to report: one step of the timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The common phase.
    pub phase: Phase,
    /// The last percentage reported in it.
    pub percent: Option<f64>,
    /// When we first saw it.
    pub since: Timestamp,
    /// What it rests on, as last seen.
    pub evidence: Evidence,
}

/// How an update ended, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// How.
    pub outcome: Outcome,
    /// When, by our clock.
    pub time: Timestamp,
    /// Why, in a sentence.
    pub reason: String,
    /// What it rests on.
    pub evidence: Option<Evidence>,
    /// The dialect's own properties at that time.
    pub reported: Value,
    /// What to do about it, when the hub or the device refused.
    pub problem: Option<Problem>,
}

/// What came of the method call, as far as the update is concerned.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// The device answered.
    Answered(MethodAnswer),
    /// The order surely did not reach the device.
    NotDelivered(Problem),
    /// Nobody knows.
    Unknown(Problem),
}

/// One update, as its events tell it.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Its name.
    pub id: UpdateId,
    /// The device.
    pub device: DeviceId,
    /// What was decided.
    pub intent: Intent,
    /// When it was decided.
    pub intended: Timestamp,
    /// When the order went out, and how often it was tried.
    pub invoked: Option<(Timestamp, u32)>,
    /// When it is tried again, and why it must be.
    pub retry: Option<(Timestamp, Problem)>,
    /// What the device answered, and when.
    pub answer: Option<(Timestamp, MethodAnswer)>,
    /// What it was seen to report since, oldest first.
    pub steps: Vec<Step>,
    /// The dialect's own properties, as last seen.
    pub reported: Value,
    /// The doubt, if there is one, and why.
    pub doubt: Option<(OpenState, String)>,
    /// When anything last changed, by our clock.
    pub changed: Timestamp,
    /// How it ended.
    pub verdict: Option<Verdict>,
}

impl Update {
    /// The update that an `update.intended` or `update.watched` event begins;
    /// `None` for any other event.
    #[must_use]
    pub fn intended(event: &Event) -> Option<Self> {
        let (What::Intended(intent) | What::Watched(intent)) = &event.what else {
            return None;
        };
        Some(Self {
            id: event.update_id.clone()?,
            device: event.device_id.clone()?,
            intent: (**intent).clone(),
            intended: event.time,
            invoked: None,
            retry: None,
            answer: None,
            steps: Vec::new(),
            reported: Value::Null,
            doubt: None,
            changed: event.time,
            verdict: None,
        })
    }

    /// Folds one more event of this update in. What contradicts a verdict
    /// changes nothing: an outcome is final.
    pub fn apply(&mut self, event: &Event) {
        if event.update_id.as_ref() != Some(&self.id) || self.verdict.is_some() {
            return;
        }
        self.changed = event.time;
        match &event.what {
            What::Invoked { attempt } => {
                self.invoked = Some((event.time, *attempt));
                self.retry = None;
            }
            What::Retrying { problem, at } => self.retry = Some((*at, problem.clone())),
            What::Accepted { status, payload } => {
                let answer = MethodAnswer {
                    status: *status,
                    payload: payload.clone(),
                };
                self.answer = Some((event.time, answer));
            }
            What::Phase {
                phase,
                reported,
                percent,
                evidence,
            } => {
                self.reported = reported.clone();
                self.step(event.time, *phase, *percent, evidence);
            }
            What::State { state, reason, .. } => {
                self.doubt = (*state != OpenState::Back).then(|| (*state, reason.clone()));
            }
            What::Verdict {
                outcome,
                reason,
                evidence,
                reported,
                problem,
            } => {
                self.doubt = None;
                self.retry = None;
                if !reported.is_null() {
                    self.reported = reported.clone();
                }
                self.verdict = Some(Verdict {
                    outcome: *outcome,
                    time: event.time,
                    reason: reason.clone(),
                    evidence: evidence.clone(),
                    reported: reported.clone(),
                    problem: problem.clone(),
                });
            }
            What::Rebased { baseline } => self.intent.baseline = baseline.clone(),
            _ => {}
        }
    }

    fn step(&mut self, time: Timestamp, phase: Phase, percent: Option<f64>, evidence: &Evidence) {
        match self.steps.last_mut() {
            Some(last) if last.phase == phase && last.evidence.value == evidence.value => {
                last.percent = percent;
                last.evidence = evidence.clone();
            }
            _ => {
                if self.steps.len() >= MAX_STEPS {
                    // The first ones tell how it began, the last ones how it is.
                    self.steps.remove(MAX_STEPS / 4);
                }
                self.steps.push(Step {
                    phase,
                    percent,
                    since: time,
                    evidence: evidence.clone(),
                });
            }
        }
    }

    /// Has it not ended yet?
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.verdict.is_none()
    }

    /// The last phase seen, or none yet.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.steps.last().map(|step| step.phase)
    }

    /// One word for where it stands: the outcome, the doubt, or the phase.
    #[must_use]
    pub fn word(&self) -> &'static str {
        if let Some(verdict) = &self.verdict {
            return verdict.outcome.name();
        }
        if let Some((doubt, _)) = &self.doubt {
            return doubt.name();
        }
        match (self.phase(), &self.answer, &self.retry, &self.invoked) {
            (Some(phase), ..) => phase.name(),
            (None, Some(_), ..) => "accepted",
            (None, None, Some(_), _) => "retrying",
            (None, None, None, Some(_)) => "invoking",
            (None, None, None, None) if self.intent.method.is_none() => "watching",
            (None, None, None, None) => "intended",
        }
    }

    /// What the answer to the method call means.
    #[must_use]
    pub fn answered(&self, delivery: &Delivery) -> What {
        match delivery {
            Delivery::Answered(answer) if answer.accepted() => What::Accepted {
                status: answer.status,
                payload: super::clean::bounded(&answer.payload),
            },
            Delivery::Answered(answer) => What::Verdict {
                outcome: Outcome::Rejected,
                reason: rejection(answer),
                evidence: None,
                reported: Value::Null,
                problem: None,
            },
            Delivery::NotDelivered(problem) => What::Verdict {
                outcome: Outcome::NotDelivered,
                reason: problem.line(),
                evidence: None,
                reported: Value::Null,
                problem: Some(problem.clone()),
            },
            Delivery::Unknown(problem) => What::State {
                state: OpenState::Unknown,
                reason: format!(
                    "{}. The device may have got the order; it is not sent again. \
                     Watching for a sign that it started",
                    problem.line()
                ),
                evidence: None,
            },
        }
    }

    /// What a read of the twin says that was not known before. Empty when
    /// nothing new is stamped after the baseline, or after the verdict.
    #[must_use]
    pub fn observe(&self, dialect: &Dialect, twin: &Twin) -> Vec<What> {
        let mut reading = dialect.read(&twin.reported);
        if self.verdict.is_some() || !self.is_news(&reading) {
            return Vec::new();
        }
        self.forget_the_old(&mut reading);
        if self.has_come_to_rest(&reading) {
            reading.phase = Phase::Done;
        }
        let evidence = evidence(&reading, twin);
        let mut news = Vec::new();
        let repeated = self.is_the_baselines(reading.value.as_deref());
        if reading.phase.is_end() {
            let foreign = dialect.name != self.intent.dialect;
            self.end(&mut news, &reading, evidence, twin, foreign);
            return news;
        }
        if reading.phase == Phase::Idle || !self.differs(&reading, &evidence) {
            return news;
        }
        if self.doubt.is_some() && !repeated {
            news.push(What::State {
                state: OpenState::Back,
                reason: format!("the device reports {}", reading.phase),
                evidence: Some(evidence.clone()),
            });
        }
        news.push(phase_event(&reading, evidence));
        news
    }

    /// Takes out what was stamped before the order: an earlier run's percentage,
    /// version and error.
    fn forget_the_old(&self, reading: &mut Reading) {
        let base = &self.intent.baseline;
        if !base.is_older_than(reading.percent_stamp) {
            reading.percent = None;
        }
        reading.version = reading
            .version
            .take()
            .filter(|v| base.is_older_than(v.stamp));
        reading.error = reading.error.take().filter(|e| base.is_older_than(e.stamp));
    }

    /// The device says that it has ended: believe it, or say what is missing.
    /// In a dialect in which the baseline was not read (`foreign`) nobody knows
    /// what was there before.
    fn end(
        &self,
        news: &mut Vec<What>,
        reading: &Reading,
        evidence: Evidence,
        twin: &Twin,
        foreign: bool,
    ) {
        let missing = self.missing(reading, foreign);
        if self.differs(reading, &evidence) && missing.is_none() {
            news.push(phase_event(reading, evidence.clone()));
        }
        if let Some(missing) = missing {
            if !matches!(&self.doubt, Some((OpenState::Unconfirmed, why)) if *why == missing) {
                news.push(What::State {
                    state: OpenState::Unconfirmed,
                    reason: missing,
                    evidence: Some(evidence),
                });
            }
            return;
        }
        let done = reading.phase == Phase::Done;
        news.push(What::Verdict {
            outcome: if done {
                Outcome::Completed
            } else {
                Outcome::Failed
            },
            reason: self.why(reading, &evidence, twin),
            evidence: Some(evidence),
            reported: reading.object.clone(),
            problem: None,
        });
    }

    /// What keeps an end from being believed; `None` when nothing does.
    fn missing(&self, reading: &Reading, foreign: bool) -> Option<String> {
        let value = reading.value.as_deref().unwrap_or_default();
        if let (Phase::Done, Some(expect)) = (reading.phase, &self.intent.expect) {
            match &reading.version {
                Some(version) if version.text == *expect => {}
                Some(version) => {
                    return Some(format!(
                        "the device says {value:?} but reports version {:?}, not {expect:?}",
                        version.text
                    ));
                }
                None => {
                    return Some(format!(
                        "the device says {value:?} but has reported no version since; {expect:?} is expected"
                    ));
                }
            }
        }
        let repeated = self.is_the_baselines(Some(value));
        if !(repeated || reading.at_rest || foreign) || self.second_sign(reading, foreign) {
            return None;
        }
        let because = match repeated {
            true => "as it did before the order",
            false if reading.at_rest => "as it does without any update",
            false => "and what it said there before the order is not known",
        };
        Some(format!(
            "the device says {value:?}, {because}; \
             nothing shows that this is the run we started"
        ))
    }

    /// Is a device that says the same before an update and after it now after
    /// one? Only a new version tells, or the expected one in a run that was seen.
    fn has_come_to_rest(&self, reading: &Reading) -> bool {
        let base = &self.intent.baseline;
        let version = match &reading.version {
            Some(version) if reading.at_rest && reading.phase == Phase::Idle => &version.text,
            _ => return false,
        };
        match &self.intent.expect {
            Some(expect) => version == expect && self.second_sign(reading, false),
            None => Some(version) != base.firmware.as_ref(),
        }
    }

    /// Is there a sign of this run besides the status: stamped after the
    /// baseline, and not what the baseline held?
    fn second_sign(&self, reading: &Reading, foreign: bool) -> bool {
        let base = &self.intent.baseline;
        let changed = |now: &Option<Stamped>, before: &Option<String>| {
            let changed = |n: &Stamped| Some(&n.text) != before.as_ref();
            now.as_ref()
                .is_some_and(|n| !foreign && base.is_older_than(n.stamp) && changed(n))
        };
        let active = |step: &Step| {
            step.phase.is_active() && !self.is_the_baselines(step.evidence.value.as_str())
        };
        let our_uri = reading.uri.as_ref().is_some_and(|uri| {
            base.is_older_than(uri.stamp)
                && Some(sha256(&uri.text)) != base.uri_sha256
                && Some(super::uri::redacted_text(&uri.text)) == self.intent.uri
        });
        self.steps.iter().any(active)
            || changed(&reading.end, &base.end)
            || changed(&reading.version, &base.firmware)
            || changed(&reading.run, &base.run)
            || our_uri
    }

    /// Is this the status that the baseline held? As in a dialect, case does
    /// not count.
    fn is_the_baselines(&self, value: Option<&str>) -> bool {
        match (value, self.intent.baseline.value.as_deref()) {
            (Some(now), Some(before)) => now.trim().to_lowercase() == before.trim().to_lowercase(),
            (now, before) => now == before,
        }
    }

    /// Is the status stamped after the baseline?
    fn is_news(&self, reading: &Reading) -> bool {
        let base = &self.intent.baseline;
        reading.value.is_some() && base.is_older_than(reading.stamp)
    }

    /// Does the reading say something that the last step did not?
    fn differs(&self, reading: &Reading, evidence: &Evidence) -> bool {
        self.steps.last().is_none_or(|last| {
            last.phase != reading.phase
                || last.evidence.value != evidence.value
                || last.percent != reading.percent
        })
    }

    fn why(&self, reading: &Reading, evidence: &Evidence, twin: &Twin) -> String {
        let value = reading.value.as_deref().unwrap_or_default();
        if reading.phase == Phase::Done {
            let version = reading
                .version
                .as_ref()
                .map(|v| format!(", version {}", v.text))
                .unwrap_or_default();
            return format!("{} reports {value:?}{version}", twin.device_id);
        }
        let last = self
            .steps
            .iter()
            .rev()
            .find(|step| step.phase.is_active())
            .map_or("before any phase was seen", |step| match step.phase {
                Phase::Queued => "while queued",
                Phase::Downloading => "while downloading",
                Phase::Downloaded => "after the download",
                Phase::Applying => "while applying",
                _ => "while rebooting",
            });
        let error = reading
            .error
            .as_ref()
            .map(|e| format!(": {}", e.text))
            .unwrap_or_default();
        format!(
            "{} reports {} {last}{error}",
            twin.device_id, evidence.value
        )
    }

    /// What is to be said when nothing has changed for `deadline`; nothing when
    /// there is a doubt already, or a retry.
    #[must_use]
    pub fn overdue(&self, deadline: SignedDuration) -> Option<What> {
        if self.verdict.is_some() || self.doubt.is_some() || self.retry.is_some() {
            return None;
        }
        Some(What::State {
            state: OpenState::Stalled,
            reason: format!(
                "nothing changed for {} since {:?}",
                super::time::spoken(deadline),
                self.word()
            ),
            evidence: self.steps.last().map(|step| step.evidence.clone()),
        })
    }

    /// The verdict as the event that brought it.
    #[must_use]
    pub fn verdict_event(&self) -> Option<Event> {
        let verdict = self.verdict.clone()?;
        let what = What::Verdict {
            outcome: verdict.outcome,
            reason: verdict.reason,
            evidence: verdict.evidence,
            reported: verdict.reported,
            problem: verdict.problem,
        };
        Some(Event::update(
            verdict.time,
            self.device.clone(),
            self.id.clone(),
            what,
        ))
    }

    /// The first line about an ended update: its outcome and a colon, then why.
    #[must_use]
    pub fn verdict_line(&self) -> Option<String> {
        let verdict = self.verdict.as_ref()?;
        Some(format!("{}: {}", verdict.outcome, verdict.reason))
    }
}

fn evidence(reading: &Reading, twin: &Twin) -> Evidence {
    Evidence {
        property: reading.property.to_string(),
        value: reading.value.clone().map_or(Value::Null, Value::String),
        version: twin.reported.version,
        hub_time: reading.stamp,
    }
}

fn phase_event(reading: &Reading, evidence: Evidence) -> What {
    What::Phase {
        phase: reading.phase,
        reported: reading.object.clone(),
        percent: reading.percent,
        evidence,
    }
}

fn rejection(answer: &MethodAnswer) -> String {
    let words = match &answer.payload {
        Value::Null => String::new(),
        payload => format!(": {}", super::clean::value_line(payload, 200)),
    };
    match answer.status {
        status @ (404 | 501) => {
            format!("the device knows no such method (status {status}{words})")
        }
        status => format!("the device refused with status {status}{words}"),
    }
}
