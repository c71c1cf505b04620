//! How the program ends: exit codes, and what is said with them.

use std::fmt;
use std::process::ExitCode;

use crate::domain::problem::{Kind, Problem};
use crate::domain::update::{Outcome, Update};

/// An exit code of the contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Completed.
    Completed,
    /// DNS, TLS, 5xx after retries, the journal, a defect.
    Failure,
    /// The command line, or a URI that is none.
    Usage,
    /// A device failed, refused, or was not reached.
    NotDone,
    /// 401 or 403.
    Unauthorized,
    /// No such device.
    NoSuchDevice,
    /// Still open or unconfirmed when the watching ended, or given up.
    Open,
    /// Busy, read-only, production unconfirmed, a dialect that cannot be started.
    Refused,
    /// Ended by a signal.
    Signal(u8),
}

impl Code {
    /// The number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Completed => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NotDone => 3,
            Self::Unauthorized => 4,
            Self::NoSuchDevice => 5,
            Self::Open => 6,
            Self::Refused => 8,
            Self::Signal(n) => 128 + n,
        }
    }

    /// The code for a problem that kept something from being done.
    #[must_use]
    pub fn of_problem(problem: &Problem) -> Self {
        match problem.kind {
            Kind::Unauthorized => Self::Unauthorized,
            _ if is_forbidden(problem) => Self::Unauthorized,
            Kind::NoSuchDevice => Self::NoSuchDevice,
            Kind::Busy | Kind::ReadOnly | Kind::Unconfirmed | Kind::Dialect | Kind::NotAllowed => {
                Self::Refused
            }
            Kind::DeviceOffline => Self::NotDone,
            Kind::BadRequest => Self::Usage,
            Kind::Unreachable
            | Kind::Tls
            | Kind::Proxy
            | Kind::Throttled
            | Kind::Server
            | Kind::Protocol
            | Kind::Journal
            | Kind::Internal => Self::Failure,
        }
    }

    /// The code for an update as it stands.
    #[must_use]
    pub fn of_update(update: &Update) -> Self {
        let Some(verdict) = &update.verdict else {
            return Self::Open;
        };
        let refused =
            |p: &Problem| matches!(p.kind, Kind::ReadOnly | Kind::Unconfirmed | Kind::Busy);
        match verdict.outcome {
            Outcome::Completed => Self::Completed,
            Outcome::GivenUp => Self::Open,
            Outcome::NotDelivered if verdict.problem.as_ref().is_some_and(is_forbidden) => {
                Self::Unauthorized
            }
            Outcome::NotDelivered if verdict.problem.as_ref().is_some_and(refused) => Self::Refused,
            Outcome::NotDelivered
                if verdict
                    .problem
                    .as_ref()
                    .is_some_and(|p| p.kind == Kind::Journal) =>
            {
                Self::Failure
            }
            Outcome::Failed | Outcome::Rejected | Outcome::NotDelivered => Self::NotDone,
        }
    }

    /// Of several devices the first that applies of 4, 1, 8, 7, 5, 3, 6.
    #[must_use]
    pub fn worst(codes: impl IntoIterator<Item = Self>) -> Self {
        let rank = |code: &Self| match code {
            Self::Signal(_) => 0,
            Self::Usage => 1,
            Self::Unauthorized => 2,
            Self::Failure => 3,
            Self::Refused => 4,
            Self::NoSuchDevice => 5,
            Self::NotDone => 6,
            Self::Open => 7,
            Self::Completed => 8,
        };
        codes
            .into_iter()
            .min_by_key(rank)
            .unwrap_or(Self::Completed)
    }
}

/// Is it a 401 or a 403, a spent day included?
fn is_forbidden(problem: &Problem) -> bool {
    problem.kind == Kind::Unauthorized || problem.code.is_some_and(|code| code / 1_000 == 403)
}

/// The code of a verb that has ended as `ended`, when not all may be `written`
/// down.
pub(super) fn worst(written: bool, ended: Result<Code, Failure>) -> Result<Code, Failure> {
    match (written, ended) {
        (false, Ok(code)) => Ok(Code::worst([code, Code::Failure])),
        (_, ended) => ended,
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}

/// An end with a complaint.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: Code,
    /// What was wrong, what was not done, what to do next.
    text: String,
}

impl Failure {
    pub(super) fn new(code: Code, text: impl fmt::Display) -> Self {
        Self {
            code,
            text: text.to_string(),
        }
    }

    pub(super) fn usage(text: impl fmt::Display) -> Self {
        Self::new(Code::Usage, text)
    }

    pub(super) fn internal(what: &str, cause: impl fmt::Display) -> Self {
        Self::new(Code::Failure, format!("{what}: {cause}"))
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::new(Code::of_problem(&problem), problem)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::Code::*;
    use super::*;

    /// The watching may have ended before it came, so it must not count.
    #[test]
    fn a_contradiction_after_the_verdict_changes_no_code() {
        use crate::domain::event::{Event, Intent, What};
        use crate::domain::id::{DeviceId, UpdateId};
        use crate::domain::update::{Baseline, Evidence};
        let event = |what| {
            let device = DeviceId::parse("d").unwrap();
            let id = UpdateId::from_text("u");
            Event::update(jiff::Timestamp::UNIX_EPOCH, device, id, what)
        };
        let intent = Intent {
            hub: "h".into(),
            uri: None,
            payload_sha256: None,
            method: None,
            expect: None,
            dialect: "d".into(),
            baseline: Baseline::default(),
            by: "ana".into(),
            ..Intent::default()
        };
        let mut update = Update::intended(&event(What::Intended(Box::new(intent)))).unwrap();
        update.apply(&event(What::Verdict {
            outcome: Outcome::Completed,
            reason: String::new(),
            evidence: None,
            reported: serde_json::Value::Null,
            problem: None,
        }));
        update.apply(&event(What::Contradicted {
            reason: "failed after that".into(),
            evidence: Evidence {
                property: "p".into(),
                value: "failed".into(),
                version: 2,
                hub_time: None,
            },
            reported: serde_json::Value::Null,
        }));
        assert!(update.contradicted.is_some());
        assert_eq!(Code::of_update(&update), Completed);
    }

    /// The contract's "401/403" means each of them.
    #[rstest::rstest]
    #[case(Kind::Unauthorized, None, Code::Unauthorized)]
    #[case(Kind::Throttled, Some(403_002), Code::Unauthorized)]
    #[case(Kind::Throttled, Some(429_001), Code::Failure)]
    fn a_spent_day_is_a_403(#[case] kind: Kind, #[case] number: Option<u32>, #[case] want: Code) {
        let mut problem = Problem::new(kind, "title", "cause");
        problem.code = number;
        assert_eq!(Code::of_problem(&problem), want);
    }

    #[rstest::rstest]
    #[case(&[Completed, Completed], 0)]
    #[case(&[], 0)]
    #[case(&[Completed, Open], 6)]
    #[case(&[Open, NotDone], 3)]
    #[case(&[NotDone, NoSuchDevice], 5)]
    #[case(&[NoSuchDevice, Refused], 8)]
    #[case(&[Refused, Failure], 1)]
    #[case(&[Failure, Unauthorized, Completed], 4)]
    #[case(&[Signal(15), Unauthorized], 143)]
    fn of_several_the_first_that_applies(#[case] codes: &[Code], #[case] number: u8) {
        assert_eq!(Code::worst(codes.iter().copied()).number(), number);
    }
}
