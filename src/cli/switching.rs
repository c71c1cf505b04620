//! The console on one hub after another, in one process and one terminal.
//!
//! ```text
//!  session ─► console ─► quit, signal, defect ─► the engine ends, the program too
//!     ▲          │
//!     │          └─► to another hub, whose secret is there ─► the engine ends in order
//!     └──────────────────────────────────────────────────────────┘
//! ```
//!
//! The other hub's secret is fetched before this one is given up, so that whatever
//! fails leaves all as it was. The engine here has ended, and its leases are given
//! back, before the other one begins: both are this one process to the journal.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use secrecy::ExposeSecret;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, HubConfig, Paths, SecretSource, WayIn};
use crate::console::{self, Context, Ended, Exit, Grant, Granted, Granting, HubEntry, Stage, Wish};
use crate::domain::event::Command;
use crate::engine::Running;
use crate::hub::ConnectionString;

use super::args::Global;
use super::console::{code, tell, views_file};
use super::exit::{Code, Failure, worst};
use super::session::{self, CONNECTION_STRING, Session, get, rivals};
use super::signals::Signals;
use super::{doctor, ending, log};

/// Seconds of a hub's day.
const DAY: i64 = 86_400;

/// A hub that runs in this process, with all its state in one folder.
pub(super) struct Own {
    pub(super) connection: ConnectionString,
    pub(super) ca_file: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) samples: Vec<String>,
}

/// Where a hub comes from.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    /// The configuration, by this name.
    File(String),
    /// The environment.
    Environment(String),
    /// This process.
    Own,
}

/// All hubs that can be gone to.
pub(super) struct Hubs {
    global: Global,
    config: Config,
    paths: Option<Paths>,
    own: Option<Own>,
    named: BTreeMap<String, Source>,
    /// The one that was made ready last.
    ready: Mutex<Option<Ready>>,
}

struct Ready {
    name: String,
    session: Session,
}

impl Hubs {
    /// Those of the configuration, of the environment and of this process. Without
    /// `file` there is no configuration to read.
    pub(super) fn new(global: &Global, file: Option<(Config, Paths)>, own: Option<Own>) -> Self {
        let (config, paths) = file.map_or((Config::default(), None), |(config, paths)| {
            (config, Some(paths))
        });
        let names = config.hub.keys();
        let mut named: BTreeMap<String, Source> = names
            .map(|name| (name.clone(), Source::File(name.clone())))
            .collect();
        let environment = std::env::var(CONNECTION_STRING).ok();
        let environment = environment.and_then(|text| ConnectionString::parse(&text).ok());
        if let Some(connection) = environment.filter(|_| paths.is_some()) {
            let source = Source::Environment(connection.at.to_string());
            named.insert(free(&named, connection.at.short_name()), source);
        }
        if own.is_some() {
            named.insert(free(&named, "demo"), Source::Own);
        }
        Self {
            global: global.clone(),
            config,
            paths,
            own,
            named,
            ready: Mutex::new(None),
        }
    }

    /// The name of a session's hub here.
    pub(super) fn name_of(&self, session: &Session) -> String {
        let same = |source: &Source| match (source, &session.configured) {
            (Source::File(name), Some(configured)) => name == configured,
            (Source::Environment(host), None) => *host == session.profile.host,
            (Source::Own, None) => self.own.as_ref().is_some_and(|own| own.is(session)),
            _ => false,
        };
        let mut found = self.named.iter().filter(|(_, source)| same(source));
        let name = found.next().map(|(name, _)| name.clone());
        name.unwrap_or_else(|| session.profile.name.clone())
    }

    /// What the console is told of a session.
    pub(super) fn context(&self, session: &Session) -> Context {
        let mut context = Context::new(session.profile.clone());
        context.dialects = session.dialects.clone();
        context.hub = self.name_of(session);
        context.keeps_journal = session.keeps_journal();
        context.hubs = self.named.iter().map(|(n, s)| self.entry(n, s)).collect();
        if let Some(own) = self.own.as_ref().filter(|own| own.is(session)) {
            context.demo = true;
            context.sample_uris.clone_from(&own.samples);
        }
        context
    }

    fn entry(&self, name: &str, source: &Source) -> HubEntry {
        let nothing = HubConfig::default();
        let (hub, host) = match source {
            Source::File(name) => (self.config.hub.get(name).unwrap_or(&nothing), None),
            Source::Environment(host) => (&nothing, Some(host.clone())),
            Source::Own => {
                let own = self.own.as_ref();
                (&nothing, own.map(|own| own.connection.at.to_string()))
            }
        };
        HubEntry {
            name: name.to_owned(),
            environment: hub.environment.clone(),
            host,
            read_only: hub.read_only || self.global.read_only,
            trouble: None,
        }
    }

    /// The hubs, with their hosts as far as no program must be run for that.
    async fn list(&self) -> Vec<HubEntry> {
        let mut hubs = Vec::new();
        for (name, source) in &self.named {
            let mut entry = self.entry(name, source);
            if let Source::File(name) = source {
                match self.host(name).await {
                    Ok(host) => entry.host = host,
                    Err(failure) => entry.trouble = Some(said(name, &failure)),
                }
            }
            hubs.push(entry);
        }
        hubs
    }

    async fn host(&self, name: &str) -> Result<Option<String>, Failure> {
        let (Some(hub), Some(paths)) = (self.config.hub.get(name), &self.paths) else {
            return Ok(None);
        };
        let source = match hub.way_in(name).map_err(Failure::usage)? {
            WayIn::AzureCli(host) => return Ok(Some(host)),
            WayIn::Secret(SecretSource::Command(_)) => return Ok(None),
            WayIn::Secret(source) => source,
        };
        let secret = get(&source, paths, name).await?;
        let connection = ConnectionString::parse(secret.expose_secret());
        let connection = connection.map_err(Failure::usage)?;
        Ok(Some(connection.at.to_string()))
    }

    /// A session on the hub of that name; nothing is sent yet.
    async fn session(&self, name: &str) -> Result<Session, Failure> {
        let gone = || Failure::usage("it is not there any more");
        let (configured, hub) = match (self.named.get(name), &self.own) {
            (Some(Source::Own), Some(own)) => return Ok(own.session(&self.global)),
            (Some(Source::File(name)), _) => {
                let hub = self.config.hub.get(name).cloned();
                (Some(name.clone()), hub.ok_or_else(gone)?)
            }
            (Some(Source::Environment(_)), _) => (None, HubConfig::default()),
            (Some(Source::Own) | None, _) => return Err(gone()),
        };
        let paths = self.paths.clone().ok_or_else(gone)?;
        let sign_in = session::sign_in(configured.as_deref(), &hub, &paths).await?;
        let file = (self.config.clone(), paths);
        Session::on(sign_in, (configured, hub), file, &self.global)
    }

    async fn granted(&self, wish: &Wish) -> (Granted, Option<Ready>) {
        match wish {
            Wish::List => (Granted::Hubs(self.list().await), None),
            Wish::Connect(name) => match self.session(name).await {
                Ok(session) => {
                    let name = name.clone();
                    (Granted::Ready, Some(Ready { name, session }))
                }
                Err(failure) => (Granted::Refused(said(name, &failure)), None),
            },
        }
    }

    /// How the console's wishes are granted. Secrets are read on a thread of their
    /// own: a file may be on a disk that does not answer.
    fn grant(self: &Arc<Self>) -> Grant {
        let hubs = Arc::clone(self);
        Box::new(move |wish| -> Granting {
            let stop = CancellationToken::new();
            let called_off = stop.clone().drop_guard();
            let (at_work, kept) = (Arc::clone(&hubs), Arc::clone(&hubs));
            let task = tokio::task::spawn_blocking(move || {
                let granted = at_work.granted(&wish);
                Handle::current().block_on(stop.run_until_cancelled(granted))
            });
            Box::pin(async move {
                let _called_off = called_off;
                match task.await {
                    Ok(Some((granted, ready))) => {
                        kept.keep(ready);
                        granted
                    }
                    // It has panicked, which ends the program, or the runtime ends.
                    Ok(None) | Err(_) => Granted::Refused("it could not be asked".to_owned()),
                }
            })
        })
    }

    fn keep(&self, ready: Option<Ready>) {
        let kept = self.ready.lock();
        *kept.unwrap_or_else(PoisonError::into_inner) = ready;
    }

    fn take_ready(&self) -> Option<Ready> {
        let kept = self.ready.lock();
        kept.unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Own {
    fn is(&self, session: &Session) -> bool {
        session.configured.is_none() && session.profile.host == self.connection.at.to_string()
    }

    /// A session on it.
    pub(super) fn session(&self, global: &Global) -> Session {
        let paths = Paths::within(&self.folder);
        let mut session = Session::own(self.connection.clone(), self.ca_file.clone(), paths);
        session.profile.read_only = global.read_only;
        session
    }
}

/// That name, or one made of it that no other hub has.
fn free(named: &BTreeMap<String, Source>, name: &str) -> String {
    let mut names = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}-{n}")));
    let free = names.find(|name| !named.contains_key(name));
    free.unwrap_or_else(|| name.to_owned())
}

/// Why a hub cannot be had, without its name, which is said beside it.
fn said(name: &str, failure: &Failure) -> String {
    let text = failure.to_string();
    let text = text
        .strip_prefix(&format!("hub {name:?}: "))
        .unwrap_or(&text);
    text.replace('\n', " ").trim_end_matches('.').to_owned()
}

/// Runs the console on a session, and on those that follow, to the end.
pub(super) async fn show(
    hubs: Hubs,
    mut session: Session,
    mut context: Context,
) -> Result<Code, Failure> {
    // Ends in time even where the console itself cannot.
    Signals::insist()?;
    // One for the whole process: that of the hub that it began with.
    let (_log, trouble) = log::open(&session.paths.log());
    let hubs = Arc::new(hubs);
    let mut stage = Stage::new(trouble).leading(hubs.grant());
    let mut spent = Spent::default();
    loop {
        let ended = match on_one(&mut stage, &session, context).await {
            Over::Program(code) => return code,
            Over::Hub(ended) => ended,
        };
        spent.note(&session, ended.spent);
        let Some(next) = hubs.take_ready() else {
            return Err(Failure::internal("no other hub is ready", "a defect"));
        };
        tracing::info!("on to the hub {}", next.name);
        session = next.session;
        spent.tell(&session);
        context = hubs.context(&session);
        let warnings = rivals(&session.dialects);
        context.first_notice = Some(warnings.join(" ")).filter(|text| !text.is_empty());
        context.carried = Some(ended.carried);
    }
}

/// What was spent of each hub's day. Whoever comes back has not got a new one.
#[derive(Default)]
struct Spent(HashMap<String, (Timestamp, u64)>);

impl Spent {
    fn note(&mut self, session: &Session, messages: u64) {
        let host = session.profile.host.clone();
        self.0.insert(host, (Timestamp::now(), messages));
    }

    fn tell(&self, session: &Session) {
        let day = |time: Timestamp| time.as_second().div_euclid(DAY);
        let known = self.0.get(&session.profile.host);
        let today = known.filter(|(when, _)| day(*when) == day(Timestamp::now()));
        let messages = today.map_or(0, |(_, messages)| *messages);
        session.spent.store(messages, Ordering::Relaxed);
    }
}

/// What a console that has ended leaves.
enum Over {
    /// The program ends, with this.
    Program(Result<Code, Failure>),
    /// Another hub is next.
    Hub(Box<Ended>),
}

/// Runs the console on one session, and ends its engine.
async fn on_one(stage: &mut Stage, session: &Session, mut context: Context) -> Over {
    let running = match begun(session, &mut context).await {
        Ok(running) => running,
        Err(failure) => return Over::Program(Err(failure)),
    };
    let engine = running.engine();
    let sender = engine.clone();
    // What an earlier process left open is watched on.
    tokio::spawn(async move { sender.send(Command::Resume).await });
    stage.attended_by(doctor::of_console(session));
    let (demo, kept) = (context.demo, session.keeps_journal());
    let (ended, written) = ending::see_off(running, async {
        let ended = Box::pin(console::run(stage, engine, context)).await;
        if !goes_on(&ended) {
            ending::last_resort(code(&ended).map_or(Code::Failure, |code| code));
            tell(&ended.open, demo, kept);
        }
        ended
    })
    .await;
    let code = match ended {
        Some(ended) if goes_on(&ended) => match written {
            Ok(()) => return Over::Hub(Box::new(ended)),
            // What was seen there is not written down: it is no time to go on.
            Err(_) => Ok(Code::Failure),
        },
        Some(ended) => code(&ended),
        // The hook has told of a panic.
        None => Ok(Code::Failure),
    };
    // Before anything is said.
    stage.give_back();
    Over::Program(worst(ending::told(written), code))
}

/// Starts the engine, and completes what the console is told.
pub(super) async fn begun(session: &Session, context: &mut Context) -> Result<Running, Failure> {
    let opened = session.journal_or_watch()?;
    // Before the engine asks for more: the first frame waits for it.
    let recent = opened.journal.recent_uris(&session.profile.host).await;
    // The engine tells of a journal that cannot be read.
    context.recent_uris = recent.unwrap_or_default();
    if context.first_notice.is_none() {
        context.first_notice = opened.journal.remark().map(ToOwned::to_owned);
    }
    context.day_share = session.day_share;
    context.views_file = Some(views_file(session, context.demo));
    context.reach = session.reach.clone();
    context.arm_for = session.arm_for;
    context.only_watches.clone_from(&opened.only_watches);
    let running = session.start_on(opened, None);
    Ok(running)
}

fn goes_on(ended: &Ended) -> bool {
    matches!(ended.why, Ok(Exit::Switch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hubs(config: &str, own: Option<Own>) -> Hubs {
        let config: Config = toml::from_str(config).unwrap();
        let paths = Paths::within(std::path::Path::new("/nowhere"));
        Hubs::new(&Global::default(), Some((config, paths)), own)
    }

    fn own() -> Own {
        let text = "HostName=localhost:1;SharedAccessKeyName=s;SharedAccessKey=AAEC";
        Own {
            connection: ConnectionString::parse(text).unwrap(),
            ca_file: PathBuf::from("/nowhere/ca.pem"),
            folder: PathBuf::from("/nowhere"),
            samples: Vec::new(),
        }
    }

    /// The day's messages are the hub's, whoever has been elsewhere meanwhile.
    #[test]
    fn what_was_spent_is_still_spent_on_coming_back() {
        let (here, mut spent) = (own().session(&Global::default()), Spent::default());
        spent.note(&here, 7);
        let again = own().session(&Global::default());
        spent.tell(&again);
        assert_eq!(again.spent.load(Ordering::Relaxed), 7);
        let host = again.profile.host.clone();
        spent.0.insert(host, (Timestamp::UNIX_EPOCH, 7));
        spent.tell(&again);
        assert_eq!(again.spent.load(Ordering::Relaxed), 0, "another day");
    }

    const TWO: &str = "[hub.lab]\nsecret_env = \"OTADECK_TEST_NOT_SET\"\nread_only = true\n\
        [hub.demo]\nenvironment = \"production\"\nsecret_command = [\"sleep\", \"1\"]\n";

    #[tokio::test]
    async fn hubs_are_listed_and_nothing_is_run_for_that() {
        let listed = hubs(TWO, Some(own())).list().await;
        let told: Vec<_> = listed
            .iter()
            .map(|hub| (hub.name.as_str(), hub.host.as_deref(), hub.read_only))
            .collect();
        let own = ("demo-2", Some("localhost:1"), false);
        assert_eq!(told, [("demo", None, false), own, ("lab", None, true)]);
        let why = "the environment variable OTADECK_TEST_NOT_SET is not set";
        assert_eq!(listed[2].trouble.as_deref(), Some(why));
        assert_eq!(listed[0].environment.as_deref(), Some("production"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_hub_is_ready_or_refused_and_one_that_was_called_off_is_neither() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let hubs = Arc::new(hubs(TWO, Some(own())));
        let grant = hubs.grant();
        let refused = grant(Wish::Connect("lab".into())).await;
        let why = "the environment variable OTADECK_TEST_NOT_SET is not set";
        assert_eq!(refused, Granted::Refused(why.into()));
        assert!(hubs.take_ready().is_none());
        assert_eq!(grant(Wish::Connect("demo-2".into())).await, Granted::Ready);
        let ready = hubs.take_ready().unwrap();
        assert_eq!(
            (ready.name.as_str(), ready.session.profile.name.as_str()),
            ("demo-2", "demo")
        );
        assert_eq!(hubs.name_of(&ready.session), "demo-2");
        assert!(hubs.context(&ready.session).demo);
        drop(grant(Wish::Connect("demo-2".into())));
        assert!(hubs.take_ready().is_none());
        let unknown = grant(Wish::Connect("moon".into())).await;
        assert!(matches!(unknown, Granted::Refused(_)));
    }
}
