//! Is the twin still that of the device that was ordered?

use jiff::{SignedDuration, Timestamp};

use crate::domain::event::What;
use crate::domain::evidence::OpenState;
use crate::domain::time::ticks;
use crate::domain::twin::Twin;

use super::{Suspicion, Update};

/// How much younger than the first stamps of its twin an identity may look: the
/// hub makes both at once, but stamps them one after the other.
const SAME_BIRTH: SignedDuration = SignedDuration::from_secs(1);

impl Update {
    /// What comes of a suspicion, now that the registry was asked for the
    /// device's `generationId`; the error says why it is not known. A device
    /// that was created again never got the order, and its twin is a new one.
    #[must_use]
    pub fn followed_up(
        &self,
        suspicion: &Suspicion,
        twin: &Twin,
        generation: Result<&str, &str>,
    ) -> Vec<What> {
        let device = &self.device;
        let born = generation.ok().and_then(ticks);
        let born_later = born.filter(|born| self.is_born_later(*born));
        let (since, why) = match (generation, born_later, suspicion) {
            (Ok(_), Some(born), _) => (
                Some(born),
                format!("{device} was deleted and created again at {born}, by the hub's clock"),
            ),
            (Ok(_), None, Suspicion::EntryChanged) => return Vec::new(),
            (Ok(_), None, Suspicion::CameBack) => {
                return vec![self.same_again()];
            }
            (Ok(_), None, Suspicion::WentBack { from, to }) => (
                twin.reported.last_updated(),
                format!(
                    "the twin of {device} was reset: its reported version went from {from} to \
                     {to}, though it is the same device"
                ),
            ),
            (Err(_), _, Suspicion::EntryChanged | Suspicion::CameBack)
                if self.is_older_than_the_baseline(twin) =>
            {
                let again = matches!(suspicion, Suspicion::CameBack);
                return again.then(|| self.same_again()).into_iter().collect();
            }
            (Err(cause), ..) => (
                twin.reported.last_updated(),
                format!(
                    "{device} may have been deleted and created again: {}. Its generationId is \
                     not known: {cause}",
                    what_was_seen(suspicion)
                ),
            ),
        };
        let reason = format!(
            "{why}. What was seen before says nothing any more: from now on an end counts only \
             with another sign of an update. Give this update up (x in the console) to start \
             another"
        );
        vec![
            What::Replaced {
                generation_id: born_later.and(generation.ok()).map(str::to_owned),
                since,
                version: twin.reported.version,
            },
            What::State {
                state: OpenState::Unknown,
                reason,
                evidence: None,
            },
        ]
    }

    fn same_again(&self) -> What {
        What::State {
            state: OpenState::Back,
            reason: format!("the hub knows {} again; it is the same device", self.device),
            evidence: None,
        }
    }

    /// Does the twin still hold something that it held before the order? Then it
    /// is the same one: all that a new twin holds is stamped after its birth.
    fn is_older_than_the_baseline(&self, twin: &Twin) -> bool {
        let oldest = twin.reported.oldest();
        self.replaced.is_none() && oldest.is_some() && oldest <= self.intent.baseline.last_updated
    }

    /// Is an identity of that birth another one than the order went to?
    fn is_born_later(&self, born: Timestamp) -> bool {
        let base = &self.intent.baseline;
        match (&self.replaced, base.last_updated) {
            (Some(replaced), _) if replaced.since.is_some() => Some(born) > replaced.since,
            (_, Some(floor)) if base.version <= 1 => born.duration_since(floor) > SAME_BIRTH,
            (_, Some(floor)) => born > floor,
            // Nothing of the hub's clock is known: ours has to do.
            (_, None) => born > self.intended,
        }
    }
}

fn what_was_seen(suspicion: &Suspicion) -> String {
    match suspicion {
        Suspicion::WentBack { from, to } => {
            format!("its reported version went from {from} to {to}")
        }
        Suspicion::EntryChanged => "its entry in the registry has changed".to_owned(),
        Suspicion::CameBack => "the hub did not know it for a while".to_owned(),
    }
}
