//! The columns of the table: which there are, and which of them are shown.

use std::borrow::Cow;
use std::sync::Arc;

use crate::console::text::safe;

/// What the column of one tag is called: `tag:site`.
const TAG: &str = "tag:";
/// More columns than these fit on no screen.
const MOST: usize = 24;
/// Bytes of a tag's path.
const LONGEST: usize = 120;

/// A column of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// All its tags.
    Tags,
    /// One tag, by its path.
    Tag(Arc<str>),
    /// How old the row is.
    Age,
}

impl Column {
    /// All that have a fixed name.
    pub(crate) const NAMED: [Self; 7] = [
        Self::Device,
        Self::State,
        Self::Firmware,
        Self::Phase,
        Self::Last,
        Self::Tags,
        Self::Age,
    ];

    /// The column of that name, or the only one whose name begins so.
    pub(crate) fn named(name: &str) -> Option<Self> {
        if let Some(path) = name.strip_prefix(TAG) {
            let odd = |c: char| c.is_whitespace() || c == ',' || c == '=';
            let fine = !path.is_empty() && path.len() <= LONGEST && !path.contains(odd);
            return (fine && safe(path) == path).then(|| Self::Tag(path.into()));
        }
        let mut begins = Self::NAMED
            .into_iter()
            .filter(|c| c.name().starts_with(name));
        let first = begins.next().filter(|_| !name.is_empty())?;
        begins.next().is_none().then_some(first)
    }

    /// The column of that name, or what is wrong with it in words.
    pub(crate) fn read(name: &str) -> Result<Self, String> {
        Self::named(name).ok_or_else(|| {
            let near = |column: &Self| strsim::damerau_levenshtein(name, &column.name());
            let near = Self::NAMED
                .into_iter()
                .filter(|column| near(column) <= 2)
                .min_by_key(near);
            let near = near.map_or(String::new(), |c| format!("did you mean {}? ", c.name()));
            format!("no column {:?}; {near}there are {}", safe(name), names())
        })
    }

    /// Its name in commands and in the configuration.
    pub(crate) fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Device => "device",
            Self::State => "state",
            Self::Firmware => "firmware",
            Self::Phase => "phase",
            Self::Last => "last",
            Self::Tags => "tags",
            Self::Tag(path) => return Cow::Owned(format!("{TAG}{path}")),
            Self::Age => "age",
        })
    }
}

/// What columns are called, for whoever named one that is none.
fn names() -> String {
    let names = Column::NAMED.map(|column| column.name());
    format!("{} and {TAG}NAME", names.join(", "))
}

/// The columns that are shown, in their order, each once. The device is always one
/// of them: an order is given to what its line names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns(Vec<Column>);

impl Default for Columns {
    fn default() -> Self {
        let mut all = Column::NAMED.to_vec();
        all.retain(|column| *column != Column::Tags);
        Self(all)
    }
}

impl Columns {
    /// The columns of these names.
    ///
    /// # Errors
    /// Names what is no column, and what is there twice.
    pub(crate) fn of<'a>(typed: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut columns = Vec::new();
        for name in typed {
            let column = Column::read(name)?;
            if columns.contains(&column) {
                return Err(format!("the column {} is named twice", column.name()));
            }
            columns.push(column);
        }
        if columns.is_empty() {
            return Err(format!("no column is named; there are {}", names()));
        }
        if !columns.contains(&Column::Device) {
            columns.insert(0, Column::Device);
        }
        match columns.len() > MOST {
            true => Err(format!(
                "{} columns are named; {MOST} are the most",
                columns.len()
            )),
            false => Ok(Self(columns)),
        }
    }

    /// The columns of a text such as `device,phase,tag:site`.
    ///
    /// # Errors
    /// As [`Columns::of`].
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let names = text.split([',', ' ']).map(str::trim);
        Self::of(names.filter(|name| !name.is_empty()))
    }

    /// Them, in their order.
    pub(crate) fn all(&self) -> &[Column] {
        &self.0
    }

    /// Is this one of them?
    pub(crate) fn holds(&self, column: &Column) -> bool {
        self.0.contains(column)
    }

    /// Their names, as they are typed.
    pub(crate) fn text(&self) -> String {
        let names: Vec<_> = self.0.iter().map(Column::name).collect();
        names.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(
        "device,state,firmware,phase,last,age",
        "device,state,firmware,phase,last,age"
    )]
    #[case("phase, dev", "phase,device")]
    #[case("tag:site,tags", "device,tag:site,tags")]
    #[case("tag:place.line,tag:Ort_Süd", "device,tag:place.line,tag:Ort_Süd")]
    fn columns_are_read_and_told_again(#[case] typed: &str, #[case] want: &str) {
        let columns = Columns::read(typed).unwrap();
        assert_eq!(columns.text(), want);
        assert_eq!(Columns::read(&columns.text()), Ok(columns));
    }

    #[rstest::rstest]
    #[case("device,frimware", "no column \"frimware\"; did you mean firmware?")]
    #[case("colour", "no column \"colour\"; there are device, state,")]
    #[case("phase,age,ph", "phase is named twice")]
    #[case(" , ", "no column is named")]
    #[case("tag:", "no column \"tag:\"")]
    #[case("tag:a\u{202e}b", "no column")]
    #[case("tag:a=b", "no column")]
    fn mistakes_are_named(#[case] typed: &str, #[case] told: &str) {
        let error = Columns::read(typed).unwrap_err();
        assert!(error.contains(told), "{error}");
        assert!(!error.contains('\u{202e}'), "{error:?}");
    }

    #[test]
    fn there_is_a_most() {
        let many: Vec<String> = (0..MOST + 1).map(|n| format!("tag:t{n}")).collect();
        let error = Columns::read(&many.join(",")).unwrap_err();
        assert!(error.contains("the most"), "{error}");
    }

    #[test]
    fn the_default_is_what_its_names_say() {
        let columns = Columns::default();
        assert_eq!(columns.text(), "device,state,firmware,phase,last,age");
        assert_eq!(Columns::read(&columns.text()), Ok(columns));
    }
}
