//! Device ids and update ids.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest device id that IoT Hub takes, in characters.
pub const MAX_DEVICE_ID: usize = 128;

/// A device id as IoT Hub allows it: 1 to 128 characters out of ASCII letters,
/// digits and `- : . + % _ # * ? ! ( ) , = @ ; $ '`, case kept. Not `.` and `..`, which
/// no URL can name.
///
/// Source: `DeviceId` pattern of the Azure IoT C# service SDK
/// (`^[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}$`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(String);

/// Why a text is no device id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDeviceId {
    /// Nothing was given.
    #[error("a device id is empty")]
    Empty,
    /// More than 128 characters.
    #[error("a device id has {0} characters; IoT Hub allows 128")]
    TooLong(usize),
    /// A character outside the allowed set.
    #[error(
        "a device id holds {0:?}; allowed are letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ '"
    )]
    Character(char),
    /// `.` or `..`: the path of a request would lead elsewhere.
    #[error("no request can name a device {0:?}: in a URL that means a folder")]
    Dots(String),
}

impl DeviceId {
    /// Checks `text` and takes it as a device id.
    ///
    /// # Errors
    /// [`InvalidDeviceId`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidDeviceId> {
        if text.is_empty() {
            return Err(InvalidDeviceId::Empty);
        }
        if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
            return Err(InvalidDeviceId::Character(bad));
        }
        if matches!(text, "." | "..") {
            return Err(InvalidDeviceId::Dots(text.to_owned()));
        }
        match text.chars().count() {
            n if n > MAX_DEVICE_ID => Err(InvalidDeviceId::TooLong(n)),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-:.+%_#*?!(),=@;$'".contains(c)
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DeviceId {
    type Error = InvalidDeviceId;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> Self {
        id.0
    }
}

impl std::str::FromStr for DeviceId {
    type Err = InvalidDeviceId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Names one update: one intent to put one package on one device. A UUID of
/// version 7, so ids sort by the time of their making.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UpdateId(String);

impl UpdateId {
    /// A new id, never given before.
    #[must_use]
    pub fn fresh() -> Self {
        Self(uuid::Uuid::now_v7().to_string())
    }

    /// Takes an id that was made before, for example one read from the journal.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UpdateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("press-0042", None)]
    #[case("$(id);'", None)]
    #[case("-=@", None)]
    #[case("...", None)]
    #[case("..", Some(InvalidDeviceId::Dots("..".into())))]
    #[case(".", Some(InvalidDeviceId::Dots(".".into())))]
    #[case("", Some(InvalidDeviceId::Empty))]
    #[case("a b", Some(InvalidDeviceId::Character(' ')))]
    #[case("a/b", Some(InvalidDeviceId::Character('/')))]
    #[case("é", Some(InvalidDeviceId::Character('é')))]
    #[case("a\u{1b}", Some(InvalidDeviceId::Character('\u{1b}')))]
    fn device_ids(#[case] text: &str, #[case] problem: Option<InvalidDeviceId>) {
        assert_eq!(DeviceId::parse(text).err(), problem);
    }

    #[test]
    fn the_length_limit_is_128() {
        assert!(DeviceId::parse(&"x".repeat(128)).is_ok());
        assert_eq!(
            DeviceId::parse(&"x".repeat(129)),
            Err(InvalidDeviceId::TooLong(129))
        );
    }
}
