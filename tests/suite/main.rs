//! Tests of the whole: rooms, hub client, command line, console in a
//! pseudo-terminal. All on loopback, on ports that the system picks.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on says so by panicking, and one that is skipped on stderr"
)]

mod before;
mod budget;
mod config;
mod dialects;
mod durability;
mod ending;
#[cfg(target_os = "linux")]
mod full_disk;
mod history;
mod hostile;
mod journal;
mod kills;
mod network;
mod once;
mod processes;
mod recordings;
mod rooms;
mod secrets;
mod shell;
mod stories;
mod support;
mod tags;
mod terminal;
mod views;
mod watching;
