//! The inventory narrowed by a query: it counts when the hub has answered it.

use super::*;

const LAB: &str = "tags.site = 'lab'";

fn row(story: &Story, name: &str) -> DeviceRow {
    DeviceRow {
        device_id: id(name),
        connection: Default::default(),
        status: Default::default(),
        last_activity: None,
        firmware: None,
        reported_status: None,
        phase: None,
        last_update: None,
        tags: Default::default(),
        seen: story.now().wall,
    }
}

impl Story {
    fn ask_for(&mut self, query: Option<&str>) -> &mut Self {
        self.feed(Input::Command(Command::Query(query.map(str::to_owned))))
    }

    /// A page of that listing, and whether more are to come.
    fn page_of(&mut self, ticket: u64, names: &[&str], more: bool) -> &mut Self {
        let rows = names.iter().map(|name| row(self, name)).collect();
        let result = Ok(Page {
            rows,
            skipped: 0,
            bytes: 0,
            continuation: more.then(|| "next".to_owned()),
        });
        self.feed(Input::Page { ticket, result })
    }

    fn page(&mut self, names: &[&str], more: bool) -> &mut Self {
        let ticket = self.core.listing_ticket();
        self.page_of(ticket, names, more)
    }

    fn page_fails(&mut self, error: HubError) -> &mut Self {
        let ticket = self.core.listing_ticket();
        let result = Err(error);
        self.feed(Input::Page { ticket, result })
    }

    /// Three devices, all listed.
    fn of_three() -> Self {
        let mut story = Self::new();
        story.feed(Input::Command(Command::List));
        story.page(&["a", "b", "c"], false);
        story
    }

    fn names(&self) -> Vec<String> {
        let rows = self.core.snapshot().rows;
        rows.iter().map(|row| row.device_id.to_string()).collect()
    }

    /// The condition that the last page was asked for with.
    fn condition(&self) -> Option<&str> {
        let (_, text) = self.queries.last().expect("a page was asked for");
        text.split_once(" WHERE ").map(|(_, condition)| condition)
    }

    fn state(&self) -> (InventoryState, Option<Problem>) {
        self.core.snapshot().inventory.expect("it was listed")
    }
}

fn bad_query() -> HubError {
    refusal(400, "ArgumentInvalid")
}

#[test]
fn a_query_lists_its_devices_and_the_others_leave() {
    let mut story = Story::of_three();
    story.ask_for(Some(LAB));
    assert_eq!(story.condition(), Some(LAB));
    assert_eq!(story.names(), ["a", "b", "c"], "until the hub has answered");
    assert_eq!(story.core.snapshot().query, None);
    story.page(&["b"], true);
    assert_eq!(story.names(), ["b"]);
    assert_eq!(story.core.snapshot().query.as_deref(), Some(LAB));
    story.page(&["d"], false);
    assert_eq!(story.names(), ["b", "d"]);
    assert_eq!(story.state(), (InventoryState::Complete, None));
    let told = |event: &Event| match &event.what {
        What::Narrowed { query } => Some(format!("{query:?}")),
        What::Device { device } => Some(device.device_id.to_string()),
        _ => None,
    };
    let told: Vec<String> = story.said.iter().filter_map(told).collect();
    let narrowed = format!("{:?}", Some(LAB));
    assert_eq!(told, ["a", "b", "c", &narrowed, "b", "d"]);

    // Listed again, by the same query; one has left it.
    story.feed(Input::Command(Command::List));
    assert_eq!(story.condition(), Some(LAB));
    story.feed(Input::Command(Command::Look(Some(id("d")))));
    story.page(&["b"], false);
    assert_eq!(story.names(), ["b"]);

    story.ask_for(None);
    assert_eq!(story.condition(), None);
    story.page(&["a", "b", "c", "d"], false);
    assert_eq!(story.names(), ["a", "b", "c", "d"]);
    assert_eq!(story.core.snapshot().query, None);
}

#[test]
fn a_late_page_of_the_former_query_is_dropped() {
    let mut story = Story::new();
    story.feed(Input::Command(Command::List));
    story.page(&["a"], true);
    let former = story.core.listing_ticket();
    story.ask_for(Some(LAB));
    story.page_of(former, &["late"], true);
    assert_eq!(story.names(), ["a"]);
    assert_eq!(
        story.core.snapshot().query,
        None,
        "it is no answer to the query"
    );
    let lab = story.core.listing_ticket();
    story.ask_for(Some("tags.site = 'roof'"));
    story.page_of(lab, &["b"], false);
    assert_eq!(story.names(), ["a"], "the last one counts");
    story.page(&["c"], false);
    assert_eq!(story.names(), ["c"]);
    story.page_of(lab, &["b"], false);
    assert_eq!(story.names(), ["c"]);
}

#[test]
fn a_refused_query_leaves_the_list_as_it_was() {
    let mut story = Story::of_three();
    story.ask_for(Some("tags.site ="));
    let trial = story.core.listing_ticket();
    story.page_fails(bad_query());
    assert_eq!(story.names(), ["a", "b", "c"]);
    assert_eq!(story.core.snapshot().query, None);
    let (state, problem) = story.state();
    let problem = problem.expect("the hub's words");
    assert_eq!(state, InventoryState::Complete);
    assert_eq!(problem.title, "the hub refused the query");
    assert!(problem.cause.contains("ArgumentInvalid"), "{problem:?}");
    assert!(problem.hint.contains("All devices are listed, as before."));
    story.page_of(trial, &["late"], false);
    assert_eq!(story.names(), ["a", "b", "c"]);
    let asked = story.queries.len();
    story.pass(30 * SECOND);
    assert_eq!(story.queries.len(), asked, "it is not asked again");
    story.feed(Input::Command(Command::List));
    assert_eq!(story.condition(), None);
    story.page(&["a"], false);
    assert_eq!(story.state(), (InventoryState::Complete, None));
}

#[test]
fn a_query_refused_after_another_leaves_that_one() {
    let mut story = Story::of_three();
    story.ask_for(Some(LAB)).page(&["b"], false);
    story.ask_for(Some("nonsense")).page_fails(bad_query());
    assert_eq!(story.core.snapshot().query.as_deref(), Some(LAB));
    assert_eq!(story.names(), ["b"]);
    let hint = story.state().1.unwrap().hint;
    assert!(hint.contains("the query before"), "{hint}");
    story.feed(Input::Command(Command::List));
    assert_eq!(story.condition(), Some(LAB));
}

#[test]
fn a_list_under_way_is_begun_anew_when_a_query_is_refused() {
    let mut story = Story::new();
    story.feed(Input::Command(Command::List));
    story.page(&["a"], true);
    story.ask_for(Some("nonsense")).page_fails(bad_query());
    assert_eq!(story.condition(), None);
    assert_eq!(story.listed.last(), Some(&None), "from its first page");
    story.page(&["a", "b"], false);
    let (state, problem) = story.state();
    assert_eq!(state, InventoryState::Complete);
    assert_eq!(problem.unwrap().title, "the hub refused the query");
}

#[test]
fn a_query_that_nobody_answers_is_given_up() {
    let mut story = Story::of_three();
    story.ask_for(Some(LAB));
    for _ in 0..4 {
        story.page_fails(throttled()).pass(120 * SECOND);
    }
    assert_eq!(story.core.snapshot().query, None);
    let (state, problem) = story.state();
    assert_eq!(state, InventoryState::Complete);
    assert_eq!(problem.unwrap().title, "the query was not answered");
    assert_eq!(story.names(), ["a", "b", "c"]);
}

#[test]
fn a_query_that_is_too_long_is_not_asked() {
    let mut story = Story::of_three();
    let asked = story.queries.len();
    story.ask_for(Some(&"x".repeat(9_000)));
    assert_eq!(story.queries.len(), asked);
    let problem = story.state().1.unwrap();
    assert!(problem.cause.contains("8192"), "{problem:?}");
    assert_eq!(story.names(), ["a", "b", "c"]);
}

#[test]
fn a_read_puts_no_device_into_the_list_that_the_query_does_not_select() {
    let mut story = Story::of_three();
    story.ask_for(Some(LAB)).page(&["b"], false);
    story
        .feed(Input::Command(Command::Look(Some(id(ID)))))
        .twin();
    assert_eq!(story.names(), ["b"]);
    let seen = |event: &Event| matches!(event.what, What::Twin { .. });
    assert!(story.said.iter().any(seen), "but it can be looked at");
}

#[test]
fn an_open_update_stays_in_sight() {
    let mut story = Story::new();
    story.feed(Input::Command(Command::List));
    story.page(&["a", ID], false);
    story.start().twin().twin().accepted();
    story.ask_for(Some(LAB)).page(&["b"], false);
    assert_eq!(story.names(), ["b", ID]);
    story.status("downloading");
    assert_eq!(story.names(), ["b", ID]);
}
