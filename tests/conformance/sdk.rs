//! Where the official SDKs are, and which versions they must have.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value};

/// A generation of the official SDKs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// The current Python packages.
    Python,
    /// The current Node packages.
    Node,
    /// The Node packages of 2018, when the tutorial was written.
    Node2018,
}

/// SDKs that are here.
pub struct Installed {
    pub sdk: Sdk,
    folder: PathBuf,
}

impl Sdk {
    /// The SDKs, or a line on stderr that says why the test is skipped.
    pub fn find(self) -> Option<Installed> {
        match self.look() {
            Ok(folder) => Some(Installed { sdk: self, folder }),
            Err(why) => {
                // Past the test harness, which keeps a passing test's words.
                let _ = writeln!(std::io::stderr(), "skipped ({self:?}): {why}");
                None
            }
        }
    }

    fn look(self) -> Result<PathBuf, String> {
        let sdks = std::env::var_os("OTADECK_SDKS").map(PathBuf::from);
        let sdks =
            sdks.ok_or("OTADECK_SDKS names no folder of official SDKs; .ci/run makes one")?;
        let (name, part) = match self {
            Self::Python => ("python", "bin/python"),
            Self::Node => ("node", "node_modules/azure-iothub/package.json"),
            Self::Node2018 => ("node-2018", "node_modules/azure-iothub/package.json"),
        };
        let folder = sdks.join(name);
        if !folder.join(part).exists() {
            return Err(format!("there is no {}", folder.join(part).display()));
        }
        if self != Self::Python && Command::new("node").arg("--version").output().is_err() {
            return Err("there is no node in PATH".to_owned());
        }
        Ok(folder)
    }

    /// The pinned versions, by package.
    pub fn pins(self) -> Value {
        let dependencies = |json: &str| {
            let package: Value = serde_json::from_str(json).unwrap();
            package["dependencies"].clone()
        };
        match self {
            Self::Python => {
                let lines = include_str!("python/requirements.txt").lines();
                let pins = lines.filter_map(|line| line.split_once("=="));
                let pins = pins.map(|(name, version)| (name.to_owned(), version.into()));
                Value::Object(pins.collect::<Map<_, _>>())
            }
            Self::Node => dependencies(include_str!("node/package.json")),
            Self::Node2018 => dependencies(include_str!("node-2018/package.json")),
        }
    }
}

/// Where the scripts are.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

/// What the client's name look-up makes of a host and a port: outside the SDK,
/// which knows only ports 443 and 8883.
pub struct Redirect {
    pub host: String,
    pub https: u16,
    pub mqtt: u16,
}

impl Redirect {
    fn rules(&self, also: &[&str]) -> String {
        let hosts = [self.host.as_str()].into_iter().chain(also.iter().copied());
        let rules = hosts.map(|host| {
            let (https, mqtt) = (self.https, self.mqtt);
            format!("{host}:443=127.0.0.1:{https} {host}:8883=127.0.0.1:{mqtt}")
        });
        rules.collect::<Vec<_>>().join(" ")
    }
}

/// A name that leads to the hub and is not in its certificate.
pub const OTHER_NAME: &str = "another-hub.test";

impl Installed {
    /// A script of this SDK in an environment that holds nothing of the outer
    /// one; `ca` is the authority to trust, if any.
    pub fn command(&self, script: &str, redirect: &Redirect, ca: Option<&Path>) -> Command {
        let (program, first, language) = match self.sdk {
            Sdk::Python => (self.folder.join("bin/python"), Vec::new(), "python"),
            Sdk::Node | Sdk::Node2018 => {
                let patch = scripts().join("node/redirect.js");
                let require: Vec<OsString> = vec!["--require".into(), patch.into()];
                (PathBuf::from("node"), require, "node")
            }
        };
        let extension = if language == "python" { "py" } else { "js" };
        let script = scripts()
            .join(language)
            .join(format!("{script}.{extension}"));
        let mut command = Command::new(program);
        command
            .args(first)
            .arg(script)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("PYTHONPATH", scripts().join("python/redirect"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUNBUFFERED", "1")
            .env("NODE_PATH", self.folder.join("node_modules"))
            .env("CONFORMANCE_REDIRECT", redirect.rules(&[OTHER_NAME]));
        if let Some(ca) = ca {
            command
                .env("REQUESTS_CA_BUNDLE", ca)
                .env("NODE_EXTRA_CA_CERTS", ca)
                .env("CONFORMANCE_CA", ca);
        }
        command
    }
}
