//! Stories of updates that an earlier process has left open.

use super::*;

/// What a process has written down that was killed after so many events, and the
/// device as it is then.
fn killed(tell: impl FnOnce(&mut Story)) -> (Vec<Event>, FakeTwin) {
    let mut first = Story::new();
    first.start().twin();
    tell(&mut first);
    (first.journal(), first.twin)
}

fn next((written, twin): (Vec<Event>, FakeTwin)) -> Story {
    let mut story = Story::new();
    story.twin = twin;
    story.resume(written);
    story
}

fn words_after(story: &Story, written: usize) -> Vec<String> {
    story.words()[written..].to_vec()
}

/// The table of the module's documentation, line by line.
#[test]
fn what_the_next_start_says_by_the_moment_of_the_kill() {
    let quiet = |_: &mut Story| {};
    // Intent, or order, committed; the call sent or not; its answer received.
    for kept in [1, 2] {
        let (written, twin) = killed(quiet);
        let mut story = next((written[..kept].to_vec(), twin));
        story.twin().pass(20 * 60 * SECOND).twin();
        let words = words_after(&story, kept);
        assert_eq!(words, ["unknown", "unknown"], "no sign in 15 min");
        story.status("downloading").status("completed");
        let words = words_after(&story, kept + 2);
        assert_eq!(words, ["back", "downloading", "done", "= completed"]);
        assert!(story.invoked.is_empty());
    }
    // The answer was recorded.
    let mut story = next(killed(|s| {
        s.accepted();
    }));
    story.twin().status("downloading").status("completed");
    let words = words_after(&story, 3);
    assert_eq!(words, ["downloading", "done", "= completed"]);
    // The order was refused and waited.
    let mut story = next(killed(|s| {
        s.answer(Err(throttled()));
    }));
    story.pass(60 * SECOND).twin();
    assert_eq!(words_after(&story, 3), ["= notDelivered"]);
    assert!(story.verdict().1.contains("the order did not reach"));
    assert!(story.invoked.is_empty());
    // It was committed again.
    let mut story = next(killed(|s| {
        s.answer(Err(throttled()));
        s.pass(11 * SECOND).twin();
    }));
    story.pass(60 * SECOND).twin();
    let words = words_after(&story, 4);
    assert_eq!(words, ["unknown"], "{:?}", story.words());
    assert!(story.invoked.is_empty());
    // An end was seen, and its verdict not committed.
    let (mut written, twin) = killed(|s| {
        s.accepted().status("downloading").status("completed");
    });
    written.truncate(4);
    let mut story = next((written, twin));
    story.twin();
    assert_eq!(words_after(&story, 4), ["done", "= completed"]);
}

#[test]
fn a_deadline_that_passed_while_nobody_watched_waits_for_a_look_at_the_twin() {
    let (written, mut twin) = killed(|s| {
        s.accepted().status("downloading");
    });
    twin.report(json!({"firmwareStatus": "completed"}));
    let mut story = Story::with(|s| s.overall_deadline = jiff::SignedDuration::from_secs(60));
    story.twin = twin;
    story.at = 3_600 * SECOND;
    story.resume(written);
    story.pass(SECOND).read_gives(Err(refused_connection()));
    story.pass(60 * SECOND);
    assert_eq!(words_after(&story, 4), [""; 0], "the hub is away");
    story.twin();
    assert_eq!(words_after(&story, 4), ["done", "= completed"]);
}

#[test]
fn a_deadline_that_passed_ends_what_the_twin_does_not_settle() {
    let (written, twin) = killed(|s| {
        s.accepted().status("downloading");
    });
    let mut story = Story::with(|s| s.overall_deadline = jiff::SignedDuration::from_secs(60));
    story.twin = twin;
    story.at = 3_600 * SECOND;
    story.resume(written);
    story.twin();
    assert_eq!(words_after(&story, 4), ["= givenUp"]);
}

#[test]
fn a_device_that_is_gone_leaves_its_update_unknown_and_then_given_up() {
    let (written, twin) = killed(|s| {
        s.accepted();
    });
    let mut story = next((written, twin));
    story.read_gives(Err(refusal(404, "DeviceNotFound")));
    assert_eq!(words_after(&story, 3), ["unknown"]);
    story.pass(24 * 3_600 * SECOND);
    assert_eq!(words_after(&story, 4), ["= givenUp"]);
}

#[test]
fn an_update_that_ended_before_it_was_taken_over_is_left_alone() {
    let mut first = Story::new();
    first.start().twin().accepted();
    first.status("downloading").status("completed");
    let verdict = first.said.last().unwrap().clone();
    let update = verdict.update_id.clone().unwrap();
    let mut story = Story::new();
    let now = story.now();
    story
        .core
        .handle(Input::Opened(Ok(vec![update.clone()])), now);
    let verdict = Box::new(verdict);
    let result = Err(JournalError::Over { verdict });
    story.feed(Input::Adopted { update, result });
    assert_eq!(story.words(), [""; 0]);
    assert!(matches!(
        story.said.last().unwrap().what,
        What::Resumed { count: 0 }
    ));
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_carries_on() {
    let (written, twin) = killed(|s| {
        s.accepted();
    });
    let update = written[0].update_id.clone().unwrap();
    let lost = UpdateId::from_text("lost");
    let mut story = Story::new();
    story.twin = twin;
    let now = story.now();
    let opened = Input::Opened(Ok(vec![lost.clone(), update.clone()]));
    story.core.handle(opened, now);
    let result = Err(JournalError::Unreadable {
        update: lost.clone(),
        device: "press-9".into(),
    });
    story.feed(Input::Adopted {
        update: lost,
        result,
    });
    let result = Ok(Adopted {
        events: written,
        unreadable: 2,
    });
    story.feed(Input::Adopted { update, result });
    assert_eq!(story.words()[0], "refused Journal");
    let told = |e: &Event| match &e.what {
        What::DeviceProblem { problem } => problem.title.starts_with("2 events"),
        _ => false,
    };
    assert!(story.said.iter().any(told));
    story.status("downloading").status("completed");
    assert_eq!(story.words().last().unwrap(), "= completed");
}

#[test]
fn resuming_twice_takes_each_update_up_once() {
    let (written, twin) = killed(|s| {
        s.accepted();
    });
    let update = written[0].update_id.clone().unwrap();
    let mut story = Story::new();
    story.twin = twin;
    story.written = written;
    let now = story.now();
    let opened = || Input::Opened(Ok(vec![update.clone()]));
    let first = story.core.handle(opened(), now);
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(story.core.handle(opened(), now).is_empty());
    let events = story.written.clone();
    let result = Ok(Adopted {
        events,
        unreadable: 0,
    });
    story.feed(Input::Adopted {
        update: update.clone(),
        result,
    });
    story.feed(opened());
    let counts: Vec<usize> = story
        .said
        .iter()
        .filter_map(|e| match e.what {
            What::Resumed { count } => Some(count),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [1, 0]);
    assert_eq!(story.words().len(), 3);
}
