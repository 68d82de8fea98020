//! Base64 as PEM needs it (RFC 7468): the standard alphabet, padded, blanks anywhere.

use data_encoding::{BASE64, BASE64_MIME_PERMISSIVE};
use serde::{Deserialize, Deserializer, Serializer, de};

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
///
/// Bits left over in the last digit may be anything, as OpenSSL and Go have it.
pub(crate) fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Wiped> {
    let text = without_blanks(pieces);
    // The decoder would take several padded texts in a row for one.
    if text.0.iter().skip_while(|byte| **byte != b'=').any(|byte| *byte != b'=') {
        return None;
    }
    let length = BASE64_MIME_PERMISSIVE.decode_len(text.0.len()).ok()?;
    let mut bytes = Wiped(vec![0; length]);
    let length = BASE64_MIME_PERMISSIVE.decode_mut(&text.0, &mut bytes.0).ok()?;
    bytes.0.truncate(length);
    Some(bytes)
}

fn without_blanks<'a>(pieces: impl Iterator<Item = &'a [u8]> + Clone) -> Wiped {
    let length = pieces.clone().map(<[u8]>::len).sum();
    // The buffer never grows, because growing would leave a copy behind that nobody overwrites.
    let mut text = Wiped(Vec::with_capacity(length));
    text.0.extend(pieces.flatten().filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')));
    text
}

/// Encodes with padding and without line breaks.
pub(crate) fn encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
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
    fn leftover_bits_are_no_fault() {
        assert_eq!(decoded("Zh==").unwrap(), b"f");
        assert_eq!(decoded("Zm9=").unwrap(), b"fo");
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
