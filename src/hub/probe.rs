//! Looks at the way to a hub step by step, for whoever wants to know which step does
//! not go: proxy, name, TCP, TLS. Nothing is asked of the hub itself.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::{ClientConfig, DigitallySignedStruct, ProtocolVersion, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use crate::domain::clean;

use super::certificate::Certificate;
use super::client::Settings;
use super::error::{HubError, Obstacle};
use super::net;

/// The proxy that the environment names for this hub; never with its password.
#[must_use]
pub fn proxy(settings: &Settings) -> Option<String> {
    net::proxy(settings)
}

/// The addresses of the hub's name.
///
/// # Errors
/// [`HubError::Connect`].
pub async fn addresses(settings: &Settings) -> Result<Vec<SocketAddr>, HubError> {
    let at = settings.sign_in.at();
    let host = at.host.trim_matches(['[', ']']);
    let found = lookup_host((host, at.port)).await;
    let found: Vec<SocketAddr> = found
        .map_err(|e| lost(settings, Obstacle::Name, &e))?
        .collect();
    match found.is_empty() {
        true => Err(HubError::Connect {
            host: at.to_string(),
            cause: "the name has no address".to_owned(),
            obstacle: Obstacle::Name,
        }),
        false => Ok(found),
    }
}

/// A connection to the first of these addresses that answers.
///
/// # Errors
/// [`HubError::Connect`], of the last one.
pub async fn connect(settings: &Settings, all: &[SocketAddr]) -> Result<TcpStream, HubError> {
    TcpStream::connect(all)
        .await
        .map_err(|e| lost(settings, Obstacle::Network, &e))
}

fn lost(settings: &Settings, obstacle: Obstacle, error: &std::io::Error) -> HubError {
    HubError::Connect {
        host: settings.sign_in.at().to_string(),
        cause: clean::line(&error.to_string(), 200),
        obstacle,
    }
}

/// What came of a TLS handshake.
#[derive(Debug)]
pub struct Handshake {
    /// The certificate that was shown, whether it holds or not.
    pub certificate: Option<Certificate>,
    /// The version of TLS; or what is wrong.
    pub outcome: Result<String, HubError>,
}

/// Makes a handshake on a connection, and trusts whom the client trusts.
pub async fn handshake(settings: &Settings, stream: TcpStream) -> Handshake {
    let watching = match Watching::trusting(settings.ca_file.as_deref()) {
        Ok(watching) => Arc::new(watching),
        Err(cause) => {
            return Handshake {
                certificate: None,
                outcome: Err(HubError::Setup(cause)),
            };
        }
    };
    let outcome = shake(settings, stream, Arc::clone(&watching)).await;
    let seen = watching.seen.lock().unwrap_or_else(PoisonError::into_inner);
    Handshake {
        certificate: seen.clone(),
        outcome,
    }
}

async fn shake(
    settings: &Settings,
    stream: TcpStream,
    watching: Arc<Watching>,
) -> Result<String, HubError> {
    let setup = |e: rustls::Error| HubError::Setup(format!("TLS cannot be set up: {e}"));
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .dangerous() // the name rustls gives to any verifier but its own
        .with_custom_certificate_verifier(watching)
        .with_no_client_auth();
    let host = settings
        .sign_in
        .at()
        .host
        .trim_matches(['[', ']'])
        .to_owned();
    let name = ServerName::try_from(host)
        .map_err(|e| HubError::Setup(format!("no name that a certificate could hold: {e}")))?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.map_err(|e| {
        let tls = e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        let obstacle = tls.map_or(Obstacle::Handshake, net::obstacle_of_tls);
        lost(settings, obstacle, &e)
    })?;
    let version = stream.get_ref().1.protocol_version();
    Ok(match version {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3".to_owned(),
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
        other => format!("{other:?}"),
    })
}

/// The client's own judgement, with a look at what it judges.
#[derive(Debug)]
struct Watching {
    judge: Verifier,
    seen: Mutex<Option<Certificate>>,
}

impl Watching {
    fn trusting(ca_file: Option<&Path>) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let judge = match ca_file {
            None => Verifier::new(provider),
            Some(path) => Verifier::new_with_extra_roots(roots(path)?, provider),
        };
        let judge = judge.map_err(|e| {
            format!("nobody can be trusted: {e}; does this system have any CA certificates?")
        })?;
        Ok(Self {
            judge,
            seen: Mutex::default(),
        })
    }
}

fn roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let roots = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| format!("cannot read the CA file {shown}: {e}"))?;
    match roots.is_empty() {
        true => Err(format!("the CA file {shown} holds no PEM certificate")),
        false => Ok(roots),
    }
}

impl ServerCertVerifier for Watching {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Certificate::read(end_entity);
        self.judge
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}
