//! The families of Microsoft's firmware-update samples.
//!
//! | name | who reports so | source |
//! |---|---|---|
//! | `tutorial-2018` | Python tutorial, 2018 | `MicrosoftDocs/azure-docs` `articles/iot-hub/iot-hub-python-python-firmware-update.md` @ 0d08eff7 |
//! | `iothubDM` | Node tutorial, 2017 | `articles/iot-hub/iot-hub-node-node-firmware-update.md`, `includes/iot-hub-device-firmware-update.md` @ 13d147bf |
//! | | Node SDK sample | `Azure/azure-iot-sdk-node` `device/samples/dmpatterns_fwupdate_device.js` @ 445d19fd, `device_samples/how_to_guides/device_update/fwupdate_device.js` @ 45e6173d |
//! | | C# tutorial, 2017 | `articles/iot-hub/iot-hub-csharp-csharp-firmware-update.md` @ 007b3afb |
//! | | C SDK sample | `Azure/azure-iot-sdk-c` `iothub_client/samples/iothub_client_sample_mqtt_dm` @ 96c69099 |
//! | `iothubDM-string` | the Node tutorial's device, started as its own service does: the payload is a string that holds JSON; never recognised, only set | as the Node tutorial |
//! | `java-2017` | Java tutorial, 2017 | `articles/iot-hub/iot-hub-java-java-firmware-update.md` @ 08582b62 |
//! | `device-management` | Automatic device management tutorial, 2018 | `Azure-Samples/azure-iot-samples-node` `iot-hub/Tutorials/FirmwareUpdate/SimulatedDevice.js` @ e2cc7513 |
//! | `device-update` | Device Update agent | `Azure/iot-hub-device-update` `src/adu_types/inc/aduc/types/update_content.h`, `adu_core.h`, `src/agent/adu_core_interface/tests/testdata/workflow_reboot` @ b96895bb |
//! | `remote-monitoring-1` | Remote Monitoring 1 | `Azure/azure-iot-remote-monitoring` `Simulator/Simulator.WebJob/SimulatorCore/Devices/DMTasks/FirmwareUpdate.cs` @ 7baee6a2 |
//! | `remote-monitoring-2` | Remote Monitoring 2, C client | `Azure/azure-iot-sdk-c` `samples/solutions/remote_monitoring_client/remote_monitoring.c` @ b6931d9f |
//! | | its simulated devices, in sentences | the device-simulation service's scripts |
//!
//! `device-management` and `device-update` are started through desired
//! properties, by configurations and deployments of the hub, so they are watched
//! only. A device that takes no package by a method could not be started anyway.
//!
//! Percentages are otadeck's own, and so are the versions and the error of the
//! tutorials, except `iothubDM.firmwareVersion`, which is the C sample's.

use serde_json::json;

use super::read::{Reader, Stage};
use super::{ByMethod, Dialect, Places, Recognised, Starts, Template, Words};
use crate::domain::phase::Phase::{
    self, Applying, Done, Downloaded, Downloading, Failed, Idle, Queued, Rebooting,
};
use crate::domain::twin::Path;

/// All of them. The first is assumed of a device that reports nothing.
pub(super) fn all() -> Vec<Dialect> {
    vec![
        tutorial_2018(),
        iothub_dm(),
        iothub_dm_string(),
        java_2017(),
        device_management(),
        device_update(),
        remote_monitoring_1(),
        remote_monitoring_2(),
    ]
}

/// Words of failures in any of the tutorials.
const FAILURES: [(&str, Phase); 7] = [
    ("failed", Failed),
    ("error", Failed),
    ("downloadfailed", Failed),
    ("applyfailed", Failed),
    ("download image failed", Failed),
    ("apply image failed", Failed),
    ("rolledback", Failed),
];

fn words(exact: &[(&str, Phase)]) -> Words {
    let owned = |(word, phase): &(&str, Phase)| ((*word).to_owned(), *phase);
    Words {
        exact: exact.iter().map(owned).collect(),
        ..Words::default()
    }
}

impl Words {
    fn and(mut self, more: &[(&str, Phase)]) -> Self {
        self.exact.extend(words(more).exact);
        self
    }

    fn begin(mut self, more: &[(&str, Phase)]) -> Self {
        self.begin.extend(words(more).exact);
        self
    }

    fn rest(mut self, word: &str) -> Self {
        self.rest.push(word.to_owned());
        self
    }
}

fn at(path: &str) -> Option<Path> {
    Some(path.into())
}

fn by_method(method: &str, payload: serde_json::Value) -> Starts {
    Starts::ByMethod(ByMethod {
        method: method.to_owned(),
        payload: Template::built_in(payload),
        response_timeout: None,
        connect_timeout: None,
    })
}

fn tutorial_2018() -> Dialect {
    let words = words(&[
        ("standby", Idle),
        ("downloading", Downloading),
        ("applying", Applying),
        ("completed", Done),
    ]);
    Dialect {
        name: "tutorial-2018".to_owned(),
        status: "firmwareStatus".into(),
        starts: by_method("firmwareUpdate", json!({ "fwPackageUri": "{uri}" })),
        words: words.and(&FAILURES),
        reader: Reader::Plain,
        places: Places {
            percent: at("downloadPercent"),
            version: at("firmwareVersion"),
            uri: at("fwPackageUri"),
            error: at("firmwareError"),
            end: at("lastFirmwareUpdate"),
            ..Places::default()
        },
        object: [
            "firmwareStatus",
            "firmwareVersion",
            "fwPackageUri",
            "downloadPercent",
            "downloadComplete",
            "startedApplyingImage",
            "lastFirmwareUpdate",
            "firmwareError",
            "logTime",
        ]
        .map(Path::from)
        .to_vec(),
        recognised: Recognised::ByStatusOrVersion,
    }
}

fn iothub_dm() -> Dialect {
    let words = words(&[
        ("waiting", Queued),
        ("downloading", Downloading),
        ("downloadcomplete", Downloaded),
        ("download complete", Downloaded),
        ("applying", Applying),
        ("applycomplete", Done),
        ("apply firmware image complete", Done),
    ]);
    Dialect {
        name: "iothubDM".to_owned(),
        status: "iothubDM.firmwareUpdate.status".into(),
        starts: by_method("firmwareUpdate", json!({ "fwPackageUri": "{uri}" })),
        words: words.and(&FAILURES),
        reader: Reader::Plain,
        places: Places {
            percent: at("iothubDM.firmwareUpdate.downloadPercent"),
            version: at("iothubDM.firmwareVersion"),
            uri: at("iothubDM.firmwareUpdate.fwPackageUri"),
            error: at("iothubDM.firmwareUpdate.error"),
            end: at("iothubDM.firmwareUpdate.lastFirmwareUpdate"),
            ..Places::default()
        },
        object: vec!["iothubDM".into()],
        recognised: Recognised::ByStatusOrVersion,
    }
}

fn iothub_dm_string() -> Dialect {
    let dialect = iothub_dm();
    let starts = match dialect.starts {
        Starts::ByMethod(by) => Starts::ByMethod(ByMethod {
            payload: by.payload.stringly(),
            ..by
        }),
        other => other,
    };
    Dialect {
        name: "iothubDM-string".to_owned(),
        starts,
        recognised: Recognised::Never,
        ..dialect
    }
}

fn java_2017() -> Dialect {
    let words = words(&[
        ("waiting", Queued),
        ("downloading", Downloading),
        ("downloadcomplete", Downloaded),
        ("applying", Applying),
        ("applycomplete", Done),
    ]);
    Dialect {
        name: "java-2017".to_owned(),
        status: "firmwareUpdate.status".into(),
        starts: by_method("firmwareUpdate", json!("{uri}")),
        words: words.and(&FAILURES),
        reader: Reader::Plain,
        places: Places {
            percent: at("firmwareUpdate.downloadPercent"),
            version: at("firmwareUpdate.firmwareVersion"),
            uri: at("firmwareUpdate.fwPackageUri"),
            error: at("firmwareUpdate.error"),
            end: at("firmwareUpdate.lastFirmwareUpdate"),
            ..Places::default()
        },
        object: vec!["firmwareUpdate".into()],
        recognised: Recognised::ByStatusOrVersion,
    }
}

/// `current` says that nothing is being done, not that nothing is to be done:
/// while there is a pending version the update has only been taken.
fn device_management() -> Dialect {
    let words = words(&[
        ("current", Idle),
        ("downloading", Downloading),
        ("verifying", Downloaded),
        ("applying", Applying),
        ("rebooting", Rebooting),
        ("error", Failed),
        ("rolledback", Failed),
    ]);
    Dialect {
        name: "device-management".to_owned(),
        status: "firmware.fwUpdateStatus".into(),
        starts: Starts::WatchedOnly,
        words: words.rest("current"),
        reader: Reader::Plain,
        places: Places {
            version: at("firmware.currentFwVersion"),
            pending: at("firmware.pendingFwVersion"),
            substatus: at("firmware.fwUpdateSubstatus"),
            end: at("firmware.lastFwUpdateEndTime"),
            ..Places::default()
        },
        object: vec!["firmware".into()],
        recognised: Recognised::ByStatusOrVersion,
    }
}

/// To the cloud come only 0, 6 and 255. 6 does not say which part of the
/// deployment is under way; it is shown as applying.
fn device_update() -> Dialect {
    let words = words(&[
        ("0", Idle),
        ("1", Downloading),
        ("2", Downloaded),
        ("3", Applying),
        ("4", Applying),
        ("5", Applying),
        ("6", Applying),
        ("7", Applying),
        ("8", Applying),
        ("9", Applying),
        ("255", Failed),
    ]);
    Dialect {
        name: "device-update".to_owned(),
        status: "deviceUpdate.agent.state".into(),
        starts: Starts::WatchedOnly,
        words: words.rest("0"),
        reader: Reader::Agent,
        places: Places {
            version: at("deviceUpdate.agent.installedUpdateId"),
            ..Places::default()
        },
        object: vec!["deviceUpdate.agent".into()],
        recognised: Recognised::ByStatusOrVersion,
    }
}

/// `Running` of the whole with no stage yet is queued; after that the last stage
/// tells the phase, until the whole is complete.
fn remote_monitoring_1() -> Dialect {
    let stage = |name: &str, running, complete| Stage {
        status: format!("Method.UpdateFirmware.{name}.Status").into(),
        running,
        complete,
    };
    Dialect {
        name: "remote-monitoring-1".to_owned(),
        status: "Method.UpdateFirmware.Status".into(),
        starts: by_method("InitiateFirmwareUpdate", json!({ "FwPackageUri": "{uri}" })),
        words: words(&[("running", Queued), ("complete", Done), ("failed", Failed)]),
        reader: Reader::Stages(vec![
            stage("Download", Downloading, Downloaded),
            stage("Applied", Applying, Applying),
            stage("Reboot", Rebooting, Rebooting),
        ]),
        places: Places {
            version: at("System.FirmwareVersion"),
            end: at("Method.UpdateFirmware.LastUpdate"),
            ..Places::default()
        },
        object: vec![
            "Method.UpdateFirmware".into(),
            "System.FirmwareVersion".into(),
        ],
        recognised: Recognised::ByStatusOrVersion,
    }
}

/// The C client's words and the simulated devices' sentences stand at the same
/// place. A sentence may go on, except the one that says that it is done.
fn remote_monitoring_2() -> Dialect {
    let words = words(&[
        ("downloading", Downloading),
        ("applying", Applying),
        ("rebooting", Rebooting),
        ("idle", Idle),
        ("firmware updated.", Done),
    ]);
    let words = words.begin(&[
        ("command received, updating firmware", Queued),
        ("image downloading.", Downloading),
        ("downloaded, applying firmware", Applying),
        ("rebooting.", Rebooting),
    ]);
    Dialect {
        name: "remote-monitoring-2".to_owned(),
        status: "FirmwareUpdateStatus".into(),
        starts: by_method(
            "FirmwareUpdate",
            json!({ "Firmware": "{version}", "FirmwareUri": "{uri}" }),
        ),
        words: words.rest("idle"),
        reader: Reader::Plain,
        places: Places {
            version: at("Firmware"),
            ..Places::default()
        },
        object: vec!["FirmwareUpdateStatus".into(), "Firmware".into()],
        // Anybody may have a property of the name Firmware.
        recognised: Recognised::ByStatus,
    }
}
