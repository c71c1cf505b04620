//! The cases of an update's life, one by one, judged from its own twins.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::domain::dialect::{Dialect, Dialects};
use crate::domain::event::Intent;
use crate::domain::fake::FakeTwin;
use crate::domain::problem::Kind;
use crate::domain::twin::Twin;

/// An update, its device's twin, and what was said of it.
pub(super) struct Life {
    pub(super) twin: FakeTwin,
    pub(super) update: Update,
    sight: Sight,
    pub(super) words: Vec<String>,
    dialect: Dialect,
}

impl Life {
    /// Invoked and accepted, on a device that had reported `held`.
    pub(super) fn after(held: Value) -> Self {
        Self::expecting(held, None)
    }

    pub(super) fn expecting(held: Value, expect: Option<&str>) -> Self {
        Self::speaking("tutorial-2018", held, expect)
    }

    pub(super) fn speaking(dialect: &str, held: Value, expect: Option<&str>) -> Self {
        let mut twin = FakeTwin::new("press-7");
        twin.report(held);
        let dialects = Dialects::built_in();
        let dialect = dialects.find(dialect).unwrap();
        let intent = Intent {
            hub: "h".into(),
            uri: Some("https://x.test/fw".into()),
            payload_sha256: None,
            method: Some("firmwareUpdate".into()),
            expect: expect.map(str::to_owned),
            dialect: dialect.name.to_string(),
            baseline: Baseline::of(&twin.twin, dialect),
            by: "ana".into(),
            ..Intent::default()
        };
        let intended = What::Intended(Box::new(intent));
        let event = Event::update(
            twin.now(),
            twin.twin.device_id.clone(),
            UpdateId::from_text("u"),
            intended,
        );
        let update = Update::intended(&event).unwrap();
        let mut life = Self {
            sight: Sight::of(&update),
            twin,
            update,
            words: Vec::new(),
            dialect: dialect.clone(),
        };
        life.say(vec![
            What::Invoked {
                attempt: 1,
                latest: None,
            },
            What::Accepted {
                status: 200,
                payload: Value::Null,
            },
        ]);
        life.words.clear();
        life
    }

    pub(super) fn say(&mut self, news: Vec<What>) -> &mut Self {
        for what in news {
            let word = match &what {
                What::Phase { phase, .. } => phase.name().to_owned(),
                What::State { state, .. } => state.name().to_owned(),
                What::Verdict { outcome, .. } => format!("= {outcome}"),
                other => {
                    let json = serde_json::to_value(other).unwrap();
                    json["event"].as_str().unwrap().to_owned()
                }
            };
            self.words.push(word);
            let (device, id) = (self.update.device.clone(), self.update.id.clone());
            let event = Event::update(self.twin.now(), device, id, what);
            self.update.apply(&event);
        }
        self
    }

    /// The device reports, and the twin is read.
    pub(super) fn report(&mut self, patch: Value) -> &mut Self {
        let twin = self.twin.report(patch);
        self.read(&twin)
    }

    fn read(&mut self, twin: &Twin) -> &mut Self {
        let dialect = &self.dialect;
        let news = match self.update.is_open() {
            true => {
                self.sight.take(dialect, twin);
                self.update.observe(dialect, twin)
            }
            false => {
                let what = self.update.contradiction(&self.sight, dialect, twin);
                what.into_iter().collect()
            }
        };
        self.say(news)
    }

    pub(super) fn status(&mut self, status: &str) -> &mut Self {
        self.report(json!({ "firmwareStatus": status }))
    }

    pub(super) fn story(statuses: &[&str]) -> Self {
        let mut life = Self::after(json!({"firmwareStatus": "standBy"}));
        for status in statuses {
            life.status(status);
        }
        life
    }
}

#[rstest::rstest]
#[case::skipped(&["applying", "completed"], &["applying", "done", "= completed"], 1)]
#[case::all_skipped(&["completed"], &["done", "= completed"], 1)]
#[case::repeated(&["downloading", "downloading", "DOWNLOADING"], &["downloading", "downloading"], 1)]
#[case::backwards(&["downloading", "applying", "downloading", "applying", "completed"],
    &["downloading", "applying", "downloading", "applying", "done", "= completed"], 2)]
#[case::restarted(&["downloading", "standBy", "downloading", "completed"],
    &["downloading", "idle", "downloading", "done", "= completed"], 2)]
#[case::never_begun(&["standBy", "standBy"], &[], 0)]
#[case::odd_words(&["brewing", "downloading"], &["unknown", "downloading"], 1)]
fn phases_come_in_any_order(#[case] statuses: &[&str], #[case] words: &[&str], #[case] runs: u32) {
    let life = Life::story(statuses);
    assert_eq!(life.words, words);
    assert_eq!(life.update.runs(), runs);
}

#[test]
fn a_restarted_run_is_never_a_verdict_by_itself() {
    let mut life = Life::story(&["downloading", "applying"]);
    for _ in 0..5 {
        life.status("standBy")
            .status("downloading")
            .status("applying");
    }
    assert!(life.update.is_open());
    assert_eq!(life.update.runs(), 6);
    assert_eq!(life.update.steps.last().unwrap().run, 6);
}

#[test]
fn old_state_sent_again_is_no_news_of_this_run() {
    let held = json!({"firmwareStatus": "completed", "firmwareVersion": "1.4.2",
        "lastFirmwareUpdate": "then"});
    let mut life = Life::after(held.clone());
    life.report(held.clone()).report(held.clone());
    assert_eq!(life.words, ["unconfirmed"]);
    // The way out: any sign that the old state did not hold.
    life.report(json!({"firmwareVersion": "1.5.0"}));
    assert_eq!(life.words[1..], ["done", "= completed"]);
}

#[rstest::rstest]
#[case::an_end_time(json!({"lastFirmwareUpdate": "now"}))]
#[case::a_version(json!({"firmwareVersion": "1.5.0"}))]
#[case::our_uri(json!({"fwPackageUri": "https://x.test/fw"}))]
#[case::an_active_phase(json!({"firmwareStatus": "applying"}))]
fn each_second_sign_confirms_a_repeated_success(#[case] sign: Value) {
    let mut life = Life::after(json!({"firmwareStatus": "completed", "firmwareVersion": "1.4.2"}));
    life.status("completed");
    assert_eq!(life.words, ["unconfirmed"]);
    life.report(sign).status("completed");
    assert_eq!(life.words.last().unwrap(), "= completed");
}

#[rstest::rstest]
#[case::after_completed(&["downloading", "completed"], "failed", "reports \"failed\" after that")]
#[case::after_failed(&["downloading", "failed"], "completed", "reports \"completed\" after that")]
#[case::another_run(&["downloading", "completed"], "downloading", "a run has begun again")]
#[case::a_failed_run_goes_on(&["downloading", "failed"], "applying", "a run has begun again")]
fn what_contradicts_a_verdict_is_flagged(
    #[case] statuses: &[&str],
    #[case] then: &str,
    #[case] words: &str,
) {
    let mut life = Life::story(statuses);
    let verdict = life.update.verdict.clone();
    life.words.clear();
    life.status(then).status(then);
    assert_eq!(life.words, ["update.contradicted"], "once");
    assert_eq!(life.update.verdict, verdict);
    let reason = life.update.contradicted.unwrap().reason;
    assert!(reason.contains(words), "{reason}");
}

#[rstest::rstest]
#[case::the_same_again(&["downloading", "completed"], json!({"firmwareStatus": "completed"}))]
#[case::another_word_of_failure(&["downloading", "failed"], json!({"firmwareStatus": "downloadFailed"}))]
#[case::back_to_rest(&["downloading", "completed"], json!({"firmwareStatus": "standBy"}))]
#[case::a_version_at_last(&["downloading", "completed"], json!({"firmwareVersion": "1.5.0"}))]
fn what_agrees_with_a_verdict_is_not(#[case] statuses: &[&str], #[case] then: Value) {
    let mut life = Life::story(statuses);
    life.words.clear();
    life.report(then);
    assert_eq!(life.words, [""; 0]);
}

#[test]
fn a_version_that_falls_back_is_a_contradiction() {
    let mut life = Life::after(json!({"firmwareVersion": "1.4.2"}));
    life.status("downloading");
    life.report(json!({"firmwareStatus": "completed", "firmwareVersion": "1.5.0"}));
    life.report(json!({"firmwareVersion": "1.4.2"}));
    assert_eq!(life.words.last().unwrap(), "update.contradicted");
    let contradiction = life.update.contradicted.as_ref().unwrap();
    assert_eq!(contradiction.evidence.property, "firmwareVersion");
    assert!(contradiction.reason.contains("as before the update"));
}

#[test]
fn a_version_that_never_changed_is_none() {
    let mut life = Life::after(json!({"firmwareVersion": "1.4.2"}));
    life.status("downloading").status("completed");
    life.report(json!({"firmwareVersion": "1.4.2"}));
    assert_eq!(life.words.last().unwrap(), "= completed");
}

#[test]
fn another_version_than_the_expected_is_a_contradiction() {
    let mut life = Life::expecting(json!({"firmwareVersion": "1.4.2"}), Some("1.5.0"));
    life.status("downloading");
    life.report(json!({"firmwareStatus": "completed", "firmwareVersion": "1.5.0"}));
    life.report(json!({"firmwareVersion": "1.5.1"}));
    let reason = life.update.contradicted.as_ref().unwrap().reason.as_str();
    assert_eq!(
        reason,
        "press-7 reports version \"1.5.1\" after that, not \"1.5.0\""
    );
}

#[test]
fn what_was_stamped_before_the_verdict_does_not_contradict_it() {
    let mut life = Life::story(&["downloading"]);
    let mut late = life.twin.clone();
    life.status("completed");
    // A twin of the same version, stamped no later.
    late.report(json!({"firmwareStatus": "failed"}));
    life.read(&late.twin);
    assert!(life.update.contradicted.is_none());
}

#[test]
fn an_outcome_stays_whatever_is_told_after_it() {
    let mut life = Life::story(&["downloading", "completed"]);
    let before = life.update.clone();
    let evidence = before.verdict.as_ref().unwrap().evidence.clone().unwrap();
    life.say(vec![
        What::Phase {
            phase: Phase::Failed,
            reported: Value::Null,
            percent: None,
            evidence,
        },
        What::State {
            state: OpenState::Unknown,
            reason: "late".into(),
            evidence: None,
        },
        What::Verdict {
            outcome: Outcome::Failed,
            reason: "late".into(),
            evidence: None,
            reported: Value::Null,
            problem: None,
        },
    ]);
    assert_eq!(life.update, before);
    let twin = life.twin.report(json!({"firmwareStatus": "failed"}));
    let dialects = Dialects::built_in();
    let dialect = dialects.named("tutorial-2018");
    assert_eq!(life.update.observe(dialect, &twin), []);
}

#[test]
fn silence_is_told_once_in_each_open_state() {
    let deadline = SignedDuration::from_mins(15);
    let mut life = Life::story(&["downloading"]);
    let what = life.update.overdue(deadline, &life.sight);
    life.say(what.into_iter().collect());
    assert_eq!(life.words[1..], ["stalled"]);
    assert_eq!(life.update.overdue(deadline, &life.sight), None);
    // Out of it by evidence.
    life.status("applying");
    assert_eq!(life.words[2..], ["back", "applying"]);
    assert_eq!(life.update.doubt, None);
}

#[test]
fn an_unconfirmed_end_stays_one_and_says_what_to_do() {
    let mut life = Life::after(json!({"firmwareStatus": "completed"}));
    life.status("completed");
    let what = life
        .update
        .overdue(SignedDuration::from_mins(15), &life.sight);
    life.say(what.into_iter().collect());
    let (state, reason) = life.update.doubt.clone().unwrap();
    assert_eq!(state, OpenState::Unconfirmed);
    assert!(reason.contains("No other sign came in 15 min"), "{reason}");
    // The same end again is not told again.
    life.status("completed");
    assert_eq!(life.words, ["unconfirmed", "unconfirmed"]);
}

#[test]
fn an_order_that_waits_to_be_tried_again_is_not_stalled() {
    let mut life = Life::story(&[]);
    let problem = Problem::new(Kind::Throttled, "t", "c");
    let at = life.twin.now();
    life.say(vec![What::Retrying { problem, at }]);
    assert_eq!(life.update.overdue(SignedDuration::ZERO, &life.sight), None);
}

#[test]
fn a_twin_is_suspicious_once() {
    let dialects = Dialects::built_in();
    let dialect = dialects.named("tutorial-2018");
    let mut life = Life::story(&["downloading"]);
    let mut twin = life.twin.twin.clone();
    assert_eq!(life.sight.take(dialect, &twin), None);
    twin.reported.version = 1;
    let suspicion = life.sight.take(dialect, &twin);
    assert_eq!(suspicion, Some(Suspicion::WentBack { from: 3, to: 1 }));
    assert_eq!(life.sight.take(dialect, &twin), None);
    assert!(life.sight.lost());
    assert!(!life.sight.lost());
    assert_eq!(life.sight.take(dialect, &twin), Some(Suspicion::CameBack));
}

#[test]
fn a_later_process_remembers_what_was_seen() {
    let life = Life::story(&["downloading", "applying"]);
    assert_eq!(Sight::of(&life.update).version(), 4);
}

#[rstest::rstest]
#[case::same(-60, 0)]
#[case::made_with_its_twin(0, 0)]
#[case::again(5, 2)]
fn a_birth_after_the_baseline_is_another_device(#[case] seconds: i64, #[case] told: usize) {
    let mut life = Life::story(&[]);
    // A device that had never reported: its baseline is its birth.
    let began: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    life.update.intent.baseline.version = 1;
    life.update.intent.baseline.last_updated = Some(began);
    let born = began + SignedDuration::from_secs(seconds) + SignedDuration::from_millis(300);
    let ticks = (born.as_nanosecond() / 100 + 621_355_968_000_000_000).to_string();
    let twin = life.twin.twin.clone();
    let suspicion = Suspicion::EntryChanged;
    let news = life.update.followed_up(&suspicion, &twin, Ok(&ticks));
    assert_eq!(news.len(), told);
    if let Some(What::Replaced { generation_id, .. }) = news.first() {
        assert_eq!(generation_id.as_deref(), Some(ticks.as_str()));
    }
}

fn managed(status: &str, pending: &str) -> Value {
    json!({"firmware": {"fwUpdateStatus": status, "pendingFwVersion": pending,
        "lastFwUpdateEndTime": "then"}})
}

/// A device of that family, its baseline, and what it says later.
fn managing(held: Value, then: &[Value]) -> Life {
    let mut life = Life::speaking("device-management", held, None);
    for patch in then {
        life.report(patch.clone());
    }
    life
}

#[test]
fn a_version_on_its_way_is_a_sign_of_a_run() {
    let again = managing(managed("error", ""), &[managed("error", "")]);
    assert_eq!(again.words, ["unconfirmed"]);
    let again = managing(managed("error", "1.1"), &[managed("error", "1.1")]);
    assert_eq!(
        again.words,
        ["unconfirmed"],
        "one that was on its way before"
    );
    let another = managing(managed("error", ""), &[managed("error", "1.1")]);
    assert_eq!(another.words, ["failed", "= failed"]);
}

#[test]
fn a_device_at_rest_needs_a_sign_that_the_baseline_did_not_hold() {
    let then = [managed("downloading", ""), managed("current", "")];
    let again = managing(managed("downloading", ""), &then);
    assert_eq!(again.words, ["downloading", "unconfirmed"]);
    let ours = managing(managed("current", ""), &then);
    assert_eq!(ours.words, ["downloading", "done", "= completed"]);
}

/// It says just that whether it was ever updated or not.
#[test]
fn a_device_at_rest_after_a_failure_takes_nothing_back() {
    let then = [managed("downloading", ""), managed("error", "")];
    let mut life = managing(managed("current", ""), &then);
    life.report(managed("current", ""));
    assert_eq!(life.words, ["downloading", "failed", "= failed"]);
    life.report(managed("applying", ""));
    assert_eq!(life.words.last().unwrap(), "update.contradicted");
}
