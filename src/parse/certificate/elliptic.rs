//! Points on elliptic curves over big numbers, for verifying what `ring` cannot.

use num_bigint::BigUint;

use crate::parse::key::curves::Curve;

/// Whether a point in its usual encoding lies on the curve.
pub(crate) fn on_curve(curve: &Curve, point: &[u8]) -> bool {
    Group::of(curve).and_then(|group| group.decode(point)).is_some()
}

/// The points of a curve y² = x³ + ax + b over the prime field p.
pub(super) struct Group {
    p: BigUint,
    a: BigUint,
    b: BigUint,
    generator: Point,
    order: BigUint,
    /// The length of a coordinate in bytes.
    width: usize,
}

/// A point in Jacobian coordinates; z is zero at infinity.
#[derive(Clone)]
pub(super) struct Point {
    x: BigUint,
    y: BigUint,
    z: BigUint,
}

impl Point {
    fn affine(x: BigUint, y: BigUint) -> Self {
        Self { x, y, z: BigUint::from(1u8) }
    }

    fn infinity() -> Self {
        Self { x: BigUint::from(1u8), y: BigUint::from(1u8), z: BigUint::ZERO }
    }
}

impl Group {
    pub(super) fn of(curve: &Curve) -> Option<Self> {
        let number = |digits: &str| BigUint::parse_bytes(digits.as_bytes(), 16);
        Some(Self {
            p: number(curve.p)?,
            a: number(curve.a)?,
            b: number(curve.b)?,
            generator: Point::affine(number(curve.x)?, number(curve.y)?),
            order: number(curve.order)?,
            width: curve.width(),
        })
    }

    /// How many multiples the generator has.
    pub(super) fn order(&self) -> &BigUint {
        &self.order
    }

    fn minus(&self, left: &BigUint, right: &BigUint) -> BigUint {
        (left + &self.p - right % &self.p) % &self.p
    }

    fn times(&self, left: &BigUint, right: &BigUint) -> BigUint {
        left * right % &self.p
    }

    /// x³ + ax + b.
    fn right_side(&self, x: &BigUint) -> BigUint {
        (x * x * x + &self.a * x + &self.b) % &self.p
    }

    /// Reads a point, compressed or not, if it lies on the curve.
    pub(super) fn decode(&self, encoded: &[u8]) -> Option<Point> {
        let (&form, rest) = encoded.split_first()?;
        let (x, y) = rest.split_at_checked(self.width)?;
        let x = BigUint::from_bytes_be(x);
        let y = match (form, y.len()) {
            (4, length) if length == self.width => BigUint::from_bytes_be(y),
            (2 | 3, 0) => self.root(&self.right_side(&x), form == 3)?,
            _ => return None,
        };
        let fits = x < self.p && y < self.p && self.times(&y, &y) == self.right_side(&x);
        fits.then(|| Point::affine(x, y))
    }

    /// The odd or the even square root, where the prime makes that easy: all but P-224.
    fn root(&self, square: &BigUint, odd: bool) -> Option<BigUint> {
        if !self.p.bit(1) {
            return None;
        }
        let root = square.modpow(&((&self.p + 1u8) >> 2), &self.p);
        Some(if root.bit(0) == odd { root } else { &self.p - root })
    }

    fn double(&self, point: &Point) -> Point {
        let y2 = self.times(&point.y, &point.y);
        let z2 = self.times(&point.z, &point.z);
        let span = self.times(&(&point.x * 4u8), &y2);
        let slope = (&point.x * &point.x * 3u8 + &self.a * &z2 * &z2) % &self.p;
        let x = self.minus(&(&slope * &slope), &(&span * 2u8));
        let y = self.minus(&(&slope * self.minus(&span, &x)), &(&y2 * &y2 * 8u8));
        Point { x, y, z: self.times(&(&point.y * 2u8), &point.z) }
    }

    fn add(&self, left: &Point, right: &Point) -> Point {
        if left.z == BigUint::ZERO {
            return right.clone();
        }
        if right.z == BigUint::ZERO {
            return left.clone();
        }
        let left_z2 = self.times(&left.z, &left.z);
        let right_z2 = self.times(&right.z, &right.z);
        let x1 = self.times(&left.x, &right_z2);
        let y1 = self.times(&(&left.y * &right.z), &right_z2);
        let run = self.minus(&self.times(&right.x, &left_z2), &x1);
        let rise = self.minus(&self.times(&(&right.y * &left.z), &left_z2), &y1);
        if run == BigUint::ZERO {
            return if rise == BigUint::ZERO { self.double(left) } else { Point::infinity() };
        }
        let run2 = self.times(&run, &run);
        let run3 = self.times(&run, &run2);
        let span = self.times(&x1, &run2);
        let x = self.minus(&(&rise * &rise), &(&run3 + &span * 2u8));
        let y = self.minus(&(&rise * self.minus(&span, &x)), &(&y1 * &run3));
        Point { x, y, z: self.times(&(&left.z * &right.z), &run) }
    }

    /// So many times the generator plus so many times a point, both walked at once from the
    /// highest bit.
    pub(super) fn combine(&self, first: &BigUint, point: &Point, second: &BigUint) -> Point {
        let both = self.add(&self.generator, point);
        let mut sum = Point::infinity();
        for bit in (0..first.bits().max(second.bits())).rev() {
            sum = self.double(&sum);
            sum = match (first.bit(bit), second.bit(bit)) {
                (true, true) => self.add(&sum, &both),
                (true, false) => self.add(&sum, &self.generator),
                (false, true) => self.add(&sum, point),
                (false, false) => sum,
            };
        }
        sum
    }

    /// The affine x; nothing at infinity.
    pub(super) fn x(&self, point: &Point) -> Option<BigUint> {
        let inverse = point.z.modinv(&self.p)?;
        Some(self.times(&point.x, &(&inverse * &inverse)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::key::curves::CURVES;

    #[test]
    fn every_generator_has_the_order_that_is_said() {
        for curve in CURVES {
            let group = Group::of(curve).unwrap();
            let nothing = BigUint::ZERO;
            let all = group.combine(group.order(), &group.generator, &nothing);
            assert!(group.x(&all).is_none(), "{}", curve.name);
            let none_over = group.combine(&(group.order() - 1u8), &group.generator, &nothing);
            assert_eq!(group.x(&none_over), group.x(&group.generator), "{}", curve.name);
        }
    }

    #[test]
    fn points_have_to_lie_on_their_curve() {
        for curve in CURVES {
            let digits = |text: &str| BigUint::parse_bytes(text.as_bytes(), 16).unwrap();
            let coordinate = |text: &str| {
                let bytes = digits(text).to_bytes_be();
                [vec![0; curve.width() - bytes.len()], bytes].concat()
            };
            let mut point = [vec![4], coordinate(curve.x), coordinate(curve.y)].concat();
            assert!(on_curve(curve, &point), "{}", curve.name);
            if let Some(last) = point.last_mut() {
                *last ^= 1;
            }
            assert!(!on_curve(curve, &point), "{}", curve.name);
        }
    }
}
