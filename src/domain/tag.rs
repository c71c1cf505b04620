//! The tag that keeps consoles on several hosts off each other's devices.
//!
//! The journal's lease holds among all who share a journal. Hosts that share none
//! share the hub: with `lease = "tags"` an update writes down on its device's twin
//! who works on it, before its order goes out.
//!
//! ```text
//! tags.otadeck = {
//!   "by": "ana", "host": "jump1",           who
//!   "update": "0199…",                      for which update
//!   "since": "2026-01-01T12:00:00Z",        taken, and good until, by the hub's clock
//!   "until": "2026-01-01T12:30:00Z",
//!   "doing": "update to fw-1.5.0.bin" }
//! ```
//!
//! Whoever may read the twin reads this, so nothing else stands in it: no URI, no
//! signature, no address. Devices are never shown their tags.
//!
//! # Its life
//!
//! ```text
//!  baseline ── another's, not expired ──► refused: busy
//!     │ none, expired, ours
//!     ▼                   written                              verdict
//!  intended ──► taking ───────────► held, the order goes out ─────────► given back
//!                 │ 412: somebody      │ each 10 minutes          │ 412: read again;
//!                 │ was faster;        └──► renewed               │ if still ours
//!                 ▼ read again                                    └──► given back
//!              another's: notDelivered, busy
//!              nobody's:  the twin as it is now is the baseline; taking
//! ```
//!
//! Each write names the twin's etag as it was last read (`If-Match`), so of two who
//! write at once one is refused, and the hub decides which. A device's own reports
//! do not change that etag. A tag that cannot be written lets no order out.
//!
//! # Who may take it over
//!
//! * An expired one, anybody: its holder has not renewed it for [`LEASE`], which is
//!   three renewals or more. So the tag of a process that was killed ends by itself.
//! * The same update in a later process (`watch --resume`) renews it and gives it
//!   back, also an expired one, as long as nobody else has taken it. It takes none
//!   anew: its order is out already, or is never sent.
//! * Whoever forces the start, that of exactly the holder who was told then.
//! * One that is no tag of otadeck's (another shape), nobody, whoever forces the start:
//!   it is taken away by hand.
//!
//! # Clocks
//!
//! `since` and `until` are the hub's time: each answer of the hub carries it (the
//! header `Date`, to the second), and what passes between an answer and a write is
//! measured by a clock that nobody sets. So it does not matter by how much the hosts'
//! clocks differ. When an answer has no `Date`, our own clock is taken, and another's
//! tag counts for [`SKEW`] longer: then two hosts may differ by that much.
//!
//! # What it costs
//!
//! Two writes an update, and one each five to ten minutes while it is open. The hub bills a
//! write of a twin as it bills a read, and allows half as many a second (50 on S1).
//!
//! # What it does not do
//!
//! * It binds only whoever looks at it. Another program that invokes a method is not
//!   kept from it, nor an otadeck whose hub says `lease = "journal"`.
//! * Between `until` and the next renewal somebody else may have taken the device, if
//!   all renewals failed. That is told; the order is out by then and is not taken back.
//! * A program that replaces all tags of a twin (PUT) takes it away.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

use super::clean;
use super::id::{DeviceId, UpdateId};
use super::problem::{Kind, Problem};
use super::twin::Twin;

/// The tag's name.
pub const KEY: &str = "otadeck";
/// How long a tag is good after it was written.
pub const LEASE: SignedDuration = SignedDuration::from_mins(30);
/// How often at least it is written again while its update is open; between half of
/// this and this, so that those who began together do not write together.
pub const RENEWAL: Duration = Duration::from_secs(10 * 60);
/// How much longer another's tag counts when only our own clock tells.
pub const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The longest name that is written or shown, in characters.
const MAX_NAME: usize = 64;
/// The longest word about what is done.
const MAX_DOING: usize = 100;

/// How a hub's devices are kept for one update at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lease {
    /// By the journal alone: among all that share it.
    #[default]
    Journal,
    /// By a tag on the twin as well: among all who look at it.
    Tags,
}

/// Who works on a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The person, as far as the system tells.
    pub by: String,
    /// The machine.
    pub host: String,
    /// The update.
    pub update: UpdateId,
    /// When it was taken, by the hub's clock.
    pub since: Timestamp,
    /// When it ends by itself, by the hub's clock.
    pub until: Timestamp,
    /// What is done.
    pub doing: String,
}

impl Tag {
    /// The tag of an update of `by` (`user@host (sudo by ana, ssh from …)`), taken at
    /// that time. Where `by` sits, the SSH client's address, stays out of it.
    #[must_use]
    pub fn new(by: &str, update: UpdateId, package: &str, since: Timestamp) -> Self {
        let (user, rest) = by.split_once('@').unwrap_or((by, ""));
        let (host, how) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut how = how.trim_matches(['(', ')']).split(", ");
        let user = match how.find(|part| part.starts_with("sudo by ")) {
            Some(sudo) => format!("{user} ({sudo})"),
            None => user.to_owned(),
        };
        Self {
            by: clean::line(&user, MAX_NAME),
            host: clean::line(host, MAX_NAME),
            update,
            since: to_seconds(since),
            until: to_seconds(since.checked_add(LEASE).unwrap_or(since)),
            doing: clean::line(&format!("update to {package}"), MAX_DOING),
        }
    }

    /// The same, good from `now` on.
    fn renewed(&self, now: Timestamp) -> Self {
        Self {
            until: to_seconds(now.checked_add(LEASE).unwrap_or(now)),
            ..self.clone()
        }
    }

    /// Somebody else's words, made harmless.
    fn cleaned(self) -> Self {
        Self {
            by: clean::line(&self.by, MAX_NAME),
            host: clean::line(&self.host, MAX_NAME),
            doing: clean::line(&self.doing, MAX_DOING),
            ..self
        }
    }

    /// The tag as JSON.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::json!({
            "by": self.by, "host": self.host, "update": self.update,
            "since": self.since, "until": self.until, "doing": self.doing,
        })
    }
}

/// The fractions are worth nothing, and cost room.
fn to_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// What stands where the tag stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A tag of otadeck's.
    Tag(Tag),
    /// Something else.
    Unreadable,
}

impl Found {
    fn on(twin: &Twin) -> Self {
        match twin.tags.get(KEY) {
            None | Some(Value::Null) => Self::Nothing,
            Some(value) => serde_json::from_value::<Tag>(value.clone())
                .map_or(Self::Unreadable, |tag| Self::Tag(tag.cleaned())),
        }
    }
}

/// A twin as it was seen, as far as its tag is concerned. Only from this a write is
/// made, so that each write rests on a read.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    device: DeviceId,
    etag: String,
    version: u64,
    found: Found,
    /// The hub's time, or ours when the hub has not told it.
    time: Timestamp,
    /// How far others' clocks may be from it.
    skew: SignedDuration,
}

impl Sighting {
    /// What `twin` shows, read at `wall` by our own clock.
    #[must_use]
    pub fn of(twin: &Twin, wall: Timestamp) -> Self {
        Self {
            device: twin.device_id.clone(),
            etag: twin.etag.clone(),
            version: twin.version,
            found: Found::on(twin),
            time: twin.told_at.unwrap_or(wall),
            skew: match twin.told_at {
                Some(_) => SignedDuration::ZERO,
                None => SKEW,
            },
        }
    }

    /// What stood where the tag stands.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Is the tag that update's?
    #[must_use]
    pub fn is_of(&self, update: &UpdateId) -> bool {
        matches!(&self.found, Found::Tag(tag) if tag.update == *update)
    }

    /// Is this older than `other`, of the same twin? Answers may overtake each other.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        self.version < other.version
    }

    /// Does the same update hold the device as in `other`, or nobody, as there? Of
    /// what is no tag nobody knows whose it is.
    #[must_use]
    pub fn same_holder(&self, other: &Self) -> bool {
        match (&self.found, &other.found) {
            (Found::Tag(one), Found::Tag(other)) => one.update == other.update,
            (one, other) => (one, other) == (&Found::Nothing, &Found::Nothing),
        }
    }

    /// When the tag that was seen is to be renewed, if it is that update's: a
    /// [`RENEWAL`] after it was last written.
    #[must_use]
    pub fn renewal_in(&self, update: &UpdateId) -> Option<Duration> {
        let Found::Tag(tag) = &self.found else {
            return None;
        };
        let left = tag.until.duration_since(self.time);
        let due = left.saturating_sub(LEASE) + SignedDuration::try_from(RENEWAL).ok()?;
        (tag.update == *update).then(|| Duration::try_from(due).unwrap_or(Duration::ZERO))
    }

    /// Why nobody else may start anything on the device, if so; `ours` tells
    /// which updates are no hindrance.
    #[must_use]
    pub fn busy(&self, ours: impl FnOnce(&UpdateId) -> bool) -> Option<Problem> {
        let device = &self.device;
        let title = format!("{device} is busy");
        let tag = match &self.found {
            Found::Nothing => return None,
            Found::Unreadable => {
                let cause = format!("tags.{KEY} of its twin is no tag that this otadeck knows");
                return Some(Problem::new(Kind::Busy, title, cause).hint(
                    "Nothing was sent. A newer otadeck wrote it, or another program. When \
                     nobody works on the device, take that tag away.",
                ));
            }
            Found::Tag(tag) => tag,
        };
        let ends = tag.until.checked_add(self.skew).unwrap_or(tag.until);
        if ends <= self.time || ours(&tag.update) {
            return None;
        }
        let Tag {
            by,
            host,
            since,
            until,
            doing,
            ..
        } = tag;
        let cause = format!("{by} on {host} since {since}: {doing}");
        Some(Problem::new(Kind::Busy, title, cause).hint(format!(
            "Nothing was sent. Wait until that update has ended, or watch the device: \
             otadeck watch -- {}. Its tag ends at {until} unless it is renewed.",
            clean::shell_word(device.as_str())
        )))
    }

    /// The write that takes the device for the update of `tag`, made with the
    /// hub's time `elapsed` after this was seen.
    #[must_use]
    pub fn take(&self, by: &str, update: &UpdateId, package: &str, elapsed: Duration) -> Write {
        let tag = Tag::new(by, update.clone(), package, self.after(elapsed));
        self.write(update, Some(tag))
    }

    /// The write that renews the tag that was seen; `None` when it is not that
    /// update's.
    #[must_use]
    pub fn renew(&self, update: &UpdateId, elapsed: Duration) -> Option<Write> {
        match &self.found {
            Found::Tag(tag) if tag.update == *update => {
                Some(self.write(update, Some(tag.renewed(self.after(elapsed)))))
            }
            _ => None,
        }
    }

    /// The write that gives the tag that was seen back; `None` when it is not that
    /// update's.
    #[must_use]
    pub fn give_back(&self, update: &UpdateId) -> Option<Write> {
        self.is_of(update).then(|| self.write(update, None))
    }

    fn after(&self, elapsed: Duration) -> Timestamp {
        self.time.checked_add(elapsed).unwrap_or(self.time)
    }

    fn write(&self, update: &UpdateId, tag: Option<Tag>) -> Write {
        let over = match &self.found {
            Found::Tag(tag) => Some(tag.update.clone()),
            Found::Nothing | Found::Unreadable => None,
        };
        Write {
            device: self.device.clone(),
            etag: self.etag.clone(),
            update: update.clone(),
            over,
            tag,
        }
    }
}

/// One write of a tag: over which state of the twin, and what.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    device: DeviceId,
    etag: String,
    update: UpdateId,
    over: Option<UpdateId>,
    tag: Option<Tag>,
}

impl Write {
    /// Whose tag.
    #[must_use]
    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// The twin's etag, without quotes: the write counts only while it is so.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// The update that writes.
    #[must_use]
    pub fn update(&self) -> &UpdateId {
        &self.update
    }

    /// The update whose tag is written over, if one stands there.
    #[must_use]
    pub fn over(&self) -> Option<&UpdateId> {
        self.over.as_ref()
    }

    /// The tag; `None` gives it back.
    #[must_use]
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }
}

#[cfg(test)]
mod tests;
