//! The scenarios that come with the program.

macro_rules! scenarios {
    ($($name:literal),* $(,)?) => {
        /// Name and text of each built-in scenario (`assets/scenarios/*.toml`).
        pub const BUILT_IN: &[(&str, &str)] = &[
            $(($name, include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"), "/assets/scenarios/", $name, ".toml"
            )))),*
        ];
    };
}

scenarios![
    "quick",
    "tutorial",
    "dialects",
    "rejects",
    "fails",
    "stalls",
    "late",
    "reboots",
    "reboot-loop",
    "vanishes",
    "offline",
    "offline-flaps",
    "silent",
    "lost-answer",
    "stale",
    "shouting",
    "hostile",
    "throttled",
    "outage",
    "slow",
    "twin-lag",
    "index-lag",
    "clock-skew",
    "expired-tokens",
];
