//! The package field and the URIs below it.

use super::super::action::Action;
use super::super::message::Effect;
use super::super::model::field::Field;
use super::super::model::{Asked, Dialog, Focus, Model, Order};
use crate::domain::dialect::Values;
use crate::domain::event::Command;
use crate::domain::holding::Holding;
use crate::domain::id::DeviceId;
use crate::domain::problem::Problem;
use crate::domain::uri::PackageUri;

/// An action while the cursor is in the field.
pub(super) fn field(model: &mut Model, action: Action) -> Vec<Effect> {
    let offered = model.offers().len();
    match action {
        Action::Submit => return submit(model),
        Action::Back => model.panel = None,
        Action::Next if offered > 0 => focus(model, Focus::Pick(0)),
        Action::Switch => focus(model, Focus::Details),
        _ => {}
    }
    Vec::new()
}

/// An action while one of the URIs below is selected.
pub(super) fn pick(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(Focus::Pick(at)) = model.panel.as_ref().map(|p| p.focus) else {
        return Vec::new();
    };
    let last = model.offers().len().saturating_sub(1);
    match action {
        Action::Next => focus(model, Focus::Pick((at + 1).min(last))),
        Action::Previous if at == 0 => focus(model, Focus::Field),
        Action::Previous => focus(model, Focus::Pick(at - 1)),
        Action::Back => focus(model, Focus::Field),
        Action::Submit => {
            let chosen = model
                .offers()
                .get(at)
                .map(|(_, uri)| uri.expose().to_owned());
            if let (Some(text), Some(panel)) = (chosen, &mut model.panel) {
                panel.field = Field::holding(&text);
                panel.submitted = false;
                panel.focus = Focus::Field;
            }
        }
        _ => {}
    }
    Vec::new()
}

fn focus(model: &mut Model, focus: Focus) {
    if let Some(panel) = &mut model.panel {
        panel.focus = focus;
    }
}

/// Asks for confirmation if the field holds a URI, and for what can be said of
/// it; else the mistake under the field is an error from now on.
fn submit(model: &mut Model) -> Vec<Effect> {
    let Some(panel) = &mut model.panel else {
        return Vec::new();
    };
    panel.submitted = true;
    match drafted(model) {
        Some(order) => put(model, order),
        None => Vec::new(),
    }
}

/// Asks for confirmation that a package shall go onto a device, and onto others with
/// it; it is said how many were `left_out`.
pub(super) fn ask(
    model: &mut Model,
    device: DeviceId,
    uri: &PackageUri,
    (others, left_out): (Vec<DeviceId>, usize),
) -> Vec<Effect> {
    let order = order(model, device, uri.clone(), (others, left_out));
    put(model, order)
}

/// Asks the question, and for what can be said of the package.
fn put(model: &mut Model, mut order: Order) -> Vec<Effect> {
    if let Some(problem) = cannot_start(model, &order.device, &order.uri) {
        model.asked.insert(order.device, Asked::Refused(problem));
        return Vec::new();
    }
    let wanted = model.wanted(&order);
    order.name = wanted.map(|_| Field::default());
    let inspect = Command::Inspect(order.uri.clone());
    model.dialog = Some(Dialog::Confirm(Box::new(order)));
    vec![Effect::Send(inspect)]
}

/// The order that the field asks for; none while it holds no URI.
pub(super) fn drafted(model: &Model) -> Option<Order> {
    let panel = model.panel.as_ref()?;
    let uri = PackageUri::parse(panel.field.text()).ok()?;
    let marked = marked_with(model, &panel.device);
    Some(order(model, panel.device.clone(), uri, marked))
}

/// The order as it is asked for.
fn order(
    model: &Model,
    device: DeviceId,
    uri: PackageUri,
    (others, left_out): (Vec<DeviceId>, usize),
) -> Order {
    let held = holding(model, &device);
    let (others, left_out) = match held {
        // Taking over is for one device, whose id is typed.
        Some(_) => (Vec::new(), 0),
        None => (others, left_out),
    };
    let forecast = (!others.is_empty()).then(|| model.forecast(others.len() + 1).to_string());
    Order {
        held,
        device,
        others,
        left_out,
        forecast,
        uri,
        name: None,
        wrong: false,
        findings: Vec::new(),
        waiting: true,
        scroll: 0,
    }
}

/// The other marked devices, if this one is marked too; and how many of them may not
/// be asked for now.
fn marked_with(model: &Model, device: &DeviceId) -> (Vec<DeviceId>, usize) {
    if !model.devices.is_marked(device) {
        return (Vec::new(), 0);
    }
    let others = model.devices.marks().iter().filter(|id| *id != device);
    let (may, not): (Vec<_>, Vec<_>) = others.cloned().partition(|id| model.may_ask(id));
    (may, not.len())
}

/// Whoever has the device, if the last order for it was refused because of that. That
/// may be a while ago: the order names the update that is shown, and ends no other.
fn holding(model: &Model, device: &DeviceId) -> Option<Box<Holding>> {
    match model.asked.get(device) {
        Some(Asked::Refused(problem)) => problem.holding.clone(),
        _ => None,
    }
}

/// Why no update can be started on a device whose dialect is known for sure.
fn cannot_start(model: &Model, device: &DeviceId, uri: &PackageUri) -> Option<Problem> {
    let (dialect, known) = model.dialect(device);
    let cannot = dialect.start(&Values::of_uri(uri.redacted())).err()?;
    known.then(|| cannot.problem(device))
}

/// A text came from the clipboard: into whatever takes text. In the list below
/// the field it goes into the field.
pub(super) fn paste(model: &mut Model, text: &str) {
    if matches!(model.panel.as_ref().map(|p| p.focus), Some(Focus::Pick(_))) {
        focus(model, Focus::Field);
    }
    let mut dropped = Default::default();
    super::edit(model, |field| dropped = field.paste(text));
    if let Some(panel) = &mut model.panel {
        panel.dropped = dropped;
    }
}
