//! Base64 as PEM needs it (RFC 7468): the standard alphabet, padded, blanks anywhere.

use serde::{Deserialize, Deserializer, Serializer, de};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes that may be a private key, overwritten when they go out of scope.
///
/// There is no `Debug`, no `Clone` and no `Serialize`, so the bytes cannot travel by accident.
pub(crate) struct Wiped(Vec<u8>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the compiler from dropping writes that nobody seems to read.
        std::hint::black_box(self.0.as_slice());
    }
}

/// Decodes `pieces` as one text, or `None` if it is not Base64: a foreign character, padding
/// that is missing, too long or not at the end.
pub(crate) fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Wiped> {
    let length: usize = pieces.clone().map(<[u8]>::len).sum();
    // The buffer never grows, because growing would leave a copy behind that nobody overwrites.
    let mut bytes = Wiped(Vec::with_capacity(length / 4 * 3 + 3));
    let (mut group, mut digits, mut padding) = (0_u32, 0_u8, 0_u8);
    for &byte in pieces.flatten() {
        let value = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            b'=' if digits >= 2 => {
                padding += 1;
                0
            }
            _ if padding > 0 => return None,
            _ => digit(byte)?,
        };
        group = group << 6 | u32::from(value);
        digits += 1;
        if digits == 4 {
            let [_, high, middle, low] = group.to_be_bytes();
            let kept = 3_usize.saturating_sub(usize::from(padding));
            bytes.0.extend_from_slice(&[high, middle, low][..kept]);
            (group, digits) = (0, 0);
        }
    }
    (digits == 0).then_some(bytes)
}

/// Encodes with padding and without line breaks.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let index = (group >> (18 - 6 * place)) as usize & 63;
            text.push(if place <= chunk.len() { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    text
}

pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode(bytes))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match decode(std::iter::once(text.as_bytes())) {
        Some(bytes) => Ok(bytes.as_ref().to_vec()),
        None => Err(de::Error::custom("not Base64")),
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        decode(std::iter::once(text.as_bytes())).map(|bytes| bytes.as_ref().to_vec())
    }

    #[test]
    fn agrees_with_the_vectors_of_rfc_4648() {
        for (plain, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decoded(text).unwrap(), plain.as_bytes());
        }
    }

    #[test]
    fn refuses_what_is_not_base64() {
        for text in ["Z", "Zg", "Zg=", "Zm8=Zm8=", "=", "Zg===", "Zm-v", "Z===", "Zg==\0"] {
            assert_eq!(decoded(text), None, "{text:?}");
        }
    }

    #[test]
    fn blanks_may_stand_anywhere() {
        assert_eq!(decoded(" Z m\t9\r\nv\n").unwrap(), b"foo");
        let pieces: [&[u8]; 3] = [b"Z", b"", b"m9v"];
        assert_eq!(decode(pieces.into_iter()).unwrap().as_ref(), b"foo");
    }

    proptest! {
        #[test]
        fn comes_back(bytes: Vec<u8>) {
            prop_assert_eq!(decoded(&encode(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn never_panics(bytes: Vec<u8>, text in "[A-Za-z=\n]{0,40}") {
            let _ = decode(std::iter::once(bytes.as_slice()));
            let _ = decoded(&text);
        }
    }
}
