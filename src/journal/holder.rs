//! Who holds a lease, and whether that process still lives.
//!
//! # How a dead process's lease ends
//!
//! | the holder's place | it lives as long as |
//! |---|---|
//! | this kernel and this pid namespace | there is a process of its number and start time |
//! | another machine, another namespace, a process that may not be looked at | its heartbeat is younger than [`SILENCE`] |
//!
//! A process that is only stopped lives. A machine that was started again is
//! another place, because its old process numbers say nothing: the lease ends
//! when the heartbeat has been silent for long enough.
//!
//! # What holds when clocks differ
//!
//! The heartbeat is stamped by the holder's clock and judged by the reader's. As
//! long as the two differ by less than [`SILENCE`] less one [`BEAT`], a living
//! holder is never taken for dead, and a dead one's lease ends after
//! [`SILENCE`] and the difference at the latest. A stamp that lies further in
//! the future than [`SILENCE`] counts as silence, so that a clock that runs ahead
//! keeps no device for ever.
//!
//! A living holder that is taken for dead, by such a clock or because its machine
//! slept, costs it the watching and nothing else: another process may *watch*
//! its update then. Nobody can start another update without giving that one up
//! by a typed confirmation, and the old holder must ask the journal before each
//! order that it sends, which tells it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::holding;

/// How often a holder gives a sign of life.
pub(super) const BEAT: Duration = Duration::from_secs(20);
/// A holder that cannot be looked up and was silent for so long is dead.
const SILENCE: SignedDuration = SignedDuration::from_mins(3);

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
    /// Where the number means that process: the running kernel and its pid
    /// namespace. Empty when that cannot be told.
    pub place: String,
    /// Since when it holds the lease.
    pub since: String,
    /// Its last sign of life, by its own clock.
    pub beat: String,
}

/// What a process number turns out to be.
enum Found {
    Gone,
    Started(String),
    /// It exists, and may not be looked at.
    Hidden,
}

impl Holder {
    /// This process.
    pub(super) fn this_process(by: &str) -> Self {
        let pid = std::process::id();
        let started = match find(pid) {
            Found::Started(at) => at,
            Found::Gone | Found::Hidden => String::new(),
        };
        Self {
            by: by.to_owned(),
            host: host(),
            pid,
            started,
            place: place(),
            since: String::new(),
            beat: String::new(),
        }
    }

    /// Is this the same process?
    pub(super) fn is(&self, other: &Self) -> bool {
        let whole = |h: &Self| (h.host.clone(), h.place.clone(), h.pid, h.started.clone());
        whole(self) == whole(other)
    }

    /// Does the process still live, as far as can be told at that time?
    pub(super) fn lives(&self, now: Timestamp) -> bool {
        self.looked_up().unwrap_or_else(|| self.is_heard(now))
    }

    /// Does it live, if it can be looked up from here?
    fn looked_up(&self) -> Option<bool> {
        if self.place.is_empty() || self.place != place() {
            return None;
        }
        match find(self.pid) {
            Found::Gone => Some(false),
            Found::Started(at) => Some(at == self.started),
            Found::Hidden => None,
        }
    }

    fn is_heard(&self, now: Timestamp) -> bool {
        let beat = self.beat.parse::<Timestamp>();
        beat.is_ok_and(|beat| now.duration_since(beat).abs() <= SILENCE)
    }

    /// The process in the words of the domain.
    pub(super) fn process(&self) -> holding::Process {
        let unseen = self.looked_up().is_none();
        holding::Process {
            pid: self.pid,
            host: self.host.clone(),
            beat: unseen.then(|| self.beat.parse().ok()).flatten(),
        }
    }
}

fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The running kernel and the pid namespace of this process.
#[cfg(target_os = "linux")]
fn place() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let space = std::fs::read_link("/proc/self/ns/pid");
    match (boot, space) {
        (Ok(boot), Ok(space)) => format!("{} {}", boot.trim(), space.display()),
        _ => String::new(),
    }
}

/// Without `/proc` the machine's name has to do.
#[cfg(not(target_os = "linux"))]
fn place() -> String {
    host()
}

/// What a process number is here and now.
fn find(pid: u32) -> Found {
    let number = i32::try_from(pid).ok();
    let Some(number) = number.and_then(rustix::process::Pid::from_raw) else {
        return Found::Gone;
    };
    match rustix::process::test_kill_process(number) {
        Ok(()) | Err(rustix::io::Errno::PERM) => started(pid),
        Err(_) => Found::Gone,
    }
}

/// When a process that exists started.
#[cfg(target_os = "linux")]
fn started(pid: u32) -> Found {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return Found::Hidden;
    };
    // The name may hold spaces and parentheses; fields count from after it. The
    // state is the first of them, the start time the twentieth.
    let after = stat.rsplit_once(')').map(|(_, after)| after);
    let mut fields = after.unwrap_or_default().split_whitespace();
    match (fields.next(), fields.nth(18)) {
        (Some("Z" | "X"), _) => Found::Gone,
        (Some(_), Some(ticks)) => Found::Started(ticks.to_owned()),
        _ => Found::Hidden,
    }
}

/// Without `/proc` only the number tells.
#[cfg(not(target_os = "linux"))]
fn started(_: u32) -> Found {
    Found::Started(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elsewhere(beat: &str) -> Holder {
        Holder {
            place: "another kernel".into(),
            beat: beat.into(),
            ..Holder::this_process("ana")
        }
    }

    #[rstest::rstest]
    #[case("2026-01-01T12:00:00Z", true)]
    #[case("2026-01-01T11:57:00Z", true)]
    #[case("2026-01-01T11:56:59Z", false)]
    #[case("2026-01-01T12:03:00Z", true)]
    #[case("2026-01-01T12:03:01Z", false)]
    #[case("", false)]
    fn one_of_another_place_lives_by_its_heartbeat(#[case] beat: &str, #[case] lives: bool) {
        let noon = "2026-01-01T12:00:00Z".parse().unwrap();
        assert_eq!(elsewhere(beat).lives(noon), lives);
    }

    #[test]
    fn one_of_this_place_lives_by_its_number_and_start() {
        let now = Timestamp::now();
        let this = Holder::this_process("ana");
        assert!(this.lives(now) && !this.place.is_empty());
        let reused = Holder {
            started: "1".into(),
            beat: now.to_string(),
            ..this.clone()
        };
        assert!(!reused.lives(now), "another process of the same number");
        // A process that has ended, and was not waited for yet, has ended.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let of_child = |started: &str| Holder {
            pid: child.id(),
            started: started.into(),
            beat: now.to_string(),
            ..this.clone()
        };
        while let Found::Started(_) = find(child.id()) {
            std::thread::yield_now();
        }
        assert!(!of_child("").lives(now));
        child.wait().unwrap();
    }

    #[test]
    fn the_same_number_elsewhere_is_another_process() {
        let this = Holder::this_process("ana");
        assert!(this.is(&Holder {
            since: "then".into(),
            ..this.clone()
        }));
        assert!(!this.is(&elsewhere("")));
    }
}
