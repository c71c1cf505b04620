//! What a call asks of the hub, as far as faults tell calls apart.

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /twins/{id}`
    TwinRead,
    /// `PATCH` and `PUT /twins/{id}`
    TwinWrite,
    /// `POST /twins/{id}/methods`
    Method,
    /// `POST /devices/query`
    Query,
    /// `/devices…` and the statistics
    Registry,
    /// `/packages…`
    Package,
    /// A device's CONNECT.
    Connect,
    /// A device's SUBSCRIBE.
    Subscribe,
    /// A device asks for its twin.
    DeviceTwin,
    /// A device reports properties.
    Report,
    /// A device sends telemetry.
    Event,
}

impl Route {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::TwinRead,
        Self::TwinWrite,
        Self::Method,
        Self::Query,
        Self::Registry,
        Self::Package,
        Self::Connect,
        Self::Subscribe,
        Self::DeviceTwin,
        Self::Report,
        Self::Event,
    ];

    /// As a scenario writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TwinRead => "twin-read",
            Self::TwinWrite => "twin-write",
            Self::Method => "method",
            Self::Query => "query",
            Self::Registry => "registry",
            Self::Package => "package",
            Self::Connect => "connect",
            Self::Subscribe => "subscribe",
            Self::DeviceTwin => "device-twin",
            Self::Report => "report",
            Self::Event => "event",
        }
    }

    /// Is it asked over HTTPS? Else a device asks over MQTT.
    #[must_use]
    pub fn is_https(self) -> bool {
        self.speaks_hub() && !matches!(self, Self::DeviceTwin | Self::Report)
            || self == Self::Package
    }

    /// Can the hub answer it with one of its codes?
    pub(super) fn speaks_hub(self) -> bool {
        !matches!(
            self,
            Self::Package | Self::Connect | Self::Subscribe | Self::Event
        )
    }

    /// Is it about one device?
    pub(super) fn has_device(self) -> bool {
        !matches!(self, Self::Query | Self::Package)
    }

    /// Does it change anything, here or on a device?
    pub(super) fn changes(self) -> bool {
        matches!(
            self,
            Self::TwinWrite | Self::Method | Self::Registry | Self::Report
        )
    }
}
