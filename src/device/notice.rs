//! What a simulated device tells whoever looks on: one line each.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::domain::clean;
use crate::domain::phase::Phase;
use crate::domain::uri::redacted_text;

/// Something that happened on a device. `Display` is one harmless line
/// without secrets.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The hub has taken the device.
    Connected {
        /// The hub's name.
        host: String,
        /// Had the hub kept a session for it?
        session_present: bool,
    },
    /// The hub has taken a report: `firmwareStatus = downloading, …`.
    Reported(String),
    /// The hub did not take a report, which is dropped.
    ReportDropped {
        /// What was reported.
        report: String,
        /// The hub's status, 400 for example.
        status: u16,
    },
    /// A direct method was called.
    MethodReceived {
        /// Which.
        name: String,
        /// What was answered; `None` when the scenario is silent.
        status: Option<u16>,
    },
    /// The update has entered this phase.
    Phase(Phase),
    /// The service changed the desired properties; this device does nothing
    /// with them.
    DesiredChanged,
    /// The token runs out soon: connecting again with a fresh one.
    Renewing,
    /// The connection is gone or was not made.
    Disconnected {
        /// Why.
        reason: String,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The scenario has this device never connect.
    StaysAway,
    /// The scenario has this device vanish: it is never heard of again.
    Vanished,
    /// The device was told to stop, and has said goodbye.
    Stopped,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected {
                host,
                session_present,
            } => {
                let kept = if *session_present {
                    ", session kept"
                } else {
                    ""
                };
                write!(f, "connected to {host}{kept}")
            }
            Self::Reported(report) => write!(f, "reported {report}"),
            Self::ReportDropped { report, status } => {
                write!(f, "the hub refused the report {report} with {status}")
            }
            Self::MethodReceived { name, status } => {
                let name = clean::line(name, 60);
                match status {
                    Some(status) => write!(f, "method {name}: answered {status}"),
                    None => write!(f, "method {name}: not answered"),
                }
            }
            Self::Phase(phase) => write!(f, "{phase}"),
            Self::DesiredChanged => f.write_str("desired properties changed"),
            Self::Renewing => f.write_str("renewing the token"),
            Self::Disconnected { reason, retry_in } => {
                let reason = clean::line(reason, 200);
                let seconds = retry_in.as_secs_f64();
                write!(f, "not connected: {reason}; next try in {seconds:.1} s")
            }
            Self::StaysAway => f.write_str("the scenario has this device never connect"),
            Self::Vanished => f.write_str("the scenario has this device vanish for good"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// A patch as one line: `firmwareStatus = downloading, downloadPercent = 0`.
/// URIs are redacted.
pub(super) fn describe(patch: &Value) -> String {
    let mut parts = Vec::new();
    flatten("", patch, &mut parts);
    clean::line(&parts.join(", "), 200)
}

fn flatten(path: &str, value: &Value, parts: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(&format!("{path}{dot}{name}"), value, parts);
            }
        }
        Value::String(text) if path.ends_with("fwPackageUri") => {
            parts.push(format!("{path} = {}", redacted_text(text)));
        }
        value => parts.push(format!("{path} = {}", clean::value_line(value, 80))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_is_one_harmless_line_without_signatures() {
        let patch = json!({"iothubDM": {"firmwareUpdate": {
            "status": "wait\u{1b}ing", "error": null,
            "fwPackageUri": "https://x.test/a?sig=secret",
        }}});
        assert_eq!(
            describe(&patch),
            "iothubDM.firmwareUpdate.status = wait\\u{1b}ing, iothubDM.firmwareUpdate.error = null, \
             iothubDM.firmwareUpdate.fwPackageUri = https://x.test/a?sig=***"
        );
    }

    #[rstest::rstest]
    #[case(Notice::Connected { host: "h".into(), session_present: true }, "connected to h, session kept")]
    #[case(Notice::MethodReceived { name: "a\nb".into(), status: Some(200) }, "method a\\nb: answered 200")]
    #[case(Notice::MethodReceived { name: "a".into(), status: None }, "method a: not answered")]
    #[case(Notice::Disconnected { reason: "r".into(), retry_in: Duration::from_millis(1_234) }, "not connected: r; next try in 1.2 s")]
    #[case(Notice::Phase(Phase::Applying), "applying")]
    fn lines(#[case] notice: Notice, #[case] want: &str) {
        assert_eq!(notice.to_string(), want);
    }
}
