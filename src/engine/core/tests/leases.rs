//! Stories of several processes: who may start, who may send, whose word holds.

use super::*;
use crate::domain::update::Update;

/// What another process has written about this story's update.
fn given_up(story: &Story) -> JournalError {
    let intent = story.intents.last().expect("an intent");
    let what = What::Verdict {
        outcome: Outcome::GivenUp,
        reason: "given up: ben took press-7 over".into(),
        evidence: None,
        reported: Value::Null,
        problem: None,
    };
    let verdict = Event {
        what,
        ..intent.clone()
    };
    JournalError::Over {
        verdict: Box::new(verdict),
    }
}

fn busy() -> JournalError {
    let mut other = Story::new();
    other.start().twin().accepted().status("downloading");
    let update: Update = other.core.snapshot().updates[0].clone();
    JournalError::Busy {
        device: id(ID),
        holding: Box::new(Holding::of(&update)),
    }
}

fn forced(typed: &str) -> Input {
    forced_over(typed, None)
}

/// The id was typed under an update that was shown.
fn forced_over(typed: &str, over: Option<&Holding>) -> Input {
    Input::Command(Command::Start(Start {
        device: id(ID),
        uri: PackageUri::parse("https://x.test/fw-1.6.0.bin").unwrap(),
        expect: None,
        sha256: None,
        reason: None,
        force: Some(typed.into()),
        over: over.map(|shown| shown.update_id.clone()),
    }))
}

#[test]
fn nothing_is_sent_before_the_journal_has_it() {
    let mut story = Story::new();
    story.holds = true;
    story.start().twin().pass(SECOND).twin();
    assert_eq!(story.words(), ["intended"]);
    assert!(story.invoked.is_empty());
    let (update, events) = story.committing.remove(0);
    assert!(story.committing.is_empty(), "asked once");
    story.holds = false;
    story.commit(update, events);
    assert_eq!(story.words(), ["intended", "invoked 1"]);
    assert_eq!(story.invoked.len(), 1);
}

#[test]
fn what_cannot_be_written_down_is_not_sent() {
    let mut story = Story::new();
    story.overruled = Some(JournalError::Failed("the disk is full".into()));
    story.start().twin();
    assert_eq!(story.words(), ["intended", "= notDelivered"]);
    assert!(story.verdict().1.contains("the disk is full"));
    assert!(story.invoked.is_empty());
}

#[test]
fn an_order_that_waits_is_not_sent_for_an_update_that_was_taken_over() {
    let mut story = Story::new();
    story.start().twin();
    story.answer(Err(refusal(429, "ThrottlingException")));
    story.overruled = Some(given_up(&story));
    story.pass(SECOND).twin().pass(60 * SECOND).twin();
    assert_eq!(story.words()[2..], ["retrying", "= givenUp"]);
    assert_eq!(story.invoked.len(), 1);
}

#[test]
fn an_order_that_waits_is_not_sent_by_a_process_that_has_lost_its_lease() {
    let mut story = Story::new();
    story.start().twin();
    story.answer(Err(refusal(429, "ThrottlingException")));
    story.holds = true;
    story.pass(SECOND).twin();
    let (update, _) = story.committing.remove(0);
    story.holds = false;
    let result = Err(busy());
    story.feed(Input::Committed { update, result });
    assert_eq!(story.words()[2..], ["retrying", "= notDelivered"]);
    assert_eq!(story.invoked.len(), 1);
}

#[test]
fn an_outcome_that_another_process_wrote_down_stands() {
    let mut story = Story::new();
    story.start().twin().accepted().status("downloading");
    story.overruled = Some(given_up(&story));
    // What the device reports may be the other process's run.
    story.status("completed").pass(60 * SECOND).twin();
    assert_eq!(story.words()[4..], ["done", "= givenUp"]);
    assert_eq!(story.verdict().1, "given up: ben took press-7 over");
    let alarm = |e: &Event| matches!(e.what, What::JournalProblem { .. });
    assert!(!story.said.iter().any(alarm));
}

#[test]
fn a_process_that_was_taken_over_from_learns_it_with_what_it_writes() {
    let mut story = Story::new();
    story.start().twin().accepted();
    let over = given_up(&story);
    story.status("downloading");
    story.feed(Input::Recorded(Err(over.clone())));
    story.feed(Input::Recorded(Err(over)));
    story.pass(SECOND).status("completed");
    assert_eq!(story.words()[3..], ["downloading", "= givenUp"]);
    // And its device is free here too.
    story.start().pass(SECOND).twin();
    assert_eq!(story.words()[5..], ["intended", "invoked 1"]);
}

#[test]
fn a_verdict_that_cannot_be_written_down_is_told_all_the_same() {
    let mut story = Story::new();
    story.start().twin().accepted().status("downloading");
    story.overruled = Some(JournalError::Failed("the disk is full".into()));
    story.status("completed");
    assert_eq!(story.words()[4..], ["done", "= completed"]);
    let alarm = |e: &Event| matches!(e.what, What::JournalProblem { .. });
    assert!(story.said.iter().any(alarm));
}

#[test]
fn giving_up_comes_before_an_order_that_is_just_being_written_down() {
    let mut story = Story::new();
    story.holds = true;
    story.start().twin();
    let (update, events) = story.committing.remove(0);
    story.feed(Input::Command(Command::GiveUp(update.clone())));
    story.holds = false;
    story.commit(update, events);
    assert_eq!(
        story.words(),
        ["intended", "refused Busy", "invoked 1", "= givenUp"]
    );
    assert!(story.verdict().1.ends_with("did not reach the device"));
    assert!(story.invoked.is_empty());
}

#[test]
fn a_device_at_work_is_refused_with_whom_it_works_for() {
    let mut story = Story::new();
    story.held = Some(busy());
    story.twin.report(json!({"firmwareStatus": "downloading"}));
    story.start().twin();
    assert_eq!(story.words(), ["refused Busy"]);
    let problem = story.core.snapshot().refusals[0].1.clone();
    let holding = problem.holding.expect("who holds it");
    assert_eq!(holding.doing, "downloading");
    assert!(
        problem.cause.starts_with("fw-1.5.0.bin by ") && problem.cause.contains(": downloading"),
        "{}",
        problem.cause
    );
    assert!(story.core.snapshot().starting.is_empty());
    // Nobody is known: then the device alone says it.
    story.held = None;
    story.start().pass(SECOND).twin();
    let problem = story.core.snapshot().refusals[1].1.clone();
    assert!(problem.cause.contains("it reports downloading"));
}

#[test]
fn another_id_takes_nothing_over() {
    let mut story = Story::new();
    story.feed(forced("press-8")).twin();
    assert_eq!(story.words(), ["refused Unconfirmed"]);
    assert_eq!(story.read, 0);
}

fn holding(error: &JournalError) -> Holding {
    match error {
        JournalError::Busy { holding, .. } => (**holding).clone(),
        other => panic!("{other}"),
    }
}

/// Whoever typed the id was shown one update. When another has the device by then,
/// that one is told and stays.
#[test]
fn what_was_not_shown_is_not_taken_over() {
    let (shown, there) = (busy(), busy());
    let mut story = Story::new();
    story.keeps = Some(there.clone());
    story.feed(forced_over(ID, Some(&holding(&shown)))).twin();
    assert_eq!(story.claims, [Claim::Over(holding(&shown).update_id)]);
    assert_eq!(story.words(), ["refused Busy"]);
    assert!(story.invoked.is_empty());
    let problem = story.core.snapshot().refusals[0].1.clone();
    assert_eq!(*problem.holding.unwrap(), holding(&there));
    // Shown that one, and typed again.
    story.ends = vec![holding(&there)];
    story.feed(forced_over(ID, Some(&holding(&there))));
    story.pass(SECOND).twin();
    assert_eq!(story.claims[1], Claim::Over(holding(&there).update_id));
    assert_eq!(
        story.words()[1..],
        ["intended", "took over", "invoked 1"],
        "what was displaced is told before the order goes out"
    );
}

/// On the command line nothing was shown: whatever is there ends, and each is told.
#[test]
fn what_was_taken_over_is_told_with_the_new_update() {
    let mut story = Story::new();
    story.ends = vec![holding(&busy()), holding(&busy())];
    story.feed(forced(ID)).twin();
    assert_eq!(story.claims, [Claim::Whatever]);
    assert_eq!(
        story.words(),
        ["intended", "took over", "took over", "invoked 1"]
    );
    let told: Vec<Holding> = story
        .said
        .iter()
        .filter_map(|event| match &event.what {
            What::TookOver { holding } => {
                assert_eq!(event.update_id, story.intents[0].update_id);
                Some((**holding).clone())
            }
            _ => None,
        })
        .collect();
    assert_eq!(told, story.ends);
    // Without a typed id an update that was shown is none that may end.
    let mut story = Story::new();
    story.start().twin();
    assert_eq!(story.claims, [Claim::Free]);
}

#[test]
fn the_end_of_a_run_that_was_taken_over_is_not_taken_for_ones_own() {
    let mut story = Story::new();
    story.twin.report(json!({"firmwareStatus": "downloading"}));
    story.feed(forced(ID)).twin().accepted();
    story.status("applying").status("completed");
    assert_eq!(
        story.words(),
        [
            "intended",
            "invoked 1",
            "accepted 200",
            "applying",
            "unconfirmed"
        ]
    );
    assert!(
        story.reason().contains("another order"),
        "{}",
        story.reason()
    );
    // The device names the package: that is ours.
    story.report(
        json!({"firmwareStatus": "completed", "fwPackageUri": "https://x.test/fw-1.6.0.bin"}),
    );
    assert_eq!(story.words()[5..].last().unwrap(), "= completed");
}

#[test]
fn orders_that_wait_when_the_engine_ends_are_told_not_to_have_arrived() {
    let mut story = Story::new();
    story.start().twin();
    story.answer(Err(refused_connection()));
    story.feed(Input::Stop);
    assert_eq!(story.words()[2..], ["retrying", "= notDelivered"]);
}
