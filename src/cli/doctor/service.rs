//! What the hub says: one query of one device, one twin, one entry of the registry.

use std::time::Instant;

use jiff::SignedDuration;

use crate::domain::id::DeviceId;
use crate::domain::problem::Kind;
use crate::domain::skew::{self, NOTED};
use crate::hub::{HubError, Page, Query, Service};

use super::super::exit::Code;
use super::network::Reached;
use super::patient::Known;
use super::round::{Diagnosis, LIMIT, Round, too_late, within};

/// What all this takes of the hub's day.
const SPENT: &str = "all this takes two messages of the hub's day at most";

/// The query, the rights, the clock.
pub(super) async fn look(round: &Round<'_>, known: &Known, reached: Reached) {
    if let Err(why) = reached {
        for name in ["query", "rights", "clock"] {
            round.tell(name, Diagnosis::skipped(&why)).await;
        }
        return;
    }
    let began = Instant::now();
    let query = Query::all(&known.dialects);
    let page = tokio::time::timeout(LIMIT, known.client.first(&query)).await;
    let well = match &page {
        Ok(page) => round.tell("query", answer(page, began)).await,
        Err(_) if known.client.is_signing_in() => {
            let found = format!(
                "the Azure command line has given no token within {} s",
                LIMIT.as_secs()
            );
            let hint = "The hub was not asked. Try: az account get-access-token \
                        --resource https://iothubs.azure.net";
            let diagnosis = Diagnosis::failed(Code::Unauthorized, found, hint);
            round.tell("query", diagnosis).await
        }
        Err(_) => round.tell("query", too_late()).await,
    };
    let rights = match &page {
        Ok(Ok(page)) if well => within(rights(known, page)).await,
        _ => Diagnosis::skipped("the query was not answered"),
    };
    round.tell("rights", rights).await;
    round.tell("clock", clock(known)).await;
}

fn answer(page: &Result<Page, HubError>, began: Instant) -> Diagnosis {
    match page {
        Ok(page) => {
            let found = match (page.rows.first(), &page.continuation) {
                (None, None) => "the hub has no devices".to_owned(),
                (None, Some(_)) => "the first page holds no device".to_owned(),
                (Some(row), None) => format!("the hub has one device, {}", row.device_id),
                (Some(row), Some(_)) => format!("the hub names {} first", row.device_id),
            };
            let took = began.elapsed().as_millis();
            Diagnosis::ok(format!("answered in {took} ms: {found}; {SPENT}"))
        }
        Err(error) => {
            let problem = error.problem("the hub does not answer the query");
            let diagnosis = Diagnosis::of_problem(&problem);
            // A 429 is gone in a moment; a spent day is not.
            match problem.kind == Kind::Throttled && error.is_passing() {
                true => Diagnosis::warning(problem.line(), problem.hint),
                false => diagnosis,
            }
        }
    }
}

/// As far as it can be known without writing anything.
async fn rights(known: &Known, page: &Page) -> Diagnosis {
    let methods = "methods need the same right, ServiceConnect, and none is called to try that";
    let Some(row) = page.rows.first() else {
        return Diagnosis::ok(format!(
            "ServiceConnect is there: the query was answered, and there is no twin to read; {methods}"
        ));
    };
    let device = &row.device_id;
    match known.client.twin(device).await {
        Ok(_) => {
            let registry = registry(known, device).await;
            Diagnosis::ok(format!(
                "the twin of {device} can be read; {methods}; {registry}"
            ))
        }
        Err(error) => Diagnosis::of_problem(&error.problem(format!("{device} cannot be read"))),
    }
}

/// Whether a device that was created again can be told from the one before.
async fn registry(known: &Known, device: &DeviceId) -> String {
    match known.client.identity(device).await {
        Ok(_) => "RegistryRead is there too".to_owned(),
        Err(error) if error.kind() == Kind::Unauthorized => {
            "RegistryRead is not there and is not needed: without it, a device that was created \
             again is known by its twin alone"
                .to_owned()
        }
        Err(_) => "whether RegistryRead is there was not found out".to_owned(),
    }
}

/// This machine's clock beside the hub's.
fn clock(known: &Known) -> Diagnosis {
    let Some(skew) = known.client.skew() else {
        return Diagnosis::skipped("the hub told no time");
    };
    judged(skew.offset())
}

fn judged(offset: SignedDuration) -> Diagnosis {
    if offset.abs() <= NOTED {
        return Diagnosis::ok("this machine's clock agrees with the hub's");
    }
    Diagnosis::warning(
        skew::words(offset),
        "Set it: timedatectl set-ntp true. Tokens are signed by the hub's clock meanwhile, and \
         ages are right; the times in journal and log are this machine's.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Code;
    use crate::domain::doctor::Verdict;
    use crate::hub::error::Refusal;

    #[rstest::rstest]
    #[case(0, Verdict::Ok, "agrees")]
    #[case(-30, Verdict::Ok, "agrees")]
    #[case(600, Verdict::Warning, "10 min behind")]
    #[case(-7_200, Verdict::Warning, "2 h ahead")]
    fn clocks(#[case] seconds: i64, #[case] verdict: Verdict, #[case] words: &str) {
        let diagnosis = judged(SignedDuration::from_secs(seconds));
        assert_eq!(
            diagnosis,
            judged(SignedDuration::from_secs(seconds)).but(verdict)
        );
        assert!(format!("{diagnosis:?}").contains(words), "{diagnosis:?}");
    }

    /// A hub that is busy is not ill; one whose day is spent is.
    #[rstest::rstest]
    #[case(429, r#"{"errorCode":429001,"message":"slow"}"#, None)]
    #[case(
        403,
        r#"{"errorCode":403002,"message":"spent"}"#,
        Some(Code::Unauthorized)
    )]
    #[case(
        401,
        r#"{"errorCode":401002,"message":"no"}"#,
        Some(Code::Unauthorized)
    )]
    #[case(503, "", Some(Code::Failure))]
    fn refusals(#[case] status: u16, #[case] body: &str, #[case] failed: Option<Code>) {
        let refusal = Refusal::read(status, None, body.as_bytes());
        let error = HubError::Answered(Box::new(refusal));
        let diagnosis = answer(&Err(error), Instant::now());
        assert_eq!(diagnosis.is_failure(), failed.is_some(), "{diagnosis:?}");
        if let Some(code) = failed {
            assert!(format!("{diagnosis:?}").contains(&format!("{code:?}")));
        }
    }
}
