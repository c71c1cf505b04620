//! The Azure command line, which gives tokens of Entra ID to whoever has signed in
//! there.
//!
//! It is run as a list of arguments without a shell, from an absolute folder of the
//! PATH, with a limit of time and of what it may print. What it prints on stdout is
//! never repeated; of its complaint one line is, without what looks like a token.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use crate::domain::clean;
use crate::domain::problem::Kind;
use crate::domain::redact::HIDDEN;

/// What it is asked. Source for the resource: `Azure/azure-cli` and Microsoft's page
/// on access to IoT Hub with Entra ID (scope `https://iothubs.azure.net/.default`).
const ARGUMENTS: [&str; 6] = [
    "account",
    "get-access-token",
    "--resource",
    "https://iothubs.azure.net",
    "--output",
    "json",
];
/// How long it may take. It is slow when it starts and when it has to ask Entra ID.
const LIMIT: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes; a real one has some 2,500.
const MAX_ANSWER: u64 = 64 << 10;
/// How much of its complaint is read, in bytes.
const MAX_COMPLAINT: u64 = 16 << 10;
/// A word of its complaint that is longer may be a token.
const LONGEST_WORD: usize = 80;

/// A token, and when it ends.
#[derive(Clone, Debug)]
pub struct Given {
    /// What is sent after `Bearer`.
    pub token: SecretString,
    /// Its end, by this machine's clock.
    pub ends: Timestamp,
}

/// Why there is no token. None of these texts holds any part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AzError {
    /// There is no such program.
    #[error("the Azure command line (az) is not there: no folder of PATH has it")]
    Missing,
    /// It is there and does not start.
    #[error("the Azure command line cannot be run: {0}")]
    Run(String),
    /// Nobody has signed in there, or that has ended.
    #[error("nobody is signed in to the Azure command line, or that sign-in has ended")]
    NotSignedIn,
    /// The account has no access to the tenant.
    #[error("the Azure command line is signed in to a tenant that gives no token: {0}")]
    Tenant(String),
    /// It does not reach Entra ID.
    #[error("the Azure command line does not reach Entra ID: {0}")]
    Network(String),
    /// It failed otherwise.
    #[error("the Azure command line failed: {0}")]
    Failed(String),
    /// It took too long.
    #[error("the Azure command line gave no token within {0} s")]
    Slow(u64),
    /// It is still being asked, and an order does not wait for it.
    #[error("the sign-in is being renewed")]
    Renewing,
    /// What it printed is no answer.
    #[error("what the Azure command line printed is no token: {0}")]
    Rubbish(&'static str),
    /// The token has ended already.
    #[error("the Azure command line gave a token that has ended")]
    Over,
}

impl AzError {
    /// What kind of problem it is: what passes by itself is asked for again.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Network(_) | Self::Renewing => Kind::Unreachable,
            _ => Kind::Unauthorized,
        }
    }

    /// What was not done, and what to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing => {
                "Nothing was sent. Install it (https://aka.ms/azure-cli), or give the hub a \
                 connection string instead: secret_env, secret_file or secret_command."
            }
            Self::NotSignedIn => "Nothing was sent. Sign in on this machine: az login",
            Self::Tenant(_) => {
                "Nothing was sent. Sign in to the tenant of the hub: az login --tenant TENANT. \
                 az account list shows those that you have."
            }
            Self::Network(_) => {
                "Nothing was sent. It is the network to login.microsoftonline.com, or HTTPS_PROXY."
            }
            Self::Slow(_) => "Nothing was sent. See what it waits for: az account get-access-token",
            Self::Renewing => "Nothing was sent. It is tried again.",
            Self::Over => {
                "Nothing was sent. Compare this machine's clock (timedatectl), then sign in anew: \
                 az login"
            }
            Self::Run(_) | Self::Failed(_) | Self::Rubbish(_) => {
                "Nothing was sent. See what it says: az account get-access-token --resource \
                 https://iothubs.azure.net"
            }
        }
    }
}

/// Asks for a token, however long that takes up to a limit.
///
/// # Errors
/// [`AzError`] says why there is none.
pub async fn token(group: Group) -> Result<Given, AzError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = found(&path).ok_or(AzError::Missing)?;
    ask(&program, LIMIT, group).await
}

/// The first `az` of the path that may be run. Folders that depend on the current one
/// are passed over: nobody knows what lies there.
fn found(path: &OsStr) -> Option<PathBuf> {
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    let mut programs = folders.map(|folder| folder.join("az"));
    programs.find(|program| {
        let is_program = |m: std::fs::Metadata| m.is_file() && m.permissions().mode() & 0o111 != 0;
        std::fs::metadata(program).is_ok_and(is_program)
    })
}

async fn ask(program: &Path, limit: Duration, group: Group) -> Result<Given, AzError> {
    let child = Command::new(program)
        .args(ARGUMENTS)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .process_group(0)
        .spawn()
        .map_err(|e| AzError::Run(clean::cause(&e)))?;
    let running = group.is(&child);
    let heard = tokio::time::timeout(limit, heard(child)).await;
    let (well, answer, complaint) = heard.map_err(|_| AzError::Slow(limit.as_secs()))??;
    // It has ended by itself: its number may be another's by now.
    running.0.forget();
    if !well {
        return Err(meant(&String::from_utf8_lossy(&complaint)));
    }
    read(&answer, Timestamp::now(), &TimeZone::system())
}

/// Did it end well, and what did it say?
async fn heard(mut child: Child) -> Result<(bool, Vec<u8>, Vec<u8>), AzError> {
    let failed = |e: std::io::Error| AzError::Run(clean::cause(&e));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (answer, complaint) =
        tokio::join!(bounded(stdout, MAX_ANSWER), bounded(stderr, MAX_COMPLAINT));
    let (answer, complaint) = (answer.map_err(failed)?, complaint.map_err(failed)?);
    if answer.len() as u64 > MAX_ANSWER {
        return Err(AzError::Rubbish("it is far too long"));
    }
    let status = child.wait().await.map_err(failed)?;
    Ok((status.success(), answer, complaint))
}

/// What comes out, to its end or a little beyond `most`. Who prints more is not
/// waited for.
async fn bounded<R: AsyncRead + Unpin>(from: Option<R>, most: u64) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if let Some(from) = from {
        from.take(most + 1).read_to_end(&mut text).await?;
    }
    Ok(text)
}

/// The program with all that it has started: `az` is often a script that starts
/// another. A handle, with which it can be ended from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Group(Arc<Mutex<Option<Pid>>>);

impl Group {
    /// From now on it is this program's, which ends with what is given back.
    fn is(self, child: &Child) -> Running {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        *self.lock() = id.and_then(Pid::from_raw);
        Running(self)
    }

    /// Ends all of them, unless they have ended by themselves.
    pub fn end(&self) {
        if let Some(group) = self.lock().take() {
            // It may have ended in this moment.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A group that ends with this.
struct Running(Group);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The answer's fields. `expires_on` came with 2.54; older versions have the local
/// time alone.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "accessToken")]
    token: String,
    #[serde(default)]
    expires_on: Option<serde_json::Value>,
    #[serde(default, rename = "expiresOn")]
    local: Option<String>,
    #[serde(default, rename = "tokenType")]
    kind: Option<String>,
}

fn read(answer: &[u8], now: Timestamp, zone: &TimeZone) -> Result<Given, AzError> {
    use AzError::Rubbish;
    let answer: Answer =
        serde_json::from_slice(answer).map_err(|_| Rubbish("no JSON with an accessToken"))?;
    if answer
        .kind
        .is_some_and(|kind| !kind.eq_ignore_ascii_case("Bearer"))
    {
        return Err(Rubbish("its tokenType is not Bearer"));
    }
    let plain = |c: char| c.is_ascii_graphic();
    if answer.token.is_empty() || !answer.token.chars().all(plain) {
        return Err(Rubbish(
            "its accessToken is empty, or holds what no token holds",
        ));
    }
    let seconds = answer.expires_on.and_then(|value| match value {
        serde_json::Value::String(text) => text.parse().ok(),
        value => value.as_i64(),
    });
    let ends = match (seconds, answer.local) {
        (Some(seconds), _) => Timestamp::from_second(seconds).ok(),
        (None, Some(text)) => local(&text, zone),
        (None, None) => None,
    };
    let ends = ends.ok_or(Rubbish("it does not say when the token ends"))?;
    if ends <= now {
        return Err(AzError::Over);
    }
    let token = SecretString::from(answer.token);
    Ok(Given { token, ends })
}

/// A local time such as `2026-11-23 12:04:00.000000`; of two the earlier, when the
/// clock was put back.
fn local(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let time: DateTime = text.trim().parse().ok()?;
    let zoned = zone.to_ambiguous_zoned_datetime(time).earlier().ok()?;
    Some(zoned.timestamp())
}

/// Texts of Entra ID that speak of the tenant, by their numbers: the account is not
/// one of its users, or it is not there.
const OF_THE_TENANT: [&str; 5] = [
    "aadsts50020",
    "aadsts50034",
    "aadsts90002",
    "aadsts90072",
    "aadsts700016",
];
/// Words that Python's network stack has for a way that leads nowhere.
const OF_THE_NETWORK: [&str; 6] = [
    "connection error",
    "failed to establish a new connection",
    "max retries exceeded",
    "name resolution",
    "network is unreachable",
    "getaddrinfo failed",
];

/// What its complaint means.
fn meant(complaint: &str) -> AzError {
    let lower = complaint.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let said = first_line(complaint);
    if says(&OF_THE_TENANT) {
        AzError::Tenant(said)
    } else if says(&OF_THE_NETWORK) {
        AzError::Network(said)
    } else if says(&["az login", "invalid_grant", "no subscription found"]) {
        AzError::NotSignedIn
    } else {
        AzError::Failed(said)
    }
}

/// The line that says most, harmless, and without what may be a token.
fn first_line(complaint: &str) -> String {
    let mut lines = complaint.lines().map(str::trim).filter(|l| !l.is_empty());
    let first = lines.clone().next();
    let line = lines.find_map(|line| line.strip_prefix("ERROR:")).or(first);
    let Some(line) = line.map(str::trim) else {
        return "it does not say why".to_owned();
    };
    let words = line.split_whitespace().map(|word| {
        let may_be_a_token = word.len() > LONGEST_WORD || word.contains("eyJ");
        if may_be_a_token { HIDDEN } else { word }
    });
    clean::line(&words.collect::<Vec<_>>().join(" "), 200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    const NOW: i64 = 1_795_000_000;

    fn read_at(answer: &str, zone: &TimeZone) -> Result<(String, i64), AzError> {
        let given = read(
            answer.as_bytes(),
            Timestamp::from_second(NOW).unwrap(),
            zone,
        )?;
        assert!(!format!("{given:?}").contains("abc.def"));
        Ok((
            given.token.expose_secret().to_owned(),
            given.ends.as_second(),
        ))
    }

    #[rstest::rstest]
    #[case(r#"{"accessToken":"abc.def","expires_on":1795003600,"expiresOn":"2000-01-01 00:00:00.000000","tokenType":"Bearer"}"#, 1_795_003_600)]
    #[case(
        r#"{"accessToken":"abc.def","expires_on":"1795003600"}"#,
        1_795_003_600
    )]
    // 2026-11-18 12:06:40 UTC is 13:06:40 in the zone of the test.
    #[case(
        r#"{"accessToken":"abc.def","expiresOn":"2026-11-18 13:06:40.123456"}"#,
        1_795_003_600
    )]
    fn answers_of_old_and_new_versions(#[case] answer: &str, #[case] ends: i64) {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(read_at(answer, &zone), Ok(("abc.def".to_owned(), ends)));
    }

    #[rstest::rstest]
    #[case("", "no JSON")]
    #[case("WARNING: hello", "no JSON")]
    #[case("[]", "no JSON")]
    #[case(r#"{"accessToken":7,"expires_on":1795003600}"#, "no JSON")]
    #[case(r#"{"accessToken":"","expires_on":1795003600}"#, "is empty")]
    #[case(
        "{\"accessToken\":\"abc def\",\"expires_on\":1795003600}",
        "holds what no token"
    )]
    #[case(
        r#"{"accessToken":"abc\r\nX: y","expires_on":1795003600}"#,
        "holds what no token"
    )]
    #[case(r#"{"accessToken":"abc.def"}"#, "when the token ends")]
    #[case(
        r#"{"accessToken":"abc.def","expiresOn":"soon"}"#,
        "when the token ends"
    )]
    #[case(
        r#"{"accessToken":"abc.def","expires_on":1795003600,"tokenType":"pop"}"#,
        "tokenType"
    )]
    #[case(r#"{"accessToken":"abc.def","expires_on":1795000000}"#, "has ended")]
    fn what_is_no_token_says_why_and_shows_none(#[case] answer: &str, #[case] why: &str) {
        let error = read_at(answer, &TimeZone::UTC).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert!(!error.to_string().contains("abc"), "{error}");
    }

    #[rstest::rstest]
    #[case(
        "ERROR: Please run 'az login' to setup account.\n",
        "nobody is signed in",
        "az login"
    )]
    #[case(
        "ERROR: AADSTS700082: The refresh token has expired due to inactivity.\n\
         Interactive authentication is needed. Please run:\naz login --scope x\n",
        "has ended",
        "az login"
    )]
    #[case(
        "ERROR: AADSTS50020: User account 'ana' from identity provider does not exist in \
         tenant 'Contoso'. Please run 'az login'.",
        "AADSTS50020",
        "--tenant"
    )]
    #[case(
        "WARNING: old\nERROR: HTTPSConnectionPool: Max retries exceeded (Name resolution)",
        "does not reach Entra ID: HTTPSConnectionPool",
        "HTTPS_PROXY"
    )]
    #[case("Traceback\nValueError: 1\n", "failed: Traceback", "See what it says")]
    #[case("", "does not say why", "See what it says")]
    fn complaints_say_what_to_do(#[case] text: &str, #[case] why: &str, #[case] hint: &str) {
        let error = meant(text);
        assert!(error.to_string().contains(why), "{error}");
        assert!(error.hint().contains(hint), "{}", error.hint());
        assert!(error.hint().starts_with("Nothing was sent."));
    }

    #[test]
    fn a_token_in_its_complaint_is_not_repeated() {
        let long = "x".repeat(200);
        let error = meant(&format!("ERROR: eyJhbGciOi.x.y and {long} \u{1b}[2J"));
        let said = error.to_string();
        assert!(!said.contains("eyJ") && !said.contains("xxx"), "{said}");
        assert!(
            said.contains("*** and ***") && !said.contains('\u{1b}'),
            "{said}"
        );
    }

    fn program(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join("az");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    #[test]
    fn it_is_looked_for_in_absolute_folders_alone() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(first.path().join("az"), "not to be run").unwrap();
        let right = program(second.path(), "");
        let path = |folders: &[&Path]| std::env::join_paths(folders).unwrap();
        let all = path(&[Path::new("."), Path::new(""), first.path(), second.path()]);
        assert_eq!(found(&all), Some(right));
        assert_eq!(found(&path(&[first.path()])), None);
    }

    #[tokio::test]
    async fn what_hangs_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > '{}'; wait", file.display());
        let az = program(folder.path(), &script);
        let ended = ask(&az, Duration::from_secs(1), Group::default()).await;
        assert_eq!(ended.unwrap_err(), AzError::Slow(1));
        let pid = std::fs::read_to_string(file).unwrap();
        let stat = PathBuf::from(format!("/proc/{}/stat", pid.trim()));
        // Gone, or dead and not yet taken leave of.
        let is_gone = || std::fs::read_to_string(&stat).is_ok_and(|s| !s.contains(") Z "));
        let began = std::time::Instant::now();
        while is_gone() {
            assert!(began.elapsed() < Duration::from_secs(20), "it goes on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn what_prints_without_end_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let az = program(folder.path(), "exec yes '{\"accessToken\":'");
        let ended = ask(&az, Duration::from_secs(20), Group::default()).await;
        assert_eq!(ended.unwrap_err(), AzError::Rubbish("it is far too long"));
    }

    #[tokio::test]
    async fn it_gets_its_arguments_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let script = r#"test "$*" = "account get-access-token --resource https://iothubs.azure.net --output json" || exit 9
            cat; echo '{"accessToken":"abc.def","expires_on":4000000000}'"#;
        let az = program(folder.path(), script);
        let given = ask(&az, Duration::from_secs(20), Group::default())
            .await
            .unwrap();
        assert_eq!(given.token.expose_secret(), "abc.def");
    }
}
