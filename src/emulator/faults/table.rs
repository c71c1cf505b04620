//! `[[fault]]` as it is written, and what is understood of it.

use std::time::Duration;

use serde::Deserialize;

use super::route::Route;
use crate::domain::pattern::Ids;
use crate::domain::span::{Fraction, Span};
use crate::emulator::refusal::Code;

/// How a call goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The hub refuses in its own words.
    Answer {
        /// The code: number, header and status agree.
        code: Code,
        /// The sentence; `None` takes the usual one.
        message: Option<String>,
    },
    /// Something before the hub answers: a gateway, a proxy.
    Plain {
        /// The HTTP status.
        status: u16,
        /// The body, HTML when it begins with `<`.
        body: String,
    },
    /// The connection ends during the answer.
    Cut(Place),
    /// There is no answer until the client leaves.
    Hang,
    /// CONNACK with this code, or SUBACK 128.
    Refuse(u8),
    /// The device's link is closed.
    Drop,
}

/// Where an answer is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Before its first byte.
    Before,
    /// In its first lines.
    Head,
    /// Half way through the body, of which the head has promised all.
    Body,
}

/// How often.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rate {
    pub(super) chance: Option<f64>,
    pub(super) every: Option<u64>,
    pub(super) after: u64,
    pub(super) times: Option<u64>,
}

/// When, counted from the moment at which the hub was ready.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Window {
    from: Duration,
    until: Option<Duration>,
    /// So long of each so long.
    round: Option<(Duration, Duration)>,
}

impl Window {
    pub(super) fn holds(self, since: Duration) -> bool {
        let Some(within) = since.checked_sub(self.from) else {
            return false;
        };
        let in_round = self.round.is_none_or(|(length, of)| {
            let passed = within.as_nanos() % of.as_nanos().max(1);
            passed < length.as_nanos()
        });
        in_round && self.until.is_none_or(|until| since < until)
    }

    fn faster(self, times: u32) -> Self {
        Self {
            from: self.from / times,
            until: self.until.map(|until| until / times),
            round: self.round.map(|(length, of)| (length / times, of / times)),
        }
    }
}

/// One `[[fault]]`: which calls, how often, when, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Table")]
pub struct Fault {
    pub(super) routes: Vec<Route>,
    pub(super) ids: Option<Ids>,
    pub(super) rate: Rate,
    pub(super) window: Window,
    pub(super) strike: Strike,
}

/// What becomes of one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Strike {
    /// The answer is held back for so long.
    pub delay: Duration,
    /// The answer's body takes so long.
    pub trickle: Option<Duration>,
    /// What comes instead of the answer; `None` leaves it.
    pub effect: Option<Effect>,
    /// Is the call really done, whatever is then said of it?
    pub runs: bool,
}

impl Fault {
    /// The same with every time divided by `times`.
    #[must_use]
    pub fn faster(mut self, times: u32) -> Self {
        self.window = self.window.faster(times);
        self.strike.delay /= times;
        self.strike.trickle = self.strike.trickle.map(|time| time / times);
        self
    }

    /// The calls that it is for.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// What it does to them.
    #[must_use]
    pub fn strike(&self) -> &Strike {
        &self.strike
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    route: Routes,
    ids: Option<Ids>,
    chance: Option<Fraction>,
    every: Option<u64>,
    after: Option<u64>,
    times: Option<u64>,
    from: Option<Span>,
    until: Option<Span>,
    #[serde(rename = "for")]
    length: Option<Span>,
    repeat: Option<Span>,
    answer: Option<String>,
    message: Option<String>,
    status: Option<u16>,
    body: Option<String>,
    delay: Option<Span>,
    trickle: Option<Span>,
    cut: Option<Place>,
    hang: Option<bool>,
    refuse: Option<u8>,
    drop: Option<bool>,
    runs: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a route, or a list of them")]
enum Routes {
    One(String),
    Many(Vec<String>),
}

impl TryFrom<Table> for Fault {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let effect = effect(&table)?;
        let (delay, trickle) = (table.delay, table.trickle.map(|span| span.0));
        if effect.is_none() && delay.is_none() && trickle.is_none() {
            return Err(format!("a fault does something: {EFFECTS}"));
        }
        if trickle.is_some() && effect.is_some() {
            return Err(
                "trickle is a slow body of the true answer: it goes with delay only".into(),
            );
        }
        let routes = routes(&table, effect.as_ref())?;
        let runs = runs(&table, effect.as_ref(), &routes)?;
        Ok(Self {
            rate: rate(&table)?,
            window: window(&table)?,
            strike: Strike {
                delay: delay.map_or(Duration::ZERO, |span| span.0),
                trickle,
                effect,
                runs,
            },
            routes,
            ids: table.ids,
        })
    }
}

const EFFECTS: &str = "say one of answer, status, delay, trickle, cut, hang, refuse, drop";

fn effect(table: &Table) -> Result<Option<Effect>, String> {
    let mut found = Vec::new();
    if let Some(name) = &table.answer {
        found.push(Effect::Answer {
            code: code(name)?,
            message: table.message.clone(),
        });
    }
    if let Some(status) = table.status {
        if !(200..=599).contains(&status) {
            return Err(format!("status {status} is none of 200 to 599"));
        }
        let body = table.body.clone().unwrap_or_default();
        found.push(Effect::Plain { status, body });
    }
    found.extend(table.cut.map(Effect::Cut));
    found.extend(table.hang.filter(|hang| *hang).map(|_| Effect::Hang));
    found.extend(table.drop.filter(|drop| *drop).map(|_| Effect::Drop));
    if let Some(code) = table.refuse {
        if ![3, 5, 128].contains(&code) {
            return Err(format!(
                "refuse {code} is none of 3 (CONNACK: unavailable), 5 (CONNACK: not authorised), \
                 128 (SUBACK: failure)"
            ));
        }
        found.push(Effect::Refuse(code));
    }
    if table.message.is_some() && table.answer.is_none() {
        return Err("message is the text of an answer: say which".into());
    }
    if table.body.is_some() && table.status.is_none() {
        return Err("body goes with a status".into());
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err("one fault has one effect beside delay: write two faults".into()),
    }
}

fn code(name: &str) -> Result<Code, String> {
    Code::named(name).ok_or_else(|| {
        let names = Code::ALL.iter().map(|code| code.name());
        format!("the hub has no answer \"{name}\"{}", nearest(name, names))
    })
}

fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> String {
    let near = known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 2);
    near.map_or_else(String::new, |(_, near)| {
        format!(", did you mean \"{near}\"?")
    })
}

/// The routes that are named; `*` stands for those on which it is possible.
fn routes(table: &Table, effect: Option<&Effect>) -> Result<Vec<Route>, String> {
    let names = match &table.route {
        Routes::One(name) => std::slice::from_ref(name),
        Routes::Many(names) => names,
    };
    if names.is_empty() {
        return Err("route names no route".into());
    }
    let mut routes = Vec::new();
    for name in names {
        if name == "*" {
            let fits = |route: &Route| fits(*route, table, effect).is_ok();
            routes.extend(Route::ALL.into_iter().filter(fits));
            continue;
        }
        let route = Route::ALL.into_iter().find(|route| route.name() == name);
        let route = route.ok_or_else(|| unknown_route(name))?;
        fits(route, table, effect)?;
        routes.push(route);
    }
    Ok(routes)
}

fn unknown_route(name: &str) -> String {
    let names = || Route::ALL.into_iter().map(Route::name);
    format!(
        "there is no route \"{name}\"{}; known are {}, *",
        nearest(name, names()),
        names().collect::<Vec<_>>().join(", ")
    )
}

fn fits(route: Route, table: &Table, effect: Option<&Effect>) -> Result<(), String> {
    let name = route.name();
    let (possible, what) = match effect {
        None => (true, ""),
        Some(Effect::Answer { .. }) => (route.speaks_hub(), "answer"),
        Some(Effect::Plain { .. }) => (route.is_https(), "status"),
        Some(Effect::Cut(_)) => (route.is_https(), "cut"),
        Some(Effect::Hang) => (route != Route::Event, "hang"),
        Some(Effect::Refuse(128)) => (route == Route::Subscribe, "refuse = 128"),
        Some(Effect::Refuse(_)) => (route == Route::Connect, "refuse"),
        Some(Effect::Drop) => (!route.is_https(), "drop"),
    };
    if !possible {
        return Err(format!("{what} is not possible on the route {name}"));
    }
    if table.trickle.is_some() && !route.is_https() {
        return Err(format!("trickle is not possible on the route {name}"));
    }
    if table.ids.is_some() && !route.has_device() {
        return Err(format!("the route {name} is about no device: no ids"));
    }
    Ok(())
}

/// Unless told otherwise, a call whose answer is cut off was done, and one that
/// is answered otherwise was not.
fn runs(table: &Table, effect: Option<&Effect>, routes: &[Route]) -> Result<bool, String> {
    let replaced = effect.is_some();
    if table.runs.is_some() && !(replaced && routes.iter().all(|route| route.changes())) {
        return Err(
            "runs says whether a call was done that is answered otherwise: it goes with an effect \
             on the routes method, twin-write, registry, report"
                .into(),
        );
    }
    let usual = matches!(effect, None | Some(Effect::Cut(Place::Head | Place::Body)));
    Ok(table.runs.unwrap_or(usual))
}

fn rate(table: &Table) -> Result<Rate, String> {
    if table.every == Some(0) {
        return Err("every = 0 is never: leave the fault out".into());
    }
    if table.every.is_some() && table.chance.is_some() {
        return Err("say every or chance, not both".into());
    }
    Ok(Rate {
        chance: table.chance.map(|fraction| fraction.0),
        every: table.every,
        after: table.after.unwrap_or(0),
        times: table.times,
    })
}

fn window(table: &Table) -> Result<Window, String> {
    let from = table.from.map_or(Duration::ZERO, |span| span.0);
    let (until, length) = (table.until.map(|s| s.0), table.length.map(|s| s.0));
    let repeat = table.repeat.map(|span| span.0);
    if until.is_some_and(|until| until <= from) {
        return Err("until is not after from".into());
    }
    let round = match (length, repeat) {
        (None, Some(_)) => return Err("repeat needs for: \"30s\" of every \"2m\"".into()),
        (Some(length), Some(of)) if length >= of => {
            return Err("for is not shorter than repeat".into());
        }
        (Some(length), Some(of)) => Some((length, of)),
        (Some(_), None) if until.is_some() => return Err("say until or for, not both".into()),
        _ => None,
    };
    let end = length
        .filter(|_| round.is_none())
        .map(|length| from + length);
    Ok(Window {
        from,
        until: until.or(end),
        round,
    })
}
