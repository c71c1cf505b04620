//! What the engine tells, folded in.

use super::super::message::Effect;
use super::super::model::facts::Facts;
use super::super::model::{Asked, Dialog, Model};
use super::narrow;
use crate::domain::device::DeviceRow;
use crate::domain::event::{Event, InventoryState, What};
use crate::domain::evidence::sha256;
use crate::domain::id::DeviceId;
use crate::domain::phase::Phase;
use crate::domain::problem::Problem;
use crate::engine::Snapshot;

/// Folds a batch of events in. Rows are taken together, because a page of the
/// listing has a thousand.
pub(super) fn events(model: &mut Model, batch: &[Event]) -> Vec<Effect> {
    let mut rows: Vec<DeviceRow> = Vec::new();
    let mut effects = Vec::new();
    for event in batch {
        match &event.what {
            What::Device { device } => rows.push((**device).clone()),
            What::Narrowed { query } => narrow::narrowed(model, query.as_deref(), &mut rows),
            _ => {
                model.log.take(event);
                effects.extend(one(model, event));
            }
        }
    }
    model.devices.take(rows);
    narrow::forget_marks(model);
    effects
}

fn one(model: &mut Model, event: &Event) -> Option<Effect> {
    match &event.what {
        What::Inventory {
            state,
            count,
            problem,
            ..
        } => {
            let inventory = &mut model.inventory;
            let over = matches!(
                inventory.state,
                Some(InventoryState::Complete | InventoryState::Failed)
            );
            // Listed again, whoever asked for it: what it does not hold is gone.
            inventory.again |= over && *state == InventoryState::Listing;
            inventory.state = Some(*state);
            inventory.count = *count;
            inventory.problem.clone_from(problem);
            inventory.is_heard();
            if *state == InventoryState::Complete && std::mem::take(&mut inventory.again) {
                return Some(Effect::Snapshot);
            }
        }
        What::Link(way) => model.link = way.clone(),
        What::Clock {
            problem: Some(problem),
            ..
        } => model.notice = Some(notice(problem)),
        What::Twin { twin, dialect } => {
            let at_work = model.row(&twin.device_id).and_then(|row| row.phase);
            if matches!(model.asked.get(&twin.device_id), Some(Asked::Elsewhere(_)))
                && !at_work.is_some_and(Phase::is_active)
            {
                // It has ended there.
                model.asked.remove(&twin.device_id);
            }
            let facts = model.facts.entry(twin.device_id.clone()).or_default();
            facts.read(twin, dialect.as_ref(), event.time);
        }
        What::DeviceProblem { problem } => {
            if let Some(facts) = facts_of(model, event) {
                facts.problem = Some(problem.clone());
            }
        }
        What::Inspected {
            uri_sha256,
            findings,
            waiting,
            ..
        } => {
            if let Some(Dialog::Confirm(order)) = &mut model.dialog
                && sha256(order.uri.expose()) == *uri_sha256
            {
                order.findings.clone_from(findings);
                order.waiting = *waiting;
            }
        }
        What::Refused { problem } => {
            let Some(device) = &event.device_id else {
                model.notice = Some(notice(problem));
                return None;
            };
            let refused = Asked::Refused(problem.clone());
            model.asked.insert(device.clone(), refused);
        }
        What::Elsewhere { problem } => {
            if let Some(device) = &event.device_id {
                let elsewhere = Asked::Elsewhere(problem.clone());
                model.asked.entry(device.clone()).or_insert(elsewhere);
            }
        }
        What::Durations { learnt } => model.durations = learnt.clone().into(),
        What::Budget(budget) => model.budget = budget.clone(),
        What::JournalProblem { problem } => model.unwritten = Some(problem.clone()),
        What::JournalRecovered {} => {
            let text = "The journal is written again, with all that was seen meanwhile.";
            model.notice = Some(text.to_owned());
            // There may be another reason to start nothing.
            return Some(Effect::Snapshot);
        }
        What::Arming { until } => model.armed_until = *until,
        What::BudgetWarning { problem } => model.notice = Some(notice(problem)),
        _ => update_event(model, event),
    }
    None
}

/// A problem in one paragraph.
fn notice(problem: &Problem) -> String {
    let text = format!("{}. {}", problem.line(), problem.hint);
    text.trim_end().to_owned()
}

fn facts_of<'a>(model: &'a mut Model, event: &Event) -> Option<&'a mut Facts> {
    let device: DeviceId = event.device_id.clone()?;
    Some(model.facts.entry(device).or_default())
}

/// An event of one update: into its fold, and what its device reports into
/// what is known of the device.
fn update_event(model: &mut Model, event: &Event) {
    if model.updates.apply(event) {
        taken(model, event);
    }
    note(model, event.device_id.as_ref());
    let (What::Phase { reported, .. }
    | What::Verdict { reported, .. }
    | What::Contradicted { reported, .. }) = &event.what
    else {
        return;
    };
    if let Some(facts) = facts_of(model, event) {
        facts.reported(reported, event.time);
    }
}

/// The table filters and sorts by how updates stand.
fn note(model: &mut Model, device: Option<&DeviceId>) {
    if let Some(device) = device
        && let Some(tracked) = model.updates.of(device)
    {
        model.devices.note(device, tracked.update.word());
    }
}

/// The engine has taken an order: the field has done its duty.
fn taken(model: &mut Model, event: &Event) {
    let Some(device) = &event.device_id else {
        return;
    };
    model.asked.remove(device);
    if let Some(panel) = model.panel.as_mut().filter(|p| p.device == *device) {
        panel.field = Default::default();
        panel.submitted = false;
        panel.focus = super::super::model::Focus::Details;
    }
}

/// Takes everything over as it stands.
pub(super) fn snapshot(model: &mut Model, snapshot: Snapshot) {
    model.link = snapshot.link;
    model.durations = snapshot.durations;
    model.budget = snapshot.budget;
    model.unwritten = snapshot.journal;
    model.inventory.query = snapshot.query;
    model.armed_until = snapshot.armed_until;
    if let Some((state, problem)) = snapshot.inventory {
        model.inventory.state = Some(state);
        model.inventory.problem = problem;
        model.inventory.is_heard();
    }
    narrow::take(model, snapshot.rows);
    if model.inventory.state.is_some() {
        model.inventory.count = model.devices.len();
    }
    for update in snapshot.updates {
        let device = update.device.clone();
        model.log.stands(&update);
        model.updates.restore(update);
        note(model, Some(&device));
    }
    // What waits, and is not on its way any more, was refused or has begun.
    model.asked.retain(|device, asked| {
        !matches!(asked, Asked::Waiting(_)) || snapshot.starting.contains(device)
    });
    for (device, problem) in snapshot.refusals {
        if model.updates.open_of(&device).is_none() && model.panel_is_of(&device) {
            model.asked.insert(device, Asked::Refused(problem));
        }
    }
}
