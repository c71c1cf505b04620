//! What a request asks for.

use axum::http::{Method, Uri};
use percent_encoding::percent_decode_str;

use super::absent;
use super::reply::Envelope;
use crate::domain::id::DeviceId;
use crate::emulator::faults::Route;
use crate::emulator::policy::Right;
use crate::emulator::refusal::{Code, Refusal};
use crate::emulator::world::throttle::Operation;

/// One operation with its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `GET /devices[?top=n]`
    List(Option<usize>),
    /// `GET /devices/{id}`
    GetIdentity(DeviceId),
    /// `PUT /devices/{id}`
    PutIdentity(DeviceId),
    /// `DELETE /devices/{id}`
    DeleteIdentity(DeviceId),
    /// `POST /devices/query`
    Query,
    /// `GET /twins/{id}`
    GetTwin(DeviceId),
    /// `PATCH /twins/{id}`
    PatchTwin(DeviceId),
    /// `PUT /twins/{id}`
    PutTwin(DeviceId),
    /// `POST /twins/{id}/methods`
    Method(DeviceId),
    /// `GET /statistics/devices`
    Statistics,
    /// `GET /statistics/service`
    ServiceStatistics,
    /// `GET /otadeck/usage`: what is spent of the day. No real hub has it.
    Usage,
    /// `GET /packages/`
    PackageIndex,
    /// `GET /packages/{name}`
    Package(String),
}

/// A request, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) target: Target,
}

impl Call {
    /// Takes method and path apart. Steps are percent-decoded once; a trailing
    /// slash (the C# and Node packages send one) does not matter.
    ///
    /// # Errors
    /// 400 when there is no such operation, or the id is none.
    pub(super) fn read(method: &Method, uri: &Uri) -> Result<Self, Refusal> {
        let steps: Vec<String> = uri
            .path()
            .split('/')
            .filter(|step| !step.is_empty())
            .map(|step| percent_decode_str(step).decode_utf8_lossy().into_owned())
            .collect();
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let target = match (method.as_str(), &steps[..]) {
            ("GET", ["devices"]) => Target::List(top(uri)),
            ("POST", ["devices", "query"]) => Target::Query,
            ("GET", ["devices", id]) => Target::GetIdentity(device(id)?),
            ("PUT", ["devices", id]) => Target::PutIdentity(device(id)?),
            ("DELETE", ["devices", id]) => Target::DeleteIdentity(device(id)?),
            ("GET", ["twins", id]) => Target::GetTwin(device(id)?),
            ("PATCH", ["twins", id]) => Target::PatchTwin(device(id)?),
            ("PUT", ["twins", id]) => Target::PutTwin(device(id)?),
            ("POST", ["twins", id, "methods"]) => Target::Method(device(id)?),
            ("GET", ["statistics", "devices"]) => Target::Statistics,
            ("GET", ["statistics", "service"]) => Target::ServiceStatistics,
            ("GET", ["otadeck", "usage"]) => Target::Usage,
            ("GET" | "HEAD", ["packages"]) => Target::PackageIndex,
            ("GET" | "HEAD", ["packages", name]) => Target::Package((*name).to_owned()),
            (method, steps) => return Err(absent::refusal(method, steps, uri.path())),
        };
        Ok(Self { target })
    }

    /// The right that it takes.
    pub(super) fn right(&self) -> Right {
        match self.target {
            Target::List(_)
            | Target::GetIdentity(_)
            | Target::Statistics
            | Target::Usage
            | Target::ServiceStatistics => Right::RegistryRead,
            Target::PutIdentity(_) | Target::DeleteIdentity(_) => Right::RegistryWrite,
            _ => Right::ServiceConnect,
        }
    }

    /// The resource that a token has to cover.
    pub(super) fn path(&self) -> Vec<String> {
        let of = |kind: &str, id: &DeviceId| vec![kind.to_owned(), id.to_string()];
        match &self.target {
            Target::List(_) | Target::Query => vec!["devices".to_owned()],
            Target::GetIdentity(id) | Target::PutIdentity(id) | Target::DeleteIdentity(id) => {
                of("devices", id)
            }
            Target::GetTwin(id)
            | Target::PatchTwin(id)
            | Target::PutTwin(id)
            | Target::Method(id) => of("twins", id),
            _ => Vec::new(),
        }
    }

    /// What it counts as, with a body of so many bytes.
    pub(super) fn operation(&self, bytes: usize) -> Operation {
        match self.target {
            Target::GetTwin(_) => Operation::TwinRead,
            Target::PatchTwin(_) | Target::PutTwin(_) => Operation::TwinUpdate,
            Target::Method(_) => Operation::method(bytes),
            Target::Query => Operation::Query,
            _ => Operation::Registry,
        }
    }

    /// Does it count among the day's messages? Methods are billed by the world:
    /// their answers come from elsewhere.
    pub(super) fn is_billed(&self) -> bool {
        matches!(
            self.target,
            Target::GetTwin(_)
                | Target::PatchTwin(_)
                | Target::PutTwin(_)
                | Target::Method(_)
                | Target::Query
        )
    }

    /// The bytes that are billed when it went well: what was written, or read.
    pub(super) fn billed(&self, asked: usize, answered: usize) -> Option<usize> {
        match self.target {
            Target::PatchTwin(_) | Target::PutTwin(_) => Some(asked),
            Target::GetTwin(_) | Target::Query => Some(answered),
            _ => None,
        }
    }

    /// What faults know it as.
    pub(super) fn route(&self) -> Route {
        match self.target {
            Target::GetTwin(_) => Route::TwinRead,
            Target::PatchTwin(_) | Target::PutTwin(_) => Route::TwinWrite,
            Target::Method(_) => Route::Method,
            Target::Query => Route::Query,
            Target::Package(_) | Target::PackageIndex => Route::Package,
            _ => Route::Registry,
        }
    }

    /// The device that it is about.
    pub(super) fn device(&self) -> Option<&DeviceId> {
        match &self.target {
            Target::GetIdentity(id)
            | Target::PutIdentity(id)
            | Target::DeleteIdentity(id)
            | Target::GetTwin(id)
            | Target::PatchTwin(id)
            | Target::PutTwin(id)
            | Target::Method(id) => Some(id),
            _ => None,
        }
    }

    /// How its errors are wrapped.
    pub(super) fn envelope(&self) -> Envelope {
        match self.target {
            Target::Method(_) => Envelope::Nested,
            _ => Envelope::Named,
        }
    }
}

fn device(id: &str) -> Result<DeviceId, Refusal> {
    DeviceId::parse(id)
        .map_err(|problem| Refusal::new(Code::IotHubFormatError, problem.to_string()))
}

fn top(uri: &Uri) -> Option<usize> {
    let mut pairs = uri.query()?.split('&');
    pairs
        .find_map(|pair| pair.strip_prefix("top="))?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, uri: &str) -> Result<Target, Code> {
        let method = method.parse().unwrap();
        let call = Call::read(&method, &uri.parse().unwrap());
        call.map(|call| call.target).map_err(|refusal| refusal.code)
    }

    fn id(text: &str) -> DeviceId {
        DeviceId::parse(text).unwrap()
    }

    #[test]
    fn paths() {
        let v = "api-version=2021-04-12";
        assert_eq!(
            read("GET", &format!("/devices/?top=5&{v}")),
            Ok(Target::List(Some(5)))
        );
        assert_eq!(read("GET", "/devices"), Ok(Target::List(None)));
        assert_eq!(
            read("POST", &format!("/devices/query?{v}")),
            Ok(Target::Query)
        );
        assert_eq!(read("POST", "/devices/query/"), Ok(Target::Query));
        assert_eq!(
            read("GET", "/devices/query"),
            Ok(Target::GetIdentity(id("query")))
        );
        assert_eq!(
            read("PATCH", "/twins/a%23b%2525"),
            Ok(Target::PatchTwin(id("a#b%25")))
        );
        assert_eq!(
            read("POST", "/twins/a%3bb/methods"),
            Ok(Target::Method(id("a;b")))
        );
        assert_eq!(
            read("HEAD", "/packages/x"),
            Ok(Target::Package("x".to_owned()))
        );
        assert_eq!(read("GET", "/twins/a%2Fb"), Err(Code::IotHubFormatError));
        assert_eq!(read("POST", "/twins/a"), Err(Code::InvalidOperation));
        assert_eq!(read("GET", "/"), Err(Code::InvalidOperation));
    }
}
