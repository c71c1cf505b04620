//! Stories of the read budget: what is told of it, and what slows reads down.

use super::*;
use crate::domain::quota::Slowed;

/// What was told of the budget, in its own words.
fn budgets(story: &Story) -> Vec<(u32, u32, Option<Slowed>)> {
    let told = story.said.iter().filter_map(|event| match &event.what {
        What::Budget(b) => Some((b.reads, b.limit, b.slowed)),
        _ => None,
    });
    told.collect()
}

#[test]
fn the_budget_is_told_when_it_looks_different_and_then_all_is_quiet() {
    let mut story = Story::new();
    story.feed(Input::Command(Command::Watch(id(ID)))).twin();
    for _ in 0..100 {
        story.pass(Duration::from_millis(100)).twin();
    }
    assert_eq!(budgets(&story), [(1, 60, None), (2, 60, None)]);
    let quota = story.core.ledger.quota();
    assert_eq!(quota.spent(story.now().wall), 21);
    story.status("downloading").status("completed");
    story.pass(50 * SECOND);
    assert_eq!(budgets(&story)[2..], [(0, 60, None)]);
    let next = story
        .core
        .wake_at()
        .expect("it is read again after a while");
    assert!(next > story.at + SECOND, "no wake-ups until then");
}

#[test]
fn a_refusal_stops_every_read_and_the_rate_comes_back() {
    let mut story = Story::new();
    story.start().twin().accepted();
    for _ in 0..60 {
        story.pass(Duration::from_millis(100)).twin();
    }
    story.pass(500 * Duration::from_millis(1));
    story.read_gives(Err(throttled()));
    let before = story.read;
    story.feed(Input::Command(Command::Look(Some(id("other")))));
    story.pass(12 * SECOND);
    assert_eq!(story.read, before, "nobody is read, whoever asks");
    assert_eq!(story.core.snapshot().budget.slowed, Some(Slowed::Hub));
    story.pass(SECOND);
    assert!(story.read > before, "10 s, and a quarter more by chance");
    for _ in 0..80 {
        story.pass(SECOND).twin();
    }
    let (.., limit, slowed) = budgets(&story).pop().expect("it was told");
    assert_eq!((limit, slowed), (60, None));
}

#[test]
fn half_of_our_share_slows_reads_down_and_is_said_once() {
    let mut story = Story::with(|s| s.day_share = 0.001);
    story.feed(Input::Command(Command::Watch(id(ID)))).twin();
    for _ in 0..20_000 {
        story.pass(Duration::from_millis(100)).twin();
    }
    let warnings: Vec<&Problem> = story
        .said
        .iter()
        .filter_map(|e| match &e.what {
            What::BudgetWarning { problem } => Some(problem),
            _ => None,
        })
        .collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].title.contains("within minutes"));
    assert!(warnings[1].title.contains("half of our share"));
    assert!(warnings[1].hint.contains("day_share of [hub.plant]"));
    let budget = story.core.snapshot().budget;
    assert_eq!(budget.slowed, Some(Slowed::Day));
    // Of 4,000 reads that were due.
    assert!((380..650).contains(&budget.spent), "{budget:?}");
}

#[test]
fn the_list_is_done_again_by_itself_for_somebody_who_is_there() {
    let mut story = Story::new();
    let answer = |story: &mut Story, bytes| {
        let ticket = story.listed.len() as u64;
        let result = Ok(Page {
            bytes,
            ..Page::default()
        });
        story.feed(Input::Page { ticket, result });
    };
    story.feed(Input::Command(Command::List));
    answer(&mut story, 4_096);
    story.pass(24 * 3_600 * SECOND);
    assert_eq!((story.listed.len(), story.core.wake_at()), (1, None));
    story.feed(Input::Command(Command::Attend(true)));
    assert_eq!(story.listed.len(), 2, "it is too old for whoever comes");
    // 600 messages, of 1,000 a day that listings may cost by themselves.
    answer(&mut story, 600 * 4_096);
    story.pass(14 * 3_600 * SECOND);
    assert_eq!(story.listed.len(), 2);
    story.pass(3_600 * SECOND);
    assert_eq!(story.listed.len(), 3);
    answer(&mut story, 0);
    story.feed(Input::Command(Command::Attend(false)));
    story.pass(24 * 3_600 * SECOND);
    assert_eq!(story.listed.len(), 3);
}

#[test]
fn a_refused_page_stops_pages_and_not_the_reads_of_updates() {
    let mut story = Story::new();
    story.start().twin().accepted();
    story.feed(Input::Command(Command::List));
    let result = Err(throttled());
    story.feed(Input::Page { ticket: 1, result });
    let before = story.read;
    for _ in 0..99 {
        story.pass(Duration::from_millis(100)).twin();
    }
    assert_eq!(story.listed.len(), 1, "10 s, and a quarter more by chance");
    assert!(story.read - before >= 19);
    // The bucket is empty after a refusal and fills at half the rate.
    story.pass(30 * SECOND);
    assert_eq!(story.listed.len(), 2);
}

/// The check before a start reads each device.
#[test]
fn what_was_spent_before_the_engine_began_counts() {
    let wall = Story::new().now().wall;
    let mut story = Story::with(|s| s.spent = (wall, 30_000));
    story
        .feed(Input::Command(Command::Watch(id(ID))))
        .twin()
        .pass(2 * SECOND)
        .twin();
    let spent = story.core.snapshot().budget.spent;
    assert!((30_000..30_010).contains(&spent), "{spent}");
}
