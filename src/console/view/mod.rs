//! How the model looks. Pure: a frame is a function of the model, and only
//! what is on the screen is built.
//!
//! | module | draws |
//! |---|---|
//! | [`layout`] | who gets which part of the screen |
//! | `header` | the hub, its environment, the way to it |
//! | `notice` | what is wrong with the whole, and what to do |
//! | `devices`, `state` | the table, and what a row says |
//! | `instead` | what stands where no devices do, and what to do |
//! | `panel` | one device: the next two, and its reported properties |
//! | `package` | the package field and the URIs below it |
//! | `twin` | the twin: as a tree or as JSON, and searched |
//! | `history` | past updates, and one of them opened |
//! | `log`, `doctor` | what happened in this session; what the doctor finds |
//! | `replay` | a past update, played again |
//! | `flights` | the updates of this session |
//! | `running` | an update: verdict, timeline, evidence, log |
//! | `gauge` | how far an update is |
//! | `confirm`, `arming`, `dialogs` | questions, help |
//! | `hubs` | the hubs, and the way to another one |
//! | `ascii` | the same for terminals that have nothing else |
//! | `put` | lines onto the screen |
//! | `footer` | what can be done now |
//! | `wake` | when the screen changes by itself |

mod arming;
mod ascii;
mod confirm;
mod devices;
mod dialogs;
mod doc;
pub(super) mod doctor;
mod flights;
mod footer;
mod gauge;
mod header;
mod history;
mod hubs;
mod instead;
pub(crate) mod layout;
pub(super) mod log;
mod notice;
mod package;
mod panel;
mod put;
mod replay;
mod running;
mod state;
mod twin;
mod wake;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Widget;

use self::layout::Areas;
use super::model::devices::columns::Column;
use super::model::{Cover, Dialog, Focus, Model};
use super::theme::Role;

pub(crate) use self::wake::next_wake;

/// Draws the model.
pub fn view(model: &Model, frame: &mut Frame) {
    let areas = Areas::of(model);
    match &model.replay {
        Some(played) => replay::header(model, played, frame, areas.header),
        None => header::draw(model, frame, areas.header),
    }
    rule(model, frame, areas.header_rule);
    if model.replay.is_none() {
        notice::draw(model, frame, areas.notices);
    }
    if let Some(list) = model.flights.as_ref().filter(|_| model.shows_flights()) {
        flights::draw(model, list, frame, &areas);
    }
    if areas.shows_table {
        devices::draw(model, frame, areas.table);
    }
    if model.shows_past() {
        draw_past(model, frame, areas.page);
    } else if !model.shows_flights() {
        divider(model, frame, areas.divider);
    }
    if areas.shows_panel {
        draw_panel(model, frame, areas.panel);
    }
    rule(model, frame, areas.footer_rule);
    footer::draw(model, frame, areas.footer);
    match &model.dialog {
        None => {}
        Some(Dialog::Confirm(order)) => confirm::draw(model, order, frame),
        Some(dialog @ (Dialog::Hubs(_) | Dialog::Switch(_) | Dialog::Connecting(_))) => {
            hubs::draw(model, dialog, frame);
        }
        Some(dialog) => dialogs::draw(model, dialog, frame),
    }
    if model.context.look.ascii {
        ascii::only(frame.buffer_mut());
    }
}

/// How many lines the panel's text has at that width.
pub(crate) fn panel_length(model: &Model, width: u16) -> usize {
    panel::document(model, width).lines.len()
}

/// How many lines are told of the selected update beside the list of them.
pub(crate) fn flight_length(model: &Model, width: u16) -> usize {
    flights::document(model, width).lines.len()
}

/// The column of the table whose head stands there.
pub(crate) fn head_at(model: &Model, x: u16, y: u16) -> Option<Column> {
    devices::head_at(model, Areas::of(model).table, x, y)
}

/// How many lines of the open dialog do not fit: how far it scrolls.
pub(crate) fn dialog_overflow(model: &Model) -> usize {
    match &model.dialog {
        Some(Dialog::Confirm(order)) => confirm::overflow(model, order),
        Some(Dialog::Help(_)) => dialogs::help_overflow(model),
        _ => 0,
    }
}

/// How many lines the opened or replayed update has at that width.
pub(crate) fn past_length(model: &Model, width: u16) -> usize {
    match (&model.replay, &model.history) {
        (Some(played), _) => replay::document(model, played, width).lines.len() + replay::HEAD,
        (None, Some(history)) => history.opened.as_ref().map_or(0, |opened| {
            history::document(model, opened, width).lines.len()
        }),
        (None, None) => 0,
    }
}

fn draw_past(model: &Model, frame: &mut Frame, area: Rect) {
    match &model.cover {
        Some(Cover::Log(screen)) => return log::draw(model, screen, frame, area),
        Some(Cover::Doctor(examination)) => {
            return doctor::draw(model, examination, frame, area);
        }
        None => {}
    }
    match (&model.replay, &model.history) {
        (Some(played), _) => replay::draw(model, played, frame, area),
        (None, Some(history)) => history::draw(model, history, frame, area),
        (None, None) => {}
    }
}

fn draw_panel(model: &Model, frame: &mut Frame, area: Rect) {
    let panel = model.panel.as_ref();
    let typing = panel.is_some_and(|p| p.focus != Focus::Details);
    let scroll = if typing {
        0
    } else {
        panel.map_or(0, |p| p.scroll)
    };
    let document = panel::document(model, area.width);
    document.draw(frame, area, scroll, &model.theme);
}

/// A horizontal line.
fn rule(model: &Model, frame: &mut Frame, area: Rect) {
    let line = "─".repeat(usize::from(area.width));
    Line::styled(line, model.theme.style(Role::Rule)).render(area, frame.buffer_mut());
}

/// A vertical line.
fn divider(model: &Model, frame: &mut Frame, area: Rect) {
    for y in area.top()..area.bottom() {
        let style = model.theme.style(Role::Rule);
        frame.buffer_mut().set_string(area.x, y, "│", style);
    }
}
