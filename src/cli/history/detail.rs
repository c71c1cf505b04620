//! One update as it was written down: what was decided and by whom, what the
//! twin held before, what happened when by both clocks, and what the verdict
//! rests on.

use jiff::Timestamp;

use crate::domain::clean;
use crate::domain::durations;
use crate::domain::event::{Event, Intent, What};
use crate::domain::history::Recorded;
use crate::domain::id::UpdateId;
use crate::domain::time::{on_a_clock, spoken};
use crate::domain::told::told;
use crate::domain::update::{Baseline, Evidence, Update};

/// Characters of a foreign text.
const TEXT: usize = 600;

/// All of it, in lines of harmless text.
pub(super) fn text(id: &UpdateId, recorded: &Recorded, now: Timestamp) -> String {
    let mut page = Lines(String::new());
    let Some(update) = recorded.update() else {
        page.line(&format!("update {id}: what was intended cannot be read"));
        timeline(&mut page, recorded);
        return page.0;
    };
    headline(&mut page, &update);
    page.fact("update", update.id.as_str());
    page.fact("device", update.device.as_str());
    page.fact("hub", &update.intent.hub);
    decided(&mut page, &update, now);
    // As it was when the order went out first; later ones are events.
    if let Some(first) = recorded.events.iter().find_map(intent) {
        baseline(&mut page, &first.baseline);
    }
    page.line("");
    timeline(&mut page, recorded);
    page.line("");
    ending(&mut page, &update);
    page.0
}

fn intent(event: &Event) -> Option<&Intent> {
    match &event.what {
        What::Intended(intent) | What::Watched(intent) => Some(intent),
        _ => None,
    }
}

/// The first line about an ended update begins with its outcome and a colon.
fn headline(page: &mut Lines, update: &Update) {
    match (update.verdict_line(), &update.doubt) {
        (Some(line), _) => page.line(&line),
        (None, Some((doubt, why))) => page.line(&format!("open, {}: {why}", doubt.name())),
        (None, None) => page.line(&format!("open: {} when it was seen last", update.word())),
    }
    let problem = update.verdict.as_ref().and_then(|v| v.problem.as_ref());
    if let Some(problem) = problem.filter(|p| !p.hint.is_empty()) {
        page.line(&format!("  {}", problem.hint));
    }
    if let Some(contradiction) = &update.contradicted {
        page.line(&format!("contradicted later: {}", contradiction.reason));
    }
}

fn decided(page: &mut Lines, update: &Update, now: Timestamp) {
    let Intent {
        uri,
        payload_sha256,
        method,
        expect,
        dialect,
        by,
        reason,
        ..
    } = &update.intent;
    let none = "nothing: it was only watched";
    page.fact("package", uri.as_deref().unwrap_or(none));
    let method = method.as_deref().unwrap_or("no method");
    page.fact("order", &format!("{method}, dialect {dialect}"));
    if let Some(hash) = payload_sha256 {
        page.fact("payload", &format!("sha256 {hash}"));
    }
    if let Some(version) = expect {
        page.fact("expected", &format!("version {version}"));
    }
    page.fact("by", by);
    page.fact("reason", reason.as_deref().unwrap_or("–"));
    page.fact("decided", &clock(update.intended));
    match &update.verdict {
        Some(verdict) => {
            let took = spoken(verdict.time.duration_since(update.intended));
            page.fact("ended", &format!("{}, after {took}", clock(verdict.time)));
        }
        None => {
            let open = spoken(now.duration_since(update.intended));
            page.fact("ended", &format!("not yet, open for {open}"));
        }
    }
}

/// What the twin held before the order.
fn baseline(page: &mut Lines, baseline: &Baseline) {
    let value = baseline.value.as_deref().unwrap_or("no status");
    let mut text = format!("{value}, reported version {}", baseline.version);
    if let Some(time) = baseline.value_updated {
        text.push_str(&format!(", written {} (hub time)", clock(time)));
    }
    page.fact("baseline", &text);
    let others = [
        ("firmware", &baseline.firmware),
        ("on its way", &baseline.pending),
        ("last end", &baseline.end),
    ];
    for (name, value) in others {
        if let Some(value) = value {
            page.fact("", &format!("{name} {value}"));
        }
    }
}

/// One line an event, by our clock and by the hub's.
fn timeline(page: &mut Lines, recorded: &Recorded) {
    page.line(&format!(
        "{:23}  {:27}  {:>8}  what",
        "our time (UTC)", "hub time (UTC)", "after"
    ));
    let begin = recorded.events.first().map(|event| event.time);
    let half = recorded.events.len() / 2;
    for (n, event) in recorded.events.iter().enumerate() {
        if recorded.left_out > 0 && n == half {
            page.line(&format!(
                "  … {} more events are left out; --json has them",
                recorded.left_out
            ));
        }
        let Some((word, text)) = told(event) else {
            continue;
        };
        let passed = begin.map(|begin| on_a_clock(event.time.duration_since(begin)));
        let hub = evidence_of(event).and_then(|e| e.hub_time);
        let hub = hub.map_or("–".to_owned(), |time| {
            time.strftime("%Y-%m-%d %H:%M:%S.%7f").to_string()
        });
        page.line(&format!(
            "{:23}  {hub:27}  {:>8}  {word:<12} {text}",
            event.time.strftime("%Y-%m-%d %H:%M:%S.%3f").to_string(),
            passed.unwrap_or_default(),
        ));
    }
}

fn evidence_of(event: &Event) -> Option<&Evidence> {
    match &event.what {
        What::Phase { evidence, .. } | What::Contradicted { evidence, .. } => Some(evidence),
        What::State { evidence, .. } | What::Verdict { evidence, .. } => evidence.as_ref(),
        _ => None,
    }
}

/// How long each phase took, the answer, and what all of it rests on.
fn ending(page: &mut Lines, update: &Update) {
    let phases = durations::lasted(&update.steps);
    if !phases.is_empty() {
        let phases: Vec<String> = phases
            .iter()
            .map(|(phase, time)| format!("{phase} {}", spoken(*time)))
            .collect();
        page.fact("phases", &phases.join(", "));
    }
    if let Some((_, answer)) = &update.answer {
        let words = clean::value_line(&answer.payload, TEXT);
        page.fact("answer", &format!("status {} {words}", answer.status));
    }
    let of_verdict = update.verdict.as_ref().map(|v| v.evidence.as_ref());
    let last = || update.steps.last().map(|step| &step.evidence);
    if let Some(evidence) = of_verdict.unwrap_or_else(last) {
        rests_on(page, "evidence", evidence);
    }
    if let Some(contradiction) = &update.contradicted {
        rests_on(page, "against", &contradiction.evidence);
    }
    if !update.reported.is_null() {
        page.fact("reported", "");
        let pretty = serde_json::to_string_pretty(&update.reported).unwrap_or_default();
        for line in pretty.lines() {
            page.line(&format!("    {line}"));
        }
    }
}

fn rests_on(page: &mut Lines, name: &str, evidence: &Evidence) {
    let value = clean::line(&evidence.value.to_string(), TEXT);
    let time = evidence
        .hub_time
        .map_or("unknown".to_owned(), |t| t.to_string());
    let text = format!(
        "{} = {value}, reported version {}, hub time {time}",
        evidence.property, evidence.version
    );
    page.fact(name, &text);
}

fn clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Lines of harmless text.
struct Lines(String);

impl Lines {
    fn line(&mut self, text: &str) {
        self.0.push_str(&clean::line(text.trim_end(), 2 * TEXT));
        self.0.push('\n');
    }

    fn fact(&mut self, name: &str, text: &str) {
        self.line(&format!("  {name:<10}{text}"));
    }
}
