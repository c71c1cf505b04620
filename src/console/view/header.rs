//! The first line: which hub this is, how much of it is read, how the way to it
//! is, and what may be done to it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::model::Model;
use super::super::text::{cut, safe, seconds_until, width};
use super::super::theme::Role;
use crate::domain::event::Link;
use crate::domain::quota::Slowed;

/// From this width on the line has room for what is only nice to know.
const ROOMY: u16 = 70;

pub(super) fn draw(model: &Model, frame: &mut Frame, area: Rect) {
    let style = |role| model.theme.style(role);
    let mut right: Vec<Span> = Vec::new();
    let roomy = area.width >= ROOMY;
    let flying = model.in_flight();
    if roomy && flying > 0 {
        right.push(Span::styled(
            format!("▸ {flying} in flight"),
            style(Role::Busy),
        ));
    }
    let before_link = right.len();
    right.push(link(model, roomy));
    right.extend(environment(model));
    if model.context.profile.read_only {
        right.push(Span::styled(" read-only ", style(Role::Guard)));
    } else if model.unwritten.is_some() {
        right.push(Span::styled(" watching only ", style(Role::Guard)));
    }
    let gap = if roomy { 3 } else { 1 };
    let taken: usize = right.iter().map(|s| width(&s.content) + gap).sum();
    let room = usize::from(area.width).saturating_sub(taken + hub_width(model) + 2);
    for span in budget(model, room, gap).into_iter().rev() {
        right.insert(before_link, span);
    }
    let mut columns = 1;
    let mut spaced = Vec::new();
    for span in right {
        columns += width(&span.content) + gap;
        spaced.extend([Span::raw(" ".repeat(gap)), span]);
    }
    let room = usize::from(area.width).saturating_sub(columns + 1);
    let mut line = vec![Span::raw(" ")];
    line.extend(left(model, room, roomy));
    let used: usize = line.iter().map(|s| width(&s.content)).sum();
    let fill = usize::from(area.width).saturating_sub(used + columns);
    line.push(Span::raw(" ".repeat(fill)));
    line.extend(spaced);
    Line::from(line).render(area, frame.buffer_mut());
}

fn left(model: &Model, room: usize, roomy: bool) -> Vec<Span<'static>> {
    let style = |role| model.theme.style(role);
    let name = safe(&model.context.profile.name);
    let tier = format!(" · {}", model.context.profile.tier_label());
    let program = "otadeck  ";
    let mut spans = Vec::new();
    let mut used = width(&name);
    // Our own name is worth less than the hub's tier.
    if roomy && used + width(program) + width(&tier) <= room {
        spans.push(Span::styled(program, style(Role::Muted)));
        used += width(program);
    }
    spans.push(Span::styled(cut(&name, room), style(Role::Title)));
    if used + width(&tier) <= room {
        spans.push(Span::styled(tier, style(Role::Muted)));
    }
    spans
}

/// Columns of the hub's name and tier.
fn hub_width(model: &Model) -> usize {
    let profile = &model.context.profile;
    width(&safe(&profile.name)) + width(&profile.tier_label()) + 3
}

/// Reads a second and the day's share, as far as there is room: first without
/// the word, then without the day.
fn budget(model: &Model, room: usize, gap: usize) -> Vec<Span<'static>> {
    let budget = &model.budget;
    let slowed = |by, role, text| {
        let so = budget.slowed == Some(by);
        if so { (Role::Doubt, text) } else { (role, "") }
    };
    let (of_reads, throttled) = slowed(Slowed::Hub, Role::Muted, ", throttled");
    let (of_day, slowing) = slowed(Slowed::Day, Role::Muted, ", slowing");
    let short = format!("{}/{} per s{throttled}", budget.reads, budget.limit);
    let reads = |text: String| Span::styled(text, model.theme.style(of_reads));
    let day = format!("day {}{slowing}", budget.day_text());
    let day = Span::styled(day, model.theme.style(of_day));
    let long = reads(format!("reads {short}"));
    let variants = [
        vec![long.clone(), day.clone()],
        vec![reads(short), day],
        vec![long],
    ];
    let fits = |spans: &Vec<Span>| {
        let used: usize = spans.iter().map(|s| width(&s.content) + gap).sum();
        model.size.0 >= ROOMY && used <= room
    };
    variants.into_iter().find(fits).unwrap_or_default()
}

/// The way to the hub. In a narrow terminal a way that is well is only a sign, and
/// of one that is not well only the time is left.
fn link(model: &Model, roomy: bool) -> Span<'static> {
    let again = again(model);
    let (role, text) = match model.link.state {
        Link::Connecting => (Role::Muted, "○ connecting".to_owned()),
        Link::Online if !roomy => (Role::Good, "●".to_owned()),
        Link::Online => (Role::Good, "● online".to_owned()),
        Link::Retrying if !roomy && !again.is_empty() => (Role::Doubt, format!("○{again}")),
        Link::Retrying => (Role::Doubt, format!("○ retrying{again}")),
        Link::Unauthorized => (Role::Bad, "✗ unauthorized".to_owned()),
    };
    Span::styled(text, model.theme.style(role))
}

/// In how many seconds which try comes: ` in 4 s (3)`.
fn again(model: &Model) -> String {
    let try_ = model
        .link
        .attempt
        .map_or(String::new(), |n| format!(" ({n})"));
    match model.link.at.map(|at| seconds_until(model.now, at)) {
        Some(seconds) if seconds > 0 => format!(" in {seconds} s{try_}"),
        Some(_) => format!(" now{try_}"),
        None => try_,
    }
}

/// The environment: production shouts, everything else speaks.
fn environment(model: &Model) -> Option<Span<'static>> {
    let profile = &model.context.profile;
    if profile.is_production() {
        let style = model.theme.style(Role::Alarm);
        return Some(Span::styled(" PRODUCTION ", style));
    }
    let name = profile.environment.as_deref().filter(|e| !e.is_empty())?;
    let style = model.theme.style(Role::Muted);
    Some(Span::styled(cut(&safe(name), 16), style))
}
