//! `otadeck devices`: the inventory.

use crate::domain::clean;
use crate::domain::device::{Connection, DeviceRow, Enablement};
use crate::domain::event::{Command, Event, InventoryState, Way, What};
use crate::engine::{Batch, Engine, Subscription};
use crate::hub::Query;

use super::args::{Devices, Global};
use super::exit::{Code, Failure};
use super::session::Session;
use super::signals::Signals;
use super::{ending, log, out};

/// Columns of a table cell at most.
const CELL: usize = 40;

pub(super) async fn run(verb: Devices, global: &Global) -> Result<Code, Failure> {
    let mut session = Session::need(global).await?;
    // A listing writes nothing to the hub, so nothing to the journal either.
    session.keep_no_journal();
    let query = match &verb.query {
        Some(text) => Some(Query::parse(text, &session.dialects).map_err(Failure::usage)?),
        None => None,
    };
    let mut signals = Signals::insist()?;
    let _log = log::start(&session.paths.log());
    let running = session.start(query)?;
    let engine = running.engine();
    let events = engine.subscribe();
    let ended = |e| Failure::internal("the engine has ended", e);
    let listing = async move {
        engine.send(Command::List).await.map_err(ended)?;
        tokio::select! {
            biased;
            code = signals.next() => Ok(code),
            listed = list(&engine, events, verb.json) => listed,
        }
    };
    ending::tend(running, listing).await
}

async fn list(engine: &Engine, mut events: Subscription, json: bool) -> Result<Code, Failure> {
    let ended = || Failure::internal("the engine has ended", "a defect; see the log");
    let mut rows = Vec::new();
    let mut told = false;
    loop {
        let batch = match events.next().await.ok_or_else(ended)? {
            Batch::Events(batch) => batch,
            // Rows were missed: take them all from how it stands.
            Batch::Lagged => {
                rows = engine.snapshot().await.map_err(|_| ended())?.rows;
                continue;
            }
        };
        for event in batch.iter() {
            match &event.what {
                What::Device { device } => rows.push((**device).clone()),
                What::Inventory {
                    state: InventoryState::Complete,
                    skipped,
                    ..
                } => {
                    if *skipped > 0 {
                        out::note(&format!(
                            "{skipped} rows name no device and are left out; a query must select deviceId"
                        ));
                    }
                    return show(rows, json);
                }
                What::Inventory {
                    state: InventoryState::Failed,
                    problem: Some(problem),
                    ..
                } => return Err(problem.clone().into()),
                // A listing goes on trying for a while.
                What::Link(Way {
                    problem: Some(problem),
                    ..
                }) if !told => {
                    told = true;
                    out::note(&format!("{}; trying again", problem.line()));
                }
                _ => {}
            }
        }
    }
}

fn show(mut rows: Vec<DeviceRow>, json: bool) -> Result<Code, Failure> {
    rows.sort_by(|a, b| a.device_id.cmp(&b.device_id));
    // The last word on a device counts: rules for dialects come after the list.
    rows.dedup_by(|later, kept| {
        let same = later.device_id == kept.device_id;
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
    if json {
        for row in rows {
            let (time, id) = (row.seen, row.device_id.clone());
            let device = Box::new(row);
            out::json(&Event::device(time, id, What::Device { device }))?;
        }
        return Ok(Code::Completed);
    }
    let cells: Vec<[String; 5]> = rows.iter().map(cells).collect();
    if cells.is_empty() {
        out::note("no devices");
        return Ok(Code::Completed);
    }
    out::lines(&table(&cells))?;
    Ok(Code::Completed)
}

const HEADINGS: [&str; 5] = ["device", "connection", "firmware", "status", "last update"];

fn cells(row: &DeviceRow) -> [String; 5] {
    let text = |value: &Option<String>| {
        value
            .as_deref()
            .map_or("–".to_owned(), |t| clean::line(t, CELL))
    };
    let connection = match (row.status, row.connection) {
        (Enablement::Disabled, _) => "disabled",
        (_, Connection::Connected) => "connected",
        (_, Connection::Disconnected) => "disconnected",
    };
    [
        row.device_id.to_string(),
        connection.to_owned(),
        text(&row.firmware),
        text(&row.reported_status),
        text(&row.last_update),
    ]
}

fn table(rows: &[[String; 5]]) -> String {
    use unicode_width::UnicodeWidthStr;
    let mut widths = HEADINGS.map(UnicodeWidthStr::width);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let line = |cells: [&str; 5]| {
        let mut line = String::new();
        for (cell, width) in cells.into_iter().zip(widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.width() + 2));
        }
        format!("{}\n", line.trim_end())
    };
    let mut text = line(HEADINGS);
    for row in rows {
        text.push_str(&line([0, 1, 2, 3, 4].map(|n| row[n].as_str())));
    }
    text
}
