//! Who holds a lease, and whether that process still lives.

use std::fmt;

/// A process that works on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The person, as far as the system tells: `user@host`.
    pub by: String,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// When that process started, in the system's own terms, so that another
    /// process of the same number is not taken for it.
    pub started: String,
    /// Since when it holds the lease.
    pub since: String,
}

impl Holder {
    /// This process.
    pub(super) fn this_process(by: &str) -> Self {
        let pid = std::process::id();
        Self {
            by: by.to_owned(),
            host: host(),
            pid,
            started: started(pid).unwrap_or_default(),
            since: String::new(),
        }
    }

    /// Is this the same process?
    pub(super) fn is(&self, other: &Self) -> bool {
        (&self.host, self.pid, &self.started) == (&other.host, other.pid, &other.started)
    }

    /// Does the process still live? On another machine nobody can tell, so it
    /// counts as living.
    pub(super) fn lives(&self) -> bool {
        if self.host != host() {
            return true;
        }
        match started(self.pid) {
            Some(started) => started == self.started,
            None => false,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (process {} on {}) since {}",
            self.by, self.pid, self.host, self.since
        )
    }
}

fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// When a living process started; `None` when there is none of that number.
#[cfg(target_os = "linux")]
fn started(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and parentheses; fields count from after it. The
    // state is the first of them, the start time the twentieth.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let ticks = fields.nth(18)?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    (state != "Z").then(|| format!("{} {ticks}", boot.trim()))
}

/// Without `/proc` only the number tells.
#[cfg(not(target_os = "linux"))]
fn started(pid: u32) -> Option<String> {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)?;
    match rustix::process::test_kill_process(pid) {
        Ok(()) | Err(rustix::io::Errno::PERM) => Some(String::new()),
        Err(_) => None,
    }
}
