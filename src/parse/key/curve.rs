//! Elliptic curves by name, and by their parameters where a file writes those out.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::der::{
    self, Element, Fault, INTEGER, Lengths, OCTET_STRING, OID, Reader, SEQUENCE,
    without_leading_zeros,
};

/// An elliptic curve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Curve {
    /// NIST P-224.
    P224,
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
    /// The curve of Bitcoin, which Go's standard library does not have.
    Secp256k1,
    /// Brainpool, as demanded by some German authorities. Go's standard library has none of them.
    BrainpoolP256r1,
    /// See [`Curve::BrainpoolP256r1`].
    BrainpoolP384r1,
    /// See [`Curve::BrainpoolP256r1`].
    BrainpoolP512r1,
    /// Another curve, by its dotted identifier; `None` if that is malformed.
    Other(Option<String>),
    /// Written out, and not one of the curves above. SHA-256 of the parameters, in hex.
    Unrecognised(String),
}

struct Known {
    curve: Curve,
    name: &'static str,
    oid: &'static [u8],
    /// [`hash_of`] the curve's parameters. Computed from
    /// `openssl ecparam -name NAME -param_enc explicit`; a test does it again.
    parameters: &'static str,
}

static KNOWN: [Known; 8] = [
    Known {
        curve: Curve::P224,
        name: "P-224",
        oid: &[0x2b, 0x81, 0x04, 0x00, 0x21],
        parameters: "82e21615ea894eaabd1b095fac48ff3537602b6a38732f2909611ad3bbc9ae39",
    },
    Known {
        curve: Curve::P256,
        name: "P-256",
        oid: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        parameters: "d0825b3d3abdbc60db017ee6b2e0a2e3d4179680040e45c9a19655825e9270eb",
    },
    Known {
        curve: Curve::P384,
        name: "P-384",
        oid: &[0x2b, 0x81, 0x04, 0x00, 0x22],
        parameters: "83c3fa139d0d69a10ecdf9d194ab7a524eee8bbca238ba6950046069cd8bccc1",
    },
    Known {
        curve: Curve::P521,
        name: "P-521",
        oid: &[0x2b, 0x81, 0x04, 0x00, 0x23],
        parameters: "90a6bff1eac622667dba9172ad04c904a553614297d5486c38a97f2ef564066b",
    },
    Known {
        curve: Curve::Secp256k1,
        name: "secp256k1",
        oid: &[0x2b, 0x81, 0x04, 0x00, 0x0a],
        parameters: "4542b876fdcb5e472ca8acd66ead0f7d4a50e3ccee41bc5e49a46a9e40304fd5",
    },
    Known {
        curve: Curve::BrainpoolP256r1,
        name: "brainpoolP256r1",
        oid: &[0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07],
        parameters: "6751b08f86cf15908c39aa59d1c7911c9f311fce0c39ddfb2d398f17fbdc17f7",
    },
    Known {
        curve: Curve::BrainpoolP384r1,
        name: "brainpoolP384r1",
        oid: &[0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x0b],
        parameters: "5396e9be72e6a1646fc32d44aef8a826d619f41a0b49dc84fd8f157a62cd7223",
    },
    Known {
        curve: Curve::BrainpoolP512r1,
        name: "brainpoolP512r1",
        oid: &[0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x0d],
        parameters: "f91e6b4ae3efadd0bfb1ba4329243ee758d9df34611624f54e9542daf92f4533",
    },
];

impl Curve {
    /// The curve in an `ECParameters` (RFC 3279, 2.3.5), and whether it is written out.
    pub(super) fn of_parameters(parameters: Element<'_>) -> Result<(Self, bool), Fault> {
        match parameters.tag {
            OID => Ok((Self::named(parameters.content), false)),
            SEQUENCE => {
                let parameters = hash_of(Reader::new(parameters.content, Lengths::Padded))?;
                let known = KNOWN.iter().find(|known| known.parameters == parameters);
                let curve = known.map(|known| known.curve.clone());
                Ok((curve.unwrap_or(Self::Unrecognised(parameters)), true))
            }
            // NULL stands for the curve of the issuer, which nobody has ever used.
            _ => Err(Fault::Malformed),
        }
    }

    /// The curve's usual name, if it is one of those known here.
    pub(super) fn name(&self) -> Option<&'static str> {
        KNOWN.iter().find(|known| known.curve == *self).map(|known| known.name)
    }

    fn named(oid: &[u8]) -> Self {
        let known = KNOWN.iter().find(|known| known.oid == oid);
        known.map_or_else(|| Self::Other(der::dotted_if_usual(oid)), |known| known.curve.clone())
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self) {
            (Some(name), _) => f.write_str(name),
            (None, Self::Other(Some(oid))) => write!(f, "curve {oid}"),
            (None, _) => f.write_str("an unknown curve"),
        }
    }
}

/// A hash of all that defines the curve: the field, both coefficients, the base point and its
/// order. A look-alike with another base point has another hash.
fn hash_of(mut parameters: Reader<'_>) -> Result<String, Fault> {
    parameters.expect(INTEGER)?; // The version.
    let mut field = parameters.sequence()?;
    field.expect(OID)?;
    // Curves over binary fields have a structure here, and are none of those known.
    let prime = field.element()?.content;
    let mut coefficients = parameters.sequence()?;
    let (a, b) = (coefficients.expect(OCTET_STRING)?, coefficients.expect(OCTET_STRING)?);
    let base = parameters.expect(OCTET_STRING)?.content;
    let (sign, x) = compressed(base).ok_or(Fault::Malformed)?;
    let order = parameters.unsigned()?;
    let [prime, a, b] = [prime, a.content, b.content].map(without_leading_zeros);
    Ok(super::hash(&[prime, a, b, &[sign], x, order]))
}

/// The sign byte and the first coordinate of a point (SEC 1, 2.3.3).
///
/// Compressing takes one bit of the second coordinate. Expanding would take a square root, so
/// points are compared in this form.
pub(super) fn compressed(point: &[u8]) -> Option<(u8, &[u8])> {
    let (form, coordinates) = point.split_first()?;
    match form {
        2 | 3 if !coordinates.is_empty() => Some((*form, coordinates)),
        // 6 and 7 are the hybrid form: both coordinates, and the sign as well.
        4 | 6 | 7 if coordinates.len().is_multiple_of(2) => {
            let x = &coordinates[..coordinates.len() / 2];
            Some((2 + (coordinates.last()? & 1), x))
        }
        _ => None,
    }
}
