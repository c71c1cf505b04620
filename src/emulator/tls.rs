//! The hub's certificate: an authority of its own, made at start, whose key
//! signs one leaf and is dropped.
//!
//! The authority is constrained to the hub's host name, `localhost` and the
//! loopback addresses, so trusting its file trusts nothing else. Without the
//! key nobody, not even this process, can sign a second leaf.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use jiff::{Timestamp, tz::Offset};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

/// How long a certificate is good for, in days.
const DAYS: i64 = 730;
/// One with less than this left, in days, is made anew at start.
const SPARE_DAYS: i64 = 30;

/// What the hub shows to its clients, and the file they trust. No `Debug`: it
/// holds a private key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Certificates {
    /// The authority, for clients (`OTADECK_CA_FILE`, `REQUESTS_CA_BUNDLE`, …).
    pub(super) ca_pem: String,
    leaf_pem: String,
    leaf_key_pem: String,
    host_name: String,
    /// When they end.
    until: Timestamp,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The host name, or the making itself.
    #[error("no certificate for the host name {0:?}: {1}")]
    Make(String, rcgen::Error),
    /// What was kept cannot be used.
    #[error("the kept certificate cannot be used: {0}")]
    Kept(String),
    /// TLS does not take it.
    #[error("TLS does not take the certificate: {0}")]
    Config(#[from] rustls::Error),
}

impl Certificates {
    /// A fresh authority and leaf for `host_name` (a DNS name or an address).
    pub(super) fn make(host_name: &str, now: Timestamp) -> Result<Self, TlsError> {
        make(host_name, now).map_err(|source| TlsError::Make(host_name.to_owned(), source))
    }

    /// Are they for this name, and good for a while yet?
    pub(super) fn fit(&self, host_name: &str, now: Timestamp) -> bool {
        let spare = jiff::SignedDuration::from_hours(24 * SPARE_DAYS);
        self.host_name == host_name && self.until > now + spare
    }

    /// TLS 1.2 (the Python device SDK has nothing newer) and 1.3.
    pub(super) fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let kept = |error: rustls_pki_types::pem::Error| TlsError::Kept(error.to_string());
        let leaf = CertificateDer::from_pem_slice(self.leaf_pem.as_bytes()).map_err(kept)?;
        let key = PrivateKeyDer::from_pem_slice(self.leaf_key_pem.as_bytes()).map_err(kept)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_single_cert(vec![leaf], key)?;
        Ok(Arc::new(config))
    }
}

fn make(host_name: &str, now: Timestamp) -> Result<Certificates, rcgen::Error> {
    let until = now + jiff::SignedDuration::from_hours(24 * DAYS);
    let from = now - jiff::SignedDuration::from_hours(24);
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.distinguished_name
        .push(DnType::CommonName, "otadeck emulator CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    ca.name_constraints = Some(constraints(host_name));
    good_for(&mut ca, from, until);
    let ca_pem = ca.self_signed(&ca_key)?.pem();

    let mut names = vec![host_name.to_owned()];
    for name in ["localhost", "127.0.0.1", "::1"] {
        if name != host_name {
            names.push(name.to_owned());
        }
    }
    let leaf_key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name
        .push(DnType::CommonName, "otadeck emulator");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    good_for(&mut leaf, from, until);
    let issuer = Issuer::from_params(&ca, &ca_key);
    Ok(Certificates {
        ca_pem,
        leaf_pem: leaf.signed_by(&leaf_key, &issuer)?.pem(),
        leaf_key_pem: leaf_key.serialize_pem(),
        host_name: host_name.to_owned(),
        until,
    })
    // `ca_key` ends here.
}

fn constraints(host_name: &str) -> NameConstraints {
    let subnet = |address, bits| CidrSubnet::from_addr_prefix(address, bits);
    let own = match host_name.parse::<IpAddr>() {
        Ok(address) if address.is_ipv4() => GeneralSubtree::IpAddress(subnet(address, 32)),
        Ok(address) => GeneralSubtree::IpAddress(subnet(address, 128)),
        Err(_) => GeneralSubtree::DnsName(host_name.to_owned()),
    };
    let mut permitted_subtrees = vec![
        GeneralSubtree::DnsName("localhost".to_owned()),
        GeneralSubtree::IpAddress(subnet(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8)),
        GeneralSubtree::IpAddress(subnet(IpAddr::V6(Ipv6Addr::LOCALHOST), 128)),
    ];
    if !permitted_subtrees.contains(&own) {
        permitted_subtrees.push(own);
    }
    NameConstraints {
        permitted_subtrees,
        excluded_subtrees: Vec::new(),
    }
}

fn good_for(params: &mut CertificateParams, from: Timestamp, until: Timestamp) {
    let ymd = |time| {
        let day = Offset::UTC.to_datetime(time).date();
        let (month, date) = (day.month().unsigned_abs(), day.day().unsigned_abs());
        rcgen::date_time_ymd(i32::from(day.year()), month, date)
    };
    params.not_before = ymd(from);
    params.not_after = ymd(until);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    #[rstest::rstest]
    #[case("localhost", 3)]
    #[case("contoso.azure-devices.net", 4)]
    #[case("192.168.1.2", 4)]
    #[case("::1", 3)]
    fn the_authority_is_constrained(#[case] host: &str, #[case] names: usize) {
        assert_eq!(constraints(host).permitted_subtrees.len(), names);
        let made = Certificates::make(host, now()).unwrap();
        assert!(made.server_config().is_ok());
    }

    #[test]
    fn a_kept_certificate_fits_its_name_until_shortly_before_its_end() {
        let made = Certificates::make("localhost", now()).unwrap();
        let later = |days: i64| now() + jiff::SignedDuration::from_hours(24 * days);
        assert!(made.fit("localhost", later(DAYS - SPARE_DAYS - 1)));
        assert!(!made.fit("localhost", later(DAYS - SPARE_DAYS)));
        assert!(!made.fit("other.test", now()));
    }
}
