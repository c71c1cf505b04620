//! What contradicts a verdict.

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::dialect::{Dialect, Reading};
use crate::domain::event::What;
use crate::domain::evidence::{Evidence, Outcome};
use crate::domain::phase::Phase;
use crate::domain::twin::Twin;

use super::judge::evidence;
use super::{Sight, Update};

impl Update {
    /// What a twin says after the verdict that does not agree with it. Only
    /// what a device said to have come to an end can be contradicted by it.
    #[must_use]
    pub fn contradiction(&self, then: &Sight, dialect: &Dialect, twin: &Twin) -> Option<What> {
        let verdict = self.verdict.as_ref()?;
        let end = verdict.evidence.as_ref()?;
        if twin.reported.version < end.version {
            return None;
        }
        let reading = dialect.read(&twin.reported);
        let later = |stamp: Option<Timestamp>| stamp.is_some() && stamp > end.hub_time;
        let by_status = || self.against_status(verdict.outcome, &reading);
        let by_version = || self.against_version(verdict.outcome, then, &reading);
        let status = later(reading.stamp).then(by_status).flatten();
        let (reason, evidence) = match status {
            Some(reason) => (reason, evidence(&reading, twin)),
            None => {
                let version = reading.version.as_ref().filter(|v| later(v.stamp))?;
                let evidence = Evidence {
                    property: dialect.version_path()?.to_string(),
                    value: Value::String(version.text.clone()),
                    version: twin.reported.version,
                    hub_time: version.stamp,
                };
                (by_version()?, evidence)
            }
        };
        let told = self.contradicted.as_ref().is_some_and(|c| {
            (&c.evidence.property, &c.evidence.value) == (&evidence.property, &evidence.value)
        });
        (!told).then_some(What::Contradicted {
            reason,
            evidence,
            reported: reading.object,
        })
    }

    fn against_status(&self, outcome: Outcome, reading: &Reading) -> Option<String> {
        let value = reading.value.as_deref().unwrap_or_default();
        let error = reading.error.as_ref();
        let error = error.map(|e| format!(": {}", e.text)).unwrap_or_default();
        match (outcome, reading.phase) {
            // What a device at rest says is no success.
            (Outcome::Failed, Phase::Done) if reading.at_rest => None,
            (Outcome::Completed, Phase::Failed) | (Outcome::Failed, Phase::Done) => Some(format!(
                "{} reports {value:?} after that{error}",
                self.device
            )),
            (Outcome::Completed | Outcome::Failed, phase) if phase.is_active() => Some(format!(
                "{} reports {value:?} after that: a run has begun again, ours or another",
                self.device
            )),
            _ => None,
        }
    }

    /// A version that is not the expected one, or that fell back to what it was
    /// before the update.
    fn against_version(&self, outcome: Outcome, then: &Sight, reading: &Reading) -> Option<String> {
        let now = &reading.version.as_ref()?.text;
        let before = self.intent.baseline.firmware.as_ref();
        if outcome != Outcome::Completed {
            return None;
        }
        let expect = self.intent.expect.as_ref();
        if let Some(expect) = expect.filter(|e| e.trim() != now.trim()) {
            return Some(format!(
                "{} reports version {now:?} after that, not {expect:?}",
                self.device
            ));
        }
        let fell_back =
            Some(now) == before && then.firmware.is_some() && then.firmware.as_ref() != before;
        fell_back.then(|| {
            format!(
                "{} reports version {now:?} again, as before the update",
                self.device
            )
        })
    }
}
