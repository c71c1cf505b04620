//! Production, armed and disarmed.

use super::*;

fn story() -> Story {
    Story::with(|s| s.profile.environment = Some("production".into()))
}

fn arm(story: &mut Story) {
    story.feed(Input::Command(Command::Arm("plant".into())));
}

impl Story {
    /// What was told of arming: how many seconds after the begin it ends.
    fn armings(&self) -> Vec<Option<i64>> {
        let began: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let told = self.said.iter().filter_map(|event| match &event.what {
            What::Arming { until } => Some(until.map(|t| t.duration_since(began).as_secs())),
            _ => None,
        });
        told.collect()
    }

    /// Would an order go out now?
    fn is_open(&mut self) -> bool {
        let before = self.read;
        self.start();
        self.read > before
    }
}

#[test]
fn arming_is_told_and_so_is_its_end() {
    let mut story = story();
    story.at = 7 * SECOND;
    assert_eq!(story.core.snapshot().armed_until, None);
    arm(&mut story);
    assert_eq!(story.armings(), [Some(307)]);
    let until = story.core.snapshot().armed_until.unwrap();
    assert_eq!(until, story.now().wall + 300 * SECOND);
    // Nothing else happens: it wakes by itself.
    assert!(story.core.wake_at().unwrap() <= 307 * SECOND);
    story.pass(299 * SECOND);
    assert_eq!(story.armings().len(), 1);
    story.pass(SECOND);
    assert_eq!(story.armings(), [Some(307), None]);
    assert_eq!(story.core.snapshot().armed_until, None);
    assert!(!story.is_open());
    story.pass(400 * SECOND);
    assert_eq!(story.armings().len(), 2, "once is enough");
}

#[test]
fn it_is_armed_for_as_long_as_the_profile_says_and_longer_when_asked_again() {
    let mut story = Story::with(|s| {
        s.profile.environment = Some("production".into());
        s.arm_for = 60 * SECOND;
    });
    arm(&mut story);
    story.pass(50 * SECOND);
    arm(&mut story);
    story.pass(50 * SECOND);
    assert_eq!(story.armings(), [Some(60), Some(110)]);
    assert!(story.is_open());
    story.pass(10 * SECOND);
    assert_eq!(story.armings().last(), Some(&None));
}

#[test]
fn it_is_disarmed_by_a_command_and_by_the_end() {
    let mut story = story();
    story.feed(Input::Command(Command::Disarm));
    assert_eq!(story.armings(), []);
    arm(&mut story);
    story.feed(Input::Command(Command::Disarm));
    assert_eq!(story.armings(), [Some(300), None]);
    assert!(!story.is_open());
    arm(&mut story);
    story.feed(Input::Stop);
    assert_eq!(story.armings()[2..], [Some(300), None]);
}

/// The engine's clock stands still while the machine sleeps.
#[test]
fn a_machine_that_slept_is_not_armed_any_more() {
    let mut story = story();
    arm(&mut story);
    let slept = Now {
        wall: story.now().wall + 8 * 3_600 * SECOND,
        ..story.now()
    };
    let start = |story: &mut Story, now| {
        let start = Start {
            device: id(ID),
            uri: PackageUri::parse("https://x.test/fw.bin").unwrap(),
            expect: None,
            reason: None,
            sha256: None,
            force: None,
            over: None,
        };
        let command = Input::Command(Command::Start(start));
        story.core.handle(command, now)
    };
    let told = format!("{:?}", start(&mut story, slept));
    assert!(told.contains("Arming { until: None }"), "{told}");
    assert!(
        told.contains("Unconfirmed") && !told.contains("Read {"),
        "{told}"
    );
}

#[test]
fn of_another_hub_nothing_is_told_and_a_wrong_name_arms_nothing() {
    let mut other = Story::new();
    arm(&mut other);
    assert_eq!(other.armings(), []);
    let mut story = story();
    story.feed(Input::Command(Command::Arm("plnt".into())));
    assert_eq!(story.armings(), []);
    assert_eq!(story.words(), ["refused Unconfirmed"]);
}
