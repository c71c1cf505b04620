//! Queries that nobody would write: none panics, none goes deep, none takes
//! more than linear time, and what cannot be read says where.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::*;

/// The most looks at tokens that one token may cost, an optional one at the end
/// of the text included.
const LOOKS: usize = 100;

/// A row that counts how often it is asked.
struct Counted<'a>(Value, &'a Cell<usize>);

impl Row for Counted<'_> {
    fn key(&self) -> &str {
        self.0["deviceId"].as_str().unwrap()
    }
    fn whole(&self) -> Value {
        self.0.clone()
    }
    fn field(&self, path: &[String]) -> Option<Cow<'_, Value>> {
        self.1.set(self.1.get() + 1);
        walk(&self.0, path).map(Cow::Borrowed)
    }
}

/// Runs a query over three rows; gives the answer and how often rows were asked.
fn run_counted(text: &str) -> (Result<Page, Refusal>, usize) {
    let asked = Cell::new(0);
    let row = |id: &str, n: i64| json!({"deviceId": id, "version": n, "tags": {"a": n, "b": "x"}});
    let page = run(text, None, None, |_| {
        let rows = [row("a", 1), row("b", 2), row("c", 3)];
        let asked = &asked;
        Box::new(rows.into_iter().map(move |row| Counted(row, asked)))
    });
    (page, asked.get())
}

/// What must hold for any text at all.
fn check(text: &str) -> Result<Option<Page>, TestCaseError> {
    let tokens = lexer::tokens(text).map_or(0, |tokens| tokens.len());
    let (page, asked) = run_counted(text);
    let looks = parser::looks(text);
    prop_assert!(
        looks <= LOOKS * (tokens + 1),
        "{looks} looks at {tokens} tokens"
    );
    prop_assert!(asked <= 3 * tokens, "{asked} questions for {tokens} tokens");
    match page {
        Ok(page) => Ok(Some(page)),
        Err(refusal) => {
            prop_assert_eq!(refusal.code.http(), 400);
            let place = refusal.message.rsplit_once("at position ");
            if let Some((_, place)) = place {
                let place: usize = place.trim_end_matches('.').parse().unwrap();
                prop_assert!((1..=text.chars().count() + 1).contains(&place));
            } else {
                prop_assert!(refusal.message.contains("8192"), "{}", refusal.message);
            }
            Ok(None)
        }
    }
}

fn path() -> impl Strategy<Value = String> {
    select(vec![
        "deviceId",
        "DEVICEID",
        "version",
        "tags.a",
        "devices.tags.b",
        "tags.[[a]]",
        "properties.reported.fw",
        "capabilities.iotEdge",
        "tags.from.select",
        "configurations.[[x-1]].status",
    ])
    .prop_map(str::to_owned)
}

fn constant() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i32>().prop_map(|n| n.to_string()),
        (0.0f64..1e9).prop_map(|n| format!("{n:?}")),
        "[a-zé ]{0,6}".prop_map(|text| format!("'{text}'")),
        select(vec![
            "true",
            "FALSE",
            "null",
            "\"it's\"",
            "'it''s'",
            r"'\u00e9'"
        ])
        .prop_map(str::to_owned),
    ]
}

/// Conditions of the grammar, some tens of levels deep at most.
fn condition() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (path(), constant()).prop_map(|(path, constant)| format!("{path} = {constant}")),
        path().prop_map(|path| format!("IS_DEFINED({path})")),
        (path(), constant(), constant(), select(vec!["IN", "nin"]))
            .prop_map(|(path, a, b, word)| format!("{path} {word} [{a}, {b}]")),
        (
            path(),
            select(vec!["<", "<=", ">", ">=", "<>", "!="]),
            constant()
        )
            .prop_map(|(path, sign, n)| format!("{path}{sign}{n}")),
        (path(), select(vec!["+", "-", "*", "/", "%"]), constant())
            .prop_map(|(path, sign, n)| format!("{path} {sign} {n} = -{path}")),
    ];
    leaf.prop_recursive(8, 64, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} AND {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b})")),
            inner.prop_map(|a| format!("NOT ({a})")),
        ]
    })
}

/// Queries of the grammar.
fn query() -> impl Strategy<Value = String> {
    let column = (path(), any::<bool>()).prop_map(|(path, named)| match named {
        true => format!("{path} AS x"),
        false => path,
    });
    let what = prop_oneof![
        Just("*".to_owned()),
        prop::collection::vec(column, 1..4).prop_map(|columns| columns.join(", ")),
    ];
    let top = prop_oneof![
        Just(String::new()),
        (1..5).prop_map(|n| format!("TOP {n} "))
    ];
    let end = prop_oneof![
        Just(String::new()),
        condition().prop_map(|condition| format!(" WHERE {condition}")),
    ];
    (top, what, end).prop_map(|(top, what, end)| format!("select {top}{what} FROM devices{end}"))
}

/// A text with some of its characters lost, doubled or replaced.
fn damaged() -> impl Strategy<Value = String> {
    let damage = (any::<prop::sample::Index>(), 0..3, any::<char>());
    (query(), prop::collection::vec(damage, 1..4)).prop_map(|(text, damages)| {
        let mut text: Vec<char> = text.chars().collect();
        for (at, how, c) in damages {
            let at = at.index(text.len());
            match how {
                0 => drop(text.remove(at)),
                1 => text.insert(at, text[at]),
                _ => text[at] = c,
            }
        }
        text.into_iter().collect()
    })
}

/// Long texts of one shape, as long as a query may be.
fn long() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "(",
        "NOT ",
        "-",
        "1+",
        "a.",
        "a AND ",
        "a OR ",
        "[[",
        "'",
        "''",
        "\\",
        "1,",
        "[",
        "!",
        "tags.a = 1 OR ",
        "tags.a IN [1] AND ",
        "((a) = ",
        "is_defined(",
        "a,",
        "a AS b, ",
        "9",
        "1e",
        "1-",
        "not (",
        "\u{0}",
        "é",
        "🦀",
    ]);
    let head = select(vec![
        "SELECT * FROM devices WHERE ",
        "SELECT ",
        "SELECT TOP ",
        "",
    ]);
    let tail = select(vec!["", "1 = 1", "a", ")", "]", "true"]);
    (head, piece, 1usize..9_000, tail).prop_map(|(head, piece, length, tail)| {
        let count = length / piece.chars().count();
        format!("{head}{}{tail}", piece.repeat(count))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_the_grammar_makes_is_read(text in query()) {
        prop_assert!(check(&text)?.is_some(), "{text}: {:?}", run_counted(&text).0);
    }

    #[test]
    fn a_damaged_query_is_read_or_refused_with_its_place(text in damaged()) {
        check(&text)?;
    }

    #[test]
    fn a_long_one_costs_no_more_than_its_length(text in long()) {
        check(&text)?;
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), token in any::<Option<String>>()) {
        check(&text)?;
        let condition = format!("SELECT * FROM devices WHERE {text}");
        check(&condition)?;
        let empty = || Box::new(std::iter::empty::<Counted<'_>>());
        let _ = run(&condition, Some(0), token.as_deref(), |_| empty());
    }
}
