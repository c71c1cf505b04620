//! A device as a row of a query.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::Device;
use super::etag;
use super::identity::connection_state;
use crate::domain::id::DeviceId;
use crate::emulator::query;
use crate::emulator::stamp;

/// A device as a row of a query.
pub(super) struct Row<'a> {
    pub(super) id: &'a DeviceId,
    pub(super) device: &'a Device,
}

impl query::Row for Row<'_> {
    fn key(&self) -> &str {
        self.id.as_str()
    }

    fn whole(&self) -> Value {
        self.device.twin_json(self.id)
    }

    // Builds only what the path asks for: a list of projected columns over many
    // devices makes no twins.
    fn field(&self, path: &[String]) -> Option<Cow<'_, Value>> {
        let (root, rest) = path.split_first()?;
        let identity = &self.device.identity;
        let twin = &self.device.twin;
        let text = |text: String| Some(Cow::Owned(Value::String(text)));
        match (root.as_str(), rest) {
            ("tags", rest) => inside(&twin.tags, rest),
            ("properties", [half, rest @ ..]) => match half.to_ascii_lowercase().as_str() {
                "desired" => in_section(&twin.desired, rest),
                "reported" => in_section(&twin.reported, rest),
                _ => None,
            },
            ("capabilities", [name]) if name.eq_ignore_ascii_case("iotEdge") => {
                Some(Cow::Owned(identity.wish.edge.into()))
            }
            ("deviceId", []) => text(self.id.to_string()),
            ("etag", []) => text(etag::of_twin(twin.etag)),
            ("deviceEtag", []) => text(identity.etag_text()),
            ("status", []) => Some(Cow::Owned(json!(identity.wish.status))),
            ("statusReason", []) => identity.wish.reason.clone().and_then(text),
            ("statusUpdateTime", []) => text(stamp::text_or_never(identity.status_updated)),
            ("connectionState", []) => {
                text(connection_state(self.device.session.is_connected()).to_owned())
            }
            ("lastActivityTime", []) => text(stamp::text_or_never(identity.last_activity)),
            ("cloudToDeviceMessageCount", []) => Some(Cow::Owned(0.into())),
            ("authenticationType", []) => text(identity.wish.proof.name().to_owned()),
            ("modelId", []) => twin.model_id.clone().and_then(text),
            ("version", []) => Some(Cow::Owned(twin.version.into())),
            (other, rest) => {
                let whole = self.whole();
                let value = query::walk(whole.get(other)?, rest)?;
                Some(Cow::Owned(value.clone()))
            }
        }
    }
}

fn in_section<'a>(section: &'a super::section::Section, path: &[String]) -> Option<Cow<'a, Value>> {
    match path {
        [] => Some(Cow::Owned(section.full())),
        [name] if name == "$version" => Some(Cow::Owned(section.version.into())),
        [name, rest @ ..] if name == "$metadata" => inside(&section.metadata, rest),
        path => inside(&section.values, path),
    }
}

fn inside<'a>(map: &'a Map<String, Value>, path: &[String]) -> Option<Cow<'a, Value>> {
    match path {
        [] if map.is_empty() => None,
        [] => Some(Cow::Owned(map.clone().into())),
        [first, rest @ ..] => query::walk(map.get(first)?, rest).map(Cow::Borrowed),
    }
}
