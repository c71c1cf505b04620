//! The end of the program: in time, whatever stands still, and after a defect.
//!
//! Whoever is told to end has two seconds. The parts share them: the terminal is
//! given back first (a quarter of a second if it stands still), then the engine
//! ends, which has deadlines of its own for the calls that are under way and for
//! the journal. A thread that waits for nothing holds to [`LIMIT`] in any case.
//!
//! A panic, in whatever task or thread, ends the program with code 1. The rest of
//! a broken program might be wrong about what it shows, and it would hold the
//! leases of its devices, so that nobody else could carry on. Updates go on on
//! their devices, and the next start finds them in the journal.

use std::future::Future;
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use crate::domain::{clean, redact};
use crate::engine::{Running, Unwritten};

use super::exit::{Code, Failure, worst};
use super::out;

/// When the process ends at the latest, after it was told to; giving back a
/// terminal that stands still comes on top.
const LIMIT: Duration = Duration::from_millis(1_700);

/// Events that are said one by one when they could not be written down.
const SAID: usize = 20;

/// Has there been a panic? Known before it is told.
static BROKEN: AtomicBool = AtomicBool::new(false);
/// It was told, too.
static DEFECT: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);
static LOG: OnceLock<PathBuf> = OnceLock::new();

/// Names the log, for whoever is told of a defect.
pub(super) fn log_is(path: &Path) {
    // Only a second log could be too late, and there is none.
    let _ = LOG.set(path.to_owned());
}

/// From now on a panic ends the program.
pub(super) fn heed_panics() {
    std::panic::set_hook(Box::new(panicked));
}

fn panicked(panic: &PanicHookInfo<'_>) {
    // Before anything that takes its time: it must not be told by two.
    let first = !BROKEN.swap(true, Ordering::AcqRel);
    let payload = panic.payload();
    let what = payload.downcast_ref::<&str>().copied();
    let what = what.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let what = what.unwrap_or("it does not say why");
    let place = panic.location().map(ToString::to_string);
    let place = place.unwrap_or_default();
    let what = clean::line(&redact::text(what), 400);
    let trace = std::backtrace::Backtrace::capture();
    tracing::error!("a defect: {what}, at {place}\n{trace}");
    if !first {
        return;
    }
    let mut text = format!("this is a defect, and has ended otadeck: {what} ({place})");
    if let Some(log) = LOG.get() {
        text.push_str(&format!(
            "\nThe log says more: {}\nUpdates go on on the devices. To carry on watching: \
             otadeck watch --resume, or the console.",
            log.display()
        ));
    }
    out::complain(&text);
    last_resort(Code::Failure);
    DEFECT.cancel();
}

/// Waits for a panic, of whatever task or thread.
pub(super) async fn defect() {
    DEFECT.cancelled().await;
}

/// Has there been one?
pub(super) fn is_defect() -> bool {
    BROKEN.load(Ordering::Acquire)
}

/// Ends the process with that code after [`LIMIT`], unless it has ended by then.
pub(super) fn last_resort(code: Code) {
    let end = move || {
        std::thread::sleep(LIMIT);
        crate::console::give_back();
        std::process::exit(i32::from(code.number()));
    };
    // Without a thread the parts' own deadlines must do.
    let _ = std::thread::Builder::new().spawn(end);
}

/// Does the work of a verb, whatever becomes of it, and then ends its engine. Says
/// what could not be written down.
///
/// # Errors
/// As the work.
pub(super) async fn tend(
    running: Running,
    work: impl Future<Output = Result<Code, Failure>>,
) -> Result<Code, Failure> {
    let (ended, written) = see_off(running, work).await;
    worst(told(written), ended.unwrap_or(Ok(Code::Failure)))
}

/// The same for a work whose end is not the program's: what came of it, unless it has
/// panicked, and whether all was written down, which nobody was told yet.
pub(super) async fn see_off<T>(
    running: Running,
    work: impl Future<Output = T>,
) -> (Option<T>, Result<(), Unwritten>) {
    // The hook has said what there is to say of a panic.
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    if is_defect() {
        // It is being told: the last resort sees to it that this ends.
        defect().await;
    }
    (ended.ok(), running.stop().await)
}

/// Says what could not be written down, if anything; whether all was.
pub(super) fn told(written: Result<(), Unwritten>) -> bool {
    if let Err(unwritten) = &written {
        tell(unwritten);
    }
    written.is_ok()
}

/// Says what could not be written down, the most important last: it is what stays in
/// sight.
fn tell(unwritten: &Unwritten) {
    let events = &unwritten.events;
    let mut text = String::new();
    for event in events.iter().take(SAID) {
        let event = serde_json::to_string(event).unwrap_or_else(|e| e.to_string());
        text.push_str(&format!("not written: {event}\n"));
    }
    if events.len() > SAID {
        text.push_str(&format!("and {} more\n", events.len() - SAID));
    }
    text.push_str(&match events.len() {
        0 => format!("{unwritten}: the last of what was seen may be missing there.\n"),
        n => format!(
            "{unwritten}: {n} events may be missing there; they stand above, and in the log if \
             that could be written.\n"
        ),
    });
    text.push_str(
        "Nothing is sent twice for that. What the devices do is told by their twins: \
         otadeck watch --resume",
    );
    out::complain(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two seconds are the promise; giving back a terminal that stands still
    /// takes at most twice what it is waited for, and waits for another thread
    /// once.
    #[test]
    fn the_last_resort_keeps_the_promise() {
        let given_back = crate::console::GIVEN_BACK;
        assert!(
            LIMIT + given_back < Duration::from_secs(2),
            "{given_back:?}"
        );
    }

    #[tokio::test]
    async fn work_that_panics_ends_the_engine_in_order() {
        let journal = crate::journal::Journal::in_memory("ana").unwrap();
        let profile = crate::domain::profile::Profile {
            name: "test".into(),
            host: "hub.test".into(),
            environment: None,
            read_only: false,
            tier: None,
            units: 1,
        };
        let dialects = crate::domain::dialect::Dialects::built_in();
        let settings = crate::engine::Settings::new(profile, dialects);
        let string = "HostName=localhost:1;SharedAccessKeyName=s;SharedAccessKey=AAEC";
        let connection = crate::hub::ConnectionString::parse(string).unwrap();
        let client = crate::hub::Client::new(crate::hub::Settings::new(connection, None));
        let running = crate::engine::spawn(client, journal, settings);
        let mut events = running.engine().subscribe();
        let ended = tend(running, async { panic!("a defect") }).await;
        assert_eq!(ended.unwrap(), Code::Failure);
        while events.next().await.is_some() {}
    }
}
