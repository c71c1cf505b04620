//! What is asked for, as lines: the devices, one of them, the updates, the past, the
//! help.

use super::super::message::Effect;
use super::super::model::{Asked, Model};
use super::super::text::{Grain, age, as_of, clock, count, day_and_clock, plural, safe};
use super::super::update::{commands, lines};
use super::typed::{OWN, is_shared};
use super::{Talk, say};
use crate::domain::clean;
use crate::domain::device::{Connection, DeviceRow, Enablement};
use crate::domain::event::InventoryState;
use crate::domain::history::Entry;
use crate::domain::id::DeviceId;
use crate::domain::phase::Phase;
use crate::domain::problem::{Kind, Problem};
use crate::domain::time::{on_a_clock, spoken};
use crate::domain::update::Update;

/// Devices that somebody at a terminal is told at once.
const SCREENFUL: usize = 200;
/// Lines of a twin.
const TWIN: usize = 300;
/// Characters of one value in a line of several.
const VALUE: usize = 100;

impl Talk {
    /// The devices that pass the filter, a line each, and how many they are.
    pub(super) fn devices(&mut self, model: &Model) {
        let shown = model.devices.shown();
        let room = if self.attended { SCREENFUL } else { shown };
        let mut lines: Vec<String> = (0..shown.min(room))
            .filter_map(|line| model.devices.at(line))
            .map(|row| device_line(model, row))
            .collect();
        if shown > room {
            let more = count(shown - room);
            lines.push(format!("and {more} more; devices FILTER tells fewer"));
        }
        let all = model.devices.len();
        lines.push(match model.devices.filter().is_empty() {
            true => plural(all, "device"),
            false => format!("{} of {}", count(shown), plural(all, "device")),
        });
        self.tell_all(lines);
        self.list_state(model);
    }

    /// How many devices are listed.
    pub(super) fn listed(&mut self, model: &Model) {
        self.tell(&format!("{} listed", plural(model.devices.len(), "device")));
        self.list_state(model);
    }

    fn list_state(&mut self, model: &Model) {
        if model.inventory.state == Some(InventoryState::Failed) {
            self.refused.extend(model.inventory.problem.clone());
            self.complain("The list broke off; there may be more. list tries again.");
        } else if model.inventory.state != Some(InventoryState::Complete) {
            self.complain("The hub is still being listed; there may be more.");
        }
        if let Some(heard) = model.link.heard.filter(|_| model.is_aging()) {
            self.complain(&format!("All this is {}.", as_of(model.now, heard)));
        }
    }

    /// What is known of a device, or why nothing is.
    pub(super) fn device(&mut self, model: &mut Model, device: &DeviceId) -> Vec<Effect> {
        let read = std::mem::take(&mut self.read);
        let problem = self.unread.take().or_else(|| unread(model, device, read));
        let missing = problem
            .as_ref()
            .is_some_and(|p| p.kind == Kind::NoSuchDevice);
        if !missing {
            let lines = about(model, device);
            self.tell_all(lines);
        }
        if let Some(problem) = problem {
            self.problem(&problem);
            self.refused.push(problem);
        }
        lines::close(model)
    }

    /// The past that was asked for, the newest last.
    pub(super) fn past(&mut self, model: &mut Model) -> Vec<Effect> {
        if let Some(history) = &model.history {
            let mut lines: Vec<String> = history.rows.iter().rev().map(entry).collect();
            let more = if history.has_more() {
                " or more; otadeck history tells all"
            } else {
                ""
            };
            lines.push(format!(
                "{}{more}",
                plural(history.rows.len(), "past update")
            ));
            let problem = history
                .problem
                .clone()
                .or(model.context.only_watches.clone());
            if let Some(problem) = problem {
                self.problem(&problem);
            } else if history.is_new() {
                self.complain("The journal has not answered.");
            } else {
                self.tell_all(lines);
            }
        }
        lines::close(model)
    }
}

/// Why the device could not be read, when it was not and nothing else says so.
pub(super) fn unread(model: &Model, device: &DeviceId, read: bool) -> Option<Problem> {
    if read {
        return None;
    }
    let away = model.link.problem.clone().filter(|_| model.is_aging());
    Some(away.unwrap_or_else(|| {
        let title = format!("{device} was not read in time");
        Problem::new(Kind::Unreachable, title, "the hub has not answered")
    }))
}

/// Was the past told that was asked for?
pub(super) fn is_told(model: &Model) -> bool {
    let told = |h: &super::super::model::history::History| !h.is_new() && !h.is_asking();
    model
        .history
        .as_ref()
        .is_none_or(|history| history.problem.is_some() || told(history))
}

/// Why no order may be given on this hub now.
pub(super) fn no_orders(model: &Model) -> Option<(Kind, String)> {
    let name = safe(&model.context.profile.name);
    if model.context.profile.read_only {
        return Some((Kind::ReadOnly, format!("{name} is read-only.")));
    }
    let problem = model.unwritten.as_ref()?;
    let why = "nothing is started while it cannot be written down";
    Some((problem.kind, format!("{}: {why}.", problem.line())))
}

/// The devices among these that the hub's list does not have.
pub(super) fn unknown(model: &Model, devices: &[DeviceId]) -> Option<String> {
    // A list by a query says nothing of devices that are not in it.
    let whole = model.inventory.state == Some(InventoryState::Complete);
    if !whole || model.inventory.query.is_some() {
        return None;
    }
    let unknown = devices.iter().filter(|id| model.row(id).is_none());
    let unknown: Vec<&str> = unknown.map(DeviceId::as_str).collect();
    (!unknown.is_empty()).then(|| format!("Not on this hub: {}.", unknown.join(", ")))
}

/// The packages that are offered.
pub(super) fn offers(model: &Model) -> Vec<String> {
    let offers = model.offers().into_iter();
    offers
        .map(|(kind, uri)| format!("{kind} package: {}", uri.redacted()))
        .collect()
}

/// What may be typed.
pub(super) fn help() -> Vec<String> {
    let own = OWN.iter().map(|own| (own.name, own.argument, own.about));
    let shared = commands::ALL.iter().filter(|c| is_shared(c.name));
    let shared = shared.map(|c| (c.name, c.argument, c.about));
    let line = |(name, argument, about): (&str, &str, &str)| match argument {
        "" => format!("{name}: {about}"),
        _ => format!("{name} {argument}: {about}"),
    };
    let last = "A begin of a name will do. Ctrl-C ends at once.";
    let lines = own.chain(shared).map(line);
    lines.chain([last.to_owned()]).collect()
}

/// The updates of this session, those in flight last: it is what stays in sight.
pub(super) fn updates(model: &Model) -> Vec<String> {
    let listed = model.updates.listed();
    let mut lines: Vec<String> = listed.iter().rev().map(|u| update_line(u)).collect();
    let open = model.updates.open().count();
    let all = plural(listed.len(), "update");
    lines.push(format!("{all} of this session, {} in flight", count(open)));
    lines
}

fn update_line(update: &Update) -> String {
    match &update.verdict {
        Some(verdict) => say::ended(verdict.outcome, &update.device, &verdict.reason),
        None => say::standing(update),
    }
}

fn entry(entry: &Entry) -> String {
    let took = entry.took().map(|took| format!("took {}", spoken(took)));
    let contradicted = entry.contradicted.then(|| "contradicted".to_owned());
    let parts = [
        Some(entry.device.to_string()),
        entry.package(),
        contradicted,
        took,
        Some(format!("by {}", safe(&entry.by))),
        entry.reason.as_deref().filter(|r| !r.is_empty()).map(safe),
        Some(day_and_clock(entry.intended)),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{}: {}", entry.word, parts.join(", "))
}

fn connection(row: &DeviceRow) -> &'static str {
    match (row.status, row.connection) {
        (Enablement::Disabled, _) => "disabled in the hub",
        (_, Connection::Connected) => "connected",
        (_, Connection::Disconnected) => "not connected",
    }
}

/// `press-7: connected, firmware 1.4.2, downloading, 52 %, read 1m ago`.
fn device_line(model: &Model, row: &DeviceRow) -> String {
    let firmware = row.firmware.as_deref().map(|text| clean::line(text, VALUE));
    let firmware = firmware.map(|text| format!("firmware {text}"));
    let parts = [
        Some(connection(row).to_owned()),
        firmware,
        state(model, row),
        Some(format!(
            "read {} ago",
            age(model.now, row.seen, Grain::Coarse)
        )),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{}: {}", row.device_id, parts.join(", "))
}

/// The update of this session, the order that waits, or what the device reports.
fn state(model: &Model, row: &DeviceRow) -> Option<String> {
    let update = model
        .updates
        .of(&row.device_id)
        .map(|tracked| &tracked.update);
    match (model.asked.get(&row.device_id), update) {
        (Some(Asked::Waiting(_)), _) => return Some("asking".to_owned()),
        (Some(Asked::Refused(_)), update) if update.is_none_or(|u| !u.is_open()) => {
            return Some("refused".to_owned());
        }
        (_, Some(update)) => {
            let percent = update.steps.last().and_then(|step| step.percent);
            let percent = percent.filter(|_| update.is_open() && update.doubt.is_none());
            let percent = percent.map(|p| format!(", {p:.0} %")).unwrap_or_default();
            return Some(format!("{}{percent}", update.word()));
        }
        _ => {}
    }
    match (row.phase, row.reported_status.as_deref()) {
        (None | Some(Phase::Idle), _) => None,
        (Some(Phase::Unknown), Some(words)) => Some(format!("“{}”", clean::line(words, VALUE))),
        (Some(phase), _) => Some(phase.name().to_owned()),
    }
}

/// A device: what the list says, its update, what it reports.
fn about(model: &Model, device: &DeviceId) -> Vec<String> {
    let mut lines = vec![match model.row(device) {
        Some(row) => device_line(model, row),
        None => format!("{device}: not in the list of devices"),
    }];
    let mut line = |name: &str, words: &str| lines.push(format!("{name}: {words}"));
    if let Some(row) = model.row(device) {
        if let Some(last) = &row.last_update {
            line("last update", &clean::line(last, VALUE));
        }
        if let Some(active) = row.last_activity {
            line("last active", &day_and_clock(active));
        }
        let tags: Vec<String> = row
            .tags
            .iter()
            .map(|(k, v)| format!("{}={}", safe(k), safe(v)))
            .collect();
        if !tags.is_empty() {
            line("tags", &tags.join(", "));
        }
    }
    match model.asked.get(device) {
        Some(Asked::Waiting(package)) => line("asked for", &safe(package)),
        Some(Asked::Refused(problem)) => line("refused", &problem.line()),
        Some(Asked::Elsewhere(problem)) => line("watched elsewhere", &problem.cause),
        None => {}
    }
    if let Some(tracked) = model.updates.of(device) {
        update(model, &tracked.update, &mut line);
    }
    twin(model, device, &mut line);
    lines
}

/// Where an update stands, for how long, and what that rests on.
fn update(model: &Model, update: &Update, line: &mut impl FnMut(&str, &str)) {
    line("update", &update_line(update));
    line(
        "begun",
        &format!(
            "{}, by {}",
            day_and_clock(update.intended),
            safe(&update.intent.by)
        ),
    );
    if let (true, Some(step)) = (update.is_open(), update.steps.last()) {
        let known = model.known_until(update);
        let passed = known
            .duration_since(step.since)
            .max(jiff::SignedDuration::ZERO);
        line("phase", &format!("{}, for {}", step.phase, spoken(passed)));
        if let Some(estimate) = model.durations.left(update, known) {
            let from = estimate.samples;
            let left = on_a_clock(estimate.left);
            line(
                "left",
                &format!("~{left}, estimate from {from} past updates"),
            );
        }
    }
    if let Some(since) = update.missed().filter(|_| update.is_open()) {
        let text = format!("since {}, as far as the hub knows", clock(since));
        line("not connected", &text);
    }
    let verdict = update
        .verdict
        .as_ref()
        .and_then(|verdict| verdict.evidence.as_ref());
    let evidence = verdict.or(update.steps.last().map(|step| &step.evidence));
    if let Some(evidence) = evidence {
        line("evidence", &say::rests_on(evidence));
    }
    if let Some(contradiction) = &update.contradicted {
        let text = format!(
            "{}. The outcome stays as it was judged",
            contradiction.reason
        );
        line("contradicted", &text);
    }
}

/// The twin in lines: each property with its whole name, and what is asked of it where
/// that is something else.
fn twin(model: &Model, device: &DeviceId, line: &mut impl FnMut(&str, &str)) {
    let Some(facts) = model.facts.get(device) else {
        return;
    };
    if let Some(chosen) = &facts.dialect {
        let unsettled = if chosen.settled {
            ""
        } else {
            "; its rules are not evaluated yet"
        };
        line(
            "dialect",
            &format!("{}, {}{unsettled}", safe(&chosen.name), safe(&chosen.how)),
        );
    }
    if facts.seen.is_some() && facts.tree.is_empty() {
        line("reported", "nothing yet");
    }
    let mut path: Vec<&str> = Vec::new();
    for leaf in facts.tree.iter().take(TWIN) {
        path.truncate(leaf.depth);
        path.push(&leaf.name);
        let desired = leaf.desired.as_ref();
        let words = match (&leaf.value, desired) {
            (None, None) => continue,
            (Some(value), None) => value.clone(),
            (Some(value), Some(desired)) => format!("{value}, desired {desired}"),
            (None, Some(desired)) => format!("not reported, desired {desired}"),
        };
        let changed = if leaf.changed { ", changed" } else { "" };
        line(
            &format!("reported {}", path.join(".")),
            &format!("{words}{changed}"),
        );
    }
    let left = facts.tree.len().saturating_sub(TWIN);
    if left > 0 {
        line("reported", &format!("and {} more lines", count(left)));
    }
}
