//! The scheduler on a clock of its own.

use super::*;
use proptest::prelude::*;

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn ids(n: usize) -> Vec<DeviceId> {
    (0..n).map(|n| id(&format!("d{n}"))).collect()
}

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A scheduler, a clock, and a hub that answers after a while.
struct Run {
    pace: Pace,
    now: Duration,
    /// How long the hub takes.
    takes: Duration,
    under_way: Vec<(Duration, Read)>,
    started: Vec<(Duration, DeviceId)>,
}

impl Run {
    fn new(per_second: u32) -> Self {
        Self {
            pace: Pace::new(per_second),
            now: Duration::ZERO,
            takes: 20 * MS,
            under_way: Vec::new(),
            started: Vec::new(),
        }
    }

    fn watch(&mut self, devices: &[DeviceId], class: Class) {
        for device in devices {
            self.pace.watch(device, class, self.now);
        }
    }

    /// Time passes, woken when something is due.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            for read in self.pace.due(self.now) {
                let twice = self.under_way.iter().any(|(_, r)| r.device == read.device);
                assert!(!twice, "{} is read twice at a time", read.device);
                self.started.push((self.now, read.device.clone()));
                self.under_way.push((self.now + self.takes, read));
            }
            assert!(
                self.pace.next().is_none_or(|at| at > self.now),
                "it would spin"
            );
            let answers = self.under_way.iter().map(|(at, _)| *at);
            let next = answers.chain(self.pace.next()).min();
            match next.filter(|at| *at <= end) {
                Some(at) => self.now = at,
                None => break,
            }
            let now = self.now;
            let (over, rest) = std::mem::take(&mut self.under_way)
                .into_iter()
                .partition(|(at, _)| *at <= now);
            self.under_way = rest;
            let over: Vec<(Duration, Read)> = over;
            for (_, read) in over {
                self.pace.done(read.ticket, Ended::Answered, now, 0.5);
            }
        }
        self.now = end;
    }

    fn reads_of(&self, device: &DeviceId) -> Vec<Duration> {
        let of = self.started.iter().filter(|(_, d)| d == device);
        of.map(|(at, _)| *at).collect()
    }

    /// The longest time between two reads of a device, from `from` to now.
    fn longest_wait(&self, device: &DeviceId, from: Duration) -> Duration {
        let mut before = from;
        let mut longest = Duration::ZERO;
        let reads = self.reads_of(device).into_iter().filter(|at| *at >= from);
        for at in reads.chain([self.now]) {
            longest = longest.max(at - before);
            before = at;
        }
        longest
    }

    /// The mean time since the last read of each, from `from` to now.
    fn mean_age(&self, devices: &[DeviceId], from: Duration) -> f64 {
        let span = (self.now - from).as_secs_f64();
        let mut sum = 0.0;
        for device in devices {
            let reads = self.reads_of(device);
            let first = reads.iter().rposition(|at| *at <= from).expect("read");
            let ends = reads[first + 1..].iter().copied().chain([self.now]);
            for (last, next) in reads[first..].iter().zip(ends) {
                let begin = last.max(&from).saturating_sub(*last).as_secs_f64();
                let end = (next - *last).as_secs_f64();
                sum += (end * end - begin * begin) / 2.0 / span;
            }
        }
        sum / devices.len() as f64
    }
}

#[test]
fn the_only_update_in_flight_is_in_focus_and_read_each_half_second() {
    let mut run = Run::new(60);
    run.watch(&[id("a")], Class::Flight);
    run.pass(1_600 * MS);
    assert_eq!(
        run.reads_of(&id("a")),
        [Duration::ZERO, 500 * MS, SECOND, 1_500 * MS]
    );
    run.watch(&[id("b")], Class::Flight);
    run.pass(10 * SECOND);
    assert!(run.reads_of(&id("a")).len() <= 15, "it has company");
    run.pace.forget(&id("b"), run.now);
    let before = run.reads_of(&id("a")).len();
    run.pass(10 * SECOND);
    assert!((19..=21).contains(&(run.reads_of(&id("a")).len() - before)));
}

#[test]
fn a_slow_read_is_not_doubled_and_the_beat_begins_anew() {
    let mut run = Run::new(60);
    run.takes = 1_300 * MS;
    run.watch(&[id("a")], Class::Flight);
    run.pass(3 * SECOND);
    let reads = run.reads_of(&id("a"));
    assert_eq!(reads, [Duration::ZERO, 1_300 * MS, 2_600 * MS]);
}

#[test]
fn no_burst_follows_a_pause() {
    let mut run = Run::new(60);
    let devices = ids(100);
    run.watch(&devices, Class::Flight);
    run.pass(10 * SECOND);
    let before = run.started.len();
    // The machine sleeps for an hour: nothing is answered, nothing is asked.
    run.now += 3_600 * SECOND;
    run.pass(SECOND);
    let after = run.started.len() - before;
    assert!(after <= 62, "{after} reads in the second after the pause");
}

#[test]
fn focus_keeps_its_beat_under_load() {
    let mut run = Run::new(60);
    let devices = ids(1_000);
    run.watch(&devices, Class::Flight);
    run.pace.focus(Some(devices[500].clone()), run.now);
    run.pass(60 * SECOND);
    let reads = run.reads_of(&devices[500]);
    assert!((120..=121).contains(&reads.len()), "{}", reads.len());
    let longest = run.longest_wait(&devices[500], Duration::ZERO);
    assert!(longest <= 540 * MS, "{longest:?}");
}

/// The numbers of the bench, on a perfect clock: mean age beside the ideal of
/// a plain round.
#[test]
fn a_thousand_in_flight_are_as_fresh_as_the_rate_allows() {
    let mut run = Run::new(60);
    let devices = ids(1_000);
    run.watch(&devices, Class::Flight);
    run.pace.focus(Some(devices[0].clone()), run.now);
    run.pass(20 * SECOND);
    let from = run.now;
    run.pass(120 * SECOND);
    let ideal = 1_000.0 / (2.0 * 60.0);
    let age = run.mean_age(&devices[1..], from);
    assert!(age <= 1.1 * ideal, "{age} s, ideal {ideal} s");
    for device in &devices {
        let longest = run.longest_wait(device, from);
        assert!(longest <= 19 * SECOND, "{device} waited {longest:?}");
    }
}

/// Half of them are about to change at any time: the worst mix for the others.
#[test]
fn whoever_is_about_to_change_comes_first_and_nobody_starves() {
    let mut run = Run::new(60);
    let devices = ids(600);
    run.watch(&devices, Class::Flight);
    run.pass(11 * SECOND);
    let from = run.now;
    let (soon, rest) = devices.split_at(300);
    for _ in 0..200 {
        for device in soon {
            run.pace.expect(device, Some(run.now + SECOND));
        }
        run.pass(SECOND);
    }
    let fair = 600.0 / 60.0;
    let (soon, rest_age) = (run.mean_age(soon, from), run.mean_age(rest, from));
    assert!(soon < 0.6 * rest_age, "{soon} s beside {rest_age} s");
    let all = run.mean_age(&devices, from);
    assert!(all <= 1.2 * fair / 2.0, "{all} s beside {} s", fair / 2.0);
    for device in rest {
        let longest = run.longest_wait(device, from).as_secs_f64();
        assert!(longest <= 2.0 * fair, "{device} waited {longest} s");
    }
}

#[test]
fn an_expectation_that_fails_is_forgotten() {
    let mut run = Run::new(10);
    let devices = ids(40);
    run.watch(&devices, Class::Flight);
    run.pace.expect(&devices[0], Some(10 * SECOND));
    run.pass(60 * SECOND);
    let before = run.reads_of(&devices[0]).len();
    let other = run.reads_of(&devices[1]).len();
    run.pass(60 * SECOND);
    let late = run.reads_of(&devices[0]).len() - before;
    let others = run.reads_of(&devices[1]).len() - other;
    assert!(before > other);
    assert!(late.abs_diff(others) <= 1, "{late} beside {others}");
}

#[test]
fn a_focus_that_moves_on_does_not_pay_for_it() {
    let mut run = Run::new(10);
    let devices = ids(40);
    run.watch(&devices, Class::Flight);
    run.pace.focus(Some(devices[0].clone()), run.now);
    run.pass(60 * SECOND);
    run.pace.focus(Some(devices[1].clone()), run.now);
    let from = run.now;
    run.pass(30 * SECOND);
    let longest = run.longest_wait(&devices[0], from);
    assert!(longest <= 8 * SECOND, "{longest:?}");
}

#[test]
fn orders_are_prompt_and_leave_every_second_slot() {
    let mut run = Run::new(10);
    let flying = ids(20);
    run.watch(&flying, Class::Flight);
    run.pass(10 * SECOND);
    let from = run.now;
    let starting: Vec<DeviceId> = (0..20).map(|n| id(&format!("s{n}"))).collect();
    for device in &starting {
        run.pace.watch(device, Class::Start, run.now);
    }
    run.pass(4 * SECOND);
    let begun = starting.iter().filter(|d| !run.reads_of(d).is_empty());
    assert!((19..=20).contains(&begun.count()));
    let fresh = run.started.iter().filter(|(at, _)| *at >= from);
    let flights = fresh.filter(|(_, d)| flying.contains(d)).count();
    assert!((18..=22).contains(&flights), "{flights}");
}

#[test]
fn a_slow_rate_is_shared_between_focus_and_others() {
    let mut run = Run::new(1);
    let devices = ids(10);
    run.watch(&devices, Class::Flight);
    run.pace.focus(Some(devices[0].clone()), run.now);
    run.pass(60 * SECOND);
    let focus = run.reads_of(&devices[0]).len();
    assert!((28..=32).contains(&focus), "{focus}");
    assert!(devices.iter().all(|d| run.reads_of(d).len() >= 3));
}

#[test]
fn stalled_looked_at_and_ended_ones_are_read_rarely() {
    let mut run = Run::new(60);
    run.watch(&[id("f"), id("s")], Class::Flight);
    run.watch(&[id("l")], Class::Look);
    run.pass(SECOND);
    run.watch(&[id("s")], Class::Stalled);
    run.watch(&[id("e")], Class::Flight);
    run.pass(SECOND);
    run.watch(&[id("e")], Class::After);
    let from = run.now;
    run.pass(2_400 * SECOND);
    let count = |name: &str| {
        let reads = run.reads_of(&id(name));
        reads.iter().filter(|at| **at > from).count()
    };
    assert_eq!(count("l"), 80);
    assert_eq!(count("s"), 80);
    let after = run.reads_of(&id("e"));
    let minutes: Vec<u64> = after[after.len() - 5..]
        .iter()
        .map(|at| (*at - from).as_secs() / 60)
        .collect();
    assert_eq!(minutes, [1, 3, 7, 15, 31]);
    assert_eq!(run.pace.class(&id("e")), None);
    run.pace.focus(Some(id("s")), run.now);
    let before = run.reads_of(&id("s")).len();
    run.pass(60 * SECOND);
    assert!((12..=13).contains(&(run.reads_of(&id("s")).len() - before)));
}

#[test]
fn a_read_can_be_put_off_and_forgotten() {
    let mut pace = Pace::new(60);
    pace.watch(&id("a"), Class::Flight, Duration::ZERO);
    pace.put_off(&id("a"), 5 * SECOND);
    assert_eq!(pace.next(), Some(5 * SECOND));
    // Nothing that is decided later brings it forward.
    pace.watch(&id("a"), Class::Stalled, Duration::ZERO);
    pace.focus(Some(id("a")), Duration::ZERO);
    assert_eq!(pace.next(), Some(5 * SECOND));
    pace.forget(&id("a"), Duration::ZERO);
    assert_eq!(pace.next(), None);
}

#[test]
fn a_device_asked_for_anew_is_read_when_the_old_read_is_over() {
    let mut pace = Pace::new(60);
    pace.watch(&id("a"), Class::Look, Duration::ZERO);
    let old = pace.due(Duration::ZERO).remove(0);
    pace.forget(&id("a"), 100 * MS);
    pace.watch(&id("a"), Class::Start, 100 * MS);
    assert_eq!(pace.due(200 * MS), [], "never two at a time");
    let wanted = pace.done(old.ticket, Ended::Answered, 300 * MS, 0.5);
    assert!(!wanted, "it was read before it was asked for");
    let new = pace.due(300 * MS).remove(0);
    assert!(pace.done(new.ticket, Ended::Answered, 400 * MS, 0.5));
    assert!(!pace.done(new.ticket, Ended::Answered, 400 * MS, 0.5));
}

#[test]
fn a_refusal_stops_all_reads_and_halves_the_rate() {
    let mut run = Run::new(60);
    let devices = ids(100);
    run.watch(&devices, Class::Flight);
    run.pace.focus(Some(devices[0].clone()), run.now);
    run.pass(10 * SECOND);
    let (_, read) = run.under_way.pop().expect("a read is under way");
    let ended = Ended::Throttled(Some(10 * SECOND));
    run.pace.done(read.ticket, ended, run.now, 0.0);
    let before = run.started.len();
    run.pass(9_999 * MS);
    assert_eq!(run.started.len(), before, "not even the focus");
    run.pass(SECOND);
    let after = run.started.len() - before;
    assert!((28..=32).contains(&after), "{after}");
}

#[test]
fn a_hub_that_does_not_answer_gets_no_more_than_so_many_reads() {
    let mut run = Run::new(60);
    run.takes = 15 * SECOND;
    run.watch(&ids(1_000), Class::Flight);
    run.pass(14 * SECOND);
    assert_eq!(run.started.len(), 30);
}

#[test]
fn the_days_messages_bound_the_rate_further() {
    let mut run = Run::new(60);
    run.watch(&ids(100), Class::Flight);
    run.pace.cap(Some(2.0));
    run.pass(10 * SECOND);
    assert!((20..=21).contains(&run.started.len()));
    run.pace.cap(None);
    run.pass(10 * SECOND);
    assert!(run.started.len() > 580);
}

/// Decisions by the million, so that a scan of all in each would be seen as a
/// test that does not end.
#[test]
fn ten_thousand_in_flight_cost_little() {
    let mut pace = Pace::new(3_000);
    for device in ids(10_000) {
        pace.watch(&device, Class::Flight, Duration::ZERO);
    }
    let mut reads = 0;
    let mut now = Duration::ZERO;
    while reads < 100_000 {
        for read in pace.due(now) {
            pace.done(read.ticket, Ended::Answered, now, 0.5);
            reads += 1;
        }
        now = pace.next().expect("there is always more");
    }
    assert!(now >= 33 * SECOND);
}

#[derive(Clone, Debug)]
enum Step {
    Watch(u8, u8),
    Forget(u8),
    Focus(Option<u8>),
    PutOff(u8, u16),
    Expect(u8, u16),
    Refuse,
    Pass(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..40u8, 0..5u8).prop_map(|(d, c)| Step::Watch(d, c)),
        1 => (0..40u8).prop_map(Step::Forget),
        1 => proptest::option::of(0..40u8).prop_map(Step::Focus),
        1 => (0..40u8, 0..5_000u16).prop_map(|(d, t)| Step::PutOff(d, t)),
        1 => (0..40u8, 0..5_000u16).prop_map(|(d, t)| Step::Expect(d, t)),
        1 => Just(Step::Refuse),
        4 => (0..5_000u16).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is asked, the rate holds over every window, no device is read
    /// twice at a time, and it never spins (the run checks both).
    #[test]
    fn the_rate_holds_over_any_window(steps in steps(), per_second in 1..80u32) {
        let mut run = Run::new(per_second);
        let device = |n: u8| id(&format!("d{n}"));
        let classes = [Class::Start, Class::Flight, Class::Stalled, Class::Look, Class::After];
        for step in steps {
            let now = run.now;
            match step {
                Step::Watch(d, c) => run.pace.watch(&device(d), classes[usize::from(c)], now),
                Step::Forget(d) => run.pace.forget(&device(d), now),
                Step::Focus(d) => run.pace.focus(d.map(device), now),
                Step::PutOff(d, t) => run.pace.put_off(&device(d), now + u32::from(t) * MS),
                Step::Expect(d, t) => run.pace.expect(&device(d), Some(now + u32::from(t) * MS)),
                Step::Refuse => if let Some((_, read)) = run.under_way.pop() {
                    run.pace.done(read.ticket, Ended::Throttled(Some(SECOND)), now, 0.3);
                },
                Step::Pass(t) => run.pass(u32::from(t) * MS),
            }
        }
        let starts: Vec<f64> = run.started.iter().map(|(at, _)| at.as_secs_f64()).collect();
        let rate = f64::from(per_second);
        for (n, from) in starts.iter().enumerate() {
            for (m, to) in starts.iter().enumerate().skip(n) {
                let count = (m - n + 1) as f64;
                let most = rate * (to - from + LATE.as_secs_f64()) + 1.001;
                prop_assert!(count <= most, "{count} reads in {} s", to - from);
            }
        }
    }

    /// Whoever is in flight is read at least each second fair interval.
    #[test]
    fn nobody_in_flight_starves(n in 2..60usize, per_second in 5..80u32, soon in 0..60usize) {
        let mut run = Run::new(per_second);
        let devices = ids(n);
        run.watch(&devices, Class::Flight);
        let fair = (n as f64 / f64::from(per_second)).max(1.0);
        for _ in 0..20 {
            for device in devices.iter().take(soon) {
                run.pace.expect(device, Some(run.now + SECOND));
            }
            run.pass(Duration::from_secs_f64(fair));
        }
        let from = Duration::from_secs_f64(2.0 * fair);
        for device in &devices {
            let longest = run.longest_wait(device, from).as_secs_f64();
            prop_assert!(longest <= 2.0 * fair + 0.1, "{longest} s, fair {fair} s");
        }
    }
}
