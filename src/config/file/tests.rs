use super::*;
use crate::config::PayloadAs;

const EXAMPLE: &str = include_str!("../../../config.example.toml");

/// Every key of the code stands in the example, with its default.
#[test]
fn the_example_is_the_defaults() {
    let example = parse(EXAMPLE).unwrap();
    assert_eq!(example.update, UpdateConfig::default());
    assert_eq!(example.journal_keep, Config::default().journal_keep);
    assert_eq!(example.console, ConsoleConfig::default());
    assert_eq!(example.deadlines, DeadlinesConfig::default());
    let plant = &example.hub["plant"];
    let defaults = HubConfig::default();
    assert_eq!(plant.units, defaults.units);
    assert_eq!(plant.read_only, defaults.read_only);
    assert_eq!(plant.day_share, defaults.day_share);
    assert_eq!(plant.lease, defaults.lease);
    assert_eq!(plant.arm_for, defaults.arm_for);
    let full = Config {
        journal_keep: SignedDuration::ZERO,
        default_hub: Some("plant".into()),
        state_dir: Some("x".into()),
        console: ConsoleConfig::default(),
        view: BTreeMap::from([(
            "lab".to_owned(),
            ViewConfig {
                filter: "x".into(),
                columns: vec!["x".into()],
                sort: "x".into(),
            },
        )]),
        update: UpdateConfig::default(),
        deadlines: DeadlinesConfig {
            queued: Some(SignedDuration::from_mins(1)),
            downloading: Some(SignedDuration::from_mins(1)),
            downloaded: Some(SignedDuration::from_mins(1)),
            applying: Some(SignedDuration::from_mins(1)),
            rebooting: Some(SignedDuration::from_mins(1)),
            ..DeadlinesConfig::default()
        },
        dialect: BTreeMap::from([("press".to_owned(), full_dialect())]),
        hub: BTreeMap::from([(
            "plant".to_owned(),
            HubConfig {
                secret_env: Some("x".into()),
                secret_file: Some("x".into()),
                secret_command: Some(vec!["x".into()]),
                sign_in: Some(SignInBy::AzureCli),
                host: Some("x".into()),
                ca_file: Some("x".into()),
                tier: Some(Tier::S1),
                environment: Some("x".into()),
                dialect: Some("x".into()),
                dialects: vec![RuleConfig::default()],
                ..HubConfig::default()
            },
        )]),
    };
    for line in toml::to_string(&full).unwrap().lines() {
        let key = line.split(" = ").next().unwrap();
        let stands = EXAMPLE
            .lines()
            .any(|l| l.trim_start_matches("# ").starts_with(key));
        assert!(stands, "{key} is not in config.example.toml");
    }
}

/// A dialect with every key.
fn full_dialect() -> DialectConfig {
    let some = || Some("x".to_owned());
    DialectConfig {
        status: "x".into(),
        percent: some(),
        version: some(),
        pending: some(),
        uri: some(),
        error: some(),
        substatus: some(),
        end: some(),
        run: some(),
        rest: vec!["x".into()],
        watched_only: true,
        method: some(),
        payload: Some("x".into()),
        payload_as: Some(PayloadAs::Json),
        response_timeout: Some(SignedDuration::ZERO),
        connect_timeout: Some(SignedDuration::ZERO),
        values: BTreeMap::new(),
    }
}

/// The dialect and the rules that the example shows are right.
#[test]
fn the_examples_dialect_can_be_used_as_it_stands() {
    let begin = EXAMPLE.find("# [dialect.press]").unwrap();
    let key = |line: &str| line.starts_with('[') || line.contains(" = ");
    let shown = EXAMPLE[begin..].lines().map(|line| {
        let bare = line.strip_prefix("# ").filter(|line| key(line));
        bare.unwrap_or(line)
    });
    let shown: Vec<&str> = shown.filter(|l| !l.starts_with("watched_only")).collect();
    let text = shown.join("\n");
    let config = parse(&text).unwrap();
    let dialects = config.dialects(Some("plant")).unwrap();
    assert!(dialects.find("press").unwrap().method().is_some());
    assert_eq!(dialects.rules().len(), 1);
}

#[rstest::rstest]
#[case("[update]\nphase_deadlin = \"1m\"", "did you mean `phase_deadline`?")]
#[case("[hub.a]\nsecret_evn = \"A\"", "did you mean `secret_env`?")]
#[case("[hub.a]\nreadonly = true", "did you mean `read_only`?")]
#[case("[update]\nphase_deadline = \"soon\"", "write 8s, 15m or 2h")]
#[case("journal_keep = \"23h\"", "at least 1d")]
#[case("[update]\nresponse_timeout = \"1s\"", "between 5s and 5m")]
#[case("[update]\nresponse_timeout = \"6m\"", "between 5s and 5m")]
#[case("[update]\nconnect_timeout = \"1m\"", "not be longer")]
#[case("[deadlines]\nfactor = 0.5", "between 1 and 100")]
#[case("[deadlines]\nfactor = nan", "between 1 and 100")]
#[case(
    "[deadlines]\ndownloading = \"0s\"",
    "deadlines.downloading must not be zero"
)]
#[case("[deadlines]\ndownload = \"1m\"", "did you mean `download")]
#[case("[hub.a]\ntier = \"B1\"", "unknown variant `B1`")]
#[case(
    "[hub.a]\nsign_in = \"azure\"",
    "line 2: unknown variant `azure`, expected `azure-cli`"
)]
#[case("[hub.a]\nsignin = \"azure-cli\"", "did you mean `sign_in`?")]
#[case(
    "[hub.a]\nlease = \"tag\"",
    "line 2: unknown variant `tag`, expected `journal` or `tags`"
)]
#[case("[hub.a]\nlease = true", "line 2")]
#[case("[hub.a]\nleases = \"tags\"", "did you mean `lease`?")]
#[case("[hub.a]\nunits = 0", "at least 1")]
#[case(
    "[hub.a]\narm_for = \"59s\"",
    "hub.a.arm_for must be between 1m and 60m"
)]
#[case("[hub.a]\narm_for = \"61m\"", "between 1m and 60m")]
#[case("[hub.a]\narm_for = 5", "line 2")]
#[case("[hub.a]\narmfor = \"5m\"", "did you mean `arm_for`?")]
#[case("[hub.a]\nday_share = 0.0", "more than 0")]
#[case("[hub.a]\nday_share = 101.0", "at most 100")]
#[case("[hub.a]\nday_share = nan", "in percent")]
#[case("state_dir = \"state\"", "must begin with /")]
#[case("state_dir = \"~/state\"", "must begin with /")]
#[case("default_hub = \"b\"", "there is no [hub.b]")]
#[case("= 1", "line 1")]
fn mistakes_are_explained(#[case] text: &str, #[case] why: &str) {
    let error = parse(text).unwrap_err();
    assert!(error.contains(why), "{error}");
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    for (key, told) in [
        ("connection_string", "line 2: unknown field"),
        ("secret_env", "names an environment variable"),
        ("secret_command", "line 2: invalid type"),
    ] {
        let text = format!("[hub.a]\n{key} = \"HostName=h;SharedAccessKey=abc\"");
        let error = parse(&text).unwrap_err();
        assert!(error.contains(told), "{error}");
        assert!(!error.contains("abc"), "{error}");
    }
}

#[test]
fn a_hub_has_one_source_of_its_secret() {
    let mut hub = HubConfig::default();
    assert_eq!(hub.secret("a"), Err(ConfigError::NoSecret("a".into())));
    hub.secret_env = Some("A".into());
    assert_eq!(hub.secret("a"), Ok(SecretSource::Env("A".into())));
    hub.secret_file = Some("f".into());
    assert_eq!(hub.secret("a"), Err(ConfigError::TwoSecrets("a".into())));
}

#[rstest::rstest]
#[case("host = \"h\"\nsign_in = \"azure-cli\"", Ok(WayIn::AzureCli("h".into())))]
#[case("secret_env = \"A\"", Ok(WayIn::Secret(SecretSource::Env("A".into()))))]
#[case("", Err(ConfigError::NoSecret("a".into())))]
#[case("sign_in = \"azure-cli\"", Err(ConfigError::NoHost("a".into())))]
#[case("host = \"h\"", Err(ConfigError::HostAlone("a".into())))]
#[case("host = \"h\"\nsecret_env = \"A\"", Err(ConfigError::HostTwice("a".into())))]
#[case(
    "host = \"h\"\nsign_in = \"azure-cli\"\nsecret_file = \"/f\"",
    Err(ConfigError::TwoSecrets("a".into()))
)]
#[case(
    "secret_env = \"A\"\nsecret_file = \"/f\"",
    Err(ConfigError::TwoSecrets("a".into()))
)]
fn a_hub_has_one_way_in(#[case] text: &str, #[case] want: Result<WayIn, ConfigError>) {
    let config = parse(&format!("[hub.a]\n{text}")).unwrap();
    assert_eq!(config.hub["a"].way_in("a"), want);
}

#[test]
fn devices_may_be_kept_by_tags() {
    let config = parse("[hub.a]\nlease = \"tags\"\n[hub.b]\nlease = \"journal\"").unwrap();
    assert_eq!(config.hub["a"].lease, Lease::Tags);
    assert_eq!(config.hub["b"].lease, Lease::Journal);
}

#[test]
fn a_file_that_nobody_asked_for_may_be_missing() {
    let path = std::path::Path::new("/nonexistent/otadeck.toml");
    assert_eq!(load(path, false), Ok(Config::default()));
    assert!(matches!(load(path, true), Err(ConfigError::Read { .. })));
}

#[test]
fn packages_may_be_bound_to_hosts_and_models() {
    let config = parse(
        "[hub.a]\npackage_hosts = [\"fw.test\", \"*.blob.core.windows.net\"]\n\
         [[hub.a.packages]]\nmodel = \"press-*\"\nuri = \"https://fw.test/press/*\"",
    );
    let hub = config.unwrap().hub["a"].clone();
    assert_eq!(hub.package_hosts.len(), 2);
    assert_eq!(hub.packages[0].model_at, "tags.model");
}

#[rstest::rstest]
#[case("package_hosts = [\"https://fw.test\"]", "is no host")]
#[case("package_hosts = [\"*\"]", "is no host")]
#[case("package_hosts = [\"fw.test:443\"]", "is no host")]
#[case(
    "[[hub.a.packages]]\nmodel = \"x\"\nuri = \"fw.test/*\"",
    "begin with https://"
)]
#[case(
    "[[hub.a.packages]]\nmodel = \"x\"\nuri = \"https://*\"\nmodel_at = \"model\"",
    "begin with tags"
)]
#[case(
    "[[hub.a.packages]]\nmodle = \"x\"\nuri = \"https://*\"",
    "did you mean `model`?"
)]
fn rules_that_could_never_hold_are_mistakes(#[case] text: &str, #[case] why: &str) {
    let error = parse(&format!("[hub.a]\n{text}")).unwrap_err();
    assert!(error.contains(why), "{error}");
}
