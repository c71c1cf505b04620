//! A buffer as an SVG picture: what a pleasant dark terminal would show.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

const CELL: (f64, f64) = (8.4, 18.0);
const MARGIN: f64 = 14.0;
const GROUND: &str = "#16181d";
const INK: &str = "#d4d7dd";

/// The whole picture.
pub fn picture(buffer: &Buffer, cursor: Option<(u16, u16)>) -> String {
    let area = buffer.area;
    let (width, height) = (
        f64::from(area.width) * CELL.0 + 2.0 * MARGIN,
        f64::from(area.height) * CELL.1 + 2.0 * MARGIN,
    );
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.1} {height:.1}\" \
         font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <rect width=\"{width:.1}\" height=\"{height:.1}\" rx=\"8\" fill=\"{GROUND}\"/>\n"
    );
    for y in 0..area.height {
        row(&mut out, buffer, y);
    }
    if let Some((x, y)) = cursor {
        let (left, top) = place(x, y);
        let _ = writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"2\" height=\"17\" fill=\"#ffffff\"/>"
        );
    }
    out.push_str("</svg>\n");
    out
}

fn place(x: u16, y: u16) -> (f64, f64) {
    (
        MARGIN + f64::from(x) * CELL.0,
        MARGIN + f64::from(y) * CELL.1,
    )
}

/// One row in runs of equal style: the grounds first, then the text.
fn row(out: &mut String, buffer: &Buffer, y: u16) {
    let width = buffer.area.width;
    let mut x = 0;
    while x < width {
        let first = &buffer[(x, y)];
        let mut text = String::new();
        let mut end = x;
        while end < width && look(&buffer[(end, y)]) == look(first) {
            text.push_str(buffer[(end, y)].symbol());
            end += 1;
        }
        run(out, x, y, end - x, &text, first);
        x = end;
    }
}

fn look(cell: &Cell) -> (Color, Color, Modifier) {
    (cell.fg, cell.bg, cell.modifier)
}

fn run(out: &mut String, x: u16, y: u16, cells: u16, text: &str, cell: &Cell) {
    let (left, top) = place(x, y);
    let columns = f64::from(cells) * CELL.0;
    let mut ink = colour(cell.fg).unwrap_or(INK);
    let mut ground = colour(cell.bg);
    if cell.modifier.contains(Modifier::REVERSED) {
        (ink, ground) = (ground.unwrap_or(GROUND), Some(ink));
    }
    if let Some(ground) = ground {
        let _ = writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{columns:.1}\" height=\"{}\" fill=\"{ground}\"/>",
            CELL.1
        );
    }
    if text.trim().is_empty() {
        return;
    }
    let mut style = String::new();
    if cell.modifier.contains(Modifier::BOLD) {
        style.push_str(" font-weight=\"bold\"");
    }
    if cell.modifier.contains(Modifier::DIM) {
        style.push_str(" opacity=\"0.55\"");
    }
    if cell.modifier.contains(Modifier::UNDERLINED) {
        style.push_str(" text-decoration=\"underline\"");
    }
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let _ = writeln!(
        out,
        "<text x=\"{left:.1}\" y=\"{:.1}\" textLength=\"{columns:.1}\" xml:space=\"preserve\" fill=\"{ink}\"{style}>{text}</text>",
        top + 13.5
    );
}

fn colour(colour: Color) -> Option<&'static str> {
    Some(match colour {
        Color::Black => "#16181d",
        Color::Red => "#e06c75",
        Color::Green => "#8fc379",
        Color::Yellow => "#e3b75f",
        Color::Blue => "#6aa5e8",
        Color::Magenta => "#c07fd8",
        Color::Cyan => "#5fb8c9",
        Color::Gray => "#b8bcc6",
        Color::DarkGray => "#343a46",
        Color::White => "#ffffff",
        _ => return None,
    })
}
