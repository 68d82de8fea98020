//! A TLS client for what must not reach a stranger: it speaks only to the server whose certificate
//! has been judged before, and only if that server holds the certificate's key.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, ring::default_provider, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// Believes one certificate.
#[derive(Debug)]
pub(super) struct Pinned {
    sha256: String,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    /// The server whose own certificate has this SHA-256, in lower-case hex.
    pub(super) fn on(sha256: &str) -> Arc<dyn ServerCertVerifier> {
        let algorithms = default_provider().signature_verification_algorithms;
        Arc::new(Self { sha256: sha256.to_owned(), algorithms })
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if HEXLOWER.encode(digest(&SHA256, end_entity).as_ref()) == self.sha256 {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::General("the server shows another certificate than a moment ago".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
