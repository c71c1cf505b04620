//! Who gets which part of the screen. A function of the model, so that the
//! update knows how long a page is and the view agrees.

use ratatui::layout::Rect;

use super::super::model::Model;
use super::{devices, flights, footer, history, notice};

/// Below this height nothing is spent on lines that only separate.
const ROOMY: u16 = 18;

/// What is wrong with the whole may take all lines but these.
const LEFT: u16 = 4;
const LEFT_WITHOUT_ROWS: u16 = 2;

/// The parts of the screen. A part that is not there has no height or width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Areas {
    pub(crate) header: Rect,
    pub(crate) header_rule: Rect,
    pub(crate) notices: Rect,
    pub(crate) table: Rect,
    pub(crate) divider: Rect,
    pub(crate) panel: Rect,
    /// Both of them and what is between, for what covers them.
    pub(crate) page: Rect,
    pub(crate) footer_rule: Rect,
    pub(crate) footer: Rect,
    pub(crate) shows_table: bool,
    pub(crate) shows_panel: bool,
    heading: usize,
}

impl Areas {
    /// The parts for the model as it is.
    pub(crate) fn of(model: &Model) -> Self {
        let mut rest = Rect::new(0, 0, model.size.0, model.size.1);
        let rule = u16::from(is_roomy(model));
        let header = take_top(&mut rest, 1);
        let header_rule = take_top(&mut rest, rule);
        let typed = footer::height(model, rest.width);
        let footer = take_bottom(&mut rest, typed);
        let footer_rule = take_bottom(&mut rest, rule);
        // What is wrong with the hub now is not what a replay shows.
        let wanted = match model.replay {
            Some(_) => 0,
            None => notice::height(model, rest.width).min(rest.height.saturating_sub(left(model))),
        };
        let notices = take_top(&mut rest, wanted);
        let body = rest;
        let covered = model.shows_past() || model.shows_flights();
        let (mut table, mut divider, mut panel) = (body, Rect::ZERO, body);
        if model.is_wide() {
            table.width = (body.width * 27 / 50).min(78);
            divider = Rect::new(table.right(), body.y, 1, body.height);
            panel.x = divider.right();
            panel.width = body.right() - panel.x;
        }
        Self {
            header,
            header_rule,
            notices,
            table,
            divider,
            panel,
            page: body,
            footer_rule,
            footer,
            shows_table: !covered && (model.is_wide() || model.panel.is_none()),
            shows_panel: !covered && (model.is_wide() || model.panel.is_some()),
            heading: devices::heading_height(model, table),
        }
    }

    /// Lines of the history's list that hold updates.
    pub(crate) fn past_rows(&self) -> usize {
        usize::from(self.page.height).saturating_sub(history::HEADING)
    }

    /// Lines of the list of updates that hold updates.
    pub(crate) fn flight_rows(&self) -> usize {
        usize::from(self.table.height).saturating_sub(flights::HEADING)
    }

    /// Lines of the table above its devices.
    pub(crate) fn table_heading(&self) -> usize {
        self.heading
    }

    /// Lines of the table that hold devices.
    pub(crate) fn table_rows(&self) -> usize {
        usize::from(self.table.height).saturating_sub(self.heading)
    }
}

/// Lines that there are for what is wrong with the whole, where nothing separates.
pub(super) fn room(model: &Model) -> u16 {
    // Header and footer have a line each.
    model.size.1.saturating_sub(2 + left(model))
}

/// Lines that the table needs at least: without rows its heading and a line that says
/// so.
fn left(model: &Model) -> u16 {
    match model.devices.len() {
        0 => LEFT_WITHOUT_ROWS,
        _ => LEFT,
    }
}

/// Is the terminal high enough to spend lines on separating?
pub(crate) fn is_roomy(model: &Model) -> bool {
    model.size.1 >= ROOMY
}

fn take_top(rest: &mut Rect, height: u16) -> Rect {
    let height = height.min(rest.height);
    let part = Rect { height, ..*rest };
    rest.y += height;
    rest.height -= height;
    part
}

fn take_bottom(rest: &mut Rect, height: u16) -> Rect {
    let height = height.min(rest.height);
    rest.height -= height;
    Rect {
        y: rest.bottom(),
        height,
        ..*rest
    }
}
