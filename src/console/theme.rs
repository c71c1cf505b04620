//! Styles by role. A view says what a thing is; the theme says how that looks.

use std::collections::HashMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

const DARK: &str = include_str!("../../assets/themes/dark.toml");
const LIGHT: &str = include_str!("../../assets/themes/light.toml");
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
    /// The environment of a hub that is not production.
    Environment,
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
    /// The built-in themes by their names, the default first. A defect in one
    /// costs its styles, never the console; a test holds them.
    pub(crate) fn built_in() -> Vec<(String, Self)> {
        let themes = [("dark", DARK), ("light", LIGHT), ("mono", MONO)];
        let parsed = |(name, text): (&str, &str)| {
            let theme = Self::parse(text).unwrap_or_default();
            (name.to_owned(), theme)
        };
        themes.map(parsed).into()
    }

    /// Reads a theme: role = "words".
    ///
    /// # Errors
    /// Names the role or the word that is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let roles: HashMap<Role, String> =
            toml::from_str(text).map_err(|e| e.message().to_owned())?;
        roles
            .into_iter()
            .map(|(role, words)| Ok((role, style(&words)?)))
            .collect::<Result<_, String>>()
            .map(Self)
    }

    /// The same in the terminal's own colours alone: for `NO_COLOR`.
    pub(crate) fn without_colours(self) -> Self {
        let bare = |style: Style| Style {
            fg: None,
            bg: None,
            ..style
        };
        let styles = self.0.into_iter();
        Self(styles.map(|(role, style)| (role, bare(style))).collect())
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
        _ => {
            let other = exact(word);
            return other.ok_or_else(|| format!("{word:?} is no colour and no modifier"));
        }
    })
}

/// `#rrggbb`, or one of a terminal's 256 as a number.
fn exact(word: &str) -> Option<Color> {
    if let Some(hex) = word.strip_prefix('#').filter(|hex| hex.len() == 6) {
        let rgb = u32::from_str_radix(hex, 16).ok()?;
        let [_, r, g, b] = rgb.to_be_bytes();
        return Some(Color::Rgb(r, g, b));
    }
    word.parse().ok().map(Color::Indexed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_themes_are_whole_and_mono_has_no_colour() {
        let roles = |text| {
            let theme = Theme::parse(text).unwrap();
            let mut roles: Vec<_> = theme.0.keys().map(|r| format!("{r:?}")).collect();
            roles.sort();
            roles
        };
        assert_eq!(roles(DARK).len(), 19);
        assert_eq!(roles(DARK), roles(LIGHT));
        assert_eq!(roles(DARK), roles(MONO));
        let mono = Theme::parse(MONO).unwrap();
        assert!(mono.0.values().all(|s| s.fg.is_none() && s.bg.is_none()));
    }

    #[test]
    fn colours_have_names_numbers_or_parts() {
        let theme = Theme::parse("title = \"#ff8000 on-236\"").unwrap();
        let style = theme.style(Role::Title);
        assert_eq!(style.fg, Some(Color::Rgb(255, 128, 0)));
        assert_eq!(style.bg, Some(Color::Indexed(236)));
    }

    #[test]
    fn unknown_words_are_errors() {
        for word in ["blod", "#ff80", "#gg8000", "256", "on-"] {
            assert!(
                Theme::parse(&format!("title = {word:?}")).is_err(),
                "{word}"
            );
        }
        assert!(Theme::parse("titel = \"bold\"").is_err());
    }
}
