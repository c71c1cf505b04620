//! Scenes of the table and of the updates in flight: columns of one's own, saved
//! views, rows that devices have made hard to draw.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use otadeck::console::{Kept, Message, update};
use otadeck::domain::device::DeviceRow;
use otadeck::domain::event::{Event, What};
use otadeck::domain::id::DeviceId;
use otadeck::domain::tags::Tags;
use otadeck::domain::update::{OpenState, Outcome};
use serde_json::json;

use super::scenes::{Scene, Stage, noon};

/// Site, line and firmware as devices may tell them.
const ODD: [(&str, &str, &str); 9] = [
    ("lab", "3", "1.4.2"),
    ("プレス工場", "第三ライン", "１.５.０"),
    ("مصنع الاختبار", "خط ٣", "1.5.0"),
    ("מפעל", "קו 3", "1.5.0-rc.1"),
    ("e\u{301}\u{302}\u{303}cole", "👩\u{200d}🔧 2", "1.5.0"),
    ("\u{202e}bal\u{202c}", "\u{1b}[31mred\u{1b}[0m", "1.\u{0}5"),
    (
        "🇩🇪 Werk",
        "1\u{fe0f}\u{20e3}",
        "v1.5.0 (build 20261123.4711-experimental)",
    ),
    ("a\tb\nc", "", "\u{200b}"),
    ("한국 공장", "라인 3", "1.5.0"),
];

fn odd_rows() -> Vec<Event> {
    let rows = ODD.iter().enumerate().map(|(n, (site, line, firmware))| {
        let tags = json!({"site": site, "line": line, "end": "·"});
        let id = DeviceId::parse(&format!("press-{}", 70 + n)).unwrap();
        let row = DeviceRow {
            device_id: id.clone(),
            connection: Default::default(),
            status: Default::default(),
            last_activity: None,
            firmware: Some((*firmware).to_owned()),
            reported_status: None,
            phase: None,
            last_update: None,
            tags: Tags::of(tags.as_object().unwrap()),
            seen: noon() - SignedDuration::from_mins(i64::try_from(n).unwrap()),
        };
        let what = What::Device {
            device: Box::new(row),
        };
        Event::device(noon(), id, what)
    });
    rows.collect()
}

/// The plant's devices, with tags.
fn tagged(size: (u16, u16), colour: bool) -> Stage {
    let mut stage = Stage::plant(size, colour);
    let rows = (38..=61_u32).map(|n| {
        let site = if n % 3 == 0 { "lab" } else { "hall-2 north" };
        let tags = match n % 5 {
            4 => json!({}),
            _ => json!({"site": site, "place": {"line": n % 4}}),
        };
        let id = DeviceId::parse(&format!("press-{n:04}")).unwrap();
        let row = DeviceRow {
            device_id: id.clone(),
            connection: Default::default(),
            status: Default::default(),
            last_activity: None,
            firmware: Some(if n == 40 { "1.5.0-rc.2+exp" } else { "1.4.2" }.to_owned()),
            reported_status: None,
            phase: None,
            last_update: None,
            tags: Tags::of(tags.as_object().unwrap()),
            seen: noon() - SignedDuration::from_secs(100),
        };
        let device = Box::new(row);
        Event::device(noon(), id, What::Device { device })
    });
    stage.tell(rows.collect());
    stage
}

/// More updates than fit, in every state.
fn fleet(stage: &mut Stage) {
    stage.learnt([15, 31]).busy();
    for n in 46..=61 {
        let device = format!("press-{n:04}");
        stage.started(&device, -40).accepted(&device, -39);
        stage.phase(
            &device,
            -30 + n % 7,
            "downloading",
            Some(7.0 * (n % 13) as f64),
        );
        if n % 4 == 0 {
            stage.phase(&device, -9, "applying", None);
        }
    }
    let why = "the order's answer is not known: 504 GatewayTimeout";
    stage.doubt("press-0047", -5, OpenState::Unknown, why);
    stage.ended("press-0049", -4, Outcome::GivenUp, "given up by ana@jump-1");
}

fn kept(stage: &mut Stage, keys: &str) {
    use otadeck::console::{Effect, Keep, press};
    let effects = press(&mut stage.model, keys).unwrap();
    for effect in effects {
        if let Effect::Views(Keep::Save(name, view)) = effect {
            let views = Some(BTreeMap::from([(name, view)]));
            let wrong = Vec::new();
            update(&mut stage.model, Message::Views(Kept { views, wrong }));
        }
    }
}

pub const SCENES: [Scene; 7] = [
    ("columns", |size, colour| {
        let mut stage = tagged(size, colour);
        stage.keys(":columns device,phase,tag:site,tag:place.line,firmware,age<enter>");
        stage.keys(":sort tag:site down<enter>").busy();
        stage
    }),
    ("columns-command", |size, colour| {
        let mut stage = tagged(size, colour);
        stage.keys(":columns device,phase,tag:");
        stage
    }),
    ("view", |size, colour| {
        let mut stage = tagged(size, colour);
        stage.keys("/tag:site=lab<enter>:columns device,state,tags,phase<enter>:sort phase<enter>");
        kept(&mut stage, ":save lab<enter>");
        stage
    }),
    ("odd-rows", |size, colour| {
        let mut stage = Stage::new(super::scenes::plant(), size, colour);
        stage.online().tell(odd_rows());
        stage.keys(":columns device,tag:site,tag:line,firmware,tag:end,age<enter>j");
        stage
    }),
    ("flights", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        fleet(&mut stage);
        stage.keys("ujjj").later(2.0);
        stage
    }),
    ("flights-attention", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        fleet(&mut stage);
        stage.keys("ufj").later(2.0);
        stage
    }),
    ("flights-empty", |size, colour| {
        let mut stage = Stage::plant(size, colour);
        stage.keys("u");
        stage
    }),
];
