//! Scenes of the log and of the doctor.

use otadeck::console::{Message, update};
use otadeck::domain::doctor::{Check, Verdict};
use otadeck::domain::event::{Event, Link, Way, What};
use otadeck::domain::id::DeviceId;
use otadeck::domain::problem::{Kind, Problem};
use otadeck::domain::update::{OpenState, Outcome};

use super::scenes::{Scene, Stage, noon};

/// A session in which a lot has happened, some of it by devices that mean harm.
fn session(size: (u16, u16), colour: bool) -> Stage {
    let mut stage = Stage::plant(size, colour);
    stage
        .started("press-0041", -60)
        .accepted("press-0041", -59)
        .phase("press-0041", -44, "downloading", None)
        .ended(
            "press-0041",
            -1,
            Outcome::Completed,
            "press-0041 reports \"completed\"",
        )
        .started("press-0043", -40)
        .accepted("press-0043", -39)
        .phase("press-0043", -30, "downloading", Some(12.0))
        .ended(
            "press-0043",
            -5,
            Outcome::Failed,
            "press-0043 reports \"downloadFailed\" while downloading: connection reset by \
             fw.example.com after 12 of 340 blocks, three tries in a row",
        )
        .away(4.0, 3)
        .general(What::Link(Way::new(Link::Online)))
        .started("press-0044", -20)
        .doubt(
            "press-0044",
            0,
            OpenState::Stalled,
            "nothing changed for 2 min since \"\u{1b}[2Jdown\u{202e}loading\"",
        );
    let hostile = "=cmd'!A1;$(id)-and-an-id-that-is-longer-than-any-column-has-room-for";
    let problem = Problem::new(
        Kind::Busy,
        "the device is busy",
        "it is being updated by bo@jump-2 (process 4711 on jump-2) since 11:58, downloading 40 %",
    )
    .hint("Nothing was sent. Wait until that update has ended.");
    let device = DeviceId::parse(hostile).unwrap();
    let refused = Event::device(noon(), device, What::Refused { problem });
    stage.tell(vec![refused]);
    let text = "The log cannot be written: no space left on device. All else goes on without it.";
    update(&mut stage.model, Message::Notice(text.into()));
    stage
}

fn checks(stage: &mut Stage, checks: &[(&str, Verdict, &str, &str)]) {
    for (check, result, found, hint) in checks {
        let check = Check {
            check: (*check).to_owned(),
            result: *result,
            found: (*found).to_owned(),
            hint: (*hint).to_owned(),
        };
        update(&mut stage.model, Message::Checked(Some(check)));
    }
}

const WELL: [(&str, Verdict, &str, &str); 3] = [
    ("version", Verdict::Ok, "otadeck 0.1.0 on linux x86_64", ""),
    (
        "configuration",
        Verdict::Ok,
        "/home/ana/.config/otadeck/config.toml: it can be read; hubs: 2",
        "",
    ),
    (
        "hub",
        Verdict::Ok,
        "contoso-plant at contoso-plant.azure-devices.net, policy service; its secret comes from \
         the environment variable PLANT",
        "",
    ),
];

const ILL: [(&str, Verdict, &str, &str); 5] = [
    (
        "name",
        Verdict::Ok,
        "contoso-plant.azure-devices.net is 20.49.110.4",
        "",
    ),
    ("tcp", Verdict::Ok, "port 443 of 20.49.110.4 answers", ""),
    (
        "tls",
        Verdict::Failed,
        "the certificate is not trusted: it is CN=contoso-plant, by CN=Inspection \u{1b}[31mProxy, \
         until 2027-01-01",
        "Nothing was sent. For a hub with a CA of its own set ca_file or OTADECK_CA_FILE; otherwise \
         something is intercepting the connection.",
    ),
    ("query", Verdict::Warning, "skipped: tls failed", ""),
    (
        "clock",
        Verdict::Warning,
        "this machine's clock is 12 min behind the hub's",
        "Set it: timedatectl set-ntp true",
    ),
];

pub const SCENES: [Scene; 6] = [
    ("log", |size, colour| {
        let mut stage = session(size, colour);
        stage.keys("L").later(0.3);
        stage
    }),
    ("log-scrolled", |size, colour| {
        let mut stage = session(size, colour);
        stage.keys("Lkkkk").later(0.3);
        stage
    }),
    ("log-filter", |size, colour| {
        let mut stage = session(size, colour);
        stage.keys("L/0043 fail").later(0.3);
        stage
    }),
    ("log-empty", |size, colour| {
        let mut stage = session(size, colour);
        stage.keys(":log nowhere<enter>").later(0.3);
        stage
    }),
    ("doctor-running", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys(":doctor<enter>");
        checks(&mut stage, &WELL);
        stage
    }),
    ("doctor-failed", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys(":doctor<enter>");
        checks(&mut stage, &WELL);
        checks(&mut stage, &ILL);
        update(&mut stage.model, Message::Checked(None));
        stage
    }),
];
