//! The finished frame in ASCII, for terminals and fonts that have nothing else.
//!
//! Each sign becomes another of the same width, so that nothing moves. Every sign
//! of the console has a counterpart that tells as much; a letter of a device's own
//! words that ASCII lacks becomes `?`.

use ratatui::buffer::Buffer;
use unicode_width::UnicodeWidthStr;

/// Replaces what is not ASCII.
pub(super) fn only(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        let symbol = cell.symbol();
        if !symbol.is_ascii() {
            let plain = counterpart(symbol);
            cell.set_symbol(plain);
        }
    }
}

fn counterpart(symbol: &str) -> &'static str {
    match symbol {
        "●" => "*",
        "○" => "o",
        "⊘" => "0",
        "◆" => "#",
        "✓" => "v",
        "✗" => "x",
        "▸" | "›" => ">",
        "▌" => "|",
        "·" | "…" => ".",
        "–" | "—" | "─" => "-",
        "━" => "=",
        "│" => "|",
        "╳" | "×" => "x",
        "╭" | "╮" | "╰" | "╯" | "┌" | "┐" | "└" | "┘" => "+",
        "↑" | "▲" => "^",
        "↓" | "▼" => "v",
        "→" => ">",
        "←" => "<",
        "“" | "”" => "\"",
        "’" => "'",
        "▕" => "[",
        "▏" => "]",
        "█" | "▉" | "▊" | "▋" => "#",
        "▍" | "▎" => "=",
        "▒" => ":",
        "░" => ".",
        wide if wide.width() > 1 => "??",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    #[test]
    fn nothing_moves_and_nothing_else_is_left() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        buffer.set_string(0, 0, "▌● é漢 │ ab", Style::new());
        only(&mut buffer);
        let text: String = buffer
            .content
            .iter()
            .map(ratatui::buffer::Cell::symbol)
            .collect();
        assert!(text.is_ascii());
        assert!(text.starts_with("|* ???"), "{text}");
        assert!(text.trim_end().ends_with("| ab"), "{text}");
    }

    fn sources(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => found.extend(sources(&path)),
                false => found.push(path),
            }
        }
        found
    }

    /// The signs of the source are the signs that are replaced: a new one in a view
    /// needs a counterpart.
    #[test]
    fn every_sign_of_the_views_has_a_counterpart() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console/view");
        let mut signs = 0;
        for path in sources(&folder) {
            if path.ends_with("ascii.rs") || path.ends_with("tests.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let drawn = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            for c in drawn.flat_map(str::chars).filter(|c| !c.is_ascii()) {
                let sign = c.to_string();
                assert!(
                    !counterpart(&sign).contains('?'),
                    "{c} in {}",
                    path.display()
                );
                signs += 1;
            }
        }
        assert!(signs > 50, "{signs}");
    }
}
