//! Every row's columns begin at the same cell, whatever devices report.

use jiff::Timestamp;
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use serde_json::json;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthChar;

use super::super::super::super::model::{Context, Model};
use super::super::super::super::{press, update};
use super::*;
use crate::console::Message;
use crate::domain::event::{Event, InventoryState, What};
use crate::domain::fake;
use crate::domain::id::DeviceId;
use crate::domain::phase::Phase;
use crate::domain::tags::Tags;

fn row(n: usize, words: &[String]) -> DeviceRow {
    let word = |at: usize| words[(n + at) % words.len()].clone();
    let tags = json!({"a": word(0), "b": {"c": word(1)}, "end": "|"});
    DeviceRow {
        device_id: DeviceId::parse(&format!("d-{n}-{}", "x".repeat(n % 9))).unwrap(),
        connection: Default::default(),
        status: Default::default(),
        last_activity: None,
        firmware: Some(word(2)),
        reported_status: Some(word(3)),
        phase: Some(Phase::Unknown),
        last_update: Some(word(4)),
        tags: Tags::of(tags.as_object().unwrap()),
        seen: Timestamp::UNIX_EPOCH,
    }
}

fn console(words: &[String], size: (u16, u16)) -> Model {
    let profile = fake::profile();
    let mut model = Model::new(Context::new(profile), size, Timestamp::UNIX_EPOCH);
    let rows = (0..12).map(|n| row(n, words)).map(|row| {
        let id = row.device_id.clone();
        let device = Box::new(row);
        Event::device(Timestamp::UNIX_EPOCH, id, What::Device { device })
    });
    let mut events: Vec<Event> = rows.collect();
    let listed = What::Inventory {
        state: InventoryState::Complete,
        count: 12,
        skipped: 0,
        problem: None,
    };
    events.push(Event::general(Timestamp::UNIX_EPOCH, listed));
    update(&mut model, Message::Events(events.into()));
    model
}

fn drawn(model: &Model) -> Buffer {
    let (columns, rows) = model.size;
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal
        .draw(|frame| super::super::super::view(model, frame))
        .unwrap();
    terminal.backend().buffer().clone()
}

/// The cells of a line, each with where it stands; what a wide one covers is none.
fn cells(buffer: &Buffer, y: u16, from: usize, to: usize) -> String {
    let (mut text, mut skip) = (String::new(), 0);
    for x in from..to {
        let symbol = buffer[(u16::try_from(x).unwrap(), y)].symbol();
        if skip > 0 {
            skip -= 1;
            continue;
        }
        text.push_str(symbol);
        skip = width(symbol).saturating_sub(1);
    }
    text
}

/// What an eye sees of a text: a mark without a letter has no cell to stand in, or
/// stands in that of a blank.
fn seen(text: &str) -> String {
    let graphemes = text.graphemes(true).filter(|grapheme| width(grapheme) > 0);
    let bare = |grapheme: &str| {
        let marks = |c: &char| UnicodeWidthChar::width(*c).unwrap_or(0) == 0;
        grapheme.chars().filter(|c| !marks(c)).all(|c| c == ' ')
    };
    let eye = graphemes.map(|grapheme| if bare(grapheme) { " " } else { grapheme });
    eye.collect::<String>().trim().to_owned()
}

/// Words that terminals and measures of width disagree about.
fn words() -> impl Strategy<Value = Vec<String>> {
    let odd = prop::sample::select(vec![
        "プレス機",
        "ﷺ",
        "لا",
        "שלום",
        "e\u{301}\u{301}",
        "👩\u{200d}🔧",
        "🇩🇪",
        "\u{202e}abc",
        "a\u{200f}b",
        "\u{1b}[31m",
        "\t",
        "\0",
        "\u{200b}",
        "한글",
        "ｆｕｌｌ",
        "नमस्ते",
        "ꙮ",
        "\u{ad}x",
        "1\u{fe0f}\u{20e3}",
        "Z\u{335}\u{336}\u{337}\u{338}",
        "",
        "-",
        "\u{2028}",
        // It joins whatever follows.
        "\u{113d1}",
    ]);
    let word = prop_oneof![
        odd.prop_map(str::to_owned),
        "\\PC{0,12}",
        "[a-z ]{0,60}",
        any::<String>(),
    ];
    prop::collection::vec(word, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn columns_stay_where_they_belong(
        words in words(),
        columns in prop::sample::select(vec![
            "device,tag:a,tag:b.c,tag:end",
            "tag:a,device,firmware,phase,tag:end",
            "device,tags,tag:end,age",
            "phase,last,state,tag:end,device",
            "device,state,firmware,phase,last,age",
        ]),
        size in prop::sample::select(vec![(40, 12), (80, 24), (99, 24), (120, 40)]),
    ) {
        let mut model = console(&words, size);
        press(&mut model, &format!(":columns {columns}<enter>")).unwrap();
        let areas = super::super::super::layout::Areas::of(&model);
        let buffer = drawn(&model);
        let grid = Grid::of(&model, usize::from(areas.table.width), areas.table_rows());
        let top = areas.table.y + u16::try_from(areas.table_heading()).unwrap();
        prop_assert!(!grid.rows.is_empty());
        for (n, row) in grid.rows.iter().enumerate() {
            let y = top + u16::try_from(n).unwrap();
            for (at, place) in grid.places.iter().enumerate() {
                let shown = cells(&buffer, y, place.at, place.at + place.width);
                let want = row.cells[at].within(place.width);
                prop_assert_eq!(seen(&shown), seen(&want), "{} in row {}", place.column.name(), n);
                // Between two columns nothing is said.
                if place.at > FRONT {
                    prop_assert_eq!(cells(&buffer, y, place.at - GAP, place.at), "  ");
                }
            }
        }
        // The same seen from outside: what is alike in all rows stands in one column.
        if let Some(end) = grid.places.iter().find(|p| p.column.name() == "tag:end") {
            let at = u16::try_from(end.at).unwrap();
            let lines = top..top + u16::try_from(grid.rows.len()).unwrap();
            prop_assert!(lines.into_iter().all(|y| buffer[(at, y)].symbol() == "|"));
        }
    }

    /// However narrow, nothing overlaps or leaves the table, and the device is there.
    #[test]
    fn columns_have_their_places(all in 12_usize..200, height in 0_usize..9) {
        let mut model = console(&["x".repeat(50)], (120, 40));
        press(&mut model, ":columns device,tags,tag:a,tag:b.c,firmware,phase,last,age<enter>").unwrap();
        let grid = Grid::of(&model, all, height);
        let mut end = FRONT;
        for place in &grid.places {
            prop_assert!(place.at >= end, "{} of {all}", place.column.name());
            end = place.at + place.width + GAP;
        }
        prop_assert!(end - GAP < all, "{end} of {all}");
        prop_assert_eq!(grid.places.len() + grid.hidden(), 8);
        prop_assert_eq!(grid.places[0].column, &Column::Device);
    }
}

/// Which columns are shown, and how wide, from wide to narrow.
#[rstest::rstest]
#[case(
    "device,state,firmware,phase,last,age",
    80,
    "device 12 state 1 firmware 15 phase 16 last 16 age 5",
    0
)]
#[case(
    "device,state,firmware,phase,last,age",
    60,
    "device 12 state 1 firmware 13 phase 16 age 5",
    1
)]
#[case(
    "device,state,firmware,phase,last,age",
    40,
    "device 12 state 1 age 5",
    3
)]
#[case("device,phase,tag:end,age", 40, "device 12 phase 15 tag:end 4", 1)]
#[case("age,device,phase,tag:end", 30, "age 5 device 12", 2)]
fn columns_without_room_leave(
    #[case] columns: &str,
    #[case] all: usize,
    #[case] want: &str,
    #[case] hidden: usize,
) {
    let mut model = console(&["a word that takes room".to_owned()], (120, 40));
    press(&mut model, &format!(":columns {columns}<enter>")).unwrap();
    let grid = Grid::of(&model, all, 12);
    let shown: Vec<String> = grid
        .places
        .iter()
        .map(|place| format!("{} {}", place.column.name(), place.width))
        .collect();
    assert_eq!((shown.join(" ").as_str(), grid.hidden()), (want, hidden));
}

#[test]
fn a_head_is_found_where_it_stands() {
    let mut model = console(&["1.4.2".to_owned()], (80, 24));
    press(&mut model, ":columns device,tag:end,age<enter>").unwrap();
    let grid = Grid::of(&model, 80, 9);
    let heads = grid.heads();
    let text: String = heads.spans.iter().map(|s| s.content.as_ref()).collect();
    for name in ["device", "end", "age"] {
        let at = text.find(name).unwrap();
        let column = grid.column_at(at).unwrap();
        assert!(column.name().ends_with(name), "{name}: {column:?}");
    }
    assert_eq!(grid.column_at(0), None);
}
