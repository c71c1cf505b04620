//! What the console has from outside beside its engine: remarks, and a doctor. Both
//! are channels that whoever runs the console serves, so that the console needs to
//! know neither hub nor configuration.

use std::future::pending;

use tokio::sync::mpsc;

use crate::domain::doctor::Check;

/// Checks that wait to be shown.
const WAITING: usize = 64;

/// A way to ask for everything to be looked at: whoever serves it sends each check
/// into the sender that it is given, and drops that after the last one. When nobody
/// wants to know any more, that is closed.
pub type Doctor = mpsc::Sender<mpsc::Sender<Check>>;

/// What comes from outside; by default nothing.
#[derive(Debug, Default)]
pub struct Outside {
    /// Texts to be shown; `None` when nothing will come any more.
    notices: Option<mpsc::Receiver<String>>,
    doctor: Option<Doctor>,
    /// What the doctor finds, while it looks.
    checks: Option<mpsc::Receiver<Check>>,
}

/// What has come.
pub(super) enum Came {
    /// A text; `None` when none will come any more.
    Notice(Option<String>),
    /// What the doctor has found; `None` after the last check.
    Check(Option<Check>),
}

impl Outside {
    /// From now on that doctor is asked; what another still finds is not of interest.
    pub(super) fn ask(&mut self, doctor: Doctor) {
        self.doctor = Some(doctor);
        self.checks = None;
    }

    /// Asks the doctor to look at everything, in place of what it looks at now.
    pub(super) fn examine(&mut self) {
        let (found, checks) = mpsc::channel(WAITING);
        // Where there is none the sender is dropped, and nothing comes.
        if let Some(doctor) = &self.doctor {
            let _ = doctor.try_send(found);
        }
        self.checks = Some(checks);
    }

    /// What comes next.
    pub(super) async fn next(&mut self) -> Came {
        let Self {
            notices, checks, ..
        } = self;
        tokio::select! {
            biased;
            text = received(notices.as_mut()) => {
                if text.is_none() {
                    *notices = None;
                }
                Came::Notice(text)
            }
            check = received(checks.as_mut()) => {
                if check.is_none() {
                    *checks = None;
                }
                Came::Check(check)
            }
        }
    }
}

async fn received<T>(channel: Option<&mut mpsc::Receiver<T>>) -> Option<T> {
    match channel {
        Some(channel) => channel.recv().await,
        None => pending().await,
    }
}

impl From<mpsc::Receiver<String>> for Outside {
    fn from(notices: mpsc::Receiver<String>) -> Self {
        Self {
            notices: Some(notices),
            ..Self::default()
        }
    }
}
