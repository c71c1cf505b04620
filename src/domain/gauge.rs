//! How far an update is, and how sure that is.
//!
//! A device that reports a percentage gets a real gauge inside its phase. One
//! that reports only phases gets a gauge of phases; inside a phase it moves as
//! past updates went, which is an estimate and told apart from what is reported.
//! Nothing is invented: a gauge never passes the end of the phase that the device
//! reports.

use jiff::Timestamp;

use super::durations::Durations;
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
    /// Under way, as far as past updates tell: 0 to 1.
    Estimate(f64),
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
    /// What is behind, all phases counted alike: 0 to 1, never NaN. Estimates
    /// count for nothing.
    pub ratio: f64,
    /// The percentage that the device reports for the phase it is in.
    pub percent: Option<f64>,
}

impl Gauge {
    /// The gauge of `update` over the phases that its dialect knows.
    #[must_use]
    pub fn of(update: &Update, phases: &[Phase]) -> Self {
        Self::with(update, phases, None)
    }

    /// The same at a time, moved inside the phase at hand as past updates went.
    #[must_use]
    pub fn at(update: &Update, phases: &[Phase], durations: &Durations, now: Timestamp) -> Self {
        Self::with(update, phases, durations.part(update, now))
    }

    fn with(update: &Update, phases: &[Phase], estimate: Option<f64>) -> Self {
        let mut phases = phases.to_vec();
        for step in &update.steps {
            if step.phase.is_active() && !phases.contains(&step.phase) {
                phases.push(step.phase);
            }
        }
        phases.sort_unstable();
        // A device that fell back to idle is in no phase any more.
        let idle = update.phase() == Some(Phase::Idle);
        let active = update.steps.iter().rev().find(|s| s.phase.is_active());
        let step = active.filter(|_| !idle);
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
                fill: match fill(phase, now, percent, outcome) {
                    Fill::Begun => estimate.map_or(Fill::Begun, Fill::Estimate),
                    known => known,
                },
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
            Fill::Empty | Fill::Begun | Fill::Estimate(_) | Fill::Broken => 0.0,
        })
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "a handful of phases")]
    let all = segments.len() as f64;
    (behind / all).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::durations::Learnt;
    use crate::domain::event::{Event, Intent, What};
    use crate::domain::id::{DeviceId, UpdateId};
    use crate::domain::update::{Baseline, Evidence};
    use jiff::SignedDuration;
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
            ..Intent::default()
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

    #[test]
    fn a_device_that_fell_back_to_idle_is_in_no_phase() {
        let gauge = Gauge::of(
            &update(&[(Phase::Applying, None), (Phase::Idle, None)], None),
            &PHASES,
        );
        let fills: Vec<Fill> = gauge.segments.iter().map(|s| s.fill).collect();
        assert_eq!(fills, [Fill::Empty, Fill::Empty]);
    }

    fn learnt(seconds: i64) -> Durations {
        let usual = SignedDuration::from_secs(seconds);
        let learnt = |phase| Learnt {
            dialect: "d".into(),
            phase,
            samples: 9,
            usual,
            long: usual,
        };
        Durations::from(PHASES.map(learnt).to_vec())
    }

    #[rstest::rstest]
    #[case(None, 5, Fill::Estimate(0.25))]
    #[case(None, 500, Fill::Estimate(1.0))]
    #[case(Some(40.0), 5, Fill::Part(0.4))]
    fn an_estimate_moves_only_what_nothing_is_reported_of(
        #[case] percent: Option<f64>,
        #[case] passed: i64,
        #[case] fill: Fill,
    ) {
        let update = update(&[(Phase::Downloading, percent)], None);
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(passed);
        let gauge = Gauge::at(&update, &PHASES, &learnt(20), now);
        assert_eq!(
            gauge.segments.iter().map(|s| s.fill).collect::<Vec<_>>(),
            [fill, Fill::Empty]
        );
        assert_eq!(gauge.percent, percent);
    }

    proptest! {
        /// Whatever was learnt and however late it is: an estimate stays inside
        /// the phase that the device reports.
        #[test]
        fn an_estimate_never_passes_the_end_of_the_phase(usual in 0i64..10_000, passed in -10_000i64..100_000, applying: bool) {
            let phase = if applying { Phase::Applying } else { Phase::Downloading };
            let update = update(&[(phase, None)], None);
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(passed);
            let gauge = Gauge::at(&update, &PHASES, &learnt(usual), now);
            for segment in &gauge.segments {
                match segment.fill {
                    Fill::Full => prop_assert!(segment.phase < phase),
                    Fill::Empty => prop_assert!(segment.phase > phase),
                    Fill::Begun => prop_assert!(segment.phase == phase && usual == 0),
                    Fill::Estimate(part) => {
                        prop_assert!(segment.phase == phase && (0.0..=1.0).contains(&part));
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
            }
        }

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
