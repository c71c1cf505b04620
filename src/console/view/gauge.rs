//! The gauge: one segment a phase. What a device reports moves it by eighths of
//! a cell; a phase of which nothing but its begin is known is shaded as a
//! whole, because nobody knows how far it is, or, where past updates tell, as
//! far as they would be by now.

use ratatui::text::Span;

use super::super::theme::{Role, Theme};
use crate::domain::gauge::{Fill, Gauge};
use crate::domain::update::Update;

const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// The gauge in exactly `columns` columns, its two ends among them.
pub(super) fn bar(gauge: &Gauge, role: Role, columns: usize, theme: &Theme) -> Vec<Span<'static>> {
    let count = gauge.segments.len().max(1);
    let inner = columns.saturating_sub(2 + count - 1);
    let mut spans = vec![Span::styled("▕", theme.style(Role::Rule))];
    for (n, segment) in gauge.segments.iter().enumerate() {
        let cells = inner * (n + 1) / count - inner * n / count;
        if n > 0 {
            spans.push(Span::styled("▏", theme.style(Role::Rule)));
        }
        let (full, rest) = filled(segment.fill, cells);
        spans.push(Span::styled(full, theme.style(role)));
        spans.push(Span::styled(rest, theme.style(Role::GaugeEmpty)));
    }
    if gauge.segments.is_empty() {
        spans.push(Span::styled(
            "░".repeat(inner),
            theme.style(Role::GaugeEmpty),
        ));
    }
    spans.push(Span::styled("▏", theme.style(Role::Rule)));
    spans
}

/// A segment's cells: those that tell something, and those that do not.
fn filled(fill: Fill, cells: usize) -> (String, String) {
    match fill {
        Fill::Empty => (String::new(), "░".repeat(cells)),
        Fill::Begun => ("▒".repeat(cells), String::new()),
        Fill::Estimate(part) => {
            let shaded = eighths(part, cells) / 8;
            ("▒".repeat(shaded), "░".repeat(cells - shaded))
        }
        Fill::Full => ("█".repeat(cells), String::new()),
        Fill::Broken => ("╳".repeat(cells), String::new()),
        Fill::Part(part) => {
            let eighths = eighths(part, cells);
            let (whole, eighth) = (eighths / 8, EIGHTHS[eighths % 8]);
            let rest = cells - whole - usize::from(!eighth.is_empty());
            (format!("{}{eighth}", "█".repeat(whole)), "░".repeat(rest))
        }
    }
}

/// A part of so many cells in eighths of one, rounded down: a gauge does not
/// run ahead of the device.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 to 8 × cells"
)]
#[expect(clippy::cast_precision_loss, reason = "a few hundred columns")]
fn eighths(part: f64, cells: usize) -> usize {
    (part.clamp(0.0, 1.0) * (cells * 8) as f64) as usize
}

/// The colour of an update, by what is known of it.
pub(super) fn role(update: &Update) -> Role {
    use crate::domain::update::Outcome;
    if update.contradicted.is_some() {
        return Role::Doubt;
    }
    match (&update.verdict, &update.doubt) {
        (Some(verdict), _) => match verdict.outcome {
            Outcome::Completed => Role::Good,
            Outcome::GivenUp => Role::Doubt,
            _ => Role::Bad,
        },
        (None, Some(_)) => Role::Doubt,
        (None, None) => Role::Busy,
    }
}

/// The sign of an update, for eyes that see no colour.
pub(super) fn sign(update: &Update) -> &'static str {
    match role(update) {
        _ if update.contradicted.is_some() => "!",
        Role::Good => "✓",
        Role::Bad => "✗",
        Role::Doubt => "?",
        _ => "▸",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::gauge::Segment;
    use crate::domain::phase::Phase;
    use proptest::prelude::*;

    fn drawn(fills: &[Fill], columns: usize) -> String {
        let segments = fills
            .iter()
            .map(|fill| Segment {
                phase: Phase::Applying,
                fill: *fill,
            })
            .collect();
        let gauge = Gauge {
            segments,
            ratio: 0.0,
            percent: None,
        };
        let spans = bar(&gauge, Role::Busy, columns, &Theme::default());
        spans.iter().map(|s| s.content.as_ref()).collect()
    }

    #[rstest::rstest]
    #[case(&[Fill::Part(0.0), Fill::Empty], "▕░░░░▏░░░░▏")]
    #[case(&[Fill::Part(0.55), Fill::Empty], "▕██▏░▏░░░░▏")]
    #[case(&[Fill::Part(0.999), Fill::Empty], "▕███▉▏░░░░▏")]
    #[case(&[Fill::Full, Fill::Begun], "▕████▏▒▒▒▒▏")]
    #[case(&[Fill::Full, Fill::Estimate(0.6)], "▕████▏▒▒░░▏")]
    #[case(&[Fill::Estimate(1.0), Fill::Empty], "▕▒▒▒▒▏░░░░▏")]
    #[case(&[Fill::Full, Fill::Broken], "▕████▏╳╳╳╳▏")]
    #[case(&[], "▕░░░░░░░░░▏")]
    fn gauges(#[case] fills: &[Fill], #[case] want: &str) {
        assert_eq!(drawn(fills, 11), want);
    }

    proptest! {
        #[test]
        fn a_gauge_has_its_width(part in 0.0f64..=1.0, count in 1usize..6, columns in 12usize..90) {
            let fills = vec![Fill::Part(part); count];
            prop_assert_eq!(drawn(&fills, columns).chars().count(), columns);
        }
    }
}
