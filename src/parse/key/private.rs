//! Private keys: their format, and the public half that is in them. Works on slices of the input
//! and copies nothing but public numbers.

use ring::signature::{Ed25519KeyPair, KeyPair};

use super::{
    Algorithm, Curve, DSA, EC_PUBLIC_KEY, ED448, ED25519, Fault, Format, Key, PublicKey,
    RSA_ENCRYPTION, RSASSA_PSS, algorithm_of_rsa, of_spki, spki, spki_of_rsa,
};
use crate::parse::der::{
    self, CONTEXT_0, CONTEXT_1, Element, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, Structure,
};

/// The implicit BIT STRING of PKCS#8 version 2 (RFC 5958): the public key.
const PUBLIC_KEY: u8 = der::primitive(1);

/// What a private key in `der` is, whichever of the formats it has.
///
/// # Errors
///
/// [`Fault::OtherStructure`] if it is no private key, or one that is encrypted.
pub fn of_private(der: &[u8]) -> Result<Key, Fault> {
    let fields = Element::only_sequence(der)?;
    if Structure::of(der) != Structure::PrivateKey {
        return Err(Fault::OtherStructure);
    }
    let mut after_version = fields;
    after_version.expect(INTEGER)?;
    if after_version.optional(SEQUENCE)?.is_some() {
        return of_pkcs8(fields);
    }
    if after_version.optional(OCTET_STRING)?.is_some() {
        return of_sec1(fields, Format::Sec1, None);
    }
    // PKCS#1 has nine numbers, and perhaps a SEQUENCE with more primes; the DSA form has six.
    for _ in 0..6 {
        if after_version.optional(INTEGER)?.is_none() {
            return Ok(Key { format: Format::Dsa, algorithm: Algorithm::Dsa, public: None });
        }
    }
    of_pkcs1(fields, Format::Pkcs1, &algorithm_of_rsa())
}

fn of_pkcs8(mut fields: Reader<'_>) -> Result<Key, Fault> {
    fields.small()?;
    let identifier = fields.expect(SEQUENCE)?;
    let mut algorithm = fields.inside(identifier);
    let oid = algorithm.expect(OID)?.content;
    let key = fields.expect(OCTET_STRING)?.content;
    fields.optional(CONTEXT_0)?; // Attributes.
    let public =
        fields.optional(PUBLIC_KEY)?.and_then(|element| element.content.strip_prefix(&[0]));

    let format = Format::Pkcs8;
    match oid {
        RSA_ENCRYPTION => of_pkcs1(Element::only_sequence(key)?, format, &algorithm_of_rsa()),
        RSASSA_PSS => of_pkcs1(Element::only_sequence(key)?, format, identifier.whole),
        EC_PUBLIC_KEY => {
            let parameters = algorithm.element()?;
            of_sec1(Element::only_sequence(key)?, format, Some((parameters, public)))
        }
        ED25519 => {
            let pair = Ed25519KeyPair::from_seed_unchecked(seed(key)?);
            let pair = pair.map_err(|_| Fault::Malformed)?;
            known(format, &spki(&algorithm_without_parameters(oid), pair.public_key().as_ref()))
        }
        ED448 => match public {
            Some(public) => known(format, &spki(&algorithm_without_parameters(oid), public)),
            None => Ok(Key { format, algorithm: Algorithm::Ed448, public: None }),
        },
        DSA => Ok(Key { format, algorithm: Algorithm::Dsa, public: None }),
        other => Ok(Key {
            format,
            algorithm: Algorithm::Other(der::dotted_if_usual(other)),
            public: None,
        }),
    }
}

fn algorithm_without_parameters(oid: &[u8]) -> Vec<u8> {
    der::wrap(SEQUENCE, &[&der::wrap(OID, &[oid])])
}

/// The `CurvePrivateKey` of RFC 8410: an OCTET STRING in the OCTET STRING.
fn seed(key: &[u8]) -> Result<&[u8], Fault> {
    let inner = Element::only(key)?;
    if inner.tag == OCTET_STRING { Ok(inner.content) } else { Err(Fault::Malformed) }
}

fn of_pkcs1(mut fields: Reader<'_>, format: Format, algorithm: &[u8]) -> Result<Key, Fault> {
    fields.small()?;
    let (modulus, exponent) = (fields.unsigned()?, fields.unsigned()?);
    // The rest is secret, but a key that lacks some of it is none.
    for _ in ["d", "p", "q", "d mod p-1", "d mod q-1", "1/q mod p"] {
        fields.expect(INTEGER)?;
    }
    known(format, &spki_of_rsa(algorithm, modulus, exponent))
}

/// `outside` is what the PKCS#8 structure around the key says: the curve, and perhaps the point.
fn of_sec1(
    mut fields: Reader<'_>,
    format: Format,
    outside: Option<(Element<'_>, Option<&[u8]>)>,
) -> Result<Key, Fault> {
    fields.small()?;
    fields.expect(OCTET_STRING)?; // The secret number.
    let inside = fields.optional(CONTEXT_0)?;
    let inside = inside.map(|element| fields.inside(element).element()).transpose()?;
    let (outer_parameters, outer_point) = outside.unzip();
    let parameters = outer_parameters.or(inside).ok_or(Fault::Malformed)?;
    let point = match fields.optional(CONTEXT_1)? {
        Some(element) => Some(fields.inside(element).octets_of_bit_string()?),
        None => outer_point.flatten(),
    };
    let Some(point) = point else {
        let (curve, explicit) = Curve::of_parameters(parameters)?;
        return Ok(Key { format, algorithm: Algorithm::Ec { curve, explicit }, public: None });
    };
    let oid = der::wrap(OID, &[EC_PUBLIC_KEY]);
    known(format, &spki(&der::wrap(SEQUENCE, &[&oid, parameters.whole]), point))
}

fn known(format: Format, spki: &[u8]) -> Result<Key, Fault> {
    let public: PublicKey = of_spki(spki)?;
    Ok(Key { format, algorithm: public.algorithm.clone(), public: Some(public) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// SEC 1 for P-256 without its point, as some hardware and Java tools write it.
    fn without_point() -> Vec<u8> {
        let curve = der::wrap(OID, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]]);
        let secret = der::wrap(OCTET_STRING, &[&[5; 32]]);
        let parameters = der::wrap(CONTEXT_0, &[&curve]);
        der::wrap(SEQUENCE, &[&[INTEGER, 1, 1], &secret, &parameters])
    }

    #[test]
    fn a_missing_point_is_not_made_up() {
        let key = of_private(&without_point()).unwrap();
        assert_eq!(key.algorithm, Algorithm::Ec { curve: Curve::P256, explicit: false });
        assert_eq!(key.public, None);
    }

    #[test]
    fn a_key_that_lacks_its_secret_half_is_malformed() {
        let numbers = [INTEGER, 1, 0].repeat(3);
        let key = der::wrap(SEQUENCE, &[&[INTEGER, 1, 0], &numbers]);
        assert_eq!(of_private(&key), Err(Fault::OtherStructure));
    }

    #[test]
    fn every_cut_is_a_fault() {
        let key = without_point();
        for length in 0..key.len() {
            assert_eq!(of_private(&key[..length]), Err(Fault::CutShort));
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, position in 0_usize..60, value: u8) {
            let _ = of_private(&bytes);
            let _ = of_private(&der::wrap(SEQUENCE, &[&[INTEGER, 1, 0], &bytes]));
            let mut key = without_point();
            let length = key.len();
            key[position % length] = value;
            let _ = of_private(&key);
        }
    }
}
