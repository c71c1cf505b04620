//! What goes wrong at the hub, on purpose: faults by rule, clocks that are off,
//! reads that lag, tokens that end early.
//!
//! ```text
//!  call ─► Plan::judge(route, device, time since ready) ─► nothing: the hub goes on
//!                │ first fault that fits                └► Strike: delay, effect, runs
//!          ids · window · rate                              played by rest and mqtt
//! ```
//!
//! [`Plan`] is pure: the same rules, seed and calls give the same strikes.
//! Nothing strikes before the hub says that it is ready
//! ([`Emulator::begin_faults`](super::Emulator::begin_faults)), so that its own
//! devices can arrive. The vocabulary of the tables is explained in the room
//! `scenario`, which reads them from a file.

mod route;
mod table;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::id::DeviceId;
use crate::domain::span::{Skew, Span};
use crate::emulator::refusal::{Code, Refusal};

pub use route::Route;
pub use table::{Effect, Fault, Place, Strike};
pub(super) use tokens::Tokens;

/// The longest that a read may lag: the history in memory is no longer.
pub const LONGEST_LAG: Duration = Duration::from_secs(600);

/// What is wrong with a hub. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions {
    /// How far the hub's clock is off.
    pub clock: SignedDuration,
    /// Queries see the hub as it was so long ago, as those of a real hub do for
    /// some seconds.
    pub index_lag: Duration,
    /// Twin reads of the service see the hub as it was so long ago. The real
    /// hub's are consistent: this is a drill for proxies and replicas.
    pub twin_lag: Duration,
    /// A device's token is over so long after it was first used.
    pub device_token_life: Option<Duration>,
    /// A service token is over so long after it was first used.
    pub service_token_life: Option<Duration>,
    /// What the dice of `chance` are made of.
    pub seed: u64,
    /// In order: the first that fits strikes.
    pub faults: Vec<Fault>,
}

impl Conditions {
    /// The same with every time divided by `times`; the clock stays as wrong as
    /// it is. Tokens end at whole seconds, so their lives stay at one at least.
    #[must_use]
    pub fn faster(mut self, times: u32) -> Self {
        let times = times.max(1);
        self.index_lag /= times;
        self.twin_lag /= times;
        let life = |life: Duration| (life / times).max(life.min(Duration::from_secs(1)));
        self.device_token_life = self.device_token_life.map(life);
        self.service_token_life = self.service_token_life.map(life);
        self.faults = self.faults.into_iter().map(|f| f.faster(times)).collect();
        self
    }
}

/// `[hub]` as it is written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HubTable {
    index_lag: Option<Lag>,
    twin_lag: Option<Lag>,
    clock: Option<Skew>,
    token_life: Option<TokenLife>,
    seed: u64,
}

impl HubTable {
    /// With these faults.
    #[must_use]
    pub fn with(&self, faults: Vec<Fault>) -> Conditions {
        let lag = |lag: Option<Lag>| lag.map_or(Duration::ZERO, |lag| lag.0);
        let (device, service) = match self.token_life.clone() {
            None => (None, None),
            Some(TokenLife::Both(life)) => (Some(life.0), Some(life.0)),
            Some(TokenLife::Each(lives)) => (lives.device.map(|s| s.0), lives.service.map(|s| s.0)),
        };
        Conditions {
            clock: self.clock.unwrap_or_default().0,
            index_lag: lag(self.index_lag),
            twin_lag: lag(self.twin_lag),
            device_token_life: device,
            service_token_life: service,
            seed: self.seed,
            faults,
        }
    }
}

/// At most ten minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Span")]
struct Lag(Duration);

impl TryFrom<Span> for Lag {
    type Error = &'static str;

    fn try_from(span: Span) -> Result<Self, Self::Error> {
        match span.0 <= LONGEST_LAG {
            true => Ok(Self(span.0)),
            false => Err("a lag is ten minutes at most"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "a duration, or { device = \"20s\", service = \"1m\" }"
)]
enum TokenLife {
    Both(Span),
    Each(Lives),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lives {
    device: Option<Span>,
    service: Option<Span>,
}

/// The faults of one hub, and how often each was met.
#[derive(Clone, Debug)]
pub struct Plan {
    seed: u64,
    faults: Vec<(Fault, Tally)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Calls that fit, struck or not.
    met: u64,
    struck: u64,
}

impl Plan {
    /// Nothing has been met yet.
    #[must_use]
    pub fn new(seed: u64, faults: Vec<Fault>) -> Self {
        let faults = faults.into_iter().map(|fault| (fault, Tally::default()));
        Self {
            seed,
            faults: faults.collect(),
        }
    }

    /// What becomes of a call at `since` the hub was ready. A fault that lets
    /// the call through leaves it to the next.
    pub fn judge(
        &mut self,
        route: Route,
        device: Option<&DeviceId>,
        since: Duration,
    ) -> Option<Strike> {
        for (n, (fault, tally)) in self.faults.iter_mut().enumerate() {
            if fault.fits(route, device, since) && tally.strikes(fault, self.seed, n) {
                return Some(fault.strike.clone());
            }
        }
        None
    }
}

impl Fault {
    fn fits(&self, route: Route, device: Option<&DeviceId>, since: Duration) -> bool {
        let meant = |ids: &crate::domain::pattern::Ids| {
            device.is_some_and(|device| ids.matches(device.as_str()))
        };
        self.routes.contains(&route)
            && self.ids.as_ref().is_none_or(meant)
            && self.window.holds(since)
    }
}

impl Tally {
    fn strikes(&mut self, fault: &Fault, seed: u64, number: usize) -> bool {
        let rate = fault.rate;
        self.met += 1;
        if self.met <= rate.after || rate.times.is_some_and(|times| self.struck >= times) {
            return false;
        }
        let turn = self.met - rate.after;
        let hit = rate.every.is_none_or(|every| turn.is_multiple_of(every))
            && rate
                .chance
                .is_none_or(|chance| dice(seed, number, turn) < chance);
        self.struck += u64::from(hit);
        hit
    }
}

/// 0 to 1, from the seed, the fault's number and the call's (SplitMix64).
fn dice(seed: u64, fault: usize, call: u64) -> f64 {
    let fault = u64::try_from(fault).unwrap_or(u64::MAX);
    let mut mixed = seed
        .wrapping_add(fault.wrapping_mul(0xd1b5_4a32_d192_ed03))
        .wrapping_add(call.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let [a, b, c, d, ..] = mixed.to_le_bytes();
    f64::from(u32::from_le_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
}

/// The refusal that an [`Effect::Answer`] stands for.
#[must_use]
pub fn refusal(code: Code, message: Option<&str>) -> Refusal {
    let refusal = Refusal::new(code, message.unwrap_or_else(|| sentence(code)));
    match code {
        Code::DeviceNotOnline => refusal.with_info(serde_json::json!({"timeout": "00:00:00"})),
        Code::GatewayTimeout | Code::DeviceConnectionClosedRemotely => {
            refusal.with_info(serde_json::json!({}))
        }
        _ => refusal,
    }
}

fn sentence(code: Code) -> &'static str {
    match code {
        Code::DeviceNotOnline => {
            "The operation failed because the requested device isn't online or hasn't registered \
             the direct method callback. To learn more, see https://aka.ms/iothub404103"
        }
        Code::DeviceConnectionClosedRemotely => {
            "Device disconnected while it was handling the method."
        }
        Code::GatewayTimeout => "Timed out waiting for the response from device.",
        Code::IotHubUnauthorized => "The shared access signature has expired.",
        Code::IotHubQuotaExceeded => {
            "Total number of messages on IotHub exceeded the allocated quota."
        }
        _ if code.http() == 429 => "The request has been throttled. Wait 10 seconds and try again.",
        _ if code.http() >= 500 => "The hub cannot do this now. Please try again later.",
        _ => "The operation was refused.",
    }
}

/// The plan among tasks: since when, and until when.
#[derive(Debug)]
pub(super) struct Faults {
    plan: Option<Mutex<Plan>>,
    ready: OnceLock<Instant>,
    /// Ends what is held back when the hub ends.
    end: CancellationToken,
}

impl Faults {
    pub(super) fn new(conditions: &Conditions) -> Self {
        let plan = || Mutex::new(Plan::new(conditions.seed, conditions.faults.clone()));
        Self {
            plan: (!conditions.faults.is_empty()).then(plan),
            ready: OnceLock::new(),
            end: CancellationToken::new(),
        }
    }

    /// Faults are counted from now on.
    pub(super) fn begin(&self) {
        self.ready.get_or_init(Instant::now);
    }

    pub(super) fn end(&self) {
        self.end.cancel();
    }

    /// What becomes of this call.
    pub(super) fn strike(&self, route: Route, device: Option<&DeviceId>) -> Option<Strike> {
        let (plan, ready) = (self.plan.as_ref()?, self.ready.get()?);
        let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
        let strike = plan.judge(route, device, ready.elapsed());
        if let Some(strike) = &strike {
            tracing::debug!(route = route.name(), ?device, ?strike, "a fault");
        }
        strike
    }

    /// Waits so long, or until the hub ends.
    pub(super) async fn pause(&self, time: Duration) {
        if !time.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = self.end.cancelled() => {}
            }
        }
    }

    /// Waits until the hub ends.
    pub(super) async fn hang(&self) {
        self.end.cancelled().await;
    }
}
