//! The tutorial's two programs, written anew with today's SDKs, with each other
//! and with ours. Everything is a process of its own, the real binary too.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::sdk::{Installed, Redirect, Sdk};
use super::support::program::{Emulator, Ended, Home, Running, wait};
use super::support::terminal::Terminal;

const URI: &str = "https://example.test/fw-1.5.0.bin";
const ID: &str = "idle-0001";
/// Seconds before each phase; a program that reads each half second misses none.
const STEP: &str = "2";

/// A hub with one idle identity, and the programs for it.
struct Stage {
    emulator: Emulator,
    sdk: Installed,
}

impl Stage {
    /// None, with a word why, where the SDKs are not.
    fn build() -> Option<Self> {
        let sdk = Sdk::Python.find()?;
        let emulator = Emulator::start(&["--identities", "1"]);
        Some(Self { emulator, sdk })
    }

    fn script(&self, name: &str) -> Command {
        let ready = &self.emulator.ready;
        let port = |name: &str| u16::try_from(ready[name].as_u64().unwrap()).unwrap();
        let redirect = Redirect {
            host: ready["hostName"].as_str().unwrap().to_owned(),
            https: port("httpsPort"),
            mqtt: port("mqttPort"),
        };
        let ca = self.emulator.ca_file();
        let mut command = self.sdk.command(name, &redirect, Some(Path::new(&ca)));
        command
            .env("IOTHUB_CA_FILE", &ca)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Their device, when it waits for an order.
    fn device(&self) -> Running {
        let mut command = self.script("tutorial_device");
        command.args(["--step", STEP]).env(
            "IOTHUB_DEVICE_CONNECTION_STRING",
            without_port(&self.emulator.device(0)),
        );
        let device = Running::start(command);
        device.line_with("waiting for firmwareUpdate");
        device
    }

    /// Their service program, to its end.
    fn service(&self) -> Ended {
        let mut command = self.script("tutorial_service");
        command.args([ID, URI]).env(
            "IOTHUB_CONNECTION_STRING",
            without_port(&self.emulator.service()),
        );
        wait(command.spawn().unwrap(), &["tutorial_service"])
    }
}

/// A connection string as the cloud hands it out.
fn without_port(text: &str) -> String {
    let (host, rest) = text.split_once(';').unwrap();
    format!("{};{rest}", host.rsplit_once(':').unwrap().0)
}

/// What the service program prints: the answer, a line a status, the end.
fn judge_service(ended: &Ended) {
    assert_eq!(ended.code, 0, "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let (last, lines) = lines.split_last().unwrap();
    let (first, statuses) = lines.split_first().unwrap();
    assert_eq!(
        *first,
        r#"answer: 200 {"Response": "Firmware update started"}"#
    );
    let statuses: Vec<&str> = statuses
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(
        statuses,
        ["standBy", "downloading", "applying", "completed"]
    );
    let reported: Value = serde_json::from_str(last).unwrap();
    assert_eq!(reported["firmwareStatus"], "completed");
    for stamp in [
        "logTime",
        "downloadComplete",
        "startedApplyingImage",
        "lastFirmwareUpdate",
    ] {
        assert!(reported[stamp].is_string(), "{stamp} in {reported}");
    }
}

#[test]
fn their_device_with_their_service_program() {
    let Some(stage) = Stage::build() else { return };
    let device = stage.device();
    judge_service(&stage.service());
    device.line_with("completed");
}

#[test]
fn their_device_with_our_update() {
    let Some(stage) = Stage::build() else { return };
    let device = stage.device();
    let home = Home::on(&stage.emulator);
    for run in 1..=2 {
        let ended = home.run(&["update", ID, "--uri", URI, "--json"]);
        assert_eq!(ended.code, 0, "run {run}: {ended:?}");
        let events = ended.events();
        let accepted = events
            .iter()
            .find(|e| e["event"] == "update.accepted")
            .unwrap();
        assert_eq!(accepted["status"], 200);
        assert_eq!(accepted["payload"]["Response"], "Firmware update started");
        let phases = events.iter().filter(|e| e["event"] == "update.phase");
        let mut phases: Vec<&str> = phases.map(|e| e["phase"].as_str().unwrap()).collect();
        phases.dedup();
        assert_eq!(phases, ["downloading", "applying", "done"], "run {run}");
        let verdict = events.last().unwrap();
        assert_eq!(verdict["event"], "update.verdict");
        assert_eq!(verdict["outcome"], "completed");
        assert_eq!(verdict["evidence"]["value"], "completed");
        assert_eq!(
            device.line_with("updating to"),
            format!("updating to {URI}")
        );
    }
}

#[test]
fn their_device_with_our_console() {
    let Some(stage) = Stage::build() else { return };
    let _device = stage.device();
    let mut terminal = Terminal::start(&Home::on(&stage.emulator), &[], 24, 80);
    terminal.shows(ID);
    terminal.press("\r");
    terminal.shows("ackage");
    terminal.press(URI);
    terminal.shows("fw-1.5.0.bin");
    terminal.press("\r");
    terminal.shows("firmwareUpdate");
    terminal.press("y");
    terminal.shows("downloading");
    terminal.shows("applying");
    let screen = terminal.shows("completed: ");
    assert!(screen.contains(ID), "{screen}");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn our_device_with_their_service_program() {
    let Some(stage) = Stage::build() else { return };
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("brisk.toml");
    let brisk = format!(
        "description = \"the tutorial's device, brisk\"\n[defaults]\ndialect = \"tutorial-2018\"\n\
         waiting = \"{STEP}s\"\ndownloading = \"{STEP}s\"\napplying = \"{STEP}s\"\n"
    );
    std::fs::write(&scenario, brisk).unwrap();
    let args = ["--scenario", scenario.to_str().unwrap()];
    let _device = stage.emulator.run_device(0, &args);
    judge_service(&stage.service());
}
