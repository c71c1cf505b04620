//! How far an update is, and how sure that is.
//!
//! A device that reports a percentage gets a real gauge inside its phase. One
//! that reports only phases gets a gauge of phases. Nothing is invented: a gauge
//! never passes the end of the phase that the device reports.

use super::phase::Phase;
use super::update::{Outcome, Update};

/// How much of one phase is behind the device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// Not begun.
    Empty,
    /// Under way, and nobody knows how far.
    Begun,
    /// Under way, with what the device reports: 0 to 1.
    Part(f64),
    /// Behind.
    Full,
    /// It ended here, badly.
    Broken,
}

/// One phase of a gauge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// The phase.
    pub phase: Phase,
    /// How much of it is behind.
    pub fill: Fill,
}

/// How far an update is.
#[derive(Clone, Debug, PartialEq)]
pub struct Gauge {
    /// The phases that the device's dialect knows, in order.
    pub segments: Vec<Segment>,
    /// What is behind, all phases counted alike: 0 to 1, never NaN.
    pub ratio: f64,
    /// The percentage that the device reports for the phase it is in.
    pub percent: Option<f64>,
}

impl Gauge {
    /// The gauge of `update` over the phases that its dialect knows.
    #[must_use]
    pub fn of(update: &Update, phases: &[Phase]) -> Self {
        let mut phases = phases.to_vec();
        for step in &update.steps {
            if step.phase.is_active() && !phases.contains(&step.phase) {
                phases.push(step.phase);
            }
        }
        phases.sort_unstable();
        let step = update.steps.iter().rev().find(|s| s.phase.is_active());
        let (now, percent) = (
            step.map(|s| s.phase),
            step.and_then(|s| s.percent)
                .filter(|p| p.is_finite() && update.is_open()),
        );
        let outcome = update.verdict.as_ref().map(|v| v.outcome);
        let segments: Vec<Segment> = phases
            .into_iter()
            .map(|phase| Segment {
                phase,
                fill: fill(phase, now, percent, outcome),
            })
            .collect();
        Self {
            ratio: ratio(&segments, outcome),
            segments,
            percent: percent.map(|p| p.clamp(0.0, 100.0)),
        }
    }
}

fn fill(phase: Phase, now: Option<Phase>, percent: Option<f64>, outcome: Option<Outcome>) -> Fill {
    match (outcome, now) {
        (Some(Outcome::Completed), _) => Fill::Full,
        (_, None) => Fill::Empty,
        (_, Some(now)) if phase < now => Fill::Full,
        (_, Some(now)) if phase > now => Fill::Empty,
        (Some(_), _) => Fill::Broken,
        (None, _) => percent.map_or(Fill::Begun, |p| Fill::Part((p / 100.0).clamp(0.0, 1.0))),
    }
}

fn ratio(segments: &[Segment], outcome: Option<Outcome>) -> f64 {
    if outcome == Some(Outcome::Completed) {
        return 1.0;
    }
    if segments.is_empty() {
        return 0.0;
    }
    let behind: f64 = segments
        .iter()
        .map(|segment| match segment.fill {
            Fill::Full => 1.0,
            Fill::Part(part) => part,
            Fill::Empty | Fill::Begun | Fill::Broken => 0.0,
        })
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "a handful of phases")]
    let all = segments.len() as f64;
    (behind / all).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{Event, Intent, What};
    use crate::domain::id::{DeviceId, UpdateId};
    use crate::domain::update::{Baseline, Evidence};
    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::Value;

    const PHASES: [Phase; 2] = [Phase::Downloading, Phase::Applying];

    fn update(steps: &[(Phase, Option<f64>)], outcome: Option<Outcome>) -> Update {
        let intent = Intent {
            hub: "h".into(),
            uri: None,
            payload_sha256: None,
            method: None,
            expect: None,
            dialect: "d".into(),
            baseline: Baseline::default(),
            by: "ana".into(),
        };
        let event = |what| {
            let device = DeviceId::parse("d").unwrap();
            let id = UpdateId::from_text("u");
            Event::update(Timestamp::UNIX_EPOCH, device, id, what)
        };
        let mut update = Update::intended(&event(What::Intended(Box::new(intent)))).unwrap();
        for (phase, percent) in steps {
            update.apply(&event(What::Phase {
                phase: *phase,
                reported: Value::Null,
                percent: *percent,
                evidence: Evidence {
                    property: "p".into(),
                    value: phase.name().into(),
                    version: 1,
                    hub_time: None,
                },
            }));
        }
        if let Some(outcome) = outcome {
            update.apply(&event(What::Verdict {
                outcome,
                reason: String::new(),
                evidence: None,
                reported: Value::Null,
                problem: None,
            }));
        }
        update
    }

    #[rstest::rstest]
    #[case(&[], None, 0.0, [Fill::Empty, Fill::Empty])]
    #[case(&[(Phase::Downloading, None)], None, 0.0, [Fill::Begun, Fill::Empty])]
    #[case(&[(Phase::Downloading, Some(52.0))], None, 0.26, [Fill::Part(0.52), Fill::Empty])]
    #[case(&[(Phase::Applying, None)], None, 0.5, [Fill::Full, Fill::Begun])]
    #[case(&[(Phase::Applying, None), (Phase::Done, None)], Some(Outcome::Completed), 1.0, [Fill::Full, Fill::Full])]
    #[case(&[(Phase::Applying, None), (Phase::Failed, None)], Some(Outcome::Failed), 0.5, [Fill::Full, Fill::Broken])]
    fn gauges(
        #[case] steps: &[(Phase, Option<f64>)],
        #[case] outcome: Option<Outcome>,
        #[case] ratio: f64,
        #[case] fills: [Fill; 2],
    ) {
        let gauge = Gauge::of(&update(steps, outcome), &PHASES);
        assert!((gauge.ratio - ratio).abs() < 1e-9, "{}", gauge.ratio);
        assert_eq!(
            gauge.segments.iter().map(|s| s.fill).collect::<Vec<_>>(),
            fills
        );
    }

    proptest! {
        /// Whatever a device reports: no NaN, and never past the end of the phase
        /// that it is in.
        #[test]
        fn a_gauge_never_passes_the_end_of_the_phase(percent in prop::num::f64::ANY, applying: bool) {
            let phase = if applying { Phase::Applying } else { Phase::Downloading };
            let gauge = Gauge::of(&update(&[(phase, Some(percent))], None), &PHASES);
            let end = if applying { 1.0 } else { 0.5 };
            prop_assert!((0.0..=end).contains(&gauge.ratio), "{}", gauge.ratio);
        }
    }
}
