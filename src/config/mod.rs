//! Finds settings and explains mistakes: file < environment < flags.
//!
//! The file is `config.toml` in the user's configuration folder, or what
//! `--config` names; never one in the current folder. `config.example.toml` shows
//! every key with its default, and a test holds it to this code. Secrets do not
//! stand in the file: a hub names the *source* of its connection string.

mod console;
mod dialect;
mod file;
mod paths;
mod secret;
mod shown;

pub use console::{ConsoleConfig, NotifyConfig, ViewConfig};
pub use dialect::{DialectConfig, DialectError, Misplaced, PayloadAs, RuleConfig};
pub use file::{
    Config, ConfigError, DeadlinesConfig, HubConfig, SignInBy, UpdateConfig, WayIn, load,
};
pub use paths::{Paths, PathsError};
pub use secret::{SecretError, SecretSource};
pub use shown::{Setting, settings, text_at};
