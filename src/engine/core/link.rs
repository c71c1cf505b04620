//! The way to the hub: how it is, and who tries it while the hub is away.
//!
//! ```text
//!   online ──── a read fails, or nothing comes for 4 s ────► away
//!     ▲                                                        │ wait, with full jitter
//!     └── anything is answered ◄── one probe ◄─────────────────┘
//! ```
//!
//! While the hub is away nothing is asked but one probe at a time: a read of
//! whoever would be read next, or a page where nothing is read. Whatever ends well
//! meanwhile, a late answer too, shows that the hub is back. The waits are longer
//! where nobody waits for an update.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::backoff::Backoff;
use crate::domain::event::{Event, Link, Way, What};
use crate::domain::problem::{Kind, Problem};
use crate::domain::skew::{self, Skew};
use crate::hub::HubError;

use super::starts::TRIES;
use super::{Core, Now, Output};

/// Nothing was answered for so long: then the hub is said not to answer, though
/// what was asked may still come.
pub(super) const SILENCE: Duration = Duration::from_secs(4);
/// The first wait of an outage is at most this.
const FIRST: Duration = Duration::from_millis(500);
/// The longest while somebody waits for an update: the end of an outage is seen
/// within seconds.
const WAITED_FOR: Duration = Duration::from_secs(4);
/// The longest otherwise.
const LONGEST: Duration = Duration::from_secs(30);
/// A hub that does not let us has answered; rights come back in minutes, if at
/// all.
const FIRST_REFUSED: Duration = Duration::from_secs(4);
/// IoT Hub's number for a day whose messages are spent.
const SPENT: u32 = 403_002;
/// Where nothing can be asked just now, it is looked again after this.
const LATER: Duration = Duration::from_secs(1);

/// A request that tells how the way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Try {
    /// A read of a twin.
    Read(u64),
    /// A page of the listing.
    Page(u64),
    /// A page of devices for which a rule holds.
    Ask(u64),
}

/// The way to the hub.
#[derive(Debug)]
pub(super) struct Road {
    told: Way,
    /// Nothing but probes goes out.
    away: bool,
    /// Which try comes next, while the hub is away.
    attempt: u32,
    /// When it may be made.
    at: Duration,
    /// The one under way, since then.
    probe: Option<(Try, Duration)>,
    /// Pages under way.
    pages: Vec<(Try, Duration)>,
    /// When the hub last answered anything, since the engine's start, …
    answered: Duration,
    /// … and by the wall clock; never yet.
    heard: Option<Timestamp>,
}

impl Default for Road {
    fn default() -> Self {
        Self {
            told: Way::new(Link::Connecting),
            away: false,
            attempt: 0,
            at: Duration::ZERO,
            probe: None,
            pages: Vec::new(),
            answered: Duration::ZERO,
            heard: None,
        }
    }
}

impl Road {
    /// As it was told last.
    pub(super) fn told(&self) -> Way {
        self.told.clone()
    }

    pub(super) fn is_away(&self) -> bool {
        self.away
    }

    /// When the wait for any answer began that is going on.
    fn waits_since(&self, reads: Option<Duration>) -> Option<Duration> {
        let pages = self.pages.iter().map(|(_, since)| *since);
        let oldest = pages.chain(reads).min()?;
        Some(oldest.max(self.answered))
    }
}

/// What the end of a request says about the way.
enum Says {
    /// The hub answers.
    Well,
    /// It answers that there is too much.
    Busy(Problem),
    /// It does not answer, or does not let us.
    Away(Link, Problem),
}

impl Says {
    /// Was the hub ever `heard`? Else there is more to be mended than to be waited for.
    fn of(result: Result<(), &HubError>, heard: bool) -> Self {
        let Err(error) = result else {
            return Self::Well;
        };
        match error.kind() {
            Kind::NoSuchDevice | Kind::DeviceOffline | Kind::BadRequest => Self::Well,
            Kind::Unauthorized => {
                let title = match error {
                    HubError::SignIn(_) => "cannot sign in",
                    _ => "the hub refuses",
                };
                Self::Away(Link::Unauthorized, error.problem(title))
            }
            Kind::Throttled => {
                let problem = error.problem("the hub is busy");
                match problem.code {
                    Some(SPENT) => Self::Busy(error.problem("the hub's day is spent")),
                    _ => Self::Busy(problem),
                }
            }
            _ => Self::Away(Link::Retrying, unanswered(error, heard)),
        }
    }
}

fn unanswered(error: &HubError, heard: bool) -> Problem {
    let mut problem = error.problem(match error {
        HubError::SignIn(_) => "cannot sign in",
        _ => "the hub does not answer",
    });
    let passing = "It is asked again. Updates go on on their devices, unseen meanwhile.";
    problem.hint = match (error.is_passing() && heard) || problem.hint.is_empty() {
        true => passing.to_owned(),
        // What has to be mended goes first.
        false if heard => format!("{} {passing}", problem.hint),
        false => format!("{} It is asked again.", problem.hint),
    };
    problem
}

impl Core {
    /// The same moment by the hub's clock, for whatever is compared with its
    /// stamps.
    pub(super) fn by_the_hub(&self, now: Now) -> Now {
        let wall = now.wall.checked_add(self.skew).unwrap_or(now.wall);
        Now { wall, ..now }
    }

    /// The hub's clock was measured: far from ours is said once, and so is that
    /// the clocks agree again.
    pub(super) fn clock(&mut self, skew: Skew, now: Now) {
        self.skew = skew.believed();
        let offset = skew.offset();
        let far = offset.abs() > skew::NOTED;
        if far == self.skewed {
            return;
        }
        self.skewed = far;
        let problem = far.then(|| far_apart(offset));
        let skew_seconds = offset.as_secs();
        let what = What::Clock {
            skew_seconds,
            problem,
        };
        self.publish(Event::general(now.wall, what));
    }

    /// Takes note of how a request has ended.
    pub(super) fn link(&mut self, which: Try, result: Result<(), &HubError>, now: Now) {
        self.road.pages.retain(|(page, _)| *page != which);
        let probe = self.road.probe.take_if(|(probe, _)| *probe == which);
        match Says::of(result, self.road.heard.is_some()) {
            Says::Well => {
                self.is_back(now);
                self.tell_way(Way::new(Link::Online), now);
            }
            Says::Busy(problem) => {
                self.is_back(now);
                let held = self.pace.share().held_until().saturating_sub(now.at);
                let wait = result.err().and_then(HubError::wait).unwrap_or_default();
                let way = Way {
                    problem: Some(problem),
                    at: now.wall.checked_add(held.max(wait)).ok(),
                    heard: self.road.heard,
                    ..Way::new(Link::Retrying)
                };
                if !way.says_as(&self.road.told) {
                    self.tell_way(way, now);
                }
            }
            Says::Away(state, problem) => {
                if !self.road.away || probe.is_some() {
                    self.is_away(state, problem, now);
                } else if state == self.road.told.state {
                    // Asked before the outage, or given up: its reason is news.
                    let told = self.road.told.clone();
                    let problem = Some(problem);
                    self.tell_way(Way { problem, ..told }, now);
                }
                // What one device is answered says nothing of the others, unless
                // all try after try are answered so.
                let for_good = |error: &HubError| error.is_of_the_hub() && !error.is_passing();
                if let Err(error) = result
                    && self.road.probe.is_none()
                    && (for_good(error) || self.road.attempt >= TRIES)
                {
                    self.starts_failed(error, now);
                }
            }
        }
    }

    /// Calls wait for a sign-in, which takes seconds: the hub was not asked yet, so it
    /// is not silent.
    pub(super) fn signing_in(&mut self, now: Now) {
        self.road.answered = now.at;
        if let Some((_, since)) = &mut self.road.probe {
            *since = now.at;
        }
    }

    fn is_back(&mut self, now: Now) {
        self.road.answered = now.at;
        self.road.heard = Some(now.wall);
        if !std::mem::take(&mut self.road.away) {
            return;
        }
        self.road.probe = None;
        self.pace.resume(now.at);
        // One failure may be a device's own, or a query's; in an outage nobody is to
        // blame.
        if self.road.attempt > 1 {
            self.failures.clear();
            self.pace.forgive();
            self.list_goes_on(now);
            self.rules.go_on(now.at);
        } else {
            self.list_failed_by_itself();
        }
    }

    /// A try has failed: the next one is put off.
    fn is_away(&mut self, state: Link, problem: Problem, now: Now) {
        let road = &mut self.road;
        road.attempt = match road.away {
            true => road.attempt.saturating_add(1),
            false => 1,
        };
        road.away = true;
        road.probe = None;
        self.pace.pause();
        let first = match state {
            Link::Unauthorized => FIRST_REFUSED,
            _ => FIRST,
        };
        let longest = match self.pace.is_waited_for() {
            true => WAITED_FOR,
            false => LONGEST,
        };
        let wait = Backoff::after(self.road.attempt, first, longest).next_wait(now.chance);
        self.road.at = now.at + wait;
        let way = Way {
            problem: Some(problem),
            attempt: Some(self.road.attempt),
            at: now.wall.checked_add(wait).ok(),
            heard: self.road.heard,
            ..Way::new(state)
        };
        self.tell_way(way, now);
    }

    fn tell_way(&mut self, way: Way, now: Now) {
        if way != self.road.told {
            self.road.told = way.clone();
            self.publish(Event::general(now.wall, What::Link(way)));
        }
    }

    /// The operator does not want to wait for the next try.
    pub(super) fn try_now(&mut self, now: Now) {
        if self.road.away && self.road.probe.is_none() && self.road.at > now.at {
            self.road.at = now.at;
            let at = Some(now.wall);
            let told = self.road.told.clone();
            self.tell_way(Way { at, ..told }, now);
        }
    }

    /// A page goes out. While the hub is away it is the probe.
    pub(super) fn asked_for(&mut self, page: Try, now: Now) {
        self.road.pages.push((page, now.at));
        if self.road.away {
            self.road.probe = Some((page, now.at));
        }
    }

    /// Until when a page has to wait because the hub is away; `None` when it may
    /// be asked for.
    pub(super) fn page_waits(&self, now: Now) -> Option<Duration> {
        let road = &self.road;
        if !road.away {
            return None;
        }
        match road.probe {
            Some(_) => Some(now.at + LATER),
            None if road.at > now.at => Some(road.at),
            None => None,
        }
    }

    /// Nothing was answered for too long, or it is time for a probe.
    pub(super) fn link_due(&mut self, now: Now) {
        if !self.road.away {
            let since = self.road.waits_since(self.pace.waits_since());
            if since.is_some_and(|since| now.at >= since + SILENCE) {
                self.is_silent(now);
            } else if self.list_is_missed() {
                self.list(now);
            }
            return;
        }
        match self.road.probe {
            Some((Try::Read(_), since)) if now.at >= since + SILENCE => self.is_silent(now),
            // A page is waited for: it has a limit of its own.
            Some(_) => {}
            None if self.road.at <= now.at => self.probe(now),
            None => {}
        }
    }

    pub(super) fn link_wakes_at(&self) -> Option<Duration> {
        let road = &self.road;
        match road.probe {
            _ if !road.away => Some(road.waits_since(self.pace.waits_since())? + SILENCE),
            Some((Try::Read(_), since)) => Some(since + SILENCE),
            Some(_) => None,
            None if !self.pace.is_empty() || self.list_is_missed() => Some(road.at),
            // Pages that wait have a time of their own.
            None => None,
        }
    }

    /// The hub says nothing: what is under way is not waited for any more.
    fn is_silent(&mut self, now: Now) {
        let error = HubError::NoAnswer {
            host: self.settings.profile.host.clone(),
            cause: format!("nothing came back for {} s", SILENCE.as_secs()),
        };
        // What an earlier try has told says more.
        let told = self.road.told.problem.clone();
        let known = told.filter(|_| self.road.told.state == Link::Retrying && self.road.away);
        let problem = known.unwrap_or_else(|| unanswered(&error, self.road.heard.is_some()));
        self.pace.abandon();
        self.is_away(Link::Retrying, problem, now);
        if self.pace.is_empty() {
            self.road.probe = self.road.pages.first().copied();
        }
        if self.road.attempt >= TRIES {
            self.starts_failed(&error, now);
        }
    }

    fn probe(&mut self, now: Now) {
        if let Some(read) = self.pace.probe(now.at) {
            self.road.probe = Some((Try::Read(read.ticket), now.at));
            self.tickets.insert(read.device.clone(), read.ticket);
            let (ticket, device) = (read.ticket, read.device);
            return self.out.push(Output::Read { ticket, device });
        }
        match self.pace.is_empty() {
            true if self.list_is_missed() && self.road.pages.is_empty() => self.list_as_probe(now),
            // A page that waits may go out; without one nobody wants anything.
            true if !self.list_is_missed() => {}
            _ => self.road.at = now.at + LATER,
        }
    }
}

/// Our clock is far from the hub's.
fn far_apart(offset: SignedDuration) -> Problem {
    let cause = format!("measured from the hub's answers: {} s", offset.as_secs());
    let believed = match offset.abs() <= skew::BELIEVED {
        true => "Tokens go by the hub's clock meanwhile, the times of events by this machine's.",
        false => "That is too far to go by: the hub will take no token of this machine.",
    };
    Problem::new(Kind::Internal, skew::words(offset), cause).hint(format!(
        "Set it, or let it be set (timedatectl set-ntp true). {believed}"
    ))
}
