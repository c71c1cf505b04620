//! Which devices the inventory lists: all of the hub, or those that a query of the
//! operator's selects on the hub itself.
//!
//! ```text
//!  in force ── asked for another ──► on trial ── its first page ──► in force
//!     ▲                                 │
//!     └── refused, or not answered ─────┘
//! ```
//!
//! A query counts when the hub has answered its first page. Until then, and if the
//! hub refuses it, the list is what it was. Only the hub knows what a query means, so
//! nothing of it is judged here but its length.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::event::{Event, InventoryState, What};
use crate::domain::id::DeviceId;
use crate::domain::problem::{Kind, Problem};
use crate::hub::{HubError, Query};

use super::{Core, Now};

/// The query that the inventory goes by, and one that is on trial.
#[derive(Debug)]
pub(super) struct Narrowing {
    query: Arc<Query>,
    /// As it was asked for; `None` is all devices.
    text: Option<String>,
    /// The devices that it selects, as far as they were listed. A read of another
    /// one puts no row into the list.
    members: Option<HashSet<DeviceId>>,
    trial: Option<Trial>,
    /// Why the last one that was asked for does not count. Told with the list
    /// until that is asked for anew.
    refusal: Option<Problem>,
}

#[derive(Debug)]
struct Trial {
    query: Arc<Query>,
    text: Option<String>,
    /// Where the list stood before.
    before: Option<InventoryState>,
    /// What it had cost.
    cost: u64,
}

impl Narrowing {
    pub(super) fn new(query: Query) -> Self {
        Self {
            query: Arc::new(query),
            text: None,
            members: None,
            trial: None,
            refusal: None,
        }
    }

    /// What the next page is asked for with.
    pub(super) fn query(&self) -> Arc<Query> {
        let trial = self.trial.as_ref().map(|trial| &trial.query);
        Arc::clone(trial.unwrap_or(&self.query))
    }

    /// The query in force, as it was asked for.
    pub(super) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Why the last one does not count.
    pub(super) fn refusal(&self) -> Option<Problem> {
        self.refusal.clone()
    }

    /// The list is asked for anew: an old refusal has been read.
    pub(super) fn forget_refusal(&mut self) {
        self.refusal = None;
    }

    /// The hub has listed this device.
    pub(super) fn lists(&mut self, device: &DeviceId) {
        if let Some(members) = &mut self.members {
            members.insert(device.clone());
        }
    }

    /// A listing is whole, and these are all.
    pub(super) fn lists_only(&mut self, devices: HashSet<DeviceId>) {
        if let Some(members) = &mut self.members {
            *members = devices;
        }
    }

    fn holds(&self, device: &DeviceId) -> bool {
        let members = self.members.as_ref();
        members.is_none_or(|members| members.contains(device))
    }

    /// Does the list hold only some of the hub's devices?
    pub(super) fn is_narrow(&self) -> bool {
        self.members.is_some()
    }
}

impl Core {
    /// Asks the hub for the devices of a query, or for all. What is asked for last
    /// counts.
    pub(super) fn narrow(&mut self, text: Option<String>, now: Now) {
        let text = text.map(|text| text.trim().to_owned());
        let text = text.filter(|text| !text.is_empty());
        let (before, cost) = match self.narrowing.trial.take() {
            Some(trial) => (trial.before, trial.cost),
            None => (
                self.listing.state().map(|(state, _)| state),
                self.listing.spent(),
            ),
        };
        let query = match &text {
            None => Ok(self.settings.query.clone()),
            Some(text) => Query::parse(text, &self.settings.dialects),
        };
        let query = match query {
            Ok(query) => Arc::new(query),
            Err(invalid) => {
                let problem = Problem::new(
                    Kind::BadRequest,
                    "the query cannot be asked",
                    invalid.to_string(),
                );
                return self.refused_query(before, cost, problem, now);
            }
        };
        self.narrowing.trial = Some(Trial {
            query,
            text,
            before,
            cost,
        });
        self.try_now(now);
        self.list(now);
    }

    /// The hub answers with a page: a query that was on trial counts from now on, and
    /// what was listed by another leaves the list. An update that is open stays in
    /// sight.
    pub(super) fn query_answered(&mut self, now: Now) {
        let Some(trial) = self.narrowing.trial.take() else {
            return;
        };
        let narrow = trial.text.is_some();
        self.narrowing.query = trial.query;
        self.narrowing.text.clone_from(&trial.text);
        self.narrowing.members = narrow.then(HashSet::new);
        if narrow {
            let open = &self.open;
            self.rows.retain(|device, _| open.contains_key(device));
        }
        let query = trial.text;
        self.publish(Event::general(now.wall, What::Narrowed { query }));
    }

    /// The listing has failed for good. Was it of a query on trial, then the list is
    /// what it was.
    pub(super) fn query_failed(&mut self, error: &HubError, now: Now) -> bool {
        let Some(trial) = self.narrowing.trial.take() else {
            return false;
        };
        let title = match error.kind() {
            Kind::BadRequest => "the hub refused the query",
            _ => "the query was not answered",
        };
        self.refused_query(trial.before, trial.cost, error.problem(title), now);
        true
    }

    fn refused_query(
        &mut self,
        before: Option<InventoryState>,
        cost: u64,
        problem: Problem,
        now: Now,
    ) {
        let was = match &self.narrowing.text {
            Some(_) => "What is listed is still what the query before selects.",
            None => "All devices are listed, as before.",
        };
        let hint = format!("{} {was}", problem.hint);
        let refusal = problem.hint(hint.trim_start());
        let state = match before {
            Some(state) if state != InventoryState::Listing => state,
            // It was under way, so it is begun anew.
            _ => {
                self.list(now);
                InventoryState::Listing
            }
        };
        self.narrowing.refusal = Some(refusal);
        if state != InventoryState::Listing {
            self.listing.gives_up(cost);
        }
        self.listing_is(state, None, now);
    }

    /// May a row of this device stand in the list?
    pub(super) fn is_listed(&self, device: &DeviceId) -> bool {
        self.narrowing.holds(device) || self.open_flight_of(device).is_some()
    }
}
