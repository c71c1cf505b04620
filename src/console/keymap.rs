//! From keys to actions, as `assets/keymap.toml` says. The footer and the help
//! are made of the same file, so they cannot lie.

use std::collections::BTreeMap;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use serde::Deserialize;
use tui_input::backend::crossterm::to_input_request;

use super::action::Action;
use super::message::Message;

const BUILT_IN: &str = include_str!("../../assets/keymap.toml");

/// A place on the screen in which keys have a meaning of their own. The order
/// is the help's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Place {
    /// The devices.
    Table,
    /// The package field.
    Field,
    /// The URIs under the field.
    Pick,
    /// The details of a device.
    Details,
    /// A question whose answer is yes or no.
    Confirm,
    /// The same, on a production hub or to take a device over: a name is typed.
    Arm,
    /// The filter's text.
    Filter,
    /// A command's text.
    Prompt,
    /// The updates of this session.
    Updates,
    /// The question before quitting.
    Quit,
    /// The help itself.
    Help,
    /// Everywhere, unless text is typed.
    Anywhere,
}

impl Place {
    /// Is a question open here whose answer sends something, or ends an update?
    pub(crate) fn asks(self) -> bool {
        matches!(self, Self::Confirm | Self::Arm)
    }
}

impl Place {
    /// Is text typed here? Then a plain character is text, unless the place
    /// itself binds it.
    fn takes_text(self) -> bool {
        matches!(self, Self::Field | Self::Arm | Self::Filter | Self::Prompt)
    }

    /// The heading in the help.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Table => "Devices",
            Self::Field => "Package field",
            Self::Pick => "URIs below the field",
            Self::Details => "Details of a device",
            Self::Confirm => "Confirmation",
            Self::Arm => "Confirmation by a name",
            Self::Filter => "Filter",
            Self::Prompt => "Command line",
            Self::Updates => "Updates of this session",
            Self::Quit => "Question before quitting",
            Self::Help => "Help",
            Self::Anywhere => "Everywhere",
        }
    }
}

/// One line of the keymap.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Binding {
    /// The keys, as they are spelt.
    pub(crate) keys: Vec<String>,
    /// What they mean.
    pub(crate) action: Action,
    /// What that does, for the help.
    pub(crate) about: String,
    /// The same in a word or two, for the footer.
    #[serde(default)]
    pub(crate) hint: Option<String>,
}

/// All bindings.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Keymap {
    bindings: BTreeMap<Place, Vec<Binding>>,
    lookup: BTreeMap<Place, Vec<(KeyEvent, Action)>>,
}

impl Keymap {
    /// The built-in keymap. A test holds that it can be read; if it could not,
    /// ctrl-c would still quit.
    pub(crate) fn built_in() -> Self {
        Self::parse(BUILT_IN).unwrap_or_else(|_| Self {
            bindings: BTreeMap::new(),
            lookup: BTreeMap::from([(
                Place::Anywhere,
                vec![(plain(KeyCode::Char('c'), true), Action::Quit)],
            )]),
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let bindings: BTreeMap<Place, Vec<Binding>> =
            toml::from_str(text).map_err(|e| e.to_string())?;
        let mut lookup: BTreeMap<Place, Vec<(KeyEvent, Action)>> = BTreeMap::new();
        for (place, list) in &bindings {
            let known = lookup.entry(*place).or_default();
            for binding in list {
                for spelt in &binding.keys {
                    let key = one_key(spelt)?;
                    if known.iter().any(|(k, _)| *k == key) {
                        return Err(format!("{spelt} is bound twice in {place:?}"));
                    }
                    known.push((key, binding.action));
                }
            }
        }
        Ok(Self { bindings, lookup })
    }

    /// What a key means at `place`: an action, an edit of the text there, or
    /// nothing.
    pub(crate) fn message(&self, place: Place, key: KeyEvent) -> Option<Message> {
        let key = normal(key);
        if let Some(action) = self.find(place, key) {
            return Some(Message::Act(action));
        }
        let typed = !key.modifiers.contains(KeyModifiers::CONTROL);
        if place.takes_text() && typed {
            return to_input_request(&Event::Key(key)).map(Message::Edit);
        }
        self.find(Place::Anywhere, key)
            .map(Message::Act)
            .or_else(|| {
                let edits = place.takes_text();
                edits
                    .then(|| to_input_request(&Event::Key(key)))
                    .flatten()
                    .map(Message::Edit)
            })
    }

    fn find(&self, place: Place, key: KeyEvent) -> Option<Action> {
        let known = self.lookup.get(&place)?;
        known
            .iter()
            .find_map(|(k, action)| (*k == key).then_some(*action))
    }

    /// The bindings at a place, in the file's order.
    pub(crate) fn at(&self, place: Place) -> &[Binding] {
        self.bindings.get(&place).map_or(&[], Vec::as_slice)
    }

    /// Every place with its bindings, in the help's order.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Place, &[Binding])> {
        self.bindings.iter().map(|(p, list)| (*p, list.as_slice()))
    }
}

/// A key as it is shown: `enter`, `ctrl-c`, `?`.
pub(crate) fn shown(spelt: &str) -> &str {
    let name = spelt.strip_prefix('<').and_then(|s| s.strip_suffix('>'));
    match name {
        Some("up") => "↑",
        Some("down") => "↓",
        Some(name) => name,
        None => spelt,
    }
}

/// The keys of a text such as `jj<enter>:device sim-3<enter><ctrl-c>`.
///
/// # Errors
/// Says which name between `<` and `>` is unknown.
pub(crate) fn keys(text: &str) -> Result<Vec<KeyEvent>, String> {
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let end = match rest.find('>') {
            Some(end) if c == '<' => end + 1,
            _ => c.len_utf8(),
        };
        let (spelt, after) = rest.split_at(end);
        keys.push(one_key(spelt)?);
        rest = after;
    }
    Ok(keys)
}

/// One key: `j`, `<enter>`, `ctrl-c`, `<ctrl-c>`.
fn one_key(spelt: &str) -> Result<KeyEvent, String> {
    let mut chars = spelt.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        return Ok(plain(KeyCode::Char(c), false));
    }
    let name = spelt
        .strip_prefix('<')
        .and_then(|s| s.strip_suffix('>'))
        .unwrap_or(spelt);
    let (ctrl, name) = match name.strip_prefix("ctrl-") {
        Some(rest) => (true, rest),
        None => (false, name),
    };
    let code = match name {
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "tab" => KeyCode::Tab,
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "home" => KeyCode::Home,
        "end" => KeyCode::End,
        "pgup" => KeyCode::PageUp,
        "pgdn" => KeyCode::PageDown,
        "backspace" => KeyCode::Backspace,
        "del" => KeyCode::Delete,
        "space" => KeyCode::Char(' '),
        "lt" => KeyCode::Char('<'),
        other => match (ctrl, other.chars().next(), other.chars().count()) {
            (true, Some(c), 1) => KeyCode::Char(c),
            _ => return Err(format!("{spelt:?} is no key")),
        },
    };
    Ok(plain(code, ctrl))
}

fn plain(code: KeyCode, ctrl: bool) -> KeyEvent {
    let modifiers = if ctrl {
        KeyModifiers::CONTROL
    } else {
        KeyModifiers::NONE
    };
    KeyEvent::new(code, modifiers)
}

/// The same key without what terminals tell differently: shift is in the
/// character already.
fn normal(key: KeyEvent) -> KeyEvent {
    let kept = KeyModifiers::CONTROL | KeyModifiers::ALT;
    KeyEvent::new(key.code, key.modifiers & kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(place: Place, key: &str) -> Option<Message> {
        Keymap::built_in().message(place, one_key(key).unwrap())
    }

    #[test]
    fn the_built_in_keymap_can_be_read_and_describes_itself() {
        let keymap = Keymap::parse(BUILT_IN).unwrap();
        for (place, bindings) in keymap.places() {
            assert!(!bindings.is_empty(), "{place:?}");
            assert!(bindings.iter().all(|b| !b.about.is_empty()), "{place:?}");
        }
        assert_eq!(keymap.places().count(), 12);
    }

    #[test]
    fn letters_are_text_where_text_is_typed() {
        use tui_input::InputRequest::InsertChar;
        assert_eq!(message(Place::Table, "q"), Some(Message::Act(Action::Quit)));
        let typed = Some(Message::Edit(InsertChar('q')));
        assert_eq!(message(Place::Field, "q"), typed);
        let quit = Some(Message::Act(Action::Quit));
        assert_eq!(message(Place::Field, "ctrl-c"), quit);
        assert_eq!(
            message(Place::Field, "ctrl-w"),
            Some(Message::Edit(tui_input::InputRequest::DeletePrevWord))
        );
        assert_eq!(message(Place::Table, "Z"), None);
    }

    #[rstest::rstest]
    #[case("", 0)]
    #[case("jj<enter>", 3)]
    #[case("<ctrl-c>a<lt>", 3)]
    #[case("a < b", 5)]
    fn sequences_are_read(#[case] text: &str, #[case] count: usize) {
        assert_eq!(keys(text).map(|k| k.len()), Ok(count));
    }

    #[rstest::rstest]
    #[case(
        "[[table]]\nkeys = [\"<entr>\"]\naction = \"open\"\nabout = \"\"",
        "entr"
    )]
    #[case(
        "[[table]]\nkeys = [\"a\", \"a\"]\naction = \"open\"\nabout = \"\"",
        "twice"
    )]
    #[case("[[tabel]]\nkeys = [\"a\"]\naction = \"open\"\nabout = \"\"", "tabel")]
    #[case("[[table]]\nkeys = [\"a\"]\naction = \"opne\"\nabout = \"\"", "opne")]
    fn mistakes_are_named(#[case] text: &str, #[case] names: &str) {
        let error = Keymap::parse(text).unwrap_err();
        assert!(error.contains(names), "{error}");
    }
}
