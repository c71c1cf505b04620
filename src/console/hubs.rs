//! Other hubs, as the console knows them: their names, and how one is made ready.
//!
//! The console asks, somebody else does: secrets, files and connections are none of
//! its business. A hub that is ready is taken by leaving the loop with
//! [`Exit::Switch`](super::Exit::Switch); whoever runs the console ends this session
//! and begins the other one.

use std::future::Future;
use std::pin::Pin;

/// A hub that can be gone to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HubEntry {
    /// The operator's name for it.
    pub name: String,
    /// What it is for: `production`, for example.
    pub environment: Option<String>,
    /// Its host, where that is known: it stands in the secret.
    pub host: Option<String>,
    /// Is every write refused?
    pub read_only: bool,
    /// Why it cannot be gone to, as far as that is known.
    pub trouble: Option<String>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The hubs, with what can be told of them without running anything.
    List,
    /// This one is to be made ready: its secret is fetched.
    Connect(String),
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    /// The hubs.
    Hubs(Vec<HubEntry>),
    /// The hub may be gone to now.
    Ready,
    /// It may not, and why. Nothing has changed.
    Refused(String),
}

/// An answer under way; dropped, it is called off.
pub type Granting = Pin<Box<dyn Future<Output = Granted> + Send>>;

/// How wishes are granted, by whoever runs the console.
pub type Grant = Box<dyn Fn(Wish) -> Granting + Send>;
