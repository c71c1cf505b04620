//! The order of the table.

use std::cmp::{Ordering, Reverse};

use jiff::Timestamp;

use super::filter::Asked;
use crate::domain::device::{Connection, DeviceRow, Enablement};
use crate::domain::id::DeviceId;
use crate::domain::time::hub_time;

/// A column of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Column {
    /// The device's id.
    #[default]
    Device,
    /// How it is connected.
    State,
    /// The firmware that it reports.
    Firmware,
    /// How its update stands.
    Phase,
    /// When its last update ended.
    Last,
    /// How old the row is.
    Age,
}

impl Column {
    /// All of them, in the table's order.
    pub(crate) const ALL: [Self; 6] = [
        Self::Device,
        Self::State,
        Self::Firmware,
        Self::Phase,
        Self::Last,
        Self::Age,
    ];

    /// The column of that name, or the only one whose name begins so.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut begins = Self::ALL.into_iter().filter(|c| c.name().starts_with(name));
        let first = begins.next().filter(|_| !name.is_empty())?;
        begins.next().is_none().then_some(first)
    }

    /// Its name, in its head and in commands.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::State => "state",
            Self::Firmware => "firmware",
            Self::Phase => "phase",
            Self::Last => "last",
            Self::Age => "age",
        }
    }
}

/// By which column the rows stand, and from which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// The column; rows alike in it stand by their ids.
    pub(crate) by: Column,
    /// From the greatest down?
    pub(crate) down: bool,
}

impl Order {
    /// Is it the order in which the rows are kept?
    pub(crate) fn is_natural(self) -> bool {
        self == Self::default()
    }

    /// By the next column.
    pub(crate) fn next(self) -> Self {
        let at = Column::ALL.iter().position(|column| *column == self.by);
        let by = Column::ALL[(at.unwrap_or_default() + 1) % Column::ALL.len()];
        Self { by, down: false }
    }

    /// The other way round.
    pub(crate) fn reversed(self) -> Self {
        Self {
            down: !self.down,
            ..self
        }
    }

    /// What decides where a row stands: the lesser stands above. Made once for each
    /// row that is sorted.
    pub(crate) fn key<'a>(self, asked: Asked<'a>) -> Key<'a> {
        let row = asked.row;
        let part = match self.by {
            Column::Device => Part::Id(&row.device_id),
            Column::State => Part::Rank(connection(row), ""),
            Column::Firmware => Part::Version(row.firmware.as_deref().unwrap_or_default()),
            Column::Phase => phase(asked),
            Column::Last => {
                let text = row.last_update.as_deref().unwrap_or_default();
                Part::Time(hub_time(text), text)
            }
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
}

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = match (&self.part, &other.part) {
            (Part::Id(a), Part::Id(b)) => a.cmp(b),
            (Part::Rank(a, x), Part::Rank(b, y)) => (a, x).cmp(&(b, y)),
            (Part::Version(a), Part::Version(b)) => natural(a, b),
            (Part::Time(a, x), Part::Time(b, y)) => (a, x).cmp(&(b, y)),
            (Part::Age(a), Part::Age(b)) => a.cmp(b),
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

    proptest! {
        #[test]
        fn it_is_an_order(mut texts in prop::collection::vec("[01a.é]{0,6}", 3)) {
            // A sort panics where an order contradicts itself; three suffice.
            texts.sort_by(|a, b| natural(a, b));
            prop_assert!(natural(&texts[0], &texts[2]).is_le());
        }
    }
}
