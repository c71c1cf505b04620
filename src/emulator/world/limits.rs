//! What a twin may hold.
//!
//! Limits: "Understand and use device twins in IoT Hub", section "Tags and
//! properties format" and "Device twin size", in `MicrosoftDocs/azure-docs`.

use serde_json::{Map, Value};

use crate::emulator::refusal::Refusal;

/// Size of all tags.
pub const TAGS: usize = 8 * 1024;
/// Size of the desired, and of the reported, properties.
pub const PROPERTIES: usize = 32 * 1024;
/// Objects within each other, the section itself not counted.
const DEPTH: usize = 10;
const KEY: usize = 1024;
const TEXT: usize = 4096;
const INTEGERS: std::ops::RangeInclusive<i64> = -4_503_599_627_370_496..=4_503_599_627_370_495;

/// Checks a patch of `what` ("tags", "reported", …) before it is merged.
///
/// # Errors
/// 400 `ArgumentInvalid` that names the rule.
pub fn check_patch(what: &str, patch: &Map<String, Value>) -> Result<(), Refusal> {
    check_object(
        what,
        patch,
        Place {
            depth: 0,
            array: false,
        },
    )
}

/// Where in a section a value stands.
#[derive(Clone, Copy)]
struct Place {
    /// Objects around it, the section itself not counted.
    depth: usize,
    /// Is one of them in an array? Nothing can be deleted there.
    array: bool,
}

/// Checks the size of a section after the merge.
///
/// # Errors
/// 400 `ArgumentInvalid` that names size and limit.
pub fn check_size(what: &str, values: &Map<String, Value>, limit: usize) -> Result<(), Refusal> {
    match object_size(values) {
        size if size > limit => Err(Refusal::argument(format!(
            "The size of {what} is {size} bytes, which exceeds the maximum of {limit} bytes."
        ))),
        _ => Ok(()),
    }
}

fn check_object(what: &str, object: &Map<String, Value>, at: Place) -> Result<(), Refusal> {
    if at.depth > DEPTH {
        return Err(Refusal::argument(format!(
            "The depth of {what} exceeds the maximum of {DEPTH} levels."
        )));
    }
    for (key, value) in object {
        check_key(what, key)?;
        check_value(what, key, value, at)?;
    }
    Ok(())
}

fn check_value(what: &str, key: &str, value: &Value, at: Place) -> Result<(), Refusal> {
    match value {
        Value::Null if at.array => Err(Refusal::argument(format!(
            "An array in {what} holds null at {}, which is not supported.",
            shortened(key)
        ))),
        Value::Object(child) => {
            let depth = at.depth + 1;
            check_object(what, child, Place { depth, ..at })
        }
        Value::Array(items) => {
            // Arrays are no level of their own; JSON's own depth bounds them.
            let inside = Place { array: true, ..at };
            items
                .iter()
                .try_for_each(|item| check_value(what, key, item, inside))
        }
        Value::String(text) if text.len() > TEXT => Err(Refusal::argument(format!(
            "The value of {} in {what} exceeds the maximum of {TEXT} bytes.",
            shortened(key)
        ))),
        Value::Number(number) => match number.as_i64() {
            Some(integer) if !INTEGERS.contains(&integer) => Err(out_of_range(what, key)),
            Some(_) => Ok(()),
            None if number.as_f64().is_some_and(is_large_and_whole) => Err(out_of_range(what, key)),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Was this an integer of more than 64 bits? It is read as a float like any other;
/// a whole number beyond what anybody writes out in digits was a float.
fn is_large_and_whole(number: f64) -> bool {
    const WRITTEN_OUT: f64 = 1e40;
    #[expect(
        clippy::cast_precision_loss,
        reason = "both ends are powers of two, or nearly"
    )]
    let (least, most) = (*INTEGERS.start() as f64, *INTEGERS.end() as f64);
    number.fract() == 0.0 && number.abs() < WRITTEN_OUT && !(least..=most).contains(&number)
}

fn out_of_range(what: &str, key: &str) -> Refusal {
    Refusal::argument(format!(
        "The integer at {} in {what} is outside {} to {}.",
        shortened(key),
        INTEGERS.start(),
        INTEGERS.end()
    ))
}

fn check_key(what: &str, key: &str) -> Result<(), Refusal> {
    let problem = if key.is_empty() {
        "is empty"
    } else if key.len() > KEY {
        "exceeds the maximum of 1024 bytes"
    } else if key.chars().any(|c| c.is_control() || ".$# ".contains(c)) {
        "holds a control character, '.', '$', '#' or a space"
    } else {
        return Ok(());
    };
    Err(Refusal::argument(format!(
        "The key {} in {what} {problem}.",
        shortened(key)
    )))
}

fn shortened(key: &str) -> String {
    key.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Keys and values: strings by their characters without control characters,
/// numbers 8 bytes, booleans 4.
fn object_size(object: &Map<String, Value>) -> usize {
    object
        .iter()
        .map(|(key, value)| text_size(key) + value_size(value))
        .sum()
}

fn value_size(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text_size(text),
        Value::Array(items) => items.iter().map(value_size).sum(),
        Value::Object(object) => object_size(object),
    }
}

fn text_size(text: &str) -> usize {
    text.chars().filter(|c| !c.is_control()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nested(levels: usize) -> Value {
        (1..levels).fold(json!({"a": 1}), |inner, _| json!({"a": inner}))
    }

    #[rstest::rstest]
    #[case(json!({"a": 1, "b": null, "c": "x", "d": [1, {"e": true}]}), "")]
    #[case(nested(11), "")]
    #[case(nested(12), "depth")]
    #[case(json!({"a": [{"b": null}]}), "null")]
    #[case(json!({"a": {"b": null}}), "")]
    #[case(json!({"a": 18_446_744_073_709_551_615_u64}), "integer")]
    #[case(json!({"a": 1e20}), "integer")]
    #[case(json!({"a": -1e20}), "integer")]
    #[case(json!({"a": 1.5, "b": 2.0}), "")]
    #[case(json!({"a.b": 1}), "key")]
    #[case(json!({"$a": 1}), "key")]
    #[case(json!({"a": {"b#": 1}}), "key")]
    #[case(json!({"a b": 1}), "key")]
    #[case(json!({"a\u{7}": 1}), "key")]
    #[case(json!({"": 1}), "key")]
    #[case(json!({"k".repeat(1024): 1}), "")]
    #[case(json!({"k".repeat(1025): 1}), "key")]
    #[case(json!({"a": "x".repeat(4096)}), "")]
    #[case(json!({"a": "x".repeat(4097)}), "value")]
    #[case(json!({"a": 4_503_599_627_370_495_i64}), "")]
    #[case(json!({"a": 4_503_599_627_370_496_i64}), "integer")]
    #[case(json!({"a": -4_503_599_627_370_496_i64}), "")]
    #[case(json!({"a": -4_503_599_627_370_497_i64}), "integer")]
    #[case(json!({"a": u64::MAX}), "integer")]
    #[case(json!({"a": 1.5e300}), "")]
    #[case(json!({"a": [null]}), "null")]
    #[case(json!({"a": [[null]]}), "null")]
    fn patches(#[case] patch: Value, #[case] problem: &str) {
        let checked = check_patch("tags", patch.as_object().unwrap());
        match checked {
            Ok(()) => assert_eq!(problem, ""),
            Err(refusal) => {
                assert!(!problem.is_empty(), "{refusal:?}");
                assert!(refusal.message.contains(problem), "{refusal:?}");
            }
        }
    }

    #[test]
    fn sizes_count_keys_and_values() {
        let values = json!({"ab": "cdé\u{7}", "n": 1, "t": true, "o": {"k": [1, "xy"]}});
        assert_eq!(object_size(values.as_object().unwrap()), 5 + 9 + 5 + 12);
        let full = json!({"a": "x".repeat(4095), "b": "x".repeat(4095)});
        assert!(check_size("tags", full.as_object().unwrap(), TAGS).is_ok());
        let over = json!({"a": "x".repeat(4095), "bc": "x".repeat(4095)});
        assert!(check_size("tags", over.as_object().unwrap(), TAGS).is_err());
    }
}
