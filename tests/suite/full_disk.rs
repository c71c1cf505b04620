//! A disk that is full for a while, and one that stays full, under the real
//! program: the system lets its files grow only so far.

use std::fs;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::journal::{Bench, URI};
use super::support::program::{Home, Running, binary};

/// A program whose files may grow only so far: what a full disk is to it. The
/// signal that the system sends first is ignored, as the shell's trap is
/// inherited.
fn on_a_small_disk(home: &Home, args: &[&str]) -> (Running, Pid) {
    let plain = home.command(args);
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(binary())
        .args(args)
        .env_clear()
        .envs(plain.get_envs().filter_map(|(n, v)| Some((n, v?))))
        .current_dir(home.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let running = Running::start(command);
    let pid = Pid::from_raw(i32::try_from(running.id()).unwrap()).unwrap();
    (running, pid)
}

/// No file of the process may grow beyond this; `None` ends that.
fn fill(pid: Pid, most: Option<u64>) {
    let before = prlimit(
        Some(pid),
        Resource::Fsize,
        Rlimit {
            current: most,
            maximum: None,
        },
    );
    before.unwrap();
}

fn log_size(home: &Home) -> u64 {
    fs::metadata(home.state().join("journal.db-wal"))
        .unwrap()
        .len()
}

/// What the journal holds of phases and verdicts, in its order.
fn told(home: &Home) -> Vec<String> {
    let journal = rusqlite::Connection::open(home.state().join("journal.db")).unwrap();
    let told = "SELECT value FROM timeline WHERE kind IN ('update.phase', 'update.verdict')";
    let mut statement = journal.prepare(told).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn what_a_full_disk_does_not_take_is_written_when_there_is_room() {
    let bench = Bench::new();
    let home = Home::on(&bench.emulator);
    let args = ["update", "idle-0001", "--uri", URI, "--json"];
    let (mut running, pid) = on_a_small_disk(&home, &args);
    running.line_with("update.accepted");
    fill(pid, Some(log_size(&home)));
    let problem = running.line_with("journal.problem");
    assert!(problem.contains("nothing new is started"), "{problem}");
    running.line_with("update.phase");
    fill(pid, None);
    running.line_with("journal.recovered");
    running.line_with("update.verdict");
    assert_eq!(running.wait(), 0);
    let mut told = told(&home);
    told.dedup();
    assert_eq!(told, ["downloading", "applying", "done", "completed"]);
}

#[test]
fn what_the_disk_has_not_taken_at_the_end_is_said() {
    let bench = Bench::new();
    let home = Home::on(&bench.emulator);
    let args = ["update", "idle-0001", "--uri", URI, "--json"];
    let (mut running, pid) = on_a_small_disk(&home, &args);
    running.line_with("update.accepted");
    fill(pid, Some(log_size(&home)));
    running.line_with("update.verdict");
    assert_eq!(running.wait(), 1);
    running.complaint_with("update.verdict");
    running.complaint_with("the journal could not be written to the end");
    let log = fs::read_to_string(home.state().join("otadeck.log")).unwrap();
    assert!(log.contains("not written to the journal: {"), "{log}");
    assert_eq!(told(&home).last().map(String::as_str), None);
    // The twin tells it again.
    let ended = home.run(&["watch", "--resume"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(told(&home).last().map(String::as_str), Some("completed"));
}
