//! Stories told to the core, input by input, without a clock or a socket.

mod anything;
mod arming;
mod budget;
mod dialects;
mod gap;
mod journal;
mod leases;
mod life;
mod link;
mod listing;
mod narrow;
mod packages;
mod refused;
mod resume;
mod tags;

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::event::{InventoryState, Start};
use crate::domain::fake::FakeTwin;
use crate::domain::holding::Holding;
use crate::domain::method::MethodCall;
use crate::domain::problem::Kind;
use crate::domain::tag::Write;
use crate::domain::update::{Evidence, Outcome};
use crate::domain::uri::PackageUri;
use crate::hub::error::{Obstacle, Refusal};
use crate::hub::{Grant, TagGrant};
use crate::journal::Receipt;

/// A core, a clock, and whatever it has said so far.
struct Story {
    core: Core,
    at: Duration,
    twin: FakeTwin,
    said: Vec<Event>,
    invoked: Vec<UpdateId>,
    calls: Vec<MethodCall>,
    listed: Vec<Option<String>>,
    /// Of each page that was asked for: which listing it is, and what was asked.
    queries: Vec<(u64, String)>,
    asked: Vec<(u64, String)>,
    inspected: Vec<PackageUri>,
    read: usize,
    /// Each read: which it is, and of which device.
    reads: Vec<(u64, DeviceId)>,
    /// How often the registry was asked.
    identified: usize,
    ticket: u64,
    /// What was intended.
    intents: Vec<Event>,
    /// What an earlier process has written down.
    written: Vec<Event>,
    /// Does the journal take its time? Then decisions wait here.
    holds: bool,
    committing: Vec<(UpdateId, Vec<Event>)>,
    /// What the journal says to every decision.
    overruled: Option<JournalError>,
    /// Who works on the device, as the journal knows.
    held: Option<JournalError>,
    /// What intents may end, each.
    claims: Vec<Claim>,
    /// What the journal says to the next intent, unless it commits that.
    keeps: Option<JournalError>,
    /// What the journal ends with an intent.
    ends: Vec<Holding>,
    /// Was another update of the device started after ours?
    another_later: bool,
    /// How long the disk takes to commit an intent.
    disk: Duration,
    /// Tags that are to be written.
    writes: Vec<(UpdateId, Write)>,
    /// Updates for whose tag the twin is to be read.
    looks: Vec<UpdateId>,
}

const ID: &str = "press-7";

impl Story {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let profile = Profile {
            name: "plant".into(),
            host: "plant.test".into(),
            environment: None,
            read_only: false,
            tier: None,
            units: 1,
        };
        let mut settings = Settings::new(profile, Dialects::built_in());
        change(&mut settings);
        Self {
            core: Core::new(settings),
            at: Duration::ZERO,
            twin: FakeTwin::new(ID),
            said: Vec::new(),
            invoked: Vec::new(),
            calls: Vec::new(),
            listed: Vec::new(),
            queries: Vec::new(),
            asked: Vec::new(),
            inspected: Vec::new(),
            read: 0,
            reads: Vec::new(),
            identified: 0,
            ticket: 0,
            intents: Vec::new(),
            written: Vec::new(),
            holds: false,
            committing: Vec::new(),
            overruled: None,
            held: None,
            claims: Vec::new(),
            keeps: None,
            ends: Vec::new(),
            another_later: false,
            disk: Duration::ZERO,
            writes: Vec::new(),
            looks: Vec::new(),
        }
    }

    fn now(&self) -> Now {
        let began: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        Now {
            at: self.at,
            wall: began + self.at,
            chance: 0.5,
        }
    }

    /// Feeds an input; commits intents at once, reads and calls wait for the test.
    fn feed(&mut self, input: Input) -> &mut Self {
        for output in self.core.handle(input, self.now()) {
            match output {
                Output::Publish(events) => self.said.extend(events),
                Output::Intend { event, claim, .. } => {
                    let update = event.update_id.clone().unwrap();
                    let receipt = Receipt::for_test(&event).for_test_over(self.ends.clone());
                    let result = self.keeps.take().map_or(Ok(receipt), Err);
                    self.intents.push(*event);
                    self.claims.push(claim);
                    self.at += self.disk;
                    self.feed(Input::Intended { update, result });
                }
                Output::Commit { update, events } => self.commit(update, events),
                Output::AskLater { update, .. } => {
                    let result = Ok(self.another_later);
                    self.feed(Input::Later { update, result });
                }
                Output::AskHolder(device) => {
                    let result = self.held.clone().map_or(Ok(()), Err);
                    self.feed(Input::Held { device, result });
                }
                Output::Invoke { update, permit } => {
                    self.invoked.push(update);
                    self.calls.push(permit.into_call());
                }
                Output::List {
                    ticket,
                    query,
                    continuation,
                } => {
                    self.listed.push(continuation);
                    self.queries.push((ticket, query.text().to_owned()));
                }
                Output::Ask { ticket, query, .. } => {
                    self.asked.push((ticket, query.text().to_owned()));
                }
                Output::Read { ticket, device } => {
                    self.read += 1;
                    self.ticket = ticket;
                    self.reads.push((ticket, device));
                }
                Output::Adopt(update) => {
                    let of = |event: &&Event| event.update_id.as_ref() == Some(&update);
                    let events = self.written.iter().filter(of).cloned().collect();
                    let unreadable = 0;
                    let result = Ok(Adopted { events, unreadable });
                    self.feed(Input::Adopted { update, result });
                }
                Output::WriteTag { update, permit } => {
                    self.writes.push((update, permit.into_write()));
                }
                Output::LookAtTag { update, .. } => self.looks.push(update),
                Output::Identify { .. } => self.identified += 1,
                Output::Inspect(uri) => self.inspected.push(uri),
                Output::Record(_) | Output::OpenUpdates | Output::PastUpdates => {}
            }
        }
        self
    }

    fn verdict(&self) -> (Outcome, &str, Option<&Evidence>) {
        let verdict = self.said.iter().find_map(|event| match &event.what {
            What::Verdict {
                outcome,
                reason,
                evidence,
                ..
            } => Some((*outcome, reason.as_str(), evidence.as_ref())),
            _ => None,
        });
        verdict.expect("there is a verdict")
    }

    /// Why the last doubt is one.
    fn reason(&self) -> String {
        let reason = self.said.iter().rev().find_map(|event| match &event.what {
            What::State { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        reason.expect("there is a doubt")
    }

    /// The journal has its say on a decision, at once unless the test holds it.
    fn commit(&mut self, update: UpdateId, events: Vec<Event>) {
        if self.holds {
            return self.committing.push((update, events));
        }
        let invoked = events
            .iter()
            .any(|e| matches!(e.what, What::Invoked { .. }));
        let result = match self.overruled.clone() {
            Some(error) => Err(error),
            None if invoked => {
                let of = |event: &&Event| event.update_id.as_ref() == Some(&update);
                let mut all = self.intents.iter().chain(&self.written);
                Ok(Some(Receipt::for_test(all.find(of).expect("an intent"))))
            }
            None => Ok(None),
        };
        self.feed(Input::Committed { update, result });
    }

    /// The journal has its say on what it was held for.
    fn let_commit(&mut self) -> &mut Self {
        self.holds = false;
        for (update, events) in std::mem::take(&mut self.committing) {
            self.commit(update, events);
        }
        self
    }

    /// An earlier process has left an update in the journal.
    fn resume(&mut self, written: Vec<Event>) -> &mut Self {
        let update = written[0].update_id.clone().unwrap();
        self.written = written;
        self.feed(Input::Opened(Ok(vec![update])))
    }

    /// What the journal holds of this story's update.
    fn journal(&self) -> Vec<Event> {
        let mut events = self.said.clone();
        events.retain(|event| event.update_id.is_some());
        events
    }

    /// The registry says when the device was made.
    fn identity(&mut self, generation: Result<&str, HubError>) -> &mut Self {
        let update = self.invoked.last().cloned().expect("something was invoked");
        let result = generation.map(|generation| crate::hub::Identity {
            device_id: id(ID),
            generation_id: generation.to_owned(),
            etag: "MQ==".to_owned(),
            status: crate::domain::device::Enablement::Enabled,
            status_reason: None,
            connection: crate::domain::device::Connection::Connected,
            last_activity: None,
        });
        self.feed(Input::Identified { update, result })
    }

    fn start(&mut self) -> &mut Self {
        self.start_by(None)
    }

    /// The same, past whoever has the device.
    fn start_over(&mut self) -> &mut Self {
        self.start_by(Some(ID.to_owned()))
    }

    fn start_by(&mut self, force: Option<String>) -> &mut Self {
        let start = Start {
            device: id(ID),
            uri: PackageUri::parse("https://x.test/fw-1.5.0.bin?sig=secret").unwrap(),
            expect: None,
            reason: None,
            sha256: None,
            force,
            over: None,
        };
        self.feed(Input::Command(Command::Start(start)))
    }

    /// The twin is read as it is.
    fn twin(&mut self) -> &mut Self {
        let twin = self.twin.twin.clone();
        self.read_gives(Ok(twin))
    }

    /// The last read is answered.
    fn read_gives(&mut self, result: Result<Twin, HubError>) -> &mut Self {
        self.feed(Input::Twin {
            ticket: self.ticket,
            device: id(ID),
            result: result.map(Box::new),
        })
    }

    /// The device reports, and the twin is read.
    fn report(&mut self, patch: Value) -> &mut Self {
        self.twin.report(patch);
        self.twin()
    }

    fn status(&mut self, status: &str) -> &mut Self {
        self.report(json!({ "firmwareStatus": status }))
    }

    fn answer(&mut self, result: Result<MethodAnswer, HubError>) -> &mut Self {
        let update = self.invoked.last().cloned().expect("something was invoked");
        self.feed(Input::Answered { update, result })
    }

    fn accepted(&mut self) -> &mut Self {
        self.answer(Ok(MethodAnswer {
            status: 200,
            payload: json!({"Response": "Firmware update started"}),
        }))
    }

    /// Time passes; what is due is done.
    fn pass(&mut self, time: Duration) -> &mut Self {
        self.at += time;
        self.feed(Input::Tick)
    }

    /// The story in words: events and what matters in them.
    fn words(&self) -> Vec<String> {
        self.said
            .iter()
            .filter_map(|event| match &event.what {
                What::Intended(_) => Some("intended".to_owned()),
                What::Watched(_) => Some("watched".to_owned()),
                What::Invoked { attempt, .. } => Some(format!("invoked {attempt}")),
                What::Retrying { .. } => Some("retrying".to_owned()),
                What::Accepted { status, .. } => Some(format!("accepted {status}")),
                What::Phase { phase, .. } => Some(phase.name().to_owned()),
                What::State { state, .. } => Some(state.name().to_owned()),
                What::Verdict { outcome, .. } => Some(format!("= {outcome}")),
                What::Refused { problem } => Some(format!("refused {:?}", problem.kind)),
                What::Contradicted { .. } => Some("contradicted".to_owned()),
                What::Connection {
                    state,
                    expected: false,
                } => Some(format!("{state:?}")),
                What::Replaced { .. } => Some("replaced".to_owned()),
                What::TookOver { .. } => Some("took over".to_owned()),
                _ => None,
            })
            .collect()
    }
}

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn refusal(status: u16, name: &str) -> HubError {
    let body = format!("{{\"Message\":\"ErrorCode:{name};no\",\"ExceptionMessage\":\"\"}}");
    HubError::Answered(Box::new(Refusal::read(status, None, body.as_bytes())))
}

/// The hub has enough, and names the wait.
fn throttled() -> HubError {
    let body = br#"{"Message":"ErrorCode:ThrottlingBacklogTimeout;The request has been throttled. Wait 10 seconds and try again.","ExceptionMessage":""}"#;
    HubError::Answered(Box::new(Refusal::read(429, None, body)))
}

fn refused_connection() -> HubError {
    HubError::Connect {
        host: "plant.test".into(),
        cause: "connection refused".into(),
        obstacle: Obstacle::Network,
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_main_job() {
    let mut story = Story::new();
    story.twin.report(json!({"firmwareStatus": "standBy"}));
    story.start().twin().twin().accepted();
    story.status("downloading").twin().status("applying");
    story.status("completed").twin();
    assert_eq!(
        story.words(),
        [
            "intended",
            "invoked 1",
            "accepted 200",
            "downloading",
            "applying",
            "done",
            "= completed"
        ]
    );
    let evidence = story
        .verdict()
        .2
        .expect("a verdict rests on evidence")
        .clone();
    assert_eq!(evidence.property, "firmwareStatus");
    assert_eq!(evidence.value, "completed");
    assert_eq!(evidence.hub_time, Some(story.twin.now()));
    let text = serde_json::to_string(&story.said).unwrap();
    assert!(!text.contains("secret"), "the signature is nowhere: {text}");
    assert!(!format!("{:?}", story.core).contains("sig=secret"));
}

#[test]
fn the_second_run_does_not_take_the_first_ones_completed_for_its_own() {
    let mut story = Story::new();
    story
        .twin
        .report(json!({"firmwareStatus": "completed", "lastFirmwareUpdate": "then"}));
    story.start().twin().accepted().twin();
    // The device reconnects and re-sends all that it had.
    story.report(json!({"firmwareStatus": "completed", "lastFirmwareUpdate": "then"}));
    story.twin();
    assert_eq!(
        story.words(),
        ["intended", "invoked 1", "accepted 200", "unconfirmed"]
    );
    story.status("downloading").status("completed");
    assert_eq!(
        story.words()[4..],
        ["back", "downloading", "done", "= completed"]
    );
}

#[test]
fn a_device_that_had_said_nothing_is_read_in_the_dialect_it_turns_out_to_speak() {
    let mut story = Story::new();
    story.start().twin().accepted();
    for status in ["waiting", "downloading", "applyComplete"] {
        story.report(json!({"iothubDM": {"firmwareUpdate": {"status": status}}}));
    }
    assert_eq!(
        story.words()[3..],
        ["queued", "downloading", "done", "= completed"]
    );
}

#[test]
fn a_percentage_is_this_runs_and_the_downloads() {
    let mut story = Story::new();
    story
        .twin
        .report(json!({"firmwareStatus": "completed", "downloadPercent": 100}));
    story.start().twin().accepted();
    story.status("downloading");
    story.report(json!({"downloadPercent": 40}));
    story.report(json!({"downloadPercent": 100}));
    story.status("applying");
    let percents: Vec<Option<f64>> = story
        .said
        .iter()
        .filter_map(|event| match event.what {
            What::Phase { percent, .. } => Some(percent),
            _ => None,
        })
        .collect();
    assert_eq!(percents, [None, Some(40.0), Some(100.0), None]);
}

#[test]
fn an_order_that_waits_is_not_taken_for_what_somebody_else_did() {
    let mut story = Story::new();
    story.start().twin();
    story.answer(Err(refusal(429, "ThrottlingException")));
    // A colleague with another journal updates the device meanwhile.
    story.status("downloading").status("completed");
    assert_eq!(story.words()[2..], ["retrying"]);
    // Ours goes out on what the twin holds now, and its end needs a sign.
    story.pass(SECOND).twin().accepted().twin();
    assert_eq!(story.words()[3..], ["invoked 2", "accepted 200"]);
    story.status("completed");
    assert_eq!(story.words()[5..], ["unconfirmed"]);
}

#[test]
fn an_order_that_waits_does_not_go_out_into_somebody_elses_update() {
    let mut story = Story::new();
    story.start().twin();
    story.answer(Err(refusal(429, "ThrottlingException")));
    story.status("downloading").pass(SECOND).twin();
    assert_eq!(story.words()[2..], ["retrying", "= notDelivered"]);
    assert_eq!(story.invoked.len(), 1);
}

#[test]
fn giving_up_waits_for_the_answer_of_a_call_under_way() {
    let mut story = Story::new();
    story.start().twin();
    let update = story.invoked[0].clone();
    story.feed(Input::Command(Command::GiveUp(update)));
    story.start();
    assert_eq!(story.words()[2..], ["refused Busy", "refused Busy"]);
    story.accepted();
    assert_eq!(story.words()[4..], ["accepted 200", "= givenUp"]);
}

#[test]
fn an_update_that_another_process_works_on_is_not_resumed() {
    let mut first = Story::new();
    first.start().twin();
    let events = first.journal();
    let update = events[0].update_id.clone().unwrap();
    let mut core = Story::new();
    // The lease is asked for before anything is told.
    let now = core.now();
    let opened = Input::Opened(Ok(vec![update.clone()]));
    let asked = core.core.handle(opened, now);
    assert!(
        matches!(&asked[..], [Output::Adopt(id)] if *id == update),
        "{asked:?}"
    );
    let result = Err(JournalError::Failed("held".into()));
    core.feed(Input::Adopted { update, result });
    assert_eq!(core.words(), ["refused Journal"]);
    let resumed = |e: &Event| e.what == What::Resumed { count: 0 };
    assert!(
        core.said.iter().any(resumed),
        "and it is told that this was all"
    );
    assert!(core.core.snapshot().updates.is_empty());
}

#[test]
fn what_was_stamped_before_the_order_says_nothing_about_it() {
    let mut story = Story::new();
    story.twin.report(json!({"firmwareStatus": "standBy", "firmwareVersion": "1.5.0", "firmwareError": "403 long ago"}));
    let start = Start {
        device: id(ID),
        uri: PackageUri::parse("https://x.test/fw").unwrap(),
        expect: Some("1.5.0".into()),
        reason: None,
        sha256: None,
        force: None,
        over: None,
    };
    story
        .feed(Input::Command(Command::Start(start)))
        .twin()
        .accepted();
    story.status("completed");
    assert_eq!(story.words()[3..], ["unconfirmed"], "no version since");
    story.status("failed");
    assert_eq!(
        story.verdict().1,
        "press-7 reports \"failed\", and no phase was seen before"
    );
}

#[test]
fn the_same_end_in_another_case_is_the_same_end() {
    let mut story = Story::new();
    story.twin.report(json!({"firmwareStatus": "Completed"}));
    story.start().twin().accepted().status("completed");
    assert_eq!(story.words()[3..], ["unconfirmed"]);
}

#[test]
fn nothing_is_sent_any_more_when_the_engine_ends() {
    let mut story = Story::new();
    story.start();
    story.feed(Input::Stop).twin();
    assert_eq!(story.words(), ["intended", "= notDelivered"]);
    assert!(story.invoked.is_empty());
}

#[test]
fn a_signature_that_a_device_repeats_is_nowhere() {
    let mut story = Story::new();
    story.start().twin().answer(Ok(MethodAnswer {
        status: 200,
        payload: json!({"Response": "fetching https://x.test/fw?sig=secret"}),
    }));
    story.report(
        json!({"firmwareStatus": "downloading", "fwPackageUri": "https://x.test/fw?sig=secret"}),
    );
    story.report(
        json!({"firmwareStatus": "failed", "firmwareError": "403 of https://x.test/fw?sig=secret"}),
    );
    let text = serde_json::to_string(&story.said).unwrap();
    assert!(
        text.contains("sig=***") && !text.contains("secret"),
        "{text}"
    );
}

#[test]
fn a_late_answer_of_an_earlier_read_is_dropped() {
    let mut story = Story::new();
    story.start().twin().accepted();
    story.status("downloading");
    let late = story.twin.twin.clone();
    story.pass(SECOND).status("applying").pass(SECOND);
    let ticket = story.ticket - 1;
    story.feed(Input::Twin {
        ticket,
        device: id(ID),
        result: Ok(Box::new(late)),
    });
    assert_eq!(story.words()[3..], ["downloading", "applying"]);
}

#[test]
fn a_changed_end_time_confirms_a_run_whose_phases_nobody_saw() {
    let mut story = Story::new();
    story
        .twin
        .report(json!({"firmwareStatus": "completed", "lastFirmwareUpdate": "then"}));
    story.start().twin().accepted();
    story.report(json!({"firmwareStatus": "completed", "lastFirmwareUpdate": "now"}));
    assert_eq!(story.words()[3..], ["done", "= completed"]);
}

#[test]
fn the_expected_version_is_waited_for() {
    let mut story = Story::new();
    let start = Start {
        device: id(ID),
        uri: PackageUri::parse("https://x.test/fw").unwrap(),
        expect: Some("1.5.0".into()),
        reason: None,
        sha256: None,
        force: None,
        over: None,
    };
    story
        .feed(Input::Command(Command::Start(start)))
        .twin()
        .accepted();
    story.status("downloading");
    story.report(json!({"firmwareStatus": "completed", "firmwareVersion": "1.4.2"}));
    assert_eq!(story.words()[3..], ["downloading", "unconfirmed"]);
    story.report(json!({"firmwareVersion": "1.5.0"}));
    assert_eq!(story.words()[5..], ["done", "= completed"]);
}

#[test]
fn a_failure_tells_its_phase_and_its_reason() {
    let mut story = Story::new();
    story.start().twin().accepted().status("downloading");
    story.report(json!({"firmwareStatus": "downloadfailed", "firmwareError": "403 Forbidden"}));
    assert_eq!(story.words()[3..], ["downloading", "failed", "= failed"]);
    let reason = story.verdict().1;
    assert_eq!(
        reason,
        "press-7 reports \"downloadfailed\", last seen downloading: 403 Forbidden"
    );
}

#[test]
fn a_device_that_refuses_is_rejected() {
    for (status, words) in [(400, "status 400"), (501, "no such method")] {
        let mut story = Story::new();
        story.start().twin().answer(Ok(MethodAnswer {
            status,
            payload: json!({"reason": "busy"}),
        }));
        assert_eq!(story.words(), ["intended", "invoked 1", "= rejected"]);
        let reason = story.verdict().1;
        assert!(
            reason.contains(words) && reason.contains("busy"),
            "{reason}"
        );
    }
}

#[test]
fn an_offline_device_is_not_delivered_and_not_tried_again() {
    let mut story = Story::new();
    story
        .start()
        .twin()
        .answer(Err(refusal(404, "DeviceNotOnline")));
    story.pass(60 * SECOND);
    assert_eq!(story.words(), ["intended", "invoked 1", "= notDelivered"]);
}

#[test]
fn throttling_and_refused_connections_are_retried_until_the_tries_are_spent() {
    let mut story = Story::new();
    story
        .start()
        .twin()
        .answer(Err(refusal(429, "ThrottlingException")));
    assert_eq!(story.words()[2..], ["retrying"]);
    story.pass(SECOND).twin().answer(Err(refused_connection()));
    for _ in 0..3 {
        story
            .pass(60 * SECOND)
            .twin()
            .answer(Err(refused_connection()));
    }
    story.pass(60 * SECOND);
    assert_eq!(story.invoked.len(), 5);
    assert_eq!(story.words().last().unwrap(), "= notDelivered");
}

#[rstest::rstest]
#[case(refusal(504, "GatewayTimeout"))]
#[case(refusal(500, "ServerError"))]
#[case(refusal(503, "ServiceUnavailable"))]
#[case(refusal(408, "RequestTimeout"))]
#[case(refusal(404, "DeviceConnectionClosedRemotely"))]
#[case(HubError::NoAnswer { host: "h".into(), cause: "cut".into() })]
#[case(HubError::Unreadable("html".into()))]
fn an_ambiguous_answer_is_settled_from_the_twin_and_never_invoked_again(#[case] error: HubError) {
    let mut story = Story::new();
    story.start().twin().answer(Err(error));
    assert_eq!(story.words(), ["intended", "invoked 1", "unknown"]);
    let known = story.reason();
    for words in ["is not sent again", "is not known", "x in the console"] {
        assert!(known.contains(words), "{known}");
    }
    story.pass(3_600 * SECOND).twin();
    assert_eq!(story.invoked.len(), 1);
    assert_eq!(story.words()[3..], ["unknown"], "told again, once");
    let plain = story.reason();
    assert!(
        plain.starts_with("no sign in 15 min that press-7 started"),
        "{plain}"
    );
    assert!(plain.contains("not invoked again by itself"), "{plain}");
    story.status("downloading").status("completed");
    assert_eq!(
        story.words()[4..],
        ["back", "downloading", "done", "= completed"]
    );
}

#[test]
fn a_device_at_work_is_known_to_have_got_the_order() {
    let mut story = Story::new();
    story.start().twin().status("downloading");
    story.answer(Err(refusal(504, "GatewayTimeout")));
    story.status("completed");
    assert_eq!(
        story.words(),
        [
            "intended",
            "invoked 1",
            "downloading",
            "done",
            "= completed"
        ]
    );
}

#[test]
fn the_twin_is_read_each_500_ms_while_an_update_is_open() {
    let mut story = Story::new();
    story.start().twin().accepted();
    let before = story.read;
    for _ in 0..100 {
        story.pass(Duration::from_millis(100)).twin();
    }
    assert_eq!(story.read - before, 20, "in ten seconds");
    story.status("completed");
    let before = story.read;
    story.pass(59 * SECOND);
    assert_eq!(story.read, before, "and rarely when it has ended");
    for _ in 0..240 {
        story.pass(60 * SECOND).twin();
    }
    assert_eq!(story.read - before, 5, "a few times, and no more");
    assert_eq!(story.core.wake_at(), None, "nothing waits");
}

#[test]
fn silence_is_stalled_then_back_then_given_up() {
    let mut story = Story::new();
    story.start().twin().accepted().status("downloading");
    story.pass(15 * 60 * SECOND);
    assert_eq!(story.words()[4..], ["stalled"]);
    story.status("applying").pass(25 * 3_600 * SECOND);
    assert_eq!(story.words()[5..], ["back", "applying", "= givenUp"]);
}

#[test]
fn watching_takes_the_run_under_way_for_its_own() {
    let mut story = Story::new();
    story.twin.report(json!({"firmwareStatus": "downloading"}));
    story.feed(Input::Command(Command::Watch(id(ID)))).twin();
    story.status("completed");
    assert_eq!(
        story.words(),
        ["watched", "downloading", "done", "= completed"]
    );
    assert!(story.invoked.is_empty());
}

#[test]
fn watching_does_not_take_the_last_run_for_the_next() {
    let mut story = Story::new();
    story.twin.report(json!({"firmwareStatus": "completed"}));
    story
        .feed(Input::Command(Command::Watch(id(ID))))
        .twin()
        .twin();
    assert_eq!(story.words(), ["watched"]);
}

#[test]
fn an_intent_without_an_invocation_is_unknown_and_never_invoked() {
    let mut story = Story::new();
    let mut first = Story::new();
    first.start().twin();
    story.resume(first.journal()[..1].to_vec());
    story.pass(600 * SECOND).twin();
    assert_eq!(story.words(), ["intended", "unknown"]);
    story.status("downloading").status("completed");
    assert_eq!(
        story.words()[2..],
        ["back", "downloading", "done", "= completed"]
    );
    assert!(story.invoked.is_empty());
}
