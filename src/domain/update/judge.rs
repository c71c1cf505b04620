//! What a read twin, an answer or the time says next of an update. Everything
//! here is a pure question to an [`Update`]; nothing changes it.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::domain::clean;
use crate::domain::dialect::{Dialect, Reading};
use crate::domain::event::What;
use crate::domain::evidence::{Evidence, OpenState, Outcome};
use crate::domain::method::MethodAnswer;
use crate::domain::phase::Phase;
use crate::domain::problem::Problem;
use crate::domain::time::spoken;
use crate::domain::twin::{Connection, Twin};

use super::{Delivery, Sight, Update};

/// What is known of an order whose answer is not, what is not known, and what
/// can be done.
const NOBODY_KNOWS: &str = "Whether the device got the order is not known: it is not sent again \
    by itself, and the twin is watched for a sign that the device started. To start another \
    update, give this one up (x in the console)";

impl Update {
    /// What the answer to the method call means.
    #[must_use]
    pub fn answered(&self, delivery: &Delivery) -> What {
        match delivery {
            Delivery::Answered(answer) if answer.accepted() => What::Accepted {
                status: answer.status,
                payload: clean::bounded(&answer.payload),
            },
            Delivery::Answered(answer) => What::Verdict {
                outcome: Outcome::Rejected,
                reason: self.rejection(answer),
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
                reason: format!("{}. {NOBODY_KNOWS}", problem.line().trim_end_matches('.')),
                evidence: None,
            },
        }
    }

    fn rejection(&self, answer: &MethodAnswer) -> String {
        let device = &self.device;
        let words = match &answer.payload {
            Value::Null => String::new(),
            payload => format!(": {}", clean::value_line(payload, 200)),
        };
        match answer.status {
            status @ (404 | 501) => {
                format!("{device} knows no such method (status {status}{words})")
            }
            status => format!("{device} refused with status {status}{words}"),
        }
    }

    /// What is to be said of an update that an earlier process invoked, or was
    /// about to, without having seen what came of it; nothing when it did. Each
    /// order is written down before it goes out, so one that waited to be tried
    /// again surely did not.
    #[must_use]
    pub fn orphaned(&self) -> Option<What> {
        if !self.is_open() || self.intent.method.is_none() {
            return None;
        }
        if let Some((_, problem)) = &self.retry {
            let reason = format!(
                "{}. The process that would have tried again has ended, so the order did not \
                 reach the device",
                problem.line().trim_end_matches('.')
            );
            return Some(What::Verdict {
                outcome: Outcome::NotDelivered,
                reason,
                evidence: None,
                reported: Value::Null,
                problem: Some(problem.clone()),
            });
        }
        let told = matches!(self.doubt, Some((OpenState::Unknown, _)));
        let silent = self.answer.is_none() && !self.has_begun() && !told;
        silent.then(|| What::State {
            state: OpenState::Unknown,
            reason: format!(
                "the process that started this update ended before it knew the answer. {NOBODY_KNOWS}"
            ),
            evidence: None,
        })
    }

    /// What a read of the twin says that was not known before. Empty when
    /// nothing new is stamped after the baseline, or after the verdict.
    #[must_use]
    pub fn observe(&self, dialect: &Dialect, twin: &Twin) -> Vec<What> {
        let mut reading = dialect.read(&twin.reported);
        if self.verdict.is_some() {
            return Vec::new();
        }
        let overtaken = self.overtaken(&reading);
        let mut news: Vec<What> = overtaken
            .map(|baseline| What::Rebased { baseline })
            .into_iter()
            .collect();
        if !self.is_news(&reading) {
            return news;
        }
        self.forget_the_old(&mut reading);
        if self.has_come_to_rest(&reading) {
            reading.phase = Phase::Done;
        }
        let evidence = evidence(&reading, twin);
        let repeated = self.is_the_baselines(reading.value.as_deref());
        if reading.phase.is_end() {
            let foreign = dialect.name != self.intent.dialect;
            self.end(&mut news, &reading, evidence, twin, foreign);
            return news;
        }
        if self.is_idleness(&reading) || !self.differs(&reading, &evidence) {
            return news;
        }
        let unsure = matches!(self.doubt, Some((OpenState::Unknown, _)));
        let shown = !unsure || self.is_later_than_the_order(reading.stamp);
        if self.doubt.is_some() && !repeated && shown {
            news.push(What::State {
                state: OpenState::Back,
                reason: format!("the device reports {}", reading.phase),
                evidence: Some(evidence.clone()),
            });
        }
        news.push(phase_event(&reading, evidence));
        news
    }

    /// Does the device only say that it has not begun? One that falls back to
    /// idle out of a run says more.
    fn is_idleness(&self, reading: &Reading) -> bool {
        reading.phase == Phase::Idle && self.steps.is_empty()
    }

    /// Takes out what was stamped before the order: an earlier run's percentage,
    /// version and error.
    fn forget_the_old(&self, reading: &mut Reading) {
        if !self.is_believed(reading.percent_stamp) {
            reading.percent = None;
        }
        reading.version = reading.version.take().filter(|v| self.is_believed(v.stamp));
        reading.error = reading.error.take().filter(|e| self.is_believed(e.stamp));
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
            let said = |why: &str| why.starts_with(&missing);
            if !matches!(&self.doubt, Some((OpenState::Unconfirmed, why)) if said(why)) {
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
        if let (false, Some(order)) = (self.is_later_than_the_order(reading.stamp), self.ordered) {
            return Some(format!(
                "the device says {value:?}, but may have said so before the order, which went \
                 out by {order} at the latest, by the hub's clock"
            ));
        }
        if let (Phase::Done, Some(expect)) = (reading.phase, &self.intent.expect) {
            match &reading.version {
                Some(version) if self.is_expected(version) => {}
                // A device that had that version before need not tell it again.
                None if self.was_expected() && self.second_sign(reading, foreign) => {}
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
        let early = self.is_the_early_end(Some(value));
        let repeated = self.is_the_baselines(Some(value)) || early;
        let replaced = self.replaced.is_some();
        let contested = self.intent.baseline.contested;
        let doubtful = repeated || reading.at_rest || foreign || replaced || contested;
        if !doubtful || self.second_sign(reading, foreign) {
            return None;
        }
        let but = match repeated {
            _ if replaced => "in a twin that is not the one that was ordered",
            _ if contested => "and was at work for another order when it was taken over",
            true if early => "as it did when the order went out, or before",
            true => "as it did before the order",
            false if reading.at_rest => "as it does without any update",
            false => "and what it said there before the order is not known",
        };
        Some(format!(
            "the device says {value:?}, {but}; \
             nothing shows that this is the run we started"
        ))
    }

    /// Does the reading say something that the last step did not?
    fn differs(&self, reading: &Reading, evidence: &Evidence) -> bool {
        self.steps.last().is_none_or(|last| {
            last.phase != reading.phase
                || last.evidence.value != evidence.value
                || last.percent != reading.percent
                || self.is_of_another_twin(Some(last))
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
            .map_or("and no phase was seen before".to_owned(), |step| {
                format!("last seen {}", step.phase)
            });
        let error = reading
            .error
            .as_ref()
            .map(|e| format!(": {}", e.text))
            .unwrap_or_default();
        format!(
            "{} reports {}, {last}{error}",
            twin.device_id, evidence.value
        )
    }

    /// What is to be said when nothing has changed for `deadline`; nothing when
    /// that was said already, or while an order waits to be tried again.
    #[must_use]
    pub fn overdue(&self, deadline: SignedDuration, sight: &Sight) -> Option<What> {
        if self.verdict.is_some() || self.retry.is_some() {
            return None;
        }
        let time = spoken(deadline);
        let (state, reason) = match &self.doubt {
            None => (OpenState::Stalled, self.stalled(&time, sight)),
            Some((OpenState::Unknown, _)) if !self.has_begun() => (
                OpenState::Unknown,
                format!(
                    "no sign in {time} that {} started: its twin holds nothing newer than the \
                     order. It is watched on, less often, and not invoked again by itself. Give \
                     this update up (x in the console), then start another",
                    self.device
                ),
            ),
            Some((OpenState::Unconfirmed, why)) => (
                OpenState::Unconfirmed,
                format!(
                    "{why}. No other sign came in {time}; it is watched on, less often. Look at \
                     the device itself, then give this update up (x in the console)"
                ),
            ),
            Some(_) => return None,
        };
        Some(What::State {
            state,
            reason,
            evidence: self.steps.last().map(|step| step.evidence.clone()),
        })
    }

    fn stalled(&self, time: &str, sight: &Sight) -> String {
        let away = match (sight.connection, self.away) {
            (Some(Connection::Disconnected), Some(away)) => format!(
                "; the hub says that the device is not connected, since {}",
                on_the_clock(away.since)
            ),
            (Some(Connection::Disconnected), None) => {
                "; the hub says that the device is not connected".to_owned()
            }
            _ => String::new(),
        };
        format!(
            "nothing changed for {time} since {:?}{away}. It is watched on, less often; \
             give it up with x in the console",
            self.word()
        )
    }

    /// What is to be said of a device that is connected again.
    #[must_use]
    pub fn reconnected(&self, twin: &Twin) -> Option<What> {
        let away = self.away.filter(|_| self.verdict.is_none())?;
        (twin.connection == Connection::Connected).then_some(What::Connection {
            state: Connection::Connected,
            expected: away.expected,
        })
    }

    /// What is to be said of a device that has lost its connection since `before`,
    /// once the twin's own news are folded in: whether that is part of an update
    /// depends on the phase that the same twin tells.
    #[must_use]
    pub fn disconnected(&self, before: &Sight, twin: &Twin) -> Option<What> {
        let restarts = matches!(self.phase(), Some(Phase::Applying | Phase::Rebooting));
        let stalled = matches!(self.doubt, Some((OpenState::Stalled, _)));
        let lost = before.connection == Some(Connection::Connected)
            && twin.connection == Connection::Disconnected;
        (lost && self.verdict.is_none()).then_some(What::Connection {
            state: Connection::Disconnected,
            expected: restarts && !stalled,
        })
    }

    /// What is to be said of a device that the hub does not know any more.
    #[must_use]
    pub fn lost(&self, problem: &Problem) -> [What; 2] {
        let state = What::State {
            state: OpenState::Unknown,
            reason: format!(
                "{}. What becomes of its update cannot be seen from here. Should the device be \
                 created again, it is told; else give this update up (x in the console)",
                problem.line().trim_end_matches('.')
            ),
            evidence: None,
        };
        [What::Lost {}, state]
    }
}

pub(super) fn evidence(reading: &Reading, twin: &Twin) -> Evidence {
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

fn on_the_clock(time: Timestamp) -> String {
    time.strftime("%H:%M:%S UTC").to_string()
}
