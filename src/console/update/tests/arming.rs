//! Production, armed and disarmed by keys, and what a question asks then.

use super::*;

fn production() -> Model {
    let environment = Some("Production".to_owned());
    console_on(
        Profile {
            environment,
            ..profile()
        },
        80,
    )
}

fn armed_until(model: &mut Model, millis: Option<i64>) {
    let until = millis.map(at);
    tell(model, vec![Event::general(at(0), What::Arming { until })]);
}

fn later(model: &mut Model, millis: i64) {
    update(model, Message::Tick(at(millis)));
}

const MINUTE: i64 = 60_000;

#[test]
fn while_armed_an_order_needs_a_y_alone() {
    let mut model = production();
    armed_until(&mut model, Some(5 * MINUTE));
    press(&mut model, &format!("<enter>{URI}<enter>")).unwrap();
    assert_eq!(model.place(), Place::Confirm);
    // A key that is held down is no yes.
    let held = press(&mut model, "<enter><enter><enter>").unwrap();
    assert_eq!(started(&held), [""; 0]);
    assert_eq!(model.place(), Place::Confirm);
    assert!(model.brief.as_deref().unwrap().contains("y sends it"));
    let sent = press(&mut model, "y").unwrap();
    // It is not armed anew: nobody has typed anything.
    assert_eq!(started(&sent), [format!("a-1 {URI}")]);
}

/// Nobody can answer what cannot be read.
#[test]
fn a_question_on_a_tiny_screen_takes_no_yes() {
    let mut model = production();
    armed_until(&mut model, Some(5 * MINUTE));
    press(&mut model, &format!("<enter>{URI}<enter>")).unwrap();
    update(&mut model, Message::Resize(10, 3));
    assert_eq!(started(&press(&mut model, "y").unwrap()), [""; 0]);
    update(&mut model, Message::Resize(40, 12));
    assert_eq!(
        started(&press(&mut model, "y").unwrap()),
        [format!("a-1 {URI}")]
    );
}

/// The time runs out while the question is open.
#[rstest::rstest]
#[case(|model: &mut Model| later(model, 5 * MINUTE))]
#[case(|model: &mut Model| armed_until(model, None))]
#[case(|model: &mut Model| drop(update(model, Message::Suspended)))]
fn an_open_question_asks_for_the_name_when_it_is_armed_no_more(#[case] ends: fn(&mut Model)) {
    let mut model = production();
    armed_until(&mut model, Some(5 * MINUTE));
    press(&mut model, &format!("<enter>{URI}<enter>")).unwrap();
    later(&mut model, 5 * MINUTE - 1);
    assert_eq!(model.place(), Place::Confirm);
    ends(&mut model);
    assert_eq!(model.place(), Place::Arm);
    assert_eq!(started(&press(&mut model, "y<enter>").unwrap()), [""; 0]);
    let sent = press(&mut model, "<ctrl-u>plant<enter>").unwrap();
    assert_eq!(started(&sent), ["arm plant", &format!("a-1 {URI}")]);
}

/// What is typed of a name must not become an answer.
#[test]
fn a_question_that_asks_for_the_name_goes_on_asking() {
    let mut model = production();
    press(&mut model, &format!("<enter>{URI}<enter>pla")).unwrap();
    armed_until(&mut model, Some(5 * MINUTE));
    assert_eq!(model.place(), Place::Arm);
    assert_eq!(started(&press(&mut model, "y<enter>").unwrap()), [""; 0]);
}

#[rstest::rstest]
#[case("plant<enter>", &["arm plant"], Place::Table)]
#[case("  plant <enter>", &["arm plant"], Place::Table)]
#[case("plan<enter>", &[], Place::Arm)]
#[case("plan<enter>t<enter>", &["arm plant"], Place::Table)]
#[case("y", &[], Place::Arm)]
#[case("<enter>", &[], Place::Arm)]
#[case("plant<esc><enter>", &[], Place::Field)]
fn arming_is_a_question(#[case] keys: &str, #[case] want: &[&str], #[case] place: Place) {
    let mut model = production();
    assert_eq!(press(&mut model, ":arm<enter>").unwrap(), []);
    assert_eq!(model.place(), Place::Arm);
    assert!(model.place().asks(), "keys typed ahead answer nothing");
    assert_eq!(started(&press(&mut model, keys).unwrap()), want);
    assert_eq!(model.place(), place);
}

/// No line that was typed before arms anything.
#[test]
fn no_command_that_is_called_back_arms() {
    let mut model = production();
    press(&mut model, ":arm plant<enter>").unwrap();
    assert_eq!(model.place(), Place::Prompt, "a name has no place there");
    press(&mut model, "<esc>:arm<enter>plant<enter>").unwrap();
    for back in ["<up>", "<up><up>", "<up><up><up>"] {
        let sent = press(
            &mut model,
            &format!(":{back}<enter><enter>y<enter><esc><esc>"),
        )
        .unwrap();
        assert_eq!(started(&sent), [""; 0], "{back}");
    }
}

#[test]
fn disarming_needs_no_question() {
    let mut model = production();
    assert_eq!(press(&mut model, ":disarm<enter><esc>").unwrap(), []);
    armed_until(&mut model, Some(MINUTE));
    let sent = press(&mut model, ":disarm<enter>").unwrap();
    assert_eq!(sent, [Effect::Send(Command::Disarm)]);
}

#[rstest::rstest]
#[case(None, false)]
#[case(Some("staging"), false)]
#[case(Some("production"), true)]
fn other_hubs_are_not_armed(#[case] environment: Option<&str>, #[case] read_only: bool) {
    let mut model = console_on(
        Profile {
            environment: environment.map(str::to_owned),
            read_only,
            ..profile()
        },
        80,
    );
    press(&mut model, ":arm<enter>").unwrap();
    assert_eq!(model.place(), Place::Prompt);
}

/// To take a device over its id is typed, armed or not.
#[test]
fn a_device_that_somebody_has_needs_its_id_all_the_same() {
    use crate::domain::holding::Holding;
    let mut model = production();
    armed_until(&mut model, Some(5 * MINUTE));
    press(&mut model, &format!("<enter>{URI}<enter>y")).unwrap();
    let update = Update::intended(&intended("a-1")).unwrap();
    let problem = Problem::new(Kind::Busy, "a-1 is busy", "another").held(Holding::of(&update));
    let refused = What::Refused { problem };
    tell(&mut model, vec![Event::device(at(5), id("a-1"), refused)]);
    press(&mut model, "<enter><enter>").unwrap();
    assert_eq!(model.place(), Place::Arm);
    assert_eq!(started(&press(&mut model, "y<enter>").unwrap()), [""; 0]);
    let sent = press(&mut model, "<ctrl-u>a-1<enter>").unwrap();
    assert_eq!(started(&sent), [format!("a-1 {URI}")]);
}

#[test]
fn the_name_that_was_being_typed_is_forgotten_by_a_stop() {
    let mut model = production();
    press(&mut model, ":arm<enter>plant").unwrap();
    update(&mut model, Message::Suspended);
    assert_eq!(started(&press(&mut model, "<enter>").unwrap()), [""; 0]);
    assert_eq!(model.place(), Place::Arm);
}

/// The countdown wakes the console when its word changes, and at no other time.
#[test]
fn the_countdown_wakes_once_a_minute() {
    let mut model = production();
    // Nothing else on the screen ages; in five minutes nobody is there any more.
    press(&mut model, "/nothing<enter>").unwrap();
    assert_eq!(next_wake(&model), Some(at(5 * MINUTE)));
    armed_until(&mut model, Some(3 * MINUTE + 10));
    let mut woken = Vec::new();
    while model.is_armed() {
        let wake = next_wake(&model).unwrap();
        assert!(wake > model.now);
        update(&mut model, Message::Tick(wake));
        woken.push(wake.duration_since(start()).as_millis());
    }
    assert_eq!(woken, [10, 60_010, 120_010, 180_010]);
    assert!(!model.is_armed());
}

/// From every place but the questions, whatever key is pressed: nothing is sent to a
/// device, nothing is given up, nothing is armed. Not even on production that is armed.
#[rstest::rstest]
#[case("", Place::Table)]
#[case("/a", Place::Filter)]
#[case(":arm", Place::Prompt)]
#[case(":", Place::Prompt)]
#[case("j<enter>", Place::Field)]
#[case("j<enter>https://x.test/fw.bin", Place::Field)]
#[case("j<enter><down>", Place::Pick)]
#[case("<tab>", Place::Details)]
#[case("<tab>/a", Place::Search)]
#[case("u", Place::Updates)]
#[case("H", Place::History)]
#[case("H/a", Place::Find)]
#[case("q", Place::Quit)]
#[case("?", Place::Help)]
fn no_single_key_writes(#[case] keys: &str, #[case] place: Place) {
    let mut model = production();
    model.samples = vec![PackageUri::parse(URI).unwrap()];
    armed_until(&mut model, Some(5 * MINUTE));
    tell(&mut model, vec![intended("a-1")]);
    press(&mut model, keys).unwrap();
    assert_eq!(model.place(), place);
    let places = [place, Place::Anywhere].into_iter();
    let bound = places.flat_map(|place| model.keymap.at(place).to_vec());
    let bound = bound.flat_map(|binding| binding.keys);
    let named = bound.filter(|key| key.chars().count() > 1);
    let named = named.map(|key| format!("<{}>", key.trim_matches(['<', '>'])));
    let letters = (' '..='~').map(|c| match c {
        '<' => "<lt>".to_owned(),
        c => c.to_string(),
    });
    for key in letters.chain(named) {
        for effect in press(&mut model.clone(), &key).unwrap() {
            let harmless = match &effect {
                Effect::Send(command) => matches!(
                    command,
                    Command::List
                        | Command::Look(_)
                        | Command::Focus(_)
                        | Command::Attend(_)
                        | Command::Inspect(_)
                ),
                _ => true,
            };
            assert!(harmless, "{key}: {effect:?}");
        }
    }
}
