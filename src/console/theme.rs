//! Styles by role. A view says what a thing is; the theme says how that looks.

use std::collections::HashMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

const QUIET: &str = include_str!("../../assets/themes/quiet.toml");
const MONO: &str = include_str!("../../assets/themes/mono.toml");

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// A heading, an id.
    Title,
    /// What may be overlooked.
    Muted,
    /// A separating line.
    Rule,
    /// The heads of columns.
    Head,
    /// The name of a value.
    Label,
    /// A key that does something now.
    Key,
    /// The bar at the selected row.
    Cursor,
    /// The selected row.
    Selected,
    /// It went well; it is connected.
    Good,
    /// It is under way.
    Busy,
    /// Nobody knows.
    Doubt,
    /// It went wrong.
    Bad,
    /// Production.
    Alarm,
    /// Read-only.
    Guard,
    /// What the operator typed.
    Input,
    /// What could be done.
    Hint,
    /// The part of a gauge that is behind.
    GaugeFull,
    /// The part that is not.
    GaugeEmpty,
}

/// How each role looks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Theme(HashMap<Role, Style>);

impl Theme {
    /// The built-in theme, with the terminal's colours or without any. A
    /// defect in it costs the styles, never the console; a test holds both.
    pub(crate) fn built_in(colour: bool) -> Self {
        Self::parse(if colour { QUIET } else { MONO }).unwrap_or_default()
    }

    /// Reads a theme: role = "words".
    fn parse(text: &str) -> Result<Self, String> {
        let roles: HashMap<Role, String> = toml::from_str(text).map_err(|e| e.to_string())?;
        roles
            .into_iter()
            .map(|(role, words)| Ok((role, style(&words)?)))
            .collect::<Result<_, String>>()
            .map(Self)
    }

    /// How that role looks.
    pub(crate) fn style(&self, role: Role) -> Style {
        self.0.get(&role).copied().unwrap_or_default()
    }
}

fn style(words: &str) -> Result<Style, String> {
    words
        .split_whitespace()
        .try_fold(Style::new(), |style, word| {
            let modifier = match word {
                "bold" => Modifier::BOLD,
                "dim" => Modifier::DIM,
                "italic" => Modifier::ITALIC,
                "underlined" => Modifier::UNDERLINED,
                "reversed" => Modifier::REVERSED,
                _ => match word.strip_prefix("on-") {
                    Some(ground) => return colour(ground).map(|c| style.bg(c)),
                    None => return colour(word).map(|c| style.fg(c)),
                },
            };
            Ok(style.add_modifier(modifier))
        })
}

fn colour(word: &str) -> Result<Color, String> {
    Ok(match word {
        "black" => Color::Black,
        "red" => Color::Red,
        "green" => Color::Green,
        "yellow" => Color::Yellow,
        "blue" => Color::Blue,
        "magenta" => Color::Magenta,
        "cyan" => Color::Cyan,
        "white" => Color::Gray,
        "bright-black" => Color::DarkGray,
        "bright-red" => Color::LightRed,
        "bright-green" => Color::LightGreen,
        "bright-yellow" => Color::LightYellow,
        "bright-blue" => Color::LightBlue,
        "bright-magenta" => Color::LightMagenta,
        "bright-cyan" => Color::LightCyan,
        "bright-white" => Color::White,
        _ => return Err(format!("{word:?} is no colour and no modifier")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_themes_are_whole_and_mono_has_no_colour() {
        let quiet = Theme::parse(QUIET).unwrap();
        let mono = Theme::parse(MONO).unwrap();
        let mut roles: Vec<_> = quiet.0.keys().map(|r| format!("{r:?}")).collect();
        let mut same: Vec<_> = mono.0.keys().map(|r| format!("{r:?}")).collect();
        roles.sort();
        same.sort();
        assert_eq!(roles, same);
        assert_eq!(roles.len(), 18);
        assert!(mono.0.values().all(|s| s.fg.is_none() && s.bg.is_none()));
    }

    #[test]
    fn unknown_words_are_errors() {
        assert!(Theme::parse("title = \"blod\"").is_err());
        assert!(Theme::parse("titel = \"bold\"").is_err());
    }
}
