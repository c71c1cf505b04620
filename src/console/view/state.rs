//! What a row of the table says of its device: the state of its update, its
//! connection, its last update.

use ratatui::style::Style;

use super::super::model::{Asked, Model};
use super::super::text::{Grain, cut, safe, width};
use super::super::theme::Role;
use super::gauge;
use crate::domain::device::{Connection, DeviceRow, Enablement};
use crate::domain::phase::Phase;
use crate::domain::time::hub_time;
use crate::domain::update::Update;

/// What a row says about the device's update: a sign, words, how old it is.
pub(super) struct State {
    pub(super) sign: &'static str,
    word: String,
    percent: Option<f64>,
    role: Option<Role>,
    pub(super) seen: jiff::Timestamp,
    pub(super) grain: Grain,
}

impl State {
    /// The order that waits, the update of this session, or what the device
    /// reported before.
    pub(super) fn of(model: &Model, row: &DeviceRow) -> Self {
        let update = model.updates.of(&row.device_id).map(|t| &t.update);
        let seen = update.map_or(row.seen, |update| row.seen.max(update.changed));
        let (sign, word, role) = match (model.asked.get(&row.device_id), update) {
            (Some(Asked::Waiting(_)), _) => ("▸", "asking…".to_owned(), Some(Role::Busy)),
            (_, Some(update)) if update.is_open() => told(update),
            (Some(Asked::Refused(_)), _) => ("✗", "refused".to_owned(), Some(Role::Bad)),
            (_, Some(update)) => told(update),
            (_, None) => reported(row),
        };
        let open = update.filter(|update| update.is_open());
        let sure = open.filter(|update| update.doubt.is_none());
        Self {
            sign,
            word,
            percent: sure.and_then(|update| update.steps.last()?.percent),
            role,
            seen,
            grain: open.map_or(Grain::Coarse, |_| Grain::Fine),
        }
    }

    /// The word alone.
    pub(super) fn word(&self) -> &str {
        &self.word
    }

    /// The word with the percentage where both fit, else the word.
    pub(super) fn text(&self, columns: usize) -> String {
        let whole = self.percent.map(|p| format!("{} {p:.0}%", self.word));
        whole
            .filter(|text| width(text) <= columns)
            .unwrap_or_else(|| cut(&self.word, columns))
    }

    pub(super) fn style(&self, model: &Model, quiet: Style) -> Style {
        // At work it was when it was last seen.
        let stale = |role: &Role| model.is_aging() && *role == Role::Busy;
        let role = self.role.filter(|role| !stale(role));
        role.map_or(quiet, |role| model.theme.style(role))
    }
}

fn told(update: &Update) -> (&'static str, String, Option<Role>) {
    let word = update.word().to_owned();
    (gauge::sign(update), word, Some(gauge::role(update)))
}

/// Nobody of this session asked for it: the device's own words, quietly.
fn reported(row: &DeviceRow) -> (&'static str, String, Option<Role>) {
    let words = row.reported_status.as_deref().map(safe);
    match (row.phase, words) {
        (None | Some(Phase::Idle), _) => (" ", "–".to_owned(), None),
        (Some(Phase::Unknown), Some(words)) => (" ", format!("“{words}”"), None),
        (Some(phase @ Phase::Failed), _) => (" ", phase.name().to_owned(), Some(Role::Bad)),
        (Some(phase), _) => (" ", phase.name().to_owned(), None),
    }
}

/// `●` connected, `○` not, `⊘` shut out.
pub(super) fn connection_sign(row: &DeviceRow) -> (&'static str, Option<Role>) {
    match (row.status, row.connection) {
        (Enablement::Disabled, _) => ("⊘", Some(Role::Doubt)),
        (_, Connection::Connected) => ("●", Some(Role::Good)),
        (_, Connection::Disconnected) => ("○", None),
    }
}

/// When the device's last update ended: in one format if it is a time, else in
/// the device's own.
pub(super) fn last_update(row: &DeviceRow, columns: usize) -> String {
    let Some(text) = row.last_update.as_deref() else {
        return "–".to_owned();
    };
    match hub_time(text) {
        Some(time) if columns >= 16 => time.strftime("%Y-%m-%d %H:%M").to_string(),
        Some(time) => time.strftime("%Y-%m-%d").to_string(),
        None => safe(text),
    }
}
