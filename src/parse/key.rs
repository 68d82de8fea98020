//! Public and private keys as facts: algorithm, size, and fingerprints of the public half.
//!
//! Whether a certificate and a private key belong together is one comparison for every algorithm,
//! [`PublicKey::is_same_key_as`]. `openssl … -modulus` can do that for RSA only, and prints
//! "No modulus for this public key type" for two EC keys whether they match or not.
//!
//! No type here has a field in which a private key fits.

use std::fmt;

use data_encoding::{HEXLOWER, HEXUPPER};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::der::{self, BIT_STRING, CONTEXT_0, Element, INTEGER, NULL, OID, SEQUENCE};

mod curve;
pub(crate) mod curves;
pub(crate) mod libtrust;
mod private;

pub use curve::Curve;
pub use der::Fault;
pub use libtrust::libtrust_id;
pub use private::of_private;

/// 1.2.840.113549.1.1.1
pub(crate) const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.113549.1.1.10
pub(crate) const RSASSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
/// 1.2.840.10045.2.1
pub(crate) const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.2.840.10040.4.1
pub(crate) const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01];
/// 1.3.101.112
pub(crate) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// 1.3.101.113
pub(crate) const ED448: &[u8] = &[0x2b, 0x65, 0x71];
/// 1.3.101.110
pub(crate) const X25519: &[u8] = &[0x2b, 0x65, 0x6e];

/// What kind of key, and how large.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// RSA for every use (`rsaEncryption`), which is what all of GitLab's programs read.
    Rsa {
        /// Length of the modulus.
        bits: usize,
        /// The public exponent, unless it is longer than 64 bits.
        exponent: Option<u64>,
    },
    /// RSA for PSS signatures alone (`id-RSASSA-PSS`). Go and Ruby's `OpenSSL::PKey::RSA` do not
    /// read such a private key.
    RsaPss {
        /// Length of the modulus.
        bits: usize,
    },
    /// A key on an elliptic curve in the short Weierstrass form.
    Ec {
        /// The curve, also if its parameters are written out.
        curve: Curve,
        /// Whether the parameters are written out instead of named. OpenSSL alone reads that.
        explicit: bool,
    },
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// Ed448 (RFC 8410).
    Ed448,
    /// DSA, which no TLS version in use has.
    Dsa,
    /// Another algorithm, by its dotted identifier; `None` if that is malformed.
    Other(Option<String>),
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits, .. } => write!(f, "RSA with {bits} bits"),
            Self::RsaPss { bits } => write!(f, "RSA-PSS with {bits} bits"),
            Self::Ec { curve, explicit: false } => write!(f, "EC on {curve}"),
            Self::Ec { curve, explicit: true } => {
                write!(f, "EC on {curve} with explicit parameters")
            }
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Ed448 => f.write_str("Ed448"),
            Self::Dsa => f.write_str("DSA"),
            Self::Other(Some(oid)) => write!(f, "algorithm {oid}"),
            Self::Other(None) => f.write_str("an unknown algorithm"),
        }
    }
}

/// A public key, from a certificate or derived from a private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// Kind and size.
    pub algorithm: Algorithm,
    /// SHA-256 of the DER `SubjectPublicKeyInfo`, in lower-case hex, as from
    /// `openssl pkey -in KEY -pubout -outform DER | sha256sum`.
    pub spki_sha256: String,
    /// For RSA: SHA-256 of the line `Modulus=…` with its newline, in lower-case hex. Equals
    /// `openssl rsa -in KEY -noout -modulus | openssl sha256`, which the documentation compares.
    pub modulus_sha256: Option<String>,
    /// The key ID by which a registry finds the key that signed a token ("libtrust" form): 12
    /// groups of four characters. Equals the `kid` in tokens from GitLab.
    pub key_id: String,
    /// SHA-256 of the key in a spelling of our own in which one key has one form: a named curve,
    /// a compressed point. For comparisons only.
    pub identity_sha256: String,
}

impl PublicKey {
    /// Whether both are one key, however each is written.
    ///
    /// RSA and RSA-PSS keys with one modulus are not, neither here nor to OpenSSL.
    pub fn is_same_key_as(&self, other: &Self) -> bool {
        self.identity_sha256 == other.identity_sha256
    }
}

/// How a private key is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// PKCS#8, the label of which is `PRIVATE KEY`.
    Pkcs8,
    /// PKCS#1, the label of which is `RSA PRIVATE KEY`.
    Pkcs1,
    /// SEC 1, the label of which is `EC PRIVATE KEY`.
    Sec1,
    /// OpenSSL's own form for DSA, the label of which is `DSA PRIVATE KEY`.
    Dsa,
}

impl Format {
    /// The label that a PEM block with this format has.
    pub fn label(self) -> &'static str {
        match self {
            Self::Pkcs8 => "PRIVATE KEY",
            Self::Pkcs1 => "RSA PRIVATE KEY",
            Self::Sec1 => "EC PRIVATE KEY",
            Self::Dsa => "DSA PRIVATE KEY",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pkcs8 => "PKCS#8",
            Self::Pkcs1 => "PKCS#1",
            Self::Sec1 => "SEC 1",
            Self::Dsa => "OpenSSL's DSA format",
        })
    }
}

/// What is known about a private key that is not encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// How it is encoded.
    pub format: Format,
    /// Kind and size; the same as that of `public`.
    pub algorithm: Algorithm,
    /// The public half. `None` where the file does not contain it and it is not derived here: EC
    /// keys without their point, Ed448 and DSA.
    pub public: Option<PublicKey>,
}

/// The public key in a certificate (DER), of any version.
pub fn of_certificate(certificate: &[u8]) -> Result<PublicKey, Fault> {
    let mut body = Element::only_sequence(certificate)?.sequence()?;
    body.optional(CONTEXT_0)?; // The version.
    body.expect(INTEGER)?; // The serial number.
    for _ in ["signature", "issuer", "validity", "subject"] {
        body.sequence()?;
    }
    of_spki(body.expect(SEQUENCE)?.whole)
}

/// The public key in a `SubjectPublicKeyInfo` (DER).
pub fn of_spki(spki: &[u8]) -> Result<PublicKey, Fault> {
    let mut fields = Element::only_sequence(spki)?;
    let mut algorithm = fields.sequence()?;
    let oid = algorithm.expect(OID)?.content;
    let key = fields.octets_of_bit_string()?;

    let mut modulus_sha256 = None;
    let (algorithm, identity_sha256) = match oid {
        RSA_ENCRYPTION | RSASSA_PSS => {
            let mut numbers = Element::only_sequence(key)?;
            let (modulus, exponent) = (numbers.unsigned()?, numbers.unsigned()?);
            modulus_sha256 = Some(hash_of_modulus_line(modulus));
            (rsa(oid, modulus, exponent)?, hash(&[oid, modulus, exponent]))
        }
        EC_PUBLIC_KEY => {
            let parameters = algorithm.element()?;
            let (curve, explicit) = Curve::of_parameters(parameters)?;
            let (sign, x) = curve::compressed(key).ok_or(Fault::Malformed)?;
            let curve_identity = curve.name().map_or(parameters.whole, str::as_bytes);
            let identity = hash(&[oid, curve_identity, &[sign], x]);
            (Algorithm::Ec { curve, explicit }, identity)
        }
        ED25519 => (Algorithm::Ed25519, hash(&[oid, key])),
        ED448 => (Algorithm::Ed448, hash(&[oid, key])),
        DSA => (Algorithm::Dsa, hash(&[spki])),
        other => (Algorithm::Other(der::dotted_if_usual(other)), hash(&[spki])),
    };
    let spki_digest = ring::digest::digest(&SHA256, spki);
    Ok(PublicKey {
        algorithm,
        spki_sha256: HEXLOWER.encode(spki_digest.as_ref()),
        modulus_sha256,
        key_id: libtrust::id_of_digest(spki_digest.as_ref()),
        identity_sha256,
    })
}

/// The public key in an `RSAPublicKey` (DER), which `RSA PUBLIC KEY` blocks hold.
pub(super) fn of_rsa_public_key(key: &[u8]) -> Result<PublicKey, Fault> {
    let mut numbers = Element::only_sequence(key)?;
    of_spki(&spki_of_rsa(&algorithm_of_rsa(), numbers.unsigned()?, numbers.unsigned()?))
}

/// The `AlgorithmIdentifier` of ordinary RSA. Its parameters are NULL, not absent: with another
/// spelling, neither fingerprint nor key ID would be those of other programs.
fn algorithm_of_rsa() -> Vec<u8> {
    der::wrap(SEQUENCE, &[&der::wrap(OID, &[RSA_ENCRYPTION]), &der::wrap(NULL, &[])])
}

fn spki_of_rsa(algorithm: &[u8], modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let numbers = [der::wrap_unsigned(modulus), der::wrap_unsigned(exponent)];
    spki(algorithm, &der::wrap(SEQUENCE, &[&numbers[0], &numbers[1]]))
}

fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    der::wrap(SEQUENCE, &[algorithm, &der::wrap(BIT_STRING, &[&[0], key])])
}

fn rsa(oid: &[u8], modulus: &[u8], exponent: &[u8]) -> Result<Algorithm, Fault> {
    let bits = der::bit_length(modulus);
    if bits == 0 {
        return Err(Fault::Malformed);
    }
    if oid == RSASSA_PSS {
        return Ok(Algorithm::RsaPss { bits });
    }
    Ok(Algorithm::Rsa { bits, exponent: der::number(exponent) })
}

/// OpenSSL prints the modulus in upper-case hex, from its first digit that is not zero.
fn hash_of_modulus_line(modulus: &[u8]) -> String {
    let digits = HEXUPPER.encode(modulus);
    let line = format!("Modulus={}\n", digits.trim_start_matches('0'));
    HEXLOWER.encode(ring::digest::digest(&SHA256, line.as_bytes()).as_ref())
}

/// SHA-256 of the parts with their lengths, so that no two lists of parts are one text.
fn hash(parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    HEXLOWER.encode(context.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rsa_spki(modulus: &[u8]) -> Vec<u8> {
        spki_of_rsa(&algorithm_of_rsa(), modulus, &[1, 0, 1])
    }

    #[test]
    fn the_modulus_is_hashed_as_openssl_prints_it() {
        // printf 'Modulus=ABC\n' | sha256sum
        assert_eq!(
            of_spki(&rsa_spki(&[0, 0x0a, 0xbc])).unwrap().modulus_sha256.unwrap(),
            "02e5e199802d24657742b4ce54f99b488c6dd4d10e8573ac3c6e90794a28c872"
        );
    }

    #[test]
    fn bits_are_counted_from_the_first_that_is_set() {
        for (modulus, expected) in [(&[0x80, 0][..], 16), (&[0x7f, 0xff], 15), (&[1], 1)] {
            let algorithm = of_spki(&rsa_spki(modulus)).unwrap().algorithm;
            assert_eq!(algorithm, Algorithm::Rsa { bits: expected, exponent: Some(65537) });
        }
        assert_eq!(of_spki(&rsa_spki(&[0])), Err(Fault::Malformed));
    }

    #[test]
    fn a_modulus_of_100_000_bits_is_just_long() {
        let algorithm = of_spki(&rsa_spki(&vec![0xff; 12_500])).unwrap().algorithm;
        assert_eq!(algorithm, Algorithm::Rsa { bits: 100_000, exponent: Some(65537) });
    }

    #[test]
    fn one_point_has_one_identity_and_two_fingerprints() {
        let p256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        let algorithm =
            der::wrap(SEQUENCE, &[&der::wrap(OID, &[EC_PUBLIC_KEY]), &der::wrap(OID, &[&p256])]);
        let of_point = |point: &[u8]| of_spki(&spki(&algorithm, point));
        let whole = of_point(&[[4].as_slice(), &[9; 64]].concat()).unwrap();
        let odd = of_point(&[[3].as_slice(), &[9; 32]].concat()).unwrap();
        let even = of_point(&[[2].as_slice(), &[9; 32]].concat()).unwrap();
        assert!(whole.is_same_key_as(&odd));
        assert!(!whole.is_same_key_as(&even));
        assert_ne!(whole.spki_sha256, odd.spki_sha256);
        assert_eq!(of_point(&[0]), Err(Fault::Malformed));
    }

    #[test]
    fn a_pss_key_is_another_key_than_an_rsa_key() {
        let pss = der::wrap(SEQUENCE, &[&der::wrap(OID, &[RSASSA_PSS])]);
        let (pss, rsa) =
            (of_spki(&spki_of_rsa(&pss, &[0xff; 8], &[3])), of_spki(&rsa_spki(&[0xff; 8])));
        let (pss, rsa) = (pss.unwrap(), rsa.unwrap());
        assert!(!pss.is_same_key_as(&rsa));
        assert_eq!(pss.modulus_sha256, rsa.modulus_sha256);
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = of_spki(&bytes);
            let _ = of_certificate(&bytes);
            let _ = of_rsa_public_key(&bytes);
            let _ = of_spki(&spki(&algorithm_of_rsa(), &bytes));
            let _ = of_spki(&spki(&der::wrap(SEQUENCE, &[&der::wrap(OID, &[EC_PUBLIC_KEY]), &bytes]), &bytes));
        }
    }
}
