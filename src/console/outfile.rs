//! A text that is copied to a file: a new one, for its owner alone.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::clipboard::Clip;
use super::text::safe;

/// Writes it; what is to be said of that. May take long: a file may be anywhere.
pub(super) fn write(clip: &Clip, path: &Path) -> String {
    let path = &at_home(path);
    let shown = safe(&path.display().to_string());
    match create(path, &clip.text) {
        Ok(()) => format!("Copied {} to {shown}.", clip.what),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            format!("Not copied: {shown} is there already, and stays as it is. Name another file.")
        }
        Err(error) => {
            let why = safe(&error.to_string());
            format!("Not copied: {shown} cannot be written: {why}.")
        }
    }
}

/// The path, with the user's folder where it begins with `~/`: no shell does that here.
fn at_home(path: &Path) -> PathBuf {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    match (path.strip_prefix("~"), home) {
        (Ok(below), Some(home)) => Path::new(&home).join(below),
        _ => path.to_owned(),
    }
}

/// Makes the file with the text and a line's end. Where that fails half-way, nothing
/// is left of it.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path)?;
    let written = file
        .write_all(text.trim_end_matches('\n').as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        // Else a file system that is full, or far away, may say so too late.
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // Why it could not be written is what matters.
        let _ = std::fs::remove_file(path);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_new_and_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("twin.json");
        let clip = Clip::new("the twin of sim-1".into(), "{}\n");
        let said = write(&clip, &path);
        assert_eq!(
            said,
            format!("Copied the twin of sim-1 to {}.", path.display())
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = Clip::new("the id of sim-1".into(), "sim-1");
        let said = write(&other, &path);
        assert!(said.contains("is there already"), "{said}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n");
    }

    #[test]
    fn what_cannot_be_written_is_said() {
        let clip = Clip::new("the id of sim-1".into(), "sim-1");
        let said = write(&clip, Path::new("/nonexistent/id"));
        assert!(
            said.starts_with("Not copied: /nonexistent/id cannot be written"),
            "{said}"
        );
        // Not through a link either, wherever it leads.
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("target"), &link).unwrap();
        let said = write(&clip, &link);
        assert!(said.contains("is there already"), "{said}");
        assert!(!folder.path().join("target").exists());
    }
}
