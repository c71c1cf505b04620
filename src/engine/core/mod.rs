//! The pure core: (state, input, now) → outputs.
//!
//! The core decides, the [shell](super::shell) does. Nothing here waits, reads a
//! clock or speaks to anybody; whatever happened comes in as an [`Input`],
//! whatever is to be done goes out as an [`Output`]. So every story can be told
//! in a test, in any order, without a socket and without waiting.
//!
//! ```text
//!  Start ─► Read (baseline) ─► Intend ─► (WriteTag) ─► Commit (invoked) ─► Invoke ─► Answered
//!                                  └─► reads each 500 ms ─► events ─► Commit (verdict)
//! ```

mod arming;
mod baseline;
mod budget;
mod flights;
mod life;
mod link;
mod listing;
mod narrow;
mod orders;
mod packages;
mod reads;
mod resume;
mod rules;
mod starts;
mod tags;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::device::DeviceRow;
use crate::domain::dialect::Dialects;
use crate::domain::durations::{Deadlines, Durations, Samples};
use crate::domain::event::{Command, Event, What};
use crate::domain::holding::Claim;
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::method::MethodAnswer;
use crate::domain::pace::{Bucket, Pace};
use crate::domain::preflight::{self, PackageInfo};
use crate::domain::problem::Problem;
use crate::domain::profile::Profile;
use crate::domain::quota::DAY_SHARE;
use crate::domain::skew::Skew;
use crate::domain::tag::Lease;
use crate::domain::twin::Twin;
use crate::domain::uri::PackageUri;
use crate::hub::{HubError, Identity, Page, Permit, Query, TagPermit};
use crate::journal::{Adopted, JournalError, Receipt};
use crate::package::{self, PackageError};

use super::gate::{ARMED, Gate};
use super::handle::Snapshot;

use budget::Ledger;
use flights::Flight;
use link::Road;
use listing::Listing;
use narrow::Narrowing;
use resume::Resume;
use rules::Rules;
use starts::Starting;

/// Refusals that are kept for front ends that have missed them.
const REFUSALS: usize = 1_000;

/// How the engine works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which hub, and what may be done to it.
    pub profile: Profile,
    /// Which packages may be given to its devices.
    pub rules: preflight::Rules,
    /// Are the servers of packages asked about them?
    pub ask_package_server: bool,
    /// How the servers of packages are reached.
    pub packages: package::Settings,
    /// Which devices the inventory lists, until somebody asks for others.
    pub query: Query,
    /// The words that devices use.
    pub dialects: Dialects,
    /// An active phase that is older is nobody's any more.
    pub phase_deadline: SignedDuration,
    /// When an update in which nothing changes is stalled.
    pub deadlines: Deadlines,
    /// An update that is open for so long is given up.
    pub overall_deadline: SignedDuration,
    /// How long a device may take to answer the method: 5 to 300 s.
    pub response_timeout: u32,
    /// How long the hub may wait for a device to connect: 0 to 300 s.
    pub connect_timeout: u32,
    /// How often an order that was not delivered is tried in all.
    pub tries: u32,
    /// The part of the hub's messages of a day that is ours, 0 to 1.
    pub day_share: f64,
    /// Messages of the day that this process had spent when the engine began, and
    /// when that was.
    pub spent: (Timestamp, u64),
    /// How devices are kept for one update at a time.
    pub lease: Lease,
    /// How long production stays armed after its name was given.
    pub arm_for: Duration,
    /// Who works here: `user@host`.
    pub by: String,
    /// Why there is no journal, although one is wanted: then nothing is started,
    /// only watched.
    pub no_journal: Option<Problem>,
}

impl Settings {
    /// The defaults for that hub.
    #[must_use]
    pub fn new(profile: Profile, dialects: Dialects) -> Self {
        Self {
            profile,
            rules: preflight::Rules::default(),
            ask_package_server: true,
            packages: package::Settings::default(),
            query: Query::all(&dialects),
            dialects,
            phase_deadline: SignedDuration::from_mins(15),
            deadlines: Deadlines::default(),
            overall_deadline: SignedDuration::from_hours(24),
            response_timeout: 30,
            connect_timeout: 0,
            tries: 5,
            day_share: DAY_SHARE,
            spent: (Timestamp::default(), 0),
            lease: Lease::Journal,
            arm_for: ARMED,
            by: String::new(),
            no_journal: None,
        }
    }
}

/// When it is: since the engine's start, for waits, and by the wall clock, for
/// events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Now {
    /// Since the engine's start.
    pub at: Duration,
    /// By the wall clock.
    pub wall: Timestamp,
    /// Uniformly distributed in 0..1: the jitter of whatever is put off now.
    pub chance: f64,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A front end asks for something.
    Command(Command),
    /// A read of a twin has ended.
    Twin {
        /// Which read it was.
        ticket: u64,
        /// The device that was read.
        device: DeviceId,
        /// Its twin.
        result: Result<Box<Twin>, HubError>,
    },
    /// A page of the inventory came.
    Page {
        /// Which listing it belongs to.
        ticket: u64,
        /// The page.
        result: Result<Page, HubError>,
    },
    /// Devices for which a rule holds, a page of them.
    Asked {
        /// Which question it answers.
        ticket: u64,
        /// The page.
        result: Result<Page, HubError>,
    },
    /// An intent is on the disk, or is not.
    Intended {
        /// Which update.
        update: UpdateId,
        /// The proof.
        result: Result<Receipt, JournalError>,
    },
    /// A method call has ended.
    Answered {
        /// Which update it belongs to.
        update: UpdateId,
        /// The device's answer.
        result: Result<MethodAnswer, HubError>,
    },
    /// A tag was written, or was not.
    TagWritten {
        /// The update whose tag it is.
        update: UpdateId,
        /// The twin as it is now.
        result: Result<Box<Twin>, HubError>,
    },
    /// A twin was read for a tag that is to be written.
    TagSeen {
        /// The update whose tag it is.
        update: UpdateId,
        /// The twin.
        result: Result<Box<Twin>, HubError>,
    },
    /// A device's entry in the registry was read, or was not.
    Identified {
        /// The update whose device is under suspicion.
        update: UpdateId,
        /// The entry.
        result: Result<Identity, HubError>,
    },
    /// The journal's completed updates, to learn from.
    Past(Result<Vec<Vec<Event>>, JournalError>),
    /// A package's server told about it, or nothing.
    Inspected {
        /// Which package.
        uri: PackageUri,
        /// What it told.
        result: Result<PackageInfo, PackageError>,
    },
    /// The journal's open updates.
    Opened(Result<Vec<UpdateId>, JournalError>),
    /// An open update was taken over, or was not.
    Adopted {
        /// Which update.
        update: UpdateId,
        /// What is written down of it.
        result: Result<Adopted, JournalError>,
    },
    /// Whether the journal knows who works on a device that is at work.
    Held {
        /// Which device.
        device: DeviceId,
        /// Who, as an error.
        result: Result<(), JournalError>,
    },
    /// Whether another update of a device was started after this one.
    Later {
        /// Which update.
        update: UpdateId,
        /// Whether there is one.
        result: Result<bool, JournalError>,
    },
    /// A decision is on the disk, or is not.
    Committed {
        /// Which update it is about.
        update: UpdateId,
        /// The proof, when an order may go out now.
        result: Result<Option<Receipt>, JournalError>,
    },
    /// The hub's clock was measured.
    Clock(Skew),
    /// What is asked waits for a sign-in, so that the hub was not asked yet.
    SigningIn,
    /// Events cannot be written down; or, after that, all of them are again.
    Recorded(Result<(), JournalError>),
    /// The engine ends: nothing more is sent.
    Stop,
    /// The time that [`Core::wake_at`] named has come.
    Tick,
}

/// What is to be done.
#[derive(Debug)]
pub enum Output {
    /// Read a twin; [`Input::Twin`] answers.
    Read {
        /// Which read it is.
        ticket: u64,
        /// The device to read.
        device: DeviceId,
    },
    /// Read a page; [`Input::Page`] answers.
    List {
        /// Which listing it belongs to.
        ticket: u64,
        /// Which devices.
        query: Arc<Query>,
        /// The page's token; absent for the first.
        continuation: Option<String>,
    },
    /// Ask for devices for which a rule holds; [`Input::Asked`] answers.
    Ask {
        /// Which question it is.
        ticket: u64,
        /// The question.
        query: Box<Query>,
        /// The page's token; absent for the first.
        continuation: Option<String>,
    },
    /// Commit an intent, and keep what is secret of its package;
    /// [`Input::Intended`] answers.
    Intend {
        /// The intent.
        event: Box<Event>,
        /// The package.
        uri: PackageUri,
        /// What of the device may end with it?
        claim: Claim,
    },
    /// Find who works on a device; [`Input::Held`] answers.
    AskHolder(DeviceId),
    /// Find whether another update of the device was started after this one;
    /// [`Input::Later`] answers.
    AskLater {
        /// Which update.
        update: UpdateId,
        /// Its device.
        device: DeviceId,
    },
    /// Write observations down; [`Input::Recorded`] tells when that goes wrong.
    Record(Vec<Event>),
    /// Commit a decision, that an order goes out or a verdict, before anything is
    /// done or said of it; [`Input::Committed`] answers.
    Commit {
        /// Which update it is about.
        update: UpdateId,
        /// The decision.
        events: Vec<Event>,
    },
    /// Call a method; [`Input::Answered`] answers.
    Invoke {
        /// Which update it belongs to.
        update: UpdateId,
        /// The leave to do it.
        permit: Permit,
    },
    /// Write a tag, or take it away; [`Input::TagWritten`] answers. Also at the end:
    /// a tag that is not given back keeps others off the device.
    WriteTag {
        /// The update whose tag it is.
        update: UpdateId,
        /// The leave to do it.
        permit: TagPermit,
    },
    /// Read a twin for a tag that is to be written; [`Input::TagSeen`] answers.
    /// It waits for none of the read budget's turns: one for each update at most, when
    /// another has written to its twin, or when it was taken up and ends.
    LookAtTag {
        /// The update whose tag it is.
        update: UpdateId,
        /// The device.
        device: DeviceId,
    },
    /// Read a device's entry in the registry; [`Input::Identified`] answers.
    Identify {
        /// The update whose device is under suspicion.
        update: UpdateId,
        /// The device.
        device: DeviceId,
    },
    /// Find completed updates to learn from; [`Input::Past`] answers.
    PastUpdates,
    /// Ask a package's server about it; [`Input::Inspected`] answers.
    Inspect(PackageUri),
    /// Find the open updates; [`Input::Opened`] answers.
    OpenUpdates,
    /// Take an open update over; [`Input::Adopted`] answers.
    Adopt(UpdateId),
    /// Tell front ends.
    Publish(Vec<Event>),
}

/// The engine's whole state.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    gate: Gate,
    /// Until when production is armed, by the wall clock.
    armed_until: Option<Timestamp>,
    pace: Pace,
    pages: Bucket,
    ledger: Ledger,
    rows: BTreeMap<DeviceId, DeviceRow>,
    listing: Listing,
    narrowing: Narrowing,
    rules: Rules,
    road: Road,
    /// The hub's clock less ours, as far as it is believed.
    skew: SignedDuration,
    /// Was it said that the clocks are far from each other?
    skewed: bool,
    looking: Option<DeviceId>,
    starting: HashMap<DeviceId, Starting>,
    flights: BTreeMap<UpdateId, Flight>,
    /// The open flight of each device that has one.
    open: HashMap<DeviceId, UpdateId>,
    /// Updates that have ended on their device's word, which is heard on for a
    /// while: it may take it back.
    aftermath: HashMap<DeviceId, UpdateId>,
    /// How long phases took in past updates.
    samples: Samples,
    durations: Durations,
    /// The last read of each device that is read: a late answer of an earlier
    /// one is dropped, so that what is seen never goes back in time.
    tickets: HashMap<DeviceId, u64>,
    /// The journal's open updates, while they are taken up.
    resume: Resume,
    /// The engine ends: nothing more is sent.
    stopping: bool,
    /// The last refusals, for front ends that have missed them.
    refusals: VecDeque<(DeviceId, Problem)>,
    /// Failed reads in a row, for the wait before the next.
    failures: HashMap<DeviceId, u32>,
    out: Vec<Output>,
}

impl Core {
    /// An engine that has done nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            gate: Gate::new(settings.profile.clone())
                .arming_for(settings.arm_for)
                .unwritten(settings.no_journal.clone()),
            armed_until: None,
            pace: Pace::new(settings.profile.reads_per_second()),
            pages: Bucket::per_minute(settings.profile.pages_per_minute()),
            ledger: Ledger::new(&settings),
            rows: BTreeMap::new(),
            listing: Listing::default(),
            narrowing: Narrowing::new(settings.query.clone()),
            rules: Rules::default(),
            road: Road::default(),
            skew: SignedDuration::ZERO,
            skewed: false,
            looking: None,
            starting: HashMap::new(),
            flights: BTreeMap::new(),
            open: HashMap::new(),
            aftermath: HashMap::new(),
            samples: Samples::default(),
            durations: Durations::default(),
            resume: Resume::default(),
            stopping: false,
            refusals: VecDeque::new(),
            tickets: HashMap::new(),
            failures: HashMap::new(),
            out: Vec::new(),
            settings,
        }
    }

    /// Takes in what happened; gives what is to be done, in this order.
    pub fn handle(&mut self, input: Input, now: Now) -> Vec<Output> {
        self.disarm_when_due(now);
        match input {
            Input::Command(command) => self.command(command, now),
            Input::Twin {
                ticket,
                device,
                result,
            } => self.twin_read(ticket, &device, result, now),
            Input::Page { ticket, result } => self.page_read(ticket, result, now),
            Input::Asked { ticket, result } => self.rules_read(ticket, result, now),
            Input::Intended { update, result } => self.intended(&update, result, now),
            Input::Answered { update, result } => {
                let by_the_hub = self.by_the_hub(now);
                self.ledger.spend_call(&result, by_the_hub);
                self.answered(&update, result, now);
            }
            Input::TagWritten { update, result } => self.tag_written(&update, result, now),
            Input::TagSeen { update, result } => self.tag_seen(&update, result, now),
            Input::Identified { update, result } => self.identified(&update, result, now),
            Input::Past(result) => {
                self.close_when_unreadable(result.as_ref().err());
                self.past(result, now);
            }
            Input::Inspected { uri, result } => self.inspected(&uri, result, now),
            Input::Opened(result) => {
                self.close_when_unreadable(result.as_ref().err());
                self.opened(result, now);
            }
            Input::Adopted { update, result } => self.adopted(&update, result, now),
            Input::Held { device, result } => self.held(&device, result, now),
            Input::Later { update, result } => self.later(&update, result, now),
            Input::Committed { update, result } => self.committed(&update, result, now),
            Input::Clock(skew) => self.clock(skew, now),
            Input::SigningIn => self.signing_in(now),
            Input::Recorded(result) => self.recorded(result, now),
            Input::Stop => {
                self.stop(now);
                self.disarm(now);
            }
            Input::Tick => {}
        }
        self.tick(now);
        std::mem::take(&mut self.out)
    }

    fn command(&mut self, command: Command, now: Now) {
        match command {
            Command::List => {
                self.try_now(now);
                self.list(now);
            }
            Command::Query(text) => self.narrow(text, now),
            Command::Attend(somebody) => self.listing.attended = somebody,
            Command::Look(device) => self.look(device, now),
            Command::Start(start) => self.start(start, now),
            Command::Watch(device) => self.watch(device, now),
            Command::Inspect(uri) => self.inspect(uri, now),
            Command::Resume => self.out.push(Output::OpenUpdates),
            Command::Focus(update) => {
                let flight = update.and_then(|id| self.flights.get(&id));
                let device = flight.map(|f| f.update.device.clone());
                self.pace.focus(device, now.at);
            }
            Command::GiveUp(update) => self.give_up_asked(&update, now),
            Command::Arm(name) => self.arm(&name, now),
            Command::Disarm => self.disarm(now),
        }
    }

    /// What is due by time alone.
    fn tick(&mut self, now: Now) {
        self.link_due(now);
        self.rules_due(now);
        self.list_due(now);
        self.flights_due(now);
        self.tags_due(now);
        self.reads_due(now);
        self.budget_due(now);
    }

    /// When [`Input::Tick`] is wanted; `None` when nothing waits for time.
    #[must_use]
    pub fn wake_at(&self) -> Option<Duration> {
        [
            self.pace.next(),
            self.link_wakes_at(),
            self.listing.wake_at(),
            self.rules.wake_at(),
            self.flights_wake_at(),
            self.tags_wake_at(),
            self.ledger.wake_at(),
            self.arming_wakes_at(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// How all stands.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            rows: self.rows.values().cloned().collect(),
            inventory: self.listing.state(),
            query: self.narrowing.text().map(str::to_owned),
            link: self.road.told(),
            updates: self.flights.values().map(|f| f.update.clone()).collect(),
            starting: self.starting.keys().cloned().collect(),
            refusals: self.refusals.iter().cloned().collect(),
            budget: self.ledger.told(),
            journal: self.gate.unwritten_because().cloned(),
            armed_until: self.armed_until(),
            resuming: self.resume.is_under_way(),
            durations: self.durations.clone(),
            sequence: 0,
        }
    }

    /// What is not written down is not done: nothing is started until all is.
    fn recorded(&mut self, result: Result<(), JournalError>, now: Now) {
        let what = match result {
            Ok(()) => {
                self.close_gate(self.settings.no_journal.clone());
                What::JournalRecovered {}
            }
            Err(JournalError::Over { verdict }) => return self.overruled(*verdict, now),
            Err(error) if error.is_damage() => {
                self.close_when_unreadable(Some(&error));
                let problem = error.problem();
                What::JournalProblem { problem }
            }
            Err(error) => {
                let problem = error.problem().hint(
                    "What is seen is kept in memory and tried again; until it is written down \
                      nothing new is started. Make room, or mend the disk.",
                );
                self.close_gate(Some(problem.clone()));
                What::JournalProblem { problem }
            }
        };
        self.publish(Event::general(now.wall, what));
    }

    /// With a journal that cannot be read nobody can tell what is under way:
    /// nothing is started any more.
    fn close_when_unreadable(&mut self, error: Option<&JournalError>) {
        if let Some(error) = error {
            self.settings.no_journal = Some(error.problem());
            self.close_gate(self.settings.no_journal.clone());
        }
    }

    fn close_gate(&mut self, because: Option<Problem>) {
        self.gate = self.gate.clone().unwritten(because);
    }

    fn publish(&mut self, event: Event) {
        match self.out.last_mut() {
            Some(Output::Publish(events)) => events.push(event),
            _ => self.out.push(Output::Publish(vec![event])),
        }
    }

    /// Tells of a refusal that happened before anything was sent.
    fn refuse(&mut self, device: &DeviceId, problem: Problem, now: Now) {
        self.refusals.push_back((device.clone(), problem.clone()));
        if self.refusals.len() > REFUSALS {
            self.refusals.pop_front();
        }
        let what = What::Refused { problem };
        self.publish(Event::device(now.wall, device.clone(), what));
    }
}
