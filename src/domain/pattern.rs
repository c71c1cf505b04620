//! Which devices a rule is for: ids, or patterns in which `*` stands for any
//! text.

use serde::Deserialize;

/// Ids or patterns: one, or a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "an id, a pattern like \"sim-*\", or a list of them"
)]
pub enum Ids {
    /// A single one.
    One(String),
    /// Any of these.
    Many(Vec<String>),
}

impl Ids {
    /// Is it for nobody?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns().is_empty()
    }

    /// Is the device of that id meant?
    #[must_use]
    pub fn matches(&self, id: &str) -> bool {
        self.patterns().iter().any(|pattern| matches(pattern, id))
    }

    fn patterns(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Does `text` match `pattern`, in which `*` stands for any text? In linear
/// space and without recursion: only the last `*` is ever gone back to.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[rstest::rstest]
    #[case("sim-*", "sim-0001", true)]
    #[case("sim-*", "sim-", true)]
    #[case("sim-*", "sin-1", false)]
    #[case("*", "", true)]
    #[case("*-00*1", "sim-0011", true)]
    #[case("*-00*1", "sim-0012", false)]
    #[case("sim-0010", "sim-0010", true)]
    #[case("sim-0010", "sim-00100", false)]
    #[case("", "a", false)]
    fn globs(#[case] pattern: &str, #[case] text: &str, #[case] want: bool) {
        assert_eq!(Ids::One(pattern.to_owned()).matches(text), want);
    }

    proptest! {
        #[test]
        fn what_a_star_replaces_is_matched(a in "[ab]{0,5}", b in "[ab]{0,5}", c in "[ab]{0,5}", x in "[ab]{0,5}", y in "[ab]{0,5}") {
            let text = format!("{a}{x}{b}{y}{c}");
            let pattern = format!("{a}*{b}*{c}");
            prop_assert!(matches(&pattern, &text));
        }
    }
}
