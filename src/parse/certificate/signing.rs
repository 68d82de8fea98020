//! Signature algorithms.

use super::fields::{Algorithm, Fields};
use crate::parse::der::{self, Fault, Lengths, Reader};
use crate::parse::key::{ED448, ED25519};

/// A digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Digest {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Digest {
    /// The length of its value, in bytes.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The name as Go writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha224 => "SHA224",
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
        }
    }

    fn named(oid: &[u8]) -> Option<Self> {
        Some(match oid {
            [0x2b, 0x0e, 0x03, 0x02, 0x1a] => Self::Sha1,
            [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, which] => match which {
                1 => Self::Sha256,
                2 => Self::Sha384,
                3 => Self::Sha512,
                4 => Self::Sha224,
                _ => return None,
            },
            _ => return None,
        })
    }
}

/// How a certificate is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    Rsa(Digest),
    /// RSA-PSS with MGF1: the digest, that of MGF1, and the salt's length in bytes.
    Pss {
        digest: Digest,
        mask: Digest,
        salt: usize,
    },
    Ecdsa(Digest),
    Dsa(Digest),
    Ed25519,
    Ed448,
    Unknown,
}

impl Signing {
    pub(crate) fn of(fields: &Fields) -> Self {
        Self::read(&fields.algorithm)
    }

    pub(crate) fn read(algorithm: &Algorithm) -> Self {
        match algorithm.oid.as_slice() {
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, which] => match which {
                4 => Self::Rsa(Digest::Md5),
                5 => Self::Rsa(Digest::Sha1),
                10 => pss(&algorithm.parameters).unwrap_or(Self::Unknown),
                11 => Self::Rsa(Digest::Sha256),
                12 => Self::Rsa(Digest::Sha384),
                13 => Self::Rsa(Digest::Sha512),
                14 => Self::Rsa(Digest::Sha224),
                _ => Self::Unknown,
            },
            // An old spelling of sha1WithRSAEncryption that ISO defined.
            [0x2b, 0x0e, 0x03, 0x02, 0x1d] => Self::Rsa(Digest::Sha1),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] => Self::Ecdsa(Digest::Sha1),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, which] => match which {
                1 => Self::Ecdsa(Digest::Sha224),
                2 => Self::Ecdsa(Digest::Sha256),
                3 => Self::Ecdsa(Digest::Sha384),
                4 => Self::Ecdsa(Digest::Sha512),
                _ => Self::Unknown,
            },
            [0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x03] => Self::Dsa(Digest::Sha1),
            [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, which] => match which {
                1 => Self::Dsa(Digest::Sha224),
                2 => Self::Dsa(Digest::Sha256),
                _ => Self::Unknown,
            },
            ED25519 => Self::Ed25519,
            ED448 => Self::Ed448,
            _ => Self::Unknown,
        }
    }

    /// The digest that the signature is made over, where there is one.
    pub(crate) fn digest(self) -> Option<Digest> {
        match self {
            Self::Rsa(digest)
            | Self::Ecdsa(digest)
            | Self::Dsa(digest)
            | Self::Pss { digest, .. } => Some(digest),
            Self::Ed25519 | Self::Ed448 | Self::Unknown => None,
        }
    }

    /// The name as Go writes it, which is readable enough for everybody.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Rsa(digest) => format!("{}-RSA", digest.name()),
            Self::Pss { digest, .. } => format!("{}-RSAPSS", digest.name()),
            Self::Ecdsa(digest) => format!("ECDSA-{}", digest.name()),
            Self::Dsa(digest) => format!("DSA-{}", digest.name()),
            Self::Ed25519 => "Ed25519".to_owned(),
            Self::Ed448 => "Ed448".to_owned(),
            Self::Unknown => "unknown".to_owned(),
        }
    }
}

/// RSASSA-PSS-params, whose every field has a default that means SHA-1 and 20 bytes of salt.
fn pss(parameters: &[u8]) -> Result<Signing, Fault> {
    let mut fields = Reader::new(parameters, Lengths::Padded).sequence()?;
    let digest = match fields.optional(der::CONTEXT_0)? {
        Some(wrapped) => digest(fields.inside(wrapped))?,
        None => Digest::Sha1,
    };
    let mask = match fields.optional(der::CONTEXT_1)? {
        Some(wrapped) => {
            let mut generator = fields.inside(wrapped).sequence()?;
            generator.oid()?;
            self::digest(generator)?
        }
        None => Digest::Sha1,
    };
    let salt = match fields.optional(der::constructed(2))? {
        Some(wrapped) => {
            let number = fields.inside(wrapped).expect(der::INTEGER)?;
            usize::try_from(der::natural_u64(number.content)?).map_err(|_| Fault::Malformed)?
        }
        None => 20,
    };
    Ok(Signing::Pss { digest, mask, salt })
}

fn digest(mut reader: Reader<'_>) -> Result<Digest, Fault> {
    Digest::named(reader.sequence()?.oid()?).ok_or(Fault::Malformed)
}
