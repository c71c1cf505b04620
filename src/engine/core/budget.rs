//! The day's messages: counted, told, and kept within our share.

use std::time::Duration;

use crate::domain::clean;
use crate::domain::event::{Event, What};
use crate::domain::method::MethodAnswer;
use crate::domain::pace::{Ended, Pace};
use crate::domain::problem::{Kind, Problem};
use crate::domain::quota::{Budget, Quota, Slowed, Warning, grouped, twin_bytes, value_bytes};
use crate::domain::twin::Twin;
use crate::hub::{HubError, Page};

use super::{Core, Now, Settings};

/// How often the budget is told at most.
const TELL: Duration = Duration::from_secs(1);
/// Bytes of a row when a page does not tell its size.
const ROW: usize = 250;
/// How long all stops when the hub's day is spent: it will be until midnight,
/// unless somebody buys more.
const DAY_SPENT: Duration = Duration::from_secs(60);
/// The hub's number for that.
const QUOTA_EXCEEDED: u32 = 403_002;

/// What was spent, and what was told of it.
#[derive(Debug)]
pub(super) struct Ledger {
    quota: Quota,
    told: Budget,
    /// Nothing is told before.
    quiet_until: Duration,
    /// When the figures may look different though nothing happens.
    wake: Option<Duration>,
}

impl Ledger {
    pub(super) fn new(settings: &Settings) -> Self {
        let (tier, units) = settings.profile.tier_or_assumed();
        let mut quota = Quota::new(tier, units, settings.day_share);
        let (when, messages) = settings.spent;
        quota.spent_before(messages, when);
        Self {
            quota,
            told: Budget::at_rest(&settings.profile),
            quiet_until: Duration::ZERO,
            wake: None,
        }
    }

    pub(super) fn told(&self) -> Budget {
        self.told.clone()
    }

    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.wake
    }

    pub(super) fn quota(&self) -> &Quota {
        &self.quota
    }

    pub(super) fn spend_read(&mut self, result: Result<&Twin, &HubError>, now: Now) {
        match result {
            Ok(twin) => self.quota.spend_read(twin_bytes(twin), now.wall),
            Err(error) if error.is_billed() => self.quota.spend_read(1, now.wall),
            Err(_) => {}
        }
    }

    /// Gives the messages that the page cost.
    pub(super) fn spend_page(&mut self, result: Result<&Page, &HubError>, now: Now) -> u64 {
        match result {
            Ok(page) if page.bytes > 0 => self.quota.spend(page.bytes, now.wall),
            Ok(page) => self.quota.spend(page.rows.len() * ROW, now.wall),
            Err(error) if error.is_billed() => self.quota.spend(1, now.wall),
            Err(_) => 0,
        }
    }

    /// A tag was written, or its twin was read for that.
    pub(super) fn spend_tag(&mut self, result: &Result<Box<Twin>, HubError>, now: Now) {
        match result {
            Ok(twin) => self.quota.spend(twin_bytes(twin), now.wall),
            Err(error) if error.is_billed() => self.quota.spend(1, now.wall),
            Err(_) => 0,
        };
    }

    /// The call and its answer; a call to a device that is offline is billed
    /// as well.
    pub(super) fn spend_call(&mut self, result: &Result<MethodAnswer, HubError>, now: Now) {
        match result {
            Ok(answer) => {
                self.quota.spend(1, now.wall);
                self.quota.spend(value_bytes(&answer.payload), now.wall);
            }
            Err(error) if error.is_billed() => {
                self.quota.spend(1, now.wall);
            }
            Err(_) => {}
        }
    }
}

/// What the end of a read says about the hub's rate.
pub(super) fn ended(error: &HubError) -> Ended {
    match error {
        HubError::Answered(refusal) if refusal.code == Some(QUOTA_EXCEEDED) => {
            Ended::Throttled(Some(DAY_SPENT))
        }
        HubError::Answered(_) if error.kind() == Kind::Throttled => Ended::Throttled(error.wait()),
        HubError::Answered(_) => Ended::Answered,
        _ => Ended::Lost,
    }
}

impl Core {
    /// Bounds the rate by what is left of our share; tells how it stands when
    /// that looks different, and warns.
    pub(super) fn budget_due(&mut self, now: Now) {
        let ceiling = self.pace.share().ceiling();
        // The hub's day ends by the hub's clock.
        let hub = self.by_the_hub(now);
        self.pace.cap(self.ledger.quota.cap(ceiling, hub.wall));
        if now.at < self.ledger.quiet_until {
            self.ledger.wake = Some(self.ledger.quiet_until);
            return;
        }
        let budget = budget(&self.pace, &self.ledger.quota, hub);
        let moves =
            self.pace.used_will_change(budget.reads, now.at) || budget.slowed == Some(Slowed::Hub);
        self.ledger.wake = moves.then(|| Duration::from_secs(now.at.as_secs() + 1));
        if !budget.looks_as(&self.ledger.told) {
            self.ledger.quiet_until = now.at + TELL;
            self.ledger.told = budget.clone();
            self.publish(Event::general(now.wall, What::Budget(budget)));
        }
        let used = self.pace.used(now.at);
        if let Some(warning) = self.ledger.quota.warning(used, hub.wall) {
            let problem = self.warning(warning, hub);
            self.publish(Event::general(now.wall, What::BudgetWarning { problem }));
        }
    }

    fn warning(&self, warning: Warning, now: Now) -> Problem {
        let quota = &self.ledger.quota;
        let spent = quota.spent(now.wall);
        let cause = format!(
            "we have spent {} of our {:.0} messages; the hub takes {} a day from everybody",
            grouped(spent),
            quota.ours(),
            grouped(quota.day())
        );
        let (title, hint) = match warning {
            Warning::Ahead => (
                "at this pace our share of the hub's day is spent within minutes",
                "Reads will slow down. ",
            ),
            Warning::Slowing => (
                "half of our share of the hub's day is spent",
                "Reads slow down; updates go on and are seen later. ",
            ),
        };
        let name = clean::shell_word(&self.settings.profile.name);
        let hint = format!(
            "{hint}A spent day stops the hub for its devices too. \
             The share is day_share of [hub.{name}]."
        );
        Problem::new(Kind::Throttled, title, cause).hint(hint)
    }
}

fn budget(pace: &Pace, quota: &Quota, now: Now) -> Budget {
    let share = pace.share();
    let rate = pace.rate(now.at);
    let slowed = if share.held_until() > now.at || share.rate(now.at) < share.ceiling() {
        Some(Slowed::Hub)
    } else if rate < share.ceiling() {
        Some(Slowed::Day)
    } else {
        None
    };
    Budget {
        reads: rounded(pace.used(now.at)),
        limit: rounded(rate).max(1),
        spent: quota.spent(now.wall),
        day: quota.day(),
        slowed,
    }
}

fn rounded(rate: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is small and not negative, and the cast saturates"
    )]
    let rounded = rate.round() as u32;
    rounded
}
