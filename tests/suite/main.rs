//! Tests of the whole: rooms, hub client, command line, console in a
//! pseudo-terminal. All on loopback, on ports that the system picks.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on says so by panicking, and one that is skipped on stderr"
)]

mod arming;
mod before;
mod budget;
mod cast;
mod config;
mod dialects;
mod doctor;
mod durability;
mod ending;
mod first;
#[cfg(target_os = "linux")]
mod full_disk;
mod history;
mod hostile;
mod journal;
mod kills;
mod line_mode;
mod network;
mod once;
mod operators;
mod processes;
mod recordings;
mod rooms;
mod secrets;
mod shell;
mod sign_in;
mod slow_link;
mod stories;
mod support;
mod switching;
mod tags;
mod terminal;
mod told;
mod views;
mod watching;
