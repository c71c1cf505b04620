//! The read budget against a hub's own rates: the pure scheduler and the pure
//! engine on a clock of the test's own, the emulator's throttle on the other side.

use std::time::Duration;

use otadeck::domain::event::Command;
use otadeck::emulator::world::throttle::Operation;

use super::support::paced::{Console, Engine, Hub, SECOND, id, midnight};

#[test]
fn one_console_with_a_thousand_updates_gets_no_refusal() {
    let mut hub = Hub::new(vec![Console::new("a", 1_000, Duration::ZERO, 0.4)]);
    hub.run(120 * SECOND);
    assert!(hub.consoles[0].refused.is_empty());
    assert!((7_150..=7_210).contains(&hub.reads()[0]));
}

/// Each may have 60 of the hub's 100 reads a second, so together they ask for
/// too much. They settle before the hub refuses, and share.
#[test]
fn two_consoles_on_one_hub_settle_without_a_storm() {
    let (early, late) = (Duration::ZERO, 20 * SECOND);
    let mut hub = Hub::new(vec![
        Console::new("a", 1_000, early, 0.2),
        Console::new("b", 1_000, late, 0.7),
    ]);
    hub.run(60 * SECOND);
    let before = hub.reads();
    hub.run(600 * SECOND);
    let after = hub.reads();
    let rates: Vec<f64> = after
        .iter()
        .zip(&before)
        .map(|(after, before)| f64::from(after - before) / 600.0)
        .collect();
    let refused: usize = hub.consoles.iter().map(|c| c.refused.len()).sum();
    assert_eq!(refused, 0, "at {rates:?} reads/s");
    let wait = hub.mean_wait();
    assert!(wait < Duration::from_millis(100), "held back for {wait:?}");
    let sum: f64 = rates.iter().sum();
    assert!((75.0..=100.5).contains(&sum), "{rates:?}");
    assert!(rates.iter().all(|rate| *rate > 0.3 * sum), "{rates:?}");
}

/// Twelve consoles, and somebody who takes no notice of anybody: refusals come,
/// few and apart, and nobody is left out.
#[test]
fn a_crowd_is_refused_rarely_and_goes_on() {
    let console = |n: u32| {
        let chance = f64::from(n) / 12.0;
        Console::new(&format!("c{n}"), 300, n * SECOND, chance)
    };
    let mut hub = Hub::new((0..12).map(console).collect());
    for _ in 0..300 {
        hub.run(SECOND);
        for _ in 0..30 {
            let _ = hub
                .throttle
                .admit(Operation::TwinRead, midnight() + hub.now);
        }
    }
    let refused: usize = hub.consoles.iter().map(|c| c.refused.len()).sum();
    let reads: u32 = hub.reads().iter().sum();
    assert!(refused * 100 <= reads as usize, "{refused} of {reads}");
    let share = hub.reads().into_iter().min().unwrap();
    assert!(share * 24 > reads, "{:?}", hub.reads());
}

const HOUR: Duration = Duration::from_secs(3_600);
/// One percent of an S1 unit's day.
const ONE_PERCENT: u64 = 4_000;

/// Nobody touches a key after the first minute.
#[test]
fn a_console_left_open_for_a_day_spends_less_than_one_percent_of_s1() {
    let mut engine = Engine::new(12_400);
    engine.ask(Command::List);
    engine.ask(Command::Attend(true));
    engine.ask(Command::Look(Some(id("press-00007"))));
    engine.pass(300 * SECOND);
    // What the console does when nobody has touched a key for five minutes.
    engine.ask(Command::Attend(false));
    engine.ask(Command::Look(None));
    let wakes = engine.pass(24 * HOUR - 301 * SECOND);
    assert_eq!(engine.pages, 13);
    assert!((10..=11).contains(&engine.reads), "{}", engine.reads);
    assert!(engine.spent <= ONE_PERCENT / 2, "{}", engine.spent);
    assert!(wakes <= 5, "{wakes}: nothing happens, so nobody is woken");
}

/// Somebody is there for a shift of eight hours, looks at a device all the time
/// and opens another one every two minutes. The list is made anew as often as
/// its cost allows.
#[test]
fn a_shift_at_the_console_spends_less_than_one_percent_of_s1() {
    let mut engine = Engine::new(12_400);
    engine.ask(Command::List);
    engine.ask(Command::Attend(true));
    for n in 0..250 {
        engine.ask(Command::Look(Some(id(&format!("press-{n:05}")))));
        engine.pass(115 * SECOND);
    }
    engine.ask(Command::Attend(false));
    engine.ask(Command::Look(None));
    engine.pass(15 * HOUR);
    assert!(engine.reads >= 900, "{}", engine.reads);
    assert!(engine.spent <= ONE_PERCENT, "{}", engine.spent);
    assert!(engine.spent >= u64::from(engine.reads), "all are counted");
    assert!(engine.told < 100, "told {} times", engine.told);
}

/// A small hub's list is cheap, so it is kept fresh.
#[test]
fn a_small_hubs_list_is_fresh_while_somebody_is_there() {
    let mut engine = Engine::new(100);
    engine.ask(Command::List);
    engine.ask(Command::Attend(true));
    engine.pass(4 * HOUR);
    assert!((14..=17).contains(&engine.pages), "{}", engine.pages);
    let before = engine.pages;
    engine.ask(Command::Attend(false));
    engine.pass(4 * HOUR);
    assert_eq!(engine.pages, before);
    engine.ask(Command::Attend(true));
    engine.pass(SECOND);
    assert_eq!(engine.pages, before + 1);
}
