//! One verb a file, on the same engine and the same events.
//!
//! stdout is data only; progress, questions and complaints go to stderr. The
//! names of verbs, flags, fields and exit codes are a contract with scripts.

mod args;
mod check;
mod console;
mod demo;
mod device;
mod devices;
mod emulator;
mod exit;
mod follow;
mod log;
mod out;
mod session;
mod signals;
mod update;
mod watch;
mod who;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Verb};
pub use exit::Code;
use exit::Failure;

/// Runs the program: reads the arguments, does what they say, tells how it
/// ended.
#[must_use]
pub fn main() -> ExitCode {
    // First of all: every TLS connection needs it, and building a client
    // without it panics. Only a second call could fail, and there is none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            if error.use_stderr() {
                // What was typed may hold secrets, or come from anywhere.
                out::usage(&error.to_string());
                return Code::Usage.into();
            }
            // Help; a closed pipe is no reason to panic.
            let _ = error.print();
            return Code::Completed.into();
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(run(args));
            // What is left is nothing that anybody waits for.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(Failure::internal("no threads can be started", error)),
    };
    match ended {
        Ok(code) => code.into(),
        Err(failure) => {
            out::complain(&failure.to_string());
            failure.code.into()
        }
    }
}

async fn run(args: Args) -> Result<Code, Failure> {
    match args.verb {
        None => console::run(&args.global).await,
        Some(Verb::Demo(verb)) => demo::run(verb, &args.global).await,
        Some(Verb::Emulator(verb)) => emulator::run(verb).await,
        Some(Verb::Device(verb)) => device::run(verb).await,
        Some(Verb::Devices(verb)) => devices::run(verb, &args.global).await,
        Some(Verb::Update(verb)) => update::run(verb, &args.global).await,
        Some(Verb::Watch(verb)) => watch::run(verb, &args.global).await,
    }
}
