//! Tags on twins: who holds a device, told without a hub.

use super::*;
use crate::domain::tag::{KEY, Tag};

/// The hub's clock is not ours.
const AHEAD: jiff::SignedDuration = jiff::SignedDuration::from_hours(3);

/// A story on a hub whose devices are kept by tags.
fn story() -> Story {
    of(|_| {})
}

fn of(change: impl FnOnce(&mut Settings)) -> Story {
    let mut story = Story::with(|settings| {
        settings.lease = Lease::Tags;
        settings.by = "ana@jump1 (ssh from 10.0.0.7)".into();
        change(settings);
    });
    story.clock();
    story
}

fn bob(since: Timestamp) -> Tag {
    let update = UpdateId::from_text("u-bob");
    Tag::new("bob@jump2", update, "fw-2.bin", since)
}

/// No whole answer: it may have been written or not.
fn no_answer() -> HubError {
    HubError::NoAnswer {
        host: "plant.test".into(),
        cause: "it took too long".into(),
    }
}

fn outrun() -> HubError {
    refusal(412, "PreconditionFailed")
}

impl Story {
    /// The hub's clock goes on.
    fn clock(&mut self) -> Timestamp {
        let now = self.now().wall + AHEAD;
        self.twin.twin.told_at = Some(now);
        // What is reported from now on is stamped after the order.
        self.twin.until(now + jiff::SignedDuration::from_secs(2));
        now
    }

    /// Somebody writes to the twin's tags.
    fn tag(&mut self, key: &str, value: Value) -> &mut Self {
        write(&mut self.twin.twin, key, value);
        self
    }

    /// Bob takes the device now.
    fn bob_is_there(&mut self) -> &mut Self {
        let tag = bob(self.clock());
        self.tag(KEY, tag.value())
    }

    /// The hub does the last write, and answers.
    fn written(&mut self) -> &mut Self {
        self.clock();
        let (_, last) = self.writes.last().expect("something is written");
        let result = self.apply(&last.clone());
        self.write_gives(result)
    }

    fn apply(&mut self, to_write: &Write) -> Result<Twin, HubError> {
        if to_write.etag() != self.twin.twin.etag {
            return Err(outrun());
        }
        let value = to_write.tag().map_or(Value::Null, Tag::value);
        write(&mut self.twin.twin, KEY, value);
        Ok(self.twin.twin.clone())
    }

    fn write_gives(&mut self, result: Result<Twin, HubError>) -> &mut Self {
        let (update, _) = self.writes.last().cloned().expect("something is written");
        let result = result.map(Box::new);
        self.feed(Input::TagWritten { update, result })
    }

    /// The twin is read for a write.
    fn looked(&mut self) -> &mut Self {
        self.clock();
        let update = self.looks.last().cloned().expect("somebody looks");
        let result = Ok(Box::new(self.twin.twin.clone()));
        self.feed(Input::TagSeen { update, result })
    }

    /// The tag as it stands on the twin.
    fn stands(&self) -> Option<Tag> {
        let tag = self.twin.twin.tags.get(KEY)?;
        Some(serde_json::from_value(tag.clone()).unwrap())
    }

    /// What was said of tags beside the update.
    fn remarks(&self) -> Vec<String> {
        let remark = |event: &Event| match &event.what {
            What::Tag { problem } => Some(problem.to_string()),
            _ => None,
        };
        self.said.iter().filter_map(remark).collect()
    }

    /// The problem of the verdict or of the refusal.
    fn why(&self) -> Problem {
        let why = self.said.iter().rev().find_map(|event| match &event.what {
            What::Verdict { problem, .. } => problem.clone(),
            What::Refused { problem } => Some(problem.clone()),
            _ => None,
        });
        why.expect("there is a problem")
    }

    /// An update that holds its device, accepted.
    fn under_way(&mut self) -> &mut Self {
        self.start().twin().written().accepted()
    }
}

/// Writes a tag of a twin as the hub does.
fn write(twin: &mut Twin, key: &str, value: Value) {
    if value.is_null() {
        twin.tags.shift_remove(key);
    } else {
        twin.tags.insert(key.into(), value);
    }
    twin.version += 1;
    twin.etag = format!("e{}", twin.version);
}

#[test]
fn a_device_is_taken_before_the_order_goes_out_and_given_back_after_the_verdict() {
    let mut story = story();
    story.start().twin();
    assert_eq!(story.words(), ["intended"]);
    assert!(story.calls.is_empty(), "the order waits for the tag");
    let (update, write) = story.writes[0].clone();
    assert_eq!(write.etag(), "AAAAAAAAAAE=");
    let tag = write.tag().unwrap();
    let told = (tag.by.as_str(), tag.host.as_str(), tag.doing.as_str());
    assert_eq!(told, ("ana", "jump1", "update to fw-1.5.0.bin"));
    assert_eq!(tag.update, update);
    assert_eq!(tag.since, "2026-01-01T15:00:00Z".parse().unwrap());
    assert_eq!(tag.until, "2026-01-01T15:30:00Z".parse().unwrap());
    assert!(!tag.value().to_string().contains("secret"));
    // What the device does meanwhile is not the order's.
    story.status("downloading");
    assert_eq!(story.words(), ["intended"]);
    story.written();
    assert_eq!(story.words(), ["intended", "invoked 1"]);
    assert_eq!(story.calls.len(), 1);
    story.accepted().status("applying").status("completed");
    assert_eq!(story.verdict().0, Outcome::Completed);
    assert_eq!(story.writes.len(), 2);
    assert_eq!(story.writes[1].1.tag(), None);
    story.written();
    assert_eq!(story.stands(), None);
    assert!(story.looks.is_empty() && story.remarks().is_empty());
    assert_eq!(story.core.tags_wake_at(), None);
}

#[test]
fn without_tags_nothing_is_written() {
    let mut story = Story::new();
    story.bob_is_there().start().twin().accepted();
    story.status("downloading").status("completed");
    assert_eq!(story.verdict().0, Outcome::Completed);
    assert!(story.writes.is_empty() && story.looks.is_empty());
}

#[test]
fn anothers_tag_refuses_the_start_before_anything_is_written_down() {
    let mut story = story();
    story.bob_is_there().pass(29 * 60 * SECOND).clock();
    story.start().twin();
    assert_eq!(story.words(), ["refused Busy"]);
    assert!(story.writes.is_empty());
    let why = story.why();
    assert_eq!(
        why.line(),
        "press-7 is busy: bob on jump2 since 2026-01-01T15:00:00Z: update to fw-2.bin"
    );
}

#[test]
fn an_expired_tag_is_taken_over() {
    let mut story = story();
    story.bob_is_there().pass(30 * 60 * SECOND).clock();
    story.start().twin().written();
    assert_eq!(story.words(), ["intended", "invoked 1"]);
    assert_eq!(story.stands().unwrap().by, "ana");
}

#[test]
fn of_two_at_once_the_second_is_told_who() {
    let mut story = story();
    story.start().twin();
    // Between our read and our write.
    story.bob_is_there().written();
    assert_eq!(story.looks.len(), 1);
    story.looked();
    assert_eq!(story.words(), ["intended", "= notDelivered"]);
    assert!(story.calls.is_empty());
    let why = story.why();
    assert_eq!(why.kind, Kind::Busy);
    assert!(why.cause.starts_with("bob on jump2 since"), "{why}");
    assert_eq!(story.writes.len(), 1, "bob's tag is left alone");
}

#[test]
fn whoever_writes_another_tag_is_no_hindrance_but_makes_a_new_baseline() {
    let mut story = story();
    story.start().twin();
    story.tag("site", "hall 2".into());
    // Somebody's update came and went meanwhile.
    story.twin.report(json!({"firmwareStatus": "completed"}));
    story.written().looked().written();
    assert_eq!(story.words(), ["intended", "invoked 1"]);
    story.accepted().twin();
    assert_eq!(story.words().len(), 3, "that end is not ours");
}

/// Others write to the twin all the time: that ends.
#[test]
fn it_is_not_tried_for_ever() {
    let mut story = of(|settings| settings.tries = 3);
    story.start().twin();
    for n in 0..3 {
        story.tag("n", n.into()).written().looked();
    }
    story.tag("n", 3.into()).written();
    assert_eq!(story.verdict().0, Outcome::NotDelivered);
    assert!(story.calls.is_empty());
    assert!(story.why().to_string().contains("412"), "{}", story.why());
}

#[rstest::rstest]
#[case(refusal(401, "IotHubUnauthorizedAccess"), Kind::Unauthorized)]
#[case(refusal(403, "IotHubUnauthorized"), Kind::Unauthorized)]
#[case(refusal(404, "DeviceNotFound"), Kind::NoSuchDevice)]
#[case(refusal(400, "ArgumentInvalid"), Kind::BadRequest)]
#[case(HubError::Unsendable("the twin has no etag".into()), Kind::Protocol)]
fn a_tag_that_cannot_be_written_lets_no_order_out(#[case] error: HubError, #[case] kind: Kind) {
    let mut story = story();
    story.start().twin().write_gives(Err(error));
    assert_eq!(story.words(), ["intended", "= notDelivered"]);
    assert!(story.calls.is_empty());
    let why = story.why();
    assert_eq!(why.kind, kind);
    assert!(why.hint.starts_with("No order was sent"), "{why}");
    let rights = why.hint.contains("ServiceConnect");
    assert_eq!(rights, kind == Kind::Unauthorized, "{why}");
    // It surely does not stand, so nothing is to be given back.
    assert_eq!((story.writes.len(), story.looks.len()), (1, 0));
}

#[rstest::rstest]
#[case::throttled(throttled())]
#[case::no_connection(refused_connection())]
#[case::server(refusal(503, "ServiceUnavailable"))]
fn what_passes_is_tried_again_on_a_fresh_baseline(#[case] error: HubError) {
    let mut story = story();
    story.start().twin().write_gives(Err(error));
    assert_eq!(story.words(), ["intended", "retrying"]);
    story.pass(60 * SECOND).clock();
    story.twin();
    assert_eq!(story.writes.len(), 2);
    story.written();
    assert_eq!(story.words(), ["intended", "retrying", "invoked 1"]);
}

#[test]
fn what_does_not_pass_ends_after_all_tries() {
    let mut story = of(|settings| settings.tries = 2);
    story.start().twin().write_gives(Err(throttled()));
    story.pass(60 * SECOND).twin().write_gives(Err(throttled()));
    assert_eq!(story.words(), ["intended", "retrying", "= notDelivered"]);
    assert_eq!(story.why().kind, Kind::Throttled);
    assert!(story.calls.is_empty());
}

#[test]
fn a_write_without_an_answer_is_looked_for_on_the_twin() {
    let mut story = story();
    story.start().twin();
    let write = story.writes[0].1.clone();
    story.apply(&write).unwrap();
    story.write_gives(Err(no_answer()));
    assert!(story.calls.is_empty(), "nobody knows whose the device is");
    story.pass(60 * SECOND).clock();
    story.twin();
    assert_eq!(story.words(), ["intended", "retrying", "invoked 1"]);
    assert_eq!(story.writes.len(), 1, "it is ours");
}

#[test]
fn what_nobody_can_read_is_given_back_if_it_was_written() {
    let mut story = story();
    story.start().twin();
    let write = story.writes[0].1.clone();
    story.apply(&write).unwrap();
    story.write_gives(Err(HubError::Unreadable("<html>".into())));
    assert_eq!(story.words(), ["intended", "= notDelivered"]);
    story.looked().written();
    assert_eq!(story.stands(), None);
    assert!(story.calls.is_empty());
}

#[test]
fn it_is_renewed_while_the_update_is_open_by_the_hubs_clock() {
    let mut story = story();
    story.under_way();
    let taken = story.stands().unwrap();
    for minutes in [8, 16, 24, 32, 40] {
        story.pass(8 * 60 * SECOND);
        story.written();
        let tag = story.stands().unwrap();
        assert_eq!(tag.since, taken.since);
        let want = taken.until + Duration::from_secs(minutes * 60);
        assert_eq!(tag.until, want, "after {minutes} minutes");
    }
    assert_eq!(story.remarks(), Vec::<String>::new());
    // Another write of the twin is no reason to lose it.
    story.tag("site", "lab".into()).pass(8 * 60 * SECOND);
    story.written().looked().written();
    assert!(story.stands().unwrap().until > taken.until + Duration::from_secs(2_880 - 60));
}

#[test]
fn a_renewal_that_fails_is_tried_again_and_told_once() {
    let mut story = story();
    story.under_way();
    for _ in 0..3 {
        story.pass(8 * 60 * SECOND).write_gives(Err(no_answer()));
    }
    let remarks = story.remarks();
    assert_eq!(remarks.len(), 1, "{remarks:?}");
    assert!(remarks[0].contains("could not be renewed"), "{remarks:?}");
    story.pass(60 * SECOND).written();
    assert!(story.stands().is_some());
    story.status("completed").status("downloading");
    assert_eq!(story.calls.len(), 1);
}

/// The hub's day ends by the hub's clock, for tags as for all else.
#[test]
fn what_tags_cost_counts_on_the_hubs_day() {
    let mut story = story();
    let now = story.now().wall;
    let tomorrow = now + jiff::SignedDuration::from_hours(13);
    let date = tomorrow.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let skew = crate::domain::skew::Skew::measured(&date, now, now).unwrap();
    let spent = |story: &Story| story.core.ledger.quota().spent(tomorrow);
    story.feed(Input::Clock(skew)).start().twin();
    let mut before = spent(&story);
    assert!(before > 0, "the baseline");
    story.tag("site", "lab".into()).written();
    for step in [Story::looked, Story::written] {
        step(&mut story);
        assert!(spent(&story) > before, "{} after {before}", spent(&story));
        before = spent(&story);
    }
}

/// Somebody else wrote, and the twin cannot be read again for the renewal.
#[test]
fn a_renewal_that_fails_when_the_twin_is_looked_at_is_told_once_too() {
    let mut story = story();
    story.under_way();
    let fails = |story: &mut Story| {
        let update = story.invoked[0].clone();
        let result = Err(no_answer());
        story.feed(Input::TagSeen { update, result });
    };
    story.tag("site", "lab".into()).pass(8 * 60 * SECOND);
    story.written();
    fails(&mut story);
    story.pass(60 * SECOND).written();
    fails(&mut story);
    let remarks = story.remarks();
    assert_eq!(remarks.len(), 1, "{remarks:?}");
    assert!(remarks[0].contains("could not be renewed"), "{remarks:?}");
    // It was well in between: then it is news.
    story.pass(60 * SECOND).written().looked().written();
    story.pass(8 * 60 * SECOND).write_gives(Err(no_answer()));
    assert_eq!(story.remarks().len(), 2);
}

#[test]
fn a_tag_that_was_taken_from_us_is_told_and_left_alone() {
    let mut story = story();
    story.under_way();
    story.bob_is_there().twin().twin();
    let remarks = story.remarks();
    assert_eq!(remarks.len(), 1, "{remarks:?}");
    assert!(
        remarks[0].contains("bob on jump2 has taken it"),
        "{remarks:?}"
    );
    story.pass(20 * 60 * SECOND);
    story.status("downloading").status("completed");
    assert_eq!(story.verdict().0, Outcome::Completed);
    assert_eq!(story.writes.len(), 1, "bob's tag is left alone");
    assert_eq!(story.stands().unwrap().by, "bob");
}

/// Answers overtake each other: an old one tells nothing of what was written since.
#[test]
fn an_older_answer_alarms_nobody() {
    let mut story = story();
    story.start().twin();
    let old = story.twin.twin.clone();
    story.written().accepted();
    story.read_gives(Ok(old));
    assert_eq!(story.remarks(), Vec::<String>::new());
    story.status("downloading").status("completed").written();
    assert_eq!(story.stands(), None);
}

#[test]
fn it_is_given_back_whatever_the_verdict() {
    let mut rejected = story();
    rejected.start().twin().written();
    rejected.answer(Ok(MethodAnswer {
        status: 501,
        payload: Value::Null,
    }));
    let mut lost = story();
    lost.start().twin().written();
    lost.answer(Err(refusal(404, "DeviceNotOnline")));
    let mut given_up = story();
    given_up.under_way();
    let update = given_up.invoked[0].clone();
    given_up.feed(Input::Command(Command::GiveUp(update)));
    for mut story in [rejected, lost, given_up] {
        let verdict = story.verdict().0;
        assert_eq!(story.writes.len(), 2, "{verdict}");
        story.written();
        assert_eq!(story.stands(), None, "{verdict}");
    }
}

#[test]
fn a_tag_that_cannot_be_given_back_is_tried_again_also_at_the_end() {
    let mut story = story();
    story.under_way().status("downloading").status("completed");
    // Somebody else wrote.
    story.tag("site", "lab".into()).written().looked();
    assert_eq!(story.writes.len(), 3);
    story.write_gives(Err(refused_connection()));
    story.pass(60 * SECOND);
    assert_eq!(story.writes.len(), 4, "tried again");
    story.write_gives(Err(refused_connection()));
    story.feed(Input::Stop);
    assert_eq!(story.writes.len(), 5, "at the end once more");
    story.write_gives(Err(refused_connection()));
    assert_eq!(story.writes.len(), 5);
    let remarks = story.remarks();
    assert_eq!(remarks.len(), 1, "{remarks:?}");
    assert!(remarks[0].contains("It ends by itself"), "{remarks:?}");
}

#[test]
fn an_update_that_ended_here_keeps_nobody_off_though_its_tag_stands() {
    let mut story = of(|settings| settings.tries = 1);
    story.under_way().status("downloading").status("completed");
    story.write_gives(Err(refused_connection()));
    assert_eq!(story.stands().unwrap().by, "ana");
    story.start().pass(SECOND).twin().written();
    assert_eq!(story.calls.len(), 2, "{:?}", story.words());
}

#[test]
fn what_was_taken_for_an_update_that_has_ended_meanwhile_is_given_back() {
    let mut story = story();
    story.start().twin();
    let update = story.writes[0].0.clone();
    story.feed(Input::Command(Command::GiveUp(update)));
    assert_eq!(story.verdict().0, Outcome::GivenUp);
    assert!(story.verdict().1.contains("did not reach"));
    story.written().written();
    assert_eq!(story.stands(), None);
    assert!(story.calls.is_empty());
}

#[test]
fn at_the_end_no_order_goes_out_and_the_tag_goes_back() {
    let mut story = story();
    story.start().twin().feed(Input::Stop);
    story.written();
    assert_eq!(story.words(), ["intended", "= notDelivered"]);
    assert!(story.calls.is_empty());
    story.written();
    assert_eq!(story.stands(), None);
}

/// The update goes on on the device: its tag stays, and ends by itself.
#[test]
fn the_tag_of_an_open_update_stays_when_the_console_ends() {
    let mut story = story();
    story.under_way().feed(Input::Stop).pass(3_600 * SECOND);
    assert_eq!(story.writes.len(), 1);
    assert!(story.stands().is_some());
}

/// A later process of the same journal takes an open update up.
fn resumed(first: &Story, change: impl FnOnce(&mut Settings)) -> Story {
    let open: Vec<Event> = first
        .said
        .iter()
        .filter(|e| e.update_id.is_some())
        .cloned()
        .collect();
    let mut story = of(change);
    story.at = first.at;
    story.twin = first.twin.clone();
    let update = open[0].update_id.clone().unwrap();
    story.written = open;
    story.feed(Input::Opened(Ok(vec![update])));
    story
}

#[test]
fn a_resumed_update_renews_its_tag_and_gives_it_back() {
    let mut first = story();
    first.under_way().pass(60 * SECOND);
    let mut story = resumed(&first, |_| {});
    assert!(story.looks.is_empty(), "it is seen when the twin is read");
    story.clock();
    story.twin();
    assert!(story.writes.is_empty(), "it is good still");
    story.pass(10 * 60 * SECOND).written();
    let until = story.stands().unwrap().until;
    assert!(until > first.stands().unwrap().until);
    story.status("downloading").status("completed").written();
    assert_eq!(story.stands(), None);
}

/// Killed between the tag and the order.
#[test]
fn a_crash_between_tag_and_order_leaves_a_tag_that_ends_or_is_given_back() {
    let mut first = story();
    first.start().twin();
    let write = first.writes[0].1.clone();
    first.apply(&write).unwrap();
    let mut other = story();
    other.twin = first.twin.clone();
    other.start().twin();
    assert_eq!(other.words(), ["refused Busy"]);
    other.pass(30 * 60 * SECOND).clock();
    other.start().twin().written();
    assert_eq!(other.words()[1..], ["intended", "invoked 1"]);
    let mut story = resumed(&first, |_| {});
    let update = write.update().clone();
    story.feed(Input::Command(Command::GiveUp(update)));
    story.looked().written();
    assert_eq!(story.stands(), None);
    assert!(story.calls.is_empty());
}

#[test]
fn a_resumed_update_leaves_anothers_tag_alone_and_takes_none_anew() {
    let mut first = story();
    first.under_way();
    for others in [Some(bob(first.now().wall + AHEAD)), None] {
        let mut story = resumed(&first, |_| {});
        let value = others.map_or(Value::Null, |tag| tag.value());
        story.tag(KEY, value).twin();
        story.pass(20 * 60 * SECOND);
        story.status("downloading").status("completed");
        assert_eq!(story.verdict().0, Outcome::Completed);
        assert_eq!((story.writes.len(), story.looks.len()), (0, 0));
        assert_eq!(story.remarks(), Vec::<String>::new());
    }
    let mut read_only = resumed(&first, |settings| settings.profile.read_only = true);
    read_only.twin().pass(20 * 60 * SECOND);
    read_only.status("downloading").status("completed");
    assert_eq!(read_only.verdict().0, Outcome::Completed);
    assert_eq!((read_only.writes.len(), read_only.looks.len()), (0, 0));
}

/// A start that was forced: past the holder who was told, past nobody else.
#[rstest::rstest]
#[case::the_one_who_was_told("u-bob", true)]
#[case::another_meanwhile("u-eve", false)]
fn whoever_forces_goes_past_the_holder_who_was_told(#[case] there: &str, #[case] goes: bool) {
    let mut story = story();
    story.bob_is_there().start_over().twin();
    // Before our write, the holder renews, or somebody else takes it from him.
    let mut tag = story.stands().unwrap();
    tag.update = UpdateId::from_text(there);
    story.tag(KEY, tag.value());
    story.written().looked();
    match goes {
        true => {
            story.written();
            assert_eq!(story.words(), ["intended", "invoked 1"]);
            assert_eq!(story.stands().unwrap().by, "ana");
        }
        false => {
            assert_eq!(story.words(), ["intended", "= notDelivered"]);
            assert_eq!(story.writes.len(), 1);
        }
    }
}

/// What another program wrote there is taken away by hand, before the start or while
/// it is on its way.
#[rstest::rstest]
#[case::before(true, &["refused Busy"])]
#[case::meanwhile(false, &["intended", "= notDelivered"])]
fn nobody_forces_past_what_is_no_tag(#[case] before: bool, #[case] words: &[&str]) {
    let mut story = story();
    let other = json!({"kept": "by another program"});
    if before {
        story.tag(KEY, other.clone()).start_over().twin();
    } else {
        story.start_over().twin().tag(KEY, other.clone());
        story.written().looked();
    }
    assert_eq!(story.words(), words);
    assert!(story.calls.is_empty());
    assert_eq!(story.twin.twin.tags.get(KEY), Some(&other));
    assert!(story.why().hint.contains("take that tag away"));
}

/// Whatever is not known, and in whatever order it comes: of two consoles that share
/// nothing but the hub, one invokes.
#[derive(Clone, Debug)]
enum Chance {
    /// The n-th thing that is under way happens at the hub and is answered so.
    Happens(usize, u8),
    /// Somebody writes another tag.
    Other,
    /// Time passes.
    Pass(u64),
}

fn chances() -> impl Strategy<Value = Vec<Chance>> {
    let chance = prop_oneof![
        8 => (0..8usize, 0..8u8).prop_map(|(n, how)| Chance::Happens(n, how)),
        1 => Just(Chance::Other),
        1 => (0..20u64).prop_map(Chance::Pass),
    ];
    prop::collection::vec(chance, 1..60)
}

proptest! {
    #[test]
    fn of_two_consoles_that_share_only_the_hub_one_invokes(chances in chances()) {
        let mut hub = FakeTwin::new(ID).twin;
        let mut consoles = [story(), story()];
        for story in &mut consoles {
            story.start();
        }
        let mut done = [[0usize; 3]; 2];
        for chance in chances {
            match chance {
                Chance::Other => write(&mut hub, "site", "lab".into()),
                Chance::Pass(seconds) => {
                    for story in &mut consoles {
                        story.pass(Duration::from_secs(seconds));
                    }
                }
                Chance::Happens(n, how) => {
                    let (who, what) = (n % 2, n / 2);
                    happen(&mut consoles[who], &mut done[who], &mut hub, what, how);
                }
            }
            let out: usize = consoles.iter().map(|story| story.calls.len()).sum();
            prop_assert!(out <= 1, "{:?} {:?}", consoles[0].words(), consoles[1].words());
            for story in &consoles {
                let at_hand = story.calls.is_empty() || hub.tags.contains_key(KEY);
                prop_assert!(at_hand, "{:?}", story.words());
            }
        }
    }
}

/// One of the things that a console waits for: a read, a write, a look.
fn happen(story: &mut Story, done: &mut [usize; 3], hub: &mut Twin, what: usize, how: u8) {
    hub.told_at = Some(story.now().wall + AHEAD);
    story.twin.twin = hub.clone();
    match what % 3 {
        0 if story.reads.len() > done[0] => {
            done[0] = story.reads.len();
            story.twin();
        }
        1 if story.writes.len() > done[1] => {
            let write = story.writes[done[1]].1.clone();
            done[1] += 1;
            let result = match how {
                0 => Err(throttled()),
                1 => Err(no_answer()),
                _ => story.apply(&write),
            };
            let result = match how {
                2 => Err(no_answer()),
                _ => result,
            };
            *hub = story.twin.twin.clone();
            story.write_gives(result);
        }
        2 if story.looks.len() > done[2] => {
            done[2] += 1;
            story.looked();
        }
        _ => {}
    }
}
