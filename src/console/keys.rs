//! From the bytes of a terminal to keys and pasted text. Pure.
//!
//! What terminals send without being asked for more: UTF-8, control characters,
//! `ESC [ …` and `ESC O …` for the other keys, `ESC` before a key for alt, and
//! pasted text between two marks. With the mouse taken also `ESC [ < …` for what is
//! done with it (mode 1006). What is not known is dropped.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::message::{Mouse, MouseKind};

/// A pasted text of more bytes is cut; no package URI is that long.
const MAX_PASTE: usize = 64 << 10;
/// A longer sequence is none.
const MAX_SEQUENCE: usize = 64;
/// What begins a report of the mouse.
const MOUSE: &[u8] = b"\x1b[<";
/// What begins one of the old sort, and its length. A terminal that does not know
/// mode 1006 sends it; what it holds are bytes of any value, which are no keys.
const OLD_MOUSE: (&[u8], usize) = (b"\x1b[M", 6);
const PASTE: &[u8] = b"\x1b[200~";
const PASTED: &[u8] = b"\x1b[201~";
/// The terminal's answer to [`QUESTION`](super::flow::QUESTION).
const ANSWER: &[u8] = b"\x1b[0n";

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A key.
    Key(KeyEvent),
    /// Something that was done with the mouse.
    Mouse(Mouse),
    /// Text that came in one piece from the clipboard.
    Paste(String),
    /// Not typed: the terminal has taken all that it was sent up to a question.
    Taken,
}

/// Bytes that are not yet read as something.
#[derive(Debug, Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    /// The pasted text so far, while its end mark has not come.
    pasting: Option<Vec<u8>>,
    /// Is it of no interest any more?
    unwanted: bool,
    /// Was a report of the mouse given up? Its rest may still come, and is no text.
    cut: bool,
}

/// What a sequence of bytes begins with.
enum Begin {
    /// A key, or something unknown, of so many bytes.
    Whole(Option<KeyEvent>, usize),
    /// Something that was done with the mouse.
    Pointed(Option<Mouse>, usize),
    /// The begin of something.
    Part,
}

impl Begin {
    /// The same behind so many bytes more, as something unknown.
    fn after(self, bytes: usize) -> Self {
        match self {
            Self::Part => Self::Part,
            Self::Whole(_, length) | Self::Pointed(_, length) => Self::Whole(None, length + bytes),
        }
    }
}

impl Keys {
    /// Takes bytes in as they came.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Forgets what has come. What is still to come of a pasted text is no text either,
    /// and the rest of what the terminal says by itself is no key.
    pub(super) fn forget(&mut self) {
        if let Some(text) = &mut self.pasting {
            text.clear();
            self.unwanted = true;
            return;
        }
        let begun = self.bytes.len() > 1;
        let of_its_own = [PASTE, ANSWER]
            .iter()
            .any(|all| all.starts_with(&self.bytes));
        if !begun || !of_its_own {
            self.bytes.clear();
        }
    }

    /// Does the rest of something have to come? Not of a pasted text, which may
    /// take its time.
    pub(super) fn waits(&self) -> bool {
        self.pasting.is_none() && !self.bytes.is_empty()
    }

    /// Nothing more will come of what waits: a lone escape is the key, the rest
    /// is nothing.
    pub(super) fn give_up(&mut self) -> Option<Typed> {
        let waiting = std::mem::take(&mut self.bytes);
        self.cut |= waiting.starts_with(MOUSE);
        let key = |code| Some(Typed::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        match waiting.as_slice() {
            b"\x1b" => key(KeyCode::Esc),
            _ => None,
        }
    }

    /// The next thing that is whole.
    pub(super) fn next(&mut self) -> Option<Typed> {
        loop {
            if self.pasting.is_some() {
                let text = self.pasted()?;
                if std::mem::take(&mut self.unwanted) {
                    continue;
                }
                return Some(Typed::Paste(text));
            }
            self.drop_the_rest();
            if self.bytes.starts_with(PASTE) {
                self.bytes.drain(..PASTE.len());
                self.pasting = Some(Vec::new());
                continue;
            }
            if self.bytes.starts_with(ANSWER) {
                self.bytes.drain(..ANSWER.len());
                return Some(Typed::Taken);
            }
            match begin(&self.bytes) {
                Begin::Part => return None,
                Begin::Whole(key, length) => {
                    self.bytes.drain(..length);
                    if let Some(key) = key {
                        return Some(Typed::Key(key));
                    }
                }
                Begin::Pointed(mouse, length) => {
                    self.bytes.drain(..length);
                    if let Some(mouse) = mouse {
                        return Some(Typed::Mouse(mouse));
                    }
                }
            }
        }
    }

    /// Drops what can only be the rest of a report that was given up.
    fn drop_the_rest(&mut self) {
        if !self.cut || self.bytes.is_empty() {
            return;
        }
        let inside = |byte: &&u8| byte.is_ascii_digit() || **byte == b';';
        let inner = self.bytes.iter().take_while(inside).count();
        let last = self.bytes.get(inner);
        self.cut = last.is_none();
        let end = usize::from(matches!(last, Some(b'M' | b'm')));
        self.bytes.drain(..inner + end);
    }

    /// Moves pasted bytes over; the text when its end has come.
    fn pasted(&mut self) -> Option<String> {
        let text = self.pasting.as_mut()?;
        let end = self.bytes.windows(PASTED.len()).position(|w| w == PASTED);
        // The mark may have come in part.
        let ready = end.unwrap_or(self.bytes.len().saturating_sub(PASTED.len() - 1));
        let room = MAX_PASTE.saturating_sub(text.len());
        text.extend(&self.bytes[..ready.min(room)]);
        self.bytes.drain(..ready + end.map_or(0, |_| PASTED.len()));
        end?;
        let text = self.pasting.take()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    }
}

fn begin(bytes: &[u8]) -> Begin {
    match bytes {
        [] | [0x1b] => Begin::Part,
        bytes if bytes.starts_with(MOUSE) => pointed(&bytes[MOUSE.len()..]),
        bytes if bytes.starts_with(OLD_MOUSE.0) => match bytes.len() < OLD_MOUSE.1 {
            true => Begin::Part,
            false => Begin::Whole(None, OLD_MOUSE.1),
        },
        [0x1b, b'[', rest @ ..] => control_sequence(rest),
        [0x1b, b'O', rest @ ..] => match rest.first() {
            None => Begin::Part,
            Some(last) => Begin::Whole(named(*last).map(|code| plain(code, "")), 3),
        },
        [0x1b, 0x1b, ..] => Begin::Whole(Some(plain(KeyCode::Esc, "")), 1),
        [0x1b, rest @ ..] => match begin(rest) {
            Begin::Part => Begin::Part,
            Begin::Whole(key, length) => {
                let alt = key.map(|k| KeyEvent::new(k.code, k.modifiers | KeyModifiers::ALT));
                Begin::Whole(alt, length + 1)
            }
            pointed @ Begin::Pointed(..) => pointed.after(1),
        },
        [byte, ..] if *byte < 0x20 || *byte == 0x7f => Begin::Whole(Some(control(*byte)), 1),
        _ => character(bytes),
    }
}

/// A report of the mouse behind its begin: button, column and row between semicolons,
/// the last two counted from 1, and `M` for a press or `m` for a release. What is not
/// written so to the letter means nothing.
fn pointed(rest: &[u8]) -> Begin {
    let is_inner = |byte: &u8| byte.is_ascii_digit() || *byte == b';';
    let Some(at) = rest.iter().position(|byte| !is_inner(byte)) else {
        return match rest.len() > MAX_SEQUENCE {
            true => Begin::Whole(None, rest.len() + MOUSE.len()),
            false => Begin::Part,
        };
    };
    if rest[at] < 0x20 {
        // It was cut, and something else begins there.
        return Begin::Whole(None, at + MOUSE.len());
    }
    if !matches!(rest[at], b'M' | b'm') {
        return control_sequence(&rest[at..]).after(at + MOUSE.len() - 2);
    }
    let text = std::str::from_utf8(&rest[..at]).unwrap_or_default();
    let numbers: Option<Vec<u16>> = text.split(';').map(|n| n.parse().ok()).collect();
    let mouse = match (numbers.as_deref(), rest[at]) {
        (Some([button, column, row]), b'M') => kind(*button).and_then(|kind| {
            Some(Mouse {
                kind,
                column: column.checked_sub(1)?,
                row: row.checked_sub(1)?,
            })
        }),
        _ => None,
    };
    Begin::Pointed(mouse, at + 1 + MOUSE.len())
}

/// What the button says: nothing for those that mean nothing here, and for one that
/// was pressed with a key held.
fn kind(button: u16) -> Option<MouseKind> {
    match button {
        0 => Some(MouseKind::Click),
        64 => Some(MouseKind::WheelUp),
        65 => Some(MouseKind::WheelDown),
        _ => None,
    }
}

/// `ESC [`, numbers between semicolons, and the byte that ends it.
fn control_sequence(rest: &[u8]) -> Begin {
    let is_last = |byte: &u8| (0x40..=0x7e).contains(byte);
    // The Linux console's F1 to F5 have another bracket before their letter.
    let skip = usize::from(rest.first() == Some(&b'['));
    let Some(at) = rest.iter().skip(skip).position(is_last).map(|n| n + skip) else {
        return match rest.len() > MAX_SEQUENCE {
            true => Begin::Whole(None, rest.len() + 2),
            false => Begin::Part,
        };
    };
    let length = at + 3;
    let text = std::str::from_utf8(&rest[..at]).unwrap_or("?");
    let (number, modifiers) = text.split_once(';').unwrap_or((text, ""));
    let code = match (rest[at], number) {
        (b'~', "1" | "7") => Some(KeyCode::Home),
        (b'~', "2") => Some(KeyCode::Insert),
        (b'~', "3") => Some(KeyCode::Delete),
        (b'~', "4" | "8") => Some(KeyCode::End),
        (b'~', "5") => Some(KeyCode::PageUp),
        (b'~', "6") => Some(KeyCode::PageDown),
        (b'Z', _) => Some(KeyCode::BackTab),
        (last, "" | "1") => named(last),
        _ => None,
    };
    Begin::Whole(code.map(|code| plain(code, modifiers)), length)
}

/// The keys that a letter names.
fn named(letter: u8) -> Option<KeyCode> {
    Some(match letter {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'H' => KeyCode::Home,
        b'F' => KeyCode::End,
        b'M' => KeyCode::Enter,
        b'P'..=b'S' => KeyCode::F(letter - b'P' + 1),
        _ => return None,
    })
}

/// A key with the modifiers of a sequence's second number: one more than the
/// sum of 1 for shift, 2 for alt, 4 for control.
fn plain(code: KeyCode, modifiers: &str) -> KeyEvent {
    let bits = modifiers.parse::<u8>().unwrap_or(1).saturating_sub(1);
    let mut held = KeyModifiers::NONE;
    for (bit, modifier) in [
        (1, KeyModifiers::SHIFT),
        (2, KeyModifiers::ALT),
        (4, KeyModifiers::CONTROL),
    ] {
        if bits & bit != 0 {
            held |= modifier;
        }
    }
    KeyEvent::new(code, held)
}

fn control(byte: u8) -> KeyEvent {
    let code = match byte {
        b'\r' => KeyCode::Enter,
        b'\t' => KeyCode::Tab,
        0x08 | 0x7f => KeyCode::Backspace,
        0 => return KeyEvent::new(KeyCode::Char(' '), KeyModifiers::CONTROL),
        1..=0x1a => {
            let letter = char::from(byte - 1 + b'a');
            return KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
        }
        _ => {
            let digit = char::from(byte - 0x1c + b'4');
            return KeyEvent::new(KeyCode::Char(digit), KeyModifiers::CONTROL);
        }
    };
    KeyEvent::new(code, KeyModifiers::NONE)
}

/// A character in UTF-8; a byte that is none is dropped.
fn character(bytes: &[u8]) -> Begin {
    let length = match bytes[0] {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Begin::Whole(None, 1),
    };
    let there = &bytes[..length.min(bytes.len())];
    match std::str::from_utf8(there) {
        Ok(text) => Begin::Whole(
            text.chars()
                .next()
                .map(|c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)),
            length,
        ),
        Err(error) if error.error_len().is_none() => Begin::Part,
        Err(_) => Begin::Whole(None, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys as a text: `ctrl-c`, `Up`, `"pasted"`.
    fn read(keys: &mut Keys) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(typed) = keys.next() {
            said.push(match typed {
                Typed::Paste(text) => format!("{text:?}"),
                Typed::Taken => "taken".to_owned(),
                Typed::Mouse(Mouse { kind, column, row }) => format!("{kind:?} {column},{row}"),
                Typed::Key(key) => {
                    let held = [
                        (KeyModifiers::SHIFT, "shift-"),
                        (KeyModifiers::ALT, "alt-"),
                        (KeyModifiers::CONTROL, "ctrl-"),
                    ];
                    let held = held.iter().filter(|(m, _)| key.modifiers.contains(*m));
                    let held: String = held.map(|(_, name)| *name).collect();
                    match key.code {
                        KeyCode::Char(c) => format!("{held}{c}"),
                        code => format!("{held}{code:?}"),
                    }
                }
            });
        }
        said
    }

    /// A question has come up in the middle of what was pasted, or of an answer of the
    /// terminal: none of the rest is a key.
    #[test]
    fn what_is_forgotten_leaves_no_key_behind() {
        for begun in 1..PASTE.len() + 3 {
            let sent = [PASTE, b"no", b"y\ry", PASTED, b"q"].concat();
            let mut keys = Keys::default();
            keys.take(&sent[..begun]);
            while keys.next().is_some() {}
            keys.forget();
            keys.take(&sent[begun..]);
            let rest: Vec<Typed> = std::iter::from_fn(|| keys.next()).collect();
            let q = Typed::Key(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE));
            let known = begun > 1;
            let last = rest.last() == Some(&q);
            let alone = !rest.contains(&Typed::Key(KeyEvent::new(
                KeyCode::Char('y'),
                KeyModifiers::NONE,
            )));
            assert!(last && (alone || !known), "{begun}: {rest:?}");
        }
        let mut keys = Keys::default();
        keys.take(b"\x1b[0");
        assert_eq!(keys.next(), None);
        keys.forget();
        keys.take(b"n");
        assert_eq!(keys.next(), Some(Typed::Taken));
        keys.take(b"y");
        keys.forget();
        assert_eq!(keys.next(), None);
    }

    const ALL: [(&str, &str); 35] = [
        ("q", "q"),
        ("Q", "Q"),
        ("\r", "Enter"),
        ("\n", "ctrl-j"),
        ("\t", "Tab"),
        ("\x7f", "Backspace"),
        ("\x08", "Backspace"),
        ("\x03", "ctrl-c"),
        ("\x13", "ctrl-s"),
        ("\x1a", "ctrl-z"),
        ("\x1f", "ctrl-7"),
        ("\0", "ctrl- "),
        ("é", "é"),
        ("🚀", "🚀"),
        ("\x1b[A", "Up"),
        ("\x1bOB", "Down"),
        ("\x1b[1;5C", "ctrl-Right"),
        ("\x1b[1;2D", "shift-Left"),
        ("\x1b[H", "Home"),
        ("\x1bOF", "End"),
        ("\x1b[1~", "Home"),
        ("\x1b[3~", "Delete"),
        ("\x1b[3;5~", "ctrl-Delete"),
        ("\x1b[5~", "PageUp"),
        ("\x1b[6~", "PageDown"),
        ("\x1b[Z", "BackTab"),
        ("\x1bOP", "F(1)"),
        ("\x1bb", "alt-b"),
        ("\x1b\x1b", "Esc"),
        ("\x1b[0n", "taken"),
        ("\x1b[<0;1;1M", "Click 0,0"),
        ("\x1b[<0;120;40M", "Click 119,39"),
        ("\x1b[<64;3;2M", "WheelUp 2,1"),
        ("\x1b[<65;65535;2M", "WheelDown 65534,1"),
        ("\x1b[200~a\nb\x1b[201~", "\"a\\nb\""),
    ];

    #[test]
    fn what_terminals_send_is_read() {
        for (bytes, key) in ALL {
            let mut keys = Keys::default();
            keys.take(bytes.as_bytes());
            let said = read(&mut keys);
            assert_eq!(said, [key], "{bytes:?}");
        }
    }

    /// Cut anywhere, it is the same.
    #[test]
    fn what_comes_in_pieces_is_read_too() {
        let all: Vec<_> = ALL.iter().filter(|(b, _)| *b != "\x1b\x1b").collect();
        let mut keys = Keys::default();
        let mut said = Vec::new();
        for (bytes, _) in &all {
            for byte in bytes.bytes() {
                keys.take(&[byte]);
                said.extend(read(&mut keys));
            }
        }
        let want: Vec<_> = all.iter().map(|(_, key)| (*key).to_owned()).collect();
        assert_eq!(said, want);
        assert!(!keys.waits());
    }

    #[test]
    fn a_lone_escape_is_a_key_when_nothing_follows() {
        let mut keys = Keys::default();
        keys.take(b"\x1b");
        assert_eq!(keys.next(), None);
        assert!(keys.waits());
        let escape = KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE);
        assert_eq!(keys.give_up(), Some(Typed::Key(escape)));
        keys.take(b"\x1b[12");
        assert_eq!(
            (keys.next(), keys.give_up(), keys.waits()),
            (None, None, false)
        );
    }

    #[test]
    fn what_is_not_known_is_dropped() {
        for bytes in [
            &b"\x1b[?1;2cx"[..],
            b"\x1b[99;99Rx",
            b"\xff\xc0\x80x",
            b"\x1b[[Ax",
            b"\x1bOXx",
            // The mouse: released, moved, another button, with a key held, nowhere,
            // too far, too much, too little, nothing like it.
            b"\x1b[<0;3;4mx",
            b"\x1b[<35;3;4Mx",
            b"\x1b[<2;3;4Mx",
            b"\x1b[<16;3;4Mx",
            b"\x1b[<0;0;4Mx",
            b"\x1b[<0;3;65536Mx",
            b"\x1b[<0;3;4;5Mx",
            b"\x1b[<0;3Mx",
            b"\x1b[<Mx",
            b"\x1b[<;;;;;Mx",
            b"\x1b[<0;-3;4Mx",
            b"\x1b[<0;3\x01x",
            b"\x1b[M !!x",
            b"\x1b[M\x03\r\rx",
        ] {
            let mut keys = Keys::default();
            keys.take(bytes);
            let said = read(&mut keys);
            assert_eq!(said.last().map(String::as_str), Some("x"), "{bytes:?}");
            let meant = ["Enter", "Click", "Wheel", "ctrl-c"];
            let none = |text: &String| !meant.iter().any(|word| text.contains(word));
            assert!(said.iter().all(none), "{bytes:?}: {said:?}");
        }
    }

    /// A slow line may cut a report in two; its rest is no text, and what comes after
    /// it is.
    #[test]
    fn the_rest_of_a_report_that_was_cut_is_dropped() {
        for (first, rest) in [
            ("\x1b[<", "0;3;4Mq"),
            ("\x1b[<0;3", ";4Mq"),
            ("\x1b[<0;3;4", "mq"),
            ("\x1b[<65;3;", "q"),
        ] {
            let mut keys = Keys::default();
            keys.take(first.as_bytes());
            assert_eq!((read(&mut keys).len(), keys.give_up()), (0, None));
            let mut said = Vec::new();
            for byte in rest.bytes() {
                keys.take(&[byte]);
                said.extend(read(&mut keys));
            }
            keys.take(b"4M");
            said.extend(read(&mut keys));
            assert_eq!(said, ["q", "4", "M"], "{first:?} {rest:?}");
        }
    }

    #[test]
    fn a_paste_without_an_end_takes_no_more_than_its_share() {
        let mut keys = Keys::default();
        keys.take(PASTE);
        for _ in 0..100 {
            keys.take(&[b'x'; 4096]);
            assert_eq!(keys.next(), None);
        }
        assert!(!keys.waits(), "a paste may take its time");
        assert!(keys.bytes.len() < 4096);
        keys.take(PASTED);
        match keys.next() {
            Some(Typed::Paste(text)) => assert_eq!(text.len(), MAX_PASTE),
            other => panic!("{other:?}"),
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic_or_keep_much(bytes: Vec<u8>, cut in 0usize..64) {
            let mut keys = Keys::default();
            for piece in bytes.chunks(cut.max(1)) {
                keys.take(piece);
                while keys.next().is_some() {}
            }
            keys.give_up();
            proptest::prop_assert!(!keys.waits());
        }
    }
}
