//! Frames in few bytes.
//!
//! What has changed on the screen is written with the shortest sequences that
//! every terminal knows: colours of the terminal's own sixteen by their short
//! numbers and only where they change, the cursor by steps, blanks by erasing. A
//! link of a few kilobytes a second takes a whole screen in the time in which a
//! key is to be answered.
//!
//! Each frame begins as if nothing were known of colours and cursor: somebody else
//! may have written to the terminal meanwhile.

use std::convert::Infallible;
use std::io::Write as _;

use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Position, Rect, Size};
use ratatui::style::{Color, Modifier};

use super::text::width;

/// From so many blanks on it is shorter to erase them, and then to step over them.
const BLANKS: u16 = 10;
/// From so many on when they reach to the end of the line.
const REST: u16 = 4;
/// Writing so many cells again is no longer than stepping over them.
const STEP: u16 = 3;
/// With fewer changed cells it is not worth to look whether a line is shorter anew.
const FEW: usize = 5;
/// What is seen of a blank.
const VISIBLE: Modifier = Modifier::REVERSED
    .union(Modifier::UNDERLINED)
    .union(Modifier::SLOW_BLINK)
    .union(Modifier::RAPID_BLINK)
    .union(Modifier::CROSSED_OUT);
/// Modifiers and their numbers.
const MODIFIERS: [(Modifier, u8); 9] = [
    (Modifier::BOLD, 1),
    (Modifier::DIM, 2),
    (Modifier::ITALIC, 3),
    (Modifier::UNDERLINED, 4),
    (Modifier::SLOW_BLINK, 5),
    (Modifier::RAPID_BLINK, 6),
    (Modifier::REVERSED, 7),
    (Modifier::HIDDEN, 8),
    (Modifier::CROSSED_OUT, 9),
];

/// Colours and modifiers of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ink {
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

impl Ink {
    const PLAIN: Self = Self {
        fg: Color::Reset,
        bg: Color::Reset,
        modifier: Modifier::empty(),
    };

    fn of(cell: &Cell) -> Self {
        Self {
            fg: cell.fg,
            bg: cell.bg,
            modifier: cell.modifier,
        }
    }

    /// Does a blank written so look like one that was erased?
    fn leaves_blanks(self) -> bool {
        self.bg == Color::Reset && !self.modifier.intersects(VISIBLE)
    }
}

/// Writes frames, and keeps what is written until they are whole.
#[derive(Debug, Default)]
pub(super) struct Pen {
    out: Vec<u8>,
    size: Size,
    /// What the terminal shows.
    screen: Buffer,
    /// Where the cursor is, as far as that is sure.
    at: Option<(u16, u16)>,
    ink: Option<Ink>,
    /// Is the cursor shown, and where was it left? Known after the first frame.
    shown: Option<bool>,
    left: Option<(u16, u16)>,
}

impl Pen {
    /// A pen for a terminal of `columns` and `rows`.
    pub(super) fn new(size: (u16, u16)) -> Self {
        let mut pen = Self::default();
        pen.resize(size);
        pen
    }

    /// The terminal has another size.
    pub(super) fn resize(&mut self, (columns, rows): (u16, u16)) {
        self.size = Size::new(columns, rows);
        self.screen.resize(Rect::new(0, 0, columns, rows));
    }

    /// Nothing is known of the terminal any more.
    pub(super) fn forget(&mut self) {
        let size = (self.size.width, self.size.height);
        *self = Self::new(size);
    }

    /// What was written since this was asked; empty when nothing has changed.
    pub(super) fn take(&mut self) -> Vec<u8> {
        (self.at, self.ink) = (None, None);
        std::mem::take(&mut self.out)
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // A vector takes everything.
        let _ = self.out.write_fmt(text);
    }

    fn go(&mut self, x: u16, y: u16) {
        match self.at {
            Some(at) if at == (x, y) => {}
            Some((from, line)) if line == y && from < x && self.may_write(from, x, y) => {
                for x in from..x {
                    self.out.extend(self.screen[(x, y)].symbol().bytes());
                }
            }
            Some((from, line)) if line == y && from < x => match x - from {
                1 => self.put(format_args!("\x1b[C")),
                n => self.put(format_args!("\x1b[{n}C")),
            },
            Some((_, line)) if line == y && x == 0 => self.put(format_args!("\r")),
            Some((_, line)) if line + 1 == y && x == 0 => self.put(format_args!("\r\n")),
            _ if x == 0 => self.put(format_args!("\x1b[{}H", y + 1)),
            _ => self.put(format_args!("\x1b[{};{}H", y + 1, x + 1)),
        }
        self.at = Some((x, y));
    }

    /// May these cells be written again as they are, with the ink at hand, and is
    /// that short?
    fn may_write(&self, from: u16, to: u16, y: u16) -> bool {
        let Some(ink) = self.ink.filter(|_| to - from <= STEP) else {
            return false;
        };
        (from..to).all(|x| {
            let cell = &self.screen[(x, y)];
            let plain = cell.symbol().len() == 1;
            plain && (Ink::of(cell) == ink || (self.is_blank(x, y) && ink.leaves_blanks()))
        })
    }

    /// Takes another ink: by what is added, or from the beginning where something
    /// goes, whichever may be.
    fn dip(&mut self, ink: Ink) {
        let old = self.ink.filter(|old| ink.modifier.contains(old.modifier));
        if old == Some(ink) {
            return;
        }
        let (from, mut numbers) = match old {
            Some(old) => (old, Vec::new()),
            None => (Ink::PLAIN, vec!["0".to_owned()]),
        };
        for (modifier, number) in MODIFIERS {
            if ink.modifier.contains(modifier) && !from.modifier.contains(modifier) {
                numbers.push(number.to_string());
            }
        }
        if ink.fg != from.fg {
            numbers.push(colour(ink.fg, 30));
        }
        if ink.bg != from.bg {
            numbers.push(colour(ink.bg, 40));
        }
        let numbers = numbers.join(";");
        match numbers.as_str() {
            "0" => self.put(format_args!("\x1b[m")),
            _ => self.put(format_args!("\x1b[{numbers}m")),
        }
        self.ink = Some(ink);
    }

    /// A line in which these columns have changed: by what has changed, or by
    /// erasing the rest of it and writing that anew, whichever is shorter.
    fn line(&mut self, y: u16, changed: &[u16]) {
        let Some(first) = changed.first() else { return };
        let (at, ink, length) = (self.at, self.ink, self.out.len());
        self.by_cells(y, changed);
        if changed.len() < FEW {
            return;
        }
        let (after, cells) = ((self.at, self.ink), self.out.split_off(length));
        (self.at, self.ink) = (at, ink);
        self.anew(y, *first);
        if self.out.len() - length > cells.len() {
            self.out.truncate(length);
            self.out.extend(cells);
            (self.at, self.ink) = after;
        }
    }

    /// Writes the changed cells of a line.
    fn by_cells(&mut self, y: u16, mut changed: &[u16]) {
        while let Some((x, rest)) = changed.split_first() {
            let blank = |x: &u16| self.is_blank(*x, y);
            let run = (*x..).zip(changed).take_while(|(x, c)| x == *c && blank(c));
            let blanks = u16::try_from(run.count()).unwrap_or(u16::MAX);
            if blanks == 0 {
                self.cell(*x, y);
                changed = rest;
            } else {
                self.blanks(*x, y, blanks);
                changed = &changed[usize::from(blanks)..];
            }
        }
    }

    /// Writes a line from a column on, over nothing.
    fn anew(&mut self, y: u16, from: u16) {
        self.blanks(from, y, self.size.width - from);
        let mut x = from;
        while x < self.size.width {
            if !self.is_blank(x, y) {
                self.cell(x, y);
            }
            let columns = width(self.screen[(x, y)].symbol()).max(1);
            x = x.saturating_add(u16::try_from(columns).unwrap_or(1));
        }
    }

    fn is_blank(&self, x: u16, y: u16) -> bool {
        let cell = &self.screen[(x, y)];
        cell.symbol() == " " && Ink::of(cell).leaves_blanks()
    }

    fn cell(&mut self, x: u16, y: u16) {
        let cell = self.screen[(x, y)].clone();
        self.go(x, y);
        self.dip(Ink::of(&cell));
        self.print(cell.symbol());
    }

    fn blanks(&mut self, x: u16, y: u16, count: u16) {
        self.go(x, y);
        // Of blanks nobody sees the colour.
        if !self.ink.is_some_and(Ink::leaves_blanks) {
            self.dip(Ink::PLAIN);
        }
        if count >= REST && x + count >= self.size.width {
            self.put(format_args!("\x1b[K"));
        } else if count >= BLANKS {
            self.put(format_args!("\x1b[{count}X"));
        } else {
            for _ in 0..count {
                self.print(" ");
            }
        }
    }

    /// Prints a cell's text. Terminals do not agree on the width of everything:
    /// after what is not one plain column wide, where the cursor is is not sure.
    fn print(&mut self, symbol: &str) {
        self.out.extend_from_slice(symbol.as_bytes());
        let one = symbol.chars().nth(1).is_none() && width(symbol) == 1;
        self.at = self.at.filter(|_| one).map(|(x, y)| (x + 1, y));
        // Behind the last column it is in both lines.
        self.at = self.at.filter(|(x, _)| *x < self.size.width);
    }
}

fn colour(colour: Color, base: u8) -> String {
    let number = |n: u8| (base + n).to_string();
    let bright = |n: u8| (base + 60 + n).to_string();
    match colour {
        Color::Reset => number(9),
        Color::Black => number(0),
        Color::Red => number(1),
        Color::Green => number(2),
        Color::Yellow => number(3),
        Color::Blue => number(4),
        Color::Magenta => number(5),
        Color::Cyan => number(6),
        Color::Gray => number(7),
        Color::DarkGray => bright(0),
        Color::LightRed => bright(1),
        Color::LightGreen => bright(2),
        Color::LightYellow => bright(3),
        Color::LightBlue => bright(4),
        Color::LightMagenta => bright(5),
        Color::LightCyan => bright(6),
        Color::White => bright(7),
        Color::Indexed(n) => format!("{};5;{n}", base + 8),
        Color::Rgb(r, g, b) => format!("{};2;{r};{g};{b}", base + 8),
    }
}

impl Backend for Pen {
    type Error = Infallible;

    fn draw<'a, I>(&mut self, content: I) -> Result<(), Infallible>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let (mut line, mut changed) = (0, Vec::new());
        for (x, y, cell) in content {
            if y != line {
                self.line(line, &changed);
                (line, changed) = (y, Vec::new());
            }
            if let Some(shown) = self.screen.cell_mut((x, y)) {
                shown.clone_from(cell);
                changed.push(x);
            }
        }
        self.line(line, &changed);
        Ok(())
    }

    fn hide_cursor(&mut self) -> Result<(), Infallible> {
        if self.shown != Some(false) {
            self.put(format_args!("\x1b[?25l"));
        }
        (self.shown, self.left) = (Some(false), None);
        Ok(())
    }

    fn show_cursor(&mut self) -> Result<(), Infallible> {
        if self.shown != Some(true) {
            self.put(format_args!("\x1b[?25h"));
        }
        self.shown = Some(true);
        Ok(())
    }

    fn get_cursor_position(&mut self) -> Result<Position, Infallible> {
        // The terminal is never asked: that would be to wait for it.
        Ok(self.at.unwrap_or_default().into())
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> Result<(), Infallible> {
        let Position { x, y } = position.into();
        if !self.out.is_empty() || self.left != Some((x, y)) {
            self.go(x, y);
        }
        self.left = Some((x, y));
        Ok(())
    }

    fn clear(&mut self) -> Result<(), Infallible> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, what: ClearType) -> Result<(), Infallible> {
        self.dip(Ink::PLAIN);
        // Whoever draws asks for this when the whole screen is drawn anew, and for no
        // part of it.
        self.screen.reset();
        self.put(match what {
            ClearType::AfterCursor => format_args!("\x1b[J"),
            _ => format_args!("\x1b[2J"),
        });
        Ok(())
    }

    fn size(&self) -> Result<Size, Infallible> {
        Ok(self.size)
    }

    fn window_size(&mut self) -> Result<WindowSize, Infallible> {
        Ok(WindowSize {
            columns_rows: self.size,
            pixels: Size::default(),
        })
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use proptest::prelude::*;
    use ratatui::style::Style;
    use ratatui::{Terminal, TerminalOptions, Viewport};

    use super::*;

    const SIZE: (u16, u16) = (30, 5);

    fn terminal() -> Terminal<Pen> {
        let options = TerminalOptions {
            viewport: Viewport::Fixed(Rect::new(0, 0, SIZE.0, SIZE.1)),
        };
        Terminal::with_options(Pen::new(SIZE), options).unwrap()
    }

    /// What a terminal shows: text and style of each cell.
    fn shown(screen: &vt100::Screen) -> Vec<(String, bool, vt100::Color, vt100::Color)> {
        let cells = (0..SIZE.1).flat_map(|y| (0..SIZE.0).map(move |x| (y, x)));
        let cells = cells.map(|(y, x)| {
            let cell = screen.cell(y, x).unwrap();
            let text = match cell.contents() {
                "" => " ",
                text => text,
            };
            let blank = text == " " && !cell.inverse();
            let fg = if blank {
                vt100::Color::Default
            } else {
                cell.fgcolor()
            };
            (text.to_owned(), cell.inverse(), fg, cell.bgcolor())
        });
        cells.collect()
    }

    fn wanted(buffer: &Buffer) -> Vec<(String, bool, vt100::Color, vt100::Color)> {
        let colour = |colour| match colour {
            Color::Red => vt100::Color::Idx(1),
            Color::LightCyan => vt100::Color::Idx(14),
            _ => vt100::Color::Default,
        };
        let cells = buffer.content().iter().map(|cell| {
            let inverse = cell.modifier.contains(Modifier::REVERSED);
            let blank = cell.symbol() == " " && !inverse;
            let fg = if blank {
                vt100::Color::Default
            } else {
                colour(cell.fg)
            };
            (cell.symbol().to_owned(), inverse, fg, colour(cell.bg))
        });
        cells.collect()
    }

    fn style() -> impl Strategy<Value = Style> {
        let colour = || prop::sample::select(vec![Color::Reset, Color::Red, Color::LightCyan]);
        let modifier = prop::sample::select(vec![
            Modifier::empty(),
            Modifier::BOLD,
            Modifier::REVERSED,
            Modifier::BOLD | Modifier::DIM,
        ]);
        (colour(), colour(), modifier)
            .prop_map(|(fg, bg, m)| Style::new().fg(fg).bg(bg).add_modifier(m))
    }

    proptest! {
        /// Whatever is drawn after whatever, the terminal shows it.
        #[test]
        fn the_terminal_shows_what_was_drawn(
            frames in prop::collection::vec(
                prop::collection::vec((0u16..30, 0u16..5, "[a-c ]{1,30}", style()), 0..6), 1..6),
        ) {
            let mut terminal = terminal();
            let number = |n| NonZeroU16::new(n).unwrap();
            let mut parser = vt100::Parser::new(number(SIZE.1), number(SIZE.0), 0);
            for texts in frames {
                let drawn = terminal.draw(|frame| {
                    for (x, y, text, style) in &texts {
                        frame.buffer_mut().set_string(*x, *y, text, *style);
                    }
                }).unwrap();
                let want = wanted(drawn.buffer);
                parser.process(&terminal.backend_mut().take());
                prop_assert_eq!(shown(parser.screen()), want);
            }
        }
    }

    fn draws(terminal: &mut Terminal<Pen>, lines: &[&str], cursor: Option<(u16, u16)>) -> String {
        let draw = |frame: &mut ratatui::Frame| {
            for (y, line) in (0..).zip(lines) {
                frame.buffer_mut().set_string(0, y, line, Style::new());
            }
            if let Some(at) = cursor {
                frame.set_cursor_position(at);
            }
        };
        terminal.draw(draw).unwrap();
        String::from_utf8(terminal.backend_mut().take()).unwrap()
    }

    #[test]
    fn nothing_has_changed_and_nothing_is_written() {
        let mut terminal = terminal();
        draws(&mut terminal, &["abc"], None);
        assert_eq!(draws(&mut terminal, &["abc"], None), "");
        draws(&mut terminal, &["abc"], Some((1, 1)));
        assert_eq!(draws(&mut terminal, &["abc"], Some((1, 1))), "");
    }

    #[test]
    fn what_goes_is_erased_and_what_is_between_is_stepped_over() {
        let mut terminal = terminal();
        draws(&mut terminal, &["0123456789012345678901234567", "x"], None);
        let bytes = draws(&mut terminal, &["01                     34567", "y"], None);
        assert_eq!(bytes, "\x1b[1;3H\x1b[m\x1b[21X\r\ny");
        let bytes = draws(&mut terminal, &["01", "y"], None);
        assert_eq!(bytes, "\x1b[1;24H\x1b[m\x1b[K");
        let bytes = draws(&mut terminal, &["012 4", "y"], None);
        assert_eq!(bytes, "\x1b[1;3H\x1b[m2 4");
    }

    #[test]
    fn after_wide_characters_the_cursor_is_placed_anew() {
        let mut terminal = terminal();
        let bytes = draws(&mut terminal, &["a字b"], None);
        assert!(bytes.contains("a字\x1b[1;4Hb"), "{bytes:?}");
    }
}
