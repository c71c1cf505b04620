//! An update: its verdict or how far it is, its timeline, what that rests on,
//! and its log.

use std::borrow::Cow;

use jiff::Timestamp;
use ratatui::text::Span;

use super::super::model::Model;
use super::super::model::updates::Tracked;
use super::super::text::{Grain, age, as_of, clock, cut, day_and_clock, fit, safe, width};
use super::super::theme::Role;
use super::doc::Doc;
use super::gauge;
use super::layout::is_roomy;
use super::panel::gap;
use crate::domain::clean;
use crate::domain::durations::Durations;
use crate::domain::gauge::Gauge;
use crate::domain::id::DeviceId;
use crate::domain::phase::Phase;
use crate::domain::time::on_a_clock;
use crate::domain::update::{Evidence, Step, Update};
use crate::domain::uri::last_part;

/// Lines of the log that are shown on a high terminal, and on others.
const LOG: [usize; 2] = [12, 5];
/// What a high terminal is.
const HIGH: u16 = 32;
/// Columns of the names of values.
const LABEL: usize = 10;

/// The newest update of a device, if this session knows one.
pub(super) fn update(doc: &mut Doc, model: &Model, device: &DeviceId) {
    if let Some(tracked) = model.updates.of(device) {
        gap(doc, model);
        tell(doc, &Seen::live(model, &tracked.update), tracked);
    }
}

/// From when an update is looked at: from now, or from the time at which a replay
/// has arrived.
pub(super) struct Seen<'a> {
    model: &'a Model,
    now: Timestamp,
    /// Up to when the update was followed.
    known: Timestamp,
    /// Is what is known of it getting old, because the hub is away?
    is_aging: bool,
    /// How long phases took in past updates; nothing in a replay, where that is
    /// hindsight.
    durations: Cow<'a, Durations>,
    /// Lines of the log.
    log: usize,
}

impl<'a> Seen<'a> {
    /// As it is now.
    pub(super) fn live(model: &'a Model, update: &Update) -> Self {
        Self {
            model,
            now: model.now,
            known: model.known_until(update),
            is_aging: model.is_aging() && update.is_open(),
            durations: Cow::Borrowed(&model.durations),
            log: LOG[usize::from(model.size.1 < HIGH)],
        }
    }

    /// As it was at that time, with its whole log.
    pub(super) fn then(model: &'a Model, now: Timestamp) -> Self {
        Self {
            model,
            now,
            known: now,
            is_aging: false,
            durations: Cow::Owned(Durations::default()),
            log: usize::MAX,
        }
    }
}

/// An update: how it ended or how far it is, its timeline, what that rests on,
/// its log.
pub(super) fn tell(doc: &mut Doc, seen: &Seen, tracked: &Tracked) {
    let update = &tracked.update;
    match update.verdict_line() {
        Some(line) => verdict(doc, update, &safe(&line)),
        None => title(doc, update),
    }
    progress(doc, seen, update);
    contradiction(doc, update);
    doubt(doc, update);
    gap(doc, seen.model);
    timeline(doc, seen, update);
    evidence(doc, seen, update);
    log(doc, seen, tracked);
}

/// The first line about an ended update begins with its outcome and a colon.
fn verdict(doc: &mut Doc, update: &Update, line: &str) {
    doc.text(gauge::role(update), line);
    let problem = update.verdict.as_ref().and_then(|v| v.problem.as_ref());
    if let Some(problem) = problem.filter(|p| !p.hint.is_empty()) {
        doc.text(Role::Hint, &safe(&problem.hint));
    }
}

fn title(doc: &mut Doc, update: &Update) {
    let Some(uri) = &update.intent.uri else {
        return doc.text(Role::Title, "watching, nothing was started from here");
    };
    let title = format!("updating to {}", safe(last_part(uri)));
    let line = vec![doc.span(Role::Title, cut(&title, doc.width))];
    doc.line(line);
}

/// The gauge, and one line that says the same in words.
fn progress(doc: &mut Doc, seen: &Seen, update: &Update) {
    let dialect = seen.model.context.dialects.named(&update.intent.dialect);
    let role = match seen.is_aging {
        true => Role::Doubt,
        false => gauge::role(update),
    };
    // Nothing moves beyond what is known.
    let gauge = Gauge::at(update, &dialect.phases(), &seen.durations, seen.known);
    let columns = doc.width.min(72);
    let bar = gauge::bar(&gauge, role, columns, doc.theme);
    doc.line(bar);
    if let Some(verdict) = &update.verdict {
        let text = format!("took {}", lasted(update.intended, verdict.time));
        return doc.text(Role::Muted, &text);
    }
    let now = match update.steps.iter().rev().find(|s| s.phase.is_active()) {
        Some(step) => {
            let phases = &gauge.segments;
            let at = phases
                .iter()
                .position(|s| s.phase == step.phase)
                .map_or(0, |n| n + 1);
            let percent = gauge
                .percent
                .map_or(String::new(), |p| format!(" {p:.0} %"));
            format!(
                "{}{percent} · phase {at} of {} · {}{}",
                step.phase,
                phases.len(),
                if doc.width < 50 { "" } else { "for " },
                lasted(step.since, seen.known)
            )
        }
        None => before_any_phase(seen, update),
    };
    doc.text(role, &now);
    if seen.is_aging {
        let text = format!("{}: it may be further by now", as_of(seen.now, seen.known));
        return doc.text(Role::Doubt, &text);
    }
    if let Some(text) = estimate(seen, update) {
        doc.text(Role::Muted, &text);
    }
}

/// How much time is left if it goes as it went before, and that this is no more
/// than an estimate.
fn estimate(seen: &Seen, update: &Update) -> Option<String> {
    let estimate = seen.durations.left(update, seen.now)?;
    let from = format!("estimate from {} past updates", estimate.samples);
    let left = match estimate.left {
        left if estimate.late && left.is_zero() => "longer than usual".to_owned(),
        left if estimate.late => format!("longer than usual, ~{} for the rest", on_a_clock(left)),
        left => format!("~{} left", on_a_clock(left)),
    };
    Some(format!("{left} · {from}"))
}

/// What the device said after the verdict that does not agree with it.
fn contradiction(doc: &mut Doc, update: &Update) {
    let Some(contradiction) = &update.contradicted else {
        return;
    };
    let text = format!(
        "! contradicted {}: {}. The outcome stays as it was judged.",
        clock(contradiction.time),
        safe(&contradiction.reason)
    );
    doc.text(Role::Bad, &text);
}

/// What keeps an open update from being well.
fn doubt(doc: &mut Doc, update: &Update) {
    if let Some((_, reason)) = &update.doubt {
        let text = format!("? {}: {}", update.word(), safe(reason));
        doc.text(Role::Doubt, &text);
    }
    if let Some(since) = update.missed().filter(|_| update.is_open()) {
        let text = format!(
            "○ not connected since {}, as far as the hub knows",
            clock(since)
        );
        doc.text(Role::Doubt, &text);
    }
}

/// What is known while the device has reported nothing of this run.
fn before_any_phase(seen: &Seen, update: &Update) -> String {
    let since = |time| lasted(time, seen.known);
    match (&update.answer, &update.retry, &update.invoked) {
        (Some((time, _)), ..) => {
            format!("accepted, waiting for its first phase · {}", since(*time))
        }
        (None, Some((at, problem)), _) => {
            format!(
                "not delivered yet: {} · again in {}",
                safe(&problem.line()),
                lasted(seen.now, *at)
            )
        }
        (None, None, Some((time, _))) if update.doubt.is_some() => {
            format!("called, and the answer is not known · {}", since(*time))
        }
        (None, None, Some((time, _))) => match &update.intent.method {
            Some(method) => format!(
                "calling {}, waiting for the answer · {}",
                safe(method),
                since(*time)
            ),
            None => format!("watching · {}", since(*time)),
        },
        _ => format!(
            "written down, about to be sent · {}",
            since(update.intended)
        ),
    }
}

fn lasted(from: Timestamp, to: Timestamp) -> String {
    let passed = to.duration_since(from).max(jiff::SignedDuration::ZERO);
    crate::domain::time::spoken(passed)
}

/// One line a step, with the hub's time; then the phases that are to come.
fn timeline(doc: &mut Doc, seen: &Seen, update: &Update) {
    if let Some((_, answer)) = &update.answer {
        let (sign, role) = if answer.accepted() {
            ("✓", Role::Good)
        } else {
            ("✗", Role::Bad)
        };
        let words = clean::value_line(&answer.payload, 300);
        entry(
            doc,
            (sign, role),
            "accepted",
            "",
            &format!("status {} {words}", answer.status),
        );
    }
    let last = update.steps.len().saturating_sub(1);
    for (n, step) in update.steps.iter().enumerate() {
        let next = update.steps.get(n + 1);
        let time = step.began.map_or("–".to_owned(), clock);
        entry(
            doc,
            mark(update, step, n == last),
            step.phase.name(),
            &time,
            &step_text(seen, update, step, next),
        );
    }
    if update.is_open() {
        let dialect = seen.model.context.dialects.named(&update.intent.dialect);
        let reached = reached(update);
        let to_come = dialect.phases().into_iter().filter(|p| Some(*p) > reached);
        for phase in to_come.chain([Phase::Done]) {
            entry(doc, ("·", Role::Muted), phase.name(), "", "");
        }
    }
}

/// How far the device has come in the run at hand.
fn reached(update: &Update) -> Option<Phase> {
    let run = update.steps.iter().filter(|s| s.run == update.runs());
    let active = run.map(|s| s.phase).filter(|p| p.is_active());
    active.max().filter(|_| update.phase() != Some(Phase::Idle))
}

fn mark(update: &Update, step: &Step, last: bool) -> (&'static str, Role) {
    match step.phase {
        Phase::Failed => ("✗", Role::Bad),
        Phase::Idle => ("·", Role::Muted),
        Phase::Done if update.is_open() => ("?", Role::Doubt),
        _ if last && update.is_open() && update.doubt.is_some() => ("?", Role::Doubt),
        _ if last && update.is_open() => ("▸", Role::Busy),
        _ if last && gauge::role(update) != Role::Good => {
            (gauge::sign(update), gauge::role(update))
        }
        _ => ("✓", Role::Good),
    }
}

/// Which run it belongs to where there are several, the percentage, the
/// device's own word where it differs, and how long the phase lasted by the
/// hub's clock.
fn step_text(seen: &Seen, update: &Update, step: &Step, next: Option<&Step>) -> String {
    let mut parts = Vec::new();
    if step.run > 1 {
        parts.push(format!("run {}", step.run));
    }
    if let Some(percent) = step.percent {
        parts.push(format!("{percent:.0} %"));
    }
    let value = clean::value_line(&step.evidence.value, 80);
    if !value.eq_ignore_ascii_case(step.phase.name()) {
        parts.push(format!("“{value}”"));
    }
    match (step.began, next.map(|next| next.began)) {
        (Some(from), Some(Some(to))) => parts.push(lasted(from, to)),
        // By our clock, as long as it lasts.
        (_, None) if step.phase.is_active() && update.is_open() => {
            parts.push(format!("{} so far", lasted(step.since, seen.known)));
        }
        _ => {}
    }
    parts.join(" · ")
}

fn entry(doc: &mut Doc, (sign, role): (&'static str, Role), name: &str, time: &str, text: &str) {
    let name_role = match role {
        Role::Muted => Role::Muted,
        _ => Role::Input,
    };
    // Where there is room the texts stand in one column, with a time or not.
    let time = match time {
        "" if doc.width < 50 => String::new(),
        time => fit(time, 10),
    };
    let room = doc.width.saturating_sub(15 + width(&time));
    let spans = vec![
        doc.span(role, format!("{sign} ")),
        doc.span(name_role, fit(name, 13)),
        doc.span(Role::Muted, time),
        Span::raw(cut(text, room)),
    ];
    doc.line(spans);
}

/// What the verdict, or the phase at hand, rests on.
fn evidence(doc: &mut Doc, seen: &Seen, update: &Update) {
    let of_verdict = update.verdict.as_ref().map(|v| v.evidence.as_ref());
    let last = || update.steps.last().map(|s| &s.evidence);
    let Some(evidence) = of_verdict.unwrap_or_else(last) else {
        return;
    };
    gap(doc, seen.model);
    let Evidence {
        property,
        value,
        version,
        hub_time,
    } = evidence;
    let value = clean::line(&value.to_string(), 300);
    doc.labelled(
        "evidence",
        LABEL,
        None,
        &format!("{} = {value}", safe(property)),
        false,
    );
    let time = hub_time.map_or("unknown".to_owned(), day_and_clock);
    let text = format!("{time} · $version {version}");
    doc.labelled("hub time", LABEL, Some(Role::Muted), &text, false);
    if let Some(contradiction) = &update.contradicted {
        against(doc, &contradiction.evidence);
    }
    if update.is_open() {
        let ago = format!("{} ago", age(seen.now, update.changed, Grain::Fine));
        doc.labelled("changed", LABEL, Some(Role::Muted), &ago, false);
    }
}

/// What a contradiction rests on.
fn against(doc: &mut Doc, evidence: &Evidence) {
    let value = clean::line(&evidence.value.to_string(), 300);
    let text = format!("{} = {value}", safe(&evidence.property));
    doc.labelled("against", LABEL, None, &text, false);
    let time = evidence
        .hub_time
        .map_or("unknown".to_owned(), day_and_clock);
    let text = format!("{time} · $version {}", evidence.version);
    doc.labelled("hub time", LABEL, Some(Role::Muted), &text, false);
}

/// The last lines of the log, by our clock.
fn log(doc: &mut Doc, seen: &Seen, tracked: &Tracked) {
    gap(doc, seen.model);
    doc.text(Role::Label, "log · our clock, UTC");
    let skip = tracked.log.len().saturating_sub(seen.log);
    for line in tracked.log.iter().skip(skip) {
        let head = format!("{} {} ", clock(line.time), fit(&line.word, 12));
        let by = if is_roomy(seen.model) && doc.width > 50 {
            width(&head)
        } else {
            2
        };
        let room = doc.width.saturating_sub(width(&head));
        let first = super::super::text::wrap(&line.text, room);
        let spans = vec![
            doc.span(Role::Muted, format!("{} ", clock(line.time))),
            Span::raw(format!("{} ", fit(&line.word, 12))),
            doc.span(Role::Muted, first.first().cloned().unwrap_or_default()),
        ];
        doc.line(spans);
        let rest = first[1..].join(" ");
        if !rest.is_empty() {
            doc.indented(Role::Muted, by, &rest);
        }
    }
}
