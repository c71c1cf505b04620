//! What is true, without I/O. Nothing here reads a clock, a socket or a file:
//! time, twins and answers come in as values, events go out as values.
//!
//! | module | holds |
//! |---|---|
//! | [`id`] | device and update ids |
//! | [`twin`] | a device twin as the hub tells it, with its stamps |
//! | [`tag`] | the tag that keeps consoles on several hosts off each other's devices |
//! | [`tags`] | a device's tags as the inventory holds them |
//! | [`device`] | one row of the inventory |
//! | [`phase`] | the common phases of an update |
//! | [`dialect`] | the words in which devices report progress, and how they are started |
//! | [`evidence`] | what a verdict rests on |
//! | [`update`] | the life of one update: evidence in, events out |
//! | [`durations`] | how long phases took, and what follows: deadlines, estimates |
//! | [`gauge`] | how far an update is, and how sure that is |
//! | [`event`] | the one vocabulary: [`event::Event`] and [`event::Command`] |
//! | [`history`] | past updates: how they are asked for, and what comes back |
//! | [`replay`] | a recorded update, played again in virtual time |
//! | [`uri`] | the package URI: checked, redacted |
//! | [`preflight`] | what can be said of a package URI before anything is sent |
//! | [`headless`] | the command line that does what the console is asked to do |
//! | [`shell`] | words, quoted for a POSIX shell |
//! | [`method`] | a direct method call and its answer |
//! | [`holding`] | who keeps a device from being updated |
//! | [`problem`] | what went wrong, in words an operator can act on |
//! | [`profile`] | which hub this is, and what may be done to it |
//! | [`backoff`] | waits between tries |
//! | [`pace`] | when to read which twin that is watched |
//! | [`quota`] | the day's messages: spent, and forecast |
//! | [`redact`] | secrets of URLs, taken out of whatever holds them |
//! | [`clean`] | hostile text made harmless |
//! | [`doctor`] | what was looked at, and how that came out |
//! | [`told`] | an event of an update in words |
//! | [`time`] | the hub's time formats |
//! | [`skew`] | how far our clock is from the hub's |
//! | [`pattern`], [`span`] | patterns with `*`, times and fractions as scenarios write them |

pub mod backoff;
pub mod clean;
pub mod device;
pub mod dialect;
pub mod doctor;
pub mod durations;
pub mod event;
pub mod evidence;
pub mod gauge;
pub mod headless;
pub mod history;
pub mod holding;
pub mod id;
pub mod method;
pub mod pace;
pub mod pattern;
pub mod phase;
pub mod preflight;
pub mod problem;
pub mod profile;
pub mod quota;
pub mod redact;
pub mod replay;
pub mod shell;
pub mod skew;
pub mod span;
pub mod tag;
pub mod tags;
pub mod time;
pub mod told;
pub mod twin;
pub mod update;
pub mod uri;

#[cfg(test)]
pub(crate) mod fake;
