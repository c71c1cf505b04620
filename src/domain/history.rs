//! What was written down of past updates: how it is asked for, and what comes
//! back. The journal answers, the engine passes on, the console and the command
//! line show; all of them speak in these words.

use jiff::{SignedDuration, Timestamp};

use super::clean;
use super::event::Event;
use super::id::{DeviceId, UpdateId};
use super::update::{Evidence, Outcome, Update};
use super::uri;

/// Updates of one page at most.
pub const PAGE: usize = 100;
/// Characters of a foreign text in a list.
const WORDS: usize = 400;

/// A question about the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A page of updates, the newest first.
    Page {
        /// Only those that [`Entry::holds`] all of its words.
        text: String,
        /// Only those before this one; `None` for the newest.
        before: Option<UpdateId>,
    },
    /// All events of one update.
    Update(UpdateId),
}

/// What is known of the past.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To [`Ask::Page`].
    Page(Page),
    /// To [`Ask::Update`].
    Update(Recorded),
}

/// A page of updates, the newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The updates.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` when this is the last one. A page may
    /// be short, or empty, and not be the last: only so many updates are looked
    /// at for one.
    pub next: Option<UpdateId>,
    /// What could not be read, and is left out.
    pub damaged: Vec<Damaged>,
}

/// One update, as it was written down.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// Its events, oldest first.
    pub events: Vec<Event>,
    /// What could not be read, and is left out.
    pub damaged: Vec<Damaged>,
    /// Events in the middle that are left out, because there are too many.
    pub left_out: usize,
}

impl Recorded {
    /// The fold of its events; `None` when the first one is missing.
    #[must_use]
    pub fn update(&self) -> Option<Update> {
        fold(&self.events)
    }
}

/// The fold of events that begin with an intent.
#[must_use]
pub fn fold(events: &[Event]) -> Option<Update> {
    let first = events.iter().position(|e| Update::intended(e).is_some())?;
    let mut update = Update::intended(&events[first])?;
    for event in &events[first + 1..] {
        update.apply(event);
    }
    Some(update)
}

/// An event that is there and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Its row.
    pub row: i64,
    /// The update that it belongs to.
    pub update: UpdateId,
    /// The device, as the row has it: it may be no device id at all.
    pub device: String,
    /// What kind of event it was, as the row has it.
    pub kind: String,
    /// Why it cannot be read.
    pub why: String,
}

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            row,
            update,
            device,
            kind,
            why,
        } = self;
        write!(
            f,
            "event {row} of the journal is damaged and left out ({} of {}, update {update}): {}",
            clean::line(kind, 40),
            clean::line(device, 128),
            clean::line(why, 200)
        )
    }
}

/// One line about an update.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub id: UpdateId,
    /// The device.
    pub device: DeviceId,
    /// The hub's host name.
    pub hub: String,
    /// When it was decided, by the clock of whoever did.
    pub intended: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// When anything last changed.
    pub changed: Timestamp,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// One word for where it stands: the outcome, the doubt, or the phase.
    pub word: &'static str,
    /// Why it stands so: the verdict's reason, or the doubt's.
    pub why: String,
    /// The package's URI, redacted.
    pub uri: Option<String>,
    /// The version that the device must report in the end.
    pub expect: Option<String>,
    /// The dialect's name.
    pub dialect: String,
    /// Who decided.
    pub by: String,
    /// Why, or a ticket's number, in the operator's words.
    pub reason: Option<String>,
    /// Was the order sent, as far as is known? Told of open updates alone: the line
    /// of one that has ended is folded without it.
    pub invoked: bool,
    /// What the verdict rests on, or what was seen last.
    pub evidence: Option<Evidence>,
    /// Is it in doubt?
    pub doubtful: bool,
    /// Did the device say otherwise later?
    pub contradicted: bool,
}

impl Entry {
    /// The line about an update. Of one that has ended, its intent, its verdict
    /// and its contradictions are enough.
    #[must_use]
    pub fn of(update: &Update) -> Self {
        let doubt = update.doubt.as_ref().map(|(_, why)| why.clone());
        let verdict = update.verdict.as_ref();
        Self {
            id: update.id.clone(),
            device: update.device.clone(),
            hub: update.intent.hub.clone(),
            intended: update.intended,
            ended: verdict.map(|v| v.time),
            changed: update.changed,
            outcome: verdict.map(|v| v.outcome),
            word: update.word(),
            why: verdict
                .map(|v| v.reason.clone())
                .or(doubt)
                .unwrap_or_default(),
            uri: update.intent.uri.clone(),
            expect: update.intent.expect.clone(),
            dialect: update.intent.dialect.clone(),
            by: update.intent.by.clone(),
            reason: update.intent.reason.clone(),
            invoked: update.invoked.is_some(),
            evidence: match verdict {
                Some(verdict) => verdict.evidence.clone(),
                None => update.steps.last().map(|step| step.evidence.clone()),
            },
            doubtful: update.doubt.is_some(),
            contradicted: update.contradicted.is_some(),
        }
    }

    /// Has it not ended yet?
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.outcome.is_none()
    }

    /// How long it took; `None` while it is open.
    #[must_use]
    pub fn took(&self) -> Option<SignedDuration> {
        let took = self.ended?.duration_since(self.intended);
        Some(took.max(SignedDuration::ZERO))
    }

    /// The package's short name; harmless text.
    #[must_use]
    pub fn package(&self) -> Option<String> {
        let uri = self.uri.as_deref()?;
        Some(clean::line(uri::last_part(uri), WORDS))
    }

    /// Does it hold every word of `text`, in its device, its state, its package,
    /// who decided or why? Without regard to case; an empty text is in all.
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        let uri = self.uri.as_deref().map_or("", uri::last_part);
        let said = format!(
            "{}\n{}\n{uri}\n{}\n{}\n{}",
            self.device,
            self.word,
            self.by,
            self.reason.as_deref().unwrap_or_default(),
            if self.contradicted {
                "contradicted"
            } else {
                ""
            },
        );
        holds(&said.to_lowercase(), &text.to_lowercase())
    }
}

/// Does `said` hold every word of `text`? Both in small letters; an empty text is in
/// all.
#[must_use]
pub fn holds(said: &str, text: &str) -> bool {
    text.split_whitespace().all(|word| said.contains(word))
}

/// Which updates are wanted; what is empty or `None` lets all through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Hubs, by host name.
    pub hubs: Vec<String>,
    /// Devices.
    pub devices: Vec<DeviceId>,
    /// How they ended, or did not.
    pub ends: Vec<End>,
    /// Decided at that time or later.
    pub since: Option<Timestamp>,
    /// Decided before that time.
    pub until: Option<Timestamp>,
    /// So many, the newest.
    pub limit: Option<usize>,
}

/// How an update ended, or that it did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// No verdict yet.
    Open,
    /// With that verdict.
    With(Outcome),
}

impl End {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::Open,
        Self::With(Outcome::Completed),
        Self::With(Outcome::Failed),
        Self::With(Outcome::Rejected),
        Self::With(Outcome::NotDelivered),
        Self::With(Outcome::GivenUp),
    ];

    /// The name on the command line and in events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::With(outcome) => outcome.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{Intent, What};

    fn entry() -> Entry {
        let intent = Intent {
            hub: "h".into(),
            uri: Some("https://x.test/a/FW-1.5.0.bin?sig=***".into()),
            by: "ana@jump-1".into(),
            reason: Some("OPS-4711".into()),
            ..Intent::default()
        };
        let event = Event::update(
            Timestamp::UNIX_EPOCH,
            DeviceId::parse("press-7").unwrap(),
            UpdateId::from_text("u"),
            What::Intended(Box::new(intent)),
        );
        Entry::of(&Update::intended(&event).unwrap())
    }

    #[rstest::rstest]
    #[case("", true)]
    #[case("PRESS", true)]
    #[case("press fw-1.5 ana", true)]
    #[case("ops-47", true)]
    #[case("watching", true)]
    #[case("sig", false)]
    #[case("press ben", false)]
    fn a_text_finds(#[case] text: &str, #[case] found: bool) {
        assert_eq!(entry().holds(text), found);
    }

    #[test]
    fn events_without_their_intent_are_no_update() {
        assert_eq!(fold(&[]), None);
        let event = Event::update(
            Timestamp::UNIX_EPOCH,
            DeviceId::parse("d").unwrap(),
            UpdateId::from_text("u"),
            What::Invoked {
                attempt: 1,
                latest: None,
            },
        );
        assert_eq!(fold(&[event]), None);
    }

    #[test]
    fn a_package_has_a_short_name_and_no_signature() {
        assert_eq!(entry().package().as_deref(), Some("FW-1.5.0.bin"));
    }
}
