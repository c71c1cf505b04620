//! Which hub and which update are meant.

use crate::cli::exit::Failure;
use crate::cli::sign_in;
use crate::config::{Config, Paths};
use crate::domain::clean;
use crate::domain::id::UpdateId;
use crate::journal::{History, JournalError};

/// Updates that are named when a prefix fits several.
const NAMED: usize = 5;

/// The hubs of the journal that `name` means: one of the configuration, a host
/// name, or its first label. A hub that is gone from the configuration, or whose
/// connection string cannot be had, is found by its host all the same.
pub(super) async fn hubs(
    journal: &History,
    name: &str,
    config: &Config,
    paths: &Paths,
) -> Result<Vec<String>, Failure> {
    let known = journal.hubs().map_err(|e| super::failed(&e))?;
    let why_not = match configured(name, config, paths).await {
        Some(Ok(host)) => return Ok(vec![host]),
        Some(Err(error)) => Some(error),
        None => None,
    };
    let meant = meant(name, &known);
    if !meant.is_empty() {
        return Ok(meant);
    }
    let there: Vec<String> = known.iter().map(|hub| clean::line(hub, 100)).collect();
    let there = match there.is_empty() {
        true => "it holds no updates yet".to_owned(),
        false => format!("it has: {}", there.join(", ")),
    };
    let why = why_not.map_or(String::new(), |error| format!("\n  {error}"));
    Err(Failure::usage(format!(
        "the journal has no updates of a hub {name:?}; {there}{why}"
    )))
}

/// The hubs that have that host name, or its first label.
fn meant(name: &str, known: &[String]) -> Vec<String> {
    let is = |hub: &&String| hub.eq_ignore_ascii_case(name);
    let whole: Vec<String> = known.iter().filter(is).cloned().collect();
    if !whole.is_empty() {
        return whole;
    }
    let label = |hub: &&String| {
        let label = hub.split(['.', ':']).next().unwrap_or_default();
        label.eq_ignore_ascii_case(name)
    };
    known.iter().filter(label).cloned().collect()
}

/// The host of a hub of the configuration, which only its connection string
/// knows; `None` when the configuration has no such hub.
async fn configured(name: &str, config: &Config, paths: &Paths) -> Option<Result<String, Failure>> {
    let hub = config.hub.get(name)?;
    let host = async {
        let sign_in = sign_in::of_hub(name, hub, paths).await?;
        Ok(sign_in.at().to_string())
    };
    Some(host.await)
}

/// The one update whose id begins so.
pub(super) fn update(journal: &History, prefix: &str) -> Result<UpdateId, Failure> {
    let failed = |e: JournalError| super::failed(&e);
    let prefix = prefix.trim();
    if prefix.is_empty() {
        return Err(Failure::usage("an update's id is empty"));
    }
    let found = journal.beginning(prefix, NAMED + 1).map_err(failed)?;
    let shown = |id: &UpdateId| clean::line(id.as_str(), 60);
    match found.as_slice() {
        [] => Err(Failure::usage(format!(
            "no update of the journal has an id that begins with {prefix:?}; \
             otadeck history lists them"
        ))),
        [one] => Ok(one.clone()),
        // A whole id is that one, even if another begins with it.
        [first, ..] if first.as_str() == prefix => Ok(first.clone()),
        several => {
            let mut names: Vec<String> = several.iter().take(NAMED).map(shown).collect();
            if several.len() > NAMED {
                names.push("and more".to_owned());
            }
            Err(Failure::usage(format!(
                "several updates have ids that begin with {prefix:?}: {}",
                names.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("plant.azure-devices.net", &["plant.azure-devices.net"])]
    #[case("PLANT", &["plant.azure-devices.cn", "plant.azure-devices.net"])]
    #[case("localhost", &["localhost:8443"])]
    #[case("localhost:8443", &["localhost:8443"])]
    #[case("pla", &[])]
    #[case("", &[])]
    fn hubs_are_named_by_host_or_label(#[case] name: &str, #[case] want: &[&str]) {
        let known = [
            "localhost:8443",
            "plant.azure-devices.cn",
            "plant.azure-devices.net",
        ]
        .map(str::to_owned);
        assert_eq!(meant(name, &known), want);
    }
}
