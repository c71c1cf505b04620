//! What the terminal is told beside frames: its title, and that an update has ended.
//!
//! Both go out with a frame, before it, and never in the middle of one.

use std::fmt::Write as _;

use super::model::Model;
use super::text::{cut, plural, safe};
use crate::domain::update::Update;

/// Keeps the terminal's title on its own pile, and takes it from there again.
pub(super) const SAVE_TITLE: &[u8] = b"\x1b[22;0t";
/// The same, back.
pub(super) const RESTORE_TITLE: &[u8] = b"\x1b[23;0t";
/// Columns of a title, and of what is said of an update that has ended.
const LONGEST: usize = 80;
/// Columns of the hub's name in it.
const NAME: usize = 40;

/// How much goes to the terminal, and what it is told beside frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The most frames a second: 1 to 60.
    pub max_fps: u8,
    /// Set the terminal's title?
    pub title: bool,
    /// What says that an update has ended.
    pub notify: Notify,
    /// Is the terminal inside tmux, which passes on only what is wrapped for it?
    pub tmux: bool,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            max_fps: 60,
            title: true,
            notify: Notify::Bell,
            tmux: false,
        }
    }
}

/// What says that an update has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notify {
    /// The terminal's bell.
    #[default]
    Bell,
    /// A notification of the desktop, by the sequence OSC 9, as far as the terminal
    /// knows it.
    Osc9,
    /// Nothing.
    Off,
}

/// The updates that have ended before the operator's eyes. Replays and the past are
/// none of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ended {
    count: u64,
    /// The last one in words.
    last: String,
}

impl Ended {
    /// One more has ended.
    pub(crate) fn note(&mut self, update: &Update) {
        self.count += 1;
        self.last = format!("{} {}", safe(update.device.as_str()), update.word());
    }
}

/// What the terminal was told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    title: String,
    ended: u64,
}

impl Told {
    /// The terminal was another's meanwhile.
    pub(super) fn forget(&mut self) {
        self.title.clear();
    }

    /// What it has to be told now: nothing, unless something is new.
    pub(super) fn news(&mut self, model: &Model) -> String {
        let wire = &model.context.wire;
        let mut news = String::new();
        if wire.title {
            let title = title(model);
            if title != self.title {
                // A text takes everything.
                let _ = write!(news, "\x1b]2;{title}\x07");
                self.title = title;
            }
        }
        let ended = &model.updates.ended;
        let new = ended.count.saturating_sub(self.ended);
        self.ended = ended.count;
        if new > 0 {
            news.push_str(&notice(wire, new, &ended.last));
        }
        news
    }
}

/// One bell or notification, however many have ended.
fn notice(wire: &Wire, new: u64, last: &str) -> String {
    let words = match new {
        1 => last.to_owned(),
        n => format!("{n} updates have ended"),
    };
    // What begins with a number would be another command to some terminals.
    let words = cut(&format!("otadeck: {words}"), LONGEST);
    match (wire.notify, wire.tmux) {
        (Notify::Off, _) => String::new(),
        (Notify::Bell, _) => "\x07".to_owned(),
        (Notify::Osc9, false) => format!("\x1b]9;{words}\x07"),
        (Notify::Osc9, true) => format!("\x1bPtmux;\x1b\x1b]9;{words}\x07\x1b\\"),
    }
}

/// The terminal's title: which hub, and what goes on there.
fn title(model: &Model) -> String {
    let mut parts = vec!["otadeck".to_owned()];
    parts.push(cut(&safe(&model.context.profile.name), NAME));
    match model.in_flight() {
        _ if model.replay.is_some() => parts.push("replay".to_owned()),
        0 => {}
        n => parts.push(plural(n, "update")),
    }
    let between = if model.context.look.ascii {
        " - "
    } else {
        " · "
    };
    let title = cut(&parts.join(between), LONGEST);
    match model.context.look.ascii {
        true => title
            .chars()
            .map(|c| if c.is_ascii() { c } else { '?' })
            .collect(),
        false => title,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::Value;

    use super::super::message::Message;
    use super::super::model::Context;
    use super::super::update;
    use super::*;
    use crate::domain::event::{Event, What};
    use crate::domain::id::{DeviceId, UpdateId};
    use crate::domain::profile::Profile;
    use crate::domain::replay::Replay;
    use crate::domain::update::Outcome;

    fn start() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    fn console(hub: &str, wire: Wire) -> Model {
        let profile = Profile {
            name: hub.into(),
            host: "plant.azure-devices.net".into(),
            environment: None,
            read_only: false,
            tier: None,
            units: 1,
        };
        let context = Context {
            wire,
            ..Context::new(profile)
        };
        Model::new(context, (80, 24), start())
    }

    fn event(device: &str, what: What) -> Event {
        let id = UpdateId::from_text(device);
        Event::update(start(), DeviceId::parse(device).unwrap(), id, what)
    }

    fn begun(device: &str) -> Event {
        event(device, What::Intended(Box::default()))
    }

    fn ended(device: &str) -> Event {
        let what = What::Verdict {
            outcome: Outcome::Completed,
            reason: "done".into(),
            evidence: None,
            reported: Value::Null,
            problem: None,
        };
        event(device, what)
    }

    fn tell(model: &mut Model, events: Vec<Event>) {
        update(model, Message::Events(events.into()));
    }

    #[test]
    fn the_title_says_the_hub_and_how_many_updates_and_only_when_it_changes() {
        let mut model = console("plant", Wire::default());
        let mut told = Told::default();
        assert_eq!(told.news(&model), "\x1b]2;otadeck · plant\x07");
        assert_eq!(told.news(&model), "");
        tell(&mut model, vec![begun("a"), begun("b")]);
        assert_eq!(told.news(&model), "\x1b]2;otadeck · plant · 2 updates\x07");
        assert_eq!(told.news(&model), "");
        told.forget();
        assert!(told.news(&model).contains("2 updates"));
        tell(&mut model, vec![ended("a")]);
        let title = "\x1b]2;otadeck · plant · 1 update\x07";
        assert_eq!(told.news(&model), format!("{title}\x07"));
    }

    #[test]
    fn nothing_of_a_name_ends_the_title() {
        let model = console("a\x07b\x1b]2;c\u{9c}\u{202e}", Wire::default());
        let news = Told::default().news(&model);
        let title = news.strip_prefix("\x1b]2;").unwrap();
        let title = title.strip_suffix('\x07').unwrap();
        assert!(!title.chars().any(char::is_control), "{title:?}");
        assert!(!title.contains('\u{202e}'), "{title:?}");
        let long = console(&"x".repeat(5_000), Wire::default());
        assert!(Told::default().news(&long).chars().count() < 100);
    }

    #[test]
    fn several_that_end_at_once_are_one_bell() {
        let wire = |notify, tmux| Wire {
            title: false,
            notify,
            tmux,
            ..Wire::default()
        };
        for (wire, one, three) in [
            (wire(Notify::Bell, true), "\x07", "\x07"),
            (
                wire(Notify::Osc9, false),
                "\x1b]9;otadeck: a completed\x07",
                "\x1b]9;otadeck: 3 updates have ended\x07",
            ),
            (
                wire(Notify::Osc9, true),
                "\x1bPtmux;\x1b\x1b]9;otadeck: a completed\x07\x1b\\",
                "\x1bPtmux;\x1b\x1b]9;otadeck: 3 updates have ended\x07\x1b\\",
            ),
            (wire(Notify::Off, false), "", ""),
        ] {
            let (mut model, mut told) = (console("plant", wire), Told::default());
            tell(&mut model, vec![begun("a")]);
            assert_eq!(told.news(&model), "");
            tell(&mut model, vec![ended("a")]);
            assert_eq!(told.news(&model), one);
            tell(&mut model, vec![ended("a")]);
            assert_eq!(told.news(&model), "", "it has ended once");
            tell(
                &mut model,
                vec![begun("b"), begun("c"), begun("d"), ended("b")],
            );
            tell(&mut model, vec![ended("c"), ended("d")]);
            assert_eq!(told.news(&model), three);
        }
    }

    #[test]
    fn the_past_rings_no_bell() {
        let silent = Wire {
            title: false,
            ..Wire::default()
        };
        let mut told = Told::default();
        let past = vec![begun("a"), ended("a")];
        let replay = Replay::new(&past, 100, start()).unwrap();
        let context = console("plant", silent.clone()).context;
        let mut model = Model::replaying(context, replay, (80, 24), start());
        let later = start() + jiff::SignedDuration::from_hours(1);
        update(&mut model, Message::Tick(later));
        assert_eq!(told.news(&model), "");
        // One that had ended before it was told of.
        let mut model = console("plant", silent);
        let over = || {
            let mut update = Update::intended(&begun("a")).unwrap();
            update.apply(&ended("a"));
            update
        };
        model.updates.restore(over());
        assert_eq!(told.news(&model), "");
        // One that ended while the console lagged.
        let mut model = console(
            "plant",
            Wire {
                title: false,
                ..Wire::default()
            },
        );
        tell(&mut model, vec![begun("a")]);
        model.updates.restore(over());
        assert_eq!(told.news(&model), "\x07");
    }
}
