//! How the other side of an https connection is believed.
//!
//! Verified by default against the system's certificates. The ring provider is named explicitly,
//! so that nothing has to be installed for the whole process.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::PathBuf;
use std::sync::Arc;

/// Whom to believe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// The system's certificate authorities.
    #[default]
    System,
    /// The system's, and those in this PEM file (`cafile` of keystoneauth).
    SystemAnd(PathBuf),
    /// Anybody (`insecure` of keystoneauth): for tests of a deployment only.
    Insecure,
}

/// Why no TLS configuration came about.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file is missing, unreadable, not PEM, or holds no certificate.
    #[error("no certificate authority could be read from {path}: {reason}")]
    CaFile {
        /// The file as configured.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
    /// The TLS library refused the configuration.
    #[error("tls could not be set up: {0}")]
    Refused(String),
}

/// What may be spoken once TLS is agreed, the most welcome first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

impl Tls {
    pub(crate) fn config(&self) -> Result<ClientConfig, TlsError> {
        let mut config = self.trust()?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(config)
    }

    fn trust(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Refused(error.to_string()))?;
        let extra = match self {
            Self::System => None,
            Self::SystemAnd(path) => Some(path),
            Self::Insecure => {
                let verifier = Arc::new(BelieveAnybody(provider));
                return Ok(builder
                    .dangerous()
                    .with_custom_certificate_verifier(verifier)
                    .with_no_client_auth());
            }
        };
        let mut roots = RootCertStore::empty();
        // A system without certificates still speaks http, and https with a file of its own.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = extra {
            add_file(&mut roots, path)
                .map_err(|reason| TlsError::CaFile { path: path.clone(), reason })?;
        }
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

fn add_file(roots: &mut RootCertStore, path: &PathBuf) -> Result<(), String> {
    let before = roots.len();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.len() == before { Err("it holds none".to_owned()) } else { Ok(()) }
}

/// Accepts every certificate; the handshake's own signatures are still checked.
#[derive(Debug)]
struct BelieveAnybody(Arc<CryptoProvider>);

impl ServerCertVerifier for BelieveAnybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
