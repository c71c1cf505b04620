//! The one gate for writes.
//!
//! Every write to a hub takes a permit by value: a method call a [`Permit`], a tag
//! a [`TagPermit`], each good for exactly what it was given for. Only [`Gate`] makes
//! them. It asks in this order: is the hub read-only, can the journal be written, is
//! the hub production and not armed, was the intent committed to the journal?
//!
//! A tag that stands already is renewed and given back without arming anew: that
//! the hub may be written to was confirmed when the update began, and a tag that
//! outlives its update would keep others off the device.

use std::time::Duration;

use crate::domain::method::MethodCall;
use crate::domain::problem::{Kind, Problem};
use crate::domain::profile::Profile;
use crate::domain::tag;
use crate::hub::{GateKeeper, Grant, House, TagGrant};
use crate::journal::Receipt;

/// How long a production hub stays armed after its name was given, unless its
/// profile says otherwise.
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

/// The leave to write one tag.
#[derive(Debug)]
pub struct TagPermit {
    write: tag::Write,
}

impl TagGrant for TagPermit {
    fn into_write(self) -> tag::Write {
        self.write
    }
}

impl GateKeeper for House {
    type Permit = Permit;
    type TagPermit = TagPermit;
}

/// Decides whether a write may be made. Times are since the engine's start.
#[derive(Clone, Debug)]
pub struct Gate {
    profile: Profile,
    arm_for: Duration,
    armed_until: Option<Duration>,
    unwritten: Option<Problem>,
}

impl Gate {
    /// The gate of that hub, closed for production until it is armed.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            arm_for: ARMED,
            armed_until: None,
            unwritten: None,
        }
    }

    /// The same gate, armed for so long each time.
    #[must_use]
    pub fn arming_for(mut self, time: Duration) -> Self {
        self.arm_for = time;
        self
    }

    /// The same gate, closed while there is a reason why nothing can be written
    /// down.
    #[must_use]
    pub fn unwritten(mut self, because: Option<Problem>) -> Self {
        self.unwritten = because;
        self
    }

    /// Why nothing can be written down, if that is so.
    #[must_use]
    pub fn unwritten_because(&self) -> Option<&Problem> {
        self.unwritten.as_ref()
    }

    /// Arms a production hub for a while when `name` is its name.
    pub fn arm(&mut self, name: &str, now: Duration) -> bool {
        let right = name.trim() == self.profile.name;
        if right {
            self.armed_until = Some(now + self.arm_for);
        }
        right
    }

    /// Until when it is armed, if it was armed and not closed again.
    #[must_use]
    pub fn armed_until(&self) -> Option<Duration> {
        self.armed_until
    }

    /// Closes a production hub again.
    pub fn disarm(&mut self) {
        self.armed_until = None;
    }

    /// May anything be written now?
    ///
    /// # Errors
    /// A problem of kind `ReadOnly`, `Journal` or `Unconfirmed` that says what to
    /// do.
    pub fn check(&self, now: Duration) -> Result<(), Problem> {
        self.writable()?;
        let name = &self.profile.name;
        if let Some(problem) = &self.unwritten {
            return Err(problem.clone());
        }
        if self.profile.is_production() && self.armed_until.is_none_or(|until| until <= now) {
            let problem = Problem::new(
                Kind::Unconfirmed,
                format!("{name} is a production hub"),
                "writing to it was not confirmed",
            );
            return Err(problem.hint(format!(
                "Nothing was sent. Its name confirms it: in the console :arm asks for it, else \
                 --confirm {name}."
            )));
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

    /// The permit to take a device for an update whose intent was committed.
    ///
    /// # Errors
    /// As [`Gate::check`]; and a defect of otadeck when the receipt is for
    /// another device or another update, or when nothing is taken.
    pub fn take_tag(
        &self,
        receipt: &Receipt,
        write: tag::Write,
        now: Duration,
    ) -> Result<TagPermit, Problem> {
        self.check(now)?;
        let intended = (receipt.device(), receipt.update());
        let taken = write.tag().map(|tag| &tag.update);
        if intended != (write.device(), write.update()) || taken != Some(write.update()) {
            return Err(not_ours(&write));
        }
        Ok(TagPermit { write })
    }

    /// The permit to renew or to give back a tag that stands for its update.
    ///
    /// # Errors
    /// When the hub is read-only; and a defect of otadeck when the tag that was
    /// seen is not the update's own.
    pub fn keep_tag(&self, write: tag::Write) -> Result<TagPermit, Problem> {
        self.writable()?;
        let own = Some(write.update());
        if write.over() != own || write.tag().is_some_and(|tag| Some(&tag.update) != own) {
            return Err(not_ours(&write));
        }
        Ok(TagPermit { write })
    }

    fn writable(&self) -> Result<(), Problem> {
        if !self.profile.read_only {
            return Ok(());
        }
        let title = format!("{} is read-only", self.profile.name);
        Err(Problem::new(Kind::ReadOnly, title, "").hint(
            "Nothing was sent. Take read_only out of the hub's profile, or leave out --read-only.",
        ))
    }
}

fn not_ours(write: &tag::Write) -> Problem {
    let title = format!("no permit to write the tag of {}", write.device());
    let cause = "the tag is not that of the update that was written down";
    Problem::new(Kind::Internal, title, cause)
}

#[cfg(test)]
mod tests;
