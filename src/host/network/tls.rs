//! Question: which certificates does a server show?
//!
//! The handshake accepts whatever is shown. Judging is not its business, and nothing is ever sent
//! over such a connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, InvalidMessage, SignatureScheme};
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsConnector;

use super::Failure;
use super::connect::connect;
use crate::host::spelling::base64_list;
use crate::host::{Machine, Question, Unknown};

/// Asks for one TLS handshake.
#[derive(Debug, Serialize)]
pub struct TlsHandshake {
    /// Where to.
    pub address: SocketAddr,
    /// The name to ask for (SNI); an address in text form asks for none.
    pub name: String,
}

/// What the server did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handshake {
    /// Certificates came, whether or not the handshake was completed.
    Shown {
        /// DER, the leaf first, as sent.
        #[serde(with = "base64_list")]
        chain: Vec<Vec<u8>>,
        /// `TLSv1.3` and the like; `None` where the handshake broke off afterwards.
        protocol: Option<String>,
    },
    /// No certificate came.
    Failed(Failure),
}

impl Handshake {
    /// The certificates as sent, if any were.
    pub fn chain(&self) -> Option<&[Vec<u8>]> {
        match self {
            Self::Shown { chain, .. } => Some(chain),
            Self::Failed(_) => None,
        }
    }
}

impl Question for TlsHandshake {
    type Answer = Handshake;

    const KIND: &'static str = "tls";

    fn label(&self) -> String {
        format!("tls {} at {}", self.name, self.address)
    }

    async fn look(&self, machine: &Machine) -> Result<Handshake, Unknown> {
        let _permit = machine.network().await?;
        let deadline = machine.stage();
        let witness = Arc::new(Witness::default());
        let handshake = self.shake_hands(Arc::clone(&witness));
        let outcome = match tokio::time::timeout(deadline, handshake).await {
            Err(_) => Err(Failure::silent(deadline)),
            Ok(outcome) => outcome?,
        };
        let chain = witness.chain();
        if !chain.is_empty() {
            return Ok(Handshake::Shown { chain, protocol: outcome.unwrap_or_default() });
        }
        Ok(Handshake::Failed(match outcome {
            Err(failure) => failure,
            Ok(_) => Failure::Foreign("the server showed no certificate".to_owned()),
        }))
    }
}

impl TlsHandshake {
    /// The version that was agreed on, or what came in between.
    async fn shake_hands(
        &self,
        witness: Arc<Witness>,
    ) -> Result<Result<Option<String>, Failure>, Unknown> {
        let stream = match connect(self.address).await? {
            Ok(stream) => stream,
            Err(failure) => return Ok(Err(failure)),
        };
        let connector = TlsConnector::from(Arc::new(client(witness)?));
        let name = server_name(&self.name, self.address.ip())?;
        Ok(match connector.connect(name, stream).await {
            Ok(done) => {
                let version = done.get_ref().1.protocol_version();
                Ok(version.and_then(|version| version.as_str()).map(spelled))
            }
            Err(error) => Err(refusal(&error)),
        })
    }
}

/// `TLSv1_3` as people write it.
fn spelled(version: &str) -> String {
    version.replace('_', ".")
}

/// What is said of a server that answers a TLS hello with something else.
const NO_TLS: &str = "it does not speak TLS";

impl Failure {
    /// Whether the peer answered a TLS hello with something else.
    pub fn is_no_tls(&self) -> bool {
        matches!(self, Self::Foreign(words) if words == NO_TLS)
    }
}

/// What a failed handshake says of the server.
fn refusal(error: &std::io::Error) -> Failure {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        )) => Failure::Foreign(NO_TLS.to_owned()),
        Some(cause) => Failure::Foreign(cause.to_string()),
        None => Failure::from(error),
    }
}

/// The name for SNI: none for an address.
pub(super) fn server_name(name: &str, address: IpAddr) -> Result<ServerName<'static>, Unknown> {
    if name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Ok(ServerName::IpAddress(address.into()));
    }
    let name = name.trim_end_matches('.').to_owned();
    ServerName::try_from(name.clone())
        .map_err(|_| Unknown::Unreadable(format!("'{name}' cannot be asked for as a TLS name")))
}

/// A TLS client that believes what its verifier does.
pub(super) fn client(verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, Unknown> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Unknown::Crashed(error.to_string()))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Sees the certificates, and lets everything pass.
#[derive(Debug, Default)]
pub(super) struct Witness {
    chain: Mutex<Vec<Vec<u8>>>,
}

impl Witness {
    /// For a look whose certificates nobody asks for: another question judges them.
    pub(super) fn anybody() -> Arc<dyn ServerCertVerifier> {
        Arc::new(Self::default())
    }

    fn chain(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.chain.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = std::iter::once(end_entity).chain(intermediates);
        let chain = shown.map(|certificate| certificate.to_vec()).collect();
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    /// All of them, so that a server with an unusual key shows it before it gives up.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        use SignatureScheme as S;
        vec![
            S::ECDSA_NISTP256_SHA256,
            S::ECDSA_NISTP384_SHA384,
            S::ECDSA_NISTP521_SHA512,
            S::ED25519,
            S::ED448,
            S::RSA_PSS_SHA256,
            S::RSA_PSS_SHA384,
            S::RSA_PSS_SHA512,
            S::RSA_PKCS1_SHA256,
            S::RSA_PKCS1_SHA384,
            S::RSA_PKCS1_SHA512,
            S::RSA_PKCS1_SHA1,
            S::ECDSA_SHA1_Legacy,
        ]
    }
}
