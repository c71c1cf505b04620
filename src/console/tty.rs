//! The terminal's descriptors, used so that nothing here ever waits for it.
//!
//! A terminal may stand still: a connection hangs, somebody has stopped its
//! output. A plain write then waits for ever, and with it whoever writes. So
//! output goes through a descriptor of its own that does not block. The flag that
//! says so belongs to an open file, and those of stdin and stdout are shared with
//! the shell: hence the terminal is opened once more.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

/// The way out to the terminal on stdout.
#[derive(Debug)]
pub(super) struct Out {
    tty: OwnedFd,
    /// Bytes of one write. A descriptor that blocks takes one: whether there is
    /// room for one can be asked, whether for more cannot.
    at_once: usize,
}

impl Out {
    /// Opens stdout's terminal once more; shares stdout where it may not be
    /// opened (after `su`, for example).
    pub(super) fn open() -> io::Result<Self> {
        if let Some(tty) = reopen() {
            let at_once = usize::MAX;
            return Ok(Self { tty, at_once });
        }
        let tty = rustix::io::dup(rustix::stdio::stdout())?;
        Ok(Self { tty, at_once: 1 })
    }

    /// Writes what there is room for, without waiting; how much that was.
    ///
    /// # Errors
    /// When the terminal has gone.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            if self.at_once == 1 && !is_ready(self.tty.as_fd(), PollFlags::OUT, Duration::ZERO) {
                break;
            }
            let end = bytes.len().min(sent.saturating_add(self.at_once));
            match rustix::io::write(&self.tty, &bytes[sent..end]) {
                Ok(0) => break,
                Ok(n) => sent += n,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    /// Writes, waiting no longer than `patience` for room; what was not written.
    pub(super) fn write_within<'a>(&self, bytes: &'a [u8], patience: Duration) -> &'a [u8] {
        let began = Instant::now();
        let mut rest = bytes;
        loop {
            match self.write(rest) {
                Ok(n) => rest = &rest[n..],
                // It has gone; nothing will ever be written.
                Err(_) => return rest,
            }
            let left = patience.saturating_sub(began.elapsed());
            if rest.is_empty() || left.is_zero() {
                return rest;
            }
            is_ready(self.tty.as_fd(), PollFlags::OUT, left);
        }
    }
}

impl AsFd for Out {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tty.as_fd()
    }
}

impl std::os::fd::AsRawFd for Out {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.tty.as_raw_fd()
    }
}

fn reopen() -> Option<OwnedFd> {
    let out = rustix::stdio::stdout();
    let name = rustix::termios::ttyname(out, Vec::new()).ok();
    let name = name.and_then(|name| name.into_string().ok().map(PathBuf::from));
    let same = |path: PathBuf| {
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(flags.cast_signed());
        let tty = OwnedFd::from(options.open(path).ok()?);
        let (ours, theirs) = (rustix::fs::fstat(out).ok()?, rustix::fs::fstat(&tty).ok()?);
        (ours.st_rdev == theirs.st_rdev).then_some(tty)
    };
    // The second is the same where the first is not in this file system.
    name.and_then(same)
        .or_else(|| same(PathBuf::from("/proc/self/fd/1")))
}

/// Can something be read or written, or has it gone? Waits so long for that.
pub(super) fn is_ready(tty: BorrowedFd<'_>, what: PollFlags, patience: Duration) -> bool {
    let mut asked = [PollFd::new(&tty, what)];
    let patience = Timespec::try_from(patience).unwrap_or_default();
    matches!(poll(&mut asked, Some(&patience)), Ok(1..))
}

/// Is the terminal ours to change? In the background it is the shell's; whoever
/// changes it nevertheless is stopped. Without job control it is ours.
pub(super) fn is_ours() -> bool {
    match rustix::termios::tcgetpgrp(rustix::stdio::stdin()) {
        Ok(foreground) => foreground == rustix::process::getpgrp(),
        Err(_) => true,
    }
}

/// How many columns and rows stdout's terminal has.
pub(super) fn size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// Does what the terminal on stdout answers come to stdin? Otherwise somebody else
/// would get it.
pub(super) fn answers_come_here() -> bool {
    let device = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).map(|stat| stat.st_rdev).ok();
    let [from, to] = [rustix::stdio::stdin(), rustix::stdio::stdout()].map(device);
    // By this name it is our own terminal, whichever that is.
    let own = rustix::fs::stat("/dev/tty").map(|stat| stat.st_rdev).ok();
    from.is_some() && (from == to || from == own)
}

/// Does this error say that the terminal is not there any more?
pub(super) fn has_gone(error: &io::Error) -> bool {
    let gone =
        [rustix::io::Errno::IO, rustix::io::Errno::NXIO].map(rustix::io::Errno::raw_os_error);
    error.kind() == ErrorKind::BrokenPipe || error.raw_os_error().is_some_and(|n| gone.contains(&n))
}
