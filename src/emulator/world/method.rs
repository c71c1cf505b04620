//! Direct methods: asked, waiting, sent, answered.
//!
//! Rules and refusals: "Understand and invoke direct methods from IoT Hub" in
//! `MicrosoftDocs/azure-docs` (`articles/iot-hub/iot-hub-devguide-direct-methods.md`);
//! texts as quoted in `Azure/azure-iot-sdk-csharp` issues 724 and 3442 and
//! `Azure/azure-iot-sdk-java` issue 640.
//!
//! Unconfirmed, and chosen here: an absent payload arrives as `null`; so many
//! calls at once for one device as there are (403800 has no published number);
//! a payload above 128 KB is 413001; a device's answer above it ends its link,
//! as too large an event does, so that the caller gets 404104: the method may
//! have run, which 413 would deny.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::session::{LinkId, Topic};
use super::{Due, Output, World};
use crate::domain::id::DeviceId;
use crate::domain::method::MethodAnswer;
use crate::emulator::refusal::{Code, Refusal};

/// The largest payload, each way, in bytes.
pub const PAYLOAD: usize = 128 * 1024;
/// The response timeout when none is given, in seconds.
const RESPONSE: i64 = 30;

/// One call; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(u64);

impl std::fmt::Display for CallId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl std::str::FromStr for CallId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// What a caller asks for.
#[derive(Clone, PartialEq)]
pub struct MethodRequest {
    /// Which method.
    pub name: String,
    /// What it gets; absent is `null`.
    pub payload: Value,
    /// How long the device may take to answer: 5 to 300 s.
    pub response_timeout: SignedDuration,
    /// How long to wait for the device to connect: 0 to 300 s, at most the
    /// response timeout.
    pub connect_timeout: SignedDuration,
}

impl std::fmt::Debug for MethodRequest {
    // A payload may hold a signed URI.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MethodRequest")
            .field("name", &self.name)
            .field("response_timeout", &self.response_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

impl MethodRequest {
    /// Reads the body of a call; numbers may be texts (the command line sends
    /// them so).
    ///
    /// # Errors
    /// 400 `ArgumentInvalid` when a rule is broken, 413 for too large a payload.
    pub fn read(body: &Map<String, Value>) -> Result<Self, Refusal> {
        let name = match body.get("methodName") {
            Some(Value::String(name)) if !name.is_empty() => name.clone(),
            _ => return Err(Refusal::new(Code::ArgumentNull, "methodName is missing.")),
        };
        if !name.chars().all(in_method_name) || name.len() > 128 {
            return Err(Refusal::argument(
                "methodName holds a character that is not allowed, or is too long.",
            ));
        }
        let response = seconds(body, "responseTimeoutInSeconds")?.unwrap_or(RESPONSE);
        let connect = seconds(body, "connectTimeoutInSeconds")?.unwrap_or(0);
        in_range("responseTimeoutInSeconds", response, 5)?;
        in_range("connectTimeoutInSeconds", connect, 0)?;
        if connect > response {
            return Err(Refusal::argument(
                "connectTimeoutInSeconds must not be greater than responseTimeoutInSeconds.",
            ));
        }
        let payload = body.get("payload").cloned().unwrap_or(Value::Null);
        if size(&payload) > PAYLOAD {
            return Err(Refusal::new(
                Code::MessageTooLarge,
                format!("The payload exceeds the maximum of {PAYLOAD} bytes."),
            ));
        }
        Ok(Self {
            name,
            payload,
            response_timeout: SignedDuration::from_secs(response),
            connect_timeout: SignedDuration::from_secs(connect),
        })
    }
}

fn in_method_name(c: char) -> bool {
    c.is_ascii_graphic() && !"$()<>@,;:\\\"/[]?={}#+".contains(c)
}

fn seconds(body: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refusal> {
    let number = match body.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    let number = number.ok_or_else(|| Refusal::argument(format!("{name} is no whole number.")))?;
    Ok(Some(number))
}

fn in_range(name: &str, seconds: i64, least: i64) -> Result<(), Refusal> {
    match (least..=300).contains(&seconds) {
        true => Ok(()),
        false => Err(Refusal::argument(format!(
            "{name} must be within [{least}; 300]."
        ))),
    }
}

/// How many direct methods there were for one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MethodCounts {
    /// Well-formed calls that arrived at the hub.
    pub asked: u64,
    /// Sent to the device.
    pub delivered: u64,
    /// Answered by it in time.
    pub answered: u64,
}

/// A call that is not over.
#[derive(Clone, Debug)]
pub(super) struct Call {
    device: DeviceId,
    request: MethodRequest,
    pub(super) due: Timestamp,
    /// The link it was sent over; `None` while it waits for the device.
    sent: Option<LinkId>,
}

impl World {
    /// Asks a device something. [`Output::Answered`] tells the end, unless it
    /// is refused here.
    ///
    /// # Errors
    /// 403002 when the day is spent; 404001 when there is no such device or it is disabled; 404103 when it is
    /// not connected or listens to no methods, and the caller would not wait.
    pub fn begin_method(
        &mut self,
        id: &DeviceId,
        request: MethodRequest,
        now: Timestamp,
    ) -> Result<CallId, Refusal> {
        self.day_allows(now)?;
        self.count(id).asked += 1;
        if !self.is_enabled(id) {
            return Err(Refusal::new(Code::DeviceNotFound, "Not registered"));
        }
        // To a device that is away too.
        self.bill(size(&request.payload), now);
        let online = self.device(id)?.session.listener(Topic::Methods).is_some();
        if !online && request.connect_timeout.is_zero() {
            return Err(not_online(&request));
        }
        let call = CallId(self.number());
        let due = now + request.connect_timeout;
        self.remember_call(call);
        self.due.insert((due, Due::Call(call)));
        self.calls.insert(
            call,
            Call {
                device: id.clone(),
                request,
                due,
                sent: None,
            },
        );
        self.device_mut(id)?.session.calls.push(call);
        self.deliver_waiting(id, now);
        Ok(call)
    }

    /// Takes a device's answer in. `false` when it is no answer to an open call
    /// of this device: too late, twice, or another's.
    pub fn answer_method(
        &mut self,
        from: &DeviceId,
        call: CallId,
        answer: MethodAnswer,
        now: Timestamp,
    ) -> bool {
        let open = self.calls.get(&call);
        if !open.is_some_and(|c| c.device == *from && c.sent.is_some()) {
            return false;
        }
        self.count(from).answered += 1;
        self.bill(size(&answer.payload), now);
        self.finish(call, Ok(answer));
        true
    }

    /// Sends what waits for `id`, if it is there to listen.
    pub(super) fn deliver_waiting(&mut self, id: &DeviceId, now: Timestamp) {
        let Some(session) = self.devices.get(id).map(|device| &device.session) else {
            return;
        };
        let Some(link) = session.listener(Topic::Methods) else {
            return;
        };
        for number in session.calls.clone() {
            if self.calls.get(&number).is_none_or(|c| c.sent.is_some()) {
                continue;
            }
            self.remember_call(number);
            let Some(call) = self.calls.get_mut(&number) else {
                continue;
            };
            self.due.remove(&(call.due, Due::Call(number)));
            call.sent = Some(link);
            call.due = now + call.request.response_timeout;
            self.due.insert((call.due, Due::Call(number)));
            self.outputs.push(Output::Method {
                link,
                call: number,
                name: call.request.name.clone(),
                payload: call.request.payload.clone(),
            });
            self.count(id).delivered += 1;
        }
    }

    /// The device's connection ended: what was sent over it has no answer.
    pub(super) fn lose_calls(&mut self, id: &DeviceId) {
        for number in self.calls_of(id) {
            if self.calls.get(&number).is_some_and(|c| c.sent.is_some()) {
                let refusal = Refusal::new(
                    Code::DeviceConnectionClosedRemotely,
                    "Device disconnected while it was handling the method.",
                );
                self.finish(number, Err(refusal.with_info(json!({}))));
            }
        }
    }

    /// Ends all calls of a device that is gone.
    pub(super) fn fail_calls(&mut self, id: &DeviceId, refusal: Refusal) {
        for number in self.calls_of(id) {
            self.finish(number, Err(refusal.clone()));
        }
    }

    pub(super) fn call_is_due(&mut self, number: CallId) {
        let Some(call) = self.calls.get(&number) else {
            return;
        };
        let refusal = match call.sent {
            None => not_online(&call.request),
            Some(_) => Refusal::new(
                Code::GatewayTimeout,
                "Timed out waiting for the response from device.",
            )
            .with_info(json!({})),
        };
        self.finish(number, Err(refusal));
    }

    fn count(&mut self, id: &DeviceId) -> &mut MethodCounts {
        self.remember_counts(id);
        self.counts.entry(id.clone()).or_default()
    }

    fn calls_of(&self, id: &DeviceId) -> Vec<CallId> {
        let device = self.devices.get(id);
        device.map_or_else(Vec::new, |device| device.session.calls.clone())
    }

    fn finish(&mut self, number: CallId, result: Result<MethodAnswer, Refusal>) {
        self.remember_call(number);
        let Some(call) = self.calls.remove(&number) else {
            return;
        };
        self.remember_device(&call.device);
        self.due.remove(&(call.due, Due::Call(number)));
        if let Some(device) = self.devices.get_mut(&call.device) {
            device.session.calls.retain(|other| *other != number);
        }
        self.outputs.push(Output::Answered {
            call: number,
            result,
        });
    }
}

/// The bytes of a payload; none for one that is absent.
fn size(payload: &Value) -> usize {
    match payload {
        Value::Null => 0,
        payload => payload.to_string().len(),
    }
}

fn not_online(request: &MethodRequest) -> Refusal {
    let seconds = request.connect_timeout.as_secs();
    let timeout = format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    Refusal::new(
        Code::DeviceNotOnline,
        "The operation failed because the requested device isn't online or hasn't registered \
         the direct method callback. To learn more, see https://aka.ms/iothub404103",
    )
    .with_info(json!({"timeout": timeout}))
}
