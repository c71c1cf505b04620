//! What a read twin, an answer or the time says next of an update. Everything
//! here is a pure question to an [`Update`]; nothing changes it.

use jiff::SignedDuration;
use serde_json::Value;

use crate::domain::clean;
use crate::domain::dialect::{Dialect, Reading, Stamped};
use crate::domain::event::What;
use crate::domain::evidence::{Evidence, OpenState, Outcome, sha256};
use crate::domain::method::MethodAnswer;
use crate::domain::phase::Phase;
use crate::domain::time::spoken;
use crate::domain::twin::Twin;
use crate::domain::uri;

use super::{Delivery, Step, Update};

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
        let evidence = self.evidence(dialect, &reading, twin);
        let mut news = Vec::new();
        let repeated = self.is_the_baselines(reading.value.as_deref());
        if reading.phase.is_end() {
            self.end(&mut news, &reading, evidence, twin);
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
    fn end(&self, news: &mut Vec<What>, reading: &Reading, evidence: Evidence, twin: &Twin) {
        let missing = self.missing(reading);
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
    fn missing(&self, reading: &Reading) -> Option<String> {
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
        if !self.is_the_baselines(Some(value)) || self.second_sign(reading) {
            return None;
        }
        Some(format!(
            "the device says {value:?}, as it did before the order; \
             nothing shows that this is the run we started"
        ))
    }

    /// Is there a sign of this run besides the status: stamped after the
    /// baseline, and not what the baseline held?
    fn second_sign(&self, reading: &Reading) -> bool {
        let base = &self.intent.baseline;
        let changed = |now: &Option<Stamped>, before: &Option<String>| {
            now.as_ref()
                .is_some_and(|n| base.is_older_than(n.stamp) && Some(&n.text) != before.as_ref())
        };
        let active = |step: &Step| {
            step.phase.is_active() && !self.is_the_baselines(step.evidence.value.as_str())
        };
        let our_uri = reading.uri.as_ref().is_some_and(|uri| {
            base.is_older_than(uri.stamp)
                && Some(sha256(&uri.text)) != base.uri_sha256
                && Some(uri::redacted_text(&uri.text)) == self.intent.uri
        });
        self.steps.iter().any(active)
            || changed(&reading.end, &base.end)
            || changed(&reading.version, &base.firmware)
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

    fn evidence(&self, dialect: &Dialect, reading: &Reading, twin: &Twin) -> Evidence {
        Evidence {
            property: dialect.status.to_string(),
            value: reading.value.clone().map_or(Value::Null, Value::String),
            version: twin.reported.version,
            hub_time: reading.stamp,
        }
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
                spoken(deadline),
                self.word()
            ),
            evidence: self.steps.last().map(|step| step.evidence.clone()),
        })
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
        payload => format!(": {}", clean::value_line(payload, 200)),
    };
    match answer.status {
        status @ (404 | 501) => {
            format!("the device knows no such method (status {status}{words})")
        }
        status => format!("the device refused with status {status}{words}"),
    }
}
