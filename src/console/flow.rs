//! When the next frame may go out, by what the terminal has taken of those before.
//! Pure: time comes in as a value.
//!
//! A write tells little. A pseudo-terminal swallows some 20 KB before it blocks, and
//! behind it the buffers of a connection swallow more; the system says of none of
//! them how full they are (`TIOCOUTQ` of a pseudo-terminal is always 0). On a slow
//! link that would be seconds of old frames. So the terminal itself is asked: now and
//! then a frame ends with a question that every terminal answers at once, `ESC [ 5 n`.
//! The answer says that all before it was taken, whatever lies between, and how long
//! that took.
//!
//! What cannot be known: behind tmux or screen it is they who answer, and they have
//! buffers of their own; how a terminal that answers nothing is connected. For such
//! a one, and until the first answer, a slow link is assumed. What one key changes is
//! small and goes out at once also then.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The question, and with it goes the answer: `ESC [ 0 n`.
pub(super) const QUESTION: &[u8] = b"\x1b[5n";

/// Bytes a second that are assumed while nothing was answered.
const ASSUMED: f64 = 4_096.0;
/// No link is slower or faster than it need be for a terminal.
const RATES: std::ops::RangeInclusive<f64> = 256.0..=64_000_000.0;
/// What is on its way may take so long when a key is answered.
const AHEAD: Duration = Duration::from_millis(100);
/// What an answer may be late before nothing more is sent.
const LATE: Duration = Duration::from_millis(100);
/// An answer that has not come by then will not come.
const LOST: Duration = Duration::from_secs(5);
/// Bytes that go out before a question is worth its own four.
const UNASKED: f64 = 1_024.0;
/// Fewer bytes tell nothing of the rate.
const TELLING: f64 = 256.0;
/// Questions that are open at once.
const OPEN: usize = 4;

/// Why a frame is due. What matters more comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// Something has aged. It gives way to everything else.
    Aged,
    /// Something has happened.
    News,
    /// A key is to be answered.
    Key,
}

/// A question that was asked.
#[derive(Debug)]
struct Asked {
    at: Instant,
    /// The bytes that had to be taken before it, as far as was known.
    ahead: f64,
    /// All bytes up to it.
    upto: u64,
}

/// What is known of the way to the terminal.
#[derive(Debug)]
pub(super) struct Flow {
    /// The shortest time between two frames.
    shortest: Duration,
    drawn: Instant,
    /// Bytes a second.
    rate: f64,
    /// The quickest answer, and the bytes before it: more bytes take longer.
    quickest: Option<(f64, Duration)>,
    sent: u64,
    asked: VecDeque<Asked>,
    /// When the last answer came, and the bytes up to its question.
    last: Option<(Instant, u64)>,
    /// How much was sent when the last question was asked.
    asked_at: u64,
    /// When all that was sent will have been taken.
    clear: Instant,
    /// What the last frame takes.
    cost: Duration,
    /// No questions are asked, because one was not answered, or may not be.
    mute: bool,
}

impl Flow {
    /// Nothing was sent yet, and at most `max_fps` frames a second shall be. May the
    /// terminal be asked?
    pub(super) fn new(max_fps: u8, may_ask: bool, now: Instant) -> Self {
        Self {
            shortest: Duration::from_millis(1_000 / u64::from(max_fps.max(1))),
            drawn: now,
            rate: ASSUMED,
            quickest: None,
            sent: 0,
            asked: VecDeque::new(),
            last: None,
            asked_at: 0,
            clear: now,
            cost: Duration::ZERO,
            mute: !may_ask,
        }
    }

    /// When a frame may go out that is due for that reason, as far as is known now.
    pub(super) fn next(&self, why: Why, now: Instant) -> Instant {
        let clear = match why {
            Why::Key => self.clear.checked_sub(AHEAD).unwrap_or(self.clear),
            Why::News => self.clear,
            // As much of the link is left for what matters more.
            Why::Aged => self.clear + self.cost,
        };
        let at = (self.drawn + self.shortest).max(clear).max(now);
        let Some(open) = self.asked.front().filter(|_| self.answers()) else {
            return at;
        };
        // What matters less waits until nothing is on its way.
        let held = match why {
            Why::Key => at >= self.late(open),
            Why::News | Why::Aged => true,
        };
        if held { open.at + LOST } else { at }
    }

    /// When an answer is late: the link is slower than it was thought to be.
    fn late(&self, open: &Asked) -> Instant {
        let (_, quickest) = self.quickest.unwrap_or_default();
        open.at + quickest + self.takes(open.ahead) + LATE
    }

    /// Has the terminal ever answered, and does it still?
    fn answers(&self) -> bool {
        self.quickest.is_some() && !self.mute
    }

    /// Shall a frame of so many bytes end with the question?
    pub(super) fn asks(&self, bytes: usize) -> bool {
        let unasked = to_f64(self.sent - self.asked_at) + to_f64(bytes as u64);
        let worth = UNASKED.min(self.rate / 50.0);
        !self.mute && self.asked.len() < OPEN && unasked >= worth
    }

    /// Will so many bytes be there at once? What takes longer is better seen as it
    /// comes.
    pub(super) fn is_quick(&self, bytes: usize) -> bool {
        self.takes(to_f64(bytes as u64)) <= AHEAD
    }

    /// A frame has gone out.
    pub(super) fn sent(&mut self, bytes: usize, asked: bool, now: Instant) {
        if self.asked.front().is_some_and(|open| open.at + LOST <= now) {
            self.asked.clear();
            self.mute = true;
            self.rate = self.rate.min(ASSUMED);
        }
        let bytes = bytes as u64;
        self.cost = self.takes(to_f64(bytes));
        self.clear = self.clear.max(now) + self.cost;
        self.sent += bytes;
        self.drawn = now;
        if asked {
            let ahead = (self.clear - now).as_secs_f64() * self.rate;
            self.asked_at = self.sent;
            self.asked.push_back(Asked {
                at: now,
                ahead,
                upto: self.sent,
            });
        }
    }

    /// The oldest question was answered.
    pub(super) fn answered(&mut self, now: Instant) {
        self.mute = false;
        let Some(open) = self.asked.pop_front() else {
            return;
        };
        let took = now.saturating_duration_since(open.at);
        let late = now > self.late(&open);
        match self.last.filter(|(at, _)| late && open.at < *at) {
            // Between the two answers the link was busy with these bytes.
            Some((at, upto)) => self.told(to_f64(open.upto - upto), now.duration_since(at)),
            None => self.learn(open.ahead, took, late),
        }
        self.last = Some((now, open.upto));
        self.follow(now, open.upto);
    }

    /// All up to there was taken when the answer set out: what of the rest is still on
    /// its way.
    fn follow(&mut self, now: Instant, upto: u64) {
        let (few, quickest) = self.quickest.unwrap_or_default();
        let way = quickest.saturating_sub(self.takes(few));
        let rest = self.asked.iter().map(|open| (open.at, open.upto));
        let rest = rest.chain([(self.drawn, self.sent)]);
        let taken = (now.checked_sub(way).unwrap_or(now), upto);
        let (clear, _) = rest.fold(taken, |(clear, before), (at, upto)| match upto - before {
            0 => (clear, before),
            bytes => (clear.max(at) + self.takes(to_f64(bytes)), upto),
        });
        self.clear = clear;
        self.cost = self.cost.min(self.takes(TELLING));
    }

    /// So many bytes were taken in that time. The link's own time is in it too: of
    /// two answers the difference tells the rate; one alone, that it is no less. One
    /// that came late tells that it is less than it was.
    fn learn(&mut self, bytes: f64, took: Duration, late: bool) {
        if self.quickest.is_none_or(|(_, quickest)| took < quickest) {
            self.quickest = Some((bytes, took));
        }
        if bytes < TELLING {
            return;
        }
        let at_least = bytes / seconds(took);
        let (few, quickest) = self.quickest.unwrap_or_default();
        match took.checked_sub(quickest) {
            Some(more) if bytes >= few + TELLING && bytes / seconds(more) > at_least => {
                self.told(bytes - few, more);
            }
            _ if late || at_least > self.rate => self.told(bytes, took),
            _ => {}
        }
    }

    /// So many bytes took so long. One answer that was quick by chance is not
    /// believed at once.
    fn told(&mut self, bytes: f64, took: Duration) {
        if bytes < TELLING {
            return;
        }
        let told = bytes / seconds(took);
        let rate = if told > self.rate {
            (told + self.rate) / 2.0
        } else {
            told
        };
        self.rate = rate.clamp(*RATES.start(), *RATES.end());
    }

    /// How long so many bytes take.
    fn takes(&self, bytes: f64) -> Duration {
        Duration::from_secs_f64((bytes / self.rate).clamp(0.0, 3_600.0))
    }

    /// The terminal is another's, and then ours again: what was sent is gone.
    pub(super) fn forget(&mut self, now: Instant) {
        self.asked.clear();
        self.asked_at = self.sent;
        (self.clear, self.cost) = (now, Duration::ZERO);
    }

    /// How long an answer is worth waiting for that is still to come, because the
    /// shell would take it for keys; `None` when none is.
    pub(super) fn owed(&self) -> Option<Duration> {
        let open = self.asked.back()?;
        let (_, quickest) = self.quickest.unwrap_or_default();
        Some(quickest + self.takes(open.ahead) + LATE)
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64().max(1e-6)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bytes of a session are far below 2^52"
)]
fn to_f64(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link: it takes so many bytes a second, and an answer is so long on its way.
    struct Link {
        rate: f64,
        way: Duration,
        /// When it has taken what was sent.
        free: Instant,
        answers: VecDeque<Instant>,
        flow: Flow,
        now: Instant,
    }

    impl Link {
        fn new(rate: u32, way: u64) -> Self {
            let now = Instant::now();
            Self {
                rate: f64::from(rate),
                way: Duration::from_millis(way),
                free: now,
                answers: VecDeque::new(),
                flow: Flow::new(60, true, now),
                now,
            }
        }

        fn hear(&mut self) {
            while self.answers.front().is_some_and(|at| *at <= self.now) {
                self.flow.answered(self.answers.pop_front().unwrap());
            }
        }

        /// Goes on to when a frame may be sent, and sends it; how long it takes until it
        /// is there, from when it was due.
        fn send(&mut self, why: Why, bytes: u32) -> Duration {
            let due = self.now;
            loop {
                self.hear();
                let at = self.flow.next(why, self.now);
                let next = self.answers.front().map_or(at, |answer| at.min(*answer));
                self.now = self.now.max(next);
                if at <= self.now {
                    break;
                }
            }
            let asks = self.flow.asks(bytes as usize);
            self.flow.sent(bytes as usize, asks, self.now);
            let takes = Duration::from_secs_f64(f64::from(bytes) / self.rate);
            self.free = self.free.max(self.now) + takes;
            if asks {
                self.answers.push_back(self.free + self.way);
            }
            self.free - due
        }

        fn passes(&mut self, millis: u64) {
            self.now += Duration::from_millis(millis);
            self.hear();
        }

        fn silent(mut self) -> Self {
            self.way = Duration::from_secs(1 << 30);
            self
        }
    }

    const MILLIS: Duration = Duration::from_millis(1);

    /// A key is held while an update is watched; then one is pressed.
    fn backlog(mut link: Link) -> Duration {
        link.send(Why::News, 2_000);
        link.passes(2_000);
        for _ in 0..50 {
            link.send(Why::Aged, 60);
            link.passes(40);
        }
        // They wait for each other: of many keys one frame comes.
        for bytes in [300, 500, 400].repeat(10) {
            link.send(Why::Key, bytes);
        }
        link.send(Why::Key, 400)
    }

    #[test]
    fn what_is_on_its_way_is_no_more_than_is_taken_in_time() {
        for rate in [5 << 10, 25 << 10] {
            for link in [Link::new(rate, 0), Link::new(rate, 0).silent()] {
                let took = backlog(link);
                assert!(took <= MILLIS * 300, "{rate} B/s: {took:?}");
            }
        }
        // Where the way itself is long, it is no longer.
        let took = backlog(Link::new(5 << 10, 200));
        assert!(took <= MILLIS * 300, "{took:?}");
    }

    #[test]
    fn a_quick_terminal_is_not_held_up() {
        let mut link = Link::new(10_000_000, 1);
        link.send(Why::News, 2_000);
        link.passes(20);
        for _ in 0..20 {
            let took = link.send(Why::Key, 3_000);
            assert!(took <= MILLIS * 18, "{took:?}");
            link.passes(2);
        }
        // Nor is one that is far away.
        let mut link = Link::new(1_000_000, 250);
        link.send(Why::News, 2_000);
        link.passes(400);
        link.send(Why::Aged, 60);
        link.passes(400);
        link.send(Why::Key, 2_000);
        link.passes(400);
        for _ in 0..30 {
            let took = link.send(Why::Key, 150);
            assert!(took <= MILLIS * 50, "{took:?}");
            link.passes(33);
        }
    }

    #[test]
    fn a_link_that_gets_slow_is_noticed() {
        let mut link = Link::new(1_000_000, 0);
        for _ in 0..20 {
            link.send(Why::Key, 500);
            link.passes(50);
        }
        link.rate = 5_120.0;
        for _ in 0..20 {
            link.send(Why::Key, 500);
        }
        let took = link.send(Why::Key, 500);
        assert!(took <= MILLIS * 300, "{took:?}");
    }

    /// Ages give way: half of the link is left, and nothing of theirs is on its way
    /// while an answer is open.
    #[test]
    fn what_has_aged_waits_longest() {
        let mut link = Link::new(5 << 10, 0);
        link.send(Why::News, 1_000);
        link.passes(1_000);
        link.send(Why::News, 1_000);
        let [key, news, aged] =
            [Why::Key, Why::News, Why::Aged].map(|why| link.flow.next(why, link.now));
        assert!(key < news && news <= aged, "{key:?} {news:?} {aged:?}");
    }

    #[test]
    fn few_frames_a_second_are_no_more() {
        let now = Instant::now();
        let mut flow = Flow::new(2, true, now);
        flow.sent(10, false, now);
        assert_eq!(flow.next(Why::Key, now), now + MILLIS * 500);
    }

    /// A terminal that has answered and does no more is not asked again, and not
    /// waited for for ever; a late answer is taken.
    #[test]
    fn an_answer_that_is_lost_holds_nothing_up_for_ever() {
        let mut link = Link::new(1_000_000, 1);
        link.send(Why::News, 2_000);
        link.passes(100);
        let mut link = link.silent();
        link.send(Why::News, 2_000);
        link.send(Why::News, 10);
        assert!(link.flow.mute);
        assert!(!link.flow.asks(10_000));
        assert!(link.flow.owed().is_none());
        assert!(link.send(Why::News, 10) <= MILLIS * 20);
        link.flow.answered(link.now);
        assert!(link.flow.asks(10_000));
    }
}
