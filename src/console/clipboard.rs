//! What is copied, and as which bytes. Pure.
//!
//! A clipboard is reached through the terminal, by OSC 52: so it is the one of the
//! machine at which somebody sits, also over SSH. No terminal says whether it has
//! taken a text; many have to be allowed to.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::clean::is_dangerous;

/// Bytes of a text that go through a terminal: in base64 that makes 64 KiB, and there
/// are terminals that take little more. A slow line has to carry it, too.
const LONGEST: usize = 48 << 10;
/// Bytes of a part of a sequence in GNU screen, which takes 768 at most.
const PART: usize = 512;

/// A text that somebody wants to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// What it is, to be said of it: `the id of sim-0001`.
    pub what: String,
    /// The text, without what could harm whoever pastes it.
    pub text: String,
    /// Is a part of it worth nothing? A part of a command is another command.
    pub whole: bool,
    /// The file that is to hold it; the clipboard without one.
    pub file: Option<PathBuf>,
}

impl Clip {
    /// A text of which a part is worth something.
    #[must_use]
    pub fn new(what: String, text: &str) -> Self {
        let harmless = |c: &char| matches!(c, '\n' | '\t') || !is_dangerous(*c);
        Self {
            what,
            text: text.chars().filter(harmless).collect(),
            whole: false,
            file: None,
        }
    }

    /// The bytes for the terminal, and what is to be said; no bytes when the text is
    /// too long.
    pub(crate) fn for_terminal(&self, way: Way) -> (Option<Vec<u8>>, String) {
        let Self { what, text, .. } = self;
        let through = way.name();
        if text.len() <= LONGEST {
            let said = format!("Copied {what}, if {through} allows it (OSC 52).");
            return (Some(sequence(text, way)), said);
        }
        let kib = text.len().div_ceil(1 << 10);
        if self.whole {
            let said = format!(
                "Not copied: {what} has {kib} KiB, too much for a terminal, and a part of it \
                 would be another. `:copy command FILE` writes it."
            );
            return (None, said);
        }
        let mut end = LONGEST;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let part = &text[..end];
        let said = format!(
            "Copied the first 48 of {kib} KiB of {what}, if {through} allows it (OSC 52). \
             `:copy WHAT FILE` writes all."
        );
        (Some(sequence(part, way)), said)
    }
}

/// What is between us and the terminal that has the clipboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nothing.
    Plain,
    /// tmux, which hands on what is wrapped, when it is allowed to.
    Tmux,
    /// GNU screen, which hands on what is wrapped, in small parts.
    Screen,
}

impl Way {
    /// As the environment tells: `TMUX` and `STY` are set by these two. Where both
    /// are, tmux is taken for the inner one.
    pub(crate) fn of(tmux: bool, sty: bool) -> Self {
        match (tmux, sty) {
            (true, _) => Self::Tmux,
            (false, true) => Self::Screen,
            (false, false) => Self::Plain,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "the terminal",
            Self::Tmux => "tmux (allow-passthrough)",
            Self::Screen => "the terminal around screen",
        }
    }
}

/// The control sequence that gives a text to the clipboard. It ends with a bell, not
/// with ESC and a backslash, so that it can stand inside another one.
fn sequence(text: &str, way: Way) -> Vec<u8> {
    let plain = format!("\x1b]52;c;{}\x07", STANDARD.encode(text));
    let wrapped = match way {
        Way::Plain => plain,
        Way::Tmux => format!("\x1bPtmux;{}\x1b\\", plain.replace('\x1b', "\x1b\x1b")),
        Way::Screen => {
            let parts = plain.as_bytes().chunks(PART);
            let parts = parts.map(|part| format!("\x1bP{}\x1b\\", String::from_utf8_lossy(part)));
            parts.collect()
        }
    };
    wrapped.into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clip(text: &str) -> Clip {
        Clip::new("the id of sim-1".into(), text)
    }

    fn bytes(text: &str, way: Way) -> String {
        let bytes = clip(text).for_terminal(way).0.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[rstest::rstest]
    #[case(false, false, "\x1b]52;c;c2ltLTE=\x07")]
    #[case(true, false, "\x1bPtmux;\x1b\x1b]52;c;c2ltLTE=\x07\x1b\\")]
    #[case(true, true, "\x1bPtmux;\x1b\x1b]52;c;c2ltLTE=\x07\x1b\\")]
    #[case(false, true, "\x1bP\x1b]52;c;c2ltLTE=\x07\x1b\\")]
    fn what_stands_between_is_passed_through(
        #[case] tmux: bool,
        #[case] sty: bool,
        #[case] want: &str,
    ) {
        assert_eq!(bytes("sim-1", Way::of(tmux, sty)), want);
    }

    #[test]
    fn screen_gets_no_long_part() {
        let long = "x".repeat(3_000);
        let sent = bytes(&long, Way::Screen);
        let parts: Vec<&str> = sent.split("\x1b\\").filter(|p| !p.is_empty()).collect();
        assert!(parts.len() > 4, "{}", parts.len());
        assert!(
            parts
                .iter()
                .all(|p| p.starts_with("\x1bP") && p.len() <= 2 + PART)
        );
        let joined: String = parts.iter().map(|part| &part[2..]).collect();
        assert_eq!(joined, bytes(&long, Way::Plain));
    }

    #[test]
    fn a_long_text_is_cut_and_said_to_be_and_a_command_is_not() {
        let long = "é".repeat(40_000);
        let (sent, said) = clip(&long).for_terminal(Way::Plain);
        let sent = String::from_utf8(sent.unwrap()).unwrap();
        let base64 = &sent["\x1b]52;c;".len()..sent.len() - 1];
        let text = STANDARD.decode(base64).unwrap();
        assert_eq!(text.len(), LONGEST);
        assert_eq!(String::from_utf8(text).unwrap(), "é".repeat(LONGEST / 2));
        assert!(said.contains("first 48 of 79 KiB"), "{said}");
        let command = Clip {
            whole: true,
            ..clip(&long)
        };
        let (sent, said) = command.for_terminal(Way::Plain);
        assert_eq!(sent, None);
        assert!(said.starts_with("Not copied"), "{said}");
    }

    proptest! {
        /// Whatever is copied, no other sequence can hide in it.
        #[test]
        fn nothing_gets_out_of_the_sequence(text in "\\PC{0,40}[\\x00-\\x1f\\x7f-\\x9f]{0,9}", way in 0..3u8) {
            let way = [Way::Plain, Way::Tmux, Way::Screen][usize::from(way)];
            let copied = clip(&text);
            let kept = |c: char| matches!(c, '\n' | '\t') || !is_dangerous(c);
            prop_assert!(copied.text.chars().all(kept));
            let sent = bytes(&text, way);
            prop_assert_eq!(sent.matches('\x07').count(), 1);
            prop_assert_eq!(sent.matches("]52;").count(), 1);
        }
    }
}
