//! `[console]`: how the console looks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What says that an update has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotifyConfig {
    /// The terminal's bell.
    Bell,
    /// A notification of the desktop.
    Osc9,
    /// Nothing.
    Off,
}

/// The columns that are shown when nobody says otherwise.
const COLUMNS: [&str; 6] = ["device", "state", "firmware", "phase", "last", "age"];

/// How the console looks and which keys do what. What themes and keys there are is
/// the console's to know; `config check` asks it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleConfig {
    /// `dark`, `light`, `mono`, or one of the files in the folder `themes` beside
    /// the configuration.
    pub theme: String,
    /// Draws with ASCII alone.
    pub ascii: bool,
    /// The most frames a second, 1 to 60.
    pub max_fps: i64,
    /// Sets the terminal's title, and gives the old one back.
    pub title: bool,
    /// What says that an update has ended.
    pub notify: NotifyConfig,
    /// The columns of the table, in their order.
    pub columns: Vec<String>,
    /// Takes the mouse from the start.
    pub mouse: bool,
    /// Keys by place and action, instead of the built-in ones of that action.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self {
            theme: "dark".to_owned(),
            ascii: false,
            max_fps: 60,
            title: true,
            notify: NotifyConfig::Bell,
            columns: COLUMNS.map(str::to_owned).to_vec(),
            mouse: false,
            keys: BTreeMap::new(),
        }
    }
}

/// A view of the table under a name. What columns there are is the console's to know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ViewConfig {
    /// What is typed after `/`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub filter: String,
    /// The columns, in their order; without any those of `console.columns`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// A column, and `down` for the other way round.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sort: String,
}
