//! Faults as MQTT: refusals, closed links, other answers, none.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::topic::Publication;
use super::{GOODBYE, Guest, Over};
use crate::domain::id::DeviceId;
use crate::emulator::faults::{self, Effect, Route, Strike};
use crate::emulator::shell::Shell;
use crate::mqtt::{Connect, Publish, ReturnCode, ServerLink};

/// Lets a fault have this CONNECT. `true`: it is over.
pub(super) async fn has_connect<S>(
    shell: &Shell,
    connect: &Connect,
    link: &mut ServerLink<S>,
    end: &CancellationToken,
) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let id = DeviceId::parse(&connect.client_id).ok();
    let Some(strike) = shell.faults.strike(Route::Connect, id.as_ref()) else {
        return false;
    };
    shell.faults.pause(strike.delay).await;
    let code = match strike.effect {
        None => return false,
        Some(Effect::Hang) => {
            tokio::select! {
                () = end.cancelled() => {}
                // Nothing is right before CONNACK: the first thing is the end.
                _ = link.next() => {}
            }
            return true;
        }
        Some(Effect::Refuse(3)) => ReturnCode::Unavailable,
        Some(Effect::Refuse(_)) => ReturnCode::NotAuthorized,
        Some(_) => return true,
    };
    if link.refuse(code).is_ok() {
        let _ = tokio::time::timeout(GOODBYE, link.close()).await;
    }
    true
}

impl Guest<'_> {
    pub(super) fn strike(&self, route: Route) -> Option<Strike> {
        self.shell.faults.strike(route, Some(&self.id))
    }

    /// A struck SUBSCRIBE: should each filter be refused? `None` is no SUBACK.
    pub(super) async fn struck_subscribe(&self, strike: Strike) -> Result<Option<bool>, Over> {
        self.shell.faults.pause(strike.delay).await;
        match strike.effect {
            None => Ok(Some(false)),
            Some(Effect::Refuse(_)) => Ok(Some(true)),
            Some(Effect::Drop) => Err(Over::Fault),
            Some(_) => Ok(None),
        }
    }

    /// A struck message of the device.
    pub(super) async fn struck<S>(
        &self,
        strike: Strike,
        link: &mut ServerLink<S>,
        what: Publication<'_>,
        publish: &Publish,
    ) -> Result<(), Over>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if strike.effect.is_none() {
            self.shell.faults.pause(strike.delay).await;
            return self.published(link, what, publish).await;
        }
        if strike.runs && matches!(what, Publication::Report(_)) {
            // Whatever came of it, it is not what is answered.
            let _ = self.report(&publish.payload);
        }
        self.shell.faults.pause(strike.delay).await;
        match (strike.effect, what) {
            (Some(Effect::Drop), _) => Err(Over::Fault),
            (
                Some(Effect::Answer { code, message }),
                Publication::TwinGet(rid) | Publication::Report(rid),
            ) => {
                let refusal = faults::refusal(code, message.as_deref());
                self.answer(link, rid, Err(refusal))
            }
            _ => Ok(()),
        }
    }
}

impl Publication<'_> {
    /// What faults know it as; answers of methods are left alone.
    pub(super) fn route(&self) -> Option<Route> {
        match self {
            Self::TwinGet(_) => Some(Route::DeviceTwin),
            Self::Report(_) => Some(Route::Report),
            Self::Event(_) => Some(Route::Event),
            Self::MethodAnswer { .. } => None,
        }
    }
}
