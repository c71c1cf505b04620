//! otadeck: a terminal console for people who put firmware on devices behind an
//! Azure IoT Hub, with an IoT Hub emulator and simulated devices of its own.
//!
//! # The rooms
//!
//! | room | what it is |
//! |---|---|
//! | [`domain`] | what is true, without I/O: device, twin, dialect and phase, update, event |
//! | [`hub`] | speaks the IoT Hub service API as a client; the trait [`hub::Service`] |
//! | [`journal`] | SQLite: what was intended, done and seen |
//! | [`engine`] | the working core: inventory, watching, updates, the gate for writes |
//! | [`console`] | the terminal UI: model, messages, update, view, keymap, theme, terminal |
//! | [`cli`] | one verb a file, on the same engine and the same events |
//! | [`config`] | finds sources, composes the rooms' settings, explains mistakes |
//! | [`package`] | asks a package's server about it |
//! | [`mqtt`] | one guarded MQTT 3.1.1 link that serves both ends |
//! | [`emulator`] | a local IoT Hub: world (pure), REST, MQTT, query, faults (pure) |
//! | [`device`] | a simulated device: firmware (pure), MQTT client, fleet |
//! | [`scenario`] | a simulated world in TOML: what devices do, what is wrong with the hub |
//!
//! # How data flows
//!
//! ```text
//!  key ─► keymap ─► Action ─► Message ─► update(&mut Model) ─► Effect ─► Command ─┐
//!                               ▲                                                 ▼
//!  frame ◄─ view(&Model)        └──────────── Event ◄── engine::shell ◄─► engine::core
//!                                               ├─► cli: one NDJSON line      │
//!                                               └─► journal                   hub · journal · clock
//! ```
//!
//! `ARCHITECTURE.md` says who may know whom and why; `tests/suite/rooms.rs` holds it.

pub mod cli;
pub mod config;
pub mod console;
pub mod device;
pub mod domain;
pub mod emulator;
pub mod engine;
pub mod hub;
pub mod journal;
pub mod mqtt;
pub mod package;
#[doc(hidden)]
pub mod rehearsal;
pub mod scenario;
