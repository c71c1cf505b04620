//! What is typed after `/`.
//!
//! ```text
//!  filter  := term { ' ' term }            all of them must hold
//!  term    := [ '!' ] [ field ] pattern    '!' lets through what does not match
//!  field   := 'id:' | 'tag:' [ name '=' ] | 'status:' | 'fw:'     none is 'id:'
//!  pattern := '~' letters                  in this order, with others between
//!           | text with one of  ^ $ * + ? | [ ] ( ) \             a regular expression
//!           | text                         as it is
//! ```
//!
//! Upper and lower case are alike. Text of a status and of a firmware counts from
//! their begin, so that `status:connected` is not `disconnected`, and `fw:1.4` is
//! not 11.4; in ids and tags it may stand anywhere. A field without a pattern asks
//! whether there is anything: `!tag:site=` are the devices without a site.

use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern as Fuzzy};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use regex::{Regex, RegexBuilder};

use crate::domain::device::{Connection, DeviceRow, Enablement};
use crate::domain::phase::Phase;

/// Bytes that a regular expression may take when it is compiled.
const REGEX: usize = 1 << 18;

/// A filter as it was typed, ready to be asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    text: String,
    terms: Vec<Term>,
    wrong: Option<String>,
}

#[derive(Clone, Debug)]
struct Term {
    not: bool,
    field: Field,
    pattern: Pattern,
}

#[derive(Clone, Debug, PartialEq)]
enum Field {
    Id,
    /// All tags, or the one of that path.
    Tag(Option<String>),
    Status,
    Firmware,
}

#[derive(Clone, Debug)]
enum Pattern {
    Text(String),
    Regex(Regex),
    /// The letters, and the same made ready to tell how well a text matches.
    Fuzzy(String, Fuzzy),
}

/// What a filter may be asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The row.
    pub(crate) row: &'a DeviceRow,
    /// How the device's update of this session stands, in a word.
    pub(crate) word: Option<&'a str>,
}

/// Filters are alike when they were typed alike.
impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Filter {
    /// Reads what was typed. What cannot be understood is taken literally, and
    /// [`Filter::wrong`] says so: half a filter is what one has while typing.
    pub(crate) fn read(text: &str) -> Self {
        let mut filter = Self {
            text: text.to_owned(),
            ..Self::default()
        };
        for word in text.split_whitespace() {
            if let (Some(term), wrong) = term(word) {
                filter.terms.push(term);
                filter.wrong = filter.wrong.or(wrong);
            }
        }
        filter
    }

    /// As it was typed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Does it let everything through?
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// What of it could not be understood.
    pub(crate) fn wrong(&self) -> Option<&str> {
        self.wrong.as_deref()
    }

    /// Does it let through nothing that `wider` holds back?
    pub(crate) fn narrows(&self, wider: &Self) -> bool {
        let (Some((last, before)), Some((wide, others))) =
            (self.terms.split_last(), wider.terms.split_last())
        else {
            return false;
        };
        let plain = |term: &Term| !term.not && !matches!(term.pattern, Pattern::Regex(_));
        // What was typed before the last word is the same, and that word goes on.
        before.len() == others.len()
            && self.text.starts_with(&wider.text)
            && last.field == wide.field
            && std::mem::discriminant(&last.pattern) == std::mem::discriminant(&wide.pattern)
            && plain(last)
            && plain(wide)
    }

    /// Do what it finds differ in how well they match?
    pub(crate) fn ranks(&self) -> bool {
        let fuzzy = |term: &Term| !term.not && matches!(term.pattern, Pattern::Fuzzy(..));
        self.terms.iter().any(fuzzy)
    }

    /// Something that asks rows, many of them, whether they pass.
    pub(crate) fn asking(&self) -> Asking<'_> {
        self.at_work(false)
    }

    /// Something that also tells how well rows match, which takes longer.
    pub(crate) fn ranking(&self) -> Asking<'_> {
        self.at_work(true)
    }

    fn at_work(&self, ranks: bool) -> Asking<'_> {
        Asking {
            filter: self,
            ranks,
            matcher: Matcher::new(Config::DEFAULT),
            buffer: Vec::new(),
        }
    }
}

/// A filter at work: what a fuzzy match needs is made once for all rows.
pub(crate) struct Asking<'a> {
    filter: &'a Filter,
    /// Is it told how well a row matches?
    ranks: bool,
    matcher: Matcher,
    buffer: Vec<char>,
}

impl Asking<'_> {
    /// How well a row matches, 0 where that makes no difference or is not asked for;
    /// `None` when the filter holds it back.
    pub(crate) fn score(&mut self, asked: Asked<'_>) -> Option<u32> {
        let terms = &self.filter.terms;
        terms.iter().try_fold(0_u32, |sum, term| {
            let score = self.term(term, asked);
            match (term.not, score) {
                (false, Some(score)) => Some(sum.saturating_add(score)),
                (true, None) => Some(sum),
                _ => None,
            }
        })
    }

    fn term(&mut self, term: &Term, asked: Asked<'_>) -> Option<u32> {
        let row = asked.row;
        let pattern = &term.pattern;
        match &term.field {
            Field::Id => self.holds(pattern, row.device_id.as_str(), false),
            Field::Tag(None) => {
                let mut tags = row.tags.iter();
                tags.find_map(|(path, value)| {
                    let path = self.holds(pattern, path, false);
                    path.or_else(|| self.holds(pattern, value, false))
                })
            }
            Field::Tag(Some(path)) => {
                let value = row.tags.get(path)?;
                self.holds(pattern, value, false)
            }
            Field::Firmware => self.holds(pattern, row.firmware.as_deref()?, true),
            Field::Status => statuses(asked).find_map(|word| self.holds(pattern, word, true)),
        }
    }

    fn holds(&mut self, pattern: &Pattern, text: &str, from_begin: bool) -> Option<u32> {
        let yes = match pattern {
            Pattern::Text(part) if from_begin => begins(text, part),
            Pattern::Text(part) => holds(text, part),
            Pattern::Regex(regex) => regex.is_match(text),
            Pattern::Fuzzy(letters, _) if !self.ranks => like(text, letters),
            Pattern::Fuzzy(_, fuzzy) => {
                let text = Utf32Str::new(text, &mut self.buffer);
                return fuzzy.score(text, &mut self.matcher);
            }
        };
        yes.then_some(0)
    }
}

/// The words in which a device's state may be asked for: its update's, or the
/// phase that it reports; its own; how it is connected.
fn statuses(asked: Asked<'_>) -> impl Iterator<Item = &str> {
    let row = asked.row;
    let phase = row.phase.map(Phase::name);
    let connection = match row.connection {
        Connection::Connected => "connected",
        Connection::Disconnected => "disconnected",
    };
    let disabled = (row.status == Enablement::Disabled).then_some("disabled");
    let told = asked.word.or(phase);
    let own = row.reported_status.as_deref();
    [told, own, Some(connection), disabled]
        .into_iter()
        .flatten()
}

/// One word of the filter; what is wrong with it. `None` when it says nothing.
fn term(word: &str) -> (Option<Term>, Option<String>) {
    let (not, rest) = match word.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let (field, rest) = field(rest);
    if rest.is_empty() && field == Field::Id {
        return (None, None);
    }
    let (pattern, wrong) = pattern(rest);
    let term = Term {
        not,
        field,
        pattern,
    };
    (Some(term), wrong)
}

fn field(text: &str) -> (Field, &str) {
    let Some((name, rest)) = text.split_once(':') else {
        return (Field::Id, text);
    };
    match name.to_ascii_lowercase().as_str() {
        "id" => (Field::Id, rest),
        "fw" | "firmware" => (Field::Firmware, rest),
        "status" => (Field::Status, rest),
        "tag" => match rest.split_once('=') {
            Some((path, value)) => (Field::Tag(Some(path.to_owned())), value),
            None => (Field::Tag(None), rest),
        },
        // An id may hold a colon.
        _ => (Field::Id, text),
    }
}

fn pattern(text: &str) -> (Pattern, Option<String>) {
    if let Some(letters) = text.strip_prefix('~') {
        let (case, normal) = (CaseMatching::Ignore, Normalization::Never);
        let fuzzy = Fuzzy::new(letters, case, normal, AtomKind::Fuzzy);
        return (Pattern::Fuzzy(letters.to_owned(), fuzzy), None);
    }
    if !text.contains(['^', '$', '*', '+', '?', '|', '[', ']', '(', ')', '\\']) {
        return (Pattern::Text(text.to_owned()), None);
    }
    let regex = RegexBuilder::new(text)
        .case_insensitive(true)
        .size_limit(REGEX)
        .build();
    match regex {
        Ok(regex) => (Pattern::Regex(regex), None),
        Err(error) => {
            let wrong = format!("{text:?} is {}", why(&error));
            (Pattern::Text(text.to_owned()), Some(wrong))
        }
    }
}

/// The library draws the place of a mistake over several lines; the last one
/// names it.
fn why(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    let cause = last.trim().trim_start_matches("error: ");
    format!("no regular expression ({cause})")
}

/// Does `text` hold `part`, without regard to the case of ASCII letters?
fn holds(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    text.len() >= part.len()
        && text
            .windows(part.len().max(1))
            .any(|window| window.eq_ignore_ascii_case(part))
        || part.is_empty()
}

/// Does `text` hold these letters in this order, perhaps with others between?
fn like(text: &str, letters: &str) -> bool {
    let mut rest = text.chars();
    let mut letters = letters.chars();
    letters.all(|letter| rest.any(|c| c.eq_ignore_ascii_case(&letter)))
}

fn begins(text: &str, part: &str) -> bool {
    let head = text.as_bytes().get(..part.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(part.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::DeviceId;
    use crate::domain::tags::Tags;
    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::json;

    fn row(id: &str) -> DeviceRow {
        DeviceRow {
            device_id: DeviceId::parse(id).unwrap(),
            connection: Connection::Disconnected,
            status: Enablement::Enabled,
            last_activity: None,
            firmware: Some("1.4.2".into()),
            reported_status: Some("downloadImage".into()),
            phase: Some(Phase::Downloading),
            last_update: None,
            tags: Tags::of(
                json!({"site": "Lab", "place": {"line": 3}})
                    .as_object()
                    .unwrap(),
            ),
            seen: Timestamp::UNIX_EPOCH,
        }
    }

    fn lets_through(filter: &str, id: &str, word: Option<&str>) -> bool {
        let filter = Filter::read(filter);
        let row = row(id);
        filter.asking().score(Asked { row: &row, word }).is_some()
    }

    #[rstest::rstest]
    #[case("", true)]
    #[case("!", true)]
    #[case("PRESS", true)]
    #[case("ss-00", true)]
    #[case("pump", false)]
    #[case("!pump", true)]
    #[case("!press", false)]
    #[case("press 42", true)]
    #[case("press !42", false)]
    #[case("~prs42", true)]
    #[case("~42prs", false)]
    #[case("!~prs42", false)]
    #[case("^press-\\d+$", true)]
    #[case("^ress", false)]
    #[case("!^ress", true)]
    #[case("press|pump", true)]
    #[case("id:press", true)]
    #[case("fw:1.4", true)]
    #[case("fw:4.2", false)]
    #[case("fw:4\\.2$", true)]
    #[case("!fw:", false)]
    #[case("tag:lab", true)]
    #[case("tag:site", true)]
    #[case("tag:plant", false)]
    #[case("tag:SITE=lab", true)]
    #[case("tag:site=", true)]
    #[case("tag:place.line=3", true)]
    #[case("tag:line=3", false)]
    #[case("!tag:owner=", true)]
    #[case("tag:site=^la.$", true)]
    #[case("status:downloading", true)]
    #[case("status:downloadi", true)]
    #[case("status:connected", false)]
    #[case("status:dis", true)]
    #[case("status:disabled", false)]
    #[case("status:stalled", false)]
    #[case("a:b", false)]
    fn filters(#[case] filter: &str, #[case] through: bool) {
        assert_eq!(lets_through(filter, "press-0042", None), through);
    }

    #[test]
    fn an_update_of_this_session_has_the_word() {
        assert!(lets_through("status:stalled", "a", Some("stalled")));
        assert!(!lets_through("status:downloading", "a", Some("stalled")));
        // The device's own word stays one.
        assert!(lets_through("status:downloadimage", "a", Some("stalled")));
    }

    #[test]
    fn an_id_with_a_colon_is_no_field() {
        assert!(lets_through("plant:7", "plant:7", None));
        assert!(!lets_through("plant:7", "plant-7", None));
    }

    #[test]
    fn half_a_regular_expression_is_told_and_taken_literally() {
        let filter = Filter::read("press(");
        assert!(filter.wrong().unwrap().contains("unclosed group"));
        assert!(!lets_through("press(", "press-1", None));
        assert!(lets_through("press(", "press(1", None));
        assert!(Filter::read("(a{900}){900}").wrong().is_some());
    }

    #[test]
    fn better_matches_score_higher() {
        let filter = Filter::read("~prs1");
        let mut asking = filter.ranking();
        let mut score = |id: &str| {
            let row = row(id);
            asking.score(Asked {
                row: &row,
                word: None,
            })
        };
        assert!(score("prs1").unwrap() > score("p-r-s-x-1").unwrap());
        assert_eq!(score("q"), None);
        assert!(filter.ranks() && !Filter::read("!~prs1 x").ranks());
    }

    proptest! {
        #[test]
        fn nothing_typed_panics_and_the_inverse_is_the_rest(text in "\\PC{0,12}", id in "[a-c():$][a-c():$.]{0,5}") {
            let word: String = text.split_whitespace().collect();
            let plain = Filter::read(&word);
            prop_assume!(!word.starts_with('!') && !plain.is_empty());
            let through = lets_through(&word, &id, None);
            prop_assert_eq!(lets_through(&format!("!{word}"), &id, None), !through);
        }
    }
}
