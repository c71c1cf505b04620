//! Topics: those a device may use, and those the hub uses.
//!
//! Source: "Communicate with an IoT hub using the MQTT protocol" and
//! "Understand and use device twins" in `MicrosoftDocs/azure-docs`; spellings
//! as in the device SDKs of `Azure/azure-iot-sdk-node` and `-python`.

use percent_encoding::percent_decode_str;

use crate::domain::id::DeviceId;
use crate::emulator::world::method::CallId;
use crate::emulator::world::session::Topic;

/// A request id: any text without `&`, `/`, `#`, `+`; comes back as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rid<'a>(pub(super) &'a str);

/// A message of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Publication<'a> {
    /// It asks for its twin.
    TwinGet(Rid<'a>),
    /// It reports properties.
    Report(Rid<'a>),
    /// It answers a direct method.
    MethodAnswer {
        /// Its own verdict.
        status: i64,
        /// The request id that the hub gave.
        call: &'a str,
    },
    /// Telemetry, with its property bag, decoded.
    Event(Vec<(String, String)>),
}

impl<'a> Publication<'a> {
    /// `None` is a topic that is none of the hub's, or another device's.
    pub(super) fn read(topic: &'a str, device: &DeviceId) -> Option<Self> {
        if let Some(query) = topic.strip_prefix("$iothub/twin/GET/?") {
            return Some(Self::TwinGet(rid(query)?));
        }
        if let Some(query) = topic.strip_prefix("$iothub/twin/PATCH/properties/reported/?") {
            return Some(Self::Report(rid(query)?));
        }
        if let Some(rest) = topic.strip_prefix("$iothub/methods/res/") {
            let (status, query) = rest.split_once("/?")?;
            return Some(Self::MethodAnswer {
                status: status.parse().ok()?,
                call: rid(query)?.0,
            });
        }
        let rest = topic.strip_prefix("devices/")?;
        let rest = rest.strip_prefix(device.as_str())?;
        let bag = rest.strip_prefix("/messages/events")?;
        match bag.strip_prefix('/') {
            Some(bag) => Some(Self::Event(properties(bag))),
            None => bag.is_empty().then(|| Self::Event(Vec::new())),
        }
    }
}

/// `name=value&…`, percent-encoded, perhaps with a slash at its end.
fn properties(bag: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let bag = bag.strip_suffix('/').unwrap_or(bag);
    let pairs = bag.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

/// `$rid=…` out of `$rid=…&name=value`.
fn rid(query: &str) -> Option<Rid<'_>> {
    let rid = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("$rid="))?;
    let allowed = |c: char| !"/#+".contains(c) && !c.is_control();
    rid.chars().all(allowed).then_some(Rid(rid))
}

/// What a device subscribes to with `filter`; `None` is none of the hub's.
pub(super) fn filter(filter: &str, device: &DeviceId) -> Option<Topic> {
    match filter {
        "$iothub/twin/res/#" => Some(Topic::TwinAnswers),
        "$iothub/twin/PATCH/properties/desired/#" => Some(Topic::Desired),
        "$iothub/methods/POST/#" => Some(Topic::Methods),
        other => {
            let rest = other.strip_prefix("devices/")?;
            let rest = rest.strip_prefix(device.as_str())?;
            (rest == "/messages/devicebound/#").then_some(Topic::Messages)
        }
    }
}

/// Where an answer about the twin goes.
pub(super) fn twin_answer(status: u16, rid: Rid<'_>, version: Option<u64>) -> String {
    let version = version.map_or(String::new(), |version| format!("&$version={version}"));
    format!("$iothub/twin/res/{status}/?$rid={}{version}", rid.0)
}

/// Where a direct method goes.
pub(super) fn method(name: &str, call: CallId) -> String {
    format!("$iothub/methods/POST/{name}/?$rid={call}")
}

/// Where a change of desired properties goes.
pub(super) fn desired(version: u64) -> String {
    format!("$iothub/twin/PATCH/properties/desired/?$version={version}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dev() -> DeviceId {
        DeviceId::parse("dev01").unwrap()
    }

    fn event(properties: &[(&str, &str)]) -> Publication<'static> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Publication::Event(properties.iter().map(own).collect())
    }

    #[rstest::rstest]
    #[case(
        "$iothub/twin/GET/?$rid=7b3c-1",
        Some(Publication::TwinGet(Rid("7b3c-1")))
    )]
    #[case("$iothub/twin/GET/?$rid=1&x=2", Some(Publication::TwinGet(Rid("1"))))]
    #[case(
        "$iothub/twin/PATCH/properties/reported/?$rid=2",
        Some(Publication::Report(Rid("2")))
    )]
    #[case("$iothub/methods/res/200/?$rid=6f", Some(Publication::MethodAnswer { status: 200, call: "6f" }))]
    #[case("$iothub/methods/res/-5/?$rid=6f&a=b", Some(Publication::MethodAnswer { status: -5, call: "6f" }))]
    #[case("devices/dev01/messages/events/", Some(event(&[])))]
    #[case("devices/dev01/messages/events", Some(event(&[])))]
    #[case(
        "devices/dev01/messages/events/a=b%26c&%24.ct=application%2Fjson&flag",
        Some(event(&[("a", "b&c"), ("$.ct", "application/json"), ("flag", "")]))
    )]
    #[case("devices/dev01/messages/events/a=b=c/", Some(event(&[("a", "b=c")])))]
    #[case("devices/dev02/messages/events/", None)]
    #[case("devices/dev011/messages/events/", None)]
    #[case("devices/dev01/messages/eventsful", None)]
    #[case("$iothub/twin/GET/", None)]
    #[case("$iothub/twin/GET/?$rid=a/b", None)]
    #[case("$iothub/methods/res/ok/?$rid=1", None)]
    #[case("$iothub/twin/res/200/?$rid=1", None)]
    #[case("anything", None)]
    #[case("", None)]
    fn publications(#[case] topic: &str, #[case] want: Option<Publication<'_>>) {
        assert_eq!(Publication::read(topic, &dev()), want);
    }

    #[rstest::rstest]
    #[case("$iothub/twin/res/#", Some(Topic::TwinAnswers))]
    #[case("$iothub/twin/PATCH/properties/desired/#", Some(Topic::Desired))]
    #[case("$iothub/methods/POST/#", Some(Topic::Methods))]
    #[case("devices/dev01/messages/devicebound/#", Some(Topic::Messages))]
    #[case("devices/dev02/messages/devicebound/#", None)]
    #[case("#", None)]
    #[case("$iothub/#", None)]
    #[case("", None)]
    fn filters(#[case] text: &str, #[case] want: Option<Topic>) {
        assert_eq!(filter(text, &dev()), want);
    }

    #[test]
    fn answers_repeat_the_request_id() {
        let rid = Rid("a b$");
        assert_eq!(
            twin_answer(204, rid, Some(8)),
            "$iothub/twin/res/204/?$rid=a b$&$version=8"
        );
        assert_eq!(
            twin_answer(400, rid, None),
            "$iothub/twin/res/400/?$rid=a b$"
        );
        assert_eq!(
            method("ping", "6f".parse().unwrap()),
            "$iothub/methods/POST/ping/?$rid=6f"
        );
    }
}
