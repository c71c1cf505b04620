//! Tests of the whole: rooms, hub client, command line, console in a
//! pseudo-terminal. All on loopback, on ports that the system picks.

mod hostile;
mod once;
mod processes;
mod recordings;
mod rooms;
mod shell;
mod support;
mod terminal;
