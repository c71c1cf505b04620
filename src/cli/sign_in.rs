//! By what a hub of the configuration lets us in.

use secrecy::ExposeSecret;

use crate::config::{HubConfig, Paths, WayIn};
use crate::hub::{Address, ConnectionString, SignIn};

use super::exit::Failure;
use super::session::get;

/// The sign-in of the hub of that name. Its secret is fetched; a token is not yet
/// asked for.
pub(super) async fn of_hub(name: &str, hub: &HubConfig, paths: &Paths) -> Result<SignIn, Failure> {
    let wrong = |why: &dyn std::fmt::Display| Failure::usage(format!("hub {name:?}: {why}"));
    match hub.way_in(name).map_err(Failure::usage)? {
        WayIn::Secret(source) => {
            let secret = get(&source, paths, name).await?;
            let connection = ConnectionString::parse(secret.expose_secret());
            Ok(connection.map_err(|e| wrong(&e))?.into())
        }
        WayIn::AzureCli(host) => {
            let at = Address::parse(&host).map_err(|e| wrong(&format!("host {host:?}: {e}")))?;
            Ok(SignIn::AzureCli(at))
        }
    }
}
