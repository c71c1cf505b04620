//! The scenes that are drawn: each a console brought where it is by events and
//! keys alone.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use otadeck::console::{Context, Effect, Look, Message, Model, press, update};
use otadeck::domain::device::{Connection, DeviceRow, Enablement};
use otadeck::domain::dialect::Dialects;
use otadeck::domain::durations::Learnt;
use otadeck::domain::event::{Event, Intent, InventoryState, Link, Way, What};
use otadeck::domain::evidence::sha256;
use otadeck::domain::headless::Reach;
use otadeck::domain::history::{Answer, Page};
use otadeck::domain::holding::{Holding, Process};
use otadeck::domain::id::{DeviceId, UpdateId};
use otadeck::domain::phase::Phase;
use otadeck::domain::preflight::{self, PackageInfo, Rules};
use otadeck::domain::problem::{Kind, Problem};
use otadeck::domain::profile::{Profile, Tier};
use otadeck::domain::quota::{Budget, Slowed};
use otadeck::domain::twin::{Section, Twin};
use otadeck::domain::update::{Baseline, Evidence, OpenState, Outcome};
use otadeck::domain::uri::PackageUri;
use otadeck::journal::JournalError;
use serde_json::{Value, json};

use super::past;

/// The clock of every scene.
pub fn noon() -> Timestamp {
    "2026-11-23T12:04:00Z".parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    noon() + SignedDuration::from_secs(seconds)
}

/// A console that is told things.
pub struct Stage {
    pub model: Model,
}

impl Stage {
    pub fn new(profile: Profile, size: (u16, u16), colour: bool) -> Self {
        let context = Context {
            dialects: Dialects::built_in(),
            sample_uris: vec![
                "https://fw.example.com/press/fw-1.5.0.bin".into(),
                "https://fw.example.com/press/fw-1.4.2.bin".into(),
            ],
            look: Look::built_in(colour),
            reach: Reach {
                hub: Some(profile.name.clone()),
                ..Reach::default()
            },
            ..Context::new(profile)
        };
        Self {
            model: Model::new(context, size, noon()),
        }
    }

    pub fn plant(size: (u16, u16), colour: bool) -> Self {
        let mut stage = Self::new(plant(), size, colour);
        stage.online().listed();
        stage
    }

    pub fn tell(&mut self, events: Vec<Event>) -> &mut Self {
        update(&mut self.model, Message::Events(Arc::from(events)));
        self
    }

    pub fn general(&mut self, what: What) -> &mut Self {
        self.tell(vec![Event::general(noon(), what)])
    }

    pub fn later(&mut self, seconds: f64) -> &mut Self {
        #[expect(clippy::cast_possible_truncation, reason = "seconds of a scene")]
        let time = noon() + SignedDuration::from_millis((seconds * 1_000.0) as i64);
        update(&mut self.model, Message::Tick(time));
        self
    }

    /// Presses keys and answers what is asked about the past, each question alike.
    pub fn past(&mut self, keys: &str, answer: Result<Answer, Problem>) -> &mut Self {
        for effect in press(&mut self.model, keys).unwrap() {
            if let Effect::Past(ask) = effect {
                let answer = Box::new(answer.clone());
                update(&mut self.model, Message::Past(ask, answer));
            }
        }
        self
    }

    pub fn keys(&mut self, keys: &str) -> &mut Self {
        press(&mut self.model, keys).unwrap();
        self
    }

    pub fn online(&mut self) -> &mut Self {
        self.general(What::Link(Way::new(Link::Online)))
    }

    /// The hub is away and is tried again at that second; it was heard 44 s before.
    pub fn away(&mut self, at: f64, attempt: u32) -> &mut Self {
        let problem = Problem::new(
            Kind::Unreachable,
            "the hub does not answer",
            "no connection to contoso-plant.azure-devices.net: the name is not known",
        )
        .hint("It is asked again. Updates go on on their devices, unseen meanwhile.");
        #[expect(clippy::cast_possible_truncation, reason = "seconds of a scene")]
        let again = noon() + SignedDuration::from_millis((at * 1_000.0) as i64);
        self.general(What::Link(Way {
            problem: Some(problem),
            attempt: Some(attempt),
            at: Some(again),
            heard: Some(again - SignedDuration::from_secs(44)),
            ..Way::new(Link::Retrying)
        }))
    }

    pub fn budget(&mut self, reads: u32, limit: u32, spent: u64, slowed: Option<Slowed>) {
        self.general(What::Budget(Budget {
            reads,
            limit,
            spent,
            day: 400_000,
            slowed,
        }));
    }

    pub fn listed(&mut self) -> &mut Self {
        let rows = (38..=61).map(row).map(|row| {
            let what = What::Device {
                device: Box::new(row.clone()),
            };
            Event::device(noon(), row.device_id, what)
        });
        let events: Vec<Event> = rows.collect();
        let count = events.len();
        self.tell(events).general(What::Inventory {
            state: InventoryState::Complete,
            count,
            skipped: 0,
            problem: None,
        })
    }

    fn of(&mut self, device: &str, seconds: i64, what: What) -> &mut Self {
        let id = UpdateId::from_text(&format!("0199-{device}"));
        let event = Event::update(at(seconds), device_id(device), id, what);
        self.tell(vec![event])
    }

    pub fn started(&mut self, device: &str, from: i64) -> &mut Self {
        let intent = Intent {
            hub: "contoso-plant.azure-devices.net".into(),
            uri: Some("https://fw.example.com/press/fw-1.5.0.bin".into()),
            payload_sha256: None,
            method: Some("firmwareUpdate".into()),
            expect: None,
            dialect: "tutorial-2018".into(),
            baseline: Baseline::default(),
            by: "ana@jump-1".into(),
            ..Intent::default()
        };
        self.of(device, from, What::Intended(Box::new(intent))).of(
            device,
            from,
            What::Invoked {
                attempt: 1,
                latest: None,
            },
        )
    }

    pub fn accepted(&mut self, device: &str, when: i64) -> &mut Self {
        let payload = json!({"Response": "Firmware update started"});
        self.of(
            device,
            when,
            What::Accepted {
                status: 200,
                payload,
            },
        )
    }

    pub fn phase(
        &mut self,
        device: &str,
        when: i64,
        value: &str,
        percent: Option<f64>,
    ) -> &mut Self {
        let phase = Dialects::built_in().named("tutorial-2018").phase_of(value);
        let what = What::Phase {
            phase,
            reported: reported(value, percent),
            percent,
            evidence: evidence(value, when),
        };
        self.of(device, when, what)
    }

    pub fn doubt(&mut self, device: &str, when: i64, state: OpenState, reason: &str) -> &mut Self {
        let reason = reason.to_owned();
        self.of(
            device,
            when,
            What::State {
                state,
                reason,
                evidence: None,
            },
        )
    }

    pub fn ended(&mut self, device: &str, when: i64, outcome: Outcome, reason: &str) -> &mut Self {
        let value = if outcome == Outcome::Completed {
            "completed"
        } else {
            "downloadFailed"
        };
        let verdict = What::Verdict {
            outcome,
            reason: reason.to_owned(),
            evidence: Some(evidence(value, when)),
            reported: reported(value, None),
            problem: None,
        };
        self.phase(device, when, value, None)
            .of(device, when, verdict)
    }

    /// What past updates needed for each phase.
    pub fn learnt(&mut self, seconds: [i64; 2]) -> &mut Self {
        let phases = [Phase::Downloading, Phase::Applying];
        let learnt = phases.into_iter().zip(seconds).map(|(phase, s)| Learnt {
            dialect: "tutorial-2018".into(),
            phase,
            samples: 12,
            usual: SignedDuration::from_secs(s),
            long: SignedDuration::from_secs(2 * s),
        });
        let learnt = learnt.collect();
        self.general(What::Durations { learnt })
    }

    pub fn contradicted(&mut self, device: &str, when: i64, value: &str) -> &mut Self {
        let what = What::Contradicted {
            reason: format!("{device} reports {value:?} after that: image checksum mismatch"),
            evidence: evidence(value, when),
            reported: reported(value, None),
        };
        self.of(device, when, what)
    }

    pub fn disconnected(&mut self, device: &str, when: i64) -> &mut Self {
        let state = Connection::Disconnected;
        self.of(
            device,
            when,
            What::Connection {
                state,
                expected: false,
            },
        )
    }

    /// What the engine says of a package; `status` is its server's, 0 when it
    /// was not asked.
    pub fn inspected(&mut self, uri: &str, status: u16) -> &mut Self {
        let uri = PackageUri::parse(uri).unwrap();
        let server = (status != 0).then(|| {
            Ok(PackageInfo {
                status,
                size: Some(4_194_304),
                etag: Some("\"0x8DD7\"".into()),
                ..PackageInfo::default()
            })
        });
        let rules = Rules::default();
        let findings = preflight::findings(&rules, &uri, server.as_ref(), noon(), at(900));
        let what = What::Inspected {
            uri: uri.redacted().to_owned(),
            uri_sha256: sha256(uri.expose()),
            findings,
            server: server.and_then(Result::ok),
            waiting: false,
        };
        self.general(what)
    }

    pub fn twin(&mut self, device: &str) -> &mut Self {
        let values = json!({
            "firmwareStatus": "standBy",
            "firmwareVersion": "1.4.2",
            "lastFirmwareUpdate": "2026-10-02T07:31:12Z",
            "logTime": "2026-11-23T11:58:40.120Z",
            "network": {"ip": "10.4.2.17", "rssi": -61},
        });
        self.reports(device, values)
    }

    pub fn reports(&mut self, device: &str, values: Value) -> &mut Self {
        let section = Section {
            values: values.as_object().unwrap().clone(),
            ..Section::default()
        };
        let twin = Twin {
            device_id: device_id(device),
            etag: "AAAAAAAAAAE=".into(),
            device_etag: None,
            version: 12,
            status: Enablement::Enabled,
            status_reason: None,
            connection: Connection::Connected,
            told_at: None,
            last_activity: None,
            tags: Default::default(),
            desired: desired(),
            reported: section,
        };
        let dialects = Dialects::built_in();
        let choice = dialects.choose(&twin.reported, None);
        let dialect = Some(choice.told(true));
        let what = What::Twin {
            twin: Box::new(twin),
            dialect,
        };
        self.tell(vec![Event::device(noon(), device_id(device), what)])
    }

    pub fn refused(&mut self, device: &str, problem: Problem) -> &mut Self {
        let what = What::Refused { problem };
        self.tell(vec![Event::device(noon(), device_id(device), what)])
    }

    /// Another otadeck has the device.
    pub fn held(&mut self, device: &str) -> &mut Self {
        let holding = Holding {
            by: "bo@jump-2".into(),
            since: at(-180),
            process: Some(Process {
                pid: 4711,
                host: "jump-2".into(),
                beat: Some(at(-12)),
            }),
            update_id: UpdateId::from_text("another"),
            uri: Some("https://fw.example.com/press/fw-1.5.0.bin".into()),
            doing: "downloading".into(),
            percent: Some(52),
            written: at(-15),
        };
        let device_id = device_id(device);
        let busy = JournalError::Busy {
            device: device_id,
            holding: Box::new(holding),
        };
        self.refused(device, busy.problem())
    }

    /// Several updates at once, in every state that there is.
    pub fn busy(&mut self) -> &mut Self {
        self.started("press-0039", -200)
            .accepted("press-0039", -199);
        self.phase("press-0039", -180, "downloading", None);
        let stalled = "nothing changed for 2 min since \"downloading\". It is watched on, less \
                       often; give it up with x in the console";
        self.doubt("press-0039", -60, OpenState::Stalled, stalled);
        self.started("press-0041", -150)
            .accepted("press-0041", -149);
        self.phase("press-0041", -130, "downloading", None);
        self.phase("press-0041", -115, "applying", None);
        let why = "press-0041 reports \"completed\", version 1.5.0";
        self.ended("press-0041", -100, Outcome::Completed, why);
        self.started("press-0043", -140)
            .accepted("press-0043", -139);
        self.phase("press-0043", -120, "downloading", Some(64.0));
        let why = "press-0043 reports \"downloadFailed\", last seen downloading: connection reset by fw.example.com";
        self.ended("press-0043", -90, Outcome::Failed, why);
        self.started("press-0044", -31).accepted("press-0044", -30);
        self.phase("press-0044", -14, "downloading", Some(52.0));
        self.started("press-0045", -3);
        self
    }
}

/// What the service side asks of every device of the plant.
fn desired() -> Section {
    let values = json!({
        "firmwareVersion": "1.5.0",
        "network": {"rssi": -61},
        "telemetry": {"every": 30},
    });
    Section {
        values: values.as_object().unwrap().clone(),
        ..Section::default()
    }
}

pub fn plant() -> Profile {
    Profile {
        name: "contoso-plant".into(),
        host: "contoso-plant.azure-devices.net".into(),
        environment: Some("staging".into()),
        read_only: false,
        tier: Some(Tier::S1),
        units: 1,
    }
}

fn device_id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn row(n: u32) -> DeviceRow {
    let failed = n == 52;
    let strange = n == 55;
    let (status, phase) = match n {
        _ if failed => ("downloadFailed", Phase::Failed),
        _ if strange => ("\u{1b}[31mbrewing coffee", Phase::Unknown),
        n if n.is_multiple_of(7) => ("completed", Phase::Done),
        _ => ("standBy", Phase::Idle),
    };
    DeviceRow {
        device_id: device_id(&format!("press-{n:04}")),
        connection: if n % 6 == 1 {
            Connection::Disconnected
        } else {
            Connection::Connected
        },
        status: if n == 50 {
            Enablement::Disabled
        } else {
            Enablement::Enabled
        },
        last_activity: None,
        firmware: (n != 47).then(|| {
            if n.is_multiple_of(7) {
                "1.5.0"
            } else {
                "1.4.2"
            }
            .to_owned()
        }),
        reported_status: Some(status.to_owned()),
        phase: Some(phase),
        last_update: match n {
            47 => None,
            55 => Some("yesterday, after lunch".into()),
            _ => Some(format!("2026-10-{:02}T07:31:12Z", n % 28 + 1)),
        },
        tags: Default::default(),
        seen: at(-80),
    }
}

fn evidence(value: &str, when: i64) -> Evidence {
    Evidence {
        property: "firmwareStatus".into(),
        value: Value::from(value),
        version: u64::try_from(when + 1_000).unwrap(),
        hub_time: Some(at(when)),
    }
}

fn reported(value: &str, percent: Option<f64>) -> Value {
    let mut object = json!({"firmwareStatus": value, "firmwareVersion": "1.4.2"});
    if let Some(percent) = percent {
        object["downloadPercent"] = json!(percent);
    }
    if value == "completed" {
        object["firmwareVersion"] = json!("1.5.0");
        object["lastFirmwareUpdate"] = json!("2026-11-23T12:04:46Z");
    }
    object
}

/// A name and how to get there.
pub type Scene = (&'static str, fn((u16, u16), bool) -> Stage);

/// All scenes.
pub const SCENES: [Scene; 50] = [
    ("start", |size, colour| Stage::new(plant(), size, colour)),
    ("devices", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.busy().keys("jj").later(0.3);
        stage
    }),
    ("filter", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("/0E<backspace>05");
        stage.keys("<backspace><backspace>5");
        stage
    }),
    ("marked", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("ssS/fw:1.4 !50<enter>jj<space><space>j<space><esc>");
        stage
    }),
    ("marked-field", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("<space><space><space>kk<enter>https://fw.example.com/press/fw-1.5.0.bin");
        stage
    }),
    ("marked-confirm", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("aj<enter>https://fw.example.com/press/fw-1.5.0.bin<enter>");
        stage
    }),
    ("filter-nothing", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("/prs42");
        stage
    }),
    ("filter-half", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("/tag:site=plant (");
        stage
    }),
    ("field-empty", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("jj<enter>").twin("press-0040");
        stage
    }),
    ("twin", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("jj<tab>").twin("press-0040").reports(
            "press-0040",
            json!({
                "firmwareStatus": "downloading",
                "firmwareVersion": "1.4.2",
                "lastFirmwareUpdate": "2026-10-02T07:31:12Z",
                "logTime": "2026-11-23T11:59:12.004Z",
                "network": {"ip": "10.4.2.17", "rssi": -61},
            }),
        );
        stage
    }),
    ("twin-search", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("jj<tab>").twin("press-0040").keys("/rss");
        stage
    }),
    ("twin-json", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("jj<tab>J").twin("press-0040");
        stage
    }),
    ("command", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys(":sort p");
        stage
    }),
    ("field-hint", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("jj<enter>test.com").twin("press-0040");
        stage
    }),
    ("field-pick", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("jj<enter><down><down>").twin("press-0040");
        stage
    }),
    ("field-signed", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("jj<enter>https://fwstore.blob.core.windows.net/press/fw-1.5.0.bin?se=2026-12-01&sig=c2VjcmV0");
        stage.twin("press-0040");
        stage
    }),
    ("confirm", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("jj<enter>").twin("press-0040");
        stage.keys("https://fw.example.com/press/fw-1.5.0.bin<enter>");
        stage.inspected("https://fw.example.com/press/fw-1.5.0.bin", 200);
        stage
    }),
    ("confirm-forbidden", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("jj<enter>").twin("press-0040");
        let uri =
            "https://fwstore.blob.core.windows.net/press/fw-1.5.0.bin?se=2020-12-01&sig=c2VjcmV0";
        stage.keys(uri).keys("<enter>").inspected(uri, 0);
        stage
    }),
    ("confirm-production", |size, colour| {
        let environment = Some("production".into());
        let mut stage = Stage::new(
            Profile {
                environment,
                ..plant()
            },
            size,
            colour,
        );
        stage.online().listed().keys("jj<enter>");
        stage.keys("https://fwstore.blob.core.windows.net/press/fw-1.5.0.bin?se=2026-12-01&sig=c2VjcmV0<enter>cont");
        stage
    }),
    ("running", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage
            .twin("press-0040")
            .started("press-0040", 0)
            .accepted("press-0040", 1);
        stage.phase("press-0040", 16, "downloading", Some(52.0));
        stage.keys("jj<enter>").later(18.4);
        stage.budget(2, 60, 1_614, None);
        stage
    }),
    ("applying", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage
            .twin("press-0040")
            .started("press-0040", 0)
            .accepted("press-0040", 1);
        stage.phase("press-0040", 16, "downloading", None);
        stage.phase("press-0040", 31, "applying", None);
        stage.keys("jj<enter>").later(35.2);
        stage
    }),
    ("completed", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage
            .twin("press-0040")
            .started("press-0040", 0)
            .accepted("press-0040", 1);
        stage.phase("press-0040", 16, "downloading", None);
        stage.phase("press-0040", 31, "applying", None);
        let why = "press-0040 reports \"completed\", version 1.5.0";
        stage.ended("press-0040", 46, Outcome::Completed, why);
        stage.keys("jj<tab>").later(50.0);
        stage
    }),
    ("contradicted", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage
            .twin("press-0040")
            .started("press-0040", 0)
            .accepted("press-0040", 1);
        stage.phase("press-0040", 16, "downloading", None);
        stage.phase("press-0040", 31, "applying", None);
        let why = "press-0040 reports \"completed\", version 1.5.0";
        stage.ended("press-0040", 46, Outcome::Completed, why);
        stage.contradicted("press-0040", 92, "failed");
        stage.keys("jj<tab>").later(95.0);
        stage
    }),
    ("estimate", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage
            .learnt([15, 31])
            .twin("press-0040")
            .started("press-0040", 0)
            .accepted("press-0040", 1);
        stage.phase("press-0040", 16, "downloading", None);
        stage.phase("press-0040", 31, "applying", None);
        stage.keys("jj<enter>").later(42.0);
        stage
    }),
    ("run-again", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.started("press-0040", 0).accepted("press-0040", 1);
        stage.phase("press-0040", 16, "downloading", None);
        stage.phase("press-0040", 31, "applying", None);
        stage.phase("press-0040", 44, "standBy", None);
        stage.phase("press-0040", 46, "downloading", Some(12.0));
        stage.disconnected("press-0040", 48);
        stage.keys("jj<enter>").later(49.0);
        stage
    }),
    ("unknown", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.started("press-0040", 0);
        let why = "the order's answer is not known: 504 GatewayTimeout (504101): Timed out waiting \
                   for the response from device. Whether the device got the order is not known: it \
                   is not sent again by itself, and the twin is watched for a sign that the device \
                   started. To start another update, give this one up (x in the console)";
        stage.doubt("press-0040", 31, OpenState::Unknown, why);
        stage.keys("jj<enter>").later(35.2);
        stage
    }),
    ("failed", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.busy().keys("jjjjj<tab>").later(0.0);
        stage
    }),
    ("stalled", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.busy().keys("j<enter>").later(0.0);
        stage
    }),
    ("refused", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("jj<enter>https://fw.example.com/press/fw-1.5.0.bin<enter>y");
        stage.held("press-0040");
        stage
    }),
    ("take-over", |size, colour| {
        let profile = Profile {
            environment: Some("production".into()),
            ..plant()
        };
        let mut stage = Stage::new(profile, size, colour);
        stage.online().listed();
        stage.keys("jj<enter>https://fw.example.com/press/fw-1.6.0.bin<enter>contoso-plant<enter>");
        stage.held("press-0040").keys("<enter><enter>contoso-plant");
        stage
    }),
    ("watched-only", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        let firmware = json!({
            "currentFwVersion": "1.4.2", "pendingFwVersion": "1.5.0",
            "fwUpdateStatus": "downloading", "fwUpdateSubstatus": "Start downloading",
        });
        stage.keys("jj<enter>");
        stage.reports(
            "press-0040",
            json!({"firmware": firmware, "firmwareStatus": "completed"}),
        );
        stage.keys("https://fw.example.com/press/fw-1.5.0.bin<enter>");
        stage
    }),
    ("read-only", |size, colour| {
        let profile = Profile {
            read_only: true,
            environment: Some("production".into()),
            ..plant()
        };
        let mut stage = Stage::new(profile, size, colour);
        stage.online().listed().keys("jj<enter>").twin("press-0040");
        stage
    }),
    ("watching-only", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        let title = "the journal failed: database or disk is full";
        let problem = Problem::new(Kind::Journal, title, "").hint(
            "What is seen is kept in memory and tried again; until it is written down nothing \
             new is started. Make room, or mend the disk.",
        );
        stage.general(What::JournalProblem { problem });
        stage.keys("jj<enter>").twin("press-0040");
        stage
    }),
    ("unauthorized", |size, colour| {
        let mut stage = Stage::new(plant(), size, colour);
        let problem = Problem::new(
            Kind::Unauthorized,
            "cannot list the devices of contoso-plant.azure-devices.net",
            "the hub answered 401: the key of policy \"service\" is not the hub's",
        )
        .hint("Copy the connection string of the policy again, then press r.");
        stage.general(What::Link(Way {
            problem: Some(problem.clone()),
            ..Way::new(Link::Unauthorized)
        }));
        stage.general(What::Inventory {
            state: InventoryState::Failed,
            count: 0,
            skipped: 0,
            problem: Some(problem),
        });
        stage
    }),
    ("retrying", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.busy().away(4.0, 3).later(0.3);
        stage
    }),
    ("retrying-update", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage
            .learnt([15, 31])
            .twin("press-0040")
            .started("press-0040", 0)
            .accepted("press-0040", 1);
        stage.phase("press-0040", 16, "downloading", None);
        stage.phase("press-0040", 31, "applying", None);
        stage.keys("jj<enter>").later(34.0);
        stage.away(78.0, 12).later(74.4);
        stage
    }),
    ("clock-skew", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        let problem = Problem::new(
            Kind::Internal,
            "this machine's clock is 12 min behind the hub's",
            "measured from the hub's answers: 724 s",
        )
        .hint(
            "Set it, or let it be set (timedatectl set-ntp true). Tokens go by the hub's \
             clock meanwhile, the times of events by this machine's.",
        );
        stage.general(What::Clock {
            skew_seconds: 724,
            problem: Some(problem),
        });
        stage
    }),
    ("throttled", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.budget(11, 12, 9_400, Some(Slowed::Hub));
        stage
    }),
    ("day-slowing", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.budget(38, 41, 26_800, Some(Slowed::Day));
        let problem = Problem::new(
            Kind::Throttled,
            "half of our share of the hub's day is spent",
            "we have spent 20,001 of our 40,000 messages; the hub takes 400,000 a day from everybody",
        )
        .hint(
            "Reads slow down; updates go on and are seen later. A spent day stops the hub for \
             its devices too. The share is day_share of [hub.contoso-plant].",
        );
        stage.general(What::BudgetWarning { problem });
        stage
    }),
    ("no-devices", |size, colour| {
        let mut stage = Stage::new(plant(), size, colour);
        stage.online().general(What::Inventory {
            state: InventoryState::Complete,
            count: 0,
            skipped: 0,
            problem: None,
        });
        stage
    }),
    ("quit", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.busy().keys("q");
        stage
    }),
    ("help", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("?");
        stage
    }),
    ("updates", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.busy().keys("uj").later(0.3);
        stage
    }),
    ("history", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.past("H", past::page("", true)).keys("jj");
        stage
    }),
    ("history-filter", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage
            .past("H", past::page("", true))
            .past("/004 fail", past::page("fail", false));
        stage
    }),
    ("history-loading", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("H");
        stage
    }),
    ("history-empty", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.past("H", Ok(Answer::Page(Page::default())));
        stage
    }),
    ("history-failed", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        let problem = Problem::new(
            Kind::Journal,
            "the past cannot be told",
            "the journal failed: database disk image is malformed",
        );
        stage.past("H", Err(problem));
        stage
    }),
    ("past-update", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage
            .past("H", past::page("", false))
            .past("jj<enter>", past::update(2));
        stage
    }),
    ("replay", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage
            .past("H", past::page("", false))
            .past("jj<enter>", past::update(2));
        stage.keys("p-").later(4.26);
        stage
    }),
];
