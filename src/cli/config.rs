//! `otadeck config check` and `config show`: what is set, where that comes from, and
//! what is wrong with it. Nothing is asked of any hub.

use std::path::Path;

use secrecy::ExposeSecret;
use serde_json::json;

use crate::config::{self, Config, HubConfig, Paths, Setting, WayIn};
use crate::console::Look;
use crate::domain::{clean, redact, time};
use crate::hub::{Address, ConnectionString, az};
use crate::journal::Place;

use super::args::{ConfigVerb, Global};
use super::exit::{Code, Failure};
use super::session::{CA_FILE, CONNECTION_STRING, choose, configuration, warn_of_rivals};
use super::{console, out};

pub(super) async fn run(verb: ConfigVerb, global: &Global) -> Result<Code, Failure> {
    let (config, paths) = configuration(global)?;
    match verb {
        ConfigVerb::Show { json } => show(&config, &paths, global, json),
        ConfigVerb::Check => check(&config, &paths, global).await,
    }
}

/// Prints every setting, its value, and where that comes from.
fn show(config: &Config, paths: &Paths, global: &Global, json: bool) -> Result<Code, Failure> {
    let text = config::text_at(&paths.config);
    let settings = config::settings(config, &text);
    if json {
        for setting in &settings {
            out::line(&clean::json(&as_json(setting, paths).to_string()))?;
        }
        return Ok(Code::Completed);
    }
    let file = paths.config.display().to_string();
    let there = match paths.config.exists() {
        true => "",
        false => " (not there)",
    };
    out::line(&format!("# {}{there}", clean::line(&file, 500)))?;
    let keys = settings.iter().map(|s| s.key.chars().count());
    let widest = keys.max().unwrap_or_default().min(40);
    for setting in &settings {
        let from = match setting.line {
            Some(line) => format!("line {line}"),
            None => "default".to_owned(),
        };
        let value = redact::text(&setting.value.to_string());
        let told = format!("{:widest$}  {:<24}  # {from}", setting.key, value);
        out::line(&clean::line(&told, 1_000))?;
    }
    if config.state_dir.is_none() {
        let folder = paths.state.display();
        out::line(&format!("# state_dir is the user's: {folder}"))?;
    }
    for line in overrides(config, global) {
        out::line(&format!("# {}", clean::line(&line, 500)))?;
    }
    Ok(Code::Completed)
}

fn as_json(setting: &Setting, paths: &Paths) -> serde_json::Value {
    let value = serde_json::to_value(&setting.value).unwrap_or_default();
    let from = match setting.line {
        Some(_) => paths.config.display().to_string(),
        None => "default".to_owned(),
    };
    json!({"key": setting.key, "value": redacted(value), "from": from, "line": setting.line})
}

/// No secret belongs into the file; should one stand there, it is not repeated.
fn redacted(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::String(text) => redact::text(&text).into(),
        serde_json::Value::Array(items) => items.into_iter().map(redacted).collect(),
        other => other,
    }
}

/// What environment and flags say beside the file, and which hub comes of it.
fn overrides(config: &Config, global: &Global) -> Vec<String> {
    let mut lines = Vec::new();
    let set = |name: &str| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
    if let Some(text) = set(CONNECTION_STRING) {
        let hub = match ConnectionString::parse(&text) {
            Ok(connection) => connection.address(),
            Err(error) => format!("it cannot be used: {error}"),
        };
        let wins = match &global.hub {
            None => "the hub in use",
            Some(_) => "not used, because --hub names another",
        };
        lines.push(format!("{CONNECTION_STRING} is set: {wins} ({hub})"));
    }
    if let Some(file) = set(CA_FILE) {
        lines.push(format!(
            "{CA_FILE} is set: hubs without ca_file trust {file}"
        ));
    }
    if global.read_only {
        lines.push("--read-only: every write is refused".to_owned());
    }
    if let Some(fps) = global.max_fps {
        lines.push(format!("--max-fps: at most {fps} frames a second"));
    }
    match choose(global, config) {
        Ok(Some((Some(hub), _))) => lines.push(format!("the hub in use is {hub}")),
        // What the environment names was said above.
        Ok(Some((None, _))) => {}
        Ok(None) => lines.push("no hub is in use: none is named anywhere".to_owned()),
        Err(why) => lines.push(format!("no hub is in use: {why}")),
    }
    lines
}

/// Looks at everything that can be looked at without a hub, and says what is wrong.
async fn check(config: &Config, paths: &Paths, global: &Global) -> Result<Code, Failure> {
    let file = paths.config.display();
    let hubs = config.hub.len();
    match paths.config.exists() {
        true => out::line(&format!("ok  {file}: it can be read; hubs: {hubs}"))?,
        false => out::line(&format!("--  {file}: not there; the defaults hold"))?,
    }
    let mut wrong = 0;
    let state = paths.state.display();
    // One that is not there is made when it is needed, and only then.
    match paths.state.exists().then(|| Place::of(&paths.state)) {
        None => out::line(&clean::line(
            &format!("--  state {state}: not there yet"),
            1_000,
        ))?,
        Some(Ok(place)) => {
            let remark = place
                .remark()
                .map_or(String::new(), |text| format!("; {text}"));
            out::line(&clean::line(&format!("ok  state {state}{remark}"), 1_000))?;
        }
        Some(Err(why)) => {
            wrong += 1;
            out::line(&clean::line(&format!("✗   state {state}: {why}"), 1_000))?;
        }
    }
    if let Some(name) = global
        .hub
        .as_ref()
        .filter(|name| !config.hub.contains_key(*name))
    {
        return Err(Failure::usage(format!(
            "the configuration has no hub {name:?}"
        )));
    }
    let asked = |name: &str| global.hub.as_deref().is_none_or(|hub| hub == name);
    for (name, hub) in config.hub.iter().filter(|(name, _)| asked(name)) {
        let told = match of_hub(name, hub, config, &paths.config).await {
            Ok(told) => format!("ok  hub {name}: {told}"),
            Err(why) => {
                wrong += 1;
                format!("✗   hub {name}: {why}")
            }
        };
        out::line(&clean::line(&redact::text(&told), 1_000))?;
        if let Ok(dialects) = config.dialects(Some(name)) {
            warn_of_rivals(&dialects);
        }
    }
    let (_, of_look) = Look::new(&console::look(config, paths, false));
    for why in &of_look {
        wrong += 1;
        out::line(&clean::line(&format!("✗   console: {why}"), 1_000))?;
    }
    if wrong == 0 {
        return Ok(Code::Completed);
    }
    let things = if wrong == 1 { "mistake" } else { "mistakes" };
    Err(Failure::usage(format!(
        "{wrong} {things} in the configuration"
    )))
}

async fn of_hub(
    name: &str,
    hub: &HubConfig,
    config: &Config,
    path: &Path,
) -> Result<String, String> {
    config.dialects(Some(name)).map_err(|e| e.to_string())?;
    if let Some(file) = &hub.ca_file {
        let read = std::fs::read_to_string(file);
        let text = read.map_err(|e| format!("ca_file {}: {e}", file.display()))?;
        if !text.contains("-----BEGIN CERTIFICATE-----") {
            return Err(format!("ca_file {} holds no certificate", file.display()));
        }
    }
    let (at, by) = way_in(name, hub, path).await?;
    let tier = match hub.tier {
        Some(tier) => format!("{tier:?}, {} units", hub.units),
        None => "tier not said: one unit of S1 is assumed".to_owned(),
    };
    let guard = match (hub.read_only, hub.environment.as_deref()) {
        (true, _) => "; read-only".to_owned(),
        (false, Some(environment)) => format!("; {environment}"),
        (false, None) => String::new(),
    };
    Ok(format!("{at}{by}; {tier}{guard}"))
}

/// Where the hub is, and what there is to say of how it lets us in. The secret is
/// fetched, the Azure command line asked for a token.
async fn way_in(name: &str, hub: &HubConfig, path: &Path) -> Result<(String, String), String> {
    match hub.way_in(name).map_err(|e| e.to_string())? {
        WayIn::Secret(source) => {
            let secret = source.get(path).await.map_err(|e| e.to_string())?;
            let connection = ConnectionString::parse(secret.expose_secret());
            Ok((
                connection.map_err(|e| e.to_string())?.address(),
                String::new(),
            ))
        }
        WayIn::AzureCli(host) => {
            let at = Address::parse(&host).map_err(|e| format!("host {host:?}: {e}"))?;
            let given = az::token(az::Group::default()).await;
            let given = given.map_err(|e| format!("{e}. {}", e.hint()))?;
            let ends = time::to_the_second(given.ends);
            Ok((at.to_string(), format!("; az gives a token, until {ends}")))
        }
    }
}
