//! A stand-in for Entra ID: bearer tokens that a file names.
//!
//! A real hub looks at who signed a token, for whom, until when, and at the roles of
//! the account. None of that is done here: whoever sends a token that stands in the
//! file may do everything. It is for trying the way of a token over the wire, not for
//! trying roles.

use std::path::PathBuf;

/// The file, read anew for each request: tokens may come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bearers(PathBuf);

impl Bearers {
    pub(super) fn new(file: PathBuf) -> Self {
        Self(file)
    }

    /// Does the file hold the token of this header? `None` when it is no bearer's.
    pub(super) fn knows(&self, header: &str) -> Option<bool> {
        let token = bearer(header)?;
        // A file that cannot be read knows nobody.
        let known = std::fs::read_to_string(&self.0).unwrap_or_default();
        Some(is_among(token, &known))
    }
}

/// The token of `Authorization: Bearer …`.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// Is the token one of the lines?
fn is_among(token: &str, lines: &str) -> bool {
    !token.is_empty() && lines.lines().any(|line| line.trim() == token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("Bearer t1", Some(true))]
    #[case("bearer  t2 ", Some(true))]
    #[case("Bearer t3", Some(false))]
    #[case("Bearer ", Some(false))]
    #[case("Bearer", None)]
    #[case("SharedAccessSignature sr=h&sig=t1&se=1", None)]
    fn tokens_are_lines_of_the_file(#[case] header: &str, #[case] known: Option<bool>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        std::fs::write(&file, "t1\n\n t2\n").unwrap();
        assert_eq!(Bearers::new(file).knows(header), known);
        let nowhere = Bearers::new(folder.path().join("none"));
        assert_eq!(nowhere.knows(header), known.map(|_| false));
    }
}
