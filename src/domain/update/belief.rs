//! What of a twin counts: what is stamped late enough, and what is a sign of the
//! run that we started.

use jiff::Timestamp;

use crate::domain::dialect::{Reading, Stamped};
use crate::domain::evidence::{Baseline, sha256};
use crate::domain::phase::Phase;
use crate::domain::uri;

use super::{Step, Update};

impl Update {
    /// The baseline with what else was written before the order may have gone
    /// out; `None` when nothing was, or when a run had begun there.
    pub(super) fn overtaken(&self, reading: &Reading) -> Option<Baseline> {
        let early = |stamp| self.is_believed(stamp) && !self.is_later_than_the_order(stamp);
        if reading.phase.is_active() && early(reading.stamp) {
            return None;
        }
        let mut baseline = self.intent.baseline.clone();
        let places = [
            (&mut baseline.end, &reading.end),
            (&mut baseline.firmware, &reading.version),
            (&mut baseline.pending, &reading.pending),
            (&mut baseline.run, &reading.run),
        ];
        for (held, now) in places {
            if let Some(now) = now.as_ref().filter(|now| early(now.stamp)) {
                *held = Some(now.text.clone());
            }
        }
        if let Some(uri) = reading.uri.as_ref().filter(|uri| early(uri.stamp)) {
            baseline.uri_sha256 = Some(sha256(&uri.text));
        }
        (baseline != self.intent.baseline).then_some(baseline)
    }

    /// Is this the version that the operator expects? Blanks around it are no
    /// part of it: some devices take it from the first line of a file.
    pub(super) fn is_expected(&self, version: &Stamped) -> bool {
        let expect = self.intent.expect.as_deref().map(str::trim);
        expect == Some(version.text.trim())
    }

    /// Had the device the expected version before the order?
    pub(super) fn was_expected(&self) -> bool {
        let before = self.intent.baseline.firmware.as_deref().map(str::trim);
        before.is_some() && before == self.intent.expect.as_deref().map(str::trim)
    }

    /// Is a device that says the same before an update and after it now after
    /// one? Only another version than before tells, or the expected one in a run
    /// that was seen. A device that tells its version for the first time may have
    /// had it all along.
    pub(super) fn has_come_to_rest(&self, reading: &Reading) -> bool {
        let version = match &reading.version {
            Some(version) if reading.at_rest && reading.phase == Phase::Idle => version,
            _ => return false,
        };
        match &self.intent.expect {
            Some(_) => self.is_expected(version) && self.second_sign(reading, false),
            None => self.is_another_version(version),
        }
    }

    /// Is this another version than the one that the device had before?
    pub(super) fn is_another_version(&self, version: &Stamped) -> bool {
        let before = self.intent.baseline.firmware.as_deref().map(str::trim);
        before.is_some_and(|before| before != version.text.trim())
    }

    /// Is there a sign of this run besides the status: stamped after the
    /// baseline, and not what the baseline held? Of a twin that took another's
    /// place, and in a `foreign` dialect, nobody knows what was there before, so
    /// that there nothing counts as changed.
    pub(super) fn second_sign(&self, reading: &Reading, foreign: bool) -> bool {
        let base = &self.intent.baseline;
        let known = !foreign && self.replaced.is_none() && self.early_end.is_none();
        let later = |stamp| self.is_later_than_the_order(stamp);
        let changed = |now: &Option<Stamped>, before: &Option<String>| {
            let changed = |n: &Stamped| Some(&n.text) != before.as_ref();
            now.as_ref()
                .is_some_and(|n| known && later(n.stamp) && changed(n))
        };
        let version = reading.version.as_ref().is_some_and(|version| {
            let ours = self.is_expected(version) && !self.was_expected() && !foreign;
            later(version.stamp) && (ours || known && self.is_another_version(version))
        });
        let active = |step: &Step| {
            let held =
                self.replaced.is_none() && self.is_the_baselines(step.evidence.value.as_str());
            step.phase.is_active() && self.is_of_our_run(step) && !held
        };
        let our_uri = reading.uri.as_ref().is_some_and(|uri| {
            later(uri.stamp)
                && Some(sha256(&uri.text)) != base.uri_sha256
                && Some(uri::redacted_text(&uri.text)) == self.intent.uri
        });
        let ended = reading.end.as_ref().zip(base.end.as_ref());
        let went_back = ended.is_some_and(|(now, before)| is_earlier(&now.text, before));
        let named = changed(&reading.run, &base.run) || our_uri;
        if base.contested {
            // Phases, an end or a version may be the other order's.
            return named;
        }
        named
            || self.steps.iter().any(active)
            || changed(&reading.end, &base.end) && !went_back
            || version
            || changed(&reading.pending, &base.pending)
    }

    /// Does this step belong to the run that we started? One that was stamped
    /// while the order went out does when the device has taken the order, unless
    /// a run had ended there.
    pub(super) fn is_of_our_run(&self, step: &Step) -> bool {
        let stamp = step.evidence.hub_time;
        let taken = self.answer.is_some() && self.early_end.is_none();
        self.is_later_than_the_order(stamp) || taken && self.is_believed(stamp)
    }

    /// Was the device seen at work since the order surely had gone out?
    #[must_use]
    pub fn has_begun(&self) -> bool {
        let later = |step: &Step| self.is_later_than_the_order(step.evidence.hub_time);
        self.steps.iter().any(later)
    }

    /// Was this status seen as the end of a run that may have ended before the
    /// order?
    pub(super) fn is_the_early_end(&self, value: Option<&str>) -> bool {
        let same = |end: &str| value.is_some_and(|v| is_same_word(v, end));
        self.early_end.as_deref().is_some_and(same)
    }

    /// Is this the status that the baseline held? As in a dialect, case does
    /// not count.
    pub(super) fn is_the_baselines(&self, value: Option<&str>) -> bool {
        match (value, self.intent.baseline.value.as_deref()) {
            (Some(now), Some(before)) => is_same_word(now, before),
            (now, before) => now == before,
        }
    }

    /// Is the status stamped after the baseline?
    pub(super) fn is_news(&self, reading: &Reading) -> bool {
        reading.value.is_some() && self.is_believed(reading.stamp)
    }

    /// Is this surely stamped after the order went out?
    pub(super) fn is_later_than_the_order(&self, stamp: Option<Timestamp>) -> bool {
        self.is_believed(stamp) && self.ordered.is_none_or(|order| stamp > Some(order))
    }

    /// Is this stamped after all that was there before: before the order, and
    /// before the twin that is there now?
    pub(super) fn is_believed(&self, stamp: Option<Timestamp>) -> bool {
        let replaced = self.replaced.as_ref().and_then(|r| r.since);
        self.intent.baseline.is_older_than(stamp) && replaced.is_none_or(|at| stamp > Some(at))
    }
}

/// Are both times, and is the one before the other? By whatever clock: an update
/// that ends earlier than the one before it is none.
fn is_earlier(one: &str, other: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite());
    let time = |text: &str| {
        let zoned = text.parse::<Timestamp>().ok();
        zoned.or_else(|| {
            let civil: jiff::civil::DateTime = text.parse().ok()?;
            jiff::tz::Offset::UTC.to_timestamp(civil).ok()
        })
    };
    let (one, other) = (one.trim(), other.trim());
    match (number(one), number(other), time(one), time(other)) {
        (Some(one), Some(other), ..) => one < other,
        (_, _, Some(one), Some(other)) => one < other,
        _ => false,
    }
}

fn is_same_word(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}
