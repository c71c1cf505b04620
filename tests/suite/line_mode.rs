//! The console in lines: through pipes, and on a terminal that cannot be drawn on.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use otadeck::device::{self, Fleet};
use otadeck::emulator::{self, Emulator as Hub};
use otadeck::scenario::Scenario;
use rustix::process::Signal;

use super::support::program::{Emulator, Ended, Home, PATIENCE, binary, signal, wait};
use super::support::terminal::{SOON, Terminal};
use super::support::{id, tls};

const URI: &str = "https://example.test/fw-1.5.0.bin";

/// A hub in this process, so that it can be asked what has really arrived.
struct Counted {
    hub: Hub,
    fleet: Fleet,
}

impl Counted {
    async fn start(scenario: &str, devices: usize) -> Self {
        tls();
        let story = Scenario::load(scenario).unwrap().faster(4);
        let settings = emulator::Settings {
            conditions: story.hub().clone(),
            ..emulator::Settings::default()
        };
        let hub = Hub::start(settings).await.unwrap();
        let made = hub.create_identities("sim", devices).unwrap();
        let settings = made.iter().map(|(_, text)| device::Settings {
            ca_file: Some(hub.ca_file().to_owned()),
            ..device::Settings::new(
                device::ConnectionString::parse(text).unwrap(),
                story.rules(),
            )
        });
        let fleet = Fleet::start(settings.collect()).unwrap();
        fleet.ready().await;
        Self { hub, fleet }
    }

    /// A home with this hub as `plant`.
    fn home(&self, settings: &str) -> Home {
        let home = Home::new()
            .env("PLANT", &self.hub.ready_info().service_connection_string)
            .env("OTADECK_CA_FILE", self.hub.ca_file().to_str().unwrap());
        home.config(&format!("[hub.plant]\nsecret_env = \"PLANT\"\n{settings}"));
        home
    }

    /// Orders that the device has got.
    fn delivered(&self, device: &str) -> u64 {
        self.hub.method_counts(&id(device)).delivered
    }

    async fn end(self) {
        self.fleet.stop().await;
        self.hub.shutdown().await;
    }
}

fn order(device: &str) -> String {
    format!("update {device} {URI}\n")
}

fn line_with<'a>(text: &'a str, begin: &str) -> &'a str {
    let found = text.lines().find(|line| line.starts_with(begin));
    found.unwrap_or_else(|| panic!("no line begins with {begin:?}:\n{text}"))
}

/// Nothing that a screen needs, and nothing that a line cannot be.
fn assert_plain(ended: &Ended) {
    for text in [&ended.stdout, &ended.stderr] {
        let bad = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(bad, None, "{text}");
        let drawn = text.chars().find(|c| ('\u{2500}'..='\u{259f}').contains(c));
        assert_eq!(drawn, None, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 1_001));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_goes_through_a_pipe() {
    let counted = Counted::start("quick", 2).await;
    let home = counted.home("");
    let lines = format!("devices\n{}y\n", order("sim-0001"));
    let ended = home.run_with_stdin(&[], &lines);
    assert_eq!(ended.code, 0, "{ended:?}");
    let told = &ended.stdout;
    line_with(told, "sim-0002: connected, firmware ");
    line_with(told, "2 devices");
    line_with(told, "sim-0001: accepted, 200 ");
    line_with(told, "sim-0001: downloading");
    line_with(told, "sim-0001: applying");
    line_with(told, "completed: sim-0001 reports ");
    let percentages = told.matches(" %").count();
    assert!((1..=12).contains(&percentages), "{told}");
    let asked = &ended.stderr;
    for fact in [
        "Send this update?",
        "device: sim-0001",
        "hub: plant, localhost:",
        "package: https://example.test/fw-1.5.0.bin",
        "method: firmwareUpdate",
        "payload: {\"fwPackageUri\":",
        "Type yes to send it, no to go back.",
    ] {
        line_with(asked, fact);
        assert!(!told.contains(fact), "a question is no data: {told}");
    }
    assert_plain(&ended);
    assert_eq!(counted.delivered("sim-0001"), 1);
    assert_eq!(counted.delivered("sim-0002"), 0);
    // It is remembered.
    let past = home.run_with_stdin(&[], "history sim-0001\n");
    assert_eq!(past.code, 0, "{past:?}");
    line_with(&past.stdout, "completed: sim-0001, fw-1.5.0.bin, ");
    line_with(&past.stdout, "1 past update");
    counted.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_and_so_is_its_code() {
    let counted = Counted::start("fails", 1).await;
    let ended = counted
        .home("")
        .run_with_stdin(&[], &format!("{}yes\n", order("sim-0001")));
    assert_eq!(ended.code, 3, "{ended:?}");
    line_with(&ended.stdout, "failed: sim-0001 reports ");
    counted.end().await;
}

/// A question is answered by yes or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_yes_sends_nothing() {
    let counted = Counted::start("quick", 2).await;
    let home = counted.home("");
    let refused = "nothing was sent to any device";
    for (answer, code, told) in [
        ("", 8, "The question was not answered: "),
        ("n\n", 0, ""),
        ("\n", 8, "The question is taken back: "),
        // The yes is for another question, which never came.
        (
            order("sim-0002").as_str(),
            8,
            "The question is taken back: ",
        ),
        (
            &format!("{}y\n", order("sim-0002")),
            8,
            "No question is open.",
        ),
        ("quit\ny\n", 8, "No question is open."),
    ] {
        let ended = home.run_with_stdin(&[], &format!("{}{answer}", order("sim-0001")));
        assert_eq!(ended.code, code, "{answer:?} {ended:?}");
        assert!(ended.stderr.contains(told), "{answer:?} {ended:?}");
        let all = format!("{}{}", ended.stdout, ended.stderr);
        assert!(all.contains(refused), "{answer:?} {all}");
    }
    assert_eq!(counted.delivered("sim-0001"), 0);
    assert_eq!(counted.delivered("sim-0002"), 0);
    counted.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn production_is_confirmed_by_its_name() {
    let counted = Counted::start("quick", 1).await;
    let home = counted.home("environment = \"production\"\n");
    for answer in ["y\n", "plan\n", ""] {
        let ended = home.run_with_stdin(&[], &format!("{}{answer}", order("sim-0001")));
        assert_eq!(ended.code, 8, "{answer:?} {ended:?}");
        line_with(&ended.stderr, "hub: plant, PRODUCTION, ");
    }
    assert_eq!(counted.delivered("sim-0001"), 0);
    let ended = home.run_with_stdin(&[], &format!("{}plant\n", order("sim-0001")));
    assert_eq!(ended.code, 0, "{ended:?}");
    line_with(&ended.stdout, "completed: sim-0001");
    assert_eq!(counted.delivered("sim-0001"), 1);
    let read_only = home.run_with_stdin(&["--read-only"], &order("sim-0001"));
    assert_eq!(read_only.code, 8, "{read_only:?}");
    assert!(read_only.stderr.contains("plant is read-only."));
    counted.end().await;
}

#[test]
fn mistakes_in_a_pipe_are_told_and_count() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let home = Home::on(&emulator);
    let too_long = "x".repeat(20_000);
    for (lines, code, told) in [
        ("devcies\n", 2, "no command \"devcies\""),
        ("update sim-0001 example\n", 2, "Nothing was done."),
        (&*too_long, 2, "that line is too long"),
        ("device sim-0009\n", 5, "sim-0009"),
        (
            "update sim-0009 https://example.test/fw\ny\n",
            5,
            "Nothing was sent",
        ),
        (
            "update sim-0009 https://example.test/fw\n",
            5,
            "Nothing was sent",
        ),
        ("", 0, ""),
        (
            "devices sim\ndevice sim-0001\nupdates\nhelp\nlist\nquit\nnonsense\n",
            0,
            "",
        ),
    ] {
        let ended = home.run_with_stdin(&[], lines);
        assert_eq!(ended.code, code, "{lines:?} {ended:?}");
        assert!(ended.stderr.contains(told), "{lines:?} {ended:?}");
    }
}

#[test]
fn a_hub_that_is_not_there_is_told_and_counts() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let text = format!("HostName=localhost:{port};SharedAccessKeyName=s;SharedAccessKey=AAEC");
    let home = Home::new().env("OTADECK_CONNECTION_STRING", &text);
    for lines in [
        "devices\n",
        "device sim-0001\n",
        &format!("{}y\n", order("sim-0001")),
    ] {
        let ended = home.run_with_stdin(&[], lines);
        assert_eq!(ended.code, 1, "{lines:?} {ended:?}");
        assert!(ended.stderr.contains("no connection to"), "{ended:?}");
    }
    assert_eq!(home.run_with_stdin(&[], "").code, 0);
}

/// On a terminal that cannot be drawn on: the same, with a prompt, and nothing that
/// such a terminal does not know.
fn dumb(home: &Home, args: &[&str]) -> Terminal {
    let mut all = vec!["TERM=dumb", binary().to_str().unwrap()];
    all.extend(args);
    Terminal::start_program(Path::new("env"), home, &all, 40, 120)
}

#[test]
fn a_dumb_terminal_gets_lines_and_no_escape_sequence() {
    let home = Home::new();
    let mut terminal = dumb(&home, &["demo"]);
    terminal.shows("otadeck> ");
    assert_eq!(terminal.modes(), terminal.before, "it is not raw");
    terminal.shows("12 devices listed");
    terminal.press("devices sim-000\n").shows("9 of 12 devices");
    // What comes with the line was typed before the question could be heard.
    terminal.press(&format!("update sim-0002 {URI}\nyes\n"));
    terminal.shows("Type yes to send it");
    terminal.shows("yes or no> ");
    terminal.press("maybe\n").shows("That is no answer.");
    assert!(!terminal.screen().contains("accepted"));
    terminal.press("yes\n").shows("sim-0002: accepted");
    terminal.press("quit\n").shows("Quit? 1 update in flight.");
    terminal.press("no\n").shows("No: nothing was done.");
    terminal.shows("completed: sim-0002");
    terminal.press("quit\n");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(terminal.modes(), terminal.before);
    let raw = terminal.raw();
    let bad = raw
        .chars()
        .find(|c| c.is_control() && !matches!(c, '\r' | '\n'));
    assert_eq!(bad, None, "{raw:?}");
    let begin = raw.find("No: nothing was done.").unwrap();
    let sentences = raw[begin..].split("completed: ").next().unwrap();
    let prompts = sentences.matches("otadeck> ").count();
    assert!(prompts <= 1, "none stands between sentences: {raw:?}");
    // A carriage return only ends lines: nothing is drawn over.
    assert_eq!(raw.matches('\r').count(), raw.matches("\r\n").count());
}

#[test]
fn plain_is_the_same_on_any_terminal() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let mut terminal = Terminal::start(&Home::on(&emulator), &["--plain"], 24, 80);
    terminal.shows("1 device listed");
    terminal
        .press("device sim-0001\n")
        .shows("reported firmwareStatus: standBy");
    // The terminal's end of input: nothing is in flight.
    terminal.press("\u{4}");
    assert_eq!(terminal.ends(), 0);
    assert!(!terminal.raw().contains('\u{1b}'), "{:?}", terminal.raw());
}

/// Ctrl-C ends the watching, not the update; the next start carries on and sends
/// nothing again.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_says_what_is_open_and_the_next_start_carries_on() {
    let counted = Counted::start("quick", 1).await;
    let home = counted.home("");
    let mut terminal = dumb(&home, &[]);
    terminal.shows("1 device listed");
    terminal.press(&order("sim-0001")).shows("yes or no> ");
    terminal.press("y\n").shows("sim-0001: downloading");
    terminal.press("\u{3}");
    assert_eq!(terminal.ends(), 130);
    let screen = terminal.screen();
    assert!(screen.contains("Still open: sim-0001"), "{screen}");
    assert!(screen.contains("otadeck watch --resume"), "{screen}");
    let resumed = home.run_with_stdin(&[], "");
    assert_eq!(resumed.code, 0, "{resumed:?}");
    line_with(&resumed.stdout, "completed: sim-0001");
    assert_eq!(counted.delivered("sim-0001"), 1);
    counted.end().await;
}

/// A console that is told more than it can say: its process, and the thread that types.
fn talkative(home: &Home) -> Child {
    let mut command = home.command(&["--plain"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may end before it has read all.
    std::thread::spawn(move || stdin.write_all("help\n".repeat(5_000).as_bytes()));
    child
}

#[test]
fn a_reader_that_leaves_ends_it_as_it_ends_any_program() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let mut child = talkative(&Home::on(&emulator));
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 16]).unwrap();
    drop(stdout);
    assert_eq!(wait(child, &["--plain"]).code, 141);
}

#[test]
fn a_reader_that_reads_no_more_does_not_keep_it_from_ending() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let mut child = talkative(&Home::on(&emulator));
    let stdout = child.stdout.take().unwrap();
    let began = Instant::now();
    // How many bytes fill a pipe depends on how they are cut: it is full when no more
    // come.
    let (mut held, mut since) = (0, Instant::now());
    while held < 16_000 || since.elapsed() < Duration::from_millis(500) {
        assert!(began.elapsed() < PATIENCE, "it does not fill the pipe");
        std::thread::sleep(Duration::from_millis(20));
        let now = rustix::io::ioctl_fionread(&stdout).unwrap();
        if now != held {
            (held, since) = (now, Instant::now());
        }
    }
    let told = Instant::now();
    signal(child.id(), Signal::TERM);
    assert_eq!(wait(child, &["--plain"]).code, 143);
    assert!(told.elapsed() < SOON, "{:?}", told.elapsed());
}
