//! The command line's shape.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand};
use jiff::SignedDuration;

use crate::domain::clean;
use crate::domain::history::End;
use crate::domain::id::DeviceId;
use crate::domain::profile::Tier;
use crate::domain::replay::{FASTEST, USUAL};
use crate::domain::time::{self, Moment};
use crate::emulator::faults::LONGEST_LAG;
use crate::scenario::BUILT_IN;

/// Put firmware on devices behind an Azure IoT Hub, and see what becomes of it.
///
/// Without a verb the console starts on the configured hub. To look around with
/// no hub at all: otadeck demo
#[derive(Debug, Parser)]
#[command(name = "otadeck", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
}

const EXIT_CODES: &str = "\
Exit codes: 0 completed · 1 network, server, journal · 2 usage · 3 failed, rejected, not delivered
4 unauthorized · 5 no such device · 6 still open, unconfirmed, given up · 8 refused · 128+n signal n

Environment: OTADECK_CONNECTION_STRING, OTADECK_CA_FILE, OTADECK_PACKAGE_URI,
OTADECK_DEVICE_CONNECTION_STRING, OTADECK_LOG (error, warn, info, debug)";

#[derive(Debug, Clone, Default, ClapArgs)]
pub(super) struct Global {
    /// The hub of the configuration to work on; else OTADECK_CONNECTION_STRING
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) hub: Option<String>,
    /// Another configuration file
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Refuse every write
    #[arg(long, global = true)]
    pub(super) read_only: bool,
    /// The console in plain lines, without a screen; the verbs print nothing else
    #[arg(long, global = true)]
    pub(super) plain: bool,
    /// Draw the console with ASCII alone
    #[arg(long, global = true)]
    pub(super) ascii: bool,
    /// Draw the console at most so often a second; a slow link has it drawn less often by itself
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=60))]
    pub(super) max_fps: Option<u8>,
    /// Keep nothing: no journal, so nothing can be resumed
    #[arg(long, global = true)]
    pub(super) no_journal: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Start the console on a hub and devices of its own, with nothing configured
    Demo(Demo),
    /// Run a local IoT Hub
    Emulator(Emulator),
    /// Run one simulated device; OTADECK_DEVICE_CONNECTION_STRING says which
    Device(Device),
    /// List the hub's devices
    Devices(Devices),
    /// Put a package on devices and watch until it is done
    Update(Update),
    /// Watch what devices report, without starting anything
    Watch(Watch),
    /// Tell what was written down of past updates; no hub is asked
    History(History),
    /// Look whether all is well that an update needs: configuration, network, hub, journal
    Doctor(Doctor),
    /// What is configured, where that comes from, and what is wrong with it
    Config {
        #[command(subcommand)]
        verb: ConfigVerb,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigVerb {
    /// Look for mistakes in the file and in each hub's secret, without asking any hub
    Check,
    /// Print every setting with where it comes from
    Show {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct Demo {
    /// How many devices
    #[arg(long, default_value_t = 12, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) devices: u32,
    /// What the world is like: a built-in scenario (emulator --scenarios lists them) or a file
    #[arg(long, default_value = "quick", value_name = "NAME|FILE")]
    pub(super) scenario: String,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Emulator {
    /// Where to serve HTTPS; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8443", value_name = "ADDR")]
    pub(super) https: SocketAddr,
    /// Where to serve MQTT; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8883", value_name = "ADDR")]
    pub(super) mqtt: SocketAddr,
    /// The host name that clients use
    #[arg(long, default_value = "localhost", value_name = "NAME")]
    pub(super) host_name: String,
    /// Keep identities, keys and twins in this folder
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Simulated devices to run: sim-0001 and so on
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(super) devices: u32,
    /// Identities to make with nobody connected: idle-0001 and so on
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(super) identities: u32,
    #[arg(long, default_value = "quick", value_name = "NAME|FILE", help = scenarios())]
    pub(super) scenario: String,
    /// List the built-in scenarios with what each teaches, and end
    #[arg(long)]
    pub(super) scenarios: bool,
    /// Queries see the hub as it was so long ago (5s); else as the scenario says
    #[arg(long, value_name = "D", value_parser = lag)]
    pub(super) index_lag: Option<Duration>,
    /// Enforce this tier's rates and day's messages: F1, S1, S2 or S3
    #[arg(long, value_name = "TIER")]
    pub(super) tier: Option<Tier>,
    /// Units of the tier
    #[arg(long, default_value_t = 1, requires = "tier", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(super) units: u32,
    /// At least so many of the day's messages count as spent already
    #[arg(long, default_value_t = 0, requires = "tier", value_name = "MESSAGES")]
    pub(super) spent: u64,
    /// Also write what stdout gets to this file, when all is ready
    #[arg(long, value_name = "FILE")]
    pub(super) ready_file: Option<PathBuf>,
    /// Also let in who sends a bearer token of this file, one a line; stands in for Entra ID, without roles
    #[arg(long, value_name = "FILE")]
    pub(super) bearer_file: Option<PathBuf>,
    /// Serve on addresses that other machines reach
    #[arg(long)]
    pub(super) listen_anywhere: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Device {
    /// What the device does: a built-in scenario (emulator --scenarios lists them) or a file
    #[arg(long, default_value = "tutorial", value_name = "NAME|FILE")]
    pub(super) scenario: String,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Devices {
    /// A condition (tags.site = 'lab') or a whole query (SELECT * FROM devices WHERE …)
    #[arg(long, value_name = "Q")]
    pub(super) query: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Update {
    /// The devices
    #[arg(required = true, value_name = "DEVICE")]
    pub(super) devices: Vec<DeviceId>,
    /// The package; - reads it from stdin; else OTADECK_PACKAGE_URI
    #[arg(long, value_name = "URI|-")]
    pub(super) uri: Option<String>,
    /// Done only when the device reports this version
    #[arg(long, value_name = "VERSION")]
    pub(super) expect: Option<String>,
    /// SHA-256 of the package in hex, for dialects that send it to the device
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    pub(super) sha256: Option<String>,
    /// Why, or a ticket's number: kept with the update in the journal
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(super) reason: Option<String>,
    /// End when the devices have taken the order
    #[arg(long)]
    pub(super) no_wait: bool,
    /// End the watching after this time (8s, 15m, 2h); the update goes on
    #[arg(long, value_name = "D", value_parser = duration)]
    pub(super) timeout: Option<SignedDuration>,
    /// The hub's name, for production
    #[arg(long, value_name = "HUB")]
    pub(super) confirm: Option<String>,
    /// Take this device over from whoever works on it; once for each such device
    #[arg(long, value_name = "DEVICE")]
    pub(super) force: Vec<DeviceId>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// One JSON event a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Watch {
    /// The devices
    #[arg(required_unless_present = "resume", value_name = "DEVICE")]
    pub(super) devices: Vec<DeviceId>,
    /// Carry on with every open update of the journal
    #[arg(long, conflicts_with = "devices")]
    pub(super) resume: bool,
    /// End the watching after this time (8s, 15m, 2h)
    #[arg(long, value_name = "D", value_parser = duration)]
    pub(super) timeout: Option<SignedDuration>,
    /// One JSON event a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct History {
    /// One update, by its id or as much of its begin as tells it apart
    #[arg(value_name = "UPDATE", conflicts_with_all = ["device", "outcome", "since", "until", "limit"])]
    pub(super) update: Option<String>,
    /// Only these devices
    #[arg(long, num_args = 1.., value_name = "ID")]
    pub(super) device: Vec<DeviceId>,
    #[arg(long, value_delimiter = ',', value_name = "OUTCOME", value_parser = end, help = format!("Only those that ended so, or have not: {}", ends()))]
    pub(super) outcome: Vec<End>,
    /// Only those decided since then: 2026-11-23T12:04:00Z, 2026-11-23, or 2h, 3d ago
    #[arg(long, value_name = "T", value_parser = Moment::parse)]
    pub(super) since: Option<Moment>,
    /// Only those decided until then; a day counts to its end
    #[arg(long, value_name = "T", value_parser = Moment::parse)]
    pub(super) until: Option<Moment>,
    /// Only the newest so many; the plain list shows 100 unless told
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<usize>,
    /// The events, one JSON object a line, as they were printed then
    #[arg(long, conflicts_with_all = ["csv", "markdown", "replay"])]
    pub(super) json: bool,
    /// A table for spreadsheets
    #[arg(long, conflicts_with_all = ["markdown", "replay"])]
    pub(super) csv: bool,
    /// A note for the next shift: what is open, what failed, what was completed
    #[arg(long, conflicts_with = "replay")]
    pub(super) markdown: bool,
    /// Play the update again on the screen; needs a terminal
    #[arg(long, requires = "update")]
    pub(super) replay: bool,
    /// How many times faster than it was: 1 to 100
    #[arg(long, default_value_t = USUAL, requires = "replay", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(FASTEST)))]
    pub(super) speed: u32,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Doctor {
    /// One JSON event a line
    #[arg(long)]
    pub(super) json: bool,
}

fn end(text: &str) -> Result<End, String> {
    let named = |end: &End| end.name().eq_ignore_ascii_case(text.trim());
    let end = End::ALL.into_iter().find(named);
    end.ok_or_else(|| format!("no outcome; there are {}", ends()))
}

fn ends() -> String {
    let names: Vec<&str> = End::ALL.iter().map(|end| end.name()).collect();
    names.join(", ")
}

fn sha256(text: &str) -> Result<String, String> {
    let hex = text.trim();
    let right = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    right.then(|| hex.to_ascii_lowercase()).ok_or_else(|| {
        "no SHA-256: that is 64 hexadecimal digits, as sha256sum prints them".to_owned()
    })
}

/// One line of words; nothing that could harm a terminal later.
fn reason(text: &str) -> Result<String, String> {
    match clean::line(text.trim(), 200) {
        line if line.is_empty() => Err("a reason in words is needed".to_owned()),
        line => Ok(line),
    }
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    time::duration(text)
}

/// Ten minutes at most: the emulator remembers no more.
fn lag(text: &str) -> Result<Duration, String> {
    let lag = Duration::try_from(time::duration(text)?).map_err(|e| e.to_string())?;
    match lag <= LONGEST_LAG {
        true => Ok(lag),
        false => Err("a lag is ten minutes at most".to_owned()),
    }
}

fn scenarios() -> String {
    let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    format!(
        "What devices and hub do: a file, or one of {}",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
