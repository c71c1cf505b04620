//! What the console knows: everything that the screen shows, and nothing that
//! it does not need for that. Changed only by [`update`](super::update()).

pub(crate) mod arming;
pub(crate) mod attention;
mod carried;
pub(crate) mod command_line;
pub(crate) mod devices;
pub(crate) mod doctor;
pub(crate) mod facts;
pub(crate) mod field;
pub(crate) mod flights;
pub(crate) mod history;
pub(crate) mod log;
pub(crate) mod updates;
pub(crate) mod views;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use self::arming::Naming;
use self::attention::Attention;
pub use self::carried::Carried;
use self::command_line::{CommandLine, Typed};
use self::devices::Devices;
use self::devices::columns::Columns;
use self::doctor::Examination;
use self::facts::Facts;
use self::field::{Dropped, Field};
use self::flights::Flights;
use self::history::{History, Played};
use self::log::{Log, LogScreen, Weight};
use self::updates::Updates;
use self::views::Views;
use super::hubs::HubEntry;
use super::keymap::{Keymap, Place};
use super::look::Look;
use super::theme::Theme;
use super::told::Wire;
use crate::domain::device::DeviceRow;
use crate::domain::dialect::{Dialect, Dialects};
use crate::domain::durations::Durations;
use crate::domain::event::{InventoryState, Link, Way};
use crate::domain::headless::Reach;
use crate::domain::holding::Holding;
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::preflight::{self, Finding};
use crate::domain::problem::Problem;
use crate::domain::profile::Profile;
use crate::domain::quota::{AHEAD, Budget, DAY_SHARE, Forecast, Quota};
use crate::domain::replay::Replay;
use crate::domain::update::Update;
use crate::domain::uri::PackageUri;
use crate::engine::gate::ARMED;

/// From this width on devices and details stand side by side.
pub(crate) const WIDE: u16 = 100;
/// URIs offered below the package field.
const OFFERED: usize = 9;

/// What the console is told at its start.
#[derive(Clone, Debug)]
pub struct Context {
    /// The hub, and what may be done to it.
    pub profile: Profile,
    /// The words that devices use, to show the exact payload.
    pub dialects: Dialects,
    /// URIs to try, offered below the package field.
    pub sample_uris: Vec<String>,
    /// URIs of earlier sessions, newest first. Those that were redacted when
    /// they were written down cannot be sent and are not offered.
    pub recent_uris: Vec<PackageUri>,
    /// Why nothing can be written down, so that nothing is started.
    pub only_watches: Option<Problem>,
    /// Something to say at the start; stays until it is dismissed.
    pub first_notice: Option<String>,
    /// The part of the hub's day that is ours, 0 to 1.
    pub day_share: f64,
    /// The hubs that can be gone to, this one among them.
    pub hubs: Vec<HubEntry>,
    /// The name of this one there.
    pub hub: String,
    /// Is there a journal in which open updates are found again?
    pub keeps_journal: bool,
    /// What was carried here from another hub.
    pub carried: Option<Carried>,
    /// Do hub and devices end with the console?
    pub demo: bool,
    /// Is nothing shown but a replay, with no hub behind it?
    pub replay_only: bool,
    /// How another start of otadeck comes to the same hub.
    pub reach: Reach,
    /// How long production stays armed after its name was typed.
    pub arm_for: Duration,
    /// How it looks, and which keys do what.
    pub look: Look,
    /// How much goes to the terminal, and what it is told.
    pub wire: Wire,
    /// The file of the operator's own views; without one none are kept.
    pub views_file: Option<PathBuf>,
}

impl Context {
    /// A context with nothing to offer.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        let entry = HubEntry {
            name: profile.name.clone(),
            environment: profile.environment.clone(),
            host: Some(profile.host.clone()),
            read_only: profile.read_only,
            trouble: None,
        };
        Self {
            hub: entry.name.clone(),
            hubs: vec![entry],
            keeps_journal: true,
            carried: None,
            profile,
            dialects: Dialects::built_in(),
            sample_uris: Vec::new(),
            recent_uris: Vec::new(),
            only_watches: None,
            first_notice: None,
            day_share: DAY_SHARE,
            demo: false,
            replay_only: false,
            reach: Reach::default(),
            arm_for: ARMED,
            look: Look::default(),
            wire: Wire::default(),
            views_file: None,
        }
    }
}

/// How far the list of devices is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Inventory {
    /// Nothing was heard yet while this is `None`.
    pub(crate) state: Option<InventoryState>,
    /// Devices listed so far.
    pub(crate) count: usize,
    /// Why it broke off.
    pub(crate) problem: Option<Problem>,
    /// Was the list asked for again? Then what it does not hold is gone.
    pub(crate) again: bool,
    /// The query that selects these devices; `None` is all of the hub.
    pub(crate) query: Option<String>,
    /// What the hub is asked for instead, and has not answered.
    pub(crate) asking: Option<Asking>,
}

impl Inventory {
    /// Is every device listed?
    pub(crate) fn is_whole(&self) -> bool {
        self.state == Some(InventoryState::Complete)
    }

    /// The engine has told how far it is: is what was asked for answered?
    pub(crate) fn is_heard(&mut self) {
        if self.state != Some(InventoryState::Listing) || self.problem.is_some() {
            self.asking = None;
        }
    }
}

/// A query that the hub is asked; without one it is asked for all devices.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asking(pub(crate) Option<String>);

/// What became of an order that the engine has not written down yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Asked {
    /// No word yet; the package's short name.
    Waiting(String),
    /// It was refused, and why.
    Refused(Problem),
    /// Nobody here asked: another process watches an update of the device.
    Elsewhere(Problem),
}

/// Where the keys go inside the panel of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Focus {
    /// The package field.
    Field,
    /// A URI below it.
    Pick(usize),
    /// The text below; it scrolls.
    Details,
}

/// The opened device.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Panel {
    /// Which.
    pub(crate) device: DeviceId,
    /// Where the keys go.
    pub(crate) focus: Focus,
    /// The package field.
    pub(crate) field: Field,
    /// Was enter pressed on what the field holds? Then a mistake is an error,
    /// not a hint.
    pub(crate) submitted: bool,
    /// What the last paste left out.
    pub(crate) dropped: Dropped,
    /// Lines scrolled away.
    pub(crate) scroll: usize,
    /// The twin as JSON instead of a tree?
    pub(crate) raw: bool,
    /// Only what holds this is shown of the twin.
    pub(crate) search: String,
}

/// A text that is typed in a line of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bar {
    /// The filter, and what was selected before.
    Filter(Field, Option<DeviceId>),
    /// A command.
    Prompt(CommandLine),
    /// What is searched for in the twin of the opened device.
    Search(Field),
}

/// A question or a list over everything else.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Dialog {
    /// Shall this package go onto this device?
    Confirm(Box<Order>),
    /// Shall production be armed? The name is typed, as in an order.
    Arm(Naming),
    /// Shall the watching of this update end?
    GiveUp(DeviceId, UpdateId),
    /// Shall the console end?
    Quit,
    /// The hubs, and the selected line.
    Hubs(usize),
    /// Shall the console go to this hub?
    Switch(String),
    /// This hub is made ready.
    Connecting(String),
    /// What the keys do; lines scrolled away.
    Help(usize),
}

/// A screen of its own over devices, details and the past.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cover {
    /// What happened in this session.
    Log(LogScreen),
    /// What the doctor finds.
    Doctor(Examination),
}

/// An order that waits for its confirmation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    /// Which device.
    pub(crate) device: DeviceId,
    /// The other marked ones, when it is marked itself: they get it too.
    pub(crate) others: Vec<DeviceId>,
    /// Marked ones that may not be asked for now.
    pub(crate) left_out: usize,
    /// What that will take of the hub's day, where there are several.
    pub(crate) forecast: Option<String>,
    /// Which package.
    pub(crate) uri: PackageUri,
    /// What must be typed, as typed: on a production hub its name, and the id of
    /// a device that is taken over.
    pub(crate) name: Option<Field>,
    /// Was something else typed?
    pub(crate) wrong: bool,
    /// Whoever has the device, as the refusal of the order before has told.
    pub(crate) held: Option<Box<Holding>>,
    /// What can be said of the package; empty until the engine has said it.
    pub(crate) findings: Vec<Finding>,
    /// Is the package's server being asked?
    pub(crate) waiting: bool,
    /// Lines scrolled away.
    pub(crate) scroll: usize,
}

impl Order {
    /// What must be typed on that hub before it is sent, if anything; `armed` is
    /// whether its name was, a short while ago.
    pub(crate) fn wanted(&self, hub: &Profile, armed: bool) -> Option<String> {
        match (hub.is_production() && !armed, &self.held) {
            (true, Some(_)) => Some(format!("{} {}", hub.name, self.device)),
            (true, None) => Some(hub.name.clone()),
            (false, Some(_)) => Some(self.device.to_string()),
            (false, None) => None,
        }
    }

    /// Why this package may not be sent.
    pub(crate) fn refusal(&self) -> Option<&Finding> {
        preflight::refusal(&self.findings)
    }
}

/// The whole state of the console.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) context: Context,
    pub(crate) theme: Theme,
    pub(crate) keymap: Keymap,
    pub(crate) now: Timestamp,
    pub(crate) last_key: Timestamp,
    pub(crate) size: (u16, u16),
    pub(crate) devices: Devices,
    /// What is shown of each device.
    pub(crate) columns: Columns,
    pub(crate) views: Views,
    /// Is the mouse ours? Else it is the terminal's, which copies text with it.
    pub(crate) mouse: bool,
    pub(crate) inventory: Inventory,
    pub(crate) link: Way,
    pub(crate) budget: Budget,
    pub(crate) updates: Updates,
    pub(crate) durations: Durations,
    pub(crate) facts: HashMap<DeviceId, Facts>,
    pub(crate) asked: HashMap<DeviceId, Asked>,
    pub(crate) recent: Vec<PackageUri>,
    pub(crate) samples: Vec<PackageUri>,
    pub(crate) notice: Option<String>,
    /// What came of a copy; until the next key.
    pub(crate) brief: Option<String>,
    /// Until when production is armed, as the engine told last.
    pub(crate) armed_until: Option<Timestamp>,
    /// Why nothing can be written down; nothing is started meanwhile.
    pub(crate) unwritten: Option<Problem>,
    pub(crate) panel: Option<Panel>,
    pub(crate) bar: Option<Bar>,
    pub(crate) dialog: Option<Dialog>,
    /// The updates of this session, over devices and details.
    pub(crate) flights: Option<Flights>,
    /// Past updates, over devices and details.
    pub(crate) history: Option<History>,
    /// One of them played again, over that.
    pub(crate) replay: Option<Played>,
    /// The log or the doctor, over that.
    pub(crate) cover: Option<Cover>,
    /// What happened in this session.
    pub(crate) log: Log,
    /// Commands that were typed before.
    pub(crate) typed: Typed,
    pub(crate) attention: Attention,
}

impl Model {
    /// The console before anything has happened, on a terminal of `size`
    /// columns and rows.
    #[must_use]
    pub fn new(mut context: Context, size: (u16, u16), now: Timestamp) -> Self {
        match context.carried.take() {
            Some(carried) => {
                carried.dress(&mut context);
                Self::begin(context, size, now).with_carried(carried)
            }
            None => Self::begin(context, size, now),
        }
    }

    fn begin(context: Context, size: (u16, u16), now: Timestamp) -> Self {
        let usable = |uri: &PackageUri| !uri.expose().contains("***");
        let samples = context.sample_uris.iter();
        let samples = samples.filter_map(|text| PackageUri::parse(text).ok());
        Self {
            theme: context.look.theme().clone(),
            keymap: context.look.keymap.clone(),
            now,
            last_key: now,
            size,
            devices: Devices::default(),
            columns: context.look.columns.clone(),
            views: Views {
                fixed: context.look.views.clone(),
                own: None,
            },
            mouse: context.look.mouse,
            inventory: Inventory::default(),
            link: Way::new(Link::Connecting),
            budget: Budget::at_rest(&context.profile),
            updates: Updates::default(),
            durations: Durations::default(),
            facts: HashMap::new(),
            asked: HashMap::new(),
            recent: context
                .recent_uris
                .iter()
                .filter(|u| usable(u))
                .cloned()
                .collect(),
            samples: samples.filter(usable).collect(),
            unwritten: context.only_watches.clone(),
            notice: context.first_notice.clone(),
            brief: None,
            armed_until: None,
            panel: None,
            bar: None,
            dialog: None,
            flights: None,
            history: None,
            replay: None,
            cover: None,
            log: first_lines(&context, now),
            typed: Typed::default(),
            attention: Attention::default(),
            context,
        }
    }

    /// The same with nothing but a replay, and no hub behind it.
    #[must_use]
    pub fn replaying(context: Context, replay: Replay, size: (u16, u16), now: Timestamp) -> Self {
        let context = Context {
            replay_only: true,
            ..context
        };
        Self {
            replay: Played::new(replay),
            ..Self::new(context, size, now)
        }
    }

    /// Can it be read what is asked, and of whom?
    pub(crate) fn is_readable(&self) -> bool {
        self.size.0 >= 30 && self.size.1 >= 8
    }

    /// Where keys go now.
    pub(crate) fn place(&self) -> Place {
        match &self.dialog {
            Some(Dialog::Confirm(order)) if order.name.is_some() => Place::Arm,
            Some(Dialog::Arm(_)) => Place::Arm,
            Some(Dialog::Confirm(_) | Dialog::GiveUp(..) | Dialog::Switch(_)) => Place::Confirm,
            Some(Dialog::Hubs(_)) => Place::Hubs,
            Some(Dialog::Connecting(_)) => Place::Connecting,
            Some(Dialog::Quit) => Place::Quit,
            Some(Dialog::Help(_)) => Place::Help,
            None => self.place_below(),
        }
    }

    /// Where keys go when no question or list is over everything else.
    pub(crate) fn place_below(&self) -> Place {
        match (&self.bar, &self.panel) {
            _ if self.replay.is_some() => Place::Replay,
            (Some(Bar::Filter(..)), _) => Place::Filter,
            (Some(Bar::Prompt(..)), _) => Place::Prompt,
            (Some(Bar::Search(_)), _) => Place::Search,
            (None, _) if self.cover.is_some() => self.place_in_cover(),
            (None, _) if self.history.is_some() => self.place_in_history(),
            (None, _) if self.shows_flights() => Place::Updates,
            (None, None) => Place::Table,
            (None, Some(panel)) => match panel.focus {
                Focus::Field => Place::Field,
                Focus::Pick(_) => Place::Pick,
                Focus::Details => Place::Details,
            },
        }
    }

    fn place_in_history(&self) -> Place {
        match &self.history {
            Some(history) if history.opened.is_some() => Place::Record,
            Some(history) if history.typing => Place::Find,
            _ => Place::History,
        }
    }

    fn place_in_cover(&self) -> Place {
        match &self.cover {
            Some(Cover::Doctor(_)) => Place::Doctor,
            Some(Cover::Log(screen)) if screen.typing => Place::Find,
            _ => Place::Log,
        }
    }

    /// Does the past, the log or the doctor cover devices and details?
    pub(crate) fn shows_past(&self) -> bool {
        self.history.is_some() || self.replay.is_some() || self.cover.is_some()
    }

    /// Do devices and details stand side by side?
    pub(crate) fn is_wide(&self) -> bool {
        self.size.0 >= WIDE
    }

    /// The device whose details are shown: the opened one, or beside the table
    /// the selected one; none while the past covers them.
    pub(crate) fn in_view(&self) -> Option<&DeviceId> {
        match &self.panel {
            _ if self.shows_past() => None,
            _ if self.shows_flights() => self.flight_in_view(),
            Some(panel) => Some(&panel.device),
            None if self.is_wide() => self.devices.selected(),
            None => None,
        }
    }

    /// Is this device opened?
    pub(crate) fn panel_is_of(&self, device: &DeviceId) -> bool {
        self.panel
            .as_ref()
            .is_some_and(|panel| panel.device == *device)
    }

    /// May an update of this device be asked for now?
    pub(crate) fn may_ask(&self, device: &DeviceId) -> bool {
        !self.context.profile.read_only
            && self.unwritten.is_none()
            && self.updates.open_of(device).is_none()
            && !matches!(self.asked.get(device), Some(Asked::Waiting(_)))
    }

    /// Updates that are in flight, and orders that the engine has not answered.
    pub(crate) fn in_flight(&self) -> usize {
        let waiting = self
            .asked
            .values()
            .filter(|asked| matches!(asked, Asked::Waiting(_)));
        self.updates.open().count() + waiting.count()
    }

    /// What has no verdict yet when the console ends, a line each.
    pub(crate) fn left_open(&self) -> Vec<String> {
        let open = self.updates.open();
        let open = open.map(|update| format!("{} ({})", update.device, update.word()));
        let waiting = self.asked.iter().filter(|(device, asked)| {
            matches!(asked, Asked::Waiting(_)) && self.updates.open_of(device).is_none()
        });
        let waiting = waiting.map(|(device, _)| format!("{device} (nothing was sent yet)"));
        open.chain(waiting).collect()
    }

    /// The URIs offered below the field: those used last come first, samples
    /// at the end, each once.
    pub(crate) fn offers(&self) -> Vec<(&'static str, &PackageUri)> {
        let recent = self.recent.iter().map(|uri| ("recent", uri));
        let samples = self.samples.iter().map(|uri| ("sample", uri));
        let mut offers: Vec<(&'static str, &PackageUri)> = Vec::new();
        for (kind, uri) in recent.chain(samples) {
            if offers.len() < OFFERED && !offers.iter().any(|(_, known)| *known == uri) {
                offers.push((kind, uri));
            }
        }
        offers
    }

    /// The dialect of a device, and whether that is known for sure.
    pub(crate) fn dialect(&self, device: &DeviceId) -> (&Dialect, bool) {
        let dialects = &self.context.dialects;
        if let Some(chosen) = self.facts.get(device).and_then(|f| f.dialect.as_ref()) {
            return (dialects.named(&chosen.name), chosen.settled);
        }
        let known = self.updates.of(device);
        let name = known.map_or("", |tracked| &tracked.update.intent.dialect);
        (dialects.named(name), known.is_some())
    }

    /// Is nothing new coming, so that all on the screen is as old as it is?
    pub(crate) fn is_aging(&self) -> bool {
        matches!(self.link.state, Link::Retrying | Link::Unauthorized)
    }

    /// The time up to which an update was followed: now, or when the hub was last
    /// heard. Nothing moves beyond it.
    pub(crate) fn known_until(&self, update: &Update) -> Timestamp {
        match self.is_aging() {
            true => self.link.heard.unwrap_or(update.changed).min(self.now),
            false => self.now,
        }
    }

    /// What it takes to start that many updates now.
    pub(crate) fn forecast(&self, updates: usize) -> Forecast {
        let profile = &self.context.profile;
        let (tier, units) = profile.tier_or_assumed();
        let mut quota = Quota::new(tier, units, self.context.day_share);
        quota.spent_before(self.budget.spent, self.now);
        let ceiling = f64::from(profile.reads_per_second());
        quota.forecast(updates, AHEAD, ceiling, self.now)
    }

    /// The row of a device, if it is listed.
    pub(crate) fn row(&self, device: &DeviceId) -> Option<&DeviceRow> {
        self.devices.get(device)
    }
}

/// What the console is told at its start, as the log's first lines.
fn first_lines(context: &Context, now: Timestamp) -> Log {
    let mut log = Log::default();
    if let Some(problem) = &context.only_watches {
        log.note(now, Weight::Bad, "journal", &problem.to_string());
    }
    if let Some(notice) = &context.first_notice {
        log.note(now, Weight::Doubt, "notice", notice);
    }
    log
}
