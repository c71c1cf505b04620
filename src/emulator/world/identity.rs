//! One identity of the registry.
//!
//! Shape and key order: recording `DevicesClient_IdentityLifecycle` of
//! `Azure/azure-sdk-for-net` (api-version 2020-03-13).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::device::Enablement;
use crate::domain::id::DeviceId;
use crate::emulator::refusal::Refusal;
use crate::emulator::stamp;

/// How a device proves itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Proof {
    /// A shared access signature.
    #[default]
    Sas,
    /// A certificate known by its thumbprint.
    SelfSigned,
    /// A certificate of a known authority.
    CertificateAuthority,
}

impl Proof {
    /// As the hub writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sas => "sas",
            Self::SelfSigned => "selfSigned",
            Self::CertificateAuthority => "certificateAuthority",
        }
    }
}

/// The part of an identity that a client may write.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Wish {
    /// May it connect?
    pub status: Enablement,
    /// Why not, up to 128 characters.
    pub reason: Option<String>,
    /// How it proves itself.
    pub proof: Proof,
    /// Both symmetric keys (base64), or none: then the hub makes them.
    pub keys: Option<(String, String)>,
    /// Both thumbprints, as they were given.
    pub thumbprints: (Option<String>, Option<String>),
    /// `capabilities.iotEdge`.
    pub edge: bool,
}

impl std::fmt::Debug for Wish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wish")
            .field("status", &self.status)
            .field("proof", &self.proof)
            .finish_non_exhaustive()
    }
}

/// An identity as the registry keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// .NET ticks of its making; another one after a re-creation.
    pub generation: u64,
    /// The number in the etag; one more with each write.
    pub etag: u64,
    /// What was asked for; the keys are there by now.
    pub wish: Wish,
    /// When `status` last changed.
    pub status_updated: Option<Timestamp>,
    /// When it last connected or disconnected.
    pub connection_updated: Option<Timestamp>,
    /// When it last connected or sent anything.
    pub last_activity: Option<Timestamp>,
}

impl Identity {
    /// The etag: base64 of a decimal counter in ASCII.
    #[must_use]
    pub fn etag_text(&self) -> String {
        STANDARD.encode(self.etag.to_string())
    }

    /// The identity as JSON. The answer to a create (`created`) writes its
    /// times without a zone, all others with a `Z`.
    #[must_use]
    pub fn json(&self, id: &DeviceId, connected: bool, created: bool) -> Value {
        let time = |time| {
            let text = stamp::text_or_never(time);
            match created {
                true => text.trim_end_matches('Z').to_owned(),
                false => text,
            }
        };
        let (primary, secondary) = self.wish.keys.clone().unzip();
        json!({
            "deviceId": id,
            "generationId": self.generation.to_string(),
            "etag": self.etag_text(),
            "connectionState": connection_state(connected),
            "status": self.wish.status,
            "statusReason": self.wish.reason,
            "connectionStateUpdatedTime": time(self.connection_updated),
            "statusUpdatedTime": time(self.status_updated),
            "lastActivityTime": time(self.last_activity),
            "cloudToDeviceMessageCount": 0,
            "authentication": {
                "symmetricKey": {"primaryKey": primary, "secondaryKey": secondary},
                "x509Thumbprint": self.thumbprints(),
                "type": self.wish.proof.name(),
            },
            "capabilities": {"iotEdge": self.wish.edge},
        })
    }

    /// `x509Thumbprint` as identities and twins show it.
    #[must_use]
    pub fn thumbprints(&self) -> Value {
        let (primary, secondary) = &self.wish.thumbprints;
        json!({"primaryThumbprint": primary, "secondaryThumbprint": secondary})
    }
}

/// `Connected` or `Disconnected`.
#[must_use]
pub fn connection_state(connected: bool) -> &'static str {
    match connected {
        true => "Connected",
        false => "Disconnected",
    }
}

impl Wish {
    /// Reads the body of a PUT. Empty keys count as none (the command line
    /// sends them so).
    ///
    /// # Errors
    /// 400 when the id is another one or a field is of the wrong kind.
    pub fn read(id: &DeviceId, body: &Map<String, Value>) -> Result<Self, Refusal> {
        match body.get("deviceId") {
            Some(Value::String(named)) if named == id.as_str() => {}
            Some(Value::Null) | None => {}
            Some(_) => {
                return Err(Refusal::argument(
                    "deviceId differs from the one in the path",
                ));
            }
        }
        let empty = Map::new();
        let authentication = object(body, "authentication")?.unwrap_or(&empty);
        let keys = object(authentication, "symmetricKey")?.unwrap_or(&empty);
        let prints = object(authentication, "x509Thumbprint")?.unwrap_or(&empty);
        let thumbprints = (
            text(prints, "primaryThumbprint")?,
            text(prints, "secondaryThumbprint")?,
        );
        for print in [&thumbprints.0, &thumbprints.1].into_iter().flatten() {
            if !print.bytes().all(|b| b.is_ascii_hexdigit()) {
                let text = "a thumbprint holds something else than hexadecimal digits";
                return Err(Refusal::argument(text));
            }
        }
        let reason = text(body, "statusReason")?;
        if reason.as_ref().is_some_and(|r| r.chars().count() > 128) {
            return Err(Refusal::argument("statusReason exceeds 128 characters"));
        }
        let capabilities = object(body, "capabilities")?.unwrap_or(&empty);
        Ok(Self {
            status: read_status(body)?,
            reason,
            proof: read_proof(authentication, thumbprints.0.is_some())?,
            keys: read_keys(keys)?,
            thumbprints,
            edge: capabilities.get("iotEdge").and_then(Value::as_bool) == Some(true),
        })
    }
}

fn read_status(body: &Map<String, Value>) -> Result<Enablement, Refusal> {
    match text(body, "status")?.as_deref() {
        None => Ok(Enablement::Enabled),
        Some(s) if s.eq_ignore_ascii_case("enabled") => Ok(Enablement::Enabled),
        Some(s) if s.eq_ignore_ascii_case("disabled") => Ok(Enablement::Disabled),
        Some(_) => Err(Refusal::argument("status is neither enabled nor disabled")),
    }
}

fn read_proof(authentication: &Map<String, Value>, thumbprint: bool) -> Result<Proof, Refusal> {
    let known = [Proof::Sas, Proof::SelfSigned, Proof::CertificateAuthority];
    match text(authentication, "type")? {
        None if thumbprint => Ok(Proof::SelfSigned),
        None => Ok(Proof::Sas),
        Some(name) => known
            .into_iter()
            .find(|proof| proof.name().eq_ignore_ascii_case(&name))
            .ok_or_else(|| Refusal::argument("authentication.type is unknown")),
    }
}

fn read_keys(keys: &Map<String, Value>) -> Result<Option<(String, String)>, Refusal> {
    match (text(keys, "primaryKey")?, text(keys, "secondaryKey")?) {
        (None, None) => Ok(None),
        (Some(primary), Some(secondary)) if is_key(&primary) && is_key(&secondary) => {
            Ok(Some((primary, secondary)))
        }
        (Some(_), Some(_)) => Err(Refusal::argument(
            "a symmetric key is not the base64 of 16 to 64 bytes",
        )),
        _ => Err(Refusal::argument("both symmetric keys are needed, or none")),
    }
}

fn is_key(text: &str) -> bool {
    STANDARD
        .decode(text)
        .is_ok_and(|bytes| (16..=64).contains(&bytes.len()))
}

fn object<'a>(
    map: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, Refusal> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(Refusal::argument(format!("{name} is not an object"))),
    }
}

/// A text that is there and not empty.
fn text(map: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::argument(format!("{name} is not a string"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<Wish, Refusal> {
        let id = DeviceId::parse("dev01").unwrap();
        Wish::read(&id, body.as_object().unwrap())
    }

    #[test]
    fn the_least_and_the_echo_of_an_answer() {
        assert_eq!(read(json!({})), Ok(Wish::default()));
        assert_eq!(read(json!({"deviceId": "dev01"})), Ok(Wish::default()));
        let key = STANDARD.encode([7; 32]);
        let identity = Identity {
            generation: 1,
            etag: 727_894_863,
            wish: Wish {
                status: Enablement::Disabled,
                reason: Some("repair".to_owned()),
                keys: Some((key.clone(), key)),
                ..Wish::default()
            },
            status_updated: None,
            connection_updated: None,
            last_activity: None,
        };
        assert_eq!(identity.etag_text(), "NzI3ODk0ODYz");
        let id = DeviceId::parse("dev01").unwrap();
        let echoed = read(identity.json(&id, false, true));
        assert_eq!(echoed, Ok(identity.wish));
    }

    fn keys(bytes: usize) -> Value {
        let key = STANDARD.encode(vec![7; bytes]);
        json!({"primaryKey": key, "secondaryKey": key})
    }

    #[rstest::rstest]
    #[case(json!({"authentication": {"symmetricKey": keys(16)}}), Proof::Sas)]
    #[case(json!({"authentication": {"symmetricKey": keys(64)}}), Proof::Sas)]
    #[case(json!({"authentication": {"symmetricKey": {"primaryKey": "", "secondaryKey": null}}}), Proof::Sas)]
    #[case(json!({"authentication": {"x509Thumbprint": {"primaryThumbprint": "A361ea6A"}}}), Proof::SelfSigned)]
    #[case(json!({"authentication": {"type": "certificateAuthority"}}), Proof::CertificateAuthority)]
    #[case(json!({"statusReason": "x".repeat(128), "status": "Enabled", "etag": "ignored"}), Proof::Sas)]
    fn what_the_registry_takes(#[case] body: Value, #[case] proof: Proof) {
        let wish = read(body.clone()).unwrap();
        assert_eq!(wish.proof, proof);
        let print = &body["authentication"]["x509Thumbprint"]["primaryThumbprint"];
        assert_eq!(
            wish.thumbprints.0.as_deref(),
            print.as_str(),
            "its case is kept"
        );
    }

    #[rstest::rstest]
    #[case(json!({"deviceId": "other"}))]
    #[case(json!({"status": "asleep"}))]
    #[case(json!({"status": 1}))]
    #[case(json!({"authentication": []}))]
    #[case(json!({"authentication": {"type": "password"}}))]
    #[case(json!({"authentication": {"symmetricKey": {"primaryKey": "AAAAAAAAAAAAAAAAAAAAAA=="}}}))]
    #[case(json!({"authentication": {"symmetricKey": {"primaryKey": "short", "secondaryKey": "short"}}}))]
    #[case(json!({"authentication": {"symmetricKey": keys(15)}}))]
    #[case(json!({"authentication": {"symmetricKey": keys(65)}}))]
    #[case(json!({"authentication": {"x509Thumbprint": {"primaryThumbprint": "A3:61"}}}))]
    #[case(json!({"capabilities": []}))]
    #[case(json!({"statusReason": "x".repeat(129)}))]
    fn what_the_registry_refuses(#[case] body: Value) {
        assert!(read(body).is_err());
    }
}
