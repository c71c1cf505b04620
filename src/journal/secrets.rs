//! What the journal must not hold: the whole URIs of packages whose signatures
//! are secret.
//!
//! ```text
//!  before the intent commits ─► secrets/<SHA-256 of the URI>, 0600 ─► its last open update has ended
//! ```
//!
//! A later process finds the URI of an update that is still open there, so that
//! an update which went wrong can be begun again. All changes are made while the
//! journal is locked for writing: no process removes what another is about to
//! rely on. A file whose process died in between is swept up at the next start.

use std::collections::{BTreeSet, HashMap};
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::OFlags;

use crate::domain::evidence::sha256;
use crate::domain::uri::PackageUri;

use super::place::{Place, bits};

const FOLDER: &str = "secrets";
/// A file that is being written, and is not one yet.
const UNFINISHED: &str = ".new";
/// More than any URI that is taken.
const MAX_FILE: u64 = 64 << 10;

/// Where whole URIs are kept.
#[derive(Debug)]
pub(super) enum Secrets {
    /// In files.
    Files(Place),
    /// In this process alone.
    Memory(HashMap<String, PackageUri>),
}

/// Does the URI hold anything that the journal does not?
pub(super) fn is_secret(uri: &PackageUri) -> bool {
    // A fragment is not shown either, and leaves no sign of it.
    uri.holds_secrets() || uri.expose().contains('#')
}

/// Is it the name of such a file? Nothing else is ever touched.
fn is_name(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

impl Secrets {
    /// Keeps a URI; tells under which name, if it was not there yet.
    pub(super) fn keep(&mut self, uri: &PackageUri) -> io::Result<Option<String>> {
        let name = sha256(uri.expose());
        if !is_secret(uri) || self.find(&name).is_some() {
            return Ok(None);
        }
        match self {
            Self::Memory(known) => {
                known.insert(name.clone(), uri.clone());
            }
            Self::Files(place) => write(place, &name, uri)?,
        }
        Ok(Some(name))
    }

    /// The URI of that hash, if it is here and may be read.
    pub(super) fn find(&self, name: &str) -> Option<PackageUri> {
        match self {
            Self::Memory(known) => known.get(name).cloned(),
            Self::Files(place) if is_name(name) => {
                let path = place.path().join(FOLDER).join(name);
                let file = OpenOptions::new()
                    .read(true)
                    .custom_flags(bits(OFlags::NOFOLLOW | OFlags::NONBLOCK))
                    .open(path);
                let mut text = String::new();
                file.ok()?.take(MAX_FILE).read_to_string(&mut text).ok()?;
                // Whoever shares the folder could have put anything there.
                let uri = PackageUri::parse(&text).ok()?;
                (sha256(uri.expose()) == name).then_some(uri)
            }
            Self::Files(_) => None,
        }
    }

    /// Is there one of that hash? It may be another operator's, who alone can
    /// read it.
    pub(super) fn holds(&self, name: &str) -> bool {
        match self {
            Self::Memory(known) => known.contains_key(name),
            Self::Files(place) => {
                let path = place.path().join(FOLDER).join(name);
                is_name(name) && path.symlink_metadata().is_ok()
            }
        }
    }

    /// Removes the URI of that hash.
    pub(super) fn forget(&mut self, name: &str) -> io::Result<()> {
        match self {
            Self::Memory(known) => {
                known.remove(name);
                Ok(())
            }
            Self::Files(place) => remove(place.path().join(FOLDER).join(name)),
        }
    }

    /// The hashes of all that are here, and of those that were left half written.
    fn names(&self) -> Vec<String> {
        match self {
            Self::Memory(known) => known.keys().cloned().collect(),
            Self::Files(place) => {
                let Ok(entries) = std::fs::read_dir(place.path().join(FOLDER)) else {
                    return Vec::new();
                };
                let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
                let ours = |name: &String| is_name(name.trim_end_matches(UNFINISHED));
                names.filter(ours).collect()
            }
        }
    }

    /// Is anything here?
    pub(super) fn is_empty(&self) -> bool {
        self.names().is_empty()
    }

    /// Removes all that no open update needs.
    pub(super) fn sweep(&mut self, needed: &BTreeSet<String>) -> io::Result<()> {
        let mut names = self.names();
        names.retain(|name| !needed.contains(name));
        names.iter().try_for_each(|name| self.forget(name))
    }
}

/// Writes the file to the disk, or nothing.
fn write(place: &Place, name: &str, uri: &PackageUri) -> io::Result<()> {
    let folder = place.folder_within(FOLDER)?;
    let new = folder.join(format!("{name}{UNFINISHED}"));
    remove(new.clone())?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    let written = file
        .write_all(uri.expose().as_bytes())
        .and_then(|()| place.settle_private(&file))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&new, folder.join(name)));
    if written.is_err() {
        // What is wrong is told; this is swept up at the next start.
        let _ = remove(new);
    }
    written
}

fn remove(path: PathBuf) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    const SIGNED: &str = "https://x.test/fw?sv=1&sig=SIGNATURE";

    fn uri(text: &str) -> PackageUri {
        PackageUri::parse(text).unwrap()
    }

    #[test]
    fn what_is_kept_is_for_its_owner_alone_and_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(folder.path()).unwrap();
        let mut secrets = Secrets::Files(place.clone());
        let name = secrets.keep(&uri(SIGNED)).unwrap().unwrap();
        assert_eq!(name, sha256(SIGNED));
        assert_eq!(secrets.keep(&uri(SIGNED)).unwrap(), None, "it is there");
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().mode() & 0o777;
        let kept = folder.path().join(FOLDER);
        assert_eq!(mode(kept.clone()), 0o700);
        assert_eq!(mode(kept.join(&name)), 0o600);
        assert_eq!(Secrets::Files(place).find(&name), Some(uri(SIGNED)));
        secrets.forget(&name).unwrap();
        assert_eq!(secrets.find(&name), None);
        assert!(!kept.join(&name).exists());
        secrets.forget(&name).unwrap();
    }

    #[rstest::rstest]
    #[case("https://x.test/fw", false)]
    #[case("https://x.test/fw?v=1.4", false)]
    #[case("https://x.test/fw?token=a", true)]
    #[case("https://me:pw@x.test/fw", true)]
    #[case("https://x.test/fw#token", true)]
    fn only_what_is_secret_needs_a_file(#[case] text: &str, #[case] want: bool) {
        let folder = tempfile::tempdir().unwrap();
        let mut secrets = Secrets::Files(Place::of(folder.path()).unwrap());
        assert_eq!(secrets.keep(&uri(text)).unwrap().is_some(), want);
        assert_eq!(folder.path().join(FOLDER).exists(), want);
    }

    #[test]
    fn what_somebody_else_put_there_is_no_uri_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let mut secrets = Secrets::Files(Place::of(folder.path()).unwrap());
        secrets.keep(&uri(SIGNED)).unwrap();
        let kept = folder.path().join(FOLDER);
        let other = sha256("https://x.test/other?sig=A");
        std::fs::write(kept.join(&other), "https://evil.test/fw?sig=A").unwrap();
        assert_eq!(secrets.find(&other), None);
        let link = sha256("https://x.test/link?sig=A");
        symlink(kept.join(sha256(SIGNED)), kept.join(&link)).unwrap();
        assert_eq!(secrets.find(&link), None);
        assert_eq!(secrets.find("../journal.db"), None);
    }

    #[test]
    fn orphans_are_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut secrets = Secrets::Files(Place::of(folder.path()).unwrap());
        let needed = secrets.keep(&uri(SIGNED)).unwrap().unwrap();
        let orphan = secrets
            .keep(&uri("https://x.test/o?sig=A"))
            .unwrap()
            .unwrap();
        let kept = folder.path().join(FOLDER);
        let half = kept.join(format!("{orphan}{UNFINISHED}"));
        std::fs::write(&half, "https://").unwrap();
        std::fs::write(kept.join("notes.txt"), "mine").unwrap();
        secrets.sweep(&BTreeSet::from([needed.clone()])).unwrap();
        assert!(kept.join(needed).exists() && kept.join("notes.txt").exists());
        assert!(!kept.join(orphan).exists() && !half.exists());
    }
}
