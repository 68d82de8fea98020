//! The contents of elements.

use super::Fault;

/// The bits of a BIT STRING in whole bytes, and how many at the end are unused.
pub(crate) fn bit_string(content: &[u8]) -> Result<(&[u8], u8), Fault> {
    let (&unused, bits) = content.split_first().ok_or(Fault::Malformed)?;
    match (unused, bits.last()) {
        (0, _) => Ok((bits, 0)),
        (1..=7, Some(last)) if last & ((1 << unused) - 1) == 0 => Ok((bits, unused)),
        _ => Err(Fault::Malformed),
    }
}

/// A BOOLEAN; DER knows two values only.
pub(crate) fn boolean(content: &[u8]) -> Result<bool, Fault> {
    match content {
        [0x00] => Ok(false),
        [0xff] => Ok(true),
        _ => Err(Fault::Malformed),
    }
}

/// Whether an INTEGER is in its shortest form.
pub(crate) fn is_minimal(integer: &[u8]) -> bool {
    match integer {
        [] => false,
        [first, second, ..] => !matches!((first, second >> 7), (0x00, 0) | (0xff, 1)),
        [_] => true,
    }
}

/// The big-endian digits of an INTEGER that is in its shortest form and not negative.
pub(crate) fn natural(integer: &[u8]) -> Result<&[u8], Fault> {
    if !is_minimal(integer) || integer.first().is_some_and(|first| first & 0x80 != 0) {
        return Err(Fault::Malformed);
    }
    Ok(integer.strip_prefix(&[0]).unwrap_or(integer))
}

/// The same as a number, if 64 bits can hold it.
pub(crate) fn natural_u64(integer: &[u8]) -> Result<u64, Fault> {
    number(natural(integer)?).ok_or(Fault::Malformed)
}

/// The number with these big-endian digits, if there are eight at most.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    (digits.len() <= 8).then(|| digits.iter().fold(0, |sum, digit| sum << 8 | u64::from(*digit)))
}

pub(crate) fn without_leading_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    &digits[zeros..]
}

/// How many bits the number with these big-endian digits has.
pub(crate) fn bit_length(digits: &[u8]) -> usize {
    let digits = without_leading_zeros(digits);
    digits.first().map_or(0, |first| digits.len() * 8 - first.leading_zeros() as usize)
}

/// Whether every number of an object identifier has 31 bits at most, which is what Go can hold.
pub(crate) fn has_small_numbers(oid: &[u8]) -> bool {
    oid.split_inclusive(|byte| byte & 0x80 == 0).all(|number| match number.len() {
        0..5 => true,
        5 => number.first().is_some_and(|first| first & 0x7f < 0x08),
        _ => false,
    })
}

/// An object identifier in dotted form.
pub(crate) fn dotted(oid: &[u8]) -> String {
    let mut numbers: Vec<u128> = Vec::new();
    let mut number = 0_u128;
    for &byte in oid {
        number = number.saturating_mul(128).saturating_add(u128::from(byte & 0x7f));
        if byte & 0x80 == 0 {
            numbers.push(std::mem::take(&mut number));
        }
    }
    let Some((&first, others)) = numbers.split_first() else { return String::new() };
    // The first two arcs share one number (X.690, 8.19.4).
    let root = first.min(80) / 40;
    let start = format!("{root}.{}", first - root * 40);
    others.iter().fold(start, |text, number| format!("{text}.{number}"))
}

/// The dotted form, or `None` if this is no identifier or longer than any in use.
///
/// The bound is for files with secrets: an identifier is the one value from them that is shown as
/// it stands.
pub(crate) fn dotted_if_usual(oid: &[u8]) -> Option<String> {
    const LONGEST: usize = 15;
    let whole = oid.last().is_some_and(|byte| byte & 0x80 == 0);
    (whole && oid.len() <= LONGEST).then(|| dotted(oid))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn identifiers_are_dotted() {
        for (oid, text) in [
            (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01][..], "1.2.840.113549.1.1.1"),
            (&[0x2b, 0x65, 0x70], "1.3.101.112"),
            (&[0x55, 0x1d, 0x11], "2.5.29.17"),
            (&[0x88, 0x37], "2.999"),
        ] {
            assert_eq!(dotted(oid), text);
            assert_eq!(dotted_if_usual(oid).as_deref(), Some(text));
        }
        assert_eq!(dotted(&[]), "");
    }

    #[test]
    fn odd_identifiers_of_keys_are_not_shown() {
        for oid in [&[][..], &[0x2a, 0x86], &[0x2a; 16]] {
            assert_eq!(dotted_if_usual(oid), None);
        }
    }

    #[test]
    fn numbers_of_identifiers_have_31_bits_for_go() {
        assert!(has_small_numbers(&[0x2a, 0x87, 0xff, 0xff, 0xff, 0x7f]));
        assert!(!has_small_numbers(&[0x2a, 0x88, 0x80, 0x80, 0x80, 0x00]));
    }

    #[test]
    fn integers_have_one_form() {
        assert_eq!(natural_u64(&[0x00, 0x80]), Ok(128));
        for malformed in [&[0x00, 0x7f][..], &[0x80], &[]] {
            assert_eq!(natural_u64(malformed), Err(Fault::Malformed));
        }
    }

    #[test]
    fn bits_are_counted_from_the_first_one() {
        for (digits, length) in [(&[][..], 0), (&[0, 0], 0), (&[0, 1, 0], 9), (&[0x80], 8)] {
            assert_eq!(bit_length(digits), length);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes: Vec<u8>) {
            let _ = (dotted(&bytes), dotted_if_usual(&bytes), has_small_numbers(&bytes));
            let _ = (bit_string(&bytes), boolean(&bytes), natural_u64(&bytes), bit_length(&bytes));
        }
    }
}
