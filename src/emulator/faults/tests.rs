use super::*;

#[derive(Deserialize)]
struct World {
    #[serde(default)]
    hub: HubTable,
    #[serde(default)]
    fault: Vec<Fault>,
}

fn read(text: &str) -> Result<Conditions, String> {
    let world: World = toml::from_str(text).map_err(|e| e.to_string())?;
    Ok(world.hub.with(world.fault))
}

fn plan(text: &str) -> Plan {
    let conditions = read(text).unwrap();
    Plan::new(conditions.seed, conditions.faults)
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// `x` for each of so many twin reads that is struck, `.` for each that is not.
fn reads(plan: &mut Plan, n: usize) -> String {
    let one = |_| plan.judge(Route::TwinRead, None, Duration::ZERO);
    let marks = (0..n).map(one).map(|strike| match strike {
        Some(_) => 'x',
        None => '.',
    });
    marks.collect()
}

#[rstest::rstest]
#[case("", "xxxxxxxxxx")]
#[case("every = 3", "..x..x..x.")]
#[case("after = 4", "....xxxxxx")]
#[case("times = 2", "xx........")]
#[case("after = 2\nevery = 2\ntimes = 3", "...x.x.x..")]
#[case("chance = 0.0", "..........")]
#[case("chance = 1.0", "xxxxxxxxxx")]
fn how_often(#[case] rate: &str, #[case] want: &str) {
    let text = format!("[[fault]]\nroute = \"twin-read\"\nhang = true\n{rate}");
    assert_eq!(reads(&mut plan(&text), 10), want);
}

#[test]
fn the_dice_are_fair_and_fall_alike_for_the_same_seed() {
    let of = |seed| {
        let text = format!(
            "[hub]\nseed = {seed}\n[[fault]]\nroute = \"twin-read\"\nhang = true\nchance = 0.2"
        );
        reads(&mut plan(&text), 10_000)
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
    let struck = of(3).matches('x').count();
    assert!((1_850..2_150).contains(&struck), "{struck}");
}

#[rstest::rstest]
#[case("", &[0.0, 1e6], &[])]
#[case("from = \"10s\"", &[10.0, 99.0], &[0.0, 9.9])]
#[case("until = \"40s\"", &[0.0, 39.9], &[40.0, 99.0])]
#[case("from = \"10s\"\nuntil = \"40s\"", &[10.0, 39.9], &[9.9, 40.0])]
#[case("from = \"10s\"\nfor = \"5s\"", &[10.0, 14.9], &[9.9, 15.0, 70.0])]
#[case("for = \"30s\"\nrepeat = \"2m\"", &[0.0, 29.9, 120.0, 149.9], &[30.0, 119.9, 150.0])]
#[case("from = \"5s\"\nfor = \"30s\"\nrepeat = \"2m\"\nuntil = \"3m\"", &[5.0, 34.9, 125.0], &[0.0, 35.0, 124.9, 245.0])]
fn when(#[case] window: &str, #[case] struck: &[f64], #[case] spared: &[f64]) {
    let text = format!("[[fault]]\nroute = \"method\"\nhang = true\n{window}");
    let mut plan = plan(&text);
    let mut judge = |at: f64| plan.judge(Route::Method, None, seconds(at)).is_some();
    for at in struck {
        assert!(judge(*at), "{at} {window}");
    }
    for at in spared {
        assert!(!judge(*at), "{at} {window}");
    }
}

#[test]
fn whom_and_which_comes_first() {
    let mut plan = plan(
        r#"
        [[fault]]
        route = ["method", "twin-read"]
        ids = "a-*"
        times = 1
        answer = "ServerBusy"
        delay = "2s"
        [[fault]]
        route = "method"
        cut = "body"
        "#,
    );
    let mut judge = |route, id: Option<&str>| {
        let id = id.map(|id| DeviceId::parse(id).unwrap());
        plan.judge(route, id.as_ref(), Duration::ZERO)
    };
    assert_eq!(judge(Route::TwinRead, Some("b-1")), None);
    assert_eq!(judge(Route::TwinRead, None), None);
    let first = judge(Route::Method, Some("a-1")).unwrap();
    assert_eq!((first.delay, first.runs), (Duration::from_secs(2), false));
    assert!(matches!(
        first.effect,
        Some(Effect::Answer {
            code: Code::ServerBusy,
            ..
        })
    ));
    let next = judge(Route::Method, Some("a-1")).unwrap();
    assert_eq!(
        (next.effect, next.runs),
        (Some(Effect::Cut(Place::Body)), true)
    );
    assert!(judge(Route::Query, None).is_none());
}

#[rstest::rstest]
#[case(
    "hang = true",
    "twin-read twin-write method query registry package connect subscribe device-twin report"
)]
#[case("drop = true", "connect subscribe device-twin report event")]
#[case("status = 502", "twin-read twin-write method query registry package")]
#[case(
    "answer = \"ServerError\"",
    "twin-read twin-write method query registry device-twin report"
)]
#[case("refuse = 3", "connect")]
#[case("refuse = 128", "subscribe")]
#[case(
    "hang = true\nids = \"a\"",
    "twin-read twin-write method registry connect subscribe device-twin report"
)]
fn a_star_is_every_route_on_which_it_is_possible(#[case] effect: &str, #[case] want: &str) {
    let conditions = read(&format!("[[fault]]\nroute = \"*\"\n{effect}")).unwrap();
    let names: Vec<_> = conditions.faults[0]
        .routes()
        .iter()
        .map(|r| r.name())
        .collect();
    assert_eq!(names.join(" "), want);
}

#[rstest::rstest]
#[case::route("route = \"twin-raed\"\nhang = true", &["twin-raed", "did you mean \"twin-read\"", "device-twin", "line 1"])]
#[case::no_route("route = []\nhang = true", &["names no route"])]
#[case::code("route = \"method\"\nanswer = \"ThrottlingExeption\"", &["did you mean \"ThrottlingException\""])]
#[case::nothing("route = \"method\"", &["a fault does something", "trickle"])]
#[case::two("route = \"method\"\nhang = true\ncut = \"head\"", &["one effect"])]
#[case::key("route = \"method\"\nhangs = true", &["hangs", "line 3", "hang"])]
#[case::drop_over_https("route = \"method\"\ndrop = true", &["drop is not possible on the route method"])]
#[case::answer_to_connect("route = \"connect\"\nanswer = \"ServerError\"", &["answer is not possible on the route connect"])]
#[case::cut_over_mqtt("route = \"report\"\ncut = \"body\"", &["cut is not possible on the route report"])]
#[case::refuse_a_number("route = \"connect\"\nrefuse = 4", &["refuse 4 is none of 3"])]
#[case::suback_to_connect("route = \"connect\"\nrefuse = 128", &["refuse = 128 is not possible"])]
#[case::ids("route = \"query\"\nids = \"a\"\nhang = true", &["about no device"])]
#[case::runs("route = \"twin-read\"\nhang = true\nruns = true", &["runs says whether", "method"])]
#[case::runs_nothing("route = \"method\"\ndelay = \"1s\"\nruns = false", &["runs says whether"])]
#[case::message("route = \"method\"\nhang = true\nmessage = \"m\"", &["message is the text of an answer"])]
#[case::body("route = \"method\"\nhang = true\nbody = \"m\"", &["body goes with a status"])]
#[case::status("route = \"method\"\nstatus = 99", &["status 99"])]
#[case::trickle("route = \"method\"\ntrickle = \"1s\"\nhang = true", &["trickle is a slow body"])]
#[case::mqtt_trickle("route = \"report\"\ntrickle = \"1s\"", &["trickle is not possible on the route report"])]
#[case::repeat("route = \"method\"\nhang = true\nrepeat = \"1m\"", &["repeat needs for"])]
#[case::whole("route = \"method\"\nhang = true\nfor = \"1m\"\nrepeat = \"1m\"", &["for is not shorter than repeat"])]
#[case::until("route = \"method\"\nhang = true\nfrom = \"1m\"\nuntil = \"1m\"", &["until is not after from"])]
#[case::twice("route = \"method\"\nhang = true\nfor = \"1m\"\nuntil = \"1m\"", &["until or for"])]
#[case::never("route = \"method\"\nhang = true\nevery = 0", &["every = 0 is never"])]
#[case::both("route = \"method\"\nhang = true\nevery = 2\nchance = 0.5", &["every or chance"])]
#[case::chance("route = \"method\"\nhang = true\nchance = 1.5", &["line 4", "not between 0 and 1"])]
fn mistakes_in_a_fault(#[case] fault: &str, #[case] parts: &[&str]) {
    let message = read(&format!("[[fault]]\n{fault}\n")).unwrap_err();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

#[rstest::rstest]
#[case("index_lag = \"11m\"", "ten minutes at most")]
#[case("clock = \"20y\"", "no offset of at most ten years")]
#[case("token_life = { client = \"1s\" }", "a duration, or { device")]
#[case("lag = \"1s\"", "index_lag")]
fn mistakes_in_the_hub(#[case] line: &str, #[case] part: &str) {
    let message = read(&format!("[hub]\n{line}\n")).unwrap_err();
    assert!(
        message.contains(part) && message.contains("line 2"),
        "{message}"
    );
}

#[test]
fn the_hub_says_each_thing() {
    let text = r#"
        [hub]
        index_lag = "10s"
        twin_lag = "4s"
        clock = "-1y"
        token_life = { device = "20s" }
        seed = 9
        [[fault]]
        route = "query"
        from = "10s"
        delay = "20s"
        trickle = "30s"
    "#;
    let hub = read(text).unwrap();
    assert_eq!(hub.clock, SignedDuration::from_hours(-24 * 365));
    assert_eq!(hub.device_token_life, Some(Duration::from_secs(20)));
    assert_eq!((hub.service_token_life, hub.seed), (None, 9));
    let fast = hub.clone().faster(10);
    assert_eq!(
        (fast.index_lag, fast.twin_lag),
        (seconds(1.0), seconds(0.4))
    );
    assert_eq!(
        (fast.clock, fast.device_token_life),
        (hub.clock, Some(seconds(2.0)))
    );
    let strike = fast.faults[0].strike();
    assert_eq!(
        (strike.delay, strike.trickle),
        (seconds(2.0), Some(seconds(3.0)))
    );
    let mut plan = Plan::new(0, fast.faults);
    assert!(plan.judge(Route::Query, None, seconds(0.9)).is_none());
    assert!(plan.judge(Route::Query, None, seconds(1.0)).is_some());
    let both = read("[hub]\ntoken_life = \"20s\"").unwrap();
    assert_eq!(both.device_token_life, both.service_token_life);
}

#[tokio::test(start_paused = true)]
async fn nothing_strikes_before_the_hub_is_ready() {
    let conditions = read("[[fault]]\nroute = \"query\"\nhang = true\nfrom = \"5s\"").unwrap();
    let faults = Faults::new(&conditions);
    let strikes = || faults.strike(Route::Query, None).is_some();
    tokio::time::advance(seconds(10.0)).await;
    assert!(!strikes());
    faults.begin();
    assert!(!strikes());
    tokio::time::advance(seconds(5.0)).await;
    assert!(strikes());
}
