//! Stories of outages: what is said of the link, who tries, and how all goes on.

use super::*;
use crate::domain::event::{Link, Way};
use crate::domain::skew::Skew;
use crate::hub::error::{AzError, Obstacle};

fn no_answer() -> HubError {
    HubError::NoAnswer {
        host: "plant.test".into(),
        cause: "connection reset by peer".into(),
    }
}

fn unauthorized() -> HubError {
    refusal(401, "IotHubUnauthorized")
}

/// What was told of the link, in order.
fn ways(story: &Story) -> Vec<Way> {
    let told = story.said.iter().filter_map(|event| match &event.what {
        What::Link(way) => Some(way.clone()),
        _ => None,
    });
    told.collect()
}

fn states(story: &Story) -> Vec<(Link, Option<u32>)> {
    let told = ways(story).into_iter();
    told.map(|way| (way.state, way.attempt)).collect()
}

/// Ends the n-th read of the story.
fn ends(story: &mut Story, n: usize, result: Result<(), HubError>) {
    let (ticket, device) = story.reads[n].clone();
    let twin = FakeTwin::new(device.as_str()).twin;
    let result = result.map(|()| Box::new(twin));
    story.feed(Input::Twin {
        ticket,
        device,
        result,
    });
}

/// Watches so many devices and answers their first read.
fn watching(devices: usize) -> Story {
    let mut story = Story::new();
    for n in 0..devices {
        let device = id(&format!("press-{n:03}"));
        story.feed(Input::Command(Command::Watch(device)));
    }
    for n in 0.. {
        while story.reads.len() <= n && story.at < 20 * SECOND {
            story.pass(Duration::from_millis(20));
        }
        if n >= devices {
            break;
        }
        ends(&mut story, n, Ok(()));
    }
    assert_eq!(story.core.flights.len(), devices);
    story
}

/// Fails each read as soon as it is asked for, for so long; how many there were.
fn fails_for(story: &mut Story, time: Duration, error: &HubError, from: usize) -> usize {
    let end = story.at + time;
    let mut next = from;
    while story.at < end {
        while next < story.reads.len() {
            ends(story, next, Err(error.clone()));
            next += 1;
        }
        story.pass(Duration::from_millis(50));
    }
    next - from
}

#[test]
fn one_read_at_a_time_while_the_hub_is_away_and_all_go_on_at_the_rate() {
    let mut story = watching(40);
    let from = story.reads.len() - 1;
    let tries = fails_for(&mut story, 60 * SECOND, &refused_connection(), from);
    // Nobody is in focus: 0.25, 0.5, … 15 s at even chances.
    assert!((6..=12).contains(&tries), "{tries} in a minute");
    let told = ways(&story);
    let last = told.last().unwrap();
    assert_eq!(last.state, Link::Retrying);
    assert_eq!(last.attempt, u32::try_from(tries).ok());
    assert!(last.at.unwrap() > last.heard.unwrap() + SignedDuration::from_secs(30));
    // The hub is back.
    let before = story.reads.len();
    while story.reads.len() == before {
        story.pass(Duration::from_millis(50));
    }
    assert_eq!(story.reads.len(), before + 1, "a probe");
    ends(&mut story, before, Ok(()));
    assert_eq!(ways(&story).last(), Some(&Way::new(Link::Online)));
    let began = story.at;
    let from = story.reads.len();
    while story.at < began + SECOND {
        story.pass(Duration::from_millis(10));
    }
    let burst = story.reads.len() - from;
    assert!(
        (20..=61).contains(&burst),
        "{burst} reads in a second of 60"
    );
}

#[test]
fn whoever_fails_with_the_first_is_no_further_try() {
    let mut story = watching(20);
    for _ in 0..40 {
        story.pass(Duration::from_millis(50));
    }
    let open: Vec<usize> = (20..story.reads.len()).collect();
    assert!(open.len() > 5);
    for n in open {
        ends(&mut story, n, Err(no_answer()));
    }
    let told = states(&story);
    assert_eq!(told[1..], [(Link::Retrying, Some(1))]);
}

#[test]
fn the_end_of_an_outage_is_seen_within_seconds_by_whoever_is_in_focus() {
    let mut story = watching(1);
    let from = story.reads.len() - 1;
    let tries = fails_for(&mut story, 60 * SECOND, &refused_connection(), from);
    // At even chances a try each 2 s.
    assert!((25..=40).contains(&tries), "{tries}");
    let before = story.reads.len();
    let since = story.at;
    while story.reads.len() == before {
        story.pass(Duration::from_millis(50));
    }
    assert!(story.at - since <= 4 * SECOND);
}

#[test]
fn silence_is_said_after_seconds_and_the_device_is_read_again() {
    let mut story = watching(1);
    let stuck = story.reads.len() - 1;
    story.pass(Duration::from_millis(3_500));
    assert_eq!(states(&story).last(), Some(&(Link::Online, None)));
    story.pass(Duration::from_millis(600));
    let told = ways(&story).pop().unwrap();
    assert_eq!((told.state, told.attempt), (Link::Retrying, Some(1)));
    assert!(
        told.problem
            .unwrap()
            .cause
            .contains("nothing came back for 4 s")
    );
    let before = story.reads.len();
    story.pass(SECOND);
    assert_eq!(story.reads.len(), before + 1, "on another connection");
    assert_eq!(story.reads[before].1, story.reads[stuck].1);
    // A late answer shows as well that the hub is there.
    ends(&mut story, stuck, Ok(()));
    assert_eq!(states(&story).last(), Some(&(Link::Online, None)));
    // What the abandoned read and the probe say later does no harm.
    ends(&mut story, before, Ok(()));
    story.pass(SECOND);
    assert_eq!(story.reads.len(), before + 2);
}

#[test]
fn a_probe_that_is_not_answered_is_a_failed_one() {
    let mut story = watching(1);
    let mut last = story.at;
    for _ in 0..600 {
        story.pass(Duration::from_millis(100));
        let wakes = story.core.wake_at().expect("somebody watches");
        assert!(wakes + SECOND > last, "it moves on");
        last = story.at;
    }
    let told = states(&story);
    assert!(told.len() > 8, "{told:?}");
    assert!(told.is_sorted_by_key(|(_, attempt)| *attempt), "{told:?}");
}

#[test]
fn a_device_of_its_own_mind_keeps_nobody_from_being_read() {
    let mut story = watching(5);
    let odd = id("press-002");
    let mut next = story.reads.len() - 1;
    let end = story.at + 60 * SECOND;
    let mut good = 0;
    while story.at < end {
        while next < story.reads.len() {
            let result = match story.reads[next].1 == odd {
                true => Err(refusal(500, "ServerError")),
                false => {
                    good += 1;
                    Ok(())
                }
            };
            ends(&mut story, next, result);
            next += 1;
        }
        story.pass(Duration::from_millis(50));
    }
    assert!(good > 150, "{good} of 240");
}

#[test]
fn unauthorized_is_watched_on_slowly_until_the_rights_are_back() {
    let mut story = watching(3);
    let from = story.reads.len() - 1;
    let tries = fails_for(&mut story, 300 * SECOND, &unauthorized(), from);
    assert!((15..=40).contains(&tries), "{tries} in five minutes");
    assert_eq!(ways(&story).last().unwrap().state, Link::Unauthorized);
    let before = story.reads.len();
    while story.reads.len() == before {
        story.pass(Duration::from_millis(100));
    }
    ends(&mut story, before, Ok(()));
    assert_eq!(ways(&story).last(), Some(&Way::new(Link::Online)));
}

#[test]
fn a_key_tries_now() {
    let mut story = watching(40);
    let from = story.reads.len() - 1;
    fails_for(&mut story, 100 * SECOND, &refused_connection(), from);
    while story.core.wake_at().unwrap() < story.at + 2 * SECOND {
        let n = story.reads.len();
        story.pass(Duration::from_millis(100));
        if story.reads.len() > n {
            ends(&mut story, n, Err(refused_connection()));
        }
    }
    let before = story.reads.len();
    story.feed(Input::Command(Command::List));
    assert_eq!(story.reads.len(), before + 1);
    story.feed(Input::Command(Command::List));
    assert_eq!(story.reads.len(), before + 1, "one at a time");
}

#[test]
fn a_list_that_broke_off_is_made_when_the_hub_is_back_for_somebody_who_waits() {
    let mut story = Story::new();
    story.feed(Input::Command(Command::Attend(true)));
    story.feed(Input::Command(Command::List));
    let mut ticket = 1;
    for _ in 0..60 {
        let before = story.listed.len();
        let result = Err(refused_connection());
        story.feed(Input::Page { ticket, result });
        while story.listed.len() == before {
            story.pass(Duration::from_millis(100));
        }
        ticket = story.core.listing_ticket();
    }
    let failed = story.said.iter().filter(|event| {
        matches!(&event.what, What::Inventory { state, .. } if *state == InventoryState::Failed)
    });
    assert_eq!(failed.count(), 1, "said once");
    let page = Page::default();
    story.feed(Input::Page {
        ticket,
        result: Ok(page),
    });
    let (state, _) = story.core.snapshot().inventory.unwrap();
    assert_eq!(state, InventoryState::Complete);
    assert_eq!(story.core.snapshot().link, Way::new(Link::Online));
}

/// One device's twin makes no sense: that says nothing of the others.
#[test]
fn one_devices_answer_refuses_no_other_start() {
    let mut story = Story::new();
    for n in 0..3 {
        let device = id(&format!("press-{n:03}"));
        story.feed(Input::Command(Command::Watch(device)));
    }
    while story.reads.len() < 3 {
        story.pass(Duration::from_millis(20));
    }
    ends(&mut story, 0, Err(HubError::Unreadable("<html>".into())));
    assert_eq!(story.words(), ["refused Protocol"]);
    ends(&mut story, 1, Ok(()));
    ends(&mut story, 2, Ok(()));
    assert_eq!(story.words()[1..], ["watched", "watched"]);
}

#[test]
fn a_start_tries_now() {
    let mut story = watching(40);
    let from = story.reads.len() - 1;
    fails_for(&mut story, 100 * SECOND, &refused_connection(), from);
    while story.core.wake_at().unwrap() < story.at + 2 * SECOND {
        let n = story.reads.len();
        story.pass(Duration::from_millis(100));
        if story.reads.len() > n {
            ends(&mut story, n, Err(refused_connection()));
        }
    }
    let before = story.reads.len();
    story.start();
    assert_eq!(story.reads.len(), before + 1);
}

#[rstest::rstest]
#[case(refused_connection())]
#[case::somebody_else_answers(HubError::Unreadable("<html>".into()))]
fn many_orders_are_refused_together_when_the_hub_is_away(#[case] error: HubError) {
    let mut story = Story::new();
    for n in 0..50 {
        let device = id(&format!("press-{n:03}"));
        story.feed(Input::Command(Command::Watch(device)));
    }
    fails_for(&mut story, 30 * SECOND, &error, 0);
    let refused = story
        .words()
        .iter()
        .filter(|w| w.starts_with("refused"))
        .count();
    assert_eq!(refused, 50);
    assert!(story.core.starting.is_empty());
}

/// An order that was not delivered because the hub went away burns no tries while
/// the hub is away, and goes out once.
#[test]
fn an_order_waits_for_the_hub_to_come_back() {
    let mut story = Story::new();
    story.start().twin();
    story.answer(Err(refused_connection()));
    let from = story.reads.len() - 1;
    fails_for(&mut story, 60 * SECOND, &refused_connection(), from);
    assert_eq!(story.invoked.len(), 1);
    let before = story.reads.len();
    while story.reads.len() == before {
        story.pass(Duration::from_millis(50));
    }
    story.twin().accepted();
    assert_eq!(story.invoked.len(), 2);
    story.status("downloading").status("completed");
    assert_eq!(story.verdict().0, Outcome::Completed);
}

/// The clocks: how far, when it is said, and what goes by which.
#[test]
fn a_clock_that_is_off_is_said_once_and_an_update_under_way_has_its_true_age() {
    let mut story = Story::new();
    let skewed = |story: &mut Story, hours: i64| {
        let date = story.now().wall + SignedDuration::from_hours(hours);
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let now = story.now().wall;
        let skew = Skew::measured(&date, now, now).unwrap();
        story.feed(Input::Clock(skew)).feed(Input::Clock(skew));
    };
    let clocks = |story: &Story| -> Vec<i64> {
        let told = story.said.iter().filter_map(|event| match &event.what {
            What::Clock { skew_seconds, .. } => Some(*skew_seconds),
            _ => None,
        });
        told.collect()
    };
    // The hub is 20 h ahead; the twin's stamps are of this minute, by its clock.
    story.twin = FakeTwin::at(ID, story.now().wall + SignedDuration::from_hours(20));
    skewed(&mut story, 20);
    assert_eq!(clocks(&story), [72_000]);
    story.twin.report(json!({"firmwareStatus": "downloading"}));
    story.pass(2 * SECOND).start().twin();
    assert_eq!(story.words(), ["refused Busy"]);
    // A phase that is a day old, which our clock takes for fresh.
    let mut story = Story::new();
    story.twin = FakeTwin::new(ID);
    skewed(&mut story, 20);
    story.twin.report(json!({"firmwareStatus": "downloading"}));
    story.pass(2 * SECOND).start().twin();
    assert_eq!(story.words(), ["intended", "invoked 1"]);
    skewed(&mut story, 0);
    assert_eq!(clocks(&story), [72_000, 0], "the clocks agree again");
}

proptest! {
    /// However reads end and time passes while the hub comes and goes: never more
    /// than one probe at a time, and nothing stands still for ever.
    #[test]
    fn never_more_than_one_probe(steps in prop::collection::vec((0u8..4, 0u64..3_000), 1..120)) {
        let mut story = watching(6);
        let mut open: Vec<usize> = vec![story.reads.len() - 1];
        for (what, millis) in steps {
            let known = story.reads.len();
            let away = story.core.road.is_away();
            match (what, open.is_empty()) {
                (0, false) => {
                    let n = open.remove(0);
                    ends(&mut story, n, Err(no_answer()));
                }
                (1, false) => {
                    let n = open.pop().unwrap();
                    ends(&mut story, n, Ok(()));
                }
                _ => {
                    story.pass(Duration::from_millis(millis));
                }
            }
            let new = story.reads.len() - known;
            if away && story.core.road.is_away() {
                prop_assert!(new <= 1, "{new} probes at once");
            }
            open.extend(known..story.reads.len());
        }
        // All is well from now on.
        let began = story.at;
        while story.at < began + 120 * SECOND {
            while let Some(n) = open.pop() {
                let known = story.reads.len();
                ends(&mut story, n, Ok(()));
                open.extend(known..story.reads.len());
            }
            let known = story.reads.len();
            story.pass(Duration::from_millis(250));
            open.extend(known..story.reads.len());
        }
        prop_assert_eq!(ways(&story).pop(), Some(Way::new(Link::Online)));
    }
}

/// A sign-in takes seconds: the hub was not asked, so it is not silent.
#[test]
fn while_a_sign_in_is_waited_for_the_hub_is_not_silent() {
    let listing = |signing_in: bool| {
        let mut story = Story::new();
        story.feed(Input::Command(Command::List));
        for _ in 0..200 {
            story.pass(Duration::from_millis(100));
            if signing_in {
                story.feed(Input::SigningIn);
            }
        }
        story
    };
    let retried = |story: &Story| states(story).iter().any(|(s, _)| *s == Link::Retrying);
    assert!(retried(&listing(false)), "else nothing is answered");
    let mut story = listing(true);
    assert!(!retried(&story), "{:?}", states(&story));
    // Then it is asked, and its silence counts.
    story.pass(2 * SECOND);
    assert!(!retried(&story));
    story.pass(3 * SECOND);
    assert!(retried(&story));
}

/// Nobody signed in is not the hub's word, and a hub that was never heard has more to
/// be mended than to be waited for.
#[rstest::rstest]
#[case(
    HubError::SignIn(AzError::NotSignedIn),
    Link::Unauthorized,
    "cannot sign in",
    "az login"
)]
#[case(HubError::SignIn(AzError::Network("x".into())), Link::Retrying, "cannot sign in", "HTTPS_PROXY")]
#[case(unauthorized(), Link::Unauthorized, "the hub refuses", "Check the key")]
#[case(
    HubError::Connect { host: "h".into(), cause: "no such name".into(), obstacle: Obstacle::Name },
    Link::Retrying,
    "the hub does not answer",
    "no such hub"
)]
#[case(
    refusal(403, "IotHubQuotaExceeded"),
    Link::Retrying,
    "the hub's day is spent",
    "midnight UTC"
)]
fn what_keeps_us_out_says_what_to_do(
    #[case] error: HubError,
    #[case] state: Link,
    #[case] title: &str,
    #[case] hint: &str,
) {
    let mut story = Story::new();
    let device = id("press-7");
    story.feed(Input::Command(Command::Watch(device)));
    while story.reads.is_empty() {
        story.pass(Duration::from_millis(20));
    }
    ends(&mut story, 0, Err(error));
    let told = ways(&story).pop().unwrap();
    let problem = told.problem.unwrap();
    assert_eq!((told.state, problem.title.as_str()), (state, title));
    assert!(problem.hint.contains(hint), "{}", problem.hint);
    assert!(problem.hint.len() < 330, "{}", problem.hint);
}
