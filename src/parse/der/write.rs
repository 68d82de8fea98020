//! Writing elements.

use super::{INTEGER, without_leading_zeros};

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

#[cfg(test)]
mod tests {
    use super::super::{Element, OCTET_STRING};
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
    fn integers_have_one_spelling() {
        assert_eq!(wrap_unsigned(&[0, 0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(wrap_unsigned(&[0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(wrap_unsigned(&[0]), [2, 1, 0]);
    }
}
