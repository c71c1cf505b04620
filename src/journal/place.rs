//! The folder that the journal lies in: who shares it, and what its file system
//! can do.
//!
//! | the folder | what is made in it |
//! |---|---|
//! | is not there yet | it is made, 0700 |
//! | others may write to it | nothing: they could put another journal in the place of ours |
//! | setgid, and its group may write (2770) | 0660 and the folder's group: several operators share it |
//! | anything else | 0600 |
//!
//! A folder that others may only list is used, with a remark: they see names and
//! times of files, and can read none of them. So is one whose group may write
//! without setgid: it is nobody's to share, because what one operator makes there
//! belongs to no group that the others are in.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

const SETGID: u32 = 0o2000;
const GROUP_WRITES: u32 = 0o020;
const GROUP_ALL: u32 = 0o070;
const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;

/// The state folder as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    folder: PathBuf,
    shared: bool,
    owner: u32,
    group: u32,
    network: Option<&'static str>,
    remark: Option<String>,
}

impl Place {
    /// Looks at the folder; makes it, for its owner alone, when it is not there.
    ///
    /// # Errors
    /// When it cannot be made or looked at, and when others may write to it: in
    /// words that say what to do.
    pub fn of(folder: &Path) -> Result<Self, String> {
        let shown = folder.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|e| format!("its folder {shown} cannot be made: {e}"))?;
        let looked = std::fs::metadata(folder);
        let found = looked.map_err(|e| format!("its folder {shown} cannot be read: {e}"))?;
        let mode = found.mode() & 0o7777;
        if mode & OTHERS_WRITE != 0 {
            return Err(format!(
                "everybody may write to its folder {shown} (mode {mode:o}), and so could put \
                 another journal there; run: chmod o-rwx {shown}"
            ));
        }
        Ok(Self {
            folder: folder.to_owned(),
            shared: mode & SETGID != 0 && mode & GROUP_ALL == GROUP_ALL,
            owner: found.uid(),
            group: found.gid(),
            network: network(folder),
            remark: remark(folder, mode),
        })
    }

    /// Do several operators share it?
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// What is odd about the folder, in a sentence that says what to do.
    #[must_use]
    pub fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    /// The same folder as if it were on that network file system.
    #[cfg(test)]
    pub(super) fn on(mut self, network: Option<&'static str>) -> Self {
        self.network = network;
        self
    }

    /// The network file system that it is on, if it is on one.
    pub(super) fn network(&self) -> Option<&'static str> {
        self.network
    }

    /// The rights of files that all who use this folder need.
    fn mode(&self) -> u32 {
        if self.shared { 0o660 } else { 0o600 }
    }

    /// Opens a file of the folder to append to it; makes it when it is not there.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn append(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(self.mode());
        let file = self.open(&mut options, OFlags::empty(), path)?;
        self.settle(&file, self.mode())?;
        Ok(file)
    }

    /// Opens what stands at `path`, and in a shared folder nothing that a link leads
    /// to: another operator could have made it, so that a file of ours gets the
    /// rights of these.
    fn open(&self, options: &mut OpenOptions, flags: OFlags, path: &Path) -> io::Result<File> {
        let link = match self.shared {
            true => OFlags::NOFOLLOW,
            false => OFlags::empty(),
        };
        let opened = options.custom_flags(bits(flags | link)).open(path);
        opened.map_err(|error| match self.shared && path.is_symlink() {
            true => io::Error::new(
                error.kind(),
                format!(
                    "{} is a link, which nobody follows in a folder that several share; remove it",
                    path.display()
                ),
            ),
            false => error,
        })
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    /// Gives a file that its writer alone may read its owner.
    pub(super) fn settle_private(&self, file: &File) -> io::Result<()> {
        self.settle(file, 0o600)
    }

    /// Makes a folder within the folder when it is not there: 0700, or in a
    /// shared one like that.
    pub(super) fn folder_within(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.folder.join(name);
        let mode = if self.shared { 0o2770 } else { 0o700 };
        DirBuilder::new().recursive(true).mode(mode).create(&path)?;
        let made = self.open(OpenOptions::new().read(true), OFlags::DIRECTORY, &path)?;
        self.settle(&made, mode)?;
        Ok(path)
    }

    /// Gives a file its rights. Only its owner can; for all others they stay as
    /// they are. The group gets rights only when it is the folder's. What root
    /// makes in somebody's folder is given to them, so that they are not locked
    /// out of their own journal.
    pub(super) fn settle(&self, file: &File, mode: u32) -> io::Result<()> {
        let me = rustix::process::geteuid().as_raw();
        let mut found = file.metadata()?;
        if found.uid() == me {
            let to = (me == 0 && self.owner != 0).then_some(self.owner);
            let group = (self.shared && found.gid() != self.group).then_some(self.group);
            if to.is_some() || group.is_some() {
                // Not one of that group: then it gets no rights either.
                let _ = fchown(file, to, group);
                found = file.metadata()?;
            }
        } else if me != 0 {
            return Ok(());
        }
        let group = !self.shared || found.gid() == self.group;
        let mode = if group { mode } else { mode & !0o2070 };
        if found.mode() & 0o7777 != mode {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        Ok(())
    }
}

/// The flags as `open` takes them: they are few and small.
pub(super) fn bits(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or_default()
}

/// Whose a file is, to say why it cannot be opened.
pub(super) fn whose(path: &Path) -> String {
    match std::fs::metadata(path) {
        Ok(found) => format!(" (it {})", described(&found)),
        Err(_) => String::new(),
    }
}

fn described(found: &Metadata) -> String {
    let mode = found.mode() & 0o7777;
    format!(
        "belongs to user {}, group {}, mode {mode:o}",
        found.uid(),
        found.gid()
    )
}

fn remark(folder: &Path, mode: u32) -> Option<String> {
    let shown = folder.display();
    if mode & OTHERS_READ != 0 {
        return Some(format!(
            "everybody may list the folder {shown} (mode {mode:o}); they cannot read its files. \
             To keep them out: chmod o-rwx {shown}"
        ));
    }
    (mode & GROUP_WRITES != 0 && mode & SETGID == 0).then(|| {
        format!(
            "the group of the folder {shown} may write to it (mode {mode:o}), and it is not \
             setgid, so nothing in it is shared. To share it: chmod 2770 {shown}; to keep it: \
             chmod 700 {shown}"
        )
    })
}

#[cfg(target_os = "linux")]
fn network(folder: &Path) -> Option<&'static str> {
    let found = rustix::fs::statfs(folder).ok()?;
    // Thirty-two bits count; some of the numbers come with their sign extended.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the low 32 bits are wanted"
    )]
    network_of(found.f_type as u32)
}

/// Elsewhere nobody tells; SQLite refuses the write-ahead log by itself where
/// shared memory is not to be had.
#[cfg(not(target_os = "linux"))]
fn network(_folder: &Path) -> Option<&'static str> {
    None
}

/// The file systems that other machines may have a part in, by the number that
/// `statfs` gives. A write-ahead log needs memory that all its users share, which
/// no two machines do. FUSE is among them, because sshfs, GlusterFS and
/// virtiofs are.
const NETWORK: [(u32, &str); 24] = [
    (0x0000_6969, "NFS"),
    (0x0000_517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9p"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x6573_5546, "FUSE"),
    (0x4750_4653, "GPFS"),
    (0x7375_7245, "Coda"),
    (0x0000_564c, "NCP"),
    (0x1983_0326, "BeeGFS"),
    (0x2003_0528, "OrangeFS"),
    (0xaad7_aaea, "PanFS"),
    (0x6163_6673, "ACFS"),
    (0x0131_11a8, "IBRIX"),
    (0xbeef_dead, "StorNext"),
    (0xbacb_acbc, "a VMware shared folder"),
    (0x786f_4256, "a VirtualBox shared folder"),
    (0x7c7c_6673, "a Parallels shared folder"),
];

/// The network file system of that number.
fn network_of(number: u32) -> Option<&'static str> {
    let known = NETWORK.iter().find(|(known, _)| *known == number);
    known.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(0x6969, Some("NFS"))]
    #[case(0xff53_4d42, Some("CIFS"))]
    #[case(0x6573_5546, Some("FUSE"))]
    #[case(0x0102_1994, None)] // tmpfs
    #[case(0xef53, None)] // ext4
    #[case(0x5846_5342, None)] // XFS
    #[case(0x9123_683e, None)] // Btrfs
    #[case(0x794c_7630, None)] // overlayfs
    #[case(0x2fc1_2fc1, None)] // ZFS
    fn file_systems(#[case] number: u32, #[case] want: Option<&str>) {
        assert_eq!(network_of(number), want);
    }

    #[test]
    fn each_file_system_is_there_once() {
        let mut numbers = NETWORK.map(|(number, _)| number);
        numbers.sort_unstable();
        assert!(numbers.is_sorted_by(|a, b| a < b));
    }

    /// A folder of that mode, and what is made in it.
    fn of(mode: u32) -> (tempfile::TempDir, Result<Place, String>) {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("state");
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
        let place = Place::of(&folder);
        (outer, place)
    }

    fn mode_of(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[rstest::rstest]
    #[case(0o700, 0o600, 0o700, false)]
    #[case(0o750, 0o600, 0o700, false)]
    #[case(0o755, 0o600, 0o700, true)]
    #[case(0o770, 0o600, 0o700, true)]
    #[case(0o2750, 0o600, 0o700, false)]
    #[case(0o2770, 0o660, 0o2770, false)]
    #[case(0o2771, 0o660, 0o2770, false)]
    #[case(0o2775, 0o660, 0o2770, true)]
    fn modes(#[case] mode: u32, #[case] file: u32, #[case] within: u32, #[case] odd: bool) {
        let (_outer, place) = of(mode);
        let place = place.unwrap();
        assert_eq!(place.remark().is_some(), odd, "{:?}", place.remark());
        let path = place.folder.join("f");
        place.append(&path).unwrap();
        assert_eq!(mode_of(&path), file);
        assert_eq!(mode_of(&place.folder_within("s").unwrap()), within);
        // A file from a time when the folder was another's.
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        place.append(&path).unwrap();
        assert_eq!(mode_of(&path), file);
    }

    /// Another operator could link to any file of ours, to have it opened up.
    #[rstest::rstest]
    #[case::shared(0o2770, true)]
    #[case::private(0o700, false)]
    fn no_link_is_followed_where_others_may_make_one(#[case] mode: u32, #[case] refused: bool) {
        let (outer, place) = of(mode);
        let place = place.unwrap();
        let (file, folder) = (outer.path().join("mine"), outer.path().join("ours"));
        std::fs::write(&file, "").unwrap();
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(&file, place.folder.join("f")).unwrap();
        std::os::unix::fs::symlink(&folder, place.folder.join("s")).unwrap();
        let append = place.append(&place.folder.join("f")).map(drop);
        let within = place.folder_within("s").map(drop);
        for done in [append, within] {
            assert_eq!(done.is_err(), refused, "{done:?}");
            if let Err(error) = done {
                assert!(error.to_string().contains("is a link"), "{error}");
            }
        }
        assert_eq!((mode_of(&file), mode_of(&folder)), (0o600, 0o700));
    }

    #[rstest::rstest]
    #[case(0o777)]
    #[case(0o1777)]
    #[case(0o702)]
    #[case(0o2773)]
    fn a_folder_that_everybody_may_write_to_is_refused(#[case] mode: u32) {
        let (_outer, place) = of(mode);
        let error = place.unwrap_err();
        assert!(error.contains("chmod o-rwx"), "{error}");
    }
}
