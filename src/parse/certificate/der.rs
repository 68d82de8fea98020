//! Tag, length, value: the grain of every certificate.
//!
//! Two strictnesses exist in the field. Go reads DER and nothing else; OpenSSL also takes lengths
//! that are longer than need be. Everything above this file is the same for both.

/// How strictly lengths are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lengths {
    /// Shortest form only, as DER asks.
    Minimal,
    /// Any definite form.
    Padded,
}

/// One element: what `body` lies in, with and without its header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) raw: &'a [u8],
    pub(crate) body: &'a [u8],
}

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const NUMERIC_STRING: u8 = 0x12;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const T61_STRING: u8 = 0x14;
pub(crate) const IA5_STRING: u8 = 0x16;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const VISIBLE_STRING: u8 = 0x1a;
pub(crate) const UNIVERSAL_STRING: u8 = 0x1c;
pub(crate) const BMP_STRING: u8 = 0x1e;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// The tag `[n]` of a constructed element.
pub(crate) const fn explicit(n: u8) -> u8 {
    0xa0 | n
}

/// The tag `[n]` of a primitive element.
pub(crate) const fn implicit(n: u8) -> u8 {
    0x80 | n
}

/// Reads elements off the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    lengths: Lengths,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], lengths: Lengths) -> Self {
        Self { rest: bytes, lengths }
    }

    /// A reader of what is inside `element`.
    pub(crate) fn inside(self, element: Element<'a>) -> Self {
        Self { rest: element.body, ..self }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next element, whatever it is.
    pub(crate) fn any(&mut self) -> Option<Element<'a>> {
        let (&tag, after_tag) = self.rest.split_first()?;
        // Neither X.509 nor anything in it uses tag numbers above 30.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, header) = self.length(after_tag)?;
        let end = header.checked_add(length)?;
        let raw = self.rest.get(..end)?;
        self.rest = self.rest.get(end..)?;
        Some(Element { tag, raw, body: raw.get(header..)? })
    }

    /// The length of the body, and that of tag and length together.
    fn length(&self, after_tag: &[u8]) -> Option<(usize, usize)> {
        let (&first, digits) = after_tag.split_first()?;
        if first < 0x80 {
            return Some((usize::from(first), 2));
        }
        let count = usize::from(first & 0x7f);
        // 0x80 is the indefinite form, and nothing has a length of more than four bytes.
        if count == 0 || count > 4 {
            return None;
        }
        let digits = digits.get(..count)?;
        let length = digits.iter().try_fold(0usize, |sum, &digit| {
            sum.checked_mul(256)?.checked_add(usize::from(digit))
        })?;
        let padded = digits.first() == Some(&0) || length < 0x80;
        (!padded || self.lengths == Lengths::Padded).then_some((length, 2 + count))
    }

    /// The tag of the next element.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, which has to have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        let mut ahead = *self;
        let element = ahead.any().filter(|element| element.tag == tag)?;
        *self = ahead;
        Some(element)
    }

    /// The body of the next element, which has to be a well-formed object identifier: numbers in
    /// base 128, none of them padded or cut short.
    pub(crate) fn oid(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let body = ahead.expect(OBJECT_IDENTIFIER)?.body;
        let whole = body.last().is_some_and(|last| last & 0x80 == 0);
        let padded =
            body.split(|byte| byte & 0x80 == 0).any(|number| number.first() == Some(&0x80));
        if !whole || padded {
            return None;
        }
        *self = ahead;
        Some(body)
    }

    /// The next element if it has this tag; `Some(None)` if another one or none follows.
    #[expect(clippy::option_option, reason = "absent and malformed are two different things")]
    pub(crate) fn optional(&mut self, tag: u8) -> Option<Option<Element<'a>>> {
        if self.peek() == Some(tag) { self.expect(tag).map(Some) } else { Some(None) }
    }
}

/// The bits of a BIT STRING in whole bytes, and how many at the end are unused.
pub(crate) fn bit_string(body: &[u8]) -> Option<(&[u8], u8)> {
    let (&unused, bits) = body.split_first()?;
    let last = bits.last().copied();
    match (unused, last) {
        (0, _) => Some((bits, 0)),
        (1..=7, Some(last)) if last & ((1 << unused) - 1) == 0 => Some((bits, unused)),
        _ => None,
    }
}

/// Whether an INTEGER's body is in its shortest form.
pub(crate) fn minimal_integer(body: &[u8]) -> bool {
    match body {
        [] => false,
        [first, second, ..] => !matches!((first, second >> 7), (0x00, 0) | (0xff, 1)),
        [_] => true,
    }
}

/// The body of an INTEGER that is neither negative nor wider than 64 bits.
pub(crate) fn small_integer(body: &[u8]) -> Option<u64> {
    if !minimal_integer(body) || body.first()? & 0x80 != 0 {
        return None;
    }
    let digits = body.strip_prefix(&[0]).unwrap_or(body);
    (digits.len() <= 8).then(|| digits.iter().fold(0u64, |sum, &digit| sum << 8 | u64::from(digit)))
}

/// Whether every number of an object identifier has 31 bits at most, which is what Go can hold.
pub(crate) fn small_numbers(oid: &[u8]) -> bool {
    oid.split_inclusive(|byte| byte & 0x80 == 0).all(|number| match number.len() {
        0..5 => true,
        5 => number.first().is_some_and(|first| first & 0x7f < 0x08),
        _ => false,
    })
}

/// The body of a BOOLEAN; DER knows two values only.
pub(crate) fn boolean(body: &[u8]) -> Option<bool> {
    match body {
        [0x00] => Some(false),
        [0xff] => Some(true),
        _ => None,
    }
}

/// An object identifier's body in dotted form.
pub(crate) fn dotted(oid: &[u8]) -> String {
    let mut numbers: Vec<u128> = Vec::new();
    let mut number = 0u128;
    for &byte in oid {
        number = number.saturating_mul(128).saturating_add(u128::from(byte & 0x7f));
        if byte & 0x80 == 0 {
            numbers.push(std::mem::take(&mut number));
        }
    }
    let Some((&first, others)) = numbers.split_first() else { return String::new() };
    let (root, second) = match first {
        0..40 => (0, first),
        40..80 => (1, first - 40),
        _ => (2, first - 80),
    };
    others.iter().fold(format!("{root}.{second}"), |text, number| format!("{text}.{number}"))
}

/// An element with a body, as DER writes it.
pub(crate) fn element(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    if let Ok(short @ 0..0x80) = u8::try_from(body.len()) {
        bytes.push(short);
    } else {
        let length = body.len().to_be_bytes();
        let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
        bytes.push(0x80 | u8::try_from(significant.len()).unwrap_or_default());
        bytes.extend(significant);
    }
    bytes.extend(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bytes: &[u8], lengths: Lengths) -> Option<Vec<u8>> {
        Reader::new(bytes, lengths).any().map(|element| element.body.to_vec())
    }

    #[test]
    fn padded_lengths_are_for_the_lenient_reader_only() {
        let padded = [0x04, 0x81, 0x01, 0x2a];
        assert_eq!(one(&padded, Lengths::Minimal), None);
        assert_eq!(one(&padded, Lengths::Padded), Some(vec![0x2a]));
        assert_eq!(one(&[0x04, 0x01, 0x2a], Lengths::Minimal), Some(vec![0x2a]));
    }

    #[test]
    fn a_length_beyond_the_end_is_no_element() {
        assert_eq!(one(&[0x04, 0x02, 0x2a], Lengths::Padded), None);
        assert_eq!(one(&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff], Lengths::Padded), None);
        assert_eq!(one(&[0x30, 0x80, 0x00, 0x00], Lengths::Padded), None);
    }

    #[test]
    fn a_failed_expectation_moves_nothing() {
        let mut reader = Reader::new(&[0x02, 0x01, 0x05], Lengths::Minimal);
        assert!(reader.expect(SEQUENCE).is_none());
        assert_eq!(reader.expect(INTEGER).unwrap().body, [5]);
    }

    #[test]
    fn object_identifiers_read_as_usual() {
        assert_eq!(dotted(&[0x55, 0x1d, 0x11]), "2.5.29.17");
        assert_eq!(
            dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b]),
            "1.2.840.113549.1.1.11"
        );
        assert_eq!(dotted(&[]), "");
    }

    #[test]
    fn object_identifiers_are_whole() {
        let oid = |body: &[u8]| {
            let der = [&[6, u8::try_from(body.len()).unwrap()], body].concat();
            Reader::new(&der, Lengths::Minimal).oid().map(<[u8]>::to_vec)
        };
        assert!(oid(&[0x55, 0x04, 0x03]).is_some() && oid(&[0x2a, 0x86, 0x48]).is_some());
        assert!(oid(&[]).is_none() && oid(&[0x55, 0x86]).is_none());
        assert!(oid(&[0x80, 0x01]).is_none() && oid(&[0x2a, 0x80, 0x01]).is_none());
        assert!(small_numbers(&[0x2a, 0x87, 0xff, 0xff, 0xff, 0x7f]));
        assert!(!small_numbers(&[0x2a, 0x88, 0x80, 0x80, 0x80, 0x00]));
    }

    #[test]
    fn integers_have_one_form() {
        assert_eq!(small_integer(&[0x00, 0x80]), Some(128));
        assert_eq!(small_integer(&[0x00, 0x7f]), None);
        assert_eq!(small_integer(&[0x80]), None);
        assert_eq!(small_integer(&[]), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes, Lengths::Padded);
            while reader.any().is_some() {}
            let _ = (dotted(&bytes), bit_string(&bytes), small_integer(&bytes));
        }
    }

    #[test]
    fn elements_are_written_as_they_are_read() {
        for length in [0, 0x7f, 0x80, 0xff, 0x100, 0x1_0000] {
            let written = element(OCTET_STRING, &vec![7; length]);
            let mut reader = Reader::new(&written, Lengths::Minimal);
            assert_eq!(reader.any().map(|element| element.body.len()), Some(length));
        }
    }
}
