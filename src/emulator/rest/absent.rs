//! What a real hub has and this one has not: said in so many words.
//!
//! A client should not take "not built here" for "no such job" or "no such
//! module", so every refusal is 400 `InvalidOperation` and names what is absent.
//! (A real hub's oddity goes with it: with a shared access signature, calls on
//! the modules of a missing or disabled device answer 401 there.) What comes to
//! be built here leaves this list for [`Target`](super::route::Target).

use crate::emulator::refusal::{Code, Refusal};

/// The refusal of an operation that [`Call::read`](super::route::Call::read)
/// does not know.
pub(super) fn refusal(method: &str, steps: &[&str], path: &str) -> Refusal {
    let sentence = match (what(method, steps), others(steps)) {
        (Some(what), _) => format!("This hub has no {what}: {method} {path} is not there."),
        (None, Some(others)) => {
            format!("This hub has no {method} {path}, only {others} there.")
        }
        (None, None) => format!("This hub has no {method} {path}."),
    };
    Refusal::new(Code::InvalidOperation, sentence)
}

/// A part of IoT Hub that is not here.
fn what(method: &str, steps: &[&str]) -> Option<&'static str> {
    Some(match steps {
        ["jobs", "v2", ..] => "scheduled jobs",
        ["jobs", ..] => "import and export jobs",
        ["configurations", ..] | ["devices", _, "applyConfigurationContent"] => {
            "automatic device configurations"
        }
        ["devices" | "twins", _, "modules", ..] => "modules",
        ["devices", _, "messages", ..] => "device messages over HTTPS, nor cloud-to-device ones",
        ["messages", ..] | ["devices", _, "commands", ..] => "cloud-to-device messages",
        ["devices", _, "files", ..] => "file uploads",
        ["digitaltwins", ..] => "digital twins",
        ["$iothub", "websocket"] => "MQTT over WebSocket; devices connect to the MQTT port",
        ["devices"] if method == "POST" => "bulk registry operations",
        _ => return None,
    })
}

/// What can be done at a known path.
fn others(steps: &[&str]) -> Option<&'static str> {
    Some(match steps {
        ["devices", "query"] | ["twins", _, "methods"] => "POST",
        ["devices", _] => "GET, PUT and DELETE",
        ["twins", _] => "GET, PATCH and PUT",
        _ => return None,
    })
}
