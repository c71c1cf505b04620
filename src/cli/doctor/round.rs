//! One round: all checks in their order, what each says, and how long it may take.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::domain::doctor::{Check, Verdict};
use crate::domain::problem::Problem;
use crate::domain::{clean, redact};

use super::super::exit::Code;
use super::patient::{Hub, Known, Patient};
use super::{here, keeping, network, service, settings};

/// How long one check may take.
pub(super) const LIMIT: Duration = Duration::from_secs(12);
/// Characters of a sentence.
const LONGEST: usize = 600;

/// A check, and the code with which the program ends if it is the first that failed.
pub(super) struct Found {
    pub(super) check: Check,
    pub(super) code: Code,
}

/// What comes of a look at something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Diagnosis {
    verdict: Verdict,
    found: String,
    hint: String,
    code: Code,
}

impl Diagnosis {
    /// It is as it should be.
    pub(super) fn ok(found: impl Into<String>) -> Self {
        Self::warning(found, "").but(Verdict::Ok)
    }

    /// Work goes on, but somebody should know.
    pub(super) fn warning(found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warning,
            found: found.into(),
            hint: hint.into(),
            code: Code::Completed,
        }
    }

    /// Work does not go on.
    pub(super) fn failed(code: Code, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            ..Self::warning(found, hint).but(Verdict::Failed)
        }
    }

    /// The same as a room's problem says it.
    pub(super) fn of_problem(problem: &Problem) -> Self {
        Self::failed(Code::of_problem(problem), problem.line(), &problem.hint)
    }

    /// It was not looked at, because of what failed before.
    pub(super) fn skipped(because: &str) -> Self {
        Self::warning(format!("skipped: {because}"), "")
    }

    /// The same, judged otherwise.
    pub(super) fn but(self, verdict: Verdict) -> Self {
        Self { verdict, ..self }
    }

    /// The same advice with another.
    pub(super) fn and(mut self, more: &str) -> Self {
        self.hint = format!("{} {more}", self.hint).trim().to_owned();
        self
    }

    pub(super) fn is_failure(&self) -> bool {
        self.verdict == Verdict::Failed
    }

    /// As it is told: without secrets, harmless, bounded.
    fn told(self, name: &str) -> Found {
        let safe = |text: &str| clean::line(&redact::keys(&redact::text(text.trim())), LONGEST);
        Found {
            check: Check {
                check: name.to_owned(),
                result: self.verdict,
                found: safe(&self.found),
                hint: safe(&self.hint),
            },
            code: self.code,
        }
    }
}

/// Looks, but not for ever.
pub(super) async fn within(look: impl Future<Output = Diagnosis>) -> Diagnosis {
    let looked = timeout(LIMIT, look).await;
    looked.unwrap_or_else(|_| too_late())
}

/// Nothing came within the limit.
pub(super) fn too_late() -> Diagnosis {
    let found = format!("nothing was found out within {} s", LIMIT.as_secs());
    Diagnosis::failed(
        Code::Failure,
        found,
        "Something on the way takes all and answers nothing.",
    )
}

/// What is told, and to whom.
pub(super) struct Round<'a>(&'a mpsc::Sender<Found>);

impl Round<'_> {
    /// Tells a check; did it not fail?
    pub(super) async fn tell(&self, name: &str, diagnosis: Diagnosis) -> bool {
        let well = !diagnosis.is_failure();
        // Whoever listened may have gone; then the round is dropped.
        let _ = self.0.send(diagnosis.told(name)).await;
        well
    }
}

/// All checks, told as they come.
pub(super) async fn examine(patient: &Patient, say: &mpsc::Sender<Found>) {
    let round = Round(say);
    round.tell("version", here::version()).await;
    round.tell("terminal", here::terminal()).await;
    round
        .tell("configuration", settings::configuration(patient))
        .await;
    round.tell("secrets", settings::secrets(patient)).await;
    round.tell("hub", settings::hub(patient)).await;
    match &patient.hub {
        Hub::Known(known) => ask(&round, known).await,
        Hub::Nothing | Hub::Wrong(_) => {
            for name in ["proxy", "name", "tcp", "tls", "query", "rights", "clock"] {
                round
                    .tell(name, Diagnosis::skipped("no hub is known"))
                    .await;
            }
        }
    }
    keeping::look(&round, patient).await;
}

/// The way to the hub, then what it says.
async fn ask(round: &Round<'_>, known: &Known) {
    let reached = network::look(round, known).await;
    service::look(round, known, reached).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::problem::Kind;

    #[test]
    fn what_is_told_is_harmless_and_holds_no_secret() {
        let found = "at https://x.test/fw?sig=S3CRET \u{1b}[2J SharedAccessKey=S3CRET";
        let told = Diagnosis::warning(found, "x".repeat(2_000)).told("hub");
        let text = format!("{:?}", told.check);
        assert!(!text.contains("S3CRET"), "{text}");
        assert!(!told.check.found.chars().any(clean::is_dangerous));
        assert!(told.check.hint.chars().count() <= LONGEST);
    }

    #[rstest::rstest]
    #[case(Kind::Unauthorized, Code::Unauthorized)]
    #[case(Kind::Tls, Code::Failure)]
    #[case(Kind::Journal, Code::Failure)]
    fn codes_are_the_contracts(#[case] kind: Kind, #[case] code: Code) {
        let diagnosis = Diagnosis::of_problem(&Problem::new(kind, "t", "c"));
        assert!(diagnosis.is_failure());
        assert_eq!(diagnosis.code, code);
        assert!(!Diagnosis::skipped("x").is_failure());
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_has_an_end() {
        let never = within(std::future::pending()).await;
        assert!(never.is_failure(), "{never:?}");
    }
}
