//! DER (X.690): the grain of keys and certificates. One element after the other, never nested
//! deeper than the caller asks, always on slices of the input.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::base64;

mod structure;
mod value;
mod write;

pub use structure::Structure;
pub(crate) use value::{
    bit_length, bit_string, boolean, dotted, dotted_if_usual, has_small_numbers, is_minimal,
    natural, natural_u64, number, without_leading_zeros,
};
pub(crate) use write::{wrap, wrap_unsigned};

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
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
pub(crate) const CONTEXT_0: u8 = constructed(0);
pub(crate) const CONTEXT_1: u8 = constructed(1);

/// The tag `[n]` of a constructed element, which explicit tags always are.
pub(crate) const fn constructed(n: u8) -> u8 {
    0xa0 | n
}

/// The tag `[n]` of a primitive element.
pub(crate) const fn primitive(n: u8) -> u8 {
    0x80 | n
}

/// A DER document that is public, such as a certificate; Base64 text in bundles.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Der(#[serde(with = "base64")] Vec<u8>);

impl Der {
    pub(crate) fn copy(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl AsRef<[u8]> for Der {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Der {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Der({} bytes)", self.0.len())
    }
}

/// Why bytes are not the DER document that they should be. Names no byte of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The outermost length promises more bytes than there are.
    #[error("the data ends too early")]
    CutShort,
    /// One complete element, and then more.
    #[error("there are extra bytes after the data")]
    ExtraBytes,
    /// Not DER, or not the fields that the format has.
    #[error("the data is malformed")]
    Malformed,
    /// Well formed, but something else than asked for.
    #[error("the data is something else")]
    OtherStructure,
}

/// How strictly lengths are read.
///
/// Two strictnesses exist in the field. Go reads DER and nothing else; OpenSSL also takes lengths
/// that are longer than need be. All the rest is the same for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lengths {
    /// Shortest form only, as DER asks.
    Minimal,
    /// Any definite form.
    Padded,
}

/// Tag, content, and both together with the length between them.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// The one element that `bytes` are, with lengths of any form.
    pub(crate) fn only(bytes: &'a [u8]) -> Result<Self, Fault> {
        // Zeros are what is left of a file after a crash, not an element.
        if bytes.first() == Some(&0) {
            return Err(Fault::Malformed);
        }
        let (element, rest) = split(bytes, Lengths::Padded)?;
        if rest.is_empty() { Ok(element) } else { Err(Fault::ExtraBytes) }
    }

    /// The fields of the one SEQUENCE that `bytes` are.
    pub(crate) fn only_sequence(bytes: &'a [u8]) -> Result<Reader<'a>, Fault> {
        let element = Self::only(bytes)?;
        if element.tag != SEQUENCE {
            return Err(Fault::Malformed);
        }
        Ok(Reader::new(element.content, Lengths::Padded))
    }
}

/// Reads elements off the front of a slice. What fails moves nothing.
#[derive(Clone, Copy)]
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
        Self { rest: element.content, ..self }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// The next element, whatever it is.
    pub(crate) fn element(&mut self) -> Result<Element<'a>, Fault> {
        // An element that leaves its parent is a fault of the contents, not a file cut short.
        let (element, rest) = split(self.rest, self.lengths).map_err(|_| Fault::Malformed)?;
        self.rest = rest;
        Ok(element)
    }

    /// The next element, which has to have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>, Fault> {
        self.optional(tag)?.ok_or(Fault::Malformed)
    }

    /// The next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Fault> {
        if self.rest.first() == Some(&tag) { self.element().map(Some) } else { Ok(None) }
    }

    /// The fields of the next element, which has to be a SEQUENCE.
    pub(crate) fn sequence(&mut self) -> Result<Self, Fault> {
        Ok(self.inside(self.expect(SEQUENCE)?))
    }

    /// The next element, which has to be a well-formed object identifier: numbers in base 128,
    /// none of them padded or cut short.
    pub(crate) fn oid(&mut self) -> Result<&'a [u8], Fault> {
        let oid = self.expect(OID)?.content;
        let whole = oid.last().is_some_and(|last| last & 0x80 == 0);
        let padded = oid.split(|byte| byte & 0x80 == 0).any(|number| number.first() == Some(&0x80));
        if whole && !padded { Ok(oid) } else { Err(Fault::Malformed) }
    }

    /// An INTEGER as OpenSSL reads one in a key: big-endian, no sign, without leading zeros.
    pub(crate) fn unsigned(&mut self) -> Result<&'a [u8], Fault> {
        Ok(without_leading_zeros(self.expect(INTEGER)?.content))
    }

    /// An INTEGER below 256, which is what versions are.
    pub(crate) fn small(&mut self) -> Result<u8, Fault> {
        match self.unsigned()? {
            [] => Ok(0),
            [value] => Ok(*value),
            _ => Err(Fault::Malformed),
        }
    }

    /// The octets of a BIT STRING that has whole octets only, as those with keys do.
    pub(crate) fn octets_of_bit_string(&mut self) -> Result<&'a [u8], Fault> {
        match self.expect(BIT_STRING)?.content {
            [0, octets @ ..] => Ok(octets),
            _ => Err(Fault::Malformed),
        }
    }
}

/// The first element and what follows it.
fn split(bytes: &[u8], lengths: Lengths) -> Result<(Element<'_>, &[u8]), Fault> {
    let [tag, rest @ ..] = bytes else { return Err(Fault::CutShort) };
    // Tag numbers above 30 take more bytes; no format read here has one.
    if tag & 0x1f == 0x1f {
        return Err(Fault::Malformed);
    }
    let [first, rest @ ..] = rest else { return Err(Fault::CutShort) };
    let (length, body) = match usize::from(*first) {
        short @ 0..=0x7f => (short, rest),
        // 0x80 is BER's indefinite length; five bytes and more would be beyond 4 GiB.
        long @ 0x81..=0x84 => {
            let (digits, body) = rest.split_at_checked(long - 0x80).ok_or(Fault::CutShort)?;
            let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            let is_padded = digits.first() == Some(&0) || length < 0x80;
            if is_padded && lengths == Lengths::Minimal {
                return Err(Fault::Malformed);
            }
            (length, body)
        }
        _ => return Err(Fault::Malformed),
    };
    let (content, rest) = body.split_at_checked(length).ok_or(Fault::CutShort)?;
    let whole = &bytes[..bytes.len() - rest.len()];
    Ok((Element { tag: *tag, content, whole }, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_document_cut_short_differs_from_a_malformed_one() {
        let whole = wrap(SEQUENCE, &[&wrap_unsigned(&[1; 300])]);
        let fault = |bytes| Element::only(bytes).err();
        assert_eq!(fault(&whole[..whole.len() - 1]), Some(Fault::CutShort));
        assert_eq!(fault(&whole[..3]), Some(Fault::CutShort));
        assert_eq!(fault(&[]), Some(Fault::CutShort));
        assert_eq!(fault(&[0x30, 0x80, 0, 0]), Some(Fault::Malformed));
        assert_eq!(fault(&[0x30, 0x85, 0, 0, 0, 0, 0]), Some(Fault::Malformed));
        assert_eq!(fault(&[0x05, 0, 0]), Some(Fault::ExtraBytes));
        let inner = Reader::new(&[0x02, 5, 1], Lengths::Minimal).element().err();
        assert_eq!(inner, Some(Fault::Malformed));
    }

    #[test]
    fn padded_lengths_are_for_the_lenient_reader_only() {
        let content =
            |bytes, lengths| Reader::new(bytes, lengths).element().map(|element| element.content);
        let padded = &[0x04, 0x81, 0x01, 0x2a];
        assert_eq!(content(padded, Lengths::Minimal), Err(Fault::Malformed));
        assert_eq!(content(padded, Lengths::Padded), Ok(&[0x2a][..]));
        assert_eq!(content(&[0x04, 0x01, 0x2a], Lengths::Minimal), Ok(&[0x2a][..]));
    }

    #[test]
    fn a_length_beyond_the_end_is_no_element() {
        for bytes in
            [&[0x04, 0x02, 0x2a][..], &[0x04, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x80, 0, 0]]
        {
            assert!(Reader::new(bytes, Lengths::Padded).element().is_err());
        }
    }

    #[test]
    fn a_failed_expectation_moves_nothing() {
        let mut reader = Reader::new(&[0x02, 0x01, 0x05], Lengths::Minimal);
        assert!(reader.expect(SEQUENCE).is_err());
        assert_eq!(reader.expect(INTEGER).unwrap().content, [5]);
    }

    #[test]
    fn zeros_are_no_document() {
        assert_eq!(Element::only(&[0, 0]).err(), Some(Fault::Malformed));
        assert_eq!(Element::only(&[0; 9]).err(), Some(Fault::Malformed));
    }

    #[test]
    fn object_identifiers_are_whole() {
        let is_one = |content: &[u8]| {
            Reader::new(&wrap(OID, &[content]), Lengths::Minimal).oid() == Ok(content)
        };
        assert!(is_one(&[0x55, 0x04, 0x03]) && is_one(&[0x2a, 0x86, 0x48]));
        assert!(!is_one(&[]) && !is_one(&[0x55, 0x86]));
        assert!(!is_one(&[0x80, 0x01]) && !is_one(&[0x2a, 0x80, 0x01]));
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            for lengths in [Lengths::Minimal, Lengths::Padded] {
                let mut reader = Reader::new(&bytes, lengths);
                while reader.element().is_ok() {}
                let _ = (reader.unsigned(), reader.oid(), reader.octets_of_bit_string());
            }
        }
    }
}
