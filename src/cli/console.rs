//! wip
use super::args::Global;
use super::exit::{Code, Failure};
pub(super) async fn run(_global: &Global) -> Result<Code, Failure> {
    Err(Failure::usage("wip"))
}
