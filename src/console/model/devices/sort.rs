//! The order of the table.

use std::cmp::{Ordering, Reverse};

use jiff::Timestamp;

use super::columns::Column;
use super::filter::Asked;
use crate::domain::device::{Connection, DeviceRow, Enablement};
use crate::domain::id::DeviceId;
use crate::domain::time::hub_time;

/// By which column the rows stand, and from which end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// The column; rows alike in it stand by their ids.
    pub(crate) by: Column,
    /// From the greatest down?
    pub(crate) down: bool,
}

impl Order {
    /// Is it the order in which the rows are kept?
    pub(crate) fn is_natural(&self) -> bool {
        self.by == Column::Device && !self.down
    }

    /// By the next of those columns.
    pub(crate) fn next(&self, columns: &[Column]) -> Self {
        let at = columns.iter().position(|column| *column == self.by);
        let next = at.map_or(0, |at| (at + 1) % columns.len());
        Self {
            by: columns.get(next).cloned().unwrap_or_default(),
            down: false,
        }
    }

    /// The other way round.
    pub(crate) fn reversed(&self) -> Self {
        Self {
            by: self.by.clone(),
            down: !self.down,
        }
    }

    /// The order of a text such as `age down`.
    ///
    /// # Errors
    /// Says what is no column, or no way to sort.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let (name, way) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let down = match way.trim() {
            "" | "up" => false,
            "down" => true,
            _ => return Err("a column is sorted up or down: age down".to_owned()),
        };
        let by = Column::read(name)?;
        Ok(Self { by, down })
    }

    /// The same as it is typed.
    pub(crate) fn text(&self) -> String {
        let down = if self.down { " down" } else { "" };
        format!("{}{down}", self.by.name())
    }

    /// What decides where a row stands: the lesser stands above. Made once for each
    /// row that is sorted.
    pub(crate) fn key<'a>(&self, asked: Asked<'a>) -> Key<'a> {
        let row = asked.row;
        let part = match &self.by {
            Column::Device => Part::Id(&row.device_id),
            Column::State => Part::Rank(connection(row), ""),
            Column::Firmware => Part::Version(row.firmware.as_deref().unwrap_or_default()),
            Column::Phase => phase(asked),
            Column::Last => {
                let text = row.last_update.as_deref().unwrap_or_default();
                Part::Time(hub_time(text), text)
            }
            Column::Tags => tag(row.tags.text()),
            Column::Tag(path) => tag(row.tags.get(path)),
            // The youngest row has been seen last.
            Column::Age => Part::Age(Reverse(row.seen)),
        };
        Key {
            part,
            down: self.down,
            id: &row.device_id,
        }
    }
}

/// Where a row stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    part: Part<'a>,
    down: bool,
    id: &'a DeviceId,
}

/// What the column is sorted by; all keys of one order hold the same.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Id(&'a DeviceId),
    Rank(u8, &'a str),
    Version(&'a str),
    Time(Option<Timestamp>, &'a str),
    Age(Reverse<Timestamp>),
    Tag(Reverse<bool>, &'a str),
}

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = match (&self.part, &other.part) {
            (Part::Id(a), Part::Id(b)) => a.cmp(b),
            (Part::Rank(a, x), Part::Rank(b, y)) => (a, x).cmp(&(b, y)),
            (Part::Version(a), Part::Version(b)) => natural(a, b),
            (Part::Time(a, x), Part::Time(b, y)) => (a, x).cmp(&(b, y)),
            (Part::Age(a), Part::Age(b)) => a.cmp(b),
            (Part::Tag(a, x), Part::Tag(b, y)) => a.cmp(b).then_with(|| natural(x, y)),
            _ => Ordering::Equal,
        };
        let order = if self.down { order.reverse() } else { order };
        order.then_with(|| self.id.cmp(other.id))
    }
}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Devices without the tag stand below those that have it.
fn tag(value: Option<&str>) -> Part<'_> {
    Part::Tag(Reverse(value.is_some()), value.unwrap_or_default())
}

/// Connected ones first, then those that are not, then those shut out.
fn connection(row: &DeviceRow) -> u8 {
    match (row.status, row.connection) {
        (Enablement::Disabled, _) => 2,
        (_, Connection::Connected) => 0,
        (_, Connection::Disconnected) => 1,
    }
}

/// Updates of this session first, then what devices report.
fn phase<'a>(asked: Asked<'a>) -> Part<'a> {
    match (asked.word, asked.row.phase) {
        (Some(word), _) => Part::Rank(0, word),
        (None, Some(phase)) => Part::Rank(1, phase.name()),
        (None, None) => Part::Rank(2, ""),
    }
}

/// Compares texts with their numbers as numbers: 1.10 stands after 1.9.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        match (a.chars().next(), b.chars().next()) {
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (left, after) = digits(a);
                let (right, rest) = digits(b);
                // As long as the zeros in front are gone, the longer is the greater.
                let order = left.len().cmp(&right.len()).then_with(|| left.cmp(right));
                if order.is_ne() {
                    return order;
                }
                (a, b) = (after, rest);
            }
            (Some(x), Some(y)) if x == y => {
                (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]);
            }
            (x, y) => return x.cmp(&y),
        }
    }
}

/// The digits in front without the zeros in front of them, and what follows.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    (digits.trim_start_matches('0'), rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[rstest::rstest]
    #[case("1.9", "1.10", Ordering::Less)]
    #[case("1.010", "1.10", Ordering::Equal)]
    #[case("", "0", Ordering::Less)]
    #[case("1.4.2", "1.4", Ordering::Greater)]
    #[case("1.4-rc1", "1.4-rc2", Ordering::Less)]
    #[case("99999999999999999999999", "100000000000000000000000", Ordering::Less)]
    fn versions_are_compared_by_their_numbers(
        #[case] a: &str,
        #[case] b: &str,
        #[case] order: Ordering,
    ) {
        assert_eq!(natural(a, b), order);
        assert_eq!(natural(b, a), order.reverse());
    }

    #[rstest::rstest]
    #[case("age down", Ok("age down"))]
    #[case("fi up", Ok("firmware"))]
    #[case("tag:site  down", Ok("tag:site down"))]
    #[case("", Err("no column"))]
    #[case("age sideways", Err("up or down"))]
    fn orders_are_read(#[case] typed: &str, #[case] want: Result<&str, &str>) {
        match (Order::read(typed), want) {
            (Ok(order), Ok(text)) => assert_eq!(order.text(), text),
            (Err(error), Err(told)) => assert!(error.contains(told), "{error}"),
            (other, _) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_next_column_is_the_next_that_is_shown() {
        let columns = [Column::Device, Column::Tag("site".into()), Column::Age];
        let mut order = Order::default();
        let mut seen = Vec::new();
        for _ in 0..4 {
            order = order.next(&columns);
            seen.push(order.text());
        }
        assert_eq!(seen, ["tag:site", "age", "device", "tag:site"]);
        let hidden = Order::read("phase down").unwrap();
        assert_eq!(hidden.next(&columns).text(), "device");
    }

    proptest! {
        #[test]
        fn it_is_an_order(mut texts in prop::collection::vec("[01a.é]{0,6}", 3)) {
            // A sort panics where an order contradicts itself; three suffice.
            texts.sort_by(|a, b| natural(a, b));
            prop_assert!(natural(&texts[0], &texts[2]).is_le());
        }
    }
}
