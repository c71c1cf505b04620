//! From keys to actions, as `assets/keymap.toml` says. The footer and the help
//! are made of the same file, so they cannot lie.

mod conflicts;

use std::collections::BTreeMap;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use tui_input::backend::crossterm::to_input_request;

use super::action::Action;
use super::look::Keys;
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
    /// The search's text, in a twin.
    Search,
    /// The updates of this session.
    Updates,
    /// The hubs.
    Hubs,
    /// Another hub is made ready.
    Connecting,
    /// Past updates.
    History,
    /// The filter's text there, and in the log.
    Find,
    /// A past update.
    Record,
    /// A past update, played again.
    Replay,
    /// What happened in this session.
    Log,
    /// What the doctor finds.
    Doctor,
    /// The question before quitting.
    Quit,
    /// The help itself.
    Help,
    /// Everywhere, unless text is typed.
    Anywhere,
}

impl Place {
    /// Is a question open here whose answer sends something, or ends an update, or is
    /// the hub about to be another? Keys that were typed before it mean nothing.
    pub(crate) fn asks(self) -> bool {
        matches!(self, Self::Confirm | Self::Arm | Self::Connecting)
    }
}

impl Place {
    /// Is text typed here? Then a plain character is text, unless the place
    /// itself binds it.
    fn takes_text(self) -> bool {
        matches!(
            self,
            Self::Field | Self::Arm | Self::Filter | Self::Prompt | Self::Search | Self::Find
        )
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
            Self::Search => "Search in a twin",
            Self::Updates => "Updates of this session",
            Self::Hubs => "Hubs",
            Self::Connecting => "On the way to another hub",
            Self::History => "History",
            Self::Find => "Filter of history and log",
            Self::Record => "A past update",
            Self::Replay => "Replay",
            Self::Log => "Log",
            Self::Doctor => "Doctor",
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
        let keymap = Self::of(bindings)?;
        keymap.checked(&Self::default())
    }

    /// The same, if nothing is wrong with it; `before` is what it was made from.
    fn checked(self, before: &Self) -> Result<Self, String> {
        let wrong = conflicts::conflicts(&self, before);
        match wrong.is_empty() {
            true => Ok(self),
            false => Err(wrong.join("; ")),
        }
    }

    /// The built-in keymap with other keys for some of its actions.
    ///
    /// # Errors
    /// Names the place, the action or the key that is none, and all that `conflicts`
    /// finds: keys that would mean two things at one place, or take a way out away.
    pub(crate) fn with(keys: &Keys) -> Result<Self, String> {
        let built_in = Self::built_in();
        let mut bindings = built_in.bindings.clone();
        for (place, actions) in keys {
            let known: Place = named(place).ok_or_else(|| format!("no place {place:?}"))?;
            let here = bindings.entry(known).or_default();
            for (action, spelt) in actions {
                let known: Action =
                    named(action).ok_or_else(|| format!("no action {action:?} (in {place})"))?;
                let mut of_action = here.iter_mut().filter(|b| b.action == known);
                let Some(binding) = of_action.next() else {
                    return Err(format!("{action:?} means nothing in {place}"));
                };
                binding.keys.clone_from(spelt);
                // Where an action had two lines, its keys are now in one.
                of_action.for_each(|other| other.keys.clear());
            }
            here.retain(|binding| !binding.keys.is_empty());
        }
        Self::of(bindings)?.checked(&built_in)
    }

    fn of(bindings: BTreeMap<Place, Vec<Binding>>) -> Result<Self, String> {
        let mut lookup: BTreeMap<Place, Vec<(KeyEvent, Action)>> = BTreeMap::new();
        for (place, list) in &bindings {
            let known = lookup.entry(*place).or_default();
            for binding in list {
                for spelt in &binding.keys {
                    known.push((one_key(spelt)?, binding.action));
                }
            }
        }
        Ok(Self { bindings, lookup })
    }

    /// The keys of a place, with what they mean.
    fn keys(&self, place: Place) -> &[(KeyEvent, Action)] {
        self.lookup.get(&place).map_or(&[], Vec::as_slice)
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

    /// The keys that mean this at a place, as they are shown, at most so many, with a
    /// slash between. Whatever names a key on the screen asks here: keys can be set.
    pub(crate) fn named(&self, place: Place, action: Action, most: usize) -> String {
        let here = self.at(place).iter().chain(self.at(Place::Anywhere));
        let keys = here.filter(|binding| binding.action == action);
        let keys = keys.flat_map(|binding| &binding.keys);
        let keys: Vec<&str> = keys.take(most).map(|key| shown(key)).collect();
        match keys.is_empty() {
            true => "(no key)".to_owned(),
            false => keys.join("/"),
        }
    }

    /// Every place with its bindings, in the help's order.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Place, &[Binding])> {
        self.bindings.iter().map(|(p, list)| (*p, list.as_slice()))
    }
}

/// The place or the action of that name.
fn named<'a, T: Deserialize<'a>>(name: &'a str) -> Option<T> {
    let name: StrDeserializer<'a, ValueError> = name.into_deserializer();
    T::deserialize(name).ok()
}

/// A key as it is shown: `enter`, `ctrl-c`, `?`.
pub(crate) fn shown(spelt: &str) -> &str {
    let name = spelt.strip_prefix('<').and_then(|s| s.strip_suffix('>'));
    match name {
        Some("up") => "↑",
        Some("down") => "↓",
        Some("left") => "←",
        Some("right") => "→",
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
        assert_eq!(keymap.places().count(), 21);
    }

    /// What the screen says of a key is what the key does.
    #[test]
    fn keys_are_named_as_they_are_set() {
        let built_in = Keymap::built_in();
        let named = |keymap: &Keymap, most| keymap.named(Place::Confirm, Action::Confirm, most);
        assert_eq!(named(&built_in, 2), "y");
        let back = |most| built_in.named(Place::Confirm, Action::Back, most);
        assert_eq!((back(2), back(1)), ("n/esc".to_owned(), "n".to_owned()));
        let own = BTreeMap::from([(
            "confirm".to_owned(),
            BTreeMap::from([("confirm".to_owned(), vec!["Y".to_owned()])]),
        )]);
        assert_eq!(named(&Keymap::with(&own).unwrap(), 2), "Y");
        let quit = built_in.named(Place::Table, Action::Quit, 1);
        assert_eq!(quit, "q", "a key that works everywhere works here");
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

    fn with(place: &str, action: &str, keys: &[&str]) -> Result<Keymap, String> {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let actions = BTreeMap::from([(action.to_owned(), keys)]);
        Keymap::with(&Keys::from([(place.to_owned(), actions)]))
    }

    #[test]
    fn keys_of_ones_own_take_the_place_of_the_built_in_ones() {
        let keymap = with("table", "open", &["o", "ctrl-o"]).unwrap();
        let press = |key: &str| keymap.message(Place::Table, one_key(key).unwrap());
        assert_eq!(press("o"), Some(Message::Act(Action::Open)));
        assert_eq!(press("<enter>"), None);
        assert_eq!(press("j"), Some(Message::Act(Action::Next)));
        // The help and the footer are made of the same.
        let open = keymap.at(Place::Table)[0].clone();
        assert_eq!(open.keys, ["o", "ctrl-o"]);
        assert_eq!(
            with("table", "mark", &[]).unwrap().at(Place::Table).len() + 1,
            { Keymap::built_in().at(Place::Table).len() }
        );
    }

    #[rstest::rstest]
    #[case("table", "open", "j", "j is bound twice in Table: Open and Next")]
    #[case("tabel", "open", "o", "tabel")]
    #[case("table", "opne", "o", "opne")]
    #[case("table", "open", "<entr>", "entr")]
    #[case("help", "mark", "m", "means nothing in help")]
    fn wrong_keys_are_named(
        #[case] place: &str,
        #[case] action: &str,
        #[case] key: &str,
        #[case] names: &str,
    ) {
        let error = with(place, action, &[key]).unwrap_err();
        assert!(error.contains(names), "{error}");
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
