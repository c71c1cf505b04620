//! Stories of a journal that cannot be written or read: nothing is started, and
//! what is under way is watched on.

use super::*;

fn full() -> JournalError {
    JournalError::Failed("database or disk is full".into())
}

/// What was told of the journal: its problem, or that it is well again.
fn told(story: &Story) -> Vec<String> {
    let told = story.said.iter().filter_map(|event| match &event.what {
        What::JournalProblem { problem } => Some(problem.title.clone()),
        What::JournalRecovered {} => Some("recovered".to_owned()),
        _ => None,
    });
    told.collect()
}

#[test]
fn while_something_cannot_be_written_nothing_is_started_and_all_is_watched_on() {
    let mut story = Story::new();
    story.start().twin().accepted().status("downloading");
    story.feed(Input::Recorded(Err(full())));
    let snapshot = story.core.snapshot();
    assert_eq!(snapshot.journal.map(|p| p.kind), Some(Kind::Journal));
    let other = Start {
        device: id("press-8"),
        uri: PackageUri::parse("https://x.test/fw").unwrap(),
        expect: None,
        reason: None,
        sha256: None,
        force: None,
        over: None,
    };
    let order = || Input::Command(Command::Start(other.clone()));
    story.feed(order());
    story.status("completed");
    let words = story.words();
    assert_eq!(
        words[3..],
        ["downloading", "refused Journal", "done", "= completed"]
    );
    story.feed(Input::Recorded(Ok(())));
    story.feed(order());
    assert_eq!(story.core.starting.len(), 1);
    assert_eq!(
        told(&story),
        ["the journal failed: database or disk is full", "recovered"]
    );
    assert_eq!(story.core.snapshot().journal, None);
}

#[test]
fn an_order_that_is_to_go_out_again_does_not_while_it_cannot_be_written() {
    let mut story = Story::new();
    story.start().twin().answer(Err(refused_connection()));
    story.feed(Input::Recorded(Err(full())));
    story.pass(40 * SECOND).twin();
    assert_eq!(story.invoked.len(), 1);
    let (outcome, reason, _) = story.verdict();
    assert_eq!(outcome, Outcome::NotDelivered);
    assert!(reason.contains("disk is full"), "{reason}");
}

#[rstest::rstest]
#[case(Input::Opened(Err(full())))]
#[case(Input::Past(Err(full())))]
#[case(Input::Recorded(Err(JournalError::Damaged("page 7".into()))))]
fn with_a_journal_that_cannot_be_read_nothing_is_started_any_more(#[case] input: Input) {
    let mut story = Story::new();
    story.feed(input);
    // That it can be written again does not make it readable.
    story.feed(Input::Recorded(Err(full())));
    story.feed(Input::Recorded(Ok(())));
    story.start();
    assert_eq!(story.words(), ["refused Journal"]);
    assert!(story.core.snapshot().journal.is_some());
}

#[test]
fn without_a_journal_devices_are_watched_and_read_only_is_said_first() {
    let problem = full().problem();
    let mut story = Story::with(|settings| settings.no_journal = Some(problem.clone()));
    story.start();
    story.feed(Input::Command(Command::Watch(id(ID)))).twin();
    assert_eq!(story.words(), ["refused Journal", "watched"]);
    let mut story = Story::with(|settings| {
        settings.no_journal = Some(problem);
        settings.profile.read_only = true;
    });
    story.start();
    assert_eq!(story.words(), ["refused ReadOnly"]);
}
