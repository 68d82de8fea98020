//! Elliptic curves by name, and by their parameters where a file writes those out.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::super::der::{
    self, Element, Fault, INTEGER, Lengths, OCTET_STRING, OID, Reader, SEQUENCE,
    without_leading_zeros,
};
use super::curves::{self, CURVES};

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

/// The name of each in [`CURVES`].
static NAMES: [(Curve, &str); 8] = [
    (Curve::P224, "P-224"),
    (Curve::P256, "P-256"),
    (Curve::P384, "P-384"),
    (Curve::P521, "P-521"),
    (Curve::Secp256k1, "secp256k1"),
    (Curve::BrainpoolP256r1, "brainpoolP256r1"),
    (Curve::BrainpoolP384r1, "brainpoolP384r1"),
    (Curve::BrainpoolP512r1, "brainpoolP512r1"),
];

impl Curve {
    /// The curve in an `ECParameters` (RFC 3279, 2.3.5), and whether it is written out.
    pub(super) fn of_parameters(parameters: Element<'_>) -> Result<(Self, bool), Fault> {
        match parameters.tag {
            OID => {
                let oid = parameters.content;
                let known = curves::Curve::named(oid).and_then(Self::known);
                Ok((known.unwrap_or_else(|| Self::Other(der::dotted_if_usual(oid))), false))
            }
            SEQUENCE => {
                let fields = Reader::new(parameters.content, Lengths::Padded);
                let written = Written::read(fields)?;
                let known = CURVES.iter().find(|curve| written.is(curve)).and_then(Self::known);
                Ok((known.unwrap_or_else(|| Self::Unrecognised(written.hash())), true))
            }
            // NULL stands for the curve of the issuer, which nobody has ever used.
            _ => Err(Fault::Malformed),
        }
    }

    /// The curve's usual name, if it is one of those known here.
    pub(super) fn name(&self) -> Option<&'static str> {
        NAMES.iter().find(|(curve, _)| curve == self).map(|(_, name)| *name)
    }

    fn known(curve: &curves::Curve) -> Option<Self> {
        NAMES.iter().find(|(_, name)| *name == curve.name).map(|(curve, _)| curve.clone())
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

/// All that defines a curve: the field, both coefficients, the base point and its order. A
/// look-alike with another base point is another curve.
struct Written<'a> {
    prime: &'a [u8],
    a: &'a [u8],
    b: &'a [u8],
    base_sign: u8,
    base_x: &'a [u8],
    order: &'a [u8],
}

impl<'a> Written<'a> {
    fn read(mut fields: Reader<'a>) -> Result<Self, Fault> {
        fields.expect(INTEGER)?; // The version.
        let mut field = fields.sequence()?;
        field.expect(OID)?;
        // Curves over binary fields have a structure here, and are none of those known.
        let prime = field.element()?.content;
        let mut coefficients = fields.sequence()?;
        let (a, b) = (coefficients.expect(OCTET_STRING)?, coefficients.expect(OCTET_STRING)?);
        let base = fields.expect(OCTET_STRING)?.content;
        let (base_sign, base_x) = compressed(base).ok_or(Fault::Malformed)?;
        let order = fields.unsigned()?;
        let [prime, a, b] = [prime, a.content, b.content].map(without_leading_zeros);
        Ok(Self { prime, a, b, base_sign, base_x, order })
    }

    fn is(&self, curve: &curves::Curve) -> bool {
        let is = |number: &[u8], digits: &str| {
            HEXLOWER.encode(number).trim_start_matches('0') == digits.trim_start_matches('0')
        };
        let y_is_odd = curve.y.ends_with(['1', '3', '5', '7', '9', 'b', 'd', 'f']);
        is(self.prime, curve.p)
            && is(self.a, curve.a)
            && is(self.b, curve.b)
            && is(self.base_x, curve.x)
            && self.base_x.len() == curve.width()
            && self.base_sign == 2 + u8::from(y_is_odd)
            && is(self.order, curve.order)
    }

    fn hash(&self) -> String {
        super::hash(&[self.prime, self.a, self.b, &[self.base_sign], self.base_x, self.order])
    }
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

#[cfg(test)]
mod tests {
    use super::super::super::der::{wrap, wrap_unsigned};
    use super::*;

    /// The curve as `ECParameters`, with its base point compressed or not.
    fn written_out(curve: &curves::Curve, is_compressed: bool) -> Vec<u8> {
        let number = |digits: &str| {
            let even = digits.len().next_multiple_of(2);
            HEXLOWER.decode(format!("{digits:0>even$}").as_bytes()).unwrap()
        };
        let base = [&[4], &number(curve.x)[..], &number(curve.y)].concat();
        let (sign, x) = compressed(&base).unwrap();
        let base = if is_compressed { [&[sign], x].concat() } else { base.clone() };
        let prime_field = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x01, 0x01];
        let prime = wrap_unsigned(&number(curve.p));
        let [a, b] = [curve.a, curve.b].map(|digits| wrap(OCTET_STRING, &[&number(digits)]));
        wrap(
            SEQUENCE,
            &[
                &wrap_unsigned(&[1]),
                &wrap(SEQUENCE, &[&wrap(OID, &[&prime_field]), &prime]),
                &wrap(SEQUENCE, &[&a, &b]),
                &wrap(OCTET_STRING, &[&base]),
                &wrap_unsigned(&number(curve.order)),
            ],
        )
    }

    fn curve_of(parameters: &[u8]) -> Curve {
        Curve::of_parameters(Element::only(parameters).unwrap()).unwrap().0
    }

    #[test]
    fn written_out_or_named_is_one_curve() {
        for (curve, name) in &NAMES {
            let parameters = CURVES.iter().find(|curve| curve.name == *name).unwrap();
            assert_eq!(curve_of(&wrap(OID, &[parameters.oid])), *curve);
            for is_compressed in [false, true] {
                assert_eq!(curve_of(&written_out(parameters, is_compressed)), *curve);
            }
        }
    }

    #[test]
    fn another_base_point_is_another_curve() {
        let p256 = CURVES.iter().find(|curve| curve.name == "P-256").unwrap();
        let mut parameters = written_out(p256, true);
        let sign = parameters.windows(2).position(|bytes| bytes == [3, 0x6b]).unwrap();
        parameters[sign] = 2;
        assert!(matches!(curve_of(&parameters), Curve::Unrecognised(_)));
    }
}
