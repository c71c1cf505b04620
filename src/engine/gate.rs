//! The one gate for writes.
//!
//! Every write to a hub takes a [`Permit`] by value, and only [`Gate::permit`]
//! makes one. It asks in this order: is the hub read-only, is it production and
//! not armed, was the intent committed to the journal?

use std::time::Duration;

use crate::domain::method::MethodCall;
use crate::domain::problem::{Kind, Problem};
use crate::domain::profile::Profile;
use crate::hub::{GateKeeper, Grant, House};
use crate::journal::Receipt;

/// How long a production hub stays armed after its name was given.
pub const ARMED: Duration = Duration::from_secs(5 * 60);

/// The leave to make one method call.
#[derive(Debug)]
pub struct Permit {
    call: MethodCall,
}

impl Grant for Permit {
    fn into_call(self) -> MethodCall {
        self.call
    }
}

impl GateKeeper for House {
    type Permit = Permit;
}

/// Decides whether a write may be made. Times are since the engine's start.
#[derive(Clone, Debug)]
pub struct Gate {
    profile: Profile,
    armed_until: Option<Duration>,
}

impl Gate {
    /// The gate of that hub, closed for production until it is armed.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            armed_until: None,
        }
    }

    /// Arms a production hub for [`ARMED`] when `name` is its name.
    pub fn arm(&mut self, name: &str, now: Duration) -> bool {
        let right = name.trim() == self.profile.name;
        if right {
            self.armed_until = Some(now + ARMED);
        }
        right
    }

    /// Closes a production hub again.
    pub fn disarm(&mut self) {
        self.armed_until = None;
    }

    /// May anything be written now?
    ///
    /// # Errors
    /// A problem of kind `ReadOnly` or `Unconfirmed` that says what to do.
    pub fn check(&self, now: Duration) -> Result<(), Problem> {
        let name = &self.profile.name;
        if self.profile.read_only {
            let problem = Problem::new(Kind::ReadOnly, format!("{name} is read-only"), "");
            return Err(problem.hint(
                "Nothing was sent. Take read_only out of the hub's profile, or leave out --read-only.",
            ));
        }
        if self.profile.is_production() && self.armed_until.is_none_or(|until| until <= now) {
            let problem = Problem::new(
                Kind::Unconfirmed,
                format!("{name} is a production hub"),
                "writing to it was not confirmed",
            );
            return Err(problem.hint(format!("Nothing was sent. Confirm with --confirm {name}.")));
        }
        Ok(())
    }

    /// The permit for one call whose intent was committed.
    ///
    /// # Errors
    /// As [`Gate::check`]; and a defect of otadeck when the receipt is for
    /// another device or another payload.
    pub fn permit(
        &self,
        receipt: &Receipt,
        call: MethodCall,
        now: Duration,
    ) -> Result<Permit, Problem> {
        self.check(now)?;
        if receipt.device() != &call.device || receipt.payload_sha256() != call.payload_sha256() {
            let cause = "the call is not what was written down";
            let title = format!("no permit to call {}", call.device);
            return Err(Problem::new(Kind::Internal, title, cause));
        }
        Ok(Permit { call })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_production_hub_is_armed_by_its_name_and_for_a_while() {
        let mut gate = Gate::new(Profile {
            name: "plant".into(),
            host: "plant.test".into(),
            environment: Some("production".into()),
            read_only: false,
            tier: None,
            units: 1,
        });
        let now = Duration::from_secs(7);
        assert!(gate.check(now).is_err());
        assert!(!gate.arm("plan", now) && gate.check(now).is_err());
        assert!(gate.arm("plant", now) && gate.check(now).is_ok());
        assert!(gate.check(now + ARMED).is_err(), "it ends by itself");
        gate.disarm();
        let refused = gate.check(now).unwrap_err();
        assert_eq!(refused.kind, Kind::Unconfirmed);
    }
}
