//! Screens on which the hub does not let us, is not there, or has nothing left: in the
//! client's own words.

use otadeck::domain::event::{InventoryState, Link, Way, What};
use otadeck::hub::HubError;
use otadeck::hub::az::AzError;
use otadeck::hub::error::{Obstacle, Refusal};
use otadeck::hub::sign_in::Who;

use super::scenes::{Scene, Stage, plant};

pub const SCENES: [Scene; 6] = [
    ("not-signed-in", |size, colour| {
        let error = HubError::SignIn(AzError::NotSignedIn);
        unlisted(size, colour, Link::Unauthorized, "cannot sign in", &error)
    }),
    ("no-az", |size, colour| {
        let error = HubError::SignIn(AzError::Missing);
        unlisted(size, colour, Link::Unauthorized, "cannot sign in", &error)
    }),
    ("no-role", |size, colour| {
        let error = refused(403, "IotHubUnauthorizedAccess", Who::Account);
        unlisted(size, colour, Link::Unauthorized, "the hub refuses", &error)
    }),
    ("no-right", |size, colour| {
        let who = Who::Policy("registryRead".to_owned());
        let error = refused(401, "IotHubUnauthorizedAccess", who);
        unlisted(size, colour, Link::Unauthorized, "the hub refuses", &error)
    }),
    ("no-such-hub", |size, colour| {
        let error = HubError::Connect {
            host: "contoso-plant.azure-devices.net".to_owned(),
            cause: "error resolving DNS: failed to lookup address information: Name or service \
                    not known"
                .to_owned(),
            obstacle: Obstacle::Name,
        };
        unlisted(
            size,
            colour,
            Link::Retrying,
            "the hub does not answer",
            &error,
        )
    }),
    ("day-spent", |size, colour| {
        let who = Who::Policy("service".to_owned());
        let error = refused(403, "IotHubQuotaExceeded", who);
        unlisted(
            size,
            colour,
            Link::Retrying,
            "the hub's day is spent",
            &error,
        )
    }),
];

/// The hub's own refusal, as it comes over the wire.
fn refused(status: u16, name: &str, who: Who) -> HubError {
    let body = format!(r#"{{"Message":"ErrorCode:{name};Unauthorized","ExceptionMessage":""}}"#);
    let mut refusal = Refusal::read(status, Some(name), body.as_bytes());
    refusal.who = Some(who);
    HubError::Answered(Box::new(refusal))
}

/// A console that has listed nothing for that reason.
fn unlisted(size: (u16, u16), colour: bool, state: Link, title: &str, error: &HubError) -> Stage {
    let mut stage = Stage::new(plant(), size, colour);
    stage.general(What::Link(Way {
        problem: Some(error.problem(title)),
        ..Way::new(state)
    }));
    stage.general(What::Inventory {
        state: InventoryState::Failed,
        count: 0,
        skipped: 0,
        problem: Some(error.problem("the devices cannot be listed")),
    });
    stage
}
