//! Whether a key made a signature.
//!
//! `ring` does the common algorithms. What it leaves out is still in use at sites whose clients
//! accept it (P-521, P-256 with SHA-512, RSA of 1024 or 1536 bits, SHA-1 in old roots, brainpool),
//! so there is a plain verifier beside it, on big numbers. Verifying handles public data only:
//! nothing here has to take constant time, and nobody's access depends on the answer.

use num_bigint::BigUint;
use ring::signature::{self as fast, RsaPublicKeyComponents, UnparsedPublicKey};
use sha2::Digest as _;

use super::elliptic::Group;
use super::key::Key;
use super::signing::{Digest, Signing};
use crate::parse::der::{self, Lengths, Reader, bit_length};
use crate::parse::key::curves::Curve;

/// What checking a signature came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Good,
    Bad,
    /// Neither verifier knows the algorithm.
    Unable,
}

impl From<bool> for Outcome {
    fn from(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }
}

/// Checks `signature` over `message`. A key of another kind than the algorithm asks for is bad.
pub(crate) fn check(key: &Key, signing: Signing, message: &[u8], signature: &[u8]) -> Outcome {
    match (signing, key) {
        (Signing::Rsa(Digest::Md5), Key::Rsa { .. }) | (Signing::Ed448, Key::Ed448(_)) => {
            Outcome::Unable
        }
        (Signing::Rsa(digest), Key::Rsa { modulus, exponent }) => {
            pkcs1(modulus, exponent, digest, message, signature).into()
        }
        (
            Signing::Pss { digest, mask, salt },
            Key::Rsa { modulus, exponent } | Key::RsaPss { modulus, exponent },
        ) => {
            let key = RsaPublicKeyComponents { n: modulus.as_slice(), e: exponent.as_slice() };
            let usual = salt == digest.len() && mask == digest;
            match fast_pss(digest).filter(|_| usual && fast_size(modulus)) {
                Some(parameters) => key.verify(parameters, message, signature).is_ok(),
                None => pss(&key, (digest, mask, salt), message, signature).unwrap_or(false),
            }
            .into()
        }
        (Signing::Ecdsa(digest), Key::Ec { curve, point }) => {
            match fast_ecdsa(curve, digest).filter(|_| point.first() == Some(&4)) {
                Some(algorithm) => {
                    UnparsedPublicKey::new(algorithm, point).verify(message, signature).is_ok()
                }
                None => ecdsa(curve, point, digest, message, signature).unwrap_or(false),
            }
            .into()
        }
        (Signing::Ed25519, Key::Ed25519(point)) => {
            UnparsedPublicKey::new(&fast::ED25519, point).verify(message, signature).is_ok().into()
        }
        (Signing::Dsa(digest), Key::Dsa { p, q, g, y }) => {
            let key = DsaKey { p, q, g, y };
            dsa(&key, digest, message, signature).unwrap_or(false).into()
        }
        (Signing::Unknown, _) => Outcome::Unable,
        _ => Outcome::Bad,
    }
}

/// Whether `ring` takes a modulus of this size.
fn fast_size(modulus: &[u8]) -> bool {
    (2048..=8192).contains(&bit_length(modulus))
}

fn fast_pss(digest: Digest) -> Option<&'static fast::RsaParameters> {
    match digest {
        Digest::Sha256 => Some(&fast::RSA_PSS_2048_8192_SHA256),
        Digest::Sha384 => Some(&fast::RSA_PSS_2048_8192_SHA384),
        Digest::Sha512 => Some(&fast::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

fn fast_ecdsa(curve: &Curve, digest: Digest) -> Option<&'static fast::EcdsaVerificationAlgorithm> {
    match (curve.name, digest) {
        ("P-256", Digest::Sha256) => Some(&fast::ECDSA_P256_SHA256_ASN1),
        ("P-256", Digest::Sha384) => Some(&fast::ECDSA_P256_SHA384_ASN1),
        ("P-384", Digest::Sha256) => Some(&fast::ECDSA_P384_SHA256_ASN1),
        ("P-384", Digest::Sha384) => Some(&fast::ECDSA_P384_SHA384_ASN1),
        _ => None,
    }
}

fn pkcs1(
    modulus: &[u8],
    exponent: &[u8],
    digest: Digest,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let parameters: Option<&fast::RsaParameters> = match digest {
        Digest::Sha1 => Some(&fast::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
        Digest::Sha256 => Some(&fast::RSA_PKCS1_2048_8192_SHA256),
        Digest::Sha384 => Some(&fast::RSA_PKCS1_2048_8192_SHA384),
        Digest::Sha512 => Some(&fast::RSA_PKCS1_2048_8192_SHA512),
        Digest::Md5 | Digest::Sha224 => None,
    };
    let key = RsaPublicKeyComponents { n: modulus, e: exponent };
    match parameters.filter(|_| fast_size(modulus)) {
        Some(parameters) => key.verify(parameters, message, signature).is_ok(),
        None => slow_pkcs1(&key, digest, message, signature).unwrap_or(false),
    }
}

/// The signature to the power of the exponent, in as many bytes as the modulus has.
fn opened(key: &RsaPublicKeyComponents<&[u8]>, signature: &[u8]) -> Option<Vec<u8>> {
    // OpenSSL takes no larger modulus, and no exponent of more than 64 bits with a large one.
    // That bounds the work too.
    if bit_length(key.n) > 16_384 || bit_length(key.e) > 64 {
        return None;
    }
    let modulus = BigUint::from_bytes_be(key.n);
    let number = BigUint::from_bytes_be(signature);
    if number >= modulus || !modulus.bit(0) || signature.len() != key.n.len() {
        return None;
    }
    let power = number.modpow(&BigUint::from_bytes_be(key.e), &modulus).to_bytes_be();
    let zeros = key.n.len().checked_sub(power.len())?;
    Some([vec![0; zeros], power].concat())
}

/// EMSA-PKCS1-v1_5 of RFC 8017, section 9.2.
fn slow_pkcs1(
    key: &RsaPublicKeyComponents<&[u8]>,
    digest: Digest,
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let info = [digest_info(digest)?, &hash(digest, message)?].concat();
    let padding = key.n.len().checked_sub(info.len() + 3).filter(|&length| length >= 8)?;
    let expected = [&[0, 1][..], &vec![0xff; padding], &[0], &info].concat();
    Some(opened(key, signature)? == expected)
}

/// What stands before the digest's value in a `DigestInfo`.
fn digest_info(digest: Digest) -> Option<&'static [u8]> {
    const fn sha2(which: u8, total: u8, length: u8) -> [u8; 19] {
        [0x30, total, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, which, 5, 0, 4, length]
    }
    const SHA224: [u8; 19] = sha2(4, 45, 28);
    const SHA256: [u8; 19] = sha2(1, 49, 32);
    const SHA384: [u8; 19] = sha2(2, 65, 48);
    const SHA512: [u8; 19] = sha2(3, 81, 64);
    const SHA1: [u8; 15] = [0x30, 33, 0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0, 4, 20];
    Some(match digest {
        Digest::Md5 => return None,
        Digest::Sha1 => &SHA1,
        Digest::Sha224 => &SHA224,
        Digest::Sha256 => &SHA256,
        Digest::Sha384 => &SHA384,
        Digest::Sha512 => &SHA512,
    })
}

fn hash(digest: Digest, message: &[u8]) -> Option<Vec<u8>> {
    let algorithm = match digest {
        Digest::Md5 => return None,
        // ring has no SHA-224.
        Digest::Sha224 => return Some(sha2::Sha224::digest(message).to_vec()),
        Digest::Sha1 => &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
        Digest::Sha256 => &ring::digest::SHA256,
        Digest::Sha384 => &ring::digest::SHA384,
        Digest::Sha512 => &ring::digest::SHA512,
    };
    Some(ring::digest::digest(algorithm, message).as_ref().to_vec())
}

/// EMSA-PSS of RFC 8017, section 9.1.2.
fn pss(
    key: &RsaPublicKeyComponents<&[u8]>,
    (digest, mask, salt): (Digest, Digest, usize),
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let bits = bit_length(key.n).checked_sub(1)?;
    let encoded = opened(key, signature)?;
    let encoded = encoded.get(encoded.len().checked_sub(bits.div_ceil(8))?..)?;
    let (encoded, last) = encoded.split_at_checked(encoded.len().checked_sub(1)?)?;
    let block_length = encoded.len().checked_sub(digest.len())?;
    let (block, seed) = encoded.split_at_checked(block_length)?;
    let mut block = block.to_vec();
    for (byte, over) in block.iter_mut().zip(mgf1(mask, seed, block_length)?) {
        *byte ^= over;
    }
    if let Some(first) = block.first_mut() {
        *first &= u8::MAX >> (bits.div_ceil(8) * 8 - bits);
    }
    let zeros = block_length.checked_sub(salt)?.checked_sub(1)?;
    let (padding, salt) = (block.get(..=zeros)?, block.get(zeros + 1..)?);
    let padded = padding.last() == Some(&1) && padding.iter().rev().skip(1).all(|&byte| byte == 0);
    let inner = [&[0; 8][..], &hash(digest, message)?, salt].concat();
    Some(last == [0xbc] && padded && hash(digest, &inner)? == seed)
}

fn mgf1(digest: Digest, seed: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut mask = Vec::with_capacity(length + digest.len());
    for counter in 0u32.. {
        if mask.len() >= length {
            break;
        }
        mask.extend(hash(digest, &[seed, &counter.to_be_bytes()].concat())?);
    }
    mask.truncate(length);
    Some(mask)
}

/// The two numbers of a DSA or ECDSA signature, each between 0 and the order.
fn pair(signature: &[u8], order: &BigUint) -> Option<(BigUint, BigUint)> {
    let mut outer = Reader::new(signature, Lengths::Minimal);
    let mut numbers = outer.sequence().ok().filter(|_| outer.is_empty())?;
    let mut number = || {
        let digits = der::natural(numbers.expect(der::INTEGER).ok()?.content).ok()?;
        let number = BigUint::from_bytes_be(digits);
        (number != BigUint::ZERO && number < *order).then_some(number)
    };
    Some((number()?, number()?))
}

/// The leftmost bits of the digest, as many as the order has.
fn leftmost(digest: &[u8], order: &BigUint) -> BigUint {
    let bits = u64::try_from(digest.len()).unwrap_or_default() * 8;
    BigUint::from_bytes_be(digest) >> bits.saturating_sub(order.bits())
}

/// DSA's parameters and key.
struct DsaKey<'a> {
    p: &'a [u8],
    q: &'a [u8],
    g: &'a [u8],
    y: &'a [u8],
}

/// FIPS 186-4, section 4.7.
fn dsa(key: &DsaKey<'_>, digest: Digest, message: &[u8], signature: &[u8]) -> Option<bool> {
    if bit_length(key.p) > 16_384 || bit_length(key.q) > 512 {
        return None;
    }
    let (modulus, order) = (BigUint::from_bytes_be(key.p), BigUint::from_bytes_be(key.q));
    if modulus == BigUint::ZERO || order == BigUint::ZERO {
        return None;
    }
    let (r, s) = pair(signature, &order)?;
    let inverse = s.modinv(&order)?;
    let first = leftmost(&hash(digest, message)?, &order) * &inverse % &order;
    let second = &r * inverse % &order;
    let left = BigUint::from_bytes_be(key.g).modpow(&first, &modulus);
    let right = BigUint::from_bytes_be(key.y).modpow(&second, &modulus);
    Some(left * right % modulus % order == r)
}

/// FIPS 186-4, section 6.4.
fn ecdsa(
    curve: &Curve,
    point: &[u8],
    digest: Digest,
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let group = Group::of(curve)?;
    let (r, s) = pair(signature, group.order())?;
    let inverse = s.modinv(group.order())?;
    let first = leftmost(&hash(digest, message)?, group.order()) * &inverse % group.order();
    let second = &r * inverse % group.order();
    let sum = group.combine(&first, &group.decode(point)?, &second);
    Some(group.x(&sum)? % group.order() == r)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signatures of other kinds are tested with certificates that openssl signed
    /// (`tests/trust_cases.rs`).
    #[test]
    fn both_verifiers_agree_on_p256() {
        use ring::signature::KeyPair;
        let random = ring::rand::SystemRandom::new();
        let algorithm = &fast::ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = fast::EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = fast::EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let signature = pair.sign(&random, b"message").unwrap();
        let curve = Curve::named(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]).unwrap();
        let point = pair.public_key().as_ref();
        let slow =
            |message: &[u8]| ecdsa(curve, point, Digest::Sha256, message, signature.as_ref());
        assert_eq!(slow(b"message"), Some(true));
        assert_eq!(slow(b"massage"), Some(false));
        let key = Key::Ec { curve, point: point.to_vec() };
        let signing = Signing::Ecdsa(Digest::Sha256);
        assert_eq!(check(&key, signing, b"message", signature.as_ref()), Outcome::Good);
        assert_eq!(check(&key, signing, b"massage", signature.as_ref()), Outcome::Bad);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_can_be_checked(modulus: Vec<u8>, exponent: Vec<u8>, signature: Vec<u8>) {
            let curve = Curve::named(&[0x2b, 0x81, 0x04, 0x00, 0x23]).unwrap();
            let keys = [
                (Key::Ec { curve, point: modulus.clone() }, Signing::Ecdsa(Digest::Sha512)),
                (
                    Key::Dsa {
                        p: modulus.clone(),
                        q: exponent.clone(),
                        g: modulus.clone(),
                        y: exponent.clone(),
                    },
                    Signing::Dsa(Digest::Sha256),
                ),
                (
                    Key::Rsa { modulus: modulus.clone(), exponent: exponent.clone() },
                    Signing::Pss { digest: Digest::Sha256, mask: Digest::Sha1, salt: 3 },
                ),
                (Key::Rsa { modulus, exponent }, Signing::Rsa(Digest::Sha224)),
            ];
            for (key, signing) in &keys {
                let _ = check(key, *signing, b"message", &signature);
            }
        }
    }
}
