//! What the hub answers when it refuses, and the three envelopes it uses.
//!
//! Numbers and names: "Understand and resolve Azure IoT Hub errors" in
//! `MicrosoftDocs/azure-docs` (`articles/iot-hub/troubleshoot-error-codes.md`)
//! and the enumerations of the Azure IoT SDKs. The C# SDK believes a code only
//! when the number in the body and the name in the header agree, so both come
//! from one table here.

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::{Value, json};
use uuid::Uuid;

use super::stamp;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// Why the hub refuses: a number, a name and an HTTP status that agree.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All of them, by number.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The six digits, for example 404103.
            #[must_use]
            pub fn number(self) -> u32 {
                match self { $(Self::$name => $number,)* }
            }

            /// The name of the header `iothub-errorcode`, for example
            /// `DeviceNotOnline`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

codes! {
    /// The body is no JSON, or not the JSON that was asked for.
    GenericBadRequest = 400_000,
    /// An api-version that the hub does not know.
    InvalidProtocolVersion = 400_001,
    /// The call makes no sense to this hub.
    InvalidOperation = 400_003,
    /// A value out of its range, or a query that cannot be read.
    ArgumentInvalid = 400_004,
    /// Something needed is absent.
    ArgumentNull = 400_005,
    /// An id that cannot be one.
    IotHubFormatError = 400_006,
    /// A device stands twice in a bulk call.
    DeviceDefinedMultipleTimes = 400_011,
    /// The body does not fit the type.
    DeserializationError = 400_012,
    /// A bulk call failed in part.
    BulkRegistryOperationFailure = 400_013,
    /// The etag is another one.
    EtagDoesNotMatch = 400_023,
    /// A newer connection of the same device took its place.
    ConnectionForcefullyClosedOnNewConnection = 400_027,
    /// A configuration's target condition cannot be read.
    InvalidConfigurationTargetCondition = 400_401,
    /// A configuration's content cannot be read.
    InvalidConfigurationContent = 400_402,
    /// Not authorised, without a reason.
    GenericUnauthorized = 401_000,
    /// No hub of that name.
    IotHubNotFound = 401_001,
    /// A bad signature, another hub's token, or a policy without the right.
    IotHubUnauthorizedAccess = 401_002,
    /// No token, one that is none, or an expired one.
    IotHubUnauthorized = 401_003,
    /// The hub is suspended.
    IotHubSuspended = 403_001,
    /// The day's messages are used up.
    IotHubQuotaExceeded = 403_002,
    /// A second import or export job.
    JobQuotaExceeded = 403_003,
    /// Fifty messages wait for the device already.
    DeviceMaximumQueueDepthExceeded = 403_004,
    /// The tier has no twins or methods.
    OperationNotAvailableInCurrentTier = 403_010,
    /// The identity is disabled.
    DeviceDisabled = 403_012,
    /// Too many methods are in flight for the device.
    DeviceMaximumInflightMethodExceeded = 403_800,
    /// No such identity, or a disabled one where a device is needed.
    DeviceNotFound = 404_001,
    /// No such job.
    JobNotFound = 404_002,
    /// No such module.
    ModuleNotFound = 404_010,
    /// The device is not connected or listens to no methods.
    DeviceNotOnline = 404_103,
    /// The device's connection ended during the call.
    DeviceConnectionClosedRemotely = 404_104,
    /// The caller did not send its body in time.
    RequestTimeout = 408_000,
    /// No such configuration.
    ConfigurationNotFound = 404_301,
    /// A job that can no longer be cancelled.
    OperationNotAllowedInCurrentState = 405_102,
    /// A create of an identity that exists.
    DeviceAlreadyExists = 409_001,
    /// Two connections of one device at once.
    LinkCreationConflict = 409_002,
    /// A job of that name exists.
    JobAlreadyExists = 409_104,
    /// A module of that name exists.
    ModuleAlreadyExistsOnDevice = 409_301,
    /// A configuration of that name exists.
    ConfigurationAlreadyExists = 409_401,
    /// The etag is not the current one, or none was given where one is needed.
    PreconditionFailed = 412_001,
    /// The lock of a message is lost.
    DeviceMessageLockLost = 412_002,
    /// A job's condition cannot be run.
    JobRunPreconditionFailed = 412_003,
    /// More bytes than the hub takes.
    MessageTooLarge = 413_001,
    /// More devices than a call takes.
    TooManyDevices = 413_002,
    /// More modules than a device may have.
    TooManyModulesOnDevice = 413_003,
    /// More configurations than a hub may have.
    ConfigurationCountLimitExceeded = 413_101,
    /// Too many requests, without a reason.
    GenericTooManyRequests = 429_000,
    /// The operation's rate was exceeded for too long.
    ThrottlingException = 429_001,
    /// Too many requests wait in the queue of the throttled.
    ThrottleBacklogLimitExceeded = 429_002,
    /// A request waited too long in the queue of the throttled.
    ThrottlingBacklogTimeout = 429_003,
    /// No slot for another job is free.
    ThrottlingMaxActiveJobCountExceeded = 429_004,
    /// One device's rate was exceeded.
    DeviceThrottlingLimitExceeded = 429_005,
    /// The hub itself failed.
    ServerError = 500_001,
    /// The hub gave up waiting for a part of its own.
    GenericTimeout = 500_008,
    /// The hub's gateway got no sense out of the hub.
    GenericBadGateway = 502_000,
    /// The hub is down for now.
    ServiceUnavailable = 503_001,
    /// The hub has too much to do.
    ServerBusy = 503_005,
    /// The device cannot be reached.
    DeviceUnavailable = 503_102,
    /// The device did not answer a method in time.
    GatewayTimeout = 504_101,
}

impl Code {
    /// The code of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub fn http(self) -> u16 {
        u16::try_from(self.number() / 1_000).unwrap_or(500)
    }
}

/// A refusal in the hub's words.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// What kind.
    pub code: Code,
    /// The sentence in the body.
    pub message: String,
    /// `info` of the nested envelope, which direct methods have.
    pub info: Option<Value>,
}

/// Which of the hub's three ways an error is wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// `{"Message":"ErrorCode:Name;text","ExceptionMessage":"Tracking ID:…"}`:
    /// registry, twins and queries.
    Named,
    /// `{"Message":"{\"errorCode\":404103,…}","ExceptionMessage":""}`: direct
    /// methods.
    Nested,
    /// `{"errorCode":400004,…}`: answers over MQTT, where the Node device SDK
    /// looks for `errorCode` and `message`.
    Bare,
}

impl Refusal {
    /// A refusal without `info`.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            info: None,
        }
    }

    /// The same with `info`.
    #[must_use]
    pub fn with_info(mut self, info: Value) -> Self {
        self.info = Some(info);
        self
    }

    /// A value that the hub does not take.
    pub fn argument(message: impl Into<String>) -> Self {
        Self::new(Code::ArgumentInvalid, message)
    }

    /// No identity of that name.
    #[must_use]
    pub fn no_device(id: &str) -> Self {
        Self::new(Code::DeviceNotFound, id)
    }

    /// The body of the answer. `request` is the id of `x-ms-request-id`, of
    /// which the tracking id is made, as in the recordings of
    /// `Azure/azure-sdk-for-net`.
    #[must_use]
    pub fn body(&self, envelope: Envelope, request: Uuid, now: Timestamp) -> Value {
        let civil = Offset::UTC.to_datetime(now);
        let tracking = format!(
            "{}-G:0-TimeStamp:{}",
            request.simple(),
            civil.strftime("%m/%d/%Y %H:%M:%S")
        );
        match envelope {
            Envelope::Named => json!({
                "Message": format!("ErrorCode:{};{}", self.code.name(), self.message),
                "ExceptionMessage": format!("Tracking ID:{tracking}"),
            }),
            Envelope::Nested => json!({
                "Message": self.bare(&tracking, now).to_string(),
                "ExceptionMessage": "",
            }),
            Envelope::Bare => self.bare(&tracking, now),
        }
    }

    fn bare(&self, tracking: &str, now: Timestamp) -> Value {
        let mut body = json!({
            "errorCode": self.code.number(),
            "trackingId": tracking,
            "message": self.message,
        });
        if let Some(map) = body.as_object_mut() {
            if let Some(info) = &self.info {
                map.insert("info".to_owned(), info.clone());
            }
            map.insert("timestampUtc".to_owned(), stamp::text(now).into());
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_envelope_is_the_recorded_one() {
        let id: Uuid = "e4a9090f-bc2f-4a78-b13b-a7a01fb30ffe".parse().unwrap();
        let now: Timestamp = "2021-07-07T20:45:26Z".parse().unwrap();
        let body = Refusal::new(Code::PreconditionFailed, "text").body(Envelope::Named, id, now);
        assert_eq!(
            body.to_string(),
            r#"{"Message":"ErrorCode:PreconditionFailed;text","ExceptionMessage":"Tracking ID:e4a9090fbc2f4a78b13ba7a01fb30ffe-G:0-TimeStamp:07/07/2021 20:45:26"}"#
        );
    }

    #[test]
    fn the_nested_envelope_holds_json_in_a_string() {
        let now: Timestamp = "2019-10-10T01:48:31.0924129Z".parse().unwrap();
        let body = Refusal::new(Code::DeviceNotOnline, "no")
            .with_info(json!({"timeout": "00:00:00"}))
            .body(Envelope::Nested, Uuid::nil(), now);
        let inner: Value = serde_json::from_str(body["Message"].as_str().unwrap()).unwrap();
        let keys: Vec<&String> = inner.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            ["errorCode", "trackingId", "message", "info", "timestampUtc"]
        );
        assert_eq!(inner["errorCode"], 404_103);
        assert_eq!(inner["timestampUtc"], "2019-10-10T01:48:31.0924129Z");
        assert_eq!(body["ExceptionMessage"], "");
    }

    #[test]
    fn number_and_status_agree() {
        assert_eq!(Code::GatewayTimeout.http(), 504);
        assert_eq!(Code::DeviceNotOnline.http(), 404);
        assert_eq!(Code::DeviceNotOnline.name(), "DeviceNotOnline");
        for code in Code::ALL {
            assert_eq!(Code::named(code.name()), Some(*code));
            assert!((400..=504).contains(&code.http()), "{code:?}");
        }
    }
}
