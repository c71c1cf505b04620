//! Properties over arbitrary histories of a device that may lie: it sends old
//! state again, restarts, skips, goes back, is replaced, says what it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

use super::*;
use crate::domain::dialect::{Description, Dialect, Dialects, Places, Starts};
use crate::domain::event::Intent;
use crate::domain::fake::FakeTwin;
use crate::domain::twin::Path;

/// Words of all dialects, and one of none.
static WORDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let dialects = dialects();
    let words = dialects.iter().flat_map(Dialect::words);
    let words: BTreeSet<&str> = words.chain(["odd"]).collect();
    words.into_iter().map(str::to_owned).collect()
});

/// What may stand beside a status.
static BESIDE: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let words = ["", "1.0.0", "1.1.0", "2026-01-01", "2026-01-02"];
    let agent = [json!("{\"version\":\"1.1.0\"}"), json!(0), json!(700)];
    let stages = ["Running", "Complete", "Failed"];
    let texts = words.into_iter().chain(stages).map(Value::from);
    texts.chain(agent).collect()
});

/// The built-in families, and two as somebody may configure them: one that says
/// the same at rest and at the end, and one with every place that there is.
fn dialects() -> Dialects {
    let configured = |name: &str, values: &[(&str, Phase)], rest: &[&str], places| {
        Dialect::from(Description {
            name: name.to_owned(),
            status: format!("{name}.state").as_str().into(),
            values: values
                .iter()
                .map(|(word, phase)| ((*word).to_owned(), *phase))
                .collect(),
            rest: rest.iter().map(|word| (*word).to_owned()).collect(),
            places,
            starts: Starts::WatchedOnly,
        })
    };
    let at = |path: &str| Some(Path::from(path));
    let busy = [
        ("busy", Phase::Applying),
        ("ok", Phase::Done),
        ("bad", Phase::Failed),
    ];
    let whole = Places {
        percent: at("whole.percent"),
        version: at("whole.version"),
        pending: at("whole.pending"),
        uri: at("whole.uri"),
        error: at("whole.error"),
        substatus: at("whole.substatus"),
        end: at("whole.end"),
        run: at("whole.run"),
    };
    Dialects::with([
        configured("rest", &busy, &["ok"], Places::default()),
        configured("whole", &busy, &["idle"], whole),
    ])
}

/// What may happen to a device and its twin.
#[derive(Clone, Debug)]
enum Happening {
    /// It reports a status that any dialect knows.
    Status(Index),
    /// It reports one that its own dialect knows, in one case or another.
    Own(Index, bool),
    /// It reports something beside the status: a version, an end time, a run.
    Beside(Index, Index),
    /// It sends one of the things again that it had reported, stamped anew.
    Again(usize),
    /// It sends all again.
    AllAgain,
    /// Its twin is replaced by a new one.
    Replaced,
    /// Nothing happens for the deadline.
    Silence,
    /// The twin is read.
    Read,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        1 => any::<Index>().prop_map(Happening::Status),
        4 => any::<(Index, bool)>().prop_map(|(n, upper)| Happening::Own(n, upper)),
        3 => any::<(Index, Index)>().prop_map(|(path, n)| Happening::Beside(path, n)),
        2 => (0usize..8).prop_map(Happening::Again),
        1 => Just(Happening::AllAgain),
        1 => Just(Happening::Replaced),
        1 => Just(Happening::Silence),
        5 => Just(Happening::Read),
    ]
}

fn histories() -> impl Strategy<Value = (Vec<Happening>, Vec<Happening>, usize)> {
    let some = |n| prop::collection::vec(happening(), 0..n);
    let dialects = dialects().iter().count();
    (some(8), some(40), 0..dialects)
}

/// A device, its twin, and the update that is judged from it.
struct World {
    dialect: Dialect,
    twin: FakeTwin,
    /// What the twin holds, by path.
    held: BTreeMap<String, Value>,
    /// The same when the order went out.
    baseline: BTreeMap<String, Value>,
    /// What was written since that the baseline did not hold.
    news: bool,
    update: Option<(Update, Sight)>,
    /// The hub's clock when the order went out.
    ordered: Option<Timestamp>,
    said: Vec<(Update, What)>,
}

impl World {
    fn new(dialect: &Dialect) -> Self {
        Self {
            dialect: dialect.clone(),
            twin: FakeTwin::new("press-7"),
            held: BTreeMap::new(),
            baseline: BTreeMap::new(),
            news: false,
            update: None,
            ordered: None,
            said: Vec::new(),
        }
    }

    fn write(&mut self, path: &str, value: Value) {
        let of_baseline = match (self.baseline.get(path), &value) {
            (Some(Value::String(a)), Value::String(b)) => a.eq_ignore_ascii_case(b),
            (before, now) => before == Some(now),
        };
        self.news |= !of_baseline;
        self.held.insert(path.to_owned(), value.clone());
        let steps: Vec<String> = Path::from(path).steps().map(str::to_owned).collect();
        let patch = steps.into_iter().rev().fold(value, |inner, step| {
            Value::Object(Map::from_iter([(step, inner)]))
        });
        self.twin.report(patch);
    }

    fn happen(&mut self, happening: &Happening) {
        let status = self.dialect.status.to_string();
        match happening {
            Happening::Status(n) => self.write(&status, json!(n.get(&WORDS))),
            Happening::Own(n, upper) => {
                let words: Vec<&str> = self.dialect.words().collect();
                let word = match upper {
                    true => n.get(&words).to_uppercase(),
                    false => (*n.get(&words)).to_owned(),
                };
                self.write(&status, json!(word));
            }
            Happening::Beside(path, n) => {
                let paths = self.dialect.paths_beside();
                if !paths.is_empty() {
                    self.write(&path.get(&paths).to_string(), n.get(&BESIDE).clone());
                }
            }
            Happening::Again(n) => {
                if let Some((path, value)) = self.held.iter().nth(*n) {
                    let (path, value) = (path.clone(), value.clone());
                    self.write(&path, value);
                }
            }
            Happening::AllAgain => {
                for (path, value) in self.held.clone() {
                    self.write(&path, value);
                }
            }
            Happening::Replaced => {
                self.twin = FakeTwin::at("press-7", self.twin.now() + SignedDuration::from_secs(2));
                self.held.clear();
            }
            Happening::Silence => self.judge(|update, sight, _, _| {
                let what = update.overdue(SignedDuration::from_mins(15), sight);
                what.into_iter().collect()
            }),
            Happening::Read => self.judge(|update, sight, dialect, twin| {
                if !update.is_open() {
                    let what = update.contradiction(sight, dialect, &twin.twin);
                    return what.into_iter().collect();
                }
                match sight.take(dialect, &twin.twin) {
                    Some(suspicion) => update.followed_up(&suspicion, &twin.twin, Err("401")),
                    None => update.observe(dialect, &twin.twin),
                }
            }),
        }
    }

    fn judge(&mut self, how: impl FnOnce(&Update, &mut Sight, &Dialect, &FakeTwin) -> Vec<What>) {
        let Some((update, sight)) = &mut self.update else {
            return;
        };
        for what in how(update, sight, &self.dialect, &self.twin) {
            let (device, id) = (update.device.clone(), update.id.clone());
            update.apply(&Event::update(self.twin.now(), device, id, what.clone()));
            self.said.push((update.clone(), what));
        }
    }

    /// The order goes out, and the device says 200.
    fn order(&mut self) {
        self.order_after(&[], None);
    }

    /// The baseline is read; some things happen; the order goes out. The hub's
    /// clock says so late by so much; without it nobody knows.
    fn order_after(&mut self, between: &[Happening], late: Option<SignedDuration>) {
        let intent = Intent {
            hub: "h".into(),
            uri: Some("https://x.test/fw".into()),
            payload_sha256: None,
            method: Some("firmwareUpdate".into()),
            expect: None,
            dialect: self.dialect.name.to_string(),
            baseline: Baseline::of(&self.twin.twin, &self.dialect),
            by: "ana".into(),
            ..Intent::default()
        };
        between.iter().for_each(|happening| self.happen(happening));
        let latest = late.map(|late| self.twin.now() + late);
        self.ordered = Some(self.twin.now());
        let device = self.twin.twin.device_id.clone();
        let what = What::Intended(Box::new(intent));
        let event = Event::update(self.twin.now(), device, UpdateId::from_text("u"), what);
        let update = Update::intended(&event).unwrap();
        self.update = Some((update.clone(), Sight::of(&update)));
        self.judge(|_, _, _, _| {
            let payload = Value::Null;
            vec![
                What::Invoked { attempt: 1, latest },
                What::Accepted {
                    status: 200,
                    payload,
                },
            ]
        });
        self.baseline = self.held.clone();
        self.news = false;
    }

    fn verdict(&self) -> Option<&Update> {
        let verdicts = self
            .said
            .iter()
            .filter(|(_, w)| matches!(w, What::Verdict { .. }));
        verdicts.map(|(update, _)| update).next()
    }
}

fn lived(before: &[Happening], after: &[Happening], dialect: usize) -> World {
    let dialects = dialects();
    let mut world = World::new(dialects.iter().nth(dialect).unwrap());
    for happening in before {
        world.happen(happening);
    }
    world.order();
    for happening in after {
        world.happen(happening);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// No verdict rests on anything that the hub stamped before the order, or
    /// before the twin was replaced.
    #[test]
    fn no_verdict_rests_on_what_is_older_than_the_order((before, after, dialect) in histories()) {
        let world = lived(&before, &after, dialect);
        if let Some(update) = world.verdict() {
            let evidence = update.verdict.as_ref().unwrap().evidence.as_ref().unwrap();
            prop_assert!(evidence.hub_time > update.intent.baseline.last_updated);
            if let Some(replaced) = &update.replaced {
                prop_assert!(evidence.hub_time > replaced.since);
            }
        }
    }

    /// Nor on what was written between the baseline and the order, however late
    /// the hub's clock says that the order went out; nor on nothing but what the
    /// device then sends again.
    #[test]
    fn no_verdict_rests_on_what_was_written_while_the_order_went_out(
        (before, after, dialect) in histories(),
        between in prop::collection::vec(happening(), 0..6),
        late in 0i64..3,
        again: bool,
    ) {
        let dialects = dialects();
        let mut world = World::new(dialects.iter().nth(dialect).unwrap());
        before.iter().for_each(|happening| world.happen(happening));
        let between: Vec<Happening> = between
            .into_iter()
            .filter(|happening| !matches!(happening, Happening::Replaced))
            .collect();
        world.order_after(&between, Some(SignedDuration::from_secs(late)));
        let begun = world.dialect.read(&world.twin.twin.reported).phase.is_active();
        // A read each half second sees what stands there.
        world.happen(&Happening::Read);
        let sent_again = |h: &&Happening| {
            matches!(h, Happening::Again(_) | Happening::AllAgain | Happening::Read)
        };
        for happening in after.iter().filter(|h| !again || sent_again(h)) {
            world.happen(happening);
        }
        if let Some(update) = world.verdict() {
            let evidence = update.verdict.as_ref().unwrap().evidence.as_ref().unwrap();
            prop_assert!(evidence.hub_time > world.ordered);
            prop_assert!(!again || begun, "{:?}", world.said);
        }
    }

    /// Nor on nothing but values that the baseline already held.
    #[test]
    fn no_verdict_rests_on_what_the_baseline_held_alone((before, after, dialect) in histories()) {
        let dialects = dialects();
        let mut world = World::new(dialects.iter().nth(dialect).unwrap());
        before.iter().for_each(|happening| world.happen(happening));
        world.order();
        for happening in &after {
            world.happen(happening);
            if world.verdict().is_some() {
                prop_assert!(world.news, "{:?}", world.said);
                break;
            }
        }
    }

    /// A final outcome never changes; after it there are only contradictions.
    #[test]
    fn a_final_outcome_never_changes((before, after, dialect) in histories()) {
        let world = lived(&before, &after, dialect);
        let mut verdict: Option<Verdict> = None;
        for (update, what) in &world.said {
            if let Some(verdict) = &verdict {
                let flagged = matches!(what, What::Contradicted { .. });
                prop_assert!(flagged, "{what:?}");
                prop_assert_eq!(Some(verdict), update.verdict.as_ref());
            }
            verdict = update.verdict.clone();
        }
        // Nor by whatever another process may have written down.
        if let (Some(verdict), Some((update, _))) = (verdict, &world.update) {
            let mut update = update.clone();
            for (_, what) in &world.said {
                let (device, id) = (update.device.clone(), update.id.clone());
                update.apply(&Event::update(world.twin.now(), device, id, what.clone()));
            }
            prop_assert_eq!(Some(verdict), update.verdict);
        }
    }

    /// A device that says 200 and then only sends again what it had reported,
    /// in any order, has neither completed nor failed.
    #[test]
    fn old_state_alone_ends_nothing(
        (before, _, dialect) in histories(),
        order in prop::collection::vec(0usize..8, 0..20),
    ) {
        let again: Vec<Happening> = order
            .into_iter()
            .flat_map(|n| [Happening::Again(n), Happening::Read])
            .collect();
        let world = lived(&before, &again, dialect);
        prop_assert!(world.verdict().is_none(), "{:?}", world.said);
    }

    /// What was said is what a later process makes of it.
    #[test]
    fn the_fold_of_the_events_is_the_update((before, after, dialect) in histories()) {
        let world = lived(&before, &after, dialect);
        let (update, _) = world.update.as_ref().unwrap();
        let line = serde_json::to_string(&world.said.iter().map(|(_, w)| w).collect::<Vec<_>>());
        let whats: Vec<What> = serde_json::from_str(&line.unwrap()).unwrap();
        let told: Vec<&What> = world.said.iter().map(|(_, w)| w).collect();
        prop_assert_eq!(told, whats.iter().collect::<Vec<_>>());
        prop_assert_eq!(update, &world.said.last().unwrap().0);
    }
}
