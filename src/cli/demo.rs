//! wip
use super::args::{Demo, Global};
use super::exit::{Code, Failure};
pub(super) async fn run(_v: Demo, _global: &Global) -> Result<Code, Failure> {
    Err(Failure::usage("wip"))
}
