//! Who may do what: tokens of policies and devices.

use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::policy::{Policy, Right};
use super::refusal::{Code, Refusal};
use super::sas::{Scope, Token, host_without_port};
use super::world::World;
use crate::domain::id::DeviceId;

/// The names under which this hub is known: its own, and those of loopback
/// that its certificate holds too.
#[derive(Clone, Debug)]
pub(super) struct Names {
    own: String,
}

impl Names {
    pub(super) fn new(host_name: &str) -> Self {
        Self {
            own: host_name.to_ascii_lowercase(),
        }
    }

    /// Is `host`, with or without a port, this hub?
    fn know(&self, host: &str) -> bool {
        let host = host_without_port(host).to_ascii_lowercase();
        host == self.own || ["localhost", "127.0.0.1", "::1"].contains(&host.as_str())
    }
}

/// May the caller with this `Authorization` header use `right` on `path`
/// (`devices/{id}` or `twins/{id}`, or less)?
///
/// # Errors
/// 401 as the hub says it.
pub(super) fn service(
    world: &World,
    names: &Names,
    header: Option<&str>,
    right: Right,
    path: &[&str],
    now: Timestamp,
) -> Result<(), Refusal> {
    let unauthorized = |text: &str| Refusal::new(Code::IotHubUnauthorized, text);
    let denied = || Refusal::new(Code::IotHubUnauthorizedAccess, "Unauthorized");
    let header = header.ok_or_else(|| unauthorized("The Authorization header is missing."))?;
    let token = Token::parse(header).ok_or_else(|| {
        unauthorized("The Authorization header holds no shared access signature.")
    })?;
    let policy = token.policy().and_then(|name| world.policy(name));
    let policy = policy.filter(|policy| signed_by(&token, policy));
    let scope = token.scope().filter(|scope| names.know(&scope.host));
    let (Some(policy), Some(scope)) = (policy, scope) else {
        return Err(denied());
    };
    if !policy.gives(right) || !covers(&scope, path) {
        return Err(denied());
    }
    match token.expired(now) {
        true => Err(unauthorized("The shared access signature has expired.")),
        false => Ok(()),
    }
}

fn signed_by(token: &Token<'_>, policy: &Policy) -> bool {
    token.signed_with(&policy.primary) || token.signed_with(&policy.secondary)
}

/// A token for `devices/{id}` is good for the device's twin as well.
fn covers(scope: &Scope, path: &[&str]) -> bool {
    let as_device: Vec<&str> = match path {
        ["twins", rest @ ..] => ["devices"].iter().chain(rest).copied().collect(),
        other => other.to_vec(),
    };
    scope.covers(path) || scope.covers(&as_device)
}

/// What a device says when it connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeviceClaim {
    pub(super) id: DeviceId,
    /// The model it announces.
    pub(super) model_id: Option<String>,
}

impl DeviceClaim {
    /// Reads client id and user name, `{host}/{clientId}/?api-version=…`; some
    /// hand-written clients leave the slash before `?` out, those of 2016 the
    /// `?`. An id may hold a `?` itself.
    pub(super) fn read(names: &Names, client_id: &str, user_name: &str) -> Option<Self> {
        let (host, rest) = user_name.split_once('/')?;
        let rest = rest.strip_prefix(client_id)?;
        let query = match rest.strip_prefix('/').unwrap_or(rest) {
            "" => "",
            query if query.starts_with("api-version=") && rest.starts_with('/') => query,
            query => query.strip_prefix('?')?,
        };
        if !names.know(host) {
            return None;
        }
        let model_id = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("model-id="))
            .and_then(|value| percent_decode_str(value).decode_utf8().ok())
            .map(std::borrow::Cow::into_owned);
        Some(Self {
            id: DeviceId::parse(client_id).ok()?,
            model_id,
        })
    }
}

/// Is `password` a token of this device? Gives the token's end. A policy with
/// the right to be a device may sign for it.
pub(super) fn device(
    world: &World,
    names: &Names,
    claim: &DeviceClaim,
    password: &[u8],
    now: Timestamp,
) -> Option<Timestamp> {
    let token = Token::parse(std::str::from_utf8(password).ok()?)?;
    let scope = token.scope().filter(|scope| names.know(&scope.host))?;
    let signed = match token.policy() {
        Some(name) => {
            let policy = world.policy(name)?;
            policy.gives(Right::DeviceConnect) && signed_by(&token, policy)
        }
        None => {
            let (primary, secondary) = world.device_keys(&claim.id)?;
            // A device's key is good for the device, not for the hub.
            scope.path.len() >= 2 && (token.signed_with(primary) || token.signed_with(secondary))
        }
    };
    let covered = scope.covers(&["devices", claim.id.as_str()]);
    let enabled = world.is_enabled(&claim.id);
    (signed && covered && enabled && !token.expired(now))
        .then(|| token.expires())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::sas::sign;

    const NOW: i64 = 1_700_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn world() -> World {
        let mut world = World::new(crate::emulator::world::seeded_entropy(1));
        world.ensure_identity(&DeviceId::parse("dev01").unwrap(), at(0));
        world
    }

    #[rstest::rstest]
    #[case("service", "hub.test", Right::ServiceConnect, None)]
    #[case("service", "hub.test:8443", Right::ServiceConnect, None)]
    #[case("service", "LOCALHOST", Right::ServiceConnect, None)]
    #[case("iothubowner", "hub.test", Right::RegistryWrite, None)]
    #[case("registryRead", "hub.test", Right::RegistryRead, None)]
    #[case("iothubowner", "hub.test/devices/dev01", Right::ServiceConnect, None)]
    #[case(
        "service",
        "hub.test",
        Right::RegistryRead,
        Some(Code::IotHubUnauthorizedAccess)
    )]
    #[case(
        "registryReadWrite",
        "hub.test",
        Right::ServiceConnect,
        Some(Code::IotHubUnauthorizedAccess)
    )]
    #[case(
        "service",
        "other.test",
        Right::ServiceConnect,
        Some(Code::IotHubUnauthorizedAccess)
    )]
    #[case(
        "service",
        "hub.test/devices/dev02",
        Right::ServiceConnect,
        Some(Code::IotHubUnauthorizedAccess)
    )]
    fn service_tokens(
        #[case] name: &str,
        #[case] resource: &str,
        #[case] right: Right,
        #[case] want: Option<Code>,
    ) {
        let world = world();
        let names = Names::new("Hub.test");
        let policy = world.policy(name).unwrap();
        for key in [&policy.primary, &policy.secondary] {
            let token = sign(resource, key, NOW + 60, Some(name)).unwrap();
            let check = |header: Option<&str>, now| {
                let path = ["twins", "dev01"];
                let done = service(&world, &names, header, right, &path, at(now));
                done.err().map(|refusal| refusal.code)
            };
            assert_eq!(check(Some(&token), NOW), want);
            let late = want.or(Some(Code::IotHubUnauthorized));
            assert_eq!(check(Some(&token), NOW + 60), late);
            assert_eq!(check(None, NOW), Some(Code::IotHubUnauthorized));
            assert_eq!(check(Some("Bearer x"), NOW), Some(Code::IotHubUnauthorized));
            let wrong = sign(resource, "AAAA", NOW + 60, Some(name)).unwrap();
            assert_eq!(
                check(Some(&wrong), NOW),
                Some(Code::IotHubUnauthorizedAccess)
            );
        }
    }

    #[rstest::rstest]
    #[case(
        "dev01",
        "hub.test/dev01/?api-version=2021-04-12&DeviceClientType=x",
        true
    )]
    #[case("dev01", "hub.test/dev01?api-version=2021-04-12", true)]
    #[case("dev01", "hub.test:8883/dev01/?api-version=2019-10-01", true)]
    #[case("dev01", "hub.test/dev01", true)]
    #[case("dev01", "hub.test/dev01/", true)]
    #[case("dev01", "hub.test/dev01/api-version=2016-11-14", true)]
    #[case("dev01", "HUB.test/dev01/?api-version=2018-06-30", true)]
    #[case("dev01", "hub.test/dev011/?api-version=2018-06-30", false)]
    #[case("dev01", "hub.test/dev01api-version=2016-11-14", false)]
    #[case("a?b", "hub.test/a?b/?api-version=2021-04-12", true)]
    #[case("a?b", "hub.test/a?c/?api-version=2021-04-12", false)]
    #[case("dev01", "", false)]
    #[case("who?1", "hub.test/who?1/?api-version=2021-04-12", true)]
    #[case("dev0", "hub.test/dev01/?api-version=2021-04-12", false)]
    #[case("dev01", "hub.test/dev01x?api-version=2021-04-12", false)]
    #[case("dev01", "hub.test/dev01//?api-version=2021-04-12", false)]
    #[case("dev01", "hub.test/dev02/?api-version=2021-04-12", false)]
    #[case("dev01", "other.test/dev01/?api-version=2021-04-12", false)]
    #[case("dev01", "dev01", false)]
    #[case("dev01/mod", "hub.test/dev01/mod/?api-version=2021-04-12", false)]
    fn claims(#[case] client_id: &str, #[case] user_name: &str, #[case] good: bool) {
        let claim = DeviceClaim::read(&Names::new("hub.test"), client_id, user_name);
        assert_eq!(claim.is_some(), good);
    }

    #[test]
    fn devices_prove_themselves_by_a_key_of_theirs_or_a_policys() {
        let world = world();
        let names = Names::new("hub.test");
        let user = "hub.test/dev01/?api-version=1&model-id=dtmi%3Aa%3B1";
        let claim = DeviceClaim::read(&names, "dev01", user).unwrap();
        assert_eq!(claim.model_id.as_deref(), Some("dtmi:a;1"));
        let resource = "hub.test/devices/dev01";
        let check = |resource: &str, key: &str, policy| {
            let token = sign(resource, key, NOW + 60, policy).unwrap();
            device(&world, &names, &claim, token.as_bytes(), at(NOW))
        };
        let (primary, secondary) = world.device_keys(&claim.id).unwrap();
        assert_eq!(check(resource, primary, None), Some(at(NOW + 60)));
        assert!(check(resource, secondary, None).is_some());
        assert_eq!(check("hub.test", primary, None), None);
        assert_eq!(check("hub.test/devices/dev02", primary, None), None);
        let key = |name: &str| world.policy(name).unwrap().primary.clone();
        assert!(check(resource, &key("device"), Some("device")).is_some());
        assert!(check("hub.test", &key("iothubowner"), Some("iothubowner")).is_some());
        assert_eq!(check(resource, &key("service"), Some("service")), None);
        let late = sign(resource, primary, NOW, None).unwrap();
        assert_eq!(
            device(&world, &names, &claim, late.as_bytes(), at(NOW)),
            None
        );
    }
}
