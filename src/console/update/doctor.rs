//! The doctor's screen.

use super::super::action::Action;
use super::super::message::Effect;
use super::super::model::doctor::Examination;
use super::super::model::{Cover, Model};
use super::super::view::doctor;
use super::super::view::layout::Areas;
use crate::domain::doctor::{Check, Verdict};
use crate::domain::event::{Event, What};

/// Opens the screen and asks for everything to be looked at.
pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    model.cover = Some(Cover::Doctor(Examination::begun()));
    vec![Effect::Examine]
}

/// An action there.
pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let page = usize::from(Areas::of(model).page.height.max(3)) - 2;
    let Some(Cover::Doctor(examination)) = &mut model.cover else {
        return Vec::new();
    };
    let scroll = &mut examination.scroll;
    match action {
        Action::List => return open(model),
        Action::Back => model.cover = None,
        Action::Next => *scroll += 1,
        Action::Previous => *scroll = scroll.saturating_sub(1),
        Action::PageDown => *scroll += page,
        Action::PageUp => *scroll = scroll.saturating_sub(page),
        Action::First => *scroll = 0,
        Action::Last => *scroll = usize::MAX,
        _ => {}
    }
    Vec::new()
}

/// One more check has come out, or none will come any more. What is not well stays
/// in the log when the screen is left.
pub(super) fn told(model: &mut Model, check: Option<Check>) {
    if let Some(check) = check.as_ref().filter(|c| c.result != Verdict::Ok) {
        let event = Event::general(model.now, What::Checked(check.clone()));
        model.log.take(&event);
    }
    if let Some(Cover::Doctor(examination)) = &mut model.cover {
        examination.running = check.is_some();
        examination.checks.extend(check);
    }
}

/// Keeps the text within its length.
pub(super) fn settle(model: &mut Model) {
    let page = Areas::of(model).page;
    let Some(Cover::Doctor(examination)) = &model.cover else {
        return;
    };
    let most = doctor::overflow(model, examination, page);
    if let Some(Cover::Doctor(examination)) = &mut model.cover {
        examination.scroll = examination.scroll.min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::keymap::Place;
    use crate::console::model::Context;
    use crate::console::{Message, press, update};
    use crate::domain::fake;
    use jiff::Timestamp;

    fn check(result: Verdict) -> Message {
        Message::Checked(Some(Check {
            check: "tls".into(),
            result,
            found: "something".into(),
            hint: String::new(),
        }))
    }

    #[test]
    fn it_is_asked_shown_asked_again_and_left() {
        let profile = fake::profile();
        let mut model = Model::new(Context::new(profile), (80, 24), Timestamp::UNIX_EPOCH);
        let effects = press(&mut model, ":doctor<enter>").unwrap();
        assert!(effects.contains(&Effect::Examine), "{effects:?}");
        assert_eq!(model.place(), Place::Doctor);
        for result in [Verdict::Ok, Verdict::Failed, Verdict::Warning] {
            update(&mut model, check(result));
        }
        let shown = |model: &Model| match &model.cover {
            Some(Cover::Doctor(e)) => (e.checks.len(), e.running),
            _ => panic!("no doctor"),
        };
        assert_eq!(shown(&model), (3, true));
        update(&mut model, Message::Checked(None));
        assert_eq!(shown(&model), (3, false));
        let effects = press(&mut model, "r").unwrap();
        assert!(effects.contains(&Effect::Examine), "{effects:?}");
        assert_eq!(shown(&model), (0, true));
        press(&mut model, "<esc>").unwrap();
        assert_eq!(model.place(), Place::Table);
        // What comes late harms nothing; what was not well is in the log.
        update(&mut model, check(Verdict::Ok));
        assert_eq!(model.log.holding("doctor tls").len(), 2);
    }
}
