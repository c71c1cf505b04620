//! Whatever the network does: it is said on the screen and in the events, nothing
//! is sent twice, and all goes on when it is over. A proxy of the test's own
//! stands between the real program and the real emulator.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::faulty::{Fault, Faulty};
use super::support::program::{Emulator, Home, PATIENCE, Running};
use super::support::server::{Reaction, Request, Server};
use super::support::terminal::Terminal;

const URI: &str = "https://example.test/fw-1.5.0.bin";

/// A device that takes its time, so that there is some left to be disturbed in.
const STORY: &str = r#"
description = "a device that takes its time"
lesson = "none"
[defaults]
firmware = "1.4.2"
percent = true
waiting = "1s"
downloading = "8s"
applying = "6s"
"#;

/// An emulator with devices, and the proxy before it.
struct Bench {
    _emulator: Emulator,
    proxy: Faulty,
    home: Home,
}

impl Bench {
    fn new(devices: u32) -> Self {
        Self::with(STORY, devices)
    }

    fn with(story: &str, devices: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("story.toml");
        std::fs::write(&file, story).unwrap();
        let devices = devices.to_string();
        let emulator =
            Emulator::start(&["--devices", &devices, "--scenario", file.to_str().unwrap()]);
        let port = emulator.ready["httpsPort"].as_u64().unwrap();
        let proxy = Faulty::before(u16::try_from(port).unwrap());
        let home = Home::on(&emulator).env(
            "OTADECK_CONNECTION_STRING",
            &with_host(&emulator.service(), &format!("localhost:{}", proxy.port())),
        );
        Self {
            _emulator: emulator,
            proxy,
            home,
        }
    }

    /// Starts an update and waits until the device is at work.
    fn update(&self, device: &str) -> Watching {
        let args = ["update", device, "--uri", URI, "--json"];
        let mut watching = Watching {
            program: self.home.spawn(&args),
            events: Vec::new(),
        };
        watching.until("a phase", |e| e["event"] == "update.phase");
        watching
    }
}

/// The same connection string with another host.
fn with_host(text: &str, host: &str) -> String {
    let parts = text
        .split(';')
        .map(|part| match part.strip_prefix("HostName=") {
            Some(_) => format!("HostName={host}"),
            None => part.to_owned(),
        });
    parts.collect::<Vec<_>>().join(";")
}

/// A program that tells events.
struct Watching {
    program: Running,
    events: Vec<Value>,
}

impl Watching {
    /// Events until one is as wanted; that one.
    fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < PATIENCE, "no {what}: {:#?}", self.events);
            let event: Value = serde_json::from_str(&self.program.line()).unwrap();
            self.events.push(event.clone());
            if wanted(&event) {
                return event;
            }
        }
    }

    fn link(&mut self, state: &str) -> Value {
        self.until(state, |e| e["event"] == "link" && e["state"] == state)
    }

    fn named(&self, name: &str) -> Vec<&Value> {
        let named = self.events.iter().filter(|e| e["event"] == name);
        named.collect()
    }

    /// It ends well; the order went out once, and the device ran once: it would
    /// begin another run for another order.
    fn completes(&mut self) {
        let verdict = self.until("verdict", |e| e["event"] == "update.verdict");
        assert_eq!(verdict["outcome"], "completed", "{:#?}", self.events);
        assert_eq!(self.program.wait(), 0);
        assert_eq!(self.named("update.invoked").len(), 1);
        let phases = self.named("update.phase").into_iter();
        let mut phases: Vec<&str> = phases.filter_map(|e| e["phase"].as_str()).collect();
        phases.dedup();
        let order = ["idle", "downloading", "applying", "done"];
        let place = |phase: &&str| order.iter().position(|p| p == phase);
        assert!(phases.is_sorted_by_key(place), "one run: {phases:?}");
    }
}

/// What a test does to the network for a while, with an update under way: it is
/// said, with tries and times, and the update is seen to its end.
fn outage(fault: Fault) -> (Bench, Watching) {
    let bench = Bench::new(1);
    let mut watching = bench.update("sim-0001");
    bench.proxy.is(fault);
    let began = Instant::now();
    let first = watching.link("retrying");
    assert!(first["problem"]["cause"].is_string(), "{first}");
    // The machine is loaded: said is that it is said, and by which limit.
    assert!(began.elapsed() < Duration::from_secs(20), "{first}");
    let third = watching.until("third try", |e| {
        e["event"] == "link" && e["attempt"].as_u64() == Some(3)
    });
    let at: jiff::Timestamp = third["at"].as_str().unwrap().parse().unwrap();
    let time: jiff::Timestamp = third["time"].as_str().unwrap().parse().unwrap();
    let wait = at.duration_since(time).as_secs();
    assert!((0..=4).contains(&wait), "{third}");
    assert!(third["heard"].is_string(), "{third}");
    bench.proxy.is(Fault::Pass);
    watching.link("online");
    (bench, watching)
}

#[test]
fn a_hub_that_refuses_connections_for_a_while() {
    let (_bench, mut watching) = outage(Fault::Refuse);
    let retrying = watching.named("link");
    let said = retrying.iter().any(|e| e.to_string().contains("efused"));
    assert!(said, "{retrying:#?}");
    watching.completes();
}

#[test]
fn a_hub_that_accepts_and_never_answers_for_a_while() {
    let (_bench, mut watching) = outage(Fault::Swallow);
    let retrying = watching.named("link");
    let said = retrying
        .iter()
        .any(|e| e.to_string().contains("nothing came back for 4 s"));
    assert!(said, "{retrying:#?}");
    watching.completes();
}

#[test]
fn a_hub_whose_connections_are_reset_for_a_while() {
    let (_bench, mut watching) = outage(Fault::Reset);
    watching.completes();
}

/// Cut in the middle of the handshake, and of answers: the hub's certificate
/// comes in the first two kilobytes.
#[test]
fn tls_that_is_cut_in_the_middle() {
    let (_bench, mut watching) = outage(Fault::CutAfter(200));
    let links = watching.named("link");
    let before_connection = links
        .iter()
        .any(|e| e["problem"]["cause"].to_string().contains("no connection"));
    assert!(before_connection, "{links:#?}");
    watching.completes();
}

#[test]
fn answers_that_are_cut_in_the_middle() {
    let bench = Bench::new(1);
    let mut watching = bench.update("sim-0001");
    // A handshake with the emulator takes less than this, an answer to it more.
    bench.proxy.is(Fault::CutAfter(2_200));
    watching.link("retrying");
    bench.proxy.is(Fault::Pass);
    watching.link("online");
    watching.completes();
}

/// The peers of all open connections vanish without a word; new ones are well.
#[test]
fn half_open_connections_are_left_behind() {
    let bench = Bench::new(1);
    let mut watching = bench.update("sim-0001");
    bench.proxy.is(Fault::Swallow);
    watching.link("retrying");
    let before = bench.proxy.connections();
    bench.proxy.is(Fault::Pass);
    watching.link("online");
    assert!(bench.proxy.connections() > before, "on a new connection");
    watching.completes();
}

/// A slow answer of a method is no outage, and is waited for.
#[test]
fn a_slow_answer_is_waited_for() {
    let bench = Bench::new(1);
    bench.proxy.is(Fault::Delay(Duration::from_millis(700)));
    let mut watching = bench.update("sim-0001");
    watching.completes();
    assert!(
        watching
            .named("link")
            .iter()
            .all(|e| e["state"] == "online"),
        "{:#?}",
        watching.events
    );
}

/// The order gets lost on the way: the answer never comes, it is not sent again,
/// and what became of it is read from the twin.
#[test]
fn an_order_into_a_dying_network_is_sent_once() {
    let bench = Bench::new(1);
    let args = ["update", "sim-0001", "--uri", URI, "--json"];
    let mut watching = Watching {
        program: bench.home.spawn(&args),
        events: Vec::new(),
    };
    watching.until("the order", |e| e["event"] == "update.invoked");
    bench.proxy.is(Fault::Reset);
    watching.link("retrying");
    bench.proxy.is(Fault::Pass);
    watching.link("online");
    let settled = |e: &Value| {
        e["event"] == "update.verdict" || e["event"] == "update.accepted" || e["state"] == "unknown"
    };
    // It may have been quicker than the reset.
    if !watching.events.iter().any(settled) {
        watching.until("an end, or that nobody knows", settled);
    }
    let invoked = watching.named("update.invoked").len();
    let surely_not = watching.named("update.retrying").len();
    assert_eq!(invoked, 1 + surely_not, "{:#?}", watching.events);
}

#[test]
fn a_name_that_nobody_knows() {
    let home = Home::new().env(
        "OTADECK_CONNECTION_STRING",
        "HostName=hub.invalid;SharedAccessKeyName=s;SharedAccessKey=AAEC",
    );
    for args in [&["devices"][..], &["watch", "d"]] {
        let ended = home.run(args);
        assert_eq!(ended.code, 1, "{ended:?}");
        for words in ["hub.invalid", "DNS", "Nothing was sent"] {
            assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
        }
    }
}

/// A hub of another name than this machine's, so that the environment's proxy is
/// gone through; with a device, which comes to it by itself.
struct Behind {
    _emulator: Emulator,
    proxy: Faulty,
    home: Home,
    _device: Running,
}

impl Behind {
    fn new() -> Self {
        let emulator = Emulator::start(&["--identities", "1", "--host-name", "hub.test"]);
        let port = emulator.ready["httpsPort"].as_u64().unwrap();
        let proxy = Faulty::as_http_proxy(u16::try_from(port).unwrap());
        let home = behind(&proxy, &emulator);
        let text = emulator.device(0).replace("hub.test", "localhost");
        let device = Home::new()
            .env("OTADECK_DEVICE_CONNECTION_STRING", &text)
            .env("OTADECK_CA_FILE", &emulator.ca_file())
            .spawn(&["device", "--scenario", "tutorial"]);
        device.complaint_with("reported");
        Self {
            _emulator: emulator,
            proxy,
            home,
            _device: device,
        }
    }
}

/// A home whose hub is reached through that proxy alone.
fn behind(proxy: &Faulty, emulator: &Emulator) -> Home {
    Home::on(emulator)
        .env(
            "OTADECK_CONNECTION_STRING",
            &with_host(&emulator.service(), "hub.test"),
        )
        .env(
            "HTTPS_PROXY",
            &format!("http://ana:s3cret@{}", proxy.address),
        )
}

#[test]
fn a_proxy_that_refuses_says_so_by_name() {
    let Behind { proxy, home, .. } = &Behind::new();
    let ended = home.run(&["devices"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let cases = [
        (
            Fault::Status(407),
            "wants a sign-in (407)",
            "user and password",
        ),
        (Fault::Status(503), "does not let us through", "NO_PROXY"),
        (Fault::Close, "closed the connection", "HTTPS_PROXY"),
        (Fault::Refuse, "is not reached", "HTTPS_PROXY"),
    ];
    for (fault, said, to_do) in cases {
        proxy.is(fault);
        let ended = home.run(&["devices"]);
        assert_eq!(ended.code, 1, "{fault:?} {ended:?}");
        for words in [said, to_do, &proxy.address.to_string(), "proxy"] {
            assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
        }
        assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
    }
}

/// A proxy that is restarted in the middle of an update, and then wants a sign-in
/// for a while.
#[test]
fn a_proxy_that_wants_a_sign_in_for_a_while() {
    let Behind { proxy, home, .. } = &Behind::new();
    let mut watching = Watching {
        program: home.spawn(&["update", "idle-0001", "--uri", URI, "--json"]),
        events: Vec::new(),
    };
    watching.until("a phase", |e| e["event"] == "update.phase");
    proxy.is(Fault::Reset);
    watching.link("retrying");
    for (fault, said) in [
        (Fault::Status(407), "407"),
        (Fault::Status(503), "does not let us through"),
        (Fault::Close, "closed the connection"),
    ] {
        proxy.is(fault);
        let told = watching.until(said, |e| e.to_string().contains(said));
        assert_eq!(told["problem"]["kind"], "proxy", "{told}");
    }
    proxy.is(Fault::Pass);
    watching.link("online");
    watching.completes();
}

/// Somebody else answers in the hub's place.
#[test]
fn an_intercepted_connection_says_so() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let other = Emulator::start(&["--host-name", "portal.test"]);
    let port = other.ready["httpsPort"].as_u64().unwrap();
    let proxy = Faulty::as_http_proxy(u16::try_from(port).unwrap());
    // Signed by whom nobody trusts.
    let home = behind(&proxy, &emulator);
    let ended = home.run(&["devices"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    for words in [
        "certificate is not trusted",
        "intercepting",
        "sign-in first",
    ] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    // Trusted, but another host's.
    let home = home.env("OTADECK_CA_FILE", &other.ca_file());
    let ended = home.run(&["devices"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.stderr.contains("answers in the hub's place"),
        "{}",
        ended.stderr
    );
}

/// A machine whose clock is behind the hub's or ahead of it: said once, with the
/// skew as measured, and all goes on.
#[test]
fn a_clock_that_is_off_is_said_and_gone_by() {
    let story = |clock| format!("{STORY}\n[hub]\nclock = \"{clock}\"\n");
    for (clock, seconds, said) in [
        ("+30m", 1_800, "min behind"),
        ("-12m", -720, "min ahead of"),
    ] {
        let bench = Bench::with(&story(clock), 1);
        let mut watching = bench.update("sim-0001");
        // Whether it is under way is asked of the hub's stamps by the hub's clock:
        // half an hour ahead, the phase would look younger than nothing, and half
        // an hour behind, too old to be anybody's.
        let ended = bench.home.run(&["watch", "sim-0001", "--timeout", "1s"]);
        assert_eq!(ended.code, 6, "{ended:?}");
        let clocks = watching.named("clock");
        assert_eq!(clocks.len(), 1, "said once");
        let measured = clocks[0]["skewSeconds"].as_i64().unwrap();
        assert!((measured - seconds).abs() <= 30, "{measured}");
        let title = clocks[0]["problem"]["title"].as_str().unwrap();
        assert!(title.contains(said), "{title}");
        watching.completes();
    }
}

/// Five hours: the first token is over when it is signed. It is refused, and the
/// next one is signed by the hub's clock.
#[test]
fn a_clock_that_spoils_tokens_spoils_one() {
    let bench = Bench::with(&format!("{STORY}\n[hub]\nclock = \"+5h\"\n"), 1);
    let ended = bench.home.run(&["devices"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("sim-0001"), "{}", ended.stdout);
}

/// Days off: nothing is signed by that, and the refusal says why.
#[test]
fn a_clock_that_is_days_off_is_named_when_a_token_is_refused() {
    let bench = Bench::with(&format!("{STORY}\n[hub]\nclock = \"+80h\"\n"), 1);
    let ended = bench.home.run(&["devices"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    for words in ["clock is 3 days behind the hub's", "timedatectl"] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}

/// Tokens of four seconds, watched for three of their lives, on a hub whose clock
/// is right or hours off: each is replaced before it ends by the hub's clock. Only
/// the very first may be refused, which was signed before the clock was measured.
#[tokio::test]
async fn tokens_are_renewed_before_they_end() {
    use jiff::{SignedDuration, Timestamp};
    use otadeck::hub::{Client, ConnectionString, Service as _, Settings};
    for hours in [0, 5] {
        let refused = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&refused);
        let server = Server::start(move |request| {
            let now = Timestamp::now() + SignedDuration::from_hours(hours);
            let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            // A machine that stands still between signing and judging is no fault.
            let good = ends(&request) + 2 > now.as_second();
            if !good {
                count.fetch_add(1, Ordering::SeqCst);
            }
            let (status, body) = match good {
                true => (200, json!({"deviceId": "press-7"})),
                false => (401, json!({"Message": "ErrorCode:IotHubUnauthorized;over"})),
            };
            let body = body.to_string().into_bytes();
            std::future::ready(Reaction::Answer(status, vec![("date".into(), date)], body))
        });
        let server = server.await;
        let connection = ConnectionString::parse(&server.connection_string()).unwrap();
        let client = Client::new(Settings {
            token_life: Duration::from_secs(4),
            ..Settings::new(connection, Some(server.ca.path().to_owned()))
        });
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(12) {
            let read = client.twin(&super::support::id("press-7")).await;
            assert!(read.is_ok(), "{hours} h: {read:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let most = usize::from(hours > 0);
        assert!(refused.load(Ordering::SeqCst) <= most, "{hours} h");
        let mut tokens: Vec<i64> = server.requests().iter().map(ends).collect();
        tokens.dedup();
        assert!((3..=15).contains(&tokens.len()), "{tokens:?}");
    }
}

/// When the token of a request ends, as it says of itself.
fn ends(request: &Request) -> i64 {
    let all = &request.headers;
    let (_, token) = all.iter().find(|(n, _)| n == "authorization").unwrap();
    let (_, rest) = token.split_once("&se=").unwrap();
    rest.split('&').next().unwrap().parse().unwrap()
}

/// The hub ends tokens early, in the middle of a watch: another one is taken, and
/// nobody learns of it.
#[test]
fn a_token_that_ends_in_the_middle_of_a_watch() {
    let story = format!("{STORY}\n[hub]\ntoken_life = {{ service = \"2s\" }}\n");
    let bench = Bench::with(&story, 1);
    let mut watching = bench.update("sim-0001");
    watching.completes();
    let links = watching.named("link");
    assert!(links.iter().all(|e| e["state"] == "online"), "{links:#?}");
}

/// The rights are taken away and given back: the hub is asked slowly meanwhile,
/// and the update is seen to its end.
#[test]
fn rights_that_are_taken_away_for_a_while() {
    let story = format!(
        "{STORY}\n[[fault]]\nroute = [\"twin-read\", \"query\"]\nfrom = \"12s\"\nfor = \"8s\"\n\
         answer = \"IotHubUnauthorizedAccess\"\n"
    );
    let bench = Bench::with(&story, 1);
    let mut terminal = Terminal::start(&bench.home, &[], 24, 80);
    terminal.shows("sim-0001");
    let mut watching = bench.update("sim-0001");
    let told = watching.link("unauthorized");
    assert_eq!(told["problem"]["kind"], "unauthorized", "{told}");
    assert!(told["at"].is_string(), "{told}");
    watching.link("online");
    watching.completes();
    let asked = watching.named("link").len();
    assert!(asked < 12, "slowly: {asked}");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
}

/// What is on the screen says how old it is; `r` tries at once.
#[test]
fn the_screen_says_how_old_it_is_and_counts_down() {
    let bench = Bench::new(2);
    let mut terminal = Terminal::start(&bench.home, &[], 24, 80);
    terminal.shows("sim-0002");
    terminal.shows("online");
    terminal.press("\r");
    terminal.shows("ackage");
    terminal.press(URI);
    terminal.shows("fw-1.5.0.bin");
    terminal.press("\r");
    terminal.shows("firmwareUpdate");
    terminal.press("y");
    // At work, and not only a phase to come.
    terminal.shows("▸ downloading");
    bench.proxy.is(Fault::Refuse);
    terminal.shows("retrying");
    terminal.until("the third try and later", |s| {
        // The wait before the third may be too short to be seen.
        (3..20).any(|n| s.contains(&format!("({n})")))
    });
    let screen = terminal.until("the age", |s| s.contains("as of ") && s.contains(" s ago"));
    assert!(screen.contains("may be further by now"), "{screen}");
    assert!(screen.contains("refused"), "{screen}");
    bench.proxy.is(Fault::Pass);
    terminal.shows("online");
    let screen = terminal.shows("completed: ");
    assert!(!screen.contains("as of "), "{screen}");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
}

/// A hub that accepts and never answers does not look online.
#[test]
fn the_screen_says_that_nothing_is_answered() {
    let bench = Bench::new(1);
    let mut terminal = Terminal::start(&bench.home, &[], 40, 120);
    terminal.shows("sim-0001");
    terminal.press("\r");
    terminal.shows("ackage");
    terminal.press(URI);
    terminal.shows("fw-1.5.0.bin");
    terminal.press("\r");
    terminal.shows("firmwareUpdate");
    terminal.press("y");
    // At work, and not only a phase to come.
    terminal.shows("▸ downloading");
    bench.proxy.is(Fault::Swallow);
    let began = Instant::now();
    let screen = terminal.shows("nothing came back for 4 s");
    assert!(began.elapsed() < Duration::from_secs(15));
    assert!(!screen.contains("online"), "{screen}");
    bench.proxy.is(Fault::Pass);
    terminal.shows("completed: ");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
}

/// A console that is started while the hub is away lists when it is back.
#[test]
fn a_console_that_found_nobody_lists_when_the_hub_is_there() {
    let bench = Bench::new(2);
    bench.proxy.is(Fault::Refuse);
    let mut terminal = Terminal::start(&bench.home, &[], 24, 80);
    terminal.shows("retrying");
    terminal.shows("does not answer");
    bench.proxy.is(Fault::Pass);
    terminal.shows("sim-0002");
    terminal.shows("online");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
}
