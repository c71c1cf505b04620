//! `otadeck device`
use super::args::Device;
use super::exit::{Code, Failure};
pub(super) async fn run(_v: Device) -> Result<Code, Failure> {
    Err(Failure::usage("wip"))
}
