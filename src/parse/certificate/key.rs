//! Public keys.

use super::fields::{Algorithm, Fields};
use crate::parse::der::{self, Fault, Lengths, Reader, bit_length};
use crate::parse::key::curves::Curve;
use crate::parse::key::{DSA, EC_PUBLIC_KEY, ED448, ED25519, RSA_ENCRYPTION, RSASSA_PSS, X25519};

/// A public key, decoded as far as anybody here needs it. Numbers are big-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// An RSA key that is for PSS signatures only.
    RsaPss {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    Ec {
        curve: &'static Curve,
        point: Vec<u8>,
    },
    /// A curve given by its numbers instead of its name.
    ExplicitEc,
    /// A curve with a name that is not among those known here.
    UnknownCurve,
    Ed25519(Vec<u8>),
    Ed448(Vec<u8>),
    X25519(Vec<u8>),
    Dsa {
        p: Vec<u8>,
        q: Vec<u8>,
        g: Vec<u8>,
        y: Vec<u8>,
    },
    /// A known algorithm whose key cannot be read.
    Malformed,
    /// An algorithm not known here.
    Unknown,
}

impl Key {
    pub(crate) fn of(fields: &Fields) -> Self {
        Self::read(&fields.key_algorithm, &fields.key, fields.lengths())
    }

    pub(crate) fn read(algorithm: &Algorithm, bits: &[u8], lengths: Lengths) -> Self {
        match algorithm.oid.as_slice() {
            RSA_ENCRYPTION => rsa(bits, lengths)
                .map_or(Self::Malformed, |(modulus, exponent)| Self::Rsa { modulus, exponent }),
            RSASSA_PSS => rsa(bits, lengths)
                .map_or(Self::Malformed, |(modulus, exponent)| Self::RsaPss { modulus, exponent }),
            EC_PUBLIC_KEY => ec(algorithm, bits, lengths),
            ED25519 if bits.len() == 32 => Self::Ed25519(bits.to_vec()),
            ED448 if bits.len() == 57 => Self::Ed448(bits.to_vec()),
            X25519 if bits.len() == 32 => Self::X25519(bits.to_vec()),
            DSA => dsa(algorithm, bits, lengths).unwrap_or(Self::Malformed),
            ED25519 | ED448 | X25519 => Self::Malformed,
            _ => Self::Unknown,
        }
    }

    /// The algorithm's name, as people say it.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RSA",
            Self::RsaPss { .. } => "RSA-PSS",
            Self::Ec { curve, .. } => curve.name,
            Self::ExplicitEc => "EC with explicit parameters",
            Self::UnknownCurve => "EC on an unknown curve",
            Self::Ed25519(_) => "Ed25519",
            Self::Ed448(_) => "Ed448",
            Self::X25519(_) => "X25519",
            Self::Dsa { .. } => "DSA",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
        }
    }

    /// The size in bits as it is usually given; 0 where it is not known.
    pub(crate) fn bits(&self) -> usize {
        match self {
            Self::Rsa { modulus, .. } | Self::RsaPss { modulus, .. } => bit_length(modulus),
            Self::Ec { curve, .. } => curve.bits,
            Self::Ed25519(_) | Self::X25519(_) => 256,
            Self::Ed448(_) => 456,
            Self::Dsa { p, .. } => bit_length(p),
            Self::ExplicitEc | Self::UnknownCurve | Self::Malformed | Self::Unknown => 0,
        }
    }
}

/// What Go says to a key of a known algorithm that it cannot read (crypto/x509,
/// `parsePublicKey`).
pub(crate) fn go_complaint(algorithm: &Algorithm) -> &'static str {
    match algorithm.oid.as_slice() {
        EC_PUBLIC_KEY => "invalid ECDSA parameters",
        ED25519 => "wrong Ed25519 public key size",
        DSA => "invalid DSA public key",
        _ => "invalid RSA public key",
    }
}

/// The next number, if it is not negative.
fn number(reader: &mut Reader<'_>) -> Result<Vec<u8>, Fault> {
    Ok(der::natural(reader.expect(der::INTEGER)?.content)?.to_vec())
}

fn rsa(bits: &[u8], lengths: Lengths) -> Result<(Vec<u8>, Vec<u8>), Fault> {
    let mut pair = Reader::new(bits, lengths).sequence()?;
    Ok((number(&mut pair)?, number(&mut pair)?))
}

fn ec(algorithm: &Algorithm, bits: &[u8], lengths: Lengths) -> Key {
    let mut parameters = Reader::new(&algorithm.parameters, lengths);
    match parameters.element() {
        Ok(named) if named.tag == der::OID => match Curve::named(named.content) {
            Some(curve) => Key::Ec { curve, point: bits.to_vec() },
            None => Key::UnknownCurve,
        },
        Ok(numbers) if numbers.tag == der::SEQUENCE => Key::ExplicitEc,
        _ => Key::Malformed,
    }
}

fn dsa(algorithm: &Algorithm, bits: &[u8], lengths: Lengths) -> Result<Key, Fault> {
    let y = number(&mut Reader::new(bits, lengths))?;
    let mut parameters = Reader::new(&algorithm.parameters, lengths).sequence()?;
    let (p, q, g) = (number(&mut parameters)?, number(&mut parameters)?, number(&mut parameters)?);
    Ok(Key::Dsa { p, q, g, y })
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_bytes_can_be_read_as_a_key(bits: Vec<u8>, parameters: Vec<u8>, which in 0usize..6) {
            let oid = [RSA_ENCRYPTION, RSASSA_PSS, EC_PUBLIC_KEY, ED25519, DSA, X25519][which].to_vec();
            let _ = Key::read(&Algorithm { oid, parameters }, &bits, Lengths::Padded).bits();
        }
    }
}
