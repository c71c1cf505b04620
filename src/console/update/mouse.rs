//! What is pointed at. The wheel scrolls what is under it, a click selects a row, a
//! second one opens it, and a click on a head sorts. Nothing that is done with the
//! mouse sends anything: questions are answered with keys alone.

use super::super::action::Action;
use super::super::message::{Effect, Mouse, MouseKind};
use super::super::model::devices::sort::Order;
use super::super::model::{Cover, Dialog, Focus, Model};
use super::super::view::layout::Areas;
use super::{act, flights, panel};

/// Lines that the wheel moves at a time.
const WHEEL: isize = 3;

/// Folds what was done with the mouse in. A terminal may send that unasked.
pub(super) fn mouse(model: &mut Model, mouse: Mouse) -> Vec<Effect> {
    if !model.mouse {
        return Vec::new();
    }
    match mouse.kind {
        MouseKind::WheelUp => wheel(model, mouse, -WHEEL),
        MouseKind::WheelDown => wheel(model, mouse, WHEEL),
        MouseKind::Click => return click(model, mouse),
    }
    Vec::new()
}

fn wheel(model: &mut Model, mouse: Mouse, by: isize) {
    match &mut model.dialog {
        Some(Dialog::Help(scroll)) => *scroll = scroll.saturating_add_signed(by),
        Some(Dialog::Confirm(order)) => order.scroll = order.scroll.saturating_add_signed(by),
        Some(_) => {}
        None => below(model, mouse, by),
    }
}

fn below(model: &mut Model, mouse: Mouse, by: isize) {
    let areas = Areas::of(model);
    match &mut model.cover {
        Some(Cover::Log(screen)) => {
            let lines = model.log.holding(screen.text());
            return screen.step(&lines, by);
        }
        Some(Cover::Doctor(examination)) => {
            examination.scroll = examination.scroll.saturating_add_signed(by);
            return;
        }
        None => {}
    }
    if let Some(played) = &mut model.replay {
        played.scroll = played.scroll.saturating_add_signed(by);
    } else if let Some(history) = &mut model.history {
        match &mut history.opened {
            Some(opened) => opened.scroll = opened.scroll.saturating_add_signed(by),
            None => history.step(by),
        }
    } else if model.shows_flights() {
        let listed = model.flights_listed();
        let beside = model.is_wide() && mouse.is_in(areas.panel);
        if let Some(flights) = &mut model.flights {
            match beside {
                true => flights.scroll = flights.scroll.saturating_add_signed(by),
                false => flights.shift(&listed, by, areas.flight_rows()),
            }
        }
    } else if areas.shows_panel && mouse.is_in(areas.panel) {
        if let Some(panel) = model.panel.as_mut().filter(|p| p.focus == Focus::Details) {
            panel.scroll = panel.scroll.saturating_add_signed(by);
        }
    } else if areas.shows_table {
        model.devices.scroll(by, areas.table_rows());
    }
}

fn click(model: &mut Model, mouse: Mouse) -> Vec<Effect> {
    let areas = Areas::of(model);
    // Over a question, a list of keys or a replay there is nothing to point at.
    if model.dialog.is_some() || model.replay.is_some() || model.cover.is_some() {
        return Vec::new();
    }
    if model.history.is_some() {
        return in_history(model, mouse, &areas);
    }
    if model.shows_flights() {
        in_flights(model, mouse, &areas);
    } else if areas.shows_table && mouse.is_in(areas.table) {
        in_table(model, mouse, &areas);
    }
    Vec::new()
}

fn in_table(model: &mut Model, mouse: Mouse, areas: &Areas) {
    if let Some(column) = super::super::view::head_at(model, mouse.column, mouse.row) {
        let order = model.devices.order();
        let order = match order.by == column {
            true => order.reversed(),
            false => Order {
                by: column,
                down: false,
            },
        };
        return model.devices.set_order(order);
    }
    let Some(line) = mouse.line_in(areas.table, areas.table_heading()) else {
        return;
    };
    let again = model.devices.point(line) == Some(true);
    // Whoever types goes on typing.
    if again
        && model.bar.is_none()
        && model.panel.is_none()
        && let Some(id) = model.devices.selected().cloned()
    {
        panel::open(model, id, Focus::Field);
    }
}

fn in_flights(model: &mut Model, mouse: Mouse, areas: &Areas) {
    let heading = usize::from(areas.table.height).saturating_sub(areas.flight_rows());
    let Some(line) = mouse.line_in(areas.table, heading) else {
        return;
    };
    let listed = model.flights_listed();
    let typing = model.bar.is_some();
    let Some(flights) = &mut model.flights else {
        return;
    };
    let line = flights.top() + line;
    if line < listed.len() && flights.select(&listed, line) && !typing {
        flights::enter(model);
    }
}

fn in_history(model: &mut Model, mouse: Mouse, areas: &Areas) -> Vec<Effect> {
    let heading = usize::from(areas.page.height).saturating_sub(areas.past_rows());
    let Some(history) = model.history.as_mut().filter(|h| h.opened.is_none()) else {
        return Vec::new();
    };
    let line = mouse.line_in(areas.page, heading).map(|n| history.top + n);
    let Some(line) = line.filter(|line| *line < history.rows.len()) else {
        return Vec::new();
    };
    if history.selected != line {
        history.selected = line;
        return Vec::new();
    }
    match history.typing {
        true => Vec::new(),
        false => act(model, Action::Open),
    }
}

#[cfg(test)]
mod tests;
