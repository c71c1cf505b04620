//! What is wrong with keys of the operator's own: not only what cannot be read, but
//! also what would leave somebody without a way out.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{Action, Keymap, Place};

/// Letters that a terminal sends for another key when ctrl is held.
const OTHER_KEYS: [(char, &str); 5] = [
    ('h', "<backspace>"),
    ('i', "<tab>"),
    ('m', "<enter>"),
    ('[', "<esc>"),
    ('@', "ctrl-<space>"),
];

/// Everything that is wrong with a keymap, each in words. What could be left by a key
/// in `before` has to stay so.
pub(super) fn conflicts(keymap: &Keymap, before: &Keymap) -> Vec<String> {
    let mut wrong = Vec::new();
    for place in keymap.lookup.keys() {
        twice(keymap, *place, &mut wrong);
        never(keymap, *place, &mut wrong);
        text(keymap, *place, &mut wrong);
        no_way_out(keymap, before, *place, &mut wrong);
    }
    nowhere(keymap, &mut wrong);
    wrong
}

/// Two actions on one key at one place.
fn twice(keymap: &Keymap, place: Place, wrong: &mut Vec<String>) {
    let keys = keymap.keys(place);
    for (n, (key, action)) in keys.iter().enumerate() {
        if let Some((_, other)) = keys[..n].iter().find(|(known, _)| known == key) {
            wrong.push(format!(
                "{} is bound twice in {place:?}: {other:?} and {action:?}",
                told(*key)
            ));
        }
    }
}

/// A key that no terminal sends.
fn never(keymap: &Keymap, place: Place, wrong: &mut Vec<String>) {
    for (key, action) in keymap.keys(place) {
        if let Some(why) = unreachable(*key) {
            let key = told(*key);
            wrong.push(format!(
                "{key} ({action:?} in {place:?}) can never be pressed: {why}"
            ));
        }
    }
}

fn unreachable(key: KeyEvent) -> Option<String> {
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char(c) if c.is_control() => Some("it is no character".to_owned()),
        KeyCode::Char(c) if ctrl => {
            let other = OTHER_KEYS.iter().find(|(letter, _)| *letter == c);
            if let Some((_, name)) = other {
                return Some(format!("terminals send {name} for it"));
            }
            let known = c.is_ascii_lowercase() || c == ' ' || ('4'..='7').contains(&c);
            (!known).then(|| "terminals send ctrl with small letters alone".to_owned())
        }
        KeyCode::Enter | KeyCode::Esc | KeyCode::Tab | KeyCode::Backspace if ctrl => {
            Some("terminals send it without ctrl".to_owned())
        }
        _ => None,
    }
}

/// Where text is typed, a character that means something cannot be typed any more.
fn text(keymap: &Keymap, place: Place, wrong: &mut Vec<String>) {
    if !place.takes_text() {
        return;
    }
    for (key, action) in keymap.keys(place) {
        if let (KeyCode::Char(c), false) = (key.code, key.modifiers.contains(KeyModifiers::CONTROL))
        {
            let c = if c == ' ' {
                "<space>".to_owned()
            } else {
                c.to_string()
            };
            wrong.push(format!(
                "{c} ({action:?} in {place:?}) could not be typed there any more"
            ));
        }
    }
}

/// Every place that a key leaves keeps one that does. Nothing lies behind the table.
fn no_way_out(keymap: &Keymap, before: &Keymap, place: Place, wrong: &mut Vec<String>) {
    let back = |(_, action): &(KeyEvent, Action)| *action == Action::Back;
    let went_back = before.keys(place).iter().any(back);
    if went_back && place != Place::Table && !keymap.keys(place).iter().any(back) {
        wrong.push(format!(
            "no key goes back in {place:?}: there would be no way out"
        ));
    }
}

/// An action that works everywhere, and has no key left at one of the places that have
/// no other way to it.
fn nowhere(keymap: &Keymap, wrong: &mut Vec<String>) {
    for action in [Action::Quit, Action::Help] {
        let everywhere = keymap.keys(Place::Anywhere).iter();
        let keys: Vec<KeyEvent> = everywhere
            .filter(|(_, a)| *a == action)
            .map(|(k, _)| *k)
            .collect();
        if keys.is_empty() {
            wrong.push(format!("{action:?} has no key that works everywhere"));
            continue;
        }
        for place in [
            Place::Table,
            Place::Details,
            Place::Updates,
            Place::History,
            Place::Record,
        ] {
            let here = keymap.keys(place);
            let own = here.iter().any(|(_, known)| *known == action);
            let free = keys
                .iter()
                .any(|key| !here.iter().any(|(known, _)| known == key));
            if !own && !free {
                let taken = keys.first().map_or(String::new(), |key| told(*key));
                wrong.push(format!(
                    "{taken} means something else in {place:?}, and {action:?} has no key there"
                ));
            }
        }
    }
}

/// A key as the keymap spells it.
fn told(key: KeyEvent) -> String {
    let name = match key.code {
        KeyCode::Char(' ') => "<space>".to_owned(),
        KeyCode::Char(c) if c.is_control() => format!("{c:?}"),
        KeyCode::Char(c) => c.to_string(),
        code => format!("<{}>", format!("{code:?}").to_lowercase()),
    };
    match key.modifiers.contains(KeyModifiers::CONTROL) {
        true => format!("ctrl-{name}"),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::conflicts;

    fn with(place: &str, action: &str, keys: &[&str]) -> Result<Keymap, String> {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let actions = BTreeMap::from([(action.to_owned(), keys)]);
        Keymap::with(&Keys::from([(place.to_owned(), actions)]))
    }

    #[test]
    fn the_built_in_keys_have_no_conflict() {
        let built_in = Keymap::built_in();
        assert_eq!(conflicts(&built_in, &built_in), Vec::<String>::new());
    }

    #[rstest::rstest]
    #[case("table", "open", &["j"], "j is bound twice in Table: Open and Next")]
    #[case("help", "back", &[], "no key goes back in Help")]
    #[case("confirm", "back", &[], "no key goes back in Confirm")]
    #[case("field", "back", &["ctrl-m"], "terminals send <enter>")]
    #[case("table", "open", &["ctrl-O"], "small letters alone")]
    #[case("table", "open", &["ctrl-enter"], "without ctrl")]
    #[case("filter", "next", &["j"], "j (Next in Filter) could not be typed")]
    #[case("anywhere", "quit", &[], "Quit has no key that works everywhere")]
    #[case("anywhere", "quit", &["<esc>"], "<esc> means something else in Table, and Quit")]
    #[case("anywhere", "help", &["s"], "s means something else in Table, and Help")]
    #[case("table", "open", &["?"], "? means something else in Table, and Help")]
    fn conflicts_are_named(
        #[case] place: &str,
        #[case] action: &str,
        #[case] keys: &[&str],
        #[case] told: &str,
    ) {
        let error = with(place, action, keys).unwrap_err();
        assert!(error.contains(told), "{error}");
    }

    #[rstest::rstest]
    #[case("table", "back", &[])]
    #[case("table", "mark", &[])]
    #[case("table", "open", &["q"])]
    #[case("filter", "next", &["ctrl-j", "<down>"])]
    #[case("help", "back", &["ctrl-g"])]
    #[case("anywhere", "quit", &["ctrl-q"])]
    fn what_harms_nobody_is_taken(
        #[case] place: &str,
        #[case] action: &str,
        #[case] keys: &[&str],
    ) {
        with(place, action, keys).unwrap();
    }

    #[test]
    fn all_conflicts_are_told_at_once() {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        let table = BTreeMap::from([("open".to_owned(), keys(&["j"]))]);
        let help = BTreeMap::from([("back".to_owned(), keys(&[]))]);
        let both = Keys::from([("table".to_owned(), table), ("help".to_owned(), help)]);
        let error = Keymap::with(&both).unwrap_err();
        assert!(
            error.contains("bound twice") && error.contains("no way out"),
            "{error}"
        );
    }
}
