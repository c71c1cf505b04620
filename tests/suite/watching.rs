//! What the console makes of each story: the real engine and client on an
//! emulator with its devices, beside what the emulator knows to be true.
//!
//! The same stories are told to the pure core, without a clock, in
//! `engine::core::tests`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use otadeck::device::{self, Fleet};
use otadeck::domain::dialect::Dialects;
use otadeck::domain::event::{Command, Event, Start, What};
use otadeck::domain::id::UpdateId;
use otadeck::domain::phase::Phase;
use otadeck::domain::problem::Kind;
use otadeck::domain::update::{OpenState, Outcome, Update};
use otadeck::domain::uri::PackageUri;
use otadeck::emulator::{self, Emulator};
use otadeck::engine::{Batch, Running, Settings, Subscription, spawn};
use otadeck::hub::{Client, ConnectionString, Settings as HubSettings};
use otadeck::journal::Journal;
use otadeck::scenario::Scenario;
use tokio::time::{Instant, timeout, timeout_at};

use super::support::{self, id, profile};

/// How long a story may take before the test says that it hangs.
const PATIENCE: Duration = Duration::from_secs(90);

/// A story under the console's eyes.
struct Watch {
    hub: Emulator,
    fleet: Fleet,
    running: Running,
    events: Subscription,
    said: Vec<Event>,
    updates: BTreeMap<UpdateId, Update>,
}

impl Watch {
    /// The story in the file of that name, so many times faster.
    async fn of(name: &str, faster: u32) -> Self {
        Self::on(&Scenario::load(name).unwrap().faster(faster), 120).await
    }

    /// A story of twelve devices; nothing seen for `deadline` seconds is
    /// stalled.
    async fn on(story: &Scenario, deadline: i64) -> Self {
        support::tls();
        let settings = emulator::Settings {
            conditions: story.hub().clone(),
            ..emulator::Settings::default()
        };
        let hub = Emulator::start(settings).await.unwrap();
        let made = hub.create_identities("sim", 12).unwrap();
        let settings = made.iter().map(|(_, text)| device::Settings {
            ca_file: Some(hub.ca_file().to_owned()),
            ..device::Settings::new(
                device::ConnectionString::parse(text).unwrap(),
                story.rules(),
            )
        });
        let fleet = Fleet::start(settings.collect()).unwrap();
        timeout(PATIENCE, fleet.ready()).await.unwrap();
        let text = hub.connection_string("iothubowner").unwrap();
        let connection = ConnectionString::parse(&text).unwrap();
        let mut settings = Settings::new(profile(&connection.address()), Dialects::built_in());
        settings.phase_deadline = SignedDuration::from_secs(deadline);
        settings.deadlines.default = settings.phase_deadline;
        settings.ask_package_server = false;
        let client = Client::new(HubSettings::new(connection, Some(hub.ca_file().to_owned())));
        let running = spawn(client, Journal::in_memory("ana").unwrap(), settings);
        let events = running.engine().subscribe();
        hub.begin_faults();
        Self {
            hub,
            fleet,
            running,
            events,
            said: Vec::new(),
            updates: BTreeMap::new(),
        }
    }

    /// Orders an update on each of these devices.
    async fn order(&self, devices: &[usize]) {
        for n in devices {
            let start = Start {
                device: id(&name(*n)),
                uri: PackageUri::parse("https://packages.test/fw-1.5.0.bin").unwrap(),
                expect: None,
                reason: None,
                sha256: None,
                force: None,
                over: None,
            };
            let command = Command::Start(start);
            self.running.engine().send(command).await.unwrap();
        }
    }

    /// Listens until it is so.
    async fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !so(self) {
            let batch = timeout_at(end, self.events.next()).await;
            let Ok(Some(batch)) = batch else {
                panic!("never: {what}\n{:#?}", self.story());
            };
            self.take(batch);
        }
    }

    /// Listens for so long, whatever is said.
    async fn listen(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Ok(Some(batch)) = timeout_at(end, self.events.next()).await {
            self.take(batch);
        }
    }

    fn take(&mut self, batch: Batch) {
        let Batch::Events(events) = batch else {
            panic!("the test has lagged behind");
        };
        for event in events.iter() {
            if let Some(update) = Update::intended(event) {
                self.updates.insert(update.id.clone(), update);
            } else if let Some(id) = &event.update_id {
                self.updates.get_mut(id).unwrap().apply(event);
            }
            self.said.push(event.clone());
        }
    }

    fn update(&self, n: usize) -> Option<&Update> {
        let device = id(&name(n));
        self.updates.values().find(|update| update.device == device)
    }

    fn outcome(&self, n: usize) -> Option<Outcome> {
        let verdict = self.update(n)?.verdict.as_ref()?;
        Some(verdict.outcome)
    }

    fn ended(&self, devices: &[usize]) -> bool {
        devices.iter().all(|n| self.outcome(*n).is_some())
    }

    /// The open states that were told of a device.
    fn doubts(&self, n: usize) -> Vec<OpenState> {
        let device = id(&name(n));
        let of = |event: &Event| match &event.what {
            What::State { state, .. } if event.device_id.as_ref() == Some(&device) => Some(*state),
            _ => None,
        };
        self.said.iter().filter_map(of).collect()
    }

    /// How often the order went out, and how often it really arrived.
    fn invoked(&self, n: usize) -> (usize, u64) {
        let device = id(&name(n));
        let out = self.said.iter().filter(|event| {
            event.device_id.as_ref() == Some(&device) && matches!(event.what, What::Invoked { .. })
        });
        (out.count(), self.hub.method_counts(&device).delivered)
    }

    fn refusals(&self) -> Vec<Kind> {
        let of = |event: &Event| match &event.what {
            What::Refused { problem } => Some(problem.kind),
            _ => None,
        };
        self.said.iter().filter_map(of).collect()
    }

    fn story(&self) -> Vec<String> {
        let line = |event: &Event| serde_json::to_string(event).unwrap();
        let told = self.said.iter().filter(|event| event.update_id.is_some());
        told.map(line).collect()
    }

    async fn end(self) {
        self.running.stop().await.unwrap();
        self.fleet.stop().await;
        self.hub.shutdown().await;
    }
}

fn name(n: usize) -> String {
    format!("sim-{n:04}")
}

#[tokio::test]
async fn an_old_completed_that_is_sent_again_ends_nothing() {
    let mut watch = Watch::of("stale", 10).await;
    // One that works, one that never does anything, and one in whose twin a
    // download seems to be under way.
    watch.order(&[1, 3, 4]).await;
    watch.until("the first completes", |w| w.ended(&[1])).await;
    assert_eq!(watch.outcome(1), Some(Outcome::Completed));
    assert_eq!(watch.refusals(), [Kind::Busy]);
    assert_eq!(watch.invoked(4), (0, 0));
    watch
        .until("the idle one is doubted", |w| {
            w.doubts(3).contains(&OpenState::Unconfirmed)
        })
        .await;
    watch.listen(Duration::from_secs(3)).await;
    assert_eq!(watch.outcome(3), None, "{:#?}", watch.story());
    assert_eq!(watch.invoked(3), (1, 1));
    let evidence = |n| watch.update(n)?.verdict.as_ref()?.evidence.clone();
    let floor = |n| watch.update(n)?.intent.baseline.last_updated;
    assert!(evidence(1).unwrap().hub_time > floor(1));
    watch.end().await;
}

#[tokio::test]
async fn case_carries_no_meaning_and_a_failure_is_one_in_lower_case() {
    let mut watch = Watch::of("shouting", 4).await;
    watch.order(&[1, 2, 3]).await;
    watch.until("all complete", |w| w.ended(&[1, 2, 3])).await;
    for n in 1..=3 {
        assert_eq!(watch.outcome(n), Some(Outcome::Completed), "{n}");
    }
    let value = |n: usize| {
        let verdict = watch.update(n).unwrap().verdict.as_ref().unwrap();
        verdict.evidence.as_ref().unwrap().value.clone()
    };
    assert_eq!(
        [value(1), value(2), value(3)],
        ["COMPLETED", "Completed", "applycomplete"]
    );
    watch.end().await;

    let story = "description = \"fails in lower case\"\n[defaults]\ndialect = \"iothubDM\"\n\
         waiting = \"500ms\"\ndownloading = \"1s\"\n\
         fails = { phase = \"downloading\", reason = \"no space left\" }";
    let mut watch = Watch::on(&Scenario::parse(story).unwrap(), 120).await;
    watch.order(&[1]).await;
    watch.until("it fails", |w| w.ended(&[1])).await;
    let verdict = watch.update(1).unwrap().verdict.clone().unwrap();
    assert_eq!(verdict.outcome, Outcome::Failed);
    assert_eq!(verdict.evidence.unwrap().value, "downloadfailed");
    assert!(
        verdict.reason.contains("no space left"),
        "{}",
        verdict.reason
    );
    watch.end().await;
}

/// 504101, 404104 and a cut connection, each with and without the method having
/// run: the twin tells which, and nobody is asked twice.
#[tokio::test]
async fn a_lost_answer_is_settled_by_the_twin_alone() {
    let (ran, did_not) = ([1, 3, 4], [2, 7, 8]);
    let mut watch = Watch::of("lost-answer", 3).await;
    watch.order(&[ran, did_not].concat()).await;
    watch.until("who ran it ends", |w| w.ended(&ran)).await;
    watch
        .until("the others are doubted", |w| {
            did_not.iter().all(|n| !w.doubts(*n).is_empty())
        })
        .await;
    watch.listen(Duration::from_secs(3)).await;
    for n in ran {
        assert_eq!(watch.outcome(n), Some(Outcome::Completed), "{n}");
        assert_eq!(watch.invoked(n), (1, 1), "{n}");
    }
    for n in did_not {
        assert_eq!(watch.outcome(n), None, "{n}: {:#?}", watch.story());
        assert_eq!(watch.doubts(n), [OpenState::Unknown], "{n}");
        assert_eq!(watch.invoked(n), (1, 0), "{n}");
    }
    watch.end().await;
}

/// A storm over orders and reads: what was surely not delivered is sent again,
/// once, after the wait that the hub names.
#[tokio::test]
async fn a_storm_of_429_delays_an_update_and_nothing_else() {
    let story = "description = \"a storm\"\n[[fault]]\nroute = [\"method\", \"twin-read\"]\n\
         for = \"4s\"\nrepeat = \"1h\"\nanswer = \"ThrottlingBacklogTimeout\"\n\
         message = \"The request has been throttled. Wait 2 seconds and try again. \
         Operation type: DirectMethod\"\n\
         [defaults]\nwaiting = \"500ms\"\ndownloading = \"1s\"\napplying = \"1s\"";
    let mut watch = Watch::on(&Scenario::parse(story).unwrap(), 120).await;
    let began = Instant::now();
    watch.order(&[1, 2, 3]).await;
    watch.until("all complete", |w| w.ended(&[1, 2, 3])).await;
    assert!(began.elapsed() >= Duration::from_secs(4));
    for n in 1..=3 {
        assert_eq!(watch.outcome(n), Some(Outcome::Completed), "{n}");
        assert_eq!(watch.invoked(n).1, 1, "{n} was started once");
    }
    watch.end().await;
}

#[tokio::test]
async fn a_device_that_restarts_while_applying_ends_when_it_is_done() {
    let mut watch = Watch::of("reboot-loop", 6).await;
    watch.order(&[1, 5]).await;
    watch.until("the first is done", |w| w.ended(&[1])).await;
    assert_eq!(watch.outcome(1), Some(Outcome::Completed));
    watch.listen(Duration::from_secs(2)).await;
    assert_eq!(watch.outcome(5), None, "{:#?}", watch.story());
    assert_eq!(watch.update(5).unwrap().phase(), Some(Phase::Applying));
    assert_eq!(watch.invoked(5), (1, 1));
    watch.end().await;
}

#[tokio::test]
async fn a_device_gone_for_good_while_applying_is_stalled_and_stays_open() {
    let story = Scenario::load("vanishes").unwrap().faster(6);
    let mut watch = Watch::on(&story, 3).await;
    watch.order(&[1, 2]).await;
    let stalled = |w: &Watch, n| w.doubts(n).contains(&OpenState::Stalled);
    watch
        .until("both are stalled", |w| stalled(w, 1) && stalled(w, 2))
        .await;
    assert_eq!((watch.outcome(1), watch.outcome(2)), (None, None));
    assert_eq!(watch.update(1).unwrap().phase(), Some(Phase::Applying));
    assert_eq!(watch.update(2).unwrap().phase(), Some(Phase::Downloading));
    watch.end().await;
}

/// The percentages of one go back meanwhile.
#[tokio::test]
async fn a_late_success_after_a_stall_is_a_success() {
    let story = Scenario::load("late").unwrap().faster(10);
    let mut watch = Watch::on(&story, 4).await;
    watch.order(&[1, 2]).await;
    watch.until("both end", |w| w.ended(&[1, 2])).await;
    for n in 1..=2 {
        assert!(watch.doubts(n).contains(&OpenState::Stalled), "{n}");
        assert_eq!(watch.outcome(n), Some(Outcome::Completed), "{n}");
    }
    watch.end().await;
}

#[tokio::test]
async fn no_clock_but_the_hubs_counts() {
    let mut watch = Watch::of("clock-skew", 4).await;
    // The second one's own clock is a year behind.
    watch.order(&[1, 2]).await;
    watch.until("both end", |w| w.ended(&[1, 2])).await;
    for n in 1..=2 {
        assert_eq!(watch.outcome(n), Some(Outcome::Completed), "{n}");
        let verdict = watch.update(n).unwrap().verdict.as_ref().unwrap();
        let stamp = verdict.evidence.as_ref().unwrap().hub_time.unwrap();
        let ahead = stamp.duration_since(Timestamp::now());
        assert!(ahead > SignedDuration::from_mins(9), "{ahead}");
    }
    watch.end().await;
}
