//! The signature of a signed URI: while its update is open it is in its own file,
//! for its owner alone, and afterwards nowhere. The real program writes its
//! output into files, so that one search finds all that it leaves.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Instant;

use otadeck::domain::evidence::sha256;
use rustix::process::Signal;

use super::support::program::{Emulator, Home, PATIENCE, Running, signal, wait};
use super::support::terminal::Terminal;

const SIGNATURE: &str = "s3cr3t-Signature-0987";

fn uri(n: usize) -> String {
    format!("https://example.test/fw-1.5.{n}.bin?sv=2026&se=2099-01-01T00:00:00Z&sig={SIGNATURE}")
}

/// A hub with a device that reports the whole URI back.
struct Bench {
    emulator: Emulator,
    _device: Running,
    _scenario: tempfile::TempDir,
}

impl Bench {
    fn with(device: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scenario.toml");
        let text = format!("description = \"a test\"\n[defaults]\n{device}\n");
        fs::write(&path, text).unwrap();
        let emulator = Emulator::start(&["--identities", "1"]);
        let device = emulator.run_device(0, &["--scenario", path.to_str().unwrap()]);
        Self {
            emulator,
            _device: device,
            _scenario: folder,
        }
    }

    /// One that takes the order and says where its package is from.
    fn talkative() -> Self {
        Self::with(
            "uri = \"full\"\npercent = true\nwaiting = \"500ms\"\n\
             downloading = \"3s\"\ndownloaded = \"500ms\"\napplying = \"1s\"",
        )
    }
}

/// All files below a folder that hold the signature.
fn holders(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holders(&path));
        } else if let Ok(bytes) = fs::read(&path) {
            // It may be gone by now: then it holds nothing.
            let signature = SIGNATURE.as_bytes();
            if bytes.windows(signature.len()).any(|w| w == signature) {
                found.push(path);
            }
        }
    }
    found
}

/// Where the URI may be.
fn its_file(home: &Home, uri: &str) -> PathBuf {
    home.state().join("secrets").join(sha256(uri))
}

/// The signature is in its file and nowhere else.
fn assert_only_in_its_file(home: &Home, uri: &str) {
    let file = its_file(home, uri);
    assert_eq!(holders(home.folder.path()), std::slice::from_ref(&file));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
}

fn assert_nowhere(home: &Home) {
    let none: [PathBuf; 0] = [];
    assert_eq!(holders(home.folder.path()), none);
    let journal = fs::metadata(home.state().join("journal.db")).unwrap();
    assert!(journal.len() > 0, "it was the journal that was searched");
}

/// A program whose output goes into files of its home.
struct Recorded {
    child: Option<Child>,
    out: PathBuf,
}

impl Recorded {
    fn start(home: &Home, args: &[&str], stdin: Option<&str>) -> Self {
        let name = |end: &str| home.folder.path().join(format!("{}.{end}", args[0]));
        let mut command = home.command(args);
        command.stdout(File::create(name("out")).unwrap());
        command.stderr(File::create(name("err")).unwrap());
        if stdin.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().unwrap();
        if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
            std::io::Write::write_all(&mut pipe, text.as_bytes()).unwrap();
        }
        Self {
            child: Some(child),
            out: name("out"),
        }
    }

    /// Waits until it has said that on stdout.
    fn says(&self, text: &str) {
        let began = Instant::now();
        while !fs::read_to_string(&self.out).unwrap().contains(text) {
            assert!(began.elapsed() < PATIENCE, "it does not say {text}");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    fn ends(&mut self) -> i32 {
        wait(self.child.take().unwrap(), &["(recorded)"]).code
    }

    fn kill(&mut self) {
        let child = self.child.take().unwrap();
        signal(child.id(), Signal::KILL);
        wait(child, &["(killed)"]);
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// By the flag, by stdin, by the environment; the device reports it back in its
/// twin each time; the log says all that it can.
#[test]
fn a_signature_is_in_its_file_while_the_update_is_open_and_nowhere_afterwards() {
    let bench = Bench::talkative();
    for (n, way) in ["flag", "stdin", "environment"].into_iter().enumerate() {
        let uri = uri(n);
        let mut home = Home::on(&bench.emulator).env("OTADECK_LOG", "trace");
        let mut args = vec!["update", "idle-0001", "--json"];
        let mut stdin = None;
        match way {
            "flag" => args.extend(["--uri", uri.as_str()]),
            "stdin" => {
                args.extend(["--uri", "-"]);
                stdin = Some(uri.as_str());
            }
            _ => home = home.env("OTADECK_PACKAGE_URI", &uri),
        }
        let mut update = Recorded::start(&home, &args, stdin);
        update.says("\"phase\":\"downloading\"");
        assert_only_in_its_file(&home, &uri);
        assert_eq!(update.ends(), 0, "{way}");
        assert_nowhere(&home);
        let out = fs::read_to_string(&update.out).unwrap();
        assert!(
            out.contains("sig=***"),
            "{way}: the device did report it\n{out}"
        );
    }
}

#[test]
fn a_killed_process_leaves_it_in_its_file_until_somebody_settles_the_update() {
    let bench = Bench::talkative();
    let home = Home::on(&bench.emulator);
    let uri = uri(0);
    let args = ["update", "idle-0001", "--json", "--uri", "-"];
    let mut update = Recorded::start(&home, &args, Some(&uri));
    update.says("\"phase\":\"downloading\"");
    update.kill();
    assert_only_in_its_file(&home, &uri);
    let mut watch = Recorded::start(&home, &["watch", "--resume", "--json"], None);
    assert_eq!(watch.ends(), 0);
    let said = fs::read_to_string(&watch.out).unwrap();
    assert!(said.contains("\"outcome\":\"completed\""), "{said}");
    assert_nowhere(&home);
}

/// Nobody knows whether the order arrived, and its process is gone. The console
/// takes the update up; it is given up there, and its package is sent again
/// without being pasted.
#[test]
fn the_console_offers_the_package_of_an_update_that_a_crash_left_unknown() {
    let bench = Bench::with("silent = true");
    let home = Home::on(&bench.emulator);
    home.config("[update]\nresponse_timeout = \"5s\"\nask_package_server = false\n");
    let uri = uri(0);
    let args = ["update", "idle-0001", "--json", "--uri", "-"];
    let mut update = Recorded::start(&home, &args, Some(&uri));
    update.says("\"state\":\"unknown\"");
    update.kill();
    assert_only_in_its_file(&home, &uri);
    let mut terminal = Terminal::start(&home, &[], 40, 120);
    terminal.shows("idle-0001");
    terminal.shows("unknown");
    terminal.press("\r");
    terminal.press("x");
    terminal.until("the question", |screen| {
        screen.contains("Give this update up")
    });
    terminal.press("y");
    terminal.until("the end", |screen| screen.contains("given up"));
    let nowhere = || holders(home.folder.path()).is_empty();
    until(nowhere, "the file is removed with the verdict");
    terminal.press("\r");
    terminal.shows("recent");
    terminal.press("\x1b[B").press("\r");
    terminal.press("\r");
    terminal.shows("firmwareUpdate");
    terminal.press("y");
    let open = || holders(home.folder.path()) == [its_file(&home, &uri)];
    until(open, "the package is sent again");
    // Of this order, not of the one before.
    terminal.until("nobody knows again", |screen| {
        screen.contains("unknown") && !screen.contains("given up")
    });
    terminal.press("x");
    terminal.until("the question again", |screen| {
        screen.contains("Give this update up")
    });
    terminal.press("y");
    until(nowhere, "the file is removed again");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
    assert!(!terminal.raw().contains(SIGNATURE));
    assert_nowhere(&home);
}

fn until(wanted: impl Fn() -> bool, what: &str) {
    let began = Instant::now();
    while !wanted() {
        assert!(began.elapsed() < PATIENCE, "it never happens: {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
