//! All that the engine knows of a hub.

use std::future::Future;

use crate::domain::device::DeviceRow;
use crate::domain::id::DeviceId;
use crate::domain::method::{MethodAnswer, MethodCall};
use crate::domain::skew::Skew;
use crate::domain::twin::Twin;

use super::error::HubError;
use super::query::Query;
use super::wire::Identity;

/// A hub as the engine uses it: [`Client`](super::Client) over HTTPS, or an
/// emulator's world in the same process for tests.
pub trait Service: Send + Sync + 'static {
    /// Reads one twin.
    ///
    /// # Errors
    /// [`HubError`]; reading changes nothing, so it may always be repeated.
    fn twin(&self, device: &DeviceId) -> impl Future<Output = Result<Twin, HubError>> + Send;

    /// Reads one page of the inventory: the first, or the one that
    /// `continuation` names. A page may be empty and still have a next one.
    ///
    /// # Errors
    /// [`HubError`]; it may be repeated.
    fn page(
        &self,
        query: &Query,
        continuation: Option<&str>,
    ) -> impl Future<Output = Result<Page, HubError>> + Send;

    /// Reads a device's entry in the registry. Needs the right RegistryRead,
    /// which the policy that may call methods need not have.
    ///
    /// # Errors
    /// [`HubError`]; reading changes nothing.
    fn identity(
        &self,
        device: &DeviceId,
    ) -> impl Future<Output = Result<Identity, HubError>> + Send;

    /// Invokes a direct method, once. What is called stands in the permit.
    ///
    /// # Errors
    /// [`HubError::delivery`] tells whether the order may have reached the
    /// device. This is not idempotent and is never repeated by itself.
    fn invoke(&self, permit: Permit)
    -> impl Future<Output = Result<MethodAnswer, HubError>> + Send;

    /// How far our clock is from the hub's, as measured from its answers so far;
    /// `None` when nothing was measured.
    fn skew(&self) -> Option<Skew> {
        None
    }
}

/// One page of the inventory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Its devices.
    pub rows: Vec<DeviceRow>,
    /// Rows that name no device, so that they cannot be shown.
    pub skipped: usize,
    /// The next page's token; absent on the last page.
    pub continuation: Option<String>,
    /// The size of the answer, in bytes; the hub bills by it. 0 when nobody
    /// knows.
    pub bytes: usize,
}

/// The leave to do one write, by value: whoever has used it has it no more.
///
/// The hub must not know the engine, and only the engine may give leave. So the
/// type of a permit is left open here, and the engine's gate names it by
/// implementing [`GateKeeper`] for [`House`]. There can be only one such
/// implementation in the program (a second one does not compile), its type has
/// no public constructor, and [`Service::invoke`] takes nothing else: no other
/// way to write compiles.
pub type Permit = <House as GateKeeper>::Permit;

/// The program, for which exactly one gate keeps the writes.
#[derive(Debug)]
pub enum House {}

/// Names the type of permits. Implemented once, by the engine's gate.
pub trait GateKeeper {
    /// What the gate gives out.
    type Permit: Grant;
}

/// What a permit allows.
pub trait Grant: Send + 'static {
    /// The one call that it allows; the permit is spent.
    fn into_call(self) -> MethodCall;
}

/// A shared hub is a hub.
impl<S: Service> Service for std::sync::Arc<S> {
    async fn twin(&self, device: &DeviceId) -> Result<Twin, HubError> {
        (**self).twin(device).await
    }

    async fn page(&self, query: &Query, continuation: Option<&str>) -> Result<Page, HubError> {
        (**self).page(query, continuation).await
    }

    async fn identity(&self, device: &DeviceId) -> Result<Identity, HubError> {
        (**self).identity(device).await
    }

    async fn invoke(&self, permit: Permit) -> Result<MethodAnswer, HubError> {
        (**self).invoke(permit).await
    }

    fn skew(&self) -> Option<Skew> {
        (**self).skew()
    }
}
