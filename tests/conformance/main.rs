//! The emulator judged by clients that are not ours: Microsoft's own SDKs,
//! unmodified, on loopback. `README.md` beside this file has the table of what
//! is checked with which SDK, and how to run it by hand.
//!
//! A script runs a whole scenario and prints a line of JSON for each check: its
//! name and what the SDK saw. It judges nothing; what must be seen stands here,
//! in [`checks`], and a check that is not reported is a failure.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod bench;
mod checks;
mod proxy;
mod sdk;
#[expect(dead_code, reason = "the suite uses the rest")]
#[path = "../suite/support"]
mod support {
    pub mod program;
    pub mod slow;
    pub mod terminal;
}
mod tutorial;

use bench::{Bench, Trust};
use sdk::Sdk;

/// Runs one scenario, with the identities `cell-0001` to `cell-{identities}`,
/// and judges what was seen.
async fn scenario(sdk: Sdk, name: &str, identities: usize, expected: checks::Expected) {
    if let Some(installed) = sdk.find() {
        let bench = Bench::start(identities).await;
        let seen = bench.run(&installed, name, Trust::Given).await;
        seen.judge(&expected);
    }
}

macro_rules! scenarios {
    ($($module:ident: $sdk:expr;)*) => { $(
        mod $module {
            use super::*;

            #[tokio::test]
            async fn registry_and_queries() {
                scenario($sdk, "registry", 25, checks::registry($sdk)).await;
            }

            #[tokio::test]
            async fn twins_methods_and_telemetry() {
                scenario($sdk, "device", 1, checks::device($sdk)).await;
            }

            #[tokio::test]
            async fn links_that_end() {
                scenario($sdk, "links", 6, checks::links($sdk)).await;
            }

            #[tokio::test]
            async fn certificates_are_checked() {
                let Some(installed) = $sdk.find() else { return };
                let bench = Bench::start(1).await;
                let given = bench.run(&installed, "trust", Trust::Given).await;
                given.judge(&checks::trust_given($sdk));
                let missing = bench.run(&installed, "trust", Trust::Missing).await;
                missing.judge(&checks::trust_missing($sdk));
            }
        }
    )* };
}

scenarios! {
    python: Sdk::Python;
    node: Sdk::Node;
    node_2018: Sdk::Node2018;
}
