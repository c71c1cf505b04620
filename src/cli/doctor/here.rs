//! The program itself, and the terminal that it would draw on.

use std::io::IsTerminal as _;

use rustix::termios::tcgetwinsize;

use super::round::Diagnosis;

/// The smallest terminal on which everything is usable.
const SMALLEST: (u16, u16) = (40, 12);

/// Which otadeck this is.
pub(super) fn version() -> Diagnosis {
    let build = if cfg!(debug_assertions) {
        ", a debug build"
    } else {
        ""
    };
    Diagnosis::ok(format!(
        "otadeck {} on {} {}{build}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    ))
}

/// The terminal on stdout, if there is one.
pub(super) fn terminal() -> Diagnosis {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return Diagnosis::ok("stdout is none, so nothing is drawn there");
    }
    let size = tcgetwinsize(&stdout).ok();
    let size = size.map(|size| (size.ws_col, size.ws_row));
    judged(size, |name| std::env::var(name).ok())
}

fn judged(size: Option<(u16, u16)>, var: impl Fn(&str) -> Option<String>) -> Diagnosis {
    let var = |name: &str| var(name).filter(|value| !value.trim().is_empty());
    let term = var("TERM");
    let mut said = vec![match size {
        Some((columns, rows)) => format!("{columns}x{rows}"),
        None => "of unknown size".to_owned(),
    }];
    let mut hints = Vec::new();
    match term.as_deref() {
        None => {
            said.push("TERM is not set".to_owned());
            hints.push("Set TERM to what your terminal is, xterm-256color for example.");
        }
        Some("dumb") => {
            said.push("TERM is dumb".to_owned());
            hints.push("The console cannot draw there; the other verbs print lines.");
        }
        Some(term) => said.push(format!("TERM {term}")),
    }
    said.push(colours(&var, term.as_deref().unwrap_or_default()).to_owned());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(&var);
    if is_utf8(locale.as_deref()) {
        said.push("UTF-8".to_owned());
    } else {
        let locale = locale.unwrap_or_else(|| "none".to_owned());
        said.push(format!("locale {locale}, which is not UTF-8"));
        hints.push("Signs and lines may look broken: --ascii draws without them.");
    }
    if let Some(around) = around(&var) {
        said.push(around.to_owned());
    }
    said.push(
        "frames are sent as synchronized output, which a terminal that does not know it passes \
         over; whether this one does is not asked"
            .to_owned(),
    );
    if size.is_some_and(|(columns, rows)| columns < SMALLEST.0 || rows < SMALLEST.1) {
        hints.push("From 40x12 on everything is usable.");
    }
    let said = said.join("; ");
    match hints.is_empty() {
        true => Diagnosis::ok(said),
        false => Diagnosis::warning(said, hints.join(" ")),
    }
}

fn colours(var: &impl Fn(&str) -> Option<String>, term: &str) -> &'static str {
    let true_colour = var("COLORTERM").is_some_and(|c| c == "truecolor" || c == "24bit");
    match () {
        () if var("NO_COLOR").is_some() => "no colours, as NO_COLOR says",
        () if true_colour => "16 million colours",
        () if term.contains("256color") => "256 colours",
        () => "16 colours or fewer",
    }
}

fn is_utf8(locale: Option<&str>) -> bool {
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

fn around(var: &impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    match (var("TMUX"), var("STY")) {
        (Some(_), _) => Some("inside tmux"),
        (None, Some(_)) => Some("inside screen"),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(Some((80, 24)), &[("TERM", "xterm-256color"), ("LANG", "C.UTF-8")], None, "256 colours; UTF-8")]
    #[case(Some((80, 24)), &[("TERM", "tmux"), ("TMUX", "/tmp/x"), ("LC_ALL", "de_DE.utf8"), ("LANG", "C")], None, "inside tmux")]
    #[case(Some((80, 24)), &[("TERM", "xterm"), ("LANG", "C")], Some("--ascii"), "locale C")]
    #[case(Some((39, 24)), &[("TERM", "xterm"), ("LANG", "C.UTF-8")], Some("40x12"), "39x24")]
    #[case(None, &[("TERM", "dumb"), ("LANG", "C.UTF-8"), ("NO_COLOR", "1")], Some("cannot draw"), "no colours")]
    #[case(None, &[("LANG", "C.UTF-8"), ("COLORTERM", "truecolor")], Some("Set TERM"), "16 million")]
    fn terminals(
        #[case] size: Option<(u16, u16)>,
        #[case] env: &[(&str, &str)],
        #[case] hint: Option<&str>,
        #[case] said: &str,
    ) {
        let var = |name: &str| {
            let found = env.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let told = format!("{:?}", judged(size, var));
        assert!(told.contains(said), "{told}");
        assert!(told.contains("verdict: Ok") == hint.is_none(), "{told}");
        assert!(hint.is_none_or(|hint| told.contains(hint)), "{told}");
    }
}
