//! Screens of going to another hub, and of the list narrowed by a query.

use otadeck::console::{Context, Granted, HubEntry, Look, Message, Model, Wish, update};
use otadeck::domain::device::{Connection, DeviceRow, Enablement};
use otadeck::domain::event::{Event, InventoryState, What};
use otadeck::domain::id::DeviceId;
use otadeck::domain::problem::{Kind, Problem};
use otadeck::domain::profile::{Profile, Tier};

use super::scenes::{Scene, Stage, noon};
use super::{SIZES, drawn, shown};

/// What a hostile hub might say.
const HOSTILE: &str = "\u{1b}[2J\u{202e}e\u{301}\u{301}\u{301}\u{301}\u{301}";

fn entry(name: &str, environment: Option<&str>, host: Option<&str>) -> HubEntry {
    HubEntry {
        name: name.into(),
        environment: environment.map(str::to_owned),
        host: host.map(str::to_owned),
        ..HubEntry::default()
    }
}

fn hubs() -> Vec<HubEntry> {
    vec![
        entry(
            "contoso-lab",
            Some("a laboratory for presses"),
            Some("contoso-lab.azure-devices.net"),
        ),
        entry(
            "contoso-plant",
            Some("staging"),
            Some("contoso-plant.azure-devices.net"),
        ),
        HubEntry {
            read_only: true,
            ..entry("contoso-world-of-presses-europe", Some("production"), None)
        },
        HubEntry {
            trouble: Some(format!(
                "others can read the secret file /home/ana/{HOSTILE}retired (mode 644); \
                 run: chmod 600 /home/ana/retired"
            )),
            ..entry("retired", None, None)
        },
    ]
}

fn on_plant(size: (u16, u16), colour: bool) -> Stage {
    let profile = Profile {
        name: "contoso-plant".into(),
        host: "contoso-plant.azure-devices.net".into(),
        environment: Some("staging".into()),
        read_only: false,
        tier: Some(Tier::S1),
        units: 1,
    };
    let context = Context {
        hubs: hubs(),
        look: Look::built_in(colour),
        ..Context::new(profile)
    };
    let mut stage = Stage {
        model: Model::new(context, size, noon()),
    };
    stage.online().listed();
    stage
}

fn query(stage: &mut Stage, text: &str, ids: &[&str]) {
    let query = Some(text.to_owned());
    let rows = ids.iter().map(|id| {
        let device_id = DeviceId::parse(id).unwrap();
        let device = Box::new(DeviceRow {
            device_id: device_id.clone(),
            connection: Connection::Connected,
            status: Enablement::Enabled,
            last_activity: None,
            firmware: Some("1.4.2".into()),
            reported_status: None,
            phase: None,
            last_update: None,
            tags: Default::default(),
            seen: noon(),
        });
        Event::device(noon(), device_id, What::Device { device })
    });
    let mut events = vec![Event::general(noon(), What::Narrowed { query })];
    events.extend(rows);
    stage.tell(events);
    inventory(stage, InventoryState::Complete, None);
}

fn inventory(stage: &mut Stage, state: InventoryState, problem: Option<Problem>) {
    stage.general(What::Inventory {
        state,
        count: 0,
        skipped: 0,
        problem,
    });
}

const LAB: &str = "tags.site = 'lab' AND tags.hall IN ['north', 'south']";

const SCENES: [Scene; 8] = [
    ("hubs", |size, colour| {
        let mut stage = on_plant(size, colour);
        stage.keys(":hub<enter>j");
        stage
    }),
    ("hubs-trouble", |size, colour| {
        let mut stage = on_plant(size, colour);
        stage.keys(":hub<enter>G");
        stage
    }),
    ("hub-question", |size, colour| {
        let mut stage = on_plant(size, colour);
        stage
            .started("press-0040", 0)
            .accepted("press-0040", 1)
            .started("press-0042", 0);
        stage.phase("press-0040", 3, "downloading", Some(52.0));
        stage.later(3.3);
        stage.keys(":hub contoso-lab<enter>");
        stage
    }),
    ("hub-connecting", |size, colour| {
        let mut stage = on_plant(size, colour);
        stage.keys(":hub contoso-lab<enter>");
        stage
    }),
    ("hub-refused", |size, colour| {
        let mut stage = on_plant(size, colour);
        stage.keys(":hub retired<enter>");
        let why = hubs()[3].trouble.clone().unwrap();
        let wish = Wish::Connect("retired".into());
        update(
            &mut stage.model,
            Message::Granted(wish, Granted::Refused(why)),
        );
        stage
    }),
    ("query", |size, colour| {
        let mut stage = on_plant(size, colour);
        stage.keys("<space><space>");
        query(&mut stage, LAB, &["press-0039", "press-0041", "press-0044"]);
        stage
    }),
    ("query-refused", |size, colour| {
        let mut stage = on_plant(size, colour);
        query(&mut stage, LAB, &["press-0039", "press-0041"]);
        stage.keys(&format!(":query {LAB} =<enter>"));
        inventory(&mut stage, InventoryState::Listing, None);
        let cause = format!("400 ArgumentInvalid (400004): BadRequest: {HOSTILE}unexpected '='");
        let problem = Problem::new(Kind::BadRequest, "the hub refused the query", cause)
            .hint("What is listed is still what the query before selects.");
        inventory(&mut stage, InventoryState::Complete, Some(problem));
        stage
    }),
    ("query-nothing", |size, colour| {
        let mut stage = on_plant(size, colour);
        query(&mut stage, "tags.site = 'moon'", &[]);
        stage.keys(":query SELECT * FROM devices<enter>");
        inventory(&mut stage, InventoryState::Listing, None);
        inventory(&mut stage, InventoryState::Complete, None);
        stage
    }),
];

#[test]
fn screens_of_hubs_look_as_they_were_last_looked_at() {
    for scene in &SCENES {
        for size in SIZES {
            shown(scene, size);
        }
    }
}

#[rstest::rstest]
#[case("hubs", &["contoso-plant ", "contoso-world", "PRODUCTION", "read-only", "staging"])]
#[case("hubs-trouble", &["retired", "chmod 600"])]
#[case("hub-question", &["2 updates are in flight", "contoso-lab", "go on on the devices", "watch --resume", "goes there"])]
#[case("hub-connecting", &["connecting to contoso-lab…", "esc"])]
#[case("hub-refused", &["No way to retired"])]
#[case("query", &["where tags.site", "press-0044"])]
#[case("query-refused", &["the hub refused the query", "where tags.site", "press-0039"])]
#[case("query-nothing", &["No device of this hub fits the query."])]
fn what_matters_of_them_is_visible_at_every_size(#[case] name: &str, #[case] words: &[&str]) {
    let (_, scene) = SCENES.iter().find(|(n, _)| *n == name).unwrap();
    for size in SIZES {
        let (buffer, _) = drawn(&scene(size, true), size);
        let rows: Vec<String> = (0..size.1)
            .map(|y| (0..size.0).map(|x| buffer[(x, y)].symbol()).collect())
            .collect();
        // What is told in sentences may be wrapped.
        let text = rows.join(" ").replace(['│', '╭', '╮'], " ");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            let there = text.contains(word);
            assert!(there, "{word:?} at {size:?}:\n{}", rows.join("\n"));
        }
    }
}

#[test]
fn nothing_hostile_and_no_size_breaks_them() {
    let small = [
        (1, 1),
        (2, 3),
        (8, 2),
        (15, 6),
        (25, 5),
        (60, 18),
        (99, 17),
        (300, 90),
    ];
    for (name, scene) in &SCENES {
        for size in SIZES.into_iter().chain(small) {
            let (buffer, _) = drawn(&scene(size, true), size);
            for cell in buffer.content() {
                let bad = cell
                    .symbol()
                    .chars()
                    .any(otadeck::domain::clean::is_dangerous);
                assert!(!bad, "{name}: {:?}", cell.symbol());
            }
        }
    }
}
