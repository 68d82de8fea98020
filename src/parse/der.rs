//! DER (X.690) as far as keys and files need it: one element after the other, never nested deeper
//! than the caller asks, always on slices of the input.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::base64;

mod structure;

pub use structure::Structure;

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
/// `[0]` and `[1]`, constructed: the explicit fields of X.509, SEC 1 and PKCS#8.
pub(crate) const CONTEXT_0: u8 = 0xa0;
pub(crate) const CONTEXT_1: u8 = 0xa1;

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

/// Tag, content, and both together with the length between them.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// The one element that `bytes` are.
    pub(crate) fn only(bytes: &'a [u8]) -> Result<Self, Fault> {
        let (element, rest) = split(bytes)?;
        if rest.is_empty() { Ok(element) } else { Err(Fault::ExtraBytes) }
    }

    /// The fields of the one SEQUENCE that `bytes` are.
    pub(crate) fn only_sequence(bytes: &'a [u8]) -> Result<Reader<'a>, Fault> {
        let element = Self::only(bytes)?;
        if element.tag == SEQUENCE { Ok(Reader(element.content)) } else { Err(Fault::Malformed) }
    }
}

/// The elements of a constructed one, front to back.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(content: &'a [u8]) -> Self {
        Self(content)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn element(&mut self) -> Result<Element<'a>, Fault> {
        // An element that leaves its parent is a fault of the contents, not a file cut short.
        let (element, rest) = split(self.0).map_err(|_| Fault::Malformed)?;
        self.0 = rest;
        Ok(element)
    }

    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>, Fault> {
        self.optional(tag)?.ok_or(Fault::Malformed)
    }

    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Fault> {
        if self.0.first() == Some(&tag) { self.element().map(Some) } else { Ok(None) }
    }

    pub(crate) fn sequence(&mut self) -> Result<Reader<'a>, Fault> {
        Ok(Reader(self.expect(SEQUENCE)?.content))
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
fn split(bytes: &[u8]) -> Result<(Element<'_>, &[u8]), Fault> {
    let [tag, rest @ ..] = bytes else { return Err(Fault::CutShort) };
    // Tag numbers above 30 take more bytes; no format read here has one.
    if tag & 0x1f == 0x1f || *tag == 0 {
        return Err(Fault::Malformed);
    }
    let [first, rest @ ..] = rest else { return Err(Fault::CutShort) };
    let (length, body) = match usize::from(*first) {
        short @ 0..=0x7f => (short, rest),
        // 0x80 is BER's indefinite length; five bytes and more would be beyond 4 GiB.
        long @ 0x81..=0x84 => {
            let (digits, body) = rest.split_at_checked(long - 0x80).ok_or(Fault::CutShort)?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), body)
        }
        _ => return Err(Fault::Malformed),
    };
    let (content, rest) = body.split_at_checked(length).ok_or(Fault::CutShort)?;
    let whole = &bytes[..bytes.len() - rest.len()];
    Ok((Element { tag: *tag, content, whole }, rest))
}

pub(crate) fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// One element with `tag` around the concatenated `parts`.
pub(crate) fn wrap(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let digits = length.to_be_bytes();
    let digits = without_leading_zeros(&digits);
    let mut bytes = Vec::with_capacity(length + digits.len() + 2);
    bytes.push(tag);
    match digits {
        [] => bytes.push(0),
        [short @ 0..=0x7f] => bytes.push(*short),
        _ => {
            // A usize has at most eight bytes.
            bytes.push(0x80 + u8::try_from(digits.len()).unwrap_or(8));
            bytes.extend_from_slice(digits);
        }
    }
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// The INTEGER with these big-endian digits and no sign, in its one DER spelling.
pub(crate) fn wrap_unsigned(magnitude: &[u8]) -> Vec<u8> {
    let digits = without_leading_zeros(magnitude);
    if digits.first().is_some_and(|first| *first < 0x80) {
        wrap(INTEGER, &[digits])
    } else {
        wrap(INTEGER, &[&[0], digits])
    }
}

/// The dotted form, or `None` if it is no identifier or longer than any in use.
///
/// The bound matters: an identifier is the one value from a file that is shown as it stands.
pub(crate) fn dotted(oid: &[u8]) -> Option<String> {
    const LONGEST: usize = 15;
    if oid.is_empty() || oid.len() > LONGEST || oid.last().is_some_and(|byte| byte & 0x80 != 0) {
        return None;
    }
    let mut arcs: Vec<String> = Vec::new();
    let mut arc = 0_u64;
    for byte in oid {
        arc = arc.checked_mul(128)? | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if arcs.is_empty() {
                // The first two arcs share one number (X.690, 8.19.4).
                let root = arc.min(80) / 40;
                arcs.push(root.to_string());
                arc -= root * 40;
            }
            arcs.push(arc.to_string());
            arc = 0;
        }
    }
    Some(arcs.join("."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_come_back_in_their_shortest_form() {
        for (length, header) in [
            (0, &[4, 0][..]),
            (127, &[4, 127]),
            (128, &[4, 0x81, 128]),
            (256, &[4, 0x82, 1, 0]),
            (70_000, &[4, 0x83, 1, 0x11, 0x70]),
        ] {
            let content = vec![7; length];
            let whole = wrap(OCTET_STRING, &[&content]);
            assert!(whole.starts_with(header));
            assert_eq!(Element::only(&whole).map(|element| element.content), Ok(&content[..]));
        }
    }

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
        let inner = Reader::new(&[0x02, 5, 1]).element().err();
        assert_eq!(inner, Some(Fault::Malformed));
    }

    #[test]
    fn integers_have_one_spelling() {
        assert_eq!(wrap_unsigned(&[0, 0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(wrap_unsigned(&[0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(wrap_unsigned(&[0]), [2, 1, 0]);
    }

    #[test]
    fn identifiers_are_dotted() {
        let text = |bytes: &[u8]| dotted(bytes);
        assert_eq!(
            text(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]).as_deref(),
            Some("1.2.840.113549.1.1.1")
        );
        assert_eq!(text(&[0x2b, 0x65, 0x70]).as_deref(), Some("1.3.101.112"));
        assert_eq!(text(&[0x88, 0x37]).as_deref(), Some("2.999"));
        assert_eq!(text(&[]), None);
        assert_eq!(text(&[0x2a, 0x86]), None);
        assert_eq!(text(&[0x2a; 16]), None);
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = dotted(&bytes);
            let mut reader = Reader::new(&bytes);
            while reader.element().is_ok() {}
            let _ = reader.unsigned();
        }
    }
}
