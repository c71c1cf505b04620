//! The log screen, and what goes into the log beside events.

use super::super::action::Action;
use super::super::message::Effect;
use super::super::model::field::Field;
use super::super::model::log::{LogScreen, Weight};
use super::super::model::{Cover, Focus, Model};
use super::super::view::layout::Areas;
use super::super::view::log::rows;
use super::panel;
use crate::domain::event::{Event, What};

/// Opens the screen, with a filter.
pub(super) fn open(model: &mut Model, filter: &str) {
    model.cover = Some(Cover::Log(LogScreen::holding(filter)));
}

/// Something that is to be known, and that no event tells.
pub(super) fn notice(model: &mut Model, text: &str) {
    model.log.note(model.now, Weight::Doubt, "notice", text);
}

/// Shows it, too.
pub(super) fn show(model: &mut Model, text: String) {
    notice(model, &text);
    model.notice = Some(text);
}

/// Events were missed.
pub(super) fn lagged(model: &mut Model) {
    model.log.take(&Event::general(model.now, What::Lagged {}));
}

/// An action while the keys go to the lines.
pub(super) fn list(model: &mut Model, action: Action) -> Vec<Effect> {
    let page = isize::try_from(rows(Areas::of(model).page).max(1)).unwrap_or(isize::MAX);
    let Some(Cover::Log(screen)) = &mut model.cover else {
        return Vec::new();
    };
    let lines = model.log.holding(screen.text());
    match action {
        Action::Next => screen.step(&lines, 1),
        Action::Previous => screen.step(&lines, -1),
        Action::PageDown => screen.step(&lines, page),
        Action::PageUp => screen.step(&lines, -page),
        Action::First => screen.step(&lines, isize::MIN),
        Action::Last => screen.step(&lines, isize::MAX),
        Action::Filter => screen.typing = true,
        Action::Open => {
            let line = lines.get(screen.selected(&lines));
            if let Some(device) = line.and_then(|line| line.device.clone()) {
                model.cover = None;
                model.history = None;
                model.flights = None;
                panel::open(model, device, Focus::Details);
            }
        }
        Action::Back if !screen.text().is_empty() => screen.filter = Field::default(),
        Action::Back | Action::Log => model.cover = None,
        _ => {}
    }
    Vec::new()
}

/// An action while the filter is typed.
pub(super) fn find(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(Cover::Log(screen)) = &mut model.cover else {
        return Vec::new();
    };
    let lines = model.log.holding(screen.text());
    match action {
        Action::Submit => screen.typing = false,
        Action::Next => screen.step(&lines, 1),
        Action::Previous => screen.step(&lines, -1),
        Action::Back => {
            screen.filter = Field::default();
            screen.typing = false;
        }
        _ => {}
    }
    Vec::new()
}

/// Changes the filter's text.
pub(super) fn edit(model: &mut Model, change: impl FnOnce(&mut Field)) {
    if let Some(Cover::Log(screen)) = &mut model.cover {
        change(&mut screen.filter);
    }
}

/// Keeps the selected line in the window.
pub(super) fn settle(model: &mut Model) {
    let rows = rows(Areas::of(model).page);
    if let Some(Cover::Log(screen)) = &mut model.cover {
        screen.settle(rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::keymap::Place;
    use crate::console::model::Context;
    use crate::console::{Message, press, update};
    use crate::domain::fake;
    use crate::domain::id::DeviceId;
    use crate::domain::problem::{Kind, Problem};
    use jiff::Timestamp;

    fn model() -> Model {
        let profile = fake::profile();
        Model::new(Context::new(profile), (80, 24), Timestamp::UNIX_EPOCH)
    }

    fn refused(model: &mut Model, device: &str) {
        let problem = Problem::new(Kind::Busy, "busy", "by bo");
        let device = DeviceId::parse(device).unwrap();
        let event = Event::device(Timestamp::UNIX_EPOCH, device, What::Refused { problem });
        update(model, Message::Events([event].into()));
    }

    /// Keys, then the place where they go.
    #[rstest::rstest]
    #[case("L", Place::Log)]
    #[case(":log press-1<enter>", Place::Log)]
    #[case("L/", Place::Find)]
    #[case("L/press<enter>", Place::Log)]
    #[case("L/press<esc>", Place::Log)]
    #[case("L/press<enter><esc>", Place::Log)]
    #[case("L/press<enter><esc><esc>", Place::Table)]
    #[case("LL", Place::Table)]
    #[case("L<enter>", Place::Details)]
    #[case("L/nowhere<enter><enter>", Place::Log)]
    fn keys_go_where_they_should(#[case] keys: &str, #[case] place: Place) {
        let mut model = model();
        refused(&mut model, "press-1");
        press(&mut model, keys).unwrap();
        assert_eq!(model.place(), place, "{keys}");
    }

    #[test]
    fn enter_opens_the_device_of_the_line() {
        let mut model = model();
        refused(&mut model, "press-1");
        refused(&mut model, "press-2");
        press(&mut model, "Lk<enter>").unwrap();
        assert!(model.panel_is_of(&DeviceId::parse("press-1").unwrap()));
    }

    #[test]
    fn a_notice_that_was_dismissed_is_still_there() {
        let mut model = model();
        update(&mut model, Message::Notice("no space left".into()));
        update(&mut model, Message::Lagged);
        press(&mut model, "<esc>").unwrap();
        assert_eq!(model.notice, None);
        assert_eq!(model.log.holding("no space left").len(), 1);
        assert_eq!(model.log.holding("missed").len(), 1);
    }
}
