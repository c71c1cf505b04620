//! A twin as a tree: what the device reports, what is asked of it beside that, and
//! what has changed.

use serde_json::{Map, Value};

use crate::console::text::safe;
use crate::domain::clean;

/// Lines that are kept; more than anybody scrolls through.
const LINES: usize = 2_000;
/// How deep the tree goes; what is deeper stands in one line.
const DEPTH: usize = 10;
/// Characters of a value.
const VALUE: usize = 400;

/// One line of the tree. Harmless text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Leaf {
    /// How far inside it stands.
    pub(crate) depth: usize,
    /// The name of the property.
    pub(crate) name: String,
    /// Its value; `None` for a branch, and for what the device does not report.
    pub(crate) value: Option<String>,
    /// What the service side asks for, where that is something else.
    pub(crate) desired: Option<String>,
    /// Has the device written something else than it had reported before?
    pub(crate) changed: bool,
}

impl Leaf {
    /// Does its name or a value hold `text`, in lower case?
    fn holds(&self, text: &str) -> bool {
        let values = [Some(&self.name), self.value.as_ref(), self.desired.as_ref()];
        let mut values = values.into_iter().flatten();
        values.any(|value| value.to_lowercase().contains(text))
    }
}

/// The tree of `reported`, beside it `desired`; what differs from `before` is marked
/// as changed.
pub(super) fn tree(
    reported: &Map<String, Value>,
    desired: &Map<String, Value>,
    before: Option<&Map<String, Value>>,
) -> Vec<Leaf> {
    let mut lines = Vec::new();
    let level = Level {
        reported: Some(reported),
        desired: Some(desired),
        before,
        knows_before: before.is_some(),
    };
    level.lines(0, &mut lines);
    lines
}

/// The same place in three trees.
#[derive(Clone, Copy)]
struct Level<'a> {
    reported: Option<&'a Map<String, Value>>,
    desired: Option<&'a Map<String, Value>>,
    before: Option<&'a Map<String, Value>>,
    knows_before: bool,
}

impl Level<'_> {
    fn lines(self, depth: usize, lines: &mut Vec<Leaf>) {
        let empty = Map::new();
        let reported = self.reported.unwrap_or(&empty);
        let desired = self.desired.unwrap_or(&empty);
        let asked_only = desired
            .iter()
            .filter(|(name, _)| !reported.contains_key(*name));
        let names = reported.keys().chain(asked_only.map(|(name, _)| name));
        for name in names {
            if lines.len() >= LINES {
                return;
            }
            let is = reported.get(name);
            let asked = desired.get(name);
            let was = self.before.and_then(|before| before.get(name));
            let branches = [is, asked].map(|value| value.and_then(Value::as_object));
            let deeper = depth < DEPTH && branches.iter().any(Option::is_some);
            let plain =
                |value: Option<&Value>| value.filter(|v| !(deeper && v.is_object())).map(told);
            let value = plain(is);
            lines.push(Leaf {
                depth,
                name: safe(name),
                desired: plain(asked).filter(|asked| Some(asked) != value.as_ref()),
                changed: value.is_some() && self.knows_before && is != was,
                value,
            });
            if deeper {
                let [reported, desired] = branches;
                let level = Level {
                    reported,
                    desired,
                    before: was.and_then(Value::as_object),
                    knows_before: self.knows_before,
                };
                level.lines(depth + 1, lines);
            }
        }
    }
}

fn told(value: &Value) -> String {
    match value {
        Value::String(text) => clean::line(text, VALUE),
        other => clean::line(&other.to_string(), VALUE),
    }
}

/// The lines that hold `text`, with the branches that they are in.
pub(crate) fn found<'a>(lines: &'a [Leaf], text: &str) -> Vec<&'a Leaf> {
    let text = text.to_lowercase();
    let mut found: Vec<&Leaf> = Vec::new();
    // Branches above the line at hand, and whether they are shown already.
    let mut above: Vec<(&Leaf, bool)> = Vec::new();
    for line in lines {
        above.retain(|(branch, _)| branch.depth < line.depth);
        // What stands in a branch that was found is found with it.
        let inside = above.iter().any(|(branch, _)| branch.holds(&text));
        if inside || line.holds(&text) {
            for (branch, shown) in &mut above {
                if !std::mem::replace(shown, true) {
                    found.push(branch);
                }
            }
            found.push(line);
            above.push((line, true));
        } else {
            above.push((line, false));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: &Value) -> &Map<String, Value> {
        value.as_object().unwrap()
    }

    fn lines(reported: &Value, desired: &Value, before: Option<&Value>) -> Vec<String> {
        let lines = tree(map(reported), map(desired), before.map(map));
        lines.iter().map(line).collect()
    }

    fn line(leaf: &Leaf) -> String {
        let indent = "  ".repeat(leaf.depth);
        let value = leaf.value.as_deref().unwrap_or("-");
        let desired = leaf.desired.as_ref().map(|d| format!(" <- {d}"));
        let changed = if leaf.changed { " *" } else { "" };
        format!(
            "{indent}{}: {value}{}{changed}",
            leaf.name,
            desired.unwrap_or_default()
        )
    }

    #[test]
    fn what_is_asked_stands_beside_what_is_reported_where_they_differ() {
        let reported = json!({"fw": {"version": "1.4", "ok": true}, "a": 1});
        let desired = json!({"fw": {"version": "1.5", "ok": true}, "telemetry": {"every": 5}});
        assert_eq!(
            lines(&reported, &desired, None),
            [
                "fw: -",
                "  version: 1.4 <- 1.5",
                "  ok: true",
                "a: 1",
                "telemetry: -",
                "  every: - <- 5",
            ]
        );
    }

    #[test]
    fn what_changed_is_marked_and_a_first_read_has_no_changes() {
        let before = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        let now = json!({"a": {"b": 1, "c": 3, "e": 0}, "d": [1]});
        let marked = lines(&now, &json!({}), Some(&before));
        assert_eq!(marked, ["a: -", "  b: 1", "  c: 3 *", "  e: 0 *", "d: [1]"]);
        assert!(
            lines(&now, &json!({}), None)
                .iter()
                .all(|l| !l.ends_with('*'))
        );
    }

    #[test]
    fn a_search_shows_lines_with_the_branches_that_they_are_in() {
        let reported = json!({"a": {"b": {"x": 1}, "c": 2}, "d": {"xs": {"y": 1}}, "e": 3});
        let all = tree(map(&reported), &Map::new(), None);
        let names = |text: &str| {
            let found = found(&all, text).into_iter();
            found
                .map(|leaf| leaf.name.clone())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(names("X"), "a b x d xs y");
        assert_eq!(names("2"), "a c");
        assert_eq!(names("nothing"), "");
        assert_eq!(found(&all, "").len(), all.len());
    }

    #[test]
    fn hostile_twins_are_harmless_and_bounded() {
        let mut deep = json!(1);
        for _ in 0..200 {
            deep = json!({"\u{1b}[2J": deep});
        }
        let wide: Map<String, Value> = (0..9_000).map(|n| (n.to_string(), json!(n))).collect();
        let lines = tree(map(&json!({"deep": deep, "wide": wide})), &Map::new(), None);
        assert_eq!(lines.len(), LINES);
        assert!(lines.iter().all(|leaf| !leaf.name.contains('\u{1b}')));
        assert!(lines.iter().all(|leaf| leaf.depth <= DEPTH + 1));
        let text = lines.iter().filter_map(|leaf| leaf.value.as_ref());
        assert!(text.clone().all(|value| !value.contains('\u{1b}')));
    }
}
