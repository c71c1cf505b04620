//! Lines onto the screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws a line so that each of its parts begins where the one before has ended on
/// the screen. The line's own way measures a part as a whole, which is less where
/// letters are joined in writing, and draws the next part over its end.
pub(super) fn put(line: &Line, area: Rect, buffer: &mut Buffer) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    buffer.set_style(Rect { height: 1, ..area }, line.style);
    buffer.set_line(area.x, area.y, line, area.width);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::buffer::Cell;
    use ratatui::text::Span;

    #[test]
    fn parts_do_not_cover_each_other() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 1));
        let line = Line::from(vec![Span::raw("لا"), Span::raw("プ"), Span::raw("abcdef")]);
        put(&line, Rect::new(0, 0, 8, 3), &mut buffer);
        let cells: Vec<&str> = buffer.content().iter().map(Cell::symbol).collect();
        assert_eq!(cells, ["ل", "ا", "プ", " ", "a", "b", "c", "d"]);
        put(&line, Rect::new(9, 9, 8, 3), &mut buffer);
    }
}
