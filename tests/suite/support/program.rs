//! The real binary, in an environment of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before the test says that it hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A home folder of its own, and the settings that every process started from
/// here gets. Nothing of the outer environment comes through.
pub struct Home {
    pub folder: TempDir,
    env: Vec<(String, String)>,
}

impl Home {
    /// Trusts a certificate of nobody, so that it needs none of the system's.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nobody = rcgen::generate_simple_self_signed(vec!["nobody.invalid".into()]);
        let file = folder.path().join("nobody.pem");
        std::fs::write(&file, nobody.unwrap().cert.pem()).unwrap();
        let home = Self {
            folder,
            env: Vec::new(),
        };
        home.config("");
        home.env("OTADECK_CA_FILE", file.to_str().unwrap())
    }

    /// A home whose hub is this emulator.
    pub fn on(emulator: &Emulator) -> Self {
        Self::new()
            .env("OTADECK_CONNECTION_STRING", &emulator.service())
            .env("OTADECK_CA_FILE", &emulator.ca_file())
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(n, _)| n != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes the configuration file. Unless it says how to update, the servers
    /// of packages are not asked: tests stay on this machine.
    pub fn config(&self, text: &str) {
        let text = match text.contains("[update]") {
            true => text.to_owned(),
            false => format!("{text}\n[update]\nask_package_server = false\n"),
        };
        let folder = self.folder.path().join(".config/otadeck");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.toml"), text).unwrap();
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join(".local/state/otadeck")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("USER", "ana")
            .env("SUDO_USER", "ana")
            .envs(self.env.iter().map(|(n, v)| (n, v)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, args: &[&str]) -> Ended {
        self.run_with_stdin(args, "")
    }

    pub fn run_with_stdin(&self, args: &[&str], stdin: &str) -> Ended {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(stdin.as_bytes())
            .unwrap();
        wait(child, args)
    }

    /// Starts the program; it is ended with the value.
    pub fn spawn(&self, args: &[&str]) -> Running {
        Running::start(self.command(args))
    }
}

pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_otadeck"))
}

/// How the program ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Each line of stdout as JSON.
    pub fn events(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.stdout.lines().map(parse).collect()
    }

    /// The names of the events.
    pub fn names(&self) -> Vec<String> {
        let name = |e: &Value| e["event"].as_str().unwrap_or_default().to_owned();
        self.events().iter().map(name).collect()
    }
}

/// Waits for the end of a process, with a limit.
pub fn wait(child: Child, what: &[&str]) -> Ended {
    let pid = child.id();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let output: Output = match receiver.recv_timeout(PATIENCE) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            signal(pid, Signal::KILL);
            panic!("hangs: otadeck {}", what.join(" "));
        }
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8 comes out");
    use std::os::unix::process::ExitStatusExt;
    let status = output.status;
    Ended {
        code: status
            .code()
            .unwrap_or_else(|| -status.signal().unwrap_or_default()),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

pub fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may have ended by itself.
    let _ = kill_process(pid, signal);
}

/// A program at work, its lines of stdout and stderr as they come.
pub struct Running {
    child: Option<Child>,
    out: mpsc::Receiver<String>,
    err: mpsc::Receiver<String>,
}

impl Running {
    /// Starts any program so.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let out = lines(child.stdout.take().unwrap());
        let err = lines(child.stderr.take().unwrap());
        Self {
            child: Some(child),
            out,
            err,
        }
    }

    /// The next line of stdout.
    pub fn line(&self) -> String {
        self.out
            .recv_timeout(PATIENCE)
            .expect("another line of stdout")
    }

    /// Waits for so many lines of stdout, for its end, or for so long.
    pub fn lines_within(&self, count: usize, time: Duration) {
        let end = std::time::Instant::now() + time;
        for _ in 0..count {
            let left = end.saturating_duration_since(std::time::Instant::now());
            if self.out.recv_timeout(left).is_err() {
                return;
            }
        }
    }

    /// Lines of stdout until one holds `text`; that one.
    pub fn line_with(&self, text: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Lines of stderr until one holds `text`; that one.
    pub fn complaint_with(&self, text: &str) -> String {
        loop {
            let line = self
                .err
                .recv_timeout(PATIENCE)
                .expect("another line of stderr");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn signal(&self, which: Signal) {
        signal(self.child.as_ref().unwrap().id(), which);
    }

    /// Waits for its end; the exit code, negative for a signal.
    pub fn wait(&mut self) -> i32 {
        wait(self.child.take().unwrap(), &["(spawned)"]).code
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn lines(stream: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// An emulator as a process of its own.
pub struct Emulator {
    pub running: Running,
    pub ready: Value,
    _home: Home,
}

impl Emulator {
    /// Starts one on ports that the system picks, with more arguments.
    pub fn start(args: &[&str]) -> Self {
        let home = Home::new();
        let mut all = vec![
            "emulator",
            "--https",
            "127.0.0.1:0",
            "--mqtt",
            "127.0.0.1:0",
        ];
        all.extend(args);
        let running = home.spawn(&all);
        let ready = serde_json::from_str(&running.line()).unwrap();
        Self {
            running,
            ready,
            _home: home,
        }
    }

    pub fn service(&self) -> String {
        self.ready["serviceConnectionString"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub fn ca_file(&self) -> String {
        self.ready["caFile"].as_str().unwrap().to_owned()
    }

    /// The connection string of the n-th device.
    pub fn device(&self, n: usize) -> String {
        let device = &self.ready["devices"][n]["connectionString"];
        device.as_str().unwrap().to_owned()
    }

    /// Starts a device process on the n-th identity and waits until it has
    /// reported.
    pub fn run_device(&self, n: usize, args: &[&str]) -> Running {
        let home = Home::new()
            .env("OTADECK_DEVICE_CONNECTION_STRING", &self.device(n))
            .env("OTADECK_CA_FILE", &self.ca_file());
        let mut all = vec!["device"];
        all.extend(args);
        let device = home.spawn(&all);
        device.complaint_with("reported");
        device
    }
}
