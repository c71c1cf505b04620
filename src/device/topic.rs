//! IoT Hub's MQTT topics, from the device's end.
//!
//! Source: `MicrosoftDocs/azure-docs`
//! `articles/iot/iot-mqtt-connect-to-iot-hub.md`.

/// What a device subscribes to.
pub(super) const FILTERS: [&str; 3] = [
    "$iothub/twin/res/#",
    "$iothub/methods/POST/#",
    "$iothub/twin/PATCH/properties/desired/#",
];

/// A topic of a message from the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic<'a> {
    /// The answer to a twin request.
    TwinAnswer { status: u16, rid: &'a str },
    /// The desired properties have changed.
    Desired,
    /// A direct method is called.
    Method { name: &'a str, rid: &'a str },
}

impl<'a> Topic<'a> {
    /// Reads a topic; `None` for one that means nothing to a device. A `$rid`
    /// ends at the next `&`.
    pub(super) fn parse(topic: &'a str) -> Option<Self> {
        let (path, query) = topic.split_once('?')?;
        let path = path.strip_suffix('/').unwrap_or(path);
        if let Some(status) = path.strip_prefix("$iothub/twin/res/") {
            let status = status.parse().ok()?;
            let rid = rid(query)?;
            return Some(Self::TwinAnswer { status, rid });
        }
        if let Some(name) = path.strip_prefix("$iothub/methods/POST/") {
            let rid = rid(query)?;
            return (!name.is_empty()).then_some(Self::Method { name, rid });
        }
        (path == "$iothub/twin/PATCH/properties/desired").then_some(Self::Desired)
    }
}

fn rid(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("$rid="))
}

/// Asks for the twin.
pub(super) fn get_twin(rid: u32) -> String {
    format!("$iothub/twin/GET/?$rid={rid}")
}

/// Reports properties.
pub(super) fn report(rid: u32) -> String {
    format!("$iothub/twin/PATCH/properties/reported/?$rid={rid}")
}

/// Answers the method call `rid`.
pub(super) fn method_answer(status: u16, rid: &str) -> String {
    format!("$iothub/methods/res/{status}/?$rid={rid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("$iothub/twin/res/200/?$rid=1", Some(Topic::TwinAnswer { status: 200, rid: "1" }))]
    #[case("$iothub/twin/res/204/?$rid=a-b&$version=8", Some(Topic::TwinAnswer { status: 204, rid: "a-b" }))]
    #[case("$iothub/twin/res/204/?$version=8&$rid=2", Some(Topic::TwinAnswer { status: 204, rid: "2" }))]
    #[case("$iothub/twin/res/x/?$rid=1", None)]
    #[case("$iothub/twin/res/200/", None)]
    #[case("$iothub/methods/POST/firmwareUpdate/?$rid=6f", Some(Topic::Method { name: "firmwareUpdate", rid: "6f" }))]
    #[case("$iothub/methods/POST/a/?$rid=6f&x=y", Some(Topic::Method { name: "a", rid: "6f" }))]
    #[case("$iothub/methods/POST//?$rid=6f", None)]
    #[case("$iothub/methods/POST/a", None)]
    #[case(
        "$iothub/twin/PATCH/properties/desired/?$version=4",
        Some(Topic::Desired)
    )]
    #[case("devices/d/messages/devicebound/?a", None)]
    #[case("", None)]
    fn topics(#[case] topic: &str, #[case] want: Option<Topic<'_>>) {
        assert_eq!(Topic::parse(topic), want);
    }
}
