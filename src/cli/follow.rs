//! Follows updates to their end: prints what happens, tells the exit code.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until, timeout};

use crate::domain::clean;
use crate::domain::durations::{self, Durations};
use crate::domain::event::{Event, Link, Way, What};
use crate::domain::id::{DeviceId, UpdateId};
use crate::domain::phase::Phase;
use crate::domain::problem::Problem;
use crate::domain::time::{on_a_clock, spoken};
use crate::domain::update::{OpenState, Update};
use crate::engine::{Batch, Engine, Subscription};

use super::exit::{Code, Failure};
use super::out;
use super::signals::Signals;

/// How long the end waits for a reader that reads slowly.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How to follow.
pub(super) struct Options {
    /// One JSON event a line instead of words.
    pub(super) json: bool,
    /// An update is settled once the device has taken the order.
    pub(super) no_wait: bool,
    /// Is there a journal from which it can be carried on?
    pub(super) kept: bool,
    /// When the watching ends.
    pub(super) until: Option<Instant>,
}

/// Whose updates.
pub(super) enum Whose {
    /// Of these devices; each is refused or gets an update.
    Devices(Vec<DeviceId>),
    /// Of the journal; it tells how many there are.
    Journal,
}

struct Follow {
    options: Options,
    engine: Engine,
    /// Devices that have neither an update nor a refusal yet.
    awaited: BTreeSet<DeviceId>,
    /// The journal has not told yet how many updates are open.
    resuming: bool,
    updates: BTreeMap<UpdateId, Update>,
    durations: Durations,
    /// The way to the hub, as it was told last.
    way: Option<Way>,
    codes: Vec<Code>,
    /// Something that was seen is not written down yet.
    unwritten: bool,
    /// What is to be printed, and waits for room.
    said: VecDeque<String>,
}

/// Prints what happens until all is settled, the time is up, or a signal comes.
///
/// # Errors
/// When stdout cannot be written, or the engine ends.
pub(super) async fn follow(
    engine: Engine,
    mut events: Subscription,
    whose: Whose,
    options: Options,
    signals: &mut Signals,
) -> Result<Code, Failure> {
    let end = options.until;
    let (awaited, resuming) = match whose {
        Whose::Devices(devices) => (devices.into_iter().collect(), false),
        Whose::Journal => (BTreeSet::new(), true),
    };
    let mut follow = Follow {
        options,
        engine,
        awaited,
        resuming,
        updates: BTreeMap::new(),
        durations: Durations::default(),
        way: None,
        codes: Vec::new(),
        unwritten: false,
        said: VecDeque::new(),
    };
    let mut over = None;
    loop {
        let said = follow.said.front().cloned();
        let idle = said.is_none();
        if idle && (over.is_some() || follow.is_settled()) {
            break;
        }
        tokio::select! {
            // A signal first; then what is to be said of what has happened, before
            // more is heard; all that before the time is up.
            biased;
            code = signals.next() => {
                // A reader that still reads gets what was said up to now.
                let _ = timeout(LAST_WORDS, follow.say_all()).await;
                return Ok(follow.left_open(Some(code)));
            }
            printed = out::print(said.unwrap_or_default()), if !idle => {
                printed?;
                follow.said.pop_front();
            }
            batch = events.next(), if idle => follow.batch(batch, &mut events).await?,
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() && over.is_none() => {
                over = Some(follow.left_open(None));
            }
        }
    }
    let code = over.unwrap_or_else(|| follow.code());
    tokio::select! {
        biased;
        signal = signals.next() => Ok(signal),
        printed = out::printed() => printed.map(|()| code),
    }
}

impl Follow {
    fn is_settled(&self) -> bool {
        self.awaited.is_empty() && !self.resuming && self.updates.values().all(|u| self.settles(u))
    }

    fn settles(&self, update: &Update) -> bool {
        let unknown = matches!(update.doubt, Some((OpenState::Unknown, _)));
        !update.is_open() || (self.options.no_wait && (update.answer.is_some() || unknown))
    }

    /// Prints what waits, to the end.
    async fn say_all(&mut self) -> Result<(), Failure> {
        while let Some(text) = self.said.front().cloned() {
            out::print(text).await?;
            self.said.pop_front();
        }
        out::printed().await
    }

    fn code(&self) -> Code {
        let updates = self.updates.values().map(|update| {
            let accepted = self.options.no_wait && update.is_open() && update.answer.is_some();
            if accepted {
                Code::Completed
            } else {
                Code::of_update(update)
            }
        });
        let journal = self.unwritten.then_some(Code::Failure);
        let codes = self.codes.iter().copied().chain(journal);
        Code::worst(codes.chain(updates))
    }

    /// The watching ends before the updates do.
    fn left_open(&self, signal: Option<Code>) -> Code {
        let open: Vec<&Update> = self.updates.values().filter(|u| u.is_open()).collect();
        for update in &open {
            out::note(&format!(
                "still open: {} ({})",
                update.device,
                standing(update)
            ));
        }
        for device in &self.awaited {
            out::note(&format!("nothing was sent to {device} yet"));
        }
        if open.iter().any(|u| goes_on(u)) {
            let again = match self.options.kept {
                true => "otadeck watch --resume".to_owned(),
                false => {
                    let devices = open.iter().map(|u| clean::shell_word(u.device.as_str()));
                    let devices: Vec<String> = devices.collect();
                    format!("otadeck watch -- {}", devices.join(" "))
                }
            };
            out::note(&format!(
                "Updates go on on the devices. To carry on watching: {again}"
            ));
        }
        signal.unwrap_or_else(|| Code::worst([self.code(), Code::Open]))
    }

    async fn batch(
        &mut self,
        batch: Option<Batch>,
        events: &mut Subscription,
    ) -> Result<(), Failure> {
        match batch {
            Some(Batch::Events(events)) => {
                for event in events.iter() {
                    self.event(event)?;
                }
                Ok(())
            }
            Some(Batch::Lagged) => self.catch_up(events).await,
            None => Err(Failure::internal(
                "the engine has ended",
                "a defect; see the log",
            )),
        }
    }

    /// Some events were missed because stdout was slow: go on from how all
    /// stands.
    async fn catch_up(&mut self, events: &mut Subscription) -> Result<(), Failure> {
        out::note("the output was too slow; some lines are missing");
        if self.options.json {
            let lagged = Event::general(Timestamp::now(), What::Lagged {});
            self.said.push_back(out::event(&lagged)?);
        }
        let ended = |e| Failure::internal("the engine has ended", e);
        let snapshot = self.engine.snapshot().await.map_err(ended)?;
        events.after(&snapshot);
        self.resuming &= snapshot.resuming;
        self.durations = snapshot.durations;
        self.unwritten = snapshot.journal.is_some();
        for update in snapshot.updates {
            self.awaited.remove(&update.device);
            let told = self.updates.get(&update.id).is_some_and(|u| !u.is_open());
            if let (Some(event), false) = (update.verdict_event(), told) {
                self.print(&event, Some(&update))?;
            }
            self.updates.insert(update.id.clone(), update);
        }
        for (device, problem) in snapshot.refusals {
            if self.awaited.contains(&device) && !snapshot.starting.contains(&device) {
                self.refused(Some(&device), &problem);
            }
        }
        Ok(())
    }

    fn refused(&mut self, device: Option<&DeviceId>, problem: &Problem) {
        self.codes.push(Code::of_problem(problem));
        match device {
            Some(device) => {
                self.awaited.remove(device);
            }
            // A refusal of the hub as a whole: nothing more will come.
            None => self.awaited.clear(),
        }
        out::complain(&problem.to_string());
    }

    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        match &event.what {
            What::Intended(_) | What::Watched(_) => {
                if let Some(update) = Update::intended(event) {
                    self.awaited.remove(&update.device);
                    self.updates.insert(update.id.clone(), update);
                }
            }
            What::Refused { problem } | What::Elsewhere { problem } => {
                self.refused(event.device_id.as_ref(), problem);
            }
            What::DeviceProblem { problem } => out::note(&problem.line()),
            What::BudgetWarning { problem } => out::note(&problem.to_string()),
            What::Resumed { .. } => self.resuming = false,
            What::Durations { learnt } => self.durations = learnt.clone().into(),
            What::JournalProblem { problem } => {
                out::complain(&problem.to_string());
                // Nobody knows then what is open; what is only late may come.
                match std::mem::take(&mut self.resuming) {
                    true => self.codes.push(Code::Failure),
                    false => self.unwritten = true,
                }
            }
            What::JournalRecovered {} => {
                out::note("the journal is written again, with all that was seen meanwhile");
                self.unwritten = false;
            }
            What::Link(way) => self.link(way),
            What::Clock {
                problem: Some(problem),
                ..
            } => out::note(&format!("{}. {}", problem.line(), problem.hint)),
            _ => {}
        }
        let known = match event
            .update_id
            .as_ref()
            .and_then(|id| self.updates.get_mut(id))
        {
            Some(update) => {
                let before = update.steps.len();
                update.apply(event);
                let repeats = update.steps.len() == before;
                let same = repeats && matches!(event.what, What::Phase { .. });
                (!same || self.options.json).then(|| update.clone())
            }
            None => None,
        };
        self.print(event, known.as_ref())
    }

    /// One line for what is new; the single tries of an outage are in the NDJSON.
    fn link(&mut self, way: &Way) {
        let before = self.way.replace(way.clone());
        if before.as_ref().is_some_and(|before| before.says_as(way)) {
            return;
        }
        match (way.state, &way.problem, before.map(|before| before.state)) {
            (Link::Online, _, Some(Link::Retrying | Link::Unauthorized)) => {
                out::note("the hub answers again");
            }
            (Link::Online, ..) => {}
            (_, Some(problem), _) => {
                out::note(&format!("{}; trying again", problem.line()));
                out::note(&problem.hint);
            }
            (_, None, _) => {}
        }
    }

    fn print(&mut self, event: &Event, update: Option<&Update>) -> Result<(), Failure> {
        let text = match (self.options.json, update) {
            (true, _) => match &event.what {
                What::Device { .. }
                | What::Inventory { .. }
                | What::Narrowed { .. }
                | What::Twin { .. }
                | What::Gone {}
                | What::Durations { .. }
                | What::Arming { .. }
                | What::Budget(_) => return Ok(()),
                _ => out::event(event)?,
            },
            (false, Some(update)) => words(event, update, &self.durations),
            (false, None) => return Ok(()),
        };
        if !text.is_empty() {
            self.said.push_back(text);
        }
        Ok(())
    }
}

/// May the device go on with what was ordered? One that was created again never
/// got it, nor did one whose order waits.
fn goes_on(update: &Update) -> bool {
    let there = update.replaced.is_none() && !update.lost;
    update.intent.method.is_some() && update.retry.is_none() && there
}

/// Where an open update stands and what is to be done, for whoever stops watching.
fn standing(update: &Update) -> String {
    let mut text = match (&update.doubt, update.steps.last()) {
        (Some((doubt, why)), _) => {
            let why = why.split(". ").next().unwrap_or_default();
            format!("{}: {}", doubt.name(), clean::line(why, 300))
        }
        (None, Some(step)) if step.phase == Phase::Unknown => format!(
            "it reports {}, which dialect {} has no word for; describe it in a [dialect.NAME] of \
             the configuration",
            clean::value_line(&step.evidence.value, 60),
            update.intent.dialect
        ),
        (None, _) => update.word().to_owned(),
    };
    if let Some(away) = update.away {
        let since = away.since.strftime("%H:%M:%S UTC");
        text.push_str(&format!(
            "; not connected since {since}, as far as the hub knows"
        ));
    }
    text
}

/// An event of an update in words: one line, or a verdict with its evidence and
/// the reported properties.
fn words(event: &Event, update: &Update, durations: &Durations) -> String {
    let said = |word: &str, rest: &str| {
        let line = format!("{}  {word:<11}  {rest}", update.device);
        format!("{}\n", clean::line(line.trim_end(), 400))
    };
    match &event.what {
        What::Intended(intent) => said("intended", intent.uri.as_deref().unwrap_or_default()),
        What::TookOver { holding } => said("took over", &format!("from {holding}")),
        What::Watched(_) => said("watching", ""),
        What::Invoked { attempt, .. } => {
            let method = update.intent.method.as_deref().unwrap_or_default();
            let again = if *attempt > 1 {
                format!(", try {attempt}")
            } else {
                String::new()
            };
            said("invoked", &format!("{method}{again}"))
        }
        What::Retrying { problem, .. } => said("retrying", &problem.line()),
        What::Accepted { status, payload } => said(
            "accepted",
            &format!("{status} {}", clean::value_line(payload, 300)),
        ),
        What::Phase {
            phase, evidence, ..
        } => {
            let time = evidence.hub_time.map(|t| t.to_string()).unwrap_or_default();
            let value = clean::value_line(&evidence.value, 60);
            said(
                phase.name(),
                &format!(
                    "{} = {value}, {time}{}",
                    evidence.property,
                    left(event, update, durations)
                ),
            )
        }
        // A device that restarts goes away and comes back.
        What::Connection { expected: true, .. } => String::new(),
        What::Connection { state, .. } => {
            let state = format!("{state:?}").to_lowercase();
            said(&state, "as far as the hub knows; nothing is decided by it")
        }
        What::Tag { problem } => said("tag", &format!("{}. {}", problem.line(), problem.hint)),
        What::Contradicted { reason, .. } => said(
            "contradicted",
            &format!("{reason}. The outcome, and the exit code, stay"),
        ),
        What::State { state, reason, .. } => said(state.name(), reason),
        What::Verdict { .. } => verdict(update),
        _ => String::new(),
    }
}

/// What is left of the update if it goes as it went before.
fn left(event: &Event, update: &Update, durations: &Durations) -> String {
    match durations.left(update, event.time) {
        Some(estimate) => format!(
            ", ~{} left by {} past updates",
            on_a_clock(estimate.left),
            estimate.samples
        ),
        None => String::new(),
    }
}

fn verdict(update: &Update) -> String {
    let Some((line, verdict)) = update.verdict_line().zip(update.verdict.as_ref()) else {
        return String::new();
    };
    let mut text = format!("{}\n", clean::line(&line, 600));
    if let Some(hint) = verdict
        .problem
        .as_ref()
        .map(|p| &p.hint)
        .filter(|h| !h.is_empty())
    {
        text.push_str(&format!("  {}\n", clean::line(hint, 400)));
    }
    let phases = durations::lasted(&update.steps);
    if !phases.is_empty() {
        let phases: Vec<String> = phases
            .iter()
            .map(|(phase, time)| format!("{phase} {}", spoken(*time)))
            .collect();
        text.push_str(&format!("  phases: {}\n", phases.join(", ")));
    }
    if let Some(evidence) = &verdict.evidence {
        let value = clean::line(&evidence.value.to_string(), 200);
        let time = evidence.hub_time.map(|t| t.to_string()).unwrap_or_default();
        let property = clean::line(&evidence.property, 100);
        text.push_str(&format!(
            "  evidence: {property} = {value}, reported version {}, hub time {time}\n",
            evidence.version
        ));
    }
    if !update.reported.is_null() {
        let pretty = serde_json::to_string_pretty(&update.reported).unwrap_or_default();
        text.push_str("  reported:\n");
        for line in pretty.lines() {
            text.push_str(&format!("    {}\n", clean::line(line, 400)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Intent;
    use crate::domain::problem::Kind;

    fn told(news: Vec<What>) -> Update {
        let event = |what| {
            let device = DeviceId::parse("press-7").unwrap();
            Event::update(
                jiff::Timestamp::UNIX_EPOCH,
                device,
                UpdateId::from_text("u"),
                what,
            )
        };
        let intent = Intent {
            method: Some("firmwareUpdate".into()),
            ..Intent::default()
        };
        let mut update = Update::intended(&event(What::Intended(Box::new(intent)))).unwrap();
        for what in news {
            update.apply(&event(what));
        }
        update
    }

    fn unknown(reason: &str) -> What {
        What::State {
            state: OpenState::Unknown,
            reason: reason.to_owned(),
            evidence: None,
        }
    }

    fn problem() -> Problem {
        Problem::new(Kind::Throttled, "no", "429")
    }

    /// What was never delivered, or to a device that is not there any more, does
    /// not go on.
    #[test]
    fn only_what_a_device_may_have_goes_on() {
        let lost = || What::Lost {};
        let back = What::State {
            state: OpenState::Back,
            reason: String::new(),
            evidence: None,
        };
        let replaced = What::Replaced {
            generation_id: None,
            since: None,
            version: 1,
        };
        let retrying = What::Retrying {
            problem: problem(),
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        assert!(goes_on(&told(vec![unknown("504")])));
        assert!(goes_on(&told(vec![lost(), unknown("404"), back])));
        for news in [
            vec![lost(), unknown("404")],
            vec![lost(), replaced.clone(), unknown("new")],
            vec![replaced],
            vec![retrying],
        ] {
            assert!(!goes_on(&told(news.clone())), "{news:?}");
        }
    }

    #[test]
    fn where_an_update_stands_is_said_with_its_reason() {
        let reason = "the order's answer is not known: 504. Whether the device got it is not known";
        assert_eq!(
            standing(&told(vec![unknown(reason)])),
            "unknown: the order's answer is not known: 504"
        );
        assert_eq!(standing(&told(Vec::new())), "intended");
    }

    use crate::engine::{Request, channel};

    fn follow(json: bool, engine: Engine) -> Follow {
        Follow {
            options: Options {
                json,
                no_wait: false,
                kept: true,
                until: None,
            },
            engine,
            awaited: BTreeSet::new(),
            resuming: true,
            updates: BTreeMap::new(),
            durations: Durations::default(),
            way: None,
            codes: Vec::new(),
            unwritten: false,
            said: VecDeque::new(),
        }
    }

    /// Whoever reads too slowly is told so, and goes on from how all stands.
    #[tokio::test]
    async fn a_slow_reader_is_told_what_it_has_missed() {
        let (engine, mut backend) = channel();
        let mut events = engine.subscribe();
        let resumed = Event::general(Timestamp::UNIX_EPOCH, What::Resumed { count: 0 });
        for _ in 0..2_000 {
            backend.publish(vec![resumed.clone()]);
        }
        let settings = {
            let profile = crate::domain::profile::Profile {
                name: "test".into(),
                host: "hub.test".into(),
                environment: None,
                read_only: false,
                tier: None,
                units: 1,
            };
            crate::engine::Settings::new(profile, crate::domain::dialect::Dialects::built_in())
        };
        let snapshot = crate::engine::core::Core::new(settings).snapshot();
        let mut follow = follow(true, engine);
        let batch = events.next().await;
        let (told, ()) = tokio::join!(follow.batch(batch, &mut events), async {
            match backend.requests.recv().await {
                Some(Request::Snapshot(reply)) => backend.answer(reply, snapshot),
                other => panic!("{other:?}"),
            }
        });
        told.unwrap();
        let said: Vec<_> = follow.said.into_iter().collect();
        assert_eq!(said.len(), 1);
        assert!(said[0].contains("\"event\":\"lagged\""), "{said:?}");
        drop(backend);
        assert_eq!(
            events.next().await,
            None,
            "what is in the snapshot is left out"
        );
    }
}
