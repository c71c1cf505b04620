//! The first line: which hub this is, how much of it is read, how the way to it
//! is, and what may be done to it.

use jiff::{SignedDuration, Timestamp};
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
/// Columns of the hub's name that are there whatever else there is to say; and the same
/// from that width on.
const NAME: usize = 14;
const LONG_NAME: usize = 24;
/// A minute, in milliseconds.
const MINUTE: i64 = 60_000;

pub(super) fn draw(model: &Model, frame: &mut Frame, area: Rect) {
    let style = |role| model.theme.style(role);
    let mut right: Vec<Span> = Vec::new();
    let roomy = area.width >= ROOMY;
    let flying = model.in_flight();
    if roomy && flying > 0 {
        let text = format!("▸ {flying} in flight");
        right.push(Span::styled(text, style(Role::Busy)));
    }
    let mut before_link = right.len();
    right.push(link(model, roomy));
    right.extend(environment(model));
    right.extend(leave(model));
    let gap = if roomy { 3 } else { 1 };
    let wanted = width(&name(model)).min(if roomy { LONG_NAME } else { NAME });
    let fits = |right: &[Span]| room_left(right, gap, area.width) >= wanted;
    if !fits(&right) {
        right[before_link] = link(model, false);
    }
    if !fits(&right) {
        right.drain(..before_link);
        before_link = 0;
    }
    if !fits(&right) {
        shorten(model, &mut right);
    }
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

/// What may be written: nothing, for which reason; or something, on production, and
/// for how long.
fn leave(model: &Model) -> Option<Span<'static>> {
    let (role, text) = match model.armed_left() {
        _ if model.context.profile.read_only => (Role::Guard, " read-only ".to_owned()),
        _ if model.unwritten.is_some() => (Role::Guard, " watching only ".to_owned()),
        Some(left) => (Role::Alarm, format!(" {} ", armed(left))),
        None => return None,
    };
    Some(Span::styled(text, model.theme.style(role)))
}

/// `armed 5 min`: the last minute is said to be less than one.
fn armed(left: SignedDuration) -> String {
    match minutes(left) {
        ..=1 => "armed <1 min".to_owned(),
        minutes => format!("armed {minutes} min"),
    }
}

/// Begun minutes.
fn minutes(left: SignedDuration) -> i64 {
    let millis = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
    millis.saturating_add(MINUTE - 1) / MINUTE
}

/// When that says something else.
pub(super) fn wakes(model: &Model) -> Option<Timestamp> {
    let (left, until) = (model.armed_left()?, model.armed_until?);
    let next = match minutes(left) {
        ..=1 => 0,
        minutes => minutes - 1,
    };
    until.checked_sub(SignedDuration::from_mins(next)).ok()
}

/// Columns that are left for the hub's name.
fn room_left(right: &[Span], gap: usize, columns: u16) -> usize {
    let taken: usize = right.iter().map(|s| width(&s.content) + gap).sum();
    usize::from(columns).saturating_sub(taken + 2)
}

/// Which hub it is counts for more than when it is tried again, and as much as for
/// how long it is armed.
fn shorten(model: &Model, right: &mut [Span<'static>]) {
    if let Some(link) = right.first_mut() {
        let sign: String = link.content.chars().take(1).collect();
        link.content = sign.into();
    }
    let armed = right.last_mut().zip(model.armed_left());
    if let Some((last, left)) = armed.filter(|(last, _)| last.content.starts_with(" armed")) {
        let left = match minutes(left) {
            ..=1 => "armed <1m".to_owned(),
            minutes => format!("armed {minutes}m"),
        };
        last.content = left.into();
    }
}

/// Name and environment alone, in so many columns; nothing where they have no room.
pub(super) fn hub(model: &Model, room: usize) -> Vec<Span<'static>> {
    let environment = environment(model).unwrap_or_default();
    let left = room.saturating_sub(width(&environment.content) + 1);
    if left == 0 {
        return Vec::new();
    }
    let name = cut(&name(model), left);
    let name = Span::styled(name, model.theme.style(Role::Title));
    vec![name, Span::raw(" "), environment]
}

fn name(model: &Model) -> String {
    safe(&model.context.profile.name)
}

fn left(model: &Model, room: usize, roomy: bool) -> Vec<Span<'static>> {
    let style = |role| model.theme.style(role);
    let name = name(model);
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
    width(&name(model)) + width(&profile.tier_label()) + 3
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

/// The environment, in words and in its colour: production shouts, everything else
/// speaks.
pub(super) fn environment(model: &Model) -> Option<Span<'static>> {
    let profile = &model.context.profile;
    if profile.is_production() {
        let style = model.theme.style(Role::Alarm);
        return Some(Span::styled(" PRODUCTION ", style));
    }
    let name = profile.environment.as_deref().filter(|e| !e.is_empty())?;
    let style = model.theme.style(Role::Environment);
    Some(Span::styled(cut(&safe(name), 16), style))
}
