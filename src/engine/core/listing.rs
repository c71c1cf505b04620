//! The inventory: pages of a projected query, at half the hub's query rate. Which
//! query that is: see `narrow`.
//!
//! A listing is billed by its size, and a large hub's is dear: 12,400 devices
//! are some hundred messages. So it is done when somebody asks, and by itself
//! only while somebody is there, as rarely as its cost demands.

use std::collections::HashSet;
use std::time::Duration;

use crate::domain::backoff::Backoff;
use crate::domain::event::{Event, InventoryState, What};
use crate::domain::id::DeviceId;
use crate::domain::pace::Ended;
use crate::domain::problem::Problem;
use crate::hub::{HubError, Page};

use super::budget::ended;
use super::link::Try;
use super::{Core, Now, Output};

/// How often a page is tried in all.
const TRIES: u32 = 4;
/// The part of the hub's messages of a day that listings may cost that nobody
/// has asked for.
const BY_ITSELF: f64 = 0.0025;
/// How old a list is at least before it is listed again by itself.
const STALE: Duration = Duration::from_secs(15 * 60);
const DAY: f64 = 86_400.0;

/// Where the listing stands.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Counts listings, so that a late page of an old one is dropped.
    ticket: u64,
    state: Option<(InventoryState, Option<Problem>)>,
    /// The page to ask for, when it may be asked for.
    next: Option<(Duration, Option<String>)>,
    /// The page being read, to ask again when it fails.
    asked: Option<String>,
    tries: u32,
    /// Rows that named no device.
    skipped: usize,
    seen: HashSet<DeviceId>,
    /// Messages that it has cost so far.
    cost: u64,
    /// When it was over, well or not.
    ended: Option<Duration>,
    /// Is somebody there?
    pub(super) attended: bool,
    /// How long to wait before it is done again by itself.
    rest: Duration,
    /// It broke off because the hub was away.
    lost: bool,
}

/// How long a page waits that has failed so often in a row, of a listing or for a
/// rule.
pub(super) fn page_wait(error: &HubError, tries: u32, now: Now) -> Duration {
    let (first, cap) = (Duration::from_millis(500), Duration::from_secs(8));
    let wait = Backoff::after(tries, first, cap).next_wait(now.chance);
    wait.max(error.wait().unwrap_or_default())
}

impl Listing {
    pub(super) fn state(&self) -> Option<(InventoryState, Option<Problem>)> {
        self.state.clone()
    }

    pub(super) fn wake_at(&self) -> Option<Duration> {
        let page = self.next.as_ref().map(|(at, _)| *at);
        page.or_else(|| self.again_at())
    }

    /// Messages that it has cost so far.
    pub(super) fn spent(&self) -> u64 {
        self.cost
    }

    /// What was asked for last does not count: a late page of it is dropped. The list
    /// before had cost that much.
    pub(super) fn gives_up(&mut self, cost: u64) {
        self.ticket += 1;
        self.next = None;
        self.cost += cost;
    }

    /// When it is done again by itself.
    fn again_at(&self) -> Option<Duration> {
        let ended = self.ended.filter(|_| self.attended)?;
        Some(ended + self.rest)
    }
}

impl Core {
    /// Begins a listing; one that runs is begun anew.
    pub(super) fn list(&mut self, now: Now) {
        self.rules.forget_the_pass();
        self.narrowing.forget_refusal();
        self.listing = Listing {
            ticket: self.listing.ticket + 1,
            next: Some((now.at, None)),
            attended: self.listing.attended,
            ..Listing::default()
        };
        self.listing_is(InventoryState::Listing, None, now);
    }

    /// Asks for the next page when its time has come.
    pub(super) fn list_due(&mut self, now: Now) {
        if self.listing.again_at().is_some_and(|at| at <= now.at) {
            self.list(now);
        }
        match &self.listing.next {
            Some((at, _)) if *at <= now.at => {}
            _ => return,
        }
        if let Err(at) = self.page_turn(now) {
            if let Some((wait, _)) = &mut self.listing.next {
                *wait = at;
            }
            return;
        }
        let continuation = self.listing.next.take().and_then(|(_, page)| page);
        self.listing.asked.clone_from(&continuation);
        self.asked_for(Try::Page(self.listing.ticket), now);
        self.out.push(Output::List {
            ticket: self.listing.ticket,
            query: self.narrowing.query(),
            continuation,
        });
    }

    /// May a page be asked for now, of a listing or for a rule? If not, it says
    /// when.
    pub(super) fn page_turn(&mut self, now: Now) -> Result<(), Duration> {
        if let Some(at) = self.page_waits(now) {
            return Err(at);
        }
        // The hub has enough of us. The other way round a refused page stops pages
        // alone: the hub counts queries apart, and they are the first to run out.
        match self.pace.share().held_until() {
            held if held > now.at => Err(held),
            _ => self.pages.take(now.at),
        }
    }

    /// A page was refused: how long pages stop, if that is why.
    pub(super) fn page_refused(&mut self, error: &HubError, now: Now) {
        if let Ended::Throttled(wait) = ended(error) {
            self.pages.refused(wait, now.at, now.chance);
        }
    }

    pub(super) fn page_read(&mut self, ticket: u64, result: Result<Page, HubError>, now: Now) {
        let by_the_hub = self.by_the_hub(now);
        let cost = self.ledger.spend_page(result.as_ref(), by_the_hub);
        self.link(Try::Page(ticket), result.as_ref().map(|_| ()), now);
        if ticket != self.listing.ticket {
            return;
        }
        self.listing_cost(cost);
        match result {
            Ok(page) => self.page(page, now),
            Err(error) => self.page_failed(&error, now),
        }
    }

    /// Messages that a page of the listing has cost, or one for the rules that go
    /// over it.
    pub(super) fn listing_cost(&mut self, messages: u64) {
        self.listing.cost += messages;
    }

    fn page(&mut self, page: Page, now: Now) {
        self.query_answered(now);
        self.listing.tries = 0;
        self.listing.lost = false;
        self.listing.skipped += page.skipped;
        for row in page.rows {
            self.listing.seen.insert(row.device_id.clone());
            self.narrowing.lists(&row.device_id);
            let row = self.as_ruled(row);
            self.show_row(row, now);
        }
        match page.continuation {
            Some(token) => {
                self.listing.next = Some((now.at, Some(token)));
                self.listing_is(InventoryState::Listing, None, now);
            }
            None => {
                self.forget_the_gone(now);
                self.listed(now);
            }
        }
    }

    /// Takes a row in and tells of it, unless a newer one is there.
    pub(super) fn show_row(&mut self, row: crate::domain::device::DeviceRow, now: Now) {
        let device = row.device_id.clone();
        if !self.is_listed(&device) {
            return;
        }
        if self
            .rows
            .get(&device)
            .is_some_and(|old| old.seen > row.seen)
        {
            return;
        }
        self.rows.insert(device.clone(), row.clone());
        let row = Box::new(row);
        self.publish(Event::device(
            now.wall,
            device,
            What::Device { device: row },
        ));
    }

    fn forget_the_gone(&mut self, now: Now) {
        // All devices hold one that is looked at: it may be too new for the hub's
        // index. What a query does not select is not in its list.
        let looked_at = self.looking.as_ref();
        let looked_at = looked_at.filter(|_| !self.narrowing.is_narrow());
        let gone: Vec<DeviceId> = self
            .rows
            .keys()
            .filter(|id| !self.listing.seen.contains(id))
            .filter(|id| self.open_flight_of(id).is_none() && looked_at != Some(*id))
            .cloned()
            .collect();
        for device in gone {
            self.rows.remove(&device);
            self.publish(Event::device(now.wall, device, What::Gone {}));
        }
        let seen = std::mem::take(&mut self.listing.seen);
        self.narrowing.lists_only(seen);
    }

    /// The listing is over: the dearer it was, the longer the next one waits.
    fn listing_over(&mut self, now: Now) {
        let allowed = self.ledger.quota().day() as f64 * BY_ITSELF;
        let rest = self.listing.cost as f64 / allowed.max(1.0) * DAY;
        self.listing.ended = Some(now.at);
        self.listing.rest = Duration::from_secs_f64(rest).max(STALE);
    }

    fn page_failed(&mut self, error: &HubError, now: Now) {
        self.page_refused(error, now);
        self.listing.tries += 1;
        self.listing.lost = self.road.is_away();
        if error.is_passing() && self.listing.tries < TRIES {
            let wait = page_wait(error, self.listing.tries, now);
            self.listing.next = Some((now.at + wait, self.listing.asked.clone()));
            return;
        }
        if self.query_failed(error, now) {
            return;
        }
        let problem = error.problem("the devices cannot be listed");
        if self.listing.state() == Some((InventoryState::Failed, Some(problem.clone()))) {
            // Tried again to see whether the hub is back; nothing is new.
            return self.listing_over(now);
        }
        self.listing_is(InventoryState::Failed, Some(problem), now);
    }

    /// Which listing it is.
    #[cfg(test)]
    pub(super) fn listing_ticket(&self) -> u64 {
        self.listing.ticket
    }

    /// Has it broken off because the hub was away, and does somebody wait for it?
    pub(super) fn list_is_missed(&self) -> bool {
        self.listing.lost && self.listing.attended && self.listing.next.is_none()
    }

    /// The hub answers all else: what has broken off is not made again for that.
    pub(super) fn list_failed_by_itself(&mut self) {
        self.listing.lost = false;
    }

    /// Asks for the first page once, to see whether the hub is back; what the
    /// list is said to be stays until it is.
    pub(super) fn list_as_probe(&mut self, now: Now) {
        self.listing.ticket += 1;
        self.listing.tries = TRIES - 1;
        self.listing.next = Some((now.at, None));
    }

    /// The hub is back: what waited for that is due.
    pub(super) fn list_goes_on(&mut self, now: Now) {
        if let Some((at, _)) = &mut self.listing.next {
            *at = now.at.min(*at);
        }
    }

    pub(super) fn listing_is(&mut self, state: InventoryState, problem: Option<Problem>, now: Now) {
        if state != InventoryState::Listing {
            self.listing_over(now);
        }
        let problem = problem.or_else(|| self.narrowing.refusal());
        self.listing.state = Some((state, problem.clone()));
        let what = What::Inventory {
            state,
            count: self.rows.len(),
            skipped: self.listing.skipped,
            problem,
        };
        self.publish(Event::general(now.wall, what));
    }
}
