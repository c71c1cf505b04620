//! The day's messages: what was spent of them, and what will be.
//!
//! A hub bills twin reads, pages of queries and direct methods (their answers
//! too, and calls to devices that are offline) in the same messages as what its
//! devices send, in meters of 4 KB (F1: 0.5 KB); reads of the identity registry
//! are free. When the day's messages are spent, the hub serves nobody until
//! midnight UTC, its devices included. Sources: "IoT Hub quotas and throttling"
//! (`articles/iot-hub/iot-hub-devguide-quotas-throttling.md`) and the pricing
//! page of Azure IoT Hub.
//!
//! So otadeck takes a share of the day for itself, 10 % unless the profile says
//! otherwise. Up to half of that it reads as fast as the hub lets it. From there
//! on the rate sinks with what is left, so that the share is approached and not
//! passed by more than a quarter. A trickle stays in any case: an update in
//! focus is read on even then, see [`TRICKLE`].
//!
//! What is counted is what this process has spent, since it began: the hub does
//! not tell what others have.

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::pace::{FLIGHT, WATCH};
use super::profile::{Profile, Tier};
use super::time::spoken;
use super::twin::{Section, Twin};

/// The part of a day's messages that is ours unless told otherwise.
pub const DAY_SHARE: f64 = 0.10;
/// Reads a second that are left when our share is spent: one each 10 s.
pub const TRICKLE: f64 = 0.1;
/// How far ahead a forecast looks, and how long an update is taken to last when
/// nobody knows.
pub const AHEAD: Duration = Duration::from_secs(10 * 60);

/// The size of a twin that was not read yet, in bytes.
const TWIN: usize = 1_500;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// What was spent of a day's messages.
#[derive(Clone, Debug)]
pub struct Quota {
    /// Messages that the hub takes in a day, from everybody.
    day: u64,
    /// The size of a message, in bytes.
    meter: usize,
    /// The part of the day that is ours.
    share: f64,
    /// Which day it is, in days since 1970.
    date: i64,
    spent: u64,
    /// Messages for one read of a twin, on the average.
    per_read: f64,
    warned: [bool; 2],
}

/// What is to be said about the day's messages, each once a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Going on like this spends more than our share soon.
    Ahead,
    /// Half of our share is spent: reads slow down.
    Slowing,
}

impl Quota {
    /// The quota of `units` units of `tier`, of which `share` (0 to 1) is ours.
    #[must_use]
    pub fn new(tier: Tier, units: u32, share: f64) -> Self {
        let meter = tier.message_bytes();
        Self {
            day: tier.messages_per_day(units),
            meter,
            share: share.clamp(0.0, 1.0),
            date: 0,
            spent: 0,
            per_read: meters(TWIN, meter) as f64,
            warned: [false; 2],
        }
    }

    /// Messages that the hub takes in a day, from everybody.
    #[must_use]
    pub fn day(&self) -> u64 {
        self.day
    }

    /// Messages of a day that are ours.
    #[must_use]
    pub fn ours(&self) -> f64 {
        self.day as f64 * self.share
    }

    /// Messages spent since midnight UTC.
    #[must_use]
    pub fn spent(&self, now: Timestamp) -> u64 {
        if date(now) == self.date {
            self.spent
        } else {
            0
        }
    }

    /// A request or an answer of `bytes` was billed; gives its messages.
    pub fn spend(&mut self, bytes: usize, now: Timestamp) -> u64 {
        if date(now) != self.date {
            self.date = date(now);
            self.spent = 0;
            self.warned = [false; 2];
        }
        let messages = meters(bytes, self.meter);
        self.spent = self.spent.saturating_add(messages);
        messages
    }

    /// A twin of `bytes` was read.
    pub fn spend_read(&mut self, bytes: usize, now: Timestamp) {
        let messages = self.spend(bytes, now) as f64;
        self.per_read += (messages - self.per_read) / 16.0;
    }

    /// The most reads a second that our share allows now, `ceiling` being what
    /// the hub's rate allows; `None` while there is plenty.
    #[must_use]
    pub fn cap(&self, ceiling: f64, now: Timestamp) -> Option<f64> {
        let half = self.ours() / 2.0;
        let left = self.ours() - self.spent(now) as f64;
        if left >= half {
            return None;
        }
        let left = left.max(0.0);
        let sinking = ceiling * left / half.max(1.0);
        let spread = left / self.per_read / left_of_day(now);
        let quarter = self.ours() / 4.0 / self.per_read / DAY as f64;
        let least = quarter.max(TRICKLE);
        Some(sinking.max(spread).max(least).min(ceiling))
    }

    /// What is to be said when `reads` are made a second: once a day each.
    pub fn warning(&mut self, reads: f64, now: Timestamp) -> Option<Warning> {
        let ahead = left_of_day(now).min(AHEAD.as_secs_f64());
        let spent = self.spent(now) as f64;
        let will_be = spent + reads * self.per_read * ahead;
        let levels = [
            (Warning::Slowing, spent > self.ours() / 2.0),
            (Warning::Ahead, will_be > self.ours()),
        ];
        let news = levels
            .into_iter()
            .zip(&mut self.warned)
            .find(|((_, holds), warned)| *holds && !**warned);
        news.map(|((warning, _), warned)| {
            *warned = true;
            warning
        })
    }

    /// This process has spent so many messages already, at `when`.
    pub fn spent_before(&mut self, messages: u64, when: Timestamp) {
        self.add(messages, when);
    }

    /// What it takes to look at the devices of `updates`, to start them at once and
    /// to watch them for as long as they last, from `now` on at up to `ceiling` reads
    /// a second: no more than our share of each day lets us.
    #[must_use]
    pub fn forecast(
        &self,
        updates: usize,
        lasting: Duration,
        ceiling: f64,
        now: Timestamp,
    ) -> Forecast {
        let count = updates as f64;
        let wanted = match updates {
            0 => 0.0,
            _ => 1.0 / WATCH.as_secs_f64() + (count - 1.0) / FLIGHT.as_secs_f64(),
        };
        let wanted = wanted.min(ceiling);
        // The check and the baseline; the call and its answer.
        let starting = whole(count * (2.0 * self.per_read + 2.0));
        let mut ahead = self.clone();
        ahead.add(starting, now);
        let mut slowest = wanted;
        let mut watching = 0.0;
        let step = (lasting.as_secs_f64() / STEPS).max(1.0);
        let mut passed = 0.0;
        while passed < lasting.as_secs_f64() && updates > 0 {
            let time = after(now, passed);
            let step = step.min(lasting.as_secs_f64() - passed);
            let cap = ahead.cap(ceiling, time);
            let rate = cap.map_or(wanted, |cap| cap.min(wanted));
            slowest = slowest.min(rate);
            let before = whole(watching);
            watching += rate * self.per_read * step;
            ahead.add(whole(watching) - before, time);
            passed += step;
        }
        Forecast {
            updates,
            lasting,
            reads_per_second: wanted,
            starting,
            messages: starting + whole(watching),
            share: whole(self.ours()),
            day: self.day,
            late: match slowest < wanted {
                true => Some(Duration::from_secs_f64((count / slowest).min(1e9))),
                false => None,
            },
        }
    }

    /// So many messages are spent.
    fn add(&mut self, messages: u64, when: Timestamp) {
        if messages > 0 {
            self.spend(1, when);
            self.spent = self.spent.saturating_add(messages - 1);
        }
    }
}

/// Steps in which a forecast goes through the time that it looks at.
const STEPS: f64 = 2_000.0;

fn whole(messages: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count, not negative, and it saturates"
    )]
    let whole = messages.ceil() as u64;
    whole
}

fn after(now: Timestamp, seconds: f64) -> Timestamp {
    let passed = jiff::SignedDuration::try_from_secs_f64(seconds).ok();
    passed
        .and_then(|passed| now.checked_add(passed).ok())
        .unwrap_or(now)
}

/// What many updates will take.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// How many.
    pub updates: usize,
    /// For how long.
    pub lasting: Duration,
    /// Reads a second, while there is plenty.
    pub reads_per_second: f64,
    /// Messages to look at the devices and to start the updates.
    pub starting: u64,
    /// Messages in all.
    pub messages: u64,
    /// Messages of a day that are ours.
    pub share: u64,
    /// Messages that the hub takes in a day.
    pub day: u64,
    /// Reads slow down for the sake of our share: how late a change may be seen in
    /// the end.
    pub late: Option<Duration>,
}

impl Forecast {
    /// Is it worth a word also for a single update?
    #[must_use]
    pub fn is_much(&self) -> bool {
        self.late.is_some() || self.starting > self.share
    }
}

impl std::fmt::Display for Forecast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let minutes = self.lasting.as_secs().div_ceil(60);
        let s = if self.updates == 1 { "" } else { "s" };
        write!(
            f,
            "{} update{s}, watched for {minutes} min: up to {:.0} reads/s, about {} messages, \
             {:.1} % of a day of the hub ({})",
            self.updates,
            self.reads_per_second,
            grouped(self.messages),
            100.0 * self.messages as f64 / self.day.max(1) as f64,
            grouped(self.day),
        )?;
        if self.starting > self.day {
            return write!(
                f,
                "; starting them takes {} messages, so the hub's day ends before all are started, \
                 for its devices too",
                grouped(self.starting)
            );
        }
        if let Some(late) = self.late {
            let late = jiff::SignedDuration::try_from(late).unwrap_or_default();
            write!(
                f,
                "; our share is {} a day (day_share), so reads slow down and a change is seen \
                 up to {} late",
                grouped(self.share),
                spoken(late)
            )?;
        }
        Ok(())
    }
}

/// How the read budget stands, as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Reads in the last second.
    pub reads: u32,
    /// Reads that a second may have now.
    pub limit: u32,
    /// Messages that this process has spent since midnight UTC.
    pub spent: u64,
    /// Messages that the hub takes in a day, from everybody.
    pub day: u64,
    /// Why there are fewer reads than the tier allows us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowed: Option<Slowed>,
}

/// What slows reads down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Slowed {
    /// The hub has enough: it refuses, or holds back.
    Hub,
    /// Our share of the day's messages is nearly spent.
    Day,
}

impl Budget {
    /// Nothing was read yet on a hub of that profile.
    #[must_use]
    pub fn at_rest(profile: &Profile) -> Self {
        let (tier, units) = profile.tier_or_assumed();
        Self {
            limit: profile.reads_per_second(),
            day: tier.messages_per_day(units),
            ..Self::default()
        }
    }

    /// The part of the day that is spent, in thousandths.
    #[must_use]
    pub fn day_permille(&self) -> u64 {
        let day = self.day.max(1);
        (self.spent.saturating_mul(1_000) + day / 2) / day
    }

    /// The same in words: `0.4 %`.
    #[must_use]
    pub fn day_text(&self) -> String {
        let permille = self.day_permille();
        format!("{}.{} %", permille / 10, permille % 10)
    }

    /// Does it look the same on a screen?
    #[must_use]
    pub fn looks_as(&self, other: &Self) -> bool {
        let seen = |b: &Self| (b.reads, b.limit, b.slowed, b.day_permille());
        seen(self) == seen(other)
    }
}

/// The size of a twin as JSON, in bytes, near enough to count messages.
#[must_use]
pub fn twin_bytes(twin: &Twin) -> usize {
    /// Etags, connection state, times: what each twin has.
    const FRAME: usize = 450;
    let section = |s: &Section| map_bytes(&s.values) + map_bytes(&s.metadata);
    FRAME + map_bytes(&twin.tags) + section(&twin.desired) + section(&twin.reported)
}

/// The size of a value as JSON, in bytes; escapes count as what they stand for.
#[must_use]
pub fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|v| value_bytes(v) + 1).sum::<usize>(),
        Value::Object(map) => map_bytes(map),
    }
}

fn map_bytes(map: &Map<String, Value>) -> usize {
    let pairs = map.iter().map(|(key, v)| key.len() + 4 + value_bytes(v));
    2 + pairs.sum::<usize>()
}

fn meters(bytes: usize, meter: usize) -> u64 {
    bytes.div_ceil(meter).max(1) as u64
}

fn date(now: Timestamp) -> i64 {
    now.as_second().div_euclid(DAY)
}

fn left_of_day(now: Timestamp) -> f64 {
    (DAY - now.as_second().rem_euclid(DAY)) as f64
}

/// `400,000`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
