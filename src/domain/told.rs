//! An event of an update in words: one for a timeline's column, and what more
//! there is to say. The console's log and the history say it alike.

use super::clean;
use super::event::{Event, What};
use super::phase::Phase;
use super::update::Evidence;
use super::uri::last_part;

/// Characters of a foreign text.
pub const WORDS: usize = 400;

/// An event in words; harmless text. `None` for one that is not about an update.
#[must_use]
pub fn told(event: &Event) -> Option<(String, String)> {
    let (word, text) = match &event.what {
        What::Intended(intent) => {
            let what = match &intent.uri {
                Some(uri) => format!("{}, by {}", last_part(uri), intent.by),
                None => format!("watching only, by {}", intent.by),
            };
            ("intended", what)
        }
        What::TookOver { holding } => ("took over", format!("from {holding}")),
        What::Invoked { attempt: 1, .. } => ("invoked", String::new()),
        What::Invoked { attempt, .. } => ("invoked", format!("try {attempt}")),
        What::Retrying { problem, .. } => ("retrying", problem.line()),
        What::Rebased { baseline } => {
            let value = baseline.value.as_deref().unwrap_or("nothing");
            let text = format!("read again: {value}, reported version {}", baseline.version);
            ("baseline", text)
        }
        What::Accepted { status, payload } => {
            let text = format!("{status} {}", clean::value_line(payload, WORDS));
            ("accepted", text)
        }
        What::Phase {
            phase,
            percent,
            evidence,
            ..
        } => (phase.name(), phase_text(*phase, *percent, evidence)),
        What::State { state, reason, .. } => (state.name(), reason.clone()),
        What::Verdict {
            outcome, reason, ..
        } => (outcome.name(), reason.clone()),
        What::Contradicted { reason, .. } => ("contradicted", reason.clone()),
        // A device that restarts goes away and comes back.
        What::Connection { expected: true, .. } => return None,
        What::Connection { state, .. } => {
            let word = format!("{state:?}").to_lowercase();
            return Some((word, "as far as the hub knows".to_owned()));
        }
        What::Tag { problem } => ("tag", format!("{}. {}", problem.line(), problem.hint)),
        What::Replaced { version, .. } => {
            let text = format!("another twin is there, reported version {version}");
            ("replaced", text)
        }
        _ => return None,
    };
    Some((word.to_owned(), clean::line(&text, WORDS)))
}

/// What there is to say of a phase beside its name: the percentage, and the
/// device's own word where it differs.
#[must_use]
pub fn phase_text(phase: Phase, percent: Option<f64>, evidence: &Evidence) -> String {
    let mut parts = Vec::new();
    if let Some(percent) = percent {
        parts.push(format!("{percent:.0} %"));
    }
    let value = clean::value_line(&evidence.value, WORDS);
    if !value.eq_ignore_ascii_case(phase.name()) {
        parts.push(format!("“{value}”"));
    }
    parts.join(" ")
}
