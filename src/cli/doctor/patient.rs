//! What is to be looked at. A broken configuration is no reason to look at nothing:
//! the environment may name a hub all the same.

use std::sync::Arc;

use crate::config::{Config, HubConfig, Paths, SecretSource, WayIn};
use crate::domain::dialect::Dialects;
use crate::domain::profile::Profile;
use crate::hub::{Client, ConnectionString, Settings};

use super::super::args::Global;
use super::super::session::{self, CONNECTION_STRING, Session};

/// All that is looked at.
pub(super) struct Patient {
    /// What is configured; what is wrong with it, when it cannot be read.
    pub(super) config: Result<Config, String>,
    /// Where files are kept; `None` when nobody can tell.
    pub(super) paths: Option<Paths>,
    pub(super) hub: Hub,
    /// Is a journal wanted?
    pub(super) keeps_journal: bool,
}

/// Which hub.
pub(super) enum Hub {
    /// Nothing names one.
    Nothing,
    /// One is named, and cannot be asked: why.
    Wrong(String),
    Known(Box<Known>),
}

/// A hub that can be asked.
pub(super) struct Known {
    pub(super) profile: Profile,
    /// Where its secret comes from.
    pub(super) source: String,
    pub(super) client: Arc<Client>,
    pub(super) dialects: Dialects,
}

impl Known {
    pub(super) fn settings(&self) -> &Settings {
        self.client.settings()
    }
}

impl Patient {
    /// What flags, environment and file say.
    pub(super) async fn find(global: &Global) -> Self {
        let keeps_journal = !global.no_journal;
        let (config, paths) = match session::configuration(global) {
            Ok(found) => found,
            Err(failure) => {
                // The file would have been asked first for what --hub names.
                let hub = match global.hub {
                    Some(_) => Hub::Wrong("--hub names one, in a file that cannot be read".into()),
                    None => find_hub(global, &Config::default(), None).await,
                };
                return Self {
                    config: Err(failure.to_string()),
                    paths: Paths::of_user().ok(),
                    hub,
                    keeps_journal,
                };
            }
        };
        let hub = find_hub(global, &config, Some(&paths)).await;
        Self {
            config: Ok(config),
            paths: Some(paths),
            hub,
            keeps_journal,
        }
    }

    /// What a console works on.
    pub(super) fn of_session(session: &Session) -> Self {
        // A client of its own: what it finds is found now.
        let settings = session.client.settings().clone();
        Self {
            config: Ok(session.config().clone()),
            paths: Some(session.paths.clone()),
            hub: Hub::Known(Box::new(Known {
                profile: session.profile.clone(),
                source: "this console's own".to_owned(),
                client: Arc::new(Client::new(settings)),
                dialects: session.dialects.clone(),
            })),
            keeps_journal: session.keeps_journal(),
        }
    }
}

async fn find_hub(global: &Global, config: &Config, paths: Option<&Paths>) -> Hub {
    let chosen = match session::choose(global, config) {
        Ok(Some(chosen)) => chosen,
        Ok(None) => return Hub::Nothing,
        Err(failure) => return Hub::Wrong(failure.to_string()),
    };
    let (name, hub) = chosen;
    known(global, config, paths, name, &hub)
        .await
        .map_or_else(Hub::Wrong, |known| Hub::Known(Box::new(known)))
}

async fn known(
    global: &Global,
    config: &Config,
    paths: Option<&Paths>,
    name: Option<String>,
    hub: &HubConfig,
) -> Result<Known, String> {
    let (sign_in, source) = match (&name, paths) {
        (Some(name), Some(paths)) => {
            let way = hub.way_in(name).map_err(|e| e.to_string())?;
            let sign_in = session::sign_in(Some(name), hub, paths).await;
            (sign_in.map_err(|e| e.to_string())?, words(&way))
        }
        _ => {
            let secret = std::env::var(CONNECTION_STRING).unwrap_or_default();
            let source = format!("the environment variable {CONNECTION_STRING}");
            let connection = ConnectionString::parse(&secret);
            let wrong = |e| format!("what {source} holds: {e}");
            (connection.map_err(wrong)?.into(), source.clone())
        }
    };
    let dialects = config
        .dialects(name.as_deref())
        .map_err(|e| e.to_string())?;
    let profile = session::profile(name, hub, sign_in.at(), global.read_only);
    let settings = Settings::new(sign_in, session::ca_file(hub));
    Ok(Known {
        profile,
        source,
        client: Arc::new(Client::new(settings)),
        dialects,
    })
}

/// A source in words; of a command only its program, because arguments may be
/// secrets.
fn words(way: &WayIn) -> String {
    let source = match way {
        WayIn::Secret(source) => source,
        WayIn::AzureCli(_) => return "a token of the Azure command line".to_owned(),
    };
    match source {
        SecretSource::Env(name) => format!("the environment variable {name}"),
        SecretSource::File(path) => format!("the file {}", path.display()),
        SecretSource::Command(argv) => {
            let program = argv.first().map_or("nothing", String::as_str);
            format!("the command {program}")
        }
    }
}
