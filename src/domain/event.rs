//! The one vocabulary. The journal stores [`Event`], NDJSON prints it, the
//! console's model folds it, a replay feeds it; [`Command`] is what front ends
//! ask of the engine.

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::device::{Connection, DeviceRow};
use super::dialect::{Chosen, Values};
use super::doctor::Check;
use super::durations::Learnt;
use super::evidence::{Baseline, Evidence, OpenState, Outcome};
use super::holding::{Claim, Holding};
use super::id::{DeviceId, UpdateId};
use super::phase::Phase;
use super::preflight::{Finding, PackageInfo};
use super::problem::Problem;
use super::quota::Budget;
use super::twin::Twin;
use super::uri::PackageUri;

/// The version of the events' shape.
pub const SCHEMA: u8 = 1;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// [`SCHEMA`].
    pub schema: u8,
    /// When, by our clock, to the millisecond.
    pub time: Timestamp,
    /// The device that it is about.
    #[serde(default)]
    pub device_id: Option<DeviceId>,
    /// The update that it is about.
    #[serde(default)]
    pub update_id: Option<UpdateId>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

impl Event {
    /// An event about a device.
    #[must_use]
    pub fn device(time: Timestamp, device: DeviceId, what: What) -> Self {
        Self {
            device_id: Some(device),
            ..Self::general(time, what)
        }
    }

    /// An event about an update of a device.
    #[must_use]
    pub fn update(time: Timestamp, device: DeviceId, update: UpdateId, what: What) -> Self {
        Self {
            device_id: Some(device),
            update_id: Some(update),
            ..Self::general(time, what)
        }
    }

    /// An event about the hub as a whole.
    #[must_use]
    pub fn general(time: Timestamp, what: What) -> Self {
        Self {
            schema: SCHEMA,
            time: super::time::to_millis(time),
            device_id: None,
            update_id: None,
            what,
        }
    }
}

/// Ids come before what happened, so that a line reads from left to right.
impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let what = serde_json::to_value(&self.what).map_err(serde::ser::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema", &self.schema)?;
        map.serialize_entry("time", &self.time)?;
        map.serialize_entry("event", &what["event"])?;
        if let Some(id) = &self.device_id {
            map.serialize_entry("deviceId", id)?;
        }
        if let Some(id) = &self.update_id {
            map.serialize_entry("updateId", id)?;
        }
        for (key, value) in what.as_object().into_iter().flatten() {
            if key != "event" {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}

/// What happened. The names are part of the contract with scripts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all_fields = "camelCase")]
pub enum What {
    /// A row of the inventory.
    #[serde(rename = "device")]
    Device {
        /// The row.
        device: Box<DeviceRow>,
    },
    /// A device that was listed before is not any more.
    #[serde(rename = "device.gone")]
    Gone {},
    /// How far the listing is.
    #[serde(rename = "inventory")]
    Inventory {
        /// Listing, complete or broken off.
        state: InventoryState,
        /// Devices listed so far.
        count: usize,
        /// Rows that named no device, so that they cannot be shown.
        #[serde(default, skip_serializing_if = "is_zero")]
        skipped: usize,
        /// Why it broke off.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<Problem>,
    },
    /// From now on the inventory holds only the devices that a query selects on the
    /// hub, or all of them again. What was listed before is not in it, unless an
    /// update of it is open.
    #[serde(rename = "inventory.query")]
    Narrowed {
        /// The query as it was asked for; absent for all devices.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        query: Option<String>,
    },
    /// A twin was read for its own sake: a device was opened.
    #[serde(rename = "device.twin")]
    Twin {
        /// The twin.
        twin: Box<Twin>,
        /// The dialect that the device speaks, and how that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dialect: Option<Chosen>,
    },
    /// A device that somebody looks at could not be read.
    #[serde(rename = "device.problem")]
    DeviceProblem {
        /// Why.
        problem: Problem,
    },
    /// The way to the hub changed its state, or another try to reach it has
    /// failed.
    #[serde(rename = "link")]
    Link(Way),
    /// How far our clock is from the hub's, when that is far.
    #[serde(rename = "clock")]
    Clock {
        /// The hub's clock less ours, in seconds: positive when ours is behind.
        skew_seconds: i64,
        /// What that is, and what to do; absent when the clocks agree again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<Problem>,
    },
    /// An update was decided on and written down; nothing was sent yet.
    #[serde(rename = "update.intended")]
    Intended(Box<Intent>),
    /// With the intent an earlier update was ended, because somebody has typed that
    /// the device is taken over. One for each that was open.
    #[serde(rename = "update.tookOver")]
    TookOver {
        /// The earlier update: whose, since when, doing what.
        holding: Box<Holding>,
    },
    /// A device is watched from now on; nothing is sent to it.
    #[serde(rename = "update.watched")]
    Watched(Box<Intent>),
    /// What would be decided; nothing is written down, nothing is sent.
    #[serde(rename = "update.planned")]
    Planned(Box<Intent>),
    /// The order goes out now. After this only the twin can tell what the
    /// device has got.
    #[serde(rename = "update.invoked")]
    Invoked {
        /// 1 for the first try; more only when nothing was delivered before.
        attempt: u32,
        /// The latest time, by the hub's clock, at which it can have gone out:
        /// what is stamped up to then may be older than the order.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        latest: Option<Timestamp>,
    },
    /// The order was not delivered and will be tried again.
    #[serde(rename = "update.retrying")]
    Retrying {
        /// Why it was not delivered.
        problem: Problem,
        /// When it is tried again.
        at: Timestamp,
    },
    /// Before an order is sent that was not delivered, or that was late, the twin
    /// was read again: this is what it held. Or something was written while the
    /// order went out: it counts as held before.
    #[serde(rename = "update.baseline")]
    Rebased {
        /// The baseline from now on.
        baseline: Baseline,
    },
    /// The device took the order.
    #[serde(rename = "update.accepted")]
    Accepted {
        /// The device's own status.
        status: i64,
        /// The device's own words.
        payload: Value,
    },
    /// The device reports a phase, a percentage or a value that it did not
    /// report before.
    #[serde(rename = "update.phase")]
    Phase {
        /// The common phase.
        phase: Phase,
        /// The dialect's own properties.
        reported: Value,
        /// 0 to 100, if the device reports one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        percent: Option<f64>,
        /// Where it stands in the twin.
        evidence: Evidence,
    },
    /// An open update became doubtful, or is no longer.
    #[serde(rename = "update.state")]
    State {
        /// The state.
        state: OpenState,
        /// Why.
        reason: String,
        /// What it rests on, if on a property.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Evidence>,
    },
    /// The update has ended.
    #[serde(rename = "update.verdict")]
    Verdict {
        /// How.
        outcome: Outcome,
        /// Why, in a sentence.
        reason: String,
        /// What it rests on; absent when nothing was delivered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Evidence>,
        /// The dialect's own properties at that time.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        reported: Value,
        /// The same as a problem, when the hub or the device refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<Problem>,
    },
    /// What the device says after the verdict does not agree with it. The
    /// outcome stays.
    #[serde(rename = "update.contradicted")]
    Contradicted {
        /// What does not agree, in a sentence.
        reason: String,
        /// What it rests on.
        evidence: Evidence,
        /// The dialect's own properties at that time.
        reported: Value,
    },
    /// While an update is open, the device lost its connection, or has it again.
    /// The hub is late with this, and nothing is decided upon it.
    #[serde(rename = "update.connection")]
    Connection {
        /// How it is now, as far as the hub knows.
        #[serde(rename = "connectionState")]
        state: Connection,
        /// Is it part of an update to be away in the phase in which it went?
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        expected: bool,
    },
    /// The hub knows no such device any more.
    #[serde(rename = "update.lost")]
    Lost {},
    /// The tag by which the update holds its device could not be renewed or given
    /// back, or is another's now. The update goes on.
    #[serde(rename = "update.tag")]
    Tag {
        /// What is wrong with it, and what follows.
        problem: Problem,
    },
    /// The twin is not the one that the order went to: the device was deleted
    /// and created again, or its reported properties were reset. From here on
    /// only what is stamped later counts, and an end needs a second sign.
    #[serde(rename = "update.replaced")]
    Replaced {
        /// The new `generationId`, if the registry told it and it is new.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generation_id: Option<String>,
        /// Nothing that the hub stamped up to then is believed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
        /// `reported.$version` of the new twin.
        version: u64,
    },
    /// How long phases took in past updates, learnt anew.
    #[serde(rename = "durations")]
    Durations {
        /// One entry a dialect and phase.
        learnt: Vec<Learnt>,
    },
    /// The journal's open updates were taken up.
    #[serde(rename = "resumed")]
    Resumed {
        /// How many there were.
        count: usize,
    },
    /// Something that was seen could not be written down.
    #[serde(rename = "journal.problem")]
    JournalProblem {
        /// Why.
        problem: Problem,
    },
    /// All that could not be written down for a while is written down.
    #[serde(rename = "journal.recovered")]
    JournalRecovered {},
    /// A package URI was looked at, before anything is sent to a device.
    #[serde(rename = "package.inspected")]
    Inspected {
        /// The URI, redacted.
        uri: String,
        /// SHA-256 of the whole URI: tells two apart whose secrets differ.
        uri_sha256: String,
        /// What is to be said of it, the most important first.
        findings: Vec<Finding>,
        /// What its server told; absent when it was not asked yet, or told
        /// nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<PackageInfo>,
        /// Is the server's answer awaited still?
        waiting: bool,
    },
    /// Whoever reads these lines reads too slowly: some before this one are
    /// missing. Verdicts are not.
    #[serde(rename = "lagged")]
    Lagged {},
    /// How the read budget stands; told when it looks different, at most once a
    /// second.
    #[serde(rename = "budget")]
    Budget(Budget),
    /// The day's messages of the hub are being spent; each level once a day.
    #[serde(rename = "budget.warning")]
    BudgetWarning {
        /// What is spent, what follows, and what to do.
        problem: Problem,
    },
    /// Something that an update needs was looked at.
    #[serde(rename = "doctor.check")]
    Checked(Check),
    /// An open update of the journal is watched by another process.
    #[serde(rename = "update.elsewhere")]
    Elsewhere {
        /// Who, since when, doing what.
        problem: Problem,
    },
    /// A production hub may be written to for a while, or not any more.
    #[serde(rename = "arming")]
    Arming {
        /// Until when; absent when it may not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// A start was refused before anything was sent.
    #[serde(rename = "update.refused")]
    Refused {
        /// Why, and what to do.
        problem: Problem,
    },
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What was decided: everything that a later process needs to judge the device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// The hub's host name.
    pub hub: String,
    /// The redacted URI; absent when the device is only watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// SHA-256 of the whole URI: tells two apart whose secrets differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri_sha256: Option<String>,
    /// SHA-256 of the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_sha256: Option<String>,
    /// The direct method; absent when the device is only watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The version that the device must report in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// The dialect's name.
    pub dialect: String,
    /// What the twin held before.
    pub baseline: Baseline,
    /// Who decided, as far as the system tells: `user@host`.
    pub by: String,
    /// Why, or a ticket's number, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How far the listing of the hub's devices is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InventoryState {
    /// Pages are still coming.
    Listing,
    /// All pages are there.
    Complete,
    /// It broke off; what was listed stays.
    Failed,
}

/// How the way to the hub is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Link {
    /// Nothing was tried yet.
    Connecting,
    /// The last request was answered.
    Online,
    /// The last request was not answered; it will be tried again.
    Retrying,
    /// The hub does not let us.
    Unauthorized,
}

/// The way to the hub: how it is, why, and when it is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Way {
    /// How it is now.
    pub state: Link,
    /// Why, when it is not well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// Which try comes next, 1 for the first; absent when none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// When that is, by our clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// When the hub was last heard, while it is not online; absent when never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Timestamp>,
}

impl Way {
    /// A way of which nothing but its state is known.
    #[must_use]
    pub fn new(state: Link) -> Self {
        Self {
            state,
            problem: None,
            attempt: None,
            at: None,
            heard: None,
        }
    }

    /// Does it look as `other` does to whoever is told in words: the same state
    /// for the same reason?
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        self.state == other.state && self.problem == other.problem
    }
}

/// What a front end asks of the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// List the hub's devices anew.
    List,
    /// List only those that a query selects: a condition, or a whole query in the
    /// hub's language. Without one, all again. One that the hub refuses changes
    /// nothing.
    Query(Option<String>),
    /// Is somebody there? The list is only kept fresh for somebody, and nobody
    /// is there until this says so.
    Attend(bool),
    /// The device that somebody looks at; `None` when none.
    Look(Option<DeviceId>),
    /// Put a package on a device.
    Start(Start),
    /// Watch a device without starting anything.
    Watch(DeviceId),
    /// Carry on with every open update of the journal.
    Resume,
    /// Tell what can be said of a package before it is sent.
    Inspect(PackageUri),
    /// The update in focus, which is read most often; `None` when none.
    Focus(Option<UpdateId>),
    /// Give an update up: end its watching with the outcome `givenUp`.
    GiveUp(UpdateId),
    /// Confirm writes to a production hub by its name, for some minutes.
    Arm(String),
    /// Take that back: whoever confirmed may have gone.
    Disarm,
}

/// The order to put a package on a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// Which device.
    pub device: DeviceId,
    /// Which package.
    pub uri: PackageUri,
    /// The version that the device must report in the end.
    pub expect: Option<String>,
    /// SHA-256 of the package in hex, for dialects that send it to the device.
    pub sha256: Option<String>,
    /// Why, or a ticket's number, in the operator's words.
    pub reason: Option<String>,
    /// The device's id, typed once more by whoever takes the device over from
    /// another process, an open update or its own work.
    pub force: Option<String>,
    /// The update that whoever typed it was shown: only that one is ended. Without
    /// it, whatever is there.
    pub over: Option<UpdateId>,
}

impl Start {
    /// Was the device's id typed, so that what is there is taken over?
    #[must_use]
    pub fn takes_over(&self) -> bool {
        self.force.as_deref() == Some(self.device.as_str())
    }

    /// What it may end to have its device.
    #[must_use]
    pub fn claim(&self) -> Claim {
        match (self.takes_over(), &self.over) {
            (false, _) => Claim::Free,
            (true, Some(shown)) => Claim::Over(shown.clone()),
            (true, None) => Claim::Whatever,
        }
    }

    /// What a dialect's payload can hold of this order.
    #[must_use]
    pub fn values(&self) -> Values<'_> {
        Values {
            uri: self.uri.expose(),
            version: self.expect.as_deref(),
            sha256: self.sha256.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The shape that scripts rely on.
    #[test]
    fn a_line_reads_from_left_to_right() {
        let time: Timestamp = "2026-01-02T03:04:05.6789Z".parse().unwrap();
        let device = DeviceId::parse("press-7").unwrap();
        let what = What::Phase {
            phase: Phase::Downloading,
            reported: json!({"firmwareStatus": "downloading"}),
            percent: Some(52.0),
            evidence: Evidence {
                property: "firmwareStatus".into(),
                value: "downloading".into(),
                version: 17,
                hub_time: "2026-01-02T03:04:05.1234567Z".parse().ok(),
            },
        };
        let event = Event::update(time, device, UpdateId::from_text("u1"), what);
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(
            line,
            "{\"schema\":1,\"time\":\"2026-01-02T03:04:05.678Z\",\"event\":\"update.phase\",\
             \"deviceId\":\"press-7\",\"updateId\":\"u1\",\"phase\":\"downloading\",\
             \"reported\":{\"firmwareStatus\":\"downloading\"},\"percent\":52.0,\
             \"evidence\":{\"property\":\"firmwareStatus\",\"value\":\"downloading\",\
             \"version\":17,\"hubTime\":\"2026-01-02T03:04:05.1234567Z\"}}"
        );
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }

    #[test]
    fn an_intent_lies_flat_in_its_event() {
        let intent = Intent {
            hub: "h".into(),
            uri: None,
            payload_sha256: None,
            method: None,
            expect: None,
            dialect: "d".into(),
            baseline: Baseline::default(),
            by: "ana".into(),
            ..Intent::default()
        };
        let what = What::Intended(Box::new(intent));
        let event = Event::general(Timestamp::UNIX_EPOCH, what);
        let value = serde_json::to_value(&event).unwrap();
        assert_eq!(value["event"], "update.intended");
        assert_eq!(value["baseline"], json!({"version": 0}));
        assert_eq!(serde_json::from_value::<Event>(value).unwrap(), event);
    }
}
