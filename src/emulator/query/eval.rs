//! A condition over a row.
//!
//! A property that is missing, or a comparison of unlike kinds, is neither true
//! nor false: it holds neither by itself nor under `NOT`.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::Row;
use super::parser::Expr;

/// Does `condition` hold for `row`?
pub fn holds(condition: &Expr, row: &impl Row) -> bool {
    truth(condition, row) == Some(true)
}

fn truth(expr: &Expr, row: &impl Row) -> Option<bool> {
    match expr {
        Expr::And(all) => settle(all, row, false),
        Expr::Or(any) => settle(any, row, true),
        Expr::Not(inner) => truth(inner, row).map(|truth| !truth),
        Expr::Defined(path) => Some(row.field(path).is_some()),
        Expr::Compare(left, sign, right) => {
            let (left, right) = (value(left, row)?, value(right, row)?);
            compare(left.as_ref(), sign, right.as_ref())
        }
        Expr::In(item, negated, list) => {
            let item = primitive(value(item, row)?)?;
            let found = list.iter().any(|c| compare(&item, "=", c) == Some(true));
            Some(found != *negated)
        }
        other => value(other, row)?.as_bool(),
    }
}

/// The first item that is `decisive` decides; else an undecided one leaves all
/// undecided.
fn settle(items: &[Expr], row: &impl Row, decisive: bool) -> Option<bool> {
    let mut undecided = false;
    for item in items {
        match truth(item, row) {
            Some(truth) if truth == decisive => return Some(decisive),
            Some(_) => {}
            None => undecided = true,
        }
    }
    (!undecided).then_some(!decisive)
}

fn value<'a>(expr: &'a Expr, row: &'a impl Row) -> Option<Cow<'a, Value>> {
    match expr {
        Expr::Constant(constant) => Some(Cow::Borrowed(constant)),
        Expr::Path(path) => row.field(path),
        Expr::Negative(inner) => {
            let number = value(inner, row)?.as_f64()?;
            Some(Cow::Owned(Value::from(-number)))
        }
        Expr::Chain(first, rest) => {
            let mut number = value(first, row)?.as_f64()?;
            for (sign, next) in rest {
                number = calculate(number, sign, value(next, row)?.as_f64()?)?;
            }
            Some(Cow::Owned(Value::from(number)))
        }
        condition => truth(condition, row).map(|truth| Cow::Owned(Value::Bool(truth))),
    }
}

fn calculate(left: f64, sign: &str, right: f64) -> Option<f64> {
    let number = match sign {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" => left / right,
        _ => left % right,
    };
    number.is_finite().then_some(number)
}

fn primitive(value: Cow<'_, Value>) -> Option<Cow<'_, Value>> {
    (!value.is_object() && !value.is_array()).then_some(value)
}

fn compare(left: &Value, sign: &str, right: &Value) -> Option<bool> {
    let order = match (left, right) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        // Anything that is there differs from null.
        (Value::Null, _) | (_, Value::Null) => match sign {
            "=" => return Some(false),
            "!=" | "<>" => return Some(true),
            _ => None,
        },
        _ => None,
    }?;
    Some(match sign {
        "=" => order.is_eq(),
        "!=" | "<>" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    })
}
