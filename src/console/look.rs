//! How the console looks and which keys do what, as the operator has set it.
//!
//! A mistake in a theme or in the keys costs the setting, not the console: it is
//! told, and the built-in one holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::keymap::Keymap;
use super::model::devices::columns::Columns;
use super::model::views::{self, View};
use super::theme::Theme;

/// Keys by place and action: `keys.table.open = ["<enter>", "o"]`.
pub type Keys = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// What the operator has set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LookSettings {
    /// The name of the theme to begin with; the default is `dark`.
    pub theme: Option<String>,
    /// Themes of the operator's own, name and TOML.
    pub themes: Vec<(String, String)>,
    /// Keys that differ from the built-in ones.
    pub keys: Keys,
    /// Draw with ASCII alone?
    pub ascii: bool,
    /// The table's columns, by their names; without any the usual ones.
    pub columns: Vec<String>,
    /// Views of the configuration, by their names.
    pub views: BTreeMap<String, ViewText>,
    /// Is the mouse ours from the start?
    pub mouse: bool,
    /// Without any colour, whatever the theme: for `NO_COLOR`.
    pub no_colour: bool,
}

/// A view of the table as files tell it, the same in the configuration and in the
/// operator's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ViewText {
    /// What is typed after `/`.
    pub filter: String,
    /// The names of the columns; without any the usual ones.
    pub columns: Vec<String>,
    /// A column, and `down` for the other way round.
    pub sort: String,
}

/// How the console looks, ready for use.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    themes: Vec<(String, Theme)>,
    at: usize,
    pub(crate) keymap: Keymap,
    pub(crate) ascii: bool,
    pub(crate) columns: Columns,
    pub(crate) views: BTreeMap<String, View>,
    pub(crate) mouse: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            themes: Theme::built_in(),
            at: 0,
            keymap: Keymap::built_in(),
            ascii: false,
            columns: Columns::default(),
            views: BTreeMap::new(),
            mouse: false,
        }
    }
}

impl Look {
    /// What the settings come to, and what is wrong with them.
    #[must_use]
    pub fn new(settings: &LookSettings) -> (Self, Vec<String>) {
        let (mut look, mut wrong) = (Self::default(), Vec::new());
        look.ascii = settings.ascii;
        for (name, text) in &settings.themes {
            match Theme::parse(text) {
                Ok(theme) => {
                    look.themes.retain(|(known, _)| known != name);
                    look.themes.push((name.clone(), theme));
                }
                Err(why) => wrong.push(format!("theme {name}: {why}")),
            }
        }
        match Keymap::with(&settings.keys) {
            Ok(keymap) => look.keymap = keymap,
            Err(why) => wrong.push(format!("keys: {why}; the built-in keys hold")),
        }
        if settings.no_colour {
            let themes = look.themes.into_iter();
            let bare = themes.map(|(name, theme)| (name, theme.without_colours()));
            look.themes = bare.collect();
        }
        look.mouse = settings.mouse;
        wrong.extend(look.take_table(settings));
        let theme = match settings.no_colour {
            // It tells apart without colours what the others tell apart by them.
            true => Some("mono"),
            false => settings.theme.as_deref(),
        };
        if let Some(Err(why)) = theme.map(|name| look.choose(name)) {
            wrong.push(why);
        }
        (look, wrong)
    }

    /// Columns and views of the settings; gives what is wrong with them.
    fn take_table(&mut self, settings: &LookSettings) -> Vec<String> {
        let mut wrong = Vec::new();
        if !settings.columns.is_empty() {
            match Columns::of(settings.columns.iter().map(String::as_str)) {
                Ok(columns) => self.columns = columns,
                Err(why) => wrong.push(format!("columns: {why}; the usual columns hold")),
            }
        }
        for (name, text) in &settings.views {
            match views::check_name(name).and_then(|()| View::read(text, &self.columns)) {
                Ok(view) => {
                    self.views.insert(name.clone(), view);
                }
                Err(why) => wrong.push(format!("view {name}: {why}; it is left out")),
            }
        }
        wrong
    }

    /// The built-in look, with colours or without.
    #[must_use]
    pub fn built_in(colour: bool) -> Self {
        let settings = LookSettings {
            no_colour: !colour,
            ..LookSettings::default()
        };
        Self::new(&settings).0
    }

    /// The theme in use.
    pub(crate) fn theme(&self) -> &Theme {
        &self.themes[self.at].1
    }

    /// Takes the theme of that name.
    ///
    /// # Errors
    /// Names those that there are.
    pub(crate) fn choose(&mut self, name: &str) -> Result<(), String> {
        match self.themes.iter().position(|(known, _)| known == name) {
            Some(at) => {
                self.at = at;
                Ok(())
            }
            None => {
                let names: Vec<&str> = self.themes.iter().map(|(name, _)| &**name).collect();
                Err(format!("no theme {name:?}; there are {}", names.join(", ")))
            }
        }
    }

    /// The names of the themes, and which is in use.
    pub(crate) fn themes(&self) -> impl Iterator<Item = (&str, bool)> {
        let names = self.themes.iter().enumerate();
        names.map(|(n, (name, _))| (name.as_str(), n == self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::theme::Role;
    use ratatui::style::Color;

    fn settings() -> LookSettings {
        LookSettings {
            themes: vec![("mine".into(), "title = \"red\"".into())],
            ..LookSettings::default()
        }
    }

    #[test]
    fn a_theme_of_ones_own_is_taken_by_its_name() {
        let (mut look, wrong) = Look::new(&LookSettings {
            theme: Some("mine".into()),
            ..settings()
        });
        assert_eq!(wrong, Vec::<String>::new());
        assert_eq!(look.theme().style(Role::Title).fg, Some(Color::Red));
        look.choose("light").unwrap();
        let why = look.choose("lihgt").unwrap_err();
        assert!(why.contains("dark, light, mono, mine"), "{why}");
        let used: Vec<_> = look.themes().filter(|(_, used)| *used).collect();
        assert_eq!(used, [("light", true)]);
    }

    #[test]
    fn no_colour_wins_over_the_theme() {
        let (look, _) = Look::new(&LookSettings {
            theme: Some("mine".into()),
            no_colour: true,
            ..settings()
        });
        assert_eq!(look.theme().style(Role::Bad).fg, None);
    }

    #[test]
    fn mistakes_are_told_and_cost_only_themselves() {
        let keys = BTreeMap::from([("table".to_owned(), BTreeMap::new())]);
        let (look, wrong) = Look::new(&LookSettings {
            theme: Some("gone".into()),
            themes: vec![("bad".into(), "title = \"blod\"".into())],
            keys: Keys::from([("tabel".to_owned(), keys["table"].clone())]),
            ..LookSettings::default()
        });
        assert_eq!(look, Look::default());
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong[0].contains("blod"), "{wrong:?}");
        assert!(wrong[1].contains("tabel"), "{wrong:?}");
        assert!(wrong[2].contains("gone"), "{wrong:?}");
    }

    #[test]
    fn no_theme_brings_colours_back() {
        let settings = LookSettings {
            themes: vec![("mono".into(), "title = \"red on-blue bold\"".into())],
            no_colour: true,
            ..LookSettings::default()
        };
        let (mut look, _) = Look::new(&settings);
        for name in ["dark", "light", "mono"] {
            look.choose(name).unwrap();
            for role in [Role::Title, Role::Bad, Role::Selected, Role::Key] {
                let style = look.theme().style(role);
                assert_eq!((style.fg, style.bg), (None, None), "{name} {role:?}");
            }
        }
    }
}
