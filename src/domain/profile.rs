//! Which hub this is, and what may be done to it.

use serde::{Deserialize, Serialize};

/// A hub's tier, which sets its rates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Tier {
    /// Free: 8,000 messages a day of 0.5 KB.
    F1,
    /// Standard 1: 400,000 messages a day and unit.
    #[default]
    S1,
    /// Standard 2: 6,000,000 messages a day and unit.
    S2,
    /// Standard 3: 300,000,000 messages a day and unit.
    S3,
}

impl Tier {
    /// Twin reads that the hub takes in a second, for all its clients together.
    ///
    /// Source: Azure IoT Hub documentation, "IoT Hub quotas and throttling"
    /// (`articles/iot-hub/iot-hub-devguide-quotas-throttling.md`).
    #[must_use]
    pub fn twin_reads_per_second(self, units: u32) -> u32 {
        match self {
            Self::F1 | Self::S1 => 100,
            Self::S2 => units.saturating_mul(10).max(100),
            Self::S3 => units.saturating_mul(500),
        }
    }

    /// Queries that the hub takes in a minute; a page is a query. Source as of
    /// [`Tier::twin_reads_per_second`].
    #[must_use]
    pub fn queries_per_minute(self, units: u32) -> u32 {
        match self {
            Self::F1 | Self::S1 | Self::S2 => units.saturating_mul(20),
            Self::S3 => units.saturating_mul(1_000),
        }
    }

    /// Messages that the hub takes in a day, from everybody: its devices, and
    /// whoever reads twins, asks queries or calls methods. Source as of
    /// [`Tier::twin_reads_per_second`].
    #[must_use]
    pub fn messages_per_day(self, units: u32) -> u64 {
        let units = u64::from(units.max(1));
        match self {
            // There is only one unit of it.
            Self::F1 => 8_000,
            Self::S1 => 400_000 * units,
            Self::S2 => 6_000_000 * units,
            Self::S3 => 300_000_000 * units,
        }
    }

    /// The size in which messages are counted, in bytes. Source as of
    /// [`Tier::twin_reads_per_second`].
    #[must_use]
    pub fn message_bytes(self) -> usize {
        match self {
            Self::F1 => 512,
            Self::S1 | Self::S2 | Self::S3 => 4_096,
        }
    }

    /// The name as the contract writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F1 => "F1",
            Self::S1 => "S1",
            Self::S2 => "S2",
            Self::S3 => "S3",
        }
    }
}

impl std::str::FromStr for Tier {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_uppercase().as_str() {
            "F1" => Ok(Self::F1),
            "S1" => Ok(Self::S1),
            "S2" => Ok(Self::S2),
            "S3" => Ok(Self::S3),
            _ => Err(format!(
                "no tier {text:?}; the tiers with twins are F1, S1, S2 and S3"
            )),
        }
    }
}

/// What otadeck knows of a hub besides its address and its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The name that the operator gave it, or the first label of its host name.
    pub name: String,
    /// The host name as in the connection string, with its port when that is
    /// not 443.
    pub host: String,
    /// `production`, `staging`, … as the operator calls it; shown, and
    /// `production` guards writes.
    pub environment: Option<String>,
    /// Refuses every write.
    pub read_only: bool,
    /// The tier, when the operator named it.
    pub tier: Option<Tier>,
    /// Units of the tier, at least 1.
    pub units: u32,
}

impl Profile {
    /// Does a write need the hub's name typed first?
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.environment
            .as_deref()
            .map(|e| e.trim().to_ascii_lowercase())
            .is_some_and(|e| e == "production" || e == "prod")
    }

    /// Twin reads a second that one program may make: 60 % of what the hub
    /// takes from everybody.
    #[must_use]
    pub fn reads_per_second(&self) -> u32 {
        let (tier, units) = self.tier_or_assumed();
        tier.twin_reads_per_second(units).saturating_mul(6) / 10
    }

    /// The tier, or one unit of S1 when nobody said which it is.
    #[must_use]
    pub fn tier_or_assumed(&self) -> (Tier, u32) {
        self.tier.map_or((Tier::S1, 1), |tier| (tier, self.units))
    }

    /// Inventory pages a minute that one program may ask for: half of what the
    /// hub takes from everybody.
    #[must_use]
    pub fn pages_per_minute(&self) -> u32 {
        let (tier, units) = self.tier_or_assumed();
        tier.queries_per_minute(units) / 2
    }

    /// The tier as shown: `S2`, or `S1?` when nobody said which it is.
    #[must_use]
    pub fn tier_label(&self) -> String {
        match self.tier {
            Some(tier) if self.units > 1 => format!("{}×{}", tier.name(), self.units),
            Some(tier) => tier.name().to_owned(),
            None => "S1?".to_owned(),
        }
    }
}
