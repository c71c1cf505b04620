//! The line on which commands are typed, and those that were typed before.

use super::field::Field;

/// Commands that are remembered.
const REMEMBERED: usize = 100;

/// A command that is being typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CommandLine {
    pub(crate) field: Field,
    /// What is wrong with what was sent off last.
    pub(crate) wrong: Option<String>,
    /// Which earlier command is shown, counted from the newest; what was typed
    /// before it waits behind the newest.
    back: Option<(usize, String)>,
}

/// Earlier commands, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Typed(Vec<String>);

impl Typed {
    /// Remembers a command; one that was typed twice counts once.
    pub(crate) fn remember(&mut self, text: &str) {
        self.0.retain(|known| known != text);
        self.0.push(text.to_owned());
        if self.0.len() > REMEMBERED {
            self.0.remove(0);
        }
    }

    fn nth_newest(&self, n: usize) -> Option<&String> {
        self.0.iter().rev().nth(n)
    }
}

impl CommandLine {
    /// A line that holds `text`.
    pub(crate) fn holding(text: &str) -> Self {
        Self {
            field: Field::holding(text),
            ..Self::default()
        }
    }

    /// A key edits it: it is a command of its own from now on. Whoever types the colon
    /// once more after a mistake begins another one.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut Field)) {
        let before = self.field.text().to_owned();
        change(&mut self.field);
        if self.wrong.is_some() && self.field.text() == format!("{before}:") {
            self.field = Field::default();
        }
        self.wrong = None;
        self.back = None;
    }

    /// Shows the command before.
    pub(crate) fn earlier(&mut self, typed: &Typed) {
        let (at, draft) = match self.back.take() {
            Some((at, draft)) => (at + 1, draft),
            None => (0, self.field.text().to_owned()),
        };
        match typed.nth_newest(at) {
            Some(text) => {
                self.field = Field::holding(text);
                self.back = Some((at, draft));
            }
            None if at > 0 => self.back = Some((at - 1, draft)),
            None => {}
        }
    }

    /// Shows the command after, and at last what was being typed.
    pub(crate) fn later(&mut self, typed: &Typed) {
        let Some((at, draft)) = self.back.take() else {
            return;
        };
        match at.checked_sub(1) {
            Some(at) => {
                let text = typed.nth_newest(at).map_or("", String::as_str);
                self.field = Field::holding(text);
                self.back = Some((at, draft));
            }
            None => self.field = Field::holding(&draft),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_commands_come_back_and_so_does_the_one_at_hand() {
        let mut typed = Typed::default();
        for text in ["list", "sort age", "list"] {
            typed.remember(text);
        }
        let mut line = CommandLine::holding("th");
        let mut seen = Vec::new();
        for _ in 0..3 {
            line.earlier(&typed);
            seen.push(line.field.text().to_owned());
        }
        for _ in 0..3 {
            line.later(&typed);
            seen.push(line.field.text().to_owned());
        }
        assert_eq!(seen, ["list", "sort age", "sort age", "list", "th", "th"]);
    }

    #[test]
    fn a_colon_after_a_mistake_begins_another_command() {
        let mut line = CommandLine::holding("columns dvice");
        line.wrong = Some("no column".into());
        line.edit(|field| *field = Field::holding("columns dvice:"));
        assert_eq!((line.field.text(), &line.wrong), ("", &None));
        // Without one it is a part of the command.
        let mut line = CommandLine::holding("query a");
        line.edit(|field| *field = Field::holding("query a:"));
        assert_eq!(line.field.text(), "query a:");
    }
}
