//! One verb a file, on the same engine and the same events.
//!
//! stdout is data only; progress, questions and complaints go to stderr. The
//! names of verbs, flags, fields and exit codes are a contract with scripts.

mod args;
mod check;
mod config;
mod console;
mod demo;
mod device;
mod devices;
mod doctor;
mod emulator;
mod ending;
mod exit;
mod first;
mod follow;
mod history;
mod lines;
mod log;
mod out;
mod session;
mod sign_in;
mod signals;
mod switching;
mod update;
mod watch;
mod who;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::Parser;
use futures_util::FutureExt as _;

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
    ending::heed_panics();
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
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            out::usage(&format!("otadeck: no threads can be started: {error}"));
            return Code::Failure.into();
        }
    };
    let code = runtime.block_on(to_the_end(args));
    // What is left is nothing that anybody waits for.
    runtime.shutdown_background();
    code.into()
}

/// Does what the arguments say and tells what is to be told of its end.
async fn to_the_end(args: Args) -> Code {
    let ended = AssertUnwindSafe(Box::pin(run(args))).catch_unwind().await;
    let code = match ended {
        Ok(Ok(code)) => code,
        Ok(Err(failure)) => {
            out::complain(&failure.to_string());
            failure.code
        }
        // The hook has told it.
        Err(_) => Code::Failure,
    };
    out::last_words().await;
    if ending::is_defect() {
        Code::Failure
    } else {
        code
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
        Some(Verb::Config { verb }) => config::run(verb, &args.global).await,
        Some(Verb::Watch(verb)) => watch::run(verb, &args.global).await,
        Some(Verb::Doctor(verb)) => Box::pin(doctor::run(verb, &args.global)).await,
        Some(Verb::History(verb)) => Box::pin(history::run(verb, &args.global)).await,
    }
}
