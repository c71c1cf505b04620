//! Columns and views by command.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::*;
use crate::console::look::{Look, LookSettings, ViewText};
use crate::console::message::Message;
use crate::console::model::Context;
use crate::console::update::commands::completions;
use crate::console::{press, update};
use crate::domain::device::DeviceRow;
use crate::domain::event::{Event, What};
use crate::domain::fake;
use crate::domain::id::DeviceId;
use crate::domain::tags::Tags;

fn console() -> Model {
    let profile = fake::profile();
    let fixed = ViewText {
        filter: "tag:site=plant".into(),
        columns: vec!["device".into(), "tag:line".into()],
        sort: "tag:line down".into(),
    };
    let (look, wrong) = Look::new(&LookSettings {
        columns: ["device", "phase", "age"].map(str::to_owned).to_vec(),
        views: BTreeMap::from([("plant".into(), fixed)]),
        ..LookSettings::default()
    });
    assert_eq!(wrong, Vec::<String>::new());
    let context = Context {
        look,
        ..Context::new(profile)
    };
    let mut model = Model::new(context, (80, 24), Timestamp::UNIX_EPOCH);
    let rows = ["a-1", "a-2", "b-1"]
        .into_iter()
        .enumerate()
        .map(|(n, id)| {
            let tags = serde_json::json!({"site": if n == 1 { "lab" } else { "plant" }, "line": n});
            let device = Box::new(DeviceRow {
                device_id: DeviceId::parse(id).unwrap(),
                connection: Default::default(),
                status: Default::default(),
                last_activity: None,
                firmware: None,
                reported_status: None,
                phase: None,
                last_update: None,
                tags: Tags::of(tags.as_object().unwrap()),
                seen: Timestamp::UNIX_EPOCH,
            });
            let id = device.device_id.clone();
            Event::device(Timestamp::UNIX_EPOCH, id, What::Device { device })
        });
    let rows: Vec<Event> = rows.collect();
    update(&mut model, Message::Events(rows.into()));
    kept(
        &mut model,
        Kept {
            views: Some(BTreeMap::new()),
            wrong: Vec::new(),
        },
    );
    model
}

/// Columns, filter, order, the view in use, the ids that are shown.
fn state(model: &Model) -> String {
    let view = model.view_now();
    let ids: Vec<String> = model
        .devices
        .window(9)
        .map(|(row, _)| row.device_id.to_string())
        .collect();
    format!(
        "{} /{} by {} [{}] {}",
        view.columns.text(),
        view.filter,
        view.order.text(),
        model.view_in_use().unwrap_or_default(),
        ids.join(" ")
    )
}

#[rstest::rstest]
#[case("", "device,phase,age / by device [] a-1 a-2 b-1")]
#[case(
    ":columns tag:site,age<enter>",
    "device,tag:site,age / by device [] a-1 a-2 b-1"
)]
#[case(
    ":columns tag:site,age<enter>:columns<enter>",
    "device,phase,age / by device [] a-1 a-2 b-1"
)]
#[case(
    ":columns nope<enter><esc>",
    "device,phase,age / by device [] a-1 a-2 b-1"
)]
#[case(
    ":sort tag:site<enter>",
    "device,phase,age / by tag:site [] a-2 a-1 b-1"
)]
#[case(
    ":view plant<enter>",
    "device,tag:line /tag:site=plant by tag:line down [plant] b-1 a-1"
)]
#[case(
    ":view plant<enter>s",
    "device,tag:line /tag:site=plant by device [] a-1 b-1"
)]
#[case(
    ":view plant<enter>ss",
    "device,tag:line /tag:site=plant by tag:line [] a-1 b-1"
)]
#[case(
    ":view pl<tab><enter>",
    "device,tag:line /tag:site=plant by tag:line down [plant] b-1 a-1"
)]
#[case(
    ":view gone<enter><esc>",
    "device,phase,age / by device [] a-1 a-2 b-1"
)]
fn commands_change_the_table(#[case] keys: &str, #[case] want: &str) {
    let mut model = console();
    press(&mut model, keys).unwrap();
    assert_eq!(state(&model), want);
}

#[test]
fn what_is_shown_is_kept_and_taken_again() {
    let mut model = console();
    press(
        &mut model,
        "/b<enter>:columns tags<enter>:sort tags down<enter>",
    )
    .unwrap();
    let before = state(&model);
    let effects = press(&mut model, ":save mine<enter>").unwrap();
    let saved = effects.into_iter().find_map(|effect| match effect {
        Effect::Views(Keep::Save(name, view)) => Some((name, view)),
        _ => None,
    });
    let saved = saved.unwrap();
    assert_eq!(saved, ("mine".to_owned(), model.view_now()));
    // It is known when it is kept, not before.
    assert_eq!(model.view_in_use(), None);
    let told = Kept {
        views: Some(BTreeMap::from([saved])),
        wrong: Vec::new(),
    };
    update(&mut model, Message::Views(told));
    assert_eq!(model.view_in_use(), Some("mine"));
    press(&mut model, "<esc>:columns<enter>:view mine<enter>").unwrap();
    assert_eq!(state(&model), before.replace("[]", "[mine]"));
    let effects = press(&mut model, ":forget mine<enter>").unwrap();
    assert!(effects.contains(&Effect::Views(Keep::Forget("mine".into()))));
}

#[rstest::rstest]
#[case("save", "under which name?")]
#[case("save a b", "letters, digits")]
#[case("save plant", "stands in the configuration")]
#[case("forget plant", "stands in the configuration")]
#[case(
    "forget",
    "which view? there are plant (/tag:site=plant device,tag:line by tag:line down, of the configuration)"
)]
#[case("view", "which view? there are plant")]
#[case("view x", "no view \"x\"; there are plant")]
#[case("columns device,frimware", "did you mean firmware?")]
#[case("sort nope", "there are device, state")]
#[case("mouse", "The mouse is off")]
fn mistakes_are_said_in_words(#[case] typed: &str, #[case] told: &str) {
    let mut model = console();
    let error = super::super::commands::run(&mut model, typed).unwrap_err();
    assert!(error.contains(told), "{error}");
}

#[rstest::rstest]
#[case("columns ph", &["columns phase"])]
#[case("columns phase,tag:", &["columns phase,tag:line", "columns phase,tag:site"])]
#[case("columns phase, tag:s", &["columns phase, tag:site"])]
#[case("columns phase,ph", &[])]
#[case("sort tag:s", &["sort tag:site"])]
#[case("view p", &["view plant"])]
#[case("forget ", &[])]
#[case("mouse o", &["mouse on", "mouse off"])]
fn names_are_completed(#[case] typed: &str, #[case] want: &[&str]) {
    assert_eq!(completions(&console(), typed), want);
}

/// What is wrong is said, and views that were known stay.
#[test]
fn a_file_that_cannot_be_read_costs_nothing_that_is_known() {
    let mut model = console();
    let mine = BTreeMap::from([("mine".to_owned(), View::default())]);
    kept(
        &mut model,
        Kept {
            views: Some(mine),
            wrong: Vec::new(),
        },
    );
    let broken = Kept {
        views: None,
        wrong: vec!["it is broken".into()],
    };
    update(&mut model, Message::Views(broken));
    assert_eq!(model.notice.as_deref(), Some("it is broken"));
    assert_eq!(names(&model, ""), ["mine", "plant"]);
}
