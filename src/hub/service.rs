//! All that the engine knows of a hub.

use std::future::Future;

use crate::domain::device::DeviceRow;
use crate::domain::id::DeviceId;
use crate::domain::method::{MethodAnswer, MethodCall};
use crate::domain::skew::Skew;
use crate::domain::tag;
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

    /// Writes a tag to a twin, or takes it away, once, unless the twin is no
    /// longer as it was seen; gives the whole new twin. What is written stands in
    /// the permit. Nothing else of the twin is touched.
    ///
    /// # Errors
    /// [`HubError::is_outrun`]: somebody was faster, and nothing was written.
    /// Otherwise [`HubError::delivery`] tells whether it may have been. It is
    /// never repeated by itself.
    fn write_tag(&self, permit: TagPermit) -> impl Future<Output = Result<Twin, HubError>> + Send;

    /// How far our clock is from the hub's, as measured from its answers so far;
    /// `None` when nothing was measured.
    fn skew(&self) -> Option<Skew> {
        None
    }

    /// Do calls wait for a sign-in, so that the hub was not asked yet? Then its
    /// silence is none.
    fn is_signing_in(&self) -> bool {
        false
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

/// The leave to make one method call, by value: whoever has used it has it no
/// more.
///
/// The hub must not know the engine, and only the engine may give leave. So the
/// types of permits are left open here, and the engine's gate names them by
/// implementing [`GateKeeper`] for [`House`]. There can be only one such
/// implementation in the program (a second one does not compile), its types have
/// no public constructor, and [`Service::invoke`] and [`Service::write_tag`] take
/// nothing else: no other way to write compiles. A permit of one kind is none of
/// the other.
pub type Permit = <House as GateKeeper>::Permit;

/// The leave to write one tag, by value, as [`Permit`] is for a call.
pub type TagPermit = <House as GateKeeper>::TagPermit;

/// The program, for which exactly one gate keeps the writes.
#[derive(Debug)]
pub enum House {}

/// Names the types of permits. Implemented once, by the engine's gate.
pub trait GateKeeper {
    /// What the gate gives out for a call.
    type Permit: Grant;
    /// What it gives out for a tag.
    type TagPermit: TagGrant;
}

/// What a permit for a call allows.
pub trait Grant: Send + 'static {
    /// The one call that it allows; the permit is spent.
    fn into_call(self) -> MethodCall;
}

/// What a permit for a tag allows.
pub trait TagGrant: Send + 'static {
    /// The one write that it allows; the permit is spent.
    fn into_write(self) -> tag::Write;
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

    async fn write_tag(&self, permit: TagPermit) -> Result<Twin, HubError> {
        (**self).write_tag(permit).await
    }

    fn skew(&self) -> Option<Skew> {
        (**self).skew()
    }

    fn is_signing_in(&self) -> bool {
        (**self).is_signing_in()
    }
}
