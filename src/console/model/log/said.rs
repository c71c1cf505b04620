//! Events in sentences. What an update says, it says here as everywhere
//! ([`told`]); the rest is what no update tells.

use jiff::Timestamp;

use crate::domain::clean;
use crate::domain::event::{Event, InventoryState, Link, Way, What};
use crate::domain::phase::Phase;
use crate::domain::problem::Problem;
use crate::domain::quota::{Budget, Slowed};
use crate::domain::told;
use crate::domain::update::{OpenState, Outcome};

/// Characters of one sentence.
const LONGEST: usize = 1_000;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// It may be overlooked.
    Quiet,
    /// Something went on.
    News,
    /// Something went well.
    Good,
    /// Somebody should look.
    Doubt,
    /// Something went wrong.
    Bad,
}

impl Weight {
    /// A sign that needs no colour.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Quiet => "·",
            Self::News => "▸",
            Self::Good => "✓",
            Self::Doubt => "!",
            Self::Bad => "✗",
        }
    }
}

/// What a line says; harmless text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    /// How much it matters.
    pub(crate) weight: Weight,
    /// What happened, in a word or two.
    pub(crate) word: String,
    /// More about it; may be empty.
    pub(crate) text: String,
    /// When the hub stamped it.
    pub(crate) hub_time: Option<Timestamp>,
}

impl Said {
    /// The same without a stamp of the hub.
    pub(crate) fn new(weight: Weight, word: &str, text: &str) -> Self {
        Self {
            weight,
            word: clean::line(word, 40),
            text: clean::line(text.trim(), LONGEST),
            hub_time: None,
        }
    }

    fn problem(weight: Weight, word: &str, problem: &Problem) -> Self {
        let text = format!("{}. {}", problem.line(), problem.hint);
        Self::new(weight, word, &text)
    }
}

/// An event in words; `None` for what nobody wants to read line by line.
pub(crate) fn said(event: &Event) -> Option<Said> {
    use Weight::{Bad, Doubt, Good, News};
    let said = match &event.what {
        What::Gone {} => Said::new(Doubt, "gone", "the hub does not list it any more"),
        What::Lost {} => Said::new(Doubt, "lost", "the hub knows no such device any more"),
        What::Inventory {
            state,
            count,
            skipped,
            problem,
        } => return listed(*state, *count, *skipped, problem.as_ref()),
        What::DeviceProblem { problem } => Said::problem(Doubt, "not read", problem),
        What::Link(way) => return link(way),
        What::Clock { problem, .. } => match problem {
            Some(problem) => Said::problem(Doubt, "clock", problem),
            None => Said::new(
                Good,
                "clock",
                "this machine's clock and the hub's agree again",
            ),
        },
        What::Resumed { count: 0 } => return None,
        What::Resumed { count } => {
            let updates = if *count == 1 { "update" } else { "updates" };
            let text = format!("{count} open {updates} of the journal, watched on");
            Said::new(News, "resumed", &text)
        }
        What::JournalProblem { problem } => Said::problem(Bad, "journal", problem),
        What::JournalRecovered {} => {
            let text = "it is written again, with all that was seen meanwhile";
            Said::new(Good, "journal", text)
        }
        What::Budget(budget) => reads(budget),
        What::BudgetWarning { problem } => Said::problem(Doubt, "budget", problem),
        What::Elsewhere { problem } => Said::problem(Doubt, "elsewhere", problem),
        What::Refused { problem } => Said::problem(Bad, "refused", problem),
        What::Checked(check) => {
            let weight = match check.result {
                crate::domain::doctor::Verdict::Ok => Weight::Quiet,
                crate::domain::doctor::Verdict::Warning => Doubt,
                crate::domain::doctor::Verdict::Failed => Bad,
            };
            let text = format!("{}: {}", check.check, check.found);
            Said::new(weight, "doctor", &text)
        }
        What::Lagged {} => {
            let text = "there was too much at once; some lines before this one are missing";
            Said::new(Doubt, "missed", text)
        }
        _ => return of_an_update(event),
    };
    Some(said)
}

fn listed(
    state: InventoryState,
    count: usize,
    skipped: usize,
    problem: Option<&Problem>,
) -> Option<Said> {
    let devices = if count == 1 { "device" } else { "devices" };
    let left_out = match skipped {
        0 => String::new(),
        n => format!("; {n} rows name no device and are left out"),
    };
    match (state, problem) {
        (InventoryState::Listing, _) => None,
        (InventoryState::Failed, Some(problem)) => {
            Some(Said::problem(Weight::Bad, "list", problem))
        }
        (InventoryState::Failed, None) => Some(Said::new(Weight::Bad, "list", "it broke off")),
        // A query was refused, and the list is what it was.
        (InventoryState::Complete, Some(problem)) => {
            Some(Said::problem(Weight::Bad, "query", problem))
        }
        (InventoryState::Complete, None) => {
            let text = format!("{count} {devices}{left_out}");
            Some(Said::new(Weight::Quiet, "listed", &text))
        }
    }
}

fn link(way: &Way) -> Option<Said> {
    let with = |weight, word: &str| match &way.problem {
        Some(problem) => Said::problem(weight, word, problem),
        None => Said::new(weight, word, ""),
    };
    match way.state {
        Link::Connecting => None,
        Link::Online => Some(Said::new(Weight::Good, "online", "the hub answers")),
        Link::Retrying => Some(with(Weight::Doubt, "offline")),
        Link::Unauthorized => Some(with(Weight::Bad, "no rights")),
    }
}

/// Only why reads are slowed, or that they are not any more.
fn reads(budget: &Budget) -> Said {
    let limit = budget.limit;
    match budget.slowed {
        None => {
            let text = format!("the usual rate again, up to {limit} a second");
            Said::new(Weight::Good, "reads", &text)
        }
        Some(Slowed::Hub) => {
            let text = format!("slowed to {limit} a second: the hub has too much to do");
            Said::new(Weight::Doubt, "reads", &text)
        }
        Some(Slowed::Day) => {
            let text = format!("slowed to {limit} a second: the day's messages are being spent");
            Said::new(Weight::Doubt, "reads", &text)
        }
    }
}

fn of_an_update(event: &Event) -> Option<Said> {
    let (word, text) = told::told(event)?;
    let mut said = Said::new(weight(&event.what), &word, &text);
    said.hub_time = match &event.what {
        What::Phase { evidence, .. } | What::Contradicted { evidence, .. } => evidence.hub_time,
        What::Verdict { evidence, .. } | What::State { evidence, .. } => {
            evidence.as_ref().and_then(|evidence| evidence.hub_time)
        }
        _ => None,
    };
    Some(said)
}

fn weight(what: &What) -> Weight {
    match what {
        What::Verdict { outcome, .. } => match outcome {
            Outcome::Completed => Weight::Good,
            Outcome::GivenUp => Weight::Doubt,
            Outcome::Failed | Outcome::Rejected | Outcome::NotDelivered => Weight::Bad,
        },
        What::State {
            state: OpenState::Back,
            ..
        } => Weight::News,
        What::Phase {
            phase: Phase::Failed,
            ..
        } => Weight::Bad,
        What::State { .. }
        | What::Retrying { .. }
        | What::Contradicted { .. }
        | What::TookOver { .. }
        | What::Tag { .. }
        | What::Replaced { .. } => Weight::Doubt,
        What::Connection { .. } | What::Rebased { .. } => Weight::Quiet,
        _ => Weight::News,
    }
}
