//! A set of public keys (RFC 7517), as Distribution 3 reads it from `auth.token.jwks`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Malformed;
use super::text::{refuse_deep_brackets, utf8};

/// The longest name of a key that is shown; libtrust's have 59 characters.
const LONGEST: usize = 64;

/// The keys in a set, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwks {
    /// The `kid` of each key that has one.
    pub key_ids: Vec<String>,
    /// How many keys have none, or one that is not shown.
    pub unnamed: usize,
}

/// Reads a set. Nothing of a key is kept but its name, and that only if it looks like one.
pub fn read(bytes: &[u8]) -> Result<Jwks, Malformed> {
    let text = utf8(bytes)?;
    refuse_deep_brackets(text)?;
    let document: Value = serde_json::from_str(text)
        .map_err(|error| Malformed::new(u32::try_from(error.line()).ok(), "not valid JSON"))?;
    let Some(keys) = document.get("keys").and_then(Value::as_array) else {
        return Err(Malformed::new(None, "no list of keys in it"));
    };
    let mut set = Jwks::default();
    for key in keys {
        match key.get("kid").and_then(Value::as_str).filter(|id| is_name(id)) {
            Some(id) => set.key_ids.push(id.to_owned()),
            None => set.unnamed += 1,
        }
    }
    Ok(set)
}

fn is_name(id: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_:".contains(c);
    !id.is_empty() && id.len() <= LONGEST && id.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_kept_and_nothing_else() {
        let set =
            read(br#"{"keys": [{"kty": "RSA", "kid": "AAAA:BBBB", "d": "hush"}, {"n": "1"}]}"#);
        assert_eq!(set.unwrap(), Jwks { key_ids: vec!["AAAA:BBBB".to_owned()], unnamed: 1 });
        assert_eq!(read(b"{}").unwrap_err().message, "no list of keys in it");
        assert_eq!(read(b"{\n\"keys\": hush").unwrap_err().line, Some(2));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text in "[{}\\[\\]\",:a-z]{0,60}") {
            let _ = read(&bytes);
            let _ = read(text.as_bytes());
        }
    }
}
