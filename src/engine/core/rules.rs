//! Which devices the configuration's rules for dialects hold for. Only the hub
//! can tell, so it is asked: for devices that are to be started or watched,
//! several at a time, and after a listing for all.
//!
//! ```text
//!  start ─► wanted ─► rule 1 for these ─► rule 2 for the rest ─► … ─► known
//!  listing complete ─► all pages of rule 1 ─► of rule 2 ─► … ─► known, complete
//! ```
//!
//! Each page is one of the listing's. The hub answers from an index that is some
//! seconds late, so a tag that was changed just now may not count yet.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::domain::device::DeviceRow;
use crate::domain::dialect::Choice;
use crate::domain::event::InventoryState;
use crate::domain::id::DeviceId;
use crate::domain::problem::{Kind, Problem};
use crate::domain::twin::Section;
use crate::hub::{HubError, Page, Query};

use super::link::Try;
use super::listing::page_wait;
use super::{Core, Now, Output};

/// How long an answer counts for a start.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// Devices in one question: with the longest ids they stay below the longest
/// text that a hub takes.
const AT_ONCE: usize = 20;
/// How often a page is tried in all.
const TRIES: u32 = 4;

/// What is known of the rules, and what is being asked.
#[derive(Debug, Default)]
pub(super) struct Rules {
    known: HashMap<DeviceId, Known>,
    /// Devices to ask for.
    wanted: BTreeSet<DeviceId>,
    /// The question for devices that wait.
    ask: Option<Job>,
    /// The question for all devices.
    pass: Option<Job>,
    /// Counts questions, so that a late answer of an old one is dropped.
    ticket: u64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// The first rule that holds; none does.
    rule: Option<usize>,
    /// When that was asked, since the engine's start.
    at: Duration,
}

/// A question that goes through all rules.
#[derive(Debug)]
struct Job {
    /// For these devices; for all.
    devices: Option<Vec<DeviceId>>,
    /// Does a listing wait for it, or do starts?
    listing: bool,
    rule: usize,
    page: Option<String>,
    /// When the next page may be asked for; none while one is under way.
    due: Option<Duration>,
    ticket: u64,
    tries: u32,
    matched: HashMap<DeviceId, usize>,
}

impl Job {
    fn new(devices: Option<Vec<DeviceId>>, now: Now) -> Self {
        Self {
            devices,
            listing: false,
            rule: 0,
            page: None,
            due: Some(now.at),
            ticket: 0,
            tries: 0,
            matched: HashMap::new(),
        }
    }

    /// The devices that no rule has matched so far.
    fn left(&self) -> Option<Vec<DeviceId>> {
        let open = |id: &&DeviceId| !self.matched.contains_key(*id);
        let devices = self.devices.as_ref()?;
        Some(devices.iter().filter(open).cloned().collect())
    }
}

impl Rules {
    pub(super) fn wake_at(&self) -> Option<Duration> {
        let jobs = [&self.ask, &self.pass].into_iter().flatten();
        jobs.filter_map(|job| job.due).min()
    }

    /// Nobody waits any more for the answer of what was asked for starts.
    pub(super) fn forget_the_starts(&mut self) {
        self.wanted.clear();
        self.ask = None;
    }

    /// The hub is back: what waited for that is due.
    pub(super) fn go_on(&mut self, now: Duration) {
        for job in [&mut self.ask, &mut self.pass].into_iter().flatten() {
            job.due = job.due.map(|at| at.min(now));
        }
    }

    /// A new listing begins.
    pub(super) fn forget_the_pass(&mut self) {
        self.pass = None;
    }

    fn job(&mut self, ticket: u64) -> Option<Job> {
        let asked = |job: &Job| job.due.is_none() && job.ticket == ticket;
        for place in [&mut self.ask, &mut self.pass] {
            if place.as_ref().is_some_and(asked) {
                return place.take();
            }
        }
        None
    }

    fn put(&mut self, job: Job) {
        let place = match job.listing {
            false => &mut self.ask,
            true => &mut self.pass,
        };
        *place = Some(job);
    }
}

impl Core {
    /// The dialect of a device that reports this, and how that is known.
    pub(super) fn choice(&self, device: &DeviceId, reported: &Section) -> Choice<'_> {
        let rule = self.rules.known.get(device).and_then(|known| known.rule);
        self.settings.dialects.choose(reported, rule)
    }

    /// Was it asked which rules hold for the device?
    pub(super) fn rules_are_settled(&self, device: &DeviceId) -> bool {
        self.settings.dialects.rules().is_empty() || self.rules.known.contains_key(device)
    }

    /// Was that asked lately enough for a start?
    pub(super) fn rules_are_fresh(&self, device: &DeviceId, now: Now) -> bool {
        let fresh = |known: &Known| now.at.saturating_sub(known.at) < FRESH;
        self.settings.dialects.rules().is_empty() || self.rules.known.get(device).is_some_and(fresh)
    }

    /// Asks which rules hold for a device that is to be started.
    pub(super) fn ask_rules(&mut self, device: &DeviceId) {
        self.rules.wanted.insert(device.clone());
    }

    /// A row of a listing that knows no rules: what an earlier answer read in the
    /// rule's dialect stays.
    pub(super) fn as_ruled(&self, row: DeviceRow) -> DeviceRow {
        let known = self.rules.known.get(&row.device_id);
        match (known.and_then(|k| k.rule), self.rows.get(&row.device_id)) {
            (Some(_), Some(old)) => DeviceRow {
                firmware: old.firmware.clone(),
                reported_status: old.reported_status.clone(),
                phase: old.phase,
                last_update: old.last_update.clone(),
                ..row
            },
            _ => row,
        }
    }

    /// The listing has its last page: the rules go over it.
    pub(super) fn listed(&mut self, now: Now) {
        if self.settings.dialects.rules().is_empty() || self.rows.is_empty() {
            return self.listing_is(InventoryState::Complete, None, now);
        }
        // A short listing need not go through all devices of the hub.
        let few = self.rows.len() <= AT_ONCE;
        let devices = few.then(|| self.rows.keys().cloned().collect());
        self.rules.pass = Some(Job {
            listing: true,
            ..Job::new(devices, now)
        });
        self.listing_is(InventoryState::Listing, None, now);
    }

    /// Asks what is due; devices that wait go before a pass over all.
    pub(super) fn rules_due(&mut self, now: Now) {
        if self.rules.ask.is_none() && !self.rules.wanted.is_empty() {
            let wanted = std::mem::take(&mut self.rules.wanted);
            let mut devices = wanted.into_iter();
            let some = devices.by_ref().take(AT_ONCE).collect();
            self.rules.wanted = devices.collect();
            self.rules.ask = Some(Job::new(Some(some), now));
        }
        for job in [self.rules.ask.take(), self.rules.pass.take()] {
            match job {
                Some(job) if job.due.is_some_and(|at| at <= now.at) => self.ask(job, now),
                Some(job) => self.rules.put(job),
                None => {}
            }
        }
    }

    /// Asks for the next page, when the hub's query rate lets it.
    fn ask(&mut self, mut job: Job, now: Now) {
        let dialects = &self.settings.dialects;
        let Some(rule) = dialects.rules().get(job.rule) else {
            return;
        };
        let query = match Query::rule(rule, dialects, job.left().as_deref()) {
            Ok(query) => Box::new(query),
            Err(invalid) => {
                let problem = self.unruled(job.rule, invalid.to_string());
                return self.give_the_rules_up(job, &problem, now);
            }
        };
        match self.page_turn(now) {
            Err(at) => job.due = Some(at),
            Ok(()) => {
                self.rules.ticket += 1;
                job.ticket = self.rules.ticket;
                job.due = None;
                self.asked_for(Try::Ask(job.ticket), now);
                self.out.push(Output::Ask {
                    ticket: job.ticket,
                    query,
                    continuation: job.page.clone(),
                });
            }
        }
        self.rules.put(job);
    }

    pub(super) fn rules_read(&mut self, ticket: u64, result: Result<Page, HubError>, now: Now) {
        let by_the_hub = self.by_the_hub(now);
        let cost = self.ledger.spend_page(result.as_ref(), by_the_hub);
        self.link(Try::Ask(ticket), result.as_ref().map(|_| ()), now);
        let Some(mut job) = self.rules.job(ticket) else {
            return;
        };
        if job.listing {
            self.listing_cost(cost);
        }
        match result {
            Ok(page) => {
                job.tries = 0;
                self.rule_page(job, page, now);
            }
            Err(error) => {
                self.page_refused(&error, now);
                job.tries += 1;
                if error.is_passing() && job.tries < TRIES {
                    job.due = Some(now.at + page_wait(&error, job.tries, now));
                    return self.rules.put(job);
                }
                let problem = self.rule_problem(job.rule, &error);
                self.give_the_rules_up(job, &problem, now);
            }
        }
    }

    fn rule_page(&mut self, mut job: Job, page: Page, now: Now) {
        for row in page.rows {
            let device = row.device_id.clone();
            let asked = job.devices.as_ref().is_none_or(|d| d.contains(&device));
            if !asked || job.matched.contains_key(&device) {
                continue;
            }
            job.matched.insert(device.clone(), job.rule);
            if self.rows.contains_key(&device) {
                self.show_row(row, now);
            }
        }
        job.page = page.continuation;
        if job.page.is_none() {
            job.rule += 1;
        }
        let answered = job.left().is_some_and(|left| left.is_empty());
        if answered || job.rule >= self.settings.dialects.rules().len() {
            return self.rules_known(&job, now);
        }
        job.due = Some(now.at);
        self.rules.put(job);
    }

    /// All rules were asked, or each device has its rule.
    fn rules_known(&mut self, job: &Job, now: Now) {
        let at = now.at;
        let known = |device: &DeviceId| Known {
            rule: job.matched.get(device).copied(),
            at,
        };
        if !job.listing {
            for device in job.devices.iter().flatten() {
                self.rules.known.insert(device.clone(), known(device));
                self.ruled(device, now);
            }
            return;
        }
        let all = self.rows.keys().map(|id| (id.clone(), known(id)));
        self.rules.known.extend(all);
        self.listing_is(InventoryState::Complete, None, now);
    }

    fn give_the_rules_up(&mut self, job: Job, problem: &Problem, now: Now) {
        if job.listing {
            let problem = problem.clone().hint(
                "Devices are shown in the dialects that they are recognised by. \
                 Mend the rule in the configuration, or list again.",
            );
            return self.listing_is(InventoryState::Failed, Some(problem), now);
        }
        for device in job.devices.into_iter().flatten() {
            let problem = problem.clone().hint(
                "Nothing was sent: without the rules the device's dialect is not known. \
                 Mend the rule in the configuration, or try again.",
            );
            self.not_ruled(&device, problem, now);
        }
    }

    /// A rule that the hub refuses is the configuration's mistake.
    fn rule_problem(&self, rule: usize, error: &HubError) -> Problem {
        match error.kind() {
            Kind::BadRequest => self.unruled(rule, error.to_string()),
            _ => error.problem(self.unruled_title(rule)),
        }
    }

    fn unruled(&self, rule: usize, cause: String) -> Problem {
        Problem::new(Kind::Dialect, self.unruled_title(rule), cause)
    }

    fn unruled_title(&self, rule: usize) -> String {
        let rules = self.settings.dialects.rules();
        let dialect = rules.get(rule).map_or("", |rule| rule.dialect.as_str());
        format!("rule {} (dialect {dialect}) cannot be evaluated", rule + 1)
    }
}
