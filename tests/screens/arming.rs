//! Production: armed, being armed, and asked about; and what is said of a copy.

use jiff::SignedDuration;
use otadeck::console::{Message, update};
use otadeck::domain::event::What;
use otadeck::domain::profile::Profile;

use super::scenes::{Scene, Stage, noon, plant};

const URI: &str = "https://fw.example.com/press/fw-1.5.0.bin";

/// A production hub, armed for so many seconds more.
fn production(size: (u16, u16), colour: bool, armed: Option<i64>) -> Stage {
    let profile = Profile {
        environment: Some("production".into()),
        ..plant()
    };
    let mut stage = Stage::new(profile, size, colour);
    stage.online().listed();
    if let Some(seconds) = armed {
        let until = Some(noon() + SignedDuration::from_secs(seconds));
        stage.general(What::Arming { until });
    }
    stage
}

/// All of them.
pub const SCENES: [Scene; 9] = [
    ("armed", |size, colour| {
        let mut stage = production(size, colour, Some(300));
        stage.busy().keys("jj").later(0.3);
        stage
    }),
    ("armed-last-minute", |size, colour| {
        let mut stage = production(size, colour, Some(42));
        stage.busy().away(44.0, 12).keys("jj").later(0.3);
        stage
    }),
    ("arm", |size, colour| {
        let mut stage = production(size, colour, None);
        stage.keys(":arm<enter>conto");
        stage
    }),
    ("arm-again", |size, colour| {
        let mut stage = production(size, colour, Some(70));
        stage.keys(":arm<enter>contoso<enter>");
        stage
    }),
    ("confirm-armed", |size, colour| {
        let mut stage = production(size, colour, Some(160));
        stage.keys("jj<enter>").twin("press-0040");
        stage.keys(&format!("{URI}<enter>")).inspected(URI, 200);
        stage
    }),
    ("confirm-unarmed", |size, colour| {
        let mut stage = production(size, colour, None);
        stage.keys("jj<enter>").twin("press-0040");
        stage.keys(&format!("{URI}<enter>")).inspected(URI, 200);
        stage
    }),
    ("confirm-copied", |size, colour| {
        let mut stage = production(size, colour, Some(160));
        stage.keys("/004<enter>a<esc>jj<enter>");
        stage.keys(&format!("{URI}<enter>")).inspected(URI, 200);
        let said = "Copied the command for 10 devices, if the terminal allows it (OSC 52).";
        update(&mut stage.model, Message::Copied(said.into()));
        stage
    }),
    ("copied", |size, colour| {
        let mut stage = production(size, colour, None);
        stage.busy().keys("jj").later(0.3);
        let said = "Copied the id of press-0040, if the terminal allows it (OSC 52).";
        update(&mut stage.model, Message::Copied(said.into()));
        stage
    }),
    ("give-up", |size, colour| {
        let mut stage = production(size, colour, Some(160));
        stage.busy().keys(":device press-0039<enter><tab>x");
        stage
    }),
];
