//! How bytes are spelled in recordings: base64, so that certificates stay short and readable by
//! other tools.

/// For `#[serde(with = ..)]` on a list of byte strings.
pub mod base64_list {
    use data_encoding::BASE64;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// Each byte string as base64 text.
    pub fn serialize<S: Serializer>(list: &[Vec<u8>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(|bytes| BASE64.encode(bytes)))
    }

    /// The reverse.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        let decoded = texts.iter().map(|text| BASE64.decode(text.as_bytes()));
        decoded.collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}
