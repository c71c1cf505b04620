//! By what a hub lets us in.

use super::address::Address;
use super::connection::ConnectionString;

/// Where the hub is, and by what it lets us in.
#[derive(Clone, Debug)]
pub enum SignIn {
    /// A key of one of the hub's policies, by which tokens are signed here.
    Key(ConnectionString),
    /// Entra ID: the Azure command line is asked for tokens.
    AzureCli(Address),
}

impl SignIn {
    /// Where the hub is.
    #[must_use]
    pub fn at(&self) -> &Address {
        match self {
            Self::Key(connection) => &connection.at,
            Self::AzureCli(at) => at,
        }
    }

    /// Who is let in, for the words about a refusal.
    #[must_use]
    pub fn who(&self) -> Who {
        match self {
            Self::Key(connection) => Who::Policy(connection.policy.clone()),
            Self::AzureCli(_) => Who::Account,
        }
    }
}

impl From<ConnectionString> for SignIn {
    fn from(connection: ConnectionString) -> Self {
        Self::Key(connection)
    }
}

/// Whom the hub has before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever has a key of this policy.
    Policy(String),
    /// An account of Entra ID.
    Account,
}

/// The policies that every hub has and that lack what the console needs, unless
/// somebody gave it to them.
const WITHOUT_SERVICE: [&str; 3] = ["registryRead", "registryReadWrite", "device"];

impl Who {
    /// What to do when the hub does not let them.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Policy(name) if WITHOUT_SERVICE.contains(&name.as_str()) => format!(
                "Nothing was done. Missing is the right ServiceConnect, which the policy '{name}' \
                 rarely has. Take the string of 'service', or ask whoever manages the hub (Shared \
                 access policies)."
            ),
            Self::Policy(name) => format!(
                "Nothing was done. Check the key of the policy '{name}', and its right \
                 ServiceConnect ('service' has it): whoever manages the hub sees both under Shared \
                 access policies."
            ),
            Self::Account => "Nothing was done. Ask whoever assigns roles on the hub for 'IoT Hub \
                 Data Contributor' ('IoT Hub Data Reader' only looks; Owner is not enough). It \
                 takes minutes. Who you are: az account show"
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(Who::Policy("service".into()), &["Check the key", "'service'", "ServiceConnect"])]
    #[case(Who::Policy("mine".into()), &["Check the key", "'mine'", "ServiceConnect"])]
    #[case(Who::Policy("registryRead".into()), &["'registryRead'", "ServiceConnect", "'service'"])]
    #[case(Who::Account, &["IoT Hub Data Contributor", "az account show"])]
    fn a_refusal_names_the_right_and_who_gives_it(#[case] who: Who, #[case] words: &[&str]) {
        let hint = who.hint();
        for word in words.iter().chain(&["Nothing was done", "hoever"]) {
            assert!(hint.contains(word), "no {word} in {hint}");
        }
    }
}
