//! `otadeck emulator`
use super::args::Emulator;
use super::exit::{Code, Failure};
pub(super) async fn run(_v: Emulator) -> Result<Code, Failure> {
    Err(Failure::usage("wip"))
}
