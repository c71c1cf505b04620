//! Composes a session: configuration, hub, journal, engine.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::config::{self, Config, HubConfig, Paths, SecretSource};
use crate::domain::dialect::{Dialects, Rule};
use crate::domain::durations::Durations;
use crate::domain::headless::Reach;
use crate::domain::id::DeviceId;
use crate::domain::preflight::{self, Finding, ModelRule, PackageInfo, Rules};
use crate::domain::problem::Problem;
use crate::domain::profile::Profile;
use crate::domain::quota::{AHEAD, Forecast, Quota};
use crate::domain::tag::Lease;
use crate::domain::twin::Twin;
use crate::domain::uri::PackageUri;
use crate::engine::gate::ARMED;
use crate::engine::{Running, Settings, spawn};
use crate::hub::{
    Address, Client, ConnectionString, Query, Service, Settings as HubSettings, SignIn,
};
use crate::journal::{self, Journal, JournalError};
use crate::package::{self, Inspector};

use super::args::Global;
use super::exit::Failure;
use super::out;
use super::sign_in::of_hub;
use super::who::who;

pub(super) const CONNECTION_STRING: &str = "OTADECK_CONNECTION_STRING";
pub(super) const CA_FILE: &str = "OTADECK_CA_FILE";

/// Devices of one question about rules.
const AT_ONCE: usize = 20;

/// Which hub, by which rights, with which settings; nothing was sent yet.
pub(super) struct Session {
    pub(super) profile: Profile,
    /// The hub's name in the configuration, if it comes from there.
    pub(super) configured: Option<String>,
    pub(super) dialects: Dialects,
    rules: Rules,
    packages: package::Settings,
    pub(super) client: Arc<Client>,
    pub(super) paths: Paths,
    /// The part of the hub's day that is ours, 0 to 1.
    pub(super) day_share: f64,
    /// How devices are kept for one update at a time.
    lease: Lease,
    /// How long production stays armed.
    pub(super) arm_for: Duration,
    /// How another verb of the command line comes to the same hub.
    pub(super) reach: Reach,
    pub(super) config: Config,
    keep_journal: bool,
    /// Messages of the hub's day that were spent before the engine began.
    pub(super) spent: AtomicU64,
}

/// What can be said of a package before it is sent.
pub(super) struct Inspection {
    pub(super) findings: Vec<Finding>,
    pub(super) server: Option<PackageInfo>,
}

/// The journal that an engine is to work on.
pub(super) struct Opened {
    pub(super) journal: Journal,
    /// Why there is no journal to write to, so that nothing is started.
    pub(super) only_watches: Option<Problem>,
}

impl Session {
    /// The session that flags, environment and configuration describe; `None`
    /// when nothing names a hub.
    pub(super) async fn find(global: &Global) -> Result<Option<Self>, Failure> {
        let (config, paths) = configuration(global)?;
        let Some((name, hub)) = choose(global, &config)? else {
            return Ok(None);
        };
        let sign_in = sign_in(name.as_deref(), &hub, &paths).await?;
        let session = Self::on(sign_in, (name, hub), (config, paths), global)?;
        warn_of_rivals(&session.dialects);
        Ok(Some(session))
    }

    /// The session on that hub: its sign-in, its name in the configuration and what that
    /// says of it, and the rest of the configuration.
    pub(super) fn on(
        sign_in: SignIn,
        (name, hub): (Option<String>, HubConfig),
        (config, paths): (Config, Paths),
        global: &Global,
    ) -> Result<Self, Failure> {
        let ca_file = ca_file(&hub);
        let dialects = config.dialects(name.as_deref()).map_err(Failure::usage)?;
        let configured = name.clone();
        let profile = profile(name.clone(), &hub, sign_in.at(), global.read_only);
        Ok(Self {
            configured,
            rules: rules(&hub, sign_in.at()),
            packages: package::Settings {
                ca_file: ca_file.clone(),
            },
            profile,
            dialects,
            client: Arc::new(Client::new(HubSettings::new(sign_in, ca_file))),
            paths,
            day_share: hub.day_share / 100.0,
            lease: hub.lease,
            arm_for: arm_for(&hub),
            reach: reach(global, name),
            config,
            keep_journal: !global.no_journal,
            spent: AtomicU64::new(0),
        })
    }

    /// As [`Session::find`], but a hub must be named.
    pub(super) async fn need(global: &Global) -> Result<Self, Failure> {
        Self::find(global)
            .await?
            .ok_or_else(Self::nothing_configured)
    }

    /// What to say when nothing names a hub.
    pub(super) fn nothing_configured() -> Failure {
        Failure::usage(format!(
            "no hub is configured. Set {CONNECTION_STRING} to the hub's service connection \
             string,\nor describe the hub in the configuration file and name it with --hub.\n\
             To try otadeck without a hub: otadeck demo"
        ))
    }

    /// A session on a hub of our own, with all state in one folder.
    pub(super) fn own(connection: ConnectionString, ca_file: PathBuf, paths: Paths) -> Self {
        let hub = HubConfig::default();
        let mut profile = profile(None, &hub, &connection.at, false);
        "demo".clone_into(&mut profile.name);
        Self {
            rules: rules(&hub, &connection.at),
            packages: package::Settings {
                ca_file: Some(ca_file.clone()),
            },
            profile,
            configured: None,
            dialects: Dialects::built_in(),
            client: Arc::new(Client::new(HubSettings::new(connection, Some(ca_file)))),
            paths,
            day_share: hub.day_share / 100.0,
            lease: hub.lease,
            arm_for: arm_for(&hub),
            reach: Reach::default(),
            config: Config::default(),
            keep_journal: true,
            spent: AtomicU64::new(0),
        }
    }

    /// The configuration.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Is there to be a journal that later processes find?
    pub(super) fn keeps_journal(&self) -> bool {
        self.keep_journal
    }

    /// Keeps nothing: for verbs that only read.
    pub(super) fn keep_no_journal(&mut self) {
        self.keep_journal = false;
    }

    /// The journal, or one that ends with the process when none is wanted.
    fn journal(&self) -> Result<Journal, JournalError> {
        if !self.keep_journal {
            return Journal::in_memory(&who());
        }
        Journal::open_with(&journal::Settings {
            path: self.paths.journal(),
            by: who(),
            keep: Some(self.config.journal_keep),
        })
    }

    /// Starts the engine. Nothing is sent before it is asked for.
    pub(super) fn start(&self, query: Option<Query>) -> Result<Running, Failure> {
        let journal = self.journal().map_err(|e| Failure::from(e.problem()))?;
        if let Some(remark) = journal.remark() {
            out::note(remark);
        }
        let only_watches = None;
        let opened = Opened {
            journal,
            only_watches,
        };
        Ok(self.start_on(opened, query))
    }

    /// The journal; without a usable one a stand-in, on which nothing is started.
    pub(super) fn journal_or_watch(&self) -> Result<Opened, Failure> {
        let problem = match self.journal() {
            Ok(journal) => {
                return Ok(Opened {
                    journal,
                    only_watches: None,
                });
            }
            Err(error) => error.problem().hint(
                "Only watching is possible: what is not written down is not done, so nothing \
                 is started. Mend that, name another state_dir, or say --no-journal to go \
                 without.",
            ),
        };
        let journal = Journal::in_memory(&who()).map_err(|e| Failure::from(e.problem()))?;
        Ok(Opened {
            journal,
            only_watches: Some(problem),
        })
    }

    /// Starts the engine on that journal.
    pub(super) fn start_on(&self, opened: Opened, query: Option<Query>) -> Running {
        let mut settings = Settings::new(self.profile.clone(), self.dialects.clone());
        if let Some(query) = query {
            settings.query = query;
        }
        let update = &self.config.update;
        settings.phase_deadline = update.phase_deadline;
        settings.deadlines = self.config.deadlines.with(update.phase_deadline);
        settings.overall_deadline = update.overall_deadline;
        settings.response_timeout = seconds(update.response_timeout);
        settings.connect_timeout = seconds(update.connect_timeout);
        settings.tries = update.tries;
        settings.ask_package_server = update.ask_package_server;
        settings.rules = self.rules.clone();
        settings.packages = self.packages.clone();
        settings.day_share = self.day_share;
        settings.spent = (Timestamp::now(), self.spent.load(Ordering::Relaxed));
        settings.lease = self.lease;
        settings.arm_for = self.arm_for;
        settings.by = who();
        settings.no_journal = opened.only_watches;
        spawn(Arc::clone(&self.client), opened.journal, settings)
    }

    /// What can be said of a package before it is sent.
    pub(super) async fn inspect(&self, uri: &PackageUri) -> Inspection {
        let mut server = None;
        let findings = |server: Option<&Result<PackageInfo, String>>| {
            let now = self.client.hub_now();
            let deadlines = self
                .config
                .deadlines
                .with(self.config.update.phase_deadline);
            let fetched = deadlines.fetched_by(now, &Durations::default());
            preflight::findings(&self.rules, uri, server, now, fetched)
        };
        let own = preflight::refusal(&findings(None)).is_some();
        if self.config.update.ask_package_server && !own {
            let inspector = Inspector::new(self.packages.clone());
            let told = inspector.inspect(uri).await;
            server = Some(told.map_err(|error| error.to_string()));
        }
        Inspection {
            findings: findings(server.as_ref()),
            server: server.and_then(Result::ok),
        }
    }

    /// Why the hub's rules forbid a package for the device of `twin`.
    pub(super) fn forbids(&self, uri: &PackageUri, twin: &Twin) -> Option<Finding> {
        self.rules.refuses(uri, twin)
    }

    /// What it takes to start that many updates and to watch them for as long.
    pub(super) fn forecast(&self, updates: usize, lasting: Option<Duration>) -> Forecast {
        let ceiling = f64::from(self.profile.reads_per_second());
        let lasting = lasting.unwrap_or(AHEAD);
        self.quota()
            .forecast(updates, lasting, ceiling, Timestamp::now())
    }

    /// The hub's day, of which nothing was spent yet.
    pub(super) fn quota(&self) -> Quota {
        let (tier, units) = self.profile.tier_or_assumed();
        Quota::new(tier, units, self.day_share)
    }

    /// Which rule for dialects holds for each of `devices`, where one does.
    pub(super) async fn rules(
        &self,
        devices: &[DeviceId],
    ) -> Result<HashMap<DeviceId, usize>, Failure> {
        let mut held = HashMap::new();
        for (n, rule) in self.dialects.rules().iter().enumerate() {
            for some in devices.chunks(AT_ONCE) {
                let query = Query::rule(rule, &self.dialects, Some(some));
                let query = query.map_err(Failure::usage)?;
                let mut next = None;
                loop {
                    let page = self.client.page(&query, next.as_deref()).await;
                    let page = page.map_err(|error| {
                        let rule = format!("rule {} (dialect {})", n + 1, rule.dialect);
                        error.problem(format!("{rule} cannot be evaluated"))
                    })?;
                    for row in page.rows {
                        held.entry(row.device_id).or_insert(n);
                    }
                    next = page.continuation;
                    if next.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(held)
    }
}

/// Says which dialects cannot be told apart, unless a rule speaks of them.
pub(super) fn warn_of_rivals(dialects: &Dialects) {
    for warning in rivals(dialects) {
        out::note(&warning);
    }
}

/// Which dialects cannot be told apart, in words.
pub(super) fn rivals(dialects: &Dialects) -> Vec<String> {
    let unruled = dialects.rivals().into_iter().filter(|(_, names)| {
        let ruled = |rule: &Rule| names.contains(&rule.dialect.as_str());
        !dialects.rules().iter().any(ruled)
    });
    let said = unruled.map(|(path, names)| {
        format!(
            "warning: {path} is the status of the dialects {}; devices that report it are \
             refused until `dialect` of the hub, or a rule, says which of them they speak",
            names.join(" and ")
        )
    });
    said.collect()
}

pub(super) fn configuration(global: &Global) -> Result<(Config, Paths), Failure> {
    let user = Paths::of_user();
    let path = match (&global.config, &user) {
        (Some(path), _) => path.clone(),
        (None, Ok(paths)) => paths.config.clone(),
        (None, Err(error)) => return Err(Failure::usage(error)),
    };
    let config = config::load(&path, global.config.is_some()).map_err(Failure::usage)?;
    let state = match (&config.state_dir, user) {
        (Some(folder), _) => folder.clone(),
        (None, Ok(paths)) => paths.state,
        (None, Err(error)) => return Err(Failure::usage(error)),
    };
    Ok((
        config,
        Paths {
            config: path,
            state,
        },
    ))
}

/// Which hub: `--hub`, then the environment, then the file's default.
pub(super) fn choose(
    global: &Global,
    config: &Config,
) -> Result<Option<(Option<String>, HubConfig)>, Failure> {
    let known = |name: &str| config.hub.get(name).cloned();
    if let Some(name) = &global.hub {
        let Some(hub) = known(name) else {
            let names: Vec<&str> = config.hub.keys().map(String::as_str).collect();
            let there = if names.is_empty() {
                "it has no hubs".to_owned()
            } else {
                format!("it has: {}", names.join(", "))
            };
            return Err(Failure::usage(format!(
                "the configuration has no hub {name:?}; {there}"
            )));
        };
        return Ok(Some((Some(name.clone()), hub)));
    }
    if std::env::var(CONNECTION_STRING).is_ok_and(|s| !s.trim().is_empty()) {
        return Ok(Some((None, HubConfig::default())));
    }
    let mut hubs = config.hub.keys();
    let name = match (&config.default_hub, hubs.next(), hubs.next()) {
        (Some(name), ..) => name.clone(),
        (None, Some(only), None) => only.clone(),
        (None, Some(_), Some(_)) => {
            return Err(Failure::usage(
                "the configuration has several hubs; name one with --hub, or set default_hub",
            ));
        }
        (None, None, _) => return Ok(None),
    };
    Ok(known(&name).map(|hub| (Some(name), hub)))
}

/// By what the hub of that name in the configuration lets us in; without one, that of
/// the environment.
pub(super) async fn sign_in(
    name: Option<&str>,
    hub: &HubConfig,
    paths: &Paths,
) -> Result<SignIn, Failure> {
    let Some(name) = name else {
        let text = SecretString::from(std::env::var(CONNECTION_STRING).unwrap_or_default());
        let connection = ConnectionString::parse(text.expose_secret());
        let wrong = |e| Failure::usage(format!("{CONNECTION_STRING}: {e}"));
        return Ok(connection.map_err(wrong)?.into());
    };
    of_hub(name, hub, paths).await
}

pub(super) async fn get(
    source: &SecretSource,
    paths: &Paths,
    hub: &str,
) -> Result<SecretString, Failure> {
    let secret = source.get(&paths.config).await;
    secret.map_err(|e| Failure::usage(format!("hub {hub:?}: {e}")))
}

/// The file of authorities to trust beside the system's, if one is named.
pub(super) fn ca_file(hub: &HubConfig) -> Option<PathBuf> {
    let from_env = || std::env::var_os(CA_FILE).filter(|file| !file.is_empty());
    hub.ca_file
        .clone()
        .or_else(|| from_env().map(PathBuf::from))
}

pub(super) fn profile(
    name: Option<String>,
    hub: &HubConfig,
    at: &Address,
    read_only: bool,
) -> Profile {
    Profile {
        name: name.unwrap_or_else(|| at.short_name().to_owned()),
        host: at.to_string(),
        environment: hub.environment.clone(),
        read_only: read_only || hub.read_only,
        tier: hub.tier,
        units: hub.units,
    }
}

/// How a verb of the command line comes to the hub of this session.
fn reach(global: &Global, hub: Option<String>) -> Reach {
    let config = global.config.as_ref().map(|path| {
        // The command may be pasted in another folder.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        path.to_string_lossy().into_owned()
    });
    Reach {
        hub,
        config,
        no_journal: global.no_journal,
    }
}

/// The configuration holds it between a minute and an hour.
fn arm_for(hub: &HubConfig) -> Duration {
    Duration::try_from(hub.arm_for).unwrap_or(ARMED)
}

fn rules(hub: &HubConfig, at: &Address) -> Rules {
    let models = hub.packages.iter().map(|rule| ModelRule {
        path: rule.model_at.as_str().into(),
        model: rule.model.clone(),
        uri: rule.uri.clone(),
    });
    Rules {
        hosts: hub.package_hosts.clone(),
        models: models.collect(),
        local: at.is_loopback(),
    }
}

fn seconds(duration: jiff::SignedDuration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or_default()
}
