//! The first minutes: started on a terminal with nothing configured.
//!
//! ```text
//!   which? ─┬─ the demo ───────────────────────────────────────────► console
//!           ├─ a connection string ─► pasted ─► checked ─► kept? ──► console
//!           │                            ▲         │ what failed is said
//!           │                            └─────────┘
//!           └─ a configuration file ─► written, its path is said ──► end
//! ```
//!
//! Questions are plain lines on stderr, before the console takes the screen. No file
//! that is there is ever changed.

mod ask;
mod keep;
#[cfg(test)]
mod tests;

use std::io::IsTerminal;

use secrecy::{ExposeSecret, SecretString};

use crate::config::{Config, HubConfig, Paths};
use crate::domain::dialect::Dialects;
use crate::domain::problem::Problem;
use crate::domain::redact;
use crate::hub::{Client, ConnectionString, Query, Service, Settings as HubSettings};

use super::args::{Demo, Global};
use super::exit::{Code, Failure};
use super::session::{CONNECTION_STRING, Session, ca_file, configuration};
use super::{console, demo};

use self::ask::Ask;
use self::keep::Kept;

const WHICH: &str = "\
No hub is configured. There are
  1  the demo: a hub and 12 devices of its own, on this machine alone
  2  the connection string of your hub: pasted here, not shown, and checked
  3  a configuration file to fill in: for several hubs, or Entra ID
  q  leave";
const WHERE: &str = "\
The policy 'service' has what it takes: Azure portal, your hub, Shared access policies, or
  az iot hub connection-string show --hub-name NAME --policy-name service
Paste it and press enter; it is not shown. Enter alone goes back.";
/// A question that costs the hub next to nothing and needs the right that all else
/// needs.
const NOBODY: &str = "deviceId = 'otadeck'";

/// Why the questions end without an answer: the program ends so.
enum Stop {
    Code(Code),
    Failure(Failure),
}

impl From<Code> for Stop {
    fn from(code: Code) -> Self {
        Self::Code(code)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// What is to be begun with.
enum Begin {
    Demo,
    Console(Box<Session>),
    /// There is nothing to begin with yet.
    Later,
}

/// Offers what there is to begin with, and begins. Without a terminal to ask on it
/// says what to do.
pub(super) async fn offer(global: &Global) -> Result<Code, Failure> {
    if console::need_terminal().is_err() || !std::io::stderr().is_terminal() {
        return Err(Session::nothing_configured());
    }
    let begin = {
        let mut ask = Ask::open()?;
        Box::pin(which(&mut ask, global)).await
    };
    match begin {
        Ok(Begin::Demo) => {
            let usual = Demo {
                devices: 12,
                scenario: "quick".to_owned(),
            };
            demo::run(usual, global).await
        }
        Ok(Begin::Console(session)) => console::open(*session, global).await,
        Ok(Begin::Later) => Ok(Code::Completed),
        Err(Stop::Code(code)) => Ok(code),
        Err(Stop::Failure(failure)) => Err(failure),
    }
}

async fn which(ask: &mut Ask, global: &Global) -> Result<Begin, Stop> {
    loop {
        ask.say(WHICH);
        match choice(&ask.line("Which? [1/2/3/q] ").await?) {
            '1' | 'y' | 'd' => return Ok(Begin::Demo),
            '2' => {
                if let Some(session) = pasted(ask, global).await? {
                    return Ok(Begin::Console(Box::new(session)));
                }
            }
            '3' => {
                let (_, paths) = configuration(global)?;
                match keep::example(&paths) {
                    Ok(text) => {
                        ask.say(&text);
                        return Ok(Begin::Later);
                    }
                    Err(text) => ask.say(&text),
                }
            }
            'q' | 'n' => return Err(Code::Usage.into()),
            _ => ask.say("Type 1, 2, 3 or q, and enter."),
        }
        ask.say("");
    }
}

/// The first letter of an answer; a space for none.
fn choice(answer: &str) -> char {
    let first = answer.trim().chars().next();
    first.unwrap_or(' ').to_ascii_lowercase()
}

/// A session on the hub of a connection string that was pasted and has been found
/// good; `None` to go back.
async fn pasted(ask: &mut Ask, global: &Global) -> Result<Option<Session>, Stop> {
    ask.say(WHERE);
    loop {
        let text = ask.hidden("Connection string: ").await?;
        let text = SecretString::from(bare(text.expose_secret()));
        if text.expose_secret().is_empty() {
            return Ok(None);
        }
        let connection = match read(text.expose_secret()) {
            Ok(connection) => connection,
            Err(why) => {
                ask.say(&format!("Not asked yet: {why}.\nPaste it again."));
                continue;
            }
        };
        let at = connection.address();
        ask.say(&format!("Asking {at}…"));
        if let Err(problem) = ask.unless_ended(try_out(&connection)).await? {
            ask.say(&redact::text(&problem.to_string()));
            ask.say("It was not kept. Paste it again, or another one; enter alone goes back.");
            continue;
        }
        let policy = &connection.policy;
        ask.say(&format!("{at} answers, and lets the policy '{policy}' in."));
        return kept(ask, global, connection, &text).await.map(Some);
    }
}

/// The text as it was meant: terminals that mark a paste, and shells whose quotes were
/// copied too, do no harm.
fn bare(text: &str) -> String {
    let text = text.replace("\x1b[200~", "").replace("\x1b[201~", "");
    text.trim().trim_matches(['"', '\'']).trim().to_owned()
}

/// The connection string, which must hold nothing that a shell or a file could take
/// for something else.
fn read(text: &str) -> Result<ConnectionString, String> {
    let odd = |c: &char| !c.is_ascii_graphic() || matches!(c, '\'' | '"' | '\\' | '`' | '$');
    match text.chars().find(odd) {
        Some(odd) => Err(format!(
            "the connection string holds {odd:?}, which none does"
        )),
        None => ConnectionString::parse(text).map_err(|e| e.to_string()),
    }
}

/// One real request, which changes nothing.
async fn try_out(connection: &ConnectionString) -> Result<(), Problem> {
    let client = Client::new(HubSettings::new(
        connection.clone(),
        ca_file(&HubConfig::default()),
    ));
    let title = || format!("{} does not let this in", connection.at);
    let query = Query::parse(NOBODY, &Dialects::built_in());
    let query = query.map_err(|e| {
        Problem::new(
            crate::domain::problem::Kind::Internal,
            title(),
            e.to_string(),
        )
    })?;
    let page = client.page(&query, None).await;
    page.map(|_| ()).map_err(|error| error.problem(title()))
}

/// Asks where to keep it, and keeps it there.
async fn kept(
    ask: &mut Ask,
    global: &Global,
    connection: ConnectionString,
    text: &SecretString,
) -> Result<Session, Stop> {
    let (config, paths) = configuration(global)?;
    let name = keep::name(connection.at.short_name());
    loop {
        ask.say(&places(&paths, &name));
        match choice(&ask.line("Which? [1/2/3] ").await?) {
            '1' => match keep::store(&paths, &name, text) {
                Ok(Kept::Whole(told)) => {
                    ask.say(&told);
                    // What the next start will do.
                    let found = Session::find(global).await?;
                    return Ok(found.ok_or_else(Session::nothing_configured)?);
                }
                Ok(Kept::Half { told, add }) => {
                    ask.say(&told);
                    add.lines().for_each(|line| ask.show(line));
                    ask.line("Press enter to go on to the console: ").await?;
                    return here(connection, config, paths, global);
                }
                Err(why) => ask.say(&format!("{why}\n")),
            },
            '2' => {
                ask.say(
                    "Set this where you start otadeck. It holds the key: clear the screen after.",
                );
                ask.say_secret(text, |text| format!("export {CONNECTION_STRING}='{text}'"));
                ask.line("Press enter to go on to the console: ").await?;
                return here(connection, config, paths, global);
            }
            '3' => return here(connection, config, paths, global),
            _ => ask.say("Type 1, 2 or 3, and enter.\n"),
        }
    }
}

fn places(paths: &Paths, name: &str) -> String {
    let file = keep::secret_file(paths, name);
    format!(
        "Keep it?\n  \
           1  in {}, for your eyes alone, and as [hub.{name}] in {}\n  \
           2  as a line that sets {CONNECTION_STRING}: shown here, with its key\n  \
           3  not at all: for this time only",
        file.display(),
        paths.config.display(),
    )
}

/// A session for this time.
fn here(
    connection: ConnectionString,
    config: Config,
    paths: Paths,
    global: &Global,
) -> Result<Session, Stop> {
    let hub = (None, HubConfig::default());
    Ok(Session::on(
        connection.into(),
        hub,
        (config, paths),
        global,
    )?)
}
