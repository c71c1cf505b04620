//! Is somebody else's update under way on a device?

use jiff::{SignedDuration, Timestamp};

use crate::domain::clean;
use crate::domain::dialect::Dialect;
use crate::domain::problem::{Kind, Problem};
use crate::domain::time::spoken;
use crate::domain::twin::Twin;

/// Why no update may be started on the device of `twin` at `now`: it reports an
/// active phase that is younger than `deadline`.
#[must_use]
pub fn under_way(
    dialect: &Dialect,
    twin: &Twin,
    deadline: SignedDuration,
    now: Timestamp,
) -> Option<Problem> {
    let reading = dialect.read(&twin.reported);
    let age = now.duration_since(reading.stamp?);
    if !reading.phase.is_active() || age >= deadline {
        return None;
    }
    let device = &twin.device_id;
    let age = spoken(age.max(SignedDuration::ZERO));
    let cause = format!("it reports {} since {age}", reading.phase);
    let problem = Problem::new(Kind::Busy, format!("{device} is busy"), cause);
    Some(problem.hint(format!(
        "Nothing was sent. Wait until it has ended: otadeck watch -- {}",
        clean::shell_word(device.as_str())
    )))
}
