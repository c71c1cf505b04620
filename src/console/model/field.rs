//! A line of text under the cursor: what is typed and pasted, and how much of
//! it fits.

use tui_input::{Input, InputRequest};
use unicode_segmentation::UnicodeSegmentation;

use crate::console::text::width;
use crate::domain::clean::is_dangerous;
use crate::domain::uri::PackageUri;

/// The longest text that a field takes; a longer paste is a mistake.
const LONGEST: usize = 8_192;

/// A line of text under the cursor.
#[derive(Clone, Default)]
pub(crate) struct Field {
    input: Input,
}

/// What is typed may be a signed URI.
impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Field({:?})", masked(self.text()))
    }
}

/// Two fields are the same when they hold the same and stand at the same place.
impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text() && self.input.cursor() == other.input.cursor()
    }
}

/// What a paste left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// Control and invisible characters.
    pub(crate) dangerous: usize,
    /// Characters beyond the longest text.
    pub(crate) beyond: usize,
}

impl Field {
    /// A field that holds `text`, with the cursor behind it.
    pub(crate) fn holding(text: &str) -> Self {
        Self {
            input: Input::new(text.to_owned()),
        }
    }

    /// What it holds.
    pub(crate) fn text(&self) -> &str {
        self.input.value()
    }

    /// A key edits it.
    pub(crate) fn edit(&mut self, request: InputRequest) {
        match request {
            InputRequest::InsertChar(c) if is_dangerous(c) => {}
            InputRequest::InsertChar(_) if self.text().len() >= LONGEST => {}
            request => {
                self.input.handle(request);
            }
        }
    }

    /// A text comes in one piece. White space around it is left out silently,
    /// what is dangerous is counted.
    pub(crate) fn paste(&mut self, text: &str) -> Dropped {
        let mut dropped = Dropped::default();
        for c in text.trim().chars() {
            if is_dangerous(c) {
                dropped.dangerous += 1;
            } else if self.text().len() >= LONGEST {
                dropped.beyond += 1;
            } else {
                self.input.handle(InputRequest::InsertChar(c));
            }
        }
        dropped
    }

    /// The part of `shown` that fits into `columns` around the cursor, and the
    /// cursor's column. `shown` is the field's text or a mask of the same
    /// length. What is left out at either end is marked with `…`.
    pub(crate) fn window(&self, shown: &str, columns: usize) -> (String, usize) {
        let cells: Vec<&str> = shown.graphemes(true).collect();
        let at = shown
            .chars()
            .take(self.input.cursor())
            .collect::<String>()
            .graphemes(true)
            .count();
        let right = if at < cells.len() { 3 } else { 1 };
        let room = columns.saturating_sub(right);
        let (mut from, mut used) = (at, 0);
        while from > 0 && used + width(cells[from - 1]) + usize::from(from > 1) <= room {
            from -= 1;
            used += width(cells[from]);
        }
        let cursor = used + usize::from(from > 0);
        let (mut to, mut total) = (at, cursor);
        while to < cells.len() {
            let more = usize::from(to + 1 < cells.len());
            if total + width(cells[to]) + more > columns {
                break;
            }
            total += width(cells[to]);
            to += 1;
        }
        let left = if from > 0 { "…" } else { "" };
        let right = if to < cells.len() { "…" } else { "" };
        (format!("{left}{}{right}", cells[from..to].concat()), cursor)
    }
}

/// The URI with its secrets covered, character for character, so that the
/// cursor stands where it stands: credentials before the host, values of
/// parameters that sign or identify, and the fragment.
pub(crate) fn masked(text: &str) -> String {
    let (body, fragment) = text.split_at(text.find('#').unwrap_or(text.len()));
    let (path, query) = body.split_at(body.find('?').unwrap_or(body.len()));
    let mut out = covered_credentials(path);
    for (n, parameter) in query.split_inclusive('&').enumerate() {
        let parameter = if n == 0 {
            out.push_str(parameter.get(..1).unwrap_or_default());
            parameter.get(1..).unwrap_or_default()
        } else {
            parameter
        };
        out.push_str(&covered_parameter(parameter));
    }
    let mut chars = fragment.chars();
    out.extend(chars.next());
    out.push_str(&cover(chars.as_str()));
    out
}

fn covered_credentials(path: &str) -> String {
    let host = path.find("://").map_or(0, |at| at + 3);
    let end = path[host..].find('/').map_or(path.len(), |at| host + at);
    match path[host..end].rfind('@') {
        Some(at) => {
            let secret = &path[host..host + at];
            format!("{}{}{}", &path[..host], cover(secret), &path[host + at..])
        }
        None => path.to_owned(),
    }
}

fn covered_parameter(parameter: &str) -> String {
    let bare = parameter.trim_end_matches('&');
    let tail = &parameter[bare.len()..];
    let secret = PackageUri::parse(&format!("https://host/?{bare}"))
        .map_or(true, |probe| probe.holds_secrets());
    match bare.split_once('=') {
        Some((key, value)) if secret => format!("{key}={}{tail}", cover(value)),
        None if secret => format!("{}{tail}", cover(bare)),
        _ => parameter.to_owned(),
    }
}

fn cover(text: &str) -> String {
    text.chars().map(|_| '•').collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[rstest::rstest]
    #[case("https://x.test/a.bin", "https://x.test/a.bin")]
    #[case("https://x.test/a?sig=abc&se=2026", "https://x.test/a?sig=•••&se=2026")]
    #[case("https://u:p@x.test/a", "https://•••@x.test/a")]
    #[case("https://x.test/?token", "https://x.test/?•••••")]
    #[case("https://x.test/#abc", "https://x.test/#•••")]
    #[case("", "")]
    fn secrets_are_covered(#[case] text: &str, #[case] want: &str) {
        assert_eq!(masked(text), want);
    }

    #[test]
    fn a_paste_leaves_out_what_is_dangerous() {
        let mut field = Field::default();
        let dropped = field.paste("  https://x.test/\u{1b}[2Ja\u{202e}\n");
        assert_eq!(field.text(), "https://x.test/[2Ja");
        assert_eq!(dropped.dangerous, 2);
        field.edit(InputRequest::InsertChar('\u{202e}'));
        assert_eq!(field.text(), "https://x.test/[2Ja");
    }

    #[rstest::rstest]
    #[case("abcdef", 0, 9, "abcdef", 0)]
    #[case("abcdefghij", 0, 6, "abcde…", 0)]
    #[case("abcdefghij", 10, 6, "…ghij", 5)]
    #[case("abcdefghij", 5, 6, "…defg…", 3)]
    fn the_window_follows_the_cursor(
        #[case] text: &str,
        #[case] left: usize,
        #[case] columns: usize,
        #[case] want: &str,
        #[case] cursor: usize,
    ) {
        let mut field = Field::holding(text);
        field.edit(InputRequest::SetCursor(left));
        let shown = field.window(field.text(), columns);
        assert_eq!(shown, (want.to_owned(), cursor));
    }

    proptest! {
        #[test]
        fn the_window_fits_and_holds_the_cursor(text in "[a-zé プ]{0,40}", at in 0usize..40, columns in 4usize..30) {
            let mut field = Field::holding(&text);
            field.edit(InputRequest::SetCursor(at));
            let (shown, cursor) = field.window(&text, columns);
            prop_assert!(width(&shown) <= columns, "{:?} {}", shown, width(&shown));
            prop_assert!(cursor < columns);
        }

        #[test]
        fn a_mask_is_as_long_as_its_text(text in "\\PC{0,60}") {
            prop_assert_eq!(masked(&text).chars().count(), text.chars().count());
        }
    }
}
