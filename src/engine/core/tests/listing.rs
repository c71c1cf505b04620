//! Pages of the inventory.

use super::*;

#[test]
fn pages_are_listed_at_half_the_hubs_rate_and_the_gone_are_forgotten() {
    let mut story = Story::new();
    let row = |name: &str, now: Now| DeviceRow {
        device_id: id(name),
        connection: crate::domain::device::Connection::Connected,
        status: crate::domain::device::Enablement::Enabled,
        last_activity: None,
        firmware: None,
        reported_status: None,
        phase: None,
        last_update: None,
        tags: Default::default(),
        seen: now.wall,
    };
    let page = |story: &mut Story, ticket, name: &str, next: Option<&str>| {
        let result = Ok(Page {
            rows: vec![row(name, story.now())],
            skipped: 0,
            bytes: 0,
            continuation: next.map(str::to_owned),
        });
        story.feed(Input::Page { ticket, result });
    };
    story.feed(Input::Command(Command::List));
    for n in 0..12 {
        page(&mut story, 1, &format!("d{n}"), Some("next"));
    }
    assert_eq!(story.listed.len(), 10, "ten pages a minute");
    story.pass(6 * SECOND + Duration::from_millis(2));
    assert_eq!(story.listed.len(), 11);
    page(&mut story, 1, "last", None);
    story.pass(60 * SECOND).feed(Input::Command(Command::List));
    page(&mut story, 1, "late-page-of-the-first", None);
    page(&mut story, 2, "last", None);
    let gone = story
        .said
        .iter()
        .filter(|e| matches!(e.what, What::Gone {}))
        .count();
    assert_eq!(gone, 12);
    assert_eq!(story.core.snapshot().rows.len(), 1);
    assert_eq!(
        story.core.snapshot().inventory,
        Some((InventoryState::Complete, None))
    );
}

/// The hub answers reads well, and the query never.
#[test]
fn a_query_that_fails_by_itself_is_not_asked_for_without_end() {
    let mut story = Story::new();
    story.feed(Input::Command(Command::Attend(true)));
    story.feed(Input::Command(Command::Watch(id(ID)))).twin();
    story.feed(Input::Command(Command::List));
    let (mut read, mut listed) = (story.reads.len() - 1, 0);
    let end = story.at + 10 * 60 * SECOND;
    while story.at < end {
        if story.reads.len() > read {
            read = story.reads.len();
            story.twin();
        }
        if story.listed.len() > listed {
            listed += 1;
            let ticket = story.core.listing_ticket();
            let result = Err(refusal(503, "ServiceUnavailable"));
            story.feed(Input::Page { ticket, result });
        }
        story.pass(Duration::from_millis(50));
    }
    assert_eq!(listed, 4, "pages in ten minutes");
    let (state, _) = story.core.snapshot().inventory.unwrap();
    assert_eq!(state, InventoryState::Failed);
}

#[test]
fn a_page_is_retried_a_few_times_and_then_said_to_have_failed() {
    let mut story = Story::new();
    story.feed(Input::Command(Command::List));
    for _ in 0..4 {
        let result = Err(refused_connection());
        story
            .feed(Input::Page { ticket: 1, result })
            .pass(10 * SECOND);
    }
    assert_eq!(story.listed.len(), 4);
    let Some((InventoryState::Failed, Some(problem))) = story.core.snapshot().inventory else {
        panic!("not failed");
    };
    assert_eq!(problem.kind, Kind::Unreachable);
}
