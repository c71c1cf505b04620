//! The command line that does what the console is asked to do: shown with each
//! question and copied, for a ticket, a script, or somebody without a console.
//!
//! It holds no secret. A URI that does is to be given on stdin, and the command
//! says so by `--uri -`.

use super::id::DeviceId;
use super::profile::Profile;
use super::shell;
use super::uri::PackageUri;

/// How another start of otadeck comes to the same hub.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The hub's name in the configuration; without one the environment says which
    /// hub it is, and does so for whoever starts it there.
    pub hub: Option<String>,
    /// The configuration file, when it is another one than the user's.
    pub config: Option<String>,
    /// Is no journal kept?
    pub no_journal: bool,
}

/// A command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    words: Vec<String>,
    /// Does it read the package's URI on stdin, because that holds a secret?
    pub asks_for_the_uri: bool,
}

impl Line {
    /// The words, before any shell has read them.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

/// As it is typed at a shell.
impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&shell::line(&self.words))
    }
}

impl Reach {
    /// Puts a package on devices; on the last of which somebody else is at work, if
    /// `force` names it.
    #[must_use]
    pub fn update(
        &self,
        hub: &Profile,
        devices: &[&DeviceId],
        uri: &PackageUri,
        force: Option<&DeviceId>,
    ) -> Line {
        let secret = uri.holds_secrets();
        let mut flags = self.flags();
        flags.extend(flag("--uri", if secret { "-" } else { uri.redacted() }));
        if hub.is_production() {
            flags.extend(flag("--confirm", &hub.name));
        }
        if let Some(device) = force {
            flags.extend(flag("--force", device.as_str()));
        }
        Line {
            words: words("update", devices, flags),
            asks_for_the_uri: secret,
        }
    }

    /// Watches a device, and starts nothing.
    #[must_use]
    pub fn watch(&self, device: &DeviceId) -> Line {
        Line {
            words: words("watch", &[device], self.flags()),
            asks_for_the_uri: false,
        }
    }

    fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        if let Some(config) = &self.config {
            flags.extend(flag("--config", config));
        }
        if let Some(hub) = &self.hub {
            flags.extend(flag("--hub", hub));
        }
        if self.no_journal {
            flags.push("--no-journal".to_owned());
        }
        flags
    }
}

/// A flag and its value, in one word where the value would be taken for a flag.
fn flag(name: &str, value: &str) -> Vec<String> {
    match value {
        // It means stdin.
        "-" => vec![name.to_owned(), value.to_owned()],
        _ if value.starts_with('-') => vec![format!("{name}={value}")],
        _ => vec![name.to_owned(), value.to_owned()],
    }
}

/// The devices come first, where that can be: they are what is looked for.
fn words(verb: &str, devices: &[&DeviceId], flags: Vec<String>) -> Vec<String> {
    let ids = devices.iter().map(|id| id.as_str().to_owned());
    let mut words = vec!["otadeck".to_owned(), verb.to_owned()];
    if devices.iter().any(|id| id.as_str().starts_with('-')) {
        words.extend(flags);
        words.push("--".to_owned());
        words.extend(ids);
    } else {
        words.extend(ids);
        words.extend(flags);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(environment: &str) -> Profile {
        Profile {
            name: "plant".into(),
            host: "plant.test".into(),
            environment: Some(environment.into()),
            read_only: false,
            tier: None,
            units: 1,
        }
    }

    fn plant() -> Reach {
        Reach {
            hub: Some("plant".into()),
            ..Reach::default()
        }
    }

    fn written(reach: &Reach, environment: &str, ids: &str, uri: &str, force: bool) -> String {
        let ids: Vec<DeviceId> = ids
            .split(' ')
            .map(|id| DeviceId::parse(id).unwrap())
            .collect();
        let devices: Vec<&DeviceId> = ids.iter().collect();
        let uri = PackageUri::parse(uri).unwrap();
        let force = force.then(|| devices[0]);
        reach
            .update(&hub(environment), &devices, &uri, force)
            .to_string()
    }

    const URI: &str = "https://x.test/fw.bin";

    #[rstest::rstest]
    #[case(
        "test",
        "sim-1",
        URI,
        false,
        "otadeck update sim-1 --hub plant --uri https://x.test/fw.bin"
    )]
    #[case(
        "production",
        "sim-1 sim-2",
        URI,
        false,
        "otadeck update sim-1 sim-2 --hub plant --uri https://x.test/fw.bin --confirm plant"
    )]
    #[case(
        "production",
        "sim-1",
        URI,
        true,
        "otadeck update sim-1 --hub plant --uri https://x.test/fw.bin --confirm plant --force sim-1"
    )]
    #[case(
        "test",
        "-x $(id)",
        URI,
        true,
        "otadeck update --hub plant --uri https://x.test/fw.bin --force=-x -- -x '$(id)'"
    )]
    #[case(
        "test",
        "a'b;c",
        "https://x.test/fw.bin?v=1&sig=geheim",
        false,
        "otadeck update 'a'\\''b;c' --hub plant --uri -"
    )]
    // As an update of an earlier session has it.
    #[case(
        "test",
        "a",
        "https://x.test/fw.bin?sig=***",
        false,
        "otadeck update a --hub plant --uri -"
    )]
    fn an_order_in_words(
        #[case] environment: &str,
        #[case] ids: &str,
        #[case] uri: &str,
        #[case] force: bool,
        #[case] want: &str,
    ) {
        assert_eq!(written(&plant(), environment, ids, uri, force), want);
    }

    #[test]
    fn it_comes_to_the_same_hub() {
        let by_the_environment = Reach::default();
        assert_eq!(
            written(&by_the_environment, "test", "a", URI, false),
            "otadeck update a --uri https://x.test/fw.bin"
        );
        let reach = Reach {
            config: Some("/etc/my deck.toml".into()),
            no_journal: true,
            ..plant()
        };
        let id = DeviceId::parse("a").unwrap();
        assert_eq!(
            reach.watch(&id).to_string(),
            "otadeck watch a --config '/etc/my deck.toml' --hub plant --no-journal"
        );
    }
}
