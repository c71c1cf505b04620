//! Sign-in by the Azure command line: the real program, the emulator with a file of
//! tokens that it lets in, and an `az` of the test's own before all others.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::program::{Emulator, Home, PATIENCE, Running};
use super::support::server::{Reaction, Request, Server};
use super::support::terminal::Terminal;

const TOKEN: &str = "eyJ0eXAiOiJKV1QifQ.c2VjcmV0LW9mLWFuYQ.c2ln";
const OTHER: &str = "eyJ0eXAiOiJKV1QifQ.c2VjcmV0LW9mLWJlYQ.c2ln";
const URI: &str = "https://example.test/fw-1.5.0.bin";

/// A home whose only hub is signed in to by `az`, with the emulator's file of tokens.
struct Bench {
    home: Home,
    bearers: tempfile::TempDir,
    _emulator: Emulator,
}

impl Bench {
    fn new(devices: u32) -> Self {
        let bearers = tempfile::tempdir().unwrap();
        std::fs::write(bearers.path().join("tokens"), TOKEN).unwrap();
        let (file, devices) = (bearers.path().join("tokens"), devices.to_string());
        let file = file.to_str().unwrap();
        let emulator = Emulator::start(&["--bearer-file", file, "--devices", &devices]);
        let port = &emulator.ready["httpsPort"];
        let home = home(&format!("localhost:{port}"), &emulator.ca_file());
        Self {
            home,
            bearers,
            _emulator: emulator,
        }
    }

    /// The same with a variable.
    fn env(self, name: &str, value: &str) -> Self {
        let home = self.home.env(name, value);
        Self { home, ..self }
    }

    /// From now on the hub lets in these tokens alone.
    fn lets_in(&self, tokens: &[&str]) {
        std::fs::write(self.bearers.path().join("tokens"), tokens.join("\n")).unwrap();
    }
}

/// A home whose only hub is that one; no `az` yet.
fn home(host: &str, ca_file: &str) -> Home {
    let home = Home::new();
    home.config(&format!(
        "[hub.plant]\nsign_in = \"azure-cli\"\nhost = \"{host}\"\nca_file = \"{ca_file}\"\n"
    ));
    let folder = home.folder.path().join("bin");
    std::fs::create_dir(&folder).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.display());
    home.env("PATH", &path)
}

/// The shell script that is run as `az`. Each run leaves a line in the file `runs`.
fn az(home: &Home, script: &str) {
    let path = home.folder.path().join("bin/az");
    let runs = runs_file(home);
    let text = format!("#!/bin/sh\necho \"$*\" >> '{}'\n{script}\n", runs.display());
    // Another one takes its place whole: it may be being run.
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// An `az` that gives that token, for so many seconds.
fn gives(home: &Home, token: &str, seconds: u32) {
    az(home, &giving(token, seconds));
}

fn giving(token: &str, seconds: u32) -> String {
    format!(
        "echo \"{{\\\"accessToken\\\":\\\"{token}\\\",\\\"expires_on\\\":$(( $(date +%s) + {seconds} )),\
         \\\"expiresOn\\\":\\\"2000-01-01 00:00:00.000000\\\",\\\"tokenType\\\":\\\"Bearer\\\"}}\""
    )
}

fn runs_file(home: &Home) -> PathBuf {
    home.folder.path().join("runs")
}

fn runs(home: &Home) -> Vec<String> {
    let text = std::fs::read_to_string(runs_file(home)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Nothing that the program has left or said holds a token.
fn nothing_holds_a_token(home: &Home, said: &[&str]) {
    for text in said {
        assert!(!text.contains("eyJ"), "{text}");
    }
    let mut folders = vec![home.state()];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            read += 1;
            let bytes = std::fs::read(entry.path()).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("eyJ0eXAi"), "{}", entry.path().display());
        }
    }
    assert!(read > 0 || said.len() > 1, "something was looked at");
}

#[test]
fn an_update_is_signed_in_to_once_and_leaves_no_token() {
    let bench = Bench::new(2).env("OTADECK_LOG", "debug");
    let home = &bench.home;
    gives(home, TOKEN, 3_600);
    let ended = home.run(&["devices"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("sim-0002"), "{ended:?}");
    let ended = home.run(&["update", "sim-0001", "--uri", URI, "--json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let arguments = "account get-access-token --resource https://iothubs.azure.net --output json";
    assert_eq!(runs(home), [arguments, arguments], "once a program");
    nothing_holds_a_token(home, &[&ended.stdout, &ended.stderr]);
}

#[rstest::rstest]
#[case(
    "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1",
    4,
    &["nobody is signed in", "az login"]
)]
#[case(
    "echo 'ERROR: AADSTS50020: User account does not exist in tenant Contoso' >&2; exit 1",
    4,
    &["tenant", "AADSTS50020", "az login --tenant"]
)]
#[case("echo 'ERROR: it broke eyJ0eXAi.x.y' >&2; exit 3", 4, &["failed: it broke ***"])]
#[case("echo hello", 4, &["is no token", "az account get-access-token"])]
#[case("echo '{}'", 4, &["is no token"])]
#[case("yes", 4, &["is no token", "far too long"])]
#[case(
    "echo '{\"accessToken\":\"eyJ0eXAi\",\"expires_on\":1700000000}'",
    4,
    &["has ended", "clock", "az login"]
)]
#[case(
    "echo 'ERROR: HTTPSConnectionPool: Max retries exceeded with url: /' >&2; exit 1",
    1,
    &["does not reach Entra ID", "HTTPS_PROXY"]
)]
fn what_az_says_instead_of_a_token(
    #[case] script: &str,
    #[case] code: i32,
    #[case] words: &[&str],
) {
    // Nothing is sent, so nobody needs to listen.
    let home = home("localhost:1", "/nonexistent");
    az(&home, script);
    let ended = home.run(&["devices"]);
    assert_eq!(ended.code, code, "{ended:?}");
    for word in words.iter().chain(&["Nothing was sent"]) {
        assert!(ended.stderr.contains(word), "no {word} in {}", ended.stderr);
    }
    assert!(ended.stdout.is_empty(), "{ended:?}");
    nothing_holds_a_token(&home, &[&ended.stderr, &ended.stdout]);
    let update = home.run(&["update", "sim-0001", "--uri", URI]);
    assert_eq!(update.code, code, "{update:?}");
    nothing_holds_a_token(&home, &[&update.stderr, &update.stdout]);
}

#[test]
fn without_az_it_says_what_to_install() {
    let home = home("localhost:1", "/nonexistent").env("PATH", "bin:.:/nonexistent");
    // One in the current folder is none.
    az(&home, "echo it was run; exit 1");
    let ended = home.run(&["devices"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    for word in [
        "no folder of PATH has it",
        "https://aka.ms/azure-cli",
        "secret_env",
    ] {
        assert!(ended.stderr.contains(word), "no {word} in {}", ended.stderr);
    }
    assert!(runs(&home).is_empty());
}

/// Whose account has no role is told which one, and who gives it.
#[rstest::rstest]
#[case(401, "IotHubUnauthorizedAccess")]
#[case(403, "IotHubForbidden")]
fn without_a_role_it_is_named(#[case] status: u16, #[case] name: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let body = json!({"Message": format!("ErrorCode:{name};no"), "ExceptionMessage": ""});
    let react = move |request: Request| {
        let sent = request
            .headers
            .iter()
            .find(|(name, _)| name == "authorization");
        assert_eq!(
            sent.map(|(_, value)| value.as_str()),
            Some(&*format!("Bearer {TOKEN}"))
        );
        std::future::ready(Reaction::json(status, &body))
    };
    let server = runtime.block_on(Server::start(react));
    let ca = server.ca.path().to_str().unwrap().to_owned();
    let home = home(&format!("localhost:{}", server.addr.port()), &ca);
    gives(&home, TOKEN, 3_600);
    let ended = home.run(&["devices"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    let words = [
        "IoT Hub Data Contributor",
        "Nothing was done",
        "az account show",
    ];
    for word in words {
        assert!(ended.stderr.contains(word), "no {word} in {}", ended.stderr);
    }
}

/// The token ends in the middle of an update, by its own word and by the hub's.
#[test]
fn a_token_is_renewed_before_it_ends_and_once_after_a_401() {
    let bench = Bench::new(1);
    let home = &bench.home;
    gives(home, TOKEN, 8);
    let args = ["update", "sim-0001", "--uri", URI, "--json"];
    let mut update = home.spawn(&args);
    until(&mut update, |e| e["event"] == "update.phase");
    assert_eq!(runs(home).len(), 1);
    // Another account has signed in meanwhile; the old token is good for nothing.
    bench.lets_in(&[OTHER]);
    gives(home, OTHER, 3_600);
    let verdict = until(&mut update, |e| {
        assert!(e["event"] != "link" || e["state"] == "online", "{e}");
        e["event"] == "update.verdict"
    });
    assert_eq!(verdict["outcome"], "completed", "{verdict}");
    assert_eq!(update.wait(), 0);
    assert_eq!(runs(home).len(), 2, "asked once more, by one of all calls");
}

/// Events until one is as wanted; that one.
fn until(program: &mut Running, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let event: Value = serde_json::from_str(&program.line()).unwrap();
        if wanted(&event) {
            return event;
        }
    }
}

/// While `az` hangs the console lives; when somebody has signed in, it goes on by
/// itself.
#[test]
fn the_console_lives_while_az_hangs_and_goes_on_when_it_gives_a_token() {
    let bench = Bench::new(2);
    let go = bench.home.folder.path().join("go");
    let wait = format!("while ! test -e '{}'; do sleep 0.1; done", go.display());
    az(&bench.home, &format!("{wait}\n{}", giving(TOKEN, 3_600)));
    let mut terminal = Terminal::start(&bench.home, &[], 24, 80);
    terminal.shows("Listing the hub");
    // Longer than the hub may be silent: it was not asked yet.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(6) {
        terminal.press("?");
        terminal.until("the help", |s| s.contains("╭ Keys ─"));
        terminal.press("\x1b");
        let screen = terminal.shows("Listing the hub");
        assert!(!screen.contains("does not answer"), "{screen}");
        std::thread::sleep(Duration::from_millis(200));
    }
    std::fs::write(go, "").unwrap();
    terminal.shows("sim-0002");
    terminal.shows("online");
    assert!(!terminal.raw().contains("eyJ"));
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(runs(&bench.home).len(), 1, "one at a time");
}

#[test]
fn the_console_says_that_nobody_is_signed_in_and_goes_on_after_az_login() {
    let bench = Bench::new(1);
    az(
        &bench.home,
        "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1",
    );
    let mut terminal = Terminal::start(&bench.home, &[], 24, 80);
    terminal.shows("unauthorized");
    let screen = terminal.shows("az login");
    assert!(screen.contains("nobody is signed in"), "{screen}");
    assert!(screen.contains("Nothing was sent"), "{screen}");
    gives(&bench.home, TOKEN, 3_600);
    terminal.press("r");
    terminal.shows("sim-0001");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn the_configuration_is_checked_and_shown() {
    let home = home("localhost:1", "/dev/null");
    std::fs::write(
        home.folder.path().join("ca.pem"),
        "-----BEGIN CERTIFICATE-----",
    )
    .unwrap();
    home.config(
        "[hub.plant]\nsign_in = \"azure-cli\"\nhost = \"Plant.azure-devices.net\"\n\
         [hub.lab]\nsign_in = \"azure-cli\"\n\
         [hub.yard]\nsign_in = \"azure-cli\"\nhost = \"https://yard\"\n",
    );
    gives(&home, TOKEN, 3_600);
    let ended = home.run(&["config", "check"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    for line in [
        "ok  hub plant: plant.azure-devices.net; az gives a token, until 20",
        "✗   hub lab: hub \"lab\" has sign_in, and no host",
        "✗   hub yard: host \"https://yard\": it holds '/'",
    ] {
        assert!(ended.stdout.contains(line), "no {line} in {}", ended.stdout);
    }
    assert!(!ended.stdout.contains("eyJ"), "{}", ended.stdout);
    az(&home, "exit 1");
    let ended = home.run(&["config", "check", "--hub", "plant"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended
            .stdout
            .contains("✗   hub plant: the Azure command line failed"),
        "{ended:?}"
    );
    let shown = home.run(&["config", "show"]);
    assert!(shown.stdout.contains("\"azure-cli\""), "{shown:?}");
    // The past is told without a sign-in.
    let asked = runs(&home).len();
    let told = home.run(&["history", "--hub", "plant"]);
    assert_eq!((told.code, runs(&home).len()), (0, asked), "{told:?}");
}

/// What hangs for good is ended, and said.
#[test]
fn an_az_that_hangs_is_ended() {
    let home = home("localhost:1", "/nonexistent");
    az(&home, "sleep 600 & echo $! > pid; wait");
    let began = Instant::now();
    let ended = home.run(&["devices"]);
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(
        ended.stderr.contains("gave no token within 30 s"),
        "{ended:?}"
    );
}

/// Whoever quits while `az` hangs leaves nothing behind.
#[test]
fn an_az_that_hangs_ends_with_the_console() {
    let bench = Bench::new(1);
    let file = bench.home.folder.path().join("pid");
    az(
        &bench.home,
        "sleep 600 & echo $! > pid.new; mv pid.new pid; wait",
    );
    let mut terminal = Terminal::start(&bench.home, &[], 24, 80);
    terminal.shows("Listing the hub");
    let began = Instant::now();
    while !file.exists() {
        assert!(began.elapsed() < PATIENCE, "az is not run");
        std::thread::sleep(Duration::from_millis(10));
    }
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
    let pid = std::fs::read_to_string(file).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    // Gone, or dead and not yet taken leave of.
    while std::fs::read_to_string(&stat).is_ok_and(|s| !s.contains(") Z ")) {
        assert!(began.elapsed() < PATIENCE, "it goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}
