//! The windows about other hubs: the list, the question before one is gone to, and
//! that it is being made ready.

use ratatui::Frame;
use ratatui::text::Span;

use super::super::action::Action;
use super::super::hubs::HubEntry;
use super::super::keymap::Place;
use super::super::model::{Asked, Dialog, Model};
use super::super::text::{cut, fit, plural, safe, width};
use super::super::theme::Role;
use super::dialogs::{Window, yes_or_no};
use super::doc::Doc;

/// Columns of the list, and of the other windows.
const LIST: usize = 76;
const TEXT: usize = 60;
/// What stands before a name.
const FRONT: usize = 4;
/// Columns of an environment, and of `read-only`.
const ENVIRONMENT: usize = 12;
const READ_ONLY: usize = 9;
const GAP: usize = 2;
/// From so many columns on there is one for `read-only`; below, the foot says it.
const ROOMY: usize = 56;
/// A host that is shorter than this says nothing.
const HOST: usize = 16;

pub(super) fn draw(model: &Model, dialog: &Dialog, frame: &mut Frame) {
    let (title, body, foot, scroll) = match dialog {
        Dialog::Hubs(at) => {
            let (body, mut foot) = (list(model, *at), about(model, *at));
            // As high for each of them, so that the window stays where it is.
            let hubs = 0..model.context.hubs.len();
            let highest = hubs.map(|n| about(model, n).lines.len()).max();
            while foot.lines.len() < highest.unwrap_or_default() {
                foot.blank();
            }
            let window = Window::of(model, body.width, body.lines.len(), foot.lines.len());
            let scroll = (at + 1).saturating_sub(window.body_height().max(1));
            ("Hubs", body, foot, scroll)
        }
        Dialog::Switch(name) => {
            let body = question(model, name);
            (
                "Go to another hub?",
                body,
                yes_or_no(model, "goes there", "stays"),
                0,
            )
        }
        Dialog::Connecting(name) => (
            "Going to another hub",
            connecting(model, name),
            esc(model),
            0,
        ),
        _ => return,
    };
    let window = Window::of(model, body.width, body.lines.len(), foot.lines.len());
    let (place, below) = window.draw(model, frame, title);
    body.draw(frame, place, scroll, &model.theme);
    foot.draw(frame, below, 0, &model.theme);
}

/// One line a hub: which is in use, its name, its environment, what may be done, its
/// host where there is room.
fn list(model: &Model, at: usize) -> Doc<'_> {
    let mut doc = Doc::new(&model.theme, Window::inner_width(model, LIST));
    let hubs = &model.context.hubs;
    let longest = hubs.iter().map(|hub| width(&safe(&hub.name))).max();
    for (n, hub) in hubs.iter().enumerate() {
        let line = line(&doc, model, hub, longest.unwrap_or_default(), n == at);
        doc.line(line);
    }
    doc
}

fn line(
    doc: &Doc,
    model: &Model,
    hub: &HubEntry,
    longest: usize,
    here: bool,
) -> Vec<Span<'static>> {
    let roomy = doc.width >= ROOMY;
    let read_only = if roomy { GAP + READ_ONLY } else { 0 };
    let fixed = FRONT + GAP + ENVIRONMENT + read_only;
    let name = longest.clamp(6, doc.width.saturating_sub(fixed).max(6));
    let (sign, sign_role) = match (&hub.trouble, hub.name == model.context.hub) {
        (_, true) => ("● ", Role::Good),
        (Some(_), _) => ("! ", Role::Doubt),
        (None, _) => ("  ", Role::Muted),
    };
    let name_role = if here { Role::Title } else { Role::Input };
    let mut spans = vec![
        doc.span(Role::Cursor, if here { "▌ " } else { "  " }),
        doc.span(sign_role, sign),
        doc.span(name_role, fit(&cut(&safe(&hub.name), name), name + GAP)),
    ];
    spans.extend(environment(doc, hub));
    if roomy {
        let text = if hub.read_only { "read-only" } else { "" };
        spans.push(doc.span(Role::Guard, format!("  {}", fit(text, READ_ONLY))));
    }
    let left = doc.width.saturating_sub(fixed + name + GAP);
    if let Some(host) = hub.host.as_deref().filter(|_| left >= HOST) {
        let host = format!("  {}", cut(&safe(host), left));
        spans.push(doc.span(Role::Muted, host));
    }
    spans
}

/// In the words of the first line: production shouts.
fn environment(doc: &Doc, hub: &HubEntry) -> [Span<'static>; 2] {
    let text = hub.environment.as_deref().unwrap_or_default();
    let (role, text) = match text.eq_ignore_ascii_case("production") {
        true => (Role::Alarm, " PRODUCTION ".to_owned()),
        false => (Role::Muted, cut(&safe(text), ENVIRONMENT)),
    };
    let fill = " ".repeat(ENVIRONMENT.saturating_sub(width(&text)));
    [doc.span(role, text), Span::raw(fill)]
}

/// What else there is to say of the selected hub.
fn about(model: &Model, at: usize) -> Doc<'_> {
    let mut doc = Doc::new(&model.theme, Window::inner_width(model, LIST));
    let Some(hub) = model.context.hubs.get(at) else {
        return doc;
    };
    let may = if hub.read_only { "read-only · " } else { "" };
    match (&hub.trouble, &hub.host) {
        (Some(trouble), _) => doc.text(Role::Doubt, &safe(trouble)),
        (None, Some(host)) => doc.text(Role::Muted, &format!("{may}{}", safe(host))),
        (None, None) => {
            let text = format!("{may}its host stands in its secret, not fetched yet");
            doc.text(Role::Muted, &text);
        }
    }
    if model.context.hubs.len() == 1 {
        doc.text(
            Role::Hint,
            "More hubs are described in the configuration file.",
        );
    }
    doc
}

/// What becomes of the updates that are in flight.
fn question<'a>(model: &'a Model, name: &str) -> Doc<'a> {
    let mut doc = Doc::new(&model.theme, Window::inner_width(model, TEXT));
    let here = safe(&model.context.hub);
    doc.labelled("to", 6, Some(Role::Title), &safe(name), true);
    let open = model.updates.open().count();
    if open > 0 {
        let (are, they, s) = match open {
            1 => ("is", "It goes", ""),
            _ => ("are", "They go", "s"),
        };
        let text = format!("{} {are} in flight on {here}.", plural(open, "update"));
        doc.text(Role::Title, &text);
        let text = format!("{they} on on the device{s}; the watching ends here. ");
        let again = match model.context.keeps_journal {
            true => format!(
                "It is taken up again on the next start on {here}: `:hub {here}`, or \
                 `otadeck watch --resume`."
            ),
            false => "Without a journal it is not taken up again.".to_owned(),
        };
        doc.text(Role::Muted, &(text + &again));
    }
    let waiting = model
        .asked
        .values()
        .filter(|asked| matches!(asked, Asked::Waiting(_)));
    match waiting.count() {
        0 => {}
        n => {
            let text = format!(
                "{} on the way may not be sent any more.",
                plural(n, "order")
            );
            doc.text(Role::Doubt, &text);
        }
    }
    if model.in_flight() == 0 {
        doc.text(Role::Title, "No update is in flight any more.");
    }
    doc
}

fn connecting<'a>(model: &'a Model, name: &str) -> Doc<'a> {
    let mut doc = Doc::new(&model.theme, Window::inner_width(model, TEXT));
    doc.text(Role::Busy, &format!("connecting to {}…", safe(name)));
    doc
}

fn esc(model: &Model) -> Doc<'_> {
    let mut doc = Doc::new(&model.theme, TEXT);
    let key = model.keymap.named(Place::Connecting, Action::Back, 1);
    let line = vec![doc.span(Role::Key, key), Span::raw(" calls it off")];
    doc.line(line);
    doc
}
