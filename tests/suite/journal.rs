//! A journal that cannot be used, and one that several share: with the real
//! program.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::support::program::{Emulator, Ended, Home, Running, binary, wait};
use super::support::terminal::Terminal;

pub const URI: &str = "https://example.test/fw-1.5.0.bin";

/// A hub with one device.
pub struct Bench {
    pub emulator: Emulator,
    _device: Running,
}

impl Bench {
    pub fn new() -> Self {
        let emulator = Emulator::start(&["--identities", "1"]);
        let device = emulator.run_device(0, &["--scenario", "quick"]);
        Self {
            emulator,
            _device: device,
        }
    }
}

fn update(home: &Home) -> Ended {
    home.run(&["update", "idle-0001", "--uri", URI, "--json"])
}

/// Each way in which there can be no journal, as root too.
fn spoilt(how: &str, home: &Home) {
    let state = home.state();
    fs::create_dir_all(state.parent().unwrap()).unwrap();
    match how {
        "a file in place of the folder" => fs::write(&state, "").unwrap(),
        "a folder for everybody" => {
            fs::create_dir(&state).unwrap();
            fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
        }
        "a folder in place of the file" => fs::create_dir_all(state.join("journal.db")).unwrap(),
        "no database" => {
            fs::create_dir(&state).unwrap();
            let text = "this is no database, and it is long enough to be looked at";
            fs::write(state.join("journal.db"), text).unwrap();
        }
        _ => {
            fs::create_dir(&state).unwrap();
            let newer = rusqlite::Connection::open(state.join("journal.db")).unwrap();
            newer.pragma_update(None, "user_version", 99).unwrap();
        }
    }
}

const WAYS: [(&str, &str); 5] = [
    ("a file in place of the folder", "cannot be made"),
    ("a folder for everybody", "chmod o-rwx"),
    ("a folder in place of the file", "directory"),
    ("no database", "not a database"),
    ("a newer otadeck", "newer otadeck"),
];

#[test]
fn without_a_journal_nothing_is_started_and_devices_can_be_watched() {
    let bench = Bench::new();
    for (how, words) in WAYS {
        let home = Home::on(&bench.emulator);
        spoilt(how, &home);
        let ended = update(&home);
        assert_eq!(ended.code, 1, "{how}: {ended:?}");
        assert!(ended.stderr.contains(words), "{how}: {}", ended.stderr);
        assert!(!ended.stdout.contains("update.invoked"), "{how}: {ended:?}");
        let ended = home.run(&["watch", "--resume"]);
        assert_eq!(ended.code, 1, "{how}: {ended:?}");
    }
    let home = Home::on(&bench.emulator);
    spoilt("no database", &home);
    let ended = home.run(&["watch", "idle-0001", "--timeout", "1s"]);
    assert_eq!(ended.code, 6, "{ended:?}");
    assert!(ended.stdout.contains("watching"), "{ended:?}");
    assert!(
        ended.stderr.contains("Only watching is possible"),
        "{ended:?}"
    );
    // Whoever says so may go without.
    let ended = home.run(&["update", "idle-0001", "--uri", URI, "--no-journal"]);
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[test]
fn the_console_says_that_it_only_watches() {
    let bench = Bench::new();
    let home = Home::on(&bench.emulator);
    spoilt("no database", &home);
    let mut terminal = Terminal::start(&home, &[], 30, 110);
    terminal.shows("idle-0001");
    let screen = terminal.shows("watching only");
    assert!(screen.contains("not a database"), "{screen}");
    terminal.press("\r");
    let screen = terminal.shows("nothing is started while");
    assert!(!screen.contains("ackage URI"), "{screen}");
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
    let mut terminal = Terminal::start(&home, &["--no-journal"], 30, 110);
    terminal.shows("idle-0001");
    terminal.press("\r");
    terminal.shows("ackage");
    terminal.press("\x03");
    assert_eq!(terminal.ends(), 0);
}

/// Two operators of one group, by number, and a folder of theirs.
const OPERATORS: [u32; 2] = [61_001, 61_002];
const GROUP: u32 = 61_000;

/// Runs the program at that place as an operator.
fn run_as(operator: u32, program: &Path, home: &Path, env: &Home, args: &[&str]) -> Ended {
    let mut command = Command::new(program);
    command.args(args).env_clear();
    for (name, value) in env.command(&[]).get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("HOME", home)
        .current_dir(home)
        .uid(operator)
        .gid(GROUP);
    wait(command.spawn().unwrap(), args)
}

#[test]
fn operators_share_a_folder_and_nobody_else_reads_it() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be two operators; modes alone are tested elsewhere");
        return;
    }
    let bench = Bench::new();
    let outer = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .unwrap();
    let state = outer.path().join("shared");
    fs::create_dir(&state).unwrap();
    chown(&state, Some(0), Some(GROUP)).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o2770)).unwrap();
    // The program and the CA, where the operators can reach them.
    let program = outer.path().join("otadeck");
    fs::copy(binary(), &program).unwrap();
    let ca = outer.path().join("ca.pem");
    fs::copy(bench.emulator.ca_file(), &ca).unwrap();
    let config = outer.path().join("config.toml");
    let text = format!("state_dir = {state:?}\n[update]\nask_package_server = false\n");
    fs::write(&config, text).unwrap();
    for open in [&ca, &config] {
        fs::set_permissions(open, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let env = Home::on(&bench.emulator).env("OTADECK_CA_FILE", ca.to_str().unwrap());
    let config = config.to_str().unwrap();
    let signed = format!("{URI}?sig=shared-Signature");
    for (n, operator) in OPERATORS.into_iter().enumerate() {
        let home = outer.path().join(format!("home{operator}"));
        fs::create_dir(&home).unwrap();
        chown(&home, Some(operator), Some(GROUP)).unwrap();
        let args = [
            "update",
            "idle-0001",
            "--config",
            config,
            "--uri",
            &signed,
            "--json",
        ];
        let ended = run_as(operator, &program, &home, &env, &args);
        assert_eq!(ended.code, 0, "{operator}: {ended:?}");
        for entry in fs::read_dir(&state).unwrap() {
            let path = entry.unwrap().path();
            let found = fs::metadata(&path).unwrap();
            assert_eq!(found.gid(), GROUP, "{}", path.display());
            let want = if found.is_dir() { 0o2770 } else { 0o660 };
            assert_eq!(found.mode() & 0o7777, want, "{}", path.display());
        }
        assert_eq!(fs::read_dir(state.join("secrets")).unwrap().count(), 0);
        let journal = rusqlite::Connection::open(state.join("journal.db")).unwrap();
        let by = "SELECT by FROM updates WHERE outcome = 'completed'";
        let mut by = journal.prepare(by).unwrap();
        let by = by.query_map([], |row| row.get(0)).unwrap();
        let by: Vec<String> = by.map(Result::unwrap).collect();
        assert_eq!(by.len(), n + 1);
        assert!(by[n].contains(&format!("(uid {operator})@")), "{by:?}");
    }
    // A journal of one's own is not for the other.
    let (own, other) = (OPERATORS[0], OPERATORS[1]);
    let folder: PathBuf = outer.path().join("home61001/.local/state/otadeck");
    fs::create_dir_all(&folder).unwrap();
    for (path, owner) in [(&folder, own), (&state.join("journal.db"), own)] {
        chown(path, Some(owner), Some(GROUP)).unwrap();
    }
    fs::set_permissions(state.join("journal.db"), fs::Permissions::from_mode(0o600)).unwrap();
    let home = outer.path().join(format!("home{other}"));
    let args = ["update", "idle-0001", "--config", config, "--uri", URI];
    let ended = run_as(other, &program, &home, &env, &args);
    assert_eq!(ended.code, 1, "{ended:?}");
    let words = format!("Permission denied (os error 13) (it belongs to user {own}");
    assert!(ended.stderr.contains(&words), "{}", ended.stderr);
}
