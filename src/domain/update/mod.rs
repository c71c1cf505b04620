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
//!  after completed or failed: contradicted, which changes no outcome
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
//! * Between that read and the order a run of somebody else may end. The hub tells
//!   its clock in whole seconds with each answer, which gives the latest time at
//!   which the order can have gone out ([`Update::ordered`]). An end that is stamped
//!   up to then is no verdict, and counts as the baseline's from then on; what is
//!   stamped up to then is no second sign either, except an active phase when the
//!   device has taken the order and no end was stamped so early.
//! * An end (done or failed) whose status the baseline already held needs a
//!   second sign stamped after the baseline that the baseline did not hold: an
//!   active phase, another end time, another version or one pending, another run,
//!   our URI. Without one the update is *unconfirmed*. The same holds for an end
//!   in words that a device at rest uses too, and for one in another dialect than
//!   the baseline was read in.
//! * Phases may be skipped, repeated, or begin again from an earlier one; a device
//!   may fall back to idle. All that is a step, and a new run is counted; none of
//!   it is a verdict.
//! * `reported.$version` never goes back, so a twin in which it did is another
//!   one ([`Suspicion`]). The registry's `generationId` tells whether the device
//!   was created again; from then on only what is stamped later counts, and every
//!   end needs a second sign.
//!
//! # The way out of each doubt
//!
//! | state | left by | and if nothing comes |
//! |---|---|---|
//! | stalled | anything new | watched on, less often |
//! | unknown | any sign of the run | after the deadline it is said that none came |
//! | unconfirmed | a second sign | after the deadline it is said what to do |
//!
//! All of them end with `givenUp`, by the operator or at the overall deadline. An
//! order is never sent again to leave one.
//!
//! # After the verdict
//!
//! A device that completed or failed is heard on for a while. A success after a
//! failure or the reverse, a run that begins again, a version that is not the
//! expected one or falls back to the old: each is told as a contradiction, once.

mod after;
mod belief;
mod busy;
mod judge;
mod replacement;
mod sight;

#[cfg(test)]
mod histories;
#[cfg(test)]
mod signs;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::Value;

use super::event::{Event, Intent, What};
pub use super::evidence::{Baseline, Evidence, OpenState, Outcome};
use super::id::{DeviceId, UpdateId};
use super::method::MethodAnswer;
use super::phase::Phase;
use super::problem::Problem;
use super::twin::Connection;
pub use busy::under_way;
pub use sight::{Sight, Suspicion};

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
    /// When the hub saw it begin.
    pub began: Option<Timestamp>,
    /// Which run it belongs to: 1, and one more each time the device began
    /// again from an earlier phase.
    pub run: u32,
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

/// A device that is not connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away {
    /// When that was seen, by our clock.
    pub since: Timestamp,
    /// Is it part of an update in the phase in which it went away?
    pub expected: bool,
}

/// What the device said after the verdict that does not agree with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Contradiction {
    /// When we saw it, by our clock.
    pub time: Timestamp,
    /// What does not agree, in a sentence.
    pub reason: String,
    /// What it rests on.
    pub evidence: Evidence,
}

/// A twin that is not the one that the order went to.
#[derive(Clone, Debug, PartialEq)]
pub struct Replacement {
    /// The new `generationId`, if it is known to be new.
    pub generation_id: Option<String>,
    /// Nothing that the hub stamped up to then is believed.
    pub since: Option<Timestamp>,
    /// `reported.$version` of the new twin.
    pub version: u64,
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
    /// By the hub's clock the order went out at this time at the latest; absent
    /// when the hub does not tell the time.
    pub ordered: Option<Timestamp>,
    /// An end that was stamped up to then: it may be that of another run.
    pub early_end: Option<String>,
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
    /// When that was said, by our clock.
    pub doubted: Option<Timestamp>,
    /// Since when the device is not connected, as far as the hub knows.
    pub away: Option<Away>,
    /// The hub knew no such device when it was last asked.
    pub lost: bool,
    /// The twin that took the place of the one that was ordered, the last one.
    pub replaced: Option<Replacement>,
    /// When the order or the device last did anything, by our clock. What is said
    /// because nothing happens is no such change.
    pub changed: Timestamp,
    /// How it ended.
    pub verdict: Option<Verdict>,
    /// What the device said later that does not agree with that, the last.
    pub contradicted: Option<Contradiction>,
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
            ordered: None,
            early_end: None,
            retry: None,
            answer: None,
            steps: Vec::new(),
            reported: Value::Null,
            doubt: None,
            doubted: None,
            away: None,
            lost: false,
            replaced: None,
            changed: event.time,
            verdict: None,
            contradicted: None,
        })
    }

    /// Folds one more event of this update in. An outcome is final: after it
    /// only a contradiction is taken in, and that changes no outcome.
    pub fn apply(&mut self, event: &Event) {
        if event.update_id.as_ref() != Some(&self.id) {
            return;
        }
        if self.verdict.is_some() {
            return self.contradict(event);
        }
        if self.is_change(&event.what) {
            self.changed = event.time;
        }
        match &event.what {
            What::Invoked { attempt, latest } => {
                self.ordered = *latest;
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
            What::State {
                state,
                reason,
                evidence,
            } => {
                let end = evidence
                    .as_ref()
                    .filter(|e| *state == OpenState::Unconfirmed && e.hub_time <= self.ordered);
                if let Some(end) = end {
                    self.early_end = end.value.as_str().map(str::to_owned);
                }
                self.lost &= *state != OpenState::Back;
                self.doubt = (*state != OpenState::Back).then(|| (*state, reason.clone()));
                self.doubted = self.doubt.as_ref().map(|_| event.time);
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
            What::Rebased { baseline } => {
                let before = std::mem::replace(&mut self.intent.baseline, baseline.clone());
                if before.last_updated != baseline.last_updated || self.retry.is_some() {
                    // What was seen before the order that counts is not ours.
                    self.steps.clear();
                    self.early_end = None;
                    self.doubt = None;
                }
            }
            What::Connection { state, expected } => {
                self.away = (*state == Connection::Disconnected).then_some(Away {
                    since: event.time,
                    expected: *expected,
                });
            }
            What::Lost {} => self.lost = true,
            What::Replaced {
                generation_id,
                since,
                version,
            } => {
                self.lost = false;
                self.replaced = Some(Replacement {
                    generation_id: generation_id.clone(),
                    since: *since,
                    version: *version,
                });
            }
            _ => {}
        }
    }

    /// Does this tell what the order or the device did? A connection that comes and
    /// goes is no progress, nor is a tag or whom it displaced, and a doubt that grows older is our own word.
    fn is_change(&self, what: &What) -> bool {
        match what {
            What::Connection { .. } | What::Tag { .. } | What::TookOver { .. } => false,
            What::State {
                state: OpenState::Stalled,
                ..
            } => false,
            What::State { state, reason, .. } => match &self.doubt {
                Some((OpenState::Unknown, _)) => *state != OpenState::Unknown,
                Some((before, why)) => before != state || !reason.starts_with(why.as_str()),
                None => true,
            },
            _ => true,
        }
    }

    fn contradict(&mut self, event: &Event) {
        if let What::Contradicted {
            reason, evidence, ..
        } = &event.what
        {
            self.contradicted = Some(Contradiction {
                time: event.time,
                reason: reason.clone(),
                evidence: evidence.clone(),
            });
        }
    }

    fn step(&mut self, time: Timestamp, phase: Phase, percent: Option<f64>, evidence: &Evidence) {
        let anew = self.is_of_another_twin(self.steps.last());
        match self.steps.last_mut() {
            Some(last) if last.phase == phase && last.evidence.value == evidence.value && !anew => {
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
                    began: evidence.hub_time,
                    run: self.run_of(phase),
                    evidence: evidence.clone(),
                });
            }
        }
    }

    /// The run that a step of `phase` belongs to: a new one when the device had
    /// come further, or had fallen back to idle.
    fn run_of(&self, phase: Phase) -> u32 {
        let Some(last) = self.steps.last() else {
            return 1;
        };
        let furthest = self.steps.iter().rev().find(|step| step.phase.is_active());
        let back = furthest.is_some_and(|step| phase < step.phase || last.phase == Phase::Idle);
        let anew = self.is_of_another_twin(Some(last));
        last.run + u32::from(phase.is_active() && (back || anew))
    }

    /// Was this step told by the twin that was replaced?
    fn is_of_another_twin(&self, step: Option<&Step>) -> bool {
        let since = self.replaced.as_ref().map(|replaced| replaced.since);
        step.is_some_and(|step| since.is_some_and(|since| step.evidence.hub_time <= since))
    }

    /// How many runs the device was seen to begin since the order.
    #[must_use]
    pub fn runs(&self) -> u32 {
        self.steps.last().map_or(0, |step| step.run)
    }

    /// Since when the device is away where that is no part of an update, or for
    /// longer than its phase allows.
    #[must_use]
    pub fn missed(&self) -> Option<Timestamp> {
        let stalled = matches!(self.doubt, Some((OpenState::Stalled, _)));
        let away = self.away.filter(|away| !away.expected || stalled);
        away.map(|away| away.since)
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
