//! A past update, played again: the same view as live, seen from the time at which
//! the replay has arrived. That it is a replay is said in the first line, in the
//! second and in the last, in words.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::model::Model;
use super::super::model::history::Played;
use super::super::text::{clock, cut, day_and_clock, safe, width};
use super::super::theme::Role;
use super::doc::Doc;
use super::running::{self, Seen};
use crate::domain::replay::Replay;
use crate::domain::time::spoken;

/// Lines above the update: how far the replay is.
pub(super) const HEAD: usize = 2;
/// Columns of the bar that says so.
const BAR: usize = 20;

/// ` REPLAY  not live  press-0040 …  playing 10×`.
pub(super) fn header(model: &Model, played: &Played, frame: &mut Frame, area: Rect) {
    let style = |role| model.theme.style(role);
    let state = format!("{} {}× ", state(&played.replay), played.replay.speed());
    let mut spans = vec![
        Span::styled(" REPLAY ", style(Role::Guard)),
        Span::styled(" not live  ", style(Role::Guard)),
    ];
    let used: usize = spans.iter().map(|s| width(&s.content)).sum();
    let room = usize::from(area.width).saturating_sub(used + width(&state) + 3);
    let hub = cut(&safe(&played.tracked.update.intent.hub), room);
    spans.push(Span::styled(format!("  {hub}"), style(Role::Muted)));
    let used: usize = spans.iter().map(|s| width(&s.content)).sum();
    let fill = usize::from(area.width).saturating_sub(used + width(&state));
    spans.push(Span::raw(" ".repeat(fill)));
    spans.push(Span::styled(state, style(Role::Title)));
    Line::from(spans).render(area, frame.buffer_mut());
}

fn state(replay: &Replay) -> &'static str {
    match (replay.has_ended(), replay.is_paused()) {
        (true, _) => "ended",
        (false, true) => "paused",
        (false, false) => "playing",
    }
}

pub(super) fn draw(model: &Model, played: &Played, frame: &mut Frame, area: Rect) {
    let head = u16::try_from(HEAD).unwrap_or(0).min(area.height);
    let place = Rect {
        height: head,
        ..area
    };
    progress(model, played, area.width).draw(frame, place, 0, &model.theme);
    let rest = Rect {
        y: area.y + head,
        height: area.height - head,
        ..area
    };
    let document = document(model, played, area.width);
    document.draw(frame, rest, played.scroll, &model.theme);
}

/// Which update, and how far the replay is: a bar, the event, the time then.
fn progress<'a>(model: &'a Model, played: &Played, columns: u16) -> Doc<'a> {
    let mut doc = Doc::new(&model.theme, usize::from(columns.saturating_sub(2)));
    let (replay, update) = (&played.replay, &played.tracked.update);
    let device = safe(update.device.as_str());
    let then = format!("  {}", day_and_clock(replay.now()));
    let device = cut(&device, doc.width.saturating_sub(width(&then)));
    let spans = vec![doc.span(Role::Title, device), doc.span(Role::Input, then)];
    doc.line(spans);
    let mut words = format!("event {} of {}", replay.told().len(), replay.len());
    let next = replay
        .until_next()
        .map(|left| format!("next in {}", spoken(left)));
    let skips = replay.skips().then(|| "silences skipped".to_owned());
    for part in next.into_iter().chain(skips) {
        let longer = format!("{words} · {part}");
        if width(&longer) + BAR / 2 < doc.width {
            words = longer;
        }
    }
    let room = doc.width.saturating_sub(width(&words) + 1);
    let mut spans = bar(&doc, replay.part(), room.min(BAR));
    spans.push(Span::raw(format!(" {words}")));
    doc.line(spans);
    doc
}

/// How much of the time is behind. No gauge: it says nothing about the device.
fn bar(doc: &Doc, part: f64, columns: usize) -> Vec<Span<'static>> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "0 to a few columns"
    )]
    let at = ((part * columns as f64) as usize).min(columns);
    vec![
        doc.span(Role::Key, "━".repeat(at)),
        doc.span(Role::GaugeEmpty, "─".repeat(columns - at)),
    ]
}

/// The update as it stood then.
pub(super) fn document<'a>(model: &'a Model, played: &Played, width: u16) -> Doc<'a> {
    let mut doc = Doc::new(&model.theme, usize::from(width.saturating_sub(3)));
    super::panel::gap(&mut doc, model);
    let seen = Seen::then(model, played.replay.now());
    running::tell(&mut doc, &seen, &played.tracked);
    super::panel::gap(&mut doc, model);
    let intent = &played.tracked.update.intent;
    let reason = intent
        .reason
        .as_deref()
        .map_or(String::new(), |r| format!(", {}", safe(r)));
    let text = format!(
        "decided {} by {}{reason}",
        clock(played.tracked.update.intended),
        safe(&intent.by)
    );
    doc.text(Role::Muted, &text);
    doc
}
