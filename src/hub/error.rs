//! What can go wrong with a call, and whether anything was done then.
//!
//! IoT Hub has three error envelopes (observed bodies in public issue threads of
//! the Azure IoT SDKs, and Microsoft's published test recordings):
//!
//! ```text
//! (a) {"Message":"ErrorCode:DeviceNotFound;<text>","ExceptionMessage":"Tracking ID:…"}
//! (b) {"Message":"{\"errorCode\":404103,\"message\":\"…\",…}","ExceptionMessage":""}
//! (c) {"errorCode":409301,"trackingId":"…","message":"…","timestampUtc":"…"}
//! ```
//!
//! The header `iothub-errorcode` carries the symbolic name and is the most
//! reliable of all, so the name is preferred over the number.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;

use crate::domain::clean;
use crate::domain::problem::{Kind, Problem};
use crate::domain::skew;

pub use super::az::AzError;
use super::sign_in::Who;

/// Did the order reach the device, or the tag the twin?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It surely did not.
    No,
    /// Nobody knows: it may have run.
    Unknown,
}

/// What keeps a connection from being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The name is not known.
    Name,
    /// Refused, no way there, or nobody answers.
    Network,
    /// The TLS handshake broke off.
    Handshake,
    /// The certificate is signed by nobody whom we trust.
    Issuer,
    /// The certificate is another host's.
    OtherHost,
    /// The certificate is not valid yet, or any more.
    Dates,
    /// TLS failed in another way.
    Tls,
    /// The proxy wants a sign-in.
    ProxySignIn,
    /// The proxy does not let us through, or is not there itself.
    Proxy,
}

impl Obstacle {
    fn kind(self) -> Kind {
        match self {
            Self::Name | Self::Network | Self::Handshake => Kind::Unreachable,
            Self::Issuer | Self::OtherHost | Self::Dates | Self::Tls => Kind::Tls,
            Self::ProxySignIn | Self::Proxy => Kind::Proxy,
        }
    }

    /// May it be gone by itself after a while?
    fn is_passing(self) -> bool {
        matches!(
            self,
            Self::Name | Self::Network | Self::Handshake | Self::Proxy
        )
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Name => {
                "Nothing was sent. Check the hub's name (in the connection string, or host in the \
                 configuration): there may be no such hub. Or this machine's DNS is away."
            }
            Self::Network => {
                "Nothing was sent. Check the hub's name, the network, and HTTPS_PROXY."
            }
            Self::Handshake => {
                "Nothing was sent. Whatever stands between here and the hub ended the connection; \
                 a firewall may do so to TLS."
            }
            Self::Issuer => {
                "Nothing was sent. The certificate is not trusted. For a hub with a CA of its own \
                 set ca_file or OTADECK_CA_FILE; otherwise something is intercepting the \
                 connection: a network that wants a sign-in first, or a proxy that opens TLS, \
                 whose CA goes into ca_file if you trust it."
            }
            Self::OtherHost => {
                "Nothing was sent. Something else answers in the hub's place: a network that wants \
                 a sign-in first (open any page in a browser), or a name that leads elsewhere."
            }
            Self::Dates => {
                "Nothing was sent. Either the certificate is over, or this machine's clock is \
                 wrong: compare it (timedatectl)."
            }
            Self::Tls => "Nothing was sent. Is this the hub's address and port?",
            Self::ProxySignIn => {
                "Nothing was sent. Put user and password into HTTPS_PROXY, with an @ before its host, \
                 or name the hub in NO_PROXY if it can be reached without the proxy."
            }
            Self::Proxy => {
                "Nothing was sent. Ask whoever runs the proxy whether it lets the hub through; \
                 HTTPS_PROXY names it, and NO_PROXY the hosts that need none."
            }
        }
    }
}

/// What came instead of an answer to a call.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HubError {
    /// No connection was made, so nothing was sent.
    #[error("no connection to {host}: {cause}")]
    Connect {
        /// Where to.
        host: String,
        /// Why not.
        cause: String,
        /// What stood in the way.
        obstacle: Obstacle,
    },
    /// The request went out, at least in part, and no whole answer came back.
    #[error("no answer from {host}: {cause}")]
    NoAnswer {
        /// Where from.
        host: String,
        /// What happened instead.
        cause: String,
    },
    /// The hub, or something on the way to it, answered with an error.
    #[error("{0}")]
    Answered(Box<Refusal>),
    /// The answer is a success, but not one of IoT Hub's.
    #[error("an answer that is not IoT Hub's: {0}")]
    Unreadable(String),
    /// What was to be sent cannot be: nothing was.
    #[error("{0}")]
    Unsendable(String),
    /// The client could not be made ready: a CA file for example.
    #[error("{0}")]
    Setup(String),
    /// There is no token to send: nothing was.
    #[error("{0}")]
    SignIn(AzError),
}

/// An answer with an error status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// IoT Hub's number, 404103 for example; absent when the answer is not
    /// in any of its envelopes.
    pub code: Option<u32>,
    /// IoT Hub's name for it, `DeviceNotOnline` for example.
    pub name: Option<String>,
    /// The hub's words, harmless and bounded.
    pub message: String,
    /// What Microsoft's support asks for.
    pub tracking_id: Option<String>,
    /// The wait that a 429 names in its text; IoT Hub sends no `Retry-After`.
    pub wait: Option<Duration>,
    /// With a 401: the hub's clock less ours, if that was measured.
    pub skew: Option<SignedDuration>,
    /// Whom the hub had before it.
    pub who: Option<Who>,
}

/// What to do about a clock that is far off, when a token is refused.
const CLOCK: &str = "Set this machine's clock first (timedatectl set-ntp true): a token is good \
                     for a time only.";

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        if let Some(code) = self.code {
            write!(f, " ({code})")?;
        }
        if self.message.is_empty() {
            return Ok(());
        }
        // It stands inside other sentences, so it ends none.
        let message = match self.message.strip_suffix('.') {
            Some(rest) if !rest.is_empty() && !rest.ends_with('.') => rest,
            _ => &self.message,
        };
        write!(f, ": {message}")
    }
}

impl Refusal {
    /// Reads an error answer: its status, the header `iothub-errorcode` and
    /// the body in any of the three envelopes, or in none.
    #[must_use]
    pub fn read(status: u16, header: Option<&str>, body: &[u8]) -> Self {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let outer = json.as_ref().and_then(Value::as_object);
        let text = |key: &str| outer.and_then(|o| o.get(key)).and_then(Value::as_str);
        let nested: Option<Value> = text("Message").and_then(|m| serde_json::from_str(m).ok());
        let inner = nested.as_ref().or(json.as_ref());
        let inner_text = |key: &str| inner.and_then(|v| v.get(key)).and_then(Value::as_str);

        let mut code = inner
            .and_then(|v| v.get("errorCode"))
            .and_then(Value::as_u64)
            .and_then(|n| u32::try_from(n).ok());
        let mut name = header.map(str::trim).filter(|h| !h.is_empty());
        let mut message = inner_text("message").unwrap_or_default();
        if code.is_none()
            && let Some(rest) = text("Message").and_then(|m| m.strip_prefix("ErrorCode:"))
        {
            let (symbol, words) = rest.split_once(';').unwrap_or((rest, ""));
            name = name.or(Some(symbol.trim()));
            message = words;
        } else if code.is_none() && message.is_empty() {
            message = text("Message").unwrap_or_default();
        }
        match name.and_then(code_of) {
            Some(by_name) => code = Some(by_name),
            None => name = name.or_else(|| code.and_then(name_of)),
        }
        Self {
            status,
            code,
            name: name.map(|n| clean::line(n, 60)),
            message: match outer {
                Some(_) => clean::line(message.trim(), 300),
                None => clean::line(String::from_utf8_lossy(body).trim(), 120),
            },
            tracking_id: inner_text("trackingId")
                .or_else(|| text("ExceptionMessage"))
                .filter(|t| !t.is_empty())
                .map(|t| clean::line(t.trim_start_matches("Tracking ID:"), 120)),
            wait: (status == 429).then(|| wait_in(message)).flatten(),
            skew: None,
            who: None,
        }
    }

    /// Is this one of IoT Hub's own answers, by envelope or header?
    fn is_the_hubs(&self) -> bool {
        self.code.is_some() || self.name.is_some()
    }

    /// Whether a method call that got this answer reached the device.
    fn delivery(&self) -> Delivery {
        match (self.status, self.code) {
            (_, Some(404_104)) => Delivery::Unknown,
            (400 | 401 | 403 | 405 | 407 | 412 | 413 | 429, _) => Delivery::No,
            (404, Some(404_001 | 404_010 | 404_103)) => Delivery::No,
            (409 | 415, _) if self.is_the_hubs() => Delivery::No,
            _ => Delivery::Unknown,
        }
    }

    fn kind(&self) -> Kind {
        match (self.status, self.code) {
            (_, Some(404_001 | 404_010)) => Kind::NoSuchDevice,
            (_, Some(404_103 | 404_104)) => Kind::DeviceOffline,
            (_, Some(403_002 | 403_800)) | (429, _) => Kind::Throttled,
            (_, Some(403_010)) => Kind::BadRequest,
            (407, _) => Kind::Proxy,
            (401 | 403, _) => Kind::Unauthorized,
            (408, _) | (500.., _) => Kind::Server,
            (300..=399, _) => Kind::Protocol,
            _ if self.is_the_hubs() => Kind::BadRequest,
            _ => Kind::Protocol,
        }
    }

    /// What to do, which may depend on who was refused.
    fn advice(&self) -> String {
        let by_name = match (self.kind(), self.code) {
            (Kind::Unauthorized, Some(401_001 | 403_001)) => None,
            (Kind::Unauthorized, _) => self.who.as_ref().map(Who::hint),
            _ => None,
        };
        by_name.unwrap_or_else(|| self.hint().to_owned())
    }

    fn hint(&self) -> &'static str {
        match (self.kind(), self.code) {
            (Kind::NoSuchDevice, _) => {
                "Check the spelling: device ids are case-sensitive. A disabled device looks the same."
            }
            (Kind::DeviceOffline, Some(404_104)) => {
                "The device dropped the connection during the call; it may have got the order."
            }
            (Kind::DeviceOffline, _) => {
                "Nothing was delivered. Start it again when the device is connected."
            }
            (Kind::Throttled, Some(403_002)) => {
                "Nothing was done. Until midnight UTC the hub takes no twins, methods or queries, \
                 nor its devices' messages. Whoever manages it can add units, which raise the \
                 limit."
            }
            (Kind::Throttled, Some(403_800)) => "Too many method calls wait for this device.",
            (_, Some(403_010)) => "The basic tiers have no twins and no direct methods.",
            (Kind::Throttled, _) => "The hub is busy with too many requests; slow down.",
            (Kind::Unauthorized, Some(401_001)) => {
                "Nothing was done. There is no such hub at this address: check its name, and with \
                 whoever manages it that it was not deleted."
            }
            (Kind::Unauthorized, Some(403_001)) => {
                "Nothing was done. The hub is suspended, as happens to a subscription that is not \
                 paid or has ended. Whoever manages the subscription can lift that."
            }
            (Kind::Unauthorized, _) => {
                "Check the key and the policy's rights: reading devices and calling methods \
                 needs ServiceConnect ('service' has it)."
            }
            (Kind::Proxy, _) => Obstacle::ProxySignIn.hint(),
            (Kind::Protocol, _) => {
                "Something between here and the hub answered in its place; is this the hub's address?"
            }
            _ => "",
        }
    }
}

/// The wait that a throttling text names: `Wait 10 seconds and try again`.
fn wait_in(message: &str) -> Option<Duration> {
    let rest = &message[message.find("Wait ")? + 5..];
    let digits: &str = rest.split(' ').next()?;
    let seconds: u64 = digits.parse().ok()?;
    Some(Duration::from_secs(seconds.min(3_600)))
}

impl HubError {
    /// Whether a method call that ended so reached the device, or the write of a
    /// tag the twin.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        match self {
            Self::Connect { .. } | Self::Setup(_) | Self::Unsendable(_) | Self::SignIn(_) => {
                Delivery::No
            }
            Self::NoAnswer { .. } | Self::Unreadable(_) => Delivery::Unknown,
            Self::Answered(refusal) => refusal.delivery(),
        }
    }

    /// What kind of problem it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Connect { obstacle, .. } => obstacle.kind(),
            Self::NoAnswer { .. } => Kind::Server,
            Self::Unreadable(_) | Self::Unsendable(_) => Kind::Protocol,
            Self::Setup(_) => Kind::Tls,
            Self::SignIn(error) => error.kind(),
            Self::Answered(refusal) => refusal.kind(),
        }
    }

    /// Was something to be written only if nobody else had written meanwhile, and
    /// somebody had? Then nothing was written.
    #[must_use]
    pub fn is_outrun(&self) -> bool {
        matches!(self, Self::Answered(refusal) if refusal.status == 412)
    }

    /// May the call be made again without harm and with some hope? Throttling
    /// and refused connections pass; a wrong key does not.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        if let Self::Connect { obstacle, .. } = self {
            return obstacle.is_passing();
        }
        matches!(
            self.kind(),
            Kind::Throttled | Kind::Unreachable | Kind::Server
        ) && !matches!(self, Self::Answered(refusal) if refusal.code == Some(403_002))
    }

    /// Is it a matter of the whole hub, so that a call about another device would
    /// end the same?
    #[must_use]
    pub fn is_of_the_hub(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::NoAnswer { .. } | Self::Setup(_) | Self::SignIn(_) => true,
            Self::Unreadable(_) | Self::Unsendable(_) => false,
            Self::Answered(refusal) => match (self.kind(), refusal.code) {
                // The device's own: disabled, its queue or its throttle full.
                (_, Some(403_004 | 403_012 | 403_800 | 429_005)) => false,
                (_, Some(403_010)) => true,
                (kind, _) => matches!(
                    kind,
                    Kind::Unauthorized | Kind::Throttled | Kind::Proxy | Kind::Server
                ),
            },
        }
    }

    /// Does the hub bill a request that ended so? It does when it has worked on it.
    #[must_use]
    pub fn is_billed(&self) -> bool {
        match self {
            Self::Answered(_) => !matches!(self.kind(), Kind::Throttled | Kind::Unauthorized),
            Self::NoAnswer { .. } | Self::Unreadable(_) => true,
            Self::Connect { .. } | Self::Setup(_) | Self::Unsendable(_) | Self::SignIn(_) => false,
        }
    }

    /// The wait that the hub asked for, if it did.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Answered(refusal) => refusal.wait,
            _ => None,
        }
    }

    /// The same in words: `title` says what did not work.
    #[must_use]
    pub fn problem(&self, title: impl Into<String>) -> Problem {
        let hint = match self {
            Self::Connect { obstacle, .. } => obstacle.hint().to_owned(),
            Self::NoAnswer { .. } => String::new(),
            Self::Unreadable(_) => "Is this the hub's address?".to_owned(),
            Self::Setup(_) | Self::Unsendable(_) => "Nothing was sent.".to_owned(),
            Self::SignIn(error) => error.hint().to_owned(),
            Self::Answered(refusal) => refusal.advice(),
        };
        let cause = match self {
            Self::Answered(refusal) if refusal.code == Some(404_103) => {
                "the device is not connected, or does not listen for methods \
                 (404 DeviceNotOnline, 404103)"
                    .to_owned()
            }
            _ => self.to_string(),
        };
        let mut problem = Problem::new(self.kind(), title, cause).hint(hint.as_str());
        if let Self::Answered(refusal) = self {
            problem.code = refusal.code;
            if let Some(offset) = refusal.skew.filter(|o| o.abs() > skew::BLAMED) {
                problem.cause = format!("{}; {}", problem.cause, skew::words(offset));
                problem.hint = format!("{CLOCK} {hint}");
            }
        }
        problem
    }
}

/// Numbers and names of IoT Hub's errors.
///
/// Source: `MicrosoftDocs/azure-docs` `articles/iot-hub/troubleshoot-error-codes.md`
/// (2026-01) and the error enumeration of the Azure IoT C# service SDK.
const CODES: [(u32, &str); 49] = [
    (400_000, "GenericBadRequest"),
    (400_001, "InvalidProtocolVersion"),
    (400_003, "InvalidOperation"),
    (400_004, "ArgumentInvalid"),
    (400_005, "ArgumentNull"),
    (400_006, "IotHubFormatError"),
    (400_011, "DeviceDefinedMultipleTimes"),
    (400_012, "DeserializationError"),
    (400_013, "BulkRegistryOperationFailure"),
    (400_023, "EtagDoesNotMatch"),
    (400_027, "ConnectionForcefullyClosedOnNewConnection"),
    (401_000, "GenericUnauthorized"),
    (401_001, "IotHubNotFound"),
    (401_002, "IotHubUnauthorizedAccess"),
    (401_003, "IotHubUnauthorized"),
    (403_001, "IotHubSuspended"),
    (403_002, "IotHubQuotaExceeded"),
    (403_003, "JobQuotaExceeded"),
    (403_004, "DeviceMaximumQueueDepthExceeded"),
    (403_010, "OperationNotAvailableInCurrentTier"),
    (403_012, "DeviceDisabled"),
    (403_800, "DeviceMaximumInflightMethodExceeded"),
    (404_001, "DeviceNotFound"),
    (404_002, "JobNotFound"),
    (404_010, "ModuleNotFound"),
    (404_103, "DeviceNotOnline"),
    (404_104, "DeviceConnectionClosedRemotely"),
    (404_301, "ConfigurationNotFound"),
    (405_102, "OperationNotAllowedInCurrentState"),
    (409_001, "DeviceAlreadyExists"),
    (409_002, "LinkCreationConflict"),
    (409_104, "JobAlreadyExists"),
    (409_301, "ModuleAlreadyExistsOnDevice"),
    (412_001, "PreconditionFailed"),
    (412_002, "DeviceMessageLockLost"),
    (413_001, "MessageTooLarge"),
    (429_000, "GenericTooManyRequests"),
    (429_001, "ThrottlingException"),
    (429_002, "ThrottleBacklogLimitExceeded"),
    (429_003, "ThrottlingBacklogTimeout"),
    (429_004, "ThrottlingMaxActiveJobCountExceeded"),
    (429_005, "DeviceThrottlingLimitExceeded"),
    (500_001, "ServerError"),
    (500_008, "GenericTimeout"),
    (502_000, "GenericBadGateway"),
    (503_001, "ServiceUnavailable"),
    (503_005, "ServerBusy"),
    (503_102, "DeviceUnavailable"),
    (504_101, "GatewayTimeout"),
];

fn code_of(name: &str) -> Option<u32> {
    CODES
        .iter()
        .find(|(_, n)| *n == name)
        .map(|(code, _)| *code)
}

fn name_of(code: u32) -> Option<&'static str> {
    CODES
        .iter()
        .find(|(c, _)| *c == code)
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, header: Option<&str>, body: &str) -> Refusal {
        Refusal::read(status, header, body.as_bytes())
    }

    #[rstest::rstest]
    // (a), with and without the header
    #[case(
        404,
        None,
        r#"{"Message":"ErrorCode:DeviceNotFound;d1","ExceptionMessage":"Tracking ID:06-G:0"}"#,
        Some(404_001),
        "d1",
        Kind::NoSuchDevice,
        Delivery::No
    )]
    #[case(
        401,
        Some("IotHubUnauthorizedAccess"),
        r#"{"Message":"ErrorCode:IotHubUnauthorizedAccess;Unauthorized","ExceptionMessage":""}"#,
        Some(401_002),
        "Unauthorized",
        Kind::Unauthorized,
        Delivery::No
    )]
    #[case(429, Some("ThrottlingBacklogTimeout"), r#"{"Message":"ErrorCode:ThrottlingBacklogTimeout;The request has been throttled. Wait 10 seconds and try again.","ExceptionMessage":""}"#, Some(429_003), "The request has been throttled. Wait 10 seconds and try again.", Kind::Throttled, Delivery::No)]
    // (b), also with its keys in another order
    #[case(404, Some("DeviceNotOnline"), r#"{"Message":"{\"errorCode\":404103,\"message\":\"not online\",\"trackingId\":\"t\",\"info\":null}","ExceptionMessage":""}"#, Some(404_103), "not online", Kind::DeviceOffline, Delivery::No)]
    #[case(504, None, r#"{"ExceptionMessage":"","Message":"{\"trackingId\":\"t\",\"errorCode\":504101,\"message\":\"Timed out\"}"}"#, Some(504_101), "Timed out", Kind::Server, Delivery::Unknown)]
    #[case(
        404,
        None,
        r#"{"Message":"{\"errorCode\":404104,\"message\":\"closed\"}","ExceptionMessage":""}"#,
        Some(404_104),
        "closed",
        Kind::DeviceOffline,
        Delivery::Unknown
    )]
    // (c)
    #[case(
        404,
        None,
        r#"{"errorCode":404103,"trackingId":"9-G:22","message":"Device not online.","info":{}}"#,
        Some(404_103),
        "Device not online.",
        Kind::DeviceOffline,
        Delivery::No
    )]
    // the name wins over the number
    #[case(
        403,
        Some("IotHubQuotaExceeded"),
        r#"{"errorCode":403001,"message":"spent"}"#,
        Some(403_002),
        "spent",
        Kind::Throttled,
        Delivery::No
    )]
    // not the hub's
    #[case(
        503,
        None,
        "<html>upstream</html>",
        None,
        "<html>upstream</html>",
        Kind::Server,
        Delivery::Unknown
    )]
    #[case(
        404,
        None,
        "not found",
        None,
        "not found",
        Kind::Protocol,
        Delivery::Unknown
    )]
    // IoT Hub redirects nobody: whoever did may have passed the order on
    #[case(307, None, "", None, "", Kind::Protocol, Delivery::Unknown)]
    #[case(408, None, "", None, "", Kind::Server, Delivery::Unknown)]
    #[case(407, None, "", None, "", Kind::Proxy, Delivery::No)]
    #[case(418, None, "", None, "", Kind::Protocol, Delivery::Unknown)]
    fn envelopes(
        #[case] status: u16,
        #[case] header: Option<&str>,
        #[case] body: &str,
        #[case] code: Option<u32>,
        #[case] message: &str,
        #[case] kind: Kind,
        #[case] delivery: Delivery,
    ) {
        let refusal = read(status, header, body);
        assert_eq!(refusal.code, code);
        assert_eq!(refusal.message, message);
        assert_eq!((refusal.kind(), refusal.delivery()), (kind, delivery));
    }

    #[test]
    fn the_wait_of_a_429_is_in_its_text() {
        let body = r#"{"Message":"ErrorCode:ThrottlingBacklogTimeout;Wait 10 seconds and try again.","ExceptionMessage":""}"#;
        let error = HubError::Answered(Box::new(read(429, None, body)));
        assert_eq!(error.wait(), Some(Duration::from_secs(10)));
        assert!(error.is_passing());
    }

    #[test]
    fn the_hubs_words_are_made_harmless() {
        let body = "{\"errorCode\":404103,\"message\":\"\\u001b[2J\\u202e\"}";
        assert_eq!(read(404, None, body).message, "\\u{1b}[2J\\u{202e}");
    }

    #[test]
    fn names_and_numbers_are_each_there_once() {
        for (code, name) in CODES {
            assert_eq!(code_of(name), Some(code));
            assert_eq!(name_of(code), Some(name));
        }
    }

    #[rstest::rstest]
    #[case("The hub cannot do this now. Please try again later.", "again later")]
    #[case("no full stop", "no full stop")]
    #[case("it goes on...", "it goes on...")]
    #[case(".", ": .")]
    fn a_refusal_in_words_ends_no_sentence(#[case] message: &str, #[case] end: &str) {
        let body = serde_json::json!({"errorCode": 500_001, "message": message});
        let refusal = read(500, None, &body.to_string());
        assert_eq!(refusal.message, message);
        assert!(refusal.to_string().ends_with(end), "{refusal}");
    }
}
