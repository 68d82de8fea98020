//! What a file really holds that should hold certificates or a private key.
//!
//! This reader understands more than any program that GitLab consists of, because its purpose is
//! to name a fault. Whether a given program accepts the file is for others to judge, from the
//! [quirks](Quirk): Go skips blocks that OpenSSL reads, and the other way round.
//!
//! Nothing that is read here is repeated in the result, apart from certificates and labels from a
//! fixed list. A private key turns into [`Key`], in which none fits.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::base64;
use super::der::{Der, Element, Fault, Lengths, Reader, Structure};
use super::key::{self, Key, PublicKey};

mod quirk;
mod scan;
mod shape;

pub use quirk::{Quirk, QuirkKind};
pub use shape::Shape;

use scan::{End, Scanned};

/// A file that should hold certificates or a private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PemFile {
    /// What kind of file it is.
    pub shape: Shape,
    /// The PEM blocks in their order. Empty unless the shape is [`Shape::Pem`] or
    /// [`Shape::LiteralNewlines`].
    pub blocks: Vec<Block>,
    /// Peculiarities, by line. One that concerns a block is reported once in each block.
    pub quirks: Vec<Quirk>,
}

/// What stands between a `BEGIN` and an `END` line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The text behind `BEGIN`, if it is one in use; otherwise [`Block::UNKNOWN_LABEL`].
    pub label: String,
    /// The line of `BEGIN`, counted from 1.
    pub line: usize,
    /// The line of `END`, or the last line before that is missed.
    pub last_line: usize,
    /// What the block holds.
    pub body: Body,
}

/// The contents of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// A certificate, complete and of the right structure; its fields are not looked at.
    Certificate {
        /// The document.
        der: Der,
    },
    /// OpenSSL's `TRUSTED CERTIFICATE`, which Go ignores.
    TrustedCertificate {
        /// The certificate alone, without the trust settings behind it.
        der: Der,
    },
    /// A private key that needs no passphrase.
    PrivateKey(Key),
    /// A private key that needs a passphrase.
    EncryptedKey {
        /// The manner of encryption.
        how: Encryption,
    },
    /// A private key in OpenSSH's own format, which no TLS program reads.
    OpenSshKey,
    /// A public key.
    PublicKey(PublicKey),
    /// A signing request (PKCS#10).
    Csr,
    /// A revocation list.
    Crl,
    /// A certificate bundle in one block (PKCS#7), which neither Go nor OpenSSL reads as
    /// certificates.
    Pkcs7,
    /// Diffie-Hellman parameters.
    DhParams,
    /// The name of a curve, which OpenSSL writes before an EC key.
    EcParams,
    /// Something is missing at the end.
    Truncated {
        /// What is missing.
        missing: Missing,
    },
    /// Unreadable.
    Broken {
        /// The reason.
        why: Broken,
    },
    /// Sound as far as Base64 goes, with a label that is not looked into.
    Other,
}

/// How a private key is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// PKCS#8, `ENCRYPTED PRIVATE KEY`.
    Pkcs8,
    /// OpenSSL's old way, with the header lines `Proc-Type` and `DEK-Info`.
    Headers,
}

/// What a truncated block lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The `END` line.
    EndMarker,
    /// Data: the document says that it is longer.
    Data,
}

/// Why a block is unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Broken {
    /// Characters or padding that Base64 does not have.
    #[error("the data is not Base64")]
    Base64,
    /// Nothing between the markers.
    #[error("there is no data")]
    Empty,
    /// The data decodes, and the document in it has a fault.
    #[error("{0}")]
    Document(Fault),
    /// The label promises something else.
    #[error("the block holds {0}")]
    Holds(Structure),
    /// `END` names something else than `BEGIN`.
    #[error("the labels of BEGIN and END differ")]
    Labels,
}

impl PemFile {
    /// The certificates in the file, in their order. One in DER counts, `TRUSTED` ones do not.
    pub fn certificates(&self) -> impl Iterator<Item = &Der> {
        let alone = match &self.shape {
            Shape::DerCertificate { der } => Some(der),
            _ => None,
        };
        let in_blocks = self.blocks.iter().filter_map(|block| match &block.body {
            Body::Certificate { der } => Some(der),
            _ => None,
        });
        alone.into_iter().chain(in_blocks)
    }

    /// The private keys in the file that need no passphrase, in their order. One in DER counts.
    pub fn private_keys(&self) -> impl Iterator<Item = &Key> {
        let alone = match &self.shape {
            Shape::DerKey { key } => Some(key),
            _ => None,
        };
        let in_blocks = self.blocks.iter().filter_map(|block| match &block.body {
            Body::PrivateKey(key) => Some(key),
            _ => None,
        });
        alone.into_iter().chain(in_blocks)
    }

    /// Whether there is a private key in any form, readable or not: a secret, wherever it lies.
    pub fn has_private_key(&self) -> bool {
        self.shape.is_private_key() || self.blocks.iter().any(Block::is_private_key)
    }

    /// The peculiarities within one block and on the lines of its markers.
    pub fn quirks_of(&self, block: &Block) -> impl Iterator<Item = &Quirk> {
        let lines = block.line..=block.last_line;
        self.quirks.iter().filter(move |quirk| lines.contains(&quirk.line))
    }
}

impl Block {
    /// Stands for a label that is not in the list. To repeat it would be to repeat file contents.
    pub const UNKNOWN_LABEL: &str = "unknown label";

    /// Whether this is a private key in any form, readable or not.
    pub fn is_private_key(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
            || self.label == "PGP PRIVATE KEY BLOCK"
            || match self.body {
                Body::PrivateKey(_) | Body::EncryptedKey { .. } | Body::OpenSshKey => true,
                Body::Broken { why: Broken::Holds(structure) } => structure.is_private_key(),
                _ => false,
            }
    }

    /// Whether a private key has the label of another format. OpenSSL and Go mostly bear it, but
    /// Ruby, with which GitLab signs for its registry, refuses PKCS#1 labelled `PRIVATE KEY`.
    pub fn is_mislabelled(&self) -> bool {
        matches!(&self.body, Body::PrivateKey(key) if key.format.label() != self.label)
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { .. } => f.write_str("a certificate"),
            Self::TrustedCertificate { .. } => {
                f.write_str("a certificate with OpenSSL trust settings")
            }
            Self::PrivateKey(key) => write!(f, "a private key ({}, {})", key.algorithm, key.format),
            Self::EncryptedKey { .. } => f.write_str("an encrypted private key"),
            Self::OpenSshKey => f.write_str("a private key in OpenSSH format"),
            Self::PublicKey(key) => write!(f, "a public key ({})", key.algorithm),
            Self::Csr => f.write_str("a certificate signing request"),
            Self::Crl => f.write_str("a certificate revocation list"),
            Self::Pkcs7 => f.write_str("a PKCS#7 certificate bundle"),
            Self::DhParams => f.write_str("Diffie-Hellman parameters"),
            Self::EcParams => f.write_str("elliptic curve parameters"),
            Self::Truncated { missing: Missing::EndMarker } => {
                f.write_str("a block without END line")
            }
            Self::Truncated { missing: Missing::Data } => f.write_str("a block cut short"),
            Self::Broken { why } => write!(f, "a broken block: {why}"),
            Self::Other => f.write_str("something else"),
        }
    }
}

/// Reads a file, whatever it holds. Takes time and memory in proportion to its size.
pub fn read(bytes: &[u8]) -> PemFile {
    if let Some(shape) = shape::before_pem(bytes) {
        return PemFile { shape, blocks: Vec::new(), quirks: Vec::new() };
    }
    let (scanned, quirks) = scan::scan(bytes);
    if scanned.is_empty() {
        return PemFile { shape: shape::without_pem(bytes), blocks: Vec::new(), quirks };
    }
    let shape = if scanned.iter().any(Scanned::begins_with_literal_newline) {
        Shape::LiteralNewlines
    } else {
        Shape::Pem
    };
    PemFile { shape, blocks: scanned.iter().map(block).collect(), quirks }
}

/// The labels in use. Others are not repeated.
static LABELS: [&str; 26] = [
    "ANY PRIVATE KEY",
    "CERTIFICATE",
    "CERTIFICATE REQUEST",
    "CMS",
    "DH PARAMETERS",
    "DSA PARAMETERS",
    "DSA PRIVATE KEY",
    "EC PARAMETERS",
    "EC PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "NEW CERTIFICATE REQUEST",
    "OPENSSH PRIVATE KEY",
    "PGP MESSAGE",
    "PGP PRIVATE KEY BLOCK",
    "PGP PUBLIC KEY BLOCK",
    "PKCS #7 SIGNED DATA",
    "PKCS7",
    "PRIVATE KEY",
    "PUBLIC KEY",
    "RSA PRIVATE KEY",
    "RSA PUBLIC KEY",
    "SSH2 PUBLIC KEY",
    "TRUSTED CERTIFICATE",
    "X509 CERTIFICATE",
    "X509 CRL",
    "X9.42 DH PARAMETERS",
];

fn block(scanned: &Scanned<'_>) -> Block {
    let label = LABELS.iter().find(|label| label.as_bytes() == scanned.label);
    let label = label.copied().unwrap_or(Block::UNKNOWN_LABEL);
    Block {
        label: label.to_owned(),
        line: scanned.line,
        last_line: scanned.last_line,
        body: body(label, scanned),
    }
}

fn body(label: &str, scanned: &Scanned<'_>) -> Body {
    match scanned.end {
        End::Missing => return Body::Truncated { missing: Missing::EndMarker },
        End::OtherLabel => return Body::Broken { why: Broken::Labels },
        End::Found => {}
    }
    if label == "OPENSSH PRIVATE KEY" {
        return Body::OpenSshKey;
    }
    if scanned.is_encrypted && label.ends_with("PRIVATE KEY") {
        return Body::EncryptedKey { how: Encryption::Headers };
    }
    // These two have a checksum line or headers that are not Base64.
    if label.starts_with("PGP ") || label.starts_with("SSH2 ") {
        return Body::Other;
    }
    let Some(document) = base64::decode(scanned.pieces.iter().copied()) else {
        return Body::Broken { why: Broken::Base64 };
    };
    match of_document(label, document.as_ref()) {
        Ok(body) => body,
        Err(Broken::Document(Fault::CutShort)) => Body::Truncated { missing: Missing::Data },
        Err(why) => Body::Broken { why },
    }
}

fn of_document(label: &str, document: &[u8]) -> Result<Body, Broken> {
    if document.is_empty() {
        return Err(Broken::Empty);
    }
    match label {
        "CERTIFICATE" | "X509 CERTIFICATE" => {
            expect(document, Structure::Certificate)?;
            Ok(Body::Certificate { der: Der::copy(document) })
        }
        "TRUSTED CERTIFICATE" => {
            let first =
                Reader::new(document, Lengths::Padded).element().map_err(Broken::Document)?.whole;
            expect(first, Structure::Certificate)?;
            Ok(Body::TrustedCertificate { der: Der::copy(first) })
        }
        "PUBLIC KEY" => {
            expect(document, Structure::PublicKey)?;
            key::of_spki(document).map(Body::PublicKey).map_err(Broken::Document)
        }
        "RSA PUBLIC KEY" => {
            expect(document, Structure::RsaPublicKey)?;
            key::of_rsa_public_key(document).map(Body::PublicKey).map_err(Broken::Document)
        }
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
            expect(document, Structure::CertificateRequest).map(|()| Body::Csr)
        }
        "X509 CRL" => expect(document, Structure::RevocationList).map(|()| Body::Crl),
        "PKCS7" | "PKCS #7 SIGNED DATA" | "CMS" => Ok(Body::Pkcs7),
        "DH PARAMETERS" | "X9.42 DH PARAMETERS" => Ok(Body::DhParams),
        "EC PARAMETERS" => Ok(Body::EcParams),
        label if label.ends_with("PRIVATE KEY") => of_private_key(document),
        _ => Ok(Body::Other),
    }
}

fn of_private_key(document: &[u8]) -> Result<Body, Broken> {
    if Structure::of(document) == Structure::EncryptedPrivateKey {
        return Ok(Body::EncryptedKey { how: Encryption::Pkcs8 });
    }
    expect(document, Structure::PrivateKey)?;
    key::of_private(document).map(Body::PrivateKey).map_err(Broken::Document)
}

fn expect(document: &[u8], structure: Structure) -> Result<(), Broken> {
    match Structure::of(document) {
        Structure::Unknown => {
            // Tells a document with a faulty frame from a sound one of an unknown kind.
            Element::only(document).map_err(Broken::Document)?;
            Err(Broken::Holds(Structure::Unknown))
        }
        found if found == structure => Ok(()),
        found => Err(Broken::Holds(found)),
    }
}

#[cfg(test)]
mod tests;
